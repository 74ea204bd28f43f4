/* CONNECT and CONNACK (MQTT 3.1.1 and 5.0, sections 3.1 and 3.2): the packets that open a session. */
#ifndef PORCH_WIRE_MQTT_CONNECT_H
#define PORCH_WIRE_MQTT_CONNECT_H

#include "wire/mqtt_property.h"
#include "wire/topic.h"

typedef struct {
    porch_topic_name topic;
    porch_bytes payload;
    uint8_t qos;
    bool retain;
    porch_mqtt_properties properties; /* of the will: PORCH_MQTT_WILL */
} porch_mqtt_will;

typedef struct {
    porch_mqtt_version version;
    bool named_31;    /* 3.1.1 under the name and level of 3.1, which is otherwise the same */
    bool clean_start; /* 3.1.1: clean session */
    uint16_t keep_alive_s;
    porch_bytes client_id; /* UTF-8; may be empty */
    bool has_will;
    porch_mqtt_will will; /* meaningful only with has_will */
    bool has_username;
    porch_bytes username;
    bool has_password;
    porch_bytes password;
    porch_mqtt_properties properties;
} porch_mqtt_connect;

/* The version to answer a CONNECT in that could not be read: what its level byte says, PORCH_MQTT_V5 for
 * levels above 5, else PORCH_MQTT_V311. */
porch_mqtt_version porch_mqtt_connect_version(const porch_mqtt_frame *frame);

/* The frame must be a CONNECT. PORCH_ERR_UNSUPPORTED with fault UNSUPPORTED_VERSION when protocol name or
 * level is another one ("MQIsdp" is known, as 3.1.1 by its older name); PORCH_ERR_MALFORMED with the fault
 * to answer. An empty client identifier without clean session (3.1.1) is fault CLIENT_ID_INVALID. */
porch_err porch_mqtt_connect_read(const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                                  porch_mqtt_connect *ret);
/* The version is in->version. */
porch_err porch_mqtt_connect_write(porch_buf *b, const porch_mqtt_connect *in);

typedef struct {
    bool session_present;
    uint8_t reason; /* a 5.0 reason code; on a 3.1.1 link one that has a return code there (0 to 5 on the
                       wire) */
    porch_mqtt_properties properties;
} porch_mqtt_connack;

/* On 3.1.1 return codes and reason codes are translated both ways (mqtt_reason.h); writing one that 3.1.1
 * lacks is PORCH_ERR_UNSUPPORTED: close without CONNACK instead. */
porch_err porch_mqtt_connack_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                  porch_mqtt_fault *fault, porch_mqtt_connack *ret);
porch_err porch_mqtt_connack_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_connack *in);

#endif
