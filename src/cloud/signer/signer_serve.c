/* The signer without its process: keys loaded, one message answered. */
#include "cloud/signer/signer_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "cloud/seal/seal.h"
#include "crypto/identity.h"
#include "os/file.h"
#include "os/log.h"

enum { PEM_FILE_MAX = 16384, CONF_FILE_MAX = 256 * 1024 };

porch_err porch_signer_check_id(porch_bytes text, const char *what, porch_why *why) {
    porch_identity checked;
    /* Every id has one grammar; the kind does not matter here. */
    if (porch_identity_make(PORCH_IDENTITY_DEVICE, text, &checked) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED,
                      "%s is named by lower-case letters, digits and '-', 1 to 64 long", what);
}

/* ---- loading ---- */

static porch_err load_key(const porch_vault *vault, porch_vault_secret_id id, porch_key **ret,
                          porch_why *why) {
    const porch_vault_secret *pem = &vault->of[id];
    return porch_key_load_pem((porch_bytes){pem->at, pem->len}, ret, why);
}

static porch_err load_seal_key(const porch_vault *vault, uint8_t key[PORCH_SIGNER_SEAL_KEY_BYTES],
                               porch_why *why) {
    const porch_vault_secret *raw = &vault->of[PORCH_VAULT_SEAL];
    if (raw->len != PORCH_SIGNER_SEAL_KEY_BYTES)
        return porch_fail(why, PORCH_ERR_STATE,
                          "DIR/signer/seal.key has %zu bytes instead of %d; restore it", raw->len,
                          PORCH_SIGNER_SEAL_KEY_BYTES);
    memcpy(key, raw->at, raw->len);
    return PORCH_OK;
}

static porch_err load_issuer(porch_signer_issuer *issuer, const porch_vault *vault,
                             porch_vault_secret_id id, int cert_fd, const char *cert_name, porch_why *why) {
    PORCH_TRY(load_key(vault, id, &issuer->key, why));
    return porch_file_read_fd(cert_fd, cert_name, PEM_FILE_MAX, &issuer->cert_pem, &issuer->cert_len, why);
}

/* The vault without the first issuing key, which another has followed. What cannot be written now is tried
 * again at the next start; nothing but this waits for it. */
static void write_without_first(porch_signer *s, const porch_signer_files *files, porch_vault *vault,
                                porch_seal_kind kind) {
    const porch_seal_means means = {s->settings.hub_tpm, files->credential_fd};
    uint8_t recovery[PORCH_BOX_PUBLIC_BYTES];
    porch_seal_kind found = kind;
    porch_why why = {""};
    porch_wipe(&vault->of[PORCH_VAULT_ISSUING], sizeof vault->of[PORCH_VAULT_ISSUING]);
    porch_err e = porch_seal_look(files->dir_fd, &found, recovery, &why);
    if (e == PORCH_OK) e = porch_seal_write(files->dir_fd, kind, &means, recovery, vault, &why);
    if (e == PORCH_OK) {
        porch_signer_issuers_first_gone(&s->issuers);
        porch_log(PORCH_LOG_INFO, "signer.key-dropped", "key", porch_vault_name(PORCH_VAULT_ISSUING), NULL);
        return;
    }
    porch_log(PORCH_LOG_WARN, "signer.key-kept", "key", porch_vault_name(PORCH_VAULT_ISSUING), "error",
              porch_err_name(e), "reason", porch_why_text(&why, e), NULL);
}

static porch_err load_issuing(porch_signer *s, const porch_signer_files *files, porch_vault *vault,
                              porch_seal_kind kind, porch_why *why) {
    const porch_vault_secret *first = &vault->of[PORCH_VAULT_ISSUING];
    uint8_t *certs = NULL;
    size_t len = 0;
    bool first_went = false;
    PORCH_TRY(
        porch_file_read_fd(files->issuing_fd, "DIR/tls/issuing.pem", PEM_FILE_MAX, &certs, &len, why));
    porch_err e =
        porch_signer_issuers_load(s, files, (porch_bytes){first->at, first->len}, kind == PORCH_SEAL_FILE,
                                  (porch_bytes){certs, len}, &first_went, why);
    free(certs);
    if (e == PORCH_OK && first_went) write_without_first(s, files, vault, kind);
    return e;
}

/* hub.conf and what lies there must agree: a key file that turns up in a sealed hub's folder is not taken.
 */
