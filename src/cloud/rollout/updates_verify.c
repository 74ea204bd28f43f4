/* Is what was put a whole repository, signed by those who may, and not older than the one that is
 * published? The same code as on devices reads and verifies it (src/ota/client). */
#include "cloud/rollout/updates_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/sha256.h"
#include "os/file.h"
#include "ota/client/tuf_name.h"

enum { MEMBERS = 64 * 1024, ROOT_STEPS = 1024 };

void porch_updates_doc_free(porch_updates_doc *d) {
    free(d->raw);
    free(d->canonical);
    d->raw = d->canonical = NULL;
    d->content = (porch_bytes){NULL, 0};
}

void porch_updates_set_free(porch_updates_set *s) {
    porch_updates_doc_free(&s->root);
    for (size_t i = 0; i < s->count; i++)
        porch_updates_doc_free(&s->docs[i]);
}

/* The canonical form of a document; kept in d->canonical with what the header says. */
static porch_err take(porch_bytes text, const char *type, porch_updates_doc *d, porch_why *why) {
    uint32_t *members = malloc(MEMBERS * sizeof *members);
    porch_buf out = {malloc(text.len + 1), 0, text.len};
    porch_tuf_header header;
    porch_err e =
        members == NULL || out.at == NULL
            ? porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to read metadata")
            : porch_tuf_json_canonical(text, (porch_tuf_json_scratch){members, MEMBERS}, &out, why);
    if (e == PORCH_OK) e = porch_tuf_header_read(porch_buf_bytes(&out), type, &header, why);
    free(members);
    if (e != PORCH_OK) {
        free(out.at);
        return e;
    }
    d->canonical = out.at;
    d->canonical_len = out.len;
    d->length = text.len;
    d->version = header.version;
    d->expires_ms = header.expires_s * 1000;
    d->content = header.content;
    porch_sha256(text, d->sha256);
    return PORCH_OK;
}

static porch_bytes document_of(const porch_updates_doc *d) {
    return (porch_bytes){d->canonical, d->canonical_len};
}

porch_err porch_updates_load(const porch_updates *u, const char *file, const char *role, const char *type,
                             porch_updates_doc *ret, porch_why *why) {
    char path[PORCH_UPDATES_PATH], name[PORCH_UPDATES_NAME];
    porch_updates_doc d = {.version = 0};
    uint8_t *text = NULL;
    uint64_t bytes = 0;
    size_t len = 0;
    bool published = false;
    (void)snprintf(name, sizeof name, "metadata/%.200s", file);
    PORCH_TRY(porch_updates_find(u, name, path, &published, &bytes, why));
    PORCH_TRY(porch_file_read(path, PORCH_UPDATES_METADATA_MOST, &text, &len, why));
    (void)snprintf(d.role, sizeof d.role, "%.64s", role);
    porch_err e = take((porch_bytes){text, len}, type, &d, why);
    if (e != PORCH_OK) {
        free(text);
        return e;
    }
    d.raw = text;
    *ret = d;
    return PORCH_OK;
}

/* ---- root ---- */

static porch_err check(const porch_updates_doc *root, const char *role, const porch_updates_doc *of,
                       porch_why *why) {
    porch_tuf_trust trust;
    PORCH_TRY(porch_tuf_root_read(root->content, role, &trust, why));
    return porch_tuf_signatures_check(porch_verify_library(), document_of(of), &trust, why);
}

static porch_err step(const porch_updates *u, uint64_t version, porch_updates_doc *root, porch_why *why) {
    char file[64];
    porch_updates_doc next = {.version = 0};
    porch_why reason = {""};
    (void)snprintf(file, sizeof file, "%llu.root.json", (unsigned long long)version);
    PORCH_TRY(porch_updates_load(u, file, "root", "root", &next, why));
    porch_err e = next.version == version
                      ? PORCH_OK
                      : porch_fail(why, PORCH_ERR_MALFORMED, "%s says it is version %llu", file,
                                   (unsigned long long)next.version);
    if (e == PORCH_OK && root->canonical != NULL) {
        e = check(root, "root", &next, &reason);
        if (e != PORCH_OK)
            (void)porch_fail(why, e, "%s is not signed by the keys of the root before it: %.120s", file,
                             reason.text);
    }
    if (e == PORCH_OK) {
        e = check(&next, "root", &next, &reason);
        if (e != PORCH_OK)
            (void)porch_fail(why, e, "%s is not signed by its own keys: %.150s", file, reason.text);
    }
    if (e != PORCH_OK) {
        porch_updates_doc_free(&next);
        return e;
    }
    porch_updates_doc_free(root);
    *root = next;
    return PORCH_OK;
}

