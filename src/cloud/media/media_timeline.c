/* A household's timeline, page by page. Each of the four kinds of question has an index in just its order
 * (migrations/NNNN_timeline.sql) and names it, so that a page costs the same at the top and ninety thousand
 * events down: the test asks the database for its plan. */
#include "cloud/media/media_room.h"

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

typedef struct {
    const porch_media_timeline_query *query;
    void (*fn)(const porch_media_event *event, void *ctx);
    void *ctx;
} listing;

static int64_t bounded(uint64_t v) {
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static porch_err list_timeline(porch_db *db, void *ctx, porch_why *why) {
    listing *l = ctx;
    const porch_media_timeline_query *w = l->query;
    porch_media_event event;
    porch_err e;
    porch_db_query *q = porch_db_prepare(db, porch_media_timeline_sql(w->device != NULL, w->person), why);
    porch_db_bind_str(q, 1, w->household);
    porch_db_bind_i64(q, 2, bounded(w->from_ms));
    porch_db_bind_i64(q, 3, bounded(w->before_ms));
    porch_db_bind_i64(q, 4, bounded(w->before_seq));
    porch_db_bind_i64(q, 5, w->limit > PORCH_MEDIA_LIST_MOST ? PORCH_MEDIA_LIST_MOST : w->limit);
    if (w->device != NULL) porch_db_bind_str(q, 6, w->device);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_media_event_row(q, &event);
        l->fn(&event, l->ctx);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_media_timeline(porch_media *m, const porch_media_timeline_query *query,
                               void (*fn)(const porch_media_event *event, void *ctx), void *ctx,
                               porch_why *why) {
    listing l = {query, fn, ctx};
    return porch_store_read(m->config.store, list_timeline, &l, why);
}
