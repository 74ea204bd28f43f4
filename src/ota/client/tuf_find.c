/* The search for a target through delegations (5.6.7), in memory of fixed size: steps form a list in the
 * order in which they will be visited, and only one role's metadata is held at a time. A parent is read
 * again from storage when its next child's turn comes; its hash says that it is still the one that was
 * verified. */
#include <string.h>

#include "base/text.h"
#include "ota/client/tuf_client_room.h"
#include "ota/client/tuf_name.h"

enum { NONE = UINT16_MAX };

static bool in_paths(porch_bytes paths, porch_bytes path) {
    porch_tuf_json_walk w = porch_tuf_json_open(paths);
    porch_bytes name, value, pattern;
    while (porch_tuf_json_next(&w, &name, &value))
        if (porch_tuf_json_string(value, &pattern) && porch_tuf_pattern_matches(pattern, path)) return true;
    return false;
}

static bool in_hash_prefixes(porch_bytes prefixes, const char hash_text[64]) {
    porch_tuf_json_walk w = porch_tuf_json_open(prefixes);
    porch_bytes name, value, prefix, hash = {(const uint8_t *)hash_text, 64};
    while (porch_tuf_json_next(&w, &name, &value))
        if (porch_tuf_json_string(value, &prefix) && prefix.len > 0 && porch_bytes_starts(hash, prefix))
            return true;
    return false;
}

typedef struct {
    porch_bytes path;
    char hash_text[64]; /* of the path, for path_hash_prefixes */
} wanted;

static porch_err covers(porch_bytes delegation, const wanted *w, bool *ret, porch_why *why) {
    porch_bytes paths, prefixes, any;
    bool by_path = porch_tuf_json_member(delegation, "paths", &any);
    bool by_hash = porch_tuf_json_member(delegation, "path_hash_prefixes", &any);
    if (by_path == by_hash || (by_path && !porch_tuf_json_array(delegation, "paths", &paths)) ||
        (by_hash && !porch_tuf_json_array(delegation, "path_hash_prefixes", &prefixes)))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a delegation needs a list of paths or one of path_hash_prefixes, and not both");
    *ret = by_path ? in_paths(paths, w->path) : in_hash_prefixes(prefixes, w->hash_text);
    return PORCH_OK;
}

static porch_err name_of(porch_bytes delegation, char out[PORCH_TUF_NAME_BYTES + 1], porch_why *why) {
    porch_bytes value, inner;
    if (!porch_tuf_json_member(delegation, "name", &value) || !porch_tuf_json_string(value, &inner) ||
        !porch_tuf_json_copy(inner, out, PORCH_TUF_NAME_BYTES + 1) ||
        !porch_tuf_role_name_ok(porch_bytes_of(out), PORCH_TUF_NAME_BYTES))
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a delegated role has no name, or one that is not allowed");
    return PORCH_OK;
}

static porch_err held_delegations(const porch_tuf *t, porch_bytes *keys, porch_bytes *roles, bool *any,
                                  porch_why *why) {
    porch_tuf_header header;
    porch_bytes delegations, value;
    PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.targets), "targets", &header, why));
    *any = porch_tuf_json_member(header.content, "delegations", &value);
    if (!*any) return PORCH_OK;
    if (!porch_tuf_json_object(header.content, "delegations", &delegations) ||
        !porch_tuf_json_object(delegations, "keys", keys) ||
        !porch_tuf_json_array(delegations, "roles", roles))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the delegations lack keys or a list of roles");
    return PORCH_OK;
}

typedef struct {
    porch_tuf *t;
    uint16_t head;  /* the next step to visit */
    uint16_t count; /* steps in use */
} search;

/* The delegations of the held role that cover the path come before all that waits; after a terminating one
 * nothing else will be asked. */
static porch_err add_children(search *s, const wanted *w, uint16_t parent, porch_why *why) {
    porch_tuf_memory *m = &s->t->memory;
    porch_bytes keys, roles, name, delegation;
    uint16_t after = s->head, *link = &s->head;
    bool any = false, fits = false, terminating = false;
    PORCH_TRY(held_delegations(s->t, &keys, &roles, &any, why));
    if (!any) return PORCH_OK;
    porch_tuf_json_walk walk = porch_tuf_json_open(roles);
    while (!terminating && porch_tuf_json_next(&walk, &name, &delegation)) {
        PORCH_TRY(covers(delegation, w, &fits, why));
        if (!fits) continue;
        if (s->count >= m->step_cap || s->count == NONE)
            return porch_fail(why, PORCH_ERR_LIMIT, "more than %zu roles may speak of the target",
                              m->step_cap);
        porch_tuf_step *step = &m->steps[s->count];
        *step = (porch_tuf_step){.parent = parent};
        PORCH_TRY(name_of(delegation, step->name, why));
        (void)porch_tuf_json_bool(delegation, "terminating", &terminating);
        *link = s->count++;
        link = &step->next;
    }
    *link = terminating ? NONE : after;
    return PORCH_OK;
}

static bool visited_before(const search *s, const char *name) {
    for (uint16_t i = 0; i < s->count; i++)
        if (s->t->memory.steps[i].visited && strcmp(s->t->memory.steps[i].name, name) == 0) return true;
    return false;
}

