#include "crypto/key_uri.h"

#include "crypto/pkcs11.h"
#include "crypto/tpm.h"

enum { HANDLE_DIGITS = 8, PERSISTENT = 0x81 };

static porch_err no_key(porch_why *why) {
    return porch_fail(why, PORCH_ERR_MALFORMED,
                      "a key is named as tpm2:0x81000010, pkcs11:object=NAME;token=... or file:key.pem");
}

static porch_err read_handle(porch_bytes text, uint32_t *ret) {
    uint32_t handle = 0;
    if (!porch_bytes_starts(text, PORCH_LIT("0x")) || text.len != 2 + HANDLE_DIGITS)
        return PORCH_ERR_MALFORMED;
    for (size_t i = 2; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool digit = c >= '0' && c <= '9', low = c >= 'a' && c <= 'f', high = c >= 'A' && c <= 'F';
        if (!digit && !low && !high) return PORCH_ERR_MALFORMED;
        handle = handle << 4 | (uint32_t)(digit ? c - '0' : low ? c - 'a' + 10 : c - 'A' + 10);
    }
    if (handle >> 24 != PERSISTENT) return PORCH_ERR_MALFORMED;
    *ret = handle;
    return PORCH_OK;
}

porch_err porch_key_uri_parse(porch_bytes text, porch_key_uri *ret, porch_why *why) {
    static const struct {
        const char *scheme;
        porch_key_place place;
    } schemes[] = {
        {"file:", PORCH_KEY_IN_FILE}, {"tpm2:", PORCH_KEY_IN_TPM}, {"pkcs11:", PORCH_KEY_IN_PKCS11}};
    porch_key_uri made = {.place = PORCH_KEY_IN_FILE};
    size_t i = 0;
    while (i < 3 && !porch_bytes_starts(text, porch_bytes_of(schemes[i].scheme)))
        i++;
    if (i == 3 || !porch_bytes_to_text(text, made.text, sizeof made.text)) return no_key(why);
    size_t skip = porch_bytes_of(schemes[i].scheme).len;
    porch_bytes rest = {text.at + skip, text.len - skip};
    made.place = schemes[i].place;
    bool good = rest.len > 0;
    if (made.place == PORCH_KEY_IN_FILE)
        good = good && porch_bytes_to_text(rest, made.path, sizeof made.path);
    if (made.place == PORCH_KEY_IN_TPM) good = read_handle(rest, &made.handle) == PORCH_OK;
    if (!good) return no_key(why);
    *ret = made;
    return PORCH_OK;
}

porch_err porch_key_uri_open(const porch_key_uri *uri, const char *tcti, porch_key **ret, porch_why *why) {
    if (uri->place == PORCH_KEY_IN_TPM) return porch_tpm_key_open(tcti, uri->handle, ret, why);
    if (uri->place == PORCH_KEY_IN_PKCS11) return porch_pkcs11_key_open(uri->text, ret, why);
    return porch_fail(why, PORCH_ERR_UNSUPPORTED, "a key file is not opened by a key store");
}

porch_err porch_key_uri_make(const porch_key_uri *uri, const char *tcti, porch_key **ret, porch_why *why) {
    if (uri->place == PORCH_KEY_IN_TPM) return porch_tpm_key_make(tcti, uri->handle, ret, why);
    if (uri->place == PORCH_KEY_IN_PKCS11) return porch_pkcs11_key_make(uri->text, ret, why);
    return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                      "key files are for development: 'porchlight device add' without --csr makes one");
}
