/* Updates: the device installs what its product team signed, when the hub says that it is its turn.
 *
 *   hub ──"it is your turn"──► SDK: signed? for me? now? ──► other slot ──► your function: restart
 *   porchlight-launch starts the other slot on trial ──► you say healthy ──► SDK: the hub was reached ──►
 * it stays
 *
 * Nothing that the hub says makes a device install anything: image, hardware, order of versions and the
 * share of devices that may have it are signed by keys that no hub holds (docs/ota.md). A trial that you do
 * not call healthy, or that does not reach the hub in time, is rolled back at the next start; a report that
 * cannot be sent never is a reason.
 *
 * For products that porchlight-launch starts (two slots that hold one program each), and for devices whose
 * slots RAUC keeps (<porchlight/update_rauc.h>). One updater a device.
 */
#ifndef PORCHLIGHT_UPDATE_H
#define PORCHLIGHT_UPDATE_H

#include <porchlight/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const char *
        state; /* "waiting", "downloading", "staged", "trial", "good", "rolled-back", "refused", "failed" */
    const char *version; /* that it is about; "" if none */
    const char *reason;  /* a sentence; "" if none */
    bool restart;        /* end this process now: the next start is another slot's */
} porch_update_news;

/* On the updater's own thread: be quick. Pointers are valid during the call. */
typedef void (*porch_update_fn)(void *ctx, const porch_update_news *news);

/* Who keeps the slots. */
typedef struct porch_update_back_end porch_update_back_end;

typedef struct {
    const char *slots;    /* porchlight-launch's folder, or the back-end's */
    const char *version;  /* of this program, as it was released */
    const char *hardware; /* this device's revision, as releases name it */
    const char
        *root; /* the file of the trusted root, once; NULL: update-root.json in the device's folder */
    uint64_t data_schema;      /* version of the data that this device keeps */
    uint32_t trial_seconds;    /* a trial that is not confirmed by then is over (default 600) */
    int (*battery)(void *ctx); /* percent left, or below 0 on mains; NULL: mains */
    porch_update_fn on_update;
    void *ctx;
    const porch_update_back_end *back_end; /* NULL: porchlight-launch */
    const char *bus;                       /* of the back-end's service; NULL: the system's message bus */
    const char *tpm; /* where the floor's counter lies ("device:/dev/tpmrm0"); NULL: in the folder alone */
    uint32_t floor_at; /* its index, which `init --tpm --floor-at` made */
} porch_update_options;

/* Starts the updater; reports to the hub what runs. Copies what it needs. */
PORCH_DEVICE_API porch_device_result porch_update_open(porch_device *device,
                                                       const porch_update_options *options,
                                                       porch_device_why *why);

/* Is this process a trial that still has to prove itself? */
PORCH_DEVICE_API bool porch_update_on_trial(porch_device *device);

/* The product's own check has gone well, or has not. Of no effect when there is no trial. Any thread. */
PORCH_DEVICE_API void porch_update_healthy(porch_device *device);
PORCH_DEVICE_API void porch_update_unhealthy(porch_device *device, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
