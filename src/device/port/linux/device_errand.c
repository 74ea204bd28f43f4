/* Two errands on one connection to the hub's enrolment door:
 *
 *   connect ─► the hub's signed time, when its key is known ─► was its chain valid then? ─► set our clock
 *           ─► renewal over EST (RFC 7030, 4.2.2), when it is due, urgent or asked for
 *
 * The time is asked for once a run, daily, and when a connection fails in a way that a wrong clock
 * explains. Renewal is due at two thirds of the certificate's life; the request is signed by the key in its
 * store and bound to the connection (RFC 9266). A hub that cannot tell the time hinders no renewal as long
 * as its certificate is good by our own clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "device/port/linux/device_private.h"
#include "device/renewal.h"
#include "os/clock.h"
#include "wire/est.h"

#include <porchlight/certificate.h>

#define REENROLL "/.well-known/est/simplereenroll"

enum {
    ERRAND_FIRST_MS = 2000,
    ERRAND_MOST_MS = 3600000,
    BODY_BYTES = 6144,
    CHAIN_BYTES = 32768,
    OFF_MS = 300000,
    TURNS_MOST = 4
};

void porch_device_errand_init(porch_device *d) {
    errand_side *x = &d->errand;
    porch_link_init(&x->link, d->trust.errand_tls, &d->known);
    x->backoff = porch_backoff_of(ERRAND_FIRST_MS, ERRAND_MOST_MS);
}

void porch_device_errand_plan(porch_device *d) {
    d->errand.renew_at =
        porch_renewal_at(d->trust.not_before_ms, d->trust.not_after_ms, porch_device_random32());
}

porch_device_result porch_device_renew(porch_device *d, porch_device_why *why) {
    if (porch_device_is_service(d))
        return porch_device_say(why, PORCH_ERR_UNSUPPORTED,
                                "a service's certificate is renewed by its operator");
    (void)pthread_mutex_lock(&d->lock);
    d->renew_asked = true;
    (void)pthread_mutex_unlock(&d->lock);
    porch_device_wake(d);
    return PORCH_DEVICE_OK;
}

static bool is_asked(porch_device *d) {
    (void)pthread_mutex_lock(&d->lock);
    bool asked = d->renew_asked;
    (void)pthread_mutex_unlock(&d->lock);
    return asked;
}

static bool renewal_is_due(porch_device *d) {
    return d->errand.urgent || porch_device_clock_ms(d) >= d->errand.renew_at;
}

static bool is_due(porch_device *d) {
    return renewal_is_due(d) || d->errand.lost || porch_device_clock_wants(d);
}

/* ---- how an errand ends ---- */

static void rest(porch_device *d) {
    porch_link_close(&d->errand.link);
    d->errand.under_way = false;
    d->errand.urgent = d->errand.lost = false;
}

/* The wish for a new certificate was granted, or failed and was told. */
static void wish_is_over(porch_device *d) {
    (void)pthread_mutex_lock(&d->lock);
    d->renew_asked = false;
    (void)pthread_mutex_unlock(&d->lock);
}

static uint64_t pause_after(porch_device *d, uint64_t now_ms, int code, uint64_t wait_ms) {
    errand_side *x = &d->errand;
    uint64_t pause = porch_backoff_next(&x->backoff, porch_device_random32());
    /* A refusal is no matter of moments. */
    if (code >= 400 && code < 500 && pause < ERRAND_FIRST_MS) pause += ERRAND_FIRST_MS;
    if (wait_ms > pause) pause = wait_ms;
    x->next_ms = now_ms + pause;
    return pause;
}

static void failed(porch_device *d, uint64_t now_ms, const char *text, int code, uint64_t wait_ms) {
    rest(d);
    wish_is_over(d);
    uint64_t pause = pause_after(d, now_ms, code, wait_ms);
    (void)pthread_mutex_lock(&d->lock);
    porch_device_tell(
        d, &(porch_device_status){
               .news = PORCH_DEVICE_RENEWAL_DELAYED, .text = text, .next_ms = pause, .code = code});
    (void)pthread_mutex_unlock(&d->lock);
}

/* The hub was not reached: news only for who waits for a certificate. That it is away is told by the MQTT
 * side. */
static void unreached(porch_device *d, uint64_t now_ms, const char *text) {
    if (renewal_is_due(d) || is_asked(d)) {
        failed(d, now_ms, text, 0, 0);
        return;
    }
    rest(d);
    (void)pause_after(d, now_ms, 0, 0);
}

