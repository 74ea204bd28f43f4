/* What one room says and others want to hear. Rooms do not know each other upward: each has an observer
 * table, and this file fills all of them.
 *
 *   registry: revoked, removed   ─► broker and listener drop its sessions
 *             removed            ─► what MQTT keeps goes: rows in the same transaction, then memory
 *             added, removed     ─► the policies of its household's people, in broker and live streams
 *             quarantined        ─► broker judges its session anew, listener drops its uploads
 *             online, offline    ─► live streams
 *   grants:   changed            ─► broker and live streams judge anew
 *   media:    motion, clip       ─► live streams
 *             person found       ─► notification, in the same transaction
 *   notify:   notification there ─► live streams, $porchlight/device/ID/event/person
 *   twin:     device reported    ─► its wish again if it lacks it; live streams
 *   rollout:  a device's turn     ─► d/ID/update/desired; live streams
 *   accounts: sign-in ends       ─► its browser's push messages are muted, in the same transaction
 *             sign-in ended      ─► its streams, MQTT sessions and export are closed
 *             alert              ─► push messages, in the same transaction; the person's other live pages
 */
#include "cloud/api/hub_room.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cloud/media/media_analysis.h"
#include "cloud/media/media_keep.h"
#include "os/clock.h"
#include "os/log.h"

enum { NOT_AUTHORISED = 0x87, ADMINISTRATIVE = 0x98 };

/* A household has more or fewer devices: its people's policies are made anew. */
static void homes_changed(porch_hub *h) {
    porch_grants_devices_changed(h->grants);
    if (h->broker != NULL) porch_broker_regrant_people(h->broker);
    if (h->live != NULL) porch_live_regrant(h->live);
}

/* Whoever ordered it is answered when it holds, not while a shard still has to hear of it. */
static void settle(porch_hub *h) {
    if (h->broker == NULL || porch_broker_settle(h->broker)) return;
    porch_log(PORCH_LOG_ERROR, "broker.settle_slow", "hint",
              "a shard has not obeyed an order within 10 s; restart the hub if this repeats", NULL);
}

static void registry_changed(porch_principal_kind kind, const char *name, porch_registry_what what,
                             void *ctx) {
    porch_hub *h = ctx;
    bool comes_or_goes = what == PORCH_REGISTRY_ADDED || what == PORCH_REGISTRY_REMOVED;
    if (kind == PORCH_PRINCIPAL_DEVICE && comes_or_goes) homes_changed(h);
    switch (what) {
    case PORCH_REGISTRY_REVOKED:
    case PORCH_REGISTRY_REMOVED:
    case PORCH_REGISTRY_ISSUER_RETIRED:
        if (h->broker != NULL)
            porch_broker_drop(h->broker, kind, name,
                              what == PORCH_REGISTRY_REMOVED ? ADMINISTRATIVE : NOT_AUTHORISED);
        if (h->broker != NULL && kind == PORCH_PRINCIPAL_DEVICE && what == PORCH_REGISTRY_REMOVED)
            (void)porch_broker_forget_device(h->broker, name); /* after its sessions: it says no more */
        if (h->listener != NULL)
            porch_listener_drop(h->listener, kind, name, "the certificate was revoked");
        if (what != PORCH_REGISTRY_ISSUER_RETIRED) settle(h); /* of those there may be thousands in a row */
        break;
    case PORCH_REGISTRY_QUARANTINED:
    case PORCH_REGISTRY_READMITTED:
        if (h->broker != NULL) porch_broker_regrant(h->broker, kind, name);
        if (h->listener != NULL && what == PORCH_REGISTRY_QUARANTINED)
            porch_listener_drop(h->listener, kind, name, "the device was put under quarantine");
        settle(h);
        break;
    case PORCH_REGISTRY_FACTORIES:
        atomic_store(&h->factories_changed, true);
        if (h->tend_fd >= 0) (void)!write(h->tend_fd, &(uint64_t){1}, sizeof(uint64_t));
        break;
    case PORCH_REGISTRY_ONLINE:
    case PORCH_REGISTRY_OFFLINE:
        break;
    default:
        return;
    }
    if (kind == PORCH_PRINCIPAL_DEVICE && h->live != NULL) porch_live_device(h->live, name);
}

static porch_err device_removed(porch_db *db, const char *device, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_broker_forget_rows(db, device, why);
}

static void grants_changed(void *ctx) {
    porch_hub *h = ctx;
    if (h->live != NULL) porch_live_regrant(h->live);
    if (h->broker != NULL) porch_broker_regrant(h->broker, PORCH_PRINCIPAL_NONE, NULL);
    settle(h);
}

static void event_stored(const porch_media_event *event, void *ctx) {
    porch_hub *h = ctx;
    porch_live_tell(h->live, PORCH_LIVE_MOTION, event->owner.household, event->owner.device, "motion",
                    event->seq, porch_api_event(event));
}

