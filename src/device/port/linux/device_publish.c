/* What a product hands over: messages, subscriptions, motion events; and the wait for their end. */
#include "device/port/linux/device_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/random.h"
#include "wire/topic.h"

/* wire/event_motion.h and porchlight/event.h each have their own motion type: the public one is
 * porch_motion. */
#include "wire/event_motion.h"

static porch_device_result check(const char *topic, size_t payload_bytes, porch_topic_name *ret,
                                 porch_device_why *why) {
    porch_bytes text = porch_bytes_of(topic);
    if (porch_topic_name_parse(text, NULL, ret) != PORCH_OK)
        return porch_device_say(why, PORCH_ERR_USAGE,
                                "'%.100s' is no topic; write levels with '/' and no wildcard",
                                topic ? topic : "");
    if (payload_bytes > MESSAGE_MOST || text.len > MESSAGE_MOST - payload_bytes)
        return porch_device_say(why, PORCH_ERR_LIMIT, "a message may have %d bytes, topic included",
                                MESSAGE_MOST);
    return PORCH_DEVICE_OK;
}

porch_device_result porch_device_publish(porch_device *d, const char *topic, const void *payload,
                                         size_t payload_bytes, uint64_t *ret_ticket,
                                         porch_device_why *why) {
    porch_topic_name name;
    porch_device_result r = check(topic, payload_bytes, &name, why);
    if (r != PORCH_DEVICE_OK) return r;
    uint64_t ticket = 0;
    porch_spool_loss loss;
    (void)pthread_mutex_lock(&d->lock);
    porch_err e = porch_outbox_add(&d->outbox, name, (porch_bytes){payload, payload_bytes}, &ticket, &loss);
    if (loss.messages > 0)
        porch_device_tell(d,
                          &(porch_device_status){.news = PORCH_DEVICE_MESSAGE_DROPPED,
                                                 .ticket = loss.upto,
                                                 .count = loss.messages,
                                                 .text = "the spool was full; the oldest messages went"});
    (void)pthread_mutex_unlock(&d->lock);
    if (e != PORCH_OK) return porch_device_say(why, e, "the message cannot be kept: %s", porch_err_text(e));
    if (ret_ticket) *ret_ticket = ticket;
    porch_device_wake(d);
    return PORCH_DEVICE_OK;
}

void porch_device_judge_spool(porch_device *d, porch_err read) {
    bool fails = read != PORCH_OK;
    if (d->spool.unreadable != d->unreadable_told)
        porch_device_tell(
            d, &(porch_device_status){.news = PORCH_DEVICE_WARNING,
                                      .text = "a part of the spool (state/spool) cannot be read; its "
                                              "messages are passed over: check the disk"});
    if (fails && !d->spool_fails)
        porch_device_tell(
            d, &(porch_device_status){.news = PORCH_DEVICE_WARNING,
                                      .text = "the spool (state/spool) cannot be read now; its messages "
                                              "wait: check the disk and the limit of open files"});
    d->unreadable_told = d->spool.unreadable;
    d->spool_fails = fails;
}

void porch_device_now_clear(porch_device *d) {
    while (d->now_first) {
        now_message *m = d->now_first;
        d->now_first = m->next;
        free(m);
    }
    d->now_last = &d->now_first;
    d->now_count = d->now_bytes = 0;
}

static now_message *now_of(porch_bytes topic, porch_bytes payload) {
    now_message *m = malloc(sizeof *m + topic.len + payload.len);
    if (!m) return NULL;
    *m = (now_message){NULL, topic.len, payload.len};
    memcpy(m->bytes, topic.at, topic.len);
    if (payload.len > 0) memcpy(m->bytes + topic.len, payload.at, payload.len);
    return m;
}

static void queue_now(porch_device *d, now_message *m, bool first) {
    now_message **at = first ? &d->now_first : d->now_last;
    m->next = *at;
    *at = m;
    if (!m->next) d->now_last = &m->next;
    d->now_count++;
    d->now_bytes += m->topic_bytes + m->payload_bytes;
}

porch_err porch_device_now_first(porch_device *d, const char *topic, porch_bytes payload) {
    now_message *m = now_of(porch_bytes_of(topic), payload);
    if (!m) return PORCH_ERR_NO_SPACE;
    queue_now(d, m, true);
    return PORCH_OK;
}

porch_device_result porch_device_publish_now(porch_device *d, const char *topic, const void *payload,
                                             size_t payload_bytes, porch_device_why *why) {
    porch_topic_name name;
    porch_device_result r = check(topic, payload_bytes, &name, why);
    if (r != PORCH_DEVICE_OK) return r;
    size_t bytes = name.text.len + payload_bytes;
    now_message *m = now_of(name.text, (porch_bytes){payload, payload_bytes});
    if (!m) return porch_device_say(why, PORCH_ERR_NO_SPACE, "out of memory");

    (void)pthread_mutex_lock(&d->lock);
    bool fits = d->connected && d->now_count < NOW_MESSAGES_MOST && d->now_bytes + bytes <= NOW_BYTES_MOST;
    bool connected = d->connected;
    if (fits) queue_now(d, m, false);
    (void)pthread_mutex_unlock(&d->lock);
    if (!fits) {
        free(m);
        return porch_device_say(why, PORCH_ERR_BUSY, "%s",
                                connected ? "too much waits to be sent already"
                                          : "the hub is not connected");
    }
    porch_device_wake(d);
    return PORCH_DEVICE_OK;
}

