/* The device's certificates on disk, and what is made of them.
 *
 *   cert.pem        in use, known to the hub
 *   cert.next.pem   renewed; there until the hub has let us in with it
 *
 *   renewed ─► cert.next.pem (whole or not at all) ─► the hub lets us in ─► renamed over cert.pem
 *
 * Both belong to the same key. Whatever the moment at which the power goes, one of the two is good: the old
 * one lives until the first use of the new one, which is on disk by then. A hub that will not have the new
 * one (it was restored from a backup, say) gets the old one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/x509.h"
#include "device/port/linux/device_key.h"
#include "device/port/linux/device_private.h"
#include "os/clock.h"
#include "os/file.h"

#define OWN_FILE  "cert.pem"
#define NEXT_FILE "cert.next.pem"

static porch_err path_of(const porch_device *d, const char *name, char out[FOLDER_BYTES], porch_why *why) {
    porch_err e = porch_path_join(d->folder, name, out, FOLDER_BYTES);
    return e == PORCH_OK ? e : porch_fail(why, e, "the path %.100s is too long", d->folder);
}

static porch_err read_part(const porch_device *d, const char *name, uint8_t **ret, size_t *len,
                           porch_why *why) {
    char path[FOLDER_BYTES];
    PORCH_TRY(path_of(d, name, path, why));
    return porch_file_read(path, PORCH_X509_INPUT_BYTES, ret, len, why);
}

static void warn(porch_device *d, const char *text) {
    (void)pthread_mutex_lock(&d->lock);
    porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_WARNING, .text = text});
    (void)pthread_mutex_unlock(&d->lock);
}

/* The certificate must be the one that device.conf speaks of, and the key its own. */
static porch_err check_identity(const porch_device *d, const char *file, porch_bytes cert,
                                porch_x509_info *ret, porch_why *why) {
    porch_x509_info info;
    PORCH_TRY(porch_x509_read(cert, &info, why));
    PORCH_TRY(porch_x509_check_key(cert, d->trust.key, why));
    porch_identity_kind kind = porch_device_is_service(d) ? PORCH_IDENTITY_SERVICE : PORCH_IDENTITY_DEVICE;
    if (info.identity.kind != kind || strcmp(info.identity.name, porch_device_id(d)) != 0)
        return porch_fail(
            why, PORCH_ERR_CONFIG, "%s is of %s '%s', device.conf says '%s'; make the folder anew", file,
            porch_identity_kind_text(info.identity.kind), info.identity.name, porch_device_id(d));
    *ret = info;
    return PORCH_OK;
}

/* Makes the clients of one of the two certificates; what was there before stays when it cannot. */
static porch_err use(porch_device *d, bool next, porch_why *why) {
    trust_side *t = &d->trust;
    const char *file = next ? NEXT_FILE : OWN_FILE;
    uint8_t *cert = NULL;
    size_t len = 0;
    porch_x509_info info;
    porch_tls_client *tls = NULL, *errand_tls = NULL;
    porch_err e = read_part(d, file, &cert, &len, why);
    if (e == PORCH_OK) e = check_identity(d, file, (porch_bytes){cert, len}, &info, why);
    porch_tls_client_config config = {.ca_pem = {t->ca, t->ca_len},
                                      .chain_pem = {cert, len},
                                      .key = t->key,
                                      .name = d->conf.host,
                                      .min_version = PORCH_TLS_1_3,
                                      .resume = true,
                                      .clock_ms = porch_device_proven_ms,
                                      .clock_ctx = d};
    if (e == PORCH_OK) e = porch_tls_client_new(&config, &tls, why);
    /* The errand's first word is for the time, where we can know the hub's: until then only the floor is
     * certain. See docs/threat-model.md, "A device without a clock". */
    config.resume = false;
    config.may_be_early = d->conf.time_key.there;
    if (config.may_be_early) config.clock_ms = porch_device_floor_ms;
    if (e == PORCH_OK) e = porch_tls_client_new(&config, &errand_tls, why);
    free(cert);
    if (e != PORCH_OK) {
        porch_tls_client_unref(tls);
        return e;
    }
    (void)pthread_mutex_lock(&d->lock); /* the updater may be about to take it */
    porch_tls_client *before = t->tls;
    t->tls = tls;
    (void)pthread_mutex_unlock(&d->lock);
    porch_tls_client_unref(before);
    porch_tls_client_unref(t->errand_tls);
    t->errand_tls = errand_tls;
    porch_link_use(&d->errand.link, errand_tls); /* one that still dials would use what is freed here */
    t->not_before_ms = info.not_before_ms;
    t->not_after_ms = info.not_after_ms;
    t->uses_next = next;
    porch_device_clock_raise(d, info.not_before_ms); /* the hub gave it to us, so that time has passed */
    porch_device_errand_plan(d);
    return PORCH_OK;
}

