#include "cli/prove_replay_app.h"

#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

#include "crypto/random.h"
#include "os/clock.h"
#include "wire/mqtt_packet.h"

enum { IN_BYTES = 65536, OUT_BYTES = 8192, REFUSES = 0x80 };

struct porch_replay_app {
    porch_replay_line line;
    wslay_event_context_ptr frames;
    porch_err broken; /* of the line; OK while it stands */
    uint8_t in_block[IN_BYTES];
    porch_buf in; /* what frames brought and no packet was read from */
    uint16_t last_id;
    char topic[OUT_BYTES / 4]; /* that was subscribed to */
    bool heard;
    bool ended; /* by the hub's DISCONNECT */
};

/* ---- frames ----------------------------------------------------------------------------------------- */

static ssize_t failed(porch_replay_app *a, wslay_event_context_ptr ctx, porch_err e) {
    if (e != PORCH_ERR_AGAIN) a->broken = e;
    wslay_event_set_error(ctx, e == PORCH_ERR_AGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_read(wslay_event_context_ptr ctx, uint8_t *at, size_t cap, int flags, void *user) {
    porch_replay_app *a = user;
    size_t got = 0;
    (void)flags;
    porch_err e = porch_tls_read(a->line.tls, at, cap, &got);
    return e == PORCH_OK ? (ssize_t)got : failed(a, ctx, e);
}

static ssize_t on_write(wslay_event_context_ptr ctx, const uint8_t *at, size_t len, int flags, void *user) {
    porch_replay_app *a = user;
    size_t taken = 0;
    (void)flags;
    porch_err e = porch_tls_write(a->line.tls, at, len, &taken);
    return e == PORCH_OK ? (ssize_t)taken : failed(a, ctx, e);
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *at, size_t len, void *user) {
    (void)ctx;
    (void)user;
    porch_random(at, len);
    return 0;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                       void *user) {
    porch_replay_app *a = user;
    (void)ctx;
    if (m->opcode != WSLAY_BINARY_FRAME) return;
    if (porch_write_bytes(&a->in, (porch_bytes){m->msg, m->msg_length}) != PORCH_OK)
        a->broken = PORCH_ERR_LIMIT;
}

static porch_err wrap(porch_replay_app *a) {
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_read,
                                                           .send_callback = on_write,
                                                           .genmask_callback = on_mask,
                                                           .on_msg_recv_callback = on_message};
    if (wslay_event_context_client_init(&a->frames, &callbacks, a) != 0) return PORCH_ERR_NO_SPACE;
    wslay_event_config_set_max_recv_msg_length(a->frames, IN_BYTES);
    return PORCH_OK;
}

/* Moves bytes both ways as far as they go. The callbacks' error is the one that tells. */
static porch_err move(porch_replay_app *a) {
    int rc = wslay_event_send(a->frames);
    if (rc == 0) rc = wslay_event_recv(a->frames);
    if (a->broken == PORCH_OK && rc != 0) a->broken = PORCH_ERR_MALFORMED;
    if (a->broken == PORCH_OK && wslay_event_get_close_received(a->frames)) a->broken = PORCH_ERR_CLOSED;
    return a->broken;
}

/* ---- packets ---------------------------------------------------------------------------------------- */

static porch_err say(porch_replay_app *a, const porch_mqtt_packet *packet) {
    uint8_t block[OUT_BYTES];
    porch_buf out = PORCH_BUF_OF(block);
    PORCH_TRY(porch_mqtt_packet_write(&out, PORCH_MQTT_V5, packet));
    const struct wslay_event_msg message = {WSLAY_BINARY_FRAME, out.at, out.len};
    return wslay_event_queue_msg(a->frames, &message) == 0 ? PORCH_OK : PORCH_ERR_NO_SPACE;
}

/* What a packet means for the session, whatever was waited for. */
static void note(porch_replay_app *a, const porch_mqtt_packet *p) {
    if (p->type == PORCH_MQTT_PUBLISH && porch_bytes_eq_text(p->publish.topic.text, a->topic))
        a->heard = true;
    if (p->type == PORCH_MQTT_DISCONNECT) a->ended = true;
}

/* The first packet that is whole; its views end with `drop`. AGAIN: there is none. */
static porch_err look(porch_replay_app *a, porch_mqtt_packet *ret, size_t *bytes) {
    porch_mqtt_frame frame;
    porch_mqtt_fault fault;
    porch_err e = porch_mqtt_frame_read(porch_buf_bytes(&a->in), IN_BYTES, &fault, &frame);
    if (e == PORCH_ERR_TRUNCATED) return PORCH_ERR_AGAIN;
    if (e == PORCH_OK)
        e = porch_mqtt_packet_read(&frame, PORCH_MQTT_V5, PORCH_MQTT_FROM_SERVER, &fault, ret);
    if (e == PORCH_OK) *bytes = frame.bytes;
    return e;
}

static void drop(porch_replay_app *a, size_t bytes) {
    a->in.len -= bytes;
    memmove(a->in.at, a->in.at + bytes, a->in.len);
}

/* The reason of an answer: of a DISCONNECT, too, which may stand in for any. -1: the packet is none. */
static int reason_of(const porch_mqtt_packet *p, porch_mqtt_type wanted) {
    if (p->type == PORCH_MQTT_DISCONNECT) return p->disconnect.reason;
    if (p->type != wanted || wanted == PORCH_MQTT_PUBLISH) return -1;
    if (wanted == PORCH_MQTT_CONNACK) return p->connack.reason;
    if (wanted == PORCH_MQTT_SUBACK) return p->suback.reasons.len == 1 ? p->suback.reasons.at[0] : REFUSES;
    return p->ack.reason;
}

/* Reads on until that answer has come; for PUBLISH, until the topic was heard. TIMEOUT at the deadline. */
static porch_err listen(porch_replay_app *a, porch_mqtt_type wanted, uint64_t deadline_ms, int *reason) {
    for (*reason = -1;;) {
        porch_mqtt_packet p;
        size_t bytes = 0;
        porch_err e = look(a, &p, &bytes);
        if (e == PORCH_OK) {
            note(a, &p);
            *reason = reason_of(&p, wanted);
            drop(a, bytes);
            if (*reason >= 0 || (wanted == PORCH_MQTT_PUBLISH && a->heard)) return PORCH_OK;
            continue;
        }
        if (e != PORCH_ERR_AGAIN) return e;
        size_t before = a->in.len;
        e = move(a);
        if (a->in.len > before) continue; /* what came before the end still counts */
        PORCH_TRY(e);
        PORCH_TRY(porch_replay_line_wait(&a->line, deadline_ms));
    }
}

/* Says it and waits for the answer; *good: it is no refusal. */
static porch_err ask(porch_replay_app *a, const porch_mqtt_packet *packet, porch_mqtt_type answer,
                     bool *good, porch_why *why) {
    int reason = -1;
    porch_err e = say(a, packet);
    if (e == PORCH_OK) e = listen(a, answer, porch_clock_mono_ms() + PORCH_REPLAY_ANSWER_MS, &reason);
    if (e != PORCH_OK)
        return porch_fail(why, e, "the person's MQTT session on the scratch hub: %s", porch_err_text(e));
    *good = reason < REFUSES;
    return PORCH_OK;
}

/* ---- what a person does ----------------------------------------------------------------------------- */

static porch_err connect_session(porch_replay_app *a, porch_why *why) {
    const porch_mqtt_packet hello = {.type = PORCH_MQTT_CONNECT,
                                     .connect = {.version = PORCH_MQTT_V5, .clean_start = true}};
    bool welcome = false;
    PORCH_TRY(ask(a, &hello, PORCH_MQTT_CONNACK, &welcome, why));
    return welcome ? PORCH_OK
                   : porch_fail(why, PORCH_ERR_AUTH, "the scratch hub refuses the person's MQTT session");
}

porch_err porch_replay_app_open(porch_replay_web *web, porch_replay_app **ret, porch_why *why) {
    porch_replay_app *a = calloc(1, sizeof *a);
    if (a == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the replay");
    a->line.fd = -1;
    a->in = PORCH_BUF_OF(a->in_block);
    porch_err e = porch_replay_web_upgrade(web, "/api/v1/mqtt", &a->line, why);
    if (e == PORCH_OK && wrap(a) != PORCH_OK)
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the replay");
    if (e == PORCH_OK) e = connect_session(a, why);
    if (e == PORCH_OK)
        *ret = a;
    else
        porch_replay_app_close(a);
    return e;
}

void porch_replay_app_close(porch_replay_app *a) {
    if (a == NULL) return;
    if (a->frames != NULL) wslay_event_context_free(a->frames);
    porch_replay_line_close(&a->line);
    free(a);
}

porch_err porch_replay_app_subscribe(porch_replay_app *a, const char *topic, bool *granted,
                                     porch_why *why) {
    uint8_t block[OUT_BYTES / 2];
    porch_buf filters = PORCH_BUF_OF(block);
    const porch_mqtt_subscription one = {.text = porch_bytes_of(topic)};
    porch_mqtt_packet p = {.type = PORCH_MQTT_SUBSCRIBE,
                           .subscribe = {.packet_id = ++a->last_id, .count = 1}};
    if (!porch_bytes_to_text(one.text, a->topic, sizeof a->topic) ||
        porch_mqtt_subscription_put(&filters, PORCH_MQTT_V5, &one) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED, "'%.100s' cannot be subscribed to", topic);
    p.subscribe.filters = porch_buf_bytes(&filters);
    return ask(a, &p, PORCH_MQTT_SUBACK, granted, why);
}

porch_err porch_replay_app_publish(porch_replay_app *a, const char *topic, bool *taken, porch_why *why) {
    porch_mqtt_packet p = {
        .type = PORCH_MQTT_PUBLISH,
        .publish = {.qos = 1, .packet_id = ++a->last_id, .payload = PORCH_LIT("replayed")}};
    if (porch_topic_name_parse(porch_bytes_of(topic), NULL, &p.publish.topic) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED, "'%.100s' cannot be published to", topic);
    return ask(a, &p, PORCH_MQTT_PUBACK, taken, why);
}

porch_err porch_replay_app_hears(porch_replay_app *a, uint64_t patience_ms, bool *heard, porch_why *why) {
    int reason = -1;
    porch_err e = a->heard || a->ended
                      ? PORCH_OK
                      : listen(a, PORCH_MQTT_PUBLISH, porch_clock_mono_ms() + patience_ms, &reason);
    if (e != PORCH_OK && e != PORCH_ERR_TIMEOUT)
        return porch_fail(why, e, "the person's MQTT session on the scratch hub: %s", porch_err_text(e));
    *heard = a->heard;
    return PORCH_OK;
}
