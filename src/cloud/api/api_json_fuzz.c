/* Bodies of the people's API, as strangers may send them before anybody is signed in. */
#include <stdlib.h>

#include "cloud/api/api_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_bytes token, name, password, timezone;
    const porch_json_field fields[] = {
        {"token", 43, true, &token},
        {"name", 64, true, &name},
        {"password", 256, true, &password},
        {"timezone", 64, false, &timezone},
    };
    json_t *root = NULL;
    if (porch_json_fields((porch_bytes){data, size}, fields, 4, &root, NULL) != PORCH_OK) {
        if (root != NULL || token.at != NULL) abort();
        return 0;
    }
    if (token.len > 43 || name.len > 64 || password.len > 256 || timezone.len > 64) abort();
    json_decref(root);
    return 0;
}
