#include "device/clock.h"

#include "base/cursor.h"
#include "base/text.h"

enum { OFF_MS = 300000 };

/* SubjectPublicKeyInfo of an Ed25519 key (RFC 8410, 4) as far as its 32 bytes. */
static const uint8_t SPKI_HEAD[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

uint64_t porch_clock_now(const porch_device_clock *c, uint64_t system_ms, uint64_t steady_ms) {
    uint64_t now_ms = system_ms;
    if (c->is_signed) {
        uint64_t at_ms = c->signed_ms + (steady_ms - c->since_ms);
        uint64_t off_ms = at_ms > system_ms ? at_ms - system_ms : system_ms - at_ms;
        if (off_ms > OFF_MS) now_ms = at_ms;
    }
    return now_ms > c->floor_ms ? now_ms : c->floor_ms;
}

bool porch_clock_is_known(const porch_device_clock *c, uint64_t system_ms) {
    return c->is_signed || system_ms >= c->floor_ms || c->floor_ms - system_ms <= OFF_MS;
}

bool porch_clock_wants(const porch_device_clock *c, uint64_t steady_ms) {
    return !c->is_signed || steady_ms - c->since_ms >= PORCH_CLOCK_FRESH_MS;
}

static porch_err check_signature(porch_bytes statement, const uint8_t key[32],
                                 const uint8_t signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES]) {
    porch_public_key by = {.kind = PORCH_KEY_ED25519, .len = sizeof SPKI_HEAD + 32};
    for (size_t i = 0; i < sizeof SPKI_HEAD; i++)
        by.der[i] = SPKI_HEAD[i];
    for (size_t i = 0; i < 32; i++)
        by.der[sizeof SPKI_HEAD + i] = key[i];
    return porch_key_verify(&by, PORCH_SIGN_ED25519, statement,
                            (porch_bytes){signature, PORCH_SIGNED_TIME_SIGNATURE_BYTES});
}

porch_err porch_clock_judge(const porch_device_clock *c, porch_bytes answer, const uint8_t key[32],
                            const char *hub, const uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES],
                            porch_signed_time *ret, porch_why *why) {
    porch_signed_time t;
    porch_bytes statement;
    uint8_t signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES];
    porch_err e = porch_signed_time_read(answer, &t, &statement, signature);
    if (e != PORCH_OK) return porch_fail(why, e, "the hub's time cannot be read");
    if (check_signature(statement, key, signature) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_SIGNATURE, "the time is not signed by our hub");
    if (!porch_bytes_eq((porch_bytes){t.nonce, sizeof t.nonce},
                        (porch_bytes){nonce, PORCH_SIGNED_TIME_NONCE_BYTES}))
        return porch_fail(why, PORCH_ERR_SIGNATURE, "the time answers another question than ours");
    if (hub[0] != '\0' && !porch_bytes_eq_text(porch_bytes_of(t.hub), hub))
        return porch_fail(why, PORCH_ERR_SIGNATURE, "the time is that of another hub");
    if (t.at_ms < c->floor_ms)
        return porch_fail(why, PORCH_ERR_ROLLBACK, "the hub's time lies before one that it told earlier");
    if (t.at_ms - c->floor_ms > PORCH_CLOCK_JUMP_MOST_MS)
        return porch_fail(why, PORCH_ERR_LIMIT, "the hub's time lies more than ten years ahead");
    *ret = t;
    return PORCH_OK;
}

void porch_clock_set(porch_device_clock *c, uint64_t at_ms, uint64_t steady_ms) {
    c->is_signed = true;
    c->signed_ms = at_ms;
    c->since_ms = steady_ms;
    porch_clock_raise(c, at_ms);
}

void porch_clock_raise(porch_device_clock *c, uint64_t at_least_ms) {
    if (at_least_ms > c->floor_ms) c->floor_ms = at_least_ms;
}

porch_err porch_clock_write(const porch_device_clock *c, porch_buf *out) {
    PORCH_TRY(porch_write_decimal(out, c->floor_ms));
    return porch_write_text(out, "\n");
}

porch_err porch_clock_read(porch_bytes text, porch_device_clock *c) {
    uint64_t at_ms = 0;
    if (text.len < 2 || text.at[text.len - 1] != '\n') return PORCH_ERR_MALFORMED;
    if (porch_decimal_read((porch_bytes){text.at, text.len - 1}, INT64_MAX, &at_ms) != PORCH_OK)
        return PORCH_ERR_MALFORMED;
    porch_clock_raise(c, at_ms);
    return PORCH_OK;
}
