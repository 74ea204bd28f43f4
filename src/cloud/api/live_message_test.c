/* What each listener hears of a message, judged by real policies. */
#include "cloud/api/live_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Everything of d/ and $porchlight/ but `denied` (NULL: nothing is). Free it. */
static const porch_access_policy *policy_without(const char *denied) {
    const char *const filters[] = {"d/#", "$porchlight/#", denied};
    size_t count = denied == NULL ? 2 : 3;
    porch_access_statement all[3] = {{0}};
    for (size_t i = 0; i < count; i++)
        all[i] = (porch_access_statement){.effect = i < 2 ? PORCH_ACCESS_ALLOW : PORCH_ACCESS_DENY,
                                          .actions = PORCH_ACCESS_RECEIVE,
                                          .filter = {.text = porch_bytes_of(filters[i])}};
    const porch_access_policy *policy = NULL;
    size_t bytes = porch_access_policy_bytes(all, count);
    void *block = malloc(bytes);
    assert_non_null(block);
    assert_int_equal(porch_access_policy_build(all, count, block, bytes, &policy), PORCH_OK);
    return policy;
}

typedef struct {
    porch_live_kind kind;
    const char *name, *data, *denied, *heard; /* NULL: nothing */
} row;

#define MOTION    "d/cam/event/motion"
#define PERSON    "$porchlight/device/cam/event/person"
#define OF_BOTH   "{\"n\":1,\"person\":{\"s\":2}}"
#define OF_MOTION "{\"n\":1,\"person\":null}"
#define NEWS      "{\"notification\":{\"s\":2},\"event\":{\"n\":1}}"

static const row ROWS[] = {
    {PORCH_LIVE_MOTION, "motion", OF_BOTH, NULL, OF_BOTH},
    {PORCH_LIVE_MOTION, "motion", OF_BOTH, MOTION, NULL},
    {PORCH_LIVE_MOTION, "motion", OF_BOTH, PERSON, OF_MOTION},
    {PORCH_LIVE_MOTION, "motion", OF_MOTION, PERSON, OF_MOTION},
    {PORCH_LIVE_PASSING, "event", OF_BOTH, PERSON, OF_MOTION},
    {PORCH_LIVE_PASSING, "event", OF_BOTH, "d/cam/state/reported", OF_BOTH},
    {PORCH_LIVE_PASSING, "clip", "{\"n\":1}", MOTION, NULL},
    {PORCH_LIVE_PASSING, "clip", "{\"n\":1}", PERSON, "{\"n\":1}"},
    {PORCH_LIVE_PASSING, "device", "{\"n\":1}", "d/cam/state/reported", NULL},
    {PORCH_LIVE_PASSING, "device", "{\"n\":1}", MOTION, "{\"n\":1}"},
    {PORCH_LIVE_PERSON, "person", NEWS, NULL, NEWS},
    {PORCH_LIVE_PERSON, "person", NEWS, PERSON, NULL},
    {PORCH_LIVE_PERSON, "person", NEWS, MOTION, "{\"notification\":{\"s\":2},\"event\":null}"},
    {PORCH_LIVE_PERSON, "person", NEWS, "d/other/#", NEWS},
};

static void each_part_is_heard_by_who_may_hear_its_topic(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        const row *r = &ROWS[i];
        const porch_access_policy *policy = policy_without(r->denied);
        json_t *data = json_loads(r->data, 0, NULL);
        porch_live_message m;
        assert_true(porch_live_message_make(&m, r->kind, "cam", r->name, 7, data));
        const char *heard = porch_live_message_for(&m, policy);
        if (r->heard == NULL)
            assert_null(heard);
        else
            assert_string_equal(heard, r->heard);
        porch_live_message_free(&m);
        json_decref(data);
        free((void *)(uintptr_t)policy);
    }
}

/* One message to many: the shorter text of one is not what the next one gets. */
static void the_whole_is_still_there_after_a_part_was_given(void **state) {
    (void)state;
    const porch_access_policy *all = policy_without(NULL), *few = policy_without(PERSON);
    json_t *data = json_loads(OF_BOTH, 0, NULL);
    porch_live_message m;
    assert_true(porch_live_message_make(&m, PORCH_LIVE_MOTION, "cam", "motion", 7, data));
    for (int i = 0; i < 2; i++) {
        assert_string_equal(porch_live_message_for(&m, few), OF_MOTION);
        assert_string_equal(porch_live_message_for(&m, all), OF_BOTH);
        assert_null(porch_live_message_for(&m, NULL)); /* no policy can be had: nothing */
    }
    porch_live_message_free(&m);
    json_decref(data);
    free((void *)(uintptr_t)all);
    free((void *)(uintptr_t)few);
}

static void what_is_of_no_device_is_for_everybody_of_the_household(void **state) {
    (void)state;
    json_t *data = json_loads("{\"device\":\"sold\"}", 0, NULL);
    porch_live_message m;
    assert_true(porch_live_message_make(&m, PORCH_LIVE_PASSING, NULL, "released", 0, data));
    assert_string_equal(porch_live_message_for(&m, NULL), "{\"device\":\"sold\"}");
    porch_live_message_free(&m);
    json_decref(data);
    assert_false(porch_live_message_make(&m, PORCH_LIVE_PASSING, NULL, "released", 0, NULL));
    porch_live_message_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_is_heard_by_who_may_hear_its_topic),
        cmocka_unit_test(the_whole_is_still_there_after_a_part_was_given),
        cmocka_unit_test(what_is_of_no_device_is_for_everybody_of_the_household),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
