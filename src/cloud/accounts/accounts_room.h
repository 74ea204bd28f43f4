/* The room's inside, for its own files only. */
#ifndef PORCH_CLOUD_ACCOUNTS_ROOM_H
#define PORCH_CLOUD_ACCOUNTS_ROOM_H

#include <pthread.h>

#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_alert.h"
#include "cloud/accounts/accounts_recovery.h"
#include "cloud/accounts/accounts_session.h"
#include "cloud/accounts/accounts_stepup.h"
#include "cloud/accounts/accounts_throttle.h"
#include "crypto/password.h"

enum {
    PORCH_ACCOUNTS_SEALED_MAX = 512, /* bytes of a sealed TOTP secret */
    PORCH_ACCOUNTS_END_OBSERVERS = 4,
    PORCH_ACCOUNTS_SIGNER_WAIT_S = 30, /* told when the signer has enough of wrong codes */
    PORCH_ACCOUNTS_TIMEZONE_MAX = 64
};

typedef struct {
    porch_user_session_end_fn fn;
    void *ctx;
} porch_accounts_observer;

struct porch_accounts {
    porch_store *store;
    porch_signer_client *signer;
    uint64_t setup_link_ms, session_idle_ms, session_life_ms, installed_idle_ms, installed_life_ms;
    uint64_t step_up_ms, alert_join_ms, login_forget_ms;
    uint32_t sessions_max, login_free, address_free, alerts_max;

    pthread_mutex_t throttle_lock;
    porch_throttle *throttle;

    /* The gate before Argon2 and zxcvbn. */
    pthread_mutex_t gate_lock;
    pthread_cond_t gate_open;
    unsigned working, working_max, waiting, waiting_max;

    /* What an unknown name is judged against: same work, never right. */
    char dummy_password[PORCH_PASSWORD_HASH_BYTES];
    pthread_mutex_t dummy_lock;
    uint8_t dummy_totp[PORCH_ACCOUNTS_SEALED_MAX];
    size_t dummy_totp_len; /* 0: not made yet, the signer was away */

    porch_accounts_observer ended[PORCH_ACCOUNTS_END_OBSERVERS];
    size_t ended_count;
    porch_sign_ins_end_fn end_in_write;
    void *end_in_write_ctx;
    porch_alert_write_fn alert_in_write;
    porch_alert_each_fn alert_told;
    void *alert_ctx;
};

/* An account's row with its secrets. */
typedef struct {
    porch_person person;
    char password[PORCH_PASSWORD_HASH_BYTES];
    char totp_id[PORCH_PERSON_ID_TEXT]; /* the second factor's account at the signer */
    uint8_t totp[PORCH_ACCOUNTS_SEALED_MAX];
    size_t totp_len;
} porch_account_row;

/* Takes one of the places at the gate; BUSY when too many wait already. Blocks. */
porch_err porch_accounts_gate_enter(porch_accounts *a, porch_why *why);
void porch_accounts_gate_leave(porch_accounts *a);

/* Locked forms of accounts_throttle.h: 0 or the seconds to wait. */
uint32_t porch_accounts_throttle_begin(porch_accounts *a, const porch_throttle_subject *subjects,
                                       size_t count, uint64_t now_ms);
/* The attempt was right: the first subject starts anew, the others do not count it. */
void porch_accounts_throttle_good(porch_accounts *a, const porch_throttle_subject *subjects, size_t count);
/* It was never judged: nobody counts it. */
void porch_accounts_throttle_undo(porch_accounts *a, const porch_throttle_subject *subjects, size_t count);

/* ---- accounts_throttle_store.c: wrong attempts survive a restart ---- */
/* What they are counted for: a name at the door, whoever types it, or an account whose person is signed in
 * and proves it once more. They are two, so that who knows a name makes nobody wait who is signed in. */
typedef struct {
    char kind;
    const char *text;
} porch_accounts_guarded;
static inline porch_accounts_guarded porch_accounts_at_the_door(const char *name_key) {
    return (porch_accounts_guarded){'n', name_key};
}
static inline porch_accounts_guarded porch_accounts_signed_in(const char *account) {
    return (porch_accounts_guarded){'s', account};
}
porch_throttle_subject porch_accounts_throttle_subject(const porch_accounts *a,
                                                       porch_accounts_guarded what);
/* What memory knows of it goes to its row. Inside a write. */
porch_err porch_accounts_throttle_save(porch_accounts *a, porch_db *db, porch_accounts_guarded what,
                                       bool known, porch_why *why);
/* The same in a write of its own; a disk that refuses costs only the memory of it. */
void porch_accounts_throttle_keep(porch_accounts *a, porch_accounts_guarded what);
/* The row goes: the person proved to be it. Inside a write. */
porch_err porch_accounts_throttle_forget(porch_db *db, porch_accounts_guarded what, porch_why *why);
/* After a restart. */
porch_err porch_accounts_throttle_load(porch_accounts *a, porch_why *why);

/* ASCII lower case into out (PORCH_PERSON_NAME_TEXT bytes). */
void porch_accounts_name_key(porch_bytes name, char out[PORCH_PERSON_NAME_TEXT]);
/* Reads the account of a name key. NOT_FOUND. Inside a read or write. */
porch_err porch_accounts_row_by_key(porch_db *db, const char *name_key, porch_account_row *ret,
                                    porch_why *why);
