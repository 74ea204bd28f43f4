/* The courier process: outgoing HTTPS, one request at a time, on behalf of the hub. It has internet
 * sockets and nothing else: no key, no database, no file but the system's trust store and resolver. */
#ifndef PORCH_CLOUD_COURIER_H
#define PORCH_CLOUD_COURIER_H

#include "base/bytes.h"
#include "base/error.h"
#include "os/sandbox.h"

typedef struct {
    const char
        *allow; /* "HOST:PORT HOST:PORT ...": may resolve to private addresses; NULL or "" for none */
    const char *ca_file; /* PEM file of authorities to trust beside the system's; NULL or "" for none */
    uint32_t timeout_ms; /* the most that one request may take */
    uint32_t answer_max; /* bytes of an answer's body that are read before giving up on it */
    const char *const *names; /* files that name service reads, NULL-terminated; NULL: the system's */
    const porch_sandbox_profile *sandbox; /* NULL: porch_sandbox_courier */
} porch_courier_config;

/* Runs until the hub closes its end of `socket_fd`, or until a file of name service was replaced: the
 * sandbox lets it read the one that was there when it was entered, so that only a fresh courier can read
 * the new one. Returns the exit code; 0 for both. */
int porch_courier_run(int socket_fd, const porch_courier_config *config);

#endif
