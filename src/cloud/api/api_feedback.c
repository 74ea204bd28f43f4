/* "Not a person": a person corrects what the analysis found. See media_feedback.h for what follows from it.
 */
#include "cloud/api/api_live.h"

#include <string.h>

#include "cloud/media/media_feedback.h"
#include "os/clock.h"
#include "os/log.h"
#include "wire/id.h"

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

void porch_api_event_feedback(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_event event;
    porch_bytes verdict;
    porch_why why = {{0}};
    porch_id id;
    json_t *root = NULL;
    const porch_json_field fields[] = {{"verdict", 16, true, &verdict}};
    if (!porch_api_session(x, &s)) return;
    porch_err e = porch_id_parse(porch_bytes_of(porch_http_param(x, "id")), &id);
    if (e == PORCH_OK) e = porch_media_event_get(porch_api_of(x)->media, id.text, &event, &why);
    if (e == PORCH_ERR_NOT_FOUND || e == PORCH_ERR_MALFORMED) {
        (void)porch_http_problem(x, 404, "not-found", "there is no such event");
    } else if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
    } else if (strcmp(event.owner.household, s.person.household) != 0) {
        porch_api_refuse_household(x, &s, "event", id.text);
    } else if (porch_api_body(x, fields, 1, &root)) {
        bool said = porch_bytes_eq_text(verdict, "not-a-person"),
             none = porch_bytes_eq_text(verdict, "none");
        json_decref(root);
        if (said || none)
            say(x, &s, event.uid, said);
        else
            (void)porch_http_problem(x, 400, "malformed", "the verdict is not-a-person or none");
    }
}
