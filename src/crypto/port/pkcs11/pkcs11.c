#include "crypto/pkcs11.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "base/cursor.h"
#include "crypto/p256_der.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "os/file.h"

enum {
    SLOTS = 64,
    PIN_BYTES = 256,
    NAME_BYTES = 128,
    POINT_ATTRIBUTE_BYTES = 2 + PORCH_P256_POINT_BYTES,
    RAW_SIGNATURE_BYTES = 2 * PORCH_P256_NUMBER_BYTES,
    SEALED_VERSION = 1,
    NONCE_BYTES = 12,
    TAG_BITS = 128,
};

/* prime256v1 (RFC 5480, 2.1.1.1) */
static CK_BYTE p256_oid[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const char seal_ending[] = "-seal";

/* One session with the token that a URI names. */
typedef struct {
    P11KitUri *uri;
    CK_FUNCTION_LIST *module;   /* by module-path */
    CK_FUNCTION_LIST **modules; /* else p11-kit's */
    CK_FUNCTION_LIST *used;     /* the one that has the token */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    bool open;
} token;

typedef struct {
    pthread_mutex_t lock; /* a session does one thing at a time */
    token t;
    CK_OBJECT_HANDLE private_key;
    porch_public_key public_key;
} token_key;

static porch_err refused(porch_why *why, porch_err e, const char *doing, CK_RV rv) {
    if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LEN_RANGE)
        return porch_fail(why, PORCH_ERR_AUTH,
                          "the token refuses the PIN (0x%lx); mind that it locks itself after a few", rv);
    return porch_fail(why, e, "%s: the token says 0x%lx", doing, rv);
}

/* ---- finding the token -------------------------------------------------------------------------- */

static porch_err read_uri(const char *text, P11KitUri **ret, porch_why *why) {
    P11KitUri *uri = p11_kit_uri_new();
    int rc = uri == NULL ? P11_KIT_URI_UNEXPECTED : p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
    porch_err e = PORCH_OK;
    if (rc != P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(uri))
        e = porch_fail(why, PORCH_ERR_MALFORMED, "%.200s is no PKCS#11 URI (RFC 7512)", text);
    else if (p11_kit_uri_get_pin_value(uri) != NULL)
        e = porch_fail(why, PORCH_ERR_MALFORMED,
                       "a PIN has no place in a URI; write it to a file and name that as pin-source");
    else if (p11_kit_uri_get_attribute(uri, CKA_LABEL) == NULL &&
             p11_kit_uri_get_attribute(uri, CKA_ID) == NULL)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the PKCS#11 URI names no key: add object=NAME");
    if (e == PORCH_OK)
        *ret = uri;
    else
        p11_kit_uri_free(uri);
    return e;
}

