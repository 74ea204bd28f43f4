/* The real process behind its real walls, fed with clips that are good, broken, endless and cut. */
#include "cloud/analyst/analyst.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/analyst/analyst_client.h"
#include "cloud/analyst/analyst_testing.h"
#include "os/channel.h"

typedef struct {
    pid_t pid;
    porch_analyst_client *client;
} process;

typedef struct {
    bool died; /* ended without END */
    bool begun;
    uint32_t samples, moving, width;
    uint32_t persons;
    uint64_t indexed;
    uint8_t *index;
    porch_analyst_end end;
} heard;

static const porch_analyst_start LIMITS = {.width_most = 1920,
                                           .height_most = 1080,
                                           .frames_most = 1000,
                                           .cpu_seconds = 60,
                                           .wall_seconds = 120,
                                           .memory_mib = 512,
                                           .sample_ms = 200,
                                           .person_score_milli = 800,
                                           .agree = 2,
                                           .make_index = true};

static int setup(void **state) {
    process *p = calloc(1, sizeof *p);
    int pair[2];
    if (p == NULL) return -1;
    *state = p;
    if (porch_channel_pair(pair, NULL) != PORCH_OK) return -1;
    p->pid = fork();
    if (p->pid == 0) {
        (void)close(pair[0]);
        _exit(porch_analyst_run(pair[1]));
    }
    (void)close(pair[1]);
    if (porch_analyst_client_new(&p->client, NULL) != PORCH_OK) return -1;
    porch_analyst_client_attach(p->client, pair[0]);
    return 0;
}

static int teardown(void **state) {
    process *p = *state;
    int status = 0;
    porch_analyst_client_free(p->client); /* the hub has gone: it ends by itself, and well */
    bool ended = waitpid(p->pid, &status, 0) == p->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    free(p);
    return ended ? 0 : -1;
}

static int begin(process *p, porch_analyst_start start, const uint8_t *at, size_t len) {
    int memfd = memfd_create("clip", MFD_CLOEXEC), clip = -1;
    uint64_t generation;
    porch_why why = {""};
    assert_true(memfd >= 0);
    assert_int_equal(write(memfd, at, len), (ssize_t)len);
    start.clip_bytes = len;
    if (porch_analyst_client_start(p->client, &start, memfd, &clip, &generation, &why) != PORCH_OK) {
        fail_msg("%s", why.text);
    }
    (void)close(memfd);
    return clip;
}

static void have(int clip, uint64_t bytes, bool complete) {
    uint8_t block[32];
    porch_buf out = PORCH_BUF_OF(block);
    const porch_analyst_message m = {.type = PORCH_ANALYST_HAVE, .as.have = {bytes, complete}};
    assert_int_equal(porch_analyst_write(&out, &m), PORCH_OK);
    (void)porch_channel_send(clip, porch_buf_bytes(&out), NULL, 0, -1, NULL);
}

static void note(heard *h, const porch_analyst_message *m) {
    switch (m->type) {
    case PORCH_ANALYST_BEGUN:
        assert_false(h->begun || h->width > 0 || h->indexed > 0);
        h->begun = true;
        break;
    case PORCH_ANALYST_FIRST_FRAME:
        h->width = m->as.first_frame.width;
        break;
    case PORCH_ANALYST_SAMPLE:
        h->samples++;
        h->moving += m->as.sample.has_motion;
        break;
    case PORCH_ANALYST_PERSON:
        h->persons++;
        break;
    case PORCH_ANALYST_INDEXED:
        assert_int_equal(m->as.indexed.offset, h->indexed);
        h->index = realloc(h->index, h->indexed + m->as.indexed.piece.len);
        memcpy(h->index + h->indexed, m->as.indexed.piece.at, m->as.indexed.piece.len);
        h->indexed += m->as.indexed.piece.len;
        break;
    case PORCH_ANALYST_END:
        h->end = m->as.end;
        break;
    default:
        fail_msg("message %d", (int)m->type);
    }
}

