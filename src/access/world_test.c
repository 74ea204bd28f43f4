#include "access/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t rows[4096];
static porch_access_document document;
static porch_access_index x;
static porch_access_world world;

static int make(void **state) {
    (void)state;
    static const char text[] = "group all\nmember every device\nallow publish d/${device.id}/#\n"
                               "group cams\nmember product cam\ndeny publish d/+/secret\nallow receive w\n"
                               "group lights\nmember service lights\nallow read metrics\nallow publish "
                               "l/${service.name}\n"
                               "group odd\nmember device odd\ndeny publish h/${household.id}\n";
    porch_arena arena = porch_arena_of(rows, sizeof rows);
    porch_why why = {""};
    if (porch_access_document_parse(PORCH_LIT(text), &arena, &document, NULL, &why) != PORCH_OK)
        fail_msg("%s", why.text);
    if (porch_access_index_make(&document, &arena, &x) != PORCH_OK) return -1;
    return porch_access_world_make(&document, &x, &arena, &world) == PORCH_OK ? 0 : -1;
}

static void judged(const porch_access_principal *who, unsigned action, const char *topic, bool allowed,
                   const char *group) {
    porch_access_verdict v = porch_access_world_judge(&world, who, action, porch_bytes_of(topic));
    assert_int_equal(v.allowed, allowed);
    if (group == NULL)
        assert_null(v.group);
    else
        assert_true(porch_bytes_eq_text(v.group->name, group));
}

static void groups_add_up_and_deny_wins_across_them(void **state) {
    (void)state;
    const porch_access_principal cam = {.kind = PORCH_ACCESS_DEVICE,
                                        .name = PORCH_LIT("c1"),
                                        .product = PORCH_LIT("cam"),
                                        .household = PORCH_LIT("h")};
    const porch_access_principal lights = {.kind = PORCH_ACCESS_SERVICE,
                                           .name = PORCH_LIT("lights"),
                                           .product = {NULL, 0},
                                           .household = {NULL, 0}};
    judged(&cam, PORCH_ACCESS_PUBLISH, "d/c1/x", true, "all");
    judged(&cam, PORCH_ACCESS_PUBLISH, "d/c1/secret", false, "cams");
    judged(&cam, PORCH_ACCESS_PUBLISH, "d/c2/x", false, NULL);
    judged(&cam, PORCH_ACCESS_RECEIVE, "w", true, "cams");
    judged(&lights, PORCH_ACCESS_READ, "metrics", true, "lights");
    judged(&lights, PORCH_ACCESS_PUBLISH, "l/lights", true, "lights");
    judged(&lights, PORCH_ACCESS_PUBLISH, "d/lights/x", false, NULL);
}

static void whom_a_deny_leaves_without_a_meaning_may_nothing(void **state) {
    (void)state;
    const porch_access_principal odd = {.kind = PORCH_ACCESS_DEVICE,
                                        .name = PORCH_LIT("odd"),
                                        .product = PORCH_LIT("cam"),
                                        .household = {NULL, 0}};
    judged(&odd, PORCH_ACCESS_PUBLISH, "d/odd/x", false, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_add_up_and_deny_wins_across_them),
        cmocka_unit_test(whom_a_deny_leaves_without_a_meaning_may_nothing),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
