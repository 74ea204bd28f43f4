/* The request that turns an HTTP/1.1 connection into a WebSocket (RFC 6455, 4.2) with the subprotocol
 * `mqtt` (MQTT 5.0, 6). One table of what it must have; extensions (permessage-deflate) are not offered,
 * and an offer of them is passed over. */
#include <string.h>

#include "base/text.h"
#include "cloud/listener/http_exchange.h"
#include "crypto/sha1.h"

#define KEY_SALT "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */

enum { KEY_TEXT = 24, KEY_BYTES = 16 };

/* The next element of a comma-separated list, without blanks; empty ones may come. False at the end. */
static bool next_element(porch_bytes *rest, porch_bytes *one) {
    if (rest->at == NULL) return false;
    const uint8_t *comma = rest->len == 0 ? NULL : memchr(rest->at, ',', rest->len);
    *one = (porch_bytes){rest->at, comma == NULL ? rest->len : (size_t)(comma - rest->at)};
    if (comma == NULL) {
        *rest = (porch_bytes){NULL, 0};
    } else {
        *rest = (porch_bytes){comma + 1, rest->len - one->len - 1};
    }
    while (one->len > 0 && (one->at[0] == ' ' || one->at[0] == '\t'))
        *one = (porch_bytes){one->at + 1, one->len - 1};
    while (one->len > 0 && (one->at[one->len - 1] == ' ' || one->at[one->len - 1] == '\t'))
        one->len--;
    return true;
}

/* Does any header of that name, read as a list, hold the word? */
static bool lists(const porch_http_exchange *x, const char *name, const char *word, bool exact) {
    for (size_t i = 0; i < x->request.headers.count; i++) {
        if (!porch_bytes_eq_nocase(x->headers[i].name, porch_bytes_of(name))) continue;
        porch_bytes rest = x->headers[i].value, one;
        while (next_element(&rest, &one))
            if (exact ? porch_bytes_eq_text(one, word) : porch_bytes_eq_nocase(one, porch_bytes_of(word)))
                return true;
    }
    return false;
}

static size_t count_of(const porch_http_exchange *x, const char *name) {
    size_t n = 0;
    for (size_t i = 0; i < x->request.headers.count; i++)
        n += porch_bytes_eq_nocase(x->headers[i].name, porch_bytes_of(name));
    return n;
}

static bool is_upgrade(const porch_http_exchange *x) {
    return lists(x, "Upgrade", "websocket", false) && lists(x, "Connection", "upgrade", false);
}

static bool has_version(const porch_http_exchange *x) {
    const char *version = porch_http_header(x, "Sec-WebSocket-Version");
    return count_of(x, "Sec-WebSocket-Version") == 1 && strcmp(version, "13") == 0;
}

static bool has_key(const porch_http_exchange *x) {
    uint8_t raw[KEY_BYTES + 2];
    porch_buf b = PORCH_BUF_OF(raw);
    const char *key = porch_http_header(x, "Sec-WebSocket-Key");
    return count_of(x, "Sec-WebSocket-Key") == 1 && strlen(key) == KEY_TEXT &&
           porch_base64_read(&b, porch_bytes_of(key), false) == PORCH_OK && b.len == KEY_BYTES;
}

static bool has_subprotocol(const porch_http_exchange *x) {
    return lists(x, "Sec-WebSocket-Protocol", "mqtt", true);
}

static bool is_http11(const porch_http_exchange *x) {
    return !x->http2 && x->request.minor == 1 && strcmp(x->method, "GET") == 0;
}

static bool has_certificate(const porch_http_exchange *x) {
    return x->for_person || x->peer.tls.has_certificate;
}

/* In this order: the first that does not hold is answered. */
static const struct {
    bool (*holds)(const porch_http_exchange *x);
    int status;
    const char *slug, *detail, *header, *value;
} demands[] = {
    {is_http11, 400, "websocket", "a WebSocket begins with GET over HTTP/1.1; offer http/1.1 by ALPN", NULL,
     NULL},
    {is_upgrade, 426, "websocket", "MQTT over WebSocket is served here; ask for an upgrade to websocket",
     "Upgrade", "websocket"},
    {has_version, 426, "websocket", "one Sec-WebSocket-Version is wanted: 13 (RFC 6455)",
     "Sec-WebSocket-Version", "13"},
    {has_key, 400, "websocket", "one Sec-WebSocket-Key of 16 bytes in base64 is wanted", NULL, NULL},
    {has_subprotocol, 400, "websocket", "the subprotocol `mqtt` is wanted in Sec-WebSocket-Protocol", NULL,
     NULL},
    {has_certificate, 403, "certificate",
     "MQTT is for devices and services; show the client certificate of one", NULL, NULL},
};

void porch_http_mqtt_person(porch_http_exchange *x, const porch_principal *who) {
    x->peer.principal = *who;
    x->for_person = true;
    porch_http_mqtt(x);
}

void porch_http_mqtt(porch_http_exchange *x) {
    for (size_t i = 0; i < sizeof demands / sizeof demands[0]; i++) {
        if (demands[i].holds(x)) continue;
        if (demands[i].header != NULL)
            (void)porch_http_reply_header(x, demands[i].header, demands[i].value);
        (void)porch_http_problem(x, demands[i].status, demands[i].slug, demands[i].detail);
        return;
    }
    if (x->shard->listener->config.mqtt == NULL) {
        (void)porch_http_problem(x, 404, "not-found", "no MQTT is served by this listener");
        return;
    }
    uint8_t joined[KEY_TEXT + sizeof KEY_SALT - 1], digest[PORCH_SHA1_BYTES];
    char accept[32];
    memcpy(joined, porch_http_header(x, "Sec-WebSocket-Key"), KEY_TEXT);
    memcpy(joined + KEY_TEXT, KEY_SALT, sizeof KEY_SALT - 1);
    porch_sha1((porch_bytes){joined, sizeof joined}, digest);
    porch_buf text = {(uint8_t *)accept, 0, sizeof accept - 1};
    (void)porch_base64_write(&text, (porch_bytes){digest, sizeof digest}, false);
    accept[text.len] = '\0';
    if (porch_http_reply_header(x, "Upgrade", "websocket") != PORCH_OK ||
        porch_http_reply_header(x, "Connection", "Upgrade") != PORCH_OK ||
        porch_http_reply_header(x, "Sec-WebSocket-Accept", accept) != PORCH_OK ||
        porch_http_reply_header(x, "Sec-WebSocket-Protocol", "mqtt") != PORCH_OK ||
        porch_exchange_upgrade(x) != PORCH_OK)
        (void)porch_http_problem(x, 500, "websocket", "the upgrade failed; please report it");
}
