/* A device's small secrets on its own disk: Wi-Fi credentials, tokens. They are encrypted under a key that
 * the store of the device's key seals: who has the disk has nothing, unless the key is a file (development
 * only).
 *
 * No connection and no porch_device is needed: what joins the network reads them first. */
#ifndef PORCHLIGHT_SECRET_H
#define PORCHLIGHT_SECRET_H

#include <porchlight/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PORCH_DEVICE_SECRET_MOST  4096 /* bytes of one */
#define PORCH_DEVICE_SECRETS_MOST 64   /* in one folder */

typedef struct porch_secrets porch_secrets;

/* Opens FOLDER/secrets with the key that device.conf names; asks the key's store once. NULL on failure. */
PORCH_DEVICE_API porch_secrets *porch_secrets_open(const char *folder, porch_device_why *why);
/* Wipes what is in memory. NULL is allowed. */
PORCH_DEVICE_API void porch_secrets_close(porch_secrets *secrets);

/* Names: lower-case letters, digits and '-'. On disk and synced when it returns, whole or not at all. */
PORCH_DEVICE_API porch_device_result porch_secret_set(porch_secrets *secrets, const char *name,
                                                      const void *at, size_t len, porch_device_why *why);
/* At most `cap` bytes into `out`; wipe it when done. */
PORCH_DEVICE_API porch_device_result porch_secret_get(porch_secrets *secrets, const char *name, void *out,
                                                      size_t cap, size_t *len, porch_device_why *why);
PORCH_DEVICE_API porch_device_result porch_secret_remove(porch_secrets *secrets, const char *name,
                                                         porch_device_why *why);
/* Calls `fn` with each name, in no order, while it answers true. */
PORCH_DEVICE_API porch_device_result porch_secret_list(porch_secrets *secrets,
                                                       bool (*fn)(void *ctx, const char *name), void *ctx,
                                                       porch_device_why *why);

#ifdef __cplusplus
}
#endif

#endif
