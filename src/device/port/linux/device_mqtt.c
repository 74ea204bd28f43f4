/* The MQTT side of the SDK thread: dial, greet, send what waits, hand out what comes. */
#include "device/port/linux/device_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { TURNS_MOST = 32 }; /* reads in a row before the uploads have their turn */

void porch_device_mqtt_init(porch_device *d) {
    mqtt_side *m = &d->mqtt;
    porch_link_init(&m->link, d->trust.tls, &d->known);
    m->backoff = porch_backoff_of(BACK_OFF_FIRST_MS, d->options.back_off_most_ms);
    m->patience = porch_backoff_of(2000, d->options.back_off_most_ms);
}

/* --- the end of a connection, or of an attempt --- */

static void down(porch_device *d, uint64_t now_ms, const char *text, int code) {
    mqtt_side *m = &d->mqtt;
    porch_link_close(&m->link);
    if (m->up_since_ms != 0 && now_ms - m->up_since_ms >= LASTED_MS) porch_backoff_reset(&m->backoff);
    m->up_since_ms = 0;
    uint32_t pause = porch_backoff_next(&m->backoff, porch_device_random32());
    m->next_ms = now_ms + pause;
    (void)pthread_mutex_lock(&d->lock);
    d->connected = false;
    porch_device_now_clear(d);
    porch_device_tell(d,
                      &(porch_device_status){
                          .news = PORCH_DEVICE_DISCONNECTED, .text = text, .next_ms = pause, .code = code});
    (void)pthread_mutex_unlock(&d->lock);
}

/* --- events of the session --- */

typedef struct {
    porch_device_message_fn fn;
    void *ctx;
} receiver;

static void on_message(porch_device *d, const porch_session_event *e) {
    char topic[TEXT_BYTES * 4];
    receiver receivers[SUBSCRIPTIONS_MOST];
    size_t count = 0;
    porch_topic_name name;
    if (porch_topic_name_parse(e->topic, NULL, &name) != PORCH_OK) return;
    if (!porch_bytes_to_text(e->topic, topic, sizeof topic)) return; /* longer than any topic of the hub */
    (void)pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->subscription_count; i++) {
        porch_topic_filter filter;
        bool fits = porch_topic_filter_parse(porch_bytes_of(d->subscriptions[i].filter), NULL, &filter) ==
                        PORCH_OK &&
                    porch_topic_matches(filter, name);
        if (fits) receivers[count++] = (receiver){d->subscriptions[i].fn, d->subscriptions[i].ctx};
    }
    (void)pthread_mutex_unlock(&d->lock);
    const porch_device_message message = {topic, e->payload.at, e->payload.len, e->qos, e->duplicate};
    for (size_t i = 0; i < count; i++)
        receivers[i].fn(receivers[i].ctx, &message);
}

static void on_connected(porch_device *d, uint64_t now_ms) {
    d->mqtt.up_since_ms = now_ms;
    (void)pthread_mutex_lock(&d->lock);
    d->connected = true;
    for (size_t i = 0; i < d->subscription_count; i++)
        d->subscriptions[i].asked = d->subscriptions[i].answered = false;
    porch_outbox_rewind(&d->outbox, 0);
    porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_CONNECTED});
    (void)pthread_mutex_unlock(&d->lock);
    porch_device_upload_hurry(d, now_ms);
}

static void on_acknowledged(porch_device *d, const porch_session_event *e, const char *text,
                            uint64_t now_ms) {
    bool refused = e->reason >= 0x80;
    porch_device_status status = {.news =
                                      refused ? PORCH_DEVICE_MESSAGE_REFUSED : PORCH_DEVICE_ACKNOWLEDGED,
                                  .ticket = e->ticket,
                                  .code = e->reason,
                                  .text = text};
    (void)pthread_mutex_lock(&d->lock);
    if (refused && porch_outbox_may_retry(e->reason)) {
        uint64_t pause = 1000 + (uint64_t)porch_backoff_next(&d->mqtt.patience, porch_device_random32());
        porch_outbox_rewind(&d->outbox, now_ms + pause);
        status = (porch_device_status){
            .news = PORCH_DEVICE_WARNING, .next_ms = pause, .code = e->reason, .text = text};
    } else {
        porch_outbox_settle(&d->outbox, e->ticket);
        porch_backoff_reset(&d->mqtt.patience);
    }
    porch_device_tell(d, &status);
    (void)pthread_mutex_unlock(&d->lock);
}

