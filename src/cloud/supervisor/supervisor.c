#include "cloud/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cloud/supervisor/supervisor_room.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/process.h"

/* How long helpers may take to follow the hub; a word on the control channel; one read of it. */
enum { FOLLOW_MS = 3000, CONTROL_WAIT_MS = 2000, WORD_BYTES = 64 };
/* The hub answers for the time before a pulse, so that one is always open; from the next on it is silent.
 */
enum { SILENT_PULSES = 2 };

static void start_hub(void *ctx);
static void start_helper(void *ctx);
static void begin_stop(porch_supervisor *s, int exit_code);

static bool is_used(const porch_supervisor *s, porch_child_role role) {
    return !s->config->admin_only || role == PORCH_CHILD_HUB || role == PORCH_CHILD_SIGNER;
}

static bool runs(const porch_child *c) {
    return c->pidfd >= 0;
}

static bool all_ended(const porch_supervisor *s) {
    for (int i = 0; i < PORCH_CHILD_COUNT; i++)
        if (runs(&s->children[i])) return false;
    return true;
}

static void log_trouble(const char *event, const porch_child *c, porch_err e, const porch_why *why) {
    porch_log(PORCH_LOG_ERROR, event, "role", porch_child_name(c->role), "error", porch_err_name(e),
              "reason", porch_why_text(why, e), NULL);
}

/* ---- ends ----------------------------------------------------------------------------------------------
 */

static void kill_child(void *ctx) {
    porch_child *c = ctx;
    if (!runs(c)) return;
    porch_log(PORCH_LOG_WARN, "helper.killed", "role", porch_child_name(c->role), "reason",
              "it did not end in time", NULL);
    (void)porch_process_signal(c->pidfd, SIGKILL);
}

static void close_control(porch_supervisor *s) {
    if (s->control_fd < 0) return;
    porch_loop_del(s->loop, &s->control_watch);
    close(s->control_fd);
    s->control_fd = -1;
    s->hub_ready = false;
}

/* The hub's end of every socket pair is gone; who does not follow in time is killed. */
static void let_helpers_follow(porch_supervisor *s) {
    for (int i = PORCH_CHILD_HUB + 1; i < PORCH_CHILD_COUNT; i++) {
        porch_child *c = &s->children[i];
        if (runs(c))
            porch_loop_timer_set(s->loop, &c->timer, FOLLOW_MS, kill_child, c);
        else
            porch_loop_timer_clear(s->loop, &c->timer);
    }
}

static void restart_hub_later(porch_supervisor *s, uint64_t lived_ms) {
    porch_child *hub = &s->children[PORCH_CHILD_HUB];
    uint32_t wait_ms = porch_backoff_next(&hub->backoff, lived_ms);
    s->phase = PORCH_SUPERVISOR_RUNNING;
    porch_loop_timer_set(s->loop, &hub->timer, wait_ms, start_hub, s);
}

static void after_an_end(porch_supervisor *s) {
    if (!all_ended(s)) return;
    if (s->phase == PORCH_SUPERVISOR_STOPPING) porch_loop_stop(s->loop);
    if (s->phase == PORCH_SUPERVISOR_COLLAPSING)
        restart_hub_later(s, porch_clock_mono_ms() - s->children[PORCH_CHILD_HUB].started_ms);
}

static void hub_ended(porch_supervisor *s, const porch_process_end *end) {
    close_control(s);
    let_helpers_follow(s);
    if (s->phase == PORCH_SUPERVISOR_STOPPING) {
        porch_loop_timer_clear(s->loop, &s->drain_timer);
        return;
    }
    /* Asked to end through the admin socket, or the last admin client has gone. */
    if (!end->signalled && end->code == 0) {
        begin_stop(s, 0);
        return;
    }
    /* One that cannot even start once will not by trying again: its log says what to mend. */
    if (s->config->admin_only || (!s->ever_ready && !end->signalled)) {
        begin_stop(s, 1);
        return;
    }
    s->phase = PORCH_SUPERVISOR_COLLAPSING;
}

