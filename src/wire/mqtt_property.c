/* The table of properties at work. A block is walked once to judge it; afterwards the walk cannot fail,
 * since only judged blocks reach the questions. */
#include "wire/mqtt_property.h"

#include <string.h>

#include "wire/mqtt_field.h"

static const struct {
    const char *name;
    porch_mqtt_kind kind;
    unsigned packets; /* where it may stand */
    unsigned repeats; /* where it may stand more than once */
} table[PORCH_MQTT_PROP_END] = {
#define ROW(name, id, kind, packets, repeats) [id] = {#name, PORCH_MQTT_KIND_##kind, (packets), (repeats)},
    PORCH_MQTT_PROPERTY_LIST(ROW)
#undef ROW
};

static bool known(uint32_t id) {
    return id < PORCH_MQTT_PROP_END && table[id].kind != PORCH_MQTT_KIND_NONE;
}

static porch_err take_number(porch_reader *r, porch_mqtt_kind kind, uint32_t *ret) {
    uint8_t byte;
    uint16_t word;
    switch (kind) {
    case PORCH_MQTT_KIND_BOOL:
    case PORCH_MQTT_KIND_BYTE:
        PORCH_TRY(porch_read_u8(r, &byte));
        *ret = byte;
        return PORCH_OK;
    case PORCH_MQTT_KIND_U16:
        PORCH_TRY(porch_read_u16(r, &word));
        *ret = word;
        return PORCH_OK;
    case PORCH_MQTT_KIND_U32:
        return porch_read_u32(r, ret);
    default:
        return porch_mqtt_varint_read(r, ret);
    }
}

static bool is_number(porch_mqtt_kind kind) {
    return kind >= PORCH_MQTT_KIND_BOOL && kind <= PORCH_MQTT_KIND_VARINT;
}

/* Takes one property apart by the table; judges nothing but its shape. */
static porch_err take_one(porch_reader *r, porch_mqtt_property *ret) {
    uint32_t id;
    PORCH_TRY(porch_mqtt_varint_read(r, &id));
    if (!known(id)) return PORCH_ERR_MALFORMED;
    porch_mqtt_property one = {.id = (porch_mqtt_property_id)id, .kind = table[id].kind};
    if (is_number(one.kind)) {
        PORCH_TRY(take_number(r, one.kind, &one.number));
    } else {
        PORCH_TRY(porch_read_block16(r, &one.text));
        if (one.kind == PORCH_MQTT_KIND_PAIR) PORCH_TRY(porch_read_block16(r, &one.value));
    }
    *ret = one;
    return PORCH_OK;
}

/* A response topic is a topic name: it is what the receiver will publish to. */
static bool holds_wildcard(porch_bytes text) {
    return text.len > 0 &&
           (memchr(text.at, '+', text.len) != NULL || memchr(text.at, '#', text.len) != NULL);
}

static porch_err judge_texts(const porch_mqtt_property *one, porch_mqtt_fault *fault) {
    bool strings = one->kind == PORCH_MQTT_KIND_STRING || one->kind == PORCH_MQTT_KIND_PAIR;
    if (strings && (!porch_mqtt_is_string(one->text) || !porch_mqtt_is_string(one->value)))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, "a property's text is not UTF-8");
    if (one->id == PORCH_MQTT_PROP_RESPONSE_TOPIC && (one->text.len == 0 || holds_wildcard(one->text)))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "the response topic is no topic name");
    return PORCH_OK;
}

static porch_err judge_number(const porch_mqtt_property *one, porch_mqtt_fault *fault) {
    switch (one->id) {
    case PORCH_MQTT_PROP_TOPIC_ALIAS:
        if (one->number == 0)
            return porch_mqtt_refuse(fault, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID, "the topic alias is 0");
        return PORCH_OK;
    case PORCH_MQTT_PROP_RECEIVE_MAXIMUM:
    case PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE:
    case PORCH_MQTT_PROP_SUBSCRIPTION_ID:
        if (one->number == 0)
            return porch_mqtt_refuse(
                fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                "receive maximum, maximum packet size and subscription identifier are never 0");
        return PORCH_OK;
    default:
        if (one->kind == PORCH_MQTT_KIND_BOOL && one->number > 1)
            return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                     "a property that is 0 or 1 is neither");
        return PORCH_OK;
    }
}

