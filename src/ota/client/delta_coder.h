/* The entropy coder of deltas: one binary decision at a time, its probability mixed from what was seen in
 * several contexts.
 *
 *   contexts ─► slots (adaptive probabilities) ─► mixer (weights that learn) ─► probability ─► range coder
 * ◄─► bytes
 *
 * Encoder and decoder are the same code, so that a stream's syntax (delta_syntax.c) is written once. No
 * heap; whole numbers alone, so that every machine computes the same. Everything that a decision depends on
 * lies in porch_delta_coder_state and the slots: copied to a journal and back, the coder goes on where it
 * was.
 *
 * The design follows what the literature calls context mixing (M. Mahoney, Adaptive Weighing of Context
 * Models for Lossless Data Compression, 2005). */
#ifndef PORCH_OTA_CLIENT_DELTA_CODER_H
#define PORCH_OTA_CLIENT_DELTA_CODER_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    PORCH_DELTA_INPUTS = 5, /* contexts of a decision, at most */
    PORCH_DELTA_SETS = 24,  /* sets of weights */
    PORCH_DELTA_SLOT_BITS_LEAST = 8,
    PORCH_DELTA_SLOT_BITS_MOST = 18
};

typedef struct {
    uint32_t low, high, code;
    int32_t weight[PORCH_DELTA_SETS][PORCH_DELTA_INPUTS];
} porch_delta_coder_state;

typedef struct {
    porch_delta_coder_state *state;
    uint32_t *slots; /* 1 << slot_bits of them */
    unsigned slot_bits;
    bool encodes;
    /* The stream's next byte: given (encoder) or asked for (decoder). */
    porch_err (*byte)(void *self, uint8_t *b);
    void *self;
    porch_err error; /* the first one of `byte`; decisions after it mean nothing */
} porch_delta_coder;

/* State and slots of a new stream; a decoder then takes the stream's first bytes. */
void porch_delta_coder_begin(porch_delta_coder *c);
/* The decoder's first bytes, or the encoder's last. */
void porch_delta_coder_load(porch_delta_coder *c);
void porch_delta_coder_end(porch_delta_coder *c);

/* One decision: an encoder is given the bit, a decoder returns it. `context` are `count` hashes; with one
 * of them no mixer is asked. `set` < PORCH_DELTA_SETS. */
unsigned porch_delta_bit(porch_delta_coder *c, const uint32_t *context, unsigned count, unsigned set,
                         unsigned bit);

#endif
