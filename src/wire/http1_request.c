#include "wire/http1_request.h"

#include <string.h>

/* Cuts `text` at the first `c`; false when there is none. */
static bool cut(porch_bytes text, char c, porch_bytes *before, porch_bytes *after) {
    const uint8_t *at = text.len == 0 ? NULL : memchr(text.at, c, text.len);
    if (at == NULL) return false;
    size_t n = (size_t)(at - text.at);
    *before = (porch_bytes){text.at, n};
    *after = (porch_bytes){at + 1, text.len - n - 1};
    return true;
}

static porch_err bad(porch_http1_fault *fault, const char *what) {
    return porch_http1_refuse(fault, 400, what);
}

static porch_err read_version(porch_bytes text, porch_http1_fault *fault, unsigned *minor) {
    if (porch_bytes_eq_text(text, "HTTP/1.1")) {
        *minor = 1;
    } else if (porch_bytes_eq_text(text, "HTTP/1.0")) {
        *minor = 0;
    } else if (porch_bytes_starts(text, PORCH_LIT("HTTP/"))) {
        return porch_http1_refuse(fault, 505, "HTTP/1.1 is spoken here");
    } else {
        return bad(fault, "the request line names no HTTP version");
    }
    return PORCH_OK;
}

/* RFC 3986 pchar and '/', without '%'. */
static bool is_path_byte(uint8_t c) {
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || (c != 0 && strchr("-._~!$&'()*+,;=:@/", c) != NULL);
}

static bool is_query_byte(uint8_t c) {
    return is_path_byte(c) || c == '?' || c == '%';
}

static bool is_dots(porch_bytes segment) {
    return porch_bytes_eq_text(segment, ".") || porch_bytes_eq_text(segment, "..");
}

/* One spelling per place: nothing encoded, nothing to be normalised away. */
static porch_err judge_path(porch_bytes path, porch_http1_fault *fault) {
    if (path.len == 0 || path.at[0] != '/') return bad(fault, "the request target is no absolute path");
    for (size_t i = 0; i < path.len; i++) {
        if (path.at[i] == '%') return bad(fault, "paths here need no percent-encoding");
        if (!is_path_byte(path.at[i])) return bad(fault, "a forbidden character in the path");
    }
    porch_bytes rest = {path.at + 1, path.len - 1}, segment, after;
    while (cut(rest, '/', &segment, &after)) {
        if (segment.len == 0 || is_dots(segment)) return bad(fault, "an empty or dot segment in the path");
        rest = after;
    }
    return is_dots(rest) ? bad(fault, "an empty or dot segment in the path") : PORCH_OK;
}

static porch_err read_target(porch_bytes target, const porch_http1_limits *limits, porch_http1_fault *fault,
                             porch_http1_request *q) {
    if (target.len > limits->target_bytes) {
        porch_http1_refuse(fault, 414, "the request target is longer than the limit");
        return PORCH_ERR_LIMIT;
    }
    q->target = target;
    if (!cut(target, '?', &q->path, &q->query)) {
        q->path = target;
        q->query = (porch_bytes){NULL, 0};
    }
    PORCH_TRY(judge_path(q->path, fault));
    for (size_t i = 0; i < q->query.len; i++) {
        if (!is_query_byte(q->query.at[i])) return bad(fault, "a forbidden character in the query");
    }
    return PORCH_OK;
}

static porch_err read_start_line(porch_bytes line, const porch_http1_limits *limits,
                                 porch_http1_fault *fault, porch_http1_request *q) {
    porch_bytes rest, target, version;
    if (!cut(line, ' ', &q->method, &rest) || !cut(rest, ' ', &target, &version))
        return bad(fault, "the request line is not METHOD TARGET VERSION");
    if (!porch_http1_is_token(q->method)) return bad(fault, "the method is no token");
    PORCH_TRY(read_version(version, fault, &q->minor));
    return read_target(target, limits, fault, q);
}

/* A host and maybe a port: letters, digits, dots, dashes, and the characters of an IPv6 literal. */
static bool is_host(porch_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c == 0 || strchr("-._[]:", c) == NULL)) return false;
    }
    return text.len > 0;
}

