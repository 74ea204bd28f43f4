/* What was deleted reaches nobody any more, wherever it lay: retained, queued, in flight, in a shared
 * subscription, before its commit, between two shards. */
#include "cloud/broker/conformancebed.h"
#include "cloud/broker/room.h"

/* As the hub does it: ordered, and obeyed by every shard. */
static void forget(const char *device) {
    assert_true(porch_broker_forget_device(bed.broker, device));
    bed_settle();
}

static void forget_seq(uint64_t seq) {
    assert_true(porch_broker_forget_messages(bed.broker, &seq, 1));
    bed_settle();
}

/* Long enough for the second look. */
static void rest(void) {
    bed_pass(10000);
    for (unsigned i = 0; i < bed.shard_count; i++)
        assert_null(bed.broker->shards[i].forgets);
}

static uint64_t kept_bytes(void) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < bed.shard_count; i++)
        bytes += porch_retained_bytes(bed.broker->shards[i].retained);
    return bytes;
}

static uint64_t kept(void) {
    porch_broker_counts counts;
    porch_broker_read_counts(bed.broker, &counts);
    return counts.retained;
}

static void what_a_device_retained_is_gone_for_whoever_subscribes(void **state) {
    client p, k;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    publish(&p, (pub){.topic = "d/cam/telemetry/a", .payload = "theirs", .retain = true});
    publish(&p, (pub){.topic = "d/camera/telemetry/a", .payload = "another's", .retain = true});
    publish(&p, (pub){.topic = "t/a", .payload = "mine", .retain = true});
    assert_int_equal(kept(), 3);
    const uint64_t before = kept_bytes();
    forget("cam");
    assert_int_equal(kept(), 2);
    assert_int_equal(before - kept_bytes(),
                     (uint64_t)BED_SHARDS * (strlen("d/cam/telemetry/a") + strlen("theirs")));
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "d/+/telemetry/#"}), 0);
    (void)hears(&k, "d/camera/telemetry/a", "another's", 0);
    silent(&k);
    /* The next device of that name is as any other. */
    publish(&p, (pub){.topic = "d/cam/telemetry/a", .payload = "ours", .retain = true});
    (void)hears(&k, "d/cam/telemetry/a", "ours", 0);
    rest();
    assert_int_equal(kept(), 3);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void one_message_goes_by_its_number(void **state) {
    client p, k, away;
    (void)state;
    online_lasting(&away, PORCH_MQTT_V5, "m/away");
    assert_int_equal(subscribe(&away, (sub){.filter = "t/+", .qos = 1}), 1);
    leave(&away);
    online(&p, PORCH_MQTT_V5, "m/p");
    publish(&p, (pub){.topic = "t/a", .payload = "deleted", .qos = 1, .id = 1, .retain = true});
    assert_int_equal(acked(&p, PORCH_MQTT_PUBACK, 1), 0);
    const uint64_t seq = porch_retained_find(bed.broker->shards[0].retained, PORCH_LIT("t/a"))->seq;
    publish(&p, (pub){.topic = "t/b", .payload = "kept", .qos = 1, .id = 2, .retain = true});
    assert_int_equal(acked(&p, PORCH_MQTT_PUBACK, 2), 0);
    forget_seq(seq);
    assert_int_equal(kept(), 1);
    online_lasting(&away, PORCH_MQTT_V5, "m/away");
    assert_true(away.present);
    takes(&away, "t/b", "kept", 1);
    silent(&away);
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "t/+"}), 0);
    (void)hears(&k, "t/b", "kept", 0);
    silent(&k);
    rest();
    goodbye(&away, 0);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void a_session_that_was_away_is_not_given_it(void **state) {
    client p, k;
    (void)state;
    for (uint8_t qos = 1; qos <= 2; qos++) {
        online_lasting(&k, PORCH_MQTT_V5, "m/k");
        assert_int_equal(subscribe(&k, (sub){.filter = "d/+/telemetry/#", .qos = qos}), qos);
        leave(&k);
        online(&p, PORCH_MQTT_V5, "m/p");
        say(&p, "d/old/telemetry/a", "before", qos);
        say(&p, "d/cam/telemetry/a", "theirs", qos);
        say(&p, "d/cam/telemetry/b", "theirs", qos);
        say(&p, "d/old/telemetry/b", "after", qos);
        forget("cam");
        online_lasting(&k, PORCH_MQTT_V5, "m/k");
        assert_true(k.present);
        const uint16_t first = hears(&k, "d/old/telemetry/a", "before", qos).packet_id;
        takes(&k, "d/old/telemetry/b", "after", qos);
        ack(&k, qos == 1 ? PORCH_MQTT_PUBACK : PORCH_MQTT_PUBREC, first, 0);
        if (qos == 2) {
            assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, first), 0);
            ack(&k, PORCH_MQTT_PUBCOMP, first, 0);
        }
        silent(&k);
        rest();
        goodbye(&p, 0);
        leave(&k);
    }
}

