#include "cloud/grants/grants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/automaton.h"
#include "access/policy.h"
#include "cloud/store/store_testing.h"
#include "os/log.h"
#include "wire/role.h"

typedef struct {
    store_lab lab;
    porch_grants *grants;
    porch_why why;
    unsigned changes;
} bench;

static void on_change(void *ctx) {
    ((bench *)ctx)->changes++;
}

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    store_lab_make(&b->lab);
    if (store_lab_open(&b->lab) != PORCH_OK) fail_msg("%s", b->lab.why.text);
    if (porch_grants_open(b->lab.store, NULL, &b->lab.settings, &b->grants, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    porch_grants_on_change(b->grants, on_change, b);
    *state = b;
    return 0;
}

static int drop_bench(void **state) {
    bench *b = *state;
    porch_grants_close(b->grants);
    store_lab_remove(&b->lab);
    free(b);
    return 0;
}

static porch_registry_entry device(const char *id) {
    porch_registry_entry e = {.kind = PORCH_PRINCIPAL_DEVICE, .product = "cam", .household = "home"};
    (void)snprintf(e.name, sizeof e.name, "%s", id);
    return e;
}

static porch_registry_entry service(const char *name) {
    porch_registry_entry e = {.kind = PORCH_PRINCIPAL_SERVICE};
    (void)snprintf(e.name, sizeof e.name, "%s", name);
    return e;
}

static bool can(bench *b, porch_registry_entry who, unsigned action, const char *topic) {
    const porch_access_policy *p = porch_grants_policy(b->grants, &who);
    assert_non_null(p);
    porch_access_decision d;
    if (action == PORCH_ACCESS_SUBSCRIBE) {
        porch_topic_filter filter;
        assert_int_equal(porch_topic_filter_parse(porch_bytes_of(topic), NULL, &filter), PORCH_OK);
        d = porch_access_can_subscribe(p, filter);
    } else {
        porch_topic_name name;
        assert_int_equal(porch_topic_name_parse(porch_bytes_of(topic), NULL, &name), PORCH_OK);
        d = action == PORCH_ACCESS_PUBLISH ? porch_access_can_publish(p, name)
            : action == PORCH_ACCESS_READ  ? porch_access_can_read(p, name)
                                           : porch_access_can_receive(p, name);
    }
    porch_grants_policy_release(p);
    return d.allowed;
}

typedef struct {
    const char *service;
    porch_grants_statement statements[PORCH_ACCESS_COMPUTED_MOST + 1];
    size_t count;
    const porch_settings *settings;
} group_order;

typedef struct {
    char service[16];
    const porch_settings *settings;
} erase_order;

static porch_err write_group(porch_db *db, void *ctx, porch_why *why) {
    const group_order *o = ctx;
    return porch_grants_service_write(db, o->service, o->statements, o->count, o->settings, why);
}

static porch_err erase_group(porch_db *db, void *ctx, porch_why *why) {
    const erase_order *o = ctx;
    return porch_grants_service_erase(db, o->service, o->settings, why);
}

static void grant(bench *b, const char *name, const char *allow, const char *deny) {
    group_order o = {.service = name, .settings = &b->lab.settings};
    assert_int_equal(porch_grants_statement_parse(allow, false, &o.statements[o.count++], &b->why),
                     PORCH_OK);
    if (deny != NULL)
        assert_int_equal(porch_grants_statement_parse(deny, true, &o.statements[o.count++], &b->why),
                         PORCH_OK);
    if (porch_store_write(b->lab.store, write_group, &o, &b->why) != PORCH_OK) fail_msg("%s", b->why.text);
    assert_int_equal(porch_grants_reload(b->grants, &b->why), PORCH_OK);
}

static void a_device_speaks_and_hears_below_its_own_prefix_and_nowhere_else(void **state) {
    bench *b = *state;
    for (unsigned action = PORCH_ACCESS_PUBLISH; action <= PORCH_ACCESS_RECEIVE; action *= 2) {
        assert_true(can(b, device("cam-1"), action, "d/cam-1/event/motion"));
        assert_false(can(b, device("cam-1"), action, "d/cam-2/event/motion"));
        assert_false(can(b, device("cam-1"), action, "d/cam-11/event/motion"));
        assert_false(can(b, device("cam-1"), action, "x"));
        assert_false(can(b, device("cam-1"), action, "$porchlight/device/cam-1/event/person"));
    }
    assert_true(can(b, device("cam-1"), PORCH_ACCESS_SUBSCRIBE, "d/cam-1/#"));
    assert_true(can(b, device("cam-1"), PORCH_ACCESS_PUBLISH, "d/cam-1/log"));
    assert_false(can(b, device("cam-1"), PORCH_ACCESS_PUBLISH, "d/cam-1"));
    assert_false(can(b, device("cam-1"), PORCH_ACCESS_SUBSCRIBE, "d/+/event/motion"));
    assert_false(can(b, device("cam-1"), PORCH_ACCESS_SUBSCRIBE, "#"));
}

static void a_service_may_do_nothing_until_a_group_says_so(void **state) {
    bench *b = *state;
    assert_false(can(b, service("lights"), PORCH_ACCESS_SUBSCRIBE, "d/cam-1/event/motion"));
    assert_false(can(b, service("lights"), PORCH_ACCESS_PUBLISH, "d/lights/x"));
    grant(b, "lights", "subscribe:d/+/event/#", "receive:d/secret/#");
    assert_int_equal(b->changes, 1);
    assert_true(can(b, service("lights"), PORCH_ACCESS_SUBSCRIBE, "d/+/event/#"));
    assert_true(can(b, service("lights"), PORCH_ACCESS_RECEIVE, "d/cam-1/event/motion"));
    assert_false(can(b, service("lights"), PORCH_ACCESS_RECEIVE, "d/secret/event/motion"));
    assert_false(can(b, service("lights"), PORCH_ACCESS_PUBLISH, "d/cam-1/event/motion"));
    assert_false(can(b, service("other"), PORCH_ACCESS_SUBSCRIBE, "d/+/event/#"));
    assert_false(can(b, device("lights"), PORCH_ACCESS_SUBSCRIBE, "d/+/event/#"));
}

static void reading_metrics_is_a_grant_of_its_own(void **state) {
    bench *b = *state;
    grant(b, "wide", "publish,subscribe:#", NULL);
    grant(b, "reader", "read:metrics", NULL);
    grant(b, "both", "read:metrics", "read:metrics");
    assert_false(can(b, service("wide"), PORCH_ACCESS_READ, "metrics"));
    assert_true(can(b, service("reader"), PORCH_ACCESS_READ, "metrics"));
    assert_false(can(b, service("reader"), PORCH_ACCESS_PUBLISH, "metrics"));
    assert_false(can(b, service("reader"), PORCH_ACCESS_SUBSCRIBE, "metrics"));
    assert_false(can(b, service("both"), PORCH_ACCESS_READ, "metrics"));
    assert_false(can(b, device("reader"), PORCH_ACCESS_READ, "metrics"));
}

static void writing_again_replaces_and_erasing_ends_it(void **state) {
    bench *b = *state;
    grant(b, "lights", "publish:a/b", NULL);
    grant(b, "lights", "publish:c/${service.name}/#", NULL);
    assert_false(can(b, service("lights"), PORCH_ACCESS_PUBLISH, "a/b"));
    assert_true(can(b, service("lights"), PORCH_ACCESS_PUBLISH, "c/lights/x"));
    porch_grants_close(b->grants); /* and the same from the database */
    assert_int_equal(porch_grants_open(b->lab.store, NULL, &b->lab.settings, &b->grants, &b->why),
                     PORCH_OK);
    assert_true(can(b, service("lights"), PORCH_ACCESS_PUBLISH, "c/lights/x"));
    erase_order lights = {"lights", &b->lab.settings};
    assert_int_equal(porch_store_write(b->lab.store, erase_group, &lights, &b->why), PORCH_OK);
    assert_int_equal(porch_grants_reload(b->grants, &b->why), PORCH_OK);
    assert_false(can(b, service("lights"), PORCH_ACCESS_PUBLISH, "c/lights/x"));
}

static void a_policy_outlives_the_change_that_replaced_it(void **state) {
    bench *b = *state;
    grant(b, "lights", "publish:a/b", NULL);
    porch_registry_entry who = service("lights");
    const porch_access_policy *p = porch_grants_policy(b->grants, &who);
    const porch_access_policy *again = porch_grants_policy_retain(p);
    porch_grants_policy_release(p);
    grant(b, "lights", "publish:c/d", NULL);
    porch_topic_name name;
    assert_int_equal(porch_topic_name_parse(PORCH_LIT("a/b"), NULL, &name), PORCH_OK);
    assert_true(porch_access_can_publish(again, name).allowed);
    porch_grants_policy_release(again);
}

static void the_operator_is_told_group_and_statement(void **state) {
    bench *b = *state;
    grant(b, "lights", "subscribe,publish:d/+/event/#", "publish:d/x/#");
    porch_registry_entry who = service("lights");
    const porch_access_policy *p = porch_grants_policy(b->grants, &who);
    char text[200];
    porch_grants_explain(p, 1, text, sizeof text);
    assert_string_equal(text, "service-lights: deny publish:d/x/#");
    porch_grants_explain(p, 0, text, sizeof text);
    assert_string_equal(text, "service-lights: allow publish,subscribe:d/+/event/#");
    porch_grants_explain(p, 2, text, sizeof text);
    assert_string_equal(text, "");
    porch_grants_explain(p, -1, text, sizeof text);
    assert_string_equal(text, "");
    porch_grants_policy_release(p);
}

static void apply(bench *b, const char *text, uint64_t base, porch_err expected) {
    porch_grants_change change = {porch_bytes_of(text), base, "operator", "a test"};
    uint64_t version = 0;
    if (porch_grants_apply(b->grants, &change, &version, &b->why) != expected) fail_msg("%s", b->why.text);
}

static void a_text_is_put_in_force_whole_or_not_at_all(void **state) {
    bench *b = *state;
    uint64_t version = 0;
    apply(b,
          "group g\nmember product cam\nmember tag t\nallow publish x/${device.id}\ntag t\ndevice other\n",
          0, PORCH_OK);
    assert_int_equal(b->changes, 1);
    assert_true(can(b, device("cam-1"), PORCH_ACCESS_PUBLISH, "x/cam-1"));
    assert_false(can(b, device("cam-1"), PORCH_ACCESS_PUBLISH, "d/cam-1/event/motion"));
    porch_registry_entry other = device("other");
    (void)snprintf(other.product, sizeof other.product, "lamp");
    assert_true(can(b, other, PORCH_ACCESS_PUBLISH, "x/other"));
    (void)snprintf(other.name, sizeof other.name, "third");
    assert_false(can(b, other, PORCH_ACCESS_PUBLISH, "x/third"));
    apply(b, "group g\nmember product cam\nshout\n", 0, PORCH_ERR_MALFORMED);
    assert_non_null(strstr(b->why.text, "line 3, column 1"));
    assert_true(can(b, device("cam-1"), PORCH_ACCESS_PUBLISH, "x/cam-1"));
    char *text = porch_grants_text(b->grants, &version);
    assert_string_equal(text, "group g\n    member product cam\n    member tag t\n"
                              "    allow publish x/${device.id}\n\ntag t\n    device other\n");
    free(text);
}

static void two_who_change_it_at_once_do_not_undo_each_other(void **state) {
    bench *b = *state;
    uint64_t version = 0;
    free(porch_grants_text(b->grants, &version));
    apply(b, "group a\n", version, PORCH_OK);
    apply(b, "group b\n", version, PORCH_ERR_STATE);
    free(porch_grants_text(b->grants, &version));
    unsigned before = b->changes;
    apply(b, "group a", version, PORCH_OK); /* the same once it is canonical: nothing happens */
    assert_int_equal(b->changes, before);
    apply(b, "group b\n", version, PORCH_OK);
}

static bool collect(const porch_grants_version *v, void *ctx) {
    porch_grants_version *rows = ctx;
    size_t i = 0;
    while (rows[i].version != 0)
        i++;
    rows[i] = *v;
    return i < 6;
}

static void history_keeps_the_newest_versions(void **state) {
    bench *b = *state;
    static porch_grants_version rows[8];
    char *text = NULL;
    memset(rows, 0, sizeof rows);
    apply(b, "group a\n", 0, PORCH_OK);
    apply(b, "group b\n", 0, PORCH_OK);
    assert_int_equal(porch_grants_history(b->grants, collect, rows, &b->why), PORCH_OK);
    assert_string_equal(rows[0].note, "a test");
    assert_string_equal(rows[0].who, "operator");
    assert_true(rows[1].version == rows[0].version - 1 && rows[1].at_ms <= rows[0].at_ms);
    assert_int_equal(porch_grants_version_text(b->grants, rows[1].version, &text, &b->why), PORCH_OK);
    assert_string_equal(text, "group a\n");
    free(text);
    assert_int_equal(porch_grants_version_text(b->grants, 99, &text, &b->why), PORCH_ERR_NOT_FOUND);
    b->lab.settings.grants_versions = 2;
    porch_grants *few = NULL;
    assert_int_equal(porch_grants_open(b->lab.store, NULL, &b->lab.settings, &few, &b->why), PORCH_OK);
    porch_grants_change change = {PORCH_LIT("group c\n"), 0, "operator", NULL};
    uint64_t version = 0;
    assert_int_equal(porch_grants_apply(few, &change, &version, &b->why), PORCH_OK);
    memset(rows, 0, sizeof rows);
    assert_int_equal(porch_grants_history(few, collect, rows, &b->why), PORCH_OK);
    assert_true(rows[1].version == version - 1 && rows[2].version == 0);
    porch_grants_close(few);
}

static void adding_and_removing_services_keeps_no_more_versions_than_a_change_does(void **state) {
    bench *b = *state;
    static porch_grants_version rows[8];
    b->lab.settings.grants_versions = 2;
    apply(b, "group a\n", 0, PORCH_OK);
    apply(b, "group b\n", 0, PORCH_OK);
    for (int i = 0; i < 3; i++) {
        group_order o = {.service = i == 1 ? "two" : "one", .settings = &b->lab.settings};
        assert_int_equal(porch_grants_statement_parse(i == 2 ? "publish:x" : "publish:y", false,
                                                      &o.statements[o.count++], &b->why),
                         PORCH_OK);
        assert_int_equal(porch_store_write(b->lab.store, write_group, &o, &b->why), PORCH_OK);
    }
    erase_order one = {"one", &b->lab.settings};
    assert_int_equal(porch_store_write(b->lab.store, erase_group, &one, &b->why), PORCH_OK);
    memset(rows, 0, sizeof rows);
    assert_int_equal(porch_grants_history(b->grants, collect, rows, &b->why), PORCH_OK);
    assert_string_equal(rows[0].note, "service remove");
    assert_string_equal(rows[1].note, "service add");
    assert_int_equal(rows[2].version, 0);
}

static porch_err erase_household(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    PORCH_TRY(porch_db_run(
        db, "insert into erasure (household, kind, name) values ('nest', 'device', 'egg')", why));
    return porch_grants_household_erase(db, "nest", why);
}

static void a_household_that_ends_is_in_no_version(void **state) {
    bench *b = *state;
    char *text = NULL;
    uint64_t version = 0;
    apply(b,
          "group g\nmember device egg\nmember household nest\nmember device hen\nallow publish d/egg/x\n"
          "allow publish d/hen/x\ntag t\ndevice egg\ndevice hen\n",
          0, PORCH_OK);
    apply(b, "group h\nmember device egg\n", 0, PORCH_OK);
    if (porch_store_write(b->lab.store, erase_household, NULL, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    assert_int_equal(porch_grants_reload(b->grants, &b->why), PORCH_OK);
    text = porch_grants_text(b->grants, &version);
    assert_string_equal(text, "group h\n");
    free(text);
    assert_int_equal(porch_grants_version_text(b->grants, version - 1, &text, &b->why), PORCH_OK);
    assert_string_equal(
        text, "group g\n    member device hen\n    allow publish d/hen/x\n\ntag t\n    device hen\n");
    free(text);
}

static void a_text_past_the_limit_is_refused(void **state) {
    bench *b = *state;
    b->lab.settings.grants_policy_bytes = 8;
    porch_grants *narrow = NULL;
    assert_int_equal(porch_grants_open(b->lab.store, NULL, &b->lab.settings, &narrow, &b->why), PORCH_OK);
    porch_grants_change change = {PORCH_LIT("group abc"), 0, "operator", NULL};
    uint64_t version = 0;
    assert_int_equal(porch_grants_apply(narrow, &change, &version, &b->why), PORCH_ERR_LIMIT);
    porch_grants_close(narrow);
}

/* A hub whose newest policy cannot be in force does not start. */
static void a_service_whose_statements_are_too_much_leaves_the_policy_as_it_was(void **state) {
    bench *b = *state;
    static group_order o;
    uint64_t before = 0, after = 0;
    char *text = porch_grants_text(b->grants, &before);
    o = (group_order){.service = "many", .settings = &b->lab.settings};
    for (int i = 0; i <= PORCH_ACCESS_COMPUTED_MOST; i++) {
        char one[64];
        (void)snprintf(one, sizeof one, "publish:x%d-${service.name}", i);
        assert_int_equal(porch_grants_statement_parse(one, false, &o.statements[o.count++], &b->why),
                         PORCH_OK);
    }
    assert_int_equal(porch_store_write(b->lab.store, write_group, &o, &b->why), PORCH_ERR_LIMIT);
    assert_non_null(strstr(b->why.text, "different levels with variables"));
    porch_grants *again = NULL;
    assert_int_equal(porch_grants_open(b->lab.store, NULL, &b->lab.settings, &again, &b->why), PORCH_OK);
    char *now = porch_grants_text(again, &after);
    assert_string_equal(now, text);
    assert_int_equal(after, before);
    free(now);
    porch_grants_close(again);
    /* Nor past the text's length; but what is there may always become less. */
    o.count = 1;
    porch_settings narrow = b->lab.settings;
    narrow.grants_policy_bytes = 8;
    o.settings = &narrow;
    assert_int_equal(porch_store_write(b->lab.store, write_group, &o, &b->why), PORCH_ERR_LIMIT);
    assert_non_null(strstr(b->why.text, "grants.policy_bytes"));
    erase_order erase = {"many", &narrow};
    assert_int_equal(porch_store_write(b->lab.store, erase_group, &erase, &b->why), PORCH_OK);
    free(text);
}

static void a_statement_that_cannot_be_meant_is_refused(void **state) {
    bench *b = *state;
    static const char *const wrong[] = {"",
                                        "publish",
                                        "publish:",
                                        ":a",
                                        "shout:a",
                                        "publish,publish:a",
                                        "publish:a/#/b",
                                        "publish:a/b+",
                                        "publish:${device.id}/x",
                                        "publish:${nothing}/x",
                                        "publish:${",
                                        "publish: "};
    for (size_t i = 0; i + 1 < sizeof wrong / sizeof wrong[0]; i++) {
        porch_grants_statement s;
        if (porch_grants_statement_parse(wrong[i], false, &s, &b->why) == PORCH_OK)
            fail_msg("accepted: %s", wrong[i]);
    }
}

static void too_many_statements_mean_no_policy_rather_than_half_of_one(void **state) {
    bench *b = *state;
    grant(b, "lights", "publish:a/b", "publish:a/c");
    b->lab.settings.grants_statements = 1;
    porch_grants *narrow = NULL;
    assert_int_equal(porch_grants_open(b->lab.store, NULL, &b->lab.settings, &narrow, &b->why), PORCH_OK);
    porch_registry_entry who = service("lights");
    porch_log_init("test", PORCH_LOG_ERROR + 1);
    assert_null(porch_grants_policy(narrow, &who));
    porch_log_init("test", PORCH_LOG_ERROR);
    porch_grants_close(narrow);
}

/* ---- people ------------------------------------------------------------------------------------------ */

static porch_registry_entry person(const char *name, const char *household, porch_role role) {
    porch_registry_entry e = {.kind = PORCH_PRINCIPAL_PERSON, .role = (uint8_t)role};
    (void)snprintf(e.name, sizeof e.name, "%s", name);
    (void)snprintf(e.household, sizeof e.household, "%s", household);
    return e;
}

#define PEOPLE_GROUP                                                                         \
    "group people\n    member every adult\n    member every child\n    member every guest\n" \
    "    member every owner\n    allow subscribe,receive d/${household.device}/event/#\n"    \
    "    allow subscribe,receive d/${household.device}/state/reported\n"                     \
    "    allow subscribe,receive $porchlight/device/${household.device}/#\n"

static porch_err make_old(porch_db *db, void *ctx, porch_why *why) {
    PORCH_TRY(porch_db_run(db, "delete from access_default", why));
    porch_db_query *q = porch_db_prepare(db, "update access_policy set text = ?1", why);
    porch_db_bind_str(q, 1, ctx);
    return porch_db_execute(q, why);
}

/* As a hub that is older than people in the policy opens it. */
static void reopen_old(bench *b, const char *text) {
    char copy[2000];
    (void)snprintf(copy, sizeof copy, "%s", text);
    porch_grants_close(b->grants);
    b->grants = NULL;
    assert_int_equal(porch_store_write(b->lab.store, make_old, copy, &b->why), PORCH_OK);
    if (porch_grants_open(b->lab.store, NULL, &b->lab.settings, &b->grants, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
}

static void text_is(bench *b, uint64_t expected_version, const char *expected) {
    uint64_t version = 0;
    char *text = porch_grants_text(b->grants, &version);
    assert_string_equal(text, expected);
    assert_int_equal(version, expected_version);
    free(text);
}

static void a_new_hub_has_the_group_of_people_from_its_first_version_on(void **state) {
    bench *b = *state;
    text_is(b, 1,
            "group devices\n    member every device\n    allow publish d/${device.id}/+/#\n"
            "    allow subscribe,receive d/${device.id}/#\n\n" PEOPLE_GROUP);
    apply(b, "group a\n", 0, PORCH_OK);
    porch_grants_close(b->grants); /* it was brought once: who takes it out is obeyed */
    assert_int_equal(porch_grants_open(b->lab.store, NULL, &b->lab.settings, &b->grants, &b->why),
                     PORCH_OK);
    text_is(b, 2, "group a\n");
}

static void an_older_hub_gets_the_group_as_a_new_version(void **state) {
    bench *b = *state;
    static porch_grants_version rows[8];
    memset(rows, 0, sizeof rows);
    reopen_old(b, "group z\n    member service s\n    allow publish x\n");
    text_is(b, 2, PEOPLE_GROUP "\ngroup z\n    member service s\n    allow publish x\n");
    assert_int_equal(porch_grants_history(b->grants, collect, rows, &b->why), PORCH_OK);
    assert_string_equal(rows[0].who, "hub");
    assert_non_null(strstr(rows[0].note, "people"));
    assert_true(can(b, service("s"), PORCH_ACCESS_PUBLISH, "x"));
}

static void a_group_of_that_name_stays_what_it_is(void **state) {
    bench *b = *state;
    uint64_t version = 0;
    reopen_old(b, "group people\n    member service s\n    allow publish x\n");
    char *text = porch_grants_text(b->grants, &version);
    assert_true(strncmp(text, "group people\n    member service s\n", 34) == 0);
    assert_non_null(strstr(text, "group people-2\n    member every adult\n"));
    free(text);
}

static void people_without_devices_hear_nothing_and_a_role_may_be_held_back(void **state) {
    bench *b = *state;
    porch_registry_entry anna = person("anna@example.org", "home", PORCH_ROLE_ADULT);
    assert_false(can(b, anna, PORCH_ACCESS_RECEIVE, "d/cam-1/event/motion")); /* no registry, no devices */
    apply(b,
          "group g\nmember every person\nallow subscribe x/${household.id}/#\ngroup k\nmember every "
          "guest\nmember people home child\nmember person carl\ndeny receive x/+/secret\n",
          0, PORCH_OK);
    assert_true(can(b, anna, PORCH_ACCESS_RECEIVE, "x/home/secret"));
    assert_false(can(b, anna, PORCH_ACCESS_RECEIVE, "x/other/a"));
    assert_false(can(b, person("bob", "home", PORCH_ROLE_GUEST), PORCH_ACCESS_RECEIVE, "x/home/secret"));
    assert_false(can(b, person("bob", "home", PORCH_ROLE_CHILD), PORCH_ACCESS_RECEIVE, "x/home/secret"));
    assert_true(can(b, person("bob", "h2", PORCH_ROLE_CHILD), PORCH_ACCESS_RECEIVE, "x/h2/secret"));
    assert_false(can(b, person("carl", "h2", PORCH_ROLE_OWNER), PORCH_ACCESS_RECEIVE, "x/h2/secret"));
}

static porch_err erase_people(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    PORCH_TRY(porch_db_run(
        db, "insert into erasure (household, kind, name) values ('nest', 'user', 'Hen of Nest')", why));
    return porch_grants_household_erase(db, "nest", why);
}

static void the_people_of_a_household_that_ends_are_in_no_version(void **state) {
    bench *b = *state;
    apply(b,
          "group g\nmember person hen of nest\nmember person anna\nmember people nest\nmember people nest "
          "adult\nmember people home\n",
          0, PORCH_OK);
    if (porch_store_write(b->lab.store, erase_people, NULL, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    assert_int_equal(porch_grants_reload(b->grants, &b->why), PORCH_OK);
    text_is(b, 2, "group g\n    member people home\n    member person anna\n");
}

static void who_of_a_household_that_ends_made_a_version_and_why_is_not_told(void **state) {
    bench *b = *state;
    static const struct {
        const char *text, *who, *note;      /* as it is made */
        const char *who_after, *note_after; /* NULL: as before */
    } rows[] = {
        {"group a\n", "user:Hen of Nest", "for the chicks", "-", ""},
        {"group b\n", "user:Cock", "for the chicks", NULL, NULL},
        {"group c\n", "operator", "as hen of nest has asked", NULL, ""},
        {"group d\n", "operator", "the camera (egg) is too loud", NULL, ""},
        {"group e\n", "operator", "nest: quiet hours", NULL, ""},
        {"group f\n", "operator", "eggs and nests of others", NULL, NULL},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    static porch_grants_version seen[8];
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < ROWS; i++) {
        const porch_grants_change change = {porch_bytes_of(rows[i].text), 0, rows[i].who, rows[i].note};
        uint64_t version = 0;
        assert_int_equal(porch_grants_apply(b->grants, &change, &version, &b->why), PORCH_OK);
    }
    if (porch_store_write(b->lab.store, erase_people, NULL, &b->why) != PORCH_OK ||
        porch_store_write(b->lab.store, erase_household, NULL, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    assert_int_equal(porch_grants_history(b->grants, collect, seen, &b->why), PORCH_OK);
    for (size_t i = 0; i < ROWS; i++) {
        const porch_grants_version *v = &seen[ROWS - 1 - i]; /* the newest first */
        assert_string_equal(v->who, rows[i].who_after == NULL ? rows[i].who : rows[i].who_after);
        assert_string_equal(v->note, rows[i].note_after == NULL ? rows[i].note : rows[i].note_after);
    }
}

static porch_err erase_device_called_motion(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    PORCH_TRY(porch_db_run(
        db, "insert into erasure (household, kind, name) values ('nest', 'device', 'motion')", why));
    return porch_grants_household_erase(db, "nest", why);
}

static void a_device_called_like_a_topic_takes_only_its_own_statements_along(void **state) {
    bench *b = *state;
    apply(b,
          "group g\nmember every device\nallow publish d/motion/x\n"
          "allow receive $porchlight/device/motion/#\nallow receive $porchlight/motion/x\n"
          "deny receive d/+/event/motion\ndeny receive motion/x\n",
          0, PORCH_OK);
    if (porch_store_write(b->lab.store, erase_device_called_motion, NULL, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    assert_int_equal(porch_grants_reload(b->grants, &b->why), PORCH_OK);
    text_is(b, 2,
            "group g\n    member every device\n    allow receive $porchlight/motion/x\n"
            "    deny receive d/+/event/motion\n    deny receive motion/x\n");
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void) {
    porch_log_init("test", PORCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_device_speaks_and_hears_below_its_own_prefix_and_nowhere_else),
        WITH_BENCH(a_service_may_do_nothing_until_a_group_says_so),
        WITH_BENCH(reading_metrics_is_a_grant_of_its_own),
        WITH_BENCH(writing_again_replaces_and_erasing_ends_it),
        WITH_BENCH(a_policy_outlives_the_change_that_replaced_it),
        WITH_BENCH(the_operator_is_told_group_and_statement),
        WITH_BENCH(a_text_is_put_in_force_whole_or_not_at_all),
        WITH_BENCH(two_who_change_it_at_once_do_not_undo_each_other),
        WITH_BENCH(history_keeps_the_newest_versions),
        WITH_BENCH(adding_and_removing_services_keeps_no_more_versions_than_a_change_does),
        WITH_BENCH(a_household_that_ends_is_in_no_version),
        WITH_BENCH(who_of_a_household_that_ends_made_a_version_and_why_is_not_told),
        WITH_BENCH(a_device_called_like_a_topic_takes_only_its_own_statements_along),
        WITH_BENCH(a_text_past_the_limit_is_refused),
        WITH_BENCH(a_service_whose_statements_are_too_much_leaves_the_policy_as_it_was),
        WITH_BENCH(a_statement_that_cannot_be_meant_is_refused),
        WITH_BENCH(too_many_statements_mean_no_policy_rather_than_half_of_one),
        WITH_BENCH(a_new_hub_has_the_group_of_people_from_its_first_version_on),
        WITH_BENCH(an_older_hub_gets_the_group_as_a_new_version),
        WITH_BENCH(a_group_of_that_name_stays_what_it_is),
        WITH_BENCH(people_without_devices_hear_nothing_and_a_role_may_be_held_back),
        WITH_BENCH(the_people_of_a_household_that_ends_are_in_no_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
