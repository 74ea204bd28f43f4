/* Handshakes and what follows, both ends in one thread. Where a peer must misbehave it is the library's own
 * SSL object, or bytes by hand. */
#include "crypto/tls.h"

#include <fcntl.h>

#include "crypto/port/openssl/tls_testbed.h"

#include <openssl/err.h>

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

static void a_connection_is_dry_once_all_that_came_is_read(void **state) {
    (void)state;
    static uint8_t block[3000];
    uint8_t part[1000];
    size_t n;
    meeting m;
    meet_once(&m, server_config(), client_config(&cam));
    assert_int_equal(porch_tls_write(m.client, block, sizeof block, &n), PORCH_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(porch_tls_read(m.server, part, sizeof part, &n), PORCH_OK);
        assert_int_equal(porch_tls_dry(m.server), i == 2);
    }
    /* What comes later is read all the same. */
    assert_int_equal(porch_tls_write(m.client, block, 10, &n), PORCH_OK);
    assert_int_equal(porch_tls_read(m.server, part, sizeof part, &n), PORCH_OK);
    assert_int_equal(n, 10);
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
    uint64_t long_ago = now_ms() - 800 * PORCH_TLS_DAY_MS;
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
    const uint64_t day = PORCH_TLS_DAY_MS, now = now_ms();
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
        cmocka_unit_test(both_ends_prove_themselves_and_talk),
        cmocka_unit_test(corked_records_leave_together_and_in_order),
        cmocka_unit_test(a_record_larger_than_one_read_is_pending),
        cmocka_unit_test(half_a_record_is_not_pending),
        cmocka_unit_test(a_connection_is_dry_once_all_that_came_is_read),
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
        cmocka_unit_test(a_chain_and_a_key_that_do_not_fit_are_told_at_the_start),
        cmocka_unit_test(the_library_of_tls_knows_what_it_needs_and_nothing_else),
        cmocka_unit_test(the_server_is_judged_by_the_clock_that_the_client_is_given),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
