/* Whatever the peer sends, the parsers stay inside it, and what they accept they also write back alike. */
#include "cloud/courier/courier_ipc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t block[PORCH_COURIER_MESSAGE_MAX];
    porch_bytes input = {data, size};
    porch_courier_message message;
    porch_courier_answer answer;
    porch_buf out = PORCH_BUF_OF(block);
    if (porch_courier_message_read(input, &message) == PORCH_OK) {
        if (porch_courier_message_write(&out, &message) != PORCH_OK) abort();
        if (!porch_bytes_eq(porch_buf_bytes(&out), input)) abort();
    }
    out.len = 0;
    if (size <= sizeof block && porch_courier_answer_read(input, &answer) == PORCH_OK) {
        if (porch_courier_answer_write(&out, &answer) != PORCH_OK) abort();
        if (!porch_bytes_eq(porch_buf_bytes(&out), input)) abort();
    }
    return 0;
}
