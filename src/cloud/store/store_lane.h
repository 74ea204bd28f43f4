/* A lane: the bounded way from one shard to the writer, and its answers back.
 *
 *   append ─► [ record | record | skip | ... ] bytes, one producer, one consumer ─► writer
 *   poll   ◄─ [ upto+result | upto+result | ... ] ◄─────────────────────────────────┘
 *
 * Records lie whole in the block, so that the writer binds payloads where they are. The writer frees them
 * only after their batch was answered. Lane and writer tell each other by sequentially consistent stores:
 * one of 'the record is there' and 'the writer sleeps' is always seen by the other side. */
#ifndef PORCH_CLOUD_STORE_LANE_H
#define PORCH_CLOUD_STORE_LANE_H

#include <stdatomic.h>

#include "base/ring.h"
#include "cloud/store/store.h"

enum { PORCH_LANE_RESULTS = 256, PORCH_LANE_RUNS = 32 };

typedef porch_store_answer porch_lane_result;

struct porch_store_lane {
    uint8_t *block;
    size_t cap; /* a power of two */
    void (*wake)(void *ctx);
    void *wake_ctx;
    void (*wake_writer)(porch_store *s);
    porch_store *store;
    uint64_t given; /* tickets given: producer only */
    /* Offsets grow for ever; modulo cap they are places in the block. */
    _Alignas(64) atomic_size_t tail; /* producer writes */
    _Alignas(64) atomic_size_t head; /* consumer writes */
    size_t reading;                  /* consumer: the next record to look at, head <= reading <= tail */
    uint64_t read_ticket;            /* consumer: ticket of the record last read */
    porch_lane_result runs[PORCH_LANE_RUNS]; /* consumer: this batch's answers, not yet sent */
    size_t run_count;
    porch_lane_result slots[PORCH_LANE_RESULTS];
    porch_ring results;
};

porch_store_lane *porch_lane_new(size_t bytes, porch_store *s, void (*wake_writer)(porch_store *));
void porch_lane_free(porch_store_lane *l);

/* ---- the writer's side -------------------------------------------------------------------------- */

/* Something to read, and room for a batch's answers? */
bool porch_lane_ready(porch_store_lane *l);
/* The next record; views into the block, valid until porch_lane_release. False when there is none. */
bool porch_lane_read(porch_store_lane *l, porch_store_message *ret, uint64_t *ticket);
/* A place to come back to. */
typedef struct {
    size_t reading;
    uint64_t read_ticket;
} porch_lane_mark;
porch_lane_mark porch_lane_mark_now(const porch_store_lane *l);
void porch_lane_back_to(porch_store_lane *l, porch_lane_mark mark);
/* Room for one more answer in this batch? Ask before reading. */
bool porch_lane_may_answer(const porch_store_lane *l);
/* This batch's answer to all tickets up to this one (above the last answered), whose number is `seq`. */
void porch_lane_answer(porch_store_lane *l, uint64_t upto, uint64_t seq, porch_err result);
/* Forgets this batch's answers, to answer anew. */
void porch_lane_unanswer(porch_store_lane *l);
/* The batch is over. PORCH_OK sends the answers given; anything else is the answer to every record read.
 * Frees the records and wakes the shard. */
void porch_lane_release(porch_store_lane *l, porch_err batch);

#endif
