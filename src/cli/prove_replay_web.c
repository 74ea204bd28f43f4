#include "cli/prove_replay_web.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/random.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"
#include "wire/http1_response.h"

enum {
    PEM_MOST = 65536,
    HEADERS_MOST = 32,
    KEY_BYTES = 16,
    KEY_TEXT = 25,
    ANSWER_BYTES = 65536, /* the offer of a second factor has a picture in it */
    REQUEST_BYTES = 4096,
    OK_FIRST = 200,
    OK_LAST = 299,
    SWITCHING = 101,
};

static const char host[] = "localhost"; /* what the hub's certificate names; it listens on 127.0.0.1 */

/* ---- the browser ------------------------------------------------------------------------------------ */

porch_err porch_replay_web_open(const char *hub_dir, uint16_t port, porch_replay_web *ret, porch_why *why) {
    char path[PEM_MOST / 16];
    uint8_t *pem = NULL;
    porch_tls_client_config config = {.name = host, .alpn = {"http/1.1"}};
    porch_replay_web w = {.port = port};
    PORCH_TRY(porch_path_join(hub_dir, "tls/web-ca.pem", path, sizeof path));
    PORCH_TRY(porch_file_read(path, PEM_MOST, &pem, &config.ca_pem.len, why));
    config.ca_pem.at = pem;
    porch_err e = porch_tls_client_new(&config, &w.tls, why);
    free(pem);
    if (e == PORCH_OK) *ret = w;
    return e;
}

void porch_replay_web_close(porch_replay_web *w) {
    porch_tls_client_unref(w->tls);
    w->tls = NULL;
    porch_wipe(w->cookie, sizeof w->cookie);
}

bool porch_replay_cookie(porch_bytes value, char out[PORCH_REPLAY_COOKIE_BYTES]) {
    const uint8_t *end = value.len == 0 ? NULL : memchr(value.at, ';', value.len);
    if (end != NULL) value.len = (size_t)(end - value.at);
    return value.len > 0 && porch_bytes_to_text(value, out, PORCH_REPLAY_COOKIE_BYTES);
}

/* ---- a line ----------------------------------------------------------------------------------------- */

void porch_replay_line_close(porch_replay_line *l) {
    if (l->tls != NULL) porch_tls_shutdown(l->tls);
    porch_tls_free(l->tls);
    if (l->fd >= 0) close(l->fd);
    *l = (porch_replay_line){.fd = -1};
}

porch_err porch_replay_line_wait(const porch_replay_line *l, uint64_t deadline_ms) {
    uint64_t now_ms = porch_clock_mono_ms();
    if (now_ms >= deadline_ms) return PORCH_ERR_TIMEOUT;
    return porch_socket_wait(l->fd, porch_tls_wants_write(l->tls) ? POLLOUT : POLLIN,
                             (int)(deadline_ms - now_ms));
}

static porch_err shake(const porch_replay_line *l, uint64_t deadline_ms, porch_why *why) {
    porch_err e;
    while ((e = porch_tls_handshake(l->tls, why)) == PORCH_ERR_AGAIN)
        PORCH_TRY(porch_replay_line_wait(l, deadline_ms));
    return e;
}

static porch_err dial(const porch_replay_web *w, uint64_t deadline_ms, porch_replay_line *l,
                      porch_why *why) {
    *l = (porch_replay_line){.fd = -1};
    porch_err e = porch_socket_connect_tcp("127.0.0.1", w->port, PORCH_REPLAY_ANSWER_MS, &l->fd, why);
    if (e == PORCH_OK) e = porch_tls_connect(w->tls, l->fd, &l->tls);
    if (e == PORCH_OK) e = shake(l, deadline_ms, why);
    if (e != PORCH_OK) porch_replay_line_close(l);
    return e;
}

static porch_err send_all(const porch_replay_line *l, porch_bytes out, uint64_t deadline_ms) {
    while (out.len > 0) {
        size_t taken = 0;
        porch_err e = porch_tls_write(l->tls, out.at, out.len, &taken);
        if (e == PORCH_ERR_AGAIN) e = porch_replay_line_wait(l, deadline_ms);
        if (e != PORCH_OK) return e;
        out = (porch_bytes){out.at + taken, out.len - taken};
    }
    return PORCH_OK;
}

