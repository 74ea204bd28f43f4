#include "device/exchange.h"

#include "base/cursor.h"
#include "base/text.h"
#include "wire/http1_request.h"
#include "wire/http1_response.h"

enum { HEADERS_MOST = 32, WAIT_MOST_S = 86400 };

static void fail(porch_exchange *x, const char *what) {
    x->phase = PORCH_EXCHANGE_FAILED;
    x->what = what;
}

static porch_err write_request(porch_buf *b, const porch_exchange_request *r) {
    PORCH_TRY(porch_http1_request_write(b, r->method, porch_bytes_of(r->path), porch_bytes_of(r->host)));
    if (r->accept != NULL) PORCH_TRY(porch_http1_header_write_text(b, "Accept", r->accept));
    for (size_t i = 0; i < PORCH_EXCHANGE_MORE; i++)
        if (r->more[i].name != NULL)
            PORCH_TRY(porch_http1_header_write_text(b, r->more[i].name, r->more[i].value));
    if (r->type != NULL) {
        PORCH_TRY(porch_http1_header_write_text(b, "Content-Type", r->type));
        PORCH_TRY(porch_http1_header_write_number(b, "Content-Length", r->body.len));
    }
    PORCH_TRY(porch_http1_head_end(b));
    return r->type != NULL ? porch_write_bytes(b, r->body) : PORCH_OK;
}

porch_err porch_exchange_begin(porch_exchange *x, const porch_exchange_request *request, porch_buf in,
                               porch_buf out, uint64_t give_up_ms) {
    porch_exchange made = {.phase = PORCH_EXCHANGE_HEAD,
                           .in = {in.at, 0, in.cap},
                           .out = {out.at, 0, out.cap},
                           .give_up_ms = give_up_ms,
                           .what = ""};
    for (size_t i = 0; i < PORCH_EXCHANGE_WANTED; i++)
        made.wanted[i] = request->wanted[i];
    PORCH_TRY(write_request(&made.out, request));
    *x = made;
    return PORCH_OK;
}

porch_bytes porch_exchange_output(const porch_exchange *x) {
    return (porch_bytes){x->out.at + x->out_read, x->out.len - x->out_read};
}

void porch_exchange_sent(porch_exchange *x, size_t n) {
    size_t waits = x->out.len - x->out_read;
    x->out_read += n < waits ? n : waits;
}

porch_bytes porch_exchange_body(const porch_exchange *x) {
    return (porch_bytes){x->in.at, x->body_at};
}

/* ---- the answer ---- */

static void drop_front(porch_exchange *x, size_t n) {
    for (size_t i = n; i < x->in.len; i++)
        x->in.at[i - n] = x->in.at[i];
    x->in.len -= n;
}

static void keep_wanted(porch_exchange *x, const porch_http1_headers *headers) {
    for (size_t i = 0; i < PORCH_EXCHANGE_WANTED; i++) {
        const porch_http1_header *h =
            x->wanted[i] != NULL ? porch_http1_header_find(headers, x->wanted[i]) : NULL;
        if (h == NULL || !porch_bytes_to_text(h->value, x->header[i], sizeof x->header[i]))
            x->header[i][0] = '\0';
    }
}

static void begin_body(porch_exchange *x, const porch_http1_response *r) {
    const porch_http1_header *h = porch_http1_header_find(&r->headers, "Retry-After");
    uint64_t seconds = 0;
    x->wait_ms =
        h != NULL && porch_decimal_read(h->value, WAIT_MOST_S, &seconds) == PORCH_OK ? seconds * 1000 : 0;
    keep_wanted(x, &r->headers);
    x->status = r->status;
    x->closes = !r->keep_alive || r->body == PORCH_HTTP1_BODY_CLOSE;
    x->kind = r->body;
    x->left = r->body == PORCH_HTTP1_BODY_LENGTH ? r->body_bytes : 0;
    x->chunk = (porch_http1_chunk){0};
    x->body_at = 0;
    x->phase = PORCH_EXCHANGE_BODY;
}

