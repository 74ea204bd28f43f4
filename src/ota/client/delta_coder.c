#include "ota/client/delta_coder.h"

#include <string.h>

enum {
    PROBABILITY_BITS = 16,
    LEAST = 4,       /* of 65,536: no decision is ever sure */
    COUNT_BITS = 10, /* a slot: 22 bits of probability, 10 bits of how often it was asked */
    COUNT_MOST = 30, /* ... after which it forgets the oldest */
    LOGIT_MOST = 16 * 256 - 1,
    WEIGHT_ONE = 65536,
    WEIGHT_MOST = 1 << 20,
    RATE = 10,
    SPREAD = 0x9E3779B1 /* 2^32 over the golden ratio */
};

/* 256 * log2(1 + i/32) */
static const uint16_t log2_steps[33] = {0,   11,  22,  33,  44,  54,  63,  73,  82,  92,  100,
                                        109, 118, 126, 134, 142, 150, 157, 165, 172, 179, 186,
                                        193, 200, 207, 213, 220, 226, 232, 238, 244, 250, 256};

/* 65536 / (1 + 2^(-i/4)) */
static const uint16_t squash_steps[65] = {
    32768, 35600, 38390, 41099, 43691, 46138, 48418, 50517, 52429, 54152, 55691, 57055, 58254,
    59303, 60214, 61002, 61681, 62264, 62762, 63188, 63550, 63858, 64119, 64340, 64528, 64686,
    64820, 64933, 65028, 65108, 65176, 65233, 65281, 65321, 65355, 65384, 65408, 65429, 65446,
    65460, 65472, 65482, 65491, 65498, 65504, 65509, 65513, 65517, 65520, 65523, 65525, 65526,
    65528, 65529, 65530, 65531, 65532, 65533, 65533, 65534, 65534, 65534, 65535, 65535, 65535};

/* 256 * log2(v); v is 1 to 65,536. */
static int32_t log2_of(uint32_t v) {
    unsigned top = 31u - (unsigned)__builtin_clz(v);
    uint32_t part = ((v << (16u - top)) & 0xffff); /* what follows the leading one, as 16 bits */
    uint32_t step = part >> 11, rest = part & 0x7ff;
    uint32_t low = log2_steps[step], high = log2_steps[step + 1];
    return (int32_t)(top * 256u + low + (((high - low) * rest) >> 11));
}

static int32_t logit_of(uint32_t p) {
    return log2_of(p) - log2_of(65536u - p);
}

static uint32_t squash(int32_t logit) {
    uint32_t at = (uint32_t)(logit < 0 ? -logit : logit);
    if (at > LOGIT_MOST) at = LOGIT_MOST;
    uint32_t low = squash_steps[at >> 6], high = squash_steps[(at >> 6) + 1];
    uint32_t p = low + (((high - low) * (at & 63)) >> 6);
    if (logit < 0) p = 65536u - p;
    if (p < LEAST) return LEAST;
    return p > 65536u - LEAST ? 65536u - LEAST : p;
}

void porch_delta_coder_begin(porch_delta_coder *c) {
    c->state->low = 0;
    c->state->high = 0xffffffffu;
    c->state->code = 0;
    for (size_t s = 0; s < PORCH_DELTA_SETS; s++)
        for (size_t i = 0; i < PORCH_DELTA_INPUTS; i++)
            c->state->weight[s][i] = WEIGHT_ONE * 2 / 5;
    for (size_t i = 0; i < (size_t)1 << c->slot_bits; i++)
        c->slots[i] = 1u << 31; /* one half, never asked */
}

static void move_byte(porch_delta_coder *c, uint8_t b) {
    porch_err e = c->byte(c->self, &b);
    if (e != PORCH_OK && c->error == PORCH_OK) c->error = e;
    if (!c->encodes) c->state->code = c->state->code << 8 | b;
}

void porch_delta_coder_load(porch_delta_coder *c) {
    for (size_t i = 0; i < 4; i++)
        move_byte(c, 0);
}

void porch_delta_coder_end(porch_delta_coder *c) {
    for (unsigned i = 0; i < 4; i++)
        move_byte(c, (uint8_t)(c->state->low >> (24 - 8 * i)));
}

/* The range is cut where the probability of a 1 says; bytes that both ends share leave. */
static unsigned decide(porch_delta_coder *c, uint32_t p, unsigned bit) {
    porch_delta_coder_state *s = c->state;
    uint32_t range = s->high - s->low;
    uint32_t middle =
        s->low + (range >> PROBABILITY_BITS) * p + (((range & 0xffff) * p) >> PROBABILITY_BITS);
    if (!c->encodes) bit = s->code <= middle;
    if (bit)
        s->high = middle;
    else
        s->low = middle + 1;
    while (((s->low ^ s->high) & 0xff000000u) == 0) {
        uint8_t b = (uint8_t)(s->high >> 24);
        s->low <<= 8;
        s->high = s->high << 8 | 255;
        move_byte(c, b);
    }
    return bit;
}

static void learn(uint32_t *slot, unsigned bit) {
    uint32_t count = *slot & ((1u << COUNT_BITS) - 1), p = *slot >> COUNT_BITS;
    int32_t target = bit ? (1 << 22) - 1 : 0;
    int32_t step = (target - (int32_t)p) * 2 / (int32_t)(2 * count + 3);
    p = (uint32_t)((int32_t)p + step);
    if (count < COUNT_MOST) count++;
    *slot = p << COUNT_BITS | count;
}

static uint32_t clamp(uint32_t p) {
    if (p < LEAST) return LEAST;
    return p > 65536u - LEAST ? 65536u - LEAST : p;
}

unsigned porch_delta_bit(porch_delta_coder *c, const uint32_t *context, unsigned count, unsigned set,
                         unsigned bit) {
    uint32_t *slot[PORCH_DELTA_INPUTS];
    int32_t logit[PORCH_DELTA_INPUTS];
    int64_t sum = 0;
    int32_t *weight = c->state->weight[set];
    for (unsigned i = 0; i < count; i++) {
        slot[i] = c->slots + ((uint32_t)(context[i] * SPREAD) >> (32 - c->slot_bits));
        logit[i] = logit_of(clamp(*slot[i] >> 16));
        sum += (int64_t)weight[i] * logit[i];
    }
    uint32_t p = count == 1 ? clamp(*slot[0] >> 16) : squash((int32_t)(sum / WEIGHT_ONE));
    bit = decide(c, p, bit);
    int32_t wrong = (bit ? 65536 : 0) - (int32_t)p;
    for (unsigned i = 0; i < count; i++) {
        learn(slot[i], bit);
        if (count == 1) continue;
        int64_t w = weight[i] + (((int64_t)logit[i] * wrong * RATE) >> 20);
        weight[i] = (int32_t)(w > WEIGHT_MOST ? WEIGHT_MOST : w < -WEIGHT_MOST ? -WEIGHT_MOST : w);
    }
    return bit;
}
