/* What the verified repository says, as rows that people and rollouts ask; each release and each withdrawal
 * is an entry of the trust log. */
#include "cloud/rollout/updates_room.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/trust/trust.h"
#include "ota/client/tuf_name.h"
#include "wire/id.h"
#include "wire/update_news.h"

typedef struct {
    porch_db *db;
    const porch_updates_set *set;
    const char *who;
    uint64_t now_ms;
    unsigned releases, withdrawn;
} job;

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static int64_t number_of(const json_t *object, const char *name) {
    return json_integer_value(json_object_get(object, name));
}

/* Seconds that somebody signed, as milliseconds; none where they are no time. */
static int64_t ms_of(int64_t seconds) {
    return seconds > 0 && seconds <= INT64_MAX / 1000 ? seconds * 1000 : 0;
}

/* May the role speak of the path, as who delegates to it says? */
static bool covers(const char *role, const json_t *trust, const char *path) {
    json_t *each;
    size_t i;
    if (strcmp(role, "targets") == 0) return true;
    json_array_foreach(json_object_get(trust, "paths"), i, each) {
        const char *pattern = json_string_value(each);
        if (pattern != NULL && porch_tuf_pattern_matches(porch_bytes_of(pattern), porch_bytes_of(path)))
            return true;
    }
    return false;
}

static porch_err append_trust(const job *j, const char *kind, const char *product, const char *version,
                              json_t *detail, porch_why *why) {
    char subject[160];
    char *text = json_dumps(detail, JSON_COMPACT | JSON_SORT_KEYS);
    (void)snprintf(subject, sizeof subject, "release:%.64s/%.64s", product, version);
    porch_err e =
        text == NULL ? PORCH_ERR_NO_SPACE : porch_trust_append(j->db, kind, j->who, subject, text, why);
    free(text);
    json_decref(detail);
    return e;
}

/* ---- releases ---- */

static porch_err add_release(job *j, const char *role, const json_t *trust, const char *path,
                             const json_t *target, const char *signers, porch_why *why) {
    const json_t *custom = json_object_get(target, "custom");
    const char *product = text_of(custom, "product"), *version = text_of(custom, "version"),
               *sha256 = text_of(json_object_get(target, "hashes"), "sha256");
    char expected[256];
    porch_id id;
    char *hardware = json_dumps(json_object_get(custom, "hardware"), JSON_COMPACT);
    (void)snprintf(expected, sizeof expected, "%.64s/%.64s/image", product, version);
    if (porch_id_parse(porch_bytes_of(product), &id) != PORCH_OK ||
        !porch_update_version_ok(porch_bytes_of(version)) || strcmp(expected, path) != 0 ||
        !covers(role, trust, path)) {
        free(hardware);
        return PORCH_OK; /* of another kind, or not the role's: served, but no release */
    }
    porch_db_query *q = porch_db_prepare(
        j->db,
        "insert into update_release (product, version, path, sha256, bytes, serial, "
        "counter, severity, hardware, notes, "
        "supported_until, released_ms, published_ms, role, signers) values (?1, ?2, ?3, "
        "?4, ?5, ?6, ?7, ?8, ?9, ?10, "
        "?11, ?12, ?13, ?14, ?15) on conflict (product, version) do update set path = ?3, sha256 = ?4, "
        "bytes = ?5, serial = ?6, counter = ?7, severity = ?8, hardware = ?9, notes = ?10, "
        "supported_until = ?11, released_ms = ?12, published_ms = ?13, withdrawn_ms = 0, "
        "role = ?14, signers = ?15 where sha256 <> ?4 or withdrawn_ms <> 0",
        why);
    porch_db_bind_str(q, 1, product);
    porch_db_bind_str(q, 2, version);
    porch_db_bind_str(q, 3, path);
    porch_db_bind_str(q, 4, sha256);
    porch_db_bind_i64(q, 5, number_of(target, "length"));
    porch_db_bind_i64(q, 6, number_of(custom, "serial"));
    porch_db_bind_i64(q, 7, number_of(custom, "counter"));
    porch_db_bind_str(q, 8, text_of(custom, "severity"));
    porch_db_bind_str(q, 9, hardware != NULL ? hardware : "[]");
    porch_db_bind_str(q, 10, text_of(custom, "notes"));
    porch_db_bind_str(q, 11, text_of(custom, "supported_until"));
    porch_db_bind_i64(q, 12, ms_of(number_of(custom, "released_s")));
    porch_db_bind_i64(q, 13, (int64_t)j->now_ms);
    porch_db_bind_str(q, 14, role);
    porch_db_bind_str(q, 15, signers);
    porch_err e = porch_db_execute(q, why);
    free(hardware);
    if (e != PORCH_OK || porch_db_changes(j->db) == 0) return e;
    j->releases++;
    return append_trust(j, "update.release", product, version,
                        json_pack("{s:s,s:I,s:I,s:s,s:s}", "sha256", sha256, "bytes",
                                  (json_int_t)number_of(target, "length"), "counter",
                                  (json_int_t)number_of(custom, "counter"), "role", role, "signers",
                                  signers),
                        why);
}

