/* What the tests of TLS share: authorities and leaves made for them, and both ends of a connection in one
 * thread over a socket pair, pumped by turns. */
#ifndef PORCH_CRYPTO_PORT_OPENSSL_TLS_TESTBED_H
#define PORCH_CRYPTO_PORT_OPENSSL_TLS_TESTBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/port/openssl/tls_port.h"

#define PORCH_TLS_DAY_MS UINT64_C(86400000)

typedef struct {
    porch_key *key;
    porch_public_key public_key;
    uint8_t block[3 * PORCH_X509_PEM_BYTES];
    porch_buf pem; /* for leaves: with the issuing CA behind */
} made;

static made root, issuing, web, hub, cam, late_cam, early_cam, foreign_root, foreign_cam, both_cam;

static inline uint64_t now_ms(void) {
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
    return (uint64_t)t.tv_sec * 1000;
}

static inline void new_key(made *m) {
    assert_int_equal(porch_key_generate_p256(&m->key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(m->key, &m->public_key, NULL), PORCH_OK);
    m->pem = PORCH_BUF_OF(m->block);
}

static inline void make_leaf(made *m, const made *ca, porch_ca_request request, int64_t from_days,
                             int64_t until_days) {
    new_key(m);
    const porch_ca above = {porch_buf_bytes(&ca->pem), ca->key};
    request.not_before_ms = (uint64_t)((int64_t)now_ms() + from_days * (int64_t)PORCH_TLS_DAY_MS);
    request.not_after_ms = (uint64_t)((int64_t)now_ms() + until_days * (int64_t)PORCH_TLS_DAY_MS);
    assert_int_equal(porch_ca_issue(&above, &m->public_key, &request, &m->pem, NULL), PORCH_OK);
    memcpy(m->block + m->pem.len, ca->block, ca->pem.len);
    m->pem.len += ca->pem.len;
}

static inline int make_all(void **state) {
    (void)state;
    uint64_t begin = now_ms() - 60 * PORCH_TLS_DAY_MS;
    new_key(&root);
    new_key(&issuing);
    new_key(&web);
    new_key(&foreign_root);
    assert_int_equal(porch_ca_make_root("R", root.key, begin, 10, &root.pem, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_root("R", foreign_root.key, begin, 10, &foreign_root.pem, NULL),
                     PORCH_OK);
    const porch_ca above = {porch_buf_bytes(&root.pem), root.key};
    assert_int_equal(porch_ca_make_issuing(&above, "I", &issuing.public_key, begin, 5, &issuing.pem, NULL),
                     PORCH_OK);
    const porch_ca_names names = {{"localhost", "127.0.0.1"}, 2};
    assert_int_equal(porch_ca_make_web("W", web.key, &names, begin, 5, &web.pem, NULL), PORCH_OK);
    const porch_ca_request device = {.profile = PORCH_PROFILE_DEVICE, .id = "cam"};
    make_leaf(&hub, &issuing, (porch_ca_request){.profile = PORCH_PROFILE_HUB_SERVER, .names = names}, -1,
              30);
    make_leaf(&cam, &issuing, device, -1, 30);
    make_leaf(&late_cam, &issuing, device, -30, -1);
    make_leaf(&early_cam, &issuing, device, 1, 30);
    make_leaf(&foreign_cam, &foreign_root, device, -1, 30);
    make_leaf(&both_cam, &issuing, (porch_ca_request){.profile = PORCH_PROFILE_SERVICE, .id = "app"}, -1,
              30);
    return 0;
}

static inline int free_all(void **state) {
    (void)state;
    made *const all[] = {&root,     &issuing,   &web,          &hub,         &cam,
                         &late_cam, &early_cam, &foreign_root, &foreign_cam, &both_cam};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        porch_key_free(all[i]->key);
    return 0;
}

static inline porch_tls_server_config server_config(void) {
    return (porch_tls_server_config){
        .chain_pem = porch_buf_bytes(&hub.pem),
        .key = hub.key,
        .client_ca_pem = porch_buf_bytes(&root.pem),
        .client_mode = PORCH_TLS_CLIENT_REQUIRE,
        .ticket_lifetime_s = 3600,
        .session_context = PORCH_LIT("mqtt"),
    };
}

static inline porch_tls_client_config client_config(const made *who) {
    return (porch_tls_client_config){
        .ca_pem = porch_buf_bytes(&root.pem),
        .chain_pem = who != NULL ? porch_buf_bytes(&who->pem) : (porch_bytes){NULL, 0},
        .key = who != NULL ? who->key : NULL,
        .name = "localhost",
    };
}

static inline porch_tls_server *new_server(porch_tls_server_config config) {
    porch_tls_server *s = NULL;
    assert_int_equal(porch_tls_server_new(&config, &s, NULL), PORCH_OK);
    return s;
}

static inline porch_tls_client *new_client(porch_tls_client_config config) {
    porch_tls_client *c = NULL;
    assert_int_equal(porch_tls_client_new(&config, &c, NULL), PORCH_OK);
    return c;
}

/* One connection seen from both ends. */
typedef struct {
    int fds[2];
    porch_tls_conn *server, *client;
    porch_err server_end, client_end; /* how each handshake ended */
    porch_why server_why, client_why;
    porch_tls_peer_info peer; /* of the client, at the server */
} meeting;

static inline void open_meeting(meeting *m) {
    memset(m, 0, sizeof *m);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, m->fds), 0);
    m->server_end = m->client_end = PORCH_ERR_AGAIN;
}

