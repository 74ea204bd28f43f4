/* The policy's own doors of the people's API; see api_policy.c. */
#ifndef PORCH_CLOUD_API_POLICY_H
#define PORCH_CLOUD_API_POLICY_H

#include "cloud/listener/http.h"

/* Most bytes of a text here; a longer one goes through `porchlight policy apply`. */
enum { PORCH_API_POLICY_BYTES = 256 * 1024 };

void porch_api_policy(porch_http_exchange *x);
void porch_api_policy_set(porch_http_exchange *x);
void porch_api_policy_diff(porch_http_exchange *x);

#endif
