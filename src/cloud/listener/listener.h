/* The hub's network face: shards (one thread, one epoll loop, its own connections, timers and pools), TLS,
 * limits, HTTP, and the seam through which another protocol (the broker's MQTT) is served on the same
 * shards.
 *
 *   listen sockets ──► shard 0..n-1 ──► TLS handshake ──► identity judged ──► MQTT hooks (role MQTT)
 *                                                                        └──► HTTP/1.1 (roles DEVICE,
 * PEOPLE) └─► workers run handlers
 *
 * Called by the hub's top: new, start, later drain or stop, free. All other names here are for the room
 * that serves MQTT (conn.h has its side of a connection). */
#ifndef PORCH_CLOUD_LISTENER_LISTENER_H
#define PORCH_CLOUD_LISTENER_LISTENER_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/listener/http.h"
#include "cloud/listener/peer.h"
#include "crypto/tls.h"

struct porch_settings;
struct porch_conn_hooks;
typedef struct porch_listener porch_listener;

/* Judges the identity of a certificate that passed the chain check: fills *ret and returns PORCH_OK, or
 * AUTH (unknown), REVOKED, EXPIRED, STATE with a sentence. Called on shards: must not block. The listener
 * itself has judged the validity times before. */
typedef porch_err (*porch_admit_fn)(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms,
                                    porch_principal *ret, porch_why *why);
/* Called on the shard when a request's head is in and its route is known, before the body is read: the
 * place for cross-site checks. True: go on. False: it has answered (porch_http_problem). Must not block. */
typedef bool (*porch_http_guard)(void *ctx, porch_http_exchange *x);

typedef struct {
    const struct porch_settings *settings; /* copied */
    unsigned shards;                       /* 0: one per core */
    int listen_fd[PORCH_LISTEN_ROLES];     /* -1: role not served; owned by the caller, must outlive the
                                              listener */
    porch_tls_server
        *tls[PORCH_LISTEN_ROLES];   /* a reference is taken; porch_listener_replace_tls swaps one */
    const porch_http_route *routes; /* must outlive the listener */
    size_t route_count;
    const porch_http_header_row *headers[PORCH_LISTEN_ROLES]; /* ends with a row of NULLs; NULL: none */
    porch_http_guard guard[PORCH_LISTEN_ROLES];               /* NULL: none */
    void *guard_ctx;
    porch_admit_fn admit;
    void *admit_ctx;
    const struct porch_conn_hooks *mqtt; /* NULL: role MQTT is not served */
    void *mqtt_ctx;
} porch_listener_config;

/* Checks the route table (CONFIG names the row that is wrong) and sets everything up; no thread yet. */
porch_err porch_listener_new(const porch_listener_config *config, porch_listener **ret, porch_why *why);
/* Starts shards and workers; from now on connections are accepted. */
porch_err porch_listener_start(porch_listener *l, porch_why *why);
/* No new connections; MQTT peers are told (DISCONNECT, server shutting down), running requests may finish,
 * streams end; returns when no connection is left or after timeout_ms. */
void porch_listener_drain(porch_listener *l, uint32_t timeout_ms);
/* Cuts what is left and joins all threads. */
void porch_listener_stop(porch_listener *l);
void porch_listener_free(porch_listener *l); /* after stop, or if start was never called; NULL is fine */

/* New handshakes use `tls` from now on (a renewed certificate). Any thread. */
void porch_listener_replace_tls(porch_listener *l, porch_listen_role role, porch_tls_server *tls);
/* Closes the HTTP connections of one principal; `reason` (a literal) is for the log: "the certificate was
 * revoked". Any thread; takes effect at the shards' next turn. */
void porch_listener_drop(porch_listener *l, porch_identity_kind kind, const char *name, const char *reason);
/* Closes connections that became MQTT's for a person by this sign-in: it is over. Any thread. */
void porch_listener_drop_sign_in(porch_listener *l, const uint8_t sign_in[32]);

typedef struct {
    uint64_t accepted[PORCH_LISTEN_ROLES];
    uint64_t open[PORCH_LISTEN_ROLES];
    uint64_t handshakes;
    uint64_t handshakes_resumed;
    uint64_t handshakes_failed;
    uint64_t plaintext_refused;
    uint64_t over_limit;       /* connections refused: total or per address */
    uint64_t identity_refused; /* expired, not yet valid, revoked, unknown */
    uint64_t timeouts;         /* handshake, head, body, idle */
    uint64_t requests;
    uint64_t requests_open;       /* now: live streams and slow bodies, too */
    uint64_t requests_over_limit; /* of the refused ones: too many were open */
    uint64_t requests_refused;    /* answered 4xx or 5xx */
    uint64_t streams;             /* open now */
    uint64_t streams_too_slow;
    uint64_t websockets;         /* open now */
    uint64_t websockets_refused; /* ended by us: broken frames, limits, silence */
} porch_listener_counts;
void porch_listener_read_counts(const porch_listener *l, porch_listener_counts *ret);

/* Asks every shard for a sign of life, and tells whether all have given theirs since the call before: false
 * the first time, and as long as one is stuck. Does not block; one thread calls it. */
bool porch_listener_pulse(porch_listener *l);

unsigned porch_listener_shards(const porch_listener *l);

#endif
