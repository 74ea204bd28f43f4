#include "cloud/courier/courier.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "cloud/courier/courier_room.h"
#include "os/channel.h"
#include "os/log.h"

enum { SEND_WAIT_MS = 5000, ANSWER_BYTES = 1024 };

static uint32_t number_of(porch_bytes message) {
    porch_reader r = porch_reader_of(message);
    uint32_t number = 0;
    (void)porch_read_u32(&r, &number);
    return number;
}

static void answer_one(const porch_courier *c, porch_bytes in, const char *lost, porch_buf *out) {
    porch_courier_message m;
    porch_why why = {""};
    porch_courier_answer answer = {.number = number_of(in)};
    answer.error = porch_courier_message_read(in, &m);
    if (answer.error == PORCH_OK && lost)
        answer.error = porch_fail(&why, PORCH_ERR_BUSY,
                                  "%s was replaced: the courier starts anew to read it; try again", lost);
    if (answer.error == PORCH_OK) answer.error = porch_courier_perform(c, &m, &answer.status, &why);
    if (answer.error != PORCH_OK) answer.why = porch_bytes_of(porch_why_text(&why, answer.error));
    out->len = 0;
    (void)porch_courier_answer_write(out, &answer);
}

/* Not an error: the supervisor starts the next one, whose sandbox has the new file. */
static porch_err leave_for_a_fresh_one(const char *lost) {
    porch_log(PORCH_LOG_INFO, "courier.names-replaced", "file", lost, "reason",
              "it was replaced, and the sandbox knows the old file only; a fresh courier reads the new one",
              NULL);
    return PORCH_OK;
}

static porch_err serve_until_closed(const porch_courier *c, const porch_courier_names *names, int socket_fd,
                                    porch_buf *message, porch_why *why) {
    uint8_t block[ANSWER_BYTES];
    porch_buf answer = PORCH_BUF_OF(block);
    for (;;) {
        porch_err e = porch_channel_receive(socket_fd, message, NULL, 0, NULL, -1, why);
        if (e == PORCH_ERR_CLOSED) return PORCH_OK;
        if (e == PORCH_ERR_LIMIT) continue; /* too long for any request: dropped, the asker times out */
        if (e != PORCH_OK) return e;
        const char *lost = porch_courier_names_lost(names);
        answer_one(c, porch_buf_bytes(message), lost, &answer);
        e = porch_channel_send(socket_fd, porch_buf_bytes(&answer), NULL, 0, SEND_WAIT_MS, why);
        if (e == PORCH_ERR_CLOSED) return PORCH_OK;
        if (e != PORCH_OK) return e;
        if (!lost) lost = porch_courier_names_lost(names);
        if (lost) return leave_for_a_fresh_one(lost);
    }
}

int porch_courier_run(int socket_fd, const porch_courier_config *config) {
    const porch_sandbox_profile *sandbox = config->sandbox ? config->sandbox : &porch_sandbox_courier;
    porch_courier courier;
    porch_courier_names names;
    porch_why why = {""};
    porch_buf message = {malloc(PORCH_COURIER_MESSAGE_MAX), 0, PORCH_COURIER_MESSAGE_MAX};
    porch_err e = porch_courier_prepare(&courier, config, &why);
    if (e == PORCH_OK && !message.at) e = porch_fail(&why, PORCH_ERR_BUSY, "out of memory");
    if (e == PORCH_OK) e = porch_sandbox_enter(sandbox, &why);
    if (e == PORCH_OK) porch_courier_names_look(&names, config->names);
    if (e == PORCH_OK) e = serve_until_closed(&courier, &names, socket_fd, &message, &why);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_ERROR, "courier.failed", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    porch_courier_forget(&courier);
    free(message.at);
    return e == PORCH_OK ? 0 : 1;
}
