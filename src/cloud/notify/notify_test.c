/* Notifications over a real store, with a signer and a courier of straw at the other ends of their sockets.
 */
#include "cloud/notify/notify.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/text.h"
#include "cloud/courier/courier_ipc.h"
#include "cloud/notify/notify_room.h"
#include "cloud/signer/signer_ipc.h"
#include "os/channel.h"
#include "os/clock.h"

enum { GUARD_SECONDS = 60, POSTS_MOST = 16, BLOCK_BYTES = 131072 };

/* What the courier of straw was asked to send. */
typedef struct {
    char id[64], url[128], body[4096], timestamp[32], signature[80];
} sent;

typedef struct {
    char dir[64];
    porch_settings settings;
    porch_store *store;
    porch_signer_client *signer;
    porch_courier_client *courier;
    porch_notify *notify;
    pthread_t signer_thread, courier_thread;
    int signer_fd, courier_fd;
    pthread_mutex_t lock;
    pthread_cond_t news;
    sent posts[POSTS_MOST];
    size_t posts_count;
    uint16_t script[POSTS_MOST]; /* statuses to answer with; after its end 200 */
    porch_notify_item told[POSTS_MOST];
    size_t told_count;
} world;

/* Seals by turning every byte round: enough to see that what is stored is not the secret. */
static void turn_round(porch_bytes in, uint8_t *out) {
    for (size_t i = 0; i < in.len; i++)
        out[i] = (uint8_t)~in.at[i];
}

static void *signer_of_straw(void *ctx) {
    world *w = ctx;
    static uint8_t in_block[PORCH_SIGNER_MESSAGE_MAX], out_block[PORCH_SIGNER_MESSAGE_MAX],
        data[PORCH_SIGNER_MESSAGE_MAX];
    porch_buf in = PORCH_BUF_OF(in_block);
    while (porch_channel_receive(w->signer_fd, &in, NULL, 0, NULL, -1, NULL) == PORCH_OK) {
        porch_signer_request r;
        porch_buf out = PORCH_BUF_OF(out_block);
        if (porch_signer_request_read(porch_buf_bytes(&in), &r) != PORCH_OK) break;
        turn_round(r.data, data);
        porch_signer_answer a = {.number = r.number, .data = {data, r.data.len}};
        if (porch_signer_answer_write(&out, &a) != PORCH_OK) break;
        if (porch_channel_send(w->signer_fd, porch_buf_bytes(&out), NULL, 0, -1, NULL) != PORCH_OK) break;
    }
    close(w->signer_fd);
    return NULL;
}

static void header_of(const porch_courier_message *m, const char *name, char *out, size_t cap) {
    for (size_t i = 0; i < m->headers_count; i++)
        if (porch_bytes_eq_text(m->header_names[i], name))
            (void)porch_bytes_to_text(m->header_values[i], out, cap);
}

static uint16_t note_post(world *w, const porch_courier_message *m) {
    uint16_t status = 200;
    pthread_mutex_lock(&w->lock);
    if (w->posts_count < POSTS_MOST) {
        sent *s = &w->posts[w->posts_count];
        if (w->script[w->posts_count]) status = w->script[w->posts_count];
        (void)porch_bytes_to_text(m->url, s->url, sizeof s->url);
        (void)porch_bytes_to_text(m->body, s->body, sizeof s->body);
        header_of(m, "webhook-id", s->id, sizeof s->id);
        header_of(m, "webhook-timestamp", s->timestamp, sizeof s->timestamp);
        header_of(m, "webhook-signature", s->signature, sizeof s->signature);
        w->posts_count++;
    }
    pthread_cond_broadcast(&w->news);
    pthread_mutex_unlock(&w->lock);
    return status;
}

