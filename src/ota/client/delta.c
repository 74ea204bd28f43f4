#include "ota/client/delta.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const uint8_t magic[8] = {'P', 'O', 'R', 'C', 'H', 'D', 'J', '1'};
enum { SUM_BYTES = 32, PIECE_BYTES = 64 };
static_assert(sizeof(porch_delta_history) == 28, "no holes: a journal's checksum covers all of it");
static_assert(offsetof(porch_delta_place, history) == 8 + 32 + 32 + 16 + 7 * 4, "no holes here, either");
static_assert(sizeof(porch_delta_place) == offsetof(porch_delta_place, spare) + sizeof(uint32_t),
              "and none at the end");

/* ---- memory: place, slots, checksum, block ---- */

static size_t slots_bytes(unsigned slot_bits) {
    return ((size_t)1 << slot_bits) * sizeof(uint32_t);
}

static size_t record_bytes(const porch_delta *d) {
    return sizeof(porch_delta_place) + slots_bytes(d->head.slot_bits) + SUM_BYTES;
}

size_t porch_delta_memory_bytes(unsigned slot_bits, uint32_t block_bytes) {
    return sizeof(porch_delta_place) + slots_bytes(slot_bits) + SUM_BYTES + block_bytes;
}

/* ---- the patch, the old image ---- */

static porch_err on_byte(void *self, uint8_t *b) {
    porch_delta *d = self;
    uint64_t at = d->place->patch_at;
    if (at >= d->patch_length) return PORCH_ERR_TRUNCATED;
    if (at < d->patch_from || at >= d->patch_from + d->patch_held) {
        uint64_t left = d->patch_length - at;
        uint32_t n = left < PORCH_DELTA_PATCH_BYTES ? (uint32_t)left : PORCH_DELTA_PATCH_BYTES;
        d->patch_held = 0;
        PORCH_TRY(d->port->read_patch(d->self, at, d->patch_cache, n));
        d->patch_from = at;
        d->patch_held = n;
    }
    *b = d->patch_cache[at - d->patch_from];
    d->place->patch_at++;
    return PORCH_OK;
}

static porch_err old_byte(porch_delta *d, uint64_t at, uint8_t *b) {
    if (at < d->old_from || at >= d->old_from + d->old_held) {
        uint64_t left = d->head.old_length - at;
        uint32_t n = left < PORCH_DELTA_OLD_BYTES ? (uint32_t)left : PORCH_DELTA_OLD_BYTES;
        d->old_held = 0;
        PORCH_TRY(d->port->read_old(d->self, at, d->old_cache, n));
        d->old_from = at;
        d->old_held = n;
    }
    *b = d->old_cache[at - d->old_from];
    return PORCH_OK;
}

/* ---- the journal ---- */

/* Are all places that it speaks of inside the images? */
static bool inside(const porch_delta *d, const porch_delta_place *p) {
    if (p->new_at > d->head.new_length || p->old_at > d->head.old_length || p->patch_at > d->patch_length)
        return false;
    uint64_t left = d->head.new_length - p->new_at;
    return p->block_length <= d->block_bytes && p->block_length <= p->new_at &&
           (left == 0 || p->new_at % d->block_bytes == 0) && p->same <= d->head.old_length - p->old_at &&
           p->same <= left && p->fresh <= left - p->same && p->repeat <= p->fresh &&
           p->distance <= p->new_at;
}

static bool journal_fits(porch_delta *d, unsigned copy, porch_delta_place *ret) {
    const size_t len = record_bytes(d);
    uint8_t sum[SUM_BYTES];
    if (d->port->read_journal(d->self, copy, d->memory, len) != PORCH_OK) return false;
    if (memcmp(d->place->magic, magic, sizeof magic) != 0 ||
        memcmp(d->place->patch_sha256, d->patch_sha256, 32) != 0)
        return false;
    d->crypto->sha256((porch_bytes){d->memory, len - SUM_BYTES}, sum);
    if (memcmp(sum, d->memory + len - SUM_BYTES, SUM_BYTES) != 0) return false;
    const porch_delta_place *p = d->place;
    if (!inside(d, p)) return false;
    *ret = *p;
    if (p->block_length == 0) return true;
    if (d->port->read_new(d->self, p->new_at - p->block_length, d->block, p->block_length) != PORCH_OK)
        return false;
    d->crypto->sha256((porch_bytes){d->block, p->block_length}, sum);
    return memcmp(sum, p->block_sha256, SUM_BYTES) == 0;
}

