/* The workflow of tuf_client.c and the search of tuf_find.c over a repository and a storage in memory, with
 * a crypto library that looks at nothing but a word: what needs real signatures is in
 * tests/integration/test_tuf.py. */
#include "ota/client/tuf_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

enum { FILES = 24, FILE_BYTES = 2048, NOW = 1700000000 };

typedef struct {
    char name[64];
    char text[FILE_BYTES];
} file;

typedef struct {
    file remote[FILES], local[FILES];
    unsigned fetched;
    unsigned writes; /* stores and drops so far */
    unsigned cut_at; /* the write that the power fails before (even) or behind (odd): 2n, 2n + 1 */
    bool off;
} world;

static world w;
static porch_why why;

static file *find(file *files, const char *name, bool make) {
    for (size_t i = 0; i < FILES; i++)
        if (strcmp(files[i].name, name) == 0) return &files[i];
    for (size_t i = 0; make && i < FILES; i++)
        if (files[i].name[0] == '\0') {
            (void)snprintf(files[i].name, sizeof files[i].name, "%s", name);
            return &files[i];
        }
    return NULL;
}

static porch_err give(file *files, const char *name, porch_buf *out) {
    const file *f = find(files, name, false);
    if (f == NULL) return porch_fail(&why, PORCH_ERR_NOT_FOUND, "no %s", name);
    size_t len = strlen(f->text);
    if (len > out->cap) return porch_fail(&why, PORCH_ERR_LIMIT, "%s is too long", name);
    memcpy(out->at, f->text, len);
    out->len = len;
    return PORCH_OK;
}

static porch_err on_fetch(void *self, const char *name, porch_buf *out, porch_why *unused) {
    (void)self;
    (void)unused;
    w.fetched++;
    return give(w.remote, name, out);
}

static porch_err on_load(void *self, const char *name, porch_buf *out, porch_why *unused) {
    (void)self;
    (void)unused;
    return give(w.local, name, out);
}

/* A write with the power failing before or behind it. */
static bool power(bool before) {
    if (w.off) return false;
    w.off = w.cut_at == 2 * w.writes + (before ? 0 : 1);
    return !(w.off && before);
}

static porch_err on_store(void *self, const char *name, porch_bytes bytes, porch_why *unused) {
    (void)self;
    (void)unused;
    if (!power(true)) return porch_fail(&why, PORCH_ERR_IO, "no power");
    file *f = find(w.local, name, true);
    assert_non_null(f);
    assert_true(bytes.len < FILE_BYTES);
    memcpy(f->text, bytes.at, bytes.len);
    f->text[bytes.len] = '\0';
    bool on = power(false);
    w.writes++;
    return on && !w.off ? PORCH_OK : porch_fail(&why, PORCH_ERR_IO, "no power");
}

static porch_err on_drop(void *self, const char *name, porch_why *unused) {
    (void)self;
    (void)unused;
    if (!power(true)) return porch_fail(&why, PORCH_ERR_IO, "no power");
    file *f = find(w.local, name, false);
    if (f != NULL) *f = (file){0};
    bool on = power(false);
    w.writes++;
    return on && !w.off ? PORCH_OK : porch_fail(&why, PORCH_ERR_IO, "no power");
}

/* "00" signs for every key; a key is told from another by its text. */
static porch_err says(porch_verify_scheme scheme, porch_bytes key, porch_bytes message,
                      porch_bytes signature, uint8_t fingerprint[32]) {
    (void)scheme;
    (void)message;
    memset(fingerprint, key.at[0], 32);
    return signature.len == 1 && signature.at[0] == 0 ? PORCH_OK : PORCH_ERR_SIGNATURE;
}

static void sum(porch_bytes b, uint8_t *out, size_t len) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.at[i]) * 16777619u;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(h >> (i % 4 * 8));
}

static void sum256(porch_bytes b, uint8_t out[32]) {
    sum(b, out, 32);
}

static void sum512(porch_bytes b, uint8_t out[64]) {
    sum(b, out, 64);
}

static uint8_t raw[FILE_BYTES], work[FILE_BYTES], root[FILE_BYTES], snapshot[FILE_BYTES],
    targets[FILE_BYTES];
