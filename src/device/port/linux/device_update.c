/* The updater: a thread that waits for the hub's word, and does what was signed. See <porchlight/update.h>.
 *
 *   SDK thread ──desired──► (lock) ──► updater: refresh ► choose ► policy ► install ► restart
 *   product    ──healthy──► (lock) ──►          trial: confirm, or give up
 *
 * state/update/ holds TUF's metadata (tuf/), the hub's last word (desired), what was counted for it
 * (counted), a delta on its way (patch) and its journals. Everything in it may be lost but tuf/: the slots'
 * record decides what runs. */
#include "device/port/linux/device_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <porchlight/update.h>

#include "base/text.h"
#include "device/port/linux/update_install.h"
#include "device/port/linux/update_release.h"
#include "device/port/linux/update_report.h"
#include "os/clock.h"
#include "os/file.h"
#include "ota/client/policy.h"
#include "wire/update_news.h"

enum {
    PATH_BYTES = 4096,
    TRIAL_S = 600,
    TICK_MS = 1000, /* while a trial or a wait is on */
    COUNT_SAVED_S = 10,
    AGAIN_FIRST_MS = 1000,
    LOOK_FIRST_MS = 15000, /* a device that waits looks again after so long, then after twice as long... */
    LOOK_MOST_MS = 900000, /* ... at most; and when the next signed stage holds */
    FETCH_PATIENCE_MS = 30000
};

struct device_update {
    porch_device *device;
    porch_update_options options;
    char slots[PATH_BYTES], version[PORCH_UPDATE_VERSION_MOST + 1], hardware[128], root[PATH_BYTES];
    char bus_text[256], tpm_text[256];
    const char *bus, *tpm; /* NULL: the system's; none */
    char desired_topic[128], state[PATH_BYTES];
    pthread_t thread;
    bool runs;
    int wake_fd, state_fd;

    /* under the device's lock */
    uint8_t word[PORCH_UPDATE_NEWS_MOST]; /* the hub's last one */
    size_t word_len;
    bool news; /* it has not been looked at */
    bool healthy, unhealthy, reached;
    char ill[200];
    bool trial;

    /* the updater's own */
    porch_update_fetch fetch;
    uint8_t held[PORCH_UPDATE_NEWS_MOST];
    size_t held_len;
    porch_update_desired desired; /* looks into `held` */
    bool settled;                 /* this word has its result */
    bool called_back;             /* nothing is to be done: what is staged is not to be tried either */
    uint64_t powered_s, fetched, counted_ms, saved_s;
    uint64_t trial_ends_ms, next_ms, look_ms;
    porch_backoff backoff;
    porch_update_report report;
    uint64_t floor;
    porch_update_way way;
};

static void wake(struct device_update *u) {
    uint64_t one = 1;
    ssize_t n = write(u->wake_fd, &one, sizeof one);
    (void)n;
}

static bool called_off(void *ctx) {
    struct device_update *u = ctx;
    (void)pthread_mutex_lock(&u->device->lock);
    bool off = u->device->stopping || u->news;
    (void)pthread_mutex_unlock(&u->device->lock);
    return off;
}

/* ---- telling hub and product ---- */

static void notify(struct device_update *u, porch_update_state state, const char *reason, bool restart) {
    char version[PORCH_UPDATE_VERSION_MOST + 1] = "";
    (void)porch_bytes_to_text(u->desired.version, version, sizeof version);
    const porch_update_news news = {porch_update_state_word(state), version, reason, restart};
    if (u->options.on_update != NULL) u->options.on_update(u->options.ctx, &news);
}

static porch_update_status status_of(const struct device_update *u, porch_update_state state,
                                     const char *reason) {
    return (porch_update_status){.has_rollout = u->desired.any,
                                 .rollout = u->desired.rollout,
                                 .running = porch_bytes_of(u->version),
                                 .target = u->desired.version,
                                 .attempt = u->desired.attempt,
                                 .state = state,
                                 .reason = porch_bytes_of(reason),
                                 .floor = u->floor,
                                 .bytes = u->fetched,
                                 .way = u->way};
}

