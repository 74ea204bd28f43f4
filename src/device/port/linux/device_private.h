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
#include "device/clock.h"
#include "device/conf.h"
#include "device/exchange.h"
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
    ERRAND_IN_BYTES = 32 * 1024, /* an answer with a chain of certificates */
    ERRAND_OUT_BYTES = 8 * 1024,
    NOW_MESSAGES_MOST = 64,
    NOW_BYTES_MOST = 512 * 1024,
    ANSWER_MS = 20000,
    PATIENCE_MS = 15000, /* for a connection and its handshake */
    LASTED_MS = 5000,    /* a connection that held so long ends the back-off */
    BACK_OFF_FIRST_MS = 250,
    TEXT_BYTES = 256,
    FILTER_BYTES = 512,
    FOLDER_BYTES = 4096
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
    bool asked;    /* in this session */
    bool answered; /* in this session, or it cannot be asked */
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
    bool reused;  /* the connection served another clip before: its end is no failure */
    bool crowded; /* the hub begins no other clip until one that it has begun is finished */
    uint8_t in[UPLOAD_IN_BYTES];
    uint8_t out[UPLOAD_OUT_BYTES];
} upload_side;

/* Who the device is, and whom it believes. SDK thread after open. */
typedef struct {
    porch_key *key;
    uint8_t *ca;
    size_t ca_len;
    porch_tls_client *tls;        /* of the certificate in use */
    porch_tls_client *errand_tls; /* the same, for device_errand.c */
    uint64_t not_before_ms, not_after_ms;
    bool has_next; /* cert.next.pem is there: a renewed certificate that the hub has not seen yet */
    bool uses_next;
} trust_side;

/* Short visits to the hub's enrolment door: its time, then a new certificate when one is due. */
typedef enum { ERRAND_TIME, ERRAND_RENEWAL } errand_step;

typedef struct {
    porch_link link;
    porch_exchange exchange;
    porch_backoff backoff;
    uint64_t next_ms;  /* not before */
    uint64_t renew_at; /* Unix ms */
    bool urgent;       /* the hub refuses the certificate: ask for another before its time */
    bool lost;         /* we refuse the hub's certificate: our clock may be the reason */
    bool under_way;
    errand_step step;
    uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES];
    uint8_t in[ERRAND_IN_BYTES];
    uint8_t out[ERRAND_OUT_BYTES];
} errand_side;

struct porch_device {
    /* fixed after open */
    porch_device_options options;
    char folder[FOLDER_BYTES];
    porch_device_conf conf;
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
    uint64_t unreadable_told; /* of the spool's */
    bool spool_fails;         /* and that was told */
    porch_clip_store clips;
    subscription subscriptions[SUBSCRIPTIONS_MOST];
    size_t subscription_count;
    struct device_update *update; /* NULL: none was opened */
    struct device_twin *twin;     /* NULL: none was opened. Set once, before its subscription */
    now_message *now_first, **now_last;
    size_t now_count, now_bytes;
    news_item *news_first, **news_last;
    bool connected;
    bool stopping;
    bool renew_asked; /* porch_device_renew */

    /* the SDK thread's own */
    trust_side trust;
    porch_link_known known;
    porch_device_clock clock;
    mqtt_side mqtt;
    upload_side upload[UPLOADS];
    errand_side errand;
    uint8_t piece[PORCH_TLS_RECORD_BYTES]; /* between socket or file and an engine */
};

/* device.c */
void porch_device_wake(porch_device *d);
/* A thread that gets no signal: they are the product's business. */
bool porch_device_thread(pthread_t *ret, void *(*fn)(void *), void *ctx);
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
/* After the spool was read: tells what of it cannot be, once. */
void porch_device_judge_spool(porch_device *d, porch_err read);
/* By QoS 0 before all else that waits, and beyond what publish_now may hold: for a word a connection.
 * NO_SPACE. */
porch_err porch_device_now_first(porch_device *d, const char *topic, porch_bytes payload);

/* device_twin.c */
/* Sends the last report (again). */
porch_device_result porch_device_twin_send(porch_device *d, porch_device_why *why);
/* The hub took this subscription: it may be the twin's, then the hub is told how things stand. SDK thread.
 */
void porch_device_twin_subscribed(porch_device *d, const char *filter);
void porch_device_twin_free(porch_device *d);

