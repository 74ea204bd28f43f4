/* Push deliveries, one after the other on a thread of their own, so that a slow webhook's retries do not
 * hold them: of those that are due, the one of the person who was served longest ago is sealed for its
 * browser and sent. A person whose service fails rests (table push_pace). A message older than push.ttl_s
 * (an alert about the account: push.alert_ttl_s) is not worth a person's look and is given up. Whether the
 * browser and its person may be told is judged again when it leaves: one that was muted, whose person's
 * time is over, or about a camera that was snoozed since or that the policy hides is withheld, and its
 * service learns nothing. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cloud/notify/notify_push.h"
#include "cloud/notify/notify_room.h"
#include "crypto/sha256.h"
#include "crypto/webpush.h"
#include "os/clock.h"
#include "os/log.h"

enum {
    AHEAD_MOST_MS = 60000,    /* what a clock that is corrected may make of now */
    TOKEN_LIFE_MS = 43200000, /* RFC 8292 allows 24 h; half of it bears a clock that is off */
    TOKEN_LEFT_MS = 3600000,
    TOPIC_BYTES = 16,
    TOPIC_LETTERS = 32, /* RFC 8030, 5.4: at most 32 letters of base64url */
    BODY_BYTES = PORCH_WEBPUSH_PLAIN_BYTES + PORCH_WEBPUSH_EXTRA_BYTES,
};

/* What is told of an alert about the account. */
typedef struct {
    char id[33]; /* "": it is none */
    char kind[17];
    char address[65];
    char agent[65];
    uint64_t at_ms;
} alert_part;

typedef struct {
    porch_notify_item item; /* id is empty for a test message and an alert */
    alert_part alert;
    int64_t delivery;
    char subscription[33];
    char account[PORCH_PERSON_ID_TEXT];
    uint32_t failures;   /* of the account, before this one */
    porch_person person; /* whose browser it is: name in lower case, role, household, may they sign in */
    bool muted, snoozed; /* the browser; the message's camera, for that person */
    char endpoint[PORCH_COURIER_URL_MAX + 1];
    char origin[PORCH_PUSH_ORIGIN_TEXT];
    uint8_t key[PORCH_WEBPUSH_PUBLIC_BYTES];
    uint8_t auth[PORCH_WEBPUSH_AUTH_BYTES];
    uint32_t attempts;
    uint64_t made_ms, next_at_ms, now_ms, rest_most_ms;
    bool found;
} due;

typedef struct {
    const due *d;
    porch_push_outcome how;
    bool asked, failed; /* whether the courier asked its service, and whether that is to blame */
    uint64_t next_at_ms, rest_until_ms;
    uint16_t status;
    char error[PORCH_NOTIFY_ERROR_BYTES];
} result;

/* ---- reading and writing rows ---- */

static void read_alert(porch_db_query *q, int at, alert_part *ret) {
    (void)porch_bytes_to_text(porch_db_text(q, at), ret->id, sizeof ret->id);
    (void)porch_bytes_to_text(porch_db_text(q, at + 1), ret->kind, sizeof ret->kind);
    (void)porch_bytes_to_text(porch_db_text(q, at + 2), ret->address, sizeof ret->address);
    (void)porch_bytes_to_text(porch_db_text(q, at + 3), ret->agent, sizeof ret->agent);
    ret->at_ms = (uint64_t)porch_db_i64(q, at + 4);
}

/* What log and topic call it. */
static const char *name_of(const due *d) {
    if (d->alert.id[0]) return d->alert.id;
    return d->item.id[0] ? d->item.id : "test";
}

static bool is_test(const due *d) {
    return !d->alert.id[0] && !d->item.id[0];
}

static uint64_t ttl_s(const porch_notify *n, const due *d) {
    return d->alert.id[0] ? n->config.settings->push_alert_ttl_s : n->config.settings->push_ttl_s;
}

