/* The first certificate. Blocking, and without a porch_device: there is none yet. A device may have been in
 * another home before: see leftovers.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <porchlight/enrol.h>

#include "base/cursor.h"
#include "base/text.h"
#include "crypto/attester.h"
#include "crypto/key_uri.h"
#include "crypto/random.h"
#include "crypto/tpm.h"
#include "crypto/x509.h"
#include "device/port/linux/device_private.h"
#include "device/port/linux/leftovers.h"
#include "os/clock.h"
#include "os/file.h"
#include "wire/attestation.h"
#include "wire/est.h"
#include "wire/signed_time.h"

#define ENROLL "/.well-known/est/simpleenroll"

enum { CONF_BYTES = 2048, CHAIN_BYTES = 32768, TEXT_MOST = 2 * PORCH_ATTESTATION_BYTES, USER_BYTES = 256 };

typedef struct {
    const porch_device_enrolment *in;
    uint16_t device_port, mqtt_port;
    int lock_fd;
    uint8_t *ca;
    size_t ca_len;
    porch_key *key;
    porch_tls_client *tls;
    porch_link link;
    porch_exchange exchange;
    char evidence[TEXT_MOST]; /* base64; "" when the key's store gives none */
    uint8_t in_block[ERRAND_IN_BYTES], out_block[2 * ERRAND_OUT_BYTES];
    uint8_t piece[PORCH_TLS_RECORD_BYTES];
} enrolment;

/* ---- one request on the connection ---- */

static void wait_for_link(const enrolment *n, bool output_waits, uint64_t until_ms) {
    uint64_t now_ms = porch_clock_mono_ms();
    struct pollfd p = {.fd = porch_link_fd(&n->link), .events = porch_link_events(&n->link, output_waits)};
    if (now_ms < until_ms && !(n->link.state == PORCH_LINK_UP && porch_tls_pending(n->link.conn)))
        (void)poll(&p, 1, (int)(until_ms - now_ms));
}

static porch_err connect_hub(enrolment *n, porch_why *why) {
    const porch_tls_client_config config = {
        .ca_pem = {n->ca, n->ca_len}, .name = n->in->host, .min_version = PORCH_TLS_1_3};
    PORCH_TRY(porch_tls_client_new(&config, &n->tls, why));
    porch_link_init(&n->link, n->tls, NULL);
    uint64_t now_ms = porch_clock_mono_ms();
    porch_err e = porch_link_open(&n->link, n->in->host, n->device_port, now_ms, PATIENCE_MS, why);
    while (e == PORCH_OK || e == PORCH_ERR_AGAIN) {
        e = porch_link_advance(&n->link, porch_clock_mono_ms(), why);
        if (e != PORCH_ERR_AGAIN) return e;
        wait_for_link(n, false, n->link.give_up_ms);
    }
    return e;
}

static void talk(enrolment *n) {
    porch_exchange *x = &n->exchange;
    porch_err e = PORCH_OK;
    porch_bytes out;
    while (e == PORCH_OK && (out = porch_exchange_output(x)).len > 0) {
        size_t taken = 0;
        e = porch_link_write(&n->link, out, &taken, NULL);
        porch_exchange_sent(x, taken);
    }
    if (e == PORCH_ERR_AGAIN) e = PORCH_OK;
    while (e == PORCH_OK && (x->phase == PORCH_EXCHANGE_HEAD || x->phase == PORCH_EXCHANGE_BODY)) {
        size_t got = 0;
        e = porch_link_read(&n->link, n->piece, sizeof n->piece, &got, NULL);
        if (e == PORCH_OK) porch_exchange_take(x, (porch_bytes){n->piece, got});
    }
    if (e != PORCH_OK && e != PORCH_ERR_AGAIN) porch_exchange_closed(x);
    porch_exchange_tick(x, porch_clock_mono_ms());
}

