/* Who is pushed to, and when not: subscriptions, snoozes, quiet hours, and the rows they lead to. */
#include "cloud/notify/notify_push.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/notify/notify_room.h"
#include "crypto/random.h"
#include "crypto/webpush.h"
#include "os/clock.h"
#include "os/log.h"

enum { MINUTE_MS = 60000, DELIVERY_KEEP_MS = 86400000, HTTPS_PORT = 443, PORT_MOST = 65535 };

/* ---- endpoints ---- */

/* Does courier.allow name this HOST:PORT? */
static bool allowed(const char *allow, porch_bytes host, uint64_t port) {
    char wanted[160];
    int n = snprintf(wanted, sizeof wanted, "%.*s:%llu", PORCH_FMT(host), (unsigned long long)port);
    while (n > 0 && (size_t)n < sizeof wanted && *allow) {
        size_t len = strcspn(allow, " ");
        if (len == (size_t)n && memcmp(allow, wanted, len) == 0) return true;
        allow += len + (allow[len] == ' ');
    }
    return false;
}

/* A name with a dot whose last label is not a number: neither an address nor a machine next door. */
static bool public_name(porch_bytes host) {
    size_t label = host.len;
    while (label > 0 && host.at[label - 1] != '.')
        label--;
    if (label == 0 || label == host.len) return false;
    return host.at[label] < '0' || host.at[label] > '9';
}

static size_t host_length(porch_bytes rest) {
    size_t n = 0;
    while (n < rest.len &&
           ((rest.at[n] >= 'a' && rest.at[n] <= 'z') || (rest.at[n] >= '0' && rest.at[n] <= '9') ||
            rest.at[n] == '-' || rest.at[n] == '.'))
        n++;
    return n;
}

porch_err porch_push_endpoint_check(porch_bytes endpoint, const char *allow,
                                    char origin[PORCH_PUSH_ORIGIN_TEXT], porch_why *why) {
    const porch_bytes scheme = PORCH_LIT("https://");
    uint64_t port = HTTPS_PORT;
    if (endpoint.len > PORCH_COURIER_URL_MAX || !porch_bytes_starts(endpoint, scheme))
        return porch_fail(why, PORCH_ERR_USAGE,
                          "a push endpoint begins with https:// and has at most %d bytes",
                          PORCH_COURIER_URL_MAX);
    for (size_t i = 0; i < endpoint.len; i++)
        if (endpoint.at[i] <= 0x20 || endpoint.at[i] >= 0x7f || endpoint.at[i] == '#' ||
            endpoint.at[i] == '\\')
            return porch_fail(why, PORCH_ERR_USAGE,
                              "a push endpoint is plain ASCII without blanks or fragment");
    porch_bytes rest = {endpoint.at + scheme.len, endpoint.len - scheme.len};
    porch_bytes host = {rest.at, host_length(rest)};
    rest = (porch_bytes){rest.at + host.len, rest.len - host.len};
    if (rest.len > 0 && rest.at[0] == ':') {
        size_t digits = 1;
        while (digits < rest.len && rest.at[digits] >= '0' && rest.at[digits] <= '9')
            digits++;
        if (porch_decimal_read((porch_bytes){rest.at + 1, digits - 1}, PORT_MOST, &port) != PORCH_OK ||
            port == 0)
            return porch_fail(why, PORCH_ERR_USAGE, "the push endpoint's port cannot be read");
        rest = (porch_bytes){rest.at + digits, rest.len - digits};
    }
    if (host.len == 0 || rest.len == 0 || rest.at[0] != '/')
        return porch_fail(why, PORCH_ERR_USAGE,
                          "a push endpoint is https://HOST/PATH with a lower-case host name");
    if (!allowed(allow, host, port) && (port != HTTPS_PORT || !public_name(host)))
        return porch_fail(
            why, PORCH_ERR_USAGE,
            "push goes to public names on port 443 only; an operator may allow others by name "
            "(courier.allow)");
    int n = port == HTTPS_PORT ? snprintf(origin, PORCH_PUSH_ORIGIN_TEXT, "https://%.*s", PORCH_FMT(host))
                               : snprintf(origin, PORCH_PUSH_ORIGIN_TEXT, "https://%.*s:%llu",
                                          PORCH_FMT(host), (unsigned long long)port);
    return n > 0 && n < PORCH_PUSH_ORIGIN_TEXT
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_USAGE, "the push endpoint's host name is too long");
}

