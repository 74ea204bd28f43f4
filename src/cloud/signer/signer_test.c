#include "cloud/signer/signer_testing.h"

#include "base/text.h"
#include "crypto/webpush.h"

static void a_device_gets_a_chain_to_the_root_that_says_who_it_is_and_is_journalled(void **state) {
    place *p = *state;
    porch_x509_info info;
    porch_signer_answer a = issue(p, PORCH_SIGNER_DEVICE, "porch-cam", 0);
    assert_int_equal(a.error, PORCH_OK);
    assert_int_equal(porch_x509_verify(a.data, porch_buf_bytes(&p->root), false, now_ms, NULL), PORCH_OK);
    assert_int_equal(porch_x509_read(a.data, &info, NULL), PORCH_OK);
    assert_int_equal(info.identity.kind, PORCH_IDENTITY_DEVICE);
    assert_string_equal(info.identity.name, "porch-cam");
    assert_true(info.client_auth);
    assert_false(info.server_auth);
    assert_int_equal(info.not_after_ms, now_ms + 90ull * 86400000);
    assert_int_equal(journal_lines(p, info.serial), 1);
}

static void names_lives_and_requests_that_do_not_fit_are_refused_and_not_journalled(void **state) {
    place *p = *state;
    assert_int_equal(issue(p, PORCH_SIGNER_DEVICE, "Porch-Cam", 0).error, PORCH_ERR_MALFORMED);
    assert_int_equal(issue(p, PORCH_SIGNER_SERVICE, "a/b", 0).error, PORCH_ERR_MALFORMED);
    assert_int_equal(issue(p, PORCH_SIGNER_DEVICE, "cam", 91).error, PORCH_ERR_LIMIT);
    assert_int_equal(issue(p, PORCH_SIGNER_HUB_SERVER, "bank.example", 0).error, PORCH_ERR_DENIED);
    assert_int_equal(issue(p, PORCH_SIGNER_WEB_SERVER, "local", 0).error, PORCH_ERR_DENIED);
    p->csr.at[p->csr.len / 2] = '!'; /* wherever that is: no base64 has one */
    assert_int_not_equal(issue(p, PORCH_SIGNER_DEVICE, "cam", 0).error, PORCH_OK);
    assert_int_equal(journal_lines(p, "issue"), 0);
}

static void the_hubs_own_names_get_server_certificates_of_the_right_authority(void **state) {
    place *p = *state;
    porch_signer_answer a = issue(p, PORCH_SIGNER_HUB_SERVER, "127.0.0.1", 0);
    assert_int_equal(a.error, PORCH_OK);
    assert_int_equal(porch_x509_verify(a.data, porch_buf_bytes(&p->root), true, now_ms, NULL), PORCH_OK);
    assert_int_equal(porch_x509_covers(a.data, "127.0.0.1", NULL), PORCH_OK);
    a = issue(p, PORCH_SIGNER_WEB_SERVER, "localhost", 0);
    assert_int_equal(a.error, PORCH_OK);
    porch_bytes web = {p->signer.web.cert_pem, p->signer.web.cert_len};
    assert_int_equal(porch_x509_verify(a.data, web, true, now_ms, NULL), PORCH_OK);
    assert_int_not_equal(porch_x509_verify(a.data, porch_buf_bytes(&p->root), true, now_ms, NULL),
                         PORCH_OK);
}

static void more_certificates_a_minute_than_the_limit_have_to_wait(void **state) {
    place *p = *state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(issue(p, PORCH_SIGNER_DEVICE, "cam", 0).error, PORCH_OK);
    assert_int_equal(issue(p, PORCH_SIGNER_DEVICE, "cam", 0).error, PORCH_ERR_BUSY);
    assert_int_equal(issue(p, PORCH_SIGNER_SERVICE, "history", 0).error, PORCH_OK);
    p->mono_ms += 20000;
    assert_int_equal(issue(p, PORCH_SIGNER_DEVICE, "cam", 0).error, PORCH_OK);
}

/* ---- second factor ---- */

typedef struct {
    uint8_t sealed_block[256];
    porch_buf sealed;
    char secret[PORCH_SIGNER_SECRET_TEXT];
} factor;

