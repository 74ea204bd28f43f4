#include "wire/est.h"

#include <string.h>

#include "base/text.h"

enum { LINE = 64, QUAD_MOST = 4 };

static bool is_blank(uint8_t c) {
    return c == '\r' || c == '\n' || c == ' ' || c == '\t';
}

/* Four characters at a time, so that nothing but these is held. */
porch_err porch_est_body_read(porch_bytes text, porch_buf *out) {
    uint8_t quad[QUAD_MOST];
    size_t held = 0, before = out->len;
    bool ended = false;
    porch_err e = PORCH_OK;
    if (text.len > PORCH_EST_BODY_BYTES) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < text.len && e == PORCH_OK; i++) {
        if (is_blank(text.at[i])) continue;
        if (ended) {
            e = PORCH_ERR_MALFORMED; /* something follows the padding */
            break;
        }
        quad[held++] = text.at[i];
        if (held < QUAD_MOST) continue;
        ended = quad[QUAD_MOST - 1] == '=';
        e = porch_base64_read(out, (porch_bytes){quad, held}, false);
        held = 0;
    }
    if (e == PORCH_OK && (held != 0 || out->len == before)) e = PORCH_ERR_MALFORMED;
    if (e != PORCH_OK) out->len = before;
    return e;
}

porch_err porch_est_body_write(porch_bytes der, porch_buf *out) {
    const size_t raw = (size_t)LINE / 4 * 3;
    for (size_t at = 0; at < der.len; at += raw) {
        size_t n = der.len - at < raw ? der.len - at : raw;
        PORCH_TRY(porch_base64_write(out, (porch_bytes){der.at + at, n}, false));
        PORCH_TRY(porch_write_bytes(out, PORCH_LIT("\r\n")));
    }
    return PORCH_OK;
}

static bool same_word(porch_bytes text, const char *lower) {
    size_t n = strlen(lower);
    if (text.len < n) return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = text.at[i];
        if (c >= 'A' && c <= 'Z') c = (uint8_t)(c - 'A' + 'a');
        if (c != (uint8_t)lower[i]) return false;
    }
    return true;
}

porch_err porch_est_password_read(porch_bytes authorization, char out[PORCH_EST_PASSWORD_BYTES]) {
    uint8_t raw[2 * PORCH_EST_PASSWORD_BYTES];
    porch_buf b = PORCH_BUF_OF(raw);
    if (!same_word(authorization, "basic ")) return PORCH_ERR_UNSUPPORTED;
    porch_bytes text = {authorization.at + 6, authorization.len - 6};
    if (porch_base64_read(&b, text, false) != PORCH_OK) return PORCH_ERR_MALFORMED;
    const uint8_t *colon = b.len > 0 ? memchr(raw, ':', b.len) : NULL;
    porch_err e = PORCH_ERR_MALFORMED;
    if (colon != NULL) {
        porch_bytes password = {colon + 1, b.len - (size_t)(colon + 1 - raw)};
        bool good = password.len > 0;
        for (size_t i = 0; good && i < password.len; i++)
            good = password.at[i] > 0x20 && password.at[i] < 0x7f;
        if (good && porch_bytes_to_text(password, out, PORCH_EST_PASSWORD_BYTES)) e = PORCH_OK;
    }
    porch_wipe(raw, sizeof raw);
    return e;
}
