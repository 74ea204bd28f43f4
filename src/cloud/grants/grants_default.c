/* Groups that later versions of the hub bring. A hub that begins has them from its first version on
 * (migrations/0031_people_policy.sql); an older one gets each once, as a new version with its row in the
 * trust log, and may then change or remove it like any other. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/grants/grants_room.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"
#include "os/log.h"

#define NOTE "people: what a household's members reach by default"

/* Word for word what the migration writes; a test compares them. */
static const char statements[] = "    member every adult\n"
                                 "    member every child\n"
                                 "    member every guest\n"
                                 "    member every owner\n"
                                 "    allow subscribe,receive d/${household.device}/event/#\n"
                                 "    allow subscribe,receive d/${household.device}/state/reported\n"
                                 "    allow subscribe,receive $porchlight/device/${household.device}/#\n";

static porch_err is_there(porch_db *db, bool *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select 1 from access_default where name = 'people'", why);
    porch_err e = porch_db_step(q, why);
    porch_db_finish(q);
    *ret = e == PORCH_OK;
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err mark(porch_db *db, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "insert into access_default (name, at_ms) values ('people', ?1)", why);
    porch_db_bind_i64(q, 1, (int64_t)porch_clock_ms());
    return porch_db_execute(q, why);
}

/* "people", or the first of "people-2", ... that no group has. */
static void choose_name(const porch_access_document *d, char out[24]) {
    (void)snprintf(out, 24, "people");
    for (unsigned i = 2; porch_access_document_find(d, porch_bytes_of(out)) != NULL; i++)
        (void)snprintf(out, 24, "people-%u", i);
}

/* The text with the group, canonical; NULL: no memory, or it would hold too much to be in force. */
static char *with_group(const grants_loaded *l, uint32_t statements_most) {
    char name[24], *joined = NULL, *canonical = NULL;
    grants_model *m = NULL;
    porch_why why = {""};
    choose_name(&l->document, name);
    if (asprintf(&joined, "%s\ngroup %s\n%s", l->text, name, statements) < 0) return NULL;
    if (porch_grants_model_make(joined, 0, statements_most, &m, &why) != PORCH_OK) {
        porch_log(PORCH_LOG_WARN, "grants.no_default", "group", name, "reason", why.text, "hint",
                  "people reach nothing over MQTT until the policy says so; see docs/access.md", NULL);
        return NULL;
    }
    canonical = porch_grants_print(porch_grants_model_document(m));
    porch_grants_model_release(m);
    return canonical;
}

static porch_err log_it(porch_db *db, uint64_t version, porch_why *why) {
    json_t *detail = json_pack("{s:I, s:s}", "version", (json_int_t)version, "note", NOTE);
    char *text = detail == NULL ? NULL : json_dumps(detail, JSON_COMPACT);
    porch_err e = text == NULL ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy")
                               : porch_trust_append(db, "policy.apply", "hub", "policy", text, why);
    free(text);
    json_decref(detail);
    return e;
}

static porch_err upgrade(porch_db *db, void *ctx, porch_why *why) {
    const porch_grants *g = ctx;
    grants_loaded l;
    uint64_t version = 0;
    PORCH_TRY(mark(db, why));
    PORCH_TRY(porch_grants_load(db, &l, why));
    char *text = with_group(&l, g->statements_most);
    porch_err e = PORCH_OK;
    if (text != NULL) e = porch_grants_text_write(db, text, "hub", NOTE, g->versions, &version, why);
    if (text != NULL && e == PORCH_OK) e = log_it(db, version, why);
    free(text);
    porch_grants_loaded_free(&l);
    return e;
}

static porch_err look(porch_db *db, void *ctx, porch_why *why) {
    return is_there(db, ctx, why);
}

porch_err porch_grants_bring_defaults(porch_grants *g, porch_why *why) {
    bool there = false;
    PORCH_TRY(porch_store_read(g->store, look, &there, why));
    return there ? PORCH_OK : porch_store_write(g->store, upgrade, g, why);
}
