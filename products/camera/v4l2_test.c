/* The capture path against a driver that is played here: its buffers are a memory file, its answers these
 * functions'. */
#include "v4l2.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <porchlight/device.h>

uint64_t porch_device_now_ms(void) {
    return 1000;
}

/* --- the pick --- */

static void the_largest_fast_enough_format_up_to_720p_is_taken(void **state) {
    (void)state;
    static const porch_camera_offer offers[] = {
        {V4L2_PIX_FMT_YUYV, 640, 480, 30, 1},   {V4L2_PIX_FMT_YUYV, 1280, 720, 5, 1},    /* too slow */
        {V4L2_PIX_FMT_MJPEG, 1280, 720, 30, 1}, {V4L2_PIX_FMT_MJPEG, 1920, 1080, 30, 1}, /* too large */
        {V4L2_PIX_FMT_H264, 1280, 720, 60, 1}, /* cannot be read */
    };
    assert_int_equal(porch_camera_offer_pick(offers, 5), 2);
    assert_int_equal(porch_camera_offer_pick(offers, 2), 0);
    assert_int_equal(porch_camera_offer_pick(&offers[3], 2),
                     0); /* the smallest above, where there is nothing else */
    assert_int_equal(porch_camera_offer_pick(&offers[4], 1), -1);
    assert_int_equal(porch_camera_offer_pick(&offers[1], 1), 0); /* slow is better than none */
    assert_int_equal(porch_camera_offer_pick(NULL, 0), -1);
}

static void at_the_same_size_and_rate_raw_comes_before_jpeg(void **state) {
    (void)state;
    static const porch_camera_offer offers[] = {
        {V4L2_PIX_FMT_MJPEG, 1280, 720, 30, 1},
        {V4L2_PIX_FMT_YUYV, 1280, 720, 30, 1},
        {V4L2_PIX_FMT_YUV420, 1280, 720, 60, 1}, /* above 30 is not better than 30 */
        {V4L2_PIX_FMT_NV12, 1280, 720, 30, 1},
    };
    assert_int_equal(porch_camera_offer_pick(offers, 4), 2);
    assert_int_equal(porch_camera_offer_pick(offers, 2), 1);
    static const porch_camera_offer odd[] = {{V4L2_PIX_FMT_YUYV, 641, 480, 30, 1},
                                             {V4L2_PIX_FMT_YUYV, 8, 8, 30, 1}};
    assert_int_equal(porch_camera_offer_pick(odd, 2), -1);
}

/* --- the driver --- */

enum { WIDTH = 64, HEIGHT = 48, BUFFER = 65536 };

static struct {
    int fd;
    uint32_t capabilities, format, sets; /* offers `format`, sets `sets` */
    bool stepwise, silent, lists_nothing, streaming;
    int start_error, dequeue_error, queued, frames_left;
    uint8_t *at; /* the buffers, as the driver sees them */
    const uint8_t *picture;
    uint32_t picture_bytes, flags;
    unsigned next, stopped;
} driver;

static int refuse(int error) {
    errno = error;
    return -1;
}

static int enumerate_size(struct v4l2_frmsizeenum *z) {
    if (driver.lists_nothing || z->index > 0) return refuse(EINVAL);
    z->type = driver.stepwise ? V4L2_FRMSIZE_TYPE_STEPWISE : V4L2_FRMSIZE_TYPE_DISCRETE;
    z->discrete.width = WIDTH;
    z->discrete.height = HEIGHT;
    if (driver.stepwise) z->stepwise = (struct v4l2_frmsize_stepwise){32, WIDTH, 16, 24, HEIGHT, 8};
    return 0;
}

static int dequeue(struct v4l2_buffer *b) {
    if (driver.silent) return refuse(EAGAIN);
    if (driver.frames_left-- <= 0) return refuse(driver.dequeue_error);
    b->index = driver.next++ % 4;
    b->bytesused = driver.picture_bytes;
    b->flags = driver.flags;
    driver.flags = 0;
    memcpy(driver.at + b->index * BUFFER, driver.picture, driver.picture_bytes);
    driver.queued--;
    return 0;
}

