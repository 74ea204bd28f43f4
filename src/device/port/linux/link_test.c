/* A link's failures: each leaves it idle, with a sentence. What works is tested with the whole SDK in
 * device_test.c. */
#include "device/port/linux/link.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/x509.h"
#include "os/clock.h"
#include "os/socket.h"

static porch_tls_client *client;
static porch_key *key;

static int make_client(void **state) {
    static uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block);
    (void)state;
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_root("R", key, porch_clock_ms(), 1, &pem, NULL), PORCH_OK);
    const porch_tls_client_config config = {.ca_pem = porch_buf_bytes(&pem), .name = "localhost"};
    assert_int_equal(porch_tls_client_new(&config, &client, NULL), PORCH_OK);
    return 0;
}

static int free_client(void **state) {
    (void)state;
    porch_tls_client_unref(client);
    porch_key_free(key);
    return 0;
}

static void expect_idle(const porch_link *l) {
    assert_int_equal(l->state, PORCH_LINK_IDLE);
    assert_int_equal(l->fd, -1);
    assert_null(l->conn);
    assert_int_equal(porch_link_events(l, true), 0);
}

/* Goes on until the link is up or has failed; *why is the failure. */
static porch_err settle(porch_link *l, uint64_t now_ms, porch_why *why) {
    porch_err e;
    while ((e = porch_link_advance(l, now_ms, why)) == PORCH_ERR_AGAIN) {
        struct pollfd p = {.fd = l->fd, .events = porch_link_events(l, false)};
        assert_int_equal(poll(&p, 1, 10000), 1);
    }
    return e;
}

static void a_name_that_does_not_resolve_is_told(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    porch_link_init(&l, client);
    assert_int_equal(porch_link_open(&l, "no such name", 8883, 0, 1000, &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "does not resolve"));
    expect_idle(&l);
}

static void a_port_where_nobody_listens_is_told(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &fd, &port, &why), PORCH_OK);
    (void)close(fd);
    porch_link_init(&l, client);
    porch_err e = porch_link_open(&l, "127.0.0.1", port, 0, 1000, &why);
    if (e == PORCH_OK) e = settle(&l, 0, &why);
    assert_int_equal(e, PORCH_ERR_CLOSED);
    assert_non_null(strstr(why.text, "cannot be reached"));
    expect_idle(&l);
}

static void a_peer_that_never_answers_is_given_up_in_time(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &fd, &port, &why), PORCH_OK);
    porch_link_init(&l, client);
    assert_int_equal(porch_link_open(&l, "127.0.0.1", port, 5000, 1000, &why), PORCH_OK);
    while (l.state == PORCH_LINK_DIALLING)
        assert_int_equal(porch_link_advance(&l, 5999, &why), PORCH_ERR_AGAIN);
    assert_int_equal(l.state, PORCH_LINK_SHAKING);
    assert_int_equal(porch_link_advance(&l, 5999, &why), PORCH_ERR_AGAIN);
    assert_int_equal(porch_link_advance(&l, 6000, &why), PORCH_ERR_TIMEOUT);
    assert_non_null(strstr(why.text, "handshake"));
    expect_idle(&l);
    (void)close(fd);
}

static void a_peer_that_speaks_no_tls_is_refused(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    int listening = -1, fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &listening, &port, &why), PORCH_OK);
    porch_link_init(&l, client);
    assert_int_equal(porch_link_open(&l, "127.0.0.1", port, 0, 1000, &why), PORCH_OK);
    assert_int_equal(porch_socket_wait(listening, POLLIN, 10000), PORCH_OK);
    assert_int_equal(porch_socket_accept(listening, &fd), PORCH_OK);
    assert_int_equal(send(fd, "SSH-2.0-OpenSSH\r\n", 17, 0), 17);
    assert_int_not_equal(settle(&l, 0, &why), PORCH_OK);
    assert_true(why.text[0] != 0);
    expect_idle(&l);
    (void)close(fd);
    (void)close(listening);
}

static void an_idle_link_neither_reads_nor_writes(void **state) {
    (void)state;
    porch_link l;
    uint8_t byte = 0;
    size_t n = 7;
    porch_link_init(&l, client);
    assert_int_equal(porch_link_read(&l, &byte, 1, &n, NULL), PORCH_ERR_STATE);
    assert_int_equal(n, 0);
    assert_int_equal(porch_link_write(&l, (porch_bytes){&byte, 1}, &n, NULL), PORCH_ERR_STATE);
    assert_int_equal(porch_link_advance(&l, 0, NULL), PORCH_ERR_STATE);
    porch_link_close(&l);
    expect_idle(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_does_not_resolve_is_told),
        cmocka_unit_test(a_port_where_nobody_listens_is_told),
        cmocka_unit_test(a_peer_that_never_answers_is_given_up_in_time),
        cmocka_unit_test(a_peer_that_speaks_no_tls_is_refused),
        cmocka_unit_test(an_idle_link_neither_reads_nor_writes),
    };
    return cmocka_run_group_tests(tests, make_client, free_client);
}
