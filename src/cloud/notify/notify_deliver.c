/* Webhook deliveries, one after the other on a thread of their own: of the webhooks that have something due
 * the one that was served longest ago is sent it, its answer is written down, and only a 2xx ends it well.
 * What was not written down when the hub died is sent again, with the same webhook-id: the receiver acts
 * once for each.
 *
 * A webhook that fails rests, so that one whose receiver is dead holds up none of the others. As it gets a
 * single attempt a rest, its deliveries pile up: those that are older than all their attempts would have
 * taken are given up with the next one that fails. */
#include "cloud/notify/notify_room.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "os/clock.h"
#include "os/log.h"

enum { BODY_MAX_BYTES = 8192, GONE = 410, REST_MOST_MS = 300000, GIVE_UP_ROWS = 500 };

/* A due delivery, read whole so that no snapshot stays open while the receiver thinks. */
typedef struct {
    porch_notify_item item;
    char webhook[33];
    char url[PORCH_COURIER_URL_MAX + 1];
    uint8_t sealed[PORCH_NOTIFY_SEALED_MAX];
    size_t sealed_len;
    uint32_t attempts;
    uint32_t failures; /* of the webhook, before this one */
    bool found;
    uint64_t next_at_ms; /* when the earliest of those that wait may be sent; 0: none waits */
    uint64_t now_ms, retry_most_ms;
} due;

typedef enum { OUTCOME_DONE, OUTCOME_RETRY, OUTCOME_GIVEN_UP } outcome;

typedef struct {
    const porch_notify *n;
    const due *d;
    outcome how;
    bool failed; /* and the receiver is to blame */
    uint64_t next_at_ms, rest_until_ms;
    uint16_t status;
    char error[PORCH_NOTIFY_ERROR_BYTES];
    int64_t dropped; /* deliveries that were given up beside this one */
} result;

uint64_t porch_notify_retry_wait(uint32_t attempts, uint64_t first_ms, uint64_t most_ms) {
    uint64_t wait_ms = first_ms;
    for (uint32_t i = 0; i < attempts && wait_ms < most_ms; i++)
        wait_ms *= 2;
    return wait_ms < most_ms ? wait_ms : most_ms;
}

porch_err porch_notify_queue(porch_db *db, uint64_t seq, uint64_t now_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into notification_delivery (notification, webhook, state, "
                                         "next_at_ms) select ?1, id, 'waiting', ?2 from webhook",
                                         why);
    porch_db_bind_i64(q, 1, (int64_t)seq);
    porch_db_bind_i64(q, 2, (int64_t)now_ms);
    return porch_db_execute(q, why);
}

/* A rest that ends later than any can, and an attempt further away than any wait, are from before the clock
 * was set back. */
#define RESTING "w.resting_until_ms > ?1 and w.resting_until_ms <= ?2"
#define DUE     "d.state = 'waiting' and (d.next_at_ms <= ?1 or d.next_at_ms > ?3)"

static void bind_times(porch_db_query *q, const due *d) {
    porch_db_bind_i64(q, 1, (int64_t)d->now_ms);
    porch_db_bind_i64(q, 2, (int64_t)(d->now_ms + REST_MOST_MS));
    porch_db_bind_i64(q, 3, (int64_t)(d->now_ms + d->retry_most_ms));
}

/* When the next may be sent, of webhooks that rest behind the rest. */
static porch_err read_next(porch_db *db, due *d, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "select min(max(case when d.next_at_ms > ?3 then 0 else d.next_at_ms end, case when " RESTING
        " then w.resting_until_ms else 0 end)) from webhook w join notification_delivery d on d.webhook = "
        "w.id where d.state = 'waiting'",
        why);
    bind_times(q, d);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) d->next_at_ms = (uint64_t)porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static porch_err read_due(porch_db *db, void *ctx, porch_why *why) {
    due *d = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select " PORCH_NOTIFY_COLUMNS
        ", d.webhook, w.url, w.secret, d.attempts, w.failures from notification_delivery d "
        "join notification n on n.seq = d.notification join webhook w on w.id = d.webhook where " DUE
        " and d.webhook = (select w.id from webhook w where not (" RESTING
        ") and exists (select 1 from notification_delivery d where d.webhook = w.id and " DUE
        ") order by case when w.served_ms <= ?1 then w.served_ms else 0 end, w.id limit 1) "
        "order by d.next_at_ms limit 1",
        why);
    bind_times(q, d);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        const int at = PORCH_NOTIFY_COLUMN_COUNT;
        porch_bytes sealed = porch_db_blob(q, at + 2);
        porch_notify_item_read(q, &d->item);
        (void)porch_bytes_to_text(porch_db_text(q, at), d->webhook, sizeof d->webhook);
        (void)porch_bytes_to_text(porch_db_text(q, at + 1), d->url, sizeof d->url);
        d->sealed_len = sealed.len <= sizeof d->sealed ? sealed.len : 0;
        if (d->sealed_len) memcpy(d->sealed, sealed.at, d->sealed_len);
        d->attempts = (uint32_t)porch_db_i64(q, at + 3);
        d->failures = (uint32_t)porch_db_i64(q, at + 4);
        d->found = true;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? read_next(db, d, why) : e;
}

