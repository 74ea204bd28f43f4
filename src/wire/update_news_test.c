#include "wire/update_news.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEX "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define WISH                                                                                   \
    "{\"v\":1,\"rollout\":\"r7\",\"product\":\"camera\",\"version\":\"1.2\",\"sha256\":\"" HEX \
    "\",\"attempt\":2}"

static porch_id id_of(const char *text) {
    porch_id id;
    assert_int_equal(porch_id_parse(porch_bytes_of(text), &id), PORCH_OK);
    return id;
}

static porch_err read_desired(const char *text, porch_update_desired *ret) {
    porch_why why = {""};
    porch_err e = porch_update_desired_read(porch_bytes_of(text), ret, &why);
    assert_true(e == PORCH_OK || why.text[0] != '\0');
    return e;
}

static porch_err read_status(const char *text, porch_update_status *ret) {
    porch_why why = {""};
    porch_err e = porch_update_status_read(porch_bytes_of(text), ret, &why);
    assert_true(e == PORCH_OK || why.text[0] != '\0');
    return e;
}

static void a_wish_that_was_written_is_read_back(void **state) {
    (void)state;
    uint8_t block[PORCH_UPDATE_NEWS_MOST];
    porch_buf b = PORCH_BUF_OF(block);
    porch_update_desired d, again;
    assert_int_equal(read_desired(WISH, &d), PORCH_OK);
    assert_true(d.any);
    assert_string_equal(d.rollout.text, "r7");
    assert_string_equal(d.product.text, "camera");
    assert_true(porch_bytes_eq_text(d.version, "1.2"));
    assert_int_equal(d.attempt, 2);
    assert_int_equal(d.sha256[0], 0x9f);
    assert_int_equal(d.sha256[31], 0x08);
    assert_int_equal(porch_update_desired_write(&b, &d), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), WISH));
    assert_int_equal(porch_update_desired_read(porch_buf_bytes(&b), &again, NULL), PORCH_OK);
}

static void nothing_to_do_is_a_wish_too(void **state) {
    (void)state;
    uint8_t block[64];
    porch_buf b = PORCH_BUF_OF(block);
    porch_update_desired d = {.any = true};
    assert_int_equal(read_desired("{\"v\":1}", &d), PORCH_OK);
    assert_false(d.any);
    assert_int_equal(porch_update_desired_write(&b, &d), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), "{\"v\":1}"));
}

static void a_wish_is_whole_or_none(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"v\":2}",
        "{\"v\":1,}",
        "{\"v\":1}x",
        "{\"v\":1,\"v\":1}",
        "{\"v\":1,\"other\":1}",
        "{\"v\":1,\"rollout\":\"r7\"}",
        "{\"v\":1,\"rollout\":\"R7\",\"product\":\"camera\",\"version\":\"1.2\",\"sha256\":\"" HEX
        "\",\"attempt\":2}",
        "{\"v\":1,\"rollout\":\"r7\",\"product\":\"camera\",\"version\":\"../2\",\"sha256\":\"" HEX
        "\",\"attempt\":2}",
        "{\"v\":1,\"rollout\":\"r7\",\"product\":\"camera\",\"version\":\"1/2\",\"sha256\":\"" HEX
        "\",\"attempt\":2}",
        "{\"v\":1,\"rollout\":\"r7\",\"product\":\"camera\",\"version\":\"1.2\",\"sha256\":\"9f\","
        "\"attempt\":2}",
        "{\"v\":1,\"rollout\":\"r7\",\"product\":\"camera\",\"version\":\"1.2\",\"sha256\":\"" HEX
        "\",\"attempt\":0}",
        "{\"v\":1,\"rollout\":\"r7\",\"product\":\"camera\",\"version\":\"1.2\",\"sha256\":\"" HEX
        "\",\"attempt\":1.5}",
    };
    porch_update_desired d;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(read_desired(bad[i], &d), PORCH_OK);
}

static void a_message_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    static const char text[] = "{\"v\":1,\"running\":\"1.1\",\"state\":\"good\",\"reason\":\"fine\"}";
    porch_update_desired d;
    porch_update_status s;
    for (size_t n = 0; n < sizeof WISH - 1; n++)
        assert_int_not_equal(porch_update_desired_read((porch_bytes){(const uint8_t *)WISH, n}, &d, NULL),
                             PORCH_OK);
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_int_not_equal(porch_update_status_read((porch_bytes){(const uint8_t *)text, n}, &s, NULL),
                             PORCH_OK);
}

static void a_status_that_was_written_is_read_back(void **state) {
    (void)state;
    uint8_t block[PORCH_UPDATE_NEWS_MOST];
    for (unsigned i = 0; i < PORCH_UPDATE_STATES; i++) {
        porch_buf b = PORCH_BUF_OF(block);
        porch_update_status s, in = {.has_rollout = true,
                                     .rollout = id_of("r7"),
                                     .running = PORCH_LIT("1.1"),
                                     .target = PORCH_LIT("1.2"),
                                     .attempt = 3,
                                     .state = (porch_update_state)i,
                                     .reason = PORCH_LIT("battery at 12 %"),
                                     .floor = 4,
                                     .bytes = PORCH_UPDATE_NUMBER_MOST,
                                     .way = i % 2 ? PORCH_UPDATE_WAY_DELTA : PORCH_UPDATE_WAY_FULL};
        assert_int_equal(porch_update_status_write(&b, &in), PORCH_OK);
        assert_int_equal(porch_update_status_read(porch_buf_bytes(&b), &s, NULL), PORCH_OK);
        assert_true(s.has_rollout && porch_id_eq(&s.rollout, &in.rollout));
        assert_true(porch_bytes_eq(s.running, in.running) && porch_bytes_eq(s.target, in.target));
        assert_true(porch_bytes_eq(s.reason, in.reason));
        assert_int_equal(s.state, i);
        assert_int_equal(s.attempt, 3);
        assert_int_equal(s.floor, 4);
        assert_true(s.bytes == in.bytes && s.way == in.way);
    }
}

