/* The session's table of packets, and what each does. See session.h. */
#include "device/session.h"

#include "base/cursor.h"

/* Properties of a CONNECT: receive maximum (3 bytes) and maximum packet size (5 bytes). */
enum { CONNECT_PROPERTIES_BYTES = 16, RECEIVE_MAXIMUM = 16, PINGREQ_BYTES = 2 };

void porch_session_init(porch_session *s, const porch_session_config *config, porch_buf in, porch_buf out) {
    *s = (porch_session){.config = *config, .next_packet_id = 1};
    s->in = (porch_buf){in.at, 0, in.cap};
    s->out = (porch_buf){out.at, 0, out.cap};
    if (s->config.window == 0) s->config.window = 1;
    if (s->config.window > PORCH_SESSION_WINDOW_MOST) s->config.window = PORCH_SESSION_WINDOW_MOST;
}

/* --- the out block --- */

static void compact(porch_buf *b, size_t *read) {
    if (*read == 0) return;
    for (size_t i = *read; i < b->len; i++)
        b->at[i - *read] = b->at[i];
    b->len -= *read;
    *read = 0;
}

porch_bytes porch_session_output(const porch_session *s) {
    return (porch_bytes){s->out.at + s->out_read, s->out.len - s->out_read};
}

/* To be called before output is written. */
static void make_way(porch_session *s, uint64_t now_ms) {
    compact(&s->out, &s->out_read);
    if (s->out.len == 0) s->moved_ms = now_ms;
}

/* A question whose last byte is the last that was written. */
static porch_session_question question(const porch_session *s) {
    return (porch_session_question){.waits = true, .end = s->left_bytes + porch_session_output(s).len};
}

static void see_off(porch_session_question *q, uint64_t left_bytes, uint64_t now_ms) {
    if (q->left || q->end > left_bytes) return;
    q->left = true;
    q->left_ms = now_ms;
}

void porch_session_sent(porch_session *s, size_t n, uint64_t now_ms) {
    size_t waits = s->out.len - s->out_read;
    if (n > waits) n = waits;
    if (n == 0) return;
    s->out_read += n;
    s->left_bytes += n;
    s->moved_ms = now_ms;
    if (s->out_read == s->out.len) s->out.len = s->out_read = 0;
    see_off(&s->asked, s->left_bytes, now_ms);
    for (size_t i = 0; i < PORCH_SESSION_WINDOW_MOST; i++)
        see_off(&s->waiting[i].asked, s->left_bytes, now_ms);
}

/* --- the end --- */

static void end_session(porch_session *s, porch_err error, uint8_t reason, porch_bytes text) {
    if (s->state == PORCH_SESSION_ENDED) return;
    s->state = PORCH_SESSION_ENDED;
    size_t n = text.len < sizeof s->over_text ? text.len : sizeof s->over_text;
    for (size_t i = 0; i < n; i++)
        s->over_text[i] = (char)text.at[i];
    s->over = (porch_session_event){.kind = PORCH_SESSION_OVER, .error = error, .reason = reason};
    s->over.text.len = n; /* .at is set when it is handed out: a porch_session may have been moved */
}

static void write_disconnect(porch_session *s, uint8_t reason) {
    if (s->state != PORCH_SESSION_ONLINE) return;
    compact(&s->out, &s->out_read);
    porch_mqtt_disconnect bye = {.reason = reason};
    (void)porch_mqtt_disconnect_write(&s->out, PORCH_MQTT_V5, &bye); /* no room: closing says enough */
}

static void peer_fault(porch_session *s, uint8_t reason, const char *what) {
    write_disconnect(s, reason);
    end_session(s, PORCH_ERR_MALFORMED, reason, porch_bytes_of(what));
}

void porch_session_disconnect(porch_session *s) {
    write_disconnect(s, PORCH_MQTT_RC_NORMAL_DISCONNECTION);
    end_session(s, PORCH_OK, 0, PORCH_LIT("closed by this device"));
}

void porch_session_broken(porch_session *s, porch_err error, const char *text) {
    end_session(s, error, 0, porch_bytes_of(text));
}

