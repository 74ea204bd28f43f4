#include "cloud/store/store_migrate.h"

#include <stdio.h>

#include "cloud/store/store.h"
#include "os/log.h"

int porch_store_schema(void) {
    return porch_store_migrations_count == 0
               ? 0
               : porch_store_migrations[porch_store_migrations_count - 1].number;
}

porch_err porch_store_version(porch_db *db, int *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "pragma user_version", why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) *ret = (int)porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static porch_err apply(porch_db *db, const porch_store_migration *m, porch_why *why) {
    char version[48];
    (void)snprintf(version, sizeof version, "pragma user_version = %d", m->number);
    porch_why inner = {""};
    porch_err e = porch_db_script(db, "begin immediate", &inner);
    if (e == PORCH_OK) e = porch_db_script(db, m->sql, &inner);
    if (e == PORCH_OK) e = porch_db_script(db, version, &inner);
    if (e == PORCH_OK) e = porch_db_script(db, "commit", &inner);
    if (e != PORCH_OK) {
        if (porch_db_in_transaction(db)) (void)porch_db_script(db, "rollback", NULL);
        return porch_fail(why, e, "migration %s: %.200s", m->name, inner.text);
    }
    porch_log(PORCH_LOG_INFO, "store.migrated", "to", m->name, NULL);
    return PORCH_OK;
}

porch_err porch_store_migrate(porch_db *db, int target, porch_why *why) {
    int version = 0;
    PORCH_TRY(porch_store_version(db, &version, why));
    if (version > porch_store_schema())
        return porch_fail(
            why, PORCH_ERR_UNSUPPORTED,
            "hub.db has schema %d, this program knows schemas up to %d; start the newer program that "
            "wrote it, or restore a backup",
            version, porch_store_schema());
    for (size_t i = 0; i < porch_store_migrations_count; i++) {
        const porch_store_migration *m = &porch_store_migrations[i];
        if (m->number <= version || m->number > target) continue;
        PORCH_TRY(apply(db, m, why));
    }
    return PORCH_OK;
}
