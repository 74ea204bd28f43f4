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

static porch_topic_filter filter_of(const porch_subscribed *one) {
    return (porch_topic_filter){{(const uint8_t *)one->filter, one->len}};
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
    *one = (porch_subscribed){text, filter.len, 0, false};
    return one;
}

static void drop_last(porch_session *s) {
    porch_pool_give(s->home->pool, s->subscriptions[--s->subscription_count].filter);
}

static uint8_t refuse(porch_session *s, const porch_mqtt_subscription *one, uint8_t reason,
                      const char *why) {
    porch_broker_count(&s->home->counts.subscribes_refused, 1);
    porch_session_log(s, "mqtt.refused", "SUBSCRIBE", "filter", one->text, why);
    return reason;
}

static uint8_t judge(porch_session *s, const porch_mqtt_subscription *one) {
    const porch_settings *set = &s->home->broker->settings;
    porch_bytes text = one->filter.text;
    if (one->share_group.len > 0)
        return refuse(s, one, PORCH_MQTT_RC_SHARED_NOT_SUPPORTED, "shared subscriptions are not offered");
    if (text.len > set->broker_topic_bytes || porch_topic_levels(text) > set->broker_topic_levels)
        return refuse(s, one, PORCH_MQTT_RC_TOPIC_FILTER_INVALID,
                      "the filter is too long or too deep (broker.topic_bytes, broker.topic_levels)");
    porch_access_decision d = porch_access_can_subscribe(s->policy, one->filter);
    if (!d.allowed) {
        porch_why why;
        porch_access_explain(s->policy, d, PORCH_ACCESS_SUBSCRIBE, text, &why);
        return refuse(s, one, PORCH_MQTT_RC_NOT_AUTHORIZED, why.text);
    }
    return 0;
}

/* Returns the byte for SUBACK. */
static uint8_t subscribe(porch_session *s, const porch_mqtt_subscription *one) {
    porch_broker_shard *b = s->home;
    uint8_t reason = judge(s, one);
    if (reason != 0) return reason;
    porch_subscribed *known = find(s, one->filter.text);
    bool fresh = known == NULL;
    if (fresh && s->subscription_count >= b->broker->settings.broker_subscriptions)
        return refuse(s, one, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                      "too many subscriptions (broker.subscriptions)");
    if (fresh) known = add(s, one->filter.text);
    if (known == NULL) return refuse(s, one, PORCH_MQTT_RC_QUOTA_EXCEEDED, "no memory for a subscription");
    known->qos = one->qos > 1 ? 1 : one->qos;
    known->no_local = one->no_local;
    bool was_there;
    porch_trie_entry entry = {s, known->qos, known->no_local,
                              porch_access_may_deny_receive(s->policy, one->filter)};
    if (porch_trie_put(b->trie, one->filter, &entry, &was_there) != PORCH_OK) {
        if (fresh) drop_last(s);
        return refuse(s, one, PORCH_MQTT_RC_QUOTA_EXCEEDED, "no memory for a subscription");
    }
    if (!was_there) porch_broker_count(&b->counts.subscriptions, 1);
    return known->qos;
}

static void answer(porch_session *s, porch_mqtt_type type, uint16_t packet_id, porch_bytes reasons) {
    size_t cap = reasons.len + 16;
    uint8_t *at = porch_pool_take(s->home->pool, cap);
    if (at == NULL) {
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                                 "no memory for an answer (broker.memory_bytes)");
        return;
    }
    porch_buf b = {at, 0, cap};
    porch_mqtt_suback ack = {type, packet_id, reasons, {{NULL, 0}, 0}};
    if (porch_mqtt_suback_write(&b, s->version, &ack) == PORCH_OK)
        porch_session_put(s, porch_buf_bytes(&b));
    porch_pool_give(s->home->pool, at);
}

