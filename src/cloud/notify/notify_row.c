/* A notification: from what the analysis found, to its row, to JSON. */
#include "cloud/notify/notify_room.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/sha256.h"

enum { ID_BYTES = 16, ID_INPUT_BYTES = 256 };

static void copy(char *to, size_t cap, const char *from) {
    snprintf(to, cap, "%s", from ? from : "");
}

/* The same event always gives the same id, however often it is analysed. */
static void make_id(const char *kind, const porch_notify_facts *facts, char out[33]) {
    char input[ID_INPUT_BYTES];
    uint8_t digest[PORCH_SHA256_BYTES];
    porch_buf text = {(uint8_t *)out, 0, 32};
    int n = snprintf(input, sizeof input, "%s|%s|%s", kind, facts->device, facts->event);
    porch_sha256((porch_bytes){(const uint8_t *)input, n > 0 ? (size_t)n : 0}, digest);
    (void)porch_hex_write(&text, (porch_bytes){digest, ID_BYTES});
    out[32] = '\0';
}

static double part(double v) {
    if (!isfinite(v) || v < 0) return 0;
    return v > 1 ? 1 : v;
}

static const char *where(const double box[4]) {
    double middle = box[0] + box[2] / 2;
    return middle < 1.0 / 3 ? "on the left" : middle > 2.0 / 3 ? "on the right" : "in the middle";
}

void porch_notify_item_of(const porch_notify_facts *facts, porch_notify_item *ret) {
    memset(ret, 0, sizeof *ret);
    copy(ret->kind, sizeof ret->kind, "person");
    make_id(ret->kind, facts, ret->id);
    copy(ret->event, sizeof ret->event, facts->event);
    copy(ret->device, sizeof ret->device, facts->device);
    copy(ret->product, sizeof ret->product, facts->product);
    copy(ret->household, sizeof ret->household, facts->household);
    copy(ret->clip, sizeof ret->clip, facts->clip);
    ret->at_ms = facts->at_ms;
    bool known = porch_zone_local(facts->timezone, facts->at_ms, ret->at_local);
    copy(ret->timezone, sizeof ret->timezone, known ? facts->timezone : "UTC");
    ret->score = isfinite(facts->score) ? facts->score : 0;
    for (int i = 0; i < 4; i++)
        ret->box[i] = part(facts->box[i]);
    snprintf(ret->why, sizeof ret->why,
             "The person detector agreed on several frames: score %.2f, %s of the picture (%.0f%% of its "
             "height).",
             ret->score, where(ret->box), ret->box[3] * 100);
    ret->trace = facts->trace;
}

/* ---- the row ---- */

porch_err porch_notify_item_insert(porch_db *db, const porch_notify_item *item, uint64_t now_ms,
                                   uint64_t *seq, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into notification (id, kind, event, device, product, "
                                         "household, clip, at_ms, at_local, timezone, score, "
                                         "box_x, box_y, box_w, box_h, why, motion_at_ms, "
                                         "event_received_ms, event_durable_ms, clip_first_byte_ms, "
                                         "analysis_first_frame_ms, person_found_ms, made_ms) values (?1, "
                                         "?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
                                         "?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
                                         why);
    const char *const texts[] = {item->id,      item->kind,      item->event, item->device,
                                 item->product, item->household, item->clip};
    const uint64_t hops[] = {item->trace.motion_at_ms,
                             item->trace.event_received_ms,
                             item->trace.event_durable_ms,
                             item->trace.clip_first_byte_ms,
                             item->trace.analysis_first_frame_ms,
                             item->trace.person_found_ms,
                             now_ms};
    int at = 1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        porch_db_bind_str(q, at++, texts[i]);
    porch_db_bind_i64(q, at++, (int64_t)item->at_ms);
    porch_db_bind_str(q, at++, item->at_local);
    porch_db_bind_str(q, at++, item->timezone);
    porch_db_bind_real(q, at++, item->score);
    for (int i = 0; i < 4; i++)
        porch_db_bind_real(q, at++, item->box[i]);
    porch_db_bind_str(q, at++, item->why);
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        porch_db_bind_i64(q, at++, (int64_t)hops[i]);
    PORCH_TRY(porch_db_execute(q, why));
    *seq = (uint64_t)porch_db_last_id(db);
    return PORCH_OK;
}

static uint64_t number_at(porch_db_query *q, int column) {
    int64_t v = porch_db_i64(q, column);
    return v > 0 ? (uint64_t)v : 0;
}

