#include "cloud/courier/courier_ipc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_courier_message one(void) {
    porch_courier_message m = {.number = 5,
                               .timeout_ms = 1000,
                               .url = PORCH_LIT("https://hooks.example/"),
                               .headers_count = 1,
                               .body = PORCH_LIT("{}")};
    m.header_names[0] = PORCH_LIT("webhook-id");
    m.header_values[0] = PORCH_LIT("0123");
    return m;
}

static void what_the_hub_writes_the_courier_reads(void **state) {
    uint8_t block[512];
    porch_buf out = PORCH_BUF_OF(block);
    porch_courier_message in = one(), got;
    (void)state;
    assert_int_equal(porch_courier_message_write(&out, &in), PORCH_OK);
    assert_int_equal(porch_courier_message_read(porch_buf_bytes(&out), &got), PORCH_OK);
    assert_int_equal(got.number, 5);
    assert_int_equal(got.timeout_ms, 1000);
    assert_true(porch_bytes_eq_text(got.url, "https://hooks.example/"));
    assert_int_equal(got.headers_count, 1);
    assert_true(porch_bytes_eq_text(got.header_values[0], "0123"));
    assert_true(porch_bytes_eq_text(got.body, "{}"));
    for (size_t n = 0; n < out.len; n++)
        assert_int_not_equal(porch_courier_message_read((porch_bytes){block, n}, &got), PORCH_OK);
    block[out.len] = 0;
    assert_int_equal(porch_courier_message_read((porch_bytes){block, out.len + 1}, &got),
                     PORCH_ERR_MALFORMED);
}

static void no_text_can_add_a_header_or_break_the_request_line(void **state) {
    static const struct {
        const char *url, *name, *value;
    } rows[] = {{"https://h/\r\nx: y", "a", "b"}, {"https://h/ a", "a", "b"}, {"", "a", "b"},
                {"https://h/", "a:", "b"},        {"https://h/", "a b", "b"}, {"https://h/", "", "b"},
                {"https://h/", "a", "b\r\nc: d"}, {"https://h/", "a", "b\n"}, {"https://h/", "a", "\x7f"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t block[512];
        porch_buf out = PORCH_BUF_OF(block);
        porch_courier_message m = one();
        m.url = porch_bytes_of(rows[i].url);
        m.header_names[0] = porch_bytes_of(rows[i].name);
        m.header_values[0] = porch_bytes_of(rows[i].value);
        assert_int_not_equal(porch_courier_message_write(&out, &m), PORCH_OK);
        assert_int_equal(out.len, 0);
    }
}

static void the_courier_checks_for_itself_what_it_reads(void **state) {
    uint8_t block[512];
    porch_buf out = PORCH_BUF_OF(block);
    porch_courier_message m = one(), got;
    (void)state;
    assert_int_equal(porch_courier_message_write(&out, &m), PORCH_OK);
    uint8_t *value = memmem(block, out.len, "0123", 4);
    assert_non_null(value);
    value[1] = '\n';
    assert_int_equal(porch_courier_message_read(porch_buf_bytes(&out), &got), PORCH_ERR_MALFORMED);
}

static void an_answer_comes_back_as_written_and_is_refused_at_every_cut(void **state) {
    uint8_t block[128];
    porch_buf out = PORCH_BUF_OF(block);
    porch_courier_answer in = {9, PORCH_ERR_DENIED, 0, PORCH_LIT("not public")}, got;
    (void)state;
    assert_int_equal(porch_courier_answer_write(&out, &in), PORCH_OK);
    assert_int_equal(porch_courier_answer_read(porch_buf_bytes(&out), &got), PORCH_OK);
    assert_int_equal(got.error, PORCH_ERR_DENIED);
    assert_true(porch_bytes_eq_text(got.why, "not public"));
    for (size_t n = 0; n < out.len; n++)
        assert_int_not_equal(porch_courier_answer_read((porch_bytes){block, n}, &got), PORCH_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_hub_writes_the_courier_reads),
        cmocka_unit_test(no_text_can_add_a_header_or_break_the_request_line),
        cmocka_unit_test(the_courier_checks_for_itself_what_it_reads),
        cmocka_unit_test(an_answer_comes_back_as_written_and_is_refused_at_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
