#include "cloud/registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/registry/registry_room.h"
#include "cloud/trust/trust.h"

const char *porch_principal_kind_name(porch_principal_kind kind) {
    return porch_identity_kind_text(kind);
}

registry_table *porch_registry_principals(porch_registry *r, porch_principal_kind kind) {
    return kind == PORCH_PRINCIPAL_DEVICE ? &r->devices : &r->services;
}

/* ---- last-seen times go to the database with the store's ticks ---------------------------------- */

static porch_err save_seen(porch_db *db, const registry_principal *p, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "update device set last_seen_ms = ?2 where id = ?1", why);
    porch_db_bind_str(q, 1, p->name);
    porch_db_bind_i64(q, 2, (int64_t)atomic_load(&p->last_seen_ms));
    return porch_db_execute(q, why);
}

/* The first use of a certificate that replaced none. What was issued since then waits for its own: a
 * renewal that took this one for unused has dropped it. One that a newer one has replaced stays so, though
 * memory has not heard of it yet. */
static porch_err save_use(porch_db *db, const registry_principal *p, uint64_t now_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "update certificate as own set used_ms = ?2, replaced_ms = case when exists (select 1 from "
        "certificate newer where newer.kind = own.kind and newer.name = own.name and newer.issued_ms > "
        "own.issued_ms and newer.used_ms is not null and newer.replaced_ms is null and newer.revoked_ms is "
        "null) then replaced_ms end where fingerprint = ?1",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){p->in_use, sizeof p->in_use});
    porch_db_bind_i64(q, 2, (int64_t)now_ms);
    return porch_db_execute(q, why);
}

/* The certificate in use, and that the others of the device, or a service's older ones, are dead by it. */
typedef struct {
    porch_principal_kind kind;
    const char *name;
    const uint8_t *fingerprint;
    uint64_t now_ms;
} first_use_row;

static porch_err write_use(porch_db *db, void *ctx, porch_why *why) {
    const first_use_row *u = ctx;
    const porch_bytes print = {u->fingerprint, 32};
    porch_db_query *q = porch_db_prepare(db,
                                         "update certificate set used_ms = ?2 where fingerprint = ?1 and "
                                         "revoked_ms is null and replaced_ms is null",
                                         why);
    porch_db_bind_blob(q, 1, print);
    porch_db_bind_i64(q, 2, (int64_t)u->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0) /* between our look and now */
        return porch_fail(why, PORCH_ERR_REVOKED, "this certificate of %s %s was replaced or revoked",
                          porch_principal_kind_name(u->kind), u->name);
    q = porch_db_prepare(db,
                         "update certificate set replaced_ms = ?3 where kind = ?4 and name = ?1 and "
                         "fingerprint <> ?2 and revoked_ms is null and replaced_ms is null and (?4 = "
                         "'device' or issued_ms < (select issued_ms from certificate where fingerprint = "
                         "?2))",
                         why);
    porch_db_bind_str(q, 1, u->name);
    porch_db_bind_blob(q, 2, print);
    porch_db_bind_i64(q, 3, (int64_t)u->now_ms);
    porch_db_bind_str(q, 4, porch_principal_kind_name(u->kind));
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0) return PORCH_OK; /* its first */
    char what[32], subject[96];
    (void)snprintf(what, sizeof what, "%s.replace", porch_principal_kind_name(u->kind));
    (void)snprintf(subject, sizeof subject, "%s:%s", porch_principal_kind_name(u->kind), u->name);
    return porch_trust_append(db, what, "hub", subject, "{}", why);
}

static porch_err save_principals(porch_db *db, const registry_table *t, uint64_t now_ms, porch_why *why) {
    porch_err e = PORCH_OK;
    for (size_t i = 0; i < t->count && e == PORCH_OK; i++) {
        registry_principal *p = t->at[i];
        if (atomic_exchange(&p->use_dirty, false)) {
            e = save_use(db, p, now_ms, why);
            if (e != PORCH_OK) atomic_store(&p->use_dirty, true);
        }
        if (e != PORCH_OK || !atomic_load(&p->seen_dirty)) continue;
        atomic_store(&p->seen_dirty, false);
        e = save_seen(db, p, why);
    }
    return e;
}

