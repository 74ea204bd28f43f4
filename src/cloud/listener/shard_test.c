/* Words to a shard: notes from any thread, parcels from a neighbour, and the turn that takes them. */
#include "cloud/listener/shard.h"

#include <semaphore.h>
#include <stdatomic.h>

#include "cloud/listener/testbed.h"
#include "os/log.h"

static bed_hub hub;
static porch_shard *shards[2];
static atomic_int turns, stopped;

enum { NOTES = 200, PARCELS = 50000 };

typedef struct {
    porch_note note;
    int number;
} numbered;

static int heard[NOTES];
static atomic_int heard_count;
static _Atomic uint32_t sent, received, out_of_order, was_full;

static porch_err on_start(void *ctx, porch_shard *s, porch_why *why) {
    (void)ctx;
    (void)why;
    shards[porch_shard_index(s)] = s;
    return PORCH_OK;
}

static void on_stop(void *ctx, porch_shard *s) {
    (void)ctx;
    (void)s;
    atomic_fetch_add(&stopped, 1);
}

/* Shard 0 sends numbers to shard 1 as fast as the ring takes them. */
static void on_turn(void *ctx, porch_shard *s) {
    (void)ctx;
    atomic_fetch_add(&turns, 1);
    if (porch_shard_index(s) != 0 || atomic_load(&sent) == 0) return;
    while (atomic_load(&sent) <= PARCELS) {
        porch_parcel p = {1, 0, {.word = atomic_load(&sent)}};
        if (!porch_shard_send(s, 1, &p)) {
            assert_false(porch_shard_room(s, 1, 1));
            atomic_fetch_add(&was_full, 1);
            porch_shard_again(s, 1);
            return;
        }
        atomic_fetch_add(&sent, 1);
    }
}

static void on_parcel(void *ctx, porch_shard *s, const porch_parcel *p) {
    (void)ctx;
    (void)s;
    if (p->word != atomic_load(&received) + 1) atomic_fetch_add(&out_of_order, 1);
    atomic_fetch_add(&received, 1);
}

static const porch_conn_hooks hooks = {
    .shard_start = on_start,
    .shard_stop = on_stop,
    .turn = on_turn,
    .parcel = on_parcel,
};

static int set_up(void **state) {
    (void)state;
    porch_log_init("shard_test", PORCH_LOG_ERROR);
    porch_settings_default(&hub.settings);
    hub.settings.broker_ring_slots = 64;
    bed_hub_start(&hub, &hooks, NULL);
    return 0;
}

static void hear(porch_shard *s, porch_note *note) {
    (void)s;
    heard[atomic_load(&heard_count)] = ((numbered *)(void *)note)->number;
    atomic_fetch_add(&heard_count, 1);
}

static void notes_are_run_once_each_and_in_order(void **state) {
    (void)state;
    static numbered notes[NOTES];
    for (int i = 0; i < NOTES; i++) {
        notes[i] = (numbered){{NULL, hear}, i};
        porch_shard_post(shards[0], &notes[i].note);
    }
    BED_UNTIL(atomic_load(&heard_count) >= NOTES);
    for (int i = 0; i < NOTES; i++)
        assert_int_equal(heard[i], i);
}

static void waking_brings_a_turn(void **state) {
    (void)state;
    int before = atomic_load(&turns);
    porch_shard_wake(shards[1]);
    BED_UNTIL(atomic_load(&turns) != before);
}

static sem_t let_go;
static atomic_int held;

static void hold(porch_shard *s, porch_note *note) {
    (void)s;
    (void)note;
    atomic_fetch_add(&held, 1);
    (void)sem_wait(&let_go);
}

static void one_shard_that_hangs_stops_the_pulse(void **state) {
    (void)state;
    static porch_note stuck = {NULL, hold};
    assert_int_equal(sem_init(&let_go, 0, 0), 0);
    assert_false(porch_listener_pulse(hub.listener)); /* nothing was asked before */
    BED_UNTIL(porch_listener_pulse(hub.listener));
    porch_shard_post(shards[1], &stuck);
    BED_UNTIL(atomic_load(&held) == 1);
    (void)porch_listener_pulse(hub.listener); /* what was asked before it hung may be answered */
    for (int i = 0; i < 1000; i++)
        assert_false(porch_listener_pulse(hub.listener));
    assert_int_equal(sem_post(&let_go), 0);
    BED_UNTIL(porch_listener_pulse(hub.listener));
    assert_int_equal(sem_destroy(&let_go), 0);
}

static void a_full_ring_is_an_answer_and_nothing_is_lost(void **state) {
    (void)state;
    atomic_store(&sent, 1);
    porch_shard_wake(shards[0]);
    BED_UNTIL(atomic_load(&received) >= PARCELS);
    assert_int_equal(atomic_load(&out_of_order), 0);
    assert_true(atomic_load(&was_full) > 0);
}

static int tear_down(void **state) {
    (void)state;
    bed_hub_stop(&hub);
    assert_int_equal(atomic_load(&stopped), 2);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_are_run_once_each_and_in_order),
        cmocka_unit_test(waking_brings_a_turn),
        cmocka_unit_test(one_shard_that_hangs_stops_the_pulse),
        cmocka_unit_test(a_full_ring_is_an_answer_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
