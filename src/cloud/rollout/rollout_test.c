/* The rules of rollouts, over a real store. */
#include "cloud/rollout/rollout_testbed.h"

static void cohorts_are_what_the_device_computes_and_spread_evenly(void **state) {
    (void)state;
    uint8_t hash[32] = {1, 2, 3};
    unsigned below = 0;
    /* printf 'cam-1\1\2\3' and 29 zeros | sha256sum, the first 32 bits in millionths */
    assert_int_equal(porch_rollout_cohort("cam-1", hash), 42338);
    for (unsigned i = 0; i < 10000; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "d%u", i);
        below += porch_rollout_cohort(id, hash) < PORCH_ROLLOUT_ONE / 10;
    }
    assert_in_range(below, 900, 1100);
    uint32_t before = porch_rollout_cohort("cam-1", hash);
    hash[31] = 1; /* another image, another order */
    assert_int_not_equal(porch_rollout_cohort("cam-1", hash), before);
}

static void stages_rise_and_end_with_everybody(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "1",
                                      "10,5,100",
                                      "100,",
                                      ",100",
                                      "0,100",
                                      "101",
                                      "10,100,100",
                                      "1.00001,100",
                                      "household=,100",
                                      "10,household=home,100",
                                      "household=home",
                                      "a,100",
                                      "1 ,100"};
    porch_rollout_stage s[PORCH_ROLLOUT_STAGES_MOST];
    size_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(porch_rollout_stages_read(porch_bytes_of(bad[i]), s, &count, NULL), PORCH_OK);
    assert_int_equal(porch_rollout_stages_read(PORCH_LIT("household=lab,0.1,12.5,100"), s, &count, NULL),
                     PORCH_OK);
    assert_int_equal(count, 4);
    assert_string_equal(s[0].household, "lab");
    assert_true(s[1].share == 1000 && s[2].share == 125000 && s[3].share == PORCH_ROLLOUT_ONE);
}

static void a_rollout_goes_through_its_stages_and_ends(void **state) {
    fleet *f = *state;
    arrive(f, 200);
    const porch_rollout_spec spec = plain("2", "10,100");
    assert_string_equal(start(f, &spec), "r1");
    porch_rollout_view v = look(f);
    assert_int_equal(v.devices, 200);
    assert_in_range(v.asked, 8, 40);
    assert_int_equal(v.asked, f->told);
    assert_non_null(
        strstr(f->desired, "\"version\":\"2\",\"sha256\":\"" PORCH_TESTBED_HEX "\",\"attempt\":1}"));
    tick(f, 1000);
    assert_int_equal(look(f).stage, 0); /* nobody has an end yet */
    unsigned first = all_good(f);
    assert_int_equal(first, v.asked);
    tick(f, 1000);
    tick(f, 1000);
    v = look(f);
    assert_int_equal(v.stage, 1);
    assert_int_equal(v.asked, 200);
    assert_int_equal(all_good(f) + first, 200);
    tick(f, 1000);
    v = look(f);
    assert_string_equal(v.state, "done");
    assert_true(v.good == 200 && v.failed == 0);
}

