/* The hub process: the network face and the only process that writes the database.
 *
 *   supervisor ──control channel──► hub: "signer"+fd, "analyst"+fd, "courier"+fd, "drain", "pulse"
 *              ◄────────────────── "ready", "beat"
 *
 * porch_hub_run opens settings, store and rooms, makes or renews the hub's server certificates through the
 * signer, enters its sandbox, serves until told to drain (or until the control channel closes), and leaves
 * every acknowledged message durable. */
#ifndef PORCH_CLOUD_API_HUB_H
#define PORCH_CLOUD_API_HUB_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *dir;  /* the hub's directory; checked and locked by the supervisor */
    int control_fd;   /* SEQPACKET socket to the supervisor */
    int listen_fd[3]; /* mqtt, device, people: bound and listening; -1 when admin_only */
    uint16_t port[3]; /* the ports really bound */
    int admin_fd;     /* listening Unix socket */
    bool admin_only;  /* serve the admin socket alone, and end with its last client */
} porch_hub_start;

/* Takes over the descriptors. Returns the process's exit code: 0 after an ordered end. */
int porch_hub_run(const porch_hub_start *start);

#endif
