/* Landlock through its three system calls; Debian 12 has no library for it. Rights that the running kernel
 * does not know are left out: version 1 (Linux 5.13) has the basic ones, 2 adds REFER, 3 TRUNCATE, 5
 * IOCTL_DEV, 6 scopes. */
#include "os/sandbox_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than Debian 12's header. */
#define RIGHT_TRUNCATE  (1ULL << 14)
#define RIGHT_IOCTL_DEV (1ULL << 15)
/* What may be granted on a path that is no folder; the kernel refuses a rule with more. */
#define SINGLE_FILE_RIGHTS  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL        (1ULL << 1)

/* The attribute as version 6 has it; an older kernel is given only the size it knows. */
typedef struct {
    uint64_t handled_fs;
    uint64_t handled_net;
    uint64_t scoped;
} ruleset_attr;

enum {
    READ_RIGHTS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    WRITE_RIGHTS = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                   LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                   LANDLOCK_ACCESS_FS_REMOVE_DIR
};

static uint64_t rights_known(int version) {
    uint64_t all = (1ULL << 13) - 1; /* version 1: EXECUTE to MAKE_SYM */
    if (version >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) all |= RIGHT_TRUNCATE;
    if (version >= 5) all |= RIGHT_IOCTL_DEV;
    return all;
}

static porch_err allow(int ruleset, const char *path, uint64_t rights, bool must_exist, porch_why *why) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        if (!must_exist && (errno == ENOENT || errno == ENOTDIR)) return PORCH_OK;
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "sandbox: cannot open %s: %s", path, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) rights &= SINGLE_FILE_RIGHTS;
    struct landlock_path_beneath_attr beneath = {.allowed_access = rights, .parent_fd = fd};
    long done = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    int error = errno;
    close(fd);
    if (done == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "sandbox: Landlock refuses the rule for %s: %s", path,
                      strerror(error));
}

static porch_err allow_all(int ruleset, const porch_sandbox_profile *p, uint64_t known, porch_why *why) {
    for (const char *const *path = p->read_only; path != NULL && *path != NULL; path++)
        PORCH_TRY(allow(ruleset, *path, READ_RIGHTS, false, why));
    uint64_t write = (READ_RIGHTS | WRITE_RIGHTS | LANDLOCK_ACCESS_FS_REFER | RIGHT_TRUNCATE) & known;
    for (const char *const *path = p->read_write; path != NULL && *path != NULL; path++)
        PORCH_TRY(allow(ruleset, *path, write, true, why));
    return PORCH_OK;
}

porch_err porch_sandbox_landlock(const porch_sandbox_profile *profile, int *version, porch_why *why) {
    *version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (*version <= 0) {
        *version = 0;
        return PORCH_OK;
    }
    ruleset_attr attr = {.handled_fs = rights_known(*version),
                         .scoped = *version >= 6 ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL : 0};
    size_t size = *version >= 6 ? sizeof attr : (*version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t));
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return porch_fail(why, PORCH_ERR_IO, "sandbox: Landlock gives no ruleset: %s", strerror(errno));
    porch_err e = allow_all(ruleset, profile, attr.handled_fs, why);
    if (e == PORCH_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        e = porch_fail(why, PORCH_ERR_IO, "sandbox: Landlock cannot be entered: %s", strerror(errno));
    close(ruleset);
    return e;
}
