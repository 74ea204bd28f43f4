/* Time zone files and rules of any content: the parsers stay inside them, and what they answer is an
 * offset. */
#include "cloud/notify/notify_zone.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int64_t at = 0;
    int32_t offset = 0;
    if (size < sizeof at) return 0;
    memcpy(&at, data, sizeof at);
    porch_bytes rest = {data + sizeof at, size - sizeof at};
    if (porch_zone_offset(rest, at, &offset) == PORCH_OK && (offset > 100000 || offset < -100000)) abort();
    if (porch_zone_rule_offset(rest, at, &offset) == PORCH_OK && (offset > 100000 || offset < -100000))
        abort();
    return 0;
}
