/* Both ends in one thread over a socket pair, pumped by turns. Where a peer must misbehave it is the
 * library's own SSL object, or bytes by hand. */
#include "crypto/tls.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "crypto/port/openssl/tls_port.h"

#define DAY_MS UINT64_C(86400000)

typedef struct {
    porch_key *key;
    porch_public_key public_key;
    uint8_t block[3 * PORCH_X509_PEM_BYTES];
    porch_buf pem; /* for leaves: with the issuing CA behind */
} made;

static made root, issuing, web, hub, cam, late_cam, early_cam, foreign_root, foreign_cam, both_cam;

static uint64_t now_ms(void) {
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
    return (uint64_t)t.tv_sec * 1000;
}

static void new_key(made *m) {
    assert_int_equal(porch_key_generate_p256(&m->key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(m->key, &m->public_key, NULL), PORCH_OK);
    m->pem = PORCH_BUF_OF(m->block);
}

static void make_leaf(made *m, const made *ca, porch_ca_request request, int64_t from_days,
                      int64_t until_days) {
    new_key(m);
    const porch_ca above = {porch_buf_bytes(&ca->pem), ca->key};
    request.not_before_ms = (uint64_t)((int64_t)now_ms() + from_days * (int64_t)DAY_MS);
    request.not_after_ms = (uint64_t)((int64_t)now_ms() + until_days * (int64_t)DAY_MS);
    assert_int_equal(porch_ca_issue(&above, &m->public_key, &request, &m->pem, NULL), PORCH_OK);
    memcpy(m->block + m->pem.len, ca->block, ca->pem.len);
    m->pem.len += ca->pem.len;
}

static int make_all(void **state) {
    (void)state;
    uint64_t begin = now_ms() - 60 * DAY_MS;
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

static int free_all(void **state) {
    (void)state;
    made *const all[] = {&root,     &issuing,   &web,          &hub,         &cam,
                         &late_cam, &early_cam, &foreign_root, &foreign_cam, &both_cam};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        porch_key_free(all[i]->key);
    return 0;
}

static porch_tls_server_config server_config(void) {
    return (porch_tls_server_config){
        .chain_pem = porch_buf_bytes(&hub.pem),
        .key = hub.key,
        .client_ca_pem = porch_buf_bytes(&root.pem),
        .client_mode = PORCH_TLS_CLIENT_REQUIRE,
        .ticket_lifetime_s = 3600,
        .session_context = PORCH_LIT("mqtt"),
    };
}

static porch_tls_client_config client_config(const made *who) {
    return (porch_tls_client_config){
        .ca_pem = porch_buf_bytes(&root.pem),
        .chain_pem = who != NULL ? porch_buf_bytes(&who->pem) : (porch_bytes){NULL, 0},
        .key = who != NULL ? who->key : NULL,
        .name = "localhost",
    };
}

static porch_tls_server *new_server(porch_tls_server_config config) {
    porch_tls_server *s = NULL;
    assert_int_equal(porch_tls_server_new(&config, &s, NULL), PORCH_OK);
    return s;
}

static porch_tls_client *new_client(porch_tls_client_config config) {
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

static void open_meeting(meeting *m) {
    memset(m, 0, sizeof *m);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, m->fds), 0);
    m->server_end = m->client_end = PORCH_ERR_AGAIN;
}

static void close_meeting(meeting *m) {
    porch_tls_free(m->server);
    porch_tls_free(m->client);
    for (int i = 0; i < 2; i++)
        if (m->fds[i] >= 0) close(m->fds[i]);
}

/* Drives both handshakes until neither moves any more. A side that failed closes its end, as a program
 * would. */
static void shake(meeting *m) {
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

static void meet(meeting *m, porch_tls_server *s, porch_tls_client *c) {
    open_meeting(m);
    assert_int_equal(porch_tls_accept(s, m->fds[0], &m->server), PORCH_OK);
    assert_int_equal(porch_tls_connect(c, m->fds[1], &m->client), PORCH_OK);
    shake(m);
    if (m->server_end == PORCH_OK) assert_int_equal(porch_tls_peer(m->server, &m->peer), PORCH_OK);
}

static void meet_once(meeting *m, porch_tls_server_config sc, porch_tls_client_config cc) {
    porch_tls_server *s = new_server(sc);
    porch_tls_client *c = new_client(cc);
    meet(m, s, c);
    porch_tls_server_unref(s); /* the connections hold their own references */
    porch_tls_client_unref(c);
}

/* In TLS 1.3 the client has finished before it hears the verdict: it comes with the first read. */
static porch_err first_read(meeting *m) {
    uint8_t byte;
    size_t got;
    return porch_tls_read(m->client, &byte, 1, &got);
}

static void send_all(porch_tls_conn *from, porch_tls_conn *to, size_t bytes) {
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

static void both_ends_prove_themselves_and_talk(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(&cam));
    assert_int_equal(m.server_end, PORCH_OK);
    assert_int_equal(m.client_end, PORCH_OK);
    assert_true(m.peer.has_certificate);
    assert_int_equal(m.peer.x509.identity.kind, PORCH_IDENTITY_DEVICE);
    assert_string_equal(m.peer.x509.identity.name, "cam");
    assert_false(m.peer.expired || m.peer.not_yet_valid || m.peer.resumed);
    assert_string_equal(m.peer.version, "1.3");
    assert_true(strlen(m.peer.cipher) > 5);
    porch_tls_peer_info seen;
    assert_int_equal(porch_tls_peer(m.client, &seen), PORCH_OK);
    assert_true(seen.x509.server_auth);
    assert_false(seen.x509.client_auth);
    send_all(m.client, m.server, 1);
    send_all(m.server, m.client, 1);
    send_all(m.client, m.server, 1000000);
    porch_tls_idle(m.server);
    porch_tls_idle(m.client);
    send_all(m.server, m.client, 1000000);
    close_meeting(&m);
}

/* Reads what has come, behind what came before. */
static size_t read_some(porch_tls_conn *c, uint8_t *at, size_t cap) {
    size_t all = 0, n;
    while (porch_tls_read(c, at + all, cap - all, &n) == PORCH_OK)
        all += n;
    return all;
}

/* A socket that takes little: parts of records are with the caller for a while, and nothing overtakes them.
 */
static void corked_records_leave_together_and_in_order(void **state) {
    (void)state;
    enum { BYTES = 1 << 20 };
    meeting m;
    meet_once(&m, server_config(), client_config(&cam));
    int small = 4096;
    assert_int_equal(setsockopt(m.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    uint8_t *in = test_malloc(BYTES), *out = test_malloc(BYTES), *wire = test_malloc(PORCH_TLS_WIRE_BYTES);
    for (size_t i = 0; i < BYTES; i++)
        in[i] = (uint8_t)(i * 7 + i / 1000);
    size_t sent = 0, seen = 0, n, held = 0;
    while (seen < BYTES) {
        porch_buf gathered = {wire, 0, PORCH_TLS_WIRE_BYTES};
        porch_tls_cork(m.server, &gathered);
        porch_err e = PORCH_OK;
        while (sent < BYTES && (e = porch_tls_write(m.server, in + sent, BYTES - sent, &n)) == PORCH_OK)
            sent += n;
        assert_true(e == PORCH_OK || e == PORCH_ERR_AGAIN);
        porch_bytes left;
        e = porch_tls_uncork(m.server, &left);
        while (e == PORCH_ERR_AGAIN) {
            held++;
            assert_int_equal(porch_tls_write(m.server, in + sent, BYTES - sent, &n),
                             sent < BYTES ? PORCH_ERR_AGAIN : PORCH_OK);
            seen += read_some(m.client, out + seen, BYTES - seen);
            e = porch_tls_push(m.server, &left);
        }
        assert_int_equal(e, PORCH_OK);
        seen += read_some(m.client, out + seen, BYTES - seen);
    }
    assert_true(held > 0);
    assert_memory_equal(out, in, BYTES);
    test_free(in);
    test_free(out);
    test_free(wire);
    close_meeting(&m);
}

static void a_record_larger_than_one_read_is_pending(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(&cam));
    uint8_t block[5000] = {1}, part[100];
    size_t n = 0;
    assert_int_equal(porch_tls_write(m.client, block, sizeof block, &n), PORCH_OK);
    assert_int_equal(n, sizeof block);
    assert_int_equal(porch_tls_read(m.server, part, sizeof part, &n), PORCH_OK);
    assert_int_equal(n, sizeof part);
    assert_true(porch_tls_pending(m.server));
    for (size_t left = sizeof block - sizeof part; left > 0; left -= n)
        assert_int_equal(porch_tls_read(m.server, part, sizeof part, &n), PORCH_OK);
    assert_false(porch_tls_pending(m.server));
    assert_int_equal(porch_tls_read(m.server, part, sizeof part, &n), PORCH_ERR_AGAIN);
    close_meeting(&m);
}

/* Part of a record inside must not make a caller spin: nothing can be read until the socket brings the
 * rest. */
static void half_a_record_is_not_pending(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(&cam));
    uint8_t block[1000] = {1}, wire[4096], part[1000];
    size_t n = 0;
    assert_int_equal(porch_tls_read(m.client, part, sizeof part, &n),
                     PORCH_ERR_AGAIN); /* takes the ticket */
    assert_int_equal(porch_tls_write(m.server, block, sizeof block, &n), PORCH_OK);
    ssize_t len =
        recv(m.fds[1], wire, sizeof wire, MSG_DONTWAIT); /* the record, before the client sees it */
    assert_true(len > 1000);
    assert_int_equal(send(m.fds[0], wire, 500, 0), 500);
    assert_int_equal(porch_tls_read(m.client, part, sizeof part, &n), PORCH_ERR_AGAIN);
    assert_false(porch_tls_pending(m.client));
    assert_int_equal(send(m.fds[0], wire + 500, (size_t)len - 500, 0), len - 500);
    assert_int_equal(porch_tls_read(m.client, part, 10, &n), PORCH_OK);
    assert_true(porch_tls_pending(m.client));
    close_meeting(&m);
}

static void the_end_is_told_announced_or_not(void **state) {
    (void)state;
    uint8_t byte;
    size_t n;
    meeting m;
    meet_once(&m, server_config(), client_config(&cam));
    porch_tls_shutdown(m.client);
    porch_tls_shutdown(m.client);
    assert_int_equal(porch_tls_read(m.server, &byte, 1, &n), PORCH_ERR_CLOSED);
    assert_int_equal(porch_tls_write(m.client, &byte, 1, &n), PORCH_ERR_CLOSED);
    close_meeting(&m);
    meet_once(&m, server_config(), client_config(&cam));
    close(m.fds[1]);
    m.fds[1] = -1;
    assert_int_equal(porch_tls_read(m.server, &byte, 1, &n), PORCH_ERR_CLOSED);
    assert_int_equal(porch_tls_write(m.server, &byte, 1, &n), PORCH_ERR_CLOSED); /* and no SIGPIPE */
    close_meeting(&m);
}

static void a_certificate_out_of_its_time_passes_and_is_flagged(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(&late_cam));
    assert_int_equal(m.server_end, PORCH_OK);
    assert_true(m.peer.expired);
    assert_false(m.peer.not_yet_valid);
    assert_string_equal(m.peer.x509.identity.name, "cam");
    close_meeting(&m);
    meet_once(&m, server_config(), client_config(&early_cam));
    assert_int_equal(m.server_end, PORCH_OK);
    assert_false(m.peer.expired);
    assert_true(m.peer.not_yet_valid);
    close_meeting(&m);
}

static void a_certificate_of_another_authority_is_refused_with_an_alert(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(&foreign_cam));
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    assert_non_null(strstr(m.server_why.text, "certificate"));
    assert_int_equal(first_read(&m), PORCH_ERR_DENIED);
    assert_non_null(strstr(porch_tls_error(m.client), "unknown ca"));
    close_meeting(&m);
}

