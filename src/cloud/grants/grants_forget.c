/* A household's end: no version of the policy names it or its devices any more, nor who of its people made
 * one, and why. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cloud/grants/grants_room.h"
#include "cloud/trust/trust_erase.h"

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

/* ---- who and why ---- */

typedef struct {
    porch_bytes text;
    bool found;
} mention;

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c >= 0x80;
}

/* As a word of its own: a device called "a" is not in every sentence. */
static porch_err look_for(const char *name, void *ctx, porch_why *why) {
    mention *m = ctx;
    size_t len = strlen(name);
    (void)why;
    for (size_t i = 0; len > 0 && i + len <= m->text.len; i++) {
        if (strncasecmp((const char *)m->text.at + i, name, len) != 0) continue;
        bool begins = i == 0 || !is_word(m->text.at[i - 1]);
        bool ends = i + len == m->text.len || !is_word(m->text.at[i + len]);
        m->found = m->found || (begins && ends);
    }
    return PORCH_OK;
}

static porch_err mentions(eraser *e, porch_bytes note, bool *ret) {
    mention m = {note, false};
    (void)look_for(e->household, &m, e->why);
    PORCH_TRY(porch_trust_erasure_names(e->db, e->household, "device", look_for, &m, e->why));
    PORCH_TRY(porch_trust_erasure_names(e->db, e->household, "user", look_for, &m, e->why));
    *ret = m.found;
    return PORCH_OK;
}

static porch_err next_note(eraser *e, int64_t *version, bool *found) {
    porch_db_query *q = porch_db_prepare(e->db,
                                         "select version, note from access_policy where version > ?1 and "
                                         "note <> '' order by version limit 1",
                                         e->why);
    porch_db_bind_i64(q, 1, *version);
    porch_err got = porch_db_step(q, e->why);
    if (got == PORCH_OK) {
        *version = porch_db_i64(q, 0);
        got = mentions(e, porch_db_text(q, 1), found);
    }
    porch_db_finish(q);
    return got;
}

static porch_err forget_notes(eraser *e) {
    int64_t version = 0;
    bool found = false;
    porch_err got;
    while ((got = next_note(e, &version, &found)) == PORCH_OK) {
        if (!found) continue;
        porch_db_query *q =
            porch_db_prepare(e->db, "update access_policy set note = '' where version = ?1", e->why);
        porch_db_bind_i64(q, 1, version);
        PORCH_TRY(porch_db_execute(q, e->why));
    }
    return got == PORCH_ERR_NOT_FOUND ? PORCH_OK : got;
}

static porch_err forget_authors(eraser *e) {
    porch_db_query *q =
        porch_db_prepare(e->db,
                         "update access_policy set who = '-', note = '' where who in (select "
                         "'user:' || name from erasure where household = ?1 and kind = "
                         "'user')",
                         e->why);
    porch_db_bind_str(q, 1, e->household);
    return porch_db_execute(q, e->why);
}

porch_err porch_grants_household_erase(porch_db *db, const char *household, porch_why *why) {
    eraser e = {db, household, PORCH_OK, why};
    grants_loaded l;
    uint64_t below = INT64_MAX;
    PORCH_TRY(forget_authors(&e));
    PORCH_TRY(forget_notes(&e));
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
