/* Reading certificates that the openssl command made, so that reader and writer are not of one hand. */
#include "crypto/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "base/text.h"

/* A self-signed certificate with these further arguments, as text or DER. */
static porch_bytes from_openssl(const char *args, uint8_t *out, size_t cap) {
    char command[1024];
    (void)snprintf(
        command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null %s "
        "2>/dev/null",
        args);
    FILE *p = popen(command, "r"); /* NOLINT(cert-env33-c): the command is this test's own */
    assert_non_null(p);
    size_t got = fread(out, 1, cap, p);
    assert_int_equal(pclose(p), 0);
    return (porch_bytes){out, got};
}

static void the_facts_are_those_that_the_maker_put_in(void **state) {
    (void)state;
    uint8_t block[8192];
    porch_bytes pem =
        from_openssl("-subj '/CN=x y/O=\"q\"' -days 10 -set_serial 0x0a0b0c "
                     "-addext subjectAltName=URI:urn:porchlight:service:home,DNS:h.example,IP:192.0.2.1 "
                     "-addext extendedKeyUsage=clientAuth,serverAuth",
                     block, sizeof block);
    porch_x509_info info;
    assert_int_equal(porch_x509_read(pem, &info, NULL), PORCH_OK);
    assert_int_equal(info.identity.kind, PORCH_IDENTITY_SERVICE);
    assert_string_equal(info.identity.name, "home");
    assert_string_equal(info.serial, "0a0b0c");
    assert_true(info.has_common_name && info.client_auth && info.server_auth && info.is_ca);
    assert_string_equal(info.subject, "O=\\\"q\\\",CN=x y");
    assert_string_equal(info.subject, info.issuer);
    assert_int_equal(info.not_after_ms - info.not_before_ms, UINT64_C(10) * 86400000);
    assert_int_equal(porch_x509_covers(pem, "h.example", NULL), PORCH_OK);
    assert_int_equal(porch_x509_covers(pem, "H.EXAMPLE", NULL), PORCH_OK);
    assert_int_equal(porch_x509_covers(pem, "192.0.2.1", NULL), PORCH_OK);
    assert_int_equal(porch_x509_covers(pem, "x y", NULL),
                     PORCH_ERR_NOT_FOUND); /* a common name covers nothing */
    assert_int_equal(porch_x509_covers(pem, "192.0.2.10", NULL), PORCH_ERR_NOT_FOUND);
}

static void one_weak_key_in_a_text_of_certificates_spoils_it(void **state) {
    (void)state;
    uint8_t block[16384], good_block[4096];
    porch_buf both = PORCH_BUF_OF(block), one = PORCH_BUF_OF(good_block);
    uint8_t weak_block[8192], der_block[4096];
    FILE *maker = popen("openssl req -x509 -newkey rsa:1024 -nodes -keyout /dev/null -subj / 2>/dev/null",
                        "r"); /* NOLINT(cert-env33-c): the command is this test's own */
    assert_non_null(maker);
    porch_bytes weak = {weak_block, fread(weak_block, 1, sizeof weak_block, maker)};
    assert_int_equal(pclose(maker), 0);
    assert_int_equal(porch_write_bytes(&both, from_openssl("-subj /", good_block, sizeof good_block)),
                     PORCH_OK);
    assert_int_equal(porch_x509_check_keys(porch_buf_bytes(&both), NULL), PORCH_OK);
    assert_int_equal(porch_x509_check_keys(weak, NULL), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_write_bytes(&both, weak), PORCH_OK);
    assert_int_equal(porch_x509_check_keys(porch_buf_bytes(&both), NULL), PORCH_ERR_UNSUPPORTED);
    assert_int_equal(porch_x509_pick(porch_buf_bytes(&both), 0, &one, NULL), PORCH_OK);
    assert_int_equal(porch_x509_check_keys(porch_buf_bytes(&one), NULL), PORCH_OK);
    assert_int_equal(porch_x509_pick(porch_buf_bytes(&both), 2, &one, NULL), PORCH_ERR_NOT_FOUND);
    porch_buf der = PORCH_BUF_OF(der_block);
    assert_int_equal(porch_x509_der(weak, &der, NULL), PORCH_OK);
    assert_int_equal(porch_x509_check_keys(porch_buf_bytes(&der), NULL), PORCH_ERR_UNSUPPORTED);
}