static void a_late_certificate_of_another_authority_is_refused_all_the_same(void **state) {
    (void)state;
    made late_foreign;
    memset(&late_foreign, 0, sizeof late_foreign);
    make_leaf(&late_foreign, &foreign_root,
              (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "cam"}, -30, -1);
    meeting m;
    meet_once(&m, server_config(), client_config(&late_foreign));
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    close_meeting(&m);
    porch_key_free(late_foreign.key);
}

static void a_late_authority_is_not_tolerated(void **state) {
    (void)state;
    made old_issuing, leaf;
    memset(&old_issuing, 0, sizeof old_issuing);
    memset(&leaf, 0, sizeof leaf);
    new_key(&old_issuing);
    made old_root;
    memset(&old_root, 0, sizeof old_root);
    new_key(&old_root);
    uint64_t long_ago = now_ms() - 800 * DAY_MS;
    assert_int_equal(porch_ca_make_root("O", old_root.key, long_ago, 20, &old_root.pem, NULL), PORCH_OK);
    const porch_ca above = {porch_buf_bytes(&old_root.pem), old_root.key};
    assert_int_equal(
        porch_ca_make_issuing(&above, "OI", &old_issuing.public_key, long_ago, 1, &old_issuing.pem, NULL),
        PORCH_OK);
    make_leaf(&leaf, &old_issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "cam"}, -600,
              -500);
    porch_tls_server_config sc = server_config();
    sc.client_ca_pem = porch_buf_bytes(&old_root.pem);
    meeting m;
    meet_once(&m, sc, client_config(&leaf));
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    assert_non_null(strstr(m.server_why.text, "expired"));
    close_meeting(&m);
    porch_key_free(old_root.key);
    porch_key_free(old_issuing.key);
    porch_key_free(leaf.key);
}

