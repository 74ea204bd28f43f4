/* Builds the seccomp filter from lists of system calls, one list a permission, and enters it after
 * Landlock. A profile that forks also gets the filter that its children put on top. */
#include "os/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/log.h"
#include "os/sandbox_landlock.h"

#define CALL(name) SCMP_SYS(name)

/* What every program needs to compute, wait and end. */
static const int basic_calls[] = {
    CALL(read),
    CALL(readv),
    CALL(pread64),
    CALL(write),
    CALL(writev),
    CALL(close),
    CALL(close_range),
    CALL(lseek),
    CALL(fstat),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    CALL(pipe2),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(brk),
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(set_tid_address),
    CALL(membarrier),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(times),
    CALL(getrandom),
    CALL(getpid),
    CALL(gettid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getrusage),
    CALL(sysinfo),
    CALL(uname),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(getcpu),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigpending),
    CALL(rt_sigtimedwait),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(exit),
    CALL(exit_group),
    CALL(signalfd4),
    /* talk on sockets that it was given */
    CALL(recvmsg),
    CALL(sendmsg),
    CALL(recvfrom),
    CALL(sendto),
    CALL(recvmmsg),
    CALL(sendmmsg),
    CALL(shutdown),
    CALL(getsockopt),
    CALL(getsockname),
    CALL(getpeername),
};

static const int file_read_calls[] = {
    CALL(newfstatat), CALL(stat),      CALL(lstat),      CALL(statx),      CALL(access), CALL(faccessat),
    CALL(faccessat2), CALL(readlink),  CALL(readlinkat), CALL(getdents64), CALL(getcwd), CALL(statfs),
    CALL(fstatfs),    CALL(fadvise64), CALL(openat),     CALL(open),       CALL(flock),
};

static const int file_write_calls[] = {
    CALL(pwrite64),  CALL(pwritev),   CALL(pwritev2),     CALL(ftruncate),       CALL(msync),
    CALL(fallocate), CALL(fsync),     CALL(fdatasync),    CALL(sync_file_range), CALL(rename),
    CALL(renameat),  CALL(renameat2), CALL(unlink),       CALL(unlinkat),        CALL(rmdir),
    CALL(mkdir),     CALL(mkdirat),   CALL(fchmod),       CALL(chmod),           CALL(fchmodat),
    CALL(fchown),    CALL(umask),     CALL(memfd_create), CALL(copy_file_range), CALL(sendfile),
    CALL(creat),
};

static const int accept_calls[] = {CALL(accept), CALL(accept4), CALL(setsockopt), CALL(listen)};
static const int connect_calls[] = {CALL(connect), CALL(setsockopt)};
static const int fork_calls[] = {CALL(wait4), CALL(waitid), CALL(alarm), CALL(setitimer), CALL(setpgid)};

/* Only in a build with sanitizers, whose runtime looks at its own maps, reports and stops by these. */
#ifdef PORCH_SANITIZE
static const int sanitizer_calls[] = {
    CALL(openat),    CALL(open),      CALL(readlink),    CALL(readlinkat), CALL(newfstatat),
    CALL(stat),      CALL(access),    CALL(getdents64),  CALL(mmap),       CALL(mprotect),
    CALL(tgkill),    CALL(prctl),     CALL(personality), CALL(ioctl),      CALL(sched_setaffinity),
    CALL(getrlimit), CALL(prlimit64), CALL(fsync),       CALL(ftruncate),  CALL(process_vm_readv),
    CALL(clone),     CALL(unlink),
};
enum { SANITIZED = 1 };
#else
static const int sanitizer_calls[] = {CALL(read)};
enum { SANITIZED = 0 };
#endif

/* Threads of a process that has started none: its first, and what a sanitizer's runtime runs beside it
 * (ThreadSanitizer's runs one more after a fork). */
#ifdef __SANITIZE_THREAD__
enum { FIRST_THREADS = 3 };
#else
enum { FIRST_THREADS = SANITIZED ? 2 : 1 };
#endif

