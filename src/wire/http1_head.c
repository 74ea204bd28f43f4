#include "wire/http1_head.h"

#include <string.h>

#include "base/text.h"

porch_err porch_http1_refuse(porch_http1_fault *fault, uint16_t status, const char *what) {
    if (fault != NULL) *fault = (porch_http1_fault){status, what};
    return PORCH_ERR_MALFORMED;
}

static porch_err too_large(porch_http1_fault *fault, const char *what) {
    porch_http1_refuse(fault, 431, what);
    return PORCH_ERR_LIMIT;
}

/* One pass over bytes never seen before. A line ends in CRLF and nothing else does; the head ends at an
 * empty one. */
porch_err porch_http1_head_find(porch_bytes in, const porch_http1_limits *limits, size_t *scanned,
                                size_t *head_bytes, porch_http1_fault *fault) {
    size_t i = *scanned;
    size_t end = in.len < limits->head_bytes ? in.len : limits->head_bytes;
    for (; i < end; i++) {
        uint8_t c = in.at[i];
        bool after_cr = i > 0 && in.at[i - 1] == '\r';
        if (c == 0) return porch_http1_refuse(fault, 400, "a zero byte in the head");
        if ((c == '\n') != after_cr) return porch_http1_refuse(fault, 400, "a line does not end in CR LF");
        bool empty_line = c == '\n' && (i == 1 || (i >= 3 && in.at[i - 2] == '\n'));
        if (!empty_line) continue;
        if (i == 1) return porch_http1_refuse(fault, 400, "an empty line instead of a start line");
        *scanned = *head_bytes = i + 1;
        return PORCH_OK;
    }
    *scanned = i;
    return in.len >= limits->head_bytes ? too_large(fault, "the head is larger than the limit")
                                        : PORCH_ERR_TRUNCATED;
}

porch_bytes porch_http1_take_line(porch_bytes *rest) {
    const uint8_t *cr = rest->len == 0 ? NULL : memchr(rest->at, '\r', rest->len);
    if (cr == NULL || (size_t)(cr - rest->at) + 2 > rest->len) {
        porch_bytes all = *rest;
        *rest = (porch_bytes){NULL, 0};
        return all;
    }
    size_t n = (size_t)(cr - rest->at);
    porch_bytes line = {rest->at, n};
    *rest = (porch_bytes){cr + 2, rest->len - n - 2};
    return line;
}

/* RFC 9110, 5.6.2: what a token is made of beside letters and digits. */
static bool is_token_byte(uint8_t c) {
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool porch_http1_is_token(porch_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!is_token_byte(text.at[i])) return false;
    }
    return text.len > 0;
}

