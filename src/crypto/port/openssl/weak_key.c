/* Keys whose private half others know: small multiples of the curve's base point, and those that are
 * printed in the standards and end up in products by copying. Of Ed25519 also the points of small order,
 * for which anybody can make signatures. */
#include "crypto/x509.h"

#include <pthread.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#include "base/text.h"
#include "crypto/port/openssl/openssl.h"

enum { MULTIPLES = 64, FIELD_MOST = 48 };

/* x coordinates: RFC 6979 A.2.5, RFC 7515 A.3, RFC 7517 A.1, RFC 5903 8.1 (both), RFC 8152 C.7.2 (three),
 * RFC 9421 B.1.3; RFC 6979 A.2.6. A point and its negative share theirs. */
static const char *const printed_p256[] = {
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
    "7fcdce2770f6c45d4183cbee6fdb4b7b580733357be9ef13bacf6e3c7bd15445",
    "30a0424cd21c2944838a2d75c92b37e76ea20d9f00893a3b4eee8a3c0aafec3e",
    "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180",
    "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63",
    "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d",
    "98f50a4ff6c05861c8860d13a638ea56c3f5ad7590bbfbf054e1c7b4d91d6280",
    "bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff",
    "a885586552c2acf6471878cfd7b0935b4ffe0fd2dfc341248ea17bc41e058af0",
    NULL,
};
static const char *const printed_p384[] = {
    "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64"
    "def8f0ea9055866064a254515480bc13",
    NULL,
};
/* RFC 8032, 7.1; RFC 8410, 10.1; RFC 9421, B.1.4; then the encodings of the points of order 1, 2, 4 and 8.
 */
static const char *const bad_ed25519[] = {
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
    "26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    NULL,
};

typedef struct {
    size_t field; /* bytes of a coordinate */
    uint8_t x[MULTIPLES][FIELD_MOST];
} small_multiples;

static small_multiples small_p256 = {.field = 32}, small_p384 = {.field = 48};

static void compute(int nid, small_multiples *m) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    BIGNUM *factor = BN_new();
    if (point == NULL || factor == NULL) porch_openssl_abort("listing weak keys");
    for (unsigned k = 0; k < MULTIPLES; k++) {
        uint8_t encoded[1 + FIELD_MOST];
        bool made =
            BN_set_word(factor, k + 1) == 1 && EC_POINT_mul(group, point, factor, NULL, NULL, NULL) == 1 &&
            EC_POINT_point2oct(group, point, POINT_CONVERSION_COMPRESSED, encoded, sizeof encoded, NULL) ==
                m->field + 1;
        if (!made) porch_openssl_abort("listing weak keys");
        memcpy(m->x[k], encoded + 1, m->field);
    }
    BN_free(factor);
    EC_POINT_free(point);
    EC_GROUP_free(group);
}

static void compute_all(void) {
    compute(NID_X9_62_prime256v1, &small_p256);
    compute(NID_secp384r1, &small_p384);
}

static bool is_printed(porch_bytes value, const char *const *list) {
    uint8_t hex[2 * FIELD_MOST];
    porch_buf b = PORCH_BUF_OF(hex);
    if (porch_hex_write(&b, value) != PORCH_OK) return true;
    for (; *list != NULL; list++)
        if (porch_bytes_eq_text(porch_buf_bytes(&b), *list)) return true;
    return false;
}

/* SubjectPublicKeyInfo ends with the key: 04 x y of a curve, the bare 32 bytes of Ed25519. */
static porch_bytes coordinate(const porch_public_key *key, size_t tail, size_t skip, size_t len) {
    if (key->len < tail) return (porch_bytes){NULL, 0};
    return (porch_bytes){key->der + key->len - tail + skip, len};
}

bool porch_key_is_weak(const porch_public_key *key) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, compute_all);
    if (key->kind == PORCH_KEY_ED25519) return is_printed(coordinate(key, 32, 0, 32), bad_ed25519);
    bool p256 = key->kind == PORCH_KEY_P256;
    const small_multiples *small = p256 ? &small_p256 : &small_p384;
    porch_bytes x = coordinate(key, 2 * small->field, 0, small->field);
    if (x.len == 0 || is_printed(x, p256 ? printed_p256 : printed_p384)) return true;
    for (size_t k = 0; k < MULTIPLES; k++)
        if (memcmp(small->x[k], x.at, small->field) == 0) return true;
    return false;
}
