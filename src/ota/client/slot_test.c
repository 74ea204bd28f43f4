/* The table row by row, and a device whose power is cut: before, inside (at every byte) and behind every
 * write and erase, and a second time during the recovery. */
#include "ota/client/slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ota/client/delta.h"

/* ---- flash: erasing makes 0xff, writing clears bits, and each byte of either is a step that the power may
 * not reach ----
 */

enum { SECTOR = 16, IMAGE_BYTES = 3 * SECTOR, NEVER = -1, SLOT_BITS = 8 };
enum { JOURNAL_BYTES = sizeof(porch_delta_place) + (1 << SLOT_BITS) * 4 + 32 };

typedef struct {
    uint8_t record[2][PORCH_SLOT_RECORD_BYTES];
    uint8_t image[2][IMAGE_BYTES];
    uint8_t journal[2][JOURNAL_BYTES];
    bool by_delta; /* the update comes as one */
    bool has_counter;
    uint64_t counter; /* the key store's floor: no write to flash reaches it */
    long steps;       /* so far */
    long cut_at;      /* the step at which the power goes */
    bool off;
    bool full;    /* it takes no record */
    unsigned bug; /* one of the bugs below, made on purpose */
} flash;

enum {
    NO_BUG,
    BUG_ONE_COPY,
    BUG_LAZY_ERASE,
    BUG_EARLY_JOURNAL,
    BUG_TRUST_MAGIC,
    BUG_TRUST_JOURNAL,
    BUG_EARLY_COUNTER
};

static porch_why why;

static bool step(flash *f) {
    if (!f->off && f->steps++ == f->cut_at) f->off = true;
    return !f->off;
}

static porch_err erase(flash *f, uint8_t *at, size_t len) {
    if (!step(f)) return PORCH_ERR_IO; /* before */
    for (size_t i = 0; i < len; i++) {
        if (!step(f)) {
            at[i] |= 0x5a; /* a cell on its way reads as anything */
            return PORCH_ERR_IO;
        }
        at[i] = 0xff;
    }
    return step(f) ? PORCH_OK : PORCH_ERR_IO; /* behind */
}

static porch_err program(flash *f, uint8_t *at, const uint8_t *from, size_t len) {
    if (!step(f)) return PORCH_ERR_IO;
    for (size_t i = 0; i < len; i++) {
        if (!step(f)) {
            at[i] &= (uint8_t)(from[i] | 0xa5); /* torn: some bits are there */
            return PORCH_ERR_IO;
        }
        at[i] &= from[i];
    }
    return step(f) ? PORCH_OK : PORCH_ERR_IO;
}

static void sum(porch_bytes b, uint8_t out[32]) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.at[i]) * 0x100000001b3u;
    for (size_t i = 0; i < 32; i++)
        out[i] = (uint8_t)(h >> (i % 8 * 8)) ^ (uint8_t)i;
}

static void no_sum(porch_bytes b, uint8_t out[32]) {
    (void)b;
    memset(out, 7, 32);
}

static porch_err read_record(void *self, unsigned copy, uint8_t out[PORCH_SLOT_RECORD_BYTES]) {
    flash *f = self;
    memcpy(out, f->record[copy], PORCH_SLOT_RECORD_BYTES);
    if (f->bug == BUG_TRUST_MAGIC && out[0] == 'P') memset(out + 128, 7, 32); /* a torn trailer passes */
    return f->off ? PORCH_ERR_IO : PORCH_OK;
}

static porch_err write_record(void *self, unsigned copy, const uint8_t bytes[PORCH_SLOT_RECORD_BYTES]) {
    flash *f = self;
    if (f->bug == BUG_ONE_COPY) copy = 0;
    if (f->off) return PORCH_ERR_IO;
    if (f->full) return PORCH_ERR_FULL;
    porch_err e = erase(f, f->record[copy], PORCH_SLOT_RECORD_BYTES);
    return e == PORCH_OK ? program(f, f->record[copy], bytes, PORCH_SLOT_RECORD_BYTES) : e;
}

static porch_slot_image wanted[2];