/* OK with a status of 200; else the hub's own words. */
static porch_err ask(enrolment *n, const porch_exchange_request *request, porch_why *why) {
    porch_exchange *x = &n->exchange;
    porch_err e = porch_exchange_begin(x, request, PORCH_BUF_OF(n->in_block), PORCH_BUF_OF(n->out_block),
                                       porch_clock_mono_ms() + ANSWER_MS);
    if (e != PORCH_OK) return porch_fail(why, e, "the request does not fit");
    for (;;) {
        talk(n);
        if (x->phase == PORCH_EXCHANGE_FAILED) return porch_fail(why, PORCH_ERR_CLOSED, "%s", x->what);
        if (x->phase == PORCH_EXCHANGE_DONE) break;
        wait_for_link(n, porch_exchange_output(x).len > 0, x->give_up_ms);
    }
    if (x->status == 200) return PORCH_OK;
    char text[TEXT_BYTES];
    porch_device_problem_detail(porch_exchange_body(x), text);
    return porch_fail(why, x->status < 500 ? PORCH_ERR_DENIED : PORCH_ERR_BUSY, "the hub says %u: %s",
                      x->status, text[0] != '\0' ? text : "no reason given");
}

/* ---- where the key lives ---- */

static porch_err challenge(enrolment *n, const porch_key_identity *id, porch_attestation_challenge *ret,
                           porch_buf *raw, porch_why *why) {
    uint8_t *block = malloc(PORCH_ATTESTATION_BYTES + TEXT_MOST);
    if (block == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    porch_buf question = {block, 0, PORCH_ATTESTATION_BYTES},
              text = {block + PORCH_ATTESTATION_BYTES, 0, TEXT_MOST};
    const porch_attestation_question q = {{id->certificate, id->certificate_len},
                                          {id->attester, id->attester_len}};
    porch_err e = porch_attestation_question_write(&q, &question);
    if (e == PORCH_OK) e = porch_base64_write(&text, porch_buf_bytes(&question), false);
    const porch_exchange_request request = {.method = "POST",
                                            .path = PORCH_ATTESTATION_PATH,
                                            .host = n->in->host,
                                            .type = PORCH_ATTESTATION_QUESTION,
                                            .body = porch_buf_bytes(&text)};
    if (e == PORCH_OK) e = ask(n, &request, why);
    free(block);
    if (e != PORCH_OK) return e;
    if (porch_base64_read(raw, porch_exchange_body(&n->exchange), false) != PORCH_OK ||
        porch_attestation_challenge_read(porch_buf_bytes(raw), ret) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the hub's challenge cannot be read");
    return PORCH_OK;
}

static porch_err answer(enrolment *n, const porch_attestation_challenge *c, porch_why *why) {
    uint8_t secret_block[PORCH_CREDENTIAL_SECRET_BYTES], wanted[32], block[PORCH_ATTESTATION_BYTES];
    porch_buf secret = PORCH_BUF_OF(secret_block), raw = PORCH_BUF_OF(block),
              text = {(uint8_t *)n->evidence, 0, sizeof n->evidence - 1};
    porch_key_evidence made;
    PORCH_TRY(porch_key_activate(n->key, c->credential, c->seed, &secret, why));
    if (secret.len != sizeof secret_block)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the hub's challenge holds something else than expected");
    porch_attestation_challenge_of(secret_block, wanted);
    porch_wipe(secret_block, sizeof secret_block);
    PORCH_TRY(porch_key_attest(n->key, (porch_bytes){wanted, sizeof wanted}, &made, why));
    const porch_attestation_evidence e = {
        c->ticket, {made.statement, made.statement_len}, {made.signature, made.signature_len}};
    PORCH_TRY(porch_attestation_evidence_write(&e, &raw));
    PORCH_TRY(porch_base64_write(&text, porch_buf_bytes(&raw), false));
    text.at[text.len] = '\0';
    return PORCH_OK;
}

/* A store that has no identity proves nothing: whether that is enough is for the hub to say. */
static porch_err prove(enrolment *n, porch_why *why) {
    uint8_t block[PORCH_ATTESTATION_BYTES];
    porch_buf raw = PORCH_BUF_OF(block);
    porch_key_identity id;
    porch_attestation_challenge c;
    porch_err e = porch_key_identify(n->key, &id, why);
    if (e == PORCH_ERR_UNSUPPORTED || e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    if (e == PORCH_OK) e = challenge(n, &id, &c, &raw, why);
    return e == PORCH_OK ? answer(n, &c, why) : e;
}

/* ---- the request ---- */

static porch_err enrol(enrolment *n, porch_why *why) {
    uint8_t user_block[USER_BYTES], body_block[ERRAND_OUT_BYTES];
    char basic[2 * USER_BYTES] = "Basic ";
    porch_buf user = PORCH_BUF_OF(user_block), body = PORCH_BUF_OF(body_block),
              text = {(uint8_t *)basic, 6, sizeof basic - 1};
    PORCH_TRY(porch_write_text(&user, "device:"));
    porch_err e = porch_write_text(&user, n->in->token);
    if (e == PORCH_OK) e = porch_base64_write(&text, porch_buf_bytes(&user), false);
    if (e != PORCH_OK) return porch_fail(why, PORCH_ERR_LIMIT, "the claim token is too long");
    text.at[text.len] = '\0';
    PORCH_TRY(porch_device_write_csr(n->key, n->link.conn, &body, why));
    const porch_exchange_request request = {
        .method = "POST",
        .path = ENROLL,
        .host = n->in->host,
        .type = "application/pkcs10",
        .body = porch_buf_bytes(&body),
        .more = {{"Authorization", basic},
                 {n->evidence[0] != '\0' ? PORCH_EVIDENCE_HEADER : NULL, n->evidence}},
        .wanted = {PORCH_EST_HUB_HEADER, PORCH_EST_PRODUCT_HEADER, PORCH_SIGNED_TIME_KEY_HEADER}};
    e = ask(n, &request, why);
    porch_wipe(basic, sizeof basic);
    porch_wipe(user_block, sizeof user_block);
    return e;
}

/* ---- the folder ---- */

static porch_err write_part(const enrolment *n, const char *name, porch_bytes text, porch_why *why) {
    char path[FOLDER_BYTES];
    PORCH_TRY(porch_path_join(n->in->folder, name, path, sizeof path));
    return porch_file_write_atomic(path, text, 0644, why);
}

/* What is known here, then what the answer told. */
static porch_err write_conf(const enrolment *n, const porch_x509_info *info, porch_why *why) {
    char conf[CONF_BYTES];
    porch_device_conf parsed;
    const char *tpm = n->in->tpm;
    int len = snprintf(conf, sizeof conf,
                       "hub.host = %s\nhub.mqtt_port = %u\nhub.device_port = %u\ndevice.id = %s\n"
                       "key.uri = %s\n%s%s%s",
                       n->in->host, n->mqtt_port, n->device_port, info->identity.name, n->in->key_uri,
                       tpm != NULL ? "key.tpm = " : "", tpm != NULL ? tpm : "", tpm != NULL ? "\n" : "");
    if (len <= 0 || (size_t)len >= sizeof conf)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "device.conf is too long");
    porch_buf text = {(uint8_t *)conf, (size_t)len, sizeof conf};
    const porch_device_told told = {porch_bytes_of(n->exchange.header[0]),
                                    porch_bytes_of(n->exchange.header[1]),
                                    porch_bytes_of(n->exchange.header[2])};
    PORCH_TRY(porch_device_conf_tell(&told, &text, why));
    PORCH_TRY(porch_device_conf_parse(porch_buf_bytes(&text), &parsed, why));
    return write_part(n, "device.conf", porch_buf_bytes(&text), why);
}

/* On disk before there is a certificate: with one the device would send what waits, and a renewed one of
 * the last home's would be tried first. */
static porch_err clear_folder(const enrolment *n, porch_why *why) {
    char next[FOLDER_BYTES];
    if (n->in->waiting == PORCH_DEVICE_WAITING_CLEAR) PORCH_TRY(porch_leftovers_clear(n->in->folder, why));
    PORCH_TRY(porch_path_join(n->in->folder, "cert.next.pem", next, sizeof next));
    if (unlink(next) != 0 && errno != ENOENT)
        return porch_fail(why, PORCH_ERR_IO, "%.150s cannot be removed: %s", next, strerror(errno));
    return porch_dir_sync(n->in->folder, why);
}

static porch_err write_folder(enrolment *n, porch_why *why) {
    porch_buf der = {malloc(PORCH_EST_BODY_BYTES), 0, PORCH_EST_BODY_BYTES};
    porch_buf pem = {malloc(CHAIN_BYTES), 0, CHAIN_BYTES};
    porch_x509_info info = {0};
    porch_err e = der.at != NULL && pem.at != NULL ? PORCH_OK : PORCH_ERR_NO_SPACE;
    if (e == PORCH_OK && porch_est_body_read(porch_exchange_body(&n->exchange), &der) != PORCH_OK)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the hub's answer is no base64");
    if (e == PORCH_OK) e = porch_x509_unbundle(porch_buf_bytes(&der), &pem, why);
    if (e == PORCH_OK) e = porch_x509_read(porch_buf_bytes(&pem), &info, why);
    if (e == PORCH_OK) e = porch_x509_check_key(porch_buf_bytes(&pem), n->key, why);
    if (e == PORCH_OK && info.identity.kind != PORCH_IDENTITY_DEVICE)
        e = porch_fail(why, PORCH_ERR_MALFORMED, "the hub's certificate is no device's");
    if (e == PORCH_OK) e = clear_folder(n, why);
    if (e == PORCH_OK) e = write_part(n, "ca.pem", (porch_bytes){n->ca, n->ca_len}, why);
    if (e == PORCH_OK) e = write_conf(n, &info, why);
    if (e == PORCH_OK) e = write_part(n, "cert.pem", porch_buf_bytes(&pem), why);
    free(der.at);
    free(pem.at);
    return e;
}

static porch_err open_key(enrolment *n, porch_why *why) {
    const char *tpm = n->in->tpm != NULL ? n->in->tpm : PORCH_TPM_DEFAULT_TCTI;
    porch_key_uri uri;
    PORCH_TRY(porch_key_uri_parse(porch_bytes_of(n->in->key_uri), &uri, why));
    if (uri.place == PORCH_KEY_IN_FILE)
        return porch_fail(
            why, PORCH_ERR_UNSUPPORTED,
            "a device that enrols itself keeps its key in a TPM or token: tpm2:... or pkcs11:...");
    porch_err e = porch_key_uri_open(&uri, tpm, &n->key, why);
    return e == PORCH_ERR_NOT_FOUND ? porch_key_uri_make(&uri, tpm, &n->key, why) : e;
}

static porch_err check_folder(enrolment *n, porch_why *why) {
    char path[FOLDER_BYTES];
    PORCH_TRY(porch_dir_make(n->in->folder, 0700, why));
    PORCH_TRY(porch_path_join(n->in->folder, "cert.pem", path, sizeof path));
    if (access(path, F_OK) == 0)
        return porch_fail(why, PORCH_ERR_EXISTS, "%.150s is there already: this device is enrolled", path);
    PORCH_TRY(porch_leftovers_lock(n->in->folder, &n->lock_fd, why));
    bool told = n->in->waiting == PORCH_DEVICE_WAITING_KEEP || n->in->waiting == PORCH_DEVICE_WAITING_CLEAR;
    return told ? PORCH_OK : porch_leftovers_check(n->in->folder, why);
}

porch_device_result porch_device_enrol(const porch_device_enrolment *in, porch_device_why *why) {
    porch_why inner = {""};
    enrolment *n = calloc(1, sizeof *n);
    if (n == NULL) return porch_device_say(why, PORCH_ERR_NO_SPACE, "out of memory");
    porch_crypto_init();
    n->in = in;
    n->lock_fd = -1;
    n->device_port = in->device_port != 0 ? in->device_port : 8444;
    n->mqtt_port = in->mqtt_port != 0 ? in->mqtt_port : 8883;
    porch_link_init(&n->link, NULL, NULL);
    porch_err e = check_folder(n, &inner);
    if (e == PORCH_OK) e = porch_file_read(in->ca_file, PORCH_X509_INPUT_BYTES, &n->ca, &n->ca_len, &inner);
    if (e == PORCH_OK) e = open_key(n, &inner);
    if (e == PORCH_OK) e = connect_hub(n, &inner);
    if (e == PORCH_OK) e = prove(n, &inner);
    if (e == PORCH_OK) e = enrol(n, &inner);
    if (e == PORCH_OK) e = write_folder(n, &inner);
    porch_link_end(&n->link);
    porch_tls_client_unref(n->tls);
    porch_key_free(n->key);
    if (n->lock_fd >= 0) (void)close(n->lock_fd);
    free(n->ca);
    free(n);
    return e == PORCH_OK ? PORCH_DEVICE_OK : porch_device_fail(why, e, &inner);
}
