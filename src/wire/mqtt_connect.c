#include "wire/mqtt_connect.h"

#include "wire/mqtt_field.h"

/* Connect flags (section 3.1.2.3). */
#define FLAG_RESERVED 0x01
#define FLAG_CLEAN    0x02
#define FLAG_WILL     0x04
#define WILL_QOS_AT   3
#define FLAG_RETAIN   0x20
#define FLAG_PASSWORD 0x40
#define FLAG_USERNAME 0x80

/* "MQTT" with its length, then the level. */
#define NAME_BYTES 6
#define LEVEL_31   3

porch_mqtt_version porch_mqtt_connect_version(const porch_mqtt_frame *frame) {
    static const uint8_t named_31[] = {0, 6, 'M', 'Q', 'I', 's', 'd', 'p'};
    if (porch_bytes_starts(frame->body, (porch_bytes){named_31, sizeof named_31})) return PORCH_MQTT_V311;
    if (frame->body.len <= NAME_BYTES) return PORCH_MQTT_V311;
    return frame->body.at[NAME_BYTES] >= PORCH_MQTT_V5 ? PORCH_MQTT_V5 : PORCH_MQTT_V311;
}

static porch_err malformed(porch_mqtt_fault *fault, const char *what) {
    return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, what);
}

/* MQTT 3.1 has another name and level; what follows is as in 3.1.1. */
static porch_err take_version(porch_reader *r, porch_mqtt_fault *fault, porch_mqtt_version *ret,
                              bool *named_31) {
    porch_bytes name;
    uint8_t level;
    PORCH_TRY(porch_mqtt_take_string(r, fault, "the protocol name is cut short or not UTF-8", &name));
    PORCH_TRY(porch_mqtt_take_u8(r, fault, "the protocol level is missing", &level));
    *named_31 = porch_bytes_eq_text(name, "MQIsdp") && level == LEVEL_31;
    if (*named_31) {
        *ret = PORCH_MQTT_V311;
        return PORCH_OK;
    }
    if (!porch_bytes_eq_text(name, "MQTT") || (level != PORCH_MQTT_V311 && level != PORCH_MQTT_V5)) {
        porch_mqtt_refuse(fault, PORCH_MQTT_RC_UNSUPPORTED_VERSION,
                          "MQTT 3.1, 3.1.1 and 5.0 are spoken here");
        return PORCH_ERR_UNSUPPORTED;
    }
    *ret = (porch_mqtt_version)level;
    return PORCH_OK;
}

static porch_err judge_flags(uint8_t flags, porch_mqtt_version version, porch_mqtt_fault *fault) {
    unsigned qos = (flags >> WILL_QOS_AT) & 3;
    if ((flags & FLAG_RESERVED) != 0) return malformed(fault, "the reserved connect flag is set");
    if (qos == 3) return malformed(fault, "the will has QoS 3");
    if ((flags & FLAG_WILL) == 0 && (qos != 0 || (flags & FLAG_RETAIN) != 0))
        return malformed(fault, "will QoS or will retain without a will");
    if (version == PORCH_MQTT_V311 && (flags & FLAG_PASSWORD) != 0 && (flags & FLAG_USERNAME) == 0)
        return malformed(fault, "a password without a user name");
    return PORCH_OK;
}

static porch_err take_will(porch_reader *r, uint8_t flags, porch_mqtt_version version,
                           porch_mqtt_fault *fault, porch_mqtt_will *ret) {
    porch_mqtt_will will = {.qos = (flags >> WILL_QOS_AT) & 3, .retain = (flags & FLAG_RETAIN) != 0};
    porch_bytes topic;
    PORCH_TRY(porch_mqtt_take_properties(r, version, PORCH_MQTT_WILL, fault, &will.properties));
    PORCH_TRY(porch_mqtt_take_string(r, fault, "the will topic is cut short or not UTF-8", &topic));
    if (porch_topic_name_parse(topic, NULL, &will.topic) != PORCH_OK)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_TOPIC_NAME_INVALID,
                                 "the will topic is empty or has a wildcard");
    PORCH_TRY(porch_mqtt_take_binary(r, fault, "the will payload is cut short", &will.payload));
    *ret = will;
    return PORCH_OK;
}

