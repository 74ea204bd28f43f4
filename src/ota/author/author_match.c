#include "ota/author/author_match.h"

#include <stdlib.h>
#include <string.h>

#include <divsufsort.h>

enum {
    BETTER_BY = 8, /* a place must fit so many bytes more than the one that we are at */
    HASH_BITS = 17,
    CHAIN_MOST = 128,
    NICE = 512, /* a repetition that is long enough to look no further */
    TICK_BYTES = 1 << 16
};

/* ---- places in the old image ---- */

typedef struct {
    porch_bytes old, fresh;
    int32_t *suffixes;
    porch_author_piece *pieces;
    size_t count, cap;
} matcher;

static size_t common(porch_bytes a, size_t i, porch_bytes b, size_t j) {
    size_t n = 0;
    while (i + n < a.len && j + n < b.len && a.at[i + n] == b.at[j + n])
        n++;
    return n;
}

/* The longest common prefix of fresh[at..] with any suffix of old. */
static size_t longest(const matcher *m, size_t at, size_t *place) {
    size_t low = 0, high = m->old.len; /* suffixes[low..high) */
    *place = 0;
    if (m->old.len == 0) return 0;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2, suffix = (size_t)m->suffixes[middle];
        size_t left = m->old.len - suffix, right = m->fresh.len - at, n = left < right ? left : right;
        int order = memcmp(m->old.at + suffix, m->fresh.at + at, n);
        if (order < 0 || (order == 0 && left < right))
            low = middle;
        else
            high = middle;
    }
    size_t best = common(m->old, (size_t)m->suffixes[low], m->fresh, at);
    *place = (size_t)m->suffixes[low];
    if (low + 1 < m->old.len) {
        size_t other = common(m->old, (size_t)m->suffixes[low + 1], m->fresh, at);
        if (other > best) {
            best = other;
            *place = (size_t)m->suffixes[low + 1];
        }
    }
    return best;
}

static bool same_at(const matcher *m, size_t old, size_t fresh) {
    return old < m->old.len && m->old.at[old] == m->fresh.at[fresh];
}

/* How far forward from (old, fresh) more than half of the bytes are the same. */
static size_t forward(const matcher *m, size_t old, size_t fresh, size_t end) {
    size_t best = 0, n = 0;
    long score = 0, top = 0;
    while (fresh + n < end && old + n < m->old.len) {
        score += same_at(m, old + n, fresh + n) ? 1 : -1;
        n++;
        if (score > top) {
            top = score;
            best = n;
        }
    }
    return best;
}

static size_t backward(const matcher *m, size_t old, size_t fresh, size_t begin) {
    size_t best = 0, n = 0;
    long score = 0, top = 0;
    while (fresh - n > begin && old > n) {
        n++;
        score += same_at(m, old - n, fresh - n) ? 1 : -1;
        if (score > top) {
            top = score;
            best = n;
        }
    }
    return best;
}

/* Where two pieces both claim bytes: as many to the first one as serve best. */
static size_t split(const matcher *m, size_t first_old, size_t second_old, size_t fresh, size_t overlap) {
    size_t best = 0;
    long score = 0, top = 0;
    for (size_t i = 0; i < overlap; i++) {
        score += same_at(m, first_old + i, fresh + i) ? 1 : 0;
        score -= same_at(m, second_old + i, fresh + i) ? 1 : 0;
        if (score > top) {
            top = score;
            best = i + 1;
        }
    }
    return best;
}

