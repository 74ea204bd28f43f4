/* A peer's bytes, whole and in pieces whose size the first byte says: both must carry the same and end the
 * same way, never more than came in, and leave whole control frames. */
#include <stdlib.h>
#include <string.h>

#include "cloud/listener/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 };

typedef struct {
    uint8_t carried[MOST], control[PORCH_WS_CONTROL_MOST];
    size_t carried_len, control_len;
    bool over;
    const char *fault;
} played;

static void must(bool holds) {
    if (!holds) abort();
}

static void play(const uint8_t *data, size_t size, size_t step, played *ret) {
    static const porch_ws_limits limits = {600, 900, 6, 12};
    porch_ws *w = porch_ws_new(&limits);
    must(w != NULL);
    ret->carried_len = 0;
    for (size_t at = 0; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *piece = malloc(n);
        must(piece != NULL);
        memcpy(piece, data + at, n);
        size_t got = porch_ws_unwrap(w, piece, n, 0);
        must(got <= n);
        memcpy(ret->carried + ret->carried_len, piece, got);
        ret->carried_len += got;
        free(piece);
    }
    porch_buf out = PORCH_BUF_OF(ret->control);
    porch_ws_control(w, &out, true);
    ret->control_len = out.len;
    ret->over = porch_ws_over(w);
    ret->fault = porch_ws_fault(w);
    porch_ws_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static played whole, pieces;
    if (size < 2 || size > MOST) return 0;
    size_t step = (size_t)data[0] % 64 + 1;
    play(data + 1, size - 1, size - 1, &whole);
    play(data + 1, size - 1, step, &pieces);
    must(whole.over == pieces.over && whole.fault == pieces.fault);
    must(whole.carried_len == pieces.carried_len && whole.control_len == pieces.control_len);
    must(memcmp(whole.carried, pieces.carried, whole.carried_len) == 0);
    must(memcmp(whole.control, pieces.control, whole.control_len) == 0);
    for (size_t at = 0; at < whole.control_len;) {
        must(whole.control_len - at >= 2 && (whole.control[at] & 0xf8) == 0x88);
        size_t len = whole.control[at + 1];
        must(len < 126 && len <= whole.control_len - at - 2);
        at += 2 + len;
    }
    return 0;
}
