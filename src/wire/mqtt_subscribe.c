#include "wire/mqtt_subscribe.h"

#include <string.h>

#include "wire/mqtt_field.h"

/* Subscription options (section 3.8.3.1). */
#define OPTION_QOS      0x03
#define OPTION_NO_LOCAL 0x04
#define OPTION_AS_IS    0x08
#define HANDLING_AT     4
#define OPTION_RESERVED 0xc0
#define OPTION_ONLY_V5  0xfc

static porch_err malformed(porch_mqtt_fault *fault, const char *what) {
    return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, what);
}

porch_err porch_mqtt_share_parse(porch_bytes text, const porch_topic_limits *limits, porch_bytes *group,
                                 porch_topic_filter *filter) {
    const porch_bytes prefix = PORCH_LIT("$share/");
    if (!porch_bytes_starts(text, prefix)) {
        PORCH_TRY(porch_topic_filter_parse(text, limits, filter));
        *group = (porch_bytes){text.at, 0};
        return PORCH_OK;
    }
    porch_bytes rest = {text.at + prefix.len, text.len - prefix.len};
    const uint8_t *slash = rest.len == 0 ? NULL : memchr(rest.at, '/', rest.len);
    if (slash == NULL || slash == rest.at) return PORCH_ERR_MALFORMED;
    porch_bytes name = {rest.at, (size_t)(slash - rest.at)};
    if (memchr(name.at, '+', name.len) != NULL || memchr(name.at, '#', name.len) != NULL ||
        !porch_mqtt_is_string(name))
        return PORCH_ERR_MALFORMED;
    PORCH_TRY(porch_topic_filter_parse((porch_bytes){slash + 1, rest.len - name.len - 1}, limits, filter));
    *group = name;
    return PORCH_OK;
}

/* Judges one filter's text; the fault tells bytes that are no text from filters that are no filters. */
static porch_err judge_filter(porch_bytes text, porch_mqtt_fault *fault, porch_bytes *group,
                              porch_topic_filter *filter) {
    if (porch_mqtt_share_parse(text, NULL, group, filter) == PORCH_OK) return PORCH_OK;
    if (!porch_mqtt_is_string(text)) return malformed(fault, "a topic filter is not UTF-8 or holds a zero");
    return porch_mqtt_refuse(fault, PORCH_MQTT_RC_TOPIC_FILTER_INVALID,
                             "a topic filter is empty, has a misplaced wildcard or a broken $share");
}

static porch_err judge_options(uint8_t options, porch_mqtt_version version, bool shared,
                               porch_mqtt_fault *fault) {
    uint8_t reserved = version == PORCH_MQTT_V5 ? OPTION_RESERVED : OPTION_ONLY_V5;
    if ((options & reserved) != 0) return malformed(fault, "a reserved subscription option is set");
    if ((options & OPTION_QOS) == 3) return malformed(fault, "a subscription asks for QoS 3");
    if (((options >> HANDLING_AT) & 3) == 3)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "retain handling is none of 0, 1, 2");
    if (shared && (options & OPTION_NO_LOCAL) != 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "no local on a shared subscription");
    return PORCH_OK;
}

static void set_options(porch_mqtt_subscription *s, uint8_t options) {
    s->qos = options & OPTION_QOS;
    s->no_local = (options & OPTION_NO_LOCAL) != 0;
    s->retain_as_published = (options & OPTION_AS_IS) != 0;
    s->retain_handling = (options >> HANDLING_AT) & 3;
}

static porch_err take_subscription(porch_reader *r, porch_mqtt_version version, porch_mqtt_fault *fault,
                                   porch_mqtt_subscription *ret) {
    porch_mqtt_subscription s = {0};
    uint8_t options;
    PORCH_TRY(porch_mqtt_take_binary(r, fault, "a topic filter is cut short", &s.text));
    PORCH_TRY(porch_mqtt_take_u8(r, fault, "the subscription options are missing", &options));
    PORCH_TRY(judge_filter(s.text, fault, &s.share_group, &s.filter));
    PORCH_TRY(judge_options(options, version, s.share_group.len > 0, fault));
    set_options(&s, options);
    *ret = s;
    return PORCH_OK;
}

static porch_err count_filters(porch_bytes filters, porch_mqtt_version version, porch_mqtt_fault *fault,
                               uint16_t *ret) {
    porch_reader r = porch_reader_of(filters);
    size_t count = 0;
    while (!porch_reader_done(&r)) {
        porch_mqtt_subscription s;
        PORCH_TRY(take_subscription(&r, version, fault, &s));
        count++;
    }
    if (count == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "a request without a topic filter");
    if (count > UINT16_MAX) return malformed(fault, "more than 65,535 topic filters");
    *ret = (uint16_t)count;
    return PORCH_OK;
}

