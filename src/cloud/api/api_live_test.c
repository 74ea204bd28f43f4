/* Live streams with everything around them played by this file: the exchange, the streams, the timeline,
 * the notifications, the sign-ins. */
#include "cloud/api/api_live.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/policy.h"
#include "cloud/grants/grants.h"

enum { STREAMS = 16, TEXT = 65536 };

/* ---- what is played ---- */

struct porch_http_stream {
    char text[TEXT];
    size_t len;
    bool closed;
    void (*on_close)(void *ctx);
    void *ctx;
};

struct porch_http_exchange {
    porch_api *api;
    uint8_t session;
    const char *household;
    const char *last_id;
    int status;
    struct porch_http_stream *stream;
};

static struct porch_http_stream streams[STREAMS];
static size_t stream_count;
static pthread_mutex_t sent_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sent = PTHREAD_COND_INITIALIZER;
static uint64_t timeline_newest, notification_newest;
static bool session_dead;
static porch_live *tell_while_catching_up;

void *porch_http_route_ctx(const porch_http_exchange *x) {
    static porch_api_door door;
    door.api = x->api;
    return &door;
}
const char *porch_http_method(const porch_http_exchange *x) {
    (void)x;
    return "GET";
}
const char *porch_http_header(const porch_http_exchange *x, const char *name) {
    return strcmp(name, "Last-Event-ID") == 0 ? x->last_id : NULL;
}
static bool strict, strict_once_asked; /* policies made from now on let nothing be heard */

porch_err porch_http_reply_header(porch_http_exchange *x, const char *name, const char *value) {
    (void)name;
    (void)value;
    if (strict_once_asked) { /* the policy changes while a stream is on its way into the list */
        strict = true;
        porch_live_regrant(x->api->live);
    }
    return PORCH_OK;
}
porch_err porch_http_reply(porch_http_exchange *x, int status, const char *type, porch_bytes body) {
    (void)type;
    (void)body;
    x->status = status;
    return PORCH_OK;
}
porch_err porch_http_problem(porch_http_exchange *x, int status, const char *slug, const char *detail) {
    (void)slug;
    (void)detail;
    x->status = status;
    return PORCH_OK;
}
porch_http_stream *porch_http_reply_stream(porch_http_exchange *x, const char *type,
                                           void (*on_close)(void *ctx), void *ctx) {
    assert_string_equal(type, "text/event-stream");
    struct porch_http_stream *s = &streams[stream_count++];
    *s = (struct porch_http_stream){.on_close = on_close, .ctx = ctx};
    x->status = 200;
    x->stream = s;
    return s;
}
static const char *denied_topic = "";
static unsigned policies; /* held */