/* --- sending --- */

porch_err porch_session_start(porch_session *s, uint64_t now_ms) {
    uint8_t raw[CONNECT_PROPERTIES_BYTES];
    porch_buf properties = PORCH_BUF_OF(raw);
    porch_mqtt_connect c = {.version = PORCH_MQTT_V5,
                            .clean_start = true,
                            .keep_alive_s = s->config.keep_alive_s,
                            .client_id = porch_bytes_of(s->config.client_id)};
    PORCH_TRY(
        porch_mqtt_property_put_number(&properties, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, RECEIVE_MAXIMUM));
    PORCH_TRY(porch_mqtt_property_put_number(&properties, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE,
                                             (uint32_t)s->in.cap));
    PORCH_TRY(
        porch_mqtt_properties_of(porch_buf_bytes(&properties), PORCH_MQTT_CONNECT, NULL, &c.properties));
    make_way(s, now_ms);
    PORCH_TRY(porch_mqtt_connect_write(&s->out, &c));
    s->state = PORCH_SESSION_CONNECTING;
    s->last_sent_ms = s->last_heard_ms = now_ms;
    s->asked = question(s);
    return PORCH_OK;
}

static porch_session_waiting *waiting_of(porch_session *s, uint16_t packet_id) {
    for (size_t i = 0; i < PORCH_SESSION_WINDOW_MOST; i++)
        if (s->waiting[i].packet_id == packet_id) return &s->waiting[i];
    return NULL;
}

static size_t waiting_count(const porch_session *s) {
    size_t n = 0;
    for (size_t i = 0; i < PORCH_SESSION_WINDOW_MOST; i++)
        if (s->waiting[i].packet_id != 0) n++;
    return n;
}

size_t porch_session_room(const porch_session *s) {
    size_t used = waiting_count(s);
    return s->state == PORCH_SESSION_ONLINE && used < s->window ? s->window - used : 0;
}

static uint16_t free_packet_id(porch_session *s) {
    do {
        s->next_packet_id = s->next_packet_id == UINT16_MAX ? 1 : (uint16_t)(s->next_packet_id + 1);
    } while (waiting_of(s, s->next_packet_id));
    return s->next_packet_id;
}

porch_err porch_session_publish(porch_session *s, porch_topic_name topic, porch_bytes payload, uint8_t qos,
                                uint64_t ticket, uint64_t now_ms) {
    if (s->state != PORCH_SESSION_ONLINE) return PORCH_ERR_STATE;
    if (qos > 1) return PORCH_ERR_UNSUPPORTED;
    porch_mqtt_publish p = {.topic = topic, .payload = payload, .qos = qos, .packet_id = qos > 0 ? 1 : 0};
    size_t bytes = porch_mqtt_publish_bytes(PORCH_MQTT_V5, &p);
    if (bytes > s->out.cap || (s->packet_most != 0 && bytes > s->packet_most)) return PORCH_ERR_LIMIT;
    if (qos > 0 && porch_session_room(s) == 0) return PORCH_ERR_BUSY;
    make_way(s, now_ms);
    if (bytes > s->out.cap - s->out.len) return PORCH_ERR_BUSY;
    porch_session_waiting *w = qos > 0 ? waiting_of(s, 0) : NULL;
    if (qos > 0 && !w) return PORCH_ERR_BUSY;
    if (w) p.packet_id = free_packet_id(s);
    PORCH_TRY(porch_mqtt_publish_write(&s->out, PORCH_MQTT_V5, &p));
    if (w) *w = (porch_session_waiting){p.packet_id, false, ticket, question(s)};
    s->last_sent_ms = now_ms;
    return PORCH_OK;
}

