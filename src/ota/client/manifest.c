#include "ota/client/manifest.h"

#include <string.h>

#include "crypto/p256_der.h"
#include "ota/client/cbor.h"

enum { DIGEST_BYTES = 36, KID_BYTES = 32, NUMBER_BYTES = 32, SIGNED_BYTES = 128, SIGNATURE_BYTES = 80 };

/* The parts that are the same in every manifest. */
static const uint8_t SHA256_HEAD[] = {0x82, 0x2f, 0x58, 0x20};                     /* [-16, h'32 bytes'] */
static const uint8_t PROTECTED_HEAD[] = {0xa2, 0x01, 0x26, 0x04, 0x58, KID_BYTES}; /* {1: -7, 4: h'...'} */
static const uint8_t COMPONENTS[] = {0xa2, 0x02, 0x81, 0x81, 0x41, 0x00, 0x04};    /* {2: [[h'00']], 4: */
static const uint8_t OVERRIDE[] = {0x82, 0x14, 0xa2, 0x03};                        /* [20, {3: */
static const uint8_t VALIDATE[] = {0x43, 0x82, 0x03, 0x0f};                        /* << [3, 15] >> */
static const uint8_t CONTEXT[] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1'};

static porch_err shape(porch_why *why, porch_err e, const char *part) {
    return porch_fail(why, e, "the manifest's %s is not of the one shape that is read", part);
}

/* ---- small pieces ---- */

/* A member's key, then a byte string that holds the part. */
static porch_err nested(porch_reader *r, uint8_t key, porch_bytes *ret) {
    PORCH_TRY(porch_cbor_fixed(r, &key, 1));
    return porch_cbor_string(r, PORCH_CBOR_BYTES, ret);
}

static porch_err text(porch_reader *r, uint8_t key, porch_bytes *ret) {
    PORCH_TRY(porch_cbor_fixed(r, &key, 1));
    PORCH_TRY(porch_cbor_string(r, PORCH_CBOR_TEXT, ret));
    return ret->len > 0 && ret->len <= PORCH_MANIFEST_TEXT_MOST ? PORCH_OK : PORCH_ERR_LIMIT;
}

static porch_err number(porch_reader *r, uint8_t key, uint64_t most, uint64_t *ret) {
    PORCH_TRY(porch_cbor_fixed(r, &key, 1));
    PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_UINT, ret));
    return *ret <= most ? PORCH_OK : PORCH_ERR_LIMIT;
}

static porch_err done(const porch_reader *r) {
    return porch_reader_done(r) ? PORCH_OK : PORCH_ERR_MALFORMED;
}

/* << [-16, hash] >> */
static porch_err digest(porch_reader *r, uint8_t sha256[32], porch_bytes *whole) {
    porch_bytes inner, hash;
    PORCH_TRY(porch_cbor_string(r, PORCH_CBOR_BYTES, &inner));
    porch_reader d = porch_reader_of(inner);
    PORCH_TRY(porch_cbor_fixed(&d, SHA256_HEAD, sizeof SHA256_HEAD));
    PORCH_TRY(porch_read_bytes(&d, 32, &hash));
    PORCH_TRY(done(&d));
    memcpy(sha256, hash.at, 32);
    *whole = inner;
    return PORCH_OK;
}

/* ---- signatures ---- */

typedef struct {
    porch_bytes protected_part, kid, r, s;
} sign1;

static porch_err read_sign1(porch_bytes in, sign1 *ret) {
    static const uint8_t head[] = {0xd2, 0x84}, middle[] = {0xa0, 0xf6};
    porch_reader r = porch_reader_of(in);
    porch_bytes raw;
    PORCH_TRY(porch_cbor_fixed(&r, head, sizeof head));
    PORCH_TRY(porch_cbor_string(&r, PORCH_CBOR_BYTES, &ret->protected_part));
    PORCH_TRY(porch_cbor_fixed(&r, middle, sizeof middle));
    PORCH_TRY(porch_cbor_string(&r, PORCH_CBOR_BYTES, &raw));
    if (raw.len != (size_t)2 * NUMBER_BYTES) return PORCH_ERR_MALFORMED;
    ret->r = (porch_bytes){raw.at, NUMBER_BYTES};
    ret->s = (porch_bytes){raw.at + NUMBER_BYTES, NUMBER_BYTES};
    PORCH_TRY(done(&r));
    porch_reader p = porch_reader_of(ret->protected_part);
    PORCH_TRY(porch_cbor_fixed(&p, PROTECTED_HEAD, sizeof PROTECTED_HEAD));
    PORCH_TRY(porch_read_bytes(&p, KID_BYTES, &ret->kid));
    return done(&p);
}