const porch_access_policy *porch_grants_policy(porch_grants *g, const porch_registry_entry *entry) {
    (void)g;
    assert_int_equal(entry->kind, PORCH_PRINCIPAL_PERSON);
    policies++;
    return (const porch_access_policy *)(const void *)(strict ? (const void *)&strict : &policies);
}
void porch_grants_policy_release(const porch_access_policy *p) {
    if (p != NULL) policies--;
}
porch_access_decision porch_access_can_receive(const porch_access_policy *p, porch_topic_name topic) {
    assert_non_null(p);
    if ((const void *)p == &strict) return (porch_access_decision){false, 0};
    return (porch_access_decision){!porch_bytes_eq_text(topic.text, denied_topic), 0};
}
porch_err porch_http_stream_send(porch_http_stream *s, porch_bytes bytes) {
    (void)pthread_mutex_lock(&sent_lock);
    assert_true(s->len + bytes.len < TEXT);
    memcpy(s->text + s->len, bytes.at, bytes.len);
    s->len += bytes.len;
    (void)pthread_cond_broadcast(&sent);
    (void)pthread_mutex_unlock(&sent_lock);
    return PORCH_OK;
}
void porch_http_stream_close(porch_http_stream *s) {
    (void)pthread_mutex_lock(&sent_lock);
    s->closed = true;
    (void)pthread_cond_broadcast(&sent);
    (void)pthread_mutex_unlock(&sent_lock);
}
bool porch_api_session(porch_http_exchange *x, porch_user_session *ret) {
    *ret = (porch_user_session){.hash = {x->session}};
    (void)snprintf(ret->person.household, sizeof ret->person.household, "%s", x->household);
    (void)snprintf(ret->person.id, sizeof ret->person.id, "person-%u", x->session / 10U);
    (void)snprintf(ret->id, sizeof ret->id, "session-%u", (unsigned)x->session);
    return true;
}
void porch_api_person_key(const porch_person *person, char out[PORCH_PERSON_NAME_TEXT]) {
    (void)snprintf(out, PORCH_PERSON_NAME_TEXT, "%s", person->name);
}
void porch_api_refuse(porch_http_exchange *x, porch_err e, const porch_why *why) {
    (void)e;
    (void)why;
    x->status = 500;
}
json_t *porch_api_event(const porch_media_event *event) {
    return json_pack("{s:I}", "seq", (json_int_t)event->seq);
}
json_t *porch_api_device(const porch_registry_device *device) {
    return json_pack("{s:s}", "id", device->id);
}
bool porch_user_session_alive(porch_accounts *accounts, const uint8_t hash[32], uint64_t now_ms) {
    (void)accounts;
    (void)hash;
    (void)now_ms;
    return !session_dead;
}
/* A household's timeline: numbers 1 to timeline_newest, newest first. */
porch_err porch_media_events(porch_media *m, const porch_media_event_query *q,
                             void (*fn)(const porch_media_event *event, void *ctx), void *ctx,
                             porch_why *why) {
    (void)m;
    (void)why;
    uint64_t seq = q->before_seq != 0 ? q->before_seq - 1 : timeline_newest;
    for (uint32_t i = 0; i < q->limit && seq > 0; i++, seq--) {
        porch_media_event event = {.seq = seq};
        fn(&event, ctx);
    }
    if (tell_while_catching_up != NULL && q->limit > 1 && q->before_seq == 0) {
        porch_live *live = tell_while_catching_up;
        tell_while_catching_up = NULL;
        timeline_newest++;
        porch_live_tell(live, PORCH_LIVE_PASSING, "home", "cam", "clip", 0, json_pack("{}"));
        porch_live_tell(live, PORCH_LIVE_MOTION, "home", "cam", "motion", timeline_newest,
                        json_pack("{s:I}", "seq", (json_int_t)timeline_newest));
    }
    return PORCH_OK;
}
porch_err porch_media_event_get(porch_media *m, const char *uid, porch_media_event *ret, porch_why *why) {
    (void)m;
    (void)uid;
    (void)ret;
    (void)why;
    return PORCH_ERR_NOT_FOUND;
}
porch_err porch_notify_since(porch_db *db, const char *household, uint64_t after, uint32_t limit,
                             porch_notify_each_fn fn, void *ctx, porch_why *why) {
    (void)db;
    (void)household;
    (void)why;
    for (uint64_t seq = after + 1; seq <= notification_newest && limit-- > 0; seq++) {
        porch_notify_item item = {.seq = seq};
        if (!fn(&item, ctx)) break;
    }
    return PORCH_OK;
}
porch_err porch_notify_item_json(const porch_notify_item *item, const char *public_url, porch_buf *out) {
    (void)public_url;
    out->len += (size_t)snprintf((char *)out->at + out->len, out->cap - out->len, "{\"n\":%llu}",
                                 (unsigned long long)item->seq);
    return PORCH_OK;
}
porch_err porch_store_read(porch_store *s, porch_store_fn fn, void *ctx, porch_why *why) {
    (void)s;
    return fn(NULL, ctx, why);
}
porch_db_query *porch_db_prepare(porch_db *db, const char *sql, porch_why *why) {
    (void)db;
    (void)sql;
    (void)why;
    return NULL;
}
void porch_db_bind_str(porch_db_query *q, int index, const char *text) {
    (void)q;
    (void)index;
    (void)text;
}
porch_err porch_db_step(porch_db_query *q, porch_why *why) {
    (void)q;
    (void)why;
    return PORCH_OK;
}
int64_t porch_db_i64(porch_db_query *q, int column) {
    (void)q;
    (void)column;
    return (int64_t)notification_newest;
}
void porch_db_finish(porch_db_query *q) {
    (void)q;
}
porch_err porch_registry_device_get(porch_registry *r, const char *id, porch_registry_device *ret) {
    (void)r;
    *ret = (porch_registry_device){.online = true, .household = "home"};
    (void)snprintf(ret->id, sizeof ret->id, "%s", id);
    return PORCH_OK;
}
void porch_registry_devices(porch_registry *r, const char *household,
                            bool (*fn)(const porch_registry_device *, void *), void *ctx) {
    (void)r;
    (void)household;
    (void)fn;
    (void)ctx;
}

