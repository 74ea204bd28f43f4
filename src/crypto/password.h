/* Password hashes: Argon2id (RFC 9106), 19 MiB, 2 passes, 1 lane. Each call takes tens of milliseconds and
 * 19 MiB: run it on a bounded worker, never on a shard. Thread-safe. */
#ifndef PORCH_CRYPTO_PASSWORD_H
#define PORCH_CRYPTO_PASSWORD_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_PASSWORD_HASH_BYTES 128
#define PORCH_PASSWORD_MAX_BYTES  1024

/* "$argon2id$v=19$m=19456,t=2,p=1$salt$hash" with a fresh 16-byte salt. LIMIT above
 * PORCH_PASSWORD_MAX_BYTES. */
porch_err porch_password_hash(porch_bytes password, char out[PORCH_PASSWORD_HASH_BYTES]);
/* OK, or AUTH for the wrong password. MALFORMED when `phc` is not an argon2id text or asks for more than
 * four times our cost (a planted hash must not starve the hub). */
porch_err porch_password_verify(const char *phc, porch_bytes password);
/* True when `phc` was made with a lower cost than today's: hash again at the next good login. */
bool porch_password_is_outdated(const char *phc);

#endif
