/* Background and current picture are kept at 160 columns: a person of 100 pixels in a VGA frame is still
 * 25 rows tall there, and the whole judgement costs a fraction of decoding the frame. */
#include "cloud/analyst/analyst_motion.h"

#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS = 160,
    CELL = 4,            /* small pixels a side */
    CHANGED = 16,        /* grey levels: above noise and coding artefacts of a night picture */
    CELL_PIXELS = 4,     /* of 16: so many changed make the cell moving */
    BACKGROUND_SHIFT = 4 /* the background follows by 1/16 a look */
};

struct porch_analyst_motion {
    uint32_t width, height; /* of the picture */
    uint32_t columns, rows; /* small, multiples of CELL */
    uint32_t across, down;  /* cells */
    bool taught;
    uint8_t *now;
    uint16_t *background; /* grey << 8 */
    uint8_t *cells;       /* 0 still, 1 moving, 2 counted */
    uint32_t *stack;
};

porch_err porch_analyst_motion_new(uint32_t width, uint32_t height, porch_analyst_motion **ret) {
    if (width < 64 || height < 64 || width > 16384 || height > 16384) return PORCH_ERR_MEDIA;
    porch_analyst_motion *m = calloc(1, sizeof *m);
    if (m == NULL) return PORCH_ERR_NO_SPACE;
    m->width = width;
    m->height = height;
    m->columns = (width < COLUMNS ? width : COLUMNS) / CELL * CELL;
    m->rows = (uint32_t)((uint64_t)m->columns * height / width);
    if (m->rows > height) m->rows = height;
    m->rows = m->rows < CELL ? CELL : m->rows / CELL * CELL;
    m->across = m->columns / CELL;
    m->down = m->rows / CELL;
    size_t pixels = (size_t)m->columns * m->rows, cells = (size_t)m->across * m->down;
    m->now = calloc(pixels, 1);
    m->background = calloc(pixels, sizeof *m->background);
    m->cells = calloc(cells, 1);
    m->stack = calloc(cells, sizeof *m->stack);
    if (m->now == NULL || m->background == NULL || m->cells == NULL || m->stack == NULL) {
        porch_analyst_motion_free(m);
        return PORCH_ERR_NO_SPACE;
    }
    *ret = m;
    return PORCH_OK;
}

void porch_analyst_motion_free(porch_analyst_motion *m) {
    if (m == NULL) return;
    free(m->now);
    free(m->background);
    free(m->cells);
    free(m->stack);
    free(m);
}

/* Each small pixel is the mean of the block above it, of at most 4x4 samples spread over the block. */
static void shrink(porch_analyst_motion *m, const porch_analyst_grey *p) {
    for (uint32_t y = 0; y < m->rows; y++) {
        uint32_t y0 = (uint32_t)((uint64_t)y * p->height / m->rows);
        uint32_t y1 = (uint32_t)((uint64_t)(y + 1) * p->height / m->rows);
        uint32_t step_y = (y1 - y0 + 3) / 4;
        for (uint32_t x = 0; x < m->columns; x++) {
            uint32_t x0 = (uint32_t)((uint64_t)x * p->width / m->columns);
            uint32_t x1 = (uint32_t)((uint64_t)(x + 1) * p->width / m->columns);
            uint32_t step_x = (x1 - x0 + 3) / 4;
            uint32_t sum = 0, n = 0;
            for (uint32_t j = y0; j < y1; j += step_y) {
                for (uint32_t i = x0; i < x1; i += step_x, n++)
                    sum += p->at[(size_t)j * p->stride + i];
            }
            m->now[(size_t)y * m->columns + x] = (uint8_t)(n > 0 ? sum / n : 0);
        }
    }
}

