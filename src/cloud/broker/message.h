/* One message on its way: serialised once, shared by all who get it.
 *
 *   [ header | topic | properties (5.0) | payload ]     one pool block, a count of references
 *
 * Each delivery writes its own few bytes around them: fixed header, packet identifier, subscription
 * identifiers, topic alias. Immutable once it is routed; the last release gives the block back to the pool
 * it came from, from any shard. */
#ifndef PORCH_CLOUD_BROKER_MESSAGE_H
#define PORCH_CLOUD_BROKER_MESSAGE_H

#include <stdatomic.h>

#include "cloud/listener/pool.h"
#include "wire/mqtt_publish.h"

typedef struct {
    _Atomic uint32_t refs;
    uint32_t topic_len;
    uint32_t properties_len;
    uint32_t payload_len;
    uint32_t expiry_at; /* where in the properties the expiry's value stands, when expiry_s is not 0 */
    uint32_t expiry_s;  /* 0: never */
    int64_t taken_ms;   /* monotonic; of a message from before the hub's start maybe below 0 */
    uint64_t publisher; /* hash of its session's key; 0: the hub itself */
    uint64_t seq;       /* its number in the store once that is known, 0: it has none */
    uint8_t qos;
    bool retain;    /* was published so */
    bool queued;    /* the store keeps it until the sessions that it is for have had it */
    uint8_t data[]; /* topic, properties, payload */
} porch_message;

/* Copies; one reference. The publisher's topic alias is left out. NULL when the pool is spent. */
porch_message *porch_message_new(porch_pool *pool, porch_bytes topic,
                                 const porch_mqtt_properties *properties, porch_bytes payload, uint8_t qos,
                                 uint64_t now_ms);
void porch_message_retain(porch_message *m);
/* `mine` is the caller's own pool. */
void porch_message_release(porch_pool *mine, porch_message *m);

static inline porch_bytes porch_message_topic(const porch_message *m) {
    return (porch_bytes){m->data, m->topic_len};
}
static inline porch_bytes porch_message_properties(const porch_message *m) {
    return (porch_bytes){m->data + m->topic_len, m->properties_len};
}
static inline porch_bytes porch_message_payload(const porch_message *m) {
    return (porch_bytes){m->data + m->topic_len + m->properties_len, m->payload_len};
}
/* What it counts in a queue's quota. */
static inline size_t porch_message_weight(const porch_message *m) {
    return 8u + m->topic_len + m->properties_len + m->payload_len;
}
/* True when its expiry has passed. */
bool porch_message_expired(const porch_message *m, uint64_t now_ms);

/* What one delivery adds. Identifiers and alias are for 5.0 only. */
typedef struct {
    uint32_t identifier;         /* one subscription identifier, 0: none */
    const uint32_t *identifiers; /* how many, then they; NULL: at most the one above */
    uint16_t packet_id;
    uint16_t alias; /* 0: none */
    bool leave_topic_out;
    uint8_t qos;
    bool dup, retain;
} porch_message_form;

/* Bytes of the whole PUBLISH. */
size_t porch_message_bytes(const porch_message *m, porch_mqtt_version version,
                           const porch_message_form *form);
/* Writes the whole PUBLISH; `at` has porch_message_bytes. */
void porch_message_write(const porch_message *m, porch_mqtt_version version, const porch_message_form *form,
                         uint64_t now_ms, uint8_t *at);

#endif