static bool slot_fits(token *t, CK_FUNCTION_LIST *module, CK_SLOT_ID slot) {
    CK_TOKEN_INFO info;
    return module->C_GetTokenInfo(slot, &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
           p11_kit_uri_match_token_info(t->uri, &info) == 1;
}

static bool find_slot(token *t, CK_FUNCTION_LIST *module) {
    CK_SLOT_ID slots[SLOTS];
    CK_ULONG count = SLOTS;
    if (module->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) return false;
    for (CK_ULONG i = 0; i < count; i++)
        if (slot_fits(t, module, slots[i])) {
            t->used = module;
            t->slot = slots[i];
            return true;
        }
    return false;
}

static porch_err find_token(token *t, porch_why *why) {
    const char *path = p11_kit_uri_get_module_path(t->uri);
    bool found = false;
    if (path != NULL) {
        t->module = p11_kit_module_load(path, 0);
        if (t->module == NULL || p11_kit_module_initialize(t->module) != CKR_OK) {
            if (t->module != NULL) p11_kit_module_release(t->module);
            t->module = NULL;
            return porch_fail(why, PORCH_ERR_NOT_FOUND, "the PKCS#11 module %.200s cannot be used", path);
        }
        found = find_slot(t, t->module);
    } else {
        t->modules = p11_kit_modules_load_and_initialize(0);
        for (size_t i = 0; !found && t->modules != NULL && t->modules[i] != NULL; i++)
            found = find_slot(t, t->modules[i]);
    }
    return found ? PORCH_OK : porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such PKCS#11 token here");
}

static const char *pin_file(const char *source) {
    return strncmp(source, "file:", 5) == 0 ? source + 5 : source;
}

static porch_err read_pin(const char *source, char pin[PIN_BYTES], size_t *len, porch_why *why) {
    uint8_t *text = NULL;
    size_t text_len = 0;
    source = pin_file(source);
    PORCH_TRY(porch_file_check_mode(source, geteuid(), 0600, why));
    PORCH_TRY(porch_file_read(source, PIN_BYTES - 1, &text, &text_len, why));
    *len = strcspn((const char *)text, "\r\n");
    memcpy(pin, text, *len);
    porch_wipe(text, text_len);
    free(text);
    return PORCH_OK;
}

static porch_err log_in(token *t, porch_why *why) {
    const char *source = p11_kit_uri_get_pin_source(t->uri);
    char pin[PIN_BYTES] = "";
    size_t len = 0;
    if (source == NULL) return PORCH_OK; /* a token without one */
    PORCH_TRY(read_pin(source, pin, &len, why));
    CK_RV rv = t->used->C_Login(t->session, CKU_USER, (CK_UTF8CHAR_PTR)pin, len);
    porch_wipe(pin, sizeof pin);
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? PORCH_OK
                                                            : refused(why, PORCH_ERR_IO, "logging in", rv);
}

static porch_err token_open(token *t, const char *uri, porch_why *why) {
    memset(t, 0, sizeof *t);
    if (strlen(uri) >= PORCH_PKCS11_URI_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "the PKCS#11 URI is too long");
    PORCH_TRY(read_uri(uri, &t->uri, why));
    PORCH_TRY(find_token(t, why));
    CK_RV rv =
        t->used->C_OpenSession(t->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &t->session);
    if (rv != CKR_OK) return refused(why, PORCH_ERR_IO, "opening a session", rv);
    t->open = true;
    return log_in(t, why);
}

static void token_close(token *t) {
    if (t->open) (void)t->used->C_CloseSession(t->session);
    if (t->module != NULL) {
        (void)p11_kit_module_finalize(t->module);
        p11_kit_module_release(t->module);
    }
    if (t->modules != NULL) p11_kit_modules_finalize_and_release(t->modules);
    if (t->uri != NULL) p11_kit_uri_free(t->uri);
    memset(t, 0, sizeof *t);
}

/* ---- objects ------------------------------------------------------------------------------------ */

/* The URI's name of the key as attributes of a template; returns how many. */
static CK_ULONG named(const token *t, CK_ATTRIBUTE out[2]) {
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_LABEL, CKA_ID};
    CK_ULONG count = 0;
    for (size_t i = 0; i < 2; i++) {
        const CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(t->uri, types[i]);
        if (a != NULL) out[count++] = *a;
    }
    return count;
}

/* NOT_FOUND without a sentence: what that means is the caller's. */
static porch_err find_object(token *t, CK_ATTRIBUTE *what, CK_ULONG count, CK_OBJECT_HANDLE *ret,
                             porch_why *why) {
    CK_ULONG found = 0;
    CK_RV rv = t->used->C_FindObjectsInit(t->session, what, count);
    if (rv != CKR_OK) return refused(why, PORCH_ERR_IO, "looking for a key", rv);
    rv = t->used->C_FindObjects(t->session, ret, 1, &found);
    (void)t->used->C_FindObjectsFinal(t->session);
    if (rv != CKR_OK) return refused(why, PORCH_ERR_IO, "looking for a key", rv);
    return found == 1 ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}

static porch_err find_key(token *t, CK_OBJECT_CLASS kind, CK_OBJECT_HANDLE *ret, porch_why *why) {
    CK_ATTRIBUTE what[3] = {{CKA_CLASS, &kind, sizeof kind}};
    return find_object(t, what, 1 + named(t, what + 1), ret, why);
}

/* CKA_EC_POINT is a DER OCTET STRING of the point; some modules give the bare point. */
static porch_err read_public(token *t, CK_OBJECT_HANDLE object, porch_public_key *ret, porch_why *why) {
    CK_BYTE point[POINT_ATTRIBUTE_BYTES];
    CK_ATTRIBUTE want = {CKA_EC_POINT, point, sizeof point};
    CK_RV rv = t->used->C_GetAttributeValue(t->session, object, &want, 1);
    if (rv != CKR_OK) return refused(why, PORCH_ERR_UNSUPPORTED, "reading the token's public key", rv);
    porch_bytes bytes = {point, want.ulValueLen};
    if (bytes.len == POINT_ATTRIBUTE_BYTES && point[0] == 0x04 && point[1] == PORCH_P256_POINT_BYTES)
        bytes = (porch_bytes){point + 2, PORCH_P256_POINT_BYTES};
    porch_err e = porch_p256_public_key(bytes, ret);
    return e == PORCH_OK ? e : porch_fail(why, PORCH_ERR_UNSUPPORTED, "the token's key is not P-256");
}

