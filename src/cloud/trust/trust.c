#include "cloud/trust/trust.h"

#include <string.h>

#include "cloud/trust/trust_erase.h"
#include "crypto/chain.h"
#include "crypto/random.h"

#include "os/clock.h"

static void hash_row(const uint8_t before[32], const porch_trust_row *row, uint8_t out[32]) {
    const porch_chain_row link = {row->seq,     row->at_ms,  row->kind, row->who,
                                  row->subject, row->detail, row->salt};
    porch_chain_row_link(before, &link, out);
}

porch_err porch_trust_head_read(porch_db *db, porch_trust_head *ret, porch_why *why) {
    porch_trust_head head = {0};
    porch_db_query *q = porch_db_prepare(db, "select seq, hash from trust order by seq desc limit 1", why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        porch_bytes hash = porch_db_blob(q, 1);
        head.seq = (uint64_t)porch_db_i64(q, 0);
        if (hash.len == sizeof head.hash) {
            memcpy(head.hash, hash.at, sizeof head.hash);
        } else {
            e = porch_fail(why, PORCH_ERR_SIGNATURE, "row %llu of the trust log has no hash",
                           (unsigned long long)head.seq);
        }
    }
    porch_db_finish(q);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    *ret = head;
    return PORCH_OK;
}

porch_err porch_trust_append(porch_db *db, const char *kind, const char *who, const char *subject,
                             const char *detail_json, porch_why *why) {
    porch_trust_head head;
    PORCH_TRY(porch_trust_head_read(db, &head, why));
    uint8_t hash[32], salt[PORCH_TRUST_SALT];
    porch_random(salt, sizeof salt);
    porch_trust_row row = {.seq = head.seq + 1,
                           .at_ms = porch_clock_ms(),
                           .kind = porch_bytes_of(kind),
                           .who = porch_bytes_of(who),
                           .subject = porch_bytes_of(subject),
                           .detail = porch_bytes_of(detail_json),
                           .salt = {salt, sizeof salt}};
    hash_row(head.hash, &row, hash);
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into trust (seq, at_ms, kind, who, subject, detail, hash, "
                                         "salt) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                                         why);
    porch_db_bind_i64(q, 1, (int64_t)row.seq);
    porch_db_bind_i64(q, 2, (int64_t)row.at_ms);
    porch_db_bind_text(q, 3, row.kind);
    porch_db_bind_text(q, 4, row.who);
    porch_db_bind_text(q, 5, row.subject);
    porch_db_bind_text(q, 6, row.detail);
    porch_db_bind_blob(q, 7, (porch_bytes){hash, sizeof hash});
    porch_db_bind_blob(q, 8, row.salt);
    return porch_db_execute(q, why);
}

/* ---- verification ------------------------------------------------------------------------------- */

/* What the walk knows: the head so far, and which emptied rows no erasure has named yet. */
typedef struct {
    const porch_trust_head *known;
    porch_trust_head head;
    porch_trust_rows emptied;
} walk;

static void read_row(porch_db_query *q, porch_trust_row *row) {
    *row = (porch_trust_row){.seq = (uint64_t)porch_db_i64(q, 0),
                             .at_ms = (uint64_t)porch_db_i64(q, 1),
                             .kind = porch_db_text(q, 2),
                             .who = porch_db_text(q, 3),
                             .subject = porch_db_text(q, 4),
                             .detail = porch_db_text(q, 5),
                             .salt = porch_db_blob(q, 7)};
}

/* An emptied row cannot be hashed again: its hash stands as the link that it was, held by the rows after
 * it. That it may be empty is for an erasure further down to say. */
static porch_err link_of(walk *w, const porch_trust_row *row, porch_bytes stored, uint8_t out[32],
                         porch_why *why) {
    if (!porch_bytes_eq_text(row->kind, PORCH_TRUST_EMPTIED)) {
        hash_row(w->head.hash, row, out);
        if (porch_bytes_eq(stored, (porch_bytes){out, 32})) return PORCH_OK;
    } else if (stored.len == 32 && row->who.len == 0 && row->subject.len == 0 && row->salt.len == 0) {
        memcpy(out, stored.at, 32);
        return porch_trust_rows_add(&w->emptied, row->seq);
    }
    return porch_fail(why, PORCH_ERR_SIGNATURE,
                      "row %llu of the trust log does not fit its hash: it was changed",
                      (unsigned long long)row->seq);
}

static porch_err check_row(porch_db_query *q, walk *w, porch_why *why) {
    porch_trust_row row;
    uint8_t hash[32];
    read_row(q, &row);
    unsigned long long number = row.seq;
    if (row.seq != w->head.seq + 1)
        return porch_fail(why, PORCH_ERR_SIGNATURE,
                          "the trust log goes from row %llu to row %llu: rows are missing",
                          (unsigned long long)w->head.seq, number);
    PORCH_TRY(link_of(w, &row, porch_db_blob(q, 6), hash, why));
    if (w->known != NULL && w->known->seq == row.seq && memcmp(w->known->hash, hash, sizeof hash) != 0)
        return porch_fail(why, PORCH_ERR_SIGNATURE, "row %llu of the trust log is not the one known before",
                          number);
    w->head.seq = row.seq;
    memcpy(w->head.hash, hash, sizeof hash);
    if (porch_bytes_eq_text(row.kind, PORCH_TRUST_ERASE)) porch_trust_rows_named(&w->emptied, row.detail);
    return PORCH_OK;
}

porch_err porch_trust_verify(porch_db *db, const porch_trust_head *known, porch_trust_head *ret,
                             porch_why *why) {
    walk w = {.known = known};
    porch_db_query *q = porch_db_prepare(
        db, "select seq, at_ms, kind, who, subject, detail, hash, salt from trust order by seq", why);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        e = check_row(q, &w, why);
        if (e != PORCH_OK) break;
    }
    porch_db_finish(q);
    if (e == PORCH_ERR_NOT_FOUND) e = PORCH_OK;
    if (e == PORCH_OK && w.emptied.count > 0)
        e = porch_fail(why, PORCH_ERR_SIGNATURE,
                       "row %llu of the trust log was emptied, and no erasure says so",
                       (unsigned long long)w.emptied.at[0]);
    porch_trust_rows_free(&w.emptied);
    PORCH_TRY(e);
    if (known != NULL && known->seq > w.head.seq)
        return porch_fail(why, PORCH_ERR_SIGNATURE,
                          "the trust log ends at row %llu, but row %llu was known: it was cut",
                          (unsigned long long)w.head.seq, (unsigned long long)known->seq);
    *ret = w.head;
    return PORCH_OK;
}
