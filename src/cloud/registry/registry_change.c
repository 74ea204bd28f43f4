/* Enrol, renew, revoke, remove: one change at a time.
 *
 *   check ─► signer issues ─► look again ─► one transaction {row, certificate, trust row} ─► memory ─►
 * observers  (only other enrolments wait for the signer: meanwhile devices are revoked as ever)
 *
 * Nothing is in memory before it is durable. A certificate that was issued but whose transaction failed is
 * not in the registry, so nobody can come in with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/registry/registry_room.h"
#include "cloud/signer/signer_client.h"
#include "cloud/trust/trust.h"
#include "crypto/sha256.h"
#include "crypto/x509.h"
#include "os/clock.h"
#include "wire/id.h"

enum { CSR_BYTES_MOST = 16384, DETAIL_BYTES = 512 };

porch_err porch_registry_check_id(const char *what, const char *text, porch_why *why) {
    porch_id id;
    if (text != NULL && porch_id_parse(porch_bytes_of(text), &id) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED,
                      "%s is made of lower-case letters, digits and '-', begins with a letter or digit and "
                      "is 1 to 64 long",
                      what);
}

/* ---- the certificate ---------------------------------------------------------------------------- */

static porch_err check_issued(const registry_enrolment *n, porch_why *why) {
    bool fits = n->info.identity.kind == n->kind && strcmp(n->info.identity.name, n->name) == 0 &&
                memcmp(n->key_hash, n->info.public_key_hash, sizeof n->key_hash) == 0;
    return fits
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_INTERNAL, "the signer issued something else than was asked for");
}

/* Which authority signed it stands behind it in the chain. */
static porch_err note_issuer(registry_enrolment *n, porch_bytes chain, porch_why *why) {
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf one = PORCH_BUF_OF(block);
    porch_x509_info info;
    PORCH_TRY(porch_x509_pick(chain, 1, &one, why));
    PORCH_TRY(porch_x509_read(porch_buf_bytes(&one), &info, why));
    memcpy(n->issuer, info.fingerprint, sizeof n->issuer);
    return PORCH_OK;
}

static porch_err read_request(registry_enrolment *n, porch_bytes csr, porch_why *why) {
    if (csr.len == 0 || csr.len > CSR_BYTES_MOST)
        return porch_fail(why, PORCH_ERR_MALFORMED, "a certificate request of 1 to %d bytes is needed",
                          CSR_BYTES_MOST);
    porch_public_key key;
    PORCH_TRY(porch_csr_read(csr, &key, why));
    porch_sha256((porch_bytes){key.der, key.len}, n->key_hash);
    return PORCH_OK;
}

