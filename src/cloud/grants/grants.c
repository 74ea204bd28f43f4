#include "cloud/grants/grants.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/statement.h"
#include "cloud/grants/grants_denials.h"
#include "cloud/grants/grants_homes.h"
#include "cloud/grants/grants_room.h"
#include "os/clock.h"
#include "os/log.h"

/* What stands before a policy's block, so that a policy alone can be retained and released. */
typedef struct {
    atomic_uint references;
    grants_class *class;
    grants_home *home; /* a person's; else NULL */
    alignas(16) uint8_t block[];
} shared_policy;

static shared_policy *shared_of(const porch_access_policy *p) {
    return (shared_policy *)(void *)((uint8_t *)p - offsetof(shared_policy, block));
}

/* ---- opening and reloading ---------------------------------------------------------------------- */

typedef struct {
    char *text;
    uint64_t version;
} stored;

static porch_err read_newest(porch_db *db, void *ctx, porch_why *why) {
    stored *s = ctx;
    return porch_grants_text_read(db, &s->text, &s->version, why);
}

porch_err porch_grants_take(porch_grants *g, porch_why *why) {
    stored s = {NULL, 0};
    grants_model *fresh = NULL;
    PORCH_TRY(porch_store_read(g->store, read_newest, &s, why));
    PORCH_TRY(porch_grants_model_make(s.text, s.version, g->statements_most, &fresh, why));
    pthread_rwlock_wrlock(&g->lock);
    grants_model *old = g->model;
    bool newer = old == NULL || s.version >= porch_grants_model_version(old);
    if (newer) g->model = fresh;
    pthread_rwlock_unlock(&g->lock);
    porch_grants_model_release(newer ? old : fresh);
    return PORCH_OK;
}

grants_model *porch_grants_model_now(porch_grants *g) {
    pthread_rwlock_rdlock(&g->lock);
    grants_model *m = porch_grants_model_retain(g->model);
    pthread_rwlock_unlock(&g->lock);
    return m;
}

porch_err porch_grants_open(porch_store *store, porch_registry *registry, const porch_settings *settings,
                            porch_grants **ret, porch_why *why) {
    porch_grants *g = calloc(1, sizeof *g);
    if (g == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants");
    g->store = store;
    g->statements_most = settings->grants_statements;
    g->policy_bytes = settings->grants_policy_bytes;
    g->versions = settings->grants_versions;
    pthread_rwlock_init(&g->lock, NULL);
    g->denials = porch_grants_denials_new(settings->grants_denials);
    g->homes = porch_grants_homes_new(registry);
    porch_err e = g->denials == NULL || g->homes == NULL
                      ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants")
                      : porch_grants_bring_defaults(g, why);
    if (e == PORCH_OK) e = porch_grants_take(g, why);
    if (e != PORCH_OK) {
        porch_grants_close(g);
        return e;
    }
    *ret = g;
    return PORCH_OK;
}

void porch_grants_close(porch_grants *g) {
    if (g == NULL) return;
    porch_grants_model_release(g->model);
    porch_grants_denials_free(g->denials);
    porch_grants_homes_free(g->homes);
    pthread_rwlock_destroy(&g->lock);
    free(g);
}

void porch_grants_on_change(porch_grants *g, void (*fn)(void *ctx), void *ctx) {
    if (g->observer_count == GRANTS_OBSERVERS) return;
    g->observers[g->observer_count].fn = fn;
    g->observers[g->observer_count].ctx = ctx;
    g->observer_count++;
}

porch_err porch_grants_reload(porch_grants *g, porch_why *why) {
    PORCH_TRY(porch_grants_take(g, why));
    for (size_t i = 0; i < g->observer_count; i++)
        g->observers[i].fn(g->observers[i].ctx);
    return PORCH_OK;
}

/* ---- from groups to a policy -------------------------------------------------------------------- */

/* Takes class and home over. */
static porch_err bind(grants_class *class, grants_home *home, const porch_access_principal *who,
                      shared_policy **ret) {
    porch_access_variable variables[PORCH_ACCESS_VARIABLES];
    size_t count = porch_access_principal_variables(who, variables);
    const porch_access_automaton *a = porch_grants_class_automaton(class);
    size_t bytes = porch_access_policy_bind_bytes(a, variables, count);
    shared_policy *shared =
        aligned_alloc(alignof(shared_policy), (sizeof *shared + bytes + 15) & ~(size_t)15);
    const porch_access_policy *policy = NULL;
    porch_err e = shared == NULL ? PORCH_ERR_INTERNAL
                                 : porch_access_policy_bind_person(a, variables, count,
                                                                   porch_grants_home_devices(home),
                                                                   shared->block, bytes, &policy);
    if (e != PORCH_OK) {
        porch_grants_class_release(class);
        porch_grants_home_release(home);
        free(shared);
        return e;
    }
    atomic_init(&shared->references, 1);
    shared->class = class;
    shared->home = home;
    *ret = shared;
    return PORCH_OK;
}

/* `device` NULL: the household's devices as they are now. */
static porch_err take_home(porch_grants *g, const porch_access_principal *who, const char *household,
                           const char *device, grants_home **ret) {
    if (who->kind != PORCH_ACCESS_PERSON) return device == NULL ? PORCH_OK : PORCH_ERR_DENIED;
    return device == NULL ? porch_grants_home_take(g->homes, household, ret)
                          : porch_grants_home_of(device, ret);
}

static const porch_access_policy *make_policy(porch_grants *g, const porch_registry_entry *entry,
                                              const char *device) {
    grants_class *class = NULL;
    grants_home *home = NULL;
    shared_policy *shared = NULL;
    porch_access_principal who;
    grants_model *m = porch_grants_model_now(g);
    porch_err e = porch_grants_principal(entry, &who) ? PORCH_OK : PORCH_ERR_DENIED;
    if (e == PORCH_OK) e = porch_grants_model_class(m, entry, &class);
    if (e == PORCH_OK) {
        e = take_home(g, &who, entry->household, device, &home);
        if (e != PORCH_OK) porch_grants_class_release(class);
    }
    if (e == PORCH_OK) e = bind(class, home, &who, &shared);
    porch_grants_model_release(m);
    if (e == PORCH_OK) return (const porch_access_policy *)(const void *)shared->block;
    porch_log(PORCH_LOG_ERROR, "grants.no_policy", "kind", porch_principal_kind_name(entry->kind), "name",
              entry->name, "error", porch_err_name(e), "hint",
              e == PORCH_ERR_LIMIT ? "see grants.statements"
                                   : "a deny speaks of a value that it has not, or that could act as a "
                                     "pattern",
              NULL);
    return NULL;
}

const porch_access_policy *porch_grants_policy(porch_grants *g, const porch_registry_entry *entry) {
    return make_policy(g, entry, NULL);
}

const porch_access_policy *porch_grants_policy_about(porch_grants *g, const porch_registry_entry *entry,
                                                     const char *device) {
    return make_policy(g, entry, device);
}

const porch_access_policy *porch_grants_policy_retain(const porch_access_policy *p) {
    if (p != NULL) atomic_fetch_add_explicit(&shared_of(p)->references, 1, memory_order_relaxed);
    return p;
}

void porch_grants_policy_release(const porch_access_policy *p) {
    if (p == NULL) return;
    shared_policy *shared = shared_of(p);
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1) return;
    porch_grants_class_release(shared->class);
    porch_grants_home_release(shared->home);
    free(shared);
}