/* What the hub says in its problem document: the text of "detail", as far as it is plain. */
void porch_device_problem_detail(porch_bytes body, char out[TEXT_BYTES]) {
    static const char name[] = "\"detail\":\"";
    const uint8_t *at = body.len > 0 ? memmem(body.at, body.len, name, sizeof name - 1) : NULL;
    size_t n = 0;
    if (at != NULL)
        for (at += sizeof name - 1; at < body.at + body.len && *at != '"' && n < TEXT_BYTES - 1; at++)
            if (*at >= 0x20 && *at < 0x7f && *at != '\\') out[n++] = (char)*at;
    out[n] = '\0';
}

/* ---- the request ---- */

/* The base64 between the lines of PEM is what EST wants as a body. */
static porch_err strip_pem(const porch_buf *pem, porch_buf *out) {
    const uint8_t *from = memchr(pem->at, '\n', pem->len);
    const uint8_t *to =
        from != NULL ? memmem(from, pem->len - (size_t)(from - pem->at), "-----END", 8) : NULL;
    if (to == NULL) return PORCH_ERR_INTERNAL;
    return porch_write_bytes(out, (porch_bytes){from + 1, (size_t)(to - from) - 1});
}

porch_err porch_device_write_csr(const porch_key *key, const porch_tls_conn *conn, porch_buf *out,
                                 porch_why *why) {
    uint8_t pem_block[BODY_BYTES];
    char binding[48] = "";
    porch_buf pem = PORCH_BUF_OF(pem_block), text = {(uint8_t *)binding, 0, sizeof binding - 1};
    porch_tls_peer_info hub;
    PORCH_TRY(porch_tls_peer(conn, &hub));
    if (hub.has_binding)
        PORCH_TRY(porch_base64_write(&text, (porch_bytes){hub.binding, sizeof hub.binding}, false));
    PORCH_TRY(porch_csr_make_bound(key, hub.has_binding ? binding : NULL, &pem, why));
    return strip_pem(&pem, out);
}

static porch_err begin_exchange(porch_device *d, const porch_exchange_request *request, uint64_t now_ms) {
    errand_side *x = &d->errand;
    return porch_exchange_begin(&x->exchange, request, PORCH_BUF_OF(x->in), PORCH_BUF_OF(x->out),
                                now_ms + ANSWER_MS);
}

static porch_err ask_for_certificate(porch_device *d, uint64_t now_ms, porch_why *why) {
    uint8_t body_block[BODY_BYTES];
    porch_buf body = PORCH_BUF_OF(body_block);
    d->errand.step = ERRAND_RENEWAL;
    PORCH_TRY(porch_device_write_csr(d->trust.key, d->errand.link.conn, &body, why));
    const porch_exchange_request request = {.method = "POST",
                                            .path = REENROLL,
                                            .host = d->conf.host,
                                            .type = "application/pkcs10",
                                            .body = porch_buf_bytes(&body)};
    return begin_exchange(d, &request, now_ms);
}

static porch_err ask_for_time(porch_device *d, uint64_t now_ms) {
    char path[sizeof PORCH_SIGNED_TIME_PATH + 80] = PORCH_SIGNED_TIME_PATH "?nonce=";
    porch_buf b = {(uint8_t *)path, sizeof PORCH_SIGNED_TIME_PATH + 6, sizeof path - 1};
    errand_side *x = &d->errand;
    x->step = ERRAND_TIME;
    porch_random(x->nonce, sizeof x->nonce);
    PORCH_TRY(porch_hex_write(&b, (porch_bytes){x->nonce, sizeof x->nonce}));
    path[b.len] = '\0';
    const porch_exchange_request request = {
        .method = "GET", .path = path, .host = d->conf.host, .accept = PORCH_SIGNED_TIME_TYPE};
    return begin_exchange(d, &request, now_ms);
}

/* ---- the answer ---- */

static porch_err take_chain(porch_device *d, porch_bytes body, uint64_t now_ms, porch_why *why) {
    porch_buf der = {malloc(PORCH_EST_BODY_BYTES), 0, PORCH_EST_BODY_BYTES};
    porch_buf pem = {malloc(CHAIN_BYTES), 0, CHAIN_BYTES};
    porch_err e = der.at != NULL && pem.at != NULL ? PORCH_OK : PORCH_ERR_NO_SPACE;
    if (e == PORCH_OK && porch_est_body_read(body, &der) != PORCH_OK)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the hub's answer is no base64");
    if (e == PORCH_OK) e = porch_x509_unbundle(porch_buf_bytes(&der), &pem, why);
    if (e == PORCH_OK) e = porch_device_trust_renewed(d, porch_buf_bytes(&pem), now_ms, why);
    free(der.at);
    free(pem.at);
    return e;
}

