/* A device's private key, made where it will stay: in a TPM or a PKCS#11 token.
 *
 *   porch_device_key_make ─► key in the store, request in PEM ─► porchlight device add ID --csr REQUEST
 * --key URI
 *
 * `device.conf` then names the key (key.uri), and porch_device_open uses it there: its private part is
 * never in the memory of the product or in its folder. */
#ifndef PORCHLIGHT_KEY_H
#define PORCHLIGHT_KEY_H

#include <porchlight/device.h>
#include <porchlight/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PORCH_DEVICE_REQUEST_MOST 4096

/* `uri`: "tpm2:0x81000010" (a free persistent handle) or "pkcs11:token=T;object=NAME?module-path=...".
 * `tpm`: how the TPM is reached, NULL for /dev/tpmrm0. The certificate request is written to `request_pem`,
 * zero-terminated; PORCH_DEVICE_REQUEST_MOST bytes suffice. Refused when the store has such a key. */
PORCH_DEVICE_API porch_device_result porch_device_key_make(const char *uri, const char *tpm,
                                                           char *request_pem, size_t request_bytes,
                                                           porch_device_why *why);

/* A file or device that the key's store opens, each time the key is used anew. */
#define PORCH_DEVICE_KEY_PATH_MOST   4096
#define PORCH_DEVICE_KEY_PLACES_MOST 2
typedef struct {
    char path[PORCH_DEVICE_KEY_PATH_MOST];
    bool write; /* it is written to as well: a TPM's device */
} porch_device_key_place;

typedef struct {
    bool in_token; /* a PKCS#11 token: its module may need more, which it alone knows (SoftHSM's folder) */
    size_t count;
    porch_device_key_place at[PORCH_DEVICE_KEY_PLACES_MOST];
} porch_device_key_places;

/* Where the key of FOLDER's device.conf lies, for a product that closes files to itself before it opens the
 * device: these must stay open to it. Opens nothing but device.conf; whether they exist is not looked at.
 */
PORCH_DEVICE_API porch_device_result porch_device_key_find(const char *folder, porch_device_key_places *ret,
                                                           porch_device_why *why);

#ifdef __cplusplus
}
#endif

#endif
