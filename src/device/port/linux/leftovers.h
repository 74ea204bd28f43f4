/* What FOLDER/state keeps of the home that a device was in: the clips and messages that wait for its hub,
 * and its wish (state/twin: privacy, areas to ignore). A folder that is enrolled again would send and obey
 * them in the next home.
 *
 *   enrolment ─► anything left? ─► the caller says: keep, or clear ─► cleared, synced ─► new certificate
 *
 * The rest of state/ is no home's: the floors below which the device never falls (`time`, `update`) hold in
 * every one, and a device that gave them up could be led back to an old certificate or release. Secrets are
 * the product's, which reached the new home's network by one of them. */
#ifndef PORCH_DEVICE_PORT_LINUX_LEFTOVERS_H
#define PORCH_DEVICE_PORT_LINUX_LEFTOVERS_H

#include "base/error.h"

/* Nobody else runs with the folder until *fd is closed: BUSY when somebody does. A folder without a state
 * is nobody's yet, and *fd stays as it is. */
porch_err porch_leftovers_lock(const char *folder, int *fd, porch_why *why);
/* OK when nothing is left; EXISTS with what is. */
porch_err porch_leftovers_check(const char *folder, porch_why *why);
/* After OK nothing is left, also when the power goes then. Cut off in between, or after an error, some of
 * it may be gone; the rest is still found by the check. */
porch_err porch_leftovers_clear(const char *folder, porch_why *why);

#endif
