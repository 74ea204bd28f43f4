/* Any bytes as the segments of a spool: it opens, gives whole records in rising order, stays within its
 * limit and goes on working. The input's bytes are dealt to three segments; its first byte says where they
 * are cut. */
#include "device/spool.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

enum { SEGMENT = 512, SEGMENTS = 12, LIMIT = SEGMENT * 8 };

static struct {
    uint32_t number;
    uint8_t data[SEGMENT * 2];
    size_t len;
} disk[SEGMENTS];

static size_t find(uint32_t number) {
    for (size_t i = 0; i < SEGMENTS; i++)
        if (disk[i].number == number) return i;
    return SEGMENTS;
}

static porch_err list(void *ctx, uint32_t *numbers, size_t cap, size_t *count) {
    (void)ctx;
    *count = 0;
    for (size_t i = 0; i < SEGMENTS; i++)
        if (disk[i].number != 0 && *count < cap) numbers[(*count)++] = disk[i].number;
    return PORCH_OK;
}

static porch_err size(void *ctx, uint32_t number, uint64_t *ret) {
    (void)ctx;
    size_t i = find(number);
    if (i == SEGMENTS) return PORCH_ERR_NOT_FOUND;
    *ret = disk[i].len;
    return PORCH_OK;
}

static porch_err read_at(void *ctx, uint32_t number, uint64_t offset, uint8_t *at, size_t len) {
    (void)ctx;
    size_t i = find(number);
    if (i == SEGMENTS || offset > disk[i].len || disk[i].len - offset < len) abort();
    memcpy(at, disk[i].data + offset, len);
    return PORCH_OK;
}

static porch_err append(void *ctx, uint32_t number, const porch_bytes *parts, size_t count) {
    (void)ctx;
    size_t i = find(number);
    if (i == SEGMENTS) {
        i = find(0);
        if (i == SEGMENTS) return PORCH_ERR_FULL;
        disk[i].number = number;
        disk[i].len = 0;
    }
    for (size_t k = 0; k < count; k++) {
        if (parts[k].len > sizeof disk[i].data - disk[i].len) abort();
        if (parts[k].len > 0) memcpy(disk[i].data + disk[i].len, parts[k].at, parts[k].len);
        disk[i].len += parts[k].len;
    }
    return PORCH_OK;
}

static porch_err sync_segment(void *ctx, uint32_t number) {
    (void)ctx;
    (void)number;
    return PORCH_OK;
}

static porch_err remove_segment(void *ctx, uint32_t number) {
    (void)ctx;
    size_t i = find(number);
    if (i < SEGMENTS) disk[i].number = 0;
    return PORCH_OK;
}

static uint64_t read_all(porch_spool *s) {
    uint8_t block[SEGMENT * 2] = {0};
    porch_spool_cursor c = porch_spool_start(s);
    porch_spool_record r;
    uint64_t last = 0;
    while (porch_spool_next(s, &c, PORCH_BUF_OF(block), &r) == PORCH_OK) {
        if (r.sequence <= s->acknowledged) abort();
        last = r.sequence;
    }
    return last;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    memset(disk, 0, sizeof disk);
    if (len == 0) return 0;
    size_t cut = at[0];
    at++;
    len--;
    for (uint32_t i = 0; i < 3 && len > 0; i++) {
        size_t n = i < 2 && cut < len ? cut : len;
        if (n > sizeof disk[i].data) n = sizeof disk[i].data;
        disk[i].number = i + 1;
        memcpy(disk[i].data, at, n);
        disk[i].len = n;
        at += n;
        len -= n;
    }
    const porch_spool_storage storage = {list, size, read_at, append, sync_segment, remove_segment, NULL};
    const porch_spool_config config = {LIMIT, SEGMENT};
    porch_spool s;
    if (porch_spool_open(&s, &storage, &config, NULL) != PORCH_OK) return 0;
    (void)read_all(&s);
    uint64_t sequence = 0;
    porch_spool_loss loss;
    porch_bytes body = PORCH_LIT("fresh");
    if (porch_spool_append(&s, &body, 1, &sequence, &loss) != PORCH_OK) return 0;
    if (s.total_bytes > LIMIT || porch_spool_pending(&s) == 0) abort();
    (void)read_all(&s);
    porch_spool_acknowledge(&s, sequence);
    if (porch_spool_pending(&s) != 0) abort();
    return 0;
}
