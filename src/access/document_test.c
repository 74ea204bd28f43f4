#include "access/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t rows[4096];

static porch_err parse(const char *text, porch_access_document *d, porch_access_place *place,
                       porch_why *why) {
    porch_arena arena = porch_arena_of(rows, sizeof rows);
    assert_true(porch_access_document_bytes(porch_bytes_of(text)) <= sizeof rows);
    return porch_access_document_parse(porch_bytes_of(text), &arena, d, place, why);
}

static void prints_as(const char *text, const char *canonical) {
    porch_access_document d;
    porch_why why = {""};
    char out[2000];
    porch_buf b = {(uint8_t *)out, 0, sizeof out - 1};
    if (parse(text, &d, NULL, &why) != PORCH_OK) fail_msg("%s", why.text);
    assert_int_equal(porch_access_document_write(&b, &d), PORCH_OK);
    assert_true(b.len <= porch_access_document_text_bytes(&d));
    out[b.len] = '\0';
    assert_string_equal(out, canonical);
}

static void a_policy_is_read_line_by_line(void **state) {
    (void)state;
    porch_access_document d;
    porch_why why = {""};
    const char *text = "# who\n\ngroup lights\n  member service lights\n\tmember every device\n"
                       "  allow publish,subscribe d/+/my own 1/x\r\n  deny read metrics\n"
                       "tag outdoor\n device b\n device a\n";
    if (parse(text, &d, NULL, &why) != PORCH_OK) fail_msg("%s", why.text);
    assert_int_equal(d.group_count, 1);
    const porch_access_group *g = porch_access_document_find(&d, PORCH_LIT("lights"));
    assert_non_null(g);
    assert_null(porch_access_document_find(&d, PORCH_LIT("light")));
    assert_int_equal(g->member_count, 2);
    assert_int_equal(g->members[0].kind, PORCH_ACCESS_MEMBER_EVERY_DEVICE);
    assert_true(porch_bytes_eq_text(g->members[1].value, "lights"));
    assert_int_equal(g->statement_count, 2);
    assert_int_equal(g->statements[0].actions, PORCH_ACCESS_PUBLISH | PORCH_ACCESS_SUBSCRIBE);
    assert_int_equal(g->statements[1].effect, PORCH_ACCESS_DENY);
    assert_int_equal(g->statements[1].tag, 7);
    assert_int_equal(d.tagged_count, 2);
    assert_true(porch_bytes_eq_text(d.tagged[0].device, "a"));
}

static void printing_is_canonical(void **state) {
    (void)state;
    prints_as("", "");
    prints_as("group b\ngroup a\n member product z\n member device d\n member device c\n member device d\n"
              "allow   receive,publish   #\n deny publish x\n",
              "group a\n    member device c\n    member device d\n    member product z\n"
              "    allow publish,receive #\n    deny publish x\n\ngroup b\n");
    prints_as("tag y\ndevice q\ntag x\ndevice r\ntag y\ndevice p\ngroup g\nmember tag y",
              "group g\n    member tag y\n\ntag x\n    device r\n\ntag y\n    device p\n    device q\n");
}

static void people_are_members_by_name_role_and_household(void **state) {
    (void)state;
    prints_as("group a\nmember person zed of the hill\nmember person  anna@example.org \nmember people h\n"
              "member people h adult\nmember every person\nmember every guest\nmember every device\n"
              "allow receive d/${household.device}/${household.id}\n",
              "group a\n    member every device\n    member every person\n    member every guest\n"
              "    member people h\n    member people h adult\n    member person anna@example.org\n"
              "    member person zed of the hill\n    allow receive "
              "d/${household.device}/${household.id}\n");
    porch_access_document d;
    porch_why why = {""};
    porch_bytes household;
    porch_role role;
    assert_int_equal(
        parse("group a\nmember every guest\nmember people h child\nmember person p\n", &d, NULL, &why),
        PORCH_OK);
    const porch_access_member *m = d.groups[0].members;
    assert_true(porch_access_member_people(&m[0], &household, &role));
    assert_true(household.len == 0 && role == PORCH_ROLE_GUEST);
    assert_true(porch_access_member_people(&m[1], &household, &role));
    assert_true(porch_bytes_eq_text(household, "h") && role == PORCH_ROLE_CHILD);
    assert_false(porch_access_member_people(&m[2], &household, &role));
}

typedef struct {
    const char *text;
    uint32_t line, column;
    const char *sentence;
} refusal;

