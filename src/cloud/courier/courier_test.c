/* The courier's requests against a real TLS receiver on the loopback. */
#include "cloud/courier/courier.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/courier/courier_room.h"
#include "crypto/tls.h"
#include "crypto/x509.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"

enum { GUARD_SECONDS = 60, REQUEST_BYTES = 8192, LONG_ENOUGH_MS = 30000 };

typedef struct {
    char dir[64], ca_file[96], url[64], allow[64];
    int listen_fd;
    uint16_t port;
    porch_tls_server *tls;
    const char *answer; /* NULL: none at all */
    pthread_t thread;
    char request[REQUEST_BYTES]; /* of the last connection that came through its handshake */
    size_t handshakes;
} receiver;

/* ---- the receiver
 * ----------------------------------------------------------------------------------------- */

static porch_err move_on(porch_tls_conn *c, int fd, porch_err e) {
    if (e != PORCH_ERR_AGAIN) return e;
    return porch_socket_wait(fd, porch_tls_wants_write(c) ? POLLOUT : POLLIN, LONG_ENOUGH_MS) == PORCH_OK
               ? PORCH_ERR_AGAIN
               : PORCH_ERR_TIMEOUT;
}

static porch_err read_request(receiver *r, porch_tls_conn *c, int fd) {
    size_t len = 0;
    while (!strstr(r->request, "\r\n\r\n{}")) {
        size_t got = 0;
        porch_err e = move_on(
            c, fd, porch_tls_read(c, (uint8_t *)r->request + len, sizeof r->request - 1 - len, &got));
        if (e != PORCH_OK && e != PORCH_ERR_AGAIN) return e;
        len += e == PORCH_OK ? got : 0;
        r->request[len] = '\0';
    }
    return PORCH_OK;
}

static void write_answer(const receiver *r, porch_tls_conn *c, int fd) {
    const char *at = r->answer;
    size_t rest = strlen(at);
    while (rest > 0) {
        size_t taken = 0;
        porch_err e = move_on(c, fd, porch_tls_write(c, (const uint8_t *)at, rest, &taken));
        if (e != PORCH_OK && e != PORCH_ERR_AGAIN) return;
        if (e == PORCH_OK) at += taken, rest -= taken;
    }
    (void)porch_tls_shutdown(c);
}

static void serve_one(receiver *r, int fd) {
    porch_tls_conn *c = NULL;
    porch_err e = porch_tls_accept(r->tls, fd, &c);
    while (e == PORCH_OK && (e = move_on(c, fd, porch_tls_handshake(c, NULL))) == PORCH_ERR_AGAIN)
        e = PORCH_OK;
    if (e == PORCH_OK) {
        r->handshakes++;
        r->request[0] = '\0';
        if (read_request(r, c, fd) == PORCH_OK) {
            if (r->answer)
                write_answer(r, c, fd);
            else
                (void)porch_socket_wait(fd, POLLIN, LONG_ENOUGH_MS); /* silent until the courier hangs up */
        }
    }
    porch_tls_free(c);
    close(fd);
}

static void *serve(void *ctx) {
    receiver *r = ctx;
    for (;;) {
        int fd = -1;
        if (porch_socket_wait(r->listen_fd, POLLIN, -1) != PORCH_OK) return NULL;
        porch_err e = porch_socket_accept(r->listen_fd, &fd);
        if (e == PORCH_ERR_AGAIN) continue;
        if (e != PORCH_OK) return NULL; /* shut down */
        serve_one(r, fd);
    }
}