static porch_err judge_one(const porch_mqtt_property *one, unsigned packet, uint64_t present,
                           porch_mqtt_fault *fault) {
    if ((table[one->id].packets & PORCH_MQTT_BIT(packet)) == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET,
                                 "a property stands where it does not belong");
    if (((present >> one->id) & 1) != 0 && (table[one->id].repeats & PORCH_MQTT_BIT(packet)) == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "a property stands twice");
    return is_number(one->kind) ? judge_number(one, fault) : judge_texts(one, fault);
}

#define BIT_OF(id) ((uint64_t)1 << (id))

porch_err porch_mqtt_properties_of(porch_bytes raw, unsigned packet, porch_mqtt_fault *fault,
                                   porch_mqtt_properties *ret) {
    porch_reader r = porch_reader_of(raw);
    uint64_t present = 0;
    while (!porch_reader_done(&r)) {
        porch_mqtt_property one;
        if (take_one(&r, &one) != PORCH_OK)
            return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET,
                                     "a property is unknown or cut short");
        PORCH_TRY(judge_one(&one, packet, present, fault));
        present |= BIT_OF(one.id);
    }
    uint64_t auth = BIT_OF(PORCH_MQTT_PROP_AUTH_METHOD) | BIT_OF(PORCH_MQTT_PROP_AUTH_DATA);
    if ((present & auth) == BIT_OF(PORCH_MQTT_PROP_AUTH_DATA))
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "authentication data without a method");
    *ret = (porch_mqtt_properties){raw, present};
    return PORCH_OK;
}

porch_err porch_mqtt_properties_read(porch_reader *r, unsigned packet, porch_mqtt_fault *fault,
                                     porch_mqtt_properties *ret) {
    uint32_t length;
    porch_bytes raw;
    porch_reader ahead = *r;
    if (!porch_reader_done(r) && *r->rest.at == 0) { /* none, as most often */
        (void)porch_read_bytes(r, 1, &raw);
        *ret = (porch_mqtt_properties){{r->rest.at, 0}, 0};
        return PORCH_OK;
    }
    if (porch_mqtt_varint_read(&ahead, &length) != PORCH_OK ||
        porch_read_bytes(&ahead, length, &raw) != PORCH_OK)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_MALFORMED_PACKET, "the properties are cut short");
    PORCH_TRY(porch_mqtt_properties_of(raw, packet, fault, ret));
    *r = ahead;
    return PORCH_OK;
}

porch_err porch_mqtt_properties_write(porch_buf *b, unsigned packet, const porch_mqtt_properties *p) {
    porch_mqtt_properties judged;
    PORCH_TRY(porch_mqtt_properties_of(p->raw, packet, NULL, &judged));
    if (p->raw.len > PORCH_MQTT_VARINT_MOST) return PORCH_ERR_LIMIT;
    if (b->cap - b->len < porch_mqtt_properties_bytes(p)) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(porch_mqtt_varint_write(b, (uint32_t)p->raw.len));
    return porch_write_bytes(b, p->raw);
}

size_t porch_mqtt_properties_bytes(const porch_mqtt_properties *p) {
    return p->raw.len +
           (p->raw.len > PORCH_MQTT_VARINT_MOST ? 4 : porch_mqtt_varint_bytes((uint32_t)p->raw.len));
}

bool porch_mqtt_property_next(porch_bytes *rest, porch_mqtt_property *ret) {
    porch_reader r = porch_reader_of(*rest);
    if (porch_reader_done(&r) || take_one(&r, ret) != PORCH_OK) return false;
    *rest = r.rest;
    return true;
}

