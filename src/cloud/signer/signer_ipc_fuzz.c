/* Whatever the peer sends, the parsers stay inside it, and what they accept they also write back alike. */
#include "cloud/signer/signer_ipc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t block[PORCH_SIGNER_MESSAGE_MAX];
    porch_bytes message = {data, size};
    porch_signer_request request;
    porch_signer_answer answer;
    porch_buf out = PORCH_BUF_OF(block);
    if (porch_signer_request_read(message, &request) == PORCH_OK) {
        if (porch_signer_request_write(&out, &request) != PORCH_OK) abort();
        if (!porch_bytes_eq(porch_buf_bytes(&out), message)) abort();
    }
    out.len = 0;
    if (size <= sizeof block && porch_signer_answer_read(message, &answer) == PORCH_OK) {
        if (porch_signer_answer_write(&out, &answer) != PORCH_OK) abort();
        if (!porch_bytes_eq(porch_buf_bytes(&out), message)) abort();
    }
    return 0;
}
