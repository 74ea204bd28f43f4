#include "cloud/registry/registry_memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(offsetof(registry_certificate, fingerprint) == 0, "the key stands first");
_Static_assert(offsetof(registry_principal, name) == 0, "the key stands first");
_Static_assert(offsetof(porch_registry_household, id) == 0, "the key stands first");

static int compare(const registry_table *t, const void *a, const void *b) {
    return t->by_fingerprint ? memcmp(a, b, 32) : strcmp(a, b);
}

/* The first place whose key is not below `key`. */
static size_t place(const registry_table *t, const void *key) {
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(t, t->at[middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void *porch_registry_table_find(const registry_table *t, const void *key) {
    size_t i = place(t, key);
    return i < t->count && compare(t, t->at[i], key) == 0 ? t->at[i] : NULL;
}

porch_err porch_registry_table_add(registry_table *t, void *item) {
    if (t->count == t->cap) {
        size_t cap = t->cap == 0 ? 64 : t->cap * 2;
        void **at = realloc(t->at, cap * sizeof *at);
        if (at == NULL) return PORCH_ERR_INTERNAL;
        t->at = at;
        t->cap = cap;
    }
    size_t i = place(t, item);
    memmove(&t->at[i + 1], &t->at[i], (t->count - i) * sizeof *t->at);
    t->at[i] = item;
    t->count++;
    return PORCH_OK;
}

void porch_registry_table_remove(registry_table *t, const void *key) {
    size_t i = place(t, key);
    if (i == t->count || compare(t, t->at[i], key) != 0) return;
    free(t->at[i]);
    t->count--;
    memmove(&t->at[i], &t->at[i + 1], (t->count - i) * sizeof *t->at);
}

void porch_registry_table_free(registry_table *t) {
    for (size_t i = 0; i < t->count; i++)
        free(t->at[i]);
    free(t->at);
    *t = (registry_table){.by_fingerprint = t->by_fingerprint};
}
