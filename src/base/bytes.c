#include "base/bytes.h"

#include <string.h>

porch_bytes porch_bytes_of(const char *text) {
    return (porch_bytes){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

porch_bytes porch_buf_bytes(const porch_buf *b) {
    return (porch_bytes){b->at, b->len};
}

bool porch_bytes_eq(porch_bytes a, porch_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool porch_bytes_eq_text(porch_bytes a, const char *text) {
    return porch_bytes_eq(a, porch_bytes_of(text));
}

static uint8_t lower(uint8_t c) {
    return (c >= 'A' && c <= 'Z') ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool porch_bytes_eq_nocase(porch_bytes a, porch_bytes b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i])) return false;
    }
    return true;
}

bool porch_bytes_starts(porch_bytes a, porch_bytes prefix) {
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.at, prefix.at, prefix.len) == 0);
}

bool porch_bytes_eq_secret(porch_bytes a, porch_bytes b) {
    if (a.len != b.len) return false;
    volatile uint8_t differ = 0;
    for (size_t i = 0; i < a.len; i++)
        differ = (uint8_t)(differ | (a.at[i] ^ b.at[i]));
    return differ == 0;
}

bool porch_bytes_to_text(porch_bytes a, char *out, size_t cap) {
    if (cap == 0) return false;
    out[0] = '\0';
    if (a.len >= cap || (a.len > 0 && memchr(a.at, 0, a.len) != NULL)) return false;
    if (a.len > 0) memcpy(out, a.at, a.len);
    out[a.len] = '\0';
    return true;
}

void porch_wipe(void *at, size_t len) {
    volatile uint8_t *p = at;
    while (len-- > 0)
        *p++ = 0;
}
