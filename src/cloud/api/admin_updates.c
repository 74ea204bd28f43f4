/* ota.* on the admin socket: a product team's repository comes to the hub.
 *
 *   ota.keys                      the hub's three public keys, for the folder's root
 *   ota.have {names}              how much of each file is there
 *   ota.put {name, offset, data}  bytes of one, in base64
 *   ota.commit {...}              verified, announced, in force
 *   ota.prune {dry_run}           images that nobody is led to any more go
 *   ota.status                    what is in force, or what is amiss with it */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/admin.h"
#include "cloud/api/backup_copy.h"
#include "cloud/rollout/updates.h"

enum { NAMES_MOST = 4096 };

static porch_err need_updates(porch_admin_call *call) {
    if (call->world->updates != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without updates");
}

static porch_err keys(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    char snapshot[PORCH_SIGNER_UPDATE_KEY_TEXT], timestamp[PORCH_SIGNER_UPDATE_KEY_TEXT], time[65] = "";
    uint8_t key[32];
    porch_buf hex = {(uint8_t *)time, 0, sizeof time - 1};
    PORCH_TRY(porch_admin_only(call, names));
    if (call->world->signer == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its signer");
    PORCH_TRY(porch_signer_update_keys_get(call->world->signer, snapshot, timestamp, call->why));
    PORCH_TRY(porch_signer_time_key(call->world->signer, key, call->why));
    PORCH_TRY(porch_hex_write(&hex, (porch_bytes){key, sizeof key}));
    return json_object_set_new(call->result, "time", json_string(time)) == 0 &&
                   json_object_set_new(call->result, "snapshot", json_string(snapshot)) == 0 &&
                   json_object_set_new(call->result, "timestamp", json_string(timestamp)) == 0
               ? PORCH_OK
               : PORCH_ERR_INTERNAL;
}

static porch_err have(porch_admin_call *call) {
    static const char *const names[] = {"names", NULL};
    const json_t *list = json_object_get(call->args, "names");
    json_t *answer = json_array(), *each;
    size_t i;
    porch_err e = porch_admin_only(call, names);
    if (e == PORCH_OK) e = need_updates(call);
    if (e == PORCH_OK && (!json_is_array(list) || json_array_size(list) > NAMES_MOST))
        e = porch_fail(call->why, PORCH_ERR_USAGE, "names is a list of at most %d files", NAMES_MOST);
    json_array_foreach(list, i, each) {
        uint64_t bytes = 0;
        bool whole = false;
        const char *name = json_string_value(each);
        if (e == PORCH_OK)
            e = name == NULL ? PORCH_ERR_USAGE
                             : porch_updates_have(call->world->updates, name, &bytes, &whole, call->why);
        if (e == PORCH_OK)
            e = json_array_append_new(
                    answer, json_pack("{s:I,s:b}", "bytes", (json_int_t)bytes, "whole", whole)) == 0
                    ? PORCH_OK
                    : PORCH_ERR_INTERNAL;
    }
    if (e == PORCH_OK)
        return json_object_set_new(call->result, "files", answer) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
    json_decref(answer);
    return e;
}

static porch_err put(porch_admin_call *call) {
    static const char *const names[] = {"name", "offset", "data", NULL};
    const char *name = NULL, *data = json_string_value(json_object_get(call->args, "data"));
    const json_t *offset = json_object_get(call->args, "offset");
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_updates(call));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    if (data == NULL || !json_is_integer(offset) || json_integer_value(offset) < 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "data is base64, offset a number from 0");
    size_t len = strlen(data);
    porch_buf raw = {malloc(len + 1), 0, len};
    if (raw.at == NULL) return PORCH_ERR_NO_SPACE;
    porch_err e = porch_base64_read(&raw, porch_bytes_of(data), false);
    if (e != PORCH_OK) e = porch_fail(call->why, PORCH_ERR_USAGE, "data is no base64");
    if (e == PORCH_OK)
        e = porch_updates_put(call->world->updates, name, (uint64_t)json_integer_value(offset),
                              porch_buf_bytes(&raw), call->why);
    free(raw.at);
    return e;
}

/* {"root": HEX, "camera": HEX}: of the folder's own files. May be missing, whole or in parts. */
static porch_err read_hash(porch_admin_call *call, const char *role, porch_updates_file_hash *ret) {
    const json_t *hex = json_object_get(json_object_get(call->args, "sha256"), role);
    porch_buf into = PORCH_BUF_OF(ret->sha256);
    if (hex == NULL) return PORCH_OK;
    ret->said = true;
    if (json_is_string(hex) && porch_hex_read(&into, porch_bytes_of(json_string_value(hex))) == PORCH_OK &&
        into.len == sizeof ret->sha256)
        return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_USAGE, "'sha256' of %.64s is 64 hex digits", role);
}

