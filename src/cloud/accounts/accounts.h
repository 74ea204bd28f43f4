/* The people of a hub: who may sign in, to which household they belong, and what a browser's cookie proves.
 *
 *   setup link ─► accounts_setup ─► owner            (also: an operator's reset of one person)
 *   name, password, code ─► accounts_login ─► session token ─► accounts_session ─► porch_person
 *
 * accounts_password judges and hashes passwords; accounts_throttle slows guessing. This file holds what
 * all of them share and what other rooms need: the room's handle and the person. All calls block (database,
 * signer, password hash) and belong on workers, never on shards; all are safe from any thread. */
#ifndef PORCH_CLOUD_ACCOUNTS_H
#define PORCH_CLOUD_ACCOUNTS_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/settings/settings.h"
#include "cloud/signer/signer_client.h"
#include "cloud/store/store.h"
#include "wire/role.h"

typedef struct porch_accounts porch_accounts;

enum {
    PORCH_PERSON_ID_TEXT = 33,    /* 128 bits in hex, with the terminating zero */
    PORCH_PERSON_NAME_TEXT = 65,  /* at most 64 bytes of UTF-8 */
    PORCH_SESSION_TOKEN_TEXT = 44 /* 256 bits in base64url */
};

/* A person as every other room sees one. */
typedef struct {
    char id[PORCH_PERSON_ID_TEXT];
    char name[PORCH_PERSON_NAME_TEXT];
    porch_role role;
    char household[65];
    uint64_t created_ms;
    uint64_t last_login_ms; /* 0: never */
    uint64_t expires_ms;    /* from then on nobody is signed in with it; 0: it stays */
    bool awaiting_reset;    /* an operator reset this account: it cannot sign in until it is set up again */
} porch_person;

/* The borrowed handles must outlive the room. */
porch_err porch_accounts_open(porch_store *store, const porch_settings *settings,
                              porch_signer_client *signer, porch_accounts **ret, porch_why *why);
void porch_accounts_close(porch_accounts *accounts);

/* A name as people may choose one: UTF-8, 1 to 64 bytes, no control characters, no space at either end.
 * Two names that differ only in ASCII case are one. PORCH_ERR_MALFORMED says what to change. */
porch_err porch_person_name_check(porch_bytes name, porch_why *why);

/* Everybody, by name. `fn` returns false to stop. */
typedef bool (*porch_person_each_fn)(const porch_person *person, void *ctx);
porch_err porch_accounts_list(porch_accounts *accounts, porch_person_each_fn fn, void *ctx, porch_why *why);
/* One person by name, in any ASCII case. PORCH_ERR_NOT_FOUND. */
porch_err porch_accounts_find(porch_accounts *accounts, const char *name, porch_person *ret,
                              porch_why *why);

struct porch_password_verdict;
/* porch_password_judge behind the gate that bounds how many run at once. BUSY when too many wait. */
porch_err porch_accounts_password_check(porch_accounts *accounts, porch_bytes password, porch_bytes name,
                                        struct porch_password_verdict *ret, porch_why *why);

/* How many password hashes and estimates are at work now and how many wait; for status pages. */
void porch_accounts_load(porch_accounts *accounts, unsigned *working, unsigned *waiting);

#endif
