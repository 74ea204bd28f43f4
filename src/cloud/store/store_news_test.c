/* Words are told after the commit, in order, and only where what they tell of has stayed. */
#include "cloud/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "base/text.h"
#include "cloud/store/store_room.h"
#include "cloud/store/store_testing.h"

enum { HEARD_MOST = 8000, WORD_TEXT = 24 };

typedef struct {
    char text[WORD_TEXT];
} word;

typedef struct {
    store_lab lab;
    porch_store_news *news;
    porch_store_lane *lane;
    int event;
    word heard[HEARD_MOST]; /* written on the writer thread, read after an answer of the store */
    size_t heard_count;
    size_t refused; /* words for which there was no room */
} room;

static void ring(void *ctx) {
    uint64_t one = 1;
    if (write(*(int *)ctx, &one, sizeof one) != (ssize_t)sizeof one) abort();
}

static void tell(const void *heard, void *ctx) {
    room *r = ctx;
    assert_true(r->heard_count < HEARD_MOST);
    r->heard[r->heard_count++] = *(const word *)heard;
}

static void add(room *r, porch_bytes text) {
    word w;
    assert_true(porch_bytes_to_text(text, w.text, sizeof w.text));
    if (!porch_store_news_add(r->news, &w)) r->refused++;
}

/* Says what the message says. */
static porch_err observe(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                         porch_why *why) {
    (void)db;
    (void)seq;
    (void)why;
    add(ctx, m->payload);
    return PORCH_OK;
}

/* Another room, behind it, that cannot read some. */
static porch_err refuse_bad(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                            porch_why *why) {
    (void)db;
    (void)seq;
    (void)ctx;
    if (memcmp(m->payload.at, "bad", 3) != 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED, "cannot read it");
}

static int open_room(void **state, size_t most, uint32_t tick_ms) {
    room *r = calloc(1, sizeof *r);
    store_lab_make(&r->lab);
    r->lab.settings.store_tick_ms = tick_ms;
    r->event = eventfd(0, 0);
    if (store_lab_open(&r->lab) != PORCH_OK) fail_msg("%s", r->lab.why.text);
    assert_int_equal(
        porch_store_news_open(r->lab.store, sizeof(word), most, tell, r, &r->news, &r->lab.why), PORCH_OK);
    porch_store_on_message(r->lab.store, observe, r);
    r->lane = porch_store_lane_open(r->lab.store, ring, &r->event);
    *state = r;
    return 0;
}

static int setup(void **state) {
    return open_room(state, 0, 60000);
}

static int setup_small(void **state) {
    return open_room(state, 3, 60000);
}

static int setup_ticking(void **state) {
    return open_room(state, 0, 10);
}

static int teardown(void **state) {
    room *r = *state;
    store_lab_remove(&r->lab);
    close(r->event);
    free(r);
    return 0;
}

static void append(room *r, const char *payload) {
    uint64_t ticket;
    porch_store_message m = {.at_ms = 1,
                             .device = PORCH_LIT("cam"),
                             .topic = PORCH_LIT("d/cam/event/motion"),
                             .payload = porch_bytes_of(payload),
                             .qos = 1};
    assert_int_equal(porch_store_lane_append(r->lane, &m, &ticket), PORCH_OK);
}

/* Until the store has answered all that was appended. */
static void await(room *r) {
    uint64_t answered = 0, drop;
    porch_store_answer a;
    while (answered < porch_store_lane_last(r->lane)) {
        while (porch_store_lane_poll(r->lane, &a))
            answered = a.upto;
        if (answered < porch_store_lane_last(r->lane) && read(r->event, &drop, sizeof drop) < 0) abort();
    }
}

typedef struct {
    room *r;
    const char *text; /* NULL: says nothing */
    porch_err end;
    sem_t begun, let_go;
    bool holds;
} job;