static uint32_t members[64];
static porch_tuf_step steps[8];

/* What the holder of the time key says: the hash of one remote file, at a time; and how often he was asked.
 */
static struct {
    unsigned asked;
    char of[FILE_BYTES];
    bool renews; /* the repository is signed anew between his first word and the fetch */
    uint64_t now_s;
    porch_err e;
    uint8_t key;
} holder;

static porch_err on_fresh(void *self, const uint8_t key[32], porch_tuf_fresh *ret, porch_why *unused) {
    (void)self;
    (void)unused;
    holder.asked++;
    holder.key = key[0];
    *ret = (porch_tuf_fresh){.now_s = holder.now_s, .has_timestamp = holder.of[0] != '\0'};
    sum256(porch_bytes_of(holder.renews && holder.asked > 1 ? find(w.remote, "timestamp.json", false)->text
                                                            : holder.of),
           ret->timestamp);
    return holder.e == PORCH_OK ? PORCH_OK : porch_fail(&why, holder.e, "he does not answer");
}

static porch_tuf client(void) {
    static const porch_tuf_port port = {on_fetch, on_load, on_store, on_drop, on_fresh};
    static const porch_verify_ops crypto = {says, sum256, sum512};
    w.off = false;
    return (porch_tuf){.port = &port,
                       .crypto = &crypto,
                       .limits = {FILE_BYTES, FILE_BYTES, FILE_BYTES, FILE_BYTES, 8, 5},
                       .memory = {PORCH_BUF_OF(raw),
                                  PORCH_BUF_OF(work),
                                  PORCH_BUF_OF(root),
                                  PORCH_BUF_OF(snapshot),
                                  PORCH_BUF_OF(targets),
                                  {members, 64},
                                  steps,
                                  8},
                       .now_s = NOW};
}

/* ---- a repository ---- */

#define KEY(n) \
    "\"k" n "\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"" n "\"}}"
#define KEYS "\"keys\":{" KEY("01") "," KEY("02") "," KEY("03") "}"

static void put(const char *name, const char *type, unsigned version, const char *rest) {
    file *f = find(w.remote, name, true);
    assert_non_null(f);
    int len = snprintf(
        f->text, sizeof f->text,
        "{\"signatures\":[{\"keyid\":\"k01\",\"sig\":\"00\"},{\"keyid\":\"k02\",\"sig\":\"00\"}],"
        "\"signed\":{\"_type\":"
        "\"%s\",\"spec_version\":\"1.0.34\",\"version\":%u,\"expires\":\"2040-01-01T00:00:00Z\",%s}}",
        type, version, rest);
    assert_true(len > 0 && (size_t)len < sizeof f->text);
}

static const char *time_key = ""; /* a member of the root */

static void put_root(unsigned version, const char *timestamp_key) {
    char rest[1400], name[64];
    (void)snprintf(name, sizeof name, "%u.root.json", version);
    (void)snprintf(rest, sizeof rest,
                   "\"consistent_snapshot\":true," KEYS
                   ",\"roles\":{\"root\":{\"keyids\":[\"k01\"],\"threshold\":1},\"timestamp\":{"
                   "\"keyids\":[\"%s\"],\"threshold\":1},\"snapshot\":{\"keyids\":[\"k02\"],\"threshold\":"
                   "1},\"targets\":{\"keyids\":["
                   "\"k02\"],\"threshold\":1}}%s",
                   timestamp_key, time_key);
    put(name, "root", version, rest);
}

static void put_chain(unsigned timestamp, unsigned snapshot_version, unsigned targets_version) {
    char rest[256], name[64];
    (void)snprintf(rest, sizeof rest, "\"meta\":{\"snapshot.json\":{\"version\":%u}}", snapshot_version);
    put("timestamp.json", "timestamp", timestamp, rest);
    (void)snprintf(name, sizeof name, "%u.snapshot.json", snapshot_version);
    (void)snprintf(rest, sizeof rest,
                   "\"meta\":{\"targets.json\":{\"version\":%u},\"A.json\":{\"version\":1},\"B.json\":{"
                   "\"version\":1}}",
                   targets_version);
    put(name, "snapshot", snapshot_version, rest);
    (void)snprintf(name, sizeof name, "%u.targets.json", targets_version);
#define HASH "\"hashes\":{\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}"
    put(name, "targets", targets_version,
        "\"targets\":{\"top\":{" HASH ",\"length\":3}},\"delegations\":{" KEYS
        ",\"roles\":[{\"name\":\"A\",\"keyids\":[\"k01\"],\"threshold\":1,\"paths\":[\"a/*\",\"b/*\"]},"
        "{\"name\":\"B\",\"keyids\":[\"k02\"],\"threshold\":1,\"paths\":[\"b/*\",\"c/"
        "*\"],\"terminating\":true},"
        "{\"name\":\"C\",\"keyids\":[\"k03\"],\"threshold\":1,\"paths\":[\"*/*\"]}]}");
}

