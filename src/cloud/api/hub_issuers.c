/* Which authority issues, and which still count: what the registry knows, what tls/issuing.pem says to
 * signer, doors and /cacerts, and the two steps that change it while the hub serves.
 *
 *   tls/issuing.pem = the one in force, then those before it that are not retired
 *
 *   activate: signer takes it up ─► issuing.pem ─► registry and trust log ─► doors trust both
 *   retire:   registry and trust log, sessions end ─► issuing.pem ─► doors trust the others
 *             ─► the signer drops its key ─► trust log
 *
 * A crash between the steps is mended at the next start (settle), and each may be asked for again. */
#include "cloud/api/hub_room.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/signer/signer_client.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

enum { BUNDLE_BYTES = 16384, COUNT_MOST = 4 };

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* tls/issuing.pem, certificate by certificate. */
typedef struct {
    uint8_t block[BUNDLE_BYTES];
    porch_bytes pem[COUNT_MOST + 1];
    uint8_t fingerprint[COUNT_MOST + 1][32];
    size_t count;
} bundle;

static porch_err path_of(const porch_hub *h, const char *name, char out[PORCH_HUB_PATH_BYTES]) {
    return porch_path_join(h->start->dir, name, out, PORCH_HUB_PATH_BYTES);
}

static porch_err add(bundle *b, porch_buf *room, porch_bytes text, size_t index, porch_why *why) {
    porch_x509_info info;
    size_t from = room->len;
    PORCH_TRY(porch_x509_pick(text, index, room, why));
    porch_bytes one = {room->at + from, room->len - from};
    PORCH_TRY(porch_x509_read(one, &info, why));
    if (b->count > COUNT_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "tls/issuing.pem holds more than %d issuers", COUNT_MOST);
    b->pem[b->count] = one;
    memcpy(b->fingerprint[b->count++], info.fingerprint, 32);
    return PORCH_OK;
}

