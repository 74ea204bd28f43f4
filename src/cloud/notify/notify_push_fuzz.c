/* A push endpoint as a hostile browser may give it: what passes has the form that the signer takes. */
#include "cloud/notify/notify_push.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char origin[PORCH_PUSH_ORIGIN_TEXT];
    uint32_t minute = 0;
    if (porch_push_time_read((porch_bytes){data, size}, &minute) && minute >= PORCH_PUSH_DAY_MINUTES)
        abort();
    if (porch_push_endpoint_check((porch_bytes){data, size}, "localhost:9443", origin, NULL) != PORCH_OK)
        return 0;
    size_t len = strlen(origin);
    if (strncmp(origin, "https://", 8) != 0 || len < 9 || size < len) abort();
    for (size_t i = 8; i < len; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-.:", origin[i]) == NULL) abort();
    return 0;
}