static void a_server_certificate_is_no_client_certificate(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(&hub));
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    assert_non_null(strstr(m.server_why.text, "purpose"));
    close_meeting(&m);
}

static void no_certificate_is_refused_where_one_is_required_and_told_where_it_is_not(void **state) {
    (void)state;
    meeting m;
    meet_once(&m, server_config(), client_config(NULL));
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    assert_non_null(strstr(m.server_why.text, "no certificate"));
    assert_int_equal(first_read(&m), PORCH_ERR_DENIED);
    close_meeting(&m);
    porch_tls_server_config sc = server_config();
    sc.client_mode = PORCH_TLS_CLIENT_REQUEST;
    meet_once(&m, sc, client_config(NULL));
    assert_int_equal(m.server_end, PORCH_OK);
    assert_false(m.peer.has_certificate);
    close_meeting(&m);
    meet_once(&m, sc, client_config(&cam));
    assert_int_equal(m.server_end, PORCH_OK);
    assert_true(m.peer.has_certificate);
    close_meeting(&m);
    meet_once(&m, sc, client_config(&foreign_cam));
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    close_meeting(&m);
    sc.client_mode = PORCH_TLS_CLIENT_NONE;
    meet_once(&m, sc, client_config(&cam));
    assert_int_equal(m.server_end, PORCH_OK);
    assert_false(m.peer.has_certificate);
    close_meeting(&m);
}

