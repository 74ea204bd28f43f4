/* What is issued is read back here and, as an oracle, judged by the openssl command. */
#include "crypto/x509.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_MS UINT64_C(86400000)
/* A fixed now, so that every time in these tests is known: 2026-01-01T00:00:00Z. */
#define NOW_MS UINT64_C(1767225600000)

typedef struct {
    porch_key *key;
    porch_public_key public_key;
    uint8_t block[PORCH_X509_PEM_BYTES];
    porch_buf pem;
} made;

static made root, issuing, web, leaf;

static void new_key(made *m) {
    porch_key_free(m->key);
    assert_int_equal(porch_key_generate_p256(&m->key, NULL), PORCH_OK);
    assert_int_equal(porch_key_public(m->key, &m->public_key, NULL), PORCH_OK);
    m->pem = PORCH_BUF_OF(m->block);
}

static porch_ca ca_of(const made *m) {
    return (porch_ca){porch_buf_bytes(&m->pem), m->key};
}

static const porch_ca_names web_names = {{"hub.example", "192.0.2.7", "2001:db8::7"}, 3};

static int make_cas(void **state) {
    (void)state;
    new_key(&root);
    new_key(&issuing);
    new_key(&web);
    assert_int_equal(porch_ca_make_root("Test root", root.key, NOW_MS - DAY_MS, 20, &root.pem, NULL),
                     PORCH_OK);
    porch_ca above = ca_of(&root);
    assert_int_equal(porch_ca_make_issuing(&above, "Test issuing", &issuing.public_key, NOW_MS - DAY_MS, 10,
                                           &issuing.pem, NULL),
                     PORCH_OK);
    assert_int_equal(
        porch_ca_make_web("Test web", web.key, &web_names, NOW_MS - DAY_MS, 10, &web.pem, NULL), PORCH_OK);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    porch_key_free(root.key);
    porch_key_free(issuing.key);
    porch_key_free(web.key);
    porch_key_free(leaf.key);
    return 0;
}

/* Takes the leaf out of its place, so that another can be made there. */
static void take_leaf(made *to) {
    *to = leaf;
    to->pem.at = to->block;
    leaf.key = NULL;
}

static porch_err issue(const made *ca, porch_ca_request request, porch_why *why) {
    new_key(&leaf);
    if (request.not_after_ms == 0)
        request.not_before_ms = NOW_MS, request.not_after_ms = NOW_MS + 90 * DAY_MS;
    porch_ca above = ca_of(ca);
    return porch_ca_issue(&above, &leaf.public_key, &request, &leaf.pem, why);
}

/* Runs openssl with `args` on `input`; what it says comes back in `out`. */
static int run_openssl(const char *args, porch_bytes input, char *out, size_t cap) {
    char folder[] = "/tmp/porch-x509-XXXXXX", command[1024], path[64];
    assert_non_null(mkdtemp(folder));
    const struct {
        const char *name;
        porch_bytes text;
    } files[] = {{"root", porch_buf_bytes(&root.pem)},
                 {"issuing", porch_buf_bytes(&issuing.pem)},
                 {"web", porch_buf_bytes(&web.pem)},
                 {"in", input}};
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(files[i].text.at, 1, files[i].text.len, f), files[i].text.len);
        assert_int_equal(fclose(f), 0);
    }
    (void)snprintf(command, sizeof command, "cd %s && { openssl %s; } 2>&1", folder, args);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the command is this test's own */
    assert_non_null(p);
    size_t got = fread(out, 1, cap - 1, p);
    out[got] = '\0';
    int status = pclose(p);
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        (void)unlink(path);
    }
    (void)rmdir(folder);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static porch_bytes chain_of_leaf(void) {
    static uint8_t block[3 * PORCH_X509_PEM_BYTES];
    memcpy(block, leaf.block, leaf.pem.len);
    memcpy(block + leaf.pem.len, issuing.block, issuing.pem.len);
    return (porch_bytes){block, leaf.pem.len + issuing.pem.len};
}

