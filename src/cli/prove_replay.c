#include "cli/prove_replay.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/prove_replay_app.h"
#include "cli/prove_replay_hub.h"
#include "cli/prove_replay_person.h"
#include "os/process.h"

enum { TRIES = 40, TRY_MS = 200, HEAR_MS = 10000, NAME_BYTES = 65, TOPIC_BYTES = 1100 };

static const char first_home[] = "home"; /* every hub has it */

/* Who plays, as texts. */
typedef struct {
    porch_access_kind kind;
    porch_role role;
    char id[NAME_BYTES], product[NAME_BYTES], household[NAME_BYTES], victim[NAME_BYTES], topic[TOPIC_BYTES];
    char mates[PORCH_REPLAY_MATES_MOST][NAME_BYTES];
    size_t mate_count;
} cast;

typedef struct {
    porch_replay_hub hub;
    cast cast;
    porch_replay_web web; /* a person's sign-in */
    porch_replay_app *app;
} play;

static bool is_person(const play *p) {
    return p->cast.kind == PORCH_ACCESS_PERSON;
}

static porch_err make_cast(const porch_replay_case *what, cast *ret, porch_why *why) {
    const porch_access_finding *f = what->finding;
    cast c = {.kind = f->who.kind, .role = f->who.role, .mate_count = what->mate_count};
    bool fits = porch_bytes_to_text(f->who.name, c.id, sizeof c.id) &&
                porch_bytes_to_text(f->who.product, c.product, sizeof c.product) &&
                porch_bytes_to_text(f->who.household, c.household, sizeof c.household) &&
                porch_bytes_to_text(f->victim, c.victim, sizeof c.victim) &&
                porch_bytes_to_text(f->topic, c.topic, sizeof c.topic) && c.topic[0] != '\0';
    for (size_t i = 0; fits && i < what->mate_count; i++)
        fits = porch_bytes_to_text(what->mates[i], c.mates[i], sizeof c.mates[i]);
    if (!fits) return porch_fail(why, PORCH_ERR_LIMIT, "a name or topic is too long to be tried");
    *ret = c;
    return PORCH_OK;
}

/* ---- the stage -------------------------------------------------------------------------------------- */

static porch_err add_household(play *p, const char *name) {
    const char *const words[] = {"-C", p->hub.dir, "household", "add", name, NULL};
    return strcmp(name, first_home) == 0 ? PORCH_OK : porch_replay_hub_must(&p->hub, words);
}

static porch_err add_device(play *p, const char *id, const char *product, const char *household,
                            const char *folder) {
    char path[PORCH_REPLAY_PATH_BYTES];
    porch_replay_hub_path(&p->hub, folder, path);
    const char *const words[] = {"-C",    p->hub.dir,    "device",  "add",   id,   "--product",
                                 product, "--household", household, "--out", path, NULL};
    return porch_replay_hub_must(&p->hub, words);
}

/* Without --allow, what it may do is left to the policy. */
static porch_err add_service(play *p, const char *name, const char *folder, const char *allow) {
    char path[PORCH_REPLAY_PATH_BYTES];
    porch_replay_hub_path(&p->hub, folder, path);
    const char *const words[] = {"-C",  p->hub.dir, "service", "add",
                                 name,  "--out",    path,      allow == NULL ? NULL : "--allow",
                                 allow, NULL};
    return porch_replay_hub_must(&p->hub, words);
}

/* A device's victim may live with it; a person's must not. */
static porch_err add_victim(play *p) {
    const cast *c = &p->cast;
    const char *home = first_home;
    if (c->victim[0] == '\0') return PORCH_OK;
    if (is_person(p) && strcmp(c->household, first_home) == 0) {
        home = "next-door";
        PORCH_TRY(add_household(p, home));
    }
    return add_device(p, c->victim, "any-other-product", home, "victim");
}

/* The devices that ${household.device} stands for in the topic: before the person comes. */
static porch_err add_mates(play *p) {
    for (size_t i = 0; i < p->cast.mate_count; i++) {
        char folder[32];
        (void)snprintf(folder, sizeof folder, "mate-%zu", i);
        PORCH_TRY(add_device(p, p->cast.mates[i], "any-other-product", p->cast.household, folder));
    }
    return PORCH_OK;
}

static porch_err add_person(play *p) {
    const cast *c = &p->cast;
    const porch_replay_account account = {p->hub.dir, p->hub.https_port, c->id, c->role, c->household};
    PORCH_TRY(add_mates(p));
    PORCH_TRY(porch_replay_sign_in(&account, &p->web, p->hub.why));
    return porch_replay_app_open(&p->web, &p->app, p->hub.why);
}

static porch_err set_stage(play *p, porch_bytes policy) {
    const cast *c = &p->cast;
    /* A service brings an empty group of its own: the policy, which may have that group, comes after. */
    if (c->kind == PORCH_ACCESS_SERVICE) PORCH_TRY(add_service(p, c->id, "attacker", NULL));
    PORCH_TRY(porch_replay_hub_apply(&p->hub, policy));
    if (c->kind != PORCH_ACCESS_SERVICE) PORCH_TRY(add_household(p, c->household));
    PORCH_TRY(add_victim(p));
    if (c->kind == PORCH_ACCESS_DEVICE)
        PORCH_TRY(add_device(p, c->id, c->product, c->household, "attacker"));
    if (is_person(p)) PORCH_TRY(add_person(p));
    return add_service(p, "replay-witness", "witness", "publish,subscribe:#");
}

