/* What each role sees, judged by real policies; the rooms around are played. */
#include "cloud/api/api_sight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/policy.h"
#include "cloud/grants/grants.h"

/* ---- what is played: a policy of the statements that a test names, for one device ---- */

static const char *allowed[4], *denied[4];
static unsigned held, refused;
static bool no_policy;

static size_t add(porch_access_statement *out, size_t count, porch_access_effect effect,
                  const char *const *filters) {
    for (size_t i = 0; i < 4 && filters[i] != NULL; i++) {
        out[count].effect = effect;
        out[count].actions = PORCH_ACCESS_RECEIVE;
        out[count].filter = (porch_topic_filter){.text = porch_bytes_of(filters[i])};
        out[count++].tag = 0;
    }
    return count;
}

const porch_access_policy *porch_grants_policy_about(porch_grants *g, const porch_registry_entry *entry,
                                                     const char *device) {
    porch_access_statement all[8];
    const porch_access_policy *policy = NULL;
    (void)g;
    (void)device;
    assert_int_equal(entry->kind, PORCH_PRINCIPAL_PERSON);
    assert_string_equal(entry->name, "kim@example.org"); /* as the policy writes it */
    if (no_policy) return NULL;
    size_t count = add(all, add(all, 0, PORCH_ACCESS_ALLOW, allowed), PORCH_ACCESS_DENY, denied);
    size_t bytes = porch_access_policy_bytes(all, count);
    void *block = malloc(bytes);
    assert_non_null(block);
    assert_int_equal(porch_access_policy_build(all, count, block, bytes, &policy), PORCH_OK);
    held++;
    return policy;
}

void porch_grants_policy_release(const porch_access_policy *p) {
    assert_non_null(p);
    held--;
    free((void *)(uintptr_t)p);
}

bool porch_grants_denied(porch_grants *g, const porch_registry_entry *who,
                         const porch_access_policy *policy, porch_access_decision decision, unsigned action,
                         porch_bytes topic, uint32_t times, porch_why *why) {
    (void)g;
    assert_non_null(policy);
    assert_false(decision.allowed);
    assert_int_equal(action, PORCH_ACCESS_RECEIVE);
    assert_int_equal(times, 1);
    refused++;
    (void)porch_fail(why, PORCH_ERR_DENIED, "%s: %.*s", who->name, PORCH_FMT(topic));
    return refused == 1; /* the like of it was shortly before */
}

porch_err porch_media_devices(porch_media *m, const char *household, porch_id **ret, size_t *count,
                              porch_why *why) {
    static const char *const ids[] = {"attic", "cam", "nursery"};
    (void)m;
    (void)why;
    assert_string_equal(household, "home");
    *ret = calloc(3, sizeof **ret);
    for (*count = 0; *count < 3; ++*count)
        assert_int_equal(porch_id_parse(porch_bytes_of(ids[*count]), *ret + *count), PORCH_OK);
    return PORCH_OK;
}

static const porch_person KIM = {.name = "Kim@Example.org", .role = PORCH_ROLE_CHILD, .household = "home"};
static const porch_api API;

static int reset(void **state) {
    (void)state;
    memset(allowed, 0, sizeof allowed);
    memset(denied, 0, sizeof denied);
    allowed[0] = "d/+/event/#";
    allowed[1] = "$porchlight/device/+/event/#";
    refused = 0;
    no_policy = false;
    return 0;
}

static int check(void **state) {
    (void)state;
    return held == 0 ? 0 : -1;
}

/* ---- tests ---- */

static void each_part_is_judged_under_the_topic_that_it_came_by(void **state) {
    (void)state;
    porch_why why = {{0}};
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_ALL, &why), PORCH_SEES_ALL);
    assert_int_equal(refused, 0);
    denied[0] = "d/cam/event/motion";
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_ALL, &why), PORCH_SEES_PERSON);
    assert_string_equal(why.text, "kim@example.org: d/cam/event/motion");
    assert_int_equal(porch_sight_of(&API, &KIM, "attic", PORCH_SEES_ALL, &why), PORCH_SEES_ALL);
    denied[0] = "$porchlight/device/cam/#";
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_ALL, NULL), PORCH_SEES_EVENT);
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_EVENT, NULL), PORCH_SEES_EVENT);
    denied[1] = "d/#";
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_ALL, NULL), 0);
}

