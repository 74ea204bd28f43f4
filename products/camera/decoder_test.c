/* The decoder's process with sources of the test's own: what a decoder that was taken over, that dies,
 * hangs or lies can do to the camera, which is this process. */
#include "decoder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>

#include <cmocka.h>
#include <porchlight/device.h>

#include "decoder_wire.h"

static uint64_t set_back_ms; /* the camera's wall clock, by its owner */

uint64_t porch_device_now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 - set_back_ms;
}

/* ---- sources that the decoder runs; what they shall do stands in the name ---- */

typedef struct {
    porch_camera_source base;
    AVFrame *frame;
    const char *what;
    unsigned frames;
    pid_t camera;
} bad;

static pid_t camera_pid;                        /* known to the decoder by its fork */
static const char key_path[] = "/etc/hostname"; /* a file that anybody may read */

/* Each way out; the number of the first that was open, 0 for none. */
static int try_to_get_out(pid_t camera) {
    char byte = 0;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000001)};
    int pair[2];
    if (open(key_path, O_RDONLY) >= 0) return 1;
    if (openat(AT_FDCWD, "/proc/self/mem", O_RDWR) >= 0) return 2;
    if (open("/tmp/porch-decoder-was-here", O_WRONLY | O_CREAT, 0600) >= 0) return 3;
    if (unlink(key_path) == 0 || truncate("/tmp", 0) == 0 || rename("/tmp/a", "/tmp/b") == 0) return 4;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0) return 5;
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) return 6;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) return 7;
    for (int fd = 0; fd < 64; fd++) /* whatever is open */
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || listen(fd, 1) == 0) return 8;
    if (fork() >= 0) return 9;
    char *const words[] = {(char *)(uintptr_t) "true", NULL};
    (void)execv("/bin/true", words);
    if (errno != EPERM && errno != EACCES) return 10;
    if (kill(camera, 0) == 0 || kill(getppid(), 0) == 0) return 11;
    if (ptrace(PTRACE_ATTACH, camera, 0, 0) == 0) return 12;
    if (process_vm_readv(camera, &here, 1, &there, 1, 0) >= 0) return 13;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
        MAP_FAILED)
        return 14;
    if (memfd_create("x", 0) >= 0 || dup(0) >= 0 || pipe(pair) == 0) return 15;
    if (syscall(SYS_io_uring_setup, 1, NULL) >= 0 || syscall(SYS_bpf, 0, NULL, 0) >= 0) return 16;
    if (syscall(SYS_pidfd_open, camera, 0) >= 0 || syscall(SYS_tgkill, camera, camera, SIGTERM) == 0)
        return 17;
    struct stat st; /* is that file there? */
    if (stat(key_path, &st) == 0 || syscall(SYS_newfstatat, 0, key_path, &st, AT_EMPTY_PATH) == 0)
        return 19;
    if (syscall(SYS_statx, 0, key_path, 0, 0, &st) == 0 || access(key_path, F_OK) == 0) return 20;
    if (setuid(0) == 0 || chdir("/") == 0 || syscall(SYS_unshare, 0) == 0) return 18;
    return 0;
}

static porch_camera_next bad_next(porch_camera_source *s, porch_camera_frame *ret, char why[256]) {
    bad *b = (bad *)s;
    b->frames++;
    if (strcmp(b->what, "crash") == 0 && b->frames == 3) raise(SIGSEGV);
    if (strcmp(b->what, "crash") == 0 && b->frames == 4) _exit(3); /* where a sanitizer caught the signal */
    while (strcmp(b->what, "hang") == 0 && b->frames == 2)
        ;
    if (strcmp(b->what, "end") == 0 && b->frames == 2) return PORCH_CAMERA_END;
    if (strcmp(b->what, "broken") == 0) {
        (void)snprintf(why, 256, "first\nsecond \x1b[31m");
        return PORCH_CAMERA_BROKEN;
    }
    memset(b->frame->data[0], (int)b->frames, (size_t)b->frame->linesize[0] * (size_t)s->height);
    if (strcmp(b->what, "escape") == 0) b->frame->data[0][0] = (uint8_t)try_to_get_out(b->camera);
    ret->frame = b->frame;
    ret->at_ms = porch_device_now_ms() + 1000 - b->frames;
    if (strcmp(b->what, "future") == 0) ret->at_ms = UINT64_MAX;
    if (strcmp(b->what, "paced") == 0) ret->at_ms = UINT64_C(1700000000000) + (uint64_t)40 * b->frames;
    return PORCH_CAMERA_FRAME;
}

static void bad_close(porch_camera_source *s) {
    free(s);
}

