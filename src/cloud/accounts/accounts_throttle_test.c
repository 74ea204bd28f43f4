#include "cloud/accounts/accounts_throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MOST_S = 300, FORGET_S = 3600, FREE = 3 };
static const uint64_t T0 = 1700000000000;

static porch_throttle_subject name(const char *text) {
    return (porch_throttle_subject){porch_throttle_key_of('a', porch_bytes_of(text)), FREE};
}

static void the_first_attempts_are_free_and_then_the_delay_doubles_to_its_cap(void **state) {
    (void)state;
    porch_throttle *t = porch_throttle_new(MOST_S, FORGET_S);
    porch_throttle_subject anna = name("anna");
    uint64_t now = T0;
    for (int i = 0; i < FREE; i++)
        assert_int_equal(porch_throttle_begin(t, &anna, 1, now), 0);
    uint32_t expected = 1;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(porch_throttle_begin(t, &anna, 1, now), expected);
        now += (uint64_t)expected * 1000 - 1;
        assert_int_equal(porch_throttle_begin(t, &anna, 1, now), 1);
        now += 1;
        assert_int_equal(porch_throttle_begin(t, &anna, 1, now), 0);
        expected = expected * 2 < MOST_S ? expected * 2 : MOST_S;
    }
    porch_throttle_free(t);
}

static void waiting_attempts_are_not_counted(void **state) {
    (void)state;
    porch_throttle *t = porch_throttle_new(MOST_S, FORGET_S);
    porch_throttle_subject anna = name("anna");
    for (int i = 0; i < FREE; i++)
        (void)porch_throttle_begin(t, &anna, 1, T0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(porch_throttle_begin(t, &anna, 1, T0), 1);
    assert_int_equal(porch_throttle_begin(t, &anna, 1, T0 + 1000), 0);
    porch_throttle_free(t);
}

static void names_do_not_hold_up_each_other_but_a_shared_address_does(void **state) {
    (void)state;
    porch_throttle *t = porch_throttle_new(MOST_S, FORGET_S);
    porch_throttle_subject pair[2] = {name("anna"), {porch_throttle_key_of_address("192.0.2.1"), 5}};
    for (int i = 0; i < FREE; i++)
        assert_int_equal(porch_throttle_begin(t, pair, 2, T0), 0);
    assert_int_equal(porch_throttle_begin(t, pair, 2, T0), 1);
    pair[0] = name("bert");
    assert_int_equal(porch_throttle_begin(t, pair, 2, T0), 0);
    assert_int_equal(porch_throttle_begin(t, pair, 2, T0), 0);
    assert_int_equal(porch_throttle_begin(t, pair, 2, T0), 1);
    pair[1].key = porch_throttle_key_of_address("192.0.2.2");
    assert_int_equal(porch_throttle_begin(t, pair, 2, T0), 0);
    porch_throttle_free(t);
}

static void a_right_attempt_clears_the_name_and_gives_one_back_to_the_address(void **state) {
    (void)state;
    porch_throttle *t = porch_throttle_new(MOST_S, FORGET_S);
    porch_throttle_subject anna = name("anna");
    porch_throttle_subject address = {porch_throttle_key_of_address("192.0.2.1"), FREE};
    for (int i = 0; i < FREE; i++)
        (void)porch_throttle_begin(t, &anna, 1, T0);
    porch_throttle_clear(t, anna.key);
    for (int i = 0; i < FREE; i++)
        assert_int_equal(porch_throttle_begin(t, &anna, 1, T0), 0);
    for (int i = 0; i < FREE; i++)
        assert_int_equal(porch_throttle_begin(t, &address, 1, T0), 0);
    porch_throttle_forgive(t, address.key);
    assert_int_equal(porch_throttle_begin(t, &address, 1, T0), 0);
    assert_int_equal(porch_throttle_begin(t, &address, 1, T0), 1);
    porch_throttle_free(t);
}

static void one_ipv6_network_of_64_bits_is_one_address(void **state) {
    (void)state;
    porch_throttle_key a = porch_throttle_key_of_address("2001:db8:1:2::1");
    porch_throttle_key b = porch_throttle_key_of_address("2001:db8:1:2:ffff::9");
    porch_throttle_key c = porch_throttle_key_of_address("2001:db8:1:3::1");
    assert_memory_equal(a.at, b.at, sizeof a.at);
    assert_memory_not_equal(a.at, c.at, sizeof a.at);
}

static void what_was_left_alone_is_forgotten(void **state) {
    (void)state;
    porch_throttle *t = porch_throttle_new(MOST_S, FORGET_S);
    porch_throttle_subject anna = name("anna");
    for (int i = 0; i < FREE; i++)
        (void)porch_throttle_begin(t, &anna, 1, T0);
    for (int i = 0; i < FREE; i++)
        assert_int_equal(porch_throttle_begin(t, &anna, 1, T0 + (uint64_t)FORGET_S * 1000), 0);
    porch_throttle_free(t);
}

static void a_flood_of_names_does_not_wash_out_one_that_is_being_guessed(void **state) {
    (void)state;
    porch_throttle *t = porch_throttle_new(MOST_S, FORGET_S);
    porch_throttle_subject anna = name("anna");
    uint64_t now = T0;
    for (int i = 0; i < 10; i++) {
        uint32_t wait = porch_throttle_begin(t, &anna, 1, now);
        now += (uint64_t)wait * 1000;
    }
    for (int i = 0; i < 100000; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "n%d", i);
        porch_throttle_subject other = name(text);
        (void)porch_throttle_begin(t, &other, 1, now);
    }
    assert_true(porch_throttle_begin(t, &anna, 1, now) > 0 || porch_throttle_begin(t, &anna, 1, now) > 0);
    porch_throttle_free(t);
}

static void a_clock_set_back_locks_nobody_out_for_longer_than_the_longest_delay(void **state) {
    (void)state;
    porch_throttle *t = porch_throttle_new(MOST_S, FORGET_S);
    porch_throttle_subject anna = name("anna");
    for (int i = 0; i < FREE; i++)
        (void)porch_throttle_begin(t, &anna, 1, T0);
    uint64_t there = T0 - 100000000;
    uint32_t wait_s = porch_throttle_begin(t, &anna, 1, there);
    assert_in_range(wait_s, 1, MOST_S);
    assert_int_equal(porch_throttle_begin(t, &anna, 1, there + (uint64_t)wait_s * 1000),
                     0); /* and then it is over */
    porch_throttle_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_attempts_are_free_and_then_the_delay_doubles_to_its_cap),
        cmocka_unit_test(waiting_attempts_are_not_counted),
        cmocka_unit_test(names_do_not_hold_up_each_other_but_a_shared_address_does),
        cmocka_unit_test(a_right_attempt_clears_the_name_and_gives_one_back_to_the_address),
        cmocka_unit_test(one_ipv6_network_of_64_bits_is_one_address),
        cmocka_unit_test(what_was_left_alone_is_forgotten),
        cmocka_unit_test(a_flood_of_names_does_not_wash_out_one_that_is_being_guessed),
        cmocka_unit_test(a_clock_set_back_locks_nobody_out_for_longer_than_the_longest_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