/* Asks the signer; fills n->pem and n->info. */
static porch_err issue(registry_enrolment *n, porch_signer_client *signer, porch_bytes csr,
                       porch_why *why) {
    if (signer == NULL) return porch_fail(why, PORCH_ERR_STATE, "this hub runs without its signer");
    n->pem = calloc(1, PORCH_SIGNER_PEM_MAX + 1);
    if (n->pem == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for a certificate");
    porch_buf out = {(uint8_t *)n->pem, 0, PORCH_SIGNER_PEM_MAX};
    bool device = n->kind == PORCH_PRINCIPAL_DEVICE;
    PORCH_TRY(porch_signer_issue(signer, device ? PORCH_SIGNER_DEVICE : PORCH_SIGNER_SERVICE, &n->name, 1,
                                 csr, n->r->settings.hub_certificate_days, &out, why));
    PORCH_TRY(porch_x509_read(porch_buf_bytes(&out), &n->info, why));
    PORCH_TRY(note_issuer(n, porch_buf_bytes(&out), why));
    return check_issued(n, why);
}

/* ---- the transaction ---------------------------------------------------------------------------- */

/* A key belongs to one principal, and a revoked key to none. */
static porch_err check_key_is_free(porch_db *db, void *ctx, porch_why *why) {
    const registry_enrolment *n = ctx;
    porch_db_query *q =
        porch_db_prepare(db,
                         "select kind, name, revoked_ms is not null from certificate where key_hash = ?1"
                         " and (revoked_ms is not null or kind <> ?2 or name <> ?3) limit 1",
                         why);
    porch_db_bind_blob(q, 1, (porch_bytes){n->key_hash, sizeof n->key_hash});
    porch_db_bind_str(q, 2, porch_principal_kind_name(n->kind));
    porch_db_bind_str(q, 3, n->name);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        bool revoked = porch_db_i64(q, 2) != 0;
        porch_bytes kind = porch_db_text(q, 0), name = porch_db_text(q, 1);
        e = revoked
                ? porch_fail(why, PORCH_ERR_REVOKED, "this key was revoked (%.*s %.*s); make a new one",
                             PORCH_FMT(kind), PORCH_FMT(name))
                : porch_fail(why, PORCH_ERR_EXISTS, "this key already belongs to %.*s %.*s; make a new one",
                             PORCH_FMT(kind), PORCH_FMT(name));
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err insert_principal(porch_db *db, const registry_enrolment *n, porch_why *why) {
    porch_db_query *q;
    if (n->kind == PORCH_PRINCIPAL_DEVICE) {
        q = porch_db_prepare(db,
                             "insert into device (id, product, household, added_ms, factory, factory_key)"
                             " values (?1, ?2, ?3, ?4, ?5, ?6)",
                             why);
        porch_db_bind_str(q, 5, n->factory);
        if (n->factory != NULL) porch_db_bind_blob(q, 6, (porch_bytes){n->factory_key, 32});
        porch_db_bind_str(q, 2, n->product);
        porch_db_bind_str(q, 3, n->household);
        porch_db_bind_i64(q, 4, (int64_t)n->now_ms);
    } else {
        q = porch_db_prepare(db, "insert into service (name, any_client_id, added_ms) values (?1, ?2, ?3)",
                             why);
        porch_db_bind_i64(q, 2, n->any_client_id ? 1 : 0);
        porch_db_bind_i64(q, 3, (int64_t)n->now_ms);
    }
    porch_db_bind_str(q, 1, n->name);
    return porch_db_execute(q, why);
}

static porch_err insert_certificate(porch_db *db, const registry_enrolment *n, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into certificate (fingerprint, kind, name, serial, "
                                         "key_hash, not_before_ms, not_after_ms, issued_ms, hardware, "
                                         "issuer) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                                         why);
    porch_db_bind_blob(q, 1, (porch_bytes){n->info.fingerprint, 32});
    porch_db_bind_str(q, 2, porch_principal_kind_name(n->kind));
    porch_db_bind_str(q, 3, n->name);
    porch_db_bind_str(q, 4, n->info.serial);
    porch_db_bind_blob(q, 5, (porch_bytes){n->info.public_key_hash, 32});
    porch_db_bind_i64(q, 6, (int64_t)n->info.not_before_ms);
    porch_db_bind_i64(q, 7, (int64_t)n->info.not_after_ms);
    porch_db_bind_i64(q, 8, (int64_t)n->now_ms);
    porch_db_bind_i64(q, 9, n->hardware ? 1 : 0);
    porch_db_bind_blob(q, 10, (porch_bytes){n->issuer, sizeof n->issuer});
    return porch_db_execute(q, why);
}

static porch_err log_decision(porch_db *db, porch_principal_kind kind, const char *name, const char *verb,
                              const char *who, const char *detail, porch_why *why) {
    char what[48], subject[96];
    (void)snprintf(what, sizeof what, "%s.%s", porch_principal_kind_name(kind), verb);
    (void)snprintf(subject, sizeof subject, "%s:%s", porch_principal_kind_name(kind), name);
    return porch_trust_append(db, what, who, subject, detail, why);
}

/* Every value in it is an id or hex: nothing needs escaping. */
static porch_err log_enrolment(porch_db *db, const registry_enrolment *n, porch_why *why) {
    uint8_t hex[65] = {0};
    porch_buf fingerprint = {hex, 0, 64};
    (void)porch_hex_write(&fingerprint, (porch_bytes){n->info.fingerprint, 32});
    char detail[DETAIL_BYTES];
    if (n->kind == PORCH_PRINCIPAL_DEVICE) {
        (void)snprintf(detail, sizeof detail,
                       "{\"product\":\"%s\",\"household\":\"%s\",\"serial\":\"%s\",\"sha256\":\"%s\","
                       "\"ends_ms\":%llu,\"hardware\":%s}",
                       n->product, n->household, n->info.serial, (const char *)hex,
                       (unsigned long long)n->info.not_after_ms, n->hardware ? "true" : "false");
    } else {
        (void)snprintf(detail, sizeof detail,
                       "{\"any_client_id\":%s,\"serial\":\"%s\",\"sha256\":\"%s\",\"ends_ms\":%llu}",
                       n->any_client_id ? "true" : "false", n->info.serial, (const char *)hex,
                       (unsigned long long)n->info.not_after_ms);
    }
    return log_decision(db, n->kind, n->name, n->renew ? "renew" : "add", n->who, detail, why);
}

static porch_err drop_pending(porch_db *db, const registry_enrolment *n, porch_why *why) {
    for (size_t i = 0; i < n->pending_count; i++) {
        /* One whose first use came between our look and now is not pending any more. */
        porch_db_query *q = porch_db_prepare(
            db, "update certificate set replaced_ms = ?2 where fingerprint = ?1 and used_ms is null", why);
        porch_db_bind_blob(q, 1, (porch_bytes){n->pending[i], 32});
        porch_db_bind_i64(q, 2, (int64_t)n->now_ms);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

/* What is in use is known to be so from now on, whatever the next tick would have said: else the old one's
 * next use would look like its first after a crash, and end the new one. */
static porch_err note_use(porch_db *db, const registry_enrolment *n, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "update certificate set used_ms = ?2 where fingerprint = ?1 and used_ms is null", why);
    porch_db_bind_blob(q, 1, (porch_bytes){n->in_use, sizeof n->in_use});
    porch_db_bind_i64(q, 2, (int64_t)n->now_ms);
    return porch_db_execute(q, why);
}

static porch_err write_enrolment(porch_db *db, void *ctx, porch_why *why) {
    registry_enrolment *n = ctx;
    PORCH_TRY(check_key_is_free(db, n, why));
    if (!n->renew) PORCH_TRY(insert_principal(db, n, why));
    PORCH_TRY(drop_pending(db, n, why));
    if (n->renew && n->kind == PORCH_PRINCIPAL_DEVICE) PORCH_TRY(note_use(db, n, why));
    PORCH_TRY(insert_certificate(db, n, why));
    if (n->also != NULL) PORCH_TRY(n->also(db, n->also_ctx, why));
    return log_enrolment(db, n, why);
}

/* ---- memory ------------------------------------------------------------------------------------- */

static registry_principal *new_principal(const registry_enrolment *n) {
    registry_principal *p = calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    p->kind = n->kind;
    porch_registry_copy_text(p->name, sizeof p->name, porch_bytes_of(n->name));
    porch_registry_copy_text(p->product, sizeof p->product, porch_bytes_of(n->product));
    porch_registry_copy_text(p->household, sizeof p->household, porch_bytes_of(n->household));
    p->any_client_id = n->any_client_id;
    p->added_ms = n->now_ms;
    return p;
}

static registry_certificate *new_certificate(const registry_enrolment *n) {
    registry_certificate *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    memcpy(c->fingerprint, n->info.fingerprint, sizeof c->fingerprint);
    c->kind = n->kind;
    porch_registry_copy_text(c->name, sizeof c->name, porch_bytes_of(n->name));
    c->not_before_ms = n->info.not_before_ms;
    c->not_after_ms = n->info.not_after_ms;
    c->issued_ms = n->now_ms;
    c->issuer = porch_registry_issuer_place(n->r, n->issuer);
    return c;
}

/* The change is durable already: lacking memory here means that the door opens only after a restart. */
static porch_err remember_enrolment(const registry_enrolment *n, porch_why *why) {
    porch_registry *r = n->r;
    registry_table *table = porch_registry_principals(r, n->kind);
    registry_certificate *c = new_certificate(n);
    registry_principal *fresh = n->renew ? NULL : new_principal(n);
    porch_err e = c == NULL || (!n->renew && fresh == NULL) ? PORCH_ERR_INTERNAL : PORCH_OK;
    pthread_rwlock_wrlock(&r->lock);
    if (e == PORCH_OK && fresh != NULL) {
        e = porch_registry_table_add(table, fresh);
        if (e == PORCH_OK) fresh = NULL;
    }
    if (e == PORCH_OK) {
        c->born = r->births++;
        e = porch_registry_table_add(&r->certificates, c);
        if (e == PORCH_OK) c = NULL;
    }
    registry_principal *p = porch_registry_table_find(table, n->name);
    for (size_t i = 0; i < n->pending_count; i++) {
        registry_certificate *old = porch_registry_table_find(&r->certificates, n->pending[i]);
        if (old != NULL && old->used_ms == 0) old->replaced_ms = n->now_ms;
    }
    if (e == PORCH_OK && p != NULL) {
        p->certificate_ends_ms = n->info.not_after_ms;
        memcpy(p->fingerprint, n->info.fingerprint, sizeof p->fingerprint);
    }
    pthread_rwlock_unlock(&r->lock);
    free(c);
    free(fresh);
    return e == PORCH_OK ? e
                         : porch_fail(why, e, "no memory for the registry; it is stored, restart the hub");
}

/* ---- enrolment ---------------------------------------------------------------------------------- */

/* Of who renews: what a device uses, and what it was given and never used. The new one is younger than all
 * of them, whatever the clock says. A service's wait for their first use: its clients may have either. */
static void find_others(registry_enrolment *n) {
    const registry_table *t = &n->r->certificates;
    const bool device = n->kind == PORCH_PRINCIPAL_DEVICE;
    pthread_rwlock_rdlock(&n->r->lock);
    const registry_principal *p =
        porch_registry_table_find(porch_registry_principals(n->r, n->kind), n->name);
    if (p != NULL) memcpy(n->in_use, p->in_use, sizeof n->in_use);
    for (size_t i = 0; i < t->count; i++) {
        const registry_certificate *c = t->at[i];
        if (c->kind != n->kind || strcmp(c->name, n->name) != 0) continue;
        if (c->issued_ms >= n->now_ms) n->now_ms = c->issued_ms + 1;
        if (device && c->used_ms == 0 && c->revoked_ms == 0 && c->replaced_ms == 0 &&
            n->pending_count < PORCH_REGISTRY_PENDING_MOST)
            memcpy(n->pending[n->pending_count++], c->fingerprint, 32);
    }
    pthread_rwlock_unlock(&n->r->lock);
}

/* What is known of the principal before the signer is asked, and after. Memory is the truth here: `change`
 * is held. */
static porch_err check_place(registry_enrolment *n, uint32_t most, const char *limit, porch_why *why) {
    const char *word = porch_principal_kind_name(n->kind);
    const registry_table *table = porch_registry_principals(n->r, n->kind);
    const registry_principal *p = porch_registry_table_find(table, n->name);
    if (!n->renew && p != NULL)
        return porch_fail(why, PORCH_ERR_EXISTS,
                          "there is a %s %s already; renew its certificate or remove it first", word,
                          n->name);
    if (!n->renew && table->count >= most)
        return porch_fail(why, PORCH_ERR_LIMIT, "there are %zu already, as many as %s allows", table->count,
                          limit);
    if (n->renew && p == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no %s %s to renew; add it", word, n->name);
    if (n->renew && p->revoked_ms != 0)
        return porch_fail(why, PORCH_ERR_REVOKED, "%s %s is revoked; remove it and add it again", word,
                          n->name);
    if (n->renew) {
        memcpy(n->product_text, p->product, sizeof n->product_text);
        memcpy(n->household_text, p->household, sizeof n->household_text);
        n->product = n->product_text;
        n->household = n->household_text;
        n->any_client_id = p->any_client_id;
    }
    return PORCH_OK;
}

porch_err porch_registry_place(registry_enrolment *n, porch_why *why) {
    const porch_settings *set = &n->r->settings;
    if (n->kind != PORCH_PRINCIPAL_DEVICE)
        return check_place(n, set->registry_services, "registry.services", why);
    PORCH_TRY(check_place(n, set->registry_devices, "registry.devices", why));
    if (porch_registry_table_find(&n->r->households, n->household) != NULL) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no household %s; add it first", n->household);
}

void porch_registry_enrol_begin(porch_registry *r) {
    pthread_mutex_lock(&r->asking);
    pthread_mutex_lock(&r->change);
}

void porch_registry_enrol_end(porch_registry *r) {
    pthread_mutex_unlock(&r->change);
    pthread_mutex_unlock(&r->asking);
}

/* Does all that was looked at before the signer was asked still hold? */
static porch_err look_again(registry_enrolment *n, porch_why *why) {
    porch_registry_entry entry;
    PORCH_TRY(porch_registry_place(n, why));
    if (n->shown != NULL)
        PORCH_TRY(porch_registry_may_renew(n->r, n->name, n->shown, porch_clock_ms(), &entry, why));
    const uint8_t issuer = porch_registry_issuer_place(n->r, n->issuer);
    if (issuer == PORCH_REGISTRY_ISSUER_UNKNOWN || n->r->issuers[issuer].retired_ms == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_BUSY, "the authority that signed it was retired meanwhile; ask again");
}

porch_err porch_registry_complete(registry_enrolment *n, porch_signer_client *signer, porch_bytes csr,
                                  porch_registry_issued *ret, porch_why *why) {
    porch_err e = read_request(n, csr, why);
    /* Now, since what the signer issues in a minute is not to be spent on requests that come to nothing. */
    if (e == PORCH_OK) e = porch_store_read(n->r->store, check_key_is_free, n, why);
    pthread_mutex_unlock(&n->r->change);
    if (e == PORCH_OK) e = issue(n, signer, csr, why);
    pthread_mutex_lock(&n->r->change);
    if (e == PORCH_OK) e = look_again(n, why);
    n->now_ms = porch_clock_ms();
    if (n->renew) find_others(n);
    if (e == PORCH_OK) e = porch_store_write(n->r->store, write_enrolment, n, why);
    if (e == PORCH_OK) e = remember_enrolment(n, why);
    if (e != PORCH_OK) {
        free(n->pem);
        return e;
    }
    *ret = (porch_registry_issued){
        .cert_pem = n->pem, .starts_ms = n->info.not_before_ms, .ends_ms = n->info.not_after_ms};
    memcpy(ret->serial, n->info.serial, sizeof ret->serial);
    memcpy(ret->fingerprint, n->info.fingerprint, sizeof ret->fingerprint);
    return PORCH_OK;
}

void porch_registry_issued_free(porch_registry_issued *i) {
    free((void *)i->cert_pem);
    *i = (porch_registry_issued){0};
}

static porch_bytes csr_of(const char *pem) {
    return (porch_bytes){(const uint8_t *)pem, pem == NULL ? 0 : strnlen(pem, CSR_BYTES_MOST + 1)};
}

porch_err porch_registry_device_add(porch_registry *r, porch_signer_client *signer,
                                    const porch_registry_device_spec *spec, porch_registry_issued *ret,
                                    porch_why *why) {
    registry_enrolment n = {.r = r,
                            .kind = PORCH_PRINCIPAL_DEVICE,
                            .name = spec->id,
                            .product = spec->product,
                            .household = spec->household != NULL ? spec->household : "home",
                            .who = spec->who,
                            .renew = spec->renew,
                            .hardware = spec->hardware_proved};
    PORCH_TRY(porch_registry_check_id("a device's id", n.name, why));
    if (!n.renew) {
        PORCH_TRY(porch_registry_check_id("a product's name", n.product, why));
        PORCH_TRY(porch_registry_check_id("a household's id", n.household, why));
    }
    porch_registry_enrol_begin(r);
    porch_err e = porch_registry_place(&n, why);
    /* No connection, no binding: what an operator hands over is bound by his hands. */
    if (e == PORCH_OK) e = porch_registry_meets(&n, true, csr_of(spec->csr_pem), why);
    if (e == PORCH_OK) e = porch_registry_complete(&n, signer, csr_of(spec->csr_pem), ret, why);
    porch_registry_enrol_end(r);
    if (e == PORCH_OK)
        porch_registry_tell(r, n.kind, spec->id,
                            spec->renew ? PORCH_REGISTRY_RENEWED : PORCH_REGISTRY_ADDED);
    return e;
}

porch_err porch_registry_service_add(porch_registry *r, porch_signer_client *signer,
                                     const porch_registry_service_spec *spec, porch_registry_issued *ret,
                                     porch_why *why) {
    registry_enrolment n = {.r = r,
                            .kind = PORCH_PRINCIPAL_SERVICE,
                            .name = spec->name,
                            .product = "",
                            .household = "",
                            .who = spec->who,
                            .any_client_id = spec->any_client_id,
                            .renew = spec->renew,
                            .also = spec->also,
                            .also_ctx = spec->also_ctx};
    PORCH_TRY(porch_registry_check_id("a service's name", n.name, why));
    porch_registry_enrol_begin(r);
    porch_err e = porch_registry_place(&n, why);
    if (e == PORCH_OK) e = porch_registry_complete(&n, signer, csr_of(spec->csr_pem), ret, why);
    porch_registry_enrol_end(r);
    if (e == PORCH_OK)
        porch_registry_tell(r, n.kind, spec->name,
                            spec->renew ? PORCH_REGISTRY_RENEWED : PORCH_REGISTRY_ADDED);
    return e;
}

/* ---- revoke and remove -------------------------------------------------------------------------- */

typedef struct {
    const porch_registry *r;
    porch_principal_kind kind;
    const char *name, *who;
    bool remove; /* else revoke */
    uint64_t now_ms;
    porch_store_fn also;
    void *also_ctx;
} withdrawal;

static porch_err change_row(porch_db *db, const withdrawal *w, porch_why *why) {
    const char *sql = "update device set revoked_ms = ?2 where id = ?1";
    if (w->remove)
        sql = w->kind == PORCH_PRINCIPAL_DEVICE ? "delete from device where id = ?1"
                                                : "delete from service where name = ?1";
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_db_bind_str(q, 1, w->name);
    if (!w->remove) porch_db_bind_i64(q, 2, (int64_t)w->now_ms);
    return porch_db_execute(q, why);
}

static porch_err write_withdrawal(porch_db *db, void *ctx, porch_why *why) {
    const withdrawal *w = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "update certificate set revoked_ms = ?3 where kind = ?1 and name = ?2 and revoked_ms is null",
        why);
    porch_db_bind_str(q, 1, porch_principal_kind_name(w->kind));
    porch_db_bind_str(q, 2, w->name);
    porch_db_bind_i64(q, 3, (int64_t)w->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    PORCH_TRY(change_row(db, w, why));
    if (w->remove && w->kind == PORCH_PRINCIPAL_DEVICE && w->r->in_remove != NULL)
        PORCH_TRY(w->r->in_remove(db, w->name, w->r->in_remove_ctx, why));
    if (w->also != NULL) PORCH_TRY(w->also(db, w->also_ctx, why));
    return log_decision(db, w->kind, w->name, w->remove ? "remove" : "revoke", w->who, "{}", why);
}

static void remember_withdrawal(porch_registry *r, const withdrawal *w) {
    pthread_rwlock_wrlock(&r->lock);
    for (size_t i = 0; i < r->certificates.count; i++) {
        registry_certificate *c = r->certificates.at[i];
        if (c->kind == w->kind && c->revoked_ms == 0 && strcmp(c->name, w->name) == 0)
            c->revoked_ms = w->now_ms;
    }
    registry_table *table = porch_registry_principals(r, w->kind);
    registry_principal *p = porch_registry_table_find(table, w->name);
    if (p != NULL) p->revoked_ms = w->now_ms;
    if (w->remove) porch_registry_table_remove(table, w->name);
    pthread_rwlock_unlock(&r->lock);
}

static porch_err withdraw(porch_registry *r, withdrawal *w, porch_why *why) {
    pthread_mutex_lock(&r->change);
    porch_err e = PORCH_OK;
    const registry_principal *p = porch_registry_table_find(porch_registry_principals(r, w->kind), w->name);
    w->r = r;
    w->now_ms = porch_clock_ms();
    if (p == NULL) {
        e = porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no %s called %.64s",
                       porch_principal_kind_name(w->kind), w->name);
    } else if (!w->remove && p->revoked_ms != 0) {
        e = porch_fail(why, PORCH_ERR_STATE, "%s is revoked already", w->name);
    }
    if (e == PORCH_OK) e = porch_store_write(r->store, write_withdrawal, w, why);
    if (e == PORCH_OK) remember_withdrawal(r, w);
    pthread_mutex_unlock(&r->change);
    if (e == PORCH_OK)
        porch_registry_tell(r, w->kind, w->name,
                            w->remove ? PORCH_REGISTRY_REMOVED : PORCH_REGISTRY_REVOKED);
    return e;
}

porch_err porch_registry_device_revoke(porch_registry *r, const char *id, const char *who, porch_why *why) {
    withdrawal w = {.kind = PORCH_PRINCIPAL_DEVICE, .name = id, .who = who};
    return withdraw(r, &w, why);
}

porch_err porch_registry_device_remove(porch_registry *r, const char *id, const char *who, porch_why *why) {
    withdrawal w = {.kind = PORCH_PRINCIPAL_DEVICE, .name = id, .who = who, .remove = true};
    return withdraw(r, &w, why);
}

porch_err porch_registry_service_remove(porch_registry *r, const char *name, const char *who,
                                        porch_store_fn also, void *also_ctx, porch_why *why) {
    withdrawal w = {.kind = PORCH_PRINCIPAL_SERVICE,
                    .name = name,
                    .who = who,
                    .remove = true,
                    .also = also,
                    .also_ctx = also_ctx};
    return withdraw(r, &w, why);
}

/* ---- quarantine --------------------------------------------------------------------------------- */

static porch_err write_quarantine(porch_db *db, void *ctx, porch_why *why) {
    const withdrawal *w = ctx;
    porch_db_query *q = porch_db_prepare(db, "update device set quarantined_ms = ?2 where id = ?1", why);
    porch_db_bind_str(q, 1, w->name);
    if (w->now_ms != 0) porch_db_bind_i64(q, 2, (int64_t)w->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    return log_decision(db, w->kind, w->name, w->now_ms != 0 ? "quarantine" : "readmit", w->who, "{}", why);
}

/* now_ms 0: it ends. */
static porch_err quarantine(porch_registry *r, withdrawal *w, porch_why *why) {
    porch_err e = PORCH_OK;
    bool begins = w->now_ms != 0;
    pthread_mutex_lock(&r->change);
    registry_principal *p = porch_registry_table_find(&r->devices, w->name);
    if (p == NULL)
        e = porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no device called %.64s", w->name);
    else if (p->revoked_ms != 0)
        e = porch_fail(why, PORCH_ERR_REVOKED, "%s is revoked: it does not come in at all", w->name);
    else if ((p->quarantined_ms != 0) == begins)
        e = porch_fail(why, PORCH_ERR_STATE, "%s is %s", w->name,
                       begins ? "under quarantine already" : "not under quarantine");
    if (e == PORCH_OK) e = porch_store_write(r->store, write_quarantine, w, why);
    if (e == PORCH_OK) {
        pthread_rwlock_wrlock(&r->lock);
        p->quarantined_ms = w->now_ms;
        pthread_rwlock_unlock(&r->lock);
    }
    pthread_mutex_unlock(&r->change);
    if (e == PORCH_OK)
        porch_registry_tell(r, w->kind, w->name,
                            begins ? PORCH_REGISTRY_QUARANTINED : PORCH_REGISTRY_READMITTED);
    return e;
}

porch_err porch_registry_device_quarantine(porch_registry *r, const char *id, const char *who,
                                           porch_why *why) {
    withdrawal w = {.kind = PORCH_PRINCIPAL_DEVICE, .name = id, .who = who, .now_ms = porch_clock_ms()};
    return quarantine(r, &w, why);
}

porch_err porch_registry_device_readmit(porch_registry *r, const char *id, const char *who,
                                        porch_why *why) {
    withdrawal w = {.kind = PORCH_PRINCIPAL_DEVICE, .name = id, .who = who};
    return quarantine(r, &w, why);
}
