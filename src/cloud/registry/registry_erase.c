/* A household's end, as the registry sees it: first its devices lose their way in, last the household and
 * every certificate that its devices ever had are gone.
 *
 *   erase_begin: names noted ─► each device removed (sessions end, keys are dead)
 *   ... the other rooms forget ...
 *   erase_end:   one transaction {certificates, household, what others add} ─► memory
 *
 * A crash between the two leaves the names in the table erasure; beginning again goes on from there. The
 * end empties it. The household "home", which every hub has, is made anew and empty. */
#include <stdlib.h>
#include <string.h>

#include "cloud/registry/registry_room.h"
#include "cloud/trust/trust_erase.h"

typedef struct {
    char (*at)[PORCH_REGISTRY_NAME_BYTES];
    size_t count;
} names;

static bool add_name(names *n, const char *name) {
    void *more = realloc(n->at, (n->count + 1) * sizeof *n->at);
    if (more == NULL) return false;
    n->at = more;
    porch_registry_copy_text(n->at[n->count++], sizeof *n->at, porch_bytes_of(name));
    return true;
}

static bool add_device(const porch_registry_device *d, void *ctx) {
    return add_name(ctx, d->id);
}

typedef struct {
    const char *household;
    const names *devices;
} note_job;

static porch_err note_devices(porch_db *db, void *ctx, porch_why *why) {
    const note_job *job = ctx;
    for (size_t i = 0; i < job->devices->count; i++)
        PORCH_TRY(porch_trust_erasure_note(db, job->household, "device", job->devices->at[i], why));
    return PORCH_OK;
}

porch_err porch_registry_erase_begin(porch_registry *r, const char *household, porch_why *why) {
    porch_registry_household h;
    names devices = {0};
    note_job job = {household, &devices};
    if (porch_registry_household_get(r, household, &h) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no household called %.64s", household);
    porch_registry_devices(r, household, add_device, &devices);
    porch_err e = porch_store_write(r->store, note_devices, &job, why);
    for (size_t i = 0; i < devices.count && e == PORCH_OK; i++) {
        e = porch_registry_device_remove(r, devices.at[i], "hub", why);
        if (e == PORCH_ERR_NOT_FOUND) e = PORCH_OK; /* somebody was faster */
    }
    free(devices.at);
    return e;
}

typedef struct {
    const char *household;
    porch_store_fn also;
    void *also_ctx;
    names devices;
    bool factories; /* that brought devices into it are gone */
} end_job;

static porch_err collect(const char *name, void *ctx, porch_why *why) {
    return add_name(ctx, name) ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for names");
}

/* "home" is there again at once, and so is what may bring devices into it. */
static porch_err forget_factories(porch_db *db, end_job *job, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "delete from factory_ca where household = ?1 and ?1 <> 'home'", why);
    porch_db_bind_str(q, 1, job->household);
    PORCH_TRY(porch_db_execute(q, why));
    job->factories = porch_db_changes(db) > 0;
    return PORCH_OK;
}

static porch_err write_end(porch_db *db, void *ctx, porch_why *why) {
    end_job *job = ctx;
    static const char *const gone[] = {
        /* one that was enrolled again elsewhere meanwhile keeps its new certificates */
        "delete from certificate where kind = 'device' and revoked_ms is not null and name in "
        "(select name from erasure where household = ?1 and kind = 'device')",
        "delete from claim_token where household = ?1",
        "delete from household where id = ?1",
        "insert into household (id, name, timezone, added_ms) select 'home', 'Home', 'UTC', 0 where ?1 = "
        "'home'",
        /* it is over: the names go with what was found by them */
        "delete from erasure where household = ?1",
    };
    job->devices.count = 0;
    PORCH_TRY(porch_trust_erasure_names(db, job->household, "device", collect, &job->devices, why));
    PORCH_TRY(job->also(db, job->also_ctx, why));
    PORCH_TRY(forget_factories(db, job, why));
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        porch_db_query *q = porch_db_prepare(db, gone[i], why);
        porch_db_bind_str(q, 1, job->household);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

static bool is_one(const names *n, const char *name) {
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->at[i], name) == 0) return true;
    return false;
}

static void forget_certificates(porch_registry *r, const names *devices) {
    for (size_t i = r->certificates.count; i > 0; i--) {
        registry_certificate *c = r->certificates.at[i - 1];
        uint8_t fingerprint[32];
        if (c->kind != PORCH_PRINCIPAL_DEVICE || c->revoked_ms == 0 || !is_one(devices, c->name)) continue;
        memcpy(fingerprint, c->fingerprint, sizeof fingerprint);
        porch_registry_table_remove(&r->certificates, fingerprint);
    }
}

porch_err porch_registry_erase_end(porch_registry *r, const char *household, porch_store_fn also,
                                   void *also_ctx, porch_why *why) {
    end_job job = {.household = household, .also = also, .also_ctx = also_ctx};
    pthread_mutex_lock(&r->change);
    porch_err e = porch_store_write(r->store, write_end, &job, why);
    if (e == PORCH_OK) {
        pthread_rwlock_wrlock(&r->lock);
        forget_certificates(r, &job.devices);
        porch_registry_household *h = porch_registry_table_find(&r->households, household);
        if (h != NULL && strcmp(household, "home") == 0)
            *h = (porch_registry_household){.id = "home", .name = "Home", .timezone = "UTC"};
        else
            porch_registry_table_remove(&r->households, household);
        pthread_rwlock_unlock(&r->lock);
    }
    pthread_mutex_unlock(&r->change);
    if (e == PORCH_OK && job.factories)
        porch_registry_tell(r, PORCH_PRINCIPAL_NONE, "", PORCH_REGISTRY_FACTORIES);
    free(job.devices.at);
    return e;
}
