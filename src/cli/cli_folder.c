/* A device's or service's folder: what `porchlight-device FOLDER` is then run with. */
#include "cli/cli_room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/keystore.h"
#include "crypto/x509.h"
#include "os/file.h"

enum { CSR_MAX_BYTES = 16384, CONF_MAX_BYTES = 2048 };

static porch_err path_in(const porch_cli_folder *f, const char *name, char out[PORCH_CLI_PATH_BYTES],
                         porch_why *why) {
    porch_err e = porch_path_join(f->path, name, out, PORCH_CLI_PATH_BYTES);
    return e == PORCH_OK ? e : porch_fail(why, e, "the folder's path is too long");
}

static porch_err write_file(const porch_cli_folder *f, const char *name, porch_bytes bytes, mode_t mode,
                            porch_why *why) {
    char path[PORCH_CLI_PATH_BYTES];
    PORCH_TRY(path_in(f, name, path, why));
    return porch_file_write_atomic(path, bytes, mode, why);
}

/* Nothing that is there is ever written over: it may be a device's only key. */
static porch_err check_free(const porch_cli_folder *f, porch_why *why) {
    static const char *const files[] = {"key.pem", "cert.pem", "ca.pem", "device.conf"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PORCH_CLI_PATH_BYTES];
        PORCH_TRY(path_in(f, files[i], path, why));
        if (access(path, F_OK) == 0)
            return porch_fail(why, PORCH_ERR_EXISTS, "%s is there already; choose another --out folder",
                              path);
    }
    return PORCH_OK;
}

static porch_err make_folder(porch_cli_folder *f, porch_why *why) {
    struct stat st;
    f->made_folder = stat(f->path, &st) != 0;
    return porch_dir_make(f->path, 0700, why);
}

static porch_err make_key(porch_cli_folder *f, porch_why *why) {
    uint8_t key_block[PORCH_KEY_PEM_BYTES];
    uint8_t csr_block[PORCH_X509_PEM_BYTES];
    porch_buf key_pem = PORCH_BUF_OF(key_block);
    porch_buf csr = PORCH_BUF_OF(csr_block);
    porch_key *key = NULL;
    porch_err e = porch_key_generate_p256(&key, why);
    if (e == PORCH_OK) e = porch_csr_make(key, &csr, why);
    if (e == PORCH_OK) e = porch_key_pem(key, &key_pem, why);
    if (e == PORCH_OK) e = write_file(f, "key.pem", porch_buf_bytes(&key_pem), 0600, why);
    if (e == PORCH_OK) {
        f->made_key = true;
        f->csr_pem = strndup((const char *)csr.at, csr.len);
        if (!f->csr_pem) e = porch_fail(why, PORCH_ERR_BUSY, "out of memory");
    }
    porch_key_free(key);
    porch_wipe(key_block, sizeof key_block);
    return e;
}

static porch_err read_csr(porch_cli_folder *f, const char *csr_file, porch_why *why) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    PORCH_TRY(porch_file_read(csr_file, CSR_MAX_BYTES, &bytes, &len, why));
    f->csr_pem = (char *)bytes; /* ends with a zero */
    return strlen(f->csr_pem) == len
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_MALFORMED, "%s is no request in PEM", csr_file);
}

porch_err porch_cli_folder_begin(const char *path, const char *csr_file, porch_cli_folder *ret,
                                 porch_why *why) {
    *ret = (porch_cli_folder){.path = path};
    PORCH_TRY(check_free(ret, why));
    PORCH_TRY(make_folder(ret, why));
    return csr_file ? read_csr(ret, csr_file, why) : make_key(ret, why);
}

/* One value of device.conf: what would end its line or is missing makes the whole file wrong. */
static bool plain(const char *text) {
    return text[0] && !text[strcspn(text, "\r\n")];
}

/* Where the private key lies. One that was made here is a file, and the SDK wants to be told so. */
static int key_lines(const porch_cli_folder *f, char *out, size_t cap) {
    if (f->made_key) return snprintf(out, cap, "key.uri = file:key.pem\nkey.file_for_development = true\n");
    if (!f->key_uri) return 0;
    return snprintf(out, cap, "key.uri = %s\n%s%s%s", f->key_uri, f->key_tpm ? "key.tpm = " : "",
                    f->key_tpm ? f->key_tpm : "", f->key_tpm ? "\n" : "");
}

static porch_err conf_of(const porch_cli_folder *f, const char *kind, const char *name, const char *product,
                         const json_t *answer, char *out, size_t cap, porch_why *why) {
    const json_t *hub = json_object_get(answer, "hub");
    const char *id = porch_cli_member(hub, "id");
    const char *host = porch_cli_member(hub, "host");
    bool device = strcmp(kind, "device") == 0;
    if (!plain(id) || !plain(host) || !plain(name) || (device && !plain(product)))
        return porch_fail(why, PORCH_ERR_INTERNAL, "the hub's answer lacks its name or address");
    int n = snprintf(out, cap,
                     "hub.id = %s\nhub.host = %s\nhub.mqtt_port = %llu\nhub.device_port = %llu\n%s = %s\n",
                     id, host, (unsigned long long)porch_cli_number(hub, "mqtt_port"),
                     (unsigned long long)porch_cli_number(hub, "device_port"),
                     device ? "device.id" : "service.name", name);
    if (n > 0 && (size_t)n < cap && device)
        n += snprintf(out + n, cap - (size_t)n, "device.product = %s\n", product);
    const char *time_key = porch_cli_member(hub, "time_key");
    if (n > 0 && (size_t)n < cap && device && plain(time_key))
        n += snprintf(out + n, cap - (size_t)n, "hub.time_key = %s\n", time_key);
    if (n > 0 && (size_t)n < cap) n += key_lines(f, out + n, cap - (size_t)n);
    return n > 0 && (size_t)n < cap ? PORCH_OK
                                    : porch_fail(why, PORCH_ERR_NO_SPACE, "device.conf is too long");
}

porch_err porch_cli_folder_finish(const porch_cli_folder *f, const char *kind, const char *name,
                                  const char *product, const json_t *answer, porch_why *why) {
    char conf[CONF_MAX_BYTES];
    const char *cert = porch_cli_member(answer, "cert");
    const char *ca = porch_cli_member(answer, "ca");
    if (!cert[0] || !ca[0])
        return porch_fail(why, PORCH_ERR_INTERNAL, "the hub's answer lacks the certificate");
    PORCH_TRY(conf_of(f, kind, name, product, answer, conf, sizeof conf, why));
    PORCH_TRY(write_file(f, "cert.pem", porch_bytes_of(cert), 0644, why));
    PORCH_TRY(write_file(f, "ca.pem", porch_bytes_of(ca), 0644, why));
    return write_file(f, "device.conf", porch_bytes_of(conf), 0644, why);
}

void porch_cli_folder_undo(const porch_cli_folder *f) {
    char path[PORCH_CLI_PATH_BYTES];
    if (!f->path) return;
    if (f->made_key && path_in(f, "key.pem", path, NULL) == PORCH_OK) (void)unlink(path);
    if (f->made_folder) (void)rmdir(f->path);
}

void porch_cli_folder_free(porch_cli_folder *f) {
    free(f->csr_pem);
    f->csr_pem = NULL;
}
