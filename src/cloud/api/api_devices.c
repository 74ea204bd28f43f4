/* The household's devices, whether the hub is well, and what an unknown path gets. */
#include "cloud/api/api_world.h"

#include <string.h>

#include "cloud/api/api_live.h"
#include "cloud/api/api_sight.h"
#include "cloud/rollout/rollout.h"
#include "os/clock.h"

json_t *porch_api_device(const porch_registry_device *d) {
    const char *state = d->revoked_ms != 0                           ? "revoked"
                        : d->quarantined_ms != 0                     ? "quarantined"
                        : d->certificate_ends_ms <= porch_clock_ms() ? "expired"
                                                                     : "active";
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "id", d->id, "product", d->product, "household",
                     d->household, "state", state, "online", d->online, "last_seen_ms",
                     d->last_seen_ms == 0 ? json_null() : json_integer((json_int_t)d->last_seen_ms),
                     "certificate_ends_ms",
                     d->certificate_ends_ms == 0 ? json_null()
                                                 : json_integer((json_int_t)d->certificate_ends_ms));
}

static bool add_device(const porch_registry_device *device, void *ctx) {
    (void)json_array_append_new(ctx, porch_api_device(device));
    return true;
}

/* What each device of the list said last about its update; null for one that has not said anything. */
static porch_err add_updates(porch_db *db, void *ctx, porch_why *why) {
    json_t *each;
    size_t i;
    json_array_foreach((json_t *)ctx, i, each) {
        porch_rollout_device d;
        PORCH_TRY(porch_rollout_device_get(db, json_string_value(json_object_get(each, "id")), &d, why));
        (void)json_object_set_new(each, "update",
                                  d.known ? json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "running", d.running,
                                                      "target", d.target, "state", d.state, "reason",
                                                      d.reason, "bytes", (json_int_t)d.bytes, "at_ms",
                                                      (json_int_t)d.at_ms)
                                          : json_null());
    }
    return PORCH_OK;
}

/* Takes out the devices of which the policy lets the person see nothing. Not for owners: who lets devices
 * in, keeps them apart and gives them away has all of them before the eyes. */
static void drop_unseen(const porch_api *api, const porch_person *person, json_t *devices) {
    if (person->role == PORCH_ROLE_OWNER) return;
    for (size_t i = json_array_size(devices); i-- > 0;) {
        const char *id = json_string_value(json_object_get(json_array_get(devices, i), "id"));
        if (id == NULL || !porch_sight_any(api, person, id, NULL)) (void)json_array_remove(devices, i);
    }
}

void porch_api_devices(porch_http_exchange *x) {
    porch_user_session s;
    if (!porch_api_session(x, &s)) return;
    json_t *devices = json_array();
    porch_registry_devices(porch_api_of(x)->registry, s.person.household, add_device, devices);
    drop_unseen(porch_api_of(x), &s.person, devices);
    porch_why why = {{0}};
    porch_err e = porch_store_read(porch_api_of(x)->store, add_updates, devices, &why);
    if (e != PORCH_OK) {
        json_decref(devices);
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_api_json(x, 200, json_pack("{s:o}", "devices", devices));
}

void porch_api_health(porch_http_exchange *x) {
    porch_store_counts counts;
    porch_store_count(porch_api_of(x)->store, &counts);
    bool well = counts.state == PORCH_OK;
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    (void)porch_http_reply(x, well ? 200 : 503, "text/plain; charset=utf-8",
                           well ? PORCH_LIT("ok\n") : PORCH_LIT("the store is refused by the disk\n"));
}

/* MQTT over WebSocket: for certificates. */
void porch_api_mqtt(porch_http_exchange *x) {
    if (porch_http_peer(x)->role == PORCH_LISTEN_DEVICE) {
        porch_http_mqtt(x);
        return;
    }
    (void)porch_http_problem(x, 403, "not-offered",
                             "MQTT over WebSocket at this path is for devices and services, at the "
                             "devices' port; people sign in and "
                             "ask for /api/v1/mqtt");
}

/* The same for the app: the sign-in is the proof, and the broker judges by name, household and role. */
void porch_api_mqtt_person(porch_http_exchange *x) {
    porch_user_session s;
    if (!porch_api_session(x, &s)) return;
    porch_principal who = {.kind = PORCH_IDENTITY_PERSON, .role = (uint8_t)s.person.role};
    porch_api_person_key(&s.person, who.name);
    memcpy(who.household, s.person.household, sizeof who.household);
    memcpy(who.sign_in, s.hash, sizeof who.sign_in);
    if (!porch_live_watch(porch_api_of(x)->live, s.hash)) {
        (void)porch_http_reply_header(x, "Retry-After", "10");
        (void)porch_http_problem(x, 503, "streams", "too many people are connected; try again");
        return;
    }
    porch_http_mqtt_person(x, &who);
}

void porch_api_unknown(porch_http_exchange *x) {
    (void)porch_http_problem(x, 404, "not-found",
                             "there is nothing at this path; docs/openapi.yaml lists what there is");
}
