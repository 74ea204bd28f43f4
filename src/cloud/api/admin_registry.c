/* device.* and household.*: what a product team does with the registry. */
#include <stdlib.h>
#include <string.h>

#include "cloud/api/admin_issue.h"

static porch_err need_registry(const porch_admin_call *call) {
    if (call->world->registry != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its registry");
}

/* ---- devices ------------------------------------------------------------------------------------ */

static porch_err device_add(porch_admin_call *call) {
    static const char *const names[] = {"id", "product", "household", "csr", "renew", NULL};
    porch_registry_device_spec spec = {.renew = porch_admin_flag(call, "renew"), .who = "operator"};
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "id", &spec.id));
    PORCH_TRY(spec.renew ? porch_admin_text_optional(call, "product", &spec.product)
                         : porch_admin_text(call, "product", &spec.product));
    PORCH_TRY(porch_admin_text_optional(call, "household", &spec.household));
    PORCH_TRY(porch_admin_text(call, "csr", &spec.csr_pem));
    porch_registry_issued issued;
    PORCH_TRY(
        porch_registry_device_add(call->world->registry, call->world->signer, &spec, &issued, call->why));
    porch_err e = porch_admin_issued(call, spec.id, &issued);
    porch_registry_issued_free(&issued);
    return e;
}

static json_t *device_json(const porch_registry_device *d) {
    char fingerprint[65];
    porch_admin_hex(d->fingerprint, fingerprint);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:s}", "id", d->id, "product",
                          d->product, "household", d->household, "state",
                          d->revoked_ms != 0       ? "revoked"
                          : d->quarantined_ms != 0 ? "quarantined"
                                                   : "enrolled",
                          "online", d->online ? 1 : 0, "added_ms", (json_int_t)d->added_ms, "last_seen_ms",
                          (json_int_t)d->last_seen_ms, "certificate_ends_ms",
                          (json_int_t)d->certificate_ends_ms, "certificate_sha256", fingerprint);
    if (o != NULL && d->revoked_ms != 0)
        (void)json_object_set_new(o, "revoked_ms", json_integer((json_int_t)d->revoked_ms));
    return o;
}

static bool list_device(const porch_registry_device *d, void *ctx) {
    return json_array_append_new(ctx, device_json(d)) == 0;
}

static porch_err device_list(porch_admin_call *call) {
    static const char *const names[] = {"household", NULL};
    const char *household = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text_optional(call, "household", &household));
    json_t *list = json_array();
    if (list != NULL) porch_registry_devices(call->world->registry, household, list_device, list);
    return json_object_set_new(call->result, "devices", list) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err device_show(porch_admin_call *call) {
    static const char *const names[] = {"id", NULL};
    const char *id = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "id", &id));
    porch_registry_device d;
    porch_err e = porch_registry_device_get(call->world->registry, id, &d);
    if (e != PORCH_OK) return porch_fail(call->why, e, "there is no device called %.64s", id);
    json_t *o = device_json(&d);
    if (o == NULL) return PORCH_ERR_INTERNAL;
    json_decref(call->result);
    call->result = o;
    return PORCH_OK;
}

typedef porch_err (*registry_change)(porch_registry *r, const char *id, const char *who, porch_why *why);

static porch_err change_device(porch_admin_call *call, registry_change change) {
    static const char *const names[] = {"id", NULL};
    const char *id = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "id", &id));
    PORCH_TRY(change(call->world->registry, id, "operator", call->why));
    return json_object_set_new(call->result, "id", json_string(id)) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err device_revoke(porch_admin_call *call) {
    return change_device(call, porch_registry_device_revoke);
}

static porch_err device_quarantine(porch_admin_call *call) {
    return change_device(call, porch_registry_device_quarantine);
}

static porch_err device_readmit(porch_admin_call *call) {
    return change_device(call, porch_registry_device_readmit);
}

static porch_err device_remove(porch_admin_call *call) {
    return change_device(call, porch_registry_device_remove);
}

/* ---- households --------------------------------------------------------------------------------- */

static json_t *household_json(const porch_registry_household *h) {
    return json_pack("{s:s, s:s, s:s, s:I}", "id", h->id, "name", h->name, "timezone", h->timezone,
                     "added_ms", (json_int_t)h->added_ms);
}

static bool list_household(const porch_registry_household *h, void *ctx) {
    return json_array_append_new(ctx, household_json(h)) == 0;
}

static porch_err household_list(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    json_t *list = json_array();
    if (list != NULL) porch_registry_households(call->world->registry, list_household, list);
    return json_object_set_new(call->result, "households", list) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

/* {name, timezone?, id?}: a name that is itself an id names the household so; otherwise the id is made of
 * it. */
static porch_err household_add(porch_admin_call *call) {
    static const char *const names[] = {"id", "name", "timezone", NULL};
    const char *id = NULL, *name = NULL, *zone = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text_optional(call, "id", &id));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    PORCH_TRY(porch_admin_text_optional(call, "timezone", &zone));
    char made[PORCH_REGISTRY_NAME_BYTES];
    PORCH_TRY(
        porch_registry_household_add(call->world->registry, id, name, zone, "operator", made, call->why));
    porch_registry_household h;
    PORCH_TRY(porch_registry_household_get(call->world->registry, made, &h));
    json_t *o = household_json(&h);
    if (o == NULL) return PORCH_ERR_INTERNAL;
    json_decref(call->result);
    call->result = o;
    return PORCH_OK;
}

const porch_admin_command porch_admin_registry_commands[] = {
    {"device.add", device_add},         {"device.list", device_list},
    {"device.show", device_show},       {"device.revoke", device_revoke},
    {"device.remove", device_remove},   {"device.quarantine", device_quarantine},
    {"device.readmit", device_readmit}, {"household.add", household_add},
    {"household.list", household_list}, {NULL, NULL},
};
