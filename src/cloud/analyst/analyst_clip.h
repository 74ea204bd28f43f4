/* One clip from its first byte to the last word about it: what a child of the analyst does with its life.
 */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_CLIP_H
#define PORCH_CLOUD_ANALYST_ANALYST_CLIP_H

#include "cloud/analyst/analyst_ipc.h"

/* Reads from `memfd` as `clip_socket` says, answers there, ends with END. The descriptors stay the
 * caller's. OK whenever END could be said. */
porch_err porch_analyst_clip_run(const porch_analyst_start *start, int memfd, int clip_socket);

#endif
