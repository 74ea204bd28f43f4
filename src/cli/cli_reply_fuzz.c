/* Whatever comes back over the admin socket: parsed or refused, nothing leaks. */
#include "cli/cli_room.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    porch_cli_reply reply = {0};
    porch_why why = {""};
    if (porch_cli_reply_read((porch_bytes){data, size}, &reply, &why) == PORCH_OK)
        json_decref(reply.result);
    return 0;
}
