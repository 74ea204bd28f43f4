/* What other threads order, carried out: who is cut, and whose session waits for them. */
#include "cloud/broker/brokerbed.h"
#include "cloud/broker/room.h"

#include <cmocka.h>

enum { OLD = 3 };

/* *present: its session was there. */
static porch_conn *connected(const char *id, bool *present) {
    static const uint8_t expiry[] = {PORCH_MQTT_PROP_SESSION_EXPIRY, 0, 0, 1, 0};
    uint8_t text[128];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connect hello = {
        .version = PORCH_MQTT_V5, .keep_alive_s = 60, .client_id = porch_bytes_of(id)};
    assert_int_equal(porch_mqtt_properties_of((porch_bytes){expiry, sizeof expiry}, PORCH_MQTT_CONNECT,
                                              NULL, &hello.properties),
                     PORCH_OK);
    assert_int_equal(porch_mqtt_connect_write(&b, &hello), PORCH_OK);
    porch_conn *c = bed_dial(PORCH_IDENTITY_SERVICE, "m");
    bed_send(c, porch_buf_bytes(&b));
    bed_work();
    assert_int_equal(c->out[0], PORCH_MQTT_CONNACK << 4);
    assert_int_equal(c->out[3], 0);
    *present = c->out[2] == 1;
    bed_read(c, c->out_len);
    return c;
}

/* Its certificate is the old issuer's, as the registry says at CONNECT; this bed has none. */
static void came_by_the_old_one(const porch_conn *c) {
    porch_session *s = porch_conn_user(c);
    s->entry.issuer = OLD;
}

static void who_was_cut_for_an_issuers_end_finds_its_session_again(void **state) {
    (void)state;
    bool present;
    porch_conn *away = connected("m/away", &present);
    came_by_the_old_one(away);
    bed_hang_up(away);
    porch_conn *cut = connected("m/old", &present), *stays = connected("m/new", &present);
    came_by_the_old_one(cut);
    porch_broker_cut_issued(bed.broker, OLD);
    bed_work();
    assert_true(cut->told);
    assert_int_equal(cut->out[0], PORCH_MQTT_DISCONNECT << 4);
    assert_int_equal(cut->out[2], PORCH_MQTT_RC_ADMINISTRATIVE_ACTION);
    away = connected("m/away", &present);
    assert_true(present);
    (void)connected("m/old", &present);
    assert_true(present);
    porch_broker_cut_issued(bed.broker, OLD); /* they are back by another's */
    bed_work();
    assert_true(!away->told && !stays->told);
    assert_int_equal(stays->out_len, 0);
}

static int begin(void **state) {
    (void)state;
    bed_reset("outside");
    bed_start(2, true);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_was_cut_for_an_issuers_end_finds_its_session_again, begin,
                                        bed_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