/* One whose account is gone has no role, and may hear nothing. */
static void read_person(porch_db_query *q, int at, porch_person *ret) {
    char role[16];
    (void)porch_bytes_to_text(porch_db_text(q, at), ret->name, sizeof ret->name);
    (void)porch_bytes_to_text(porch_db_text(q, at + 1), role, sizeof role);
    (void)porch_bytes_to_text(porch_db_text(q, at + 2), ret->household, sizeof ret->household);
    (void)porch_role_parse(porch_bytes_of(role), &ret->role);
    ret->awaiting_reset = porch_db_i64(q, at + 3) != 0;
    ret->expires_ms = (uint64_t)porch_db_i64(q, at + 4);
}

/* A rest that ends later than any can was begun before the clock was set back. */
#define RESTING "z.resting_until_ms > ?1 and z.resting_until_ms <= ?2"
/* A browser whose service did not take the last message comes behind the person's others. */
#define FAILING "(s.last_at_ms > 0 and s.last_status not between 200 and 299)"
#define WAITING                                                                                        \
    "from push_delivery d join push_subscription s on s.id = d.subscription left join push_pace z on " \
    "z.account = s.account "

/* One that was made in the future was made before the clock was set back: it is due at once, and dated now
 * when it has been tried (write_result). */
#define FROM_THE_FUTURE "d.made_ms > ?3"

static void bind_times(porch_db_query *q, const due *d) {
    porch_db_bind_i64(q, 1, (int64_t)d->now_ms);
    porch_db_bind_i64(q, 2, (int64_t)(d->now_ms + d->rest_most_ms));
    porch_db_bind_i64(q, 3, (int64_t)(d->now_ms + AHEAD_MOST_MS));
}

/* When the next will be due. */
static porch_err read_next(porch_db *db, due *d, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "select min(max(case when " FROM_THE_FUTURE " then 0 else d.next_at_ms end, case when " RESTING
        " then z.resting_until_ms else 0 end)) " WAITING "where d.state = 'waiting'",
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
        "select " PORCH_NOTIFY_COLUMNS ", d.id, s.id, s.endpoint, s.p256dh, s.auth, d.attempts, d.made_ms, "
        "d.next_at_ms, a.id, a.kind, a.address, a.agent, a.at_ms, p.name_key, p.role, p.household, "
        "p.awaiting_reset, p.expires_ms, s.account, s.muted, z.failures, exists (select 1 from push_snooze "
        "o where o.account = s.account and o.device = d.device and o.until_ms > ?1 and o.until_ms <= "
        "?4) " WAITING
        "left join notification n on n.seq = d.notification left join alert a on a.id = d.alert left join "
        "account p on p.id = s.account "
        "where d.state = 'waiting' and (d.next_at_ms <= ?1 or " FROM_THE_FUTURE
        ") and (z.account is null or not (" RESTING ")) "
        "order by case when z.served_ms <= ?1 then z.served_ms else 0 end, " FAILING
        ", d.next_at_ms, d.id limit 1",
        why);
    bind_times(q, d);
    porch_db_bind_i64(q, 4, (int64_t)(d->now_ms + PORCH_PUSH_SNOOZE_MOST_MS));
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        const int at = PORCH_NOTIFY_COLUMN_COUNT;
        porch_bytes key = porch_db_blob(q, at + 3), auth = porch_db_blob(q, at + 4);
        porch_notify_item_read(q, &d->item);
        d->delivery = porch_db_i64(q, at);
        (void)porch_bytes_to_text(porch_db_text(q, at + 1), d->subscription, sizeof d->subscription);
        (void)porch_bytes_to_text(porch_db_text(q, at + 2), d->endpoint, sizeof d->endpoint);
        if (key.len == sizeof d->key) memcpy(d->key, key.at, key.len);
        if (auth.len == sizeof d->auth) memcpy(d->auth, auth.at, auth.len);
        d->attempts = (uint32_t)porch_db_i64(q, at + 5);
        d->made_ms = (uint64_t)porch_db_i64(q, at + 6);
        d->next_at_ms = (uint64_t)porch_db_i64(q, at + 7);
        read_alert(q, at + 8, &d->alert);
        read_person(q, at + 13, &d->person);
        (void)porch_bytes_to_text(porch_db_text(q, at + 18), d->account, sizeof d->account);
        d->failures = (uint32_t)porch_db_i64(q, at + 20);
        d->muted = porch_db_i64(q, at + 19) != 0;
        d->snoozed = porch_db_i64(q, at + 21) != 0;
        d->found = true;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? read_next(db, d, why) : e;
}

