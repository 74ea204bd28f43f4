#include "cloud/registry/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud/registry/registry_testing.h"

typedef struct {
    store_lab lab;
    porch_registry *registry;
    porch_why why;
} bench;

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    store_lab_make(&b->lab);
    b->lab.settings.est_claim_tokens = 5;
    b->lab.settings.est_claim_tokens_household = 2;
    if (store_lab_open(&b->lab) != PORCH_OK ||
        porch_registry_open(b->lab.store, &b->lab.settings, &b->registry, &b->why) != PORCH_OK)
        return -1;
    *state = b;
    return porch_registry_household_add(b->registry, "next-door", "Next door", NULL, "operator", NULL,
                                        &b->why) == PORCH_OK
               ? 0
               : -1;
}

static int drop_bench(void **state) {
    bench *b = *state;
    porch_registry_close(b->registry);
    store_lab_close(&b->lab);
    store_lab_remove(&b->lab);
    free(b);
    return 0;
}

static porch_err claim(bench *b, const char *household, const char *who) {
    const porch_registry_claim_spec spec = {.product = "cam", .household = household, .who = who};
    char token[PORCH_REGISTRY_CLAIM_BYTES], device[PORCH_REGISTRY_NAME_BYTES];
    uint64_t ends_ms = 0;
    return porch_registry_claim_make(b->registry, &spec, token, device, &ends_ms, &b->why);
}

static void the_people_of_one_household_use_up_nobody_elses_claim_tokens(void **state) {
    bench *b = *state;
    assert_int_equal(claim(b, "home", "user:Ann"), PORCH_OK);
    assert_int_equal(claim(b, "home", "user:Bob"), PORCH_OK);
    assert_int_equal(claim(b, "home", "user:Ann"), PORCH_ERR_LIMIT);
    assert_non_null(strstr(b->why.text, "est.claim_tokens_household"));
    assert_int_equal(claim(b, "next-door", "user:Cem"), PORCH_OK);
    /* the operator knows what fits */
    assert_int_equal(claim(b, "home", "operator"), PORCH_OK);
    assert_int_equal(claim(b, "home", "operator"), PORCH_OK);
    assert_int_equal(claim(b, "home", "operator"), PORCH_ERR_LIMIT);
    assert_non_null(strstr(b->why.text, "est.claim_tokens allows"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_people_of_one_household_use_up_nobody_elses_claim_tokens,
                                        make_bench, drop_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
