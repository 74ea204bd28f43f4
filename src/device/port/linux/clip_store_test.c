/* Clips on disk: recorded, left behind, dropped when there is no room. */
#include "device/port/linux/clip_store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"

static char folder[] = "/tmp/porchlight-clips-XXXXXX";

static porch_id id(const char *text) {
    porch_id ret;
    assert_int_equal(porch_id_parse(porch_bytes_of(text), &ret), PORCH_OK);
    return ret;
}

static void box(porch_buf *b, const char *type, uint32_t body) {
    assert_int_equal(porch_write_u32(b, body + 8), PORCH_OK);
    assert_int_equal(porch_write_text(b, type), PORCH_OK);
    for (uint32_t i = 0; i < body; i++)
        assert_int_equal(porch_write_u8(b, (uint8_t)i), PORCH_OK);
}

/* A header and two fragments; *first is where the first fragment ends. */
static porch_buf film(uint8_t block[512], size_t *first) {
    porch_buf b = {block, 0, 512};
    box(&b, "ftyp", 8);
    box(&b, "moov", 30);
    box(&b, "moof", 16);
    box(&b, "mdat", 60);
    *first = b.len;
    box(&b, "moof", 16);
    box(&b, "mdat", 70);
    return b;
}

static void count_dropped(void *ctx, const porch_stored_clip *clip) {
    assert_true(clip->ended);
    (*(int *)ctx)++;
}

static void open_store(porch_clip_store *s, uint64_t limit) {
    porch_why why = {{0}};
    assert_int_equal(porch_clip_store_open(s, folder, limit, &why), PORCH_OK);
}

static porch_stored_clip *record(porch_clip_store *s, const char *event, porch_bytes bytes) {
    porch_stored_clip *clip = NULL;
    porch_why why = {{0}};
    porch_id event_id = id(event);
    int dropped = 0;
    assert_int_equal(porch_clip_store_begin(s, &event_id, count_dropped, &dropped, &clip, &why), PORCH_OK);
    assert_int_equal(porch_clip_store_reserve(s, bytes.len, count_dropped, &dropped), PORCH_OK);
    assert_int_equal(porch_stored_clip_write(clip, bytes, &why), PORCH_OK);
    clip->visible += bytes.len;
    return clip;
}

static void end(porch_clip_store *s, porch_stored_clip *clip) {
    porch_clip_store_end(s, clip);
    clip->recording = false;
}

static void remove_all(porch_clip_store *s) {
    while (s->first) {
        s->first->recording = s->first->uploading = false;
        porch_clip_store_remove(s, s->first);
    }
    assert_int_equal(s->count, 0);
    porch_clip_store_close(s);
}

static void a_clip_left_by_a_dead_process_ends_at_its_last_whole_fragment(void **state) {
    (void)state;
    uint8_t block[512], expect[32];
    size_t first = 0;
    porch_buf b = film(block, &first);
    for (size_t cut = first; cut <= b.len; cut++) {
        porch_clip_store s;
        open_store(&s, 1 << 20);
        (void)record(&s, "event-1", (porch_bytes){block, cut});
        porch_clip_store_close(&s); /* as a killed process leaves it */
        open_store(&s, 1 << 20);
        assert_int_equal(s.count, 1);
        size_t whole = cut == b.len ? b.len : first;
        porch_sha256((porch_bytes){block, whole}, expect);
        assert_true(s.first->ended);
        assert_int_equal(s.first->visible, whole);
        assert_memory_equal(s.first->sha256, expect, sizeof expect);
        assert_string_equal(s.first->event.text, "event-1");
        assert_int_equal(s.total_bytes, whole);
        remove_all(&s);
    }
}

static void a_clip_without_a_whole_fragment_is_removed(void **state) {
    (void)state;
    porch_clip_store s;
    open_store(&s, 1 << 20);
    (void)record(&s, "event-1", PORCH_LIT("ft"));
    porch_clip_store_close(&s);
    open_store(&s, 1 << 20);
    assert_int_equal(s.count, 0);
    porch_clip_store_close(&s);
    open_store(&s, 1 << 20);
    assert_int_equal(s.count, 0);
    porch_clip_store_close(&s);
}

