#include "cloud/signer/signer_testing.h"

#include "wire/signed_time.h"

static porch_signer_answer ask_time(place *p, size_t bytes) {
    static uint8_t data[65];
    memset(data, 7, sizeof data);
    const porch_signer_request r = {.number = 8, .op = PORCH_SIGNER_OP_TIME, .data = {data, bytes}};
    return ask(p, &r);
}

static void the_time_is_the_signers_own_with_the_askers_nonce_and_verifies(void **state) {
    place *p = *state;
    const porch_signer_request key_request = {.number = 9, .op = PORCH_SIGNER_OP_TIME_KEY};
    porch_public_key key = {
        .kind = PORCH_KEY_ED25519,
        .len = 44,
        .der = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}};
    porch_signer_answer a = ask(p, &key_request);
    assert_int_equal(a.data.len, 32);
    memcpy(key.der + 12, a.data.at, 32);
    for (int round = 0; round < 2; round++) {
        porch_signed_time t;
        porch_bytes statement;
        uint8_t signature[PORCH_SIGNED_TIME_SIGNATURE_BYTES];
        a = ask_time(p, round == 0 ? 32 : 64);
        assert_int_equal(a.error, PORCH_OK);
        assert_int_equal(porch_signed_time_read(a.data, &t, &statement, signature), PORCH_OK);
        assert_int_equal(t.at_ms, now_ms);
        assert_int_equal(t.nonce[31], 7);
        assert_int_equal(t.has_timestamp, round == 1);
        assert_int_equal(porch_key_verify(&key, PORCH_SIGN_ED25519, statement,
                                          (porch_bytes){signature, sizeof signature}),
                         PORCH_OK);
        porch_signer_unload(&p->signer);
        load(p); /* the key is the same after a restart */
    }
    assert_int_equal(ask_time(p, 31).error, PORCH_ERR_MALFORMED);
    assert_int_equal(ask_time(p, 33).error, PORCH_ERR_MALFORMED);
    assert_int_equal(ask_time(p, 65).error, PORCH_ERR_MALFORMED);
}

enum { HOUR_MS = 3600000, DAYS_MS = 86400000 };

/* As the machine's clocks do; `jump_ms` of wall time beside what passed. */
static void pass(place *p, uint64_t ms, int64_t jump_ms) {
    p->mono_ms += ms;
    p->wall_ms = (uint64_t)((int64_t)(p->wall_ms + ms) + jump_ms);
}

static porch_signer_answer clock_op(place *p, const char *what) {
    const porch_signer_request r = {.number = 8, .op = PORCH_SIGNER_OP_CLOCK, .name = porch_bytes_of(what)};
    return ask(p, &r);
}

static void told_is(place *p, porch_err wanted) {
    porch_signer_answer a = ask_time(p, 32);
    if (a.error != wanted)
        fail_msg("%s, not %s: %.*s", porch_err_name(a.error), porch_err_name(wanted), PORCH_FMT(a.why));
    assert_int_equal(clock_op(p, "look").data.len == 0, wanted == PORCH_OK);
}

static void a_clock_that_jumped_years_is_not_told_whether_the_signer_restarts_or_not(void **state) {
    place *p = *state;
    const int64_t years[] = {10 * 365 * (int64_t)DAYS_MS, -10 * 365 * (int64_t)DAYS_MS, -DAYS_MS,
                             61 * (int64_t)DAYS_MS};
    /* Before it has ever been asked, too. */
    for (int asked = 0; asked < 2; asked++) {
        for (size_t i = 0; i < sizeof years / sizeof years[0]; i++) {
            pass(p, HOUR_MS, years[i]);
            told_is(p, PORCH_ERR_BUSY);
            restart(p);
            told_is(p, PORCH_ERR_BUSY);
            pass(p, HOUR_MS, -years[i]);
            if (asked == 1 || i == 3) told_is(p, PORCH_OK);
        }
    }
}

static void time_that_passes_and_small_corrections_are_told_for_years(void **state) {
    place *p = *state;
    for (int month = 0; month < 60; month++) {
        pass(p, 31 * (uint64_t)DAYS_MS, month % 2 == 0 ? 30000 : -60000);
        told_is(p, PORCH_OK);
        if (month % 5 == 0) restart(p);
    }
    pass(p, HOUR_MS, 59 * (int64_t)DAYS_MS); /* it was wrong when the machine was started */
    told_is(p, PORCH_OK);
}

static void jumps_within_the_allowance_do_not_add_up_in_one_start_of_the_machine(void **state) {
    place *p = *state;
    told_is(p, PORCH_OK);
    pass(p, HOUR_MS, 40 * (int64_t)DAYS_MS);
    told_is(p, PORCH_OK);
    restart(p);
    pass(p, HOUR_MS, 40 * (int64_t)DAYS_MS);
    told_is(p, PORCH_ERR_BUSY);
    restart(p);
    told_is(p, PORCH_ERR_BUSY);
}