porch_err porch_session_subscribe(porch_session *s, porch_topic_filter filter, uint64_t ticket,
                                  uint64_t now_ms) {
    if (s->state != PORCH_SESSION_ONLINE) return PORCH_ERR_STATE;
    porch_session_waiting *w = waiting_of(s, 0);
    if (porch_session_room(s) == 0 || !w) return PORCH_ERR_BUSY;
    make_way(s, now_ms);
    /* The list of filters is put where the packet's end will be, then moved by the writer into its place.
     */
    size_t list_most = filter.text.len + 3, whole_most = list_most + 16;
    if (whole_most > s->out.cap || (s->packet_most != 0 && whole_most > s->packet_most))
        return PORCH_ERR_LIMIT;
    if (whole_most + list_most > s->out.cap - s->out.len) return PORCH_ERR_BUSY;
    porch_buf list = {s->out.at + s->out.cap - list_most, 0, list_most};
    porch_mqtt_subscription one = {.text = filter.text, .filter = filter, .qos = 1, .retain_handling = 0};
    PORCH_TRY(porch_mqtt_subscription_put(&list, PORCH_MQTT_V5, &one));
    porch_mqtt_subscribe p = {
        .packet_id = free_packet_id(s), .count = 1, .filters = porch_buf_bytes(&list)};
    PORCH_TRY(porch_mqtt_subscribe_write(&s->out, PORCH_MQTT_V5, &p));
    *w = (porch_session_waiting){p.packet_id, true, ticket, question(s)};
    s->last_sent_ms = now_ms;
    return PORCH_OK;
}

/* --- receiving: one row a packet that a server may send --- */

typedef porch_err (*packet_handler)(porch_session *s, const porch_mqtt_frame *frame,
                                    porch_mqtt_fault *fault, porch_session_event *ret);

static porch_err on_connack(porch_session *s, const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                            porch_session_event *ret) {
    porch_mqtt_connack c;
    PORCH_TRY(porch_mqtt_connack_read(frame, PORCH_MQTT_V5, fault, &c));
    s->asked.waits = false;
    porch_bytes text = porch_mqtt_property_text(&c.properties, PORCH_MQTT_PROP_REASON_STRING);
    if (c.reason >= 0x80) {
        if (text.len == 0) text = porch_bytes_of(porch_mqtt_reason_text(c.reason));
        end_session(s, PORCH_ERR_AUTH, c.reason, text);
        return PORCH_OK;
    }
    if (c.session_present)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "a session is present, none was asked for");
    s->state = PORCH_SESSION_ONLINE;
    uint32_t most = porch_mqtt_property_number(&c.properties, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, UINT16_MAX);
    s->window = most < s->config.window ? (uint16_t)most : s->config.window;
    s->packet_most = porch_mqtt_property_number(&c.properties, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, 0);
    uint32_t keep_alive_s = porch_mqtt_property_number(&c.properties, PORCH_MQTT_PROP_SERVER_KEEP_ALIVE,
                                                       s->config.keep_alive_s);
    s->keep_alive_ms = (uint64_t)keep_alive_s * 1000;
    *ret = (porch_session_event){.kind = PORCH_SESSION_CONNECTED};
    return PORCH_OK;
}

static porch_err on_publish(porch_session *s, const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                            porch_session_event *ret) {
    porch_mqtt_publish p;
    PORCH_TRY(porch_mqtt_publish_read(frame, PORCH_MQTT_V5, PORCH_MQTT_FROM_SERVER, fault, &p));
    if (p.qos > 1)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR, "QoS 2 was not subscribed to");
    if (p.topic.text.len == 0)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_TOPIC_ALIAS_INVALID, "no topic alias was agreed");
    s->owed_ack = p.packet_id; /* 0 with QoS 0 */
    *ret = (porch_session_event){.kind = PORCH_SESSION_MESSAGE,
                                 .topic = p.topic.text,
                                 .payload = p.payload,
                                 .qos = p.qos,
                                 .duplicate = p.dup};
    return PORCH_OK;
}

static porch_err on_puback(porch_session *s, const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                           porch_session_event *ret) {
    porch_mqtt_ack a;
    PORCH_TRY(porch_mqtt_ack_read(frame, PORCH_MQTT_V5, fault, &a));
    porch_session_waiting *w = waiting_of(s, a.packet_id);
    if (!w || w->is_subscribe)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "PUBACK for nothing that was published");
    *ret = (porch_session_event){
        .kind = PORCH_SESSION_ACKNOWLEDGED,
        .ticket = w->ticket,
        .reason = a.reason,
        .text = porch_mqtt_property_text(&a.properties, PORCH_MQTT_PROP_REASON_STRING),
    };
    *w = (porch_session_waiting){0};
    return PORCH_OK;
}