/* ---- a key's work ------------------------------------------------------------------------------- */

static porch_err sign_raw(token_key *k, porch_bytes digest, CK_BYTE raw[RAW_SIGNATURE_BYTES],
                          porch_why *why) {
    CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0};
    CK_ULONG len = RAW_SIGNATURE_BYTES;
    CK_RV rv = k->t.used->C_SignInit(k->t.session, &ecdsa, k->private_key);
    if (rv == CKR_OK)
        rv = k->t.used->C_Sign(k->t.session, (CK_BYTE_PTR)digest.at, (CK_ULONG)digest.len, raw, &len);
    if (rv != CKR_OK) return refused(why, PORCH_ERR_IO, "signing", rv);
    return len == RAW_SIGNATURE_BYTES
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_IO, "the token's signature has %lu bytes", len);
}

static porch_err token_sign_digest(void *self, porch_bytes digest, porch_buf *signature, porch_why *why) {
    token_key *k = self;
    CK_BYTE raw[RAW_SIGNATURE_BYTES];
    (void)pthread_mutex_lock(&k->lock);
    porch_err e = sign_raw(k, digest, raw, why);
    (void)pthread_mutex_unlock(&k->lock);
    if (e != PORCH_OK) return e;
    e = porch_p256_signature_der((porch_bytes){raw, PORCH_P256_NUMBER_BYTES},
                                 (porch_bytes){raw + PORCH_P256_NUMBER_BYTES, PORCH_P256_NUMBER_BYTES},
                                 signature);
    return e == PORCH_OK ? e : porch_fail(why, e, "the signature does not fit");
}

static porch_err token_public(void *self, porch_public_key *ret, porch_why *why) {
    (void)why;
    *ret = ((const token_key *)self)->public_key;
    return PORCH_OK;
}

/* The AES key beside the signing key, named after it; made when `make` and there is none. */
static porch_err sealing_key(token *t, bool make, CK_OBJECT_HANDLE *ret, porch_why *why) {
    CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG bytes = 32;
    char label[NAME_BYTES];
    CK_ATTRIBUTE name[2] = {{0}};
    CK_ULONG count = named(t, name);
    size_t len = name[0].ulValueLen;
    if (count == 0 || len + sizeof seal_ending > sizeof label)
        return porch_fail(why, PORCH_ERR_LIMIT, "the key's name is too long");
    memcpy(label, name[0].pValue, len);
    memcpy(label + len, seal_ending, sizeof seal_ending - 1);
    len += sizeof seal_ending - 1;
    CK_ATTRIBUTE what[] = {{CKA_CLASS, &kind, sizeof kind},    {CKA_LABEL, label, len},
                           {CKA_KEY_TYPE, &type, sizeof type}, {CKA_VALUE_LEN, &bytes, sizeof bytes},
                           {CKA_TOKEN, &yes, sizeof yes},      {CKA_PRIVATE, &yes, sizeof yes},
                           {CKA_SENSITIVE, &yes, sizeof yes},  {CKA_EXTRACTABLE, &no, sizeof no},
                           {CKA_ENCRYPT, &yes, sizeof yes},    {CKA_DECRYPT, &yes, sizeof yes}};
    porch_err e = find_object(t, what, 2, ret, why);
    if (e != PORCH_ERR_NOT_FOUND || !make) return e;
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
    CK_RV rv = t->used->C_GenerateKey(t->session, &generate, what, sizeof what / sizeof *what, ret);
    return rv == CKR_OK ? PORCH_OK : refused(why, PORCH_ERR_IO, "making a sealing key", rv);
}

static CK_MECHANISM gcm(CK_GCM_PARAMS *params, uint8_t nonce[NONCE_BYTES]) {
    *params = (CK_GCM_PARAMS){
        .pIv = nonce, .ulIvLen = NONCE_BYTES, .ulIvBits = NONCE_BYTES * 8ul, .ulTagBits = TAG_BITS};
    return (CK_MECHANISM){CKM_AES_GCM, params, sizeof *params};
}

static porch_err seal_with(token_key *k, porch_bytes secret, uint8_t nonce[NONCE_BYTES], porch_buf *out,
                           porch_why *why) {
    CK_GCM_PARAMS params;
    CK_MECHANISM how = gcm(&params, nonce);
    CK_OBJECT_HANDLE key;
    CK_ULONG len = (CK_ULONG)(out->cap - out->len);
    PORCH_TRY(sealing_key(&k->t, true, &key, why));
    CK_RV rv = k->t.used->C_EncryptInit(k->t.session, &how, key);
    if (rv == CKR_OK)
        rv = k->t.used->C_Encrypt(k->t.session, (CK_BYTE_PTR)secret.at, (CK_ULONG)secret.len,
                                  out->at + out->len, &len);
    if (rv != CKR_OK) return refused(why, PORCH_ERR_IO, "sealing", rv);
    out->len += len;
    return PORCH_OK;
}