/* The same is not said twice, but at each connection (porch_device_update_subscribed). */
static void tell(struct device_update *u, porch_update_state state, const char *reason, bool restart) {
    if (!restart && porch_update_report_known(&u->report, state, reason)) return;
    const porch_update_status s = status_of(u, state, reason);
    porch_update_report_tell(&u->report, &s);
    notify(u, state, reason, restart);
}

/* A wish of which there is nothing to say yet, or none: what the next connection is told. */
static void hold(struct device_update *u, bool trial) {
    const porch_update_status s = status_of(u,
                                            u->desired.any ? PORCH_UPDATE_WAITING
                                            : trial        ? PORCH_UPDATE_TRIAL
                                                           : PORCH_UPDATE_GOOD,
                                            "");
    porch_update_report_hold(&u->report, &s);
}

/* ---- what is remembered ---- */

static void save_counted(struct device_update *u) {
    char text[160], hex[65] = "";
    porch_buf out = {(uint8_t *)hex, 0, 64};
    (void)porch_hex_write(&out, (porch_bytes){u->desired.sha256, 32});
    int n = snprintf(text, sizeof text, "%s %llu %llu\n", hex, (unsigned long long)u->powered_s,
                     (unsigned long long)u->fetched);
    (void)porch_file_write_atomic_at(u->state_fd, "counted",
                                     (porch_bytes){(const uint8_t *)text, (size_t)n}, 0600, NULL);
    u->saved_s = u->powered_s;
}

/* What was counted for this image; of another one, or of a damaged file, nothing: the device waits longer,
 * not less. */
static void load_counted(struct device_update *u) {
    uint8_t *text = NULL;
    size_t len = 0;
    char hex[65] = "";
    porch_buf out = {(uint8_t *)hex, 0, 64};
    uint64_t powered_s = 0, fetched = 0;
    (void)porch_hex_write(&out, (porch_bytes){u->desired.sha256, 32});
    u->powered_s = u->fetched = u->saved_s = 0;
    u->counted_ms = porch_clock_mono_ms();
    if (porch_file_read_at(u->state_fd, "counted", 160, &text, &len, NULL) != PORCH_OK) return;
    unsigned long long a = 0, b = 0;
    if (len > 65 && strncmp((const char *)text, hex, 64) == 0 &&
        sscanf((const char *)text + 64, " %llu %llu", &a, &b) == 2) {
        powered_s = a;
        fetched = b;
    }
    u->powered_s = u->saved_s = powered_s;
    u->fetched = fetched;
    free(text);
}

static void count_time(struct device_update *u) {
    uint64_t now_ms = porch_clock_mono_ms();
    u->powered_s += (now_ms - u->counted_ms) / 1000;
    u->counted_ms += (now_ms - u->counted_ms) / 1000 * 1000;
    if (u->powered_s - u->saved_s >= COUNT_SAVED_S) save_counted(u);
}

/* ---- slots ---- */

static porch_err open_slots(struct device_update *u, void **self, porch_slots *s, porch_why *why) {
    const porch_update_place place = {u->slots, u->bus, u->tpm, u->options.floor_at};
    PORCH_TRY(u->options.back_end->open(&place, s, self, why));
    u->floor = s->now.floor;
    return PORCH_OK;
}

static void close_slots(struct device_update *u, void *self) {
    u->options.back_end->close(self);
}

/* ---- one update ---- */

static int minute_of_day(const struct device_update *u) {
    return (int)(porch_device_clock_ms(u->device) / 60000 % PORCH_POLICY_DAY_MIN);
}

/* It was staged, and called back: it is there. (A bundle is not kept.) */
static bool lies_whole(const struct device_update *u, const porch_slot_record *now,
                       const porch_slot_image *image) {
    const porch_slot_image *other = &now->image[1u - now->active];
    return u->options.back_end->install == NULL && now->other == PORCH_SLOT_WRITING &&
           now->written == image->length && other->counter == image->counter &&
           other->length == image->length && memcmp(other->sha256, image->sha256, 32) == 0;
}

