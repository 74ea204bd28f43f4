#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_TREE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_TREE                                                                \
    (READ_TREE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR)
#define ALL ((1ull << 13) - 1) /* the rights of Landlock's first version */

/* A path that cannot be reached is no place to be kept open. */
static bool allow(int ruleset, const porch_camera_place *place) {
    struct stat st;
    struct landlock_path_beneath_attr rule = {.parent_fd = open(place->path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0) return true;
    bool folder = fstat(rule.parent_fd, &st) == 0 && S_ISDIR(st.st_mode);
    rule.allowed_access = place->write ? WRITE_TREE : READ_TREE;
    if (!folder) rule.allowed_access &= READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    long r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    (void)close(rule.parent_fd);
    return r == 0;
}

static bool fence_files(const porch_camera_places *places, bool *landlock, char why[256]) {
    const struct landlock_ruleset_attr all = {.handled_access_fs = ALL};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    *landlock = ruleset >= 0;
    if (ruleset < 0) return true;
    bool good = true;
    for (size_t i = 0; good && i < places->count; i++)
        good = allow(ruleset, &places->at[i]);
    good = good && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    if (!good) (void)snprintf(why, 256, "the fence around files cannot be set: %s", strerror(errno));
    (void)close(ruleset);
    return good;
}

static const int refused[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(personality),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(setuid),
};

static int fence_calls(void) {
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
    if (!c) return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof refused / sizeof refused[0]; i++)
        r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    /* Sockets of the internet and (for the resolver) of this machine; nothing raw, nothing of the kernel's.
     */
    if (r == 0)
        r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_GT, AF_INET6, 0));
    if (r == 0)
        r = seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW));
    if (r == 0) r = seccomp_load(c);
    seccomp_release(c);
    return r;
}

bool porch_camera_sandbox(const porch_camera_places *places, bool *landlock, char why[256]) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        (void)snprintf(why, 256, "the kernel does not let this process give up rights: %s",
                       strerror(errno));
        return false;
    }
    if (!fence_files(places, landlock, why)) return false;
    int r = fence_calls();
    if (r != 0) (void)snprintf(why, 256, "the system-call filter cannot be set: %s", strerror(-r));
    return r == 0;
}

/* ---- the decoder's ---- */

/* All that decoding needs of the kernel. Everything else is refused with EPERM. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(lseek),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Calls of which only some shapes are. */
static int allow_shapes(scmp_filter_ctx c, bool device) {
    const unsigned self = (unsigned)getpid();
    int r = 0;
    for (int i = 0; i < 2 && r == 0; i++) /* memory, but none that can be run */
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, i == 0 ? SCMP_SYS(mmap) : SCMP_SYS(mprotect), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (r == 0) /* abort() */
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self, 0));
    const int flags[] = {F_GETFL, F_SETFL, F_GETFD, F_SETFD};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && r == 0; i++)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                             SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)flags[i], 0));
    if (r == 0 && device)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, 'V' << 8));
    return r;
}

static int fence_decoder(bool device) {
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!c) return -ENOMEM;
    int r = allow_shapes(c, device);
    for (size_t i = 0; r == 0 && i < sizeof allowed / sizeof allowed[0]; i++)
        r = seccomp_rule_add(c, SCMP_ACT_ALLOW, allowed[i], 0);
    if (r == 0) r = seccomp_load(c);
    seccomp_release(c);
    return r;
}

/* A ruleset without a rule: no file can be opened any more. */
static bool fence_all_files(void) {
    const struct landlock_ruleset_attr all = {.handled_access_fs = ALL};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (ruleset < 0) return false;
    bool good = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    (void)close(ruleset);
    return good;
}

bool porch_camera_sandbox_lock(bool device, bool *landlock, char why[256]) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        (void)snprintf(why, 256, "the kernel does not let the decoder give up rights: %s", strerror(errno));
        return false;
    }
    *landlock = fence_all_files();
    int r = fence_decoder(device);
    if (r != 0)
        (void)snprintf(why, 256, "the decoder's system-call filter cannot be set: %s", strerror(-r));
    return r == 0;
}
