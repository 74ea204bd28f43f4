#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"

enum { BAR = 30, REDRAW_MS = 100, MEGA = 1000000 };

porch_progress porch_progress_begin(uint64_t total) {
    uint64_t now = porch_clock_mono_ms();
    return (porch_progress){isatty(STDERR_FILENO) == 1, total, 0, now, 0};
}

static double giga(uint64_t bytes) {
    return (double)bytes / 1e9;
}

void porch_progress_text(const porch_progress *p, uint64_t now_ms, char *out, size_t cap) {
    char bar[BAR + 1];
    uint64_t total = p->total > p->done ? p->total : p->done;
    double share = total > 0 ? (double)p->done / (double)total : 1;
    size_t filled = (size_t)(share * BAR);
    double seconds = (double)(now_ms - p->began_ms) / 1000;
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    for (size_t i = 0; i < BAR; i++)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR] = '\0';
    (void)snprintf(out, cap, "%3.0f%% [%s] %.1f of %.1f GB, %.0f MB/s, %.0f s left", share * 100, bar,
                   giga(p->done), giga(total), rate / MEGA,
                   rate > 0 ? (double)(total - p->done) / rate : 0);
}

void porch_progress_at(porch_progress *p, uint64_t done) {
    char text[160];
    p->done = done;
    if (!p->shown) return;
    uint64_t now = porch_clock_mono_ms();
    if (p->said_ms != 0 && now - p->said_ms < REDRAW_MS) return;
    p->said_ms = now;
    porch_progress_text(p, now, text, sizeof text);
    (void)fprintf(stderr, "\r\033[K%s", text);
}

void porch_progress_end(porch_progress *p) {
    if (p->shown) (void)fprintf(stderr, "\r\033[K");
    p->shown = false;
}
