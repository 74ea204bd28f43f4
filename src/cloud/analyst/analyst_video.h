/* From the bytes of an MP4 to pictures, by FFmpeg's libraries: one demuxer (mov), two decoders (H.264,
 * H.265), one thread, everything limited. Packets pass by a tap on their way to the decoder, for whoever
 * wants to keep them. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_VIDEO_H
#define PORCH_CLOUD_ANALYST_ANALYST_VIDEO_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "cloud/analyst/analyst_source.h"

typedef struct porch_analyst_video porch_analyst_video;

typedef struct {
    void (*packet)(const AVPacket *packet, const AVStream *stream, void *ctx);
    void *ctx;
} porch_analyst_tap;

/* Loads what the libraries make on first use, so that children share it. Once, before the sandbox. */
void porch_analyst_video_prepare(void);

/* Reads up to the first media data, however long that takes to arrive. `start` gives the limits; both it
 * and `source` must outlive the video. MEDIA: not a fragmented MP4 with one of the codecs; LIMIT: its size;
 * CLOSED: the hub has gone. */
porch_err porch_analyst_video_open(porch_analyst_source *source, const porch_analyst_start *start,
                                   porch_analyst_tap tap, porch_analyst_video **ret, porch_why *why);
/* The next picture, valid until the next call; *at_ms is its place in the clip. NOT_FOUND at the end. */
porch_err porch_analyst_video_next(porch_analyst_video *v, const AVFrame **ret, uint32_t *at_ms,
                                   porch_why *why);
void porch_analyst_video_free(porch_analyst_video *v);

#endif
