#include "wire/event_motion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GOOD                                                                                             \
    "{\"v\":1,\"id\":\"e-1\",\"kind\":\"motion\",\"at_ms\":1764012345678,\"score\":0.42,\"box\":[0.1,0." \
    "25,0.3,0.5],"                                                                                       \
    "\"clip\":true,\"thumbnail\":\"/9j/\"}"

static void a_written_event_has_the_documented_form_and_is_read_back(void **state) {
    (void)state;
    porch_event_motion e = {.id = {"e-1"},
                            .at_ms = 1764012345678,
                            .score_e4 = 4200,
                            .box_e4 = {1000, 2500, 3000, 5000},
                            .clip = true};
    uint8_t out[512];
    porch_buf b = PORCH_BUF_OF(out);
    assert_int_equal(porch_event_motion_write(&b, &e, PORCH_LIT("\xff\xd8\xff")), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&b), GOOD));
    porch_event_motion back;
    assert_int_equal(porch_event_motion_read(porch_buf_bytes(&b), &back, NULL), PORCH_OK);
    assert_string_equal(back.id.text, "e-1");
    assert_true(back.at_ms == e.at_ms && back.clip);
    assert_int_equal(back.score_e4, 4200);
    assert_memory_equal(back.box_e4, e.box_e4, sizeof e.box_e4);
    assert_true(porch_bytes_eq_text(back.thumbnail, "/9j/"));
    for (size_t cap = 0; cap < b.len; cap++) {
        porch_buf tight = {out, 0, cap};
        assert_int_equal(porch_event_motion_write(&tight, &e, PORCH_LIT("\xff\xd8\xff")),
                         PORCH_ERR_NO_SPACE);
        assert_int_equal(tight.len, 0);
    }
}

static void an_event_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    for (size_t cut = 0; cut < sizeof GOOD - 1; cut++) {
        porch_event_motion e = {.at_ms = 7};
        assert_int_not_equal(porch_event_motion_read((porch_bytes){(const uint8_t *)GOOD, cut}, &e, NULL),
                             PORCH_OK);
        assert_true(e.at_ms == 7);
    }
}

static void order_and_blanks_do_not_matter_and_the_thumbnail_may_be_missing(void **state) {
    (void)state;
    const char *json = " { \"clip\" : false ,\r\n\t\"box\":[ 0 , 0, 1,1 ], \"score\":1, \"at_ms\" : 0, "
                       "\"kind\":\"motion\","
                       " \"id\":\"0\",\"v\": 1 } ";
    porch_event_motion e;
    assert_int_equal(porch_event_motion_read(porch_bytes_of(json), &e, NULL), PORCH_OK);
    assert_false(e.clip);
    assert_int_equal(e.score_e4, 10000);
    assert_int_equal(e.box_e4[2], 10000);
    assert_int_equal(e.thumbnail.len, 0);
}

/* GOOD with one piece replaced. */
static porch_err with(const char *from, const char *to, porch_why *why) {
    char json[1024];
    const char *at = strstr(GOOD, from);
    assert_non_null(at);
    snprintf(json, sizeof json, "%.*s%s%s", (int)(at - GOOD), GOOD, to, at + strlen(from));
    porch_event_motion e;
    *why = (porch_why){""};
    return porch_event_motion_read(porch_bytes_of(json), &e, why);
}

