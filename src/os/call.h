/* Calls to a helper process that may die and come back: one request at a time over a SEQPACKET channel
 * whose socket can be replaced while calls wait.
 *
 *   thread ─► porch_call_do ─► [ lock: one call at a time ] ─► send ─► receive ─► answer
 *                                      ▲ porch_call_attach(fd): a new socket after the helper's restart
 *
 * The first four bytes of request and answer are the call's number: an answer to an earlier call that was
 * given up is recognised by it and dropped. While no socket is attached a call waits. */
#ifndef PORCH_OS_CALL_H
#define PORCH_OS_CALL_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"

typedef struct porch_call porch_call;

enum { PORCH_CALL_NUMBER_BYTES = 4 };

/* How every request begins: the call's number and the version of the language that both sides speak. A
 * message of another version is PORCH_ERR_UNSUPPORTED: a helper of another build runs. */
porch_err porch_call_request_write(porch_buf *out, uint32_t number, uint8_t version);
porch_err porch_call_request_read(porch_reader *r, uint8_t version, uint32_t *number);
/* How every answer begins: the same, and what came of it. */
porch_err porch_call_answer_write(porch_buf *out, uint32_t number, uint8_t version, porch_err error);
porch_err porch_call_answer_read(porch_reader *r, uint8_t version, uint32_t *number, porch_err *error);

/* `helper` names the process in sentences and must outlive it. NULL when out of memory. */
porch_call *porch_call_new(const char *helper, uint32_t away_wait_ms);
/* Closes the socket. No call may be under way. */
void porch_call_free(porch_call *c);
/* Takes over `fd`, closing the one there was; wakes a call that waits. Any thread. */
void porch_call_attach(porch_call *c, int fd);
bool porch_call_attached(porch_call *c);

/* Sends `request` (its first PORCH_CALL_NUMBER_BYTES are overwritten) and fills `answer` (emptied first)
 * with the whole answer, its number included. Blocks. `repeat`: when the helper dies under the call, ask
 * its successor once more; otherwise that is PORCH_ERR_CHILD. PORCH_ERR_TIMEOUT: no answer in timeout_ms
 * (the helper keeps its socket). */
porch_err porch_call_do(porch_call *c, porch_buf *request, bool repeat, uint32_t timeout_ms,
                        porch_buf *answer, porch_why *why);

#endif
