#include "device/port/linux/device_key.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <porchlight/key.h>

#include "crypto/key_uri.h"
#include "crypto/pkcs11.h"
#include "crypto/tpm.h"
#include "crypto/x509.h"
#include "device/port/linux/device_private.h"
#include "os/file.h"

enum { PATH_BYTES = 4096 };

porch_err porch_device_conf_load(const char *folder, porch_device_conf *ret, porch_why *why) {
    char path[PATH_BYTES];
    uint8_t *text = NULL;
    size_t len = 0;
    if (porch_path_join(folder, "device.conf", path, sizeof path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the path %.100s is too long", folder);
    porch_err e = porch_file_read(path, PORCH_DEVICE_CONF_BYTES_MOST, &text, &len, why);
    if (e == PORCH_ERR_NOT_FOUND)
        (void)porch_fail(
            why, e,
            "%.120s holds no device.conf; `porchlight device add` and `service add` make such folders",
            folder);
    if (e == PORCH_OK) e = porch_device_conf_parse((porch_bytes){text, len}, ret, why);
    free(text);
    return e;
}

static const char *uri_of(const porch_device_conf *conf) {
    return conf->key_uri[0] ? conf->key_uri : "file:key.pem";
}

static const char *tcti_of(const porch_device_conf *conf) {
    return conf->key_tpm[0] ? conf->key_tpm : PORCH_TPM_DEFAULT_TCTI;
}

/* A key file's name is a full path, or one in FOLDER. */
static porch_err path_of(const char *folder, const char *name, char *out, size_t cap, porch_why *why) {
    porch_err e = PORCH_OK;
    if (name[0] != '/')
        e = porch_path_join(folder, name, out, cap);
    else if (!porch_bytes_to_text(porch_bytes_of(name), out, cap))
        e = PORCH_ERR_NO_SPACE;
    return e == PORCH_OK ? e : porch_fail(why, PORCH_ERR_NO_SPACE, "the path %.100s is too long", name);
}

static porch_err open_file(const porch_device_conf *conf, const char *folder, const char *name,
                           porch_key **ret, porch_why *why) {
    char path[PATH_BYTES];
    uint8_t *pem = NULL;
    size_t len = 0;
    if (!conf->key_file_for_development)
        return porch_fail(
            why, PORCH_ERR_CONFIG,
            "the private key is a file, which is for development only: make one in a TPM or token "
            "(porchlight-device FOLDER make-key), or say key.file_for_development = true in "
            "device.conf");
    PORCH_TRY(path_of(folder, name, path, sizeof path, why));
    PORCH_TRY(porch_file_check_mode(path, geteuid(), 0600, why));
    PORCH_TRY(porch_file_read(path, PORCH_X509_INPUT_BYTES, &pem, &len, why));
    porch_err e = porch_key_load_pem((porch_bytes){pem, len}, ret, why);
    porch_wipe(pem, len);
    free(pem);
    return e;
}

porch_err porch_device_key_open(const porch_device_conf *conf, const char *folder, porch_key **ret,
                                bool *in_file, porch_why *why) {
    porch_key_uri uri;
    PORCH_TRY(porch_key_uri_parse(porch_bytes_of(uri_of(conf)), &uri, why));
    *in_file = uri.place == PORCH_KEY_IN_FILE;
    if (*in_file) return open_file(conf, folder, uri.path, ret, why);
    return porch_key_uri_open(&uri, tcti_of(conf), ret, why);
}

static porch_err make(const char *text, const char *tpm, porch_buf *csr, porch_why *why) {
    porch_key_uri uri;
    porch_key *key = NULL;
    PORCH_TRY(porch_key_uri_parse(porch_bytes_of(text), &uri, why));
    PORCH_TRY(porch_key_uri_make(&uri, tpm ? tpm : PORCH_TPM_DEFAULT_TCTI, &key, why));
    porch_err e = porch_csr_make(key, csr, why);
    porch_key_free(key);
    return e;
}

porch_device_result porch_device_key_make(const char *uri, const char *tpm, char *request_pem,
                                          size_t request_bytes, porch_device_why *why) {
    porch_why inner = {""};
    porch_buf csr = {(uint8_t *)request_pem, 0, request_bytes > 0 ? request_bytes - 1 : 0};
    porch_err e = make(uri, tpm, &csr, &inner);
    if (e == PORCH_OK) {
        request_pem[csr.len] = '\0';
        return PORCH_DEVICE_OK;
    }
    return porch_device_fail(why, e, &inner);
}

/* ---- which files that is, for whoever closes the others ---- */

static porch_err add_place(porch_device_key_places *places, const char *path, bool write, porch_why *why) {
    if (path[0] == '\0') return PORCH_OK;
    porch_device_key_place *p = &places->at[places->count];
    if (places->count == PORCH_DEVICE_KEY_PLACES_MOST ||
        !porch_bytes_to_text(porch_bytes_of(path), p->path, sizeof p->path))
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the path %.100s is too long", path);
    p->write = write;
    places->count++;
    return PORCH_OK;
}

/* Of tpm2-tss's ways to a TPM the one that opens a device; "device" alone looks for the usual one. The
 * others go over sockets. */
static const char *tpm_device(const char *tcti) {
    if (strcmp(tcti, "device") == 0) return "/dev/tpmrm0";
    return porch_bytes_starts(porch_bytes_of(tcti), PORCH_LIT("device:/")) ? tcti + strlen("device:") : "";
}

static porch_err find_places(const char *folder, porch_device_key_places *ret, porch_why *why) {
    char path[PATH_BYTES];
    porch_device_conf conf;
    porch_key_uri uri;
    porch_pkcs11_files files;
    PORCH_TRY(porch_device_conf_load(folder, &conf, why));
    PORCH_TRY(porch_key_uri_parse(porch_bytes_of(uri_of(&conf)), &uri, why));
    if (uri.place == PORCH_KEY_IN_FILE) {
        PORCH_TRY(path_of(folder, uri.path, path, sizeof path, why));
        return add_place(ret, path, false, why);
    }
    if (uri.place == PORCH_KEY_IN_TPM) return add_place(ret, tpm_device(tcti_of(&conf)), true, why);
    ret->in_token = true;
    PORCH_TRY(porch_pkcs11_files_of(uri.text, &files, why));
    PORCH_TRY(add_place(ret, files.module, false, why));
    return add_place(ret, files.pin, false, why);
}

porch_device_result porch_device_key_find(const char *folder, porch_device_key_places *ret,
                                          porch_device_why *why) {
    porch_why inner = {""};
    porch_device_key_places found = {.count = 0};
    porch_err e = find_places(folder, &found, &inner);
    if (e != PORCH_OK) return porch_device_fail(why, e, &inner);
    *ret = found;
    return PORCH_DEVICE_OK;
}
