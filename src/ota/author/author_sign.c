#include "ota/author/author_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/sha256.h"
#include "ota/client/tuf_json.h"
#include "ota/client/tuf_role.h"

enum { MEMBERS = 256 * 1024, ED25519_BYTES = 32, PEM_BYTES = 512, PEM_LINE = 64 };

/* Canonical text of a value, malloc'ed. */
static porch_err canonical(const json_t *value, porch_buf *ret, porch_why *why) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t len = text != NULL ? strlen(text) : 0;
    uint32_t *members = malloc(MEMBERS * sizeof *members);
    porch_buf out = {malloc(len + 1), 0, len};
    porch_err e = text == NULL || members == NULL || out.at == NULL
                      ? porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to sign")
                      : porch_tuf_json_canonical((porch_bytes){(const uint8_t *)text, len},
                                                 (porch_tuf_json_scratch){members, MEMBERS}, &out, why);
    free(members);
    free(text);
    if (e == PORCH_OK)
        *ret = out;
    else
        free(out.at);
    return e;
}

static porch_err pem_text(porch_bytes der, char *out, size_t cap, porch_why *why) {
    uint8_t block[PEM_BYTES];
    porch_buf text = PORCH_BUF_OF(block), b = {(uint8_t *)out, 0, cap - 1};
    porch_err e = porch_base64_write(&text, der, false);
    if (e == PORCH_OK) e = porch_write_text(&b, "-----BEGIN PUBLIC KEY-----\n");
    for (size_t at = 0; e == PORCH_OK && at < text.len; at += PEM_LINE) {
        size_t len = text.len - at < PEM_LINE ? text.len - at : PEM_LINE;
        e = porch_write_bytes(&b, (porch_bytes){block + at, len});
        if (e == PORCH_OK) e = porch_write_u8(&b, '\n');
    }
    if (e == PORCH_OK) e = porch_write_text(&b, "-----END PUBLIC KEY-----\n");
    if (e != PORCH_OK) return porch_fail(why, e, "a public key is too long");
    out[b.len] = '\0';
    return PORCH_OK;
}

static porch_err describe(const porch_public_key *key, json_t **ret, porch_why *why) {
    char text[PEM_BYTES] = "";
    if (key->kind == PORCH_KEY_P256) {
        PORCH_TRY(pem_text((porch_bytes){key->der, key->len}, text, sizeof text, why));
        *ret = json_pack("{s:s,s:s,s:{s:s}}", "keytype", "ecdsa", "scheme", "ecdsa-sha2-nistp256", "keyval",
                         "public", text);
    } else if (key->kind == PORCH_KEY_ED25519 && key->len >= ED25519_BYTES) {
        porch_buf hex = {(uint8_t *)text, 0, sizeof text - 1};
        PORCH_TRY(porch_hex_write(&hex, (porch_bytes){key->der + key->len - ED25519_BYTES, ED25519_BYTES}));
        *ret = json_pack("{s:s,s:s,s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519", "keyval", "public",
                         text);
    } else {
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "updates are signed by P-256 and Ed25519 keys");
    }
    return *ret != NULL ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a key");
}

porch_err porch_author_key(const porch_key *key, json_t **ret, char id[PORCH_AUTHOR_KEYID_TEXT],
                           porch_why *why) {
    porch_public_key public;
    uint8_t hash[32];
    porch_buf text = {0}, hex = {(uint8_t *)id, 0, PORCH_AUTHOR_KEYID_TEXT - 1};
    json_t *made = NULL;
    PORCH_TRY(porch_key_public(key, &public, why));
    PORCH_TRY(describe(&public, &made, why));
    porch_err e = canonical(made, &text, why);
    if (e != PORCH_OK) {
        json_decref(made);
        return e;
    }
    porch_sha256(porch_buf_bytes(&text), hash);
    free(text.at);
    (void)porch_hex_write(&hex, (porch_bytes){hash, sizeof hash}); /* 64 characters fit */
    id[hex.len] = '\0';
    *ret = made;
    return PORCH_OK;
}

static bool has_signed(const json_t *list, const char *id) {
    json_t *each;
    size_t i;
    json_array_foreach(list, i, each) {
        const char *by = json_string_value(json_object_get(each, "keyid"));
        if (by != NULL && strcmp(by, id) == 0) return true;
    }
    return false;
}

