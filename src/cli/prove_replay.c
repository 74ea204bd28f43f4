#include "cli/prove_replay.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli_room.h"
#include "os/file.h"
#include "os/process.h"

enum { WORDS_MOST = 16, STEP_MS = 60000, TRIES = 40, READY_BYTES = 200 };

typedef struct {
    char programs[PORCH_CLI_PATH_BYTES];
    char top[64];
    char hub[80];
    int daemon; /* its pidfd, -1: none */
    porch_why *why;
} scratch;

static porch_err spawn(scratch *s, const char *program, const char *const *words, int out_fd, int *pidfd) {
    char path[PORCH_CLI_PATH_BYTES];
    char *argv[WORDS_MOST + 2] = {path};
    size_t n = 0;
    PORCH_TRY(porch_path_join(s->programs, program, path, sizeof path));
    for (; words[n] != NULL && n < WORDS_MOST; n++)
        argv[n + 1] = (char *)(uintptr_t)words[n];
    porch_process_fd fds[1] = {{1, out_fd}};
    porch_process_start start = {
        .path = path, .argv = argv, .fds = fds, .fd_count = out_fd >= 0, .die_with_parent = true};
    return porch_process_spawn(&start, pidfd, NULL, s->why);
}

/* Runs a program to its end; *code is its exit status. */
static porch_err run(scratch *s, const char *program, const char *const *words, int *code) {
    porch_process_end end = {0};
    int pidfd = -1;
    PORCH_TRY(spawn(s, program, words, -1, &pidfd));
    porch_err e = porch_process_wait(pidfd, STEP_MS, &end, s->why);
    if (e == PORCH_ERR_TIMEOUT) {
        (void)porch_process_signal(pidfd, SIGKILL);
        (void)porch_process_wait(pidfd, STEP_MS, &end, NULL);
    }
    close(pidfd);
    if (e == PORCH_OK) *code = end.signalled ? 128 : end.code;
    return e;
}

static porch_err must(scratch *s, const char *program, const char *const *words) {
    int code = 0;
    PORCH_TRY(run(s, program, words, &code));
    return code == 0 ? PORCH_OK
                     : porch_fail(s->why, PORCH_ERR_STATE, "the scratch hub: '%s %s' ended with %d",
                                  program, words[2] == NULL ? words[0] : words[2], code);
}

static porch_err start_hub(scratch *s) {
    int out[2];
    char line[READY_BYTES];
    if (pipe2(out, O_CLOEXEC) != 0) return porch_fail(s->why, PORCH_ERR_IO, "no pipe");
    const char *const words[] = {s->hub, NULL};
    porch_err e = spawn(s, "porchlightd", words, out[1], &s->daemon);
    close(out[1]);
    size_t n = 0;
    while (e == PORCH_OK && n + 1 < sizeof line && (n == 0 || line[n - 1] != '\n')) {
        ssize_t got = read(out[0], line + n, sizeof line - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) e = porch_fail(s->why, PORCH_ERR_STATE, "the scratch hub did not start");
        if (got > 0) n += (size_t)got;
    }
    close(out[0]);
    return e;
}

static void stop_hub(scratch *s) {
    porch_process_end end;
    if (s->daemon < 0) return;
    (void)porch_process_signal(s->daemon, SIGTERM);
    if (porch_process_wait(s->daemon, STEP_MS, &end, NULL) != PORCH_OK) {
        (void)porch_process_signal(s->daemon, SIGKILL);
        (void)porch_process_wait(s->daemon, STEP_MS, &end, NULL);
    }
    close(s->daemon);
}

static void path_of(const scratch *s, const char *name, char out[128]) {
    (void)snprintf(out, 128, "%s/%s", s->top, name);
}

static porch_err write_policy(scratch *s, porch_bytes policy, const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return porch_fail(s->why, PORCH_ERR_IO, "the scratch folder cannot be written");
    bool ok = true;
    while (ok && policy.len > 0) {
        ssize_t n = write(fd, policy.at, policy.len);
        ok = n > 0 || (n < 0 && errno == EINTR);
        if (n > 0) policy = (porch_bytes){policy.at + n, policy.len - (size_t)n};
    }
    close(fd);
    return ok ? PORCH_OK : porch_fail(s->why, PORCH_ERR_IO, "the scratch folder cannot be written");
}

static porch_err add_device(scratch *s, const char *id, const char *product, const char *household,
                            const char *folder) {
    const char *const words[] = {"-C",    s->hub,        "device",  "add",   id,     "--product",
                                 product, "--household", household, "--out", folder, NULL};
    return must(s, "porchlight", words);
}

typedef struct {
    char id[65], product[65], household[65], victim[65], topic[1100];
} cast;

static void text_of(porch_bytes from, char *out, size_t cap) {
    if (!porch_bytes_to_text(from, out, cap)) out[0] = '\0';
}

