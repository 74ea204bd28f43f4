/* What the handlers of the people's API work on, and the words they share. For this room only.
 *
 * Every route's ctx is its door (api_door.h), which leads to the porch_api. That is filled once before the
 * listener starts and not changed after.
 */
#ifndef PORCH_CLOUD_API_WORLD_H
#define PORCH_CLOUD_API_WORLD_H

#include <jansson.h>

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_alert.h"
#include "cloud/accounts/accounts_session.h"
#include "cloud/api/api_door.h"
#include "cloud/api/api_json.h"
#include "cloud/api/metrics.h"
#include "cloud/listener/http.h"
#include "cloud/media/media_event.h"
#include "cloud/notify/notify.h"
#include "cloud/notify/notify_push.h"
#include "cloud/registry/registry.h"
#include "cloud/settings/settings.h"
#include "cloud/store/store.h"
#include "cloud/twin/twin.h"

enum { PORCH_API_ROUTES_MOST = 96 };

struct porch_live;
struct porch_exports;
struct porch_attestations;
struct porch_turns;
struct porch_app;
struct porch_grants;
struct porch_broker;
struct porch_updates;

typedef struct porch_api {
    const porch_settings *settings;
    porch_store *store;
    porch_registry *registry;
    porch_accounts *accounts;
    porch_media *media;
    porch_notify *notify;
    struct porch_live *live;
    struct porch_exports *exports;
    struct porch_attestations *attestations;
    struct porch_turns *time_turns; /* each certificate's questions for the time */
    porch_signer_client *signer;
    const char *dir; /* the hub's directory */
    struct porch_app *app;
    struct porch_grants *grants;
    struct porch_updates *updates;                  /* NULL in tests */
    struct porch_broker *broker;                    /* tells devices what people wish for; NULL in tests */
    void (*measure)(porch_metrics *ret, void *ctx); /* for /metrics; may block */
    void *measure_ctx;
    porch_api_door doors[PORCH_API_ROUTES_MOST]; /* what the routes lead to; porch_api_routes fills it */
    porch_bytes web_ca_pem; /* offered for download; empty when the certificate is a public one */
} porch_api;

static inline porch_api *porch_api_of(const porch_http_exchange *x) {
    return ((const porch_api_door *)porch_http_route_ctx(x))->api;
}

/* Who is signed in, as the door found out; without a door before it: false, it has answered 401 (or 500).
 */
bool porch_api_session(porch_http_exchange *x, porch_user_session *ret);
/* The body against the fields that the route knows; false: it has answered. *root is the caller's. */
bool porch_api_body(porch_http_exchange *x, const porch_json_field *fields, size_t count, json_t **root);
/* Answers with the problem that goes with an error; the sentence of OURS errors stays in the log. */
void porch_api_refuse(porch_http_exchange *x, porch_err e, const porch_why *why);
/* 429 or 503 with Retry-After, else as above. */
void porch_api_refuse_for(porch_http_exchange *x, porch_err e, uint32_t retry_after_s,
                          const porch_why *why);
/* The device of the path, if it is the person's household's; false: it has answered. */
bool porch_api_own_device(porch_http_exchange *x, const porch_user_session *s, porch_registry_device *ret);
/* 403 for what belongs to another household, with a log line. */
void porch_api_refuse_household(porch_http_exchange *x, const porch_user_session *s, const char *what,
                                const char *id);
/* Answers with the JSON text of `value`, which it takes over; never stored by caches. */
void porch_api_json(porch_http_exchange *x, int status, json_t *value);

/* {name, role, household, household_name, timezone}. NULL when out of memory. */
json_t *porch_api_user(const porch_api *api, const porch_person *person);
/* Sets or (token NULL) clears the cookie, which lasts for `life_s`. */
void porch_api_cookie(porch_http_exchange *x, const char *token, uint64_t life_s);
uint64_t porch_api_cookie_life_s(const porch_api *api, bool installed);
/* What the cookie holds; at == NULL when there is none. */
porch_bytes porch_api_cookie_token(const porch_http_exchange *x);