porch_err porch_mqtt_connect_read(const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                                  porch_mqtt_connect *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_connect c = {0};
    uint8_t flags;
    PORCH_TRY(take_version(&r, fault, &c.version, &c.named_31));
    PORCH_TRY(porch_mqtt_take_u8(&r, fault, "the connect flags are missing", &flags));
    PORCH_TRY(judge_flags(flags, c.version, fault));
    c.clean_start = (flags & FLAG_CLEAN) != 0;
    c.has_will = (flags & FLAG_WILL) != 0;
    c.has_username = (flags & FLAG_USERNAME) != 0;
    c.has_password = (flags & FLAG_PASSWORD) != 0;
    PORCH_TRY(porch_mqtt_take_u16(&r, fault, "the keep alive time is cut short", &c.keep_alive_s));
    PORCH_TRY(porch_mqtt_take_properties(&r, c.version, PORCH_MQTT_CONNECT, fault, &c.properties));
    PORCH_TRY(
        porch_mqtt_take_string(&r, fault, "the client identifier is cut short or not UTF-8", &c.client_id));
    if (c.client_id.len == 0 && !c.clean_start && c.version == PORCH_MQTT_V311)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_CLIENT_ID_INVALID,
                                 "an empty client identifier needs a clean session");
    if (c.has_will) PORCH_TRY(take_will(&r, flags, c.version, fault, &c.will));
    if (c.has_username)
        PORCH_TRY(
            porch_mqtt_take_string(&r, fault, "the user name is cut short or not UTF-8", &c.username));
    if (c.has_password)
        PORCH_TRY(porch_mqtt_take_binary(&r, fault, "the password is cut short", &c.password));
    PORCH_TRY(porch_mqtt_take_end(&r, fault));
    *ret = c;
    return PORCH_OK;
}

static uint8_t flags_of(const porch_mqtt_connect *in) {
    unsigned flags = (in->clean_start ? FLAG_CLEAN : 0u) | (in->has_password ? FLAG_PASSWORD : 0u) |
                     (in->has_username ? FLAG_USERNAME : 0u);
    if (in->has_will)
        flags |=
            FLAG_WILL | (unsigned)(in->will.qos & 3) << WILL_QOS_AT | (in->will.retain ? FLAG_RETAIN : 0u);
    return (uint8_t)flags;
}

static size_t connect_bytes(const porch_mqtt_connect *in) {
    bool v5 = in->version == PORCH_MQTT_V5;
    size_t bytes = NAME_BYTES + (in->named_31 ? 2u : 0u) + 1 + 1 + 2 + 2 + in->client_id.len;
    if (v5) bytes += porch_mqtt_properties_bytes(&in->properties);
    if (in->has_will) {
        bytes += 2 + in->will.topic.text.len + 2 + in->will.payload.len;
        if (v5) bytes += porch_mqtt_properties_bytes(&in->will.properties);
    }
    if (in->has_username) bytes += 2 + in->username.len;
    if (in->has_password) bytes += 2 + in->password.len;
    return bytes;
}

static porch_err write_will(porch_buf *b, porch_mqtt_version version, const porch_mqtt_will *will) {
    porch_topic_name topic;
    if (will->qos > 2) return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_topic_name_parse(will->topic.text, NULL, &topic));
    if (version == PORCH_MQTT_V5)
        PORCH_TRY(porch_mqtt_properties_write(b, PORCH_MQTT_WILL, &will->properties));
    PORCH_TRY(porch_write_block16(b, topic.text));
    return porch_write_block16(b, will->payload);
}

