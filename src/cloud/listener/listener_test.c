/* Limits at the door: who is not served, and how soon the hub lets go of those who say nothing. */
#include "cloud/listener/listener.h"

#include <sys/socket.h>

#include "cloud/listener/conn.h"
#include "cloud/listener/testbed.h"
#include "os/log.h"

static bed_hub hub;

static void greet(porch_conn *c) {
    porch_conn_put(c, PORCH_LIT("hello"));
}

static size_t swallow(porch_conn *c, porch_bytes in) {
    (void)c;
    return in.len;
}

static void say_goodbye(porch_conn *c) {
    porch_conn_put(c, PORCH_LIT("goodbye"));
    porch_conn_close(c);
}

static const porch_conn_hooks hooks = {.open = greet, .take = swallow, .drain = say_goodbye};

static int set_up(void **state) {
    (void)state;
    porch_log_init("listener_test", PORCH_LOG_ERROR);
    porch_settings_default(&hub.settings);
    hub.settings.listener_per_address = 3;
    hub.settings.listener_handshake_ms = 300;
    bed_hub_start(&hub, &hooks, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    bed_hub_stop(&hub);
    return 0;
}

static bool greeted(bed_client *c) {
    while (c->in_len < 5)
        if (!bed_more(c)) return false;
    return memcmp(c->in, "hello", 5) == 0;
}

static bool ends(int fd) {
    uint8_t text[256];
    for (;;) {
        assert_int_equal(porch_socket_wait(fd, POLLIN, BED_WAIT_MS), PORCH_OK);
        ssize_t n = recv(fd, text, sizeof text, 0);
        if (n <= 0) return true;
    }
}

static porch_listener_counts counts(void) {
    porch_listener_counts ret;
    porch_listener_read_counts(hub.listener, &ret);
    return ret;
}

static void more_connections_than_the_limit_are_refused_and_counted(void **state) {
    (void)state;
    bed_client *c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = bed_connect(&hub.ca, &hub.device, hub.port);
        assert_true(greeted(c[i]));
    }
    porch_why why = {""};
    int fd;
    uint64_t before = counts().over_limit;
    bed_ok(porch_socket_connect_tcp("127.0.0.1", hub.port, BED_WAIT_MS, &fd, &why), &why);
    assert_true(ends(fd));
    close(fd);
    assert_int_equal(counts().over_limit, before + 1);
    for (int i = 0; i < 3; i++)
        bed_close(c[i]);
    BED_UNTIL(counts().open[PORCH_LISTEN_MQTT] == 0);
    /* Places are free again once the hub has noticed. */
    for (bool served = false; !served;) {
        bed_client *again = calloc(1, sizeof *again);
        assert_non_null(again);
        served = bed_try_connect(again, &hub.ca, &hub.device, hub.port) == PORCH_OK && greeted(again);
        bed_close(again);
    }
}

static void a_peer_that_never_finishes_its_handshake_is_cut(void **state) {
    (void)state;
    porch_why why = {""};
    int fd;
    uint64_t before = counts().timeouts;
    bed_ok(porch_socket_connect_tcp("127.0.0.1", hub.port, BED_WAIT_MS, &fd, &why), &why);
    assert_int_equal(send(fd, "\x16\x03\x01", 3, 0), 3);
    assert_true(ends(fd));
    close(fd);
    assert_int_equal(counts().timeouts, before + 1);
}

static void no_certificate_fails_the_handshake(void **state) {
    (void)state;
    bed_client *c = calloc(1, sizeof *c);
    assert_non_null(c);
    if (bed_try_connect(c, &hub.ca, NULL, hub.port) == PORCH_OK) assert_false(greeted(c));
    bed_close(c);
}

static void a_new_certificate_serves_new_connections(void **state) {
    (void)state;
    bed_identity fresh;
    bed_client *old = bed_connect(&hub.ca, &hub.device, hub.port);
    assert_true(greeted(old));
    bed_issue(&hub.ca, PORCH_PROFILE_HUB_SERVER, NULL, -2, 80, &fresh);
    porch_tls_server *tls = bed_server(&hub.ca, &fresh, PORCH_TLS_CLIENT_REQUIRE, NULL);
    porch_listener_replace_tls(hub.listener, PORCH_LISTEN_MQTT, tls);
    porch_tls_server_unref(tls);
    bed_client *next = bed_connect(&hub.ca, &hub.device, hub.port);
    assert_true(greeted(next));
    porch_tls_peer_info before, after;
    bed_ok(porch_tls_peer(old->conn, &before), NULL);
    bed_ok(porch_tls_peer(next->conn, &after), NULL);
    assert_string_not_equal(before.x509.serial, after.x509.serial);
    assert_true(bed_send(old, PORCH_LIT("still served")));
    bed_close(old);
    bed_close(next);
    porch_key_free(fresh.key);
}

static void draining_lets_the_protocol_say_goodbye(void **state) {
    (void)state;
    bed_client *c = bed_connect(&hub.ca, &hub.device, hub.port);
    assert_true(greeted(c));
    porch_listener_drain(hub.listener, 1);
    while (bed_more(c))
        continue;
    assert_int_equal(c->in_len, 12);
    assert_memory_equal(c->in + 5, "goodbye", 7);
    bed_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_connections_than_the_limit_are_refused_and_counted),
        cmocka_unit_test(a_peer_that_never_finishes_its_handshake_is_cut),
        cmocka_unit_test(no_certificate_fails_the_handshake),
        cmocka_unit_test(a_new_certificate_serves_new_connections),
        cmocka_unit_test(draining_lets_the_protocol_say_goodbye),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
