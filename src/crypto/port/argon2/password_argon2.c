/* Password hashes through libargon2. The cost is one row here; a hash that was made with less is told so at
 * login, one that asks for far more than ours is refused before any memory is taken. */
#include "crypto/password.h"

#include <argon2.h>
#include <stdio.h>
#include <string.h>

#include "crypto/random.h"

enum { MEMORY_KIB = 19456, PASSES = 2, LANES = 1, SALT_BYTES = 16, HASH_BYTES = 32, MOST_TIMES_OURS = 4 };

typedef struct {
    unsigned memory_kib, passes, lanes;
} cost;

/* The parameters of "$argon2id$v=19$m=M,t=T,p=P$...". */
static porch_err read_cost(const char *phc, cost *ret) {
    cost c;
    int used = 0;
    if (strnlen(phc, PORCH_PASSWORD_HASH_BYTES) >= PORCH_PASSWORD_HASH_BYTES) return PORCH_ERR_MALFORMED;
    if (sscanf(phc, "$argon2id$v=19$m=%9u,t=%9u,p=%9u$%n", &c.memory_kib, &c.passes, &c.lanes, &used) !=
            3 ||
        used == 0)
        return PORCH_ERR_MALFORMED;
    if (c.memory_kib > MEMORY_KIB * MOST_TIMES_OURS || c.passes > PASSES * MOST_TIMES_OURS ||
        c.lanes > LANES * MOST_TIMES_OURS)
        return PORCH_ERR_MALFORMED;
    *ret = c;
    return PORCH_OK;
}

porch_err porch_password_hash(porch_bytes password, char out[PORCH_PASSWORD_HASH_BYTES]) {
    uint8_t salt[SALT_BYTES];
    if (password.len > PORCH_PASSWORD_MAX_BYTES) return PORCH_ERR_LIMIT;
    porch_random(salt, sizeof salt);
    int answer = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password.at, password.len, salt,
                                       sizeof salt, HASH_BYTES, out, PORCH_PASSWORD_HASH_BYTES);
    return answer == ARGON2_OK ? PORCH_OK : PORCH_ERR_CRYPTO;
}

porch_err porch_password_verify(const char *phc, porch_bytes password) {
    cost c;
    PORCH_TRY(read_cost(phc, &c));
    if (password.len > PORCH_PASSWORD_MAX_BYTES) return PORCH_ERR_AUTH;
    switch (argon2id_verify(phc, password.at, password.len)) {
    case ARGON2_OK:
        return PORCH_OK;
    case ARGON2_VERIFY_MISMATCH:
        return PORCH_ERR_AUTH;
    case ARGON2_MEMORY_ALLOCATION_ERROR:
        return PORCH_ERR_BUSY;
    default:
        return PORCH_ERR_MALFORMED;
    }
}

bool porch_password_is_outdated(const char *phc) {
    cost c;
    return read_cost(phc, &c) != PORCH_OK || c.memory_kib < MEMORY_KIB || c.passes < PASSES;
}
