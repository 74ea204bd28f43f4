#include "ota/client/slot_record.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"

static const char magic[8] = {'P', 'O', 'R', 'C', 'H', 'S', 'L', '1'};
enum { SUM_BYTES = 32, BODY_BYTES = PORCH_SLOT_RECORD_BYTES - SUM_BYTES };
static_assert(sizeof magic + 4 + 4 + 8 + 8 + (size_t)2 * (8 + 8 + 32) == BODY_BYTES,
              "the record's parts fill it");

void porch_slot_record_write(const porch_verify_ops *crypto, const porch_slot_record *r,
                             uint8_t out[PORCH_SLOT_RECORD_BYTES]) {
    porch_buf b = {out, 0, PORCH_SLOT_RECORD_BYTES};
    /* Everything fits: the assertion above counts it. */
    (void)porch_write_bytes(&b, (porch_bytes){(const uint8_t *)magic, sizeof magic});
    (void)porch_write_u32(&b, r->sequence);
    (void)porch_write_u8(&b, r->active);
    (void)porch_write_u8(&b, (uint8_t)r->other);
    (void)porch_write_u8(&b, r->tries);
    (void)porch_write_u8(&b, (uint8_t)r->reason);
    (void)porch_write_u64(&b, r->floor);
    (void)porch_write_u64(&b, r->written);
    for (size_t i = 0; i < 2; i++) {
        (void)porch_write_u64(&b, r->image[i].counter);
        (void)porch_write_u64(&b, r->image[i].length);
        (void)porch_write_bytes(&b, (porch_bytes){r->image[i].sha256, 32});
    }
    crypto->sha256(porch_buf_bytes(&b), out + BODY_BYTES);
}

static porch_err read_fields(porch_reader *in, porch_slot_record *r) {
    uint8_t other = 0, reason = 0;
    PORCH_TRY(porch_read_u32(in, &r->sequence));
    PORCH_TRY(porch_read_u8(in, &r->active));
    PORCH_TRY(porch_read_u8(in, &other));
    PORCH_TRY(porch_read_u8(in, &r->tries));
    PORCH_TRY(porch_read_u8(in, &reason));
    PORCH_TRY(porch_read_u64(in, &r->floor));
    PORCH_TRY(porch_read_u64(in, &r->written));
    for (size_t i = 0; i < 2; i++) {
        porch_bytes hash;
        PORCH_TRY(porch_read_u64(in, &r->image[i].counter));
        PORCH_TRY(porch_read_u64(in, &r->image[i].length));
        PORCH_TRY(porch_read_bytes(in, 32, &hash));
        memcpy(r->image[i].sha256, hash.at, 32);
    }
    if (r->active > 1 || other > PORCH_SLOT_OLD || reason > PORCH_SLOT_BELOW_FLOOR ||
        r->tries > PORCH_SLOT_TRIES_MOST)
        return PORCH_ERR_MALFORMED;
    r->other = (porch_slot_state)other;
    r->reason = (porch_slot_reason)reason;
    return PORCH_OK;
}

porch_err porch_slot_record_read(const porch_verify_ops *crypto, porch_bytes bytes,
                                 porch_slot_record *ret) {
    porch_slot_record r = {0};
    uint8_t sum[SUM_BYTES];
    if (bytes.len != PORCH_SLOT_RECORD_BYTES || memcmp(bytes.at, magic, sizeof magic) != 0)
        return PORCH_ERR_MALFORMED;
    crypto->sha256((porch_bytes){bytes.at, BODY_BYTES}, sum);
    if (memcmp(sum, bytes.at + BODY_BYTES, SUM_BYTES) != 0) return PORCH_ERR_MALFORMED;
    porch_reader in = porch_reader_of((porch_bytes){bytes.at + sizeof magic, BODY_BYTES - sizeof magic});
    PORCH_TRY(read_fields(&in, &r));
    *ret = r;
    return PORCH_OK;
}

const char *porch_slot_state_text(porch_slot_state s) {
    static const char *const texts[] = {"empty",    "being written", "staged",
                                        "on trial", "rolled back",   "old"};
    return (unsigned)s < sizeof texts / sizeof texts[0] ? texts[s] : "unknown";
}

const char *porch_slot_reason_text(porch_slot_reason r) {
    static const char *const texts[] = {"", "the image is not what was signed",
                                        "it did not confirm its health in its tries",
                                        "it found itself unhealthy", "it is older than the floor"};
    return (unsigned)r < sizeof texts / sizeof texts[0] ? texts[r] : "unknown";
}
