/* device.claim-token, factory-ca.*, product.*: how devices come to their certificates by themselves. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/admin_issue.h"

static porch_err need_registry(const porch_admin_call *call) {
    if (call->world->registry != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its registry");
}

static porch_err answer(porch_admin_call *call, json_t *o) {
    if (o == NULL) return porch_fail(call->why, PORCH_ERR_INTERNAL, "no memory for the answer");
    json_decref(call->result);
    call->result = o;
    return PORCH_OK;
}

static porch_err claim_token(porch_admin_call *call) {
    static const char *const names[] = {"id", "product", "household", NULL};
    porch_registry_claim_spec spec = {.who = "operator"};
    char token[PORCH_REGISTRY_CLAIM_BYTES], device[PORCH_REGISTRY_NAME_BYTES];
    uint64_t ends_ms = 0;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text_optional(call, "id", &spec.device));
    PORCH_TRY(porch_admin_text(call, "product", &spec.product));
    PORCH_TRY(porch_admin_text_optional(call, "household", &spec.household));
    if (spec.household == NULL) spec.household = "home";
    PORCH_TRY(porch_registry_claim_make(call->world->registry, &spec, token, device, &ends_ms, call->why));
    return answer(
        call, json_pack("{s:s, s:s, s:I}", "token", token, "id", device, "ends_ms", (json_int_t)ends_ms));
}

static porch_err factory_add(porch_admin_call *call) {
    static const char *const names[] = {"name", "pem", "product", "household", NULL};
    const char *name = NULL, *pem = NULL, *product = NULL, *household = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    PORCH_TRY(porch_admin_text(call, "pem", &pem));
    PORCH_TRY(porch_admin_text(call, "product", &product));
    PORCH_TRY(porch_admin_text_optional(call, "household", &household));
    PORCH_TRY(porch_registry_factory_add(call->world->registry, name, pem, product,
                                         household == NULL ? "home" : household, "operator", call->why));
    return answer(call, json_pack("{s:s}", "name", name));
}

static porch_err factory_remove(porch_admin_call *call) {
    static const char *const names[] = {"name", NULL};
    const char *name = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    PORCH_TRY(porch_registry_factory_remove(call->world->registry, name, "operator", call->why));
    return answer(call, json_pack("{s:s}", "name", name));
}

static bool list_factory(const porch_registry_factory *f, void *ctx) {
    char fingerprint[65];
    porch_admin_hex(f->fingerprint, fingerprint);
    return json_array_append_new(ctx, json_pack("{s:s, s:s, s:s, s:s, s:I}", "name", f->name, "product",
                                                f->product, "household", f->household, "sha256",
                                                fingerprint, "added_ms", (json_int_t)f->added_ms)) == 0;
}

static porch_err factory_list(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    json_t *list = json_array();
    porch_err e = porch_registry_factories(call->world->registry, list_factory, list, call->why);
    if (e != PORCH_OK) {
        json_decref(list);
        return e;
    }
    return json_object_set_new(call->result, "factories", list) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err tpm_ca_add(porch_admin_call *call) {
    static const char *const names[] = {"name", "pem", NULL};
    const char *name = NULL, *pem = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    PORCH_TRY(porch_admin_text(call, "pem", &pem));
    PORCH_TRY(porch_registry_tpm_ca_add(call->world->registry, name, pem, "operator", call->why));
    return answer(call, json_pack("{s:s}", "name", name));
}

static porch_err tpm_ca_remove(porch_admin_call *call) {
    static const char *const names[] = {"name", NULL};
    const char *name = NULL;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    PORCH_TRY(porch_registry_tpm_ca_remove(call->world->registry, name, "operator", call->why));
    return answer(call, json_pack("{s:s}", "name", name));
}

static bool list_tpm_ca(const porch_registry_tpm_ca *ca, void *ctx) {
    porch_x509_info info;
    bool read = porch_x509_read(porch_bytes_of(ca->pem), &info, NULL) == PORCH_OK;
    return json_array_append_new(ctx, json_pack("{s:s, s:s, s:I}", "name", ca->name, "subject",
                                                read ? info.subject : "", "added_ms",
                                                (json_int_t)ca->added_ms)) == 0;
}

static porch_err tpm_ca_list(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    json_t *list = json_array();
    porch_err e = porch_registry_tpm_cas(call->world->registry, list_tpm_ca, list, call->why);
    if (e != PORCH_OK) {
        json_decref(list);
        return e;
    }
    return json_object_set_new(call->result, "makers", list) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err set_flag(porch_admin_call *call, const char *name, bool *flag) {
    const char *text = NULL;
    PORCH_TRY(porch_admin_text_optional(call, name, &text));
    if (text == NULL) return PORCH_OK;
    if (strcmp(text, "required") != 0 && strcmp(text, "optional") != 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "%s is 'required' or 'optional'", name);
    *flag = strcmp(text, "required") == 0;
    return PORCH_OK;
}

static porch_err tell_product(porch_admin_call *call, const char *product,
                              const porch_registry_product *flags) {
    return answer(call, json_pack("{s:s, s:s, s:s}", "product", product, "channel-binding",
                                  flags->channel_binding ? "required" : "optional", "hardware-keys",
                                  flags->hardware_keys ? "required" : "optional"));
}

static porch_err product_show(porch_admin_call *call) {
    static const char *const names[] = {"product", NULL};
    const char *product = NULL;
    porch_registry_product flags;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "product", &product));
    PORCH_TRY(porch_registry_product_get(call->world->registry, product, &flags, call->why));
    return tell_product(call, product, &flags);
}

static porch_err product_set(porch_admin_call *call) {
    static const char *const names[] = {"product", "channel-binding", "hardware-keys", NULL};
    const char *product = NULL;
    porch_registry_product flags;
    PORCH_TRY(need_registry(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "product", &product));
    PORCH_TRY(porch_registry_product_get(call->world->registry, product, &flags, call->why));
    PORCH_TRY(set_flag(call, "channel-binding", &flags.channel_binding));
    PORCH_TRY(set_flag(call, "hardware-keys", &flags.hardware_keys));
    PORCH_TRY(porch_registry_product_set(call->world->registry, product, &flags, "operator", call->why));
    return tell_product(call, product, &flags);
}

const porch_admin_command porch_admin_enrol_commands[] = {
    {"device.claim-token", claim_token}, {"factory-ca.add", factory_add},
    {"factory-ca.list", factory_list},   {"factory-ca.remove", factory_remove},
    {"tpm-ca.add", tpm_ca_add},          {"tpm-ca.list", tpm_ca_list},
    {"tpm-ca.remove", tpm_ca_remove},    {"product.set", product_set},
    {"product.show", product_show},      {NULL, NULL},
};
