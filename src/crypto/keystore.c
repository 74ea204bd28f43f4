#include "crypto/keystore.h"

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

porch_err porch_key_sign(const porch_key *key, porch_sign_scheme scheme, porch_bytes data,
                         porch_buf *signature, porch_why *why) {
    if (key->ops->sign == NULL || scheme == (porch_sign_scheme)0 || scheme != porch_key_scheme(key->kind))
        return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                          "this key of the %s store does not sign in that scheme", key->ops->name);
    return key->ops->sign(key->self, scheme, data, signature, why);
}

porch_err porch_key_public(const porch_key *key, porch_public_key *ret, porch_why *why) {
    return key->ops->public_key(key->self, ret, why);
}

porch_err porch_key_attest(const porch_key *key, porch_bytes challenge, porch_buf *evidence,
                           porch_why *why) {
    if (key->ops->attest == NULL)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "keys of the %s store cannot prove where they live",
                          key->ops->name);
    return key->ops->attest(key->self, challenge, evidence, why);
}

void porch_key_free(porch_key *key) {
    if (key != NULL) key->ops->free(key);
}
