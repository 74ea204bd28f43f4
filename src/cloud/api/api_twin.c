/* A device's settings as people set them: privacy and the zones that a camera ignores. What is shown as
 * applied is what the device has reported, never what was only asked for.
 *
 *   PUT ─► row and trust entry in one transaction ─► d/ID/state/desired ─► the device ─►
 * d/ID/state/reported ─► pages */
#include "cloud/api/api_live.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/api_sight.h"
#include "cloud/broker/broker.h"
#include "cloud/trust/trust.h"
#include "cloud/twin/twin.h"
#include "os/clock.h"
#include "os/log.h"
#include "wire/id.h"

enum { PICTURES_LOOKED_AT = 50, ZONES_TEXT_MOST = 16 * 24 };

/* ---- what is shown ---- */

static json_t *zones_json(const porch_twin_camera *c) {
    json_t *zones = json_array();
    for (size_t i = 0; i < c->zone_count; i++) {
        const int32_t *z = c->zones[i];
        (void)json_array_append_new(zones, json_pack("[i, i, i, i]", z[0], z[1], z[2], z[3]));
    }
    return zones;
}

static json_t *camera_json(uint64_t version, const porch_twin_camera *c, uint64_t at_ms) {
    return json_pack("{s:I, s:b, s:o, s:I}", "version", (json_int_t)version, "privacy", c->privacy,
                     "ignore", zones_json(c), "at_ms", (json_int_t)at_ms);
}

json_t *porch_api_twin(const porch_twin_view *v, const char *picture) {
    json_t *reported = json_null();
    bool pending = v->desired_version != 0 && v->reported_version != v->desired_version;
    if (v->has_reported) {
        reported = camera_json(v->reported_version, &v->reported, v->reported_ms);
        (void)json_object_set_new(reported, "capture",
                                  v->capture[0] == '\0' ? json_null() : json_string(v->capture));
    }
    return json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:i}", "device", v->device, "pending", pending, "desired",
        v->desired_version == 0 ? json_null() : camera_json(v->desired_version, &v->desired, v->desired_ms),
        "reported", reported, "picture", picture[0] == '\0' ? json_null() : json_string(picture),
        "most_zones", PORCH_TWIN_ZONES);
}

static void newest_picture(const porch_media_event *event, void *ctx) {
    char *path = ctx;
    if (path[0] == '\0' && event->has_thumbnail)
        (void)snprintf(path, 80, "/api/v1/events/%s/thumbnail", event->uid);
}

static porch_err read_twin(porch_db *db, void *ctx, porch_why *why) {
    porch_twin_view *v = ctx;
    char device[PORCH_TWIN_DEVICE_TEXT];
    memcpy(device, v->device, sizeof device);
    return porch_twin_get(db, device, v, why);
}

