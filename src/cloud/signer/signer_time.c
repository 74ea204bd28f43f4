/* What time it is, for devices whose clock is wrong. The time is this process's own, the nonce is the
 * asker's; the key signs statements of this one form (wire/signed_time.h) and nothing else. They are
 * limited in rate, and only made while the clock is believed (signer_clock.c).
 *
 * The key is derived from the sealing key, as the trust log's is. */
#include <string.h>

#include "base/cursor.h"
#include "cloud/signer/signer_room.h"
#include "wire/signed_time.h"

enum { ED25519_BYTES = 32 };

porch_err porch_signer_do_time(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                               porch_buf *data, porch_why *why) {
    uint8_t block[PORCH_SIGNED_TIME_BYTES], signature_block[PORCH_SIGNATURE_MAX_BYTES];
    porch_buf text = PORCH_BUF_OF(block), signature = PORCH_BUF_OF(signature_block);
    porch_signed_time t = {.at_ms = now.wall_ms};
    uint64_t wait_ms = 0;
    const size_t nonce = sizeof t.nonce, hash = sizeof t.timestamp;
    if (r->data.len != nonce && r->data.len != nonce + hash)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a question for the time is a nonce of %zu bytes, and at most a hash behind it",
                          nonce);
    if (!porch_signer_rate_take(&s->time_rate, now.mono_ms, &wait_ms))
        return porch_fail(why, PORCH_ERR_BUSY,
                          "too many ask for the time; try again in %llu ms (signer.times_per_minute)",
                          (unsigned long long)wait_ms);
    PORCH_TRY(porch_signer_check_id(porch_bytes_of(s->settings.hub_id), "a hub (hub.id in hub.conf)", why));
    PORCH_TRY(porch_signer_clock_tell(s, now, why));
    (void)porch_bytes_to_text(porch_bytes_of(s->settings.hub_id), t.hub, sizeof t.hub); /* an id fits */
    memcpy(t.nonce, r->data.at, nonce);
    t.has_timestamp = r->data.len > nonce;
    if (t.has_timestamp) memcpy(t.timestamp, r->data.at + nonce, hash);
    PORCH_TRY(porch_signed_time_statement(&t, &text));
    PORCH_TRY(porch_key_sign(s->time, PORCH_SIGN_ED25519, porch_buf_bytes(&text), &signature, why));
    PORCH_TRY(porch_signed_time_sign(porch_buf_bytes(&signature), &text));
    return porch_write_bytes(data, porch_buf_bytes(&text));
}

porch_err porch_signer_do_time_key(porch_signer *s, porch_buf *data, porch_why *why) {
    porch_public_key own;
    PORCH_TRY(porch_key_public(s->time, &own, why));
    if (own.len < ED25519_BYTES) return PORCH_ERR_INTERNAL;
    return porch_write_bytes(data, (porch_bytes){own.der + own.len - ED25519_BYTES, ED25519_BYTES});
}
