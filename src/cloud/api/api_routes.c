#include "cloud/api/api_routes.h"

#include "cloud/api/api_household.h"
#include "cloud/api/device_clips.h"
#include "cloud/api/device_updates.h"
#include "cloud/api/est.h"

enum { BODY_MOST = 16 * 1024 };

/*  method  pattern  listeners  flags  body  handler */
static const porch_http_route PEOPLE[] = {
    {"POST", "/api/v1/setup", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_setup, NULL, NULL, NULL},
    {"POST", "/api/v1/setup/confirm", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_setup_confirm, NULL, NULL,
     NULL},
    {"POST", "/api/v1/password-check", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_password_check, NULL, NULL,
     NULL},
    {"POST", "/api/v1/login", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_login, NULL, NULL, NULL},
    {"POST", "/api/v1/logout", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_logout, NULL, NULL, NULL},
    {"GET", "/api/v1/me", PORCH_ON_PEOPLE, 0, 0, porch_api_me, NULL, NULL, NULL},
    {"GET", "/api/v1/recovery-codes", PORCH_ON_PEOPLE, 0, 0, porch_api_recovery, NULL, NULL, NULL},
    {"POST", "/api/v1/recovery-codes", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_recovery_renew, NULL, NULL,
     NULL},
    {"POST", "/api/v1/step-up", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_step_up, NULL, NULL, NULL},
    {"POST", "/api/v1/password", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_password, NULL, NULL, NULL},
    {"GET", "/api/v1/sessions", PORCH_ON_PEOPLE, 0, 0, porch_api_sessions, NULL, NULL, NULL},
    {"DELETE", "/api/v1/sessions", PORCH_ON_PEOPLE, 0, 0, porch_api_sessions_end, NULL, NULL, NULL},
    {"DELETE", "/api/v1/sessions/{id}", PORCH_ON_PEOPLE, 0, 0, porch_api_session_end, NULL, NULL, NULL},
    {"GET", "/api/v1/alerts", PORCH_ON_PEOPLE, 0, 0, porch_api_alerts, NULL, NULL, NULL},
    {"POST", "/api/v1/alerts/{id}", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_alert_answer, NULL, NULL,
     NULL},
    {"GET", "/api/v1/events", PORCH_ON_PEOPLE, 0, 0, porch_api_events, NULL, NULL, NULL},
    {"GET", "/api/v1/events/stream", PORCH_ON_PEOPLE, 0, 0, porch_api_events_stream, NULL, NULL, NULL},
    {"GET", "/api/v1/events/{id}", PORCH_ON_PEOPLE, 0, 0, porch_api_event_one, NULL, NULL, NULL},
    {"DELETE", "/api/v1/events/{id}", PORCH_ON_PEOPLE, 0, 0, porch_api_event_delete, NULL, NULL, NULL},
    {"PUT", "/api/v1/events/{id}/feedback", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_event_feedback, NULL,
     NULL, NULL},
    {"GET", "/api/v1/events/{id}/thumbnail", PORCH_ON_PEOPLE, 0, 0, porch_api_event_thumbnail, NULL, NULL,
     NULL},
    {"GET", "/api/v1/events/{id}/picture", PORCH_ON_PEOPLE, 0, 0, porch_api_event_picture, NULL, NULL,
     NULL},
    {"GET", "/api/v1/clips/{id}", PORCH_ON_PEOPLE, 0, 0, porch_api_clip_bytes, NULL, NULL, NULL},
    {"DELETE", "/api/v1/clips/{id}", PORCH_ON_PEOPLE, 0, 0, porch_api_clip_delete, NULL, NULL, NULL},
    {"GET", "/api/v1/household", PORCH_ON_PEOPLE, 0, 0, porch_api_household, NULL, NULL, NULL},
    {"POST", "/api/v1/household/keep/preview", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_keep_preview, NULL,
     NULL, NULL},
    {"PUT", "/api/v1/household/keep", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_keep_set, NULL, NULL, NULL},
    {"POST", "/api/v1/household/export", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_export_order, NULL, NULL,
     NULL},
    {"GET", "/api/v1/household/export", PORCH_ON_PEOPLE, 0, 0, porch_api_export_state, NULL, NULL, NULL},
    {"GET", "/api/v1/household/export/{ticket}", PORCH_ON_PEOPLE, 0, 0, porch_api_export_download, NULL,
     NULL, NULL},
    {"POST", "/api/v1/household/erase", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_household_erase, NULL,
     NULL, NULL},
    {"GET", "/api/v1/devices", PORCH_ON_PEOPLE, 0, 0, porch_api_devices, NULL, NULL, NULL},
    {"GET", "/api/v1/devices/{id}/settings", PORCH_ON_PEOPLE, 0, 0, porch_api_twin_get, NULL, NULL, NULL},
    {"PUT", "/api/v1/devices/{id}/privacy", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_twin_privacy, NULL,
     NULL, NULL},
    {"PUT", "/api/v1/devices/{id}/zones", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_twin_zones, NULL, NULL,
     NULL},
    {"GET", "/api/v1/push", PORCH_ON_PEOPLE, 0, 0, porch_api_push, NULL, NULL, NULL},
    {"POST", "/api/v1/push/subscriptions", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_push_subscribe, NULL,
     NULL, NULL},
    {"DELETE", "/api/v1/push/subscriptions/{id}", PORCH_ON_PEOPLE, 0, 0, porch_api_push_unsubscribe, NULL,
     NULL, NULL},
    {"POST", "/api/v1/push/test", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_push_test, NULL, NULL, NULL},
    {"PUT", "/api/v1/push/snoozes/{device}", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_push_snooze, NULL,
     NULL, NULL},
    {"PUT", "/api/v1/push/quiet", PORCH_ON_PEOPLE, 0, BODY_MOST, porch_api_push_quiet, NULL, NULL, NULL},
    {"GET", "/healthz", PORCH_ON_PEOPLE | PORCH_ON_DEVICE, PORCH_HTTP_QUARANTINED, 0, porch_api_health,
     NULL, NULL, NULL},
    {"GET", "/mqtt", PORCH_ON_PEOPLE | PORCH_ON_DEVICE,
     PORCH_HTTP_INLINE | PORCH_HTTP_ANY_VERDICT | PORCH_HTTP_QUARANTINED, 0, porch_api_mqtt, NULL, NULL,
     NULL},
    {"GET", "/metrics", PORCH_ON_DEVICE, PORCH_HTTP_PRINCIPAL, 0, porch_api_metrics, NULL, NULL, NULL},
    {"GET", "/web-ca.crt", PORCH_ON_PEOPLE, 0, 0, porch_api_web_ca, NULL, NULL, NULL},
    {"GET", "/porchlight.mobileconfig", PORCH_ON_PEOPLE, 0, 0, porch_api_profile, NULL, NULL, NULL},
    {"GET", "/api/v1/trust", PORCH_ON_PEOPLE, 0, 0, porch_api_trust, NULL, NULL, NULL},
    {"GET", "/api/{path...}", PORCH_ON_PEOPLE, 0, 0, porch_api_unknown, NULL, NULL, NULL},
    {"GET", "/{path...}", PORCH_ON_PEOPLE, PORCH_HTTP_INLINE, 0, porch_api_file, NULL, NULL, NULL},
};

size_t porch_api_routes(porch_api *api, porch_http_route *out) {
    size_t count = 0;
    for (size_t i = 0; i < sizeof PEOPLE / sizeof PEOPLE[0]; i++) {
        out[count] = PEOPLE[i];
        out[count++].ctx = api;
    }
    count += porch_est_routes(api, out + count, PORCH_API_ROUTES_MOST - count);
    count += porch_device_updates_routes(api == NULL ? NULL : api->updates, out + count,
                                         PORCH_API_ROUTES_MOST - count);
    return count + porch_device_clips_routes(api == NULL ? NULL : api->media, out + count,
                                             PORCH_API_ROUTES_MOST - count);
}
