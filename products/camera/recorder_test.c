/* The recorder with an SDK of straw: what it hands over must be whole fragments that play, from the
 * pre-roll on. */
#include "recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavformat/avformat.h>

enum { WIDTH = 160, HEIGHT = 120, FRAME_MS = 100, CLIP_MOST = 1 << 20, START_MS = 1000000 };

/* --- the SDK of straw --- */

static struct {
    uint8_t bytes[CLIP_MOST];
    size_t len, appends, finished;
    bool refuses, has_no_room;
} sdk;

porch_clip *porch_clip_begin(porch_device *device, const porch_event_id *event, porch_device_why *why) {
    (void)device;
    (void)event;
    if (sdk.has_no_room) memcpy(why->text, "no room", 8);
    return sdk.has_no_room ? NULL : (porch_clip *)(void *)&sdk;
}

porch_device_result porch_clip_append(porch_clip *clip, const void *at, size_t len, porch_device_why *why) {
    assert_ptr_equal(clip, &sdk);
    if (sdk.refuses) {
        memcpy(why->text, "full", 5);
        return PORCH_DEVICE_FAULT;
    }
    assert_true(len <= CLIP_MOST - sdk.len);
    memcpy(sdk.bytes + sdk.len, at, len);
    sdk.len += len;
    sdk.appends++;
    return PORCH_DEVICE_OK;
}

porch_device_result porch_clip_finish(porch_clip *clip, uint64_t *ret_bytes, char *ret_sha256,
                                      porch_device_why *why) {
    (void)ret_bytes;
    (void)ret_sha256;
    (void)why;
    assert_ptr_equal(clip, &sdk);
    sdk.finished++;
    return PORCH_DEVICE_OK;
}

/* --- helpers --- */

static porch_camera_recorder *fresh(void) {
    const porch_camera_recorder_options options = {WIDTH, HEIGHT, {10, 1}, 2000, 500};
    char why[256];
    memset(&sdk, 0, sizeof sdk);
    porch_camera_recorder *r = porch_camera_recorder_new(&options, why);
    assert_non_null(r);
    return r;
}

static bool film(porch_camera_recorder *r, unsigned number, bool key) {
    char why[256];
    AVFrame *f = av_frame_alloc();
    f->format = AV_PIX_FMT_YUV420P;
    f->width = WIDTH;
    f->height = HEIGHT;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int p = 0; p < 3; p++)
        memset(f->data[p], (int)(100 + number % 50),
               (size_t)f->linesize[p] * (size_t)(p == 0 ? HEIGHT : HEIGHT / 2));
    bool ok = porch_camera_recorder_add(r, f, START_MS + (uint64_t)number * FRAME_MS, key, why);
    av_frame_free(&f);
    return ok;
}

static bool begin(porch_camera_recorder *r, bool pre_roll) {
    const porch_event_id event = {"event-1"};
    char why[256];
    return porch_camera_recorder_open(r, NULL, &event, why) &&
           porch_camera_recorder_begin(r, pre_roll, why);
}

static void finish(porch_camera_recorder *r) {
    char why[256];
    assert_true(porch_camera_recorder_finish(r, why));
}

/* The last top-level box of what was handed over ends where the bytes end; its type into `type`. */
static void last_box(char type[5]) {
    size_t at = 0;
    while (at < sdk.len) {
        assert_true(sdk.len - at >= 8);
        const uint8_t *b = sdk.bytes + at;
        size_t size = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        assert_true(size >= 8 && size <= sdk.len - at);
        memcpy(type, b + 4, 4);
        at += size;
    }
    type[4] = 0;
}

typedef struct {
    size_t at;
} place;

static int read_clip(void *ctx, uint8_t *at, int len) {
    place *p = ctx;
    size_t n = sdk.len - p->at < (size_t)len ? sdk.len - p->at : (size_t)len;
    if (n == 0) return AVERROR_EOF;
    memcpy(at, sdk.bytes + p->at, n);
    p->at += n;
    return (int)n;
}

