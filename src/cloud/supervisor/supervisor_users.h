/* Who each process runs as when the hub is started as root: the hub as hub.user, each helper as a user of
 * its own when there is one. Not started as root, all of them are the starter. */
#ifndef PORCH_CLOUD_SUPERVISOR_USERS_H
#define PORCH_CLOUD_SUPERVISOR_USERS_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/settings/settings.h"

typedef enum {
    PORCH_CHILD_HUB,
    PORCH_CHILD_SIGNER,
    PORCH_CHILD_ANALYST,
    PORCH_CHILD_COURIER,
    PORCH_CHILD_COUNT
} porch_child_role;

enum { PORCH_USERS_NAME_BYTES = 64, PORCH_USERS_COMMAND_BYTES = 5000 };

typedef struct {
    uid_t uid;
    gid_t gid;
    gid_t also; /* the one supplementary group that its process has; 0: none */
} porch_user;

typedef struct {
    porch_user of[PORCH_CHILD_COUNT];
    bool separate; /* some helper has another user than the hub */
    /* The user that was looked for and is not there, so that the hub's was taken; empty: none. */
    char missing[PORCH_CHILD_COUNT][PORCH_USERS_NAME_BYTES];
} porch_users;

/* The file of the TPM that guards the keys; NULL when none does, or when it is reached otherwise. */
const char *porch_users_tpm(const porch_settings *s);
/* With users of their own the signer's also gets the group that may use porch_users_tpm(), tss on Debian.
 * NOT_FOUND, with the command that makes one, for a user that the settings name. One that follows from
 * hub.user's name alone (porchlight-signer) may be missing: the hub's is taken then. */
porch_err porch_users_find(const porch_settings *s, porch_users *ret, porch_why *why);
porch_err porch_users_named(const char *name, porch_user *ret, porch_why *why);
/* The shell command that makes the missing users and gives the signer its folder; false when none is
 * missing. */
bool porch_users_mend(const porch_users *u, const char *dir, char out[PORCH_USERS_COMMAND_BYTES]);
/* The calling process becomes the hub's user for good. Where helpers have users of their own it keeps the
 * rights to change user and group and to signal (CAP_SETUID, CAP_SETGID, CAP_KILL); a program that it
 * starts has none of them. */
porch_err porch_users_become(const porch_users *u, porch_why *why);

#endif