static void the_client_takes_only_a_server_s_certificate_for_that_very_name(void **state) {
    (void)state;
    static const struct {
        const char *name;
        porch_err expected;
    } rows[] = {{"localhost", PORCH_OK},         {"127.0.0.1", PORCH_OK},       {"other", PORCH_ERR_AUTH},
                {"a.localhost", PORCH_ERR_AUTH}, {"127.0.0.2", PORCH_ERR_AUTH}, {"::1", PORCH_ERR_AUTH}};
    meeting m;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_tls_client_config cc = client_config(&cam);
        cc.name = rows[i].name;
        meet_once(&m, server_config(), cc);
        assert_int_equal(m.client_end, rows[i].expected);
        if (rows[i].expected != PORCH_OK) assert_int_equal(m.server_end, PORCH_ERR_DENIED);
        close_meeting(&m);
    }
    /* A device in the server's place: chain and key are good, the usage is not. */
    porch_tls_server_config sc = server_config();
    sc.chain_pem = porch_buf_bytes(&cam.pem);
    sc.key = cam.key;
    meet_once(&m, sc, client_config(&cam));
    assert_int_equal(m.client_end, PORCH_ERR_AUTH);
    assert_non_null(strstr(m.client_why.text, "purpose"));
    close_meeting(&m);
    porch_tls_client_config cc = client_config(&cam);
    cc.ca_pem = porch_buf_bytes(&foreign_root.pem);
    meet_once(&m, server_config(), cc);
    assert_int_equal(m.client_end, PORCH_ERR_AUTH);
    close_meeting(&m);
}

