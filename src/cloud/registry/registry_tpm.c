/* Makers of TPMs whose word about an endorsement key is believed. */
#include <stdio.h>

#include "cloud/registry/registry_room.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"

typedef struct {
    const char *name, *pem, *who;
    uint64_t now_ms;
    uint32_t most;
} tpm_ca_row;

static porch_err check_room(porch_db *db, uint32_t most, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select count(*) from tpm_ca", why);
    porch_err e = porch_db_step(q, why);
    uint64_t count = e == PORCH_OK ? (uint64_t)porch_db_i64(q, 0) : 0;
    porch_db_finish(q);
    PORCH_TRY(e);
    if (count < most) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_LIMIT, "there are %llu already, as many as est.tpm_cas allows",
                      (unsigned long long)count);
}

static porch_err log_change(porch_db *db, const tpm_ca_row *row, const char *what, porch_why *why) {
    char subject[96];
    (void)snprintf(subject, sizeof subject, "tpm-ca:%.64s", row->name);
    return porch_trust_append(db, what, row->who, subject, "{}", why);
}

static porch_err write_tpm_ca(porch_db *db, void *ctx, porch_why *why) {
    const tpm_ca_row *row = ctx;
    PORCH_TRY(check_room(db, row->most, why));
    porch_db_query *q =
        porch_db_prepare(db, "insert into tpm_ca (name, pem, added_ms) values (?1, ?2, ?3)", why);
    porch_db_bind_str(q, 1, row->name);
    porch_db_bind_str(q, 2, row->pem);
    porch_db_bind_i64(q, 3, (int64_t)row->now_ms);
    porch_err e = porch_db_execute(q, why);
    if (e == PORCH_ERR_EXISTS) return porch_fail(why, e, "there is a maker %s already", row->name);
    PORCH_TRY(e);
    return log_change(db, row, "tpm-ca.add", why);
}

porch_err porch_registry_tpm_ca_add(porch_registry *r, const char *name, const char *pem, const char *who,
                                    porch_why *why) {
    porch_x509_info info;
    PORCH_TRY(porch_registry_check_id("a maker's name", name, why));
    PORCH_TRY(porch_x509_read(porch_bytes_of(pem), &info, why));
    if (!info.is_ca)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the first certificate is no authority's: give the one that signs endorsement "
                          "certificates, then its issuers");
    PORCH_TRY(porch_x509_check_keys(porch_bytes_of(pem), why));
    tpm_ca_row row = {name, pem, who, porch_clock_ms(), r->settings.est_tpm_cas};
    return porch_store_write(r->store, write_tpm_ca, &row, why);
}

static porch_err erase_tpm_ca(porch_db *db, void *ctx, porch_why *why) {
    const tpm_ca_row *row = ctx;
    porch_db_query *q = porch_db_prepare(db, "delete from tpm_ca where name = ?1", why);
    porch_db_bind_str(q, 1, row->name);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no maker called %.64s", row->name);
    return log_change(db, row, "tpm-ca.remove", why);
}

porch_err porch_registry_tpm_ca_remove(porch_registry *r, const char *name, const char *who,
                                       porch_why *why) {
    tpm_ca_row row = {.name = name, .who = who};
    return porch_store_write(r->store, erase_tpm_ca, &row, why);
}

typedef struct {
    bool (*fn)(const porch_registry_tpm_ca *, void *);
    void *ctx;
} tpm_ca_visit;

static porch_err visit_tpm_cas(porch_db *db, void *ctx, porch_why *why) {
    const tpm_ca_visit *v = ctx;
    porch_db_query *q = porch_db_prepare(db, "select name, added_ms, pem from tpm_ca order by name", why);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_registry_tpm_ca ca = {.added_ms = (uint64_t)porch_db_i64(q, 1)};
        char pem[PORCH_X509_INPUT_BYTES + 1];
        porch_registry_copy_text(ca.name, sizeof ca.name, porch_db_text(q, 0));
        porch_registry_copy_text(pem, sizeof pem, porch_db_text(q, 2));
        ca.pem = pem;
        if (!v->fn(&ca, v->ctx)) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_registry_tpm_cas(porch_registry *r, bool (*fn)(const porch_registry_tpm_ca *, void *),
                                 void *ctx, porch_why *why) {
    tpm_ca_visit v = {fn, ctx};
    return porch_store_read(r->store, visit_tpm_cas, &v, why);
}
