/* The authorities that issued the certificates: which one does now, which did before and still counts, and
 * which is retired, with everything that hangs on it.
 *
 *   rotate ─► the next one is in force; what the one before issued goes on      (overlap)
 *   retire ─► what it issued is refused; what hangs on it loses its sessions   (when nothing hangs on it,
 *                                                                                or by force)
 *
 * In memory each certificate knows its issuer by its place in r->issuers, which never changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/registry/registry_room.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"

uint8_t porch_registry_issuer_place(const porch_registry *r, const uint8_t fingerprint[32]) {
    for (size_t i = 0; i < r->issuer_count; i++)
        if (memcmp(r->issuers[i].info.fingerprint, fingerprint, 32) == 0) return (uint8_t)i;
    return PORCH_REGISTRY_ISSUER_UNKNOWN;
}

/* ---- from the database ---- */

porch_err porch_registry_load_issuers(porch_registry *r, porch_db *db, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "select pem, in_force_ms, followed_ms, retired_ms, key_gone_ms from issuer order by in_force_ms",
        why);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        registry_issuer *made = &r->issuers[r->issuer_count];
        if (r->issuer_count == PORCH_REGISTRY_ISSUERS) {
            e = porch_fail(why, PORCH_ERR_LIMIT, "the database holds more than %d issuers",
                           PORCH_REGISTRY_ISSUERS);
            break;
        }
        e = porch_x509_read(porch_db_text(q, 0), &made->info, why);
        if (e != PORCH_OK) break;
        made->in_force_ms = (uint64_t)porch_db_i64(q, 1);
        made->followed_ms = (uint64_t)porch_db_i64(q, 2);
        made->retired_ms = (uint64_t)porch_db_i64(q, 3);
        made->key_gone_ms = (uint64_t)porch_db_i64(q, 4);
        r->issuer_count++;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* ---- one comes into force ---- */

typedef struct {
    const uint8_t *fingerprint;
    porch_bytes pem;
    const porch_x509_info *info;
    const char *who;
    uint64_t now_ms;
    bool there, first;
} force_job;

static porch_err log_issuer(porch_db *db, const char *what, const porch_x509_info *info, const char *who,
                            const char *more, porch_why *why) {
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES], detail[320];
    porch_x509_fingerprint_text(info->fingerprint, print);
    (void)snprintf(detail, sizeof detail, "{\"sha256\":\"%s\",\"serial\":\"%s\",\"ends_ms\":%llu%s}", print,
                   info->serial, (unsigned long long)info->not_after_ms, more);
    return porch_trust_append(db, what, who, "ca:issuing", detail, why);
}

static porch_err write_force(porch_db *db, void *ctx, porch_why *why) {
    const force_job *job = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "update issuer set followed_ms = ?2 where followed_ms is null and fingerprint <> ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->fingerprint, 32});
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(db,
                         "insert into issuer (fingerprint, pem, in_force_ms) values (?1, ?2, ?3) "
                         "on conflict (fingerprint) do update set followed_ms = null",
                         why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->fingerprint, 32});
    porch_db_bind_text(q, 2, job->pem);
    porch_db_bind_i64(q, 3, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    if (job->first) { /* all that there is so far is its own */
        q = porch_db_prepare(db, "update certificate set issuer = ?1 where issuer is null", why);
        porch_db_bind_blob(q, 1, (porch_bytes){job->fingerprint, 32});
        return porch_db_execute(q, why);
    }
    return log_issuer(db, "ca.activate", job->info, job->who, "", why);
}

static void remember_force(porch_registry *r, const force_job *job) {
    pthread_rwlock_wrlock(&r->lock);
    for (size_t i = 0; i < r->issuer_count; i++)
        if (r->issuers[i].followed_ms == 0) r->issuers[i].followed_ms = job->now_ms;
    uint8_t at = porch_registry_issuer_place(r, job->fingerprint);
    if (at == PORCH_REGISTRY_ISSUER_UNKNOWN) {
        at = (uint8_t)r->issuer_count++;
        r->issuers[at] = (registry_issuer){.info = *job->info, .in_force_ms = job->now_ms};
    }
    r->issuers[at].followed_ms = 0;
    for (size_t i = 0; job->first && i < r->certificates.count; i++) {
        registry_certificate *c = r->certificates.at[i];
        if (c->issuer == PORCH_REGISTRY_ISSUER_UNKNOWN) c->issuer = at;
    }
    pthread_rwlock_unlock(&r->lock);
}

typedef struct {
    porch_registry *r;
    const uint8_t *issuer;
} adoption;