/* Some bytes more behind what `in` has. */
static porch_err receive(const porch_replay_line *l, porch_buf *in, uint64_t deadline_ms) {
    size_t got = 0;
    if (in->len == in->cap) return PORCH_ERR_LIMIT;
    for (;;) {
        porch_err e = porch_tls_read(l->tls, in->at + in->len, in->cap - in->len, &got);
        if (e == PORCH_OK) in->len += got;
        if (e != PORCH_ERR_AGAIN) return e;
        PORCH_TRY(porch_replay_line_wait(l, deadline_ms));
    }
}

/* ---- an exchange ------------------------------------------------------------------------------------ */

typedef struct {
    porch_buf in;
    porch_http1_header headers[HEADERS_MOST];
    porch_http1_response response;
    porch_bytes body; /* also what came behind the head of an upgrade */
} answer;

static porch_err read_head(const porch_replay_line *l, uint64_t deadline_ms, answer *a) {
    static const porch_http1_limits limits = {
        .head_bytes = 16384, .target_bytes = 1, .headers = HEADERS_MOST};
    porch_http1_fault fault = {0, ""};
    size_t scanned = 0, head = 0;
    porch_err e;
    while ((e = porch_http1_head_find(porch_buf_bytes(&a->in), &limits, &scanned, &head, &fault)) ==
           PORCH_ERR_TRUNCATED)
        PORCH_TRY(receive(l, &a->in, deadline_ms));
    if (e != PORCH_OK) return e;
    porch_http1_headers room = {a->headers, 0, HEADERS_MOST};
    a->body = (porch_bytes){a->in.at + head, 0};
    return porch_http1_response_read((porch_bytes){a->in.at, head}, &limits, false, room, &fault,
                                     &a->response);
}

static porch_err read_body(const porch_replay_line *l, uint64_t deadline_ms, answer *a) {
    size_t head = (size_t)(a->body.at - a->in.at);
    if (a->response.status == SWITCHING || a->response.body == PORCH_HTTP1_BODY_NONE) {
        a->body.len = a->in.len - head;
        return PORCH_OK;
    }
    if (a->response.body != PORCH_HTTP1_BODY_LENGTH || a->response.body_bytes > a->in.cap - head)
        return PORCH_ERR_LIMIT;
    while (a->in.len - head < a->response.body_bytes)
        PORCH_TRY(receive(l, &a->in, deadline_ms));
    a->body.len = (size_t)a->response.body_bytes;
    return PORCH_OK;
}

/* One request and the answer to it, on a line that is new. */
static porch_err exchange(const porch_replay_web *w, porch_bytes request, porch_replay_line *l, answer *a,
                          porch_why *why) {
    uint64_t deadline_ms = porch_clock_mono_ms() + PORCH_REPLAY_ANSWER_MS;
    porch_why inner = {""};
    porch_err e = dial(w, deadline_ms, l, &inner);
    if (e == PORCH_OK) e = send_all(l, request, deadline_ms);
    if (e == PORCH_OK) e = read_head(l, deadline_ms, a);
    if (e == PORCH_OK) e = read_body(l, deadline_ms, a);
    if (e == PORCH_OK) return PORCH_OK;
    porch_replay_line_close(l);
    return porch_fail(why, e, "the scratch hub's people's port: %.180s", porch_why_text(&inner, e));
}

static void put_header(porch_buf *b, const char *name, const char *value) {
    (void)porch_write_text(b, name);
    (void)porch_write_text(b, ": ");
    (void)porch_write_text(b, value);
    (void)porch_write_text(b, "\r\n");
}

/* What every request of the hub's own page has. */
static void put_head(porch_buf *b, const porch_replay_web *w, const char *method, const char *path) {
    char place[64], origin[80];
    (void)snprintf(place, sizeof place, "%s:%u", host, w->port);
    (void)snprintf(origin, sizeof origin, "https://%s", place);
    (void)porch_write_text(b, method);
    (void)porch_write_text(b, " ");
    (void)porch_write_text(b, path);
    (void)porch_write_text(b, " HTTP/1.1\r\n");
    put_header(b, "Host", place);
    put_header(b, "Origin", origin);
    if (w->cookie[0] != '\0') put_header(b, "Cookie", w->cookie);
}

