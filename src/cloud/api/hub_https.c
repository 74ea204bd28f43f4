/* The certificate of a public name on the people's door: whose files it is, whether it can be served, and
 * the way by which root hands a new one over.
 *
 *   hub.https_cert, hub.https_key     files that the hub's user can read, replaced by whoever renews them
 *   tls/https-cert.pem,               the pair that `porchlight https-cert` handed over through the admin
 *   tls/https.key.sealed              socket: an ACME client's files are root's, and root's they stay. The
 * key is sealed by the signer, whatever hub.seal is
 *
 * Handed over, the key waits as https.key.next.sealed until the certificate is in its place: then it takes
 * the old one's. Cut off before, the old pair is whole; cut off behind it, the certificate fits the key
 * that waits.
 *
 * A pair is served when certificate and key fit, the chain has not ended and it speaks for a name of the
 * hub; what cannot be served changes nothing. */
#include "cloud/api/hub_room.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#define SEAL_LABEL "tls-https"
#define KEY        "https.key.sealed"
#define NEXT_KEY   "https.key.next.sealed"

/* Who hands a pair over and who looks for a new one are two threads: each finds the other's work done. */
static pthread_mutex_t pair_lock = PTHREAD_MUTEX_INITIALIZER;

void porch_hub_https_find(porch_hub *h) {
    porch_hub_https *p = &h->https;
    char own[PORCH_HUB_PATH_BYTES];
    p->cert[0] = p->key[0] = '\0';
    p->handed_over = false;
    if (h->settings.hub_https_cert[0] != '\0') {
        (void)snprintf(p->cert, sizeof p->cert, "%s", h->settings.hub_https_cert);
        (void)snprintf(p->key, sizeof p->key, "%s", h->settings.hub_https_key);
        return;
    }
    if (porch_path_join(h->start->dir, "tls/https-cert.pem", own, sizeof own) != PORCH_OK ||
        access(own, F_OK) != 0 ||
        porch_path_join(h->start->dir, "tls/https.key.sealed", p->key, sizeof p->key) != PORCH_OK)
        return;
    memcpy(p->cert, own, sizeof own);
    p->handed_over = true;
}

