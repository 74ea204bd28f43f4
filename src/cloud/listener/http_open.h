/* How many requests are open at once: in all, from one address, and by one sign-in, device or service.
 *
 *   head ─► enter ─► route, identity ─► enter_owner ─► (body, handler, answer, stream) ─► freed ─► leave
 *
 * A request is open from its head until its answer has left or its connection has gone, so that live
 * streams, slow bodies and answers that nobody reads count for as long as they hold memory: refusals, too,
 * of which one HTTP/2 connection may hold many. */
#ifndef PORCH_CLOUD_LISTENER_HTTP_OPEN_H
#define PORCH_CLOUD_LISTENER_HTTP_OPEN_H

#include "cloud/listener/http_exchange.h"

/* In all and of its address: NULL, or the setting of the limit that is reached; nothing is counted then. On
 * the exchange's shard, as all of these. */
const char *porch_http_open_enter(porch_http_exchange *x);
/* The same for whoever asks, once that is known; after enter. */
const char *porch_http_open_enter_owner(porch_http_exchange *x);
/* What the two have counted, if anything. */
void porch_http_open_leave(porch_http_exchange *x);

#endif
