/* Any bytes as a hub's answers: the engine stays within its blocks and its clip, and settles at most once.
 * The input's first byte says in what bites the rest arrives and whether the clip has ended. */
#include "device/upload.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

enum { CLIP = 5000 };

static void give(porch_upload *u) {
    static const uint8_t clip[CLIP];
    uint64_t offset = 0;
    size_t n = porch_upload_wants(u, &offset);
    if (n == 0) return;
    if (offset > CLIP || n > CLIP - offset) abort();
    porch_upload_give(u, (porch_bytes){clip + offset, n}, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static uint8_t in[PORCH_UPLOAD_IN_LEAST], out[PORCH_UPLOAD_OUT_LEAST];
    static const uint8_t hash[32];
    porch_upload u;
    porch_upload_config config = {.host = "hub", .answer_ms = 20000};
    if (porch_id_parse(PORCH_LIT("event"), &config.event) != PORCH_OK) abort();
    if (porch_upload_init(&u, &config, (porch_bytes){0}, PORCH_BUF_OF(in), PORCH_BUF_OF(out)) != PORCH_OK)
        abort();
    if (len == 0) return 0;
    size_t bite = (at[0] & 0x3f) * 4u + 1u;
    porch_upload_grown(&u, CLIP, 1);
    if ((at[0] & 0x80) != 0) porch_upload_ended(&u, hash, 1);
    bool breaks = (at[0] & 0x40) != 0;
    at++;
    len--;
    porch_upload_connected(&u, 1);
    int settled = 0;
    while (len > 0) {
        size_t n = bite < len ? bite : len;
        porch_upload_take(&u, (porch_bytes){at, n}, 1);
        at += n;
        len -= n;
        porch_upload_event e;
        bool later = false;
        while (porch_upload_next(&u, &e)) {
            if (e.kind == PORCH_UPLOAD_COMPLETE || e.kind == PORCH_UPLOAD_REFUSED) settled++;
            if (e.kind == PORCH_UPLOAD_LATER) later = true;
        }
        if (later) porch_upload_connected(&u, 1);
        give(&u);
        porch_upload_sent(&u, porch_upload_output(&u).len, 1);
        if (breaks && (len & 7) == 0) {
            porch_upload_broken(&u);
            porch_upload_connected(&u, 1);
        }
    }
    if (settled > 1) abort();
    return 0;
}
