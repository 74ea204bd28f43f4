/* Headers of any content: what comes out is short, printable ASCII, and no longer than its block. */
#include "cloud/accounts/accounts_agent.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[PORCH_AGENT_TEXT];
    porch_agent_read((porch_bytes){data, size}, text);
    size_t len = strnlen(text, sizeof text);
    if (len == 0 || len == sizeof text) abort();
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~') abort();
    return 0;
}
