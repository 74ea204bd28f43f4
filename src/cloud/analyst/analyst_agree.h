/* One frame proves nothing: a person counts when enough of the last five samples show one in the same
 * place. Pure arithmetic. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_AGREE_H
#define PORCH_CLOUD_ANALYST_ANALYST_AGREE_H

#include "cloud/analyst/analyst_ipc.h"

#define PORCH_ANALYST_WINDOW 5u

typedef struct {
    uint32_t needed; /* samples that must agree, 1 to 5 */
    uint32_t next;   /* place of the sample to come */
    struct {
        uint32_t count;
        porch_analyst_seen seen[PORCH_ANALYST_PEOPLE_MAX];
    } window[PORCH_ANALYST_WINDOW];
} porch_analyst_agree;

void porch_analyst_agree_init(porch_analyst_agree *a, uint32_t needed);
/* Takes one sample (samples without motion count as empty ones). True when something in it is confirmed:
 * *ret is the best such, *agreeing how many samples of the window show it, this one included. */
bool porch_analyst_agree_take(porch_analyst_agree *a, const porch_analyst_sample *sample,
                              porch_analyst_seen *ret, uint32_t *agreeing);

#endif
