/* Coming back without a full handshake: by sealed tickets, and out of the table of sessions. What a settled
 * connection keeps is here, too. */
#include "crypto/port/openssl/tls_testbed.h"

static void a_resumed_connection_keeps_the_certificate_and_is_judged_anew(void **state) {
    (void)state;
    porch_tls_server *s = new_server(server_config());
    porch_tls_client_config cc = client_config(&late_cam);
    cc.resume = true;
    porch_tls_client *c = new_client(cc);
    meeting m;
    for (int round = 0; round < 4; round++) {
        meet(&m, s, c);
        assert_int_equal(m.server_end, PORCH_OK);
        assert_int_equal(m.peer.resumed, round > 0);
        assert_true(m.peer.has_certificate);
        assert_string_equal(m.peer.x509.identity.name, "cam");
        assert_true(m.peer.expired);
        hear_ticket(&m);
        send_all(m.client, m.server, 100);
        close_meeting(&m);
    }
    /* Another server of the same hub has its own keys and context. */
    porch_tls_server_config other = server_config();
    other.session_context = PORCH_LIT("device");
    porch_tls_server *s2 = new_server(other);
    meet(&m, s2, c);
    assert_int_equal(m.server_end, PORCH_OK);
    assert_false(m.peer.resumed);
    close_meeting(&m);
    porch_tls_server_unref(s2);
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
}

static uint64_t turned_s;

static uint64_t hand_clock(void) {
    return turned_s;
}

static void tickets_open_for_one_lifetime_while_their_keys_rotate(void **state) {
    (void)state;
    porch_tls_server *s = new_server(server_config());
    s->tickets.now_s = hand_clock;
    turned_s = 1000;
    porch_tls_client_config cc = client_config(&cam);
    cc.resume = true;
    porch_tls_client *c = new_client(cc);
    /* Each connection brings a new ticket, but none outlives the lifetime that began with a full handshake.
     */
    static const struct {
        uint64_t pass_s;
        bool resumed;
        size_t keys;
    } rows[] = {{0, false, 1},   {1700, true, 1}, {200, true, 2},   {1600, true, 2},
                {200, false, 3}, {100, true, 3},  {36000, false, 4}};
    uint8_t first_key[16];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        turned_s += rows[i].pass_s;
        meeting m;
        meet(&m, s, c);
        assert_int_equal(m.server_end, PORCH_OK);
        assert_int_equal(m.peer.resumed, rows[i].resumed);
        hear_ticket(&m);
        assert_int_equal(s->tickets.count, rows[i].keys);
        if (i == 0) memcpy(first_key, s->tickets.key[0].name, 16);
        close_meeting(&m);
    }
    assert_memory_not_equal(first_key, s->tickets.key[0].name, 16);
    porch_ticket_key key;
    bool newest = true;
    assert_false(porch_tickets_opening_key(&s->tickets, first_key, &key, &newest));
    assert_true(porch_tickets_opening_key(&s->tickets, s->tickets.key[0].name, &key, &newest));
    assert_true(newest);
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
}

static void without_a_lifetime_nothing_is_resumed(void **state) {
    (void)state;
    porch_tls_server_config sc = server_config();
    sc.ticket_lifetime_s = 0;
    porch_tls_server *s = new_server(sc);
    porch_tls_client_config cc = client_config(&cam);
    cc.resume = true;
    porch_tls_client *c = new_client(cc);
    for (int round = 0; round < 2; round++) {
        meeting m;
        meet(&m, s, c);
        assert_int_equal(m.server_end, PORCH_OK);
        assert_false(m.peer.resumed);
        hear_ticket(&m);
        close_meeting(&m);
    }
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
}

static void resumption_works_in_tls_1_2_as_well(void **state) {
    (void)state;
    porch_tls_server_config sc = server_config();
    sc.min_version = PORCH_TLS_1_2;
    porch_tls_server *s = new_server(sc);
    assert_int_equal(SSL_CTX_set_max_proto_version(s->ctx, TLS1_2_VERSION), 1);
    porch_tls_client_config cc = client_config(&cam);
    cc.min_version = PORCH_TLS_1_2;
    cc.resume = true;
    porch_tls_client *c = new_client(cc);
    for (int round = 0; round < 3; round++) {
        meeting m;
        meet(&m, s, c);
        assert_int_equal(m.server_end, PORCH_OK);
        assert_string_equal(m.peer.version, "1.2");
        assert_int_equal(m.peer.resumed, round > 0);
        assert_string_equal(m.peer.x509.identity.name, "cam");
        send_all(m.client, m.server, 100);
        close_meeting(&m);
    }
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
}

