#include "cloud/broker/message.h"

#include <string.h>

porch_message *porch_message_new(porch_pool *pool, porch_bytes topic,
                                 const porch_mqtt_properties *properties, porch_bytes payload, uint8_t qos,
                                 uint64_t now_ms) {
    porch_bytes raw = properties == NULL ? (porch_bytes){NULL, 0} : properties->raw;
    porch_message *m = porch_pool_take(pool, sizeof *m + topic.len + raw.len + payload.len);
    if (m == NULL) return NULL;
    atomic_init(&m->refs, 1);
    m->topic_len = (uint32_t)topic.len;
    m->properties_len = (uint32_t)raw.len;
    m->payload_len = (uint32_t)payload.len;
    m->expiry_at = m->expiry_s = 0;
    m->taken_ms = now_ms;
    m->publisher = 0;
    m->qos = qos;
    memcpy(m->data, topic.at, topic.len);
    if (raw.len > 0) memcpy(m->data + topic.len, raw.at, raw.len);
    if (payload.len > 0) memcpy(m->data + topic.len + raw.len, payload.at, payload.len);
    if (properties != NULL && porch_mqtt_property_has(properties, PORCH_MQTT_PROP_MESSAGE_EXPIRY)) {
        porch_mqtt_property one;
        for (porch_bytes rest = raw; rest.len > 0;) {
            size_t at = (size_t)(rest.at - raw.at);
            if (!porch_mqtt_property_next(&rest, &one)) break;
            if (one.id != PORCH_MQTT_PROP_MESSAGE_EXPIRY) continue;
            m->expiry_at = (uint32_t)at + 1; /* behind the property's id */
            m->expiry_s = one.number;
        }
    }
    return m;
}

void porch_message_retain(porch_message *m) {
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void porch_message_release(porch_pool *mine, porch_message *m) {
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) porch_pool_give(mine, m);
}

static size_t body_bytes(const porch_message *m, porch_mqtt_version version, uint8_t qos) {
    size_t n = 2 + (size_t)m->topic_len + (qos > 0 ? 2 : 0) + m->payload_len;
    if (version == PORCH_MQTT_V5) n += porch_mqtt_varint_bytes(m->properties_len) + m->properties_len;
    return n;
}

size_t porch_message_bytes(const porch_message *m, porch_mqtt_version version, uint8_t qos) {
    size_t body = body_bytes(m, version, qos);
    return 1 + porch_mqtt_varint_bytes((uint32_t)body) + body;
}

static uint64_t waited_s(const porch_message *m, uint64_t now_ms) {
    return now_ms > m->taken_ms ? (now_ms - m->taken_ms) / 1000 : 0;
}

bool porch_message_expired(const porch_message *m, uint64_t now_ms) {
    return m->expiry_s > 0 && waited_s(m, now_ms) >= m->expiry_s;
}

static uint8_t *put_varint(uint8_t *at, size_t value) {
    while (value > 0x7f) {
        *at++ = (uint8_t)(0x80 | (value & 0x7f));
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

void porch_message_write(const porch_message *m, porch_mqtt_version version, uint8_t qos,
                         uint16_t packet_id, uint64_t now_ms, uint8_t *at) {
    *at++ = (uint8_t)(PORCH_MQTT_PUBLISH << 4 | qos << 1);
    at = put_varint(at, body_bytes(m, version, qos));
    *at++ = (uint8_t)(m->topic_len >> 8);
    *at++ = (uint8_t)m->topic_len;
    memcpy(at, m->data, m->topic_len);
    at += m->topic_len;
    if (qos > 0) {
        *at++ = (uint8_t)(packet_id >> 8);
        *at++ = (uint8_t)packet_id;
    }
    if (version == PORCH_MQTT_V5) {
        at = put_varint(at, m->properties_len);
        memcpy(at, m->data + m->topic_len, m->properties_len);
        if (m->expiry_s > 0) {
            /* MQTT-3.3.2-6: what is left of it */
            uint32_t left = m->expiry_s - (uint32_t)waited_s(m, now_ms);
            for (int i = 0; i < 4; i++)
                at[m->expiry_at + (uint32_t)i] = (uint8_t)(left >> (24 - 8 * i));
        }
        at += m->properties_len;
    }
    if (m->payload_len > 0) memcpy(at, m->data + m->topic_len + m->properties_len, m->payload_len);
}
