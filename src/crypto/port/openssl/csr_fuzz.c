/* What strangers hand in as requests and certificates. Whatever is accepted must hold what its type
 * promises. */
#include "crypto/x509.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes in = {data, size};
    porch_why why = {""};
    porch_public_key key;
    if (porch_csr_read(in, &key, &why) == PORCH_OK) {
        bool kind_known =
            key.kind == PORCH_KEY_P256 || key.kind == PORCH_KEY_P384 || key.kind == PORCH_KEY_ED25519;
        if (!kind_known || key.len == 0 || key.len > sizeof key.der) abort();
        if (porch_key_verify(&key, porch_key_scheme(key.kind), in, in) == PORCH_OK) abort();
    }
    char challenge[PORCH_CSR_CHALLENGE_BYTES];
    if (porch_csr_challenge(in, challenge, &why) == PORCH_OK && strlen(challenge) == 0) abort();
    static uint8_t bundle_block[2 * PORCH_X509_INPUT_BYTES];
    porch_buf bundle = PORCH_BUF_OF(bundle_block);
    (void)porch_x509_bundle(in, &bundle, &why);
    porch_x509_info info;
    if (porch_x509_read(in, &info, &why) == PORCH_OK) {
        bool named = info.identity.kind != PORCH_IDENTITY_NONE;
        if (named != (info.identity.name[0] != '\0')) abort();
        char uri[PORCH_IDENTITY_URI_BYTES];
        porch_identity again;
        if (named && (porch_identity_uri(&info.identity, uri) != PORCH_OK ||
                      porch_identity_parse(porch_bytes_of(uri), &again) != PORCH_OK))
            abort();
        porch_identity factory;
        if (info.factory_id[0] != '\0' &&
            porch_identity_make(PORCH_IDENTITY_DEVICE, porch_bytes_of(info.factory_id), &factory) !=
                PORCH_OK)
            abort();
        if (memchr(info.subject, 0, sizeof info.subject) == NULL ||
            memchr(info.serial, 0, sizeof info.serial) == NULL)
            abort();
        (void)porch_x509_covers(in, "localhost", &why);
        (void)porch_x509_verify(in, in, true, 1767225600000u, &why);
    }
    porch_key *loaded = NULL;
    if (porch_key_load_pem(in, &loaded, &why) == PORCH_OK) porch_key_free(loaded);
    return 0;
}