static void a_status_needs_only_what_runs_and_how_it_is(void **state) {
    (void)state;
    porch_update_status s;
    assert_int_equal(read_status(" { \"state\" : \"good\" ,\n\"running\":\"1.1\",\"v\":1 } ", &s),
                     PORCH_OK);
    assert_false(s.has_rollout);
    assert_int_equal(s.state, PORCH_UPDATE_GOOD);
    assert_int_equal(s.target.len, 0);
    assert_int_not_equal(read_status("{\"v\":1,\"state\":\"good\"}", &s), PORCH_OK);
    assert_int_not_equal(read_status("{\"v\":1,\"running\":\"1\"}", &s), PORCH_OK);
    assert_int_not_equal(read_status("{\"v\":1,\"running\":\"1\",\"state\":\"fine\"}", &s), PORCH_OK);
    assert_int_not_equal(read_status("{\"v\":1,\"running\":\"1\",\"state\":\"good\",\"way\":\"air\"}", &s),
                         PORCH_OK);
    assert_int_not_equal(read_status("{\"v\":1,\"running\":\"1\",\"state\":\"good\",\"floor\":-1}", &s),
                         PORCH_OK);
    assert_int_not_equal(
        read_status("{\"v\":1,\"running\":\"1\",\"state\":\"good\",\"reason\":\"a\\n\"}", &s), PORCH_OK);
}

static void any_reason_is_made_fit_and_cut_where_a_character_ends(void **state) {
    (void)state;
    uint8_t block[PORCH_UPDATE_NEWS_MOST];
    char longest[400];
    porch_buf b = PORCH_BUF_OF(block);
    porch_update_status s, in = {.running = PORCH_LIT("1"),
                                 .state = PORCH_UPDATE_FAILED,
                                 .reason = PORCH_LIT("the check \"no\"\nsaid \\ \x01")};
    assert_int_equal(porch_update_status_write(&b, &in), PORCH_OK);
    assert_int_equal(porch_update_status_read(porch_buf_bytes(&b), &s, NULL), PORCH_OK);
    assert_true(porch_bytes_eq_text(s.reason, "the check 'no' said '  "));
    for (size_t i = 0; i + 2 <= sizeof longest; i += 2)
        memcpy(longest + i, i == 0 ? "ab" : "\xc3\xa4", 2);
    memmove(longest + 1, longest, sizeof longest - 1); /* characters begin at odd places now */
    in.reason = (porch_bytes){(const uint8_t *)longest, sizeof longest - 1};
    b.len = 0;
    assert_int_equal(porch_update_status_write(&b, &in), PORCH_OK);
    assert_int_equal(porch_update_status_read(porch_buf_bytes(&b), &s, NULL), PORCH_OK);
    assert_int_equal(s.reason.len, PORCH_UPDATE_REASON_MOST - 1);
    in.reason = PORCH_LIT("\xff\xfe no text");
    b.len = 0;
    assert_int_equal(porch_update_status_write(&b, &in), PORCH_OK);
    assert_int_equal(porch_update_status_read(porch_buf_bytes(&b), &s, NULL), PORCH_OK);
    assert_true(porch_bytes_eq_text(s.reason, "?? no text"));
}

static void what_a_reader_would_refuse_is_not_written(void **state) {
    (void)state;
    uint8_t block[PORCH_UPDATE_NEWS_MOST];
    porch_buf b = PORCH_BUF_OF(block), small = {block, 0, 20};
    porch_update_desired d;
    porch_update_status s = {.running = PORCH_LIT(""), .state = PORCH_UPDATE_GOOD};
    assert_int_equal(porch_update_status_write(&b, &s), PORCH_ERR_USAGE);
    s.running = PORCH_LIT("1");
    s.floor = PORCH_UPDATE_NUMBER_MOST + 1;
    assert_int_equal(porch_update_status_write(&b, &s), PORCH_ERR_USAGE);
    assert_int_equal(read_desired(WISH, &d), PORCH_OK);
    assert_int_equal(porch_update_desired_write(&small, &d), PORCH_ERR_NO_SPACE);
    assert_int_equal(small.len, 0);
    d.attempt = 0;
    assert_int_equal(porch_update_desired_write(&b, &d), PORCH_ERR_USAGE);
    assert_int_equal(b.len, 0);
}

static void too_long_a_message_is_a_limit(void **state) {
    (void)state;
    char text[PORCH_UPDATE_NEWS_MOST + 2];
    porch_update_status s;
    memset(text, ' ', sizeof text);
    assert_int_equal(
        porch_update_status_read((porch_bytes){(const uint8_t *)text, sizeof text - 1}, &s, NULL),
        PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_that_was_written_is_read_back),
        cmocka_unit_test(nothing_to_do_is_a_wish_too),
        cmocka_unit_test(a_wish_is_whole_or_none),
        cmocka_unit_test(a_message_cut_short_is_refused_at_every_length),
        cmocka_unit_test(a_status_that_was_written_is_read_back),
        cmocka_unit_test(a_status_needs_only_what_runs_and_how_it_is),
        cmocka_unit_test(any_reason_is_made_fit_and_cut_where_a_character_ends),
        cmocka_unit_test(what_a_reader_would_refuse_is_not_written),
        cmocka_unit_test(too_long_a_message_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
