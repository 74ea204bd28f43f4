#include "source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <libavutil/log.h>
#include <porchlight/device.h>

uint64_t porch_device_now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- what is what --- */

static void each_source_is_known_by_its_form(void **state) {
    (void)state;
    static const struct {
        const char *what;
        porch_camera_source_kind kind;
    } rows[] = {
        {"film.avi", PORCH_CAMERA_FILM},
        {"/home/x/film.avi", PORCH_CAMERA_FILM},
        {"/dev/shm/film.avi", PORCH_CAMERA_FILM},
        {"/dev/video0", PORCH_CAMERA_V4L2},
        {"/dev/v4l/by-id/usb-Camera-index0", PORCH_CAMERA_V4L2},
        {"rtsp://camera.local/live", PORCH_CAMERA_RTSP},
        {"rtsp://user:p%40ss@192.0.2.1:8554/live?x=1", PORCH_CAMERA_RTSP},
    };
    char why[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_camera_source_kind kind;
        if (!porch_camera_source_kind_of(rows[i].what, &kind, why)) fail_msg("%s: %s", rows[i].what, why);
        assert_int_equal(kind, rows[i].kind);
    }
    static const char *const bad[] = {
        "",          "http://camera/stream", "rtsps://camera/live",      "file:///etc/passwd",
        "rtsp://",   "rtsp:///path",         "rtsp://user:secret@/path", "rtsp://:554/x",
        "concat://a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        porch_camera_source_kind kind;
        why[0] = '\0';
        if (porch_camera_source_kind_of(bad[i], &kind, why)) fail_msg("taken: %s", bad[i]);
        assert_true(why[0] != '\0');
        assert_null(strstr(why, "secret"));
    }
}

static void user_password_and_query_are_never_shown(void **state) {
    (void)state;
    static const struct {
        const char *what, *shown;
    } rows[] = {
        {"rtsp://user:secret@camera:8554/live", "rtsp://camera:8554/live"},
        {"rtsp://secret@camera/live", "rtsp://camera/live"},
        {"rtsp://user:se@cret@camera/live", "rtsp://camera/live"},
        {"rtsp://camera/live?token=secret", "rtsp://camera/live"},
        {"rtsp://camera?token=secret", "rtsp://camera"},
        {"rtsp://camera/live#secret", "rtsp://camera/live"},
        {"rtsp://user:secret@", "rtsp://"},
        {"http://user:secret@camera/x", "http://camera/x"},
        {"/tmp/film@home.avi", "/tmp/film@home.avi"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char shown[128];
        porch_camera_source_hide(rows[i].what, shown, sizeof shown);
        assert_string_equal(shown, rows[i].shown);
    }
    char small[8];
    porch_camera_source_hide("rtsp://user:secret@camera/live", small, sizeof small);
    assert_string_equal(small, "rtsp://");
}

/* --- a film --- */

enum { WIDTH = 64, HEIGHT = 48, FRAMES = 5 };
static char film_path[64];

static int make_film(void **state) {
    (void)state;
    (void)snprintf(film_path, sizeof film_path, "/tmp/porch-film-XXXXXX");
    int fd = mkstemp(film_path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f) return -1;
    (void)fprintf(f, "YUV4MPEG2 W%d H%d F100:1 Ip A1:1 C420jpeg\n", WIDTH, HEIGHT);
    for (int i = 0; i < FRAMES; i++) {
        (void)fprintf(f, "FRAME\n");
        for (int p = 0; p < WIDTH * HEIGHT * 3 / 2; p++)
            (void)fputc(i * 20, f);
    }
    return fclose(f);
}

static int drop_film(void **state) {
    (void)state;
    return unlink(film_path);
}

static unsigned asked, most_asked;

static bool cancel_after(void *ctx) {
    (void)ctx;
    return asked++ >= most_asked;
}

static porch_camera_source *open_film(const char *path, bool loop, unsigned patience) {
    char why[256] = "";
    const porch_camera_source_options o = {
        .what = path, .loop = loop, .stall_ms = 1000, .cancelled = cancel_after};
    asked = 0;
    most_asked = patience;
    porch_camera_source *s = porch_camera_source_open(&o, why);
    if (!s) print_message("%s\n", why);
    return s;
}

static void a_film_gives_its_frames_in_order_and_ends(void **state) {
    (void)state;
    porch_camera_source *s = open_film(film_path, false, 1000000);
    porch_camera_frame f;
    char why[256];
    uint64_t last = 0;
    assert_non_null(s);
    assert_int_equal(s->width, WIDTH);
    assert_int_equal(s->height, HEIGHT);
    for (int i = 0; i < FRAMES; i++) {
        assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
        assert_int_equal(f.frame->format == AV_PIX_FMT_YUV420P || f.frame->format == AV_PIX_FMT_YUVJ420P,
                         1);
        assert_int_equal(f.frame->data[0][0], i * 20);
        assert_true(f.at_ms > last || i == 0);
        last = f.at_ms;
    }
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_END);
    s->close(s);
}

