#include "os/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "os/clock.h"

static char process_name_now[32] = "porchlight";
static porch_log_level least_now = PORCH_LOG_INFO;

/* A line under construction. The last bytes are kept free for the mark of a cut line and the newline. */
typedef struct {
    char text[PORCH_LOG_LINE_BYTES];
    size_t len;
    bool cut;
} log_line;

#define LINE_TAIL 4 /* "...\n" */

void porch_log_init(const char *process_name, porch_log_level least) {
    (void)snprintf(process_name_now, sizeof process_name_now, "%s", process_name);
    least_now = least;
}

bool porch_log_wants(porch_log_level level) {
    return level >= least_now;
}

static void put(log_line *l, const char *at, size_t len) {
    if (l->cut || len > sizeof l->text - LINE_TAIL - l->len) {
        l->cut = true;
        return;
    }
    memcpy(l->text + l->len, at, len);
    l->len += len;
}

static void put_text(log_line *l, const char *text) {
    put(l, text, strlen(text));
}

static bool plain_byte(uint8_t c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* How many bytes from `at` on may stand unescaped inside quotes: 0 means escape this one. Sequences that
 * steer terminals or turn the reading direction (C1 controls; U+2000 to U+207F) are escaped, too. */
static size_t safe_run(const uint8_t *at, size_t left, bool utf8) {
    uint8_t c = at[0];
    if (c >= ' ' && c < 0x7f) return (c == '"' || c == '\\') ? 0 : 1;
    if (c < 0xc2 || !utf8) return 0; /* control, or the inside of a sequence whose head was escaped */
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (n > left) return 0;
    if (c == 0xc2 && at[1] < 0xa0) return 0;
    if (c == 0xe2 && (at[1] == 0x80 || at[1] == 0x81)) return 0;
    return n;
}

static void put_escape(log_line *l, uint8_t c) {
    static const char digits[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        put(l, (const char[]){'\\', (char)c}, 2);
    } else if (c == '\n') {
        put(l, "\\n", 2);
    } else {
        put(l, (const char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
    }
}

static void put_value(log_line *l, const char *value) {
    if (value == NULL) {
        put(l, "-", 1);
        return;
    }
    const uint8_t *at = (const uint8_t *)value;
    size_t len = strlen(value), plain = 0;
    while (plain < len && plain_byte(at[plain]))
        plain++;
    if (plain == len && len > 0) {
        put(l, value, len);
        return;
    }
    bool utf8 = porch_utf8_valid((porch_bytes){at, len});
    put(l, "\"", 1);
    for (size_t i = 0; i < len && !l->cut;) {
        size_t n = safe_run(at + i, len - i, utf8);
        if (n > 0) {
            put(l, value + i, n);
        } else {
            put_escape(l, at[i]);
            n = 1;
        }
        i += n;
    }
    put(l, "\"", 1);
}

static void send_line(log_line *l) {
    if (l->cut) {
        memcpy(l->text + l->len, "...", 3);
        l->len += 3;
    }
    l->text[l->len++] = '\n';
    ssize_t wrote;
    do {
        wrote = write(STDERR_FILENO, l->text, l->len);
    } while (wrote < 0 && errno == EINTR);
    /* A log that cannot be written has nowhere to complain. */
}

void porch_log(porch_log_level level, const char *event, ...) {
    static const char *const level_names[] = {"debug", "info", "warn", "error"};
    if (!porch_log_wants(level)) return;
    int saved = errno;
    log_line l;
    l.len = 0;
    l.cut = false;
    char when[PORCH_CLOCK_TEXT_BYTES];
    porch_clock_rfc3339(porch_clock_ms(), when);
    put_text(&l, when);
    put(&l, " ", 1);
    put_text(&l, level_names[level]);
    put(&l, " ", 1);
    put_text(&l, process_name_now);
    put(&l, " ", 1);
    put_text(&l, event);
    va_list args;
    va_start(args, event);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start stands above */
    for (const char *key = va_arg(args, const char *); key != NULL; key = va_arg(args, const char *)) {
        put(&l, " ", 1);
        put_text(&l, key);
        put(&l, "=", 1);
        put_value(&l, va_arg(args, const char *));
    }
    va_end(args);
    send_line(&l);
    errno = saved;
}

porch_log_digits porch_log_number(uint64_t n) {
    porch_log_digits d;
    (void)snprintf(d.text, sizeof d.text, "%llu", (unsigned long long)n);
    return d;
}

porch_log_digits porch_log_signed(int64_t n) {
    porch_log_digits d;
    (void)snprintf(d.text, sizeof d.text, "%lld", (long long)n);
    return d;
}

porch_log_view porch_log_bytes(porch_bytes b) {
    porch_log_view v;
    const size_t most = sizeof v.text - LINE_TAIL;
    size_t len = b.len < most ? b.len : most;
    for (size_t i = 0; i < len; i++)
        v.text[i] = (char)(b.at[i] == 0 ? '?' : b.at[i]);
    memcpy(v.text + len, "...", 4);
    if (b.len <= most) v.text[len] = '\0';
    return v;
}
