/* service.*: integrations and what they may do. */
#include <stdlib.h>
#include <string.h>

#include "cloud/api/admin_issue.h"

/* A service's statements, and the transaction that writes its group. */
typedef struct {
    const char *service;
    porch_grants_statement *statements;
    size_t count;
    const porch_settings *settings;
} service_group;

static porch_err need_rooms(const porch_admin_call *call) {
    if (call->world->registry != NULL && call->world->grants != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its registry or grants");
}

static porch_err take_statements(porch_admin_call *call, const char *name, bool deny, service_group *g) {
    const json_t *list = json_object_get(call->args, name);
    if (list == NULL) return PORCH_OK;
    if (!json_is_array(list))
        return porch_fail(call->why, PORCH_ERR_USAGE, "'%s' is a list of ACTIONS:FILTER", name);
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        const char *text = json_string_value(item);
        if (text == NULL)
            return porch_fail(call->why, PORCH_ERR_USAGE, "'%s' is a list of ACTIONS:FILTER", name);
        if (g->count == call->world->settings->grants_statements)
            return porch_fail(call->why, PORCH_ERR_LIMIT,
                              "a service has at most %zu statements (grants.statements)", g->count);
        PORCH_TRY(porch_grants_statement_parse(text, deny, &g->statements[g->count], call->why));
        g->count++;
    }
    return PORCH_OK;
}

static porch_err write_group(porch_db *db, void *ctx, porch_why *why) {
    const service_group *g = ctx;
    return porch_grants_service_write(db, g->service, g->statements, g->count, g->settings, why);
}

static porch_err erase_group(porch_db *db, void *ctx, porch_why *why) {
    const service_group *g = ctx;
    return porch_grants_service_erase(db, g->service, g->settings, why);
}

static porch_err parse_client_ids(porch_admin_call *call, bool *any) {
    const char *text = NULL;
    PORCH_TRY(porch_admin_text_optional(call, "client_ids", &text));
    if (text != NULL && strcmp(text, "any") != 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "'client_ids' is 'any' or not given");
    *any = text != NULL;
    return PORCH_OK;
}

/* Statements as lists of text: {"allow":[...],"deny":[...]}. */
static void add_statement(const porch_grants_statement *s, void *ctx) {
    char text[600];
    porch_grants_statement_text(s, text, sizeof text);
    (void)json_array_append_new(json_object_get(ctx, s->deny ? "deny" : "allow"), json_string(text));
}

static porch_err show_group(porch_admin_call *call, const char *service, json_t *into) {
    char group[80] = "service-";
    strncat(group, service, 64);
    (void)json_object_set_new(into, "group", json_string(group));
    (void)json_object_set_new(into, "allow", json_array());
    (void)json_object_set_new(into, "deny", json_array());
    (void)porch_grants_group(call->world->grants, group, add_statement, into);
    return PORCH_OK;
}

/* Registers, writes the group in the same transaction, answers with both. */
static porch_err add_service(porch_admin_call *call, porch_registry_service_spec *spec, service_group *g) {
    g->service = spec->name;
    if (!spec->renew || g->count > 0) { /* else what it may do is kept */
        spec->also = write_group;
        spec->also_ctx = g;
    }
    porch_registry_issued issued;
    PORCH_TRY(
        porch_registry_service_add(call->world->registry, call->world->signer, spec, &issued, call->why));
    porch_err e = porch_grants_reload(call->world->grants, call->why);
    if (e == PORCH_OK) e = porch_admin_issued(call, spec->name, &issued);
    if (e == PORCH_OK) e = show_group(call, spec->name, call->result);
    porch_registry_issued_free(&issued);
    return e;
}

static porch_err service_add(porch_admin_call *call) {
    static const char *const names[] = {"name", "csr", "allow", "deny", "client_ids", "renew", NULL};
    porch_registry_service_spec spec = {.renew = porch_admin_flag(call, "renew"), .who = "operator"};
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "name", &spec.name));
    PORCH_TRY(porch_admin_text(call, "csr", &spec.csr_pem));
    PORCH_TRY(parse_client_ids(call, &spec.any_client_id));
    service_group g = {.settings = call->world->settings,
                       .statements =
                           calloc(call->world->settings->grants_statements, sizeof *g.statements)};
    porch_err e = g.statements == NULL ? PORCH_ERR_INTERNAL : take_statements(call, "allow", false, &g);
    if (e == PORCH_OK) e = take_statements(call, "deny", true, &g);
    if (e == PORCH_OK) e = add_service(call, &spec, &g);
    free(g.statements);
    return e;
}

static bool list_service(const porch_registry_service *s, void *ctx) {
    char fingerprint[65];
    porch_admin_hex(s->fingerprint, fingerprint);
    return json_array_append_new(ctx, json_pack("{s:s, s:s, s:I, s:I, s:s}", "name", s->name, "client_ids",
                                                s->any_client_id ? "any" : "own", "added_ms",
                                                (json_int_t)s->added_ms, "certificate_ends_ms",
                                                (json_int_t)s->certificate_ends_ms, "certificate_sha256",
                                                fingerprint)) == 0;
}

static porch_err service_list(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    json_t *list = json_array();
    if (list != NULL) porch_registry_services(call->world->registry, list_service, list);
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        PORCH_TRY(show_group(call, json_string_value(json_object_get(item, "name")), item));
    return json_object_set_new(call->result, "services", list) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err service_remove(porch_admin_call *call) {
    static const char *const names[] = {"name", NULL};
    const char *name = NULL;
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    service_group g = {.service = name, .settings = call->world->settings};
    PORCH_TRY(
        porch_registry_service_remove(call->world->registry, name, "operator", erase_group, &g, call->why));
    PORCH_TRY(porch_grants_reload(call->world->grants, call->why));
    return json_object_set_new(call->result, "name", json_string(name)) == 0 ? PORCH_OK
                                                                             : PORCH_ERR_INTERNAL;
}

const porch_admin_command porch_admin_grants_commands[] = {
    {"service.add", service_add},
    {"service.list", service_list},
    {"service.remove", service_remove},
    {NULL, NULL},
};
