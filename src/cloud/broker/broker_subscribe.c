/* SUBSCRIBE and UNSUBSCRIBE: each filter is granted or refused by itself, with its own reason. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

static porch_subscribed *find(porch_session *s, porch_bytes filter) {
    for (size_t i = 0; i < s->subscription_count; i++) {
        porch_subscribed *one = &s->subscriptions[i];
        if (porch_bytes_eq((porch_bytes){(const uint8_t *)one->filter, one->len}, filter)) return one;
    }
    return NULL;
}

/* The filter within; a shared subscription's begins behind its group. */
static porch_topic_filter filter_of(const porch_subscribed *one) {
    porch_bytes text = {(const uint8_t *)one->filter, one->len}, group;
    porch_topic_filter filter = {text};
    if (one->share != 0) (void)porch_mqtt_share_parse(text, NULL, &group, &filter);
    return filter;
}

static bool room_for_one(porch_session *s) {
    if (s->subscription_count < s->subscription_cap) return true;
    size_t cap = s->subscription_cap == 0 ? 4 : s->subscription_cap * 2;
    porch_subscribed *wider = realloc(s->subscriptions, cap * sizeof *wider);
    if (wider == NULL) return false;
    s->subscriptions = wider;
    s->subscription_cap = cap;
    return true;
}

static porch_subscribed *add(porch_session *s, porch_bytes filter) {
    if (!room_for_one(s)) return NULL;
    char *text = porch_pool_take(s->home->pool, filter.len + 1);
    if (text == NULL) return NULL;
    memcpy(text, filter.at, filter.len);
    text[filter.len] = 0;
    porch_subscribed *one = &s->subscriptions[s->subscription_count++];
    *one = (porch_subscribed){.filter = text, .len = filter.len};
    return one;
}

static void drop_last(porch_session *s) {
    porch_pool_give(s->home->pool, s->subscriptions[--s->subscription_count].filter);
}

/* The byte of SUBSCRIBE (section 3.8.3.1). */
enum { OPTION_QOS = 3, OPTION_NO_LOCAL = 4, OPTION_RETAIN_AS_PUBLISHED = 8 };

static uint8_t options_of(const porch_mqtt_subscription *one) {
    return (uint8_t)(one->qos | (one->no_local ? OPTION_NO_LOCAL : 0) |
                     (one->retain_as_published ? OPTION_RETAIN_AS_PUBLISHED : 0));
}

static porch_trie_entry entry_of(porch_session *s, const porch_subscribed *one, bool judged) {
    return (porch_trie_entry){.owner = s,
                              .number = one->identifier,
                              .qos = one->options & OPTION_QOS,
                              .no_local = (one->options & OPTION_NO_LOCAL) != 0,
                              .retain_as_published = (one->options & OPTION_RETAIN_AS_PUBLISHED) != 0,
                              .judge = judged};
}

/* All shards hear of what a lasting session wants at QoS 1 or 2. While loading they have heard. */
static void tell_kept(porch_session *s, porch_subscribed *one, porch_topic_filter filter) {
    bool wants = porch_session_lasts(s) && (one->options & OPTION_QOS) > 0 && s->home->lane != NULL;
    if (wants == one->kept) return;
    one->kept = wants;
    if (!s->home->loading) porch_broker_kept_filter(s->home, filter.text, wants ? 1 : -1);
}

porch_subscribed *porch_session_subscribe(porch_session *s, porch_bytes text, porch_bytes group,
                                          porch_topic_filter filter, uint8_t options, uint32_t identifier) {
    porch_broker_shard *b = s->home;
    porch_subscribed *known = find(s, text);
    bool fresh = known == NULL, was_there = false;
    if (fresh) known = add(s, text);
    if (known == NULL) return NULL;
    known->options = options;
    known->identifier = identifier;
    if (group.len > 0) {
        known->share = porch_share_id(b->broker, text);
        if (b->loading) known->joined = true; /* the owner has loaded it, too */
        tell_kept(s, known, filter);
        return known;
    }
    porch_trie_entry entry =
        entry_of(s, known, s->entry.quarantined || porch_access_may_deny_receive(s->policy, filter));
    if (porch_trie_put(b->trie, filter, &entry, &was_there) != PORCH_OK) {
        if (fresh) drop_last(s);
        return NULL;
    }
    if (!was_there) porch_broker_hears(b, filter, 1);
    tell_kept(s, known, filter);
    return known;
}