static porch_err hash_image(void *self, unsigned slot, uint64_t length, uint8_t sha256[32]) {
    flash *f = self;
    if (length > IMAGE_BYTES) return PORCH_ERR_LIMIT;
    sum((porch_bytes){f->image[slot], (size_t)length}, sha256);
    /* With these an image is believed unread, as the journal says that it is there. */
    if (f->bug == BUG_LAZY_ERASE || f->bug == BUG_EARLY_JOURNAL || f->bug == BUG_TRUST_JOURNAL)
        memcpy(sha256, wanted[slot].sha256, 32);
    return PORCH_OK;
}

static porch_err read_floor(void *self, uint64_t *ret) {
    const flash *f = self;
    if (f->off) return PORCH_ERR_IO;
    *ret = f->counter;
    return PORCH_OK;
}

static porch_err no_floor(void *self, uint64_t *ret) {
    (void)self, (void)ret;
    return PORCH_ERR_AUTH;
}

/* By ones, as a TPM does; the power may go between any two. */
static porch_err raise_floor(void *self, uint64_t floor) {
    flash *f = self;
    while (f->counter < floor) {
        if (!step(f)) return PORCH_ERR_IO;
        f->counter++;
        if (!step(f)) return PORCH_ERR_IO;
    }
    return PORCH_OK;
}

static porch_slots on(flash *f) {
    static const porch_slot_port plain = {read_record, write_record, hash_image, NULL, NULL},
                                 counting = {read_record, write_record, hash_image, read_floor,
                                             raise_floor};
    static const porch_verify_ops crypto = {.sha256 = sum}, careless = {.sha256 = no_sum};
    return (porch_slots){.port = f->has_counter ? &counting : &plain,
                         .self = f,
                         .crypto = f->bug == BUG_TRUST_MAGIC ? &careless : &crypto,
                         .tries = 2};
}

/* ---- the device ---- */

static uint8_t version[3][IMAGE_BYTES]; /* 1 and 2 */

static porch_slot_image image_of(unsigned v) {
    porch_slot_image image = {.counter = v, .length = IMAGE_BYTES};
    sum((porch_bytes){version[v], IMAGE_BYTES}, image.sha256);
    return image;
}

static flash new_device(unsigned bug) {
    flash f = {.cut_at = NEVER, .bug = bug};
    for (size_t i = 0; i < IMAGE_BYTES; i++) {
        version[1][i] = (uint8_t)(i * 7 + 1);
        version[2][i] = (uint8_t)(i * 13 + 5);
    }
    wanted[0] = image_of(1);
    wanted[1] = image_of(2);
    memset(f.record, 0xff, sizeof f.record);
    memset(f.journal, 0x5a, sizeof f.journal);
    memset(f.image[1], 0x33, IMAGE_BYTES); /* an older image */
    memcpy(f.image[0], version[1], IMAGE_BYTES);
    porch_slots s = on(&f);
    porch_slot_image first = image_of(1);
    assert_int_equal(porch_slots_format(&s, &first, &why), PORCH_OK);
    f.steps = 0;
    return f;
}

/* Writes the image sector by sector from where it was cut. */
static porch_err install(flash *f, porch_slots *s) {
    porch_slot_image image = image_of(2);
    unsigned slot = 0;
    uint64_t from = 0;
    PORCH_TRY(porch_slots_begin(s, &image, &slot, &from, &why));
    for (size_t at = (size_t)from; at < IMAGE_BYTES; at += SECTOR) {
        if (f->bug == BUG_EARLY_JOURNAL) PORCH_TRY(porch_slots_progress(s, at + SECTOR, &why));
        if (f->bug != BUG_LAZY_ERASE || f->image[slot][at] != 0xff)
            PORCH_TRY(erase(f, f->image[slot] + at, SECTOR));
        PORCH_TRY(program(f, f->image[slot] + at, version[2] + at, SECTOR));
        if (f->bug != BUG_EARLY_JOURNAL) PORCH_TRY(porch_slots_progress(s, at + SECTOR, &why));
    }
    if (f->bug == BUG_EARLY_COUNTER)
        (void)raise_floor(f, 2); /* before anybody knows whether it is healthy */
    return porch_slots_stage(s, &why);
}

/* ---- the same by a delta ---- */

static uint8_t patch[512];
static size_t patch_len;

static porch_err put_byte(void *self, uint8_t *b) {
    (void)self;
    assert_true(patch_len < sizeof patch);
    patch[patch_len++] = *b;
    return PORCH_OK;
}

