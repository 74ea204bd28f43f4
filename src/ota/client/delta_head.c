#include "ota/client/delta_head.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "ota/client/delta_coder.h"

static const char magic[8] = {'P', 'O', 'R', 'C', 'H', 'D', 'L', '1'};
static_assert(sizeof magic + 8 + 8 + 1 + 32 + 32 == PORCH_DELTA_HEAD_BYTES, "the head's parts fill it");

void porch_delta_head_write(const porch_delta_head *h, uint8_t out[PORCH_DELTA_HEAD_BYTES]) {
    porch_buf b = {out, 0, PORCH_DELTA_HEAD_BYTES};
    /* Everything fits: the assertion above counts it. */
    (void)porch_write_bytes(&b, (porch_bytes){(const uint8_t *)magic, sizeof magic});
    (void)porch_write_u64(&b, h->old_length);
    (void)porch_write_u64(&b, h->new_length);
    (void)porch_write_u8(&b, h->slot_bits);
    (void)porch_write_bytes(&b, (porch_bytes){h->old_sha256, 32});
    (void)porch_write_bytes(&b, (porch_bytes){h->new_sha256, 32});
}

static porch_err read_fields(porch_reader *in, porch_delta_head *h) {
    porch_bytes old, new;
    PORCH_TRY(porch_read_u64(in, &h->old_length));
    PORCH_TRY(porch_read_u64(in, &h->new_length));
    PORCH_TRY(porch_read_u8(in, &h->slot_bits));
    PORCH_TRY(porch_read_bytes(in, 32, &old));
    PORCH_TRY(porch_read_bytes(in, 32, &new));
    memcpy(h->old_sha256, old.at, 32);
    memcpy(h->new_sha256, new.at, 32);
    return PORCH_OK;
}

porch_err porch_delta_head_read(porch_bytes bytes, porch_delta_head *ret, porch_why *why) {
    porch_delta_head h = {0};
    if (bytes.len < PORCH_DELTA_HEAD_BYTES || memcmp(bytes.at, magic, sizeof magic) != 0)
        return porch_fail(why, PORCH_ERR_MALFORMED, "this is no delta");
    porch_reader in =
        porch_reader_of((porch_bytes){bytes.at + sizeof magic, PORCH_DELTA_HEAD_BYTES - sizeof magic});
    PORCH_TRY(read_fields(&in, &h));
    if (h.old_length > PORCH_DELTA_IMAGE_MOST || h.new_length > PORCH_DELTA_IMAGE_MOST || h.new_length == 0)
        return porch_fail(why, PORCH_ERR_LIMIT, "the delta's images are empty or longer than 2 GiB");
    if (h.slot_bits < PORCH_DELTA_SLOT_BITS_LEAST || h.slot_bits > PORCH_DELTA_SLOT_BITS_MOST)
        return porch_fail(why, PORCH_ERR_LIMIT, "the delta asks for 2^%u slots", h.slot_bits);
    *ret = h;
    return PORCH_OK;
}