static porch_err add_signature(json_t *list, const porch_key *key, porch_bytes data, porch_why *why) {
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES];
    char text[2 * PORCH_SIGNATURE_MAX_BYTES + 1], id[PORCH_AUTHOR_KEYID_TEXT];
    porch_buf sig = PORCH_BUF_OF(block), hex = {(uint8_t *)text, 0, sizeof text - 1};
    json_t *unused = NULL;
    PORCH_TRY(porch_author_key(key, &unused, id, why));
    json_decref(unused);
    if (has_signed(list, id)) return PORCH_OK;
    PORCH_TRY(porch_key_sign(key, porch_key_scheme(key->kind), data, &sig, why));
    PORCH_TRY(porch_hex_write(&hex, porch_buf_bytes(&sig)));
    text[hex.len] = '\0';
    return json_array_append_new(list, json_pack("{s:s,s:s}", "keyid", id, "sig", text)) == 0
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to sign");
}

porch_err porch_author_sign_more(json_t *document, const porch_key *const *keys, size_t count,
                                 porch_why *why) {
    json_t *list = json_object_get(document, "signatures"), *content = json_object_get(document, "signed");
    porch_buf data = {0};
    if (!json_is_array(list) || !json_is_object(content))
        return porch_fail(why, PORCH_ERR_MALFORMED, "this is no signed metadata");
    porch_err e = canonical(content, &data, why);
    for (size_t i = 0; e == PORCH_OK && i < count; i++)
        e = add_signature(list, keys[i], porch_buf_bytes(&data), why);
    free(data.at);
    return e;
}

porch_err porch_author_sign(const json_t *content, const porch_key *const *keys, size_t count, char **ret,
                            size_t *len, porch_why *why) {
    json_t *document = json_pack("{s:[],s:O}", "signatures", "signed", (json_t *)content);
    char *text = NULL;
    porch_err e = document != NULL ? porch_author_sign_more(document, keys, count, why)
                                   : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to sign");
    if (e == PORCH_OK) {
        text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
        if (text == NULL) e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to sign");
    }
    json_decref(document);
    if (e != PORCH_OK) return e;
    *ret = text;
    *len = strlen(text);
    return PORCH_OK;
}

/* Each key is asked alone, then all of them together, which counts two names of one key once. */
static void ask_keys(porch_bytes document, const porch_tuf_trust *trust, const json_t *keyids, size_t *have,
                     bool *enough) {
    json_t *each;
    size_t i;
    *have = 0;
    json_array_foreach(keyids, i, each) {
        char one[80];
        int n = snprintf(one, sizeof one, "[\"%.64s\"]", json_string_value(each));
        const porch_tuf_trust alone = {trust->keys, {(const uint8_t *)one, (size_t)n}, 1};
        *have += porch_tuf_signatures_check(porch_verify_library(), document, &alone, NULL) == PORCH_OK;
    }
    *enough = porch_tuf_signatures_check(porch_verify_library(), document, trust, NULL) == PORCH_OK;
}

porch_err porch_author_count(const json_t *document, const json_t *keys, const json_t *trust, size_t *have,
                             bool *enough, porch_why *why) {
    const json_t *keyids = json_object_get(trust, "keyids");
    porch_buf texts[3] = {{0}, {0}, {0}};
    const json_t *parts[] = {document, keys, keyids};
    porch_err e = PORCH_OK;
    *have = 0;
    *enough = false;
    if (!json_is_array(keyids) || !json_is_object(keys)) return PORCH_OK; /* nobody may sign */
    for (size_t i = 0; e == PORCH_OK && i < 3; i++)
        e = canonical(parts[i], &texts[i], why);
    if (e == PORCH_OK) {
        const porch_tuf_trust of = {porch_buf_bytes(&texts[1]), porch_buf_bytes(&texts[2]),
                                    (uint64_t)json_integer_value(json_object_get(trust, "threshold"))};
        ask_keys(porch_buf_bytes(&texts[0]), &of, keyids, have, enough);
    }
    for (size_t i = 0; i < 3; i++)
        free(texts[i].at);
    return e;
}
