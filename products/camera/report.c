#include "report.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { TICKETS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool as_json;
/* Which event a ticket stands for: the last ones published by this run. */
static struct {
    uint64_t ticket;
    porch_event_id event;
} tickets[TICKETS];
static size_t next_ticket;

void porch_camera_report_init(bool json) {
    as_json = json;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
}

/* `more` is the rest of the line, in the form of the chosen output. Under the lock. */
static void hop(const char *name, const char *event, uint64_t at_ms, const char *more) {
    if (as_json)
        (void)printf("{\"hop\":\"%s\",\"event\":\"%s\",\"at_ms\":%" PRIu64 "%s}\n", name, event, at_ms,
                     more);
    else
        (void)printf("%" PRIu64 " %-18s %s%s\n", at_ms, name, event, more);
}

void porch_camera_report_motion(const porch_motion *m) {
    char more[160];
    (void)snprintf(more, sizeof more,
                   as_json ? ",\"score\":%.4f,\"box\":[%.4f,%.4f,%.4f,%.4f],\"decided_ms\":%" PRIu64
                           : " score=%.2f box=%.2f,%.2f,%.2f,%.2f decided=%" PRIu64,
                   m->score, m->box[0], m->box[1], m->box[2], m->box[3], porch_device_now_ms());
    (void)pthread_mutex_lock(&lock);
    hop("motion", m->id.text, m->at_ms, more);
    (void)pthread_mutex_unlock(&lock);
}

porch_device_result porch_camera_report_publish(porch_device *device, const porch_motion *motion,
                                                porch_device_why *why) {
    uint64_t ticket = 0;
    (void)pthread_mutex_lock(&lock);
    porch_device_result r = porch_motion_publish(device, motion, &ticket, why);
    if (r == PORCH_DEVICE_OK) {
        tickets[next_ticket].ticket = ticket;
        tickets[next_ticket].event = motion->id;
        next_ticket = (next_ticket + 1) % TICKETS;
        hop("event-published", motion->id.text, porch_device_now_ms(), "");
    }
    (void)pthread_mutex_unlock(&lock);
    return r;
}

void porch_camera_report_finished(bool all_acknowledged) {
    (void)pthread_mutex_lock(&lock);
    hop("finished", "", porch_device_now_ms(),
        as_json ? (all_acknowledged ? ",\"acknowledged\":true" : ",\"acknowledged\":false")
                : (all_acknowledged ? "everything is acknowledged" : "some wait for the next run"));
    (void)pthread_mutex_unlock(&lock);
}

void porch_camera_report_capture(const char *state, uint64_t wish) {
    char more[96];
    (void)snprintf(more, sizeof more, as_json ? ",\"state\":\"%s\",\"wish\":%" PRIu64 : "%s wish=%" PRIu64,
                   state, wish);
    (void)pthread_mutex_lock(&lock);
    hop("capture", "", porch_device_now_ms(), more);
    (void)pthread_mutex_unlock(&lock);
}

/* Versions are letters, digits and ".-_+"; a reason may hold anything and goes to standard error. */
void porch_camera_report_update(const porch_update_news *news, const char *running) {
    char more[256];
    (void)snprintf(more, sizeof more,
                   as_json ? ",\"state\":\"%s\",\"version\":\"%s\",\"running\":\"%s\""
                           : "%s version=%s running=%s",
                   news->state, news->version, running);
    (void)pthread_mutex_lock(&lock);
    hop("update", "", porch_device_now_ms(), more);
    if (news->reason[0]) porch_camera_report_note("note", news->reason);
    (void)pthread_mutex_unlock(&lock);
}

void porch_camera_report_note(const char *level, const char *text) {
    (void)fprintf(stderr, "porchlight-camera: %s: %s\n", level, text);
}

/* NULL for a message of an earlier run: its event's name went with that process. */
static const char *event_of(uint64_t ticket) {
    for (size_t i = 0; i < TICKETS; i++)
        if (tickets[i].ticket == ticket && ticket != 0) return tickets[i].event.text;
    return NULL;
}

static void tell_status(const porch_device_status *s) {
    char text[512];
    if (s->news == PORCH_DEVICE_WARNING) {
        porch_camera_report_note("warning", s->text);
        return;
    }
    (void)snprintf(text, sizeof text, "%s%s%s%s%s", porch_device_news_name(s->news), s->name[0] ? " " : "",
                   s->name, s->text[0] ? ": " : "", s->text);
    bool good = s->news == PORCH_DEVICE_CONNECTED || s->news == PORCH_DEVICE_SUBSCRIBED ||
                s->news == PORCH_DEVICE_RENEWED || s->news == PORCH_DEVICE_CERTIFICATE_IN_USE;
    porch_camera_report_note(good ? "note" : "warning", text);
}

void porch_camera_report_status(void *ctx, const porch_device_status *s) {
    (void)ctx;
    char more[160] = "";
    (void)pthread_mutex_lock(&lock);
    switch (s->news) {
    case PORCH_DEVICE_ACKNOWLEDGED: {
        const char *event = event_of(s->ticket);
        if (event) hop("event-acknowledged", event, s->at_ms, "");
        break;
    }
    case PORCH_DEVICE_CLIP_STARTED:
        hop("clip-first-byte", s->name, s->at_ms, "");
        break;
    case PORCH_DEVICE_CLIP_COMPLETE:
        (void)snprintf(more, sizeof more,
                       as_json ? ",\"sha256\":\"%s\",\"bytes\":%" PRIu64 : " sha256=%s bytes=%" PRIu64,
                       s->sha256, s->bytes);
        hop("clip-complete", s->name, s->at_ms, more);
        break;
    default:
        tell_status(s);
    }
    (void)pthread_mutex_unlock(&lock);
}