static void got_certificate(porch_device *d, uint64_t now_ms) {
    errand_side *x = &d->errand;
    porch_why why = {""};
    char text[TEXT_BYTES];
    if (x->exchange.status != 200) {
        porch_device_problem_detail(porch_exchange_body(&x->exchange), text);
        failed(d, now_ms, text[0] != '\0' ? text : "the hub refuses the renewal", x->exchange.status,
               x->exchange.wait_ms);
        return;
    }
    porch_link_close(&x->link); /* its client goes with the certificate */
    porch_err e = take_chain(d, porch_exchange_body(&x->exchange), now_ms, &why);
    if (e != PORCH_OK) {
        failed(d, now_ms, porch_why_text(&why, e), 0, 0);
        return;
    }
    rest(d);
    wish_is_over(d);
    porch_backoff_reset(&x->backoff);
}

/* Believed when our hub's signer says it, to our question, and when the hub's own chain was valid then: who
 * has a hub's stolen key, whose certificate has ended, can pass the question on, but not pass for the hub.
 * `moved`: the clock was wrong. */
static porch_err take_time(porch_device *d, porch_bytes answer, bool *moved, porch_why *why) {
    porch_signed_time t;
    PORCH_TRY(porch_clock_judge(&d->clock, answer, d->conf.time_key.at, d->conf.hub_id, d->errand.nonce, &t,
                                why));
    PORCH_TRY(porch_tls_chain_at(d->errand.link.conn, t.at_ms, why));
    uint64_t before_ms = porch_device_clock_ms(d);
    PORCH_TRY(porch_device_clock_set(d, t.at_ms, why));
    uint64_t after_ms = porch_device_clock_ms(d);
    uint64_t off_ms = after_ms > before_ms ? after_ms - before_ms : before_ms - after_ms;
    *moved = off_ms >= OFF_MS;
    if (!*moved) return PORCH_OK;
    char text[TEXT_BYTES], at[PORCH_CLOCK_TEXT_BYTES];
    porch_clock_rfc3339(after_ms, at);
    (void)snprintf(text, sizeof text, "the clock was wrong; by the hub it is %s", at);
    (void)pthread_mutex_lock(&d->lock);
    porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_CLOCK_SET, .text = text});
    (void)pthread_mutex_unlock(&d->lock);
    return PORCH_OK;
}

/* On with the renewal, or back: the connection has served. */
static void after_time(porch_device *d, bool moved, uint64_t now_ms) {
    errand_side *x = &d->errand;
    porch_why why = {""};
    bool lost = x->lost;
    if (!renewal_is_due(d) && !is_asked(d)) {
        rest(d);
        porch_backoff_reset(&x->backoff);
        /* It failed for the clock's sake. With a clock that was right it would fail again: its pause holds.
         */
        if (lost && moved) d->mqtt.next_ms = now_ms;
        return;
    }
    porch_err e = x->exchange.closes ? porch_fail(&why, PORCH_ERR_CLOSED, "the hub closed the connection")
                                     : ask_for_certificate(d, now_ms, &why);
    if (e != PORCH_OK) failed(d, now_ms, porch_why_text(&why, e), 0, 0);
}

static void got_time(porch_device *d, uint64_t now_ms) {
    errand_side *x = &d->errand;
    porch_why why = {""};
    /* An answer that ends with its connection: the chain by which it would be judged went with it. */
    if (x->link.state != PORCH_LINK_UP) {
        failed(d, now_ms, "the hub closed the connection with its answer", 0, 0);
        return;
    }
    bool moved = false;
    porch_err e = x->exchange.status == 200
                      ? take_time(d, porch_exchange_body(&x->exchange), &moved, &why)
                      : porch_fail(&why, PORCH_ERR_UNSUPPORTED,
                                   "the hub does not tell the time (HTTP status %u)", x->exchange.status);
    /* Its certificate must then be good by our own clock, as on any other connection. */
    porch_why unfit = {""};
    if (e != PORCH_OK &&
        (e == PORCH_ERR_IO || e == PORCH_ERR_FULL ||
         porch_tls_chain_at(x->link.conn, porch_device_proven_ms(d), &unfit) != PORCH_OK)) {
        failed(d, now_ms, porch_why_text(&why, e), x->exchange.status == 200 ? 0 : x->exchange.status,
               x->exchange.wait_ms);
        return;
    }
    if (e != PORCH_OK && !renewal_is_due(d) && !is_asked(d)) {
        failed(d, now_ms, porch_why_text(&why, e), 0, x->exchange.wait_ms);
        return;
    }
    after_time(d, moved, now_ms);
}