static void clip_changed(const porch_media_clip_info *clip, void *ctx) {
    porch_hub *h = ctx;
    json_t *data = porch_api_clip(clip);
    if (data == NULL) return;
    (void)json_object_set_new(data, "event", json_string(clip->event));
    (void)json_object_set_new(data, "device", json_string(clip->owner.device));
    porch_live_tell(h->live, PORCH_LIVE_PASSING, clip->owner.household, clip->owner.device, "clip", 0,
                    data);
}

static void device_reported(const char *device, porch_bytes desired, void *ctx) {
    porch_hub *h = ctx;
    porch_api_twin_publish(&h->api, device, desired);
    if (h->live != NULL) porch_live_device(h->live, device);
}

static void update_told(const char *device, porch_bytes desired, void *ctx) {
    porch_hub *h = ctx;
    char topic[PORCH_TWIN_DEVICE_TEXT + 24];
    if (h->live != NULL) porch_live_device(h->live, device);
    if (h->broker == NULL || desired.len == 0) return;
    (void)snprintf(topic, sizeof topic, "d/%s/update/desired", device);
    porch_err e = porch_broker_publish(h->broker, porch_bytes_of(topic), desired, 1);
    if (e != PORCH_OK) /* it hears it with its next report, or is asked again after its deadline */
        porch_log(PORCH_LOG_WARN, "update.untold", "device", device, "error", porch_err_name(e), NULL);
}

static porch_err person_found(porch_db *db, const porch_media_person *p, void *ctx, porch_why *why) {
    porch_hub *h = ctx;
    porch_registry_household home = {0};
    if (porch_registry_household_get(h->registry, p->owner.household, &home) != PORCH_OK)
        home.timezone[0] = '\0';
    const porch_notify_facts facts = {
        .event = p->event,
        .device = p->owner.device,
        .product = p->owner.product,
        .household = p->owner.household,
        .timezone = home.timezone,
        .clip = p->clip,
        .at_ms = p->at_ms,
        .score = p->score,
        .box = {p->box.x, p->box.y, p->box.w, p->box.h},
        .trace = {.motion_at_ms = p->trace.motion_at_ms,
                  .event_received_ms = p->trace.event_received_ms,
                  .event_durable_ms = p->trace.event_durable_ms,
                  .clip_first_byte_ms = p->trace.clip_first_byte_ms,
                  .analysis_first_frame_ms = p->trace.analysis_first_frame_ms,
                  .person_found_ms = p->trace.person_found_ms},
    };
    return porch_notify_person(h->notify, db, &facts, NULL, why);
}

/* Its time is over: the notification leaves with the event. */
static porch_err event_forgotten(porch_db *db, const char *event, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_notify_forget(db, event, why);
}

/* And what MQTT holds of it in memory. */
static void messages_forgotten(const uint64_t *seqs, size_t count, void *ctx) {
    const porch_hub *h = ctx;
    (void)porch_broker_forget_messages(h->broker, seqs, count);
}

static void notification_made(const porch_notify_item *item, void *ctx) {
    porch_hub *h = ctx;
    char topic[128], payload[4096];
    porch_buf out = PORCH_BUF_OF(payload);
    (void)atomic_fetch_add_explicit(&h->notifications, 1, memory_order_relaxed);
    porch_live_tell(h->live, PORCH_LIVE_PERSON, item->household, item->device, "person", item->seq,
                    porch_live_person_json(&h->api, item));
    if (porch_notify_item_json(item, NULL, &out) != PORCH_OK) return;
    (void)snprintf(topic, sizeof topic, "$porchlight/device/%s/event/person", item->device);
    porch_err e = porch_broker_publish(h->broker, porch_bytes_of(topic), porch_buf_bytes(&out), 1);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "notification.unpublished", "topic", topic, "error", porch_err_name(e),
                  NULL);
}

static void sign_in_over(const uint8_t hash[32], void *ctx) {
    porch_hub *h = ctx;
    if (h->broker != NULL) porch_broker_end_sign_in(h->broker, hash);
    if (h->listener != NULL) porch_listener_drop_sign_in(h->listener, hash);
}

static void session_ended(const uint8_t hash[32], const char *id, void *ctx) {
    porch_hub *h = ctx;
    (void)id;
    if (h->live != NULL) porch_live_end_session(h->live, hash);
    if (h->exports != NULL) porch_exports_end_sign_in(h->exports, hash);
    sign_in_over(hash, h);
}

static porch_err sign_ins_end(porch_db *db, const char *account, const char *id, const char *except,
                              void *ctx, porch_why *why) {
    const porch_hub *h = ctx;
    return h->notify == NULL ? PORCH_OK : porch_push_mute(db, account, id, except, why);
}

static porch_err alert_made(porch_db *db, const porch_alert *alert, void *ctx, porch_why *why) {
    porch_hub *h = ctx;
    if (h->notify == NULL) return PORCH_OK;
    return porch_push_queue_alert(h->notify, db, alert->account, alert->id, alert->at_ms, why);
}

