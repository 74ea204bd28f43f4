/* One question to the name service, on a thread of its own: it may take as long as it likes (a router that
 * has lost its uplink makes it take half a minute and more), and nobody waits for it.
 *
 *   start ──► the thread asks ──► fd is readable ──► take
 *
 * Used by link.c alone. */
#ifndef PORCH_DEVICE_PORT_LINUX_LOOKUP_H
#define PORCH_DEVICE_PORT_LINUX_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct addrinfo;

typedef struct porch_lookup porch_lookup;
/* getaddrinfo, or a test's. */
typedef int (*porch_lookup_fn)(const char *host, const char *service, const struct addrinfo *hints,
                               struct addrinfo **ret);

/* An address that is written as such is its own answer: *addresses, and *ret stays NULL. Else the question
 * is on its way. NO_SPACE: neither memory nor thread. */
porch_err porch_lookup_start(porch_lookup_fn ask, const char *host, uint16_t port, porch_lookup **ret,
                             struct addrinfo **addresses, porch_why *why);
/* Readable when the answer is there. Lives as long as the lookup. */
int porch_lookup_fd(const porch_lookup *l);
bool porch_lookup_is_answered(const porch_lookup *l);
/* The answer, once; the addresses are the caller's. AGAIN: it is not there yet. NOT_FOUND: there are none.
 */
porch_err porch_lookup_take(porch_lookup *l, struct addrinfo **ret, porch_why *why);
/* Does not wait: a question that is still open ends by itself. NULL is allowed. */
void porch_lookup_leave(porch_lookup *l);

#endif
