#include "cloud/broker/verdicts.h"

#include <stdlib.h>

porch_verdicts *porch_verdicts_new(void) {
    return calloc(1, sizeof(porch_verdicts));
}

void porch_verdicts_free(porch_verdicts *v) {
    free(v);
}

uint64_t porch_verdicts_asker(porch_verdicts *v) {
    return ++v->askers;
}

void porch_verdicts_keep(porch_verdicts *v, uint64_t asker, unsigned action, uint64_t topic,
                         porch_access_decision decision) {
    *porch_verdicts_at(v, asker, action, topic) = (porch_verdict){asker, topic, action, decision};
}
