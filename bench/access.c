/* What a decision costs on the message path, and what it costs to decide for everybody.
 *
 *   decide    N statements in one automaton, M devices bound to it. `again` is the engine's answer for a
 * session that has published before (what it touches is in the cache), `first` for one that comes at random
 * out of M, `remembered` what the broker asks in place of the engine, for a session as in `again`. All
 * cases by turns.
 *
 *   prove     1,000 groups, 100,000 devices: isolation, and the difference of one changed statement.
 *
 * Prints one line a measure, and the ratio of the largest to the smallest `again` and `remembered`: flat is
 * near 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "access/prove.h"
#include "access/statement.h"
#include "cloud/broker/memo.h"
#include "cloud/broker/verdicts.h"

enum { SESSIONS_TRIED = 10000, DECISIONS = 200 };

static uint64_t now_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Of this program's own time: a proof is one thread's work, whoever else runs meanwhile. */
static uint64_t worked_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static uint32_t seed = 1;
static uint32_t dice(uint32_t sides) {
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * sides) >> 32);
}

/* ---- decide ---------------------------------------------------------------------------------------- */

static const porch_access_automaton *make_automaton(size_t statements) {
    static const char *const own[2] = {"d/${device.id}/+/#", "d/${device.id}/#"};
    porch_access_statement *s = calloc(statements, sizeof *s);
    enum { TEXT = 80 };
    char *texts = malloc(statements * TEXT);
    must(s != NULL && texts != NULL, "no memory");
    for (size_t i = 0; i < statements; i++) {
        char *text = texts + i * TEXT;
        switch (i < 2 ? 9 : i % 4) {
        case 0:
            (void)snprintf(text, TEXT, "d/device-%zu/shared/+", i);
            break;
        case 1:
            (void)snprintf(text, TEXT, "home/room-%zu/#", i);
            break;
        case 2:
            (void)snprintf(text, TEXT, "d/+/part-%zu/x", i);
            break;
        case 3:
            (void)snprintf(text, TEXT, "weather/+/%zu/+/now", i);
            break;
        default:
            (void)snprintf(text, TEXT, "%s", own[i]);
            break;
        }
        s[i] = (porch_access_statement){i % 7 == 6 ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW,
                                        i == 1 ? PORCH_ACCESS_SUBSCRIBE : PORCH_ACCESS_PUBLISH,
                                        {porch_bytes_of(text)},
                                        0};
    }
    size_t bytes = porch_access_automaton_bytes(s, statements);
    void *block = malloc(bytes);
    const porch_access_automaton *a = NULL;
    must(block != NULL && porch_access_automaton_build(s, statements, block, bytes, &a) == PORCH_OK,
         "the automaton was not built");
    free(s);
    free(texts);
    return a;
}

typedef struct {
    const porch_access_policy *policy;
    char topics[4][80];
    size_t lens[4];
} session;

static session *make_sessions(const porch_access_automaton *a, size_t count) {
    static const char *const ends[4] = {"telemetry/heat", "event/motion", "state/reported", "log/line"};
    session *all = calloc(count, sizeof *all);
    must(all != NULL, "no memory");
    for (size_t i = 0; i < count; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "device-%zu", i);
        const porch_access_variable v[] = {{"device.id", porch_bytes_of(id)}};
        size_t bytes = porch_access_policy_bind_bytes(a, v, 1);
        void *block = malloc(bytes);
        must(block != NULL && porch_access_policy_bind(a, v, 1, block, bytes, &all[i].policy) == PORCH_OK,
             "a policy was not bound");
        for (int k = 0; k < 4; k++)
            all[i].lens[k] =
                (size_t)snprintf(all[i].topics[k], sizeof all[i].topics[k], "d/%s/%s", id, ends[k]);
    }
    return all;
}

static uint64_t decide(const session *s, size_t times) {
    uint64_t allowed = 0;
    for (size_t i = 0; i < times; i++) {
        porch_topic_name name = {{(const uint8_t *)s->topics[i & 3], s->lens[i & 3]}};
        allowed += porch_access_can_publish(s->policy, name).allowed;
    }
    return allowed;
}

/* One number of statements and of devices. */
typedef struct {
    size_t statements, devices;
    session *all;
    porch_memo *memo;
    porch_verdicts *verdicts;
    double again[SESSIONS_TRIED], first[SESSIONS_TRIED], remembered[SESSIONS_TRIED];
} world;

/* As porch_session_decide does; the session's place is its number. */
static uint64_t remember(const world *w, const session *s, size_t times) {
    uint64_t allowed = 0, asker = (uint64_t)(s - w->all) + 1;
    for (size_t i = 0; i < times; i++) {
        porch_topic_name name = {{(const uint8_t *)s->topics[i & 3], s->lens[i & 3]}};
        uint64_t id = porch_memo_id(w->memo, name.text);
        const porch_verdict *known = porch_verdicts_find(w->verdicts, asker, PORCH_ACCESS_PUBLISH, id);
        if (known != NULL) {
            allowed += known->decision.allowed;
            continue;
        }
        porch_access_decision d = porch_access_can_publish(s->policy, name);
        porch_verdicts_keep(w->verdicts, asker, PORCH_ACCESS_PUBLISH, id, d);
        allowed += d.allowed;
    }
    return allowed;
}

