#include "v4l2.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

#include <porchlight/device.h>

enum {
    OFFERS_MOST = 256,
    BUFFERS = 4,
    WISH_WIDTH = 1280,
    WISH_HEIGHT = 720,
    RATE_LEAST = 10,
    RATE_MOST = 30,
    POLL_MS = 100
};

/* What can be decoded, the best first. */
static const struct {
    uint32_t format;
    enum AVPixelFormat raw; /* AV_PIX_FMT_NONE: a JPEG */
} formats[] = {
    {V4L2_PIX_FMT_YUV420, AV_PIX_FMT_YUV420P}, {V4L2_PIX_FMT_NV12, AV_PIX_FMT_NV12},
    {V4L2_PIX_FMT_YUYV, AV_PIX_FMT_YUYV422},   {V4L2_PIX_FMT_MJPEG, AV_PIX_FMT_NONE},
    {V4L2_PIX_FMT_JPEG, AV_PIX_FMT_NONE},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

typedef struct {
    porch_camera_source base;
    porch_camera_source_options options;
    porch_camera_control_fn control;
    int fd;
    size_t format; /* in `formats` */
    size_t stride;
    struct {
        void *at;
        size_t len;
    } buffers[BUFFERS];
    unsigned buffer_count;
    bool streaming;
    AVCodecContext *decoder; /* NULL: raw */
    AVPacket *packet;
    AVFrame *decoded;
    AVFrame *converted;
    struct SwsContext *convert;
    uint64_t last_ms;
} device;

/* ---- what it offers ---- */

static size_t rank_of(uint32_t format) {
    size_t i = 0;
    while (i < FORMATS && formats[i].format != format)
        i++;
    return i;
}

static int rate_of(const porch_camera_offer *o) {
    if (o->rate_num <= 0 || o->rate_den <= 0) return RATE_LEAST; /* not told: believed to be enough */
    int rate = o->rate_num / o->rate_den;
    return rate > RATE_MOST ? RATE_MOST : rate;
}

static bool fits(const porch_camera_offer *o) {
    return o->width <= WISH_WIDTH && o->height <= WISH_HEIGHT;
}

/* Whether `a` is to be taken before `b`: the first difference decides. */
static bool better(const porch_camera_offer *a, const porch_camera_offer *b) {
    bool a_fast = rate_of(a) >= RATE_LEAST, b_fast = rate_of(b) >= RATE_LEAST;
    long a_area = (long)a->width * a->height, b_area = (long)b->width * b->height;
    if (a_fast != b_fast) return a_fast;
    if (fits(a) != fits(b)) return fits(a);
    if (a_area != b_area) return fits(a) ? a_area > b_area : a_area < b_area;
    if (rate_of(a) != rate_of(b)) return rate_of(a) > rate_of(b);
    return rank_of(a->format) < rank_of(b->format);
}

int porch_camera_offer_pick(const porch_camera_offer *offers, size_t count) {
    int best = -1;
    for (size_t i = 0; i < count; i++) {
        const porch_camera_offer *o = &offers[i];
        if (rank_of(o->format) == FORMATS || o->width < 16 || o->height < 16) continue;
        if (o->width > 4096 || o->height > 2304 || o->width % 2 != 0 || o->height % 2 != 0) continue;
        if (best < 0 || better(o, &offers[best])) best = (int)i;
    }
    return best;
}

static int call(const device *d, unsigned long request, void *arg) {
    int r;
    do
        r = d->control(d->fd, request, arg);
    while (r < 0 && errno == EINTR);
    return r;
}

typedef struct {
    porch_camera_offer at[OFFERS_MOST];
    size_t count;
} offers;

static void add_offer(offers *o, uint32_t format, uint32_t width, uint32_t height,
                      struct v4l2_fract interval) {
    if (o->count == OFFERS_MOST || width > 16384 || height > 16384) return;
    bool told = interval.numerator > 0 && interval.numerator < 100000 && interval.denominator < 100000;
    o->at[o->count++] =
        (porch_camera_offer){format, (int)width, (int)height, told ? (int)interval.denominator : 0,
                             told ? (int)interval.numerator : 1};
}

static void list_rates(const device *d, offers *o, uint32_t format, uint32_t width, uint32_t height) {
    struct v4l2_frmivalenum v = {.pixel_format = format, .width = width, .height = height};
    size_t before = o->count;
    for (; v.index < 32 && call(d, VIDIOC_ENUM_FRAMEINTERVALS, &v) == 0; v.index++) {
        bool discrete = v.type == V4L2_FRMIVAL_TYPE_DISCRETE;
        add_offer(o, format, width, height, discrete ? v.discrete : v.stepwise.min);
        if (!discrete) break;
    }
    if (o->count == before) add_offer(o, format, width, height, (struct v4l2_fract){0, 1});
}

static uint32_t within(uint32_t wish, uint32_t least, uint32_t most, uint32_t step) {
    if (wish < least) return least;
    if (wish > most) wish = most;
    return step > 0 ? least + (wish - least) / step * step : wish;
}

static void list_sizes(const device *d, offers *o, uint32_t format) {
    struct v4l2_frmsizeenum z = {.pixel_format = format};
    for (; z.index < 64 && call(d, VIDIOC_ENUM_FRAMESIZES, &z) == 0; z.index++) {
        const struct v4l2_frmsize_stepwise *s = &z.stepwise;
        if (z.type == V4L2_FRMSIZE_TYPE_DISCRETE) {
            list_rates(d, o, format, z.discrete.width, z.discrete.height);
            continue;
        }
        list_rates(d, o, format, within(WISH_WIDTH, s->min_width, s->max_width, s->step_width),
                   within(WISH_HEIGHT, s->min_height, s->max_height, s->step_height));
        return;
    }
    if (z.index > 0) return;
    struct v4l2_format now = {.type =
                                  V4L2_BUF_TYPE_VIDEO_CAPTURE}; /* a driver that lists none: what is set */
    if (call(d, VIDIOC_G_FMT, &now) == 0)
        add_offer(o, format, now.fmt.pix.width, now.fmt.pix.height, (struct v4l2_fract){0, 1});
}

static void list_offers(const device *d, offers *o) {
    struct v4l2_fmtdesc f = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    o->count = 0;
    for (; f.index < 64 && call(d, VIDIOC_ENUM_FMT, &f) == 0; f.index++)
        if (rank_of(f.pixelformat) < FORMATS) list_sizes(d, o, f.pixelformat);
}

/* ---- opening ---- */

static bool fail(const device *d, char why[256], const char *what, int error) {
    (void)snprintf(why, 256, "%.100s %s%s%s", d->options.what, what, error != 0 ? ": " : "",
                   error != 0 ? strerror(error) : "");
    return false;
}

static bool is_camera(const device *d, char why[256]) {
    struct v4l2_capability c = {0};
    if (call(d, VIDIOC_QUERYCAP, &c) < 0)
        return fail(d, why, "is no V4L2 device; `ls /dev/video*` lists those", 0);
    uint32_t can = (c.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? c.device_caps : c.capabilities;
    if ((can & V4L2_CAP_VIDEO_CAPTURE) == 0)
        return fail(d, why,
                    "captures no video; a camera often has a second node beside it, try the next number",
                    0);
    if ((can & V4L2_CAP_STREAMING) == 0)
        return fail(d, why, "cannot share buffers (V4L2_CAP_STREAMING)", 0);
    return true;
}

static bool set_format(device *d, char why[256]) {
    offers *o = malloc(sizeof *o);
    if (!o) return fail(d, why, "needs memory that is not there", 0);
    list_offers(d, o);
    int best = porch_camera_offer_pick(o->at, o->count);
    porch_camera_offer take = {0};
    if (best >= 0) take = o->at[best];
    free(o);
    if (best < 0)
        return fail(d, why, "offers no format that can be read (YUV 4:2:0, NV12, YUYV or Motion JPEG)", 0);
    struct v4l2_format f = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    f.fmt.pix.width = (uint32_t)take.width;
    f.fmt.pix.height = (uint32_t)take.height;
    f.fmt.pix.pixelformat = take.format;
    f.fmt.pix.field = V4L2_FIELD_NONE;
    if (call(d, VIDIOC_S_FMT, &f) < 0)
        return fail(d, why, "does not take the format that it offers", errno);
    const struct v4l2_pix_format *got = &f.fmt.pix;
    bool odd = got->width < 16 || got->height < 16 || got->width > 4096 || got->height > 2304 ||
               got->width % 2 != 0 || got->height % 2 != 0;
    if (got->pixelformat != take.format || odd)
        return fail(d, why, "set another format than the one it offered", 0);
    d->format = rank_of(take.format);
    d->stride = got->bytesperline;
    struct v4l2_streamparm p = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    int rate = rate_of(&take);
    p.parm.capture.timeperframe = (struct v4l2_fract){1, (uint32_t)rate};
    (void)call(d, VIDIOC_S_PARM, &p); /* a driver that has one rate may refuse */
    d->base.width = (int)got->width;
    d->base.height = (int)got->height;
    d->base.rate = (AVRational){rate, 1};
    return true;
}

static bool share_buffers(device *d, char why[256]) {
    struct v4l2_requestbuffers r = {
        .count = BUFFERS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if (call(d, VIDIOC_REQBUFS, &r) < 0)
        return fail(d, why, errno == EBUSY ? "is used by another program" : "shares no buffers", errno);
    for (unsigned i = 0; i < r.count && i < BUFFERS; i++) {
        struct v4l2_buffer b = {
            .index = i, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
        if (call(d, VIDIOC_QUERYBUF, &b) < 0) return fail(d, why, "shares no buffers", errno);
        void *at = mmap(NULL, b.length, PROT_READ, MAP_SHARED, d->fd, (off_t)b.m.offset);
        if (at == MAP_FAILED) return fail(d, why, "shares no buffers", errno);
        d->buffers[i].at = at;
        d->buffers[i].len = b.length;
        d->buffer_count = i + 1;
        if (call(d, VIDIOC_QBUF, &b) < 0) return fail(d, why, "takes no buffers", errno);
    }
    if (d->buffer_count == 0) return fail(d, why, "shares no buffers", 0);
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (call(d, VIDIOC_STREAMON, &type) < 0)
        return fail(d, why, errno == EBUSY ? "is used by another program" : "does not begin to capture",
                    errno);
    d->streaming = true;
    return true;
}

static bool open_codec(device *d, char why[256]) {
    d->decoded = av_frame_alloc();
    d->converted = av_frame_alloc();
    d->packet = av_packet_alloc();
    if (!d->decoded || !d->converted || !d->packet)
        return fail(d, why, "needs memory that is not there", 0);
    d->converted->format = AV_PIX_FMT_YUV420P;
    d->converted->width = d->base.width;
    d->converted->height = d->base.height;
    if (av_frame_get_buffer(d->converted, 0) < 0) return fail(d, why, "needs memory that is not there", 0);
    if (formats[d->format].raw != AV_PIX_FMT_NONE) return true;
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_MJPEG);
    d->decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!d->decoder) return fail(d, why, "needs a JPEG decoder, which this FFmpeg lacks", 0);
    d->decoder->thread_count = 1;
    d->decoder->max_pixels = (int64_t)d->base.width * d->base.height;
    if (avcodec_open2(d->decoder, codec, NULL) < 0)
        return fail(d, why, "needs a JPEG decoder that works", 0);
    return true;
}

static void close_device(porch_camera_source *s) {
    device *d = (device *)s;
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (d->streaming) (void)call(d, VIDIOC_STREAMOFF, &type);
    for (unsigned i = 0; i < d->buffer_count; i++)
        (void)munmap(d->buffers[i].at, d->buffers[i].len);
    (void)close(d->fd);
    sws_freeContext(d->convert);
    av_frame_free(&d->converted);
    av_frame_free(&d->decoded);
    av_packet_free(&d->packet);
    avcodec_free_context(&d->decoder);
    free(d);
}

/* ---- pictures ---- */

/* A view of the buffer's bytes as a frame; false when they are too few. */
static bool view_raw(device *d, const uint8_t *at, size_t len, AVFrame *f) {
    enum AVPixelFormat raw = formats[d->format].raw;
    int least = av_image_get_linesize(raw, d->base.width, 0);
    size_t stride = d->stride >= (size_t)least ? d->stride : (size_t)least, height = (size_t)d->base.height;
    if (stride > 65536) return false;
    size_t chroma = raw == AV_PIX_FMT_YUV420P ? stride / 2 : raw == AV_PIX_FMT_NV12 ? stride : 0;
    size_t planes = raw == AV_PIX_FMT_YUV420P ? 2 : 1;
    if (len < stride * height + planes * chroma * (height / 2)) return false;
    av_frame_unref(f);
    f->format = raw;
    f->width = d->base.width;
    f->height = d->base.height;
    f->data[0] = (uint8_t *)(uintptr_t)at;
    f->linesize[0] = (int)stride;
    for (size_t p = 1; p <= 2 && chroma > 0 && p <= planes; p++) {
        f->data[p] = (uint8_t *)(uintptr_t)at + stride * height + (p - 1) * chroma * (height / 2);
        f->linesize[p] = (int)chroma;
    }
    return true;
}

static bool decode_jpeg(device *d, const uint8_t *at, size_t len) {
    if (av_new_packet(d->packet, (int)len) < 0) return false;
    memcpy(d->packet->data, at, len);
    int r = avcodec_send_packet(d->decoder, d->packet);
    av_packet_unref(d->packet);
    if (r >= 0) r = avcodec_receive_frame(d->decoder, d->decoded);
    return r >= 0 && d->decoded->width == d->base.width && d->decoded->height == d->base.height;
}

static bool convert(device *d) {
    const AVFrame *f = d->decoded;
    d->convert =
        sws_getCachedContext(d->convert, f->width, f->height, (enum AVPixelFormat)f->format, f->width,
                             f->height, AV_PIX_FMT_YUV420P, SWS_BILINEAR, NULL, NULL, NULL);
    if (!d->convert || av_frame_make_writable(d->converted) < 0) return false;
    (void)sws_scale(d->convert, (const uint8_t *const *)f->data, f->linesize, 0, f->height,
                    d->converted->data, d->converted->linesize);
    return true;
}

/* False for a damaged picture: it costs its frame. */
static bool take_picture(device *d, const struct v4l2_buffer *b) {
    const uint8_t *at = d->buffers[b->index].at;
    size_t len = b->bytesused < d->buffers[b->index].len ? b->bytesused : d->buffers[b->index].len;
    if ((b->flags & V4L2_BUF_FLAG_ERROR) != 0 || len == 0) return false;
    bool good = d->decoder ? decode_jpeg(d, at, len) : view_raw(d, at, len, d->decoded);
    good = good && convert(d);
    if (!d->decoder) av_frame_unref(d->decoded);
    return good;
}

/* Waits for a full buffer. FRAME: *b is it. */
static porch_camera_next dequeue(device *d, struct v4l2_buffer *b, uint64_t give_up_ms, char why[256]) {
    for (;;) {
        struct pollfd p = {.fd = d->fd, .events = POLLIN};
        if (porch_camera_source_cancelled(&d->options)) return PORCH_CAMERA_CANCELLED;
        if (porch_camera_mono_ms() > give_up_ms) {
            (void)snprintf(why, 256, "%.100s gave no picture for %u ms", d->options.what,
                           d->options.stall_ms);
            return PORCH_CAMERA_BROKEN;
        }
        if (poll(&p, 1, POLL_MS) <= 0) continue;
        *b = (struct v4l2_buffer){.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
        if (call(d, VIDIOC_DQBUF, b) == 0 && b->index < d->buffer_count) return PORCH_CAMERA_FRAME;
        if (errno == EAGAIN) continue;
        (void)fail(d, why, errno == ENODEV ? "was unplugged" : "gives no pictures any more", errno);
        return PORCH_CAMERA_BROKEN;
    }
}

static porch_camera_next next_picture(porch_camera_source *s, porch_camera_frame *ret, char why[256]) {
    device *d = (device *)s;
    uint64_t give_up_ms = porch_camera_mono_ms() + d->options.stall_ms;
    for (;;) {
        struct v4l2_buffer b;
        porch_camera_next n = dequeue(d, &b, give_up_ms, why);
        if (n != PORCH_CAMERA_FRAME) return n;
        bool good = take_picture(d, &b);
        if (call(d, VIDIOC_QBUF, &b) < 0) {
            (void)fail(d, why, "takes no buffers any more", errno);
            return PORCH_CAMERA_BROKEN;
        }
        if (!good) continue;
        uint64_t now_ms = porch_device_now_ms();
        d->last_ms = now_ms > d->last_ms ? now_ms : d->last_ms + 1;
        *ret = (porch_camera_frame){.frame = d->converted, .at_ms = d->last_ms};
        return PORCH_CAMERA_FRAME;
    }
}

porch_camera_source *porch_camera_v4l2_open_fd(int fd, porch_camera_control_fn control,
                                               const porch_camera_source_options *options, char why[256]) {
    device *d = calloc(1, sizeof *d);
    if (!d) {
        (void)snprintf(why, 256, "out of memory");
        (void)close(fd);
        return NULL;
    }
    d->options = *options;
    d->control = control;
    d->fd = fd;
    d->base.next = next_picture;
    d->base.close = close_device;
    /* What the driver says of itself is the kernel's word; the first picture is not. */
    if (porch_camera_source_ready(&d->options) && is_camera(d, why) && set_format(d, why) &&
        open_codec(d, why) && share_buffers(d, why))
        return &d->base;
    close_device(&d->base);
    return NULL;
}

static int control_driver(int fd, unsigned long request, void *arg) {
    return ioctl(fd, request, arg);
}

porch_camera_source *porch_camera_v4l2_open(const porch_camera_source_options *options, char why[256]) {
    int fd = open(options->what, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        (void)snprintf(why, 256, "%.100s cannot be opened: %s%s", options->what, strerror(errno),
                       errno == EACCES   ? "; add this program's user to the group 'video'"
                       : errno == ENOENT ? "; `ls /dev/video*` lists the cameras"
                                         : "");
        return NULL;
    }
    return porch_camera_v4l2_open_fd(fd, control_driver, options, why);
}