/* Sessions in memory, by which clients with certificates come back. */

static porch_tls_server_config table_config(uint32_t most) {
    porch_tls_server_config sc = server_config();
    sc.sessions_most = most;
    return sc;
}

static porch_tls_client *returning(const made *who) {
    porch_tls_client_config cc = client_config(who);
    cc.resume = true;
    return new_client(cc);
}

/* One connection that takes its ticket along; was it resumed? */
static bool come_back(porch_tls_server *s, porch_tls_client *c, porch_tls_peer_info *peer) {
    meeting m;
    meet(&m, s, c);
    assert_int_equal(m.server_end, PORCH_OK);
    hear_ticket(&m);
    send_all(m.client, m.server, 100);
    send_all(m.server, m.client, 100);
    *peer = m.peer;
    close_meeting(&m);
    return peer->resumed;
}

static void a_session_of_the_table_keeps_all_that_the_certificate_said(void **state) {
    (void)state;
    porch_tls_server *s = new_server(table_config(64));
    porch_tls_client *c = returning(&late_cam);
    porch_tls_peer_info first, again;
    assert_false(come_back(s, c, &first));
    for (int round = 0; round < 3; round++) {
        assert_true(come_back(s, c, &again));
        assert_true(again.has_certificate);
        assert_true(again.expired); /* judged at this connection */
        assert_memory_equal(&again.x509, &first.x509, sizeof first.x509);
        assert_string_equal(again.cipher, first.cipher);
        assert_true(again.has_binding);
        assert_memory_not_equal(again.binding, first.binding, sizeof first.binding);
    }
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
}

/* Who vouches for a factory's device is asked after a resumption, too. */
static void a_session_of_the_table_keeps_its_issuer(void **state) {
    (void)state;
    porch_tls_server_config sc = table_config(64);
    sc.client_ca_pem = porch_buf_bytes(&foreign_root.pem);
    sc.any_usage = true;
    made leaf;
    make_leaf(&leaf, &foreign_root, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "x"}, -1, 30);
    porch_tls_server *s = new_server(sc);
    porch_tls_client *c = returning(&leaf);
    porch_tls_peer_info first, again;
    assert_false(come_back(s, c, &first));
    assert_true(come_back(s, c, &again));
    assert_int_equal(again.has_issuer, first.has_issuer);
    assert_memory_equal(again.issuer, first.issuer, sizeof first.issuer);
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
    porch_key_free(leaf.key);
}

static void a_full_table_forgets_the_oldest(void **state) {
    (void)state;
    enum { CLIENTS = 5 };
    porch_tls_server *s = new_server(table_config(4)); /* one set */
    porch_tls_client *c[CLIENTS];
    porch_tls_peer_info peer;
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = returning(&cam);
        assert_false(come_back(s, c[i], &peer));
    }
    for (int i = CLIENTS - 1; i > 0;
         i--) /* each takes the row of the oldest that is left, its own at last */
        assert_int_equal(come_back(s, c[i], &peer), i >= 3);
    assert_false(come_back(s, c[0], &peer));
    for (int i = 0; i < CLIENTS; i++)
        porch_tls_client_unref(c[i]);
    porch_tls_server_unref(s);
}

static void no_chain_of_resumptions_outlives_one_lifetime(void **state) {
    (void)state;
    porch_tls_server *s = new_server(table_config(64));
    s->tickets.now_s = hand_clock;
    turned_s = 1000;
    porch_tls_client *c = returning(&cam);
    static const struct {
        uint64_t pass_s;
        bool resumed;
    } rows[] = {{0, false}, {1800, true}, {1700, true}, {99, true}, {1, false}, {3599, true}};
    porch_tls_peer_info peer;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        turned_s += rows[i].pass_s;
        assert_int_equal(come_back(s, c, &peer), rows[i].resumed);
    }
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
}