static porch_err on_suback(porch_session *s, const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                           porch_session_event *ret) {
    porch_mqtt_suback a;
    PORCH_TRY(porch_mqtt_suback_read(frame, PORCH_MQTT_V5, fault, &a));
    porch_session_waiting *w = waiting_of(s, a.packet_id);
    if (!w || !w->is_subscribe || a.reasons.len != 1)
        return porch_mqtt_refuse(fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                 "SUBACK for nothing that was subscribed to");
    *ret = (porch_session_event){
        .kind = PORCH_SESSION_SUBSCRIBED,
        .ticket = w->ticket,
        .reason = a.reasons.at[0],
        .text = porch_mqtt_property_text(&a.properties, PORCH_MQTT_PROP_REASON_STRING),
    };
    *w = (porch_session_waiting){0};
    return PORCH_OK;
}

static porch_err on_pingresp(porch_session *s, const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                             porch_session_event *ret) {
    (void)ret;
    PORCH_TRY(porch_mqtt_ping_read(frame, fault));
    s->asked.waits = false;
    return PORCH_OK;
}

static porch_err on_disconnect(porch_session *s, const porch_mqtt_frame *frame, porch_mqtt_fault *fault,
                               porch_session_event *ret) {
    (void)ret;
    porch_mqtt_disconnect d;
    PORCH_TRY(porch_mqtt_disconnect_read(frame, PORCH_MQTT_V5, PORCH_MQTT_FROM_SERVER, fault, &d));
    porch_bytes text = porch_mqtt_property_text(&d.properties, PORCH_MQTT_PROP_REASON_STRING);
    if (text.len == 0) text = porch_bytes_of(porch_mqtt_reason_text(d.reason));
    end_session(s, PORCH_ERR_CLOSED, d.reason, text);
    return PORCH_OK;
}

static const struct {
    packet_handler handle;
    porch_session_state legal_in;
} packets[PORCH_MQTT_TYPE_COUNT] = {
    [PORCH_MQTT_CONNACK] = {on_connack, PORCH_SESSION_CONNECTING},
    [PORCH_MQTT_PUBLISH] = {on_publish, PORCH_SESSION_ONLINE},
    [PORCH_MQTT_PUBACK] = {on_puback, PORCH_SESSION_ONLINE},
    [PORCH_MQTT_SUBACK] = {on_suback, PORCH_SESSION_ONLINE},
    [PORCH_MQTT_PINGRESP] = {on_pingresp, PORCH_SESSION_ONLINE},
    [PORCH_MQTT_DISCONNECT] = {on_disconnect, PORCH_SESSION_ONLINE},
};

void porch_session_take(porch_session *s, porch_bytes from_peer, uint64_t now_ms, size_t *taken) {
    compact(&s->in, &s->in_read);
    size_t fits = s->in.cap - s->in.len;
    size_t n = from_peer.len < fits ? from_peer.len : fits;
    for (size_t i = 0; i < n; i++)
        s->in.at[s->in.len + i] = from_peer.at[i];
    s->in.len += n;
    if (n > 0) s->last_heard_ms = now_ms;
    *taken = n;
}

/* One packet: true when it was taken from the in block. It may have given an event or ended the session. */
static bool take_packet(porch_session *s, porch_session_event *event) {
    porch_mqtt_frame frame;
    porch_mqtt_fault fault = {PORCH_MQTT_RC_MALFORMED_PACKET, "the hub broke the protocol"};
    porch_bytes rest = {s->in.at + s->in_read, s->in.len - s->in_read};
    porch_err e = porch_mqtt_frame_read(rest, (uint32_t)s->in.cap, &fault, &frame);
    if (e == PORCH_ERR_TRUNCATED) return false;
    if (e == PORCH_OK) {
        s->in_read += frame.bytes;
        packet_handler handle = frame.type < PORCH_MQTT_TYPE_COUNT ? packets[frame.type].handle : NULL;
        if (!handle || packets[frame.type].legal_in != s->state)
            e = porch_mqtt_refuse(&fault, PORCH_MQTT_RC_PROTOCOL_ERROR,
                                  "a packet that does not fit the state");
        else
            e = handle(s, &frame, &fault, event);
    }
    if (e != PORCH_OK) peer_fault(s, fault.reason, fault.what);
    return true;
}