/* Hears until END or the child's death. */
static heard hear(int clip) {
    static uint8_t block[PORCH_ANALYST_MESSAGE_MAX];
    heard h = {0};
    porch_analyst_message m = {0};
    while (m.type != PORCH_ANALYST_END) {
        porch_buf in = PORCH_BUF_OF(block);
        if (porch_channel_receive(clip, &in, NULL, 0, NULL, -1, NULL) != PORCH_OK) {
            h.died = true;
            break;
        }
        assert_int_equal(porch_analyst_read(porch_buf_bytes(&in), &m), PORCH_OK);
        note(&h, &m);
    }
    (void)close(clip);
    return h;
}

static heard analyse(process *p, porch_analyst_start start, const void *at, size_t len) {
    int clip = begin(p, start, at, len);
    have(clip, len, true);
    return hear(clip);
}

static testing_clip good_clip(void) {
    testing_clip c = testing_make(320, 240, 40);
    if (c.at == NULL) fail_msg("this FFmpeg has no libx264, which Debian's has");
    return c;
}

static void a_good_clip_is_watched_to_its_end_and_indexed(void **state) {
    testing_clip c = good_clip();
    heard h = analyse(*state, LIMITS, c.at, (size_t)c.len);
    assert_false(h.died);
    assert_true(h.begun);
    if (h.end.result != PORCH_OK) fail_msg("%s", h.end.why);
    assert_int_equal(h.end.frames, 40);
    assert_int_equal(h.end.samples, 21); /* each second frame, and the second one too */
    assert_int_equal(h.samples, 21);
    assert_int_equal(h.width, 320);
    assert_true(h.moving >= 15);
    assert_int_equal(h.persons, 0); /* a box is nobody */
    assert_int_equal(h.end.indexed_bytes, h.indexed);
    assert_true(h.indexed > 1000);
    assert_memory_equal(h.index + 4, "ftyp", 4);
    size_t ftyp = (size_t)h.index[2] << 8 | h.index[3];
    assert_memory_equal(h.index + ftyp + 4, "moov", 4); /* the index stands in front */
    free(h.index);
    av_free(c.at);
}

static void a_clip_is_watched_while_it_arrives(void **state) {
    static uint8_t block[PORCH_ANALYST_MESSAGE_MAX];
    testing_clip c = good_clip();
    int clip = begin(*state, LIMITS, c.at, (size_t)c.len);
    heard h = {0};
    for (int at = 0; at < c.len * 3 / 4; at += 777)
        have(clip, (uint64_t)at, false);
    while (h.samples < 5) { /* words about its beginning come before its end is there */
        porch_buf in = PORCH_BUF_OF(block);
        porch_analyst_message m;
        assert_int_equal(porch_channel_receive(clip, &in, NULL, 0, NULL, -1, NULL), PORCH_OK);
        assert_int_equal(porch_analyst_read(porch_buf_bytes(&in), &m), PORCH_OK);
        note(&h, &m);
    }
    have(clip, (uint64_t)c.len, true);
    free(h.index);
    h = hear(clip);
    assert_int_equal(h.end.result, PORCH_OK);
    assert_int_equal(h.end.frames, 40);
    free(h.index);
    av_free(c.at);
}

static void garbage_is_refused_as_such_and_harms_nobody(void **state) {
    static uint8_t garbage[100000];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    heard h = analyse(*state, LIMITS, garbage, sizeof garbage);
    assert_false(h.died);
    assert_true(h.begun);
    assert_int_equal(h.end.result, PORCH_ERR_MEDIA);
    assert_true(strlen(h.end.why) > 0);
    free(h.index);
    testing_clip c = good_clip();
    h = analyse(*state, LIMITS, c.at, (size_t)c.len);
    assert_int_equal(h.end.result, PORCH_OK);
    free(h.index);
    av_free(c.at);
}