porch_taken porch_broker_on_subscribe(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    porch_mqtt_subscribe sub;
    porch_mqtt_subscription one;
    if (porch_mqtt_subscribe_read(frame, s->version, &fault, &sub) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
        return PORCH_TAKEN;
    }
    if (porch_mqtt_property_has(&sub.properties, PORCH_MQTT_PROP_SUBSCRIPTION_ID)) {
        porch_session_disconnect(s, PORCH_MQTT_RC_SUBSCRIPTION_IDS_NOT_SUPPORTED,
                                 "subscription identifiers are not offered");
        return PORCH_TAKEN;
    }
    uint8_t *reasons = porch_pool_take(s->home->pool, sub.count);
    if (reasons == NULL) {
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                                 "no memory for an answer (broker.memory_bytes)");
        return PORCH_TAKEN;
    }
    size_t n = 0;
    for (porch_bytes rest = sub.filters;
         n < sub.count && porch_mqtt_subscription_next(&rest, s->version, &one);)
        reasons[n++] = subscribe(s, &one);
    answer(s, PORCH_MQTT_SUBACK, sub.packet_id, (porch_bytes){reasons, n});
    porch_pool_give(s->home->pool, reasons);
    return PORCH_TAKEN;
}

static uint8_t unsubscribe(porch_session *s, porch_bytes text) {
    porch_subscribed *one = find(s, text);
    if (one == NULL) return PORCH_MQTT_RC_NO_SUBSCRIPTION_EXISTED;
    if (porch_trie_remove(s->home->trie, filter_of(one), s))
        porch_broker_count(&s->home->counts.subscriptions, -1);
    porch_pool_give(s->home->pool, one->filter);
    *one = s->subscriptions[--s->subscription_count];
    return PORCH_MQTT_RC_SUCCESS;
}

porch_taken porch_broker_on_unsubscribe(porch_session *s, const porch_mqtt_frame *frame) {
    porch_mqtt_fault fault;
    porch_mqtt_unsubscribe unsub;
    porch_bytes text;
    if (porch_mqtt_unsubscribe_read(frame, s->version, &fault, &unsub) != PORCH_OK) {
        porch_session_fault(s, frame, &fault);
        return PORCH_TAKEN;
    }
    uint8_t *reasons = porch_pool_take(s->home->pool, unsub.count);
    if (reasons == NULL) {
        porch_session_disconnect(s, PORCH_MQTT_RC_QUOTA_EXCEEDED,
                                 "no memory for an answer (broker.memory_bytes)");
        return PORCH_TAKEN;
    }
    size_t n = 0;
    for (porch_bytes rest = unsub.filters; n < unsub.count && porch_mqtt_unsubscription_next(&rest, &text);)
        reasons[n++] = unsubscribe(s, text);
    porch_bytes answers = {reasons, s->version == PORCH_MQTT_V5 ? n : 0};
    answer(s, PORCH_MQTT_UNSUBACK, unsub.packet_id, answers);
    porch_pool_give(s->home->pool, reasons);
    return PORCH_TAKEN;
}

/* Membership or statements changed: what was subscribed stays, and what arrives is judged. */
void porch_session_regrant(porch_session *s) {
    porch_broker_shard *b = s->home;
    const porch_access_policy *fresh = porch_grants_policy(b->broker->config.grants, &s->entry);
    if (fresh == NULL) {
        porch_session_disconnect(s, PORCH_MQTT_RC_NOT_AUTHORIZED, "its permissions cannot be read");
        return;
    }
    porch_grants_policy_release(s->policy);
    s->policy = fresh;
    s->allowed_len = 0;
    for (size_t i = 0; i < s->subscription_count; i++) {
        const porch_subscribed *one = &s->subscriptions[i];
        porch_topic_filter f = filter_of(one);
        bool stands = porch_access_can_subscribe(fresh, f).allowed;
        bool was_there;
        porch_trie_entry entry = {s, one->qos, one->no_local,
                                  !stands || porch_access_may_deny_receive(fresh, f)};
        (void)porch_trie_put(b->trie, f, &entry, &was_there); /* it is there: nothing is allocated */
        if (!stands)
            porch_session_log(s, "mqtt.regrant", "SUBSCRIBE", "filter", f.text,
                              "no longer granted; its messages are held back");
    }
}