porch_device_result porch_device_subscribe(porch_device *d, const char *filter, porch_device_message_fn fn,
                                           void *ctx, porch_device_why *why) {
    porch_bytes text = porch_bytes_of(filter);
    porch_topic_filter parsed;
    if (!fn || porch_topic_filter_parse(text, NULL, &parsed) != PORCH_OK)
        return porch_device_say(why, PORCH_ERR_USAGE,
                                "'%.100s' is no topic filter; '+' stands for one level, '#' for the rest",
                                filter ? filter : "");
    subscription s = {.fn = fn, .ctx = ctx};
    if (!porch_bytes_to_text(text, s.filter, sizeof s.filter))
        return porch_device_say(why, PORCH_ERR_LIMIT, "a topic filter may have %d bytes", FILTER_BYTES - 1);
    (void)pthread_mutex_lock(&d->lock);
    bool fits = d->subscription_count < SUBSCRIPTIONS_MOST;
    if (fits) d->subscriptions[d->subscription_count++] = s;
    (void)pthread_mutex_unlock(&d->lock);
    if (!fits)
        return porch_device_say(why, PORCH_ERR_LIMIT, "a device has at most %d subscriptions",
                                SUBSCRIPTIONS_MOST);
    porch_device_wake(d);
    return PORCH_DEVICE_OK;
}

static uint64_t outstanding(const porch_device *d) {
    uint64_t n = porch_spool_pending(&d->spool) + d->now_count;
    for (const porch_stored_clip *c = d->clips.first; c; c = c->next)
        if (c->ended && !c->dropped) n++;
    return n;
}

porch_device_result porch_device_flush(porch_device *d, uint64_t timeout_ms, porch_device_why *why) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int r = 0;
    (void)pthread_mutex_lock(&d->lock);
    while (outstanding(d) > 0 && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&d->changed, &d->lock, &until);
    uint64_t left = outstanding(d);
    (void)pthread_mutex_unlock(&d->lock);
    if (left == 0) return PORCH_DEVICE_OK;
    return porch_device_say(
        why, PORCH_ERR_TIMEOUT,
        "%llu messages and clips still wait for the hub; they are kept and go with the next run",
        (unsigned long long)left);
}

porch_event_id porch_event_id_new(void) {
    porch_event_id id = {{0}};
    char text[PORCH_RANDOM_ID_BYTES];
    porch_random_id(text);
    memcpy(id.text, text, sizeof text);
    return id;
}

_Static_assert(PORCH_MOTION_THUMBNAIL_MOST == PORCH_EVENT_THUMBNAIL_MOST, "the public limit is the wire's");

porch_device_result porch_motion_publish(porch_device *d, const porch_motion *motion, uint64_t *ret_ticket,
                                         porch_device_why *why) {
    if (porch_device_is_service(d))
        return porch_device_say(why, PORCH_ERR_USAGE,
                                "a service has no events of its own; use a device's folder");
    porch_event_motion event = {
        .at_ms = motion->at_ms, .score_e4 = porch_event_e4(motion->score), .clip = motion->has_clip};
    if (porch_id_parse(porch_bytes_of(motion->id.text), &event.id) != PORCH_OK)
        return porch_device_say(why, PORCH_ERR_USAGE,
                                "the event's id is none; porch_event_id_new makes one");
    for (size_t i = 0; i < 4; i++)
        event.box_e4[i] = porch_event_e4(motion->box[i]);
    for (size_t i = 0; i < 2; i++) /* rounding must not push the far edge out of the frame */
        if (event.box_e4[i] + event.box_e4[i + 2] > (int)PORCH_EVENT_ONE)
            event.box_e4[i + 2] = (uint16_t)(PORCH_EVENT_ONE - event.box_e4[i]);
    uint8_t *json = malloc(PORCH_EVENT_MOTION_MOST);
    if (!json) return porch_device_say(why, PORCH_ERR_NO_SPACE, "out of memory");
    porch_buf out = {json, 0, PORCH_EVENT_MOTION_MOST};
    porch_bytes jpeg = {motion->thumbnail, motion->thumbnail ? motion->thumbnail_bytes : 0};
    porch_err e = porch_event_motion_write(&out, &event, jpeg);
    char topic[96];
    (void)snprintf(topic, sizeof topic, "d/%s/event/motion", d->conf.device_id);
    porch_device_result r =
        e == PORCH_OK ? porch_device_publish(d, topic, json, out.len, ret_ticket, why)
                      : porch_device_say(why, e, "the event does not fit: its thumbnail may have %u bytes",
                                         (unsigned)PORCH_MOTION_THUMBNAIL_MOST);
    free(json);
    return r;
}
