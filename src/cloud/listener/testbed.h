/* For tests of this room and of the broker's: certificates made on the spot, a listener on the loopback,
 * and a blocking TLS client. Nothing here is linked into a program. */
#ifndef PORCH_CLOUD_LISTENER_TESTBED_H
#define PORCH_CLOUD_LISTENER_TESTBED_H

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/listener/listener.h"
#include "cloud/settings/settings.h"
#include "crypto/keystore.h"
#include "crypto/tls.h"
#include "os/clock.h"
#include "os/socket.h"

enum { BED_PEM = 8192, BED_WAIT_MS = 20000 };
#define BED_DAY_MS ((uint64_t)86400000)

/* Waits until another thread has made it so; a hub that never does fails the test. */
#define BED_UNTIL(condition)                                                          \
    do {                                                                              \
        uint64_t bed_end = porch_clock_mono_ms() + BED_WAIT_MS;                       \
        while (!(condition)) {                                                        \
            if (porch_clock_mono_ms() > bed_end) fail_msg("never came: " #condition); \
            sched_yield();                                                            \
        }                                                                             \
    } while (0)

typedef struct {
    uint8_t text[BED_PEM];
    size_t len;
} bed_pem;

typedef struct {
    porch_key *root_key, *issuing_key;
    bed_pem root, issuing;
} bed_ca;

typedef struct {
    porch_key *key;
    bed_pem chain;
} bed_identity;

static inline porch_bytes bed_bytes(const bed_pem *p) {
    return (porch_bytes){p->text, p->len};
}

static inline void bed_ok(porch_err e, const porch_why *why) {
    if (e != PORCH_OK) fail_msg("%s: %s", porch_err_name(e), why == NULL ? "" : why->text);
}

static inline void bed_ca_make(bed_ca *ca, const char *name) {
    porch_why why = {""};
    porch_public_key pub;
    uint64_t from = porch_clock_ms() - 400 * BED_DAY_MS;
    bed_ok(porch_key_generate_p256(&ca->root_key, &why), &why);
    bed_ok(porch_key_generate_p256(&ca->issuing_key, &why), &why);
    porch_buf b = PORCH_BUF_OF(ca->root.text);
    bed_ok(porch_ca_make_root(name, ca->root_key, from, 20, &b, &why), &why);
    ca->root.len = b.len;
    bed_ok(porch_key_public(ca->issuing_key, &pub, &why), &why);
    porch_ca root = {bed_bytes(&ca->root), ca->root_key};
    b = PORCH_BUF_OF(ca->issuing.text);
    bed_ok(porch_ca_make_issuing(&root, name, &pub, from, 10, &b, &why), &why);
    ca->issuing.len = b.len;
}

static inline void bed_ca_free(bed_ca *ca) {
    porch_key_free(ca->root_key);
    porch_key_free(ca->issuing_key);
}

/* Days from now at which the certificate begins and ends. */
static inline void bed_issue(const bed_ca *ca, porch_profile profile, const char *id, int from_day,
                             int to_day, bed_identity *ret) {
    porch_why why = {""};
    porch_public_key pub;
    porch_ca issuer = {bed_bytes(&ca->issuing), ca->issuing_key};
    porch_ca_request request;
    memset(&request, 0, sizeof request);
    request.profile = profile;
    if (profile == PORCH_PROFILE_HUB_SERVER) {
        request.names.name[0] = "localhost";
        request.names.count = 1;
    } else {
        request.id = id;
    }
    request.not_before_ms = (uint64_t)((int64_t)porch_clock_ms() + from_day * (int64_t)BED_DAY_MS);
    request.not_after_ms = (uint64_t)((int64_t)porch_clock_ms() + to_day * (int64_t)BED_DAY_MS);
    bed_ok(porch_key_generate_p256(&ret->key, &why), &why);
    bed_ok(porch_key_public(ret->key, &pub, &why), &why);
    porch_buf b = PORCH_BUF_OF(ret->chain.text);
    bed_ok(porch_ca_issue(&issuer, &pub, &request, &b, &why), &why);
    memcpy(b.at + b.len, ca->issuing.text, ca->issuing.len);
    ret->chain.len = b.len + ca->issuing.len;
}

static inline porch_tls_server *bed_server(const bed_ca *ca, const bed_identity *server,
                                           porch_tls_client_mode mode, const char *alpn) {
    porch_why why = {""};
    porch_tls_server *ret = NULL;
    porch_tls_server_config config;
    memset(&config, 0, sizeof config);
    config.chain_pem = bed_bytes(&server->chain);
    config.key = server->key;
    config.client_mode = mode;
    if (mode != PORCH_TLS_CLIENT_NONE) config.client_ca_pem = bed_bytes(&ca->root);
    config.alpn[0] = alpn;
    config.ticket_lifetime_s = 3600;
    config.session_context = PORCH_LIT("testbed");
    bed_ok(porch_tls_server_new(&config, &ret, &why), &why);
    return ret;
}

/* ---- a client that waits ---- */

typedef struct {
    int fd;
    porch_tls_client *tls;
    porch_tls_conn *conn;
    uint8_t in[1 << 20];
    size_t in_len;
    size_t taken; /* of `in`, by the packet read last: for users of views */
} bed_client;

static inline void bed_wait(const bed_client *c) {
    short events = porch_tls_wants_write(c->conn) ? POLLOUT : POLLIN;
    if (porch_socket_wait(c->fd, events, BED_WAIT_MS) != PORCH_OK)
        fail_msg("the hub did not answer in time");
}

/* What the clients of this test offer by ALPN; NULL: nothing. */
static const char *bed_alpn;

/* `id` NULL: no certificate is shown. The handshake's result. */
static inline porch_err bed_try_connect(bed_client *c, const bed_ca *ca, const bed_identity *id,
                                        uint16_t port) {
    porch_why why = {""};
    porch_tls_client_config config;
    memset(&config, 0, sizeof config);
    config.ca_pem = bed_bytes(&ca->root);
    config.name = "localhost";
    config.alpn[0] = bed_alpn;
    if (id != NULL) {
        config.chain_pem = bed_bytes(&id->chain);
        config.key = id->key;
    }
    c->in_len = 0;
    bed_ok(porch_socket_connect_tcp("127.0.0.1", port, BED_WAIT_MS, &c->fd, &why), &why);
    bed_ok(porch_tls_client_new(&config, &c->tls, &why), &why);
    bed_ok(porch_tls_connect(c->tls, c->fd, &c->conn), NULL);
    porch_err e;
    while ((e = porch_tls_handshake(c->conn, &why)) == PORCH_ERR_AGAIN)
        bed_wait(c);
    return e;
}

static inline bed_client *bed_connect(const bed_ca *ca, const bed_identity *id, uint16_t port) {
    bed_client *c = calloc(1, sizeof *c);
    assert_non_null(c);
    bed_ok(bed_try_connect(c, ca, id, port), NULL);
    return c;
}

static inline void bed_close(bed_client *c) {
    if (c == NULL) return;
    porch_tls_shutdown(c->conn);
    porch_tls_free(c->conn);
    porch_tls_client_unref(c->tls);
    close(c->fd);
    free(c);
}

/* False when the hub has closed. */
static inline bool bed_send(bed_client *c, porch_bytes b) {
    while (b.len > 0) {
        size_t n = 0;
        porch_err e = porch_tls_write(c->conn, b.at, b.len, &n);
        if (e == PORCH_ERR_AGAIN) {
            bed_wait(c);
        } else if (e != PORCH_OK) {
            return false;
        } else {
            b = (porch_bytes){b.at + n, b.len - n};
        }
    }
    return true;
}

/* Waits for more input; false at its end. */
static inline bool bed_more(bed_client *c) {
    for (;;) {
        size_t n = 0;
        assert_true(c->in_len < sizeof c->in);
        porch_err e = porch_tls_read(c->conn, c->in + c->in_len, sizeof c->in - c->in_len, &n);
        if (e == PORCH_OK) {
            c->in_len += n;
            return true;
        }
        if (e != PORCH_ERR_AGAIN) return false;
        bed_wait(c);
    }
}

static inline void bed_used(bed_client *c, size_t n) {
    memmove(c->in, c->in + n, c->in_len - n);
    c->in_len -= n;
}

/* ---- a listener with one MQTT door and whatever protocol the test brings ---- */

typedef struct {
    bed_ca ca;
    bed_identity server, device;
    porch_settings settings;
    porch_listener *listener;
    uint16_t port;
    int fd;
} bed_hub;

static inline porch_err bed_admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms,
                                  porch_principal *ret, porch_why *why) {
    (void)ctx;
    (void)now_ms;
    (void)why;
    memset(ret, 0, sizeof *ret);
    ret->kind = tls->x509.identity.kind;
    memcpy(ret->name, tls->x509.identity.name, sizeof ret->name);
    return PORCH_OK;
}

