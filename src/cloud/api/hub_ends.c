#include "cloud/api/hub_ends.h"

#include <stdlib.h>

#include "cloud/api/hub_room.h"
#include "crypto/x509.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

enum { DAY_MS = 86400000 };

/* ---- which is soon ---- */

/* `lives` more than the life of a certificate that it issues, or absolutely. */
typedef struct {
    uint32_t days;
    bool lives;
    const char *command;
} notice;

static const notice NOTICES[PORCH_METRICS_ENDS] = {
    [PORCH_METRICS_END_ROOT] = {365, true,
                                "a root has no successor: porchlight init NEW-DIR, and enrol each device "
                                "there before this one ends"},
    [PORCH_METRICS_END_ISSUING] = {30, true,
                                   "porchlight -C DIR ca rotate --out FILE; ca sign-issuing; ca activate"},
    [PORCH_METRICS_END_FORMER] = {14, false,
                                  "porchlight -C DIR ca list names what hangs on it; device add ID --renew "
                                  "for each, then ca retire"},
    [PORCH_METRICS_END_HUB] = {14, false, "see certificate.not_renewed in this log"},
    [PORCH_METRICS_END_PEOPLE] = {14, false,
                                  "renew it where it comes from (certbot renew), or see "
                                  "certificate.not_renewed in this log"},
    [PORCH_METRICS_END_WEB_CA] = {90, false,
                                  "stop the hub and run: porchlight -C DIR ca renew-web (phones then trust "
                                  "the new one)"},
};

void porch_hub_ends_judge(const uint64_t ends_ms[PORCH_METRICS_ENDS], uint64_t now_ms,
                          uint32_t certificate_days, void (*fn)(const porch_hub_end *, void *), void *ctx) {
    for (int i = 0; i < PORCH_METRICS_ENDS; i++) {
        const notice *n = &NOTICES[i];
        uint64_t least_ms = ((uint64_t)n->days + (n->lives ? certificate_days : 0)) * DAY_MS;
        const porch_hub_end one = {(porch_metrics_end)i, ends_ms[i], n->command};
        if (ends_ms[i] != 0 && (ends_ms[i] <= now_ms || ends_ms[i] - now_ms < least_ms)) fn(&one, ctx);
    }
}

/* ---- when each does ---- */

static uint64_t end_of_file(const char *path) {
    uint8_t *text = NULL;
    size_t len = 0;
    porch_x509_info info;
    if (porch_file_read(path, PORCH_X509_INPUT_BYTES, &text, &len, NULL) != PORCH_OK) return 0;
    porch_err e = porch_x509_read((porch_bytes){text, len}, &info, NULL);
    free(text);
    return e == PORCH_OK ? info.not_after_ms : 0;
}

static uint64_t end_below(const porch_hub *h, const char *name) {
    char path[PORCH_HUB_PATH_BYTES];
    return porch_path_join(h->start->dir, name, path, sizeof path) == PORCH_OK ? end_of_file(path) : 0;
}

/* Of those from before, the one that ends first while something hangs on it. */
static bool take_issuer(const porch_registry_issuer *one, void *ctx) {
    uint64_t *ends_ms = ctx, end = one->info.not_after_ms, *former = &ends_ms[PORCH_METRICS_END_FORMER];
    if (one->retired_ms != 0) return true;
    if (one->followed_ms == 0)
        ends_ms[PORCH_METRICS_END_ISSUING] = end;
    else if (one->live + one->ended > 0 && (*former == 0 || end < *former))
        *former = end;
    return true;
}

void porch_hub_ends(porch_hub *h, uint64_t ends_ms[PORCH_METRICS_ENDS]) {
    for (int i = 0; i < PORCH_METRICS_ENDS; i++)
        ends_ms[i] = 0;
    ends_ms[PORCH_METRICS_END_ROOT] = end_below(h, "tls/device-root.pem");
    porch_registry_issuers(h->registry, take_issuer, ends_ms);
    ends_ms[PORCH_METRICS_END_HUB] = end_below(h, "tls/hub-cert.pem");
    if (h->https.serving) {
        ends_ms[PORCH_METRICS_END_PEOPLE] = end_of_file(h->https.cert);
    } else {
        ends_ms[PORCH_METRICS_END_PEOPLE] = end_below(h, "tls/web-cert.pem");
        ends_ms[PORCH_METRICS_END_WEB_CA] = end_below(h, "tls/web-ca.pem");
    }
}

/* ---- the line a day ---- */

static void tell(const porch_hub_end *one, void *ctx) {
    uint64_t now_ms = *(const uint64_t *)ctx;
    uint64_t days = one->ends_ms > now_ms ? (one->ends_ms - now_ms) / DAY_MS : 0;
    porch_log(PORCH_LOG_WARN, "certificate.ends", "certificate", porch_metrics_end_word(one->which), "days",
              porch_log_number(days).text, "run", one->command, NULL);
}

void porch_hub_ends_tell(porch_hub *h) {
    uint64_t ends_ms[PORCH_METRICS_ENDS], now_ms = porch_clock_ms(), up_ms = porch_clock_mono_ms();
    if (h->ends_told_ms != 0 && up_ms - h->ends_told_ms < DAY_MS) return;
    h->ends_told_ms = up_ms;
    porch_hub_ends(h, ends_ms);
    porch_hub_ends_judge(ends_ms, now_ms, h->settings.hub_certificate_days, tell, &now_ms);
}
