/* A patch of a stranger, and journals of a dying flash: the applier stays inside the images and its memory,
 * and ends. */
#include "ota/client/delta.h"

#include <string.h>

enum { OLD_BYTES = 4096, NEW_MOST = 65536, MEMORY_BYTES = 32 * 1024 };

typedef struct {
    porch_bytes patch, journal;
    uint8_t fresh[NEW_MOST];
} device;

static uint8_t old[OLD_BYTES];

static porch_err copy_out(porch_bytes from, uint64_t at, uint8_t *out, size_t len) {
    if (at > from.len || len > from.len - at) __builtin_trap(); /* asked for what is not there */
    memcpy(out, from.at + at, len);
    return PORCH_OK;
}
static porch_err on_patch(void *self, uint64_t at, uint8_t *out, size_t len) {
    return copy_out(((device *)self)->patch, at, out, len);
}
static porch_err on_old(void *self, uint64_t at, uint8_t *out, size_t len) {
    (void)self;
    return copy_out((porch_bytes){old, OLD_BYTES}, at, out, len);
}
static porch_err on_new(void *self, uint64_t at, uint8_t *out, size_t len) {
    return copy_out((porch_bytes){((device *)self)->fresh, NEW_MOST}, at, out, len);
}
static porch_err on_write(void *self, uint64_t at, porch_bytes block) {
    if (at > NEW_MOST || block.len > NEW_MOST - at) __builtin_trap();
    memcpy(((device *)self)->fresh + at, block.at, block.len);
    return PORCH_OK;
}
static porch_err on_read_journal(void *self, unsigned copy, uint8_t *out, size_t len) {
    const device *t = self;
    if (copy == 1 || t->journal.len < len) return PORCH_ERR_NOT_FOUND;
    memcpy(out, t->journal.at, len);
    return PORCH_OK;
}
static porch_err on_write_journal(void *self, unsigned copy, porch_bytes record) {
    (void)self, (void)copy, (void)record;
    return PORCH_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const porch_delta_port port = {on_patch, on_old,          on_new,
                                          on_write, on_read_journal, on_write_journal};
    static uint64_t memory[MEMORY_BYTES / 8];
    static device t;
    for (size_t i = 0; i < OLD_BYTES; i++)
        old[i] = (uint8_t)(i * i >> 6);
    if (len < 3) return 0;
    size_t cut = (size_t)(at[0] << 8 | at[1]) % len;
    t.patch = (porch_bytes){at + 2, len - 2};
    t.journal = (porch_bytes){at + cut, len - cut};
    porch_delta d = {.port = &port,
                     .self = &t,
                     .crypto = porch_verify_library(),
                     .patch_length = t.patch.len,
                     .block_bytes = 512,
                     .checkpoint_blocks = 4,
                     .memory_most = MEMORY_BYTES,
                     .memory = (uint8_t *)memory};
    porch_slot_image a = {.length = OLD_BYTES}, b = {0};
    porch_delta_head head;
    uint64_t from = 0;
    bool done = false;
    if (porch_delta_head_read(t.patch, &head, NULL) != PORCH_OK || head.new_length > NEW_MOST) return 0;
    a.length = head.old_length < OLD_BYTES ? head.old_length : OLD_BYTES;
    memcpy(a.sha256, head.old_sha256, 32);
    b.length = head.new_length;
    memcpy(b.sha256, head.new_sha256, 32);
    if (porch_delta_open(&d, &a, &b, true, &from, NULL) != PORCH_OK) return 0;
    while (!done && porch_delta_step(&d, &done, NULL) == PORCH_OK) {
    }
    return 0;
}
