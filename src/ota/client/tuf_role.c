#include "ota/client/tuf_role.h"

#include <string.h>

#include "base/text.h"
#include "ota/client/tuf_json.h"

/* ---- time ---- */

static bool digits(porch_bytes text, size_t at, size_t count, unsigned *ret) {
    unsigned v = 0;
    for (size_t i = at; i < at + count; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        v = v * 10 + (unsigned)(text.at[i] - '0');
    }
    *ret = v;
    return true;
}

static bool leap(unsigned year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

porch_err porch_tuf_time_read(porch_bytes text, uint64_t *seconds) {
    static const char form[] = "0000-00-00T00:00:00Z";
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    unsigned year, month, day, hour, minute, second;
    if (text.len != sizeof form - 1) return PORCH_ERR_MALFORMED;
    for (size_t i = 0; i < text.len; i++)
        if (form[i] != '0' && text.at[i] != (uint8_t)form[i]) return PORCH_ERR_MALFORMED;
    if (!digits(text, 0, 4, &year) || !digits(text, 5, 2, &month) || !digits(text, 8, 2, &day) ||
        !digits(text, 11, 2, &hour) || !digits(text, 14, 2, &minute) || !digits(text, 17, 2, &second))
        return PORCH_ERR_MALFORMED;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
        return PORCH_ERR_MALFORMED;
    unsigned in_month = (unsigned)(before[month] - before[month - 1]) + (month == 2 && leap(year) ? 1 : 0);
    if (day > in_month) return PORCH_ERR_MALFORMED;
    unsigned past = year - 1;
    uint64_t days = (uint64_t)365 * (year - 1970) + past / 4 - 1969 / 4 - (past / 100 - 1969 / 100) +
                    (past / 400 - 1969 / 400) + before[month - 1] + (month > 2 && leap(year) ? 1 : 0) +
                    day - 1;
    *seconds = days * 86400 + (uint64_t)hour * 3600 + (uint64_t)minute * 60 + second;
    return PORCH_OK;
}

/* ---- what every role says ---- */

/* "1.x" or "1.x.y", digits only. */
static bool speaks_version_1(porch_bytes text) {
    if (text.len < 3 || text.at[0] != '1' || text.at[1] != '.') return false;
    for (size_t i = 1; i < text.len; i++) {
        bool dot = text.at[i] == '.';
        if (!dot && (text.at[i] < '0' || text.at[i] > '9')) return false;
        if (dot && (i + 1 == text.len || text.at[i + 1] == '.')) return false;
    }
    return true;
}

porch_err porch_tuf_header_read(porch_bytes document, const char *type, porch_tuf_header *ret,
                                porch_why *why) {
    porch_tuf_header h = {0};
    porch_bytes text;
    if (!porch_tuf_json_object(document, "signed", &h.content))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the %s metadata has no \"signed\" object", type);
    if (!porch_tuf_json_plain(h.content, "_type", &text) || !porch_bytes_eq_text(text, type))
        return porch_fail(why, PORCH_ERR_MALFORMED, "metadata of type %s is expected, and this is not",
                          type);
    if (!porch_tuf_json_plain(h.content, "spec_version", &text) || !speaks_version_1(text))
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "the %s metadata is not of version 1 of the format",
                          type);
    if (!porch_tuf_json_number(h.content, "version", &h.version) || h.version == 0)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the %s metadata has no version from 1 up", type);
    if (!porch_tuf_json_plain(h.content, "expires", &text) ||
        porch_tuf_time_read(text, &h.expires_s) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the %s metadata has no time of expiry", type);
    *ret = h;
    return PORCH_OK;
}

/* ---- keys and signatures ---- */

