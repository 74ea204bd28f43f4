#include "base/text.h"

#include "base/cursor.h"

static const char hex_digits[] = "0123456789abcdef";

porch_err porch_hex_write(porch_buf *out, porch_bytes raw) {
    if (raw.len > (out->cap - out->len) / 2) return PORCH_ERR_NO_SPACE;
    for (size_t i = 0; i < raw.len; i++) {
        out->at[out->len++] = (uint8_t)hex_digits[raw.at[i] >> 4];
        out->at[out->len++] = (uint8_t)hex_digits[raw.at[i] & 15];
    }
    return PORCH_OK;
}

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

porch_err porch_hex_read(porch_buf *out, porch_bytes text) {
    if (text.len % 2 != 0) return PORCH_ERR_MALFORMED;
    if (text.len / 2 > out->cap - out->len) return PORCH_ERR_NO_SPACE;
    for (size_t i = 0; i < text.len; i++) {
        if (hex_value(text.at[i]) < 0) return PORCH_ERR_MALFORMED;
    }
    for (size_t i = 0; i < text.len; i += 2)
        out->at[out->len++] = (uint8_t)(hex_value(text.at[i]) * 16 + hex_value(text.at[i + 1]));
    return PORCH_OK;
}

static const char base64_plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

porch_err porch_base64_write(porch_buf *out, porch_bytes raw, bool url) {
    size_t left_over = raw.len % 3;
    size_t tail = left_over == 0 ? 0 : (url ? left_over + 1 : 4);
    if (raw.len / 3 > (out->cap - out->len) / 4 || out->cap - out->len - raw.len / 3 * 4 < tail)
        return PORCH_ERR_NO_SPACE;
    const char *alphabet = url ? base64_url : base64_plain;
    for (size_t i = 0; i < raw.len; i += 3) {
        size_t have = raw.len - i < 3 ? raw.len - i : 3;
        uint32_t v = (uint32_t)raw.at[i] << 16;
        if (have > 1) v |= (uint32_t)raw.at[i + 1] << 8;
        if (have > 2) v |= raw.at[i + 2];
        for (size_t k = 0; k < have + 1; k++)
            out->at[out->len++] = (uint8_t)alphabet[(v >> (18 - 6 * k)) & 63];
        for (size_t k = have + 1; k < 4 && !url; k++)
            out->at[out->len++] = '=';
    }
    return PORCH_OK;
}

static int base64_value(uint8_t c, bool url) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == (url ? '-' : '+')) return 62;
    if (c == (url ? '_' : '/')) return 63;
    return -1;
}

/* Strips padding where the form has it; what is left must not have length 1 modulo 4. */
static porch_err base64_trim(porch_bytes *text, bool url) {
    if (!url) {
        if (text->len % 4 != 0) return PORCH_ERR_MALFORMED;
        for (int i = 0; i < 2 && text->len > 0 && text->at[text->len - 1] == '='; i++)
            text->len--;
    }
    return text->len % 4 == 1 ? PORCH_ERR_MALFORMED : PORCH_OK;
}

porch_err porch_base64_read(porch_buf *out, porch_bytes text, bool url) {
    PORCH_TRY(base64_trim(&text, url));
    size_t whole = text.len / 4 * 3 + (text.len % 4 == 0 ? 0 : text.len % 4 - 1);
    if (whole > out->cap - out->len) return PORCH_ERR_NO_SPACE;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t start = out->len;
    for (size_t i = 0; i < text.len; i++) {
        int v = base64_value(text.at[i], url);
        if (v < 0) {
            out->len = start;
            return PORCH_ERR_MALFORMED;
        }
        bits = ((bits << 6) | (uint32_t)v) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out->at[out->len++] = (uint8_t)(bits >> have);
        }
    }
    if ((bits & ((1u << have) - 1)) != 0) { /* stray bits: a second spelling of the same bytes */
        out->len = start;
        return PORCH_ERR_MALFORMED;
    }
    return PORCH_OK;
}

porch_err porch_decimal_read(porch_bytes text, uint64_t most, uint64_t *ret) {
    if (text.len == 0 || (text.len > 1 && text.at[0] == '0')) return PORCH_ERR_MALFORMED;
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return PORCH_ERR_MALFORMED;
        uint64_t digit = (uint64_t)(text.at[i] - '0');
        if (digit > most || v > (most - digit) / 10) return PORCH_ERR_LIMIT;
        v = v * 10 + digit;
    }
    *ret = v;
    return PORCH_OK;
}

/* Bytes in the sequence that starts at text[0], or 0 when it is not well formed. */
static size_t utf8_sequence(porch_bytes text) {
    uint8_t first = text.at[0];
    uint8_t low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t n;
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) {
        n = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        n = 3;
        if (first == 0xe0) low = 0xa0;
        if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
        n = 4;
        if (first == 0xf0) low = 0x90;
        if (first == 0xf4) high = 0x8f;
    } else {
        return 0;
    }
    if (n > text.len || text.at[1] < low || text.at[1] > high) return 0;
    for (size_t i = 2; i < n; i++) {
        if (text.at[i] < 0x80 || text.at[i] > 0xbf) return 0;
    }
    return n;
}

bool porch_utf8_valid(porch_bytes text) {
    while (text.len > 0) {
        size_t n = utf8_sequence(text);
        if (n == 0) return false;
        text.at += n;
        text.len -= n;
    }
    return true;
}
