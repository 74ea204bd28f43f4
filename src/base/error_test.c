#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_error_has_a_name_a_class_and_a_sentence(void **state) {
    (void)state;
    for (int e = 0; e < PORCH_ERR_COUNT; e++) {
        assert_true(strlen(porch_err_name((porch_err)e)) > 1);
        assert_true(strlen(porch_err_text((porch_err)e)) > 5);
        assert_in_range(porch_err_class_of((porch_err)e), PORCH_CLASS_RETRY, PORCH_CLASS_OURS);
    }
    assert_string_equal(porch_err_name(PORCH_ERR_TRUNCATED), "TRUNCATED");
    assert_string_equal(porch_err_name((porch_err)9999), "UNKNOWN");
}

static void a_reason_is_kept_and_cut_to_its_block(void **state) {
    (void)state;
    porch_why why = {""};
    assert_string_equal(porch_why_text(&why, PORCH_ERR_BUSY), porch_err_text(PORCH_ERR_BUSY));
    assert_int_equal(porch_fail(&why, PORCH_ERR_LIMIT, "%0300d", 7), PORCH_ERR_LIMIT);
    assert_int_equal(strlen(why.text), sizeof why.text - 1);
    assert_int_equal(porch_fail(NULL, PORCH_ERR_IO, "x"), PORCH_ERR_IO);
    assert_string_equal(porch_why_text(NULL, PORCH_ERR_IO), porch_err_text(PORCH_ERR_IO));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_a_class_and_a_sentence),
        cmocka_unit_test(a_reason_is_kept_and_cut_to_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
