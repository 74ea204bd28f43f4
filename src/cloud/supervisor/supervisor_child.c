/* How each process is started: program, words, descriptors. Each gets what its work needs and no more; only
 * the signer gets the folder with the keys. */
#include "cloud/supervisor/supervisor_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"

enum { MAX_FDS = 12, MAX_WORDS = 16, NUMBER_BYTES = 24, SIGNER_FILES = 4 };

static const char *const names[PORCH_CHILD_COUNT] = {
    [PORCH_CHILD_HUB] = "hub",
    [PORCH_CHILD_SIGNER] = "signer",
    [PORCH_CHILD_ANALYST] = "analyst",
    [PORCH_CHILD_COURIER] = "courier",
};

const char *porch_child_name(porch_child_role role) {
    return names[role];
}

/* What one start needs, kept together so that the words live until execve. */
typedef struct {
    char path[PORCH_TREE_PATH_BYTES];
    char *argv[MAX_WORDS];
    size_t words;
    porch_process_fd fds[MAX_FDS];
    size_t fd_count;
    char timeout_text[NUMBER_BYTES];
    char answer_text[NUMBER_BYTES];
    int opened[SIGNER_FILES]; /* for this start only */
    size_t opened_count;
} start_plan;

static void add_word(start_plan *p, const char *word) {
    /* execve's type lacks const; it does not write. */
    if (p->words + 1 < MAX_WORDS) p->argv[p->words++] = (char *)word;
}

static void add_fd(start_plan *p, int child_fd, int our_fd) {
    if (p->fd_count < MAX_FDS) p->fds[p->fd_count++] = (porch_process_fd){child_fd, our_fd};
}

static void plan_hub(const porch_supervisor *s, start_plan *p) {
    add_word(p, s->own_path);
    add_word(p, s->config->dir);
    add_word(p, "--role");
    add_word(p, "hub");
    if (s->config->admin_only) add_word(p, "--admin-only");
    add_fd(p, PORCH_CHILD_ADMIN_FD, s->admin_fd);
    if (s->config->admin_only) return;
    for (int i = 0; i < 3; i++)
        add_fd(p, PORCH_CHILD_LISTEN_FD + i, s->listen_fds[i]);
}

/* What the signer reads outside its folder, opened for it: its user may not walk through DIR. */
static porch_err open_for_signer(const porch_supervisor *s, start_plan *p, porch_why *why) {
    static const struct {
        const char *name;
        int child_fd;
    } files[SIGNER_FILES] = {{"hub.conf", PORCH_CHILD_SIGNER_CONF_FD},
                             {"tls/issuing.pem", PORCH_CHILD_SIGNER_ISSUING_FD},
                             {"tls/web-ca.pem", PORCH_CHILD_SIGNER_WEB_FD},
                             {"tls/device-root.pem", PORCH_CHILD_SIGNER_ROOT_FD}};
    for (size_t i = 0; i < SIGNER_FILES; i++) {
        char path[PORCH_TREE_PATH_BYTES];
        PORCH_TRY(porch_path_join(s->config->dir, files[i].name, path, sizeof path));
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return porch_fail(why, PORCH_ERR_IO, "%s: open failed: %s; restore it from a backup", path,
                              strerror(errno));
        p->opened[p->opened_count++] = fd;
        add_fd(p, files[i].child_fd, fd);
    }
    return PORCH_OK;
}

static porch_err plan_signer(const porch_supervisor *s, start_plan *p, porch_why *why) {
    add_word(p, s->own_path);
    add_word(p, s->config->dir);
    add_word(p, "--role");
    add_word(p, "signer");
    add_fd(p, PORCH_CHILD_SIGNER_DIR_FD, s->signer_dir_fd);
    if (s->credential_fd >= 0) add_fd(p, PORCH_CHILD_SIGNER_CREDENTIAL_FD, s->credential_fd);
    return open_for_signer(s, p, why);
}

static void plan_courier(const porch_supervisor *s, start_plan *p) {
    snprintf(p->timeout_text, sizeof p->timeout_text, "%u", s->settings.courier_timeout_ms);
    snprintf(p->answer_text, sizeof p->answer_text, "%u", s->settings.courier_answer_bytes);
    add_word(p, p->path);
    add_word(p, "--timeout-ms");
    add_word(p, p->timeout_text);
    add_word(p, "--answer-bytes");
    add_word(p, p->answer_text);
    if (s->settings.courier_allow[0]) {
        add_word(p, "--allow");
        add_word(p, s->settings.courier_allow);
    }
    if (s->settings.courier_ca_file[0]) {
        add_word(p, "--ca-file");
        add_word(p, s->settings.courier_ca_file);
    }
}

static porch_err plan_of(const porch_supervisor *s, porch_child_role role, start_plan *p, porch_why *why) {
    bool own = role == PORCH_CHILD_HUB || role == PORCH_CHILD_SIGNER;
    int n = own ? snprintf(p->path, sizeof p->path, "%s", s->own_path)
                : snprintf(p->path, sizeof p->path, "%s/porchlight-%s", s->helper_folder, names[role]);
    if (n < 0 || (size_t)n >= sizeof p->path)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the programs' path is too long");
    if (role == PORCH_CHILD_HUB) plan_hub(s, p);
    if (role == PORCH_CHILD_SIGNER) PORCH_TRY(plan_signer(s, p, why));
    if (role == PORCH_CHILD_ANALYST) add_word(p, p->path);
    if (role == PORCH_CHILD_COURIER) plan_courier(s, p);
    add_fd(p, STDERR_FILENO, STDERR_FILENO);
    return PORCH_OK;
}

porch_err porch_child_start(porch_supervisor *s, porch_child_role role, int socket_fd, porch_why *why) {
    start_plan p = {.words = 0};
    porch_child *c = &s->children[role];
    porch_err e = plan_of(s, role, &p, why);
    add_fd(&p, PORCH_CHILD_SOCKET_FD, socket_fd);
    porch_process_start start = {
        .path = p.path,
        .argv = p.argv,
        .fds = p.fds,
        .fd_count = p.fd_count,
        /* A terminal's Ctrl-C reaches the supervisor alone, which stops in order. */
        .new_session = true,
        .change_user = s->users.separate,
        .uid = s->users.of[role].uid,
        .gid = s->users.of[role].gid,
        .also = s->users.of[role].also,
        .die_with_parent = true};
    if (e == PORCH_OK) e = porch_process_spawn(&start, &c->pidfd, &c->pid, why);
    while (p.opened_count > 0)
        close(p.opened[--p.opened_count]);
    if (e != PORCH_OK) return e;
    c->started_ms = porch_clock_mono_ms();
    c->starts++;
    porch_log(PORCH_LOG_INFO, c->starts > 1 ? "helper.restarted" : "helper.started", "role", names[role],
              "pid", porch_log_number((uint64_t)c->pid).text, NULL);
    return PORCH_OK;
}
