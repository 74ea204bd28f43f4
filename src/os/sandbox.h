/* The wall around a process: after porch_sandbox_enter it can do what its work needs and nothing more,
 * whatever a stranger's bytes make of it.
 *
 *   rlimits, no_new_privs, non-dumpable ─► Landlock: which files ─► seccomp: which system calls
 *
 * A system call outside the profile kills the process with SIGSYS. Softer answers where libraries probe:
 * clone3 gives ENOSYS (so that glibc falls back to clone, whose flags can be judged), opening files without
 * PORCH_SANDBOX_FILES_READ gives EACCES, socket families outside the profile give EAFNOSUPPORT where any
 * family is allowed, executable memory gives EACCES. What no profile has: execve, ptrace, process_vm_*,
 * kill of others (also by way of a file's owner, F_SETOWN), mount, namespaces, bpf, io_uring, keyrings,
 * loading modules.
 *
 * Landlock confines the calling thread and its later children only, so enter before the first thread is
 * started. Everything that is opened before stays usable. A kernel without Landlock is named in a warning
 * line, and the process goes on under seccomp alone. It cannot be left again.
 *
 * Under sanitizers (PORCH_SANITIZE) the list sanitizer_calls in sandbox.c is allowed as well, the process
 * stays dumpable and without a memory limit: a build for tests only. */
#ifndef PORCH_OS_SANDBOX_H
#define PORCH_OS_SANDBOX_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    PORCH_SANDBOX_THREADS = 1u << 0,
    PORCH_SANDBOX_FILES_READ = 1u << 1,  /* open, stat, list; where: read_only and read_write */
    PORCH_SANDBOX_FILES_WRITE = 1u << 2, /* create, rename, unlink, truncate, lock; where: read_write */
    PORCH_SANDBOX_INTERNET_CONNECT = 1u << 3, /* socket(AF_INET*), connect; unnamed socket pairs */
    PORCH_SANDBOX_ACCEPT = 1u << 4,           /* accept on listeners it was given */
    PORCH_SANDBOX_UNIX_SOCKETS = 1u << 5,     /* socket(AF_UNIX), connect */
    PORCH_SANDBOX_FORK = 1u << 6 /* fork without new namespaces, wait for the child, limits and timers */
};

typedef struct {
    const char *name;
    uint32_t flags;
    const char *const
        *read_only; /* files or folders, NULL-terminated; a missing one is skipped. May be NULL */
    const char *const
        *read_write;       /* files or folders, NULL-terminated; a missing one is an error. May be NULL */
    uint64_t memory_bytes; /* private memory (RLIMIT_DATA); 0: unlimited */
    uint32_t open_files;   /* RLIMIT_NOFILE; 0: as it is */
} porch_sandbox_profile;

/* The built-in profiles: copy one, point read_write (and read_only) at the hub's folders, enter.
 *   hub      threads, accept, files (set read_write to DIR's open parts); reads time zones
 *   signer   files (set read_write to DIR/signer); no threads, no sockets
 *   analyst  threads and forks of itself (one a clip); no sockets, no files, memory limit 2 GiB each
 *   courier  threads, internet connections; reads resolver configuration and CA certificates */
extern const porch_sandbox_profile porch_sandbox_hub;
extern const porch_sandbox_profile porch_sandbox_signer;
extern const porch_sandbox_profile porch_sandbox_analyst;
extern const porch_sandbox_profile porch_sandbox_courier;

/* STATE when other threads run already; IO when the kernel refuses seccomp. After an error the process may
 * be half confined: exit. Logs one line with the profile's name and the Landlock version. */
porch_err porch_sandbox_enter(const porch_sandbox_profile *profile, porch_why *why);

/* The second wall, for a child that a process with PORCH_SANDBOX_FORK has forked: it computes and talks on
 * what it has, and ends when its time is over. It starts no process and no thread, waits for nobody, and
 * keeps its timers, its signals and its parent's death as they are: set those before. STATE where no such
 * profile was entered; IO when the kernel refuses. */
porch_err porch_sandbox_enter_child(porch_why *why);

#endif
