/* The operator's log: one line a happening, on standard error, for a machine and a person alike.
 *
 *   2026-01-31T08:15:00.123Z warn hub connect_refused peer=192.0.2.7 reason="certificate ended"
 *
 * A line is built on the stack and leaves in one write(2), so lines of threads and processes that share
 * the descriptor do not mix, and no lock is taken. A line longer than PORCH_LOG_LINE_BYTES is cut.
 * Events and keys are our own words (a-z, 0-9, _, .); values may come from strangers and are escaped:
 * quotes, backslash, control bytes, and bytes that are not UTF-8. Never pass a secret. */
#ifndef PORCH_OS_LOG_H
#define PORCH_OS_LOG_H

#include "base/bytes.h"

#define PORCH_LOG_LINE_BYTES 2048

typedef enum { PORCH_LOG_DEBUG, PORCH_LOG_INFO, PORCH_LOG_WARN, PORCH_LOG_ERROR } porch_log_level;

/* Names the process in every line and drops what is below `least`. Call once, before threads start; the
 * name is copied. Before it the name is "porchlight" and the level INFO. */
void porch_log_init(const char *process_name, porch_log_level least);
/* True when a line of this level would be written: guards costly values. */
bool porch_log_wants(porch_log_level level);
/* `event`, then pairs of const char *key and const char *value, then NULL. A NULL value is written as -.
 * Thread-safe; keeps errno. */
void porch_log(porch_log_level level, const char *event, ...) __attribute__((sentinel));

/* Values that are not text, as arguments: porch_log(..., "bytes", porch_log_number(n).text, NULL). The
 * struct lives until the end of the full expression, that is, through the call. */
typedef struct {
    char text[24];
} porch_log_digits;
typedef struct {
    char text[200];
} porch_log_view;
porch_log_digits porch_log_number(uint64_t n);
porch_log_digits porch_log_signed(int64_t n);
/* A view that has no terminating zero, cut at 196 bytes; zero bytes show as '?'. */
porch_log_view porch_log_bytes(porch_bytes b);

#endif