static porch_policy_verdict judge(struct device_update *u, const porch_update_release *r, bool whole,
                                  porch_why *why) {
    const porch_policy_facts facts = {
        .cohort = porch_policy_cohort(porch_verify_library(), porch_bytes_of(porch_device_id(u->device)),
                                      r->image.sha256),
        .powered_s = u->powered_s,
        .widened = r->widened,
        .battery = u->options.battery != NULL ? u->options.battery(u->options.ctx) : -1,
        .minute = minute_of_day(u),
        .schema = u->options.data_schema,
        .counter = r->image.counter,
        .floor = u->floor,
        .fetched = whole ? 0 : u->fetched,
        .delta_bytes = whole ? 0 : r->delta_bytes,
        .full_bytes = whole ? 0 : r->image.length};
    return porch_policy_decide(&r->policy, &facts, why);
}

static void settle(struct device_update *u, porch_update_state state, const char *reason, bool restart) {
    u->settled = true;
    tell(u, state, reason, restart);
}

static bool for_later(porch_err e) {
    return e == PORCH_ERR_IO || e == PORCH_ERR_CLOSED || e == PORCH_ERR_TIMEOUT || e == PORCH_ERR_BUSY ||
           e == PORCH_ERR_AGAIN || e == PORCH_ERR_AUTH;
}

/* What the hub gives out is not the newest, or the time is not: it is signed anew, or the backup is mended,
 * without a word to us. Nothing is installed until then. */
static bool is_stale(porch_err e) {
    return e == PORCH_ERR_EXPIRED || e == PORCH_ERR_ROLLBACK;
}

/* Again after a pause. That the hub refuses our certificate, or is behind, is worth a word: it may last. */
static void later(struct device_update *u, porch_err e, const porch_why *why) {
    if (e == PORCH_ERR_AUTH || is_stale(e)) tell(u, PORCH_UPDATE_WAITING, porch_why_text(why, e), false);
    u->next_ms = porch_clock_mono_ms() + porch_backoff_next(&u->backoff, porch_device_random32());
}

/* Time makes it this device's turn, or somebody who may signs a wider share: neither is worth a look each
 * second. */
static void look_again(struct device_update *u, const porch_policy *p) {
    u->look_ms = u->look_ms == 0                 ? LOOK_FIRST_MS
                 : u->look_ms * 2 < LOOK_MOST_MS ? u->look_ms * 2
                                                 : LOOK_MOST_MS;
    uint64_t left_s = porch_policy_stage_left(p, u->powered_s), pause_ms = u->look_ms;
    if (left_s > 0 && left_s < pause_ms / 1000) pause_ms = left_s * 1000;
    u->next_ms = porch_clock_mono_ms() + pause_ms;
}

