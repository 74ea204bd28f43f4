/* What a device remembers of its two slots, in 160 bytes that are written whole or count for nothing.
 *
 *   copy 0 ─┐  the newer one that is whole is the truth; a write goes to the other one, so that whatever
 * the power copy 1 ─┘  does to it, the truth before it stays
 *
 * The checksum finds torn writes and interrupted erases; it keeps no attacker out, who could write the
 * slots as well. */
#ifndef PORCH_OTA_CLIENT_SLOT_RECORD_H
#define PORCH_OTA_CLIENT_SLOT_RECORD_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/verify.h"

enum { PORCH_SLOT_RECORD_BYTES = 160, PORCH_SLOT_TRIES_MOST = 8 };

/* Of the slot that is not the active one. */
typedef enum {
    PORCH_SLOT_EMPTY,
    PORCH_SLOT_WRITING,     /* an image is on its way into it */
    PORCH_SLOT_STAGED,      /* whole: to be tried at the next boot */
    PORCH_SLOT_TRIAL,       /* was booted, and has not been confirmed */
    PORCH_SLOT_ROLLED_BACK, /* was tried or looked at, and is not used; `reason` says why */
    PORCH_SLOT_OLD          /* what was good before the active one */
} porch_slot_state;

typedef enum {
    PORCH_SLOT_NO_REASON,
    PORCH_SLOT_DAMAGED,       /* the image is not what was signed */
    PORCH_SLOT_NOT_CONFIRMED, /* it did not become healthy in its tries */
    PORCH_SLOT_UNHEALTHY,     /* it said itself that it is not */
    PORCH_SLOT_BELOW_FLOOR    /* older than the floor */
} porch_slot_reason;

typedef struct {
    uint64_t counter; /* the release's security counter: never below the floor */
    uint64_t length;
    uint8_t sha256[32];
} porch_slot_image;

typedef struct {
    uint32_t sequence;
    uint8_t active; /* 0 or 1 */
    porch_slot_state other;
    uint8_t tries; /* boots that a trial has left */
    porch_slot_reason reason;
    uint64_t floor;   /* the lowest counter that may still be booted */
    uint64_t written; /* bytes of the other slot that survive a power cut, while WRITING */
    porch_slot_image image[2];
} porch_slot_record;

void porch_slot_record_write(const porch_verify_ops *crypto, const porch_slot_record *r,
                             uint8_t out[PORCH_SLOT_RECORD_BYTES]);
/* MALFORMED: torn, erased, or never one of ours. */
porch_err porch_slot_record_read(const porch_verify_ops *crypto, porch_bytes bytes, porch_slot_record *ret);

const char *porch_slot_state_text(porch_slot_state s);
const char *porch_slot_reason_text(porch_slot_reason r);

#endif
