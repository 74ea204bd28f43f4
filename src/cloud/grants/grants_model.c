#include "cloud/grants/grants_model.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES_KEPT = 16384, CLASS_BUCKETS = 4096, GROUP_NAME_BYTES = PORCH_ACCESS_GROUP_BYTES + 1 };

struct grants_class {
    atomic_uint references;
    grants_class *chain;
    uint64_t hash;
    uint32_t group_count;
    uint32_t *groups;                /* in order */
    char (*names)[GROUP_NAME_BYTES]; /* of the groups */
    porch_access_automaton *automaton;
};

struct grants_model {
    atomic_uint references;
    char *text;
    uint64_t version;
    void *rows; /* the document's */
    porch_access_document document;
    void *index_rows;
    porch_access_index index;
    size_t statements_most;
    pthread_mutex_t lock; /* the classes */
    grants_class *buckets[CLASS_BUCKETS];
    size_t class_count;
};

/* ---- making --------------------------------------------------------------------------------------- */

static porch_err parse(grants_model *m, porch_why *why) {
    porch_bytes text = porch_bytes_of(m->text);
    size_t bytes = porch_access_document_bytes(text);
    m->rows = malloc(bytes);
    if (m->rows == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
    porch_arena arena = porch_arena_of(m->rows, bytes);
    return porch_access_document_parse(text, &arena, &m->document, NULL, why);
}

static porch_err make_index(grants_model *m, porch_why *why) {
    size_t bytes = porch_access_index_bytes(&m->document);
    m->index_rows = malloc(bytes);
    porch_arena arena = porch_arena_of(m->index_rows, bytes);
    if (m->index_rows != NULL && porch_access_index_make(&m->document, &arena, &m->index) == PORCH_OK)
        return PORCH_OK;
    return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
}

/* All statements at once: what this automaton can hold, every smaller one can. */
static porch_err try_all(const grants_model *m, porch_why *why) {
    size_t count = 0, n = 0;
    for (size_t i = 0; i < m->document.group_count; i++)
        count += m->document.groups[i].statement_count;
    porch_access_statement *all = calloc(count + 1, sizeof *all);
    for (size_t i = 0; all != NULL && i < m->document.group_count; i++)
        for (size_t k = 0; k < m->document.groups[i].statement_count; k++)
            all[n++] = m->document.groups[i].statements[k];
    size_t bytes = all == NULL ? 0 : porch_access_automaton_bytes(all, count);
    void *block = all == NULL ? NULL : malloc(bytes);
    const porch_access_automaton *made;
    porch_err e =
        block == NULL ? PORCH_ERR_INTERNAL : porch_access_automaton_build(all, count, block, bytes, &made);
    free(block);
    free(all);
    if (e == PORCH_ERR_LIMIT)
        return porch_fail(why, e,
                          "the policy has more than %d different levels with variables; write them alike",
                          PORCH_ACCESS_COMPUTED_MOST);
    return e == PORCH_OK ? e : porch_fail(why, e, "no memory for the grants");
}

porch_err porch_grants_model_make(char *text, uint64_t version, uint32_t statements_most,
                                  grants_model **ret, porch_why *why) {
    grants_model *m = calloc(1, sizeof *m);
    if (m == NULL) {
        free(text);
        return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
    }
    atomic_init(&m->references, 1);
    pthread_mutex_init(&m->lock, NULL);
    m->text = text;
    m->version = version;
    m->statements_most = statements_most;
    porch_err e = parse(m, why);
    if (e == PORCH_OK) e = make_index(m, why);
    if (e == PORCH_OK) e = try_all(m, why);
    if (e != PORCH_OK) {
        porch_grants_model_release(m);
        return e;
    }
    *ret = m;
    return PORCH_OK;
}

grants_model *porch_grants_model_retain(grants_model *m) {
    atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed);
    return m;
}

void porch_grants_model_release(grants_model *m) {
    if (m == NULL || atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < CLASS_BUCKETS; i++) {
        for (grants_class *c = m->buckets[i], *next; c != NULL; c = next) {
            next = c->chain;
            porch_grants_class_release(c);
        }
    }
    pthread_mutex_destroy(&m->lock);
    free(m->index_rows);
    free(m->rows);
    free(m->text);
    free(m);
}

const porch_access_document *porch_grants_model_document(const grants_model *m) {
    return &m->document;
}

const char *porch_grants_model_text(const grants_model *m) {
    return m->text;
}

uint64_t porch_grants_model_version(const grants_model *m) {
    return m->version;
}

bool porch_grants_principal(const porch_registry_entry *entry, porch_access_principal *ret) {
    porch_access_principal who = {.name = porch_bytes_of(entry->name),
                                  .product = porch_bytes_of(entry->product),
                                  .household = porch_bytes_of(entry->household),
                                  .role = (porch_role)entry->role};
    switch (entry->kind) {
    case PORCH_PRINCIPAL_DEVICE:
        who.kind = PORCH_ACCESS_DEVICE;
        break;
    case PORCH_PRINCIPAL_SERVICE:
        who.kind = PORCH_ACCESS_SERVICE;
        break;
    case PORCH_PRINCIPAL_PERSON:
        who.kind = PORCH_ACCESS_PERSON;
        break;
    default:
        return false;
    }
    *ret = who;
    return true;
}