static void begin(void) {
    memset(&w, 0, sizeof w);
    w.cut_at = UINT32_MAX;
    put_root(1, "k01");
    put_chain(1, 1, 1);
    put("1.A.json", "targets", 1, "\"targets\":{\"a/1\":{" HASH ",\"length\":4}}");
    put("1.B.json", "targets", 1, "\"targets\":{\"b/1\":{" HASH ",\"length\":5}}");
    porch_tuf t = client();
    assert_int_equal(porch_tuf_init(&t, porch_bytes_of(find(w.remote, "1.root.json", false)->text), &why),
                     PORCH_OK);
}

static void assert_local(const char *name, const char *same_as) {
    const file *local = find(w.local, name, false), *remote = find(w.remote, same_as, false);
    assert_non_null(local);
    assert_non_null(remote);
    assert_string_equal(local->text, remote->text);
}

static void a_refresh_keeps_what_it_verified_and_fetches_it_once(void **state) {
    (void)state;
    begin();
    porch_tuf t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(w.fetched, 4);
    assert_local("root.json", "1.root.json");
    assert_local("timestamp.json", "timestamp.json");
    assert_local("snapshot.json", "1.snapshot.json");
    assert_local("targets.json", "1.targets.json");
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(w.fetched, 6);
}

static void a_cut_at_any_write_leaves_a_client_that_finishes(void **state) {
    (void)state;
    unsigned cuts = 0;
    for (unsigned cut = 0;; cut++) {
        begin();
        porch_tuf t = client();
        assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
        /* The thief's fast-forward of timestamp, then its recovery by a new root with another timestamp
         * key. */
        put_chain(900, 1, 1);
        t = client();
        assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
        put_root(2, "k02");
        put_chain(2, 2, 2);
        w.writes = 0;
        w.cut_at = cut;
        t = client();
        porch_err e = porch_tuf_refresh(&t, &why);
        if (e == PORCH_OK && w.writes <= cut / 2) break;
        assert_int_equal(e, PORCH_ERR_IO);
        cuts++;
        w.cut_at = UINT32_MAX;
        t = client();
        assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
        assert_local("root.json", "2.root.json");
        assert_local("timestamp.json", "timestamp.json");
        assert_local("snapshot.json", "2.snapshot.json");
        assert_local("targets.json", "2.targets.json");
    }
    assert_int_equal(cuts,
                     12); /* before and behind each of: two drops, root, timestamp, snapshot, targets */
}

static void a_rollback_is_refused_and_what_was_trusted_stays(void **state) {
    (void)state;
    begin();
    put_chain(5, 5, 5);
    porch_tuf t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    const struct { unsigned timestamp, snapshot, targets; } rows[] = {{4, 5, 5}, {6, 4, 5}, {6, 6, 4}};
    for (size_t i = 0; i < 3; i++) {
        put_chain(rows[i].timestamp, rows[i].snapshot, rows[i].targets);
        t = client();
        assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_ROLLBACK);
        porch_tuf_target target;
        assert_int_equal(porch_tuf_find(&t, PORCH_LIT("top"), &target, &why), PORCH_ERR_STATE);
        assert_local("snapshot.json", "5.snapshot.json");
    }
    put_chain(7, 7, 5);
    t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
}

static void what_has_expired_is_not_used(void **state) {
    (void)state;
    begin();
    porch_tuf t = client();
    t.now_s = 2208988800 - 1; /* the last second before 2040 */
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    t.now_s = 2208988800;
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_EXPIRED);
}