static porch_err read_early(porch_db *db, void *ctx, porch_why *why) {
    const adoption *job = ctx;
    porch_registry *r = job->r;
    porch_db_query *q = porch_db_prepare(db, "select fingerprint from certificate where issuer = ?1", why);
    porch_err e;
    porch_db_bind_blob(q, 1, (porch_bytes){job->issuer, 32});
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_bytes print = porch_db_blob(q, 0);
        if (print.len != 32) continue;
        pthread_rwlock_wrlock(&r->lock);
        registry_certificate *c = porch_registry_table_find(&r->certificates, print.at);
        if (c != NULL && c->issuer == PORCH_REGISTRY_ISSUER_UNKNOWN)
            c->issuer = porch_registry_issuer_place(r, job->issuer);
        pthread_rwlock_unlock(&r->lock);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_registry_issuer_force(porch_registry *r, porch_bytes pem, const char *who, porch_why *why) {
    porch_x509_info info;
    PORCH_TRY(porch_x509_read(pem, &info, why));
    pthread_mutex_lock(&r->change);
    uint8_t at = porch_registry_issuer_place(r, info.fingerprint);
    force_job job = {info.fingerprint, pem, &info, who, porch_clock_ms(), false, r->issuer_count == 0};
    porch_err e = PORCH_OK;
    if (at != PORCH_REGISTRY_ISSUER_UNKNOWN && r->issuers[at].retired_ms != 0)
        e = porch_fail(why, PORCH_ERR_REVOKED, "that issuer is retired");
    else if (at == PORCH_REGISTRY_ISSUER_UNKNOWN && r->issuer_count == PORCH_REGISTRY_ISSUERS)
        e = porch_fail(why, PORCH_ERR_LIMIT, "the hub remembers %d issuers and has no room for another",
                       PORCH_REGISTRY_ISSUERS);
    else if (at == PORCH_REGISTRY_ISSUER_UNKNOWN || r->issuers[at].followed_ms != 0) {
        e = porch_store_write(r->store, write_force, &job, why);
        if (e == PORCH_OK) remember_force(r, &job);
        /* The signer takes the next one up before it is known here: what it issued meanwhile hangs on it.
         */
        adoption early = {r, info.fingerprint};
        if (e == PORCH_OK) e = porch_store_read(r->store, read_early, &early, why);
    }
    pthread_mutex_unlock(&r->change);
    return e;
}

/* ---- what hangs on one ---- */

/* In force, or ended but still good for renewing itself. Under the lock. */
static bool hangs_on(porch_registry *r, const registry_certificate *c, uint8_t issuer, uint64_t now_ms,
                     bool *ended) {
    const uint64_t grace_ms = (uint64_t)r->settings.est_renew_only_days * 24 * 3600 * 1000;
    if (c->issuer != issuer || c->revoked_ms != 0 || c->replaced_ms != 0) return false;
    const registry_principal *p = porch_registry_table_find(porch_registry_principals(r, c->kind), c->name);
    if (p == NULL || p->revoked_ms != 0) return false;
    *ended = now_ms >= c->not_after_ms;
    return !*ended || (c->kind == PORCH_PRINCIPAL_DEVICE && now_ms - c->not_after_ms < grace_ms);
}

static void show(porch_registry *r, uint8_t at, uint64_t now_ms, porch_registry_issuer *ret) {
    const registry_issuer *own = &r->issuers[at];
    *ret = (porch_registry_issuer){.info = own->info,
                                   .place = at,
                                   .in_force_ms = own->in_force_ms,
                                   .followed_ms = own->followed_ms,
                                   .retired_ms = own->retired_ms,
                                   .key_gone_ms = own->key_gone_ms};
    for (size_t i = 0; own->retired_ms == 0 && i < r->certificates.count; i++) {
        const registry_certificate *c = r->certificates.at[i];
        bool ended = false;
        if (!hangs_on(r, c, at, now_ms, &ended)) continue;
        if (ended)
            ret->ended++;
        else
            ret->live++;
        if (ret->named < PORCH_REGISTRY_ISSUER_NAMES)
            memcpy(ret->names[ret->named++], c->name, sizeof ret->names[0]);
    }
}

void porch_registry_issuers(porch_registry *r, bool (*fn)(const porch_registry_issuer *, void *),
                            void *ctx) {
    porch_registry_issuer one;
    bool more = true;
    for (size_t i = 0; more; i++) {
        pthread_rwlock_rdlock(&r->lock);
        bool there = i < r->issuer_count;
        if (there) show(r, (uint8_t)i, porch_clock_ms(), &one);
        pthread_rwlock_unlock(&r->lock);
        more = there && fn(&one, ctx);
    }
}

/* ---- one goes ---- */

typedef struct {
    const porch_registry_issuer *issuer;
    const char *who;
    uint64_t now_ms;
} retirement;

static porch_err write_retirement(porch_db *db, void *ctx, porch_why *why) {
    const retirement *job = ctx;
    char more[96];
    porch_db_query *q =
        porch_db_prepare(db, "update issuer set retired_ms = ?2 where fingerprint = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->issuer->info.fingerprint, 32});
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    (void)snprintf(more, sizeof more, ",\"cut_off\":%zu,\"ended\":%zu", job->issuer->live,
                   job->issuer->ended);
    return log_issuer(db, "ca.retire", &job->issuer->info, job->who, more, why);
}

typedef struct {
    porch_principal_kind kind;
    char name[PORCH_REGISTRY_NAME_BYTES];
} struck;

/* `who` becomes those whose sessions must end; it has room for all certificates. Who holds a newer
 * certificate than the one issued here is none of them: what waits for it under its name is its own. */
static size_t remember_retirement(porch_registry *r, uint8_t at, uint64_t now_ms, struck *who) {
    size_t count = 0;
    pthread_rwlock_wrlock(&r->lock);
    r->issuers[at].retired_ms = now_ms;
    for (size_t i = 0; i < r->certificates.count; i++) {
        const registry_certificate *c = r->certificates.at[i];
        bool ended;
        if (!hangs_on(r, c, at, now_ms, &ended)) continue;
        who[count].kind = c->kind;
        memcpy(who[count++].name, c->name, sizeof c->name);
    }
    pthread_rwlock_unlock(&r->lock);
    return count;
}

static porch_err may_retire(const porch_registry_issuer *one, bool force, porch_why *why) {
    if (one->followed_ms == 0)
        return porch_fail(why, PORCH_ERR_STATE,
                          "it issues today's certificates; put the next one in force first (ca rotate)");
    if (force || one->live + one->ended == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_STATE,
                      "%zu live certificates hang on it, and %zu that have ended but may still renew "
                      "themselves (%s%s): wait until they are renewed, or cut them off with "
                      "--cut-off-live-certificates; each of those must then be enrolled anew by hand",
                      one->live, one->ended, one->names[0], one->live + one->ended > 1 ? ", ..." : "");
}

porch_err porch_registry_issuer_retire(porch_registry *r, const uint8_t fingerprint[32], bool force,
                                       const char *who, porch_registry_issuer *ret, porch_why *why) {
    size_t count = 0;
    pthread_mutex_lock(&r->change);
    struck *all = calloc(r->certificates.count + 1, sizeof *all);
    uint8_t at = porch_registry_issuer_place(r, fingerprint);
    retirement job = {ret, who, porch_clock_ms()};
    porch_err e = PORCH_OK;
    if (all == NULL) {
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    } else if (at == PORCH_REGISTRY_ISSUER_UNKNOWN) {
        e = porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such issuer; see 'ca list'");
    } else {
        pthread_rwlock_rdlock(&r->lock);
        show(r, at, job.now_ms, ret);
        pthread_rwlock_unlock(&r->lock);
        e = ret->retired_ms != 0 ? PORCH_OK : may_retire(ret, force, why);
    }
    bool anew = e == PORCH_OK && ret->retired_ms == 0; /* asked for again, it stays as it is */
    if (anew) e = porch_store_write(r->store, write_retirement, &job, why);
    if (anew && e == PORCH_OK) count = remember_retirement(r, at, job.now_ms, all);
    pthread_mutex_unlock(&r->change);
    for (size_t i = 0; i < count; i++)
        porch_registry_tell(r, all[i].kind, all[i].name, PORCH_REGISTRY_ISSUER_RETIRED);
    free(all);
    return e;
}

/* ---- its key ---- */

static porch_err write_key_gone(porch_db *db, void *ctx, porch_why *why) {
    const retirement *job = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "update issuer set key_gone_ms = ?2 where fingerprint = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){job->issuer->info.fingerprint, 32});
    porch_db_bind_i64(q, 2, (int64_t)job->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    return log_issuer(db, "ca.key-destroyed", &job->issuer->info, job->who, "", why);
}

porch_err porch_registry_issuer_key_gone(porch_registry *r, const uint8_t fingerprint[32], const char *who,
                                         porch_why *why) {
    porch_registry_issuer one;
    porch_err e = PORCH_OK;
    pthread_mutex_lock(&r->change);
    uint8_t at = porch_registry_issuer_place(r, fingerprint);
    if (at == PORCH_REGISTRY_ISSUER_UNKNOWN || r->issuers[at].retired_ms == 0) {
        e = porch_fail(why, PORCH_ERR_STATE, "only a retired issuer's key is destroyed");
    } else if (r->issuers[at].key_gone_ms == 0) {
        retirement job = {&one, who, porch_clock_ms()};
        one = (porch_registry_issuer){.info = r->issuers[at].info};
        e = porch_store_write(r->store, write_key_gone, &job, why);
        pthread_rwlock_wrlock(&r->lock);
        if (e == PORCH_OK) r->issuers[at].key_gone_ms = job.now_ms;
        pthread_rwlock_unlock(&r->lock);
    }
    pthread_mutex_unlock(&r->change);
    return e;
}