/* A listening socket on the loopback. */
static inline int bed_listen(uint16_t *port) {
    porch_why why = {""};
    int fd;
    bed_ok(porch_socket_listen_tcp("127.0.0.1", 0, 512, &fd, port, &why), &why);
    return fd;
}

/* The settings are the caller's to change before. */
static inline void bed_hub_start(bed_hub *h, const struct porch_conn_hooks *hooks, void *ctx) {
    porch_why why = {""};
    bed_ca_make(&h->ca, "test");
    bed_issue(&h->ca, PORCH_PROFILE_HUB_SERVER, NULL, -1, 90, &h->server);
    bed_issue(&h->ca, PORCH_PROFILE_DEVICE, "cam", -1, 90, &h->device);
    h->fd = bed_listen(&h->port);
    porch_tls_server *tls = bed_server(&h->ca, &h->server, PORCH_TLS_CLIENT_REQUIRE, NULL);
    porch_listener_config config;
    memset(&config, 0, sizeof config);
    config.settings = &h->settings;
    config.shards = 2;
    config.listen_fd[PORCH_LISTEN_MQTT] = h->fd;
    config.listen_fd[PORCH_LISTEN_DEVICE] = config.listen_fd[PORCH_LISTEN_PEOPLE] = -1;
    config.tls[PORCH_LISTEN_MQTT] = tls;
    config.admit = bed_admit;
    config.mqtt = hooks;
    config.mqtt_ctx = ctx;
    bed_ok(porch_listener_new(&config, &h->listener, &why), &why);
    bed_ok(porch_listener_start(h->listener, &why), &why);
    porch_tls_server_unref(tls);
}

static inline void bed_hub_stop(bed_hub *h) {
    porch_listener_stop(h->listener);
    porch_listener_free(h->listener);
    close(h->fd);
    porch_key_free(h->server.key);
    porch_key_free(h->device.key);
    bed_ca_free(&h->ca);
}

#endif