/* Fetches and stages; a delta that is of no use is told, and the policy asked again without it. */
static void install(struct device_update *u, porch_update_release *r, void *self, porch_slots *s) {
    porch_update_install in = {.fetch = &u->fetch,
                               .back_end = u->options.back_end,
                               .self = self,
                               .slots = s,
                               .state = u->state,
                               .state_fd = u->state_fd,
                               .fetched = &u->fetched};
    porch_why why = {""}, reason = {""};
    porch_err e = PORCH_OK;
    const uint64_t before = u->fetched;
    porch_policy_verdict v = judge(u, r, lies_whole(u, &s->now, &r->image), &reason);
    if (v == PORCH_POLICY_DELTA) {
        u->way = PORCH_UPDATE_WAY_DELTA;
        tell(u, PORCH_UPDATE_DOWNLOADING, "", false);
        e = porch_update_install_delta(&in, &r->image, r->delta_path, r->delta_bytes, r->delta_sha256,
                                       &why);
        if (e != PORCH_OK && porch_update_install_hopeless(e)) {
            char text[PORCH_UPDATE_REASON_MOST + 1];
            (void)snprintf(text, sizeof text, "the delta cannot be used: %.150s", porch_why_text(&why, e));
            tell(u, PORCH_UPDATE_DOWNLOADING, text, false);
            r->delta_bytes = 0;
            e = PORCH_OK;
            v = judge(u, r, false, &reason);
        }
    }
    if (v == PORCH_POLICY_FULL) {
        u->way = PORCH_UPDATE_WAY_FULL;
        tell(u, PORCH_UPDATE_DOWNLOADING, "", false);
        e = porch_update_install_whole(&in, &r->image, r->image_path, &why);
    }
    save_counted(u);
    /* Metadata alone is no progress: a hub that gives no image is asked less and less. */
    if (e == PORCH_OK || u->fetched > before) porch_backoff_reset(&u->backoff);
    if (v == PORCH_POLICY_REFUSE) {
        settle(u, PORCH_UPDATE_REFUSED, porch_why_text(&reason, PORCH_ERR_DENIED), false);
    } else if (v == PORCH_POLICY_WAIT) {
        tell(u, PORCH_UPDATE_WAITING, reason.text, false);
        look_again(u, &r->policy);
    } else if (e == PORCH_OK) {
        settle(u, PORCH_UPDATE_STAGED, "", true);
    } else if (for_later(e)) {
        later(u, e, &why); /* what came is kept; on from there */
    } else {
        settle(u, PORCH_UPDATE_FAILED, porch_why_text(&why, e), false);
    }
}

/* The slots' reason, and what the product said itself, if it did. */
static const char *why_rolled_back(struct device_update *u, const porch_slot_record *r, char *text,
                                   size_t cap) {
    uint8_t *ill = NULL;
    size_t len = 0;
    if (r->reason != PORCH_SLOT_UNHEALTHY ||
        porch_file_read_at(u->state_fd, "ill", sizeof u->ill, &ill, &len, NULL) != PORCH_OK)
        return porch_slot_reason_text(r->reason);
    (void)snprintf(text, cap, "%s", (const char *)ill);
    free(ill);
    return text;
}

/* Where the image that the hub speaks of stands already; false: nowhere. */
static bool stands(struct device_update *u, const porch_slot_record *r) {
    const uint8_t *wanted = u->desired.sha256;
    if (memcmp(r->image[r->active].sha256, wanted, 32) == 0) {
        settle(u, PORCH_UPDATE_GOOD, "", false);
        return true;
    }
    if (memcmp(r->image[1u - r->active].sha256, wanted, 32) != 0) return false;
    if (r->other == PORCH_SLOT_ROLLED_BACK) {
        char text[PORCH_UPDATE_REASON_MOST + 1];
        settle(u, PORCH_UPDATE_ROLLED_BACK, why_rolled_back(u, r, text, sizeof text), false);
    }
    if (r->other == PORCH_SLOT_STAGED) settle(u, PORCH_UPDATE_STAGED, "", true);
    return r->other == PORCH_SLOT_ROLLED_BACK || r->other == PORCH_SLOT_STAGED;
}

static porch_err look_up(struct device_update *u, const uint8_t running[32], porch_update_release *r,
                         porch_why *why) {
    /* A bundle is taken whole: what runs was made of one that is not kept. */
    porch_update_repository repository = {.device = u->device,
                                          .fetch = &u->fetch,
                                          .state = u->state,
                                          .root = u->root,
                                          .hardware = u->hardware,
                                          .deltas = u->options.back_end->install == NULL};
    porch_err e = porch_update_release_find(&repository, &u->desired, running, r, why);
    u->fetched += repository.fetched;
    return e;
}

