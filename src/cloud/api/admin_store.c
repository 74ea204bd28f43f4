/* status, clock, drain, ca.export-root, backup: the hub as a whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloud/api/admin.h"
#include "cloud/signer/signer_client.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"
#include "os/file.h"

/* ---- status ------------------------------------------------------------------------------------- */

static json_t *store_json(porch_store *store) {
    porch_store_counts c;
    porch_store_count(store, &c);
    return json_pack("{s:I, s:I, s:I, s:I, s:i, s:s}", "messages", (json_int_t)c.messages, "batches",
                     (json_int_t)c.batches, "lost_batches", (json_int_t)c.lost_batches, "durable_seq",
                     (json_int_t)c.durable_seq, "schema", porch_store_schema(), "state",
                     porch_err_name(c.state));
}

static json_t *registry_json(porch_registry *registry) {
    porch_registry_counts c;
    porch_registry_count(registry, &c);
    return json_pack("{s:I, s:I, s:I, s:I}", "devices", (json_int_t)c.devices, "devices_online",
                     (json_int_t)c.devices_online, "services", (json_int_t)c.services, "households",
                     (json_int_t)c.households);
}

static porch_err status(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    const porch_admin_world *w = call->world;
    PORCH_TRY(porch_admin_only(call, names));
    json_t *o = call->result;
    int bad = json_object_set_new(o, "version", json_string(PORCH_VERSION));
    bad |= json_object_set_new(o, "hub", json_string(w->settings->hub_id));
    bad |= json_object_set_new(o, "admin_only", json_boolean(w->admin_only));
    bad |= json_object_set_new(o, "up_ms", json_integer((json_int_t)(porch_clock_ms() - w->started_ms)));
    bad |= json_object_set_new(
        o, "ports",
        json_pack("{s:i, s:i, s:i}", "mqtt", w->port[0], "device", w->port[1], "https", w->port[2]));
    if (w->store != NULL) bad |= json_object_set_new(o, "store", store_json(w->store));
    if (w->registry != NULL) bad |= json_object_set_new(o, "registry", registry_json(w->registry));
    if (w->signer != NULL)
        bad |= json_object_set_new(o, "signer", json_boolean(porch_signer_client_attached(w->signer)));
    if (w->status != NULL) w->status(o, w->status_ctx);
    return bad == 0 ? PORCH_OK : porch_fail(call->why, PORCH_ERR_INTERNAL, "no memory for the answer");
}

/* ---- clock -------------------------------------------------------------------------------------- */

static porch_err note_clock(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_trust_append(db, "clock.confirm", "operator", "hub", "{}", why);
}

