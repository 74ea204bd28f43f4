/* Devices that ask for their certificates themselves: by a claim token, by what their factory gave them, or
 * by the certificate that they have.
 *
 *   proof ─► who it is, from the registry ─► what its product asks for ─► issue ─► one transaction with the
 *                                                                          token's end
 *
 * A device whose answer was lost asks again with the same proof and the same key; what it was given before
 * and never used is dead then. So each ends with exactly one certificate that it can use. */
#include <stdio.h>
#include <string.h>

#include "cloud/registry/registry_room.h"
#include "cloud/trust/trust.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "os/clock.h"

#define DAY_MS UINT64_C(86400000)

enum { TOKEN_RANDOM_BYTES = 20 };

/* ---- claim tokens ------------------------------------------------------------------------------- */

/* What a token's row says. */
typedef struct {
    uint8_t hash[32];
    bool found, spent, same_key;
    uint8_t key_hash[32]; /* of the key that asks now */
    char device[PORCH_REGISTRY_NAME_BYTES], product[PORCH_REGISTRY_NAME_BYTES],
        household[PORCH_REGISTRY_NAME_BYTES], made_by[96];
    uint64_t ends_ms;
} claim_row;

static void hash_token(const char *token, uint8_t out[32]) {
    porch_sha256(porch_bytes_of(token), out);
}

/* 32 characters of 5 bits, none that reads like another: a person may have to type it. */
static void token_text(char out[PORCH_REGISTRY_CLAIM_BYTES]) {
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz023456789";
    uint8_t raw[PORCH_REGISTRY_CLAIM_BYTES - 1];
    porch_random(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++)
        out[i] = letters[raw[i] & 31];
    out[sizeof raw] = '\0';
    porch_wipe(raw, sizeof raw);
}

typedef struct {
    const porch_registry_claim_spec *spec;
    const char *device;
    const uint8_t *hash;
    uint64_t now_ms, ends_ms;
    uint32_t most, most_of_people;
} claim_writing;

static porch_err count_most(porch_db_query *q, uint64_t most, const char *limit, porch_why *why) {
    porch_err e = porch_db_step(q, why);
    uint64_t count = e == PORCH_OK ? (uint64_t)porch_db_i64(q, 0) : 0;
    porch_db_finish(q);
    PORCH_TRY(e);
    if (count < most) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_LIMIT, "there are %llu already, as many as %s allows",
                      (unsigned long long)count, limit);
}

static porch_err count_rows(porch_db *db, const char *sql, uint64_t most, const char *limit,
                            porch_why *why) {
    return count_most(porch_db_prepare(db, sql, why), most, limit, why);
}

/* What one household's people may have waiting, so that they use up nobody else's. */
static porch_err claims_of_people(porch_db *db, const claim_writing *w, porch_why *why) {
    if (strncmp(w->spec->who, "user:", 5) != 0) return PORCH_OK;
    porch_db_query *q = porch_db_prepare(
        db, "select count(*) from claim_token where household = ?1 and made_by like 'user:%'", why);
    porch_db_bind_str(q, 1, w->spec->household);
    return count_most(q, w->most_of_people, "est.claim_tokens_household", why);
}

