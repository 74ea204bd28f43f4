#include "ota/author/author_repo.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/sha256.h"
#include "wire/id.h"

enum { PATH_BYTES = 256, VERSION_MOST = 64, SIGNATURES_MOST = 16 };

/* Beside a product's targets, {serial, counter}: how high those of its withdrawn releases came. No part of
 * the format: who verifies skips it. */
#define WITHDRAWN "withdrawn"

static porch_err no_memory(porch_why *why) {
    return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the metadata");
}

static json_t *role_of(const char *type) {
    return json_pack("{s:s,s:s,s:i,s:s}", "_type", type, "spec_version", "1.0.34", "version", 0, "expires",
                     "");
}

porch_err porch_author_repo_begin(porch_author_repo *ret, porch_why *why) {
    static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
    porch_author_repo r = {role_of("root"), role_of("timestamp"), role_of("snapshot"), role_of("targets"),
                           json_object()};
    json_t *trust = json_object();
    bool good =
        json_object_set_new(r.root, "keys", json_object()) == 0 &&
        json_object_set_new(r.root, "consistent_snapshot", json_true()) == 0 &&
        json_object_set_new(r.timestamp, "meta", json_object()) == 0 &&
        json_object_set_new(r.snapshot, "meta", json_object()) == 0 &&
        json_object_set_new(r.targets, "targets", json_object()) == 0 &&
        json_object_set_new(r.targets, "delegations", json_pack("{s:{},s:[]}", "keys", "roles")) == 0;
    for (size_t i = 0; i < 4; i++)
        good =
            json_object_set_new(trust, roles[i], json_pack("{s:[],s:i}", "keyids", "threshold", 1)) == 0 &&
            good;
    good = json_object_set_new(r.root, "roles", trust) == 0 && good;
    if (!good) {
        porch_author_repo_free(&r);
        return no_memory(why);
    }
    *ret = r;
    return PORCH_OK;
}

void porch_author_repo_free(porch_author_repo *r) {
    json_decref(r->root);
    json_decref(r->timestamp);
    json_decref(r->snapshot);
    json_decref(r->targets);
    json_decref(r->products);
    *r = (porch_author_repo){0};
}

json_t *porch_author_role(const porch_author_repo *r, const char *role) {
    if (strcmp(role, "root") == 0) return r->root;
    if (strcmp(role, "timestamp") == 0) return r->timestamp;
    if (strcmp(role, "snapshot") == 0) return r->snapshot;
    if (strcmp(role, "targets") == 0) return r->targets;
    return json_object_get(r->products, role);
}

json_t *porch_author_trust(const porch_author_repo *r, const char *role, json_t **keys) {
    json_t *delegations = json_object_get(r->targets, "delegations"), *each;
    size_t i;
    json_t *own = json_object_get(json_object_get(r->root, "roles"), role);
    *keys = json_object_get(own != NULL ? r->root : delegations, "keys");
    if (own != NULL) return own;
    json_array_foreach(json_object_get(delegations, "roles"), i, each) {
        const char *name = json_string_value(json_object_get(each, "name"));
        if (name != NULL && strcmp(name, role) == 0) return each;
    }
    return NULL;
}

porch_err porch_author_product_add(porch_author_repo *r, const char *name, porch_why *why) {
    porch_id id;
    char paths[PATH_BYTES];
    if (porch_id_parse(porch_bytes_of(name), &id) != PORCH_OK || porch_author_role(r, name) == r->root ||
        strcmp(name, "timestamp") == 0 || strcmp(name, "snapshot") == 0 || strcmp(name, "targets") == 0)
        return porch_fail(
            why, PORCH_ERR_MALFORMED,
            "'%.64s' cannot name a product: lower-case letters, digits and '-', and no role's name", name);
    if (porch_author_role(r, name) != NULL)
        return porch_fail(why, PORCH_ERR_EXISTS, "there is a product %s already", name);
    (void)snprintf(paths, sizeof paths, "%s/*/*", name);
    json_t *content = role_of("targets");
    json_t *delegation = json_pack("{s:s,s:[],s:i,s:b,s:[s]}", "name", name, "keyids", "threshold", 1,
                                   "terminating", 1, "paths", paths);
    bool good = json_object_set_new(content, "targets", json_object()) == 0 &&
                json_array_append_new(json_object_get(json_object_get(r->targets, "delegations"), "roles"),
                                      delegation) == 0;
    return json_object_set_new(r->products, name, content) == 0 && good ? PORCH_OK : no_memory(why);
}

