#include "ota/author/author_manifest.h"

#include <stdlib.h>
#include <string.h>

#include <cbor.h>

#include "base/text.h"
#include "crypto/sha256.h"
#include "ota/client/manifest.h"

enum {
    ES256 = -7,
    SHA256 = -16,
    SUIT_TAG = 107,
    SIGN1_TAG = 18,
    OVERRIDE = 20,
    IMAGE_MATCH = 3,
    REPORT = 15
};

/* ---- libcbor, with the shortest form of each number; an item that is NULL makes all that holds it NULL
 * ----
 */

static cbor_item_t *uint_item(uint64_t v) {
    if (v <= UINT8_MAX) return cbor_build_uint8((uint8_t)v);
    if (v <= UINT16_MAX) return cbor_build_uint16((uint16_t)v);
    if (v <= UINT32_MAX) return cbor_build_uint32((uint32_t)v);
    return cbor_build_uint64(v);
}

static cbor_item_t *int_item(int v) {
    return v >= 0 ? uint_item((uint64_t)v) : cbor_build_negint8((uint8_t)(-1 - v));
}

static cbor_item_t *bytes_item(porch_bytes b) {
    return cbor_build_bytestring(b.at, b.len);
}

/* Takes the item over, also when it fails: then the whole is given up. */
static void push(cbor_item_t **array, cbor_item_t *item) {
    if (*array != NULL && (item == NULL || !cbor_array_push(*array, item))) cbor_decref(array);
    if (item != NULL) cbor_decref(&item);
}

static void member(cbor_item_t **map, int key, cbor_item_t *item) {
    cbor_item_t *name = int_item(key);
    if (*map != NULL &&
        (item == NULL || name == NULL || !cbor_map_add(*map, (struct cbor_pair){name, item})))
        cbor_decref(map);
    if (item != NULL) cbor_decref(&item);
    if (name != NULL) cbor_decref(&name);
}

static cbor_item_t *tagged(uint64_t tag, cbor_item_t *item) {
    if (item == NULL) return NULL;
    cbor_item_t *ret = cbor_build_tag(tag, item);
    cbor_decref(&item);
    return ret;
}

/* A byte string that holds the item's encoding. */
static cbor_item_t *wrapped(cbor_item_t *item) {
    unsigned char *at = NULL;
    size_t cap = 0;
    if (item == NULL) return NULL;
    size_t len = cbor_serialize_alloc(item, &at, &cap);
    cbor_item_t *ret = len > 0 ? cbor_build_bytestring(at, len) : NULL;
    free(at);
    cbor_decref(&item);
    return ret;
}

static porch_bytes content_of(const cbor_item_t *bytestring) {
    return (porch_bytes){cbor_bytestring_handle(bytestring), cbor_bytestring_length(bytestring)};
}

/* ---- the content ---- */

static cbor_item_t *digest_item(const uint8_t sha256[32]) {
    cbor_item_t *d = cbor_new_definite_array(2);
    push(&d, int_item(SHA256));
    push(&d, bytes_item((porch_bytes){sha256, 32}));
    return wrapped(d);
}

static cbor_item_t *common_item(const uint8_t sha256[32], uint64_t length) {
    static const uint8_t zero = 0;
    cbor_item_t *component = cbor_new_definite_array(1), *components = cbor_new_definite_array(1);
    push(&component, bytes_item((porch_bytes){&zero, 1}));
    push(&components, component);
    cbor_item_t *parameters = cbor_new_definite_map(2), *sequence = cbor_new_definite_array(2);
    member(&parameters, 3, digest_item(sha256));
    member(&parameters, 14, uint_item(length));
    push(&sequence, uint_item(OVERRIDE));
    push(&sequence, parameters);
    cbor_item_t *common = cbor_new_definite_map(2);
    member(&common, 2, components);
    member(&common, 4, wrapped(sequence));
    return wrapped(common);
}