enum { AT_ONCE = 64 };

/* Releases of the role that it names no more, AT_ONCE at most. */
static porch_err withdraw_some(job *j, const char *role, const json_t *targets, size_t *ret,
                               porch_why *why) {
    struct {
        char product[65], version[65];
    } gone[AT_ONCE];
    size_t count = 0;
    porch_db_query *q = porch_db_prepare(
        j->db, "select product, version, path from update_release where role = ?1 and withdrawn_ms = 0",
        why);
    porch_db_bind_str(q, 1, role);
    porch_err e = PORCH_OK;
    while (count < AT_ONCE && (e = porch_db_step(q, why)) == PORCH_OK) {
        char path[256];
        if (!porch_bytes_to_text(porch_db_text(q, 2), path, sizeof path) ||
            json_object_get(targets, path) != NULL)
            continue;
        (void)porch_bytes_to_text(porch_db_text(q, 0), gone[count].product, sizeof gone[count].product);
        (void)porch_bytes_to_text(porch_db_text(q, 1), gone[count].version, sizeof gone[count].version);
        count++;
    }
    porch_db_finish(q);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    for (size_t i = 0; i < count; i++) {
        q = porch_db_prepare(
            j->db, "update update_release set withdrawn_ms = ?3 where product = ?1 and version = ?2", why);
        porch_db_bind_str(q, 1, gone[i].product);
        porch_db_bind_str(q, 2, gone[i].version);
        porch_db_bind_i64(q, 3, (int64_t)j->now_ms);
        PORCH_TRY(porch_db_execute(q, why));
        PORCH_TRY(append_trust(j, "update.withdraw", gone[i].product, gone[i].version, json_object(), why));
        j->withdrawn++;
    }
    *ret = count;
    return PORCH_OK;
}

static porch_err withdraw_missing(job *j, const char *role, const json_t *targets, porch_why *why) {
    size_t count = AT_ONCE;
    while (count == AT_ONCE)
        PORCH_TRY(withdraw_some(j, role, targets, &count, why));
    return PORCH_OK;
}

/* ---- roles ---- */

static porch_err put_role(const job *j, const porch_updates_doc *d, int64_t threshold, const char *keys,
                          const char *signers, porch_why *why) {
    char sha256[65];
    porch_buf hex = {(uint8_t *)sha256, 0, 64};
    PORCH_TRY(porch_hex_write(&hex, (porch_bytes){d->sha256, sizeof d->sha256}));
    sha256[hex.len] = '\0';
    porch_db_query *q = porch_db_prepare(j->db,
                                         "insert into update_role (name, version, expires_ms, threshold, "
                                         "keys, signers, sha256) values (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                                         "on conflict (name) do update set version = ?2, expires_ms = ?3, "
                                         "threshold = ?4, keys = ?5, signers = ?6, sha256 = ?7",
                                         why);
    porch_db_bind_str(q, 1, d->role);
    porch_db_bind_i64(q, 2, (int64_t)d->version);
    porch_db_bind_i64(q, 3, (int64_t)d->expires_ms);
    porch_db_bind_i64(q, 4, threshold);
    porch_db_bind_str(q, 5, keys);
    porch_db_bind_str(q, 6, signers);
    porch_db_bind_str(q, 7, sha256);
    return porch_db_execute(q, why);
}

/* Who may sign for the role: in the root, or in a role of the set. */
static json_t *trust_of(json_t *root, json_t *const *documents, size_t count, const char *role) {
    json_t *own = json_object_get(json_object_get(json_object_get(root, "signed"), "roles"), role), *each;
    size_t k;
    if (own != NULL) return own;
    for (size_t i = 0; i < count; i++) {
        json_t *list = json_object_get(
            json_object_get(json_object_get(documents[i], "signed"), "delegations"), "roles");
        json_array_foreach(list, k, each) if (strcmp(text_of(each, "name"), role) == 0) return each;
    }
    return NULL;
}