static void answer(porch_http_exchange *x, const char *device, const porch_person *person) {
    porch_api *api = porch_api_of(x);
    porch_twin_view v = {.desired_version = 0};
    porch_why why = {{0}};
    char picture[80] = "";
    const porch_media_timeline_query q = {.household = person->household,
                                          .device = device,
                                          .before_ms = UINT64_MAX,
                                          .limit = PICTURES_LOOKED_AT};
    (void)snprintf(v.device, sizeof v.device, "%s", device);
    unsigned sees = porch_sight_of(api, person, device, PORCH_SEES_EVENT | PORCH_SEES_STATE, NULL);
    porch_err e = porch_store_read(api->store, read_twin, &v, &why);
    if (e == PORCH_OK && (sees & PORCH_SEES_EVENT) != 0)
        e = porch_media_timeline(api->media, &q, newest_picture, picture, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    json_t *twin = porch_api_twin(&v, picture);
    if ((sees & PORCH_SEES_STATE) == 0) (void)json_object_set_new(twin, "reported", json_null());
    porch_api_json(x, 200, twin);
}

/* ---- whose ---- */

bool porch_api_own_device(porch_http_exchange *x, const porch_user_session *s, porch_registry_device *ret) {
    porch_id id;
    porch_err e = porch_id_parse(porch_bytes_of(porch_http_param(x, "id")), &id);
    if (e == PORCH_OK) e = porch_registry_device_get(porch_api_of(x)->registry, id.text, ret);
    if (e != PORCH_OK) {
        (void)porch_http_problem(x, 404, "not-found", "there is no such device");
        return false;
    }
    if (strcmp(ret->household, s->person.household) != 0) {
        porch_api_refuse_household(x, s, "device", id.text);
        return false;
    }
    return true;
}

/* The household's, and the person may see something of it: who may not, may not change it either. */
static bool seen_device(porch_http_exchange *x, const porch_user_session *s, porch_registry_device *ret) {
    porch_why why = {{0}};
    if (!porch_api_own_device(x, s, ret)) return false;
    if (porch_sight_any(porch_api_of(x), &s->person, ret->id, &why)) return true;
    porch_api_refuse_sight(x, s, "device", ret->id, &why);
    return false;
}

void porch_api_twin_get(porch_http_exchange *x) {
    porch_user_session s;
    porch_registry_device d;
    if (porch_api_session(x, &s) && seen_device(x, &s, &d)) answer(x, d.id, &s.person);
}

/* ---- changes ---- */

typedef struct {
    const char *device;
    const char *person;
    porch_twin_change change;
    porch_twin_camera to;
    bool has_base;
    uint64_t base; /* the version that the change was made from */
    uint8_t block[PORCH_TWIN_DOC_MOST];
    porch_buf document;
} order;

static porch_err carry_out(porch_db *db, void *ctx, porch_why *why) {
    order *o = ctx;
    char who[PORCH_PERSON_NAME_TEXT + 8], subject[80], detail[64];
    bool privacy = o->change == PORCH_TWIN_CHANGE_PRIVACY;
    PORCH_TRY(porch_twin_set(db, o->device, o->change, &o->to, o->has_base ? &o->base : NULL,
                             porch_clock_ms(), &o->document, why));
    (void)snprintf(who, sizeof who, "user:%s", o->person);
    (void)snprintf(subject, sizeof subject, "device:%s", o->device);
    if (privacy)
        (void)snprintf(detail, sizeof detail, "{\"on\":%s}", o->to.privacy ? "true" : "false");
    else
        (void)snprintf(detail, sizeof detail, "{\"zones\":%zu}", o->to.zone_count);
    return porch_trust_append(db, privacy ? "device.privacy" : "device.zones", who, subject, detail, why);
}

void porch_api_twin_publish(const porch_api *api, const char *device, porch_bytes document) {
    char topic[PORCH_TWIN_DEVICE_TEXT + 24];
    (void)snprintf(topic, sizeof topic, "d/%s/state/desired", device);
    if (api->broker == NULL || document.len == 0) return;
    porch_err e = porch_broker_publish(api->broker, porch_bytes_of(topic), document, 1);
    if (e != PORCH_OK) /* the device's next report asks for it again */
        porch_log(PORCH_LOG_WARN, "twin.unpublished", "device", device, "error", porch_err_name(e), NULL);
}

static void change(porch_http_exchange *x, const porch_user_session *s, const char *device, order *o) {
    porch_api *api = porch_api_of(x);
    porch_why why = {{0}};
    o->device = device;
    o->person = s->person.name;
    o->document = PORCH_BUF_OF(o->block);
    porch_err e = porch_store_write(api->store, carry_out, o, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_log(PORCH_LOG_INFO, "twin.changed", "name", s->person.name, "device", device, "what",
              o->change == PORCH_TWIN_CHANGE_PRIVACY ? "privacy" : "zones", NULL);
    porch_api_twin_publish(api, device, porch_buf_bytes(&o->document));
    porch_live_device(api->live, device);
    answer(x, device, &s->person);
}

void porch_api_twin_privacy(porch_http_exchange *x) {
    porch_user_session s;
    porch_registry_device d;
    porch_bytes on;
    const porch_json_field fields[] = {{"on", 3, true, &on}};
    order o = {.change = PORCH_TWIN_CHANGE_PRIVACY};
    json_t *root = NULL;
    if (!porch_api_session(x, &s) || !seen_device(x, &s, &d) || !porch_api_body(x, fields, 1, &root))
        return;
    o.to.privacy = porch_bytes_eq_text(on, "yes");
    bool good = o.to.privacy || porch_bytes_eq_text(on, "no");
    json_decref(root);
    if (good)
        change(x, &s, d.id, &o);
    else
        (void)porch_http_problem(x, 400, "malformed", "the field 'on' is yes or no");
}

static porch_err read_base(porch_bytes text, order *o, porch_why *why) {
    o->has_base = text.at != NULL;
    if (!o->has_base || porch_decimal_read(text, UINT64_MAX >> 1, &o->base) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED,
                      "base is the version of the wish that was read, as text; 0: there was none");
}

void porch_api_twin_zones(porch_http_exchange *x) {
    porch_user_session s;
    porch_registry_device d;
    porch_bytes ignore, base = {NULL, 0};
    porch_why why = {{0}};
    const porch_json_field fields[] = {{"ignore", ZONES_TEXT_MOST, true, &ignore},
                                       {"base", 20, false, &base}};
    order o = {.change = PORCH_TWIN_CHANGE_ZONES};
    json_t *root = NULL;
    if (!porch_api_session(x, &s) || !seen_device(x, &s, &d) || !porch_api_body(x, fields, 2, &root))
        return;
    porch_err e = porch_twin_zones_read(ignore, &o.to, &why);
    if (e == PORCH_OK) e = read_base(base, &o, &why);
    json_decref(root);
    if (e == PORCH_OK)
        change(x, &s, d.id, &o);
    else
        (void)porch_http_problem(x, 400, "malformed", porch_why_text(&why, e));
}
