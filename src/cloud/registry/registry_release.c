/* A device that leaves its household: it is moved into one of its own, whose end (registry_erase.c) is then
 * the device's, with everything that goes there. */
#include <string.h>

#include "cloud/registry/registry_room.h"

typedef struct {
    const char *id, *from, *to;
    porch_store_fn also;
    void *also_ctx;
} move_job;

static porch_err write_move(porch_db *db, void *ctx, porch_why *why) {
    const move_job *job = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "update device set household = ?2 where id = ?1 and household = ?3", why);
    porch_db_bind_str(q, 1, job->id);
    porch_db_bind_str(q, 2, job->to);
    porch_db_bind_str(q, 3, job->from);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) != 1)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no device called %.64s", job->id);
    return job->also(db, job->also_ctx, why);
}

porch_err porch_registry_device_move(porch_registry *r, const char *id, const char *from, const char *to,
                                     porch_store_fn also, void *also_ctx, porch_why *why) {
    move_job job = {id, from, to, also, also_ctx};
    pthread_mutex_lock(&r->change);
    porch_err e = PORCH_OK;
    const registry_principal *there = porch_registry_table_find(&r->devices, id);
    if (there == NULL || strcmp(there->household, from) != 0)
        e = porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no device called %.64s", id);
    else if (porch_registry_table_find(&r->households, to) == NULL)
        e = porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no household called %.64s", to);
    if (e == PORCH_OK) e = porch_store_write(r->store, write_move, &job, why);
    if (e == PORCH_OK) {
        pthread_rwlock_wrlock(&r->lock);
        registry_principal *p = porch_registry_table_find(&r->devices, id);
        if (p != NULL) porch_registry_copy_text(p->household, sizeof p->household, porch_bytes_of(to));
        pthread_rwlock_unlock(&r->lock);
    }
    pthread_mutex_unlock(&r->change);
    return e;
}
