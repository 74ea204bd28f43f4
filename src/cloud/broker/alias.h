/* Topic aliases (MQTT 5.0, section 3.3.2.3.4): numbers in place of topics, for one connection and one
 * direction.
 *
 *   from the client   alias ─► topic, as the client set it
 *   to the client     topic ─► the one alias that its hash leads to; a new topic takes it over
 */
#ifndef PORCH_CLOUD_BROKER_ALIAS_H
#define PORCH_CLOUD_BROKER_ALIAS_H

#include "base/bytes.h"
#include "cloud/listener/pool.h"

typedef struct porch_alias_topic porch_alias_topic;

typedef struct {
    porch_alias_topic **topics; /* a pool block of `most`; NULL until first used */
    uint16_t most;              /* aliases 1 to most; 0: none */
} porch_alias;

/* Remembers a copy of the topic. False without memory; the alias is within 1..most. */
bool porch_alias_set(porch_alias *a, porch_pool *pool, uint16_t alias, porch_bytes topic);
/* The topic of an alias; empty when it has none or is out of range. */
porch_bytes porch_alias_topic_of(const porch_alias *a, uint16_t alias);
/* The alias that stands for this topic, 1..most (0 with most 0). *known: the other side knows already;
 * otherwise the topic must travel with it, and porch_alias_set is called once it does. */
uint16_t porch_alias_for(const porch_alias *a, porch_bytes topic, bool *known);
void porch_alias_free(porch_alias *a, porch_pool *pool);

#endif