/* The library as a client that offers only the versions from `least` to `most`. */
static porch_err meet_raw(porch_tls_server *s, int least, int most, porch_why *why) {
    meeting m;
    open_meeting(&m);
    assert_int_equal(porch_tls_accept(s, m.fds[0], &m.server), PORCH_OK);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, least), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, most), 1);
    SSL *ssl = SSL_new(ctx);
    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, m.fds[1]), 1);
    SSL_set_connect_state(ssl);
    for (int turn = 0; turn < 20 && m.server_end == PORCH_ERR_AGAIN; turn++) {
        (void)SSL_do_handshake(ssl);
        m.server_end = porch_tls_handshake(m.server, why);
    }
    ERR_clear_error();
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    porch_err e = m.server_end;
    close_meeting(&m);
    return e;
}

static void tls_1_1_is_refused_and_1_2_unless_asked_for(void **state) {
    (void)state;
    porch_tls_server_config sc = server_config();
    sc.client_mode = PORCH_TLS_CLIENT_NONE;
    porch_tls_server *s = new_server(sc);
    porch_why why = {""};
    assert_int_equal(meet_raw(s, TLS1_VERSION, TLS1_1_VERSION, &why), PORCH_ERR_UNSUPPORTED);
    assert_non_null(strstr(why.text, "version"));
    assert_int_equal(meet_raw(s, TLS1_2_VERSION, TLS1_2_VERSION, &why), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(meet_raw(s, TLS1_2_VERSION, TLS1_3_VERSION, &why), PORCH_OK);
    porch_tls_server_unref(s);
    sc.min_version = PORCH_TLS_1_2;
    s = new_server(sc);
    assert_int_equal(meet_raw(s, TLS1_VERSION, TLS1_1_VERSION, &why), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(meet_raw(s, TLS1_2_VERSION, TLS1_2_VERSION, &why), PORCH_OK);
    porch_tls_server_unref(s);
}

static void plaintext_is_named_as_such(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {{"GET / HTTP/1.1\r\n\r\n", 18},
                {"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04"
                 "cam1",
                 18}};
    porch_tls_server *s = new_server(server_config());
    for (size_t i = 0; i < 2; i++) {
        meeting m;
        open_meeting(&m);
        assert_int_equal(porch_tls_accept(s, m.fds[0], &m.server), PORCH_OK);
        assert_int_equal(porch_tls_handshake(m.server, NULL), PORCH_ERR_AGAIN);
        assert_int_equal(write(m.fds[1], rows[i].text, rows[i].len), rows[i].len);
        assert_int_equal(porch_tls_handshake(m.server, &m.server_why), PORCH_ERR_MALFORMED);
        assert_non_null(strstr(m.server_why.text, "plaintext"));
        assert_int_equal(porch_tls_handshake(m.server, &m.server_why), PORCH_ERR_CLOSED);
        close_meeting(&m);
    }
    meeting m;
    open_meeting(&m);
    assert_int_equal(porch_tls_accept(s, m.fds[0], &m.server), PORCH_OK);
    close(m.fds[1]);
    m.fds[1] = -1;
    assert_int_equal(porch_tls_handshake(m.server, &m.server_why), PORCH_ERR_CLOSED);
    close_meeting(&m);
    porch_tls_server_unref(s);
}

static void the_application_protocol_is_agreed_or_the_peer_refused(void **state) {
    (void)state;
    porch_tls_server_config sc = server_config();
    sc.alpn[0] = "h2";
    sc.alpn[1] = "http/1.1";
    porch_tls_client_config cc = client_config(&cam);
    meeting m;
    meet_once(&m, sc, cc);
    assert_int_equal(m.server_end, PORCH_OK);
    assert_string_equal(m.peer.alpn, "");
    close_meeting(&m);
    cc.alpn[0] = "http/1.1";
    meet_once(&m, sc, cc);
    assert_string_equal(m.peer.alpn, "http/1.1");
    close_meeting(&m);
    cc.alpn[0] = "mqtt";
    meet_once(&m, sc, cc);
    assert_int_equal(m.server_end, PORCH_ERR_UNSUPPORTED);
    assert_int_equal(m.client_end, PORCH_ERR_UNSUPPORTED);
    close_meeting(&m);
}

/* Lets the client hear the ticket that follows the handshake. */
static void hear_ticket(meeting *m) {
    assert_int_equal(first_read(m), PORCH_ERR_AGAIN);
}

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

static void a_chain_and_a_key_that_do_not_fit_are_told_at_the_start(void **state) {
    (void)state;
    porch_tls_server *s = NULL;
    porch_why why = {""};
    porch_tls_server_config sc = server_config();
    sc.key = cam.key;
    assert_int_equal(porch_tls_server_new(&sc, &s, &why), PORCH_ERR_STATE);
    sc = server_config();
    sc.client_ca_pem = PORCH_LIT("nothing");
    assert_int_equal(porch_tls_server_new(&sc, &s, &why), PORCH_ERR_MALFORMED);
    sc = server_config();
    sc.session_context = PORCH_LIT("");
    assert_int_equal(porch_tls_server_new(&sc, &s, &why), PORCH_ERR_LIMIT);
    sc = server_config();
    sc.ticket_lifetime_s = 8 * 86400;
    assert_int_equal(porch_tls_server_new(&sc, &s, &why), PORCH_ERR_LIMIT);
    porch_tls_client *c = NULL;
    porch_tls_client_config cc = client_config(&cam);
    cc.name = "";
    assert_int_equal(porch_tls_client_new(&cc, &c, &why), PORCH_ERR_USAGE);
    cc.name = NULL;
    assert_int_equal(porch_tls_client_new(&cc, &c, &why), PORCH_ERR_USAGE);
    assert_null(s);
    assert_null(c);
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

/* Authorities that stand beside the roots, and chains that were verified before. */

static void both_authorities(const made *top, const made *below, uint8_t *block, size_t cap,
                             porch_buf *ret) {
    *ret = (porch_buf){block, 0, cap};
    memcpy(block, top->pem.at, top->pem.len);
    memcpy(block + top->pem.len, below->pem.at, below->pem.len);
    ret->len = top->pem.len + below->pem.len;
}

static void a_chain_is_verified_once_and_its_leaf_judged_each_time(void **state) {
    (void)state;
    uint8_t block[16384];
    porch_buf authorities;
    both_authorities(&root, &issuing, block, sizeof block, &authorities);
    porch_tls_server_config sc = server_config();
    sc.client_ca_pem = porch_buf_bytes(&authorities);
    porch_tls_server *s = new_server(sc);
    const made *who[] = {&cam, &late_cam};
    for (size_t i = 0; i < 2; i++) {
        porch_tls_client *c = new_client(client_config(who[i]));
        for (int round = 0; round < 3; round++) {
            meeting m;
            meet(&m, s, c);
            assert_int_equal(m.server_end, PORCH_OK);
            assert_false(m.peer.resumed);
            assert_int_equal(m.peer.expired, who[i] == &late_cam);
            assert_true(porch_verified_knows(s->verified, m.peer.x509.fingerprint, now_ms()));
            /* no longer than its issuers are valid: they were made for years */
            assert_false(
                porch_verified_knows(s->verified, m.peer.x509.fingerprint, now_ms() + 8000 * DAY_MS));
            assert_false(porch_verified_knows(s->verified, m.peer.x509.fingerprint, 1000));
            close_meeting(&m);
        }
        porch_tls_client_unref(c);
    }
    porch_tls_client *stranger = new_client(client_config(&foreign_cam));
    for (int round = 0; round < 2; round++) {
        meeting m;
        meet(&m, s, stranger);
        assert_int_equal(m.server_end, PORCH_ERR_AUTH);
        close_meeting(&m);
    }
    porch_tls_client_unref(stranger);
    porch_tls_server_unref(s);
}

static void a_newer_chain_takes_an_older_ones_place(void **state) {
    (void)state;
    porch_verified *v = calloc(1, sizeof *v);
    assert_non_null(v);
    assert_int_equal(pthread_mutex_init(&v->lock, NULL), 0);
    uint8_t one[32] = {1}, same_slot[32] = {1, [31] = 9}, nobody[32] = {0};
    assert_false(porch_verified_knows(v, nobody, 0)); /* an empty slot knows nobody */
    porch_verified_note(v, one, 100, 200);
    assert_true(porch_verified_knows(v, one, 100));
    assert_true(porch_verified_knows(v, one, 199));
    assert_false(porch_verified_knows(v, one, 99));
    assert_false(porch_verified_knows(v, one, 200));
    assert_false(porch_verified_knows(v, same_slot, 150));
    porch_verified_note(v, same_slot, 100, 200);
    assert_true(porch_verified_knows(v, same_slot, 150));
    assert_false(porch_verified_knows(v, one, 150));
    (void)pthread_mutex_destroy(&v->lock);
    free(v);
}

static void an_issuer_beside_the_roots_must_reach_one_of_them(void **state) {
    (void)state;
    uint8_t block[16384];
    porch_buf authorities;
    porch_why why = {""};
    porch_tls_server *s = NULL;
    porch_tls_server_config sc = server_config();
    both_authorities(&foreign_root, &issuing, block, sizeof block, &authorities);
    sc.client_ca_pem = porch_buf_bytes(&authorities);
    assert_int_equal(porch_tls_server_new(&sc, &s, &why), PORCH_ERR_STATE);
    assert_non_null(strstr(why.text, "reaches no root"));
}

static void a_late_issuer_beside_its_root_is_not_tolerated_either(void **state) {
    (void)state;
    made old_root = {.key = NULL}, old_issuing = {.key = NULL}, leaf = {.key = NULL};
    uint8_t block[16384];
    porch_buf authorities;
    uint64_t long_ago = now_ms() - 800 * DAY_MS;
    memset(&old_root, 0, sizeof old_root);
    memset(&old_issuing, 0, sizeof old_issuing);
    memset(&leaf, 0, sizeof leaf);
    new_key(&old_root);
    new_key(&old_issuing);
    assert_int_equal(porch_ca_make_root("O", old_root.key, long_ago, 20, &old_root.pem, NULL), PORCH_OK);
    const porch_ca above = {porch_buf_bytes(&old_root.pem), old_root.key};
    assert_int_equal(
        porch_ca_make_issuing(&above, "OI", &old_issuing.public_key, long_ago, 1, &old_issuing.pem, NULL),
        PORCH_OK);
    make_leaf(&leaf, &old_issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "cam"}, -600,
              -500);
    both_authorities(&old_root, &old_issuing, block, sizeof block, &authorities);
    porch_tls_server_config sc = server_config();
    sc.client_ca_pem = porch_buf_bytes(&authorities);
    meeting m;
    meet_once(&m, sc, client_config(&leaf)); /* the server is made: clocks may be wrong at a start */
    assert_int_equal(m.server_end, PORCH_ERR_AUTH);
    assert_non_null(strstr(m.server_why.text, "expired"));
    close_meeting(&m);
    porch_key_free(old_root.key);
    porch_key_free(old_issuing.key);
    porch_key_free(leaf.key);
}

static void the_library_of_tls_knows_what_it_needs_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool there;
    } keys[] = {{"EC", true},   {"ED25519", true}, {"X25519", true}, {"RSA", true},
                {"DSA", false}, {"DH", false},     {"ED448", false}, {"SM2", false}};
    static const struct {
        const char *name;
        bool there;
    } digests[] = {{"SHA2-256", true}, {"SHA2-384", true}, {"MD5", false}, {"BLAKE2B-512", false}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        EVP_KEYMGMT *k = EVP_KEYMGMT_fetch(porch_tls_library(), keys[i].name, NULL);
        assert_int_equal(k != NULL, keys[i].there);
        EVP_KEYMGMT_free(k);
    }
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        EVP_MD *d = EVP_MD_fetch(porch_tls_library(), digests[i].name, NULL);
        assert_int_equal(d != NULL, digests[i].there);
        EVP_MD_free(d);
    }
    ERR_clear_error();
}

