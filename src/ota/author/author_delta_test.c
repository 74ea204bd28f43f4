/* Deltas there and back: what the maker makes, the applier turns into the new image, whatever the images,
 * the block's size and where the power goes. */
#include "ota/author/author_delta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ota/client/delta.h"

enum { JOURNAL_BYTES = 1 << 20, MEMORY_BYTES = 2 << 20 };

static porch_why why;

/* A device: images and journals in memory; after `cut_after` bytes written the power is gone. */
typedef struct {
    porch_bytes patch, old;
    uint8_t *fresh;
    size_t fresh_len;
    uint8_t *journal[2];
    size_t journal_len[2];
    long left; /* bytes that may still be written; -1: any number */
    uint64_t memory[MEMORY_BYTES / 8];
} device;

static porch_err copy_out(porch_bytes from, uint64_t at, uint8_t *out, size_t len) {
    if (at > from.len || len > from.len - at) return PORCH_ERR_IO;
    memcpy(out, from.at + at, len);
    return PORCH_OK;
}
static porch_err on_patch(void *self, uint64_t at, uint8_t *out, size_t len) {
    device *t = self;
    return copy_out(t->patch, at, out, len);
}
static porch_err on_old(void *self, uint64_t at, uint8_t *out, size_t len) {
    device *t = self;
    return copy_out(t->old, at, out, len);
}
static porch_err on_new(void *self, uint64_t at, uint8_t *out, size_t len) {
    device *t = self;
    return copy_out((porch_bytes){t->fresh, t->fresh_len}, at, out, len);
}
static porch_err put_in(device *t, uint8_t *to, porch_bytes bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        if (t->left == 0) return PORCH_ERR_IO;
        if (t->left > 0) t->left--;
        to[i] = bytes.at[i];
    }
    return PORCH_OK;
}
static porch_err on_write(void *self, uint64_t at, porch_bytes block) {
    device *t = self;
    assert_true(at + block.len <= t->fresh_len);
    return put_in(t, t->fresh + at, block);
}
static porch_err on_read_journal(void *self, unsigned copy, uint8_t *out, size_t len) {
    device *t = self;
    if (t->journal_len[copy] < len) return PORCH_ERR_NOT_FOUND;
    memcpy(out, t->journal[copy], len);
    return PORCH_OK;
}
static porch_err on_write_journal(void *self, unsigned copy, porch_bytes record) {
    device *t = self;
    assert_true(record.len <= JOURNAL_BYTES);
    if (t->journal_len[copy] < record.len) t->journal_len[copy] = record.len;
    return put_in(t, t->journal[copy], record);
}
static const porch_delta_port port = {on_patch, on_old,          on_new,
                                      on_write, on_read_journal, on_write_journal};

static device *device_of(porch_bytes old, size_t fresh_len, porch_bytes patch) {
    device *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->patch = patch;
    t->old = old;
    t->fresh = calloc(1, fresh_len + 1);
    t->fresh_len = fresh_len;
    t->journal[0] = calloc(1, JOURNAL_BYTES);
    t->journal[1] = calloc(1, JOURNAL_BYTES);
    t->left = -1;
    return t;
}

static void device_free(device *t) {
    free(t->fresh);
    free(t->journal[0]);
    free(t->journal[1]);
    free(t);
}

static porch_slot_image image_of(porch_bytes b) {
    porch_slot_image image = {.counter = 1, .length = b.len};
    porch_verify_library()->sha256(b, image.sha256);
    return image;
}

/* From power on until it is done or the power goes. */
static porch_err apply(device *t, porch_bytes fresh, uint32_t block, uint32_t checkpoint, bool resume,
                       uint64_t *from) {
    porch_slot_image a = image_of(t->old), b = image_of(fresh);
    porch_delta d = {.port = &port,
                     .self = t,
                     .crypto = porch_verify_library(),
                     .patch_length = t->patch.len,
                     .block_bytes = block,
                     .checkpoint_blocks = checkpoint,
                     .memory_most = sizeof t->memory,
                     .memory = (uint8_t *)t->memory};
    d.crypto->sha256(t->patch, d.patch_sha256);
    memset(t->memory, 0xee, 16 * 1024); /* nothing survives in memory */
    PORCH_TRY(porch_delta_open(&d, &a, &b, resume, from, &why));
    for (bool done = false; !done;)
        PORCH_TRY(porch_delta_step(&d, &done, &why));
    return PORCH_OK;
}

static void there_and_back(porch_bytes old, porch_bytes fresh, porch_author_delta_size size,
                           uint32_t block) {
    porch_buf patch = {0};
    uint64_t from = 9;
    assert_int_equal(porch_author_delta(old, fresh, size, &patch, NULL, NULL, &why), PORCH_OK);
    device *t = device_of(old, fresh.len, porch_buf_bytes(&patch));
    porch_err e = apply(t, fresh, block, 3, false, &from);
    if (e != PORCH_OK) fail_msg("%s", porch_why_text(&why, e));
    assert_int_equal(from, 0);
    assert_memory_equal(t->fresh, fresh.at, fresh.len);
    device_free(t);
    free(patch.at);
}

