/* What is remembered of policies and topics is what they would say if they were asked again: against the
 * engine itself, and in conversations where permissions change between two messages of the same topic. */
#include "cloud/broker/brokerbed.h"
#include "cloud/broker/room.h"

#include <cmocka.h>

/* ---- against the engine ---- */

static uint32_t seed;
static uint32_t dice(uint32_t sides) {
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * sides) >> 32);
}

/* A policy at random, built over what stood at `block`: a pointer says nothing about what it points to. */
static const porch_access_policy *policy_in(void *block, size_t bytes) {
    porch_access_statement s[6];
    char texts[6][32];
    const porch_access_policy *p = NULL;
    for (int i = 0; i < 6; i++) {
        static const char *const ends[] = {"#", "+/x", "+", "1/x", "2"};
        (void)snprintf(texts[i], sizeof texts[i], "t/%u/%s", dice(12), ends[dice(5)]);
        s[i] = (porch_access_statement){dice(3) == 0 ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW,
                                        1u + dice(7),
                                        {porch_bytes_of(texts[i])},
                                        0};
    }
    assert_int_equal(porch_access_policy_build(s, 6, block, bytes, &p), PORCH_OK);
    return p;
}

/* Also longer than the memo keeps, and more than it has rows. */
static porch_bytes some_topic(char out[256]) {
    static const char *const ends[] = {"1/x", "2", "a", "3/x"};
    int len = snprintf(out, 256, "t/%u/%s", dice(12), ends[dice(4)]);
    if (dice(4) == 0) len = snprintf(out, 256, "t/%u/%u", dice(12), dice(4000));
    if (dice(50) == 0) len = snprintf(out, 256, "t/%u/%0*u", dice(12), 100 + (int)dice(30), dice(9));
    return (porch_bytes){(uint8_t *)out, (size_t)len};
}

static void what_is_remembered_is_what_the_policy_says(void **state) {
    (void)state;
    enum { SESSIONS = 40, BYTES = 8192, QUESTIONS = 400000 };
    static porch_broker_shard shard;
    static porch_session sessions[SESSIONS];
    static uint64_t blocks[SESSIONS][BYTES / 8];
    unsigned allowed = 0, changed = 0;
    seed = 11;
    shard.memo = porch_memo_new(3);
    shard.verdicts = porch_verdicts_new();
    for (int i = 0; i < QUESTIONS; i++) {
        char text[256];
        size_t k = dice(SESSIONS);
        porch_session *s = &sessions[k];
        if (s->policy == NULL || dice(200) == 0) {
            s->home = &shard;
            s->policy = policy_in(blocks[k], BYTES);
            porch_session_judge_anew(s);
            changed++;
        }
        porch_bytes topic = some_topic(text);
        unsigned action = dice(2) == 0 ? PORCH_ACCESS_PUBLISH : PORCH_ACCESS_RECEIVE;
        porch_access_decision is = porch_session_decide(s, action, topic, porch_memo_id(shard.memo, topic));
        porch_access_decision should = action == PORCH_ACCESS_PUBLISH
                                           ? porch_access_can_publish(s->policy, (porch_topic_name){topic})
                                           : porch_access_can_receive(s->policy, (porch_topic_name){topic});
        if (is.allowed != should.allowed || is.statement != should.statement)
            fail_msg("question %d about %s: %d by %d, the policy says %d by %d", i, text, is.allowed,
                     is.statement, should.allowed, should.statement);
        allowed += is.allowed;
    }
    assert_true(allowed > QUESTIONS / 10 && allowed < QUESTIONS / 10 * 9 && changed > QUESTIONS / 400);
    porch_memo_free(shard.memo);
    porch_verdicts_free(shard.verdicts);
}

/* ---- in conversations ---- */

