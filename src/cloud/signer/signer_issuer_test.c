/* The keys that certificates are issued with, one after the other, and what says which one it is. */
#include "cloud/signer/signer_testing.h"

#include <signal.h>
#include <sys/resource.h>

static porch_err use(place *p, porch_bytes pem) {
    porch_signer_request r = {.number = 4, .op = PORCH_SIGNER_OP_ISSUER_USE, .data = pem};
    return ask(p, &r).error;
}

static porch_public_key next_key(place *p) {
    porch_signer_request r = {.number = 5, .op = PORCH_SIGNER_OP_ISSUER_NEXT};
    porch_signer_answer a = ask(p, &r);
    porch_public_key key;
    assert_int_equal(a.error, PORCH_OK);
    assert_int_equal(porch_csr_read(a.data, &key, NULL), PORCH_OK);
    return key;
}

static void sign_next(const place *p, const porch_public_key *key, porch_buf *out) {
    const porch_ca root = {porch_buf_bytes(&p->root), p->root_key};
    assert_int_equal(porch_ca_make_issuing(&root, "next", key, now_ms - 1000, 10, out, NULL), PORCH_OK);
}

static bool issues_by(place *p, porch_bytes issuer) {
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf second = PORCH_BUF_OF(block);
    porch_signer_answer a = issue(p, PORCH_SIGNER_SERVICE, "history", 0);
    assert_int_equal(a.error, PORCH_OK);
    assert_int_equal(porch_x509_verify(a.data, porch_buf_bytes(&p->root), false, now_ms, NULL), PORCH_OK);
    assert_int_equal(porch_x509_pick(a.data, 1, &second, NULL), PORCH_OK);
    assert_int_equal(porch_x509_pick(a.data, 2, &second, NULL), PORCH_ERR_NOT_FOUND);
    return porch_bytes_eq(porch_buf_bytes(&second), issuer);
}

static void the_next_issuing_key_waits_then_signs_and_issuing_pem_says_so_at_the_next_start(void **state) {
    place *p = *state;
    uint8_t old_block[PORCH_X509_PEM_BYTES], block[2 * PORCH_X509_PEM_BYTES];
    porch_buf old = PORCH_BUF_OF(old_block), new = PORCH_BUF_OF(block);
    assert_int_equal(porch_x509_pick((porch_bytes){p->signer.issuing.cert_pem, p->signer.issuing.cert_len},
                                     0, &old, NULL),
                     PORCH_OK);
    porch_public_key key = next_key(p), again = next_key(p);
    assert_memory_equal(key.der, again.der, key.len);
    restart(p);
    again = next_key(p);
    assert_memory_equal(key.der, again.der, key.len);
    assert_true(issues_by(p, porch_buf_bytes(&old)));
    sign_next(p, &key, &new);
    const porch_bytes cert = porch_buf_bytes(&new);
    assert_int_equal(use(p, cert), PORCH_OK);
    assert_int_equal(use(p, cert), PORCH_OK);
    assert_true(issues_by(p, cert));
    /* the hub died before it wrote the file: as if nothing had been */
    restart(p);
    assert_true(issues_by(p, porch_buf_bytes(&old)));
    again = next_key(p);
    assert_memory_equal(key.der, again.der, key.len);
    assert_int_equal(use(p, cert), PORCH_OK);
    assert_int_equal(porch_write_bytes(&new, porch_buf_bytes(&old)), PORCH_OK);
    put(p, "tls/issuing.pem", porch_buf_bytes(&new));
    restart(p);
    assert_true(issues_by(p, cert));
    assert_int_not_equal(faccessat(p->dir_fd, "issuing.key", F_OK, 0), 0);
    again = next_key(p);
    assert_memory_not_equal(key.der, again.der, key.len);
    assert_int_equal(use(p, porch_buf_bytes(&old)), PORCH_ERR_NOT_FOUND); /* nobody has that key any more */
    assert_int_equal(journal_lines(p, " made\n"), 2);
    restart(p);
    assert_true(issues_by(p, cert));
}