/* True when a head was taken off; one of a 1xx answer leads to the next head. */
static bool take_head(porch_exchange *x) {
    const porch_http1_limits limits = {.head_bytes = x->in.cap, .target_bytes = 1, .headers = HEADERS_MOST};
    porch_http1_header room[HEADERS_MOST];
    porch_http1_fault fault = {0, "an answer that is no HTTP"};
    porch_http1_response r;
    size_t head_bytes = 0;
    porch_err e = porch_http1_head_find(porch_buf_bytes(&x->in), &limits, &x->scanned, &head_bytes, &fault);
    if (e == PORCH_ERR_TRUNCATED && x->in.len < x->in.cap) return false;
    if (e == PORCH_OK)
        e = porch_http1_response_read((porch_bytes){x->in.at, head_bytes}, &limits, false,
                                      (porch_http1_headers){room, 0, HEADERS_MOST}, &fault, &r);
    if (e != PORCH_OK) {
        fail(x, fault.what);
        return false;
    }
    if (r.status >= 200) begin_body(x, &r);
    drop_front(x, head_bytes);
    x->scanned = 0;
    return true;
}

static void end_body(porch_exchange *x) {
    if (x->in.len > x->body_at)
        fail(x, "the hub sent more than its answer");
    else
        x->phase = PORCH_EXCHANGE_DONE;
}

/* Joins the data of chunks at the front of the block, where the body gathers. */
static void take_chunks(porch_exchange *x) {
    while (!porch_http1_chunk_done(&x->chunk) && x->in.len > x->body_at) {
        porch_bytes data = {0};
        size_t used = 0;
        const porch_bytes rest = {x->in.at + x->body_at, x->in.len - x->body_at};
        if (porch_http1_chunk_read(&x->chunk, rest, &data, &used) != PORCH_OK) {
            fail(x, "the answer's chunks are broken");
            return;
        }
        size_t from = data.len > 0 ? (size_t)(data.at - x->in.at) : 0;
        for (size_t i = 0; i < data.len; i++)
            x->in.at[x->body_at + i] = x->in.at[from + i];
        size_t gap = used - data.len;
        for (size_t i = x->body_at + used; i < x->in.len; i++)
            x->in.at[i - gap] = x->in.at[i];
        x->in.len -= gap;
        x->body_at += data.len;
        if (used == 0) return;
    }
    if (porch_http1_chunk_done(&x->chunk)) end_body(x);
}

static void take_body(porch_exchange *x) {
    switch (x->kind) {
    case PORCH_HTTP1_BODY_NONE:
        end_body(x);
        return;
    case PORCH_HTTP1_BODY_LENGTH: {
        size_t have = x->in.len - x->body_at;
        size_t take = have < x->left ? have : (size_t)x->left;
        x->body_at += take;
        x->left -= take;
        if (x->left == 0) end_body(x);
        return;
    }
    case PORCH_HTTP1_BODY_CHUNKED:
        take_chunks(x);
        return;
    case PORCH_HTTP1_BODY_CLOSE:
        x->body_at = x->in.len;
        return;
    }
}

void porch_exchange_take(porch_exchange *x, porch_bytes from_peer) {
    if (x->phase == PORCH_EXCHANGE_DONE && from_peer.len > 0) fail(x, "the hub sent more than its answer");
    if (x->phase != PORCH_EXCHANGE_HEAD && x->phase != PORCH_EXCHANGE_BODY) return;
    if (from_peer.len > x->in.cap - x->in.len) {
        fail(x, "the hub's answer is longer than expected");
        return;
    }
    for (size_t i = 0; i < from_peer.len; i++)
        x->in.at[x->in.len + i] = from_peer.at[i];
    x->in.len += from_peer.len;
    while (x->phase == PORCH_EXCHANGE_HEAD && x->in.len > 0 && take_head(x)) {
    }
    if (x->phase == PORCH_EXCHANGE_BODY) take_body(x);
}

void porch_exchange_closed(porch_exchange *x) {
    bool whole = x->phase == PORCH_EXCHANGE_BODY && x->kind == PORCH_HTTP1_BODY_CLOSE;
    if (whole)
        x->phase = PORCH_EXCHANGE_DONE;
    else if (x->phase != PORCH_EXCHANGE_DONE)
        fail(x, "the connection ended before the answer did");
}

void porch_exchange_tick(porch_exchange *x, uint64_t now_ms) {
    bool waits = x->phase == PORCH_EXCHANGE_HEAD || x->phase == PORCH_EXCHANGE_BODY;
    if (waits && now_ms >= x->give_up_ms) fail(x, "the hub did not answer in time");
}
