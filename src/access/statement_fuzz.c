/* What is accepted can be written and read again with the same meaning; no value of a variable widens a
 * statement. */
#include "access/statement.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t expanded[8192], written[8300], again[8192];
    const porch_access_variable variables[] = {{"device.id", PORCH_LIT("cam-1")},
                                               {"household.id", {NULL, 0}}};
    porch_buf out = PORCH_BUF_OF(expanded), text = PORCH_BUF_OF(written), second = PORCH_BUF_OF(again);
    porch_access_statement s, back;
    porch_why why = {""};
    porch_bytes input = {data, size};
    if (porch_access_statement_parse(input, PORCH_ACCESS_DENY, variables, 2, NULL, &out, &s, &why) !=
        PORCH_OK)
        return 0;
    if (porch_access_statement_write(&text, &s) != PORCH_OK) return 0;
    porch_bytes body = {text.at + 5, text.len - 5}; /* without "deny " */
    if (porch_access_statement_parse(body, PORCH_ACCESS_DENY, NULL, 0, NULL, &second, &back, &why) !=
        PORCH_OK) {
        /* a literal "${" can only come from a value, and values are plain */
        abort();
    }
    if (back.actions != s.actions || !porch_bytes_eq(back.filter.text, s.filter.text)) abort();
    return 0;
}
