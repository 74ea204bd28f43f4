/* What the files of this room share: the listener, its shards and connections from inside. */
#ifndef PORCH_CLOUD_LISTENER_ROOM_H
#define PORCH_CLOUD_LISTENER_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/ring.h"
#include "cloud/listener/address.h"
#include "cloud/listener/conn.h"
#include "cloud/listener/listener.h"
#include "cloud/listener/route.h"
#include "cloud/listener/workers.h"
#include "cloud/listener/ws.h"
#include "cloud/settings/settings.h"
#include "os/loop.h"

typedef enum {
    PORCH_CONN_HANDSHAKE,
    PORCH_CONN_OPEN,
    PORCH_CONN_CLOSING, /* the protocol is done; output still leaves */
    PORCH_CONN_LINGER,  /* everything sent; the peer may read it before the socket goes */
    PORCH_CONN_DEAD     /* freed at the end of the turn */
} porch_conn_state;

/* What a connection has more when its bytes travel in WebSocket frames; see ws_conn.c. */
typedef struct {
    porch_ws *engine;
    size_t framed; /* bytes at the front of pend that leave as they are: frames cut by a full socket */
    uint64_t heard_ms;
    bool pinged;
    porch_loop_timer timer;
} porch_conn_ws;

struct porch_conn {
    porch_shard *shard;
    const porch_conn_hooks *hooks;
    void *user;
    porch_tls_conn *tls;
    porch_conn_ws *ws;       /* NULL: bytes travel as they are */
    porch_conn *prev, *next; /* of the shard's connections */
    porch_conn *next_dirty;
    porch_conn *next_again;
    porch_conn *next_dead;
    int fd;
    int move_to; /* -1: stays */
    porch_conn_state state;
    bool dirty, again, paused, blocked, corked;
    bool finish; /* close once fill has nothing more */
    uint64_t blocked_since_ms;
    uint8_t *rest; /* input that take has not used: a pool block */
    size_t rest_len;
    uint8_t
        *pend; /* output that the socket has not taken: a pool block. Without frames but for ws->framed */
    size_t pend_at, pend_len;
    uint8_t *wire; /* encrypted output that the socket has not taken: a pool block; leaves before pend */
    uint32_t wire_at, wire_len;
    porch_loop_watch watch;
    porch_loop_timer timer;
    porch_peer peer;
};

/* One writer (the shard), any reader. */
typedef struct {
    _Atomic uint64_t accepted[PORCH_LISTEN_ROLES];
    _Atomic uint64_t open[PORCH_LISTEN_ROLES];
    _Atomic uint64_t handshakes, handshakes_resumed, handshakes_failed, plaintext_refused, over_limit;
    _Atomic uint64_t identity_refused, timeouts, requests, requests_refused, streams, streams_too_slow;
    _Atomic uint64_t websockets, websockets_refused, requests_over_limit;
} porch_shard_counts;

static inline void porch_count_add(_Atomic uint64_t *n, int64_t by) {
    uint64_t now = atomic_load_explicit(n, memory_order_relaxed) + (uint64_t)by;
    atomic_store_explicit(n, now, memory_order_relaxed);
}

typedef struct {
    porch_shard *shard;
    porch_loop_watch watch;
    porch_listen_role role;
} porch_shard_door;

struct porch_shard {
    porch_listener *listener;
    unsigned index;
    pthread_t thread;
    bool started;
    porch_loop *loop;
    porch_pool *pool;      /* the broker's, and its connections' */
    porch_pool *http_pool; /* other connections': strangers take nothing from MQTT */
    void *user;
    uint8_t *in; /* scratch: one connection's input at a time */
    size_t in_cap;
    uint8_t *out;  /* scratch: one TLS record's worth of output */
    uint8_t *wire; /* scratch: one connection's records of a turn, PORCH_TLS_WIRE_BYTES */
    porch_shard_door doors[PORCH_LISTEN_ROLES];
    porch_conn *conns;
    porch_conn *dirty;
    porch_conn *again;
    porch_conn *dead;
    porch_conn *parked; /* to be moved, ring was full */
    porch_ring *rings;  /* inbound, one for each sending shard */
    porch_parcel *ring_slots;
    size_t unsent;    /* bytes taken since output left last */
    uint32_t *staged; /* parcels that the receiving shard does not see yet, by its index */
    _Alignas(64) _Atomic(porch_note *) inbox;
    porch_note drain_note, stop_note, pulse_note;
    atomic_bool pulse_waits; /* the note has not been reached */
    porch_loop_timer soon;   /* porch_shard_again */
    uint64_t soon_due_ms;
    porch_loop_timer door_timer;
    bool busy;
    bool draining;
    bool stopping;
    uint64_t exchanges; /* HTTP requests that live, with or without their connection */
    uint64_t log_second;
    uint32_t log_lines, log_left_out;
    porch_shard_counts counts;
};

struct porch_listener {
    porch_listener_config config;
    porch_settings settings;
    porch_routes *routes;
    porch_workers *workers;
    porch_addresses *addresses;                    /* connections */
    porch_addresses *open_addresses, *open_owners; /* requests, see http_open.h */
    _Atomic uint64_t open_requests;
    _Atomic uint64_t body_bytes; /* of bodies that are gathered, http.body_bytes at most */
    unsigned shard_count;
    porch_shard *shards; /* an array */
    pthread_mutex_t lock;
    pthread_cond_t moved;                      /* `left` or `ended` changed */
    porch_tls_server *tls[PORCH_LISTEN_ROLES]; /* under lock */
    unsigned ended; /* shards without connections, while stopping; then UINT32_MAX; under lock */
    _Atomic bool draining;
    _Atomic uint64_t total;
    bool started;
    bool pulsed; /* porch_listener_pulse was called before */
};

/* conn.c */
void porch_conn_accept(porch_shard *s, porch_listen_role role, int fd);
void porch_conn_turn(porch_shard *s); /* leftovers, then output */
/* So many bytes more were taken; output leaves now when they have become many. */
void porch_conn_took(porch_shard *s, size_t bytes);
void porch_conn_bury(porch_shard *s); /* frees the dead */
void porch_conn_arrive(porch_shard *s, porch_conn *c);
void porch_conn_send_away(porch_conn *c); /* to c->move_to */
/* Judges the certificate as of now. */
void porch_conn_judge(porch_conn *c);
void porch_conn_log_refused(porch_conn *c, const char *event, const char *reason);

/* ws_conn.c: a connection whose hooks see no frames */
/* From now on: what is pending leaves as it is, all other bytes travel in frames, the hooks are MQTT's. */
porch_err porch_ws_begin(porch_conn *c);
void porch_ws_arrive(porch_conn *c); /* on its new shard */
void porch_ws_leave(porch_conn *c);
void porch_ws_end(porch_conn *c); /* frees; NULL ws is fine */
/* `len` raw bytes at `at` become what they carry; returns how much that is. */
size_t porch_ws_input(porch_conn *c, uint8_t *at, size_t len);
/* One record's worth: what is pending and what fill has, in one frame, then control frames. */
void porch_ws_gather(porch_conn *c, porch_buf *out);
/* The close frame, behind everything else. */
void porch_ws_say_goodbye(porch_conn *c);

/* http_conn.c */
extern const porch_conn_hooks porch_http_hooks;
/* http2_conn.c: takes over when h2 was agreed */
extern const porch_conn_hooks porch_http2_hooks;

#endif