static int control(int fd, unsigned long request, void *arg) {
    assert_int_equal(fd, driver.fd);
    struct v4l2_buffer *b = arg;
    struct v4l2_format *f = arg;
    switch (request) {
    case VIDIOC_QUERYCAP:
        ((struct v4l2_capability *)arg)->capabilities = driver.capabilities;
        return driver.capabilities == 0 ? refuse(ENOTTY) : 0;
    case VIDIOC_ENUM_FMT:
        if (((struct v4l2_fmtdesc *)arg)->index > 0) return refuse(EINVAL);
        ((struct v4l2_fmtdesc *)arg)->pixelformat = driver.format;
        return 0;
    case VIDIOC_ENUM_FRAMESIZES:
        return enumerate_size(arg);
    case VIDIOC_ENUM_FRAMEINTERVALS:
        if (((struct v4l2_frmivalenum *)arg)->index > 0) return refuse(EINVAL);
        ((struct v4l2_frmivalenum *)arg)->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        ((struct v4l2_frmivalenum *)arg)->discrete = (struct v4l2_fract){1, 25};
        return 0;
    case VIDIOC_G_FMT:
        f->fmt.pix.width = WIDTH;
        f->fmt.pix.height = HEIGHT;
        return 0;
    case VIDIOC_S_FMT:
        assert_int_equal(f->fmt.pix.width, WIDTH);
        f->fmt.pix.pixelformat = driver.sets;
        return 0;
    case VIDIOC_S_PARM:
        return refuse(ENOTTY);
    case VIDIOC_REQBUFS:
        return 0;
    case VIDIOC_QUERYBUF:
        b->length = BUFFER;
        b->m.offset = b->index * BUFFER;
        return 0;
    case VIDIOC_QBUF:
        driver.queued++;
        return 0;
    case VIDIOC_STREAMON:
        driver.streaming = driver.start_error == 0;
        return driver.start_error == 0 ? 0 : refuse(driver.start_error);
    case VIDIOC_STREAMOFF:
        driver.streaming = false;
        driver.stopped++;
        return 0;
    case VIDIOC_DQBUF:
        return dequeue(b);
    default:
        return refuse(EINVAL);
    }
}

static bool cancel_now;

static bool cancelled(void *ctx) {
    (void)ctx;
    return cancel_now;
}

static porch_camera_source *open_it(char why[256]) {
    const porch_camera_source_options o = {.what = "/dev/video7", .stall_ms = 50, .cancelled = cancelled};
    driver.fd = memfd_create("driver", MFD_CLOEXEC);
    assert_int_equal(ftruncate(driver.fd, 4 * BUFFER), 0);
    if (driver.at) (void)munmap(driver.at, 4 * BUFFER);
    driver.at = mmap(NULL, 4 * BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, driver.fd, 0);
    assert_ptr_not_equal(driver.at, MAP_FAILED);
    return porch_camera_v4l2_open_fd(driver.fd, control, &o, why);
}

static int plug_in(void **state) {
    (void)state;
    uint8_t *at = driver.at;
    memset(&driver, 0, sizeof driver);
    driver.at = at;
    driver.capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    driver.format = driver.sets = V4L2_PIX_FMT_YUYV;
    driver.frames_left = 3;
    driver.dequeue_error = ENODEV;
    cancel_now = false;
    return 0;
}

static uint8_t raw[WIDTH * HEIGHT * 2];

static void show_raw(uint8_t luma) {
    for (size_t i = 0; i < sizeof raw; i += 2) {
        raw[i] = luma;
        raw[i + 1] = 128;
    }
    driver.picture = raw;
    driver.picture_bytes = sizeof raw;
}

static void raw_pictures_come_until_the_camera_is_unplugged(void **state) {
    (void)state;
    char why[256] = "";
    porch_camera_frame f;
    porch_camera_source *s = open_it(why);
    if (!s) fail_msg("%s", why);
    assert_int_equal(s->width, WIDTH);
    assert_int_equal(s->rate.num, 25);
    assert_int_equal(driver.queued, 4);
    uint64_t last = 0;
    for (int i = 1; i <= 3; i++) {
        show_raw((uint8_t)(40 * i));
        assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
        assert_int_equal(f.frame->format, AV_PIX_FMT_YUV420P);
        assert_in_range(f.frame->data[0][0], 40 * i - 2, 40 * i + 2);
        assert_true(f.at_ms > last); /* though the clock stands still */
        last = f.at_ms;
        assert_int_equal(driver.queued, 4);
    }
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_BROKEN);
    assert_non_null(strstr(why, "unplugged"));
    s->close(s);
    assert_int_equal(driver.stopped, 1);
    assert_false(driver.streaming);
}

static void damaged_and_short_pictures_cost_their_frame_only(void **state) {
    (void)state;
    char why[256] = "";
    porch_camera_frame f;
    porch_camera_source *s = open_it(why);
    show_raw(100);
    driver.flags = V4L2_BUF_FLAG_ERROR;
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
    assert_int_equal(driver.next, 2); /* the first one was passed over */
    driver.picture_bytes = 10;
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_BROKEN);
    assert_int_equal(driver.queued, 4);
    s->close(s);
}