static porch_err open_vault(const porch_signer *s, const porch_signer_files *files, porch_vault *ret,
                            porch_seal_kind *found, porch_why *why) {
    const porch_seal_means means = {s->settings.hub_tpm, files->credential_fd};
    porch_seal_kind wanted;
    PORCH_TRY(porch_seal_kind_of(s->settings.hub_seal, &wanted, why));
    PORCH_TRY(porch_seal_look(files->dir_fd, found, NULL, why));
    if (*found != wanted)
        return porch_fail(
            why, PORCH_ERR_CONFIG,
            "hub.conf says hub.seal = %s, but the keys are sealed by %s; run porchlight -C DIR "
            "seal %s",
            porch_seal_word(wanted), porch_seal_word(*found), porch_seal_word(wanted));
    return porch_seal_read(files->dir_fd, &means, ret, found, why);
}

static porch_err load_secrets(porch_signer *s, const porch_signer_files *files, porch_why *why) {
    porch_vault vault = {0};
    porch_seal_kind found = PORCH_SEAL_FILE;
    porch_err e = open_vault(s, files, &vault, &found, why);
    if (e == PORCH_OK) e = load_seal_key(&vault, s->seal_key, why);
    if (e == PORCH_OK) e = load_issuing(s, files, &vault, found, why);
    if (e == PORCH_OK)
        e = load_issuer(&s->web, &vault, PORCH_VAULT_WEB_CA, files->web_fd, "DIR/tls/web-ca.pem", why);
    if (e == PORCH_OK) {
        if (vault.of[PORCH_VAULT_VAPID].len > 0)
            e = load_key(&vault, PORCH_VAULT_VAPID, &s->vapid, why);
        else if (found == PORCH_SEAL_FILE)
            e = porch_signer_vapid_make(files->dir_fd, &s->vapid, why);
        else
            e = porch_fail(why, PORCH_ERR_STATE,
                           "the vault lacks the VAPID key; run porchlight -C DIR seal %s",
                           porch_seal_word(found));
    }
    porch_wipe(&vault, sizeof vault);
    return e;
}

static porch_err load_settings(int conf_fd, porch_settings *ret, porch_why *why) {
    uint8_t *text = NULL;
    size_t len = 0;
    PORCH_TRY(porch_file_read_fd(conf_fd, "DIR/hub.conf", CONF_FILE_MAX, &text, &len, why));
    porch_err e = porch_settings_parse((porch_bytes){text, len}, ret, why);
    free(text);
    return e;
}

static void remember_step(porch_bytes account, uint64_t step, void *ctx) {
    porch_signer_account *row = porch_signer_steps_find(ctx, account);
    if (row && step > row->last_step) row->last_step = step;
}

/* The kernel's name for this start of the machine. */
static void boot_name(char out[PORCH_SIGNER_BOOT_TEXT]) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, PORCH_SIGNER_BOOT_TEXT - 1) : 0;
    if (fd >= 0) close(fd);
    size_t len = n > 0 ? (size_t)n : 0;
    while (len > 0 && out[len - 1] == '\n')
        len--;
    if (len == 0) out[len++] = '-';
    out[len] = '\0';
}