static porch_err read_plan(porch_admin_call *call, porch_updates_plan *ret) {
    const json_t *roles = json_object_get(call->args, "roles");
    const struct {
        const char *name;
        uint64_t *into;
    } numbers[] = {{"root", &ret->root}, {"snapshot", &ret->snapshot}, {"timestamp", &ret->timestamp}};
    const char *name;
    json_t *version;
    for (size_t i = 0; i < 3; i++) {
        const json_t *n = json_object_get(call->args, numbers[i].name);
        if (!json_is_integer(n) || json_integer_value(n) < 0)
            return porch_fail(call->why, PORCH_ERR_USAGE, "'%s' is a number from 0", numbers[i].name);
        *numbers[i].into = (uint64_t)json_integer_value(n);
    }
    if (!json_is_object(roles) || json_object_size(roles) > PORCH_UPDATES_ROLES_MOST)
        return porch_fail(call->why, PORCH_ERR_USAGE, "'roles' are at most %d names with their versions",
                          PORCH_UPDATES_ROLES_MOST);
    json_object_foreach((json_t *)roles, name, version) {
        porch_updates_announced *a = &ret->roles[ret->count++];
        if (!json_is_integer(version) || json_integer_value(version) <= 0 ||
            !porch_bytes_to_text(porch_bytes_of(name), a->name, sizeof a->name) ||
            strchr(name, '/') != NULL || strchr(name, '.') != NULL)
            return porch_fail(call->why, PORCH_ERR_USAGE, "'%.64s' is no role with a version", name);
        a->version = (uint64_t)json_integer_value(version);
        PORCH_TRY(read_hash(call, a->name, &a->hash));
    }
    return read_hash(call, "root", &ret->root_hash);
}

static porch_err commit(porch_admin_call *call) {
    static const char *const names[] = {"root", "snapshot", "timestamp", "roles", "sha256", NULL};
    porch_updates_plan plan = {.count = 0};
    porch_updates_outcome outcome = {0};
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_updates(call));
    PORCH_TRY(read_plan(call, &plan));
    if (porch_backup_copy_held(call->world->dir))
        return porch_fail(call->why, PORCH_ERR_BUSY,
                          "a backup is being made; publish again when it is done (nothing travels twice)");
    PORCH_TRY(porch_updates_commit(call->world->updates, "operator", &plan, &outcome, call->why));
    json_decref(call->result);
    call->result = json_pack("{s:I,s:I,s:I,s:i,s:i}", "root", (json_int_t)outcome.root, "snapshot",
                             (json_int_t)outcome.snapshot, "timestamp", (json_int_t)outcome.timestamp,
                             "releases", (int)outcome.releases, "withdrawn", (int)outcome.withdrawn);
    return call->result != NULL ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static void add_name(const char *name, void *ctx) {
    (void)json_array_append_new(ctx, json_string(name));
}

static porch_err status(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    porch_updates_state s;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_updates(call));
    porch_updates_state_get(call->world->updates, &s);
    json_t *bad = json_array();
    porch_updates_bad_names(call->world->updates, add_name, bad);
    json_decref(call->result);
    call->result =
        json_pack("{s:o,s:b,s:b,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "damaged_images", bad, "images_checked",
                  porch_updates_checked(call->world->updates), "published", s.timestamp > 0, "damage",
                  s.damage, "trouble", s.trouble, "root", (json_int_t)s.root, "snapshot",
                  (json_int_t)s.snapshot, "timestamp", (json_int_t)s.timestamp, "snapshot_ends_ms",
                  (json_int_t)s.snapshot_ends_ms, "timestamp_ends_ms", (json_int_t)s.timestamp_ends_ms);
    return call->result != NULL ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err prune(porch_admin_call *call) {
    static const char *const names[] = {"dry_run", NULL};
    porch_updates_pruned pruned;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_updates(call));
    if (porch_backup_copy_held(call->world->dir))
        return porch_fail(call->why, PORCH_ERR_BUSY, "a backup is being made; prune when it is done");
    PORCH_TRY(porch_updates_prune(call->world->updates, porch_admin_flag(call, "dry_run"), "operator",
                                  &pruned, call->why));
    return json_object_set_new(call->result, "files", json_integer((json_int_t)pruned.files)) == 0 &&
                   json_object_set_new(call->result, "bytes", json_integer((json_int_t)pruned.bytes)) == 0
               ? PORCH_OK
               : PORCH_ERR_INTERNAL;
}

const porch_admin_command porch_admin_updates_commands[] = {
    {"ota.keys", keys},   {"ota.have", have},     {"ota.put", put}, {"ota.commit", commit},
    {"ota.prune", prune}, {"ota.status", status}, {NULL, NULL},
};