/* Another set of keys, or another threshold, for a role that was known: whose word counts has changed. */
static porch_err tell_keys(const job *j, const porch_updates_doc *d, int64_t threshold, const char *keys,
                           porch_why *why) {
    char subject[96];
    json_t *before = NULL;
    int64_t threshold_before = 0;
    porch_db_query *q =
        porch_db_prepare(j->db, "select keys, threshold from update_role where name = ?1", why);
    porch_db_bind_str(q, 1, d->role);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        porch_bytes text = porch_db_text(q, 0);
        before = json_loadb((const char *)text.at, text.len, 0, NULL);
        threshold_before = porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    json_t *now = json_loads(keys, 0, NULL);
    bool same = e != PORCH_OK || (json_equal(before, now) && threshold_before == threshold);
    json_t *detail =
        same ? NULL
             : json_pack("{s:O?,s:O?,s:I,s:I}", "keys", now, "before", before, "threshold",
                         (json_int_t)threshold, "threshold_before", (json_int_t)threshold_before);
    char *text = detail != NULL ? json_dumps(detail, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(detail);
    json_decref(now);
    json_decref(before);
    if (e == PORCH_ERR_NOT_FOUND || same) return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
    (void)snprintf(subject, sizeof subject, "update:%.64s", d->role);
    e = text == NULL ? PORCH_ERR_NO_SPACE
                     : porch_trust_append(j->db, "update.keys", j->who, subject, text, why);
    free(text);
    return e;
}

static porch_err take_role(job *j, const porch_updates_doc *d, json_t *document, const json_t *trust,
                           porch_why *why) {
    char signers[1200], *keys = json_dumps(json_object_get(trust, "keyids"), JSON_COMPACT);
    const char *path;
    json_t *target, *targets = json_object_get(json_object_get(document, "signed"), "targets");
    porch_updates_signers(j->set, d, signers, sizeof signers);
    int64_t threshold = number_of(trust, "threshold");
    porch_err e = tell_keys(j, d, threshold, keys != NULL ? keys : "[]", why);
    if (e == PORCH_OK) e = put_role(j, d, threshold, keys != NULL ? keys : "[]", signers, why);
    free(keys);
    if (!json_is_object(targets)) return e;
    json_object_foreach(targets, path, target) if (e == PORCH_OK) e =
        add_release(j, d->role, trust, path, target, signers, why);
    return e == PORCH_OK ? withdraw_missing(j, d->role, targets, why) : e;
}

static json_t *json_of(const porch_updates_doc *d) {
    return json_loadb((const char *)d->raw, d->length, JSON_REJECT_DUPLICATES, NULL);
}

/* A root that is new here: whose word counts has changed. */
static porch_err tell_root(const job *j, const porch_updates_doc *root, porch_why *why) {
    char detail[96];
    porch_db_query *q = porch_db_prepare(j->db, "select version from update_role where name = 'root'", why);
    porch_err e = porch_db_step(q, why);
    uint64_t known = e == PORCH_OK ? (uint64_t)porch_db_i64(q, 0) : 0;
    porch_db_finish(q);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    if (known == root->version) return PORCH_OK;
    (void)snprintf(detail, sizeof detail, "{\"version\":%llu,\"before\":%llu}",
                   (unsigned long long)root->version, (unsigned long long)known);
    return porch_trust_append(j->db, "update.root", j->who, "update:root", detail, why);
}

porch_err porch_updates_rows(porch_db *db, const porch_updates *u, const porch_updates_set *set,
                             const char *who, uint64_t now_ms, unsigned *releases, unsigned *withdrawn,
                             porch_why *why) {
    job j = {.db = db, .set = set, .who = who, .now_ms = now_ms};
    json_t *documents[PORCH_UPDATES_ROLES_MOST] = {NULL}, *root = json_of(&set->root);
    (void)u;
    porch_err e = tell_root(&j, &set->root, why);
    for (size_t i = 0; i < set->count; i++)
        documents[i] = json_of(&set->docs[i]);
    if (e == PORCH_OK) e = take_role(&j, &set->root, root, trust_of(root, NULL, 0, "root"), why);
    for (size_t i = 0; e == PORCH_OK && i < set->count; i++)
        e = take_role(&j, &set->docs[i], documents[i],
                      trust_of(root, documents, set->count, set->docs[i].role), why);
    for (size_t i = 0; i < set->count; i++)
        json_decref(documents[i]);
    json_decref(root);
    *releases = j.releases;
    *withdrawn = j.withdrawn;
    return e;
}
