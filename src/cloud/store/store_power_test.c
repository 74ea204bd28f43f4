/* Pulls the plug: a file layer below SQLite that knows what has been synced and what only written.
 *
 *   store ─► SQLite ─► this layer ─► DIR        the running system's view
 *                          └──────► DISK       what a platter would hold: synced writes, and at the cut
 *                                              any part of the others, torn at 512 bytes, in any choice
 *
 * After a cut a store is opened on DISK: every ticket that had been reported durable must be there. */
#include "cloud/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "cloud/store/store_testing.h"
#include "os/log.h"

enum { CUTS = 40, SECTOR = 512 };

/* ---- the disk ----------------------------------------------------------------------------------- */

/* A write (or, with no data, a truncation) that has not been synced. */
typedef struct pending {
    struct pending *next;
    int64_t offset;
    size_t len;
    bool truncate;
    uint8_t data[];
} pending;

typedef struct {
    char name[32]; /* "hub.db", "hub.db-wal" */
    pending *first, **end;
} disk_file;

static struct {
    pthread_mutex_t lock;
    char live[64], disk[64];
    disk_file files[4];
    size_t count;
    bool on;
} plug = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned dice_state = 1;

static unsigned dice(unsigned sides) {
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 8) % sides;
}

static int disk_open(const disk_file *f) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", plug.disk, f->name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) abort();
    return fd;
}

static void put(int fd, const uint8_t *at, size_t len, int64_t offset) {
    if (pwrite(fd, at, len, offset) != (ssize_t)len) abort();
}

/* All of it (synced), or what a cut leaves: each sector is there or not. */
static void apply(int fd, const pending *p, bool whole) {
    if (p->truncate) {
        if ((whole || dice(2) == 0) && ftruncate(fd, p->offset) != 0) abort();
        return;
    }
    if (whole) {
        put(fd, p->data, p->len, p->offset);
        return;
    }
    unsigned luck = dice(4); /* none, all, or torn */
    for (size_t at = 0; at < p->len && luck != 0; at += SECTOR) {
        size_t len = p->len - at < SECTOR ? p->len - at : SECTOR;
        if (luck == 1 || dice(2) == 0) put(fd, p->data + at, len, p->offset + (int64_t)at);
    }
}

static void settle(disk_file *f, bool whole) {
    int fd = disk_open(f);
    for (pending *p = f->first, *next; p != NULL; p = next) {
        next = p->next;
        apply(fd, p, whole);
        free(p);
    }
    close(fd);
    f->first = NULL;
    f->end = &f->first;
}

static void note(disk_file *f, const void *data, size_t len, int64_t offset, bool truncate) {
    pthread_mutex_lock(&plug.lock);
    if (plug.on) {
        pending *p = malloc(sizeof *p + len);
        if (p == NULL) abort();
        *p = (pending){.offset = offset, .len = len, .truncate = truncate};
        if (len > 0) memcpy(p->data, data, len);
        *f->end = p;
        f->end = &p->next;
    }
    pthread_mutex_unlock(&plug.lock);
}

static void synced(disk_file *f) {
    pthread_mutex_lock(&plug.lock);
    if (plug.on) settle(f, true);
    pthread_mutex_unlock(&plug.lock);
}

/* From here on nothing reaches the disk. */
static void cut_power(void) {
    pthread_mutex_lock(&plug.lock);
    plug.on = false;
    for (size_t i = 0; i < plug.count; i++)
        settle(&plug.files[i], false);
    plug.count = 0;
    pthread_mutex_unlock(&plug.lock);
}

static disk_file *file_of(const char *path) {
    size_t len = strlen(plug.live);
    if (path == NULL || strncmp(path, plug.live, len) != 0) return NULL;
    pthread_mutex_lock(&plug.lock);
    disk_file *f = NULL;
    for (size_t i = 0; i < plug.count; i++)
        if (strcmp(plug.files[i].name, path + len + 1) == 0) f = &plug.files[i];
    if (f == NULL && plug.on && plug.count < 4) {
        f = &plug.files[plug.count++];
        (void)snprintf(f->name, sizeof f->name, "%.31s", path + len + 1);
        f->first = NULL;
        f->end = &f->first;
    }
    pthread_mutex_unlock(&plug.lock);
    return f;
}