/* The client has the packet: its acknowledgement is taken as ever, and nothing of it is sent again. */
static void what_is_in_flight_ends_by_the_protocol(void **state) {
    client p, k;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "d/+/telemetry/#", .qos = 2}), 2);
    say(&p, "d/cam/telemetry/1", "theirs", 1);
    say(&p, "d/cam/telemetry/2", "theirs", 2);
    uint16_t one = hears(&k, "d/cam/telemetry/1", "theirs", 1).packet_id;
    uint16_t two = hears(&k, "d/cam/telemetry/2", "theirs", 2).packet_id;
    forget("cam");
    ack(&k, PORCH_MQTT_PUBACK, one, 0);
    ack(&k, PORCH_MQTT_PUBREC, two, 0);
    assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, two), 0);
    ack(&k, PORCH_MQTT_PUBCOMP, two, 0);
    silent(&k);

    /* It was away when it was forgotten, or lost its connection after that: PUBREL frees the identifier. */
    for (int away = 0; away < 2; away++) {
        say(&p, "d/cam/telemetry/1", "theirs", 1);
        say(&p, "d/cam/telemetry/2", "theirs", 2);
        (void)hears(&k, "d/cam/telemetry/1", "theirs", 1);
        two = hears(&k, "d/cam/telemetry/2", "theirs", 2).packet_id;
        if (away == 0) forget("cam");
        leave(&k);
        if (away == 1) forget("cam");
        online_lasting(&k, PORCH_MQTT_V5, "m/k");
        assert_true(k.present);
        assert_int_equal(acked(&k, PORCH_MQTT_PUBREL, two), 0);
        ack(&k, PORCH_MQTT_PUBCOMP, two, 0);
        silent(&k);
    }
    rest();
    /* No place in the window was lost. */
    porch_session *s = porch_session_find(&bed.broker->shards[porch_shard_index(k.c->shard)],
                                          PORCH_IDENTITY_SERVICE, "m", "m/k");
    assert_non_null(s);
    assert_int_equal(s->flight.used, 0);
    assert_int_equal(s->resends, 0);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

/* What waits to be sent again on a new connection, behind a client that reads nothing. */
static void what_is_to_be_repeated_is_not(void **state) {
    client p, k;
    hello h;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "d/+/telemetry/#", .qos = 1}), 1);
    say(&p, "d/old/telemetry/1", "other", 1);
    say(&p, "d/cam/telemetry/1", "theirs", 1);
    uint16_t other = hears(&k, "d/old/telemetry/1", "other", 1).packet_id;
    (void)hears(&k, "d/cam/telemetry/1", "theirs", 1);
    leave(&k);
    /* One at a time: the second one waits for its turn. */
    assert_int_equal(
        greet(&k, PORCH_IDENTITY_SERVICE, "m",
              with(lasting(fresh(&h, PORCH_MQTT_V5, "m/k")), PORCH_MQTT_PROP_RECEIVE_MAXIMUM, 1)),
        0);
    assert_int_equal(hears(&k, "d/old/telemetry/1", "other", 1).packet_id, other);
    forget("cam");
    ack(&k, PORCH_MQTT_PUBACK, other, 0);
    silent(&k);
    say(&p, "d/new/telemetry/1", "next", 1);
    takes(&k, "d/new/telemetry/1", "next", 1);
    rest();
    goodbye(&k, 0);
    goodbye(&p, 0);
}

