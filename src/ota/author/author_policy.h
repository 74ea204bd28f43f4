/* What a product team says of a rollout, as it is signed with the release (ota/client/policy.h reads it).
 */
#ifndef PORCH_OTA_AUTHOR_AUTHOR_POLICY_H
#define PORCH_OTA_AUTHOR_AUTHOR_POLICY_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/error.h"

/* A share in 1/10000: "2500", "25%" or "0.5%". USAGE. */
porch_err porch_author_share_read(const char *text, uint32_t *ret, porch_why *why);

/* Every part may be NULL. `stages` are "SHARE" or "SHARE:DWELL", DWELL in seconds or with s, m, h or d;
 * `window` is "HH:MM-HH:MM". *ret is a new object, or NULL when nothing is said. What a device would refuse
 * is refused here. */
porch_err porch_author_policy(const json_t *stages, const char *battery, const char *window,
                              const char *bytes, json_t **ret, porch_why *why);

#endif
