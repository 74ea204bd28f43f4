/* An iOS configuration profile with one payload: the hub's web CA. Unsigned, as a household's own must be;
 * the phone shows it as such, and the person compares the fingerprint. */
#ifndef PORCH_CLOUD_API_PROFILE_H
#define PORCH_CLOUD_API_PROFILE_H

#include "base/bytes.h"
#include "base/error.h"

enum { PORCH_PROFILE_BYTES = 24576 };

/* Writes the property list. `hub` is the hub's id, `name` how people call it (a host name); both come from
 * settings and are escaped. The same certificate gives the same profile: installing it again replaces it.
 */
porch_err porch_profile_write(porch_buf *out, const char *hub, const char *name, porch_bytes der,
                              const uint8_t fingerprint[32]);

#endif