static porch_camera_source *open_bad(const porch_camera_source_options *o, char why[256]) {
    if (strcmp(o->what, "refused") == 0) {
        (void)snprintf(why, 256, "there is no such film");
        return NULL;
    }
    if (strcmp(o->what, "early") == 0) raise(SIGKILL);
    bad *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    *b = (bad){.base = {bad_next, bad_close, 33, 17, {25, 1}}, .what = o->what, .camera = camera_pid};

    if (strcmp(o->what, "huge") == 0) b->base.width = 1 << 15;
    if (strcmp(o->what, "flat") == 0) b->base.height = 0;
    b->frame = av_frame_alloc();
    b->frame->format = AV_PIX_FMT_YUV420P;
    b->frame->width = 33;
    b->frame->height = 17;
    bool lent = av_frame_get_buffer(b->frame, 0) == 0;
    if (lent && (strcmp(o->what, "unlocked") == 0 || o->ready(o->ready_ctx))) return &b->base;
    bad_close(&b->base);
    return NULL;
}

/* ---- a film that is small on the disk and large in memory ---- */

typedef struct {
    uint8_t at[256];
    size_t bits;
} bit_writer;

static void put_bits(bit_writer *w, unsigned value, unsigned count) {
    while (count-- > 0) {
        if ((value >> count & 1u) != 0) w->at[w->bits / 8] |= (uint8_t)(0x80u >> w->bits % 8);
        w->bits++;
    }
}

/* ue(v) of H.264, 9.1 */
static void put_number(bit_writer *w, unsigned value) {
    unsigned bits = 0;
    while ((value + 1) >> (bits + 1) != 0)
        bits++;
    put_bits(w, 0, bits);
    put_bits(w, value + 1, bits + 1);
}

static void end_unit(bit_writer *w, FILE *f) {
    static const uint8_t start[] = {0, 0, 0, 1};
    put_bits(w, 1, 1);
    (void)fwrite(start, 1, sizeof start, f);
    for (size_t i = 0, zeros = 0; i < (w->bits + 7) / 8; i++) {
        if (zeros == 2 && w->at[i] <= 3) { /* emulation prevention */
            (void)fputc(3, f);
            zeros = 0;
        }
        zeros = w->at[i] == 0 ? zeros + 1 : 0;
        (void)fputc(w->at[i], f);
    }
    memset(w, 0, sizeof *w);
}

static void put_parameters(FILE *f, unsigned side_blocks) {
    bit_writer w = {.bits = 0};
    put_bits(&w, 0x67, 8);
    put_bits(&w, 66, 8); /* baseline */
    put_bits(&w, 0, 8);
    put_bits(&w, 51, 8); /* level */
    put_number(&w, 0);
    put_number(&w, 0); /* 4 bits of frame numbers */
    put_number(&w, 2);
    put_number(&w, 1); /* reference frames */
    put_bits(&w, 0, 1);
    put_number(&w, side_blocks - 1);
    put_number(&w, side_blocks - 1);
    put_bits(&w, 0xc, 4); /* whole frames; no cropping, no more */
    end_unit(&w, f);
    put_bits(&w, 0x68, 8);
    put_number(&w, 0);
    put_number(&w, 0);
    put_bits(&w, 0, 2);
    for (int i = 0; i < 3; i++)
        put_number(&w, 0);
    put_bits(&w, 0, 3);
    for (int i = 0; i < 3; i++)
        put_number(&w, 0);
    put_bits(&w, 0, 3);
    end_unit(&w, f);
}

/* Key pictures of 16,000 by 16,000 of which almost nothing is there: 384 MB each, and as much again to fill
 * in what is missing. */
static void make_bomb(const char *path) {
    FILE *f = fopen(path, "w");
    bit_writer w = {.bits = 0};
    assert_non_null(f);
    put_parameters(f, 1000);
    for (unsigned i = 0; i < 8; i++) {
        put_bits(&w, 0x65, 8);
        put_number(&w, 0);
        put_number(&w, 7); /* I */
        put_number(&w, 0);
        put_bits(&w, 0, 4);
        put_number(&w, i % 2);
        put_bits(&w, 0, 2);
        put_number(&w, 0);
        for (int b = 0; b < 8; b++) /* blocks of one colour, as far as they go */
            put_number(&w, 3);
        end_unit(&w, f);
    }
    assert_int_equal(fclose(f), 0);
}

/* ---- the camera ---- */

static porch_camera_decoder *start(const char *what, uint32_t hang_ms) {
    char why[256] = "";
    const porch_camera_decoder_options o = {
        .what = what, .stall_ms = 1000, .hang_ms = hang_ms, .open = open_bad};
    porch_camera_decoder *d = porch_camera_decoder_start(&o, why);
    if (!d) fail_msg("%s", why);
    return d;
}