/* From the root that the hub has, or, with the first repository, from version 1, whose word the operator
 * gives. */
static porch_err walk_roots(const porch_updates *u, uint64_t upto, uint64_t now_ms, porch_updates_doc *root,
                            porch_why *why) {
    uint64_t known = u->state.root;
    if (upto < known)
        return porch_fail(why, PORCH_ERR_ROLLBACK,
                          "the hub has version %llu of the root, the folder only %llu",
                          (unsigned long long)known, (unsigned long long)upto);
    if (upto == 0 || upto - known > ROOT_STEPS)
        return porch_fail(why, PORCH_ERR_LIMIT, "0 or more than %d new versions of the root", ROOT_STEPS);
    for (uint64_t v = known > 0 ? known : 1; v <= upto; v++) {
        PORCH_TRY(step(u, v, root, why));
        if (v == known && porch_updates_damaged(u) && u->has_root_sha256 &&
            memcmp(root->sha256, u->root_sha256, sizeof u->root_sha256) != 0)
            return porch_fail(why, PORCH_ERR_SIGNATURE,
                              "version %llu of the root is not the one that was in force here",
                              (unsigned long long)v);
    }
    if (root->expires_ms > now_ms) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_EXPIRED,
                      "the root has expired: sign a new one (porchlight ota rotate FOLDER "
                      "--role root)");
}

/* ---- targets and what they delegate to ---- */

static porch_err not_older(const porch_updates *u, const porch_updates_doc *d, uint64_t now_ms,
                           porch_why *why) {
    for (size_t i = 0; i < u->count; i++)
        if (strcmp(u->docs[i].role, d->role) == 0 && d->version < u->docs[i].version)
            return porch_fail(
                why, PORCH_ERR_ROLLBACK, "the hub has version %llu of %s, the folder only %llu",
                (unsigned long long)u->docs[i].version, d->role, (unsigned long long)d->version);
    if (d->expires_ms > now_ms) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_EXPIRED, "%s has expired: sign it anew", d->role);
}

/* Who may sign for `role`, as one of the roles that are verified says. */
static bool delegated(const porch_updates_set *s, const char *role, porch_tuf_trust *ret) {
    porch_bytes delegations, keys, roles, unused, each, name;
    for (size_t i = 0; i < s->count; i++) {
        if (!porch_tuf_json_object(s->docs[i].content, "delegations", &delegations) ||
            !porch_tuf_json_object(delegations, "keys", &keys) ||
            !porch_tuf_json_array(delegations, "roles", &roles))
            continue;
        porch_tuf_json_walk w = porch_tuf_json_open(roles);
        while (porch_tuf_json_next(&w, &unused, &each))
            if (porch_tuf_json_plain(each, "name", &name) && porch_bytes_eq_text(name, role))
                return porch_tuf_trust_read(keys, each, ret, NULL) == PORCH_OK;
    }
    return false;
}

static porch_err take_role(const porch_updates *u, const porch_updates_announced *a,
                           const porch_tuf_trust *trust, uint64_t now_ms, porch_updates_set *s,
                           porch_why *why) {
    char file[128];
    porch_why reason = {""};
    porch_updates_doc *d = &s->docs[s->count];
    (void)snprintf(file, sizeof file, "%llu.%s.json", (unsigned long long)a->version, a->name);
    PORCH_TRY(porch_updates_load(u, file, a->name, "targets", d, why));
    porch_err e = porch_tuf_signatures_check(porch_verify_library(), document_of(d), trust, &reason);
    if (e != PORCH_OK) (void)porch_fail(why, e, "%s is not signed by its keys: %.180s", file, reason.text);
    if (e == PORCH_OK && d->version != a->version)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "%s says it is version %llu", file,
                       (unsigned long long)d->version);
    if (e == PORCH_OK) e = not_older(u, d, now_ms, why);
    if (e != PORCH_OK) {
        porch_updates_doc_free(d);
        return e;
    }
    s->count++;
    return PORCH_OK;
}

