/* Motion by frame difference on half-size luma.
 *
 *   luma ─► half size ─► |difference| to some 100 ms ago ─► 8x8 cells that changed ─► largest group ─► on /
 * off
 *
 * Cells instead of pixels make noise of single pixels harmless; hysteresis (it takes more to begin than to
 * go on, and quiet must last) keeps an event from flickering. Nothing of FFmpeg in here. */
#ifndef PORCH_CAMERA_MOTION_H
#define PORCH_CAMERA_MOTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct porch_camera_motion porch_camera_motion;

typedef struct {
    bool moving;          /* with hysteresis */
    bool began;           /* turned on with this frame */
    uint64_t began_at_ms; /* capture time of the first frame of this motion */
    double score;         /* 0..1, of this frame */
    double box[4];        /* x, y, width, height in parts of the frame: the largest group of this frame */
} porch_camera_sight;

/* NULL when there is no memory or the frame is smaller than a cell. */
porch_camera_motion *porch_camera_motion_new(int width, int height, uint64_t settle_ms);
void porch_camera_motion_free(porch_camera_motion *m);
/* Motion inside these zones does not count from now on: x, y, width, height in ten-thousandths of the
 * picture. A cell is ignored when its middle lies in one. Replaces the zones before; none with count 0. */
void porch_camera_motion_ignore(porch_camera_motion *m, const int32_t (*zones)[4], size_t count);
/* One frame's luma, in order; `at_ms` is when, by a clock that nobody sets. */
porch_camera_sight porch_camera_motion_look(porch_camera_motion *m, const uint8_t *luma, size_t stride,
                                            uint64_t at_ms);

#endif
