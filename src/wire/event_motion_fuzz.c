/* An event that is accepted can be written again, and then reads the same. */
#include "wire/event_motion.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t jpeg[PORCH_EVENT_THUMBNAIL_MOST + 3], text[PORCH_EVENT_MOTION_MOST];
    porch_event_motion e, back;
    porch_buf raw = PORCH_BUF_OF(jpeg), out = PORCH_BUF_OF(text);
    if (porch_event_motion_read((porch_bytes){data, size}, &e, NULL) != PORCH_OK) return 0;
    if (porch_base64_read(&raw, e.thumbnail, false) != PORCH_OK || raw.len > PORCH_EVENT_THUMBNAIL_MOST)
        return 0; /* stray bits */
    if (porch_event_motion_write(&out, &e, porch_buf_bytes(&raw)) != PORCH_OK) abort();
    if (porch_event_motion_read(porch_buf_bytes(&out), &back, NULL) != PORCH_OK) abort();
    if (back.at_ms != e.at_ms || back.score_e4 != e.score_e4 ||
        memcmp(back.box_e4, e.box_e4, sizeof e.box_e4) != 0 || back.clip != e.clip ||
        !porch_id_eq(&back.id, &e.id) || !porch_bytes_eq(back.thumbnail, e.thumbnail))
        abort();
    return 0;
}
