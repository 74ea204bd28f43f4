/* policy.*: the text of groups and statements, its history, and who is there to be judged by it. */
#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts.h"
#include "cloud/api/admin.h"
#include "cloud/api/api_world.h"
#include "os/clock.h"

static porch_err need_rooms(const porch_admin_call *call) {
    if (call->world->registry != NULL && call->world->grants != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its registry or grants");
}

static porch_err number(porch_admin_call *call, const char *name, uint64_t *ret) {
    const json_t *value = json_object_get(call->args, name);
    *ret = 0;
    if (value == NULL) return PORCH_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "'%s' is a number from 0", name);
    *ret = (uint64_t)json_integer_value(value);
    return PORCH_OK;
}

static porch_err set_text(porch_admin_call *call, uint64_t version, char *text) {
    bool ok = text != NULL &&
              json_object_set_new(call->result, "version", json_integer((json_int_t)version)) == 0 &&
              json_object_set_new(call->result, "text", json_string(text)) == 0;
    free(text);
    return ok ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err policy_export(porch_admin_call *call) {
    static const char *const names[] = {"version", NULL};
    uint64_t version;
    char *text = NULL;
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(number(call, "version", &version));
    if (version == 0)
        text = porch_grants_text(call->world->grants, &version);
    else
        PORCH_TRY(porch_grants_version_text(call->world->grants, version, &text, call->why));
    return set_text(call, version, text);
}

static porch_err policy_apply(porch_admin_call *call) {
    static const char *const names[] = {"text", "base", "note", NULL};
    porch_grants_change change = {.who = "operator"};
    uint64_t version = 0, before = 0;
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    const json_t *text = json_object_get(call->args, "text");
    if (!json_is_string(text)) return porch_fail(call->why, PORCH_ERR_USAGE, "'text' is the policy");
    change.text = (porch_bytes){(const uint8_t *)json_string_value(text), json_string_length(text)};
    PORCH_TRY(number(call, "base", &change.base));
    PORCH_TRY(porch_admin_text_optional(call, "note", &change.note));
    if (change.note != NULL && strlen(change.note) > 200)
        return porch_fail(call->why, PORCH_ERR_LIMIT, "a note has at most 200 bytes");
    free(porch_grants_text(call->world->grants, &before));
    PORCH_TRY(porch_grants_apply(call->world->grants, &change, &version, call->why));
    return json_object_set_new(call->result, "version", json_integer((json_int_t)version)) == 0 &&
                   json_object_set_new(call->result, "changed", json_boolean(version != before)) == 0
               ? PORCH_OK
               : PORCH_ERR_INTERNAL;
}

static bool add_version(const porch_grants_version *v, void *ctx) {
    return json_array_append_new(ctx,
                                 json_pack("{s:I, s:I, s:s, s:s, s:I}", "version", (json_int_t)v->version,
                                           "at_ms", (json_int_t)v->at_ms, "who", v->who, "note", v->note,
                                           "bytes", (json_int_t)v->bytes)) == 0;
}

static porch_err policy_history(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    json_t *list = json_array();
    porch_err e = list == NULL ? PORCH_ERR_INTERNAL
                               : porch_grants_history(call->world->grants, add_version, list, call->why);
    if (json_object_set_new(call->result, "versions", list) != 0) return PORCH_ERR_INTERNAL;
    return e;
}

/* Revoked ones, too: their household's people still see what is kept of them. */
static bool add_device(const porch_registry_device *d, void *ctx) {
    return json_array_append_new(ctx, json_pack("[s, s, s]", d->id, d->product, d->household)) == 0;
}

static bool add_quarantined(const porch_registry_device *d, void *ctx) {
    if (d->revoked_ms != 0 || d->quarantined_ms == 0) return true;
    return json_array_append_new(ctx, json_string(d->id)) == 0;
}

static bool add_revoked(const porch_registry_device *d, void *ctx) {
    return d->revoked_ms == 0 || json_array_append_new(ctx, json_string(d->id)) == 0;
}

static bool add_service(const porch_registry_service *s, void *ctx) {
    return json_array_append_new(ctx, json_string(s->name)) == 0;
}

/* The name as the policy has it: in ASCII lower case. */
static bool add_person(const porch_person *p, void *ctx) {
    char name[PORCH_PERSON_NAME_TEXT];
    porch_api_person_key(p, name);
    bool over = p->expires_ms != 0 && p->expires_ms <= porch_clock_ms();
    return json_array_append_new(ctx, json_pack("[s, s, s, b]", name, p->household,
                                                porch_role_name(p->role), (int)over)) == 0;
}

/* What `can`, `who-can`, `prove` and `policy diff` decide from: policy and principals, at one time. */
static porch_err policy_world(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    uint64_t version = 0;
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    json_t *devices = json_array(), *services = json_array(), *quarantined = json_array(),
           *revoked = json_array(), *people = json_array();
    if (devices != NULL) porch_registry_devices(call->world->registry, NULL, add_device, devices);
    if (quarantined != NULL)
        porch_registry_devices(call->world->registry, NULL, add_quarantined, quarantined);
    if (revoked != NULL) porch_registry_devices(call->world->registry, NULL, add_revoked, revoked);
    if (services != NULL) porch_registry_services(call->world->registry, add_service, services);
    if (json_object_set_new(call->result, "devices", devices) != 0 ||
        json_object_set_new(call->result, "services", services) != 0 ||
        json_object_set_new(call->result, "quarantined", quarantined) != 0 ||
        json_object_set_new(call->result, "revoked", revoked) != 0 ||
        json_object_set_new(call->result, "people", people) != 0)
        return PORCH_ERR_INTERNAL;
    if (call->world->accounts != NULL)
        PORCH_TRY(porch_accounts_list(call->world->accounts, add_person, people, call->why));
    char *text = porch_grants_text(call->world->grants, &version);
    return set_text(call, version, text);
}

static const char *action_name(unsigned action) {
    return action == PORCH_ACCESS_PUBLISH     ? "publish"
           : action == PORCH_ACCESS_SUBSCRIBE ? "subscribe"
           : action == PORCH_ACCESS_RECEIVE   ? "receive"
                                              : "read";
}

static bool add_denial(const porch_grants_denial *d, void *ctx) {
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "kind", porch_principal_kind_name(d->kind), "name",
                  d->name, "action", action_name(d->action), "count", (json_int_t)d->count, "first_ms",
                  (json_int_t)d->first_ms, "last_ms", (json_int_t)d->last_ms);
    json_t *topic = json_string(d->topic); /* cut in the middle of a letter: shown without it */
    for (size_t n = strlen(d->topic); topic == NULL && n > 0;)
        topic = json_stringn(d->topic, --n);
    if (d->decided[0] != '\0') (void)json_object_set_new(row, "statement", json_string(d->decided));
    if (d->grant[0] != '\0' && topic != NULL)
        (void)json_object_set_new(
            row, "grant", json_sprintf("allow %s %s", action_name(d->action), json_string_value(topic)));
    (void)json_object_set_new(row, "topic", topic == NULL ? json_string("") : topic);
    return json_array_append_new(ctx, row) == 0;
}

static porch_err denials(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(need_rooms(call));
    PORCH_TRY(porch_admin_only(call, names));
    json_t *list = json_array();
    if (list != NULL) porch_grants_denials(call->world->grants, add_denial, list);
    return json_object_set_new(call->result, "denials", list) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

const porch_admin_command porch_admin_policy_commands[] = {
    {"denials", denials},
    {"policy.apply", policy_apply},
    {"policy.export", policy_export},
    {"policy.history", policy_history},
    {"policy.world", policy_world},
    {NULL, NULL},
};
