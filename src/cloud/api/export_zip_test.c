/* Archives as libarchive's own reader finds them again, and that memory stays small. */
#include "cloud/api/export_zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static porch_why why;

typedef struct {
    uint8_t *at;
    size_t len, cap;
} heap;

static void drain(porch_zip *z, heap *h) {
    while (porch_zip_ready(z) > 0) {
        if (h->cap - h->len < 1000) {
            h->cap = h->cap * 2 + 4096;
            h->at = realloc(h->at, h->cap);
            assert_non_null(h->at);
        }
        h->len += porch_zip_take(z, h->at + h->len, 777);
    }
}

static void expect_file(struct archive *a, const char *name, porch_bytes bytes, uint64_t at_s) {
    struct archive_entry *e = NULL;
    uint8_t *found = calloc(1, bytes.len + 2);
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
    assert_string_equal(archive_entry_pathname(e), name);
    assert_int_equal(archive_entry_mtime(e), at_s);
    assert_int_equal(archive_read_data(a, found, bytes.len + 1), bytes.len);
    assert_memory_equal(found, bytes.at, bytes.len);
    free(found);
}

static void what_was_put_in_is_read_again(void **state) {
    (void)state;
    static uint8_t film[300000];
    for (size_t i = 0; i < sizeof film; i++)
        film[i] = (uint8_t)(i * 31 + i / 251);
    porch_zip *z = NULL;
    heap h = {0};
    assert_int_equal(porch_zip_new(&z, &why), PORCH_OK);
    assert_int_equal(porch_zip_file(z, "README.txt", 1790000000000, PORCH_ZIP_UNKNOWN, true, &why),
                     PORCH_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(porch_zip_bytes(z, PORCH_LIT("read me "), &why), PORCH_OK);
    assert_int_equal(porch_zip_file(z, "clips/a.mp4", 1790000002000, sizeof film, false, &why), PORCH_OK);
    for (size_t at = 0; at < sizeof film; at += 60000) {
        assert_int_equal(porch_zip_bytes(z, (porch_bytes){film + at, 60000}, &why), PORCH_OK);
        drain(z, &h);
    }
    assert_int_equal(porch_zip_file(z, "empty.json", 0, 0, false, &why), PORCH_OK);
    assert_int_equal(porch_zip_finish(z, &why), PORCH_OK);
    drain(z, &h);
    porch_zip_free(z);

    struct archive *a = archive_read_new();
    char text[8001] = "";
    for (int i = 0; i < 1000; i++)
        memcpy(text + i * 8, "read me ", 8);
    assert_int_equal(archive_read_support_format_zip_seekable(a), ARCHIVE_OK);
    assert_int_equal(archive_read_open_memory(a, h.at, h.len), ARCHIVE_OK);
    expect_file(a, "README.txt", (porch_bytes){(uint8_t *)text, 8000}, 1790000000);
    expect_file(a, "clips/a.mp4", (porch_bytes){film, sizeof film}, 1790000002);
    expect_file(a, "empty.json", (porch_bytes){(const uint8_t *)"", 0}, 0);
    struct archive_entry *e;
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
    (void)archive_read_free(a);
    assert_true(h.len < sizeof film + 4000); /* the text was packed, the film was not */
    free(h.at);
}

static void a_file_that_is_not_as_long_as_it_said_is_an_error(void **state) {
    (void)state;
    porch_zip *z = NULL;
    assert_int_equal(porch_zip_new(&z, &why), PORCH_OK);
    assert_int_equal(porch_zip_file(z, "a", 0, 5, false, &why), PORCH_OK);
    assert_int_equal(porch_zip_bytes(z, PORCH_LIT("123456"), &why), PORCH_ERR_STATE);
    assert_int_equal(porch_zip_bytes(z, PORCH_LIT("1234"), &why), PORCH_OK);
    assert_int_equal(porch_zip_finish(z, &why), PORCH_ERR_STATE);
    porch_zip_free(z);
}

static void what_is_ready_is_no_more_than_one_piece(void **state) {
    (void)state;
    static uint8_t piece[65536];
    uint8_t out[4096];
    porch_zip *z = NULL;
    assert_int_equal(porch_zip_new(&z, &why), PORCH_OK);
    assert_int_equal(porch_zip_file(z, "large", 0, (uint64_t)sizeof piece * 200, false, &why), PORCH_OK);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(porch_zip_bytes(z, (porch_bytes){piece, sizeof piece}, &why), PORCH_OK);
        assert_true(porch_zip_ready(z) <= sizeof piece + 1024);
        while (porch_zip_take(z, out, sizeof out) > 0) {
        }
    }
    assert_int_equal(porch_zip_finish(z, &why), PORCH_OK);
    porch_zip_free(z);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_is_read_again),
        cmocka_unit_test(a_file_that_is_not_as_long_as_it_said_is_an_error),
        cmocka_unit_test(what_is_ready_is_no_more_than_one_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