static void blocks_that_are_too_small_are_an_error_and_no_more(void **state) {
    (void)state;
    for (size_t block = 0; block < 5; block++) {
        begin();
        porch_tuf t = client();
        porch_buf *const blocks[] = {&t.memory.raw, &t.memory.work, &t.memory.root, &t.memory.snapshot,
                                     &t.memory.targets};
        blocks[block]->cap = 100;
        porch_err e = porch_tuf_refresh(&t, &why);
        assert_true(e == PORCH_ERR_LIMIT || e == PORCH_ERR_NO_SPACE);
    }
    begin();
    porch_tuf t = client();
    t.memory.scratch.cap = 3;
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_LIMIT);
    t = client();
    t.memory.step_cap = 0;
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_NO_SPACE);
}

static void a_search_walks_delegations_in_order_and_stops_at_a_terminating_one(void **state) {
    (void)state;
    begin();
    porch_tuf t = client();
    porch_tuf_target target;
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(porch_tuf_find(&t, PORCH_LIT("top"), &target, &why), PORCH_OK);
    assert_int_equal(target.length, 3);
    assert_int_equal(w.fetched, 4);
    assert_int_equal(porch_tuf_find(&t, PORCH_LIT("b/1"), &target, &why), PORCH_OK);
    assert_int_equal(target.length, 5);
    assert_int_equal(w.fetched, 6); /* A first, then B */
    assert_int_equal(porch_tuf_find(&t, PORCH_LIT("a/1"), &target, &why), PORCH_OK);
    assert_int_equal(target.length, 4);
    assert_int_equal(porch_tuf_find(&t, PORCH_LIT("c/1"), &target, &why), PORCH_ERR_NOT_FOUND);
    assert_int_equal(w.fetched, 6); /* C is never asked: B is terminating */
    assert_int_equal(porch_tuf_find(&t, PORCH_LIT("d/1"), &target, &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "C.json"));
}

static void the_role_with_the_last_word_is_found_whatever_it_names(void **state) {
    (void)state;
    begin();
    porch_tuf t = client();
    porch_bytes content;
    porch_tuf_target target;
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(porch_tuf_find_role(&t, PORCH_LIT("a/none"), &content, &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "C.json")); /* which may speak of it, too, and is missing */
    assert_int_equal(porch_tuf_find_role(&t, PORCH_LIT("c/none"), &content, &why), PORCH_OK);
    assert_int_equal(porch_tuf_target_read(content, PORCH_LIT("b/1"), &target, &why), PORCH_OK);
    assert_int_equal(porch_tuf_find_role(&t, PORCH_LIT("nobody"), &content, &why), PORCH_ERR_NOT_FOUND);
}

static void a_parent_that_changed_on_disk_during_a_search_is_not_used(void **state) {
    (void)state;
    begin();
    porch_tuf t = client();
    porch_tuf_target target;
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(porch_tuf_find(&t, PORCH_LIT("b/1"), &target, &why), PORCH_OK);
    file *f = find(w.local, "targets.json", false);
    (void)snprintf(f->text + strlen(f->text), 2, " ");
    assert_int_equal(porch_tuf_find(&t, PORCH_LIT("a/1"), &target, &why), PORCH_ERR_HASH);
}

#define TIME_OF(scheme, digits) \
    ",\"time\":{\"keytype\":\"ed25519\",\"scheme\":\"" scheme "\",\"keyval\":{\"public\":\"" digits "\"}}"
#define SOME_KEY "4200000000000000000000000000000000000000000000000000000000000000"

static void begin_with(const char *key) {
    memset(&holder, 0, sizeof holder);
    holder.now_s = NOW;
    time_key = key;
    begin();
    time_key = "";
    (void)snprintf(holder.of, sizeof holder.of, "%s", find(w.remote, "timestamp.json", false)->text);
}

