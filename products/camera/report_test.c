#include "report.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the SDK of straw --- */

static uint64_t next_ticket = 41;
static porch_device_result outcome;

uint64_t porch_device_now_ms(void) {
    return 777;
}
const char *porch_device_news_name(porch_device_news news) {
    return news == PORCH_DEVICE_CONNECTED      ? "connected"
           : news == PORCH_DEVICE_CLIP_REFUSED ? "clip-refused"
                                               : "other";
}
porch_device_result porch_motion_publish(porch_device *device, const porch_motion *event,
                                         uint64_t *ret_ticket, porch_device_why *why) {
    (void)device;
    (void)event;
    (void)why;
    *ret_ticket = ++next_ticket;
    return outcome;
}

/* --- what was said --- */

static char said[4096];

/* Points a standard stream at a file, and back. */
static void hear(FILE *stream, int number, void (*speak)(void)) {
    FILE *f = tmpfile();
    assert_non_null(f);
    (void)fflush(stream);
    int before = dup(number);
    assert_true(dup2(fileno(f), number) >= 0);
    speak();
    (void)fflush(stream);
    assert_true(dup2(before, number) >= 0);
    (void)close(before);
    rewind(f);
    size_t n = fread(said, 1, sizeof said - 1, f);
    said[n] = '\0';
    (void)fclose(f);
}

static const porch_motion motion = {.id = {"e1"}, .at_ms = 5, .score = 0.25, .box = {0.1, 0.2, 0.3, 0.4}};

static void publish(void) {
    porch_device_why why;
    porch_camera_report_motion(&motion);
    assert_int_equal(porch_camera_report_publish(NULL, &motion, &why), outcome);
}

static void status(porch_device_status s) {
    if (!s.name) s.name = "";
    if (!s.sha256) s.sha256 = "";
    if (!s.text) s.text = "";
    porch_camera_report_status(NULL, &s);
}

static void acknowledge(void) {
    status((porch_device_status){.news = PORCH_DEVICE_ACKNOWLEDGED, .ticket = next_ticket, .at_ms = 9});
    status((porch_device_status){
        .news = PORCH_DEVICE_ACKNOWLEDGED, .ticket = 7, .at_ms = 9}); /* of an earlier run */
}

static void complete(void) {
    status((porch_device_status){.news = PORCH_DEVICE_CLIP_STARTED, .name = "e1", .at_ms = 10});
    status((porch_device_status){
        .news = PORCH_DEVICE_CLIP_COMPLETE, .name = "e1", .at_ms = 11, .sha256 = "ab", .bytes = 12});
    porch_camera_report_capture("stopped", 3);
    porch_camera_report_finished(true);
}

static void the_hops_are_lines_of_json(void **state) {
    (void)state;
    outcome = PORCH_DEVICE_OK;
    porch_camera_report_init(true);
    hear(stdout, 1, publish);
    assert_string_equal(
        said,
        "{\"hop\":\"motion\",\"event\":\"e1\",\"at_ms\":5,\"score\":0.2500,\"box\":[0.1000,0.2000,0.3000,"
        "0.4000],\"decided_ms\":777}\n{\"hop\":\"event-published\",\"event\":\"e1\",\"at_ms\":777}\n");
    hear(stdout, 1, acknowledge);
    assert_string_equal(said, "{\"hop\":\"event-acknowledged\",\"event\":\"e1\",\"at_ms\":9}\n");
    hear(stdout, 1, complete);
    assert_string_equal(
        said, "{\"hop\":\"clip-first-byte\",\"event\":\"e1\",\"at_ms\":10}\n"
              "{\"hop\":\"clip-complete\",\"event\":\"e1\",\"at_ms\":11,\"sha256\":\"ab\",\"bytes\":12}\n"
              "{\"hop\":\"capture\",\"event\":\"\",\"at_ms\":777,\"state\":\"stopped\",\"wish\":3}\n"
              "{\"hop\":\"finished\",\"event\":\"\",\"at_ms\":777,\"acknowledged\":true}\n");
}

static void or_lines_of_text(void **state) {
    (void)state;
    porch_camera_report_init(false);
    hear(stdout, 1, publish);
    assert_non_null(
        strstr(said, "5 motion             e1 score=0.25 box=0.10,0.20,0.30,0.40 decided=777\n"));
    hear(stdout, 1, complete);
    assert_non_null(strstr(said, "11 clip-complete      e1 sha256=ab bytes=12\n"));
    assert_non_null(strstr(said, "stopped wish=3\n"));
}

static void what_was_not_published_is_no_hop(void **state) {
    (void)state;
    outcome = PORCH_DEVICE_FAULT;
    porch_camera_report_init(true);
    hear(stdout, 1, publish);
    assert_null(strstr(said, "event-published"));
    hear(stdout, 1, acknowledge);
    assert_string_equal(said, "");
    outcome = PORCH_DEVICE_OK;
}

static void news(void) {
    status((porch_device_status){.news = PORCH_DEVICE_CONNECTED});
    status((porch_device_status){.news = PORCH_DEVICE_CLIP_REFUSED, .name = "e1", .text = "too long"});
    status((porch_device_status){.news = PORCH_DEVICE_WARNING, .text = "look out"});
}

static void the_links_ups_and_downs_are_notes_on_standard_error(void **state) {
    (void)state;
    hear(stderr, 2, news);
    assert_string_equal(
        said, "porchlight-camera: note: connected\nporchlight-camera: warning: clip-refused e1: too long\n"
              "porchlight-camera: warning: look out\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hops_are_lines_of_json),
        cmocka_unit_test(or_lines_of_text),
        cmocka_unit_test(what_was_not_published_is_no_hop),
        cmocka_unit_test(the_links_ups_and_downs_are_notes_on_standard_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
