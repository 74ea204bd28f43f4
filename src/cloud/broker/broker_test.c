/* The broker as its clients see it: a real listener with two shards on the loopback, mutual TLS, the real
 * access engine and the real store; only groups are made up here. */
#include "cloud/broker/broker.h"

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "access/policy.h"
#include "access/statement.h"
#include "cloud/grants/grants.h"
#include "cloud/listener/conn.h"
#include "cloud/listener/testbed.h"
#include "cloud/store/store.h"
#include "os/clock.h"
#include "os/log.h"
#include "wire/mqtt_packet.h"

static bed_ca ca;
static bed_identity server, cam, bell, monitor, late, early;
static porch_listener *listener;
static porch_broker *broker;
static porch_store *store;
static uint16_t port;
static int listen_fd;
static char folder[64];

/* ---- groups, made up: a device has its own prefix, the service `monitor` what `grants` says ---- */

static const char *const first_grants[] = {"publish,subscribe:d/+/telemetry/#", "publish,subscribe:t/#",
                                           "receive:$porchlight/device/+/event/#",
                                           "subscribe:$porchlight/device/+/event/#", NULL};
static const char *const later_grants[] = {"publish,subscribe:t/only/#", NULL};
static const char *const *_Atomic grants = first_grants;

/* A policy that can be freed through the pointer that others hold. */
typedef union {
    const porch_access_policy *policy;
    void *block;
} made;

static const porch_access_policy *build(const char *const *texts, const char *device) {
    porch_access_statement statements[8];
    uint8_t scratch[2048];
    porch_buf b = PORCH_BUF_OF(scratch);
    porch_access_variable id = {"device.id", porch_bytes_of(device)};
    size_t n = 0;
    for (; texts[n] != NULL; n++)
        bed_ok(porch_access_statement_parse(porch_bytes_of(texts[n]), PORCH_ACCESS_ALLOW, &id, 1, NULL, &b,
                                            &statements[n], NULL),
               NULL);
    bed_ok(porch_access_statement_parse(PORCH_LIT("receive:t/secret"), PORCH_ACCESS_DENY, &id, 1, NULL, &b,
                                        &statements[n++], NULL),
           NULL);
    size_t bytes = porch_access_policy_bytes(statements, n);
    const porch_access_policy *ret = NULL;
    bed_ok(porch_access_policy_build(statements, n, malloc(bytes), bytes, &ret), NULL);
    return ret;
}

const porch_access_policy *porch_grants_policy(porch_grants *g, const porch_registry_entry *entry) {
    static const char *const device_default[] = {"publish,subscribe:d/${device.id}/#", NULL};
    (void)g;
    return build(entry->kind == PORCH_IDENTITY_DEVICE ? device_default : atomic_load(&grants), entry->name);
}

void porch_grants_policy_release(const porch_access_policy *p) {
    made m = {.policy = p};
    free(m.block);
}

bool porch_grants_denied(porch_grants *g, const porch_registry_entry *who,
                         const porch_access_policy *policy, porch_access_decision decision, unsigned action,
                         porch_bytes topic, uint32_t times, porch_why *why) {
    (void)g, (void)who, (void)policy, (void)decision, (void)action, (void)topic, (void)times;
    (void)porch_fail(why, PORCH_ERR_DENIED, "no statement allows it");
    return true;
}

static porch_err admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms, porch_principal *ret,
                       porch_why *why) {
    (void)ctx;
    (void)now_ms;
    (void)why;
    memset(ret, 0, sizeof *ret);
    ret->kind = tls->x509.identity.kind;
    memcpy(ret->name, tls->x509.identity.name, sizeof ret->name);
    return PORCH_OK;
}

static atomic_uint stored;
static atomic_bool disk_full;
static pthread_mutex_t disk_busy = PTHREAD_MUTEX_INITIALIZER; /* held: nothing is committed */

static porch_err on_stored(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                           porch_why *why) {
    (void)db;
    (void)m;
    (void)seq;
    (void)ctx;
    (void)pthread_mutex_lock(&disk_busy);
    (void)pthread_mutex_unlock(&disk_busy);
    if (atomic_load(&disk_full)) return porch_fail(why, PORCH_ERR_FULL, "the disk is full");
    atomic_fetch_add(&stored, 1);
    return PORCH_OK;
}

/* The broker's own hooks, but each turn of a shard is counted. */
static porch_conn_hooks counted_hooks;
static atomic_bool turns_watched;
static sem_t turns;

static void count_turn(void *ctx, porch_shard *shard) {
    if (atomic_load(&turns_watched)) (void)sem_post(&turns);
    porch_broker_hooks()->turn(ctx, shard);
}

