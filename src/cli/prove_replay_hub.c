#include "cli/prove_replay_hub.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

enum { WORDS_MOST = 16, FDS_MOST = 2, READY_BYTES = 200 };

/* ---- programs --------------------------------------------------------------------------------------- */

static porch_err spawn(const porch_replay_hub *h, const char *program, const char *const *words,
                       const porch_process_fd *fds, size_t fd_count, int *pidfd) {
    char path[PORCH_CLI_PATH_BYTES];
    char *argv[WORDS_MOST + 2] = {path};
    size_t n = 0;
    PORCH_TRY(porch_path_join(h->programs, program, path, sizeof path));
    for (; n < WORDS_MOST && words[n] != NULL; n++)
        argv[n + 1] = (char *)(uintptr_t)words[n];
    porch_process_start start = {
        .path = path, .argv = argv, .fds = fds, .fd_count = fd_count, .die_with_parent = true};
    return porch_process_spawn(&start, pidfd, NULL, h->why);
}

porch_err porch_replay_hub_spawn(porch_replay_hub *h, const char *program, const char *const *words,
                                 int *pidfd) {
    return spawn(h, program, words, NULL, 0, pidfd);
}

porch_err porch_replay_hub_run(porch_replay_hub *h, const char *program, const char *const *words,
                               int *code) {
    porch_process_end end = {0};
    int pidfd = -1;
    PORCH_TRY(spawn(h, program, words, NULL, 0, &pidfd));
    porch_err e = porch_process_wait(pidfd, PORCH_REPLAY_STEP_MS, &end, h->why);
    if (e == PORCH_ERR_TIMEOUT) {
        (void)porch_process_signal(pidfd, SIGKILL);
        (void)porch_process_wait(pidfd, PORCH_REPLAY_STEP_MS, &end, NULL);
    }
    close(pidfd);
    if (e == PORCH_OK) *code = end.signalled ? 128 : end.code;
    return e;
}

porch_err porch_replay_hub_must(porch_replay_hub *h, const char *const *words) {
    int code = 0;
    PORCH_TRY(porch_replay_hub_run(h, "porchlight", words, &code));
    return code == 0 ? PORCH_OK
                     : porch_fail(h->why, PORCH_ERR_STATE, "the scratch hub: 'porchlight %s' ended with %d",
                                  words[2] == NULL ? words[0] : words[2], code);
}

/* ---- the daemon ------------------------------------------------------------------------------------- */

uint16_t porch_replay_https_port(const char *line) {
    const char *at = strstr(line, " https=");
    uint64_t port = 0;
    if (strncmp(line, "ready ", 6) != 0 || at == NULL) return 0;
    at += strlen(" https=");
    porch_bytes digits = {(const uint8_t *)at, strspn(at, "0123456789")};
    return porch_decimal_read(digits, UINT16_MAX, &port) == PORCH_OK ? (uint16_t)port : 0;
}

/* Until the line's end, or that of the daemon. */
static void read_line(int fd, char line[READY_BYTES]) {
    size_t n = 0;
    while (n + 1 < READY_BYTES && (n == 0 || line[n - 1] != '\n')) {
        ssize_t got = read(fd, line + n, READY_BYTES - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
    }
    line[n] = '\0';
}

/* What the daemon wrote about itself, as the reason. */
static porch_err did_not_start(const porch_replay_hub *h, int log_fd) {
    porch_why said = {""};
    porch_err e = porch_cli_daemon_failure(log_fd, PORCH_ERR_STATE, &said);
    return porch_fail(h->why, e, "the scratch hub did not start: %.200s", porch_why_text(&said, e));
}

static porch_err start(porch_replay_hub *h) {
    char line[READY_BYTES] = "";
    int out[2] = {-1, -1}, log_fd = memfd_create("porchlightd", MFD_CLOEXEC);
    if (log_fd < 0 || pipe2(out, O_CLOEXEC) != 0) {
        if (log_fd >= 0) close(log_fd);
        return porch_fail(h->why, PORCH_ERR_IO, "a pipe could not be made: %s", strerror(errno));
    }
    const char *const words[] = {h->dir, NULL};
    const porch_process_fd fds[FDS_MOST] = {{STDOUT_FILENO, out[1]}, {STDERR_FILENO, log_fd}};
    porch_err e = spawn(h, "porchlightd", words, fds, FDS_MOST, &h->daemon);
    close(out[1]); /* ours: its end must be seen when the daemon's closes */
    if (e == PORCH_OK) {
        read_line(out[0], line);
        h->https_port = porch_replay_https_port(line);
        if (h->https_port == 0) e = did_not_start(h, log_fd);
    }
    close(out[0]);
    close(log_fd);
    return e;
}

static void stop(porch_replay_hub *h) {
    porch_process_end end;
    if (h->daemon < 0) return;
    (void)porch_process_signal(h->daemon, SIGTERM);
    if (porch_process_wait(h->daemon, PORCH_REPLAY_STEP_MS, &end, NULL) != PORCH_OK) {
        (void)porch_process_signal(h->daemon, SIGKILL);
        (void)porch_process_wait(h->daemon, PORCH_REPLAY_STEP_MS, &end, NULL);
    }
    close(h->daemon);
    h->daemon = -1;
}

/* ---- from its making to its end --------------------------------------------------------------------- */

porch_err porch_replay_hub_open(porch_replay_hub *h, porch_why *why) {
    char top[sizeof h->top] = "/tmp/porchlight-replay-XXXXXX";
    *h = (porch_replay_hub){.daemon = -1, .why = why};
    PORCH_TRY(porch_process_own_folder(h->programs, sizeof h->programs, why));
    if (mkdtemp(top) == NULL) return porch_fail(why, PORCH_ERR_IO, "no scratch folder in /tmp");
    memcpy(h->top, top, sizeof top); /* from here on there is something to remove */
    (void)snprintf(h->dir, sizeof h->dir, "%s/hub", h->top);
    const char *const init[] = {"init", h->dir,   "--mqtt-port", "0", "--device-port", "0", "--https-port",
                                "0",    "--bind", "127.0.0.1",   NULL};
    PORCH_TRY(porch_replay_hub_must(h, init));
    return start(h);
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at) {
    (void)about;
    (void)kind;
    (void)at;
    return remove(path);
}

void porch_replay_hub_close(porch_replay_hub *h) {
    stop(h);
    if (h->top[0] != '\0') (void)nftw(h->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void porch_replay_hub_path(const porch_replay_hub *h, const char *name, char out[PORCH_REPLAY_PATH_BYTES]) {
    (void)snprintf(out, PORCH_REPLAY_PATH_BYTES, "%s/%s", h->top, name);
}

porch_err porch_replay_hub_apply(porch_replay_hub *h, porch_bytes policy) {
    char path[PORCH_REPLAY_PATH_BYTES];
    porch_replay_hub_path(h, "policy", path);
    PORCH_TRY(porch_file_write_atomic(path, policy, 0600, h->why));
    const char *const words[] = {"-C", h->dir, "policy", "apply", path, NULL};
    return porch_replay_hub_must(h, words);
}
