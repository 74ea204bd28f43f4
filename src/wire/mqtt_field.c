#include "wire/mqtt_field.h"

#include <string.h>

#include "base/text.h"

bool porch_mqtt_is_string(porch_bytes text) {
    return text.len <= UINT16_MAX && (text.len == 0 || memchr(text.at, 0, text.len) == NULL) &&
           porch_utf8_valid(text);
}

static porch_err malformed(porch_mqtt_fault *fault, const char *what) {
    return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, what);
}

porch_err porch_mqtt_take_string(porch_reader *r, porch_mqtt_fault *fault, const char *what,
                                 porch_bytes *ret) {
    porch_bytes text;
    if (porch_read_block16(r, &text) != PORCH_OK || !porch_mqtt_is_string(text))
        return malformed(fault, what);
    *ret = text;
    return PORCH_OK;
}

porch_err porch_mqtt_take_binary(porch_reader *r, porch_mqtt_fault *fault, const char *what,
                                 porch_bytes *ret) {
    return porch_read_block16(r, ret) == PORCH_OK ? PORCH_OK : malformed(fault, what);
}

porch_err porch_mqtt_take_u8(porch_reader *r, porch_mqtt_fault *fault, const char *what, uint8_t *ret) {
    return porch_read_u8(r, ret) == PORCH_OK ? PORCH_OK : malformed(fault, what);
}

porch_err porch_mqtt_take_u16(porch_reader *r, porch_mqtt_fault *fault, const char *what, uint16_t *ret) {
    return porch_read_u16(r, ret) == PORCH_OK ? PORCH_OK : malformed(fault, what);
}

porch_err porch_mqtt_take_packet_id(porch_reader *r, porch_mqtt_fault *fault, uint16_t *ret) {
    uint16_t id = 0;
    PORCH_TRY(porch_mqtt_take_u16(r, fault, "the packet identifier is cut short", &id));
    if (id == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "the packet identifier is 0");
    *ret = id;
    return PORCH_OK;
}

porch_err porch_mqtt_take_reason(porch_reader *r, porch_mqtt_type type, porch_mqtt_fault *fault,
                                 uint8_t *ret) {
    uint8_t reason = 0;
    PORCH_TRY(porch_mqtt_take_u8(r, fault, "the reason code is missing", &reason));
    if (!porch_mqtt_reason_allowed(type, reason))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "the packet does not carry this reason code");
    *ret = reason;
    return PORCH_OK;
}

porch_err porch_mqtt_take_end(const porch_reader *r, porch_mqtt_fault *fault) {
    return porch_reader_done(r) ? PORCH_OK : malformed(fault, "bytes are left over at the packet's end");
}

porch_err porch_mqtt_take_properties(porch_reader *r, porch_mqtt_version version, unsigned packet,
                                     porch_mqtt_fault *fault, porch_mqtt_properties *ret) {
    if (version == PORCH_MQTT_V5) return porch_mqtt_properties_read(r, packet, fault, ret);
    *ret = (porch_mqtt_properties){{NULL, 0}, 0};
    return PORCH_OK;
}

porch_err porch_mqtt_take_tail(porch_reader *r, porch_mqtt_type type, porch_mqtt_fault *fault,
                               uint8_t *reason, porch_mqtt_properties *properties) {
    uint8_t code = PORCH_MQTT_RC_SUCCESS;
    porch_mqtt_properties block = {{NULL, 0}, 0};
    if (!porch_reader_done(r)) PORCH_TRY(porch_mqtt_take_reason(r, type, fault, &code));
    if (!porch_reader_done(r)) PORCH_TRY(porch_mqtt_properties_read(r, type, fault, &block));
    PORCH_TRY(porch_mqtt_take_end(r, fault));
    *reason = code;
    *properties = block;
    return PORCH_OK;
}

size_t porch_mqtt_tail_bytes(uint8_t reason, const porch_mqtt_properties *properties) {
    if (properties->raw.len > 0) return 1 + porch_mqtt_properties_bytes(properties);
    return reason == PORCH_MQTT_RC_SUCCESS ? 0 : 1;
}

porch_err porch_mqtt_write_tail(porch_buf *b, porch_mqtt_type type, uint8_t reason,
                                const porch_mqtt_properties *properties) {
    if (!porch_mqtt_reason_allowed(type, reason)) return PORCH_ERR_MALFORMED;
    size_t bytes = porch_mqtt_tail_bytes(reason, properties);
    if (bytes == 0) return PORCH_OK;
    PORCH_TRY(porch_write_u8(b, reason));
    return bytes == 1 ? PORCH_OK : porch_mqtt_properties_write(b, type, properties);
}

porch_err porch_mqtt_undo(porch_buf *b, size_t start, porch_err e) {
    if (e != PORCH_OK) b->len = start;
    return e;
}

porch_err porch_mqtt_put_string(porch_buf *b, porch_bytes text) {
    return porch_mqtt_is_string(text) ? porch_write_block16(b, text) : PORCH_ERR_MALFORMED;
}
