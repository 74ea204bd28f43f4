/* Push messages and times of rest, for the person who is signed in: each route touches only what is theirs.
 */
#include "cloud/api/api_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/api_json.h"
#include "cloud/notify/notify_push.h"

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

enum { MINUTES_A_HOUR = 60 };

static json_t *subscription_json(const porch_push_subscription *s) {
    return json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:i}", "id", s->id, "service", s->origin, "muted",
                     s->muted, "created_ms", (json_int_t)s->created_ms, "delivered",
                     (json_int_t)s->delivered, "last_at_ms",
                     s->last_at_ms ? json_integer((json_int_t)s->last_at_ms) : json_null(), "last_status",
                     (int)s->last_status);
}

static json_t *time_json(uint32_t minute) {
    char text[16];
    (void)snprintf(text, sizeof text, "%02u:%02u", minute / MINUTES_A_HOUR, minute % MINUTES_A_HOUR);
    return json_string(text);
}

json_t *porch_api_push_view(const porch_push_view *v, const char *key) {
    json_t *subscriptions = json_array(), *snoozes = json_array();
    for (size_t i = 0; i < v->subscriptions_count; i++)
        (void)json_array_append_new(subscriptions, subscription_json(&v->subscriptions[i]));
    for (size_t i = 0; i < v->snoozes_count; i++)
        (void)json_array_append_new(snoozes, json_pack("{s:s, s:I}", "device", v->snoozes[i].device,
                                                       "until_ms", (json_int_t)v->snoozes[i].until_ms));
    json_t *quiet = v->quiet ? json_pack("{s:o, s:o}", "begins", time_json(v->quiet_begins), "ends",
                                         time_json(v->quiet_ends))
                             : json_null();
    return json_pack("{s:s, s:o, s:o, s:o}", "key", key, "subscriptions", subscriptions, "snoozes", snoozes,
                     "quiet", quiet);
}

void porch_api_push(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    uint8_t raw[PORCH_SIGNER_VAPID_KEY_BYTES];
    char key[96] = "";
    porch_buf key_buf = {(uint8_t *)key, 0, sizeof key - 1};
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    porch_push_view *view = calloc(1, sizeof *view);
    porch_err e = view == NULL ? PORCH_ERR_BUSY : porch_push_key(api->notify, raw, &why);
    if (e == PORCH_OK) e = porch_base64_write(&key_buf, (porch_bytes){raw, sizeof raw}, true);
    if (e == PORCH_OK) e = porch_push_read(api->notify, s.person.id, view, &why);
    if (e == PORCH_OK)
        porch_api_json(x, 200, porch_api_push_view(view, key));
    else
        porch_api_refuse_for(x, e, 0, &why);
    free(view);
}

void porch_api_push_subscribe(porch_http_exchange *x) {
    porch_user_session s;
    porch_bytes endpoint, was, p256dh, auth;
    const porch_json_field fields[] = {{"endpoint", PORCH_COURIER_URL_MAX, true, &endpoint},
                                       {"was", PORCH_COURIER_URL_MAX, false, &was},
                                       {"p256dh", 128, true, &p256dh},
                                       {"auth", 64, true, &auth}};
    json_t *root = NULL;
    char id[33];
    bool made = false;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = porch_push_subscribe(porch_api_of(x)->notify, s.person.id, s.id, endpoint, was, p256dh,
                                       auth, id, &made, &why);
    json_decref(root);
    if (e != PORCH_OK) {
        /* Too many is a state of things that the person ends, not a matter of pace. */
        porch_api_refuse_for(x, e == PORCH_ERR_LIMIT ? PORCH_ERR_STATE : e, 0, &why);
        return;
    }
    porch_api_json(x, made ? 201 : 200, json_pack("{s:s}", "id", id));
}

/* 204, or the refusal. */
static void answer_empty(porch_http_exchange *x, porch_err e, const porch_why *why) {
    if (e == PORCH_OK)
        (void)porch_http_reply(x, 204, NULL, PORCH_LIT(""));
    else
        porch_api_refuse_for(x, e, 0, why);
}

void porch_api_push_unsubscribe(porch_http_exchange *x) {
    porch_user_session s;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    answer_empty(
        x, porch_push_unsubscribe(porch_api_of(x)->notify, s.person.id, porch_http_param(x, "id"), &why),
        &why);
}

void porch_api_push_test(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    uint32_t queued = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    porch_err e = porch_push_test(api->notify, s.person.id, &queued, &why);
    if (e != PORCH_OK) {
        porch_api_refuse_for(x, e, e == PORCH_ERR_LIMIT ? api->settings->push_test_wait_s : 0, &why);
        return;
    }
    porch_api_json(x, 202, json_pack("{s:i}", "queued", (int)queued));
}

void porch_api_push_snooze(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_bytes minutes_text;
    const porch_json_field fields[] = {{"minutes", 4, true, &minutes_text}};
    const char *device = porch_http_param(x, "device");
    porch_registry_device found;
    json_t *root = NULL;
    uint64_t minutes = 0, until_ms = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    if (porch_registry_device_get(api->registry, device, &found) != PORCH_OK) {
        (void)porch_http_problem(x, 404, "not-found", "there is no device by that id");
        return;
    }
    if (strcmp(found.household, s.person.household) != 0) {
        porch_api_refuse_household(x, &s, "snooze", device);
        return;
    }
    if (!porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = porch_decimal_read(minutes_text, PORCH_PUSH_DAY_MINUTES, &minutes);
    json_decref(root);
    /* What is no number is answered like a number that is not offered. */
    if (e != PORCH_OK) minutes = PORCH_PUSH_DAY_MINUTES;
    e = porch_push_snooze(api->notify, s.person.id, device, (uint32_t)minutes, &until_ms, &why);
    if (e != PORCH_OK) {
        porch_api_refuse_for(x, e, 0, &why);
        return;
    }
    porch_api_json(x, 200,
                   json_pack("{s:s, s:o}", "device", device, "until_ms",
                             until_ms ? json_integer((json_int_t)until_ms) : json_null()));
}

void porch_api_push_quiet(porch_http_exchange *x) {
    porch_user_session s;
    porch_bytes begins_text, ends_text;
    const porch_json_field fields[] = {{"begins", 5, true, &begins_text}, {"ends", 5, true, &ends_text}};
    json_t *root = NULL;
    uint32_t begins = 0, ends = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = PORCH_OK;
    if (!porch_push_time_read(begins_text, &begins) || !porch_push_time_read(ends_text, &ends))
        e = porch_fail(&why, PORCH_ERR_USAGE,
                       "quiet hours are given as HH:MM, in the household's time zone");
    json_decref(root);
    if (e == PORCH_OK) e = porch_push_quiet(porch_api_of(x)->notify, s.person.id, begins, ends, &why);
    answer_empty(x, e, &why);
}
