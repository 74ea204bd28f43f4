/* The timeline: events newest first, page by page, and their pictures. */
#include "cloud/api/api_sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/notify/notify_zone.h"
#include "wire/id.h"

enum { PAGE_DEFAULT = 50 };

static json_t *box_json(const porch_media_box *b) {
    return json_pack("[f, f, f, f]", b->x, b->y, b->w, b->h);
}

static json_t *path_json(const char *before, const char *id, const char *after) {
    char path[96];
    (void)snprintf(path, sizeof path, "%s%s%s", before, id, after);
    return json_string(path);
}

json_t *porch_api_clip(const porch_media_clip_info *clip) {
    char hex[65] = "";
    porch_buf out = {(uint8_t *)hex, 0, sizeof hex - 1};
    bool complete = clip->state == PORCH_MEDIA_CLIP_COMPLETE;
    if (complete) (void)porch_hex_write(&out, (porch_bytes){clip->sha256, sizeof clip->sha256});
    return json_pack("{s:s, s:s, s:I, s:o, s:o}", "id", clip->id, "state",
                     complete ? "complete" : "recording", "bytes", (json_int_t)clip->bytes, "sha256",
                     complete ? json_string(hex) : json_null(), "url",
                     path_json("/api/v1/clips/", clip->id, ""));
}

static json_t *feedback_json(const porch_media_event *e) {
    if (!e->not_a_person) return json_null();
    return json_pack("{s:s, s:s, s:I}", "verdict", "not-a-person", "by", e->said_by, "at_ms",
                     (json_int_t)e->said_ms);
}

static json_t *person_json(const porch_media_event *e) {
    if (!e->has_person) return json_null();
    return json_pack("{s:f, s:o, s:I, s:b, s:o, s:o}", "score", e->person_score, "box",
                     box_json(&e->person_box), "at_ms", (json_int_t)e->person_at_ms, "held_back",
                     e->held_back, "feedback", feedback_json(e), "picture",
                     e->has_picture ? path_json("/api/v1/events/", e->uid, "/picture") : json_null());
}

json_t *porch_api_event(const porch_media_event *e) {
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:f, s:o, s:o, s:o, s:o}", "id", e->uid, "device", e->owner.device,
        "product", e->owner.product, "kind", e->kind, "at_ms", (json_int_t)e->at_ms, "received_at_ms",
        (json_int_t)e->received_ms, "score", e->score, "box", box_json(&e->box), "thumbnail",
        e->has_thumbnail ? path_json("/api/v1/events/", e->uid, "/thumbnail") : json_null(), "clip",
        e->has_clip ? porch_api_clip(&e->clip) : json_null(), "person", person_json(e));
}

/* ---- the list ---- */

typedef struct {
    const porch_sights *sights;
    json_t *events;
    uint64_t last_ms, last_seq;
    uint32_t count, limit;
    bool more;
} page;

static void add_event(const porch_media_event *event, void *ctx) {
    page *p = ctx;
    if (p->count == p->limit) {
        p->more = true;
        return;
    }
    porch_media_event seen = *event;
    if (event->has_person && !p->sights->whole)
        porch_sight_trim(porch_sights_of(p->sights, event->owner.device), &seen);
    (void)json_array_append_new(p->events, porch_api_event(&seen));
    p->last_ms = event->at_ms;
    p->last_seq = event->seq;
    p->count++;
}

/* "1790000000000-77": when and which the last event of the page before was. */
static porch_err read_place(porch_bytes text, uint64_t *ms, uint64_t *seq) {
    size_t dash = 0;
    while (dash < text.len && text.at[dash] != '-')
        dash++;
    if (dash == text.len) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_decimal_read((porch_bytes){text.at, dash}, INT64_MAX, ms));
    return porch_decimal_read((porch_bytes){text.at + dash + 1, text.len - dash - 1}, INT64_MAX, seq);
}

/* What the query's words are read into, with room for the texts. */
typedef struct {
    porch_media_timeline_query q;
    porch_id device;
    uint32_t limit;
    const char *zone;
} wish;

static porch_err read_limit(porch_bytes text, wish *w) {
    uint64_t number = 0;
    PORCH_TRY(porch_decimal_read(text, PORCH_MEDIA_LIST_MOST, &number));
    w->limit = (uint32_t)number;
    return number > 0 ? PORCH_OK : PORCH_ERR_MALFORMED;
}

/* Before `before`: the day's end stands there until an earlier page's end takes its place. */
static porch_err read_day(porch_bytes text, wish *w) {
    w->q.before_seq = 0;
    return porch_zone_day(w->zone, text, &w->q.from_ms, &w->q.before_ms);
}

static porch_err read_before(porch_bytes text, wish *w) {
    uint64_t ms = 0, seq = 0;
    PORCH_TRY(read_place(text, &ms, &seq));
    if (ms < w->q.before_ms || (ms == w->q.before_ms && seq < w->q.before_seq)) {
        w->q.before_ms = ms;
        w->q.before_seq = seq;
    }
    return PORCH_OK;
}

