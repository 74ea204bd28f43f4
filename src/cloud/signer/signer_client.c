#include "cloud/signer/signer_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "cloud/signer/signer_ipc.h"
#include "os/call.h"

enum { ANSWER_WAIT_MS = 10000 };

struct porch_signer_client {
    porch_call *call;
};

porch_signer_client *porch_signer_client_new(void) {
    porch_signer_client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->call = porch_call_new("signer", PORCH_SIGNER_AWAY_WAIT_MS);
    if (!c->call) {
        free(c);
        return NULL;
    }
    return c;
}

void porch_signer_client_free(porch_signer_client *c) {
    if (!c) return;
    porch_call_free(c->call);
    free(c);
}

void porch_signer_client_attach(porch_signer_client *c, int fd) {
    porch_call_attach(c->call, fd);
}

bool porch_signer_client_attached(porch_signer_client *c) {
    return porch_call_attached(c->call);
}

/* Where an answer's parts go; either may be NULL. Written only when the signer said OK. */
typedef struct {
    porch_buf *data;
    char *secret; /* PORCH_SIGNER_SECRET_TEXT bytes */
} answer_into;

static porch_err take_answer(porch_bytes message, answer_into into, porch_why *why) {
    porch_signer_answer answer;
    porch_err e = porch_signer_answer_read(message, &answer);
    if (e != PORCH_OK) return porch_fail(why, PORCH_ERR_INTERNAL, "the signer's answer cannot be read");
    if (answer.error != PORCH_OK)
        return answer.why.len ? porch_fail(why, answer.error, "%.*s", PORCH_FMT(answer.why)) : answer.error;
    if (into.data && porch_write_bytes(into.data, answer.data) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the signer's answer of %zu bytes does not fit",
                          answer.data.len);
    if (into.secret && !porch_bytes_to_text(answer.secret, into.secret, PORCH_SIGNER_SECRET_TEXT))
        return porch_fail(why, PORCH_ERR_INTERNAL, "the signer's secret does not fit");
    return PORCH_OK;
}

static porch_err ask(porch_signer_client *c, const porch_signer_request *request, bool repeat,
                     answer_into into, porch_why *why) {
    size_t block_bytes = PORCH_SIGNER_MESSAGE_MAX;
    uint8_t *blocks = malloc(2 * block_bytes);
    if (!blocks) return porch_fail(why, PORCH_ERR_BUSY, "out of memory for a call to the signer");
    porch_buf out = {blocks, 0, block_bytes};
    porch_buf answer = {blocks + block_bytes, 0, block_bytes};
    porch_err e = porch_signer_request_write(&out, request);
    if (e != PORCH_OK)
        e = porch_fail(why, e, "the signer's %s takes less than that", porch_signer_op_name(request->op));
    else
        e = porch_call_do(c->call, &out, repeat, ANSWER_WAIT_MS, &answer, why);
    if (e == PORCH_OK) e = take_answer(porch_buf_bytes(&answer), into, why);
    porch_wipe(blocks, 2 * block_bytes);
    free(blocks);
    return e;
}

porch_err porch_signer_issue(porch_signer_client *c, porch_signer_profile profile, const char *const *names,
                             size_t names_count, porch_bytes csr_pem, uint32_t days, porch_buf *out_pem,
                             porch_why *why) {
    if (names_count == 0 || names_count > PORCH_SIGNER_NAMES_MAX)
        return porch_fail(why, PORCH_ERR_LIMIT, "a certificate takes 1 to %d names",
                          PORCH_SIGNER_NAMES_MAX);
    porch_signer_request request = {.op = PORCH_SIGNER_OP_ISSUE,
                                    .profile = profile,
                                    .days = days,
                                    .names_count = names_count,
                                    .data = csr_pem};
    for (size_t i = 0; i < names_count; i++)
        request.names[i] = porch_bytes_of(names[i]);
    return ask(c, &request, true, (answer_into){.data = out_pem}, why);
}

porch_err porch_signer_issuer_next(porch_signer_client *c, porch_buf *csr_pem, porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_ISSUER_NEXT};
    return ask(c, &request, true, (answer_into){.data = csr_pem}, why);
}