static void make_tls(receiver *r) {
    uint8_t ca_block[PORCH_X509_PEM_BYTES], leaf_block[PORCH_X509_PEM_BYTES];
    porch_buf ca_pem = PORCH_BUF_OF(ca_block), leaf = PORCH_BUF_OF(leaf_block);
    porch_key *ca_key = NULL, *key = NULL;
    porch_public_key public_key;
    uint64_t now_ms = porch_clock_ms();
    porch_ca_names names = {{"localhost"}, 1};
    assert_int_equal(porch_key_generate_p256(&ca_key, NULL), PORCH_OK);
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(key, &public_key, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_web("receiver", ca_key, &names, now_ms - 60000, 1, &ca_pem, NULL),
                     PORCH_OK);
    porch_ca ca = {porch_buf_bytes(&ca_pem), ca_key};
    porch_ca_request request = {.profile = PORCH_PROFILE_WEB_SERVER,
                                .names = names,
                                .not_before_ms = now_ms - 60000,
                                .not_after_ms = now_ms + 3600000};
    assert_int_equal(porch_ca_issue(&ca, &public_key, &request, &leaf, NULL), PORCH_OK);
    assert_int_equal(porch_file_write_atomic(r->ca_file, porch_buf_bytes(&ca_pem), 0600, NULL), PORCH_OK);
    porch_tls_server_config config = {.chain_pem = porch_buf_bytes(&leaf), .key = key};
    assert_int_equal(porch_tls_server_new(&config, &r->tls, NULL), PORCH_OK);
    porch_key_free(ca_key);
    porch_key_free(key);
}

static int arrive(void **state) {
    static receiver the_receiver;
    receiver *r = &the_receiver;
    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "/tmp/porch-courier-XXXXXX");
    if (!mkdtemp(r->dir)) return -1;
    snprintf(r->ca_file, sizeof r->ca_file, "%.63s/ca.pem", r->dir);
    make_tls(r);
    if (porch_socket_listen_tcp("127.0.0.1", 0, 8, &r->listen_fd, &r->port, NULL) != PORCH_OK) return -1;
    snprintf(r->url, sizeof r->url, "https://localhost:%u/hook", r->port);
    snprintf(r->allow, sizeof r->allow, "localhost:%u 127.0.0.1:%u", r->port, r->port);
    pthread_create(&r->thread, NULL, serve, r);
    *state = r;
    alarm(GUARD_SECONDS);
    return 0;
}

static int leave(void **state) {
    receiver *r = *state;
    shutdown(r->listen_fd, SHUT_RDWR);
    pthread_join(r->thread, NULL);
    close(r->listen_fd);
    porch_tls_server_unref(r->tls);
    (void)unlink(r->ca_file);
    (void)rmdir(r->dir);
    alarm(0);
    return 0;
}

/* ---- asking
 * ------------------------------------------------------------------------------------------------ */

static porch_err post(const porch_courier_config *config, const char *url, uint16_t *status,
                      porch_why *why) {
    porch_courier c;
    porch_courier_message m = {.timeout_ms = config->timeout_ms,
                               .url = porch_bytes_of(url),
                               .headers_count = 1,
                               .body = PORCH_LIT("{}")};
    m.header_names[0] = PORCH_LIT("webhook-id");
    m.header_values[0] = PORCH_LIT("0123");
    *status = 0;
    why->text[0] = '\0';
    porch_err e = porch_courier_prepare(&c, config, why);
    if (e == PORCH_OK) e = porch_courier_perform(&c, &m, status, why);
    porch_courier_forget(&c);
    return e;
}

static porch_courier_config allowed(const receiver *r) {
    return (porch_courier_config){
        .allow = r->allow, .ca_file = r->ca_file, .timeout_ms = LONG_ENOUGH_MS, .answer_max = 1000};
}

static void an_allowed_receiver_with_a_known_authority_gets_the_request(void **state) {
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    r->answer = "HTTP/1.1 204 No Content\r\n\r\n";
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_OK);
    assert_int_equal(status, 204);
    assert_int_equal(strncmp(r->request, "POST /hook HTTP/1.1\r\n", 21), 0);
    assert_non_null(strstr(r->request, "\r\nwebhook-id: 0123\r\n"));
    assert_null(strstr(r->request, "Expect:"));
}

