/* Opening a folder, the SDK thread, and closing. See device_private.h for who touches what. */
#include "device/port/linux/device_private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "crypto/random.h"
#include "device/port/linux/device_key.h"
#include "os/clock.h"
#include "os/file.h"

enum { PATH_BYTES = 4096, FAREWELL_MS = 1000 };

void porch_device_wake(porch_device *d) {
    uint64_t one = 1;
    ssize_t n = write(d->wake_fd, &one, sizeof one);
    (void)n; /* full means that a wake-up waits already */
}

uint32_t porch_device_random32(void) {
    uint32_t v = 0;
    porch_random(&v, sizeof v);
    return v;
}

const char *porch_device_id(const porch_device *d) {
    return porch_device_conf_name(&d->conf);
}

bool porch_device_is_service(const porch_device *d) {
    return d->conf.service[0] != 0;
}

bool porch_device_is_connected(porch_device *d) {
    (void)pthread_mutex_lock(&d->lock);
    bool connected = d->connected;
    (void)pthread_mutex_unlock(&d->lock);
    return connected;
}

/* --- the SDK thread --- */

static int poll_timeout(porch_device *d, uint64_t now_ms) {
    uint64_t at = porch_device_mqtt_deadline(d);
    uint64_t errand = porch_device_errand_deadline(d, now_ms);
    if (errand < at) at = errand;
    for (size_t i = 0; i < UPLOADS; i++) {
        uint64_t due = porch_device_upload_deadline(&d->upload[i]);
        if (due < at) at = due;
    }
    if (at <= now_ms) return 0;
    return at - now_ms < 60000 ? (int)(at - now_ms) : 60000;
}

static void sleep_until_something(porch_device *d, uint64_t now_ms) {
    struct pollfd fds[3 + UPLOADS] = {{.fd = d->wake_fd, .events = POLLIN}};
    fds[1] = (struct pollfd){.fd = porch_link_fd(&d->mqtt.link),
                             .events = porch_link_events(&d->mqtt.link, porch_device_mqtt_output_waits(d))};
    for (size_t i = 0; i < UPLOADS; i++) {
        const upload_side *u = &d->upload[i];
        fds[2 + i] =
            (struct pollfd){.fd = porch_link_fd(&u->link),
                            .events = porch_link_events(&u->link, porch_device_upload_output_waits(u))};
    }
    fds[2 + UPLOADS] =
        (struct pollfd){.fd = porch_link_fd(&d->errand.link),
                        .events = porch_link_events(&d->errand.link, porch_device_errand_output_waits(d))};
    (void)poll(fds, sizeof fds / sizeof fds[0], poll_timeout(d, now_ms)); /* EINTR: one turn for nothing */
    uint64_t count = 0;
    if ((fds[0].revents & POLLIN) != 0 && read(d->wake_fd, &count, sizeof count) < 0) return;
}

static bool stopping(porch_device *d) {
    (void)pthread_mutex_lock(&d->lock);
    bool stop = d->stopping;
    (void)pthread_mutex_unlock(&d->lock);
    return stop;
}

static void *run(void *ctx) {
    porch_device *d = ctx;
    while (!stopping(d)) {
        uint64_t now_ms = porch_clock_mono_ms();
        porch_device_mqtt_step(d, now_ms);
        for (size_t i = 0; i < UPLOADS; i++)
            porch_device_upload_step(d, &d->upload[i], now_ms);
        porch_device_errand_step(d, now_ms);
        porch_device_deliver(d);
        sleep_until_something(d, porch_clock_mono_ms());
    }
    porch_device_upload_stop(d);
    porch_link_close(&d->errand.link);
    uint64_t began_ms = porch_clock_mono_ms(), now_ms = began_ms;
    while (!porch_device_mqtt_stop(d, now_ms) && now_ms - began_ms < FAREWELL_MS) {
        struct pollfd p = {.fd = porch_link_fd(&d->mqtt.link), .events = POLLOUT};
        (void)poll(&p, 1, 100);
        now_ms = porch_clock_mono_ms();
    }
    porch_link_close(&d->mqtt.link);
    porch_device_deliver(d);
    return NULL;
}

/* --- opening --- */

static porch_err open_conf(porch_device *d, const char *folder, porch_why *why) {
    if (!porch_bytes_to_text(porch_bytes_of(folder), d->folder, sizeof d->folder))
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the path %.100s is too long", folder);
    return porch_device_conf_load(folder, &d->conf, why);
}

static porch_err join_and_make(const char *dir, const char *name, char out[PATH_BYTES], porch_why *why) {
    porch_err e = porch_path_join(dir, name, out, PATH_BYTES);
    if (e != PORCH_OK) return porch_fail(why, e, "the path %.100s is too long", dir);
    return porch_dir_make(out, 0700, why);
}

