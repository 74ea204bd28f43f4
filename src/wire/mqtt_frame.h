/* The MQTT control packet as a frame: fixed header and body (MQTT 3.1.1 and 5.0, section 2.1).
 *
 *      byte 1          bytes 2..5              then
 *      ┌──────┬───────┬──────────────────────┬──────────────────────┐
 *      │ type │ flags │ remaining length     │ body                 │
 *      │ 4bit │ 4 bit │ 1 to 4 bytes, 7 bit  │ remaining length     │
 *      └──────┴───────┴──────────────────────┴──────────────────────┘
 *
 * This file cuts a byte stream into packets and does nothing else: it looks at no body. What a body means
 * is the business of the mqtt_*.h files beside it, one a family of packets; each takes a porch_mqtt_frame,
 * which only porch_mqtt_frame_read makes.
 *
 * Contract of all readers in this room: `ret` is written only on PORCH_OK; what it holds are views into the
 * input, valid as long as the input is; nothing is allocated, copied or kept. Contract of all writers: they
 * append to a porch_buf; on PORCH_ERR_NO_SPACE (or PORCH_ERR_MALFORMED for a packet that no peer would
 * accept) the buffer is as it was before. One value has one spelling: a reader accepts only what a writer
 * here would produce for the same meaning, but for the order of properties and the short forms that the
 * standard allows. */
#ifndef PORCH_WIRE_MQTT_FRAME_H
#define PORCH_WIRE_MQTT_FRAME_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "wire/mqtt_reason.h"

/* Largest remaining length and largest variable byte integer: four bytes of seven bits. */
#define PORCH_MQTT_VARINT_MOST 268435455u
/* Longest fixed header. */
#define PORCH_MQTT_HEADER_MOST 5

typedef struct {
    porch_mqtt_type type;
    uint8_t flags;    /* the low four bits of byte 1 */
    porch_bytes body; /* what follows the fixed header */
    size_t bytes;     /* of the whole packet: skip so many to find the next one */
} porch_mqtt_frame;

/* Reads the first packet of `in`.
 *   PORCH_OK             the packet is whole
 *   PORCH_ERR_TRUNCATED  so far nothing is wrong: call again with more bytes
 *   PORCH_ERR_LIMIT      it would be larger than max_packet_bytes (fixed header included); told as soon as
 * the length is known, before the body arrives. Fault: PACKET_TOO_LARGE PORCH_ERR_MALFORMED  type 0, flags
 * that the type does not have, or a length that is not in its shortest form or longer than four bytes.
 * Fault: MALFORMED_PACKET `fault` may be NULL. Flags of PUBLISH are not judged here: mqtt_publish.h knows
 * their meaning. */
porch_err porch_mqtt_frame_read(porch_bytes in, uint32_t max_packet_bytes, porch_mqtt_fault *fault,
                                porch_mqtt_frame *ret);

/* May `sender` send this packet in this version (MQTT 5.0, table 2-1)? Otherwise PORCH_ERR_MALFORMED and
 * fault PROTOCOL_ERROR; AUTH within 3.1.1 is MALFORMED_PACKET. */
porch_err porch_mqtt_frame_judge(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                 porch_mqtt_sender sender, porch_mqtt_fault *fault);

/* "PUBLISH"; "?" for a value that is no type. Static memory. */
const char *porch_mqtt_type_name(porch_mqtt_type type);

/* Appends the fixed header of a packet whose body has `body_bytes`. PORCH_ERR_LIMIT past
 * PORCH_MQTT_VARINT_MOST. */
porch_err porch_mqtt_frame_write_header(porch_buf *b, porch_mqtt_type type, uint8_t flags,
                                        size_t body_bytes);

/* Variable byte integer (section 1.5.5): shortest form only. Reading: PORCH_ERR_TRUNCATED or
 * PORCH_ERR_MALFORMED, and the reader has not moved. */
porch_err porch_mqtt_varint_read(porch_reader *r, uint32_t *ret);
porch_err porch_mqtt_varint_write(porch_buf *b, uint32_t value);
/* Bytes that the shortest form takes: 1 to 4. */
static inline size_t porch_mqtt_varint_bytes(uint32_t value) {
    return value < 1u << 7 ? 1 : value < 1u << 14 ? 2 : value < 1u << 21 ? 3 : 4;
}

#endif
