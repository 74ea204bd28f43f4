#include "cloud/api/api_range.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct {
    const char *header;
    uint64_t bytes;
    porch_range_kind kind;
    uint64_t first, last;
} row;

static void each_form_of_range_gives_what_the_standard_says(void **state) {
    (void)state;
    static const row rows[] = {
        {NULL, 100, PORCH_RANGE_WHOLE, 0, 0},
        {"bytes=0-0", 100, PORCH_RANGE_PART, 0, 0},
        {"bytes=0-", 100, PORCH_RANGE_PART, 0, 99},
        {"Bytes=10-19", 100, PORCH_RANGE_PART, 10, 19},
        {"bytes=10-1000", 100, PORCH_RANGE_PART, 10, 99},
        {"bytes=99-", 100, PORCH_RANGE_PART, 99, 99},
        {"bytes=100-", 100, PORCH_RANGE_NONE, 0, 0},
        {"bytes=-5", 100, PORCH_RANGE_PART, 95, 99},
        {"bytes=-500", 100, PORCH_RANGE_PART, 0, 99},
        {"bytes=-0", 100, PORCH_RANGE_NONE, 0, 0},
        {"bytes=0-", 0, PORCH_RANGE_NONE, 0, 0},
        {"bytes=-5", 0, PORCH_RANGE_NONE, 0, 0},
        {"bytes=007-008", 100, PORCH_RANGE_PART, 7, 8},
        {"bytes=0-99999999999999999999999999", 100, PORCH_RANGE_PART, 0, 99},
        {"bytes=99999999999999999999999999-", 100, PORCH_RANGE_NONE, 0, 0},
        {"bytes=5-4", 100, PORCH_RANGE_WHOLE, 0, 0},
        {"bytes=0-1,5-6", 100, PORCH_RANGE_WHOLE, 0, 0},
        {"bytes=a-b", 100, PORCH_RANGE_WHOLE, 0, 0},
        {"bytes=-", 100, PORCH_RANGE_WHOLE, 0, 0},
        {"bytes=", 100, PORCH_RANGE_WHOLE, 0, 0},
        {"bytes= 1-2", 100, PORCH_RANGE_WHOLE, 0, 0},
        {"items=0-1", 100, PORCH_RANGE_WHOLE, 0, 0},
        {"", 100, PORCH_RANGE_WHOLE, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t first = 0, last = 0;
        porch_bytes header =
            rows[i].header == NULL ? (porch_bytes){NULL, 0} : porch_bytes_of(rows[i].header);
        porch_range_kind kind = porch_range_read(header, rows[i].bytes, &first, &last);
        if (kind != rows[i].kind || first != rows[i].first || last != rows[i].last)
            fail_msg("'%s' of %llu", rows[i].header, (unsigned long long)rows[i].bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_of_range_gives_what_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
