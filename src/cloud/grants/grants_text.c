/* The policy's text in the database: read, replaced as a whole, and its history. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/grants/grants_room.h"
#include "cloud/trust/trust.h"
#include "crypto/sha256.h"
#include "os/clock.h"

/* ---- reading --------------------------------------------------------------------------------------- */

static char *copy_text(porch_bytes text) {
    char *ret = malloc(text.len + 1);
    if (ret == NULL) return NULL;
    if (text.len > 0) memcpy(ret, text.at, text.len);
    ret[text.len] = '\0';
    return ret;
}

static porch_err read_one(porch_db_query *q, char **ret, uint64_t *version, porch_why *why) {
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        char *text = copy_text(porch_db_text(q, 1));
        if (text == NULL) {
            e = porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
        } else {
            *ret = text;
            *version = (uint64_t)porch_db_i64(q, 0);
        }
    }
    porch_db_finish(q);
    return e;
}

porch_err porch_grants_text_read(porch_db *db, char **ret, uint64_t *version, porch_why *why) {
    porch_err e = read_one(
        porch_db_prepare(db, "select version, text from access_policy order by version desc limit 1", why),
        ret, version, why);
    return e == PORCH_ERR_NOT_FOUND ? porch_fail(why, PORCH_ERR_DATABASE, "the policy is missing") : e;
}

porch_err porch_grants_load(porch_db *db, grants_loaded *ret, porch_why *why) {
    return porch_grants_load_below(db, INT64_MAX, ret, why);
}

porch_err porch_grants_load_below(porch_db *db, uint64_t below, grants_loaded *ret, porch_why *why) {
    grants_loaded l = {0};
    porch_db_query *q = porch_db_prepare(
        db, "select version, text from access_policy where version < ?1 order by version desc limit 1",
        why);
    porch_db_bind_i64(q, 1, (int64_t)below);
    PORCH_TRY(read_one(q, &l.text, &l.version, why));
    size_t bytes = porch_access_document_bytes(porch_bytes_of(l.text));
    l.rows = malloc(bytes);
    porch_arena arena = porch_arena_of(l.rows, bytes);
    porch_err e = l.rows == NULL
                      ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy")
                      : porch_access_document_parse(porch_bytes_of(l.text), &arena, &l.document, NULL, why);
    if (e == PORCH_OK)
        *ret = l;
    else
        porch_grants_loaded_free(&l);
    return e;
}

void porch_grants_loaded_free(grants_loaded *l) {
    free(l->rows);
    free(l->text);
}

char *porch_grants_print(const porch_access_document *d) {
    size_t cap = porch_access_document_text_bytes(d);
    char *text = malloc(cap + 1);
    porch_buf b = {(uint8_t *)text, 0, cap};
    if (text == NULL || porch_access_document_write(&b, d) != PORCH_OK) {
        free(text);
        return NULL;
    }
    text[b.len] = '\0';
    return text;
}

char *porch_grants_text(porch_grants *g, uint64_t *version) {
    grants_model *m = porch_grants_model_now(g);
    *version = porch_grants_model_version(m);
    char *text = copy_text(porch_bytes_of(porch_grants_model_text(m)));
    porch_grants_model_release(m);
    return text;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static porch_err insert(porch_db *db, const char *text, const char *who, const char *note, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "insert into access_policy (at_ms, who, note, text) values (?1, ?2, ?3, ?4)", why);
    porch_db_bind_i64(q, 1, (int64_t)porch_clock_ms());
    porch_db_bind_str(q, 2, who);
    porch_db_bind_str(q, 3, note == NULL ? "" : note);
    porch_db_bind_str(q, 4, text);
    return porch_db_execute(q, why);
}

porch_err porch_grants_text_write(porch_db *db, const char *text, const char *who, const char *note,
                                  uint32_t versions, uint64_t *version, porch_why *why) {
    PORCH_TRY(insert(db, text, who, note, why));
    *version = (uint64_t)porch_db_last_id(db);
    if (versions == 0) return PORCH_OK;
    porch_db_query *q = porch_db_prepare(db, "delete from access_policy where version <= ?1", why);
    porch_db_bind_i64(q, 1, (int64_t)*version - (int64_t)versions);
    return porch_db_execute(q, why);
}

typedef struct {
    const porch_grants_change *change;
    char *text;
    uint32_t versions;
    uint64_t version;
    bool same;
} application;

