#include "cli/cli_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static porch_err read(const char *line, porch_cli_reply *reply, porch_why *why) {
    why->text[0] = '\0';
    return porch_cli_reply_read(porch_bytes_of(line), reply, why);
}

static void a_good_answer_gives_its_result(void **state) {
    porch_cli_reply r;
    porch_why why;
    (void)state;
    assert_int_equal(read("{\"ok\":true,\"result\":{\"url\":\"https://x\"}}", &r, &why), PORCH_OK);
    assert_false(r.is_progress);
    assert_string_equal(porch_cli_member(r.result, "url"), "https://x");
    json_decref(r.result);
}

static void a_refusal_comes_back_as_its_error_and_sentence(void **state) {
    porch_cli_reply r;
    porch_why why;
    (void)state;
    assert_int_equal(
        read("{\"ok\":false,\"error\":\"NOT_FOUND\",\"message\":\"there is no such device\"}", &r, &why),
        PORCH_ERR_NOT_FOUND);
    assert_string_equal(why.text, "there is no such device");
    assert_int_equal(read("{\"ok\":false,\"error\":\"EXISTS\"}", &r, &why), PORCH_ERR_EXISTS);
    assert_true(why.text[0] != '\0');
    assert_int_equal(read("{\"ok\":false,\"error\":\"NEW_ERROR\",\"message\":\"m\"}", &r, &why),
                     PORCH_ERR_INTERNAL);
}

static void progress_is_kept_between_nothing_and_all(void **state) {
    porch_cli_reply r;
    porch_why why;
    (void)state;
    assert_int_equal(read("{\"progress\":0.4,\"text\":\"copying\"}", &r, &why), PORCH_OK);
    assert_true(r.is_progress);
    assert_true(r.done > 0.39 && r.done < 0.41);
    assert_string_equal(r.text, "copying");
    assert_int_equal(read("{\"progress\":7}", &r, &why), PORCH_OK);
    assert_true(r.done >= 1 && r.done <= 1);
}

static void anything_else_is_refused(void **state) {
    static const char *const bad[] = {"",
                                      "x",
                                      "[]",
                                      "{}",
                                      "{\"ok\":1}",
                                      "{\"ok\":true}",
                                      "{\"ok\":true,\"result\":3}",
                                      "{\"ok\":false}",
                                      "{\"ok\":true,\"ok\":true,\"result\":{}}",
                                      "{\"progress\":\"much\"}",
                                      "{\"ok\":true,\"result\":{}} x",
                                      "{\"ok\":true,\"result\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        porch_cli_reply r;
        porch_why why;
        assert_int_equal(read(bad[i], &r, &why), PORCH_ERR_MALFORMED);
        assert_true(why.text[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_gives_its_result),
        cmocka_unit_test(a_refusal_comes_back_as_its_error_and_sentence),
        cmocka_unit_test(progress_is_kept_between_nothing_and_all),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
