#include "cloud/registry/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <pthread.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "cloud/registry/registry_testing.h"
#include "cloud/trust/trust.h"
#include "os/log.h"

typedef struct {
    store_lab lab;
    porch_registry *registry;
    porch_why why;
    struct {
        porch_principal_kind kind;
        char name[65];
        porch_registry_what what;
    } news[64];
    size_t news_count;
} bench;

static void on_change(porch_principal_kind kind, const char *name, porch_registry_what what, void *ctx) {
    bench *b = ctx;
    if (b->news_count == 64) return;
    b->news[b->news_count].kind = kind;
    (void)snprintf(b->news[b->news_count].name, 65, "%s", name);
    b->news[b->news_count++].what = what;
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

static porch_err add_csr(bench *b, const char *id, const char *csr, bool renew,
                         porch_registry_issued *issued) {
    porch_registry_device_spec spec = {
        .id = id, .product = "cam", .csr_pem = csr, .renew = renew, .who = "operator"};
    b->why.text[0] = '\0';
    return porch_registry_device_add(b->registry, THE_SIGNER, &spec, issued, &b->why);
}

static void add(bench *b, const char *id, bool renew, uint8_t fingerprint[32]) {
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    if (add_csr(b, id, csr, renew, &issued) != PORCH_OK) fail_msg("%s", b->why.text);
    memcpy(fingerprint, issued.fingerprint, 32);
    porch_registry_issued_free(&issued);
}

static porch_err admit(bench *b, const char *name, const uint8_t fingerprint[32]) {
    porch_registry_entry entry;
    return porch_registry_admit(b->registry, PORCH_PRINCIPAL_DEVICE, name, fingerprint, porch_clock_ms(),
                                &entry, &b->why);
}

/* Number of trust rows of a kind, and the whole log's soundness. */
typedef struct {
    const char *kind;
    int64_t rows;
} trust_count;

static porch_err count_trust(porch_db *db, void *ctx, porch_why *why) {
    trust_count *t = ctx;
    porch_trust_head head;
    PORCH_TRY(porch_trust_verify(db, NULL, &head, why));
    porch_db_query *q =
        porch_db_prepare(db, "select count(*) from trust where kind = ?1 and json_valid(detail)", why);
    porch_db_bind_str(q, 1, t->kind);
    PORCH_TRY(porch_db_step(q, why));
    t->rows = porch_db_i64(q, 0);
    return PORCH_OK;
}

static int64_t trust_rows(bench *b, const char *kind) {
    trust_count t = {kind, -1};
    if (porch_store_read(b->lab.store, count_trust, &t, &b->why) != PORCH_OK) fail_msg("%s", b->why.text);
    return t.rows;
}

static void an_enrolled_device_is_admitted_with_what_is_known_of_it(void **state) {
    bench *b = *state;
    uint8_t print[32];
    add(b, "cam-1", false, print);
    for (int round = 0; round < 2; round++) {
        porch_registry_entry entry;
        assert_int_equal(porch_registry_admit(b->registry, PORCH_PRINCIPAL_DEVICE, "cam-1", print,
                                              porch_clock_ms(), &entry, &b->why),
                         PORCH_OK);
        assert_string_equal(entry.name, "cam-1");
        assert_string_equal(entry.product, "cam");
        assert_string_equal(entry.household, "home");
        assert_int_equal(entry.kind, PORCH_PRINCIPAL_DEVICE);
        uint64_t days = (entry.certificate_ends_ms - porch_clock_ms() + 3600000) / 86400000;
        assert_int_equal(days, 90);
        reopen(b); /* and the same from the database */
    }
    assert_int_equal(trust_rows(b, "device.add"), 1);
    assert_int_equal(b->news[0].what, PORCH_REGISTRY_ADDED);
    assert_string_equal(b->news[0].name, "cam-1");
}

static void nobody_is_admitted_with_a_certificate_that_is_not_their_own(void **state) {
    bench *b = *state;
    uint8_t one[32], two[32], none[32] = {1, 2, 3};
    add(b, "cam-1", false, one);
    add(b, "cam-2", false, two);
    assert_int_equal(admit(b, "cam-1", two), PORCH_ERR_AUTH);
    assert_int_equal(admit(b, "cam-2", one), PORCH_ERR_AUTH);
    assert_int_equal(admit(b, "cam-1", none), PORCH_ERR_AUTH);
    assert_int_equal(admit(b, "cam-3", one), PORCH_ERR_AUTH);
    assert_int_equal(admit(b, "", one), PORCH_ERR_AUTH);
    porch_registry_entry entry;
    assert_int_equal(porch_registry_admit(b->registry, PORCH_PRINCIPAL_SERVICE, "cam-1", one,
                                          porch_clock_ms(), &entry, &b->why),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_registry_admit(b->registry, PORCH_PRINCIPAL_NONE, "cam-1", one, porch_clock_ms(),
                                          &entry, &b->why),
                     PORCH_ERR_AUTH);
}

static void a_certificate_outside_its_time_is_told_so(void **state) {
    bench *b = *state;
    uint8_t early[32], late[32];
    the_signer.not_before_shift = 3600000;
    add(b, "early", false, early);
    the_signer.not_before_shift = -91ll * 86400000;
    add(b, "late", false, late);
    assert_int_equal(admit(b, "early", early), PORCH_ERR_STATE);
    assert_non_null(strstr(b->why.text, "not yet valid"));
    assert_int_equal(admit(b, "late", late), PORCH_ERR_EXPIRED);
    assert_non_null(strstr(b->why.text, "expired"));
}

static void an_id_is_given_once_and_the_signer_is_not_asked_twice(void **state) {
    bench *b = *state;
    uint8_t print[32];
    add(b, "cam-1", false, print);
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    assert_int_equal(add_csr(b, "cam-1", csr, false, &issued), PORCH_ERR_EXISTS);
    assert_int_equal(the_signer.issued, 1);
}

static void the_old_certificate_dies_at_the_first_use_of_the_new_one(void **state) {
    bench *b = *state;
    uint8_t old[32], lost[32], fresh[32];
    b->lab.settings.store_tick_ms = 3600000; /* no tick comes to the rescue */
    reopen(b);
    add(b, "cam-1", false, old);
    assert_int_equal(admit(b, "cam-1", old), PORCH_OK);
    add(b, "cam-1", true, lost);
    add(b, "cam-1", true, fresh); /* the one before was never used: it goes */
    assert_int_equal(admit(b, "cam-1", lost), PORCH_ERR_REVOKED);
    assert_int_equal(admit(b, "cam-1", old), PORCH_OK);
    reopen(b);
    assert_int_equal(admit(b, "cam-1", lost), PORCH_ERR_REVOKED);
    assert_int_equal(admit(b, "cam-1", old), PORCH_OK);
    assert_int_equal(admit(b, "cam-1", fresh), PORCH_OK);
    assert_int_equal(admit(b, "cam-1", old), PORCH_ERR_REVOKED);
    /* on disk before the door opened: no crash brings the old one back */
    assert_int_equal(trust_rows(b, "device.replace"), 1);
    reopen(b);
    assert_int_equal(admit(b, "cam-1", old), PORCH_ERR_REVOKED);
    assert_int_equal(admit(b, "cam-1", fresh), PORCH_OK);
    porch_registry_device d;
    assert_int_equal(porch_registry_device_get(b->registry, "cam-1", &d), PORCH_OK);
    assert_string_equal(d.product, "cam");
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    assert_int_equal(add_csr(b, "cam-9", csr, true, &issued), PORCH_ERR_NOT_FOUND);
    assert_int_equal(trust_rows(b, "device.renew"), 2);
}

/* What another thread would have said to the database in between. */
typedef struct {
    const char *sql;
    const uint8_t *print;
    int64_t seen_ms;
} said;

static porch_err say_it(porch_db *db, void *ctx, porch_why *why) {
    const said *s = ctx;
    porch_db_query *q = porch_db_prepare(db, s->sql, why);
    porch_db_bind_blob(q, 1, (porch_bytes){s->print, 32});
    return porch_db_execute(q, why);
}

static void say_in_between(bench *b, const char *sql, const uint8_t print[32]) {
    said s = {sql, print, 0};
    assert_int_equal(porch_store_write(b->lab.store, say_it, &s, &b->why), PORCH_OK);
}

static porch_err read_seen(porch_db *db, void *ctx, porch_why *why) {
    said *s = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "select coalesce(last_seen_ms, 0) from device where id = 'cam-1'", why);
    PORCH_TRY(porch_db_step(q, why));
    s->seen_ms = porch_db_i64(q, 0);
    return PORCH_OK;
}