porch_err porch_mqtt_subscribe_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                    porch_mqtt_fault *fault, porch_mqtt_subscribe *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_subscribe s = {0};
    PORCH_TRY(porch_mqtt_take_packet_id(&r, fault, &s.packet_id));
    PORCH_TRY(porch_mqtt_take_properties(&r, version, PORCH_MQTT_SUBSCRIBE, fault, &s.properties));
    PORCH_TRY(count_filters(r.rest, version, fault, &s.count));
    s.filters = r.rest;
    *ret = s;
    return PORCH_OK;
}

bool porch_mqtt_subscription_next(porch_bytes *rest, porch_mqtt_version version,
                                  porch_mqtt_subscription *ret) {
    porch_reader r = porch_reader_of(*rest);
    if (porch_reader_done(&r) || take_subscription(&r, version, NULL, ret) != PORCH_OK) return false;
    *rest = r.rest;
    return true;
}

porch_err porch_mqtt_subscription_put(porch_buf *b, porch_mqtt_version version,
                                      const porch_mqtt_subscription *one) {
    porch_bytes group = {NULL, 0};
    porch_topic_filter filter;
    if (one->qos > 2 || one->retain_handling > 2) return PORCH_ERR_MALFORMED;
    PORCH_TRY(judge_filter(one->text, NULL, &group, &filter));
    unsigned options = one->qos;
    if (version == PORCH_MQTT_V5)
        options |= (one->no_local ? OPTION_NO_LOCAL : 0u) | (one->retain_as_published ? OPTION_AS_IS : 0u) |
                   (unsigned)one->retain_handling << HANDLING_AT;
    PORCH_TRY(judge_options((uint8_t)options, version, group.len > 0, NULL));
    if (b->cap - b->len < 3 || b->cap - b->len - 3 < one->text.len) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(porch_write_block16(b, one->text));
    return porch_write_u8(b, (uint8_t)options);
}

/* SUBSCRIBE and UNSUBSCRIBE are laid out alike. */
static porch_err write_request(porch_buf *b, porch_mqtt_version version, porch_mqtt_type type,
                               uint16_t packet_id, const porch_mqtt_properties *properties,
                               porch_bytes filters) {
    bool v5 = version == PORCH_MQTT_V5;
    if (packet_id == 0) return PORCH_ERR_MALFORMED;
    size_t bytes = 2 + (v5 ? porch_mqtt_properties_bytes(properties) : 0) + filters.len;
    PORCH_TRY(porch_mqtt_frame_write_header(b, type, 2, bytes));
    PORCH_TRY(porch_write_u16(b, packet_id));
    if (v5) PORCH_TRY(porch_mqtt_properties_write(b, type, properties));
    return porch_write_bytes(b, filters);
}

porch_err porch_mqtt_subscribe_write(porch_buf *b, porch_mqtt_version version,
                                     const porch_mqtt_subscribe *in) {
    uint16_t count;
    PORCH_TRY(count_filters(in->filters, version, NULL, &count));
    size_t start = b->len;
    return porch_mqtt_undo(
        b, start,
        write_request(b, version, PORCH_MQTT_SUBSCRIBE, in->packet_id, &in->properties, in->filters));
}

static porch_err take_unsubscription(porch_reader *r, porch_mqtt_fault *fault, porch_bytes *ret) {
    porch_bytes text, group;
    porch_topic_filter filter;
    PORCH_TRY(porch_mqtt_take_binary(r, fault, "a topic filter is cut short", &text));
    PORCH_TRY(judge_filter(text, fault, &group, &filter));
    *ret = text;
    return PORCH_OK;
}

static porch_err count_unsubscriptions(porch_bytes filters, porch_mqtt_fault *fault, uint16_t *ret) {
    porch_reader r = porch_reader_of(filters);
    size_t count = 0;
    while (!porch_reader_done(&r)) {
        porch_bytes text;
        PORCH_TRY(take_unsubscription(&r, fault, &text));
        count++;
    }
    if (count == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "a request without a topic filter");
    if (count > UINT16_MAX) return malformed(fault, "more than 65,535 topic filters");
    *ret = (uint16_t)count;
    return PORCH_OK;
}

porch_err porch_mqtt_unsubscribe_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                      porch_mqtt_fault *fault, porch_mqtt_unsubscribe *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_unsubscribe u = {0};
    PORCH_TRY(porch_mqtt_take_packet_id(&r, fault, &u.packet_id));
    PORCH_TRY(porch_mqtt_take_properties(&r, version, PORCH_MQTT_UNSUBSCRIBE, fault, &u.properties));
    PORCH_TRY(count_unsubscriptions(r.rest, fault, &u.count));
    u.filters = r.rest;
    *ret = u;
    return PORCH_OK;
}