static void on_subscribed(porch_device *d, const porch_session_event *e, const char *text) {
    (void)pthread_mutex_lock(&d->lock);
    d->subscriptions[e->ticket].answered = true;
    porch_device_tell(d, &(porch_device_status){.news = e->reason >= 0x80 ? PORCH_DEVICE_SUBSCRIBE_REFUSED
                                                                          : PORCH_DEVICE_SUBSCRIBED,
                                                .code = e->reason,
                                                .name = d->subscriptions[e->ticket].filter,
                                                .text = text});
    (void)pthread_mutex_unlock(&d->lock);
    if (e->reason < 0x80) porch_device_twin_subscribed(d, d->subscriptions[e->ticket].filter);
    if (e->reason < 0x80) porch_device_update_subscribed(d, d->subscriptions[e->ticket].filter);
}

/* The hub's text or the code's own sentence, as one printable line. */
static void sentence(const porch_session_event *e, char out[TEXT_BYTES]) {
    porch_bytes text = e->text;
    if (text.len == 0 && e->reason >= 0x80) text = porch_bytes_of(porch_mqtt_reason_text(e->reason));
    size_t n = text.len < TEXT_BYTES - 1 ? text.len : TEXT_BYTES - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(text.at[i] < 0x20 || text.at[i] == 0x7f ? (uint8_t)' ' : text.at[i]);
    while (n > 0 && !porch_utf8_valid((porch_bytes){(const uint8_t *)out, n}))
        n--;
    out[n] = 0;
}

/* False when the session is over. */
static bool handle_events(porch_device *d, uint64_t now_ms) {
    porch_session_event e;
    while (porch_session_next(&d->mqtt.session, now_ms, &e)) {
        char text[TEXT_BYTES];
        sentence(&e, text);
        switch (e.kind) {
        case PORCH_SESSION_CONNECTED:
            porch_device_trust_accepted(d);
            on_connected(d, now_ms);
            break;
        case PORCH_SESSION_MESSAGE:
            on_message(d, &e);
            break;
        case PORCH_SESSION_ACKNOWLEDGED:
            on_acknowledged(d, &e, text, now_ms);
            break;
        case PORCH_SESSION_SUBSCRIBED:
            on_subscribed(d, &e, text);
            break;
        case PORCH_SESSION_OVER: {
            porch_bytes farewell = porch_session_output(&d->mqtt.session);
            size_t taken = 0;
            if (farewell.len > 0) (void)porch_link_write(&d->mqtt.link, farewell, &taken, NULL);
            bool refused = d->mqtt.up_since_ms == 0 && e.reason == PORCH_MQTT_RC_NOT_AUTHORIZED;
            down(d, now_ms, text, e.reason);
            if (refused) porch_device_trust_refused(d, now_ms);
            return false;
        }
        }
    }
    return true;
}

/* --- what waits to be sent: subscriptions, then QoS 0, then the spool --- */

/* True when the hub has answered all of them: the spool waits for that, so that what the hub is asked when
 * it has (the twin) does not wait behind a block of the spool's on a slow uplink. */