/* A folder in a clip's place reads as a broken sector does: with an error that is none of the format's. */
static void a_clip_that_cannot_be_read_is_set_aside_and_the_store_goes_on(void **state) {
    (void)state;
    uint8_t block[512];
    size_t first = 0;
    porch_buf b = film(block, &first);
    porch_clip_store s;
    char path[64], bad[72];
    open_store(&s, 1 << 20);
    end(&s, record(&s, "event-1", porch_buf_bytes(&b)));
    porch_clip_store_close(&s);
    (void)snprintf(path, sizeof path, "%s/00000007-x.mp4", folder);
    (void)snprintf(bad, sizeof bad, "%s.bad", path);
    assert_int_equal(mkdir(path, 0700), 0);
    open_store(&s, 1 << 20);
    assert_int_equal(s.set_aside, 1);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.first->event.text, "event-1");
    assert_int_equal(access(path, F_OK), -1);
    end(&s, record(&s, "x", porch_buf_bytes(&b)));
    porch_clip_store_close(&s);
    open_store(&s, 1 << 20);
    assert_int_equal(s.set_aside, 0);
    assert_int_equal(s.count, 2);
    remove_all(&s);
    assert_int_equal(rmdir(bad), 0);
}

/* Too many open files are the process's fault, not the clip's. */
static void a_process_without_descriptors_sets_no_clip_aside(void **state) {
    (void)state;
    uint8_t block[512];
    size_t first = 0;
    porch_buf b = film(block, &first);
    porch_clip_store s;
    struct rlimit before, none;
    open_store(&s, 1 << 20);
    end(&s, record(&s, "event-1", porch_buf_bytes(&b)));
    porch_clip_store_close(&s);
    int fd = dup(0);
    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)fd + 3; /* for the folder, twice */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    porch_err e = porch_clip_store_open(&s, folder, 1 << 20, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(e, PORCH_ERR_BUSY);
    open_store(&s, 1 << 20);
    assert_int_equal(s.count, 1);
    remove_all(&s);
}

static void clips_come_back_oldest_first_and_new_ones_after_them(void **state) {
    (void)state;
    uint8_t block[512];
    size_t first = 0;
    porch_buf b = film(block, &first);
    porch_clip_store s;
    open_store(&s, 1 << 20);
    end(&s, record(&s, "zebra", porch_buf_bytes(&b)));
    end(&s, record(&s, "apple", porch_buf_bytes(&b)));
    porch_clip_store_close(&s);
    open_store(&s, 1 << 20);
    end(&s, record(&s, "mango", porch_buf_bytes(&b)));
    assert_string_equal(s.first->event.text, "zebra");
    assert_string_equal(s.first->next->event.text, "apple");
    assert_string_equal(s.first->next->next->event.text, "mango");
    remove_all(&s);
}

static void the_oldest_ended_clip_goes_when_there_is_no_room(void **state) {
    (void)state;
    porch_clip_store s;
    int dropped = 0;
    open_store(&s, 300);
    porch_stored_clip *growing = record(&s, "growing", PORCH_LIT("0123456789"));
    end(&s, record(&s, "old", PORCH_LIT("0123456789")));
    end(&s, record(&s, "young", PORCH_LIT("0123456789")));
    assert_int_equal(porch_clip_store_reserve(&s, 275, count_dropped, &dropped), PORCH_OK);
    assert_int_equal(dropped, 1);
    assert_int_equal(s.count, 2);
    assert_ptr_equal(s.first, growing);
    assert_string_equal(s.first->next->event.text, "young");
    assert_int_equal(porch_clip_store_reserve(&s, 20, count_dropped, &dropped), PORCH_ERR_FULL);
    assert_int_equal(dropped, 2);
    assert_int_equal(s.count, 1);
    remove_all(&s);
}

/* As where recording outruns the uplink: the oldest is on its way while others wait. */
static void a_clip_that_is_being_sent_goes_after_those_that_wait(void **state) {
    (void)state;
    porch_clip_store s;
    int dropped = 0;
    open_store(&s, 300);
    porch_stored_clip *sent = record(&s, "sent", PORCH_LIT("0123456789"));
    end(&s, sent);
    sent->uploading = true;
    end(&s, record(&s, "old", PORCH_LIT("0123456789")));
    end(&s, record(&s, "young", PORCH_LIT("0123456789")));
    assert_int_equal(porch_clip_store_reserve(&s, 275, count_dropped, &dropped), PORCH_OK);
    assert_int_equal(dropped, 1);
    assert_false(sent->dropped);
    assert_string_equal(s.first->next->event.text, "young");
    assert_int_equal(porch_clip_store_reserve(&s, 10, count_dropped, &dropped), PORCH_OK);
    assert_int_equal(dropped, 2);
    assert_false(sent->dropped);
    assert_int_equal(porch_clip_store_reserve(&s, 10, count_dropped, &dropped), PORCH_OK);
    assert_int_equal(dropped, 3); /* nothing else is left, and what is recorded now needs the room */
    assert_true(sent->dropped);
    remove_all(&s);
}

