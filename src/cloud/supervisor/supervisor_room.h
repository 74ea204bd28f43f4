/* What the supervisor's files share. */
#ifndef PORCH_CLOUD_SUPERVISOR_ROOM_H
#define PORCH_CLOUD_SUPERVISOR_ROOM_H

#include <sys/types.h>

#include "cloud/settings/settings.h"
#include "cloud/supervisor/supervisor.h"
#include "cloud/supervisor/supervisor_backoff.h"
#include "cloud/supervisor/supervisor_tree.h"
#include "cloud/supervisor/supervisor_users.h"
#include "os/loop.h"

struct porch_supervisor;

typedef struct {
    struct porch_supervisor *supervisor;
    porch_child_role role;
    int pidfd; /* -1 while it does not run */
    pid_t pid;
    uint64_t started_ms; /* monotonic */
    uint32_t starts;
    porch_backoff backoff;
    porch_loop_watch watch;
    porch_loop_timer timer; /* its next start, or the patience with its end */
} porch_child;

typedef enum {
    PORCH_SUPERVISOR_RUNNING,
    PORCH_SUPERVISOR_COLLAPSING, /* the hub ended; waiting for the helpers to follow */
    PORCH_SUPERVISOR_STOPPING    /* ends once every child has */
} porch_supervisor_phase;

typedef struct porch_supervisor {
    const porch_supervisor_config *config;
    porch_settings settings;
    porch_users users;
    porch_loop *loop;
    porch_supervisor_phase phase;
    porch_child children[PORCH_CHILD_COUNT];
    char own_path[PORCH_TREE_PATH_BYTES]; /* /proc/self/exe, resolved */
    char helper_folder[PORCH_TREE_PATH_BYTES];
    int lock_fd;
    int listen_fds[3]; /* -1 with admin_only */
    uint16_t ports[3];
    int admin_fd;
    int signer_dir_fd;
    int credential_fd; /* what opens the vault of hub.seal = systemd; -1: none */
    int ready_fd;
    int control_fd; /* -1 while the hub is away */
    porch_loop_watch control_watch;
    int signal_fd;
    porch_loop_watch signal_watch;
    porch_loop_timer drain_timer;
    porch_loop_timer watchdog_timer;
    uint64_t watchdog_ms; /* 0: systemd does not ask */
    uint32_t unanswered;  /* pulses since the hub's last beat */
    bool hub_ready;
    bool ever_ready;
    int exit_code;
} porch_supervisor;

/* ---- supervisor_open.c: everything that is opened before the first child */

porch_err porch_supervisor_open(porch_supervisor *s, const porch_supervisor_config *config, porch_why *why);
void porch_supervisor_close(porch_supervisor *s);

/* ---- supervisor_child.c: one process */

const char *porch_child_name(porch_child_role role);
/* Starts the process; `socket_fd` becomes its PORCH_CHILD_SOCKET_FD (yours stays open). */
porch_err porch_child_start(porch_supervisor *s, porch_child_role role, int socket_fd, porch_why *why);

/* ---- supervisor_systemd.c: what systemd is told, when it asks (sd_notify(3)'s protocol) */

void porch_systemd_tell(const char *state);
/* A quarter of the watchdog's time, 0 when it is not asked for. */
uint64_t porch_systemd_watchdog_ms(void);

#endif
