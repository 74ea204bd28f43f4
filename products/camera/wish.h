/* What the hub wishes of this camera, between the SDK's thread that hears it and the one that films.
 *
 *   SDK thread ──porch_camera_wishes_hear──► the newest wish ──porch_camera_wishes_take──► filming thread
 *                                                 └─ wakes whoever waits
 *
 * Members of the twin: `privacy` (true: nothing is captured) and `ignore` (a list of x, y, width, height in
 * ten-thousandths of the picture: zones in which motion does not count). */
#ifndef PORCH_CAMERA_WISH_H
#define PORCH_CAMERA_WISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <porchlight/twin.h>

enum { PORCH_CAMERA_ZONES = 16, PORCH_CAMERA_ONE = 10000 };

typedef struct {
    uint64_t version; /* 0: the hub has never wished for anything */
    bool privacy;
    size_t zone_count;
    int32_t zones[PORCH_CAMERA_ZONES][4];
} porch_camera_wish;

/* Zones that do not lie in the picture make the list as a whole void: then nothing is ignored. */
porch_camera_wish porch_camera_wish_read(const porch_twin_desired *desired);

typedef struct porch_camera_wishes porch_camera_wishes;

porch_camera_wishes *porch_camera_wishes_new(void);
void porch_camera_wishes_free(porch_camera_wishes *w);
/* For porch_twin_open, with the wishes as ctx. */
void porch_camera_wishes_hear(void *wishes, const porch_twin_desired *desired);
/* True when there is one that was not taken yet: *ret is it. */
bool porch_camera_wishes_take(porch_camera_wishes *w, porch_camera_wish *ret);
/* Whether the newest one, taken or not, is for privacy. */
bool porch_camera_wishes_private(porch_camera_wishes *w);
/* Waits until there is an untaken wish, somebody wakes it, or `most_ms` are over (UINT64_MAX: no limit). */
void porch_camera_wishes_wait(porch_camera_wishes *w, uint64_t most_ms);
/* Ends a wait. For signal handlers, too. */
void porch_camera_wishes_wake(porch_camera_wishes *w);

#endif
