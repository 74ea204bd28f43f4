/* A rollout to a large fleet: with PORCH_SWEEP=1 (or a number) it is a million devices (or so many), and
 * what a report costs is printed. */
#include "cloud/rollout/rollout_testbed.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "os/clock.h"

static double mebibytes_resident(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static double mebibytes_of_database(const fleet *f) {
    static const char *const names[] = {"hub.db", "hub.db-wal"};
    double sum = 0;
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", f->lab.dir, names[i]);
        if (stat(path, &st) == 0) sum += (double)st.st_size / 1048576;
    }
    return sum;
}

/* Bytes of what rollouts keep, messages apart. */
static porch_err read_rows_bytes(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "select coalesce(sum(pgsize), 0) from dbstat where aggregate = true and name like 'update_%'",
        why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) *(int64_t *)ctx = porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static void a_large_fleet_is_rolled_out_to_its_end(void **state) {
    fleet *f = *state;
    const char *sweep = getenv("PORCH_SWEEP");
    const unsigned devices = sweep == NULL                  ? 3000
                             : strtoul(sweep, NULL, 10) > 1 ? (unsigned)strtoul(sweep, NULL, 10)
                                                            : 1000000;
    arrive(f, 0);
    for (unsigned at = 0; at < devices; at += 10000)
        assert_int_equal(
            carry(f, do_add, (job){.from = at, .count = devices - at < 10000 ? devices - at : 10000}, NULL),
            PORCH_OK);
    double before_memory = mebibytes_resident();
    const porch_rollout_spec spec = plain("2", "1,10,100");
    (void)start(f, &spec);
    uint64_t began = porch_clock_mono_ms(), hearing_ms = 0, reports = 0, said = 0;
    for (unsigned rounds = 0; strcmp(look(f).state, "running") == 0 && rounds < 20000; rounds++) {
        for (unsigned i = 0; i < 8; i++)
            tick(f, 1000);
        uint64_t from = porch_clock_mono_ms();
        reports += all_good(f);
        hearing_ms += porch_clock_mono_ms() - from;
        if (sweep != NULL && reports / 100000 > said) {
            said = reports / 100000;
            (void)printf("%llu of %u reports, %.0f/s\n", (unsigned long long)reports, devices,
                         (double)reports * 1000 / (double)(hearing_ms + 1));
            (void)fflush(stdout);
        }
    }
    porch_rollout_view v = look(f);
    assert_string_equal(v.state, "done");
    assert_true(v.good == devices && v.asked == devices && v.devices == devices);
    if (sweep == NULL) return;
    double seconds = (double)(porch_clock_mono_ms() - began) / 1000;
    int64_t bytes = 0;
    assert_int_equal(porch_store_read(f->lab.store, read_rows_bytes, &bytes, &f->lab.why), PORCH_OK);
    (void)printf(
        "rollout to %u devices: %.1f s, %.0f reports/s (each a stored message, durable), rows of rollouts "
        "%.1f MiB (%.0f bytes a device), database with the messages %.1f MiB, memory at most %.1f -> %.1f "
        "MiB\n",
        devices, seconds, (double)reports * 1000 / (double)(hearing_ms + 1), (double)bytes / 1048576,
        (double)bytes / devices, mebibytes_of_database(f), before_memory, mebibytes_resident());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_large_fleet_is_rolled_out_to_its_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
