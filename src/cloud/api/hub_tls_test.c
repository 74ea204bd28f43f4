/* When the hub's own certificates are made, kept and renewed. The signer's part is played here, with an
 * authority of the test's own. */
#include "cloud/api/hub_room.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "os/clock.h"
#include "os/file.h"

enum { DAY_MS = 24 * 3600 * 1000 };

/* ---- signer and listener ---- */

static porch_key *root_key;
static uint8_t root_block[PORCH_X509_PEM_BYTES];
static porch_buf root_pem;
static unsigned issued, replaced[PORCH_LISTEN_ROLES];
static bool signer_away, unseals_nothing;
static uint64_t life_ms;

porch_err porch_signer_issue(porch_signer_client *c, porch_signer_profile profile, const char *const *names,
                             size_t names_count, porch_bytes csr_pem, uint32_t days, porch_buf *out_pem,
                             porch_why *why) {
    (void)c;
    (void)days;
    if (signer_away) return porch_fail(why, PORCH_ERR_CHILD, "the signer is away");
    porch_public_key key;
    PORCH_TRY(porch_csr_read(csr_pem, &key, why));
    porch_ca_request request = {
        .profile = profile == PORCH_SIGNER_WEB_SERVER ? PORCH_PROFILE_WEB_SERVER : PORCH_PROFILE_HUB_SERVER,
        .names.count = names_count,
        .not_before_ms = porch_clock_ms() - 60000,
        .not_after_ms = porch_clock_ms() + life_ms,
    };
    for (size_t i = 0; i < names_count; i++)
        request.names.name[i] = names[i];
    const porch_ca ca = {porch_buf_bytes(&root_pem), root_key};
    issued++;
    return porch_ca_issue(&ca, &key, &request, out_pem, why);
}

/* A seal that any eye can open, but for the label. */
porch_err porch_signer_seal(porch_signer_client *c, const char *label, porch_bytes plain, porch_buf *sealed,
                            porch_why *why) {
    (void)c;
    if (signer_away) return porch_fail(why, PORCH_ERR_CHILD, "the signer is away");
    PORCH_TRY(porch_write_block16(sealed, porch_bytes_of(label)));
    for (size_t i = 0; i < plain.len; i++)
        PORCH_TRY(porch_write_u8(sealed, plain.at[i] ^ 0x55));
    return PORCH_OK;
}

porch_err porch_signer_unseal(porch_signer_client *c, const char *label, porch_bytes sealed,
                              porch_buf *plain, porch_why *why) {
    (void)c;
    porch_reader r = porch_reader_of(sealed);
    porch_bytes whose;
    if (unseals_nothing) return porch_fail(why, PORCH_ERR_CHILD, "the signer is away");
    if (porch_read_block16(&r, &whose) != PORCH_OK || !porch_bytes_eq_text(whose, label))
        return porch_fail(why, PORCH_ERR_SIGNATURE, "another hub's");
    for (size_t i = 0; i < r.rest.len; i++)
        PORCH_TRY(porch_write_u8(plain, r.rest.at[i] ^ 0x55));
    return PORCH_OK;
}

void porch_listener_replace_tls(porch_listener *l, porch_listen_role role, porch_tls_server *tls) {
    (void)l;
    assert_non_null(tls);
    replaced[role]++;
}

/* ---- the lab ---- */

typedef struct {
    porch_hub hub;
    porch_hub_start start;
    char dir[64];
} lab;

static void put(const lab *l, const char *name, porch_bytes bytes) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", l->dir, name);
    assert_int_equal(porch_file_write_atomic(path, bytes, 0600, NULL), PORCH_OK);
}

static void name_hub(lab *l, const char *names) {
    assert_int_equal(porch_guard_names_read(names, &l->hub.names, NULL), PORCH_OK);
}