static bool has(const porch_updates_set *s, const char *role) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->docs[i].role, role) == 0) return true;
    return false;
}

static porch_err walk_roles(const porch_updates *u, const porch_updates_plan *plan, uint64_t now_ms,
                            porch_updates_set *s, porch_why *why) {
    porch_tuf_trust trust;
    bool moved = true;
    for (size_t i = 0; i < plan->count; i++) {
        if (strcmp(plan->roles[i].name, "targets") != 0) continue;
        PORCH_TRY(porch_tuf_root_read(s->root.content, "targets", &trust, why));
        PORCH_TRY(take_role(u, &plan->roles[i], &trust, now_ms, s, why));
    }
    if (s->count != 1) return porch_fail(why, PORCH_ERR_MALFORMED, "there is no targets role, or two");
    while (moved) {
        moved = false;
        for (size_t i = 0; i < plan->count; i++) {
            if (has(s, plan->roles[i].name) || !delegated(s, plan->roles[i].name, &trust)) continue;
            PORCH_TRY(take_role(u, &plan->roles[i], &trust, now_ms, s, why));
            moved = true;
        }
    }
    for (size_t i = 0; i < plan->count; i++)
        if (!has(s, plan->roles[i].name))
            return porch_fail(why, PORCH_ERR_SIGNATURE, "no role that is signed names %s",
                              plan->roles[i].name);
    for (size_t i = 0; i < u->count; i++)
        if (!has(s, u->docs[i].role))
            return porch_fail(why, PORCH_ERR_ROLLBACK, "the hub has the role %s, the folder has not",
                              u->docs[i].role);
    return PORCH_OK;
}

/* ---- two copies of the folder ---- */

/* A published file comes before one that was sent under its name (porch_updates_find): who made another one
 * of that version must not take the publish of the first for that of his own. */
static porch_err same(const porch_updates_doc *d, uint64_t version, const porch_updates_file_hash *own,
                      porch_why *why) {
    if (!own->said || memcmp(own->sha256, d->sha256, sizeof own->sha256) == 0) return PORCH_OK;
    return porch_fail(
        why, PORCH_ERR_EXISTS,
        "the hub has another version %llu of %s, made in another copy of the folder: fetch the "
        "team's newest folder, and make your change there",
        (unsigned long long)version, d->role);
}

static porch_err walk_same(const porch_updates_plan *plan, const porch_updates_set *s, porch_why *why) {
    for (size_t i = 0; i < plan->count; i++)
        for (size_t n = 0; n < s->count; n++)
            if (strcmp(plan->roles[i].name, s->docs[n].role) == 0)
                PORCH_TRY(same(&s->docs[n], plan->roles[i].version, &plan->roles[i].hash, why));
    return PORCH_OK;
}

/* ---- images ---- */

static porch_err check_image(const char *name, const porch_tuf_target *target, void *ctx, porch_why *why) {
    const porch_updates *u = ctx;
    char file[PORCH_UPDATES_PATH];
    uint8_t hash[32];
    uint64_t bytes = 0;
    bool published = false;
    PORCH_TRY(porch_updates_find(u, name, file, &published, &bytes, why));
    bool damaged = porch_updates_mistrusted(u, name);
    if (published && bytes == target->length && !damaged) return PORCH_OK; /* it was hashed when it came */
    if (bytes == target->length) {
        PORCH_TRY(porch_updates_hash(file, hash, why));
        if (memcmp(hash, target->hashes.sha256, 32) == 0) return PORCH_OK;
    }
    if (!published || damaged) (void)unlink(file); /* or the next publish would go on behind wrong bytes */
    return porch_fail(why, PORCH_ERR_HASH,
                      "%.120s: the bytes are not those that were signed; put the image right in the folder "
                      "and publish again",
                      name);
}

