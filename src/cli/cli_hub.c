/* The line to the hub: one JSON line out, JSON lines back, over DIR/run/admin.sock. */
#include "cli/cli_room.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

enum {
    LINE_MAX_BYTES = 16777216, /* the most that the setting admin.line_bytes allows */
    FIRST_LINE_BYTES = 65536,
    READY_FD = 3,
    END_WAIT_MS = 30000,
    DAEMON_LOG_TAIL = 4096,
};

struct porch_cli_hub {
    int fd;
    int pidfd;    /* of a hub that was started for this; -1 when one was running */
    porch_buf in; /* bytes received and not used yet */
};

/* ---- a daemon of our own
 * ---------------------------------------------------------------------------------- */

static porch_err daemon_path(char out[PORCH_CLI_PATH_BYTES], porch_why *why) {
    char folder[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(porch_process_own_folder(folder, sizeof folder, why));
    porch_err e = porch_path_join(folder, "porchlightd", out, PORCH_CLI_PATH_BYTES);
    return e == PORCH_OK ? e : porch_fail(why, e, "the programs' path is too long");
}

/* The text between `reason=` and its end in a log line, or the line itself. */
static void reason_of_line(const char *line, porch_why *why, porch_err e) {
    const char *reason = strstr(line, " reason=");
    if (!reason) {
        (void)porch_fail(why, e, "%s", line);
        return;
    }
    reason += strlen(" reason=");
    size_t n = *reason == '"' ? strcspn(++reason, "\"") : strcspn(reason, " ");
    (void)porch_fail(why, e, "%.*s", (int)n, reason);
}

porch_err porch_cli_daemon_failure(int log_fd, porch_err e, porch_why *why) {
    char tail[DAEMON_LOG_TAIL + 1];
    off_t size = lseek(log_fd, 0, SEEK_END);
    off_t from = size > DAEMON_LOG_TAIL ? size - DAEMON_LOG_TAIL : 0;
    ssize_t n = pread(log_fd, tail, DAEMON_LOG_TAIL, from);
    const char *found = NULL;
    if (n <= 0) return porch_fail(why, e, "porchlightd ended without saying why");
    tail[n] = '\0';
    char *rest = tail;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (*line && (!found || !strstr(found, " error ") || strstr(line, " error "))) found = line;
    if (found) reason_of_line(found, why, e);
    return e;
}

static porch_err spawn_daemon(const char *const *words, int log_fd, int ready_fd, int *pidfd,
                              porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    char *argv[PORCH_CLI_OPTIONS_MAX * 2 + 8] = {path};
    size_t n = 1;
    PORCH_TRY(daemon_path(path, why));
    for (size_t i = 0; words[i]; i++) {
        if (n + 1 >= sizeof argv / sizeof *argv)
            return porch_fail(why, PORCH_ERR_USAGE, "too many options");
        argv[n++] = (char *)words[i]; /* execve does not write */
    }
    porch_process_fd fds[2] = {{STDERR_FILENO, log_fd}, {READY_FD, ready_fd}};
    porch_process_start start = {
        .path = path,
        .argv = argv,
        .fds = fds,
        .fd_count = ready_fd >= 0 ? 2 : 1,
        /* Ctrl-C ends the command; the hub then ends in order, not by the signal. */
        .new_session = ready_fd >= 0,
        .die_with_parent = ready_fd < 0};
    return porch_process_spawn(&start, pidfd, NULL, why);
}

porch_err porch_cli_run_daemon(const char *const *words, porch_why *why) {
    porch_process_end end = {0};
    int pidfd = -1;
    int log_fd = memfd_create("porchlightd", MFD_CLOEXEC);
    if (log_fd < 0) return porch_fail(why, PORCH_ERR_IO, "memfd_create failed: %s", strerror(errno));
    porch_err e = spawn_daemon(words, log_fd, -1, &pidfd, why);
    if (e == PORCH_OK) e = porch_process_wait(pidfd, -1, &end, why);
    if (e == PORCH_OK && (end.signalled || end.code != 0))
        e = porch_cli_daemon_failure(
            log_fd, !end.signalled && end.code == PORCH_CLI_USAGE ? PORCH_ERR_USAGE : PORCH_ERR_STATE, why);
    if (pidfd >= 0) close(pidfd);
    close(log_fd);
    return e;
}

/* Blocks until the daemon says 'ready' or ends: its end of the pipe closes then. */
static bool wait_until_ready(int fd) {
    char word[8];
    ssize_t n;
    do {
        n = read(fd, word, sizeof word);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

static porch_err start_daemon(const char *dir, int *pidfd, porch_why *why) {
    const char *const words[] = {dir, "--admin-only", "--ready-fd", "3", NULL};
    int ready[2] = {-1, -1};
    porch_err e = PORCH_OK;
    int log_fd = memfd_create("porchlightd", MFD_CLOEXEC);
    *pidfd = -1;
    if (log_fd < 0 || pipe2(ready, O_CLOEXEC) != 0)
        e = porch_fail(why, PORCH_ERR_IO, "a pipe could not be made: %s", strerror(errno));
    if (e == PORCH_OK) e = spawn_daemon(words, log_fd, ready[1], pidfd, why);
    if (ready[1] >= 0) close(ready[1]);
    if (e == PORCH_OK && !wait_until_ready(ready[0])) {
        porch_process_end end;
        (void)porch_process_wait(*pidfd, END_WAIT_MS, &end, NULL);
        e = porch_cli_daemon_failure(log_fd, PORCH_ERR_STATE, why);
    }
    if (e != PORCH_OK && *pidfd >= 0) {
        close(*pidfd);
        *pidfd = -1;
    }
    if (ready[0] >= 0) close(ready[0]);
    if (log_fd >= 0) close(log_fd);
    return e;
}

/* ---- the line
 * --------------------------------------------------------------------------------------------- */

static porch_err connect_to(const char *dir, int *fd, porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    porch_err e = porch_path_join(dir, "run/admin.sock", path, sizeof path);
    if (e != PORCH_OK) return porch_fail(why, e, "the path of the hub's directory is too long");
    return porch_socket_connect_unix(path, fd, why);
}

static bool nobody_there(porch_err e) {
    return e == PORCH_ERR_NOT_FOUND || e == PORCH_ERR_CLOSED;
}

static porch_err reach(const char *dir, porch_cli_hub *hub, porch_why *why) {
    porch_why first = {""};
    porch_err e = connect_to(dir, &hub->fd, why);
    if (!nobody_there(e)) return e;
    e = start_daemon(dir, &hub->pidfd, &first);
    /* Another command, or the hub itself, may have come first: then it has the socket now. */
    porch_err again = connect_to(dir, &hub->fd, why);
    if (again == PORCH_OK) return PORCH_OK;
    if (e == PORCH_OK) return again;
    *why = first;
    return e;
}

porch_err porch_cli_hub_open(const char *dir, porch_cli_hub **ret, porch_why *why) {
    porch_cli_hub *hub = calloc(1, sizeof *hub);
    if (!hub) {
        (void)porch_fail(why, PORCH_ERR_BUSY, "out of memory");
        return PORCH_ERR_BUSY;
    }
    hub->fd = hub->pidfd = -1;
    hub->in = (porch_buf){malloc(FIRST_LINE_BYTES), 0, FIRST_LINE_BYTES};
    porch_err e = hub->in.at ? reach(dir, hub, why) : porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    if (e != PORCH_OK) {
        porch_cli_hub_close(hub);
        return e;
    }
    *ret = hub;
    return PORCH_OK;
}

void porch_cli_hub_close(porch_cli_hub *hub) {
    porch_process_end end;
    if (!hub) return;
    if (hub->fd >= 0) close(hub->fd);
    if (hub->pidfd >= 0) {
        /* It ends with its last client; the next command must find the directory free. */
        (void)porch_process_wait(hub->pidfd, END_WAIT_MS, &end, NULL);
        close(hub->pidfd);
    }
    if (hub->in.at) porch_wipe(hub->in.at, hub->in.cap);
    free(hub->in.at);
    free(hub);
}

static porch_err send_all(int fd, const char *at, size_t len, porch_why *why) {
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            PORCH_TRY(porch_socket_wait(fd, POLLOUT, -1));
        } else {
            return porch_fail(why, PORCH_ERR_CLOSED, "the hub closed the admin socket; see its log");
        }
    }
    return PORCH_OK;
}

static porch_err make_room(porch_buf *in, porch_why *why) {
    if (in->len < in->cap) return PORCH_OK;
    if (in->cap >= LINE_MAX_BYTES) return porch_fail(why, PORCH_ERR_LIMIT, "the hub's answer is too long");
    uint8_t *wider = realloc(in->at, in->cap * 2);
    if (!wider) return porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    in->at = wider;
    in->cap *= 2;
    return PORCH_OK;
}

/* The next line, without its end; `used` bytes of hub->in are its own. Blocks: a command may take long. */
static porch_err receive_line(porch_cli_hub *hub, porch_bytes *line, size_t *used, porch_why *why) {
    for (;;) {
        const uint8_t *end = hub->in.len ? memchr(hub->in.at, '\n', hub->in.len) : NULL;
        if (end) {
            *line = (porch_bytes){hub->in.at, (size_t)(end - hub->in.at)};
            *used = line->len + 1;
            return PORCH_OK;
        }
        PORCH_TRY(make_room(&hub->in, why));
        ssize_t n = recv(hub->fd, hub->in.at + hub->in.len, hub->in.cap - hub->in.len, 0);
        if (n > 0) {
            hub->in.len += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            PORCH_TRY(porch_socket_wait(hub->fd, POLLIN, -1));
        } else {
            return porch_fail(why, PORCH_ERR_CLOSED, "the hub ended before it answered; see its log");
        }
    }
}

static void drop_line(porch_cli_hub *hub, size_t used) {
    hub->in.len -= used;
    memmove(hub->in.at, hub->in.at + used, hub->in.len);
}

static void show_progress(const porch_cli_reply *reply) {
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r\033[K%3.0f%% %s", reply->done * 100, porch_cli_safe(reply->text).text);
    if (reply->done >= 1) fprintf(stderr, "\r\033[K");
}

static porch_err await_result(porch_cli_hub *hub, json_t **ret, porch_why *why) {
    for (;;) {
        porch_bytes line = {0};
        porch_cli_reply reply;
        size_t used = 0;
        PORCH_TRY(receive_line(hub, &line, &used, why));
        porch_err e = porch_cli_reply_read(line, &reply, why);
        drop_line(hub, used);
        if (e != PORCH_OK) return e;
        if (!reply.is_progress) {
            *ret = reply.result;
            return PORCH_OK;
        }
        show_progress(&reply);
    }
}

porch_err porch_cli_hub_ask(porch_cli_hub *hub, const char *command, json_t *args, json_t **ret,
                            porch_why *why) {
    json_t *request = json_pack("{s:s, s:o}", "do", command, "args", args ? args : json_object());
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    porch_err e = PORCH_ERR_MALFORMED;
    if (text) {
        e = send_all(hub->fd, text, strlen(text), why);
        if (e == PORCH_OK) e = send_all(hub->fd, "\n", 1, why);
        /* A hub that turns a client away says why and closes, maybe before it was asked. */
        if (e == PORCH_OK || e == PORCH_ERR_CLOSED) e = await_result(hub, ret, why);
    } else {
        (void)porch_fail(why, e, "a word of the command is not UTF-8");
    }
    free(text);
    json_decref(request);
    return e;
}

porch_err porch_cli_ask(const porch_cli *c, const char *command, json_t *args, json_t **ret,
                        porch_why *why) {
    porch_cli_hub *hub = NULL;
    porch_err e = porch_cli_hub_open(c->dir, &hub, why);
    if (e != PORCH_OK) {
        json_decref(args);
        return e;
    }
    e = porch_cli_hub_ask(hub, command, args, ret, why);
    porch_cli_hub_close(hub);
    return e;
}

int porch_cli_ask_and_show(const porch_cli *c, const char *command, json_t *args,
                           void (*show)(const json_t *)) {
    porch_why why = {""};
    json_t *result = NULL;
    porch_err e = porch_cli_ask(c, command, args, &result, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, result) && show) show(result);
    json_decref(result);
    return PORCH_CLI_DONE;
}