/* ---- the lab ---- */

typedef struct {
    porch_api api;
    porch_settings settings;
    porch_live *live;
} lab;

static int make_lab(void **state) {
    lab *l = calloc(1, sizeof *l);
    porch_settings_default(&l->settings);
    l->settings.people_heartbeat_ms = 100;
    l->api.settings = &l->settings;
    stream_count = 0;
    timeline_newest = notification_newest = 0;
    session_dead = false;
    denied_topic = "";
    strict = strict_once_asked = false;
    tell_while_catching_up = NULL;
    if (porch_live_new(&l->api, &l->live, NULL) != PORCH_OK) return -1;
    l->api.live = l->live;
    *state = l;
    return 0;
}

static int drop_lab(void **state) {
    lab *l = *state;
    porch_live_stop(l->live);
    for (size_t i = 0; i < stream_count; i++)
        if (streams[i].on_close != NULL) streams[i].on_close(streams[i].ctx);
    porch_live_free(l->live);
    free(l);
    return policies == 0 ? 0 : -1; /* each was given back */
}

static struct porch_http_stream *open_stream(lab *l, uint8_t session, const char *household,
                                             const char *last_id) {
    struct porch_http_exchange x = {
        .api = &l->api, .session = session, .household = household, .last_id = last_id};
    porch_api_events_stream(&x);
    return x.status == 200 ? x.stream : NULL;
}

static void tell(lab *l, porch_live_kind kind, const char *household, const char *name, uint64_t seq) {
    porch_live_tell(l->live, kind, household, "cam", name, seq, json_pack("{s:I}", "seq", (json_int_t)seq));
}

static void expect_text(const struct porch_http_stream *s, const char *text) {
    char copy[TEXT];
    memcpy(copy, s->text, s->len);
    copy[s->len] = '\0';
    assert_string_equal(copy, text);
}

/* ---- tests ---- */

static void a_fresh_stream_begins_now_with_an_id_to_come_back_with(void **state) {
    lab *l = *state;
    timeline_newest = 7;
    notification_newest = 3;
    struct porch_http_stream *s = open_stream(l, 1, "home", NULL);
    expect_text(s, "retry: 2000\nid: 7-3\n\n");
    tell(l, PORCH_LIVE_MOTION, "home", "motion", 8);
    expect_text(s, "retry: 2000\nid: 7-3\n\nid: 8-3\nevent: motion\ndata: {\"seq\":8}\n\n");
}

static void another_household_hears_nothing(void **state) {
    lab *l = *state;
    struct porch_http_stream *s = open_stream(l, 1, "next-door", NULL);
    size_t hello = s->len;
    tell(l, PORCH_LIVE_MOTION, "home", "motion", 1);
    tell(l, PORCH_LIVE_PERSON, "home", "person", 1);
    tell(l, PORCH_LIVE_PASSING, "home", "device", 0);
    assert_int_equal(s->len, hello);
    tell(l, PORCH_LIVE_PASSING, "next-door", "device", 0);
    assert_true(s->len > hello);
}

