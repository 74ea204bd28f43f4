#include "thumbnail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <libavutil/log.h>

static AVFrame *noise(int width, int height) {
    AVFrame *f = av_frame_alloc();
    unsigned v = 1;
    f->format = AV_PIX_FMT_YUV420P;
    f->width = width;
    f->height = height;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < f->linesize[p] * (p == 0 ? height : height / 2); i++) {
            v = v * 1664525u + 1013904223u;
            f->data[p][i] = (uint8_t)(v >> 24);
        }
    return f;
}

static void a_picture_of_noise_fits_and_is_a_jpeg(void **state) {
    (void)state;
    static const int sizes[][2] = {{1920, 1080}, {768, 576}, {320, 240}, {100, 400}, {16, 16}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        AVFrame *f = noise(sizes[i][0], sizes[i][1]);
        AVPacket *jpeg = NULL;
        assert_true(porch_camera_thumbnail(f, 32768, &jpeg));
        assert_in_range(jpeg->size, 100, 32768);
        assert_memory_equal(jpeg->data, "\xff\xd8\xff", 3);
        assert_memory_equal(jpeg->data + jpeg->size - 2, "\xff\xd9", 2);
        av_packet_free(&jpeg);
        av_frame_free(&f);
    }
}

static void a_limit_that_no_quality_reaches_is_told(void **state) {
    (void)state;
    AVFrame *f = noise(320, 240);
    AVPacket *jpeg = NULL;
    assert_false(porch_camera_thumbnail(f, 100, &jpeg));
    assert_null(jpeg);
    av_frame_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_of_noise_fits_and_is_a_jpeg),
        cmocka_unit_test(a_limit_that_no_quality_reaches_is_told),
    };
    av_log_set_level(AV_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