static bool lists(const json_t *keyids, const char *id, size_t *at) {
    json_t *each;
    size_t i;
    json_array_foreach(keyids, i, each) {
        if (strcmp(json_string_value(each) != NULL ? json_string_value(each) : "", id) != 0) continue;
        if (at != NULL) *at = i;
        return true;
    }
    return false;
}

static porch_err no_role(const char *role, porch_why *why) {
    return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no role or product %.64s", role);
}

porch_err porch_author_key_add(porch_author_repo *r, const char *role, json_t *key, const char *id,
                               porch_why *why) {
    json_t *keys = NULL, *trust = porch_author_trust(r, role, &keys);
    if (trust == NULL) return no_role(role, why);
    json_t *keyids = json_object_get(trust, "keyids");
    if (lists(keyids, id, NULL)) return porch_fail(why, PORCH_ERR_EXISTS, "%s has this key already", role);
    return json_array_append_new(keyids, json_string(id)) == 0 && json_object_set(keys, id, key) == 0
               ? PORCH_OK
               : no_memory(why);
}

static bool named_anywhere(const json_t *roles, const char *id) {
    json_t *each;
    const char *name;
    size_t i;
    if (json_is_array(roles)) {
        json_array_foreach(roles, i,
                           each) if (lists(json_object_get(each, "keyids"), id, NULL)) return true;
        return false;
    }
    json_object_foreach((json_t *)roles, name,
                        each) if (lists(json_object_get(each, "keyids"), id, NULL)) return true;
    return false;
}

porch_err porch_author_key_remove(porch_author_repo *r, const char *role, const char *id, porch_why *why) {
    json_t *keys = NULL, *trust = porch_author_trust(r, role, &keys);
    size_t at = 0;
    if (trust == NULL) return no_role(role, why);
    json_t *keyids = json_object_get(trust, "keyids");
    if (!lists(keyids, id, &at))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s has no key %.64s", role, id);
    if ((json_int_t)json_array_size(keyids) <= json_integer_value(json_object_get(trust, "threshold")))
        return porch_fail(why, PORCH_ERR_STATE,
                          "%s would have fewer keys than signatures it needs; add one first", role);
    json_array_remove(keyids, at);
    bool of_root = keys == json_object_get(r->root, "keys");
    const json_t *roles =
        json_object_get(of_root ? r->root : json_object_get(r->targets, "delegations"), "roles");
    if (!named_anywhere(roles, id)) json_object_del(keys, id);
    return PORCH_OK;
}

porch_err porch_author_threshold(porch_author_repo *r, const char *role, uint64_t signatures,
                                 porch_why *why) {
    json_t *keys = NULL, *trust = porch_author_trust(r, role, &keys);
    if (trust == NULL) return no_role(role, why);
    if (strcmp(role, "snapshot") == 0 || strcmp(role, "timestamp") == 0)
        return porch_fail(why, PORCH_ERR_USAGE, "%s is signed by one key: it only says what is newest",
                          role);
    if (signatures == 0 || signatures > SIGNATURES_MOST)
        return porch_fail(why, PORCH_ERR_USAGE, "a role needs 1 to %d signatures", SIGNATURES_MOST);
    if (signatures > json_array_size(json_object_get(trust, "keyids")))
        return porch_fail(
            why, PORCH_ERR_STATE, "%s has %zu key(s), fewer than %llu signatures; `ota key add` first",
            role, json_array_size(json_object_get(trust, "keyids")), (unsigned long long)signatures);
    return json_object_set_new(trust, "threshold", json_integer((json_int_t)signatures)) == 0
               ? PORCH_OK
               : no_memory(why);
}

