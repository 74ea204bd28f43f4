#include "cloud/broker/window.h"

#include <string.h>

uint32_t porch_window_slots(uint16_t most) {
    uint32_t slots = 2;
    while (slots < 2u * most)
        slots *= 2;
    return slots;
}

porch_window porch_window_of(uint16_t *slots, uint16_t most) {
    uint32_t count = porch_window_slots(most);
    memset(slots, 0, count * sizeof *slots);
    return (porch_window){slots, count - 1, most, 0, 0};
}

bool porch_window_full(const porch_window *w) {
    return w->used >= w->most;
}

uint16_t porch_window_take(porch_window *w) {
    do {
        w->last++;
    } while (w->last == 0 || w->slots[w->last & w->mask] != 0);
    w->slots[w->last & w->mask] = w->last;
    w->used++;
    return w->last;
}

bool porch_window_give(porch_window *w, uint16_t packet_id) {
    if (packet_id == 0 || w->slots[packet_id & w->mask] != packet_id) return false;
    w->slots[packet_id & w->mask] = 0;
    w->used--;
    return true;
}