static void consider(struct device_update *u) {
    void *self = NULL;
    porch_slots s;
    porch_why why = {""};
    porch_update_release *r = calloc(1, sizeof *r);
    porch_err e = r != NULL ? open_slots(u, &self, &s, &why) : PORCH_ERR_NO_SPACE;
    if (e != PORCH_OK) {
        free(r);
        if (for_later(e))
            later(u, e, &why);
        else
            settle(u, PORCH_UPDATE_FAILED, porch_why_text(&why, e), false);
        return;
    }
    bool there = stands(u, &s.now);
    if (!there && s.now.other == PORCH_SLOT_STAGED) /* of an earlier word */
        (void)u->options.back_end->unstage(self, &s, &why);
    if (!there) {
        porch_tls_client *tls = porch_device_trust_client(u->device);
        porch_update_fetch_use(&u->fetch, tls);
        e = look_up(u, s.now.image[s.now.active].sha256, r, &why);
        if (e == PORCH_OK) {
            install(u, r, self, &s);
        } else if (for_later(e) || is_stale(e)) {
            later(u, e, &why);
        } else { /* no room for the metadata says nothing of the release */
            bool no_room = e == PORCH_ERR_FULL || e == PORCH_ERR_NO_SPACE;
            settle(u,
                   no_room    ? PORCH_UPDATE_FAILED
                   : r->unfit ? PORCH_UPDATE_UNFIT
                              : PORCH_UPDATE_REFUSED,
                   porch_why_text(&why, e), false);
        }
        porch_update_fetch_rest(&u->fetch);
        porch_tls_client_unref(tls);
    }
    close_slots(u, self);
    free(r);
}

/* The hub takes its word back: what a product has not started yet is not started. */
static void call_back(struct device_update *u) {
    void *self = NULL;
    porch_slots s;
    porch_why why = {""};
    porch_err e = open_slots(u, &self, &s, &why);
    bool staged = e == PORCH_OK && s.now.other == PORCH_SLOT_STAGED;
    if (staged) e = u->options.back_end->unstage(self, &s, &why);
    if (self != NULL) close_slots(u, self);
    u->called_back = e != PORCH_OK;
    if (e != PORCH_OK)
        later(u, e, &why);
    else if (staged)
        tell(u, PORCH_UPDATE_GOOD, "", false);
}

/* ---- the trial ---- */

static void end_trial(struct device_update *u, bool good, const char *reason) {
    const porch_update_back_end *b = u->options.back_end;
    void *self = NULL;
    porch_slots s;
    porch_why why = {""};
    bool spoken_of = false; /* by the hub's last word, which may be about a newer one already */
    porch_err e = open_slots(u, &self, &s, &why);
    if (e == PORCH_OK) {
        if (!good) (void)porch_file_write_atomic_at(u->state_fd, "ill", porch_bytes_of(reason), 0600, NULL);
        e = good ? b->confirm(self, &s, &why) : b->reject(self, &s, &why);
        u->floor = s.now.floor;
        spoken_of = memcmp(s.now.image[s.now.active].sha256, u->desired.sha256, 32) == 0;
        close_slots(u, self);
    }
    /* Somebody looks at the slots, or they take no record now: again in a moment. */
    if (e == PORCH_ERR_BUSY || e == PORCH_ERR_IO || e == PORCH_ERR_FULL) {
        u->next_ms = porch_clock_mono_ms() + TICK_MS;
        return;
    }
    (void)pthread_mutex_lock(&u->device->lock);
    u->trial = false;
    (void)pthread_mutex_unlock(&u->device->lock);
    if (e != PORCH_OK)
        tell(u, PORCH_UPDATE_FAILED, porch_why_text(&why, e), false);
    else if (good && (spoken_of || !u->desired.any))
        settle(u, PORCH_UPDATE_GOOD, "", false);
    else if (good)
        notify(u, PORCH_UPDATE_GOOD, "", false);
    else
        notify(u, PORCH_UPDATE_ROLLED_BACK, reason,
               true); /* the program before tells the hub, when it runs again */
}

