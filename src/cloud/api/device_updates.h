/* The routes with which devices fetch updates; see device_updates.c. */
#ifndef PORCH_CLOUD_API_DEVICE_UPDATES_H
#define PORCH_CLOUD_API_DEVICE_UPDATES_H

#include "cloud/listener/http.h"
#include "cloud/rollout/updates.h"

/* Writes the rows and gives their number. `u` may be NULL where only patterns are looked at. */
size_t porch_device_updates_routes(porch_updates *u, porch_http_route *out, size_t cap);

#endif
