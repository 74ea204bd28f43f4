/* Where frames come from: a film, a V4L2 device, an RTSP camera. One door; nothing after it needs to know.
 *
 *   FILM             plays at its own pace, as if it were being filmed now; it has an end
 *   /dev/videoN      a V4L2 device of this machine (v4l2.c)
 *   rtsp://HOST/...  another camera, RTP inside one TCP connection
 *
 * The last two are live: they have no end, only breaks, after which they are opened anew. While a source is
 * closed nothing of it is read. */
#ifndef PORCH_CAMERA_SOURCE_H
#define PORCH_CAMERA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libavutil/frame.h>

typedef struct {
    AVFrame *frame; /* AV_PIX_FMT_YUV420P; the source's own, valid until the next call */
    uint64_t
        at_ms; /* when it was captured, Unix ms, by a clock that may be set: to be told, not measured */
    /* the same by a clock that nobody sets, of no particular beginning; rises with every frame. Of sources
     * that decoder.h opened; the decoder's own have none. */
    uint64_t steady_ms;
} porch_camera_frame;

/* END: the film is over. CANCELLED: `cancelled` said so. BROKEN: with a sentence. */
typedef enum {
    PORCH_CAMERA_FRAME,
    PORCH_CAMERA_END,
    PORCH_CAMERA_CANCELLED,
    PORCH_CAMERA_BROKEN,
    PORCH_CAMERA_DIED /* as BROKEN: the process that decodes is gone */
} porch_camera_next;

typedef struct porch_camera_source porch_camera_source;
struct porch_camera_source {
    porch_camera_next (*next)(porch_camera_source *s, porch_camera_frame *ret, char why[256]);
    void (*close)(porch_camera_source *s);
    int width, height;
    AVRational rate; /* frames a second, as far as is known */
};

typedef struct {
    const char *what;             /* path of a film or of a V4L2 device, or an rtsp:// URL */
    bool loop;                    /* a film begins again at its end */
    uint32_t stall_ms;            /* a live source that gives no frame for so long is broken */
    bool (*cancelled)(void *ctx); /* asked often: ends every wait; may be NULL */
    void *cancelled_ctx;
    /* Called once everything is open and before the first byte of the source is read; false ends it. NULL:
     * for sources that are trusted. */
    bool (*ready)(void *ctx);
    void *ready_ctx;
} porch_camera_source_options;

typedef enum { PORCH_CAMERA_FILM, PORCH_CAMERA_V4L2, PORCH_CAMERA_RTSP } porch_camera_source_kind;

/* False, with a sentence, for what is none of them: another scheme, user or password without a host. */
bool porch_camera_source_kind_of(const char *what, porch_camera_source_kind *ret, char why[256]);
/* `what` as it may be told: a URL without user, password, query and fragment. Cut to fit. */
void porch_camera_source_hide(const char *what, char *out, size_t cap);

/* NULL with a sentence in `why`. Close with source->close. */
porch_camera_source *porch_camera_source_open(const porch_camera_source_options *options, char why[256]);

/* For the files of sources. */
porch_camera_source *porch_camera_stream_open(const porch_camera_source_options *options, bool live,
                                              char why[256]);
uint64_t porch_camera_mono_ms(void);
bool porch_camera_source_cancelled(const porch_camera_source_options *options);
bool porch_camera_source_ready(const porch_camera_source_options *options);
/* Of a picture that is decoded: a stranger may have sent it. */
enum { PORCH_CAMERA_PIXELS_MOST = 4096 * 2304 };

#endif
