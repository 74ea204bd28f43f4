/* Real headers of browsers, and what a stranger might send in their place. */
#include "cloud/accounts/accounts_agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WEBKIT "AppleWebKit/537.36 (KHTML, like Gecko) "
#define APPLE  "AppleWebKit/605.1.15 (KHTML, like Gecko) "

static void common_browsers_are_told_by_name_and_system(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"},
        {"Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0", "Firefox on Android"},
        {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/126.0.0.0 Safari/537.36",
         "Chrome on Windows"},
        {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " WEBKIT "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
         "Edge on Windows"},
        {"Mozilla/5.0 (Linux; Android 14; SM-S911B) " WEBKIT
         "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
         "Samsung Internet on Android"},
        {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) " APPLE
         "Version/17.5 Mobile/15E148 Safari/604.1",
         "Safari on iPhone"},
        {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) " APPLE
         "CriOS/126.0.6478.35 Mobile/15E148 Safari/604.1",
         "Chrome on iPhone"},
        {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) " APPLE "Version/17.5 Safari/605.1.15",
         "Safari on Mac"},
        {"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " WEBKIT "Chrome/126.0.0.0 Safari/537.36",
         "Chrome on ChromeOS"},
        {"Mozilla/5.0 (X11; Linux x86_64) " WEBKIT "Chrome/126.0.0.0 Safari/537.36 OPR/111.0.0.0",
         "Opera on Linux"},
        {"curl/7.88.1", "curl"},
    };
    char text[PORCH_AGENT_TEXT];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        porch_agent_read(porch_bytes_of(rows[i][0]), text);
        assert_string_equal(text, rows[i][1]);
    }
}

static void what_is_not_known_gives_words_of_ours_and_nothing_of_the_header(void **state) {
    (void)state;
    char text[PORCH_AGENT_TEXT], late[PORCH_AGENT_LOOKED_AT + 16];
    porch_agent_read((porch_bytes){NULL, 0}, text);
    assert_string_equal(text, "an unknown program");
    porch_agent_read(porch_bytes_of("<script>alert(1)</script> firefox \x01\xff"), text);
    assert_string_equal(text, "an unknown program");
    porch_agent_read(porch_bytes_of("Mozilla/5.0 (Windows NT 10.0) <b>robin</b>"), text);
    assert_string_equal(text, "a browser on Windows");
    /* far behind, it is not looked for */
    memset(late, 'x', sizeof late);
    memcpy(late + PORCH_AGENT_LOOKED_AT, "Firefox/1", 9);
    porch_agent_read((porch_bytes){(const uint8_t *)late, sizeof late}, text);
    assert_string_equal(text, "an unknown program");
    memcpy(late + PORCH_AGENT_LOOKED_AT - 9, "Firefox/1", 9);
    porch_agent_read((porch_bytes){(const uint8_t *)late, sizeof late}, text);
    assert_string_equal(text, "Firefox");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_browsers_are_told_by_name_and_system),
        cmocka_unit_test(what_is_not_known_gives_words_of_ours_and_nothing_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