static porch_err token_seal(void *self, porch_bytes secret, porch_buf *sealed, porch_why *why) {
    token_key *k = self;
    uint8_t nonce[NONCE_BYTES];
    porch_buf out = *sealed;
    porch_random(nonce, sizeof nonce);
    porch_err e = porch_write_u8(&out, SEALED_VERSION);
    if (e == PORCH_OK) e = porch_write_bytes(&out, (porch_bytes){nonce, sizeof nonce});
    if (e != PORCH_OK) return porch_fail(why, e, "the sealed secret does not fit");
    (void)pthread_mutex_lock(&k->lock);
    e = seal_with(k, secret, nonce, &out, why);
    (void)pthread_mutex_unlock(&k->lock);
    if (e == PORCH_OK) *sealed = out;
    return e;
}

static porch_err unseal_with(token_key *k, porch_bytes sealed, uint8_t nonce[NONCE_BYTES], porch_buf *out,
                             porch_why *why) {
    CK_GCM_PARAMS params;
    CK_MECHANISM how = gcm(&params, nonce);
    CK_OBJECT_HANDLE key;
    CK_ULONG len = PORCH_KEY_SECRET_BYTES + TAG_BITS / 8;
    uint8_t plain[PORCH_KEY_SECRET_BYTES + TAG_BITS / 8];
    porch_err e = sealing_key(&k->t, false, &key, why);
    if (e == PORCH_ERR_NOT_FOUND) return porch_fail(why, PORCH_ERR_AUTH, "this token did not seal it");
    if (e != PORCH_OK) return e;
    CK_RV rv = k->t.used->C_DecryptInit(k->t.session, &how, key);
    if (rv == CKR_OK)
        rv = k->t.used->C_Decrypt(k->t.session, (CK_BYTE_PTR)sealed.at, (CK_ULONG)sealed.len, plain, &len);
    if (rv != CKR_OK)
        e = refused(why, PORCH_ERR_AUTH, "this token did not seal it, or it was changed", rv);
    else if (porch_write_bytes(out, (porch_bytes){plain, len}) != PORCH_OK)
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "the secret does not fit");
    porch_wipe(plain, sizeof plain);
    return e;
}

static porch_err token_unseal(void *self, porch_bytes sealed, porch_buf *secret, porch_why *why) {
    token_key *k = self;
    uint8_t version = 0, nonce[NONCE_BYTES];
    porch_bytes in = {0};
    porch_reader r = porch_reader_of(sealed);
    if (porch_read_u8(&r, &version) != PORCH_OK || version != SEALED_VERSION ||
        porch_read_bytes(&r, NONCE_BYTES, &in) != PORCH_OK || r.rest.len <= TAG_BITS / 8 ||
        r.rest.len > PORCH_KEY_SECRET_BYTES + TAG_BITS / 8)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the sealed secret was changed or cut");
    memcpy(nonce, in.at, in.len);
    (void)pthread_mutex_lock(&k->lock);
    porch_err e = unseal_with(k, r.rest, nonce, secret, why);
    (void)pthread_mutex_unlock(&k->lock);
    return e;
}

static void token_free(porch_key *key) {
    token_key *k = key->self;
    token_close(&k->t);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
    free(key);
}

static const porch_key_ops token_ops = {
    .name = "pkcs11",
    .sign_digest = token_sign_digest,
    .public_key = token_public,
    .seal = token_seal,
    .unseal = token_unseal,
    .free = token_free,
};

/* ---- finding and making ------------------------------------------------------------------------- */

static porch_err generate(token *t, porch_why *why) {
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_OBJECT_HANDLE public_key, private_key;
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE open[5] = {{CKA_TOKEN, &yes, sizeof yes},
                            {CKA_VERIFY, &yes, sizeof yes},
                            {CKA_EC_PARAMS, p256_oid, sizeof p256_oid}};
    CK_ATTRIBUTE closed[7] = {{CKA_TOKEN, &yes, sizeof yes},
                              {CKA_PRIVATE, &yes, sizeof yes},
                              {CKA_SENSITIVE, &yes, sizeof yes},
                              {CKA_EXTRACTABLE, &no, sizeof no},
                              {CKA_SIGN, &yes, sizeof yes}};
    CK_ULONG open_count = 3 + named(t, open + 3), closed_count = 5 + named(t, closed + 5);
    CK_RV rv = t->used->C_GenerateKeyPair(t->session, &mechanism, open, open_count, closed, closed_count,
                                          &public_key, &private_key);
    return rv == CKR_OK ? PORCH_OK : refused(why, PORCH_ERR_IO, "making a key in the token", rv);
}