porch_err porch_device_trust_open(porch_device *d, porch_why *why) {
    char next[FOLDER_BYTES];
    porch_why unfit = {""};
    bool in_file = false;
    PORCH_TRY(path_of(d, NEXT_FILE, next, why));
    PORCH_TRY(read_part(d, "ca.pem", &d->trust.ca, &d->trust.ca_len, why));
    PORCH_TRY(porch_device_key_open(&d->conf, d->folder, &d->trust.key, &in_file, why));
    d->trust.has_next = access(next, F_OK) == 0;
    porch_err e = d->trust.has_next ? use(d, true, &unfit) : PORCH_ERR_NOT_FOUND;
    if (d->trust.has_next && e != PORCH_OK) {
        char text[TEXT_BYTES];
        d->trust.has_next = false;
        (void)snprintf(text, sizeof text, NEXT_FILE " is of no use and is left alone: %.180s", unfit.text);
        warn(d, text);
    }
    if (e != PORCH_OK) PORCH_TRY(use(d, false, why));
    porch_device_clock_open(d);
    if (in_file)
        warn(d, "the private key is a file (key.pem): for development only (key.file_for_development)");
    if (d->trust.not_after_ms <= porch_device_clock_ms(d))
        warn(d, porch_device_is_service(d)
                    ? "the certificate has ended; the hub will refuse it until its operator renews it"
                    : "the certificate has ended; it is renewed first, as long as the hub allows that");
    return PORCH_OK;
}

porch_tls_client *porch_device_trust_client(porch_device *d) {
    (void)pthread_mutex_lock(&d->lock);
    porch_tls_client *tls = porch_tls_client_ref(d->trust.tls);
    (void)pthread_mutex_unlock(&d->lock);
    return tls;
}

void porch_device_trust_free(porch_device *d) {
    porch_tls_client_unref(d->trust.tls);
    porch_tls_client_unref(d->trust.errand_tls);
    porch_key_free(d->trust.key);
    free(d->trust.ca);
}

static void connect_anew(porch_device *d, uint64_t now_ms) {
    porch_device_mqtt_again(d, now_ms);
    porch_device_upload_again(d);
}

porch_err porch_device_trust_renewed(porch_device *d, porch_bytes chain_pem, uint64_t now_ms,
                                     porch_why *why) {
    char path[FOLDER_BYTES], text[TEXT_BYTES], end[PORCH_CLOCK_TEXT_BYTES];
    porch_x509_info info;
    PORCH_TRY(check_identity(d, "the hub's answer", chain_pem, &info, why));
    PORCH_TRY(porch_x509_verify(chain_pem, (porch_bytes){d->trust.ca, d->trust.ca_len}, false,
                                porch_device_clock_ms(d), why));
    PORCH_TRY(path_of(d, NEXT_FILE, path, why));
    PORCH_TRY(porch_file_write_atomic(path, chain_pem, 0644, why));
    d->trust.has_next = true;
    PORCH_TRY(use(d, true, why));
    porch_clock_rfc3339(info.not_after_ms, end);
    (void)snprintf(text, sizeof text, "the new certificate holds until %s", end);
    (void)pthread_mutex_lock(&d->lock);
    porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_RENEWED, .text = text});
    (void)pthread_mutex_unlock(&d->lock);
    connect_anew(d, now_ms);
    porch_device_mqtt_hurry(d, now_ms);
    porch_device_upload_hurry(d, now_ms);
    return PORCH_OK;
}

/* The new one in the old one's place: whole or not at all, and then for good. */
static porch_err take_place(const porch_device *d, porch_why *why) {
    char next[FOLDER_BYTES], own[FOLDER_BYTES];
    PORCH_TRY(path_of(d, NEXT_FILE, next, why));
    PORCH_TRY(path_of(d, OWN_FILE, own, why));
    if (rename(next, own) != 0)
        return porch_fail(why, PORCH_ERR_IO, "the new certificate cannot take the old one's place: %s",
                          strerror(errno));
    return porch_dir_sync(d->folder, why);
}

void porch_device_trust_accepted(porch_device *d) {
    porch_why why = {""};
    if (!d->trust.has_next) return;
    if (d->trust.uses_next) {
        porch_err e = take_place(d, &why);
        if (e != PORCH_OK) {
            warn(d, porch_why_text(&why, e)); /* again with the next connection */
            return;
        }
        d->trust.has_next = d->trust.uses_next = false;
        (void)pthread_mutex_lock(&d->lock);
        porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_CERTIFICATE_IN_USE,
                                                    .text = "the old certificate is dead"});
        (void)pthread_mutex_unlock(&d->lock);
        return;
    }
    /* The hub takes the old one, so it does not know the new one. */
    char next[FOLDER_BYTES];
    if (path_of(d, NEXT_FILE, next, NULL) == PORCH_OK) (void)unlink(next);
    d->trust.has_next = false;
    warn(d, "the hub does not know the renewed certificate; the old one stays in use");
}

void porch_device_trust_refused(porch_device *d, uint64_t now_ms) {
    porch_why why = {""};
    if (porch_device_is_service(d)) return;
    /* A new certificate that is refused says nothing about the old one. */
    if (!d->trust.uses_next) d->errand.urgent = true;
    if (!d->trust.has_next) return;
    porch_err e = use(d, !d->trust.uses_next, &why);
    if (e != PORCH_OK) {
        warn(d, porch_why_text(&why, e));
        return;
    }
    connect_anew(d, now_ms); /* the pauses hold, and grow: both may be refused for ever */
}
