/* Any MQTT packet: one reader, one writer, one table. For tools, tests, simulators and the fuzz target; a
 * server or client that dispatches by type calls the readers of the families itself. */
#ifndef PORCH_WIRE_MQTT_PACKET_H
#define PORCH_WIRE_MQTT_PACKET_H

#include "wire/mqtt_connect.h"
#include "wire/mqtt_control.h"
#include "wire/mqtt_publish.h"
#include "wire/mqtt_subscribe.h"

typedef struct {
    porch_mqtt_type type;
    union {
        porch_mqtt_connect connect;
        porch_mqtt_connack connack;
        porch_mqtt_publish publish;
        porch_mqtt_ack ack;
        porch_mqtt_subscribe subscribe;
        porch_mqtt_suback suback; /* SUBACK and UNSUBACK */
        porch_mqtt_unsubscribe unsubscribe;
        porch_mqtt_disconnect disconnect;
        porch_mqtt_auth auth;
    };
} porch_mqtt_packet;

/* Errors as porch_mqtt_frame_judge and the family's reader. `version` does not matter for CONNECT. */
porch_err porch_mqtt_packet_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                 porch_mqtt_sender sender, porch_mqtt_fault *fault, porch_mqtt_packet *ret);
porch_err porch_mqtt_packet_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_packet *in);

#endif
