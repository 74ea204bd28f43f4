/* When sessions without a connection end and wills are spoken: a heap by time, one a shard. Setting, moving
 * and clearing cost the logarithm of how many there are. */
#ifndef PORCH_CLOUD_BROKER_DEADLINE_H
#define PORCH_CLOUD_BROKER_DEADLINE_H

#include "base/bytes.h"

/* A member of what has a deadline; zeroed before its first use. */
typedef struct {
    uint64_t due_ms;
    uint32_t place; /* 1 + index in the heap; 0: not in it */
} porch_deadline;

typedef struct {
    porch_deadline **heap;
    uint32_t count, cap;
} porch_deadlines;

/* Sets or moves. False without memory: then nothing has changed. */
bool porch_deadline_set(porch_deadlines *d, porch_deadline *one, uint64_t due_ms);
void porch_deadline_clear(porch_deadlines *d, porch_deadline *one);
/* The next one, NULL when there is none. */
porch_deadline *porch_deadline_first(const porch_deadlines *d);
void porch_deadlines_free(porch_deadlines *d);

#endif
