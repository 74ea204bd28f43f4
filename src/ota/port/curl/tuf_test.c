/* The command line and the transport where no server is needed; what needs one is in
 * tests/integration/test_tuf.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ota/port/curl/tuf_http.h"
#include "ota/port/curl/tuf_tool.h"

static int tool(const char *a, const char *b, const char *c, const char *d, const char *e) {
    char *words[] = {"porchlight-tuf", (char *)a, (char *)b, (char *)c, (char *)d, (char *)e, NULL};
    int count = 1;
    while (count < 6 && words[count] != NULL)
        count++;
    return porch_tuf_tool_main(count, words);
}

static void incomplete_commands_are_refused(void **state) {
    (void)state;
    assert_int_equal(tool(NULL, NULL, NULL, NULL, NULL), 1);
    assert_int_equal(tool("--metadata-dir", NULL, NULL, NULL, NULL), 1);
    assert_int_equal(tool("--metadata-dir", "/nowhere", "refresh", NULL, NULL), 1);
    assert_int_equal(tool("--metadata-dir", "/nowhere", "init", NULL, NULL), 1);
    assert_int_equal(tool("--metadata-dir", "/nowhere", "init", "/nowhere/root.json", NULL), 1);
    assert_int_equal(tool("--metadata-dir", "/nowhere", "init", "a", "b"), 1);
    assert_int_equal(tool("--frobnicate", NULL, NULL, NULL, NULL), 1);
    assert_int_equal(tool("--help", NULL, NULL, NULL, NULL), 0);
}

static porch_err never(void *ctx, porch_bytes piece, porch_why *why) {
    (void)ctx;
    (void)piece;
    (void)why;
    fail();
    return PORCH_ERR_INTERNAL;
}

static void plain_http_is_not_spoken_unless_it_is_allowed(void **state) {
    (void)state;
    const porch_tuf_http_config config = {.patience_s = 1, .least_bytes_s = 1};
    porch_tuf_http *h = NULL;
    porch_why why;
    assert_int_equal(porch_tuf_http_open(&config, &h, &why), PORCH_OK);
    assert_int_equal(porch_tuf_http_get(h, "http://127.0.0.1:1", "x", never, NULL, &why), PORCH_ERR_IO);
    assert_non_null(strstr(why.text, "rotocol"));
    assert_int_equal(porch_tuf_http_get(h, "file:///etc", "passwd", never, NULL, &why), PORCH_ERR_IO);
    porch_tuf_http_close(h);
}

static void an_address_without_end_is_refused(void **state) {
    (void)state;
    static char base[9000];
    const porch_tuf_http_config config = {.patience_s = 1, .least_bytes_s = 1, .plain_http = true};
    porch_tuf_http *h = NULL;
    porch_why why;
    memset(base, 'a', sizeof base - 1);
    assert_int_equal(porch_tuf_http_open(&config, &h, &why), PORCH_OK);
    assert_int_equal(porch_tuf_http_get(h, base, "x", never, NULL, &why), PORCH_ERR_LIMIT);
    porch_tuf_http_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incomplete_commands_are_refused),
        cmocka_unit_test(plain_http_is_not_spoken_unless_it_is_allowed),
        cmocka_unit_test(an_address_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
