/* People in proofs: known answers, then random policies against brute force over a world small enough to
 * try all of it. */
#include "access/prove_testbed.h"

#include "access/automaton.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- who and what the registry and the accounts know ------------------------------------------------ */

static bool device(porch_bytes id, porch_access_principal *ret, void *ctx) {
    (void)ctx;
    bool a = porch_bytes_eq_text(id, "a"), b = porch_bytes_eq_text(id, "b");
    if (!a && !b) return false;
    ret->household = a ? PORCH_LIT("h1") : PORCH_LIT("h2");
    ret->product = PORCH_LIT("cam");
    return true;
}

static bool person(porch_bytes name, porch_access_principal *ret, void *ctx) {
    (void)ctx;
    bool anna = porch_bytes_eq_text(name, "anna"), bob = porch_bytes_eq_text(name, "bob");
    if (!anna && !bob) return false;
    ret->household = anna ? PORCH_LIT("h1") : PORCH_LIT("h2");
    ret->role = anna ? PORCH_ROLE_ADULT : PORCH_ROLE_GUEST;
    return true;
}

static bool take(const porch_access_finding *f, void *ctx) {
    findings *all = ctx;
    if (all->count++ == 0)
        (void)snprintf(all->first, sizeof all->first, "%s %.*s (%s of %.*s) %s %.*s by %.*s",
                       porch_access_kind_word(f->who.kind), PORCH_FMT(f->who.name),
                       porch_role_name(f->who.role), PORCH_FMT(f->who.household),
                       f->action == PORCH_ACCESS_PUBLISH ? "publish" : "receive", PORCH_FMT(f->topic),
                       PORCH_FMT(f->group->name));
    return true;
}

static porch_access_question asked(const bench *b, findings *all) {
    return (porch_access_question){
        .world = &b->world, .device = device, .found = take, .found_ctx = all, .person = person};
}

/* ---- known answers ---------------------------------------------------------------------------------- */

#define PEOPLE                                                                                       \
    "group people\nmember every owner\nmember every adult\nmember every child\nmember every guest\n" \
    "allow subscribe,receive d/${household.device}/event/#\n"                                        \
    "allow subscribe,receive $porchlight/device/${household.device}/#\n"

static void households_of_a_new_hub_are_isolated(void **state) {
    (void)state;
    isolated(PEOPLE);
    isolated("group g\nmember every owner\nallow publish d/${household.device}/command/+/request\n");
    isolated("group g\nmember people h1\nallow subscribe d/a/#\n"); /* their own */
    isolated("group g\nmember person anna\nallow subscribe d/a/#\n");
    isolated("group g\nmember every person\nallow subscribe #\ndeny subscribe d/#\n");
    isolated("group g\nmember every person\nallow subscribe weather/#\n");
}

static void who_reaches_another_household_is_found(void **state) {
    (void)state;
    broken("group g\nmember every adult\nallow subscribe d/+/event/#\n",
           "person somebody (adult of any-household) receive d/victim/event by g");
    broken("group g\nmember people h2 guest\nallow subscribe d/a/#\n",
           "person somebody (guest of h2) receive d/a by g");
    broken("group g\nmember person anna\nallow publish d/b/x\n",
           "person anna (adult of h1) publish d/b/x by g");
    broken("group g\nmember person zed\nallow publish d/a/x\n",
           "person zed (owner of any-household) publish d/a/x by g");
    /* a device that the registry has not could be of another household */
    broken("group g\nmember people h1\nallow subscribe d/new/#\n",
           "person somebody (owner of h1) receive d/new by g");
    /* the own ones are denied, the others' are not */
    broken("group g\nmember every person\nallow subscribe d/+/x\ndeny receive d/${household.device}/#\n",
           "person somebody (owner of any-household) receive d/victim/x by g");
    /* a household that is called like a device */
    broken("group g\nmember every guest\nallow subscribe d/${household.id}/x\n",
           "person somebody (guest of any-household) receive d/any-household/x by g");
    /* one role is held back, the others are not */
    broken("group g\nmember every person\nallow subscribe d/+/x\ngroup o\nmember every owner\nmember every "
           "adult\ndeny receive #\n",
           "person somebody (child of any-household) receive d/victim/x by g");
}

