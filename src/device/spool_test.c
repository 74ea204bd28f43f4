/* The spool on a flash whose power can be cut at every byte that is written and at every call. */
#include "device/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { FLASH_SEGMENTS = 80, FLASH_BYTES = 512, SCRIPT_MESSAGES = 14 };

typedef struct {
    uint32_t number; /* 0: free */
    uint8_t data[FLASH_BYTES];
    size_t len;
    size_t synced;
} flash_segment;

typedef struct {
    flash_segment segment[FLASH_SEGMENTS];
    long budget; /* bytes and calls until the power goes; negative: never */
    bool dead;
    bool makes_none; /* no inode is free, say: new segments cannot be made, old ones can be written */
    uint32_t rotten; /* a segment that cannot be read from `rotten_from` on */
    size_t rotten_from;
    bool stuck;       /* nor removed */
    unsigned hiccups; /* reads that fail, whatever they are for */
    porch_err hiccup;
} flash;

/* What a power cut leaves of bytes that were written and not synced. */
typedef enum { LEAVES_NOTHING, LEAVES_HALF, LEAVES_ALL, LEAVES_ZEROS, LEAVINGS } leaving;

static bool spend(flash *f) {
    if (f->dead) return false;
    if (f->budget == 0) {
        f->dead = true;
        return false;
    }
    if (f->budget > 0) f->budget--;
    return true;
}

static flash_segment *find(flash *f, uint32_t number) {
    for (size_t i = 0; i < FLASH_SEGMENTS; i++)
        if (f->segment[i].number == number) return &f->segment[i];
    return NULL;
}

static porch_err flash_list(void *ctx, uint32_t *numbers, size_t cap, size_t *count) {
    flash *f = ctx;
    *count = 0;
    for (size_t i = FLASH_SEGMENTS; i-- > 0;) {
        if (f->segment[i].number == 0) continue;
        if (*count < cap) numbers[*count] = f->segment[i].number;
        (*count)++;
    }
    return PORCH_OK;
}

static porch_err flash_size(void *ctx, uint32_t number, uint64_t *ret) {
    flash_segment *g = find(ctx, number);
    if (!g) return PORCH_ERR_NOT_FOUND;
    *ret = g->len;
    return PORCH_OK;
}

static porch_err flash_read(void *ctx, uint32_t number, uint64_t offset, uint8_t *at, size_t len) {
    flash *f = ctx;
    flash_segment *g = find(f, number);
    if (f->hiccups > 0) {
        f->hiccups--;
        return f->hiccup;
    }
    if (f->rotten == number && offset + len > f->rotten_from) return PORCH_ERR_IO;
    if (!g || offset > g->len || g->len - offset < len) return PORCH_ERR_TRUNCATED;
    memcpy(at, g->data + offset, len);
    return PORCH_OK;
}

static porch_err flash_append(void *ctx, uint32_t number, const porch_bytes *parts, size_t count) {
    flash *f = ctx;
    if (!spend(f)) return PORCH_ERR_IO;
    flash_segment *g = find(f, number);
    if (!g && f->makes_none) return PORCH_ERR_FULL;
    if (!g) {
        g = find(f, 0);
        assert_non_null(g);
        *g = (flash_segment){.number = number};
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < parts[i].len; k++) {
            if (!spend(f)) return PORCH_ERR_IO;
            assert_true(g->len < FLASH_BYTES);
            g->data[g->len++] = parts[i].at[k];
        }
    return PORCH_OK;
}

static porch_err flash_sync(void *ctx, uint32_t number) {
    flash *f = ctx;
    if (!spend(f)) return PORCH_ERR_IO;
    flash_segment *g = find(f, number);
    assert_non_null(g);
    g->synced = g->len;
    return PORCH_OK;
}

static porch_err flash_remove(void *ctx, uint32_t number) {
    flash *f = ctx;
    if (!spend(f) || (f->stuck && f->rotten == number)) return PORCH_ERR_IO;
    flash_segment *g = find(f, number);
    if (g) g->number = 0;
    return PORCH_OK;
}

