/* Boxes: AES-256-GCM under a key derived for the kind of use and the label.
 *
 *   box = version u8 (1) | nonce 12 | cipher | tag 16        aad = label
 *
 * Nonces are random; each (kind, label) has its own key, so 2^32 boxes of one label stay far away. */
#include "cloud/signer/signer_room.h"

#include <assert.h>

#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"

enum { BOX_VERSION = 1, BOX_HEAD_BYTES = 1 + PORCH_AEAD_NONCE_BYTES, INFO_MAX_BYTES = 320 };

static_assert(BOX_HEAD_BYTES + PORCH_AEAD_TAG_BYTES <= PORCH_SIGNER_SEALED_EXTRA,
              "a box fits what the client promises");

static porch_err derive(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], const char *kind,
                        porch_bytes label, uint8_t key[32]) {
    uint8_t block[INFO_MAX_BYTES];
    porch_buf info = PORCH_BUF_OF(block);
    /* The kinds have no colon, so "kind:label" has one reading. */
    PORCH_TRY(porch_write_text(&info, "porchlight v1 "));
    PORCH_TRY(porch_write_text(&info, kind));
    PORCH_TRY(porch_write_text(&info, ":"));
    PORCH_TRY(porch_write_bytes(&info, label));
    porch_bytes secret = {seal_key, PORCH_SIGNER_SEAL_KEY_BYTES};
    return porch_hkdf_sha256(secret, (porch_bytes){NULL, 0}, porch_buf_bytes(&info), key, 32);
}

porch_err porch_signer_derive_clip(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], porch_bytes clip_id,
                                   uint8_t key[32]) {
    return derive(seal_key, "clip", clip_id, key);
}

porch_err porch_signer_box_close(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], const char *kind,
                                 porch_bytes label, porch_bytes plain, porch_buf *out) {
    uint8_t key[32];
    uint8_t nonce[PORCH_AEAD_NONCE_BYTES];
    porch_buf b = *out;
    porch_random(nonce, sizeof nonce);
    porch_err e = derive(seal_key, kind, label, key);
    if (e == PORCH_OK) e = porch_write_u8(&b, BOX_VERSION);
    if (e == PORCH_OK) e = porch_write_bytes(&b, (porch_bytes){nonce, sizeof nonce});
    if (e == PORCH_OK) e = porch_aead_seal(key, nonce, label, plain, &b);
    if (e == PORCH_OK) *out = b;
    porch_wipe(key, sizeof key);
    return e;
}

porch_err porch_signer_box_open(const uint8_t seal_key[PORCH_SIGNER_SEAL_KEY_BYTES], const char *kind,
                                porch_bytes label, porch_bytes sealed, porch_buf *out) {
    uint8_t key[32];
    uint8_t version = 0;
    porch_bytes nonce = {0};
    porch_reader r = porch_reader_of(sealed);
    if (porch_read_u8(&r, &version) != PORCH_OK || version != BOX_VERSION) return PORCH_ERR_SIGNATURE;
    if (porch_read_bytes(&r, PORCH_AEAD_NONCE_BYTES, &nonce) != PORCH_OK) return PORCH_ERR_SIGNATURE;
    if (r.rest.len < PORCH_AEAD_TAG_BYTES) return PORCH_ERR_SIGNATURE;
    porch_err e = derive(seal_key, kind, label, key);
    if (e == PORCH_OK) e = porch_aead_open(key, nonce.at, label, r.rest, out);
    porch_wipe(key, sizeof key);
    return e;
}
