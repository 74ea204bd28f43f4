/* The store: one writer thread, one fsync a batch, tickets that turn durable.
 *
 *   shard ─append─► lane ─┐                              ┌─► lane results ─poll─► shard acknowledges
 *   shard ─append─► lane ─┼─► writer: begin, jobs, rows, commit+fsync ─┼─► porch_store_write returns
 *   thread ─write(fn)─────┘   (all that waits is one batch)            └─► on_commit observers
 *
 *   thread ─read(fn)──────► a pooled connection with its own snapshot
 *
 * What is reported durable has been committed with synchronous=FULL. When the disk is full or refuses,
 * everything in that batch is answered PORCH_ERR_FULL or PORCH_ERR_IO, nothing of it is kept, and the
 * writer tries again with the next batch: it needs no hand when space returns. */
#ifndef PORCH_CLOUD_STORE_H
#define PORCH_CLOUD_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/settings/settings.h"
#include "cloud/store/db.h"

typedef struct porch_store porch_store;
typedef struct porch_store_lane porch_store_lane;

/* Opens DIR/hub.db (made when missing, mode 0600), brings it to this program's version and starts the
 * writer. PORCH_ERR_UNSUPPORTED: the database is from a newer program. The settings are copied. */
porch_err porch_store_open(const char *dir, const porch_settings *settings, porch_store **ret,
                           porch_why *why);
/* Writes what waits, stops the writer, closes. Lanes are freed with it. No other call may be under way. */
void porch_store_close(porch_store *s);

/* ---- statements of any room --------------------------------------------------------------------- */

typedef porch_err (*porch_store_fn)(porch_db *db, void *ctx, porch_why *why);

/* Runs fn on the writer thread inside the batch's transaction; its own savepoint is rolled back when it
 * returns an error. Returns when the batch is durable: fn's error, or PORCH_ERR_FULL / _IO / _DATABASE when
 * the batch was lost as a whole. Blocks; any thread but a shard and but the writer itself (that one gets
 * PORCH_ERR_INTERNAL). fn runs at most once. */
porch_err porch_store_write(porch_store *s, porch_store_fn fn, void *ctx, porch_why *why);
/* Runs fn on the caller's thread with a read-only snapshot. Waits while all readers are taken. Any thread
 * but a shard. */
porch_err porch_store_read(porch_store *s, porch_store_fn fn, void *ctx, porch_why *why);

/* Folds the write-ahead log into the database and cuts it to nothing, so that bytes that were deleted are
 * in neither: the database overwrites what it frees, the log would keep the old pages. Waits at most
 * `wait_ms` for readers that still use the log (a backup, say); PORCH_ERR_BUSY when they took longer: it is
 * done as soon as they are through. Blocks; not on the writer. */
porch_err porch_store_scrub(porch_store *s, uint32_t wait_ms, porch_why *why);

/* ---- messages ----------------------------------------------------------------------------------- */

/* Bits of porch_store_message.flags; none: a rule stores it, it stays as long as the settings keep
 * messages. */
#define PORCH_STORE_QUEUED 1u /* sessions wait for it: stays until porch_store_hold has passed it */
#define PORCH_STORE_UNRULED \
    2u                        /* no rule stores it: observers are not told, and it goes when nobody waits */
#define PORCH_STORE_NOTE   4u /* no message at all, only its note */
#define PORCH_STORE_RETAIN 8u /* was published with the retain flag */

typedef struct porch_store_message {
    uint64_t at_ms; /* when the hub took it */
    porch_bytes device, topic, payload;
    uint8_t qos;
    uint8_t flags;
    uint64_t origin;        /* number of the publisher's lasting session, 0: none */
    porch_bytes properties; /* MQTT 5.0's, encoded; may be empty */
    porch_bytes note;       /* what a room wants written together with it; may be empty */
} porch_store_message;

/* One lane for each shard: one thread appends and polls. wake(ctx) is called on the writer thread when
 * results wait; it must not block. NULL when there is no memory. */
porch_store_lane *porch_store_lane_open(porch_store *s, void (*wake)(void *ctx), void *wake_ctx);
/* Copies the message into the lane and gives its ticket: 1, 2, 3, ... PORCH_ERR_BUSY while the lane is
 * full (come back after a poll has freed something), PORCH_ERR_LIMIT for a message that never fits.
 * No lock, no heap. */
porch_err porch_store_lane_append(porch_store_lane *lane, const porch_store_message *m, uint64_t *ticket);
/* Would the lane take so many messages now, with so many bytes in all (topics, properties, notes,
 * payloads)? PORCH_OK holds until the next append; PORCH_ERR_BUSY: not now; PORCH_ERR_LIMIT: never. */
