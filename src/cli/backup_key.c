#include "cli/backup_key.h"

#include "base/text.h"

void porch_backup_key_text(const uint8_t secret[PORCH_BOX_SECRET_BYTES], char out[PORCH_BACKUP_KEY_TEXT]) {
    uint8_t *at = (uint8_t *)out;
    for (size_t i = 0; i < PORCH_BACKUP_KEY_GROUPS; i++) {
        porch_buf group = {at, 0, 8};
        (void)porch_hex_write(&group, (porch_bytes){secret + i * 4, 4});
        at += 8;
        *at++ = i + 1 < PORCH_BACKUP_KEY_GROUPS ? '-' : '\0';
    }
}

porch_err porch_backup_key_parse(porch_bytes text, uint8_t secret[PORCH_BOX_SECRET_BYTES], porch_why *why) {
    uint8_t hex[2 * PORCH_BOX_SECRET_BYTES];
    porch_buf digits = PORCH_BUF_OF(hex), out = {secret, 0, PORCH_BOX_SECRET_BYTES};
    bool fits = true;
    for (size_t i = 0; i < text.len && fits; i++) {
        uint8_t c = text.at[i];
        if (c == '-' || c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
        if (c >= 'A' && c <= 'F') c = (uint8_t)(c - 'A' + 'a');
        fits = digits.len < digits.cap;
        if (fits) hex[digits.len++] = c;
    }
    fits = fits && digits.len == digits.cap && porch_hex_read(&out, porch_buf_bytes(&digits)) == PORCH_OK;
    porch_wipe(hex, sizeof hex);
    return fits ? PORCH_OK
                : porch_fail(why, PORCH_ERR_MALFORMED, "a recovery key is 8 groups of 8 hex digits");
}