static void too_many_failures_end_it_by_itself(void **state) {
    fleet *f = *state;
    arrive(f, 100);
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    char device[32];
    for (unsigned i = 0; i < 21; i++) {
        (void)snprintf(device, sizeof device, "cam-%07u", i);
        report(f, device, "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "its check said no");
        if (i == 19) tick(f, 1000);
        if (i == 19) assert_string_equal(look(f).state, "running"); /* 20 of 100 is not more than 20 % */
    }
    size_t before = f->told;
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_string_equal(v.state, "aborted");
    assert_non_null(strstr(v.why, "21 of 100"));
    assert_int_equal(f->told - before, 79); /* the others are told to stop */
    assert_string_equal(f->desired, "{\"v\":1}");
}

static void silence_is_a_failure_after_the_last_attempt(void **state) {
    fleet *f = *state;
    arrive(f, 1);
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    tick(f, 599000);
    assert_int_equal(f->told, 1);
    tick(f, 2000);
    assert_int_equal(f->told, 2);
    assert_non_null(strstr(f->desired, "\"attempt\":2}"));
    report(f, "cam-0000000", "r1", 2, "1", PORCH_UPDATE_DOWNLOADING, ""); /* a sign of life */
    tick(f, 599000);
    assert_int_equal(look(f).failed, 0);
    tick(f, 2000);
    porch_rollout_view v = look(f);
    assert_int_equal(v.failed, 1);
    assert_string_equal(v.state, "aborted");
}

static void who_said_that_it_waits_is_not_silent_and_holds_up_nobody(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1)");
    sql(f, "update device set household = 'lab' where id = 'cam-0000002'");
    f->away = "cam-0000002";
    const porch_rollout_spec spec = plain("2", "household=home,100");
    (void)start(f, &spec);
    assert_int_equal(look(f).asked, 2);
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_WAITING, "its stage has not come"); /* said once */
    report(f, "cam-0000001", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    size_t before = f->told;
    for (int i = 0; i < 3; i++)
        tick(f, 601000);
    porch_rollout_view v = look(f);
    assert_true(v.failed == 0 && v.stage == 1);
    assert_string_equal(v.state, "running");
    assert_int_equal(f->told - before, 3); /* the wish again, and no attempt more */
    assert_non_null(strstr(f->desired, "\"attempt\":1}"));
    /* What it said before it was asked is no answer. */
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = ""}, NULL),
                     PORCH_OK);
    (void)start(f, &spec);
    for (int i = 0; i < 2; i++)
        tick(f, 601000);
    assert_int_equal(look(f).failed, 2);
}

static void a_failed_download_is_tried_again_and_a_rolled_back_image_is_not(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    porch_rollout_spec spec = plain("2", "100");
    spec.errors = 100;
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_FAILED, "the line was cut");
    assert_string_equal(f->device, "cam-0000000");
    assert_non_null(strstr(f->desired, "\"attempt\":2}"));
    report(f, "cam-0000000", "r1", 2, "1", PORCH_UPDATE_FAILED, "the line was cut");
    assert_int_equal(look(f).failed, 1);
    size_t before = f->told;
    report(f, "cam-0000001", "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "no");
    assert_int_equal(f->told, before);
    assert_int_equal(look(f).failed, 2);
    assert_int_equal(look(f).asked, 2);
}

static void who_is_away_is_asked_when_it_comes_and_who_comes_late_too(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    f->away = "cam-0000001";
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
    assert_int_equal(look(f).away, 1);
    report(f, "cam-0000000", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    tick(f, 1000);
    assert_string_equal(look(f).state, "done"); /* of those who are there */
    report(f, "cam-0000001", "", 0, "1", PORCH_UPDATE_GOOD, "");
    assert_int_equal(f->told, 2);
    assert_string_equal(f->device, "cam-0000001");
    assert_int_equal(carry(f, do_add, (job){.from = 7, .count = 1}, NULL), PORCH_OK);
    report(f, "cam-0000007", "", 0, "1", PORCH_UPDATE_GOOD, "");
    assert_string_equal(f->device, "cam-0000007");
    report(f, "cam-0000007", "", 0, "1", PORCH_UPDATE_GOOD, ""); /* it came again and had not heard it */
    assert_int_equal(f->told, 4);
    report(f, "cam-0000007", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    porch_rollout_view v = look(f);
    assert_true(v.devices == 3 && v.good == 2 && v.failed == 0);
}

static void the_rate_holds_and_the_ramp_doubles(void **state) {
    fleet *f = *state;
    arrive(f, 500);
    porch_rollout_spec spec = plain("2", "100");
    spec.rate = 60;
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
    for (unsigned i = 0; i < 60; i++)
        tick(f, 1000);
    assert_in_range(f->told, 58, 66);
    assert_int_equal(
        carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = "enough"}, NULL),
        PORCH_OK);
    spec.rate = 0;
    spec.ramp = 10;
    (void)start(f, &spec);
    size_t before = f->told;
    for (unsigned i = 0; i < 59; i++)
        tick(f, 1000);
    assert_in_range(f->told - before, 8, 12);
    before = f->told;
    for (unsigned i = 0; i < 60; i++)
        tick(f, 1000);
    assert_in_range(f->told - before, 17, 23);
}