static int set_up(void **state) {
    (void)state;
    porch_why why = {""};
    porch_log_init("broker_test", getenv("PORCH_TEST_LOG") != NULL ? PORCH_LOG_DEBUG : PORCH_LOG_ERROR);
    bed_ca_make(&ca, "test");
    bed_issue(&ca, PORCH_PROFILE_HUB_SERVER, NULL, -1, 90, &server);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "cam", -1, 90, &cam);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "bell", -1, 90, &bell);
    bed_issue(&ca, PORCH_PROFILE_SERVICE, "monitor", -1, 90, &monitor);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "cam", -30, -1, &late);
    bed_issue(&ca, PORCH_PROFILE_DEVICE, "cam", 1, 30, &early);
    static porch_settings settings;
    porch_settings_default(&settings);
    settings.broker_packet_bytes = 65536;
    settings.broker_queue_messages = 8192;
    settings.broker_queue_bytes = 262144;
    settings.broker_receive_maximum = 64;
    settings.broker_subscriptions = 20;
    settings.broker_messages_s = settings.broker_bytes_s = 0;
    snprintf(folder, sizeof folder, "/tmp/broker-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    bed_ok(porch_store_open(folder, &settings, &store, &why), &why);
    porch_store_on_message(store, on_stored, NULL);
    porch_broker_config bc = {&settings, NULL, NULL, store};
    bed_ok(porch_broker_new(&bc, &broker, &why), &why);
    listen_fd = bed_listen(&port);
    porch_tls_server *tls = bed_server(&ca, &server, PORCH_TLS_CLIENT_REQUIRE, NULL);
    porch_listener_config config;
    memset(&config, 0, sizeof config);
    config.settings = &settings;
    config.shards = 2;
    config.listen_fd[PORCH_LISTEN_MQTT] = listen_fd;
    config.listen_fd[PORCH_LISTEN_DEVICE] = config.listen_fd[PORCH_LISTEN_PEOPLE] = -1;
    config.tls[PORCH_LISTEN_MQTT] = tls;
    config.admit = admit;
    counted_hooks = *porch_broker_hooks();
    counted_hooks.turn = count_turn;
    config.mqtt = &counted_hooks;
    config.mqtt_ctx = broker;
    bed_ok(porch_listener_new(&config, &listener, &why), &why);
    bed_ok(porch_listener_start(listener, &why), &why);
    porch_tls_server_unref(tls);
    return 0;
}

static void remove_folder(void) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d != NULL) closedir(d);
    rmdir(folder);
}

static int tear_down(void **state) {
    (void)state;
    porch_broker_counts counts;
    porch_listener_drain(listener, 5000);
    porch_listener_stop(listener);
    porch_broker_read_counts(broker, &counts);
    assert_int_equal(counts.sessions, 0);
    assert_int_equal(counts.subscriptions, 0);
    porch_store_close(store);
    porch_listener_free(listener);
    porch_broker_free(broker);
    close(listen_fd);
    remove_folder();
    porch_key *keys[6] = {server.key, cam.key, bell.key, monitor.key, late.key, early.key};
    for (size_t i = 0; i < 6; i++)
        porch_key_free(keys[i]);
    bed_ca_free(&ca);
    return 0;
}

/* ---- an MQTT client of few words ---- */

static const porch_mqtt_properties none = {{NULL, 0}, 0};

static void send_buf(bed_client *c, const porch_buf *b) {
    assert_true(bed_send(c, porch_buf_bytes(b)));
}

/* The next packet; views stay valid until the next call. False at the end of the connection. */
static bool receive(bed_client *c, porch_mqtt_version v, porch_mqtt_packet *ret) {
    porch_mqtt_frame frame;
    bed_used(c, c->taken);
    c->taken = 0;
    while (porch_mqtt_frame_read((porch_bytes){c->in, c->in_len}, 1 << 20, NULL, &frame) ==
           PORCH_ERR_TRUNCATED)
        if (!bed_more(c)) return false;
    bed_ok(porch_mqtt_packet_read(&frame, v, PORCH_MQTT_FROM_SERVER, NULL, ret), NULL);
    c->taken = frame.bytes;
    return true;
}

static porch_mqtt_packet expect(bed_client *c, porch_mqtt_version v, porch_mqtt_type type) {
    porch_mqtt_packet p = {.type = PORCH_MQTT_AUTH};
    if (!receive(c, v, &p)) fail_msg("the connection ended before %s", porch_mqtt_type_name(type));
    if (p.type != type)
        fail_msg("%s instead of %s", porch_mqtt_type_name(p.type), porch_mqtt_type_name(type));
    return p;
}

static uint8_t connect_as(bed_client *c, porch_mqtt_version v, const char *client_id) {
    uint8_t text[512];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connect in;
    memset(&in, 0, sizeof in);
    in.version = v;
    in.clean_start = true;
    in.keep_alive_s = 60;
    in.client_id = porch_bytes_of(client_id);
    bed_ok(porch_mqtt_connect_write(&b, &in), NULL);
    send_buf(c, &b);
    return expect(c, v, PORCH_MQTT_CONNACK).connack.reason;
}

static bed_client *online(const bed_identity *id, porch_mqtt_version v, const char *client_id) {
    bed_client *c = bed_connect(&ca, id, port);
    assert_int_equal(connect_as(c, v, client_id), 0);
    return c;
}

static void send_publish(bed_client *c, porch_mqtt_version v, const char *topic, porch_bytes payload,
                         uint8_t qos, uint16_t id) {
    static uint8_t text[70000];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_publish in = {{porch_bytes_of(topic)}, payload, id, qos, false, false, none};
    bed_ok(porch_mqtt_publish_write(&b, v, &in), NULL);
    send_buf(c, &b);
}

static uint8_t publish1(bed_client *c, porch_mqtt_version v, const char *topic, const char *payload,
                        uint16_t id) {
    send_publish(c, v, topic, porch_bytes_of(payload), 1, id);
    porch_mqtt_packet p = expect(c, v, PORCH_MQTT_PUBACK);
    assert_int_equal(p.ack.packet_id, id);
    return p.ack.reason;
}

static uint8_t subscribe(bed_client *c, porch_mqtt_version v, const char *filter, uint8_t qos) {
    uint8_t text[512], list[400];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    porch_mqtt_subscription one;
    memset(&one, 0, sizeof one);
    one.text = porch_bytes_of(filter);
    one.qos = qos;
    bed_ok(porch_mqtt_subscription_put(&l, v, &one), NULL);
    porch_mqtt_subscribe in = {9, 1, porch_buf_bytes(&l), none};
    bed_ok(porch_mqtt_subscribe_write(&b, v, &in), NULL);
    send_buf(c, &b);
    porch_mqtt_packet p = expect(c, v, PORCH_MQTT_SUBACK);
    assert_int_equal(p.suback.reasons.len, 1);
    return p.suback.reasons.at[0];
}