static porch_err read_device(porch_bytes text, wish *w) {
    PORCH_TRY(porch_id_parse(text, &w->device));
    w->q.device = w->device.text;
    return PORCH_OK;
}

static porch_err read_person(porch_bytes text, wish *w) {
    w->q.person = true;
    return porch_bytes_eq_text(text, "1") ? PORCH_OK : PORCH_ERR_MALFORMED;
}

/* False: it has answered. */
static bool read_query(porch_http_exchange *x, wish *w) {
    static const struct {
        const char *name;
        porch_err (*read)(porch_bytes text, wish *w);
        const char *help;
    } words[] = {
        {"limit", read_limit, "limit must be a number from 1 to 200"},
        {"day", read_day, "day must be a date such as 2026-05-03"},
        {"before", read_before, "before must be the 'next' of an earlier page"},
        {"device", read_device, "device must be a device's id"},
        {"person", read_person, "person can only be 1: events with a person in them"},
    };
    char text[PORCH_ID_MOST + 8];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        porch_err e = porch_http_query(x, words[i].name, text, sizeof text);
        if (e == PORCH_ERR_NOT_FOUND) continue;
        if (e == PORCH_OK) e = words[i].read(porch_bytes_of(text), w);
        if (e == PORCH_OK) continue;
        (void)porch_http_problem(x, 400, "malformed", words[i].help);
        return false;
    }
    return true;
}

/* What the list of devices leaves out is never read: a page is as full, and its `next` as good, as if those
 * were not there. */
static porch_err read_page(const porch_api *api, const porch_person *person, wish *w, page *p,
                           porch_why *why) {
    porch_sights sights;
    PORCH_TRY(porch_sights_open(api, person, w->q.person, &sights, why));
    /* cppcheck-suppress autoVariables ; taken back below, before this function returns */
    p->sights = &sights;
    if (!sights.all) {
        w->q.devices = sights.devices;
        w->q.device_count = sights.count;
    }
    porch_err e = porch_media_timeline(api->media, &w->q, add_event, p, why);
    p->sights = NULL;
    porch_sights_free(&sights);
    return e;
}

void porch_api_events(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_registry_household home = {0};
    porch_why why = {{0}};
    page p = {0};
    if (!porch_api_session(x, &s)) return;
    if (porch_registry_household_get(api->registry, s.person.household, &home) != PORCH_OK)
        home.timezone[0] = '\0';
    wish w = {.q = {.household = s.person.household, .before_ms = INT64_MAX, .before_seq = INT64_MAX},
              .limit = PAGE_DEFAULT,
              .zone = home.timezone};
    if (!read_query(x, &w)) return;
    p.limit = w.limit;
    /* One more than asked for tells whether there is a next page, except at the very largest. */
    w.q.limit = p.limit < PORCH_MEDIA_LIST_MOST ? p.limit + 1 : PORCH_MEDIA_LIST_MOST;
    p.events = json_array();
    porch_err e = read_page(api, &s.person, &w, &p, &why);
    if (e != PORCH_OK) {
        json_decref(p.events);
        porch_api_refuse(x, e, &why);
        return;
    }
    char place[48];
    (void)snprintf(place, sizeof place, "%llu-%llu", (unsigned long long)p.last_ms,
                   (unsigned long long)p.last_seq);
    bool more = p.more || p.count == PORCH_MEDIA_LIST_MOST;
    porch_api_json(
        x, 200,
        json_pack("{s:o, s:o}", "events", p.events, "next", more ? json_string(place) : json_null()));
}

/* ---- one ---- */

void porch_api_event_one(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_event event;
    if (porch_api_session(x, &s) && porch_api_seen_event(x, &s, PORCH_SEES_EVENT, &event))
        porch_api_json(x, 200, porch_api_event(&event));
}

typedef porch_err (*picture_fn)(porch_media *, const char *, const char *, uint8_t **, size_t *,
                                porch_why *);

static void reply_picture(porch_http_exchange *x, unsigned wanted, picture_fn get) {
    porch_user_session s;
    porch_media_event event;
    porch_why why = {{0}};
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!porch_api_session(x, &s) || !porch_api_seen_event(x, &s, wanted, &event)) return;
    porch_err e = get(porch_api_of(x)->media, event.uid, s.person.household, &bytes, &len, &why);
    if (e == PORCH_ERR_NOT_FOUND) {
        (void)porch_http_problem(x, 404, "not-found", "this event has no such picture");
        return;
    }
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    /* It never changes under its name; only the person's own browser may keep it. */
    (void)porch_http_reply_header(x, "Cache-Control", "private, max-age=604800, immutable");
    (void)porch_http_reply_header(x, "Vary", "Cookie"); /* not for who uses this browser next */
    (void)porch_http_reply(x, 200, "image/jpeg", (porch_bytes){bytes, len});
    free(bytes);
}

void porch_api_event_thumbnail(porch_http_exchange *x) {
    reply_picture(x, PORCH_SEES_EVENT, porch_media_thumbnail);
}

void porch_api_event_picture(porch_http_exchange *x) {
    reply_picture(x, PORCH_SEES_PERSON, porch_media_picture);
}
