/* A connection as the protocol on top of it sees it, and the shard it lives on.
 *
 *   socket ─► TLS ─► take(bytes) ─► protocol ─► fill(buffer) ─► TLS ─► socket
 *
 * Everything of a connection runs on its shard's thread. Input is pushed: take gets all that has arrived
 * and not been used yet, and says how much of it it used. Output is pulled: the protocol announces that it
 * has something (porch_conn_want_write), and once at the end of the loop's turn fill gathers as much as one
 * TLS record carries, so that many small packets leave as one write.
 *
 * A shard's turn:  ready sockets ─► parcels and notes ─► turn hook ─► output gathered ─► neighbours woken
 */
#ifndef PORCH_CLOUD_LISTENER_CONN_H
#define PORCH_CLOUD_LISTENER_CONN_H

#include "cloud/listener/peer.h"
#include "cloud/listener/pool.h"

typedef struct porch_conn porch_conn;
typedef struct porch_shard porch_shard;

/* From one shard to another, through a bounded ring. The kinds are the protocol's own, above 0. */
typedef struct {
    uint32_t kind;
    uint32_t number;
    union {
        void *at;
        uint64_t word;
    };
} porch_parcel;

/* From any thread to a shard; lives in the sender's memory until run was called. */
typedef struct porch_note {
    struct porch_note *next;
    void (*run)(porch_shard *s, struct porch_note *note);
} porch_note;

/* What a protocol offers. All but shard_* run with a connection of its own; unused ones are NULL. */
typedef struct porch_conn_hooks {
    /* On the shard's thread, before it serves and after its last connection is gone. */
    porch_err (*shard_start)(void *ctx, porch_shard *s, porch_why *why);
    void (*shard_stop)(void *ctx, porch_shard *s);
    void (*parcel)(void *ctx, porch_shard *s, const porch_parcel *parcel);
    /* Once a turn, before output is gathered. */
    void (*turn)(void *ctx, porch_shard *s);

    /* TLS is up and the identity judged: see porch_conn_peer. */
    void (*open)(porch_conn *c);
    /* Returns how many bytes of `in` are done with. What is left comes again, with more behind it. */
    size_t (*take)(porch_conn *c, porch_bytes in);
    /* Appends what should leave; appending nothing means that there is nothing. */
    void (*fill)(porch_conn *c, porch_buf *out);
    /* The peer says no more, and may still read. NULL: the connection is cut. */
    void (*ended)(porch_conn *c);
    /* The connection is over; the last call for it. */
    void (*closed)(porch_conn *c);
    void (*timer)(porch_conn *c);
    /* The hub goes down: say so, finish what is under way, close. */
    void (*drain)(porch_conn *c);
} porch_conn_hooks;

/* ---- the connection (its shard's thread only) ---- */
const porch_peer *porch_conn_peer(const porch_conn *c);
porch_shard *porch_conn_shard(const porch_conn *c);
void *porch_conn_user(const porch_conn *c);
void porch_conn_set_user(porch_conn *c, void *user);

/* fill will be called at the end of the turn. */
void porch_conn_want_write(porch_conn *c);
/* Appends bytes that leave before whatever fill gives: answers to what was just taken. False when the pool
 * is spent; the connection is then being cut. */
bool porch_conn_put(porch_conn *c, porch_bytes bytes);
/* Bytes put and not yet taken by the socket. */
size_t porch_conn_pending(const porch_conn *c);
/* Gathers and writes now instead of at the end of the turn, as far as the socket takes it. */
void porch_conn_flush(porch_conn *c);
/* How long the socket has refused output that waits; 0 when none does. */
uint64_t porch_conn_stuck_ms(const porch_conn *c);

/* Stops, resumes reading. After resume, bytes left over come again without new ones. Neither nests. */
void porch_conn_pause(porch_conn *c);
void porch_conn_resume(porch_conn *c);
/* One timer a connection: `timer` is called once after that time. 0: no timer. */
void porch_conn_timer(porch_conn *c, uint64_t after_ms);
/* Output so far is sent (a reason too), then TLS and socket are closed, input is dropped from now on.
 * `closed` is called before this returns. */
void porch_conn_close(porch_conn *c);
/* As close, but what fill still has is asked for first. May be called inside fill; `closed` comes later. */
void porch_conn_finish(porch_conn *c);
/* As close, but nothing more is sent. */
void porch_conn_cut(porch_conn *c);
bool porch_conn_closing(const porch_conn *c);
/* After the current take returns, the connection goes to another shard with socket, TLS state and unused
 * bytes; take is called there. Its user pointer must be NULL. */
void porch_conn_move(porch_conn *c, unsigned shard);
/* Gives TLS buffers back while nothing happens. */
void porch_conn_idle(porch_conn *c);

/* ---- the shard ---- */
unsigned porch_shard_index(const porch_shard *s);
unsigned porch_shard_count(const porch_shard *s);
porch_pool *porch_shard_pool(porch_shard *s);
/* Monotonic milliseconds, read once a turn. */
uint64_t porch_shard_now(const porch_shard *s);
/* The protocol's own state, one pointer a shard. */
void *porch_shard_user(const porch_shard *s);
void porch_shard_set_user(porch_shard *s, void *user);
/* Its doors are closed; what is still open is being told to go. */
bool porch_shard_draining(const porch_shard *s);
/* The shard takes another turn at once (or after ms) even if no socket moves. The earliest wish alone is
 * remembered: in the turn that it brings, who wished for a later one wishes again. */
void porch_shard_again(porch_shard *s, uint32_t after_ms);
/* False when the ring is full. The receiver sees it, and is woken once, at the end of this turn. */
bool porch_shard_send(porch_shard *from, unsigned to, const porch_parcel *parcel);
/* What was sent so far is seen from now on: before others are told that it has been sent. */
void porch_shard_send_out(porch_shard *s);
/* True when `slots` parcels would be taken now. */
bool porch_shard_room(const porch_shard *from, unsigned to, size_t slots);
/* May this refusal be logged, or are there too many? What is left out is summed up in a line of its own. */
bool porch_shard_may_log(porch_shard *s);

/* From any thread, while the shard runs. */
void porch_shard_post(porch_shard *s, porch_note *note);
void porch_shard_wake(porch_shard *s);

#endif