static void nobody_but_counts_people(void **state) {
    (void)state;
    const char *text = PEOPLE "group parents\nmember people h1 adult\nallow subscribe d/a/state/#\n"
                              "group watch\nmember service lights\nallow subscribe x/#\n";
    assert_int_equal(nobody_but(text, "people", PORCH_ACCESS_RECEIVE, "d/+/event/#").count, 0);
    assert_string_equal(nobody_but(text, "watch", PORCH_ACCESS_RECEIVE, "d/b/event/#").first,
                        "person somebody (adult of h2) receive d/b/event by people");
    assert_string_equal(nobody_but(text, "people", PORCH_ACCESS_RECEIVE, "d/a/#").first, "");
    assert_string_equal(nobody_but(text, "watch", PORCH_ACCESS_RECEIVE, "d/a/state/x").first,
                        "person somebody (adult of h1) receive d/a/state/x by parents");
    assert_int_equal(nobody_but(text, "parents", PORCH_ACCESS_PUBLISH, "#").count, 0);
    /* the question's own words are no fresh names: "x" at the end must be at home, what stands for '+' not
     */
    assert_string_equal(nobody_but("group g\nmember people h1\nallow receive +/+/${household.device}\n"
                                   "deny receive d/${household.device}/#\ngroup k\n",
                                   "k", PORCH_ACCESS_RECEIVE, "d/+/x")
                            .first,
                        "person somebody (owner of h1) receive d/x-2/x by g");
}

static void a_difference_about_people_is_told(void **state) {
    (void)state;
    assert_int_equal(newly(PEOPLE, PEOPLE).count, 0);
    assert_string_equal(newly("", PEOPLE).first,
                        "person somebody (adult of any-household) receive d/housemate/event by people");
    /* what the group people says already is nothing new */
    assert_int_equal(
        newly(PEOPLE, PEOPLE "group g\nmember person anna\nallow receive d/${household.device}/event/x\n")
            .count,
        0);
    assert_int_equal(newly(PEOPLE, PEOPLE "group g\nmember people h1\nallow receive d/a/event/x\n").count,
                     0);
    assert_string_equal(
        newly(PEOPLE, PEOPLE "group g\nmember people h1\nallow receive d/b/event/x\n").first,
        "person somebody (owner of h1) receive d/b/event/x by g");
    /* a deny that goes, for one person, one role, one household */
    assert_string_equal(
        newly(PEOPLE "group k\nmember person bob\ndeny receive d/${household.device}/#\n", PEOPLE).first,
        "person bob (guest of h2) receive d/housemate/event by people");
    assert_string_equal(newly(PEOPLE "group k\nmember people h1 child\ndeny receive d/a/#\n", PEOPLE).first,
                        "person somebody (child of h1) receive d/a/event by people");
    assert_string_equal(newly(PEOPLE "group k\nmember every guest\ndeny receive #\n", PEOPLE).first,
                        "person somebody (guest of any-household) receive d/housemate/event by people");
}

/* ---- against brute force ----------------------------------------------------------------------------- */

static const char *const members[] = {"every person", "every person", "every adult",
                                      "every guest",  "people h1",    "people h1 adult",
                                      "people h2",    "person anna",  "person bob"};
static const char *const firsts[] = {"d", "d", "d", "d", "+", "a", "#", "${household.device}"};
static const char *const levels[] = {
    "+", "+", "a", "b", "x", "${household.device}", "${household.device}", "${household.id}"};

static void random_policy(char *text, size_t cap) {
    size_t n = 0;
    unsigned groups = 1 + dice(3);
    for (unsigned g = 0; g < groups; g++) {
        n += (size_t)snprintf(text + n, cap - n, "group g%u\nmember %s\n", g, members[dice(9)]);
        if (dice(3) == 0) n += (size_t)snprintf(text + n, cap - n, "member %s\n", members[dice(9)]);
        unsigned statements = 1 + dice(3);
        for (unsigned s = 0; s < statements; s++) {
            n += (size_t)snprintf(text + n, cap - n, "%s %s ", dice(3) == 0 ? "deny" : "allow",
                                  dice(2) == 0   ? "publish"
                                  : dice(2) == 0 ? "subscribe"
                                                 : "receive");
            const char *first = firsts[dice(8)];
            n += (size_t)snprintf(text + n, cap - n, "%s", first);
            unsigned more = first[0] == '#' ? 0 : dice(3);
            for (unsigned i = 0; i < more; i++) /* the last one, ${household.id}, in the middle only */
                n += (size_t)snprintf(text + n, cap - n, "/%s", levels[dice(i == 0 ? 8 : 7)]);
            n += (size_t)snprintf(text + n, cap - n, "%s\n", first[0] != '#' && dice(3) == 0 ? "/#" : "");
        }
    }
}