static void a_damaged_clip_costs_at_most_its_own_analysis(void **state) {
    testing_clip c = good_clip();
    uint32_t seed = 7;
    for (int round = 0; round < 20; round++) {
        uint8_t *copy = malloc((size_t)c.len);
        memcpy(copy, c.at, (size_t)c.len);
        for (int n = 0; n < 1 << round % 10; n++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % (uint32_t)c.len] = (uint8_t)seed;
        }
        heard h = analyse(*state, LIMITS, copy, (size_t)c.len);
        if (!h.died) {
            assert_true(h.end.result == PORCH_OK || h.end.result == PORCH_ERR_MEDIA ||
                        h.end.result == PORCH_ERR_LIMIT);
        }
        free(h.index);
        free(copy);
    }
    heard h = analyse(*state, LIMITS, c.at, (size_t)c.len);
    assert_int_equal(h.end.result, PORCH_OK);
    free(h.index);
    av_free(c.at);
}

static void a_clip_cut_short_is_watched_as_far_as_it_goes(void **state) {
    testing_clip c = good_clip();
    heard h = analyse(*state, LIMITS, c.at, (size_t)c.len * 3 / 4);
    assert_false(h.died);
    assert_int_equal(h.end.result, PORCH_OK);
    assert_in_range(h.end.frames, 10, 39);
    free(h.index);
    av_free(c.at);
}

static void a_picture_or_a_clip_too_large_is_refused(void **state) {
    testing_clip c = good_clip();
    porch_analyst_start limits = LIMITS;
    limits.width_most = 319;
    heard h = analyse(*state, limits, c.at, (size_t)c.len);
    assert_int_equal(h.end.result, PORCH_ERR_LIMIT);
    free(h.index);
    limits = LIMITS;
    limits.frames_most = 39;
    h = analyse(*state, limits, c.at, (size_t)c.len);
    assert_int_equal(h.end.result, PORCH_ERR_LIMIT);
    free(h.index);
    av_free(c.at);
}

static void a_child_that_uses_up_its_time_ends_and_the_next_clip_is_watched(void **state) {
    testing_clip c = good_clip();
    porch_analyst_start limits = LIMITS;
    limits.wall_seconds = 1;
    int clip = begin(*state, limits, c.at, (size_t)c.len);
    have(clip, 100, false); /* and then nothing more: its own alarm ends it */
    heard h = hear(clip);
    assert_true(h.died);
    free(h.index);
    h = analyse(*state, LIMITS, c.at, (size_t)c.len);
    assert_int_equal(h.end.result, PORCH_OK);
    free(h.index);
    av_free(c.at);
}

static void the_hub_may_cancel_at_any_time(void **state) {
    testing_clip c = good_clip();
    for (int n = 0; n < 20; n++) { /* more than may live at once: each must be gone for the next to start */
        int clip = begin(*state, LIMITS, c.at, (size_t)c.len);
        have(clip, (uint64_t)c.len / 20 * (uint64_t)n, false);
        (void)close(clip);
    }
    heard h;
    do {
        h = analyse(*state, LIMITS, c.at, (size_t)c.len);
        free(h.index);
    } while (h.end.result == PORCH_ERR_BUSY);
    assert_int_equal(h.end.result, PORCH_OK);
    av_free(c.at);
}

#define ANALYST_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ANALYST_TEST(a_good_clip_is_watched_to_its_end_and_indexed),
        ANALYST_TEST(a_clip_is_watched_while_it_arrives),
        ANALYST_TEST(garbage_is_refused_as_such_and_harms_nobody),
        ANALYST_TEST(a_damaged_clip_costs_at_most_its_own_analysis),
        ANALYST_TEST(a_clip_cut_short_is_watched_as_far_as_it_goes),
        ANALYST_TEST(a_picture_or_a_clip_too_large_is_refused),
        ANALYST_TEST(a_child_that_uses_up_its_time_ends_and_the_next_clip_is_watched),
        ANALYST_TEST(the_hub_may_cancel_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
