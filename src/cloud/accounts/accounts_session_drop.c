/* Sessions that end together: their rows go inside a write, push messages with them, and each end is told
 * after the commit, so that streams, MQTT sessions and exports end, too. */
#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_room.h"

porch_err porch_accounts_end_also(porch_accounts *a, porch_db *db, const char *account, const char *id,
                                  const char *except, porch_why *why) {
    return a->end_in_write == NULL ? PORCH_OK
                                   : a->end_in_write(db, account, id, except, a->end_in_write_ctx, why);
}

static porch_err collect(porch_db_query *q, porch_accounts_ended *ret, porch_why *why) {
    porch_err e = porch_db_step(q, why);
    for (; e == PORCH_OK; e = porch_db_step(q, why)) {
        porch_bytes hash = porch_db_blob(q, 0);
        void *more = realloc(ret->one, (ret->count + 1) * sizeof *ret->one);
        if (more != NULL) ret->one = more;
        if (more == NULL || hash.len != 32) {
            e = PORCH_ERR_NO_SPACE;
            break;
        }
        porch_accounts_ended_one *one = &ret->one[ret->count++];
        memcpy(one->hash, hash.at, 32);
        (void)porch_bytes_to_text(porch_db_text(q, 1), one->id, sizeof one->id);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* Those of the account whose id fits the pattern of `id` and `except`; an empty one fits all and none. */
static porch_err drop(porch_accounts *a, porch_db *db, const char *account, const char *id,
                      const char *except, porch_accounts_ended *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "DELETE FROM session WHERE account = ?1 AND (?2 = '' OR id = ?2) AND id <> ?3 RETURNING hash, id",
        why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_str(q, 2, id);
    porch_db_bind_str(q, 3, except);
    PORCH_TRY(collect(q, ret, why));
    return porch_accounts_end_also(a, db, account, id, except, why);
}

porch_err porch_accounts_sessions_drop(porch_accounts *a, porch_db *db, const char *account,
                                       const char *except, porch_accounts_ended *ret, porch_why *why) {
    return drop(a, db, account, "", except, ret, why);
}

/* The ones idle longest go. */
porch_err porch_accounts_sessions_keep(porch_accounts *a, porch_db *db, const char *account, uint32_t most,
                                       porch_accounts_ended *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "DELETE FROM session WHERE account = ?1 AND hash NOT IN "
        "(SELECT hash FROM session WHERE account = ?1 ORDER BY seen_ms DESC LIMIT ?2) RETURNING hash, id",
        why);
    porch_db_bind_str(q, 1, account);
    porch_db_bind_i64(q, 2, most);
    size_t before = ret->count;
    PORCH_TRY(collect(q, ret, why));
    for (size_t i = before; i < ret->count; i++)
        PORCH_TRY(porch_accounts_end_also(a, db, account, ret->one[i].id, "", why));
    return PORCH_OK;
}

porch_err porch_accounts_session_drop(porch_accounts *a, porch_db *db, const char *account, const char *id,
                                      porch_accounts_ended *ret, porch_why *why) {
    return drop(a, db, account, id, "", ret, why);
}

void porch_accounts_tell_ended(porch_accounts *a, porch_accounts_ended *ended) {
    for (size_t i = 0; i < ended->count; i++)
        porch_accounts_tell_end(a, ended->one[i].hash, ended->one[i].id);
    free(ended->one);
    *ended = (porch_accounts_ended){0};
}