bool porch_mqtt_property_find(const porch_mqtt_properties *p, porch_mqtt_property_id id,
                              porch_mqtt_property *ret) {
    if (!porch_mqtt_property_has(p, id)) return false;
    porch_bytes rest = p->raw;
    porch_mqtt_property one;
    while (porch_mqtt_property_next(&rest, &one)) {
        if (one.id != id) continue;
        *ret = one;
        return true;
    }
    return false;
}

uint32_t porch_mqtt_property_number(const porch_mqtt_properties *p, porch_mqtt_property_id id,
                                    uint32_t absent) {
    porch_mqtt_property one;
    return porch_mqtt_property_find(p, id, &one) ? one.number : absent;
}

porch_bytes porch_mqtt_property_text(const porch_mqtt_properties *p, porch_mqtt_property_id id) {
    porch_mqtt_property one;
    return porch_mqtt_property_find(p, id, &one) ? one.text : (porch_bytes){NULL, 0};
}

static porch_err put_number(porch_buf *b, porch_mqtt_kind kind, uint32_t number) {
    switch (kind) {
    case PORCH_MQTT_KIND_BOOL:
    case PORCH_MQTT_KIND_BYTE:
        return number > UINT8_MAX ? PORCH_ERR_MALFORMED : porch_write_u8(b, (uint8_t)number);
    case PORCH_MQTT_KIND_U16:
        return number > UINT16_MAX ? PORCH_ERR_MALFORMED : porch_write_u16(b, (uint16_t)number);
    case PORCH_MQTT_KIND_U32:
        return porch_write_u32(b, number);
    default:
        return number > PORCH_MQTT_VARINT_MOST ? PORCH_ERR_MALFORMED : porch_mqtt_varint_write(b, number);
    }
}

porch_err porch_mqtt_property_put(porch_buf *b, const porch_mqtt_property *one) {
    if (!known(one->id)) return PORCH_ERR_MALFORMED;
    porch_mqtt_kind kind = table[one->id].kind;
    bool pair = kind == PORCH_MQTT_KIND_PAIR;
    porch_mqtt_property judged = {one->id, kind, one->number, one->text,
                                  pair ? one->value : (porch_bytes){NULL, 0}};
    if (one->text.len > UINT16_MAX || judged.value.len > UINT16_MAX) return PORCH_ERR_MALFORMED;
    PORCH_TRY(is_number(kind) ? judge_number(&judged, NULL) : judge_texts(&judged, NULL));
    size_t start = b->len;
    porch_err e = porch_write_u8(b, (uint8_t)one->id);
    if (e == PORCH_OK)
        e = is_number(kind) ? put_number(b, kind, one->number) : porch_write_block16(b, one->text);
    if (e == PORCH_OK && pair) e = porch_write_block16(b, one->value);
    return porch_mqtt_undo(b, start, e);
}

porch_err porch_mqtt_property_put_number(porch_buf *b, porch_mqtt_property_id id, uint32_t number) {
    if (!known(id) || !is_number(table[id].kind)) return PORCH_ERR_MALFORMED;
    return porch_mqtt_property_put(b, &(porch_mqtt_property){.id = id, .number = number});
}

porch_err porch_mqtt_property_put_text(porch_buf *b, porch_mqtt_property_id id, porch_bytes text) {
    if (!known(id) || is_number(table[id].kind) || table[id].kind == PORCH_MQTT_KIND_PAIR)
        return PORCH_ERR_MALFORMED;
    return porch_mqtt_property_put(b, &(porch_mqtt_property){.id = id, .text = text});
}

porch_err porch_mqtt_property_put_pair(porch_buf *b, porch_mqtt_property_id id, porch_bytes name,
                                       porch_bytes value) {
    if (!known(id) || table[id].kind != PORCH_MQTT_KIND_PAIR) return PORCH_ERR_MALFORMED;
    return porch_mqtt_property_put(b, &(porch_mqtt_property){.id = id, .text = name, .value = value});
}

const char *porch_mqtt_property_name(porch_mqtt_property_id id) {
    return known(id) ? table[id].name : "?";
}
