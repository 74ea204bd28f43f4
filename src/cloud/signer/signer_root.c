/* The root that says who may issue. Everything in DIR/tls is the hub's to write, so the signer keeps the
 * root's certificate itself, where the hub cannot reach: DIR/signer/root.pem, written by `init`. A hub that
 * was taken over may make authorities as it likes; none of them comes into force here, and no key gives way
 * to it.
 *
 * The signer of a hub from before this file takes over DIR/tls/device-root.pem, once, at its first start.
 */
#include "cloud/signer/signer_room.h"

#include <stdlib.h>

#include "crypto/x509.h"
#include "os/file.h"
#include "os/log.h"

enum { ROOT_BYTES = 16384 };

porch_err porch_signer_root_load(porch_signer_root *ret, const porch_signer_files *files, porch_why *why) {
    porch_err e =
        porch_file_read_at(files->dir_fd, PORCH_SIGNER_ROOT_FILE, ROOT_BYTES, &ret->pem, &ret->len, why);
    ret->kept = e == PORCH_OK;
    if (e != PORCH_ERR_NOT_FOUND) return e;
    return porch_file_read_fd(files->root_fd, "DIR/tls/device-root.pem", ROOT_BYTES, &ret->pem, &ret->len,
                              why);
}

porch_err porch_signer_root_check(const porch_signer_root *root, porch_bytes issuing_pem, uint64_t at_ms,
                                  porch_why *why) {
    return porch_x509_check_issuing(issuing_pem, (porch_bytes){root->pem, root->len}, at_ms, why);
}

porch_err porch_signer_root_keep(porch_signer_root *root, int dir_fd, porch_why *why) {
    const porch_bytes pem = {root->pem, root->len};
    char print[PORCH_X509_FINGERPRINT_TEXT_BYTES];
    porch_x509_info info;
    if (root->kept) return PORCH_OK;
    PORCH_TRY(porch_x509_read(pem, &info, why));
    PORCH_TRY(porch_file_write_atomic_at(dir_fd, PORCH_SIGNER_ROOT_FILE, pem, 0600, why));
    root->kept = true;
    porch_x509_fingerprint_text(info.fingerprint, print);
    porch_log(PORCH_LOG_WARN, "signer.root-kept", "sha256", print, "hint",
              "from now on only what this root has signed may issue; compare it once with the root's "
              "certificate that your devices have",
              NULL);
    return PORCH_OK;
}

void porch_signer_root_free(porch_signer_root *root) {
    free(root->pem);
    *root = (porch_signer_root){0};
}