static void a_device_certificate_says_who_and_nothing_else(void **state) {
    (void)state;
    assert_int_equal(
        issue(&issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "cam-1"}, NULL),
        PORCH_OK);
    porch_x509_info info;
    assert_int_equal(porch_x509_read(porch_buf_bytes(&leaf.pem), &info, NULL), PORCH_OK);
    assert_int_equal(info.identity.kind, PORCH_IDENTITY_DEVICE);
    assert_string_equal(info.identity.name, "cam-1");
    assert_true(info.client_auth);
    assert_false(info.server_auth);
    assert_false(info.has_common_name);
    assert_false(info.is_ca);
    assert_string_equal(info.subject, "");
    assert_string_equal(info.issuer, "CN=Test issuing");
    assert_int_equal(strlen(info.serial), 32);
    assert_int_equal(info.not_before_ms, NOW_MS);
    assert_int_equal(info.not_after_ms, NOW_MS + 90 * DAY_MS);
    assert_int_equal(porch_x509_check_key(porch_buf_bytes(&leaf.pem), leaf.key, NULL), PORCH_OK);
    assert_int_equal(porch_x509_check_key(porch_buf_bytes(&leaf.pem), root.key, NULL), PORCH_ERR_STATE);
    char out[8192];
    assert_int_equal(run_openssl("x509 -in in -noout -text", porch_buf_bytes(&leaf.pem), out, sizeof out),
                     0);
    assert_non_null(strstr(out, "Subject Alternative Name: critical"));
    assert_non_null(strstr(out, "URI:urn:porchlight:device:cam-1\n"));
    assert_non_null(strstr(out, "Key Usage: critical\n                Digital Signature\n"));
    assert_non_null(strstr(out, "Extended Key Usage: \n                TLS Web Client Authentication\n"));
    assert_non_null(strstr(out, "CA:FALSE"));
}

#define VERIFY "verify -x509_strict -attime 1767312000 -CAfile root -untrusted issuing -purpose "

static void the_openssl_command_accepts_what_we_issue_and_only_for_its_purpose(void **state) {
    (void)state;
    char out[2048];
    assert_int_equal(
        issue(&issuing, (porch_ca_request){.profile = PORCH_PROFILE_SERVICE, .id = "home"}, NULL),
        PORCH_OK);
    assert_int_equal(run_openssl(VERIFY "sslclient in", porch_buf_bytes(&leaf.pem), out, sizeof out), 0);
    assert_int_not_equal(run_openssl(VERIFY "sslserver in", porch_buf_bytes(&leaf.pem), out, sizeof out),
                         0);
    porch_ca_request server = {.profile = PORCH_PROFILE_HUB_SERVER,
                               .names = {{"localhost", "127.0.0.1", "::1"}, 3}};
    assert_int_equal(issue(&issuing, server, NULL), PORCH_OK);
    assert_int_equal(run_openssl(VERIFY "sslserver -verify_hostname localhost in",
                                 porch_buf_bytes(&leaf.pem), out, sizeof out),
                     0);
    assert_int_equal(
        run_openssl(VERIFY "sslserver -verify_ip ::1 in", porch_buf_bytes(&leaf.pem), out, sizeof out), 0);
    assert_int_not_equal(run_openssl(VERIFY "sslserver -verify_hostname other in",
                                     porch_buf_bytes(&leaf.pem), out, sizeof out),
                         0);
    assert_int_not_equal(run_openssl(VERIFY "sslclient in", porch_buf_bytes(&leaf.pem), out, sizeof out),
                         0);
}

static void our_own_check_tells_late_from_wrong(void **state) {
    (void)state;
    assert_int_equal(issue(&issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "a"}, NULL),
                     PORCH_OK);
    porch_bytes chain = chain_of_leaf(), anchors = porch_buf_bytes(&root.pem);
    porch_why why = {""};
    assert_int_equal(porch_x509_verify(chain, anchors, false, NOW_MS + DAY_MS, &why), PORCH_OK);
    assert_int_equal(porch_x509_verify(chain, anchors, false, NOW_MS + 91 * DAY_MS, &why),
                     PORCH_ERR_EXPIRED);
    assert_int_equal(porch_x509_verify(chain, anchors, false, NOW_MS - DAY_MS / 2, &why),
                     PORCH_ERR_EXPIRED);
    assert_int_equal(porch_x509_verify(chain, anchors, true, NOW_MS + DAY_MS, &why), PORCH_ERR_AUTH);
    assert_int_equal(porch_x509_verify(chain, porch_buf_bytes(&web.pem), false, NOW_MS + DAY_MS, &why),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_x509_verify(porch_buf_bytes(&leaf.pem), anchors, false, NOW_MS + DAY_MS, &why),
                     PORCH_ERR_AUTH);
    assert_true(strlen(why.text) > 20);
}

