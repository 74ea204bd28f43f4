/* What the courier's files share. */
#ifndef PORCH_CLOUD_COURIER_ROOM_H
#define PORCH_CLOUD_COURIER_ROOM_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "cloud/courier/courier.h"
#include "cloud/courier/courier_ipc.h"

enum { PORCH_COURIER_HOST_BYTES = 256, PORCH_COURIER_ADDRESSES_MAX = 16 };

/* ---- courier_address.c: which addresses may be reached; pure ---- */

/* True for addresses of the public internet. Everything else (private, loopback, link-local, shared,
 * multicast, documentation, benchmarking, reserved, embedded or translated IPv4) is false. */
bool porch_courier_is_public(const struct sockaddr *address);
/* Does the list "HOST:PORT HOST:PORT ..." name exactly this host (ignoring case) and port? An IPv6 host
 * stands in brackets. */
bool porch_courier_allows(const char *allow, const char *host, uint16_t port);

/* ---- courier_names.c: the files of name service, which others replace under a running courier ---- */

enum { PORCH_COURIER_NAMES_MAX = 4 };

/* What could be opened (or was not there) when the sandbox had been entered. */
typedef struct {
    const char *watched[PORCH_COURIER_NAMES_MAX];
    size_t count;
} porch_courier_names;

/* Looks at the files of the NULL-terminated list, or at the system's for NULL; those beyond
 * PORCH_COURIER_NAMES_MAX are not watched. Call it inside the sandbox. */
void porch_courier_names_look(porch_courier_names *n, const char *const *files);
/* The first file that is there and that the sandbox keeps shut now, or NULL. */
const char *porch_courier_names_lost(const porch_courier_names *n);

/* ---- courier_request.c ---- */

/* Room for what all requests share: the trust store as one PEM text. */
typedef struct {
    porch_courier_config config;
    uint8_t *authorities;
    size_t authorities_len;
} porch_courier;

/* Reads the trust store and warms up name service, while files may still be opened. */
porch_err porch_courier_prepare(porch_courier *c, const porch_courier_config *config, porch_why *why);
void porch_courier_forget(porch_courier *c);
/* PORCH_OK: the receiver answered *status. */
porch_err porch_courier_perform(const porch_courier *c, const porch_courier_message *m, uint16_t *status,
                                porch_why *why);

#endif
