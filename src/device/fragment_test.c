#include "device/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"

typedef struct {
    uint8_t raw[512];
    porch_buf file;
    bool broken;
} clip;

static porch_err read_clip(void *ctx, uint64_t offset, uint8_t *at, size_t len) {
    clip *c = ctx;
    if (c->broken || offset > c->file.len || c->file.len - offset < len) return PORCH_ERR_IO;
    memcpy(at, c->file.at + offset, len);
    return PORCH_OK;
}

static void box(clip *c, const char *type, uint32_t body) {
    assert_int_equal(porch_write_u32(&c->file, body + 8), PORCH_OK);
    assert_int_equal(porch_write_text(&c->file, type), PORCH_OK);
    for (uint32_t i = 0; i < body; i++)
        assert_int_equal(porch_write_u8(&c->file, 0xff), PORCH_OK);
}

static void make(clip *c) {
    memset(c, 0, sizeof *c);
    c->file = PORCH_BUF_OF(c->raw);
}

static uint64_t whole(clip *c, uint64_t bytes) {
    uint64_t ret = 77;
    assert_int_equal(porch_fragment_whole_bytes(read_clip, c, bytes, &ret), PORCH_OK);
    return ret;
}

static void a_clip_cut_at_every_byte_ends_at_its_last_whole_fragment(void **state) {
    (void)state;
    clip c;
    make(&c);
    size_t ends[6] = {0};
    box(&c, "ftyp", 12);
    box(&c, "moov", 40);
    ends[1] = c.file.len;
    box(&c, "moof", 16);
    box(&c, "mdat", 33);
    ends[2] = c.file.len;
    box(&c, "styp", 4);
    ends[3] = c.file.len;
    box(&c, "moof", 16);
    box(&c, "mdat", 5);
    ends[4] = c.file.len;
    box(&c, "mfra", 30);
    ends[5] = c.file.len;
    for (size_t cut = 0; cut <= c.file.len; cut++) {
        size_t expect = 0;
        for (size_t i = 1; i < 6; i++)
            if (cut >= ends[i]) expect = ends[i];
        assert_int_equal(whole(&c, cut), expect);
    }
}

static void a_long_box_is_followed(void **state) {
    (void)state;
    clip c;
    make(&c);
    box(&c, "moov", 4);
    box(&c, "moof", 4);
    assert_int_equal(porch_write_u32(&c.file, 1), PORCH_OK);
    assert_int_equal(porch_write_text(&c.file, "mdat"), PORCH_OK);
    assert_int_equal(porch_write_u64(&c.file, 20), PORCH_OK);
    assert_int_equal(porch_write_u32(&c.file, 0), PORCH_OK);
    assert_int_equal(whole(&c, c.file.len), c.file.len);
    assert_int_equal(whole(&c, c.file.len - 1), 12);
}

static void sizes_that_no_box_has_end_the_walk(void **state) {
    (void)state;
    const struct {
        uint32_t size;
        uint64_t large;
    } bad[] = {{0, 0}, {7, 0}, {1, 15}, {1, UINT64_MAX}, {UINT32_MAX, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        clip c;
        make(&c);
        box(&c, "moov", 4);
        size_t end = c.file.len;
        assert_int_equal(porch_write_u32(&c.file, bad[i].size), PORCH_OK);
        assert_int_equal(porch_write_text(&c.file, "moof"), PORCH_OK);
        assert_int_equal(porch_write_u64(&c.file, bad[i].large), PORCH_OK);
        box(&c, "mdat", 4);
        assert_int_equal(whole(&c, c.file.len), end);
    }
}

static void media_without_its_index_does_not_count(void **state) {
    (void)state;
    clip c;
    make(&c);
    box(&c, "moov", 4);
    size_t end = c.file.len;
    box(&c, "mdat", 4);
    assert_int_equal(whole(&c, c.file.len), end);
    make(&c);
    box(&c, "moof", 4);
    box(&c, "mdat", 4);
    assert_int_equal(whole(&c, c.file.len), 0);
}

/* As FFmpeg ends a film: the hub may have it all, so none of it may be missing here. */
static void the_boxes_behind_the_last_fragment_count(void **state) {
    (void)state;
    clip c;
    make(&c);
    box(&c, "ftyp", 12);
    box(&c, "moov", 40);
    box(&c, "moof", 16);
    box(&c, "mdat", 33);
    box(&c, "mfra", 30);
    assert_int_equal(whole(&c, c.file.len), c.file.len);
    box(&c, "free", 0);
    assert_int_equal(whole(&c, c.file.len), c.file.len);
}

static void what_follows_half_a_fragment_does_not(void **state) {
    (void)state;
    clip c;
    make(&c);
    box(&c, "moov", 4);
    size_t end = c.file.len;
    box(&c, "moof", 4);
    box(&c, "mfra", 4);
    assert_int_equal(whole(&c, c.file.len), end);
    make(&c);
    box(&c, "moov", 4);
    box(&c, "mdat", 4);
    box(&c, "mfra", 4);
    assert_int_equal(whole(&c, c.file.len), end);
    make(&c);
    box(&c, "ftyp", 4);
    box(&c, "mfra", 4);
    assert_int_equal(whole(&c, c.file.len), 0);
}

static void a_disk_that_does_not_answer_is_an_error(void **state) {
    (void)state;
    clip c;
    make(&c);
    box(&c, "moov", 4);
    c.broken = true;
    uint64_t ret = 77;
    assert_int_equal(porch_fragment_whole_bytes(read_clip, &c, c.file.len, &ret), PORCH_ERR_IO);
    assert_int_equal(ret, 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clip_cut_at_every_byte_ends_at_its_last_whole_fragment),
        cmocka_unit_test(a_long_box_is_followed),
        cmocka_unit_test(sizes_that_no_box_has_end_the_walk),
        cmocka_unit_test(media_without_its_index_does_not_count),
        cmocka_unit_test(the_boxes_behind_the_last_fragment_count),
        cmocka_unit_test(what_follows_half_a_fragment_does_not),
        cmocka_unit_test(a_disk_that_does_not_answer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