static bool subscribe_all(porch_device *d, uint64_t now_ms) {
    bool answered = true, room = true;
    for (size_t i = 0; i < d->subscription_count; i++) {
        subscription *one = &d->subscriptions[i];
        if (room && !one->asked) {
            porch_topic_filter filter;
            porch_err e = porch_topic_filter_parse(porch_bytes_of(one->filter), NULL, &filter);
            if (e == PORCH_OK) e = porch_session_subscribe(&d->mqtt.session, filter, i, now_ms);
            room = e != PORCH_ERR_BUSY;
            one->asked = room;
            one->answered = room && e != PORCH_OK;
        }
        answered = answered && one->answered;
    }
    return answered;
}

static void feed_session(porch_device *d, uint64_t now_ms) {
    porch_session *s = &d->mqtt.session;
    if (s->state != PORCH_SESSION_ONLINE) return;
    (void)pthread_mutex_lock(&d->lock);
    bool answered = subscribe_all(d, now_ms);
    while (d->now_first) {
        now_message *m = d->now_first;
        porch_topic_name topic;
        porch_err e = porch_topic_name_parse((porch_bytes){m->bytes, m->topic_bytes}, NULL, &topic);
        porch_bytes payload = {m->bytes + m->topic_bytes, m->payload_bytes};
        if (e == PORCH_OK) e = porch_session_publish(s, topic, payload, 0, 0, now_ms);
        if (e == PORCH_ERR_BUSY) break;
        d->now_first = m->next;
        if (!d->now_first) d->now_last = &d->now_first;
        d->now_count--;
        d->now_bytes -= m->topic_bytes + m->payload_bytes;
        free(m);
        (void)pthread_cond_broadcast(&d->changed);
    }
    uint64_t too_large = 0;
    porch_err read = PORCH_OK;
    while (answered && (read = porch_outbox_pump(&d->outbox, s, now_ms, &too_large)) == PORCH_ERR_LIMIT) {
        porch_outbox_settle(&d->outbox, too_large);
        porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_MESSAGE_REFUSED,
                                                    .ticket = too_large,
                                                    .code = PORCH_MQTT_RC_PACKET_TOO_LARGE,
                                                    .text = "the message is larger than the hub takes"});
    }
    if (answered) porch_device_judge_spool(d, read);
    (void)pthread_mutex_unlock(&d->lock);
}

/* --- one step --- */

static bool write_out(porch_device *d, uint64_t now_ms) {
    porch_session *s = &d->mqtt.session;
    porch_bytes out;
    while ((out = porch_session_output(s)).len > 0) {
        size_t taken = 0;
        porch_why why = {{0}};
        porch_err e = porch_link_write(&d->mqtt.link, out, &taken, &why);
        porch_session_sent(s, taken, now_ms);
        if (e == PORCH_ERR_AGAIN) return true;
        if (e != PORCH_OK) {
            down(d, now_ms, porch_why_text(&why, e), 0);
            return false;
        }
    }
    return true;
}

/* False when nothing more can be read now, or the connection is gone. */
static bool read_in(porch_device *d, uint64_t now_ms) {
    porch_session *s = &d->mqtt.session;
    size_t room = s->in.cap - (s->in.len - s->in_read);
    size_t got = 0, taken = 0;
    porch_why why = {{0}};
    if (room == 0) return false; /* waits for room in the out block */
    porch_err e = porch_link_read(&d->mqtt.link, d->piece, room < sizeof d->piece ? room : sizeof d->piece,
                                  &got, &why);
    if (e == PORCH_ERR_AGAIN) return false;
    if (e != PORCH_OK) {
        down(d, now_ms, porch_why_text(&why, e), 0);
        return false;
    }
    porch_session_take(s, (porch_bytes){d->piece, got}, now_ms, &taken);
    return true;
}

static void dial(porch_device *d, uint64_t now_ms) {
    porch_why why = {{0}};
    porch_err e =
        porch_link_open(&d->mqtt.link, d->conf.host, d->conf.mqtt_port, now_ms, PATIENCE_MS, &why);
    if (e != PORCH_OK) down(d, now_ms, porch_why_text(&why, e), 0);
}