/* Version 2 from version 1: a changed piece, a fresh one, a repetition, and what is left from further on.
 */
static void make_patch(void) {
    static uint32_t slots[1 << SLOT_BITS];
    porch_delta_coder_state state;
    porch_delta_history h = {0};
    porch_delta_coder c = {
        .state = &state, .slots = slots, .slot_bits = SLOT_BITS, .encodes = true, .byte = put_byte};
    porch_slot_image a = image_of(1), b = image_of(2);
    porch_delta_head head = {.old_length = a.length, .new_length = b.length, .slot_bits = SLOT_BITS};
    memcpy(head.old_sha256, a.sha256, 32);
    memcpy(head.new_sha256, b.sha256, 32);
    porch_delta_head_write(&head, patch);
    patch_len = PORCH_DELTA_HEAD_BYTES;
    porch_delta_coder_begin(&c);
    const struct {
        uint32_t skip, same, fresh;
    } records[] = {{2, 20, 9}, {3, 19, 0}}; /* old bytes 1 to 20, then, two back, 19 to 37 */
    uint32_t old = 0, at = 0;
    for (size_t r = 0; r < 2; r++) {
        (void)porch_delta_number(&c, PORCH_DELTA_SKIP, records[r].skip);
        (void)porch_delta_number(&c, PORCH_DELTA_SAME, records[r].same);
        (void)porch_delta_number(&c, PORCH_DELTA_FRESH, records[r].fresh);
        old = (records[r].skip & 1) != 0 ? old - records[r].skip / 2 - 1 : old + records[r].skip / 2;
        for (uint32_t i = 0; i < records[r].same; i++)
            (void)porch_delta_changed(&c, &h, version[1][old++], version[2][at++]);
        for (uint32_t i = 0; i < records[r].fresh; i++) {
            (void)porch_delta_repeats(&c, &h, false);
            (void)porch_delta_literal(&c, &h, version[2][at++]);
        }
    }
    assert_int_equal(at, IMAGE_BYTES);
    porch_delta_coder_end(&c);
}

static porch_err copy_out(const flash *f, const uint8_t *from, size_t most, uint64_t at, uint8_t *out,
                          size_t len) {
    if (f->off || at > most || len > most - at) return PORCH_ERR_IO;
    memcpy(out, from + at, len);
    return PORCH_OK;
}
static porch_err on_patch(void *self, uint64_t at, uint8_t *out, size_t len) {
    return copy_out(self, patch, patch_len, at, out, len);
}
static porch_err on_old(void *self, uint64_t at, uint8_t *out, size_t len) {
    return copy_out(self, ((flash *)self)->image[0], IMAGE_BYTES, at, out, len);
}
static porch_err on_new(void *self, uint64_t at, uint8_t *out, size_t len) {
    return copy_out(self, ((flash *)self)->image[1], IMAGE_BYTES, at, out, len);
}
static porch_err on_write(void *self, uint64_t at, porch_bytes block) {
    flash *f = self;
    PORCH_TRY(erase(f, f->image[1] + at, block.len));
    return program(f, f->image[1] + at, block.at, block.len);
}
static porch_err on_read_journal(void *self, unsigned copy, uint8_t *out, size_t len) {
    PORCH_TRY(copy_out(self, ((flash *)self)->journal[copy], JOURNAL_BYTES, 0, out, len));
    if (((flash *)self)->bug == BUG_TRUST_JOURNAL) memset(out + len - 32, 7, 32); /* a torn one passes */
    return PORCH_OK;
}
static porch_err on_write_journal(void *self, unsigned copy, porch_bytes record) {
    flash *f = self;
    if (f->off) return PORCH_ERR_IO;
    PORCH_TRY(erase(f, f->journal[copy], JOURNAL_BYTES));
    return program(f, f->journal[copy], record.at, record.len);
}