static void look_at_trial(struct device_update *u) {
    char ill[sizeof u->ill];
    (void)pthread_mutex_lock(&u->device->lock);
    if (u->device->connected) u->reached = true;
    bool good = u->healthy && u->reached, bad = u->unhealthy, healthy = u->healthy;
    memcpy(ill, u->ill, sizeof ill);
    (void)pthread_mutex_unlock(&u->device->lock);
    if (bad)
        end_trial(u, false, ill);
    else if (good)
        end_trial(u, true, "");
    else if (porch_clock_mono_ms() >= u->trial_ends_ms)
        end_trial(u, false,
                  healthy ? "it did not reach the hub in time"
                          : "its own check did not say that it is healthy in time");
}

/* ---- the thread ---- */

static bool trial_on(struct device_update *u) {
    (void)pthread_mutex_lock(&u->device->lock);
    bool on = u->trial;
    (void)pthread_mutex_unlock(&u->device->lock);
    return on;
}

static void take_word(struct device_update *u) {
    porch_update_desired d = {0};
    (void)pthread_mutex_lock(&u->device->lock);
    bool news = u->news;
    u->news = false;
    bool same = news && u->held_len == u->word_len && memcmp(u->held, u->word, u->word_len) == 0;
    if (news && !same) {
        memcpy(u->held, u->word, u->word_len);
        u->held_len = u->word_len;
    }
    (void)pthread_mutex_unlock(&u->device->lock);
    if (!news || same) return;
    (void)porch_file_write_atomic_at(u->state_fd, "desired", (porch_bytes){u->held, u->held_len}, 0600,
                                     NULL);
    if (porch_update_desired_read((porch_bytes){u->held, u->held_len}, &d, NULL) != PORCH_OK)
        d = (porch_update_desired){0};
    u->desired = d;
    u->settled = u->called_back = !d.any;
    u->way = PORCH_UPDATE_WAY_UNSAID;
    u->next_ms = u->look_ms = 0;
    porch_backoff_reset(&u->backoff);
    load_counted(u);
    hold(u, trial_on(u));
}

static bool stopped(struct device_update *u) {
    (void)pthread_mutex_lock(&u->device->lock);
    bool stop = u->device->stopping;
    (void)pthread_mutex_unlock(&u->device->lock);
    return stop;
}

static void sleep_until(struct device_update *u, uint64_t at_ms) {
    uint64_t now_ms = porch_clock_mono_ms(), count = 0;
    struct pollfd p = {.fd = u->wake_fd, .events = POLLIN};
    uint64_t left = at_ms > now_ms ? at_ms - now_ms : 0;
    (void)poll(&p, 1, left < 3600000 ? (int)left : 3600000);
    if ((p.revents & POLLIN) != 0 && read(u->wake_fd, &count, sizeof count) < 0) return;
}

static void *run(void *ctx) {
    struct device_update *u = ctx;
    while (!stopped(u)) {
        take_word(u);
        bool trial = trial_on(u);
        if (u->desired.any && !u->settled) count_time(u);
        if (trial)
            look_at_trial(u);
        else if (u->called_back && porch_clock_mono_ms() >= u->next_ms)
            call_back(u);
        else if (u->desired.any && !u->settled && porch_clock_mono_ms() >= u->next_ms)
            consider(u);
        trial = trial_on(u);
        bool busy = trial || u->called_back || (u->desired.any && !u->settled);
        uint64_t tick_ms = porch_clock_mono_ms() + TICK_MS;
        sleep_until(u, !busy ? UINT64_MAX : !trial && u->next_ms > tick_ms ? u->next_ms : tick_ms);
    }
    if (u->desired.any && !u->settled) save_counted(u);
    return NULL;
}

/* ---- opening ---- */

