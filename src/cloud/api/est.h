/* Enrolment over Secure Transport (RFC 7030 with RFC 8951) on the devices' door: a device with curl and
 * openssl gets its certificate and renews it. */
#ifndef PORCH_CLOUD_API_EST_H
#define PORCH_CLOUD_API_EST_H

#include "cloud/api/api_world.h"

/* Appends the rows; `api` may be NULL to list them. */
size_t porch_est_routes(porch_api *api, porch_http_route *out, size_t most);

#endif
