/* Tokens with which the hub shows push services who it is (RFC 8292). The signer writes the JWT itself,
 * from a checked audience, a checked end and its own contact address: nothing else can be signed with this
 * key. */
#include "cloud/signer/signer_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cloud/seal/vault.h"
#include "crypto/webpush.h"
#include "os/file.h"
#include "os/log.h"

enum {
    DAY_MS = 86400000, /* RFC 8292, 2: at most 24 hours */
    AUDIENCE_MAX = 128,
    CONTACT_MAX = 300,
    CLAIMS_MAX = 512,
};

porch_err porch_signer_vapid_make(int signer_dir_fd, porch_key **ret, porch_why *why) {
    uint8_t block[PORCH_KEY_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    porch_key *key = NULL;
    PORCH_TRY(porch_key_generate_p256(&key, why));
    porch_err e = porch_key_pem(key, &pem, why);
    if (e == PORCH_OK)
        e = porch_file_write_atomic_at(signer_dir_fd, porch_vault_name(PORCH_VAULT_VAPID),
                                       porch_buf_bytes(&pem), 0600, why);
    porch_wipe(block, sizeof block);
    if (e != PORCH_OK) {
        porch_key_free(key);
        return e;
    }
    porch_log(PORCH_LOG_INFO, "signer.vapid-key-made", NULL);
    *ret = key;
    return PORCH_OK;
}

porch_err porch_signer_do_vapid_key(porch_signer *s, porch_buf *data, porch_why *why) {
    uint8_t point[PORCH_WEBPUSH_PUBLIC_BYTES];
    PORCH_TRY(porch_es256_public(s->vapid, point, why));
    return porch_write_bytes(data, (porch_bytes){point, sizeof point});
}

/* "https://" HOST [":" PORT]: an origin (RFC 6454), so that a token for one service is none for another. */
static bool is_origin(porch_bytes text) {
    const porch_bytes scheme = PORCH_LIT("https://");
    size_t at = scheme.len, host = 0, port = 0;
    if (text.len > AUDIENCE_MAX || !porch_bytes_starts(text, scheme)) return false;
    for (; at < text.len && text.at[at] != ':'; at++, host++) {
        uint8_t c = text.at[at];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) return false;
    }
    if (host == 0) return false;
    if (at == text.len) return true;
    for (at++; at < text.len; at++, port++)
        if (text.at[at] < '0' || text.at[at] > '9') return false;
    return port >= 1 && port <= 5;
}

/* A contact as RFC 8292, 2.1 wants it, with nothing that would end a JSON text. */
static porch_err contact_of(const porch_settings *settings, char out[CONTACT_MAX], porch_why *why) {
    int n = settings->push_contact[0] ? snprintf(out, CONTACT_MAX, "%s", settings->push_contact)
                                      : snprintf(out, CONTACT_MAX, "https://%.*s",
                                                 (int)strcspn(settings->hub_name, " "), settings->hub_name);
    bool good =
        n > 0 && n < CONTACT_MAX && (strncmp(out, "mailto:", 7) == 0 || strncmp(out, "https://", 8) == 0);
    for (int i = 0; good && i < n; i++)
        good = out[i] > 0x20 && out[i] < 0x7f && out[i] != '"' && out[i] != '\\';
    return good
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_STATE,
                            "push.contact in hub.conf must begin with mailto: or https://, without blanks");
}

static porch_err write_token(const porch_signer *s, porch_bytes audience, uint64_t ends_ms, porch_buf *out,
                             porch_why *why) {
    char contact[CONTACT_MAX], claims[CLAIMS_MAX];
    uint8_t signature_block[PORCH_WEBPUSH_ES256_BYTES];
    porch_buf signature = PORCH_BUF_OF(signature_block);
    size_t begin = out->len;
    PORCH_TRY(contact_of(&s->settings, contact, why));
    int n = snprintf(claims, sizeof claims, "{\"aud\":\"%.*s\",\"exp\":%llu,\"sub\":\"%s\"}",
                     PORCH_FMT(audience), (unsigned long long)(ends_ms / 1000), contact);
    if (n <= 0 || (size_t)n >= sizeof claims) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(porch_base64_write(out, PORCH_LIT("{\"typ\":\"JWT\",\"alg\":\"ES256\"}"), true));
    PORCH_TRY(porch_write_text(out, "."));
    PORCH_TRY(porch_base64_write(out, (porch_bytes){(const uint8_t *)claims, (size_t)n}, true));
    PORCH_TRY(
        porch_es256_sign(s->vapid, (porch_bytes){out->at + begin, out->len - begin}, &signature, why));
    PORCH_TRY(porch_write_text(out, "."));
    return porch_base64_write(out, porch_buf_bytes(&signature), true);
}

porch_err porch_signer_do_vapid_token(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                      porch_buf *data, porch_why *why) {
    uint8_t block[PORCH_SIGNER_VAPID_TOKEN_TEXT - 1];
    porch_buf token = PORCH_BUF_OF(block);
    uint64_t wait_ms = 0;
    if (!is_origin(r->name))
        return porch_fail(
            why, PORCH_ERR_MALFORMED,
            "a token's audience is a push service's origin: https://HOST or https://HOST:PORT");
    if (r->now_ms <= now.wall_ms || r->now_ms - now.wall_ms > DAY_MS)
        return porch_fail(why, PORCH_ERR_LIMIT, "a token for a push service ends within 24 hours from now");
    if (!porch_signer_rate_take(&s->vapid_rate, now.mono_ms, &wait_ms))
        return porch_fail(
            why, PORCH_ERR_BUSY,
            "too many tokens for push services; try again in %llu ms (signer.vapid_per_minute)",
            (unsigned long long)wait_ms);
    PORCH_TRY(write_token(s, r->name, r->now_ms, &token, why));
    PORCH_TRY(porch_signer_journal_vapid(&s->journal, now.wall_ms, r->name, r->now_ms, why));
    return porch_write_bytes(data, porch_buf_bytes(&token));
}