static void reboot(flash *f, leaving left) {
    for (size_t i = 0; i < FLASH_SEGMENTS; i++) {
        flash_segment *g = &f->segment[i];
        if (g->number == 0) continue;
        size_t loose = g->len - g->synced;
        if (left == LEAVES_NOTHING) g->len = g->synced;
        if (left == LEAVES_HALF) g->len = g->synced + loose / 2;
        if (left == LEAVES_ZEROS) memset(g->data + g->synced, 0, loose);
        if (g->len == 0) g->number = 0;
        g->synced = g->len;
    }
    f->dead = false;
    f->budget = -1;
}

static porch_spool_storage storage_of(flash *f) {
    return (porch_spool_storage){flash_list, flash_size,   flash_read, flash_append,
                                 flash_sync, flash_remove, f};
}

static void open_spool(porch_spool *s, flash *f, uint64_t limit, uint32_t segment) {
    porch_spool_storage storage = storage_of(f);
    porch_spool_config config = {limit, segment};
    porch_why why = {{0}};
    assert_int_equal(porch_spool_open(s, &storage, &config, &why), PORCH_OK);
}

/* Message i has a length and content that only it has. */
static size_t make_body(size_t i, uint8_t out[64]) {
    size_t len = (i * 7) % 40;
    memset(out, (int)('a' + i % 26), len);
    return len;
}

static porch_err append(porch_spool *s, size_t i, uint64_t *seq, porch_spool_loss *loss) {
    uint8_t body[64];
    size_t len = make_body(i, body);
    porch_bytes parts[2] = {{body, len / 2}, {body + len / 2, len - len / 2}};
    return porch_spool_append(s, parts, 2, seq, loss);
}

typedef struct {
    size_t count;
    uint64_t sequence[64];
    size_t length[64];
    uint8_t first_byte[64];
} contents;

static void read_all(porch_spool *s, contents *c) {
    memset(c, 0, sizeof *c);
    porch_spool_cursor cursor = porch_spool_start(s);
    uint8_t block[256] = {0};
    porch_spool_record r;
    while (porch_spool_next(s, &cursor, PORCH_BUF_OF(block), &r) == PORCH_OK) {
        assert_true(c->count < 64);
        c->sequence[c->count] = r.sequence;
        c->length[c->count] = r.body.len;
        c->first_byte[c->count++] = r.body.len > 0 ? r.body.at[0] : 0;
        for (size_t k = 1; k < r.body.len; k++)
            assert_int_equal(r.body.at[k], r.body.at[0]);
    }
}

typedef struct {
    uint64_t stored;       /* messages whose append returned OK: the script's run is 1..stored */
    uint64_t acknowledged; /* asked for */
} outcome;

/* Appends, with an acknowledgement of two messages after every third. Stops where the power goes. */
static outcome run_script(flash *f, uint64_t limit, bool acknowledge) {
    static porch_spool s;
    outcome o = {0};
    open_spool(&s, f, limit, 128);
    for (size_t i = 1; i <= SCRIPT_MESSAGES; i++) {
        uint64_t seq = 0;
        porch_spool_loss loss;
        if (append(&s, i, &seq, &loss) != PORCH_OK) break;
        assert_int_equal(seq, i);
        o.stored = i;
        if (acknowledge && i % 3 == 0) {
            o.acknowledged = i - 1;
            porch_spool_acknowledge(&s, i - 1);
        }
    }
    return o;
}

static void check_contents(const contents *c) {
    for (size_t k = 0; k < c->count; k++) {
        uint8_t body[64];
        size_t len = make_body((size_t)c->sequence[k], body);
        assert_int_equal(c->length[k], len);
        if (len > 0) assert_int_equal(c->first_byte[k], body[0]);
        if (k > 0) assert_int_equal(c->sequence[k], c->sequence[k - 1] + 1);
    }
}

