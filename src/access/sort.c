#include "access/sort.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef int (*compare)(const void *a, const void *b);

static void swap(uint8_t *a, uint8_t *b, size_t bytes) {
    uint8_t kept[PORCH_ACCESS_SORT_ROW_BYTES];
    memcpy(kept, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, kept, bytes);
}

static void sink(uint8_t *rows, size_t at, size_t count, size_t bytes, compare order) {
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && order(rows + child * bytes, rows + (child + 1) * bytes) < 0) child++;
        if (order(rows + at * bytes, rows + child * bytes) >= 0) return;
        swap(rows + at * bytes, rows + child * bytes, bytes);
    }
}

void porch_access_sort(void *rows, size_t count, size_t bytes, compare order) {
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = order((uint8_t *)rows + (i - 1) * bytes, (uint8_t *)rows + i * bytes) <= 0;
    if (sorted) return;
    for (size_t i = count / 2; i-- > 0;)
        sink(rows, i, count, bytes, order);
    for (size_t end = count; end-- > 1;) {
        swap(rows, (uint8_t *)rows + end * bytes, bytes);
        sink(rows, 0, end, bytes, order);
    }
}