static porch_err write_claim(porch_db *db, void *ctx, porch_why *why) {
    const claim_writing *w = ctx;
    char subject[96], detail[256];
    porch_db_query *q = porch_db_prepare(db, "delete from claim_token where ends_ms <= ?1", why);
    porch_db_bind_i64(q, 1, (int64_t)w->now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    PORCH_TRY(claims_of_people(db, w, why));
    PORCH_TRY(count_rows(db, "select count(*) from claim_token", w->most, "est.claim_tokens", why));
    q = porch_db_prepare(
        db,
        "insert into claim_token (hash, device, product, household, made_by, made_ms, ends_ms)"
        " values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){w->hash, 32});
    porch_db_bind_str(q, 2, w->device);
    porch_db_bind_str(q, 3, w->spec->product);
    porch_db_bind_str(q, 4, w->spec->household);
    porch_db_bind_str(q, 5, w->spec->who);
    porch_db_bind_i64(q, 6, (int64_t)w->now_ms);
    porch_db_bind_i64(q, 7, (int64_t)w->ends_ms);
    PORCH_TRY(porch_db_execute(q, why));
    (void)snprintf(subject, sizeof subject, "device:%s", w->device);
    (void)snprintf(detail, sizeof detail, "{\"product\":\"%s\",\"household\":\"%s\",\"ends_ms\":%llu}",
                   w->spec->product, w->spec->household, (unsigned long long)w->ends_ms);
    return porch_trust_append(db, "device.claim-token", w->spec->who, subject, detail, why);
}

porch_err porch_registry_claim_make(porch_registry *r, const porch_registry_claim_spec *spec,
                                    char token[PORCH_REGISTRY_CLAIM_BYTES],
                                    char device[PORCH_REGISTRY_NAME_BYTES], uint64_t *ends_ms,
                                    porch_why *why) {
    uint8_t hash[32];
    char id[PORCH_REGISTRY_NAME_BYTES], made[PORCH_REGISTRY_CLAIM_BYTES];
    porch_registry_household home;
    PORCH_TRY(porch_registry_check_id("a product's name", spec->product, why));
    if (porch_registry_household_get(r, spec->household, &home) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no household %.64s; add it first",
                          spec->household);
    token_text(made);
    if (spec->device == NULL)
        (void)snprintf(id, sizeof id, "%.40s-%.12s", spec->product,
                       made + 20); /* not the token's secret: */
    else
        (void)snprintf(id, sizeof id, "%.64s", spec->device);
    if (spec->device == NULL) token_text(made); /* another one */
    PORCH_TRY(porch_registry_check_id("a device's id", spec->device == NULL ? id : spec->device, why));
    hash_token(made, hash);
    uint64_t now_ms = porch_clock_ms();
    uint32_t life_s = spec->life_s != 0 ? spec->life_s : r->settings.est_claim_token_s;
    claim_writing w = {.spec = spec,
                       .device = id,
                       .hash = hash,
                       .now_ms = now_ms,
                       .ends_ms = now_ms + (uint64_t)life_s * 1000,
                       .most = r->settings.est_claim_tokens,
                       .most_of_people = r->settings.est_claim_tokens_household};
    porch_err e = porch_store_write(r->store, write_claim, &w, why);
    if (e == PORCH_OK) {
        memcpy(token, made, sizeof made);
        memcpy(device, id, sizeof id);
        *ends_ms = w.ends_ms;
    }
    porch_wipe(made, sizeof made);
    return e;
}

static porch_err read_claim(porch_db *db, void *ctx, porch_why *why) {
    claim_row *row = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select device, product, household, ends_ms, key_hash, made_by from claim_token where hash = ?1",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){row->hash, 32});
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        porch_bytes key = porch_db_blob(q, 4);
        row->found = true;
        porch_registry_copy_text(row->device, sizeof row->device, porch_db_text(q, 0));
        porch_registry_copy_text(row->product, sizeof row->product, porch_db_text(q, 1));
        porch_registry_copy_text(row->household, sizeof row->household, porch_db_text(q, 2));
        porch_registry_copy_text(row->made_by, sizeof row->made_by, porch_db_text(q, 5));
        row->ends_ms = (uint64_t)porch_db_i64(q, 3);
        row->spent = key.len == 32;
        row->same_key = row->spent && memcmp(key.at, row->key_hash, 32) == 0;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* In the enrolment's own transaction. */
static porch_err spend_claim(porch_db *db, void *ctx, porch_why *why) {
    const claim_row *row = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "update claim_token set key_hash = ?2 where hash = ?1 and (key_hash is null or key_hash = ?2)",
        why);
    porch_db_bind_blob(q, 1, (porch_bytes){row->hash, 32});
    porch_db_bind_blob(q, 2, (porch_bytes){row->key_hash, 32});
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 1) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_AUTH, "the claim token was spent");
}

/* ---- factories ---------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *issuer;
    bool found;
    char name[PORCH_REGISTRY_NAME_BYTES], product[PORCH_REGISTRY_NAME_BYTES],
        household[PORCH_REGISTRY_NAME_BYTES];
    /* of the device with that id, when there is one */
    const char *device;
    bool has_device, same_key;
    const uint8_t *key;
} factory_row;

