/* Names in update metadata that become addresses and file names, and the patterns that delegate them. */
#ifndef PORCH_OTA_CLIENT_TUF_NAME_H
#define PORCH_OTA_CLIENT_TUF_NAME_H

#include "base/bytes.h"
#include "base/error.h"

/* Percent-encodes all but letters, digits and "-._~" (RFC 3986, 2.3), and '/' too where `slashes` says so:
 * what comes out is one step of a path and safe as a file name. Zero-terminated; false when it does not
 * fit. */
bool porch_tuf_quote(porch_bytes plain, bool slashes, char *out, size_t cap);

/* Does the path lie in the pattern? '*' stands for any characters and '?' for one, but never for a '/';
 * everything else for itself. The pattern is the inner text of a canonical string (tuf_json.h). */
bool porch_tuf_pattern_matches(porch_bytes pattern, porch_bytes path);

/* May a delegated role be called so? Not like a top-level role, not empty, not longer than `most`. */
bool porch_tuf_role_name_ok(porch_bytes plain, size_t most);

#endif
