/* News: what is to be told of a transaction waits here until it is durable. Rooms add words while their
 * jobs, ticks and observers run; the writer takes back what the database undoes, tells the rest after the
 * commit.
 *
 *   mark ─► a job, a tick or a message runs, and adds ─┬─ kept ────► commit ─► told, in order
 *                                                      └─ undone ──► back to the mark
 *
 * One mark is enough: where savepoints are nested (one message, stored again with care), nobody goes back
 * to the outer one any more (see store_writer.c). */
#include <stdlib.h>
#include <string.h>

#include "cloud/store/store_room.h"

enum { FIRST_SPACE = 32, KEPT_SPACE = 256 };

porch_err porch_store_news_open(porch_store *s, size_t word_bytes, size_t most, porch_store_news_fn tell,
                                void *ctx, porch_store_news **ret, porch_why *why) {
    porch_store_news *n = calloc(1, sizeof *n);
    if (n == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for news");
    *n = (porch_store_news){.tell = tell, .ctx = ctx, .word_bytes = word_bytes, .most = most};
    if (most == 0) n->most = s->settings.store_batch_rows;
    if (most == 0 && n->most < PORCH_STORE_LANES) n->most = PORCH_STORE_LANES; /* each lane has one */
    pthread_mutex_lock(&s->lock);
    bool fits = s->news_count < PORCH_STORE_OBSERVERS;
    if (fits) s->news[s->news_count++] = n;
    pthread_mutex_unlock(&s->lock);
    if (!fits) {
        free(n);
        return porch_fail(why, PORCH_ERR_LIMIT, "the store keeps news for %d rooms", PORCH_STORE_OBSERVERS);
    }
    *ret = n;
    return PORCH_OK;
}

void porch_store_news_free(porch_store_news *n) {
    free(n->words);
    free(n);
}

static bool grow(porch_store_news *n) {
    size_t space = n->space == 0 ? FIRST_SPACE : 2 * n->space;
    if (space > n->most) space = n->most;
    uint8_t *words = realloc(n->words, space * n->word_bytes);
    if (words == NULL) return false;
    n->words = words;
    n->space = space;
    return true;
}

bool porch_store_news_add(porch_store_news *n, const void *word) {
    if (n->count == n->most || (n->count == n->space && !grow(n))) return false;
    memcpy(n->words + n->count++ * n->word_bytes, word, n->word_bytes);
    return true;
}

size_t porch_store_news_room(const porch_store_news *n) {
    return n->most - n->count;
}

void porch_store_news_mark(porch_store_news *const *news, size_t count) {
    for (size_t i = 0; i < count; i++)
        news[i]->mark = news[i]->count;
}

void porch_store_news_back(porch_store_news *const *news, size_t count) {
    for (size_t i = 0; i < count; i++)
        news[i]->count = news[i]->mark;
}

/* A burst's memory is not kept for the next one. */
static void shrink(porch_store_news *n) {
    n->count = 0;
    if (n->space <= KEPT_SPACE) return;
    free(n->words);
    n->words = NULL;
    n->space = 0;
}

void porch_store_news_drop(porch_store_news *const *news, size_t count) {
    for (size_t i = 0; i < count; i++)
        shrink(news[i]);
}

void porch_store_news_tell(porch_store_news *const *news, size_t count) {
    for (size_t i = 0; i < count; i++) {
        porch_store_news *n = news[i];
        for (size_t k = 0; k < n->count && n->tell != NULL; k++)
            n->tell(n->words + k * n->word_bytes, n->ctx);
        shrink(n);
    }
}
