#include "access/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t rows[2048];

static porch_access_document document;
static porch_access_index x;

static int make(void **state) {
    (void)state;
    static const char text[] = "group all\nmember every device\ngroup cams\nmember product cam\n"
                               "group home\nmember household home\nmember device d1\n"
                               "group lights\nmember service lights\n"
                               "group out\nmember tag outdoor\nmember tag garden\n"
                               "tag outdoor\ndevice d1\ndevice d2\ntag garden\ndevice d2\n";
    porch_arena arena = porch_arena_of(rows, sizeof rows);
    porch_why why = {""};
    if (porch_access_document_parse(PORCH_LIT(text), &arena, &document, NULL, &why) != PORCH_OK)
        fail_msg("%s", why.text);
    return porch_access_index_make(&document, &arena, &x) == PORCH_OK ? 0 : -1;
}

static void holds(porch_access_principal who, unsigned expected) {
    uint32_t groups[8];
    unsigned found = 0;
    size_t n = porch_access_index_groups(&x, &who, groups);
    for (size_t i = 0; i < n; i++)
        found |= 1u << groups[i];
    assert_int_equal(found, expected);
    unsigned one_by_one = 0;
    for (size_t i = 0; i < document.group_count; i++)
        for (size_t k = 0; k < document.groups[i].member_count; k++)
            if (porch_access_index_holds(&x, &document.groups[i].members[k], &who)) one_by_one |= 1u << i;
    assert_int_equal(one_by_one, expected);
}

static void a_principal_is_found_in_its_groups_and_in_no_other(void **state) {
    (void)state; /* all 1, cams 2, home 4, lights 8, out 16 */
    const porch_bytes none = {NULL, 0};
    holds((porch_access_principal){.kind = PORCH_ACCESS_DEVICE,
                                   .name = PORCH_LIT("d0"),
                                   .product = PORCH_LIT("x"),
                                   .household = PORCH_LIT("y")},
          1);
    holds((porch_access_principal){.kind = PORCH_ACCESS_DEVICE,
                                   .name = PORCH_LIT("d0"),
                                   .product = PORCH_LIT("cam"),
                                   .household = PORCH_LIT("home")},
          7);
    holds((porch_access_principal){.kind = PORCH_ACCESS_DEVICE,
                                   .name = PORCH_LIT("d1"),
                                   .product = PORCH_LIT("x"),
                                   .household = PORCH_LIT("y")},
          21);
    holds((porch_access_principal){.kind = PORCH_ACCESS_DEVICE,
                                   .name = PORCH_LIT("d2"),
                                   .product = PORCH_LIT("cam"),
                                   .household = none},
          19);
    holds(
        (porch_access_principal){
            .kind = PORCH_ACCESS_SERVICE, .name = PORCH_LIT("lights"), .product = none, .household = none},
        8);
    holds(
        (porch_access_principal){
            .kind = PORCH_ACCESS_DEVICE, .name = PORCH_LIT("lights"), .product = none, .household = none},
        1);
    holds((porch_access_principal){.kind = PORCH_ACCESS_SERVICE,
                                   .name = PORCH_LIT("d1"),
                                   .product = PORCH_LIT("cam"),
                                   .household = PORCH_LIT("home")},
          0);
}

static void too_little_memory_is_an_error(void **state) {
    (void)state;
    uint64_t few[4];
    porch_arena arena = porch_arena_of(few, sizeof few);
    porch_access_index y;
    assert_int_equal(porch_access_index_make(&document, &arena, &y), PORCH_ERR_NO_SPACE);
}

static void people_are_found_by_name_role_and_household(void **state) {
    (void)state;
    static uint64_t more[2048];
    static const char text[] = "group a\nmember every person\ngroup b\nmember every adult\n"
                               "group c\nmember people h\ngroup d\nmember people h adult\n"
                               "group e\nmember person anna\ngroup f\nmember every device\n"
                               "member household h\nmember service anna\nmember device anna\n";
    porch_arena arena = porch_arena_of(more, sizeof more);
    porch_why why = {""};
    assert_int_equal(porch_access_document_parse(PORCH_LIT(text), &arena, &document, NULL, &why), PORCH_OK);
    assert_int_equal(porch_access_index_make(&document, &arena, &x), PORCH_OK);
    porch_access_principal who = {.kind = PORCH_ACCESS_PERSON,
                                  .name = PORCH_LIT("anna"),
                                  .household = PORCH_LIT("h"),
                                  .role = PORCH_ROLE_ADULT};
    holds(who, 31);
    who.role = PORCH_ROLE_CHILD;
    holds(who, 21);
    who.household = PORCH_LIT("other");
    holds(who, 17);
    who.name = PORCH_LIT("bob");
    holds(who, 1);
    who.role = PORCH_ROLE_ADULT;
    holds(who, 3);
    who.role = 0; /* of no role that is known */
    holds(who, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_principal_is_found_in_its_groups_and_in_no_other),
        cmocka_unit_test(too_little_memory_is_an_error),
        cmocka_unit_test(people_are_found_by_name_role_and_household),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
