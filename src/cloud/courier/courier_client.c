#include "cloud/courier/courier_client.h"

#include <stdlib.h>

#include "cloud/courier/courier_ipc.h"
#include "os/call.h"

/* Beyond the request's own time: the courier's work before and after it. */
enum { ANSWER_EXTRA_MS = 5000, ANSWER_MAX = 1024 };

struct porch_courier_client {
    porch_call *call;
};

porch_courier_client *porch_courier_client_new(void) {
    porch_courier_client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->call = porch_call_new("courier", PORCH_COURIER_AWAY_WAIT_MS);
    if (!c->call) {
        free(c);
        return NULL;
    }
    return c;
}

void porch_courier_client_free(porch_courier_client *c) {
    if (!c) return;
    porch_call_free(c->call);
    free(c);
}

void porch_courier_client_attach(porch_courier_client *c, int fd) {
    porch_call_attach(c->call, fd);
}

static porch_err message_of(const porch_courier_request *request, porch_buf *out, porch_why *why) {
    porch_courier_message m = {.timeout_ms = request->timeout_ms,
                               .url = porch_bytes_of(request->url),
                               .headers_count = request->headers_count,
                               .body = request->body};
    if (request->headers_count > PORCH_COURIER_HEADERS_MAX)
        return porch_fail(why, PORCH_ERR_LIMIT, "a request takes at most %d headers",
                          PORCH_COURIER_HEADERS_MAX);
    for (size_t i = 0; i < request->headers_count; i++) {
        m.header_names[i] = porch_bytes_of(request->headers[i].name);
        m.header_values[i] = porch_bytes_of(request->headers[i].value);
    }
    porch_err e = porch_courier_message_write(out, &m);
    if (e == PORCH_OK) return e;
    return porch_fail(
        why, PORCH_ERR_MALFORMED,
        "the request cannot be sent: check its URL (visible ASCII, at most %d bytes), headers and size",
        PORCH_COURIER_URL_MAX);
}

static porch_err take_answer(porch_bytes message, uint16_t *status, porch_why *why) {
    porch_courier_answer answer;
    porch_err e = porch_courier_answer_read(message, &answer);
    if (e != PORCH_OK) return porch_fail(why, PORCH_ERR_INTERNAL, "the courier's answer cannot be read");
    if (answer.error != PORCH_OK)
        return answer.why.len ? porch_fail(why, answer.error, "%.*s", PORCH_FMT(answer.why)) : answer.error;
    *status = answer.status;
    return PORCH_OK;
}

porch_err porch_courier_post(porch_courier_client *c, const porch_courier_request *request,
                             uint16_t *status, porch_why *why) {
    uint8_t answer_block[ANSWER_MAX];
    porch_buf answer = PORCH_BUF_OF(answer_block);
    porch_buf out = {malloc(PORCH_COURIER_MESSAGE_MAX), 0, PORCH_COURIER_MESSAGE_MAX};
    if (!out.at) return porch_fail(why, PORCH_ERR_BUSY, "out of memory for a call to the courier");
    porch_err e = message_of(request, &out, why);
    /* Not repeated when the courier dies under it: whether the receiver got it is unknown here. */
    if (e == PORCH_OK)
        e = porch_call_do(c->call, &out, false, request->timeout_ms + ANSWER_EXTRA_MS, &answer, why);
    if (e == PORCH_OK) e = take_answer(porch_buf_bytes(&answer), status, why);
    porch_wipe(out.at, out.cap);
    free(out.at);
    return e;
}
