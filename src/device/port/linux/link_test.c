/* A link's failures: each leaves it idle, with a sentence. What works is tested with the whole SDK in
 * device_test.c. */
#include "device/port/linux/link.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/x509.h"
#include "os/clock.h"
#include "os/socket.h"

enum { MANY = 4 };

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
        struct pollfd p = {.fd = porch_link_fd(l), .events = porch_link_events(l, false)};
        assert_int_equal(poll(&p, 1, 10000), 1);
    }
    return e;
}

static struct addrinfo *address_of(uint16_t port) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *one = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    assert_int_equal(getaddrinfo("127.0.0.1", service, &hints, &one), 0);
    assert_null(one->ai_next);
    return one;
}

/* ---- a name service of ours ---- */

static atomic_int questions;
static sem_t may_answer, answers;

static int answer_loopback(const char *host, const char *service, const struct addrinfo *hints,
                           struct addrinfo **ret) {
    assert_string_equal(host, "hub.test");
    return getaddrinfo("127.0.0.1", service, hints, ret);
}

static int answer_late(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret) {
    atomic_fetch_add(&questions, 1);
    (void)sem_wait(&may_answer);
    (void)sem_post(&answers);
    return answer_loopback(host, service, hints, ret);
}

static void hold_answers(void) {
    assert_int_equal(sem_init(&may_answer, 0, 0), 0);
    assert_int_equal(sem_init(&answers, 0, 0), 0);
}

/* One; its thread ends by itself. */
static void let_it_answer(void) {
    (void)sem_post(&may_answer);
    (void)sem_wait(&answers);
}

static int answer_none(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret) {
    (void)host;
    (void)service;
    (void)hints;
    (void)ret;
    return EAI_AGAIN;
}

static porch_link_known known_loopback(void) {
    porch_link_known k = {.len = sizeof(struct sockaddr_in)};
    *(struct sockaddr_in *)&k.at = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return k;
}

static uint16_t peer_port(int fd) {
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    assert_int_equal(porch_socket_wait(fd, POLLOUT, 10000), PORCH_OK);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(a.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    return ntohs(a.sin_port);
}

static void await_answer(const porch_link *l) {
    assert_int_equal(porch_socket_wait(porch_link_fd(l), POLLIN, 10000), PORCH_OK);
}

static void a_name_leads_to_its_address(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    int listening = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &listening, &port, &why), PORCH_OK);
    porch_link_init(&l, client, NULL);
    l.ask = answer_loopback;
    assert_int_equal(porch_link_open(&l, "hub.test", port, 0, 15000, &why), PORCH_OK);
    assert_int_equal(l.state, PORCH_LINK_NAMING);
    assert_true(porch_link_connects(&l));
    await_answer(&l);
    /* the whole patience begins with the answer */
    assert_int_equal(porch_link_advance(&l, 14000, &why), PORCH_ERR_AGAIN);
    assert_int_equal(l.state, PORCH_LINK_DIALLING);
    assert_int_equal(l.give_up_ms, 29000);
    assert_int_equal(peer_port(porch_link_fd(&l)), port);
    porch_link_end(&l);
    (void)close(listening);
}

static void a_silent_name_service_is_given_up_and_asked_only_once(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    int listening = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &listening, &port, &why), PORCH_OK);
    hold_answers();
    atomic_store(&questions, 0);
    porch_link_init(&l, client, NULL);
    l.ask = answer_late;
    for (uint64_t at = 0; at < 3000000; at += 1000000) {
        assert_int_equal(porch_link_open(&l, "hub.test", port, at, 15000, &why), PORCH_OK);
        assert_int_equal(porch_link_advance(&l, at + 14999, &why), PORCH_ERR_AGAIN);
        assert_int_equal(porch_link_advance(&l, at + 15000, &why), PORCH_ERR_TIMEOUT);
        assert_non_null(strstr(why.text, "name service"));
        expect_idle(&l);
    }
    assert_int_equal(porch_link_open(&l, "hub.test", port, 0, 15000, &why), PORCH_OK);
    let_it_answer();
    await_answer(&l);
    assert_int_equal(porch_link_advance(&l, 0, &why), PORCH_ERR_AGAIN);
    assert_int_equal(peer_port(porch_link_fd(&l)), port);
    assert_int_equal(atomic_load(&questions), 1);
    porch_link_end(&l);
    (void)close(listening);
}

static void an_answer_holds_for_a_minute(void **state) {
    (void)state;
    porch_link l;
    hold_answers();
    atomic_store(&questions, 0);
    porch_link_init(&l, client, NULL);
    l.ask = answer_late;
    assert_int_equal(porch_link_open(&l, "hub.test", 1, 0, 1000, NULL), PORCH_OK);
    let_it_answer();
    await_answer(&l);
    assert_int_equal(porch_link_open(&l, "hub.test", 1, 60000, 1000, NULL), PORCH_OK);
    assert_int_equal(atomic_load(&questions), 1);
    assert_int_equal(porch_link_open(&l, "hub.test", 1, 60001, 1000, NULL), PORCH_OK);
    let_it_answer();
    await_answer(&l);
    assert_int_equal(atomic_load(&questions), 2);
    porch_link_end(&l);
}

