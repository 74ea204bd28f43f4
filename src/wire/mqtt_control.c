#include "wire/mqtt_control.h"

#include "wire/mqtt_field.h"

porch_err porch_mqtt_ping_read(const porch_mqtt_frame *frame, porch_mqtt_fault *fault) {
    porch_reader r = porch_reader_of(frame->body);
    return porch_mqtt_take_end(&r, fault);
}

porch_err porch_mqtt_pingreq_write(porch_buf *b) {
    return porch_mqtt_frame_write_header(b, PORCH_MQTT_PINGREQ, 0, 0);
}

porch_err porch_mqtt_pingresp_write(porch_buf *b) {
    return porch_mqtt_frame_write_header(b, PORCH_MQTT_PINGRESP, 0, 0);
}

/* Properties that only one side sends (section 3.14.2.2). */
static porch_err judge_sender(const porch_mqtt_disconnect *d, porch_mqtt_sender sender,
                              porch_mqtt_fault *fault) {
    porch_mqtt_property_id foreign = sender == PORCH_MQTT_FROM_CLIENT ? PORCH_MQTT_PROP_SERVER_REFERENCE
                                                                      : PORCH_MQTT_PROP_SESSION_EXPIRY;
    if (porch_mqtt_property_has(&d->properties, foreign))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "this side does not send such a property");
    return PORCH_OK;
}

porch_err porch_mqtt_disconnect_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                     porch_mqtt_sender sender, porch_mqtt_fault *fault,
                                     porch_mqtt_disconnect *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_disconnect d = {0};
    if (version == PORCH_MQTT_V5) {
        PORCH_TRY(porch_mqtt_take_tail(&r, PORCH_MQTT_DISCONNECT, fault, &d.reason, &d.properties));
        PORCH_TRY(judge_sender(&d, sender, fault));
    } else {
        PORCH_TRY(porch_mqtt_take_end(&r, fault));
    }
    *ret = d;
    return PORCH_OK;
}

static porch_err write_tailed(porch_buf *b, porch_mqtt_type type, uint8_t reason,
                              const porch_mqtt_properties *properties) {
    PORCH_TRY(porch_mqtt_frame_write_header(b, type, 0, porch_mqtt_tail_bytes(reason, properties)));
    return porch_mqtt_write_tail(b, type, reason, properties);
}

porch_err porch_mqtt_disconnect_write(porch_buf *b, porch_mqtt_version version,
                                      const porch_mqtt_disconnect *in) {
    if (version != PORCH_MQTT_V5) return porch_mqtt_frame_write_header(b, PORCH_MQTT_DISCONNECT, 0, 0);
    size_t start = b->len;
    return porch_mqtt_undo(b, start, write_tailed(b, PORCH_MQTT_DISCONNECT, in->reason, &in->properties));
}

/* A bare AUTH means success; every other step names its method (section 3.15.2.2.2). */
static porch_err judge_auth(const porch_mqtt_auth *a, porch_mqtt_fault *fault) {
    bool bare = a->reason == PORCH_MQTT_RC_SUCCESS && a->properties.raw.len == 0;
    if (!bare && !porch_mqtt_property_has(&a->properties, PORCH_MQTT_PROP_AUTH_METHOD))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "AUTH without an authentication method");
    return PORCH_OK;
}

porch_err porch_mqtt_auth_read(const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                               porch_mqtt_auth *ret) {
    porch_reader r = porch_reader_of(frame->body);
    porch_mqtt_auth a = {0};
    PORCH_TRY(porch_mqtt_take_tail(&r, PORCH_MQTT_AUTH, fault, &a.reason, &a.properties));
    PORCH_TRY(judge_auth(&a, fault));
    *ret = a;
    return PORCH_OK;
}

porch_err porch_mqtt_auth_write(porch_buf *b, const porch_mqtt_auth *in) {
    PORCH_TRY(judge_auth(in, NULL));
    size_t start = b->len;
    return porch_mqtt_undo(b, start, write_tailed(b, PORCH_MQTT_AUTH, in->reason, &in->properties));
}