static void puback(bed_client *c, uint16_t id) {
    uint8_t text[4] = {PORCH_MQTT_PUBACK << 4, 2, (uint8_t)(id >> 8), (uint8_t)id};
    assert_true(bed_send(c, (porch_bytes){text, 4}));
}

static void expect_message(bed_client *c, porch_mqtt_version v, const char *topic, const char *payload,
                           uint8_t qos) {
    porch_mqtt_packet p = expect(c, v, PORCH_MQTT_PUBLISH);
    assert_true(porch_bytes_eq_text(p.publish.topic.text, topic));
    assert_true(porch_bytes_eq_text(p.publish.payload, payload));
    assert_int_equal(p.publish.qos, qos);
    if (qos > 0) puback(c, p.publish.packet_id);
}

static void expect_end(bed_client *c, porch_mqtt_version v, uint8_t reason) {
    porch_mqtt_packet p = {.type = PORCH_MQTT_AUTH};
    while (p.type != PORCH_MQTT_DISCONNECT)
        if (!receive(c, v, &p)) fail_msg("it ended without a word");
    assert_int_equal(p.disconnect.reason, reason);
    assert_false(receive(c, v, &p));
    bed_close(c);
}

/* ---- the tests ---- */

#define V5   PORCH_MQTT_V5
#define V311 PORCH_MQTT_V311

static void messages_cross_versions_qualities_and_shards(void **state) {
    (void)state;
    enum { WATCHERS = 6 };
    bed_client *w[WATCHERS];
    for (int i = 0; i < WATCHERS; i++) {
        char id[32];
        snprintf(id, sizeof id, "monitor/%d", i);
        w[i] = online(&monitor, i % 2 ? V5 : V311, id);
        assert_int_equal(subscribe(w[i], i % 2 ? V5 : V311, "d/+/telemetry/#", (uint8_t)(i % 3 > 0)),
                         i % 3 > 0);
    }
    bed_client *p = online(&cam, V5, "cam"), *q = online(&bell, V311, "");
    assert_int_equal(publish1(p, V5, "d/cam/telemetry/heat", "21", 1), 0);
    send_publish(q, V311, "d/bell/telemetry/rings", PORCH_LIT("3"), 0, 0);
    for (int i = 0; i < WATCHERS; i++) {
        /* Two publishers: either may come first. */
        for (int k = 0; k < 2; k++) {
            porch_mqtt_packet m = expect(w[i], i % 2 ? V5 : V311, PORCH_MQTT_PUBLISH);
            bool heat = porch_bytes_eq_text(m.publish.topic.text, "d/cam/telemetry/heat");
            assert_int_equal(m.publish.qos, heat && i % 3 > 0);
            assert_true(porch_bytes_eq_text(m.publish.payload, heat ? "21" : "3"));
            if (m.publish.qos > 0) puback(w[i], m.publish.packet_id);
        }
        bed_close(w[i]);
    }
    bed_close(p);
    bed_close(q);
}

static void overlapping_subscriptions_bring_one_copy_at_the_highest_quality(void **state) {
    (void)state;
    bed_client *c = online(&monitor, V5, "monitor");
    assert_int_equal(subscribe(c, V5, "t/#", 0), 0);
    assert_int_equal(subscribe(c, V5, "t/a", 1), 1);
    assert_int_equal(subscribe(c, V5, "t/+", 0), 0);
    send_publish(c, V5, "t/a", PORCH_LIT("1"), 1, 5);
    send_publish(c, V5, "t/b", PORCH_LIT("2"), 0, 0);
    bool acked = false, first = false, second = false;
    while (!acked || !second) {
        porch_mqtt_packet p;
        assert_true(receive(c, V5, &p));
        if (p.type == PORCH_MQTT_PUBACK) {
            acked = true;
            continue;
        }
        assert_int_equal(p.type, PORCH_MQTT_PUBLISH);
        if (!first) {
            first = true;
            assert_true(porch_bytes_eq_text(p.publish.payload, "1"));
            assert_int_equal(p.publish.qos, 1);
        } else {
            second = true;
            assert_true(porch_bytes_eq_text(p.publish.payload, "2"));
        }
    }
    bed_close(c);
}