static porch_err forget_key(place *p, const uint8_t hash[32]) {
    porch_signer_request r = {.number = 6, .op = PORCH_SIGNER_OP_ISSUER_FORGET, .data = {hash, 32}};
    return ask(p, &r).error;
}

/* The next key signs from now on, and tls/issuing.pem says so. */
static void follow(place *p, porch_buf *cert, porch_x509_info *ret) {
    porch_public_key key = next_key(p);
    sign_next(p, &key, cert);
    assert_int_equal(porch_x509_read(porch_buf_bytes(cert), ret, NULL), PORCH_OK);
    assert_int_equal(forget_key(p, ret->public_key_hash), PORCH_ERR_STATE); /* it waits for its turn */
    assert_int_equal(use(p, porch_buf_bytes(cert)), PORCH_OK);
    put(p, "tls/issuing.pem", porch_buf_bytes(cert));
}

static void a_former_issuing_key_is_gone_after_a_start_made_for_it(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES], second_block[PORCH_X509_PEM_BYTES];
    porch_buf one = PORCH_BUF_OF(block), two = PORCH_BUF_OF(second_block);
    porch_x509_info first, next, third;
    assert_int_equal(porch_x509_read((porch_bytes){p->signer.issuing.cert_pem, p->signer.issuing.cert_len},
                                     &first, NULL),
                     PORCH_OK);
    assert_int_equal(forget_key(p, first.public_key_hash), PORCH_ERR_STATE); /* it signs */
    follow(p, &one, &next);
    assert_false(p->signer.ending);
    assert_int_equal(forget_key(p, first.public_key_hash), PORCH_OK);
    assert_true(p->signer.ending); /* the process ends, and the question is asked of the next one */
    assert_int_equal(faccessat(p->dir_fd, "issuing.key", F_OK, 0), 0);
    restart(p);
    assert_int_not_equal(faccessat(p->dir_fd, "issuing.key", F_OK, 0), 0);
    assert_int_equal(forget_key(p, first.public_key_hash), PORCH_OK);
    assert_false(p->signer.ending);
    assert_int_equal(journal_lines(p, " over\n"), 1);
    /* and one that lies in the file of later keys */
    follow(p, &two, &third);
    assert_int_equal(forget_key(p, next.public_key_hash), PORCH_OK);
    assert_true(p->signer.ending);
    restart(p);
    assert_int_equal(forget_key(p, next.public_key_hash), PORCH_OK);
    assert_false(p->signer.ending);
    assert_true(issues_by(p, porch_buf_bytes(&two)));
    assert_int_equal(use(p, porch_buf_bytes(&one)), PORCH_ERR_NOT_FOUND);
    porch_signer_request odd = {.number = 7, .op = PORCH_SIGNER_OP_ISSUER_FORGET, .data = PORCH_LIT("x")};
    assert_int_equal(ask(p, &odd).error, PORCH_ERR_MALFORMED);
}

static void only_an_authority_for_a_key_of_ours_comes_into_force(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf foreign = PORCH_BUF_OF(block);
    porch_public_key theirs;
    porch_key *stranger = new_key(p, NULL);
    assert_int_equal(porch_key_public(stranger, &theirs, NULL), PORCH_OK);
    (void)next_key(p);
    sign_next(p, &theirs, &foreign);
    assert_int_equal(use(p, porch_buf_bytes(&foreign)), PORCH_ERR_NOT_FOUND);
    porch_signer_answer leaf = issue(p, PORCH_SIGNER_DEVICE, "cam", 0);
    uint8_t copy[PORCH_X509_PEM_BYTES];
    memcpy(copy, leaf.data.at, leaf.data.len);
    assert_int_equal(use(p, (porch_bytes){copy, leaf.data.len}), PORCH_ERR_DENIED);
    assert_int_equal(use(p, PORCH_LIT("nonsense")), PORCH_ERR_MALFORMED);
    porch_key_free(stranger);
}

