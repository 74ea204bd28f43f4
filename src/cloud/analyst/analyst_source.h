/* The clip as it grows: a memfd that the hub fills, and a socket on which it says how far.
 *
 * Reading blocks until bytes are there, the clip is complete, or the hub has closed its end. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_SOURCE_H
#define PORCH_CLOUD_ANALYST_ANALYST_SOURCE_H

#include "cloud/analyst/analyst_ipc.h"

typedef struct {
    int memfd;
    int socket;
    uint64_t size; /* the memfd's: nothing is believed beyond it */
    uint64_t have;
    uint64_t at;
    bool complete;
    porch_err broken; /* CLOSED or MALFORMED once the hub's end is gone */
} porch_analyst_source;

void porch_analyst_source_init(porch_analyst_source *s, int memfd, int socket, uint64_t size);
/* 1..cap bytes into `at`; NOT_FOUND at the end of a complete clip; CLOSED when the hub has gone. */
porch_err porch_analyst_source_read(porch_analyst_source *s, uint8_t *at, size_t cap, size_t *got);

#endif
