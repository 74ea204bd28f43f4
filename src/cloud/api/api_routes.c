#include "cloud/api/api_routes.h"

#include "cloud/api/api_household.h"
#include "cloud/api/api_policy.h"
#include "cloud/api/device_clips.h"
#include "cloud/api/device_updates.h"
#include "cloud/api/est.h"

enum { BODY_MOST = 16 * 1024, POLICY_BODY_MOST = 2 * PORCH_API_POLICY_BYTES /* as JSON */ };

/* A row says who may pass and what is shown once more (api_door.h): without those two it does not compile.
 */
#define ROUTE(method, pattern, listeners, flags, may, ask, body, handler)                      \
    {                                                                                          \
        {method, pattern, listeners, flags, body, handler, NULL, NULL, NULL}, PORCH_MAY_##may, \
            PORCH_ASK_##ask                                                                    \
    }
#define PEOPLES(method, pattern, may, ask, body, handler) \
    ROUTE(method, pattern, PORCH_ON_PEOPLE, 0, may, ask, body, handler)

/* clang-format off */
/*       method    pattern    who may    shown once more    body    handler */
static const porch_api_row PEOPLE[] = {
    PEOPLES("POST", "/api/v1/setup", ANYBODY, NOTHING, BODY_MOST, porch_api_setup),
    PEOPLES("POST", "/api/v1/setup/confirm", ANYBODY, NOTHING, BODY_MOST, porch_api_setup_confirm),
    PEOPLES("POST", "/api/v1/password-check", ANYBODY, NOTHING, BODY_MOST, porch_api_password_check),
    PEOPLES("POST", "/api/v1/login", ANYBODY, NOTHING, BODY_MOST, porch_api_login),
    PEOPLES("POST", "/api/v1/logout", PEOPLE, NOTHING, BODY_MOST, porch_api_logout),
    PEOPLES("GET", "/api/v1/me", PEOPLE, NOTHING, 0, porch_api_me),
    PEOPLES("GET", "/api/v1/recovery-codes", PEOPLE, NOTHING, 0, porch_api_recovery),
    PEOPLES("POST", "/api/v1/recovery-codes", PEOPLE, APP, BODY_MOST, porch_api_recovery_renew),
    PEOPLES("POST", "/api/v1/step-up", PEOPLE, NOTHING, BODY_MOST, porch_api_step_up),
    PEOPLES("POST", "/api/v1/password", PEOPLE, FRESH, BODY_MOST, porch_api_password),
    PEOPLES("GET", "/api/v1/sessions", PEOPLE, NOTHING, 0, porch_api_sessions),
    PEOPLES("DELETE", "/api/v1/sessions", PEOPLE, FRESH, 0, porch_api_sessions_end),
    PEOPLES("DELETE", "/api/v1/sessions/{id}", PEOPLE, NOTHING, 0, porch_api_session_end),
    PEOPLES("GET", "/api/v1/alerts", PEOPLE, NOTHING, 0, porch_api_alerts),
    PEOPLES("POST", "/api/v1/alerts/{id}", PEOPLE, NOTHING, BODY_MOST, porch_api_alert_answer),
    PEOPLES("GET", "/api/v1/events", PEOPLE, NOTHING, 0, porch_api_events),
    PEOPLES("GET", "/api/v1/events/stream", PEOPLE, NOTHING, 0, porch_api_events_stream),
    PEOPLES("GET", "/api/v1/events/{id}", PEOPLE, NOTHING, 0, porch_api_event_one),
    PEOPLES("DELETE", "/api/v1/events/{id}", GROWN, FRESH, 0, porch_api_event_delete),
    PEOPLES("PUT", "/api/v1/events/{id}/feedback", GROWN, NOTHING, BODY_MOST, porch_api_event_feedback),
    PEOPLES("GET", "/api/v1/events/{id}/thumbnail", PEOPLE, NOTHING, 0, porch_api_event_thumbnail),
    PEOPLES("GET", "/api/v1/events/{id}/picture", PEOPLE, NOTHING, 0, porch_api_event_picture),
    PEOPLES("GET", "/api/v1/clips/{id}", PEOPLE, NOTHING, 0, porch_api_clip_bytes),
    PEOPLES("DELETE", "/api/v1/clips/{id}", GROWN, FRESH, 0, porch_api_clip_delete),
    PEOPLES("GET", "/api/v1/household", PEOPLE, NOTHING, 0, porch_api_household),
    PEOPLES("POST", "/api/v1/household/keep/preview", OWNER, NOTHING, BODY_MOST, porch_api_keep_preview),
    PEOPLES("PUT", "/api/v1/household/keep", OWNER, FRESH, BODY_MOST, porch_api_keep_set),
    PEOPLES("POST", "/api/v1/household/export", OWNER, FRESH, BODY_MOST, porch_api_export_order),
    PEOPLES("GET", "/api/v1/household/export", OWNER, NOTHING, 0, porch_api_export_state),
    PEOPLES("GET", "/api/v1/household/export/{ticket}", OWNER, NOTHING, 0, porch_api_export_download),
    PEOPLES("POST", "/api/v1/household/erase", OWNER, FRESH, BODY_MOST, porch_api_household_erase),
    PEOPLES("GET", "/api/v1/policy", OWNER, NOTHING, 0, porch_api_policy),
    PEOPLES("PUT", "/api/v1/policy", OWNER, FRESH, POLICY_BODY_MOST, porch_api_policy_set),
    PEOPLES("POST", "/api/v1/policy/diff", OWNER, NOTHING, POLICY_BODY_MOST, porch_api_policy_diff),
    PEOPLES("GET", "/api/v1/devices", PEOPLE, NOTHING, 0, porch_api_devices),
    PEOPLES("POST", "/api/v1/devices/claim-tokens", OWNER, FRESH, BODY_MOST, porch_api_claim_token),
    PEOPLES("PUT", "/api/v1/devices/{id}/quarantine", OWNER, FRESH, BODY_MOST, porch_api_device_quarantine),
    PEOPLES("DELETE", "/api/v1/devices/{id}/quarantine", OWNER, FRESH, 0, porch_api_device_readmit),
    PEOPLES("POST", "/api/v1/devices/{id}/release", OWNER, FRESH, BODY_MOST, porch_api_device_release),
    PEOPLES("GET", "/api/v1/devices/{id}/settings", PEOPLE, NOTHING, 0, porch_api_twin_get),
    PEOPLES("PUT", "/api/v1/devices/{id}/privacy", GROWN, NOTHING, BODY_MOST, porch_api_twin_privacy),
    PEOPLES("PUT", "/api/v1/devices/{id}/zones", GROWN, NOTHING, BODY_MOST, porch_api_twin_zones),
    PEOPLES("GET", "/api/v1/push", PEOPLE, NOTHING, 0, porch_api_push),
    PEOPLES("POST", "/api/v1/push/subscriptions", PEOPLE, NOTHING, BODY_MOST, porch_api_push_subscribe),
    PEOPLES("DELETE", "/api/v1/push/subscriptions/{id}", PEOPLE, NOTHING, 0, porch_api_push_unsubscribe),
    PEOPLES("POST", "/api/v1/push/test", PEOPLE, NOTHING, BODY_MOST, porch_api_push_test),
    PEOPLES("PUT", "/api/v1/push/snoozes/{device}", PEOPLE, NOTHING, BODY_MOST, porch_api_push_snooze),
    PEOPLES("PUT", "/api/v1/push/quiet", PEOPLE, NOTHING, BODY_MOST, porch_api_push_quiet),
    ROUTE("GET", "/healthz", PORCH_ON_PEOPLE | PORCH_ON_DEVICE, PORCH_HTTP_QUARANTINED, ANYBODY, NOTHING, 0, porch_api_health),
    PEOPLES("GET", "/api/v1/mqtt", PEOPLE, NOTHING, 0, porch_api_mqtt_person),
    ROUTE("GET", "/mqtt", PORCH_ON_PEOPLE | PORCH_ON_DEVICE, PORCH_HTTP_INLINE | PORCH_HTTP_ANY_VERDICT | PORCH_HTTP_QUARANTINED, ANYBODY, NOTHING, 0, porch_api_mqtt),
    ROUTE("GET", "/metrics", PORCH_ON_DEVICE, PORCH_HTTP_PRINCIPAL, PRINCIPAL, NOTHING, 0, porch_api_metrics),
    PEOPLES("GET", "/web-ca.crt", ANYBODY, NOTHING, 0, porch_api_web_ca),
    PEOPLES("GET", "/porchlight.mobileconfig", ANYBODY, NOTHING, 0, porch_api_profile),
    PEOPLES("GET", "/api/v1/trust", ANYBODY, NOTHING, 0, porch_api_trust),
    PEOPLES("GET", "/api/{path...}", ANYBODY, NOTHING, 0, porch_api_unknown),
    ROUTE("GET", "/{path...}", PORCH_ON_PEOPLE, PORCH_HTTP_INLINE, ANYBODY, NOTHING, 0, porch_api_file),
};
/* clang-format on */
enum { PEOPLE_ROWS = sizeof PEOPLE / sizeof PEOPLE[0] };
_Static_assert((int)PEOPLE_ROWS <= (int)PORCH_API_ROUTES_MOST, "the table has outgrown porch_api.doors");

const porch_api_row *porch_api_people_rows(size_t *count) {
    *count = PEOPLE_ROWS;
    return PEOPLE;
}

size_t porch_api_routes(porch_api *api, porch_http_route *out) {
    size_t count = 0;
    for (; count < PEOPLE_ROWS; count++) {
        const porch_api_row *row = &PEOPLE[count];
        out[count] = row->route;
        if (porch_api_is_guarded(row)) out[count].handler = porch_api_pass;
        if (api == NULL) continue;
        api->doors[count] = (porch_api_door){api, row};
        out[count].ctx = &api->doors[count];
    }
    count += porch_est_routes(api, out + count, PORCH_API_ROUTES_MOST - count);
    count += porch_device_updates_routes(api == NULL ? NULL : api->updates, out + count,
                                         PORCH_API_ROUTES_MOST - count);
    return count + porch_device_clips_routes(api == NULL ? NULL : api->media, out + count,
                                             PORCH_API_ROUTES_MOST - count);
}