/* What there is: devices "a" of h1 and "b" of h2, others that could be of any household; the people that
 * the accounts have, and one who could be invited with any role into any of these. */
static const char *const tops[] = {"d", "a", "y"};
static const char *const middles[] = {"a", "b", "ab", "z", "h1", "h2", "h3", "x"};
static const char *const lows[] = {"a", "b", "x", "z"};
static const char *const households[] = {"h1", "h2", "h3", "a", "b", "x", "d"};
static const porch_role roles[] = {PORCH_ROLE_ADULT, PORCH_ROLE_GUEST, PORCH_ROLE_CHILD};

/* Texts as numbers, so that many can be compared. Of a rule also what is no text. */
enum { PLUS = -1, HOUSEMATE = -2, HOUSEHOLD = -3, A = 0, B = 1, H1 = 2, H2 = 3 };
static const char *const names[] = {"a", "b", "h1", "h2", "ab", "z", "h3", "x", "d", "y"};

static int number_of(porch_bytes text) {
    static const char *const others[] = {"+", PORCH_ACCESS_DEVICES, "${household.id}"};
    for (int i = 0; i < (int)COUNT(others); i++)
        if (porch_bytes_eq_text(text, others[i])) return -1 - i;
    for (int i = 0; i < (int)COUNT(names); i++)
        if (porch_bytes_eq_text(text, names[i])) return i;
    fail_msg("no name: %.*s", PORCH_FMT(text));
    return 0;
}

typedef struct {
    int level[4];
    unsigned count;
    char text[32];
    unsigned unknown[4], unknown_count; /* levels whose household nobody knows */
} topic;

static topic topics[300];
static size_t topic_count;

static void add_topic(const char *a, const char *b, const char *c, const char *d) {
    topic *t = &topics[topic_count++];
    const char *all[] = {a, b, c, d};
    size_t len = 0;
    *t = (topic){.count = 0};
    for (unsigned i = 0; i < 4 && all[i] != NULL; i++) {
        t->level[t->count++] = number_of(porch_bytes_of(all[i]));
        len += (size_t)snprintf(t->text + len, sizeof t->text - len, "%s%s", i == 0 ? "" : "/", all[i]);
        if (t->level[i] != A && t->level[i] != B) t->unknown[t->unknown_count++] = i;
    }
}

/* One level more than any statement has: what lies deeper is met like this. */
static void make_topics(void) {
    topic_count = 0;
    for (size_t i = 0; i < COUNT(tops); i++) {
        add_topic(tops[i], NULL, NULL, NULL);
        for (size_t k = 0; k < COUNT(middles); k++) {
            add_topic(tops[i], middles[k], NULL, NULL);
            for (size_t l = 0; l < COUNT(lows); l++) {
                add_topic(tops[i], middles[k], lows[l], NULL);
                add_topic(tops[i], middles[k], lows[l], "z");
            }
        }
    }
}

/* Independent of automata: statements one by one, level by level, as the rules say. */
typedef struct {
    int level[4];
    unsigned count, actions;
    bool rest, deny;
    const porch_access_group *group;
} rule;

static rule rules[16];
static size_t rule_count;

