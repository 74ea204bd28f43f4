/* The policy in the owner's hands: read it, see what a change would do, put it in force.
 *
 *   GET text, version ─► edit ─► POST diff (by the prover: who may what more and less) ─► PUT with base
 *
 * One policy holds for the whole hub, so only the owner of the household that every hub has may come here;
 * other households' owners ask whoever runs the hub. */
#include "cloud/api/api_policy.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/prove.h"
#include "access/statement.h"
#include "base/text.h"
#include "cloud/api/api_world.h"
#include "cloud/grants/grants.h"

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

enum { SHOWN_MOST = 200, STATEMENT_BYTES = 700 };

static bool runs_the_hub(porch_http_exchange *x, porch_user_session *s) {
    if (!porch_api_session(x, s)) return false;
    if (strcmp(s->person.household, "home") == 0) return true;
    porch_api_refuse_household(x, s, "policy", "");
    return false;
}

void porch_api_policy(porch_http_exchange *x) {
    porch_user_session s;
    uint64_t version = 0;
    if (!runs_the_hub(x, &s)) return;
    char *text = porch_grants_text(porch_api_of(x)->grants, &version);
    if (text == NULL) {
        porch_api_refuse(x, PORCH_ERR_NO_SPACE, NULL);
        return;
    }
    porch_api_json(x, 200, json_pack("{s:I, s:s}", "version", (json_int_t)version, "text", text));
    free(text);
}