static porch_err open_state(porch_device *d, const char *folder, porch_why *why) {
    char state[PATH_BYTES], path[PATH_BYTES];
    porch_spool_storage storage;
    PORCH_TRY(join_and_make(folder, "state", state, why));
    PORCH_TRY(porch_path_join(state, "lock", path, sizeof path));
    porch_err e = porch_file_lock(path, &d->lock_fd, why);
    if (e == PORCH_ERR_BUSY)
        return porch_fail(why, PORCH_ERR_BUSY, "another process runs with the folder %.150s; stop it first",
                          folder);
    if (e != PORCH_OK) return e;
    PORCH_TRY(join_and_make(state, "spool", path, why));
    PORCH_TRY(porch_spool_files_open(&d->files, path, &storage, why));
    const porch_spool_config config = {d->options.spool_bytes, SEGMENT_BYTES};
    PORCH_TRY(porch_spool_open(&d->spool, &storage, &config, why));
    porch_device_judge_spool(d, PORCH_OK); /* nobody else has the device yet: it needs no lock */
    d->outbox_block = malloc(SEGMENT_BYTES);
    if (!d->outbox_block) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    porch_outbox_init(&d->outbox, &d->spool, (porch_buf){d->outbox_block, 0, SEGMENT_BYTES});
    PORCH_TRY(join_and_make(state, "clips", path, why));
    PORCH_TRY(porch_clip_store_open(&d->clips, path, d->options.clip_bytes, why));
    if (d->clips.set_aside > 0)
        porch_device_tell(
            d, &(porch_device_status){.news = PORCH_DEVICE_WARNING,
                                      .count = d->clips.set_aside,
                                      .text = "clips that cannot be read were set aside as "
                                              "state/clips/*.bad: check the disk, and remove them"});
    return PORCH_OK;
}

static void set_defaults(porch_device_options *o) {
    if (o->spool_bytes == 0) o->spool_bytes = 8u << 20;
    const uint64_t least = (uint64_t)SEGMENT_BYTES * 2;
    if (o->spool_bytes < least) o->spool_bytes = least;
    /* More segments than the spool can number are no use. */
    uint64_t most = (uint64_t)SEGMENT_BYTES * PORCH_SPOOL_SEGMENTS_MOST;
    if (o->spool_bytes > most) o->spool_bytes = most;
    if (o->clip_bytes == 0) o->clip_bytes = 256u << 20;
    if (o->keep_alive_seconds == 0) o->keep_alive_seconds = 30;
    if (o->keep_alive_seconds > UINT16_MAX) o->keep_alive_seconds = UINT16_MAX;
    if (o->back_off_most_ms == 0) o->back_off_most_ms = 60000;
}

static porch_err open_locks(porch_device *d, porch_why *why) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return porch_fail(why, PORCH_ERR_IO, "no condition variable");
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (d->wake_fd < 0) return porch_fail(why, PORCH_ERR_IO, "eventfd: %s", strerror(errno));
    return PORCH_OK;
}

/* Signals are the product's business: none is delivered on our threads, and a broken connection raises
 * none. */
bool porch_device_thread(pthread_t *ret, void *(*fn)(void *), void *ctx) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(ret, NULL, fn, ctx);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = r;
    return r == 0;
}

static porch_err start_thread(porch_device *d, porch_why *why) {
    d->thread_runs = porch_device_thread(&d->thread, run, d);
    return d->thread_runs ? PORCH_OK
                          : porch_fail(why, PORCH_ERR_IO, "no thread can be started: %s", strerror(errno));
}

porch_device *porch_device_open(const porch_device_options *options, porch_device_why *why) {
    porch_why inner = {{0}};
    porch_device *d = calloc(1, sizeof *d);
    if (!d) {
        (void)porch_device_say(why, PORCH_ERR_NO_SPACE, "out of memory");
        return NULL;
    }
    d->options = *options;
    set_defaults(&d->options);
    d->lock_fd = d->wake_fd = -1;
    d->files = (porch_spool_files){.dir_fd = -1, .append_fd = -1, .read_fd = -1};
    d->clips.dir_fd = -1;
    d->now_last = &d->now_first;
    d->news_last = &d->news_first;
    porch_crypto_init();
    porch_err e = open_locks(d, &inner);
    if (e == PORCH_OK) e = open_conf(d, options->folder, &inner);
    if (e == PORCH_OK) e = porch_device_trust_open(d, &inner);
    if (e == PORCH_OK) e = open_state(d, options->folder, &inner);
    porch_device_mqtt_init(d);
    porch_device_upload_init(d);
    porch_device_errand_init(d);
    if (e == PORCH_OK) e = start_thread(d, &inner);
    if (e != PORCH_OK) {
        (void)porch_device_fail(why, e, &inner);
        porch_device_close(d);
        return NULL;
    }
    return d;
}

void porch_device_close(porch_device *d) {
    if (!d) return;
    if (d->thread_runs) {
        (void)pthread_mutex_lock(&d->lock);
        d->stopping = true;
        (void)pthread_mutex_unlock(&d->lock);
        porch_device_update_stop(d);
        porch_device_wake(d);
        (void)pthread_join(d->thread, NULL);
    }
    porch_link_end(&d->mqtt.link);
    for (size_t i = 0; i < UPLOADS; i++)
        porch_link_end(&d->upload[i].link);
    porch_link_end(&d->errand.link);
    porch_device_update_free(d);
    porch_device_news_free(d);
    porch_device_now_clear(d);
    porch_device_twin_free(d);
    porch_clip_store_close(&d->clips);
    porch_spool_files_close(&d->files);
    free(d->outbox_block);
    porch_device_trust_free(d);
    if (d->wake_fd >= 0) (void)close(d->wake_fd);
    if (d->lock_fd >= 0) (void)close(d->lock_fd);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}
