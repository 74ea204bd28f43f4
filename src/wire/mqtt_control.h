/* PINGREQ, PINGRESP, DISCONNECT, AUTH (MQTT 3.1.1 and 5.0, sections 3.12 to 3.15). */
#ifndef PORCH_WIRE_MQTT_CONTROL_H
#define PORCH_WIRE_MQTT_CONTROL_H

#include "wire/mqtt_property.h"

/* Either PING: nothing but the fixed header. */
porch_err porch_mqtt_ping_read(const porch_mqtt_frame *frame, porch_mqtt_fault *fault);
porch_err porch_mqtt_pingreq_write(porch_buf *b);
porch_err porch_mqtt_pingresp_write(porch_buf *b);

typedef struct {
    uint8_t reason; /* 3.1.1: always NORMAL_DISCONNECTION */
    porch_mqtt_properties properties;
} porch_mqtt_disconnect;

/* `sender` decides about session expiry (client only) and server reference (server only). On 3.1.1 only a
 * client sends DISCONNECT and it is empty. */
porch_err porch_mqtt_disconnect_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                     porch_mqtt_sender sender, porch_mqtt_fault *fault,
                                     porch_mqtt_disconnect *ret);
porch_err porch_mqtt_disconnect_write(porch_buf *b, porch_mqtt_version version,
                                      const porch_mqtt_disconnect *in);

typedef struct {
    uint8_t reason; /* SUCCESS, CONTINUE_AUTHENTICATION, REAUTHENTICATE */
    porch_mqtt_properties properties;
} porch_mqtt_auth;

/* 5.0 only; anything but a bare success needs the authentication method. */
porch_err porch_mqtt_auth_read(const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                               porch_mqtt_auth *ret);
porch_err porch_mqtt_auth_write(porch_buf *b, const porch_mqtt_auth *in);

#endif