/* An event and a clip as the API tells them. NULL when out of memory. */
json_t *porch_api_event(const porch_media_event *event);
json_t *porch_api_clip(const porch_media_clip_info *clip);
/* What GET /api/v1/push answers; `key` is the VAPID key in base64url. */
json_t *porch_api_push_view(const porch_push_view *v, const char *key);
json_t *porch_api_device(const porch_registry_device *device);
/* A device's settings; `picture` is the path of its newest one, or "". */
json_t *porch_api_twin(const porch_twin_view *view, const char *picture);
/* Sends the device its wish, if it is connected. Never blocks. */
void porch_api_twin_publish(const porch_api *api, const char *device, porch_bytes document);
/* A person's name as the policy writes it: in ASCII lower case. */
void porch_api_person_key(const porch_person *person, char out[PORCH_PERSON_NAME_TEXT]);
/* {id, kind, at_ms, last_ms, count, address, agent, session_lives, own, answer}. */
json_t *porch_api_alert(const porch_alert *alert);

/* The handlers, one for each row of api_routes.c. */
void porch_api_setup(porch_http_exchange *x);
void porch_api_setup_confirm(porch_http_exchange *x);
void porch_api_recovery(porch_http_exchange *x);
void porch_api_recovery_renew(porch_http_exchange *x);
void porch_api_step_up(porch_http_exchange *x);
void porch_api_password(porch_http_exchange *x);
void porch_api_sessions(porch_http_exchange *x);
void porch_api_session_end(porch_http_exchange *x);
void porch_api_sessions_end(porch_http_exchange *x);
void porch_api_alerts(porch_http_exchange *x);
void porch_api_alert_answer(porch_http_exchange *x);
void porch_api_password_check(porch_http_exchange *x);
void porch_api_login(porch_http_exchange *x);
void porch_api_logout(porch_http_exchange *x);
void porch_api_me(porch_http_exchange *x);
void porch_api_events(porch_http_exchange *x);
void porch_api_event_one(porch_http_exchange *x);
void porch_api_event_thumbnail(porch_http_exchange *x);
void porch_api_event_picture(porch_http_exchange *x);
void porch_api_events_stream(porch_http_exchange *x);
void porch_api_event_feedback(porch_http_exchange *x);
void porch_api_clip_bytes(porch_http_exchange *x);
void porch_api_device_release(porch_http_exchange *x);
void porch_api_device_quarantine(porch_http_exchange *x);
void porch_api_device_readmit(porch_http_exchange *x);
void porch_api_claim_token(porch_http_exchange *x);
void porch_api_event_delete(porch_http_exchange *x);
void porch_api_clip_delete(porch_http_exchange *x);
void porch_api_devices(porch_http_exchange *x);
void porch_api_twin_get(porch_http_exchange *x);
void porch_api_twin_privacy(porch_http_exchange *x);
void porch_api_twin_zones(porch_http_exchange *x);
void porch_api_push(porch_http_exchange *x);
void porch_api_push_subscribe(porch_http_exchange *x);
void porch_api_push_unsubscribe(porch_http_exchange *x);
void porch_api_push_test(porch_http_exchange *x);
void porch_api_push_snooze(porch_http_exchange *x);
void porch_api_push_quiet(porch_http_exchange *x);
void porch_api_metrics(porch_http_exchange *x);
void porch_api_health(porch_http_exchange *x);
void porch_api_web_ca(porch_http_exchange *x);
void porch_api_profile(porch_http_exchange *x);
void porch_api_trust(porch_http_exchange *x);
void porch_api_mqtt(porch_http_exchange *x);
void porch_api_mqtt_person(porch_http_exchange *x);
void porch_api_unknown(porch_http_exchange *x);
void porch_api_file(porch_http_exchange *x);

#endif