/* Its turn is over, and it rests or need no longer. */
static porch_err write_pace(porch_db *db, const result *r, porch_why *why) {
    uint32_t failures = r->failed ? r->d->failures + 1 : r->how == OUTCOME_DONE ? 0 : r->d->failures;
    porch_db_query *q = porch_db_prepare(
        db, "update webhook set served_ms = ?2, failures = ?3, resting_until_ms = ?4 where id = ?1", why);
    porch_db_bind_str(q, 1, r->d->webhook);
    porch_db_bind_i64(q, 2, (int64_t)r->d->now_ms);
    porch_db_bind_i64(q, 3, failures);
    porch_db_bind_i64(q, 4, (int64_t)r->rest_until_ms);
    return porch_db_execute(q, why);
}

/* How long a delivery may take: all its waits, and a rest of its webhook's. */
static uint64_t longest_ms(const porch_settings *s) {
    uint64_t sum_ms = REST_MOST_MS;
    for (uint32_t i = 0; i < s->notify_attempts; i++)
        sum_ms += porch_notify_retry_wait(i, s->notify_retry_first_ms, s->notify_retry_most_ms);
    return sum_ms;
}

/* What the webhook that just failed still has from too long ago; not while the clock may be wrong. */
static porch_err give_up_old(porch_db *db, result *r, porch_why *why) {
    uint64_t age_ms = longest_ms(r->n->config.settings);
    if (!r->n->clock_stands || r->d->now_ms <= age_ms) return PORCH_OK;
    porch_db_query *q = porch_db_prepare(
        db,
        "update notification_delivery set state = 'given-up', last_error = 'too old: the receiver has been "
        "failing for longer than all attempts may take' where webhook = ?1 and state = 'waiting' and "
        "notification in (select d.notification from notification_delivery d join notification n on n.seq "
        "= d.notification where d.webhook = ?1 and d.state = 'waiting' and n.made_ms < ?2 limit ?3)",
        why);
    porch_db_bind_str(q, 1, r->d->webhook);
    porch_db_bind_i64(q, 2, (int64_t)(r->d->now_ms - age_ms));
    porch_db_bind_i64(q, 3, GIVE_UP_ROWS);
    PORCH_TRY(porch_db_execute(q, why));
    r->dropped = porch_db_changes(db);
    return PORCH_OK;
}

static porch_err write_result(porch_db *db, void *ctx, porch_why *why) {
    static const char *const states[] = {
        [OUTCOME_DONE] = "done", [OUTCOME_RETRY] = "waiting", [OUTCOME_GIVEN_UP] = "given-up"};
    result *r = ctx;
    porch_db_query *q =
        porch_db_prepare(db,
                         "update notification_delivery set state = ?3, attempts = attempts + 1, next_at_ms "
                         "= ?4, last_at_ms = ?5, "
                         "last_status = ?6, last_error = ?7 where notification = ?1 and webhook = ?2",
                         why);
    porch_db_bind_i64(q, 1, (int64_t)r->d->item.seq);
    porch_db_bind_str(q, 2, r->d->webhook);
    porch_db_bind_str(q, 3, states[r->how]);
    porch_db_bind_i64(q, 4, (int64_t)r->next_at_ms);
    porch_db_bind_i64(q, 5, (int64_t)r->d->now_ms);
    porch_db_bind_i64(q, 6, r->status);
    porch_db_bind_str(q, 7, r->error);
    PORCH_TRY(porch_db_execute(q, why));
    PORCH_TRY(write_pace(db, r, why));
    return r->failed ? give_up_old(db, r, why) : PORCH_OK;
}

/* {"type":"person","timestamp":"...","data":{the notification}} */
static porch_err make_body(const porch_notify *n, const due *d, porch_buf *out) {
    char at[PORCH_CLOCK_TEXT_BYTES];
    porch_clock_rfc3339(d->item.at_ms, at);
    PORCH_TRY(porch_write_text(out, "{\"type\":\"notification.person\",\"timestamp\":\""));
    PORCH_TRY(porch_write_text(out, at));
    PORCH_TRY(porch_write_text(out, "\",\"data\":"));
    PORCH_TRY(porch_notify_item_json(&d->item, n->public_url, out));
    return porch_write_text(out, "}");
}