static porch_err install_delta(flash *f, porch_slots *s) {
    static const porch_delta_port port = {on_patch, on_old,          on_new,
                                          on_write, on_read_journal, on_write_journal};
    static const porch_verify_ops crypto = {.sha256 = sum}, careless = {.sha256 = no_sum};
    static uint64_t memory[(JOURNAL_BYTES + SECTOR) / 8 + 1];
    porch_slot_image image = image_of(2);
    unsigned slot = 0;
    uint64_t written = 0, from = 0;
    bool resume = s->now.other == PORCH_SLOT_WRITING, done = false;
    porch_delta d = {.port = &port,
                     .self = f,
                     .crypto = f->bug == BUG_TRUST_JOURNAL ? &careless : &crypto,
                     .patch_length = patch_len,
                     .block_bytes = SECTOR,
                     .checkpoint_blocks = 1,
                     .memory_most = sizeof memory,
                     .memory = (uint8_t *)memory};
    if (!resume) PORCH_TRY(porch_delta_forget(&port, f));
    PORCH_TRY(porch_slots_begin(s, &image, &slot, &written, &why));
    PORCH_TRY(porch_delta_open(&d, &s->now.image[s->now.active], &image, resume, &from, &why));
    while (!done)
        PORCH_TRY(porch_delta_step(&d, &done, &why));
    return porch_slots_stage(s, &why);
}

typedef enum { GOES_ON, FINISHED, BRICKED, WENT_BELOW } fate;

/* From power on to the next reboot or cut. */
static fate live(flash *f, uint64_t *floor) {
    porch_slots s = on(f);
    unsigned slot = 0;
    porch_err e = porch_slots_open(&s, &why);
    if (e == PORCH_OK) e = porch_slots_boot(&s, &slot, &why);
    if (f->off) return GOES_ON;
    if (e != PORCH_OK) return BRICKED;
    unsigned runs = memcmp(f->image[slot], version[1], IMAGE_BYTES) == 0   ? 1
                    : memcmp(f->image[slot], version[2], IMAGE_BYTES) == 0 ? 2
                                                                           : 0;
    if (runs == 0) return BRICKED;
    if (runs < *floor) return WENT_BELOW;
    if (s.now.floor > *floor) *floor = s.now.floor;
    if (s.now.other == PORCH_SLOT_TRIAL && slot != s.now.active) {
        if (porch_slots_confirm(&s, &why) != PORCH_OK) return GOES_ON;
        *floor = 2;
        return FINISHED;
    }
    if (runs == 2) return FINISHED;
    (void)(f->by_delta ? install_delta(f, &s) : install(f, &s));
    return GOES_ON;
}

typedef struct {
    unsigned long cuts, bricked, below, unfinished;
} tally;

/* Until it is done; two cuts at most. */
static void run(flash f, long first, long second, tally *t) {
    uint64_t floor = 1;
    fate end = GOES_ON;
    f.cut_at = first;
    for (unsigned life = 0; life < 24 && end == GOES_ON; life++) {
        end = live(&f, &floor);
        if (!f.off) continue;
        t->cuts++;
        f.off = false;
        f.steps = 0;
        f.cut_at = second;
        second = NEVER;
        end = GOES_ON;
    }
    t->bricked += end == BRICKED;
    t->below += end == WENT_BELOW;
    t->unfinished += end == GOES_ON;
    /* One more start: the floor holds behind a finished update, and the key store knows it. */
    if (end == FINISHED) t->below += live(&f, &floor) == WENT_BELOW;
    if (end == FINISHED && f.has_counter) t->unfinished += f.counter != 2;
}

static tally sweep_by(bool by_delta, bool counts, unsigned bug, long stride) {
    flash fresh = new_device(bug);
    tally t = {0};
    fresh.by_delta = by_delta;
    fresh.has_counter = counts;
    fresh.counter = 1;
    if (by_delta) make_patch();
    uint64_t floor = 1;
    flash whole = fresh;
    while (live(&whole, &floor) == GOES_ON) {
    }
    const bool all = getenv("PORCH_SWEEP") != NULL;
    for (long first = 0; first < whole.steps;
         first += by_delta && !all ? 5 : 1) { /* a sample: each byte of a journal costs a run */
        run(fresh, first, NEVER, &t);
        for (long second = first % stride; second < whole.steps; second += stride)
            run(fresh, first, second, &t);
    }
    return t;
}

static tally sweep(unsigned bug, long stride) {
    return sweep_by(false, false, bug, stride);
}

