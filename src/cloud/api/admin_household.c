/* household.erase: the operator ends a household. */
#include <string.h>

#include "cloud/api/admin.h"
#include "cloud/api/household_erase.h"
#include "cloud/api/household_export.h"
#include "cloud/api/household_release.h"

static void tell(double done, const char *text, void *ctx) {
    porch_admin_progress(ctx, done, text);
}

/* {id, confirm}: both the household's id, so that no half-typed command does it. */
static porch_err household_erase(porch_admin_call *call) {
    static const char *const names[] = {"id", "confirm", NULL};
    const porch_admin_world *w = call->world;
    const char *id = NULL, *confirm = NULL;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "id", &id));
    PORCH_TRY(porch_admin_text(call, "confirm", &confirm));
    if (strcmp(id, confirm) != 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "confirm must be the household's id");
    if (w->media == NULL || w->accounts == NULL || w->signer == NULL)
        return porch_fail(
            call->why, PORCH_ERR_STATE,
            "the hub does not serve now; start it with 'porchlightd DIR' to erase a household");
    if (w->exports != NULL) porch_exports_end(w->exports, id);
    const porch_erase_rooms rooms = {.dir = w->dir,
                                     .store = w->store,
                                     .registry = w->registry,
                                     .grants = w->grants,
                                     .signer = w->signer,
                                     .accounts = w->accounts,
                                     .media = w->media,
                                     .progress = tell,
                                     .progress_ctx = call};
    PORCH_TRY(porch_household_erase(&rooms, id, "operator", call->why));
    return json_object_set_new(call->result, "id", json_string(id)) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

/* {id, confirm}: both the device's id. */
static porch_err device_release(porch_admin_call *call) {
    static const char *const names[] = {"id", "confirm", NULL};
    const porch_admin_world *w = call->world;
    const char *id = NULL, *confirm = NULL;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "id", &id));
    PORCH_TRY(porch_admin_text(call, "confirm", &confirm));
    if (strcmp(id, confirm) != 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "confirm must be the device's id");
    if (w->media == NULL || w->accounts == NULL || w->signer == NULL)
        return porch_fail(
            call->why, PORCH_ERR_STATE,
            "the hub does not serve now; start it with 'porchlightd DIR' to release a device");
    const porch_erase_rooms rooms = {.dir = w->dir,
                                     .store = w->store,
                                     .registry = w->registry,
                                     .grants = w->grants,
                                     .signer = w->signer,
                                     .accounts = w->accounts,
                                     .media = w->media,
                                     .progress = tell,
                                     .progress_ctx = call};
    PORCH_TRY(porch_device_release(&rooms, id, NULL, "operator", call->why));
    return json_object_set_new(call->result, "id", json_string(id)) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

const porch_admin_command porch_admin_household_commands[] = {
    {"device.release", device_release},
    {"household.erase", household_erase},
    {NULL, NULL},
};
