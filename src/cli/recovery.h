/* A hub's recovery key as it lies in DIR: the public half in `recovery.pub`, the secret half nowhere. */
#ifndef PORCH_CLI_RECOVERY_H
#define PORCH_CLI_RECOVERY_H

#include "crypto/box.h"

enum { PORCH_RECOVERY_TEXT_BYTES = 2 * PORCH_BOX_PUBLIC_BYTES + 1 };

typedef struct {
    uint8_t public_key[PORCH_BOX_PUBLIC_BYTES];
    uint8_t secret[PORCH_BOX_SECRET_BYTES]; /* of a fresh key only */
    bool fresh;
    char text[PORCH_RECOVERY_TEXT_BYTES + 1]; /* recovery.pub: hex and a line end */
    size_t text_len;
} porch_recovery; /* wipe it */

/* The hub's recovery key, or a fresh one when it has none yet. MALFORMED with the command that helps. */
porch_err porch_recovery_load(const char *dir, porch_recovery *ret, porch_why *why);
/* Writes recovery.pub when the key is fresh, and only then. */
porch_err porch_recovery_remember(const char *dir, const porch_recovery *r, porch_why *why);

#endif
