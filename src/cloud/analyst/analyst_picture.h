/* A frame as the person will see it: a JPEG of at most 640 columns and PORCH_ANALYST_PICTURE_MAX bytes; and
 * its brightness alone, as the detectors want it. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_PICTURE_H
#define PORCH_CLOUD_ANALYST_ANALYST_PICTURE_H

#include <libavutil/frame.h>

#include "cloud/analyst/analyst_motion.h"

/* Appends the JPEG to `out`. MEDIA for a pixel format that cannot be converted; NO_SPACE. */
porch_err porch_analyst_picture_jpeg(const AVFrame *frame, porch_buf *out);
/* The luma plane, straight from the frame. UNSUPPORTED unless the frame is 8-bit planar with luma first. */
porch_err porch_analyst_picture_grey(const AVFrame *frame, porch_analyst_grey *ret);

#endif
