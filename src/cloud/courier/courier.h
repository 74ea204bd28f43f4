/* The courier process: outgoing HTTPS, one request at a time, on behalf of the hub. It has internet
 * sockets and nothing else: no key, no database, no file but the system's trust store and resolver. */
#ifndef PORCH_CLOUD_COURIER_H
#define PORCH_CLOUD_COURIER_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    const char
        *allow; /* "HOST:PORT HOST:PORT ...": may resolve to private addresses; NULL or "" for none */
    const char *ca_file; /* PEM file of authorities to trust beside the system's; NULL or "" for none */
    uint32_t timeout_ms; /* the most that one request may take */
    uint32_t answer_max; /* bytes of an answer's body that are read before giving up on it */
} porch_courier_config;

/* Runs until the hub closes its end of `socket_fd`. Returns the exit code. */
int porch_courier_run(int socket_fd, const porch_courier_config *config);

#endif
