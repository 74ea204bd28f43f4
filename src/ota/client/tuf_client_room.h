/* What tuf_client.c and tuf_find.c share. */
#ifndef PORCH_OTA_CLIENT_TUF_CLIENT_ROOM_H
#define PORCH_OTA_CLIENT_TUF_CLIENT_ROOM_H

#include "base/cursor.h"
#include "ota/client/tuf_client.h"

/* A targets role, from storage when it is the announced one, else fetched, judged and stored, into
 * memory.targets; *sha256 of its bytes. memory.targets must not be what `trust` looks into once this
 * returns. */
porch_err porch_tuf_take_targets(porch_tuf *t, const char *role, const porch_tuf_trust *trust,
                                 uint8_t sha256[32], porch_why *why);
/* One that was taken in this update, from storage again. */
porch_err porch_tuf_retake_targets(porch_tuf *t, const char *role, const uint8_t sha256[32],
                                   porch_why *why);

#endif
