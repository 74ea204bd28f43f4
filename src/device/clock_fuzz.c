/* Any bytes as the floor on disk, and as the hub's answer: the floor never sinks, and nobody without the
 * key is believed. */
#include "device/clock.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const uint8_t key[32] = {1}, nonce[PORCH_SIGNED_TIME_NONCE_BYTES] = {2};
    porch_device_clock c = {.floor_ms = 1000};
    porch_signed_time t;
    (void)porch_clock_read((porch_bytes){at, len}, &c);
    if (c.floor_ms < 1000) abort();
    if (porch_clock_judge(&c, (porch_bytes){at, len}, key, "hub-1", nonce, &t, NULL) == PORCH_OK) abort();
    return 0;
}
