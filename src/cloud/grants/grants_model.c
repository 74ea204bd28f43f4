#include "cloud/grants/grants_model.h"

#include <stdlib.h>
#include <string.h>

#include "access/statement.h"

static const struct {
    const char *word;
    grants_member_kind kind;
} member_words[] = {
    {"devices", GRANTS_MEMBER_DEVICES}, {"device", GRANTS_MEMBER_DEVICE},
    {"product", GRANTS_MEMBER_PRODUCT}, {"household", GRANTS_MEMBER_HOUSEHOLD},
    {"service", GRANTS_MEMBER_SERVICE},
};

/* The array with one more, zeroed element at its end; NULL (and the array as it was) without memory. */
static void *grown(void *array, size_t count, size_t element_bytes) {
    uint8_t *at = realloc(array, (count + 1) * element_bytes);
    if (at != NULL) memset(at + count * element_bytes, 0, element_bytes);
    return at;
}

static grants_group *find(const grants_model *m, porch_bytes name) {
    for (size_t i = 0; i < m->count; i++)
        if (porch_bytes_eq_text(name, m->groups[i].name)) return &m->groups[i];
    return NULL;
}

static porch_err take_member(grants_model *m, porch_db_query *q, porch_why *why) {
    grants_group *g = find(m, porch_db_text(q, 0));
    if (g == NULL) return porch_fail(why, PORCH_ERR_DATABASE, "a member belongs to no group");
    grants_member *members = grown(g->members, g->member_count, sizeof *members);
    if (members == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
    g->members = members;
    grants_member *member = &members[g->member_count++];
    bool known = false;
    for (size_t i = 0; i < sizeof member_words / sizeof member_words[0]; i++) {
        if (!porch_bytes_eq_text(porch_db_text(q, 1), member_words[i].word)) continue;
        member->kind = member_words[i].kind;
        known = true;
    }
    if (!known || !porch_bytes_to_text(porch_db_text(q, 2), member->value, sizeof member->value))
        return porch_fail(why, PORCH_ERR_DATABASE, "group %s has a member that cannot be read", g->name);
    return PORCH_OK;
}

static porch_err take_statement(grants_model *m, porch_db_query *q, porch_why *why) {
    grants_group *g = find(m, porch_db_text(q, 0));
    if (g == NULL) return porch_fail(why, PORCH_ERR_DATABASE, "a statement belongs to no group");
    porch_grants_statement *statements = grown(g->statements, g->statement_count, sizeof *statements);
    if (statements == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
    g->statements = statements;
    porch_grants_statement *s = &statements[g->statement_count++];
    s->deny = porch_bytes_eq_text(porch_db_text(q, 1), "deny");
    if (porch_access_actions_parse(porch_db_text(q, 2), &s->actions, NULL) != PORCH_OK ||
        !porch_bytes_to_text(porch_db_text(q, 3), s->filter, sizeof s->filter))
        return porch_fail(why, PORCH_ERR_DATABASE, "group %s has a statement that cannot be read", g->name);
    return PORCH_OK;
}

static porch_err take_group(grants_model *m, porch_db_query *q, porch_why *why) {
    grants_group *groups = grown(m->groups, m->count, sizeof *groups);
    if (groups == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
    m->groups = groups;
    grants_group *g = &groups[m->count++];
    if (porch_bytes_to_text(porch_db_text(q, 0), g->name, sizeof g->name)) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_DATABASE, "a group's name cannot be read");
}

typedef porch_err (*take_row)(grants_model *m, porch_db_query *q, porch_why *why);

static porch_err take_all(grants_model *m, porch_db *db, const char *sql, take_row take, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        e = take(m, q, why);
        if (e != PORCH_OK) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_grants_model_read(porch_db *db, grants_model *ret, porch_why *why) {
    grants_model m = {0};
    porch_err e = take_all(&m, db, "select name from access_group order by name", take_group, why);
    if (e == PORCH_OK)
        e = take_all(&m, db,
                     "select group_name, kind, value from access_member order by group_name, kind, value",
                     take_member, why);
    if (e == PORCH_OK)
        e = take_all(&m, db,
                     "select group_name, effect, actions, filter from access_statement order by "
                     "group_name, position",
                     take_statement, why);
    if (e != PORCH_OK) {
        porch_grants_model_free(&m);
        return e;
    }
    *ret = m;
    return PORCH_OK;
}

void porch_grants_model_free(grants_model *m) {
    for (size_t i = 0; i < m->count; i++) {
        free(m->groups[i].members);
        free(m->groups[i].statements);
    }
    free(m->groups);
    *m = (grants_model){0};
}

const grants_group *porch_grants_model_find(const grants_model *m, const char *name) {
    return find(m, porch_bytes_of(name));
}

static bool member_is(const grants_member *m, const porch_registry_entry *entry) {
    bool device = entry->kind == PORCH_PRINCIPAL_DEVICE;
    switch (m->kind) {
    case GRANTS_MEMBER_DEVICES:
        return device;
    case GRANTS_MEMBER_DEVICE:
        return device && strcmp(m->value, entry->name) == 0;
    case GRANTS_MEMBER_PRODUCT:
        return device && strcmp(m->value, entry->product) == 0;
    case GRANTS_MEMBER_HOUSEHOLD:
        return device && strcmp(m->value, entry->household) == 0;
    case GRANTS_MEMBER_SERVICE:
        return entry->kind == PORCH_PRINCIPAL_SERVICE && strcmp(m->value, entry->name) == 0;
    }
    return false;
}

bool porch_grants_group_holds(const grants_group *g, const porch_registry_entry *entry) {
    for (size_t i = 0; i < g->member_count; i++)
        if (member_is(&g->members[i], entry)) return true;
    return false;
}