static porch_err read_factory(porch_db *db, void *ctx, porch_why *why) {
    factory_row *row = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "select name, product, household from factory_ca where fingerprint = ?1", why);
    porch_db_bind_blob(q, 1, (porch_bytes){row->issuer, 32});
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        row->found = true;
        porch_registry_copy_text(row->name, sizeof row->name, porch_db_text(q, 0));
        porch_registry_copy_text(row->product, sizeof row->product, porch_db_text(q, 1));
        porch_registry_copy_text(row->household, sizeof row->household, porch_db_text(q, 2));
    }
    porch_db_finish(q);
    if (e != PORCH_OK) return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
    q = porch_db_prepare(db, "select factory, factory_key from device where id = ?1", why);
    porch_db_bind_str(q, 1, row->device);
    e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        porch_bytes key = porch_db_blob(q, 1);
        row->has_device = true;
        row->same_key = porch_bytes_eq_text(porch_db_text(q, 0), row->name) && key.len == 32 &&
                        memcmp(key.at, row->key, 32) == 0;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

typedef struct {
    const char *name, *pem, *product, *household, *who;
    uint8_t fingerprint[32];
    uint64_t now_ms;
    uint32_t most;
} factory_writing;

static porch_err write_factory(porch_db *db, void *ctx, porch_why *why) {
    const factory_writing *w = ctx;
    char subject[96], detail[256];
    PORCH_TRY(count_rows(db, "select count(*) from factory_ca", w->most, "est.factory_cas", why));
    porch_db_query *q =
        porch_db_prepare(db,
                         "insert into factory_ca (name, pem, fingerprint, product, household, added_ms)"
                         " values (?1, ?2, ?3, ?4, ?5, ?6)",
                         why);
    porch_db_bind_str(q, 1, w->name);
    porch_db_bind_str(q, 2, w->pem);
    porch_db_bind_blob(q, 3, (porch_bytes){w->fingerprint, 32});
    porch_db_bind_str(q, 4, w->product);
    porch_db_bind_str(q, 5, w->household);
    porch_db_bind_i64(q, 6, (int64_t)w->now_ms);
    porch_err e = porch_db_execute(q, why);
    if (e == PORCH_ERR_EXISTS)
        return porch_fail(why, e, "there is an authority %s already, or this one has another name",
                          w->name);
    PORCH_TRY(e);
    (void)snprintf(subject, sizeof subject, "factory-ca:%s", w->name);
    (void)snprintf(detail, sizeof detail, "{\"product\":\"%s\",\"household\":\"%s\"}", w->product,
                   w->household);
    return porch_trust_append(db, "factory-ca.add", w->who, subject, detail, why);
}

porch_err porch_registry_factory_add(porch_registry *r, const char *name, const char *pem,
                                     const char *product, const char *household, const char *who,
                                     porch_why *why) {
    porch_x509_info info;
    porch_registry_household home;
    PORCH_TRY(porch_registry_check_id("an authority's name", name, why));
    PORCH_TRY(porch_registry_check_id("a product's name", product, why));
    if (porch_registry_household_get(r, household, &home) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no household %.64s; add it first", household);
    porch_bytes text = porch_bytes_of(pem);
    PORCH_TRY(porch_x509_read(text, &info, why));
    if (!info.is_ca)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the first certificate is no authority's: give the one that signs devices, then "
                          "its issuers up to the root");
    PORCH_TRY(porch_x509_check_keys(text, why));
    factory_writing w = {name, pem, product,          household,
                         who,  {0}, porch_clock_ms(), r->settings.est_factory_cas};
    memcpy(w.fingerprint, info.fingerprint, sizeof w.fingerprint);
    PORCH_TRY(porch_store_write(r->store, write_factory, &w, why));
    porch_registry_tell(r, PORCH_PRINCIPAL_NONE, name, PORCH_REGISTRY_FACTORIES);
    return PORCH_OK;
}

static porch_err erase_factory(porch_db *db, void *ctx, porch_why *why) {
    const factory_writing *w = ctx;
    char subject[96];
    porch_db_query *q = porch_db_prepare(db, "delete from factory_ca where name = ?1", why);
    porch_db_bind_str(q, 1, w->name);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no authority called %.64s", w->name);
    (void)snprintf(subject, sizeof subject, "factory-ca:%.64s", w->name);
    return porch_trust_append(db, "factory-ca.remove", w->who, subject, "{}", why);
}