/* Returns false once the cut lies past the script's end. */
static bool cut_at(long budget, leaving left, uint64_t limit, bool acknowledge) {
    static flash f;
    static porch_spool s;
    static contents c;
    memset(&f, 0, sizeof f);
    f.budget = budget;
    outcome o = run_script(&f, limit, acknowledge);
    bool was_cut = f.dead;
    reboot(&f, left);
    open_spool(&s, &f, limit, 128);
    read_all(&s, &c);
    check_contents(&c);
    uint64_t newest = c.count > 0 ? c.sequence[c.count - 1] : 0;
    if (o.stored > o.acknowledged) {
        assert_true(newest >= o.stored);
        assert_true(newest <= o.stored + 1); /* the message that was being written may be whole */
        if (limit >= 4096) assert_true(c.sequence[0] <= o.acknowledged + 1);
    }
    assert_true(s.total_bytes <= limit);
    assert_int_equal(porch_spool_pending(&s), c.count);
    uint64_t seq = 0;
    porch_spool_loss loss;
    assert_int_equal(append(&s, 20, &seq, &loss), PORCH_OK);
    assert_true(seq > newest && seq > o.acknowledged);
    read_all(&s, &c);
    assert_int_equal(c.sequence[c.count - 1], seq);
    return was_cut;
}

static void a_power_cut_at_every_byte_loses_no_stored_message(void **state) {
    (void)state;
    for (int left = 0; left < LEAVINGS; left++) {
        long budget = 0;
        while (cut_at(budget, (leaving)left, 4096, true))
            budget++;
        assert_true(budget > 500); /* the script writes that much: the loop did run */
    }
}

static void a_power_cut_at_every_byte_while_full_keeps_an_unbroken_run_of_the_newest(void **state) {
    (void)state;
    for (int left = 0; left < LEAVINGS; left++) {
        long budget = 0;
        while (cut_at(budget, (leaving)left, 300, false))
            budget++;
        assert_true(budget > 500);
    }
}

/* Unlike a power cut: the same process goes on after a write that failed half-way. */
static void a_write_that_fails_half_way_costs_its_own_message_only(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    static contents c;
    for (long budget = 0; budget < 40; budget++) {
        uint64_t first = 0, torn = 0, last = 0;
        porch_spool_loss loss;
        memset(&f, 0, sizeof f);
        f.budget = -1;
        open_spool(&s, &f, 4096, 128);
        assert_int_equal(append(&s, 3, &first, &loss), PORCH_OK);
        f.budget = budget;
        bool failed = append(&s, 2, &torn, &loss) != PORCH_OK;
        f.dead = false;
        f.budget = -1;
        assert_int_equal(append(&s, 4, &last, &loss), PORCH_OK);
        reboot(&f, LEAVES_NOTHING);
        open_spool(&s, &f, 4096, 128);
        read_all(&s, &c);
        assert_in_range(c.count, failed ? 2 : 3, 3); /* one that was written and not synced may be there */
        assert_int_equal(c.sequence[0], first);
        assert_int_equal(c.sequence[c.count - 1], last);
        assert_true(last > first + 1);
    }
}

static void messages_come_back_in_order_and_once(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    static contents c;
    memset(&f, 0, sizeof f);
    f.budget = -1;
    outcome o = run_script(&f, 4096, true);
    open_spool(&s, &f, 4096, 128);
    read_all(&s, &c);
    check_contents(&c);
    assert_int_equal(c.count, o.stored - o.acknowledged);
    assert_int_equal(c.sequence[0], o.acknowledged + 1);
}

static void the_oldest_go_first_when_full_and_the_loss_is_told(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    static contents c;
    memset(&f, 0, sizeof f);
    f.budget = -1;
    open_spool(&s, &f, 256, 128);
    uint64_t lost = 0, upto = 0;
    for (size_t i = 1; i <= SCRIPT_MESSAGES; i++) {
        uint64_t seq = 0;
        porch_spool_loss loss;
        assert_int_equal(append(&s, i, &seq, &loss), PORCH_OK);
        lost += loss.messages;
        if (loss.messages > 0) upto = loss.upto;
        assert_true(s.total_bytes <= 256);
    }
    read_all(&s, &c);
    check_contents(&c);
    assert_true(lost > 0);
    assert_int_equal(lost, upto);
    assert_int_equal(c.sequence[0], upto + 1);
    assert_int_equal(c.count + lost, SCRIPT_MESSAGES);
}