static void pictures_arrive_whole_and_times_run_on(void **state) {
    (void)state;
    porch_camera_decoder *d = start("good", 60000);
    for (int round = 0; round < 2; round++) { /* and a second decoder after the first */
        char why[256] = "";
        uint64_t last_ms = 0;
        porch_camera_frame f;
        porch_camera_source *s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
        if (!s) fail_msg("%s", why);
        assert_true(s->width == 33 && s->height == 17 && s->rate.num == 25);
        for (int i = 1; i <= 5; i++) {
            assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
            assert_int_equal(f.frame->data[0][0], i);
            assert_int_equal(f.frame->data[0][16 * f.frame->linesize[0] + 32], i);
            assert_true(f.steady_ms > last_ms); /* though each was told earlier than the one before */
            last_ms = f.steady_ms;
        }
        s->close(s);
        assert_int_equal(porch_camera_decoder_pid(d), 0);
    }
    porch_camera_decoder_end(d);
}

/* One frame, which comes a moment after the one before: its time lies between now and then, by both clocks.
 */
static void expect_times(porch_camera_source *s, uint64_t *last_ms) {
    char why[256];
    porch_camera_frame f;
    while (porch_camera_mono_ms() <= *last_ms) {
    }
    uint64_t mono_ms = porch_camera_mono_ms(), now_ms = porch_device_now_ms();
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
    assert_in_range(f.steady_ms, mono_ms, porch_camera_mono_ms());
    assert_in_range(f.at_ms, now_ms, porch_device_now_ms());
    *last_ms = f.steady_ms;
}

/* A clip of ten seconds takes ten, and an event is told as of the hour that the owner has set. */
static void a_clock_that_is_set_back_stops_no_time(void **state) {
    (void)state;
    char why[256] = "";
    uint64_t last_ms = 0;
    porch_camera_decoder *d = start("/dev/video9", 60000);
    porch_camera_source *s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
    if (!s) fail_msg("%s", why);
    for (int i = 0; i < 6; i++) {
        set_back_ms = i < 2 ? 0 : i < 4 ? 600000 : 30000;
        expect_times(s, &last_ms);
    }
    set_back_ms = 0;
    s->close(s);
    porch_camera_decoder_end(d);
}

/* Which it keeps, though what it tells is the time of a process whose clock was not set. */
static void a_film_keeps_its_pace_when_the_clock_is_set_back(void **state) {
    (void)state;
    char why[256] = "";
    porch_camera_frame first, f;
    porch_camera_decoder *d = start("paced", 60000);
    porch_camera_source *s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
    if (!s) fail_msg("%s", why);
    assert_int_equal(s->next(s, &first, why), PORCH_CAMERA_FRAME);
    for (unsigned i = 1; i <= 5; i++) {
        set_back_ms = 600000;
        assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
        assert_int_equal(f.steady_ms, first.steady_ms + 40 * (uint64_t)i);
        assert_true(f.at_ms < first.at_ms);
    }
    set_back_ms = 0;
    s->close(s);
    porch_camera_decoder_end(d);
}

static void a_decoder_that_was_taken_over_finds_no_way_out(void **state) {
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its runtime aborts where a fork is refused, so the later ways would not be tried */
#endif
    char why[256] = "";
    porch_camera_frame f;
    porch_camera_decoder *d = start("escape", 60000);
    porch_camera_source *s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
    if (!s) fail_msg("%s", why);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
    assert_int_equal(f.frame->data[0][0], 0); /* else the number of the way that was open */
    assert_int_equal(access("/tmp/porch-decoder-was-here", F_OK), -1);
    s->close(s);
    porch_camera_decoder_end(d);
}

static void the_search_for_ways_out_finds_them_where_there_is_no_lock(void **state) {
    (void)state;
    assert_int_equal(try_to_get_out(getpid()), 1);
}

static void one_that_dies_is_told_and_another_can_be_opened(void **state) {
    (void)state;
    char why[256] = "";
    porch_camera_frame f;
    porch_camera_decoder *d = start("crash", 60000);
    for (int round = 0; round < 3; round++) {
        porch_camera_next n = PORCH_CAMERA_FRAME;
        porch_camera_source *s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
        if (!s) fail_msg("%s", why);
        for (int i = 0; i < 4 && n == PORCH_CAMERA_FRAME; i++)
            n = s->next(s, &f, why);
        assert_int_equal(n, PORCH_CAMERA_DIED);
        assert_non_null(strstr(why, "the decoder "));
        s->close(s);
    }
    porch_camera_decoder_end(d);
    bool died = false;
    d = start("early", 60000);
    assert_null(porch_camera_decoder_open(d, NULL, NULL, &died, why));
    assert_true(died);
    assert_string_equal(why, "the decoder died of signal 9");
    porch_camera_decoder_end(d);
}