/* The index of the key that made it; keys->count: none of them. */
static size_t signed_by(const porch_verify_ops *crypto, const porch_manifest_keys *keys, const sign1 *s,
                        porch_bytes digest_part) {
    uint8_t message_block[SIGNED_BYTES], der_block[SIGNATURE_BYTES];
    uint8_t fingerprint[PORCH_VERIFY_FINGERPRINT_BYTES];
    porch_buf message = PORCH_BUF_OF(message_block), der = PORCH_BUF_OF(der_block);
    size_t i = 0;
    if (porch_write_bytes(&message, (porch_bytes){CONTEXT, sizeof CONTEXT}) != PORCH_OK ||
        porch_write_u8(&message, 0x58) != PORCH_OK ||
        porch_write_u8(&message, (uint8_t)s->protected_part.len) != PORCH_OK ||
        porch_write_bytes(&message, s->protected_part) != PORCH_OK ||
        porch_write_u8(&message, 0x40) != PORCH_OK || porch_write_u8(&message, 0x58) != PORCH_OK ||
        porch_write_u8(&message, (uint8_t)digest_part.len) != PORCH_OK ||
        porch_write_bytes(&message, digest_part) != PORCH_OK ||
        porch_p256_signature_der(s->r, s->s, &der) != PORCH_OK)
        return keys->count;
    while (
        i < keys->count &&
        (crypto->verify(PORCH_VERIFY_ECDSA_P256, (porch_bytes){keys->points[i], PORCH_MANIFEST_POINT_BYTES},
                        porch_buf_bytes(&message), porch_buf_bytes(&der), fingerprint) != PORCH_OK ||
         !porch_bytes_eq(s->kid, (porch_bytes){fingerprint, sizeof fingerprint})))
        i++;
    return i;
}

/* The digest and its signatures; a key counts once. */
static porch_err read_authentication(const porch_verify_ops *crypto, const porch_manifest_keys *keys,
                                     porch_bytes in, uint8_t sha256[32], porch_why *why) {
    porch_reader r = porch_reader_of(in);
    porch_bytes digest_part, one;
    uint64_t parts = 0;
    uint32_t seen = 0;
    size_t good = 0;
    porch_err e = porch_cbor_head(&r, PORCH_CBOR_ARRAY, &parts);
    if (e == PORCH_OK && (parts < 2 || parts > 1 + PORCH_MANIFEST_SIGNATURES_MOST)) e = PORCH_ERR_LIMIT;
    if (e == PORCH_OK) e = digest(&r, sha256, &digest_part);
    for (uint64_t i = 1; e == PORCH_OK && i < parts; i++) {
        sign1 s;
        e = porch_cbor_string(&r, PORCH_CBOR_BYTES, &one);
        if (e == PORCH_OK) e = read_sign1(one, &s);
        if (e != PORCH_OK) break;
        size_t key = signed_by(crypto, keys, &s, digest_part);
        if (key >= keys->count || key >= 32 || (seen & 1U << key) != 0) continue;
        seen |= 1U << key;
        good++;
    }
    if (e == PORCH_OK) e = done(&r);
    if (e != PORCH_OK) return shape(why, e, "authentication");
    return good >= keys->threshold && good > 0
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_SIGNATURE,
                            "the manifest is signed by %u of the %u keys it needs", (unsigned)good,
                            (unsigned)keys->threshold);
}

/* ---- the content ---- */

static porch_err read_common(porch_bytes in, porch_slot_image *image) {
    porch_reader r = porch_reader_of(in);
    porch_bytes sequence, unused;
    PORCH_TRY(porch_cbor_fixed(&r, COMPONENTS, sizeof COMPONENTS));
    PORCH_TRY(porch_cbor_string(&r, PORCH_CBOR_BYTES, &sequence));
    PORCH_TRY(done(&r));
    porch_reader s = porch_reader_of(sequence);
    PORCH_TRY(porch_cbor_fixed(&s, OVERRIDE, sizeof OVERRIDE));
    PORCH_TRY(digest(&s, image->sha256, &unused));
    PORCH_TRY(number(&s, 0x0e, UINT64_MAX, &image->length));
    PORCH_TRY(done(&s));
    return image->length > 0 ? PORCH_OK : PORCH_ERR_LIMIT;
}