/* Whatever changes a file changes this: another file in its place, other bytes, other rights. */
static uint64_t stir(uint64_t state, const char *path) {
    struct stat st;
    memset(&st, 0, sizeof st);
    if (stat(path, &st) != 0) return state * 31 + 1; /* a file that is away is a state as well */
    const uint64_t facts[] = {st.st_ino,
                              (uint64_t)st.st_size,
                              (uint64_t)st.st_mtim.tv_sec,
                              (uint64_t)st.st_mtim.tv_nsec,
                              (uint64_t)st.st_ctim.tv_sec,
                              (uint64_t)st.st_ctim.tv_nsec};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        state = (state ^ facts[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return state;
}

uint64_t porch_hub_https_state(const porch_hub *h) {
    return stir(stir(1, h->https.cert), h->https.key);
}

/* Could it be served? *info is its first certificate's. */
static porch_err judge(const porch_hub *h, porch_bytes chain, const porch_key *key, porch_x509_info *info,
                       porch_why *why) {
    uint64_t now_ms = porch_clock_ms();
    PORCH_TRY(porch_x509_read(chain, info, why));
    if (porch_x509_check_key(chain, key, NULL) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_STATE, "certificate and key do not belong together");
    if (now_ms >= info->not_after_ms)
        return porch_fail(why, PORCH_ERR_EXPIRED, "the certificate has ended; renew it");
    if (now_ms < info->not_before_ms)
        return porch_fail(why, PORCH_ERR_STATE, "the certificate has not begun; is the clock right?");
    for (size_t i = 0; i < h->names.count; i++)
        if (porch_x509_covers(chain, h->names.names[i], NULL) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_NOT_FOUND,
                      "the certificate speaks for none of the hub's names; add its name to hub.name");
}

static porch_err read_file(const char *path, uint8_t **at, size_t *len, porch_why *why) {
    porch_err e = porch_file_read(path, PORCH_HUB_PEM_MOST, at, len, why);
    if (e == PORCH_OK || access(path, R_OK) == 0) return e;
    return porch_fail(why, e,
                      "%s cannot be read by the hub's user; let root hand the pair over: porchlight -C DIR "
                      "https-cert --cert FILE --key FILE",
                      path);
}

/* ---- the key that was handed over ---- */

static porch_err open_tls(const porch_hub *h, int *fd, porch_why *why) {
    char path[PORCH_HUB_PATH_BYTES];
    PORCH_TRY(porch_path_join(h->start->dir, "tls", path, sizeof path));
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? PORCH_OK : porch_fail(why, PORCH_ERR_IO, "%s cannot be opened", path);
}

static porch_err keep_sealed(const porch_hub *h, int tls_fd, const char *name, porch_bytes pem,
                             porch_why *why) {
    porch_buf sealed = {NULL, 0, pem.len + PORCH_SIGNER_SEALED_EXTRA};
    if (pem.len > PORCH_SIGNER_PLAIN_MAX) return porch_fail(why, PORCH_ERR_LIMIT, "the key is too long");
    sealed.at = malloc(sealed.cap);
    if (sealed.at == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a key");
    porch_err e = porch_signer_seal(h->signer, SEAL_LABEL, pem, &sealed, why);
    if (e == PORCH_OK) e = porch_file_write_atomic_at(tls_fd, name, porch_buf_bytes(&sealed), 0600, why);
    free(sealed.at);
    return e;
}

/* The key whose certificate is in its place; one of before that lay open goes. */
static porch_err take_next(int tls_fd, porch_why *why) {
    if (renameat(tls_fd, NEXT_KEY, tls_fd, KEY) != 0 || fsync(tls_fd) != 0)
        return porch_fail(why, PORCH_ERR_IO, "tls/" NEXT_KEY " cannot be renamed: %s", strerror(errno));
    return porch_file_forget_at(tls_fd, "https.key", why);
}

/* Hubs of before kept it open. Beside a sealed one it is what an interrupted change has left. */
static porch_err seal_open_one(const porch_hub *h, int tls_fd, porch_why *why) {
    uint8_t *pem = NULL;
    size_t len = 0;
    if (faccessat(tls_fd, "https.key", F_OK, 0) != 0) return PORCH_OK;
    if (faccessat(tls_fd, KEY, F_OK, 0) == 0) return porch_file_forget_at(tls_fd, "https.key", why);
    PORCH_TRY(porch_file_read_at(tls_fd, "https.key", PORCH_SIGNER_PLAIN_MAX, &pem, &len, why));
    porch_err e = keep_sealed(h, tls_fd, KEY, (porch_bytes){pem, len}, why);
    porch_wipe(pem, len);
    free(pem);
    if (e == PORCH_OK) e = porch_file_forget_at(tls_fd, "https.key", why);
    if (e == PORCH_OK)
        porch_log(PORCH_LOG_INFO, "https-key.sealed", "file", "tls/https.key.sealed", "reason",
                  "it lay open; what was copied before stays good for whoever has it", NULL);
    return e;
}

static porch_err read_sealed(const porch_hub *h, int tls_fd, const char *name, uint8_t **at, size_t *len,
                             porch_why *why) {
    uint8_t *sealed = NULL;
    size_t sealed_len = 0;
    porch_buf pem = {malloc(PORCH_SIGNER_PLAIN_MAX), 0, PORCH_SIGNER_PLAIN_MAX};
    porch_err e = pem.at == NULL ? PORCH_ERR_NO_SPACE : PORCH_OK;
    if (e == PORCH_OK)
        e = porch_file_read_at(tls_fd, name, PORCH_SIGNER_PLAIN_MAX + PORCH_SIGNER_SEALED_EXTRA, &sealed,
                               &sealed_len, why);
    if (e == PORCH_OK)
        e = porch_signer_unseal(h->signer, SEAL_LABEL, (porch_bytes){sealed, sealed_len}, &pem, why);
    free(sealed);
    if (e != PORCH_OK) {
        free(pem.at);
        return e;
    }
    *at = pem.at;
    *len = pem.len;
    return PORCH_OK;
}

/* The key in `pem`, if the chain may be served with it; wipes and frees `pem`. */
static porch_err fit(const porch_hub *h, porch_bytes chain, uint8_t *pem, size_t len, porch_key **ret,
                     porch_why *why) {
    porch_x509_info info;
    porch_key *key = NULL;
    porch_err e = porch_key_load_pem((porch_bytes){pem, len}, &key, why);
    if (e == PORCH_OK) e = judge(h, chain, key, &info, why);
    porch_wipe(pem, len);
    free(pem);
    if (e == PORCH_OK)
        *ret = key;
    else
        porch_key_free(key);
    return e;
}

static porch_err fit_sealed(const porch_hub *h, int tls_fd, const char *name, porch_bytes chain,
                            porch_key **ret, porch_why *why) {
    uint8_t *pem = NULL;
    size_t len = 0;
    PORCH_TRY(read_sealed(h, tls_fd, name, &pem, &len, why));
    return fit(h, chain, pem, len, ret, why);
}

/* Completes what was cut off between certificate and key. */
static porch_err load_handed_over(const porch_hub *h, porch_bytes chain, porch_key **ret, porch_why *why) {
    int fd = -1;
    PORCH_TRY(open_tls(h, &fd, why));
    (void)pthread_mutex_lock(&pair_lock);
    porch_err e = seal_open_one(h, fd, why);
    if (e == PORCH_OK) e = fit_sealed(h, fd, KEY, chain, ret, why);
    if (e != PORCH_OK && faccessat(fd, NEXT_KEY, F_OK, 0) == 0 &&
        fit_sealed(h, fd, NEXT_KEY, chain, ret, NULL) == PORCH_OK) {
        porch_why own = {""};
        e = PORCH_OK;
        if (take_next(fd, &own) != PORCH_OK) /* the next load tries again */
            porch_log(PORCH_LOG_WARN, "https-key.unplaced", "reason", own.text, NULL);
    }
    (void)pthread_mutex_unlock(&pair_lock);
    close(fd);
    return e;
}

static porch_err load_named(const porch_hub *h, porch_bytes chain, porch_key **ret, porch_why *why) {
    uint8_t *pem = NULL;
    size_t len = 0;
    PORCH_TRY(read_file(h->https.key, &pem, &len, why));
    return fit(h, chain, pem, len, ret, why);
}

porch_err porch_hub_https_load(const porch_hub *h, porch_key **key, uint8_t **chain, size_t *chain_len,
                               porch_why *why) {
    uint8_t *cert = NULL;
    size_t cert_len = 0;
    PORCH_TRY(read_file(h->https.cert, &cert, &cert_len, why));
    const porch_bytes pem = {cert, cert_len};
    porch_err e = h->https.handed_over ? load_handed_over(h, pem, key, why) : load_named(h, pem, key, why);
    if (e != PORCH_OK) {
        free(cert);
        return e;
    }
    *chain = cert;
    *chain_len = cert_len;
    return PORCH_OK;
}

porch_err porch_hub_https_install(void *hub, const char *cert, const char *key, porch_x509_info *ret,
                                  porch_why *why) {
    porch_hub *h = hub;
    porch_key *read = NULL;
    uint64_t one = 1;
    int fd = -1;
    if (h->settings.hub_https_cert[0] != '\0')
        return porch_fail(why, PORCH_ERR_STATE,
                          "hub.conf names the files (hub.https_cert); take that line and hub.https_key out "
                          "first");
    PORCH_TRY(porch_key_load_pem(porch_bytes_of(key), &read, why));
    porch_err e = judge(h, porch_bytes_of(cert), read, ret, why);
    porch_key_free(read);
    if (e == PORCH_OK) e = open_tls(h, &fd, why);
    (void)pthread_mutex_lock(&pair_lock);
    if (e == PORCH_OK) e = keep_sealed(h, fd, NEXT_KEY, porch_bytes_of(key), why);
    if (e == PORCH_OK)
        e = porch_file_write_atomic_at(fd, "https-cert.pem", porch_bytes_of(cert), 0644, why);
    if (e == PORCH_OK) e = take_next(fd, why);
    (void)pthread_mutex_unlock(&pair_lock);
    if (fd >= 0) close(fd);
    if (e == PORCH_OK && h->tend_fd >= 0) (void)!write(h->tend_fd, &one, sizeof one);
    return e;
}