static porch_err drop_subscription(porch_db *db, const result *r, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "delete from push_subscription where id = ?1", why);
    porch_db_bind_str(q, 1, r->d->subscription);
    return porch_db_execute(q, why);
}

/* Its turn is over, and it rests or need no longer. Booked on the account, whatever became of the
 * subscription meanwhile: who deletes it while it is asked for has had the turn all the same. */
static porch_err write_pace(porch_db *db, const result *r, porch_why *why) {
    uint32_t failures = r->failed ? r->d->failures + 1 : r->how == PORCH_PUSH_DONE ? 0 : r->d->failures;
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into push_pace (account, served_ms, failures, resting_until_ms) select id, ?2, ?3, ?4 "
        "from account where id = ?1 on conflict (account) do update set served_ms = "
        "excluded.served_ms, failures = excluded.failures, resting_until_ms = excluded.resting_until_ms",
        why);
    porch_db_bind_str(q, 1, r->d->account);
    porch_db_bind_i64(q, 2, (int64_t)r->d->now_ms);
    porch_db_bind_i64(q, 3, failures);
    porch_db_bind_i64(q, 4, (int64_t)r->rest_until_ms);
    return porch_db_execute(q, why);
}

static porch_err write_result(porch_db *db, void *ctx, porch_why *why) {
    static const char *const states[] = {[PORCH_PUSH_DONE] = "done",
                                         [PORCH_PUSH_RETRY] = "waiting",
                                         [PORCH_PUSH_GIVEN_UP] = "given-up",
                                         [PORCH_PUSH_WITHHELD] = "given-up"};
    const result *r = ctx;
    PORCH_TRY(write_pace(db, r, why));
    if (r->how == PORCH_PUSH_GONE) return drop_subscription(db, r, why);
    /* Meanwhile it may have been given up ("not a person"), or be gone and its number another's. */
    porch_db_query *q = porch_db_prepare(
        db,
        "update push_delivery set state = ?2, attempts = attempts + 1, next_at_ms = ?3, made_ms = "
        "min(made_ms, ?6) where id = ?1 and state = 'waiting' and subscription = ?4 and made_ms = ?5",
        why);
    porch_db_bind_i64(q, 1, r->d->delivery);
    porch_db_bind_str(q, 2, states[r->how]);
    porch_db_bind_i64(q, 3, (int64_t)r->next_at_ms);
    porch_db_bind_str(q, 4, r->d->subscription);
    porch_db_bind_i64(q, 5, (int64_t)r->d->made_ms);
    porch_db_bind_i64(q, 6, (int64_t)r->d->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    if (r->how == PORCH_PUSH_WITHHELD) return PORCH_OK;
    q = porch_db_prepare(
        db,
        "update push_subscription set delivered = delivered + ?2, last_at_ms = ?3, last_status "
        "= ?4 where id = ?1",
        why);
    porch_db_bind_str(q, 1, r->d->subscription);
    porch_db_bind_i64(q, 2, r->how == PORCH_PUSH_DONE);
    porch_db_bind_i64(q, 3, (int64_t)r->d->now_ms);
    porch_db_bind_i64(q, 4, r->status);
    return porch_db_execute(q, why);
}

/* ---- one message ---- */

/* What the service worker shows: what, where, when, and where a touch leads. */
static json_t *payload_of(const due *d) {
    const porch_notify_item *i = &d->item;
    char picture[128], page[96];
    if (d->alert.id[0])
        return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "v", 1, "kind", "security", "what",
                         d->alert.kind, "id", d->alert.id, "agent", d->alert.agent, "address",
                         d->alert.address, "at_ms", (json_int_t)d->alert.at_ms, "page", "/security");
    if (!i->id[0])
        return json_pack("{s:i, s:s, s:I}", "v", 1, "kind", "test", "at_ms", (json_int_t)d->made_ms);
    snprintf(picture, sizeof picture, "/api/v1/events/%s/picture", i->event);
    snprintf(page, sizeof page, "/events/%s", i->event);
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "v", 1, "kind", i->kind, "id", i->id,
                     "device", i->device, "event", i->event, "at_ms", (json_int_t)i->at_ms, "at",
                     i->at_local, "picture", picture, "page", page);
}

