/* EST requests: a body in base64 that reads back as it was written, and an Authorization header. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/est.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t der[PORCH_EST_BODY_BYTES], text[2 * PORCH_EST_BODY_BYTES], again[PORCH_EST_BODY_BYTES];
    porch_buf d = PORCH_BUF_OF(der), t = PORCH_BUF_OF(text), a = PORCH_BUF_OF(again);
    char password[PORCH_EST_PASSWORD_BYTES];
    if (porch_est_password_read((porch_bytes){data, size}, password) == PORCH_OK && strlen(password) == 0)
        abort();
    if (porch_est_body_read((porch_bytes){data, size}, &d) != PORCH_OK) return 0;
    if (porch_est_body_write(porch_buf_bytes(&d), &t) != PORCH_OK) abort();
    porch_err e = porch_est_body_read(porch_buf_bytes(&t), &a);
    if (e == PORCH_ERR_LIMIT) return 0; /* line ends have made it longer than a body may be */
    if (e != PORCH_OK || !porch_bytes_eq(porch_buf_bytes(&a), porch_buf_bytes(&d))) abort();
    return 0;
}
