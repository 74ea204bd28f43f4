/* Two texts, split at the first newline. Whatever parses must answer the questions consistently: a filter
 * contains and overlaps itself; a name is a filter that matches exactly itself; containing implies
 * overlapping; what an inner filter matches the outer one matches too. */
#include "wire/topic.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    porch_bytes left = {data, newline == NULL ? size : (size_t)(newline - data)};
    porch_bytes right = newline == NULL ? left : (porch_bytes){newline + 1, size - left.len - 1};
    porch_topic_filter a, b;
    porch_topic_name name;
    bool is_a = porch_topic_filter_parse(left, NULL, &a) == PORCH_OK;
    bool is_b = porch_topic_filter_parse(right, NULL, &b) == PORCH_OK;
    bool is_name = porch_topic_name_parse(right, NULL, &name) == PORCH_OK;
    if (is_name) must(is_b && porch_topic_matches(b, name) && !porch_topic_filter_is_pattern(b));
    if (!is_a) return 0;
    must(porch_topic_filter_contains(a, a) && porch_topic_filter_overlaps(a, a));
    if (!is_b) return 0;
    bool contains = porch_topic_filter_contains(a, b), overlaps = porch_topic_filter_overlaps(a, b);
    must(overlaps == porch_topic_filter_overlaps(b, a));
    must(!contains || overlaps);
    if (is_name) must(contains == porch_topic_matches(a, name) && overlaps == contains);
    porch_topic_filter both[] = {a, b};
    must(porch_topic_union_contains(both, 2, a, NULL) && porch_topic_union_contains(both, 2, b, NULL));
    must(porch_topic_union_contains(&a, 1, b, NULL) == contains);
    return 0;
}
