/* What operators and TPMs hand in as certificates of others: chains, authorities, endorsement certificates,
 * with whatever extensions and keys they have. */
#include "crypto/attester.h"
#include "crypto/x509.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_MS_HIGH = 1767225 };

/* Every certificate of a text stands alone as it stood among the others. */
static void pick_all(porch_bytes in) {
    static uint8_t block[2 * PORCH_X509_INPUT_BYTES];
    for (size_t i = 0; i < 70; i++) {
        porch_buf one = PORCH_BUF_OF(block);
        porch_x509_info info, first;
        porch_err e = porch_x509_pick(in, i, &one, NULL);
        if (e != PORCH_OK && one.len != 0) abort();
        if (e != PORCH_OK) return;
        if (porch_x509_read(porch_buf_bytes(&one), &info, NULL) != PORCH_OK) continue;
        if (i == 0 && (porch_x509_read(in, &first, NULL) != PORCH_OK ||
                       memcmp(first.fingerprint, info.fingerprint, sizeof info.fingerprint) != 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const porch_bytes in = {data, size};
    const uint64_t now_ms = (uint64_t)NOW_MS_HIGH * 1000000;
    porch_why why = {""};
    porch_x509_info info;
    uint8_t credential_block[PORCH_CREDENTIAL_BYTES], seed_block[PORCH_CREDENTIAL_SEED_BYTES];
    porch_buf credential = PORCH_BUF_OF(credential_block), seed = PORCH_BUF_OF(seed_block);
    static uint8_t der_block[PORCH_X509_INPUT_BYTES];
    const porch_attester attester = {.name = {0, 0x0b}};
    const uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES] = {0};
    if (size > PORCH_X509_INPUT_BYTES) return 0;
    pick_all(in);
    bool read = porch_x509_read(in, &info, &why) == PORCH_OK;
    if (porch_x509_check_keys(in, &why) == PORCH_OK && read && info.weak_key) abort();
    (void)porch_x509_check_issuing(in, in, now_ms, &why);
    (void)porch_x509_permits(in, "localhost", &why);
    (void)porch_x509_permits(in, "192.0.2.1", &why);
    porch_buf der = PORCH_BUF_OF(der_block);
    if (porch_x509_der(in, &der, &why) != PORCH_OK) return 0;
    (void)porch_tpm_vouched(porch_buf_bytes(&der), &in, 1, now_ms, &why);
    if (porch_tpm_credential(porch_buf_bytes(&der), &attester, secret, &credential, &seed, &why) !=
            PORCH_OK &&
        credential.len + seed.len != 0)
        abort();
    return 0;
}
