#include "cloud/registry/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cloud/registry/registry_testing.h"
#include "cloud/trust/trust.h"

typedef struct {
    store_lab lab;
    porch_registry *registry;
    porch_why why;
    unsigned cut_off;
} bench;

static void on_change(porch_principal_kind kind, const char *name, porch_registry_what what, void *ctx) {
    bench *b = ctx;
    (void)kind, (void)name;
    if (what == PORCH_REGISTRY_ISSUER_RETIRED) b->cut_off++;
}

static void open_registry(bench *b) {
    if (store_lab_open(&b->lab) != PORCH_OK) fail_msg("%s", b->lab.why.text);
    if (porch_registry_open(b->lab.store, &b->lab.settings, &b->registry, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    porch_registry_on_change(b->registry, on_change, b);
}

static void reopen(bench *b) {
    porch_registry_close(b->registry);
    store_lab_close(&b->lab);
    open_registry(b);
}

static int make_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    signer_double_start();
    store_lab_make(&b->lab);
    open_registry(b);
    *state = b;
    return 0;
}

static int drop_bench(void **state) {
    bench *b = *state;
    porch_registry_close(b->registry);
    store_lab_remove(&b->lab);
    signer_double_end();
    free(b);
    return 0;
}

static void add(bench *b, const char *id, bool renew, uint8_t fingerprint[32]) {
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    const porch_registry_device_spec spec = {
        .id = id, .product = "cam", .csr_pem = csr, .renew = renew, .who = "operator"};
    if (porch_registry_device_add(b->registry, THE_SIGNER, &spec, &issued, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    memcpy(fingerprint, issued.fingerprint, 32);
    porch_registry_issued_free(&issued);
}

static porch_err admit(bench *b, const char *name, const uint8_t fingerprint[32]) {
    porch_registry_entry entry;
    return porch_registry_admit(b->registry, PORCH_PRINCIPAL_DEVICE, name, fingerprint, porch_clock_ms(),
                                &entry, &b->why);
}

/* The double's authority becomes another one; *print is the fingerprint of the one before. */
static void next_issuer(uint8_t print[32]) {
    porch_x509_info info;
    assert_int_equal(porch_x509_read((porch_bytes){the_signer.cert, the_signer.cert_len}, &info, NULL),
                     PORCH_OK);
    memcpy(print, info.fingerprint, 32);
    signer_double_end();
    signer_double_start();
}

static porch_err force(bench *b) {
    return porch_registry_issuer_force(b->registry, (porch_bytes){the_signer.cert, the_signer.cert_len},
                                       "operator", &b->why);
}

typedef struct {
    porch_registry_issuer all[4];
    size_t count;
} list;

static bool collect(const porch_registry_issuer *one, void *ctx) {
    list *l = ctx;
    if (l->count < 4) l->all[l->count++] = *one;
    return true;
}

static list issuers(bench *b) {
    list l = {.count = 0};
    porch_registry_issuers(b->registry, collect, &l);
    return l;
}

static void what_hangs_on_an_issuer_is_counted_until_it_is_renewed(void **state) {
    bench *b = *state;
    uint8_t first[32], cam[32], door[32];
    add(b, "cam-1", false, cam); /* from before any issuer was known: the first takes it over */
    assert_int_equal(force(b), PORCH_OK);
    add(b, "door-1", false, door);
    list l = issuers(b);
    assert_int_equal(l.count, 1);
    assert_int_equal(l.all[0].live, 2);
    assert_int_equal(l.all[0].followed_ms, 0);
    next_issuer(first);
    assert_int_equal(force(b), PORCH_OK);
    assert_int_equal(force(b), PORCH_OK);
    add(b, "cam-1", true, cam);
    assert_int_equal(admit(b, "cam-1", cam), PORCH_OK); /* its old one is dead */
    for (int again = 0; again < 2; again++) {
        l = issuers(b);
        assert_int_equal(l.count, 2);
        assert_int_not_equal(l.all[0].followed_ms, 0);
        assert_int_equal(l.all[0].live, 1);
        assert_string_equal(l.all[0].names[0], "door-1");
        assert_int_equal(l.all[1].live, 1);
        assert_int_equal(l.all[1].followed_ms, 0);
        reopen(b);
    }
    assert_int_equal(admit(b, "door-1", door), PORCH_OK);
}

static void a_retired_issuers_certificates_are_refused_and_their_sessions_end(void **state) {
    bench *b = *state;
    uint8_t first[32], second[32], old[32], new[32];
    porch_registry_issuer gone;
    assert_int_equal(force(b), PORCH_OK);
    add(b, "old-1", false, old);
    next_issuer(first);
    assert_int_equal(porch_registry_issuer_retire(b->registry, first, true, "operator", &gone, &b->why),
                     PORCH_ERR_STATE); /* it issues */
    assert_int_equal(force(b), PORCH_OK);
    add(b, "new-1", false, new);
    assert_int_equal(porch_registry_issuer_retire(b->registry, first, false, "operator", &gone, &b->why),
                     PORCH_ERR_STATE);
    assert_non_null(strstr(b->why.text, "old-1"));
    assert_int_equal(porch_registry_issuer_retire(b->registry, new, true, "operator", &gone, &b->why),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(b->cut_off, 0);
    assert_int_equal(porch_registry_issuer_retire(b->registry, first, true, "operator", &gone, &b->why),
                     PORCH_OK);
    assert_int_equal(gone.live, 1);
    assert_int_equal(b->cut_off, 1);
    assert_int_equal(porch_registry_issuer_retire(b->registry, first, true, "operator", &gone, &b->why),
                     PORCH_OK);
    assert_int_equal(b->cut_off, 1);
    for (int again = 0; again < 2; again++) {
        porch_registry_entry entry;
        assert_int_equal(admit(b, "old-1", old), PORCH_ERR_REVOKED);
        assert_int_equal(
            porch_registry_may_renew(b->registry, "old-1", old, porch_clock_ms(), &entry, &b->why),
            PORCH_ERR_REVOKED);
        assert_int_equal(admit(b, "new-1", new), PORCH_OK);
        reopen(b);
    }
    next_issuer(second);
    add(b, "old-1", true, old); /* by hand it comes back */
    assert_int_equal(admit(b, "old-1", old), PORCH_OK);
}

static void an_issuer_that_nothing_hangs_on_goes_without_force(void **state) {
    bench *b = *state;
    uint8_t first[32], old[32];
    porch_registry_issuer gone;
    assert_int_equal(force(b), PORCH_OK);
    add(b, "cam-1", false, old);
    assert_int_equal(porch_registry_device_revoke(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    const porch_bytes pem = {the_signer.cert, the_signer.cert_len};
    uint8_t copy[PORCH_X509_PEM_BYTES];
    memcpy(copy, pem.at, pem.len);
    next_issuer(first);
    assert_int_equal(force(b), PORCH_OK);
    assert_int_equal(porch_registry_issuer_retire(b->registry, first, false, "operator", &gone, &b->why),
                     PORCH_OK);
    assert_int_equal(
        porch_registry_issuer_force(b->registry, (porch_bytes){copy, pem.len}, "operator", &b->why),
        PORCH_ERR_REVOKED); /* and does not come back */
}

/* Its session waits for it under the same name: only what has no other way in is cut off. */
static void who_renewed_long_ago_is_not_cut_off(void **state) {
    bench *b = *state;
    uint8_t first[32], old[32], new[32];
    porch_registry_issuer gone;
    assert_int_equal(force(b), PORCH_OK);
    add(b, "cam-1", false, old);
    assert_int_equal(admit(b, "cam-1", old), PORCH_OK);
    next_issuer(first);
    assert_int_equal(force(b), PORCH_OK);
    add(b, "cam-1", true, new);
    assert_int_equal(admit(b, "cam-1", new), PORCH_OK);
    assert_int_equal(porch_registry_issuer_retire(b->registry, first, false, "operator", &gone, &b->why),
                     PORCH_OK);
    assert_int_equal(gone.live + gone.ended, 0);
    assert_int_equal(b->cut_off, 0);
    assert_int_equal(admit(b, "cam-1", new), PORCH_OK);
    assert_int_equal(admit(b, "cam-1", old), PORCH_ERR_REVOKED);
}

typedef struct {
    bench *b;
    uint8_t first[32];
    uint8_t next_pem[PORCH_X509_PEM_BYTES];
    size_t next_len;
} retirement;

/* The next one comes into force and the first is retired by force. */
static void retire_the_first(void *ctx) {
    retirement *x = ctx;
    porch_registry_issuer gone;
    assert_int_equal(porch_registry_issuer_force(x->b->registry, (porch_bytes){x->next_pem, x->next_len},
                                                 "operator", &x->b->why),
                     PORCH_OK);
    assert_int_equal(
        porch_registry_issuer_retire(x->b->registry, x->first, true, "operator", &gone, &x->b->why),
        PORCH_OK);
}

static void what_is_on_its_way_from_an_issuer_that_is_being_retired_is_refused(void **state) {
    bench *b = *state;
    retirement x = {.b = b};
    char csr[2048];
    porch_registry_issued issued;
    uint8_t next[32];
    assert_int_equal(force(b), PORCH_OK);
    const signer_double first = the_signer;
    the_signer.key = NULL;
    next_issuer(x.first);
    x.next_len = the_signer.cert_len;
    memcpy(x.next_pem, the_signer.cert, x.next_len);
    porch_key *next_key = the_signer.key;
    the_signer = first; /* which has the request already */
    the_signer.meanwhile = retire_the_first;
    the_signer.meanwhile_ctx = &x;
    make_csr(csr, sizeof csr);
    const porch_registry_device_spec spec = {
        .id = "cam-1", .product = "cam", .csr_pem = csr, .who = "operator"};
    assert_int_equal(porch_registry_device_add(b->registry, THE_SIGNER, &spec, &issued, &b->why),
                     PORCH_ERR_BUSY);
    porch_key_free(the_signer.key);
    the_signer.key = next_key;
    memcpy(the_signer.cert, x.next_pem, x.next_len);
    the_signer.cert_len = x.next_len;
    add(b, "cam-1", false, next);
    assert_int_equal(admit(b, "cam-1", next), PORCH_OK);
}

static void what_the_signer_issues_before_the_registry_hears_of_the_issuer_hangs_on_it(void **state) {
    bench *b = *state;
    uint8_t first[32], second[32], early[32];
    porch_registry_issuer gone;
    assert_int_equal(force(b), PORCH_OK);
    next_issuer(first);
    add(b, "early-1", false, early); /* the signer has taken it up, the registry not yet */
    assert_int_equal(force(b), PORCH_OK);
    assert_int_equal(issuers(b).all[1].live, 1);
    next_issuer(second);
    assert_int_equal(force(b), PORCH_OK);
    assert_int_equal(porch_registry_issuer_retire(b->registry, second, false, "operator", &gone, &b->why),
                     PORCH_ERR_STATE);
    assert_int_equal(porch_registry_issuer_retire(b->registry, second, true, "operator", &gone, &b->why),
                     PORCH_OK);
    assert_int_equal(b->cut_off, 1);
    assert_int_equal(admit(b, "early-1", early), PORCH_ERR_REVOKED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_hangs_on_an_issuer_is_counted_until_it_is_renewed, make_bench,
                                        drop_bench),
        cmocka_unit_test_setup_teardown(a_retired_issuers_certificates_are_refused_and_their_sessions_end,
                                        make_bench, drop_bench),
        cmocka_unit_test_setup_teardown(who_renewed_long_ago_is_not_cut_off, make_bench, drop_bench),
        cmocka_unit_test_setup_teardown(what_is_on_its_way_from_an_issuer_that_is_being_retired_is_refused,
                                        make_bench, drop_bench),
        cmocka_unit_test_setup_teardown(
            what_the_signer_issues_before_the_registry_hears_of_the_issuer_hangs_on_it, make_bench,
            drop_bench),
        cmocka_unit_test_setup_teardown(an_issuer_that_nothing_hangs_on_goes_without_force, make_bench,
                                        drop_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