static void a_reader_follows_what_is_appended_and_passes_what_was_dropped(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    memset(&f, 0, sizeof f);
    f.budget = -1;
    open_spool(&s, &f, 256, 128);
    porch_spool_cursor cursor = porch_spool_start(&s);
    uint8_t block[128] = {0};
    porch_spool_record r;
    assert_int_equal(porch_spool_next(&s, &cursor, PORCH_BUF_OF(block), &r), PORCH_ERR_NOT_FOUND);
    uint64_t seq = 0;
    porch_spool_loss loss;
    for (size_t round = 0; round < 40; round++) {
        assert_int_equal(append(&s, 5, &seq, &loss), PORCH_OK);
        assert_int_equal(porch_spool_next(&s, &cursor, PORCH_BUF_OF(block), &r), PORCH_OK);
        assert_int_equal(r.sequence, seq);
        assert_int_equal(porch_spool_next(&s, &cursor, PORCH_BUF_OF(block), &r), PORCH_ERR_NOT_FOUND);
        porch_spool_acknowledge(&s, seq);
        assert_int_equal(porch_spool_pending(&s), 0);
    }
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(append(&s, 5, &seq, &loss), PORCH_OK);
    uint64_t before = 0;
    while (porch_spool_next(&s, &cursor, PORCH_BUF_OF(block), &r) == PORCH_OK) {
        assert_true(r.sequence > before);
        before = r.sequence;
    }
    assert_int_equal(before, seq);
}

static void a_record_longer_than_a_segment_is_refused(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    memset(&f, 0, sizeof f);
    f.budget = -1;
    open_spool(&s, &f, 256, 128);
    uint8_t body[200] = {0};
    uint64_t seq = 77;
    porch_spool_loss loss;
    porch_bytes most = {body, 128 - PORCH_SPOOL_HEADER_BYTES};
    porch_bytes over = {body, 128 - PORCH_SPOOL_HEADER_BYTES + 1};
    assert_int_equal(porch_spool_append(&s, &over, 1, &seq, &loss), PORCH_ERR_LIMIT);
    assert_int_equal(seq, 77);
    assert_int_equal(porch_spool_append(&s, &most, 1, &seq, &loss), PORCH_OK);
    uint8_t small[16] = {0};
    porch_spool_cursor cursor = porch_spool_start(&s);
    porch_spool_record r;
    assert_int_equal(porch_spool_next(&s, &cursor, PORCH_BUF_OF(small), &r), PORCH_ERR_NO_SPACE);
    uint8_t block[128] = {0};
    assert_int_equal(porch_spool_next(&s, &cursor, PORCH_BUF_OF(block), &r), PORCH_OK);
    assert_int_equal(r.body.len, most.len);
}

static void a_flipped_bit_costs_its_segment_from_there_on_and_nothing_else(void **state) {
    (void)state;
    static flash f, damaged;
    static porch_spool s;
    static contents c;
    memset(&f, 0, sizeof f);
    f.budget = -1;
    open_spool(&s, &f, 4096, 128);
    uint64_t seq = 0;
    porch_spool_loss loss;
    for (size_t i = 1; i <= SCRIPT_MESSAGES; i++)
        assert_int_equal(append(&s, i, &seq, &loss), PORCH_OK);
    size_t first_length = find(&f, 1)->len;
    for (size_t bit = 0; bit < first_length * 8; bit++) {
        damaged = f;
        find(&damaged, 1)->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        open_spool(&s, &damaged, 4096, 128);
        read_all(&s, &c);
        for (size_t k = 0; k < c.count; k++) {
            uint8_t body[64];
            assert_int_equal(c.length[k], make_body((size_t)c.sequence[k], body));
        }
        assert_int_equal(c.sequence[c.count - 1], SCRIPT_MESSAGES);
        assert_int_equal(porch_spool_pending(&s), c.count);
    }
}

static void rot_while_open_is_passed_over_and_no_longer_pending(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    static contents c;
    memset(&f, 0, sizeof f);
    f.budget = -1;
    open_spool(&s, &f, 4096, 128);
    uint64_t seq = 0;
    porch_spool_loss loss;
    for (size_t i = 1; i <= 3; i++)
        assert_int_equal(append(&s, i, &seq, &loss), PORCH_OK);
    flash_segment *g = find(&f, 1);
    g->data[g->len - 1] ^= 1;
    read_all(&s, &c);
    assert_int_equal(c.count, 2);
    assert_int_equal(porch_spool_pending(&s), 2);
    assert_int_equal(append(&s, 4, &seq, &loss), PORCH_OK);
    read_all(&s, &c);
    assert_int_equal(c.count, 3);
    assert_int_equal(c.sequence[2], seq);
}

