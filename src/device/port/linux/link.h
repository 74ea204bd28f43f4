/* One TLS connection to the hub, never blocking but for the name service.
 *
 *   IDLE ──open──► DIALLING ──► SHAKING ──► UP ──► (broken: IDLE again, with a sentence)
 *
 * The hub's chain, usage and name are verified by the TLS client object that the caller made; a link has no
 * say in it. */
#ifndef PORCH_DEVICE_PORT_LINUX_LINK_H
#define PORCH_DEVICE_PORT_LINUX_LINK_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/tls.h"

struct addrinfo;

typedef enum { PORCH_LINK_IDLE, PORCH_LINK_DIALLING, PORCH_LINK_SHAKING, PORCH_LINK_UP } porch_link_state;

typedef struct {
    porch_link_state state;
    int fd;
    porch_tls_client *tls;
    porch_tls_conn *conn;
    struct addrinfo *addresses; /* of the name, while dialling */
    struct addrinfo *address;   /* the one being tried */
    uint64_t give_up_ms;        /* it, while others follow and it has not answered; else all of it */
    uint64_t end_ms;            /* of dialling and shaking */
    uint16_t port;
    bool write_blocked; /* the last write could not go on */
} porch_link;

void porch_link_init(porch_link *l, porch_tls_client *tls);
/* Starts to dial; `patience_ms` is for all of dialling and handshake, after the name service has answered.
 * An error means that nothing was started. */
porch_err porch_link_open(porch_link *l, const char *host, uint16_t port, uint64_t now_ms,
                          uint64_t patience_ms, porch_why *why);
/* The same with addresses of getaddrinfo, which become the link's. One that does not answer is given up in
 * time for those that follow. */
porch_err porch_link_open_at(porch_link *l, struct addrinfo *addresses, uint16_t port, uint64_t now_ms,
                             uint64_t patience_ms, porch_why *why);
/* Says goodbye where TLS can, and closes. */
void porch_link_close(porch_link *l);

/* poll(2)'s events to wait for; `output_waits`: there is something to write. 0 when idle. */
short porch_link_events(const porch_link *l, bool output_waits);
/* Goes on with dialling and handshake. OK when UP, AGAIN on the way, else it failed and the link is idle.
 */
porch_err porch_link_advance(porch_link *l, uint64_t now_ms, porch_why *why);
/* As porch_tls_read and porch_tls_write; any error but AGAIN leaves an idle link. */
porch_err porch_link_read(porch_link *l, uint8_t *at, size_t cap, size_t *got, porch_why *why);
porch_err porch_link_write(porch_link *l, porch_bytes out, size_t *taken, porch_why *why);

#endif