static void each_wrong_missing_or_doubled_member_is_refused_by_name(void **state) {
    (void)state;
    const struct {
        const char *from, *to, *named;
    } rows[] = {
        {"\"v\":1,", "", "'v'"},
        {"\"v\":1", "\"v\":2", "'v'"},
        {"\"v\":1", "\"v\":\"1\"", "'v'"},
        {"\"v\":1", "\"v\":1,\"v\":1", "'v' stands twice"},
        {"\"id\":\"e-1\",", "", "'id'"},
        {"\"e-1\"", "\"E-1\"", "'id'"},
        {"\"e-1\"", "\"\"", "'id'"},
        {"\"e-1\"", "\"e\\u002d1\"", "'id'"},
        {"\"e-1\"", "1", "'id'"},
        {"\"kind\":\"motion\",", "", "'kind'"},
        {"\"motion\"", "\"person\"", "'kind'"},
        {"\"at_ms\":1764012345678,", "", "'at_ms'"},
        {"1764012345678", "1764012345678.5", "'at_ms'"},
        {"1764012345678", "-1", "'at_ms'"},
        {"1764012345678", "9007199254740992", "'at_ms'"},
        {"1764012345678", "null", "'at_ms'"},
        {"\"score\":0.42,", "", "'score'"},
        {"0.42", "1.01", "'score'"},
        {"0.42", "-0.1", "'score'"},
        {"0.42", ".42", "'score'"},
        {"0.42", "0.", "'score'"},
        {"0.42", "00.4", "'score'"},
        {"0.42", "1e1", "'score'"},
        {"0.42", "1e", "'score'"},
        {"0.42", "1e999999999999", "'score'"},
        {"0.42", "NaN", "'score'"},
        {"0.42", "0.42x", "object"},
        {"0.42", "0.0000000000000000000000000000000000000042", "'score'"},
        {"\"box\":[0.1,0.25,0.3,0.5],", "", "'box'"},
        {"[0.1,0.25,0.3,0.5]", "[0.1,0.25,0.3]", "'box'"},
        {"[0.1,0.25,0.3,0.5]", "[0.1,0.25,0.3,0.5,0]", "'box'"},
        {"[0.1,0.25,0.3,0.5]", "[0.8,0.25,0.3,0.5]", "'box'"},
        {"[0.1,0.25,0.3,0.5]", "[0.1,0.6,0.3,0.5]", "'box'"},
        {"[0.1,0.25,0.3,0.5]", "0.1", "'box'"},
        {"\"clip\":true,", "", "'clip'"},
        {"true", "1", "'clip'"},
        {"true", "truely", "object"},
        {"\"/9j/\"", "\"/9j\"", "'thumbnail'"},
        {"\"/9j/\"", "\"\"", "'thumbnail'"},
        {"\"/9j/\"", "\"/9==/9j/\"", "'thumbnail'"},
        {"\"/9j/\"", "\"/9j/_9j/\"", "'thumbnail'"},
        {"\"/9j/\"", "\"\\/9j\"", "'thumbnail'"},
        {"\"/9j/\"", "null", "'thumbnail'"},
        {"\"v\":1", "\"w\":1,\"v\":1", "version 1"},
        {"}", "} x", "object"},
        {"}", ",}", "name"},
        {"{", "[", "object"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        porch_why why;
        if (with(rows[i].from, rows[i].to, &why) == PORCH_OK)
            fail_msg("%s -> %s is accepted", rows[i].from, rows[i].to);
        if (strstr(why.text, rows[i].named) == NULL)
            fail_msg("%s -> %s: '%s'", rows[i].from, rows[i].to, why.text);
    }
}

static void numbers_round_to_the_nearest_ten_thousandth(void **state) {
    (void)state;
    const struct {
        const char *text;
        uint16_t e4;
    } rows[] = {
        {"0", 0},
        {"0.0", 0},
        {"0e5", 0},
        {"1", 10000},
        {"1.0", 10000},
        {"1.00000", 10000},
        {"0.5", 5000},
        {"0.12345", 1235},
        {"0.12344999", 1234},
        {"0.99995", 10000},
        {"0.99994", 9999},
        {"0.00005", 1},
        {"0.00004", 0},
        {"5e-05", 1},
        {"5e-06", 0},
        {"4.2e-1", 4200},
        {"0.042e+1", 4200},
        {"10e-1", 10000},
        {"1E0", 10000},
        {"0.3333333333333333", 3333},
        {"0.000000000000001", 0},
        {"100e-2", 10000},
        {"12e-2", 1200},
        {"0.10000000149011612", 1000},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "{\"v\":1,\"id\":\"e\",\"kind\":\"motion\",\"at_ms\":1,\"score\":%s,\"box\":[0,0,1,1],"
                 "\"clip\":true}",
                 rows[i].text);
        porch_event_motion e;
        if (porch_event_motion_read(porch_bytes_of(json), &e, NULL) != PORCH_OK)
            fail_msg("%s is refused", rows[i].text);
        if (e.score_e4 != rows[i].e4) fail_msg("%s gives %u", rows[i].text, e.score_e4);
    }
}

static void a_side_that_rounding_carried_over_the_border_is_taken_back(void **state) {
    (void)state;
    porch_why why;
    assert_int_equal(with("[0.1,0.25,0.3,0.5]", "[0.33335,0.25,0.66665,0.5]", &why), PORCH_OK);
    assert_int_equal(with("[0.1,0.25,0.3,0.5]", "[0.3335,0.25,0.6667,0.5]", &why), PORCH_ERR_LIMIT);
}

