/* The certificates of the hub's own doors: made and renewed through the signer, or the operator's own.
 *
 *   tls/hub.key  tls/hub-cert.pem   leaf and issuing certificate: what devices and services see
 *   tls/web.key  tls/web-cert.pem   by the web CA: what browsers see, unless there is a public name
 *   with hub.seal tpm or systemd: tls/hub.key.sealed, tls/web.key.sealed, opened by the signer
 *
 * A public name's certificate is the operator's (hub_https.c). A certificate of ours is taken as it is
 * while it fits its key, covers every name of hub.conf and has more than a third of its life before it. A
 * signer that is away does not keep the hub from starting while the old ones are still valid. */
#include "cloud/api/hub_room.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

enum { TICKET_LIFE_S = 3600, TEND_WAIT_S = 10 };

typedef struct {
    uint8_t *at;
    size_t len;
} file_bytes;

static porch_bytes view(file_bytes f) {
    return (porch_bytes){f.at, f.len};
}

static void drop(file_bytes *f, bool secret) {
    if (f->at != NULL && secret) porch_wipe(f->at, f->len);
    free(f->at);
    *f = (file_bytes){0};
}

static porch_err tls_path(const porch_hub *h, const char *name, char out[PORCH_HUB_PATH_BYTES]) {
    int n = snprintf(out, PORCH_HUB_PATH_BYTES, "%s/tls/%s", h->start->dir, name);
    return n > 0 && n < PORCH_HUB_PATH_BYTES ? PORCH_OK : PORCH_ERR_NO_SPACE;
}

static porch_err read_tls(const porch_hub *h, const char *name, file_bytes *ret, porch_why *why) {
    char path[PORCH_HUB_PATH_BYTES];
    PORCH_TRY(tls_path(h, name, path));
    return porch_file_read(path, PORCH_HUB_PEM_MOST, &ret->at, &ret->len, why);
}

/* Of a sealed hub: the key lies in NAME.sealed, which only this hub's signer opens; made when there is none
 * that it opens. A plain one from before the hub was sealed is removed: who has copied it has it. */
static porch_err sealed_key(const porch_hub *h, const char *name, const char *label, porch_key **ret,
                            porch_why *why) {
    uint8_t pem_block[PORCH_KEY_PEM_BYTES], sealed_block[PORCH_KEY_PEM_BYTES + PORCH_SIGNER_SEALED_EXTRA];
    char sealed_name[32], path[PORCH_HUB_PATH_BYTES];
    porch_buf pem = PORCH_BUF_OF(pem_block), sealed = PORCH_BUF_OF(sealed_block);
    porch_key *key = NULL;
    file_bytes file = {0};
    (void)snprintf(sealed_name, sizeof sealed_name, "%s.sealed", name);
    porch_err e = tls_path(h, name, path);
    if (e == PORCH_OK) (void)unlink(path);
    if (e == PORCH_OK) e = read_tls(h, sealed_name, &file, why);
    if (e == PORCH_OK) {
        e = porch_signer_unseal(h->signer, label, view(file), &pem, why);
        if (e == PORCH_OK) e = porch_key_load_pem(porch_buf_bytes(&pem), ret, why);
        drop(&file, false);
    }
    if (e == PORCH_ERR_NOT_FOUND || e == PORCH_ERR_SIGNATURE) {
        pem.len = 0;
        e = porch_key_generate_p256(&key, why);
        if (e == PORCH_OK) e = porch_key_pem(key, &pem, why);
        if (e == PORCH_OK) e = porch_signer_seal(h->signer, label, porch_buf_bytes(&pem), &sealed, why);
        if (e == PORCH_OK) e = tls_path(h, sealed_name, path);
        if (e == PORCH_OK) e = porch_file_write_atomic(path, porch_buf_bytes(&sealed), 0600, why);
        if (e == PORCH_OK)
            *ret = key;
        else
            porch_key_free(key);
    }
    porch_wipe(pem_block, sizeof pem_block);
    return e;
}