/* The columns of `account` that make a porch_person, in the order that porch_accounts_person_from reads. */
#define PORCH_ACCOUNT_COLUMNS                                                         \
    "account.id, account.name, account.role, account.household, account.created_ms, " \
    "account.last_login_ms, account.awaiting_reset, account.expires_ms"
enum { PORCH_ACCOUNT_COLUMN_COUNT = 8 };
porch_err porch_accounts_person_from(porch_db_query *q, porch_person *ret);
/* Whether a guest's time is over. */
bool porch_accounts_expired(const porch_person *person, uint64_t now_ms);

/* A fresh 256-bit token as text and its hash. */
void porch_accounts_token_make(char text[PORCH_SESSION_TOKEN_TEXT], uint8_t hash[32]);
/* AUTH unless the text has the form of a token. */
porch_err porch_accounts_token_hash(porch_bytes text, uint8_t hash[32]);

/* The end of its life, and whether it is over: old or idle. */
uint64_t porch_accounts_session_expires(const porch_accounts *a, bool installed, uint64_t created_ms);
bool porch_accounts_session_over(const porch_accounts *a, bool installed, uint64_t created_ms,
                                 uint64_t seen_ms, uint64_t now_ms);
/* AUTH when it ended since it was looked up. Inside a read or write. */
porch_err porch_accounts_session_there(porch_db *db, const porch_user_session *session, porch_why *why);
/* Collects and deletes sessions of an account, inside a write; tell their ends after the commit. */
typedef struct {
    uint8_t hash[32];
    char id[PORCH_SESSION_ID_TEXT];
} porch_accounts_ended_one;
typedef struct {
    porch_accounts_ended_one *one;
    size_t count;
} porch_accounts_ended;
/* All but the one whose id is `except` ("": all). */
porch_err porch_accounts_sessions_drop(porch_accounts *a, porch_db *db, const char *account,
                                       const char *except, porch_accounts_ended *ret, porch_why *why);
/* The one of that id, if there is one. */
porch_err porch_accounts_session_drop(porch_accounts *a, porch_db *db, const char *account, const char *id,
                                      porch_accounts_ended *ret, porch_why *why);
/* All but the `most` that were seen last. */
porch_err porch_accounts_sessions_keep(porch_accounts *a, porch_db *db, const char *account, uint32_t most,
                                       porch_accounts_ended *ret, porch_why *why);
/* A session row for a person, inside a write; the ones idle longest beyond people.sessions end, which
 * *ended lists. */
porch_err porch_accounts_session_make(porch_accounts *a, porch_db *db, const char *account,
                                      const uint8_t hash[32], const porch_sign_in_from *from,
                                      porch_proof proof, uint64_t now_ms, porch_accounts_ended *ended,
                                      char id[PORCH_SESSION_ID_TEXT], porch_why *why);
/* What else ends with them, in the same write (accounts_session.h). */
porch_err porch_accounts_end_also(porch_accounts *a, porch_db *db, const char *account, const char *id,
                                  const char *except, porch_why *why);
/* Tells the observers and frees the list. */
void porch_accounts_tell_ended(porch_accounts *a, porch_accounts_ended *ended);
/* `id` is "" when the session itself goes on under another token. */
void porch_accounts_tell_end(porch_accounts *a, const uint8_t hash[32], const char *id);

/* An alert, inside a write; ret->id is "" when it joined one that the person was told of. Tell it after the
 * commit. */
typedef struct {
    porch_alert_kind kind;
    const char *account, *session;
    const porch_sign_in_from *from;
} porch_alert_facts;
porch_err porch_accounts_alert_make(porch_accounts *a, porch_db *db, const porch_alert_facts *facts,
                                    uint64_t now_ms, porch_alert *ret, porch_why *why);
void porch_accounts_tell_alert(porch_accounts *a, const porch_alert *alert);

/* The hash of a recovery code for an account; false (and a hash that fits none) when it has not its form.
 */
bool porch_accounts_recovery_hash(const char *account, porch_bytes code, uint8_t hash[32]);
/* Ten new codes in place of all old ones, inside a write. */
porch_err porch_accounts_recovery_make(porch_db *db, const char *account, uint64_t now_ms,
                                       porch_recovery_codes *ret, porch_why *why);
/* Whether it would still work; inside a read or write. */
porch_err porch_accounts_recovery_good(porch_db *db, const uint8_t hash[32], bool *ret, porch_why *why);
/* Inside a write. AUTH: it was spent meanwhile. */
porch_err porch_accounts_recovery_spend(porch_db *db, const uint8_t hash[32], uint64_t now_ms,
                                        porch_why *why);

/* The password of somebody who is signed in, once more; `wish` names for the log what they want. On success
 * `phc` is the hash that it was judged against. DENIED: wrong; LIMIT with *retry_after_s; BUSY. */
porch_err porch_accounts_password_again(porch_accounts *a, const porch_person *person, porch_bytes password,
                                        const char *address, const char *wish, uint64_t now_ms,
                                        char phc[PORCH_PASSWORD_HASH_BYTES], uint32_t *retry_after_s,
                                        porch_why *why);
/* Judges a new password and hashes it, behind the gate. USAGE with a tip: too weak. */
porch_err porch_accounts_password_hash(porch_accounts *a, porch_bytes password, porch_bytes name,
                                       char out[PORCH_PASSWORD_HASH_BYTES], porch_why *why);

/* A trust-log entry about a person. `who` NULL: the person; address may be NULL. */
porch_err porch_accounts_trust(porch_db *db, const char *kind, const char *who, const char *name,
                               const char *address, porch_why *why);

#endif