/* {confirm?}: whether the signer tells devices the time, or why not. */
static porch_err look_at_clock(porch_admin_call *call) {
    static const char *const names[] = {"confirm", NULL};
    const porch_admin_world *w = call->world;
    char reason[PORCH_SIGNER_REASON_BYTES];
    bool confirm = porch_admin_flag(call, "confirm");
    PORCH_TRY(porch_admin_only(call, names));
    if (w->signer == NULL || w->store == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its signer");
    if (confirm) PORCH_TRY(porch_store_write(w->store, note_clock, NULL, call->why));
    PORCH_TRY(porch_signer_clock(w->signer, confirm, reason, call->why));
    int bad = json_object_set_new(call->result, "believed", json_boolean(reason[0] == '\0'));
    bad |= json_object_set_new(call->result, "reason", json_string(reason));
    return bad == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

/* ---- drain -------------------------------------------------------------------------------------- */

static porch_err drain(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(porch_admin_only(call, names));
    if (call->world->drain == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE, "there is nothing to drain");
    call->world->drain(call->world->drain_ctx);
    return PORCH_OK;
}

/* ---- ca.export-root ----------------------------------------------------------------------------- */

static porch_err note_export(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_trust_append(db, "ca.export-root", "operator", "ca:root", "{}", why);
}

static porch_err note_backup(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_trust_append(db, "hub.backup", "operator", "hub", "{}", why);
}

/* Says where the root's key lies; the command line, which runs as the owner, moves it: this process cannot
 * open OFFLINE. The decision is logged first. */
static porch_err export_root(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    char path[4096];
    PORCH_TRY(porch_admin_only(call, names));
    if (call->world->store == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its store");
    PORCH_TRY(porch_path_join(call->world->dir, "OFFLINE/root.key", path, sizeof path));
    PORCH_TRY(porch_store_write(call->world->store, note_export, NULL, call->why));
    return json_object_set_new(call->result, "path", json_string(path)) == 0 ? PORCH_OK
                                                                             : PORCH_ERR_INTERNAL;
}

/* ---- certificates that people see ---------------------------------------------------------------- */

/* What a line of the trust log says of a certificate. */
static porch_err note_certificate(porch_db *db, const char *what, const char *subject,
                                  const porch_x509_info *info, porch_why *why) {
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES], detail[192];
    porch_x509_fingerprint_text(info->fingerprint, print);
    (void)snprintf(detail, sizeof detail, "{\"sha256\":\"%s\"}", print);
    return porch_trust_append(db, what, "operator", subject, detail, why);
}

static porch_err note_https(porch_db *db, void *ctx, porch_why *why) {
    return note_certificate(db, "https.certificate", "hub", ctx, why);
}

static porch_err note_web_ca(porch_db *db, void *ctx, porch_why *why) {
    return note_certificate(db, "ca.renew-web", "ca:web", ctx, why);
}

static porch_err answer_certificate(porch_admin_call *call, const porch_x509_info *info) {
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES];
    porch_x509_fingerprint_text(info->fingerprint, print);
    int bad = json_object_set_new(call->result, "sha256", json_string(print));
    bad |= json_object_set_new(call->result, "ends_ms", json_integer((json_int_t)info->not_after_ms));
    return bad == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

static porch_err https_cert(porch_admin_call *call) {
    static const char *const names[] = {"cert", "key", NULL};
    const porch_admin_world *w = call->world;
    const char *cert, *key;
    porch_x509_info info;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "cert", &cert));
    PORCH_TRY(porch_admin_text(call, "key", &key));
    if (w->install_https == NULL || w->store == NULL)
        return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its people's door");
    PORCH_TRY(w->install_https(w->install_https_ctx, cert, key, &info, call->why));
    PORCH_TRY(porch_store_write(w->store, note_https, &info, call->why));
    return answer_certificate(call, &info);
}

/* The command line has made a new web CA while the hub was down: put it down in the trust log. */
static porch_err web_ca_renewed(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    const porch_admin_world *w = call->world;
    char path[4096];
    uint8_t *pem = NULL;
    size_t len = 0;
    porch_x509_info info;
    PORCH_TRY(porch_admin_only(call, names));
    if (w->store == NULL) return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its store");
    PORCH_TRY(porch_path_join(w->dir, "tls/web-ca.pem", path, sizeof path));
    PORCH_TRY(porch_file_read(path, PORCH_X509_INPUT_BYTES, &pem, &len, call->why));
    porch_err e = porch_x509_read((porch_bytes){pem, len}, &info, call->why);
    free(pem);
    if (e == PORCH_OK) e = porch_store_write(w->store, note_web_ca, &info, call->why);
    return e == PORCH_OK ? answer_certificate(call, &info) : e;
}

/* ---- backup ------------------------------------------------------------------------------------- */

static void tell_progress(double done, void *ctx) {
    porch_admin_progress(ctx, done, "copying the database");
}

/* A consistent copy of the database at DIR/run/backup.db, made while the hub goes on. The command line,
 * which runs as the owner and holds run/backup.lock, packs and encrypts it with the rest and deletes it; a
 * copy left over is replaced. See backup_copy.h. */
static porch_err backup(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    const porch_admin_world *w = call->world;
    char path[4096];
    PORCH_TRY(porch_admin_only(call, names));
    if (w->store == NULL) return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its store");
    PORCH_TRY(porch_path_join(w->dir, "run/backup.db", path, sizeof path));
    if (unlink(path) < 0 && errno != ENOENT)
        return porch_fail(call->why, PORCH_ERR_IO, "the old %s cannot be removed: %s", path,
                          strerror(errno));
    PORCH_TRY(porch_store_write(w->store, note_backup, NULL, call->why));
    PORCH_TRY(porch_store_copy(w->store, path, tell_progress, call, call->why));
    return json_object_set_new(call->result, "db", json_string(path)) == 0 ? PORCH_OK : PORCH_ERR_INTERNAL;
}

const porch_admin_command porch_admin_store_commands[] = {
    {"status", status},
    {"clock", look_at_clock},
    {"drain", drain},
    {"backup", backup},
    {"ca.export-root", export_root},
    {"ca.renew-web", web_ca_renewed},
    {"https-cert", https_cert},
    {NULL, NULL},
};