static porch_err write_connect(porch_buf *b, const porch_mqtt_connect *in) {
    if (in->version != PORCH_MQTT_V311 && (in->version != PORCH_MQTT_V5 || in->named_31))
        return PORCH_ERR_UNSUPPORTED;
    if (in->version == PORCH_MQTT_V311 && in->client_id.len == 0 && !in->clean_start)
        return PORCH_ERR_MALFORMED;
    PORCH_TRY(judge_flags(flags_of(in), in->version, NULL));
    PORCH_TRY(porch_mqtt_frame_write_header(b, PORCH_MQTT_CONNECT, 0, connect_bytes(in)));
    PORCH_TRY(porch_write_block16(b, in->named_31 ? PORCH_LIT("MQIsdp") : PORCH_LIT("MQTT")));
    PORCH_TRY(porch_write_u8(b, in->named_31 ? LEVEL_31 : (uint8_t)in->version));
    PORCH_TRY(porch_write_u8(b, flags_of(in)));
    PORCH_TRY(porch_write_u16(b, in->keep_alive_s));
    if (in->version == PORCH_MQTT_V5)
        PORCH_TRY(porch_mqtt_properties_write(b, PORCH_MQTT_CONNECT, &in->properties));
    PORCH_TRY(porch_mqtt_put_string(b, in->client_id));
    if (in->has_will) PORCH_TRY(write_will(b, in->version, &in->will));
    if (in->has_username) PORCH_TRY(porch_mqtt_put_string(b, in->username));
    return in->has_password ? porch_write_block16(b, in->password) : PORCH_OK;
}

porch_err porch_mqtt_connect_write(porch_buf *b, const porch_mqtt_connect *in) {
    size_t start = b->len;
    return porch_mqtt_undo(b, start, write_connect(b, in));
}

porch_err porch_mqtt_connack_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                  porch_mqtt_fault *fault, porch_mqtt_connack *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_connack c = {0};
    uint8_t flags, code;
    PORCH_TRY(porch_mqtt_take_u8(&r, fault, "the acknowledge flags are missing", &flags));
    if (flags > 1) return malformed(fault, "a reserved acknowledge flag is set");
    c.session_present = flags == 1;
    if (version == PORCH_MQTT_V5) {
        PORCH_TRY(porch_mqtt_take_reason(&r, PORCH_MQTT_CONNACK, fault, &c.reason));
        PORCH_TRY(porch_mqtt_properties_read(&r, PORCH_MQTT_CONNACK, fault, &c.properties));
    } else {
        PORCH_TRY(porch_mqtt_take_u8(&r, fault, "the return code is missing", &code));
        if (code > 5) return malformed(fault, "the return code is none of 0 to 5");
        c.reason = porch_mqtt_connack_reason_of_v311(code);
    }
    PORCH_TRY(porch_mqtt_take_end(&r, fault));
    if (c.session_present && c.reason != PORCH_MQTT_RC_SUCCESS)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "a refusal that says a session is present");
    *ret = c;
    return PORCH_OK;
}

static porch_err write_connack(porch_buf *b, porch_mqtt_version version, const porch_mqtt_connack *in) {
    bool v5 = version == PORCH_MQTT_V5;
    uint8_t code = v5 ? in->reason : porch_mqtt_connack_code_v311(in->reason);
    if (!v5 && code == 0xff) return PORCH_ERR_UNSUPPORTED;
    if (v5 && !porch_mqtt_reason_allowed(PORCH_MQTT_CONNACK, in->reason)) return PORCH_ERR_MALFORMED;
    if (in->session_present && in->reason != PORCH_MQTT_RC_SUCCESS) return PORCH_ERR_MALFORMED;
    size_t bytes = 2 + (v5 ? porch_mqtt_properties_bytes(&in->properties) : 0);
    PORCH_TRY(porch_mqtt_frame_write_header(b, PORCH_MQTT_CONNACK, 0, bytes));
    PORCH_TRY(porch_write_u8(b, in->session_present ? 1 : 0));
    PORCH_TRY(porch_write_u8(b, code));
    return v5 ? porch_mqtt_properties_write(b, PORCH_MQTT_CONNACK, &in->properties) : PORCH_OK;
}

porch_err porch_mqtt_connack_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_connack *in) {
    size_t start = b->len;
    return porch_mqtt_undo(b, start, write_connack(b, version, in));
}