static void make_factor(place *p, const char *account, factor *f) {
    porch_signer_request r = {
        .number = 1, .op = PORCH_SIGNER_OP_TOTP_MAKE, .name = porch_bytes_of(account)};
    porch_signer_answer a = ask(p, &r);
    assert_int_equal(a.error, PORCH_OK);
    f->sealed = (porch_buf){f->sealed_block, a.data.len, sizeof f->sealed_block};
    memcpy(f->sealed_block, a.data.at, a.data.len);
    assert_true(porch_bytes_to_text(a.secret, f->secret, sizeof f->secret));
    assert_int_equal(a.secret.len, 32);
}

/* As an authenticator computes it, from the base32 text. */
static void code_at(const factor *f, uint64_t at_ms, char code[8]) {
    char *raw = NULL;
    size_t len = 0;
    assert_int_equal(oath_base32_decode(f->secret, strlen(f->secret), &raw, &len), OATH_OK);
    assert_int_equal(oath_totp_generate(raw, len, (time_t)(at_ms / 1000), 30, 0, 6, code), OATH_OK);
    free(raw);
}

static porch_err check(place *p, const char *account, const factor *f, const char *code) {
    porch_signer_request r = {.number = 2,
                              .op = PORCH_SIGNER_OP_TOTP_CHECK,
                              .name = porch_bytes_of(account),
                              .now_ms = p->wall_ms,
                              .code = porch_bytes_of(code),
                              .data = porch_buf_bytes(&f->sealed)};
    return ask(p, &r).error;
}

static void a_code_works_once_also_after_the_signer_was_killed(void **state) {
    place *p = *state;
    factor f;
    char code[8];
    make_factor(p, "robin", &f);
    code_at(&f, p->wall_ms, code);
    assert_int_equal(check(p, "robin", &f, code), PORCH_OK);
    assert_int_equal(check(p, "robin", &f, code), PORCH_ERR_EXPIRED);
    porch_signer_unload(&p->signer);
    load(p);
    assert_int_equal(check(p, "robin", &f, code), PORCH_ERR_EXPIRED);
    assert_int_equal(journal_lines(p, "totp"), 1);
    p->wall_ms += 30000;
    code_at(&f, p->wall_ms, code);
    assert_int_equal(check(p, "robin", &f, code), PORCH_OK);
}

static void codes_hold_one_step_either_way_and_never_go_back(void **state) {
    place *p = *state;
    factor f;
    char before[8], after[8], far_back[8], far_ahead[8];
    make_factor(p, "robin", &f);
    code_at(&f, p->wall_ms - 30000, before);
    code_at(&f, p->wall_ms + 30000, after);
    code_at(&f, p->wall_ms - 60000, far_back);
    code_at(&f, p->wall_ms + 60000, far_ahead);
    assert_int_equal(check(p, "robin", &f, far_back), PORCH_ERR_AUTH);
    assert_int_equal(check(p, "robin", &f, before), PORCH_OK);
    assert_int_equal(check(p, "robin", &f, far_ahead), PORCH_ERR_AUTH);
    assert_int_equal(check(p, "robin", &f, after), PORCH_OK);
    assert_int_equal(check(p, "robin", &f, before), PORCH_ERR_EXPIRED);
}

static void wrong_codes_make_the_account_wait_and_a_right_one_ends_it(void **state) {
    place *p = *state;
    factor f, g;
    char code[8];
    make_factor(p, "robin", &f);
    make_factor(p, "kim", &g);
    code_at(&f, p->wall_ms, code);
    assert_int_equal(check(p, "robin", &f, "000000"), PORCH_ERR_AUTH);
    assert_int_equal(check(p, "robin", &f, "12345"), PORCH_ERR_AUTH);
    assert_int_equal(check(p, "robin", &f, code), PORCH_ERR_LIMIT);
    code_at(&g, p->wall_ms, code);
    assert_int_equal(check(p, "kim", &g, code), PORCH_OK);
    p->mono_ms += 1000;
    code_at(&f, p->wall_ms, code);
    assert_int_equal(check(p, "robin", &f, code), PORCH_OK);
}