static void take_rules(const porch_access_document *d) {
    rule_count = 0;
    for (size_t g = 0; g < d->group_count; g++)
        for (size_t k = 0; k < d->groups[g].statement_count; k++) {
            const porch_access_statement *s = &d->groups[g].statements[k];
            rule *r = &rules[rule_count++];
            *r = (rule){.deny = s->effect == PORCH_ACCESS_DENY, .group = &d->groups[g]};
            r->actions =
                s->actions | ((s->actions & PORCH_ACCESS_SUBSCRIBE) != 0 ? PORCH_ACCESS_RECEIVE : 0u);
            porch_topic_level walk = porch_topic_level_first(s->filter.text);
            for (porch_bytes level; porch_topic_level_next(&walk, &level);) {
                if (porch_bytes_eq_text(level, "#"))
                    r->rest = true;
                else
                    r->level[r->count++] = number_of(level);
            }
        }
}

typedef struct {
    porch_access_principal who;
    int household;
    bool in[16];      /* the rules of its groups */
    const topic *t;   /* what is asked about, ... */
    unsigned at_home; /* ... with these of its unknown devices at home: bits by level */
} asker;

static bool is_home(const asker *a, unsigned level) {
    if (a->t->level[level] == A) return a->household == H1;
    if (a->t->level[level] == B) return a->household == H2;
    return (a->at_home >> level & 1u) != 0;
}

static bool fits(const asker *a, const rule *r) {
    if (a->t->count < r->count || (!r->rest && a->t->count != r->count)) return false;
    for (unsigned i = 0; i < r->count; i++) {
        int want = r->level[i];
        bool yes = want == PLUS        ? true
                   : want == HOUSEMATE ? is_home(a, i)
                   : want == HOUSEHOLD ? a->household == a->t->level[i]
                                       : want == a->t->level[i];
        if (!yes) return false;
    }
    return true;
}

static bool may(const asker *a, unsigned action) {
    bool allowed = false;
    for (size_t i = 0; i < rule_count; i++) {
        if (!a->in[i] || (rules[i].actions & action) == 0 || !fits(a, &rules[i])) continue;
        if (rules[i].deny) return false;
        allowed = true;
    }
    return allowed;
}

/* The engine, asked the same. */
static bool engine_may(const bench *b, asker *a, unsigned action) {
    uint64_t block[64];
    porch_bytes home[4];
    size_t n = 0;
    for (unsigned i = 0; i < a->t->count; i++)
        if (is_home(a, i)) home[n++] = porch_bytes_of(names[a->t->level[i]]);
    assert_int_equal(porch_access_set_build(home, n, block, sizeof block, &a->who.devices), PORCH_OK);
    bool yes = porch_access_world_judge(&b->world, &a->who, action, porch_bytes_of(a->t->text)).allowed;
    a->who.devices = NULL;
    return yes;
}

/* The same name in two places is one device. */
static bool is_possible(const asker *a) {
    for (unsigned i = 0; i < a->t->count; i++)
        for (unsigned k = 0; k < i; k++)
            if (a->t->level[i] == a->t->level[k] && is_home(a, i) != is_home(a, k)) return false;
    return true;
}

typedef struct {
    bool isolation;
    const porch_access_group *but;
    const char *want;
    unsigned action;
    bool in_but;
} riddle;

static bool is_asked_about(const riddle *q, const asker *a, unsigned action) {
    if (q->isolation) return a->t->count > 1 && a->t->text[0] == 'd' && !is_home(a, 1);
    return action == q->action && !q->in_but &&
           porch_topic_matches((porch_topic_filter){porch_bytes_of(q->want)},
                               (porch_topic_name){porch_bytes_of(a->t->text)});
}

static bool brute_person(const bench *b, const riddle *q, asker *a, char *example, size_t cap) {
    static unsigned turn;
    bool any = false;
    for (size_t i = 0; i < rule_count; i++) {
        a->in[i] = false;
        for (size_t k = 0; k < rules[i].group->member_count; k++)
            a->in[i] =
                a->in[i] || porch_access_index_holds(&b->index, &rules[i].group->members[k], &a->who);
        any = any || a->in[i];
    }
    for (size_t t = 0; any && t < topic_count; t++) {
        a->t = &topics[t];
        for (unsigned bits = 0; bits < 1u << a->t->unknown_count; bits++) {
            a->at_home = 0;
            for (unsigned i = 0; i < a->t->unknown_count; i++)
                if ((bits >> i & 1u) != 0) a->at_home |= 1u << a->t->unknown[i];
            if (!is_possible(a)) continue;
            for (unsigned action = PORCH_ACCESS_PUBLISH; action <= PORCH_ACCESS_RECEIVE; action *= 4) {
                bool yes = may(a, action);
                if (turn++ % 61 == 0 && engine_may(b, a, action) != yes)
                    fail_msg("the engine and the rules differ on %s for %.*s", a->t->text,
                             PORCH_FMT(a->who.name));
                if (!yes || !is_asked_about(q, a, action)) continue;
                (void)snprintf(example, cap, "%.*s (%s of %.*s) %u %s", PORCH_FMT(a->who.name),
                               porch_role_name(a->who.role), PORCH_FMT(a->who.household), action,
                               a->t->text);
                return true;
            }
        }
    }
    return false;
}

