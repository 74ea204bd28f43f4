#include "wire/twin_doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static porch_err read(const char *text, porch_twin_doc *ret) {
    porch_why why = {""};
    porch_err e = porch_twin_doc_read(porch_bytes_of(text), ret, &why);
    assert_true(e == PORCH_OK || why.text[0] != '\0');
    return e;
}

static void what_was_written_is_read_back(void **state) {
    (void)state;
    static const int32_t zones[] = {1000, 2000, 3000, -4};
    uint8_t block[512];
    porch_buf b = PORCH_BUF_OF(block);
    porch_twin_doc d;
    porch_twin_doc_member m;
    assert_int_equal(porch_twin_doc_open(&b, 7), PORCH_OK);
    assert_int_equal(porch_twin_doc_bool(&b, "privacy", true), PORCH_OK);
    assert_int_equal(porch_twin_doc_list(&b, "ignore", zones, 4), PORCH_OK);
    assert_int_equal(porch_twin_doc_list(&b, "none", NULL, 0), PORCH_OK);
    assert_int_equal(porch_twin_doc_text(&b, "capture", PORCH_LIT("{stopped")), PORCH_OK);
    assert_int_equal(porch_twin_doc_number(&b, "temperature", -5), PORCH_OK);
    assert_int_equal(porch_twin_doc_close(&b), PORCH_OK);
    assert_true(porch_bytes_eq_text(
        porch_buf_bytes(&b),
        "{\"v\":1,\"version\":7,\"state\":{\"privacy\":true,\"ignore\":[1000,2000,3000,-4],"
        "\"none\":[],\"capture\":\"{stopped\",\"temperature\":-5}}"));
    assert_int_equal(porch_twin_doc_read(porch_buf_bytes(&b), &d, NULL), PORCH_OK);
    assert_int_equal(d.version, 7);
    assert_true(porch_twin_doc_find(d.state, "privacy", &m) && m.kind == PORCH_TWIN_DOC_BOOL && m.on);
    assert_true(porch_twin_doc_find(d.state, "capture", &m) && porch_bytes_eq_text(m.text, "{stopped"));
    assert_true(porch_twin_doc_find(d.state, "temperature", &m) && m.number == -5);
    assert_true(porch_twin_doc_find(d.state, "none", &m) && m.kind == PORCH_TWIN_DOC_LIST && m.count == 0);
    assert_false(porch_twin_doc_find(d.state, "priv", &m));
    assert_true(porch_twin_doc_find(d.state, "ignore", &m) && m.count == 4);
    for (size_t i = 0; i < 4; i++) {
        int64_t n;
        assert_true(porch_twin_doc_list_next(&m.list, &n));
        assert_int_equal(n, zones[i]);
    }
    int64_t n;
    assert_false(porch_twin_doc_list_next(&m.list, &n));
}

static void blanks_and_any_order_are_fine(void **state) {
    (void)state;
    porch_twin_doc d;
    porch_twin_doc_member m;
    assert_int_equal(
        read(" { \"state\" : { \"a\" : [ 1 , 2 ] ,\"b\":false }\n,\t\"version\":0, \"v\" : 1 } ", &d),
        PORCH_OK);
    assert_int_equal(d.version, 0);
    assert_true(porch_twin_doc_find(d.state, "b", &m) && !m.on);
    assert_true(porch_twin_doc_find(d.state, "a", &m) && m.count == 2);
    assert_int_equal(read("{\"v\":1,\"version\":9007199254740991,\"state\":{}}", &d), PORCH_OK);
}

