/* A recovery key as anybody may type it: what is accepted is 32 bytes, and written again it reads the same.
 */
#include "cli/backup_key.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t secret[PORCH_BOX_SECRET_BYTES], again[PORCH_BOX_SECRET_BYTES];
    char text[PORCH_BACKUP_KEY_TEXT];
    porch_why why = {""};
    if (porch_backup_key_parse((porch_bytes){data, size}, secret, &why) != PORCH_OK) {
        if (why.text[0] == '\0') abort(); /* a person is told what is wrong */
        return 0;
    }
    porch_backup_key_text(secret, text);
    if (porch_backup_key_parse(porch_bytes_of(text), again, &why) != PORCH_OK ||
        memcmp(secret, again, sizeof again) != 0)
        abort();
    return 0;
}