/* ---- the groups of a principal -------------------------------------------------------------------- */

typedef struct {
    uint32_t *at; /* in order */
    size_t count;
} group_set;

static size_t groups_of(const grants_model *m, const porch_registry_entry *entry, uint32_t *out) {
    porch_access_principal who;
    return porch_grants_principal(entry, &who) ? porch_access_index_groups(&m->index, &who, out) : 0;
}

/* ---- classes -------------------------------------------------------------------------------------- */

grants_class *porch_grants_class_retain(grants_class *c) {
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

void porch_grants_class_release(grants_class *c) {
    if (c == NULL || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1) return;
    free(c->groups);
    free(c->names);
    free(c->automaton);
    free(c);
}

const porch_access_automaton *porch_grants_class_automaton(const grants_class *c) {
    return c->automaton;
}

const char *porch_grants_class_group(const grants_class *c, size_t index) {
    porch_access_statement s;
    if (!porch_access_automaton_statement(c->automaton, index, &s) || s.tag >= c->group_count) return "";
    return c->names[s.tag];
}

/* The statements of these groups; each tag is the group's place in the set. */
static porch_err build(const grants_model *m, const group_set *set, porch_access_automaton **ret) {
    size_t count = 0, n = 0;
    for (size_t i = 0; i < set->count; i++)
        count += m->document.groups[set->at[i]].statement_count;
    if (count > m->statements_most) return PORCH_ERR_LIMIT;
    porch_access_statement *all = calloc(count + 1, sizeof *all);
    for (size_t i = 0; all != NULL && i < set->count; i++) {
        const porch_access_group *g = &m->document.groups[set->at[i]];
        for (size_t k = 0; k < g->statement_count; k++) {
            all[n] = g->statements[k];
            all[n++].tag = (uint32_t)i;
        }
    }
    size_t bytes = all == NULL ? 0 : porch_access_automaton_bytes(all, count);
    void *block = all == NULL ? NULL : malloc(bytes);
    const porch_access_automaton *made = NULL;
    porch_err e =
        block == NULL ? PORCH_ERR_INTERNAL : porch_access_automaton_build(all, count, block, bytes, &made);
    free(all);
    if (e == PORCH_OK)
        *ret = block;
    else
        free(block);
    return e;
}

static porch_err make_class(const grants_model *m, const group_set *set, uint64_t hash,
                            grants_class **ret) {
    grants_class *c = calloc(1, sizeof *c);
    if (c == NULL) return PORCH_ERR_INTERNAL;
    atomic_init(&c->references, 1);
    c->hash = hash;
    c->group_count = (uint32_t)set->count;
    c->groups = calloc(set->count + 1, sizeof *c->groups);
    c->names = calloc(set->count + 1, sizeof *c->names);
    porch_err e = c->groups == NULL || c->names == NULL ? PORCH_ERR_INTERNAL : PORCH_OK;
    for (size_t i = 0; e == PORCH_OK && i < set->count; i++) {
        c->groups[i] = set->at[i];
        (void)porch_bytes_to_text(m->document.groups[set->at[i]].name, c->names[i], GROUP_NAME_BYTES);
    }
    if (e == PORCH_OK) e = build(m, set, &c->automaton);
    if (e == PORCH_OK)
        *ret = c;
    else
        porch_grants_class_release(c);
    return e;
}

static uint64_t hash_set(const group_set *set) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < set->count; i++)
        h = (h ^ set->at[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static grants_class *find_class(const grants_model *m, const group_set *set, uint64_t hash) {
    grants_class *c = m->buckets[hash % CLASS_BUCKETS];
    while (c != NULL && (c->hash != hash || c->group_count != set->count ||
                         memcmp(c->groups, set->at, set->count * sizeof *set->at) != 0))
        c = c->chain;
    return c;
}

/* Made under the lock, so that a thousand who come at once wait for one automaton instead of making a
 * thousand. Past CLASSES_KEPT different sets a class lives with its own policies only. */
static porch_err take_class(grants_model *m, const group_set *set, grants_class **ret) {
    uint64_t hash = hash_set(set);
    grants_class *c = find_class(m, set, hash);
    if (c == NULL) {
        PORCH_TRY(make_class(m, set, hash, &c));
        if (m->class_count == CLASSES_KEPT) {
            *ret = c;
            return PORCH_OK;
        }
        m->class_count++;
        c->chain = m->buckets[hash % CLASS_BUCKETS];
        m->buckets[hash % CLASS_BUCKETS] = c;
    }
    *ret = porch_grants_class_retain(c);
    return PORCH_OK;
}

porch_err porch_grants_model_class(grants_model *m, const porch_registry_entry *entry, grants_class **ret) {
    group_set set = {calloc(m->document.group_count + 1, sizeof *set.at), 0};
    if (set.at == NULL) return PORCH_ERR_INTERNAL;
    set.count = groups_of(m, entry, set.at);
    pthread_mutex_lock(&m->lock);
    porch_err e = take_class(m, &set, ret);
    pthread_mutex_unlock(&m->lock);
    free(set.at);
    return e;
}
