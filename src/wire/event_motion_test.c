#include "wire/event_motion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLE                                                                                           \
    "{\"v\":1,\"id\":\"e-1\",\"kind\":\"motion\",\"at_ms\":1790000000123,\"score\":0.42,\"box\":[0.1,0." \
    "25,0.3,0.5],"                                                                                       \
    "\"clip\":true,\"thumbnail\":\"/9j/\"}"

static porch_err read_event(const char *text, porch_event_motion *ret) {
    porch_why why = {""};
    return porch_event_motion_read(porch_bytes_of(text), ret, &why);
}

static void the_sample_of_the_schema_is_read_and_written_back_to_the_letter(void **state) {
    (void)state;
    porch_event_motion e;
    uint8_t block[256];
    porch_buf out = PORCH_BUF_OF(block);
    assert_int_equal(read_event(SAMPLE, &e), PORCH_OK);
    assert_string_equal(e.id.text, "e-1");
    assert_true(e.at_ms == 1790000000123u && e.score_e4 == 4200 && e.clip);
    assert_true(e.box_e4[0] == 1000 && e.box_e4[1] == 2500 && e.box_e4[2] == 3000 && e.box_e4[3] == 5000);
    assert_true(porch_bytes_eq_text(e.thumbnail, "/9j/"));
    assert_int_equal(porch_event_motion_write(&out, &e, PORCH_LIT("\xff\xd8\xff")), PORCH_OK);
    assert_true(porch_bytes_eq_text(porch_buf_bytes(&out), SAMPLE));
}

static void an_event_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    porch_event_motion e = {.at_ms = 7};
    for (size_t cut = 0; cut < sizeof SAMPLE - 1; cut++) {
        assert_int_equal(porch_event_motion_read((porch_bytes){(const uint8_t *)SAMPLE, cut}, &e, NULL),
                         PORCH_ERR_MALFORMED);
        assert_true(e.at_ms == 7);
    }
}

/* The sample without thumbnail, one member replaced. */
typedef struct {
    const char *v, *id, *kind, *at_ms, *score, *box, *clip;
    porch_err expected;
} shape;

