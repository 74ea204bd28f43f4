#include "cloud/grants/grants.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/policy.h"
#include "access/statement.h"
#include "cloud/grants/grants_model.h"
#include "os/log.h"

enum { OBSERVERS = 8, VARIABLES = 4, FILTER_BYTES = 1024 };

struct porch_grants {
    porch_store *store;
    uint32_t statements_most;
    pthread_rwlock_t lock; /* the model's pointer and content; never held while waiting */
    grants_model model;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } observers[OBSERVERS];
    size_t observer_count;
};

/* What stands before a policy's block, so that a policy alone can be retained and released. */
typedef struct {
    atomic_uint references;
    alignas(16) uint8_t block[];
} shared_policy;

static shared_policy *shared_of(const porch_access_policy *p) {
    return (shared_policy *)(void *)((uint8_t *)p - offsetof(shared_policy, block));
}

/* ---- opening and reloading ---------------------------------------------------------------------- */

static porch_err read_model(porch_db *db, void *ctx, porch_why *why) {
    return porch_grants_model_read(db, ctx, why);
}

static porch_err take_model(porch_grants *g, porch_why *why) {
    grants_model fresh = {0};
    PORCH_TRY(porch_store_read(g->store, read_model, &fresh, why));
    pthread_rwlock_wrlock(&g->lock);
    grants_model old = g->model;
    g->model = fresh;
    pthread_rwlock_unlock(&g->lock);
    porch_grants_model_free(&old);
    return PORCH_OK;
}

