/* The motion gate: which parts of a frame have changed enough to look at.
 *
 *   luma ─box average─► 160 columns ─ compare with background ─► cells ─ connected ─► up to 4 regions
 *
 * The background follows slowly, so that light and sway settle. Pure arithmetic, no library, one clip. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_MOTION_H
#define PORCH_CLOUD_ANALYST_ANALYST_MOTION_H

#include "base/bytes.h"
#include "base/error.h"

/* An 8-bit grey picture that belongs to somebody else. */
typedef struct {
    const uint8_t *at;
    size_t stride;
    uint32_t width, height;
} porch_analyst_grey;

typedef struct {
    uint32_t x, y, w, h; /* pixels of the full picture */
} porch_analyst_region;

#define PORCH_ANALYST_REGIONS_MAX 4

typedef struct porch_analyst_motion porch_analyst_motion;

/* NO_SPACE without memory; MEDIA for a picture too small to judge (under 64 pixels a side). */
porch_err porch_analyst_motion_new(uint32_t width, uint32_t height, porch_analyst_motion **ret);
void porch_analyst_motion_free(porch_analyst_motion *m);

/* Where `picture` (of the size given to new) differs from what came before: the tight boxes of what moved,
 * largest first. The first picture only teaches the background. */
size_t porch_analyst_motion_look(porch_analyst_motion *m, const porch_analyst_grey *picture,
                                 porch_analyst_region ret[PORCH_ANALYST_REGIONS_MAX]);

#endif
