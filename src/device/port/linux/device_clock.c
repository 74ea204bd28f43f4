/* The device's time: device/clock.h with this system's clocks, and its floor in FOLDER/state/time.
 *
 * The last signed time of this process also serves porch_device_now_ms, which knows no device. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "device/port/linux/device_private.h"
#include "os/clock.h"
#include "os/file.h"

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static porch_device_clock shared; /* under shared_lock, as each device's clock where threads meet */

/* Goes on while the machine sleeps. */
static uint64_t steady_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail for this clock */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t porch_device_now_ms(void) {
    (void)pthread_mutex_lock(&shared_lock);
    uint64_t now_ms = porch_clock_now(&shared, porch_clock_ms(), steady_ms());
    (void)pthread_mutex_unlock(&shared_lock);
    return now_ms;
}

uint64_t porch_device_clock_ms(void *ctx) {
    const porch_device *d = ctx;
    (void)pthread_mutex_lock(&shared_lock);
    uint64_t now_ms = porch_clock_now(&d->clock, porch_clock_ms(), steady_ms());
    (void)pthread_mutex_unlock(&shared_lock);
    return now_ms;
}

uint64_t porch_device_proven_ms(void *ctx) {
    const porch_device *d = ctx;
    (void)pthread_mutex_lock(&shared_lock);
    bool known = !d->conf.time_key.there || porch_clock_is_known(&d->clock, porch_clock_ms());
    (void)pthread_mutex_unlock(&shared_lock);
    return known ? porch_device_clock_ms(ctx) : 0;
}

uint64_t porch_device_floor_ms(void *ctx) {
    const porch_device *d = ctx;
    (void)pthread_mutex_lock(&shared_lock);
    uint64_t floor_ms = d->clock.floor_ms;
    (void)pthread_mutex_unlock(&shared_lock);
    return floor_ms;
}

void porch_device_clock_raise(porch_device *d, uint64_t at_least_ms) {
    (void)pthread_mutex_lock(&shared_lock);
    porch_clock_raise(&d->clock, at_least_ms);
    (void)pthread_mutex_unlock(&shared_lock);
}

bool porch_device_clock_wants(const porch_device *d) {
    return d->conf.time_key.there && porch_clock_wants(&d->clock, steady_ms());
}

static porch_err path_of(const porch_device *d, char out[FOLDER_BYTES]) {
    return porch_path_join(d->folder, "state/time", out, FOLDER_BYTES);
}

void porch_device_clock_open(porch_device *d) {
    char path[FOLDER_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    porch_clock_raise(&d->clock, d->trust.not_before_ms);
    if (path_of(d, path) == PORCH_OK &&
        porch_file_read(path, PORCH_CLOCK_TEXT_MOST, &text, &len, NULL) == PORCH_OK)
        (void)porch_clock_read((porch_bytes){text, len}, &d->clock);
    free(text);
    (void)pthread_mutex_lock(&shared_lock);
    porch_clock_raise(&shared, d->clock.floor_ms);
    (void)pthread_mutex_unlock(&shared_lock);
}

porch_err porch_device_clock_take(porch_device *d, porch_bytes answer, const uint8_t key[32],
                                  const uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES],
                                  porch_signed_time *ret, porch_why *why) {
    (void)pthread_mutex_lock(&shared_lock);
    const porch_device_clock now = d->clock;
    (void)pthread_mutex_unlock(&shared_lock);
    PORCH_TRY(porch_clock_judge(&now, answer, key, d->conf.hub_id, nonce, ret, why));
    return porch_device_clock_set(d, ret->at_ms, why);
}

porch_err porch_device_clock_set(porch_device *d, uint64_t at_ms, porch_why *why) {
    char path[FOLDER_BYTES];
    uint8_t block[PORCH_CLOCK_TEXT_MOST];
    porch_buf text = PORCH_BUF_OF(block);
    uint64_t steady = steady_ms();
    (void)pthread_mutex_lock(&shared_lock);
    porch_clock_set(&d->clock, at_ms, steady);
    porch_clock_set(&shared, at_ms, steady);
    const porch_device_clock now = d->clock;
    (void)pthread_mutex_unlock(&shared_lock);
    PORCH_TRY(path_of(d, path));
    PORCH_TRY(porch_clock_write(&now, &text));
    return porch_file_write_atomic(path, porch_buf_bytes(&text), 0600, why);
}