static void who_tries_again_waits_for_the_rate_as_everybody(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    porch_rollout_spec spec = plain("2", "100");
    spec.errors = 100;
    spec.rate = 6; /* one in ten seconds */
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
    char first[65];
    memcpy(first, f->device, sizeof first);
    report(f, first, "r1", 1, "1", PORCH_UPDATE_FAILED, "the line was cut");
    assert_int_equal(f->told, 1); /* not at once */
    tick(f, 10000);
    assert_int_equal(f->told, 2);
    assert_string_equal(f->device, first); /* its place in the order is what it was */
    assert_non_null(strstr(f->desired, "\"attempt\":2}"));
    porch_rollout_view v = look(f);
    assert_true(v.asked == 1 && v.failed == 0);
    /* Three that were silent are asked again one by one. */
    tick(f, 10000);
    tick(f, 10000);
    assert_int_equal(look(f).asked, 3);
    size_t before = f->told;
    tick(f, 601000);
    assert_in_range(f->told - before, 0, 1);
}

static void everybody_hears_of_an_abort_however_many_they_are(void **state) {
    fleet *f = *state;
    arrive(f, 5000);
    const porch_rollout_spec two = plain("2", "100"), three = plain("3", "100");
    (void)start(f, &two);
    tick(f, 1000);
    tick(f, 1000);
    assert_int_equal(look(f).asked, 5000);
    size_t before = f->told;
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = "bad"}, NULL),
                     PORCH_OK);
    assert_in_range(f->told - before, 1, 4999);
    tick(f, 1000);
    tick(f, 1000);
    assert_int_equal(f->told - before, 5000);
    tick(f, 1000);
    assert_int_equal(f->told - before, 5000);
    /* Whom the next rollout has asked is not sent to rest for the one before. */
    (void)start(f, &three);
    tick(f, 1000);
    tick(f, 1000);
    before = f->told;
    sql(f, "update update_rollout set recall = 1 where number = 1");
    tick(f, 1000);
    assert_int_equal(f->told, before);
}

static void while_nothing_can_be_fetched_nobody_is_asked_or_blamed(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    porch_rollout_spec spec = plain("2", "50,100");
    (void)start(f, &spec);
    size_t before = f->told;
    porch_rollout_view v = look(f);
    assert_in_range(v.asked, 1, 2);
    f->damaged = true;
    for (int i = 0; i < 3; i++)
        tick(f, 601000);
    report(f, "cam-0000000", "", 0, "1", PORCH_UPDATE_GOOD, "");
    v = look(f);
    assert_true(v.failed == 0 && v.stage == 0);
    assert_in_range(f->told - before, 0, 1); /* who was asked before and reports is told again, no other */
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = ""}, NULL),
                     PORCH_OK);
    assert_int_equal(carry(f, do_start, (job){.spec = &spec}, NULL), PORCH_ERR_STATE);
    f->damaged = false;
    (void)start(f, &spec);
    assert_in_range(look(f).asked, 1, 2);
}

static void a_stage_does_not_wait_for_devices_that_were_removed(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1)");
    sql(f, "update device set household = 'lab' where id = 'cam-0000001'");
    f->away = "cam-0000001";
    const porch_rollout_spec spec = plain("2", "household=lab,100");
    (void)start(f, &spec);
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_true(v.stage == 0 && v.away == 1);
    sql(f, "delete from device where id = 'cam-0000001'");
    tick(f, 1000);
    v = look(f);
    assert_true(v.stage == 1 && v.away == 0);
}

