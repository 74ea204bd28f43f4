#include "base/arena.h"

#include <stddef.h>
#include <string.h>

porch_arena porch_arena_of(void *block, size_t bytes) {
    return (porch_arena){block, 0, bytes};
}

void *porch_arena_take(porch_arena *a, size_t bytes) {
    size_t align = _Alignof(max_align_t);
    size_t skew = (size_t)((uintptr_t)(a->at + a->used) % align);
    size_t pad = skew == 0 ? 0 : align - skew;
    if (pad > a->cap - a->used || bytes > a->cap - a->used - pad) return NULL;
    void *ret = a->at + a->used + pad;
    a->used += pad + bytes;
    memset(ret, 0, bytes);
    return ret;
}

char *porch_arena_text(porch_arena *a, porch_bytes text) {
    if (text.len == SIZE_MAX) return NULL;
    char *ret = porch_arena_take(a, text.len + 1);
    if (ret != NULL && text.len > 0) memcpy(ret, text.at, text.len);
    return ret;
}

void porch_arena_reset(porch_arena *a) {
    a->used = 0;
}