static porch_err read_hardware(porch_reader *r, porch_bytes *ret) {
    static const uint8_t key = 0x22;
    uint64_t count = 0;
    porch_bytes one;
    PORCH_TRY(porch_cbor_fixed(r, &key, 1));
    const uint8_t *from = r->rest.at;
    PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_ARRAY, &count));
    if (count == 0 || count > PORCH_MANIFEST_HARDWARE_MOST) return PORCH_ERR_LIMIT;
    for (uint64_t i = 0; i < count; i++) {
        PORCH_TRY(porch_cbor_string(r, PORCH_CBOR_TEXT, &one));
        if (one.len == 0 || one.len > PORCH_MANIFEST_TEXT_MOST) return PORCH_ERR_LIMIT;
    }
    *ret = (porch_bytes){from, (size_t)(r->rest.at - from)};
    return PORCH_OK;
}

static porch_err read_stages(porch_reader *r, porch_policy *p) {
    static const uint8_t key = 0x01;
    uint64_t count = 0, pair = 0, share = 0;
    PORCH_TRY(porch_cbor_fixed(r, &key, 1));
    PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_ARRAY, &count));
    if (count == 0 || count > PORCH_POLICY_STAGES_MOST) return PORCH_ERR_LIMIT;
    for (uint64_t i = 0; i < count; i++) {
        porch_policy_stage *stage = &p->stage[i];
        PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_ARRAY, &pair));
        if (pair != 2) return PORCH_ERR_MALFORMED;
        PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_UINT, &share));
        if (share == 0 || share > PORCH_POLICY_ALL || (i > 0 && share <= p->stage[i - 1].share))
            return PORCH_ERR_LIMIT;
        PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_UINT, &stage->dwell_s));
        stage->share = (uint32_t)share;
    }
    p->stages = (size_t)count;
    return PORCH_OK;
}

static porch_err read_window(porch_reader *r, porch_policy *p) {
    static const uint8_t head[] = {0x03, 0x82};
    uint64_t from = 0, to = 0;
    PORCH_TRY(porch_cbor_fixed(r, head, sizeof head));
    PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_UINT, &from));
    PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_UINT, &to));
    if (from >= PORCH_POLICY_DAY_MIN || to >= PORCH_POLICY_DAY_MIN || from == to) return PORCH_ERR_LIMIT;
    p->has_window = true;
    p->from_min = (uint32_t)from;
    p->to_min = (uint32_t)to;
    return PORCH_OK;
}