/* What an earlier run left behind: the hub's last word, and what became of it. */
static porch_err recall(struct device_update *u, porch_why *why) {
    void *self = NULL;
    porch_slots s;
    uint8_t *word = NULL;
    size_t len = 0;
    PORCH_TRY(open_slots(u, &self, &s, why));
    (void)porch_file_forget_rest_at(u->state_fd, NULL); /* of writes that the power cut off */
    u->trial = u->options.back_end->on_trial(self, &s);
    close_slots(u, self);
    u->trial_ends_ms = porch_clock_mono_ms() + (uint64_t)u->options.trial_seconds * 1000;
    if (porch_file_read_at(u->state_fd, "desired", sizeof u->held, &word, &len, NULL) == PORCH_OK) {
        memcpy(u->held, word, len);
        u->held_len = len;
        free(word);
        if (porch_update_desired_read((porch_bytes){u->held, u->held_len}, &u->desired, NULL) != PORCH_OK)
            u->desired = (porch_update_desired){0};
    }
    u->settled = !u->desired.any;
    u->called_back = u->settled && u->held_len > 0;
    load_counted(u);
    hold(u, u->trial);
    if (u->trial)
        tell(u, PORCH_UPDATE_TRIAL, "", false);
    else if (!u->desired.any)
        notify(u, PORCH_UPDATE_GOOD, "", false); /* the hub hears it when it can answer */
    return PORCH_OK;
}

static void on_desired(void *ctx, const porch_device_message *m) {
    struct device_update *u = ctx;
    porch_update_desired unused;
    if (m->payload_bytes > sizeof u->word ||
        porch_update_desired_read((porch_bytes){m->payload, m->payload_bytes}, &unused, NULL) != PORCH_OK)
        return;
    (void)pthread_mutex_lock(&u->device->lock);
    memcpy(u->word, m->payload, m->payload_bytes);
    u->word_len = m->payload_bytes;
    u->news = true;
    (void)pthread_mutex_unlock(&u->device->lock);
    wake(u);
}

static porch_err copy_text(const char *from, char *out, size_t cap, const char *what, porch_why *why) {
    int n = from != NULL ? snprintf(out, cap, "%s", from) : -1;
    return n > 0 && (size_t)n < cap ? PORCH_OK
                                    : porch_fail(why, PORCH_ERR_USAGE, "%s is missing or too long", what);
}

static porch_err copy_optional(const char *from, char *out, size_t cap, const char **ret, const char *what,
                               porch_why *why) {
    if (from == NULL) return PORCH_OK;
    *ret = out;
    return copy_text(from, out, cap, what, why);
}

