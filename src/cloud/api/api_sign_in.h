/* What the handlers about signing in share. For this room only. */
#ifndef PORCH_CLOUD_API_SIGN_IN_H
#define PORCH_CLOUD_API_SIGN_IN_H

#include "cloud/accounts/accounts_recovery.h"
#include "cloud/api/api_world.h"

/* Frees a parsed body after overwriting the password in it. */
void porch_api_forget(json_t *root, porch_bytes secret);
/* From where this request comes. `installed` is the body's field of that name: "yes" or absent. Views into
 * the exchange. */
porch_sign_in_from porch_api_from(const porch_http_exchange *x, porch_bytes installed);
/* The codes as a JSON list. NULL when out of memory. */
json_t *porch_api_recovery_list(const porch_recovery_codes *codes);

#endif