static void *courier_of_straw(void *ctx) {
    world *w = ctx;
    static uint8_t in_block[BLOCK_BYTES], out_block[1024];
    porch_buf in = PORCH_BUF_OF(in_block);
    while (porch_channel_receive(w->courier_fd, &in, NULL, 0, NULL, -1, NULL) == PORCH_OK) {
        porch_courier_message m;
        porch_buf out = PORCH_BUF_OF(out_block);
        if (porch_courier_message_read(porch_buf_bytes(&in), &m) != PORCH_OK) break;
        porch_courier_answer a = {.number = m.number, .status = note_post(w, &m)};
        if (porch_courier_answer_write(&out, &a) != PORCH_OK) break;
        if (porch_channel_send(w->courier_fd, porch_buf_bytes(&out), NULL, 0, -1, NULL) != PORCH_OK) break;
    }
    close(w->courier_fd);
    return NULL;
}

static void told(const porch_notify_item *item, void *ctx) {
    world *w = ctx;
    pthread_mutex_lock(&w->lock);
    if (w->told_count < POSTS_MOST) w->told[w->told_count++] = *item;
    pthread_cond_broadcast(&w->news);
    pthread_mutex_unlock(&w->lock);
}

static void await(world *w, const size_t *count, size_t wanted) {
    pthread_mutex_lock(&w->lock);
    while (*count < wanted)
        pthread_cond_wait(&w->news, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------ */

static void open_notify(world *w) {
    porch_why why = {""};
    assert_int_equal(porch_store_open(w->dir, &w->settings, &w->store, &why), PORCH_OK);
    const porch_notify_config config = {.store = w->store,
                                        .signer = w->signer,
                                        .courier = w->courier,
                                        .settings = &w->settings,
                                        .public_url = "https://hub.example:8443"};
    assert_int_equal(porch_notify_open(&config, &w->notify, &why), PORCH_OK);
    assert_int_equal(porch_notify_on_new(w->notify, told, w), PORCH_OK);
}

static void close_notify(world *w) {
    porch_notify_stop(w->notify);
    porch_store_close(w->store);
    porch_notify_close(w->notify);
}

static int arrive(void **state) {
    static world the_world;
    world *w = &the_world;
    int signer[2], courier[2];
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/porch-notify-XXXXXX");
    if (!mkdtemp(w->dir)) return -1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->news, NULL);
    porch_settings_default(&w->settings);
    w->settings.notify_retry_first_ms = 1;
    w->settings.notify_retry_most_ms = 4;
    w->signer = porch_signer_client_new();
    w->courier = porch_courier_client_new();
    if (porch_channel_pair(signer, NULL) != PORCH_OK || porch_channel_pair(courier, NULL) != PORCH_OK)
        return -1;
    w->signer_fd = signer[1];
    w->courier_fd = courier[1];
    porch_signer_client_attach(w->signer, signer[0]);
    porch_courier_client_attach(w->courier, courier[0]);
    pthread_create(&w->signer_thread, NULL, signer_of_straw, w);
    pthread_create(&w->courier_thread, NULL, courier_of_straw, w);
    open_notify(w);
    *state = w;
    alarm(GUARD_SECONDS);
    return 0;
}

static int leave(void **state) {
    world *w = *state;
    char path[512];
    close_notify(w);
    porch_signer_client_free(w->signer);
    porch_courier_client_free(w->courier);
    pthread_join(w->signer_thread, NULL);
    pthread_join(w->courier_thread, NULL);
    DIR *d = opendir(w->dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        snprintf(path, sizeof path, "%s/%s", w->dir, e->d_name);
        if (e->d_name[0] != '.') (void)unlink(path);
    }
    if (d) closedir(d);
    (void)rmdir(w->dir);
    alarm(0);
    return 0;
}

/* ---- acts
 * ------------------------------------------------------------------------------------------------ */

static porch_notify_facts facts_of(const char *event) {
    return (porch_notify_facts){.event = event,
                                .device = "porch-cam",
                                .product = "camera",
                                .household = "home",
                                .timezone = "Europe/Berlin",
                                .clip = "clip-1",
                                .at_ms = 1767225600000,
                                .score = 0.87,
                                .box = {0.1, 0.2, 0.25, 0.5},
                                .trace = {.motion_at_ms = 1767225600000, .person_found_ms = 1767225601234}};
}

typedef struct {
    world *w;
    const char *event;
    const char *household;
    bool made;
    porch_err then;
} person_job;

static porch_err write_person(porch_db *db, void *ctx, porch_why *why) {
    person_job *job = ctx;
    porch_notify_facts facts = facts_of(job->event);
    if (job->household) facts.household = job->household;
    PORCH_TRY(porch_notify_person(job->w->notify, db, &facts, &job->made, why));
    return job->then;
}

static bool person(world *w, const char *event) {
    person_job job = {w, event, NULL, false, PORCH_OK};
    porch_why why = {""};
    if (porch_store_write(w->store, write_person, &job, &why) != PORCH_OK) fail_msg("%s", why.text);
    return job.made;
}

static bool first_webhook(const porch_notify_webhook *webhook, void *ctx) {
    *(porch_notify_webhook *)ctx = *webhook;
    return false;
}

static porch_notify_webhook webhook_now(world *w) {
    porch_notify_webhook got = {0};
    assert_int_equal(porch_notify_webhook_list(w->notify, first_webhook, &got, NULL), PORCH_OK);
    return got;
}

/* Waits for the delivery's outcome: each is written in a batch of its own after the courier's answer. */
static porch_notify_webhook await_outcome(world *w, uint64_t delivered, uint64_t given_up) {
    porch_notify_webhook got = webhook_now(w);
    while (got.delivered < delivered || got.given_up < given_up)
        got = webhook_now(w);
    return got;
}

/* ---- tests
 * ----------------------------------------------------------------------------------------------- */

static void an_event_makes_one_notification_however_often_it_is_found(void **state) {
    world *w = *state;
    assert_int_equal(porch_notify_start(w->notify, NULL), PORCH_OK);
    assert_true(person(w, "event-1"));
    assert_false(person(w, "event-1"));
    assert_true(person(w, "event-2"));
    await(w, &w->told_count, 2);
    assert_int_equal(w->told_count, 2);
    assert_string_equal(w->told[0].event, "event-1");
    assert_string_equal(w->told[1].event, "event-2");
    assert_true(w->told[0].seq < w->told[1].seq);
    assert_string_not_equal(w->told[0].id, w->told[1].id);
    assert_int_equal(strlen(w->told[0].id), 32);
    assert_true(w->told[0].trace.notification_durable_ms > 0);
    assert_true(strstr(w->told[0].why, "0.87") != NULL);
}

static void what_was_rolled_back_is_told_to_nobody(void **state) {
    world *w = *state;
    person_job job = {w, "event-1", NULL, false, PORCH_ERR_STATE};
    assert_int_equal(porch_notify_start(w->notify, NULL), PORCH_OK);
    assert_int_equal(porch_store_write(w->store, write_person, &job, NULL), PORCH_ERR_STATE);
    assert_true(person(w, "event-2"));
    await(w, &w->told_count, 1);
    assert_string_equal(w->told[0].event, "event-2");
}

static void a_webhook_gets_a_signed_body_that_says_what_where_when_and_why(void **state) {
    world *w = *state;
    char secret[PORCH_NOTIFY_SECRET_TEXT], expected[PORCH_NOTIFY_SIGNATURE_BYTES];
    uint8_t raw_block[64];
    porch_buf raw = PORCH_BUF_OF(raw_block);
    uint64_t timestamp = 0;
    porch_notify_webhook webhook;
    assert_int_equal(
        porch_notify_webhook_add(w->notify, "https://hooks.example/porch", &webhook, secret, NULL),
        PORCH_OK);
    assert_int_equal(porch_notify_start(w->notify, NULL), PORCH_OK);
    assert_true(person(w, "event-1"));
    await(w, &w->posts_count, 1);
    const sent *s = &w->posts[0];
    assert_string_equal(s->url, "https://hooks.example/porch");
    /* As a receiver verifies it, from the secret that the operator was shown. */
    assert_int_equal(strncmp(secret, "whsec_", 6), 0);
    assert_int_equal(porch_base64_read(&raw, porch_bytes_of(secret + 6), false), PORCH_OK);
    assert_int_equal(porch_decimal_read(porch_bytes_of(s->timestamp), UINT64_MAX, &timestamp), PORCH_OK);
    assert_int_equal(
        porch_notify_sign(porch_buf_bytes(&raw), s->id, timestamp, porch_bytes_of(s->body), expected),
        PORCH_OK);
    assert_string_equal(s->signature, expected);
    json_t *body = json_loads(s->body, 0, NULL);
    const json_t *data = json_object_get(body, "data");
    assert_string_equal(json_string_value(json_object_get(body, "type")), "notification.person");
    assert_string_equal(json_string_value(json_object_get(data, "id")), s->id);
    assert_string_equal(json_string_value(json_object_get(data, "device")), "porch-cam");
    assert_string_equal(json_string_value(json_object_get(data, "picture")),
                        "https://hub.example:8443/api/v1/events/event-1/picture");
    assert_int_equal(json_integer_value(json_object_get(data, "at_ms")), 1767225600000);
    assert_int_equal(json_array_size(json_object_get(data, "box")), 4);
    assert_non_null(json_object_get(data, "why"));
    assert_non_null(json_object_get(json_object_get(data, "trace"), "person_found_ms"));
    json_decref(body);
}

static void a_webhook_is_asked_again_with_the_same_id_until_it_takes_it_and_never_after(void **state) {
    world *w = *state;
    char secret[PORCH_NOTIFY_SECRET_TEXT];
    porch_notify_webhook webhook;
    w->script[0] = 500;
    w->script[1] = 302;
    assert_int_equal(porch_notify_webhook_add(w->notify, "https://hooks.example/", &webhook, secret, NULL),
                     PORCH_OK);
    assert_int_equal(porch_notify_start(w->notify, NULL), PORCH_OK);
    assert_true(person(w, "event-1"));
    webhook = await_outcome(w, 1, 0);
    assert_int_equal(w->posts_count, 3);
    assert_string_equal(w->posts[0].id, w->posts[2].id);
    assert_int_equal(webhook.last_status, 200);
    assert_int_equal(webhook.waiting, 0);
    /* Neither the same event again nor a restart sends it once more: the next post is the next event's. */
    assert_false(person(w, "event-1"));
    close_notify(w);
    open_notify(w);
    assert_int_equal(porch_notify_start(w->notify, NULL), PORCH_OK);
    assert_true(person(w, "event-2"));
    await(w, &w->posts_count, 4);
    assert_string_not_equal(w->posts[3].id, w->posts[0].id);
}

static void what_was_not_delivered_before_a_restart_is_delivered_after_it(void **state) {
    world *w = *state;
    char secret[PORCH_NOTIFY_SECRET_TEXT];
    porch_notify_webhook webhook;
    assert_int_equal(porch_notify_webhook_add(w->notify, "https://hooks.example/", &webhook, secret, NULL),
                     PORCH_OK);
    assert_true(person(w, "event-1"));
    close_notify(w);
    open_notify(w);
    assert_int_equal(porch_notify_start(w->notify, NULL), PORCH_OK);
    await(w, &w->posts_count, 1);
    assert_int_equal(await_outcome(w, 1, 0).delivered, 1);
}

static void a_receiver_that_is_gone_or_never_answers_well_is_given_up(void **state) {
    world *w = *state;
    char secret[PORCH_NOTIFY_SECRET_TEXT];
    porch_notify_webhook webhook;
    w->settings.notify_attempts = 3;
    w->script[0] = 410;
    w->script[1] = w->script[2] = w->script[3] = 503;
    assert_int_equal(porch_notify_webhook_add(w->notify, "https://hooks.example/", &webhook, secret, NULL),
                     PORCH_OK);
    assert_int_equal(porch_notify_start(w->notify, NULL), PORCH_OK);
    assert_true(person(w, "event-1"));
    (void)await_outcome(w, 0, 1);
    assert_int_equal(w->posts_count, 1);
    assert_true(person(w, "event-2"));
    webhook = await_outcome(w, 0, 2);
    assert_int_equal(w->posts_count, 4);
    assert_string_equal(webhook.last_error, "the receiver answered 503");
}

static void webhooks_that_cannot_be_meant_are_refused(void **state) {
    static const char *const bad[] = {"http://hooks.example/",
                                      "https://",
                                      "https:///x",
                                      "https://a b/",
                                      "https://user:pw@hooks.example/",
                                      "ftp://x/",
                                      "https://h\xc3\xb6ks.example/",
                                      "https://:443/"};
    world *w = *state;
    porch_notify_webhook webhook;
    char secret[PORCH_NOTIFY_SECRET_TEXT];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(porch_notify_webhook_add(w->notify, bad[i], &webhook, secret, NULL),
                         PORCH_ERR_USAGE);
    w->settings.notify_webhooks = 1;
    assert_int_equal(porch_notify_webhook_add(w->notify, "https://one.example/", &webhook, secret, NULL),
                     PORCH_OK);
    porch_notify_webhook second;
    assert_int_equal(porch_notify_webhook_add(w->notify, "https://two.example/", &second, secret, NULL),
                     PORCH_ERR_LIMIT);
    assert_int_equal(porch_notify_webhook_remove(w->notify, "nothing", NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_notify_webhook_remove(w->notify, webhook.id, NULL), PORCH_OK);
    assert_int_equal(porch_notify_webhook_remove(w->notify, webhook.id, NULL), PORCH_ERR_NOT_FOUND);
}

static porch_err secret_is_sealed(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select secret from webhook", why);
    PORCH_TRY(porch_db_step(q, why));
    porch_bytes stored = porch_db_blob(q, 0);
    uint8_t turned[PORCH_NOTIFY_SEALED_MAX];
    assert_true(stored.len <= sizeof turned);
    turn_round(stored, turned);
    assert_memory_equal(turned, ctx, stored.len);
    assert_memory_not_equal(stored.at, ctx, stored.len);
    porch_db_finish(q);
    return PORCH_OK;
}

static void the_secret_is_stored_sealed(void **state) {
    world *w = *state;
    porch_notify_webhook webhook;
    char secret[PORCH_NOTIFY_SECRET_TEXT];
    uint8_t raw_block[64];
    porch_buf raw = PORCH_BUF_OF(raw_block);
    assert_int_equal(porch_notify_webhook_add(w->notify, "https://one.example/", &webhook, secret, NULL),
                     PORCH_OK);
    assert_int_equal(porch_base64_read(&raw, porch_bytes_of(secret + 6), false), PORCH_OK);
    assert_int_equal(porch_store_read(w->store, secret_is_sealed, raw_block, NULL), PORCH_OK);
}

typedef struct {
    const char *household;
    uint64_t after;
    size_t count;
    char last[65];
} since_job;

static bool count_item(const porch_notify_item *item, void *ctx) {
    since_job *job = ctx;
    job->count++;
    snprintf(job->last, sizeof job->last, "%s", item->event);
    return true;
}

static porch_err read_since(porch_db *db, void *ctx, porch_why *why) {
    since_job *job = ctx;
    return porch_notify_since(db, job->household, job->after, 100, count_item, job, why);
}

static void a_stream_resumes_with_its_own_household_only(void **state) {
    world *w = *state;
    assert_true(person(w, "event-1"));
    person_job other = {w, "event-2", "next-door", false, PORCH_OK};
    assert_int_equal(porch_store_write(w->store, write_person, &other, NULL), PORCH_OK);
    assert_true(person(w, "event-3"));
    since_job home = {.household = "home"}, rest = {.household = "home", .after = 1}, all = {0};
    assert_int_equal(porch_store_read(w->store, read_since, &home, NULL), PORCH_OK);
    assert_int_equal(home.count, 2);
    assert_int_equal(porch_store_read(w->store, read_since, &rest, NULL), PORCH_OK);
    assert_int_equal(rest.count, 1);
    assert_string_equal(rest.last, "event-3");
    assert_int_equal(porch_store_read(w->store, read_since, &all, NULL), PORCH_OK);
    assert_int_equal(all.count, 3);
}

typedef struct {
    world *w;
    uint64_t real_ms, mono_ms;
} clean_job;

static porch_err clean(porch_db *db, void *ctx, porch_why *why) {
    const clean_job *job = ctx;
    return porch_notify_clean(job->w->notify, db, job->real_ms, job->mono_ms, why);
}

/* Cleans by these clocks; how many notifications are left. */
static size_t left_after(world *w, uint64_t real_ms, uint64_t mono_ms) {
    clean_job job = {w, real_ms, mono_ms};
    since_job all = {0};
    assert_int_equal(porch_store_write(w->store, clean, &job, NULL), PORCH_OK);
    assert_int_equal(porch_store_read(w->store, read_since, &all, NULL), PORCH_OK);
    return all.count;
}

static void no_notification_is_old_until_the_clock_has_stood(void **state) {
    world *w = *state;
    const uint64_t hour_ms = 3600000, settle_ms = w->settings.store_clock_settle_h * hour_ms;
    const uint64_t old_ms = porch_clock_ms() + (w->settings.notify_keep_days + 1) * 24 * hour_ms;
    assert_true(settle_ms > 0);
    /* The hub's own ticks judge by the clock that it has; these go on from there. */
    porch_store_forget(w->store, w->notify);
    w->notify->clock = (porch_clock_trust){0};
    assert_true(person(w, "event-1"));
    assert_int_equal(left_after(w, old_ms, 1000), 1); /* it may have jumped before the start */
    assert_int_equal(left_after(w, old_ms + settle_ms - 1, 1000 + settle_ms - 1), 1);
    assert_int_equal(left_after(w, old_ms + 2 * settle_ms, 1000 + settle_ms), 1); /* again it jumps */
    assert_int_equal(left_after(w, old_ms + 3 * settle_ms, 1000 + 2 * settle_ms), 0);
}

static void signatures_are_those_of_standard_webhooks(void **state) {
    (void)state;
    /* The specification's own example. */
    uint8_t raw_block[64];
    porch_buf raw = PORCH_BUF_OF(raw_block);
    char signature[PORCH_NOTIFY_SIGNATURE_BYTES];
    assert_int_equal(porch_base64_read(&raw, PORCH_LIT("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), false),
                     PORCH_OK);
    assert_int_equal(porch_notify_sign(porch_buf_bytes(&raw), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                       PORCH_LIT("{\"test\": 2432232314}"), signature),
                     PORCH_OK);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void retries_wait_longer_each_time_up_to_the_limit(void **state) {
    (void)state;
    assert_int_equal(porch_notify_retry_wait(0, 5000, 3600000), 5000);
    assert_int_equal(porch_notify_retry_wait(1, 5000, 3600000), 10000);
    assert_int_equal(porch_notify_retry_wait(9, 5000, 3600000), 2560000);
    assert_int_equal(porch_notify_retry_wait(10, 5000, 3600000), 3600000);
    assert_int_equal(porch_notify_retry_wait(UINT32_MAX, 5000, 3600000), 3600000);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_WORLD(an_event_makes_one_notification_however_often_it_is_found),
        IN_WORLD(what_was_rolled_back_is_told_to_nobody),
        IN_WORLD(a_webhook_gets_a_signed_body_that_says_what_where_when_and_why),
        IN_WORLD(a_webhook_is_asked_again_with_the_same_id_until_it_takes_it_and_never_after),
        IN_WORLD(what_was_not_delivered_before_a_restart_is_delivered_after_it),
        IN_WORLD(a_receiver_that_is_gone_or_never_answers_well_is_given_up),
        IN_WORLD(webhooks_that_cannot_be_meant_are_refused),
        IN_WORLD(the_secret_is_stored_sealed),
        IN_WORLD(a_stream_resumes_with_its_own_household_only),
        IN_WORLD(no_notification_is_old_until_the_clock_has_stood),
        cmocka_unit_test(signatures_are_those_of_standard_webhooks),
        cmocka_unit_test(retries_wait_longer_each_time_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
