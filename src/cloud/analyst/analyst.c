/* The parent: receives START, forks, and collects what has ended. It holds no clip and parses none. */
#include "cloud/analyst/analyst.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloud/analyst/analyst_clip.h"
#include "cloud/analyst/analyst_people.h"
#include "cloud/analyst/analyst_video.h"
#include "os/channel.h"
#include "os/log.h"
#include "os/sandbox.h"

enum { CHILDREN_MOST = 16, TURN_MS = 1000 };

/* A sanitizer's runtime needs its shadow memory, and standard error for its report. */
#ifdef PORCH_SANITIZE
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* The child's own walls, under the process's: what it may burn, hold and how long it may live; after
 * porch_sandbox_enter_child it can change none of it. It says nothing to the operator's log either: a clip
 * that took it over would write there what it likes. */
static void confine_child(const porch_analyst_start *start, pid_t parent) {
    const struct rlimit cpu = {start->cpu_seconds, start->cpu_seconds + 1ul};
    const struct rlimit alone = {0, 0}; /* nobody beside it; root is not held by this one */
    const struct rlimit data = {(rlim_t)start->memory_mib << 20, (rlim_t)start->memory_mib << 20};
    if (setrlimit(RLIMIT_CPU, &cpu) != 0) _exit(3);
    if (!SANITIZED && (setrlimit(RLIMIT_DATA, &data) != 0 || setrlimit(RLIMIT_NPROC, &alone) != 0))
        _exit(3);
    (void)alarm(start->wall_seconds); /* the default action ends the process */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(3);
    if (porch_sandbox_enter_child(NULL) != PORCH_OK) _exit(3);
    if (!SANITIZED) (void)close_range(STDIN_FILENO, STDERR_FILENO, 0);
}

/* Before it reads a byte of the clip, so that no clip can unsay it. */
static bool say_begun(int clip_socket) {
    uint8_t block[8];
    porch_buf out = PORCH_BUF_OF(block);
    const porch_analyst_message m = {.type = PORCH_ANALYST_BEGUN};
    return porch_analyst_write(&out, &m) == PORCH_OK &&
           porch_channel_send(clip_socket, porch_buf_bytes(&out), NULL, 0, 0, NULL) == PORCH_OK;
}

static void serve_clip(int main_socket, pid_t parent, const porch_analyst_start *start, int memfd,
                       int clip_socket) {
    (void)close(main_socket);
    confine_child(start, parent);
    if (!say_begun(clip_socket)) _exit(2);
    _exit(porch_analyst_clip_run(start, memfd, clip_socket) == PORCH_OK ? 0 : 2);
}

static void refuse(int clip_socket, porch_err result) {
    uint8_t block[64];
    porch_buf out = PORCH_BUF_OF(block);
    porch_analyst_message m = {.type = PORCH_ANALYST_END, .as.end = {.result = result}};
    if (porch_analyst_write(&out, &m) == PORCH_OK) {
        (void)porch_channel_send(clip_socket, porch_buf_bytes(&out), NULL, 0, 0, NULL);
    }
}

static bool collect(unsigned *children) {
    int status;
    pid_t pid;
    bool any = false;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        any = true;
        if (*children > 0) (*children)--;
        if (WIFSIGNALED(status)) {
            porch_log(PORCH_LOG_WARN, "analysis.child_died", "pid", porch_log_signed(pid).text, "signal",
                      porch_log_signed(WTERMSIG(status)).text, NULL);
        }
    }
    return any;
}

/* One START, or nothing for a while. CLOSED: the hub has gone. */
static porch_err turn(int socket_fd, pid_t self, unsigned *children) {
    uint8_t block[128];
    porch_buf in = PORCH_BUF_OF(block);
    porch_analyst_message m;
    int fds[2] = {-1, -1};
    size_t nfds = 0;
    porch_err e = porch_channel_receive(socket_fd, &in, fds, 2, &nfds, TURN_MS, NULL);
    (void)collect(children);
    if (e == PORCH_ERR_TIMEOUT) return PORCH_OK;
    if (e != PORCH_OK) return e;
    e = porch_analyst_read(porch_buf_bytes(&in), &m);
    if (e == PORCH_OK && (m.type != PORCH_ANALYST_START || nfds != 2)) e = PORCH_ERR_MALFORMED;
    if (e == PORCH_OK && *children >= CHILDREN_MOST) {
        refuse(fds[1], PORCH_ERR_BUSY);
    } else if (e == PORCH_OK) {
        pid_t pid = fork();
        if (pid == 0) serve_clip(socket_fd, self, &m.as.start, fds[0], fds[1]);
        if (pid > 0) (*children)++;
        if (pid < 0) refuse(fds[1], PORCH_ERR_BUSY);
    }
    for (size_t i = 0; i < nfds; i++)
        (void)close(fds[i]);
    return e;
}

int porch_analyst_run(int socket_fd) {
    porch_why why = {""};
    unsigned children = 0;
    porch_analyst_video_prepare();
    if (porch_analyst_people_prepare() != PORCH_OK) {
        porch_log(PORCH_LOG_ERROR, "analyst.failed", "why", "the people detector cannot be made", NULL);
        return 1;
    }
    porch_err e = porch_sandbox_enter(&porch_sandbox_analyst, &why);
    if (e != PORCH_OK) {
        porch_log(PORCH_LOG_ERROR, "analyst.failed", "why", porch_why_text(&why, e), NULL);
        return 1;
    }
    pid_t self = getpid();
    while (e == PORCH_OK)
        e = turn(socket_fd, self, &children);
    if (e != PORCH_ERR_CLOSED) {
        porch_log(PORCH_LOG_ERROR, "analyst.failed", "why", porch_err_text(e), NULL);
        return 1;
    }
    return 0;
}