static void alert_stored(const porch_alert *alert, void *ctx) {
    porch_hub *h = ctx;
    if (h->live != NULL)
        porch_live_tell_person(h->live, alert->account, alert->session, "alert",
                               json_pack("{s:o}", "alert", porch_api_alert(alert)));
}

void porch_hub_connect_news(porch_hub *h) {
    porch_registry_on_change(h->registry, registry_changed, h);
    porch_registry_in_remove(h->registry, device_removed, h);
    porch_grants_on_change(h->grants, grants_changed, h);
    porch_user_session_in_end(h->accounts, sign_ins_end, h);
    porch_user_session_on_end(h->accounts, session_ended, h);
    if (h->live != NULL) porch_live_on_gone(h->live, sign_in_over, h);
    porch_alert_on_new(h->accounts, alert_made, alert_stored, h);
    if (h->media != NULL) {
        porch_media_on_event(h->media, event_stored, h);
        porch_media_on_clip(h->media, clip_changed, h);
        porch_media_on_person(h->media, person_found, h);
        porch_media_on_forget(h->media, event_forgotten, h);
        if (h->broker != NULL) porch_media_on_forgotten(h->media, messages_forgotten, h);
    }
    if (h->twins != NULL) porch_twins_on_report(h->twins, device_reported, h);
    if (h->rollouts != NULL) porch_rollouts_on_tell(h->rollouts, update_told, h);
    if (h->notify != NULL) (void)porch_notify_on_new(h->notify, notification_made, h);
}

static bool add_webhook(const porch_notify_webhook *w, void *ctx) {
    porch_metrics *m = ctx;
    m->webhooks++;
    m->deliveries_waiting += w->waiting;
    m->deliveries_given_up += w->given_up;
    return true;
}

void porch_hub_measure(porch_metrics *ret, void *ctx) {
    porch_hub *h = ctx;
    porch_metrics m = {.now_ms = porch_clock_ms(), .started_ms = h->started_ms};
    porch_hub_ends(h, m.ends_ms);
    m.signer_attached = porch_signer_client_attached(h->signer);
    m.analyst_attached = h->analyst != NULL && porch_analyst_client_attached(h->analyst);
    porch_listener_read_counts(h->listener, &m.listener);
    porch_broker_read_counts(h->broker, &m.broker);
    porch_store_count(h->store, &m.store);
    porch_media_analysis_count(h->media, &m.analysis);
    (void)porch_media_feedback_count(h->media, &m.feedback, NULL);
    porch_registry_count(h->registry, &m.registry);
    porch_accounts_load(h->accounts, &m.passwords_working, &m.passwords_waiting);
    m.notifications = atomic_load_explicit(&h->notifications, memory_order_relaxed);
    (void)porch_notify_webhook_list(h->notify, add_webhook, &m, NULL);
    *ret = m;
}

static void add_number(json_t *into, const char *name, uint64_t value) {
    (void)json_object_set_new(into, name, json_integer((json_int_t)value));
}

/* What an operator compares with what phones show. */
static void add_trust(json_t *into, const porch_hub *h) {
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES], page[320];
    porch_x509_info info;
    if (h->web_ca == NULL ||
        porch_x509_read((porch_bytes){h->web_ca, h->web_ca_len}, &info, NULL) != PORCH_OK)
        return;
    porch_x509_fingerprint_text(info.fingerprint, print);
    (void)snprintf(page, sizeof page, "%s/trust", h->url);
    (void)json_object_set_new(into, "trust", json_pack("{s:s, s:s}", "page", page, "sha256", print));
}

void porch_hub_status(json_t *into, void *ctx) {
    porch_hub *h = ctx;
    porch_listener_counts l = {0};
    porch_broker_counts b = {0};
    porch_media_analysis_counts a = {0};
    (void)json_object_set_new(into, "signer", json_boolean(porch_signer_client_attached(h->signer)));
    if (h->analyst != NULL)
        (void)json_object_set_new(into, "analyst", json_boolean(porch_analyst_client_attached(h->analyst)));
    add_trust(into, h);
    if (h->listener == NULL) return;
    porch_listener_read_counts(h->listener, &l);
    porch_broker_read_counts(h->broker, &b);
    porch_media_analysis_count(h->media, &a);
    json_t *counts = json_object();
    add_number(counts, "connections", l.open[0] + l.open[1] + l.open[2]);
    add_number(counts, "handshakes_failed", l.handshakes_failed);
    add_number(counts, "requests", l.requests);
    add_number(counts, "requests_refused", l.requests_refused);
    add_number(counts, "streams", l.streams);
    add_number(counts, "sessions", b.sessions);
    add_number(counts, "messages_in", b.messages_in);
    add_number(counts, "messages_out", b.messages_out);
    add_number(counts, "stored", b.stored);
    add_number(counts, "publishes_refused", b.publishes_refused);
    add_number(counts, "clips_waiting", a.waiting + a.running);
    add_number(counts, "clips_analysed", a.done);
    add_number(counts, "clips_failed", a.failed);
    add_number(counts, "persons", a.persons);
    (void)json_object_set_new(into, "counts", counts);
}
