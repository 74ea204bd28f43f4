/* What FFmpeg opens: films, and RTSP cameras. */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include <porchlight/device.h>

typedef struct {
    porch_camera_source base;
    porch_camera_source_options options;
    bool live;
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

enum { PIXELS_MOST = 4096 * 2304 }; /* of a picture that is decoded: a stranger may have sent it */

static bool stopped(const film *f) {
    return porch_camera_source_cancelled(&f->options);
}

/* FFmpeg asks this while it waits. */
static int interrupted(void *ctx) {
    const film *f = ctx;
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
    avformat_close_input(&f->input);
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

/* RTSP inside one TCP connection, and nothing else that a server may redirect to; a film from files alone.
 */
static int open_input(film *f) {
    char path[4096];
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
        (void)av_dict_set(&o, "protocol_whitelist", "file", 0);
        if (snprintf(path, sizeof path, "file:%s", f->options.what) >= (int)sizeof path)
            return AVERROR(ENAMETOOLONG);
    }
    int r = avformat_open_input(&f->input, f->live ? f->options.what : path,
                                f->live ? av_find_input_format("rtsp") : NULL, &o);
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
    f->decoder->max_pixels = PIXELS_MOST;
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
