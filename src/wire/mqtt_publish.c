#include "wire/mqtt_publish.h"

#include "wire/mqtt_field.h"

/* Flags in byte 1 (section 3.3.1). */
#define FLAG_RETAIN 0x01
#define QOS_AT      1
#define FLAG_DUP    0x08

static porch_err take_topic(porch_reader *r, porch_mqtt_fault *fault, porch_topic_name *ret) {
    porch_bytes text;
    if (porch_read_block16(r, &text) != PORCH_OK)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, "the topic is cut short");
    if (text.len == 0) { /* the caller asks for the alias */
        *ret = (porch_topic_name){text};
        return PORCH_OK;
    }
    if (porch_topic_name_parse(text, NULL, ret) == PORCH_OK) return PORCH_OK;
    if (!porch_mqtt_is_string(text))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET,
                                 "the topic is not UTF-8 or holds a zero");
    return porch_mqtt_refuse(fault, PORCH_MQTT_RC_TOPIC_NAME_INVALID,
                             "a wildcard in a topic that is published to");
}

porch_err porch_mqtt_publish_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                  porch_mqtt_sender sender, porch_mqtt_fault *fault,
                                  porch_mqtt_publish *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_publish p = {.dup = (frame->flags & FLAG_DUP) != 0,
                            .qos = (frame->flags >> QOS_AT) & 3,
                            .retain = (frame->flags & FLAG_RETAIN) != 0};
    if (p.qos == 3) return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, "QoS 3 does not exist");
    if (p.dup && p.qos == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, "DUP on a QoS 0 publication");
    PORCH_TRY(take_topic(&r, fault, &p.topic));
    if (p.qos > 0) PORCH_TRY(porch_mqtt_take_packet_id(&r, fault, &p.packet_id));
    PORCH_TRY(porch_mqtt_take_properties(&r, version, PORCH_MQTT_PUBLISH, fault, &p.properties));
    if (p.topic.text.len == 0 && !porch_mqtt_property_has(&p.properties, PORCH_MQTT_PROP_TOPIC_ALIAS))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "neither a topic nor a topic alias");
    if (sender == PORCH_MQTT_FROM_CLIENT &&
        porch_mqtt_property_has(&p.properties, PORCH_MQTT_PROP_SUBSCRIPTION_ID))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "a client sends no subscription identifier");
    p.payload = r.rest;
    *ret = p;
    return PORCH_OK;
}

static size_t body_bytes(porch_mqtt_version version, const porch_mqtt_publish *in) {
    return 2 + in->topic.text.len + (in->qos > 0 ? 2 : 0) +
           (version == PORCH_MQTT_V5 ? porch_mqtt_properties_bytes(&in->properties) : 0) + in->payload.len;
}

static porch_err judge(porch_mqtt_version version, const porch_mqtt_publish *in) {
    porch_topic_name topic;
    bool alias =
        version == PORCH_MQTT_V5 && porch_mqtt_property_has(&in->properties, PORCH_MQTT_PROP_TOPIC_ALIAS);
    if (in->topic.text.len > 0 || !alias) PORCH_TRY(porch_topic_name_parse(in->topic.text, NULL, &topic));
    if (in->qos > 2 || (in->qos == 0 && in->dup) || (in->qos > 0) != (in->packet_id != 0))
        return PORCH_ERR_MALFORMED;
    return PORCH_OK;
}

static porch_err write_head(porch_buf *b, porch_mqtt_version version, const porch_mqtt_publish *in) {
    PORCH_TRY(judge(version, in));
    unsigned flags =
        (in->dup ? FLAG_DUP : 0u) | (unsigned)in->qos << QOS_AT | (in->retain ? FLAG_RETAIN : 0u);
    PORCH_TRY(
        porch_mqtt_frame_write_header(b, PORCH_MQTT_PUBLISH, (uint8_t)flags, body_bytes(version, in)));
    PORCH_TRY(porch_write_block16(b, in->topic.text));
    if (in->qos > 0) PORCH_TRY(porch_write_u16(b, in->packet_id));
    return version == PORCH_MQTT_V5 ? porch_mqtt_properties_write(b, PORCH_MQTT_PUBLISH, &in->properties)
                                    : PORCH_OK;
}

porch_err porch_mqtt_publish_write_head(porch_buf *b, porch_mqtt_version version,
                                        const porch_mqtt_publish *in) {
    size_t start = b->len;
    return porch_mqtt_undo(b, start, write_head(b, version, in));
}

porch_err porch_mqtt_publish_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_publish *in) {
    size_t start = b->len;
    porch_err e = write_head(b, version, in);
    if (e == PORCH_OK) e = porch_write_bytes(b, in->payload);
    return porch_mqtt_undo(b, start, e);
}

size_t porch_mqtt_publish_bytes(porch_mqtt_version version, const porch_mqtt_publish *in) {
    size_t body = body_bytes(version, in);
    return 1 + (body > PORCH_MQTT_VARINT_MOST ? 4 : porch_mqtt_varint_bytes((uint32_t)body)) + body;
}

porch_err porch_mqtt_ack_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                              porch_mqtt_fault *fault, porch_mqtt_ack *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_ack a = {.type = frame->type};
    PORCH_TRY(porch_mqtt_take_packet_id(&r, fault, &a.packet_id));
    if (version == PORCH_MQTT_V5) {
        PORCH_TRY(porch_mqtt_take_tail(&r, frame->type, fault, &a.reason, &a.properties));
    } else {
        PORCH_TRY(porch_mqtt_take_end(&r, fault));
    }
    *ret = a;
    return PORCH_OK;
}

/* The header's flags: PUBREL alone has some, for the sake of MQTT 3.1 (section 2.1.3). */
static porch_err write_ack(porch_buf *b, porch_mqtt_version version, const porch_mqtt_ack *in) {
    if (in->type < PORCH_MQTT_PUBACK || in->type > PORCH_MQTT_PUBCOMP || in->packet_id == 0)
        return PORCH_ERR_MALFORMED;
    size_t tail = version == PORCH_MQTT_V5 ? porch_mqtt_tail_bytes(in->reason, &in->properties) : 0;
    PORCH_TRY(porch_mqtt_frame_write_header(b, in->type, in->type == PORCH_MQTT_PUBREL ? 2 : 0, 2 + tail));
    PORCH_TRY(porch_write_u16(b, in->packet_id));
    return version == PORCH_MQTT_V5 ? porch_mqtt_write_tail(b, in->type, in->reason, &in->properties)
                                    : PORCH_OK;
}

porch_err porch_mqtt_ack_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_ack *in) {
    size_t start = b->len;
    return porch_mqtt_undo(b, start, write_ack(b, version, in));
}