static void a_hub_that_was_reached_before_is_looked_for_there(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    porch_link_known known = known_loopback();
    int listening = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &listening, &port, &why), PORCH_OK);
    hold_answers();
    porch_link_init(&l, client, &known);
    l.ask = answer_late;
    assert_int_equal(porch_link_open(&l, "hub.test", port, 0, 15000, &why), PORCH_OK);
    assert_int_equal(porch_link_advance(&l, 1999, &why), PORCH_ERR_AGAIN);
    assert_int_equal(l.state, PORCH_LINK_NAMING);
    assert_int_equal(porch_link_advance(&l, 2000, &why), PORCH_ERR_AGAIN);
    assert_int_equal(l.state, PORCH_LINK_DIALLING);
    assert_int_equal(l.give_up_ms, 17000);
    assert_int_equal(peer_port(porch_link_fd(&l)), port);
    porch_link_end(&l);
    let_it_answer();
    (void)close(listening);
}

static void who_has_moved_and_has_no_name_is_told_so(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    porch_link_known known = known_loopback();
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &fd, &port, &why), PORCH_OK);
    (void)close(fd);
    porch_link_init(&l, client, &known);
    l.ask = answer_none;
    assert_int_equal(porch_link_open(&l, "hub.test", port, 0, 15000, &why), PORCH_OK);
    assert_int_equal(settle(&l, 0, &why), PORCH_ERR_CLOSED);
    assert_non_null(strstr(why.text, "last address"));
    expect_idle(&l);
    known.len = 0;
    assert_int_equal(porch_link_open(&l, "hub.test", port, 0, 15000, &why), PORCH_OK);
    assert_int_equal(settle(&l, 0, &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "hub.test does not resolve"));
    porch_link_end(&l);
}

/* Closed while it asks: nothing waits, and the next attempt goes on with the question. */
static void a_link_may_close_while_it_asks(void **state) {
    (void)state;
    porch_link l;
    hold_answers();
    porch_link_init(&l, client, NULL);
    l.ask = answer_late;
    assert_int_equal(porch_link_open(&l, "hub.test", 1, 0, 1000, NULL), PORCH_OK);
    porch_link_close(&l);
    expect_idle(&l);
    assert_int_equal(porch_link_fd(&l), -1);
    assert_int_equal(porch_link_open(&l, "hub.test", 1, 0, 1000, NULL), PORCH_OK);
    porch_link_end(&l);
    expect_idle(&l);
    let_it_answer();
}

static void a_port_where_nobody_listens_is_told(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &fd, &port, &why), PORCH_OK);
    (void)close(fd);
    porch_link_init(&l, client, NULL);
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
    porch_link_init(&l, client, NULL);
    assert_int_equal(porch_link_open_at(&l, address_of(port), port, 5000, 1000, &why), PORCH_OK);
    while (l.state == PORCH_LINK_DIALLING)
        assert_int_equal(porch_link_advance(&l, 5999, &why), PORCH_ERR_AGAIN);
    assert_int_equal(l.state, PORCH_LINK_SHAKING);
    assert_int_equal(porch_link_advance(&l, 5999, &why), PORCH_ERR_AGAIN);
    assert_int_equal(porch_link_advance(&l, 6000, &why), PORCH_ERR_TIMEOUT);
    assert_non_null(strstr(why.text, "handshake"));
    expect_idle(&l);
    (void)close(fd);
}

/* A listener whose queue is full: who dials waits, as for one whose packets are lost. */
static int full_listener(uint16_t *port, int fillers[MANY]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    for (int i = 0; i < MANY; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fillers[i], (struct sockaddr *)&a, sizeof a) != 0) assert_int_equal(errno, EINPROGRESS);
    }
    *port = ntohs(a.sin_port);
    return fd;
}

typedef struct {
    int full, good, fillers[MANY];
    struct addrinfo *addresses; /* of the full one, then of the good one */
} two_ways;

static void make_ways(two_ways *w) {
    uint16_t port = 0;
    w->full = full_listener(&port, w->fillers);
    w->addresses = address_of(port);
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &w->good, &port, NULL), PORCH_OK);
    w->addresses->ai_next = address_of(port);
}

static void close_ways(const two_ways *w) {
    (void)close(w->full);
    (void)close(w->good);
    for (int i = 0; i < MANY; i++)
        (void)close(w->fillers[i]);
}

