/* What an owner may do with the household's devices: let one in, keep one apart, give one away. All of it
 * wants a fresh second factor. */
#include <stdio.h>
#include <string.h>

#include "cloud/api/api_household.h"
#include "cloud/api/api_live.h"
#include "cloud/api/household_release.h"
#include "os/log.h"

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

static void who_of(const porch_user_session *s, char out[96]) {
    (void)snprintf(out, 96, "user:%.80s", s->person.name);
}

/* The household's own device; that an owner with a fresh code asks is the door's business (api_routes.c).
 */
static bool begin(porch_http_exchange *x, porch_user_session *s, porch_registry_device *d) {
    return porch_api_session(x, s) && porch_api_own_device(x, s, d);
}

/* ---- letting one in ---- */

void porch_api_claim_token(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_bytes product;
    const porch_json_field fields[] = {{"product", 64, true, &product}};
    char token[PORCH_REGISTRY_CLAIM_BYTES], device[PORCH_REGISTRY_NAME_BYTES], name[65], who[96];
    uint64_t ends_ms = 0;
    json_t *root = NULL;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    bool fits = porch_bytes_to_text(product, name, sizeof name);
    json_decref(root);
    who_of(&s, who);
    const porch_registry_claim_spec spec = {.product = name, .household = s.person.household, .who = who};
    porch_err e = fits ? porch_registry_claim_make(api->registry, &spec, token, device, &ends_ms, &why)
                       : PORCH_ERR_MALFORMED;
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_api_json(
        x, 200,
        json_pack("{s:s, s:s, s:I}", "token", token, "device", device, "ends_ms", (json_int_t)ends_ms));
    porch_wipe(token, sizeof token);
}

/* ---- keeping one apart ---- */

static void set_quarantine(porch_http_exchange *x,
                           porch_err (*change)(porch_registry *, const char *, const char *, porch_why *)) {
    porch_user_session s;
    porch_registry_device d;
    char who[96];
    porch_why why = {{0}};
    if (!begin(x, &s, &d)) return;
    who_of(&s, who);
    porch_err e = change(porch_api_of(x)->registry, d.id, who, &why);
    if (e == PORCH_OK) e = porch_registry_device_get(porch_api_of(x)->registry, d.id, &d);
    if (e == PORCH_ERR_STATE || e == PORCH_ERR_REVOKED)
        (void)porch_http_problem(x, 409, "state", porch_why_text(&why, e));
    else if (e != PORCH_OK)
        porch_api_refuse(x, e, &why);
    else
        porch_api_json(x, 200, porch_api_device(&d));
}

void porch_api_device_quarantine(porch_http_exchange *x) {
    set_quarantine(x, porch_registry_device_quarantine);
}

void porch_api_device_readmit(porch_http_exchange *x) {
    set_quarantine(x, porch_registry_device_readmit);
}

/* ---- giving one away ---- */

void porch_api_device_release(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_registry_device d;
    porch_bytes confirm;
    const porch_json_field fields[] = {{"confirm", 65, true, &confirm}};
    char who[96];
    json_t *root = NULL;
    porch_why why = {{0}};
    if (!begin(x, &s, &d) || !porch_api_body(x, FIELDS(fields), &root)) return;
    bool meant = porch_bytes_eq_text(confirm, d.id);
    json_decref(root);
    if (!meant) {
        (void)porch_http_problem(x, 422, "confirm", "type the device's name exactly as it is shown");
        return;
    }
    who_of(&s, who);
    const porch_erase_rooms rooms = porch_api_erase_rooms(api);
    porch_err e = porch_device_release(&rooms, d.id, s.person.household, who, &why);
    if (e != PORCH_OK && e != PORCH_ERR_BUSY) { /* BUSY: all is erased, a backup still holds the old log */
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_live_tell(api->live, PORCH_LIVE_PASSING, s.person.household, NULL, "released", 0,
                    json_pack("{s:s}", "device", d.id));
    porch_api_json(x, 200, json_pack("{s:s, s:b}", "device", d.id, "scrubbed", e == PORCH_OK));
}
