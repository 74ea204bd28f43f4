/* For the WebSocket tests of this room: a devices' door whose route /mqtt leads to whatever protocol the
 * test brings, and a client that speaks frames by hand. Nothing here is linked into a program. */
#ifndef PORCH_CLOUD_LISTENER_WS_TESTBED_H
#define PORCH_CLOUD_LISTENER_WS_TESTBED_H

#include <stdio.h>

#include "cloud/listener/conn.h"
#include "cloud/listener/testbed.h"
#include "cloud/listener/ws.h"
#include "os/log.h"

#define PORCH_TEST_REST(key, version, protocol)                                    \
    "Host: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Key: " key "\r\nSec-WebSocket-Version: " version "\r\n" protocol "\r\n"
#define PORCH_TEST_KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455, 1.3 */
#define PORCH_TEST_REQUEST \
    "GET /mqtt HTTP/1.1\r\n" PORCH_TEST_REST(PORCH_TEST_KEY, "13", "Sec-WebSocket-Protocol: mqtt\r\n")

typedef struct {
    bed_ca ca;
    bed_identity server, device, revoked;
    porch_settings settings;
    porch_listener *listener;
    uint16_t port;
    int fd;
} ws_hub;

static inline porch_err ws_admit(void *ctx, const porch_tls_peer_info *tls, uint64_t now_ms,
                                 porch_principal *ret, porch_why *why) {
    if (strcmp(tls->x509.identity.name, "gone") == 0)
        return porch_fail(why, PORCH_ERR_REVOKED, "it was revoked");
    return bed_admit(ctx, tls, now_ms, ret, why);
}

/* The settings are the caller's to change before. */
static inline void ws_hub_start(ws_hub *h, const struct porch_conn_hooks *hooks) {
    static const porch_http_route routes[] = {
        {"GET", "/mqtt", PORCH_ON_DEVICE, PORCH_HTTP_INLINE | PORCH_HTTP_ANY_VERDICT, 0, porch_http_mqtt,
         NULL, NULL, NULL},
    };
    porch_why why = {""};
    bed_ca_make(&h->ca, "test");
    bed_issue(&h->ca, PORCH_PROFILE_HUB_SERVER, NULL, -1, 90, &h->server);
    bed_issue(&h->ca, PORCH_PROFILE_DEVICE, "cam", -1, 90, &h->device);
    bed_issue(&h->ca, PORCH_PROFILE_DEVICE, "gone", -1, 90, &h->revoked);
    h->fd = bed_listen(&h->port);
    porch_tls_server *tls = bed_server(&h->ca, &h->server, PORCH_TLS_CLIENT_REQUEST, NULL);
    porch_listener_config config;
    memset(&config, 0, sizeof config);
    config.settings = &h->settings;
    config.shards = 2;
    config.listen_fd[PORCH_LISTEN_DEVICE] = h->fd;
    config.listen_fd[PORCH_LISTEN_MQTT] = config.listen_fd[PORCH_LISTEN_PEOPLE] = -1;
    config.tls[PORCH_LISTEN_DEVICE] = tls;
    config.routes = routes;
    config.route_count = sizeof routes / sizeof routes[0];
    config.admit = ws_admit;
    config.mqtt = hooks;
    bed_ok(porch_listener_new(&config, &h->listener, &why), &why);
    bed_ok(porch_listener_start(h->listener, &why), &why);
    porch_tls_server_unref(tls);
}

static inline void ws_hub_stop(ws_hub *h) {
    porch_listener_stop(h->listener);
    porch_listener_free(h->listener);
    close(h->fd);
    porch_key_free(h->server.key);
    porch_key_free(h->device.key);
    porch_key_free(h->revoked.key);
    bed_ca_free(&h->ca);
}

/* Sends a request and waits for the answer's head, which is taken off the input; its status. */
static inline int ws_ask(bed_client *c, const char *request, char *head, size_t cap) {
    assert_true(bed_send(c, porch_bytes_of(request)));
    const uint8_t *end;
    while ((end = memmem(c->in, c->in_len, "\r\n\r\n", 4)) == NULL)
        assert_true(bed_more(c));
    size_t len = (size_t)(end - c->in) + 4;
    assert_true(len < cap);
    memcpy(head, c->in, len);
    head[len] = '\0';
    bed_used(c, len);
    return (int)strtol(head + 9, NULL, 10);
}

static inline bed_client *ws_open(ws_hub *h) {
    char head[2048];
    bed_client *c = bed_connect(&h->ca, &h->device, h->port);
    assert_int_equal(ws_ask(c, PORCH_TEST_REQUEST, head, sizeof head), 101);
    return c;
}

/* One masked frame; `first` is FIN and opcode. False when the hub has closed. */
static inline bool ws_send(bed_client *c, uint8_t first, porch_bytes payload) {
    static uint8_t out[70000];
    size_t n = 0;
    assert_true(payload.len < 65536);
    out[n++] = first;
    out[n++] = (uint8_t)(0x80 | (payload.len < 126 ? payload.len : 126));
    if (payload.len >= 126) {
        out[n++] = (uint8_t)(payload.len >> 8);
        out[n++] = (uint8_t)payload.len;
    }
    const uint8_t mask[4] = {7, 77, 177, 217};
    memcpy(out + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < payload.len; i++)
        out[n++] = payload.at[i] ^ mask[i % 4];
    return bed_send(c, (porch_bytes){out, n});
}

typedef struct {
    uint8_t first; /* 0: the connection has ended */
    size_t len;
    uint8_t at[65536];
} ws_frame;

/* The hub's next frame. */
static inline void ws_next(bed_client *c, ws_frame *f) {
    f->first = 0;
    while (c->in_len < 2)
        if (!bed_more(c)) return;
    size_t head = 2, len = c->in[1];
    assert_true((c->in[1] & 0x80) == 0); /* a server masks nothing */
    assert_true(len < 127);
    if (len == 126) {
        while (c->in_len < 4)
            assert_true(bed_more(c));
        head = 4;
        len = (size_t)c->in[2] << 8 | c->in[3];
        assert_true(len >= 126);
    }
    while (c->in_len < head + len)
        assert_true(bed_more(c));
    f->first = c->in[0];
    f->len = len;
    memcpy(f->at, c->in + head, len);
    bed_used(c, head + len);
}

/* The next frame is our goodbye with that code, and nothing follows. */
static inline void ws_expect_close(bed_client *c, unsigned code) {
    static ws_frame f;
    ws_next(c, &f);
    assert_int_equal(f.first, 0x88);
    assert_true(f.len >= 2);
    assert_int_equal((unsigned)f.at[0] << 8 | f.at[1], code);
    assert_false(bed_more(c));
}

#endif