static void the_web_ca_can_speak_for_its_names_only(void **state) {
    (void)state;
    porch_ca_request request = {.profile = PORCH_PROFILE_WEB_SERVER, .names = web_names};
    assert_int_equal(issue(&web, request, NULL), PORCH_OK);
    assert_int_equal(porch_x509_covers(porch_buf_bytes(&leaf.pem), "hub.example", NULL), PORCH_OK);
    assert_int_equal(porch_x509_covers(porch_buf_bytes(&leaf.pem), "2001:db8:0::7", NULL), PORCH_OK);
    assert_int_equal(porch_x509_covers(porch_buf_bytes(&leaf.pem), "192.0.2.8", NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_x509_covers(porch_buf_bytes(&leaf.pem), "www.hub.example", NULL),
                     PORCH_ERR_NOT_FOUND);
    static const char *const foreign[] = {"other.example", "example", "192.0.2.8", "2001:db8::8"};
    for (size_t i = 0; i < 4; i++) {
        porch_why why = {""};
        request.names = (porch_ca_names){{foreign[i]}, 1};
        assert_int_equal(issue(&web, request, &why), PORCH_ERR_STATE);
        assert_non_null(strstr(why.text, "permitted subtree"));
    }
    char out[8192];
    assert_int_equal(run_openssl("x509 -in in -noout -text", porch_buf_bytes(&web.pem), out, sizeof out),
                     0);
    assert_non_null(strstr(out, "Name Constraints: critical"));
    assert_non_null(strstr(out, "IP:192.0.2.7/255.255.255.255"));
    assert_non_null(strstr(out, "TLS Web Server Authentication"));
}

/* A CA that may name only a host must not be able to name an address, and the other way round: judged by
 * the openssl command, with leaves that it makes itself with our CA's key. */
static void a_kind_of_name_that_is_not_permitted_is_excluded(void **state) {
    (void)state;
    static const struct {
        const char *permitted, *asked;
        bool good;
    } rows[] = {
        {"hub.example", "DNS:hub.example", true},  {"hub.example", "DNS:evil.example", false},
        {"hub.example", "IP:192.0.2.1", false},    {"hub.example", "IP:2001:db8::1", false},
        {"192.0.2.1", "IP:192.0.2.1", true},       {"192.0.2.1", "IP:192.0.2.2", false},
        {"192.0.2.1", "IP:2001:db8::1", false},    {"192.0.2.1", "DNS:hub.example", false},
        {"2001:db8::1", "IP:2001:db8::1", true},   {"2001:db8::1", "IP:192.0.2.1", false},
        {"2001:db8::1", "DNS:hub.example", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        made ca = {.key = NULL};
        new_key(&ca);
        const porch_ca_names names = {{rows[i].permitted}, 1};
        assert_int_equal(porch_ca_make_web("W", ca.key, &names, NOW_MS, 5, &ca.pem, NULL), PORCH_OK);
        uint8_t block[PORCH_X509_PEM_BYTES + PORCH_KEY_PEM_BYTES];
        porch_buf both = PORCH_BUF_OF(block);
        memcpy(block, ca.block, ca.pem.len);
        both.len = ca.pem.len;
        assert_int_equal(porch_key_pem(ca.key, &both, NULL), PORCH_OK);
        char args[512], out[4096];
        (void)snprintf(
            args, sizeof args,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -CA in -CAkey in "
            "-subj / -addext subjectAltName=critical,%s -days 365 -out leaf "
            "&& openssl verify -no_check_time -CAfile in leaf; rc=$?; rm -f key leaf; exit $rc",
            rows[i].asked);
        int rc = run_openssl(args, porch_buf_bytes(&both), out, sizeof out);
        assert_int_equal(strstr(out, "leaf: OK") != NULL, rows[i].good);
        assert_int_equal(rc == 0, rows[i].good);
        if (!rows[i].good) assert_non_null(strstr(out, "subtree violation"));
        porch_key_free(ca.key);
    }
}

static void a_certificate_that_should_not_be_is_not_issued(void **state) {
    (void)state;
    static const char *const bad_ids[] = {"", "Cam", "-a", "a/b", "a+", "a b"};
    for (size_t i = 0; i < sizeof bad_ids / sizeof bad_ids[0]; i++)
        assert_int_equal(
            issue(&issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = bad_ids[i]}, NULL),
            PORCH_ERR_MALFORMED);
    static const char *const bad_names[] = {"",    "a..b",  ".a",        "a.",  "-a",  "a-", "*.a",
                                            "a b", "1.2.3", "1.2.3.4.5", "a_b", "::g", "a/b"};
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        porch_ca_request request = {.profile = PORCH_PROFILE_HUB_SERVER, .names = {{bad_names[i]}, 1}};
        assert_int_equal(issue(&issuing, request, NULL), PORCH_ERR_MALFORMED);
    }
    porch_ca_request none = {.profile = PORCH_PROFILE_WEB_SERVER};
    assert_int_equal(issue(&issuing, none, NULL), PORCH_ERR_LIMIT);
    porch_ca_request late = {.profile = PORCH_PROFILE_DEVICE,
                             .id = "a",
                             .not_before_ms = NOW_MS,
                             .not_after_ms = NOW_MS + 3660 * DAY_MS};
    assert_int_equal(issue(&issuing, late, NULL), PORCH_ERR_LIMIT);
    late.not_after_ms = late.not_before_ms;
    assert_int_equal(issue(&issuing, late, NULL), PORCH_ERR_USAGE);
    /* A leaf is no issuer, another's key does not fit, and an issuing CA has none below it. */
    assert_int_equal(issue(&issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "a"}, NULL),
                     PORCH_OK);
    made below, deep;
    take_leaf(&below);
    assert_int_equal(issue(&below, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "b"}, NULL),
                     PORCH_ERR_STATE);
    porch_ca mixed = {porch_buf_bytes(&issuing.pem), root.key};
    porch_ca_request fine = {
        .profile = PORCH_PROFILE_DEVICE, .id = "a", .not_before_ms = NOW_MS, .not_after_ms = NOW_MS + 1000};
    assert_int_equal(porch_ca_issue(&mixed, &leaf.public_key, &fine, &leaf.pem, NULL), PORCH_ERR_STATE);
    porch_ca issuer = ca_of(&issuing);
    new_key(&leaf);
    assert_int_equal(porch_ca_make_issuing(&issuer, "Deep", &leaf.public_key, NOW_MS, 1, &leaf.pem, NULL),
                     PORCH_OK);
    take_leaf(&deep);
    assert_int_equal(issue(&deep, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "c"}, NULL),
                     PORCH_OK);
    uint8_t block[3 * PORCH_X509_PEM_BYTES];
    porch_buf chain = PORCH_BUF_OF(block);
    const made *const parts[] = {&leaf, &deep, &issuing};
    for (size_t i = 0; i < 3; i++) {
        memcpy(block + chain.len, parts[i]->block, parts[i]->pem.len);
        chain.len += parts[i]->pem.len;
    }
    porch_why why = {""};
    assert_int_equal(
        porch_x509_verify(porch_buf_bytes(&chain), porch_buf_bytes(&root.pem), false, NOW_MS + 500, &why),
        PORCH_ERR_AUTH);
    assert_non_null(strstr(why.text, "path length"));
    porch_key_free(below.key);
    porch_key_free(deep.key);
}