/* ---- subscriptions ---- */

typedef struct {
    porch_notify *n;
    const char *account, *session;
    porch_bytes endpoint, was;
    char origin[PORCH_PUSH_ORIGIN_TEXT];
    uint8_t key[PORCH_WEBPUSH_PUBLIC_BYTES];
    uint8_t auth[PORCH_WEBPUSH_AUTH_BYTES];
    char id[33];
    bool made;
} subscribe_job;

/* What waits was for whom it belonged to until now. */
static porch_err drop_waiting(porch_db *db, const subscribe_job *job, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "delete from push_delivery where subscription = ?1 and state = 'waiting' and exists (select 1 from "
        "push_subscription s where s.id = ?1 and s.account <> ?2)",
        why);
    porch_db_bind_str(q, 1, job->id);
    porch_db_bind_str(q, 2, job->account);
    return porch_db_execute(q, why);
}

/* NOT_FOUND: a new one. OK: it is this account's now. */
static porch_err adopt(porch_db *db, subscribe_job *job, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "select id, p256dh, auth from push_subscription where endpoint = ?1", why);
    porch_db_bind_text(q, 1, job->endpoint);
    porch_err e = porch_db_step(q, why);
    bool same = e == PORCH_OK &&
                porch_bytes_eq_secret(porch_db_blob(q, 1), (porch_bytes){job->key, sizeof job->key}) &&
                porch_bytes_eq_secret(porch_db_blob(q, 2), (porch_bytes){job->auth, sizeof job->auth});
    if (e == PORCH_OK) (void)porch_bytes_to_text(porch_db_text(q, 0), job->id, sizeof job->id);
    porch_db_finish(q);
    PORCH_TRY(e);
    if (!same)
        return porch_fail(why, PORCH_ERR_EXISTS,
                          "this push endpoint is known with other keys; unsubscribe in the browser first");
    PORCH_TRY(drop_waiting(db, job, why));
    q = porch_db_prepare(
        db, "update push_subscription set account = ?2, session = ?3, muted = 0 where id = ?1", why);
    porch_db_bind_str(q, 1, job->id);
    porch_db_bind_str(q, 2, job->account);
    porch_db_bind_str(q, 3, job->session);
    return porch_db_execute(q, why);
}

static porch_err insert(porch_db *db, subscribe_job *job, porch_why *why) {
    uint32_t most = job->n->config.settings->push_subscriptions;
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into push_subscription (id, account, endpoint, p256dh, auth, created_ms, session) select "
        "?1, "
        "?2, ?3, ?4, ?5, ?6, ?8 where (select count(*) from push_subscription where account = ?2) < ?7",
        why);
    porch_random_id(job->id);
    porch_db_bind_str(q, 1, job->id);
    porch_db_bind_str(q, 2, job->account);
    porch_db_bind_text(q, 3, job->endpoint);
    porch_db_bind_blob(q, 4, (porch_bytes){job->key, sizeof job->key});
    porch_db_bind_blob(q, 5, (porch_bytes){job->auth, sizeof job->auth});
    porch_db_bind_i64(q, 6, (int64_t)porch_clock_ms());
    porch_db_bind_i64(q, 7, most);
    porch_db_bind_str(q, 8, job->session);
    PORCH_TRY(porch_db_execute(q, why));
    job->made = porch_db_changes(db) == 1;
    if (!job->made)
        return porch_fail(
            why, PORCH_ERR_LIMIT,
            "push goes to at most %u browsers of one person (push.subscriptions); remove one first", most);
    return PORCH_OK;
}

typedef struct {
    char at[PORCH_PUSH_SUBSCRIPTIONS_MOST + 1][PORCH_PUSH_ORIGIN_TEXT];
    size_t count;
} origins;

static void add_origin(origins *o, const char *origin) {
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->at[i], origin) == 0) return;
    if (o->count < sizeof o->at / sizeof o->at[0])
        snprintf(o->at[o->count++], sizeof o->at[0], "%s", origin);
}

/* Each push service costs a token of the signer's and, if it does not answer, the time of waiting for it.
 */
