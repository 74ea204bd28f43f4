/* Whatever parses as an id keeps its text and is a topic name of one level that no wildcard can hide in. */
#include "wire/id.h"

#include <stdlib.h>

#include "wire/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes in = {data, size};
    porch_id id;
    porch_topic_filter filter;
    if (porch_id_parse(in, &id) != PORCH_OK) return 0;
    if (!porch_bytes_eq(porch_id_bytes(&id), in)) abort();
    if (porch_topic_filter_parse(in, NULL, &filter) != PORCH_OK || porch_topic_filter_is_pattern(filter))
        abort();
    if (porch_topic_levels(in) != 1 || data[0] == '$') abort();
    return 0;
}