static void leave(porch_session *s, porch_subscribed *one) {
    if (one->share != 0)
        porch_share_leave(s, one);
    else if (porch_trie_remove(s->home->trie, filter_of(one), s))
        porch_broker_hears(s->home, filter_of(one), -1);
    if (one->kept) porch_broker_kept_filter(s->home, filter_of(one).text, -1);
    porch_pool_give(s->home->pool, one->filter);
}

void porch_session_unsubscribe_all(porch_session *s) {
    for (size_t i = 0; i < s->subscription_count; i++)
        leave(s, &s->subscriptions[i]);
    free(s->subscriptions);
    s->subscriptions = NULL;
    s->subscription_count = s->subscription_cap = 0;
}

/* ---- judging ---- */

static uint8_t refuse(porch_session *s, const porch_mqtt_subscription *one, uint8_t reason,
                      const char *why) {
    porch_broker_count(&s->home->counts.subscribes_refused, 1);
    if (why != NULL) porch_session_log(s, "mqtt.refused", "SUBSCRIBE", "filter", one->text, why);
    return s->home->broker->exact_suback ? reason : PORCH_MQTT_RC_UNSPECIFIED_ERROR;
}

static uint8_t judge(porch_session *s, const porch_mqtt_subscription *one) {
    const porch_settings *set = &s->home->broker->settings;
    porch_bytes text = one->filter.text;
    if (one->text.len > set->broker_topic_bytes || porch_topic_levels(text) > set->broker_topic_levels)
        return refuse(s, one, PORCH_MQTT_RC_TOPIC_FILTER_INVALID,
                      "the filter is too long or too deep (broker.topic_bytes, broker.topic_levels)");
    if (!porch_quarantine_lets_hear(&s->entry, text))
        return refuse(s, one, PORCH_MQTT_RC_NOT_AUTHORIZED, PORCH_QUARANTINE_SAYS);
    porch_access_decision d = porch_access_can_subscribe(s->policy, one->filter);
    if (!d.allowed) {
        porch_why why;
        bool log = porch_grants_denied(s->home->broker->config.grants, &s->entry, s->policy, d,
                                       PORCH_ACCESS_SUBSCRIBE, text, 1, &why);
        return refuse(s, one, PORCH_MQTT_RC_NOT_AUTHORIZED, log ? why.text : NULL);
    }
    if (find(s, one->text) == NULL && s->subscription_count >= set->broker_subscriptions)
        return refuse(s, one, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                      "too many subscriptions (broker.subscriptions)");
    return 0;
}

/* Returns the byte for SUBACK; what is granted to a lasting session is added to the note. */
static uint8_t subscribe(porch_session *s, const porch_mqtt_subscription *one, uint32_t identifier,
                         porch_buf *note) {
    uint8_t reason = judge(s, one);
    if (reason != 0) return reason;
    bool fresh = find(s, one->text) == NULL;
    const porch_subscribed *known =
        porch_session_subscribe(s, one->text, one->share_group, one->filter, options_of(one), identifier);
    if (known == NULL) return refuse(s, one, PORCH_MQTT_RC_QUOTA_EXCEEDED, "no memory for a subscription");
    if (note->at != NULL)
        (void)porch_note_subscribe(note, s->number, one->text, known->options, identifier);
    if (one->share_group.len > 0) return one->qos; /* MQTT-4.8.2: nothing retained comes */
    bool replays = one->retain_handling == 0 || (one->retain_handling == 1 && fresh);
    if (replays && !porch_session_replay(s, one->filter, one->qos, identifier))
        porch_session_log(s, "mqtt.not_replayed", "SUBSCRIBE", "filter", one->text,
                          "no memory for its retained messages (broker.memory_bytes)");
    return one->qos;
}

/* ---- answering ---- */

/* A lasting session's answer waits until what it says is written down. False: no room now; nothing was
 * sent. */
