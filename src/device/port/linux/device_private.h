/* The inside of a porch_device on Linux.
 *
 *   product threads ──(lock)──► spool, clips, subscriptions, QoS 0 queue ──wake──► SDK thread: links,
 * session, uploads ◄─────────────────── callbacks, called without the lock ◄───── news queue
 *
 * What the SDK thread alone touches needs no lock; everything else says "under the lock". */
#ifndef PORCH_DEVICE_PORT_LINUX_DEVICE_PRIVATE_H
#define PORCH_DEVICE_PORT_LINUX_DEVICE_PRIVATE_H

#include <pthread.h>

#include <porchlight/porchlight.h>

#include "crypto/keystore.h"
#include "device/backoff.h"
#include "device/conf.h"
#include "device/outbox.h"
#include "device/port/linux/clip_store.h"
#include "device/port/linux/link.h"
#include "device/port/linux/spool_files.h"
#include "device/twin.h"
#include "device/upload.h"

enum {
    SUBSCRIPTIONS_MOST = 16,
    SEGMENT_BYTES = 256 * 1024,
    SESSION_IN_BYTES = 256 * 1024,
    SESSION_OUT_BYTES = 256 * 1024,
    MESSAGE_MOST = 128 * 1024, /* topic and payload; fits a segment and the session's block */
    UPLOAD_IN_BYTES = 8 * 1024,
    UPLOAD_OUT_BYTES = 64 * 1024,
    NOW_MESSAGES_MOST = 64,
    NOW_BYTES_MOST = 512 * 1024,
    ANSWER_MS = 20000,
    PATIENCE_MS = 15000, /* for a connection and its handshake */
    LASTED_MS = 5000,    /* a connection that held so long ends the back-off */
    BACK_OFF_FIRST_MS = 250,
    TEXT_BYTES = 256,
    FILTER_BYTES = 512
};

typedef struct now_message {
    struct now_message *next;
    size_t topic_bytes;
    size_t payload_bytes;
    uint8_t bytes[]; /* topic, then payload */
} now_message;

typedef struct news_item {
    struct news_item *next;
    porch_device_status status;
    char name[TEXT_BYTES];
    char sha256[65];
    char text[TEXT_BYTES];
} news_item;

typedef struct {
    char filter[FILTER_BYTES];
    porch_device_message_fn fn;
    void *ctx;
    bool asked; /* in this session */
} subscription;

typedef struct {
    porch_link link;
    porch_session session;
    porch_backoff backoff;
    porch_backoff patience; /* after "not now" answers to a message */
    uint64_t next_ms;       /* not to be dialled before */
    uint64_t up_since_ms;
    uint8_t in[SESSION_IN_BYTES];
    uint8_t out[SESSION_OUT_BYTES];
} mqtt_side;

/* One connection for the clip that is being recorded, one for those that wait. */
typedef enum { UPLOAD_LIVE, UPLOAD_BACKLOG, UPLOADS } upload_role;

typedef struct {
    upload_role role;
    porch_link link;
    porch_upload engine;
    porch_stored_clip *clip; /* NULL: none */
    porch_backoff backoff;
    uint64_t next_ms;
    uint64_t up_since_ms;
    bool reused; /* the connection served another clip before: its end is no failure */
    uint8_t in[UPLOAD_IN_BYTES];
    uint8_t out[UPLOAD_OUT_BYTES];
} upload_side;

struct porch_device {
    /* fixed after open */
    porch_device_options options;
    porch_device_conf conf;
    porch_tls_client *tls;
    int lock_fd;
    int wake_fd;
    pthread_t thread;
    bool thread_runs;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* something was acknowledged, completed or given up */

    /* under the lock */
    porch_spool_files files;
    porch_spool spool;
    porch_outbox outbox;
    uint8_t *outbox_block;
    porch_clip_store clips;
    subscription subscriptions[SUBSCRIPTIONS_MOST];
    size_t subscription_count;
    struct device_twin *twin; /* NULL: none was opened. Set once, before its subscription */
    now_message *now_first, **now_last;
    size_t now_count, now_bytes;
    news_item *news_first, **news_last;
    bool connected;
    bool stopping;

    /* the SDK thread's own */
    mqtt_side mqtt;
    upload_side upload[UPLOADS];
    uint8_t piece[PORCH_TLS_RECORD_BYTES]; /* between socket or file and an engine */
};

/* device.c */
void porch_device_wake(porch_device *d);
uint32_t porch_device_random32(void);

/* device_news.c: copied; delivered by the SDK thread. Under the lock. */
void porch_device_tell(porch_device *d, const porch_device_status *status);
/* Calls the status callback for what waits; takes the lock itself. SDK thread. */
void porch_device_deliver(porch_device *d);
void porch_device_news_free(porch_device *d);
porch_device_result porch_device_result_of(porch_err e);
/* Copies the sentence and gives the result. */
porch_device_result porch_device_fail(porch_device_why *out, porch_err e, const porch_why *why);
/* Fills `why`, and gives the result. */
porch_device_result porch_device_say(porch_device_why *out, porch_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* device_publish.c. Under the lock. */
void porch_device_now_clear(porch_device *d);

/* device_twin.c */
/* Sends the last report (again). */
porch_device_result porch_device_twin_send(porch_device *d, porch_device_why *why);
/* The hub took this subscription: it may be the twin's, then the hub is told how things stand. SDK thread.
 */
void porch_device_twin_subscribed(porch_device *d, const char *filter);
void porch_device_twin_free(porch_device *d);

/* device_mqtt.c. SDK thread. */
void porch_device_mqtt_init(porch_device *d);
void porch_device_mqtt_step(porch_device *d, uint64_t now_ms);
uint64_t porch_device_mqtt_deadline(const porch_device *d);
bool porch_device_mqtt_output_waits(const porch_device *d);
/* Says goodbye; true when nothing more needs to be sent. */
bool porch_device_mqtt_stop(porch_device *d, uint64_t now_ms);

/* device_upload.c. SDK thread. */
void porch_device_upload_init(porch_device *d);
void porch_device_upload_step(porch_device *d, upload_side *u, uint64_t now_ms);
uint64_t porch_device_upload_deadline(const upload_side *u);
bool porch_device_upload_output_waits(const upload_side *u);
void porch_device_upload_stop(porch_device *d);
/* Try now instead of later: the hub is back. */
void porch_device_upload_hurry(porch_device *d, uint64_t now_ms);

#endif