bool porch_mqtt_unsubscription_next(porch_bytes *rest, porch_bytes *ret) {
    porch_reader r = porch_reader_of(*rest);
    if (porch_reader_done(&r) || take_unsubscription(&r, NULL, ret) != PORCH_OK) return false;
    *rest = r.rest;
    return true;
}

porch_err porch_mqtt_unsubscription_put(porch_buf *b, porch_bytes text) {
    porch_bytes group = {NULL, 0};
    porch_topic_filter filter;
    PORCH_TRY(judge_filter(text, NULL, &group, &filter));
    return porch_write_block16(b, text);
}

porch_err porch_mqtt_unsubscribe_write(porch_buf *b, porch_mqtt_version version,
                                       const porch_mqtt_unsubscribe *in) {
    uint16_t count;
    PORCH_TRY(count_unsubscriptions(in->filters, NULL, &count));
    size_t start = b->len;
    return porch_mqtt_undo(
        b, start,
        write_request(b, version, PORCH_MQTT_UNSUBSCRIBE, in->packet_id, &in->properties, in->filters));
}

/* 3.1.1 knows three grants and one refusal (section 3.9.3). */
static bool is_v311_code(uint8_t code) {
    return code <= PORCH_MQTT_RC_GRANTED_QOS2 || code == PORCH_MQTT_RC_UNSPECIFIED_ERROR;
}

static porch_err judge_codes(porch_bytes codes, porch_mqtt_version version, porch_mqtt_type type,
                             porch_mqtt_fault *fault) {
    bool empty_wanted = version != PORCH_MQTT_V5 && type == PORCH_MQTT_UNSUBACK;
    if ((codes.len == 0) != empty_wanted) return malformed(fault, "a missing or superfluous reason code");
    for (size_t i = 0; i < codes.len; i++) {
        bool good = version == PORCH_MQTT_V5 ? porch_mqtt_reason_allowed(type, codes.at[i])
                                             : is_v311_code(codes.at[i]);
        if (!good)
            return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                     "the packet does not carry this reason code");
    }
    return PORCH_OK;
}

porch_err porch_mqtt_suback_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                 porch_mqtt_fault *fault, porch_mqtt_suback *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_suback s = {.type = frame->type};
    PORCH_TRY(porch_mqtt_take_packet_id(&r, fault, &s.packet_id));
    PORCH_TRY(porch_mqtt_take_properties(&r, version, frame->type, fault, &s.properties));
    PORCH_TRY(judge_codes(r.rest, version, frame->type, fault));
    s.reasons = r.rest;
    *ret = s;
    return PORCH_OK;
}

static porch_err write_codes(porch_buf *b, porch_mqtt_version version, const porch_mqtt_suback *in) {
    if (version == PORCH_MQTT_V5) return porch_write_bytes(b, in->reasons);
    for (size_t i = 0; i < in->reasons.len && in->type == PORCH_MQTT_SUBACK; i++) {
        uint8_t code = in->reasons.at[i];
        PORCH_TRY(porch_write_u8(b, is_v311_code(code) ? code : PORCH_MQTT_RC_UNSPECIFIED_ERROR));
    }
    return PORCH_OK;
}

static porch_err write_suback(porch_buf *b, porch_mqtt_version version, const porch_mqtt_suback *in) {
    bool v5 = version == PORCH_MQTT_V5;
    if (in->packet_id == 0 || (in->type != PORCH_MQTT_SUBACK && in->type != PORCH_MQTT_UNSUBACK))
        return PORCH_ERR_MALFORMED;
    size_t codes = v5 || in->type == PORCH_MQTT_SUBACK ? in->reasons.len : 0;
    if (codes > 0) PORCH_TRY(judge_codes(in->reasons, PORCH_MQTT_V5, in->type, NULL));
    if (codes == 0 && (v5 || in->type == PORCH_MQTT_SUBACK)) return PORCH_ERR_MALFORMED;
    size_t bytes = 2 + (v5 ? porch_mqtt_properties_bytes(&in->properties) : 0) + codes;
    PORCH_TRY(porch_mqtt_frame_write_header(b, in->type, 0, bytes));
    PORCH_TRY(porch_write_u16(b, in->packet_id));
    if (v5) PORCH_TRY(porch_mqtt_properties_write(b, in->type, &in->properties));
    return write_codes(b, version, in);
}

porch_err porch_mqtt_suback_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_suback *in) {
    size_t start = b->len;
    return porch_mqtt_undo(b, start, write_suback(b, version, in));
}
