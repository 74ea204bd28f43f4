/* Whether the hub's clock is believed. Devices believe the signer about the time, and never go back behind
 * what they once believed: a hub whose clock jumped must not hand its jump on.
 *
 *      told before                      now                             first told in this start + the
 *   ────────┴─────────── believed ───────┴──────────────────────────────── time since + the allowance ───►
 *
 * Nothing before what was told is told (but for two minutes, as clocks are put right), and nothing further
 * ahead than the time that has passed and signer.clock_ahead_days: in all of one start of the machine,
 * since its first answer; after a new start nobody knows how long the machine was off, and the allowance
 * bounds that. A hub's certificate lives longer than the usual allowance, so a device that was led ahead by
 * all of it still finds its hub.
 *
 * The same holds for the beginning of devices' certificates, and for the end of what is announced of
 * updates. The hub's own certificates are made by any clock: devices judge those by theirs.
 *
 * An operator who has looked at the clock says so ("porchlight clock confirm"), and all begins anew. That
 * is a word of the hub, which a hub that was taken over could say as well: it cannot turn the machine's
 * clock.
 *
 * What was told is journalled every ten minutes at most, before it is told. */
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "cloud/signer/signer_room.h"
#include "crypto/x509.h"
#include "os/clock.h"
#include "os/log.h"

enum { JOURNAL_MS = 600000, DAY_MS = 86400000 };

static porch_signer_told told_of(const porch_signer_belief *c, porch_signer_now now) {
    porch_signer_told t = {.wall_ms = now.wall_ms, .boot_ms = now.mono_ms};
    memcpy(t.boot, c->boot, sizeof t.boot);
    return t;
}

/* The last moment that the clock may show now. */
static uint64_t most_ms(const porch_signer *s, porch_signer_now now) {
    const porch_signer_belief *c = &s->clock;
    const uint64_t allowance_ms = (uint64_t)s->settings.signer_clock_ahead_days * DAY_MS;
    bool same_start = strcmp(c->boot, "-") != 0 && strcmp(c->anchor.boot, c->boot) == 0 &&
                      now.mono_ms >= c->anchor.boot_ms;
    if (same_start) return c->anchor.wall_ms + (now.mono_ms - c->anchor.boot_ms) + allowance_ms;
    return c->told.wall_ms + allowance_ms;
}

/* False, and the reason, when it cannot be right. */
static bool believable(const porch_signer *s, porch_signer_now now,
                       char reason[PORCH_SIGNER_REASON_BYTES]) {
    const porch_signer_belief *c = &s->clock;
    char clock[PORCH_CLOCK_TEXT_BYTES], bound[PORCH_CLOCK_TEXT_BYTES];
    reason[0] = '\0';
    bool early = now.wall_ms + PORCH_SIGNER_CLOCK_SLACK_MS < c->told.wall_ms,
         young = now.wall_ms < c->least_ms;
    porch_clock_rfc3339(now.wall_ms, clock);
    porch_clock_rfc3339(young ? c->least_ms : early ? c->told.wall_ms : most_ms(s, now), bound);
    if (young)
        (void)snprintf(reason, PORCH_SIGNER_REASON_BYTES, "it says %s, before the hub's issuer began (%s)",
                       clock, bound);
    else if (early)
        (void)snprintf(reason, PORCH_SIGNER_REASON_BYTES, "it says %s, and the time was told until %s",
                       clock, bound);
    else if (c->told.wall_ms != 0 && now.wall_ms > most_ms(s, now))
        (void)snprintf(reason, PORCH_SIGNER_REASON_BYTES,
                       "it says %s, and can be at %s at most (signer.clock_ahead_days)", clock, bound);
    return reason[0] == '\0';
}

static porch_err journal(porch_signer *s, const char *kind, const porch_signer_told *now, porch_why *why) {
    porch_signer_belief *c = &s->clock;
    PORCH_TRY(porch_signer_journal_told(&s->journal, kind, now, why));
    c->journaled_ms = now->wall_ms;
    bool confirmed = strcmp(kind, "clock") == 0;
    if (confirmed || strcmp(c->anchor.boot, now->boot) != 0) c->anchor = *now;
    if (confirmed || now->wall_ms > c->told.wall_ms) c->told = *now;
    return PORCH_OK;
}

porch_err porch_signer_clock_start(porch_signer *s, const porch_signer_head *head, const char *boot,
                                   porch_signer_now now, porch_why *why) {
    porch_signer_belief *c = &s->clock;
    porch_x509_info issuer;
    *c = (porch_signer_belief){
        .told = head->told, .anchor = head->anchor, .journaled_ms = head->told.wall_ms};
    (void)snprintf(c->boot, sizeof c->boot, "%s", boot);
    PORCH_TRY(porch_x509_read((porch_bytes){s->issuing.cert_pem, s->issuing.cert_len}, &issuer, why));
    c->least_ms = c->told.wall_ms == 0 ? issuer.not_before_ms : 0;
    if (c->told.wall_ms != 0 || now.wall_ms < c->least_ms) return PORCH_OK;
    const porch_signer_told first = told_of(c, now);
    return journal(s, "time", &first, why);
}

porch_err porch_signer_clock_tell(porch_signer *s, porch_signer_now now, porch_why *why) {
    porch_signer_belief *c = &s->clock;
    char reason[PORCH_SIGNER_REASON_BYTES];
    const porch_signer_told told = told_of(c, now);
    if (!believable(s, now, reason)) {
        if (!c->refused)
            porch_log(PORCH_LOG_ERROR, "signer.clock-not-believed", "reason", reason, "hint",
                      "devices are told no time and given no certificate; set the clock right (timedatectl "
                      "set-ntp true), or, "
                      "when it is "
                      "right, run: porchlight -C DIR clock confirm",
                      NULL);
        c->refused = true;
        return porch_fail(why, PORCH_ERR_BUSY,
                          "the signer does not believe the hub's clock: %s; when it is right, run: "
                          "porchlight -C DIR clock confirm",
                          reason);
    }
    if (c->refused) porch_log(PORCH_LOG_INFO, "signer.clock-believed", NULL);
    c->refused = false;
    bool due = now.wall_ms >= c->journaled_ms + JOURNAL_MS || strcmp(c->anchor.boot, c->boot) != 0;
    if (due) return journal(s, "time", &told, why);
    if (now.wall_ms > c->told.wall_ms) c->told = told;
    return PORCH_OK;
}

porch_err porch_signer_do_clock(porch_signer *s, const porch_signer_request *r, porch_signer_now now,
                                porch_buf *data, porch_why *why) {
    char reason[PORCH_SIGNER_REASON_BYTES];
    if (porch_bytes_eq_text(r->name, "confirm")) {
        const porch_signer_told right = told_of(&s->clock, now);
        PORCH_TRY(journal(s, "clock", &right, why));
        s->clock.least_ms = 0;
        s->clock.refused = false;
        porch_log(PORCH_LOG_WARN, "signer.clock-confirmed", NULL);
        return PORCH_OK;
    }
    if (!porch_bytes_eq_text(r->name, "look"))
        return porch_fail(why, PORCH_ERR_MALFORMED, "the clock is looked at or confirmed");
    (void)believable(s, now, reason);
    return porch_write_text(data, reason);
}