static AVPacket *jpeg_of(uint8_t luma) {
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *e = avcodec_alloc_context3(codec);
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    e->width = f->width = WIDTH;
    e->height = f->height = HEIGHT;
    e->pix_fmt = AV_PIX_FMT_YUVJ420P;
    f->format = AV_PIX_FMT_YUVJ420P;
    e->time_base = (AVRational){1, 25};
    assert_int_equal(avcodec_open2(e, codec, NULL), 0);
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    memset(f->data[0], luma, (size_t)f->linesize[0] * HEIGHT);
    memset(f->data[1], 128, (size_t)f->linesize[1] * HEIGHT / 2);
    memset(f->data[2], 128, (size_t)f->linesize[2] * HEIGHT / 2);
    assert_int_equal(avcodec_send_frame(e, f), 0);
    assert_int_equal(avcodec_receive_packet(e, p), 0);
    av_frame_free(&f);
    avcodec_free_context(&e);
    return p;
}

static void jpeg_pictures_are_decoded_and_rubbish_between_them_is_passed_over(void **state) {
    (void)state;
    char why[256] = "";
    porch_camera_frame f;
    driver.format = driver.sets = V4L2_PIX_FMT_MJPEG;
    porch_camera_source *s = open_it(why);
    if (!s) fail_msg("%s", why);
    AVPacket *p = jpeg_of(180);
    driver.picture = p->data;
    driver.picture_bytes = (uint32_t)p->size;
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
    assert_in_range(f.frame->data[0][0], 160, 185); /* the full range of a JPEG, or a film's */
    driver.picture = raw;
    driver.picture_bytes = 500;
    memset(raw, 0xa5, sizeof raw);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_BROKEN);
    av_packet_free(&p);
    s->close(s);
}

static void a_driver_with_ranges_or_without_lists_is_understood(void **state) {
    (void)state;
    char why[256] = "";
    driver.stepwise = true;
    porch_camera_source *s = open_it(why);
    if (!s) fail_msg("%s", why);
    s->close(s);
    plug_in(NULL);
    driver.lists_nothing = true;
    s = open_it(why);
    if (!s) fail_msg("%s", why);
    s->close(s);
}

static void what_cannot_be_used_is_told_with_what_to_do(void **state) {
    (void)state;
    static const struct {
        uint32_t capabilities, format, sets;
        int start_error;
        const char *sentence;
    } rows[] = {
        {0, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_YUYV, 0, "is no V4L2 device"},
        {V4L2_CAP_VIDEO_OUTPUT, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_YUYV, 0, "try the next number"},
        {V4L2_CAP_VIDEO_CAPTURE, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_YUYV, 0, "cannot share buffers"},
        {V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING, V4L2_PIX_FMT_H264, V4L2_PIX_FMT_H264, 0,
         "offers no format"},
        {V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_NV12, 0,
         "another format"},
        {V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_YUYV, EBUSY,
         "another program"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char why[256] = "";
        plug_in(NULL);
        driver.capabilities = rows[i].capabilities;
        driver.format = rows[i].format;
        driver.sets = rows[i].sets;
        driver.start_error = rows[i].start_error;
        assert_null(open_it(why));
        if (!strstr(why, rows[i].sentence)) fail_msg("'%s' lacks '%s'", why, rows[i].sentence);
        assert_non_null(strstr(why, "/dev/video7"));
    }
}

static void a_camera_that_falls_silent_is_broken_and_a_cancelled_wait_ends(void **state) {
    (void)state;
    char why[256] = "";
    porch_camera_frame f;
    porch_camera_source *s = open_it(why);
    driver.silent = true;
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_BROKEN);
    assert_non_null(strstr(why, "no picture for 50 ms"));
    cancel_now = true;
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_CANCELLED);
    s->close(s);
}

#define WITH_DRIVER(test) cmocka_unit_test_setup(test, plug_in)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_fast_enough_format_up_to_720p_is_taken),
        cmocka_unit_test(at_the_same_size_and_rate_raw_comes_before_jpeg),
        WITH_DRIVER(raw_pictures_come_until_the_camera_is_unplugged),
        WITH_DRIVER(damaged_and_short_pictures_cost_their_frame_only),
        WITH_DRIVER(jpeg_pictures_are_decoded_and_rubbish_between_them_is_passed_over),
        WITH_DRIVER(a_driver_with_ranges_or_without_lists_is_understood),
        WITH_DRIVER(what_cannot_be_used_is_told_with_what_to_do),
        WITH_DRIVER(a_camera_that_falls_silent_is_broken_and_a_cancelled_wait_ends),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