static porch_err log_change(porch_db *db, const application *a, porch_why *why) {
    uint8_t hash[PORCH_SHA256_BYTES];
    char hex[2 * PORCH_SHA256_BYTES + 1];
    porch_buf b = {(uint8_t *)hex, 0, sizeof hex - 1};
    porch_sha256(porch_bytes_of(a->text), hash);
    PORCH_TRY(porch_hex_write(&b, (porch_bytes){hash, sizeof hash}));
    hex[b.len] = '\0';
    json_t *detail = json_pack("{s:I, s:s, s:s}", "version", (json_int_t)a->version, "sha256", hex, "note",
                               a->change->note == NULL ? "" : a->change->note);
    char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);
    porch_err e = text == NULL
                      ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy")
                      : porch_trust_append(db, "policy.apply", a->change->who, "policy", text, why);
    free(text);
    json_decref(detail);
    return e;
}

static porch_err apply(porch_db *db, void *ctx, porch_why *why) {
    application *a = ctx;
    char *old = NULL;
    PORCH_TRY(porch_grants_text_read(db, &old, &a->version, why));
    a->same = strcmp(old, a->text) == 0;
    free(old);
    if (a->change->base != 0 && a->change->base != a->version)
        return porch_fail(why, PORCH_ERR_STATE,
                          "the policy is at version %llu by now, this one was made from %llu; export, "
                          "change and apply again",
                          (unsigned long long)a->version, (unsigned long long)a->change->base);
    if (a->same) return PORCH_OK;
    PORCH_TRY(porch_grants_text_write(db, a->text, a->change->who, a->change->note, a->versions,
                                      &a->version, why));
    return log_change(db, a, why);
}

/* What would be in force: parsed and built once before anything is stored. */
static porch_err check(const porch_grants *g, const porch_grants_change *c, char **canonical,
                       porch_why *why) {
    grants_model *m = NULL;
    if (c->text.len > g->policy_bytes)
        return porch_fail(why, PORCH_ERR_LIMIT, "a policy has at most %u bytes (grants.policy_bytes)",
                          g->policy_bytes);
    if (c->text.len > 0 && memchr(c->text.at, 0, c->text.len) != NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the policy holds a zero byte");
    char *text = copy_text(c->text);
    if (text == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    PORCH_TRY(porch_grants_model_make(text, 0, g->statements_most, &m, why));
    *canonical = porch_grants_print(porch_grants_model_document(m));
    porch_grants_model_release(m);
    return *canonical != NULL ? PORCH_OK : porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
}

porch_err porch_grants_apply(porch_grants *g, const porch_grants_change *change, uint64_t *version,
                             porch_why *why) {
    application a = {.change = change, .versions = g->versions};
    PORCH_TRY(check(g, change, &a.text, why));
    porch_err e = porch_store_write(g->store, apply, &a, why);
    free(a.text);
    if (e == PORCH_OK && !a.same) e = porch_grants_reload(g, why);
    if (e == PORCH_OK) *version = a.version;
    return e;
}

/* ---- history --------------------------------------------------------------------------------------- */

typedef struct {
    bool (*fn)(const porch_grants_version *, void *);
    void *ctx;
} visit;

static porch_err visit_all(porch_db *db, void *ctx, porch_why *why) {
    const visit *v = ctx;
    porch_db_query *q = porch_db_prepare(
        db, "select version, at_ms, who, note, length(text) from access_policy order by version desc", why);
    porch_err e;
    bool more = true;
    while (more && (e = porch_db_step(q, why)) == PORCH_OK) {
        porch_grants_version row = {(uint64_t)porch_db_i64(q, 0), (uint64_t)porch_db_i64(q, 1),
                                    (uint64_t)porch_db_i64(q, 4), "", ""};
        (void)porch_bytes_to_text(porch_db_text(q, 2), row.who, sizeof row.who);
        (void)porch_bytes_to_text(porch_db_text(q, 3), row.note, sizeof row.note);
        more = v->fn(&row, v->ctx);
    }
    porch_db_finish(q);
    return !more || e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_grants_history(porch_grants *g, bool (*fn)(const porch_grants_version *, void *), void *ctx,
                               porch_why *why) {
    visit v = {fn, ctx};
    return porch_store_read(g->store, visit_all, &v, why);
}

typedef struct {
    uint64_t version;
    char *text;
} wanted;

static porch_err read_version(porch_db *db, void *ctx, porch_why *why) {
    wanted *w = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "select version, text from access_policy where version = ?1", why);
    porch_db_bind_i64(q, 1, (int64_t)w->version);
    porch_err e = read_one(q, &w->text, &w->version, why);
    return e == PORCH_ERR_NOT_FOUND
               ? porch_fail(why, e, "there is no version %llu of the policy; see 'policy history'",
                            (unsigned long long)w->version)
               : e;
}

porch_err porch_grants_version_text(porch_grants *g, uint64_t version, char **ret, porch_why *why) {
    wanted w = {version, NULL};
    PORCH_TRY(porch_store_read(g->store, read_version, &w, why));
    *ret = w.text;
    return PORCH_OK;
}
