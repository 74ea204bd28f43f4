/* What rollouts know of a household that is erased, beyond what goes with its devices' rows: its name as a
 * stage, and names of its devices where a rollout remembers how far it has come. */
#include "cloud/rollout/rollout_room.h"

#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 64 };

typedef struct {
    int64_t number;
    char stages[PORCH_ROLLOUT_STAGES_TEXT];
} stages_row;

static bool ends_name(char c) {
    return c == ',' || c == '"' || c == '\0';
}

/* The first stage of that name at or behind `from`; NULL when there is none. */
static char *find_stage(char *from, const char *stage) {
    size_t len = strlen(stage);
    char *at = from;
    while ((at = strstr(at, stage)) != NULL && !ends_name(at[len]))
        at += len;
    return at;
}

bool porch_rollout_names(porch_bytes text, const char *household) {
    char copy[1024], stage[PORCH_ID_MOST + 16];
    (void)snprintf(stage, sizeof stage, "household=%s", household);
    return porch_bytes_to_text(text, copy, sizeof copy) && find_stage(copy, stage) != NULL;
}

static void forget(char *stages, const char *household) {
    char stage[PORCH_ID_MOST + 16];
    const size_t kept = strlen("household=");
    (void)snprintf(stage, sizeof stage, "household=%s", household);
    for (char *at = stages; (at = find_stage(at, stage)) != NULL; at += kept + 1) {
        char *rest = at + strlen(stage);
        at[kept] = PORCH_ROLLOUT_ERASED[0];
        memmove(at + kept + 1, rest, strlen(rest) + 1);
    }
}

static porch_err some_rows(porch_db *db, int64_t after, stages_row rows[AT_ONCE], size_t *count,
                           porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "select number, stages from update_rollout where number > ?1 order by number limit ?2", why);
    porch_err e = PORCH_OK;
    porch_db_bind_i64(q, 1, after);
    porch_db_bind_i64(q, 2, AT_ONCE);
    *count = 0;
    while ((e = porch_db_step(q, why)) == PORCH_OK && *count < AT_ONCE) {
        rows[*count].number = porch_db_i64(q, 0);
        (void)porch_bytes_to_text(porch_db_text(q, 1), rows[*count].stages, sizeof rows[*count].stages);
        (*count)++;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err put_stages(porch_db *db, const stages_row *row, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "update update_rollout set stages = ?2 where number = ?1", why);
    porch_db_bind_i64(q, 1, row->number);
    porch_db_bind_str(q, 2, row->stages);
    return porch_db_execute(q, why);
}

static porch_err forget_places(porch_db *db, const char *household, porch_why *why) {
    static const char *const sql[] = {
        "update update_rollout set filled = '' where filled in (select name from erasure where household = "
        "?1 and kind = 'device')",
        "update update_rollout set recall_device = '' where recall_device in (select name from erasure "
        "where household = ?1 and kind = 'device')",
    };
    for (size_t i = 0; i < sizeof sql / sizeof sql[0]; i++) {
        porch_db_query *q = porch_db_prepare(db, sql[i], why);
        porch_db_bind_str(q, 1, household);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

porch_err porch_rollout_household_erase(porch_db *db, const char *household, porch_why *why) {
    stages_row rows[AT_ONCE];
    size_t count = AT_ONCE;
    for (int64_t after = 0; count == AT_ONCE; after = rows[count - 1].number) {
        PORCH_TRY(some_rows(db, after, rows, &count, why));
        for (size_t i = 0; i < count; i++) {
            if (!porch_rollout_names(porch_bytes_of(rows[i].stages), household)) continue;
            forget(rows[i].stages, household);
            PORCH_TRY(put_stages(db, &rows[i], why));
        }
        if (count == 0) break;
    }
    return forget_places(db, household, why);
}
