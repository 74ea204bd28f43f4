#include "wire/upload.h"

#include <string.h>

#include "base/text.h"

#define SHA256_BYTES 32
#define SHA256_TEXT  44 /* base64 with padding */

porch_err porch_upload_offset_parse(porch_bytes value, uint64_t *ret) {
    return porch_decimal_read(value, PORCH_UPLOAD_OFFSET_MOST, ret);
}

porch_err porch_upload_complete_parse(porch_bytes value, bool *ret) {
    bool yes = porch_bytes_eq_text(value, "?1");
    if (!yes && !porch_bytes_eq_text(value, "?0")) return PORCH_ERR_MALFORMED;
    *ret = yes;
    return PORCH_OK;
}

static porch_bytes trim(porch_bytes text) {
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static porch_err read_member(porch_bytes member, uint8_t digest[SHA256_BYTES]) {
    const porch_bytes name = PORCH_LIT("sha-256=:");
    if (member.len != name.len + SHA256_TEXT + 1 || member.at[member.len - 1] != ':')
        return PORCH_ERR_MALFORMED;
    porch_buf out = {digest, 0, SHA256_BYTES};
    PORCH_TRY(porch_base64_read(&out, (porch_bytes){member.at + name.len, SHA256_TEXT}, false));
    return out.len == SHA256_BYTES ? PORCH_OK : PORCH_ERR_MALFORMED;
}

porch_err porch_upload_digest_parse(porch_bytes value, uint8_t ret[32]) {
    uint8_t digest[SHA256_BYTES];
    bool seen = false;
    for (bool more = true; more;) {
        const uint8_t *comma = value.len == 0 ? NULL : memchr(value.at, ',', value.len);
        more = comma != NULL;
        size_t n = more ? (size_t)(comma - value.at) : value.len;
        porch_bytes member = trim((porch_bytes){value.at, n});
        if (member.len == 0) return PORCH_ERR_MALFORMED;
        if (porch_bytes_starts(member, PORCH_LIT("sha-256=")) || porch_bytes_eq_text(member, "sha-256")) {
            if (seen) return PORCH_ERR_MALFORMED;
            PORCH_TRY(read_member(member, digest));
            seen = true;
        }
        if (more) value = (porch_bytes){comma + 1, value.len - n - 1};
    }
    if (!seen) return PORCH_ERR_MALFORMED;
    memcpy(ret, digest, SHA256_BYTES);
    return PORCH_OK;
}

porch_err porch_upload_event_parse(porch_bytes value, porch_id *ret) {
    return porch_id_parse(value, ret);
}

porch_err porch_upload_offset_write(porch_buf *b, uint64_t offset) {
    return offset > PORCH_UPLOAD_OFFSET_MOST ? PORCH_ERR_LIMIT : porch_write_decimal(b, offset);
}

porch_err porch_upload_complete_write(porch_buf *b, bool complete) {
    return porch_write_text(b, complete ? "?1" : "?0");
}

porch_err porch_upload_digest_write(porch_buf *b, const uint8_t sha256[32]) {
    size_t start = b->len;
    porch_err e = porch_write_text(b, "sha-256=:");
    if (e == PORCH_OK) e = porch_base64_write(b, (porch_bytes){sha256, SHA256_BYTES}, false);
    if (e == PORCH_OK) e = porch_write_text(b, ":");
    if (e != PORCH_OK) b->len = start;
    return e;
}