static int make_lab(void **state) {
    lab *l = calloc(1, sizeof *l);
    char path[128];
    (void)snprintf(l->dir, sizeof l->dir, "/tmp/porch-tls-XXXXXX");
    if (mkdtemp(l->dir) == NULL) goto fail;
    (void)snprintf(path, sizeof path, "%s/tls", l->dir);
    if (mkdir(path, 0700) != 0) goto fail;
    l->start.dir = l->dir;
    l->hub.start = &l->start;
    porch_settings_default(&l->hub.settings);
    name_hub(l, "localhost 127.0.0.1");
    root_pem = (porch_buf){root_block, 0, sizeof root_block};
    if (porch_key_generate_p256(&root_key, NULL) != PORCH_OK ||
        porch_ca_make_root("test", root_key, porch_clock_ms() - DAY_MS, 5, &root_pem, NULL) != PORCH_OK)
        goto fail;
    put(l, "tls/device-root.pem", porch_buf_bytes(&root_pem));
    put(l, "tls/issuing.pem", PORCH_LIT(""));
    put(l, "tls/web-ca.pem", porch_buf_bytes(&root_pem));
    issued = 0;
    memset(replaced, 0, sizeof replaced);
    signer_away = unseals_nothing = false;
    life_ms = 90ull * DAY_MS;
    *state = l;
    return 0;
fail:
    free(l);
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int drop_lab(void **state) {
    lab *l = *state;
    porch_key_free(root_key);
    free(l->hub.web_ca);
    (void)nftw(l->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(l);
    return 0;
}

static porch_err start(lab *l, porch_why *why) {
    porch_tls_server *servers[PORCH_LISTEN_ROLES] = {NULL};
    free(l->hub.web_ca);
    l->hub.web_ca = NULL;
    porch_err e = porch_hub_tls_servers(&l->hub, servers, why);
    for (unsigned role = 0; role < PORCH_LISTEN_ROLES; role++) {
        if (e == PORCH_OK) assert_non_null(servers[role]);
        porch_tls_server_unref(servers[role]);
    }
    return e;
}

static void expect_start(lab *l) {
    porch_why why = {{0}};
    if (start(l, &why) != PORCH_OK) fail_msg("%s", why.text);
}

/* ---- tests ---- */

static void a_first_start_makes_keys_and_certificates_and_the_next_keeps_them(void **state) {
    lab *l = *state;
    struct stat st;
    char path[128];
    expect_start(l);
    assert_int_equal(issued, 2);
    assert_non_null(l->hub.web_ca);
    (void)snprintf(path, sizeof path, "%s/tls/hub.key", l->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect_start(l);
    assert_int_equal(issued, 2);
}

static void a_new_name_is_a_reason_to_renew(void **state) {
    lab *l = *state;
    expect_start(l);
    name_hub(l, "localhost 127.0.0.1 porch.example.org");
    expect_start(l);
    assert_int_equal(issued, 4);
    expect_start(l);
    assert_int_equal(issued, 4);
}

static void the_last_third_of_a_life_is_a_reason_to_renew(void **state) {
    lab *l = *state;
    life_ms = 20000; /* it began a minute ago: less than a third is left */
    expect_start(l);
    assert_int_equal(issued, 2);
    life_ms = 90ull * DAY_MS;
    expect_start(l);
    assert_int_equal(issued, 4);
}

static void a_certificate_of_another_key_is_made_anew(void **state) {
    lab *l = *state;
    char path[128];
    expect_start(l);
    (void)snprintf(path, sizeof path, "%s/tls/hub.key", l->dir);
    assert_int_equal(unlink(path), 0);
    expect_start(l);
    assert_int_equal(issued, 3);
}

static void a_signer_that_is_away_hinders_only_a_hub_without_certificates(void **state) {
    lab *l = *state;
    porch_why why = {{0}};
    signer_away = true;
    assert_int_equal(start(l, &why), PORCH_ERR_CHILD);
    signer_away = false;
    expect_start(l);
    signer_away = true;
    name_hub(l, "localhost porch.example.org"); /* due, but what there is still works */
    expect_start(l);
    put(l, "tls/hub-cert.pem", PORCH_LIT("no certificate"));
    assert_int_equal(start(l, &why), PORCH_ERR_CHILD);
}

static void tending_replaces_only_what_was_renewed(void **state) {
    lab *l = *state;
    expect_start(l);
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[0] + replaced[1] + replaced[2], 0);
    put(l, "tls/web-cert.pem", PORCH_LIT(""));
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_PEOPLE], 1);
    assert_int_equal(replaced[PORCH_LISTEN_MQTT] + replaced[PORCH_LISTEN_DEVICE], 0);
    put(l, "tls/hub-cert.pem", PORCH_LIT(""));
    porch_hub_tls_tend(&l->hub);
    assert_true(replaced[PORCH_LISTEN_MQTT] == 1 && replaced[PORCH_LISTEN_DEVICE] == 1);
    assert_int_equal(replaced[PORCH_LISTEN_PEOPLE], 1);
}

