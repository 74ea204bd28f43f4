#include "cloud/broker/message.h"

#include <string.h>

enum { ALIAS_BYTES = 3 };

/* Where the publisher's alias stands in its properties and where its expiry will stand in the message's. */
typedef struct {
    size_t alias_at, alias_bytes;
    uint32_t expiry_at, expiry_s;
} layout;

static layout lay_out(const porch_mqtt_properties *p) {
    layout l = {p->raw.len, 0, 0, 0};
    porch_mqtt_property one;
    for (porch_bytes rest = p->raw; rest.len > 0;) {
        size_t at = (size_t)(rest.at - p->raw.at);
        if (!porch_mqtt_property_next(&rest, &one)) break;
        if (one.id == PORCH_MQTT_PROP_TOPIC_ALIAS) {
            l.alias_at = at;
            l.alias_bytes = ALIAS_BYTES;
        } else if (one.id == PORCH_MQTT_PROP_MESSAGE_EXPIRY) {
            l.expiry_at = (uint32_t)(at - l.alias_bytes) + 1; /* behind the property's id */
            l.expiry_s = one.number;
        }
    }
    return l;
}

static bool worth_a_look(const porch_mqtt_properties *p) {
    return p != NULL && (porch_mqtt_property_has(p, PORCH_MQTT_PROP_TOPIC_ALIAS) ||
                         porch_mqtt_property_has(p, PORCH_MQTT_PROP_MESSAGE_EXPIRY));
}

static uint8_t *put(uint8_t *at, const uint8_t *from, size_t len) {
    if (len > 0) memcpy(at, from, len);
    return at + len;
}

porch_message *porch_message_new(porch_pool *pool, porch_bytes topic,
                                 const porch_mqtt_properties *properties, porch_bytes payload, uint8_t qos,
                                 uint64_t now_ms) {
    porch_bytes raw = properties == NULL ? (porch_bytes){NULL, 0} : properties->raw;
    layout l = {raw.len, 0, 0, 0};
    if (worth_a_look(properties)) l = lay_out(properties);
    size_t left = raw.len - l.alias_bytes;
    porch_message *m = porch_pool_take(pool, sizeof *m + topic.len + left + payload.len);
    if (m == NULL) return NULL;
    memset(m, 0, sizeof *m);
    atomic_init(&m->refs, 1);
    m->topic_len = (uint32_t)topic.len;
    m->properties_len = (uint32_t)left;
    m->payload_len = (uint32_t)payload.len;
    m->expiry_at = l.expiry_at;
    m->expiry_s = l.expiry_s;
    m->taken_ms = (int64_t)now_ms;
    m->qos = qos;
    uint8_t *at = put(put(m->data, topic.at, topic.len), raw.at, l.alias_at);
    if (l.alias_bytes > 0)
        at = put(at, raw.at + l.alias_at + l.alias_bytes, raw.len - l.alias_at - l.alias_bytes);
    (void)put(at, payload.at, payload.len);
    return m;
}

void porch_message_retain(porch_message *m) {
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void porch_message_release(porch_pool *mine, porch_message *m) {
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) porch_pool_give(mine, m);
}

/* ---- one delivery ---- */

static size_t own_properties_bytes(const porch_message_form *f) {
    size_t n = f->alias > 0 ? ALIAS_BYTES : 0;
    if (f->identifiers != NULL) {
        for (uint32_t i = 1; i <= f->identifiers[0]; i++)
            n += 1 + porch_mqtt_varint_bytes(f->identifiers[i]);
    } else if (f->identifier > 0) {
        n += 1 + porch_mqtt_varint_bytes(f->identifier);
    }
    return n;
}

/* `properties` gets the length that stands before them. */
static size_t body_bytes(const porch_message *m, porch_mqtt_version version, const porch_message_form *f,
                         size_t *properties) {
    size_t n = 2 + (f->leave_topic_out ? 0 : (size_t)m->topic_len) + (f->qos > 0 ? 2 : 0) + m->payload_len;
    if (version != PORCH_MQTT_V5) return n;
    *properties = m->properties_len + own_properties_bytes(f);
    return n + porch_mqtt_varint_bytes((uint32_t)*properties) + *properties;
}

size_t porch_message_bytes(const porch_message *m, porch_mqtt_version version,
                           const porch_message_form *form) {
    size_t properties, body = body_bytes(m, version, form, &properties);
    return 1 + porch_mqtt_varint_bytes((uint32_t)body) + body;
}

static uint64_t waited_s(const porch_message *m, uint64_t now_ms) {
    return (int64_t)now_ms > m->taken_ms ? (uint64_t)((int64_t)now_ms - m->taken_ms) / 1000 : 0;
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

static uint8_t *put_u16(uint8_t *at, uint32_t value) {
    *at++ = (uint8_t)(value >> 8);
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_identifier(uint8_t *at, uint32_t identifier) {
    *at++ = PORCH_MQTT_PROP_SUBSCRIPTION_ID;
    return put_varint(at, identifier);
}

static uint8_t *put_properties(const porch_message *m, const porch_message_form *f, size_t bytes,
                               uint64_t now_ms, uint8_t *at) {
    at = put_varint(at, bytes);
    if (bytes == 0) return at;
    (void)put(at, m->data + m->topic_len, m->properties_len);
    if (m->expiry_s > 0) {
        /* MQTT-3.3.2-6: what is left of it */
        uint64_t waited = waited_s(m, now_ms);
        uint32_t left = waited < m->expiry_s ? m->expiry_s - (uint32_t)waited : 0;
        for (int i = 0; i < 4; i++)
            at[m->expiry_at + (uint32_t)i] = (uint8_t)(left >> (24 - 8 * i));
    }
    at += m->properties_len;
    if (f->alias > 0) {
        *at++ = PORCH_MQTT_PROP_TOPIC_ALIAS;
        at = put_u16(at, f->alias);
    }
    if (f->identifiers != NULL) {
        for (uint32_t i = 1; i <= f->identifiers[0]; i++)
            at = put_identifier(at, f->identifiers[i]);
    } else if (f->identifier > 0) {
        at = put_identifier(at, f->identifier);
    }
    return at;
}

void porch_message_write(const porch_message *m, porch_mqtt_version version, const porch_message_form *form,
                         uint64_t now_ms, uint8_t *at) {
    size_t topic = form->leave_topic_out ? 0 : m->topic_len, properties = 0;
    size_t body = body_bytes(m, version, form, &properties);
    *at++ =
        (uint8_t)(PORCH_MQTT_PUBLISH << 4 | (form->dup ? 8 : 0) | form->qos << 1 | (form->retain ? 1 : 0));
    at = put_varint(at, body);
    at = put_u16(at, (uint32_t)topic);
    at = put(at, m->data, topic);
    if (form->qos > 0) at = put_u16(at, form->packet_id);
    if (version == PORCH_MQTT_V5) at = put_properties(m, form, properties, now_ms, at);
    (void)put(at, m->data + m->topic_len + m->properties_len, m->payload_len);
}