static const char *const time_zones[] = {"/usr/share/zoneinfo", "/etc/localtime", "/etc/timezone", NULL};
static const char *const resolver_and_roots[] = {"/etc/resolv.conf",
                                                 "/run/systemd/resolve",
                                                 "/etc/hosts",
                                                 "/etc/nsswitch.conf",
                                                 "/etc/gai.conf",
                                                 "/etc/host.conf",
                                                 "/etc/services",
                                                 "/etc/ssl",
                                                 "/usr/share/ca-certificates",
                                                 "/usr/local/share/ca-certificates",
                                                 "/usr/lib/ssl",
                                                 "/etc/localtime",
                                                 NULL};

const porch_sandbox_profile porch_sandbox_hub = {
    .name = "hub",
    .flags =
        PORCH_SANDBOX_THREADS | PORCH_SANDBOX_FILES_READ | PORCH_SANDBOX_FILES_WRITE | PORCH_SANDBOX_ACCEPT,
    .read_only = time_zones,
    .open_files = 1u << 20, /* what the hard limit allows: shells hand on 1024, one per connection */
};
const porch_sandbox_profile porch_sandbox_signer = {
    .name = "signer",
    .flags = PORCH_SANDBOX_FILES_READ | PORCH_SANDBOX_FILES_WRITE,
    .memory_bytes = 256u << 20,
    .open_files = 64,
};
const porch_sandbox_profile porch_sandbox_analyst = {
    .name = "analyst",
    .flags = PORCH_SANDBOX_THREADS | PORCH_SANDBOX_FORK,
    .memory_bytes = 2ull << 30,
    .open_files = 64,
};
const porch_sandbox_profile porch_sandbox_courier = {
    .name = "courier",
    .flags = PORCH_SANDBOX_THREADS | PORCH_SANDBOX_FILES_READ | PORCH_SANDBOX_INTERNET_CONNECT,
    .read_only = resolver_and_roots,
    .memory_bytes = 512u << 20,
    .open_files = 128,
};

/* A filter under construction: the first refusal of the library is kept. */
typedef struct {
    scmp_filter_ctx ctx;
    int error;
} filter;

static void rule(filter *f, uint32_t action, int call) {
    int done = seccomp_rule_add(f->ctx, action, call, 0);
    if (done != 0 && done != -EEXIST && f->error == 0) f->error = done;
}

/* A test of one argument. The library's own macros leave a field out, which clang takes for a slip. */
static struct scmp_arg_cmp when(unsigned argument, enum scmp_compare op, scmp_datum_t a, scmp_datum_t b) {
    return (struct scmp_arg_cmp){argument, op, a, b};
}

static void rule_if(filter *f, uint32_t action, int call, struct scmp_arg_cmp test) {
    int done = seccomp_rule_add(f->ctx, action, call, 1, test);
    if (done != 0 && done != -EEXIST && f->error == 0) f->error = done;
}

static void allow_list(filter *f, const int *calls, size_t count) {
    for (size_t i = 0; i < count; i++)
        rule(f, SCMP_ACT_ALLOW, calls[i]);
}
#define ALLOW(f, list) allow_list((f), (list), sizeof(list) / sizeof((list)[0]))

/* Memory that is written is never executed: code pages come from the program's files alone, before the
 * wall. */
