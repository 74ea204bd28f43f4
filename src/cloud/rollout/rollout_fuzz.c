/* Stages that are accepted rise, end with everybody, and put each device into exactly one of them. */
#include "cloud/rollout/rollout.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_rollout_stage stages[PORCH_ROLLOUT_STAGES_MOST];
    porch_why why = {""};
    size_t count = 0;
    uint32_t last = 0;
    if (porch_rollout_stages_read((porch_bytes){data, size}, stages, &count, &why) != PORCH_OK) {
        if (why.text[0] == '\0') abort();
        return 0;
    }
    if (count == 0 || count > PORCH_ROLLOUT_STAGES_MOST) abort();
    for (size_t i = 0; i < count; i++) {
        if (stages[i].share == 0 && (stages[i].household[0] == '\0' || last != 0)) abort();
        if (stages[i].share != 0 && stages[i].share <= last) abort();
        last = stages[i].share;
    }
    if (last != PORCH_ROLLOUT_ONE) abort();
    return 0;
}
