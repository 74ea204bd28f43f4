/* How many requests are open at once: in all, from one address, and by one sign-in, device or service.
 *
 *   head parsed ─► enter ─► (body, handler, answer, stream) ─► exchange freed ─► leave
 *
 * A request is open from its head until its answer has left or its connection has gone, so that live
 * streams, slow bodies and answers that nobody reads count for as long as they hold memory. */
#ifndef PORCH_CLOUD_LISTENER_HTTP_OPEN_H
#define PORCH_CLOUD_LISTENER_HTTP_OPEN_H

#include "cloud/listener/http_exchange.h"

/* NULL, or the setting of the limit that is reached; nothing is counted then. On the exchange's shard. */
const char *porch_http_open_enter(porch_http_exchange *x);
/* What enter counted, if anything. */
void porch_http_open_leave(porch_http_exchange *x);

#endif