static void a_redirect_is_an_answer_and_is_not_followed(void **state) {
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    r->answer = "HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_OK);
    assert_int_equal(status, 307);
    assert_int_equal(r->handshakes, 1);
}

static void an_endless_answer_is_cut_and_its_status_counts(void **state) {
    static char endless[5000];
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    snprintf(endless, sizeof endless, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n%04000d", 0);
    r->answer = endless;
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_OK);
    assert_int_equal(status, 200);
}

static void
a_final_status_counts_though_its_body_ends_early_and_one_that_only_begins_does_not(void **state) {
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    r->answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthat was";
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_OK);
    assert_int_equal(status, 200);
    r->answer = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nth";
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_OK);
    assert_int_equal(status, 503);
    r->answer = "HTTP/1.1 100 Continue\r\n\r\n";
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_ERR_IO);
    assert_int_equal(status, 0);
}

static void a_private_address_that_is_not_allowed_is_never_connected_to(void **state) {
    static const char *const hosts[] = {"localhost", "127.0.0.1",          "[::1]",     "2130706433",
                                        "0x7f.1",    "[::ffff:127.0.0.1]", "LOCALHOST."};
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    config.allow = "localhost:1 127.0.0.1:2";
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char url[64];
        snprintf(url, sizeof url, "https://%s:%u/", hosts[i], r->port);
        porch_err e = post(&config, url, &status, &why);
        if (e == PORCH_OK || status != 0) fail_msg("%s was asked", url);
        if (e == PORCH_ERR_DENIED) assert_non_null(strstr(why.text, "courier.allow"));
    }
    assert_int_equal(r->handshakes, 0);
}

static void only_https_without_a_password_is_sent(void **state) {
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    char url[80];
    snprintf(url, sizeof url, "http://localhost:%u/", r->port);
    assert_int_equal(post(&config, url, &status, &why), PORCH_ERR_DENIED);
    snprintf(url, sizeof url, "https://me:secret@localhost:%u/", r->port);
    assert_int_equal(post(&config, url, &status, &why), PORCH_ERR_MALFORMED);
    assert_int_equal(post(&config, "file:///etc/passwd", &status, &why), PORCH_ERR_DENIED);
    assert_int_equal(post(&config, "https://", &status, &why), PORCH_ERR_MALFORMED);
    assert_int_equal(r->handshakes, 0);
}

static void an_unknown_authority_or_another_name_is_not_trusted(void **state) {
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    char url[64];
    r->answer = "HTTP/1.1 204 No Content\r\n\r\n";
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", r->port);
    assert_int_equal(post(&config, url, &status, &why), PORCH_ERR_AUTH);
    config.ca_file = NULL;
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_ERR_AUTH);
    assert_int_equal(r->request[0], '\0');
}

static void a_receiver_that_says_nothing_is_given_up(void **state) {
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    config.timeout_ms = 200;
    r->answer = NULL;
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_ERR_TIMEOUT);
}

static void what_answers_nonsense_or_nothing_is_an_error(void **state) {
    receiver *r = *state;
    porch_courier_config config = allowed(r);
    porch_why why;
    uint16_t status = 0;
    r->answer = "HELLO\r\n\r\n";
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_ERR_IO);
    r->answer = "";
    assert_int_equal(post(&config, r->url, &status, &why), PORCH_ERR_IO);
}

/* ---- a courier that runs
 * ------------------------------------------------------------------------------------ */

/* A courier in a sandbox that is the real one but for its files: `names` alone. (Something to write in
 * makes the sandbox enter Landlock in a build with sanitizers, too.) */
