/* Any bytes as the record of the slots, its checksum mended so that what lies behind it is reached:
 * refused, or a record that comes out the same again. */
#include "ota/client/slot_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void sum(porch_bytes b, uint8_t out[32]) {
    memset(out, 0, 32);
    for (size_t i = 0; i < b.len; i++)
        out[i % 32] = (uint8_t)(out[i % 32] * 31 + b.at[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const porch_verify_ops crypto = {.sha256 = sum};
    uint8_t bytes[PORCH_SLOT_RECORD_BYTES] = "PORCHSL1", again[PORCH_SLOT_RECORD_BYTES];
    porch_slot_record r;
    (void)porch_slot_record_read(&crypto, (porch_bytes){at, len}, &r);
    memcpy(bytes + 8, at, len < 120 ? len : 120);
    sum((porch_bytes){bytes, 128}, bytes + 128);
    if (porch_slot_record_read(&crypto, (porch_bytes){bytes, sizeof bytes}, &r) != PORCH_OK) return 0;
    if (r.active > 1 || porch_slot_state_text(r.other)[0] == 'u') abort();
    porch_slot_record_write(&crypto, &r, again);
    if (memcmp(bytes, again, sizeof bytes) != 0) abort();
    return 0;
}