/* A hub with the policy, attacker and victim, and a service that may say and hear everything. */
static porch_err set_stage(scratch *s, porch_bytes policy, const cast *c) {
    char file[128], folder[128];
    const char *const init[] = {"init", s->hub,   "--mqtt-port", "0", "--device-port", "0", "--https-port",
                                "0",    "--bind", "127.0.0.1",   NULL};
    PORCH_TRY(must(s, "porchlight", init));
    PORCH_TRY(start_hub(s));
    path_of(s, "policy", file);
    PORCH_TRY(write_policy(s, policy, file));
    const char *const apply[] = {"-C", s->hub, "policy", "apply", file, NULL};
    PORCH_TRY(must(s, "porchlight", apply));
    if (strcmp(c->household, "home") != 0) {
        const char *const household[] = {"-C", s->hub, "household", "add", c->household, NULL};
        PORCH_TRY(must(s, "porchlight", household));
    }
    path_of(s, "attacker", folder);
    PORCH_TRY(add_device(s, c->id, c->product, c->household, folder));
    path_of(s, "victim", folder);
    PORCH_TRY(add_device(s, c->victim, "any-other-product", "home", folder));
    path_of(s, "witness", folder);
    const char *const witness[] = {
        "-C", s->hub, "service", "add", "replay-witness", "--out", folder, "--allow", "publish,subscribe:#",
        NULL};
    return must(s, "porchlight", witness);
}

/* One listens, the other speaks again and again until it was heard or refused. */
static porch_err perform(scratch *s, const char *listener, const char *speaker, const cast *c,
                         porch_replay_result *ret) {
    char ears[128], mouth[128];
    path_of(s, listener, ears);
    path_of(s, speaker, mouth);
    const char *const hear[] = {ears, "subscribe", c->topic, "--count", "1", "--timeout", "20", NULL};
    const char *const say[] = {mouth, "publish", c->topic, "replayed", "--timeout", "5", NULL};
    porch_process_end end = {0};
    int heard = -1, code = 0;
    PORCH_TRY(spawn(s, "porchlight-device", hear, -1, &heard));
    porch_err e = PORCH_ERR_TIMEOUT;
    bool silenced = false;
    for (int i = 0; i < TRIES && e == PORCH_ERR_TIMEOUT && !silenced; i++) {
        porch_err said = run(s, "porchlight-device", say, &code);
        if (said != PORCH_OK) {
            e = said;
            break;
        }
        silenced = code != 0;
        e = porch_process_wait(heard, 200, &end, NULL);
    }
    if (e == PORCH_ERR_TIMEOUT) {
        (void)porch_process_signal(heard, SIGTERM);
        (void)porch_process_wait(heard, STEP_MS, &end, NULL);
        end = (porch_process_end){false, 1};
        e = PORCH_OK;
    }
    close(heard);
    if (e == PORCH_OK)
        *ret = !end.signalled && end.code == 0 && !silenced ? PORCH_REPLAY_PASSED : PORCH_REPLAY_REFUSED;
    return e;
}

/* The hub's own words cannot be spoken by anybody: that the subscription is granted shows it. */
static porch_err subscribe_only(scratch *s, const cast *c, porch_replay_result *ret) {
    char ears[128];
    int code = 0;
    path_of(s, "attacker", ears);
    const char *const hear[] = {ears, "subscribe", c->topic, "--timeout", "3", NULL};
    PORCH_TRY(run(s, "porchlight-device", hear, &code));
    *ret = code == 0 ? PORCH_REPLAY_PASSED : PORCH_REPLAY_REFUSED;
    return PORCH_OK;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at) {
    (void)about;
    (void)kind;
    (void)at;
    return remove(path);
}

porch_err porch_replay_isolation(porch_bytes policy, const porch_access_finding *f,
                                 porch_replay_result *ret, porch_why *why) {
    scratch s = {.top = "/tmp/porchlight-replay-XXXXXX", .daemon = -1, .why = why};
    cast c;
    text_of(f->who.name, c.id, sizeof c.id);
    text_of(f->who.product, c.product, sizeof c.product);
    text_of(f->who.household, c.household, sizeof c.household);
    text_of(f->victim, c.victim, sizeof c.victim);
    text_of(f->topic, c.topic, sizeof c.topic);
    PORCH_TRY(porch_process_own_folder(s.programs, sizeof s.programs, why));
    if (mkdtemp(s.top) == NULL) return porch_fail(why, PORCH_ERR_IO, "no scratch folder in /tmp");
    (void)snprintf(s.hub, sizeof s.hub, "%s/hub", s.top);
    porch_err e = set_stage(&s, policy, &c);
    if (e == PORCH_OK) {
        e = f->action == PORCH_ACCESS_PUBLISH ? perform(&s, "witness", "attacker", &c, ret)
            : c.topic[0] == '$'               ? subscribe_only(&s, &c, ret)
                                              : perform(&s, "attacker", "witness", &c, ret);
    }
    stop_hub(&s);
    (void)nftw(s.top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return e;
}
