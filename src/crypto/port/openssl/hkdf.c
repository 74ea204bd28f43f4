/* RFC 5869 over HMAC: two short steps, so that no parameter of a library stands between the reader and the
 * standard. */
#include "crypto/hkdf.h"

#include <string.h>

#include <openssl/hmac.h>

#include "crypto/port/openssl/openssl.h"
#include "crypto/sha256.h"

porch_err porch_hkdf_sha256(porch_bytes secret, porch_bytes salt, porch_bytes info, uint8_t *out,
                            size_t len) {
    if (len > (size_t)255 * PORCH_SHA256_BYTES || info.len > 1024) return PORCH_ERR_LIMIT;
    static const uint8_t no_salt[PORCH_SHA256_BYTES];
    uint8_t key[PORCH_SHA256_BYTES];
    if (salt.len == 0) salt = (porch_bytes){no_salt, sizeof no_salt};
    porch_hmac_sha256(salt, secret, key); /* 2.2: extract */

    /* 2.3: expand. T(n) = HMAC(key, T(n-1) | info | n) */
    uint8_t block[PORCH_SHA256_BYTES + 1024 + 1], t[PORCH_SHA256_BYTES] = {0};
    size_t before = 0;
    for (uint8_t n = 1; len > 0; n++) {
        memcpy(block, t, before);
        if (info.len > 0) memcpy(block + before, info.at, info.len);
        block[before + info.len] = n;
        porch_hmac_sha256((porch_bytes){key, sizeof key}, (porch_bytes){block, before + info.len + 1}, t);
        size_t take = len < sizeof t ? len : sizeof t;
        memcpy(out, t, take);
        out += take;
        len -= take;
        before = sizeof t;
    }
    porch_wipe(key, sizeof key);
    porch_wipe(t, sizeof t);
    porch_wipe(block, sizeof block);
    return PORCH_OK;
}