static void allow_memory(filter *f) {
    if (SANITIZED) return;
    const int calls[] = {CALL(mmap), CALL(mprotect)};
    for (size_t i = 0; i < 2; i++) {
        rule_if(f, SCMP_ACT_ALLOW, calls[i], when(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        rule_if(f, SCMP_ACT_ERRNO(EACCES), calls[i], when(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
    }
}

/* What ends in a signal to itself, such as abort(). Not where children come from: they inherit the filter,
 * in which "itself" is their parent. There it ends in the filter's own signal, just as surely. */
static void allow_self_only(filter *f, uint32_t flags) {
    if (!SANITIZED && (flags & PORCH_SANDBOX_FORK) == 0)
        rule_if(f, SCMP_ACT_ALLOW, CALL(tgkill), when(0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    const int questions[] = {PR_SET_NAME,      PR_GET_NAME,      PR_GET_DUMPABLE,
                             PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_VMA};
    for (size_t i = 0; !SANITIZED && i < sizeof questions / sizeof questions[0]; i++)
        rule_if(f, SCMP_ACT_ALLOW, CALL(prctl), when(0, SCMP_CMP_EQ, (scmp_datum_t)questions[i], 0));
    if (!SANITIZED) rule_if(f, SCMP_ACT_ALLOW, CALL(prlimit64), when(0, SCMP_CMP_EQ, 0, 0));
}

/* Not every ioctl: one types into the terminal that standard error may be. TCGETS is how the C library
 * asks whether something is a terminal. */
static void allow_controls(filter *f) {
    static const unsigned long controls[] = {FIONBIO, FIONREAD, TCGETS};
    for (size_t i = 0; !SANITIZED && i < sizeof controls / sizeof controls[0]; i++)
        rule_if(f, SCMP_ACT_ALLOW, CALL(ioctl), when(1, SCMP_CMP_EQ, controls[i], 0));
}

/* Not every question about a file: F_SETOWN and F_SETSIG have the kernel send any signal to any process of
 * the same user. */
static void allow_file_questions(filter *f) {
    static const int questions[] = {F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,      F_SETFD,
                                    F_GETFL,     F_SETFL,         F_GETLK,      F_SETLK,
                                    F_SETLKW,    F_OFD_GETLK,     F_OFD_SETLK,  F_OFD_SETLKW,
                                    F_ADD_SEALS, F_GET_SEALS,     F_GETPIPE_SZ, F_SETPIPE_SZ};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        rule_if(f, SCMP_ACT_ALLOW, CALL(fcntl), when(1, SCMP_CMP_EQ, (scmp_datum_t)questions[i], 0));
}

static void allow_clone(filter *f, uint32_t flags) {
    const scmp_datum_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_THREAD;
    rule(f, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3)); /* its flags lie in memory, where a filter cannot look */
    if (SANITIZED) return;
    if (flags & PORCH_SANDBOX_THREADS)
        rule_if(f, SCMP_ACT_ALLOW, CALL(clone), when(0, SCMP_CMP_MASKED_EQ, spaces, CLONE_THREAD));
    if (flags & PORCH_SANDBOX_FORK)
        rule_if(f, SCMP_ACT_ALLOW, CALL(clone), when(0, SCMP_CMP_MASKED_EQ, spaces, 0));
}

static void allow_files(filter *f, uint32_t flags) {
    if (flags & PORCH_SANDBOX_FILES_WRITE) ALLOW(f, file_write_calls);
    if (flags & PORCH_SANDBOX_FILES_READ) {
        ALLOW(f, file_read_calls); /* Landlock decides where, and whether for writing */
        return;
    }
    if (SANITIZED) return;
    /* The C library asks after an open descriptor this way; the path is then empty. */
    rule_if(f, SCMP_ACT_ALLOW, CALL(newfstatat), when(3, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    rule_if(f, SCMP_ACT_ERRNO(EACCES), CALL(newfstatat), when(3, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
    for (size_t i = 0; i < sizeof file_read_calls / sizeof file_read_calls[0]; i++) {
        if (file_read_calls[i] != CALL(newfstatat)) rule(f, SCMP_ACT_ERRNO(EACCES), file_read_calls[i]);
    }
}

static void allow_family(filter *f, int call, int family) {
    rule_if(f, SCMP_ACT_ALLOW, call, when(0, SCMP_CMP_EQ, (scmp_datum_t)family, 0));
}

/* `call` makes sockets of these two types of the family; flags beside the type do not matter. */
static void allow_types(filter *f, int call, int family, const int types[2]) {
    for (size_t i = 0; i < 2; i++) {
        struct scmp_arg_cmp of_family = when(0, SCMP_CMP_EQ, (scmp_datum_t)family, 0);
        struct scmp_arg_cmp of_type = when(1, SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)types[i]);
        int done = seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, call, 2, of_family, of_type);
        if (done != 0 && done != -EEXIST && f->error == 0) f->error = done;
    }
}

/* A raw socket, which root could have, would see and forge the traffic of others. */
static void allow_connections(filter *f, int family) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    allow_types(f, CALL(socket), family, types);
}

/* Of the kinds that know one peer: a pair of datagrams sends to any address, and so to every socket of the
 * machine whose mode allows it. */
static void allow_pairs(filter *f) {
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    allow_types(f, CALL(socketpair), AF_UNIX, types);
}

static void allow_sockets(filter *f, uint32_t flags) {
    const uint32_t any = PORCH_SANDBOX_INTERNET_CONNECT | PORCH_SANDBOX_UNIX_SOCKETS;
    if (flags & PORCH_SANDBOX_ACCEPT) ALLOW(f, accept_calls);
    if (flags & (any | PORCH_SANDBOX_ACCEPT)) allow_pairs(f);
    if ((flags & any) == 0) return;
    ALLOW(f, connect_calls);
    if (flags & PORCH_SANDBOX_INTERNET_CONNECT) {
        allow_connections(f, AF_INET);
        allow_connections(f, AF_INET6);
    }
    if (flags & PORCH_SANDBOX_UNIX_SOCKETS) {
        allow_family(f, CALL(socket), AF_UNIX);
    } else {
        /* The resolver first asks a name cache and the routing table; without them it goes on alone. */
        rule_if(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), CALL(socket), when(0, SCMP_CMP_EQ, AF_UNIX, 0));
    }
    rule_if(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), CALL(socket), when(0, SCMP_CMP_EQ, AF_NETLINK, 0));
}

/* ---- a child's own wall ---- */

/* Made by its parent before that is confined, so that the child has nothing to do but to load it. */
static struct sock_filter child_code[512];
static struct sock_fprog child_wall = {0, child_code};

/* A call that would let the child go on past its time, or leave others behind that do. The rest stands in
 * the filter that it has inherited. */
static const int never_a_child[] = {
    CALL(wait4),   CALL(waitid),          CALL(alarm),     CALL(setitimer),
    CALL(setpgid), CALL(rt_sigtimedwait), CALL(signalfd4),
};

/* Waiting with another mask of signals; without one it is a plain wait. */
static void refuse_other_masks(filter *f) {
    static const struct {
        int call;
        unsigned mask;
    } waits[] = {{CALL(ppoll), 3}, {CALL(pselect6), 5}, {CALL(epoll_pwait), 4}, {CALL(epoll_pwait2), 4}};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        rule_if(f, SCMP_ACT_KILL_PROCESS, waits[i].call, when(waits[i].mask, SCMP_CMP_NE, 0, 0));
}

/* It has no handlers to come back from, and its alarm finds it whatever it does. Libraries that ask for a
 * thread or a handler get a plain no. */
static void refuse_signals_and_threads(filter *f) {
    rule(f, SCMP_ACT_ERRNO(EPERM), CALL(rt_sigaction));
    rule(f, SCMP_ACT_ERRNO(EPERM), CALL(rt_sigprocmask));
    rule(f, SCMP_ACT_KILL_PROCESS, CALL(rt_sigreturn));
    rule_if(f, SCMP_ACT_ERRNO(EAGAIN), CALL(clone),
            when(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    rule_if(f, SCMP_ACT_KILL_PROCESS, CALL(clone), when(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    rule_if(f, SCMP_ACT_KILL_PROCESS, CALL(prctl), when(0, SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0));
}

static int export_code(scmp_filter_ctx ctx) {
    int fd = memfd_create("wall", MFD_CLOEXEC), error = 0;
    if (fd < 0) return -errno;
    error = seccomp_export_bpf(ctx, fd);
    ssize_t n = error == 0 ? pread(fd, child_code, sizeof child_code, 0) : 0;
    (void)close(fd);
    if (error != 0) return error;
    if (n <= 0 || n == (ssize_t)sizeof child_code) return -E2BIG;
    child_wall.len = (unsigned short)((size_t)n / sizeof child_code[0]);
    return 0;
}

static porch_err make_child_wall(porch_why *why) {
    filter f = {seccomp_init(SCMP_ACT_ALLOW), 0};
    if (f.ctx == NULL)
        return porch_fail(why, PORCH_ERR_IO, "sandbox: no memory for the children's system-call filter");
    for (size_t i = 0; i < sizeof never_a_child / sizeof never_a_child[0]; i++)
        rule(&f, SCMP_ACT_KILL_PROCESS, never_a_child[i]);
    rule(&f, SCMP_ACT_KILL_PROCESS, CALL(seccomp));
    refuse_other_masks(&f);
    if (!SANITIZED) refuse_signals_and_threads(&f);
    if (f.error == 0) f.error = export_code(f.ctx);
    seccomp_release(f.ctx);
    return f.error == 0 ? PORCH_OK
                        : porch_fail(why, PORCH_ERR_IO, "sandbox: the children's system-call filter: %s",
                                     strerror(-f.error));
}

/* Filters that narrow further, without the flags that would hand one to another process. */
static void allow_further_filters(filter *f) {
    int done =
        seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, CALL(seccomp), 2,
                         when(0, SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER, 0), when(1, SCMP_CMP_EQ, 0, 0));
    if (done != 0 && f->error == 0) f->error = done;
}

porch_err porch_sandbox_enter_child(porch_why *why) {
    if (child_wall.len == 0)
        return porch_fail(why, PORCH_ERR_STATE, "sandbox: no profile was entered that may fork");
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &child_wall) == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "sandbox: the kernel refuses the child's system-call filter: %s",
                      strerror(errno));
}

/* ---- the process's wall ---- */

static void allow_forks(filter *f) {
    ALLOW(f, fork_calls);
    allow_further_filters(f);
}

static porch_err enter_filter(const porch_sandbox_profile *p, porch_why *why) {
    filter f = {seccomp_init(SCMP_ACT_KILL_PROCESS), 0};
    if (f.ctx == NULL)
        return porch_fail(why, PORCH_ERR_IO, "sandbox: no memory for the system-call filter");
    ALLOW(&f, basic_calls);
    allow_memory(&f);
    allow_self_only(&f, p->flags);
    allow_controls(&f);
    allow_file_questions(&f);
    allow_clone(&f, p->flags);
    if (p->flags & PORCH_SANDBOX_FORK) allow_forks(&f);
    allow_files(&f, p->flags);
    allow_sockets(&f, p->flags);
    if (SANITIZED) ALLOW(&f, sanitizer_calls);
    porch_err e = PORCH_OK;
    if (f.error == 0) f.error = seccomp_load(f.ctx);
    if (f.error != 0)
        e = porch_fail(why, PORCH_ERR_IO, "sandbox: the kernel refuses the system-call filter: %s",
                       strerror(-f.error));
    seccomp_release(f.ctx);
    return e;
}

static porch_err set_limit(int resource, const char *name, uint64_t value, porch_why *why) {
    struct rlimit now, wanted;
    if (getrlimit((__rlimit_resource_t)resource, &now) == 0 && now.rlim_max < value) value = now.rlim_max;
    wanted.rlim_cur = wanted.rlim_max = (rlim_t)value;
    if (setrlimit((__rlimit_resource_t)resource, &wanted) == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "sandbox: cannot limit %s: %s", name, strerror(errno));
}

static porch_err set_limits(const porch_sandbox_profile *p, porch_why *why) {
    if (!SANITIZED) PORCH_TRY(set_limit(RLIMIT_CORE, "core files", 0, why));
    if (p->memory_bytes != 0 && !SANITIZED)
        PORCH_TRY(set_limit(RLIMIT_DATA, "memory", p->memory_bytes, why));
    if (p->open_files != 0) PORCH_TRY(set_limit(RLIMIT_NOFILE, "open files", p->open_files, why));
    return PORCH_OK;
}

/* Landlock would leave running threads outside. A directory that cannot be read is not held against the
 * caller. */
static bool is_single_thread(void) {
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    if (tasks == NULL) return true;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count <= FIRST_THREADS;
}

porch_err porch_sandbox_enter(const porch_sandbox_profile *profile, porch_why *why) {
    int landlock = 0;
    if (!is_single_thread())
        return porch_fail(why, PORCH_ERR_STATE, "sandbox %s: threads run already; enter before the first",
                          profile->name);
    if (profile->flags & PORCH_SANDBOX_FORK) PORCH_TRY(make_child_wall(why));
    PORCH_TRY(set_limits(profile, why));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0))
        return porch_fail(why, PORCH_ERR_IO, "sandbox: cannot give up rights: %s", strerror(errno));
    if (!SANITIZED || profile->read_write != NULL)
        PORCH_TRY(porch_sandbox_landlock(profile, &landlock, why));
    PORCH_TRY(enter_filter(profile, why));
    if (landlock == 0 && !SANITIZED)
        porch_log(PORCH_LOG_WARN, "sandbox.no_landlock", "profile", profile->name, "reason",
                  "this kernel has no Landlock: files are held by ownership alone", NULL);
    porch_log(PORCH_LOG_INFO, "sandbox.entered", "profile", profile->name, "landlock",
              porch_log_number((uint64_t)landlock).text, NULL);
    return PORCH_OK;
}
