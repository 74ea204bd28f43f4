/* Somebody of the scratch hub's people, from the invitation to the sign-in, by the ways that people have:
 * the operator's link, a name and a password, the second factor's secret and a code of it, and then, as on
 * another day, the sign-in with all three.
 *
 *   user.invite ─► link ─► /setup ─► secret ─► /setup/confirm ─► account ─► /login ─► cookie
 *
 * A guest's time is the hub's default, which begins now. */
#ifndef PORCH_CLI_PROVE_REPLAY_PERSON_H
#define PORCH_CLI_PROVE_REPLAY_PERSON_H

#include "cli/prove_replay_web.h"
#include "wire/role.h"

typedef struct {
    const char *hub_dir; /* of a hub that runs */
    uint16_t https_port;
    const char *name;
    porch_role role;
    const char *household; /* is there; without an owner if this is to be one */
} porch_replay_account;

/* *ret is signed in. Close it after success. Blocks for the hub's password hashes. DENIED with the hub's
 * sentence when it refuses a step. */
porch_err porch_replay_sign_in(const porch_replay_account *account, porch_replay_web *ret, porch_why *why);

enum { PORCH_REPLAY_CODE_TEXT = 8 };
/* The six digits (RFC 6238) of this secret in base32 for a step of 30 seconds. MALFORMED. */
porch_err porch_replay_code(const char *secret, uint64_t step, char out[PORCH_REPLAY_CODE_TEXT],
                            porch_why *why);
/* The token of a link of `user invite`: what stands behind its '#'. NULL: it is no such link. */
const char *porch_replay_token(const char *url);

#endif