static porch_err target_path(const char *product, const char *version, char out[PATH_BYTES],
                             porch_why *why) {
    size_t len = strlen(version);
    bool good = len > 0 && len <= VERSION_MOST && version[0] != '.';
    for (size_t i = 0; i < len; i++) {
        char c = version[i];
        good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                        c == '.' || c == '-' || c == '_' || c == '+');
    }
    if (!good)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a version is 1 to %d letters, digits and '.-_+', no '.' first", VERSION_MOST);
    int n = snprintf(out, PATH_BYTES, "%s/%s/image", product, version);
    return n > 0 && n < PATH_BYTES ? PORCH_OK
                                   : porch_fail(why, PORCH_ERR_LIMIT, "the product's name is too long");
}

static porch_err add_target(porch_author_repo *r, const char *product, const char *path, uint64_t length,
                            const char *sha256, json_t *custom, porch_why *why) {
    json_t *targets = json_object_get(json_object_get(r->products, product), "targets");
    json_t *target = json_pack("{s:I,s:{s:s},s:O*}", "length", (json_int_t)length, "hashes", "sha256",
                               sha256, "custom", custom);
    return target != NULL && json_object_set_new(targets, path, target) == 0 ? PORCH_OK : no_memory(why);
}

static porch_err release_path(porch_author_repo *r, const char *product, const char *version,
                              char path[PATH_BYTES], json_t **target, porch_why *why) {
    json_t *content = json_object_get(r->products, product);
    if (content == NULL) return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no product %.64s", product);
    PORCH_TRY(target_path(product, version, path, why));
    *target = json_object_get(json_object_get(content, "targets"), path);
    return PORCH_OK;
}

porch_err porch_author_release(porch_author_repo *r, const char *product, const char *version,
                               uint64_t length, const char *sha256, json_t *custom, porch_why *why) {
    char path[PATH_BYTES];
    json_t *there = NULL;
    PORCH_TRY(release_path(r, product, version, path, &there, why));
    if (there != NULL)
        return porch_fail(why, PORCH_ERR_EXISTS,
                          "%s %s is released already; a changed image is a new version", product, version);
    return add_target(r, product, path, length, sha256, custom, why);
}

const json_t *porch_author_released(const porch_author_repo *r, const char *product, const char *version) {
    char path[PATH_BYTES];
    porch_why unused;
    if (target_path(product, version, path, &unused) != PORCH_OK) return NULL;
    return json_object_get(json_object_get(json_object_get(r->products, product), "targets"), path);
}

