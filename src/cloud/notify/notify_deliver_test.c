/* Whose turn it is among webhooks, over a real store. Where they are sent is noted, the signer's and the
 * courier's parts are played here. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cloud/notify/notify_room.h"
#include "os/clock.h"

enum { POSTS_MAX = 32, FIRST_MS = 60000, REST_MOST_MS = 300000 };

/* ---- the signer and the courier ---- */

static struct {
    char urls[POSTS_MAX][64]; /* that were posted to, in order */
    size_t count;
    uint64_t ended_ms; /* when the last post ended */
} sent;

porch_err porch_signer_seal(porch_signer_client *c, const char *label, porch_bytes plain, porch_buf *sealed,
                            porch_why *why) {
    (void)c, (void)label, (void)why;
    return porch_write_bytes(sealed, plain);
}

porch_err porch_signer_unseal(porch_signer_client *c, const char *label, porch_bytes sealed,
                              porch_buf *plain, porch_why *why) {
    (void)c, (void)label, (void)why;
    return porch_write_bytes(plain, sealed);
}

porch_err porch_signer_vapid_key(porch_signer_client *c, uint8_t public_key[PORCH_SIGNER_VAPID_KEY_BYTES],
                                 porch_why *why) {
    (void)c, (void)public_key, (void)why;
    return PORCH_ERR_CHILD;
}

porch_err porch_signer_vapid_token(porch_signer_client *c, const char *audience, uint64_t ends_ms,
                                   char token[PORCH_SIGNER_VAPID_TOKEN_TEXT], porch_why *why) {
    (void)c, (void)audience, (void)ends_ms, (void)token, (void)why;
    return PORCH_ERR_CHILD;
}

/* Of hosts whose name begins with "dead" there is no answer, for "away" ones no courier; "gone" ones answer
 * 410, the others take it. Each answer takes some time. */
porch_err porch_courier_post(porch_courier_client *c, const porch_courier_request *request,
                             uint16_t *status, porch_why *why) {
    (void)c;
    uint64_t begun_ms = porch_clock_ms();
    assert_true(sent.count < POSTS_MAX);
    snprintf(sent.urls[sent.count++], sizeof sent.urls[0], "%s", request->url);
    while ((sent.ended_ms = porch_clock_ms()) < begun_ms + 2) {
    }
    if (strncmp(request->url, "https://dead", 12) == 0)
        return porch_fail(why, PORCH_ERR_TIMEOUT, "no answer in time");
    if (strncmp(request->url, "https://away", 12) == 0)
        return porch_fail(why, PORCH_ERR_CHILD, "the courier is away");
    *status = strncmp(request->url, "https://gone", 12) == 0 ? 410 : 200;
    return PORCH_OK;
}

/* ---- life ---- */

typedef struct {
    char dir[64];
    porch_settings settings;
    porch_store *store;
    porch_notify *notify;
    unsigned events;
} world;

static int arrive(void **state) {
    static world the_world;
    world *w = &the_world;
    memset(w, 0, sizeof *w);
    memset(&sent, 0, sizeof sent);
    snprintf(w->dir, sizeof w->dir, "/tmp/porch-deliver-XXXXXX");
    if (!mkdtemp(w->dir)) return -1;
    porch_settings_default(&w->settings);
    w->settings.notify_retry_first_ms = FIRST_MS;
    assert_int_equal(porch_store_open(w->dir, &w->settings, &w->store, NULL), PORCH_OK);
    const porch_notify_config config = {
        .store = w->store, .settings = &w->settings, .public_url = "https://hub.example"};
    assert_int_equal(porch_notify_open(&config, &w->notify, NULL), PORCH_OK);
    porch_store_forget(w->store, w->notify); /* no tick says how the clock stands, the tests do */
    *state = w;
    return 0;
}

static int leave(void **state) {
    world *w = *state;
    porch_notify_close(w->notify);
    porch_store_close(w->store);
    DIR *d = opendir(w->dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", w->dir, e->d_name);
        if (e->d_name[0] != '.') (void)unlink(path);
    }
    if (d) closedir(d);
    (void)rmdir(w->dir);
    return 0;
}

/* ---- acts ---- */

static void add(world *w, const char *url) {
    porch_notify_webhook made;
    char secret[PORCH_NOTIFY_SECRET_TEXT];
    assert_int_equal(porch_notify_webhook_add(w->notify, url, &made, secret, NULL), PORCH_OK);
}

typedef struct {
    world *w;
    char event[33];
} person_job;

