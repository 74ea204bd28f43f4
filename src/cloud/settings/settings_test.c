#include "cloud/settings/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

static porch_err parse(const char *text, porch_settings *s, porch_why *why) {
    why->text[0] = '\0';
    return porch_settings_parse(porch_bytes_of(text), s, why);
}

static void an_empty_file_gives_every_default(void **state) {
    (void)state;
    porch_settings s, d;
    porch_why why;
    assert_int_equal(parse("", &s, &why), PORCH_OK);
    porch_settings_default(&d);
    assert_memory_equal(&s, &d, sizeof s);
    assert_int_equal(s.hub_mqtt_port, 8883);
    assert_string_equal(s.hub_name, "localhost 127.0.0.1 ::1");
}

static void every_default_lies_within_its_own_limits(void **state) {
    (void)state;
    porch_settings s;
    porch_settings_default(&s);
    porch_settings_row row;
    for (size_t i = 0; porch_settings_row_at(i, &row); i++) {
        porch_why why = {""};
        porch_err e = porch_settings_set(&s, row.name, row.default_text, &why);
        if (e != PORCH_OK) fail_msg("%s: %s", row.name, why.text);
        assert_true(row.help[0] != '\0');
    }
}

static void lines_are_read_with_comments_blanks_and_carriage_returns(void **state) {
    (void)state;
    porch_settings s;
    porch_why why;
    assert_int_equal(
        parse("# head\n\n  hub.mqtt_port = 0 \r\nhub.bind=127.0.0.1\nhub.name = a b = c", &s, &why),
        PORCH_OK);
    assert_int_equal(s.hub_mqtt_port, 0);
    assert_string_equal(s.hub_bind, "127.0.0.1");
    assert_string_equal(s.hub_name, "a b = c");
}

static void an_unknown_key_is_refused_with_the_nearest_known_one(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"hub.mqttport = 1", "hub.mqtt_port"},
        {"hub.https_prot = 1", "hub.https_port"},
        {"checkpoint_page = 1", "store.checkpoint_pages"},
        {"Store.Keep_Rows = 1", "store.keep_rows"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        porch_settings s;
        porch_why why;
        assert_int_equal(parse(wrong[i][0], &s, &why), PORCH_ERR_CONFIG);
        if (strstr(why.text, wrong[i][1]) == NULL) fail_msg("%s: %s", wrong[i][0], why.text);
        assert_non_null(strstr(why.text, "line 1"));
    }
}

static void a_value_outside_its_limits_is_refused_and_nothing_is_written(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "hub.mqtt_port = 65536",
        "hub.mqtt_port = -1",
        "hub.mqtt_port = ",
        "hub.mqtt_port = 08883",
        "hub.mqtt_port = 0x10",
        "hub.mqtt_port 8883",
        "store.batch_rows = 0",
        "hub.name = ",
        "hub.name = a\tb",
        "hub.name = \xff",
        "hub.mqtt_port = 1\nhub.mqtt_port = 1",
        "= 5",
        "store.keep_rows = 18446744073709551616",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        porch_settings s;
        memset(&s, 0x5a, sizeof s);
        porch_settings before = s;
        porch_why why;
        assert_int_equal(parse(wrong[i], &s, &why), PORCH_ERR_CONFIG);
        assert_true(why.text[0] != '\0');
        assert_memory_equal(&s, &before, sizeof s);
    }
}

static void a_key_longer_than_any_name_is_refused_calmly(void **state) {
    (void)state;
    char line[4096];
    memset(line, 'h', sizeof line);
    memcpy(line + sizeof line - 5, " = 1", 5);
    porch_settings s;
    porch_why why;
    assert_int_equal(parse(line, &s, &why), PORCH_ERR_CONFIG);
}

static void what_is_written_loads_as_equal(void **state) {
    (void)state;
    char path[] = "/tmp/porch-settings-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    porch_settings s, back;
    porch_why why = {""};
    porch_settings_default(&s);
    assert_int_equal(porch_settings_set(&s, "hub.mqtt_port", "0", &why), PORCH_OK);
    assert_int_equal(porch_settings_set(&s, "hub.name", "porch.example ::1", &why), PORCH_OK);
    assert_int_equal(porch_settings_set(&s, "store.keep_rows", "1000000000000", &why), PORCH_OK);
    assert_int_equal(porch_settings_write(path, &s, &why), PORCH_OK);
    assert_int_equal(porch_settings_load(path, &back, &why), PORCH_OK);
    assert_memory_equal(&s, &back, sizeof s);
    assert_int_equal(porch_settings_write_default(path, &why), PORCH_OK);
    assert_int_equal(porch_settings_load(path, &back, &why), PORCH_OK);
    porch_settings_default(&s);
    assert_memory_equal(&s, &back, sizeof s);
    unlink(path);
}

static void no_two_rows_share_a_name(void **state) {
    (void)state;
    porch_settings_row a, b;
    for (size_t i = 0; porch_settings_row_at(i, &a); i++)
        for (size_t j = i + 1; porch_settings_row_at(j, &b); j++)
            assert_string_not_equal(a.name, b.name);
}

static void one_line_changes_and_the_operator_s_own_words_stay(void **state) {
    (void)state;
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"# mine\n  hub.seal=file\nhub.shards = 2\n# end",
         "# mine\nhub.seal = tpm\nhub.shards = 2\n# end\n"},
        {"hub.shards = 2\n#hub.seal = file\n", "hub.shards = 2\n#hub.seal = file\nhub.seal = tpm\n"},
        {"", "hub.seal = tpm\n"},
    };
    char path[] = "/tmp/porch-settings-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t *text = NULL;
        size_t len = 0;
        assert_int_equal(porch_file_write_atomic(path, porch_bytes_of(rows[i].before), 0600, NULL),
                         PORCH_OK);
        assert_int_equal(porch_settings_change(path, "hub.seal", "tpm", NULL), PORCH_OK);
        assert_int_equal(porch_file_read(path, 4096, &text, &len, NULL), PORCH_OK);
        assert_string_equal((const char *)text, rows[i].after);
        free(text);
    }
    assert_int_equal(porch_settings_change(path, "hub.seal", "", NULL), PORCH_ERR_CONFIG);
    assert_int_equal(porch_settings_change(path, "hub.sail", "tpm", NULL), PORCH_ERR_CONFIG);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_gives_every_default),
        cmocka_unit_test(every_default_lies_within_its_own_limits),
        cmocka_unit_test(lines_are_read_with_comments_blanks_and_carriage_returns),
        cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest_known_one),
        cmocka_unit_test(a_value_outside_its_limits_is_refused_and_nothing_is_written),
        cmocka_unit_test(a_key_longer_than_any_name_is_refused_calmly),
        cmocka_unit_test(what_is_written_loads_as_equal),
        cmocka_unit_test(no_two_rows_share_a_name),
        cmocka_unit_test(one_line_changes_and_the_operator_s_own_words_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