static void what_the_policy_holds_back_is_not_told(void **state) {
    lab *l = *state;
    timeline_newest = 3;
    denied_topic = "d/cam/event/motion";
    struct porch_http_stream *s = open_stream(l, 1, "home", NULL);
    size_t hello = s->len;
    tell(l, PORCH_LIVE_MOTION, "home", "motion", 4);
    tell(l, PORCH_LIVE_PASSING, "home", "clip", 0);
    tell(l, PORCH_LIVE_PASSING, "home", "deleted", 0);
    assert_int_equal(s->len, hello);
    tell(l, PORCH_LIVE_PERSON, "home", "person", 1);
    assert_true(s->len > hello);
    denied_topic = "d/cam/state/reported";
    porch_live_regrant(l->live);
    hello = s->len;
    tell(l, PORCH_LIVE_PASSING, "home", "device", 0);
    assert_int_equal(s->len, hello);
    denied_topic = "$porchlight/device/cam/event/person";
    tell(l, PORCH_LIVE_PERSON, "home", "person", 2);
    assert_int_equal(s->len, hello);
    /* nor is what was missed; its events are of a device without a name here */
    denied_topic = "d//event/motion";
    struct porch_http_stream *returning = open_stream(l, 2, "home", "1-0");
    assert_null(memmem(returning->text, returning->len, "event: motion", 13));
}

static void a_policy_that_changes_while_a_stream_opens_holds_for_it(void **state) {
    lab *l = *state;
    strict_once_asked = true;
    struct porch_http_stream *s = open_stream(l, 1, "home", NULL);
    assert_non_null(s);
    size_t hello = s->len;
    tell(l, PORCH_LIVE_MOTION, "home", "motion", 1);
    tell(l, PORCH_LIVE_PASSING, "home", "device", 0);
    assert_int_equal(s->len, hello);
}

/* A message of one topic brings a part of another along: that is null for whom the other is denied. */
static void what_came_under_another_topic_is_left_out_where_that_is_denied(void **state) {
    lab *l = *state;
    static const struct {
        const char *denied;
        porch_live_kind kind;
        const char *name, *data, *heard;
    } rows[] = {
        {"", PORCH_LIVE_MOTION, "motion", "{\"n\":1,\"person\":{\"s\":2}}",
         "{\"n\":1,\"person\":{\"s\":2}}"},
        {"$porchlight/device/cam/event/person", PORCH_LIVE_MOTION, "motion",
         "{\"n\":1,\"person\":{\"s\":2}}", "{\"n\":1,\"person\":null}"},
        {"$porchlight/device/cam/event/person", PORCH_LIVE_PASSING, "event",
         "{\"n\":1,\"person\":{\"s\":2}}", "{\"n\":1,\"person\":null}"},
        {"$porchlight/device/cam/event/person", PORCH_LIVE_MOTION, "motion", "{\"n\":1,\"person\":null}",
         "{\"n\":1,\"person\":null}"},
        {"d/cam/event/motion", PORCH_LIVE_PERSON, "person",
         "{\"notification\":{\"s\":2},\"event\":{\"n\":1}}", "{\"notification\":{\"s\":2},\"event\":null}"},
        {"", PORCH_LIVE_PERSON, "person", "{\"notification\":{\"s\":2},\"event\":{\"n\":1}}",
         "{\"notification\":{\"s\":2},\"event\":{\"n\":1}}"},
    };
    struct porch_http_stream *s = open_stream(l, 1, "home", NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char wanted[256];
        denied_topic = rows[i].denied;
        size_t before = s->len;
        porch_live_tell(l->live, rows[i].kind, "home", "cam", rows[i].name, i + 1,
                        json_loads(rows[i].data, 0, NULL));
        int len = snprintf(wanted, sizeof wanted, "data: %s\n\n", rows[i].heard);
        assert_true(len > 0 && s->len > before + (size_t)len);
        assert_memory_equal(s->text + s->len - len, wanted, (size_t)len);
    }
}

