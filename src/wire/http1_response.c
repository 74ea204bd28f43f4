#include "wire/http1_response.h"

static const struct {
    uint16_t status;
    const char *text;
} phrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

static const char *const classes[] = {"Informational", "Success", "Redirection", "Client Error",
                                      "Server Error"};

const char *porch_http1_status_text(uint16_t status) {
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status) return phrases[i].text;
    }
    return status >= 100 && status <= 599 ? classes[status / 100 - 1] : "Unknown";
}

porch_err porch_http1_status_write(porch_buf *b, uint16_t status) {
    if (status < 100 || status > 599) return PORCH_ERR_MALFORMED;
    size_t start = b->len;
    porch_err e = porch_write_text(b, "HTTP/1.1 ");
    if (e == PORCH_OK) e = porch_write_decimal(b, status);
    if (e == PORCH_OK) e = porch_write_text(b, " ");
    if (e == PORCH_OK) e = porch_write_text(b, porch_http1_status_text(status));
    if (e == PORCH_OK) e = porch_write_text(b, "\r\n");
    if (e != PORCH_OK) b->len = start;
    return e;
}

/* "HTTP/1.1 200 OK": the phrase may be empty, the blank before it may not be missing. */
static porch_err read_status_line(porch_bytes line, porch_http1_fault *fault, porch_http1_response *s) {
    porch_reader r = porch_reader_of(line);
    porch_bytes version, digits, blank;
    if (porch_read_bytes(&r, 9, &version) != PORCH_OK || porch_read_bytes(&r, 3, &digits) != PORCH_OK ||
        porch_read_bytes(&r, 1, &blank) != PORCH_OK || blank.at[0] != ' ' || !porch_http1_is_value(r.rest))
        return porch_http1_refuse(fault, 400, "the status line is not VERSION CODE PHRASE");
    if (!porch_bytes_eq_text(version, "HTTP/1.1 ") && !porch_bytes_eq_text(version, "HTTP/1.0 "))
        return porch_http1_refuse(fault, 505, "the answer is not HTTP/1.1");
    s->minor = version.at[7] == '1' ? 1 : 0;
    unsigned status = 0;
    for (size_t i = 0; i < 3; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return porch_http1_refuse(fault, 400, "the status code is no number");
        status = status * 10 + (unsigned)(digits.at[i] - '0');
    }
    if (status < 100 || status > 599)
        return porch_http1_refuse(fault, 400, "the status code is none of 100 to 599");
    s->status = (uint16_t)status;
    return PORCH_OK;
}

porch_err porch_http1_response_read(porch_bytes head, const porch_http1_limits *limits, bool to_head,
                                    porch_http1_headers room, porch_http1_fault *fault,
                                    porch_http1_response *ret) {
    porch_http1_response s = {.headers = room};
    PORCH_TRY(read_status_line(porch_http1_take_line(&head), fault, &s));
    PORCH_TRY(porch_http1_headers_read(head, limits, &s.headers, fault));
    PORCH_TRY(porch_http1_body_read(&s.headers, s.minor, fault, &s.body, &s.body_bytes));
    bool never = to_head || s.status < 200 || s.status == 204 || s.status == 304;
    if (never) {
        s.body = PORCH_HTTP1_BODY_NONE;
        s.body_bytes = 0;
    } else if (s.body == PORCH_HTTP1_BODY_NONE) {
        s.body = PORCH_HTTP1_BODY_CLOSE;
    }
    bool close =
        porch_http1_header_lists(&s.headers, "Connection", "close") || s.body == PORCH_HTTP1_BODY_CLOSE;
    s.keep_alive =
        !close && (s.minor > 0 || porch_http1_header_lists(&s.headers, "Connection", "keep-alive"));
    *ret = s;
    return PORCH_OK;
}