void porch_notify_item_read(porch_db_query *q, porch_notify_item *ret) {
    memset(ret, 0, sizeof *ret);
    ret->seq = number_at(q, 0);
    const struct {
        char *at;
        size_t cap;
    } texts[] = {{ret->id, sizeof ret->id},           {ret->kind, sizeof ret->kind},
                 {ret->event, sizeof ret->event},     {ret->device, sizeof ret->device},
                 {ret->product, sizeof ret->product}, {ret->household, sizeof ret->household},
                 {ret->clip, sizeof ret->clip}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        (void)porch_bytes_to_text(porch_db_text(q, (int)i + 1), texts[i].at, texts[i].cap);
    ret->at_ms = number_at(q, 8);
    (void)porch_bytes_to_text(porch_db_text(q, 9), ret->at_local, sizeof ret->at_local);
    (void)porch_bytes_to_text(porch_db_text(q, 10), ret->timezone, sizeof ret->timezone);
    ret->score = porch_db_real(q, 11);
    for (int i = 0; i < 4; i++)
        ret->box[i] = porch_db_real(q, 12 + i);
    (void)porch_bytes_to_text(porch_db_text(q, 16), ret->why, sizeof ret->why);
    uint64_t *const hops[] = {&ret->trace.motion_at_ms,
                              &ret->trace.event_received_ms,
                              &ret->trace.event_durable_ms,
                              &ret->trace.clip_first_byte_ms,
                              &ret->trace.analysis_first_frame_ms,
                              &ret->trace.person_found_ms,
                              &ret->trace.notification_durable_ms};
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        *hops[i] = number_at(q, 17 + (int)i);
    (void)porch_bytes_to_text(porch_db_text(q, 24), ret->verdict, sizeof ret->verdict);
}

static porch_err visit(porch_db_query *q, porch_notify_each_fn fn, void *ctx, porch_why *why) {
    porch_notify_item item;
    porch_err e = PORCH_OK;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_notify_item_read(q, &item);
        if (!fn(&item, ctx)) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_notify_since(porch_db *db, const char *household, uint64_t after, uint32_t limit,
                             porch_notify_each_fn fn, void *ctx, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "select " PORCH_NOTIFY_COLUMNS " from notification n where n.seq > ?1 and "
                         "(?2 is null or n.household = ?2) order by n.seq limit ?3",
                         why);
    porch_db_bind_i64(q, 1, after < INT64_MAX ? (int64_t)after : INT64_MAX);
    porch_db_bind_str(q, 2, household);
    porch_db_bind_i64(q, 3, limit);
    return visit(q, fn, ctx, why);
}

porch_err porch_notify_latest(porch_db *db, uint32_t limit, porch_notify_each_fn fn, void *ctx,
                              porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "select " PORCH_NOTIFY_COLUMNS " from notification n where n.seq in (select seq "
                         "from notification order by seq desc limit ?1) order by n.seq",
                         why);
    porch_db_bind_i64(q, 1, limit);
    return visit(q, fn, ctx, why);
}

porch_err porch_notify_forget(porch_db *db, const char *event, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "delete from notification where event = ?1", why);
    porch_db_bind_str(q, 1, event);
    return porch_db_execute(q, why); /* deliveries go with it: on delete cascade */
}

porch_err porch_notify_not_a_person(porch_db *db, const char *event, bool said, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "update notification set verdict = ?2 where event = ?1", why);
    porch_db_bind_str(q, 1, event);
    porch_db_bind_str(q, 2, said ? "not-a-person" : "");
    PORCH_TRY(porch_db_execute(q, why));
    if (!said) return PORCH_OK;
    q = porch_db_prepare(
        db,
        "update push_delivery set state = 'given-up' where state = 'waiting' and notification in "
        "(select seq from notification where event = ?1)",
        why);
    porch_db_bind_str(q, 1, event);
    return porch_db_execute(q, why);
}

/* ---- JSON ---- */

static json_t *trace_json(const porch_notify_trace *t) {
    const struct {
        const char *name;
        uint64_t ms;
    } hops[] = {{"motion_at_ms", t->motion_at_ms},
                {"event_received_ms", t->event_received_ms},
                {"event_durable_ms", t->event_durable_ms},
                {"clip_first_byte_ms", t->clip_first_byte_ms},
                {"analysis_first_frame_ms", t->analysis_first_frame_ms},
                {"person_found_ms", t->person_found_ms},
                {"notification_durable_ms", t->notification_durable_ms}};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        if (hops[i].ms) json_object_set_new(o, hops[i].name, json_integer((json_int_t)hops[i].ms));
    return o;
}

porch_err porch_notify_item_json(const porch_notify_item *item, const char *public_url, porch_buf *out) {
    char picture[512];
    snprintf(picture, sizeof picture, "%s/api/v1/events/%s/picture", public_url ? public_url : "",
             item->event);
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:f, s:[f,f,f,f], s:s, s:s, s:o}",
                  "id", item->id, "kind", item->kind, "device", item->device, "product", item->product,
                  "household", item->household, "event", item->event, "clip", item->clip, "at_ms",
                  (json_int_t)item->at_ms, "at", item->at_local, "timezone", item->timezone, "score",
                  item->score, "box", item->box[0], item->box[1], item->box[2], item->box[3], "picture",
                  picture, "why", item->why, "trace", trace_json(&item->trace));
    if (o && item->verdict[0]) (void)json_object_set_new(o, "verdict", json_string(item->verdict));
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    porch_err e = text ? porch_write_text(out, text) : PORCH_ERR_BUSY;
    free(text);
    json_decref(o);
    return e;
}
