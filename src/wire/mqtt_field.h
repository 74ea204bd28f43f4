/* Fields that several MQTT packets share, read with a fault that names them. For this room's files only. */
#ifndef PORCH_WIRE_MQTT_FIELD_H
#define PORCH_WIRE_MQTT_FIELD_H

#include "wire/mqtt_property.h"

/* UTF-8 encoded string (section 1.5.4): no U+0000, no surrogate, nothing overlong. */
bool porch_mqtt_is_string(porch_bytes text);

/* All fill `fault` (may be NULL) with MALFORMED_PACKET when the field is cut short or bad; `what` says
 * which it is. */
porch_err porch_mqtt_take_string(porch_reader *r, porch_mqtt_fault *fault, const char *what,
                                 porch_bytes *ret);
porch_err porch_mqtt_take_binary(porch_reader *r, porch_mqtt_fault *fault, const char *what,
                                 porch_bytes *ret);
porch_err porch_mqtt_take_u8(porch_reader *r, porch_mqtt_fault *fault, const char *what, uint8_t *ret);
porch_err porch_mqtt_take_u16(porch_reader *r, porch_mqtt_fault *fault, const char *what, uint16_t *ret);
/* 0 is PROTOCOL_ERROR on 5.0 and MALFORMED_PACKET on 3.1.1, which has no codes anyway. */
porch_err porch_mqtt_take_packet_id(porch_reader *r, porch_mqtt_fault *fault, uint16_t *ret);
/* A reason code that the packet type may carry. */
porch_err porch_mqtt_take_reason(porch_reader *r, porch_mqtt_type type, porch_mqtt_fault *fault,
                                 uint8_t *ret);
/* The end of the body. */
porch_err porch_mqtt_take_end(const porch_reader *r, porch_mqtt_fault *fault);
/* Properties on a 5.0 link, the empty block on 3.1.1. */
porch_err porch_mqtt_take_properties(porch_reader *r, porch_mqtt_version version, unsigned packet,
                                     porch_mqtt_fault *fault, porch_mqtt_properties *ret);
/* The end that PUBACK and its kin, DISCONNECT and AUTH share on 5.0: nothing (SUCCESS), a reason code, or a
 * reason code and properties. */
porch_err porch_mqtt_take_tail(porch_reader *r, porch_mqtt_type type, porch_mqtt_fault *fault,
                               uint8_t *reason, porch_mqtt_properties *properties);
/* Bytes of that end in its shortest form, and the writing of it. */
size_t porch_mqtt_tail_bytes(uint8_t reason, const porch_mqtt_properties *properties);
porch_err porch_mqtt_write_tail(porch_buf *b, porch_mqtt_type type, uint8_t reason,
                                const porch_mqtt_properties *properties);

/* Writers undo by putting the fill mark back. */
porch_err porch_mqtt_undo(porch_buf *b, size_t start, porch_err e);
/* A string or binary field: PORCH_ERR_MALFORMED when it is no string. */
porch_err porch_mqtt_put_string(porch_buf *b, porch_bytes text);

#endif
