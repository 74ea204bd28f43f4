/* The second factor: TOTP (RFC 6238) judged where the secret lives. The hub stores the secret only as a box
 * that it cannot open, and a code counts once its step is in the journal. */
#include "cloud/signer/signer_room.h"

#include <liboath/oath.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "crypto/random.h"

enum { DIGITS = 6, STEPS_EITHER_WAY = 1, WAIT_DOUBLINGS_MAX = 20 };

static void base32_write(const uint8_t *raw, size_t len, porch_buf *out) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < len; i++) {
        bits = (bits << 8) | raw[i];
        for (have += 8; have >= 5; have -= 5)
            (void)porch_write_u8(out, (uint8_t)alphabet[(bits >> (have - 5)) & 31]);
    }
}

porch_err porch_signer_do_totp_make(porch_signer *s, const porch_signer_request *r, porch_buf *data,
                                    porch_buf *secret, porch_why *why) {
    uint8_t raw[PORCH_SIGNER_TOTP_SECRET_BYTES]; /* 160 bits: 32 letters of base32, none left over */
    PORCH_TRY(porch_signer_check_id(r->name, "an account", why));
    porch_random(raw, sizeof raw);
    porch_err e =
        porch_signer_box_close(s->seal_key, "totp", r->name, (porch_bytes){raw, sizeof raw}, data);
    if (e == PORCH_OK) base32_write(raw, sizeof raw, secret);
    porch_wipe(raw, sizeof raw);
    return e;
}

/* The greatest of the nearby steps whose code this is; false when it is none. Looks at all of them. */
static bool step_of_code(const uint8_t *secret, porch_bytes code, uint64_t now_step, uint64_t *ret) {
    bool found = false;
    for (uint64_t step = now_step - STEPS_EITHER_WAY; step <= now_step + STEPS_EITHER_WAY; step++) {
        char right[DIGITS + 2];
        int rc = oath_hotp_generate((const char *)secret, PORCH_SIGNER_TOTP_SECRET_BYTES, step, DIGITS,
                                    false, OATH_HOTP_DYNAMIC_TRUNCATION, right);
        if (rc == OATH_OK && porch_bytes_eq_secret(code, porch_bytes_of(right))) {
            found = true;
            *ret = step;
        }
        porch_wipe(right, sizeof right);
    }
    return found;
}

static void count_wrong(const porch_signer *s, porch_signer_account *account, uint64_t mono_ms) {
    if (account->wrong < UINT32_MAX) account->wrong++;
    if (account->wrong < s->settings.signer_totp_free_tries) return;
    uint32_t doublings = account->wrong - s->settings.signer_totp_free_tries;
    uint64_t wait_ms = 1000ull << (doublings < WAIT_DOUBLINGS_MAX ? doublings : WAIT_DOUBLINGS_MAX);
    uint64_t most_ms = (uint64_t)s->settings.signer_totp_wait_s * 1000;
    account->wait_until_ms = mono_ms + (wait_ms < most_ms ? wait_ms : most_ms);
}

static porch_err judge(porch_signer *s, porch_signer_account *account, const uint8_t *secret,
                       const porch_signer_request *r, porch_signer_now now, porch_why *why) {
    uint64_t step = 0;
    if (!step_of_code(secret, r->code, r->now_ms / PORCH_SIGNER_TOTP_STEP_MS, &step)) {
        count_wrong(s, account, now.mono_ms);
        return porch_fail(why, PORCH_ERR_AUTH, "the code is wrong; check the phone's clock");
    }
    if (step <= account->last_step)
        return porch_fail(why, PORCH_ERR_EXPIRED, "this code was used already; wait for the next one");
    PORCH_TRY(porch_signer_journal_step(&s->journal, now.wall_ms, r->name, step, why));
    account->last_step = step;
    account->wrong = 0;
    account->wait_until_ms = 0;
    return PORCH_OK;
}

static porch_err check_clock(uint64_t hub_ms, uint64_t own_ms, porch_why *why) {
    uint64_t apart = hub_ms > own_ms ? hub_ms - own_ms : own_ms - hub_ms;
    if (apart <= PORCH_SIGNER_CLOCK_SLACK_MS) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_STATE, "the time of the question is too far from the signer's clock");
}

porch_err porch_signer_do_totp_check(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                     porch_why *why) {
    uint8_t secret[PORCH_SIGNER_TOTP_SECRET_BYTES];
    porch_buf into = PORCH_BUF_OF(secret);
    PORCH_TRY(porch_signer_check_id(r->name, "an account", why));
    PORCH_TRY(check_clock(r->now_ms, now.wall_ms, why));
    if (porch_signer_box_open(s->seal_key, "totp", r->name, r->data, &into) != PORCH_OK ||
        into.len != sizeof secret)
        return porch_fail(why, PORCH_ERR_AUTH, "the stored second factor is not this account's; reset it");
    porch_err e = PORCH_OK;
    porch_signer_account *account = porch_signer_steps_find(&s->steps, r->name);
    if (!account)
        e = porch_fail(why, PORCH_ERR_FULL, "more accounts than signer.accounts; raise it in hub.conf");
    else if (now.mono_ms < account->wait_until_ms)
        e = porch_fail(why, PORCH_ERR_LIMIT, "too many wrong codes; try again in %llu s",
                       (unsigned long long)((account->wait_until_ms - now.mono_ms + 999) / 1000));
    else
        e = judge(s, account, secret, r, now, why);
    porch_wipe(secret, sizeof secret);
    return e;
}
