/* Who is pushed to and who is left alone, over a real store. Rows are counted, and where they are sent, the
 * signer's and the courier's parts are played here. */
#include "cloud/notify/notify_push.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "cloud/notify/notify_room.h"
#include "crypto/keystore.h"
#include "crypto/webpush.h"
#include "os/clock.h"

static const uint64_t NOON_MS = 1767265200000; /* 2026-01-01T11:00:00Z, 12:00 in Berlin */
enum { HOUR_MS = 3600000 };

/* ---- the signer and the courier ---- */

enum { POSTS_MAX = 32 };
static struct {
    char urls[POSTS_MAX][64]; /* that were posted to, in order */
    size_t count;
    unsigned tokens;              /* signed for https://push.example */
    void (*meanwhile)(void *ctx); /* what happens while the next post is on the wire */
    void *meanwhile_ctx;
} sent;

porch_err porch_signer_seal(porch_signer_client *c, const char *label, porch_bytes plain, porch_buf *sealed,
                            porch_why *why) {
    (void)c, (void)label, (void)plain, (void)sealed, (void)why;
    return PORCH_ERR_CHILD;
}

porch_err porch_signer_unseal(porch_signer_client *c, const char *label, porch_bytes sealed,
                              porch_buf *plain, porch_why *why) {
    (void)c, (void)label, (void)sealed, (void)plain, (void)why;
    return PORCH_ERR_CHILD;
}

porch_err porch_signer_vapid_key(porch_signer_client *c, uint8_t public_key[PORCH_SIGNER_VAPID_KEY_BYTES],
                                 porch_why *why) {
    (void)c, (void)why;
    memset(public_key, 4, PORCH_SIGNER_VAPID_KEY_BYTES);
    return PORCH_OK;
}

porch_err porch_signer_vapid_token(porch_signer_client *c, const char *audience, uint64_t ends_ms,
                                   char token[PORCH_SIGNER_VAPID_TOKEN_TEXT], porch_why *why) {
    (void)c, (void)ends_ms, (void)why;
    sent.tokens += strcmp(audience, "https://push.example") == 0;
    snprintf(token, PORCH_SIGNER_VAPID_TOKEN_TEXT, "a.b.c");
    return PORCH_OK;
}

/* Of hosts whose name begins with "dead" there is no answer; "gone" ones answer 410, "deny" ones 403,
 * "busy" ones 503; the others take it. */
porch_err porch_courier_post(porch_courier_client *c, const porch_courier_request *request,
                             uint16_t *status, porch_why *why) {
    (void)c;
    assert_true(sent.count < POSTS_MAX);
    snprintf(sent.urls[sent.count++], sizeof sent.urls[0], "%s", request->url);
    void (*meanwhile)(void *) = sent.meanwhile;
    sent.meanwhile = NULL;
    if (meanwhile) meanwhile(sent.meanwhile_ctx);
    if (strncmp(request->url, "https://dead", 12) == 0)
        return porch_fail(why, PORCH_ERR_TIMEOUT, "no answer in time");
    static const struct {
        const char *begins;
        uint16_t status;
    } answers[] = {{"https://gone", 410}, {"https://deny", 403}, {"https://busy", 503}};
    *status = 201;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strncmp(request->url, answers[i].begins, 12) == 0) *status = answers[i].status;
    return PORCH_OK;
}

typedef struct {
    char dir[64];
    porch_settings settings;
    porch_store *store;
    porch_notify *notify;
    char key[128]; /* of a browser, base64url */
    unsigned events;
} world;

/* Each person's sign-in is called as the person. */
static porch_err add_accounts(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    PORCH_TRY(porch_db_run(
        db,
        "insert into account (id, name, name_key, role, household, password, totp_id, totp, "
        "created_ms, awaiting_reset) values ('robin', 'robin', 'robin', 'owner', 'home', '', 't1', "
        "x'00', 0, 0), ('guest', 'guest', 'guest', 'guest', 'home', '', 't5', x'00', 0, 0), ('sam', 'sam', "
        "'sam', 'owner', 'home', '', 't2', x'00', 0, 0), ('other', "
        "'other', 'other', 'owner', 'next-door', '', 't3', x'00', 0, 0), ('locked', 'locked', "
        "'locked', 'owner', 'home', '', 't4', x'00', 0, 1)",
        why));
    return porch_db_run(db,
                        "insert into session (hash, account, created_ms, seen_ms, address, id) select "
                        "cast(id as blob), id, 0, 0, '', id from account",
                        why);
}

static void make_key(world *w) {
    porch_key *key = NULL;
    uint8_t point[PORCH_WEBPUSH_PUBLIC_BYTES];
    porch_buf text = {(uint8_t *)w->key, 0, sizeof w->key - 1};
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_es256_public(key, point, NULL), PORCH_OK);
    assert_int_equal(porch_base64_write(&text, (porch_bytes){point, sizeof point}, true), PORCH_OK);
    porch_key_free(key);
}

static bool may_tell(const porch_person *person, const char *device, void *ctx) {
    (void)person, (void)device, (void)ctx;
    return true;
}