static bool in_group(const bench *b, const porch_access_group *g, const porch_access_principal *who) {
    for (size_t k = 0; g != NULL && k < g->member_count; k++)
        if (porch_access_index_holds(&b->index, &g->members[k], who)) return true;
    return false;
}

static bool brute(const bench *b, riddle *q, char *example, size_t cap) {
    static const char *const people[] = {"anna", "bob", "zed"};
    for (size_t n = 0; n < COUNT(people); n++)
        for (size_t h = 0; h < COUNT(households); h++)
            for (size_t r = 0; r < COUNT(roles); r++) {
                asker a = {.who = {.kind = PORCH_ACCESS_PERSON, .name = porch_bytes_of(people[n])}};
                if (person(a.who.name, &a.who, NULL)) {
                    if (h + r > 0) continue;
                } else {
                    a.who.household = porch_bytes_of(households[h]);
                    a.who.role = roles[r];
                }
                a.household = number_of(a.who.household);
                q->in_but = in_group(b, q->but, &a.who);
                if (brute_person(b, q, &a, example, cap)) return true;
            }
    return false;
}

static void compare(const bench *b, const char *text, riddle *q, size_t round, size_t *broken_ones) {
    findings all = {0, ""};
    porch_access_proof proof;
    char example[160] = "nothing";
    porch_access_question to = asked(b, &all);
    if (q->isolation)
        porch_access_prove_isolation(&to, &proof);
    else
        porch_access_prove_nobody(&to, q->but, q->action, (porch_topic_filter){porch_bytes_of(q->want)},
                                  &proof);
    bool found = brute(b, q, example, sizeof example);
    if (found != (all.count > 0) || proof.undecided > 0)
        fail_msg("round %zu: %s: proof %zu (%s), %zu undecided, brute force %s in\n%s", round,
                 q->isolation ? "isolation" : q->want, all.count, all.first, proof.undecided, example,
                 text);
    *broken_ones += found;
}

static void random_policies_of_people_are_proved_as_brute_force_finds(void **state) {
    (void)state;
    static bench b;
    static char text[2000];
    static const char *const wants[] = {"d/a/#", "d/+/x", "+/b/x", "a/#", "#", "d/x", "d/+/a"};
    const char *cases_text = getenv("PORCH_SWEEP_CASES");
    size_t cases = cases_text == NULL ? 5000 : (size_t)strtoull(cases_text, NULL, 10);
    size_t broken_ones = 0;
    seed = (uint32_t)cases;
    make_topics();
    for (size_t round = 0; round < cases; round++) {
        random_policy(text, sizeof text);
        make(&b, text);
        take_rules(&b.document);
        riddle q = {.isolation = round % 2 == 0};
        if (!q.isolation) {
            q.but = dice(2) == 0 ? NULL : &b.document.groups[dice((uint32_t)b.document.group_count)];
            q.want = wants[dice(COUNT(wants))];
            q.action = dice(2) == 0 ? PORCH_ACCESS_PUBLISH : PORCH_ACCESS_RECEIVE;
        }
        compare(&b, text, &q, round, &broken_ones);
    }
    assert_true(broken_ones > cases / 10 && broken_ones < cases - cases / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(households_of_a_new_hub_are_isolated),
        cmocka_unit_test(who_reaches_another_household_is_found),
        cmocka_unit_test(nobody_but_counts_people),
        cmocka_unit_test(a_difference_about_people_is_told),
        cmocka_unit_test(random_policies_of_people_are_proved_as_brute_force_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