static void every_ten_thousandth_is_written_and_read_back(void **state) {
    (void)state;
    for (uint16_t e4 = 0; e4 <= PORCH_EVENT_ONE; e4++) {
        porch_event_motion e = {.id = {"e"}, .score_e4 = e4}, back;
        uint8_t out[256];
        porch_buf b = PORCH_BUF_OF(out);
        assert_int_equal(porch_event_motion_write(&b, &e, (porch_bytes){NULL, 0}), PORCH_OK);
        assert_int_equal(porch_event_motion_read(porch_buf_bytes(&b), &back, NULL), PORCH_OK);
        assert_int_equal(back.score_e4, e4);
    }
    assert_int_equal(porch_event_e4(0.42), 4200);
    assert_int_equal(porch_event_e4(-1), 0);
    assert_int_equal(porch_event_e4(2), 10000);
    assert_int_equal(porch_event_e4(0.99996), 10000);
}

static void the_largest_thumbnail_fits_and_one_byte_more_does_not(void **state) {
    (void)state;
    static uint8_t jpeg[PORCH_EVENT_THUMBNAIL_MOST + 1], out[PORCH_EVENT_MOTION_MOST + 100];
    porch_buf b = PORCH_BUF_OF(out);
    porch_event_motion e = {.id = {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
                            .at_ms = PORCH_EVENT_AT_MS_MOST,
                            .score_e4 = 9999,
                            .box_e4 = {1111, 1111, 8888, 8888}};
    assert_int_equal(porch_event_motion_write(&b, &e, (porch_bytes){jpeg, PORCH_EVENT_THUMBNAIL_MOST}),
                     PORCH_OK);
    assert_true(b.len <= PORCH_EVENT_MOTION_MOST);
    porch_event_motion back;
    assert_int_equal(porch_event_motion_read(porch_buf_bytes(&b), &back, NULL), PORCH_OK);
    assert_int_equal(back.thumbnail.len, PORCH_EVENT_THUMBNAIL_TEXT);
    b.len = 0;
    assert_int_equal(porch_event_motion_write(&b, &e, (porch_bytes){jpeg, sizeof jpeg}), PORCH_ERR_LIMIT);
    assert_int_equal(b.len, 0);
    /* 32,769 bytes have as many base64 characters as 32,768; only the padding tells. */
    const char *head =
        "{\"v\":1,\"id\":\"e\",\"kind\":\"motion\",\"at_ms\":1,\"score\":0,\"box\":[0,0,1,1],\"clip\":true,"
        "\"thumbnail\":\"";
    assert_int_equal(porch_write_text(&b, head), PORCH_OK);
    assert_int_equal(porch_base64_write(&b, (porch_bytes){jpeg, sizeof jpeg}, false), PORCH_OK);
    assert_int_equal(porch_write_text(&b, "\"}"), PORCH_OK);
    assert_int_equal(porch_event_motion_read(porch_buf_bytes(&b), &back, NULL), PORCH_ERR_LIMIT);
}

static void an_event_out_of_range_is_not_written(void **state) {
    (void)state;
    const porch_event_motion bad[] = {
        {.id = {""}},
        {.id = {"E"}},
        {.id = {"e"}, .score_e4 = 10001},
        {.id = {"e"}, .at_ms = PORCH_EVENT_AT_MS_MOST + 1},
        {.id = {"e"}, .box_e4 = {5000, 0, 5001, 0}},
        {.id = {"e"}, .box_e4 = {0, 5000, 0, 5001}},
    };
    uint8_t out[256];
    porch_buf b = PORCH_BUF_OF(out);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_not_equal(porch_event_motion_write(&b, &bad[i], (porch_bytes){NULL, 0}), PORCH_OK);
        assert_int_equal(b.len, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_event_has_the_documented_form_and_is_read_back),
        cmocka_unit_test(an_event_cut_short_is_refused_at_every_length),
        cmocka_unit_test(order_and_blanks_do_not_matter_and_the_thumbnail_may_be_missing),
        cmocka_unit_test(each_wrong_missing_or_doubled_member_is_refused_by_name),
        cmocka_unit_test(numbers_round_to_the_nearest_ten_thousandth),
        cmocka_unit_test(a_side_that_rounding_carried_over_the_border_is_taken_back),
        cmocka_unit_test(every_ten_thousandth_is_written_and_read_back),
        cmocka_unit_test(the_largest_thumbnail_fits_and_one_byte_more_does_not),
        cmocka_unit_test(an_event_out_of_range_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