static void a_film_that_would_eat_all_memory_is_a_failure_that_is_told(void **state) {
    (void)state;
    char why[256] = "", path[] = "/tmp/porch-bomb-XXXXXX";
    bool died = false;
    struct rusage used;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    make_bomb(path);
    const porch_camera_decoder_options o = {.what = path,
                                            .stall_ms = 60000,
                                            .hang_ms = 120000,
                                            .memory_mib = 256,
                                            .open = porch_camera_source_open};
    porch_camera_decoder *d = porch_camera_decoder_start(&o, why);
    if (!d) fail_msg("%s", why);
    assert_null(porch_camera_decoder_open(d, NULL, NULL, &died, why));
    assert_false(died);
    assert_string_not_equal(why, "");
    porch_camera_decoder_end(d);
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &used), 0);
    print_message("\"%s\", %ld KiB at most\n", why, used.ru_maxrss);
#ifndef PORCH_SANITIZE
    assert_true(used.ru_maxrss < 256 * 1024);
#else
    print_message("a sanitizer's own memory has no limit: that is looked at in the build without one\n");
#endif
    assert_int_equal(unlink(path), 0);
}

static void one_that_hangs_is_ended(void **state) {
    (void)state;
    char why[256] = "";
    porch_camera_frame f;
    porch_camera_decoder *d = start("hang", 300);
    porch_camera_source *s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
    if (!s) fail_msg("%s", why);
    pid_t pid = porch_camera_decoder_pid(d);
    assert_true(pid > 0 && kill(pid, 0) == 0);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_DIED);
    assert_string_equal(why, "the decoder gave no sign for 300 ms and was ended");
    assert_true(kill(pid, 0) != 0 && errno == ESRCH);
    s->close(s);
    porch_camera_decoder_end(d);
}

static bool at_once(void *ctx) {
    (void)ctx;
    return true;
}

static void whoever_waits_can_be_called_off(void **state) {
    (void)state;
    char why[256] = "";
    bool died = true;
    porch_camera_decoder *d = start("hang", 600000);
    assert_null(porch_camera_decoder_open(d, at_once, NULL, &died, why));
    assert_false(died);
    assert_int_equal(porch_camera_decoder_pid(d), 0);
    porch_camera_decoder_end(d);
}

static void lies_and_refusals_end_in_a_sentence(void **state) {
    (void)state;
    static const struct {
        const char *what, *sentence;
    } rows[] = {{"refused", "there is no such film"},
                {"huge", "the decoder tells of a picture that cannot be"},
                {"flat", "the decoder tells of a picture that cannot be"},
                {"unlocked", "the source did not let the decoder lock itself"}};
    char why[256] = "";
    porch_camera_frame f;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool died = true;
        porch_camera_decoder *d = start(rows[i].what, 60000);
        assert_null(porch_camera_decoder_open(d, NULL, NULL, &died, why));
        assert_string_equal(why, rows[i].sentence);
        assert_false(died);
        porch_camera_decoder_end(d);
    }
    porch_camera_decoder *d = start("broken", 60000);
    porch_camera_source *s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_BROKEN);
    assert_string_equal(why, "first?second ?[31m"); /* no line of its own in the log */
    s->close(s);
    porch_camera_decoder_end(d);
    d = start("end", 60000);
    s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_END);
    s->close(s);
    porch_camera_decoder_end(d);
    d = start("future", 60000);
    s = porch_camera_decoder_open(d, NULL, NULL, NULL, why);
    assert_int_equal(s->next(s, &f, why), PORCH_CAMERA_FRAME);
    assert_true(f.at_ms <= porch_device_now_ms());
    s->close(s);
    porch_camera_decoder_end(d);
}

int main(void) {
    camera_pid = getpid();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_arrive_whole_and_times_run_on),
        cmocka_unit_test(a_clock_that_is_set_back_stops_no_time),
        cmocka_unit_test(a_film_keeps_its_pace_when_the_clock_is_set_back),
        cmocka_unit_test(a_decoder_that_was_taken_over_finds_no_way_out),
        cmocka_unit_test(the_search_for_ways_out_finds_them_where_there_is_no_lock),
        cmocka_unit_test(one_that_dies_is_told_and_another_can_be_opened),
        cmocka_unit_test(a_film_that_would_eat_all_memory_is_a_failure_that_is_told),
        cmocka_unit_test(one_that_hangs_is_ended),
        cmocka_unit_test(whoever_waits_can_be_called_off),
        cmocka_unit_test(lies_and_refusals_end_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