static void only_an_authority_that_the_root_signed_and_with_none_below_it_may_issue(void **state) {
    (void)state;
    const porch_bytes top = porch_buf_bytes(&root.pem), own = porch_buf_bytes(&issuing.pem);
    assert_int_equal(porch_x509_check_issuing(own, top, NOW_MS, NULL), PORCH_OK);
    assert_int_equal(porch_x509_check_issuing(own, porch_buf_bytes(&web.pem), NOW_MS, NULL),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_x509_check_issuing(top, top, NOW_MS, NULL), PORCH_ERR_AUTH); /* one below it */
    assert_int_equal(porch_x509_check_issuing(own, top, NOW_MS + 4000 * DAY_MS, NULL), PORCH_ERR_EXPIRED);
    assert_int_equal(porch_x509_check_issuing(own, top, PORCH_X509_ANY_TIME, NULL), PORCH_OK);
    assert_int_equal(porch_x509_check_issuing(own, porch_buf_bytes(&web.pem), PORCH_X509_ANY_TIME, NULL),
                     PORCH_ERR_AUTH);
    assert_int_equal(
        issue(&issuing, (porch_ca_request){.profile = PORCH_PROFILE_DEVICE, .id = "cam"}, NULL), PORCH_OK);
    assert_int_equal(porch_x509_check_issuing(porch_buf_bytes(&leaf.pem), own, NOW_MS, NULL),
                     PORCH_ERR_AUTH);
    assert_int_equal(porch_x509_check_issuing(PORCH_LIT("x"), top, NOW_MS, NULL), PORCH_ERR_MALFORMED);
}

