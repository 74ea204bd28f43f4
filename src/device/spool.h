/* The spool: messages wait here, through power cuts, until the hub has acknowledged them.
 *
 *   append ─► [ segment 7 ][ segment 8 ][ segment 9 ...► ]        numbered segments that only grow
 *                 ▲ oldest             ▲ next to send
 *             vanishes whole when all of it is acknowledged, or when room is needed (oldest first out)
 *
 * A record is a 20-byte header (mark, kind, body length, sequence number, CRC-32C over all of it) and a
 * body that the spool does not look into. A record that was being written when the power went fails its
 * check and ends its segment; what follows goes into a new one. So does one that cannot be read, but its
 * segment stays for the next start until messages behind it are acknowledged. An acknowledgement is a
 * record too, not synced: losing it only means that a message is sent twice, which "at least once" allows.
 *
 * No heap, no OS: storage is a table of functions, the caller owns the porch_spool. One thread at a time.
 */
#ifndef PORCH_DEVICE_SPOOL_H
#define PORCH_DEVICE_SPOOL_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_SPOOL_SEGMENTS_MOST 64
#define PORCH_SPOOL_HEADER_BYTES  20

/* What the spool asks of a disk or flash. All but `read` may leave part of their work behind when the
 * power goes; `append` may leave any prefix. */
typedef struct {
    /* Writes up to `cap` segment numbers in any order; *count is how many there are. */
    porch_err (*list)(void *ctx, uint32_t *numbers, size_t cap, size_t *count);
    porch_err (*size)(void *ctx, uint32_t segment, uint64_t *ret);
    /* Exactly `len` bytes, or an error. IO: this stretch cannot be read; BUSY: that is not its fault. */
    porch_err (*read)(void *ctx, uint32_t segment, uint64_t offset, uint8_t *at, size_t len);
    /* Adds the parts, in order, at the segment's end; makes the segment when there is none. */
    porch_err (*append)(void *ctx, uint32_t segment, const porch_bytes *parts, size_t count);
    /* After it the segment and all that was appended survive a power cut. */
    porch_err (*sync)(void *ctx, uint32_t segment);
    /* One that is not there counts as removed: making it may have failed. */
    porch_err (*remove)(void *ctx, uint32_t segment);
    void *ctx;
} porch_spool_storage;

typedef struct {
    uint64_t limit_bytes;   /* all segments together; at least twice segment_bytes */
    uint32_t segment_bytes; /* longest segment, and so the longest record */
} porch_spool_config;

typedef struct {
    uint32_t number;
    bool sealed;    /* ends in a torn record: nothing is appended any more */
    bool unread;    /* sealed, and what follows could not be read */
    uint64_t bytes; /* as stored, torn tail included */
    uint64_t good;  /* up to the end of the last whole record */
    uint64_t first; /* sequence numbers of its messages; 0 when it has none */
    uint64_t last;
} porch_spool_segment;

typedef struct {
    porch_spool_storage storage;
    porch_spool_config config;
    porch_spool_segment segments[PORCH_SPOOL_SEGMENTS_MOST]; /* oldest first */
    size_t count;
    uint32_t next_segment;
    uint64_t total_bytes;
    uint64_t next;         /* sequence number of the next message */
    uint64_t acknowledged; /* every message up to here is done with */
    uint64_t unreadable;   /* how often a segment was cut short because it could not be read */
} porch_spool;

/* Where a reader stands. */
typedef struct {
    uint32_t segment;
    uint64_t offset;
} porch_spool_cursor;

typedef struct {
    uint64_t sequence;
    porch_bytes body; /* in the caller's block */
} porch_spool_record;

/* What went out to make room. */
typedef struct {
    uint64_t messages; /* how many that were not acknowledged */
    uint64_t upto;     /* highest sequence number among them; 0 when none */
} porch_spool_loss;

/* Reads what is stored. A torn tail is passed over, and what cannot be read (`unreadable` counts it); a
 * segment that holds no whole record is removed. PORCH_ERR_USAGE for a configuration that cannot work;
 * other storage errors as they come. */
porch_err porch_spool_open(porch_spool *s, const porch_spool_storage *storage,
                           const porch_spool_config *config, porch_why *why);

/* Stores a message, synced when this returns OK. Removes the oldest segments when there is no room, told in
 * *loss. PORCH_ERR_LIMIT when the record is longer than a segment. After a storage error the message may or
 * may not be sent after a restart. */
porch_err porch_spool_append(porch_spool *s, const porch_bytes *parts, size_t count, uint64_t *ret_sequence,
                             porch_spool_loss *loss);

/* Everything up to `sequence` is done with; lower or equal numbers again are ignored. */
void porch_spool_acknowledge(porch_spool *s, uint64_t sequence);

/* A reader at the oldest message that is not acknowledged. */
porch_spool_cursor porch_spool_start(const porch_spool *s);
/* Reads the next message into `block` and advances; PORCH_ERR_NOT_FOUND when there is none yet (the cursor
 * then stands where the next one will be). A damaged stretch is passed over, and one that cannot be read.
 * Not advanced: PORCH_ERR_NO_SPACE when the block is too small (segment_bytes always suffices); IO, BUSY
 * when the message could not be read this time. */
porch_err porch_spool_next(porch_spool *s, porch_spool_cursor *cursor, porch_buf block,
                           porch_spool_record *ret);

/* Messages that are not acknowledged. */
uint64_t porch_spool_pending(const porch_spool *s);

#endif
