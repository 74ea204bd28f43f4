#include "ota/port/linux/tuf_memory.h"

#include <stdlib.h>

enum {
    ROOT_BYTES = 512 * 1024,
    TIMESTAMP_BYTES = 16 * 1024,
    SNAPSHOT_BYTES = 2 * 1024 * 1024,
    TARGETS_BYTES = 5 * 1024 * 1024,
    LARGEST = TARGETS_BYTES,
    MEMBERS = 512 * 1024,
    ROOT_STEPS = 1024,
    ROLES = 32,
    STEPS = 256
};

porch_err porch_tuf_memory_make(porch_tuf *t, porch_why *why) {
    const struct {
        porch_buf *buf;
        size_t bytes;
    } blocks[] = {{&t->memory.raw, LARGEST},
                  {&t->memory.work, LARGEST},
                  {&t->memory.root, ROOT_BYTES},
                  {&t->memory.snapshot, SNAPSHOT_BYTES},
                  {&t->memory.targets, TARGETS_BYTES}};
    bool good = true;
    t->limits =
        (porch_tuf_limits){ROOT_BYTES, TIMESTAMP_BYTES, SNAPSHOT_BYTES, TARGETS_BYTES, ROOT_STEPS, ROLES};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        *blocks[i].buf = (porch_buf){malloc(blocks[i].bytes), 0, blocks[i].bytes};
        good = good && blocks[i].buf->at != NULL;
    }
    t->memory.scratch = (porch_tuf_json_scratch){malloc(MEMBERS * sizeof(uint32_t)), MEMBERS};
    t->memory.steps = calloc(STEPS, sizeof *t->memory.steps);
    t->memory.step_cap = STEPS;
    good = good && t->memory.scratch.at != NULL && t->memory.steps != NULL;
    return good ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
}

void porch_tuf_memory_free(porch_tuf *t) {
    free(t->memory.raw.at);
    free(t->memory.work.at);
    free(t->memory.root.at);
    free(t->memory.snapshot.at);
    free(t->memory.targets.at);
    free(t->memory.scratch.at);
    free(t->memory.steps);
    t->memory = (porch_tuf_memory){0};
}
