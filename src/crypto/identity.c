#include "crypto/identity.h"

#include <string.h>

static const char prefix[] = "urn:porchlight:";

static bool name_valid(porch_bytes name) {
    if (name.len == 0 || name.len > 64 || name.at[0] == '-') return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

const char *porch_identity_kind_text(porch_identity_kind kind) {
    switch (kind) {
    case PORCH_IDENTITY_DEVICE:
        return "device";
    case PORCH_IDENTITY_SERVICE:
        return "service";
    case PORCH_IDENTITY_PERSON:
        return "person";
    case PORCH_IDENTITY_NONE:
        break;
    }
    return "none";
}

porch_err porch_identity_make(porch_identity_kind kind, porch_bytes name, porch_identity *ret) {
    if (kind != PORCH_IDENTITY_DEVICE && kind != PORCH_IDENTITY_SERVICE) return PORCH_ERR_MALFORMED;
    if (!name_valid(name)) return PORCH_ERR_MALFORMED;
    porch_identity made = {.kind = kind};
    memcpy(made.name, name.at, name.len);
    *ret = made;
    return PORCH_OK;
}

porch_err porch_identity_parse(porch_bytes uri, porch_identity *ret) {
    porch_bytes start = PORCH_LIT(prefix);
    if (!porch_bytes_starts(uri, start)) return PORCH_ERR_MALFORMED;
    porch_bytes rest = {uri.at + start.len, uri.len - start.len};
    static const porch_identity_kind kinds[] = {PORCH_IDENTITY_DEVICE, PORCH_IDENTITY_SERVICE};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        porch_bytes word = porch_bytes_of(porch_identity_kind_text(kinds[i]));
        if (!porch_bytes_starts(rest, word) || rest.len == word.len || rest.at[word.len] != ':') continue;
        size_t skip = word.len + 1;
        return porch_identity_make(kinds[i], (porch_bytes){rest.at + skip, rest.len - skip}, ret);
    }
    return PORCH_ERR_MALFORMED;
}

porch_err porch_identity_uri(const porch_identity *identity, char out[PORCH_IDENTITY_URI_BYTES]) {
    if (identity->kind != PORCH_IDENTITY_DEVICE && identity->kind != PORCH_IDENTITY_SERVICE)
        return PORCH_ERR_MALFORMED;
    const char *const parts[] = {prefix, porch_identity_kind_text(identity->kind), ":", identity->name};
    size_t used = 0; /* 15 + 7 + 1 + 64 and the zero always fit */
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t len = strlen(parts[i]);
        memcpy(out + used, parts[i], len);
        used += len;
    }
    out[used] = '\0';
    return PORCH_OK;
}
