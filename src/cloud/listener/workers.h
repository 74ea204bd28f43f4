/* Threads that may block, and the bounded queue in front of them.
 *
 *   shard ─submit─► [ job | job | job ] ─► worker 0..n-1 ─► job->run
 *
 * A job lives in its owner's memory; the worker does not touch it after run began. */
#ifndef PORCH_CLOUD_LISTENER_WORKERS_H
#define PORCH_CLOUD_LISTENER_WORKERS_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_workers porch_workers;

typedef struct porch_job {
    struct porch_job *next;
    void (*run)(struct porch_job *job);
} porch_job;

porch_workers *porch_workers_new(unsigned threads, unsigned waiting_most);
porch_err porch_workers_start(porch_workers *w, porch_why *why);
/* BUSY when too many wait. `must` jobs continue something that was let in and are always taken. Any thread.
 */
porch_err porch_workers_submit(porch_workers *w, porch_job *job, bool must);
/* Runs what is queued, joins. Jobs may not be submitted afterwards. */
void porch_workers_stop(porch_workers *w);
void porch_workers_free(porch_workers *w); /* NULL is fine */

#endif
