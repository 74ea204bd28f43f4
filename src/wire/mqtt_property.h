/* The properties of MQTT 5.0 (section 2.2.2) as one table.
 *
 *      ┌────────┬─────────────────────────────────────┐
 *      │ length │ id value · id value · id value ...  │    a block, inside every 5.0 packet but the PINGs
 *      └────────┴─────────────────────────────────────┘
 *
 * A block is judged once, when its packet is read: every id known and allowed there, none twice that may
 * not be, every value in range. After that a porch_mqtt_properties is a view that can be asked and walked
 * without a way to fail. For writing, append properties to a porch_buf of your own with the _put functions
 * and hand porch_mqtt_properties_of(...) to the packet; packet writers judge it again, so that nothing
 * malformed leaves.
 *
 * On a 3.1.1 link the block is empty. A zeroed porch_mqtt_properties is the empty block. */
#ifndef PORCH_WIRE_MQTT_PROPERTY_H
#define PORCH_WIRE_MQTT_PROPERTY_H

#include "wire/mqtt_frame.h"

/* BOOL: a byte 0 or 1. BYTE, U16, U32: numbers. VARINT: variable byte integer. STRING: UTF-8. BINARY:
 * bytes. PAIR: two UTF-8 strings. */
typedef enum {
    PORCH_MQTT_KIND_NONE,
    PORCH_MQTT_KIND_BOOL,
    PORCH_MQTT_KIND_BYTE,
    PORCH_MQTT_KIND_U16,
    PORCH_MQTT_KIND_U32,
    PORCH_MQTT_KIND_VARINT,
    PORCH_MQTT_KIND_STRING,
    PORCH_MQTT_KIND_BINARY,
    PORCH_MQTT_KIND_PAIR
} porch_mqtt_kind;

#define PORCH_MQTT_IN_ACKS                                                                      \
    (PORCH_MQTT_IN_PUBRX | PORCH_MQTT_IN_RELCOMP | PORCH_MQTT_IN_SUBS | PORCH_MQTT_IN_CONNACK | \
     PORCH_MQTT_IN_DISCON | PORCH_MQTT_IN_AUTH)
#define PORCH_MQTT_IN_MESSAGE (PORCH_MQTT_IN_PUBLISH | PORCH_MQTT_IN_WILL)
#define PORCH_MQTT_IN_HELLO   (PORCH_MQTT_IN_CONNECT | PORCH_MQTT_IN_CONNACK)
#define PORCH_MQTT_IN_ALL                                                                     \
    (PORCH_MQTT_IN_ACKS | PORCH_MQTT_IN_MESSAGE | PORCH_MQTT_IN_CONNECT | PORCH_MQTT_IN_SUB | \
     PORCH_MQTT_IN_UNSUB)

/* MQTT 5.0, table 2-4: X(NAME, id, KIND, packets that may hold it, packets where it may stand more than
 * once) */
#define PORCH_MQTT_PROPERTY_LIST(X)                                                                    \
    X(PAYLOAD_FORMAT, 0x01, BOOL, PORCH_MQTT_IN_MESSAGE, 0)                                            \
    X(MESSAGE_EXPIRY, 0x02, U32, PORCH_MQTT_IN_MESSAGE, 0)                                             \
    X(CONTENT_TYPE, 0x03, STRING, PORCH_MQTT_IN_MESSAGE, 0)                                            \
    X(RESPONSE_TOPIC, 0x08, STRING, PORCH_MQTT_IN_MESSAGE, 0)                                          \
    X(CORRELATION_DATA, 0x09, BINARY, PORCH_MQTT_IN_MESSAGE, 0)                                        \
    X(SUBSCRIPTION_ID, 0x0b, VARINT, PORCH_MQTT_IN_PUBLISH | PORCH_MQTT_IN_SUB, PORCH_MQTT_IN_PUBLISH) \
    X(SESSION_EXPIRY, 0x11, U32, PORCH_MQTT_IN_HELLO | PORCH_MQTT_IN_DISCON, 0)                        \
    X(ASSIGNED_CLIENT_ID, 0x12, STRING, PORCH_MQTT_IN_CONNACK, 0)                                      \
    X(SERVER_KEEP_ALIVE, 0x13, U16, PORCH_MQTT_IN_CONNACK, 0)                                          \
    X(AUTH_METHOD, 0x15, STRING, PORCH_MQTT_IN_HELLO | PORCH_MQTT_IN_AUTH, 0)                          \
    X(AUTH_DATA, 0x16, BINARY, PORCH_MQTT_IN_HELLO | PORCH_MQTT_IN_AUTH, 0)                            \
    X(REQUEST_PROBLEM_INFO, 0x17, BOOL, PORCH_MQTT_IN_CONNECT, 0)                                      \
    X(WILL_DELAY, 0x18, U32, PORCH_MQTT_IN_WILL, 0)                                                    \
    X(REQUEST_RESPONSE_INFO, 0x19, BOOL, PORCH_MQTT_IN_CONNECT, 0)                                     \
    X(RESPONSE_INFO, 0x1a, STRING, PORCH_MQTT_IN_CONNACK, 0)                                           \
    X(SERVER_REFERENCE, 0x1c, STRING, PORCH_MQTT_IN_CONNACK | PORCH_MQTT_IN_DISCON, 0)                 \
    X(REASON_STRING, 0x1f, STRING, PORCH_MQTT_IN_ACKS, 0)                                              \
    X(RECEIVE_MAXIMUM, 0x21, U16, PORCH_MQTT_IN_HELLO, 0)                                              \
    X(TOPIC_ALIAS_MAXIMUM, 0x22, U16, PORCH_MQTT_IN_HELLO, 0)                                          \
    X(TOPIC_ALIAS, 0x23, U16, PORCH_MQTT_IN_PUBLISH, 0)                                                \
    X(MAXIMUM_QOS, 0x24, BOOL, PORCH_MQTT_IN_CONNACK, 0)                                               \
    X(RETAIN_AVAILABLE, 0x25, BOOL, PORCH_MQTT_IN_CONNACK, 0)                                          \
    X(USER_PROPERTY, 0x26, PAIR, PORCH_MQTT_IN_ALL, PORCH_MQTT_IN_ALL)                                 \
    X(MAXIMUM_PACKET_SIZE, 0x27, U32, PORCH_MQTT_IN_HELLO, 0)                                          \
    X(WILDCARD_AVAILABLE, 0x28, BOOL, PORCH_MQTT_IN_CONNACK, 0)                                        \
    X(SUBSCRIPTION_ID_AVAILABLE, 0x29, BOOL, PORCH_MQTT_IN_CONNACK, 0)                                 \
    X(SHARED_AVAILABLE, 0x2a, BOOL, PORCH_MQTT_IN_CONNACK, 0)

