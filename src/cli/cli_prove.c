/* prove and policy diff: questions about everybody at once. */
#include <stdlib.h>
#include <string.h>

#include "access/statement.h"
#include "cli/cli_access.h"
#include "cli/foreign.h"
#include "cli/prove_replay.h"

/* ---- a policy as a world --------------------------------------------------------------------------- */

typedef struct {
    porch_access_world world;
    void *block;
} judged_world;

static porch_err make_world(const porch_cli_policy *p, judged_world *ret, porch_why *why) {
    size_t bytes = porch_access_world_bytes(&p->document);
    ret->block = malloc(bytes);
    porch_arena arena = porch_arena_of(ret->block, bytes);
    porch_err e = ret->block == NULL
                      ? PORCH_ERR_INTERNAL
                      : porch_access_world_make(&p->document, &p->index, &arena, &ret->world);
    if (e == PORCH_OK) return PORCH_OK;
    free(ret->block);
    return porch_fail(why, e, "the policy cannot be judged: %s", porch_err_text(e));
}

/* What the registry knows, by id. */
typedef struct {
    const porch_cli_policy *policy;
    uint32_t *rows; /* in order of id */
    size_t count;
} registry;

static const porch_cli_policy *sorting;
static int compare_rows(const void *a, const void *b) {
    porch_access_principal x = porch_cli_principal_at(sorting, *(const uint32_t *)a);
    porch_access_principal y = porch_cli_principal_at(sorting, *(const uint32_t *)b);
    return strcmp((const char *)x.name.at, (const char *)y.name.at);
}