static uint64_t told_ms(void *ctx) {
    return *(uint64_t *)ctx;
}

static void the_server_is_judged_by_the_clock_that_the_client_is_given(void **state) {
    (void)state;
    const uint64_t day = DAY_MS, now = now_ms();
    struct {
        uint64_t at_ms;
        bool may_be_early;
        porch_err expected;
    } rows[] = {
        {now, false, PORCH_OK},
        {now + 40 * day, false, PORCH_ERR_AUTH}, /* the hub's ends after 30 days */
        {now - 40 * day, false, PORCH_ERR_AUTH},
        {0, false, PORCH_ERR_AUTH},
        {0, true, PORCH_OK}, /* a clock at 1970 may be late */
        {now - 40 * day, true, PORCH_OK},
        {now + 40 * day, true, PORCH_ERR_AUTH}, /* but what has ended has ended */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        meeting m;
        porch_tls_client_config cc = client_config(&cam);
        cc.clock_ms = told_ms;
        cc.clock_ctx = &rows[i].at_ms;
        cc.may_be_early = rows[i].may_be_early;
        meet_once(&m, server_config(), cc);
        assert_int_equal(m.client_end, rows[i].expected);
        if (m.client_end == PORCH_OK) {
            assert_int_equal(porch_tls_chain_at(m.client, now, NULL), PORCH_OK);
            assert_int_equal(porch_tls_chain_at(m.client, now + 40 * day, NULL), PORCH_ERR_EXPIRED);
            assert_int_equal(porch_tls_chain_at(m.client, now - 2 * day, NULL), PORCH_ERR_STATE);
        }
        close_meeting(&m);
    }
    /* being early forgives nothing else */
    uint64_t at_ms = 0;
    meeting m;
    porch_tls_client_config cc = client_config(&cam);
    cc.clock_ms = told_ms;
    cc.clock_ctx = &at_ms;
    cc.may_be_early = true;
    cc.name = "other";
    meet_once(&m, server_config(), cc);
    assert_int_equal(m.client_end, PORCH_ERR_AUTH);
    close_meeting(&m);
    cc.name = "localhost";
    cc.ca_pem = porch_buf_bytes(&foreign_root.pem);
    meet_once(&m, server_config(), cc);
    assert_int_equal(m.client_end, PORCH_ERR_AUTH);
    close_meeting(&m);
    cc.ca_pem = porch_buf_bytes(&root.pem);
    porch_tls_server_config sc = server_config();
    sc.chain_pem = porch_buf_bytes(&early_cam.pem);
    sc.key = early_cam.key;
    meet_once(&m, sc, cc);
    assert_int_equal(m.client_end, PORCH_ERR_AUTH);
    close_meeting(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_is_judged_by_the_clock_that_the_client_is_given),
        cmocka_unit_test(both_ends_prove_themselves_and_talk),
        cmocka_unit_test(corked_records_leave_together_and_in_order),
        cmocka_unit_test(a_record_larger_than_one_read_is_pending),
        cmocka_unit_test(half_a_record_is_not_pending),
        cmocka_unit_test(the_end_is_told_announced_or_not),
        cmocka_unit_test(a_certificate_out_of_its_time_passes_and_is_flagged),
        cmocka_unit_test(a_certificate_of_another_authority_is_refused_with_an_alert),
        cmocka_unit_test(a_late_certificate_of_another_authority_is_refused_all_the_same),
        cmocka_unit_test(a_late_authority_is_not_tolerated),
        cmocka_unit_test(a_server_certificate_is_no_client_certificate),
        cmocka_unit_test(no_certificate_is_refused_where_one_is_required_and_told_where_it_is_not),
        cmocka_unit_test(the_client_takes_only_a_server_s_certificate_for_that_very_name),
        cmocka_unit_test(tls_1_1_is_refused_and_1_2_unless_asked_for),
        cmocka_unit_test(plaintext_is_named_as_such),
        cmocka_unit_test(the_application_protocol_is_agreed_or_the_peer_refused),
        cmocka_unit_test(a_resumed_connection_keeps_the_certificate_and_is_judged_anew),
        cmocka_unit_test(tickets_open_for_one_lifetime_while_their_keys_rotate),
        cmocka_unit_test(without_a_lifetime_nothing_is_resumed),
        cmocka_unit_test(resumption_works_in_tls_1_2_as_well),
        cmocka_unit_test(a_chain_and_a_key_that_do_not_fit_are_told_at_the_start),
        cmocka_unit_test(keys_may_be_updated_when_the_session_is_gone),
        cmocka_unit_test(a_device_with_small_buffers_gets_small_records),
        cmocka_unit_test(a_chain_is_verified_once_and_its_leaf_judged_each_time),
        cmocka_unit_test(a_newer_chain_takes_an_older_ones_place),
        cmocka_unit_test(an_issuer_beside_the_roots_must_reach_one_of_them),
        cmocka_unit_test(a_late_issuer_beside_its_root_is_not_tolerated_either),
        cmocka_unit_test(the_library_of_tls_knows_what_it_needs_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