static void a_dropped_clip_lives_until_its_upload_lets_go(void **state) {
    (void)state;
    porch_clip_store s;
    uint8_t byte = 0;
    open_store(&s, 1 << 20);
    porch_stored_clip *clip = record(&s, "event-1", PORCH_LIT("x"));
    end(&s, clip);
    clip->uploading = true;
    porch_clip_store_remove(&s, clip);
    assert_true(clip->dropped);
    assert_int_equal(porch_stored_clip_read(clip, 0, &byte, 1), PORCH_OK);
    assert_int_equal(byte, 'x');
    clip->uploading = false;
    porch_clip_store_let_go(&s, clip);
    assert_int_equal(s.count, 0);
    porch_clip_store_close(&s);
}

static void an_event_has_one_clip(void **state) {
    (void)state;
    porch_clip_store s;
    porch_stored_clip *again = NULL;
    porch_why why = {{0}};
    porch_id event = id("event-1");
    open_store(&s, 1 << 20);
    (void)record(&s, "event-1", PORCH_LIT("x"));
    int dropped = 0;
    assert_int_equal(porch_clip_store_begin(&s, &event, count_dropped, &dropped, &again, &why),
                     PORCH_ERR_EXISTS);
    assert_null(again);
    remove_all(&s);
}

static porch_err begin(porch_clip_store *s, const char *event, int *dropped, porch_stored_clip **ret) {
    porch_id event_id = id(event);
    return porch_clip_store_begin(s, &event_id, count_dropped, dropped, ret, NULL);
}

static void the_oldest_ended_clip_goes_when_there_are_as_many_as_may_be(void **state) {
    (void)state;
    porch_clip_store s;
    porch_stored_clip *clip = NULL;
    char event[16];
    int dropped = 0;
    open_store(&s, 1 << 20);
    for (int i = 0; i < PORCH_CLIPS_MOST; i++) {
        (void)snprintf(event, sizeof event, "event-%d", i);
        clip = record(&s, event, PORCH_LIT("x"));
        if (i > 0) end(&s, clip); /* the oldest is being recorded */
    }
    assert_int_equal(begin(&s, "event-7", &dropped, &clip), PORCH_ERR_EXISTS);
    assert_int_equal(dropped, 0); /* nothing goes for a clip that cannot be */
    s.first->next->uploading = true;
    assert_int_equal(begin(&s, "newest", &dropped, &clip), PORCH_OK);
    assert_int_equal(dropped, 1);
    assert_false(s.first->next->dropped); /* event-1, which its upload holds; the next one went */
    assert_string_equal(s.first->next->next->event.text, "event-3");
    for (porch_stored_clip *c = s.first; c; c = c->next)
        c->uploading = c->ended;
    assert_int_equal(begin(&s, "newer", &dropped, &clip), PORCH_OK);
    assert_int_equal(dropped, 2);
    assert_true(s.first->next->dropped);
    assert_string_equal(s.first->next->event.text, "event-1");
    assert_int_equal(begin(&s, "newer-still", &dropped, &clip), PORCH_OK);
    assert_int_equal(dropped, 3); /* and one for one, although it is still held */
    assert_int_equal(s.total_bytes, PORCH_CLIPS_MOST - 3);
    remove_all(&s);
}

static void when_all_are_being_recorded_no_more_is_begun(void **state) {
    (void)state;
    porch_clip_store s;
    porch_stored_clip *clip = NULL;
    char event[16];
    int dropped = 0;
    open_store(&s, 1 << 20);
    for (int i = 0; i < PORCH_CLIPS_MOST; i++) {
        (void)snprintf(event, sizeof event, "event-%d", i);
        (void)record(&s, event, PORCH_LIT("x"));
    }
    assert_int_equal(begin(&s, "newest", &dropped, &clip), PORCH_ERR_LIMIT);
    assert_int_equal(dropped, 0);
    remove_all(&s);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clip_left_by_a_dead_process_ends_at_its_last_whole_fragment),
        cmocka_unit_test(a_clip_without_a_whole_fragment_is_removed),
        cmocka_unit_test(a_clip_that_cannot_be_read_is_set_aside_and_the_store_goes_on),
        cmocka_unit_test(a_process_without_descriptors_sets_no_clip_aside),
        cmocka_unit_test(clips_come_back_oldest_first_and_new_ones_after_them),
        cmocka_unit_test(the_oldest_ended_clip_goes_when_there_is_no_room),
        cmocka_unit_test(a_clip_that_is_being_sent_goes_after_those_that_wait),
        cmocka_unit_test(a_dropped_clip_lives_until_its_upload_lets_go),
        cmocka_unit_test(an_event_has_one_clip),
        cmocka_unit_test(the_oldest_ended_clip_goes_when_there_are_as_many_as_may_be),
        cmocka_unit_test(when_all_are_being_recorded_no_more_is_begun),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