void porch_grants_devices_changed(porch_grants *g) {
    porch_grants_homes_changed(g->homes);
}

void porch_grants_explain(const porch_access_policy *policy, int statement, char *out, size_t cap) {
    porch_access_statement s;
    char text[700];
    porch_buf b = {(uint8_t *)text, 0, sizeof text};
    if (cap > 0) out[0] = '\0';
    if (statement < 0 || !porch_access_policy_statement(policy, (size_t)statement, &s) ||
        porch_access_statement_write(&b, &s) != PORCH_OK)
        return;
    (void)snprintf(out, cap, "%s: %.*s",
                   porch_grants_class_group(shared_of(policy)->class, (size_t)statement), (int)b.len, text);
}

/* "allow publish d/x/y": what is asked for, and nothing more. */
static void smallest_grant(unsigned action, porch_bytes topic, char *out, size_t cap) {
    char actions[32];
    porch_buf b = {(uint8_t *)actions, 0, sizeof actions - 1};
    (void)porch_access_actions_write(&b, action);
    actions[b.len] = '\0';
    (void)snprintf(out, cap, "allow %s %.*s", actions, PORCH_FMT(topic));
}

bool porch_grants_denied(porch_grants *g, const porch_registry_entry *who,
                         const porch_access_policy *policy, porch_access_decision decision, unsigned action,
                         porch_bytes topic, uint32_t times, porch_why *why) {
    porch_grants_denial row = {.kind = who->kind, .action = action, .count = times};
    uint32_t untold = 0;
    char more[48] = "";
    porch_bytes cut = {topic.at, topic.len < sizeof row.topic ? topic.len : sizeof row.topic - 1};
    (void)porch_bytes_to_text(cut, row.topic, sizeof row.topic);
    memcpy(row.name, who->name, sizeof row.name);
    porch_grants_explain(policy, decision.statement, row.decided, sizeof row.decided);
    if (decision.statement < 0) smallest_grant(action, cut, row.grant, sizeof row.grant);
    bool log = porch_grants_denials_add(g->denials, &row, porch_clock_ms(), &untold);
    if (untold > 0) (void)snprintf(more, sizeof more, " (and %u like it before)", untold);
    if (decision.statement < 0)
        (void)porch_fail(why, PORCH_ERR_DENIED, "no statement allows it; grant %.180s%s", row.grant, more);
    else
        (void)porch_fail(why, PORCH_ERR_DENIED, "'%.150s' forbids it; change that statement%s", row.decided,
                         more);
    return log;
}

void porch_grants_denials(porch_grants *g, bool (*fn)(const porch_grants_denial *, void *), void *ctx) {
    porch_grants_denials_visit(g->denials, fn, ctx);
}

porch_err porch_grants_group(porch_grants *g, const char *group,
                             void (*fn)(const porch_grants_statement *, void *), void *ctx) {
    grants_model *m = porch_grants_model_now(g);
    const porch_access_group *found =
        porch_access_document_find(porch_grants_model_document(m), porch_bytes_of(group));
    for (size_t i = 0; found != NULL && i < found->statement_count; i++) {
        const porch_access_statement *from = &found->statements[i];
        porch_grants_statement s = {from->effect == PORCH_ACCESS_DENY, from->actions, ""};
        (void)porch_bytes_to_text(from->filter.text, s.filter, sizeof s.filter);
        fn(&s, ctx);
    }
    porch_grants_model_release(m);
    return found != NULL ? PORCH_OK : PORCH_ERR_NOT_FOUND;
}