/* The first delegation of that name in the held role. */
static porch_err trust_of(const porch_tuf *t, const char *child, porch_tuf_trust *ret, porch_why *why) {
    porch_bytes keys, roles = {NULL, 0}, unused, delegation;
    char name[PORCH_TUF_NAME_BYTES + 1];
    bool any = false;
    PORCH_TRY(held_delegations(t, &keys, &roles, &any, why));
    porch_tuf_json_walk w = porch_tuf_json_open(roles);
    while (any && porch_tuf_json_next(&w, &unused, &delegation))
        if (name_of(delegation, name, why) == PORCH_OK && strcmp(name, child) == 0)
            return porch_tuf_trust_read(keys, delegation, ret, why);
    return porch_fail(why, PORCH_ERR_INTERNAL, "a delegation is lost during the search");
}

/* Brings the step's role into memory.targets, verified by the keys that its parent names. */
static porch_err hold(search *s, uint16_t at, porch_why *why) {
    porch_tuf *t = s->t;
    porch_tuf_step *step = &t->memory.steps[at];
    porch_tuf_trust trust;
    if (at == 0) {
        if (t->held != 0) PORCH_TRY(porch_tuf_retake_targets(t, step->name, step->sha256, why));
        t->held = 0;
        return PORCH_OK;
    }
    const porch_tuf_step *parent = &t->memory.steps[step->parent];
    if (t->held != step->parent) PORCH_TRY(porch_tuf_retake_targets(t, parent->name, parent->sha256, why));
    t->held = step->parent;
    PORCH_TRY(trust_of(t, step->name, &trust, why));
    PORCH_TRY(porch_tuf_take_targets(t, step->name, &trust, step->sha256, why));
    t->held = at;
    return PORCH_OK;
}

/* Visits roles until one names the path and `ret` is asked for, or none is left: NOT_FOUND. The last one
 * visited is held. */
static porch_err visit(porch_tuf *t, porch_bytes path, porch_tuf_target *ret, bool *over, porch_why *why) {
    *over = false;
    search s = {.t = t, .head = 0, .count = 1};
    wanted w = {.path = path};
    uint8_t hash[32];
    porch_buf text = {(uint8_t *)w.hash_text, 0, sizeof w.hash_text};
    if (!t->fresh) return porch_fail(why, PORCH_ERR_STATE, "the metadata is not fresh; refresh it first");
    t->crypto->sha256(path, hash);
    PORCH_TRY(porch_hex_write(&text, (porch_bytes){hash, sizeof hash}));
    t->memory.steps[0].visited = false;
    t->memory.steps[0].next = NONE;
    for (unsigned visits = 0; s.head != NONE && visits < t->limits.roles;) {
        uint16_t at = s.head;
        porch_tuf_step *step = &t->memory.steps[at];
        porch_tuf_header header;
        s.head = step->next;
        if (visited_before(&s, step->name)) continue;
        PORCH_TRY(hold(&s, at, why));
        step->visited = true;
        visits++;
        PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.targets), "targets", &header, why));
        porch_err e =
            ret != NULL ? porch_tuf_target_read(header.content, path, ret, why) : PORCH_ERR_NOT_FOUND;
        if (e != PORCH_ERR_NOT_FOUND) return e;
        PORCH_TRY(add_children(&s, &w, at, why));
    }
    *over = true;
    return porch_fail(why, PORCH_ERR_NOT_FOUND, "no role that may speak of it names this target");
}

porch_err porch_tuf_find(porch_tuf *t, porch_bytes path, porch_tuf_target *ret, porch_why *why) {
    bool over = false;
    return visit(t, path, ret, &over, why);
}

porch_err porch_tuf_find_role(porch_tuf *t, porch_bytes path, porch_bytes *content, porch_why *why) {
    porch_tuf_header header;
    bool over = false;
    porch_err e = visit(t, path, NULL, &over, why);
    if (!over) return e;
    if (t->held == 0) return porch_fail(why, e, "no delegated role may speak of this path");
    PORCH_TRY(porch_tuf_header_read(porch_buf_bytes(&t->memory.targets), "targets", &header, why));
    *content = header.content;
    return PORCH_OK;
}

porch_err porch_tuf_target_path(const porch_tuf *t, porch_bytes path, const porch_tuf_target *target,
                                char *out, size_t cap) {
    porch_buf b = {(uint8_t *)out, 0, cap};
    size_t base = path.len;
    while (base > 0 && path.at[base - 1] != '/')
        base--;
    if (!porch_tuf_quote((porch_bytes){path.at, base}, false, out, cap)) return PORCH_ERR_NO_SPACE;
    b.len = strlen(out);
    if (t->consistent) {
        porch_bytes hash = target->hashes.has_sha256
                               ? (porch_bytes){target->hashes.sha256, sizeof target->hashes.sha256}
                               : (porch_bytes){target->hashes.sha512, sizeof target->hashes.sha512};
        PORCH_TRY(porch_hex_write(&b, hash));
        PORCH_TRY(porch_write_u8(&b, '.'));
    }
    if (!porch_tuf_quote((porch_bytes){path.at + base, path.len - base}, false, out + b.len, cap - b.len))
        return PORCH_ERR_NO_SPACE;
    return PORCH_OK;
}