porch_err porch_registry_factory_remove(porch_registry *r, const char *name, const char *who,
                                        porch_why *why) {
    factory_writing w = {.name = name, .who = who};
    PORCH_TRY(porch_store_write(r->store, erase_factory, &w, why));
    porch_registry_tell(r, PORCH_PRINCIPAL_NONE, name, PORCH_REGISTRY_FACTORIES);
    return PORCH_OK;
}

typedef struct {
    bool (*fn)(const porch_registry_factory *, void *);
    void *ctx;
} factory_visit;

static porch_err visit_factories(porch_db *db, void *ctx, porch_why *why) {
    const factory_visit *v = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "select name, product, household, fingerprint, added_ms, pem from factory_ca order by name",
        why);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_registry_factory f = {.added_ms = (uint64_t)porch_db_i64(q, 4)};
        char pem[PORCH_X509_INPUT_BYTES + 1];
        porch_registry_copy_text(f.name, sizeof f.name, porch_db_text(q, 0));
        porch_registry_copy_text(f.product, sizeof f.product, porch_db_text(q, 1));
        porch_registry_copy_text(f.household, sizeof f.household, porch_db_text(q, 2));
        porch_registry_copy_text(pem, sizeof pem, porch_db_text(q, 5));
        porch_bytes print = porch_db_blob(q, 3);
        if (print.len == 32) memcpy(f.fingerprint, print.at, 32);
        f.pem = pem;
        if (!v->fn(&f, v->ctx)) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_registry_factories(porch_registry *r, bool (*fn)(const porch_registry_factory *, void *),
                                   void *ctx, porch_why *why) {
    factory_visit v = {fn, ctx};
    return porch_store_read(r->store, visit_factories, &v, why);
}

/* ---- what a product asks for -------------------------------------------------------------------- */

typedef struct {
    const char *product, *who;
    porch_registry_product flags;
} product_row;

static porch_err write_product(porch_db *db, void *ctx, porch_why *why) {
    const product_row *row = ctx;
    char subject[96], detail[96];
    porch_db_query *q =
        porch_db_prepare(db,
                         "insert into product (name, channel_binding, hardware_keys) values "
                         "(?1, ?2, ?3) on conflict (name) do update set channel_binding = ?2, "
                         "hardware_keys = ?3",
                         why);
    porch_db_bind_str(q, 1, row->product);
    porch_db_bind_i64(q, 2, row->flags.channel_binding ? 1 : 0);
    porch_db_bind_i64(q, 3, row->flags.hardware_keys ? 1 : 0);
    PORCH_TRY(porch_db_execute(q, why));
    (void)snprintf(subject, sizeof subject, "product:%s", row->product);
    (void)snprintf(detail, sizeof detail, "{\"channel_binding\":%s,\"hardware_keys\":%s}",
                   row->flags.channel_binding ? "true" : "false",
                   row->flags.hardware_keys ? "true" : "false");
    return porch_trust_append(db, "product.set", row->who, subject, detail, why);
}

porch_err porch_registry_product_set(porch_registry *r, const char *product,
                                     const porch_registry_product *flags, const char *who, porch_why *why) {
    product_row row = {product, who, *flags};
    PORCH_TRY(porch_registry_check_id("a product's name", product, why));
    return porch_store_write(r->store, write_product, &row, why);
}

static porch_err read_product(porch_db *db, void *ctx, porch_why *why) {
    product_row *row = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "select channel_binding, hardware_keys from product where name = ?1", why);
    porch_db_bind_str(q, 1, row->product);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK)
        row->flags = (porch_registry_product){porch_db_i64(q, 0) != 0, porch_db_i64(q, 1) != 0};
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_registry_product_get(porch_registry *r, const char *product, porch_registry_product *ret,
                                     porch_why *why) {
    product_row row = {.product = product};
    PORCH_TRY(porch_store_read(r->store, read_product, &row, why));
    *ret = row.flags;
    return PORCH_OK;
}

/* Is there a certificate of this device for this key, in force, that came with a TPM's proof? */
typedef struct {
    const char *device;
    uint8_t key_hash[32];
    bool found;
} proved_row;

