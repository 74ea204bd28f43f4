/* Webhook deliveries, one after the other on a thread of their own: the earliest that is due is sent, its
 * answer is written down, and only a 2xx ends it well. What was not written down when the hub died is sent
 * again, with the same webhook-id: the receiver acts once for each. */
#include "cloud/notify/notify_room.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "os/clock.h"
#include "os/log.h"

enum { BODY_MAX_BYTES = 8192, GONE = 410 };

/* A due delivery, read whole so that no snapshot stays open while the receiver thinks. */
typedef struct {
    porch_notify_item item;
    char webhook[33];
    char url[PORCH_COURIER_URL_MAX + 1];
    uint8_t sealed[PORCH_NOTIFY_SEALED_MAX];
    size_t sealed_len;
    uint32_t attempts;
    bool found;
    uint64_t next_at_ms; /* of the earliest that waits; 0: none does */
    uint64_t now_ms;
} due;

typedef enum { OUTCOME_DONE, OUTCOME_RETRY, OUTCOME_GIVEN_UP } outcome;

typedef struct {
    const due *d;
    outcome how;
    uint64_t next_at_ms;
    uint16_t status;
    char error[PORCH_NOTIFY_ERROR_BYTES];
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

static porch_err read_due(porch_db *db, void *ctx, porch_why *why) {
    due *d = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select " PORCH_NOTIFY_COLUMNS
        ", d.webhook, w.url, w.secret, d.attempts, d.next_at_ms from notification_delivery d "
        "join notification n on n.seq = d.notification join webhook w on w.id = d.webhook where d.state = "
        "'waiting' "
        "order by d.next_at_ms limit 1",
        why);
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
        d->next_at_ms = (uint64_t)porch_db_i64(q, at + 4);
        d->found = d->next_at_ms <= d->now_ms;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err write_result(porch_db *db, void *ctx, porch_why *why) {
    static const char *const states[] = {
        [OUTCOME_DONE] = "done", [OUTCOME_RETRY] = "waiting", [OUTCOME_GIVEN_UP] = "given-up"};
    const result *r = ctx;
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
    return porch_db_execute(q, why);
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
    bool last = r->d->attempts + 1 >= s->notify_attempts || r->status == GONE;
    r->how = last ? OUTCOME_GIVEN_UP : OUTCOME_RETRY;
    r->next_at_ms = r->d->now_ms + porch_notify_retry_wait(r->d->attempts, s->notify_retry_first_ms,
                                                           s->notify_retry_most_ms);
}

static void log_result(const result *r) {
    static const char *const words[] = {
        [OUTCOME_DONE] = "delivered", [OUTCOME_RETRY] = "retry", [OUTCOME_GIVEN_UP] = "given-up"};
    porch_log(r->how == OUTCOME_DONE ? PORCH_LOG_INFO : PORCH_LOG_WARN, "notify.webhook", "outcome",
              words[r->how], "id", r->d->item.id, "webhook", r->d->webhook, "status",
              porch_log_number(r->status).text, "attempt", porch_log_number(r->d->attempts + 1).text,
              "reason", r->error[0] ? r->error : NULL, NULL);
}

/* Sends one if one is due. *wait_ms: until the next is, UINT64_MAX for none. */
static porch_err deliver_one(porch_notify *n, uint64_t *wait_ms, porch_why *why) {
    due d = {.now_ms = porch_clock_ms()};
    result r = {.d = &d};
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
    return porch_store_write(n->config.store, write_result, &r, why);
}

void *porch_notify_deliver_run(void *ctx) {
    porch_notify *n = ctx;
    porch_notify_thread_work(&n->delivery, n, deliver_one, "notify.stuck");
    return NULL;
}
