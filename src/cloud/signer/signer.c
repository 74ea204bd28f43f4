#include "cloud/signer/signer.h"

#include <stdlib.h>

#include "cloud/signer/signer_room.h"
#include "crypto/random.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/sandbox.h"

#include <liboath/oath.h>

enum { SEND_WAIT_MS = 5000 };

static porch_signer_now now(void) {
    return (porch_signer_now){porch_clock_ms(), porch_clock_boot_ms()};
}

static porch_err serve_until_closed(porch_signer *s, int socket_fd, uint8_t *blocks, porch_why *why) {
    porch_buf message = {blocks, 0, PORCH_SIGNER_MESSAGE_MAX};
    porch_buf answer = {blocks + PORCH_SIGNER_MESSAGE_MAX, 0, PORCH_SIGNER_MESSAGE_MAX};
    for (;;) {
        porch_err e = porch_channel_receive(socket_fd, &message, NULL, 0, NULL, -1, why);
        if (e == PORCH_ERR_CLOSED) return PORCH_OK;
        if (e == PORCH_ERR_LIMIT) continue; /* too long for any request: dropped, the asker times out */
        if (e != PORCH_OK) return e;
        porch_signer_serve(s, porch_buf_bytes(&message), now(), &answer);
        if (s->ending) return PORCH_OK; /* who asked asks the next one */
        e = porch_channel_send(socket_fd, porch_buf_bytes(&answer), NULL, 0, SEND_WAIT_MS, why);
        porch_wipe(blocks, 2 * (size_t)PORCH_SIGNER_MESSAGE_MAX);
        if (e == PORCH_ERR_CLOSED) return PORCH_OK;
        if (e != PORCH_OK) return e;
    }
}

int porch_signer_run(int socket_fd, const porch_signer_files *files) {
    static porch_signer signer;
    porch_why why = {""};
    porch_err e = PORCH_OK;
    uint8_t *blocks = malloc(2 * (size_t)PORCH_SIGNER_MESSAGE_MAX);
    porch_crypto_init();
    if (!blocks || oath_init() != OATH_OK) e = porch_fail(&why, PORCH_ERR_BUSY, "out of memory at start");
    if (e == PORCH_OK) e = porch_signer_load(&signer, files, now(), &why);
    if (e == PORCH_OK) e = porch_sandbox_enter(&porch_sandbox_signer, &why);
    if (e == PORCH_OK) {
        porch_log(PORCH_LOG_INFO, "signer.started", "accounts", porch_log_number(signer.steps.count).text,
                  NULL);
        e = serve_until_closed(&signer, socket_fd, blocks, &why);
    }
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_ERROR, "signer.failed", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    porch_signer_unload(&signer);
    free(blocks);
    return e == PORCH_OK ? 0 : 1;
}
