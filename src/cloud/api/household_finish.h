/* Erasures that broke off: a crash, a full disk or a signer that was away may leave a household half gone,
 * and with its owner's account who could repeat it. One thread finishes them, at the hub's start and as
 * long as one is left.
 *
 *   start ─► table erasure, households released-... ─► porch_household_erase_rest ─► none left: asleep
 *                                                             │ fails
 *                                                             └─► said in the log, again a minute later */
#ifndef PORCH_CLOUD_API_HOUSEHOLD_FINISH_H
#define PORCH_CLOUD_API_HOUSEHOLD_FINISH_H

#include "cloud/api/household_erase.h"

typedef struct porch_finisher porch_finisher;

/* Starts the thread; the rooms must outlive it. */
porch_err porch_finisher_start(const porch_erase_rooms *rooms, porch_finisher **ret, porch_why *why);
/* Waits for the step under way; the media room must be stopping, else that may be long. NULL is fine. */
void porch_finisher_stop(porch_finisher *f);

#endif
