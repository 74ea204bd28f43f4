/* RSA keys that somebody can take apart: too short, with an exponent that is too small, with a modulus that
 * has small factors, that has the shape of keys which a smart-card library made for years (CVE-2017-15361,
 * "ROCA"), or whose two primes lie next to each other (CVE-2022-26320).
 *
 * The library's primes were all of the form k*M + (65537^a mod M), M a product of the first primes. So
 * modulo each of those primes the modulus is a power of 65537. Of a random number that holds for all of
 * them once in some 2^27. */
#include "crypto/port/openssl/weak_rsa.h"

#include <stdbool.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

enum { BITS_LEAST = 2048, BITS_MOST = 16384, EXPONENT_LEAST = 65537, FERMAT_STEPS = 64 };

/* The primes from 3 to 167 are those of the shape; the others are for small factors alone. */
enum { SHAPE_MOST = 167, FACTOR_MOST = 2000 };

static bool is_prime(unsigned n) {
    for (unsigned d = 2; d * d <= n; d++)
        if (n % d == 0) return false;
    return n > 1;
}

static bool is_power(unsigned base, unsigned of, unsigned modulus) {
    unsigned x = 1;
    do {
        if (x == of) return true;
        x = x * base % modulus;
    } while (x != 1);
    return false;
}

static bool has_small_factor(const BIGNUM *n, bool *shape) {
    *shape = true;
    for (unsigned p = 2; p < FACTOR_MOST; p++) {
        if (!is_prime(p)) continue;
        const unsigned rest = (unsigned)BN_mod_word(n, p);
        if (rest == 0) return true;
        if (p > 2 && p <= SHAPE_MOST && !is_power(EXPONENT_LEAST % p, rest, p)) *shape = false;
    }
    return false;
}

/* The whole part of the square root, from above (Newton); false when memory is out. */
static bool root_of(const BIGNUM *n, BIGNUM *ret, BIGNUM *next, BN_CTX *ctx) {
    if (BN_is_zero(n)) return BN_zero(ret), true;
    BN_zero(ret);
    if (BN_set_bit(ret, (BN_num_bits(n) + 1) / 2) != 1) return false;
    for (;;) {
        if (BN_div(next, NULL, n, ret, ctx) != 1 || BN_add(next, next, ret) != 1 ||
            BN_rshift1(next, next) != 1)
            return false;
        if (BN_cmp(next, ret) >= 0) return true;
        if (BN_copy(ret, next) == NULL) return false;
    }
}

/* Fermat: n = a*a - b*b with an `a` that is hardly above the root of n. */
static bool has_close_primes(const BIGNUM *n, BN_CTX *ctx) {
    bool found = false;
    BN_CTX_start(ctx);
    BIGNUM *a = BN_CTX_get(ctx), *b = BN_CTX_get(ctx), *square = BN_CTX_get(ctx), *rest = BN_CTX_get(ctx),
           *next = BN_CTX_get(ctx);
    bool good = next != NULL && root_of(n, a, next, ctx);
    for (int i = 0; good && !found && i < FERMAT_STEPS; i++) {
        good = BN_sqr(square, a, ctx) == 1 && BN_sub(rest, square, n) == 1 && BN_add_word(a, 1) == 1;
        if (!good || BN_is_negative(rest)) continue; /* the first one, unless n is a square */
        good = root_of(rest, b, next, ctx) && BN_sqr(square, b, ctx) == 1;
        found = good && BN_cmp(square, rest) == 0;
    }
    BN_CTX_end(ctx);
    return found || !good; /* what cannot be judged is not believed */
}

static const char *judge(const BIGNUM *n, const BIGNUM *e, BN_CTX *ctx) {
    bool shape = false;
    if (BN_num_bits(n) < BITS_LEAST || BN_num_bits(n) > BITS_MOST) return "RSA of less than 2,048 bits";
    if (!BN_is_odd(e) || BN_num_bits(e) < 17) return "RSA with an even or a small exponent";
    if (has_small_factor(n, &shape)) return "RSA whose modulus has a small factor";
    if (shape) return "RSA from a library whose keys can be taken apart (CVE-2017-15361)";
    if (has_close_primes(n, ctx)) return "RSA whose primes lie next to each other (CVE-2022-26320)";
    return NULL;
}

const char *porch_openssl_weak_rsa(const EVP_PKEY *key) {
    BIGNUM *n = NULL, *e = NULL;
    const char *what = "RSA that cannot be read";
    BN_CTX *ctx = BN_CTX_new();
    if (ctx != NULL && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1)
        what = judge(n, e, ctx);
    BN_free(n);
    BN_free(e);
    BN_CTX_free(ctx);
    return what;
}
