/* What a person should know of: somebody signed in as them, or had their password and not the second
 * factor, or changed the password, or made new recovery codes.
 *
 *   sign-in, change ─► row in the same transaction ─► observers in it (push messages are queued)
 *                                     │ commit
 *                                     └─► observers (the person's other live pages)
 *   "it was me" / "not me" ─► answered, once; "not me" also ends the sign-in that it is about
 *
 * Stored, and at most people.alerts of one person. Half-finished sign-ins from one address within
 * people.alert_join_s are one alert that counts them: nobody is told twice. */
#ifndef PORCH_CLOUD_ACCOUNTS_ALERT_H
#define PORCH_CLOUD_ACCOUNTS_ALERT_H

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_session.h"

typedef enum {
    PORCH_ALERT_SIGN_IN,
    PORCH_ALERT_HALF,
    PORCH_ALERT_PASSWORD,
    PORCH_ALERT_RECOVERY_CODES
} porch_alert_kind;

typedef enum { PORCH_ALERT_OPEN, PORCH_ALERT_MINE, PORCH_ALERT_NOT_MINE } porch_alert_answer;

enum { PORCH_ALERT_ID_TEXT = 33 };

typedef struct {
    char id[PORCH_ALERT_ID_TEXT]; /* "" : no new alert was made */
    char account[PORCH_PERSON_ID_TEXT];
    porch_alert_kind kind;
    porch_alert_answer answer;
    uint64_t at_ms, last_ms; /* the first and the last time */
    uint32_t count;
    char address[PORCH_ADDRESS_TEXT];
    char agent[PORCH_AGENT_TEXT];
    char
        session[PORCH_SESSION_ID_TEXT]; /* the sign-in that it is about or that did it; "" for a half one */
    bool session_lives;
    bool own; /* it is about the session that asks */
} porch_alert;

/* "sign-in", "half", "password", "recovery-codes"; "", "mine", "not-mine". */
const char *porch_alert_kind_text(porch_alert_kind kind);
const char *porch_alert_answer_text(porch_alert_answer answer);

/* The person's, newest first. */
typedef void (*porch_alert_each_fn)(const porch_alert *alert, void *ctx);
porch_err porch_alert_list(porch_accounts *accounts, const porch_user_session *own, porch_alert_each_fn fn,
                           void *ctx, porch_why *why);

/* Answers one. Not mine: the sign-in that it is about is ended (*ended), unless it is the one that asks.
 * PORCH_ERR_NOT_FOUND: no such one of theirs; PORCH_ERR_STATE: answered already, or about the very session
 * that asks (a thief must not wave the own alert away). */
porch_err porch_alert_give_answer(porch_accounts *accounts, const porch_user_session *own, const char *id,
                                  bool mine, const char *address, bool *ended, porch_why *why);

/* `in_write` is called inside the transaction that makes a new alert, `told` after its commit, on the
 * thread that made it. Either may be NULL. Add before serving starts. */
typedef porch_err (*porch_alert_write_fn)(porch_db *db, const porch_alert *alert, void *ctx,
                                          porch_why *why);
void porch_alert_on_new(porch_accounts *accounts, porch_alert_write_fn in_write, porch_alert_each_fn told,
                        void *ctx);

#endif