/* device_update.c */
/* As porch_device_twin_subscribed: the hub is told how the update stands, and answers with its wish. */
void porch_device_update_subscribed(porch_device *d, const char *filter);
/* Its thread ends (first), its memory goes (after the SDK thread has ended). */
void porch_device_update_stop(porch_device *d);
void porch_device_update_free(porch_device *d);

/* device_mqtt.c. SDK thread. */
void porch_device_mqtt_init(porch_device *d);
void porch_device_mqtt_step(porch_device *d, uint64_t now_ms);
uint64_t porch_device_mqtt_deadline(const porch_device *d);
bool porch_device_mqtt_output_waits(const porch_device *d);
/* Says goodbye; true when nothing more needs to be sent. */
bool porch_device_mqtt_stop(porch_device *d, uint64_t now_ms);
/* Connects anew with what d->trust holds now, when the pause is over. */
void porch_device_mqtt_again(porch_device *d, uint64_t now_ms);
/* Ends the pause, and begins with short ones. */
void porch_device_mqtt_hurry(porch_device *d, uint64_t now_ms);

/* device_upload.c. SDK thread. */
void porch_device_upload_init(porch_device *d);
void porch_device_upload_step(porch_device *d, upload_side *u, uint64_t now_ms);
uint64_t porch_device_upload_deadline(const upload_side *u);
bool porch_device_upload_output_waits(const upload_side *u);
void porch_device_upload_stop(porch_device *d);
/* Try now instead of later: the hub is back. */
void porch_device_upload_hurry(porch_device *d, uint64_t now_ms);
/* As porch_device_mqtt_again. */
void porch_device_upload_again(porch_device *d);

/* device_trust.c. SDK thread, and before it runs. */
porch_err porch_device_trust_open(porch_device *d, porch_why *why);
void porch_device_trust_free(porch_device *d);
/* The client of the certificate in use, for another thread: unref it. Any thread. */
porch_tls_client *porch_device_trust_client(porch_device *d);
/* A renewed chain: checked, kept beside the old one, and used from now on. */
porch_err porch_device_trust_renewed(porch_device *d, porch_bytes chain_pem, uint64_t now_ms,
                                     porch_why *why);
/* The hub has let us in: with a new certificate the old one goes. */
void porch_device_trust_accepted(porch_device *d);
/* The hub will not have the certificate: tries the other one, if there are two, and asks for a new one. */
void porch_device_trust_refused(porch_device *d, uint64_t now_ms);

/* device_clock.c. SDK thread, and before it runs; the time itself on any thread. */
void porch_device_clock_open(porch_device *d);
/* A time that was judged: used from now on, and never fallen below, on disk too. */
porch_err porch_device_clock_set(porch_device *d, uint64_t at_ms, porch_why *why);
/* The same for an answer to a question of the updater's, which is judged here (porch_clock_judge). Any
 * thread.
 */
porch_err porch_device_clock_take(porch_device *d, porch_bytes answer, const uint8_t key[32],
                                  const uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES],
                                  porch_signed_time *ret, porch_why *why);
/* As porch_clock_raise. */
void porch_device_clock_raise(porch_device *d, uint64_t at_least_ms);
/* What time it is, and the least that it can be; `ctx` is the device. */
uint64_t porch_device_clock_ms(void *ctx);
/* By what the hub's certificate is judged wherever its time was not asked for: 0, at which none is good,
 * while the floor is all that is known and the time can be asked for. What ended since would pass by it. */
uint64_t porch_device_proven_ms(void *ctx);
uint64_t porch_device_floor_ms(void *ctx);
bool porch_device_clock_wants(const porch_device *d);

/* device_errand.c. SDK thread. */
void porch_device_errand_init(porch_device *d);
void porch_device_errand_step(porch_device *d, uint64_t now_ms);
uint64_t porch_device_errand_deadline(porch_device *d, uint64_t now_ms);
bool porch_device_errand_output_waits(const porch_device *d);
/* A certificate request in base64, bound to the connection (RFC 9266); appended. */
porch_err porch_device_write_csr(const porch_key *key, const porch_tls_conn *conn, porch_buf *out,
                                 porch_why *why);
/* What a problem document says, as far as it is plain. */
void porch_device_problem_detail(porch_bytes body, char out[TEXT_BYTES]);
/* The certificate in use has changed: plan its renewal. */
void porch_device_errand_plan(porch_device *d);

#endif