/* `lived_ms` is 0 for one that could not even be started. */
static void restart_helper_later(porch_supervisor *s, porch_child *c, uint64_t lived_ms) {
    if (s->phase != PORCH_SUPERVISOR_RUNNING) return;
    uint32_t wait_ms = porch_backoff_next(&c->backoff, lived_ms);
    porch_loop_timer_set(s->loop, &c->timer, wait_ms, start_helper, c);
}

/* A signer that cannot open its keys will not by trying again, and a hub without it serves nobody: its line
 * in the log says what to mend. The hub waits for it and has nothing under way. */
static void give_up(porch_supervisor *s) {
    const porch_child *hub = &s->children[PORCH_CHILD_HUB];
    begin_stop(s, 1);
    if (runs(hub)) (void)porch_process_signal(hub->pidfd, SIGKILL);
}

static void child_ended(void *ctx, uint32_t events) {
    porch_child *c = ctx;
    porch_supervisor *s = c->supervisor;
    porch_process_end end;
    char how[64];
    (void)events;
    if (porch_process_wait(c->pidfd, 0, &end, NULL) != PORCH_OK) return;
    porch_loop_del(s->loop, &c->watch);
    porch_loop_timer_clear(s->loop, &c->timer);
    close(c->pidfd);
    c->pidfd = -1;
    porch_process_end_text(&end, how, sizeof how);
    bool expected = s->phase != PORCH_SUPERVISOR_RUNNING || (!end.signalled && end.code == 0);
    porch_log(expected ? PORCH_LOG_INFO : PORCH_LOG_WARN, "helper.ended", "role", porch_child_name(c->role),
              "pid", porch_log_number((uint64_t)c->pid).text, "how", how, NULL);
    if (c->role == PORCH_CHILD_HUB)
        hub_ended(s, &end);
    else if (c->role == PORCH_CHILD_SIGNER && s->phase == PORCH_SUPERVISOR_RUNNING && !s->ever_ready &&
             !end.signalled && end.code != 0)
        give_up(s);
    else
        restart_helper_later(s, c, porch_clock_mono_ms() - c->started_ms);
    after_an_end(s);
}

/* ---- starts --------------------------------------------------------------------------------------------
 */

/* A new socket pair: one end to the process, the other (with a word for the hub's helpers) to the hub. */
static porch_err start_with_pair(porch_supervisor *s, porch_child *c, int *our_end, porch_why *why) {
    int pair[2];
    PORCH_TRY(porch_channel_pair(pair, why));
    porch_err e = porch_child_start(s, c->role, pair[1], why);
    close(pair[1]);
    if (e == PORCH_OK) e = porch_loop_add(s->loop, &c->watch, c->pidfd, EPOLLIN, child_ended, c);
    if (e == PORCH_OK)
        *our_end = pair[0];
    else
        close(pair[0]);
    return e;
}

static void start_helper(void *ctx) {
    porch_child *c = ctx;
    porch_supervisor *s = c->supervisor;
    porch_why why = {""};
    int for_hub = -1;
    if (s->phase != PORCH_SUPERVISOR_RUNNING || s->control_fd < 0 || runs(c)) return;
    porch_err e = start_with_pair(s, c, &for_hub, &why);
    if (e == PORCH_OK) {
        e = porch_channel_send(s->control_fd, porch_bytes_of(porch_child_name(c->role)), &for_hub, 1,
                               CONTROL_WAIT_MS, &why);
        close(for_hub);
        /* A hub that does not take it is ending itself: that is handled when it has. */
        if (e != PORCH_OK) log_trouble("helper.unreachable", c, e, &why);
        return;
    }
    log_trouble("helper.start-failed", c, e, &why);
    restart_helper_later(s, c, 0);
}

static void hub_is_late(void *ctx) {
    porch_child *hub = ctx;
    porch_log(PORCH_LOG_ERROR, "hub.late", "reason",
              "the hub did not serve within supervisor.ready_ms and is killed", NULL);
    kill_child(hub);
}

