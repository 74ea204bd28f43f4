/* A vault from a stranger's disk or backup: its outer parts lie within it, and nothing opens it. */
#include <stdlib.h>
#include <string.h>

#include "cloud/seal/vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void inside(porch_bytes part, const uint8_t *at, size_t len) {
    if (part.len > 0 && (part.at < at || part.len > len || part.at - at > (ptrdiff_t)(len - part.len)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const uint8_t secret[32] = {1};
    static porch_vault vault;
    porch_vault_parts p;
    if (porch_vault_parse((porch_bytes){at, len}, &p) != PORCH_OK) return 0;
    const porch_bytes parts[] = {p.blob,  p.wrapped, p.recovery_public, p.recovery_box, p.head,
                                 p.nonce, p.body};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        inside(parts[i], at, len);
    if (p.head.len + p.nonce.len + p.body.len != len) abort();
    if (porch_vault_open(&p, (porch_bytes){secret, sizeof secret}, &vault, NULL) == PORCH_OK) abort();
    return 0;
}