static void a_cut_anywhere_of_a_delta_and_again_in_the_recovery_bricks_nothing(void **state) {
    (void)state;
    tally t = sweep_by(true, false, NO_BUG, getenv("PORCH_SWEEP") != NULL ? 61 : 4999);
    print_message("%lu cuts by delta: %lu bricked, %lu below the floor, %lu unfinished\n", t.cuts,
                  t.bricked, t.below, t.unfinished);
    assert_true(t.cuts > 10000);
    assert_int_equal(t.bricked + t.below + t.unfinished, 0);
    t = sweep_by(true, false, BUG_TRUST_JOURNAL,
                 99991); /* a torn journal is believed: there is no way on from it */
    assert_true(t.bricked + t.unfinished > 0);
}

static void a_cut_anywhere_and_again_in_the_recovery_bricks_nothing(void **state) {
    (void)state;
    tally t = sweep(NO_BUG, getenv("PORCH_SWEEP") != NULL ? 1 : 61);
    print_message("%lu cuts: %lu bricked, %lu below the floor, %lu unfinished\n", t.cuts, t.bricked,
                  t.below, t.unfinished);
    assert_true(t.cuts > 50000);
    assert_int_equal(t.bricked + t.below + t.unfinished, 0);
}

static void
with_a_counter_in_the_key_store_a_cut_anywhere_bricks_nothing_and_it_is_raised_in_the_end(void **state) {
    (void)state;
    tally t = sweep_by(false, true, NO_BUG, getenv("PORCH_SWEEP") != NULL ? 1 : 61);
    print_message("%lu cuts with a counter: %lu bricked, %lu below the floor, %lu unfinished\n", t.cuts,
                  t.bricked, t.below, t.unfinished);
    assert_true(t.cuts > 50000);
    assert_int_equal(t.bricked + t.below + t.unfinished, 0);
    assert_true(sweep_by(false, true, BUG_EARLY_COUNTER, 61).bricked > 0); /* raised before health */
}

static void the_simulator_finds_the_bugs_that_others_did_not(void **state) {
    (void)state;
    assert_true(sweep(BUG_ONE_COPY, 997).bricked > 0); /* the truth is overwritten in its place */
    assert_true(sweep(BUG_LAZY_ERASE, 997).bricked >
                0); /* a sector looks erased, and is so in its first byte alone */
    assert_true(sweep(BUG_EARLY_JOURNAL, 997).bricked >
                0); /* the journal says so before the bytes are there */
    assert_true(sweep(BUG_TRUST_MAGIC, 997).bricked >
                0); /* a torn trailer is believed for its first bytes */
}

/* ---- the table ---- */

static flash device_with(porch_slot_state other, uint8_t tries, unsigned active_version,
                         unsigned other_version, uint64_t floor) {
    flash f = new_device(NO_BUG);
    porch_slots s = on(&f);
    if (active_version != 0) memcpy(f.image[0], version[active_version], IMAGE_BYTES);
    memcpy(f.image[1], version[other_version != 0 ? other_version : 1], IMAGE_BYTES);
    porch_slot_record r = {.sequence = 9,
                           .other = other,
                           .tries = tries,
                           .floor = floor,
                           .image = {image_of(active_version != 0 ? active_version : 1),
                                     image_of(other_version != 0 ? other_version : 2)}};
    if (active_version == 0) f.image[0][3] ^= 1;
    porch_slot_record_write(s.crypto, &r, f.record[0]);
    return f;
}