static porch_err read_host(porch_http1_fault *fault, porch_http1_request *q) {
    size_t hosts = porch_http1_header_count(&q->headers, "Host");
    if (hosts == 0 && q->minor == 0) return PORCH_OK;
    if (hosts != 1) return bad(fault, "a request has one Host header");
    q->host = porch_http1_header_find(&q->headers, "Host")->value;
    return is_host(q->host) ? PORCH_OK : bad(fault, "the Host header is no host");
}

static porch_err read_expect(porch_http1_fault *fault, porch_http1_request *q) {
    const porch_http1_header *expect = porch_http1_header_find(&q->headers, "Expect");
    if (expect == NULL || q->minor == 0) return PORCH_OK; /* RFC 9110, 10.1.1: 1.0 has none */
    if (porch_http1_header_count(&q->headers, "Expect") > 1 ||
        !porch_bytes_eq_nocase(expect->value, PORCH_LIT("100-continue")))
        return porch_http1_refuse(fault, 417, "the only expectation is 100-continue");
    q->expect_continue = true;
    return PORCH_OK;
}

porch_err porch_http1_request_read(porch_bytes head, const porch_http1_limits *limits,
                                   porch_http1_headers room, porch_http1_fault *fault,
                                   porch_http1_request *ret) {
    porch_http1_request q = {.headers = room};
    PORCH_TRY(read_start_line(porch_http1_take_line(&head), limits, fault, &q));
    PORCH_TRY(porch_http1_headers_read(head, limits, &q.headers, fault));
    PORCH_TRY(read_host(fault, &q));
    PORCH_TRY(porch_http1_body_read(&q.headers, q.minor, fault, &q.body, &q.body_bytes));
    PORCH_TRY(read_expect(fault, &q));
    bool close = porch_http1_header_lists(&q.headers, "Connection", "close");
    q.keep_alive =
        !close && (q.minor > 0 || porch_http1_header_lists(&q.headers, "Connection", "keep-alive"));
    *ret = q;
    return PORCH_OK;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static porch_err decode(porch_bytes text, porch_buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i] == '+' ? ' ' : text.at[i];
        if (c == '%') {
            if (text.len - i < 3) return PORCH_ERR_MALFORMED;
            int high = hex_digit(text.at[i + 1]), low = hex_digit(text.at[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0)) return PORCH_ERR_MALFORMED;
            c = (uint8_t)(high * 16 + low);
            i += 2;
        }
        PORCH_TRY(porch_write_u8(out, c));
    }
    return PORCH_OK;
}

porch_err porch_http1_query_get(porch_bytes query, const char *name, porch_buf *out) {
    porch_bytes wanted = porch_bytes_of(name), found = {NULL, 0};
    bool seen = false;
    while (query.len > 0) {
        porch_bytes pair, rest = {NULL, 0}, key, value = {NULL, 0};
        if (!cut(query, '&', &pair, &rest)) pair = query;
        if (!cut(pair, '=', &key, &value)) key = pair;
        if (porch_bytes_eq(key, wanted)) {
            if (seen) return PORCH_ERR_MALFORMED;
            seen = true;
            found = value;
        }
        query = rest;
    }
    if (!seen) return PORCH_ERR_NOT_FOUND;
    size_t start = out->len;
    porch_err e = decode(found, out);
    if (e != PORCH_OK) out->len = start;
    return e;
}

static porch_err write_request(porch_buf *b, const char *method, porch_bytes target, porch_bytes host) {
    porch_bytes path, query;
    if (!cut(target, '?', &path, &query)) path = target;
    if (!porch_http1_is_token(porch_bytes_of(method)) || !is_host(host)) return PORCH_ERR_MALFORMED;
    PORCH_TRY(judge_path(path, NULL));
    for (size_t i = path.len; i < target.len; i++) {
        if (!is_query_byte(target.at[i])) return PORCH_ERR_MALFORMED;
    }
    PORCH_TRY(porch_write_text(b, method));
    PORCH_TRY(porch_write_text(b, " "));
    PORCH_TRY(porch_write_bytes(b, target));
    PORCH_TRY(porch_write_text(b, " HTTP/1.1\r\n"));
    return porch_http1_header_write(b, "Host", host);
}

porch_err porch_http1_request_write(porch_buf *b, const char *method, porch_bytes target,
                                    porch_bytes host) {
    size_t start = b->len;
    porch_err e = write_request(b, method, target, host);
    if (e != PORCH_OK) b->len = start;
    return e;
}
