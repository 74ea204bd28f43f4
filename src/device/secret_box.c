#include "device/secret_box.h"

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "wire/id.h"

enum { VERSION = 1 };

porch_err porch_secret_name_check(const char *name, porch_why *why) {
    porch_id id;
    if (porch_id_parse(porch_bytes_of(name), &id) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_USAGE,
                      "a secret is named by lower-case letters, digits and '-', beginning with a letter or "
                      "digit, 1 to %d long",
                      PORCH_SECRET_NAME_MOST);
}

porch_err porch_secret_close(const uint8_t key[PORCH_SECRET_KEY_BYTES], const char *name,
                             porch_bytes secret, porch_buf *box) {
    uint8_t nonce[PORCH_AEAD_NONCE_BYTES];
    porch_buf b = *box;
    if (secret.len == 0 || secret.len > PORCH_SECRET_MOST) return PORCH_ERR_LIMIT;
    porch_random(nonce, sizeof nonce);
    PORCH_TRY(porch_write_u8(&b, VERSION));
    PORCH_TRY(porch_write_bytes(&b, (porch_bytes){nonce, sizeof nonce}));
    PORCH_TRY(porch_aead_seal(key, nonce, porch_bytes_of(name), secret, &b));
    *box = b;
    return PORCH_OK;
}

porch_err porch_secret_open(const uint8_t key[PORCH_SECRET_KEY_BYTES], const char *name, porch_bytes box,
                            porch_buf *secret) {
    porch_reader r = porch_reader_of(box);
    porch_bytes nonce;
    uint8_t version = 0;
    if (box.len > PORCH_SECRET_BOX_MOST) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_read_u8(&r, &version));
    if (version != VERSION) return PORCH_ERR_UNSUPPORTED;
    PORCH_TRY(porch_read_bytes(&r, PORCH_AEAD_NONCE_BYTES, &nonce));
    if (r.rest.len <= PORCH_AEAD_TAG_BYTES) return PORCH_ERR_MALFORMED;
    return porch_aead_open(key, nonce.at, porch_bytes_of(name), r.rest, secret);
}
