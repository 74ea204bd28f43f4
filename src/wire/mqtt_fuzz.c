/* Any packet, either version, either sender: the first byte chooses, the rest is a stream. What is read
 * must be written; what was written must be read back to the same bytes; lists and properties must walk to
 * their ends. */
#include "wire/mqtt_packet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 4096

static void must(bool holds) {
    if (!holds) abort();
}

static void properties_walk_to_their_end(const porch_mqtt_properties *p) {
    porch_bytes rest = p->raw;
    porch_mqtt_property one, found;
    uint8_t copy[MOST];
    porch_buf b = PORCH_BUF_OF(copy);
    while (porch_mqtt_property_next(&rest, &one)) {
        must(porch_mqtt_property_find(p, one.id, &found) && found.kind == one.kind);
        must(porch_mqtt_property_put(&b, &one) == PORCH_OK);
    }
    must(rest.len == 0 && b.len == p->raw.len && (b.len == 0 || memcmp(copy, p->raw.at, b.len) == 0));
}

static void lists_walk_to_their_end(const porch_mqtt_packet *p, porch_mqtt_version version) {
    size_t count = 0;
    porch_bytes text;
    porch_mqtt_subscription one;
    if (p->type == PORCH_MQTT_SUBSCRIBE) {
        for (porch_bytes rest = p->subscribe.filters; porch_mqtt_subscription_next(&rest, version, &one);)
            count++;
        must(count == p->subscribe.count);
    } else if (p->type == PORCH_MQTT_UNSUBSCRIBE) {
        for (porch_bytes rest = p->unsubscribe.filters; porch_mqtt_unsubscription_next(&rest, &text);)
            count++;
        must(count == p->unsubscribe.count);
    }
}

static const porch_mqtt_properties *properties_of(const porch_mqtt_packet *p) {
    static const porch_mqtt_properties none;
    switch (p->type) {
    case PORCH_MQTT_CONNECT:
        return &p->connect.properties;
    case PORCH_MQTT_CONNACK:
        return &p->connack.properties;
    case PORCH_MQTT_PUBLISH:
        return &p->publish.properties;
    case PORCH_MQTT_PUBACK:
    case PORCH_MQTT_PUBREC:
    case PORCH_MQTT_PUBREL:
    case PORCH_MQTT_PUBCOMP:
        return &p->ack.properties;
    case PORCH_MQTT_SUBSCRIBE:
        return &p->subscribe.properties;
    case PORCH_MQTT_UNSUBSCRIBE:
        return &p->unsubscribe.properties;
    case PORCH_MQTT_SUBACK:
    case PORCH_MQTT_UNSUBACK:
        return &p->suback.properties;
    case PORCH_MQTT_DISCONNECT:
        return &p->disconnect.properties;
    case PORCH_MQTT_AUTH:
        return &p->auth.properties;
    default:
        return &none;
    }
}

static void read_and_write(const porch_mqtt_frame *frame, porch_mqtt_version version,
                           porch_mqtt_sender sender) {
    porch_mqtt_packet p, q;
    porch_mqtt_fault fault = {0, NULL};
    if (porch_mqtt_packet_read(frame, version, sender, &fault, &p) != PORCH_OK) {
        must(fault.what != NULL && fault.reason >= 0x80);
        return;
    }
    properties_walk_to_their_end(properties_of(&p));
    lists_walk_to_their_end(&p, version);
    uint8_t first[MOST], second[MOST];
    porch_buf a = PORCH_BUF_OF(first), b = PORCH_BUF_OF(second);
    must(porch_mqtt_packet_write(&a, version, &p) == PORCH_OK && a.len <= frame->bytes);
    porch_mqtt_frame again;
    must(porch_mqtt_frame_read(porch_buf_bytes(&a), MOST, NULL, &again) == PORCH_OK &&
         again.bytes == a.len);
    must(porch_mqtt_packet_read(&again, version, sender, NULL, &q) == PORCH_OK && q.type == p.type);
    must(porch_mqtt_packet_write(&b, version, &q) == PORCH_OK);
    must(a.len == b.len && memcmp(first, second, a.len) == 0);
    if (p.type == PORCH_MQTT_PUBLISH) must(porch_mqtt_publish_bytes(version, &p.publish) == a.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    porch_mqtt_version version = (data[0] & 1) != 0 ? PORCH_MQTT_V5 : PORCH_MQTT_V311;
    porch_mqtt_sender sender = (data[0] & 2) != 0 ? PORCH_MQTT_FROM_SERVER : PORCH_MQTT_FROM_CLIENT;
    porch_bytes in = {data + 1, size - 1};
    porch_mqtt_frame frame;
    while (porch_mqtt_frame_read(in, MOST, NULL, &frame) == PORCH_OK) {
        read_and_write(&frame, version, sender);
        in = (porch_bytes){in.at + frame.bytes, in.len - frame.bytes};
    }
    return 0;
}