/* The journal of a hub whose machine was started anew since. */
static void other_start(place *p) {
    char path[128], text[4096];
    snprintf(path, sizeof path, "%.63s/signer/journal", p->dir);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    for (char *at = strstr(text, p->signer.clock.boot); at != NULL; at = strstr(at, p->signer.clock.boot))
        *at++ = 'x';
    rewind(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    p->mono_ms = 5000;
    restart(p);
}

static void
a_machine_that_was_off_for_weeks_tells_the_time_and_one_off_for_years_asks_a_person(void **state) {
    place *p = *state;
    pass(p, 20 * (uint64_t)DAYS_MS, 0);
    told_is(p, PORCH_OK);
    other_start(p);
    p->wall_ms += 50 * (uint64_t)DAYS_MS;
    told_is(p, PORCH_OK);
    other_start(p);
    p->wall_ms += 700 * (uint64_t)DAYS_MS;
    told_is(p, PORCH_ERR_BUSY);
    assert_int_equal(clock_op(p, "confirm").error, PORCH_OK);
    told_is(p, PORCH_OK);
    restart(p);
    told_is(p, PORCH_OK);
}

static void a_person_may_take_a_wrong_time_back(void **state) {
    place *p = *state;
    pass(p, HOUR_MS, 50 * (int64_t)DAYS_MS);
    told_is(p, PORCH_OK);
    pass(p, HOUR_MS, -50 * (int64_t)DAYS_MS);
    told_is(p, PORCH_ERR_BUSY);
    assert_int_equal(clock_op(p, "confirm").error, PORCH_OK);
    for (int i = 0; i < 2; i++) {
        told_is(p, PORCH_OK);
        restart(p);
    }
    pass(p, HOUR_MS, 61 * (int64_t)DAYS_MS);
    told_is(p, PORCH_ERR_BUSY);
    assert_int_equal(clock_op(p, "sing").error, PORCH_ERR_MALFORMED);
}

static porch_err issued(place *p, porch_signer_profile profile, const char *name) {
    porch_signer_request r = {
        .number = 3, .op = PORCH_SIGNER_OP_ISSUE, .profile = profile, .names_count = 1};
    r.names[0] = porch_bytes_of(name);
    r.data = porch_buf_bytes(&p->csr);
    return ask(p, &r).error;
}

static void no_device_gets_a_certificate_that_begins_years_from_now_and_the_hub_gets_its_own(void **state) {
    place *p = *state;
    assert_int_equal(issued(p, PORCH_SIGNER_DEVICE, "cam"), PORCH_OK);
    pass(p, HOUR_MS, 2 * 365 * (int64_t)DAYS_MS);
    assert_int_equal(issued(p, PORCH_SIGNER_DEVICE, "cam"), PORCH_ERR_BUSY);
    assert_int_equal(issued(p, PORCH_SIGNER_SERVICE, "history"), PORCH_ERR_BUSY);
    assert_int_equal(issued(p, PORCH_SIGNER_HUB_SERVER, "localhost"), PORCH_OK);
    assert_int_equal(clock_op(p, "confirm").error, PORCH_OK);
    assert_int_equal(issued(p, PORCH_SIGNER_DEVICE, "cam"), PORCH_OK);
}

static porch_err announced(place *p) {
    uint8_t block[1024];
    porch_buf data = PORCH_BUF_OF(block);
    porch_signer_update in = {.count = 1};
    in.rows[0] = (porch_signer_update_row){PORCH_LIT("targets.json"), 1, 100, {1}};
    assert_int_equal(porch_signer_update_write(&data, &in), PORCH_OK);
    const porch_signer_request r = {
        .number = 9, .op = PORCH_SIGNER_OP_UPDATE_SIGN, .data = porch_buf_bytes(&data)};
    return ask(p, &r).error;
}

static void no_timestamp_of_updates_is_good_until_years_from_now(void **state) {
    place *p = *state;
    assert_int_equal(announced(p), PORCH_OK);
    pass(p, HOUR_MS, 10 * 365 * (int64_t)DAYS_MS);
    assert_int_equal(announced(p), PORCH_ERR_BUSY);
    pass(p, HOUR_MS, -10 * 365 * (int64_t)DAYS_MS);
    assert_int_equal(announced(p), PORCH_OK);
}

static void who_asks_for_the_time_too_often_waits(void **state) {
    place *p = *state;
    unsigned answered = 0;
    while (ask_time(p, 32).error == PORCH_OK)
        answered++;
    assert_int_equal(answered, p->signer.settings.signer_times_per_minute);
    assert_int_equal(ask_time(p, 32).error, PORCH_ERR_BUSY);
}

#define WITH_SIGNER(test) cmocka_unit_test_setup_teardown(test, arrive, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SIGNER(the_time_is_the_signers_own_with_the_askers_nonce_and_verifies),
        WITH_SIGNER(a_clock_that_jumped_years_is_not_told_whether_the_signer_restarts_or_not),
        WITH_SIGNER(time_that_passes_and_small_corrections_are_told_for_years),
        WITH_SIGNER(jumps_within_the_allowance_do_not_add_up_in_one_start_of_the_machine),
        WITH_SIGNER(a_machine_that_was_off_for_weeks_tells_the_time_and_one_off_for_years_asks_a_person),
        WITH_SIGNER(a_person_may_take_a_wrong_time_back),
        WITH_SIGNER(no_device_gets_a_certificate_that_begins_years_from_now_and_the_hub_gets_its_own),
        WITH_SIGNER(no_timestamp_of_updates_is_good_until_years_from_now),
        WITH_SIGNER(who_asks_for_the_time_too_often_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
