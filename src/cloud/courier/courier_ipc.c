#include "cloud/courier/courier_ipc.h"

#include <string.h>

#include "base/cursor.h"
#include "os/call.h"

/* RFC 9110, 5.6.2: what a header's name is made of. */
static bool is_token_byte(uint8_t c) {
    if (c >= '0' && c <= '9') return true;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static porch_err check_header_name(porch_bytes v) {
    if (v.len == 0 || v.len > PORCH_COURIER_HEADER_MAX) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < v.len; i++)
        if (!is_token_byte(v.at[i])) return PORCH_ERR_MALFORMED;
    return PORCH_OK;
}

static porch_err check_header_value(porch_bytes v) {
    if (v.len == 0 || v.len > PORCH_COURIER_HEADER_MAX) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < v.len; i++)
        if (v.at[i] < 0x20 || v.at[i] > 0x7e) return PORCH_ERR_MALFORMED;
    return PORCH_OK;
}

static porch_err check_url(porch_bytes v) {
    if (v.len == 0 || v.len > PORCH_COURIER_URL_MAX) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < v.len; i++)
        if (v.at[i] < 0x21 || v.at[i] > 0x7e) return PORCH_ERR_MALFORMED;
    return PORCH_OK;
}

static porch_err check_message(const porch_courier_message *m) {
    if (m->headers_count > PORCH_COURIER_HEADERS_MAX || m->body.len > PORCH_COURIER_BODY_MAX)
        return PORCH_ERR_LIMIT;
    PORCH_TRY(check_url(m->url));
    for (size_t i = 0; i < m->headers_count; i++) {
        PORCH_TRY(check_header_name(m->header_names[i]));
        PORCH_TRY(check_header_value(m->header_values[i]));
    }
    return PORCH_OK;
}

porch_err porch_courier_message_write(porch_buf *out, const porch_courier_message *in) {
    porch_buf b = *out;
    PORCH_TRY(check_message(in));
    PORCH_TRY(porch_call_request_write(&b, in->number, PORCH_COURIER_IPC_VERSION));
    PORCH_TRY(porch_write_u32(&b, in->timeout_ms));
    PORCH_TRY(porch_write_block16(&b, in->url));
    PORCH_TRY(porch_write_u8(&b, (uint8_t)in->headers_count));
    for (size_t i = 0; i < in->headers_count; i++) {
        PORCH_TRY(porch_write_block16(&b, in->header_names[i]));
        PORCH_TRY(porch_write_block16(&b, in->header_values[i]));
    }
    PORCH_TRY(porch_write_block32(&b, in->body));
    if (b.len - out->len > PORCH_COURIER_MESSAGE_MAX) return PORCH_ERR_LIMIT;
    *out = b;
    return PORCH_OK;
}

porch_err porch_courier_message_read(porch_bytes message, porch_courier_message *ret) {
    if (message.len > PORCH_COURIER_MESSAGE_MAX) return PORCH_ERR_LIMIT;
    porch_reader r = porch_reader_of(message);
    porch_courier_message got = {0};
    uint8_t count = 0;
    PORCH_TRY(porch_call_request_read(&r, PORCH_COURIER_IPC_VERSION, &got.number));
    PORCH_TRY(porch_read_u32(&r, &got.timeout_ms));
    PORCH_TRY(porch_read_block16(&r, &got.url));
    PORCH_TRY(porch_read_u8(&r, &count));
    if (count > PORCH_COURIER_HEADERS_MAX) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        PORCH_TRY(porch_read_block16(&r, &got.header_names[i]));
        PORCH_TRY(porch_read_block16(&r, &got.header_values[i]));
    }
    got.headers_count = count;
    PORCH_TRY(porch_read_block32(&r, &got.body));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    PORCH_TRY(check_message(&got));
    *ret = got;
    return PORCH_OK;
}

porch_err porch_courier_answer_write(porch_buf *out, const porch_courier_answer *in) {
    porch_buf b = *out;
    PORCH_TRY(porch_call_answer_write(&b, in->number, PORCH_COURIER_IPC_VERSION, in->error));
    PORCH_TRY(porch_write_u16(&b, in->status));
    PORCH_TRY(porch_write_block16(&b, in->why));
    *out = b;
    return PORCH_OK;
}

porch_err porch_courier_answer_read(porch_bytes message, porch_courier_answer *ret) {
    porch_reader r = porch_reader_of(message);
    porch_courier_answer got = {0};
    PORCH_TRY(porch_call_answer_read(&r, PORCH_COURIER_IPC_VERSION, &got.number, &got.error));
    PORCH_TRY(porch_read_u16(&r, &got.status));
    PORCH_TRY(porch_read_block16(&r, &got.why));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    *ret = got;
    return PORCH_OK;
}