static void a_pause_holds_everything_and_approval_lets_the_next_stage_go(void **state) {
    fleet *f = *state;
    arrive(f, 100);
    porch_rollout_spec spec = plain("2", "50,100");
    spec.approve = true;
    (void)start(f, &spec);
    size_t asked = f->told;
    assert_int_equal(
        carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_PAUSE, .reason = "a call"}, NULL),
        PORCH_OK);
    assert_int_equal(f->told, 2 * asked); /* told to rest */
    tick(f, 3600000);
    assert_int_equal(look(f).failed, 0); /* no silence is judged */
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_PAUSE, .reason = ""}, NULL),
                     PORCH_ERR_STATE);
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_RESUME, .reason = ""}, NULL),
                     PORCH_OK);
    (void)all_good(f);
    tick(f, 1000);
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_true(v.awaiting && v.stage == 0 && v.asked == asked);
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_APPROVE, .reason = ""}, NULL),
                     PORCH_OK);
    v = look(f);
    assert_true(!v.awaiting && v.stage == 1 && v.asked == 100);
    assert_int_equal(carry(f, do_act, (job){.id = "r9", .act = PORCH_ROLLOUT_ABORT, .reason = ""}, NULL),
                     PORCH_ERR_NOT_FOUND);
}

static void what_mends_something_high_overtakes_and_nothing_else_does(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    const porch_rollout_spec two = plain("2", "100"), three = plain("3", "100"), nine = plain("9", "100");
    (void)start(f, &three);
    assert_int_equal(carry(f, do_start, (job){.spec = &two}, NULL), PORCH_ERR_EXISTS);
    assert_int_equal(carry(f, do_start, (job){.spec = &nine}, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = "x"}, NULL),
                     PORCH_OK);
    (void)start(f, &two);
    assert_string_equal(start(f, &three), "r3");
    report(f, "cam-0000000", "r2", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    assert_non_null(strstr(f->desired, "\"rollout\":\"r3\""));
}

static void what_the_team_withdraws_or_signs_anew_is_offered_no_more(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    const porch_rollout_spec two = plain("2", "100"), three = plain("3", "100");
    (void)start(f, &two);
    sql(f, "update update_release set withdrawn_ms = 5 where version = '2'");
    size_t before = f->told;
    tick(f, 1000);
    porch_rollout_view v = look(f);
    assert_string_equal(v.state, "aborted");
    assert_non_null(strstr(v.why, "withdrawn"));
    assert_int_equal(f->told - before, 2); /* told to rest */
    (void)start(f, &three);
    sql(f, "update update_release set sha256 = '00"
           "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a' "
           "where version = '3'");
    tick(f, 1000);
    assert_string_equal(look(f).state, "aborted");
}

static void who_failed_and_made_it_after_all_counts_as_good(void **state) {
    fleet *f = *state;
    arrive(f, 2);
    porch_rollout_spec spec = plain("2", "100");
    spec.errors = 60;
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "no");
    assert_int_equal(look(f).failed, 1);
    report(f, "cam-0000000", "", 0, "2", PORCH_UPDATE_GOOD, "");
    porch_rollout_view v = look(f);
    assert_true(v.failed == 0 && v.good == 1 && v.asked == 2);
}

static void sixty_four_products_whose_rollouts_are_done_hold_up_nobody(void **state) {
    fleet *f = *state;
    arrive(f, 1);
    for (unsigned i = 0; i < PORCH_ROLLOUT_ACTIVE_MOST; i++) {
        char text[400];
        (void)snprintf(
            text, sizeof text,
            "insert into update_rollout (product, version, sha256, state, stages, rate, errors, "
            "deadline_s, attempts, dwell_s, started_ms, stage_ms) values ('old%u', '1', '" PORCH_TESTBED_HEX
            "', 'done', '100', 0, 5, 600, 1, 0, 1, 1)",
            i);
        sql(f, text);
        (void)snprintf(
            text, sizeof text,
            "insert into update_release (product, version, path, sha256, bytes, serial, counter, "
            "severity, hardware, notes, supported_until, released_ms, published_ms, role, signers) "
            "values ('old%u', '1', 'p', '" PORCH_TESTBED_HEX
            "', 9, 1, 1, '', '[]', '', '', 1, 1, 'r', 'k')",
            i);
        sql(f, text);
    }
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    assert_int_equal(f->told, 1);
}

