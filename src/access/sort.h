/* Heapsort, for a room without a heap or a library: in place, never worse than n log n. */
#ifndef PORCH_ACCESS_SORT_H
#define PORCH_ACCESS_SORT_H

#include <stddef.h>

/* Rows of at most this many bytes. */
#define PORCH_ACCESS_SORT_ROW_BYTES 128

/* Below zero, zero, above: as for qsort. Equal rows may change places. */
void porch_access_sort(void *rows, size_t count, size_t bytes, int (*order)(const void *a, const void *b));

#endif
