/* One message on its way: serialised once, shared by all who get it.
 *
 *   [ header | topic | properties (5.0) | payload ]     one pool block, a count of references
 *
 * Each delivery writes its own few bytes of fixed header and packet identifier around them. Immutable after
 * porch_message_new; the last release gives the block back to the pool it came from, from any shard. */
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
    uint64_t taken_ms;  /* monotonic */
    uint64_t publisher; /* hash of its session's key; 0: the hub itself */
    uint8_t qos;
    uint8_t data[]; /* topic, properties, payload */
} porch_message;

/* Copies; one reference. NULL when the pool is spent. */
porch_message *porch_message_new(porch_pool *pool, porch_bytes topic,
                                 const porch_mqtt_properties *properties, porch_bytes payload, uint8_t qos,
                                 uint64_t now_ms);
void porch_message_retain(porch_message *m);
/* `mine` is the caller's own pool. */
void porch_message_release(porch_pool *mine, porch_message *m);

static inline porch_bytes porch_message_topic(const porch_message *m) {
    return (porch_bytes){m->data, m->topic_len};
}
static inline porch_bytes porch_message_payload(const porch_message *m) {
    return (porch_bytes){m->data + m->topic_len + m->properties_len, m->payload_len};
}
/* Bytes of the whole PUBLISH. */
size_t porch_message_bytes(const porch_message *m, porch_mqtt_version version, uint8_t qos);
/* True when its expiry has passed. */
bool porch_message_expired(const porch_message *m, uint64_t now_ms);
/* Writes the whole PUBLISH; `at` has porch_message_bytes. */
void porch_message_write(const porch_message *m, porch_mqtt_version version, uint8_t qos,
                         uint16_t packet_id, uint64_t now_ms, uint8_t *at);

#endif