static void wait_for_a_tick(bench *b) {
    said s = {0};
    porch_registry_seen(b->registry, "cam-1", true, 77);
    while (s.seen_ms != 77)
        assert_int_equal(porch_store_read(b->lab.store, read_seen, &s, &b->why), PORCH_OK);
}

static void a_certificate_issued_right_after_the_first_use_of_the_old_one_survives_the_tick(void **state) {
    bench *b = *state;
    uint8_t old[32], fresh[32];
    b->lab.settings.store_tick_ms = 300;
    reopen(b);
    add(b, "cam-1", false, old);
    assert_int_equal(admit(b, "cam-1", old), PORCH_OK); /* noted with the next tick */
    add(b, "cam-1", true, fresh);
    wait_for_a_tick(b);
    assert_int_equal(trust_rows(b, "device.replace"), 0);
    reopen(b);
    assert_int_equal(admit(b, "cam-1", fresh), PORCH_OK);
    assert_int_equal(admit(b, "cam-1", old), PORCH_ERR_REVOKED);
    assert_int_equal(trust_rows(b, "device.replace"), 1);
}

static void a_certificate_that_was_dropped_before_its_first_use_is_noted_does_not_come_alive(void **state) {
    static const char *const between[] = {
        "update certificate set replaced_ms = 1 where fingerprint = ?1",
        "update certificate set revoked_ms = 1 where fingerprint = ?1",
    };
    static const char *const names[] = {"cam-1", "cam-2"};
    bench *b = *state;
    b->lab.settings.store_tick_ms = 3600000;
    reopen(b);
    for (size_t i = 0; i < 2; i++) {
        uint8_t old[32], dropped[32];
        add(b, names[i], false, old);
        assert_int_equal(admit(b, names[i], old), PORCH_OK);
        add(b, names[i], true, dropped);
        say_in_between(b, between[i], dropped);
        assert_int_equal(admit(b, names[i], dropped), PORCH_ERR_REVOKED);
        assert_int_equal(admit(b, names[i], old), PORCH_OK);
        reopen(b);
        assert_int_equal(admit(b, names[i], dropped), PORCH_ERR_REVOKED);
        assert_int_equal(admit(b, names[i], old), PORCH_OK);
    }
    assert_int_equal(trust_rows(b, "device.replace"), 0);
}