/* On the writer thread. The lock is shared with the shards and held for this one pass; whoever wants it
 * alone never waits for the writer while holding it. */
static porch_err on_tick(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why) {
    porch_registry *r = ctx;
    pthread_rwlock_rdlock(&r->lock);
    porch_err e = save_principals(db, &r->devices, now_ms, why);
    if (e == PORCH_OK) e = save_principals(db, &r->services, now_ms, why);
    pthread_rwlock_unlock(&r->lock);
    return e;
}

/* ---- opening ------------------------------------------------------------------------------------ */

porch_err porch_registry_open(porch_store *store, const porch_settings *settings, porch_registry **ret,
                              porch_why *why) {
    porch_registry *r = calloc(1, sizeof *r);
    if (r == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the registry");
    r->store = store;
    r->settings = *settings;
    r->certificates.by_fingerprint = true;
    pthread_mutex_init(&r->asking, NULL);
    pthread_mutex_init(&r->change, NULL);
    pthread_rwlock_init(&r->lock, NULL);
    porch_err e = porch_store_read(store, porch_registry_load, r, why);
    if (e != PORCH_OK) {
        porch_registry_close(r);
        return e;
    }
    porch_store_on_tick(store, on_tick, r);
    *ret = r;
    return PORCH_OK;
}

void porch_registry_close(porch_registry *r) {
    if (r == NULL) return;
    porch_store_forget(r->store, r);
    porch_registry_table_free(&r->devices);
    porch_registry_table_free(&r->services);
    porch_registry_table_free(&r->certificates);
    porch_registry_table_free(&r->households);
    pthread_rwlock_destroy(&r->lock);
    pthread_mutex_destroy(&r->change);
    pthread_mutex_destroy(&r->asking);
    free(r);
}

void porch_registry_on_change(porch_registry *r, porch_registry_change_fn fn, void *ctx) {
    pthread_mutex_lock(&r->change);
    if (r->observer_count < PORCH_REGISTRY_OBSERVERS) {
        r->observers[r->observer_count].fn = fn;
        r->observers[r->observer_count].ctx = ctx;
        r->observer_count++;
    }
    pthread_mutex_unlock(&r->change);
}

void porch_registry_in_remove(porch_registry *r, porch_registry_remove_fn fn, void *ctx) {
    pthread_mutex_lock(&r->change);
    r->in_remove = fn;
    r->in_remove_ctx = ctx;
    pthread_mutex_unlock(&r->change);
}

void porch_registry_tell(porch_registry *r, porch_principal_kind kind, const char *name,
                         porch_registry_what what) {
    for (size_t i = 0; i < r->observer_count; i++)
        r->observers[i].fn(kind, name, what, r->observers[i].ctx);
}

/* ---- the door ----------------------------------------------------------------------------------- */

/* The judgement, in this order: what was withdrawn stays withdrawn whatever else holds. */
static porch_err judge(const porch_registry *r, const registry_principal *p, const registry_certificate *c,
                       porch_principal_kind kind, const char *name, uint64_t now_ms, porch_why *why) {
    const char *word = porch_principal_kind_name(kind);
    bool its_own = c != NULL && c->kind == kind && strcmp(c->name, name) == 0;
    if (its_own && c->revoked_ms != 0)
        return porch_fail(why, PORCH_ERR_REVOKED, "the certificate of %s %s was revoked; enrol it again",
                          word, name);
    if (its_own && c->replaced_ms != 0)
        return porch_fail(
            why, PORCH_ERR_REVOKED,
            "this certificate of %s %s was replaced by a newer one, which is in use%s", word, name,
            kind == PORCH_PRINCIPAL_SERVICE ? "; copy that one's folder to each of its clients" : "");
    if (its_own && c->issuer < r->issuer_count && r->issuers[c->issuer].retired_ms != 0)
        return porch_fail(why, PORCH_ERR_REVOKED,
                          "the authority that issued this certificate of %s %s is retired; enrol it again",
                          word, name);
    if (p == NULL) return porch_fail(why, PORCH_ERR_AUTH, "there is no %s called %s here", word, name);
    if (p->revoked_ms != 0)
        return porch_fail(why, PORCH_ERR_REVOKED, "%s %s was revoked; remove it and enrol it again", word,
                          name);
    if (!its_own)
        return porch_fail(why, PORCH_ERR_AUTH, "this certificate was not issued to %s %s by this hub", word,
                          name);
    if (now_ms < c->not_before_ms)
        return porch_fail(why, PORCH_ERR_STATE,
                          "the certificate of %s %s is not yet valid; check both clocks", word, name);
    if (now_ms >= c->not_after_ms)
        return porch_fail(why, PORCH_ERR_EXPIRED, "the certificate of %s %s has expired; renew it", word,
                          name);
    return PORCH_OK;
}

/* Is it the first time that this certificate is shown? Under the lock, shared. */
static bool is_first_use(const registry_certificate *c) {
    return c != NULL && c->used_ms == 0;
}

/* Does the first use of `own` end `c`? A device has one certificate that works. A service may have many
 * clients, to which a renewed one comes by hand: what is newer than what they show is none of their
 * business. */
static bool is_ended_by(const registry_certificate *c, const registry_certificate *own) {
    return c != own && c->kind == own->kind && c->revoked_ms == 0 && c->replaced_ms == 0 &&
           (own->kind == PORCH_PRINCIPAL_DEVICE || c->issued_ms < own->issued_ms) &&
           strcmp(c->name, own->name) == 0;
}

/* Would its first use end others? Under the lock, shared. */
static bool replaces_others(const porch_registry *r, const registry_certificate *own) {
    for (size_t i = 0; i < r->certificates.count; i++)
        if (is_ended_by(r->certificates.at[i], own)) return true;
    return false;
}

/* Was one that is younger than our look taken up since? If not, whoever dropped this one in the meantime
 * took it for unused, and the disk, which has its use, knows better. Under the lock. */
static bool is_overtaken(const porch_registry *r, const registry_principal *p, uint64_t births) {
    const registry_certificate *now = porch_registry_table_find(&r->certificates, p->in_use);
    return now != NULL && now->born >= births;
}

/* The memory's side of it: those born before are dead. Under the lock, alone. */
static void take_up(porch_registry *r, registry_principal *p, registry_certificate *own,
                    uint64_t born_before, uint64_t now_ms) {
    own->used_ms = now_ms;
    for (size_t i = 0; i < r->certificates.count; i++) {
        registry_certificate *c = r->certificates.at[i];
        if (c->born < born_before && is_ended_by(c, own)) c->replaced_ms = now_ms;
    }
    memcpy(p->in_use, own->fingerprint, sizeof p->in_use);
    if (own->kind != PORCH_PRINCIPAL_DEVICE) return; /* what is shown of a service is its newest */
    p->certificate_ends_ms = own->not_after_ms;
    memcpy(p->fingerprint, own->fingerprint, sizeof p->fingerprint);
}

/* From now on the device's others, a service's older ones, are dead. Where there are others, that is on
 * disk before anybody is let in, so that no crash brings them back; the shard waits for one commit, once in
 * the life of a certificate. Where there are none, the database hears of it with the next tick; should the
 * hub end before that, the next use says it again. */
static porch_err first_use(porch_registry *r, porch_principal_kind kind, const char *name,
                           const uint8_t fingerprint[32], uint64_t now_ms, porch_why *why) {
    pthread_rwlock_rdlock(&r->lock);
    const registry_certificate *found = porch_registry_table_find(&r->certificates, fingerprint);
    bool durable = found != NULL && replaces_others(r, found);
    const uint64_t births = r->births;
    pthread_rwlock_unlock(&r->lock);
    first_use_row u = {kind, name, fingerprint, now_ms};
    porch_err e = durable ? porch_store_write(r->store, write_use, &u, why) : PORCH_OK;
    if (e == PORCH_ERR_REVOKED) return e;
    if (e != PORCH_OK)
        return porch_fail(why, PORCH_ERR_BUSY,
                          "the hub cannot note that this certificate replaces the one before; try again");
    pthread_rwlock_wrlock(&r->lock);
    registry_principal *p = porch_registry_table_find(porch_registry_principals(r, kind), name);
    registry_certificate *own = porch_registry_table_find(&r->certificates, fingerprint);
    if (durable && p != NULL && own != NULL && !is_overtaken(r, p, births)) own->replaced_ms = 0;
    e = judge(r, p, own, kind, name, now_ms, why);
    if (e == PORCH_OK && is_first_use(own)) {
        take_up(r, p, own, durable ? births : 0, now_ms);
        atomic_store(&p->use_dirty, !durable);
    }
    pthread_rwlock_unlock(&r->lock);
    return e;
}

porch_err porch_registry_may_renew(porch_registry *r, const char *device, const uint8_t fingerprint[32],
                                   uint64_t now_ms, porch_registry_entry *ret, porch_why *why) {
    porch_err e = porch_registry_admit(r, PORCH_PRINCIPAL_DEVICE, device, fingerprint, now_ms, ret, why);
    if (e != PORCH_ERR_EXPIRED) return e;
    uint64_t grace_ms = (uint64_t)r->settings.est_renew_only_days * 24 * 3600 * 1000;
    uint64_t ended_ms = 0;
    pthread_rwlock_rdlock(&r->lock);
    const registry_certificate *c = porch_registry_table_find(&r->certificates, fingerprint);
    if (c != NULL) ended_ms = c->not_after_ms;
    pthread_rwlock_unlock(&r->lock);
    if (now_ms - ended_ms >= grace_ms)
        return porch_fail(why, PORCH_ERR_EXPIRED,
                          "the certificate of device %s ended more than %u days ago (est.renew_only_days); "
                          "enrol it again",
                          device, r->settings.est_renew_only_days);
    /* As it was a moment before its end. */
    return porch_registry_admit(r, PORCH_PRINCIPAL_DEVICE, device, fingerprint, ended_ms - 1, ret, why);
}

porch_err porch_registry_admit(porch_registry *r, porch_principal_kind kind, const char *name,
                               const uint8_t fingerprint[32], uint64_t now_ms, porch_registry_entry *ret,
                               porch_why *why) {
    if (kind != PORCH_PRINCIPAL_DEVICE && kind != PORCH_PRINCIPAL_SERVICE)
        return porch_fail(why, PORCH_ERR_AUTH, "the certificate names neither a device nor a service");
    pthread_rwlock_rdlock(&r->lock);
    const registry_principal *p = porch_registry_table_find(porch_registry_principals(r, kind), name);
    const registry_certificate *c = porch_registry_table_find(&r->certificates, fingerprint);
    porch_err e = judge(r, p, c, kind, name, now_ms, why);
    if (e == PORCH_OK) {
        porch_registry_entry entry = {.kind = kind,
                                      .any_client_id = p->any_client_id,
                                      .quarantined = p->quarantined_ms != 0,
                                      .issuer = c->issuer,
                                      .certificate_ends_ms = c->not_after_ms};
        memcpy(entry.name, p->name, sizeof entry.name);
        memcpy(entry.product, p->product, sizeof entry.product);
        memcpy(entry.household, p->household, sizeof entry.household);
        *ret = entry;
    }
    bool first = e == PORCH_OK && is_first_use(c);
    pthread_rwlock_unlock(&r->lock);
    if (first) e = first_use(r, kind, name, fingerprint, now_ms, why);
    return e;
}

void porch_registry_seen(porch_registry *r, const char *device, bool online, uint64_t at_ms) {
    bool changed = false;
    pthread_rwlock_rdlock(&r->lock);
    registry_principal *p = porch_registry_table_find(&r->devices, device);
    if (p != NULL) {
        atomic_store(&p->last_seen_ms, at_ms);
        atomic_store(&p->seen_dirty, true);
        changed = atomic_exchange(&p->online, online) != online;
    }
    pthread_rwlock_unlock(&r->lock);
    if (changed)
        porch_registry_tell(r, PORCH_PRINCIPAL_DEVICE, device,
                            online ? PORCH_REGISTRY_ONLINE : PORCH_REGISTRY_OFFLINE);
}

/* ---- looking ------------------------------------------------------------------------------------ */

static void show_device(const registry_principal *p, porch_registry_device *ret) {
    memset(ret, 0, sizeof *ret);
    memcpy(ret->id, p->name, sizeof ret->id);
    memcpy(ret->product, p->product, sizeof ret->product);
    memcpy(ret->household, p->household, sizeof ret->household);
    ret->added_ms = p->added_ms;
    ret->revoked_ms = p->revoked_ms;
    ret->quarantined_ms = p->quarantined_ms;
    ret->last_seen_ms = atomic_load(&p->last_seen_ms);
    ret->online = atomic_load(&p->online);
    ret->certificate_ends_ms = p->certificate_ends_ms;
    memcpy(ret->fingerprint, p->fingerprint, sizeof ret->fingerprint);
}

static void show_service(const registry_principal *p, porch_registry_service *ret) {
    memset(ret, 0, sizeof *ret);
    memcpy(ret->name, p->name, sizeof ret->name);
    ret->any_client_id = p->any_client_id;
    ret->added_ms = p->added_ms;
    ret->certificate_ends_ms = p->certificate_ends_ms;
    memcpy(ret->fingerprint, p->fingerprint, sizeof ret->fingerprint);
}

void porch_registry_devices(porch_registry *r, const char *household,
                            bool (*fn)(const porch_registry_device *, void *), void *ctx) {
    pthread_rwlock_rdlock(&r->lock);
    for (size_t i = 0; i < r->devices.count; i++) {
        const registry_principal *p = r->devices.at[i];
        if (household != NULL && strcmp(p->household, household) != 0) continue;
        porch_registry_device d;
        show_device(p, &d);
        if (!fn(&d, ctx)) break;
    }
    pthread_rwlock_unlock(&r->lock);
}

void porch_registry_services(porch_registry *r, bool (*fn)(const porch_registry_service *, void *),
                             void *ctx) {
    pthread_rwlock_rdlock(&r->lock);
    for (size_t i = 0; i < r->services.count; i++) {
        porch_registry_service s;
        show_service(r->services.at[i], &s);
        if (!fn(&s, ctx)) break;
    }
    pthread_rwlock_unlock(&r->lock);
}

void porch_registry_households(porch_registry *r, bool (*fn)(const porch_registry_household *, void *),
                               void *ctx) {
    pthread_rwlock_rdlock(&r->lock);
    for (size_t i = 0; i < r->households.count; i++)
        if (!fn(r->households.at[i], ctx)) break;
    pthread_rwlock_unlock(&r->lock);
}

porch_err porch_registry_device_get(porch_registry *r, const char *id, porch_registry_device *ret) {
    pthread_rwlock_rdlock(&r->lock);
    const registry_principal *p = porch_registry_table_find(&r->devices, id);
    if (p != NULL) show_device(p, ret);
    pthread_rwlock_unlock(&r->lock);
    return p != NULL ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}

porch_err porch_registry_service_get(porch_registry *r, const char *name, porch_registry_service *ret) {
    pthread_rwlock_rdlock(&r->lock);
    const registry_principal *p = porch_registry_table_find(&r->services, name);
    if (p != NULL) show_service(p, ret);
    pthread_rwlock_unlock(&r->lock);
    return p != NULL ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}

porch_err porch_registry_household_get(porch_registry *r, const char *id, porch_registry_household *ret) {
    pthread_rwlock_rdlock(&r->lock);
    const porch_registry_household *h = porch_registry_table_find(&r->households, id);
    if (h != NULL) *ret = *h;
    pthread_rwlock_unlock(&r->lock);
    return h != NULL ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}

void porch_registry_count(porch_registry *r, porch_registry_counts *ret) {
    pthread_rwlock_rdlock(&r->lock);
    *ret = (porch_registry_counts){
        .devices = r->devices.count, .services = r->services.count, .households = r->households.count};
    for (size_t i = 0; i < r->devices.count; i++) {
        const registry_principal *p = r->devices.at[i];
        if (atomic_load(&p->online)) ret->devices_online++;
    }
    pthread_rwlock_unlock(&r->lock);
}
