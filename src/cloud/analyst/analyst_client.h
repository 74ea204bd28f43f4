/* The hub's end of the analyst: hands out one socket per clip.
 *
 * The supervisor restarts the analyst and sends a new socket; attach takes it. Thread-safe. Nothing here
 * waits for the analyst: a clip socket is polled by its owner. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_CLIENT_H
#define PORCH_CLOUD_ANALYST_ANALYST_CLIENT_H

#include "cloud/analyst/analyst_ipc.h"

typedef struct porch_analyst_client porch_analyst_client;

porch_err porch_analyst_client_new(porch_analyst_client **ret, porch_why *why);
void porch_analyst_client_free(porch_analyst_client *c);

/* Takes over the socket of a (re)started analyst, closing the former one. */
void porch_analyst_client_attach(porch_analyst_client *c, int socket_fd);
/* Called after each attach, from the thread that attached. One observer. */
void porch_analyst_client_on_attach(porch_analyst_client *c, void (*fn)(void *ctx), void *ctx);
bool porch_analyst_client_attached(porch_analyst_client *c);
/* Whether the analyst of that generation (see start) still serves; a socket found dead is closed here. */
bool porch_analyst_client_alive(porch_analyst_client *c, uint64_t generation);
/* Closes the socket: the analyst and its children end, the supervisor starts it anew. */
void porch_analyst_client_drop(porch_analyst_client *c);

/* Starts one clip on a memfd (stays the caller's); *clip_socket is the caller's to close, which cancels.
 * *generation names the analyst process that took it. CHILD when no analyst is attached or it has just
 * died. */
porch_err porch_analyst_client_start(porch_analyst_client *c, const porch_analyst_start *start, int memfd,
                                     int *clip_socket, uint64_t *generation, porch_why *why);

#endif