void porch_api_policy_set(porch_http_exchange *x) {
    porch_user_session s;
    porch_bytes text, base, note = {NULL, 0};
    const porch_json_field fields[] = {{"text", PORCH_API_POLICY_BYTES, true, &text},
                                       {"base", 20, true, &base},
                                       {"note", 255, false, &note}};
    json_t *root = NULL;
    uint64_t from = 0, version = 0;
    char who[PORCH_PERSON_NAME_TEXT + 8], why_changed[256] = "";
    porch_why why = {{0}};
    if (!runs_the_hub(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    (void)snprintf(who, sizeof who, "user:%s", s.person.name);
    porch_err e = porch_decimal_read(base, UINT64_MAX >> 1, &from);
    if (e != PORCH_OK || from == 0)
        e = porch_fail(&why, PORCH_ERR_MALFORMED, "base is the version that was read, as text");
    if (e == PORCH_OK && note.len > 0 && !porch_bytes_to_text(note, why_changed, sizeof why_changed))
        e = porch_fail(&why, PORCH_ERR_MALFORMED, "the note is no text");
    const porch_grants_change change = {text, from, who, why_changed[0] != '\0' ? why_changed : NULL};
    if (e == PORCH_OK) e = porch_grants_apply(porch_api_of(x)->grants, &change, &version, &why);
    json_decref(root);
    if (e != PORCH_OK)
        porch_api_refuse(x, e, &why);
    else
        porch_api_json(x, 200, json_pack("{s:I}", "version", (json_int_t)version));
}

/* ---- what a change would do ------------------------------------------------------------------------- */

/* A text as something to ask about. */
typedef struct {
    void *rows, *index_rows, *block;
    porch_access_document document;
    porch_access_index index;
    porch_access_world world;
} judged;

static void drop(judged *j) {
    free(j->rows);
    free(j->index_rows);
    free(j->block);
}

/* `text` must stay as long as *ret, which drop ends, also after an error. */
static porch_err make(porch_bytes text, judged *ret, porch_why *why) {
    size_t bytes = porch_access_document_bytes(text);
    ret->rows = malloc(bytes);
    if (ret->rows == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the policy");
    porch_arena arena = porch_arena_of(ret->rows, bytes);
    PORCH_TRY(porch_access_document_parse(text, &arena, &ret->document, NULL, why));
    size_t index_bytes = porch_access_index_bytes(&ret->document);
    size_t world_bytes = porch_access_world_bytes(&ret->document);
    ret->index_rows = malloc(index_bytes);
    ret->block = malloc(world_bytes);
    if (ret->index_rows == NULL || ret->block == NULL)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the policy");
    porch_arena more = porch_arena_of(ret->index_rows, index_bytes);
    porch_arena world = porch_arena_of(ret->block, world_bytes);
    porch_err e = porch_access_index_make(&ret->document, &more, &ret->index);
    if (e == PORCH_OK) e = porch_access_world_make(&ret->document, &ret->index, &world, &ret->world);
    return e == PORCH_OK ? e : porch_fail(why, e, "the policy cannot be judged: %s", porch_err_text(e));
}

typedef struct {
    const porch_registry *registry;
    porch_accounts *accounts;
    porch_registry_device device; /* of the last question; the answer's views look into it */
    porch_person person;
    json_t *list;
    const porch_access_statement *statement; /* of the last row, to tell a statement once */
    unsigned action;
} collector;

static bool known_device(porch_bytes id, porch_access_principal *ret, void *ctx) {
    collector *c = ctx;
    char name[PORCH_REGISTRY_NAME_BYTES];
    if (!porch_bytes_to_text(id, name, sizeof name) ||
        porch_registry_device_get((porch_registry *)(uintptr_t)c->registry, name, &c->device) != PORCH_OK)
        return false;
    *ret = (porch_access_principal){.name = porch_bytes_of(c->device.id),
                                    .product = porch_bytes_of(c->device.product),
                                    .household = porch_bytes_of(c->device.household)};
    return true;
}

static bool known_person(porch_bytes name, porch_access_principal *ret, void *ctx) {
    collector *c = ctx;
    char text[PORCH_PERSON_NAME_TEXT];
    if (!porch_bytes_to_text(name, text, sizeof text) ||
        porch_accounts_find(c->accounts, text, &c->person, NULL) != PORCH_OK)
        return false;
    *ret = (porch_access_principal){.kind = PORCH_ACCESS_PERSON,
                                    .name = name,
                                    .household = porch_bytes_of(c->person.household),
                                    .role = c->person.role};
    return true;
}

static const char *action_word(unsigned action) {
    return action == PORCH_ACCESS_PUBLISH ? "publish" : action == PORCH_ACCESS_READ ? "read" : "receive";
}

static bool collect(const porch_access_finding *f, void *ctx) {
    collector *c = ctx;
    char statement[STATEMENT_BYTES];
    porch_buf b = PORCH_BUF_OF(statement);
    if (f->statement == c->statement && f->action == c->action) return true;
    c->statement = f->statement;
    c->action = f->action;
    if (porch_access_statement_write(&b, f->statement) != PORCH_OK) b.len = 0;
    (void)json_array_append_new(
        c->list, json_pack("{s:s, s:s%, s:s, s:s%, s:s%, s:s%}", "kind",
                           porch_access_kind_word(f->who.kind), "name", f->who.name.at, f->who.name.len,
                           "action", action_word(f->action), "topic", f->topic.at, f->topic.len, "group",
                           f->group->name.at, f->group->name.len, "statement", statement, b.len));
    return json_array_size(c->list) < SHOWN_MOST;
}

/* The prover has one scratch for all. */
static pthread_mutex_t proving = PTHREAD_MUTEX_INITIALIZER;

static json_t *newly(const porch_api *api, const judged *to, const judged *from, size_t *undecided) {
    collector *c = calloc(1, sizeof *c);
    json_t *list = json_array();
    porch_access_proof proof = {0};
    if (c != NULL) {
        c->registry = api->registry;
        c->accounts = api->accounts;
        c->list = list;
        const porch_access_question q = {.world = &to->world,
                                         .device = known_device,
                                         .device_ctx = c,
                                         .found = collect,
                                         .found_ctx = c,
                                         .person = known_person};
        (void)pthread_mutex_lock(&proving);
        porch_access_prove_newly(&q, &from->world, &proof);
        (void)pthread_mutex_unlock(&proving);
    }
    *undecided += proof.undecided;
    free(c);
    return list;
}

void porch_api_policy_diff(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_bytes text;
    const porch_json_field fields[] = {{"text", PORCH_API_POLICY_BYTES, true, &text}};
    json_t *root = NULL;
    judged before = {0}, after = {0};
    uint64_t version = 0;
    size_t undecided = 0;
    porch_why why = {{0}};
    if (!runs_the_hub(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    char *now = porch_grants_text(api->grants, &version);
    porch_err e = now == NULL ? PORCH_ERR_NO_SPACE : make(text, &after, &why);
    if (e == PORCH_OK) e = make(porch_bytes_of(now), &before, &why);
    if (e == PORCH_OK) {
        json_t *allowed = newly(api, &after, &before, &undecided);
        json_t *denied = newly(api, &before, &after, &undecided);
        porch_api_json(x, 200,
                       json_pack("{s:I, s:o, s:o, s:I}", "version", (json_int_t)version, "newly_allowed",
                                 allowed, "newly_denied", denied, "undecided", (json_int_t)undecided));
    } else {
        porch_api_refuse(x, e, &why);
    }
    drop(&before);
    drop(&after);
    free(now);
    json_decref(root);
}