static porch_err make_body(const due *d, porch_buf *body, porch_why *why) {
    json_t *payload = payload_of(d);
    char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    porch_err e =
        text ? porch_webpush_seal(d->key, d->auth, porch_bytes_of(text), body, why) : PORCH_ERR_BUSY;
    free(text);
    json_decref(payload);
    return e;
}

/* A newer message about the same camera replaces one that still waits at the push service; no alert
 * replaces another. The service learns a hash, not the camera's name. */
static void make_topic(const due *d, char out[TOPIC_LETTERS + 1]) {
    char input[160];
    uint8_t digest[PORCH_SHA256_BYTES];
    porch_buf text = {(uint8_t *)out, 0, TOPIC_LETTERS};
    int n = snprintf(input, sizeof input, "%s|%s", d->subscription,
                     d->item.id[0] ? d->item.device : name_of(d));
    porch_sha256((porch_bytes){(const uint8_t *)input, n > 0 ? (size_t)n : 0}, digest);
    (void)porch_hex_write(&text, (porch_bytes){digest, TOPIC_BYTES});
    out[TOPIC_LETTERS] = '\0';
}

/* Where a new token goes: in the place of the one that ends first, among the account's own if it has as
 * many as it may have push services, so that nobody turns other people's out by coming with ever new ones.
 */
static porch_push_token *place_for(porch_notify *n, const due *d) {
    porch_push_token *oldest = &n->tokens[0], *own = NULL;
    size_t owns = 0;
    for (size_t i = 0; i < PORCH_PUSH_TOKENS; i++) {
        porch_push_token *t = &n->tokens[i];
        if (t->ends_ms < oldest->ends_ms) oldest = t;
        if (t->ends_ms == 0 || strcmp(t->account, d->account) != 0) continue;
        owns++;
        if (own == NULL || t->ends_ms < own->ends_ms) own = t;
    }
    return owns < n->config.settings->push_origins ? oldest : own;
}

/* A token of the cache, or a new one. */
static porch_err token_for(porch_notify *n, const due *d, const char **ret, porch_why *why) {
    for (size_t i = 0; i < PORCH_PUSH_TOKENS; i++) {
        porch_push_token *t = &n->tokens[i];
        /* One that ends too late was made before the clock was set back. */
        if (strcmp(t->audience, d->origin) == 0 && t->ends_ms > d->now_ms + TOKEN_LEFT_MS &&
            t->ends_ms <= d->now_ms + TOKEN_LIFE_MS) {
            *ret = t->text;
            return PORCH_OK;
        }
    }
    porch_push_token *t = place_for(n, d);
    uint64_t ends_ms = d->now_ms + TOKEN_LIFE_MS;
    t->ends_ms = 0; /* until the new one stands there whole */
    PORCH_TRY(porch_signer_vapid_token(n->config.signer, d->origin, ends_ms, t->text, why));
    snprintf(t->account, sizeof t->account, "%s", d->account);
    snprintf(t->audience, sizeof t->audience, "%s", d->origin);
    t->ends_ms = ends_ms;
    *ret = t->text;
    return PORCH_OK;
}

