#include "motion.h"

#include <stdlib.h>
#include <string.h>

enum {
    CELL = 8, /* half-size pixels on a side */
    PIXEL_DIFFERENCE = 22,
    CELL_PIXELS = 10,  /* changed pixels that make a cell one that changed */
    GROUP_BEGINS = 3,  /* cells of the largest group: motion, if seen in two frames in a row */
    GROUP_IS_SURE = 8, /* motion at once */
    GROUP_GOES_ON = 2,
    REFERENCE_AGE_MS = 80,
};
/* A person at some distance covers about this part of the picture: the score's full scale. */
static const double full_scale = 0.03;

struct porch_camera_motion {
    int width, height; /* half size */
    int columns, rows;
    uint64_t settle_ms;
    uint8_t *now, *reference;
    uint8_t *cells;   /* 1: changed, 2: counted into a group */
    uint8_t *ignored; /* 1: what changes there does not count */
    int *stack;
    bool has_reference;
    uint64_t reference_at_ms;
    bool candidate; /* the frame before was one that could begin */
    uint64_t candidate_at_ms;
    bool moving;
    uint64_t began_at_ms;
    uint64_t last_seen_ms;
};

typedef struct {
    int cells;
    int left, top, right, bottom; /* inclusive */
} group;

porch_camera_motion *porch_camera_motion_new(int width, int height, uint64_t settle_ms) {
    porch_camera_motion *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->width = width / 2;
    m->height = height / 2;
    m->columns = m->width / CELL;
    m->rows = m->height / CELL;
    m->settle_ms = settle_ms;
    if (m->columns > 0 && m->rows > 0) {
        size_t pixels = (size_t)m->width * (size_t)m->height, cells = (size_t)m->columns * (size_t)m->rows;
        m->now = malloc(pixels);
        m->reference = malloc(pixels);
        m->cells = malloc(cells);
        m->ignored = calloc(1, cells);
        m->stack = malloc(cells * sizeof *m->stack);
    }
    if (!m->now || !m->reference || !m->cells || !m->ignored || !m->stack) {
        porch_camera_motion_free(m);
        return NULL;
    }
    return m;
}

void porch_camera_motion_free(porch_camera_motion *m) {
    if (!m) return;
    free(m->now);
    free(m->reference);
    free(m->cells);
    free(m->ignored);
    free(m->stack);
    free(m);
}

void porch_camera_motion_ignore(porch_camera_motion *m, const int32_t (*zones)[4], size_t count) {
    const int64_t one = 10000;
    for (int i = 0; i < m->columns * m->rows; i++) {
        int64_t x = ((int64_t)(i % m->columns) * CELL + CELL / 2) * one / m->width;
        int64_t y = ((int64_t)(i / m->columns) * CELL + CELL / 2) * one / m->height;
        m->ignored[i] = 0;
        for (size_t z = 0; z < count && !m->ignored[i]; z++)
            m->ignored[i] = x >= zones[z][0] && x < zones[z][0] + zones[z][2] && y >= zones[z][1] &&
                            y < zones[z][1] + zones[z][3];
    }
}

static void halve(porch_camera_motion *m, const uint8_t *luma, size_t stride) {
    for (int y = 0; y < m->height; y++) {
        const uint8_t *a = luma + (size_t)(2 * y) * stride, *b = a + stride;
        uint8_t *out = m->now + (size_t)y * (size_t)m->width;
        for (int x = 0; x < m->width; x++, a += 2, b += 2)
            out[x] = (uint8_t)((a[0] + a[1] + b[0] + b[1] + 2) / 4);
    }
}

/* Marks the cells that changed; returns how many. */
static int compare(porch_camera_motion *m) {
    int changed = 0;
    for (int row = 0; row < m->rows; row++) {
        for (int column = 0; column < m->columns; column++) {
            size_t at = (size_t)(row * CELL) * (size_t)m->width + (size_t)(column * CELL);
            int pixels = 0;
            for (int y = 0; y < CELL; y++, at += (size_t)m->width)
                for (size_t x = at; x < at + CELL; x++)
                    pixels += abs((int)m->now[x] - (int)m->reference[x]) > PIXEL_DIFFERENCE;
            bool on = pixels >= CELL_PIXELS && !m->ignored[row * m->columns + column];
            m->cells[row * m->columns + column] = on;
            changed += on;
        }
    }
    return changed;
}

/* The group around one cell: cells no further than two apart belong together (legs and trunk of one
 * person). */
static group gather(porch_camera_motion *m, int first) {
    group g = {0, m->columns, m->rows, -1, -1};
    int depth = 0;
    m->stack[depth++] = first;
    m->cells[first] = 2;
    while (depth > 0) {
        int at = m->stack[--depth], x = at % m->columns, y = at / m->columns;
        g.cells++;
        if (x < g.left) g.left = x;
        if (x > g.right) g.right = x;
        if (y < g.top) g.top = y;
        if (y > g.bottom) g.bottom = y;
        for (int ny = y - 2; ny <= y + 2; ny++)
            for (int nx = x - 2; nx <= x + 2; nx++) {
                if (nx < 0 || ny < 0 || nx >= m->columns || ny >= m->rows) continue;
                int next = ny * m->columns + nx;
                if (m->cells[next] != 1) continue;
                m->cells[next] = 2; /* marked when pushed: the stack never holds a cell twice */
                m->stack[depth++] = next;
            }
    }
    return g;
}

static group largest_group(porch_camera_motion *m) {
    group best = {0};
    for (int i = 0; i < m->columns * m->rows; i++) {
        if (m->cells[i] != 1) continue;
        group g = gather(m, i);
        if (g.cells > best.cells) best = g;
    }
    return best;
}

static void decide(porch_camera_motion *m, int cells, uint64_t at_ms, porch_camera_sight *s) {
    if (m->moving) {
        if (cells >= GROUP_GOES_ON) m->last_seen_ms = at_ms;
        if (at_ms - m->last_seen_ms > m->settle_ms) m->moving = false;
    } else if (cells >= GROUP_BEGINS) {
        if (!m->candidate) m->candidate_at_ms = at_ms;
        if (m->candidate || cells >= GROUP_IS_SURE) {
            m->moving = s->began = true;
            m->began_at_ms = m->candidate_at_ms;
            m->last_seen_ms = at_ms;
        }
    }
    m->candidate = !m->moving && cells >= GROUP_BEGINS;
    s->moving = m->moving;
    s->began_at_ms = m->began_at_ms;
}

porch_camera_sight porch_camera_motion_look(porch_camera_motion *m, const uint8_t *luma, size_t stride,
                                            uint64_t at_ms) {
    porch_camera_sight s = {.moving = m->moving, .began_at_ms = m->began_at_ms};
    halve(m, luma, stride);
    if (m->has_reference) {
        int changed = compare(m);
        group g = largest_group(m);
        s.score = (double)changed / (m->columns * m->rows) / full_scale;
        if (s.score > 1) s.score = 1;
        if (g.cells > 0) {
            s.box[0] = (double)(g.left * CELL) / m->width;
            s.box[1] = (double)(g.top * CELL) / m->height;
            s.box[2] = (double)((g.right - g.left + 1) * CELL) / m->width;
            s.box[3] = (double)((g.bottom - g.top + 1) * CELL) / m->height;
        }
        decide(m, g.cells, at_ms, &s);
    }
    if (!m->has_reference || at_ms - m->reference_at_ms >= REFERENCE_AGE_MS) {
        uint8_t *old = m->reference;
        m->reference = m->now;
        m->now = old;
        m->reference_at_ms = at_ms;
        m->has_reference = true;
    }
    return s;
}
