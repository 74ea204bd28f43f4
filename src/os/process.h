/* Starting and watching child processes. A child inherits the descriptors of the map and nothing else:
 * default signals, empty signal mask, everything above the map closed. Call from a process (or moment)
 * where no other thread changes descriptors. */
#ifndef PORCH_OS_PROCESS_H
#define PORCH_OS_PROCESS_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

#define PORCH_PROCESS_MAX_FDS 16u

typedef struct {
    int child_fd; /* its number in the child, below PORCH_PROCESS_FD_TOP, each named once */
    int our_fd;
} porch_process_fd;

#define PORCH_PROCESS_FD_TOP 64

typedef struct {
    const char *path;            /* absolute; no search */
    char *const *argv;           /* ends with NULL */
    char *const *environment;    /* ends with NULL; NULL: ours */
    const porch_process_fd *fds; /* 0, 1 and 2 too if the child should have them; else they are /dev/null */
    size_t fd_count;             /* at most PORCH_PROCESS_MAX_FDS */
    bool change_user;            /* take uid and gid; of the supplementary groups only `also` is left */
    uid_t uid;
    gid_t gid;
    gid_t also;           /* 0: none */
    bool die_with_parent; /* the kernel kills it when the calling thread dies */
    bool new_session;     /* Ctrl-C in our terminal does not reach it: we tell it ourselves */
} porch_process_start;

typedef struct {
    bool signalled; /* true: `code` is the signal (SIGSYS: a sandbox violation); false: the exit status */
    int code;
} porch_process_end;

/* Returns only after the program runs (execve succeeded) or failed; failures of any step in the child come
 * back as an error with a sentence. *pidfd is close-on-exec and readable once the child has ended. */
porch_err porch_process_spawn(const porch_process_start *start, int *pidfd, pid_t *pid, porch_why *why);
/* Waits for the end and reaps. TIMEOUT when it still runs; the pidfd stays yours to close. */
porch_err porch_process_wait(int pidfd, int timeout_ms, porch_process_end *ret, porch_why *why);
porch_err porch_process_signal(int pidfd, int signal_number);
/* "exited with status 3" or "killed by signal 31 (sandbox violation)". */
void porch_process_end_text(const porch_process_end *end, char *out, size_t cap);
/* The folder of the running program (of /proc/self/exe), without a slash at its end. */
porch_err porch_process_own_folder(char *out, size_t cap, porch_why *why);

#endif
