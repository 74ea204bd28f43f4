/* The timeline's pages: their order, their filters, and that the database answers each by an index alone.
 */
#include "cloud/media/media_testing.h"

#include "cloud/media/media_room.h"

static int setup(void **state) {
    if (media_lab_setup(state) != 0) return -1;
    media_lab_open(*state);
    return 0;
}

/* ---- rows of a household's year ---- */

enum { EVENTS = 1000, CAMERAS = 3 };

static const char *const CAMERA[CAMERAS] = {"front", "back", "gate"};

/* Event n: camera n % 3, two of them in each millisecond, a person in every tenth; "gate" lives next door.
 */
static porch_err fill(porch_db *db, void *ctx, porch_why *why) {
    (void)ctx;
    for (int i = 0; i < EVENTS; i++) {
        char uid[PORCH_MEDIA_UID];
        (void)snprintf(uid, sizeof uid, "%032x", (unsigned)i);
        porch_db_query *q = porch_db_prepare(
            db,
            "insert into event (uid, device, product, household, device_event, kind, at_ms, received_ms, "
            "score, x, y, w, h, person) values (?1, ?2, 'camera', ?3, ?1, 'motion', ?4, ?4, 0.5, 0, 0, 1, "
            "1, ?5)",
            why);
        porch_db_bind_str(q, 1, uid);
        porch_db_bind_str(q, 2, CAMERA[i % CAMERAS]);
        porch_db_bind_str(q, 3, i % CAMERAS == 2 ? "next-door" : "home");
        porch_db_bind_i64(q, 4, 1000 + i / 2);
        porch_db_bind_i64(q, 5, i % 10 == 0);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

typedef struct {
    uint64_t ms[EVENTS], seq[EVENTS];
    char device[EVENTS][65], household[EVENTS][65];
    size_t count;
} found;

static void take(const porch_media_event *e, void *ctx) {
    found *f = ctx;
    assert_true(f->count < EVENTS);
    f->ms[f->count] = e->at_ms;
    f->seq[f->count] = e->seq;
    memcpy(f->device[f->count], e->owner.device, 65);
    memcpy(f->household[f->count++], e->owner.household, 65);
}

/* All of it, `page` at a time. */
static found *walk(media_lab *m, porch_media_timeline_query q, uint32_t page) {
    found *f = calloc(1, sizeof *f);
    assert_non_null(f);
    q.limit = page;
    q.before_ms = q.before_ms == 0 ? UINT64_MAX : q.before_ms;
    for (size_t before = SIZE_MAX; before != f->count;) {
        before = f->count;
        assert_int_equal(porch_media_timeline(m->media, &q, take, f, &m->why), PORCH_OK);
        if (f->count == before) break;
        q.before_ms = f->ms[f->count - 1];
        q.before_seq = f->seq[f->count - 1];
    }
    for (size_t i = 1; i < f->count; i++)
        assert_true(f->ms[i] < f->ms[i - 1] || (f->ms[i] == f->ms[i - 1] && f->seq[i] < f->seq[i - 1]));
    for (size_t i = 0; i < f->count; i++)
        assert_string_equal(f->household[i], q.household);
    return f;
}

static size_t counted(media_lab *m, porch_media_timeline_query q, uint32_t page) {
    found *f = walk(m, q, page);
    size_t count = f->count;
    for (size_t i = 0; i < count && q.device != NULL; i++)
        assert_string_equal(f->device[i], q.device);
    free(f);
    return count;
}

static void pages_of_any_size_give_each_event_once_and_newest_first(void **state) {
    media_lab *m = *state;
    assert_int_equal(porch_store_write(m->lab.store, fill, NULL, &m->why), PORCH_OK);
    static const uint32_t sizes[] = {1, 7, 50, 200, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(counted(m, (porch_media_timeline_query){.household = "home"}, sizes[i]), 667);
    assert_int_equal(counted(m, (porch_media_timeline_query){.household = "next-door"}, 30), 333);
    assert_int_equal(counted(m, (porch_media_timeline_query){.household = "nowhere"}, 30), 0);
}

static void filters_narrow_it_alone_and_together(void **state) {
    media_lab *m = *state;
    assert_int_equal(porch_store_write(m->lab.store, fill, NULL, &m->why), PORCH_OK);
    porch_media_timeline_query q = {.household = "home", .device = "front"};
    assert_int_equal(counted(m, q, 40), 334);
    q.person = true;
    assert_int_equal(counted(m, q, 40), 34);
    q.device = NULL;
    assert_int_equal(counted(m, q, 40), 67);
    q = (porch_media_timeline_query){.household = "home", .from_ms = 1100, .before_ms = 1200};
    assert_int_equal(counted(m, q, 40), 133); /* events 200 to 399 without "gate" */
    q.device = "back";
    q.person = true;
    assert_int_equal(counted(m, q, 3), 6);
    q.device = "gate"; /* another household's camera */
    assert_int_equal(counted(m, q, 3), 0);
}

static porch_id id_of(const char *text) {
    porch_id id;
    assert_int_equal(porch_id_parse(porch_bytes_of(text), &id), PORCH_OK);
    return id;
}

/* What is asked for some devices only is what those devices' events are among all, page by page. */
static void of_some_devices_pages_are_as_whole_as_of_all(void **state) {
    media_lab *m = *state;
    assert_int_equal(porch_store_write(m->lab.store, fill, NULL, &m->why), PORCH_OK);
    const porch_id both[] = {id_of("front"), id_of("back")}, front = id_of("front"), gate = id_of("gate");
    static const uint32_t sizes[] = {1, 7, 50, 200, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        porch_media_timeline_query q = {.household = "home", .devices = both, .device_count = 2};
        found *all = walk(m, (porch_media_timeline_query){.household = "home"}, sizes[i]);
        found *some = walk(m, q, sizes[i]);
        assert_int_equal(some->count, 667);
        assert_memory_equal(some->seq, all->seq, sizeof all->seq);
        free(all);
        free(some);
        q.person = true;
        assert_int_equal(counted(m, q, sizes[i]), 67);
        q = (porch_media_timeline_query){.household = "home", .devices = &front, .device_count = 1};
        found *one = walk(m, q, sizes[i]);
        assert_int_equal(one->count, 334);
        for (size_t k = 0; k < one->count; k++)
            assert_string_equal(one->device[k], "front");
        free(one);
        q.device = "front";
        assert_int_equal(counted(m, q, sizes[i]), 334);
        q.device = "back"; /* there, and not among those */
        assert_int_equal(counted(m, q, sizes[i]), 0);
        q = (porch_media_timeline_query){
            .household = "home", .devices = both, .device_count = 2, .from_ms = 1100, .before_ms = 1200};
        assert_int_equal(counted(m, q, sizes[i]), 133);
        q = (porch_media_timeline_query){.household = "home", .devices = &gate, .device_count = 1};
        assert_int_equal(counted(m, q, sizes[i]), 0); /* another household's */
        q.device_count = 0;
        assert_int_equal(counted(m, q, sizes[i]), 0);
    }
}

static void a_household_s_devices_are_those_that_it_keeps_events_of(void **state) {
    media_lab *m = *state;
    porch_id *ids = NULL;
    size_t count = 9;
    assert_int_equal(porch_media_devices(m->media, "home", &ids, &count, &m->why), PORCH_OK);
    assert_int_equal(count, 0);
    free(ids);
    assert_int_equal(porch_store_write(m->lab.store, fill, NULL, &m->why), PORCH_OK);
    assert_int_equal(porch_media_devices(m->media, "home", &ids, &count, &m->why), PORCH_OK);
    assert_int_equal(count, 2);
    assert_string_equal(ids[0].text, "back");
    assert_string_equal(ids[1].text, "front");
    free(ids);
}

/* ---- the plan ---- */

static void every_kind_of_timeline_is_read_from_its_index_in_order(void **state) {
    media_lab *m = *state;
    static const struct {
        bool device, person;
        const char *index;
    } kinds[] = {{false, false, "INDEX event_time ("},
                 {true, false, "INDEX event_time_device ("},
                 {false, true, "INDEX event_time_person ("},
                 {true, true, "INDEX event_time_device_person ("}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        media_lab_plan p = media_lab_plan_of(m, porch_media_timeline_sql(kinds[i].device, kinds[i].person));
        if (strstr(p.text, kinds[i].index) == NULL || !media_lab_plan_is_narrow(&p))
            fail_msg("a timeline is planned as\n%s", p.text);
    }
    for (int person = 0; person < 2; person++) {
        media_lab_plan p = media_lab_plan_of(m, porch_media_timeline_keys_sql(person));
        const char *index =
            person ? "INDEX event_time_device_person (" : "COVERING INDEX event_time_device (";
        if (strstr(p.text, index) == NULL || !media_lab_plan_is_narrow(&p))
            fail_msg("a timeline's places are planned as\n%s", p.text);
    }
}

#define TIMELINE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, media_lab_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TIMELINE_TEST(pages_of_any_size_give_each_event_once_and_newest_first),
        TIMELINE_TEST(filters_narrow_it_alone_and_together),
        TIMELINE_TEST(of_some_devices_pages_are_as_whole_as_of_all),
        TIMELINE_TEST(a_household_s_devices_are_those_that_it_keeps_events_of),
        TIMELINE_TEST(every_kind_of_timeline_is_read_from_its_index_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
