/* The muxer's moov_size option reserves the front; a box of 'free' fills what the index leaves over. The
 * first packet opens the output, so that nothing is made for clips that hold none. */
#include "cloud/analyst/analyst_index.h"

#include <stdlib.h>
#include <string.h>

enum {
    IO_BYTES = 32 * 1024,
    HEAD_BYTES = 8 * 1024,  /* of the index without its samples */
    SAMPLE_BYTES = 40,      /* of the index for each sample: stts, ctts, stss, stsz, stsc, stco at worst */
    RESERVED_FRAMES = 1024, /* space for so many samples, unless the limit is lower */
    GROW_BYTES = 1 << 20
};

struct porch_analyst_index {
    uint64_t bytes_most;
    uint32_t frames_most, frames;
    porch_err state;
    AVFormatContext *format;
    AVIOContext *io;
    AVStream *stream;
    AVPacket *packet;
    uint8_t *at;
    size_t len, cap, place;
    int64_t last_dts;
    bool begun;
};

static bool room(porch_analyst_index *x, size_t upto) {
    if (upto <= x->cap) return true;
    if (upto > x->bytes_most) return false;
    size_t cap = (upto / GROW_BYTES + 1) * GROW_BYTES;
    uint8_t *at = realloc(x->at, cap);
    if (at == NULL) return false;
    memset(at + x->cap, 0, cap - x->cap);
    x->at = at;
    x->cap = cap;
    return true;
}

static int write_bytes(void *opaque, uint8_t *at, int len) {
    porch_analyst_index *x = opaque;
    if (len < 0 || (size_t)len > SIZE_MAX - x->place || !room(x, x->place + (size_t)len))
        return AVERROR(ENOSPC);
    memcpy(x->at + x->place, at, (size_t)len);
    x->place += (size_t)len;
    if (x->place > x->len) x->len = x->place;
    return len;
}

static int64_t seek_to(void *opaque, int64_t offset, int whence) {
    porch_analyst_index *x = opaque;
    int64_t base = whence == SEEK_CUR ? (int64_t)x->place : whence == SEEK_END ? (int64_t)x->len : 0;
    if (whence == AVSEEK_SIZE) return (int64_t)x->len;
    if (offset < -base || (uint64_t)(base + offset) > x->bytes_most) return AVERROR(EINVAL);
    x->place = (size_t)(base + offset);
    return base + offset;
}

porch_err porch_analyst_index_new(uint64_t bytes_most, uint32_t frames_most, porch_analyst_index **ret) {
    porch_analyst_index *x = calloc(1, sizeof *x);
    if (x == NULL) return PORCH_ERR_NO_SPACE;
    x->frames_most = frames_most < RESERVED_FRAMES ? frames_most : RESERVED_FRAMES;
    x->bytes_most = bytes_most + HEAD_BYTES + (uint64_t)x->frames_most * SAMPLE_BYTES;
    x->packet = av_packet_alloc();
    if (x->packet == NULL) {
        free(x);
        return PORCH_ERR_NO_SPACE;
    }
    *ret = x;
    return PORCH_OK;
}

static porch_err begin(porch_analyst_index *x, const AVStream *from) {
    uint8_t *block = av_malloc(IO_BYTES);
    if (block == NULL) return PORCH_ERR_NO_SPACE;
    x->io = avio_alloc_context(block, IO_BYTES, 1, x, NULL, write_bytes, seek_to);
    if (x->io == NULL) {
        av_free(block);
        return PORCH_ERR_NO_SPACE;
    }
    if (avformat_alloc_output_context2(&x->format, NULL, "mp4", NULL) < 0) return PORCH_ERR_MEDIA;
    x->format->pb = x->io;
    x->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    x->stream = avformat_new_stream(x->format, NULL);
    if (x->stream == NULL || avcodec_parameters_copy(x->stream->codecpar, from->codecpar) < 0)
        return PORCH_ERR_MEDIA;
    x->stream->codecpar->codec_tag = 0;
    x->stream->time_base = from->time_base;
    AVDictionary *options = NULL;
    (void)av_dict_set_int(&options, "moov_size", HEAD_BYTES + (int64_t)x->frames_most * SAMPLE_BYTES, 0);
    int r = avformat_write_header(x->format, &options);
    av_dict_free(&options);
    return r < 0 ? PORCH_ERR_MEDIA : PORCH_OK;
}

void porch_analyst_index_packet(const AVPacket *packet, const AVStream *stream, void *ctx) {
    porch_analyst_index *x = ctx;
    if (x->state != PORCH_OK) return;
    if (!x->begun) {
        x->begun = true;
        x->state = begin(x, stream);
    }
    if (x->state != PORCH_OK) return;
    if (++x->frames > x->frames_most || packet->size < 0 || (uint64_t)packet->size > x->bytes_most) {
        x->state = PORCH_ERR_LIMIT;
        return;
    }
    if (packet->dts == AV_NOPTS_VALUE || packet->pts == AV_NOPTS_VALUE ||
        (x->frames > 1 && packet->dts <= x->last_dts) || av_packet_ref(x->packet, packet) < 0) {
        x->state = PORCH_ERR_MEDIA;
        return;
    }
    x->last_dts = packet->dts;
    x->packet->stream_index = 0;
    x->packet->pos = -1;
    av_packet_rescale_ts(x->packet, stream->time_base, x->stream->time_base);
    if (av_write_frame(x->format, x->packet) < 0) x->state = PORCH_ERR_MEDIA;
    av_packet_unref(x->packet);
}

porch_err porch_analyst_index_finish(porch_analyst_index *x, porch_bytes *ret) {
    if (x->state == PORCH_OK && !x->begun) x->state = PORCH_ERR_MEDIA;
    if (x->state == PORCH_OK && av_write_trailer(x->format) != 0) x->state = PORCH_ERR_MEDIA;
    if (x->state != PORCH_OK) return x->state;
    avio_flush(x->io);
    if (x->io->error < 0) return x->state = PORCH_ERR_LIMIT;
    *ret = (porch_bytes){x->at, x->len};
    return PORCH_OK;
}

void porch_analyst_index_free(porch_analyst_index *x) {
    if (x == NULL) return;
    avformat_free_context(x->format);
    if (x->io != NULL) av_freep(&x->io->buffer);
    avio_context_free(&x->io);
    av_packet_free(&x->packet);
    free(x->at);
    free(x);
}