static void a_factor_of_another_account_or_a_sealed_secret_is_no_factor(void **state) {
    place *p = *state;
    factor f;
    char code[8];
    make_factor(p, "robin", &f);
    code_at(&f, p->wall_ms, code);
    assert_int_equal(check(p, "kim", &f, code), PORCH_ERR_AUTH);
    porch_signer_request seal = {
        .op = PORCH_SIGNER_OP_SEAL, .name = PORCH_LIT("robin"), .data = PORCH_LIT("12345678901234567890")};
    porch_signer_answer a = ask(p, &seal);
    assert_int_equal(a.error, PORCH_OK);
    memcpy(f.sealed_block, a.data.at, a.data.len);
    f.sealed.len = a.data.len;
    assert_int_equal(check(p, "robin", &f, code), PORCH_ERR_AUTH);
}

static void a_question_far_from_the_signers_clock_is_refused(void **state) {
    place *p = *state;
    factor f;
    char code[8];
    make_factor(p, "robin", &f);
    code_at(&f, p->wall_ms + 3600000, code);
    porch_signer_request r = {.op = PORCH_SIGNER_OP_TOTP_CHECK,
                              .name = PORCH_LIT("robin"),
                              .now_ms = p->wall_ms + 3600000,
                              .code = porch_bytes_of(code),
                              .data = porch_buf_bytes(&f.sealed)};
    assert_int_equal(ask(p, &r).error, PORCH_ERR_STATE);
}

/* ---- sealing ---- */

static void what_one_label_sealed_only_that_label_opens_and_only_whole(void **state) {
    place *p = *state;
    uint8_t sealed[128];
    porch_signer_request r = {
        .op = PORCH_SIGNER_OP_SEAL, .name = PORCH_LIT("webhook"), .data = PORCH_LIT("a secret")};
    porch_signer_answer a = ask(p, &r);
    assert_int_equal(a.error, PORCH_OK);
    assert_true(a.data.len <= 8 + PORCH_SIGNER_SEALED_EXTRA);
    size_t len = a.data.len;
    memcpy(sealed, a.data.at, len);
    r = (porch_signer_request){
        .op = PORCH_SIGNER_OP_UNSEAL, .name = PORCH_LIT("webhook"), .data = {sealed, len}};
    a = ask(p, &r);
    assert_int_equal(a.error, PORCH_OK);
    assert_true(porch_bytes_eq_text(a.data, "a secret"));
    r.name = PORCH_LIT("other");
    assert_int_equal(ask(p, &r).error, PORCH_ERR_SIGNATURE);
    r.name = PORCH_LIT("webhook");
    for (size_t n = 0; n < len; n++) {
        r.data.len = n;
        assert_int_equal(ask(p, &r).error, PORCH_ERR_SIGNATURE);
    }
    r.data.len = len;
    for (size_t i = 0; i < len; i++) {
        sealed[i] ^= 1;
        assert_int_equal(ask(p, &r).error, PORCH_ERR_SIGNATURE);
        sealed[i] ^= 1;
    }
}

static void a_clip_has_one_key_for_ever_and_no_other_clip_has_it(void **state) {
    place *p = *state;
    uint8_t first[32];
    porch_signer_request r = {.op = PORCH_SIGNER_OP_CLIP_KEY, .name = PORCH_LIT("clip-1")};
    porch_signer_answer a = ask(p, &r);
    assert_int_equal(a.data.len, 32);
    memcpy(first, a.data.at, 32);
    porch_signer_unload(&p->signer);
    load(p);
    assert_memory_equal(ask(p, &r).data.at, first, 32);
    r.name = PORCH_LIT("clip-2");
    assert_memory_not_equal(ask(p, &r).data.at, first, 32);
    r.name = PORCH_LIT("Clip/../2");
    assert_int_equal(ask(p, &r).error, PORCH_ERR_MALFORMED);
}

/* ---- tokens for push services ---- */

static porch_signer_answer vapid(place *p, const char *audience, uint64_t ends_ms) {
    const porch_signer_request r = {.number = 8,
                                    .op = PORCH_SIGNER_OP_VAPID_TOKEN,
                                    .name = porch_bytes_of(audience),
                                    .now_ms = ends_ms};
    return ask(p, &r);
}

