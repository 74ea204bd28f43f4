/* From a setup link to a person who can sign in.
 *
 *   operator: issue ─► link with a token (hashed at rest, one hour)
 *   person:   begin (name, password) ─► TOTP secret and QR code, nothing decided yet, repeatable
 *             confirm (first code)   ─► account, session; the token is spent
 *
 * An invitation makes an adult, a child or a guest of a household, or its owner while it has none.
 * The first link makes the owner and is never issued once there is one. An operator's reset makes a link
 * for one existing person, who chooses a new password and second factor with it; until then that account
 * cannot sign in and its sessions are over. Every step leaves an entry in the trust log. */
#ifndef PORCH_CLOUD_ACCOUNTS_SETUP_H
#define PORCH_CLOUD_ACCOUNTS_SETUP_H

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_recovery.h"
#include "cloud/accounts/accounts_session.h"

enum { PORCH_SETUP_TOKEN_TEXT = 44 /* 256 bits in base64url, with the terminating zero */ };

/* A new token for the owner's account; an earlier unspent one stops working. `who` names the operator for
 * the trust log. PORCH_ERR_STATE once an owner exists. */
porch_err porch_setup_issue(porch_accounts *accounts, const char *who, uint64_t now_ms,
                            char token[PORCH_SETUP_TOKEN_TEXT], uint64_t *expires_ms, porch_why *why);
/* The same for one existing person, who is locked out until the link was used. PORCH_ERR_NOT_FOUND. */
porch_err porch_setup_reset(porch_accounts *accounts, const char *who, const char *name, uint64_t now_ms,
                            char token[PORCH_SETUP_TOKEN_TEXT], uint64_t *expires_ms, porch_why *why);

/* What an invitation offers. */
typedef struct {
    porch_role role;
    const char *household; /* the caller knows that it is there */
    uint64_t stay_ms;      /* of a guest, from the day the account is made; others: 0 */
} porch_setup_invitation;
/* A token for somebody who has no account yet. USAGE: a guest without an end, or an end for others; STATE:
 * the household has an owner. */
porch_err porch_setup_invite(porch_accounts *accounts, const char *who, const porch_setup_invitation *to,
                             uint64_t now_ms, char token[PORCH_SETUP_TOKEN_TEXT], uint64_t *expires_ms,
                             porch_why *why);

/* Whether a token would still be taken by porch_setup_begin. AUTH, EXPIRED; LIMIT with *retry_after_s. */
porch_err porch_setup_look(porch_accounts *accounts, porch_bytes token, const char *address,
                           uint64_t now_ms, uint32_t *retry_after_s, porch_why *why);

typedef struct {
    porch_bytes token;
    porch_bytes name;
    porch_bytes password;
    porch_bytes timezone; /* IANA name; empty: the household's stays */
    const char *address;  /* of the peer, for throttling */
} porch_setup_request;

/* What the person's authenticator needs. Shown once and kept nowhere else: porch_setup_offer_free wipes. */
typedef struct {
    char *totp_uri; /* otpauth://totp/... */
    char totp_secret[64];
    char *qr_svg; /* an <svg> element of the URI */
} porch_setup_offer;
void porch_setup_offer_free(porch_setup_offer *offer);

/* PORCH_ERR_AUTH (token unknown or spent), EXPIRED (its hour is over), MALFORMED (name, time zone),
 * LIMIT with *retry_after_s (throttled), USAGE (password too weak), BUSY, CHILD (signer away). */
porch_err porch_setup_begin(porch_accounts *accounts, const porch_setup_request *request, uint64_t now_ms,
                            porch_setup_offer *ret, uint32_t *retry_after_s, porch_why *why);

typedef struct {
    porch_person person;
    char session[PORCH_SESSION_TOKEN_TEXT];
    char timezone[65];             /* what begin was given, for the person's household; "" when nothing */
    porch_recovery_codes recovery; /* shown once; a reset makes new ones, too */
} porch_setup_done;

/* Judges the first code, creates the account (or renews the reset one), spends the token and opens a
 * session. Errors as above; PORCH_ERR_STATE when begin has not been called with this token; a wrong code
 * is PORCH_ERR_DENIED (the token stays good). */
porch_err porch_setup_confirm(porch_accounts *accounts, porch_bytes token, const char *code,
                              const porch_sign_in_from *from, uint64_t now_ms, porch_setup_done *ret,
                              uint32_t *retry_after_s, porch_why *why);

#endif
