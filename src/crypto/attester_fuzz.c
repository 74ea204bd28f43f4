/* Any bytes as an attester's public area, and as a TPM's statement with its signature. */
#include "crypto/attester.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    porch_attester a;
    porch_key_evidence evidence = {.statement_len = 0};
    if (porch_attester_read((porch_bytes){at, len}, &a) == PORCH_OK &&
        (a.key.kind != PORCH_KEY_P256 || len > 256))
        abort();
    a.key = (porch_public_key){.kind = PORCH_KEY_P256, .len = 91};
    for (size_t i = 0; i < len && i < sizeof evidence.statement; i++)
        evidence.statement[evidence.statement_len++] = at[i];
    for (size_t i = 0; i < len && i < 72; i++)
        evidence.signature[evidence.signature_len++] = at[len - 1 - i];
    if (porch_key_check_evidence(&a.key, &a.key, PORCH_LIT("challenge"), &evidence) == PORCH_OK) abort();
    return 0;
}