static porch_err fill(struct device_update *u, const porch_update_options *o, porch_why *why) {
    porch_device *d = u->device;
    char path[PATH_BYTES];
    u->options = *o;
    if (u->options.trial_seconds == 0) u->options.trial_seconds = TRIAL_S;
    if (u->options.back_end == NULL) u->options.back_end = porch_update_files();
    PORCH_TRY(copy_text(o->slots, u->slots, sizeof u->slots, "the slots' folder", why));
    PORCH_TRY(copy_optional(o->bus, u->bus_text, sizeof u->bus_text, &u->bus, "the bus's address", why));
    PORCH_TRY(copy_optional(o->tpm, u->tpm_text, sizeof u->tpm_text, &u->tpm, "the TPM's address", why));
    PORCH_TRY(copy_text(o->version, u->version, sizeof u->version, "the version", why));
    PORCH_TRY(copy_text(o->hardware, u->hardware, sizeof u->hardware, "the hardware's revision", why));
    if (!porch_update_version_ok(porch_bytes_of(u->version)))
        return porch_fail(why, PORCH_ERR_USAGE, "'%.64s' is no version", u->version);
    if (d->conf.product[0] == '\0')
        return porch_fail(why, PORCH_ERR_CONFIG,
                          "device.conf does not say device.product, and no release can be for it: write "
                          "`device.product = NAME` there, as `porchlight device list` has it");
    if (o->root != NULL)
        PORCH_TRY(copy_text(o->root, u->root, sizeof u->root, "the root's file", why));
    else
        PORCH_TRY(porch_path_join(d->options.folder, "update-root.json", u->root, sizeof u->root));
    (void)snprintf(u->desired_topic, sizeof u->desired_topic, "d/%s/update/desired", porch_device_id(d));
    PORCH_TRY(porch_path_join(d->options.folder, "state", path, sizeof path));
    PORCH_TRY(porch_path_join(path, "update", u->state, sizeof u->state));
    PORCH_TRY(porch_dir_make(u->state, 0700, why));
    u->state_fd = open(u->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    u->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (u->state_fd < 0 || u->wake_fd < 0)
        return porch_fail(why, PORCH_ERR_IO, "open %.150s: %s", u->state, strerror(errno));
    u->backoff = porch_backoff_of(AGAIN_FIRST_MS, d->options.back_off_most_ms);
    u->fetch = (porch_update_fetch){.host = d->conf.host,
                                    .port = d->conf.device_port,
                                    .patience_ms = FETCH_PATIENCE_MS,
                                    .wake_fd = u->wake_fd,
                                    .cancelled = called_off,
                                    .ctx = u};
    porch_update_fetch_open(&u->fetch);
    return recall(u, why);
}

static void free_updater(struct device_update *u) {
    porch_update_fetch_close(&u->fetch);
    if (u->state_fd >= 0) (void)close(u->state_fd);
    if (u->wake_fd >= 0) (void)close(u->wake_fd);
    porch_update_report_close(&u->report);
    free(u);
}

porch_device_result porch_update_open(porch_device *d, const porch_update_options *options,
                                      porch_device_why *why) {
    porch_why inner = {{0}};
    if (d->update != NULL || porch_device_is_service(d))
        return porch_device_say(why, PORCH_ERR_USAGE, "an updater is opened once, for a device's folder");
    struct device_update *u = calloc(1, sizeof *u);
    if (u == NULL) return porch_device_say(why, PORCH_ERR_NO_SPACE, "out of memory");
    u->device = d;
    u->wake_fd = u->state_fd = -1;
    porch_update_fetch_open(&u->fetch);
    porch_update_report_open(&u->report, d);
    porch_err e = fill(u, options, &inner);
    if (e == PORCH_OK && !porch_device_thread(&u->thread, run, u))
        e = porch_fail(&inner, PORCH_ERR_IO, "no thread can be started");
    if (e != PORCH_OK) {
        free_updater(u);
        return porch_device_fail(why, e, &inner);
    }
    u->runs = true;
    (void)pthread_mutex_lock(&d->lock);
    d->update = u;
    (void)pthread_mutex_unlock(&d->lock);
    return porch_device_subscribe(d, u->desired_topic, on_desired, u, why);
}

void porch_device_update_subscribed(porch_device *d, const char *filter) {
    (void)pthread_mutex_lock(&d->lock);
    struct device_update *u = d->update;
    (void)pthread_mutex_unlock(&d->lock);
    if (u != NULL && strcmp(filter, u->desired_topic) == 0) porch_update_report_again(&u->report);
}

bool porch_update_on_trial(porch_device *d) {
    return d->update != NULL && trial_on(d->update);
}

void porch_update_healthy(porch_device *d) {
    if (d->update == NULL) return;
    (void)pthread_mutex_lock(&d->lock);
    bool before = d->update->healthy;
    d->update->healthy = true;
    (void)pthread_mutex_unlock(&d->lock);
    if (!before) wake(d->update);
}

void porch_update_unhealthy(porch_device *d, const char *reason) {
    if (d->update == NULL) return;
    (void)pthread_mutex_lock(&d->lock);
    d->update->unhealthy = true;
    (void)snprintf(d->update->ill, sizeof d->update->ill, "%.190s", reason);
    (void)pthread_mutex_unlock(&d->lock);
    wake(d->update);
}

void porch_device_update_stop(porch_device *d) {
    if (d->update == NULL || !d->update->runs) return;
    wake(d->update);
    (void)pthread_join(d->update->thread, NULL);
    d->update->runs = false;
}

void porch_device_update_free(porch_device *d) {
    if (d->update != NULL) free_updater(d->update);
    d->update = NULL;
}
