/* Sessions: 256 random bits in a cookie, of which the hub keeps only the SHA-256.
 *
 * A session ends when it is signed out, when it was idle for people.session_idle_s, when it is
 * people.session_life_s old, or when its person is reset. Observers hear of each end, so that live streams
 * opened with it are closed. */
#ifndef PORCH_CLOUD_ACCOUNTS_SESSION_H
#define PORCH_CLOUD_ACCOUNTS_SESSION_H

#include "cloud/accounts/accounts.h"

/* What a cookie proved. `hash` names the session without being able to open it. */
typedef struct {
    uint8_t hash[32];
    porch_person person;
    uint64_t expires_ms; /* the end of its life, were it never idle */
} porch_user_session;

/* PORCH_ERR_AUTH: no such session, or over. Remembers that it was used (at most once a minute on disk). */
porch_err porch_user_session_find(porch_accounts *accounts, porch_bytes token, uint64_t now_ms,
                                  porch_user_session *ret, porch_why *why);
/* Whether it still lives, without counting as use: for streams that stay open. */
bool porch_user_session_alive(porch_accounts *accounts, const uint8_t hash[32], uint64_t now_ms);
/* Signs out. Unknown ones are PORCH_OK: the wish is fulfilled. */
porch_err porch_user_session_end(porch_accounts *accounts, const porch_user_session *session,
                                 uint64_t now_ms, porch_why *why);

/* Called after a session's end is durable, on the thread that ended it. Add before serving starts. */
typedef void (*porch_user_session_end_fn)(const uint8_t hash[32], void *ctx);
void porch_user_session_on_end(porch_accounts *accounts, porch_user_session_end_fn fn, void *ctx);

#endif