static void a_looped_film_goes_on_and_ends_when_it_is_cancelled(void **state) {
    (void)state;
    porch_camera_source *s = open_film(film_path, true, 200);
    porch_camera_frame f;
    char why[256];
    int frames = 0;
    porch_camera_next n;
    while ((n = s->next(s, &f, why)) == PORCH_CAMERA_FRAME)
        frames++;
    assert_int_equal(n, PORCH_CAMERA_CANCELLED);
    assert_true(frames > FRAMES);
    s->close(s);
}

static void what_is_no_film_is_told_with_what_to_do(void **state) {
    (void)state;
    char why[256] = "";
    const porch_camera_source_options none = {.what = "/nowhere/film.avi"}, text = {.what = "/etc/passwd"},
                                      list = {.what = "concat:/etc/passwd|/etc/hosts"};
    assert_null(porch_camera_source_open(&none, why));
    assert_non_null(strstr(why, "No such file"));
    assert_null(porch_camera_source_open(&text, why));
    assert_non_null(strstr(why, "cannot be played"));
    assert_null(porch_camera_source_open(&list, why)); /* a path is a path: no protocol of FFmpeg's */
    assert_non_null(strstr(why, "No such file"));
}

/* A playlist that points elsewhere: files only, whatever it says. */
static void a_film_cannot_send_the_camera_into_the_network(void **state) {
    (void)state;
    char path[] = "/tmp/porch-list-XXXXXX.m3u8", why[256] = "";
    int fd = mkstemps(path, 5);
    static const char list[] =
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n";
    assert_int_equal(write(fd, list, sizeof list - 1), sizeof list - 1);
    (void)close(fd);
    const porch_camera_source_options o = {.what = path};
    assert_null(porch_camera_source_open(&o, why));
    (void)unlink(path);
}

/* --- what is not there --- */

static void a_camera_that_does_not_answer_is_told_without_its_password(void **state) {
    (void)state;
    char why[256] = "";
    const porch_camera_source_options o = {.what = "rtsp://user:secret@127.0.0.1:1/live?key=secret",
                                           .stall_ms = 5000};
    assert_null(porch_camera_source_open(&o, why));
    assert_non_null(strstr(why, "rtsp://127.0.0.1:1/live cannot be opened"));
    assert_null(strstr(why, "secret"));
}

static void a_device_that_is_none_is_told(void **state) {
    (void)state;
    char why[256] = "";
    const porch_camera_source_options none = {.what = "/dev/video-nowhere"}, null = {.what = "/dev/null"};
    assert_null(porch_camera_source_open(&none, why));
    assert_non_null(strstr(why, "ls /dev/video*"));
    assert_null(porch_camera_source_open(&null, why));
    assert_non_null(strstr(why, "is no V4L2 device"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_source_is_known_by_its_form),
        cmocka_unit_test(user_password_and_query_are_never_shown),
        cmocka_unit_test(a_film_gives_its_frames_in_order_and_ends),
        cmocka_unit_test(a_looped_film_goes_on_and_ends_when_it_is_cancelled),
        cmocka_unit_test(what_is_no_film_is_told_with_what_to_do),
        cmocka_unit_test(a_film_cannot_send_the_camera_into_the_network),
        cmocka_unit_test(a_camera_that_does_not_answer_is_told_without_its_password),
        cmocka_unit_test(a_device_that_is_none_is_told),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests(tests, make_film, drop_film);
}
