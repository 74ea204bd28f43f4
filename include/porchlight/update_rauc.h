/* Updates on a device whose slots RAUC keeps: partitions, a boot loader, bundles that it mounts and
 * verifies itself. The updater of <porchlight/update.h> is the same; what a release holds is a bundle, and
 * `restart` means that the device has to start again, not the process.
 *
 *   options.back_end = porch_update_rauc();  options.slots = the folder of porchlight-rauc
 *   at each start of the device, before the product: porchlight-rauc FOLDER booted  (exit 3: start again)
 *
 * Link with libsystemd beside libporchlight. */
#ifndef PORCHLIGHT_UPDATE_RAUC_H
#define PORCHLIGHT_UPDATE_RAUC_H

#include <porchlight/update.h>

#ifdef __cplusplus
extern "C" {
#endif

PORCH_DEVICE_API const porch_update_back_end *porch_update_rauc(void);

#ifdef __cplusplus
}
#endif

#endif
