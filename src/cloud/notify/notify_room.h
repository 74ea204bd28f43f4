/* What the files of notifications share; nobody outside the room includes it. */
#ifndef PORCH_CLOUD_NOTIFY_ROOM_H
#define PORCH_CLOUD_NOTIFY_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "cloud/notify/notify.h"
#include "cloud/notify/notify_push.h"
#include "cloud/notify/notify_zone.h"
#include "os/clock_trust.h"

enum {
    PORCH_NOTIFY_OBSERVERS_MAX = 8,
    PORCH_NOTIFY_WEBHOOK_SECRET_BYTES = 32, /* Standard Webhooks: 24 to 64 */
    PORCH_NOTIFY_SEALED_MAX = 256,
    PORCH_NOTIFY_ERROR_BYTES = 160,
};

/* A thread that works when it is woken or when its time has come. */
typedef struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, woken, stop;
} porch_notify_thread;

enum { PORCH_PUSH_TOKENS = 64 };

/* A VAPID token that still works: one a push service. */
typedef struct {
    char account[PORCH_PERSON_ID_TEXT]; /* whose message it was made for */
    char audience[PORCH_PUSH_ORIGIN_TEXT];
    char text[PORCH_SIGNER_VAPID_TOKEN_TEXT];
    uint64_t ends_ms;
} porch_push_token;

struct porch_notify {
    porch_notify_config config;
    char public_url[320];
    atomic_bool made;                   /* a row was written in the batch under way */
    atomic_uint_least64_t committed_ms; /* when the last batch with one became durable */
    uint64_t seen;                      /* live thread: the last seq that the observers were told of */
    porch_notify_thread live, delivery, push;
    porch_push_token tokens[PORCH_PUSH_TOKENS]; /* of the push thread */
    porch_clock_trust clock;                    /* of the store's ticks, on its writer thread */
    bool clock_stands;                          /* so that age counts; as of the last tick, there too */
    struct {
        porch_notify_on_new_fn fn;
        void *ctx;
    } observers[PORCH_NOTIFY_OBSERVERS_MAX];
    size_t observers_count;
    bool stopped;
};

/* ---- notify_thread.c ---- */
porch_err porch_notify_thread_init(porch_notify_thread *t);
porch_err porch_notify_thread_start(porch_notify_thread *t, void *(*fn)(void *), void *ctx);
/* Waits until woken, stopped or `wait_ms` later (UINT64_MAX: no time). False when it must stop. */
bool porch_notify_thread_wait(porch_notify_thread *t, uint64_t wait_ms);
void porch_notify_thread_wake(porch_notify_thread *t);
/* One piece of work, if one is due; *wait_ms: until the next is, UINT64_MAX for none. */
typedef porch_err (*porch_notify_one_fn)(porch_notify *n, uint64_t *wait_ms, porch_why *why);
/* One after the other until the thread must stop. What fails (the disk refuses) is logged as `stuck` and
 * tried again after notify.retry_first: what was sent may be sent again then, with the same id. */
void porch_notify_thread_work(porch_notify_thread *t, porch_notify *n, porch_notify_one_fn one,
                              const char *stuck);
/* May be called twice; wake stays harmless until free. */
void porch_notify_thread_end(porch_notify_thread *t);
void porch_notify_thread_free(porch_notify_thread *t);

/* ---- notify_row.c: the row and its forms ---- */
#define PORCH_NOTIFY_COLUMNS                                                                        \
    "n.seq, n.id, n.kind, n.event, n.device, n.product, n.household, n.clip, n.at_ms, n.at_local, " \
    "n.timezone, "                                                                                  \
    "n.score, n.box_x, n.box_y, n.box_w, n.box_h, n.why, n.motion_at_ms, n.event_received_ms, "     \
    "n.event_durable_ms, n.clip_first_byte_ms, n.analysis_first_frame_ms, n.person_found_ms, "      \
    "n.durable_ms, "                                                                                \
    "n.verdict"
enum { PORCH_NOTIFY_COLUMN_COUNT = 25 };
/* From the current row's first PORCH_NOTIFY_COLUMN_COUNT columns. */
void porch_notify_item_read(porch_db_query *q, porch_notify_item *ret);
/* PORCH_ERR_EXISTS when its id is there already; *seq is the new row's. */
porch_err porch_notify_item_insert(porch_db *db, const porch_notify_item *item, uint64_t now_ms,
                                   uint64_t *seq, porch_why *why);
/* Everything but seq and the durable time. */
void porch_notify_item_of(const porch_notify_facts *facts, porch_notify_item *ret);

/* ---- notify.c ---- */
/* What is past its time by both clocks goes. While the real one is not trusted (os/clock_trust.h) no
 * notification is. Inside a write. */
porch_err porch_notify_clean(porch_notify *n, porch_db *db, uint64_t real_ms, uint64_t mono_ms,
                             porch_why *why);

/* ---- notify_deliver.c ---- */
/* Sends one if one is due. *wait_ms: until the next is, UINT64_MAX for none. */
porch_err porch_notify_deliver_one(porch_notify *n, uint64_t *wait_ms, porch_why *why);
void *porch_notify_deliver_run(void *ctx);
/* The wait before the attempt after `attempts` that failed. */
uint64_t porch_notify_retry_wait(uint32_t attempts, uint64_t first_ms, uint64_t most_ms);
/* One delivery row for each webhook. */
porch_err porch_notify_queue(porch_db *db, uint64_t seq, uint64_t now_ms, porch_why *why);

/* ---- notify_sign.c: Standard Webhooks ---- */
enum { PORCH_NOTIFY_SIGNATURE_BYTES = 64 };
/* "v1," and the base64 of HMAC-SHA256(secret, id "." timestamp "." body). */
porch_err porch_notify_sign(porch_bytes secret, const char *id, uint64_t timestamp_s, porch_bytes body,
                            char out[PORCH_NOTIFY_SIGNATURE_BYTES]);
/* "whsec_" and the base64 of the secret. */
porch_err porch_notify_secret_text(porch_bytes secret, char out[PORCH_NOTIFY_SECRET_TEXT]);

/* ---- notify_push.c ---- */
/* A snooze that ends later than this from now was begun before the clock was set back, and is none: an
 * hour, and a minute for a clock that is corrected. */
enum { PORCH_PUSH_SNOOZE_MOST_MS = 3660000 };
/* One row for each browser of the household that wants to hear of this camera now. */
porch_err porch_push_queue(const porch_notify *n, porch_db *db, uint64_t seq,
                           const porch_notify_facts *facts, uint64_t now_ms, porch_why *why);
porch_err porch_push_clean(porch_db *db, uint64_t now_ms, porch_why *why);

/* ---- notify_push_deliver.c ---- */
typedef enum {
    PORCH_PUSH_DONE,
    PORCH_PUSH_RETRY,
    PORCH_PUSH_GIVEN_UP,
    PORCH_PUSH_GONE,    /* the subscription is dropped */
    PORCH_PUSH_WITHHELD /* the person may not be told of it now; no service was asked */
} porch_push_outcome;
/* What an answer (or its absence) means. */
porch_push_outcome porch_push_judge(porch_err e, uint16_t status);
/* Sends one if one is due. *wait_ms: until the next is, UINT64_MAX for none. */
porch_err porch_push_deliver_one(porch_notify *n, uint64_t *wait_ms, porch_why *why);
void *porch_push_run(void *ctx);

#endif