static void an_expired_certificate_can_be_issued_for_tests_of_refusal(void **state) {
    (void)state;
    porch_ca_request past = {.profile = PORCH_PROFILE_DEVICE,
                             .id = "a",
                             .not_before_ms = NOW_MS - 30 * DAY_MS,
                             .not_after_ms = NOW_MS - 20 * DAY_MS};
    assert_int_equal(issue(&issuing, past, NULL), PORCH_OK);
    assert_int_equal(porch_x509_verify(chain_of_leaf(), porch_buf_bytes(&root.pem), false, NOW_MS, NULL),
                     PORCH_ERR_EXPIRED);
}

static void an_authority_tells_which_names_it_may_vouch_for(void **state) {
    (void)state;
    static const porch_ca_names names = {{"porch.local", "192.0.2.7"}, 2};
    static const struct {
        const char *name;
        bool permitted;
    } rows[] = {{"porch.local", true},   {"PORCH.local", true}, {"a.porch.local", true},
                {"xporch.local", false}, {"local", false},      {"192.0.2.7", true},
                {"192.0.2.8", false},    {"::1", false},        {"example.org", false}};
    porch_key *key = NULL;
    uint8_t block[PORCH_X509_PEM_BYTES], der_block[PORCH_X509_PEM_BYTES];
    porch_buf pem = PORCH_BUF_OF(block), der = PORCH_BUF_OF(der_block), small = {der_block, 0, 16};
    porch_x509_info from_pem, from_der;
    assert_int_equal(porch_key_generate_p256(&key, NULL), PORCH_OK);
    assert_int_equal(porch_ca_make_web("W", key, &names, NOW_MS, 5, &pem, NULL), PORCH_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        porch_err e = porch_x509_permits(porch_buf_bytes(&pem), rows[i].name, NULL);
        if ((e == PORCH_OK) != rows[i].permitted) fail_msg("%s: %s", rows[i].name, porch_err_name(e));
    }
    assert_int_equal(porch_x509_permits(PORCH_LIT("no certificate"), "porch.local", NULL),
                     PORCH_ERR_MALFORMED);
    assert_int_equal(porch_x509_der(porch_buf_bytes(&pem), &small, NULL), PORCH_ERR_NO_SPACE);
    assert_int_equal(porch_x509_der(porch_buf_bytes(&pem), &der, NULL), PORCH_OK);
    assert_int_equal(porch_x509_read(porch_buf_bytes(&pem), &from_pem, NULL), PORCH_OK);
    assert_int_equal(porch_x509_read(porch_buf_bytes(&der), &from_der, NULL), PORCH_OK);
    assert_memory_equal(from_pem.fingerprint, from_der.fingerprint, 32);
    char text[PORCH_X509_FINGERPRINT_TEXT_BYTES];
    porch_x509_fingerprint_text((const uint8_t[32]){0x0a, 0xbc}, text);
    assert_int_equal(strlen(text), 95);
    assert_int_equal(strncmp(text, "0A:BC:00:", 9), 0);
    porch_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_certificate_says_who_and_nothing_else),
        cmocka_unit_test(the_openssl_command_accepts_what_we_issue_and_only_for_its_purpose),
        cmocka_unit_test(our_own_check_tells_late_from_wrong),
        cmocka_unit_test(the_web_ca_can_speak_for_its_names_only),
        cmocka_unit_test(a_kind_of_name_that_is_not_permitted_is_excluded),
        cmocka_unit_test(a_certificate_that_should_not_be_is_not_issued),
        cmocka_unit_test(only_an_authority_that_the_root_signed_and_with_none_below_it_may_issue),
        cmocka_unit_test(an_expired_certificate_can_be_issued_for_tests_of_refusal),
        cmocka_unit_test(an_authority_tells_which_names_it_may_vouch_for),
    };
    return cmocka_run_group_tests(tests, make_cas, free_all);
}
