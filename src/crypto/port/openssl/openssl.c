#include "crypto/port/openssl/openssl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

porch_err porch_openssl_fail(porch_why *why, porch_err e, const char *doing) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    (void)porch_fail(why, e, "%s: %s", doing, reason != NULL ? reason : "refused without a reason");
    ERR_clear_error();
    return e;
}

void porch_openssl_abort(const char *doing) {
    (void)fprintf(stderr, "crypto library failed at %s; stopping\n", doing);
    abort();
}

BIO *porch_openssl_view(porch_bytes b) {
    if (b.len > PORCH_X509_INPUT_BYTES) return NULL;
    return BIO_new_mem_buf(b.len > 0 ? (const void *)b.at : "", (int)b.len);
}

porch_err porch_openssl_drain(BIO *memory, porch_buf *out, porch_why *why) {
    char *at = NULL;
    long len = BIO_get_mem_data(memory, &at);
    if (len < 0 || at == NULL) return porch_openssl_fail(why, PORCH_ERR_CRYPTO, "reading a memory block");
    if ((size_t)len > out->cap - out->len)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the PEM text of %ld bytes does not fit", len);
    memcpy(out->at + out->len, at, (size_t)len);
    out->len += (size_t)len;
    return PORCH_OK;
}
