/* SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (MQTT 3.1.1 and 5.0, sections 3.8 to 3.11).
 *
 * The list of filters inside a packet stays encoded: reading judges it whole, then it is walked. For
 * writing, append filters to a porch_buf with the _put functions and give its bytes to the packet. */
#ifndef PORCH_WIRE_MQTT_SUBSCRIBE_H
#define PORCH_WIRE_MQTT_SUBSCRIBE_H

#include "wire/mqtt_property.h"
#include "wire/topic.h"

/* One filter of a SUBSCRIBE. "$share/GROUP/FILTER" is taken apart on 5.0 links and 3.1.1 links alike. */
typedef struct {
    porch_bytes text;          /* the filter as it was sent */
    porch_topic_filter filter; /* without "$share/GROUP/" */
    porch_bytes share_group;   /* empty when not shared */
    uint8_t qos;               /* highest that the subscriber wants: 0, 1, 2 */
    bool no_local;             /* 5.0 */
    bool retain_as_published;  /* 5.0 */
    uint8_t retain_handling;   /* 5.0: 0 send retained, 1 only when the subscription is new, 2 never */
} porch_mqtt_subscription;

typedef struct {
    uint16_t packet_id; /* not 0 */
    uint16_t count;     /* filters, at least 1 */
    porch_bytes filters;
    porch_mqtt_properties properties;
} porch_mqtt_subscribe;

/* Takes "$share/GROUP/FILTER" apart; any other filter has an empty group. PORCH_ERR_MALFORMED for a broken
 * filter, an empty group, one with a wildcard, or a missing filter; PORCH_ERR_LIMIT as
 * porch_topic_filter_parse. */
porch_err porch_mqtt_share_parse(porch_bytes text, const porch_topic_limits *limits, porch_bytes *group,
                                 porch_topic_filter *filter);

/* Faults: MALFORMED_PACKET; PROTOCOL_ERROR (no filter at all, no-local on a shared subscription, packet
 * identifier 0); TOPIC_FILTER_INVALID (misplaced wildcard, broken $share). */
porch_err porch_mqtt_subscribe_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                    porch_mqtt_fault *fault, porch_mqtt_subscribe *ret);
/* Walks a judged list: porch_bytes rest = s.filters; while (porch_mqtt_subscription_next(&rest, version,
 * &one)) ... */
bool porch_mqtt_subscription_next(porch_bytes *rest, porch_mqtt_version version,
                                  porch_mqtt_subscription *ret);
/* Appends one filter (`text` and the options are used). */
porch_err porch_mqtt_subscription_put(porch_buf *b, porch_mqtt_version version,
                                      const porch_mqtt_subscription *one);
porch_err porch_mqtt_subscribe_write(porch_buf *b, porch_mqtt_version version,
                                     const porch_mqtt_subscribe *in);

typedef struct {
    uint16_t packet_id;
    uint16_t count;
    porch_bytes filters;
    porch_mqtt_properties properties;
} porch_mqtt_unsubscribe;

porch_err porch_mqtt_unsubscribe_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                      porch_mqtt_fault *fault, porch_mqtt_unsubscribe *ret);
/* Walks a judged list; `ret` is the text as sent, "$share/..." included. */
bool porch_mqtt_unsubscription_next(porch_bytes *rest, porch_bytes *ret);
porch_err porch_mqtt_unsubscription_put(porch_buf *b, porch_bytes text);
porch_err porch_mqtt_unsubscribe_write(porch_buf *b, porch_mqtt_version version,
                                       const porch_mqtt_unsubscribe *in);

/* SUBACK and UNSUBACK. `reasons` has one byte a filter, in the order of the request; on 3.1.1 a SUBACK's
 * are 0, 1, 2 or 0x80 (the writer turns every refusal into 0x80) and an UNSUBACK has none. */
typedef struct {
    porch_mqtt_type type; /* PORCH_MQTT_SUBACK or PORCH_MQTT_UNSUBACK */
    uint16_t packet_id;
    porch_bytes reasons;
    porch_mqtt_properties properties;
} porch_mqtt_suback;

porch_err porch_mqtt_suback_read(const porch_mqtt_frame *frame, porch_mqtt_version version,
                                 porch_mqtt_fault *fault, porch_mqtt_suback *ret);
porch_err porch_mqtt_suback_write(porch_buf *b, porch_mqtt_version version, const porch_mqtt_suback *in);

#endif
