/* A clip as a camera would send it, made on the spot: a bright box that moves over grey, H.264 in
 * fragmented MP4. Included by tests only. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_TESTING_H
#define PORCH_CLOUD_ANALYST_ANALYST_TESTING_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint8_t *at;
    int len;
} testing_clip;

static inline void testing_draw(AVFrame *f, int n) {
    int box = f->height / 4, x = n * f->width / 40 % (f->width - box);
    for (int j = 0; j < f->height; j++)
        memset(f->data[0] + (ptrdiff_t)j * f->linesize[0], 90, (size_t)f->width);
    for (int j = box; j < 2 * box; j++)
        memset(f->data[0] + (ptrdiff_t)j * f->linesize[0] + x, 220, (size_t)box);
    for (int j = 0; j < f->height / 2; j++) {
        memset(f->data[1] + (ptrdiff_t)j * f->linesize[1], 128, (size_t)f->width / 2);
        memset(f->data[2] + (ptrdiff_t)j * f->linesize[2], 128, (size_t)f->width / 2);
    }
}

static inline void testing_write(AVFormatContext *out, AVCodecContext *codec, AVPacket *p) {
    while (avcodec_receive_packet(codec, p) == 0) {
        av_packet_rescale_ts(p, codec->time_base, out->streams[0]->time_base);
        p->duration = av_rescale_q(1, codec->time_base, out->streams[0]->time_base);
        p->stream_index = 0;
        if (av_write_frame(out, p) != 0) abort();
    }
}

/* at == NULL where the encoder is not there; free it by av_free. */
static inline testing_clip testing_make(int width, int height, int frames) {
    testing_clip clip = {NULL, 0};
    const AVCodec *encoder = avcodec_find_encoder_by_name("libx264");
    if (encoder == NULL) return clip;
    av_log_set_level(AV_LOG_QUIET);
    AVCodecContext *codec = avcodec_alloc_context3(encoder);
    AVFormatContext *out = NULL;
    AVDictionary *options = NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    if (avformat_alloc_output_context2(&out, NULL, "mp4", NULL) < 0 || avio_open_dyn_buf(&out->pb) < 0)
        abort();
    codec->width = frame->width = width;
    codec->height = frame->height = height;
    codec->pix_fmt = AV_PIX_FMT_YUV420P;
    frame->format = AV_PIX_FMT_YUV420P;
    codec->time_base = (AVRational){1, 10};
    codec->framerate = (AVRational){10, 1};
    codec->gop_size = 10;
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    (void)av_opt_set(codec->priv_data, "preset", "ultrafast", 0);
    (void)av_opt_set(codec->priv_data, "tune", "zerolatency", 0);
    if (avcodec_open2(codec, encoder, NULL) != 0 || av_frame_get_buffer(frame, 0) != 0) abort();
    AVStream *stream = avformat_new_stream(out, NULL);
    (void)avcodec_parameters_from_context(stream->codecpar, codec);
    stream->time_base = codec->time_base;
    (void)av_dict_set(&options, "movflags", "frag_keyframe+empty_moov+default_base_moof", 0);
    if (avformat_write_header(out, &options) < 0) abort();
    av_dict_free(&options);
    for (int n = 0; n < frames; n++) {
        if (av_frame_make_writable(frame) != 0) abort();
        testing_draw(frame, n);
        frame->pts = n;
        if (avcodec_send_frame(codec, frame) != 0) abort();
        testing_write(out, codec, packet);
    }
    (void)avcodec_send_frame(codec, NULL);
    testing_write(out, codec, packet);
    (void)av_write_trailer(out);
    clip.len = avio_close_dyn_buf(out->pb, &clip.at);
    avformat_free_context(out);
    avcodec_free_context(&codec);
    av_packet_free(&packet);
    av_frame_free(&frame);
    return clip;
}

#endif