static void try_one(world *w, size_t i) {
    const session *s = &w->all[dice((uint32_t)w->devices)];
    uint64_t t0 = now_ns(), allowed = decide(s, 1), t1 = now_ns();
    allowed += decide(s, 4);
    uint64_t t2 = now_ns();
    allowed += decide(s, DECISIONS);
    uint64_t t3 = now_ns();
    allowed += remember(w, s, 4);
    uint64_t t4 = now_ns();
    allowed += remember(w, s, DECISIONS);
    w->first[i] = (double)(t1 - t0);
    w->again[i] = (double)(t3 - t2) / DECISIONS;
    w->remembered[i] = (double)(now_ns() - t4) / DECISIONS;
    must(allowed == 2 * DECISIONS + 9, "a decision was wrong");
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the machine does besides falls on a few of them. */
static double median(double *all) {
    qsort(all, SESSIONS_TRIED, sizeof *all, compare);
    return all[SESSIONS_TRIED / 2];
}

static void widen(double range[2], double value) {
    range[0] = value < range[0] ? value : range[0];
    range[1] = value > range[1] ? value : range[1];
}

/* All by turns: a machine that changes its speed does so for each of them. */
static void bench_decide(void) {
    static const size_t statements[] = {10, 10000, 1000000}, devices[] = {1, 1000, 100000};
    enum { WORLDS = 9 };
    static world worlds[WORLDS];
    double again[2] = {1e9, 0}, remembered[2] = {1e9, 0};
    for (size_t i = 0; i < WORLDS; i++) {
        world *w = &worlds[i];
        w->statements = statements[i / 3];
        w->devices = devices[i % 3];
        w->all = make_sessions(make_automaton(w->statements), w->devices);
        w->memo = porch_memo_new(1);
        w->verdicts = porch_verdicts_new();
        must(w->memo != NULL && w->verdicts != NULL, "no memory");
    }
    for (size_t i = 0; i < SESSIONS_TRIED; i++)
        for (size_t k = 0; k < WORLDS; k++)
            try_one(&worlds[k], i);
    for (size_t i = 0; i < WORLDS; i++) {
        world *w = &worlds[i];
        double known = median(w->remembered), engine = median(w->again);
        printf(
            "decide  %8zu statements  %7zu devices  again %6.1f ns  first %7.1f ns  remembered %6.1f ns\n",
            w->statements, w->devices, engine, median(w->first), known);
        widen(again, engine);
        widen(remembered, known);
    }
    printf("decide  largest / smallest: again %.2f, remembered %.2f\n", again[1] / again[0],
           remembered[1] / remembered[0]);
}

/* ---- prove ----------------------------------------------------------------------------------------- */

typedef struct {
    char *text;
    void *rows, *index_rows, *world_rows;
    porch_access_document document;
    porch_access_index index;
    porch_access_world world;
} policy;

/* 1,000 groups of 100 devices each; `odd` changes one statement of one group. */
static char *make_text(bool odd) {
    size_t cap = 100000 * 40 + 1000 * 300, n = 0;
    char *text = malloc(cap);
    must(text != NULL, "no memory");
    n += (size_t)snprintf(text + n, cap - n,
                          "group devices\nmember every device\nallow publish d/${device.id}/+/#\nallow "
                          "subscribe d/${device.id}/#\n");
    for (unsigned g = 0; g < 1000; g++) {
        n += (size_t)snprintf(text + n, cap - n,
                              "group g%u\nallow publish,subscribe room/%u/#\ndeny receive "
                              "room/%u/%s\nallow subscribe weather/+/now\n",
                              g, g, g, odd && g == 500 ? "open" : "secret");
        for (unsigned d = 0; d < 100; d++)
            n += (size_t)snprintf(text + n, cap - n, "member device device-%u\n", g * 100 + d);
    }
    return text;
}

static void load(policy *p, bool odd) {
    p->text = make_text(odd);
    porch_why why = {""};
    porch_bytes text = porch_bytes_of(p->text);
    size_t bytes = porch_access_document_bytes(text);
    p->rows = malloc(bytes);
    porch_arena arena = porch_arena_of(p->rows, bytes);
    must(porch_access_document_parse(text, &arena, &p->document, NULL, &why) == PORCH_OK, why.text);
    bytes = porch_access_index_bytes(&p->document);
    p->index_rows = malloc(bytes);
    arena = porch_arena_of(p->index_rows, bytes);
    must(porch_access_index_make(&p->document, &arena, &p->index) == PORCH_OK, "no index");
    bytes = porch_access_world_bytes(&p->document);
    p->world_rows = malloc(bytes);
    arena = porch_arena_of(p->world_rows, bytes);
    must(porch_access_world_make(&p->document, &p->index, &arena, &p->world) == PORCH_OK, "no world");
}

static bool count_one(const porch_access_finding *f, void *ctx) {
    (void)f;
    ++*(size_t *)ctx;
    return true;
}

static void show(const char *what, uint64_t start_ns, size_t found) {
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    printf("%-24s 1,000 groups  100,000 devices  %6.0f ms  %4ld MiB at most  %zu found\n", what,
           (double)(worked_ns() - start_ns) / 1e6, use.ru_maxrss / 1024, found);
}

static void bench_prove(void) {
    static policy now, before;
    porch_access_proof proof;
    size_t found = 0;
    uint64_t start = worked_ns();
    load(&now, false);
    porch_access_question q = {.world = &now.world, .found = count_one, .found_ctx = &found};
    porch_access_prove_isolation(&q, &proof);
    must(found == 0 && proof.undecided == 0, "isolation was not proved");
    show("prove isolation", start, found);
    start = worked_ns();
    load(&before, true);
    porch_access_prove_newly(&q, &before.world, &proof);
    size_t allowed = found;
    q.world = &before.world;
    porch_access_prove_newly(&q, &now.world, &proof);
    must(allowed > 0 && found > allowed, "the difference was not found");
    show("policy diff", start, found);
}

int main(int argc, char **argv) {
    bool proofs_only = argc > 1 && strcmp(argv[1], "prove") == 0;
    bench_prove(); /* first: its memory is the process's most */
    if (!proofs_only) bench_decide();
    return 0;
}