/* An authority that was removed must not go on to count because the key could not be read that moment. */
static void factories_that_changed_while_the_signer_was_away_are_taken_up_later(void **state) {
    lab *l = *state;
    assert_int_equal(porch_settings_set(&l->hub.settings, "hub.seal", "tpm", NULL), PORCH_OK);
    expect_start(l);
    atomic_store(&l->hub.factories_changed, true);
    unseals_nothing = true;
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_DEVICE], 0);
    unseals_nothing = false;
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_DEVICE], 1);
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_DEVICE], 1);
}

/* The operator's own certificate: two files, written one after the other. */
static void write_public(lab *l, bool cert, bool key_file, porch_key **key) {
    uint8_t cert_block[PORCH_X509_PEM_BYTES], key_block[PORCH_KEY_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(cert_block), key_pem = PORCH_BUF_OF(key_block);
    const porch_ca ca = {porch_buf_bytes(&root_pem), root_key};
    porch_public_key public_key;
    const porch_ca_request request = {.profile = PORCH_PROFILE_WEB_SERVER,
                                      .names = {{"localhost"}, 1},
                                      .not_before_ms = porch_clock_ms() - 60000,
                                      .not_after_ms = porch_clock_ms() + DAY_MS};
    if (*key == NULL) assert_int_equal(porch_key_generate_p256(key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(*key, &public_key, NULL), PORCH_OK);
    assert_int_equal(porch_ca_issue(&ca, &public_key, &request, &pem, NULL), PORCH_OK);
    assert_int_equal(porch_key_pem(*key, &key_pem, NULL), PORCH_OK);
    if (cert) put(l, "public.pem", porch_buf_bytes(&pem));
    if (key_file) put(l, "public.key", porch_buf_bytes(&key_pem));
}

static void set_changed(const lab *l, uint64_t ago_s) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/public.pem", l->dir);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = (time_t)(porch_clock_ms() / 1000 - ago_s)}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void a_changed_public_certificate_is_taken_up_once_it_fits_its_key(void **state) {
    lab *l = *state;
    porch_key *first = NULL, *second = NULL;
    write_public(l, true, true, &first);
    set_changed(l, 300);
    (void)snprintf(l->hub.settings.hub_https_cert, sizeof l->hub.settings.hub_https_cert, "%s/public.pem",
                   l->dir);
    (void)snprintf(l->hub.settings.hub_https_key, sizeof l->hub.settings.hub_https_key, "%s/public.key",
                   l->dir);
    expect_start(l);
    assert_int_equal(issued, 1); /* the devices' door only */
    assert_null(l->hub.web_ca);
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_PEOPLE], 0);
    write_public(l, true, false, &second); /* caught between the two writes */
    set_changed(l, 200);
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_PEOPLE], 0);
    write_public(l, false, true, &second);
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_PEOPLE], 1);
    porch_hub_tls_tend(&l->hub);
    assert_int_equal(replaced[PORCH_LISTEN_PEOPLE], 1);
    porch_key_free(first);
    porch_key_free(second);
}

static void a_sealed_hub_keeps_its_server_keys_sealed_and_takes_none_that_lay_open(void **state) {
    lab *l = *state;
    uint8_t *bytes = NULL;
    size_t len = 0;
    char path[128], open_path[128];
    (void)snprintf(path, sizeof path, "%s/tls/hub.key.sealed", l->dir);
    (void)snprintf(open_path, sizeof open_path, "%s/tls/hub.key", l->dir);
    assert_int_equal(porch_settings_set(&l->hub.settings, "hub.seal", "tpm", NULL), PORCH_OK);
    put(l, "tls/hub.key", PORCH_LIT("a key from before it was sealed"));
    expect_start(l);
    expect_start(l);
    assert_int_equal(issued, 2); /* one a door, once: the keys were opened again */
    assert_int_equal(access(open_path, F_OK), -1);
    assert_int_equal(porch_file_read(path, 4096, &bytes, &len, NULL), PORCH_OK);
    assert_null(memmem(bytes, len, "PRIVATE", 7));
    free(bytes);
    /* one that this hub's signer does not open is replaced, with its certificate */
    put(l, "tls/hub.key.sealed", PORCH_LIT("another hub's"));
    expect_start(l);
    assert_int_equal(issued, 3);
}

