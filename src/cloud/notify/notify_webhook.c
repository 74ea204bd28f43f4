/* Webhooks as the operator sees them. The secret leaves once, when it is made; in the database it is a box
 * that only the signer opens. */
#include "cloud/notify/notify_room.h"

#include <stdio.h>
#include <string.h>

#include "crypto/random.h"
#include "os/clock.h"
#include "os/log.h"

typedef struct {
    porch_notify *n;
    porch_notify_webhook *webhook;
    porch_bytes sealed;
} add_job;

static porch_err count_webhooks(porch_db *db, int64_t *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select count(*) from webhook", why);
    PORCH_TRY(porch_db_step(q, why));
    *ret = porch_db_i64(q, 0);
    porch_db_finish(q);
    return PORCH_OK;
}

static porch_err add_row(porch_db *db, void *ctx, porch_why *why) {
    const add_job *job = ctx;
    int64_t count = 0;
    PORCH_TRY(count_webhooks(db, &count, why));
    if (count >= (int64_t)job->n->config.settings->notify_webhooks)
        return porch_fail(why, PORCH_ERR_LIMIT, "there are %lld webhooks already (notify.webhooks)",
                          (long long)count);
    porch_db_query *q = porch_db_prepare(
        db, "insert into webhook (id, url, secret, created_ms) values (?1, ?2, ?3, ?4)", why);
    porch_db_bind_str(q, 1, job->webhook->id);
    porch_db_bind_str(q, 2, job->webhook->url);
    porch_db_bind_blob(q, 3, job->sealed);
    porch_db_bind_i64(q, 4, (int64_t)job->webhook->created_ms);
    return porch_db_execute(q, why);
}

/* What can be seen of an address without asking for it; the courier judges the rest at each delivery. */
static porch_err check_url(const char *url, porch_why *why) {
    size_t n = strlen(url);
    if (n > PORCH_COURIER_URL_MAX)
        return porch_fail(why, PORCH_ERR_LIMIT, "a webhook's URL has at most %d bytes",
                          PORCH_COURIER_URL_MAX);
    if (strncmp(url, "https://", 8) != 0 || n == 8 || url[8] == '/' || url[8] == ':')
        return porch_fail(why, PORCH_ERR_USAGE, "a webhook's URL begins with https://HOST");
    for (size_t i = 0; i < n; i++)
        if (url[i] <= 0x20 || url[i] >= 0x7f)
            return porch_fail(
                why, PORCH_ERR_USAGE,
                "a webhook's URL is plain ASCII without blanks; encode the rest (%%20, punycode)");
    size_t host = strcspn(url + 8, "/?#");
    if (memchr(url + 8, '@', host))
        return porch_fail(why, PORCH_ERR_USAGE,
                          "a webhook's URL has no user name or password; the signature proves the sender");
    return PORCH_OK;
}

/* Scheme and host of a checked URL: what comes behind may be the receiver's secret, which no log should
 * hold.
 */
static porch_bytes origin_of(const char *url) {
    return (porch_bytes){(const uint8_t *)url, 8 + strcspn(url + 8, "/?#")};
}

porch_err porch_notify_webhook_add(porch_notify *n, const char *url, porch_notify_webhook *ret,
                                   char secret[PORCH_NOTIFY_SECRET_TEXT], porch_why *why) {
    uint8_t raw[PORCH_NOTIFY_WEBHOOK_SECRET_BYTES];
    uint8_t sealed_block[PORCH_NOTIFY_SEALED_MAX];
    porch_buf sealed = PORCH_BUF_OF(sealed_block);
    porch_notify_webhook made = {.created_ms = porch_clock_ms()};
    PORCH_TRY(check_url(url, why));
    porch_random_id(made.id);
    snprintf(made.url, sizeof made.url, "%s", url);
    porch_random(raw, sizeof raw);
    porch_err e =
        porch_signer_seal(n->config.signer, "webhook", (porch_bytes){raw, sizeof raw}, &sealed, why);
    add_job job = {n, &made, porch_buf_bytes(&sealed)};
    if (e == PORCH_OK) e = porch_store_write(n->config.store, add_row, &job, why);
    if (e == PORCH_OK) e = porch_notify_secret_text((porch_bytes){raw, sizeof raw}, secret);
    porch_wipe(raw, sizeof raw);
    if (e != PORCH_OK) return e;
    porch_log(PORCH_LOG_INFO, "notify.webhook-added", "id", made.id, "receiver",
              porch_log_bytes(origin_of(made.url)).text, NULL);
    *ret = made;
    return PORCH_OK;
}

static porch_err remove_row(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "delete from notification_delivery where webhook = ?1", why);
    porch_db_bind_str(q, 1, ctx);
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db, "delete from webhook where id = ?1", why);
    porch_db_bind_str(q, 1, ctx);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no webhook by that id; see webhook list");
    return PORCH_OK;
}

porch_err porch_notify_webhook_remove(porch_notify *n, const char *id, porch_why *why) {
    char copy[33];
    if (strlen(id) >= sizeof copy)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no webhook by that id; see webhook list");
    snprintf(copy, sizeof copy, "%s", id);
    PORCH_TRY(porch_store_write(n->config.store, remove_row, copy, why));
    porch_log(PORCH_LOG_INFO, "notify.webhook-removed", "id", copy, NULL);
    return PORCH_OK;
}

typedef struct {
    porch_notify_webhook_each_fn fn;
    void *ctx;
} list_job;

static porch_err list_rows(porch_db *db, void *ctx, porch_why *why) {
    const list_job *job = ctx;
    porch_err e = PORCH_OK;
    porch_db_query *q = porch_db_prepare(
        db,
        "select w.id, w.url, w.created_ms, "
        "count(*) filter (where d.state = 'done'), count(*) filter (where d.state = 'waiting'), "
        "count(*) filter (where d.state = 'given-up'), coalesce(max(d.last_at_ms), 0), "
        "coalesce((select l.last_status from notification_delivery l where l.webhook = w.id order by "
        "l.last_at_ms desc limit 1), 0), "
        "coalesce((select l.last_error from notification_delivery l where l.webhook = w.id order by "
        "l.last_at_ms desc limit 1), '') "
        "from webhook w left join notification_delivery d on d.webhook = w.id group by w.id order by "
        "w.created_ms, w.id",
        why);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_notify_webhook w = {0};
        (void)porch_bytes_to_text(porch_db_text(q, 0), w.id, sizeof w.id);
        (void)porch_bytes_to_text(porch_db_text(q, 1), w.url, sizeof w.url);
        w.created_ms = (uint64_t)porch_db_i64(q, 2);
        w.delivered = (uint64_t)porch_db_i64(q, 3);
        w.waiting = (uint64_t)porch_db_i64(q, 4);
        w.given_up = (uint64_t)porch_db_i64(q, 5);
        w.last_at_ms = (uint64_t)porch_db_i64(q, 6);
        w.last_status = (uint32_t)porch_db_i64(q, 7);
        (void)porch_bytes_to_text(porch_db_text(q, 8), w.last_error, sizeof w.last_error);
        if (!job->fn(&w, job->ctx)) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_notify_webhook_list(porch_notify *n, porch_notify_webhook_each_fn fn, void *ctx,
                                    porch_why *why) {
    list_job job = {fn, ctx};
    return porch_store_read(n->config.store, list_rows, &job, why);
}
