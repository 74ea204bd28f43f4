#include "wire/id.h"

#include <string.h>

static bool is_letter_or_digit(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

porch_err porch_id_parse(porch_bytes text, porch_id *ret) {
    if (text.len == 0 || text.len > PORCH_ID_MOST || !is_letter_or_digit(text.at[0]))
        return PORCH_ERR_MALFORMED;
    for (size_t i = 1; i < text.len; i++) {
        if (!is_letter_or_digit(text.at[i]) && text.at[i] != '-') return PORCH_ERR_MALFORMED;
    }
    porch_id id = {{0}};
    memcpy(id.text, text.at, text.len);
    *ret = id;
    return PORCH_OK;
}

bool porch_id_eq(const porch_id *a, const porch_id *b) {
    return memcmp(a->text, b->text, sizeof a->text) == 0;
}

porch_bytes porch_id_bytes(const porch_id *id) {
    return porch_bytes_of(id->text);
}