static void a_key_line_that_was_cut_is_dropped(void **state) {
    place *p = *state;
    uint8_t *text = NULL, *more;
    size_t len = 0;
    porch_public_key key = next_key(p);
    assert_int_equal(porch_file_read_at(p->dir_fd, "issuers", 1 << 16, &text, &len, NULL), PORCH_OK);
    more = malloc(2 * len);
    for (size_t cut = 1; cut < len; cut += 37) {
        memcpy(more, text, len);
        memcpy(more + len, text, cut);
        put(p, "signer/issuers", (porch_bytes){more, len + cut});
        restart(p);
        porch_public_key again = next_key(p);
        assert_memory_equal(key.der, again.der, key.len);
    }
    put(p, "signer/issuers", (porch_bytes){text, len});
    restart(p);
    free(more);
    free(text);
}

/* ---- only the root says who issues ---- */

/* What a hub that was taken over can make: its own root, and below it an authority over the next key. */
typedef struct {
    uint8_t root_block[PORCH_X509_PEM_BYTES], block[PORCH_X509_PEM_BYTES];
    porch_buf root, cert;
} forgery;

static void forge(const porch_public_key *key, forgery *f) {
    porch_key *theirs = NULL;
    f->root = PORCH_BUF_OF(f->root_block);
    f->cert = PORCH_BUF_OF(f->block);
    assert_int_equal(porch_key_generate_p256(&theirs, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_root("r", theirs, now_ms - 1000, 20, &f->root, NULL), PORCH_OK);
    const porch_ca ca = {porch_buf_bytes(&f->root), theirs};
    assert_int_equal(porch_ca_make_issuing(&ca, "i", key, now_ms - 1000, 10, &f->cert, NULL), PORCH_OK);
    porch_key_free(theirs);
}

/* The certificate that `init` made, as tls/issuing.pem has it. */
static porch_buf own_issuing(const place *p, uint8_t block[PORCH_X509_PEM_BYTES]) {
    porch_buf own = {block, 0, PORCH_X509_PEM_BYTES};
    assert_int_equal(
        porch_write_bytes(&own, (porch_bytes){p->signer.issuing.cert_pem, p->signer.issuing.cert_len}),
        PORCH_OK);
    return own;
}

static porch_err load_again(place *p) {
    porch_why why = {""};
    porch_signer_unload(&p->signer);
    return try_load(p, &why);
}

static bool has_file(const place *p, const char *name) {
    return faccessat(p->dir_fd, name, F_OK, 0) == 0;
}

static void an_authority_of_another_root_comes_into_force_nowhere_and_costs_no_key(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES];
    forgery f;
    porch_public_key key = next_key(p);
    const porch_buf own = own_issuing(p, block);
    forge(&key, &f);
    assert_int_equal(use(p, porch_buf_bytes(&f.cert)), PORCH_ERR_DENIED);
    assert_true(issues_by(p, porch_buf_bytes(&own)));
    /* the hub can write all of DIR/tls */
    put(p, "tls/issuing.pem", porch_buf_bytes(&f.cert));
    assert_int_equal(load_again(p), PORCH_ERR_STATE);
    assert_true(has_file(p, "issuing.key"));
    put(p, "tls/device-root.pem", porch_buf_bytes(&f.root));
    assert_int_equal(load_again(p), PORCH_ERR_STATE);
    assert_true(has_file(p, "issuing.key"));
    put(p, "tls/issuing.pem", porch_buf_bytes(&own));
    restart(p);
    assert_true(issues_by(p, porch_buf_bytes(&own)));
}

static void a_hub_of_before_has_its_root_kept_at_the_first_start(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES];
    forgery f;
    porch_public_key key = next_key(p);
    const porch_buf own = own_issuing(p, block);
    forge(&key, &f);
    assert_true(has_file(p, "root.pem"));
    assert_int_equal(unlinkat(p->dir_fd, "root.pem", 0), 0);
    /* of a root that does not vouch for the issuer nothing is kept */
    put(p, "tls/device-root.pem", porch_buf_bytes(&f.root));
    assert_int_equal(load_again(p), PORCH_ERR_STATE);
    assert_false(has_file(p, "root.pem"));
    put(p, "tls/device-root.pem", porch_buf_bytes(&p->root));
    restart(p);
    assert_true(has_file(p, "root.pem"));
    put(p, "tls/device-root.pem", porch_buf_bytes(&f.root));
    restart(p); /* what the hub says its root is counts no more */
    assert_true(issues_by(p, porch_buf_bytes(&own)));
    put(p, "signer/root.pem", PORCH_LIT("nonsense"));
    assert_int_equal(load_again(p), PORCH_ERR_STATE);
    put(p, "signer/root.pem", porch_buf_bytes(&p->root));
    restart(p);
}