static porch_err check_origins(porch_db *db, const subscribe_job *job, porch_why *why) {
    const porch_settings *s = job->n->config.settings;
    origins o = {.count = 0};
    porch_err e = PORCH_OK;
    add_origin(&o, job->origin);
    porch_db_query *q =
        porch_db_prepare(db, "select endpoint from push_subscription where account = ?1", why);
    porch_db_bind_str(q, 1, job->account);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        char origin[PORCH_PUSH_ORIGIN_TEXT];
        /* One that courier.allow no longer names is not sent to. */
        if (porch_push_endpoint_check(porch_db_text(q, 0), s->courier_allow, origin, NULL) == PORCH_OK)
            add_origin(&o, origin);
    }
    porch_db_finish(q);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    if (o.count <= s->push_origins) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_LIMIT,
                      "the browsers of one person are reached by at most %u push services (push.origins); "
                      "remove a browser first",
                      s->push_origins);
}

/* A sign-in that was ended since the request came in at the door has muted its browsers, and ends no mute.
 */
static porch_err check_sign_in(porch_db *db, const subscribe_job *job, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select 1 from session where id = ?1 and account = ?2", why);
    porch_db_bind_str(q, 1, job->session);
    porch_db_bind_str(q, 2, job->account);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? porch_fail(why, PORCH_ERR_AUTH, "the sign-in is over; sign in again")
                                    : e;
}

/* The address that the browser had goes, if it was this person's: whoever is signed in at a browser need
 * not be the one whom it tells. */
static porch_err drop_former(porch_db *db, const subscribe_job *job, porch_why *why) {
    if (job->was.len == 0) return PORCH_OK;
    porch_db_query *q =
        porch_db_prepare(db, "delete from push_subscription where endpoint = ?1 and account = ?2", why);
    porch_db_bind_text(q, 1, job->was);
    porch_db_bind_str(q, 2, job->account);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_db_changes(db) == 1
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_NOT_FOUND,
                            "the former push endpoint is not yours; subscribe this browser by hand");
}

static porch_err subscribe(porch_db *db, void *ctx, porch_why *why) {
    PORCH_TRY(check_sign_in(db, ctx, why));
    PORCH_TRY(drop_former(db, ctx, why));
    PORCH_TRY(check_origins(db, ctx, why));
    porch_err e = adopt(db, ctx, why);
    return e == PORCH_ERR_NOT_FOUND ? insert(db, ctx, why) : e;
}

static bool decode(porch_bytes text, uint8_t *out, size_t len) {
    porch_buf b = {out, 0, len};
    return porch_base64_read(&b, text, true) == PORCH_OK && b.len == len;
}

porch_err porch_push_subscribe(porch_notify *n, const char *account, const char *session,
                               porch_bytes endpoint, porch_bytes was, porch_bytes p256dh, porch_bytes auth,
                               char id[33], bool *made, porch_why *why) {
    subscribe_job job = {.n = n, .account = account, .session = session, .endpoint = endpoint, .was = was};
    PORCH_TRY(porch_push_endpoint_check(endpoint, n->config.settings->courier_allow, job.origin, why));
    if (!decode(p256dh, job.key, sizeof job.key) || !decode(auth, job.auth, sizeof job.auth) ||
        !porch_webpush_key_valid((porch_bytes){job.key, sizeof job.key}))
        return porch_fail(why, PORCH_ERR_USAGE,
                          "p256dh must be a point of P-256 and auth 16 bytes, both in base64url");
    PORCH_TRY(porch_store_write(n->config.store, subscribe, &job, why));
    porch_log(PORCH_LOG_INFO, "push.subscribed", "id", job.id, "account", account, "service", job.origin,
              "new", job.made ? "yes" : "no", NULL);
    snprintf(id, 33, "%s", job.id);
    *made = job.made;
    return PORCH_OK;
}

porch_err porch_push_mute(porch_db *db, const char *account, const char *session, const char *except,
                          porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "update push_subscription set muted = 1 where account = ?1 and (?2 "
                         "= '' or session = ?2) and (?3 = '' or session <> ?3)",
                         why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_str(q, 2, session);
    porch_db_bind_str(q, 3, except);
    return porch_db_execute(q, why);
}

typedef struct {
    const char *account, *id;
} own_job;

static porch_err unsubscribe(porch_db *db, void *ctx, porch_why *why) {
    const own_job *job = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "delete from push_subscription where id = ?1 and account = ?2", why);
    porch_db_bind_str(q, 1, job->id);
    porch_db_bind_str(q, 2, job->account);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_db_changes(db) == 1
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_NOT_FOUND, "you have no push subscription by that id");
}