static inline void close_meeting(meeting *m) {
    porch_tls_free(m->server);
    porch_tls_free(m->client);
    for (int i = 0; i < 2; i++)
        if (m->fds[i] >= 0) close(m->fds[i]);
}

/* Drives both handshakes until neither moves any more. A side that failed closes its end, as a program
 * would. */
static inline void shake(meeting *m) {
    for (int turn = 0; turn < 50; turn++) {
        if (m->client_end == PORCH_ERR_AGAIN)
            m->client_end = porch_tls_handshake(m->client, &m->client_why);
        if (m->server_end == PORCH_ERR_AGAIN)
            m->server_end = porch_tls_handshake(m->server, &m->server_why);
        if (m->server_end != PORCH_OK && m->server_end != PORCH_ERR_AGAIN)
            (void)shutdown(m->fds[0], SHUT_WR);
        if (m->client_end != PORCH_OK && m->client_end != PORCH_ERR_AGAIN)
            (void)shutdown(m->fds[1], SHUT_WR);
    }
}

static inline void meet(meeting *m, porch_tls_server *s, porch_tls_client *c) {
    open_meeting(m);
    assert_int_equal(porch_tls_accept(s, m->fds[0], &m->server), PORCH_OK);
    assert_int_equal(porch_tls_connect(c, m->fds[1], &m->client), PORCH_OK);
    shake(m);
    if (m->server_end == PORCH_OK) assert_int_equal(porch_tls_peer(m->server, &m->peer), PORCH_OK);
}

static inline void meet_once(meeting *m, porch_tls_server_config sc, porch_tls_client_config cc) {
    porch_tls_server *s = new_server(sc);
    porch_tls_client *c = new_client(cc);
    meet(m, s, c);
    porch_tls_server_unref(s); /* the connections hold their own references */
    porch_tls_client_unref(c);
}

/* In TLS 1.3 the client has finished before it hears the verdict: it comes with the first read. */
static inline porch_err first_read(meeting *m) {
    uint8_t byte;
    size_t got;
    return porch_tls_read(m->client, &byte, 1, &got);
}

static inline void send_all(porch_tls_conn *from, porch_tls_conn *to, size_t bytes) {
    uint8_t *out = test_malloc(bytes), *in = test_malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(i * 13 + bytes);
    size_t sent = 0, seen = 0;
    for (int stuck = 0; seen < bytes && stuck < 100; stuck++) {
        size_t n = 0;
        porch_err e = PORCH_OK;
        while (sent < bytes && (e = porch_tls_write(from, out + sent, bytes - sent, &n)) == PORCH_OK)
            sent += n, stuck = 0;
        assert_true(e == PORCH_OK || e == PORCH_ERR_AGAIN);
        if (e == PORCH_ERR_AGAIN) assert_true(porch_tls_wants_write(from));
        while ((e = porch_tls_read(to, in + seen, bytes - seen < 999 ? bytes - seen : 999, &n)) ==
               PORCH_OK) {
            seen += n, stuck = 0;
            if (seen == bytes) break;
        }
        assert_true(e == PORCH_OK || e == PORCH_ERR_AGAIN);
    }
    assert_int_equal(seen, bytes);
    assert_memory_equal(out, in, bytes);
    test_free(out);
    test_free(in);
}

/* Lets the client hear the ticket that follows the handshake. */
static inline void hear_ticket(meeting *m) {
    assert_int_equal(first_read(m), PORCH_ERR_AGAIN);
}

#endif