static bool answer(porch_session *s, porch_mqtt_type type, uint16_t packet_id, porch_bytes reasons,
                   const porch_buf *note) {
    size_t cap = reasons.len + 80;
    uint8_t *at = porch_pool_take(s->home->pool, cap);
    uint8_t raw[64];
    porch_buf b = {at, 0, cap}, r = PORCH_BUF_OF(raw);
    porch_mqtt_suback ack = {type, packet_id, reasons, {{NULL, 0}, 0}};
    bool refused = type == PORCH_MQTT_SUBACK && reasons.len > 0 &&
                   memchr(reasons.at, PORCH_MQTT_RC_NOT_AUTHORIZED, reasons.len) != NULL;
    if (refused && s->version == PORCH_MQTT_V5 && s->problem_info && s->packet_most >= cap &&
        porch_mqtt_property_put_text(&r, PORCH_MQTT_PROP_REASON_STRING,
                                     PORCH_LIT("a filter is not permitted to you")) == PORCH_OK)
        (void)porch_mqtt_properties_of(porch_buf_bytes(&r), type, NULL, &ack.properties);
    if (at == NULL || porch_mqtt_suback_write(&b, s->version, &ack) != PORCH_OK) {
        porch_pool_give(s->home->pool, at);
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                                 "no memory for an answer (broker.memory_bytes)");
        return true;
    }
    if (b.len > s->packet_most) { /* MQTT-3.1.2-24 */
        porch_pool_give(s->home->pool, at);
        porch_session_disconnect(s, PORCH_MQTT_RC_PACKET_TOO_LARGE,
                                 "the answer is larger than the client's Maximum Packet Size");
        return true;
    }
    if (note->len == 0) {
        porch_session_put(s, porch_buf_bytes(&b));
        porch_pool_give(s->home->pool, at);
        return true;
    }
    porch_pending then = {.kind = PORCH_PENDING_ANSWER, .block = at, .place = (uint32_t)b.len};
    if (porch_session_note_then(s, note, &then)) return true;
    porch_pool_give(s->home->pool, at);
    return false;
}

static bool writes(const porch_session *s) {
    return porch_session_lasts(s) && s->number != 0 && s->home->lane != NULL;
}

/* Room for `count` words about texts of `bytes` in all; at stays NULL when nothing is to be written. */
static bool make_note(const porch_session *s, size_t count, size_t bytes, porch_buf *note) {
    *note = (porch_buf){NULL, 0, 0};
    if (!writes(s)) return true;
    note->cap = count * PORCH_NOTE_BYTES + bytes;
    note->at = porch_pool_take(s->home->pool, note->cap);
    return note->at != NULL;
}

/* Before anything is changed: offered again, the packet would replay retained messages once more, or find
 * nothing left to unsubscribe. TAKEN: too large ever to be written down, the client was told. */
static bool has_room(porch_session *s, const porch_mqtt_frame *frame, size_t count,
                     porch_taken *otherwise) {
    if (!writes(s)) return true;
    porch_err e = porch_broker_room(s->home, 1, frame->bytes + count * PORCH_NOTE_BYTES);
    *otherwise = e == PORCH_ERR_BUSY ? PORCH_STALL : PORCH_TAKEN;
    if (e == PORCH_ERR_LIMIT)
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                                 "too many filters in one packet to be stored");
    return e == PORCH_OK;
}

/* What judge would let pass; what it refuses is told when its turn comes. */
static bool may_join(const porch_session *s, const porch_mqtt_subscription *one) {
    const porch_settings *set = &s->home->broker->settings;
    return s->subscription_count < set->broker_subscriptions && one->text.len <= set->broker_topic_bytes &&
           porch_topic_levels(one->filter.text) <= set->broker_topic_levels &&
           porch_quarantine_lets_hear(&s->entry, one->filter.text) &&
           porch_access_can_subscribe(s->policy, one->filter).allowed;
}

/* Members of shared subscriptions are known to the owners before anything is answered. False: not yet. */
static bool join_shares(porch_session *s, const porch_mqtt_subscribe *sub, uint32_t identifier) {
    porch_mqtt_subscription one;
    bool all = true;
    for (porch_bytes rest = sub->filters; porch_mqtt_subscription_next(&rest, s->version, &one);) {
        if (one.share_group.len == 0) continue;
        porch_subscribed *known = find(s, one.text);
        if (known != NULL && known->joined && known->options == options_of(&one)) continue;
        if (known == NULL && !may_join(s, &one)) continue;
        if (known == NULL || known->options != options_of(&one)) {
            known = porch_session_subscribe(s, one.text, one.share_group, one.filter, options_of(&one),
                                            identifier);
            if (known == NULL) continue; /* is told so in its turn */
            known->joined = known->asked = false;
            known->ask_ms = 0;
        }
        porch_share_ask(s, known);
        all = all && known->joined;
    }
    return all;
}

