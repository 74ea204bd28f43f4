/* What every request of a browser must show before a handler sees it, and what every answer carries.
 *
 * Cookies ignore ports and travel with requests that other pages start. So whatever can change something
 * needs the Origin of this very door, a live stream must not be opened from another site, and the Host must
 * be one of the hub's names (a name that an attacker's DNS points here is not). Pure but for the guard
 * function at the end, which runs on a shard and does not block. */
#ifndef PORCH_CLOUD_API_GUARD_H
#define PORCH_CLOUD_API_GUARD_H

#include "cloud/listener/http.h"
#include "cloud/settings/settings.h"

enum { PORCH_GUARD_NAMES = 16 };

typedef struct {
    char names[PORCH_GUARD_NAMES][256]; /* lower case, IPv6 without brackets */
    size_t count;
} porch_guard_names;

/* Names and addresses of hub.name (separated by spaces). LIMIT when there are too many. */
porch_err porch_guard_names_read(const char *text, porch_guard_names *ret, porch_why *why);
/* "name", "name:port", "[v6]:port": is the name one of ours? */
bool porch_guard_host_ok(const porch_guard_names *names, const char *host);
/* Is `origin` exactly "https://" followed by this request's Host? */
bool porch_guard_origin_ok(const char *host, const char *origin);

typedef enum {
    PORCH_GUARD_GO_ON,
    PORCH_GUARD_HOST,
    PORCH_GUARD_ORIGIN,
    PORCH_GUARD_SITE
} porch_guard_verdict;
/* Headers are NULL when absent. `stream` tells a live event stream. */
porch_guard_verdict porch_guard_judge(const porch_guard_names *names, const char *method, const char *host,
                                      const char *origin, const char *fetch_site, bool stream);

/* The header rows of the people's and the devices' listener; `hsts` only with a certificate of a public
 * name. Static memory. */
const porch_http_header_row *porch_guard_people_headers(bool hsts);
const porch_http_header_row *porch_guard_device_headers(void);

/* A porch_http_guard; ctx is a porch_guard_names. */
bool porch_guard_people(void *ctx, porch_http_exchange *x);
/* For the devices' door, where no page lives: a request with an Origin is a browser's, started perhaps by a
 * stranger's page with the certificate that its user has installed. Passes without one, or with this door's
 * own. */
bool porch_guard_device(void *ctx, porch_http_exchange *x);

#endif
