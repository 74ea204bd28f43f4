/* Everything that is opened before the first child: checks, lock, listeners, the admin socket, and then the
 * rights that were needed for it are given up. */
#include "cloud/supervisor/supervisor_room.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cloud/seal/seal.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/socket.h"

enum { BACKLOG = 1024, ADMIN_BACKLOG = 16 };

static porch_err path_in(const char *dir, const char *name, char out[PORCH_TREE_PATH_BYTES],
                         porch_why *why) {
    porch_err e = porch_path_join(dir, name, out, PORCH_TREE_PATH_BYTES);
    return e == PORCH_OK ? e : porch_fail(why, e, "the path of the hub's directory is too long");
}

/* bin/porchlightd finds its helpers in libexec/ beside bin/. */
static porch_err find_programs(porch_supervisor *s, porch_why *why) {
    char folder[PORCH_TREE_PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", s->own_path, sizeof s->own_path - 1);
    if (n <= 0) return porch_fail(why, PORCH_ERR_IO, "/proc/self/exe cannot be read: %s", strerror(errno));
    s->own_path[n] = '\0';
    if (s->config->helper_folder) return path_in(s->config->helper_folder, ".", s->helper_folder, why);
    PORCH_TRY(porch_process_own_folder(folder, sizeof folder, why));
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    return path_in(folder, "libexec", s->helper_folder, why);
}

static porch_err open_listeners(porch_supervisor *s, porch_why *why) {
    const uint32_t wanted[3] = {s->settings.hub_mqtt_port, s->settings.hub_device_port,
                                s->settings.hub_https_port};
    const char *host = s->settings.hub_bind[0] ? s->settings.hub_bind : "*";
    if (s->config->admin_only) {
        /* Told to the hub all the same: links that it makes name the port. */
        for (int i = 0; i < 3; i++)
            s->ports[i] = (uint16_t)wanted[i];
        return PORCH_OK;
    }
    for (int i = 0; i < 3; i++)
        PORCH_TRY(porch_socket_listen_tcp(host, (uint16_t)wanted[i], BACKLOG, &s->listen_fds[i],
                                          &s->ports[i], why));
    return PORCH_OK;
}

static void warn_of_users(const porch_supervisor *s) {
    char command[PORCH_USERS_COMMAND_BYTES];
    if (geteuid() != 0) return;
    if (!s->settings.hub_user[0]) {
        porch_log(PORCH_LOG_WARN, "supervisor.runs-as-root", "reason",
                  "the hub runs as root: make a user and run 'init --user NAME', or set hub.user and "
                  "give it the directory",
                  NULL);
        return;
    }
    if (!porch_users_mend(&s->users, s->config->dir, command)) return;
    porch_log(PORCH_LOG_WARN, "supervisor.shares-user", "reason",
              "helpers run as the hub's user, so a hub that was taken over can reach them and their files; "
              "stop the hub, run the command, start it",
              "command", command, NULL);
}

static porch_err take_lock(porch_supervisor *s, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(path_in(s->config->dir, "lock", path, why));
    porch_err e = porch_file_lock(path, &s->lock_fd, why);
    if (e != PORCH_ERR_BUSY) return e;
    return porch_fail(why, e, "a hub is running in %s already; stop it first", s->config->dir);
}

static porch_err open_admin(porch_supervisor *s, porch_user hub, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(path_in(s->config->dir, "run/admin.sock", path, why));
    PORCH_TRY(porch_socket_listen_unix(path, 0600, ADMIN_BACKLOG, &s->admin_fd, why));
    if (geteuid() == hub.uid || chown(path, hub.uid, hub.gid) == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "%s: chown failed: %s", path, strerror(errno));
}

static porch_err open_signer_folder(porch_supervisor *s, porch_why *why) {
    char path[PORCH_TREE_PATH_BYTES];
    PORCH_TRY(path_in(s->config->dir, "signer", path, why));
    s->signer_dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (s->signer_dir_fd >= 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_IO, "%s: open failed: %s", path, strerror(errno));
}

/* systemd's credential is readable by the user that the service starts as: opened before that is given up,
 * handed to the signer at each of its starts. */
static porch_err open_credential(porch_supervisor *s, porch_why *why) {
    if (strcmp(s->settings.hub_seal, "systemd") != 0) return PORCH_OK;
    s->credential_fd = porch_seal_open_credential();
    return porch_seal_check(PORCH_SEAL_SYSTEMD, &(porch_seal_means){NULL, s->credential_fd}, why);
}

static void warn_of_seal(const porch_supervisor *s) {
    if (strcmp(s->settings.hub_seal, "file") != 0) return;
    porch_log(
        PORCH_LOG_WARN, "supervisor.keys-unsealed", "reason",
        "the keys lie in signer/ in the clear: who copies the directory has them; stop the hub and run "
        "porchlight -C DIR seal tpm (or systemd), or keep the directory on an encrypted disk",
        NULL);
}

static porch_err open_signals(porch_supervisor *s, porch_why *why) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return porch_fail(why, PORCH_ERR_IO, "signalfd failed: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    return PORCH_OK;
}

static void warn_of_root_key(const porch_supervisor *s) {
    if (!porch_tree_root_is_online(s->config->dir)) return;
    porch_log(PORCH_LOG_WARN, "supervisor.root-key-online", "reason",
              "the root CA's key lies in OFFLINE/; move it to a medium that you can lock away: porchlight "
              "-C DIR ca export-root --out FILE",
              NULL);
}

static void forget(porch_supervisor *s, const porch_supervisor_config *config) {
    memset(s, 0, sizeof *s);
    s->config = config;
    s->ready_fd = config->ready_fd;
    s->lock_fd = s->admin_fd = s->signer_dir_fd = s->credential_fd = s->control_fd = s->signal_fd = -1;
    s->control_watch.fd = s->signal_watch.fd = -1;
    for (int i = 0; i < 3; i++)
        s->listen_fds[i] = -1;
}

static void prepare_children(porch_supervisor *s) {
    for (int i = 0; i < PORCH_CHILD_COUNT; i++) {
        porch_child *c = &s->children[i];
        c->supervisor = s;
        c->role = (porch_child_role)i;
        c->pidfd = -1;
        c->watch.fd = -1;
        c->backoff =
            (porch_backoff){s->settings.supervisor_restart_first_ms, s->settings.supervisor_restart_most_ms,
                            s->settings.supervisor_healthy_ms, 0};
    }
}

porch_err porch_supervisor_open(porch_supervisor *s, const porch_supervisor_config *config,
                                porch_why *why) {
    char conf[PORCH_TREE_PATH_BYTES];
    forget(s, config);
    PORCH_TRY(path_in(config->dir, "hub.conf", conf, why));
    porch_err e = porch_settings_load(conf, &s->settings, why);
    /* A missing hub.conf is told by the check below, in better words. */
    if (e != PORCH_OK && access(conf, F_OK) == 0) return e;
    prepare_children(s);
    PORCH_TRY(porch_users_find(&s->settings, &s->users, why));
    warn_of_users(s);
    porch_user hub = s->users.of[PORCH_CHILD_HUB];
    PORCH_TRY(porch_tree_check(config->dir, hub.uid, s->users.of[PORCH_CHILD_SIGNER].uid, why));
    PORCH_TRY(porch_tree_complete(config->dir, hub, why));
    PORCH_TRY(find_programs(s, why));
    PORCH_TRY(open_signals(s, why));
    PORCH_TRY(porch_loop_new(&s->loop, why));
    PORCH_TRY(take_lock(s, why));
    PORCH_TRY(open_listeners(s, why));
    PORCH_TRY(open_admin(s, hub, why));
    if (s->lock_fd >= 0 && geteuid() != hub.uid && fchown(s->lock_fd, hub.uid, hub.gid) != 0)
        return porch_fail(why, PORCH_ERR_IO, "lock: chown failed: %s", strerror(errno));
    PORCH_TRY(open_signer_folder(s, why)); /* while we may */
    PORCH_TRY(open_credential(s, why));
    PORCH_TRY(porch_users_become(&s->users, why));
    warn_of_root_key(s);
    warn_of_seal(s);
    s->watchdog_ms = config->admin_only ? 0 : porch_systemd_watchdog_ms();
    return PORCH_OK;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void porch_supervisor_close(porch_supervisor *s) {
    char path[PORCH_TREE_PATH_BYTES];
    /* The socket's file goes while the lock is still ours. */
    if (s->admin_fd >= 0 && path_in(s->config->dir, "run/admin.sock", path, NULL) == PORCH_OK)
        (void)unlink(path);
    close_fd(&s->admin_fd);
    for (int i = 0; i < 3; i++)
        close_fd(&s->listen_fds[i]);
    close_fd(&s->signer_dir_fd);
    close_fd(&s->credential_fd);
    close_fd(&s->control_fd);
    close_fd(&s->signal_fd);
    close_fd(&s->ready_fd);
    if (s->loop) porch_loop_free(s->loop);
    s->loop = NULL;
    close_fd(&s->lock_fd);
}
