#include "recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#ifndef PORCH_CAMERA_ENCODER
#define PORCH_CAMERA_ENCODER "libx264"
#endif

enum { KEPT_MOST = 1024, IO_BYTES = 65536 };

typedef struct {
    uint8_t *at;
    size_t len, cap;
    bool failed;
} bytes_out;

struct porch_camera_recorder {
    porch_camera_recorder_options options;
    AVCodecContext *encoder;
    AVPacket *packet;
    uint64_t epoch_ms; /* capture time of time stamp 0 */
    bool has_epoch;
    /* the pre-roll: a ring of packets */
    AVPacket *kept[KEPT_MOST];
    size_t first, count;
    /* the open clip */
    porch_clip *clip;
    AVFormatContext *mux;
    bytes_out out;
    int64_t clip_pts;     /* first time stamp of the clip */
    int64_t fragment_pts; /* of the fragment under way */
    bool fragment_empty;
};

static const AVRational time_base = {1, 1000};

static bool fail(char why[256], const char *what, int r) {
    char text[96] = "";
    if (r < 0) (void)av_strerror(r, text, sizeof text);
    (void)snprintf(why, 256, "%s%s%s", what, r < 0 ? ": " : "", text);
    return false;
}

/* --- encoding --- */

static int open_encoder(porch_camera_recorder *r) {
    const AVCodec *codec = avcodec_find_encoder_by_name(PORCH_CAMERA_ENCODER);
    if (!codec) return AVERROR_ENCODER_NOT_FOUND;
    AVCodecContext *e = r->encoder = avcodec_alloc_context3(codec);
    if (!e) return AVERROR(ENOMEM);
    int64_t half_second = av_rescale(1, r->options.rate.num, 2 * (int64_t)r->options.rate.den);
    e->width = r->options.width;
    e->height = r->options.height;
    e->pix_fmt = AV_PIX_FMT_YUV420P;
    e->time_base = time_base;
    e->framerate = r->options.rate;
    e->gop_size = half_second > 1 ? (int)half_second : 1;
    e->max_b_frames = 0;
    e->thread_count = 1;
    e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    (void)av_opt_set(e->priv_data, "preset", "veryfast", 0);
    (void)av_opt_set(e->priv_data, "tune", "zerolatency", 0);
    (void)av_opt_set(e->priv_data, "crf", "24", 0);
    (void)av_opt_set(e->priv_data, "forced-idr", "1", 0);
    return avcodec_open2(e, codec, NULL);
}

porch_camera_recorder *porch_camera_recorder_new(const porch_camera_recorder_options *options,
                                                 char why[256]) {
    porch_camera_recorder *r = calloc(1, sizeof *r);
    if (!r) {
        (void)fail(why, "out of memory", 0);
        return NULL;
    }
    r->options = *options;
    r->packet = av_packet_alloc();
    int e = r->packet ? open_encoder(r) : AVERROR(ENOMEM);
    if (e < 0) {
        (void)fail(why, "the H.264 encoder (libx264) cannot be opened", e);
        porch_camera_recorder_free(r);
        return NULL;
    }
    return r;
}

static void drop_first(porch_camera_recorder *r) {
    av_packet_free(&r->kept[r->first]);
    r->first = (r->first + 1) % KEPT_MOST;
    r->count--;
}

static AVPacket *kept_at(const porch_camera_recorder *r, size_t i) {
    return r->kept[(r->first + i) % KEPT_MOST];
}

/* Keeps the packet; whole groups that the pre-roll no longer reaches into go. */
static bool keep(porch_camera_recorder *r, const AVPacket *packet) {
    if (r->count == KEPT_MOST) drop_first(r);
    AVPacket *copy = av_packet_clone(packet);
    if (!copy) return false;
    r->kept[(r->first + r->count) % KEPT_MOST] = copy;
    r->count++;
    for (;;) {
        size_t next_key = 1;
        while (next_key < r->count && (kept_at(r, next_key)->flags & AV_PKT_FLAG_KEY) == 0)
            next_key++;
        if (next_key >= r->count ||
            packet->pts - kept_at(r, next_key)->pts < (int64_t)r->options.pre_roll_ms)
            return true;
        for (size_t i = 0; i < next_key; i++)
            drop_first(r);
    }
}

/* --- the clip --- */

static int take_bytes(void *ctx, uint8_t *at, int len) {
    bytes_out *o = ctx;
    size_t n = (size_t)len;
    if (o->failed) return AVERROR(ENOMEM);
    if (n > o->cap - o->len) {
        size_t cap = o->cap * 2 > o->len + n ? o->cap * 2 : o->len + n;
        uint8_t *grown = realloc(o->at, cap);
        o->failed = !grown;
        if (!grown) return AVERROR(ENOMEM);
        o->at = grown;
        o->cap = cap;
    }
    memcpy(o->at + o->len, at, n);
    o->len += n;
    return len;
}

/* What the muxer has written since the last time: whole fragments, to the SDK. */
static bool hand_over(porch_camera_recorder *r, char why[256]) {
    avio_flush(r->mux->pb);
    if (r->out.failed) return fail(why, "out of memory", 0);
    if (r->out.len == 0) return true;
    porch_device_why inner;
    porch_device_result e = porch_clip_append(r->clip, r->out.at, r->out.len, &inner);
    r->out.len = 0;
    return e == PORCH_DEVICE_OK ? true : fail(why, inner.text, 0);
}

static bool end_fragment(porch_camera_recorder *r, char why[256]) {
    if (r->fragment_empty) return true;
    int e = av_write_frame(r->mux, NULL);
    if (e < 0) return fail(why, "a fragment cannot be written", e);
    r->fragment_empty = true;
    return hand_over(r, why);
}

