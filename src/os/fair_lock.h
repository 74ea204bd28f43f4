/* A lock that is given in the order of asking. A mutex is not: who gives it back and asks again at once has
 * it again before anybody who waits has woken up. For work in many short pieces beside others who need one.
 */
#ifndef PORCH_OS_FAIR_LOCK_H
#define PORCH_OS_FAIR_LOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t next;
    uint64_t asked, served; /* tickets; equal: nobody has it */
} porch_fair_lock;

void porch_fair_lock_init(porch_fair_lock *l);
void porch_fair_lock_destroy(porch_fair_lock *l);
/* Blocks until all who asked before have given it back. Not for a thread that has it. */
void porch_fair_lock_take(porch_fair_lock *l);
void porch_fair_lock_give(porch_fair_lock *l);
/* How many wait now. */
size_t porch_fair_lock_waiting(porch_fair_lock *l);

#endif