porch_taken porch_broker_on_subscribe(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    porch_mqtt_subscribe sub;
    porch_mqtt_subscription one;
    porch_buf note;
    if (porch_mqtt_subscribe_read(frame, s->version, &fault, &sub) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
        return PORCH_TAKEN;
    }
    uint32_t identifier = porch_mqtt_property_number(&sub.properties, PORCH_MQTT_PROP_SUBSCRIPTION_ID, 0);
    porch_taken otherwise;
    if (!join_shares(s, &sub, identifier)) return PORCH_STALL;
    if (!has_room(s, frame, sub.count, &otherwise)) return otherwise;
    uint8_t *reasons = porch_pool_take(s->home->pool, sub.count);
    if (reasons == NULL || !make_note(s, sub.count, frame->bytes, &note)) {
        porch_pool_give(s->home->pool, reasons);
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                                 "no memory for an answer (broker.memory_bytes)");
        return PORCH_TAKEN;
    }
    size_t n = 0;
    for (porch_bytes rest = sub.filters;
         n < sub.count && porch_mqtt_subscription_next(&rest, s->version, &one);)
        reasons[n++] = subscribe(s, &one, identifier, &note);
    /* Offered again, it grants the same once more. */
    bool sent = answer(s, PORCH_MQTT_SUBACK, sub.packet_id, (porch_bytes){reasons, n}, &note);
    porch_pool_give(s->home->pool, reasons);
    porch_pool_give(s->home->pool, note.at);
    return sent ? PORCH_TAKEN : PORCH_STALL;
}

static uint8_t unsubscribe(porch_session *s, porch_bytes text, porch_buf *note) {
    porch_subscribed *one = find(s, text);
    if (note->at != NULL) (void)porch_note_unsubscribe(note, s->number, text);
    if (one == NULL) return PORCH_MQTT_RC_NO_SUBSCRIPTION_EXISTED;
    if (one->share == 0) porch_session_end_replay(s, text);
    leave(s, one);
    *one = s->subscriptions[--s->subscription_count];
    return PORCH_MQTT_RC_SUCCESS;
}

porch_taken porch_broker_on_unsubscribe(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    porch_mqtt_unsubscribe unsub;
    porch_bytes text;
    porch_buf note;
    if (porch_mqtt_unsubscribe_read(frame, s->version, &fault, &unsub) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
        return PORCH_TAKEN;
    }
    porch_taken otherwise;
    if (!has_room(s, frame, unsub.count, &otherwise)) return otherwise;
    uint8_t *reasons = porch_pool_take(s->home->pool, unsub.count);
    if (reasons == NULL || !make_note(s, unsub.count, frame->bytes, &note)) {
        porch_pool_give(s->home->pool, reasons);
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                                 "no memory for an answer (broker.memory_bytes)");
        return PORCH_TAKEN;
    }
    size_t n = 0;
    for (porch_bytes rest = unsub.filters; n < unsub.count && porch_mqtt_unsubscription_next(&rest, &text);)
        reasons[n++] = unsubscribe(s, text, &note);
    porch_bytes answers = {reasons, s->version == PORCH_MQTT_V5 ? n : 0};
    bool sent = answer(s, PORCH_MQTT_UNSUBACK, unsub.packet_id, answers, &note);
    porch_pool_give(s->home->pool, reasons);
    porch_pool_give(s->home->pool, note.at);
    return sent ? PORCH_TAKEN : PORCH_STALL;
}

/* Membership or statements changed: what was subscribed stays, and what arrives is judged. */
void porch_session_regrant(porch_session *s) {
    porch_broker_shard *b = s->home;
    porch_registry_device d;
    if (s->entry.kind == PORCH_IDENTITY_DEVICE && b->broker->config.registry != NULL &&
        porch_registry_device_get(b->broker->config.registry, s->entry.name, &d) == PORCH_OK)
        s->entry.quarantined = d.quarantined_ms != 0;
    const porch_access_policy *fresh = porch_grants_policy(b->broker->config.grants, &s->entry);
    if (fresh == NULL) {
        porch_session_disconnect(s, PORCH_MQTT_RC_NOT_AUTHORIZED, "its permissions cannot be read");
        return;
    }
    porch_grants_policy_release(s->policy);
    s->policy = fresh;
    porch_session_judge_anew(s);
    s->rejudge = s->queue_count > 0;
    for (size_t i = 0; i < s->subscription_count; i++) {
        const porch_subscribed *one = &s->subscriptions[i];
        porch_topic_filter f = filter_of(one);
        if (one->share != 0) continue; /* each of its messages is judged */
        bool stands =
            porch_quarantine_lets_hear(&s->entry, f.text) && porch_access_can_subscribe(fresh, f).allowed;
        bool was_there;
        porch_trie_entry entry =
            entry_of(s, one, !stands || s->entry.quarantined || porch_access_may_deny_receive(fresh, f));
        (void)porch_trie_put(b->trie, f, &entry, &was_there); /* it is there: nothing is allocated */
        if (!stands)
            porch_session_log(s, "mqtt.regrant", "SUBSCRIBE", "filter", f.text,
                              "no longer granted; its messages are held back");
    }
}
