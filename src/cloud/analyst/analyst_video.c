/* avformat_find_stream_info is left out on purpose: it would wait for megabytes to guess what the MP4's
 * header says, and a live clip would be judged only once it is over. */
#include "cloud/analyst/analyst_video.h"

#include <libavutil/log.h>
#include <stdlib.h>

enum { IO_BYTES = 16 * 1024, CORRUPT_MOST = 50 };

struct porch_analyst_video {
    porch_analyst_source *source;
    const porch_analyst_start *start;
    porch_analyst_tap tap;
    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    uint32_t frames, corrupt;
    bool has_origin, draining;
    int64_t origin; /* first timestamp, stream time base */
};

void porch_analyst_video_prepare(void) {
    av_log_set_level(AV_LOG_QUIET);
    (void)avcodec_find_decoder(AV_CODEC_ID_H264);
}

static int read_bytes(void *opaque, uint8_t *at, int cap) {
    porch_analyst_video *v = opaque;
    size_t got = 0;
    porch_err e = porch_analyst_source_read(v->source, at, cap > 0 ? (size_t)cap : 0, &got);
    if (e == PORCH_ERR_NOT_FOUND) return AVERROR_EOF;
    return e == PORCH_OK ? (int)got : AVERROR(EIO);
}

/* What the library's refusal means: the hub's silence comes before the clip's faults. */
static porch_err refused(const porch_analyst_video *v, porch_why *why, const char *what) {
    if (v->source->broken != PORCH_OK) return porch_fail(why, PORCH_ERR_CLOSED, "the hub gave the clip up");
    return porch_fail(why, PORCH_ERR_MEDIA, "%s", what);
}

static porch_err open_demuxer(porch_analyst_video *v, porch_why *why) {
    uint8_t *block = av_malloc(IO_BYTES);
    if (block == NULL) return PORCH_ERR_NO_SPACE;
    v->io = avio_alloc_context(block, IO_BYTES, 0, v, read_bytes, NULL, NULL);
    if (v->io == NULL) {
        av_free(block);
        return PORCH_ERR_NO_SPACE;
    }
    v->format = avformat_alloc_context();
    if (v->format == NULL) return PORCH_ERR_NO_SPACE;
    v->format->pb = v->io;
    v->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_NOBUFFER;
    v->format->max_streams = 4;
    v->format->max_index_size = 1u << 20;
    v->format->codec_whitelist = av_strdup("h264,hevc");
    v->format->format_whitelist = av_strdup("mov,mp4,m4a,3gp,3g2,mj2");
    v->format->protocol_whitelist = av_strdup("none");
    const AVInputFormat *mov = av_find_input_format("mov");
    if (mov == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "FFmpeg was built without its MP4 reader");
    if (avformat_open_input(&v->format, NULL, mov, NULL) != 0) { /* frees v->format */
        return refused(v, why, "the clip does not begin as an MP4 does");
    }
    return PORCH_OK;
}

static porch_err open_decoder(porch_analyst_video *v, porch_why *why) {
    const AVCodec *decoder = NULL;
    v->stream = -1;
    for (unsigned i = 0; i < v->format->nb_streams && v->stream < 0; i++) {
        const AVCodecParameters *par = v->format->streams[i]->codecpar;
        if (par->codec_type == AVMEDIA_TYPE_VIDEO) v->stream = (int)i;
    }
    if (v->stream < 0) return refused(v, why, "the clip has no video track");
    const AVCodecParameters *par = v->format->streams[v->stream]->codecpar;
    if (par->codec_id != AV_CODEC_ID_H264 && par->codec_id != AV_CODEC_ID_HEVC) {
        return porch_fail(why, PORCH_ERR_MEDIA, "the clip's video is neither H.264 nor H.265");
    }
    if (par->width > (int)v->start->width_most || par->height > (int)v->start->height_most) {
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "the clip's picture of %dx%d is larger than the limit of %ux%u", par->width,
                          par->height, v->start->width_most, v->start->height_most);
    }
    decoder = avcodec_find_decoder(par->codec_id);
    v->codec = decoder != NULL ? avcodec_alloc_context3(decoder) : NULL;
    if (v->codec == NULL)
        return porch_fail(why, PORCH_ERR_INTERNAL, "FFmpeg was built without the decoder");
    if (avcodec_parameters_to_context(v->codec, par) < 0)
        return refused(v, why, "the video's header is wrong");
    v->codec->thread_count = 1;
    v->codec->flags |= AV_CODEC_FLAG_LOW_DELAY;
    v->codec->max_pixels = (int64_t)v->start->width_most * v->start->height_most;
    if (avcodec_open2(v->codec, decoder, NULL) != 0) return refused(v, why, "the video's header is wrong");
    return PORCH_OK;
}

