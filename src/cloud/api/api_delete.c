/* A person deletes an event: its clip, its pictures, its notification, all of it, and who did that is in
 * the trust log.
 *
 *   one transaction: media rows, notification rows, trust entry
 *     ─► what MQTT holds of it in memory ─► files, what a broken-off backup has left
 *     ─► the store's log ─► other pages
 */
#include "cloud/api/api_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/api/api_sight.h"
#include "cloud/api/backup_copy.h"
#include "cloud/broker/broker.h"
#include "cloud/media/media_delete.h"
#include "cloud/media/media_upload.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"
#include "os/log.h"

typedef struct {
    const char *event;
    const char *person;
    const porch_media_owner *owner;
    bool abandoned; /* its clip was given up: there may be nothing else of it yet */
    porch_media_deleted gone;
    porch_media_messages messages;
} order;

static porch_err tell_trust(porch_db *db, const order *o, porch_why *why) {
    char who[PORCH_PERSON_NAME_TEXT + 8], subject[48], detail[256];
    (void)snprintf(who, sizeof who, "user:%s", o->person);
    (void)snprintf(subject, sizeof subject, "event:%s", o->gone.event);
    (void)snprintf(detail, sizeof detail, "{\"device\":\"%s\",\"household\":\"%s\",\"clip\":\"%s\"}",
                   o->gone.owner.device, o->gone.owner.household, o->gone.clip);
    return porch_trust_append(db, "event.delete", who, subject, detail, why);
}

static porch_err delete_all(porch_db *db, void *ctx, porch_why *why) {
    order *o = ctx;
    o->messages.count = 0;
    PORCH_TRY(porch_media_delete_messages(db, o->event, &o->messages, why));
    porch_err e = porch_media_delete_rows(db, o->event, porch_clock_ms(), &o->gone, why);
    if (e == PORCH_ERR_NOT_FOUND && o->abandoned)
        e = porch_media_delete_mark(db, o->event, o->owner, porch_clock_ms(), &o->gone, why);
    PORCH_TRY(e);
    PORCH_TRY(porch_notify_forget(db, o->gone.event, why));
    return tell_trust(db, o, why);
}

/* Who subscribes from now on does not hear it, nor who was away. */
static bool forget_messages(const porch_api *api, const order *o) {
    if (api->broker == NULL) return true;
    return porch_broker_forget_messages(api->broker, o->messages.at, o->messages.count) &&
           porch_broker_settle(api->broker);
}

/* The rows are gone for good: now everything that is no row. */
static void finish(porch_http_exchange *x, const order *o) {
    porch_api *api = porch_api_of(x);
    porch_why why = {{0}};
    bool forgotten = forget_messages(api, o);
    porch_media_delete_rest(api->media, &o->gone);
    porch_backup_copy_sweep(api->dir);
    porch_err e = porch_store_scrub(api->store, api->settings->store_scrub_ms, &why);
    porch_log(PORCH_LOG_INFO, "event.deleted", "name", o->person, "event", o->gone.event, "clip",
              o->gone.clip, "device", o->gone.owner.device, "reason",
              e == PORCH_OK ? NULL : porch_why_text(&why, e), NULL);
    porch_live_tell(api->live, PORCH_LIVE_PASSING, o->gone.owner.household, o->gone.owner.device, "deleted",
                    0,
                    json_pack("{s:s, s:s, s:s}", "event", o->gone.event, "clip", o->gone.clip, "device",
                              o->gone.owner.device));
    porch_api_json(x, 200,
                   json_pack("{s:s, s:s, s:b}", "event", o->gone.event, "clip", o->gone.clip, "scrubbed",
                             e == PORCH_OK && forgotten));
}

static void delete_event(porch_http_exchange *x, const porch_user_session *s, const char *event,
                         const porch_media_owner *owner) {
    order o = {.event = event, .person = s->person.name, .owner = owner};
    const porch_api *api = porch_api_of(x);
    porch_why why = {{0}};
    porch_err e = porch_store_write(api->store, delete_all, &o, &why);
    /* A camera that lost its power in the middle never finishes: nobody has to wait for that. */
    if (e == PORCH_ERR_STATE) {
        e = porch_media_upload_abandon(api->media, event, &why);
        o.abandoned = e == PORCH_OK;
    }
    if (o.abandoned) e = porch_store_write(api->store, delete_all, &o, &why);
    if (e == PORCH_OK)
        finish(x, &o);
    else if (e == PORCH_ERR_STATE)
        (void)porch_http_problem(x, 409, "recording", porch_why_text(&why, e));
    else
        porch_api_refuse(x, e, &why);
    free(o.messages.at);
}

/* Who may not see a thing may not make it go away either. */
void porch_api_event_delete(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_event event;
    if (porch_api_session(x, &s) && porch_api_seen_event(x, &s, PORCH_SEES_EVENT, &event))
        delete_event(x, &s, event.uid, &event.owner);
}

void porch_api_clip_delete(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_clip_info clip;
    if (porch_api_session(x, &s) && porch_api_seen_clip(x, &s, &clip))
        delete_event(x, &s, clip.event, &clip.owner);
}
