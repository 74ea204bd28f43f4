/* Sessions: 256 random bits in a cookie, of which the hub keeps only the SHA-256.
 *
 *   sign-in ─► session ─► seen, seen, ... ─► idle, old, signed out here or from elsewhere, password changed
 *
 * In a browser one lives people.session_life_s and ends when it is idle for people.session_idle_s; where
 * the page is an app on the home screen people.installed_life_s and people.installed_idle_s count. Which of
 * the two it is the page says when it signs in: it is the person's own choice about the own device, as a
 * "stay signed in" would be, and no boundary (whoever signs in by other means may claim either). Observers
 * hear of each end, so that live streams opened with it are closed. */
#ifndef PORCH_CLOUD_ACCOUNTS_SESSION_H
#define PORCH_CLOUD_ACCOUNTS_SESSION_H

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_agent.h"

enum { PORCH_SESSION_ID_TEXT = 33, PORCH_ADDRESS_TEXT = 65 };

/* From where somebody signs in. */
typedef struct {
    const char *address; /* of the peer */
    porch_bytes agent;   /* the User-Agent header, for porch_agent_read; may be empty */
    bool installed;      /* the page says that it is an app on the home screen */
} porch_sign_in_from;

/* How the second factor was last shown. */
typedef enum { PORCH_PROOF_NONE, PORCH_PROOF_CODE, PORCH_PROOF_RECOVERY } porch_proof;

/* What a cookie proved. `hash` and `id` name the session without being able to open it. */
typedef struct {
    uint8_t hash[32];
    char id[PORCH_SESSION_ID_TEXT];
    porch_person person;
    bool installed;
    uint64_t created_ms;
    uint64_t expires_ms; /* the end of its life, were it never idle */
    uint64_t proved_ms;  /* when the second factor was last shown with it: signing in counts */
    porch_proof proved_by;
} porch_user_session;

/* PORCH_ERR_AUTH: no such session, or over. Remembers that it was used (at most once a minute on disk). */
porch_err porch_user_session_find(porch_accounts *accounts, porch_bytes token, uint64_t now_ms,
                                  porch_user_session *ret, porch_why *why);
/* Whether it still lives, without counting as use: for streams that stay open. */
bool porch_user_session_alive(porch_accounts *accounts, const uint8_t hash[32], uint64_t now_ms);
/* Signs out. Unknown ones are PORCH_OK: the wish is fulfilled. */
porch_err porch_user_session_end(porch_accounts *accounts, const porch_user_session *session,
                                 uint64_t now_ms, porch_why *why);

/* A person's sign-ins that are not over, the one used last first. */
typedef struct {
    char id[PORCH_SESSION_ID_TEXT];
    char address[PORCH_ADDRESS_TEXT];
    char agent[PORCH_AGENT_TEXT];
    bool installed, own; /* own: the one that asks */
    uint64_t created_ms, seen_ms, expires_ms;
} porch_user_session_row;
typedef void (*porch_user_session_each_fn)(const porch_user_session_row *row, void *ctx);
porch_err porch_user_session_list(porch_accounts *accounts, const porch_user_session *own, uint64_t now_ms,
                                  porch_user_session_each_fn fn, void *ctx, porch_why *why);
/* Signs out one of the same person's sign-ins by its id. PORCH_ERR_NOT_FOUND: no such one of theirs. */
porch_err porch_user_session_end_one(porch_accounts *accounts, const porch_user_session *own,
                                     const char *id, const char *address, porch_why *why);
/* Signs out all of them but `own`. PORCH_ERR_STEP_UP: not without a fresh code. */
porch_err porch_user_session_end_others(porch_accounts *accounts, const porch_user_session *own,
                                        const char *address, uint64_t now_ms, unsigned *ended,
                                        porch_why *why);

/* Called inside the write that ends sign-ins of an account, but not for those that end by themselves: the
 * one called `id`, or with "" all but `except` ("": all), also those whose time was over before. One for
 * the hub, set before serving starts. */
typedef porch_err (*porch_sign_ins_end_fn)(porch_db *db, const char *account, const char *id,
                                           const char *except, void *ctx, porch_why *why);
void porch_user_session_in_end(porch_accounts *accounts, porch_sign_ins_end_fn fn, void *ctx);
/* Called after a session's end is durable, on the thread that ended it, but not for those that end by
 * themselves. `id` is "" when only its token is another now. Add before serving starts. */
typedef void (*porch_user_session_end_fn)(const uint8_t hash[32], const char *id, void *ctx);
void porch_user_session_on_end(porch_accounts *accounts, porch_user_session_end_fn fn, void *ctx);

#endif