/* ---- the layer below SQLite --------------------------------------------------------------------- */

/* Ours stands in front of the real file, which lives in the same block behind it. */
typedef struct {
    sqlite3_file base;
    disk_file *disk;
    sqlite3_file *real;
} layer_file;

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f) {
    return ((layer_file *)f)->real;
}

static int layer_close(sqlite3_file *f) {
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int layer_read(sqlite3_file *f, void *at, int len, sqlite3_int64 offset) {
    return real_of(f)->pMethods->xRead(real_of(f), at, len, offset);
}

static int layer_write(sqlite3_file *f, const void *at, int len, sqlite3_int64 offset) {
    note(((layer_file *)f)->disk, at, (size_t)len, offset, false);
    return real_of(f)->pMethods->xWrite(real_of(f), at, len, offset);
}

static int layer_truncate(sqlite3_file *f, sqlite3_int64 size) {
    note(((layer_file *)f)->disk, NULL, 0, size, true);
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int layer_sync(sqlite3_file *f, int flags) {
    (void)flags; /* the disk here is the one above */
    synced(((layer_file *)f)->disk);
    return SQLITE_OK;
}

static int layer_size(sqlite3_file *f, sqlite3_int64 *size) {
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int layer_lock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int layer_unlock(sqlite3_file *f, int level) {
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int layer_check_lock(sqlite3_file *f, int *out) {
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int layer_control(sqlite3_file *f, int op, void *arg) {
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int layer_sector(sqlite3_file *f) {
    (void)f;
    return SECTOR;
}

static int layer_traits(sqlite3_file *f) {
    (void)f;
    return 0; /* promises nothing: no atomic writes, no order */
}

static int layer_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **at) {
    return real_of(f)->pMethods->xShmMap(real_of(f), page, bytes, extend, at);
}

static int layer_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void layer_shm_barrier(sqlite3_file *f) {
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int layer_shm_unmap(sqlite3_file *f, int remove_it) {
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove_it);
}

static const sqlite3_io_methods layer_methods = {
    .iVersion = 2,
    .xClose = layer_close,
    .xRead = layer_read,
    .xWrite = layer_write,
    .xTruncate = layer_truncate,
    .xSync = layer_sync,
    .xFileSize = layer_size,
    .xLock = layer_lock,
    .xUnlock = layer_unlock,
    .xCheckReservedLock = layer_check_lock,
    .xFileControl = layer_control,
    .xSectorSize = layer_sector,
    .xDeviceCharacteristics = layer_traits,
    .xShmMap = layer_shm_map,
    .xShmLock = layer_shm_lock,
    .xShmBarrier = layer_shm_barrier,
    .xShmUnmap = layer_shm_unmap,
};

static int layer_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out) {
    (void)vfs;
    layer_file *l = (layer_file *)f;
    l->disk = file_of(path);
    if (l->disk == NULL) return real_vfs->xOpen(real_vfs, path, f, flags, out);
    l->real = (sqlite3_file *)(l + 1);
    int code = real_vfs->xOpen(real_vfs, path, l->real, flags, out);
    l->base.pMethods = l->real->pMethods != NULL ? &layer_methods : NULL;
    return code;
}

static sqlite3_vfs layer_vfs;

static void lay_below(void) {
    real_vfs = sqlite3_vfs_find(NULL);
    layer_vfs = *real_vfs;
    layer_vfs.zName = "plug";
    layer_vfs.pNext = NULL;
    layer_vfs.szOsFile = (int)sizeof(layer_file) + real_vfs->szOsFile;
    layer_vfs.xOpen = layer_open;
    if (sqlite3_vfs_register(&layer_vfs, 1) != SQLITE_OK) abort();
}

/* ---- one life ----------------------------------------------------------------------------------- */

static void ring(void *ctx) {
    uint64_t one = 1;
    if (write(*(int *)ctx, &one, sizeof one) != (ssize_t)sizeof one) abort();
}

/* Sends until some tickets are durable, cuts the power at once, and says how many were. */
static uint64_t live_until_cut(store_lab *lab, unsigned groups) {
    int event = eventfd(0, EFD_NONBLOCK);
    porch_store_lane *lane = porch_store_lane_open(lab->store, ring, &event);
    uint64_t durable = 0;
    static uint8_t payload[3000];
    for (unsigned n = 0; n < groups;) {
        uint64_t ticket = 0, drop;
        for (int i = 0; i < 10; i++) {
            porch_store_message m = {.at_ms = 1,
                                     .device = PORCH_LIT("cam"),
                                     .topic = PORCH_LIT("d/cam/telemetry/t"),
                                     .payload = {payload, 1 + dice(sizeof payload)},
                                     .qos = 1};
            (void)porch_store_lane_append(lane, &m, &ticket);
        }
        struct pollfd p = {.fd = event, .events = POLLIN};
        if (poll(&p, 1, -1) == 1 && read(event, &drop, sizeof drop) < 0) abort();
        for (porch_store_answer a; porch_store_lane_poll(lane, &a); n++) {
            assert_int_equal(a.result, PORCH_OK);
            durable = a.upto;
        }
    }
    cut_power();
    porch_store_close(lab->store);
    lab->store = NULL;
    close(event);
    return durable;
}

static porch_err count_messages(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select count(*), coalesce(max(seq), 0) from message", why);
    PORCH_TRY(porch_db_step(q, why));
    *(uint64_t *)ctx = (uint64_t)porch_db_i64(q, 0);
    assert_int_equal(porch_db_i64(q, 0), porch_db_i64(q, 1));
    porch_db_finish(q);
    q = porch_db_prepare(db, "pragma integrity_check", why);
    PORCH_TRY(porch_db_step(q, why));
    assert_true(porch_bytes_eq_text(porch_db_text(q, 0), "ok"));
    return PORCH_OK;
}

/* Lives on what the disk holds, until the next cut. */
static void one_cut(store_lab *live, store_lab *disk, uint64_t *stored) {
    pthread_mutex_lock(&plug.lock);
    (void)snprintf(plug.live, sizeof plug.live, "%s", live->dir);
    (void)snprintf(plug.disk, sizeof plug.disk, "%s", disk->dir);
    plug.on = true;
    pthread_mutex_unlock(&plug.lock);
    if (store_lab_open(live) != PORCH_OK) fail_msg("%s", live->why.text);
    uint64_t durable = live_until_cut(live, 1 + dice(12));
    plug.live[0] = '\0';

    if (store_lab_open(disk) != PORCH_OK) fail_msg("after the cut: %s", disk->why.text);
    uint64_t found = 0;
    if (porch_store_read(disk->store, count_messages, &found, &disk->why) != PORCH_OK)
        fail_msg("%s", disk->why.text);
    if (found < *stored + durable)
        fail_msg("%llu were durable, %llu are there", (unsigned long long)(*stored + durable),
                 (unsigned long long)found);
    *stored = found;
    store_lab_close(disk);
}

static void copy_file(const char *from, const char *to) {
    char command[2][160];
    (void)snprintf(command[0], sizeof command[0], "%s/hub.db", from);
    (void)snprintf(command[1], sizeof command[1], "%s/hub.db", to);
    FILE *in = fopen(command[0], "rb"), *out = fopen(command[1], "wb");
    static char block[65536];
    if (in == NULL || out == NULL) abort();
    for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
        if (fwrite(block, 1, n, out) != n) abort();
    (void)fclose(in);
    if (fclose(out) != 0) abort();
}

static void no_durable_ticket_is_lost_when_the_power_is_cut(void **state) {
    (void)state;
    dice_state = (unsigned)getpid();
    print_message("dice begin at %u\n", dice_state);
    lay_below();
    store_lab live, disk;
    uint64_t stored = 0;
    store_lab_make(&disk);
    disk.settings.store_keep_days = 0;
    assert_int_equal(store_lab_open(&disk), PORCH_OK); /* an empty database, whole on the disk */
    store_lab_close(&disk);
    for (int i = 0; i < CUTS; i++) {
        store_lab_make(&live);
        live.settings.store_keep_days = 0;
        live.settings.store_checkpoint_pages = 100; /* cuts fall into folding the log, too */
        copy_file(disk.dir, live.dir);
        one_cut(&live, &disk, &stored);
        store_lab_remove(&live);
    }
    store_lab_remove(&disk);
}

int main(void) {
    porch_log_init("test", PORCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_durable_ticket_is_lost_when_the_power_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
