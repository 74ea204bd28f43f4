/* What FFmpeg opens: films, and RTSP cameras. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include <porchlight/device.h>

typedef struct {
    porch_camera_source base;
    porch_camera_source_options options;
    bool live;
    bool ready;          /* options.ready was called */
    int fd;              /* of a film; -1: none */
    int64_t bytes;       /* of the film, when it was opened */
    char shown[128];     /* options.what as it may be told */
    uint64_t give_up_ms; /* monotonic: a read that is under way then has stalled; 0: none is */
    AVFormatContext *input;
    AVCodecContext *decoder;
    struct SwsContext *convert; /* NULL: the film is YUV 4:2:0 already */
    AVPacket *packet;
    AVFrame *decoded;
    AVFrame *converted;
    int stream;
    bool draining;
    bool began;
    bool any_frame;         /* since the last beginning of the film */
    int64_t first_pts;      /* of this round */
    uint64_t round_ms;      /* film time at which this round began */
    uint64_t film_ms;       /* film time of the last frame */
    uint64_t frame_ms;      /* distance of two frames */
    uint64_t began_unix_ms; /* wall time of film time 0 */
    uint64_t began_mono_ms;
} film;

static const AVRational milliseconds = {1, 1000};

enum { IO_BYTES = 65536, FDS_LOOKED_AT = 64 };

static bool stopped(const film *f) {
    return porch_camera_source_cancelled(&f->options);
}

/* A TCP connection that stands; the one to the camera is the only one of this process, if it is the
 * decoder's. */
static bool connected(void) {
    for (int fd = 3; fd < FDS_LOOKED_AT; fd++) {
        int type = 0;
        socklen_t len = sizeof type;
        struct sockaddr_storage peer = {0};
        socklen_t peer_len = sizeof peer;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
            getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && peer.ss_family != AF_UNIX)
            return true;
    }
    return false;
}

/* FFmpeg asks this while it waits, and before it sends the first request over a new connection: nothing of
 * the camera's was read then. */
static int interrupted(void *ctx) {
    film *f = ctx;
    if (f->live && !f->ready && connected()) {
        f->ready = true;
        if (!porch_camera_source_ready(&f->options)) return 1;
    }
    return stopped(f) || (f->give_up_ms != 0 && porch_camera_mono_ms() > f->give_up_ms);
}

static void start_watch(film *f) {
    if (f->live) f->give_up_ms = porch_camera_mono_ms() + f->options.stall_ms;
}