#define PORCH_MQTT_PROPERTY_ENUM(name, id, kind, packets, repeats) PORCH_MQTT_PROP_##name = (id),
typedef enum {
    PORCH_MQTT_PROPERTY_LIST(PORCH_MQTT_PROPERTY_ENUM) PORCH_MQTT_PROP_END = 0x2b
} porch_mqtt_property_id;
#undef PORCH_MQTT_PROPERTY_ENUM

/* A judged block. `raw` is the block without its length; `present` has bit (1 << id) set for each id in it.
 */
typedef struct {
    porch_bytes raw;
    uint64_t present;
} porch_mqtt_properties;

typedef struct {
    porch_mqtt_property_id id;
    porch_mqtt_kind kind;
    uint32_t number;   /* BOOL, BYTE, U16, U32, VARINT */
    porch_bytes text;  /* STRING, BINARY; the name of a PAIR */
    porch_bytes value; /* the value of a PAIR */
} porch_mqtt_property;

/* Reads length and block. `packet` is the porch_mqtt_type, or PORCH_MQTT_WILL. PORCH_ERR_MALFORMED with
 * fault MALFORMED_PACKET (unknown id, not allowed here, cut short, bad UTF-8, wildcard in a response topic)
 * or PROTOCOL_ERROR (twice, value out of range, authentication data without method) or TOPIC_ALIAS_INVALID
 * (0). */
porch_err porch_mqtt_properties_read(porch_reader *r, unsigned packet, porch_mqtt_fault *fault,
                                     porch_mqtt_properties *ret);
/* Judges an encoded block (without length) that the caller put together. */
porch_err porch_mqtt_properties_of(porch_bytes raw, unsigned packet, porch_mqtt_fault *fault,
                                   porch_mqtt_properties *ret);
/* Appends length and block after judging it for `packet`. */
porch_err porch_mqtt_properties_write(porch_buf *b, unsigned packet, const porch_mqtt_properties *p);
/* Bytes that length and block take. */
size_t porch_mqtt_properties_bytes(const porch_mqtt_properties *p);

static inline bool porch_mqtt_property_has(const porch_mqtt_properties *p, porch_mqtt_property_id id) {
    return ((p->present >> id) & 1) != 0;
}
/* The first property with this id; false when there is none. */
bool porch_mqtt_property_find(const porch_mqtt_properties *p, porch_mqtt_property_id id,
                              porch_mqtt_property *ret);
/* Number of this id, or `absent`. */
uint32_t porch_mqtt_property_number(const porch_mqtt_properties *p, porch_mqtt_property_id id,
                                    uint32_t absent);
/* Text or bytes of this id, or the empty view. */
porch_bytes porch_mqtt_property_text(const porch_mqtt_properties *p, porch_mqtt_property_id id);

/* Walks all properties in their order: porch_bytes rest = p->raw; while (porch_mqtt_property_next(&rest,
 * &one)) ... */
bool porch_mqtt_property_next(porch_bytes *rest, porch_mqtt_property *ret);

/* Append one property in its encoding. PORCH_ERR_MALFORMED when the id is of another kind, the text is not
 * UTF-8 or too long, or the number does not fit; PORCH_ERR_NO_SPACE. */
porch_err porch_mqtt_property_put_number(porch_buf *b, porch_mqtt_property_id id, uint32_t number);
porch_err porch_mqtt_property_put_text(porch_buf *b, porch_mqtt_property_id id, porch_bytes text);
porch_err porch_mqtt_property_put_pair(porch_buf *b, porch_mqtt_property_id id, porch_bytes name,
                                       porch_bytes value);
/* Appends any property as it came from porch_mqtt_property_next: the way to forward a block without some
 * ids. */
porch_err porch_mqtt_property_put(porch_buf *b, const porch_mqtt_property *one);

/* "MESSAGE_EXPIRY"; "?" for an unknown id. Static memory. */
const char *porch_mqtt_property_name(porch_mqtt_property_id id);

#endif
