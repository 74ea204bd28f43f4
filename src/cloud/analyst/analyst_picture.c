#include "cloud/analyst/analyst_picture.h"

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

#include "base/cursor.h"
#include "cloud/analyst/analyst_ipc.h"

enum { WIDTH_MOST = 640 };

porch_err porch_analyst_picture_grey(const AVFrame *frame, porch_analyst_grey *ret) {
    switch (frame->format) {
    case AV_PIX_FMT_YUV420P:
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUV422P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUV444P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_NV12:
    case AV_PIX_FMT_GRAY8:
        break;
    default:
        return PORCH_ERR_UNSUPPORTED;
    }
    if (frame->data[0] == NULL || frame->linesize[0] < frame->width || frame->width <= 0 ||
        frame->height <= 0) {
        return PORCH_ERR_MEDIA;
    }
    *ret = (porch_analyst_grey){frame->data[0], (size_t)frame->linesize[0], (uint32_t)frame->width,
                                (uint32_t)frame->height};
    return PORCH_OK;
}

static AVFrame *scaled(const AVFrame *frame) {
    int width = frame->width, height = frame->height;
    if (width > WIDTH_MOST) {
        height = (int)((int64_t)height * WIDTH_MOST / width);
        width = WIDTH_MOST;
    }
    width = width < 2 ? 2 : width / 2 * 2;
    height = height < 2 ? 2 : height / 2 * 2;
    AVFrame *small = av_frame_alloc();
    if (small == NULL) return NULL;
    small->format = AV_PIX_FMT_YUVJ420P;
    small->width = width;
    small->height = height;
    struct SwsContext *sws = NULL;
    bool done = false;
    if (height <= 4 * WIDTH_MOST && av_frame_get_buffer(small, 0) == 0) {
        sws = sws_getContext(frame->width, frame->height, (enum AVPixelFormat)frame->format, width, height,
                             AV_PIX_FMT_YUVJ420P, SWS_AREA, NULL, NULL, NULL);
    }
    if (sws != NULL) {
        done = sws_scale(sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                         small->data, small->linesize) == height;
    }
    sws_freeContext(sws);
    if (!done) av_frame_free(&small);
    return small;
}

/* One attempt at one quality (2 best to 31 worst). */
static porch_err encode(AVFrame *small, int quality, porch_buf *out) {
    porch_err e = PORCH_ERR_MEDIA;
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *codec = encoder != NULL ? avcodec_alloc_context3(encoder) : NULL;
    AVPacket *packet = av_packet_alloc();
    if (codec == NULL || packet == NULL) goto out;
    codec->width = small->width;
    codec->height = small->height;
    codec->pix_fmt = AV_PIX_FMT_YUVJ420P;
    codec->color_range = AVCOL_RANGE_JPEG;
    codec->time_base = (AVRational){1, 25};
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_QSCALE;
    codec->global_quality = FF_QP2LAMBDA * quality;
    small->quality = codec->global_quality;
    if (avcodec_open2(codec, encoder, NULL) != 0) goto out;
    if (avcodec_send_frame(codec, small) != 0 || avcodec_send_frame(codec, NULL) != 0) goto out;
    if (avcodec_receive_packet(codec, packet) != 0 || packet->size <= 0) goto out;
    size_t bytes = (size_t)packet->size;
    e = bytes > PORCH_ANALYST_PICTURE_MAX ? PORCH_ERR_NO_SPACE
                                          : porch_write_bytes(out, (porch_bytes){packet->data, bytes});
out:
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    return e;
}

porch_err porch_analyst_picture_jpeg(const AVFrame *frame, porch_buf *out) {
    AVFrame *small = scaled(frame);
    if (small == NULL) return PORCH_ERR_MEDIA;
    porch_err e = PORCH_ERR_NO_SPACE;
    for (int quality = 5; e == PORCH_ERR_NO_SPACE && quality <= 31; quality += 13) {
        e = encode(small, quality, out);
    }
    av_frame_free(&small);
    return e;
}