static void wait_until(const film *f, uint64_t at_mono_ms) {
    struct timespec t = {(time_t)(at_mono_ms / 1000), (long)(at_mono_ms % 1000) * 1000000};
    while (!stopped(f) && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static void film_close(porch_camera_source *s) {
    film *f = (film *)s;
    sws_freeContext(f->convert);
    av_frame_free(&f->converted);
    av_frame_free(&f->decoded);
    av_packet_free(&f->packet);
    avcodec_free_context(&f->decoder);
    AVIOContext *io = f->input && !f->live ? f->input->pb : NULL;
    avformat_close_input(&f->input);
    if (io) {
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
    if (f->fd >= 0) (void)close(f->fd);
    free(f);
}

static bool rewind_film(film *f) {
    if (!f->options.loop || !f->any_frame) return false;
    if (av_seek_frame(f->input, f->stream, 0, AVSEEK_FLAG_BACKWARD | AVSEEK_FLAG_ANY) < 0 &&
        avformat_seek_file(f->input, -1, INT64_MIN, 0, INT64_MAX, 0) < 0)
        return false;
    avcodec_flush_buffers(f->decoder);
    f->draining = false;
    f->any_frame = false;
    f->round_ms = f->film_ms + f->frame_ms;
    return true;
}

/* Feeds the decoder one packet, or tells it that there are no more. */
static int feed_decoder(film *f) {
    start_watch(f);
    int r = av_read_frame(f->input, f->packet);
    if (r == AVERROR_EOF) {
        f->draining = true;
        return avcodec_send_packet(f->decoder, NULL);
    }
    if (r < 0) return r;
    if (f->packet->stream_index == f->stream) r = avcodec_send_packet(f->decoder, f->packet);
    av_packet_unref(f->packet);
    return r == AVERROR_INVALIDDATA ? 0 : r; /* a damaged packet costs its frame */
}

static void explain(const film *f, int r, const char *what, char why[256]) {
    char text[96] = "";
    (void)av_strerror(r, text, sizeof text);
    if (r == AVERROR_EXIT)
        (void)snprintf(why, 256, "%s %s: nothing came for %u ms", f->shown, what, f->options.stall_ms);
    else
        (void)snprintf(why, 256, "%s %s: %s", f->shown, what, text);
}

static porch_camera_next decode(film *f, char why[256]) {
    for (;;) {
        int r = avcodec_receive_frame(f->decoder, f->decoded);
        if (r == 0) return PORCH_CAMERA_FRAME;
        if (r == AVERROR_EOF) {
            if (rewind_film(f)) continue;
            if (!f->live) return PORCH_CAMERA_END;
            (void)snprintf(why, 256, "%s has ended", f->shown);
            return PORCH_CAMERA_BROKEN;
        }
        if (r == AVERROR(EAGAIN) && !f->draining) r = feed_decoder(f);
        if (r < 0 && stopped(f)) return PORCH_CAMERA_CANCELLED;
        if (r < 0) {
            explain(f, r, "cannot be read on", why);
            return PORCH_CAMERA_BROKEN;
        }
    }
}

/* Film time of the decoded frame; frames without a time stamp, or with one that runs back, follow the rate.
 */
static uint64_t time_of(film *f) {
    int64_t pts = f->decoded->best_effort_timestamp;
    AVRational base = f->input->streams[f->stream]->time_base;
    if (!f->any_frame) f->first_pts = pts;
    uint64_t ms = f->any_frame ? f->film_ms + f->frame_ms : f->round_ms;
    if (pts != AV_NOPTS_VALUE && f->first_pts != AV_NOPTS_VALUE && pts >= f->first_pts) {
        uint64_t told = f->round_ms + (uint64_t)av_rescale_q(pts - f->first_pts, base, milliseconds);
        if (!f->any_frame || told > f->film_ms) ms = told;
    }
    f->any_frame = true;
    return ms;
}

static porch_camera_next film_next(porch_camera_source *s, porch_camera_frame *ret, char why[256]) {
    film *f = (film *)s;
    av_frame_unref(f->decoded);
    porch_camera_next n = decode(f, why);
    if (n != PORCH_CAMERA_FRAME) return n;
    if (f->decoded->width != s->width || f->decoded->height != s->height) {
        (void)snprintf(why, 256, "%s changes its size in the middle", f->shown);
        return PORCH_CAMERA_BROKEN;
    }
    ret->frame = f->decoded;
    if (f->convert) {
        (void)sws_scale(f->convert, (const uint8_t *const *)f->decoded->data, f->decoded->linesize, 0,
                        s->height, f->converted->data, f->converted->linesize);
        ret->frame = f->converted;
    }
    if (f->live) {
        uint64_t now_ms = porch_device_now_ms();
        f->film_ms = now_ms > f->film_ms ? now_ms : f->film_ms + 1;
        ret->at_ms = f->film_ms;
        return stopped(f) ? PORCH_CAMERA_CANCELLED : PORCH_CAMERA_FRAME;
    }
    f->film_ms = time_of(f);
    if (!f->began) {
        f->began = true;
        f->began_mono_ms = porch_camera_mono_ms() - f->film_ms;
        f->began_unix_ms = porch_device_now_ms() - f->film_ms;
    }
    wait_until(f, f->began_mono_ms + f->film_ms);
    ret->at_ms = f->began_unix_ms + f->film_ms;
    return stopped(f) ? PORCH_CAMERA_CANCELLED : PORCH_CAMERA_FRAME;
}

/* --- a film's bytes, through one descriptor --- */

static int read_film(void *ctx, uint8_t *buf, int size) {
    const film *f = ctx;
    ssize_t n;
    do
        n = read(f->fd, buf, (size_t)size);
    while (n < 0 && errno == EINTR);
    if (n < 0) return AVERROR(errno);
    return n == 0 ? AVERROR_EOF : (int)n;
}

static int64_t seek_film(void *ctx, int64_t offset, int whence) {
    const film *f = ctx;
    if (whence == AVSEEK_SIZE) return f->bytes;
    int64_t at = lseek(f->fd, offset, whence & ~AVSEEK_FORCE);
    return at < 0 ? AVERROR(errno) : at;
}

static int open_film(film *f) {
    f->fd = open(f->options.what, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (f->fd < 0 || fstat(f->fd, &st) != 0) return AVERROR(errno);
    f->bytes = st.st_size; /* once the process is locked, nobody may be asked any more */
    uint8_t *buf = av_malloc(IO_BYTES);
    if (!buf) return AVERROR(ENOMEM);
    f->input->pb = avio_alloc_context(buf, IO_BYTES, 0, f, read_film, NULL,
                                      lseek(f->fd, 0, SEEK_CUR) == 0 ? seek_film : NULL);
    if (!f->input->pb) {
        av_free(buf);
        return AVERROR(ENOMEM);
    }
    f->input->flags |= AVFMT_FLAG_CUSTOM_IO; /* ours to free, opened or not */
    f->ready = true;
    return porch_camera_source_ready(&f->options) ? 0 : AVERROR(EPERM);
}

/* RTSP inside one TCP connection, and nothing else that a server may redirect to; a film from its one file.
 */
static int open_input(film *f) {
    AVDictionary *o = NULL;
    f->input = avformat_alloc_context();
    if (!f->input) return AVERROR(ENOMEM);
    f->input->interrupt_callback = (AVIOInterruptCB){interrupted, f};
    start_watch(f);
    if (f->live) {
        (void)av_dict_set(&o, "protocol_whitelist", "tcp", 0);
        (void)av_dict_set(&o, "rtsp_transport", "tcp", 0);
        (void)av_dict_set(&o, "allowed_media_types", "video", 0);
    } else {
        (void)av_dict_set(&o, "protocol_whitelist", "none", 0);
        int r = open_film(f);
        if (r < 0) {
            av_dict_free(&o);
            return r;
        }
    }
    AVIOContext *io = f->input->pb;
    int r =
        avformat_open_input(&f->input, f->options.what, f->live ? av_find_input_format("rtsp") : NULL, &o);
    if (r < 0 && io) { /* it has freed the context, and leaves what was given to it */
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
    av_dict_free(&o);
    return r;
}

static int open_decoder(film *f) {
    int r = open_input(f);
    if (r < 0) return r;
    r = avformat_find_stream_info(f->input, NULL);
    if (r < 0) return r;
    const AVCodec *codec = NULL;
    f->stream = av_find_best_stream(f->input, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (f->stream < 0) return f->stream;
    f->decoder = avcodec_alloc_context3(codec);
    if (!f->decoder) return AVERROR(ENOMEM);
    f->decoder->thread_count = 1;
    f->decoder->max_pixels = PORCH_CAMERA_PIXELS_MOST;
    r = avcodec_parameters_to_context(f->decoder, f->input->streams[f->stream]->codecpar);
    return r < 0 ? r : avcodec_open2(f->decoder, codec, NULL);
}

static int open_converter(film *f) {
    if (f->decoder->width < 16 || f->decoder->height < 16) return AVERROR_INVALIDDATA;
    f->packet = av_packet_alloc();
    f->decoded = av_frame_alloc();
    if (!f->packet || !f->decoded) return AVERROR(ENOMEM);
    enum AVPixelFormat format = f->decoder->pix_fmt;
    if (format == AV_PIX_FMT_YUV420P || format == AV_PIX_FMT_YUVJ420P) return 0;
    f->converted = av_frame_alloc();
    if (!f->converted) return AVERROR(ENOMEM);
    f->converted->format = AV_PIX_FMT_YUV420P;
    f->converted->width = f->decoder->width;
    f->converted->height = f->decoder->height;
    int r = av_frame_get_buffer(f->converted, 0);
    if (r < 0) return r;
    f->convert = sws_getContext(f->decoder->width, f->decoder->height, format, f->decoder->width,
                                f->decoder->height, AV_PIX_FMT_YUV420P, SWS_BILINEAR, NULL, NULL, NULL);
    return f->convert ? 0 : AVERROR(EINVAL);
}

porch_camera_source *porch_camera_stream_open(const porch_camera_source_options *options, bool live,
                                              char why[256]) {
    film *f = calloc(1, sizeof *f);
    if (!f) {
        (void)snprintf(why, 256, "out of memory");
        return NULL;
    }
    f->options = *options;
    f->live = live;
    f->fd = -1;
    porch_camera_source_hide(options->what, f->shown, sizeof f->shown);
    int r = open_decoder(f);
    if (r >= 0) r = open_converter(f);
    if (r < 0) {
        explain(f, r, live ? "cannot be opened" : "cannot be played", why);
        film_close(&f->base);
        return NULL;
    }
    AVRational rate = av_guess_frame_rate(f->input, f->input->streams[f->stream], NULL);
    if (rate.num <= 0 || rate.den <= 0 || rate.num / rate.den > 240) rate = (AVRational){10, 1};
    f->frame_ms = (uint64_t)av_rescale(1000, rate.den, rate.num);
    f->base = (porch_camera_source){film_next, film_close, f->decoder->width, f->decoder->height, rate};
    return &f->base;
}
