/* Notifications: what a person is told, live and by webhook.
 *
 *   analysis result ─► porch_notify_person(db)     one row, deterministic id, same transaction
 *                            │ commit
 *                            ▼
 *                      notify thread ─► observers (server-sent events)
 *                            ├────────► courier ─► each webhook, until it answers 2xx
 *                            └────────► courier ─► each browser's push service (notify_push.h)
 *
 * A notification exists once its transaction is durable and never before: observers and webhooks learn of
 * it from the database. Webhook delivery is at least once with a stable id (the webhook-id header), with
 * back-off, across restarts; after a 2xx the same id is never sent to that webhook again. */
#ifndef PORCH_CLOUD_NOTIFY_H
#define PORCH_CLOUD_NOTIFY_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/accounts/accounts.h"
#include "cloud/courier/courier_client.h"
#include "cloud/settings/settings.h"
#include "cloud/signer/signer_client.h"
#include "cloud/store/store.h"

typedef struct porch_notify porch_notify;

/* When each hop of the journey happened, Unix ms; 0 for unknown. */
typedef struct {
    uint64_t motion_at_ms; /* the device's clock */
    uint64_t event_received_ms;
    uint64_t event_durable_ms;
    uint64_t clip_first_byte_ms;
    uint64_t analysis_first_frame_ms;
    uint64_t person_found_ms;
    uint64_t notification_durable_ms; /* filled in when the notification is read back after its commit */
} porch_notify_trace;

/* What porch_notify_person needs to know. Texts are copied. */
typedef struct {
    const char *event; /* event uid: with the kind it decides the notification's id */
    const char *device;
    const char *product;
    const char *household;
    const char *timezone; /* IANA name of the household's zone; NULL, "" or unknown means UTC */
    const char *clip;     /* clip id */
    uint64_t at_ms;       /* when it was seen */
    double score;
    double box[4]; /* x, y, w, h as parts of the frame, 0..1 */
    porch_notify_trace trace;
} porch_notify_facts;

/* A notification as stored. */
typedef struct {
    uint64_t seq; /* grows with each one: the event id of the live stream */
    char id[33];
    char kind[17]; /* "person" */
    char event[65];
    char device[65];
    char product[65];
    char household[65];
    char clip[65];
    uint64_t at_ms;
    char at_local[33]; /* RFC 3339 with the household's offset */
    char timezone[65];
    double score;
    double box[4];
    char why[160]; /* a sentence for the person */
    porch_notify_trace trace;
    char verdict[17]; /* "" or "not-a-person", as people said afterwards */
} porch_notify_item;

typedef struct {
    porch_store *store;
    porch_signer_client *signer; /* seals the webhooks' secrets */
    porch_courier_client *courier;
    const porch_settings *settings;
    const char *public_url; /* "https://HOST:PORT": begins the picture's URL in webhooks */
    /* Whether this person may be told now of a person that `device` saw; asked on the push thread for each
     * message, just before it leaves. NULL: nobody may. */
    bool (*may_tell)(const porch_person *person, const char *device, void *ctx);
    void *may_tell_ctx;
} porch_notify_config;

/* Makes it; observers are added before porch_notify_start starts the notify thread. */
porch_err porch_notify_open(const porch_notify_config *config, porch_notify **ret, porch_why *why);
porch_err porch_notify_start(porch_notify *n, porch_why *why);
/* Ends the threads (a request under way is waited for, at most courier.timeout_ms): nobody is told of
 * anything any more. Before the store is closed. */
void porch_notify_stop(porch_notify *n);
/* Stops, unless that has been done, and frees. NULL is fine. */
void porch_notify_close(porch_notify *n);

/* Inside the write that stores the analysis result: makes the notification row and one delivery row for
 * each webhook, unless the event has its notification already (then nothing happens and *made, which may
 * be NULL, is false). */
porch_err porch_notify_person(porch_notify *n, porch_db *db, const porch_notify_facts *facts, bool *made,
                              porch_why *why);

/* Called on the notify thread for each new notification, after it is durable, in order of seq. `item` is
 * valid during the call. Must not block for long. Add before porch_notify_start. */
typedef void (*porch_notify_on_new_fn)(const porch_notify_item *item, void *ctx);
porch_err porch_notify_on_new(porch_notify *n, porch_notify_on_new_fn fn, void *ctx);

/* Those with seq above `after`, oldest first, of one household (NULL: of all), at most `limit`: what a
 * live stream resumes from. `fn` returns false to stop. Inside porch_store_read or a write. */
typedef bool (*porch_notify_each_fn)(const porch_notify_item *item, void *ctx);
porch_err porch_notify_since(porch_db *db, const char *household, uint64_t after, uint32_t limit,
                             porch_notify_each_fn fn, void *ctx, porch_why *why);

/* The event was deleted: its notification goes, and every delivery that still waits with it. A request that
 * is on the wire is not called back. Inside porch_store_write. */
porch_err porch_notify_forget(porch_db *db, const char *event, porch_why *why);

/* Somebody said that the event shows no person (or, with false, took that back): the notification is
 * marked, and browsers that it has not reached yet are left alone. Inside porch_store_write; fine without a
 * notification. */
porch_err porch_notify_not_a_person(porch_db *db, const char *event, bool said, porch_why *why);

/* The newest `limit`, of all households, oldest of them first. */
porch_err porch_notify_latest(porch_db *db, uint32_t limit, porch_notify_each_fn fn, void *ctx,
                              porch_why *why);

/* The notification as a JSON object:
 * {id,kind,device,product,event,clip,at_ms,at,timezone,score,box,picture, why,trace}; `picture` is a path
 * unless `public_url` is given. PORCH_ERR_NO_SPACE: 4 KiB always suffice. */
porch_err porch_notify_item_json(const porch_notify_item *item, const char *public_url, porch_buf *out);

/* Webhooks, for the operator. */
typedef struct {
    char id[33];
    char url[PORCH_COURIER_URL_MAX + 1];
    uint64_t created_ms;
    uint64_t delivered; /* deliveries that were answered 2xx */
    uint64_t waiting;   /* deliveries still to be made */
    uint64_t given_up;
    uint64_t last_at_ms;  /* last attempt, 0 for none */
    uint32_t last_status; /* its HTTP status, 0 when there was no answer */
    char last_error[160];
} porch_notify_webhook;

enum { PORCH_NOTIFY_SECRET_TEXT = 64 };

/* Adds an https URL. `secret` receives "whsec_...", shown once; it is stored sealed. */
porch_err porch_notify_webhook_add(porch_notify *n, const char *url, porch_notify_webhook *ret,
                                   char secret[PORCH_NOTIFY_SECRET_TEXT], porch_why *why);
porch_err porch_notify_webhook_remove(porch_notify *n, const char *id, porch_why *why);
typedef bool (*porch_notify_webhook_each_fn)(const porch_notify_webhook *webhook, void *ctx);
porch_err porch_notify_webhook_list(porch_notify *n, porch_notify_webhook_each_fn fn, void *ctx,
                                    porch_why *why);

#endif