static void a_clock_that_is_wrong_by_years_keeps_no_signer_from_starting(void **state) {
    place *p = *state;
    static const uint64_t clocks[] = {0, 1000, now_ms + 11ull * 365 * 86400000,
                                      now_ms + 40ull * 365 * 86400000};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        p->wall_ms = clocks[i];
        restart(p);
    }
}

/* ---- what cannot be destroyed ---- */

/* Loads while no file takes a byte at or behind `most`: a write there fails. */
static porch_err load_with_files_of(place *p, rlim_t most) {
    struct rlimit before, small;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){most, before.rlim_max};
    porch_signer_unload(&p->signer);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    porch_why why = {""};
    porch_err e = try_load(p, &why);
    if (e != PORCH_OK) print_error("%s\n", why.text);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    return e;
}

/* DIR/signer/issuers, to be freed. */
static uint8_t *lines_of(const place *p, size_t *len) {
    uint8_t *text = NULL;
    assert_int_equal(porch_file_read_at(p->dir_fd, "issuers", 1 << 16, &text, len, NULL), PORCH_OK);
    return text;
}

static bool is_blank(const uint8_t *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] != '-') return false;
    return true;
}

static void the_first_key_that_cannot_be_destroyed_holds_nothing_up_either(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES], own_block[PORCH_X509_PEM_BYTES];
    porch_buf cert = PORCH_BUF_OF(block), own = own_issuing(p, own_block);
    porch_x509_info first, next;
    assert_int_equal(porch_x509_read(porch_buf_bytes(&own), &first, NULL), PORCH_OK);
    follow(p, &cert, &next);
    assert_int_equal(load_with_files_of(p, 16), PORCH_OK);
    assert_true(issues_by(p, porch_buf_bytes(&cert)));
    assert_int_equal(forget_key(p, first.public_key_hash), PORCH_ERR_IO);
    assert_false(p->signer.ending);
    restart(p);
    assert_int_equal(forget_key(p, first.public_key_hash), PORCH_OK);
    assert_false(has_file(p, ".issuing.key.gone"));
}

static void a_former_key_that_cannot_be_destroyed_holds_nothing_up_and_is_not_called_gone(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf cert = PORCH_BUF_OF(block);
    porch_x509_info of[3];
    size_t len = 0;
    for (size_t i = 0; i < 3; i++) {
        cert.len = 0;
        follow(p, &cert, &of[i]);
        if (i == 0) restart(p); /* the one that `init` made goes */
    }
    uint8_t *text = lines_of(p, &len);
    const size_t line = (size_t)((uint8_t *)memchr(text, '\n', len) - text);
    free(text);
    assert_int_equal(load_with_files_of(p, line + 1), PORCH_OK);
    text = lines_of(p, &len);
    assert_true(is_blank(text, line));
    assert_int_equal(text[line + 1], 'k');
    free(text);
    assert_true(issues_by(p, porch_buf_bytes(&cert)));
    assert_int_equal(forget_key(p, of[0].public_key_hash), PORCH_OK);
    assert_int_equal(forget_key(p, of[2].public_key_hash), PORCH_ERR_STATE);
    /* asked again, it tries again */
    const int kept_fd = p->signer.issuers.edit_fd, none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    p->signer.issuers.edit_fd = none;
    assert_int_equal(forget_key(p, of[1].public_key_hash), PORCH_ERR_IO);
    assert_false(p->signer.ending);
    p->signer.issuers.edit_fd = kept_fd;
    close(none);
    assert_int_equal(forget_key(p, of[1].public_key_hash), PORCH_OK);
    assert_int_equal(forget_key(p, of[1].public_key_hash), PORCH_OK);
    assert_false(p->signer.ending);
    text = lines_of(p, &len);
    assert_true(is_blank(text + line + 1, line));
    free(text);
    restart(p);
    assert_true(issues_by(p, porch_buf_bytes(&cert)));
}

