/* Fetching where there is nobody, or nobody who answers; what works is
 * tests/integration/test_update_agent.py's. */
#include "device/port/linux/update_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/x509.h"
#include "device/port/linux/update_install.h"
#include "os/clock.h"
#include "os/socket.h"

static porch_tls_client *client;
static porch_key *key;
static bool off;
static porch_why why;

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

static bool cancelled(void *ctx) {
    (void)ctx;
    return off;
}

static porch_err never(void *ctx, porch_bytes piece, porch_why *w) {
    (void)ctx, (void)piece, (void)w;
    fail_msg("bytes of nobody");
    return PORCH_OK;
}

static porch_err get(const char *host, uint16_t port, uint64_t patience_ms) {
    static porch_update_fetch f;
    f = (porch_update_fetch){.host = host,
                             .port = port,
                             .patience_ms = patience_ms,
                             .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
                             .cancelled = cancelled};
    porch_update_fetch_open(&f);
    porch_update_fetch_use(&f, client);
    porch_err e = porch_update_fetch_get(&f, "/x", 0, never, NULL, &why);
    assert_int_equal(f.link.state, PORCH_LINK_IDLE);
    porch_update_fetch_close(&f);
    (void)close(f.wake_fd);
    return e;
}

/* Above all not NOT_FOUND: that would mean that the hub has no newer root. */
static void a_hub_that_is_away_is_no_hub_without_the_file(void **state) {
    (void)state;
    int fd = -1;
    uint16_t port = 0;
    off = false;
    assert_int_equal(get("no such name", 8444, 1000), PORCH_ERR_IO);
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &fd, &port, &why), PORCH_OK);
    assert_int_equal(get("127.0.0.1", port, 50),
                     PORCH_ERR_TIMEOUT); /* takes the connection and says nothing */
    (void)close(fd);
    assert_int_equal(get("127.0.0.1", port, 1000), PORCH_ERR_IO);
}

static void what_is_called_off_ends_at_once(void **state) {
    (void)state;
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 1, &fd, &port, &why), PORCH_OK);
    off = true;
    assert_int_equal(get("127.0.0.1", port, 600000), PORCH_ERR_BUSY);
    off = false;
    (void)close(fd);
}

static void a_delta_is_given_up_for_what_it_is_and_not_for_the_weather(void **state) {
    (void)state;
    const porch_err weather[] = {PORCH_OK,       PORCH_ERR_IO,   PORCH_ERR_TIMEOUT, PORCH_ERR_CLOSED,
                                 PORCH_ERR_BUSY, PORCH_ERR_FULL, PORCH_ERR_NO_SPACE};
    const porch_err own[] = {PORCH_ERR_HASH,  PORCH_ERR_MALFORMED, PORCH_ERR_STATE,
                             PORCH_ERR_LIMIT, PORCH_ERR_NOT_FOUND, PORCH_ERR_TRUNCATED};
    for (size_t i = 0; i < sizeof weather / sizeof weather[0]; i++)
        assert_false(porch_update_install_hopeless(weather[i]));
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        assert_true(porch_update_install_hopeless(own[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hub_that_is_away_is_no_hub_without_the_file),
        cmocka_unit_test(what_is_called_off_ends_at_once),
        cmocka_unit_test(a_delta_is_given_up_for_what_it_is_and_not_for_the_weather),
    };
    return cmocka_run_group_tests(tests, make_client, free_client);
}
