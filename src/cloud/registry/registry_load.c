/* From the database into memory, at start. */
#include <stdlib.h>
#include <string.h>

#include "cloud/registry/registry_room.h"
#include "os/clock.h"

/* Certificates that ended longer ago are not remembered: they are refused as unknown instead of as over. */
#define REMEMBERED_MS (365ull * 24 * 3600 * 1000)

void porch_registry_copy_text(char *out, size_t cap, porch_bytes text) {
    size_t len = text.len < cap ? text.len : cap - 1;
    if (len > 0) memcpy(out, text.at, len);
    memset(out + len, 0, cap - len);
}

static porch_err add_or_free(registry_table *t, void *item, porch_why *why) {
    porch_err e = porch_registry_table_add(t, item);
    if (e == PORCH_OK) return PORCH_OK;
    free(item);
    return porch_fail(why, e, "no memory for the registry");
}

static porch_err load_household(porch_registry *r, porch_db_query *q, porch_why *why) {
    porch_registry_household *h = calloc(1, sizeof *h);
    if (h == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the registry");
    porch_registry_copy_text(h->id, sizeof h->id, porch_db_text(q, 0));
    porch_registry_copy_text(h->name, sizeof h->name, porch_db_text(q, 1));
    porch_registry_copy_text(h->timezone, sizeof h->timezone, porch_db_text(q, 2));
    h->added_ms = (uint64_t)porch_db_i64(q, 3);
    return add_or_free(&r->households, h, why);
}

static porch_err load_device(porch_registry *r, porch_db_query *q, porch_why *why) {
    registry_principal *p = calloc(1, sizeof *p);
    if (p == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the registry");
    p->kind = PORCH_PRINCIPAL_DEVICE;
    porch_registry_copy_text(p->name, sizeof p->name, porch_db_text(q, 0));
    porch_registry_copy_text(p->product, sizeof p->product, porch_db_text(q, 1));
    porch_registry_copy_text(p->household, sizeof p->household, porch_db_text(q, 2));
    p->added_ms = (uint64_t)porch_db_i64(q, 3);
    p->revoked_ms = (uint64_t)porch_db_i64(q, 4);
    atomic_init(&p->last_seen_ms, (uint64_t)porch_db_i64(q, 5));
    p->quarantined_ms = (uint64_t)porch_db_i64(q, 6);
    return add_or_free(&r->devices, p, why);
}

static porch_err load_service(porch_registry *r, porch_db_query *q, porch_why *why) {
    registry_principal *p = calloc(1, sizeof *p);
    if (p == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the registry");
    p->kind = PORCH_PRINCIPAL_SERVICE;
    porch_registry_copy_text(p->name, sizeof p->name, porch_db_text(q, 0));
    p->any_client_id = porch_db_i64(q, 1) != 0;
    p->added_ms = (uint64_t)porch_db_i64(q, 2);
    return add_or_free(&r->services, p, why);
}

static porch_err load_certificate(porch_registry *r, porch_db_query *q, porch_why *why) {
    registry_certificate *c = calloc(1, sizeof *c);
    if (c == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the registry");
    porch_bytes fingerprint = porch_db_blob(q, 0);
    if (fingerprint.len == sizeof c->fingerprint)
        memcpy(c->fingerprint, fingerprint.at, sizeof c->fingerprint);
    bool device = porch_bytes_eq_text(porch_db_text(q, 1), "device");
    c->kind = device ? PORCH_PRINCIPAL_DEVICE : PORCH_PRINCIPAL_SERVICE;
    porch_registry_copy_text(c->name, sizeof c->name, porch_db_text(q, 2));
    c->not_before_ms = (uint64_t)porch_db_i64(q, 3);
    c->not_after_ms = (uint64_t)porch_db_i64(q, 4);
    c->revoked_ms = (uint64_t)porch_db_i64(q, 5);
    c->used_ms = (uint64_t)porch_db_i64(q, 6);
    c->replaced_ms = (uint64_t)porch_db_i64(q, 7);
    porch_bytes issuer = porch_db_blob(q, 8);
    c->issuer =
        issuer.len == 32 ? porch_registry_issuer_place(r, issuer.at) : PORCH_REGISTRY_ISSUER_UNKNOWN;
    c->issued_ms = (uint64_t)porch_db_i64(q, 9);
    c->born = r->births++;
    registry_principal *p = porch_registry_table_find(porch_registry_principals(r, c->kind), c->name);
    const registry_certificate *newest =
        p != NULL ? porch_registry_table_find(&r->certificates, p->fingerprint) : NULL;
    if (p != NULL && c->replaced_ms == 0 && (newest == NULL || newest->issued_ms <= c->issued_ms)) {
        p->certificate_ends_ms = c->not_after_ms;
        memcpy(p->fingerprint, c->fingerprint, sizeof p->fingerprint);
    }
    return add_or_free(&r->certificates, c, why);
}

typedef porch_err (*load_row)(porch_registry *r, porch_db_query *q, porch_why *why);

static porch_err load_all(porch_registry *r, porch_db_query *q, load_row row, porch_why *why) {
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        e = row(r, q, why);
        if (e != PORCH_OK) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_registry_load(porch_db *db, void *ctx, porch_why *why) {
    porch_registry *r = ctx;
    PORCH_TRY(porch_registry_load_issuers(r, db, why));
    PORCH_TRY(load_all(r, porch_db_prepare(db, "select id, name, timezone, added_ms from household", why),
                       load_household, why));
    PORCH_TRY(load_all(
        r,
        porch_db_prepare(
            db,
            "select id, product, household, added_ms, revoked_ms, last_seen_ms, quarantined_ms from device"
            " order by id",
            why),
        load_device, why));
    PORCH_TRY(load_all(
        r, porch_db_prepare(db, "select name, any_client_id, added_ms from service order by name", why),
        load_service, why));
    porch_db_query *q =
        porch_db_prepare(db,
                         "select fingerprint, kind, name, not_before_ms, not_after_ms, revoked_ms, used_ms,"
                         " replaced_ms, issuer, issued_ms"
                         " from certificate where not_after_ms > ?1 order by fingerprint",
                         why);
    uint64_t now = porch_clock_ms();
    /* As long as an ended one may still be renewed it must be known. */
    uint64_t renewable = (uint64_t)r->settings.est_renew_only_days * 24 * 3600 * 1000;
    uint64_t remembered = renewable > REMEMBERED_MS ? renewable : REMEMBERED_MS;
    porch_db_bind_i64(q, 1, now > remembered ? (int64_t)(now - remembered) : 0);
    return load_all(r, q, load_certificate, why);
}
