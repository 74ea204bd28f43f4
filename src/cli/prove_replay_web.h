/* A browser's side of the scratch hub's people's port: JSON over HTTPS with the page's origin and the
 * sign-in's cookie, and the upgrade of a connection to a WebSocket.
 *
 *   open ─► post ... post ─► (cookie) ─► upgrade ─► a line that carries frames
 *
 * Each request has a connection of its own, over the hub's own chain to its own web CA. Everything blocks,
 * for PORCH_REPLAY_ANSWER_MS at most. The hub at the other end is ours; what it sends is read as a
 * stranger's. */
#ifndef PORCH_CLI_PROVE_REPLAY_WEB_H
#define PORCH_CLI_PROVE_REPLAY_WEB_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/tls.h"

enum { PORCH_REPLAY_ANSWER_MS = 30000, PORCH_REPLAY_COOKIE_BYTES = 200 };

/* One connection. */
typedef struct {
    int fd; /* -1: none */
    porch_tls_conn *tls;
} porch_replay_line;

typedef struct {
    porch_tls_client *tls;
    uint16_t port;
    char cookie[PORCH_REPLAY_COOKIE_BYTES]; /* "NAME=VALUE" that the hub set last; "" before */
} porch_replay_web;

/* `hub_dir` has the web CA that the port's chain must reach. Close it after success. */
porch_err porch_replay_web_open(const char *hub_dir, uint16_t port, porch_replay_web *ret, porch_why *why);
void porch_replay_web_close(porch_replay_web *w);

/* POSTs `body`, which is taken over. *ret is the answer, a new reference. A refusal is PORCH_ERR_DENIED
 * with the hub's sentence. */
porch_err porch_replay_web_post(porch_replay_web *w, const char *path, json_t *body, json_t **ret,
                                porch_why *why);
/* A WebSocket with the subprotocol `mqtt` at this path. Close the line after success. */
porch_err porch_replay_web_upgrade(porch_replay_web *w, const char *path, porch_replay_line *ret,
                                   porch_why *why);
void porch_replay_line_close(porch_replay_line *l);
/* Waits until the line may go on after AGAIN of its TLS connection; TIMEOUT past the deadline (of
 * porch_clock_mono_ms). */
porch_err porch_replay_line_wait(const porch_replay_line *l, uint64_t deadline_ms);

/* The cookie in a Set-Cookie header's value: what stands before the first ';'. False: it is empty or does
 * not fit. */
bool porch_replay_cookie(porch_bytes value, char out[PORCH_REPLAY_COOKIE_BYTES]);

#endif
