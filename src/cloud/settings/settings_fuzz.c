#include "cloud/settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any text either loads or is refused with a sentence. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static porch_settings s;
    porch_why why = {""};
    if (porch_settings_parse((porch_bytes){data, size}, &s, &why) != PORCH_OK && why.text[0] == '\0')
        __builtin_trap();
    return 0;
}