/* A pair that was handed over to a hub of before, with its key open; then one handed over to this one. */
static void a_public_key_that_was_handed_over_lies_sealed_under_any_seal(void **state) {
    lab *l = *state;
    static const char *const seals[] = {"file", "tpm"};
    for (size_t i = 0; i < 2; i++) {
        porch_key *key = NULL;
        uint8_t *bytes = NULL;
        size_t len = 0;
        porch_x509_info info;
        char from[128], to[128], cert[PORCH_X509_PEM_BYTES] = "", pem[PORCH_KEY_PEM_BYTES] = "";
        write_public(l, true, true, &key);
        expect_start(l); /* the devices' own pair is there */
        const char *const names[2][2] = {{"public.pem", "tls/https-cert.pem"},
                                         {"public.key", "tls/https.key"}};
        assert_int_equal(porch_settings_set(&l->hub.settings, "hub.seal", seals[i], NULL), PORCH_OK);
        for (size_t k = 0; k < 2; k++) {
            (void)snprintf(from, sizeof from, "%s/%s", l->dir, names[k][0]);
            (void)snprintf(to, sizeof to, "%s/%s", l->dir, names[k][1]);
            assert_int_equal(porch_file_read(from, 4096, &bytes, &len, NULL), PORCH_OK);
            (void)snprintf(k == 0 ? cert : pem, k == 0 ? sizeof cert : sizeof pem, "%.*s", (int)len, bytes);
            put(l, names[k][1], (porch_bytes){bytes, len});
            free(bytes);
        }
        (void)snprintf(from, sizeof from, "%s/tls/https.key.sealed", l->dir);
        (void)unlink(from);
        if (i == 0) { /* sealing needs the signer: the open one stays until it is there */
            signer_away = true;
            expect_start(l);
            assert_false(l->hub.https.serving);
            assert_int_equal(access(to, F_OK), 0);
            signer_away = false;
        }
        porch_hub_tls_tend(&l->hub);
        assert_true(l->hub.https.serving);
        assert_int_equal(access(to, F_OK), -1);
        assert_int_equal(porch_file_read(from, 4096, &bytes, &len, NULL), PORCH_OK);
        assert_null(memmem(bytes, len, "PRIVATE", 7));
        free(bytes);
        put(l, "tls/https.key", PORCH_LIT("left by an interrupted change"));
        assert_int_equal(porch_hub_https_install(&l->hub, cert, pem, &info, NULL), PORCH_OK);
        assert_int_equal(access(to, F_OK), -1);
        expect_start(l);
        assert_true(l->hub.https.serving);
        porch_key_free(key);
    }
}

#define LAB_TEST(name) cmocka_unit_test_setup_teardown(name, make_lab, drop_lab)

int main(void) {
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_first_start_makes_keys_and_certificates_and_the_next_keeps_them),
        LAB_TEST(a_new_name_is_a_reason_to_renew),
        LAB_TEST(the_last_third_of_a_life_is_a_reason_to_renew),
        LAB_TEST(a_certificate_of_another_key_is_made_anew),
        LAB_TEST(a_signer_that_is_away_hinders_only_a_hub_without_certificates),
        LAB_TEST(tending_replaces_only_what_was_renewed),
        LAB_TEST(factories_that_changed_while_the_signer_was_away_are_taken_up_later),
        LAB_TEST(a_changed_public_certificate_is_taken_up_once_it_fits_its_key),
        LAB_TEST(a_public_key_that_was_handed_over_lies_sealed_under_any_seal),
        LAB_TEST(a_sealed_hub_keeps_its_server_keys_sealed_and_takes_none_that_lay_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
