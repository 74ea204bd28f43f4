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

/* All that it reads of DIR, opened by the supervisor: the signer's own user may not walk through DIR. Each
 * file is read once, from where its descriptor stands. */
typedef struct {
    int dir_fd;        /* DIR/signer */
    int conf_fd;       /* DIR/hub.conf */
    int issuing_fd;    /* DIR/tls/issuing.pem */
    int web_fd;        /* DIR/tls/web-ca.pem */
    int root_fd;       /* DIR/tls/device-root.pem: for a signer that does not keep its root yet */
    int credential_fd; /* of hub.seal = systemd; -1: none */
} porch_signer_files;

/* Runs until the hub closes its end of `socket_fd`. Returns the exit code: 0 when the socket closed, 1 when
 * the keys cannot be used (logged). */
int porch_signer_run(int socket_fd, const porch_signer_files *files);

#endif
