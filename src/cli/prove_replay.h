/* Carries a counterexample out: a scratch hub with the same policy, the principal that it names, the real
 * programs and the real doors. What the proof says can be done is tried, so that a false alarm shows
 * itself.
 *
 *      device, service   enrolled; speaks and listens with porchlight-device, by its certificate
 *      person            invited to the household with the role, signed in by password and second factor;
 * MQTT over WebSocket, as the app does the other side    a service that may say and hear everything
 *
 *   prove_replay_hub     the hub, the programs       prove_replay_web   HTTPS as a browser has it
 *   prove_replay_person  from invitation to sign-in  prove_replay_app   MQTT in a WebSocket
 */
#ifndef PORCH_CLI_PROVE_REPLAY_H
#define PORCH_CLI_PROVE_REPLAY_H

#include "access/prove.h"

typedef enum {
    PORCH_REPLAY_PASSED,  /* it went through: the counterexample is real */
    PORCH_REPLAY_REFUSED, /* the scratch hub refused it */
} porch_replay_result;

enum { PORCH_REPLAY_MATES_MOST = 8 };

/* What is to be carried out: publishing to the finding's topic, or receiving from it. */
typedef struct {
    const porch_access_finding *finding;
    porch_bytes
        mates[PORCH_REPLAY_MATES_MOST]; /* levels of the topic that are devices of the person's home */
    size_t mate_count;
} porch_replay_case;

/* Can it be carried out at all? Reading the hub's API cannot. */
bool porch_replay_can(const porch_access_finding *finding);
/* Of a finding of prove isolation or nobody. Blocks for some seconds; leaves nothing behind. */
porch_err porch_replay(porch_bytes policy, const porch_replay_case *what, porch_replay_result *ret,
                       porch_why *why);

#endif