static porch_conn *connected_for(porch_identity_kind kind, const char *name, bool lasts) {
    uint8_t text[128];
    char id[32];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connect hello = {.version = PORCH_MQTT_V5, .clean_start = true, .keep_alive_s = 60};
    static unsigned names;
    (void)snprintf(id, sizeof id, "%s/%u", name, names++);
    static const uint8_t expiry[] = {PORCH_MQTT_PROP_SESSION_EXPIRY, 0, 0, 1, 0};
    if (lasts)
        assert_int_equal(porch_mqtt_properties_of((porch_bytes){expiry, sizeof expiry}, PORCH_MQTT_CONNECT,
                                                  NULL, &hello.properties),
                         PORCH_OK);
    hello.client_id = porch_bytes_of(kind == PORCH_IDENTITY_DEVICE ? name : id);
    assert_int_equal(porch_mqtt_connect_write(&b, &hello), PORCH_OK);
    porch_conn *c = bed_dial(kind, name);
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    assert_int_equal(c->out[0], PORCH_MQTT_CONNACK << 4);
    bed_read(c, c->out_len);
    return c;
}

static porch_conn *connected(porch_identity_kind kind, const char *name) {
    return connected_for(kind, name, false);
}

static void subscribe(porch_conn *c, const char *filter) {
    uint8_t text[256], list[128];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    porch_mqtt_subscription one = {.text = porch_bytes_of(filter), .qos = 1};
    assert_int_equal(porch_mqtt_subscription_put(&l, PORCH_MQTT_V5, &one), PORCH_OK);
    porch_mqtt_subscribe packet = {1, 1, porch_buf_bytes(&l), {{NULL, 0}, 0}};
    assert_int_equal(porch_mqtt_subscribe_write(&b, PORCH_MQTT_V5, &packet), PORCH_OK);
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    assert_true(c->out_len > 4 && c->out[c->out_len - 1] < 0x80);
    bed_read(c, c->out_len);
}

static void say(porch_conn *c, const char *topic) {
    uint8_t text[256];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_publish packet = {
        .topic = {porch_bytes_of(topic)}, .payload = PORCH_LIT("x"), .qos = 1, .packet_id = 5};
    assert_int_equal(porch_mqtt_publish_write(&b, PORCH_MQTT_V5, &packet), PORCH_OK);
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
}

/* The reason code of its PUBACK. */
static uint8_t said(porch_conn *c, const char *topic) {
    say(c, topic);
    assert_true(c->out_len >= 4 && c->out[0] == PORCH_MQTT_PUBACK << 4);
    uint8_t reason = c->out[1] > 2 ? c->out[4] : 0;
    bed_read(c, c->out_len);
    return reason;
}

static bool heard(porch_conn *c) {
    bool got = c->out_len > 0;
    if (got) assert_int_equal(c->out[0] >> 4, PORCH_MQTT_PUBLISH);
    bed_read(c, c->out_len);
    return got;
}

static void grant(const char *const *texts) {
    bed_grants = texts;
    porch_broker_regrant(bed.broker, PORCH_IDENTITY_NONE, NULL);
    bed_work();
}

enum { DENIED = PORCH_MQTT_RC_NOT_AUTHORIZED };

static void a_change_counts_from_the_next_message_of_the_same_topic_on(void **state) {
    (void)state;
    static const char *const all[] = {"publish,subscribe:t/#", NULL};
    static const char *const mute[] = {"publish:s/#", "subscribe:t/#", NULL};
    static const char *const deaf[] = {"publish:t/#", NULL};
    porch_conn *says = connected(PORCH_IDENTITY_SERVICE, "m"),
               *hears = connected(PORCH_IDENTITY_SERVICE, "m");
    subscribe(hears, "t/+");
    for (int round = 0; round < 3; round++) {
        grant(all);
        for (int i = 0; i < 2; i++)
            assert_true(said(says, "t/1") < 0x80 && heard(hears));
        grant(mute);
        for (int i = 0; i < 2; i++)
            assert_true(said(says, "t/1") == DENIED && !heard(hears));
        grant(deaf);
        for (int i = 0; i < 2; i++)
            assert_true(said(says, "t/1") < 0x80 && !heard(hears));
    }
}

