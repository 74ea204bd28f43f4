#include "cloud/api/trust_heads.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/signer/signer_client.h"
#include "cloud/trust/trust_erase.h"
#include "crypto/keystore.h"

enum { BATCH_BYTES = 48 * 1024 };

/* ---- signing ---- */

/* Rows after `after`, as many as fit, at least one when there is one. */
typedef struct {
    uint64_t after;
    porch_buf *out;
    uint64_t rows;
    uint8_t hash[32]; /* of the row `after` itself; zero when it is 0 */
    bool there;       /* the row `after` is there */
} batch;

static porch_err read_link(porch_db *db, batch *b, porch_why *why) {
    if (b->after == 0) {
        b->there = true;
        return PORCH_OK;
    }
    porch_db_query *q = porch_db_prepare(db, "select hash from trust where seq = ?1", why);
    porch_db_bind_i64(q, 1, (int64_t)b->after);
    porch_err e = porch_db_step(q, why);
    porch_bytes hash = porch_db_blob(q, 0);
    b->there = e == PORCH_OK && hash.len == 32;
    if (b->there) memcpy(b->hash, hash.at, 32);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* A row that no message holds. Hubs of before wrote a large erasure so: its hash stands for it, as that of
 * an emptied row does, once it was seen to be the right one. */
static porch_err write_long(batch *b, porch_trust_sent_row *row, porch_why *why) {
    uint8_t hash[32];
    const unsigned long long number = row->row.seq;
    if (!porch_bytes_eq_text(row->row.kind, PORCH_TRUST_ERASE))
        return porch_fail(
            why, PORCH_ERR_LIMIT,
            "row %llu of the trust log is too long for the signer (%d bytes): it and all rows "
            "after it stay unsigned; keep exports elsewhere (trust-log export)",
            number, BATCH_BYTES);
    porch_chain_row_link(b->hash, &row->row, hash);
    if (!porch_bytes_eq(row->hash, (porch_bytes){hash, sizeof hash}))
        return porch_fail(why, PORCH_ERR_SIGNATURE,
                          "row %llu of the trust log does not fit its hash: it was changed", number);
    row->emptied = true;
    return porch_trust_sent_row_write(b->out, row);
}

static porch_err read_batch(porch_db *db, void *ctx, porch_why *why) {
    batch *b = ctx;
    PORCH_TRY(read_link(db, b, why));
    porch_db_query *q =
        porch_db_prepare(db,
                         "select seq, at_ms, kind, who, subject, detail, hash, salt from trust "
                         "where seq > ?1 order by seq limit 256",
                         why);
    porch_db_bind_i64(q, 1, (int64_t)b->after);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_trust_sent_row row = {.row = {.seq = (uint64_t)porch_db_i64(q, 0),
                                            .at_ms = (uint64_t)porch_db_i64(q, 1),
                                            .kind = porch_db_text(q, 2),
                                            .who = porch_db_text(q, 3),
                                            .subject = porch_db_text(q, 4),
                                            .detail = porch_db_text(q, 5),
                                            .salt = porch_db_blob(q, 7)},
                                    .hash = porch_db_blob(q, 6)};
        row.emptied = porch_bytes_eq_text(row.row.kind, PORCH_TRUST_EMPTIED);
        porch_err fits = porch_trust_sent_row_write(b->out, &row);
        if (fits != PORCH_OK && b->rows > 0) break; /* full: the next batch's */
        if (fits != PORCH_OK) e = write_long(b, &row, why);
        if (e != PORCH_OK) break;
        b->rows++;
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err ask(porch_signer_client *signer, porch_bytes rows, porch_trust_signed_head *ret,
                     porch_why *why) {
    uint8_t block[PORCH_TRUST_HEAD_BYTES];
    porch_buf head = PORCH_BUF_OF(block);
    PORCH_TRY(porch_signer_trust_head(signer, rows, &head, why));
    if (porch_trust_signed_head_read(porch_buf_bytes(&head), ret) == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_INTERNAL, "the signer's head of the trust log cannot be read");
}

static porch_err write_head(porch_db *db, void *ctx, porch_why *why) {
    const porch_trust_signed_head *h = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "insert or ignore into trust_head (seq, at_ms, hash, key, signature) values (?1, ?2, ?3, ?4, ?5)",
        why);
    porch_db_bind_i64(q, 1, (int64_t)h->seq);
    porch_db_bind_i64(q, 2, (int64_t)h->at_ms);
    porch_db_bind_blob(q, 3, (porch_bytes){h->hash, 32});
    porch_db_bind_blob(q, 4, (porch_bytes){h->key, 32});
    porch_db_bind_blob(q, 5, (porch_bytes){h->signature, 64});
    return porch_db_execute(q, why);
}

static porch_err does_not_go_on(uint64_t seq, bool there, porch_why *why) {
    return porch_fail(
        why, PORCH_ERR_SIGNATURE,
        there ? "row %llu of the trust log is not the one that the signer has hashed: it was changed"
              : "the signer has hashed the trust log up to row %llu, which is not there: it was cut",
        (unsigned long long)seq);
}

porch_err porch_trust_heads_sign(porch_store *store, porch_signer_client *signer, porch_why *why) {
    porch_buf rows = {malloc(BATCH_BYTES), 0, BATCH_BYTES};
    porch_trust_signed_head head;
    porch_err e = rows.at == NULL ? PORCH_ERR_NO_SPACE : ask(signer, (porch_bytes){NULL, 0}, &head, why);
    while (e == PORCH_OK) {
        batch b = {.after = head.seq, .out = &rows};
        rows.len = 0;
        e = porch_store_read(store, read_batch, &b, why);
        if (e != PORCH_OK) break;
        if (!b.there || (head.seq != 0 && memcmp(b.hash, head.hash, 32) != 0)) {
            e = does_not_go_on(head.seq, b.there, why);
            break;
        }
        if (b.rows == 0) break;
        e = ask(signer, porch_buf_bytes(&rows), &head, why);
        if (e == PORCH_OK) e = porch_store_write(store, write_head, &head, why);
    }
    free(rows.at);
    return e;
}

/* ---- verifying ---- */

/* SubjectPublicKeyInfo of an Ed25519 key (RFC 8410, 4) as far as its 32 bytes. */
static const uint8_t ED25519_HEAD[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                       0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static bool is_signed(const porch_trust_signed_head *h) {
    uint8_t text[PORCH_TRUST_STATEMENT_BYTES];
    porch_buf b = PORCH_BUF_OF(text);
    porch_public_key key = {.kind = PORCH_KEY_ED25519, .len = sizeof ED25519_HEAD + 32};
    memcpy(key.der, ED25519_HEAD, sizeof ED25519_HEAD);
    memcpy(key.der + sizeof ED25519_HEAD, h->key, 32);
    return porch_trust_statement(h, &b) == PORCH_OK &&
           porch_key_verify(&key, PORCH_SIGN_ED25519, porch_buf_bytes(&b),
                            (porch_bytes){h->signature, sizeof h->signature}) == PORCH_OK;
}

typedef struct {
    porch_trust_report *report;
    const porch_trust_signed_head *known; /* the signer's; NULL: it was away */
} check;

static void take(uint8_t *out, size_t len, porch_bytes blob) {
    memset(out, 0, len);
    if (blob.len == len) memcpy(out, blob.at, len);
}

static porch_err check_heads(porch_db *db, const check *c, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "select h.seq, h.at_ms, h.hash, h.key, h.signature, t.hash from trust_head h left join trust t "
        "on t.seq = h.seq order by h.seq",
        why);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_trust_signed_head h = {.seq = (uint64_t)porch_db_i64(q, 0),
                                     .at_ms = (uint64_t)porch_db_i64(q, 1)};
        take(h.hash, 32, porch_db_blob(q, 2));
        take(h.key, 32, porch_db_blob(q, 3));
        take(h.signature, 64, porch_db_blob(q, 4));
        porch_bytes link = porch_db_blob(q, 5);
        if (!is_signed(&h) ||
            (c->known != NULL && c->known->seq != 0 && memcmp(h.key, c->known->key, 32) != 0))
            e = porch_fail(
                why, PORCH_ERR_SIGNATURE,
                "the signed head at row %llu of the trust log is not the signer's: it was changed",
                (unsigned long long)h.seq);
        else if (link.len != 32 || memcmp(link.at, h.hash, 32) != 0)
            e = does_not_go_on(h.seq, link.len == 32, why);
        if (e != PORCH_OK) break;
        c->report->heads++;
        c->report->signed_seq = h.seq;
        memcpy(c->report->key, h.key, 32);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err verify_all(porch_db *db, void *ctx, porch_why *why) {
    const check *c = ctx;
    porch_trust_head known = {.seq = 0};
    if (c->known != NULL && c->known->seq != 0) {
        known.seq = c->known->seq;
        memcpy(known.hash, c->known->hash, 32);
    }
    PORCH_TRY(porch_trust_verify(db, known.seq != 0 ? &known : NULL, &c->report->head, why));
    return check_heads(db, c, why);
}

porch_err porch_trust_heads_verify(porch_store *store, porch_signer_client *signer, porch_trust_report *ret,
                                   porch_why *why) {
    porch_trust_report report = {.heads = 0};
    porch_trust_signed_head own = {.seq = 0};
    report.signer_asked = signer != NULL && porch_signer_client_attached(signer) &&
                          ask(signer, (porch_bytes){NULL, 0}, &own, why) == PORCH_OK;
    check c = {&report, report.signer_asked ? &own : NULL};
    PORCH_TRY(porch_store_read(store, verify_all, &c, why));
    if (report.signer_asked && own.seq > report.signed_seq) report.signed_seq = own.seq;
    if (report.signer_asked && own.seq != 0) memcpy(report.key, own.key, 32);
    *ret = report;
    return PORCH_OK;
}
