/* The route table, checked at start and looked up for each request. */
#ifndef PORCH_CLOUD_LISTENER_ROUTE_H
#define PORCH_CLOUD_LISTENER_ROUTE_H

#include "cloud/listener/http.h"

typedef struct porch_routes porch_routes;

enum { PORCH_ROUTE_PARAMS_MOST = 4, PORCH_ROUTE_ALLOW_BYTES = 64 };

typedef struct {
    const porch_http_route *route;
    size_t param_count;
    struct {
        porch_bytes name, value; /* views into the pattern and the path */
    } params[PORCH_ROUTE_PARAMS_MOST];
} porch_route_match;

/* The rows must outlive the result. CONFIG names a row with a pattern that is off, without handler, with an
 * unknown method, or that says the same as an earlier one. */
porch_err porch_routes_new(const porch_http_route *rows, size_t count, porch_routes **ret, porch_why *why);
void porch_routes_free(porch_routes *r); /* NULL is fine */

/* PORCH_OK; NOT_FOUND: no such path on this listener; UNSUPPORTED: not with this method, `allow` then has
 * the methods for the Allow header ("GET, HEAD"). A HEAD request finds the path's GET route when it has no
 * own. */
porch_err porch_routes_find(const porch_routes *r, porch_listen_role role, porch_bytes method,
                            porch_bytes path, porch_route_match *ret, char allow[PORCH_ROUTE_ALLOW_BYTES]);

#endif