porch_err porch_push_unsubscribe(porch_notify *n, const char *account, const char *id, porch_why *why) {
    own_job job = {account, id};
    PORCH_TRY(porch_store_write(n->config.store, unsubscribe, &job, why));
    porch_log(PORCH_LOG_INFO, "push.unsubscribed", "id", id, "account", account, NULL);
    return PORCH_OK;
}

porch_err porch_push_key(porch_notify *n, uint8_t key[PORCH_SIGNER_VAPID_KEY_BYTES], porch_why *why) {
    return porch_signer_vapid_key(n->config.signer, key, why);
}

/* ---- times of rest ---- */

/* Two digits, at most `most`; -1 for anything else. */
static int two_digits(const uint8_t *at, int most) {
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') return -1;
    int v = (at[0] - '0') * 10 + (at[1] - '0');
    return v <= most ? v : -1;
}

bool porch_push_time_read(porch_bytes text, uint32_t *minute) {
    if (text.len != 5 || text.at[2] != ':') return false;
    int hours = two_digits(text.at, 23), minutes = two_digits(text.at + 3, 59);
    if (hours < 0 || minutes < 0) return false;
    *minute = (uint32_t)(hours * 60 + minutes);
    return true;
}

typedef struct {
    const char *account, *device;
    uint64_t until_ms;
    uint32_t begins, ends;
} rest_job;

static porch_err write_snooze(porch_db *db, void *ctx, porch_why *why) {
    const rest_job *job = ctx;
    porch_db_query *q =
        job->until_ms == 0
            ? porch_db_prepare(db, "delete from push_snooze where account = ?1 and device = ?2", why)
            : porch_db_prepare(
                  db, "replace into push_snooze (account, device, until_ms) values (?1, ?2, ?3)", why);
    porch_db_bind_str(q, 1, job->account);
    porch_db_bind_str(q, 2, job->device);
    if (job->until_ms != 0) porch_db_bind_i64(q, 3, (int64_t)job->until_ms);
    return porch_db_execute(q, why);
}

porch_err porch_push_snooze(porch_notify *n, const char *account, const char *device, uint32_t minutes,
                            uint64_t *until_ms, porch_why *why) {
    if (minutes != 0 && minutes != 15 && minutes != 30 && minutes != 60)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "a camera is snoozed for 15, 30 or 60 minutes, or 0 to end it");
    rest_job job = {.account = account, .device = device};
    if (minutes != 0) job.until_ms = porch_clock_ms() + (uint64_t)minutes * MINUTE_MS;
    PORCH_TRY(porch_store_write(n->config.store, write_snooze, &job, why));
    *until_ms = job.until_ms;
    return PORCH_OK;
}

static porch_err write_quiet(porch_db *db, void *ctx, porch_why *why) {
    const rest_job *job = ctx;
    bool none = job->begins == job->ends;
    porch_db_query *q =
        none ? porch_db_prepare(db, "delete from push_quiet where account = ?1", why)
             : porch_db_prepare(db, "replace into push_quiet (account, begins, ends) values (?1, ?2, ?3)",
                                why);
    porch_db_bind_str(q, 1, job->account);
    if (!none) {
        porch_db_bind_i64(q, 2, job->begins);
        porch_db_bind_i64(q, 3, job->ends);
    }
    return porch_db_execute(q, why);
}

porch_err porch_push_quiet(porch_notify *n, const char *account, uint32_t begins, uint32_t ends,
                           porch_why *why) {
    rest_job job = {.account = account, .begins = begins, .ends = ends};
    if (begins >= PORCH_PUSH_DAY_MINUTES || ends >= PORCH_PUSH_DAY_MINUTES)
        return porch_fail(why, PORCH_ERR_USAGE, "quiet hours lie between 00:00 and 23:59");
    return porch_store_write(n->config.store, write_quiet, &job, why);
}

/* ---- what a person has ---- */

typedef struct {
    const char *account, *allow;
    uint64_t now_ms;
    porch_push_view *view;
} view_job;