porch_err porch_analyst_video_open(porch_analyst_source *source, const porch_analyst_start *start,
                                   porch_analyst_tap tap, porch_analyst_video **ret, porch_why *why) {
    porch_analyst_video *v = calloc(1, sizeof *v);
    if (v == NULL) return PORCH_ERR_NO_SPACE;
    v->source = source;
    v->start = start;
    v->tap = tap;
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    porch_err e = v->packet != NULL && v->frame != NULL ? open_demuxer(v, why) : PORCH_ERR_NO_SPACE;
    if (e == PORCH_OK) e = open_decoder(v, why);
    if (e != PORCH_OK) {
        porch_analyst_video_free(v);
        return e;
    }
    *ret = v;
    return PORCH_OK;
}

/* Gives the decoder one more packet, or tells it that there are none. */
static porch_err feed(porch_analyst_video *v, porch_why *why) {
    if (v->draining) return PORCH_ERR_NOT_FOUND;
    int r = av_read_frame(v->format, v->packet);
    if (r < 0) {
        if (v->source->broken != PORCH_OK) return refused(v, why, "");
        if (r != AVERROR_EOF && v->frames == 0)
            return refused(v, why, "the clip's fragments cannot be read");
        v->draining = true; /* a clip that ends badly still has its beginning */
        (void)avcodec_send_packet(v->codec, NULL);
        return PORCH_OK;
    }
    if (v->packet->stream_index == v->stream) {
        if (v->tap.packet != NULL) v->tap.packet(v->packet, v->format->streams[v->stream], v->tap.ctx);
        r = avcodec_send_packet(v->codec, v->packet);
        if (r < 0 && r != AVERROR(EAGAIN) && ++v->corrupt > CORRUPT_MOST) {
            av_packet_unref(v->packet);
            return refused(v, why, "too many frames of the clip cannot be decoded");
        }
    }
    av_packet_unref(v->packet);
    return PORCH_OK;
}

static uint32_t place_ms(porch_analyst_video *v) {
    int64_t at = v->frame->best_effort_timestamp;
    if (at == AV_NOPTS_VALUE) return 0;
    if (!v->has_origin) {
        v->has_origin = true;
        v->origin = at;
    }
    AVRational base = v->format->streams[v->stream]->time_base;
    if (at <= v->origin || base.num <= 0 || base.den <= 0) return 0;
    int64_t ms = av_rescale_q(at - v->origin, base, (AVRational){1, 1000});
    return ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

porch_err porch_analyst_video_next(porch_analyst_video *v, const AVFrame **ret, uint32_t *at_ms,
                                   porch_why *why) {
    for (;;) {
        int r = avcodec_receive_frame(v->codec, v->frame);
        if (r == 0) break;
        if (r != AVERROR(EAGAIN) && !v->draining && ++v->corrupt > CORRUPT_MOST) {
            return refused(v, why, "too many frames of the clip cannot be decoded");
        }
        if (v->draining) {
            if (v->frames == 0) return refused(v, why, "no frame of the clip can be decoded");
            return PORCH_ERR_NOT_FOUND;
        }
        porch_err e = feed(v, why);
        if (e != PORCH_OK) return e;
    }
    if (++v->frames > v->start->frames_most) {
        return porch_fail(why, PORCH_ERR_LIMIT, "the clip has more than %u frames", v->start->frames_most);
    }
    if (v->frame->width > (int)v->start->width_most || v->frame->height > (int)v->start->height_most) {
        return porch_fail(why, PORCH_ERR_LIMIT, "a frame of the clip is larger than the limit");
    }
    *ret = v->frame;
    *at_ms = place_ms(v);
    return PORCH_OK;
}

void porch_analyst_video_free(porch_analyst_video *v) {
    if (v == NULL) return;
    avcodec_free_context(&v->codec);
    avformat_close_input(&v->format);
    if (v->io != NULL) av_freep(&v->io->buffer);
    avio_context_free(&v->io);
    av_packet_free(&v->packet);
    av_frame_free(&v->frame);
    free(v);
}
