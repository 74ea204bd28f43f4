/* Messages between our own processes: SOCK_SEQPACKET, so that a message arrives whole or not at all,
 * with descriptors beside it. Blocking calls with a time limit; the descriptors themselves are
 * non-blocking and fit into a loop.
 *
 * Timeouts are in milliseconds; -1 waits forever, 0 does not wait. `why` may be NULL. */
#ifndef PORCH_OS_CHANNEL_H
#define PORCH_OS_CHANNEL_H

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_CHANNEL_MESSAGE_BYTES 131072u
#define PORCH_CHANNEL_MAX_FDS       8u

/* Two connected ends, close-on-exec. */
porch_err porch_channel_pair(int fds[2], porch_why *why);
/* Sends 1..PORCH_CHANNEL_MESSAGE_BYTES bytes and copies of up to PORCH_CHANNEL_MAX_FDS descriptors (yours
 * stay open). CLOSED when the other side is gone, TIMEOUT when its queue stayed full, LIMIT when too long.
 */
porch_err porch_channel_send(int fd, porch_bytes bytes, const int *fds, size_t nfds, int timeout_ms,
                             porch_why *why);
/* Receives one message into `into` (from its start; into->len is set). Descriptors are close-on-exec and
 * yours to close; *nfds tells how many (fds and nfds may be NULL with max_fds 0). A message longer than
 * into->cap or with more descriptors than max_fds is dropped whole, its descriptors closed: LIMIT.
 * CLOSED at the end of the stream, TIMEOUT when nothing came. */
porch_err porch_channel_receive(int fd, porch_buf *into, int *fds, size_t max_fds, size_t *nfds,
                                int timeout_ms, porch_why *why);

#endif