static porch_err read_subscriptions(porch_db *db, const view_job *job, porch_why *why) {
    porch_push_view *v = job->view;
    porch_err e = PORCH_OK;
    porch_db_query *q = porch_db_prepare(
        db,
        "select id, endpoint, created_ms, delivered, last_at_ms, last_status, muted from push_subscription "
        "where account = ?1 order by created_ms, id limit ?2",
        why);
    porch_db_bind_str(q, 1, job->account);
    porch_db_bind_i64(q, 2, PORCH_PUSH_SUBSCRIPTIONS_MOST);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_push_subscription *s = &v->subscriptions[v->subscriptions_count++];
        (void)porch_bytes_to_text(porch_db_text(q, 0), s->id, sizeof s->id);
        /* One that courier.allow no longer names has no origin to show, and is not sent to. */
        (void)porch_push_endpoint_check(porch_db_text(q, 1), job->allow, s->origin, NULL);
        s->created_ms = (uint64_t)porch_db_i64(q, 2);
        s->delivered = (uint64_t)porch_db_i64(q, 3);
        s->last_at_ms = (uint64_t)porch_db_i64(q, 4);
        s->last_status = (uint32_t)porch_db_i64(q, 5);
        s->muted = porch_db_i64(q, 6) != 0;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err read_rest(porch_db *db, const view_job *job, porch_why *why) {
    porch_push_view *v = job->view;
    porch_err e = PORCH_OK;
    porch_db_query *q =
        porch_db_prepare(db,
                         "select device, until_ms from push_snooze where account = ?1 and until_ms "
                         "> ?2 and until_ms <= ?4 order by device limit ?3",
                         why);
    porch_db_bind_str(q, 1, job->account);
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    porch_db_bind_i64(q, 3, PORCH_PUSH_SNOOZES_MOST);
    porch_db_bind_i64(q, 4, (int64_t)(job->now_ms + PORCH_PUSH_SNOOZE_MOST_MS));
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        (void)porch_bytes_to_text(porch_db_text(q, 0), v->snoozes[v->snoozes_count].device,
                                  sizeof v->snoozes[0].device);
        v->snoozes[v->snoozes_count++].until_ms = (uint64_t)porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    q = porch_db_prepare(db, "select begins, ends from push_quiet where account = ?1", why);
    porch_db_bind_str(q, 1, job->account);
    e = porch_db_step(q, why);
    v->quiet = e == PORCH_OK;
    if (v->quiet) {
        v->quiet_begins = (uint32_t)porch_db_i64(q, 0);
        v->quiet_ends = (uint32_t)porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err read_view(porch_db *db, void *ctx, porch_why *why) {
    PORCH_TRY(read_subscriptions(db, ctx, why));
    return read_rest(db, ctx, why);
}

porch_err porch_push_read(porch_notify *n, const char *account, porch_push_view *ret, porch_why *why) {
    view_job job = {account, n->config.settings->courier_allow, porch_clock_ms(), ret};
    memset(ret, 0, sizeof *ret);
    return porch_store_read(n->config.store, read_view, &job, why);
}

/* ---- rows to be delivered ---- */

/* "2026-01-31T09:15:00+01:00" says 555. */
static uint32_t minute_of_day(const char *zone, uint64_t now_ms) {
    char text[PORCH_ZONE_TIME_BYTES] = "";
    uint32_t minute = 0;
    (void)porch_zone_local(zone, now_ms, text);
    if (strlen(text) > 16)
        (void)porch_push_time_read((porch_bytes){(const uint8_t *)text + 11, 5}, &minute);
    return minute;
}

porch_err porch_push_queue(const porch_notify *n, porch_db *db, uint64_t seq,
                           const porch_notify_facts *facts, uint64_t now_ms, porch_why *why) {
    uint64_t cooldown_ms = (uint64_t)n->config.settings->push_cooldown_s * 1000;
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into push_delivery (subscription, notification, device, made_ms, state, next_at_ms) "
        "select s.id, ?1, ?3, ?4, 'waiting', ?4 from push_subscription s join account a on a.id = "
        "s.account "
        "where a.household = ?2 and a.awaiting_reset = 0 and (a.expires_ms = 0 or a.expires_ms > ?4) "
        "and s.muted = 0 "
        "and not exists (select 1 from push_snooze z where z.account = a.id and z.device = ?3 and "
        "z.until_ms > ?4 and z.until_ms <= ?7) "
        "and not exists (select 1 from push_quiet q where q.account = a.id and case when q.begins <= "
        "q.ends "
        "then ?5 >= q.begins and ?5 < q.ends else ?5 >= q.begins or ?5 < q.ends end) "
        /* Rows from the future (the clock was set back) hold nothing. */
        "and not exists (select 1 from push_delivery d where d.subscription = s.id and d.device = ?3 and "
        "d.made_ms > ?6 and d.made_ms <= ?4)",
        why);
    porch_db_bind_i64(q, 1, (int64_t)seq);
    porch_db_bind_str(q, 2, facts->household);
    porch_db_bind_str(q, 3, facts->device);
    porch_db_bind_i64(q, 4, (int64_t)now_ms);
    porch_db_bind_i64(q, 5, minute_of_day(facts->timezone, now_ms));
    porch_db_bind_i64(q, 6, (int64_t)(now_ms > cooldown_ms ? now_ms - cooldown_ms : 0));
    porch_db_bind_i64(q, 7, (int64_t)(now_ms + PORCH_PUSH_SNOOZE_MOST_MS));
    return porch_db_execute(q, why);
}

typedef struct {
    const char *account;
    uint64_t now_ms, wait_ms;
    uint32_t queued;
} test_job;

/* Kept on the account: the rows go with the browsers, which may come again at once. A test from the future
 * (the clock was set back) holds nothing. */
static porch_err book_test(porch_db *db, const test_job *job, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into push_pace (account, served_ms, tested_ms) values (?1, 0, ?3) on conflict (account) do "
        "update set tested_ms = ?3 where tested_ms <= ?2 or tested_ms > ?3",
        why);
    porch_db_bind_str(q, 1, job->account);
    porch_db_bind_i64(q, 2, (int64_t)(job->now_ms - job->wait_ms));
    porch_db_bind_i64(q, 3, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_db_changes(db) == 1
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_LIMIT,
                            "a test message is on its way; the next may be sent in %llu s",
                            (unsigned long long)(job->wait_ms / 1000));
}

static porch_err queue_test(porch_db *db, void *ctx, porch_why *why) {
    test_job *job = ctx;
    PORCH_TRY(book_test(db, job, why));
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into push_delivery (subscription, device, made_ms, state, next_at_ms) select id, '', "
        "?2, 'waiting', ?2 from push_subscription where account = ?1 and muted = 0",
        why);
    porch_db_bind_str(q, 1, job->account);
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    job->queued = (uint32_t)porch_db_changes(db);
    return job->queued ? PORCH_OK
                       : porch_fail(why, PORCH_ERR_NOT_FOUND,
                                    "no browser of yours has subscribed to push messages");
}

