/* A household's timeline, page by page. Each of the four kinds of question has an index in just its order
 * (migrations/NNNN_timeline.sql) and names it, so that a page costs the same at the top and ninety thousand
 * events down: the test asks the database for its plan.
 *
 * Where somebody may see some devices only, a page is put together from theirs: the newest places of each
 * in its own index, of all those the newest, and then their rows. What others saw meanwhile is never read.
 */
#include "cloud/media/media_room.h"

#include <stdlib.h>
#include <string.h>

#define FROM(index)                                                                                  \
    "select " PORCH_MEDIA_EVENT_COLUMNS "from event e indexed by " index " " PORCH_MEDIA_EVENT_JOINS \
    "where e.household = ?1 and "
#define PLACE "e.at_ms >= ?2 and (e.at_ms, e.seq) < (?3, ?4) order by e.at_ms desc, e.seq desc limit ?5"

const char *porch_media_timeline_sql(bool device, bool person) {
    if (device && person)
        return FROM("event_time_device_person") "e.device = ?6 and e.person = 1 and " PLACE;
    if (device) return FROM("event_time_device") "e.device = ?6 and " PLACE;
    if (person) return FROM("event_time_person") "e.person = 1 and " PLACE;
    return FROM("event_time") PLACE;
}

#define KEYS(index)                                                   \
    "select e.at_ms, e.seq from event e indexed by " index            \
    " where e.household = ?1 and e.device = ?6 and e.at_ms >= ?2 and" \
    " (e.at_ms, e.seq) < (?3, ?4) "
#define NEWEST "order by e.at_ms desc, e.seq desc limit ?5"

const char *porch_media_timeline_keys_sql(bool person) {
    return person ? KEYS("event_time_device_person") "and e.person = 1 " NEWEST
                  : KEYS("event_time_device") NEWEST;
}

typedef struct {
    const porch_media_timeline_query *query;
    void (*fn)(const porch_media_event *event, void *ctx);
    void *ctx;
} listing;

