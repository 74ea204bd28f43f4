#include "cloud/api/trust_heads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/signer/signer_client.h"
#include "cloud/store/store_testing.h"
#include "crypto/keystore.h"

/* A signer in this process: it hashes and remembers as the real one does, with a key of the test's own. */
static struct {
    porch_key *key;
    uint64_t seq;
    uint8_t hash[32];
    bool away;
} signer;
#define THE_SIGNER ((porch_signer_client *)(void *)&signer)

bool porch_signer_client_attached(porch_signer_client *c) {
    return c == THE_SIGNER && !signer.away;
}

porch_err porch_signer_trust_head(porch_signer_client *c, porch_bytes rows, porch_buf *out,
                                  porch_why *why) {
    (void)c;
    porch_reader r = porch_reader_of(rows);
    while (!porch_reader_done(&r)) {
        porch_trust_sent_row row;
        PORCH_TRY(porch_trust_sent_row_read(&r, &row));
        if (row.row.seq != signer.seq + 1) return porch_fail(why, PORCH_ERR_STATE, "not the next row");
        if (row.emptied)
            memcpy(signer.hash, row.hash.at, 32);
        else
            porch_chain_row_link(signer.hash, &row.row, signer.hash);
        signer.seq = row.row.seq;
    }
    porch_trust_signed_head head = {.seq = signer.seq, .at_ms = 1};
    memcpy(head.hash, signer.hash, 32);
    if (head.seq != 0) {
        uint8_t text[PORCH_TRUST_STATEMENT_BYTES], block[PORCH_SIGNATURE_MAX_BYTES];
        porch_buf b = PORCH_BUF_OF(text), signature = PORCH_BUF_OF(block);
        porch_public_key own;
        PORCH_TRY(porch_key_public(signer.key, &own, why));
        memcpy(head.key, own.der + own.len - 32, 32);
        PORCH_TRY(porch_trust_statement(&head, &b));
        PORCH_TRY(porch_key_sign(signer.key, PORCH_SIGN_ED25519, porch_buf_bytes(&b), &signature, why));
        memcpy(head.signature, block, 64);
    }
    return porch_trust_signed_head_write(out, &head);
}

typedef struct {
    store_lab lab;
    porch_why why;
} bench;

static porch_err append(porch_db *db, void *ctx, porch_why *why) {
    return porch_trust_append(db, "device.add", "operator", ctx, "{}", why);
}

/* One statement after the other, parted by ';'. */
static porch_err run_sql(porch_db *db, void *ctx, porch_why *why) {
    char one[128];
    for (const char *at = ctx; *at != '\0';) {
        size_t len = strcspn(at, ";");
        memcpy(one, at, len);
        one[len] = '\0';
        PORCH_TRY(porch_db_run(db, one, why));
        at += len + (at[len] == ';' ? 1 : 0);
    }
    return PORCH_OK;
}

static void say(bench *b, const char *subject) {
    assert_int_equal(porch_store_write(b->lab.store, append, (void *)(uintptr_t)subject, &b->why),
                     PORCH_OK);
}

static void spoil(bench *b, const char *sql) {
    assert_int_equal(porch_store_write(b->lab.store, run_sql, (void *)(uintptr_t)sql, &b->why), PORCH_OK);
}

static int arrive(void **state) {
    /* Of no use anywhere: made for this test. */
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n"
                              "-----END PRIVATE KEY-----\n";
    bench *b = calloc(1, sizeof *b);
    memset(&signer, 0, sizeof signer);
    if (porch_key_load_pem(porch_bytes_of(pem), &signer.key, &b->why) != PORCH_OK) return -1;
    store_lab_make(&b->lab);
    if (store_lab_open(&b->lab) != PORCH_OK) return -1;
    *state = b;
    return 0;
}

static int leave(void **state) {
    bench *b = *state;
    store_lab_close(&b->lab);
    store_lab_remove(&b->lab);
    porch_key_free(signer.key);
    free(b);
    return 0;
}

static porch_err verify(bench *b, porch_trust_report *r) {
    b->why.text[0] = '\0';
    return porch_trust_heads_verify(b->lab.store, THE_SIGNER, r, &b->why);
}