/* ---- a line that is damaged ---- */

static void a_damaged_line_stops_the_signer_only_where_the_key_in_force_was(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES], own_block[PORCH_X509_PEM_BYTES];
    porch_buf cert = PORCH_BUF_OF(block), own = own_issuing(p, own_block);
    porch_x509_info next;
    size_t len = 0;
    follow(p, &cert, &next);
    uint8_t *text = lines_of(p, &len);
    for (size_t at = 0; at < len - 1; at += 41) {
        if (at >= 4 && at < 18) continue; /* when it was made: nobody goes by it */
        text[at] ^= 4;
        put(p, "signer/issuers", (porch_bytes){text, len});
        text[at] ^= 4;
        assert_int_equal(load_again(p), PORCH_ERR_STATE);
        assert_true(has_file(p, "issuing.key"));
        /* it waits: another is made in its place, and that one lasts */
        put(p, "tls/issuing.pem", porch_buf_bytes(&own));
        restart(p);
        assert_true(issues_by(p, porch_buf_bytes(&own)));
        porch_public_key made = next_key(p);
        restart(p);
        porch_public_key again = next_key(p);
        assert_memory_equal(made.der, again.der, made.len);
        put(p, "tls/issuing.pem", porch_buf_bytes(&cert));
    }
    put(p, "signer/issuers", (porch_bytes){text, len});
    free(text);
    restart(p);
    assert_true(issues_by(p, porch_buf_bytes(&cert)));
}

/* Overwriting is more than one sector, and a power cut may leave any of them as it was. */
static void what_a_power_cut_left_of_an_overwritten_line_is_overwritten_at_the_next_start(void **state) {
    place *p = *state;
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf cert = PORCH_BUF_OF(block);
    porch_x509_info former, next;
    size_t len = 0, now_len = 0;
    follow(p, &cert, &former);
    cert.len = 0;
    follow(p, &cert, &next);
    uint8_t *text = lines_of(p, &len), *part = malloc(len);
    assert_non_null(part);
    const size_t line = (size_t)((uint8_t *)memchr(text, '\n', len) - text);
    for (size_t cut = 1; cut < line; cut += 43)
        for (int behind = 0; behind < 2; behind++) {
            memcpy(part, text, len);
            memset(behind ? part + cut : part, '-', behind ? line - cut : cut);
            put(p, "signer/issuers", (porch_bytes){part, len});
            restart(p);
            assert_true(issues_by(p, porch_buf_bytes(&cert)));
            assert_int_equal(forget_key(p, former.public_key_hash), PORCH_OK);
            uint8_t *now_text = lines_of(p, &now_len);
            assert_int_equal(now_len, len);
            assert_true(is_blank(now_text, line));
            assert_memory_equal(now_text + line, text + line, len - line);
            free(now_text);
        }
    free(part);
    free(text);
}

#define WITH_SIGNER(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SIGNER(the_next_issuing_key_waits_then_signs_and_issuing_pem_says_so_at_the_next_start),
        WITH_SIGNER(a_former_issuing_key_is_gone_after_a_start_made_for_it),
        WITH_SIGNER(only_an_authority_for_a_key_of_ours_comes_into_force),
        WITH_SIGNER(a_key_line_that_was_cut_is_dropped),
        WITH_SIGNER(an_authority_of_another_root_comes_into_force_nowhere_and_costs_no_key),
        WITH_SIGNER(a_hub_of_before_has_its_root_kept_at_the_first_start),
        WITH_SIGNER(a_clock_that_is_wrong_by_years_keeps_no_signer_from_starting),
        WITH_SIGNER(the_first_key_that_cannot_be_destroyed_holds_nothing_up_either),
        WITH_SIGNER(a_former_key_that_cannot_be_destroyed_holds_nothing_up_and_is_not_called_gone),
        WITH_SIGNER(a_damaged_line_stops_the_signer_only_where_the_key_in_force_was),
        WITH_SIGNER(what_a_power_cut_left_of_an_overwritten_line_is_overwritten_at_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
