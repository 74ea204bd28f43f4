/* Where frames come from. A file plays at its own pace, as if it were being filmed now.
 *
 * A source is a table: files today; a V4L2 device or an RTSP camera is another table behind the same door,
 * and nothing after it needs to know. */
#ifndef PORCH_CAMERA_SOURCE_H
#define PORCH_CAMERA_SOURCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <libavutil/frame.h>

typedef struct {
    AVFrame *frame; /* AV_PIX_FMT_YUV420P; the source's own, valid until the next call */
    uint64_t at_ms; /* when it was captured, Unix ms; never falls */
} porch_camera_frame;

typedef enum { PORCH_CAMERA_FRAME, PORCH_CAMERA_END, PORCH_CAMERA_BROKEN } porch_camera_next;

typedef struct porch_camera_source porch_camera_source;
struct porch_camera_source {
    porch_camera_next (*next)(porch_camera_source *s, porch_camera_frame *ret, char why[256]);
    void (*close)(porch_camera_source *s);
    int width, height;
    AVRational rate; /* frames a second, as far as is known */
};

typedef struct {
    const char *what;                  /* path of a film */
    bool loop;                         /* begin again at the end */
    const volatile sig_atomic_t *stop; /* ends the wait for the next frame */
} porch_camera_source_options;

/* NULL with a sentence in `why`. Close with source->close. */
porch_camera_source *porch_camera_source_open(const porch_camera_source_options *options, char why[256]);

#endif