porch_err porch_signer_issuer_use(porch_signer_client *c, porch_bytes cert_pem, porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_ISSUER_USE, .data = cert_pem};
    return ask(c, &request, true, (answer_into){NULL, NULL}, why);
}

porch_err porch_signer_issuer_forget(porch_signer_client *c, const uint8_t key_hash[32], porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_ISSUER_FORGET, .data = {key_hash, 32}};
    return ask(c, &request, true, (answer_into){NULL, NULL}, why);
}

porch_err porch_signer_totp_make(porch_signer_client *c, const char *account, porch_buf *sealed,
                                 char secret_base32[PORCH_SIGNER_SECRET_TEXT], porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_TOTP_MAKE, .name = porch_bytes_of(account)};
    return ask(c, &request, true, (answer_into){sealed, secret_base32}, why);
}

porch_err porch_signer_totp_check(porch_signer_client *c, const char *account, porch_bytes sealed,
                                  const char *code, uint64_t now_ms, porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_TOTP_CHECK,
                                    .name = porch_bytes_of(account),
                                    .now_ms = now_ms,
                                    .code = porch_bytes_of(code),
                                    .data = sealed};
    return ask(c, &request, false, (answer_into){NULL, NULL}, why);
}

porch_err porch_signer_seal(porch_signer_client *c, const char *label, porch_bytes plain, porch_buf *sealed,
                            porch_why *why) {
    porch_signer_request request = {
        .op = PORCH_SIGNER_OP_SEAL, .name = porch_bytes_of(label), .data = plain};
    return ask(c, &request, true, (answer_into){.data = sealed}, why);
}

porch_err porch_signer_unseal(porch_signer_client *c, const char *label, porch_bytes sealed,
                              porch_buf *plain, porch_why *why) {
    porch_signer_request request = {
        .op = PORCH_SIGNER_OP_UNSEAL, .name = porch_bytes_of(label), .data = sealed};
    return ask(c, &request, true, (answer_into){.data = plain}, why);
}

porch_err porch_signer_clip_key(porch_signer_client *c, const char *clip_id, uint8_t key[32],
                                porch_why *why) {
    uint8_t got[32];
    porch_buf into = PORCH_BUF_OF(got);
    porch_signer_request request = {.op = PORCH_SIGNER_OP_CLIP_KEY, .name = porch_bytes_of(clip_id)};
    porch_err e = ask(c, &request, true, (answer_into){.data = &into}, why);
    if (e == PORCH_OK && into.len != sizeof got)
        e = porch_fail(why, PORCH_ERR_INTERNAL, "the signer's clip key has %zu bytes", into.len);
    if (e == PORCH_OK) memcpy(key, got, sizeof got);
    porch_wipe(got, sizeof got);
    return e;
}

porch_err porch_signer_forget(porch_signer_client *c, const char *what, porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_FORGET, .name = porch_bytes_of(what)};
    return ask(c, &request, true, (answer_into){NULL, NULL}, why);
}

porch_err porch_signer_vapid_key(porch_signer_client *c, uint8_t public_key[PORCH_SIGNER_VAPID_KEY_BYTES],
                                 porch_why *why) {
    uint8_t got[PORCH_SIGNER_VAPID_KEY_BYTES];
    porch_buf into = PORCH_BUF_OF(got);
    porch_signer_request request = {.op = PORCH_SIGNER_OP_VAPID_KEY};
    PORCH_TRY(ask(c, &request, true, (answer_into){.data = &into}, why));
    if (into.len != sizeof got)
        return porch_fail(why, PORCH_ERR_INTERNAL, "the signer's VAPID key has %zu bytes", into.len);
    memcpy(public_key, got, sizeof got);
    return PORCH_OK;
}

