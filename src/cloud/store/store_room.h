/* The store's inside: what store.c (opening, reading), store_writer.c (the thread) and store_keep.c
 * (retention) share. */
#ifndef PORCH_CLOUD_STORE_ROOM_H
#define PORCH_CLOUD_STORE_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "cloud/store/db_sqlite.h"
#include "cloud/store/store.h"
#include "cloud/store/store_lane.h"
#include "os/clock_trust.h"

enum { PORCH_STORE_LANES = 256, PORCH_STORE_OBSERVERS = 16, PORCH_STORE_PATH_BYTES = 4096 };

/* A porch_store_write on its way; lives on the caller's stack. */
typedef struct store_job {
    porch_store_fn fn;
    void *ctx;
    porch_why *why;
    porch_err result;
    bool done;
    pthread_cond_t ended;
    struct store_job *next;
} store_job;

typedef struct {
    porch_store_message_fn fn;
    void *ctx;
} store_message_observer;
typedef struct {
    void (*fn)(void *ctx);
    void *ctx;
} store_commit_observer;
typedef struct {
    porch_store_tick_fn fn;
    void *ctx;
} store_tick_observer;

/* The writer thread's own, but for opening. */
struct porch_store_news {
    porch_store_news_fn tell; /* NULL: its room has gone */
    void *ctx;
    size_t word_bytes, most;
    uint8_t *words;
    size_t count, space, mark;
};

struct porch_store {
    porch_settings settings;
    char path[PORCH_STORE_PATH_BYTES];

    /* The writer's own. */
    porch_db *db;
    pthread_t thread;
    bool thread_runs;
    uint64_t next_seq;
    uint64_t tick_due_ms; /* monotonic */
    porch_clock_trust clock;
    int log_pages;       /* in the write-ahead log after the last commit */
    uint64_t scrub_seen; /* the last scrub that the writer has tried */
    bool scrub_late;     /* readers were in the way: it is tried again */

    /* Under lock: scrubs that were asked for, and that are done. */
    uint64_t scrub_asked, scrub_done;
    pthread_cond_t scrubbed;

    /* Waking: see store_lane.h. */
    int event_fd;
    atomic_bool asleep;
    atomic_bool stopping;

    pthread_mutex_t lock; /* jobs, observers and lanes being added */
    store_job *jobs, **jobs_end;
    _Atomic(size_t) lane_count;
    porch_store_lane *lanes[PORCH_STORE_LANES];
    store_message_observer on_message[PORCH_STORE_OBSERVERS];
    store_commit_observer on_commit[PORCH_STORE_OBSERVERS];
    store_tick_observer on_tick[PORCH_STORE_OBSERVERS];
    porch_store_news *news[PORCH_STORE_OBSERVERS];
    size_t message_count, commit_count, tick_count, news_count;
    store_message_observer on_note;
    atomic_ullong hold; /* see porch_store_hold */

    /* Readers: idle connections, made when first needed. */
    pthread_mutex_t read_lock;
    pthread_cond_t read_free;
    porch_db *idle[64];
    size_t idle_count, reader_count;

    atomic_ullong durable_seq, messages, batches, lost_batches;
    atomic_ullong rounds; /* of the writer, with work or without */
    atomic_int state;
};

porch_err porch_store_writer_start(porch_store *s, porch_why *why);
void porch_store_writer_stop(porch_store *s);
void porch_store_wake_writer(porch_store *s);

/* What comes now may be undone. */
void porch_store_news_mark(porch_store_news *const *news, size_t count);
/* It was. */
void porch_store_news_back(porch_store_news *const *news, size_t count);
/* All of it was. */
void porch_store_news_drop(porch_store_news *const *news, size_t count);
void porch_store_news_tell(porch_store_news *const *news, size_t count);
void porch_store_news_free(porch_store_news *news);

/* Deletes some of what is older or more than the settings keep, and of what sessions have had (`hold`);
 * PORCH_ERR_AGAIN when there is more. */
porch_err porch_store_keep(porch_db *db, const porch_settings *settings, uint64_t now_ms, uint64_t hold,
                           porch_why *why);

#endif
