/* The hub's time, vouched for by its signer, for devices whose clock is wrong:
 *
 *   porchlight time 1 LF
 *   hub HUB-ID LF
 *   nonce 64 HEX LF              chosen by who asks
 *   time UNIX-MS LF
 *   timestamp 64 HEX or - LF     SHA-256 of the update repository's newest timestamp.json
 *   signature BASE64 LF          Ed25519 over everything above
 *
 * One form only: what the writer makes is all that the reader takes. */
#ifndef PORCH_WIRE_SIGNED_TIME_H
#define PORCH_WIRE_SIGNED_TIME_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    PORCH_SIGNED_TIME_NONCE_BYTES = 32,
    PORCH_SIGNED_TIME_SIGNATURE_BYTES = 64,
    PORCH_SIGNED_TIME_BYTES = 512 /* the whole text, at most */
};

#define PORCH_SIGNED_TIME_TYPE "application/vnd.porchlight.time"
#define PORCH_SIGNED_TIME_PATH "/.well-known/porchlight/time"
/* Carries the public half of the time key (base64 of its 32 bytes) in the answers of enrolment. */
#define PORCH_SIGNED_TIME_KEY_HEADER "Porchlight-Time-Key"

typedef struct {
    char hub[65];
    uint8_t nonce[PORCH_SIGNED_TIME_NONCE_BYTES];
    uint64_t at_ms;
    bool has_timestamp;
    uint8_t timestamp[32];
} porch_signed_time;

/* What is signed, appended. */
porch_err porch_signed_time_statement(const porch_signed_time *t, porch_buf *out);
/* The last line, appended behind the statement. */
porch_err porch_signed_time_sign(porch_bytes signature, porch_buf *out);
/* `statement` is a view of what the signature is over. Times before 1970 or after 9999 do not exist. */
porch_err porch_signed_time_read(porch_bytes text, porch_signed_time *ret, porch_bytes *statement,
                                 uint8_t signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES]);

#endif