static void a_device_that_never_comes_to_an_end_holds_up_nobody(void **state) {
    fleet *f = *state;
    arrive(f, 100);
    const porch_rollout_spec spec = plain("2", "50,100");
    (void)start(f, &spec);
    char device[65], text[200];
    memcpy(device, f->device, sizeof device);
    (void)all_good(f);
    (void)snprintf(text, sizeof text, "update update_turn set state = 1 where device = '%s'", device);
    sql(f, text);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(look(f).stage, 0);
        tick(f, 150000);
        report(f, device, "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    }
    tick(f, 1000);
    assert_int_equal(look(f).stage, 1);
    assert_int_equal(look(f).failed, 0); /* and nobody is blamed for it */
}

static void a_stage_of_which_nobody_is_there_waits(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1), "
           "('rest', 'Rest', 'UTC', 1)");
    sql(f, "update device set household = 'lab' where id = 'cam-0000001'");
    sql(f, "update device set household = 'rest' where id = 'cam-0000002'");
    f->away = "cam-0000001";
    const porch_rollout_spec spec = plain("2", "household=home,household=lab,100");
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    for (int i = 0; i < 3; i++)
        tick(f, 1000);
    assert_int_equal(look(f).stage, 1); /* what the first stage proved is not the second one's proof */
    f->away = NULL;
    report(f, "cam-0000001", "", 0, "1", PORCH_UPDATE_GOOD, "");
    report(f, "cam-0000001", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    tick(f, 1000);
    tick(f, 1000);
    assert_int_equal(look(f).stage, 2);
    assert_string_equal(f->device, "cam-0000002");
}

static void a_household_that_is_not_there_or_has_no_such_device_is_no_stage(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    porch_rollout_spec spec = plain("2", "household=nosuch,50,100");
    assert_int_equal(carry(f, do_start, (job){.spec = &spec}, NULL), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(f->lab.why.text, "no household nosuch"));
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1)");
    sql(f, "insert into device (id, product, household, added_ms, revoked_ms) values "
           "('bell', 'doorbell', 'lab', 1, null), ('old', 'camera', 'lab', 1, 2)");
    spec.stages = "household=home,household=lab,50,100";
    assert_int_equal(carry(f, do_start, (job){.spec = &spec}, NULL), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(f->lab.why.text, "lab has no device of camera"));
    /* One of a rollout that was begun before that was looked at is not passed unseen either. */
    spec.stages = "1,50,100";
    (void)start(f, &spec);
    sql(f, "update update_rollout set stage = 0, stages = 'household=nosuch,50,100'; update update_turn "
           "set stage = 1 "
           "where stage = 0; delete from update_stage");
    tick(f, 1000);
    tick(f, 1000);
    assert_int_equal(look(f).stage, 0);
}

static porch_err do_erase(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    return porch_rollout_household_erase(db, "lab", why);
}