static pid_t start_courier(const receiver *r, const char *const *names, int *socket_fd) {
    int pair[2];
    assert_int_equal(porch_channel_pair(pair, NULL), PORCH_OK);
    pid_t child = fork();
    if (child == 0) {
        const char *const own[] = {r->ca_file, NULL};
        porch_sandbox_profile profile = porch_sandbox_courier;
        profile.read_only = names;
        profile.read_write = own;
        porch_courier_config config = allowed(r);
        config.names = names;
        config.sandbox = &profile;
        close(pair[0]);
        _exit(porch_courier_run(pair[1], &config));
    }
    close(pair[1]);
    *socket_fd = pair[0];
    return child;
}

/* Asks for what needs no network: an address that is refused for its scheme. CLOSED: nobody is there. */
static porch_err ask(int socket_fd, porch_why *why) {
    uint8_t block[1024];
    porch_buf b = PORCH_BUF_OF(block);
    const porch_courier_message m = {.number = 7, .url = PORCH_LIT("http://localhost/")};
    porch_courier_answer answer;
    assert_int_equal(porch_courier_message_write(&b, &m), PORCH_OK);
    porch_err e = porch_channel_send(socket_fd, porch_buf_bytes(&b), NULL, 0, LONG_ENOUGH_MS, NULL);
    b.len = 0;
    if (e == PORCH_OK) e = porch_channel_receive(socket_fd, &b, NULL, 0, NULL, LONG_ENOUGH_MS, NULL);
    if (e == PORCH_ERR_CLOSED) return e;
    assert_int_equal(e, PORCH_OK);
    assert_int_equal(porch_courier_answer_read(porch_buf_bytes(&b), &answer), PORCH_OK);
    (void)porch_fail(why, answer.error, "%.*s", PORCH_FMT(answer.why));
    return answer.error;
}

static int exit_code_of(pid_t child) {
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void put_resolver(const char *path) {
    assert_int_equal(porch_file_write_atomic(path, PORCH_LIT("nameserver 192.0.2.1\n"), 0644, NULL),
                     PORCH_OK);
}

static void a_replaced_resolver_file_makes_the_courier_leave_for_a_fresh_one(void **state) {
    const receiver *r = *state;
    char path[96];
    const char *const names[] = {path, NULL};
    int fd = -1;
    porch_why why = {""};
    (void)snprintf(path, sizeof path, "%.63s/resolv.conf", r->dir);
    for (int there_before = 0; there_before < 2; there_before++) {
        if (there_before) put_resolver(path);
        pid_t child = start_courier(r, names, &fd);
        assert_int_equal(ask(fd, &why), PORCH_ERR_DENIED);
        assert_int_equal(ask(fd, &why), PORCH_ERR_DENIED); /* it stays while nothing changes */
        put_resolver(path);                                /* by rename */
        porch_err e = ask(fd, &why); /* it looks behind each answer, too, and may have left already */
        assert_true(e == PORCH_ERR_BUSY || e == PORCH_ERR_CLOSED);
        if (e == PORCH_ERR_BUSY) assert_non_null(strstr(why.text, "resolv.conf was replaced"));
        assert_int_equal(exit_code_of(child), 0);
        close(fd);
        assert_int_equal(unlink(path), 0);
    }
}

#define WITH_RECEIVER(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RECEIVER(an_allowed_receiver_with_a_known_authority_gets_the_request),
        WITH_RECEIVER(a_redirect_is_an_answer_and_is_not_followed),
        WITH_RECEIVER(an_endless_answer_is_cut_and_its_status_counts),
        WITH_RECEIVER(a_final_status_counts_though_its_body_ends_early_and_one_that_only_begins_does_not),
        WITH_RECEIVER(a_private_address_that_is_not_allowed_is_never_connected_to),
        WITH_RECEIVER(only_https_without_a_password_is_sent),
        WITH_RECEIVER(an_unknown_authority_or_another_name_is_not_trusted),
        WITH_RECEIVER(a_receiver_that_says_nothing_is_given_up),
        WITH_RECEIVER(what_answers_nonsense_or_nothing_is_an_error),
        WITH_RECEIVER(a_replaced_resolver_file_makes_the_courier_leave_for_a_fresh_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
