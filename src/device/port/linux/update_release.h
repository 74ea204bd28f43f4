/* What the signed repository says of the release that the hub speaks of. See device_update.c, which asks.
 *
 *   hub's word (product, version, hash) ─► TUF refreshed over the device's link, by the hub's signed time
 *        ─► the image as the product's role signed it, its policy, a delta from what runs, a wider share
 *
 * The hub only points: what it points at counts by its signatures, for this product and this hardware. */
#ifndef PORCH_DEVICE_PORT_LINUX_UPDATE_RELEASE_H
#define PORCH_DEVICE_PORT_LINUX_UPDATE_RELEASE_H

#include <porchlight/device.h>

#include "device/port/linux/update_fetch.h"
#include "ota/client/policy.h"
#include "ota/client/slot.h"
#include "ota/port/linux/tuf_folder.h"
#include "wire/update_news.h"

enum { PORCH_UPDATE_NAME_BYTES = 512 }; /* of a target */

typedef struct {
    porch_device *device;
    porch_update_fetch *fetch; /* open */
    const char *state;         /* the folder state/update */
    const char *root;          /* the file with the first root */
    const char *hardware;      /* this device's revision */
    bool deltas;               /* look for one from what runs */
    /* from here on its own */
    uint64_t fetched; /* bytes that came over the network */
    porch_tuf_folder *folder;
    const porch_update_desired *desired;
} porch_update_repository;

/* What a release's own words say, copied out of TUF's memory. */
typedef struct {
    porch_slot_image image;
    porch_policy policy;
    char image_path[PORCH_UPDATE_NAME_BYTES], delta_path[PORCH_UPDATE_NAME_BYTES]; /* on the hub */
    uint64_t delta_bytes;                                                          /* 0: none is signed */
    uint8_t delta_sha256[32];
    uint32_t widened;
    bool unfit; /* whoever may has signed it, for other hardware: the reason of a DENIED */
} porch_update_release;

/* Refreshes TUF's metadata and fills *r, which comes zeroed. `running` is the SHA-256 of what runs. HASH:
 * another image is signed than the hub speaks of; DENIED: it is for another product or hardware; else TUF's
 * and the fetch's errors. */
porch_err porch_update_release_find(porch_update_repository *u, const porch_update_desired *desired,
                                    const uint8_t running[32], porch_update_release *r, porch_why *why);

#endif
