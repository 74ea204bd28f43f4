#include "ota/client/delta_syntax.h"

#include <string.h>

/* What a context is about comes first: no two of them share slots but by accident. */
static uint32_t mix(uint32_t about, uint32_t a, uint32_t b) {
    uint32_t h = about * 0x85ebca6bu ^ a * 0xc2b2ae35u ^ b * 0x27d4eb2fu;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    return h ^ h >> 13;
}

enum {
    ABOUT_BITS = 1,
    ABOUT_TOP,
    ABOUT_LOW,
    ABOUT_REPEATS,
    ABOUT_FLAG = 16,
    ABOUT_VALUE = 32,
    ABOUT_LITERAL = 48
};
enum { SETS_FLAG = 0, SETS_VALUE = 8, SETS_LITERAL = 16, WIDTH_BITS = 6, TOP_BITS = 3 };

static unsigned plain(porch_delta_coder *c, uint32_t context, unsigned bit) {
    return porch_delta_bit(c, &context, 1, 0, bit);
}

/* How many bits value + 1 has, then these bits: the first ones by what came before them. */
uint32_t porch_delta_number(porch_delta_coder *c, porch_delta_kind kind, uint32_t value) {
    uint64_t v = (uint64_t)value + 1;
    uint32_t width = 0, node = 1;
    while (v >> (width + 1) != 0)
        width++;
    for (unsigned i = WIDTH_BITS; i-- > 0;)
        node = node << 1 | plain(c, mix(ABOUT_BITS, kind, node), width >> i & 1);
    width = node - (1u << WIDTH_BITS);
    if (width > 32) width = 32; /* no maker's */
    uint64_t got = 1;
    for (unsigned i = width; i-- > 0;) {
        unsigned bit = (unsigned)(v >> i & 1);
        bool top = width - i <= TOP_BITS;
        uint32_t context =
            top ? mix(ABOUT_TOP, (uint32_t)kind << 8 | width, (uint32_t)got) : mix(ABOUT_LOW, kind, i);
        got = got << 1 | plain(c, context, bit);
    }
    return (uint32_t)(got - 1);
}

static uint32_t bucket(uint32_t v) {
    return v < 4 ? v : v < 16 ? 4 + v / 4 : v < 64 ? 8 : v < 512 ? 9 : 10;
}

static uint8_t value_bits(porch_delta_coder *c, const uint32_t base[PORCH_DELTA_INPUTS], unsigned set,
                          uint8_t value) {
    uint32_t node = 1;
    for (unsigned i = 8; i-- > 0;) {
        uint32_t context[PORCH_DELTA_INPUTS];
        for (unsigned k = 0; k < PORCH_DELTA_INPUTS; k++)
            context[k] = base[k] + node * 0x9e3779b9u;
        node = node << 1 | porch_delta_bit(c, context, PORCH_DELTA_INPUTS, set + (7 - i), value >> i & 1);
    }
    return (uint8_t)node;
}

uint8_t porch_delta_changed(porch_delta_coder *c, porch_delta_history *h, uint8_t old, uint8_t fresh) {
    const uint32_t past = h->changed;
    const uint32_t flag[PORCH_DELTA_INPUTS] = {
        mix(ABOUT_FLAG, past & 0xfff, 0),
        mix(ABOUT_FLAG + 1, (uint32_t)old << 8 | h->old[0], past & 7),
        mix(ABOUT_FLAG + 2, (uint32_t)h->old[0] << 16 | (uint32_t)h->old[1] << 8 | h->old[2], past & 15),
        mix(ABOUT_FLAG + 3, bucket(h->quiet) << 8 | h->change[0], bucket(h->loud)),
        mix(ABOUT_FLAG + 4, h->quiet < 255 ? h->quiet : 255, h->difference[0]),
    };
    uint8_t difference = (uint8_t)(fresh - old);
    unsigned changed =
        porch_delta_bit(c, flag, PORCH_DELTA_INPUTS, SETS_FLAG + (past & 7), difference != 0);
    if (changed) {
        const uint32_t value[PORCH_DELTA_INPUTS] = {
            mix(ABOUT_VALUE, h->difference[0], past & 3),
            mix(ABOUT_VALUE + 1, h->change[0], bucket(h->quiet)),
            mix(ABOUT_VALUE + 2, (uint32_t)old << 8 | h->change[0], h->difference[0]),
            mix(ABOUT_VALUE + 3, (uint32_t)h->change[1] << 8 | h->change[0], past & 1),
            mix(ABOUT_VALUE + 4, (uint32_t)h->old[0] << 8 | old, 0),
        };
        difference = value_bits(c, value, SETS_VALUE, difference);
    } else {
        difference = 0;
    }
    memmove(h->difference + 1, h->difference, sizeof h->difference - 1);
    h->difference[0] = difference;
    h->changed = past << 1 | changed;
    if (changed) {
        h->change[1] = h->change[0];
        h->change[0] = difference;
        h->loud = h->quiet;
        h->quiet = 0;
    } else if (h->quiet < UINT32_MAX) {
        h->quiet++;
    }
    memmove(h->old + 1, h->old, sizeof h->old - 1);
    h->old[0] = old;
    porch_delta_past(h, (uint8_t)(old + difference));
    return (uint8_t)(old + difference);
}

bool porch_delta_repeats(porch_delta_coder *c, porch_delta_history *h, bool repeats) {
    repeats = plain(c, mix(ABOUT_REPEATS, h->repeated, h->past[0]), repeats) != 0;
    h->repeated = (uint8_t)(h->repeated << 1 | repeats) & 7;
    return repeats;
}

uint8_t porch_delta_literal(porch_delta_coder *c, porch_delta_history *h, uint8_t fresh) {
    const uint32_t one = h->past[0], two = one << 8 | h->past[1], three = two << 8 | h->past[2];
    const uint32_t context[PORCH_DELTA_INPUTS] = {
        mix(ABOUT_LITERAL, 0, 0),
        mix(ABOUT_LITERAL + 1, one, 0),
        mix(ABOUT_LITERAL + 2, two, 0),
        mix(ABOUT_LITERAL + 3, three, 0),
        mix(ABOUT_LITERAL + 4, (uint32_t)h->past[1] << 8 | h->past[3], 0),
    };
    fresh = value_bits(c, context, SETS_LITERAL, fresh);
    porch_delta_past(h, fresh);
    return fresh;
}

void porch_delta_past(porch_delta_history *h, uint8_t fresh) {
    memmove(h->past + 1, h->past, sizeof h->past - 1);
    h->past[0] = fresh;
}