static void vapid_point(place *p, uint8_t point[PORCH_WEBPUSH_PUBLIC_BYTES]) {
    const porch_signer_request r = {.number = 9, .op = PORCH_SIGNER_OP_VAPID_KEY};
    porch_signer_answer a = ask(p, &r);
    assert_int_equal(a.error, PORCH_OK);
    assert_int_equal(a.data.len, PORCH_WEBPUSH_PUBLIC_BYTES);
    memcpy(point, a.data.at, a.data.len);
}

static void a_push_token_says_for_whom_until_when_and_whose_and_verifies(void **state) {
    place *p = *state;
    uint8_t point[PORCH_WEBPUSH_PUBLIC_BYTES], claims[256] = {0}, raw[64], text[640];
    porch_buf claims_buf = {claims, 0, sizeof claims - 1}, signature = PORCH_BUF_OF(raw);
    vapid_point(p, point);
    porch_signer_answer a = vapid(p, "https://push.example:444", now_ms + 43200000);
    assert_int_equal(a.error, PORCH_OK);
    assert_true(porch_bytes_to_text(a.data, (char *)text, sizeof text));
    char *first = strchr((char *)text, '.'), *last = strrchr((char *)text, '.');
    assert_true(first != NULL && last > first);
    assert_int_equal(porch_base64_read(&signature, porch_bytes_of(last + 1), true), PORCH_OK);
    assert_int_equal(porch_es256_verify(point, (porch_bytes){text, (size_t)(last - (char *)text)},
                                        porch_buf_bytes(&signature)),
                     PORCH_OK);
    assert_int_equal(
        porch_base64_read(&claims_buf,
                          (porch_bytes){(const uint8_t *)first + 1, (size_t)(last - first) - 1}, true),
        PORCH_OK);
    assert_string_equal(
        (char *)claims,
        "{\"aud\":\"https://push.example:444\",\"exp\":1767268800,\"sub\":\"https://localhost\"}");
    assert_int_equal(journal_lines(p, "vapid 1767225600000 https://push.example:444 1767268800000\n"), 1);
}

static void nothing_but_an_origin_and_a_day_becomes_a_push_token(void **state) {
    place *p = *state;
    static const char *const bad[] = {"http://push.example",
                                      "https://",
                                      "https://push.example/",
                                      "https://push.example:",
                                      "https://push.example:123456",
                                      "https://push.example:44x",
                                      "https://Push.example",
                                      "https://push.example\",\"x\":\"",
                                      "https://user@push.example",
                                      "https://[::1]",
                                      "push.example"};
    char long_name[200] = "https://";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(vapid(p, bad[i], now_ms + 1000).error, PORCH_ERR_MALFORMED);
    memset(long_name + 8, 'a', 121);
    assert_int_equal(vapid(p, long_name, now_ms + 1000).error, PORCH_ERR_MALFORMED);
    assert_int_equal(vapid(p, "https://push.example", now_ms).error, PORCH_ERR_LIMIT);
    assert_int_equal(vapid(p, "https://push.example", now_ms + 86400001).error, PORCH_ERR_LIMIT);
    assert_int_equal(journal_lines(p, "vapid"), 0);
    long_name[128] = '\0';
    assert_int_equal(vapid(p, long_name, now_ms + 86400000).error, PORCH_OK);
}

static void more_push_tokens_a_minute_than_the_limit_have_to_wait(void **state) {
    place *p = *state;
    assert_int_equal(vapid(p, "https://push.example", now_ms + 1000).error, PORCH_OK);
    assert_int_equal(vapid(p, "https://push.example", now_ms + 1000).error, PORCH_OK);
    assert_int_equal(vapid(p, "https://push.example", now_ms + 1000).error, PORCH_ERR_BUSY);
    p->mono_ms += 30000;
    assert_int_equal(vapid(p, "https://push.example", now_ms + 1000).error, PORCH_OK);
}

