#include "cloud/grants/grants_denials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static porch_grants_denial row_of(const char *name, unsigned action, const char *topic) {
    porch_grants_denial r = {.kind = PORCH_PRINCIPAL_DEVICE, .action = action, .count = 1};
    (void)snprintf(r.name, sizeof r.name, "%s", name);
    (void)snprintf(r.topic, sizeof r.topic, "%s", topic);
    (void)snprintf(r.decided, sizeof r.decided, "g: deny receive:x/#");
    return r;
}

static bool collect(const porch_grants_denial *row, void *ctx) {
    char *out = ctx;
    size_t n = strlen(out);
    (void)snprintf(out + n, 200 - n, "%s %s %llu;", row->name, row->topic, (unsigned long long)row->count);
    return true;
}

static void like_ones_are_one_row_and_the_newest_stands_first(void **state) {
    (void)state;
    grants_denials *d = porch_grants_denials_new(8);
    uint32_t untold;
    char text[200] = "";
    const porch_grants_denial a = row_of("a", PORCH_ACCESS_PUBLISH, "x/1"),
                              b = row_of("a", PORCH_ACCESS_PUBLISH, "x/2"),
                              r = row_of("a", PORCH_ACCESS_RECEIVE, "x/1"),
                              s = row_of("a", PORCH_ACCESS_RECEIVE, "x/2");
    assert_true(porch_grants_denials_add(d, &a, 1, &untold));
    assert_true(porch_grants_denials_add(d, &b, 2, &untold));
    assert_true(porch_grants_denials_add(d, &a, 3, &untold));
    assert_true(porch_grants_denials_add(d, &r, 4, &untold)); /* deliveries: by statement */
    assert_true(porch_grants_denials_add(d, &s, 5, &untold));
    porch_grants_denials_visit(d, collect, text);
    assert_string_equal(text, "a x/2 2;a x/1 2;a x/2 1;");
    porch_grants_denials_free(d);
}

static void a_flood_is_counted_whole_and_told_in_part(void **state) {
    (void)state;
    grants_denials *d = porch_grants_denials_new(4);
    const porch_grants_denial a = row_of("a", PORCH_ACCESS_PUBLISH, "x");
    uint32_t untold, told = 0, missing = 0;
    char text[200] = "";
    for (unsigned i = 0; i < 1000; i++) {
        if (!porch_grants_denials_add(d, &a, 1000 + i, &untold)) continue;
        told++;
        missing += untold;
    }
    assert_int_equal(told, 8);
    assert_true(porch_grants_denials_add(d, &a, 60000, &untold));
    assert_int_equal(told + missing + untold + 1, 1001); /* none is lost */
    porch_grants_denials_visit(d, collect, text);
    assert_string_equal(text, "a x 1001;");
    porch_grants_denials_free(d);
}

static void the_row_that_was_quiet_longest_gives_way(void **state) {
    (void)state;
    grants_denials *d = porch_grants_denials_new(2);
    uint32_t untold;
    char text[200] = "";
    const char *topics[] = {"1", "2", "1", "3", "2"};
    for (unsigned i = 0; i < 5; i++) {
        porch_grants_denial r = row_of("a", PORCH_ACCESS_PUBLISH, topics[i]);
        assert_true(porch_grants_denials_add(d, &r, i, &untold));
    }
    porch_grants_denials_visit(d, collect, text);
    assert_string_equal(text, "a 2 1;a 3 1;");
    porch_grants_denials_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_ones_are_one_row_and_the_newest_stands_first),
        cmocka_unit_test(a_flood_is_counted_whole_and_told_in_part),
        cmocka_unit_test(the_row_that_was_quiet_longest_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
