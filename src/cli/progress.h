/* A bar on standard error for what takes long; silent where that is no terminal.
 *
 *    42% [==========>              ]  4.3 of 10.1 GB, 212 MB/s, 27 s left */
#ifndef PORCH_CLI_PROGRESS_H
#define PORCH_CLI_PROGRESS_H

#include "base/bytes.h"

typedef struct {
    bool shown;
    uint64_t total, done; /* bytes */
    uint64_t began_ms, said_ms;
} porch_progress;

/* `total` may be a guess: done beyond it counts as all. */
porch_progress porch_progress_begin(uint64_t total);
/* So much is done by now; draws at most ten times a second. */
void porch_progress_at(porch_progress *p, uint64_t done);
void porch_progress_end(porch_progress *p);

/* The line for this state, zero-terminated. */
void porch_progress_text(const porch_progress *p, uint64_t now_ms, char *out, size_t cap);

#endif