static bool write_packet(porch_camera_recorder *r, const AVPacket *packet, char why[256]) {
    AVPacket *copy = av_packet_clone(packet);
    if (!copy) return fail(why, "out of memory", 0);
    copy->stream_index = 0;
    copy->pts -= r->clip_pts;
    copy->dts -= r->clip_pts;
    av_packet_rescale_ts(copy, time_base, r->mux->streams[0]->time_base);
    if (r->fragment_empty) r->fragment_pts = packet->pts;
    r->fragment_empty = false;
    int e = av_write_frame(r->mux, copy);
    av_packet_free(&copy);
    return e < 0 ? fail(why, "a packet cannot be written", e) : true;
}

static int open_mux(porch_camera_recorder *r) {
    int e = avformat_alloc_output_context2(&r->mux, NULL, "mp4", NULL);
    if (e < 0) return e;
    AVStream *stream = avformat_new_stream(r->mux, NULL);
    uint8_t *block = av_malloc(IO_BYTES);
    if (!stream || !block) {
        av_free(block);
        return AVERROR(ENOMEM);
    }
    r->mux->pb = avio_alloc_context(block, IO_BYTES, 1, &r->out, NULL, take_bytes, NULL);
    if (!r->mux->pb) {
        av_free(block);
        return AVERROR(ENOMEM);
    }
    r->mux->flags |= AVFMT_FLAG_CUSTOM_IO;
    e = avcodec_parameters_from_context(stream->codecpar, r->encoder);
    if (e < 0) return e;
    stream->time_base = time_base;
    stream->avg_frame_rate = r->options.rate;
    AVDictionary *options = NULL;
    (void)av_dict_set(&options, "movflags", "frag_custom+empty_moov+default_base_moof", 0);
    e = avformat_write_header(r->mux, &options);
    av_dict_free(&options);
    return e;
}

static void close_mux(porch_camera_recorder *r) {
    if (!r->mux) return;
    if (r->mux->pb) {
        av_freep(&r->mux->pb->buffer);
        avio_context_free(&r->mux->pb);
    }
    avformat_free_context(r->mux);
    r->mux = NULL;
    free(r->out.at);
    r->out = (bytes_out){0};
}

bool porch_camera_recorder_is_open(const porch_camera_recorder *r) {
    return r->clip != NULL;
}

uint64_t porch_camera_recorder_began_ms(const porch_camera_recorder *r) {
    return r->epoch_ms + (uint64_t)r->clip_pts;
}

bool porch_camera_recorder_open(porch_camera_recorder *r, porch_device *device, const porch_event_id *event,
                                char why[256]) {
    if (r->clip || r->count == 0) return fail(why, "there is a clip already, or no frame yet", 0);
    porch_device_why inner;
    r->clip = porch_clip_begin(device, event, &inner);
    return r->clip ? true : fail(why, inner.text, 0);
}

bool porch_camera_recorder_begin(porch_camera_recorder *r, bool pre_roll, char why[256]) {
    size_t from = pre_roll ? 0 : r->count - 1;
    while (from < r->count - 1 && (kept_at(r, from)->flags & AV_PKT_FLAG_KEY) == 0)
        from++;
    r->clip_pts = kept_at(r, from)->pts;
    r->fragment_empty = true;
    int e = open_mux(r);
    bool ok = e >= 0 || fail(why, "the clip's header cannot be written", e);
    for (size_t i = from; ok && i < r->count; i++)
        ok = write_packet(r, kept_at(r, i), why);
    ok = ok && end_fragment(r, why);
    if (!ok) {
        char ignored[256];
        (void)porch_camera_recorder_finish(r, ignored);
    }
    return ok;
}

bool porch_camera_recorder_finish(porch_camera_recorder *r, char why[256]) {
    if (!r->clip) return true;
    bool ok = true;
    if (r->mux && r->mux->pb) {
        ok = end_fragment(r, why);
        int e = ok ? av_write_trailer(r->mux) : 0;
        if (e < 0) ok = fail(why, "the clip's end cannot be written", e);
        ok = ok && hand_over(r, why);
    }
    close_mux(r);
    porch_device_why inner;
    porch_device_result e = porch_clip_finish(r->clip, NULL, NULL, &inner);
    r->clip = NULL;
    if (ok && e != PORCH_DEVICE_OK) ok = fail(why, inner.text, 0);
    return ok;
}

bool porch_camera_recorder_add(porch_camera_recorder *r, AVFrame *frame, uint64_t at_ms, bool key,
                               char why[256]) {
    if (!r->has_epoch) r->epoch_ms = at_ms;
    r->has_epoch = true;
    frame->pts = (int64_t)(at_ms - r->epoch_ms);
    frame->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    int e = avcodec_send_frame(r->encoder, frame);
    if (e < 0) return fail(why, "a frame cannot be encoded", e);
    while ((e = avcodec_receive_packet(r->encoder, r->packet)) == 0) {
        r->packet->duration = av_rescale(1000, r->options.rate.den, r->options.rate.num);
        bool ok = keep(r, r->packet) || fail(why, "out of memory", 0);
        if (ok && r->clip) {
            ok = write_packet(r, r->packet, why);
            bool full =
                r->packet->pts + r->packet->duration - r->fragment_pts >= (int64_t)r->options.fragment_ms;
            if (ok && full) ok = end_fragment(r, why);
        }
        av_packet_unref(r->packet);
        if (!ok) return false;
    }
    return e == AVERROR(EAGAIN) ? true : fail(why, "the encoder gives nothing", e);
}

void porch_camera_recorder_free(porch_camera_recorder *r) {
    if (!r) return;
    char ignored[256];
    (void)porch_camera_recorder_finish(r, ignored);
    while (r->count > 0)
        drop_first(r);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->encoder);
    free(r);
}