static porch_err refused(const answer *a, const char *path, porch_why *why) {
    json_t *problem = json_loadb((const char *)a->body.at, a->body.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    porch_err e = porch_fail(why, PORCH_ERR_DENIED, "the scratch hub answered %u to %.60s: %.150s",
                             a->response.status, path, detail == NULL ? "no reason" : detail);
    json_decref(problem);
    return e;
}

/* ---- post ------------------------------------------------------------------------------------------- */

static porch_err put_post(porch_buf *b, const porch_replay_web *w, const char *path, const json_t *body,
                          porch_why *why) {
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT), length[24];
    if (text == NULL) return porch_fail(why, PORCH_ERR_MALFORMED, "a name is not UTF-8");
    size_t len = strlen(text);
    (void)snprintf(length, sizeof length, "%zu", len);
    put_head(b, w, "POST", path);
    put_header(b, "Content-Type", "application/json");
    put_header(b, "Content-Length", length);
    (void)porch_write_text(b, "\r\n");
    porch_err e = porch_write_text(b, text);
    porch_wipe(text, len);
    free(text);
    return e == PORCH_OK ? e : porch_fail(why, e, "the request to the scratch hub is too long");
}

static porch_err take_answer(porch_replay_web *w, const answer *a, const char *path, json_t **ret,
                             porch_why *why) {
    const porch_http1_header *set = porch_http1_header_find(&a->response.headers, "Set-Cookie");
    if (a->response.status < OK_FIRST || a->response.status > OK_LAST) return refused(a, path, why);
    *ret = json_loadb((const char *)a->body.at, a->body.len, 0, NULL);
    if (*ret == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the scratch hub's answer to %.60s is no JSON", path);
    if (set != NULL) (void)porch_replay_cookie(set->value, w->cookie);
    return PORCH_OK;
}

porch_err porch_replay_web_post(porch_replay_web *w, const char *path, json_t *body, json_t **ret,
                                porch_why *why) {
    uint8_t block[REQUEST_BYTES];
    porch_buf request = PORCH_BUF_OF(block);
    answer a = {.in = {malloc(ANSWER_BYTES), 0, ANSWER_BYTES}};
    porch_replay_line l = {.fd = -1};
    porch_err e = a.in.at == NULL ? porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the replay")
                                  : put_post(&request, w, path, body, why);
    if (e == PORCH_OK) e = exchange(w, porch_buf_bytes(&request), &l, &a, why);
    if (e == PORCH_OK) e = take_answer(w, &a, path, ret, why);
    porch_replay_line_close(&l);
    json_decref(body);
    porch_wipe(block, sizeof block);
    if (a.in.at != NULL) porch_wipe(a.in.at, a.in.len);
    free(a.in.at);
    return e;
}

/* ---- upgrade ---------------------------------------------------------------------------------------- */

static void put_upgrade(porch_buf *b, const porch_replay_web *w, const char *path) {
    uint8_t raw[KEY_BYTES];
    char key[KEY_TEXT] = "";
    porch_buf text = {(uint8_t *)key, 0, sizeof key - 1};
    porch_random(raw, sizeof raw);
    (void)porch_base64_write(&text, (porch_bytes){raw, sizeof raw}, false);
    put_head(b, w, "GET", path);
    put_header(b, "Connection", "Upgrade");
    put_header(b, "Upgrade", "websocket");
    put_header(b, "Sec-WebSocket-Version", "13");
    put_header(b, "Sec-WebSocket-Protocol", "mqtt");
    put_header(b, "Sec-WebSocket-Key", key);
    (void)porch_write_text(b, "\r\n");
}

porch_err porch_replay_web_upgrade(porch_replay_web *w, const char *path, porch_replay_line *ret,
                                   porch_why *why) {
    uint8_t block[REQUEST_BYTES];
    porch_buf request = PORCH_BUF_OF(block);
    answer a = {.in = {malloc(ANSWER_BYTES), 0, ANSWER_BYTES}};
    porch_replay_line l = {.fd = -1};
    put_upgrade(&request, w, path);
    porch_err e = a.in.at == NULL ? porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the replay")
                                  : exchange(w, porch_buf_bytes(&request), &l, &a, why);
    if (e == PORCH_OK && a.response.status != SWITCHING) e = refused(&a, path, why);
    if (e == PORCH_OK && a.body.len > 0) /* nobody has said CONNECT yet */
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the scratch hub speaks before it was spoken to");
    if (e == PORCH_OK)
        *ret = l;
    else
        porch_replay_line_close(&l);
    porch_wipe(block, sizeof block);
    free(a.in.at);
    return e;
}