static void a_renewal_does_not_drop_what_was_taken_up_while_it_was_on_its_way(void **state) {
    bench *b = *state;
    uint8_t old[32], used[32], fresh[32];
    b->lab.settings.store_tick_ms = 3600000;
    reopen(b);
    add(b, "cam-1", false, old);
    assert_int_equal(admit(b, "cam-1", old), PORCH_OK);
    add(b, "cam-1", true, used);
    say_in_between(b, "update certificate set used_ms = 1 where fingerprint = ?1", used);
    add(b, "cam-1", true, fresh);
    reopen(b);
    assert_int_equal(admit(b, "cam-1", used), PORCH_OK);
    assert_int_equal(admit(b, "cam-1", fresh), PORCH_OK);
}

/* Between the commit of the new one's first use and the moment when memory follows. */
static void a_tick_in_the_middle_of_a_replacement_revives_nothing(void **state) {
    bench *b = *state;
    uint8_t old[32], fresh[32];
    b->lab.settings.store_tick_ms = 300;
    reopen(b);
    add(b, "cam-1", false, old);
    assert_int_equal(admit(b, "cam-1", old), PORCH_OK); /* noted with the next tick */
    add(b, "cam-1", true, fresh);
    say_in_between(b, "update certificate set replaced_ms = 1 where fingerprint = ?1", old);
    say_in_between(b, "update certificate set used_ms = 1 where fingerprint = ?1", fresh);
    wait_for_a_tick(b);
    reopen(b);
    assert_int_equal(admit(b, "cam-1", old), PORCH_ERR_REVOKED);
    assert_int_equal(admit(b, "cam-1", fresh), PORCH_OK);
}

static void add_service(bench *b, bool renew, uint8_t fingerprint[32]) {
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    const porch_registry_service_spec spec = {
        .name = "watch", .csr_pem = csr, .renew = renew, .who = "operator"};
    if (porch_registry_service_add(b->registry, THE_SIGNER, &spec, &issued, &b->why) != PORCH_OK)
        fail_msg("%s", b->why.text);
    memcpy(fingerprint, issued.fingerprint, 32);
    porch_registry_issued_free(&issued);
}

static porch_err admit_service(bench *b, const uint8_t fingerprint[32]) {
    porch_registry_entry entry;
    return porch_registry_admit(b->registry, PORCH_PRINCIPAL_SERVICE, "watch", fingerprint,
                                porch_clock_ms(), &entry, &b->why);
}

static void a_services_old_certificate_dies_at_the_first_use_of_a_newer_one(void **state) {
    bench *b = *state;
    uint8_t old[32], lost[32], fresh[32];
    b->lab.settings.store_tick_ms = 3600000;
    reopen(b);
    add_service(b, false, old);
    assert_int_equal(admit_service(b, old), PORCH_OK);
    add_service(b, true, lost);
    add_service(b, true, fresh);
    for (int i = 0; i < 2; i++) { /* copied to its clients one after the other */
        assert_int_equal(admit_service(b, old), PORCH_OK);
        reopen(b);
    }
    assert_int_equal(trust_rows(b, "service.replace"), 0);
    assert_int_equal(admit_service(b, fresh), PORCH_OK);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(admit_service(b, old), PORCH_ERR_REVOKED);
        assert_non_null(strstr(b->why.text, "replaced"));
        assert_int_equal(admit_service(b, lost), PORCH_ERR_REVOKED);
        assert_int_equal(admit_service(b, fresh), PORCH_OK);
        reopen(b);
    }
    assert_int_equal(trust_rows(b, "service.replace"), 1);
}

