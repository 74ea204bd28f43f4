/* Answers of policies that a shard remembers: may this asker do this with this topic?
 *
 *      (asker, action, identity of a topic) ──► decision
 *
 * An asker is a session with the policy that it has now: a number that is given once, and another one as
 * soon as the session's policy or its quarantine changes, so an answer never outlives what it was made of.
 * Topics have identities of the same kind (memo.h). Both are compared whole; a place in the table is taken
 * by whoever came last. Refusals are kept, too, with the statement that made them. One thread, no
 * allocation. */
#ifndef PORCH_CLOUD_BROKER_VERDICTS_H
#define PORCH_CLOUD_BROKER_VERDICTS_H

#include "access/policy.h"

enum { PORCH_VERDICT_ROWS = 8192 };

typedef struct {
    uint64_t asker; /* 0: empty */
    uint64_t topic;
    uint32_t action;
    porch_access_decision decision;
} porch_verdict;

typedef struct {
    uint64_t askers; /* the last number given */
    porch_verdict rows[PORCH_VERDICT_ROWS];
} porch_verdicts;

/* NULL without memory. */
porch_verdicts *porch_verdicts_new(void);
void porch_verdicts_free(porch_verdicts *v); /* NULL is fine */

/* A number for a new asker. */
uint64_t porch_verdicts_asker(porch_verdicts *v);

/* Where the answer stands or would stand. Strangers cannot choose these numbers, so a plain mixture of them
 * does. */
static inline porch_verdict *porch_verdicts_at(porch_verdicts *v, uint64_t asker, unsigned action,
                                               uint64_t topic) {
    uint64_t h = (asker * 0x9e3779b97f4a7c15u ^ topic) * 0xd6e8feb86659fd93u;
    return &v->rows[((h >> 32) + action) % PORCH_VERDICT_ROWS];
}

/* NULL: not known (any more). */
static inline const porch_verdict *porch_verdicts_find(porch_verdicts *v, uint64_t asker, unsigned action,
                                                       uint64_t topic) {
    const porch_verdict *row = porch_verdicts_at(v, asker, action, topic);
    return row->asker == asker && row->topic == topic && row->action == action ? row : NULL;
}

void porch_verdicts_keep(porch_verdicts *v, uint64_t asker, unsigned action, uint64_t topic,
                         porch_access_decision decision);

#endif