porch_err porch_tuf_trust_read(porch_bytes keys, porch_bytes role, porch_tuf_trust *ret, porch_why *why) {
    porch_tuf_trust t = {.keys = keys};
    if (!porch_tuf_json_is_object(keys) || !porch_tuf_json_array(role, "keyids", &t.keyids) ||
        !porch_tuf_json_number(role, "threshold", &t.threshold) || t.threshold == 0)
        return porch_fail(why, PORCH_ERR_MALFORMED, "a role lacks keys, keyids or a threshold from 1 up");
    if (t.threshold > PORCH_TUF_THRESHOLD_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "a role asks for more than %d signatures",
                          PORCH_TUF_THRESHOLD_MOST);
    porch_tuf_json_walk w = porch_tuf_json_open(t.keyids);
    porch_bytes name, value, inner;
    while (porch_tuf_json_next(&w, &name, &value))
        if (!porch_tuf_json_string(value, &inner))
            return porch_fail(why, PORCH_ERR_MALFORMED, "a role's keyid is not a string");
    *ret = t;
    return PORCH_OK;
}

porch_err porch_tuf_root_read(porch_bytes content, const char *role, porch_tuf_trust *ret, porch_why *why) {
    static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
    porch_bytes keys, all, one, flag;
    bool consistent = false;
    if (!porch_tuf_json_object(content, "keys", &keys) || !porch_tuf_json_object(content, "roles", &all))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the root metadata lacks keys or roles");
    if (porch_tuf_json_member(content, "consistent_snapshot", &flag) &&
        !porch_tuf_json_bool(content, "consistent_snapshot", &consistent))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the root's consistent_snapshot is neither true nor false");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        porch_tuf_trust t;
        if (!porch_tuf_json_object(all, roles[i], &one))
            return porch_fail(why, PORCH_ERR_MALFORMED, "the root metadata has no role %s", roles[i]);
        PORCH_TRY(porch_tuf_trust_read(keys, one, &t, why));
        if (strcmp(role, roles[i]) == 0) *ret = t;
    }
    return PORCH_OK;
}

static bool lists(porch_bytes keyids, porch_bytes id) {
    porch_tuf_json_walk w = porch_tuf_json_open(keyids);
    porch_bytes name, value, inner;
    while (porch_tuf_json_next(&w, &name, &value))
        if (porch_tuf_json_string(value, &inner) && porch_bytes_eq(inner, id)) return true;
    return false;
}

bool porch_tuf_trust_lost_key(const porch_tuf_trust *before, const porch_tuf_trust *now) {
    porch_tuf_json_walk w = porch_tuf_json_open(before->keyids);
    porch_bytes name, value, inner;
    while (porch_tuf_json_next(&w, &name, &value))
        if (porch_tuf_json_string(value, &inner) && !lists(now->keyids, inner)) return true;
    return false;
}

static bool find_key(porch_bytes keys, porch_bytes id, porch_bytes *ret) {
    porch_tuf_json_walk w = porch_tuf_json_open(keys);
    porch_bytes name, value;
    while (porch_tuf_json_next(&w, &name, &value))
        if (porch_bytes_eq(name, id)) {
            *ret = value;
            return porch_tuf_json_is_object(value);
        }
    return false;
}

static const struct {
    const char *keytype, *scheme;
    porch_verify_scheme is;
} schemes[] = {
    {"ed25519", "ed25519", PORCH_VERIFY_ED25519},
    {"ecdsa", "ecdsa-sha2-nistp256", PORCH_VERIFY_ECDSA_P256},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256",
     PORCH_VERIFY_ECDSA_P256}, /* repositories made before 2023 */
    {"rsa", "rsassa-pss-sha256", PORCH_VERIFY_RSA_PSS_SHA256},
};

/* The key's own text, or the bytes that its hex digits stand for. */
static bool key_bytes(porch_bytes key, uint8_t *block, size_t cap, porch_bytes *ret) {
    porch_bytes keyval, text;
    if (!porch_tuf_json_object(key, "keyval", &keyval) || !porch_tuf_json_plain(keyval, "public", &text) ||
        text.len > PORCH_TUF_KEY_BYTES)
        return false;
    if (porch_bytes_starts(text, PORCH_LIT("-----BEGIN"))) {
        *ret = text;
        return true;
    }
    porch_buf b = {block, 0, cap};
    if (porch_hex_read(&b, text) != PORCH_OK) return false;
    *ret = porch_buf_bytes(&b);
    return true;
}

