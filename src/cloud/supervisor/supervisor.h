/* The supervisor: porchlightd without a role. It opens what needs rights, starts the hub and its helpers,
 * restarts what ends, and stops all of it in order.
 *
 *   supervisor ──control──► hub ◄──socket pair──► signer | analyst | courier
 *        └─ binds the listeners and the admin socket once; they stay bound while the hub is restarted
 *
 *   a helper ends   it is started again after a back-off; the hub gets a new socket
 *   the hub ends    its helpers see the end of their sockets and go; all start again after a back-off
 *   SIGTERM, SIGINT the hub drains (bounded), then everything else; a second one ends it at once
 *
 * Started as root with users for its helpers it runs on as the hub's user with the rights to change user
 * and to end what it started, no more. It parses nothing from outside but hub.conf. */
#ifndef PORCH_CLOUD_SUPERVISOR_H
#define PORCH_CLOUD_SUPERVISOR_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct {
    const char *dir;
    bool admin_only;           /* no listeners, no analyst, no courier; ends when the hub does */
    int ready_fd;              /* "ready\n" is written there when the hub serves; -1 for none. Taken over */
    const char *helper_folder; /* where porchlight-analyst and porchlight-courier are; NULL: ../libexec */
} porch_supervisor_config;

/* The descriptors that its children find, by number. */
enum {
    PORCH_CHILD_SOCKET_FD = 3,     /* hub: the control channel; helpers: the socket to the hub */
    PORCH_CHILD_ADMIN_FD = 4,      /* hub */
    PORCH_CHILD_SIGNER_DIR_FD = 4, /* signer */
    PORCH_CHILD_LISTEN_FD = 5,     /* hub: mqtt, device, people: 5, 6, 7; not with admin_only */
    PORCH_CHILD_SIGNER_CONF_FD = 5,
    PORCH_CHILD_SIGNER_ISSUING_FD = 6,
    PORCH_CHILD_SIGNER_WEB_FD = 7,
    PORCH_CHILD_SIGNER_ROOT_FD = 8,
    PORCH_CHILD_SIGNER_CREDENTIAL_FD = 9, /* with hub.seal = systemd */
};

/* Runs to the end; returns the exit code: 0 after an ordered stop. Prints `ready mqtt=PORT device=PORT
 * https=PORT` on standard output each time the hub serves. */
int porch_supervisor_run(const porch_supervisor_config *config);

#endif