static void rows_are_signed_once_and_the_log_is_whole(void **state) {
    bench *b = *state;
    porch_trust_report r;
    assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_OK); /* nothing yet */
    for (int i = 0; i < 300; i++)
        say(b, "device:a");
    assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_OK);
    say(b, "device:b");
    assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_OK);
    assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_OK);
    assert_int_equal(verify(b, &r), PORCH_OK);
    assert_int_equal(r.head.seq, 301);
    assert_int_equal(r.signed_seq, 301);
    assert_int_equal(r.heads, 3); /* 256 rows, 44, 1 */
    assert_true(r.signer_asked);
    signer.away = true;
    assert_int_equal(verify(b, &r), PORCH_OK);
    assert_false(r.signer_asked);
}

/* Each of them is found, and its row is named. */
static void whatever_is_done_to_the_log_is_found_and_named(void **state) {
    static const struct {
        const char *sql, *named;
    } deeds[] = {
        {"update trust set who = 'nobody' where seq = 3", "row 3 "},
        {"update trust set at_ms = at_ms + 1 where seq = 1", "row 1 "},
        {"delete from trust where seq = 4", "row 3 to row 5"},
        {"delete from trust where seq >= 5", "row 6 "},
        {"delete from trust; delete from trust_head", "row 6 "},
        {"update trust_head set at_ms = at_ms + 1", "row 6 "},
        {"update trust_head set signature = zeroblob(64)", "row 6 "},
        {"update trust_head set hash = zeroblob(32)", "row 6 "},
    };
    bench *b = *state;
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        porch_trust_report r;
        spoil(b, "delete from trust; delete from trust_head");
        signer.seq = 0;
        memset(signer.hash, 0, 32);
        for (int k = 0; k < 6; k++)
            say(b, "device:a");
        assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_OK);
        assert_int_equal(verify(b, &r), PORCH_OK);
        spoil(b, deeds[i].sql);
        assert_int_equal(verify(b, &r), PORCH_ERR_SIGNATURE);
        if (strstr(b->why.text, deeds[i].named) == NULL) fail_msg("%s: %s", deeds[i].sql, b->why.text);
    }
    say(b, "device:after"); /* a log that was written anew gets no signature */
    spoil(b, "delete from trust; delete from trust_head");
    for (int k = 0; k < 9; k++)
        say(b, "device:other");
    assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_ERR_SIGNATURE);
}

typedef struct {
    const char *kind, *detail;
} long_row;

static porch_err append_long(porch_db *db, void *ctx, porch_why *why) {
    const long_row *row = ctx;
    return porch_trust_append(db, row->kind, "operator", "household", row->detail, why);
}

static void say_long(bench *b, const char *kind) {
    static char detail[60 * 1024];
    size_t len = (size_t)snprintf(detail, sizeof detail, "{\"rows\":\"2");
    while (len < sizeof detail - 16)
        len += (size_t)snprintf(detail + len, sizeof detail - len, ",2");
    (void)snprintf(detail + len, sizeof detail - len, "\"}");
    long_row row = {kind, detail};
    assert_int_equal(porch_store_write(b->lab.store, append_long, &row, &b->why), PORCH_OK);
}

static void a_row_that_no_message_holds_is_told_and_not_passed_over(void **state) {
    bench *b = *state;
    porch_trust_report r;
    say(b, "device:a");
    say_long(b, "device.add");
    say(b, "device:b");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_ERR_LIMIT);
        assert_non_null(strstr(b->why.text, "row 2 "));
    }
    assert_int_equal(verify(b, &r), PORCH_OK);
    assert_int_equal(r.signed_seq, 1);
}

/* Hubs of before wrote an erasure of any size into one row. */
static void a_long_erasure_is_signed_by_its_hash_once_that_was_checked(void **state) {
    bench *b = *state;
    porch_trust_report r;
    say(b, "device:a");
    say_long(b, "household.erase");
    say(b, "device:b");
    assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_OK);
    assert_int_equal(verify(b, &r), PORCH_OK);
    assert_int_equal(r.signed_seq, 3);
    say_long(b, "household.erase");
    spoil(b, "update trust set who = 'nobody' where seq = 4");
    assert_int_equal(porch_trust_heads_sign(b->lab.store, THE_SIGNER, &b->why), PORCH_ERR_SIGNATURE);
    assert_non_null(strstr(b->why.text, "row 4 "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_signed_once_and_the_log_is_whole, arrive, leave),
        cmocka_unit_test_setup_teardown(a_row_that_no_message_holds_is_told_and_not_passed_over, arrive,
                                        leave),
        cmocka_unit_test_setup_teardown(a_long_erasure_is_signed_by_its_hash_once_that_was_checked, arrive,
                                        leave),
        cmocka_unit_test_setup_teardown(whatever_is_done_to_the_log_is_found_and_named, arrive, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
