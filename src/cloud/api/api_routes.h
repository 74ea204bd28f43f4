/* The route table: everything that the hub answers over HTTP, in one place. docs/openapi.yaml is held
 * against it by a test, in both directions. */
#ifndef PORCH_CLOUD_API_ROUTES_H
#define PORCH_CLOUD_API_ROUTES_H

#include "cloud/api/api_world.h"

/* Fills `out` (PORCH_API_ROUTES_MOST rows) and returns how many there are. With NULLs the handlers are
 * there and their contexts are not: enough to list the table. */
size_t porch_api_routes(porch_api *api, porch_http_route *out);
/* The rows that people (and whoever asks without a certificate) come to, with who may pass. */
const porch_api_row *porch_api_people_rows(size_t *count);

#endif