static void who_holds_back_what_is_newer_is_found_out_without_a_clock(void **state) {
    (void)state;
    begin_with(TIME_OF("ed25519", SOME_KEY));
    porch_tuf t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(holder.asked, 1);
    assert_int_equal(holder.key, 0x42);
    /* He vouches for a newer one than the server gives; and for none at all. */
    (void)snprintf(holder.of, sizeof holder.of, "something newer");
    t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_EXPIRED);
    assert_int_equal(holder.asked, 3); /* once more, in case that it was signed anew just then */
    assert_non_null(strstr(why.text, "holds back"));
    holder.of[0] = '\0';
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_EXPIRED);
    /* The server gives a newer one than he vouches for: it is not stored. */
    (void)snprintf(holder.of, sizeof holder.of, "%s", find(w.remote, "timestamp.json", false)->text);
    put_chain(2, 2, 2);
    t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_EXPIRED);
    assert_local("snapshot.json", "1.snapshot.json");
    holder.renews = true;
    holder.asked = 0;
    t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(holder.asked, 2);
    assert_local("snapshot.json", "2.snapshot.json");
}

static void his_time_is_the_time_of_the_update(void **state) {
    (void)state;
    begin_with(TIME_OF("ed25519", SOME_KEY));
    porch_tuf t = client();
    holder.now_s = 2208988800; /* 2040: our own clock is decades behind */
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_EXPIRED);
    holder.now_s = NOW;
    t.now_s = 2208988800; /* ours is decades ahead */
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
}

static void without_his_answer_there_is_no_update_and_without_a_key_no_question(void **state) {
    (void)state;
    begin_with(TIME_OF("ed25519", SOME_KEY));
    porch_tuf t = client();
    holder.e = PORCH_ERR_ROLLBACK;
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_ROLLBACK);
    assert_null(find(w.local, "timestamp.json", false));
    begin_with("");
    holder.e = PORCH_ERR_IO;
    t = client();
    assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_OK);
    assert_int_equal(holder.asked, 0);
    const char *const bad[] = {TIME_OF("rsa", SOME_KEY), TIME_OF("ed25519", "42"), ",\"time\":3"};
    for (size_t i = 0; i < 3; i++) {
        begin_with(bad[i]);
        t = client();
        assert_int_equal(porch_tuf_refresh(&t, &why), PORCH_ERR_MALFORMED);
    }
}

static void addresses_of_targets_are_quoted_and_carry_a_hash(void **state) {
    (void)state;
    porch_tuf t = {.consistent = true};
    porch_tuf_target target = {.hashes = {.has_sha256 = true}};
    char out[160];
    assert_int_equal(porch_tuf_target_path(&t, PORCH_LIT("dir one/file?"), &target, out, sizeof out),
                     PORCH_OK);
    assert_string_equal(
        out, "dir%20one/0000000000000000000000000000000000000000000000000000000000000000.file%3F");
    t.consistent = false;
    assert_int_equal(porch_tuf_target_path(&t, PORCH_LIT("file"), &target, out, sizeof out), PORCH_OK);
    assert_string_equal(out, "file");
    for (size_t cap = 0; cap < 5; cap++)
        assert_int_equal(porch_tuf_target_path(&t, PORCH_LIT("file"), &target, out, cap),
                         PORCH_ERR_NO_SPACE);
    t.consistent = true;
    for (size_t cap = 0; cap < 70; cap++)
        assert_int_equal(porch_tuf_target_path(&t, PORCH_LIT("file"), &target, out, cap),
                         PORCH_ERR_NO_SPACE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refresh_keeps_what_it_verified_and_fetches_it_once),
        cmocka_unit_test(a_cut_at_any_write_leaves_a_client_that_finishes),
        cmocka_unit_test(a_rollback_is_refused_and_what_was_trusted_stays),
        cmocka_unit_test(what_has_expired_is_not_used),
        cmocka_unit_test(blocks_that_are_too_small_are_an_error_and_no_more),
        cmocka_unit_test(a_search_walks_delegations_in_order_and_stops_at_a_terminating_one),
        cmocka_unit_test(the_role_with_the_last_word_is_found_whatever_it_names),
        cmocka_unit_test(a_parent_that_changed_on_disk_during_a_search_is_not_used),
        cmocka_unit_test(who_holds_back_what_is_newer_is_found_out_without_a_clock),
        cmocka_unit_test(his_time_is_the_time_of_the_update),
        cmocka_unit_test(without_his_answer_there_is_no_update_and_without_a_key_no_question),
        cmocka_unit_test(addresses_of_targets_are_quoted_and_carry_a_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
