/* A household's data in its own hands: how long it is kept, all of it in one file, and its end. Who
 * may, and what wants a fresh code, stands in the route table. */
#include "cloud/api/api_household.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/household_export.h"
#include "cloud/media/media_keep.h"
#include "cloud/notify/notify_zone.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"
#include "os/log.h"

porch_erase_rooms porch_api_erase_rooms(const porch_api *api) {
    return (porch_erase_rooms){.dir = api->dir,
                               .store = api->store,
                               .registry = api->registry,
                               .grants = api->grants,
                               .signer = api->signer,
                               .accounts = api->accounts,
                               .media = api->media,
                               .broker = api->broker,
                               .exports = api->exports};
}

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

/* ---- what is kept ---- */

static json_t *time_json(uint64_t ms) {
    return ms == 0 ? json_null() : json_integer((json_int_t)ms);
}

static json_t *sum_json(const porch_media_keep_sum *s) {
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "clips", (json_int_t)s->clips, "events",
                     (json_int_t)s->events, "bytes", (json_int_t)s->bytes, "from_ms", time_json(s->from_ms),
                     "to_ms", time_json(s->to_ms));
}

static json_t *limits_json(uint64_t days, uint64_t bytes) {
    return json_pack("{s:I, s:I}", "days", (json_int_t)days, "bytes", (json_int_t)bytes);
}

void porch_api_household(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_media_keep_view v;
    porch_registry_household home = {0};
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    porch_err e = porch_registry_household_get(api->registry, s.person.household, &home);
    if (e == PORCH_OK) e = porch_media_keep_read(api->media, home.id, &v, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    json_t *hub = limits_json(api->settings->media_keep_days, api->settings->media_household_bytes);
    (void)json_object_set_new(hub, "clip_bytes", json_integer((json_int_t)api->settings->media_clip_bytes));
    json_t *data = json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", home.id, "name", home.name, "timezone",
                             home.timezone, "keep", limits_json(v.own.days, v.own.bytes), "hub", hub);
    /* Sums over all cameras would tell others the moment of each event, whatever the policy hides. */
    if (s.person.role == PORCH_ROLE_OWNER) (void)json_object_set_new(data, "now", sum_json(&v.now));
    porch_api_json(x, 200, data);
}

/* The wish of the body; false: it has answered. */
static bool read_wish(porch_http_exchange *x, porch_user_session *s, porch_media_keep *ret) {
    porch_bytes days, bytes;
    const porch_json_field fields[] = {{"days", 8, true, &days}, {"bytes", 20, true, &bytes}};
    uint64_t d = 0, b = 0;
    json_t *root = NULL;
    if (!porch_api_session(x, s) || !porch_api_body(x, FIELDS(fields), &root)) return false;
    porch_err e = porch_decimal_read(days, UINT32_MAX, &d);
    if (e == PORCH_OK) e = porch_decimal_read(bytes, INT64_MAX, &b);
    json_decref(root);
    *ret = (porch_media_keep){(uint32_t)d, b};
    if (e == PORCH_OK) return true;
    (void)porch_http_problem(x, 400, "malformed",
                             "days and bytes are whole numbers as text; 0 is no limit");
    return false;
}

void porch_api_keep_preview(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_keep wish;
    porch_media_keep_sum sum;
    porch_why why = {{0}};
    if (!read_wish(x, &s, &wish)) return;
    porch_err e = porch_media_keep_preview(porch_api_of(x)->media, s.person.household, &wish,
                                           porch_clock_ms(), &sum, &why);
    if (e != PORCH_OK)
        porch_api_refuse(x, e, &why);
    else
        porch_api_json(x, 200, sum_json(&sum));
}

typedef struct {
    const porch_user_session *s;
    const porch_media_keep *wish;
} keep_change;

static porch_err log_change(porch_db *db, void *ctx, porch_why *why) {
    const keep_change *c = ctx;
    char who[PORCH_PERSON_NAME_TEXT + 8], subject[80], detail[96];
    (void)snprintf(who, sizeof who, "user:%s", c->s->person.name);
    (void)snprintf(subject, sizeof subject, "household:%s", c->s->person.household);
    (void)snprintf(detail, sizeof detail, "{\"days\":%u,\"bytes\":%llu}", c->wish->days,
                   (unsigned long long)c->wish->bytes);
    return porch_trust_append(db, "household.keep", who, subject, detail, why);
}

