/* trust-log.*: the log of decisions that change trust, verified, told and exported. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/admin_issue.h"
#include "cloud/api/backup_copy.h"
#include "cloud/api/trust_heads.h"
#include "cloud/signer/signer_client.h"

enum { PAGE_ROWS = 200 };

static porch_err need_store(const porch_admin_call *call) {
    if (call->world->store != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE, "this hub runs without its store");
}

static porch_err verify(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    porch_trust_report r;
    char hash[65], key[65];
    PORCH_TRY(need_store(call));
    PORCH_TRY(porch_admin_only(call, names));
    porch_err e = PORCH_OK;
    /* What was appended since the last interval is signed first: then the signer vouches for every row. */
    if (call->world->signer != NULL && porch_signer_client_attached(call->world->signer) &&
        !porch_backup_copy_held(call->world->dir))
        e = porch_trust_heads_sign(call->world->store, call->world->signer, call->why);
    bool away = e == PORCH_ERR_CHILD || e == PORCH_ERR_TIMEOUT;
    if (e != PORCH_OK && e != PORCH_ERR_SIGNATURE && e != PORCH_ERR_STATE && !away) return e;
    porch_err sign = away ? PORCH_OK : e;
    porch_why first = *call->why;
    /* The walk names the row more exactly than the signer, who knows heads only. */
    PORCH_TRY(porch_trust_heads_verify(call->world->store, call->world->signer, &r, call->why));
    if (sign != PORCH_OK) {
        *call->why = first;
        return sign;
    }
    porch_admin_hex(r.head.hash, hash);
    porch_admin_hex(r.key, key);
    json_t *o = json_pack("{s:I, s:s, s:I, s:I, s:s, s:b}", "rows", (json_int_t)r.head.seq, "hash", hash,
                          "heads", (json_int_t)r.heads, "signed_rows", (json_int_t)r.signed_seq, "key", key,
                          "signer", r.signer_asked);
    if (o == NULL) return PORCH_ERR_INTERNAL;
    json_decref(call->result);
    call->result = o;
    return PORCH_OK;
}

typedef struct {
    uint64_t after, most;
    bool newest; /* the last `most` rows instead of those after `after` */
    json_t *rows, *heads;
} page;

static json_t *text_of(porch_bytes t) {
    return json_stringn((const char *)t.at, t.len);
}

static json_t *hex_of(porch_bytes raw) {
    char text[129];
    porch_buf b = {(uint8_t *)text, 0, sizeof text};
    return porch_hex_write(&b, raw) == PORCH_OK ? json_stringn(text, b.len) : json_string("");
}

static porch_err read_rows(porch_db *db, page *p, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         p->newest ? "select * from (select seq, at_ms, kind, who, "
                                                     "subject, detail, hash, salt from trust order by "
                                                     "seq desc limit ?2) where ?1 = ?1 order by seq"
                                                   : "select seq, at_ms, kind, who, subject, detail, hash, "
                                                     "salt from trust where seq > ?1 order by "
                                                     "seq limit ?2",
                                         why);
    porch_db_bind_i64(q, 1, (int64_t)p->after);
    porch_db_bind_i64(q, 2, (int64_t)p->most);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_bytes detail = porch_db_text(q, 5);
        json_t *row = json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "seq",
                                (json_int_t)porch_db_i64(q, 0), "at_ms", (json_int_t)porch_db_i64(q, 1),
                                "kind", text_of(porch_db_text(q, 2)), "who", text_of(porch_db_text(q, 3)),
                                "subject", text_of(porch_db_text(q, 4)), "detail", text_of(detail), "hash",
                                hex_of(porch_db_blob(q, 6)), "salt", hex_of(porch_db_blob(q, 7)));
        if (row == NULL || json_array_append_new(p->rows, row) != 0) {
            e = porch_fail(why, PORCH_ERR_INTERNAL, "a row of the trust log is no text");
            break;
        }
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err read_heads(porch_db *db, page *p, uint64_t from, uint64_t to, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db,
                         "select seq, at_ms, hash, key, signature from trust_head where seq > ?1 "
                         "and seq <= ?2 order by seq",
                         why);
    porch_db_bind_i64(q, 1, (int64_t)from);
    porch_db_bind_i64(q, 2, (int64_t)to);
    porch_err e;
    while ((e = porch_db_step(q, why)) == PORCH_OK)
        (void)json_array_append_new(
            p->heads,
            json_pack("{s:I, s:I, s:o, s:o, s:o}", "head", (json_int_t)porch_db_i64(q, 0), "at_ms",
                      (json_int_t)porch_db_i64(q, 1), "hash", hex_of(porch_db_blob(q, 2)), "key",
                      hex_of(porch_db_blob(q, 3)), "signature", hex_of(porch_db_blob(q, 4))));
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err read_page(porch_db *db, void *ctx, porch_why *why) {
    page *p = ctx;
    PORCH_TRY(read_rows(db, p, why));
    size_t count = json_array_size(p->rows);
    if (count == 0) return PORCH_OK;
    uint64_t to = (uint64_t)json_integer_value(json_object_get(json_array_get(p->rows, count - 1), "seq"));
    return p->newest ? PORCH_OK : read_heads(db, p, p->after, to, why);
}

/* {after?, newest?}: a page of rows in order, and the signed heads among them. */
static porch_err rows(porch_admin_call *call) {
    static const char *const names[] = {"after", "newest", NULL};
    const char *after = NULL;
    page p = {.most = PAGE_ROWS, .newest = porch_admin_flag(call, "newest")};
    PORCH_TRY(need_store(call));
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text_optional(call, "after", &after));
    if (after != NULL && porch_decimal_read(porch_bytes_of(after), INT64_MAX, &p.after) != PORCH_OK)
        return porch_fail(call->why, PORCH_ERR_USAGE, "'after' is a row's number");
    p.rows = json_array();
    p.heads = json_array();
    porch_err e = p.rows == NULL || p.heads == NULL
                      ? PORCH_ERR_INTERNAL
                      : porch_store_read(call->world->store, read_page, &p, call->why);
    if (e != PORCH_OK) {
        json_decref(p.rows);
        json_decref(p.heads);
        return e;
    }
    (void)json_object_set_new(call->result, "rows", p.rows);
    (void)json_object_set_new(call->result, "heads", p.heads);
    return PORCH_OK;
}

const porch_admin_command porch_admin_trust_commands[] = {
    {"trust-log.verify", verify},
    {"trust-log.rows", rows},
    {NULL, NULL},
};
