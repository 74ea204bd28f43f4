#include "wire/upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EMPTY_SHA256 "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

static void offsets_are_plain_numbers_of_at_most_15_digits(void **state) {
    (void)state;
    uint64_t offset = 7;
    assert_int_equal(porch_upload_offset_parse(PORCH_LIT("0"), &offset), PORCH_OK);
    assert_true(offset == 0);
    assert_int_equal(porch_upload_offset_parse(PORCH_LIT("999999999999999"), &offset), PORCH_OK);
    assert_true(offset == PORCH_UPLOAD_OFFSET_MOST);
    assert_int_equal(porch_upload_offset_parse(PORCH_LIT("1000000000000000"), &offset), PORCH_ERR_LIMIT);
    const char *bad[] = {"", "-1", "+1", "01", "1.0", " 1", "1 ", "0x1", "1e3"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(porch_upload_offset_parse(porch_bytes_of(bad[i]), &offset), PORCH_ERR_MALFORMED);
    assert_true(offset == PORCH_UPLOAD_OFFSET_MOST);
}

static void complete_is_a_boolean_and_nothing_else(void **state) {
    (void)state;
    bool complete = false;
    assert_int_equal(porch_upload_complete_parse(PORCH_LIT("?1"), &complete), PORCH_OK);
    assert_true(complete);
    assert_int_equal(porch_upload_complete_parse(PORCH_LIT("?0"), &complete), PORCH_OK);
    assert_false(complete);
    const char *bad[] = {"", "1", "0", "true", "?2", "?1 ", "?", "?1;a"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(porch_upload_complete_parse(porch_bytes_of(bad[i]), &complete),
                         PORCH_ERR_MALFORMED);
}

static void the_digest_stands_once_among_others(void **state) {
    (void)state;
    uint8_t digest[32];
    const char *good[] = {EMPTY_SHA256, "sha-512=:AAAA:, " EMPTY_SHA256, EMPTY_SHA256 " ,\tunixsum=:AA==:"};
    for (size_t i = 0; i < COUNT(good); i++) {
        memset(digest, 0, sizeof digest);
        assert_int_equal(porch_upload_digest_parse(porch_bytes_of(good[i]), digest), PORCH_OK);
        assert_memory_equal(digest, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14", 8);
        assert_memory_equal(digest + 28, "\x78\x52\xb8\x55", 4);
    }
    const char *bad[] = {"",
                         "sha-512=:AAAA:",
                         EMPTY_SHA256 "," EMPTY_SHA256,
                         EMPTY_SHA256 ",",
                         EMPTY_SHA256 ",sha-256",
                         "sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                         "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU:",
                         "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=:", /* stray bits */
                         "sha-256=:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=:", /* the other alphabet */
                         "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuAAA:", /* 33 bytes */
                         "SHA-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
                         "sha-256=::"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        memset(digest, 0x55, sizeof digest);
        if (porch_upload_digest_parse(porch_bytes_of(bad[i]), digest) == PORCH_OK) fail_msg("%s", bad[i]);
        assert_int_equal(digest[0], 0x55);
    }
}

static void a_digest_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    uint8_t digest[32];
    for (size_t cut = 0; cut < sizeof EMPTY_SHA256 - 1; cut++)
        assert_int_not_equal(
            porch_upload_digest_parse((porch_bytes){(const uint8_t *)EMPTY_SHA256, cut}, digest), PORCH_OK);
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    uint8_t out[80], digest[32], back[32];
    for (size_t i = 0; i < sizeof digest; i++)
        digest[i] = (uint8_t)(i * 37);
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_upload_digest_write(&b, digest), PORCH_OK);
    assert_int_equal(porch_upload_digest_parse(porch_buf_bytes(&b), back), PORCH_OK);
    assert_memory_equal(digest, back, 32);
    b.len = 0;
    uint64_t offset = 0;
    bool complete = false;
    assert_int_equal(porch_upload_offset_write(&b, 65536), PORCH_OK);
    assert_int_equal(porch_upload_offset_parse(porch_buf_bytes(&b), &offset), PORCH_OK);
    assert_true(offset == 65536);
    b.len = 0;
    assert_int_equal(porch_upload_complete_write(&b, true), PORCH_OK);
    assert_int_equal(porch_upload_complete_parse(porch_buf_bytes(&b), &complete), PORCH_OK);
    assert_true(complete);
    assert_int_equal(porch_upload_offset_write(&b, PORCH_UPLOAD_OFFSET_MOST + 1), PORCH_ERR_LIMIT);
    porch_buf tight = {out, 0, 40};
    assert_int_equal(porch_upload_digest_write(&tight, digest), PORCH_ERR_NO_SPACE);
    assert_int_equal(tight.len, 0);
    porch_id event;
    assert_int_equal(porch_upload_event_parse(PORCH_LIT("0f3c"), &event), PORCH_OK);
    assert_int_equal(porch_upload_event_parse(PORCH_LIT("0F3C"), &event), PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_plain_numbers_of_at_most_15_digits),
        cmocka_unit_test(complete_is_a_boolean_and_nothing_else),
        cmocka_unit_test(the_digest_stands_once_among_others),
        cmocka_unit_test(a_digest_cut_short_is_refused_at_every_length),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
