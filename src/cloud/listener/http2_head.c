/* Heads of HTTP/2 requests and answers, by way of their HTTP/1.1 form. */
#include <stdlib.h>
#include <string.h>

#include "cloud/listener/http2.h"

enum { FIELD_OVERHEAD = 32, LIST_BOMB = 4, ANSWER_FIELDS_MOST = 96 };

static porch_bytes view(nghttp2_rcbuf *b) {
    if (b == NULL) return (porch_bytes){NULL, 0};
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
    return (porch_bytes){v.base, v.len};
}

static void refuse(porch_http2_stream *st, int status, const char *what) {
    if (st->refuse_status != 0) return;
    st->refuse_status = status;
    st->refuse_what = what;
}

/* A request target or a host holds neither blanks nor control bytes: nobody injects a line. */
static bool is_one_word(porch_bytes b) {
    for (size_t i = 0; i < b.len; i++)
        if (b.at[i] <= 0x20 || b.at[i] == 0x7f) return false;
    return b.len > 0;
}

static void append(porch_http2_stream *st, porch_bytes b) {
    if (b.len > 0) memcpy(st->fields + st->fields_len, b.at, b.len);
    st->fields_len += b.len;
}

static bool make_room(porch_http2_stream *st, size_t more) {
    if (more <= st->fields_cap - st->fields_len) return true;
    size_t cap = (st->fields_len + more) * 2;
    if (cap < 512) cap = 512;
    uint8_t *wider = realloc(st->fields, cap);
    if (wider == NULL) return false;
    st->fields = wider;
    st->fields_cap = cap;
    return true;
}

static void add_pseudo(porch_http2_stream *st, porch_bytes name, nghttp2_rcbuf *value) {
    nghttp2_rcbuf **into = NULL;
    if (porch_bytes_eq_text(name, ":method")) into = &st->method;
    if (porch_bytes_eq_text(name, ":path")) into = &st->path;
    if (porch_bytes_eq_text(name, ":authority")) into = &st->authority;
    if (porch_bytes_eq_text(name, ":scheme")) {
        if (!porch_bytes_eq_text(view(value), "https"))
            refuse(st, 400, "only the scheme https is served here");
        return;
    }
    if (into == NULL || *into != NULL) {
        refuse(st, 400, "an unknown pseudo header");
        return;
    }
    nghttp2_rcbuf_incref(value);
    *into = value;
}

bool porch_http2_head_add(porch_http2_stream *st, const porch_settings *s, nghttp2_rcbuf *name,
                          nghttp2_rcbuf *value) {
    porch_bytes n = view(name), v = view(value);
    st->list_bytes += n.len + v.len + FIELD_OVERHEAD;
    if (st->list_bytes > s->http_head_bytes) {
        refuse(st, 431, "the request's headers are too large (http.head_bytes)");
        return st->list_bytes <= (uint64_t)s->http_head_bytes * LIST_BOMB;
    }
    if (st->refuse_status != 0) return true;
    if (n.len > 0 && n.at[0] == ':') {
        add_pseudo(st, n, value);
    } else if (porch_bytes_eq_text(n, "host")) {
        if (st->authority == NULL) {
            nghttp2_rcbuf_incref(value);
            st->authority = value;
        } else if (!porch_bytes_eq(view(st->authority), v)) {
            refuse(st, 400, "two different hosts");
        }
    } else if (!porch_http1_is_token(n) || !porch_http1_is_value(v)) {
        refuse(st, 400, "a header that is none");
    } else if (!make_room(st, n.len + v.len + 4)) {
        refuse(st, 503, "no memory");
    } else {
        append(st, n);
        append(st, PORCH_LIT(": "));
        append(st, v);
        append(st, PORCH_LIT("\r\n"));
    }
    return true;
}