static void each_row_of_the_table_decides_as_it_says(void **state) {
    (void)state;
    const struct {
        porch_slot_state other;
        uint8_t tries;
        unsigned active, second; /* versions; 0: damaged */
        uint64_t floor;
        int slot; /* -1: nothing boots */
        porch_slot_state after;
        porch_slot_reason reason;
    } rows[] = {
        {PORCH_SLOT_EMPTY, 0, 1, 2, 1, 0, PORCH_SLOT_EMPTY, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_WRITING, 0, 1, 2, 1, 0, PORCH_SLOT_WRITING, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_STAGED, 2, 1, 2, 1, 1, PORCH_SLOT_TRIAL, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_STAGED, 2, 1, 0, 1, 0, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_DAMAGED},
        {PORCH_SLOT_STAGED, 2, 2, 1, 2, 0, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_BELOW_FLOOR},
        {PORCH_SLOT_TRIAL, 1, 1, 2, 1, 1, PORCH_SLOT_TRIAL, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_TRIAL, 0, 1, 2, 1, 0, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_NOT_CONFIRMED},
        {PORCH_SLOT_TRIAL, 1, 1, 0, 1, 0, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_DAMAGED},
        {PORCH_SLOT_TRIAL, 0, 0, 2, 1, -1, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_NOT_CONFIRMED},
        {PORCH_SLOT_ROLLED_BACK, 0, 1, 2, 1, 0, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_OLD, 0, 2, 1, 1, 0, PORCH_SLOT_OLD, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_OLD, 0, 0, 2, 1, 1, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_DAMAGED},
        {PORCH_SLOT_OLD, 0, 1, 2, 2, 1, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_BELOW_FLOOR},
        {PORCH_SLOT_EMPTY, 0, 1, 2, 2, -1, PORCH_SLOT_EMPTY, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_OLD, 0, 0, 1, 2, -1, PORCH_SLOT_OLD, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_OLD, 0, 0, 0, 1, -1, PORCH_SLOT_OLD, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_EMPTY, 0, 0, 2, 1, -1, PORCH_SLOT_EMPTY, PORCH_SLOT_NO_REASON},
        {PORCH_SLOT_ROLLED_BACK, 0, 0, 2, 1, -1, PORCH_SLOT_ROLLED_BACK, PORCH_SLOT_NO_REASON},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        flash f = device_with(rows[i].other, rows[i].tries, rows[i].active, rows[i].second, rows[i].floor);
        porch_slots s = on(&f);
        unsigned slot = 9;
        assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
        porch_err e = porch_slots_boot(&s, &slot, &why);
        assert_int_equal(e, rows[i].slot >= 0 ? PORCH_OK : PORCH_ERR_NOT_FOUND);
        if (e == PORCH_OK) assert_int_equal(slot, rows[i].slot);
        assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
        assert_int_equal(s.now.other, rows[i].after);
        assert_int_equal(s.now.reason, rows[i].reason);
    }
}

static void a_trial_that_never_confirms_is_rolled_back_after_its_tries(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    porch_slots s = on(&f);
    unsigned slot = 9;
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    assert_int_equal(install(&f, &s), PORCH_OK);
    const unsigned boots[] = {1, 1, 0, 0};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
        assert_int_equal(slot, boots[i]);
    }
    assert_int_equal(s.now.reason, PORCH_SLOT_NOT_CONFIRMED);
    assert_int_equal(s.now.floor, 1);
}

/* An image on trial that fills the storage and dies: what was good before starts, and clears it up. */
static void a_storage_that_is_full_starts_what_was_good(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    porch_slots s = on(&f);
    unsigned slot = 9;
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    assert_int_equal(install(&f, &s), PORCH_OK);
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(slot, 1);
    f.full = true;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
        assert_int_equal(slot, 0);
        assert_int_equal(s.now.other, PORCH_SLOT_TRIAL);
    }
    f.image[0][3] ^= 1; /* neither is anything that is no image */
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_ERR_FULL);
    f.image[0][3] ^= 1;
    f.full = false;
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK); /* the second of its two tries */
    assert_int_equal(slot, 1);
    assert_int_equal(porch_slots_confirm(&s, &why), PORCH_OK);
    /* the new one is damaged later: the old one starts, with a record of it or without */
    f.image[1][3] ^= 1;
    f.full = true;
    for (int i = 0; i < 2; i++) {
        porch_err e = porch_slots_boot(&s, &slot, &why);
        assert_int_equal(e, PORCH_ERR_NOT_FOUND); /* it is below the floor that the new one set */
    }
}

static void a_storage_that_is_full_falls_back_all_the_same(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    porch_slots s = on(&f);
    unsigned slot = 9;
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    porch_slot_record r = s.now;
    r.image[1] = image_of(1);
    r.other = PORCH_SLOT_OLD;
    memcpy(f.image[1], version[1], IMAGE_BYTES);
    s.now = r;
    f.image[0][3] ^= 1;
    f.full = true;
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(slot, 1);
    assert_int_equal(s.now.active, 0);
    f.full = false;
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(slot, 1);
    assert_int_equal(s.now.active, 1);
}

