/* Randomness of the operating system through the crypto library's generator, fit for keys. */
#ifndef PORCH_CRYPTO_RANDOM_H
#define PORCH_CRYPTO_RANDOM_H

#include "base/bytes.h"

/* Prepares the crypto library (no configuration file is read) and its generator. Call once before entering
 * a sandbox; every other function of crypto/ does it on first use, too. */
void porch_crypto_init(void);

/* Fills `len` bytes. Never fails: a process without randomness must not go on and is aborted. */
void porch_random(void *at, size_t len);

#define PORCH_RANDOM_ID_BYTES 33
/* 128 random bits in lower-case hex and a zero. */
void porch_random_id(char out[PORCH_RANDOM_ID_BYTES]);

#endif
