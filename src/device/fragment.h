/* Where a fragmented MP4 file (ISO/IEC 14496-12) can be cut so that everything before the cut plays.
 *
 *   ftyp moov | moof mdat | moof mdat | moof md~~~        a camera that lost power while writing
 *             ^           ^           ^── last whole fragment ends here
 *   ftyp moov | moof mdat | moof mdat | mfra |            one that had ended it
 *                                            ^── here
 *
 * Whole boxes between fragments and behind the last one belong to what is whole: the hub may have them, and
 * must never have more than is here. Only top-level boxes are looked at. Bytes come through a function, so
 * that a clip is never held in memory. No heap, no OS. */
#ifndef PORCH_DEVICE_FRAGMENT_H
#define PORCH_DEVICE_FRAGMENT_H

#include "base/bytes.h"
#include "base/error.h"

/* Exactly `len` bytes from `offset`, or an error. */
typedef porch_err (*porch_fragment_read)(void *ctx, uint64_t offset, uint8_t *at, size_t len);

/* End of the last whole fragment, and of what follows it, in a file of `bytes`: 0 when not even the header
 * (ftyp, moov) is whole. Damage ends the walk; only `read` can make it fail. */
porch_err porch_fragment_whole_bytes(porch_fragment_read read, void *ctx, uint64_t bytes, uint64_t *ret);

#endif