static int arrive(void **state) {
    static world the_world;
    world *w = &the_world;
    porch_why why = {""};
    memset(w, 0, sizeof *w);
    memset(&sent, 0, sizeof sent);
    snprintf(w->dir, sizeof w->dir, "/tmp/porch-push-XXXXXX");
    if (!mkdtemp(w->dir)) return -1;
    porch_settings_default(&w->settings);
    assert_int_equal(porch_store_open(w->dir, &w->settings, &w->store, &why), PORCH_OK);
    const porch_notify_config config = {.store = w->store,
                                        .settings = &w->settings,
                                        .public_url = "https://hub.example",
                                        .may_tell = may_tell};
    assert_int_equal(porch_notify_open(&config, &w->notify, &why), PORCH_OK);
    if (porch_store_write(w->store, add_accounts, NULL, &why) != PORCH_OK) fail_msg("%s", why.text);
    make_key(w);
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

static porch_err move_to(world *w, const char *account, const char *was, const char *endpoint,
                         const char *auth) {
    char id[33];
    bool made = false;
    return porch_push_subscribe(w->notify, account, account, porch_bytes_of(endpoint), porch_bytes_of(was),
                                porch_bytes_of(w->key), porch_bytes_of(auth), id, &made, NULL);
}

static porch_err subscribe_as(world *w, const char *account, const char *endpoint, const char *auth) {
    return move_to(w, account, "", endpoint, auth);
}

static void subscribe(world *w, const char *account) {
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "https://push.example/%s", account);
    assert_int_equal(subscribe_as(w, account, endpoint, "AAAAAAAAAAAAAAAAAAAAAA"), PORCH_OK);
}

typedef struct {
    world *w;
    const char *device;
    uint64_t now_ms;
    char event[33];
    int64_t rows;
} person_job;

static porch_err write_person(porch_db *db, void *ctx, porch_why *why) {
    person_job *job = ctx;
    const porch_notify_facts facts = {.event = job->event,
                                      .device = job->device,
                                      .product = "camera",
                                      .household = "home",
                                      .timezone = "Europe/Berlin",
                                      .clip = "clip",
                                      .at_ms = job->now_ms};
    porch_notify_item item;
    uint64_t seq = 0;
    porch_notify_item_of(&facts, &item);
    PORCH_TRY(porch_notify_item_insert(db, &item, job->now_ms, &seq, why));
    PORCH_TRY(porch_push_queue(job->w->notify, db, seq, &facts, job->now_ms, why));
    job->rows = porch_db_changes(db);
    return PORCH_OK;
}

/* A person is seen; how many browsers will be told. */
static int64_t seen(world *w, const char *device, uint64_t now_ms) {
    person_job job = {.w = w, .device = device, .now_ms = now_ms};
    porch_why why = {""};
    snprintf(job.event, sizeof job.event, "event-%u", ++w->events);
    if (porch_store_write(w->store, write_person, &job, &why) != PORCH_OK) fail_msg("%s", why.text);
    return job.rows;
}

/* ---- tests ---- */

static void only_the_households_own_and_unlocked_people_are_pushed_to(void **state) {
    world *w = *state;
    assert_int_equal(seen(w, "door", NOON_MS), 0);
    subscribe(w, "robin");
    subscribe(w, "sam");
    subscribe(w, "other");
    subscribe(w, "locked");
    assert_int_equal(seen(w, "door", NOON_MS), 2);
}

/* 2026-01-01, 14:00 in Berlin. */
static porch_err let_the_guest_go_at_two(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_db_run(db, "update account set expires_ms = 1767272400000 where id = 'guest'", why);
}

static void a_guest_whose_time_is_over_hears_nothing(void **state) {
    world *w = *state;
    subscribe(w, "guest");
    assert_int_equal(seen(w, "door", NOON_MS), 1);
    assert_int_equal(porch_store_write(w->store, let_the_guest_go_at_two, NULL, NULL), PORCH_OK);
    assert_int_equal(seen(w, "door", NOON_MS + HOUR_MS), 1);
    assert_int_equal(seen(w, "door", NOON_MS + 2 * HOUR_MS), 0);
}

static void a_camera_cools_down_for_itself_alone(void **state) {
    world *w = *state;
    subscribe(w, "robin");
    assert_int_equal(seen(w, "door", NOON_MS), 1);
    assert_int_equal(seen(w, "door", NOON_MS + 59999), 0);
    assert_int_equal(seen(w, "garden", NOON_MS + 1000), 1);
    assert_int_equal(seen(w, "door", NOON_MS + 60000), 1);
    /* A clock that was set back an hour does not silence the door for an hour. */
    assert_int_equal(seen(w, "door", NOON_MS - HOUR_MS), 1);
}

static void a_snooze_is_one_persons_about_one_camera_until_it_ends(void **state) {
    world *w = *state;
    uint64_t until_ms = 0, now_ms = porch_clock_ms();
    subscribe(w, "robin");
    subscribe(w, "sam");
    w->settings.push_cooldown_s = 0;
    for (uint32_t minutes = 1; minutes <= 60; minutes++)
        if (minutes != 15 && minutes != 30 && minutes != 60)
            assert_int_equal(porch_push_snooze(w->notify, "robin", "door", minutes, &until_ms, NULL),
                             PORCH_ERR_USAGE);
    assert_int_equal(porch_push_snooze(w->notify, "robin", "door", 15, &until_ms, NULL), PORCH_OK);
    assert_true(until_ms >= now_ms + 900000);
    assert_int_equal(seen(w, "door", until_ms - 1), 1);
    assert_int_equal(seen(w, "garden", until_ms - 1), 2);
    assert_int_equal(seen(w, "door", until_ms), 2);
    assert_int_equal(porch_push_snooze(w->notify, "robin", "door", 60, &until_ms, NULL), PORCH_OK);
    assert_int_equal(seen(w, "door", until_ms - 1), 1);
    assert_int_equal(porch_push_snooze(w->notify, "robin", "door", 0, &until_ms, NULL), PORCH_OK);
    assert_int_equal(until_ms, 0);
    assert_int_equal(seen(w, "door", porch_clock_ms()), 2);
}