static void a_limit_below_two_segments_is_refused(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    porch_spool_storage storage = storage_of(&f);
    porch_spool_config config = {200, 128};
    porch_why why = {{0}};
    assert_int_equal(porch_spool_open(&s, &storage, &config, &why), PORCH_ERR_USAGE);
    assert_non_null(strstr(why.text, "two segments"));
}

static void segments_that_cannot_be_made_cost_nothing_that_is_stored(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    static contents c;
    uint64_t seq = 0;
    porch_spool_loss loss;
    f = (flash){.budget = -1};
    open_spool(&s, &f, 1024, 128);
    while (append(&s, 1, &seq, &loss) == PORCH_OK && !f.makes_none)
        f.makes_none = seq == 4;
    const uint64_t stored = seq;
    for (int i = 0; i < 2 * PORCH_SPOOL_SEGMENTS_MOST; i++) {
        assert_int_equal(append(&s, 39, &seq, &loss), PORCH_ERR_FULL);
        assert_int_equal(loss.messages, 0);
    }
    assert_true(porch_spool_pending(&s) == stored);
    f.makes_none = false;
    assert_int_equal(append(&s, 39, &seq, &loss), PORCH_OK);
    read_all(&s, &c);
    assert_int_equal(c.count, stored + 1);
    porch_spool_acknowledge(&s, seq); /* and what was sent goes, past where they would have been */
    assert_true(porch_spool_pending(&s) == 0);
    assert_int_equal(s.count, 1);
}

/* A spool of SCRIPT_MESSAGES in segments of 128 bytes; gives the sequence number of the last. */
static uint64_t fill(porch_spool *s, flash *f) {
    uint64_t seq = 0;
    porch_spool_loss loss;
    *f = (flash){.budget = -1};
    open_spool(s, f, 4096, 128);
    for (size_t i = 1; i <= SCRIPT_MESSAGES; i++)
        assert_int_equal(append(s, i, &seq, &loss), PORCH_OK);
    return seq;
}

static void a_segment_that_cannot_be_read_keeps_nobody_from_the_others(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    static contents whole, c;
    uint64_t seq = 0;
    porch_spool_loss loss;
    (void)fill(&s, &f);
    read_all(&s, &whole);
    const size_t segments = s.count;
    for (uint32_t number = 1; number <= segments; number++) {
        for (size_t from = 0; from < 128; from += 5) {
            (void)fill(&s, &f);
            const porch_spool_segment before = s.segments[number - 1];
            if (from >= before.bytes) break;
            f.rotten = number;
            f.rotten_from = from;
            open_spool(&s, &f, 4096, 128);
            assert_int_equal(s.unreadable, 1);
            read_all(&s, &c);
            assert_true(c.count < whole.count);
            assert_true(c.count >= whole.count - (before.last - before.first + 1));
            assert_int_equal(porch_spool_pending(&s), c.count);
            assert_int_equal(append(&s, 3, &seq, &loss), PORCH_OK);
            f.rotten = 0; /* once it can be read again all is there, and no number twice */
            open_spool(&s, &f, 4096, 128);
            read_all(&s, &c);
            assert_int_equal(c.count, whole.count + 1);
            for (size_t k = 1; k < c.count; k++)
                assert_true(c.sequence[k] > c.sequence[k - 1]);
        }
    }
}

static void what_can_no_longer_be_read_while_open_is_passed_over(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    static contents c;
    uint64_t last = fill(&s, &f);
    const uint64_t lost = s.segments[1].last - s.segments[1].first + 1;
    f.rotten = 2;
    f.rotten_from = 0;
    read_all(&s, &c);
    assert_int_equal(c.count, SCRIPT_MESSAGES - lost);
    assert_int_equal(c.sequence[c.count - 1], last);
    assert_int_equal(porch_spool_pending(&s), c.count);
    assert_int_equal(s.unreadable, 1);
}