static void a_refusal_says_where_and_what_was_expected(void **state) {
    (void)state;
    static const refusal all[] = {
        {"allow publish x\n", 1, 1, "group or tag, found 'allow'"},
        {"group\n", 1, 6,
         "a group's name (lower-case letters, digits and '-', at most 79), but the line ends"},
        {"group A\n", 1, 7, "found 'A'"},
        {"group a b\n", 1, 9, "nothing more on this line, found 'b'"},
        {"group a\n  shout\n", 2, 3, "member, allow, deny, group or tag, found 'shout'"},
        {"group a\n  member every thing\n", 2, 16, "or 'guest' after 'every', found 'thing'"},
        {"group a\n  member every\n", 2, 15, "'device', 'person', 'owner'"},
        {"group a\n  member people Home\n", 2, 17, "a household's id, found 'Home'"},
        {"group a\n  member people home aunt\n", 2, 22, "owner, adult, child, guest"},
        {"group a\n  member people home  adult\n", 2, 23, "one space between"},
        {"group a\n  member people home adult x\n", 2, 28, "nothing more on this line"},
        {"group a\n  member person\n", 2, 16, "a person's name"},
        {"group a\n  member person Anna\n", 2, 17, "in lower case, found 'Anna'"},
        {"group a\n allow receive d/x${household.device}/y\n", 2, 18,
         "${household.device} alone in its level"},
        {"group a\nmember every device\ndeny receive d/${household.device}/x\n", 3, 1,
         "a deny whose variables"},
        {"group a\nmember every guest\ndeny receive d/${device.id}\n", 3, 1, "a deny whose variables"},
        {"group a\nmember every guest\nmember service s\ndeny receive d/${household.id}\n", 4, 1,
         "a deny whose variables"},
        {"group a\n  member user x\n", 2, 10, "service or tag, found 'user'"},
        {"group a\n  member device a+\n", 2, 17, "the member's name, found 'a+'"},
        {"group a\n  member product a/b\n", 2, 18, "the member's name"},
        {"group a\n\n\tallow shout x\n", 3, 8, "actions (publish"},
        {"group a\n allow publish,publish x\n", 2, 8, "each once"},
        {"group a\n allow publish\n", 2, 15, "a topic filter"},
        {"group a\n allow publish a/#/b\n", 2, 16, "a topic filter"},
        {"group a\n allow publish a/${nothing}\n", 2, 16, "there is no variable ${nothing}"},
        {"group a\n allow read,publish metrics\n", 2, 21, "'read' stands alone"},
        {"group a\ngroup b\ngroup a\n", 3, 1, "each group once, found 'a'"},
        {"group a\nmember service s\ndeny publish d/${device.id}\n", 3, 1, "a deny whose variables"},
        {"group a\nmember tag s\ndeny publish d/${service.name}\n", 3, 1, "a deny whose variables"},
        {"tag a\n member device b\n", 2, 2, "device, group or tag, found 'member'"},
        {"tag a\n device B\n", 2, 9, "a device's id, found 'B'"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        porch_access_document d;
        porch_access_place place = {0, 0};
        porch_why why = {""};
        if (parse(all[i].text, &d, &place, &why) == PORCH_OK) fail_msg("accepted: %s", all[i].text);
        if (strstr(why.text, all[i].sentence) == NULL) fail_msg("%s", why.text);
        if (place.line != all[i].line || place.column != all[i].column)
            fail_msg("%u:%u for %s", place.line, place.column, all[i].text);
    }
}

static void a_line_that_is_too_long_is_refused(void **state) {
    (void)state;
    char text[1400];
    porch_access_document d;
    porch_why why;
    (void)snprintf(text, sizeof text, "group a\nallow publish %0511d\n", 0);
    assert_int_equal(parse(text, &d, NULL, &why), PORCH_OK);
    (void)snprintf(text, sizeof text, "group a\nallow publish %0512d\n", 0);
    assert_int_equal(parse(text, &d, NULL, &why), PORCH_ERR_LIMIT);
    (void)snprintf(text, sizeof text, "group %0640d\n", 0);
    assert_int_equal(parse(text, &d, NULL, &why), PORCH_ERR_LIMIT);
}

static void too_little_memory_is_an_error(void **state) {
    (void)state;
    porch_access_document d;
    porch_why why;
    porch_bytes text = PORCH_LIT("group a\nmember device b\nallow publish x\n");
    porch_arena arena = porch_arena_of(rows, 16);
    assert_int_equal(porch_access_document_parse(text, &arena, &d, NULL, &why), PORCH_ERR_NO_SPACE);
}

static void many_rows_are_sorted(void **state) {
    (void)state;
    char text[8000] = "group g\n";
    size_t n = strlen(text);
    for (unsigned i = 0; i < 200; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "member device d%u\n", (i * 7919u) % 200u + 100u);
    porch_access_document d;
    porch_why why = {""};
    if (parse(text, &d, NULL, &why) != PORCH_OK) fail_msg("%s", why.text);
    assert_int_equal(d.groups[0].member_count, 200);
    for (unsigned i = 0; i < 200; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "d%u", i + 100u);
        assert_true(porch_bytes_eq_text(d.groups[0].members[i].value, name));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_is_read_line_by_line),
        cmocka_unit_test(printing_is_canonical),
        cmocka_unit_test(people_are_members_by_name_role_and_household),
        cmocka_unit_test(a_refusal_says_where_and_what_was_expected),
        cmocka_unit_test(a_line_that_is_too_long_is_refused),
        cmocka_unit_test(too_little_memory_is_an_error),
        cmocka_unit_test(many_rows_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
