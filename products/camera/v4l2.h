/* A V4L2 capture device, read by its own interface: the kernel's. No library between, since the one that
 * there is (libavdevice) would bring a desktop's worth of packages to a small device.
 *
 *   what it offers ─► one format is picked ─► buffers shared with the driver ─► picture (raw or JPEG) ─►
 * YUV 4:2:0
 *
 * Every call to the driver goes through one function, so that tests can be the driver. */
#ifndef PORCH_CAMERA_V4L2_H
#define PORCH_CAMERA_V4L2_H

#include "source.h"

typedef int (*porch_camera_control_fn)(int fd, unsigned long request, void *arg);

typedef struct {
    uint32_t format; /* V4L2_PIX_FMT_... */
    int width, height;
    int rate_num, rate_den; /* frames a second; 0/1 when the driver does not say */
} porch_camera_offer;

/* The offer to take: one that can be decoded, at least 10 frames a second where there is one, as large as
 * possible up to 1280x720 (else the smallest above), up to 30 frames a second, and raw before JPEG. -1:
 * none will do. */
int porch_camera_offer_pick(const porch_camera_offer *offers, size_t count);

porch_camera_source *porch_camera_v4l2_open(const porch_camera_source_options *options, char why[256]);
/* Over an open device, which the source then owns (also when it fails). */
porch_camera_source *porch_camera_v4l2_open_fd(int fd, porch_camera_control_fn control,
                                               const porch_camera_source_options *options, char why[256]);

#endif
