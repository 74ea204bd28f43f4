/* Changing the password: the old one once more, a fresh code, and then every other sign-in is over. The one
 * that changes it goes on under a new token, so that a copy of its cookie is worth nothing any more. */
#ifndef PORCH_CLOUD_ACCOUNTS_CHANGE_H
#define PORCH_CLOUD_ACCOUNTS_CHANGE_H

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_session.h"

typedef struct {
    const porch_user_session *session;
    porch_bytes old_password;
    porch_bytes new_password;
    porch_sign_in_from from;
} porch_password_change;

typedef struct {
    char session[PORCH_SESSION_TOKEN_TEXT]; /* the new token for the cookie */
    unsigned ended;                         /* other sign-ins that are over now */
} porch_password_changed;

/* PORCH_ERR_STEP_UP: not without a fresh code; DENIED: the old password is wrong; USAGE: the new one is too
 * weak or the old one again; LIMIT with *retry_after_s; AUTH: the sign-in ended meanwhile; MALFORMED; BUSY.
 * Wipe *ret after use. */
porch_err porch_accounts_change_password(porch_accounts *accounts, const porch_password_change *change,
                                         uint64_t now_ms, porch_password_changed *ret,
                                         uint32_t *retry_after_s, porch_why *why);

#endif