static void compare(porch_analyst_motion *m) {
    memset(m->cells, 0, (size_t)m->across * m->down);
    for (uint32_t cy = 0; cy < m->down; cy++) {
        for (uint32_t cx = 0; cx < m->across; cx++) {
            unsigned changed = 0;
            for (uint32_t j = 0; j < CELL; j++) {
                size_t at = ((size_t)cy * CELL + j) * m->columns + (size_t)cx * CELL;
                for (uint32_t i = 0; i < CELL; i++, at++) {
                    int back = m->background[at] >> 8;
                    int apart = (int)m->now[at] - back;
                    if (apart > CHANGED || apart < -CHANGED) changed++;
                }
            }
            m->cells[(size_t)cy * m->across + cx] = changed >= CELL_PIXELS;
        }
    }
}

static void learn(porch_analyst_motion *m) {
    size_t pixels = (size_t)m->columns * m->rows;
    for (size_t i = 0; i < pixels; i++) {
        int32_t target = (int32_t)m->now[i] << 8;
        int32_t back = m->background[i];
        m->background[i] =
            (uint16_t)(m->taught ? back + (target - back) / (1 << BACKGROUND_SHIFT) : target);
    }
    m->taught = true;
}

typedef struct {
    uint32_t x0, y0, x1, y1, cells; /* in cells, ends exclusive */
} blob;

/* Flood fill with a reach of two cells, since an arm and a leg often move without the body between. */
static blob gather(porch_analyst_motion *m, uint32_t first) {
    blob b = {m->across, m->down, 0, 0, 0};
    size_t depth = 0;
    m->stack[depth++] = first;
    m->cells[first] = 2;
    while (depth > 0) {
        uint32_t at = m->stack[--depth];
        uint32_t x = at % m->across, y = at / m->across;
        b.cells++;
        if (x < b.x0) b.x0 = x;
        if (y < b.y0) b.y0 = y;
        if (x + 1 > b.x1) b.x1 = x + 1;
        if (y + 1 > b.y1) b.y1 = y + 1;
        uint32_t left = x >= 2 ? x - 2 : 0, right = x + 2 < m->across ? x + 2 : m->across - 1;
        uint32_t top = y >= 2 ? y - 2 : 0, bottom = y + 2 < m->down ? y + 2 : m->down - 1;
        for (uint32_t j = top; j <= bottom; j++) {
            for (uint32_t i = left; i <= right; i++) {
                uint32_t next = j * m->across + i;
                if (m->cells[next] != 1) continue;
                m->cells[next] = 2; /* marked when pushed: each cell is pushed once */
                m->stack[depth++] = next;
            }
        }
    }
    return b;
}

static porch_analyst_region in_pixels(const porch_analyst_motion *m, blob b) {
    uint32_t x0 = (uint32_t)((uint64_t)b.x0 * m->width / m->across);
    uint32_t x1 = (uint32_t)((uint64_t)b.x1 * m->width / m->across);
    uint32_t y0 = (uint32_t)((uint64_t)b.y0 * m->height / m->down);
    uint32_t y1 = (uint32_t)((uint64_t)b.y1 * m->height / m->down);
    return (porch_analyst_region){x0, y0, x1 - x0, y1 - y0};
}

size_t porch_analyst_motion_look(porch_analyst_motion *m, const porch_analyst_grey *picture,
                                 porch_analyst_region ret[PORCH_ANALYST_REGIONS_MAX]) {
    if (picture->width != m->width || picture->height != m->height) return 0;
    shrink(m, picture);
    size_t count = 0;
    if (m->taught) {
        blob best[PORCH_ANALYST_REGIONS_MAX];
        compare(m);
        uint32_t cells = m->across * m->down;
        for (uint32_t at = 0; at < cells; at++) {
            if (m->cells[at] != 1) continue;
            blob b = gather(m, at);
            if (b.cells < 2) continue; /* a lone cell is noise */
            size_t place = count;
            while (place > 0 && best[place - 1].cells < b.cells)
                place--;
            if (place == PORCH_ANALYST_REGIONS_MAX) continue;
            if (count < PORCH_ANALYST_REGIONS_MAX) count++;
            memmove(&best[place + 1], &best[place], (count - 1 - place) * sizeof best[0]);
            best[place] = b;
        }
        for (size_t i = 0; i < count; i++)
            ret[i] = in_pixels(m, best[i]);
    }
    learn(m);
    return count;
}
