#include "crypto/keystore.h"

#include "crypto/sha256.h"

porch_sign_scheme porch_key_scheme(porch_key_kind kind) {
    switch (kind) {
    case PORCH_KEY_P256:
        return PORCH_SIGN_ECDSA_SHA256;
    case PORCH_KEY_P384:
        return PORCH_SIGN_ECDSA_SHA384;
    case PORCH_KEY_ED25519:
        return PORCH_SIGN_ED25519;
    case PORCH_KEY_RSA:
        break;
    }
    return (porch_sign_scheme)0;
}

static porch_err no_such(const porch_key *key, const char *what, porch_why *why) {
    return porch_fail(why, PORCH_ERR_UNSUPPORTED, "keys of the %s store %s", key->ops->name, what);
}

porch_err porch_key_sign(const porch_key *key, porch_sign_scheme scheme, porch_bytes data,
                         porch_buf *signature, porch_why *why) {
    bool offered =
        key->ops->sign != NULL || (key->ops->sign_digest != NULL && scheme == PORCH_SIGN_ECDSA_SHA256);
    if (!offered || scheme == (porch_sign_scheme)0 || scheme != porch_key_scheme(key->kind))
        return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                          "this key of the %s store does not sign in that scheme", key->ops->name);
    if (key->ops->sign != NULL) return key->ops->sign(key->self, scheme, data, signature, why);
    uint8_t digest[PORCH_SHA256_BYTES];
    porch_sha256(data, digest);
    return key->ops->sign_digest(key->self, (porch_bytes){digest, sizeof digest}, signature, why);
}

porch_err porch_key_sign_digest(const porch_key *key, porch_bytes digest, porch_buf *signature,
                                porch_why *why) {
    if (key->ops->sign_digest == NULL || key->kind != PORCH_KEY_P256 || digest.len != PORCH_SHA256_BYTES)
        return no_such(key, "sign no digests, or none of that length", why);
    return key->ops->sign_digest(key->self, digest, signature, why);
}

porch_err porch_key_public(const porch_key *key, porch_public_key *ret, porch_why *why) {
    return key->ops->public_key(key->self, ret, why);
}

porch_err porch_key_attest(const porch_key *key, porch_bytes challenge, porch_key_evidence *ret,
                           porch_why *why) {
    if (key->ops->attest == NULL) return no_such(key, "cannot prove where they live", why);
    return key->ops->attest(key->self, challenge, ret, why);
}

porch_err porch_key_identify(const porch_key *key, porch_key_identity *ret, porch_why *why) {
    if (key->ops->identity == NULL) return no_such(key, "cannot prove where they live", why);
    return key->ops->identity(key->self, ret, why);
}

porch_err porch_key_activate(const porch_key *key, porch_bytes credential, porch_bytes seed,
                             porch_buf *secret, porch_why *why) {
    if (key->ops->activate == NULL) return no_such(key, "cannot prove where they live", why);
    return key->ops->activate(key->self, credential, seed, secret, why);
}

porch_err porch_key_seal(const porch_key *key, porch_bytes secret, porch_buf *sealed, porch_why *why) {
    if (key->ops->seal == NULL) return no_such(key, "seal nothing", why);
    if (secret.len == 0 || secret.len > PORCH_KEY_SECRET_BYTES)
        return porch_fail(why, PORCH_ERR_LIMIT, "a key store seals 1 to %d bytes", PORCH_KEY_SECRET_BYTES);
    return key->ops->seal(key->self, secret, sealed, why);
}

porch_err porch_key_unseal(const porch_key *key, porch_bytes sealed, porch_buf *secret, porch_why *why) {
    if (key->ops->unseal == NULL) return no_such(key, "unseal nothing", why);
    return key->ops->unseal(key->self, sealed, secret, why);
}

porch_key *porch_key_ref(porch_key *key) {
    (void)__atomic_fetch_add(&key->more_owners, 1u, __ATOMIC_RELAXED);
    return key;
}

void porch_key_free(porch_key *key) {
    if (key == NULL || __atomic_fetch_sub(&key->more_owners, 1u, __ATOMIC_ACQ_REL) != 0) return;
    key->ops->free(key);
}
