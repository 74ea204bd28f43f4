/* The messages between hub and signer: one request, one answer, each one SEQPACKET message.
 *
 *   request  number u32 | version u8 | op u8 | the op's fields in this order:
 *            profile u8, days u32, count u8 + names block16..., name block16, time u64, code block16,
 *            data block32
 *   answer   number u32 | version u8 | error u8 | why block16 | secret block16 | data block32
 *
 * Which fields an op carries stands in one table (signer_ipc.c). Both sides run the same program, still
 * each parses the other strictly: the hub faces the internet. Views look into the message. */
#ifndef PORCH_CLOUD_SIGNER_IPC_H
#define PORCH_CLOUD_SIGNER_IPC_H

#include "base/bytes.h"
#include "base/error.h"
#include "cloud/signer/signer_client.h"

enum { PORCH_SIGNER_IPC_VERSION = 1, PORCH_SIGNER_MESSAGE_MAX = 65536, PORCH_SIGNER_NAME_MAX = 255 };

typedef enum {
    PORCH_SIGNER_OP_ISSUE = 1,
    PORCH_SIGNER_OP_TOTP_MAKE = 2,
    PORCH_SIGNER_OP_TOTP_CHECK = 3,
    PORCH_SIGNER_OP_SEAL = 4,
    PORCH_SIGNER_OP_UNSEAL = 5,
    PORCH_SIGNER_OP_CLIP_KEY = 6,
    PORCH_SIGNER_OP_VAPID_KEY = 7,
    PORCH_SIGNER_OP_VAPID_TOKEN = 8,
    PORCH_SIGNER_OP_FORGET = 9,
    PORCH_SIGNER_OP_TRUST_HEAD = 10,
    PORCH_SIGNER_OP_UPDATE_KEYS = 11,
    PORCH_SIGNER_OP_UPDATE_SIGN = 12,
    PORCH_SIGNER_OP_TIME = 13,
    PORCH_SIGNER_OP_TIME_KEY = 14,
    PORCH_SIGNER_OP_ISSUER_NEXT = 15,
    PORCH_SIGNER_OP_ISSUER_USE = 16,
    PORCH_SIGNER_OP_CLOCK = 17,
    PORCH_SIGNER_OP_ISSUER_FORGET = 18,
    PORCH_SIGNER_OP_END
} porch_signer_op;

typedef struct {
    uint32_t number;
    porch_signer_op op;
    porch_signer_profile profile;
    uint32_t days;
    porch_bytes names[PORCH_SIGNER_NAMES_MAX];
    size_t names_count;
    porch_bytes name; /* account, label, clip id, a push service's origin, or what is forgotten */
    uint64_t now_ms;  /* for a VAPID token: when it ends */
    porch_bytes code;
    porch_bytes data; /* CSR, plain or sealed */
} porch_signer_request;

typedef struct {
    uint32_t number;
    porch_err error;
    porch_bytes why;
    porch_bytes secret; /* TOTP secret in base32 */
    porch_bytes data;
} porch_signer_answer;

const char *porch_signer_op_name(porch_signer_op op);
porch_err porch_signer_request_write(porch_buf *out, const porch_signer_request *in);
porch_err porch_signer_request_read(porch_bytes message, porch_signer_request *ret);
porch_err porch_signer_answer_write(porch_buf *out, const porch_signer_answer *in);
porch_err porch_signer_answer_read(porch_bytes message, porch_signer_answer *ret);

#endif