static porch_err run(porch_db *db, void *ctx, porch_why *why) {
    return porch_db_run(db, ctx, why);
}

static porch_err clean_push(porch_db *db, void *ctx, porch_why *why) {
    const uint64_t *now_ms = ctx;
    return porch_push_clean(db, *now_ms, why);
}

static void a_snooze_from_the_future_is_none_and_does_not_begin_when_that_comes(void **state) {
    world *w = *state;
    uint64_t until_ms = 0, now_ms = 0;
    porch_push_view view;
    subscribe(w, "robin");
    w->settings.push_cooldown_s = 0;
    assert_int_equal(porch_push_snooze(w->notify, "robin", "door", 60, &until_ms, NULL), PORCH_OK);
    assert_int_equal(seen(w, "door", until_ms - HOUR_MS), 0);
    assert_int_equal(seen(w, "door", until_ms - HOUR_MS - 1000), 0); /* the clock is corrected */
    assert_int_equal(seen(w, "door", until_ms - 2 * HOUR_MS), 1);    /* or set back */
    assert_int_equal(
        porch_store_write(w->store, run, "update push_snooze set until_ms = until_ms + 3600000", NULL),
        PORCH_OK);
    assert_int_equal(porch_push_read(w->notify, "robin", &view, NULL), PORCH_OK);
    assert_int_equal(view.snoozes_count, 0);
    now_ms = until_ms - HOUR_MS;
    assert_int_equal(porch_store_write(w->store, clean_push, &now_ms, NULL), PORCH_OK);
    assert_int_equal(seen(w, "door", until_ms), 1);
}

static void quiet_hours_follow_the_households_clock_also_over_midnight(void **state) {
    static const struct {
        uint32_t begins, ends;
        int64_t minutes; /* after 12:00 in Berlin */
        int64_t told;
    } rows[] = {
        {12 * 60, 13 * 60, -1, 1},       {12 * 60, 13 * 60, 0, 0},   {12 * 60, 13 * 60, 59, 0},
        {12 * 60, 13 * 60, 60, 1},       {22 * 60, 7 * 60, 599, 1},  {22 * 60, 7 * 60, 600, 0},
        {22 * 60, 7 * 60, 12 * 60, 0},   {22 * 60, 7 * 60, 1139, 0}, {22 * 60, 7 * 60, 1140, 1},
        {9 * 60, 9 * 60 + 5, -3 * 60, 0} /* 09:00: a leading zero is a digit */
    };
    world *w = *state;
    subscribe(w, "robin");
    w->settings.push_cooldown_s = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(porch_push_quiet(w->notify, "robin", rows[i].begins, rows[i].ends, NULL),
                         PORCH_OK);
        int64_t told = seen(w, "door", (uint64_t)((int64_t)NOON_MS + rows[i].minutes * 60000));
        if (told != rows[i].told) fail_msg("row %zu: %lld told", i, (long long)told);
    }
    assert_int_equal(porch_push_quiet(w->notify, "robin", 1440, 0, NULL), PORCH_ERR_USAGE);
    assert_int_equal(porch_push_quiet(w->notify, "robin", 8 * 60, 8 * 60, NULL), PORCH_OK);
    assert_int_equal(seen(w, "door", NOON_MS + HOUR_MS), 1);
}

