/* An owner gives a device away: after it the household's data of that device is nowhere, its credentials
 * are dead, and the next owner claims it like a new one.
 *
 *   revoked (sessions and uploads end) ─► moved, with all that is its, into a household of its own
 *   ─► exports of the old household end, fetched or not ─► that household ends (household_erase.h)
 *
 * Should the hub die in between, that household, `released-...`, is in `household list`, and `household
 * erase` goes on. The trust log keeps what the household did with the device, and that it was released. */
#ifndef PORCH_CLOUD_API_HOUSEHOLD_RELEASE_H
#define PORCH_CLOUD_API_HOUSEHOLD_RELEASE_H

#include "cloud/api/household_erase.h"

/* `household`: whose it must be; NULL: anybody's. `who` is written into the trust log: "operator" or
 * "user:NAME". NOT_FOUND; else as porch_household_erase. */
porch_err porch_device_release(const porch_erase_rooms *rooms, const char *device, const char *household,
                               const char *who, porch_why *why);

#endif