static porch_err read_bundle(const porch_hub *h, bundle *b, porch_why *why) {
    char path[PORCH_HUB_PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    porch_buf room = PORCH_BUF_OF(b->block);
    b->count = 0;
    PORCH_TRY(path_of(h, "tls/issuing.pem", path));
    PORCH_TRY(porch_file_read(path, BUNDLE_BYTES, &text, &len, why));
    porch_err e = PORCH_OK;
    for (size_t i = 0; e == PORCH_OK; i++)
        e = add(b, &room, (porch_bytes){text, len}, i, why);
    free(text);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* `first`, when it has one, then those of the bundle that are neither it nor `without`. */
static porch_err write_bundle(const porch_hub *h, const bundle *b, porch_bytes first,
                              const uint8_t *without, porch_why *why) {
    char path[PORCH_HUB_PATH_BYTES];
    uint8_t block[BUNDLE_BYTES];
    porch_buf out = PORCH_BUF_OF(block);
    PORCH_TRY(path_of(h, "tls/issuing.pem", path));
    porch_err e = porch_write_bytes(&out, first);
    for (size_t i = 0; i < b->count && e == PORCH_OK; i++)
        if (without == NULL || memcmp(b->fingerprint[i], without, 32) != 0)
            e = porch_write_bytes(&out, b->pem[i]);
    if (e != PORCH_OK) return porch_fail(why, e, "the issuers do not fit into tls/issuing.pem");
    return porch_file_write_atomic(path, porch_buf_bytes(&out), 0644, why);
}

static void tend_doors(porch_hub *h) {
    atomic_store(&h->issuers_changed, true);
    if (!porch_hub_tls_tend_now(h))
        porch_log(PORCH_LOG_WARN, "issuer.doors-slow", "hint",
                  "the doors go by the new issuers a little later; what is retired is refused already",
                  NULL);
}

/* ---- at start ---- */

typedef struct {
    const uint8_t *fingerprint;
    bool there, retired;
} lookup;

static bool look(const porch_registry_issuer *one, void *ctx) {
    lookup *l = ctx;
    l->there = memcmp(one->info.fingerprint, l->fingerprint, 32) == 0;
    l->retired = l->there && one->retired_ms != 0;
    return !l->there;
}

static lookup look_for(porch_hub *h, const uint8_t fingerprint[32]) {
    lookup l = {fingerprint, false, false};
    porch_registry_issuers(h->registry, look, &l);
    return l;
}

porch_err porch_hub_issuers_settle(porch_hub *h, porch_why *why) {
    bundle *b = calloc(1, sizeof *b);
    if (b == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the issuers");
    porch_err e = read_bundle(h, b, why);
    if (e == PORCH_OK && b->count == 0)
        e = porch_fail(why, PORCH_ERR_STATE, "tls/issuing.pem holds no certificate; restore it");
    if (e == PORCH_OK) e = porch_registry_issuer_force(h->registry, b->pem[0], "hub", why);
    for (size_t i = b->count; i > 1 && e == PORCH_OK; i--) {
        if (!look_for(h, b->fingerprint[i - 1]).retired) continue;
        e = write_bundle(h, b, (porch_bytes){NULL, 0}, b->fingerprint[i - 1], why);
        if (e == PORCH_OK) e = read_bundle(h, b, why);
    }
    free(b);
    return e;
}

/* ---- one comes into force ---- */

static porch_err judge(const porch_hub *h, porch_bytes pem, porch_x509_info *ret, porch_why *why) {
    char path[PORCH_HUB_PATH_BYTES];
    uint8_t *root = NULL;
    size_t len = 0;
    uint64_t now_ms = porch_clock_ms();
    const uint64_t life_ms = (uint64_t)h->settings.hub_certificate_days * 86400000;
    PORCH_TRY(porch_x509_read(pem, ret, why));
    PORCH_TRY(path_of(h, "tls/device-root.pem", path));
    PORCH_TRY(porch_file_read(path, PORCH_HUB_PEM_MOST, &root, &len, why));
    porch_err e = porch_x509_check_issuing(pem, (porch_bytes){root, len}, now_ms, why);
    free(root);
    if (e != PORCH_OK) return e;
    if (ret->not_after_ms < now_ms + life_ms)
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "this issuer ends before a certificate that it would issue today "
                          "(hub.certificate_days); have one signed that lives longer");
    return PORCH_OK;
}

static porch_err take_up(porch_hub *h, const bundle *b, porch_bytes pem, const porch_x509_info *info,
                         porch_why *why) {
    PORCH_TRY(porch_signer_issuer_use(h->signer, pem, why));
    porch_err e = write_bundle(h, b, pem, info->fingerprint, why);
    if (e != PORCH_OK) (void)porch_signer_issuer_use(h->signer, b->pem[0], NULL); /* goes on as before */
    return e;
}

static porch_err activate(porch_hub *h, bundle *b, porch_bytes text, porch_x509_info *ret, porch_why *why) {
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf one = PORCH_BUF_OF(block);
    PORCH_TRY(porch_x509_pick(text, 0, &one, why)); /* and nothing that stands beside it */
    porch_bytes pem = porch_buf_bytes(&one);
    PORCH_TRY(judge(h, pem, ret, why));
    PORCH_TRY(read_bundle(h, b, why));
    if (look_for(h, ret->fingerprint).retired)
        return porch_fail(why, PORCH_ERR_REVOKED, "that issuer is retired; make another (ca rotate)");
    bool in_force = b->count > 0 && memcmp(b->fingerprint[0], ret->fingerprint, 32) == 0;
    if (!in_force && b->count >= COUNT_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "%d issuers count already; retire one first (ca list)",
                          COUNT_MOST);
    if (!in_force) PORCH_TRY(take_up(h, b, pem, ret, why));
    return porch_registry_issuer_force(h->registry, pem, "operator", why);
}

porch_err porch_hub_issuer_activate(void *hub, const char *pem, porch_x509_info *ret, porch_why *why) {
    porch_hub *h = hub;
    bundle *b = calloc(1, sizeof *b);
    if (b == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the issuers");
    (void)pthread_mutex_lock(&one_at_a_time);
    porch_err e = activate(h, b, porch_bytes_of(pem), ret, why);
    (void)pthread_mutex_unlock(&one_at_a_time);
    free(b);
    if (e != PORCH_OK) return e;
    porch_log(PORCH_LOG_INFO, "issuer.in-force", "serial", ret->serial, NULL);
    tend_doors(h);
    return PORCH_OK;
}

/* ---- one goes ---- */

/* Again after a crash: retired it is, but still in the file. */
static porch_err take_out(porch_hub *h, const uint8_t fingerprint[32], porch_why *why) {
    bundle *b = calloc(1, sizeof *b);
    if (b == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the issuers");
    porch_err e = read_bundle(h, b, why);
    if (e == PORCH_OK) e = write_bundle(h, b, (porch_bytes){NULL, 0}, fingerprint, why);
    free(b);
    return e;
}

/* What could not be done now is done when 'ca retire' is asked for again; nothing else waits for it. */
static void destroy_key(porch_hub *h, porch_registry_issuer *one) {
    porch_why why = {{0}};
    if (one->key_gone_ms != 0) return;
    porch_err e = porch_signer_issuer_forget(h->signer, one->info.public_key_hash, &why);
    if (e == PORCH_OK)
        e = porch_registry_issuer_key_gone(h->registry, one->info.fingerprint, "operator", &why);
    if (e == PORCH_OK) {
        one->key_gone_ms = porch_clock_ms();
        porch_log(PORCH_LOG_INFO, "issuer.key-destroyed", "serial", one->info.serial, NULL);
    } else {
        porch_log(PORCH_LOG_WARN, "issuer.key-kept", "serial", one->info.serial, "error", porch_err_name(e),
                  "reason", porch_why_text(&why, e), NULL);
    }
}

porch_err porch_hub_issuer_retire(void *hub, const uint8_t fingerprint[32], bool force,
                                  porch_registry_issuer *ret, porch_why *why) {
    porch_hub *h = hub;
    (void)pthread_mutex_lock(&one_at_a_time);
    porch_err e = porch_registry_issuer_retire(h->registry, fingerprint, force, "operator", ret, why);
    if (e == PORCH_OK) e = take_out(h, fingerprint, why);
    (void)pthread_mutex_unlock(&one_at_a_time);
    if (e != PORCH_OK) return e;
    porch_log(PORCH_LOG_WARN, "issuer.retired", "serial", ret->info.serial, "cut_off",
              porch_log_number(ret->live + ret->ended).text, NULL);
    /* Who has a newer certificate may still be connected by an old one. */
    if (h->broker != NULL) porch_broker_cut_issued(h->broker, ret->place);
    tend_doors(h);
    destroy_key(h, ret);
    return PORCH_OK;
}