static porch_err take(token_key *k, bool make, porch_why *why) {
    CK_OBJECT_HANDLE public_key;
    porch_err e = find_key(&k->t, CKO_PRIVATE_KEY, &k->private_key, why);
    if (make && e == PORCH_OK)
        return porch_fail(why, PORCH_ERR_EXISTS,
                          "the token has a key of that name already; choose another");
    if (make && e == PORCH_ERR_NOT_FOUND) {
        PORCH_TRY(generate(&k->t, why));
        e = find_key(&k->t, CKO_PRIVATE_KEY, &k->private_key, why);
    }
    if (e == PORCH_ERR_NOT_FOUND)
        return porch_fail(
            why, e, "the token has no key of that name, or shows it only with a PIN (pin-source=FILE)");
    if (e == PORCH_OK) e = find_key(&k->t, CKO_PUBLIC_KEY, &public_key, why);
    if (e == PORCH_ERR_NOT_FOUND) {
        public_key = k->private_key; /* some tokens keep one object */
        e = PORCH_OK;
    }
    return e == PORCH_OK ? read_public(&k->t, public_key, &k->public_key, why) : e;
}

static porch_err begin(const char *uri, bool make, porch_key **ret, porch_why *why) {
    token_key *k = calloc(1, sizeof *k);
    porch_key *key = calloc(1, sizeof *key);
    if (k == NULL || key == NULL) {
        free(k);
        free(key);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a key");
    }
    (void)pthread_mutex_init(&k->lock, NULL);
    *key = (porch_key){.ops = &token_ops, .self = k, .kind = PORCH_KEY_P256};
    porch_err e = token_open(&k->t, uri, why);
    if (e == PORCH_OK) e = take(k, make, why);
    if (e == PORCH_OK)
        *ret = key;
    else
        porch_key_free(key);
    return e;
}

porch_err porch_pkcs11_key_open(const char *uri, porch_key **ret, porch_why *why) {
    return begin(uri, false, ret, why);
}

porch_err porch_pkcs11_key_make(const char *uri, porch_key **ret, porch_why *why) {
    return begin(uri, true, ret, why);
}

porch_err porch_pkcs11_key_remove(const char *uri, porch_why *why) {
    static const CK_OBJECT_CLASS kinds[] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY};
    token t;
    CK_OBJECT_HANDLE object;
    porch_err e = token_open(&t, uri, why);
    for (size_t i = 0; e == PORCH_OK && i < 2; i++) {
        e = find_key(&t, kinds[i], &object, why);
        if (e == PORCH_ERR_NOT_FOUND && i > 0) {
            e = PORCH_OK; /* some tokens keep one object */
            break;
        }
        if (e == PORCH_ERR_NOT_FOUND) e = porch_fail(why, e, "the token has no key of that name");
        CK_RV rv = e == PORCH_OK ? t.used->C_DestroyObject(t.session, object) : CKR_OK;
        if (rv != CKR_OK) e = refused(why, PORCH_ERR_IO, "removing the token's key", rv);
    }
    token_close(&t);
    return e;
}

/* No part of a URI is longer than the whole. */
static void copy_full_path(const char *path, char out[PORCH_PKCS11_URI_BYTES]) {
    if (path != NULL && path[0] == '/')
        (void)porch_bytes_to_text(porch_bytes_of(path), out, PORCH_PKCS11_URI_BYTES);
}

porch_err porch_pkcs11_files_of(const char *uri, porch_pkcs11_files *ret, porch_why *why) {
    P11KitUri *parsed = NULL;
    if (strlen(uri) >= PORCH_PKCS11_URI_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "the PKCS#11 URI is too long");
    PORCH_TRY(read_uri(uri, &parsed, why));
    const char *pin = p11_kit_uri_get_pin_source(parsed);
    *ret = (porch_pkcs11_files){"", ""};
    copy_full_path(p11_kit_uri_get_module_path(parsed), ret->module);
    if (pin != NULL) copy_full_path(pin_file(pin), ret->pin);
    p11_kit_uri_free(parsed);
    return PORCH_OK;
}