static void a_device_is_seen_of_which_anything_may_be_heard(void **state) {
    (void)state;
    static const char *const topics[] = {"d/cam/event/motion", "$porchlight/device/cam/event/person",
                                         "d/cam/state/reported"};
    porch_why why = {{0}};
    for (size_t i = 0; i < 3; i++) {
        memset(allowed, 0, sizeof allowed);
        allowed[0] = topics[i];
        assert_true(porch_sight_any(&API, &KIM, "cam", &why));
        assert_int_equal(refused, 0); /* what is not asked for is not denied */
        assert_int_equal(porch_sight_of(&API, &KIM, "cam", 7, NULL), 1u << i);
        refused = 0;
    }
    denied[0] = "d/cam/#";
    assert_false(porch_sight_any(&API, &KIM, "cam", &why));
    assert_int_equal(refused, 1);
    assert_string_equal(why.text, "kim@example.org: d/cam/state/reported");
    memset(allowed, 0, sizeof allowed);
    assert_false(porch_sight_any(&API, &KIM, "attic", NULL));
    no_policy = true;
    assert_false(porch_sight_any(&API, &KIM, "cam", NULL));
}

static void silence_and_a_policy_that_cannot_be_had_are_no(void **state) {
    (void)state;
    allowed[0] = allowed[1] = NULL;
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_ALL, NULL), 0);
    assert_int_equal(refused, 2);
    reset(NULL);
    no_policy = true;
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_ALL, NULL), 0);
}

static void only_what_is_worth_a_line_in_the_log_says_why(void **state) {
    (void)state;
    porch_why why = {{0}};
    denied[0] = "#";
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_EVENT, &why), 0);
    assert_true(why.text[0] != '\0');
    why.text[0] = '\0';
    assert_int_equal(porch_sight_of(&API, &KIM, "cam", PORCH_SEES_EVENT, &why), 0);
    assert_true(why.text[0] == '\0');
    assert_int_equal(refused, 2); /* counted all the same */
}

static void a_list_holds_the_devices_that_may_be_seen(void **state) {
    (void)state;
    porch_sights s;
    assert_int_equal(porch_sights_open(&API, &KIM, false, &s, NULL), PORCH_OK);
    assert_true(s.all && s.whole);
    assert_int_equal(s.count, 3);
    porch_sights_free(&s);
    denied[0] = "d/nursery/#";
    denied[1] = "$porchlight/device/attic/#";
    assert_int_equal(porch_sights_open(&API, &KIM, false, &s, NULL), PORCH_OK);
    assert_false(s.all || s.whole);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.devices[0].text, "attic");
    assert_string_equal(s.devices[1].text, "cam");
    assert_int_equal(porch_sights_of(&s, "attic"), PORCH_SEES_EVENT);
    assert_int_equal(porch_sights_of(&s, "cam"), PORCH_SEES_ALL);
    assert_int_equal(porch_sights_of(&s, "came-since"), PORCH_SEES_ALL);
    porch_sights_free(&s);
    assert_int_equal(porch_sights_open(&API, &KIM, true, &s, NULL), PORCH_OK); /* events with persons */
    assert_int_equal(s.count, 1);
    assert_string_equal(s.devices[0].text, "cam");
    assert_true(s.whole && !s.all);
    porch_sights_free(&s);
}

static void what_is_trimmed_is_gone_in_every_form(void **state) {
    (void)state;
    porch_media_event event = {.has_person = true, .has_picture = true, .has_thumbnail = true};
    porch_sight_trim(PORCH_SEES_ALL, &event);
    assert_true(event.has_person && event.has_picture);
    porch_sight_trim(PORCH_SEES_EVENT, &event);
    assert_false(event.has_person || event.has_picture);
    assert_true(event.has_thumbnail);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, check)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_part_is_judged_under_the_topic_that_it_came_by),
        TEST(a_device_is_seen_of_which_anything_may_be_heard),
        TEST(silence_and_a_policy_that_cannot_be_had_are_no),
        TEST(only_what_is_worth_a_line_in_the_log_says_why),
        TEST(a_list_holds_the_devices_that_may_be_seen),
        TEST(what_is_trimmed_is_gone_in_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