static void answered(porch_device *d, uint64_t now_ms) {
    if (d->errand.step == ERRAND_TIME)
        got_time(d, now_ms);
    else
        got_certificate(d, now_ms);
}

/* ---- one step ---- */

static void begin(porch_device *d, uint64_t now_ms) {
    errand_side *x = &d->errand;
    porch_why why = {""};
    porch_link_use(&x->link, d->trust.errand_tls);
    x->under_way = true;
    porch_err e = porch_link_open(&x->link, d->conf.host, d->conf.device_port, now_ms, PATIENCE_MS, &why);
    if (e != PORCH_OK) unreached(d, now_ms, porch_why_text(&why, e));
}

static void connect_side(porch_device *d, uint64_t now_ms) {
    porch_why why = {""};
    porch_err e = porch_link_advance(&d->errand.link, now_ms, &why);
    if (e == PORCH_OK)
        e = d->conf.time_key.there ? ask_for_time(d, now_ms) : ask_for_certificate(d, now_ms, &why);
    if (e != PORCH_OK && e != PORCH_ERR_AGAIN) unreached(d, now_ms, porch_why_text(&why, e));
}

static void talk(porch_device *d, uint64_t now_ms) {
    errand_side *x = &d->errand;
    porch_err e = PORCH_OK;
    porch_bytes out;
    while (e == PORCH_OK && (out = porch_exchange_output(&x->exchange)).len > 0) {
        size_t taken = 0;
        e = porch_link_write(&x->link, out, &taken, NULL);
        porch_exchange_sent(&x->exchange, taken);
    }
    if (e == PORCH_ERR_AGAIN) e = PORCH_OK;
    while (e == PORCH_OK &&
           (x->exchange.phase == PORCH_EXCHANGE_HEAD || x->exchange.phase == PORCH_EXCHANGE_BODY)) {
        size_t got = 0;
        e = porch_link_read(&x->link, d->piece, sizeof d->piece, &got, NULL);
        if (e == PORCH_OK) porch_exchange_take(&x->exchange, (porch_bytes){d->piece, got});
    }
    if (e != PORCH_OK && e != PORCH_ERR_AGAIN) porch_exchange_closed(&x->exchange);
    porch_exchange_tick(&x->exchange, now_ms);
    if (x->exchange.phase == PORCH_EXCHANGE_FAILED) unreached(d, now_ms, x->exchange.what);
    if (x->exchange.phase == PORCH_EXCHANGE_DONE) answered(d, now_ms);
}

void porch_device_errand_step(porch_device *d, uint64_t now_ms) {
    errand_side *x = &d->errand;
    if (porch_device_is_service(d)) return;
    if (!x->under_way) {
        bool asked = is_asked(d);
        if (!asked && (!is_due(d) || now_ms < x->next_ms)) return;
        begin(d, now_ms);
    }
    if (porch_link_connects(&x->link)) connect_side(d, now_ms);
    /* An answer may lead to the next request, which must leave before the socket is waited for. */
    for (int turn = 0; turn < TURNS_MOST && x->under_way && x->link.state == PORCH_LINK_UP; turn++) {
        talk(d, now_ms);
        if (!porch_device_errand_output_waits(d)) break;
    }
}

uint64_t porch_device_errand_deadline(porch_device *d, uint64_t now_ms) {
    const errand_side *x = &d->errand;
    if (porch_device_is_service(d)) return UINT64_MAX;
    if (x->under_way) {
        if (x->link.state == PORCH_LINK_UP)
            return porch_tls_pending(x->link.conn) ? 0 : x->exchange.give_up_ms;
        return x->link.give_up_ms;
    }
    if (is_due(d)) return x->next_ms;
    return now_ms + (x->renew_at - porch_device_clock_ms(d));
}

bool porch_device_errand_output_waits(const porch_device *d) {
    return d->errand.link.state == PORCH_LINK_UP && porch_exchange_output(&d->errand.exchange).len > 0;
}