static void the_push_key_is_made_once_and_kept_across_starts(void **state) {
    place *p = *state;
    uint8_t before[PORCH_WEBPUSH_PUBLIC_BYTES], after[PORCH_WEBPUSH_PUBLIC_BYTES];
    struct stat st;
    vapid_point(p, before);
    assert_int_equal(vapid(p, "https://push.example", now_ms + 1000).error, PORCH_OK);
    assert_int_equal(fstatat(p->dir_fd, "vapid.key", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    porch_signer_unload(&p->signer);
    load(p);
    vapid_point(p, after);
    assert_memory_equal(before, after, sizeof before);
}

static void nonsense_is_answered_with_its_own_number(void **state) {
    place *p = *state;
    static uint8_t block[PORCH_SIGNER_MESSAGE_MAX];
    static const uint8_t nonsense[] = {0, 0, 1, 2, 9, 9, 9};
    porch_buf answer = PORCH_BUF_OF(block);
    porch_signer_answer got;
    porch_signer_serve(&p->signer, (porch_bytes){nonsense, sizeof nonsense}, now(p), &answer);
    assert_int_equal(porch_signer_answer_read(porch_buf_bytes(&answer), &got), PORCH_OK);
    assert_int_equal(got.number, 0x102);
    assert_int_equal(got.error, PORCH_ERR_UNSUPPORTED);
}

/* How often `word` stands in what is logged while `count` requests are refused. */
static size_t logged_of_refusals(place *p, size_t count, const char *word) {
    static char text[1 << 20];
    const porch_signer_request wrong = {
        .number = 8, .op = PORCH_SIGNER_OP_ISSUER_FORGET, .data = PORCH_LIT("x")};
    size_t found = 0;
    FILE *lines = tmpfile();
    assert_non_null(lines);
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fileno(lines), STDERR_FILENO) >= 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ask(p, &wrong).error, PORCH_ERR_MALFORMED);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    ssize_t n = pread(fileno(lines), text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    fclose(lines);
    for (char *at = strstr(text, word); at; at = strstr(at + 1, word))
        found++;
    return found;
}

static void refusals_fill_no_log_and_what_was_left_out_is_summed_up(void **state) {
    place *p = *state;
    const size_t most = p->signer.settings.signer_log_lines_per_minute;
    assert_int_equal(logged_of_refusals(p, most + 50, " signer.refused "), most);
    p->mono_ms += 60000;
    assert_int_equal(logged_of_refusals(p, 1, " refusals.left_out lines=50 "), 1);
    assert_int_equal(logged_of_refusals(p, 1, " refusals.left_out "), 0);
}

#define WITH_SIGNER(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SIGNER(a_device_gets_a_chain_to_the_root_that_says_who_it_is_and_is_journalled),
        WITH_SIGNER(names_lives_and_requests_that_do_not_fit_are_refused_and_not_journalled),
        WITH_SIGNER(the_hubs_own_names_get_server_certificates_of_the_right_authority),
        WITH_SIGNER(more_certificates_a_minute_than_the_limit_have_to_wait),
        WITH_SIGNER(a_code_works_once_also_after_the_signer_was_killed),
        WITH_SIGNER(codes_hold_one_step_either_way_and_never_go_back),
        WITH_SIGNER(wrong_codes_make_the_account_wait_and_a_right_one_ends_it),
        WITH_SIGNER(a_factor_of_another_account_or_a_sealed_secret_is_no_factor),
        WITH_SIGNER(a_question_far_from_the_signers_clock_is_refused),
        WITH_SIGNER(what_one_label_sealed_only_that_label_opens_and_only_whole),
        WITH_SIGNER(a_clip_has_one_key_for_ever_and_no_other_clip_has_it),
        WITH_SIGNER(a_push_token_says_for_whom_until_when_and_whose_and_verifies),
        WITH_SIGNER(nothing_but_an_origin_and_a_day_becomes_a_push_token),
        WITH_SIGNER(more_push_tokens_a_minute_than_the_limit_have_to_wait),
        WITH_SIGNER(the_push_key_is_made_once_and_kept_across_starts),
        WITH_SIGNER(nonsense_is_answered_with_its_own_number),
        WITH_SIGNER(refusals_fill_no_log_and_what_was_left_out_is_summed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
