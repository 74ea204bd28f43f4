/* Recovery codes: ten per person, 80 random bits each, of which the hub keeps only hashes.
 *
 *   setup confirmed, or password again + a fresh code ─► ten new codes, shown once; the old ones stop
 * working sign-in with one in place of the code ─► it is spent
 *
 * Wrong ones get the answer, the work and the throttle of wrong codes: accounts_login has both. */
#ifndef PORCH_CLOUD_ACCOUNTS_RECOVERY_H
#define PORCH_CLOUD_ACCOUNTS_RECOVERY_H

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_session.h"

enum {
    PORCH_RECOVERY_CODES = 10,
    PORCH_RECOVERY_CODE_TEXT = 20 /* "ABCD-EFGH-IJKL-MNOP" and the terminating zero */
};

/* Wipe it after showing it. */
typedef struct {
    char text[PORCH_RECOVERY_CODES][PORCH_RECOVERY_CODE_TEXT];
} porch_recovery_codes;

/* How many of the person's codes still work, and when they were made (0: never). */
porch_err porch_recovery_left(porch_accounts *accounts, const porch_person *person, unsigned *left,
                              uint64_t *made_ms, porch_why *why);

/* Makes ten new codes; the old ones stop working. PORCH_ERR_STEP_UP_APP: not without a fresh code from the
 * authenticator app; PORCH_ERR_DENIED: the password is wrong; PORCH_ERR_LIMIT with *retry_after_s: too many
 * attempts; AUTH: the sign-in ended meanwhile; BUSY. */
porch_err porch_recovery_renew(porch_accounts *accounts, const porch_user_session *session,
                               porch_bytes password, const porch_sign_in_from *from, uint64_t now_ms,
                               porch_recovery_codes *ret, uint32_t *retry_after_s, porch_why *why);

#endif
