#include "cloud/seal/vault.h"

#include <string.h>

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"

#define MAGIC         "porchvt1"
#define WRAP_INFO     PORCH_LIT("porchlight vault wrap 1")
#define RECOVERY_INFO PORCH_LIT("porchlight vault recovery 1")

enum {
    MAGIC_BYTES = 8,
    KEY_BYTES = PORCH_AEAD_KEY_BYTES,
    WRAPPED_BYTES = PORCH_AEAD_NONCE_BYTES + KEY_BYTES + PORCH_AEAD_TAG_BYTES,
    BOXED_BYTES = KEY_BYTES + PORCH_BOX_EXTRA_BYTES,
    BODY_BYTES = PORCH_VAULT_SECRETS * (2 + 32 + 2 + PORCH_VAULT_SECRET_BYTES),
};

#define NAME_ROW(name, file) file,
static const char *const names[PORCH_VAULT_SECRETS] = {PORCH_VAULT_LIST(NAME_ROW)};
#undef NAME_ROW

const char *porch_vault_name(porch_vault_secret_id id) {
    return names[id];
}

/* ---- outer parts -------------------------------------------------------------------------------- */

static porch_err read_recovery(porch_bytes block, porch_vault_parts *ret) {
    porch_reader r = porch_reader_of(block);
    if (block.len == 0) return PORCH_OK;
    PORCH_TRY(porch_read_bytes(&r, PORCH_BOX_PUBLIC_BYTES, &ret->recovery_public));
    PORCH_TRY(porch_read_bytes(&r, BOXED_BYTES, &ret->recovery_box));
    return porch_reader_done(&r) ? PORCH_OK : PORCH_ERR_MALFORMED;
}

porch_err porch_vault_parse(porch_bytes vault, porch_vault_parts *ret) {
    porch_vault_parts p = {0};
    porch_reader r = porch_reader_of(vault);
    porch_bytes magic, recovery;
    uint8_t kind = 0;
    if (vault.len > PORCH_VAULT_BYTES) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_read_bytes(&r, MAGIC_BYTES, &magic));
    if (!porch_bytes_starts(magic, PORCH_LIT("porchvt"))) return PORCH_ERR_MALFORMED;
    if (!porch_bytes_eq_text(magic, MAGIC)) return PORCH_ERR_UNSUPPORTED;
    PORCH_TRY(porch_read_u8(&r, &kind));
    if (kind != PORCH_VAULT_TPM && kind != PORCH_VAULT_SYSTEMD) return PORCH_ERR_UNSUPPORTED;
    p.kind = (porch_vault_kind)kind;
    PORCH_TRY(porch_read_block16(&r, &p.blob));
    PORCH_TRY(porch_read_block16(&r, &p.wrapped));
    if (p.wrapped.len != WRAPPED_BYTES) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_read_block16(&r, &recovery));
    PORCH_TRY(read_recovery(recovery, &p));
    p.head = (porch_bytes){vault.at, vault.len - r.rest.len};
    PORCH_TRY(porch_read_bytes(&r, PORCH_AEAD_NONCE_BYTES, &p.nonce));
    p.body = r.rest;
    if (p.body.len < PORCH_AEAD_TAG_BYTES || p.body.len > BODY_BYTES + PORCH_AEAD_TAG_BYTES)
        return PORCH_ERR_MALFORMED;
    *ret = p;
    return PORCH_OK;
}

/* ---- writing ------------------------------------------------------------------------------------ */

static porch_err wrap_key(const uint8_t key[KEY_BYTES], porch_bytes secret, porch_buf *out) {
    uint8_t wrapping[KEY_BYTES], nonce[PORCH_AEAD_NONCE_BYTES];
    if (secret.len < PORCH_VAULT_SEAL_SECRET_LEAST) return PORCH_ERR_LIMIT;
    porch_random(nonce, sizeof nonce);
    PORCH_TRY(porch_hkdf_sha256(secret, (porch_bytes){NULL, 0}, WRAP_INFO, wrapping, sizeof wrapping));
    porch_err e = porch_write_u16(out, WRAPPED_BYTES);
    if (e == PORCH_OK) e = porch_write_bytes(out, (porch_bytes){nonce, sizeof nonce});
    if (e == PORCH_OK)
        e = porch_aead_seal(wrapping, nonce, (porch_bytes){NULL, 0}, (porch_bytes){key, KEY_BYTES}, out);
    porch_wipe(wrapping, sizeof wrapping);
    return e;
}

static porch_err box_key(const uint8_t key[KEY_BYTES], const uint8_t *recovery, porch_buf *out,
                         porch_why *why) {
    if (recovery == NULL) return porch_write_u16(out, 0);
    PORCH_TRY(porch_write_u16(out, PORCH_BOX_PUBLIC_BYTES + BOXED_BYTES));
    PORCH_TRY(porch_write_bytes(out, (porch_bytes){recovery, PORCH_BOX_PUBLIC_BYTES}));
    return porch_box_seal(recovery, RECOVERY_INFO, (porch_bytes){key, KEY_BYTES}, out, why);
}

static porch_err write_secrets(const porch_vault *v, porch_buf *out) {
    for (size_t i = 0; i < PORCH_VAULT_SECRETS; i++) {
        if (v->of[i].len == 0) continue;
        PORCH_TRY(porch_write_block16(out, porch_bytes_of(names[i])));
        PORCH_TRY(porch_write_block16(out, (porch_bytes){v->of[i].at, v->of[i].len}));
    }
    return PORCH_OK;
}

