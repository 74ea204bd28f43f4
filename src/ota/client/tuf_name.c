#include "ota/client/tuf_name.h"

#include "base/text.h"

static bool unreserved(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

bool porch_tuf_quote(porch_bytes plain, bool slashes, char *out, size_t cap) {
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < plain.len; i++) {
        uint8_t c = plain.at[i];
        bool bare = unreserved(c) || (c == '/' && !slashes);
        if (len + (bare ? 1 : 3) >= cap) return false;
        if (bare) {
            out[len++] = (char)c;
            continue;
        }
        out[len++] = '%';
        out[len++] = digits[c >> 4];
        out[len++] = digits[c & 15];
    }
    if (cap == 0) return false;
    out[len] = '\0';
    return true;
}

typedef struct {
    uint8_t c;
    bool special; /* '*' or '?': never one that was escaped, since only '"' and '\' are */
    size_t next;
} sign;

static sign sign_at(porch_bytes pattern, size_t at) {
    uint8_t c = pattern.at[at];
    if (c == '\\' && at + 1 < pattern.len) return (sign){pattern.at[at + 1], false, at + 2};
    return (sign){c, c == '*' || c == '?', at + 1};
}

/* Behind the character (UTF-8) that begins at `at`. */
static size_t behind_character(porch_bytes path, size_t at) {
    for (at++; at < path.len && (path.at[at] & 0xc0) == 0x80;)
        at++;
    return at;
}

bool porch_tuf_pattern_matches(porch_bytes pattern, porch_bytes path) {
    size_t p = 0, s = 0;
    size_t star = SIZE_MAX, star_s = 0; /* behind the last '*', and how far it reaches */
    while (s < path.len || p < pattern.len) {
        if (p < pattern.len) {
            sign g = sign_at(pattern, p);
            if (g.special && g.c == '*') {
                star = g.next;
                star_s = s;
                p = g.next;
                continue;
            }
            if (s < path.len && g.special && path.at[s] != '/') {
                p = g.next;
                s = behind_character(path, s);
                continue;
            }
            if (s < path.len && !g.special && g.c == path.at[s]) {
                p = g.next;
                s++;
                continue;
            }
        }
        if (star == SIZE_MAX || star_s >= path.len || path.at[star_s] == '/') return false;
        star_s = behind_character(path, star_s);
        p = star;
        s = star_s;
    }
    return true;
}

bool porch_tuf_role_name_ok(porch_bytes plain, size_t most) {
    static const char *const taken[] = {"root", "timestamp", "snapshot", "targets", "mirrors"};
    if (plain.len == 0 || plain.len > most) return false;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (porch_bytes_eq_text(plain, taken[i])) return false;
    return true;
}
