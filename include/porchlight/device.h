/* A device (or a service) and its one connection to the hub.
 *
 *   product thread ──publish──► spool on disk ──► MQTT over TLS ──► hub
 *                  ◄─messages───────────────────┘
 *                  ──clip bytes─► clip on disk ──► HTTPS upload ──► hub
 *
 * Open a folder, publish, subscribe, record clips, close. One thread inside the SDK connects, connects
 * again after any failure (exponential back-off with full jitter), sends what is on disk and removes it
 * once the hub has acknowledged it, across restarts and power cuts; short-lived ones ask for the address of
 * its name. The hub's certificate is always
 * verified (chain to the folder's ca.pem, server usage, name); nothing here can turn that off.
 *
 * Every function may be called from any thread, but those of the callbacks below run on the SDK's own
 * thread: they must be quick, and may call anything but porch_device_close and porch_device_flush. */
#ifndef PORCHLIGHT_DEVICE_H
#define PORCHLIGHT_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <porchlight/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PORCH_DEVICE_API __attribute__((visibility("default")))

typedef struct porch_device porch_device;

/* Told of what happens, in order. `status` and what it points to are valid during the call. */
typedef void (*porch_device_status_fn)(void *ctx, const porch_device_status *status);

/* Zero means the default for every number; a NULL callback is not called. */
typedef struct {
    const char *folder;   /* cert.pem, ca.pem, key.pem, device.conf, state/ */
    uint64_t spool_bytes; /* disk for messages that wait; oldest go first when full (default 8 MiB) */
    uint64_t clip_bytes;  /* disk for clips that wait; oldest go first when full (default 256 MiB), or past
                             256 clips; one that is being sent goes last */
    uint32_t keep_alive_seconds; /* default 30 */
    uint32_t back_off_most_ms;   /* longest pause between attempts (default 60,000) */
    porch_device_status_fn on_status;
    void *on_status_ctx;
} porch_device_options;

/* Opens the folder (one process at a time), reads what an earlier run left behind and starts to connect;
 * does not wait for the hub. A clip that an earlier run left unfinished is ended at its last whole
 * fragment and sent. NULL on failure, with the reason in `why`. */
PORCH_DEVICE_API porch_device *porch_device_open(const porch_device_options *options,
                                                 porch_device_why *why);

/* Stops: waits until what is under way on the wire has been handed to the kernel, at most a second, then
 * closes. What was not acknowledged stays on disk for the next run. A thread that waits for the name
 * service is not waited for: it ends by itself, so the library stays loaded. NULL is allowed. */
PORCH_DEVICE_API void porch_device_close(porch_device *device);

/* The device's id ("front-door"), or the service's name; valid until close. */
PORCH_DEVICE_API const char *porch_device_id(const porch_device *device);
PORCH_DEVICE_API bool porch_device_is_service(const porch_device *device);
PORCH_DEVICE_API bool porch_device_is_connected(porch_device *device);

/* Publishes at least once: on disk and synced when this returns, then sent in order, and removed when the
 * hub acknowledges it. `ret_ticket` (may be NULL) names it in the status callback (ACKNOWLEDGED, REFUSED
 * or DROPPED). Blocks for the disk only. */
PORCH_DEVICE_API porch_device_result porch_device_publish(porch_device *device, const char *topic,
                                                          const void *payload, size_t payload_bytes,
                                                          uint64_t *ret_ticket, porch_device_why *why);

/* Publishes at most once, if connected right now; never touches the disk. PORCH_DEVICE_RETRY when not
 * connected or when too much waits to be sent. */
PORCH_DEVICE_API porch_device_result porch_device_publish_now(porch_device *device, const char *topic,
                                                              const void *payload, size_t payload_bytes,
                                                              porch_device_why *why);

/* A message from the hub. Pointers are valid during the call; the topic is zero-terminated. */
typedef struct {
    const char *topic;
    const uint8_t *payload;
    size_t payload_bytes;
    uint8_t qos;
    bool duplicate; /* the hub may have sent it before */
} porch_device_message;

typedef void (*porch_device_message_fn)(void *ctx, const porch_device_message *message);

/* Subscribes with QoS 1, now and after every reconnection. The hub's answer arrives as a status
 * (SUBSCRIBED or SUBSCRIBE_REFUSED). At most 16 a device. */
PORCH_DEVICE_API porch_device_result porch_device_subscribe(porch_device *device, const char *filter,
                                                            porch_device_message_fn fn, void *ctx,
                                                            porch_device_why *why);

/* Waits until every message is acknowledged and every finished clip complete (or refused).
 * PORCH_DEVICE_RETRY when `timeout_ms` passes first. */
PORCH_DEVICE_API porch_device_result porch_device_flush(porch_device *device, uint64_t timeout_ms,
                                                        porch_device_why *why);

/* Unix time in milliseconds, the clock that all times of the SDK are in: the system's, unless it is wrong
 * by what the hub has vouched for (see <porchlight/certificate.h>). */
PORCH_DEVICE_API uint64_t porch_device_now_ms(void);

#ifdef __cplusplus
}
#endif

#endif
