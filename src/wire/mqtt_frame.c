/* Cuts a byte stream into MQTT packets; the header tells the contract. Everything that is legal about a
 * fixed header stands in one table, to be held against tables 2-1 and 2-2 of the standard. */
#include "wire/mqtt_frame.h"

#define FLAGS_ANY 0xff /* PUBLISH: DUP, QoS and RETAIN, judged by mqtt_publish.c */
#define CLIENT    PORCH_MQTT_BIT(PORCH_MQTT_FROM_CLIENT)
#define SERVER    PORCH_MQTT_BIT(PORCH_MQTT_FROM_SERVER)

static const struct {
    const char *name;
    uint8_t flags;
    unsigned senders;
} types[PORCH_MQTT_TYPE_COUNT] = {
    /* clang-format off */
    /*  packet                     name           flags      sent by */
    [PORCH_MQTT_CONNECT]     = {"CONNECT",     0,         CLIENT          },
    [PORCH_MQTT_CONNACK]     = {"CONNACK",     0,         SERVER          },
    [PORCH_MQTT_PUBLISH]     = {"PUBLISH",     FLAGS_ANY, CLIENT | SERVER },
    [PORCH_MQTT_PUBACK]      = {"PUBACK",      0,         CLIENT | SERVER },
    [PORCH_MQTT_PUBREC]      = {"PUBREC",      0,         CLIENT | SERVER },
    [PORCH_MQTT_PUBREL]      = {"PUBREL",      2,         CLIENT | SERVER },
    [PORCH_MQTT_PUBCOMP]     = {"PUBCOMP",     0,         CLIENT | SERVER },
    [PORCH_MQTT_SUBSCRIBE]   = {"SUBSCRIBE",   2,         CLIENT          },
    [PORCH_MQTT_SUBACK]      = {"SUBACK",      0,         SERVER          },
    [PORCH_MQTT_UNSUBSCRIBE] = {"UNSUBSCRIBE", 2,         CLIENT          },
    [PORCH_MQTT_UNSUBACK]    = {"UNSUBACK",    0,         SERVER          },
    [PORCH_MQTT_PINGREQ]     = {"PINGREQ",     0,         CLIENT          },
    [PORCH_MQTT_PINGRESP]    = {"PINGRESP",    0,         SERVER          },
    [PORCH_MQTT_DISCONNECT]  = {"DISCONNECT",  0,         CLIENT | SERVER },
    [PORCH_MQTT_AUTH]        = {"AUTH",        0,         CLIENT | SERVER },
    /* clang-format on */
};

/* The header alone decides as early as it can: a bad first byte is refused before a length has come, a
 * large packet before its body. */
porch_err porch_mqtt_frame_read(porch_bytes in, uint32_t max_packet_bytes, porch_mqtt_fault *fault,
                                porch_mqtt_frame *ret) {
    porch_reader r = porch_reader_of(in);
    uint8_t first;
    PORCH_TRY(porch_read_u8(&r, &first));
    porch_mqtt_type type = (porch_mqtt_type)(first >> 4);
    uint8_t flags = first & 15;
    if (types[type].name == NULL)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, "packet type 0 does not exist");
    if (types[type].flags != FLAGS_ANY && types[type].flags != flags)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET,
                                 "the packet type has other fixed flags");
    uint32_t length;
    porch_err e = porch_mqtt_varint_read(&r, &length);
    if (e == PORCH_ERR_MALFORMED)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET,
                                 "the remaining length is not in its shortest form of at most four bytes");
    PORCH_TRY(e);
    size_t header = in.len - r.rest.len;
    if (header > max_packet_bytes || length > max_packet_bytes - header) {
        porch_mqtt_refuse(fault, PORCH_MQTT_RC_PACKET_TOO_LARGE, "the packet is larger than the maximum");
        return PORCH_ERR_LIMIT;
    }
    porch_bytes body;
    PORCH_TRY(porch_read_bytes(&r, length, &body));
    *ret = (porch_mqtt_frame){type, flags, body, header + length};
    return PORCH_OK;
}

porch_err porch_mqtt_frame_judge(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                 porch_mqtt_sender sender, porch_mqtt_fault *fault) {
    if (frame->type == PORCH_MQTT_AUTH && version != PORCH_MQTT_V5)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, "MQTT 3.1.1 has no AUTH packet");
    unsigned senders = types[frame->type].senders;
    if (frame->type == PORCH_MQTT_DISCONNECT && version != PORCH_MQTT_V5) senders = CLIENT;
    if ((senders & PORCH_MQTT_BIT(sender)) == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "this side does not send such a packet");
    return PORCH_OK;
}

const char *porch_mqtt_type_name(porch_mqtt_type type) {
    return (unsigned)type < PORCH_MQTT_TYPE_COUNT && types[type].name != NULL ? types[type].name : "?";
}

porch_err porch_mqtt_frame_write_header(porch_buf *b, porch_mqtt_type type, uint8_t flags,
                                        size_t body_bytes) {
    if (body_bytes > PORCH_MQTT_VARINT_MOST) return PORCH_ERR_LIMIT;
    if (b->cap - b->len < 1 + porch_mqtt_varint_bytes((uint32_t)body_bytes)) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(porch_write_u8(b, (uint8_t)((unsigned)type << 4 | flags)));
    return porch_mqtt_varint_write(b, (uint32_t)body_bytes);
}

/* Most are below 128. */
porch_err porch_mqtt_varint_read(porch_reader *r, uint32_t *ret) {
    uint32_t value = 0;
    if (r->rest.len > 0 && r->rest.at[0] < 0x80) {
        *ret = *r->rest.at++;
        r->rest.len--;
        return PORCH_OK;
    }
    for (size_t i = 0; i < 4; i++) {
        if (i >= r->rest.len) return PORCH_ERR_TRUNCATED;
        uint8_t c = r->rest.at[i];
        value |= (uint32_t)(c & 0x7f) << (7 * i);
        if ((c & 0x80) != 0) continue;
        if (c == 0 && i > 0) return PORCH_ERR_MALFORMED; /* a shorter form says the same */
        porch_bytes taken;
        PORCH_TRY(porch_read_bytes(r, i + 1, &taken));
        *ret = value;
        return PORCH_OK;
    }
    return PORCH_ERR_MALFORMED;
}

porch_err porch_mqtt_varint_write(porch_buf *b, uint32_t value) {
    if (value > PORCH_MQTT_VARINT_MOST) return PORCH_ERR_LIMIT;
    uint8_t raw[4];
    size_t n = 0;
    do {
        raw[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    return porch_write_bytes(b, (porch_bytes){raw, n});
}