static cbor_item_t *validate_item(void) {
    cbor_item_t *sequence = cbor_new_definite_array(2);
    push(&sequence, uint_item(IMAGE_MATCH));
    push(&sequence, uint_item(REPORT));
    return wrapped(sequence);
}

static uint64_t number_of(const json_t *object, const char *name) {
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static cbor_item_t *text_item(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? cbor_build_string(text) : NULL;
}

static cbor_item_t *hardware_item(const json_t *custom) {
    const json_t *list = json_object_get(custom, "hardware"), *each;
    size_t i;
    cbor_item_t *ret = cbor_new_definite_array(json_array_size(list));
    json_array_foreach(list, i, each) {
        const char *text = json_string_value(each);
        push(&ret, text != NULL ? cbor_build_string(text) : NULL);
    }
    return ret;
}

static cbor_item_t *stages_item(const json_t *stages) {
    const json_t *each;
    size_t i;
    cbor_item_t *ret = cbor_new_definite_array(json_array_size(stages));
    json_array_foreach(stages, i, each) {
        cbor_item_t *pair = cbor_new_definite_array(2);
        push(&pair, uint_item(number_of(each, "share")));
        push(&pair, uint_item(number_of(each, "dwell_s")));
        push(&ret, pair);
    }
    return ret;
}

static cbor_item_t *window_item(const json_t *window) {
    cbor_item_t *ret = cbor_new_definite_array(2);
    push(&ret, uint_item(number_of(window, "from_min")));
    push(&ret, uint_item(number_of(window, "to_min")));
    return ret;
}

/* NULL in *ret when the release has no policy. False: no memory. */
static bool policy_item(const json_t *custom, cbor_item_t **ret) {
    const json_t *rollout = json_object_get(custom, "rollout"),
                 *stages = json_object_get(rollout, "stages"), *window = json_object_get(rollout, "window");
    bool battery = json_object_get(rollout, "battery") != NULL,
         bytes = json_object_get(rollout, "bytes") != NULL,
         schema = json_object_get(custom, "schema_least") != NULL;
    size_t members = (size_t)(stages != NULL) + battery + (window != NULL) + bytes + schema;
    *ret = NULL;
    if (members == 0) return true;
    cbor_item_t *p = cbor_new_definite_map(members);
    if (stages != NULL) member(&p, 1, stages_item(stages));
    if (battery) member(&p, 2, uint_item(number_of(rollout, "battery")));
    if (window != NULL) member(&p, 3, window_item(window));
    if (bytes) member(&p, 4, uint_item(number_of(rollout, "bytes")));
    if (schema) member(&p, 5, uint_item(number_of(custom, "schema_least")));
    *ret = p;
    return p != NULL;
}

static cbor_item_t *manifest_item(const json_t *custom, const uint8_t sha256[32], uint64_t length) {
    cbor_item_t *policy = NULL, *m = NULL;
    if (policy_item(custom, &policy)) m = cbor_new_definite_map(policy != NULL ? 9 : 8);
    member(&m, 1, uint_item(1));
    member(&m, 2, uint_item(number_of(custom, "serial")));
    member(&m, 3, common_item(sha256, length));
    member(&m, 7, validate_item());
    member(&m, -1, text_item(custom, "product"));
    member(&m, -2, text_item(custom, "version"));
    member(&m, -3, hardware_item(custom));
    member(&m, -4, uint_item(number_of(custom, "counter")));
    if (policy != NULL) member(&m, -5, policy);
    return wrapped(m);
}

/* ---- signatures ---- */

/* r and s, each on 32 bytes, out of ECDSA-Sig-Value (RFC 3279, 2.2.3). */
static porch_err bare_signature(porch_bytes der, uint8_t out[64]) {
    porch_bytes rest = der;
    memset(out, 0, 64);
    if (rest.len < 2 || rest.at[0] != 0x30 || rest.at[1] != rest.len - 2) return PORCH_ERR_MALFORMED;
    rest = (porch_bytes){rest.at + 2, rest.len - 2};
    for (size_t i = 0; i < 2; i++) {
        if (rest.len < 2 || rest.at[0] != 0x02 || rest.at[1] > rest.len - 2) return PORCH_ERR_MALFORMED;
        porch_bytes n = {rest.at + 2, rest.at[1]};
        rest = (porch_bytes){n.at + n.len, rest.len - 2 - n.len};
        while (n.len > 32 && n.at[0] == 0)
            n = (porch_bytes){n.at + 1, n.len - 1};
        if (n.len > 32) return PORCH_ERR_MALFORMED;
        memcpy(out + 32 * i + 32 - n.len, n.at, n.len);
    }
    return rest.len == 0 ? PORCH_OK : PORCH_ERR_MALFORMED;
}

static cbor_item_t *protected_item(const porch_public_key *key) {
    uint8_t kid[32];
    cbor_item_t *p = cbor_new_definite_map(2);
    porch_sha256((porch_bytes){key->der, key->len}, kid);
    member(&p, 1, int_item(ES256));
    member(&p, 4, bytes_item((porch_bytes){kid, sizeof kid}));
    return wrapped(p);
}

/* RFC 9052, 4.4: what is signed. */
static cbor_item_t *structure_item(const cbor_item_t *protected_part, const cbor_item_t *digest) {
    cbor_item_t *s = cbor_new_definite_array(4);
    push(&s, cbor_build_string("Signature1"));
    push(&s, bytes_item(content_of(protected_part)));
    push(&s, bytes_item((porch_bytes){(const uint8_t *)"", 0}));
    push(&s, bytes_item(content_of(digest)));
    return wrapped(s);
}

static porch_err sign1_item(const porch_key *key, const cbor_item_t *digest, cbor_item_t **ret,
                            porch_why *why) {
    porch_public_key public_key;
    uint8_t block[PORCH_SIGNATURE_MAX_BYTES], bare[64];
    porch_buf der = PORCH_BUF_OF(block);
    PORCH_TRY(porch_key_public(key, &public_key, why));
    cbor_item_t *protected_part = protected_item(&public_key), *sign1 = NULL,
                *structure = protected_part != NULL ? structure_item(protected_part, digest) : NULL;
    porch_err e = structure != NULL
                      ? porch_key_sign(key, PORCH_SIGN_ECDSA_SHA256, content_of(structure), &der, why)
                      : PORCH_ERR_NO_SPACE;
    if (e == PORCH_OK) e = bare_signature(porch_buf_bytes(&der), bare);
    if (e == PORCH_OK) {
        sign1 = cbor_new_definite_array(4);
        push(&sign1, cbor_incref(protected_part));
        push(&sign1, cbor_new_definite_map(0));
        push(&sign1, cbor_build_ctrl(CBOR_CTRL_NULL));
        push(&sign1, bytes_item((porch_bytes){bare, sizeof bare}));
        *ret = wrapped(tagged(SIGN1_TAG, sign1));
        if (*ret == NULL) e = PORCH_ERR_NO_SPACE;
    }
    if (protected_part != NULL) cbor_decref(&protected_part);
    if (structure != NULL) cbor_decref(&structure);
    return e;
}

/* << [digest, signatures...] >> over the manifest's byte string, head and all. */
static porch_err authentication_item(cbor_item_t *manifest, const porch_key *const *keys, size_t count,
                                     cbor_item_t **ret, porch_why *why) {
    cbor_item_t *sign1[PORCH_MANIFEST_SIGNATURES_MOST], *digest = NULL;
    size_t signatures = 0;
    uint8_t sha256[32];
    unsigned char *at = NULL;
    size_t cap = 0, len = cbor_serialize_alloc(manifest, &at, &cap);
    porch_err e = len > 0 ? PORCH_OK : PORCH_ERR_NO_SPACE;
    if (e == PORCH_OK) {
        porch_sha256((porch_bytes){at, len}, sha256);
        digest = digest_item(sha256);
        if (digest == NULL) e = PORCH_ERR_NO_SPACE;
    }
    free(at);
    for (size_t i = 0; e == PORCH_OK && i < count && signatures < PORCH_MANIFEST_SIGNATURES_MOST; i++) {
        if (keys[i]->kind != PORCH_KEY_P256) continue;
        e = sign1_item(keys[i], digest, &sign1[signatures], why);
        if (e == PORCH_OK) signatures++;
    }
    if (e == PORCH_OK && signatures == 0)
        e = porch_fail(why, PORCH_ERR_UNSUPPORTED,
                       "a device manifest is signed by P-256 keys, and the product has none at hand");
    cbor_item_t *a = e == PORCH_OK ? cbor_new_definite_array(1 + signatures) : NULL;
    if (digest != NULL) push(&a, digest);
    for (size_t i = 0; i < signatures; i++)
        push(&a, sign1[i]);
    *ret = wrapped(a);
    return e == PORCH_OK && *ret == NULL ? PORCH_ERR_NO_SPACE : e;
}

/* ---- the whole ---- */

/* The keys' own points, as a device holds them: the last bytes of SubjectPublicKeyInfo. */
static porch_err read_back(porch_bytes text, const porch_key *const *keys, size_t count, porch_why *why) {
    uint8_t points[PORCH_MANIFEST_SIGNATURES_MOST][PORCH_MANIFEST_POINT_BYTES];
    porch_manifest_keys device = {.points = (const uint8_t(*)[PORCH_MANIFEST_POINT_BYTES])points};
    porch_manifest m;
    for (size_t i = 0; i < count && device.count < PORCH_MANIFEST_SIGNATURES_MOST; i++) {
        porch_public_key key;
        if (keys[i]->kind != PORCH_KEY_P256) continue;
        PORCH_TRY(porch_key_public(keys[i], &key, why));
        memcpy(points[device.count++], key.der + key.len - PORCH_MANIFEST_POINT_BYTES,
               PORCH_MANIFEST_POINT_BYTES);
    }
    device.threshold = device.count;
    return porch_manifest_read(porch_verify_library(), &device, text, &m, why);
}

porch_err porch_author_manifest(const json_t *target, const porch_key *const *keys, size_t count,
                                uint8_t **ret, size_t *len, porch_why *why) {
    uint8_t sha256[32];
    porch_buf hash = PORCH_BUF_OF(sha256);
    const char *hex = json_string_value(json_object_get(json_object_get(target, "hashes"), "sha256"));
    cbor_item_t *authentication = NULL, *envelope = NULL;
    unsigned char *at = NULL;
    size_t cap = 0;
    if (hex == NULL || porch_hex_read(&hash, porch_bytes_of(hex)) != PORCH_OK || hash.len != sizeof sha256)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the release names no SHA-256");
    cbor_item_t *manifest =
        manifest_item(json_object_get(target, "custom"), sha256, number_of(target, "length"));
    porch_err e = manifest != NULL ? authentication_item(manifest, keys, count, &authentication, why)
                                   : PORCH_ERR_NO_SPACE;
    if (e == PORCH_OK) {
        envelope = cbor_new_definite_map(2);
        member(&envelope, 2, authentication);
        member(&envelope, 3, cbor_incref(manifest));
        envelope = tagged(SUIT_TAG, envelope);
        *len = envelope != NULL ? cbor_serialize_alloc(envelope, &at, &cap) : 0;
        e = *len > 0 ? read_back((porch_bytes){at, *len}, keys, count, why) : PORCH_ERR_NO_SPACE;
    }
    if (manifest != NULL) cbor_decref(&manifest);
    if (envelope != NULL) cbor_decref(&envelope);
    if (e != PORCH_OK) {
        free(at);
        return e == PORCH_ERR_NO_SPACE ? porch_fail(why, e, "no memory for the manifest") : e;
    }
    *ret = at;
    return PORCH_OK;
}