static void an_erased_household_leaves_a_stage_that_is_nobodys(void **state) {
    fleet *f = *state;
    arrive(f, 3);
    sql(f, "insert into household (id, name, timezone, added_ms) values ('lab', 'Lab', 'UTC', 1), "
           "('lab-2', 'Lab 2', 'UTC', 1)");
    sql(f, "update device set household = 'lab' where id = 'cam-0000002'");
    sql(f, "update device set household = 'lab-2' where id = 'cam-0000001'");
    const porch_rollout_spec spec =
        plain("2", "household=lab,household=lab-2,household=lab,household=home,50,100");
    (void)start(f, &spec);
    sql(f, "delete from device where id = 'cam-0000001'");
    sql(f, "insert into erasure (household, kind, name) values ('lab', 'device', 'cam-0000002')");
    sql(f, "delete from device where id = 'cam-0000002'");
    if (carry(f, do_erase, (job){.sql = NULL}, NULL) != PORCH_OK) fail_msg("%s", f->lab.why.text);
    assert_string_equal(look(f).stages, "household=-,household=lab-2,household=-,household=home,50,100");
    for (int i = 0; i < 6; i++)
        tick(f, 1000);
    assert_int_equal(look(f).stage, 3); /* and holds up nobody */
    assert_true(porch_rollout_names(PORCH_LIT("{\"reason\":\"household=lab\"}"), "lab"));
    assert_true(porch_rollout_names(PORCH_LIT("household=lab-2,household=lab,100"), "lab"));
    assert_false(porch_rollout_names(PORCH_LIT("household=lab-2,100"), "lab"));
    (void)carry(f, do_act, (job){.id = "r1", .act = PORCH_ROLLOUT_ABORT, .reason = ""}, NULL);
}

typedef struct {
    const char *sql;
    int64_t ret;
} number_job;

static porch_err read_number(porch_db *db, void *ctx, porch_why *why) {
    number_job *j = ctx;
    porch_db_query *q = porch_db_prepare(db, j->sql, why);
    porch_err e = porch_db_step(q, why);
    j->ret = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static int64_t number(fleet *f, const char *sql) {
    number_job j = {.sql = sql};
    if (porch_store_read(f->lab.store, read_number, &j, &f->lab.why) != PORCH_OK)
        fail_msg("%s", f->lab.why.text);
    return j.ret;
}

static int64_t entries(fleet *f) {
    return number(f, "select count(*) from update_history");
}

static bool count_story(const porch_rollout_story *s, void *ctx) {
    unsigned *count = ctx;
    if (*count == 0) assert_string_equal(s->reason, "its check said no");
    (*count)++;
    return true;
}
static porch_err do_story(porch_db *db, void *ctx, porch_why *why) {
    return porch_rollout_history(db, "cam-0000000", 3, count_story, ctx, why);
}

static void a_device_has_a_story_of_bounded_length(void **state) {
    fleet *f = *state;
    unsigned count = 0;
    arrive(f, 1);
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_STAGED, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_TRIAL, "");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "its check said no");
    assert_int_equal(porch_store_read(f->lab.store, do_story, &count, NULL), PORCH_OK);
    assert_int_equal(count, 3);
    for (unsigned i = 0; i < 20; i++) {
        report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_TRIAL, "");
        assert_in_range(entries(f), 3, 5);
        report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_ROLLED_BACK, "its check said no");
        assert_in_range(entries(f), 3, 5);
        count = 0;
        assert_int_equal(porch_store_read(f->lab.store, do_story, &count, NULL), PORCH_OK);
        assert_int_equal(count, 3);
    }
}

static void a_device_that_goes_takes_its_story_and_its_turns_and_nobody_elses(void **state) {
    fleet *f = *state;
    unsigned count = 0;
    arrive(f, 2);
    const porch_rollout_spec spec = plain("2", "100");
    (void)start(f, &spec);
    for (unsigned i = 0; i < 2; i++) {
        report(f, "cam-0000001", "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
        report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_DOWNLOADING, "");
        report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_STAGED, "its check said no");
        report(f, "cam-0000001", "r1", 1, "1", PORCH_UPDATE_STAGED, "");
    }
    assert_int_equal(entries(f), 8);
    sql(f, "delete from device where id = 'cam-0000001'");
    assert_int_equal(entries(f), 4);
    assert_int_equal(number(f, "select count(*) from update_turn"), 1);
    assert_int_equal(number(f, "select count(*) from update_history where device <> 'cam-0000000'"), 0);
    assert_int_equal(porch_store_read(f->lab.store, do_story, &count, NULL), PORCH_OK);
    assert_int_equal(count, 3);
}