porch_err porch_grants_open(porch_store *store, porch_registry *registry, const porch_settings *settings,
                            porch_grants **ret, porch_why *why) {
    (void)registry; /* membership arrives with each entry */
    porch_grants *g = calloc(1, sizeof *g);
    if (g == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
    g->store = store;
    g->statements_most = settings->grants_statements;
    pthread_rwlock_init(&g->lock, NULL);
    porch_err e = take_model(g, why);
    if (e != PORCH_OK) {
        porch_grants_close(g);
        return e;
    }
    *ret = g;
    return PORCH_OK;
}

void porch_grants_close(porch_grants *g) {
    if (g == NULL) return;
    porch_grants_model_free(&g->model);
    pthread_rwlock_destroy(&g->lock);
    free(g);
}

void porch_grants_on_change(porch_grants *g, void (*fn)(void *ctx), void *ctx) {
    if (g->observer_count == OBSERVERS) return;
    g->observers[g->observer_count].fn = fn;
    g->observers[g->observer_count].ctx = ctx;
    g->observer_count++;
}

porch_err porch_grants_reload(porch_grants *g, porch_why *why) {
    PORCH_TRY(take_model(g, why));
    for (size_t i = 0; i < g->observer_count; i++)
        g->observers[i].fn(g->observers[i].ctx);
    return PORCH_OK;
}

/* ---- from groups to a policy -------------------------------------------------------------------- */

static size_t variables_of(const porch_registry_entry *entry, porch_access_variable out[VARIABLES]) {
    if (entry->kind == PORCH_PRINCIPAL_SERVICE) {
        out[0] = (porch_access_variable){"service.name", porch_bytes_of(entry->name)};
        return 1;
    }
    out[0] = (porch_access_variable){"device.id", porch_bytes_of(entry->name)};
    out[1] = (porch_access_variable){"device.product", porch_bytes_of(entry->product)};
    out[2] = (porch_access_variable){"household.id", porch_bytes_of(entry->household)};
    return 3;
}

/* A policy being gathered: the statements that apply, their expanded filters in `text`. */
typedef struct {
    porch_access_statement *statements;
    size_t count, cap;
    uint8_t *text; /* FILTER_BYTES for each */
} gathering;

/* An allow that speaks of what this principal has not does not apply; a deny of that kind is an error and
 * leaves the principal without a policy, since what it was meant to forbid is not known. */
static porch_err gather_statement(gathering *to, const porch_registry_entry *entry,
                                  const porch_grants_statement *s, uint32_t tag) {
    porch_access_variable variables[VARIABLES];
    size_t variable_count = variables_of(entry, variables);
    if (to->count == to->cap) return PORCH_ERR_LIMIT;
    porch_access_statement *out = &to->statements[to->count];
    porch_buf text = {to->text + to->count * FILTER_BYTES, 0, FILTER_BYTES};
    porch_err e = porch_access_filter_expand(porch_bytes_of(s->filter), variables, variable_count, NULL,
                                             &text, &out->filter, NULL);
    if (e == PORCH_ERR_NOT_FOUND && !s->deny) return PORCH_OK;
    if (e != PORCH_OK) return e;
    out->effect = s->deny ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW;
    out->actions = s->actions;
    out->tag = tag;
    to->count++;
    return PORCH_OK;
}

/* Walks the statements that apply to `entry`, in the order that a policy has them. */
static porch_err gather(const grants_model *m, const porch_registry_entry *entry, gathering *to) {
    for (size_t i = 0; i < m->count; i++) {
        const grants_group *g = &m->groups[i];
        if (!porch_grants_group_holds(g, entry)) continue;
        for (size_t k = 0; k < g->statement_count; k++)
            PORCH_TRY(gather_statement(to, entry, &g->statements[k], (uint32_t)(i << 12 | (k & 0xfff))));
    }
    return PORCH_OK;
}

static porch_err gathering_make(gathering *to, size_t most) {
    *to = (gathering){.statements = calloc(most, sizeof *to->statements),
                      .cap = most,
                      .text = malloc(most * FILTER_BYTES)};
    return to->statements != NULL && to->text != NULL ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static void gathering_free(gathering *g) {
    free(g->statements);
    free(g->text);
}

static shared_policy *build(const gathering *g) {
    size_t bytes = porch_access_policy_bytes(g->statements, g->count);
    shared_policy *shared =
        aligned_alloc(alignof(shared_policy), (sizeof *shared + bytes + 15) & ~(size_t)15);
    const porch_access_policy *policy = NULL;
    if (shared == NULL) return NULL;
    if (porch_access_policy_build(g->statements, g->count, shared->block, bytes, &policy) != PORCH_OK) {
        free(shared);
        return NULL;
    }
    atomic_init(&shared->references, 1);
    return shared;
}

const porch_access_policy *porch_grants_policy(porch_grants *g, const porch_registry_entry *entry) {
    gathering all;
    shared_policy *shared = NULL;
    porch_err e = gathering_make(&all, g->statements_most);
    if (e == PORCH_OK) {
        pthread_rwlock_rdlock(&g->lock);
        e = gather(&g->model, entry, &all);
        pthread_rwlock_unlock(&g->lock);
    }
    if (e == PORCH_OK) shared = build(&all);
    gathering_free(&all);
    if (shared == NULL)
        porch_log(PORCH_LOG_ERROR, "grants.no_policy", "kind", porch_principal_kind_name(entry->kind),
                  "name", entry->name, "error", porch_err_name(e), "hint", "see grants.statements", NULL);
    return shared == NULL ? NULL : (const porch_access_policy *)(const void *)shared->block;
}

const porch_access_policy *porch_grants_policy_retain(const porch_access_policy *p) {
    if (p != NULL) atomic_fetch_add_explicit(&shared_of(p)->references, 1, memory_order_relaxed);
    return p;
}

void porch_grants_policy_release(const porch_access_policy *p) {
    if (p == NULL) return;
    shared_policy *shared = shared_of(p);
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1) free(shared);
}

void porch_grants_explain(porch_grants *g, const porch_registry_entry *entry, int statement, char *out,
                          size_t cap) {
    if (cap > 0) out[0] = '\0';
    gathering all;
    porch_err e = gathering_make(&all, g->statements_most);
    pthread_rwlock_rdlock(&g->lock);
    if (e == PORCH_OK) e = gather(&g->model, entry, &all);
    if (e == PORCH_OK && statement >= 0 && (size_t)statement < all.count) {
        uint32_t tag = all.statements[statement].tag;
        const grants_group *group = &g->model.groups[tag >> 12];
        const porch_grants_statement *s = &group->statements[tag & 0xfff];
        char text[600];
        porch_grants_statement_text(s, text, sizeof text);
        (void)snprintf(out, cap, "%s: %s %s", group->name, s->deny ? "deny" : "allow", text);
    }
    pthread_rwlock_unlock(&g->lock);
    gathering_free(&all);
}

porch_err porch_grants_group(porch_grants *g, const char *group,
                             void (*fn)(const porch_grants_statement *, void *), void *ctx) {
    pthread_rwlock_rdlock(&g->lock);
    const grants_group *found = porch_grants_model_find(&g->model, group);
    for (size_t i = 0; found != NULL && i < found->statement_count; i++)
        fn(&found->statements[i], ctx);
    pthread_rwlock_unlock(&g->lock);
    return found != NULL ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}
