/* Any JSON as a release's own words: refused, or a policy whose every decision is one of the table's. */
#include "ota/client/policy.h"

#include <stdlib.h>
#include <string.h>

#include "ota/client/tuf_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static uint8_t block[1 << 16];
    static uint32_t members[1 << 12];
    porch_buf canonical = PORCH_BUF_OF(block);
    porch_policy p;
    porch_why why;
    if (porch_tuf_json_canonical((porch_bytes){at, len}, (porch_tuf_json_scratch){members, 1 << 12},
                                 &canonical, &why) != PORCH_OK)
        return 0;
    if (porch_policy_read(porch_buf_bytes(&canonical), &p, &why) != PORCH_OK) return 0;
    if (p.stages > PORCH_POLICY_STAGES_MOST || p.battery > 100) abort();
    uint32_t before = 0;
    for (uint64_t s = 0; s < UINT64_MAX / 2; s = s * 2 + 1) { /* a share never falls with time */
        uint32_t share = porch_policy_share(&p, s);
        if (share == 0 || share > PORCH_POLICY_ALL || share < before) abort();
        before = share;
    }
    for (uint32_t cohort = 0; cohort < PORCH_POLICY_ALL; cohort += 999) {
        porch_policy_facts f = {.cohort = cohort,
                                .battery = (int)(cohort % 101),
                                .minute = (int)(cohort % 1440),
                                .full_bytes = cohort};
        if (porch_policy_decide(&p, &f, &why) > PORCH_POLICY_REFUSE) abort();
    }
    return 0;
}
