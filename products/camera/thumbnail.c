#include "thumbnail.h"

#include <libswscale/swscale.h>

enum { WIDTH_MOST = 320 };

static AVFrame *shrink(const AVFrame *frame) {
    int width = frame->width < WIDTH_MOST ? frame->width : WIDTH_MOST;
    int height = frame->height * width / frame->width / 2 * 2;
    width = width / 2 * 2;
    AVFrame *small = av_frame_alloc();
    struct SwsContext *scale = NULL;
    if (!small || width < 2 || height < 2) goto failed;
    small->format = AV_PIX_FMT_YUVJ420P;
    small->width = width;
    small->height = height;
    if (av_frame_get_buffer(small, 0) < 0) goto failed;
    scale = sws_getContext(frame->width, frame->height, (enum AVPixelFormat)frame->format, width, height,
                           AV_PIX_FMT_YUVJ420P, SWS_AREA, NULL, NULL, NULL);
    if (!scale) goto failed;
    (void)sws_scale(scale, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                    small->data, small->linesize);
    sws_freeContext(scale);
    return small;
failed:
    av_frame_free(&small);
    return NULL;
}

static AVPacket *encode(AVFrame *frame, int quality) {
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *packet = av_packet_alloc();
    if (!encoder || !packet) goto failed;
    encoder->width = frame->width;
    encoder->height = frame->height;
    encoder->pix_fmt = AV_PIX_FMT_YUVJ420P;
    encoder->color_range = AVCOL_RANGE_JPEG;
    encoder->time_base = (AVRational){1, 1};
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = quality * FF_QP2LAMBDA;
    encoder->thread_count = 1;
    frame->quality = encoder->global_quality;
    frame->pts = 0;
    if (avcodec_open2(encoder, codec, NULL) < 0) goto failed;
    if (avcodec_send_frame(encoder, frame) < 0 || avcodec_receive_packet(encoder, packet) < 0) goto failed;
    avcodec_free_context(&encoder);
    return packet;
failed:
    av_packet_free(&packet);
    avcodec_free_context(&encoder);
    return NULL;
}

bool porch_camera_thumbnail(const AVFrame *frame, int most_bytes, AVPacket **ret) {
    static const int qualities[] = {4, 8, 14, 22, 31}; /* MJPEG's scale: 2 is best, 31 worst */
    AVFrame *small = shrink(frame);
    if (!small) return false;
    AVPacket *packet = NULL;
    for (size_t i = 0; i < sizeof qualities / sizeof qualities[0]; i++) {
        packet = encode(small, qualities[i]);
        if (!packet || packet->size <= most_bytes) break;
        av_packet_free(&packet);
    }
    av_frame_free(&small);
    *ret = packet;
    return packet != NULL;
}