static void a_persons_news_reaches_their_other_sign_ins_and_nobody_else(void **state) {
    lab *l = *state;
    struct porch_http_stream *own = open_stream(l, 11, "home", NULL);
    struct porch_http_stream *other = open_stream(l, 12, "home", NULL);
    struct porch_http_stream *somebody = open_stream(l, 21, "home", NULL);
    size_t own_hello = own->len, hello = somebody->len;
    porch_live_tell_person(l->live, "person-1", "session-11", "alert", json_pack("{s:i}", "n", 1));
    assert_int_equal(own->len, own_hello);
    assert_int_equal(somebody->len, hello);
    expect_text(other, "retry: 2000\nid: 0-0\n\nid: 0-0\nevent: alert\ndata: {\"n\":1}\n\n");
    porch_live_tell_person(l->live, "person-1", "", "alert", json_pack("{s:i}", "n", 2));
    assert_true(own->len > own_hello);
    assert_int_equal(somebody->len, hello);
}

static void a_returning_page_is_told_what_it_missed_oldest_first_and_once(void **state) {
    lab *l = *state;
    timeline_newest = 4;
    notification_newest = 2;
    struct porch_http_stream *s = open_stream(l, 1, "home", "2-1");
    expect_text(s, "retry: 2000\nid: 2-1\n\n"
                   "id: 3-1\nevent: motion\ndata: {\"seq\":3}\n\n"
                   "id: 4-1\nevent: motion\ndata: {\"seq\":4}\n\n"
                   "id: 4-2\nevent: person\ndata: {\"notification\":{\"n\":2},\"event\":null}\n\n");
    size_t len = s->len;
    tell(l, PORCH_LIVE_MOTION, "home", "motion", 4);
    tell(l, PORCH_LIVE_PERSON, "home", "person", 2);
    assert_int_equal(s->len, len);
}

static void what_happens_while_the_missed_is_read_comes_after_it_and_once(void **state) {
    lab *l = *state;
    timeline_newest = 2;
    tell_while_catching_up = l->live;
    struct porch_http_stream *s = open_stream(l, 1, "home", "0-0");
    expect_text(s, "retry: 2000\nid: 0-0\n\n"
                   "id: 0-0\nevent: clip\ndata: {}\n\n"
                   "id: 1-0\nevent: motion\ndata: {\"seq\":1}\n\n"
                   "id: 2-0\nevent: motion\ndata: {\"seq\":2}\n\n"
                   "id: 3-0\nevent: motion\ndata: {\"seq\":3}\n\n");
}

static void hundreds_of_missed_events_come_page_by_page(void **state) {
    lab *l = *state;
    timeline_newest = 450;
    struct porch_http_stream *s = open_stream(l, 1, "home", "40-0");
    s->text[s->len] = '\0';
    unsigned count = 0;
    uint64_t expected = 41;
    for (const char *at = s->text; (at = strstr(at, "data: {\"seq\":")) != NULL; at++, count++, expected++)
        assert_int_equal(strtoull(at + strlen("data: {\"seq\":"), NULL, 10), expected);
    assert_int_equal(count, 410);
}

static void ids_that_are_none_are_not_believed(void **state) {
    (void)state;
    static const char *const bad[] = {"",    "-",     "1",    "1-",   "-1",
                                      "a-1", "1-2-3", "1 -2", "01-2", "99999999999999999999-1"};
    uint64_t m, p;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(porch_live_id_read(bad[i], &m, &p));
        assert_int_equal(m + p, 0);
    }
    assert_false(porch_live_id_read(NULL, &m, &p));
    assert_true(porch_live_id_read("12-34", &m, &p));
    assert_true(m == 12 && p == 34);
}

static void streams_are_bounded_per_sign_in(void **state) {
    lab *l = *state;
    for (uint32_t i = 0; i < l->settings.people_streams_per_session; i++)
        assert_non_null(open_stream(l, 1, "home", NULL));
    assert_null(open_stream(l, 1, "home", NULL));
    struct porch_http_stream *other = open_stream(l, 2, "home", NULL);
    assert_non_null(other);
    /* one that is gone makes room */
    streams[0].on_close(streams[0].ctx);
    streams[0].on_close = NULL;
    assert_non_null(open_stream(l, 1, "home", NULL));
}

static void signing_out_closes_the_streams_of_that_sign_in_only(void **state) {
    lab *l = *state;
    const uint8_t hash[32] = {1};
    struct porch_http_stream *mine = open_stream(l, 1, "home", NULL);
    struct porch_http_stream *other = open_stream(l, 2, "home", NULL);
    porch_live_end_session(l->live, hash);
    assert_true(mine->closed);
    assert_false(other->closed);
}