porch_err porch_signer_load(porch_signer *s, const porch_signer_files *files, porch_signer_now now,
                            porch_why *why) {
    memset(s, 0, sizeof *s);
    s->journal.fd = s->journal.edit_fd = s->issuers.fd = s->issuers.edit_fd = -1;
    PORCH_TRY(load_settings(files->conf_fd, &s->settings, why));
    PORCH_TRY(porch_signer_steps_init(&s->steps, s->settings.signer_accounts));
    PORCH_TRY(load_secrets(s, files, why));
    s->vapid_rate = porch_signer_rate_of(s->settings.signer_vapid_per_minute, now.mono_ms);
    s->rates[PORCH_SIGNER_DEVICE] =
        porch_signer_rate_of(s->settings.signer_device_issues_per_minute, now.mono_ms);
    s->rates[PORCH_SIGNER_SERVICE] =
        porch_signer_rate_of(s->settings.signer_service_issues_per_minute, now.mono_ms);
    s->rates[PORCH_SIGNER_HUB_SERVER] =
        porch_signer_rate_of(s->settings.signer_server_issues_per_minute, now.mono_ms);
    s->rates[PORCH_SIGNER_WEB_SERVER] = s->rates[PORCH_SIGNER_HUB_SERVER];
    s->log_rate = porch_signer_rate_of(s->settings.signer_log_lines_per_minute, now.mono_ms);
    s->time_rate = porch_signer_rate_of(s->settings.signer_times_per_minute, now.mono_ms);
    PORCH_TRY(porch_signer_trust_key(s->seal_key, &s->trust, why));
    PORCH_TRY(porch_signer_derive_key(s->seal_key, PORCH_LIT("porchlight signed time 1"), &s->time, why));
    porch_signer_head head = {.seq = 0}; /* updates included */
    PORCH_TRY(porch_signer_journal_open(files->dir_fd, remember_step, &s->steps, &head, &s->journal, why));
    s->trust_seq = head.seq;
    memcpy(s->trust_hash, head.hash, sizeof s->trust_hash);
    s->updates = head.updates;
    char boot[PORCH_SIGNER_BOOT_TEXT];
    boot_name(boot);
    PORCH_TRY(porch_signer_clock_start(s, &head, boot, now, why));
    s->update_rate = porch_signer_rate_of(s->settings.signer_updates_per_minute, now.mono_ms);
    return porch_signer_update_keys(s->seal_key, &s->updates, why);
}

static void unload_issuer(porch_signer_issuer *issuer) {
    porch_key_free(issuer->key);
    free(issuer->cert_pem);
    *issuer = (porch_signer_issuer){0};
}

void porch_signer_unload(porch_signer *s) {
    porch_signer_issuers_unload(s);
    unload_issuer(&s->web);
    porch_key_free(s->vapid);
    s->vapid = NULL;
    porch_key_free(s->trust);
    s->trust = NULL;
    porch_key_free(s->updates.snapshot);
    porch_key_free(s->updates.timestamp);
    s->updates = (porch_signer_updates){0};
    porch_key_free(s->time);
    s->time = NULL;
    porch_wipe(s->seal_key, sizeof s->seal_key);
    porch_signer_steps_free(&s->steps);
    porch_signer_journal_close(&s->journal);
}

/* ---- serving ---- */

static porch_err seal(porch_signer *s, const porch_signer_request *r, porch_buf *data, porch_why *why) {
    PORCH_TRY(porch_signer_check_id(r->name, "a label", why));
    if (r->data.len > PORCH_SIGNER_PLAIN_MAX)
        return porch_fail(why, PORCH_ERR_LIMIT, "the signer seals at most %d bytes",
                          PORCH_SIGNER_PLAIN_MAX);
    return porch_signer_box_close(s->seal_key, "seal", r->name, r->data, data);
}

static porch_err unseal(porch_signer *s, const porch_signer_request *r, porch_buf *data, porch_why *why) {
    PORCH_TRY(porch_signer_check_id(r->name, "a label", why));
    if (porch_signer_box_open(s->seal_key, "seal", r->name, r->data, data) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_SIGNATURE,
                      "the sealed secret was changed or belongs to another hub or use");
}

static porch_err clip_key(porch_signer *s, const porch_signer_request *r, porch_buf *data, porch_why *why) {
    uint8_t key[32];
    PORCH_TRY(porch_signer_check_id(r->name, "a clip", why));
    porch_err e = porch_signer_derive_clip(s->seal_key, r->name, key);
    if (e == PORCH_OK) e = porch_write_bytes(data, (porch_bytes){key, sizeof key});
    porch_wipe(key, sizeof key);
    return e;
}