static porch_err read_proved(porch_db *db, void *ctx, porch_why *why) {
    proved_row *row = ctx;
    porch_db_query *q =
        porch_db_prepare(db,
                         "select 1 from certificate where kind = 'device' and name = ?1 and "
                         "key_hash = ?2 and hardware = 1 and revoked_ms is null limit 1",
                         why);
    porch_db_bind_str(q, 1, row->device);
    porch_db_bind_blob(q, 2, (porch_bytes){row->key_hash, 32});
    porch_err e = porch_db_step(q, why);
    row->found = e == PORCH_OK;
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err inherit_proof(registry_enrolment *n, porch_bytes csr, porch_why *why) {
    porch_public_key key;
    proved_row row = {.device = n->name};
    PORCH_TRY(porch_csr_read(csr, &key, why));
    porch_sha256((porch_bytes){key.der, key.len}, row.key_hash);
    PORCH_TRY(porch_store_read(n->r->store, read_proved, &row, why));
    n->hardware = row.found;
    return PORCH_OK;
}

porch_err porch_registry_meets(registry_enrolment *n, bool bound, porch_bytes csr, porch_why *why) {
    porch_registry_product asks;
    PORCH_TRY(porch_registry_product_get(n->r, n->product, &asks, why));
    if (asks.channel_binding && !bound)
        return porch_fail(why, PORCH_ERR_DENIED,
                          "devices of product %s bind their request to the connection: put tls-exporter "
                          "(RFC 9266) into its challengePassword, in base64",
                          n->product);
    if (n->renew && !n->hardware) PORCH_TRY(inherit_proof(n, csr, why));
    if (asks.hardware_keys && !n->hardware)
        return porch_fail(why, PORCH_ERR_DENIED,
                          "devices of product %s must prove that their key lives in a TPM: enrol with "
                          "porchlight-device FOLDER enrol --key tpm2:HANDLE",
                          n->product);
    return PORCH_OK;
}

/* ---- enrolment ---------------------------------------------------------------------------------- */

/* Was any certificate of the device ever used? With `change` held. */
static bool is_fresh(porch_registry *r, const char *device) {
    bool fresh = true;
    pthread_rwlock_rdlock(&r->lock);
    for (size_t i = 0; i < r->certificates.count && fresh; i++) {
        const registry_certificate *c = r->certificates.at[i];
        if (c->kind == PORCH_PRINCIPAL_DEVICE && strcmp(c->name, device) == 0 && c->revoked_ms == 0)
            fresh = c->used_ms == 0;
    }
    pthread_rwlock_unlock(&r->lock);
    return fresh;
}

static porch_err by_claim(porch_registry *r, const porch_registry_enrolment *in, registry_enrolment *n,
                          claim_row *row, porch_why *why) {
    porch_public_key key;
    PORCH_TRY(porch_csr_read(in->csr, &key, why));
    porch_sha256((porch_bytes){key.der, key.len}, row->key_hash);
    hash_token(in->claim, row->hash);
    PORCH_TRY(porch_store_read(r->store, read_claim, row, why));
    if (!row->found || (row->spent && !row->same_key))
        return porch_fail(why, PORCH_ERR_AUTH,
                          "the claim token is unknown or was spent; ask the household for a new one");
    if (porch_clock_ms() >= row->ends_ms)
        return porch_fail(why, PORCH_ERR_EXPIRED,
                          "the claim token's time is over; ask the household for a new one");
    n->name = in->factory != NULL ? in->factory->factory_id : row->device;
    n->product = row->product;
    n->household = row->household;
    n->who = row->made_by;
    n->also = spend_claim;
    n->also_ctx = row;
    /* The answer to the first try was lost: the device is there and nobody has come in as it. */
    n->renew = row->spent && porch_registry_table_find(&r->devices, n->name) != NULL;
    if (n->renew && !is_fresh(r, n->name))
        return porch_fail(why, PORCH_ERR_AUTH,
                          "the claim token was spent, and its device has come in since");
    return PORCH_OK;
}

static porch_err by_factory(porch_registry *r, const porch_registry_enrolment *in, registry_enrolment *n,
                            factory_row *row, porch_why *why) {
    row->issuer = in->issuer;
    row->device = in->factory->factory_id;
    row->key = in->factory->public_key_hash;
    PORCH_TRY(porch_store_read(r->store, read_factory, row, why));
    if (!row->found)
        return porch_fail(why, PORCH_ERR_AUTH,
                          "the certificate's authority is none that was imported here");
    if (row->device[0] == '\0')
        return porch_fail(
            why, PORCH_ERR_AUTH,
            "the factory's certificate names no device: its subject needs a serialNumber or a "
            "common name of letters, digits and '-'");
    n->name = row->device;
    n->factory = row->name;
    memcpy(n->factory_key, row->key, 32);
    if (n->also != NULL) return PORCH_OK; /* a claim token says the rest */
    n->product = row->product;
    n->household = row->household;
    n->who = row->name;
    n->renew = row->has_device;
    if (row->has_device && !row->same_key)
        return porch_fail(why, PORCH_ERR_EXISTS,
                          "there is a device %s already, and this factory's certificate is not its own",
                          row->device);
    return PORCH_OK;
}

static porch_err prove(porch_registry *r, const porch_registry_enrolment *in, registry_enrolment *n,
                       claim_row *claim, factory_row *factory, porch_why *why) {
    if (in->device != NULL) {
        porch_registry_entry entry;
        PORCH_TRY(porch_registry_may_renew(r, in->device, in->fingerprint, porch_clock_ms(), &entry, why));
        n->name = in->device;
        n->shown = in->fingerprint;
        n->renew = true;
        return PORCH_OK;
    }
    if (in->claim != NULL) PORCH_TRY(by_claim(r, in, n, claim, why));
    if (in->factory != NULL) PORCH_TRY(by_factory(r, in, n, factory, why));
    if (in->claim != NULL || in->factory != NULL) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_AUTH, "show a claim token or a certificate of your factory");
}