porch_err porch_signer_vapid_token(porch_signer_client *c, const char *audience, uint64_t ends_ms,
                                   char token[PORCH_SIGNER_VAPID_TOKEN_TEXT], porch_why *why) {
    uint8_t got[PORCH_SIGNER_VAPID_TOKEN_TEXT];
    porch_buf into = PORCH_BUF_OF(got);
    porch_signer_request request = {
        .op = PORCH_SIGNER_OP_VAPID_TOKEN, .name = porch_bytes_of(audience), .now_ms = ends_ms};
    PORCH_TRY(ask(c, &request, true, (answer_into){.data = &into}, why));
    if (!porch_bytes_to_text(porch_buf_bytes(&into), token, PORCH_SIGNER_VAPID_TOKEN_TEXT))
        return porch_fail(why, PORCH_ERR_INTERNAL, "the signer's VAPID token does not fit");
    return PORCH_OK;
}

porch_err porch_signer_trust_head(porch_signer_client *c, porch_bytes rows, porch_buf *head,
                                  porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_TRUST_HEAD, .data = rows};
    return ask(c, &request, false, (answer_into){.data = head}, why);
}

porch_err porch_signer_update_keys_get(porch_signer_client *c, char snapshot[PORCH_SIGNER_UPDATE_KEY_TEXT],
                                       char timestamp[PORCH_SIGNER_UPDATE_KEY_TEXT], porch_why *why) {
    uint8_t got[2 * (PORCH_SIGNER_UPDATE_KEY_TEXT - 1)];
    const size_t half = sizeof got / 2;
    porch_buf into = PORCH_BUF_OF(got);
    porch_signer_request request = {.op = PORCH_SIGNER_OP_UPDATE_KEYS};
    PORCH_TRY(ask(c, &request, true, (answer_into){.data = &into}, why));
    if (into.len != sizeof got)
        return porch_fail(why, PORCH_ERR_INTERNAL, "the signer's update keys have %zu bytes", into.len);
    (void)porch_bytes_to_text((porch_bytes){got, half}, snapshot, PORCH_SIGNER_UPDATE_KEY_TEXT);
    (void)porch_bytes_to_text((porch_bytes){got + half, half}, timestamp, PORCH_SIGNER_UPDATE_KEY_TEXT);
    return PORCH_OK;
}

porch_err porch_signer_update_sign(porch_signer_client *c, porch_bytes update, porch_buf *answer,
                                   porch_why *why) {
    porch_signer_request request = {.op = PORCH_SIGNER_OP_UPDATE_SIGN, .data = update};
    return ask(c, &request, true, (answer_into){.data = answer}, why);
}

porch_err porch_signer_time(porch_signer_client *c, const uint8_t nonce[32], const uint8_t *timestamp,
                            porch_buf *out, porch_why *why) {
    uint8_t data[64];
    memcpy(data, nonce, 32);
    if (timestamp != NULL) memcpy(data + 32, timestamp, 32);
    porch_signer_request request = {.op = PORCH_SIGNER_OP_TIME,
                                    .data = {data, timestamp != NULL ? 64 : 32}};
    return ask(c, &request, true, (answer_into){.data = out}, why);
}

porch_err porch_signer_time_key(porch_signer_client *c, uint8_t key[32], porch_why *why) {
    uint8_t got[32];
    porch_buf into = PORCH_BUF_OF(got);
    porch_signer_request request = {.op = PORCH_SIGNER_OP_TIME_KEY};
    PORCH_TRY(ask(c, &request, true, (answer_into){.data = &into}, why));
    if (into.len != sizeof got)
        return porch_fail(why, PORCH_ERR_INTERNAL, "the signer's time key has %zu bytes", into.len);
    memcpy(key, got, sizeof got);
    return PORCH_OK;
}

porch_err porch_signer_clock(porch_signer_client *c, bool confirm, char reason[PORCH_SIGNER_REASON_BYTES],
                             porch_why *why) {
    porch_buf into = {(uint8_t *)reason, 0, PORCH_SIGNER_REASON_BYTES - 1};
    porch_signer_request request = {.op = PORCH_SIGNER_OP_CLOCK,
                                    .name = confirm ? PORCH_LIT("confirm") : PORCH_LIT("look")};
    reason[0] = '\0';
    PORCH_TRY(ask(c, &request, true, (answer_into){.data = &into}, why));
    reason[into.len] = '\0';
    return PORCH_OK;
}