/* Days go by in rounds of housekeeping. */
static void days(fleet *f, unsigned count, unsigned rounds) {
    tick(f, count * UINT64_C(86400000));
    for (unsigned i = 0; i < rounds; i++)
        tick(f, 1);
}

static unsigned turns_of(fleet *f, const char *rollout) {
    char text[80];
    (void)snprintf(text, sizeof text, "select count(*) from update_turn where rollout = %s", rollout + 1);
    return (unsigned)number(f, text);
}

static void turns_of_what_is_long_over_are_swept_and_the_counts_stay(void **state) {
    fleet *f = *state;
    const unsigned many = 4500; /* three rounds */
    char text[120];
    f->lab.settings.ota_turns_days = 30;
    arrive(f, many);
    const porch_rollout_spec first = plain("2", "100"), second = plain("3", "100");
    (void)start(f, &first);
    while (all_good(f) > 0)
        tick(f, 1000);
    tick(f, 1000);
    assert_string_equal(look(f).state, "done");
    days(f, 400, 3);
    assert_int_equal(turns_of(f, "r1"), many); /* the newest of its product stays */
    (void)start(f, &second);
    sql(f, "update update_turn set state = 2 where rollout = 2");
    tick(f, 1);
    (void)snprintf(text, sizeof text,
                   "update update_rollout set state = 'done', ended_ms = %llu where number = 2",
                   (unsigned long long)f->now_ms);
    sql(f, text);
    days(f, 29, 3);
    assert_int_equal(turns_of(f, "r1"), many);
    days(f, 1, 0);
    assert_int_equal(turns_of(f, "r1"), many - 2000);
    assert_int_equal(number(f, "select swept from update_rollout where number = 1"), 1);
    days(f, 0, 2);
    assert_int_equal(turns_of(f, "r1"), 0);
    assert_int_equal(turns_of(f, "r2"), many);
    assert_int_equal(number(f, "select swept from update_rollout where number = 1"), 2);
    assert_int_equal(number(f, "select good from update_rollout where number = 1"), many);
    assert_int_equal(number(f, "select sum(ended) from update_stage where rollout = 1"), many);
    /* the newer one is aborted after all: nobody is led back to what was swept */
    job abort = {.id = "r2", .act = PORCH_ROLLOUT_ABORT, .reason = "the lens fogs up"};
    assert_int_equal(carry(f, do_act, abort, NULL), PORCH_OK);
    size_t told = f->told;
    tick(f, 1000);
    report(f, "cam-0000001", "", 0, "1", PORCH_UPDATE_GOOD, "");
    tick(f, 1000);
    assert_int_equal(f->told, told);
    assert_int_equal(turns_of(f, "r1"), 0);
    days(f, 31, 3);
    assert_int_equal(number(f, "select count(*) from update_turn"), 0);
}

