/* A small JPEG of a frame, within the event's limit. */
#ifndef PORCH_CAMERA_THUMBNAIL_H
#define PORCH_CAMERA_THUMBNAIL_H

#include <stdbool.h>
#include <stdint.h>

#include <libavcodec/avcodec.h>

/* At most 320 pixels wide; quality falls until it fits `most_bytes`. *ret is the caller's to free with
 * av_packet_free. False when the encoder fails; an event without a picture is better than none. */
bool porch_camera_thumbnail(const AVFrame *frame, int most_bytes, AVPacket **ret);

#endif
