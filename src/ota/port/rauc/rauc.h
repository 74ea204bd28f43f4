/* Slots that RAUC keeps on a Linux device: partitions, a boot loader, bundles that it mounts and verifies
 * itself. Spoken to over D-Bus (de.pengutronix.rauc.Installer), by libsystemd's sd-bus.
 *
 *   porch_rauc_install ──InstallBundle──► RAUC writes the slot that does not run, and makes it the boot
 * loader's next porch_rauc_mark ──Mark──► good, bad, active
 *
 * Calls block; the bus is asked anew each time, and nothing is kept. */
#ifndef PORCH_OTA_PORT_RAUC_RAUC_H
#define PORCH_OTA_PORT_RAUC_RAUC_H

#include "base/bytes.h"
#include "base/error.h"

enum { PORCH_RAUC_NAME_BYTES = 64, PORCH_RAUC_SLOTS = 2, PORCH_RAUC_INSTALL_S = 3600 };

typedef struct porch_rauc porch_rauc;

typedef struct {
    char name[PORCH_RAUC_NAME_BYTES]; /* "rootfs.0" */
    bool booted;
    bool good; /* the boot loader may start it */
} porch_rauc_slot;

/* `address` of the bus ("unix:path=..."); NULL: the system's. IO. */
porch_err porch_rauc_open(const char *address, porch_rauc **ret, porch_why *why);
void porch_rauc_close(porch_rauc *r); /* NULL is fine */

/* The two slots that the boot loader knows, by name. UNSUPPORTED when they are not two; IO when RAUC does
 * not answer. */
porch_err porch_rauc_slots(porch_rauc *r, porch_rauc_slot ret[PORCH_RAUC_SLOTS], porch_why *why);
/* Installs a bundle and waits for its end, PORCH_RAUC_INSTALL_S at most. DENIED with RAUC's reason;
 * TIMEOUT. */
porch_err porch_rauc_install(porch_rauc *r, const char *bundle, porch_why *why);
/* "good", "bad" or "active"; a slot's name, "booted" or "other". */
porch_err porch_rauc_mark(porch_rauc *r, const char *state, const char *slot, porch_why *why);

#endif
