/* Retention: the oldest messages go, a bounded bite at a time, so that the writer is never held up for
 * long. The newest row always stays: the next number is made from it. */
#include "cloud/store/store_room.h"

enum { BITE_ROWS = 10000 };

#define DAY_MS (24ull * 3600 * 1000)

/* First number that may go, and the last; NOT_FOUND when the log is empty. */
static porch_err ends(porch_db *db, int64_t hold, int64_t *first, int64_t *last, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "select (select seq from message where (flags & 1) = 0 or seq <= ?1 "
                         "order by seq limit 1), (select max(seq) from message)",
                         why);
    porch_db_bind_i64(q, 1, hold);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK && porch_db_is_null(q, 0)) e = PORCH_ERR_NOT_FOUND;
    if (e == PORCH_OK) {
        *first = porch_db_i64(q, 0);
        *last = porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    return e;
}

/* Number of the first row, from `first` on and within a bite, that is young enough to stay. */
static porch_err first_young(porch_db *db, int64_t first, int64_t before, int64_t cutoff_ms, int64_t *ret,
                             porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "select seq from message where seq >= ?1 and seq < ?2 and at_ms >= ?3 order by seq limit 1",
        why);
    porch_db_bind_i64(q, 1, first);
    porch_db_bind_i64(q, 2, before);
    porch_db_bind_i64(q, 3, cutoff_ms);
    porch_err e = porch_db_step(q, why);
    *ret = e == PORCH_OK ? porch_db_i64(q, 0) : before;
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* Messages that no rule stores go once every session has had them. */
static porch_err drop_had(porch_db *db, int64_t hold, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "delete from message where seq in (select seq from message where "
                                         "(flags & 2) != 0 and seq <= ?1 order by seq limit ?2)",
                                         why);
    porch_db_bind_i64(q, 1, hold);
    porch_db_bind_i64(q, 2, BITE_ROWS);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_db_changes(db) == BITE_ROWS ? PORCH_ERR_AGAIN : PORCH_OK;
}

static porch_err drop_old(porch_db *db, const porch_settings *settings, uint64_t now_ms, int64_t hold,
                          porch_why *why) {
    int64_t first = 0, last = 0;
    porch_err e = ends(db, hold, &first, &last, why);
    if (e != PORCH_OK) return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;

    int64_t bite_end = last - first > BITE_ROWS ? first + BITE_ROWS : last; /* `last` itself stays */
    int64_t upto = first;                                                   /* rows below it go */
    uint64_t age_ms = settings->store_keep_days * DAY_MS;
    if (age_ms > 0 && now_ms > age_ms)
        PORCH_TRY(first_young(db, first, bite_end, (int64_t)(now_ms - age_ms), &upto, why));
    int64_t keep = (int64_t)settings->store_keep_rows;
    if (keep > 0 && last - keep + 1 > upto) upto = last - keep + 1 < bite_end ? last - keep + 1 : bite_end;
    if (upto <= first) return PORCH_OK;

    /* What a session still waits for outlives its time: the session's own expiry ends the wait. */
    porch_db_query *q = porch_db_prepare(
        db, "delete from message where seq < ?1 and not ((flags & 1) != 0 and seq > ?2)", why);
    porch_db_bind_i64(q, 1, upto);
    porch_db_bind_i64(q, 2, hold);
    PORCH_TRY(porch_db_execute(q, why));
    bool some = porch_db_changes(db) > 0;
    return some && upto == bite_end && bite_end < last ? PORCH_ERR_AGAIN : PORCH_OK;
}

porch_err porch_store_keep(porch_db *db, const porch_settings *settings, uint64_t now_ms, uint64_t hold,
                           porch_why *why) {
    int64_t held = hold > INT64_MAX ? INT64_MAX : (int64_t)hold;
    porch_err had = drop_had(db, held, why);
    if (had != PORCH_OK && had != PORCH_ERR_AGAIN) return had;
    porch_err old = drop_old(db, settings, now_ms, held, why);
    return old == PORCH_OK ? had : old;
}
