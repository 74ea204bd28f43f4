#include "device/fragment.h"

#include "base/cursor.h"

#define BOX(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
enum { SHORT_HEADER = 8, LONG_HEADER = 16 };

typedef struct {
    uint32_t type;
    uint64_t bytes; /* header included */
} mp4_box;

/* TRUNCATED when header or body do not lie within `left`; MALFORMED for a size that no box has. */
static porch_err box_read(porch_fragment_read read, void *ctx, uint64_t offset, uint64_t left,
                          mp4_box *ret) {
    uint8_t raw[LONG_HEADER];
    if (left < SHORT_HEADER) return PORCH_ERR_TRUNCATED;
    PORCH_TRY(read(ctx, offset, raw, SHORT_HEADER));
    porch_reader r = porch_reader_of((porch_bytes){raw, SHORT_HEADER});
    uint32_t size = 0, type = 0;
    PORCH_TRY(porch_read_u32(&r, &size));
    PORCH_TRY(porch_read_u32(&r, &type));
    uint64_t bytes = size, least = SHORT_HEADER;
    if (size == 1) {
        if (left < LONG_HEADER) return PORCH_ERR_TRUNCATED;
        PORCH_TRY(read(ctx, offset, raw, LONG_HEADER));
        r = porch_reader_of((porch_bytes){raw + SHORT_HEADER, LONG_HEADER - SHORT_HEADER});
        PORCH_TRY(porch_read_u64(&r, &bytes));
        least = LONG_HEADER;
    }
    /* Size 0 means "to the end of the file": of a file that was cut nobody knows where that is. */
    if (bytes < least) return PORCH_ERR_MALFORMED;
    if (bytes > left) return PORCH_ERR_TRUNCATED;
    *ret = (mp4_box){type, bytes};
    return PORCH_OK;
}

porch_err porch_fragment_whole_bytes(porch_fragment_read read, void *ctx, uint64_t bytes, uint64_t *ret) {
    uint64_t offset = 0, whole = 0;
    bool moov = false, moof = false;
    while (offset < bytes) {
        mp4_box box;
        porch_err e = box_read(read, ctx, offset, bytes - offset, &box);
        if (e == PORCH_ERR_TRUNCATED || e == PORCH_ERR_MALFORMED) break;
        PORCH_TRY(e);
        bool at_cut = moov && !moof && whole == offset; /* all before is whole */
        offset += box.bytes;
        if (box.type == BOX('m', 'o', 'o', 'v')) {
            moov = true;
            whole = offset;
        } else if (box.type == BOX('m', 'o', 'o', 'f')) {
            moof = true;
        } else if (box.type == BOX('m', 'd', 'a', 't')) {
            if (moov && moof) whole = offset;
            moof = moof && !moov;
        } else if (at_cut) {
            whole = offset; /* mfra and the like: no media, but bytes that were offered to the hub */
        }
    }
    *ret = whole;
    return PORCH_OK;
}