static void an_identifier_being_written_down_is_given_back(void **state) {
    static const porch_err results[] = {PORCH_OK, PORCH_ERR_FULL};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        client p, k;
        online(&p, PORCH_MQTT_V5, "m/p");
        online_lasting(&k, PORCH_MQTT_V5, "m/k");
        assert_int_equal(subscribe(&k, (sub){.filter = "d/+/telemetry/#", .qos = 2}), 2);
        leave(&k);
        say(&p, "d/cam/telemetry/1", "theirs", 2);
        hello h;
        dial(&k, PORCH_IDENTITY_SERVICE, "m", PORCH_MQTT_V5);
        k.c->deaf = true; /* nothing but CONNACK */
        send_hello(&k, lasting(fresh(&h, PORCH_MQTT_V5, "m/k")));
        assert_int_equal(connack(&k), 0);
        bed.holds_back = true;
        k.c->deaf = false;
        porch_conn_want_write(k.c);
        silent(&k);
        porch_session *s = porch_session_find(&bed.broker->shards[porch_shard_index(k.c->shard)],
                                              PORCH_IDENTITY_SERVICE, "m", "m/k");
        assert_int_equal(s->flight.used, 1);
        forget("cam");
        bed.holds_back = false;
        bed.store_result = results[i];
        if (i == 0)
            silent(&k);
        else
            ended(&k, PORCH_MQTT_RC_QUOTA_EXCEEDED);
        bed.store_result = PORCH_OK;
        assert_int_equal(s->flight.used, 0);
        assert_int_equal(s->queue_count, 0);
        if (i == 0) leave(&k);
        online_lasting(&k, PORCH_MQTT_V5, "m/k");
        silent(&k);
        leave(&k);
        rest();
        goodbye(&p, 0);
    }
}

static void members_of_a_shared_subscription_do_not_get_it(void **state) {
    client p, k;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "$share/g/d/+/telemetry/#", .qos = 1}), 1);
    leave(&k);
    say(&p, "d/old/telemetry/a", "before", 1);
    say(&p, "d/cam/telemetry/a", "theirs", 1);
    say(&p, "d/old/telemetry/b", "after", 1);
    forget("cam");
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    takes(&k, "d/old/telemetry/a", "before", 1);
    takes(&k, "d/old/telemetry/b", "after", 1);
    silent(&k);
    /* In flight, unacknowledged: nobody is given it instead. */
    say(&p, "d/cam/telemetry/a", "theirs", 1);
    (void)hears(&k, "d/cam/telemetry/a", "theirs", 1);
    forget("cam");
    leave(&k);
    online_lasting(&k, PORCH_MQTT_V5, "m/k");
    silent(&k);
    rest();
    /* Nothing of it is owed: what only it waited for may leave the store, once cursors are written. */
    bed_pass(70000);
    for (unsigned i = 0; i < bed.shard_count; i++)
        assert_in_range(atomic_load(&bed.broker->shards[i].had), bed.seqs - 10, bed.seqs);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

/* It was on its way to the disk: its publisher is answered, nobody hears it, its row goes again. */
static void what_waits_for_its_commit_goes_to_nobody(void **state) {
    client p, k;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    online(&k, PORCH_MQTT_V5, "m/k");
    assert_int_equal(subscribe(&k, (sub){.filter = "d/+/telemetry/#", .qos = 1}), 1);
    bed.holds_back = true;
    publish(&p,
            (pub){.topic = "d/cam/telemetry/a", .payload = "theirs", .qos = 1, .id = 5, .retain = true});
    silent(&p);
    forget("cam");
    const uint64_t before = bed.tickets[0] + bed.tickets[1];
    bed.holds_back = false;
    assert_int_equal(acked(&p, PORCH_MQTT_PUBACK, 5), 0);
    silent(&k);
    assert_int_equal(kept(), 0);
    assert_true(bed.tickets[0] + bed.tickets[1] > before); /* the note that its row goes */
    rest();
    goodbye(&k, 0);
    goodbye(&p, 0);
}

