/* Proving once more that it is you, before what a borrowed or stolen sign-in must not do.
 *
 *   dangerous action ─► demand ─► fresh enough? go on
 *                          └────► PORCH_ERR_STEP_UP[_APP] ─► page asks for a code ─► porch_step_up ─► again
 *
 * A code shown at sign-in counts, and each one for people.step_up_s. Guessing here is counted for the
 * account, apart from sign-ins of its name, so that who knows the name makes nobody wait; of one address
 * both count together. */
#ifndef PORCH_CLOUD_ACCOUNTS_STEPUP_H
#define PORCH_CLOUD_ACCOUNTS_STEPUP_H

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_session.h"

typedef enum {
    PORCH_STEP_UP_ANY,          /* a code or a recovery code */
    PORCH_STEP_UP_AUTHENTICATOR /* a code: a recovery code must not make further ones */
} porch_step_up_need;

/* Whether the second factor was shown with this session within people.step_up_s. Reads nothing: the session
 * is as porch_user_session_find just gave it. PORCH_ERR_STEP_UP; PORCH_ERR_STEP_UP_APP: of the
 * authenticator app and nothing else. */
porch_err porch_step_up_demand(const porch_accounts *accounts, const porch_user_session *session,
                               porch_step_up_need need, uint64_t now_ms, porch_why *why);

/* Takes a fresh code or a recovery code (which is spent) for this session. PORCH_ERR_DENIED: wrong or used;
 * PORCH_ERR_LIMIT with *retry_after_s: too many attempts; PORCH_ERR_AUTH: the session ended meanwhile;
 * CHILD (signer away). */
porch_err porch_step_up(porch_accounts *accounts, const porch_user_session *session, porch_bytes code,
                        const char *address, uint64_t now_ms, uint32_t *retry_after_s, porch_why *why);

/* For how many seconds more the session satisfies PORCH_STEP_UP_ANY. */
uint32_t porch_step_up_left_s(const porch_accounts *accounts, const porch_user_session *session,
                              uint64_t now_ms);

#endif