/* A hub of before noted no first use of services: what comes first after it is no reason to end what is
 * newer. */
static void an_older_certificate_of_a_service_ends_no_newer_one(void **state) {
    bench *b = *state;
    uint8_t old[32], fresh[32];
    add_service(b, false, old);
    add_service(b, true, fresh);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(admit_service(b, old), PORCH_OK);
        porch_registry_service s;
        assert_int_equal(porch_registry_service_get(b->registry, "watch", &s), PORCH_OK);
        assert_memory_equal(s.fingerprint, fresh, 32);
        reopen(b);
    }
    assert_int_equal(admit_service(b, fresh), PORCH_OK);
    assert_int_equal(admit_service(b, old), PORCH_ERR_REVOKED);
}

static porch_err renew_itself(bench *b, const char *device, uint8_t fingerprint[32]) {
    char csr[2048], id[PORCH_REGISTRY_NAME_BYTES] = "";
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    const porch_registry_enrolment in = {
        .device = device, .fingerprint = fingerprint, .csr = porch_bytes_of(csr)};
    porch_err e = porch_registry_enrol(b->registry, THE_SIGNER, &in, id, &issued, &b->why);
    if (e != PORCH_OK) return e;
    memcpy(fingerprint, issued.fingerprint, 32);
    porch_registry_issued_free(&issued);
    return PORCH_OK;
}

static void a_device_that_renews_without_end_is_slowed_down_alone(void **state) {
    bench *b = *state;
    uint8_t wild[32], calm[32];
    b->lab.settings.est_certificates_per_day = 3;
    reopen(b);
    add(b, "wild", false, wild);
    add(b, "calm", false, calm);
    for (int i = 1; i < 3; i++)
        assert_int_equal(renew_itself(b, "wild", wild), PORCH_OK);
    assert_int_equal(renew_itself(b, "wild", wild), PORCH_ERR_BUSY);
    assert_non_null(strstr(b->why.text, "est.certificates_per_day"));
    assert_int_equal(admit(b, "wild", wild), PORCH_OK); /* it goes on with what it has */
    assert_int_equal(renew_itself(b, "calm", calm), PORCH_OK);
    assert_int_equal(the_signer.issued, 5);
    add(b, "wild", true, wild); /* the operator may */
    reopen(b);
    assert_int_equal(renew_itself(b, "wild", wild), PORCH_ERR_BUSY);
}