/* The newest journal that fits into place and slots; false: none does, begin afresh. */
static bool take_up(porch_delta *d) {
    porch_delta_place each[2];
    bool fits[2] = {journal_fits(d, 0, &each[0]), journal_fits(d, 1, &each[1])};
    if (!fits[0] && !fits[1]) return false;
    d->copy = fits[1] && (!fits[0] || each[1].sequence > each[0].sequence);
    return journal_fits(d, d->copy, &each[0]);
}

static porch_err journal(porch_delta *d) {
    const size_t len = record_bytes(d);
    d->place->sequence++;
    d->crypto->sha256((porch_bytes){d->memory, len - SUM_BYTES}, d->memory + len - SUM_BYTES);
    PORCH_TRY(d->port->write_journal(d->self, 1u - d->copy, (porch_bytes){d->memory, len}));
    d->copy = 1u - d->copy;
    d->unjournalled = 0;
    return PORCH_OK;
}

porch_err porch_delta_forget(const porch_delta_port *port, void *self) {
    const uint8_t nothing[sizeof magic] = {0};
    for (unsigned copy = 0; copy < 2; copy++)
        PORCH_TRY(port->write_journal(self, copy, (porch_bytes){nothing, sizeof nothing}));
    return PORCH_OK;
}

/* ---- opening ---- */

porch_err porch_delta_open(porch_delta *d, const porch_slot_image *old, const porch_slot_image *fresh,
                           bool resume, uint64_t *from, porch_why *why) {
    uint8_t head[PORCH_DELTA_HEAD_BYTES];
    if (d->patch_length < sizeof head) return porch_fail(why, PORCH_ERR_MALFORMED, "this is no delta");
    PORCH_TRY(d->port->read_patch(d->self, 0, head, sizeof head));
    PORCH_TRY(porch_delta_head_read((porch_bytes){head, sizeof head}, &d->head, why));
    if (d->head.old_length != old->length || memcmp(d->head.old_sha256, old->sha256, 32) != 0)
        return porch_fail(why, PORCH_ERR_STATE,
                          "the delta is from another image than the one that runs here");
    if (d->head.new_length != fresh->length || memcmp(d->head.new_sha256, fresh->sha256, 32) != 0)
        return porch_fail(why, PORCH_ERR_STATE,
                          "the delta makes another image than the one that was signed");
    size_t needed = porch_delta_memory_bytes(d->head.slot_bits, d->block_bytes);
    if (needed > d->memory_most)
        return porch_fail(why, PORCH_ERR_LIMIT, "the delta needs %zu bytes of memory; this device has %lu",
                          needed, (unsigned long)d->memory_most);
    d->place = (porch_delta_place *)(void *)d->memory;
    d->coder = (porch_delta_coder){.state = &d->place->coder,
                                   .slots = (uint32_t *)(void *)(d->memory + sizeof *d->place),
                                   .slot_bits = d->head.slot_bits,
                                   .byte = on_byte,
                                   .self = d};
    d->block = d->memory + record_bytes(d);
    d->filled = d->unjournalled = d->old_held = d->patch_held = 0;
    d->copy = 1;
    if (!resume || !take_up(d)) {
        memset(d->place, 0, sizeof *d->place);
        memcpy(d->place->magic, magic, sizeof magic);
        memcpy(d->place->patch_sha256, d->patch_sha256, 32);
        d->place->patch_at = sizeof head;
        porch_delta_coder_begin(&d->coder);
        porch_delta_coder_load(&d->coder);
        if (d->coder.error != PORCH_OK) return porch_fail(why, d->coder.error, "the delta ends too early");
    }
    *from = d->place->new_at;
    return PORCH_OK;
}

/* ---- symbols ---- */

static porch_err malformed(porch_why *why) {
    return porch_fail(why, PORCH_ERR_MALFORMED, "the delta speaks of bytes that are in neither image");
}

static porch_err open_record(porch_delta *d, uint64_t left, porch_why *why) {
    porch_delta_place *p = d->place;
    uint32_t skip = porch_delta_number(&d->coder, PORCH_DELTA_SKIP, 0);
    uint32_t same = porch_delta_number(&d->coder, PORCH_DELTA_SAME, 0);
    uint32_t fresh = porch_delta_number(&d->coder, PORCH_DELTA_FRESH, 0);
    int64_t old_at =
        (int64_t)p->old_at + ((skip & 1) != 0 ? -(int64_t)(skip >> 1) - 1 : (int64_t)(skip >> 1));
    if (old_at < 0 || (uint64_t)old_at > d->head.old_length ||
        same > d->head.old_length - (uint64_t)old_at || same > left || fresh > left - same ||
        (same == 0 && fresh == 0))
        return malformed(why);
    p->old_at = (uint32_t)old_at;
    p->same = same;
    p->fresh = fresh;
    return PORCH_OK;
}