static void the_floor_rises_with_health_alone_and_nothing_below_it_is_taken(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    porch_slots s = on(&f);
    porch_slot_image one = image_of(1), two = image_of(2);
    unsigned slot = 9;
    uint64_t from = 9;
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    assert_int_equal(porch_slots_confirm(&s, &why), PORCH_ERR_STATE);
    assert_int_equal(install(&f, &s), PORCH_OK);
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(s.now.floor, 1);
    assert_int_equal(porch_slots_begin(&s, &two, &slot, &from, &why), PORCH_ERR_STATE);
    assert_int_equal(porch_slots_reject(&s, &why), PORCH_OK);
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(slot, 0);
    assert_int_equal(s.now.reason, PORCH_SLOT_UNHEALTHY);
    assert_int_equal(install(&f, &s), PORCH_OK);
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(porch_slots_confirm(&s, &why), PORCH_OK);
    assert_int_equal(s.now.floor, 2);
    assert_int_equal(porch_slots_begin(&s, &one, &slot, &from, &why), PORCH_ERR_ROLLBACK);
    assert_int_equal(porch_slots_begin(&s, &two, &slot, &from, &why), PORCH_OK);
    assert_int_equal(slot, 0);
}

/* Who holds the storage puts all of yesterday's back: records, images, everything but the key store. */
static void yesterdays_flash_starts_nothing_below_the_counter(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    f.has_counter = true;
    f.counter = 1;
    const flash yesterday = f;
    uint64_t floor = 1;
    while (live(&f, &floor) == GOES_ON) {
    }
    assert_int_equal(f.counter, 2);
    uint64_t counter = f.counter;
    f = yesterday;
    f.counter = counter;
    porch_slots s = on(&f);
    porch_slot_image one = image_of(1), two = image_of(2);
    unsigned slot = 9;
    uint64_t from = 0;
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    assert_int_equal(s.now.floor, 2);
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_slots_begin(&s, &one, &slot, &from, &why), PORCH_ERR_ROLLBACK);
    /* The new image is what mends it. */
    assert_int_equal(porch_slots_begin(&s, &two, &slot, &from, &why), PORCH_OK);
    assert_int_equal(install(&f, &s), PORCH_OK);
    assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
    assert_int_equal(slot, 1);
    /* And a storage that is empty is not made anew with the old one. */
    memset(f.record, 0xff, sizeof f.record);
    s = on(&f);
    assert_int_equal(porch_slots_format(&s, &one, &why), PORCH_ERR_ROLLBACK);
    assert_int_equal(porch_slots_format(&s, &two, &why), PORCH_OK);
}

static void a_floor_that_cannot_be_read_starts_nothing(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    f.has_counter = true;
    f.counter = 1;
    porch_slots s = on(&f);
    f.off = true; /* of the reads, the record's come first */
    assert_int_equal(porch_slots_open(&s, &why), PORCH_ERR_NOT_FOUND);
    f.off = false;
    static const porch_slot_port dumb = {read_record, write_record, hash_image, no_floor, raise_floor};
    s.port = &dumb;
    assert_int_equal(porch_slots_open(&s, &why), PORCH_ERR_AUTH);
    assert_int_equal(s.kept, 0);
}

static void writing_goes_on_where_it_was_cut_for_the_same_image_alone(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    porch_slots s = on(&f);
    porch_slot_image two = image_of(2), other = two;
    unsigned slot = 9;
    uint64_t from = 9;
    other.counter = 3;
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    assert_int_equal(porch_slots_progress(&s, 1, &why), PORCH_ERR_STATE);
    assert_int_equal(porch_slots_begin(&s, &two, &slot, &from, &why), PORCH_OK);
    assert_int_equal(from, 0);
    assert_int_equal(porch_slots_progress(&s, 32, &why), PORCH_OK);
    assert_int_equal(porch_slots_progress(&s, IMAGE_BYTES + 1, &why), PORCH_ERR_STATE);
    s = on(&f);
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    assert_int_equal(porch_slots_begin(&s, &two, &slot, &from, &why), PORCH_OK);
    assert_int_equal(from, 32);
    assert_int_equal(porch_slots_stage(&s, &why), PORCH_ERR_HASH);
    assert_int_equal(porch_slots_begin(&s, &two, &slot, &from, &why), PORCH_OK);
    assert_int_equal(from, 0);
    assert_int_equal(porch_slots_progress(&s, 16, &why), PORCH_OK);
    assert_int_equal(porch_slots_begin(&s, &other, &slot, &from, &why), PORCH_OK);
    assert_int_equal(from, 0);
}