static void a_deny_is_judged_for_each_topic_of_a_wide_filter(void **state) {
    (void)state;
    porch_conn *says = connected(PORCH_IDENTITY_SERVICE, "m"),
               *hears = connected(PORCH_IDENTITY_SERVICE, "m");
    subscribe(hears, "t/+");
    for (int i = 0; i < 3; i++) {
        assert_true(said(says, "t/secret") < 0x80 && !heard(hears));
        assert_true(said(says, "t/secreT") < 0x80 && heard(hears));
    }
}

static porch_session *session_of(const porch_conn *c) {
    return porch_conn_user(c);
}

static void quarantine_counts_for_topics_that_were_spoken_and_heard_before(void **state) {
    (void)state;
    porch_conn *cam = connected(PORCH_IDENTITY_DEVICE, "cam"), *m = connected(PORCH_IDENTITY_SERVICE, "m");
    subscribe(cam, "t/+");
    for (int round = 0; round < 2; round++) {
        assert_true(said(cam, "d/cam/event/x") < 0x80);
        assert_true(said(m, "t/1") < 0x80 && heard(cam));
        session_of(cam)->entry.quarantined = true; /* as porch_session_regrant reads it from the registry */
        porch_broker_regrant(bed.broker, PORCH_IDENTITY_DEVICE, "cam");
        bed_work();
        assert_int_equal(said(cam, "d/cam/event/x"), DENIED);
        assert_true(said(cam, "d/cam/log/x") < 0x80);
        assert_true(said(m, "t/1") < 0x80 && !heard(cam));
        session_of(cam)->entry.quarantined = false;
        porch_broker_regrant(bed.broker, PORCH_IDENTITY_DEVICE, "cam");
        bed_work();
    }
}

/* Its memory may well be the one that went before it. */
static void a_session_that_follows_another_is_not_taken_for_it(void **state) {
    (void)state;
    static const char *const all[] = {"publish,subscribe:t/#", NULL}, *const few[] = {"publish:t/1", NULL};
    for (int i = 0; i < 20; i++) {
        bed_grants = i % 2 == 0 ? all : few;
        porch_conn *c = connected(PORCH_IDENTITY_SERVICE, "m");
        assert_true(said(c, "t/1") < 0x80);
        assert_int_equal(said(c, "t/2") == DENIED, i % 2 != 0);
        bed_hang_up(c);
    }
}

static void whoever_comes_or_goes_is_heard_of_in_the_next_message(void **state) {
    (void)state;
    porch_conn *says = connected(PORCH_IDENTITY_SERVICE, "m");
    for (int i = 0; i < 3; i++) {
        (void)said(says, "t/1");
        porch_conn *a = connected(PORCH_IDENTITY_SERVICE, "m"), *b = connected(PORCH_IDENTITY_SERVICE, "m");
        subscribe(a, "t/1");
        assert_true(said(says, "t/1") < 0x80 && heard(a) && !heard(b));
        subscribe(b, "t/#");
        subscribe(b, "t/2");
        assert_true(said(says, "t/1") < 0x80 && heard(a) && heard(b));
        bed_hang_up(a);
        assert_true(said(says, "t/1") < 0x80 && heard(b));
        bed_hang_up(b);
    }
}