/* One shard has obeyed before what another one had sent it arrived. */
static void what_lay_between_two_shards_goes_at_the_second_look(void **state) {
    client p;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    unsigned home = porch_shard_index(p.c->shard), other = 1 - home;
    publish(&p, (pub){.topic = "d/cam/telemetry/a", .payload = "theirs", .retain = true});
    porch_message *m =
        porch_retained_find(bed.broker->shards[home].retained, PORCH_LIT("d/cam/telemetry/a"));
    porch_message_retain(m);
    forget("cam");
    assert_null(porch_retained_find(bed.broker->shards[other].retained, PORCH_LIT("d/cam/telemetry/a")));
    /* As if it came only now, on a shard that had not seen it. */
    porch_message *late = porch_message_new(bed.shards[other].pool, PORCH_LIT("d/cam/telemetry/b"), NULL,
                                            PORCH_LIT("theirs"), 0, bed.now);
    late->retain = true;
    late->seq = m->seq;
    porch_message_release(bed.shards[home].pool, m);
    porch_parcel parcel = {PORCH_PARCEL_RETAINED, 0, {.at = late}};
    assert_true(porch_shard_send(&bed.shards[home], other, &parcel));
    bed_work();
    assert_int_equal(kept(), 1);
    rest();
    assert_int_equal(kept(), 0);
    goodbye(&p, 0);
}

static void a_walk_that_is_open_goes_on(void **state) {
    client p, k;
    (void)state;
    online(&p, PORCH_MQTT_V5, "m/p");
    for (int i = 0; i < 40; i++) {
        char topic[40];
        (void)snprintf(topic, sizeof topic, "d/%s/telemetry/%d", i % 2 == 0 ? "cam" : "old", i);
        publish(&p, (pub){.topic = topic, .payload = "kept", .retain = true});
    }
    online(&k, PORCH_MQTT_V5, "m/k");
    k.c->deaf = true; /* so that most of it waits */
    assert_int_equal(subscribe(&k, (sub){"d/+/telemetry/+", .qos = 0}), 0);
    forget("cam");
    k.c->deaf = false;
    porch_conn_want_write(k.c);
    int heard = 0;
    for (porch_mqtt_packet m; next(&k, &m);)
        if (m.type == PORCH_MQTT_PUBLISH && porch_bytes_starts(m.publish.topic.text, PORCH_LIT("d/old/")))
            heard++;
    assert_int_equal(heard, 20);
    assert_int_equal(kept(), 20);
    goodbye(&k, 0);
    goodbye(&p, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PORCH_TEST_BOTH(what_a_device_retained_is_gone_for_whoever_subscribes),
        {"one_message_goes_by_its_number", one_message_goes_by_its_number, begin_with, end, NULL},
        PORCH_TEST_BOTH(a_session_that_was_away_is_not_given_it),
        PORCH_TEST_BOTH(what_is_in_flight_ends_by_the_protocol),
        PORCH_TEST_BOTH(what_is_to_be_repeated_is_not),
        {"an_identifier_being_written_down_is_given_back", an_identifier_being_written_down_is_given_back,
         begin_with, end, NULL},
        {"members_of_a_shared_subscription_do_not_get_it", members_of_a_shared_subscription_do_not_get_it,
         begin_with, end, NULL},
        {"what_waits_for_its_commit_goes_to_nobody", what_waits_for_its_commit_goes_to_nobody, begin_with,
         end, NULL},
        {"what_lay_between_two_shards_goes_at_the_second_look",
         what_lay_between_two_shards_goes_at_the_second_look, begin_with, end, NULL},
        {"a_walk_that_is_open_goes_on", a_walk_that_is_open_goes_on, begin_small, end, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