/* At each cut it is tried at the next boot or it is not, and it can be taken back, and staged, once more.
 */
static void what_is_staged_can_be_taken_back_at_any_cut(void **state) {
    (void)state;
    flash staged = new_device(NO_BUG);
    porch_slots s = on(&staged);
    assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
    assert_int_equal(porch_slots_unstage(&s, &why), PORCH_ERR_STATE);
    assert_int_equal(install(&staged, &s), PORCH_OK);
    staged.steps = 0;
    bool cut = true;
    unsigned tried = 0, rested = 0;
    for (long at = 0; cut; at++) {
        flash f = staged;
        porch_slot_image image = image_of(2);
        unsigned slot = 9;
        uint64_t from = 0;
        s = on(&f);
        assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
        f.cut_at = at;
        cut = porch_slots_unstage(&s, &why) != PORCH_OK;
        f.off = false;
        f.cut_at = NEVER;
        assert_int_equal(porch_slots_open(&s, &why), PORCH_OK);
        if (s.now.other == PORCH_SLOT_STAGED) {
            assert_true(cut);
            tried++;
            continue;
        }
        rested++;
        assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
        assert_int_equal(slot, 0);
        assert_int_equal(porch_slots_begin(&s, &image, &slot, &from, &why), PORCH_OK);
        assert_int_equal(from, IMAGE_BYTES);
        assert_int_equal(porch_slots_stage(&s, &why), PORCH_OK);
        assert_int_equal(porch_slots_boot(&s, &slot, &why), PORCH_OK);
        assert_int_equal(slot, 1);
    }
    assert_true(tried > PORCH_SLOT_RECORD_BYTES && rested > 0);
}

static void a_record_that_is_torn_at_any_byte_is_none(void **state) {
    (void)state;
    flash f = new_device(NO_BUG);
    porch_slots s = on(&f);
    porch_slot_record r = {.sequence = 1, .other = PORCH_SLOT_STAGED, .tries = 3, .floor = 1}, back;
    uint8_t bytes[PORCH_SLOT_RECORD_BYTES];
    porch_slot_record_write(s.crypto, &r, bytes);
    assert_int_equal(porch_slot_record_read(s.crypto, (porch_bytes){bytes, sizeof bytes}, &back), PORCH_OK);
    assert_int_equal(back.tries, 3);
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint8_t torn[PORCH_SLOT_RECORD_BYTES];
        memset(torn, 0xff, sizeof torn);
        memcpy(torn, bytes, len);
        assert_int_equal(porch_slot_record_read(s.crypto, (porch_bytes){torn, sizeof torn}, &back),
                         PORCH_ERR_MALFORMED);
        assert_int_equal(porch_slot_record_read(s.crypto, (porch_bytes){bytes, len}, &back),
                         PORCH_ERR_MALFORMED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_decides_as_it_says),
        cmocka_unit_test(a_trial_that_never_confirms_is_rolled_back_after_its_tries),
        cmocka_unit_test(a_storage_that_is_full_starts_what_was_good),
        cmocka_unit_test(a_storage_that_is_full_falls_back_all_the_same),
        cmocka_unit_test(the_floor_rises_with_health_alone_and_nothing_below_it_is_taken),
        cmocka_unit_test(yesterdays_flash_starts_nothing_below_the_counter),
        cmocka_unit_test(a_floor_that_cannot_be_read_starts_nothing),
        cmocka_unit_test(
            with_a_counter_in_the_key_store_a_cut_anywhere_bricks_nothing_and_it_is_raised_in_the_end),
        cmocka_unit_test(writing_goes_on_where_it_was_cut_for_the_same_image_alone),
        cmocka_unit_test(what_is_staged_can_be_taken_back_at_any_cut),
        cmocka_unit_test(a_record_that_is_torn_at_any_byte_is_none),
        cmocka_unit_test(a_cut_anywhere_and_again_in_the_recovery_bricks_nothing),
        cmocka_unit_test(the_simulator_finds_the_bugs_that_others_did_not),
        cmocka_unit_test(a_cut_anywhere_of_a_delta_and_again_in_the_recovery_bricks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
