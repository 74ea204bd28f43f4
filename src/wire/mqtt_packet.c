#include "wire/mqtt_packet.h"

porch_err porch_mqtt_packet_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                 porch_mqtt_sender sender, porch_mqtt_fault *fault,
                                 porch_mqtt_packet *ret) {
    PORCH_TRY(porch_mqtt_frame_judge(frame, version, sender, fault));
    porch_mqtt_packet p = {.type = frame->type};
    porch_err e = PORCH_ERR_MALFORMED;
    switch (frame->type) {
    case PORCH_MQTT_CONNECT:
        e = porch_mqtt_connect_read(frame, fault, &p.connect);
        break;
    case PORCH_MQTT_CONNACK:
        e = porch_mqtt_connack_read(frame, version, fault, &p.connack);
        break;
    case PORCH_MQTT_PUBLISH:
        e = porch_mqtt_publish_read(frame, version, sender, fault, &p.publish);
        break;
    case PORCH_MQTT_PUBACK:
    case PORCH_MQTT_PUBREC:
    case PORCH_MQTT_PUBREL:
    case PORCH_MQTT_PUBCOMP:
        e = porch_mqtt_ack_read(frame, version, fault, &p.ack);
        break;
    case PORCH_MQTT_SUBSCRIBE:
        e = porch_mqtt_subscribe_read(frame, version, fault, &p.subscribe);
        break;
    case PORCH_MQTT_UNSUBSCRIBE:
        e = porch_mqtt_unsubscribe_read(frame, version, fault, &p.unsubscribe);
        break;
    case PORCH_MQTT_SUBACK:
    case PORCH_MQTT_UNSUBACK:
        e = porch_mqtt_suback_read(frame, version, fault, &p.suback);
        break;
    case PORCH_MQTT_PINGREQ:
    case PORCH_MQTT_PINGRESP:
        e = porch_mqtt_ping_read(frame, fault);
        break;
    case PORCH_MQTT_DISCONNECT:
        e = porch_mqtt_disconnect_read(frame, version, sender, fault, &p.disconnect);
        break;
    case PORCH_MQTT_AUTH:
        e = porch_mqtt_auth_read(frame, fault, &p.auth);
        break;
    case PORCH_MQTT_TYPE_COUNT:
        break;
    }
    if (e == PORCH_OK) *ret = p;
    return e;
}

porch_err porch_mqtt_packet_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_packet *in) {
    switch (in->type) {
    case PORCH_MQTT_CONNECT:
        return porch_mqtt_connect_write(b, &in->connect);
    case PORCH_MQTT_CONNACK:
        return porch_mqtt_connack_write(b, version, &in->connack);
    case PORCH_MQTT_PUBLISH:
        return porch_mqtt_publish_write(b, version, &in->publish);
    case PORCH_MQTT_PUBACK:
    case PORCH_MQTT_PUBREC:
    case PORCH_MQTT_PUBREL:
    case PORCH_MQTT_PUBCOMP:
        return porch_mqtt_ack_write(b, version, &in->ack);
    case PORCH_MQTT_SUBSCRIBE:
        return porch_mqtt_subscribe_write(b, version, &in->subscribe);
    case PORCH_MQTT_UNSUBSCRIBE:
        return porch_mqtt_unsubscribe_write(b, version, &in->unsubscribe);
    case PORCH_MQTT_SUBACK:
    case PORCH_MQTT_UNSUBACK:
        return porch_mqtt_suback_write(b, version, &in->suback);
    case PORCH_MQTT_PINGREQ:
        return porch_mqtt_pingreq_write(b);
    case PORCH_MQTT_PINGRESP:
        return porch_mqtt_pingresp_write(b);
    case PORCH_MQTT_DISCONNECT:
        return porch_mqtt_disconnect_write(b, version, &in->disconnect);
    case PORCH_MQTT_AUTH:
        return porch_mqtt_auth_write(b, &in->auth);
    case PORCH_MQTT_TYPE_COUNT:
        break;
    }
    return PORCH_ERR_MALFORMED;
}