/* Each certificate stays in the database and in the trust log: a device that asks without end would fill
 * both, and use up what the signer issues in a minute. */
static porch_err keeps_pace(porch_registry *r, const registry_enrolment *n, porch_why *why) {
    const uint64_t now_ms = porch_clock_ms();
    uint32_t count = 0;
    if (!n->renew) return PORCH_OK;
    pthread_rwlock_rdlock(&r->lock);
    for (size_t i = 0; i < r->certificates.count; i++) {
        const registry_certificate *c = r->certificates.at[i];
        if (c->kind == n->kind && c->not_before_ms + DAY_MS > now_ms && strcmp(c->name, n->name) == 0)
            count++;
    }
    pthread_rwlock_unlock(&r->lock);
    if (count < r->settings.est_certificates_per_day) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_BUSY,
                      "device %s was given %u certificates within a day, as many as "
                      "est.certificates_per_day allows; it renews itself later",
                      n->name, (unsigned)count);
}

porch_err porch_registry_enrol(porch_registry *r, porch_signer_client *signer,
                               const porch_registry_enrolment *in, char id[PORCH_REGISTRY_NAME_BYTES],
                               porch_registry_issued *ret, porch_why *why) {
    registry_enrolment n = {.r = r, .kind = PORCH_PRINCIPAL_DEVICE};
    claim_row claim = {.found = false};
    factory_row factory = {.found = false};
    char who[96];
    porch_registry_enrol_begin(r);
    porch_err e = prove(r, in, &n, &claim, &factory, why);
    if (e == PORCH_OK) {
        (void)snprintf(who, sizeof who,
                       in->device != NULL  ? "device:%.64s"
                       : in->claim != NULL ? "%.80s"
                                           : "factory:%.64s",
                       in->device != NULL ? in->device : n.who);
        n.who = who;
        e = porch_registry_place(&n, why);
    }
    n.hardware = in->hardware_proved;
    if (e == PORCH_OK) e = porch_registry_meets(&n, in->bound, in->csr, why);
    if (e == PORCH_OK) e = keeps_pace(r, &n, why);
    if (e == PORCH_OK) e = porch_registry_complete(&n, signer, in->csr, ret, why);
    if (e == PORCH_OK) porch_registry_copy_text(id, PORCH_REGISTRY_NAME_BYTES, porch_bytes_of(n.name));
    porch_registry_enrol_end(r);
    if (e == PORCH_OK)
        porch_registry_tell(r, n.kind, id, n.renew ? PORCH_REGISTRY_RENEWED : PORCH_REGISTRY_ADDED);
    return e;
}
