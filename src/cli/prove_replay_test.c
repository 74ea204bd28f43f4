#include "cli/prove_replay.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/prove_replay_hub.h"
#include "cli/prove_replay_person.h"

static size_t scratch_folders(void) {
    size_t count = 0;
    DIR *d = opendir("/tmp");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        count += strncmp(e->d_name, "porchlight-replay-", 18) == 0;
    if (d != NULL) closedir(d);
    return count;
}

static porch_access_finding of_a_device(void) {
    return (porch_access_finding){.who = {.name = PORCH_LIT("stranger"),
                                          .product = PORCH_LIT("any-product"),
                                          .household = PORCH_LIT("home")},
                                  .action = PORCH_ACCESS_PUBLISH,
                                  .topic = PORCH_LIT("d/victim/x"),
                                  .victim = PORCH_LIT("victim")};
}

/* The programs do not stand beside this test; with them the integration tests replay. */
static void a_replay_without_its_programs_is_an_error_and_leaves_nothing(void **state) {
    (void)state;
    porch_access_finding device = of_a_device(), person = device;
    person.who.kind = PORCH_ACCESS_PERSON;
    person.who.role = PORCH_ROLE_CHILD;
    const porch_access_finding *both[] = {&device, &person};
    for (size_t i = 0; i < 2; i++) {
        porch_replay_case one = {.finding = both[i]};
        porch_replay_result result = PORCH_REPLAY_REFUSED;
        porch_why why = {""};
        size_t before = scratch_folders();
        assert_int_not_equal(porch_replay(PORCH_LIT("group a\n"), &one, &result, &why), PORCH_OK);
        assert_true(why.text[0] != '\0');
        assert_int_equal(result, PORCH_REPLAY_REFUSED);
        assert_true(scratch_folders() <= before);
    }
}

static void what_does_not_fit_is_not_tried(void **state) {
    (void)state;
    static char text[2000];
    memset(text, 'x', sizeof text);
    const porch_bytes topics[] = {{(const uint8_t *)text, sizeof text}, {NULL, 0}};
    for (size_t i = 0; i < 2; i++) {
        porch_access_finding f = of_a_device();
        porch_replay_result result;
        porch_why why = {""};
        f.topic = topics[i];
        porch_replay_case one = {.finding = &f};
        assert_int_equal(porch_replay(PORCH_LIT("group a\n"), &one, &result, &why), PORCH_ERR_LIMIT);
    }
}

static void reading_the_api_is_not_replayed(void **state) {
    (void)state;
    porch_access_finding f = of_a_device();
    assert_true(porch_replay_can(&f));
    f.action = PORCH_ACCESS_RECEIVE;
    assert_true(porch_replay_can(&f));
    f.action = PORCH_ACCESS_READ;
    assert_false(porch_replay_can(&f));
}

static void the_peoples_port_is_read_from_the_daemons_line(void **state) {
    (void)state;
    assert_int_equal(porch_replay_https_port("ready mqtt=1883 device=8444 https=40123\n"), 40123);
    assert_int_equal(porch_replay_https_port("ready mqtt=1 device=2 https=65535"), 65535);
    static const char *const others[] = {"",
                                         "ready",
                                         "ready mqtt=1 device=2\n",
                                         "ready mqtt=1 https=65536\n",
                                         "ready mqtt=1 https=x\n",
                                         "ready mqtt=1 https=\n",
                                         "error https=3\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(porch_replay_https_port(others[i]), 0);
}

/* RFC 6238, appendix B, with SHA-1: the last six of its eight digits. */
static void codes_are_those_of_the_standard(void **state) {
    (void)state;
    static const char secret[] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"; /* "12345678901234567890" */
    static const struct {
        uint64_t at_s;
        const char *code;
    } rows[] = {{59, "287082"}, {1111111109, "081804"}, {1234567890, "005924"}, {20000000000, "353130"}};
    char code[PORCH_REPLAY_CODE_TEXT];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(porch_replay_code(secret, rows[i].at_s / 30, code, NULL), PORCH_OK);
        assert_string_equal(code, rows[i].code);
    }
    porch_why why = {""};
    assert_int_equal(porch_replay_code("not base32!", 1, code, &why), PORCH_ERR_MALFORMED);
    assert_true(why.text[0] != '\0');
}

static void a_link_gives_its_token_and_an_answer_its_cookie(void **state) {
    (void)state;
    char cookie[PORCH_REPLAY_COOKIE_BYTES];
    assert_string_equal(porch_replay_token("https://localhost:8443/setup#Abc_-9"), "Abc_-9");
    assert_null(porch_replay_token("https://localhost:8443/setup"));
    assert_null(porch_replay_token("https://localhost:8443/setup#"));
    assert_true(porch_replay_cookie(PORCH_LIT("__Host-porchlight=abc; Path=/; Secure"), cookie));
    assert_string_equal(cookie, "__Host-porchlight=abc");
    assert_true(porch_replay_cookie(PORCH_LIT("a=b"), cookie));
    assert_string_equal(cookie, "a=b");
    static char wide[PORCH_REPLAY_COOKIE_BYTES];
    memset(wide, 'c', sizeof wide);
    assert_false(porch_replay_cookie((porch_bytes){(const uint8_t *)wide, sizeof wide}, cookie));
    assert_false(porch_replay_cookie(PORCH_LIT(""), cookie));
    assert_false(porch_replay_cookie(PORCH_LIT("; Path=/"), cookie));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_without_its_programs_is_an_error_and_leaves_nothing),
        cmocka_unit_test(what_does_not_fit_is_not_tried),
        cmocka_unit_test(reading_the_api_is_not_replayed),
        cmocka_unit_test(the_peoples_port_is_read_from_the_daemons_line),
        cmocka_unit_test(codes_are_those_of_the_standard),
        cmocka_unit_test(a_link_gives_its_token_and_an_answer_its_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
