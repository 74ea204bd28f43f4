#include "cloud/api/hub.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloud/api/backup_copy.h"
#include "cloud/api/hub_room.h"
#include "cloud/api/trust_heads.h"
#include "os/channel.h"
#include "os/clock.h"
#include "os/log.h"

enum {
    WORD_MOST = 64,
    SIGNER_WAIT_MS = 5000 /* for the first signer; without one the hub goes on with what is valid */
};

typedef enum { CONTROL_GO_ON, CONTROL_DRAIN, CONTROL_GONE } control_verdict;

/* The watchdog's question. The answer is about the time since the question before: every shard has turned
 * and the store's writer has ended a round. */
static void answer_pulse(porch_hub *h) {
    if (h->listener == NULL) return;
    uint64_t rounds = porch_store_pulse(h->store);
    bool turning = porch_listener_pulse(h->listener);
    bool writing = rounds != h->store_rounds;
    h->store_rounds = rounds;
    if (turning && writing)
        (void)porch_channel_send(h->start->control_fd, PORCH_LIT("beat"), NULL, 0, 0, NULL);
}

/* One word of the supervisor's; a helper's socket goes to its client. */
static control_verdict take_word(porch_hub *h, int timeout_ms) {
    uint8_t block[WORD_MOST];
    porch_buf word = PORCH_BUF_OF(block);
    int fd = -1;
    size_t fds = 0;
    porch_err e = porch_channel_receive(h->start->control_fd, &word, &fd, 1, &fds, timeout_ms, NULL);
    if (e == PORCH_ERR_TIMEOUT) return CONTROL_GO_ON;
    if (e != PORCH_OK) return CONTROL_GONE;
    porch_bytes text = porch_buf_bytes(&word);
    if (porch_bytes_eq_text(text, "drain")) {
        if (fds > 0) (void)close(fd);
        return CONTROL_DRAIN;
    }
    if (porch_bytes_eq_text(text, "pulse")) answer_pulse(h);
    if (fds == 0) return CONTROL_GO_ON;
    porch_log(PORCH_LOG_DEBUG, "helper.attached", "role", porch_log_bytes(text).text, NULL);
    if (porch_bytes_eq_text(text, "signer"))
        porch_signer_client_attach(h->signer, fd);
    else if (porch_bytes_eq_text(text, "analyst"))
        porch_analyst_client_attach(h->analyst, fd);
    else if (porch_bytes_eq_text(text, "courier"))
        porch_courier_client_attach(h->courier, fd);
    else
        (void)close(fd);
    return CONTROL_GO_ON;
}

/* The hub's certificates come through the signer: give it a moment. */
static control_verdict await_signer(porch_hub *h) {
    uint64_t until_ms = porch_clock_mono_ms() + SIGNER_WAIT_MS;
    control_verdict v = CONTROL_GO_ON;
    while (v == CONTROL_GO_ON && !porch_signer_client_attached(h->signer)) {
        uint64_t now_ms = porch_clock_mono_ms();
        if (now_ms >= until_ms) break;
        v = take_word(h, (int)(until_ms - now_ms));
    }
    return v;
}

/* What was appended to the trust log since the last time gets the signer's word. */
static void sign_trust(porch_hub *h) {
    porch_why why = {""};
    if (!porch_signer_client_attached(h->signer) || porch_backup_copy_held(h->start->dir)) return;
    porch_err e = porch_trust_heads_sign(h->store, h->signer, &why);
    if (e != PORCH_OK)
        porch_log(e == PORCH_ERR_SIGNATURE ? PORCH_LOG_ERROR : PORCH_LOG_WARN,
                  e == PORCH_ERR_SIGNATURE ? "trust.broken" : "trust.unsigned", "reason",
                  porch_why_text(&why, e), NULL);
}

/* A clock that is wrong would remove what is young: then nothing goes until it has settled. */
static void prune_updates(porch_hub *h) {
    const uint64_t settle_ms = h->settings.store_clock_settle_h * UINT64_C(3600000),
                   now_ms = porch_clock_ms();
    porch_updates_pruned pruned;
    porch_why why = {""};
    bool jumped = false; /* the store says so */
    if (!porch_clock_trusted(&h->prune_clock, now_ms, porch_clock_mono_ms(), settle_ms, &jumped)) return;
    porch_err e = porch_updates_prune_old(h->updates, now_ms, &pruned, &why);
    if (e != PORCH_OK && e != PORCH_ERR_STATE) /* damage is told where it is found */
        porch_log(PORCH_LOG_WARN, "update.unpruned", "reason", porch_why_text(&why, e), NULL);
}

/* Snapshot and timestamp of the update repository do not expire while the hub runs. */
static void tend_updates(porch_hub *h) {
    porch_why why = {""};
    bool renewed = false;
    /* A backup takes the files of one repository, not of two. */
    if (h->updates == NULL || !porch_signer_client_attached(h->signer) ||
        porch_backup_copy_held(h->start->dir))
        return;
    porch_err e = porch_updates_tend(h->updates, porch_clock_ms(), &renewed, &why);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_ERROR, "update.unsigned", "reason", porch_why_text(&why, e), "hint",
                  "devices refuse the repository once its timestamp has expired", NULL);
    else if (renewed)
        porch_log(PORCH_LOG_INFO, "update.renewed", NULL);
    prune_updates(h);
}