static porch_err write_head(porch_vault_kind kind, porch_bytes blob, porch_bytes secret,
                            const uint8_t *recovery, const uint8_t key[KEY_BYTES], porch_buf *out,
                            porch_why *why) {
    PORCH_TRY(porch_write_text(out, MAGIC));
    PORCH_TRY(porch_write_u8(out, (uint8_t)kind));
    PORCH_TRY(porch_write_block16(out, blob));
    PORCH_TRY(wrap_key(key, secret, out));
    return box_key(key, recovery, out, why);
}

porch_err porch_vault_write(const porch_vault *v, porch_vault_kind kind, porch_bytes blob,
                            porch_bytes secret, const uint8_t recovery[PORCH_BOX_PUBLIC_BYTES],
                            porch_buf *out, porch_why *why) {
    uint8_t key[KEY_BYTES], nonce[PORCH_AEAD_NONCE_BYTES], plain_block[BODY_BYTES];
    porch_buf plain = PORCH_BUF_OF(plain_block), made = *out;
    porch_random(key, sizeof key);
    porch_random(nonce, sizeof nonce);
    porch_err e = write_head(kind, blob, secret, recovery, key, &made, why);
    porch_bytes head = {out->at + out->len, made.len - out->len};
    if (e == PORCH_OK) e = write_secrets(v, &plain);
    if (e == PORCH_OK) e = porch_write_bytes(&made, (porch_bytes){nonce, sizeof nonce});
    if (e == PORCH_OK) e = porch_aead_seal(key, nonce, head, porch_buf_bytes(&plain), &made);
    porch_wipe(plain_block, sizeof plain_block);
    porch_wipe(key, sizeof key);
    if (e != PORCH_OK)
        return why != NULL && why->text[0] != '\0' ? e : porch_fail(why, e, "the vault cannot be written");
    *out = made;
    return PORCH_OK;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static porch_err read_secrets(porch_bytes plain, porch_vault *ret) {
    porch_reader r = porch_reader_of(plain);
    while (!porch_reader_done(&r)) {
        porch_bytes name, bytes;
        size_t i = 0;
        PORCH_TRY(porch_read_block16(&r, &name));
        PORCH_TRY(porch_read_block16(&r, &bytes));
        while (i < PORCH_VAULT_SECRETS && !porch_bytes_eq_text(name, names[i]))
            i++;
        if (i == PORCH_VAULT_SECRETS || bytes.len == 0 || bytes.len > PORCH_VAULT_SECRET_BYTES ||
            ret->of[i].len != 0)
            return PORCH_ERR_MALFORMED;
        memcpy(ret->of[i].at, bytes.at, bytes.len);
        ret->of[i].len = bytes.len;
    }
    return PORCH_OK;
}

static porch_err open_body(const porch_vault_parts *p, const uint8_t key[KEY_BYTES], porch_vault *ret) {
    uint8_t plain_block[BODY_BYTES];
    porch_buf plain = PORCH_BUF_OF(plain_block);
    porch_vault made = {0};
    porch_err e = porch_aead_open(key, p->nonce.at, p->head, p->body, &plain);
    if (e == PORCH_OK) e = read_secrets(porch_buf_bytes(&plain), &made);
    if (e == PORCH_OK) *ret = made;
    porch_wipe(plain_block, sizeof plain_block);
    porch_wipe(&made, sizeof made);
    return e;
}

porch_err porch_vault_open(const porch_vault_parts *parts, porch_bytes secret, porch_vault *ret,
                           porch_why *why) {
    uint8_t wrapping[KEY_BYTES] = {0}, key[KEY_BYTES] = {0};
    porch_buf out = PORCH_BUF_OF(key);
    porch_bytes wrapped = {parts->wrapped.at + PORCH_AEAD_NONCE_BYTES,
                           parts->wrapped.len - PORCH_AEAD_NONCE_BYTES};
    porch_err e = secret.len < PORCH_VAULT_SEAL_SECRET_LEAST ? PORCH_ERR_LIMIT : PORCH_OK;
    if (e == PORCH_OK)
        e = porch_hkdf_sha256(secret, (porch_bytes){NULL, 0}, WRAP_INFO, wrapping, sizeof wrapping);
    if (e == PORCH_OK)
        e = porch_aead_open(wrapping, parts->wrapped.at, (porch_bytes){NULL, 0}, wrapped, &out);
    if (e == PORCH_OK) e = open_body(parts, key, ret);
    porch_wipe(wrapping, sizeof wrapping);
    porch_wipe(key, sizeof key);
    return e == PORCH_OK
               ? e
               : porch_fail(why, PORCH_ERR_AUTH,
                            "the vault does not open: it was sealed with another secret, or changed");
}

porch_err porch_vault_open_by_recovery(const porch_vault_parts *parts,
                                       const uint8_t secret[PORCH_BOX_SECRET_BYTES], porch_vault *ret,
                                       porch_why *why) {
    uint8_t key[KEY_BYTES] = {0};
    porch_buf out = PORCH_BUF_OF(key);
    if (parts->recovery_box.len == 0)
        return porch_fail(why, PORCH_ERR_STATE, "the vault was sealed without a recovery key");
    porch_err e = porch_box_open(secret, RECOVERY_INFO, parts->recovery_box, &out, NULL);
    if (e == PORCH_OK) e = open_body(parts, key, ret);
    porch_wipe(key, sizeof key);
    return e == PORCH_OK
               ? e
               : porch_fail(why, PORCH_ERR_AUTH, "this recovery key does not open the hub's vault");
}
