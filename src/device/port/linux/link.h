/* One TLS connection to the hub, never blocking.
 *
 *   IDLE ──open──► NAMING ──► DIALLING ──► SHAKING ──► UP ──► (broken: IDLE again, with a sentence)
 *
 * A name service that does not answer costs two seconds where the hub was reached before: then it is looked
 * for where it was. That an old address may be somebody else's by now does no harm: the certificate says
 * who it is.
 *
 * The hub's chain, usage and name are verified by the TLS client object that the caller made; a link has no
 * say in it. */
#ifndef PORCH_DEVICE_PORT_LINUX_LINK_H
#define PORCH_DEVICE_PORT_LINUX_LINK_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/tls.h"
#include "device/port/linux/lookup.h"

typedef enum {
    PORCH_LINK_IDLE,
    PORCH_LINK_NAMING,
    PORCH_LINK_DIALLING,
    PORCH_LINK_SHAKING,
    PORCH_LINK_UP
} porch_link_state;

/* Where the hub was when a link last came up: shared by the links of one thread to one hub. Begins as
 * zeros. */
typedef struct {
    struct sockaddr_storage at;
    socklen_t len; /* 0: nowhere yet */
} porch_link_known;

typedef struct {
    porch_link_state state;
    int fd;
    porch_tls_client *tls;
    porch_tls_conn *conn;
    porch_link_known *known; /* NULL: this link remembers nothing */
    porch_lookup_fn ask;     /* the name service */
    porch_lookup *lookup;    /* a question outlives its attempt: the next one takes its answer */
    uint64_t asked_ms;
    struct addrinfo *addresses; /* of the name, while dialling */
    struct addrinfo *address;   /* the one being tried */
    struct addrinfo remembered; /* the known one, as an address to try; `at` */
    struct sockaddr_storage at;
    uint64_t give_up_ms;  /* it, while others follow and it has not answered; else all of it */
    uint64_t end_ms;      /* of dialling and shaking */
    uint64_t patience_ms; /* for them */
    uint16_t port;
    bool write_blocked; /* the last write could not go on */
} porch_link;

/* `known` may be NULL. */
void porch_link_init(porch_link *l, porch_tls_client *tls, porch_link_known *known);
/* The client of the next handshake, of an attempt that has not got that far too. */
void porch_link_use(porch_link *l, porch_tls_client *tls);
/* Starts to look the name up and to dial; `patience_ms` is for all of dialling and handshake, after the
 * name service has answered, and for the name service where the hub is not known. An error means that
 * nothing was started. */
porch_err porch_link_open(porch_link *l, const char *host, uint16_t port, uint64_t now_ms,
                          uint64_t patience_ms, porch_why *why);
/* The same with addresses of getaddrinfo, which become the link's. One that does not answer is given up in
 * time for those that follow. */
porch_err porch_link_open_at(porch_link *l, struct addrinfo *addresses, uint16_t port, uint64_t now_ms,
                             uint64_t patience_ms, porch_why *why);
/* Says goodbye where TLS can, and closes. */
void porch_link_close(porch_link *l);
/* The same, and no question stays open either. */
void porch_link_end(porch_link *l);

/* On its way: neither idle nor up. */
bool porch_link_connects(const porch_link *l);
/* What poll(2) waits for; -1 when idle. */
int porch_link_fd(const porch_link *l);
/* It tries where the hub was, which may be somebody else's by now. */
bool porch_link_guesses(const porch_link *l);

/* poll(2)'s events to wait for; `output_waits`: there is something to write. 0 when idle. */
short porch_link_events(const porch_link *l, bool output_waits);
/* Goes on with dialling and handshake. OK when UP, AGAIN on the way, else it failed and the link is idle.
 */
porch_err porch_link_advance(porch_link *l, uint64_t now_ms, porch_why *why);
/* As porch_tls_read and porch_tls_write; any error but AGAIN leaves an idle link. */
porch_err porch_link_read(porch_link *l, uint8_t *at, size_t cap, size_t *got, porch_why *why);
porch_err porch_link_write(porch_link *l, porch_bytes out, size_t *taken, porch_why *why);

#endif
