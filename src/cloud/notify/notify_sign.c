/* The signature of Standard Webhooks (standardwebhooks.com, spec 1.0): symmetric, v1. */
#include "cloud/notify/notify_room.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/sha256.h"

enum { HEAD_BYTES = 96 };

static porch_err end_text(porch_buf *out) {
    return porch_write_u8(out, 0);
}

porch_err porch_notify_sign(porch_bytes secret, const char *id, uint64_t timestamp_s, porch_bytes body,
                            char out[PORCH_NOTIFY_SIGNATURE_BYTES]) {
    uint8_t digest[PORCH_SHA256_BYTES];
    porch_buf text = {(uint8_t *)out, 0, PORCH_NOTIFY_SIGNATURE_BYTES};
    porch_buf signed_bytes = {malloc(HEAD_BYTES + body.len), 0, HEAD_BYTES + body.len};
    if (!signed_bytes.at) return PORCH_ERR_BUSY;
    porch_err e = porch_write_text(&signed_bytes, id);
    if (e == PORCH_OK) e = porch_write_text(&signed_bytes, ".");
    if (e == PORCH_OK) e = porch_write_decimal(&signed_bytes, timestamp_s);
    if (e == PORCH_OK) e = porch_write_text(&signed_bytes, ".");
    if (e == PORCH_OK) e = porch_write_bytes(&signed_bytes, body);
    if (e == PORCH_OK) porch_hmac_sha256(secret, porch_buf_bytes(&signed_bytes), digest);
    free(signed_bytes.at);
    PORCH_TRY(e);
    PORCH_TRY(porch_write_text(&text, "v1,"));
    PORCH_TRY(porch_base64_write(&text, (porch_bytes){digest, sizeof digest}, false));
    return end_text(&text);
}

porch_err porch_notify_secret_text(porch_bytes secret, char out[PORCH_NOTIFY_SECRET_TEXT]) {
    porch_buf text = {(uint8_t *)out, 0, PORCH_NOTIFY_SECRET_TEXT};
    PORCH_TRY(porch_write_text(&text, "whsec_"));
    PORCH_TRY(porch_base64_write(&text, secret, false));
    return end_text(&text);
}