static bool settle_owed_ack(porch_session *s, uint64_t now_ms) {
    if (s->owed_ack == 0 || s->state != PORCH_SESSION_ONLINE) return true;
    make_way(s, now_ms);
    porch_mqtt_ack a = {.type = PORCH_MQTT_PUBACK, .packet_id = s->owed_ack};
    if (porch_mqtt_ack_write(&s->out, PORCH_MQTT_V5, &a) != PORCH_OK) return false;
    s->owed_ack = 0;
    s->last_sent_ms = now_ms;
    return true;
}

bool porch_session_next(porch_session *s, uint64_t now_ms, porch_session_event *ret) {
    *ret = (porch_session_event){0};
    if (!settle_owed_ack(s, now_ms)) return false;
    bool live = s->state == PORCH_SESSION_CONNECTING || s->state == PORCH_SESSION_ONLINE;
    while (live && ret->kind == 0 && take_packet(s, ret))
        live = s->state != PORCH_SESSION_ENDED;
    if (ret->kind != 0) return true;
    if (s->state != PORCH_SESSION_ENDED || s->over_told) return false;
    s->over_told = true;
    *ret = s->over;
    ret->text.at = (const uint8_t *)s->over_text;
    return true;
}

/* --- time --- */

static uint64_t due_of(const porch_session *s, const porch_session_question *q) {
    return q->waits && q->left ? q->left_ms + s->config.answer_ms : UINT64_MAX;
}

/* When the hub's silence ends the session. */
static uint64_t due(const porch_session *s) {
    uint64_t at = due_of(s, &s->asked);
    for (size_t i = 0; i < PORCH_SESSION_WINDOW_MOST; i++) {
        uint64_t one = s->waiting[i].packet_id != 0 ? due_of(s, &s->waiting[i].asked) : UINT64_MAX;
        if (one < at) at = one;
    }
    uint64_t still = porch_session_output(s).len > 0 ? s->moved_ms + s->config.answer_ms : UINT64_MAX;
    return still < at ? still : at;
}

/* When to ask whether the hub is there. Not while the block is full: that moves, or the session ends. */
static uint64_t ping_due(const porch_session *s) {
    if (s->state != PORCH_SESSION_ONLINE || s->keep_alive_ms == 0 || s->asked.waits) return UINT64_MAX;
    if (s->out.cap - porch_session_output(s).len < PINGREQ_BYTES) return UINT64_MAX;
    return (s->last_sent_ms < s->last_heard_ms ? s->last_sent_ms : s->last_heard_ms) + s->keep_alive_ms;
}

void porch_session_tick(porch_session *s, uint64_t now_ms) {
    if (s->state != PORCH_SESSION_CONNECTING && s->state != PORCH_SESSION_ONLINE) return;
    if (now_ms >= due(s)) {
        write_disconnect(s, PORCH_MQTT_RC_NORMAL_DISCONNECTION);
        end_session(s, PORCH_ERR_TIMEOUT, 0, PORCH_LIT("the hub did not answer in time"));
        return;
    }
    if (now_ms < ping_due(s)) return;
    make_way(s, now_ms);
    if (porch_mqtt_pingreq_write(&s->out) != PORCH_OK) return; /* it has room */
    s->last_sent_ms = now_ms;
    s->asked = question(s);
}

uint64_t porch_session_deadline(const porch_session *s) {
    if (s->state != PORCH_SESSION_CONNECTING && s->state != PORCH_SESSION_ONLINE) return UINT64_MAX;
    uint64_t end = due(s), ping = ping_due(s);
    return ping < end ? ping : end;
}