static void an_endpoint_belongs_to_who_holds_its_keys_and_their_number_is_limited(void **state) {
    world *w = *state;
    static porch_push_view view;
    w->settings.push_subscriptions = 2;
    assert_int_equal(subscribe_as(w, "robin", "https://push.example/1", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_OK);
    assert_int_equal(subscribe_as(w, "sam", "https://push.example/1", "AAAAAAAAAAAAAAAAAAAAAQ"),
                     PORCH_ERR_EXISTS);
    assert_int_equal(subscribe_as(w, "robin", "https://push.example/2", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_OK);
    assert_int_equal(subscribe_as(w, "robin", "https://push.example/3", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_ERR_LIMIT);
    assert_int_equal(subscribe_as(w, "sam", "https://push.example/1", "AAAAAAAAAAAAAAAAAAAAAA"), PORCH_OK);
    assert_int_equal(porch_push_read(w->notify, "robin", &view, NULL), PORCH_OK);
    assert_int_equal(view.subscriptions_count, 1);
    assert_string_equal(view.subscriptions[0].origin, "https://push.example");
    assert_int_equal(porch_push_unsubscribe(w->notify, "sam", view.subscriptions[0].id, NULL),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_push_unsubscribe(w->notify, "robin", view.subscriptions[0].id, NULL), PORCH_OK);
    assert_int_equal(porch_push_unsubscribe(w->notify, "robin", view.subscriptions[0].id, NULL),
                     PORCH_ERR_NOT_FOUND);
}

static size_t browsers_of(world *w, const char *account) {
    static porch_push_view view;
    assert_int_equal(porch_push_read(w->notify, account, &view, NULL), PORCH_OK);
    return view.subscriptions_count;
}

static void a_browser_with_a_new_address_stays_with_its_person_whoever_is_signed_in_there(void **state) {
    world *w = *state;
    const char *auth = "AAAAAAAAAAAAAAAAAAAAAA", *new_auth = "AAAAAAAAAAAAAAAAAAAAAQ";
    w->settings.push_subscriptions = 1;
    w->settings.push_origins = 1;
    assert_int_equal(subscribe_as(w, "robin", "https://a.example/1", auth), PORCH_OK);
    assert_int_equal(move_to(w, "sam", "https://a.example/1", "https://b.example/2", auth),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(move_to(w, "robin", "https://a.example/9", "https://b.example/2", auth),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(browsers_of(w, "sam"), 0);
    assert_int_equal(browsers_of(w, "robin"), 1);
    /* It counts once. */
    assert_int_equal(move_to(w, "robin", "https://a.example/1", "https://b.example/2", auth), PORCH_OK);
    assert_int_equal(browsers_of(w, "robin"), 1);
    /* The address may have stayed and the keys not. */
    assert_int_equal(move_to(w, "robin", "https://b.example/2", "https://b.example/2", new_auth), PORCH_OK);
    assert_int_equal(browsers_of(w, "robin"), 1);
    /* What is refused takes nothing along. */
    assert_int_equal(move_to(w, "robin", "https://b.example/2", "https://localhost/", auth),
                     PORCH_ERR_USAGE);
    w->settings.push_subscriptions = 0;
    assert_int_equal(move_to(w, "robin", "https://b.example/2", "https://b.example/3", auth),
                     PORCH_ERR_LIMIT);
    assert_int_equal(browsers_of(w, "robin"), 1);
}

static void a_test_message_waits_for_the_last_one(void **state) {
    world *w = *state;
    uint32_t queued = 0;
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_ERR_NOT_FOUND);
    subscribe(w, "robin");
    subscribe(w, "sam");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(queued, 1);
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_ERR_LIMIT);
    assert_int_equal(porch_push_test(w->notify, "sam", &queued, NULL), PORCH_OK);
}

typedef struct {
    world *w;
    const char *alert;
    int64_t rows;
} alert_job;

static porch_err write_alert(porch_db *db, void *ctx, porch_why *why) {
    alert_job *job = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "insert or ignore into alert (id, account, kind, at_ms, last_ms, address, agent) values (?1, "
        "'robin', 'half', 1, 1, '192.0.2.1', 'curl')",
        why);
    porch_db_bind_str(q, 1, job->alert);
    PORCH_TRY(porch_db_execute(q, why));
    PORCH_TRY(porch_push_queue_alert(job->w->notify, db, "robin", job->alert, porch_clock_ms(), why));
    job->rows = porch_db_changes(db);
    return PORCH_OK;
}

static void an_alert_reaches_each_of_the_persons_browsers_once_at_any_hour(void **state) {
    world *w = *state;
    alert_job job = {.w = w, .alert = "a1"};
    uint32_t queued = 0;
    subscribe(w, "robin");
    assert_int_equal(subscribe_as(w, "robin", "https://push.example/tablet", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_OK);
    subscribe(w, "sam");
    assert_int_equal(porch_push_quiet(w->notify, "robin", 0, 1439, NULL), PORCH_OK);
    assert_int_equal(porch_store_write(w->store, write_alert, &job, NULL), PORCH_OK);
    assert_int_equal(job.rows, 2);
    assert_int_equal(porch_store_write(w->store, write_alert, &job, NULL),
                     PORCH_ERR_EXISTS); /* not twice */
    /* and holds up no test message */
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(queued, 2);
}

typedef struct {
    const char *session, *except;
} mute_job;

static porch_err mute(porch_db *db, void *ctx, porch_why *why) {
    const mute_job *job = ctx;
    return porch_push_mute(db, "robin", job->session, job->except, why);
}

static void a_browser_whose_sign_in_was_ended_hears_of_the_account_only(void **state) {
    world *w = *state;
    alert_job job = {.w = w, .alert = "a1"};
    porch_push_view view;
    uint32_t queued = 0;
    subscribe(w, "robin");
    subscribe(w, "sam");
    assert_int_equal(seen(w, "a", NOON_MS), 2);
    assert_int_equal(porch_store_write(w->store, mute, &(mute_job){"another", ""}, NULL), PORCH_OK);
    assert_int_equal(seen(w, "a2", NOON_MS), 2);
    assert_int_equal(porch_store_write(w->store, mute, &(mute_job){"robin", ""}, NULL), PORCH_OK);
    assert_int_equal(seen(w, "b", NOON_MS), 1);
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_store_write(w->store, write_alert, &job, NULL), PORCH_OK);
    assert_int_equal(job.rows, 1);
    assert_int_equal(porch_push_read(w->notify, "robin", &view, NULL), PORCH_OK);
    assert_true(view.subscriptions[0].muted);
    subscribe(w, "robin"); /* signed in there again */
    assert_int_equal(seen(w, "c", NOON_MS), 2);
    assert_int_equal(porch_store_write(w->store, mute, &(mute_job){"", "robin"}, NULL), PORCH_OK);
    assert_int_equal(seen(w, "d", NOON_MS), 2);
    assert_int_equal(porch_store_write(w->store, mute, &(mute_job){"", "another"}, NULL), PORCH_OK);
    assert_int_equal(seen(w, "e", NOON_MS), 1);
}

/* The request had come in at the door before. */
static void a_sign_in_that_was_just_ended_neither_subscribes_nor_ends_its_mute(void **state) {
    world *w = *state;
    porch_push_view view;
    subscribe(w, "robin");
    assert_int_equal(porch_store_write(w->store, mute, &(mute_job){"robin", ""}, NULL), PORCH_OK);
    assert_int_equal(porch_store_write(w->store, run, "delete from session where id = 'robin'", NULL),
                     PORCH_OK);
    assert_int_equal(subscribe_as(w, "robin", "https://push.example/robin", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_ERR_AUTH);
    assert_int_equal(subscribe_as(w, "robin", "https://push.example/tablet", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_push_read(w->notify, "robin", &view, NULL), PORCH_OK);
    assert_int_equal(view.subscriptions_count, 1);
    assert_true(view.subscriptions[0].muted);
}

/* ---- sending ---- */

/* Sends until nothing is due; the wait until something is. */
static uint64_t deliver(world *w) {
    uint64_t wait_ms = 0;
    porch_why why = {""};
    while (wait_ms == 0)
        if (porch_push_deliver_one(w->notify, &wait_ms, &why) != PORCH_OK) fail_msg("%s", why.text);
    return wait_ms;
}

static size_t posts_to(const char *url) {
    size_t count = 0;
    for (size_t i = 0; i < sent.count; i++)
        count += strcmp(sent.urls[i], url) == 0;
    return count;
}

static void endpoint(world *w, const char *account, const char *url) {
    assert_int_equal(subscribe_as(w, account, url, "AAAAAAAAAAAAAAAAAAAAAA"), PORCH_OK);
}

/* Three tests for robin at that host, and behind them one for sam. */
static void queue_for_both(world *w, const char *robins_host) {
    uint32_t queued = 0;
    for (int n = 1; n <= 3; n++) {
        char url[64];
        (void)snprintf(url, sizeof url, "https://%s/%d", robins_host, n);
        endpoint(w, "robin", url);
    }
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    endpoint(w, "sam", "https://push.example/sam");
    assert_int_equal(porch_push_test(w->notify, "sam", &queued, NULL), PORCH_OK);
}

static void whose_push_services_do_not_answer_rests_and_holds_up_nobody_else(void **state) {
    world *w = *state;
    queue_for_both(w, "dead.example");
    uint64_t wait_ms = deliver(w);
    assert_int_equal(sent.count, 2); /* one attempt for robin, and sam's */
    assert_int_equal(posts_to("https://push.example/sam"), 1);
    assert_in_range(wait_ms, 1, w->settings.notify_retry_first_ms);
    /* The rest is over: again one attempt, and a longer rest. A test message is not tried twice. */
    for (unsigned i = 2; i <= 3; i++) {
        assert_int_equal(
            porch_store_write(w->store, run, "update push_pace set resting_until_ms = 1", NULL), PORCH_OK);
        wait_ms = deliver(w);
        assert_int_equal(sent.count, i + 1);
        for (unsigned j = 1; j <= 3; j++) {
            char url[32];
            snprintf(url, sizeof url, "https://dead.example/%u", j);
            assert_true(posts_to(url) <= 1);
        }
    }
    assert_int_equal(wait_ms, UINT64_MAX);
}

static porch_err read_failures(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select failures from push_pace where account = 'robin'", why);
    porch_err e = porch_db_step(q, why);
    *(int64_t *)ctx = e == PORCH_OK ? porch_db_i64(q, 0) : -1;
    porch_db_finish(q);
    return e;
}

static int64_t failures(world *w) {
    int64_t count = 0;
    assert_int_equal(porch_store_read(w->store, read_failures, &count, NULL), PORCH_OK);
    return count;
}

static void a_message_that_arrives_ends_the_count_of_failures_and_a_gone_browser_is_none(void **state) {
    world *w = *state;
    uint32_t queued = 0;
    w->settings.push_test_wait_s = 0;
    endpoint(w, "robin", "https://dead.example/1");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    (void)deliver(w);
    assert_int_equal(failures(w), 1);
    assert_int_equal(
        porch_store_write(w->store, run, "update push_pace set failures = 9, resting_until_ms = 1", NULL),
        PORCH_OK);
    assert_int_equal(porch_store_write(w->store, run, "delete from push_subscription", NULL), PORCH_OK);
    endpoint(w, "robin", "https://gone.example/1");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(failures(w), 9);
    endpoint(w, "robin", "https://push.example/1");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(failures(w), 0);
}

/* A rest that was begun before the clock was set back holds nothing for longer than any rest may be. */
static void a_rest_from_the_future_is_none(void **state) {
    world *w = *state;
    uint32_t queued = 0;
    char sql[160];
    endpoint(w, "robin", "https://push.example/1");
    snprintf(
        sql, sizeof sql,
        "insert into push_pace (account, served_ms, failures, resting_until_ms) values ('robin', 0, 1, "
        "%llu)",
        (unsigned long long)(porch_clock_ms() + 2000ull * w->settings.push_rest_most_s));
    assert_int_equal(porch_store_write(w->store, run, sql, NULL), PORCH_OK);
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(sent.count, 1);
}

static void a_message_from_the_future_is_due_at_once_and_dated_now_when_it_was_tried(void **state) {
    world *w = *state;
    w->settings.notify_retry_first_ms = 60000;
    endpoint(w, "robin", "https://busy.example/1");
    assert_int_equal(seen(w, "door", porch_clock_ms() + 2 * HOUR_MS), 1);
    assert_in_range(deliver(w), 1, w->settings.notify_retry_first_ms);
    assert_int_equal(sent.count, 1);
    /* The rest is over, and it still waits for its own time. */
    assert_int_equal(porch_store_write(w->store, run, "update push_pace set resting_until_ms = 1", NULL),
                     PORCH_OK);
    assert_in_range(deliver(w), 1, w->settings.notify_retry_first_ms);
    assert_int_equal(sent.count, 1);
    assert_int_equal(seen(w, "door", porch_clock_ms()), 0); /* the camera cools down from now */
}

static void a_snooze_withholds_what_was_queued_before_it(void **state) {
    world *w = *state;
    uint64_t until_ms = 0, now_ms = porch_clock_ms();
    uint32_t queued = 0;
    endpoint(w, "robin", "https://push.example/robin");
    endpoint(w, "sam", "https://push.example/sam");
    assert_int_equal(seen(w, "door", now_ms), 2);
    assert_int_equal(seen(w, "garden", now_ms), 2);
    assert_int_equal(porch_push_snooze(w->notify, "robin", "door", 60, &until_ms, NULL), PORCH_OK);
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(posts_to("https://push.example/sam"), 2);
    assert_int_equal(posts_to("https://push.example/robin"), 2); /* the garden, and the test */
    assert_int_equal(deliver(w), UINT64_MAX);
}

static void a_turn_from_the_future_is_none(void **state) {
    world *w = *state;
    queue_for_both(w, "push.example");
    assert_int_equal(
        porch_store_write(w->store, run,
                          "update push_pace set served_ms = case account when 'sam' then 9000000000000000 "
                          "else 1 end",
                          NULL),
        PORCH_OK);
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_string_equal(sent.urls[0], "https://push.example/sam");
}

static void an_answer_for_good_is_no_failure_and_one_that_asks_to_wait_is(void **state) {
    world *w = *state;
    uint32_t queued = 0;
    w->settings.push_test_wait_s = 0;
    endpoint(w, "robin", "https://deny.example/1");
    endpoint(w, "robin", "https://deny.example/2");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(sent.count, 2);
    assert_int_equal(failures(w), 0);
    assert_int_equal(porch_store_write(w->store, run, "delete from push_subscription", NULL), PORCH_OK);
    endpoint(w, "robin", "https://busy.example/1");
    endpoint(w, "robin", "https://busy.example/2");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_in_range(deliver(w), 1, w->settings.notify_retry_first_ms);
    assert_int_equal(sent.count, 3);
    assert_int_equal(failures(w), 1);
}

static void of_one_persons_browsers_those_whose_last_message_failed_come_last(void **state) {
    static const char *const urls[] = {"https://push.example/1", "https://push.example/2"};
    world *w = *state;
    uint32_t queued = 0;
    w->settings.push_test_wait_s = 0;
    for (size_t failing = 0; failing < 2; failing++) {
        char sql[128];
        endpoint(w, "robin", urls[0]);
        endpoint(w, "robin", urls[1]);
        snprintf(sql, sizeof sql,
                 "update push_subscription set last_at_ms = 1, last_status = 201 - 201 * (endpoint = '%s')",
                 urls[failing]);
        assert_int_equal(porch_store_write(w->store, run, sql, NULL), PORCH_OK);
        assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
        sent.count = 0;
        assert_int_equal(deliver(w), UINT64_MAX);
        assert_int_equal(sent.count, 2);
        assert_string_equal(sent.urls[1], urls[failing]);
    }
}

/* A job for `sent.meanwhile`. */
typedef struct {
    world *w;
    const char *sql;
} sql_job;

static void run_meanwhile(void *ctx) {
    const sql_job *job = ctx;
    assert_int_equal(porch_store_write(job->w->store, run, (void *)(uintptr_t)job->sql, NULL), PORCH_OK);
}

static void let_happen(sql_job *job) {
    sent.meanwhile = run_meanwhile;
    sent.meanwhile_ctx = job;
}

static void who_unsubscribes_while_a_message_is_on_the_wire_has_had_the_turn(void **state) {
    world *w = *state;
    sql_job gone = {w, "delete from push_subscription where account = 'robin'"};
    uint32_t queued = 0;
    w->settings.push_test_wait_s = 0;
    for (int64_t round = 1; round <= 2; round++) {
        endpoint(w, "robin", "https://dead.example/1");
        assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
        let_happen(&gone);
        assert_int_equal(deliver(w), UINT64_MAX);
        assert_int_equal(failures(w), round);
        assert_int_equal(
            porch_store_write(w->store, run, "update push_pace set resting_until_ms = 1", NULL), PORCH_OK);
    }
}

static porch_err not_a_person(porch_db *db, void *ctx, porch_why *why) {
    return porch_notify_not_a_person(db, ctx, true, why);
}

static void say_not_a_person(void *ctx) {
    world *w = ctx;
    char event[] = "event-1";
    assert_int_equal(porch_store_write(w->store, not_a_person, event, NULL), PORCH_OK);
}

static void what_was_given_up_while_it_was_on_the_wire_is_not_tried_again(void **state) {
    world *w = *state;
    endpoint(w, "robin", "https://dead.example/1");
    assert_int_equal(seen(w, "door", porch_clock_ms()), 1);
    sent.meanwhile = say_not_a_person;
    sent.meanwhile_ctx = w;
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(sent.count, 1);
}

static void the_answer_to_one_message_is_not_written_down_for_another_with_its_number(void **state) {
    world *w = *state;
    uint32_t queued = 0;
    sql_job another = {w,
                       "update push_delivery set next_at_ms = 9000000000000000, subscription = (select id "
                       "from push_subscription where account = 'sam')"};
    endpoint(w, "robin", "https://push.example/robin");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    endpoint(w, "sam", "https://push.example/sam");
    let_happen(&another);
    assert_in_range(deliver(w), 1, UINT64_MAX - 1); /* sam's still waits */
    assert_int_equal(sent.count, 1);
}

static void a_test_message_waits_for_the_last_one_also_in_a_browser_that_came_anew(void **state) {
    world *w = *state;
    uint32_t queued = 0;
    subscribe(w, "robin");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(porch_store_write(w->store, run, "delete from push_subscription", NULL), PORCH_OK);
    subscribe(w, "robin");
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_ERR_LIMIT);
    /* One from the future holds nothing. */
    assert_int_equal(
        porch_store_write(w->store, run, "update push_pace set tested_ms = tested_ms + 3600000", NULL),
        PORCH_OK);
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
    assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_ERR_LIMIT);
}

static void people_take_turns(void **state) {
    world *w = *state;
    queue_for_both(w, "push.example");
    (void)deliver(w);
    assert_int_equal(sent.count, 4);
    assert_string_equal(sent.urls[1], "https://push.example/sam");
}

static void one_person_has_few_push_services(void **state) {
    world *w = *state;
    w->settings.push_origins = 2;
    endpoint(w, "robin", "https://a.example/1");
    endpoint(w, "robin", "https://b.example/1");
    endpoint(w, "robin", "https://a.example/2");
    assert_int_equal(subscribe_as(w, "robin", "https://c.example/1", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_ERR_LIMIT);
    endpoint(w, "sam", "https://c.example/1");
    /* nor by taking over another's browser */
    assert_int_equal(subscribe_as(w, "robin", "https://c.example/1", "AAAAAAAAAAAAAAAAAAAAAA"),
                     PORCH_ERR_LIMIT);
}

static void whoever_comes_with_ever_new_push_services_turns_nobody_elses_tokens_out(void **state) {
    world *w = *state;
    uint32_t queued = 0;
    w->settings.push_test_wait_s = 0;
    endpoint(w, "sam", "https://push.example/sam");
    assert_int_equal(porch_push_test(w->notify, "sam", &queued, NULL), PORCH_OK);
    (void)deliver(w);
    for (unsigned i = 0; i < 2 * PORCH_PUSH_TOKENS; i++) {
        char url[64];
        snprintf(url, sizeof url, "https://gone%u.example/", i);
        endpoint(w, "robin", url);
        assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
        (void)deliver(w);
        sent.count = 0;
    }
    assert_int_equal(porch_push_test(w->notify, "sam", &queued, NULL), PORCH_OK);
    (void)deliver(w);
    assert_int_equal(posts_to("https://push.example/sam"), 1);
    assert_int_equal(sent.tokens, 1);
}

/* Each of these happens between the moment when a row was queued and the one when it leaves. */
static void who_may_not_be_told_any_more_is_not_though_it_was_queued(void **state) {
    world *w = *state;
    static const char *const alerts[] = {"a1", "a2", "a3"},
                             *const changes[] = {
                                 "update push_subscription set muted = 1 where account = 'robin'",
                                 "update account set expires_ms = 1 where id = 'robin'",
                                 "update account set awaiting_reset = 1 where id = 'robin'",
                             };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        alert_job alert = {.w = w, .alert = alerts[i]};
        uint32_t queued = 0;
        w->settings.push_test_wait_s = 0;
        sent.count = 0;
        endpoint(w, "robin", "https://push.example/robin");
        endpoint(w, "sam", "https://push.example/sam");
        assert_int_equal(seen(w, alerts[i], porch_clock_ms()), 2);
        assert_int_equal(porch_push_test(w->notify, "robin", &queued, NULL), PORCH_OK);
        assert_int_equal(porch_store_write(w->store, run, (void *)(uintptr_t)changes[i], NULL), PORCH_OK);
        assert_int_equal(deliver(w), UINT64_MAX);
        assert_int_equal(posts_to("https://push.example/robin"), 0);
        assert_int_equal(posts_to("https://push.example/sam"), 1);
        /* what is about the account itself arrives */
        assert_int_equal(porch_store_write(w->store, write_alert, &alert, NULL), PORCH_OK);
        assert_int_equal(deliver(w), UINT64_MAX);
        assert_int_equal(posts_to("https://push.example/robin"), 1);
        assert_int_equal(
            porch_store_write(w->store, run,
                              "update account set expires_ms = 0, awaiting_reset = 0 where id = 'robin'",
                              NULL),
            PORCH_OK);
    }
}

static void what_waits_for_a_browsers_former_person_does_not_go_to_the_next(void **state) {
    world *w = *state;
    alert_job alert = {.w = w, .alert = "a1"};
    endpoint(w, "robin", "https://push.example/tablet");
    assert_int_equal(seen(w, "door", porch_clock_ms()), 1);
    assert_int_equal(porch_store_write(w->store, write_alert, &alert, NULL), PORCH_OK);
    endpoint(w, "robin", "https://push.example/tablet"); /* the same person again: nothing is lost */
    endpoint(w, "sam", "https://push.example/tablet");
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(sent.count, 0);
    endpoint(w, "sam", "https://push.example/tablet");
    assert_int_equal(seen(w, "garden", porch_clock_ms()), 1);
    endpoint(w, "sam", "https://push.example/tablet");
    assert_int_equal(deliver(w), UINT64_MAX);
    assert_int_equal(sent.count, 1);
}

static void endpoints_that_no_push_service_has_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *endpoint, *allow, *origin; /* origin NULL: refused */
    } rows[] = {
        {"https://fcm.googleapis.com/fcm/send/x:y", "", "https://fcm.googleapis.com"},
        {"https://updates.push.services.mozilla.com:443/wpush/v2/g", "",
         "https://updates.push.services.mozilla.com"},
        {"https://localhost:9443/x", "a.b:1 localhost:9443", "https://localhost:9443"},
        {"https://localhost:9443/x", "localhost:944 localhost:94433", NULL},
        {"https://localhost/x", "", NULL},
        {"https://10.0.0.1/x", "", NULL},
        {"https://0x7f000001/x", "", NULL},
        {"https://a.0x7f/x", "", NULL},
        {"https://a.b./x", "", NULL},
        {"https://[::1]/x", "", NULL},
        {"https://a.b:444/x", "", NULL},
        {"https://a.b:0/x", "", NULL},
        {"https://a.b:65536/x", "", NULL},
        {"https://a.b:/x", "", NULL},
        {"https://a.b@c.d/x", "", NULL},
        {"https://A.b/x", "", NULL},
        {"https://a.b", "", NULL},
        {"https://a.b?x", "", NULL},
        {"https:///x", "", NULL},
        {"http://a.b/x", "", NULL},
        {"https://a.b/x y", "", NULL},
        {"https://a.b/x\n", "", NULL},
        {"https://a.b\\@c/x", "", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char origin[PORCH_PUSH_ORIGIN_TEXT] = "";
        porch_err e =
            porch_push_endpoint_check(porch_bytes_of(rows[i].endpoint), rows[i].allow, origin, NULL);
        if (e != (rows[i].origin ? PORCH_OK : PORCH_ERR_USAGE)) fail_msg("%s", rows[i].endpoint);
        if (rows[i].origin) assert_string_equal(origin, rows[i].origin);
    }
}

static void each_answer_of_a_push_service_has_its_consequence(void **state) {
    (void)state;
    static const struct {
        uint16_t status;
        porch_push_outcome how;
    } rows[] = {{200, PORCH_PUSH_DONE},     {201, PORCH_PUSH_DONE},     {302, PORCH_PUSH_GIVEN_UP},
                {400, PORCH_PUSH_GIVEN_UP}, {401, PORCH_PUSH_GIVEN_UP}, {403, PORCH_PUSH_GIVEN_UP},
                {404, PORCH_PUSH_GONE},     {408, PORCH_PUSH_RETRY},    {410, PORCH_PUSH_GONE},
                {413, PORCH_PUSH_GIVEN_UP}, {429, PORCH_PUSH_RETRY},    {500, PORCH_PUSH_RETRY},
                {503, PORCH_PUSH_RETRY}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(porch_push_judge(PORCH_OK, rows[i].status), rows[i].how);
    assert_int_equal(porch_push_judge(PORCH_ERR_TIMEOUT, 0), PORCH_PUSH_RETRY);
    assert_int_equal(porch_push_judge(PORCH_ERR_CHILD, 0), PORCH_PUSH_RETRY);
    assert_int_equal(porch_push_judge(PORCH_ERR_BUSY, 0), PORCH_PUSH_RETRY);
    assert_int_equal(porch_push_judge(PORCH_ERR_DENIED, 0), PORCH_PUSH_GIVEN_UP);
}

static void times_of_the_day_have_one_form(void **state) {
    (void)state;
    static const char *const bad[] = {"",      "7:00",   "24:00", "07:60", "ab:cd",
                                      "07-00", "07:000", " 7:00", "-1:00"};
    uint32_t minute = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(porch_push_time_read(porch_bytes_of(bad[i]), &minute));
    assert_true(porch_push_time_read(PORCH_LIT("00:00"), &minute) && minute == 0);
    assert_true(porch_push_time_read(PORCH_LIT("09:08"), &minute) && minute == 548);
    assert_true(porch_push_time_read(PORCH_LIT("23:59"), &minute) && minute == 1439);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_WORLD(only_the_households_own_and_unlocked_people_are_pushed_to),
        IN_WORLD(a_guest_whose_time_is_over_hears_nothing),
        IN_WORLD(a_camera_cools_down_for_itself_alone),
        IN_WORLD(a_snooze_is_one_persons_about_one_camera_until_it_ends),
        IN_WORLD(a_snooze_from_the_future_is_none_and_does_not_begin_when_that_comes),
        IN_WORLD(quiet_hours_follow_the_households_clock_also_over_midnight),
        IN_WORLD(an_endpoint_belongs_to_who_holds_its_keys_and_their_number_is_limited),
        IN_WORLD(a_browser_with_a_new_address_stays_with_its_person_whoever_is_signed_in_there),
        IN_WORLD(a_test_message_waits_for_the_last_one),
        IN_WORLD(an_alert_reaches_each_of_the_persons_browsers_once_at_any_hour),
        IN_WORLD(a_browser_whose_sign_in_was_ended_hears_of_the_account_only),
        IN_WORLD(a_sign_in_that_was_just_ended_neither_subscribes_nor_ends_its_mute),
        IN_WORLD(whose_push_services_do_not_answer_rests_and_holds_up_nobody_else),
        IN_WORLD(a_message_that_arrives_ends_the_count_of_failures_and_a_gone_browser_is_none),
        IN_WORLD(a_message_from_the_future_is_due_at_once_and_dated_now_when_it_was_tried),
        IN_WORLD(a_snooze_withholds_what_was_queued_before_it),
        IN_WORLD(a_turn_from_the_future_is_none),
        IN_WORLD(an_answer_for_good_is_no_failure_and_one_that_asks_to_wait_is),
        IN_WORLD(of_one_persons_browsers_those_whose_last_message_failed_come_last),
        IN_WORLD(a_rest_from_the_future_is_none),
        IN_WORLD(who_unsubscribes_while_a_message_is_on_the_wire_has_had_the_turn),
        IN_WORLD(what_was_given_up_while_it_was_on_the_wire_is_not_tried_again),
        IN_WORLD(the_answer_to_one_message_is_not_written_down_for_another_with_its_number),
        IN_WORLD(a_test_message_waits_for_the_last_one_also_in_a_browser_that_came_anew),
        IN_WORLD(people_take_turns),
        IN_WORLD(one_person_has_few_push_services),
        IN_WORLD(whoever_comes_with_ever_new_push_services_turns_nobody_elses_tokens_out),
        IN_WORLD(who_may_not_be_told_any_more_is_not_though_it_was_queued),
        IN_WORLD(what_waits_for_a_browsers_former_person_does_not_go_to_the_next),
        cmocka_unit_test(endpoints_that_no_push_service_has_are_refused),
        cmocka_unit_test(each_answer_of_a_push_service_has_its_consequence),
        cmocka_unit_test(times_of_the_day_have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