/* The key of that file, made when there is none. */
static porch_err own_key(const porch_hub *h, const char *name, const char *label, porch_key **ret,
                         porch_why *why) {
    if (strcmp(h->settings.hub_seal, "file") != 0) return sealed_key(h, name, label, ret, why);
    file_bytes pem = {0};
    uint8_t block[PORCH_KEY_PEM_BYTES];
    char path[PORCH_HUB_PATH_BYTES];
    porch_key *key = NULL;
    porch_err e = read_tls(h, name, &pem, why);
    if (e == PORCH_OK) {
        e = porch_key_load_pem(view(pem), ret, why);
        drop(&pem, true);
        return e;
    }
    if (e != PORCH_ERR_NOT_FOUND) return e;
    porch_buf out = PORCH_BUF_OF(block);
    e = tls_path(h, name, path);
    if (e == PORCH_OK) e = porch_key_generate_p256(&key, why);
    if (e == PORCH_OK) e = porch_key_pem(key, &out, why);
    if (e == PORCH_OK) e = porch_file_write_atomic(path, porch_buf_bytes(&out), 0600, why);
    porch_wipe(block, sizeof block);
    if (e == PORCH_OK)
        *ret = key;
    else
        porch_key_free(key);
    return e;
}

typedef enum { CERT_GOOD, CERT_AGEING, CERT_USELESS } cert_state;

static cert_state judge(const porch_guard_names *names, porch_bytes pem, const porch_key *key,
                        uint64_t now_ms) {
    porch_x509_info info;
    cert_state state = CERT_GOOD;
    if (pem.len == 0 || porch_x509_read(pem, &info, NULL) != PORCH_OK ||
        porch_x509_check_key(pem, key, NULL) != PORCH_OK || now_ms < info.not_before_ms ||
        now_ms >= info.not_after_ms)
        return CERT_USELESS;
    if (info.not_after_ms - now_ms < (info.not_after_ms - info.not_before_ms) / 3) state = CERT_AGEING;
    for (size_t i = 0; i < names->count; i++)
        if (porch_x509_covers(pem, names->names[i], NULL) != PORCH_OK) state = CERT_AGEING;
    return state;
}