static control_verdict serve(porch_hub *h) {
    const uint64_t every_ms = h->settings.hub_certificate_check_s * UINT64_C(1000);
    const uint64_t sign_every_ms = h->settings.trust_head_s * UINT64_C(1000);
    uint64_t tend_ms = porch_clock_mono_ms() + every_ms, sign_ms = 0;
    if (h->listener != NULL) porch_hub_ends_tell(h);
    for (;;) {
        if (porch_clock_mono_ms() >= sign_ms) {
            if (!h->start->admin_only) {
                sign_trust(h);
                tend_updates(h);
            }
            sign_ms = porch_clock_mono_ms() + sign_every_ms;
        }
        uint64_t next_ms = tend_ms < sign_ms ? tend_ms : sign_ms;
        uint64_t now_ms = porch_clock_mono_ms(), asked = 0;
        struct pollfd wait[] = {
            {h->start->control_fd, POLLIN, 0}, {h->stop_fd, POLLIN, 0}, {h->tend_fd, POLLIN, 0}};
        int n = poll(wait, 3, now_ms < next_ms ? (int)(next_ms - now_ms) : 0);
        if (n < 0 && errno != EINTR) return CONTROL_GONE;
        if (n > 0 && wait[1].revents != 0) return CONTROL_DRAIN;
        if (n > 0 && wait[0].revents != 0) {
            control_verdict v = take_word(h, 0);
            if (v != CONTROL_GO_ON) return v;
        }
        if (n > 0 && wait[2].revents != 0) (void)!read(h->tend_fd, &asked, sizeof asked);
        if (asked == 0 && porch_clock_mono_ms() < tend_ms) continue;
        if (h->listener != NULL) {
            porch_hub_tls_tend(h);
            porch_hub_ends_tell(h);
        }
        tend_ms = porch_clock_mono_ms() + every_ms;
    }
}

static porch_err run(porch_hub *h, porch_why *why) {
    h->signer = porch_signer_client_new();
    h->courier = porch_courier_client_new();
    if (h->signer == NULL || h->courier == NULL)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the hub");
    PORCH_TRY(porch_analyst_client_new(&h->analyst, why));
    PORCH_TRY(porch_hub_open(h, why));
    control_verdict v = await_signer(h);
    if (v == CONTROL_GO_ON) {
        PORCH_TRY(porch_hub_serve(h, why));
        PORCH_TRY(porch_channel_send(h->start->control_fd, PORCH_LIT("ready"), NULL, 0, 5000, why));
        porch_log(PORCH_LOG_INFO, "hub.serving", "url", h->start->admin_only ? "-" : h->url, NULL);
        v = serve(h);
    }
    porch_log(PORCH_LOG_INFO, "hub.draining", "reason",
              v == CONTROL_GONE ? "the supervisor has gone" : "asked to", NULL);
    return PORCH_OK;
}

/* Named switches that loosen a guard are told at every start: nobody shall find out from an attacker. */
static void tell_what_is_loosened(const porch_settings *s) {
    if (s->hub_tls_12)
        porch_log(PORCH_LOG_WARN, "hub.loosened", "setting", "hub.tls_12", "reason",
                  "devices and browsers may use TLS 1.2; remove the setting once none needs it", NULL);
    if (s->courier_allow[0] != '\0')
        porch_log(PORCH_LOG_WARN, "hub.loosened", "setting", "courier.allow", "value", s->courier_allow,
                  "reason", "webhooks may reach these private addresses", NULL);
}

int porch_hub_run(const porch_hub_start *start) {
    porch_why why = {{0}};
    char conf[PORCH_HUB_PATH_BYTES];
    porch_log_init("hub", PORCH_LOG_INFO);
    /* The supervisor says when to stop; a write to a closed peer is an error value, not a death. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    porch_hub *h = calloc(1, sizeof *h);
    if (h == NULL) return 1;
    h->start = start;
    h->stop_fd = h->tend_fd = -1;
    h->started_ms = porch_clock_ms();
    (void)snprintf(conf, sizeof conf, "%s/hub.conf", start->dir);
    porch_err e = porch_settings_load(conf, &h->settings, &why);
    if (e == PORCH_OK && !start->admin_only) tell_what_is_loosened(&h->settings);
    if (e == PORCH_OK) e = run(h, &why);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_ERROR, "hub.failed", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    porch_hub_close(h);
    if (h->analyst != NULL) porch_analyst_client_free(h->analyst);
    if (h->courier != NULL) porch_courier_client_free(h->courier);
    if (h->signer != NULL) porch_signer_client_free(h->signer);
    porch_log(PORCH_LOG_INFO, "hub.stopped", NULL);
    free(h);
    return e == PORCH_OK ? 0 : 1;
}
