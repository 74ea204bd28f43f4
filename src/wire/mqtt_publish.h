/* PUBLISH and its acknowledgements PUBACK, PUBREC, PUBREL, PUBCOMP (MQTT 3.1.1 and 5.0, sections 3.3
 * to 3.7).
 *
 *      QoS 1   PUBLISH ─►                  QoS 2   PUBLISH ─►
 *              ◄─ PUBACK                           ◄─ PUBREC
 *                                                  PUBREL ─►
 *                                                  ◄─ PUBCOMP
 *
 * Reading a PUBLISH is the hub's hottest path: nothing is copied, topic, properties and payload are views.
 */
#ifndef PORCH_WIRE_MQTT_PUBLISH_H
#define PORCH_WIRE_MQTT_PUBLISH_H

#include "wire/mqtt_property.h"
#include "wire/topic.h"

typedef struct {
    porch_topic_name topic; /* 5.0: empty when the topic alias property stands for it */
    porch_bytes payload;
    uint16_t packet_id; /* not 0 with QoS 1 and 2; 0 with QoS 0 */
    uint8_t qos;        /* 0, 1, 2 */
    bool dup;
    bool retain;
    porch_mqtt_properties properties;
} porch_mqtt_publish;

/* The frame must be a PUBLISH. `sender` decides whether subscription identifiers may stand in it (a client
 * must not send them). Faults: MALFORMED_PACKET, PROTOCOL_ERROR, TOPIC_NAME_INVALID (wildcard),
 * TOPIC_ALIAS_INVALID (0). */
porch_err porch_mqtt_publish_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                  porch_mqtt_sender sender, porch_mqtt_fault *fault,
                                  porch_mqtt_publish *ret);
porch_err porch_mqtt_publish_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_publish *in);
/* Everything before the payload, with the lengths of the whole: for writers that keep the payload
 * elsewhere. The payload's bytes must follow. */
porch_err porch_mqtt_publish_write_head(porch_buf *b, porch_mqtt_version version,
                                        const porch_mqtt_publish *in);
/* Bytes of the whole packet as it would be written. */
size_t porch_mqtt_publish_bytes(porch_mqtt_version version, const porch_mqtt_publish *in);

typedef struct {
    porch_mqtt_type type; /* PUBACK, PUBREC, PUBREL or PUBCOMP */
    uint16_t packet_id;
    uint8_t reason; /* 3.1.1: always SUCCESS */
    porch_mqtt_properties properties;
} porch_mqtt_ack;

/* The frame must be one of the four; ret->type tells which. */
porch_err porch_mqtt_ack_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                              porch_mqtt_fault *fault, porch_mqtt_ack *ret);
/* The shortest form: no reason when it is SUCCESS without properties, no property length when there are
 * none. On 3.1.1 reason and properties do not travel. */
porch_err porch_mqtt_ack_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_ack *in);

#endif