static porch_err issue(porch_hub *h, porch_signer_profile profile, const porch_guard_names *wanted,
                       const porch_key *key, const char *file, porch_why *why) {
    uint8_t csr_block[PORCH_X509_PEM_BYTES];
    const char *names[PORCH_GUARD_NAMES];
    char path[PORCH_HUB_PATH_BYTES];
    porch_buf csr = PORCH_BUF_OF(csr_block);
    porch_buf pem = {malloc(PORCH_SIGNER_PEM_MAX), 0, PORCH_SIGNER_PEM_MAX};
    if (pem.at == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a certificate");
    for (size_t i = 0; i < wanted->count; i++)
        names[i] = wanted->names[i];
    porch_err e = porch_csr_make(key, &csr, why);
    if (e == PORCH_OK)
        e = porch_signer_issue(h->signer, profile, names, wanted->count, porch_buf_bytes(&csr), 0, &pem,
                               why);
    if (e == PORCH_OK) e = tls_path(h, file, path);
    if (e == PORCH_OK) e = porch_file_write_atomic(path, porch_buf_bytes(&pem), 0644, why);
    if (e == PORCH_OK) porch_log(PORCH_LOG_INFO, "certificate.issued", "file", path, NULL);
    free(pem.at);
    return e;
}

/* Was it issued by the authority that issues now, the first of tls/issuing.pem? One of before may be
 * retired any day. The web CA stands behind none of its certificates, and has no successor. */
static bool issuer_is_current(const porch_hub *h, porch_bytes chain) {
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf behind = PORCH_BUF_OF(block);
    porch_x509_info own, current;
    file_bytes issuing = {0};
    if (porch_x509_pick(chain, 1, &behind, NULL) != PORCH_OK ||
        porch_x509_read(porch_buf_bytes(&behind), &own, NULL) != PORCH_OK ||
        read_tls(h, "issuing.pem", &issuing, NULL) != PORCH_OK)
        return true;
    bool same = porch_x509_read(view(issuing), &current, NULL) != PORCH_OK ||
                memcmp(own.fingerprint, current.fingerprint, sizeof own.fingerprint) == 0;
    drop(&issuing, false);
    return same;
}

/* The certificate of `file`, renewed when that is due; *renewed (may be NULL) tells. */
static porch_err own_cert(porch_hub *h, porch_signer_profile profile, const porch_guard_names *names,
                          const porch_key *key, const char *file, file_bytes *ret, bool *renewed,
                          porch_why *why) {
    file_bytes pem = {0};
    porch_why own = {{0}};
    (void)read_tls(h, file, &pem, NULL);
    cert_state state = judge(names, view(pem), key, porch_clock_ms());
    if (state == CERT_GOOD && !issuer_is_current(h, view(pem))) state = CERT_AGEING;
    if (state == CERT_GOOD) {
        *ret = pem;
        return PORCH_OK;
    }
    porch_err e = issue(h, profile, names, key, file, &own);
    if (e != PORCH_OK && state == CERT_AGEING) {
        porch_log(PORCH_LOG_WARN, "certificate.not_renewed", "file", file, "reason",
                  porch_why_text(&own, e), NULL);
        *ret = pem;
        return PORCH_OK;
    }
    drop(&pem, false);
    if (e != PORCH_OK) return porch_fail(why, e, "%s", porch_why_text(&own, e));
    if (renewed != NULL) *renewed = true;
    return read_tls(h, file, ret, why);
}

/* Roots that clients' chains must reach, and the issuing CA that completes them. */
static porch_err client_authorities(const porch_hub *h, file_bytes *ret, porch_why *why) {
    file_bytes root = {0}, issuing = {0};
    porch_err e = read_tls(h, "device-root.pem", &root, why);
    if (e == PORCH_OK) e = read_tls(h, "issuing.pem", &issuing, why);
    if (e == PORCH_OK) {
        ret->len = root.len + issuing.len;
        ret->at = malloc(ret->len + 1);
        if (ret->at == NULL) e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for certificates");
    }
    if (e == PORCH_OK && ret->at != NULL) {
        if (root.len > 0) memcpy(ret->at, root.at, root.len);
        if (issuing.len > 0) memcpy(ret->at + root.len, issuing.at, issuing.len);
        ret->at[ret->len] = 0;
    }
    drop(&root, false);
    drop(&issuing, false);
    return e;
}

/* The authorities of factories, behind our own. */
static bool append_factory(const porch_registry_factory *f, void *ctx) {
    file_bytes *all = ctx;
    size_t len = strlen(f->pem);
    uint8_t *more = realloc(all->at, all->len + len + 2);
    if (more == NULL) return false;
    memcpy(more + all->len, f->pem, len);
    more[all->len + len] = '\n';
    more[all->len + len + 1] = 0;
    all->at = more;
    all->len += len + 1;
    return true;
}

/* The devices' HTTPS door also lets in whom a factory vouches for: to enrol, and for nothing else, since
 * the registry knows none of their certificates. One that cannot be used must not keep all devices out. */
static porch_err device_https_server(const porch_hub *h, porch_tls_server_config *config, file_bytes *own,
                                     porch_tls_server **ret, porch_why *why) {
    size_t before = own->len;
    if (h->registry != NULL) PORCH_TRY(porch_registry_factories(h->registry, append_factory, own, why));
    config->client_ca_pem = view(*own);
    config->any_usage = own->len > before;
    porch_err e = porch_tls_server_new(config, ret, why);
    if (e == PORCH_OK || own->len == before) return e;
    porch_log(PORCH_LOG_ERROR, "factory-ca.unusable", "reason", porch_why_text(why, e), "hint",
              "remove the one that was added last: porchlight -C DIR factory-ca remove NAME", NULL);
    config->client_ca_pem.len = before;
    config->any_usage = false;
    return porch_tls_server_new(config, ret, why);
}

static porch_err device_servers(porch_hub *h, porch_tls_server *servers[PORCH_LISTEN_ROLES], bool *renewed,
                                porch_why *why) {
    file_bytes chain = {0}, authorities = {0};
    porch_key *key = NULL;
    porch_err e = own_key(h, "hub.key", "tls-hub", &key, why);
    if (e == PORCH_OK)
        e = own_cert(h, PORCH_SIGNER_HUB_SERVER, &h->names, key, "hub-cert.pem", &chain, renewed, why);
    if (e == PORCH_OK) e = client_authorities(h, &authorities, why);
    porch_tls_server_config config = {
        .chain_pem = view(chain),
        .key = key,
        .client_ca_pem = view(authorities),
        .client_mode = PORCH_TLS_CLIENT_REQUIRE,
        .min_version = h->settings.hub_tls_12 ? PORCH_TLS_1_2 : PORCH_TLS_1_3,
        .alpn = {"mqtt"},
        .ticket_lifetime_s = TICKET_LIFE_S,
        .sessions_most = h->settings.listener_tls_sessions,
        .session_context = PORCH_LIT("porchlight-mqtt"),
    };
    if (e == PORCH_OK) e = porch_tls_server_new(&config, &servers[PORCH_LISTEN_MQTT], why);
    config.client_mode = PORCH_TLS_CLIENT_REQUEST;
    config.alpn[0] = "h2";
    config.alpn[1] = "http/1.1";
    config.session_context = PORCH_LIT("porchlight-device");
    if (e == PORCH_OK)
        e = device_https_server(h, &config, &authorities, &servers[PORCH_LISTEN_DEVICE], why);
    drop(&chain, false);
    drop(&authorities, false);
    porch_key_free(key);
    return e;
}

static porch_err make_people_server(const porch_hub *h, porch_bytes chain, const porch_key *key,
                                    porch_tls_server **ret, porch_why *why) {
    const porch_tls_server_config config = {
        .chain_pem = chain,
        .key = key,
        .client_mode = PORCH_TLS_CLIENT_NONE,
        .min_version = h->settings.hub_tls_12 ? PORCH_TLS_1_2 : PORCH_TLS_1_3,
        .alpn = {"h2", "http/1.1"},
        .ticket_lifetime_s = TICKET_LIFE_S,
        .session_context = PORCH_LIT("porchlight-people"),
    };
    return porch_tls_server_new(&config, ret, why);
}

/* The names that the web CA may vouch for: its constraints were fixed when it was made, hub.name may have
 * grown since. One that it may not vouch for would spoil the certificate for all. */
static porch_err web_names(const porch_hub *h, bool tell, porch_guard_names *ret, porch_why *why) {
    file_bytes ca = {0};
    porch_guard_names names = {.count = 0};
    PORCH_TRY(read_tls(h, "web-ca.pem", &ca, why));
    for (size_t i = 0; i < h->names.count; i++) {
        if (porch_x509_permits(view(ca), h->names.names[i], NULL) == PORCH_OK)
            memcpy(names.names[names.count++], h->names.names[i], sizeof names.names[0]);
        else if (tell)
            porch_log(
                PORCH_LOG_WARN, "web-ca.lacks-name", "name", h->names.names[i], "reason",
                "browsers refuse the hub under this name: its web CA was made for others; stop the hub "
                "and run: porchlight -C DIR ca renew-web (every phone then trusts the new one)",
                NULL);
    }
    drop(&ca, false);
    if (names.count == 0)
        return porch_fail(
            why, PORCH_ERR_CONFIG,
            "the web CA may vouch for none of the names in hub.name; run: porchlight -C DIR ca "
            "renew-web");
    *ret = names;
    return PORCH_OK;
}

static porch_err own_people_server(porch_hub *h, bool tell, porch_tls_server **ret, bool *renewed,
                                   porch_why *why) {
    file_bytes chain = {0};
    porch_key *key = NULL;
    porch_guard_names names;
    PORCH_TRY(web_names(h, tell, &names, why));
    porch_err e = own_key(h, "web.key", "tls-web", &key, why);
    if (e == PORCH_OK)
        e = own_cert(h, PORCH_SIGNER_WEB_SERVER, &names, key, "web-cert.pem", &chain, renewed, why);
    if (e == PORCH_OK) e = make_people_server(h, view(chain), key, ret, why);
    drop(&chain, false);
    porch_key_free(key);
    return e;
}

static porch_err public_server(porch_hub *h, porch_tls_server **ret, porch_why *why) {
    file_bytes chain = {0};
    porch_key *key = NULL;
    /* Before it is read: what changes meanwhile is looked at again. */
    h->https.state = porch_hub_https_state(h);
    porch_err e = porch_hub_https_load(h, &key, &chain.at, &chain.len, why);
    if (e == PORCH_ERR_CHILD) h->https.state = 0; /* the signer was away, the files are as they were */
    if (e == PORCH_OK) e = make_people_server(h, view(chain), key, ret, why);
    drop(&chain, false);
    porch_key_free(key);
    return e;
}

porch_err porch_hub_tls_servers(porch_hub *h, porch_tls_server *servers[PORCH_LISTEN_ROLES],
                                porch_why *why) {
    file_bytes web_ca = {0};
    porch_tls_server **people = &servers[PORCH_LISTEN_PEOPLE];
    porch_why own = {{0}};
    PORCH_TRY(device_servers(h, servers, NULL, why));
    porch_hub_https_find(h);
    h->https.serving = false;
    if (h->https.cert[0] != '\0') {
        porch_err e = public_server(h, people, &own);
        h->https.serving = e == PORCH_OK;
        /* Devices must not wait for a web page's certificate. */
        if (e != PORCH_OK)
            porch_log(PORCH_LOG_ERROR, "certificate.unusable", "file", h->https.cert, "error",
                      porch_err_name(e), "reason", porch_why_text(&own, e), "instead",
                      "the hub's own web CA, until the files are mended", NULL);
    }
    if (h->https.serving) return PORCH_OK;
    PORCH_TRY(own_people_server(h, true, people, NULL, why));
    if (read_tls(h, "web-ca.pem", &web_ca, NULL) == PORCH_OK) {
        h->web_ca = web_ca.at;
        h->web_ca_len = web_ca.len;
    }
    return PORCH_OK;
}

/* The public pair, when its files have changed since they were last tried. */
static void tend_public(porch_hub *h) {
    porch_tls_server *server = NULL;
    porch_why why = {{0}};
    porch_hub_https_find(h);
    if (h->https.cert[0] == '\0' || porch_hub_https_state(h) == h->https.state) return;
    porch_err e = public_server(h, &server, &why);
    if (e == PORCH_OK) {
        porch_listener_replace_tls(h->listener, PORCH_LISTEN_PEOPLE, server);
        h->https.serving = true;
        porch_log(PORCH_LOG_INFO, "certificate.reloaded", "file", h->https.cert, NULL);
    } else {
        porch_log(PORCH_LOG_WARN, "certificate.kept", "file", h->https.cert, "error", porch_err_name(e),
                  "reason", porch_why_text(&why, e), "instead", "the one from before is still served",
                  NULL);
    }
    porch_tls_server_unref(server);
}

static void tell_not_renewed(porch_err e, const porch_why *why) {
    porch_log(PORCH_LOG_WARN, "certificate.not_renewed", "error", porch_err_name(e), "reason",
              porch_why_text(why, e), NULL);
}

/* Who waits for the main thread to have looked. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t done;
    uint64_t asked, tended;
} waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

bool porch_hub_tls_tend_now(porch_hub *h) {
    const struct timespec until = porch_clock_mono_after(TEND_WAIT_S * UINT64_C(1000000000));
    int rc = 0;
    if (h->listener == NULL || h->tend_fd < 0) return true;
    (void)pthread_mutex_lock(&waiting.lock);
    const uint64_t mine = ++waiting.asked;
    (void)!write(h->tend_fd, &(uint64_t){1}, sizeof(uint64_t));
    while (waiting.tended < mine && rc == 0)
        rc = pthread_cond_clockwait(&waiting.done, &waiting.lock, CLOCK_MONOTONIC, &until);
    (void)pthread_mutex_unlock(&waiting.lock);
    return rc == 0;
}

static uint64_t tend_asked(void) {
    (void)pthread_mutex_lock(&waiting.lock);
    const uint64_t asked = waiting.asked;
    (void)pthread_mutex_unlock(&waiting.lock);
    return asked;
}

static void tended(uint64_t asked) {
    (void)pthread_mutex_lock(&waiting.lock);
    waiting.tended = asked;
    (void)pthread_cond_broadcast(&waiting.done);
    (void)pthread_mutex_unlock(&waiting.lock);
}

void porch_hub_tls_tend(porch_hub *h) {
    porch_tls_server *servers[PORCH_LISTEN_ROLES] = {NULL};
    const uint64_t asked = tend_asked();
    bool devices = atomic_exchange(&h->issuers_changed, false), people = false,
         factories = atomic_exchange(&h->factories_changed, false);
    porch_why why = {{0}};
    porch_err e = device_servers(h, servers, &devices, &why);
    if (e != PORCH_OK) {
        tell_not_renewed(e, &why);
        /* again at the next look */
        if (devices) atomic_store(&h->issuers_changed, true);
        if (factories) atomic_store(&h->factories_changed, true);
    }
    tend_public(h);
    if (!h->https.serving) {
        porch_err web = own_people_server(h, false, &servers[PORCH_LISTEN_PEOPLE], &people, &why);
        if (web != PORCH_OK) tell_not_renewed(web, &why);
    }
    for (unsigned role = 0; role < PORCH_LISTEN_ROLES; role++) {
        bool renewed = role == PORCH_LISTEN_PEOPLE ? people : devices;
        if (role == PORCH_LISTEN_DEVICE && factories) renewed = true;
        if (renewed && servers[role] != NULL)
            porch_listener_replace_tls(h->listener, (porch_listen_role)role, servers[role]);
        porch_tls_server_unref(servers[role]);
    }
    tended(asked);
}