static porch_err write_person(porch_db *db, void *ctx, porch_why *why) {
    const person_job *job = ctx;
    const porch_notify_facts facts = {.event = job->event,
                                      .device = "door",
                                      .product = "camera",
                                      .household = "home",
                                      .clip = "clip",
                                      .at_ms = porch_clock_ms()};
    return porch_notify_person(job->w->notify, db, &facts, NULL, why);
}

static void see(world *w, unsigned persons) {
    for (unsigned i = 0; i < persons; i++) {
        person_job job = {.w = w};
        snprintf(job.event, sizeof job.event, "event-%u", ++w->events);
        assert_int_equal(porch_store_write(w->store, write_person, &job, NULL), PORCH_OK);
    }
}

static porch_err run(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ctx, why);
}

static void sql(world *w, const char *text) {
    porch_why why = {""};
    if (porch_store_write(w->store, run, (void *)(uintptr_t)text, &why) != PORCH_OK)
        fail_msg("%s", why.text);
}

typedef struct {
    const char *text;
    int64_t number;
} number_job;

static porch_err read_number(porch_db *db, void *ctx, porch_why *why) {
    number_job *job = ctx;
    porch_db_query *q = porch_db_prepare(db, job->text, why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) job->number = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static int64_t number(world *w, const char *text) {
    number_job job = {.text = text};
    assert_int_equal(porch_store_read(w->store, read_number, &job, NULL), PORCH_OK);
    return job.number;
}

/* Sends until nothing is due; the wait until something is. */
static uint64_t deliver(world *w) {
    uint64_t wait_ms = 0;
    porch_why why = {""};
    while (wait_ms == 0)
        if (porch_notify_deliver_one(w->notify, &wait_ms, &why) != PORCH_OK) fail_msg("%s", why.text);
    return wait_ms;
}

static size_t posts_to(const char *url) {
    size_t count = 0;
    for (size_t i = 0; i < sent.count; i++)
        count += strcmp(sent.urls[i], url) == 0;
    return count;
}

/* ---- tests ---- */

static void a_webhook_that_fails_rests_and_holds_up_no_other(void **state) {
    world *w = *state;
    add(w, "https://dead.example/");
    add(w, "https://hooks.example/");
    see(w, 6);
    assert_in_range(deliver(w), 1, FIRST_MS);
    assert_int_equal(posts_to("https://dead.example/"), 1);
    assert_int_equal(posts_to("https://hooks.example/"), 6);
    /* The rest is over: again one attempt, and a longer rest, up to the longest. */
    for (int64_t failures = 2; failures <= 6; failures++) {
        sql(w, "update webhook set resting_until_ms = 1");
        sent.count = 0;
        (void)deliver(w);
        assert_int_equal(sent.count, 1);
        assert_int_equal(number(w, "select max(failures) from webhook"), failures);
    }
    int64_t rests_until_ms = number(w, "select max(resting_until_ms) from webhook");
    assert_true(rests_until_ms >= (int64_t)sent.ended_ms + REST_MOST_MS);
}

static void the_wait_is_until_the_rest_is_over(void **state) {
    world *w = *state;
    char text[96];
    add(w, "https://hooks.example/");
    see(w, 1);
    snprintf(text, sizeof text, "update webhook set resting_until_ms = %llu",
             (unsigned long long)porch_clock_ms() + 200000);
    sql(w, text);
    assert_in_range(deliver(w), 100000, 200000);
    assert_int_equal(sent.count, 0);
}

static void waits_are_counted_from_the_end_of_the_attempt(void **state) {
    world *w = *state;
    add(w, "https://dead.example/");
    see(w, 1);
    (void)deliver(w);
    assert_true((uint64_t)number(w, "select next_at_ms from notification_delivery") >=
                sent.ended_ms + FIRST_MS);
    assert_true((uint64_t)number(w, "select resting_until_ms from webhook") >= sent.ended_ms + FIRST_MS);
}

static void webhooks_take_turns(void **state) {
    world *w = *state;
    add(w, "https://a.example/");
    add(w, "https://b.example/");
    see(w, 2);
    /* One that was served by a clock that has been set back since has waited long enough. */
    sql(w, "update webhook set served_ms = case url when 'https://b.example/' then 9000000000000000 else 1 "
           "end");
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(sent.count, 4);
    assert_string_equal(sent.urls[0], "https://b.example/");
    assert_string_equal(sent.urls[1], "https://a.example/");
}

static void
neither_a_gone_receiver_nor_a_courier_that_is_away_counts_and_a_success_ends_the_count(void **state) {
    static const char *const urls[] = {"https://gone.example/", "https://away.example/",
                                       "https://hooks.example/"};
    world *w = *state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        sql(w, "delete from webhook");
        add(w, urls[i]);
        sql(w, "update webhook set failures = 9, resting_until_ms = 1");
        see(w, 1);
        (void)deliver(w);
        assert_int_equal(posts_to(urls[i]), 1);
        assert_int_equal(number(w, "select resting_until_ms from webhook"), 0);
        assert_int_equal(number(w, "select failures from webhook"), i < 2 ? 9 : 0);
    }
}

