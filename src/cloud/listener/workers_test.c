#include "cloud/listener/workers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int ran;

static void through_the_gate(porch_job *job) {
    (void)job;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    atomic_fetch_add(&ran, 1);
}

static void a_full_queue_refuses_but_for_what_was_begun(void **state) {
    (void)state;
    porch_workers *w = porch_workers_new(2, 3);
    porch_job jobs[8];
    int taken = 0;
    assert_non_null(w);
    atomic_store(&ran, 0);
    pthread_mutex_lock(&gate); /* nobody works before start, nobody finishes before the gate opens */
    for (int i = 0; i < 5; i++) {
        jobs[i].run = through_the_gate;
        taken += porch_workers_submit(w, &jobs[i], false) == PORCH_OK;
    }
    assert_int_equal(taken, 3);
    jobs[5].run = through_the_gate;
    assert_int_equal(porch_workers_submit(w, &jobs[5], true), PORCH_OK);
    assert_int_equal(porch_workers_start(w, NULL), PORCH_OK);
    pthread_mutex_unlock(&gate);
    porch_workers_stop(w);
    assert_int_equal(atomic_load(&ran), 4);
    porch_workers_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_full_queue_refuses_but_for_what_was_begun)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