static void what_is_revoked_stays_out_in_all_its_certificates(void **state) {
    bench *b = *state;
    uint8_t old[32], fresh[32];
    add(b, "cam-1", false, old);
    add(b, "cam-1", true, fresh);
    assert_int_equal(porch_registry_device_revoke(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(admit(b, "cam-1", old), PORCH_ERR_REVOKED);
        assert_int_equal(admit(b, "cam-1", fresh), PORCH_ERR_REVOKED);
        reopen(b);
    }
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    assert_int_equal(add_csr(b, "cam-1", csr, true, &issued), PORCH_ERR_REVOKED);
    assert_int_equal(porch_registry_device_revoke(b->registry, "cam-1", "operator", &b->why),
                     PORCH_ERR_STATE);
    assert_int_equal(porch_registry_device_revoke(b->registry, "cam-2", "operator", &b->why),
                     PORCH_ERR_NOT_FOUND);
}

static void quarantine_is_told_at_the_door_and_survives(void **state) {
    bench *b = *state;
    uint8_t print[32];
    porch_registry_entry entry;
    add(b, "cam-1", false, print);
    assert_int_equal(porch_registry_device_readmit(b->registry, "cam-1", "operator", &b->why),
                     PORCH_ERR_STATE);
    assert_int_equal(porch_registry_device_quarantine(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    assert_int_equal(porch_registry_device_quarantine(b->registry, "cam-1", "operator", &b->why),
                     PORCH_ERR_STATE);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(porch_registry_admit(b->registry, PORCH_PRINCIPAL_DEVICE, "cam-1", print,
                                              porch_clock_ms(), &entry, &b->why),
                         PORCH_OK);
        assert_true(entry.quarantined);
        reopen(b);
    }
    assert_int_equal(porch_registry_device_readmit(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    assert_int_equal(porch_registry_admit(b->registry, PORCH_PRINCIPAL_DEVICE, "cam-1", print,
                                          porch_clock_ms(), &entry, &b->why),
                     PORCH_OK);
    assert_false(entry.quarantined);
    assert_int_equal(trust_rows(b, "device.quarantine"), 1);
    assert_int_equal(trust_rows(b, "device.readmit"), 1);
    assert_int_equal(porch_registry_device_revoke(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    assert_int_equal(porch_registry_device_quarantine(b->registry, "cam-1", "operator", &b->why),
                     PORCH_ERR_REVOKED);
    assert_int_equal(porch_registry_device_quarantine(b->registry, "cam-2", "operator", &b->why),
                     PORCH_ERR_NOT_FOUND);
}

static void a_name_enrolled_again_does_not_revive_its_old_keys(void **state) {
    bench *b = *state;
    char csr[2048], other[2048];
    porch_registry_issued first, second;
    make_csr(csr, sizeof csr);
    make_csr(other, sizeof other);
    assert_int_equal(add_csr(b, "cam-1", csr, false, &first), PORCH_OK);
    assert_int_equal(add_csr(b, "cam-2", csr, false, &second), PORCH_ERR_EXISTS); /* a key belongs to one */
    assert_int_equal(porch_registry_device_remove(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    assert_int_equal(admit(b, "cam-1", first.fingerprint), PORCH_ERR_REVOKED);
    assert_int_equal(add_csr(b, "cam-1", csr, false, &second), PORCH_ERR_REVOKED);
    assert_int_equal(add_csr(b, "cam-1", other, false, &second), PORCH_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(admit(b, "cam-1", first.fingerprint), PORCH_ERR_REVOKED);
        assert_int_equal(admit(b, "cam-1", second.fingerprint), PORCH_OK);
        reopen(b);
    }
    porch_registry_issued_free(&first);
    porch_registry_issued_free(&second);
}

typedef struct {
    char removed[65];
    unsigned times;
    porch_err answer;
} beside;

static porch_err remove_beside(porch_db *db, const char *device, void *ctx, porch_why *why) {
    beside *s = ctx;
    (void)db;
    s->times++;
    (void)snprintf(s->removed, sizeof s->removed, "%s", device);
    return s->answer == PORCH_OK ? PORCH_OK : porch_fail(why, s->answer, "not now");
}

static void what_others_keep_of_a_device_goes_with_it_or_not_at_all(void **state) {
    bench *b = *state;
    char csr[2048];
    porch_registry_issued issued;
    porch_registry_device d;
    beside s = {.answer = PORCH_ERR_FULL};
    make_csr(csr, sizeof csr);
    porch_registry_in_remove(b->registry, remove_beside, &s);
    assert_int_equal(add_csr(b, "cam-1", csr, false, &issued), PORCH_OK);
    porch_registry_issued_free(&issued);
    assert_int_equal(porch_registry_device_remove(b->registry, "cam-1", "operator", &b->why),
                     PORCH_ERR_FULL);
    assert_int_equal(porch_registry_device_get(b->registry, "cam-1", &d), PORCH_OK);
    reopen(b);
    assert_int_equal(porch_registry_device_get(b->registry, "cam-1", &d), PORCH_OK);
    porch_registry_in_remove(b->registry, remove_beside, &s);
    s.answer = PORCH_OK;
    assert_int_equal(porch_registry_device_revoke(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    assert_int_equal(s.times, 1); /* revoked is not removed */
    assert_int_equal(porch_registry_device_remove(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
    assert_int_equal(s.times, 2);
    assert_string_equal(s.removed, "cam-1");
}

/* What the signer issues in a minute is for everybody: nobody uses it up with requests that come to
 * nothing. */
static void a_key_that_is_anothers_does_not_reach_the_signer(void **state) {
    bench *b = *state;
    char csr[2048], id[PORCH_REGISTRY_NAME_BYTES];
    uint8_t own[32];
    porch_registry_issued theirs, none;
    make_csr(csr, sizeof csr);
    assert_int_equal(add_csr(b, "cam-1", csr, false, &theirs), PORCH_OK);
    porch_registry_issued_free(&theirs);
    add(b, "cam-2", false, own);
    const unsigned issued = the_signer.issued;
    const porch_registry_enrolment in = {.device = "cam-2", .fingerprint = own, .csr = porch_bytes_of(csr)};
    const porch_registry_service_spec service = {.name = "watch", .csr_pem = csr, .who = "operator"};
    for (int revoked = 0; revoked < 2; revoked++) {
        const porch_err expected = revoked ? PORCH_ERR_REVOKED : PORCH_ERR_EXISTS;
        assert_int_equal(porch_registry_enrol(b->registry, THE_SIGNER, &in, id, &none, &b->why), expected);
        assert_int_equal(add_csr(b, "cam-3", csr, false, &none), expected);
        assert_int_equal(porch_registry_service_add(b->registry, THE_SIGNER, &service, &none, &b->why),
                         expected);
        assert_int_equal(the_signer.issued, issued);
        assert_int_equal(porch_registry_device_revoke(b->registry, "cam-1", "operator", &b->why),
                         revoked ? PORCH_ERR_STATE : PORCH_OK);
    }
}

static void revoke_cam_1(void *ctx) {
    bench *b = ctx;
    assert_int_equal(porch_registry_device_revoke(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
}

static void remove_cam_1(void *ctx) {
    bench *b = ctx;
    assert_int_equal(porch_registry_device_remove(b->registry, "cam-1", "operator", &b->why), PORCH_OK);
}

static void remove_the_service(void *ctx) {
    bench *b = ctx;
    assert_int_equal(porch_registry_service_remove(b->registry, "watch", "operator", NULL, NULL, &b->why),
                     PORCH_OK);
}

static porch_err renew_while(bench *b, void (*meanwhile)(void *), const char *device,
                             uint8_t fingerprint[32]) {
    the_signer.meanwhile = meanwhile;
    the_signer.meanwhile_ctx = b;
    return renew_itself(b, device, fingerprint);
}

/* The signer may be slow or away; whoever must be shut out is not let in until it is back. */
static void nobody_waits_for_the_signer_to_shut_a_device_out(void **state) {
    bench *b = *state;
    char csr[2048];
    uint8_t cam[32], other[32], service[32];
    porch_registry_issued issued;
    add(b, "cam-1", false, cam);
    add(b, "cam-2", false, other);
    assert_int_equal(renew_while(b, revoke_cam_1, "cam-2", other), PORCH_OK);
    assert_int_equal(admit(b, "cam-2", other), PORCH_OK);
    assert_int_equal(admit(b, "cam-1", cam), PORCH_ERR_REVOKED);
    remove_cam_1(b);
    add(b, "cam-1", false, cam);
    assert_int_equal(renew_while(b, revoke_cam_1, "cam-1", cam), PORCH_ERR_REVOKED);
    assert_int_equal(renew_while(b, NULL, "cam-1", cam), PORCH_ERR_REVOKED);
    remove_cam_1(b);
    add(b, "cam-1", false, cam);
    make_csr(csr, sizeof csr);
    the_signer.meanwhile = remove_cam_1;
    assert_int_equal(add_csr(b, "cam-1", csr, true, &issued), PORCH_ERR_NOT_FOUND);
    assert_int_equal(trust_rows(b, "device.renew"), 1);
    add_service(b, false, service);
    const porch_registry_service_spec spec = {
        .name = "watch", .csr_pem = csr, .renew = true, .who = "operator"};
    the_signer.meanwhile = remove_the_service;
    assert_int_equal(porch_registry_service_add(b->registry, THE_SIGNER, &spec, &issued, &b->why),
                     PORCH_ERR_NOT_FOUND);
    assert_int_equal(admit_service(b, service), PORCH_ERR_REVOKED);
}

static void a_refused_enrolment_leaves_nothing(void **state) {
    bench *b = *state;
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    the_signer.refuse = PORCH_ERR_CHILD;
    assert_int_equal(add_csr(b, "cam-1", csr, false, &issued), PORCH_ERR_CHILD);
    the_signer.refuse = PORCH_OK;
    static const char *const ids[] = {
        "",      "Cam", "cam 1", "-cam",
        "cam/1", "c+",  "#",     "01234567890123456789012345678901234567890123456789012345678901234"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_int_equal(add_csr(b, ids[i], csr, false, &issued), PORCH_ERR_MALFORMED);
    assert_int_equal(add_csr(b, "cam-1", NULL, false, &issued), PORCH_ERR_MALFORMED);
    assert_int_not_equal(add_csr(b, "cam-1", "-----BEGIN nothing", false, &issued), PORCH_OK);
    porch_registry_device_spec spec = {
        .id = "cam-1", .product = "cam", .household = "nowhere", .csr_pem = csr, .who = "operator"};
    assert_int_equal(porch_registry_device_add(b->registry, THE_SIGNER, &spec, &issued, &b->why),
                     PORCH_ERR_NOT_FOUND);
    spec.household = "home";
    assert_int_equal(porch_registry_device_add(b->registry, NULL, &spec, &issued, &b->why),
                     PORCH_ERR_STATE);
    porch_registry_counts c;
    porch_registry_count(b->registry, &c);
    assert_int_equal(c.devices, 0);
    assert_int_equal(trust_rows(b, "device.add"), 0);
    assert_int_equal(b->news_count, 0);
    assert_int_equal(add_csr(b, "cam-1", csr, false, &issued), PORCH_OK);
    porch_registry_issued_free(&issued);
}

static void the_limit_of_devices_holds(void **state) {
    bench *b = *state;
    b->lab.settings.registry_devices = 2;
    reopen(b);
    uint8_t print[32];
    add(b, "cam-1", false, print);
    add(b, "cam-2", false, print);
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    assert_int_equal(add_csr(b, "cam-3", csr, false, &issued), PORCH_ERR_LIMIT);
    assert_non_null(strstr(b->why.text, "registry.devices"));
    add(b, "cam-2", true, print); /* renewing is not adding */
}

static porch_err also_note(porch_db *db, void *ctx, porch_why *why) {
    if (ctx != NULL) return porch_fail(why, PORCH_ERR_STATE, "no");
    return porch_db_run(
        db, "insert into household (id, name, timezone, added_ms) values ('noted', 'n', 'UTC', 0)", why);
}

static void a_service_is_stored_together_with_what_belongs_to_it(void **state) {
    bench *b = *state;
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    porch_registry_service_spec spec = {.name = "lights",
                                        .csr_pem = csr,
                                        .any_client_id = true,
                                        .who = "operator",
                                        .also = also_note,
                                        .also_ctx = b};
    assert_int_equal(porch_registry_service_add(b->registry, THE_SIGNER, &spec, &issued, &b->why),
                     PORCH_ERR_STATE);
    porch_registry_service s;
    assert_int_equal(porch_registry_service_get(b->registry, "lights", &s), PORCH_ERR_NOT_FOUND);
    spec.also_ctx = NULL;
    assert_int_equal(porch_registry_service_add(b->registry, THE_SIGNER, &spec, &issued, &b->why),
                     PORCH_OK);
    reopen(b);
    porch_registry_household h;
    assert_int_equal(porch_registry_household_get(b->registry, "noted", &h), PORCH_OK);
    porch_registry_entry entry;
    assert_int_equal(porch_registry_admit(b->registry, PORCH_PRINCIPAL_SERVICE, "lights",
                                          issued.fingerprint, porch_clock_ms(), &entry, &b->why),
                     PORCH_OK);
    assert_true(entry.any_client_id);
    assert_int_equal(porch_registry_service_remove(b->registry, "lights", "operator", NULL, NULL, &b->why),
                     PORCH_OK);
    assert_int_equal(porch_registry_admit(b->registry, PORCH_PRINCIPAL_SERVICE, "lights",
                                          issued.fingerprint, porch_clock_ms(), &entry, &b->why),
                     PORCH_ERR_REVOKED);
    porch_registry_issued_free(&issued);
}

static bool collect(const porch_registry_device *d, void *ctx) {
    size_t len = strlen(ctx);
    (void)snprintf((char *)ctx + len, 256 - len, "%s ", d->id);
    return true;
}

static void devices_are_visited_in_order_and_by_household(void **state) {
    bench *b = *state;
    uint8_t print[32];
    char made[65], seen[256] = "";
    assert_int_equal(porch_registry_household_add(b->registry, NULL, "The Lake House!", "Europe/Berlin",
                                                  "operator", made, &b->why),
                     PORCH_OK);
    assert_string_equal(made, "the-lake-house");
    add(b, "zoo", false, print);
    add(b, "ant", false, print);
    char csr[2048];
    porch_registry_issued issued;
    make_csr(csr, sizeof csr);
    porch_registry_device_spec spec = {
        .id = "bee", .product = "cam", .household = made, .csr_pem = csr, .who = "operator"};
    assert_int_equal(porch_registry_device_add(b->registry, THE_SIGNER, &spec, &issued, &b->why), PORCH_OK);
    porch_registry_issued_free(&issued);
    porch_registry_devices(b->registry, NULL, collect, seen);
    assert_string_equal(seen, "ant bee zoo ");
    seen[0] = '\0';
    porch_registry_devices(b->registry, "the-lake-house", collect, seen);
    assert_string_equal(seen, "bee ");
}

static void a_household_has_a_time_zone_that_can_only_be_a_name(void **state) {
    bench *b = *state;
    static const char *const wrong[] = {"",        "/etc/passwd", "../x",          "Europe//Berlin",
                                        "Europe/", "a b",         "Europe/Ber.lin"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(
            porch_registry_household_add(b->registry, "x", "X", wrong[i], "operator", NULL, &b->why),
            PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_registry_household_add(b->registry, "home", "X", NULL, "operator", NULL, &b->why),
        PORCH_ERR_EXISTS);
    assert_int_equal(
        porch_registry_household_set_timezone(b->registry, "home", "America/New_York", "user:ann", &b->why),
        PORCH_OK);
    reopen(b);
    porch_registry_household h;
    assert_int_equal(porch_registry_household_get(b->registry, "home", &h), PORCH_OK);
    assert_string_equal(h.timezone, "America/New_York");
    assert_int_equal(
        porch_registry_household_set_timezone(b->registry, "nowhere", "UTC", "user:ann", &b->why),
        PORCH_ERR_NOT_FOUND);
}

/* Waits until a tick has run after the call: ticks of one store come in order. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t news;
    unsigned ticks;
} tick_watch;

static porch_err on_tick(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why) {
    (void)db;
    (void)now_ms;
    (void)why;
    tick_watch *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->ticks++;
    pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&w->lock);
    return PORCH_OK;
}

static void last_seen_survives_and_online_is_told_once(void **state) {
    bench *b = *state;
    b->lab.settings.store_tick_ms = 10;
    reopen(b);
    uint8_t print[32];
    add(b, "cam-1", false, print);
    b->news_count = 0;
    porch_registry_seen(b->registry, "cam-1", true, 1000);
    porch_registry_seen(b->registry, "cam-1", true, 2000);
    porch_registry_seen(b->registry, "nobody", true, 2000);
    assert_int_equal(b->news_count, 1);
    assert_int_equal(b->news[0].what, PORCH_REGISTRY_ONLINE);
    porch_registry_counts c;
    porch_registry_count(b->registry, &c);
    assert_int_equal(c.devices_online, 1);
    porch_registry_seen(b->registry, "cam-1", false, 3000);
    assert_int_equal(b->news[1].what, PORCH_REGISTRY_OFFLINE);
    tick_watch w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    porch_store_on_tick(b->lab.store, on_tick, &w);
    pthread_mutex_lock(&w.lock);
    while (w.ticks < 2)
        pthread_cond_wait(&w.news, &w.lock);
    pthread_mutex_unlock(&w.lock);
    porch_store_forget(b->lab.store, &w);
    reopen(b);
    porch_registry_device d;
    assert_int_equal(porch_registry_device_get(b->registry, "cam-1", &d), PORCH_OK);
    assert_int_equal(d.last_seen_ms, 3000);
    assert_false(d.online);
}

typedef struct {
    bench *b;
    uint8_t print[32];
    atomic_bool stop;
} door;

static void *knock(void *arg) {
    door *d = arg;
    uint64_t times = 0;
    while (!atomic_load(&d->stop)) {
        porch_registry_entry entry;
        porch_why why;
        if (porch_registry_admit(d->b->registry, PORCH_PRINCIPAL_DEVICE, "steady", d->print,
                                 porch_clock_ms(), &entry, &why) != PORCH_OK)
            abort();
        times++;
        porch_registry_seen(d->b->registry, "steady", times % 2 == 0, times);
    }
    return NULL;
}

static void the_door_stays_open_while_the_registry_changes(void **state) {
    door d = {.b = *state};
    add(d.b, "steady", false, d.print);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, knock, &d), 0);
    for (int i = 0; i < 20; i++) {
        char id[16];
        uint8_t print[32];
        (void)snprintf(id, sizeof id, "cam-%d", i);
        add(d.b, id, false, print);
        if (i % 2 == 0)
            assert_int_equal(porch_registry_device_remove(d.b->registry, id, "operator", &d.b->why),
                             PORCH_OK);
    }
    atomic_store(&d.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    porch_registry_counts c;
    porch_registry_count(d.b->registry, &c);
    assert_int_equal(c.devices, 11);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void) {
    porch_log_init("test", PORCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        WITH_BENCH(an_enrolled_device_is_admitted_with_what_is_known_of_it),
        WITH_BENCH(nobody_is_admitted_with_a_certificate_that_is_not_their_own),
        WITH_BENCH(a_certificate_outside_its_time_is_told_so),
        WITH_BENCH(an_id_is_given_once_and_the_signer_is_not_asked_twice),
        WITH_BENCH(the_old_certificate_dies_at_the_first_use_of_the_new_one),
        WITH_BENCH(a_certificate_issued_right_after_the_first_use_of_the_old_one_survives_the_tick),
        WITH_BENCH(a_certificate_that_was_dropped_before_its_first_use_is_noted_does_not_come_alive),
        WITH_BENCH(a_renewal_does_not_drop_what_was_taken_up_while_it_was_on_its_way),
        WITH_BENCH(a_tick_in_the_middle_of_a_replacement_revives_nothing),
        WITH_BENCH(a_services_old_certificate_dies_at_the_first_use_of_a_newer_one),
        WITH_BENCH(an_older_certificate_of_a_service_ends_no_newer_one),
        WITH_BENCH(a_device_that_renews_without_end_is_slowed_down_alone),
        WITH_BENCH(what_is_revoked_stays_out_in_all_its_certificates),
        WITH_BENCH(quarantine_is_told_at_the_door_and_survives),
        WITH_BENCH(a_name_enrolled_again_does_not_revive_its_old_keys),
        WITH_BENCH(what_others_keep_of_a_device_goes_with_it_or_not_at_all),
        WITH_BENCH(a_key_that_is_anothers_does_not_reach_the_signer),
        WITH_BENCH(nobody_waits_for_the_signer_to_shut_a_device_out),
        WITH_BENCH(a_refused_enrolment_leaves_nothing),
        WITH_BENCH(the_limit_of_devices_holds),
        WITH_BENCH(a_service_is_stored_together_with_what_belongs_to_it),
        WITH_BENCH(devices_are_visited_in_order_and_by_household),
        WITH_BENCH(a_household_has_a_time_zone_that_can_only_be_a_name),
        WITH_BENCH(last_seen_survives_and_online_is_told_once),
        WITH_BENCH(the_door_stays_open_while_the_registry_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