porch_err porch_author_delta_add(porch_author_repo *r, const char *product, const char *version,
                                 const char *old_sha256, uint64_t length, const char *sha256,
                                 json_t *custom, porch_why *why) {
    char path[PATH_BYTES], name[PATH_BYTES];
    json_t *there = NULL;
    PORCH_TRY(release_path(r, product, version, path, &there, why));
    if (there == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s has no release %s", product, version);
    int n = snprintf(name, sizeof name, "%s/%s/delta-from-%s", product, version, old_sha256);
    if (n < 0 || (size_t)n >= sizeof name)
        return porch_fail(why, PORCH_ERR_LIMIT, "the product's name is too long");
    return add_target(r, product, name, length, sha256, custom, why);
}

porch_err porch_author_manifest_add(porch_author_repo *r, const char *product, const char *version,
                                    uint64_t length, const char *sha256, porch_why *why) {
    char path[PATH_BYTES], name[PATH_BYTES];
    json_t *there = NULL;
    PORCH_TRY(release_path(r, product, version, path, &there, why));
    if (there == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s has no release %s", product, version);
    int n = snprintf(name, sizeof name, "%s/%s/manifest", product, version);
    if (n < 0 || (size_t)n >= sizeof name)
        return porch_fail(why, PORCH_ERR_LIMIT, "the product's name is too long");
    return add_target(r, product, name, length, sha256, NULL, why);
}

porch_err porch_author_widen(porch_author_repo *r, const char *product, const char *version, json_t *said,
                             uint64_t length, const char *sha256, porch_why *why) {
    char name[PATH_BYTES];
    const json_t *there = porch_author_released(r, product, version);
    json_t *rollout = json_object_get(r->products, PORCH_AUTHOR_ROLLOUT);
    json_int_t share = json_integer_value(json_object_get(said, "share"));
    if (there == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%.64s has no release %.64s", product, version);
    if (rollout == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "this repository has no role " PORCH_AUTHOR_ROLLOUT);
    int n = snprintf(name, sizeof name, PORCH_AUTHOR_ROLLOUT "/%s/%s", product, version);
    if (n < 0 || (size_t)n >= sizeof name)
        return porch_fail(why, PORCH_ERR_LIMIT, "the product's name is too long");
    const json_t *before =
        json_object_get(json_object_get(json_object_get(rollout, "targets"), name), "custom");
    if (json_integer_value(json_object_get(before, "share")) >= share)
        return porch_fail(why, PORCH_ERR_STATE,
                          "%s %s is as wide as that already; nothing narrows a release but revoke", product,
                          version);
    return add_target(r, PORCH_AUTHOR_ROLLOUT, name, length, sha256, said, why);
}

uint64_t porch_author_highest(const porch_author_repo *r, const char *product, const char *name) {
    const json_t *content = json_object_get(r->products, product);
    json_int_t highest = json_integer_value(json_object_get(json_object_get(content, WITHDRAWN), name));
    const char *path;
    json_t *target;
    json_object_foreach(json_object_get(content, "targets"), path, target) {
        json_int_t n = json_integer_value(json_object_get(json_object_get(target, "custom"), name));
        if (n > highest) highest = n;
    }
    return (uint64_t)highest;
}

/* Devices may have confirmed what is withdrawn: their floor, and what hubs count as newer, stay. */
static porch_err keep_numbers(json_t *content, const json_t *target, porch_why *why) {
    static const char *const names[] = {"serial", "counter"};
    json_t *kept = json_object_get(content, WITHDRAWN);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *number = json_object_get(json_object_get(target, "custom"), names[i]);
        if (json_integer_value(number) <= json_integer_value(json_object_get(kept, names[i]))) continue;
        if (kept == NULL) {
            kept = json_object();
            if (json_object_set_new(content, WITHDRAWN, kept) != 0) return no_memory(why);
        }
        if (json_object_set(kept, names[i], number) != 0) return no_memory(why);
    }
    return PORCH_OK;
}

porch_err porch_author_withdraw(porch_author_repo *r, const char *product, const char *version,
                                porch_why *why) {
    char path[PATH_BYTES];
    json_t *there = NULL, *each,
           *targets = json_object_get(json_object_get(r->products, product), "targets");
    const char *name;
    void *next;
    PORCH_TRY(release_path(r, product, version, path, &there, why));
    if (there == NULL)
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "%s has no release %s", product, version);
    PORCH_TRY(keep_numbers(json_object_get(r->products, product), there, why));
    size_t folder = strlen(path) - strlen("image");
    json_object_foreach_safe(targets, next, name, each) if (strncmp(name, path, folder) == 0)
        json_object_del(targets, name); /* the image and every delta to it */
    return PORCH_OK;
}

porch_err porch_author_next(json_t *content, const char *expires, porch_why *why) {
    json_int_t version = json_integer_value(json_object_get(content, "version"));
    return json_object_set_new(content, "version", json_integer(version + 1)) == 0 &&
                   json_object_set_new(content, "expires", json_string(expires)) == 0
               ? PORCH_OK
               : no_memory(why);
}

porch_err porch_author_announce(json_t *above, const char *file, const json_t *content,
                                porch_bytes signed_text, porch_why *why) {
    uint8_t hash[32];
    char text[65];
    porch_buf hex = {(uint8_t *)text, 0, 64};
    porch_sha256(signed_text, hash);
    PORCH_TRY(porch_hex_write(&hex, (porch_bytes){hash, sizeof hash}));
    text[hex.len] = '\0';
    json_t *entry = json_pack("{s:O,s:I,s:{s:s}}", "version", json_object_get(content, "version"), "length",
                              (json_int_t)signed_text.len, "hashes", "sha256", text);
    return entry != NULL && json_object_set_new(json_object_get(above, "meta"), file, entry) == 0
               ? PORCH_OK
               : no_memory(why);
}