static porch_err authorization(porch_notify *n, const due *d, char *out, size_t cap, porch_why *why) {
    uint8_t key[PORCH_SIGNER_VAPID_KEY_BYTES];
    char key_text[96] = "";
    porch_buf key_buf = {(uint8_t *)key_text, 0, sizeof key_text - 1};
    const char *token = NULL;
    PORCH_TRY(token_for(n, d, &token, why));
    PORCH_TRY(porch_push_key(n, key, why));
    PORCH_TRY(porch_base64_write(&key_buf, (porch_bytes){key, sizeof key}, true));
    int len = snprintf(out, cap, "vapid t=%s, k=%s", token, key_text);
    return len > 0 && (size_t)len < cap ? PORCH_OK : PORCH_ERR_NO_SPACE;
}

static porch_err post(porch_notify *n, const due *d, result *r, porch_why *why) {
    uint8_t body_block[BODY_BYTES];
    porch_buf body = PORCH_BUF_OF(body_block);
    char authorized[PORCH_COURIER_HEADER_MAX], topic[TOPIC_LETTERS + 1], ttl[24];
    uint64_t age_ms = d->now_ms > d->made_ms ? d->now_ms - d->made_ms : 0;
    PORCH_TRY(make_body(d, &body, why));
    PORCH_TRY(authorization(n, d, authorized, sizeof authorized, why));
    make_topic(d, topic);
    snprintf(ttl, sizeof ttl, "%llu",
             (unsigned long long)(ttl_s(n, d) - age_ms / 1000)); /* judged before: not over */
    const porch_courier_header headers[] = {
        {"content-type", "application/octet-stream"},
        {"content-encoding", "aes128gcm"},
        {"user-agent", "porchlight/" PORCH_VERSION},
        {"ttl", ttl},
        {"urgency", strcmp(d->item.kind, "person") == 0 || d->alert.id[0] ? "high" : "normal"},
        {"topic", topic},
        {"authorization", authorized},
    };
    const porch_courier_request request = {.url = d->endpoint,
                                           .headers = headers,
                                           .headers_count = sizeof headers / sizeof *headers,
                                           .body = porch_buf_bytes(&body),
                                           .timeout_ms = n->config.settings->push_timeout_ms};
    r->asked = true;
    return porch_courier_post(n->config.courier, &request, &r->status, why);
}

porch_push_outcome porch_push_judge(porch_err e, uint16_t status) {
    if (e != PORCH_OK)
        return e == PORCH_ERR_DENIED || e == PORCH_ERR_MALFORMED || e == PORCH_ERR_USAGE
                   ? PORCH_PUSH_GIVEN_UP
                   : PORCH_PUSH_RETRY;
    if (status >= 200 && status < 300) return PORCH_PUSH_DONE;
    if (status == 404 || status == 410) return PORCH_PUSH_GONE;
    return status == 408 || status == 429 || status >= 500 ? PORCH_PUSH_RETRY : PORCH_PUSH_GIVEN_UP;
}

/* Whether the person's push service is to blame, which it is not for a courier that is away, nor when it
 * has answered for good: nothing of that is asked again. */
static bool is_failure(const result *r, porch_err e) {
    if (e == PORCH_OK) return porch_push_judge(e, r->status) == PORCH_PUSH_RETRY;
    return r->asked && e != PORCH_ERR_CHILD && e != PORCH_ERR_BUSY;
}

static void judge(const porch_notify *n, porch_err e, const porch_why *why, result *r) {
    const porch_settings *s = n->config.settings;
    uint64_t ends_ms = r->d->made_ms + ttl_s(n, r->d) * 1000;
    r->how = porch_push_judge(e, r->status);
    r->next_at_ms = r->d->now_ms + porch_notify_retry_wait(r->d->attempts, s->notify_retry_first_ms,
                                                           s->notify_retry_most_ms);
    if (r->how == PORCH_PUSH_RETRY && (r->next_at_ms >= ends_ms || is_test(r->d)))
        r->how = PORCH_PUSH_GIVEN_UP;
    r->failed = is_failure(r, e);
    if (r->failed)
        r->rest_until_ms =
            porch_clock_ms() +
            porch_notify_retry_wait(r->d->failures, s->notify_retry_first_ms, r->d->rest_most_ms);
    if (e != PORCH_OK)
        snprintf(r->error, sizeof r->error, "%s", porch_why_text(why, e));
    else if (r->how != PORCH_PUSH_DONE)
        snprintf(r->error, sizeof r->error, "the push service answered %u", r->status);
}