static void a_client_without_a_certificate_gets_no_row(void **state) {
    (void)state;
    porch_tls_server_config sc = table_config(64);
    sc.client_mode = PORCH_TLS_CLIENT_REQUEST;
    porch_tls_server *s = new_server(sc);
    porch_tls_client *nobody = returning(NULL), *c = returning(&cam);
    porch_tls_peer_info peer;
    for (int round = 0; round < 3; round++) {
        assert_false(come_back(s, nobody, &peer));
        assert_false(peer.has_certificate);
    }
    assert_false(come_back(s, c, &peer));
    assert_true(come_back(s, c, &peer));
    porch_tls_client_unref(nobody);
    porch_tls_client_unref(c);
    porch_tls_server_unref(s);
}

static void a_session_of_one_server_opens_no_other(void **state) {
    (void)state;
    porch_tls_server_config sc = table_config(64);
    porch_tls_server *s = new_server(sc), *other = new_server(sc);
    porch_tls_client *c = returning(&cam);
    porch_tls_peer_info peer;
    assert_false(come_back(s, c, &peer));
    assert_false(come_back(other, c, &peer));
    assert_true(come_back(other, c, &peer));
    porch_tls_client_unref(c);
    porch_tls_server_unref(s);
    porch_tls_server_unref(other);
}

/* What the hub keeps of a settled connection is enough for all that may still come. */

static void keys_may_be_updated_when_the_session_is_gone(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(&cam));
    assert_int_equal(m.server_end, PORCH_OK);
    assert_null(SSL_get0_session(porch_tls_conn_ssl(m.server)));
    hear_ticket(&m);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(SSL_key_update(porch_tls_conn_ssl(m.client), SSL_KEY_UPDATE_REQUESTED), 1);
        send_all(m.client, m.server, 20000);
        assert_int_equal(SSL_key_update(porch_tls_conn_ssl(m.server), SSL_KEY_UPDATE_REQUESTED), 1);
        send_all(m.server, m.client, 20000);
    }
    porch_tls_peer_info again;
    assert_int_equal(porch_tls_peer(m.server, &again), PORCH_OK);
    assert_string_equal(again.x509.identity.name, "cam");
    assert_string_equal(again.version, "1.3");
    assert_memory_equal(&again, &m.peer, sizeof again);
    close_meeting(&m);
}

static void a_device_with_small_buffers_gets_small_records(void **state) {
    (void)state;
    porch_tls_server *s = new_server(server_config());
    porch_tls_client *c = new_client(client_config(&cam));
    meeting m;
    open_meeting(&m);
    assert_int_equal(porch_tls_accept(s, m.fds[0], &m.server), PORCH_OK);
    assert_int_equal(porch_tls_connect(c, m.fds[1], &m.client), PORCH_OK);
    /* The client's library refuses every record that is longer than it asked for. */
    assert_int_equal(
        SSL_set_tlsext_max_fragment_length(porch_tls_conn_ssl(m.client), TLSEXT_max_fragment_length_512),
        1);
    shake(&m);
    assert_int_equal(m.server_end, PORCH_OK);
    send_all(m.server, m.client, 20000);
    send_all(m.client, m.server, 20000);
    close_meeting(&m);
    porch_tls_server_unref(s);
    porch_tls_client_unref(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_connection_keeps_the_certificate_and_is_judged_anew),
        cmocka_unit_test(tickets_open_for_one_lifetime_while_their_keys_rotate),
        cmocka_unit_test(without_a_lifetime_nothing_is_resumed),
        cmocka_unit_test(resumption_works_in_tls_1_2_as_well),
        cmocka_unit_test(a_session_of_the_table_keeps_all_that_the_certificate_said),
        cmocka_unit_test(a_session_of_the_table_keeps_its_issuer),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
        cmocka_unit_test(no_chain_of_resumptions_outlives_one_lifetime),
        cmocka_unit_test(a_client_without_a_certificate_gets_no_row),
        cmocka_unit_test(a_session_of_one_server_opens_no_other),
        cmocka_unit_test(keys_may_be_updated_when_the_session_is_gone),
        cmocka_unit_test(a_device_with_small_buffers_gets_small_records),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