static int64_t bounded(uint64_t v) {
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static uint32_t limit_of(const porch_media_timeline_query *w) {
    return w->limit > PORCH_MEDIA_LIST_MOST ? PORCH_MEDIA_LIST_MOST : w->limit;
}

static void bind_query(porch_db_query *q, const porch_media_timeline_query *w, uint64_t from_ms,
                       const char *device) {
    porch_db_bind_str(q, 1, w->household);
    porch_db_bind_i64(q, 2, bounded(from_ms));
    porch_db_bind_i64(q, 3, bounded(w->before_ms));
    porch_db_bind_i64(q, 4, bounded(w->before_seq));
    porch_db_bind_i64(q, 5, limit_of(w));
    if (device != NULL) porch_db_bind_str(q, 6, device);
}

static porch_err give_rows(porch_db_query *q, const listing *l, porch_why *why) {
    porch_media_event event;
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_media_event_row(q, &event);
        l->fn(&event, l->ctx);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* ---- of all devices, or of one ---- */

static porch_err list_timeline(porch_db *db, void *ctx, porch_why *why) {
    listing *l = ctx;
    const porch_media_timeline_query *w = l->query;
    porch_db_query *q = porch_db_prepare(db, porch_media_timeline_sql(w->device != NULL, w->person), why);
    bind_query(q, w, w->from_ms, w->device);
    return give_rows(q, l, why);
}

/* ---- of some ---- */

typedef struct {
    int64_t at_ms, seq;
} place;

typedef struct {
    place at[PORCH_MEDIA_LIST_MOST]; /* newest first */
    size_t count, most;
} page;

static bool is_newer(place a, place b) {
    return a.at_ms > b.at_ms || (a.at_ms == b.at_ms && a.seq > b.seq);
}

/* False: the page is full of newer ones. */
static bool put(page *p, place one) {
    if (p->count == p->most && !is_newer(one, p->at[p->count - 1])) return false;
    size_t i = p->count < p->most ? p->count++ : p->count - 1;
    for (; i > 0 && is_newer(one, p->at[i - 1]); i--)
        p->at[i] = p->at[i - 1];
    p->at[i] = one;
    return true;
}

static porch_err collect(porch_db *db, const porch_media_timeline_query *w, const char *device, page *p,
                         porch_why *why) {
    /* Nothing older than a full page's last can come into it. */
    uint64_t from_ms = p->count == p->most ? (uint64_t)p->at[p->count - 1].at_ms : w->from_ms;
    porch_db_query *q = porch_db_prepare(db, porch_media_timeline_keys_sql(w->person), why);
    bind_query(q, w, from_ms, device);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK)
        if (!put(p, (place){porch_db_i64(q, 0), porch_db_i64(q, 1)})) break;
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err list_some(porch_db *db, void *ctx, porch_why *why) {
    listing *l = ctx;
    page p = {.count = 0, .most = limit_of(l->query)};
    for (size_t i = 0; p.most > 0 && i < l->query->device_count; i++)
        PORCH_TRY(collect(db, l->query, l->query->devices[i].text, &p, why));
    for (size_t i = 0; i < p.count; i++) {
        porch_db_query *q = porch_db_prepare(db,
                                             "select " PORCH_MEDIA_EVENT_COLUMNS
                                             "from event e " PORCH_MEDIA_EVENT_JOINS "where e.seq = ?1",
                                             why);
        porch_db_bind_i64(q, 1, p.at[i].seq);
        PORCH_TRY(give_rows(q, l, why));
    }
    return PORCH_OK;
}

/* Of one device that is among those: then it is a timeline of one; else there is nothing to tell. */
static bool is_among(const porch_media_timeline_query *w) {
    for (size_t i = 0; i < w->device_count; i++)
        if (strcmp(w->devices[i].text, w->device) == 0) return true;
    return false;
}

porch_err porch_media_timeline(porch_media *m, const porch_media_timeline_query *query,
                               void (*fn)(const porch_media_event *event, void *ctx), void *ctx,
                               porch_why *why) {
    listing l = {query, fn, ctx};
    bool some = query->devices != NULL && query->device == NULL;
    if (query->devices != NULL && query->device != NULL && !is_among(query)) return PORCH_OK;
    return porch_store_read(m->config.store, some ? list_some : list_timeline, &l, why);
}

/* ---- which devices there are ---- */

typedef struct {
    const char *household;
    porch_id *ids;
    size_t count, cap;
} devices;

static porch_err add_device(devices *d, porch_bytes id, porch_why *why) {
    if (d->count == d->cap) {
        size_t cap = d->cap == 0 ? 16 : d->cap * 2;
        porch_id *wider = realloc(d->ids, cap * sizeof *wider);
        if (wider == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a list of devices");
        d->ids = wider;
        d->cap = cap;
    }
    PORCH_TRY(porch_id_parse(id, &d->ids[d->count]));
    d->count++;
    return PORCH_OK;
}

/* From one to the next in the index, past all the events of each. */
static porch_err list_devices(porch_db *db, void *ctx, porch_why *why) {
    devices *d = ctx;
    porch_err e = PORCH_OK;
    porch_db_query *q =
        porch_db_prepare(db,
                         "with recursive d (id) as (select min(device) from event where household = ?1 "
                         "union all select (select min(device) from event where household = ?1 and device "
                         "> d.id) from d where d.id is not null) select id from d where id is not null",
                         why);
    porch_db_bind_str(q, 1, d->household);
    while (e == PORCH_OK && (e = porch_db_step(q, why)) == PORCH_OK)
        e = add_device(d, porch_db_text(q, 0), why);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_media_devices(porch_media *m, const char *household, porch_id **ret, size_t *count,
                              porch_why *why) {
    devices d = {.household = household};
    porch_err e = porch_store_read(m->config.store, list_devices, &d, why);
    if (e != PORCH_OK) {
        free(d.ids);
        return e;
    }
    *ret = d.ids;
    *count = d.count;
    return PORCH_OK;
}