static bool signed_by(const porch_verify_ops *crypto, porch_bytes key, porch_bytes sig_text,
                      porch_bytes content, uint8_t fingerprint[PORCH_VERIFY_FINGERPRINT_BYTES]) {
    uint8_t point[80], sig_block[PORCH_VERIFY_SIGNATURE_BYTES];
    porch_buf sig = PORCH_BUF_OF(sig_block);
    porch_bytes keytype, scheme, bytes;
    if (!porch_tuf_json_plain(key, "keytype", &keytype) || !porch_tuf_json_plain(key, "scheme", &scheme) ||
        !key_bytes(key, point, sizeof point, &bytes) || porch_hex_read(&sig, sig_text) != PORCH_OK)
        return false;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (porch_bytes_eq_text(keytype, schemes[i].keytype) &&
            porch_bytes_eq_text(scheme, schemes[i].scheme))
            return crypto->verify(schemes[i].is, bytes, content, porch_buf_bytes(&sig), fingerprint) ==
                   PORCH_OK;
    return false;
}

/* Each signature is an object with an id that no other has, and a text. */
static porch_err check_list(porch_bytes signatures, porch_why *why) {
    porch_tuf_json_walk w = porch_tuf_json_open(signatures);
    porch_bytes name, value, id, other, text;
    size_t count = 0;
    while (porch_tuf_json_next(&w, &name, &value)) {
        if (++count > PORCH_TUF_SIGNATURES_MOST)
            return porch_fail(why, PORCH_ERR_LIMIT, "the metadata carries more than %d signatures",
                              PORCH_TUF_SIGNATURES_MOST);
        if (!porch_tuf_json_plain(value, "keyid", &id) || !porch_tuf_json_plain(value, "sig", &text))
            return porch_fail(why, PORCH_ERR_MALFORMED, "a signature lacks its keyid or sig");
        porch_tuf_json_walk rest = w;
        while (porch_tuf_json_next(&rest, &name, &value))
            if (porch_tuf_json_plain(value, "keyid", &other) && porch_bytes_eq(id, other))
                return porch_fail(why, PORCH_ERR_MALFORMED,
                                  "a key has two signatures on one metadata file");
    }
    return PORCH_OK;
}

porch_err porch_tuf_signatures_check(const porch_verify_ops *crypto, porch_bytes document,
                                     const porch_tuf_trust *trust, porch_why *why) {
    uint8_t counted[PORCH_TUF_THRESHOLD_MOST][PORCH_VERIFY_FINGERPRINT_BYTES];
    size_t count = 0;
    porch_bytes content, signatures, name, value, id, sig, key;
    if (!porch_tuf_json_object(document, "signed", &content) ||
        !porch_tuf_json_array(document, "signatures", &signatures))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the metadata lacks \"signed\" or \"signatures\"");
    PORCH_TRY(check_list(signatures, why));
    porch_tuf_json_walk w = porch_tuf_json_open(signatures);
    while (count < trust->threshold && porch_tuf_json_next(&w, &name, &value)) {
        uint8_t fingerprint[PORCH_VERIFY_FINGERPRINT_BYTES];
        if (!porch_tuf_json_plain(value, "keyid", &id) || !porch_tuf_json_plain(value, "sig", &sig) ||
            !lists(trust->keyids, id) || !find_key(trust->keys, id, &key) ||
            !signed_by(crypto, key, sig, content, fingerprint))
            continue;
        size_t i = 0;
        while (i < count && memcmp(counted[i], fingerprint, sizeof fingerprint) != 0)
            i++;
        if (i == count) memcpy(counted[count++], fingerprint, sizeof fingerprint);
    }
    if (count < trust->threshold)
        return porch_fail(why, PORCH_ERR_SIGNATURE, "only %zu of the %u signatures that are needed fit",
                          count, (unsigned)trust->threshold);
    return PORCH_OK;
}