/* Waits for the thread by the condition that every send and close signals. */
static void await_text(struct porch_http_stream *s, const char *text) {
    (void)pthread_mutex_lock(&sent_lock);
    while (memmem(s->text, s->len, text, strlen(text)) == NULL)
        (void)pthread_cond_wait(&sent, &sent_lock);
    (void)pthread_mutex_unlock(&sent_lock);
}

static void the_thread_gives_signs_of_life_and_tells_devices(void **state) {
    lab *l = *state;
    struct porch_http_stream *s = open_stream(l, 1, "home", NULL);
    assert_int_equal(porch_live_start(l->live, NULL), PORCH_OK);
    porch_live_device(l->live, "cam-1");
    await_text(s, "event: device\ndata: {\"id\":\"cam-1\",\"online\":true");
    await_text(s, ":\n\n:\n\n");
}

static void a_sign_in_that_is_over_loses_its_stream(void **state) {
    lab *l = *state;
    struct porch_http_stream *s = open_stream(l, 1, "home", NULL);
    session_dead = true;
    assert_int_equal(porch_live_start(l->live, NULL), PORCH_OK);
    (void)pthread_mutex_lock(&sent_lock);
    while (!s->closed)
        (void)pthread_cond_wait(&sent, &sent_lock);
    (void)pthread_mutex_unlock(&sent_lock);
}

static unsigned gone_told;

static void told_gone(const uint8_t hash[32], void *ctx) {
    (void)ctx;
    (void)pthread_mutex_lock(&sent_lock);
    assert_int_equal(hash[0], 7);
    gone_told++;
    (void)pthread_cond_broadcast(&sent);
    (void)pthread_mutex_unlock(&sent_lock);
}

/* Once when it is seen, once more for a connection that was on its way; then it is forgotten. */
static void a_watched_sign_in_that_is_over_is_told_twice(void **state) {
    lab *l = *state;
    const uint8_t hash[32] = {7}, other[32] = {8};
    gone_told = 0;
    l->settings.people_mqtt_sign_ins = 1;
    porch_live_on_gone(l->live, told_gone, NULL);
    assert_true(porch_live_watch(l->live, hash));
    assert_true(porch_live_watch(l->live, hash));
    assert_false(porch_live_watch(l->live, other)); /* bounded */
    session_dead = true;
    assert_int_equal(porch_live_start(l->live, NULL), PORCH_OK);
    (void)pthread_mutex_lock(&sent_lock);
    while (gone_told < 2)
        (void)pthread_cond_wait(&sent, &sent_lock);
    (void)pthread_mutex_unlock(&sent_lock);
    assert_true(porch_live_watch(l->live, hash)); /* there is room again */
    porch_live_stop(l->live);
}

#define LAB_TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)

int main(void) {
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_fresh_stream_begins_now_with_an_id_to_come_back_with),
        LAB_TEST(another_household_hears_nothing),
        LAB_TEST(what_the_policy_holds_back_is_not_told),
        LAB_TEST(a_policy_that_changes_while_a_stream_opens_holds_for_it),
        LAB_TEST(what_came_under_another_topic_is_left_out_where_that_is_denied),
        LAB_TEST(a_persons_news_reaches_their_other_sign_ins_and_nobody_else),
        LAB_TEST(a_returning_page_is_told_what_it_missed_oldest_first_and_once),
        LAB_TEST(what_happens_while_the_missed_is_read_comes_after_it_and_once),
        LAB_TEST(hundreds_of_missed_events_come_page_by_page),
        cmocka_unit_test(ids_that_are_none_are_not_believed),
        LAB_TEST(streams_are_bounded_per_sign_in),
        LAB_TEST(signing_out_closes_the_streams_of_that_sign_in_only),
        LAB_TEST(the_thread_gives_signs_of_life_and_tells_devices),
        LAB_TEST(a_sign_in_that_is_over_loses_its_stream),
        LAB_TEST(a_watched_sign_in_that_is_over_is_told_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