/* False when the reader has gone. */
static bool tell_starter(porch_supervisor *s) {
    if (s->ready_fd < 0) return true;
    bool told = write(s->ready_fd, "ready\n", 6) == 6;
    close(s->ready_fd);
    s->ready_fd = -1;
    return told;
}

static void hub_is_ready(porch_supervisor *s) {
    porch_child *hub = &s->children[PORCH_CHILD_HUB];
    porch_loop_timer_clear(s->loop, &hub->timer);
    s->hub_ready = true;
    s->ever_ready = true;
    bool told = tell_starter(s);
    if (s->config->admin_only) {
        if (!told) begin_stop(s, 0); /* it was started for a command that has been ended meanwhile */
        return;
    }
    /* A reader that has gone is no reason to stop serving. */
    (void)dprintf(STDOUT_FILENO, "ready mqtt=%u device=%u https=%u\n", s->ports[0], s->ports[1],
                  s->ports[2]);
    porch_systemd_tell("READY=1");
}

/* systemd's watchdog is fed by the hub: the supervisor only carries the word. */
static void hub_beats(porch_supervisor *s) {
    if (s->unanswered > SILENT_PULSES)
        porch_log(PORCH_LOG_INFO, "hub.beats-again", "pulses", porch_log_number(s->unanswered).text, NULL);
    s->unanswered = 0;
    porch_systemd_tell("WATCHDOG=1");
}

static void control_came(void *ctx, uint32_t events) {
    porch_supervisor *s = ctx;
    uint8_t block[WORD_BYTES];
    porch_buf word = PORCH_BUF_OF(block);
    (void)events;
    porch_err e = porch_channel_receive(s->control_fd, &word, NULL, 0, NULL, 0, NULL);
    if (e == PORCH_ERR_TIMEOUT || e == PORCH_ERR_LIMIT) return;
    if (e != PORCH_OK) {
        /* The hub is ending; its pidfd tells how. */
        close_control(s);
        porch_child *hub = &s->children[PORCH_CHILD_HUB];
        porch_loop_timer_set(s->loop, &hub->timer, s->settings.supervisor_drain_ms, kill_child, hub);
        return;
    }
    if (porch_bytes_eq_text(porch_buf_bytes(&word), "ready")) hub_is_ready(s);
    if (porch_bytes_eq_text(porch_buf_bytes(&word), "beat")) hub_beats(s);
}

static porch_err try_start_hub(porch_supervisor *s, porch_why *why) {
    porch_child *hub = &s->children[PORCH_CHILD_HUB];
    PORCH_TRY(start_with_pair(s, hub, &s->control_fd, why));
    PORCH_TRY(porch_loop_add(s->loop, &s->control_watch, s->control_fd, EPOLLIN, control_came, s));
    porch_loop_timer_set(s->loop, &hub->timer, s->settings.supervisor_ready_ms, hub_is_late, hub);
    for (int i = PORCH_CHILD_HUB + 1; i < PORCH_CHILD_COUNT; i++)
        if (is_used(s, (porch_child_role)i)) start_helper(&s->children[i]);
    return PORCH_OK;
}

static void start_hub(void *ctx) {
    porch_supervisor *s = ctx;
    porch_why why = {""};
    if (s->phase != PORCH_SUPERVISOR_RUNNING) return;
    porch_err e = try_start_hub(s, &why);
    if (e == PORCH_OK) return;
    log_trouble("helper.start-failed", &s->children[PORCH_CHILD_HUB], e, &why);
    if (s->ever_ready)
        restart_hub_later(s, 0);
    else
        begin_stop(s, 1);
}

/* ---- stopping ------------------------------------------------------------------------------------------
 */

static void drain_is_late(void *ctx) {
    porch_supervisor *s = ctx;
    kill_child(&s->children[PORCH_CHILD_HUB]);
}

