/* A recovery key as people keep it: eight groups of eight hex digits on paper. */
#ifndef PORCH_CLI_BACKUP_KEY_H
#define PORCH_CLI_BACKUP_KEY_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/box.h"

enum {
    PORCH_BACKUP_KEY_GROUPS = 8,
    PORCH_BACKUP_KEY_TEXT = 2 * PORCH_BOX_SECRET_BYTES + PORCH_BACKUP_KEY_GROUPS
};

/* "b2d0d75e-490a2215-...", zero-terminated. */
void porch_backup_key_text(const uint8_t secret[PORCH_BOX_SECRET_BYTES], char out[PORCH_BACKUP_KEY_TEXT]);
/* Forgives '-', blanks, line ends and capitals: people type it. PORCH_ERR_MALFORMED; `secret` may have been
 * written then. */
porch_err porch_backup_key_parse(porch_bytes text, uint8_t secret[PORCH_BOX_SECRET_BYTES], porch_why *why);

#endif