static uint32_t seed;
static uint32_t roll(uint32_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

/* An image in the manner of code: phrases that come again, numbers that move, and noise. */
static size_t make(uint8_t *out, size_t most) {
    size_t len = 0, wanted = roll((uint32_t)most) + 1;
    while (len < wanted) {
        size_t n = roll(200) + 1;
        if (n > wanted - len) n = wanted - len;
        if (roll(3) > 0 && len > 8) {
            size_t from = roll((uint32_t)len - 1);
            for (size_t i = 0; i < n; i++)
                out[len + i] = out[from + i];
        } else {
            for (size_t i = 0; i < n; i++)
                out[len + i] = (uint8_t)roll(roll(2) ? 256 : 16);
        }
        len += n;
    }
    return len;
}

/* What a release does to it: pieces change, move, go and come. */
static size_t change(const uint8_t *old, size_t old_len, uint8_t *out, size_t most) {
    size_t len = 0, at = 0;
    while (len < most && at < old_len) {
        size_t n = roll(2000) + 1;
        if (n > old_len - at) n = old_len - at;
        if (n > most - len) n = most - len;
        memcpy(out + len, old + at, n);
        for (uint32_t edits = roll(20), i = 0; i < edits; i++)
            out[len + roll((uint32_t)n)] += 64;
        len += n;
        at = roll(4) == 0 ? roll((uint32_t)old_len) : at + n;
        if (roll(4) == 0) len += most - len > 300 ? make(out + len, 300) : 0;
    }
    return len > 0 ? len : make(out, 16);
}

static void any_image_comes_back_from_any_other(void **state) {
    (void)state;
    static uint8_t old[40000], fresh[60000];
    for (unsigned round = 0; round < 60; round++) {
        seed = round + 1;
        size_t old_len = make(old, round % 5 == 0 ? 60 : sizeof old);
        size_t fresh_len = round % 7 == 0 ? make(fresh, sizeof fresh - 400)
                                          : change(old, old_len, fresh, sizeof fresh - 400);
        there_and_back((porch_bytes){old, old_len}, (porch_bytes){fresh, fresh_len},
                       round % 2 ? PORCH_AUTHOR_DELTA_LARGE : PORCH_AUTHOR_DELTA_SMALL,
                       round % 3 ? 4096 : 1 + roll(300));
    }
}

static void the_smallest_images_and_equal_ones_come_back(void **state) {
    (void)state;
    static const uint8_t text[] = "one two one two one two";
    for (size_t a = 0; a < sizeof text; a++)
        for (size_t b = 1; b < sizeof text; b++)
            there_and_back((porch_bytes){text, a}, (porch_bytes){text, b}, PORCH_AUTHOR_DELTA_SMALL, 7);
    static uint8_t zeroes[100000];
    there_and_back((porch_bytes){zeroes, sizeof zeroes}, (porch_bytes){zeroes, sizeof zeroes},
                   PORCH_AUTHOR_DELTA_LARGE, 4096);
    there_and_back((porch_bytes){zeroes, 1}, (porch_bytes){zeroes, sizeof zeroes}, PORCH_AUTHOR_DELTA_SMALL,
                   4096);
}

static void a_small_device_needs_less_than_16_kib(void **state) {
    (void)state;
    assert_true(porch_delta_memory_bytes(11, 4096) + sizeof(porch_delta) < 16 * 1024);
    assert_true(porch_delta_memory_bytes(17, 256 * 1024) + sizeof(porch_delta) < 1024 * 1024);
}

static void a_delta_goes_on_after_the_power_went_at_any_byte(void **state) {
    (void)state;
    static uint8_t old[3000], fresh[4000];
    seed = 77;
    size_t old_len = make(old, 1) + 2900;
    for (size_t i = 0; i < old_len; i++)
        old[i] = (uint8_t)(i * i >> 5);
    size_t fresh_len = change(old, old_len, fresh, 3600);
    porch_bytes was = {old, old_len}, is = {fresh, fresh_len};
    porch_buf patch = {0};
    uint64_t from = 0, furthest = 0;
    assert_int_equal(porch_author_delta(was, is, PORCH_AUTHOR_DELTA_SMALL, &patch, NULL, NULL, &why),
                     PORCH_OK);
    for (long cut = 0;; cut += cut < 1200 ? 1 : 43) {
        device *t = device_of(was, is.len, porch_buf_bytes(&patch));
        t->left = cut;
        porch_err e = apply(t, is, 512, 1, true, &from);
        if (e == PORCH_OK) {
            device_free(t);
            break;
        }
        t->left = cut % 1000; /* and once more while it goes on */
        (void)apply(t, is, 512, 1, true, &from);
        t->left = -1;
        assert_int_equal(apply(t, is, 512, 1, true, &from), PORCH_OK);
        if (from > furthest) furthest = from;
        assert_memory_equal(t->fresh, is.at, is.len);
        device_free(t);
    }
    assert_true(furthest >= is.len / 512 * 512); /* it did go on, and not begin again */
    free(patch.at);
}

static void a_block_that_is_not_what_the_journal_says_is_not_built_upon(void **state) {
    (void)state;
    static uint8_t old[3000], fresh[4000];
    seed = 5;
    size_t old_len = make(old, sizeof old), fresh_len = change(old, old_len, fresh, 3600);
    porch_bytes was = {old, old_len}, is = {fresh, fresh_len};
    porch_buf patch = {0};
    uint64_t from = 0;
    assert_int_equal(porch_author_delta(was, is, PORCH_AUTHOR_DELTA_SMALL, &patch, NULL, NULL, &why),
                     PORCH_OK);
    device *t = device_of(was, is.len, porch_buf_bytes(&patch));
    assert_int_equal(apply(t, is, 256, 1, true, &from), PORCH_OK);
    assert_int_equal(apply(t, is, 256, 1, true, &from), PORCH_OK);
    assert_int_equal(from, is.len); /* all is there */
    t->fresh[is.len - 1] ^= 1;
    assert_int_equal(apply(t, is, 256, 1, true, &from), PORCH_OK);
    assert_true(from < is.len); /* the journal before that one */
    assert_memory_equal(t->fresh, is.at, is.len);
    assert_int_equal(porch_delta_forget(&port, t), PORCH_OK);
    assert_int_equal(apply(t, is, 256, 1, true, &from), PORCH_OK);
    assert_int_equal(from, 0);
    device_free(t);
    free(patch.at);
}

static void a_delta_of_other_images_or_cut_short_or_altered_never_passes_as_whole(void **state) {
    (void)state;
    static uint8_t old[2000], fresh[2600];
    seed = 11;
    size_t old_len = make(old, sizeof old), fresh_len = change(old, old_len, fresh, 2200);
    porch_bytes was = {old, old_len}, is = {fresh, fresh_len}, shorter = {fresh, fresh_len - 1},
                less = {old, old_len - 1};
    porch_buf patch = {0};
    uint64_t from = 0;
    assert_int_equal(porch_author_delta(was, is, PORCH_AUTHOR_DELTA_SMALL, &patch, NULL, NULL, &why),
                     PORCH_OK);
    device *t = device_of(less, is.len, porch_buf_bytes(&patch));
    assert_int_equal(apply(t, is, 256, 1, false, &from), PORCH_ERR_STATE);
    t->old = was;
    assert_int_equal(apply(t, shorter, 256, 1, false, &from), PORCH_ERR_STATE);
    for (size_t len = 0; len < patch.len; len += len < 100 ? 1 : 7) {
        t->patch.len = len;
        porch_err e = apply(t, is, 256, 1, false, &from);
        assert_true(e == PORCH_ERR_TRUNCATED || e == PORCH_ERR_MALFORMED);
    }
    uint8_t *longer = malloc(patch.len + 1);
    assert_non_null(longer);
    memcpy(longer, patch.at, patch.len);
    longer[patch.len] = 0;
    t->patch = (porch_bytes){longer, patch.len + 1};
    assert_int_equal(apply(t, is, 256, 1, false, &from), PORCH_ERR_MALFORMED);
    t->patch.len = patch.len;
    for (size_t at = 0; at < patch.len;
         at += 1 + at / 40) { /* whatever it does, it stays inside the images */
        longer[at] ^= 0x10;
        (void)apply(t, is, 256, 1, false, &from);
        longer[at] ^= 0x10;
    }
    free(longer);
    device_free(t);
    free(patch.at);
}

static void a_device_refuses_a_delta_that_needs_more_memory_than_it_has(void **state) {
    (void)state;
    static const uint8_t old[64] = "old", fresh[64] = "fresh";
    porch_bytes was = {old, 64}, is = {fresh, 64};
    porch_buf patch = {0};
    assert_int_equal(porch_author_delta(was, is, PORCH_AUTHOR_DELTA_LARGE, &patch, NULL, NULL, &why),
                     PORCH_OK);
    device *t = device_of(was, is.len, porch_buf_bytes(&patch));
    porch_slot_image a = image_of(was), b = image_of(is);
    uint64_t from = 0;
    porch_delta d = {.port = &port,
                     .self = t,
                     .crypto = porch_verify_library(),
                     .patch_length = patch.len,
                     .block_bytes = 4096,
                     .checkpoint_blocks = 1,
                     .memory_most = 16 * 1024,
                     .memory = (uint8_t *)t->memory};
    assert_int_equal(porch_delta_open(&d, &a, &b, false, &from, &why), PORCH_ERR_LIMIT);
    device_free(t);
    free(patch.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_image_comes_back_from_any_other),
        cmocka_unit_test(the_smallest_images_and_equal_ones_come_back),
        cmocka_unit_test(a_small_device_needs_less_than_16_kib),
        cmocka_unit_test(a_delta_goes_on_after_the_power_went_at_any_byte),
        cmocka_unit_test(a_block_that_is_not_what_the_journal_says_is_not_built_upon),
        cmocka_unit_test(a_delta_of_other_images_or_cut_short_or_altered_never_passes_as_whole),
        cmocka_unit_test(a_device_refuses_a_delta_that_needs_more_memory_than_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