static void each_member_is_held_to_its_rule(void **state) {
    (void)state;
    static const shape rows[] = {
        {"1", "\"e\"", "\"motion\"", "0", "0", "[0,0,1,1]", "false", PORCH_OK},
        {"1", "\"e\"", "\"motion\"", "9007199254740991", "1.000", "[1e-1,5E-5,0.9,1e-9]", "false",
         PORCH_OK},
        {"2", "\"e\"", "\"motion\"", "0", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"E\"", "\"motion\"", "0", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"\"", "\"motion\"", "0", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "7", "\"motion\"", "0", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"smoke\"", "0", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"mo\\u0074ion\"", "0", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "-1", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "9007199254740992", "0", "[0,0,1,1]", "false", PORCH_ERR_LIMIT},
        {"1", "\"e\"", "\"motion\"", "1.5", "0", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", "1.1", "[0,0,1,1]", "false", PORCH_ERR_LIMIT},
        {"1", "\"e\"", "\"motion\"", "0", "1e5", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", "0.", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", ".5", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", "NaN", "[0,0,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", "0", "[0,0,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", "0", "[0,0,1,1,1]", "false", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", "0", "[0.5,0,0.6,1]", "false", PORCH_ERR_LIMIT},
        {"1", "\"e\"", "\"motion\"", "0", "0", "[0,0.5,1,0.6]", "false", PORCH_ERR_LIMIT},
        {"1", "\"e\"", "\"motion\"", "0", "0", "[0,0,1,1]", "1", PORCH_ERR_MALFORMED},
        {"1", "\"e\"", "\"motion\"", "0", "0", "[0,0,1,1]", "truer", PORCH_ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const shape *s = &rows[i];
        char text[400];
        porch_event_motion e;
        (void)snprintf(
            text, sizeof text,
            " {\"box\" : %s ,\n\"v\":%s,\"id\":%s,\"kind\":%s,\"at_ms\":%s,\"score\":%s,\"clip\":%s}\t",
            s->box, s->v, s->id, s->kind, s->at_ms, s->score, s->clip);
        if (read_event(text, &e) != s->expected) fail_msg("row %zu: %s", i, text);
    }
}

static void missing_doubled_and_unknown_members_are_refused(void **state) {
    (void)state;
#define REST "\"kind\":\"motion\",\"at_ms\":1,\"score\":0,\"box\":[0,0,1,1],\"clip\":true"
    porch_event_motion e;
    assert_int_equal(read_event("{\"v\":1,\"id\":\"e\"," REST "}", &e), PORCH_OK);
    assert_int_equal(read_event("{\"v\":1," REST "}", &e), PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("{\"v\":1,\"v\":1,\"id\":\"e\"," REST "}", &e), PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("{\"v\":1,\"id\":\"e\",\"x\":1," REST "}", &e), PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("{\"v\":1,\"id\":\"e\"," REST ",}", &e), PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("{\"v\":1,\"id\":\"e\"," REST "}x", &e), PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("{\"v\":1,\"id\":\"e\"," REST ",\"thumbnail\":\"a\"}", &e),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("{\"v\":1,\"id\":\"e\"," REST ",\"thumbnail\":\"====\"}", &e),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("{}", &e), PORCH_ERR_MALFORMED);
    assert_int_equal(read_event("[]", &e), PORCH_ERR_MALFORMED);
}

static void a_thumbnail_of_exactly_the_limit_passes_and_one_more_byte_does_not(void **state) {
    (void)state;
    static uint8_t jpeg[PORCH_EVENT_THUMBNAIL_MOST + 1], block[PORCH_EVENT_MOTION_MOST + 100];
    porch_event_motion e = {.at_ms = PORCH_EVENT_AT_MS_MOST,
                            .score_e4 = 1234,
                            .box_e4 = {1111, 1111, 1111, 1111}},
                       back;
    assert_int_equal(
        porch_id_parse(PORCH_LIT("0123456789012345678901234567890123456789012345678901234567890123"),
                       &e.id),
        PORCH_OK);
    porch_buf out = {block, 0, PORCH_EVENT_MOTION_MOST};
    assert_int_equal(porch_event_motion_write(&out, &e, (porch_bytes){jpeg, PORCH_EVENT_THUMBNAIL_MOST}),
                     PORCH_OK);
    assert_int_equal(porch_event_motion_read(porch_buf_bytes(&out), &back, NULL), PORCH_OK);
    assert_int_equal(back.thumbnail.len, PORCH_EVENT_THUMBNAIL_TEXT);
    out.len = 0;
    assert_int_equal(porch_event_motion_write(&out, &e, (porch_bytes){jpeg, sizeof jpeg}), PORCH_ERR_LIMIT);
    out.cap = 100;
    assert_int_equal(porch_event_motion_write(&out, &e, (porch_bytes){jpeg, 100}), PORCH_ERR_NO_SPACE);
    assert_int_equal(out.len, 0);
}

static void every_ten_thousandth_survives_the_way_through_text(void **state) {
    (void)state;
    uint8_t block[256];
    for (uint16_t v = 0; v <= PORCH_EVENT_ONE; v++) {
        porch_event_motion e = {.at_ms = 1, .score_e4 = v}, back;
        assert_int_equal(porch_id_parse(PORCH_LIT("e"), &e.id), PORCH_OK);
        porch_buf out = PORCH_BUF_OF(block);
        assert_int_equal(porch_event_motion_write(&out, &e, (porch_bytes){NULL, 0}), PORCH_OK);
        assert_int_equal(porch_event_motion_read(porch_buf_bytes(&out), &back, NULL), PORCH_OK);
        assert_int_equal(back.score_e4, v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_of_the_schema_is_read_and_written_back_to_the_letter),
        cmocka_unit_test(an_event_cut_short_is_refused_at_every_length),
        cmocka_unit_test(each_member_is_held_to_its_rule),
        cmocka_unit_test(missing_doubled_and_unknown_members_are_refused),
        cmocka_unit_test(a_thumbnail_of_exactly_the_limit_passes_and_one_more_byte_does_not),
        cmocka_unit_test(every_ten_thousandth_survives_the_way_through_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