static porch_err post(porch_notify *n, const due *d, porch_bytes secret, uint16_t *status, porch_why *why) {
    uint8_t body_block[BODY_MAX_BYTES];
    porch_buf body = PORCH_BUF_OF(body_block);
    char timestamp[24];
    char signature[PORCH_NOTIFY_SIGNATURE_BYTES];
    PORCH_TRY(make_body(n, d, &body));
    snprintf(timestamp, sizeof timestamp, "%llu", (unsigned long long)(d->now_ms / 1000));
    PORCH_TRY(porch_notify_sign(secret, d->item.id, d->now_ms / 1000, porch_buf_bytes(&body), signature));
    const porch_courier_header headers[] = {{"content-type", "application/json"},
                                            {"user-agent", "porchlight/" PORCH_VERSION},
                                            {"webhook-id", d->item.id},
                                            {"webhook-timestamp", timestamp},
                                            {"webhook-signature", signature}};
    const porch_courier_request request = {.url = d->url,
                                           .headers = headers,
                                           .headers_count = sizeof headers / sizeof *headers,
                                           .body = porch_buf_bytes(&body),
                                           .timeout_ms = n->config.settings->courier_timeout_ms};
    return porch_courier_post(n->config.courier, &request, status, why);
}

static porch_err send_due(porch_notify *n, const due *d, uint16_t *status, porch_why *why) {
    uint8_t secret_block[PORCH_NOTIFY_SEALED_MAX];
    porch_buf secret = PORCH_BUF_OF(secret_block);
    porch_err e = porch_signer_unseal(n->config.signer, "webhook", (porch_bytes){d->sealed, d->sealed_len},
                                      &secret, why);
    if (e == PORCH_OK) e = post(n, d, porch_buf_bytes(&secret), status, why);
    porch_wipe(secret_block, sizeof secret_block);
    return e;
}

static void judge(const porch_notify *n, porch_err e, const porch_why *why, result *r) {
    const porch_settings *s = n->config.settings;
    if (e == PORCH_OK && r->status >= 200 && r->status < 300) {
        r->how = OUTCOME_DONE;
        return;
    }
    if (e == PORCH_OK)
        snprintf(r->error, sizeof r->error, "the receiver answered %u", r->status);
    else
        snprintf(r->error, sizeof r->error, "%s", porch_why_text(why, e));
    bool gone = e == PORCH_OK && r->status == GONE;
    r->how = gone || r->d->attempts + 1 >= s->notify_attempts ? OUTCOME_GIVEN_UP : OUTCOME_RETRY;
    /* Counted from here: what the attempt took is no part of the wait. */
    uint64_t ended_ms = porch_clock_ms();
    r->next_at_ms = ended_ms + porch_notify_retry_wait(r->d->attempts, s->notify_retry_first_ms,
                                                       s->notify_retry_most_ms);
    /* "Gone" is a word that was asked for, and a helper that is away is no fault of the receiver's. */
    r->failed = !gone && e != PORCH_ERR_CHILD && e != PORCH_ERR_BUSY;
    if (r->failed)
        r->rest_until_ms =
            ended_ms + porch_notify_retry_wait(r->d->failures, s->notify_retry_first_ms, REST_MOST_MS);
}

static void log_result(const result *r) {
    static const char *const words[] = {
        [OUTCOME_DONE] = "delivered", [OUTCOME_RETRY] = "retry", [OUTCOME_GIVEN_UP] = "given-up"};
    porch_log(r->how == OUTCOME_DONE ? PORCH_LOG_INFO : PORCH_LOG_WARN, "notify.webhook", "outcome",
              words[r->how], "id", r->d->item.id, "webhook", r->d->webhook, "status",
              porch_log_number(r->status).text, "attempt", porch_log_number(r->d->attempts + 1).text,
              "reason", r->error[0] ? r->error : NULL, NULL);
}

static void log_dropped(const result *r) {
    if (r->dropped == 0) return;
    porch_log(PORCH_LOG_WARN, "notify.webhook-dropped", "webhook", r->d->webhook, "deliveries",
              porch_log_number((uint64_t)r->dropped).text, "reason",
              "they are older than all attempts may take, and the receiver still fails", NULL);
}

porch_err porch_notify_deliver_one(porch_notify *n, uint64_t *wait_ms, porch_why *why) {
    due d = {.now_ms = porch_clock_ms(), .retry_most_ms = n->config.settings->notify_retry_most_ms};
    result r = {.n = n, .d = &d};
    porch_why post_why = {""};
    PORCH_TRY(porch_store_read(n->config.store, read_due, &d, why));
    *wait_ms = 0;
    if (!d.found) {
        *wait_ms = d.next_at_ms ? d.next_at_ms - d.now_ms : UINT64_MAX;
        return PORCH_OK;
    }
    porch_err e = send_due(n, &d, &r.status, &post_why);
    judge(n, e, &post_why, &r);
    log_result(&r);
    PORCH_TRY(porch_store_write(n->config.store, write_result, &r, why));
    log_dropped(&r);
    return PORCH_OK;
}

void *porch_notify_deliver_run(void *ctx) {
    porch_notify *n = ctx;
    porch_notify_thread_work(&n->delivery, n, porch_notify_deliver_one, "notify.stuck");
    return NULL;
}