/* Members in their order, each at most once: what is left over in the end belongs to no member. */
static porch_err read_policy(porch_reader *r, porch_policy *p) {
    static const uint8_t key = 0x24;
    uint64_t members = 0, read = 0, battery = 0;
    PORCH_TRY(porch_cbor_fixed(r, &key, 1));
    PORCH_TRY(porch_cbor_head(r, PORCH_CBOR_MAP, &members));
    if (read < members && porch_cbor_next_is(r, 1)) {
        PORCH_TRY(read_stages(r, p));
        read++;
    }
    if (read < members && porch_cbor_next_is(r, 2)) {
        PORCH_TRY(number(r, 2, 100, &battery));
        p->battery = (uint32_t)battery;
        read++;
    }
    if (read < members && porch_cbor_next_is(r, 3)) {
        PORCH_TRY(read_window(r, p));
        read++;
    }
    if (read < members && porch_cbor_next_is(r, 4)) {
        PORCH_TRY(number(r, 4, UINT64_MAX, &p->bytes));
        p->has_bytes = true;
        read++;
    }
    if (read < members && porch_cbor_next_is(r, 5)) {
        PORCH_TRY(number(r, 5, UINT64_MAX, &p->schema_least));
        read++;
    }
    return read == members && read > 0 ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static porch_err read_content(porch_bytes in, porch_manifest *m, porch_why *why) {
    static const uint8_t version[] = {0x01, 0x01}, validate = 0x07;
    porch_reader r = porch_reader_of(in);
    porch_bytes common;
    uint64_t members = 0;
    porch_err e = porch_cbor_head(&r, PORCH_CBOR_MAP, &members);
    if (e == PORCH_OK && members != 8 && members != 9) e = PORCH_ERR_MALFORMED;
    if (e == PORCH_OK) e = porch_cbor_fixed(&r, version, sizeof version);
    if (e == PORCH_OK) e = number(&r, 0x02, UINT64_MAX, &m->serial);
    if (e == PORCH_OK) e = nested(&r, 0x03, &common);
    if (e != PORCH_OK) return shape(why, e, "head");
    e = read_common(common, &m->image);
    if (e != PORCH_OK) return shape(why, e, "component");
    e = porch_cbor_fixed(&r, &validate, 1);
    if (e == PORCH_OK) e = porch_cbor_fixed(&r, VALIDATE, sizeof VALIDATE);
    if (e == PORCH_OK) e = text(&r, 0x20, &m->product);
    if (e == PORCH_OK) e = text(&r, 0x21, &m->version);
    if (e == PORCH_OK) e = read_hardware(&r, &m->hardware);
    if (e == PORCH_OK) e = number(&r, 0x23, UINT64_MAX, &m->image.counter);
    if (e == PORCH_OK && members == 9) e = read_policy(&r, &m->policy);
    if (e == PORCH_OK) e = done(&r);
    return e == PORCH_OK ? e : shape(why, e, "release");
}

porch_err porch_manifest_read(const porch_verify_ops *crypto, const porch_manifest_keys *keys,
                              porch_bytes in, porch_manifest *ret, porch_why *why) {
    static const uint8_t head[] = {0xd8, 0x6b, 0xa2}, manifest_key = 0x03;
    porch_manifest m = {.serial = 0};
    porch_reader r = porch_reader_of(in);
    porch_bytes authentication, content;
    uint8_t announced[32], sha256[32];
    if (in.len > PORCH_MANIFEST_BYTES_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "a manifest has at most %d bytes",
                          PORCH_MANIFEST_BYTES_MOST);
    porch_err e = porch_cbor_fixed(&r, head, sizeof head);
    if (e == PORCH_OK) e = nested(&r, 0x02, &authentication);
    if (e == PORCH_OK) e = porch_cbor_fixed(&r, &manifest_key, 1);
    const porch_bytes wrapped = r.rest; /* what the digest is over: the byte string with its head */
    if (e == PORCH_OK) e = porch_cbor_string(&r, PORCH_CBOR_BYTES, &content);
    if (e == PORCH_OK) e = done(&r);
    if (e != PORCH_OK) return shape(why, e, "envelope");
    PORCH_TRY(read_authentication(crypto, keys, authentication, announced, why));
    crypto->sha256(wrapped, sha256);
    if (memcmp(announced, sha256, sizeof sha256) != 0)
        return porch_fail(why, PORCH_ERR_HASH, "the manifest is not the one that was signed");
    PORCH_TRY(read_content(content, &m, why));
    *ret = m;
    return PORCH_OK;
}

porch_err porch_manifest_is_for(const porch_manifest *m, const char *product, const char *hardware,
                                uint64_t floor, porch_why *why) {
    porch_reader r = porch_reader_of(m->hardware);
    porch_bytes one;
    uint64_t count = 0;
    bool listed = false;
    if (!porch_bytes_eq_text(m->product, product))
        return porch_fail(why, PORCH_ERR_DENIED, "the release is for another product");
    PORCH_TRY(porch_cbor_head(&r, PORCH_CBOR_ARRAY, &count));
    for (uint64_t i = 0; i < count; i++) {
        PORCH_TRY(porch_cbor_string(&r, PORCH_CBOR_TEXT, &one));
        listed = listed || porch_bytes_eq_text(one, hardware);
    }
    if (!listed)
        return porch_fail(why, PORCH_ERR_DENIED, "the release is not for hardware %.100s", hardware);
    if (m->image.counter < floor)
        return porch_fail(why, PORCH_ERR_ROLLBACK,
                          "the release's counter %llu is below this device's floor %llu",
                          (unsigned long long)m->image.counter, (unsigned long long)floor);
    return PORCH_OK;
}