/* Half of the fleet is of hardware that the release is not signed for. */
static void who_is_of_other_hardware_is_no_failure(void **state) {
    fleet *f = *state;
    const porch_rollout_spec spec = plain("2", "100");
    char device[32];
    arrive(f, 10);
    start(f, &spec);
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(device, sizeof device, "cam-%07u", i);
        if (i < 5)
            report(f, device, "r1", 1, "1", PORCH_UPDATE_UNFIT, "the release is not for hardware rev-b");
        else if (i < 9)
            report(f, device, "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    }
    porch_rollout_view v = look(f);
    assert_true(v.devices == 10 && v.asked == 5 && v.good == 4 && v.failed == 0 && v.unfit == 5);
    assert_string_equal(v.state, "running");
    report(f, "cam-0000000", "r1", 1, "1", PORCH_UPDATE_UNFIT, "it says so again");
    report(f, "cam-0000009", "r1", 1, "2", PORCH_UPDATE_GOOD, "");
    tick(f, 1000);
    v = look(f);
    assert_string_equal(v.state, "done");
    assert_true(v.asked == 5 && v.good == 5 && v.unfit == 5);
    report(f, "cam-0000000", "", 0, "2", PORCH_UPDATE_GOOD, ""); /* somebody went there with a cable */
    v = look(f);
    assert_true(v.asked == 6 && v.good == 6 && v.unfit == 4);
}

static void nobody_hears_what_the_disk_refused(void **state) {
    fleet *f = *state;
    const porch_rollout_spec spec = plain("2", "100");
    arrive(f, 3);
    store_lab_disk(false);
    porch_err e = carry(f, do_start, (job){.spec = &spec}, NULL);
    store_lab_disk(true);
    assert_int_not_equal(e, PORCH_OK);
    sql(f, "update household set name = 'House'");
    assert_int_equal(f->told, 0);
    start(f, &spec);
    assert_int_equal(f->told, 3);
}

static porch_err refuse(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                        porch_why *why) {
    (void)db;
    (void)m;
    (void)seq;
    (void)ctx;
    return porch_fail(why, PORCH_ERR_MALFORMED, "another room cannot read it");
}

static void a_report_that_is_undone_is_not_answered(void **state) {
    fleet *f = *state;
    const porch_rollout_spec spec = plain("2", "100");
    arrive(f, 1);
    f->away = "cam-0000000";
    start(f, &spec);
    f->away = NULL;
    porch_store_on_message(f->lab.store, refuse, NULL);
    append_report(f, "cam-0000000", "{\"v\":1,\"running\":\"1\",\"state\":\"good\",\"floor\":1}");
    await(f, porch_store_lane_last(f->lane));
    assert_int_equal(f->told, 0);
    assert_int_equal(look(f).asked, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cohorts_are_what_the_device_computes_and_spread_evenly),
        cmocka_unit_test(stages_rise_and_end_with_everybody),
#define OVER_STORE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        OVER_STORE(a_rollout_goes_through_its_stages_and_ends),
        OVER_STORE(too_many_failures_end_it_by_itself),
        OVER_STORE(who_is_of_other_hardware_is_no_failure),
        OVER_STORE(nobody_hears_what_the_disk_refused),
        OVER_STORE(a_report_that_is_undone_is_not_answered),
        OVER_STORE(silence_is_a_failure_after_the_last_attempt),
        OVER_STORE(who_said_that_it_waits_is_not_silent_and_holds_up_nobody),
        OVER_STORE(a_failed_download_is_tried_again_and_a_rolled_back_image_is_not),
        OVER_STORE(who_is_away_is_asked_when_it_comes_and_who_comes_late_too),
        OVER_STORE(the_rate_holds_and_the_ramp_doubles),
        OVER_STORE(who_tries_again_waits_for_the_rate_as_everybody),
        OVER_STORE(everybody_hears_of_an_abort_however_many_they_are),
        OVER_STORE(while_nothing_can_be_fetched_nobody_is_asked_or_blamed),
        OVER_STORE(a_stage_does_not_wait_for_devices_that_were_removed),
        OVER_STORE(a_pause_holds_everything_and_approval_lets_the_next_stage_go),
        OVER_STORE(what_mends_something_high_overtakes_and_nothing_else_does),
        OVER_STORE(what_the_team_withdraws_or_signs_anew_is_offered_no_more),
        OVER_STORE(who_failed_and_made_it_after_all_counts_as_good),
        OVER_STORE(sixty_four_products_whose_rollouts_are_done_hold_up_nobody),
        OVER_STORE(a_device_that_never_comes_to_an_end_holds_up_nobody),
        OVER_STORE(a_stage_of_which_nobody_is_there_waits),
        OVER_STORE(a_household_that_is_not_there_or_has_no_such_device_is_no_stage),
        OVER_STORE(an_erased_household_leaves_a_stage_that_is_nobodys),
        OVER_STORE(a_device_has_a_story_of_bounded_length),
        OVER_STORE(turns_of_what_is_long_over_are_swept_and_the_counts_stay),
        OVER_STORE(a_device_that_goes_takes_its_story_and_its_turns_and_nobody_elses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
