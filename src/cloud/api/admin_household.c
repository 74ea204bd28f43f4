/* household.erase: the operator ends a household. */
#include <string.h>

#include "cloud/api/admin.h"
#include "cloud/api/household_erase.h"
#include "cloud/api/household_release.h"

static void tell(double done, const char *text, void *ctx) {
    porch_admin_progress(ctx, done, text);
}

/* {id, confirm}: both the id of `what`, so that no half-typed command ends it; only while the hub serves.
 */
static porch_err take_id(porch_admin_call *call, const char *what, const char *verb, const char **ret) {
    static const char *const names[] = {"id", "confirm", NULL};
    const porch_admin_world *w = call->world;
    const char *confirm = NULL;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "id", ret));
    PORCH_TRY(porch_admin_text(call, "confirm", &confirm));
    if (strcmp(*ret, confirm) != 0)
        return porch_fail(call->why, PORCH_ERR_USAGE, "confirm must be the %s's id", what);
    if (w->media == NULL || w->accounts == NULL || w->signer == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE,
                          "the hub does not serve now; start it with 'porchlightd DIR' to %s a %s", verb,
                          what);
    return PORCH_OK;
}

static porch_erase_rooms rooms_of(porch_admin_call *call) {
    const porch_admin_world *w = call->world;
    return (porch_erase_rooms){.dir = w->dir,
                               .store = w->store,
                               .registry = w->registry,
                               .grants = w->grants,
                               .signer = w->signer,
                               .accounts = w->accounts,
                               .media = w->media,
                               .broker = w->broker,
                               .exports = w->exports,
                               .progress = tell,
                               .progress_ctx = call};
}

static porch_err answer_id(const porch_admin_call *call, const char *id) {
    return json_object_set_new(call->result, "id", json_string(id)) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err household_erase(porch_admin_call *call) {
    const char *id = NULL;
    PORCH_TRY(take_id(call, "household", "erase", &id));
    const porch_erase_rooms rooms = rooms_of(call);
    PORCH_TRY(porch_household_erase(&rooms, id, "operator", call->why));
    return answer_id(call, id);
}

static porch_err device_release(porch_admin_call *call) {
    const char *id = NULL;
    PORCH_TRY(take_id(call, "device", "release", &id));
    const porch_erase_rooms rooms = rooms_of(call);
    PORCH_TRY(porch_device_release(&rooms, id, NULL, "operator", call->why));
    return answer_id(call, id);
}

const porch_admin_command porch_admin_household_commands[] = {
    {"device.release", device_release},
    {"household.erase", household_erase},
    {NULL, NULL},
};