/* ---- what roles say of files ---- */

static bool read_hash(porch_bytes hashes, const char *name, uint8_t *out, size_t len, bool *has) {
    porch_bytes text;
    porch_buf b = {out, 0, len};
    *has = porch_tuf_json_member(hashes, name, &text);
    return !*has || (porch_tuf_json_plain(hashes, name, &text) && porch_hex_read(&b, text) == PORCH_OK &&
                     b.len == len);
}

/* Hashes that we do not know say nothing; but one that we know must be there. */
static bool read_hashes(porch_bytes holder, porch_tuf_hashes *ret) {
    porch_bytes hashes;
    return porch_tuf_json_object(holder, "hashes", &hashes) &&
           read_hash(hashes, "sha256", ret->sha256, sizeof ret->sha256, &ret->has_sha256) &&
           read_hash(hashes, "sha512", ret->sha512, sizeof ret->sha512, &ret->has_sha512) &&
           (ret->has_sha256 || ret->has_sha512);
}

static bool member_named(porch_bytes object, porch_bytes plain, porch_bytes *ret) {
    porch_tuf_json_walk w = porch_tuf_json_open(object);
    porch_bytes name;
    while (porch_tuf_json_next(&w, &name, ret))
        if (porch_tuf_json_equals(name, plain)) return true;
    return false;
}

porch_err porch_tuf_meta_read(porch_bytes content, porch_bytes name, porch_tuf_meta *ret, porch_why *why) {
    porch_tuf_meta m = {0};
    porch_bytes all, one, any;
    if (!porch_tuf_json_object(content, "meta", &all))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the metadata has no \"meta\" object");
    if (!member_named(all, name, &one))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "the metadata does not name %.*s", (int)name.len,
                          (const char *)name.at);
    bool has_length = porch_tuf_json_member(one, "length", &any);
    if (!porch_tuf_json_number(one, "version", &m.version) || m.version == 0 ||
        (has_length && !porch_tuf_json_number(one, "length", &m.length)) ||
        (porch_tuf_json_member(one, "hashes", &any) && !read_hashes(one, &m.hashes)))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the metadata says nothing usable of %.*s: version, length or hashes are wrong",
                          (int)name.len, (const char *)name.at);
    m.has_length = has_length;
    *ret = m;
    return PORCH_OK;
}

porch_err porch_tuf_target_read(porch_bytes content, porch_bytes path, porch_tuf_target *ret,
                                porch_why *why) {
    porch_tuf_target t = {0};
    porch_bytes all, one, any;
    if (!porch_tuf_json_object(content, "targets", &all))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the targets metadata has no \"targets\" object");
    if (!member_named(all, path, &one))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "no role that may speak of it names this target");
    if (!porch_tuf_json_number(one, "length", &t.length) || !read_hashes(one, &t.hashes) ||
        (porch_tuf_json_member(one, "custom", &any) && !porch_tuf_json_object(one, "custom", &t.custom)))
        return porch_fail(
            why, PORCH_ERR_MALFORMED,
            "the target's length, hashes (sha256 or sha512) or custom part are missing or wrong");
    *ret = t;
    return PORCH_OK;
}

bool porch_tuf_hashes_fit(const porch_verify_ops *crypto, const porch_tuf_hashes *hashes,
                          porch_bytes bytes) {
    uint8_t out[64];
    if (hashes->has_sha256) {
        crypto->sha256(bytes, out);
        if (memcmp(out, hashes->sha256, sizeof hashes->sha256) != 0) return false;
    }
    if (hashes->has_sha512) {
        crypto->sha512(bytes, out);
        if (memcmp(out, hashes->sha512, sizeof hashes->sha512) != 0) return false;
    }
    return true;
}