static void a_usage_that_is_not_named_is_not_held(void **state) {
    (void)state;
    uint8_t block[8192];
    porch_x509_info info;
    assert_int_equal(porch_x509_read(from_openssl("-subj /", block, sizeof block), &info, NULL), PORCH_OK);
    assert_false(info.client_auth || info.server_auth || info.has_common_name);
    porch_bytes any = from_openssl("-subj / -addext extendedKeyUsage=anyExtendedKeyUsage,clientAuth", block,
                                   sizeof block);
    assert_int_equal(porch_x509_read(any, &info, NULL), PORCH_OK);
    assert_false(info.client_auth || info.server_auth);
}

static void pem_and_der_are_one_and_nothing_cut_short_is_read(void **state) {
    (void)state;
    uint8_t pem_block[8192], der_block[4096], text_block[8192];
    porch_bytes pem = from_openssl("-subj /", pem_block, sizeof pem_block);
    porch_buf der = PORCH_BUF_OF(der_block), text = PORCH_BUF_OF(text_block);
    const uint8_t *at = memchr(pem.at, '\n', pem.len);
    assert_non_null(at);
    for (at++; *at != '-'; at++)
        if (*at != '\n') text_block[text.len++] = *at;
    assert_int_equal(porch_base64_read(&der, porch_buf_bytes(&text), false), PORCH_OK);
    porch_x509_info from_pem, from_der;
    assert_int_equal(porch_x509_read(pem, &from_pem, NULL), PORCH_OK);
    assert_int_equal(porch_x509_read(porch_buf_bytes(&der), &from_der, NULL), PORCH_OK);
    assert_memory_equal(from_pem.fingerprint, from_der.fingerprint, 32);
    for (size_t cut = 0; cut < der.len; cut++)
        assert_int_equal(porch_x509_read((porch_bytes){der_block, cut}, &from_der, NULL),
                         PORCH_ERR_MALFORMED);
    der_block[der.len++] = 0;
    assert_int_equal(porch_x509_read(porch_buf_bytes(&der), &from_der, NULL), PORCH_ERR_MALFORMED);
    assert_int_equal(
        porch_x509_read(PORCH_LIT("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                        &from_der, NULL),
        PORCH_ERR_MALFORMED);
    static const uint8_t huge[PORCH_X509_INPUT_BYTES + 1];
    assert_int_equal(porch_x509_read((porch_bytes){huge, sizeof huge}, &from_der, NULL), PORCH_ERR_LIMIT);
}

static void a_name_in_another_place_gives_no_identity(void **state) {
    (void)state;
    static const char *const names[] = {
        "URI:urn:porchlight:device:a,URI:urn:porchlight:device:b",
        "URI:urn:porchlight:device:A",
        "DNS:urn:porchlight:device:a",
        "URI:urn:porchlight:device:a,URI:http://x",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char args[256];
        uint8_t block[8192];
        (void)snprintf(args, sizeof args, "-subj /CN=urn:porchlight:device:a -addext subjectAltName=%s",
                       names[i]);
        porch_x509_info info;
        assert_int_equal(porch_x509_read(from_openssl(args, block, sizeof block), &info, NULL), PORCH_OK);
        assert_int_equal(info.identity.kind, PORCH_IDENTITY_NONE);
        assert_string_equal(info.identity.name, "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_facts_are_those_that_the_maker_put_in),
        cmocka_unit_test(one_weak_key_in_a_text_of_certificates_spoils_it),
        cmocka_unit_test(a_usage_that_is_not_named_is_not_held),
        cmocka_unit_test(pem_and_der_are_one_and_nothing_cut_short_is_read),
        cmocka_unit_test(a_name_in_another_place_gives_no_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
