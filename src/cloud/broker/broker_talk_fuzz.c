/* Whole MQTT conversations against the broker in memory; see brokertalk.h. */
#include "cloud/broker/brokertalk.h"

#include "crypto/random.h"

/* The same in every run. */
void porch_random(void *at, size_t len) {
    memset(at, 7, len);
}
void porch_random_id(char out[PORCH_RANDOM_ID_BYTES]) {
    static uint32_t n;
    (void)snprintf(out, PORCH_RANDOM_ID_BYTES, "%032x", n++);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static bool begun;
    if (!begun) porch_log_init("talk", PORCH_LOG_ERROR);
    begun = true;
    talk_play((porch_bytes){data, len});
    return 0;
}
