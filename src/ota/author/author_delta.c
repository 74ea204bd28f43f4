#include "ota/author/author_delta.h"

#include <stdlib.h>

#include "crypto/verify.h"
#include "ota/author/author_match.h"
#include "ota/client/delta_head.h"
#include "ota/client/delta_syntax.h"

enum { SLOT_BITS_LARGE = 17, SLOT_BITS_SMALL = 11 };

typedef struct {
    porch_bytes old, fresh;
    porch_buf *out;
    porch_delta_coder coder;
    porch_delta_coder_state state;
    porch_delta_history history;
    porch_author_repeats repeats;
} maker;

static porch_err grow(porch_buf *b, size_t more) {
    if (b->cap - b->len >= more) return PORCH_OK;
    size_t cap = b->cap * 2 + more + 4096;
    uint8_t *at = realloc(b->at, cap);
    if (at == NULL) return PORCH_ERR_NO_SPACE;
    b->at = at;
    b->cap = cap;
    return PORCH_OK;
}

static porch_err on_byte(void *self, uint8_t *b) {
    maker *m = self;
    PORCH_TRY(grow(m->out, 1));
    m->out->at[m->out->len++] = *b;
    return PORCH_OK;
}

static void encode_fresh(maker *m, uint32_t at, uint32_t length) {
    uint32_t end = at + length;
    while (at < end) {
        uint32_t distance = 0, n = porch_author_repeats_find(&m->repeats, at, end - at, &distance);
        if (n > 0 && n < 64 && at + 1 < end) { /* is the one that begins a byte later longer? */
            uint32_t unused = 0;
            if (porch_author_repeats_find(&m->repeats, at + 1, end - at - 1, &unused) > n + 1) n = 0;
        }
        (void)porch_delta_repeats(&m->coder, &m->history, n > 0);
        if (n > 0) {
            (void)porch_delta_number(&m->coder, PORCH_DELTA_LENGTH, n - PORCH_DELTA_REPEAT_LEAST);
            (void)porch_delta_number(&m->coder, PORCH_DELTA_DISTANCE, distance - 1);
            for (uint32_t i = 0; i < n; i++)
                porch_delta_past(&m->history, m->fresh.at[at + i]);
            at += n;
        } else {
            (void)porch_delta_literal(&m->coder, &m->history, m->fresh.at[at]);
            at++;
        }
    }
}

static void encode(maker *m, const porch_author_piece *pieces, size_t count,
                   void (*tick)(void *ctx, uint64_t done), void *ctx) {
    uint32_t at = 0, old_at = 0;
    for (size_t i = 0; i < count && m->coder.error == PORCH_OK; i++) {
        const porch_author_piece *p = &pieces[i];
        if (p->same == 0 && p->fresh == 0) continue; /* a place that was only looked at */
        uint32_t forth = p->old_at - old_at, back = old_at - p->old_at;
        (void)porch_delta_number(&m->coder, PORCH_DELTA_SKIP,
                                 p->old_at >= old_at ? forth << 1 : ((back - 1) << 1 | 1));
        (void)porch_delta_number(&m->coder, PORCH_DELTA_SAME, p->same);
        (void)porch_delta_number(&m->coder, PORCH_DELTA_FRESH, p->fresh);
        for (uint32_t n = 0; n < p->same; n++)
            (void)porch_delta_changed(&m->coder, &m->history, m->old.at[p->old_at + n],
                                      m->fresh.at[at + n]);
        encode_fresh(m, at + p->same, p->fresh);
        at += p->same + p->fresh;
        old_at = p->old_at + p->same;
        if (tick != NULL) tick(ctx, at);
    }
    porch_delta_coder_end(&m->coder);
}

porch_err porch_author_delta(porch_bytes old, porch_bytes fresh, porch_author_delta_size size,
                             porch_buf *ret, void (*tick)(void *ctx, uint64_t done), void *ctx,
                             porch_why *why) {
    const porch_verify_ops *crypto = porch_verify_library();
    porch_delta_head head = {.old_length = old.len,
                             .new_length = fresh.len,
                             .slot_bits =
                                 size == PORCH_AUTHOR_DELTA_LARGE ? SLOT_BITS_LARGE : SLOT_BITS_SMALL};
    porch_buf out = {0};
    maker m = {.old = old, .fresh = fresh, .out = &out};
    porch_author_piece *pieces = NULL;
    size_t count = 0;
    if (old.len > PORCH_DELTA_IMAGE_MOST - 1 || fresh.len > PORCH_DELTA_IMAGE_MOST - 1 || fresh.len == 0)
        return porch_fail(why, PORCH_ERR_LIMIT, "a delta is made between images of 1 byte to 2 GiB");
    crypto->sha256(old, head.old_sha256);
    crypto->sha256(fresh, head.new_sha256);
    porch_err e = grow(&out, PORCH_DELTA_HEAD_BYTES);
    m.coder = (porch_delta_coder){
        .state = &m.state, .slot_bits = head.slot_bits, .encodes = true, .byte = on_byte, .self = &m};
    m.coder.slots = calloc((size_t)1 << head.slot_bits, sizeof *m.coder.slots);
    if (e != PORCH_OK || m.coder.slots == NULL) e = porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    if (e == PORCH_OK) e = porch_author_repeats_open(&m.repeats, fresh, why);
    if (e == PORCH_OK) e = porch_author_match(old, fresh, &pieces, &count, NULL, NULL, why);
    if (e == PORCH_OK) {
        porch_delta_head_write(&head, out.at);
        out.len = PORCH_DELTA_HEAD_BYTES;
        porch_delta_coder_begin(&m.coder);
        encode(&m, pieces, count, tick, ctx);
        e = m.coder.error;
    }
    porch_author_repeats_close(&m.repeats);
    free(m.coder.slots);
    free(pieces);
    if (e != PORCH_OK) {
        free(out.at);
        return porch_fail(why, e, "the delta could not be made: %s", porch_err_text(e));
    }
    *ret = out;
    return PORCH_OK;
}