static void what_is_not_ones_own_is_refused_with_the_versions_word(void **state) {
    (void)state;
    bed_client *w = online(&monitor, V5, "monitor");
    assert_int_equal(subscribe(w, V5, "d/+/telemetry/#", 0), 0);
    bed_client *c = online(&cam, V5, "cam");
    assert_int_equal(publish1(c, V5, "d/bell/telemetry/x", "forged", 1), PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_int_equal(publish1(c, V5, "$porchlight/device/cam/event/person", "forged", 2),
                     PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_int_equal(subscribe(c, V5, "d/+/telemetry/#", 0), PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_int_equal(subscribe(c, V5, "#", 0), PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_int_equal(subscribe(c, V5, "$share/g/d/#", 0), PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_int_equal(subscribe(c, V5, "$share/g/d/cam/#", 0), 0);
    bed_client *o = online(&bell, V311, "bell");
    assert_int_equal(publish1(o, V311, "d/cam/telemetry/x", "forged", 1), 0);
    send_publish(o, V311, "d/cam/telemetry/x", PORCH_LIT("forged"), 0, 0);
    assert_int_equal(subscribe(o, V311, "d/#", 0), 0x80);
    assert_int_equal(publish1(o, V311, "d/bell/telemetry/x", "own", 2), 0);
    expect_message(w, V5, "d/bell/telemetry/x", "own", 0);
    bed_close(w);
    bed_close(c);
    bed_close(o);
}

static void deny_is_judged_at_delivery(void **state) {
    (void)state;
    bed_client *w = online(&monitor, V5, "monitor/a"), *p = online(&monitor, V5, "monitor/b");
    assert_int_equal(subscribe(w, V5, "t/#", 0), 0);
    assert_int_equal(publish1(p, V5, "t/secret", "hidden", 1), 0);
    assert_int_equal(publish1(p, V5, "t/open", "seen", 2), 0);
    expect_message(w, V5, "t/open", "seen", 0);
    bed_close(w);
    bed_close(p);
}

static void certificates_out_of_their_time_are_answered(void **state) {
    (void)state;
    const bed_identity *ids[] = {&late, &early};
    for (int i = 0; i < 2; i++) {
        bed_client *c = bed_connect(&ca, ids[i], port);
        porch_mqtt_packet p;
        assert_int_equal(connect_as(c, V5, "cam"), PORCH_MQTT_RC_NOT_AUTHORIZED);
        assert_false(receive(c, V5, &p));
        bed_close(c);
        c = bed_connect(&ca, ids[i], port);
        assert_int_equal(connect_as(c, V311, "cam"), PORCH_MQTT_RC_NOT_AUTHORIZED); /* 5 on the wire */
        bed_close(c);
    }
}

static void client_identifiers_belong_to_their_principal(void **state) {
    (void)state;
    static const char *const wrong_for_cam[] = {"bell", "cam/1", "cam2", "Cam"};
    static const char *const wrong_for_monitor[] = {"cam", "monitorx", "other/1"};
    for (size_t i = 0; i < 4; i++) {
        bed_client *c = bed_connect(&ca, &cam, port);
        assert_int_equal(connect_as(c, V5, wrong_for_cam[i]), PORCH_MQTT_RC_CLIENT_ID_INVALID);
        bed_close(c);
    }
    for (size_t i = 0; i < 3; i++) {
        bed_client *c = bed_connect(&ca, &monitor, port);
        assert_int_equal(connect_as(c, V311, wrong_for_monitor[i]), PORCH_MQTT_RC_CLIENT_ID_INVALID);
        bed_close(c);
    }
    for (int i = 0; i < 8; i++) {
        bed_client *a = online(&monitor, V5, ""), *b = online(&monitor, V5, "");
        bed_close(a);
        bed_close(b);
    }
}

static void a_session_is_taken_over_by_its_own_principal_only(void **state) {
    (void)state;
    bed_client *old = online(&monitor, V5, "monitor/x");
    bed_client *fresh = online(&monitor, V5, "monitor/x");
    expect_end(old, V5, PORCH_MQTT_RC_SESSION_TAKEN_OVER);
    assert_int_equal(subscribe(fresh, V5, "t/#", 0), 0);
    bed_close(fresh);
}

static void a_dropped_principal_is_told_on_all_shards(void **state) {
    (void)state;
    bed_client *c[6];
    for (int i = 0; i < 6; i++) {
        char id[32];
        snprintf(id, sizeof id, "monitor/%d", i);
        c[i] = online(&monitor, V5, id);
    }
    bed_client *other = online(&cam, V5, "cam");
    porch_broker_drop(broker, PORCH_IDENTITY_SERVICE, "monitor", PORCH_MQTT_RC_NOT_AUTHORIZED);
    for (int i = 0; i < 6; i++)
        expect_end(c[i], V5, PORCH_MQTT_RC_NOT_AUTHORIZED);
    assert_int_equal(publish1(other, V5, "d/cam/x", "still here", 1), 0);
    bed_close(other);
}

static void a_change_of_grants_reaches_live_sessions(void **state) {
    (void)state;
    bed_client *w = online(&monitor, V5, "monitor/a"), *p = online(&monitor, V5, "monitor/b");
    assert_int_equal(subscribe(w, V5, "t/#", 0), 0);
    assert_int_equal(publish1(p, V5, "t/x", "1", 1), 0);
    expect_message(w, V5, "t/x", "1", 0);
    atomic_store(&grants, later_grants);
    porch_broker_regrant(broker, PORCH_IDENTITY_SERVICE, "monitor");
    while (publish1(p, V5, "t/x", "2", 2) != PORCH_MQTT_RC_NOT_AUTHORIZED)
        continue; /* until both shards have heard of it */
    assert_int_equal(publish1(p, V5, "t/only/x", "3", 3), 0);
    porch_mqtt_packet m;
    do {
        assert_true(receive(w, V5, &m));
    } while (porch_bytes_eq_text(m.publish.payload, "2"));
    assert_true(porch_bytes_eq_text(m.publish.payload, "3"));
    atomic_store(&grants, first_grants);
    porch_broker_regrant(broker, PORCH_IDENTITY_NONE, NULL);
    bed_close(w);
    bed_close(p);
}

static void the_hubs_own_words_reach_whom_they_may(void **state) {
    (void)state;
    bed_client *w = online(&monitor, V311, "monitor");
    assert_int_equal(subscribe(w, V311, "$porchlight/device/+/event/#", 1), 1);
    assert_int_equal(
        porch_broker_publish(broker, PORCH_LIT("$porchlight/device/cam/event/person"), PORCH_LIT("{}"), 1),
        PORCH_OK);
    expect_message(w, V311, "$porchlight/device/cam/event/person", "{}", 1);
    assert_int_equal(porch_broker_publish(broker, PORCH_LIT("$porchlight/#"), PORCH_LIT("{}"), 1),
                     PORCH_ERR_MALFORMED);
    bed_close(w);
}

static void stored_topics_are_stored_once_before_their_acknowledgement(void **state) {
    (void)state;
    unsigned before = atomic_load(&stored);
    bed_client *c = online(&cam, V5, "cam");
    for (uint16_t i = 1; i <= 40; i++) {
        assert_int_equal(publish1(c, V5, i % 2 ? "d/cam/event/motion" : "d/cam/other", "{}", i), 0);
        assert_int_equal(atomic_load(&stored) - before, (i + 1) / 2);
    }
    bed_close(c);
}

static void acknowledgements_come_in_the_order_of_the_publications(void **state) {
    (void)state;
    bed_client *c = online(&cam, V5, "cam");
    for (uint16_t i = 1; i <= 60; i++)
        send_publish(c, V5,
                     i % 3 == 0   ? "d/cam/other"
                     : i % 3 == 1 ? "d/cam/event/motion"
                                  : "d/bell/x",
                     PORCH_LIT("{}"), 1, i);
    for (uint16_t i = 1; i <= 60; i++) {
        porch_mqtt_packet p = expect(c, V5, PORCH_MQTT_PUBACK);
        assert_int_equal(p.ack.packet_id, i);
        assert_int_equal(p.ack.reason, i % 3 == 2 ? PORCH_MQTT_RC_NOT_AUTHORIZED : 0);
    }
    bed_close(c);
}

static void a_3_1_1_publisher_is_held_back_not_refused(void **state) {
    (void)state;
    bed_client *c = online(&cam, V311, "cam");
    for (uint16_t i = 1; i <= 300; i++)
        send_publish(c, V311, "d/cam/event/motion", PORCH_LIT("{}"), 1, i);
    for (uint16_t i = 1; i <= 300; i++)
        assert_int_equal(expect(c, V311, PORCH_MQTT_PUBACK).ack.packet_id, i);
    bed_close(c);
}

static void a_large_message_arrives_whole(void **state) {
    (void)state;
    static char payload[60001];
    memset(payload, 'z', sizeof payload - 1);
    bed_client *w = online(&monitor, V5, "monitor/w"), *p = online(&monitor, V311, "monitor/p");
    assert_int_equal(subscribe(w, V5, "t/#", 1), 1);
    for (uint16_t i = 1; i <= 3; i++)
        assert_int_equal(publish1(p, V311, "t/large", payload, i), 0);
    for (int i = 0; i < 3; i++)
        expect_message(w, V5, "t/large", payload, 1);
    bed_close(w);
    bed_close(p);
}

/* A packet larger than a TLS record leaves in pieces, and the socket may stop between two of them. */
static void answers_wait_for_the_end_of_a_large_message(void **state) {
    (void)state;
    static uint8_t payload[60000];
    static const uint8_t pingreq[2] = {PORCH_MQTT_PINGREQ << 4, 0};
    porch_broker_counts counts;
    memset(payload, 'z', sizeof payload);
    bed_client *w = online(&monitor, V5, "monitor/w"), *p = online(&monitor, V311, "monitor/p");
    assert_int_equal(subscribe(w, V5, "t/large", 0), 0);
    for (int round = 0; round < 6; round++) {
        porch_broker_read_counts(broker, &counts);
        for (uint64_t dropped = counts.dropped_slow; counts.dropped_slow == dropped;) {
            send_publish(p, V311, "t/large", (porch_bytes){payload, sizeof payload}, 1, 7);
            expect(p, V311, PORCH_MQTT_PUBACK);
            porch_broker_read_counts(broker, &counts);
        }
        assert_true(bed_send(w, (porch_bytes){pingreq, sizeof pingreq}));
        for (uint16_t i = 1; i <= 20; i++) /* meanwhile the hub looks at the request */
            assert_int_equal(publish1(p, V311, "t/other", "x", i), 0);
        for (;;) {
            porch_mqtt_packet got;
            assert_true(receive(w, V5, &got));
            if (got.type == PORCH_MQTT_PINGRESP) break;
            assert_int_equal(got.type, PORCH_MQTT_PUBLISH);
            assert_int_equal(got.publish.payload.len, sizeof payload);
            assert_memory_equal(got.publish.payload.at, payload, sizeof payload);
        }
    }
    bed_close(w);
    bed_close(p);
}

static void a_packet_past_the_limit_is_told_so(void **state) {
    (void)state;
    bed_client *c = online(&cam, V5, "cam");
    static const uint8_t too_large[] = {0x30, 0xf0, 0xa2, 0x04};
    assert_true(bed_send(c, (porch_bytes){too_large, sizeof too_large}));
    expect_end(c, V5, PORCH_MQTT_RC_PACKET_TOO_LARGE);
}

static void a_subscriber_that_does_not_read_loses_only_its_own(void **state) {
    (void)state;
    static char payload[8001];
    porch_broker_counts counts;
    memset(payload, 'q', sizeof payload - 1);
    bed_client *deaf = online(&monitor, V5, "monitor/deaf"), *good = online(&monitor, V5, "monitor/good"),
               *p = online(&monitor, V5, "monitor/p");
    assert_int_equal(subscribe(deaf, V5, "t/#", 0), 0);
    assert_int_equal(subscribe(good, V5, "t/#", 0), 0);
    for (unsigned i = 0;; i++) {
        assert_int_equal(publish1(p, V5, "t/flood", payload, (uint16_t)(1 + i % 60000)), 0);
        expect_message(good, V5, "t/flood", payload, 0);
        porch_broker_read_counts(broker, &counts);
        if (counts.dropped_slow > 10) break;
        assert_true(i < 20000);
    }
    bed_close(deaf);
    bed_close(good);
    bed_close(p);
}

static void what_the_store_refuses_is_not_acknowledged_as_kept(void **state) {
    (void)state;
    porch_mqtt_packet p;
    bed_client *c = online(&cam, V5, "cam"), *o = online(&bell, V311, "bell");
    atomic_store(&disk_full, true);
    assert_int_equal(publish1(c, V5, "d/cam/event/motion", "{}", 1), PORCH_MQTT_RC_QUOTA_EXCEEDED);
    send_publish(o, V311, "d/bell/event/ring", PORCH_LIT("{}"), 1, 1);
    assert_false(receive(o, V311, &p)); /* 3.1.1 has no word for it: the end, and no PUBACK */
    bed_close(o);
    atomic_store(&disk_full, false);
    assert_int_equal(publish1(c, V5, "d/cam/event/motion", "{}", 2), 0);
    bed_close(c);
}

/* A publisher whose messages wait for the disk is asked again each millisecond, not in a loop: the writer
 * needs the processor more. So many turns last a while; a busy machine only makes them last longer. */
static void a_publisher_that_waits_for_the_disk_costs_no_turns(void **state) {
    (void)state;
    enum { MESSAGES = 65, TURNS = 400, LEAST_MS = TURNS / 4 };
    bed_client *c = online(&bell, V311, "bell");
    (void)pthread_mutex_lock(&disk_busy);
    assert_int_equal(sem_init(&turns, 0, 0), 0);
    atomic_store(&turns_watched, true);
    uint64_t before = porch_clock_mono_ms();
    for (unsigned i = 1; i <= MESSAGES; i++) /* one more than may be unacknowledged at once */
        send_publish(c, V311, "d/bell/telemetry/t", PORCH_LIT("x"), 1, (uint16_t)i);
    for (unsigned i = 0; i < TURNS; i++)
        while (sem_wait(&turns) != 0) {
        }
    uint64_t spent = porch_clock_mono_ms() - before;
    atomic_store(&turns_watched, false);
    (void)pthread_mutex_unlock(&disk_busy);
    for (unsigned i = 1; i <= MESSAGES; i++)
        assert_int_equal(expect(c, V311, PORCH_MQTT_PUBACK).ack.packet_id, i);
    bed_close(c);
    if (spent < LEAST_MS) fail_msg("%u turns for nothing in %u ms", TURNS, (unsigned)spent);
}

static void a_silent_client_is_told_and_cut(void **state) {
    (void)state;
    uint8_t text[128];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connect in = {
        .version = V5, .clean_start = true, .keep_alive_s = 1, .client_id = PORCH_LIT("cam")};
    bed_client *c = bed_connect(&ca, &cam, port);
    bed_ok(porch_mqtt_connect_write(&b, &in), NULL);
    send_buf(c, &b);
    assert_int_equal(expect(c, V5, PORCH_MQTT_CONNACK).connack.reason, 0);
    expect_end(c, V5, PORCH_MQTT_RC_KEEP_ALIVE_TIMEOUT);
}

static void more_subscriptions_than_the_limit_are_refused(void **state) {
    (void)state;
    bed_client *c = online(&monitor, V5, "monitor");
    char filter[32];
    for (int i = 0; i < 20; i++) {
        snprintf(filter, sizeof filter, "t/%d", i);
        assert_int_equal(subscribe(c, V5, filter, 0), 0);
    }
    assert_int_equal(subscribe(c, V5, "t/20", 0), PORCH_MQTT_RC_QUOTA_EXCEEDED);
    assert_int_equal(subscribe(c, V5, "t/19", 1), 1); /* known ones may change */
    bed_close(c);
}

static void a_packet_of_any_wrong_kind_ends_the_session_with_its_code(void **state) {
    (void)state;
    static const uint8_t wrong[][4] = {
        {0x20, 2, 0, 0}, {0x40, 1, 0, 0}, {0x62, 2, 0, 0}, {0x70, 1, 0, 0}, {0x60, 2, 0, 1},
        {0x82, 2, 0, 1}, {0xa2, 2, 0, 1}, {0xd0, 0, 0, 0}, {0xf0, 0, 0, 0}, {0x00, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bed_client *c = online(&cam, V5, "cam");
        assert_true(bed_send(c, (porch_bytes){wrong[i], 4}));
        porch_mqtt_packet p = expect(c, V5, PORCH_MQTT_DISCONNECT);
        assert_true(p.disconnect.reason == PORCH_MQTT_RC_MALFORMED_PACKET ||
                    p.disconnect.reason == PORCH_MQTT_RC_PROTOCOL_ERROR);
        bed_close(c);
    }
}

static void a_connection_between_two_shards_survives_the_move(void **state) {
    (void)state;
    /* Either shard may accept; with this many names each direction is taken. CONNECT and what follows are
     * sent at once, so that unread bytes move along. */
    for (int i = 0; i < 40; i++) {
        uint8_t text[512], list[64];
        char id[32];
        porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
        snprintf(id, sizeof id, "monitor/m%d", i);
        porch_mqtt_connect in = {.version = V5, .clean_start = true, .client_id = porch_bytes_of(id)};
        porch_mqtt_subscription one = {.text = PORCH_LIT("t/#"), .qos = 1};
        bed_ok(porch_mqtt_subscription_put(&l, V5, &one), NULL);
        porch_mqtt_subscribe sub = {7, 1, porch_buf_bytes(&l), none};
        porch_mqtt_publish pub = {{PORCH_LIT("t/x")}, PORCH_LIT("moved"), 8, 1, false, false, none};
        bed_ok(porch_mqtt_connect_write(&b, &in), NULL);
        bed_ok(porch_mqtt_subscribe_write(&b, V5, &sub), NULL);
        bed_ok(porch_mqtt_publish_write(&b, V5, &pub), NULL);
        bed_client *c = bed_connect(&ca, &monitor, port);
        send_buf(c, &b);
        assert_int_equal(expect(c, V5, PORCH_MQTT_CONNACK).connack.reason, 0);
        assert_int_equal(expect(c, V5, PORCH_MQTT_SUBACK).suback.packet_id, 7);
        bool acked = false, heard = false;
        while (!acked || !heard) {
            porch_mqtt_packet p;
            assert_true(receive(c, V5, &p));
            acked = acked || p.type == PORCH_MQTT_PUBACK;
            heard = heard || p.type == PORCH_MQTT_PUBLISH;
        }
        bed_close(c);
    }
}

/* Many clients at once, coming and going, on both shards. */
enum { CROWD = 6, CROWD_MESSAGES = 150 };

static void *one_of_the_crowd(void *arg) {
    int me = *(int *)arg;
    char id[32], topic[48];
    snprintf(id, sizeof id, "monitor/c%d", me);
    snprintf(topic, sizeof topic, "t/crowd/%d", me);
    static _Thread_local uint8_t text[256];
    for (int round = 0; round < 4; round++) {
        bed_client *c = calloc(1, sizeof *c);
        if (c == NULL || bed_try_connect(c, &ca, &monitor, port) != PORCH_OK) return "no connection";
        porch_buf b = PORCH_BUF_OF(text);
        porch_mqtt_connect con;
        memset(&con, 0, sizeof con);
        con.version = V5;
        con.clean_start = true;
        con.client_id = porch_bytes_of(id);
        uint8_t list[64];
        porch_buf l = PORCH_BUF_OF(list);
        porch_mqtt_subscription one;
        memset(&one, 0, sizeof one);
        one.text = PORCH_LIT("t/crowd/#");
        one.qos = 1;
        if (porch_mqtt_subscription_put(&l, V5, &one) != PORCH_OK) return "filter";
        porch_mqtt_subscribe sub = {1, 1, porch_buf_bytes(&l), none};
        if (porch_mqtt_connect_write(&b, &con) != PORCH_OK ||
            porch_mqtt_subscribe_write(&b, V5, &sub) != PORCH_OK)
            return "packets";
        if (!bed_send(c, porch_buf_bytes(&b))) return "send";
        int acks = 0, own = 0, sent = 0;
        while (acks < CROWD_MESSAGES || own < CROWD_MESSAGES) {
            while (sent < CROWD_MESSAGES && sent - acks < 40) {
                b.len = 0;
                porch_mqtt_publish in = {
                    {porch_bytes_of(topic)}, PORCH_LIT("m"), (uint16_t)(1 + sent), 1, false, false, none};
                if (porch_mqtt_publish_write(&b, V5, &in) != PORCH_OK) return "publish";
                if (!bed_send(c, porch_buf_bytes(&b))) return "send";
                sent++;
            }
            porch_mqtt_frame f;
            while (porch_mqtt_frame_read((porch_bytes){c->in, c->in_len}, 1 << 20, NULL, &f) != PORCH_OK)
                if (!bed_more(c)) return "the end";
            if (f.type == PORCH_MQTT_PUBACK) acks++;
            if (f.type == PORCH_MQTT_PUBLISH) {
                porch_mqtt_publish p;
                if (porch_mqtt_publish_read(&f, V5, PORCH_MQTT_FROM_SERVER, NULL, &p) != PORCH_OK)
                    return "read";
                if (porch_bytes_eq_text(p.topic.text, topic)) own++;
                uint8_t ack[4] = {PORCH_MQTT_PUBACK << 4, 2, (uint8_t)(p.packet_id >> 8),
                                  (uint8_t)p.packet_id};
                if (p.qos == 1 && !bed_send(c, (porch_bytes){ack, 4})) return "ack";
            }
            bed_used(c, f.bytes);
        }
        bed_close(c);
    }
    return NULL;
}

typedef struct {
    pthread_t threads[CROWD];
    int numbers[CROWD];
} crowd;

static void gather(crowd *all) {
    for (int i = 0; i < CROWD; i++) {
        all->numbers[i] = i;
        assert_int_equal(pthread_create(&all->threads[i], NULL, one_of_the_crowd, &all->numbers[i]), 0);
    }
}

static void disperse(const crowd *all) {
    for (int i = 0; i < CROWD; i++) {
        void *result;
        pthread_join(all->threads[i], &result);
        if (result != NULL) fail_msg("client %d: %s", i, (char *)result);
    }
}

static void a_crowd_on_two_shards_hears_itself(void **state) {
    (void)state;
    crowd all;
    gather(&all);
    disperse(&all);
}

static void send_retained(bed_client *c, const char *topic, const char *payload, uint16_t id) {
    uint8_t text[256];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_publish in = {.topic = {porch_bytes_of(topic)},
                             .payload = porch_bytes_of(payload),
                             .packet_id = id,
                             .qos = 1,
                             .retain = true,
                             .properties = none};
    bed_ok(porch_mqtt_publish_write(&b, V5, &in), NULL);
    send_buf(c, &b);
    assert_int_equal(expect(c, V5, PORCH_MQTT_PUBACK).ack.reason, 0);
}

/* Orders to forget come from any thread, in the middle of everything; after the answer it holds. */
static void what_is_forgotten_while_a_crowd_talks_is_gone_on_all_shards(void **state) {
    (void)state;
    crowd all;
    uint64_t none_of_theirs[2] = {UINT64_MAX - 1, UINT64_MAX};
    gather(&all);
    for (uint16_t round = 1; round <= 20; round++) {
        bed_client *p = online(&cam, V5, "cam");
        send_retained(p, "d/cam/telemetry/room", "theirs", 1);
        porch_broker_drop(broker, PORCH_IDENTITY_DEVICE, "cam", PORCH_MQTT_RC_ADMINISTRATIVE_ACTION);
        assert_true(porch_broker_forget_device(broker, "cam"));
        assert_true(porch_broker_forget_messages(broker, none_of_theirs, 2));
        assert_true(porch_broker_settle(broker));
        expect_end(p, V5, PORCH_MQTT_RC_ADMINISTRATIVE_ACTION);
        porch_broker_counts counts;
        porch_broker_read_counts(broker, &counts);
        assert_int_equal(counts.retained, 0);
    }
    bed_client *p = online(&cam, V5, "cam");
    send_retained(p, "d/cam/telemetry/room", "ours", 1);
    for (int i = 0; i < 6; i++) {
        char id[32];
        snprintf(id, sizeof id, "monitor/f%d", i);
        bed_client *w = online(&monitor, V5, id);
        assert_int_equal(subscribe(w, V5, "d/+/telemetry/#", 0), 0);
        expect_message(w, V5, "d/cam/telemetry/room", "ours", 0);
        bed_close(w);
    }
    send_retained(p, "d/cam/telemetry/room", "", 2);
    bed_close(p);
    disperse(&all);
}

/* Valid packets with bytes changed, cut and doubled at random, as often as PORCH_TEST_STORM says. The hub
 * may end such a connection as it likes; afterwards it serves as before. */
static size_t some_packets(uint8_t *at, size_t cap, uint32_t *random) {
    porch_buf b = {at, 0, cap};
    uint8_t list[64];
    porch_buf l = PORCH_BUF_OF(list);
    porch_mqtt_subscription one = {.text = PORCH_LIT("d/cam/#"), .qos = 1};
    bed_ok(porch_mqtt_subscription_put(&l, V5, &one), NULL);
    for (int i = 0; i < 12; i++) {
        *random = *random * 1664525u + 1013904223u;
        uint16_t id = (uint16_t)(1 + (*random >> 24));
        porch_mqtt_packet p;
        memset(&p, 0, sizeof p);
        switch ((*random >> 16) % 6) {
        case 0:
            p.type = PORCH_MQTT_PUBLISH;
            p.publish = (porch_mqtt_publish){
                {PORCH_LIT("d/cam/event/x")}, PORCH_LIT("{}"), id, 1, false, false, none};
            break;
        case 1:
            p.type = PORCH_MQTT_PUBLISH;
            p.publish = (porch_mqtt_publish){
                {PORCH_LIT("d/cam/x")}, PORCH_LIT("payload"), 0, 0, false, false, none};
            break;
        case 2:
            p.type = PORCH_MQTT_SUBSCRIBE;
            p.subscribe = (porch_mqtt_subscribe){id, 1, porch_buf_bytes(&l), none};
            break;
        case 3:
            p.type = PORCH_MQTT_PUBACK;
            p.ack = (porch_mqtt_ack){PORCH_MQTT_PUBACK, id, 0, none};
            break;
        case 4:
            p.type = PORCH_MQTT_PINGREQ;
            break;
        default:
            p.type = PORCH_MQTT_PUBLISH;
            p.publish = (porch_mqtt_publish){
                {PORCH_LIT("d/bell/x")}, PORCH_LIT("refused"), id, 1, false, false, none};
        }
        bed_ok(porch_mqtt_packet_write(&b, V5, &p), NULL);
    }
    return b.len;
}

static void a_storm_of_broken_packets_leaves_the_hub_standing(void **state) {
    (void)state;
    const char *count = getenv("PORCH_TEST_STORM");
    long rounds = count == NULL ? 60 : strtol(count, NULL, 10);
    uint32_t random = 20;
    for (long i = 0; i < rounds; i++) {
        uint8_t text[2048];
        bed_client *c = online(&cam, V5, "cam");
        size_t len = some_packets(text, sizeof text, &random);
        for (uint32_t k = 0; k <= random % 3; k++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % len] ^= (uint8_t)(1u << (random >> 29));
        }
        if (random % 5 == 0) len = (random >> 8) % len;
        (void)bed_send(c, (porch_bytes){text, len}); /* what is sent is taken before the end is seen */
        bed_close(c);
    }
    bed_client *c = online(&cam, V5, "cam");
    assert_int_equal(publish1(c, V5, "d/cam/event/x", "{}", 1), 0);
    bed_close(c);
}

/* The last one: tear_down finds everything ended. */
static void a_hub_that_goes_down_says_so(void **state) {
    (void)state;
    bed_client *c = online(&cam, V5, "cam");
    porch_listener_drain(listener, 1);
    expect_end(c, V5, PORCH_MQTT_RC_SERVER_SHUTTING_DOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_cross_versions_qualities_and_shards),
        cmocka_unit_test(overlapping_subscriptions_bring_one_copy_at_the_highest_quality),
        cmocka_unit_test(what_is_not_ones_own_is_refused_with_the_versions_word),
        cmocka_unit_test(deny_is_judged_at_delivery),
        cmocka_unit_test(certificates_out_of_their_time_are_answered),
        cmocka_unit_test(client_identifiers_belong_to_their_principal),
        cmocka_unit_test(a_session_is_taken_over_by_its_own_principal_only),
        cmocka_unit_test(a_dropped_principal_is_told_on_all_shards),
        cmocka_unit_test(a_change_of_grants_reaches_live_sessions),
        cmocka_unit_test(the_hubs_own_words_reach_whom_they_may),
        cmocka_unit_test(stored_topics_are_stored_once_before_their_acknowledgement),
        cmocka_unit_test(acknowledgements_come_in_the_order_of_the_publications),
        cmocka_unit_test(a_3_1_1_publisher_is_held_back_not_refused),
        cmocka_unit_test(a_large_message_arrives_whole),
        cmocka_unit_test(answers_wait_for_the_end_of_a_large_message),
        cmocka_unit_test(a_packet_past_the_limit_is_told_so),
        cmocka_unit_test(a_subscriber_that_does_not_read_loses_only_its_own),
        cmocka_unit_test(what_the_store_refuses_is_not_acknowledged_as_kept),
        cmocka_unit_test(a_publisher_that_waits_for_the_disk_costs_no_turns),
        cmocka_unit_test(a_silent_client_is_told_and_cut),
        cmocka_unit_test(more_subscriptions_than_the_limit_are_refused),
        cmocka_unit_test(a_packet_of_any_wrong_kind_ends_the_session_with_its_code),
        cmocka_unit_test(a_connection_between_two_shards_survives_the_move),
        cmocka_unit_test(a_storm_of_broken_packets_leaves_the_hub_standing),
        cmocka_unit_test(a_crowd_on_two_shards_hears_itself),
        cmocka_unit_test(what_is_forgotten_while_a_crowd_talks_is_gone_on_all_shards),
        cmocka_unit_test(a_hub_that_goes_down_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