porch_err porch_updates_verify(const porch_updates *u, const porch_updates_plan *plan, uint64_t now_ms,
                               porch_updates_set *ret, porch_why *why) {
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->roles[i].name, "targets") != 0 &&
            !porch_tuf_role_name_ok(porch_bytes_of(plan->roles[i].name), PORCH_UPDATES_ROLE_TEXT - 1))
            return porch_fail(why, PORCH_ERR_MALFORMED,
                              "no delegated role may be called %s: give it another name",
                              plan->roles[i].name);
    PORCH_TRY(walk_roots(u, plan->root, now_ms, &ret->root, why));
    PORCH_TRY(same(&ret->root, plan->root, &plan->root_hash, why));
    PORCH_TRY(walk_roles(u, plan, now_ms, ret, why));
    PORCH_TRY(walk_same(plan, ret, why));
    for (size_t i = 0; i < ret->count; i++)
        PORCH_TRY(porch_updates_each_image(&ret->docs[i], check_image, (void *)(uintptr_t)u, why));
    return PORCH_OK;
}

static porch_err not_named(const char *role, porch_why *why) {
    return porch_fail(
        why, PORCH_ERR_SIGNATURE,
        "the root does not name this hub's %s key: write it with `porchlight ota keys --out FILE` and "
        "take it up with `porchlight ota online-keys FOLDER --keys FILE`",
        role);
}

porch_err porch_updates_check_key(const porch_updates_doc *root, const char *role, const char *public_hex,
                                  porch_why *why) {
    porch_tuf_trust trust;
    porch_bytes unused, each, id;
    uint8_t hash[32];
    char text[200], hex[65];
    porch_buf into = {(uint8_t *)hex, 0, 64};
    int n = snprintf(text, sizeof text,
                     "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%.64s\"},\"scheme\":\"ed25519\"}",
                     public_hex);
    if (n <= 0 || (size_t)n >= sizeof text) return PORCH_ERR_INTERNAL;
    porch_sha256((porch_bytes){(const uint8_t *)text, (size_t)n}, hash);
    PORCH_TRY(porch_hex_write(&into, (porch_bytes){hash, sizeof hash}));
    PORCH_TRY(porch_tuf_root_read(root->content, role, &trust, why));
    porch_tuf_json_walk w = porch_tuf_json_open(trust.keyids);
    while (trust.threshold == 1 && porch_tuf_json_next(&w, &unused, &each))
        if (porch_tuf_json_string(each, &id) && porch_bytes_eq(id, porch_buf_bytes(&into))) return PORCH_OK;
    return not_named(role, why);
}

/* Each key of the role is asked alone: what only stands beside a name is no signature. */
void porch_updates_signers(const porch_updates_set *s, const porch_updates_doc *d, char *out, size_t cap) {
    bool top = d == &s->root || strcmp(d->role, "targets") == 0;
    porch_tuf_trust trust;
    porch_bytes unused, each, id;
    size_t len = 0;
    out[0] = '\0';
    if (top ? porch_tuf_root_read(s->root.content, d->role, &trust, NULL) != PORCH_OK
            : !delegated(s, d->role, &trust))
        return;
    porch_tuf_json_walk w = porch_tuf_json_open(trust.keyids);
    while (porch_tuf_json_next(&w, &unused, &each)) {
        char one[80];
        if (!porch_tuf_json_string(each, &id) || id.len > 64) continue;
        int n = snprintf(one, sizeof one, "[\"%.*s\"]", PORCH_FMT(id));
        const porch_tuf_trust alone = {trust.keys, {(const uint8_t *)one, (size_t)n}, 1};
        if (porch_tuf_signatures_check(porch_verify_library(), document_of(d), &alone, NULL) != PORCH_OK)
            continue;
        n = snprintf(out + len, cap - len, "%s%.*s", len > 0 ? " " : "", PORCH_FMT(id));
        if (n < 0 || (size_t)n >= cap - len) break;
        len += (size_t)n;
    }
    out[len] = '\0';
}

porch_err porch_updates_check_online(const porch_updates_doc *root, const char *role, porch_bytes text,
                                     porch_why *why) {
    porch_updates_doc d = {.version = 0};
    porch_err e = take(text, role, &d, why);
    if (e == PORCH_OK) e = check(root, role, &d, NULL);
    porch_updates_doc_free(&d);
    return e == PORCH_ERR_SIGNATURE ? not_named(role, why) : e;
}