static porch_err act(porch_signer *s, const porch_signer_request *r, porch_signer_now now, porch_buf *data,
                     porch_buf *secret, porch_why *why) {
    switch (r->op) {
    case PORCH_SIGNER_OP_ISSUE:
        return porch_signer_do_issue(s, r, now, data, why);
    case PORCH_SIGNER_OP_TOTP_MAKE:
        return porch_signer_do_totp_make(s, r, data, secret, why);
    case PORCH_SIGNER_OP_TOTP_CHECK:
        return porch_signer_do_totp_check(s, r, now, why);
    case PORCH_SIGNER_OP_SEAL:
        return seal(s, r, data, why);
    case PORCH_SIGNER_OP_UNSEAL:
        return unseal(s, r, data, why);
    case PORCH_SIGNER_OP_CLIP_KEY:
        return clip_key(s, r, data, why);
    case PORCH_SIGNER_OP_VAPID_KEY:
        return porch_signer_do_vapid_key(s, data, why);
    case PORCH_SIGNER_OP_VAPID_TOKEN:
        return porch_signer_do_vapid_token(s, r, now, data, why);
    case PORCH_SIGNER_OP_FORGET:
        return porch_signer_journal_forget(&s->journal, now.wall_ms, r->name, why);
    case PORCH_SIGNER_OP_TRUST_HEAD:
        return porch_signer_do_trust_head(s, r, now, data, why);
    case PORCH_SIGNER_OP_UPDATE_KEYS:
        return porch_signer_do_update_keys(s, data, why);
    case PORCH_SIGNER_OP_UPDATE_SIGN:
        return porch_signer_do_update_sign(s, r, now, data, why);
    case PORCH_SIGNER_OP_TIME:
        return porch_signer_do_time(s, r, now, data, why);
    case PORCH_SIGNER_OP_TIME_KEY:
        return porch_signer_do_time_key(s, data, why);
    case PORCH_SIGNER_OP_CLOCK:
        return porch_signer_do_clock(s, r, now, data, why);
    case PORCH_SIGNER_OP_ISSUER_NEXT:
        return porch_signer_do_issuer_next(s, now, data, why);
    case PORCH_SIGNER_OP_ISSUER_USE:
        return porch_signer_do_issuer_use(s, r, now, why);
    case PORCH_SIGNER_OP_ISSUER_FORGET:
        return porch_signer_do_issuer_forget(s, r, now, why);
    case PORCH_SIGNER_OP_END:
        break;
    }
    return PORCH_ERR_UNSUPPORTED;
}

/* Whoever has the hub ask for what is refused must not fill the log. */
static bool may_log(porch_signer *s, uint64_t mono_ms) {
    uint64_t wait_ms = 0;
    if (!porch_signer_rate_take(&s->log_rate, mono_ms, &wait_ms)) {
        s->log_left_out++;
        return false;
    }
    if (s->log_left_out > 0)
        porch_log(PORCH_LOG_WARN, "refusals.left_out", "lines", porch_log_number(s->log_left_out).text,
                  "setting", "signer.log_lines_per_minute", NULL);
    s->log_left_out = 0;
    return true;
}

static void log_refusal(porch_signer *s, const porch_signer_request *r, uint64_t mono_ms, porch_err e,
                        const porch_why *why) {
    if (!may_log(s, mono_ms)) return;
    porch_bytes name = r->op == PORCH_SIGNER_OP_ISSUE ? r->names[0] : r->name;
    porch_log(PORCH_LOG_WARN, "signer.refused", "op", porch_signer_op_name(r->op), "name",
              porch_log_bytes(name).text, "error", porch_err_name(e), "reason", porch_why_text(why, e),
              NULL);
}

/* The message's number, so that even an answer to nonsense finds its question. */
static uint32_t number_of(porch_bytes message) {
    porch_reader r = porch_reader_of(message);
    uint32_t number = 0;
    (void)porch_read_u32(&r, &number);
    return number;
}

void porch_signer_serve(porch_signer *s, porch_bytes message, porch_signer_now now, porch_buf *out) {
    uint8_t data_block[PORCH_SIGNER_PLAIN_MAX + PORCH_SIGNER_SEALED_EXTRA];
    uint8_t secret_block[PORCH_SIGNER_SECRET_TEXT];
    porch_buf data = PORCH_BUF_OF(data_block);
    porch_buf secret = PORCH_BUF_OF(secret_block);
    porch_why why = {""};
    porch_signer_request request = {0};
    porch_signer_answer answer = {.number = number_of(message)};
    answer.error = porch_signer_request_read(message, &request);
    if (answer.error == PORCH_OK) answer.error = act(s, &request, now, &data, &secret, &why);
    if (answer.error == PORCH_OK) {
        answer.data = porch_buf_bytes(&data);
        answer.secret = porch_buf_bytes(&secret);
    } else {
        answer.why = porch_bytes_of(porch_why_text(&why, answer.error));
        log_refusal(s, &request, now.mono_ms, answer.error, &why);
    }
    out->len = 0;
    (void)porch_signer_answer_write(out, &answer);
    porch_wipe(data_block, sizeof data_block);
    porch_wipe(secret_block, sizeof secret_block);
}
