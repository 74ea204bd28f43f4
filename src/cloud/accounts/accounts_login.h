/* Signing in: name, password and second factor in one step, and one answer for whatever was wrong.
 *
 * The work is the same for a known and an unknown name: one Argon2id verification (against a dummy hash
 * where there is no account) and one question to the signer. What was wrong is told to the operator's log
 * only. In place of the code, one of the person's recovery codes is as good, once. An attempt is counted
 * before it is judged, so that many at once gain nothing, and the count of each wrong one is committed
 * before the answer, so that a restart forgives nothing. The person hears of each sign-in and of each
 * attempt that had the password (accounts_alert); the latter is written in the commit that every wrong
 * attempt makes, so that the time of the answer does not tell a right password. */
#ifndef PORCH_CLOUD_ACCOUNTS_LOGIN_H
#define PORCH_CLOUD_ACCOUNTS_LOGIN_H

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_session.h"

typedef struct {
    porch_bytes name;
    porch_bytes password;
    porch_bytes code;
    porch_sign_in_from from;
} porch_login_request;

/* PORCH_OK: *ret and the session's token (for the cookie). PORCH_ERR_AUTH: something was wrong.
 * PORCH_ERR_LIMIT: too many attempts, *retry_after_s says how long to wait. PORCH_ERR_BUSY: too many
 * password hashes at work. PORCH_ERR_CHILD: the signer is away. */
porch_err porch_login(porch_accounts *accounts, const porch_login_request *request, uint64_t now_ms,
                      porch_person *ret, char session[PORCH_SESSION_TOKEN_TEXT], uint32_t *retry_after_s,
                      porch_why *why);

#endif