bool porch_http1_is_value(porch_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

static porch_bytes trim(porch_bytes text) {
    while (text.len > 0 && is_blank(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

static porch_err read_line(porch_bytes line, porch_http1_header *ret, porch_http1_fault *fault) {
    if (is_blank(line.at[0])) return porch_http1_refuse(fault, 400, "a folded header line");
    const uint8_t *colon = memchr(line.at, ':', line.len);
    if (colon == NULL) return porch_http1_refuse(fault, 400, "a header line without a colon");
    porch_bytes name = {line.at, (size_t)(colon - line.at)};
    porch_bytes value = trim((porch_bytes){colon + 1, line.len - name.len - 1});
    if (!porch_http1_is_token(name))
        return porch_http1_refuse(fault, 400, "a header name with a forbidden character");
    if (!porch_http1_is_value(value))
        return porch_http1_refuse(fault, 400, "a header value with a control character");
    *ret = (porch_http1_header){name, value};
    return PORCH_OK;
}

porch_err porch_http1_headers_read(porch_bytes lines, const porch_http1_limits *limits,
                                   porch_http1_headers *headers, porch_http1_fault *fault) {
    size_t most = headers->cap < limits->headers ? headers->cap : limits->headers;
    headers->count = 0;
    for (;;) {
        porch_bytes line = porch_http1_take_line(&lines);
        if (line.len == 0) break;
        if (headers->count == most) return too_large(fault, "more header lines than the limit");
        PORCH_TRY(read_line(line, &headers->at[headers->count], fault));
        headers->count++;
    }
    return lines.len == 0 ? PORCH_OK : porch_http1_refuse(fault, 400, "bytes after the head's end");
}

const porch_http1_header *porch_http1_header_find(const porch_http1_headers *headers, const char *name) {
    porch_bytes wanted = porch_bytes_of(name);
    for (size_t i = 0; i < headers->count; i++) {
        if (porch_bytes_eq_nocase(headers->at[i].name, wanted)) return &headers->at[i];
    }
    return NULL;
}

size_t porch_http1_header_count(const porch_http1_headers *headers, const char *name) {
    porch_bytes wanted = porch_bytes_of(name);
    size_t count = 0;
    for (size_t i = 0; i < headers->count; i++)
        count += porch_bytes_eq_nocase(headers->at[i].name, wanted);
    return count;
}

static bool value_lists(porch_bytes value, porch_bytes token) {
    for (;;) {
        const uint8_t *comma = value.len == 0 ? NULL : memchr(value.at, ',', value.len);
        size_t n = comma == NULL ? value.len : (size_t)(comma - value.at);
        if (porch_bytes_eq_nocase(trim((porch_bytes){value.at, n}), token)) return true;
        if (comma == NULL) return false;
        value = (porch_bytes){comma + 1, value.len - n - 1};
    }
}

bool porch_http1_header_lists(const porch_http1_headers *headers, const char *name, const char *token) {
    porch_bytes wanted = porch_bytes_of(name), listed = porch_bytes_of(token);
    for (size_t i = 0; i < headers->count; i++) {
        if (porch_bytes_eq_nocase(headers->at[i].name, wanted) && value_lists(headers->at[i].value, listed))
            return true;
    }
    return false;
}

porch_err porch_http1_body_read(const porch_http1_headers *headers, unsigned minor,
                                porch_http1_fault *fault, porch_http1_body_kind *kind, uint64_t *length) {
    const porch_http1_header *coding = porch_http1_header_find(headers, "Transfer-Encoding");
    const porch_http1_header *bytes = porch_http1_header_find(headers, "Content-Length");
    if (coding != NULL && bytes != NULL)
        return porch_http1_refuse(fault, 400, "both Content-Length and Transfer-Encoding");
    if (porch_http1_header_count(headers, "Transfer-Encoding") > 1 ||
        porch_http1_header_count(headers, "Content-Length") > 1)
        return porch_http1_refuse(fault, 400, "Content-Length or Transfer-Encoding stands twice");
    *kind = PORCH_HTTP1_BODY_NONE;
    *length = 0;
    if (coding != NULL) {
        if (minor == 0) return porch_http1_refuse(fault, 400, "Transfer-Encoding in HTTP/1.0");
        if (!porch_bytes_eq_nocase(coding->value, PORCH_LIT("chunked")))
            return porch_http1_refuse(fault, 501, "the only transfer coding is chunked");
        *kind = PORCH_HTTP1_BODY_CHUNKED;
    } else if (bytes != NULL) {
        if (porch_decimal_read(bytes->value, INT64_MAX, length) != PORCH_OK)
            return porch_http1_refuse(fault, 400, "Content-Length is no plain number");
        *kind = PORCH_HTTP1_BODY_LENGTH;
    }
    return PORCH_OK;
}

porch_err porch_http1_header_write(porch_buf *b, const char *name, porch_bytes value) {
    porch_bytes n = porch_bytes_of(name);
    if (!porch_http1_is_token(n) || !porch_http1_is_value(value)) return PORCH_ERR_MALFORMED;
    if (b->cap - b->len < n.len + 4 || b->cap - b->len - n.len - 4 < value.len) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(porch_write_bytes(b, n));
    PORCH_TRY(porch_write_text(b, ": "));
    PORCH_TRY(porch_write_bytes(b, value));
    return porch_write_text(b, "\r\n");
}

porch_err porch_http1_header_write_text(porch_buf *b, const char *name, const char *value) {
    return porch_http1_header_write(b, name, porch_bytes_of(value));
}

porch_err porch_http1_header_write_number(porch_buf *b, const char *name, uint64_t value) {
    uint8_t digits[20];
    porch_buf number = PORCH_BUF_OF(digits);
    PORCH_TRY(porch_write_decimal(&number, value));
    return porch_http1_header_write(b, name, porch_buf_bytes(&number));
}

porch_err porch_http1_head_end(porch_buf *b) {
    return porch_write_text(b, "\r\n");
}
