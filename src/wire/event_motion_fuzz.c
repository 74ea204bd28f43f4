/* An event that is accepted is written again and read back to the same event, thumbnail included. */
#include "wire/event_motion.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t jpeg[PORCH_EVENT_THUMBNAIL_MOST], out[PORCH_EVENT_MOTION_MOST];
    porch_event_motion e, f;
    porch_why why = {""};
    porch_buf j = PORCH_BUF_OF(jpeg), b = PORCH_BUF_OF(out);
    if (porch_event_motion_read((porch_bytes){data, size}, &e, &why) != PORCH_OK) {
        must(why.text[0] != '\0');
        return 0;
    }
    must(porch_base64_read(&j, e.thumbnail, false) == PORCH_OK);
    must(porch_event_motion_write(&b, &e, porch_buf_bytes(&j)) == PORCH_OK);
    must(porch_event_motion_read(porch_buf_bytes(&b), &f, NULL) == PORCH_OK);
    must(porch_id_eq(&e.id, &f.id) && e.at_ms == f.at_ms && e.score_e4 == f.score_e4 && e.clip == f.clip);
    must(memcmp(e.box_e4, f.box_e4, sizeof e.box_e4) == 0 && porch_bytes_eq(e.thumbnail, f.thumbnail));
    return 0;
}