static porch_err make_registry(const porch_cli_policy *p, registry *ret, porch_why *why) {
    *ret = (registry){p, calloc(porch_cli_principal_count(p) + 1, sizeof *ret->rows), 0};
    if (ret->rows == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the devices");
    for (uint32_t i = 0; i < porch_cli_principal_count(p); i++)
        if (porch_cli_principal_at(p, i).kind == PORCH_ACCESS_DEVICE) ret->rows[ret->count++] = i;
    sorting = p;
    qsort(ret->rows, ret->count, sizeof *ret->rows, compare_rows);
    return PORCH_OK;
}

static bool known_device(porch_bytes id, porch_access_principal *ret, void *ctx) {
    const registry *r = ctx;
    char name[80];
    if (!porch_bytes_to_text(id, name, sizeof name)) return false;
    for (size_t low = 0, high = r->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        porch_access_principal one = porch_cli_principal_at(r->policy, r->rows[middle]);
        int order = strcmp((const char *)one.name.at, name);
        if (order == 0) {
            *ret = one;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool known_person(porch_bytes name, porch_access_principal *ret, void *ctx) {
    const registry *r = ctx;
    size_t count = porch_cli_principal_count(r->policy);
    for (size_t i = count; i-- > 0;) {
        porch_access_principal one = porch_cli_principal_at(r->policy, i);
        if (one.kind != PORCH_ACCESS_PERSON) return false; /* people stand last */
        if (!porch_bytes_eq(one.name, name)) continue;
        *ret = one;
        return true;
    }
    return false;
}

/* ---- findings --------------------------------------------------------------------------------------- */

enum { SHOWN_MOST = 1000 };

typedef struct {
    json_t *list;
    const porch_access_group *group; /* of the last, to tell a statement once */
    const porch_access_statement *statement;
    unsigned action;
    /* the first one, with texts of its own */
    porch_access_finding first;
    porch_replay_case carried_out;
    char texts[5][1200];
    bool any;
} collected;

static const char *action_name(unsigned action) {
    return action == PORCH_ACCESS_PUBLISH ? "publish" : action == PORCH_ACCESS_READ ? "read" : "receive";
}

static porch_bytes keep(collected *all, size_t i, porch_bytes from) {
    (void)porch_bytes_to_text(from, all->texts[i], sizeof all->texts[i]);
    return porch_bytes_of(all->texts[i]);
}

static bool is_kept(const porch_replay_case *to, porch_bytes mate) {
    for (size_t i = 0; i < to->mate_count; i++)
        if (porch_bytes_eq(to->mates[i], mate)) return true;
    return false;
}

/* Those levels of the first one's topic for which it matters that they are devices of the person's home. */
static void keep_mates(collected *all, const porch_access_set *devices) {
    porch_replay_case *to = &all->carried_out;
    porch_topic_level walk = porch_topic_level_first(all->first.topic);
    for (porch_bytes level;
         porch_topic_level_next(&walk, &level) && to->mate_count < PORCH_REPLAY_MATES_MOST;)
        if (level.len > 0 && porch_access_set_has(devices, level) && !is_kept(to, level))
            to->mates[to->mate_count++] = level;
}

static void keep_first(collected *all, const porch_access_finding *f) {
    all->any = true;
    all->first = *f;
    all->first.topic = keep(all, 0, f->topic);
    all->first.who.name = keep(all, 1, f->who.name);
    all->first.who.product = keep(all, 2, f->who.product);
    all->first.who.household = keep(all, 3, f->who.household);
    all->first.who.devices = NULL;
    all->first.victim = keep(all, 4, f->victim);
    all->carried_out = (porch_replay_case){.finding = &all->first};
    if (f->who.kind == PORCH_ACCESS_PERSON && f->who.devices != NULL) keep_mates(all, f->who.devices);
}

static bool collect(const porch_access_finding *f, void *ctx) {
    collected *all = ctx;
    if (!all->any) keep_first(all, f);
    if (f->statement == all->statement && f->action == all->action) return true;
    all->statement = f->statement;
    all->action = f->action;
    json_t *row =
        json_pack("{s:s, s:s%, s:s, s:s%, s:s%, s:s}", "kind", porch_access_kind_word(f->who.kind), "name",
                  f->who.name.at, f->who.name.len, "action", action_name(f->action), "topic", f->topic.at,
                  f->topic.len, "group", f->group->name.at, f->group->name.len, "statement",
                  porch_cli_statement(f->statement).text);
    if (f->who.kind == PORCH_ACCESS_DEVICE)
        (void)json_object_set_new(row, "product",
                                  json_stringn((const char *)f->who.product.at, f->who.product.len));
    if (f->who.kind == PORCH_ACCESS_PERSON)
        (void)json_object_set_new(row, "role", json_string(porch_role_name(f->who.role)));
    if (f->who.kind != PORCH_ACCESS_SERVICE) {
        (void)json_object_set_new(row, "household",
                                  json_stringn((const char *)f->who.household.at, f->who.household.len));
    }
    if (f->victim.len > 0)
        (void)json_object_set_new(row, "victim", json_stringn((const char *)f->victim.at, f->victim.len));
    (void)json_array_append_new(all->list, row);
    return json_array_size(all->list) < SHOWN_MOST;
}

static void show_finding(const json_t *row, const char *mark) {
    printf("%s%s %s", mark, porch_cli_member(row, "kind"),
           porch_cli_safe(porch_cli_member(row, "name")).text);
    if (json_object_get(row, "role") != NULL)
        printf(" (%s, household %s)", porch_cli_member(row, "role"),
               porch_cli_safe(porch_cli_member(row, "household")).text);
    if (json_object_get(row, "product") != NULL)
        printf(" (product %s, household %s)", porch_cli_safe(porch_cli_member(row, "product")).text,
               porch_cli_safe(porch_cli_member(row, "household")).text);
    printf(" may %s %s\n    by group %s: %s\n", porch_cli_member(row, "action"),
           porch_cli_safe(porch_cli_member(row, "topic")).text, porch_cli_member(row, "group"),
           porch_cli_safe(porch_cli_member(row, "statement")).text);
}

/* ---- prove ------------------------------------------------------------------------------------------ */

static const char *const isolation_model[] = {
    "every device id of the grammar, every product, every household, whether enrolled or not",
    "a device is who its certificate says; its session belongs to that name, whatever client identifier it "
    "asks for",
    "a subscription, shared or wildcard or retained, brings only what the device may receive: judged at "
    "each delivery",
    "retained messages and wills are published, and judged so; nobody publishes to topics that begin with "
    "$",
    "a device of the registry has the product and household that stand there; services are not devices",
    "a person has one household and one role, which the sign-in proves; a device that the registry has not "
    "could be of any household, and its topics are another's to everybody but its own people",
    "a guest's time only takes away; the HTTP API shows a person the own household only, policy or not",
    NULL};

static void show_proof(const json_t *answer, const char *const *model) {
    const json_t *row, *list = json_object_get(answer, "counterexamples");
    size_t i;
    unsigned long long undecided = porch_cli_number(answer, "undecided");
    if (json_array_size(list) == 0 && undecided == 0) {
        printf("PROVED, from %llu statements and %llu candidates. The model:\n",
               (unsigned long long)porch_cli_number(answer, "statements"),
               (unsigned long long)porch_cli_number(answer, "candidates"));
        for (; *model != NULL; model++)
            printf("  - %s\n", *model);
        return;
    }
    if (json_array_size(list) == 0)
        printf(
            "NOT DECIDED: %llu pairs of levels with variables could be alike in ways that were not tried; "
            "write them alike.\n",
            undecided);
    else
        printf("COUNTEREXAMPLE%s\n", json_array_size(list) > 1 ? "S, one for each statement" : "");
    for (i = 0; (row = json_array_get(list, i)) != NULL; i++)
        show_finding(row, "  ");
    const char *replay = porch_cli_member(answer, "replay");
    if (*replay != '\0') printf("The first one on a scratch hub: %s\n", replay);
}

/* What became of the first one. That it could not be tried takes nothing from the proof's word. */
static void replay(const porch_cli_policy *p, const collected *all, json_t *answer) {
    porch_replay_result result = PORCH_REPLAY_REFUSED;
    porch_why why = {""};
    porch_err e = porch_replay(p->text, &all->carried_out, &result, &why);
    json_t *words = e != PORCH_OK ? json_sprintf("it could not be carried out: %s", porch_why_text(&why, e))
                    : result == PORCH_REPLAY_PASSED
                        ? json_string("it went through")
                        : json_string("it was refused; please report this: the proof and the hub differ");
    (void)json_object_set_new(answer, "replay", words);
}

/* "nobody but GROUP can ACTION FILTER", or "nobody can ACTION FILTER". */
typedef struct {
    bool isolation;
    char group[100], action[20], filter[600];
} question;

static porch_err parse_question(const char *text, question *ret, porch_why *why) {
    question q = {.isolation = strcmp(text, "isolation") == 0};
    char end = 0;
    if (!q.isolation &&
        sscanf(text, "nobody but %99s can %19s %599s%c", q.group, q.action, q.filter, &end) != 3) {
        q.group[0] = '\0';
        if (sscanf(text, "nobody can %19s %599s%c", q.action, q.filter, &end) != 2)
            return porch_fail(why, PORCH_ERR_USAGE,
                              "prove 'isolation' or 'nobody but GROUP can ACTION FILTER', not '%.100s'",
                              text);
    }
    *ret = q;
    return PORCH_OK;
}

static porch_err ask(const question *q, const porch_cli_policy *p, const porch_access_question *to,
                     porch_access_proof *proof, porch_why *why) {
    const porch_access_group *but = NULL;
    porch_topic_filter filter;
    unsigned action;
    if (q->isolation) {
        porch_access_prove_isolation(to, proof);
        return PORCH_OK;
    }
    PORCH_TRY(porch_access_actions_parse(porch_bytes_of(q->action), &action, why));
    if ((action & (action - 1)) != 0)
        return porch_fail(why, PORCH_ERR_USAGE, "ask about one action at a time");
    if (porch_topic_filter_parse(porch_bytes_of(q->filter), NULL, &filter) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE, "'%.100s' is no topic filter", q->filter);
    if (q->group[0] != '\0') {
        but = porch_access_document_find(&p->document, porch_bytes_of(q->group));
        if (but == NULL) return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no group %.80s", q->group);
    }
    porch_access_prove_nobody(to, but, action, filter, proof);
    return PORCH_OK;
}

static const char *const nobody_model[] = {
    "every device, service and person that is a member of a group, or could be by its id, product, "
    "household or role",
    "a person of the hub has the household and role that stand there; a device that the registry has not "
    "could be of any household",
    "subscribing means receiving: each delivery is judged, so a wide filter brings no more",
    "retained messages and wills are published, and judged so; nobody publishes to topics that begin with "
    "$",
    NULL};

static json_t *proof_json(const collected *all, const porch_access_proof *proof) {
    return json_pack("{s:b, s:I, s:I, s:I, s:O}", "proved",
                     json_array_size(all->list) == 0 && proof->undecided == 0, "statements",
                     (json_int_t)proof->statements, "candidates", (json_int_t)proof->candidates,
                     "undecided", (json_int_t)proof->undecided, "counterexamples", all->list);
}

static int prove_policy(porch_cli *c, const question *q, porch_cli_policy *p) {
    porch_why why = {""};
    judged_world w;
    registry devices = {NULL, NULL, 0};
    porch_access_proof proof = {0, 0, 0};
    collected *all = calloc(1, sizeof *all);
    bool proved = false;
    if (all == NULL) return porch_cli_fail(PORCH_ERR_INTERNAL, &why);
    all->list = json_array();
    porch_err e = make_world(p, &w, &why);
    if (e == PORCH_OK) {
        e = make_registry(p, &devices, &why);
        porch_access_question to = {.world = &w.world,
                                    .device = known_device,
                                    .device_ctx = &devices,
                                    .found = collect,
                                    .found_ctx = all,
                                    .person = known_person};
        if (e == PORCH_OK) e = ask(q, p, &to, &proof, &why);
        json_t *answer = proof_json(all, &proof);
        if (e == PORCH_OK && all->any && porch_replay_can(&all->first) && !porch_cli_flag(c, "--no-replay"))
            replay(p, all, answer);
        proved = json_is_true(json_object_get(answer, "proved"));
        if (e == PORCH_OK && !porch_cli_json(c, answer))
            show_proof(answer, q->isolation ? isolation_model : nobody_model);
        json_decref(answer);
        free(devices.rows);
        free(w.block);
    }
    json_decref(all->list);
    free(all);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    return proved ? PORCH_CLI_DONE : PORCH_CLI_REFUSED;
}

/* Policies of others: --mosquitto FILE, --aws FILE. */
static int prove_foreign(porch_cli *c, const char *file,
                         porch_err (*judge)(porch_bytes, porch_foreign_answer *, porch_why *)) {
    porch_why why = {""}, inner = {""};
    porch_foreign_answer answer;
    char *text = NULL;
    porch_err e = porch_cli_read_file(file, &text, &why);
    if (e == PORCH_OK) {
        e = judge(porch_bytes_of(text), &answer, &inner);
        if (e != PORCH_OK) (void)porch_fail(&why, e, "%.80s: %s", file, porch_why_text(&inner, e));
    }
    free(text);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *row = json_pack("{s:b, s:s}", "found", (int)answer.found, "text", answer.text);
    if (!porch_cli_json(c, row))
        printf("%s%s\n", answer.found ? "COUNTEREXAMPLE\n" : "NOTHING FOUND: ", answer.text);
    json_decref(row);
    return answer.found ? PORCH_CLI_REFUSED : PORCH_CLI_DONE;
}

static int prove(porch_cli *c) {
    porch_why why = {""};
    const char *mosquitto = porch_cli_text(c, "--mosquitto"), *aws = porch_cli_text(c, "--aws");
    if (mosquitto != NULL) return prove_foreign(c, mosquitto, porch_foreign_mosquitto);
    if (aws != NULL) return prove_foreign(c, aws, porch_foreign_aws);
    if (c->argument == NULL)
        return porch_cli_fail(
            porch_fail(&why, PORCH_ERR_USAGE, "'prove' needs a question; see prove --help"), &why);
    porch_cli_policy p;
    question q;
    char *text = NULL;
    const char *file = porch_cli_text(c, "--policy");
    porch_err e = parse_question(c->argument, &q, &why);
    if (e == PORCH_OK && file != NULL) {
        e = porch_cli_read_file(file, &text, &why);
        if (e == PORCH_OK) e = porch_cli_policy_of(porch_bytes_of(text), file, &p, &why);
    } else if (e == PORCH_OK) {
        e = porch_cli_policy_fetch(c, &p, &why);
    }
    if (e != PORCH_OK) {
        free(text);
        return porch_cli_fail(e, &why);
    }
    int code = prove_policy(c, &q, &p);
    porch_cli_policy_free(&p);
    free(text);
    return code;
}

static const porch_cli_option prove_options[] = {
    {"--policy", "FILE", false, false, "about this text, without a hub"},
    {"--mosquitto", "FILE", false, false,
     "isolation of a mosquitto access file (patterns with %c and %u) instead"},
    {"--aws", "FILE", false, false, "isolation and denies of an AWS IoT policy (JSON) instead"},
    {"--no-replay", NULL, false, false, "do not carry a counterexample out on a scratch hub"},
    {0},
};

/* ---- policy diff ------------------------------------------------------------------------------------ */

static porch_err differ(const porch_cli_policy *now, const judged_world *to, const judged_world *from,
                        json_t *list, size_t *undecided, porch_why *why) {
    registry devices;
    porch_access_proof proof;
    collected *all = calloc(1, sizeof *all);
    if (all == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the difference");
    all->list = list;
    porch_err e = make_registry(now, &devices, why);
    if (e == PORCH_OK) {
        porch_access_question q = {.world = &to->world,
                                   .device = known_device,
                                   .device_ctx = &devices,
                                   .found = collect,
                                   .found_ctx = all,
                                   .person = known_person};
        porch_access_prove_newly(&q, &from->world, &proof);
        *undecided += proof.undecided;
        free(devices.rows);
    }
    free(all);
    return e;
}

static void show_difference(const json_t *answer) {
    const json_t *row, *allowed = json_object_get(answer, "newly_allowed"),
                       *denied = json_object_get(answer, "newly_denied");
    size_t i;
    for (i = 0; (row = json_array_get(allowed, i)) != NULL; i++)
        show_finding(row, "+ ");
    for (i = 0; (row = json_array_get(denied, i)) != NULL; i++)
        show_finding(row, "- ");
    if (json_array_size(allowed) + json_array_size(denied) == 0)
        printf("Nobody may do anything more or less.\n");
    else
        printf("%zu newly allowed, %zu newly denied: one example for each statement that makes the "
               "difference.\n",
               json_array_size(allowed), json_array_size(denied));
    if (porch_cli_number(answer, "undecided") > 0)
        printf("Not decided: %llu pairs of levels with variables.\n",
               (unsigned long long)porch_cli_number(answer, "undecided"));
}

static int diff(porch_cli *c) {
    porch_why why = {""};
    char *text = NULL;
    porch_cli_policy old, new;
    judged_world before, after;
    size_t undecided = 0;
    porch_err e = porch_cli_read_file(c->argument, &text, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    e = porch_cli_policy_of(porch_bytes_of(text), c->argument, &new, &why);
    if (e != PORCH_OK) {
        free(text);
        return porch_cli_fail(e, &why);
    }
    e = porch_cli_policy_fetch(c, &old, &why);
    if (e == PORCH_OK) {
        e = make_world(&old, &before, &why);
        if (e == PORCH_OK) {
            e = make_world(&new, &after, &why);
            if (e == PORCH_OK) {
                json_t *allowed = json_array(), *denied = json_array();
                e = differ(&old, &after, &before, allowed, &undecided, &why);
                if (e == PORCH_OK) e = differ(&old, &before, &after, denied, &undecided, &why);
                json_t *answer = json_pack("{s:o, s:o, s:I}", "newly_allowed", allowed, "newly_denied",
                                           denied, "undecided", (json_int_t)undecided);
                if (e == PORCH_OK && !porch_cli_json(c, answer)) show_difference(answer);
                json_decref(answer);
                free(after.block);
            }
            free(before.block);
        }
        porch_cli_policy_free(&old);
    }
    porch_cli_policy_free(&new);
    free(text);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

const porch_cli_command porch_cli_prove_commands[] = {
    {"prove", "QUESTION", true, prove_options,
     "decide something for everybody who is there or could be added\n"
     "QUESTION is 'isolation' (no device reaches another's topics, no person another household's) or "
     "'nobody but GROUP can ACTION "
     "FILTER'. Prints "
     "PROVED with\nthe model, or a counterexample, which is then tried on a scratch hub by whom it names: "
     "a "
     "device or\nservice with its certificate, a person with a sign-in. Exit status 0: proved, 1: not.",
     prove},
    {"policy diff", "FILE", false, NULL,
     "who may do what more and what less, if FILE were applied: each with an example", diff},
    {0},
};
