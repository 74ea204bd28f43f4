#include "crypto/random.h"

#include <limits.h>
#include <pthread.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/text.h"
#include "crypto/port/openssl/openssl.h"

static void init_once(void) {
    /* No configuration file: what is secure is decided here, and a sandbox may forbid the file. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1) porch_openssl_abort("start");
    uint8_t byte;
    if (RAND_bytes(&byte, 1) != 1) porch_openssl_abort("seeding");
}

void porch_crypto_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_once);
}

void porch_random(void *at, size_t len) {
    porch_crypto_init();
    uint8_t *to = at;
    while (len > 0) {
        int n = len > INT_MAX ? INT_MAX : (int)len;
        if (RAND_bytes(to, n) != 1) porch_openssl_abort("randomness");
        to += n;
        len -= (size_t)n;
    }
}

void porch_random_id(char out[PORCH_RANDOM_ID_BYTES]) {
    uint8_t raw[16];
    porch_random(raw, sizeof raw);
    porch_buf text = {(uint8_t *)out, 0, PORCH_RANDOM_ID_BYTES - 1};
    (void)porch_hex_write(&text, (porch_bytes){raw, sizeof raw}); /* 32 digits fit exactly */
    out[PORCH_RANDOM_ID_BYTES - 1] = '\0';
}