static void what_could_not_be_read_stays_until_a_later_message_is_acknowledged(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    (void)fill(&s, &f);
    const uint64_t before = s.segments[0].last, after = s.segments[2].first;
    f.rotten = 2;
    f.rotten_from = 0;
    open_spool(&s, &f, 4096, 128);
    porch_spool_acknowledge(&s, before);
    assert_null(find(&f, 1));
    assert_non_null(find(&f, 2));
    porch_spool_acknowledge(&s, after);
    assert_null(find(&f, 2));
}

static void a_broken_segment_that_cannot_be_removed_blocks_nothing(void **state) {
    (void)state;
    static flash f;
    static porch_spool s;
    uint64_t last = fill(&s, &f), seq = 0;
    porch_spool_loss loss;
    f.rotten = 2;
    f.rotten_from = 0;
    f.stuck = true;
    open_spool(&s, &f, 4096, 128);
    porch_spool_acknowledge(&s, last);
    assert_true(s.count <= 1);
    open_spool(&s, &f, 256, 128);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(append(&s, 5, &seq, &loss), PORCH_OK);
    find(&f, 2)->len = 1; /* torn in its first record: to be removed at the start */
    f.rotten_from = 1;
    open_spool(&s, &f, 256, 128);
}

/* A read that failed once, or for want of something else, says nothing about the message. */
static void a_read_that_fails_for_once_costs_no_message(void **state) {
    (void)state;
    static const porch_err errors[] = {PORCH_ERR_IO, PORCH_ERR_BUSY};
    static flash f;
    static porch_spool s;
    static contents c;
    uint8_t block[128] = {0};
    porch_spool_record r;
    for (size_t i = 0; i < 2; i++) {
        (void)fill(&s, &f);
        porch_spool_cursor cursor = porch_spool_start(&s);
        f.hiccups = 1;
        f.hiccup = errors[i];
        assert_int_equal(porch_spool_next(&s, &cursor, PORCH_BUF_OF(block), &r), errors[i]);
        assert_int_equal(porch_spool_next(&s, &cursor, PORCH_BUF_OF(block), &r), PORCH_OK);
        assert_int_equal(r.sequence, 1);
        assert_int_equal(s.unreadable, 0);
        read_all(&s, &c);
        assert_int_equal(c.count, SCRIPT_MESSAGES);
    }
    f.hiccups = 1;
    f.hiccup = PORCH_ERR_BUSY;
    porch_spool_storage storage = storage_of(&f);
    porch_spool_config config = {4096, 128};
    assert_int_equal(porch_spool_open(&s, &storage, &config, NULL), PORCH_ERR_BUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_at_every_byte_loses_no_stored_message),
        cmocka_unit_test(a_power_cut_at_every_byte_while_full_keeps_an_unbroken_run_of_the_newest),
        cmocka_unit_test(a_write_that_fails_half_way_costs_its_own_message_only),
        cmocka_unit_test(segments_that_cannot_be_made_cost_nothing_that_is_stored),
        cmocka_unit_test(messages_come_back_in_order_and_once),
        cmocka_unit_test(the_oldest_go_first_when_full_and_the_loss_is_told),
        cmocka_unit_test(a_reader_follows_what_is_appended_and_passes_what_was_dropped),
        cmocka_unit_test(a_record_longer_than_a_segment_is_refused),
        cmocka_unit_test(a_flipped_bit_costs_its_segment_from_there_on_and_nothing_else),
        cmocka_unit_test(rot_while_open_is_passed_over_and_no_longer_pending),
        cmocka_unit_test(a_segment_that_cannot_be_read_keeps_nobody_from_the_others),
        cmocka_unit_test(what_can_no_longer_be_read_while_open_is_passed_over),
        cmocka_unit_test(what_could_not_be_read_stays_until_a_later_message_is_acknowledged),
        cmocka_unit_test(a_broken_segment_that_cannot_be_removed_blocks_nothing),
        cmocka_unit_test(a_read_that_fails_for_once_costs_no_message),
        cmocka_unit_test(a_limit_below_two_segments_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
