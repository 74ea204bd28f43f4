/* The signer process: the only one that opens DIR/signer and sees a CA key.
 *
 *   hub ──SEQPACKET──► [ parse ─► rate limit ─► journal + fsync ─► act ] ──► answer
 *
 * It loads its keys, enters its sandbox and answers one request after the other until the socket closes.
 * Nothing that it hands out is unjournalled: each issuance, each accepted second-factor step and each token
 * for a push service is a line
 * of DIR/signer/journal that is on disk before the answer leaves. */
#ifndef PORCH_CLOUD_SIGNER_H
#define PORCH_CLOUD_SIGNER_H

#include "base/bytes.h"
#include "base/error.h"

/* Runs until the hub closes its end of `socket_fd`. `signer_dir_fd` is DIR/signer opened by the supervisor;
 * `dir` gives hub.conf and the public certificates in DIR/tls. Returns the exit code: 0 when the socket
 * closed, 1 when the keys cannot be used (logged). */
int porch_signer_run(int socket_fd, int signer_dir_fd, const char *dir);

#endif