static void greet(porch_device *d, uint64_t now_ms) {
    mqtt_side *m = &d->mqtt;
    const porch_session_config config = {.client_id =
                                             d->conf.device_id, /* a service's is assigned by the hub */
                                         .keep_alive_s = (uint16_t)d->options.keep_alive_seconds,
                                         .answer_ms = ANSWER_MS,
                                         .window = PORCH_SESSION_WINDOW_MOST};
    porch_session_init(&m->session, &config, PORCH_BUF_OF(m->in), PORCH_BUF_OF(m->out));
    porch_err e = porch_session_start(&m->session, now_ms);
    if (e != PORCH_OK) down(d, now_ms, porch_err_text(e), 0);
}

void porch_device_mqtt_step(porch_device *d, uint64_t now_ms) {
    mqtt_side *m = &d->mqtt;
    if (m->link.state == PORCH_LINK_IDLE && now_ms >= m->next_ms) dial(d, now_ms);
    if (porch_link_connects(&m->link)) {
        porch_why why = {{0}};
        bool guesses = porch_link_guesses(&m->link);
        porch_err e = porch_link_advance(&m->link, now_ms, &why);
        if (e == PORCH_OK) greet(d, now_ms);
        if (e != PORCH_OK && e != PORCH_ERR_AGAIN) down(d, now_ms, porch_why_text(&why, e), 0);
        if (e == PORCH_ERR_DENIED) porch_device_trust_refused(d, now_ms);
        if (e == PORCH_ERR_AUTH && !guesses) d->errand.lost = d->conf.time_key.there;
    }
    bool more = m->link.state == PORCH_LINK_UP;
    for (int turn = 0; more && turn < TURNS_MOST; turn++) {
        more = read_in(d, now_ms);
        if (m->link.state != PORCH_LINK_UP) return;
        porch_session_tick(&m->session, now_ms);
        if (!handle_events(d, now_ms)) return;
        feed_session(d, now_ms);
        if (!write_out(d, now_ms)) return;
    }
}

uint64_t porch_device_mqtt_deadline(const porch_device *d) {
    const mqtt_side *m = &d->mqtt;
    if (m->link.state == PORCH_LINK_IDLE) return m->next_ms;
    if (m->link.state != PORCH_LINK_UP) return m->link.give_up_ms;
    if (porch_tls_pending(m->link.conn)) return 0;
    uint64_t at = porch_session_deadline(&m->session);
    uint64_t resume = m->session.state == PORCH_SESSION_ONLINE ? d->outbox.paused_until_ms : 0;
    return resume != 0 && resume < at ? resume : at;
}

bool porch_device_mqtt_output_waits(const porch_device *d) {
    return d->mqtt.link.state == PORCH_LINK_UP && porch_session_output(&d->mqtt.session).len > 0;
}

void porch_device_mqtt_again(porch_device *d, uint64_t now_ms) {
    mqtt_side *m = &d->mqtt;
    if (m->link.state == PORCH_LINK_UP && m->session.state == PORCH_SESSION_ONLINE) {
        porch_session_disconnect(&m->session);
        if (write_out(d, now_ms)) down(d, now_ms, "connecting anew with the other certificate", 0);
    }
    porch_link_close(&m->link);
    porch_link_use(&m->link, d->trust.tls);
}

void porch_device_mqtt_hurry(porch_device *d, uint64_t now_ms) {
    porch_backoff_reset(&d->mqtt.backoff);
    d->mqtt.next_ms = now_ms;
}

bool porch_device_mqtt_stop(porch_device *d, uint64_t now_ms) {
    mqtt_side *m = &d->mqtt;
    if (m->link.state != PORCH_LINK_UP) {
        porch_link_close(&m->link);
        return true;
    }
    porch_session_disconnect(&m->session);
    if (!write_out(d, now_ms)) return true;
    if (porch_device_mqtt_output_waits(d)) return false;
    porch_link_close(&m->link);
    return true;
}
