/* fork, arrange the descriptors, execve. The child reports the step that failed through a pipe which
 * a successful execve closes, so the parent knows before it returns. */
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/socket.h"

typedef enum { STEP_FDS, STEP_USER, STEP_SESSION, STEP_PARENT, STEP_EXEC, STEP_COUNT } child_step;

typedef struct {
    child_step step;
    int error;
} child_failure;

static const char *const step_names[STEP_COUNT] = {"arranging descriptors for", "changing the user for",
                                                   "making a session for", "binding to the parent of",
                                                   "execve of"};

/* From here to execve only calls that are safe between fork and exec. */
static bool arrange_fds(const porch_process_start *s, int *report_fd) {
    int high[PORCH_PROCESS_MAX_FDS];
    bool wanted[PORCH_PROCESS_FD_TOP] = {false};
    /* Everything first goes above all targets, so that no dup2 overwrites a source. */
    for (size_t i = 0; i < s->fd_count; i++) {
        high[i] = fcntl(s->fds[i].our_fd, F_DUPFD_CLOEXEC, PORCH_PROCESS_FD_TOP);
        if (high[i] < 0) return false;
        wanted[s->fds[i].child_fd] = true;
    }
    int report = fcntl(*report_fd, F_DUPFD_CLOEXEC, PORCH_PROCESS_FD_TOP);
    if (report < 0) return false;
    *report_fd = report;
    for (size_t i = 0; i < s->fd_count; i++)
        if (dup2(high[i], s->fds[i].child_fd) < 0) return false;
    for (int fd = 0; fd < PORCH_PROCESS_FD_TOP; fd++) {
        if (wanted[fd]) continue;
        (void)close(fd);
        /* The lowest free number is this one, since all below it are taken. */
        if (fd <= STDERR_FILENO && open("/dev/null", O_RDWR) != fd) return false;
    }
    return close_range(PORCH_PROCESS_FD_TOP, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

/* By the kernel's own call: the C library refuses its two internal signals, which a parent may have
 * ignored. All zeroes is SIG_DFL without flags; KILL and STOP are refused and need nothing. */
static void default_signals(void) {
    const unsigned long nothing[8] = {0};
    for (int n = 1; n < NSIG; n++)
        (void)syscall(SYS_rt_sigaction, n, nothing, NULL, (size_t)(NSIG - 1) / 8); /* 64 signals */
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_main(const porch_process_start *s, int report_fd, pid_t parent) {
    child_failure failure = {STEP_FDS, 0};
    if (!arrange_fds(s, &report_fd)) goto failed;
    failure.step = STEP_SESSION;
    if (s->new_session && setsid() < 0) goto failed;
    failure.step = STEP_USER;
    if (s->change_user) {
        if (setgroups(s->also != 0, &s->also) < 0 && (errno != EPERM || s->also != 0)) goto failed;
        if (setresgid(s->gid, s->gid, s->gid) < 0 || setresuid(s->uid, s->uid, s->uid) < 0) goto failed;
    }
    failure.step = STEP_PARENT;
    if (s->die_with_parent) { /* after the change of user, which clears it */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) goto failed;
        errno = ESRCH;
        if (getppid() != parent) goto failed; /* it died before we could ask */
    }
    default_signals();
    failure.step = STEP_EXEC;
    (void)execve(s->path, s->argv, s->environment != NULL ? s->environment : environ);
failed:
    failure.error = errno;
    if (write(report_fd, &failure, sizeof failure) < 0) _exit(126);
    _exit(127);
}

static porch_err check_start(const porch_process_start *s, porch_why *why) {
    if (s->path[0] != '/') return porch_fail(why, PORCH_ERR_USAGE, "%s is not an absolute path", s->path);
    if (s->fd_count > PORCH_PROCESS_MAX_FDS)
        return porch_fail(why, PORCH_ERR_LIMIT, "a child gets at most %u descriptors",
                          PORCH_PROCESS_MAX_FDS);
    for (size_t i = 0; i < s->fd_count; i++)
        if (s->fds[i].child_fd < 0 || s->fds[i].child_fd >= PORCH_PROCESS_FD_TOP)
            return porch_fail(why, PORCH_ERR_LIMIT, "a child's descriptors are numbered below %d",
                              PORCH_PROCESS_FD_TOP);
    return PORCH_OK;
}

/* Reads the child's report: nothing (the pipe closed by execve) is success. */
static porch_err await_exec(int report_fd, const char *path, porch_why *why) {
    child_failure failure;
    ssize_t got;
    do {
        got = read(report_fd, &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return PORCH_OK;
    if (got != (ssize_t)sizeof failure || failure.step >= STEP_COUNT)
        return porch_fail(why, PORCH_ERR_IO, "starting %s: no report from the child", path);
    return porch_fail(why, failure.error == ENOENT ? PORCH_ERR_NOT_FOUND : PORCH_ERR_IO, "%s %s: %s",
                      step_names[failure.step], path, strerror(failure.error));
}

porch_err porch_process_spawn(const porch_process_start *start, int *pidfd, pid_t *pid, porch_why *why) {
    PORCH_TRY(check_start(start, why));
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) return porch_fail(why, PORCH_ERR_IO, "pipe: %s", strerror(errno));
    /* Our handlers must not run in the child before it has dropped them. */
    sigset_t all, before;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid(), child = fork();
    if (child == 0) child_main(start, report[1], parent);
    int saved = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(report[1]);
    porch_err e;
    int got = -1;
    if (child < 0) {
        e = porch_fail(why, PORCH_ERR_IO, "fork: %s", strerror(saved));
    } else {
        e = await_exec(report[0], start->path, why);
        if (e == PORCH_OK && (got = pidfd_open(child, 0)) < 0) {
            e = porch_fail(why, PORCH_ERR_IO, "pidfd_open: %s", strerror(errno));
            (void)kill(child, SIGKILL);
        }
        if (e != PORCH_OK) (void)waitpid(child, NULL, 0);
    }
    (void)close(report[0]);
    if (e != PORCH_OK) return e;
    *pidfd = got;
    if (pid != NULL) *pid = child;
    return PORCH_OK;
}

porch_err porch_process_wait(int pidfd, int timeout_ms, porch_process_end *ret, porch_why *why) {
    porch_err e = porch_socket_wait(pidfd, POLLIN, timeout_ms);
    if (e != PORCH_OK) return porch_fail(why, e, "the process still runs");
    siginfo_t info = {0};
    int rc;
    do {
        rc = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) return porch_fail(why, PORCH_ERR_IO, "waitid: %s", strerror(errno));
    *ret = (porch_process_end){info.si_code != CLD_EXITED, info.si_status};
    return PORCH_OK;
}

porch_err porch_process_signal(int pidfd, int signal_number) {
    if (pidfd_send_signal(pidfd, signal_number, NULL, 0) == 0) return PORCH_OK;
    return errno == ESRCH ? PORCH_ERR_NOT_FOUND : PORCH_ERR_IO;
}

void porch_process_end_text(const porch_process_end *end, char *out, size_t cap) {
    if (!end->signalled) {
        (void)snprintf(out, cap, "exited with status %d", end->code);
    } else if (end->code == SIGSYS) {
        (void)snprintf(out, cap, "killed by signal %d (sandbox violation)", end->code);
    } else {
        (void)snprintf(out, cap, "killed by signal %d", end->code);
    }
}

porch_err porch_process_own_folder(char *out, size_t cap, porch_why *why) {
    ssize_t got = readlink("/proc/self/exe", out, cap);
    if (got < 0) return porch_fail(why, PORCH_ERR_IO, "readlink /proc/self/exe: %s", strerror(errno));
    if ((size_t)got >= cap) return porch_fail(why, PORCH_ERR_NO_SPACE, "the program's path is too long");
    out[got] = '\0';
    char *slash = strrchr(out, '/');
    if (slash == NULL) return porch_fail(why, PORCH_ERR_IO, "the program's path has no folder");
    *slash = '\0';
    return PORCH_OK;
}