static porch_err run_job(porch_db *db, void *ctx, porch_why *why) {
    job *j = ctx;
    PORCH_TRY(porch_db_run(db, "create table if not exists said (word text)", why));
    PORCH_TRY(porch_db_run(db, "insert into said values ('a word')", why)); /* it needs the disk */
    if (j->text != NULL) add(j->r, porch_bytes_of(j->text));
    if (j->holds) {
        (void)sem_post(&j->begun);
        (void)sem_wait(&j->let_go);
    }
    return j->end == PORCH_OK ? PORCH_OK : porch_fail(why, j->end, "changed my mind");
}

static void *write_job(void *arg) {
    job *j = arg;
    (void)porch_store_write(j->r->lab.store, run_job, j, NULL);
    return NULL;
}

static void say(room *r, const char *text, porch_err end) {
    job j = {.r = r, .text = text, .end = end};
    assert_int_equal(porch_store_write(r->lab.store, run_job, &j, NULL), end);
}

static void heard_is(const room *r, const char *const *texts, size_t count) {
    assert_int_equal(r->heard_count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(r->heard[i].text, texts[i]);
}

static void a_job_that_fails_takes_its_words_back(void **state) {
    room *r = *state;
    say(r, "one", PORCH_OK);
    say(r, "two", PORCH_ERR_STATE);
    say(r, "three", PORCH_OK);
    heard_is(r, (const char *const[]){"one", "three"}, 2);
}

static size_t jobs_waiting(porch_store *s) {
    size_t n = 0;
    (void)pthread_mutex_lock(&s->lock);
    for (const store_job *j = s->jobs; j != NULL; j = j->next)
        n++;
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

/* All in one batch: the job that holds the writer is not over before they wait. */
static void within_one_batch_each_failure_takes_its_own_words_only(void **state) {
    room *r = *state;
    pthread_t threads[3];
    job holder = {.r = r, .holds = true}, jobs[2] = {{.r = r, .text = "kept"}, {.r = r, .text = "lost"}};
    jobs[1].end = PORCH_ERR_STATE;
    (void)sem_init(&holder.begun, 0, 0);
    (void)sem_init(&holder.let_go, 0, 0);
    porch_store_on_message(r->lab.store, refuse_bad, r);
    assert_int_equal(pthread_create(&threads[0], NULL, write_job, &holder), 0);
    (void)sem_wait(&holder.begun);
    append(r, "good 1");
    append(r, "bad 2");
    append(r, "good 3");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[1 + i], NULL, write_job, &jobs[i]), 0);
    while (jobs_waiting(r->lab.store) < 2)
        (void)sched_yield();
    (void)sem_post(&holder.let_go);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    await(r);
    heard_is(r, (const char *const[]){"kept", "good 1", "good 3"}, 3);
}

static void a_batch_that_the_disk_refuses_takes_all_words_back(void **state) {
    room *r = *state;
    job j = {.r = r, .text = "lost"};
    store_lab_disk(false);
    porch_err e = porch_store_write(r->lab.store, run_job, &j, NULL);
    append(r, "lost too");
    await(r);
    store_lab_disk(true);
    assert_int_not_equal(e, PORCH_OK);
    say(r, "kept", PORCH_OK);
    heard_is(r, (const char *const[]){"kept"}, 1);
}

typedef struct {
    room *r;
    int runs; /* the writer thread's */
    sem_t thrice;
} ticker;

static porch_err tick(porch_db *db, uint64_t now_ms, void *ctx, porch_why *why) {
    ticker *t = ctx;
    (void)db;
    (void)now_ms;
    if (++t->runs > 3) return PORCH_OK;
    add(t->r, porch_bytes_of(t->runs == 2 ? "kept" : "lost"));
    if (t->runs == 3) (void)sem_post(&t->thrice);
    return t->runs == 2 ? PORCH_OK : porch_fail(why, PORCH_ERR_INTERNAL, "changed my mind");
}