/* One that takes one message at a time, and lasts. */
static porch_conn *comes(bool clean) {
    static const uint8_t one[] = {PORCH_MQTT_PROP_SESSION_EXPIRY,  0, 0, 1, 0,
                                  PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 0, 1};
    uint8_t text[128];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connect hello = {.version = PORCH_MQTT_V5,
                                .clean_start = clean,
                                .keep_alive_s = 60,
                                .client_id = porch_bytes_of("m/away")};
    assert_int_equal(porch_mqtt_properties_of((porch_bytes){one, sizeof one}, PORCH_MQTT_CONNECT, NULL,
                                              &hello.properties),
                     PORCH_OK);
    assert_int_equal(porch_mqtt_connect_write(&b, &hello), PORCH_OK);
    porch_conn *c = bed_dial(PORCH_IDENTITY_SERVICE, "m");
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    assert_true(c->out_len > 4 && c->out[0] == PORCH_MQTT_CONNACK << 4 && c->out[2] == !clean);
    bed_read(c, c->out_len); /* with what was in flight */
    return c;
}

static void what_waits_is_judged_anew_also_when_its_link_broke(void **state) {
    (void)state;
    static const char *const all[] = {"publish,subscribe:t/#", NULL}, *const deaf[] = {"publish:t/#", NULL};
    static const uint8_t had_first[] = {PORCH_MQTT_PUBACK << 4, 2, 0, 1};
    for (int changed = 0; changed < 2; changed++) {
        grant(all);
        porch_conn *says = connected(PORCH_IDENTITY_SERVICE, "m"), *hears = comes(true);
        subscribe(hears, "t/+");
        assert_true(said(says, "t/1") < 0x80 && heard(hears));
        assert_true(said(says, "t/2") < 0x80 && !heard(hears)); /* waits for the first to be acknowledged */
        if (changed) grant(deaf);
        bed_hang_up(hears);
        hears = comes(false);
        bed_send(hears, (porch_bytes){had_first, sizeof had_first});
        bed_work();
        assert_int_equal(heard(hears), !changed);
        bed_hang_up(hears);
    }
}

/* Nothing of it is written, then it is: the acknowledgement waits for the commit. */
static void a_topic_is_kept_as_soon_as_a_lasting_session_wants_it(void **state) {
    (void)state;
    porch_conn *says = connected(PORCH_IDENTITY_SERVICE, "m");
    for (int i = 0; i < 2; i++) {
        bed.holds_back = true;
        assert_true(said(says, "t/1") < 0x80);
        bed.holds_back = false;
        porch_conn *lasting = connected_for(PORCH_IDENTITY_SERVICE, "m", true);
        subscribe(lasting, "t/+");
        bed.holds_back = true;
        say(says, "t/1");
        assert_int_equal(says->out_len, 0);
        bed.holds_back = false;
        bed_work();
        assert_true(says->out_len >= 4 && heard(lasting));
        bed_read(says, says->out_len);
        porch_broker_drop(bed.broker, PORCH_IDENTITY_SERVICE, "m", 0);
        bed_work();
        says = connected(PORCH_IDENTITY_SERVICE, "m");
    }
}

static int begin_stored(void **state) {
    (void)state;
    bed_reset("judge");
    bed_start(1, true);
    return 0;
}

static int begin(void **state) {
    (void)state;
    bed_reset("judge");
    bed_start(1, false);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_remembered_is_what_the_policy_says),
        cmocka_unit_test_setup_teardown(a_change_counts_from_the_next_message_of_the_same_topic_on, begin,
                                        bed_end),
        cmocka_unit_test_setup_teardown(a_deny_is_judged_for_each_topic_of_a_wide_filter, begin, bed_end),
        cmocka_unit_test_setup_teardown(quarantine_counts_for_topics_that_were_spoken_and_heard_before,
                                        begin, bed_end),
        cmocka_unit_test_setup_teardown(a_session_that_follows_another_is_not_taken_for_it, begin, bed_end),
        cmocka_unit_test_setup_teardown(whoever_comes_or_goes_is_heard_of_in_the_next_message, begin,
                                        bed_end),
        cmocka_unit_test_setup_teardown(what_waits_is_judged_anew_also_when_its_link_broke, begin, bed_end),
        cmocka_unit_test_setup_teardown(a_topic_is_kept_as_soon_as_a_lasting_session_wants_it, begin_stored,
                                        bed_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