/* The endpoint's path is a secret of the browser's; the log names its service. */
static void log_result(const result *r) {
    static const char *const words[] = {[PORCH_PUSH_DONE] = "delivered",
                                        [PORCH_PUSH_RETRY] = "retry",
                                        [PORCH_PUSH_GIVEN_UP] = "given-up",
                                        [PORCH_PUSH_GONE] = "gone",
                                        [PORCH_PUSH_WITHHELD] = "withheld"};
    bool calm = r->how == PORCH_PUSH_DONE || r->how == PORCH_PUSH_WITHHELD;
    porch_log(calm ? PORCH_LOG_INFO : PORCH_LOG_WARN, "notify.push", "outcome", words[r->how], "id",
              name_of(r->d), "subscription", r->d->subscription, "service", r->d->origin, "status",
              porch_log_number(r->status).text, "attempt", porch_log_number(r->d->attempts + 1).text,
              "reason", r->error[0] ? r->error : NULL, NULL);
}

static porch_err send_due(porch_notify *n, due *d, result *r, porch_why *why) {
    PORCH_TRY(porch_push_endpoint_check(porch_bytes_of(d->endpoint), n->config.settings->courier_allow,
                                        d->origin, why));
    if (d->now_ms >= d->made_ms + ttl_s(n, d) * 1000)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "too old (push.ttl_s, push.alert_ttl_s): nobody needs it any more");
    return post(n, d, r, why);
}

/* Alerts about the account go wherever they were queued for; of the home nothing does that may not now, and
 * tests are the person's own. */
static bool may_tell(const porch_notify *n, const due *d, const char **reason) {
    const porch_notify_config *c = &n->config;
    const porch_person *p = &d->person;
    if (d->alert.id[0]) return true;
    *reason = "the browser's sign-in was ended";
    if (d->muted) return false;
    *reason = "the person may not sign in any more";
    if (p->awaiting_reset || (p->expires_ms != 0 && p->expires_ms <= d->now_ms)) return false;
    *reason = "the person has snoozed the camera";
    if (d->snoozed) return false;
    *reason = "the policy does not let the person hear of the device";
    return is_test(d) || (c->may_tell != NULL && c->may_tell(p, d->item.device, c->may_tell_ctx));
}

static void attempt(porch_notify *n, due *d, result *r) {
    porch_why why = {""};
    const char *reason = "";
    if (may_tell(n, d, &reason)) {
        porch_err e = send_due(n, d, r, &why);
        judge(n, e, &why, r);
    } else {
        r->how = PORCH_PUSH_WITHHELD;
        snprintf(r->error, sizeof r->error, "%s", reason);
    }
}

porch_err porch_push_deliver_one(porch_notify *n, uint64_t *wait_ms, porch_why *why) {
    due d = {.now_ms = porch_clock_ms(),
             .rest_most_ms = (uint64_t)n->config.settings->push_rest_most_s * 1000};
    result r = {.d = &d};
    PORCH_TRY(porch_store_read(n->config.store, read_due, &d, why));
    *wait_ms = 0;
    if (!d.found) {
        *wait_ms = d.next_at_ms ? d.next_at_ms - d.now_ms : UINT64_MAX;
        return PORCH_OK;
    }
    attempt(n, &d, &r);
    log_result(&r);
    return porch_store_write(n->config.store, write_result, &r, why);
}

void *porch_push_run(void *ctx) {
    porch_notify *n = ctx;
    porch_notify_thread_work(&n->push, n, porch_push_deliver_one, "push.stuck");
    return NULL;
}