static void a_tick_that_fails_takes_its_words_back(void **state) {
    room *r = *state;
    ticker t = {.r = r};
    (void)sem_init(&t.thrice, 0, 0);
    porch_store_on_tick(r->lab.store, tick, &t);
    (void)sem_wait(&t.thrice);
    say(r, "end", PORCH_OK); /* a batch later */
    heard_is(r, (const char *const[]){"kept", "end"}, 2);
    porch_store_forget(r->lab.store, &t);
}

static porch_err say_many(porch_db *db, void *ctx, porch_why *why) {
    char text[WORD_TEXT];
    (void)db;
    (void)why;
    for (int i = 0; i < 5; i++) {
        (void)snprintf(text, sizeof text, "word %d", i);
        add(ctx, porch_bytes_of(text));
    }
    return PORCH_OK;
}

static void a_full_list_takes_no_more_and_is_empty_after_the_commit(void **state) {
    room *r = *state;
    assert_int_equal(porch_store_news_room(r->news), 3);
    assert_int_equal(porch_store_write(r->lab.store, say_many, r, NULL), PORCH_OK);
    assert_int_equal(r->refused, 2);
    heard_is(r, (const char *const[]){"word 0", "word 1", "word 2"}, 3);
    assert_int_equal(porch_store_write(r->lab.store, say_many, r, NULL), PORCH_OK);
    assert_int_equal(r->heard_count, 6);
}

/* As many as the greatest batch: none is without a word. */
static void every_message_of_the_greatest_batch_has_its_word(void **state) {
    room *r = *state;
    const size_t most = r->lab.settings.store_batch_rows;
    pthread_t thread;
    job holder = {.r = r, .holds = true};
    (void)sem_init(&holder.begun, 0, 0);
    (void)sem_init(&holder.let_go, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_job, &holder), 0);
    (void)sem_wait(&holder.begun);
    for (size_t i = 0; i < most; i++) {
        char text[WORD_TEXT];
        (void)snprintf(text, sizeof text, "%zu", i);
        append(r, text);
    }
    (void)sem_post(&holder.let_go);
    assert_int_equal(pthread_join(thread, NULL), 0);
    await(r);
    assert_int_equal(r->refused, 0);
    assert_int_equal(r->heard_count, most);
    for (size_t i = 0; i < most; i++)
        assert_int_equal(strtoul(r->heard[i].text, NULL, 10), i);
}

static void of_the_smallest_batch_each_lane_has_its_word(void **state) {
    (void)state;
    store_lab lab;
    porch_store_news *news;
    store_lab_make(&lab);
    lab.settings.store_batch_rows = 1;
    if (store_lab_open(&lab) != PORCH_OK) fail_msg("%s", lab.why.text);
    assert_int_equal(porch_store_news_open(lab.store, sizeof(word), 0, tell, NULL, &news, NULL), PORCH_OK);
    assert_int_equal(porch_store_news_room(news), PORCH_STORE_LANES);
    store_lab_remove(&lab);
}

static void a_room_that_has_gone_is_told_nothing(void **state) {
    room *r = *state;
    say(r, "heard", PORCH_OK);
    porch_store_forget(r->lab.store, r);
    say(r, "unheard", PORCH_OK);
    heard_is(r, (const char *const[]){"heard"}, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define NEWS(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)
        NEWS(a_job_that_fails_takes_its_words_back, setup),
        NEWS(within_one_batch_each_failure_takes_its_own_words_only, setup),
        NEWS(a_batch_that_the_disk_refuses_takes_all_words_back, setup),
        NEWS(a_tick_that_fails_takes_its_words_back, setup_ticking),
        NEWS(a_full_list_takes_no_more_and_is_empty_after_the_commit, setup_small),
        NEWS(every_message_of_the_greatest_batch_has_its_word, setup),
        cmocka_unit_test(of_the_smallest_batch_each_lane_has_its_word),
        NEWS(a_room_that_has_gone_is_told_nothing, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
