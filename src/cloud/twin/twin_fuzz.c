/* Zones that are accepted lie in the picture, and number no more than there may be. */
#include "cloud/twin/twin.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_twin_camera c = {.zone_count = 0};
    if (porch_twin_zones_read((porch_bytes){data, size}, &c, NULL) != PORCH_OK) return 0;
    if (c.zone_count > PORCH_TWIN_ZONES) abort();
    for (size_t i = 0; i < c.zone_count; i++) {
        const int32_t *z = c.zones[i];
        if (z[0] < 0 || z[1] < 0 || z[2] <= 0 || z[3] <= 0) abort();
        if (z[0] + z[2] > PORCH_TWIN_ONE || z[1] + z[3] > PORCH_TWIN_ONE) abort();
    }
    return 0;
}
