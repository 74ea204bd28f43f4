/* A device's secret as it lies on disk: encrypted under the folder's secret key, which the key's store
 * seals.
 *
 *   file = version u8 (1) | nonce 12 | AES-256-GCM of the secret, with its name as additional data
 *
 * The name goes into the tag: a file that is renamed, to pass one secret for another, opens nowhere. */
#ifndef PORCH_DEVICE_SECRET_BOX_H
#define PORCH_DEVICE_SECRET_BOX_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    PORCH_SECRET_NAME_MOST = 64,
    PORCH_SECRET_MOST = 4096,
    PORCH_SECRET_KEY_BYTES = 32,
    PORCH_SECRET_BOX_MOST = PORCH_SECRET_MOST + 1 + 12 + 16
};

/* An id: lower-case letters, digits and '-'. */
porch_err porch_secret_name_check(const char *name, porch_why *why);
/* Appends the box. LIMIT above PORCH_SECRET_MOST bytes. */
porch_err porch_secret_close(const uint8_t key[PORCH_SECRET_KEY_BYTES], const char *name,
                             porch_bytes secret, porch_buf *box);
/* Appends the secret. SIGNATURE: changed, another name's, or another key's; MALFORMED. */
porch_err porch_secret_open(const uint8_t key[PORCH_SECRET_KEY_BYTES], const char *name, porch_bytes box,
                            porch_buf *secret);

#endif
