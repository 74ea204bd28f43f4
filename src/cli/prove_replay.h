/* Carries a counterexample out: a scratch hub with the same policy, two enrolled devices, the real
 * programs. What the proof says can be done is tried, so that a false alarm shows itself. */
#ifndef PORCH_CLI_PROVE_REPLAY_H
#define PORCH_CLI_PROVE_REPLAY_H

#include "access/prove.h"

typedef enum {
    PORCH_REPLAY_PASSED,  /* it went through: the counterexample is real */
    PORCH_REPLAY_REFUSED, /* the scratch hub refused it */
} porch_replay_result;

/* Of a finding of prove isolation. Blocks for some seconds; leaves nothing behind. */
porch_err porch_replay_isolation(porch_bytes policy, const porch_access_finding *finding,
                                 porch_replay_result *ret, porch_why *why);

#endif
