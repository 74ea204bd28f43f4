#include "cloud/trust/trust_erase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- lists of rows ---- */

porch_err porch_trust_rows_add(porch_trust_rows *rows, uint64_t seq) {
    if (rows->count == rows->cap) {
        size_t cap = rows->cap * 2 + 16;
        uint64_t *wider = realloc(rows->at, cap * sizeof *wider);
        if (wider == NULL) return PORCH_ERR_NO_SPACE;
        rows->at = wider;
        rows->cap = cap;
    }
    rows->at[rows->count++] = seq;
    return PORCH_OK;
}

void porch_trust_rows_free(porch_trust_rows *rows) {
    free(rows->at);
    *rows = (porch_trust_rows){0};
}

static void take_out(porch_trust_rows *rows, uint64_t from, uint64_t to) {
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->at[i] < from || rows->at[i] > to) rows->at[kept++] = rows->at[i];
    rows->count = kept;
}

/* The number at the front of the text, which it is cut off from. */
static porch_err cut_number(porch_bytes *text, uint64_t *ret) {
    size_t n = 0;
    while (n < text->len && text->at[n] >= '0' && text->at[n] <= '9')
        n++;
    PORCH_TRY(porch_decimal_read((porch_bytes){text->at, n}, INT64_MAX, ret));
    *text = (porch_bytes){text->at + n, text->len - n};
    return PORCH_OK;
}

static bool cut_char(porch_bytes *text, char c) {
    if (text->len == 0 || text->at[0] != (uint8_t)c) return false;
    *text = (porch_bytes){text->at + 1, text->len - 1};
    return true;
}

void porch_trust_rows_named(porch_trust_rows *rows, porch_bytes detail) {
    static const char begin[] = "{\"rows\":\"";
    if (detail.len < sizeof begin - 1 || memcmp(detail.at, begin, sizeof begin - 1) != 0) return;
    porch_bytes rest = {detail.at + sizeof begin - 1, detail.len - (sizeof begin - 1)};
    do {
        uint64_t from = 0, to = 0;
        if (cut_number(&rest, &from) != PORCH_OK) return;
        to = from;
        if (cut_char(&rest, '-') && cut_number(&rest, &to) != PORCH_OK) return;
        take_out(rows, from, to);
    } while (cut_char(&rest, ','));
}

size_t porch_trust_rows_text(const porch_trust_rows *rows, size_t from, char *out, size_t cap) {
    size_t len = 0, i = from;
    out[0] = '\0';
    while (i < rows->count) {
        char run[PORCH_TRUST_ROWS_TEXT]; /* a comma, a dash and twice twenty digits */
        size_t last = i;
        while (last + 1 < rows->count && rows->at[last + 1] == rows->at[last] + 1)
            last++;
        int n = snprintf(run, sizeof run, i == last ? "%s%llu" : "%s%llu-%llu", len == 0 ? "" : ",",
                         (unsigned long long)rows->at[i], (unsigned long long)rows->at[last]);
        if (n < 0 || len + (size_t)n >= cap) break;
        memcpy(out + len, run, (size_t)n + 1);
        len += (size_t)n;
        i = last + 1;
    }
    return i;
}

/* ---- the log ---- */

static porch_err pick(porch_db *db, porch_trust_about_fn about, void *ctx, porch_trust_rows *picked,
                      porch_why *why) {
    porch_err e;
    porch_db_query *q =
        porch_db_prepare(db, "select seq, at_ms, kind, who, subject, detail from trust order by seq", why);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        const porch_trust_row row = {.seq = (uint64_t)porch_db_i64(q, 0),
                                     .at_ms = (uint64_t)porch_db_i64(q, 1),
                                     .kind = porch_db_text(q, 2),
                                     .who = porch_db_text(q, 3),
                                     .subject = porch_db_text(q, 4),
                                     .detail = porch_db_text(q, 5)};
        if (porch_bytes_eq_text(row.kind, PORCH_TRUST_EMPTIED) ||
            porch_bytes_eq_text(row.kind, PORCH_TRUST_ERASE) || !about(&row, ctx))
            continue;
        e = porch_trust_rows_add(picked, row.seq);
        if (e != PORCH_OK) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err empty(porch_db *db, uint64_t seq, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "update trust set kind = '" PORCH_TRUST_EMPTIED
                         "', at_ms = 0, who = '', subject = '', detail = '{}', salt = x'' where seq = ?1",
                         why);
    porch_db_bind_i64(q, 1, (int64_t)seq);
    return porch_db_execute(q, why);
}

static porch_err append_erasure(porch_db *db, const porch_trust_rows *picked, const char *who,
                                porch_why *why) {
    static const char frame[] = "{\"rows\":\"%s\"}";
    char rows[PORCH_TRUST_ERASE_DETAIL - sizeof frame], detail[PORCH_TRUST_ERASE_DETAIL];
    size_t next = 0;
    do {
        next = porch_trust_rows_text(picked, next, rows, sizeof rows);
        (void)snprintf(detail, sizeof detail, frame, rows);
        PORCH_TRY(porch_trust_append(db, PORCH_TRUST_ERASE, who, "household", detail, why));
    } while (next < picked->count);
    return PORCH_OK;
}

porch_err porch_trust_erase(porch_db *db, porch_trust_about_fn about, void *ctx, const char *who,
                            porch_why *why) {
    porch_trust_rows picked = {0};
    porch_err e = pick(db, about, ctx, &picked, why);
    for (size_t i = 0; i < picked.count && e == PORCH_OK; i++)
        e = empty(db, picked.at[i], why);
    if (e == PORCH_OK) e = append_erasure(db, &picked, who, why);
    porch_trust_rows_free(&picked);
    return e;
}

/* ---- the names ---- */

porch_err porch_trust_erasure_note(porch_db *db, const char *household, const char *kind, const char *name,
                                   porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "insert or ignore into erasure (household, kind, name) values (?1, ?2, ?3)", why);
    porch_db_bind_str(q, 1, household);
    porch_db_bind_str(q, 2, kind);
    porch_db_bind_str(q, 3, name);
    return porch_db_execute(q, why);
}

porch_err porch_trust_erasure_names(porch_db *db, const char *household, const char *kind,
                                    porch_err (*fn)(const char *name, void *ctx, porch_why *why), void *ctx,
                                    porch_why *why) {
    porch_err e;
    porch_db_query *q = porch_db_prepare(
        db, "select name from erasure where household = ?1 and kind = ?2 order by name", why);
    porch_db_bind_str(q, 1, household);
    porch_db_bind_str(q, 2, kind);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        char name[256];
        if (!porch_bytes_to_text(porch_db_text(q, 0), name, sizeof name)) continue;
        e = fn(name, ctx, why);
        if (e != PORCH_OK) break;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}
