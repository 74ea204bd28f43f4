/* "Not a person": a person corrects what the analysis found. See media_feedback.h for what follows from it.
 */
#include "cloud/api/api_live.h"

#include "cloud/api/api_sight.h"
#include "cloud/media/media_feedback.h"
#include "os/clock.h"
#include "os/log.h"

typedef struct {
    const char *event;
    const char *person;
    bool said; /* or taken back */
} order;

static porch_err carry_out(porch_db *db, void *ctx, porch_why *why) {
    const order *o = ctx;
    porch_err e = o->said ? porch_media_feedback_say(db, o->event, o->person, porch_clock_ms(), why)
                          : porch_media_feedback_take_back(db, o->event, why);
    PORCH_TRY(e);
    return porch_notify_not_a_person(db, o->event, o->said, why);
}

/* Everybody's pages see the event as it is now. */
static void answer(porch_http_exchange *x, const char *event) {
    porch_api *api = porch_api_of(x);
    porch_media_event now;
    porch_why why = {{0}};
    porch_err e = porch_media_event_get(api->media, event, &now, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_live_tell(api->live, PORCH_LIVE_PASSING, now.owner.household, now.owner.device, "event", 0,
                    porch_api_event(&now));
    porch_api_json(x, 200, porch_api_event(&now));
}

static void say(porch_http_exchange *x, const porch_user_session *s, const char *event, bool said) {
    porch_why why = {{0}};
    order o = {event, s->person.name, said};
    porch_err e = porch_store_write(porch_api_of(x)->store, carry_out, &o, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_log(PORCH_LOG_INFO, "event.feedback", "name", s->person.name, "event", event, "verdict",
              said ? "not-a-person" : "none", NULL);
    answer(x, event);
}

/* Of a person found: who may not see that finding has no say about it. */
void porch_api_event_feedback(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_event event;
    porch_bytes verdict;
    json_t *root = NULL;
    const porch_json_field fields[] = {{"verdict", 16, true, &verdict}};
    if (!porch_api_session(x, &s) || !porch_api_seen_event(x, &s, PORCH_SEES_ALL, &event) ||
        !porch_api_body(x, fields, 1, &root))
        return;
    bool said = porch_bytes_eq_text(verdict, "not-a-person"), none = porch_bytes_eq_text(verdict, "none");
    json_decref(root);
    if (said || none)
        say(x, &s, event.uid, said);
    else
        (void)porch_http_problem(x, 400, "malformed", "the verdict is not-a-person or none");
}
