/* A role's word: what is taken is said back the same, and is one role. */
#include "wire/role.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_role role;
    porch_bytes text = {data, size};
    if (porch_role_parse(text, &role) != PORCH_OK) return 0;
    if (!porch_bytes_eq_text(text, porch_role_name(role)) || ((unsigned)role & ((unsigned)role - 1)) != 0)
        abort();
    return 0;
}
