/* A publish that goes as far as the signer goes to its end. The signer never forgets what it has announced
 * and announces nothing older: from then on the repository that is in force cannot be renewed, and would
 * expire for all devices, unless the announced one comes into force.
 *
 *   verified ─► incoming/.plan ─► signer ─► files moved ─► timestamp.json ─► rows ─► .plan goes
 *
 * Whatever breaks off behind the plan (a full disk, a power cut) is done again by porch_updates_tend, from
 * the verification on. Backups leave it out with all of incoming/. */
#include "cloud/rollout/updates_room.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file.h"

enum { PLAN_MOST = 64 * 1024 };

static porch_err place(const porch_updates *u, char out[PORCH_UPDATES_PATH]) {
    return porch_path_join(u->folder, "incoming/.plan", out, PORCH_UPDATES_PATH);
}

static json_t *json_of(const porch_updates_pending *p) {
    json_t *roles = json_object();
    bool good = true;
    for (size_t i = 0; i < p->plan.count; i++)
        good = json_object_set_new(roles, p->plan.roles[i].name,
                                   json_integer((json_int_t)p->plan.roles[i].version)) == 0 &&
               good;
    if (!good) {
        json_decref(roles);
        return NULL;
    }
    return json_pack("{s:s,s:I,s:I,s:I,s:o}", "who", p->who, "root", (json_int_t)p->plan.root, "snapshot",
                     (json_int_t)p->plan.snapshot, "timestamp", (json_int_t)p->plan.timestamp, "roles",
                     roles);
}

static porch_err write_plan(const char *path, const porch_updates_pending *p, porch_why *why) {
    json_t *json = json_of(p);
    char *text = json_dumps(json, JSON_COMPACT);
    porch_err e = text == NULL ? porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the plan of a publish")
                               : porch_file_write_atomic(path, porch_bytes_of(text), 0600, why);
    free(text);
    json_decref(json);
    return e;
}

porch_err porch_updates_pending_set(porch_updates *u, const porch_updates_pending *p, porch_why *why) {
    char path[PORCH_UPDATES_PATH];
    PORCH_TRY(place(u, path));
    if (p->there) PORCH_TRY(write_plan(path, p, why));
    if (!p->there && unlink(path) != 0 && errno != ENOENT)
        return porch_fail(why, PORCH_ERR_IO, "remove %.200s: %s", path, strerror(errno));
    u->pending = *p;
    return PORCH_OK;
}

static uint64_t number_of(const json_t *json, const char *name) {
    json_int_t n = json_integer_value(json_object_get(json, name));
    return n > 0 ? (uint64_t)n : 0;
}

static bool read_plan(const json_t *json, porch_updates_pending *ret) {
    porch_updates_pending p = {.there = true,
                               .plan = {.root = number_of(json, "root"),
                                        .snapshot = number_of(json, "snapshot"),
                                        .timestamp = number_of(json, "timestamp")}};
    json_t *roles = json_object_get(json, "roles"), *version;
    const char *name, *who = json_string_value(json_object_get(json, "who"));
    if (p.plan.root == 0 || who == NULL || json_object_size(roles) > PORCH_UPDATES_ROLES_MOST) return false;
    (void)snprintf(p.who, sizeof p.who, "%s", who);
    json_object_foreach(roles, name, version) {
        porch_updates_announced *a = &p.plan.roles[p.plan.count++];
        if (!porch_bytes_to_text(porch_bytes_of(name), a->name, sizeof a->name)) return false;
        a->version = (uint64_t)json_integer_value(version);
    }
    *ret = p;
    return true;
}

void porch_updates_pending_load(porch_updates *u) {
    char path[PORCH_UPDATES_PATH];
    uint8_t *text = NULL;
    size_t len = 0;
    if (place(u, path) != PORCH_OK || porch_file_read(path, PLAN_MOST, &text, &len, NULL) != PORCH_OK)
        return;
    json_t *json = json_loadb((const char *)text, len, 0, NULL);
    (void)read_plan(json, &u->pending);
    json_decref(json);
    free(text);
    if (u->pending.there)
        porch_updates_trouble(u, PORCH_UPDATES_UNFINISHED, "the hub stopped before its end");
}

void porch_updates_trouble(porch_updates *u, const char *what, const char *reason) {
    pthread_mutex_lock(&u->lock);
    (void)snprintf(u->state.trouble, sizeof u->state.trouble, "%s%s%.180s", what,
                   what[0] != '\0' ? ": " : "", reason);
    pthread_mutex_unlock(&u->lock);
}
