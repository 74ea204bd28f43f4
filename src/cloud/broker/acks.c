#include "cloud/broker/acks.h"

porch_acks porch_acks_of(porch_ack *slots, uint32_t count) {
    return (porch_acks){slots, count - 1, 0, 0};
}

uint32_t porch_acks_waiting(const porch_acks *a) {
    return a->end - a->first;
}

bool porch_acks_add(porch_acks *a, uint8_t type, uint16_t packet_id, uint32_t *place) {
    if (porch_acks_waiting(a) > a->mask) return false;
    *place = a->end++;
    a->slots[*place & a->mask] = (porch_ack){packet_id, type, 0, false};
    return true;
}

void porch_acks_take_back(porch_acks *a) {
    a->end--;
}

void porch_acks_ready(porch_acks *a, uint32_t place, uint8_t reason) {
    porch_ack *ack = &a->slots[place & a->mask];
    ack->reason = reason;
    ack->ready = true;
}

bool porch_acks_take(porch_acks *a, porch_ack *ret) {
    if (a->first == a->end || !a->slots[a->first & a->mask].ready) return false;
    *ret = a->slots[a->first++ & a->mask];
    return true;
}
