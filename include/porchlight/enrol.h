/* A device's first certificate, over EST (RFC 7030): what a household's app or a factory gave it, for its
 * key.
 *
 *   key (made where it will stay) ─► proof that it lives there, where its store can give one ─► request
 *   ─► certificate ─► FOLDER: cert.pem, ca.pem, device.conf
 *
 * A folder that was in use in another home may hold that one's clips and messages, which would be sent to
 * this one's hub, and its wish, which would be obeyed. Say what becomes of them. */
#ifndef PORCHLIGHT_ENROL_H
#define PORCHLIGHT_ENROL_H

#include <porchlight/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of clips, messages and the wish that wait in FOLDER/state. */
typedef enum {
    PORCH_DEVICE_WAITING_REFUSE = 0, /* where there are any, enrolment is refused, with a sentence */
    PORCH_DEVICE_WAITING_KEEP,       /* the device comes back to the same home: its hub gets them */
    PORCH_DEVICE_WAITING_CLEAR       /* they are removed for good before there is a certificate */
} porch_device_waiting;

typedef struct {
    const char *folder;   /* made when missing; holds no certificate yet */
    const char *host;     /* as the hub's certificate has it */
    uint16_t device_port; /* 0: 8444 */
    uint16_t mqtt_port;   /* 0: 8883; for device.conf */
    const char *ca_file;  /* the root that the hub's certificate must reach */
    const char *token;    /* the claim token */
    const char *key_uri;  /* tpm2:..., pkcs11:...: the key that lies there, or a new one */
    const char *tpm;      /* how the TPM is reached; NULL: the default */
    porch_device_waiting waiting;
} porch_device_enrolment;

/* Blocks for the hub and the key's store; no device may be open with the folder. What waits is cleared when
 * the hub has said yes, so a failure before that costs nothing, and one after it leaves no certificate:
 * enrol again, and say the same. The product's secrets (porchlight/secret.h) stay: a product that forgets a
 * home removes them itself. Asking again with the same key and token is fine until the
 * certificate was used: the answer may have been lost. */
PORCH_DEVICE_API porch_device_result porch_device_enrol(const porch_device_enrolment *in,
                                                        porch_device_why *why);

#ifdef __cplusplus
}
#endif

#endif
