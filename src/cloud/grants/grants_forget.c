/* A household's end: no version of the policy names it or its devices any more. */
#include <stdlib.h>
#include <string.h>

#include "cloud/grants/grants_room.h"

typedef struct {
    porch_db *db;
    const char *household;
    porch_err error;
    porch_why *why;
} eraser;

static bool is_erased(eraser *e, const char *kind, porch_bytes name) {
    porch_db_query *q = porch_db_prepare(
        e->db, "select 1 from erasure where household = ?1 and kind = ?3 and lower(name) = ?2", e->why);
    porch_db_bind_str(q, 1, e->household);
    porch_db_bind_text(q, 2, name);
    porch_db_bind_str(q, 3, kind);
    porch_err found = porch_db_step(q, e->why);
    porch_db_finish(q);
    if (found != PORCH_OK && found != PORCH_ERR_NOT_FOUND) e->error = found;
    return found == PORCH_OK;
}

static bool is_erased_device(eraser *e, porch_bytes name) {
    return is_erased(e, "device", name);
}

static bool goes(eraser *e, const porch_access_member *m) {
    porch_bytes household;
    porch_role role;
    if (porch_access_member_people(m, &household, &role))
        return porch_bytes_eq_text(household, e->household);
    if (m->kind == PORCH_ACCESS_MEMBER_PERSON) return is_erased(e, "user", m->value);
    return (m->kind == PORCH_ACCESS_MEMBER_HOUSEHOLD && porch_bytes_eq_text(m->value, e->household)) ||
           (m->kind == PORCH_ACCESS_MEMBER_DEVICE && is_erased_device(e, m->value));
}

/* The level that a device's id has in a filter: d/ID/... and $porchlight/device/ID/...; elsewhere the same
 * word means something else. */
static bool device_level(porch_bytes filter, porch_bytes *ret) {
    porch_topic_level walk = porch_topic_level_first(filter);
    porch_bytes level;
    if (!porch_topic_level_next(&walk, &level)) return false;
    if (porch_bytes_eq_text(level, "$porchlight")) {
        if (!porch_topic_level_next(&walk, &level) || !porch_bytes_eq_text(level, "device")) return false;
    } else if (!porch_bytes_eq_text(level, "d")) {
        return false;
    }
    return porch_topic_level_next(&walk, ret);
}

/* A statement about topics of a device that is gone says nothing any more. */
static bool speaks_of_erased(eraser *e, porch_bytes filter) {
    porch_bytes device;
    return device_level(filter, &device) && is_erased_device(e, device);
}

static size_t thin_group(eraser *e, porch_access_group *g) {
    size_t members = 0, statements = 0, before = g->member_count + g->statement_count;
    for (size_t i = 0; i < g->member_count; i++)
        if (!goes(e, &g->members[i])) g->members[members++] = g->members[i];
    for (size_t i = 0; i < g->statement_count; i++)
        if (!speaks_of_erased(e, g->statements[i].filter.text))
            g->statements[statements++] = g->statements[i];
    g->member_count = members;
    g->statement_count = statements;
    return before - members - statements;
}

/* Takes out what must go; tells how much it was. */
static size_t thin(eraser *e, porch_access_document *d) {
    size_t gone = 0, tagged = 0;
    for (size_t i = 0; i < d->group_count; i++)
        gone += thin_group(e, &d->groups[i]);
    for (size_t i = 0; i < d->tagged_count; i++)
        if (!is_erased_device(e, d->tagged[i].device)) d->tagged[tagged++] = d->tagged[i];
    gone += d->tagged_count - tagged;
    d->tagged_count = tagged;
    return gone;
}

static porch_err rewrite(eraser *e, const grants_loaded *l) {
    char *text = porch_grants_print(&l->document);
    if (text == NULL) return porch_fail(e->why, PORCH_ERR_INTERNAL, "no memory for the policy");
    porch_db_query *q =
        porch_db_prepare(e->db, "update access_policy set text = ?1 where version = ?2", e->why);
    porch_db_bind_str(q, 1, text);
    porch_db_bind_i64(q, 2, (int64_t)l->version);
    free(text);
    return porch_db_execute(q, e->why);
}

porch_err porch_grants_household_erase(porch_db *db, const char *household, porch_why *why) {
    eraser e = {db, household, PORCH_OK, why};
    grants_loaded l;
    uint64_t below = INT64_MAX;
    for (;;) { /* from the newest down */
        porch_err found = porch_grants_load_below(db, below, &l, why);
        if (found == PORCH_ERR_NOT_FOUND) return PORCH_OK;
        if (found != PORCH_OK) return found;
        below = l.version;
        size_t gone = thin(&e, &l.document);
        if (e.error == PORCH_OK && gone > 0) e.error = rewrite(&e, &l);
        porch_grants_loaded_free(&l);
        if (e.error != PORCH_OK) return e.error;
    }
}
