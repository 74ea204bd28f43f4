/* ca.*: the authority that issues certificates, its successor, and their end. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/admin.h"
#include "cloud/signer/signer_client.h"
#include "cloud/trust/trust.h"
#include "os/file.h"

enum { ROOT_BYTES = 16384, PRINT_LEAST = 8 };

static porch_err need_signer(porch_admin_call *call) {
    const porch_admin_world *w = call->world;
    if (w->signer != NULL && w->store != NULL && w->registry != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its signer");
}

static porch_err note_request(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_trust_append(db, "ca.rotate", "operator", "ca:issuing", "{}", why);
}

/* A request for the next key, and the root that has to sign it: all that the offline machine needs beside
 * the root's key. */
static porch_err rotate(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    const porch_admin_world *w = call->world;
    uint8_t csr_block[PORCH_X509_PEM_BYTES], *root = NULL;
    porch_buf csr = {csr_block, 0, sizeof csr_block - 1};
    char path[4096];
    size_t len = 0;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_signer(call));
    PORCH_TRY(porch_path_join(w->dir, "tls/device-root.pem", path, sizeof path));
    PORCH_TRY(porch_signer_issuer_next(w->signer, &csr, call->why));
    csr.at[csr.len] = '\0';
    PORCH_TRY(porch_store_write(w->store, note_request, NULL, call->why));
    PORCH_TRY(porch_file_read(path, ROOT_BYTES, &root, &len, call->why));
    int bad = json_object_set_new(call->result, "csr", json_string((const char *)csr.at));
    bad |= json_object_set_new(call->result, "root", json_stringn((const char *)root, len));
    free(root);
    return bad == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static json_t *issuer_json(const porch_registry_issuer *one) {
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES];
    json_t *names = json_array();
    porch_x509_fingerprint_text(one->info.fingerprint, print);
    for (size_t i = 0; i < one->named; i++)
        (void)json_array_append_new(names, json_string(one->names[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "sha256", print,
                     "serial", one->info.serial, "subject", one->info.subject, "state",
                     one->retired_ms != 0    ? "retired"
                     : one->followed_ms != 0 ? "overlap"
                                             : "in force",
                     "ends_ms", (json_int_t)one->info.not_after_ms, "in_force_ms",
                     (json_int_t)one->in_force_ms, "followed_ms", (json_int_t)one->followed_ms,
                     "retired_ms", (json_int_t)one->retired_ms, "key_gone_ms", (json_int_t)one->key_gone_ms,
                     "live", (json_int_t)one->live, "ended", (json_int_t)one->ended, "names", names);
}

static bool list_issuer(const porch_registry_issuer *one, void *ctx) {
    return json_array_append_new(ctx, issuer_json(one)) == 0;
}

static porch_err list(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_signer(call));
    json_t *all = json_array();
    porch_registry_issuers(call->world->registry, list_issuer, all);
    return json_object_set_new(call->result, "issuers", all) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err activate(porch_admin_call *call) {
    static const char *const names[] = {"pem", NULL};
    const porch_admin_world *w = call->world;
    const char *pem = NULL;
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES];
    porch_x509_info info;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "pem", &pem));
    PORCH_TRY(need_signer(call));
    if (w->issuer_activate == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its signer");
    PORCH_TRY(w->issuer_activate(w->issuers_ctx, pem, &info, call->why));
    porch_x509_fingerprint_text(info.fingerprint, print);
    int bad = json_object_set_new(call->result, "sha256", json_string(print));
    bad |= json_object_set_new(call->result, "subject", json_string(info.subject));
    bad |= json_object_set_new(call->result, "ends_ms", json_integer((json_int_t)info.not_after_ms));
    return bad == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

/* ---- the end of one ---- */

/* The one whose fingerprint begins so; colons and case do not matter. */
typedef struct {
    const char *wanted;
    uint8_t fingerprint[32];
    unsigned found;
} search;

static bool begins(const char *print, const char *wanted) {
    size_t letters = 0;
    for (; *wanted != '\0'; wanted++) {
        if (*wanted == ':') continue;
        if (*print == ':') print++;
        char w = *wanted >= 'a' && *wanted <= 'f' ? (char)(*wanted - 'a' + 'A') : *wanted;
        if (*print == '\0' || *print++ != w) return false;
        letters++;
    }
    return letters >= PRINT_LEAST;
}

static bool compare(const porch_registry_issuer *one, void *ctx) {
    search *s = ctx;
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES];
    porch_x509_fingerprint_text(one->info.fingerprint, print);
    if (!begins(print, s->wanted)) return true;
    memcpy(s->fingerprint, one->info.fingerprint, sizeof s->fingerprint);
    s->found++;
    return true;
}

static porch_err retire(porch_admin_call *call) {
    static const char *const names[] = {"issuer", "cut_off", NULL};
    const porch_admin_world *w = call->world;
    search s = {.found = 0};
    porch_registry_issuer one;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "issuer", &s.wanted));
    PORCH_TRY(need_signer(call));
    if (w->issuer_retire == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its signer");
    porch_registry_issuers(w->registry, compare, &s);
    if (s.found != 1)
        return porch_fail(call->why, PORCH_ERR_NOT_FOUND,
                          "name one issuer by %d digits or more of its fingerprint, as 'ca list' shows it",
                          PRINT_LEAST);
    PORCH_TRY(w->issuer_retire(w->issuers_ctx, s.fingerprint, porch_admin_flag(call, "cut_off"), &one,
                               call->why));
    int bad = json_object_set_new(call->result, "subject", json_string(one.info.subject));
    bad |= json_object_set_new(call->result, "cut_off",
                               json_integer((json_int_t)one.live + (json_int_t)one.ended));
    bad |= json_object_set_new(call->result, "key_destroyed", json_boolean(one.key_gone_ms != 0));
    return bad == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

const porch_admin_command porch_admin_ca_commands[] = {
    {"ca.rotate", rotate}, {"ca.list", list}, {"ca.activate", activate},
    {"ca.retire", retire}, {NULL, NULL},
};
