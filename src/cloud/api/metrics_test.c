/* The text of /metrics: every name once, with its help and type, and the numbers where they belong. */
#include "cloud/api/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t block[PORCH_METRICS_MOST + 1];

static const char *text_of(const porch_metrics *m) {
    porch_buf out = {block, 0, PORCH_METRICS_MOST};
    assert_int_equal(porch_metrics_write(m, &out), PORCH_OK);
    block[out.len] = 0;
    return (const char *)block;
}

static bool has_line(const char *text, const char *line) {
    size_t len = strlen(line);
    for (const char *at = strstr(text, line); at != NULL; at = strstr(at + 1, line))
        if ((at == text || at[-1] == '\n') && at[len] == '\n') return true;
    return false;
}

static void each_number_stands_under_its_name(void **state) {
    (void)state;
    porch_metrics m = {.now_ms = 90500, .started_ms = 60000, .signer_attached = true, .notifications = 8};
    m.listener.open[PORCH_LISTEN_PEOPLE] = 3;
    m.broker.messages_in = 41;
    m.broker.publishes_refused = UINT64_MAX;
    m.store.state = PORCH_ERR_FULL;
    m.deliveries_waiting = 5;
    m.ends_ms[PORCH_METRICS_END_ISSUING] = 1790000000999;
    const char *text = text_of(&m);
    assert_true(has_line(text, "porchlight_uptime_seconds 30"));
    assert_true(has_line(text, "porchlight_start_time_seconds 60"));
    assert_true(has_line(text, "porchlight_signer_up 1"));
    assert_true(has_line(text, "porchlight_analyst_up 0"));
    assert_true(has_line(text, "porchlight_store_up 0"));
    assert_true(has_line(text, "porchlight_connections{door=\"people\"} 3"));
    assert_true(has_line(text, "porchlight_connections{door=\"mqtt\"} 0"));
    assert_true(has_line(text, "porchlight_mqtt_messages_received_total 41"));
    assert_true(has_line(text, "porchlight_mqtt_publishes_refused_total 18446744073709551615"));
    assert_true(has_line(text, "porchlight_notifications_total 8"));
    assert_true(has_line(text, "porchlight_certificate_ends_seconds{certificate=\"issuing\"} 1790000000"));
    assert_null(strstr(text, "certificate=\"root\"")); /* none is known */
    assert_true(has_line(text, "porchlight_webhook_deliveries_waiting 5"));
    assert_true(has_line(text, "# TYPE porchlight_mqtt_messages_received_total counter"));
    assert_true(has_line(text, "# TYPE porchlight_mqtt_sessions gauge"));
}

static void a_clock_that_went_back_gives_no_uptime_of_ages(void **state) {
    (void)state;
    const porch_metrics m = {.now_ms = 1000, .started_ms = 60000};
    assert_true(has_line(text_of(&m), "porchlight_uptime_seconds 0"));
}

/* With every number at its widest the text fits, and one byte less than it needs is told, not cut. */
static void the_widest_text_fits_and_a_small_block_is_refused(void **state) {
    (void)state;
    porch_metrics m;
    memset(&m, 0xff, sizeof m);
    m.signer_attached = m.analyst_attached = true;
    m.store.state = PORCH_OK;
    size_t len = strlen(text_of(&m));
    assert_true(len < PORCH_METRICS_MOST);
    porch_buf small = {block, 0, len - 1};
    assert_int_equal(porch_metrics_write(&m, &small), PORCH_ERR_NO_SPACE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_stands_under_its_name),
        cmocka_unit_test(a_clock_that_went_back_gives_no_uptime_of_ages),
        cmocka_unit_test(the_widest_text_fits_and_a_small_block_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