void porch_api_keep_set(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_keep wish;
    porch_why why = {{0}};
    if (!read_wish(x, &s, &wish)) return;
    keep_change c = {&s, &wish};
    porch_err e =
        porch_media_keep_set(porch_api_of(x)->media, s.person.household, &wish, log_change, &c, &why);
    if (e != PORCH_OK)
        porch_api_refuse(x, e, &why);
    else
        porch_api_json(x, 200, limits_json(wish.days, wish.bytes));
}

/* ---- all of it in one file ---- */

static porch_err log_export(porch_db *db, void *ctx, porch_why *why) {
    const porch_user_session *s = ctx;
    char who[PORCH_PERSON_NAME_TEXT + 8], subject[80];
    (void)snprintf(who, sizeof who, "user:%s", s->person.name);
    (void)snprintf(subject, sizeof subject, "household:%s", s->person.household);
    return porch_trust_append(db, "household.export", who, subject, "{}", why);
}

void porch_api_export_order(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    char ticket[33], url[96];
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    porch_err e = porch_export_order(api->exports, &s.person, s.hash, porch_clock_ms(), ticket, &why);
    if (e == PORCH_OK) e = porch_store_write(api->store, log_export, &s, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    (void)snprintf(url, sizeof url, "/api/v1/household/export/%s", ticket);
    porch_api_json(x, 201, json_pack("{s:s}", "url", url));
}

void porch_api_export_state(porch_http_exchange *x) {
    static const char *const stages[] = {
        [PORCH_EXPORT_NONE] = "none",     [PORCH_EXPORT_ORDERED] = "ordered",
        [PORCH_EXPORT_LAPSED] = "lapsed", [PORCH_EXPORT_RUNNING] = "running",
        [PORCH_EXPORT_WHOLE] = "whole",   [PORCH_EXPORT_BROKEN] = "broken",
    };
    porch_user_session s;
    porch_export_state now;
    if (!porch_api_session(x, &s)) return;
    porch_export_look(porch_api_of(x)->exports, s.person.household, porch_clock_ms(), &now);
    porch_api_json(x, 200,
                   json_pack("{s:s, s:I, s:I, s:I}", "stage", stages[now.stage], "events",
                             (json_int_t)now.events, "events_done", (json_int_t)now.events_done,
                             "bytes_sent", (json_int_t)now.bytes_sent));
}

static porch_err read_export(void *ctx, uint64_t offset, uint8_t *buf, size_t cap, size_t *got) {
    porch_why why = {{0}};
    (void)offset;
    porch_err e = porch_export_read(ctx, buf, cap, got, &why);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "export.broken_off", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    return e;
}

static void free_export(void *ctx) {
    porch_export_close(ctx);
}

void porch_api_export_download(porch_http_exchange *x) {
    porch_user_session s;
    porch_export *export = NULL;
    porch_why why = {{0}};
    char disposition[160], day[PORCH_ZONE_TIME_BYTES];
    if (!porch_api_session(x, &s)) return;
    if (strcmp(porch_http_method(x), "HEAD") == 0) {
        (void)porch_http_reply(x, 200, "application/zip",
                               PORCH_LIT("")); /* the ticket is for the download */
        return;
    }
    porch_err e = porch_export_open(porch_api_of(x)->exports, s.person.household, s.hash,
                                    porch_http_param(x, "ticket"), porch_clock_ms(), &export, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    (void)porch_zone_local("UTC", porch_clock_ms(), day);
    (void)snprintf(disposition, sizeof disposition, "attachment; filename=\"porchlight-%s-%.10s.zip\"",
                   s.person.household, day);
    (void)porch_http_reply_header(x, "Content-Disposition", disposition);
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    (void)porch_http_reply_source(x, 200, "application/zip", PORCH_HTTP_LENGTH_UNKNOWN, read_export,
                                  free_export, export);
}

/* ---- its end ---- */

void porch_api_household_erase(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_registry_household home = {0};
    porch_bytes confirm;
    const porch_json_field fields[] = {{"confirm", 256, true, &confirm}};
    json_t *root = NULL;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = porch_registry_household_get(api->registry, s.person.household, &home);
    bool meant = e == PORCH_OK && porch_bytes_eq_text(confirm, home.name);
    json_decref(root);
    if (!meant) {
        (void)porch_http_problem(x, 422, "confirm", "type the household's name exactly as it is shown");
        return;
    }
    const porch_erase_rooms rooms = porch_api_erase_rooms(api);
    e = porch_household_erase(&rooms, home.id, "owner", &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    /* What this browser keeps goes as well. */
    (void)porch_http_reply_header(x, "Clear-Site-Data", "\"cache\", \"cookies\", \"storage\"");
    (void)porch_http_reply(x, 204, NULL, PORCH_LIT(""));
}
