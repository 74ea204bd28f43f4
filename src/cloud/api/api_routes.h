/* The route table: everything that the hub answers over HTTP, in one place. docs/openapi.yaml is held
 * against it by a test, in both directions. */
#ifndef PORCH_CLOUD_API_ROUTES_H
#define PORCH_CLOUD_API_ROUTES_H

#include "cloud/api/api_world.h"

enum { PORCH_API_ROUTES_MOST = 96 };

/* Fills `out` (PORCH_API_ROUTES_MOST rows) and returns how many there are. With NULLs the handlers are
 * there and their contexts are not: enough to list the table. */
size_t porch_api_routes(porch_api *api, porch_http_route *out);

#endif