static porch_err open_repetition(porch_delta *d, uint64_t at, porch_why *why) {
    uint64_t length =
        (uint64_t)porch_delta_number(&d->coder, PORCH_DELTA_LENGTH, 0) + PORCH_DELTA_REPEAT_LEAST;
    uint64_t distance = (uint64_t)porch_delta_number(&d->coder, PORCH_DELTA_DISTANCE, 0) + 1;
    if (length > d->place->fresh || distance > at) return malformed(why);
    d->place->repeat = (uint32_t)length;
    d->place->distance = (uint32_t)distance;
    return PORCH_OK;
}

static void put(porch_delta *d, uint8_t b) {
    d->block[d->filled++] = b;
}

static porch_err same_byte(porch_delta *d) {
    uint8_t old = 0;
    PORCH_TRY(old_byte(d, d->place->old_at, &old));
    put(d, porch_delta_changed(&d->coder, &d->place->history, old, 0));
    d->place->old_at++;
    d->place->same--;
    return PORCH_OK;
}

/* Some bytes of the open repetition: from the block if they lie in it, else from what is written. */
static porch_err repeated_bytes(porch_delta *d, uint64_t at, uint32_t room) {
    uint8_t piece[PIECE_BYTES];
    porch_delta_place *p = d->place;
    uint64_t from = at - p->distance;
    uint32_t n = p->repeat < room ? p->repeat : room;
    if (from >= p->new_at) {
        n = 1;
        piece[0] = d->block[from - p->new_at];
    } else {
        if (n > PIECE_BYTES) n = PIECE_BYTES;
        if (n > p->new_at - from) n = (uint32_t)(p->new_at - from);
        PORCH_TRY(d->port->read_new(d->self, from, piece, n));
    }
    for (uint32_t i = 0; i < n; i++) {
        put(d, piece[i]);
        porch_delta_past(&p->history, piece[i]);
    }
    p->repeat -= n;
    p->fresh -= n;
    return PORCH_OK;
}

static porch_err fresh_byte(porch_delta *d, uint64_t at, porch_why *why) {
    if (porch_delta_repeats(&d->coder, &d->place->history, false)) return open_repetition(d, at, why);
    put(d, porch_delta_literal(&d->coder, &d->place->history, 0));
    d->place->fresh--;
    return PORCH_OK;
}

static porch_err fill(porch_delta *d, uint32_t wanted, porch_why *why) {
    while (d->filled < wanted) {
        uint64_t at = d->place->new_at + d->filled;
        if (d->place->same > 0)
            PORCH_TRY(same_byte(d));
        else if (d->place->repeat > 0)
            PORCH_TRY(repeated_bytes(d, at, wanted - d->filled));
        else if (d->place->fresh > 0)
            PORCH_TRY(fresh_byte(d, at, why));
        else
            PORCH_TRY(open_record(d, d->head.new_length - at, why));
        if (d->coder.error != PORCH_OK) return porch_fail(why, d->coder.error, "the delta ends too early");
    }
    return PORCH_OK;
}

porch_err porch_delta_step(porch_delta *d, bool *done, porch_why *why) {
    porch_delta_place *p = d->place;
    uint64_t left = d->head.new_length - p->new_at;
    uint32_t wanted = left < d->block_bytes ? (uint32_t)left : d->block_bytes;
    *done = false;
    if (wanted > 0) {
        PORCH_TRY(fill(d, wanted, why));
        PORCH_TRY(d->port->write_new(d->self, p->new_at, (porch_bytes){d->block, wanted}));
        d->crypto->sha256((porch_bytes){d->block, wanted}, p->block_sha256);
        p->block_length = wanted;
        p->new_at += wanted;
        d->filled = 0;
        d->unjournalled++;
    }
    bool last = p->new_at == d->head.new_length;
    if (last && p->patch_at != d->patch_length)
        return porch_fail(why, PORCH_ERR_MALFORMED, "the delta goes on behind the image's end");
    if (d->unjournalled >= d->checkpoint_blocks || (last && d->unjournalled > 0)) PORCH_TRY(journal(d));
    *done = last;
    return PORCH_OK;
}