/* ---- what is tried ---------------------------------------------------------------------------------- */

static porch_err program_says(play *p, const char *speaker, bool *taken) {
    char mouth[PORCH_REPLAY_PATH_BYTES];
    int code = 0;
    porch_replay_hub_path(&p->hub, speaker, mouth);
    const char *const say[] = {mouth, "publish", p->cast.topic, "replayed", "--timeout", "5", NULL};
    PORCH_TRY(porch_replay_hub_run(&p->hub, "porchlight-device", say, &code));
    *taken = code == 0;
    return PORCH_OK;
}

static porch_err says(play *p, const char *speaker, bool *taken) {
    bool by_app = is_person(p) && strcmp(speaker, "attacker") == 0;
    return by_app ? porch_replay_app_publish(p->app, p->cast.topic, taken, p->hub.why)
                  : program_says(p, speaker, taken);
}

/* A program listens, the other side speaks again and again until it was heard or refused. */
static porch_err program_hears(play *p, const char *listener, const char *speaker,
                               porch_replay_result *ret) {
    char ears[PORCH_REPLAY_PATH_BYTES];
    porch_replay_hub_path(&p->hub, listener, ears);
    const char *const hear[] = {ears, "subscribe", p->cast.topic, "--count", "1", "--timeout", "20", NULL};
    porch_process_end end = {0};
    int heard = -1;
    PORCH_TRY(porch_replay_hub_spawn(&p->hub, "porchlight-device", hear, &heard));
    porch_err waited = PORCH_ERR_TIMEOUT, said = PORCH_OK;
    bool taken = true;
    for (int i = 0; i < TRIES && waited == PORCH_ERR_TIMEOUT && said == PORCH_OK && taken; i++) {
        said = says(p, speaker, &taken);
        if (said == PORCH_OK) waited = porch_process_wait(heard, TRY_MS, &end, NULL);
    }
    if (waited == PORCH_ERR_TIMEOUT) { /* it listens still */
        (void)porch_process_signal(heard, SIGTERM);
        (void)porch_process_wait(heard, PORCH_REPLAY_STEP_MS, &end, NULL);
        end = (porch_process_end){false, 1};
        waited = PORCH_OK;
    }
    close(heard);
    PORCH_TRY(said);
    PORCH_TRY(waited);
    *ret = !end.signalled && end.code == 0 && taken ? PORCH_REPLAY_PASSED : PORCH_REPLAY_REFUSED;
    return PORCH_OK;
}

/* The hub's own words cannot be spoken by anybody: that the subscription is granted shows it. */
static porch_err program_subscribes(play *p, porch_replay_result *ret) {
    char ears[PORCH_REPLAY_PATH_BYTES];
    int code = 0;
    porch_replay_hub_path(&p->hub, "attacker", ears);
    const char *const hear[] = {ears, "subscribe", p->cast.topic, "--timeout", "3", NULL};
    PORCH_TRY(porch_replay_hub_run(&p->hub, "porchlight-device", hear, &code));
    *ret = code == 0 ? PORCH_REPLAY_PASSED : PORCH_REPLAY_REFUSED;
    return PORCH_OK;
}

/* Once the subscription is granted, a message that the hub has taken must come. */
static porch_err person_hears(play *p, porch_replay_result *ret) {
    bool granted = false, taken = false, heard = false;
    PORCH_TRY(porch_replay_app_subscribe(p->app, p->cast.topic, &granted, p->hub.why));
    if (granted && p->cast.topic[0] == '$') {
        heard = true;
    } else if (granted) {
        PORCH_TRY(says(p, "witness", &taken));
        if (taken) PORCH_TRY(porch_replay_app_hears(p->app, HEAR_MS, &heard, p->hub.why));
    }
    *ret = heard ? PORCH_REPLAY_PASSED : PORCH_REPLAY_REFUSED;
    return PORCH_OK;
}

static porch_err perform(play *p, unsigned action, porch_replay_result *ret) {
    if (action == PORCH_ACCESS_PUBLISH) return program_hears(p, "witness", "attacker", ret);
    if (is_person(p)) return person_hears(p, ret);
    return p->cast.topic[0] == '$' ? program_subscribes(p, ret)
                                   : program_hears(p, "attacker", "witness", ret);
}

bool porch_replay_can(const porch_access_finding *finding) {
    return finding->action == PORCH_ACCESS_PUBLISH || finding->action == PORCH_ACCESS_RECEIVE;
}

porch_err porch_replay(porch_bytes policy, const porch_replay_case *what, porch_replay_result *ret,
                       porch_why *why) {
    play p = {.app = NULL};
    PORCH_TRY(make_cast(what, &p.cast, why));
    porch_err e = porch_replay_hub_open(&p.hub, why);
    if (e == PORCH_OK) e = set_stage(&p, policy);
    if (e == PORCH_OK) e = perform(&p, what->finding->action, ret);
    porch_replay_app_close(p.app);
    porch_replay_web_close(&p.web);
    porch_replay_hub_close(&p.hub);
    return e;
}