static void kill_all(porch_supervisor *s) {
    for (int i = 0; i < PORCH_CHILD_COUNT; i++)
        if (runs(&s->children[i])) (void)porch_process_signal(s->children[i].pidfd, SIGKILL);
}

static void ask_hub_to_drain(porch_supervisor *s) {
    porch_child *hub = &s->children[PORCH_CHILD_HUB];
    porch_loop_timer_set(s->loop, &s->drain_timer, s->settings.supervisor_drain_ms, drain_is_late, s);
    if (s->control_fd >= 0 &&
        porch_channel_send(s->control_fd, PORCH_LIT("drain"), NULL, 0, CONTROL_WAIT_MS, NULL) == PORCH_OK)
        return;
    (void)porch_process_signal(hub->pidfd, SIGTERM);
}

static void begin_stop(porch_supervisor *s, int exit_code) {
    porch_child *hub = &s->children[PORCH_CHILD_HUB];
    s->phase = PORCH_SUPERVISOR_STOPPING;
    s->exit_code = exit_code;
    porch_systemd_tell("STOPPING=1");
    porch_loop_timer_clear(s->loop, &hub->timer);
    if (runs(hub))
        ask_hub_to_drain(s);
    else
        let_helpers_follow(s);
    if (all_ended(s)) porch_loop_stop(s->loop);
}

static void signal_came(void *ctx, uint32_t events) {
    porch_supervisor *s = ctx;
    struct signalfd_siginfo info;
    (void)events;
    if (read(s->signal_fd, &info, sizeof info) != (ssize_t)sizeof info) return;
    if (info.ssi_signo == SIGHUP) return; /* a closed terminal; settings are read at start */
    porch_log(PORCH_LOG_INFO, "supervisor.stopping", "signal", porch_log_number(info.ssi_signo).text, NULL);
    if (s->phase == PORCH_SUPERVISOR_STOPPING)
        kill_all(s);
    else
        begin_stop(s, 0);
}

/* A hub that serves is asked; while it starts or waits for its next start, times of the supervisor's own
 * bound that (supervisor.ready_ms, supervisor.restart_most_ms), and systemd hears that it is awake. */
static void feed_watchdog(void *ctx) {
    porch_supervisor *s = ctx;
    if (s->hub_ready && s->control_fd >= 0) {
        if (++s->unanswered == SILENT_PULSES + 1)
            porch_log(PORCH_LOG_ERROR, "hub.silent", "reason",
                      "a shard or the store's writer hangs; systemd's watchdog will start the hub anew",
                      NULL);
        (void)porch_channel_send(s->control_fd, PORCH_LIT("pulse"), NULL, 0, 0, NULL);
    } else {
        s->unanswered = 0;
        porch_systemd_tell("WATCHDOG=1");
    }
    porch_loop_timer_set(s->loop, &s->watchdog_timer, s->watchdog_ms, feed_watchdog, s);
}

static porch_err run(porch_supervisor *s, porch_why *why) {
    PORCH_TRY(porch_loop_add(s->loop, &s->signal_watch, s->signal_fd, EPOLLIN, signal_came, s));
    if (s->watchdog_ms > 0)
        porch_loop_timer_set(s->loop, &s->watchdog_timer, s->watchdog_ms, feed_watchdog, s);
    start_hub(s);
    if (s->phase == PORCH_SUPERVISOR_STOPPING && all_ended(s)) return PORCH_OK;
    porch_err e = porch_loop_run(s->loop);
    if (e != PORCH_OK) kill_all(s);
    return e == PORCH_OK ? e : porch_fail(why, e, "the supervisor's event loop failed");
}

int porch_supervisor_run(const porch_supervisor_config *config) {
    static porch_supervisor s;
    porch_why why = {""};
    porch_err e = porch_supervisor_open(&s, config, &why);
    if (e == PORCH_OK) e = run(&s, &why);
    if (e != PORCH_OK) {
        porch_log(PORCH_LOG_ERROR, "supervisor.failed", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
        s.exit_code = 1;
    }
    porch_supervisor_close(&s);
    return s.exit_code;
}