porch_err porch_store_lane_takes(const porch_store_lane *lane, uint32_t records, size_t bytes);
typedef struct {
    uint64_t upto;    /* every ticket up to this one, above the last such answer */
    uint64_t seq;     /* number of that ticket's message; the ticket before has seq - 1, and so on */
    porch_err result; /* PORCH_OK: durable; anything else: none of them was kept */
} porch_store_answer;
/* False: nothing new. Answers come in ticket order. */
bool porch_store_lane_poll(porch_store_lane *lane, porch_store_answer *ret);
/* The ticket given last; 0 before the first. The appending thread only. */
uint64_t porch_store_lane_last(const porch_store_lane *lane);
/* The greatest message number that is durable. Any thread. */
uint64_t porch_store_durable_seq(const porch_store *s);

/* ---- observers: register all before the first message and write; they run on the writer thread ---- */

/* Called for each message in the transaction that stores it, so what it writes is there exactly when the
 * message is. An error of class PEER drops what it wrote, is logged, and the message stays; any other
 * refuses the message. May be called again for the same message when a batch is repeated. */
typedef porch_err (*porch_store_message_fn)(porch_db *db, const porch_store_message *m, uint64_t seq,
                                            void *ctx, porch_why *why);
void porch_store_on_message(porch_store *s, porch_store_message_fn fn, void *ctx);
/* Called for each message or bare note whose note is not empty, in the transaction that stores it. Any
 * error refuses the message. One reader of notes a store; may be called again when a batch is repeated. */
void porch_store_on_note(porch_store *s, porch_store_message_fn fn, void *ctx);
/* Sessions have had every queued message up to this number; what only they waited for may go. Until the
 * first call all of them stay. Any thread. */
void porch_store_hold(porch_store *s, uint64_t seq);
/* After each durable batch, before anybody is woken. Must be short; may not call porch_store_write. */
void porch_store_on_commit(porch_store *s, void (*fn)(void *ctx), void *ctx);
/* About every store.tick_ms, in a transaction. */
typedef porch_err (*porch_store_tick_fn)(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why);
void porch_store_on_tick(porch_store *s, porch_store_tick_fn fn, void *ctx);
/* Ends every registration with this ctx; when it returns none of them runs or will run. Blocks; any thread
 * but the writer. For a room that closes before its store. */
void porch_store_forget(porch_store *s, void *ctx);

/* ---- news: words of one kind that a room tells when what they tell of is durable ---- */

typedef struct porch_store_news porch_store_news;
/* Called for each word on the writer thread, in the order of porch_store_news_add, after the commit and
 * before its observers. Must be short; may neither add nor call porch_store_write. */
typedef void (*porch_store_news_fn)(const void *word, void *ctx);
/* Words of `word_bytes` each, at most `most` of them a batch (0: one for each message of the greatest
 * batch). The store owns and frees the list; porch_store_forget ends it too. Open it before the observers
 * and ticks that add to it. PORCH_ERR_NO_SPACE, PORCH_ERR_LIMIT: too many lists. */
porch_err porch_store_news_open(porch_store *s, size_t word_bytes, size_t most, porch_store_news_fn tell,
                                void *ctx, porch_store_news **ret, porch_why *why);
/* Copies the word. In a job, a tick or an observer of messages only: a word goes when the database undoes
 * what they wrote, alone or with its whole batch. False: the list is full, or no memory; nothing is told.
 */
bool porch_store_news_add(porch_store_news *n, const void *word);
/* How many more words the list takes now. */
size_t porch_store_news_room(const porch_store_news *n);

/* ---- the rest ----------------------------------------------------------------------------------- */

typedef struct {
    uint64_t messages;     /* stored since start */
    uint64_t batches;      /* transactions committed since start */
    uint64_t lost_batches; /* transactions that the disk refused */
    uint64_t durable_seq;
    porch_err state; /* PORCH_OK, or what the last batch was refused with */
} porch_store_counts;
void porch_store_count(const porch_store *s, porch_store_counts *ret);

/* Wakes the writer and tells how many rounds it has ended since start: a count that stands still is a
 * writer that hangs (a disk that refuses is a round that ended). Does not block; any thread. */
uint64_t porch_store_pulse(porch_store *s);

/* A whole, consistent copy of the database as of now, written to a new file (mode 0600). Blocks; the hub
 * goes on meanwhile. progress may be NULL; it gets 0..1. */
porch_err porch_store_copy(porch_store *s, const char *path, void (*progress)(double done, void *ctx),
                           void *ctx, porch_why *why);
/* The schema number that this program writes, and the one of a file (no store open there). */
int porch_store_schema(void);

#endif
