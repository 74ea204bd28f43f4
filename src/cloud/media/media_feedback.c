#include "cloud/media/media_feedback.h"

#include <string.h>

#include "cloud/media/media_room.h"

static const double SAME_SPOT = 0.5; /* of both boxes */
static const double SURER = 1.1;     /* times the false alarm's score */

porch_err porch_media_feedback_say(porch_db *db, const char *event, const char *said_by, uint64_t now_ms,
                                   porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into feedback (event, device, said_by, said_ms, score, x, "
                                         "y, w, h) select p.event, c.device, ?2, ?3, p.score, "
                                         "p.x, p.y, p.w, p.h from person p join clip c on c.id = p.clip "
                                         "where p.event = ?1 on conflict (event) do update set "
                                         "said_by = ?2, said_ms = ?3",
                                         why);
    porch_db_bind_str(q, 1, event);
    porch_db_bind_str(q, 2, said_by);
    porch_db_bind_i64(q, 3, (int64_t)now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_STATE, "no person was found in this event");
    return PORCH_OK;
}

porch_err porch_media_feedback_take_back(porch_db *db, const char *event, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "delete from feedback where event = ?1", why);
    porch_db_bind_str(q, 1, event);
    return porch_db_execute(q, why);
}

static double shared(double a, double a_len, double b, double b_len) {
    double from = a > b ? a : b, to = a + a_len < b + b_len ? a + a_len : b + b_len;
    return to > from ? to - from : 0;
}

double porch_media_box_overlap(const porch_media_box *a, const porch_media_box *b) {
    double both = shared(a->x, a->w, b->x, b->w) * shared(a->y, a->h, b->y, b->h);
    double either = a->w * a->h + b->w * b->h - both;
    return either > 0 ? both / either : 0;
}

porch_err porch_media_feedback_threshold(porch_db *db, const char *device, const porch_media_box *box,
                                         uint64_t since_ms, double *ret, porch_why *why) {
    porch_err e;
    double most = 0;
    porch_db_query *q = porch_db_prepare(db,
                                         "select score, x, y, w, h from feedback where device = ?1 and "
                                         "said_ms >= ?2 order by said_ms desc limit 256",
                                         why);
    porch_db_bind_str(q, 1, device);
    porch_db_bind_i64(q, 2, (int64_t)since_ms);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        const porch_media_box said = {porch_db_real(q, 1), porch_db_real(q, 2), porch_db_real(q, 3),
                                      porch_db_real(q, 4)};
        double score = porch_db_real(q, 0) * SURER;
        if (score > most && porch_media_box_overlap(&said, box) >= SAME_SPOT) most = score;
    }
    porch_db_finish(q);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    *ret = most;
    return PORCH_OK;
}

static porch_err count(porch_db *db, void *ctx, porch_why *why) {
    porch_media_feedback_counts *c = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "select (select count(*) from feedback), (select count(*) from person where held_back = 1)",
        why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        c->said = (uint64_t)porch_db_i64(q, 0);
        c->held_back = (uint64_t)porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    return e;
}

porch_err porch_media_feedback_count(porch_media *m, porch_media_feedback_counts *ret, porch_why *why) {
    memset(ret, 0, sizeof *ret);
    return porch_store_read(m->config.store, count, ret, why);
}