porch_err porch_push_test(porch_notify *n, const char *account, uint32_t *queued, porch_why *why) {
    test_job job = {.account = account,
                    .now_ms = porch_clock_ms(),
                    .wait_ms = (uint64_t)n->config.settings->push_test_wait_s * 1000};
    PORCH_TRY(porch_store_write(n->config.store, queue_test, &job, why));
    *queued = job.queued;
    porch_notify_thread_wake(&n->push);
    return PORCH_OK;
}

porch_err porch_push_queue_alert(porch_notify *n, porch_db *db, const char *account, const char *alert,
                                 uint64_t now_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into push_delivery (subscription, device, alert, made_ms, state, next_at_ms) select id, "
        "'', ?2, ?3, 'waiting', ?3 from push_subscription where account = ?1",
        why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_str(q, 2, alert);
    porch_db_bind_i64(q, 3, (int64_t)now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    atomic_store(&n->made, true);
    return PORCH_OK;
}

porch_err porch_push_clean(porch_db *db, uint64_t now_ms, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "delete from push_delivery where made_ms < ?1 and state <> 'waiting'", why);
    porch_db_bind_i64(q, 1, (int64_t)(now_ms > DELIVERY_KEEP_MS ? now_ms - DELIVERY_KEEP_MS : 0));
    PORCH_TRY(porch_db_execute(q, why));
    /* One from the future would begin anew when that has come. */
    q = porch_db_prepare(db, "delete from push_snooze where until_ms < ?1 or until_ms > ?2", why);
    porch_db_bind_i64(q, 1, (int64_t)now_ms);
    porch_db_bind_i64(q, 2, (int64_t)(now_ms + PORCH_PUSH_SNOOZE_MOST_MS));
    return porch_db_execute(q, why);
}