static void what_is_not_of_the_form_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"v\":1,\"version\":1}",
        "{\"v\":1,\"state\":{}}",
        "{\"version\":1,\"state\":{}}",
        "{\"v\":2,\"version\":1,\"state\":{}}",
        "{\"v\":1,\"version\":-1,\"state\":{}}",
        "{\"v\":1,\"version\":01,\"state\":{}}",
        "{\"v\":1,\"version\":1.0,\"state\":{}}",
        "{\"v\":1,\"version\":9007199254740992,\"state\":{}}",
        "{\"v\":1,\"v\":1,\"version\":1,\"state\":{}}",
        "{\"v\":1,\"version\":1,\"state\":{},\"state\":{}}",
        "{\"v\":1,\"version\":1,\"state\":{},\"more\":1}",
        "{\"v\":1,\"version\":1,\"state\":{}}x",
        "{\"v\":1,\"version\":1,\"state\":{},}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":null}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":{}}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":1.5}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":1,\"a\":2}}",
        "{\"v\":1,\"version\":1,\"state\":{\"A\":1}}",
        "{\"v\":1,\"version\":1,\"state\":{\"\":1}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":\"x\\n\"}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":\"\xc0\x80\"}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":[1,]}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":[true]}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":-0}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":tru}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\":[[1]]}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a\" 1}}",
        "{\"v\":1,\"version\":1,\"state\":{\"a23456789012345678901234567890123\":1}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        porch_twin_doc d = {.version = 99};
        if (read(bad[i], &d) == PORCH_OK) fail_msg("taken: %s", bad[i]);
        assert_int_equal(d.version, 99);
    }
    static const char zero[] = "{\"v\":1,\"version\":1,\"state\":{}}";
    porch_twin_doc d;
    assert_int_not_equal(porch_twin_doc_read((porch_bytes){(const uint8_t *)zero, sizeof zero}, &d, NULL),
                         PORCH_OK);
}

static void a_document_cut_short_is_refused_at_every_length(void **state) {
    (void)state;
    static const char whole[] = "{\"v\":1,\"version\":12,\"state\":{\"a\":[1,2],\"b\":\"x\",\"c\":true}}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        porch_twin_doc d;
        assert_int_not_equal(porch_twin_doc_read((porch_bytes){(const uint8_t *)whole, n}, &d, NULL),
                             PORCH_OK);
    }
}

static void limits_hold(void **state) {
    (void)state;
    static uint8_t block[16384];
    static int32_t numbers[PORCH_TWIN_NUMBERS_MOST + 1];
    static char text[PORCH_TWIN_TEXT_MOST + 1];
    porch_twin_doc d;
    for (size_t members = PORCH_TWIN_MEMBERS_MOST; members <= PORCH_TWIN_MEMBERS_MOST + 1; members++) {
        porch_buf b = PORCH_BUF_OF(block);
        assert_int_equal(porch_twin_doc_open(&b, 1), PORCH_OK);
        for (size_t i = 0; i < members; i++) {
            char name[8];
            (void)snprintf(name, sizeof name, "m%zu", i);
            assert_int_equal(porch_twin_doc_bool(&b, name, true), PORCH_OK);
        }
        assert_int_equal(porch_twin_doc_close(&b), PORCH_OK);
        assert_int_equal(porch_twin_doc_read(porch_buf_bytes(&b), &d, NULL),
                         members > PORCH_TWIN_MEMBERS_MOST ? PORCH_ERR_LIMIT : PORCH_OK);
    }
    porch_buf b = PORCH_BUF_OF(block);
    memset(text, 'x', sizeof text);
    assert_int_equal(porch_twin_doc_list(&b, "a", numbers, PORCH_TWIN_NUMBERS_MOST + 1), PORCH_ERR_USAGE);
    assert_int_equal(porch_twin_doc_text(&b, "a", (porch_bytes){(uint8_t *)text, sizeof text}),
                     PORCH_ERR_USAGE);
    assert_int_equal(porch_twin_doc_text(&b, "a", PORCH_LIT("\"")), PORCH_ERR_USAGE);
    assert_int_equal(porch_twin_doc_number(&b, "a", INT64_MIN), PORCH_ERR_USAGE);
    assert_int_equal(porch_twin_doc_bool(&b, "Name", true), PORCH_ERR_USAGE);
    assert_int_equal(b.len, 0);
    static char big[PORCH_TWIN_DOC_MOST + 64];
    (void)snprintf(big, sizeof big, "{\"v\":1,\"version\":1,\"state\":{}}%*s", (int)PORCH_TWIN_DOC_MOST,
                   "");
    assert_int_equal(read(big, &d), PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(blanks_and_any_order_are_fine),
        cmocka_unit_test(what_is_not_of_the_form_is_refused),
        cmocka_unit_test(a_document_cut_short_is_refused_at_every_length),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