static porch_err add(matcher *m, size_t old_at, size_t same, size_t fresh, porch_why *why) {
    if (m->count == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 256;
        porch_author_piece *more = realloc(m->pieces, cap * sizeof *more);
        if (more == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
        m->pieces = more;
        m->cap = cap;
    }
    m->pieces[m->count++] = (porch_author_piece){(uint32_t)same, (uint32_t)fresh, (uint32_t)old_at};
    return PORCH_OK;
}

typedef struct {
    size_t at, length, place; /* what was found at `at` */
} found;

/* The next place that fits clearly better than going on where we are: `shift` is old minus new place there.
 */
static found next_place(const matcher *m, size_t from, size_t shift) {
    found f = {from, 0, 0};
    size_t scored = from, score = 0; /* of fresh[f.at..scored), how many fit with the shift */
    for (; f.at < m->fresh.len; f.at++) {
        f.length = longest(m, f.at, &f.place);
        for (; scored < f.at + f.length; scored++)
            score += same_at(m, scored + shift, scored);
        if (f.length > 0 && f.length == score) { /* where we are is as good: on behind it */
            f.at += f.length;
            scored = f.at;
            score = 0;
            f.at--;
            continue;
        }
        if (f.length > score + BETTER_BY) return f;
        if (score > 0 && scored > f.at && same_at(m, f.at + shift, f.at)) score--;
        if (scored == f.at) scored++;
    }
    f.length = 0;
    return f;
}

static porch_err match(matcher *m, void (*tick)(void *ctx, uint64_t done), void *ctx, porch_why *why) {
    size_t fresh = 0, old = 0; /* the open piece begins here */
    while (fresh < m->fresh.len) {
        /* The search starts behind the open piece's first exact bytes. */
        found f = next_place(m, fresh + common(m->old, old, m->fresh, fresh), old - fresh);
        size_t end = f.length > 0 ? f.at : m->fresh.len;
        size_t ahead = forward(m, old, fresh, end);
        size_t back = f.length > 0 ? backward(m, f.place, f.at, fresh) : 0;
        if (fresh + ahead > end - back) {
            size_t overlap = fresh + ahead - (end - back);
            size_t first = split(m, old + ahead - overlap, f.place - back, end - back, overlap);
            ahead -= overlap - first;
            back -= first;
        }
        PORCH_TRY(add(m, old, ahead, end - back - (fresh + ahead), why));
        if (f.length == 0) break;
        fresh = end - back;
        old = f.place - back;
        if (tick != NULL) tick(ctx, fresh);
    }
    return PORCH_OK;
}

porch_err porch_author_match(porch_bytes old, porch_bytes fresh, porch_author_piece **ret, size_t *count,
                             void (*tick)(void *ctx, uint64_t done), void *ctx, porch_why *why) {
    matcher m = {.old = old, .fresh = fresh};
    porch_err e = PORCH_OK;
    m.suffixes = malloc((old.len + 1) * sizeof *m.suffixes);
    if (m.suffixes == NULL || (old.len > 0 && divsufsort(old.at, m.suffixes, (int32_t)old.len) != 0))
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory: a delta takes five times the old image");
    if (e == PORCH_OK) e = match(&m, tick, ctx, why);
    free(m.suffixes);
    if (e != PORCH_OK) {
        free(m.pieces);
        return e;
    }
    *ret = m.pieces;
    *count = m.count;
    return PORCH_OK;
}

/* ---- repetitions in the new image ---- */

static uint32_t hash_at(porch_bytes b, uint32_t at) {
    uint32_t v;
    memcpy(&v, b.at + at, sizeof v);
    return v * 2654435761u >> (32 - HASH_BITS);
}

porch_err porch_author_repeats_open(porch_author_repeats *r, porch_bytes image, porch_why *why) {
    *r = (porch_author_repeats){.image = image};
    r->newest = malloc(((size_t)1 << HASH_BITS) * sizeof *r->newest);
    r->before = malloc((image.len + 1) * sizeof *r->before);
    if (r->newest == NULL || r->before == NULL) {
        porch_author_repeats_close(r);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    }
    memset(r->newest, 0xff, ((size_t)1 << HASH_BITS) * sizeof *r->newest);
    return PORCH_OK;
}

void porch_author_repeats_close(porch_author_repeats *r) {
    free(r->newest);
    free(r->before);
    *r = (porch_author_repeats){0};
}

/* A far place costs more to name than a few literals do. */
static bool worth(uint32_t length, uint32_t distance) {
    return length >= 8 || (length >= 6 && distance <= 1u << 14) || (length >= 5 && distance <= 1u << 8);
}

uint32_t porch_author_repeats_find(porch_author_repeats *r, uint32_t at, uint32_t most,
                                   uint32_t *distance) {
    uint32_t best = 0;
    for (; r->known < at; r->known++) {
        if (r->known + 4 > r->image.len) continue;
        uint32_t h = hash_at(r->image, r->known);
        r->before[r->known] = r->newest[h];
        r->newest[h] = (int32_t)r->known;
    }
    if (most < 4) return 0;
    int32_t place = r->newest[hash_at(r->image, at)];
    for (unsigned i = 0; place >= 0 && i < CHAIN_MOST && best < NICE; i++, place = r->before[place]) {
        uint32_t n = 0;
        while (n < most && r->image.at[(uint32_t)place + n] == r->image.at[at + n])
            n++;
        if (n > best && worth(n, at - (uint32_t)place)) {
            best = n;
            *distance = at - (uint32_t)place;
        }
    }
    return best;
}