static void what_a_clock_that_was_set_back_left_in_the_future_holds_nothing(void **state) {
    world *w = *state;
    char text[96];
    uint64_t far_ms = porch_clock_ms() + 2 * (uint64_t)w->settings.notify_retry_most_ms;
    add(w, "https://hooks.example/");
    see(w, 1);
    snprintf(text, sizeof text, "update webhook set resting_until_ms = %llu", (unsigned long long)far_ms);
    sql(w, text);
    snprintf(text, sizeof text, "update notification_delivery set next_at_ms = %llu",
             (unsigned long long)far_ms);
    sql(w, text);
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(sent.count, 1);
}

static void a_dead_webhook_keeps_nothing_that_is_older_than_its_attempts(void **state) {
    world *w = *state;
    w->settings.notify_attempts = 3;
    add(w, "https://dead.example/");
    add(w, "https://dead.example/resting");
    see(w, 4);
    uint64_t now_ms = porch_clock_ms(), age_ms = FIRST_MS + 2 * FIRST_MS + 4 * FIRST_MS + REST_MOST_MS;
    char text[128];
    snprintf(text, sizeof text,
             "update notification set made_ms = %llu where event in ('event-2', 'event-3')",
             (unsigned long long)(now_ms - age_ms - 1));
    sql(w, text);
    snprintf(text, sizeof text, "update notification set made_ms = %llu where event = 'event-4'",
             (unsigned long long)(now_ms - FIRST_MS));
    sql(w, text);
    snprintf(text, sizeof text, "update webhook set resting_until_ms = %llu where url like '%%resting'",
             (unsigned long long)(now_ms + REST_MOST_MS));
    sql(w, text);
    /* By a clock that may be wrong nothing is. */
    (void)deliver(w);
    assert_int_equal(number(w, "select count(*) from notification_delivery where state = 'waiting'"), 8);
    w->notify->clock_stands = true;
    sql(w, "update webhook set resting_until_ms = 1 where url not like '%resting'");
    (void)deliver(w);
    assert_int_equal(sent.count, 2);
    assert_int_equal(number(w, "select count(*) from notification_delivery d join webhook w on w.id = "
                               "d.webhook where d.state = 'given-up' and w.url not like '%resting' and "
                               "d.notification in (select seq from notification where event in ('event-2', "
                               "'event-3'))"),
                     2);
    assert_int_equal(number(w, "select count(*) from notification_delivery where state = 'waiting'"), 6);
}

/* Adds it; what the log says of that. */
static void log_of_adding(world *w, const char *url, char *text, size_t cap) {
    FILE *log = tmpfile();
    int real = dup(STDERR_FILENO);
    assert_true(log != NULL && real >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
    add(w, url);
    assert_true(dup2(real, STDERR_FILENO) >= 0);
    close(real);
    rewind(log);
    text[fread(text, 1, cap - 1, log)] = '\0';
    fclose(log);
}

static void the_log_names_a_webhooks_host_and_nothing_behind_it(void **state) {
    static const char *const urls[] = {"https://hooks.example:8443/T0KEN",
                                       "https://hooks.example:8443?T0KEN"};
    world *w = *state;
    char text[4096];
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        log_of_adding(w, urls[i], text, sizeof text);
        assert_non_null(strstr(text, "https://hooks.example:8443"));
        assert_null(strstr(text, "T0KEN"));
    }
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_webhook_that_fails_rests_and_holds_up_no_other),
        IN_WORLD(the_wait_is_until_the_rest_is_over),
        IN_WORLD(waits_are_counted_from_the_end_of_the_attempt),
        IN_WORLD(webhooks_take_turns),
        IN_WORLD(neither_a_gone_receiver_nor_a_courier_that_is_away_counts_and_a_success_ends_the_count),
        IN_WORLD(what_a_clock_that_was_set_back_left_in_the_future_holds_nothing),
        IN_WORLD(the_log_names_a_webhooks_host_and_nothing_behind_it),
        IN_WORLD(a_dead_webhook_keeps_nothing_that_is_older_than_its_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
