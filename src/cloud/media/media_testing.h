/* What this room's tests share: a store in a directory of its own, a signer that only derives clip keys,
 * and a media room over both. Included by tests only. */
#ifndef PORCH_CLOUD_MEDIA_TESTING_H
#define PORCH_CLOUD_MEDIA_TESTING_H

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloud/store/store_testing.h"

#include <cmocka.h>

#include "cloud/media/media.h"
#include "cloud/media/media_clip.h"
#include "cloud/media/media_event.h"
#include "cloud/media/media_upload.h"
#include "cloud/signer/signer_ipc.h"
#include "crypto/sha256.h"
#include "os/channel.h"

typedef struct {
    store_lab lab;
    pthread_t signer_thread;
    int signer_fd;
    porch_signer_client *signer;
    porch_analyst_client *analyst;
    porch_media *media;
    porch_why why;
} media_lab;

/* Answers CLIP_KEY with SHA-256 of the clip id, until its client closes. */
static void *media_lab_signer(void *ctx) {
    media_lab *m = ctx;
    static uint8_t in[PORCH_SIGNER_MESSAGE_MAX], out[4096];
    for (;;) {
        porch_buf request = PORCH_BUF_OF(in), answer = PORCH_BUF_OF(out);
        porch_signer_request r;
        uint8_t key[32];
        if (porch_channel_receive(m->signer_fd, &request, NULL, 0, NULL, -1, NULL) != PORCH_OK) return NULL;
        if (porch_signer_request_read(porch_buf_bytes(&request), &r) != PORCH_OK) abort();
        porch_sha256(r.name, key);
        const porch_signer_answer a = {.number = r.number, .data = {key, sizeof key}};
        if (porch_signer_answer_write(&answer, &a) != PORCH_OK) abort();
        if (porch_channel_send(m->signer_fd, porch_buf_bytes(&answer), NULL, 0, -1, NULL) != PORCH_OK)
            return NULL;
    }
}

/* Devices are known by their names: "front" and "back" at home, "gate" next door, "nobody" not at all. */
static porch_err media_lab_owner(void *ctx, const char *device, porch_media_owner *ret) {
    (void)ctx;
    if (strcmp(device, "nobody") == 0) return PORCH_ERR_NOT_FOUND;
    memset(ret, 0, sizeof *ret);
    (void)snprintf(ret->device, sizeof ret->device, "%s", device);
    (void)snprintf(ret->product, sizeof ret->product, "camera");
    (void)snprintf(ret->household, sizeof ret->household, "%s",
                   strcmp(device, "gate") == 0 ? "next-door" : "home");
    return PORCH_OK;
}

static inline porch_media_owner media_lab_device(const char *device) {
    porch_media_owner o;
    (void)media_lab_owner(NULL, device, &o);
    return o;
}

static inline void media_lab_open(media_lab *m) {
    assert_int_equal(store_lab_open(&m->lab), PORCH_OK);
    const porch_media_config config = {.dir = m->lab.dir,
                                       .store = m->lab.store,
                                       .signer = m->signer,
                                       .analyst = m->analyst,
                                       .settings = &m->lab.settings,
                                       .owner_of = media_lab_owner};
    m->why.text[0] = '\0';
    porch_err e = porch_media_open(&config, &m->media, &m->why);
    if (e != PORCH_OK) fail_msg("%s", porch_why_text(&m->why, e));
}

static inline void media_lab_close(media_lab *m) {
    porch_media_stop(m->media);
    store_lab_close(&m->lab);
    porch_media_close(m->media);
    m->media = NULL;
}

static inline int media_lab_setup(void **state) {
    media_lab *m = calloc(1, sizeof *m);
    int pair[2];
    if (m == NULL) return -1;
    *state = m;
    if (porch_channel_pair(pair, NULL) != PORCH_OK) return -1;
    store_lab_make(&m->lab);
    m->signer_fd = pair[1];
    m->signer = porch_signer_client_new();
    porch_signer_client_attach(m->signer, pair[0]);
    if (pthread_create(&m->signer_thread, NULL, media_lab_signer, m) != 0) return -1;
    return 0;
}

static inline int media_lab_teardown(void **state) {
    media_lab *m = *state;
    media_lab_close(m);
    porch_signer_client_free(m->signer);
    (void)pthread_join(m->signer_thread, NULL);
    (void)close(m->signer_fd);
    store_lab_remove(&m->lab);
    free(m);
    return 0;
}

/* How the name of the file ends whose next fsync fails, as the system tells of a write that failed: once,
 * and of that file alone. "": none. */
static char media_lab_sync_fails[32];

/* In the place of the system's. */
int fsync(int fd) {
    char link[64], path[PATH_MAX] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    size_t len = n > 0 ? (size_t)n : 0, end = strlen(media_lab_sync_fails);
    if (end > 0 && len >= end && strcmp(path + len - end, media_lab_sync_fails) == 0) {
        media_lab_sync_fails[0] = '\0';
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* How the database would carry a statement out. */
typedef struct {
    const char *sql;
    char text[1024];
} media_lab_plan;

static porch_err media_lab_explain(porch_db *db, void *ctx, porch_why *why) {
    media_lab_plan *p = ctx;
    char sql[2048];
    porch_err e;
    (void)snprintf(sql, sizeof sql, "explain query plan %s", p->sql);
    p->text[0] = '\0';
    porch_db_query *q = porch_db_prepare(db, sql, why);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_bytes line = porch_db_text(q, 3);
        size_t len = strlen(p->text);
        (void)snprintf(p->text + len, sizeof p->text - len, "%.*s\n", PORCH_FMT(line));
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static inline media_lab_plan media_lab_plan_of(media_lab *m, const char *sql) {
    media_lab_plan p = {.sql = sql};
    assert_int_equal(porch_store_read(m->lab.store, media_lab_explain, &p, &m->why), PORCH_OK);
    return p;
}

/* It goes from index to index: no table is walked, nothing is sorted. */
static inline bool media_lab_plan_is_narrow(const media_lab_plan *p) {
    return strstr(p->text, "SCAN") == NULL && strstr(p->text, "TEMP B-TREE") == NULL &&
           strstr(p->text, "SEARCH") != NULL;
}

/* Bytes that differ everywhere and are the same each run. */
static inline void media_lab_pattern(uint8_t *at, size_t len, uint32_t seed) {
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        at[i] = (uint8_t)(seed >> 24);
    }
}

#endif
