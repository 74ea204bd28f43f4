#include "cloud/supervisor/supervisor_users.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const endings[PORCH_CHILD_COUNT] = {
    [PORCH_CHILD_SIGNER] = "-signer",
    [PORCH_CHILD_ANALYST] = "-analyst",
    [PORCH_CHILD_COURIER] = "-courier",
};

porch_err porch_users_named(const char *name, porch_user *ret, porch_why *why) {
    struct passwd entry;
    struct passwd *found = NULL;
    char strings[4096];
    int rc = getpwnam_r(name, &entry, strings, sizeof strings, &found);
    if (!found)
        return porch_fail(why, PORCH_ERR_NOT_FOUND,
                          "there is no user '%s'%s%s; make one: useradd --system %s", name, rc ? ": " : "",
                          rc ? strerror(rc) : "", name);
    *ret = (porch_user){found->pw_uid, found->pw_gid, 0};
    return PORCH_OK;
}

static porch_err find_helper(const porch_settings *s, porch_child_role role, const char *wish,
                             porch_users *u, porch_why *why) {
    if (wish[0]) return porch_users_named(wish, &u->of[role], why);
    if (!s->hub_user[0]) return PORCH_OK;
    char *name = u->missing[role];
    (void)snprintf(name, PORCH_USERS_NAME_BYTES, "%.32s%s", s->hub_user, endings[role]);
    if (porch_users_named(name, &u->of[role], NULL) == PORCH_OK) name[0] = '\0';
    return PORCH_OK;
}

const char *porch_users_tpm(const porch_settings *s) {
    static const char scheme[] = "device:";
    bool by_file = strcmp(s->hub_seal, "tpm") == 0 && strncmp(s->hub_tpm, scheme, sizeof scheme - 1) == 0;
    return by_file ? s->hub_tpm + sizeof scheme - 1 : NULL;
}

/* 0: whoever may use it does so as its owner, or everybody may. */
static gid_t group_of_tpm(const porch_settings *s) {
    const mode_t read_and_write = S_IRGRP | S_IWGRP;
    const char *tpm = porch_users_tpm(s);
    struct stat st;
    if (tpm == NULL || stat(tpm, &st) != 0 || (st.st_mode & read_and_write) != read_and_write) return 0;
    return st.st_gid;
}

porch_err porch_users_find(const porch_settings *s, porch_users *ret, porch_why *why) {
    porch_users u = {.separate = false};
    porch_user hub = {geteuid(), getegid(), 0};
    bool root = hub.uid == 0;
    if (root && s->hub_user[0]) PORCH_TRY(porch_users_named(s->hub_user, &hub, why));
    for (int i = 0; i < PORCH_CHILD_COUNT; i++)
        u.of[i] = hub;
    if (root) {
        PORCH_TRY(find_helper(s, PORCH_CHILD_SIGNER, s->hub_signer_user, &u, why));
        PORCH_TRY(find_helper(s, PORCH_CHILD_ANALYST, s->hub_analyst_user, &u, why));
        PORCH_TRY(find_helper(s, PORCH_CHILD_COURIER, s->hub_courier_user, &u, why));
    }
    for (int i = 0; i < PORCH_CHILD_COUNT; i++)
        u.separate = u.separate || u.of[i].uid != hub.uid;
    if (u.separate) u.of[PORCH_CHILD_SIGNER].also = group_of_tpm(s);
    *ret = u;
    return PORCH_OK;
}

static void add(char out[PORCH_USERS_COMMAND_BYTES], const char *before, const char *a, const char *b) {
    size_t used = strlen(out);
    (void)snprintf(out + used, PORCH_USERS_COMMAND_BYTES - used, "%s%s%s%s", used ? " && " : "", before, a,
                   b);
}

bool porch_users_mend(const porch_users *u, const char *dir, char out[PORCH_USERS_COMMAND_BYTES]) {
    out[0] = '\0';
    for (int i = 0; i < PORCH_CHILD_COUNT; i++)
        if (u->missing[i][0]) add(out, "useradd --system ", u->missing[i], "");
    if (u->missing[PORCH_CHILD_SIGNER][0]) {
        char owner[PORCH_USERS_NAME_BYTES + 2];
        (void)snprintf(owner, sizeof owner, "%s ", u->missing[PORCH_CHILD_SIGNER]);
        add(out, "chown -R ", owner, dir);
        (void)strncat(out, "/signer", PORCH_USERS_COMMAND_BYTES - strlen(out) - 1);
    }
    return out[0] != '\0';
}

/* No program that is started from here on can gain a right, whatever its file says. */
static porch_err close_ways_up(porch_why *why) {
    for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* a kernel may know fewer */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0)
        return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "giving up rights failed: %s", strerror(errno));
}

static porch_err keep_three(porch_why *why) {
    const __u32 kept = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{kept, kept, 0}, {0, 0, 0}};
    if (syscall(SYS_capset, &head, sets) == 0 && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "keeping the right to change users failed: %s", strerror(errno));
}

porch_err porch_users_become(const porch_users *u, porch_why *why) {
    porch_user hub = u->of[PORCH_CHILD_HUB];
    if (geteuid() == hub.uid) return PORCH_OK;
    if (u->separate) PORCH_TRY(close_ways_up(why));
    if (setgroups(0, NULL) != 0 || setresgid(hub.gid, hub.gid, hub.gid) != 0 ||
        setresuid(hub.uid, hub.uid, hub.uid) != 0)
        return porch_fail(why, PORCH_ERR_IO, "changing to the hub's user failed: %s", strerror(errno));
    return u->separate ? keep_three(why) : PORCH_OK;
}
