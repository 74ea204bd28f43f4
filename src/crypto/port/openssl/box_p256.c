#include "crypto/port/openssl/box_p256.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

bool porch_p256_point(const BIGNUM *secret, uint8_t out[PORCH_P256_PUBLIC_BYTES]) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    bool good = point != NULL && !BN_is_zero(secret) && BN_cmp(secret, EC_GROUP_get0_order(group)) < 0 &&
                EC_POINT_mul(group, point, secret, NULL, NULL, NULL) == 1 &&
                EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out,
                                   PORCH_P256_PUBLIC_BYTES, NULL) == PORCH_P256_PUBLIC_BYTES;
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return good;
}

EVP_PKEY *porch_p256_key(const uint8_t point[PORCH_P256_PUBLIC_BYTES], const BIGNUM *secret) {
    EVP_PKEY *made = NULL;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL), *check = NULL;
    bool good = build != NULL && ctx != NULL && point[0] == POINT_CONVERSION_UNCOMPRESSED &&
                OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
                OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                 PORCH_P256_PUBLIC_BYTES) == 1 &&
                (secret == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1) &&
                (params = OSSL_PARAM_BLD_to_param(build)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
                EVP_PKEY_fromdata(ctx, &made, secret != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                  params) == 1 &&
                (check = EVP_PKEY_CTX_new(made, NULL)) != NULL && EVP_PKEY_public_check(check) == 1;
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    if (good) return made;
    EVP_PKEY_free(made);
    return NULL;
}

EVP_PKEY *porch_p256_new(uint8_t point[PORCH_P256_PUBLIC_BYTES], uint8_t *secret) {
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    BIGNUM *number = NULL;
    size_t len = 0;
    bool good = pair != NULL &&
                EVP_PKEY_get_octet_string_param(pair, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                                PORCH_P256_PUBLIC_BYTES, &len) == 1 &&
                len == PORCH_P256_PUBLIC_BYTES;
    if (good && secret != NULL)
        good = EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
               BN_bn2binpad(number, secret, PORCH_P256_SECRET_BYTES) == PORCH_P256_SECRET_BYTES;
    BN_clear_free(number);
    if (good) return pair;
    EVP_PKEY_free(pair);
    return NULL;
}

bool porch_p256_shared(EVP_PKEY *own, EVP_PKEY *other, uint8_t shared[PORCH_P256_SECRET_BYTES]) {
    size_t len = PORCH_P256_SECRET_BYTES;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    bool good = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer(ctx, other) == 1 && EVP_PKEY_derive(ctx, shared, &len) == 1 &&
                len == PORCH_P256_SECRET_BYTES;
    EVP_PKEY_CTX_free(ctx);
    return good;
}