static void an_address_that_does_not_answer_leaves_time_for_the_next(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    two_ways w;
    make_ways(&w);
    porch_link_init(&l, client, NULL);
    assert_int_equal(porch_link_open_at(&l, w.addresses, 1, 5000, 15000, &why), PORCH_OK);
    assert_int_equal(l.give_up_ms, 8000);
    assert_int_equal(porch_link_advance(&l, 7999, &why), PORCH_ERR_AGAIN);
    assert_ptr_equal(l.address, w.addresses);
    assert_int_equal(porch_link_advance(&l, 8000, &why), PORCH_ERR_AGAIN);
    assert_ptr_equal(l.address, w.addresses->ai_next);
    while (l.state == PORCH_LINK_DIALLING)
        assert_int_equal(porch_link_advance(&l, 8000, &why), PORCH_ERR_AGAIN);
    assert_int_equal(l.state, PORCH_LINK_SHAKING);
    assert_int_equal(l.give_up_ms, 20000);
    porch_link_close(&l);
    close_ways(&w);
}

static void many_addresses_share_the_patience(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    two_ways w;
    make_ways(&w);
    porch_link_init(&l, client, NULL);
    assert_int_equal(porch_link_open_at(&l, w.addresses, 1, 0, 1000, &why), PORCH_OK);
    assert_int_equal(l.give_up_ms, 500);
    porch_link_close(&l);
    close_ways(&w);
}

static void an_address_is_not_given_up_for_one_that_cannot_be_dialled(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    two_ways w;
    make_ways(&w);
    w.addresses->ai_next->ai_family = -1;
    porch_link_init(&l, client, NULL);
    assert_int_equal(porch_link_open_at(&l, w.addresses, 1, 0, 15000, &why), PORCH_OK);
    assert_int_equal(porch_link_advance(&l, 3000, &why), PORCH_ERR_AGAIN);
    assert_ptr_equal(l.address, w.addresses);
    assert_int_equal(l.give_up_ms, 15000);
    assert_int_equal(porch_link_advance(&l, 15000, &why), PORCH_ERR_TIMEOUT);
    expect_idle(&l);
    close_ways(&w);
}

/* Limits on answers begin when a question has left; what the kernel keeps back has not. */
static void little_that_was_written_waits_in_the_kernel(void **state) {
    (void)state;
    static const uint8_t zeros[64 * 1024];
    porch_link l;
    int listening = -1, waits = 0;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &listening, &port, NULL), PORCH_OK);
    porch_link_init(&l, client, NULL);
    assert_int_equal(porch_link_open(&l, "127.0.0.1", port, 0, 1000, NULL), PORCH_OK);
    assert_int_equal(porch_socket_wait(l.fd, POLLOUT, 10000), PORCH_OK);
    while (send(l.fd, zeros, sizeof zeros, MSG_NOSIGNAL) > 0) { /* nobody reads */
    }
    assert_int_equal(ioctl(l.fd, SIOCOUTQNSD, &waits), 0);
    assert_true(waits > 0);
    assert_true(waits <= 96 * 1024);
    porch_link_close(&l);
    (void)close(listening);
}

static void a_peer_that_speaks_no_tls_is_refused(void **state) {
    (void)state;
    porch_link l;
    porch_why why = {{0}};
    int listening = -1, fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &listening, &port, &why), PORCH_OK);
    porch_link_init(&l, client, NULL);
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
    porch_link_init(&l, client, NULL);
    assert_int_equal(porch_link_read(&l, &byte, 1, &n, NULL), PORCH_ERR_STATE);
    assert_int_equal(n, 0);
    assert_int_equal(porch_link_write(&l, (porch_bytes){&byte, 1}, &n, NULL), PORCH_ERR_STATE);
    assert_int_equal(porch_link_advance(&l, 0, NULL), PORCH_ERR_STATE);
    porch_link_close(&l);
    expect_idle(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_leads_to_its_address),
        cmocka_unit_test(a_silent_name_service_is_given_up_and_asked_only_once),
        cmocka_unit_test(an_answer_holds_for_a_minute),
        cmocka_unit_test(a_hub_that_was_reached_before_is_looked_for_there),
        cmocka_unit_test(who_has_moved_and_has_no_name_is_told_so),
        cmocka_unit_test(a_link_may_close_while_it_asks),
        cmocka_unit_test(a_port_where_nobody_listens_is_told),
        cmocka_unit_test(a_peer_that_never_answers_is_given_up_in_time),
        cmocka_unit_test(an_address_that_does_not_answer_leaves_time_for_the_next),
        cmocka_unit_test(many_addresses_share_the_patience),
        cmocka_unit_test(an_address_is_not_given_up_for_one_that_cannot_be_dialled),
        cmocka_unit_test(little_that_was_written_waits_in_the_kernel),
        cmocka_unit_test(a_peer_that_speaks_no_tls_is_refused),
        cmocka_unit_test(an_idle_link_neither_reads_nor_writes),
    };
    return cmocka_run_group_tests(tests, make_client, free_client);
}