porch_err porch_http2_head_parse(porch_http2_stream *st, const porch_settings *s,
                                 porch_http1_fault *fault) {
    porch_http_exchange *x = st->x;
    porch_http1_limits limits = {s->http_head_bytes, s->http_target_bytes, s->http_headers};
    porch_bytes method = view(st->method), path = view(st->path), host = view(st->authority);
    if (st->refuse_status == 0 && !(is_one_word(method) && is_one_word(path) && is_one_word(host)))
        refuse(st, 400, "method, path or host is missing or malformed");
    if (st->refuse_status != 0)
        return porch_http1_refuse(fault, (uint16_t)st->refuse_status, st->refuse_what);
    size_t cap = method.len + path.len + host.len + st->fields_len + 64;
    uint8_t *text = malloc(cap);
    if (text == NULL) return porch_http1_refuse(fault, 503, "no memory");
    porch_buf b = {text, 0, cap};
    const porch_bytes pieces[] = {method,
                                  PORCH_LIT(" "),
                                  path,
                                  PORCH_LIT(" HTTP/1.1\r\nHost: "),
                                  host,
                                  PORCH_LIT("\r\n"),
                                  {st->fields, st->fields_len},
                                  PORCH_LIT("\r\n")};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        (void)porch_write_bytes(&b, pieces[i]);
    porch_err e = porch_exchange_parse(x, porch_buf_bytes(&b), &limits, fault);
    free(text);
    if (e != PORCH_OK) return e;
    if (st->ended && x->request.body == PORCH_HTTP1_BODY_LENGTH && x->request.body_bytes > 0)
        return porch_http1_refuse(fault, 400, "a body was announced and none came");
    if (!st->ended && x->request.body != PORCH_HTTP1_BODY_LENGTH)
        x->request.body = PORCH_HTTP1_BODY_CHUNKED; /* a body whose length is not known yet */
    x->body_done = st->ended;
    return PORCH_OK;
}

void porch_http2_head_forget(porch_http2_stream *st) {
    nghttp2_rcbuf **all[] = {&st->method, &st->path, &st->authority};
    for (size_t i = 0; i < 3; i++) {
        if (*all[i] != NULL) nghttp2_rcbuf_decref(*all[i]);
        *all[i] = NULL;
    }
    free(st->fields);
    st->fields = NULL;
    st->fields_len = st->fields_cap = 0;
}

/* "Name: value\r\n" without what HTTP/2 does not know; the name in lower case, in place. */
static bool read_line(porch_bytes line, nghttp2_nv *ret) {
    uint8_t *at = (uint8_t *)(uintptr_t)line.at; /* x->out_head is ours to write */
    const uint8_t *colon = memchr(at, ':', line.len);
    if (colon == NULL) return false;
    size_t n = (size_t)(colon - at);
    for (size_t i = 0; i < n; i++)
        if (at[i] >= 'A' && at[i] <= 'Z') at[i] |= 0x20;
    size_t skip = n + 1;
    while (skip < line.len && at[skip] == ' ')
        skip++;
    /* The head lives as long as the stream, and nghttp2 drops what is queued for a stream that is gone. */
    uint8_t lasting = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    *ret = (nghttp2_nv){at, at + skip, n, line.len - skip, lasting};
    return true;
}

int porch_http2_head_submit(porch_http2_stream *st, const nghttp2_data_provider *data) {
    porch_http_exchange *x = st->x;
    nghttp2_nv fields[ANSWER_FIELDS_MOST];
    size_t count = 1;
    char status[4] = {(char)('0' + x->status / 100), (char)('0' + x->status / 10 % 10),
                      (char)('0' + x->status % 10), 0};
    fields[0] =
        (nghttp2_nv){(uint8_t *)(uintptr_t) ":status", (uint8_t *)status, 7, 3, NGHTTP2_NV_FLAG_NONE};
    porch_bytes rest = {x->out_head, x->out_head_len};
    (void)porch_http1_take_line(&rest); /* the status line */
    while (rest.len > 0) {
        porch_bytes line = porch_http1_take_line(&rest);
        if (line.len == 0) break;
        if (count == ANSWER_FIELDS_MOST) return NGHTTP2_ERR_NOMEM;
        if (read_line(line, &fields[count])) count++;
    }
    return nghttp2_submit_response(st->h->session, st->id, fields, count, data);
}