/* Frames of the clip as FFmpeg reads them; the first must be a key frame, and time begins at 0. */
static int play(void) {
    place p = {0};
    uint8_t *block = av_malloc(4096);
    AVFormatContext *input = avformat_alloc_context();
    input->pb = avio_alloc_context(block, 4096, 0, &p, read_clip, NULL, NULL);
    AVIOContext *io = input->pb;
    assert_int_equal(avformat_open_input(&input, NULL, NULL, NULL), 0);
    AVPacket *packet = av_packet_alloc();
    int frames = 0;
    int64_t last = -1;
    while (av_read_frame(input, packet) == 0) {
        if (frames == 0) assert_true((packet->flags & AV_PKT_FLAG_KEY) != 0 && packet->pts == 0);
        assert_true(packet->pts > last);
        last = packet->pts;
        frames++;
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    avformat_close_input(&input);
    av_freep(&io->buffer);
    avio_context_free(&io);
    return frames;
}

/* --- the tests --- */

static void a_clip_begins_before_its_motion_and_plays_whole(void **state) {
    (void)state;
    porch_camera_recorder *r = fresh();
    unsigned n = 0;
    for (; n < 60; n++)
        assert_true(film(r, n, false));
    assert_true(begin(r, true));
    uint64_t ahead_ms = START_MS + 59 * FRAME_MS - porch_camera_recorder_began_ms(r);
    assert_in_range(ahead_ms, 2000, 2600);
    for (; n < 90; n++)
        assert_true(film(r, n, false));
    finish(r);
    assert_int_equal(sdk.finished, 1);
    assert_int_equal(play(), (int)(ahead_ms / FRAME_MS) + 1 + 30);
    porch_camera_recorder_free(r);
}

static void everything_that_is_handed_over_ends_with_a_whole_fragment(void **state) {
    (void)state;
    porch_camera_recorder *r = fresh();
    char type[5];
    assert_true(film(r, 0, false));
    assert_true(begin(r, true));
    assert_int_equal(sdk.appends, 1); /* at once, the frame that moved included */
    last_box(type);
    assert_string_equal(type, "mdat");
    for (unsigned n = 1; n <= 40; n++) {
        size_t appends = sdk.appends;
        assert_true(film(r, n, false));
        if (sdk.appends == appends) continue;
        last_box(type);
        assert_string_equal(type, "mdat");
    }
    assert_in_range(sdk.appends, 1 + 40 / 5 - 1, 1 + 40 / 5 + 1);
    finish(r);
    porch_camera_recorder_free(r);
}

static void a_clip_that_follows_a_cut_begins_with_the_frame_after_it(void **state) {
    (void)state;
    porch_camera_recorder *r = fresh();
    unsigned n = 0;
    for (; n < 23; n++)
        assert_true(film(r, n, false));
    assert_true(begin(r, true));
    finish(r);
    sdk.len = 0;
    assert_true(film(r, n, true));
    assert_true(begin(r, false));
    assert_int_equal(porch_camera_recorder_began_ms(r), START_MS + 23 * FRAME_MS);
    for (n++; n < 30; n++)
        assert_true(film(r, n, false));
    finish(r);
    assert_int_equal(play(), 7);
    porch_camera_recorder_free(r);
}

static void a_clip_that_cannot_be_kept_is_told_and_the_next_one_works(void **state) {
    (void)state;
    porch_camera_recorder *r = fresh();
    assert_true(film(r, 0, false));
    sdk.refuses = true;
    assert_false(begin(r, true));
    assert_false(porch_camera_recorder_is_open(r));
    sdk.refuses = false;
    assert_true(film(r, 1, false));
    assert_true(begin(r, true));
    finish(r);
    assert_int_equal(play(), 2);
    porch_camera_recorder_free(r);
}

/* An event must not promise it. */
static void a_clip_for_which_there_is_no_room_is_refused_before_anything_is_written(void **state) {
    (void)state;
    const porch_event_id event = {"event-1"};
    char why[256] = "";
    porch_camera_recorder *r = fresh();
    assert_true(film(r, 0, false));
    sdk.has_no_room = true;
    assert_false(porch_camera_recorder_open(r, NULL, &event, why));
    assert_string_equal(why, "no room");
    assert_false(porch_camera_recorder_is_open(r));
    assert_true(film(r, 1, false));
    assert_int_equal(sdk.appends + sdk.finished, 0);
    porch_camera_recorder_free(r);
}

static void a_clip_whose_event_could_not_be_told_is_given_up_empty(void **state) {
    (void)state;
    const porch_event_id event = {"event-1"};
    char why[256] = "";
    porch_camera_recorder *r = fresh();
    assert_true(film(r, 0, false));
    assert_true(porch_camera_recorder_open(r, NULL, &event, why));
    finish(r);
    assert_false(porch_camera_recorder_is_open(r));
    assert_int_equal(sdk.appends, 0);
    assert_int_equal(sdk.finished, 1);
    porch_camera_recorder_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clip_begins_before_its_motion_and_plays_whole),
        cmocka_unit_test(everything_that_is_handed_over_ends_with_a_whole_fragment),
        cmocka_unit_test(a_clip_that_follows_a_cut_begins_with_the_frame_after_it),
        cmocka_unit_test(a_clip_that_cannot_be_kept_is_told_and_the_next_one_works),
        cmocka_unit_test(a_clip_for_which_there_is_no_room_is_refused_before_anything_is_written),
        cmocka_unit_test(a_clip_whose_event_could_not_be_told_is_given_up_empty),
    };
    av_log_set_level(AV_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
