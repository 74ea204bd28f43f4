/* Files of the hub's update repository, over the device's own mutual TLS; for a thread that may wait.
 *
 *   GET /api/v1/device/updates/... ──► 200, or 206 from a byte on ──► piece by piece to the caller
 *
 * One connection at a time, kept for the next file where the hub lets it. A transfer that gives nothing for
 * a while is given up; so is everything once the cancel function says so. */
#ifndef PORCH_DEVICE_PORT_LINUX_UPDATE_FETCH_H
#define PORCH_DEVICE_PORT_LINUX_UPDATE_FETCH_H

#include "base/bytes.h"
#include "base/error.h"
#include "device/port/linux/link.h"

typedef struct {
    const char *host;
    uint16_t port;
    uint64_t patience_ms; /* without a byte */
    int wake_fd;          /* an eventfd, read empty here; readable: look at `cancelled` */
    bool (*cancelled)(void *ctx);
    void *ctx;
    /* from here on its own */
    porch_link link;
    bool heard; /* something of the answer came */
    uint8_t in[16 * 1024];
} porch_update_fetch;

void porch_update_fetch_open(porch_update_fetch *f);
/* Until the rest, with this certificate. */
void porch_update_fetch_use(porch_update_fetch *f, porch_tls_client *tls);
/* Nothing is to be fetched for a while. */
void porch_update_fetch_rest(porch_update_fetch *f);
void porch_update_fetch_close(porch_update_fetch *f);

/* Takes a piece; an error ends the transfer and is what porch_update_fetch_get returns. */
typedef porch_err (*porch_update_take)(void *ctx, porch_bytes piece, porch_why *why);

/* The file at `path`, from byte `from` on. NOT_FOUND for 404; AUTH: the hub refuses us (401,
 * 403); STATE: the hub has no byte `from`, or gives no ranges; BUSY: cancelled; else IO, CLOSED, TIMEOUT,
 * MALFORMED. */
porch_err porch_update_fetch_get(porch_update_fetch *f, const char *path, uint64_t from,
                                 porch_update_take take, void *ctx, porch_why *why);

#endif
