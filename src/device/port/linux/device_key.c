#include "device/port/linux/device_key.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <porchlight/key.h>

#include "crypto/key_uri.h"
#include "crypto/tpm.h"
#include "crypto/x509.h"
#include "device/port/linux/device_private.h"
#include "os/file.h"

enum { PATH_BYTES = 4096 };

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
    if (name[0] == '/') {
        if (!porch_bytes_to_text(porch_bytes_of(name), path, sizeof path)) return PORCH_ERR_NO_SPACE;
    } else if (porch_path_join(folder, name, path, sizeof path) != PORCH_OK) {
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the path %.100s is too long", folder);
    }
    PORCH_TRY(porch_file_check_mode(path, geteuid(), 0600, why));
    PORCH_TRY(porch_file_read(path, PORCH_X509_INPUT_BYTES, &pem, &len, why));
    porch_err e = porch_key_load_pem((porch_bytes){pem, len}, ret, why);
    porch_wipe(pem, len);
    free(pem);
    return e;
}

porch_err porch_device_key_open(const porch_device_conf *conf, const char *folder, porch_key **ret,
                                bool *in_file, porch_why *why) {
    const char *text = conf->key_uri[0] ? conf->key_uri : "file:key.pem";
    porch_key_uri uri;
    PORCH_TRY(porch_key_uri_parse(porch_bytes_of(text), &uri, why));
    *in_file = uri.place == PORCH_KEY_IN_FILE;
    if (*in_file) return open_file(conf, folder, uri.path, ret, why);
    return porch_key_uri_open(&uri, conf->key_tpm[0] ? conf->key_tpm : PORCH_TPM_DEFAULT_TCTI, ret, why);
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
