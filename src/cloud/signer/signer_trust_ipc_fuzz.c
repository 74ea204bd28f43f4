/* Rows of the trust log as the hub sends them, and the signer's heads: what is read is written back alike.
 */
#include "cloud/signer/signer_trust_ipc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t block[65536];
    porch_reader r = porch_reader_of((porch_bytes){data, size});
    porch_trust_signed_head head;
    porch_buf out = PORCH_BUF_OF(block);
    while (!porch_reader_done(&r)) {
        const uint8_t *from = r.rest.at;
        porch_trust_sent_row row;
        if (porch_trust_sent_row_read(&r, &row) != PORCH_OK) break;
        out.len = 0;
        if (porch_trust_sent_row_write(&out, &row) != PORCH_OK) break; /* longer than any message */
        if (!porch_bytes_eq(porch_buf_bytes(&out), (porch_bytes){from, (size_t)(r.rest.at - from)}))
            abort();
    }
    out.len = 0;
    if (porch_trust_signed_head_read((porch_bytes){data, size}, &head) == PORCH_OK &&
        (porch_trust_signed_head_write(&out, &head) != PORCH_OK ||
         !porch_bytes_eq(porch_buf_bytes(&out), (porch_bytes){data, size})))
        abort();
    return 0;
}
