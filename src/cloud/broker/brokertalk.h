/* Whole conversations, decided by bytes: several clients connect, subscribe, publish, acknowledge, break
 * off, come back and say nonsense, the store holds back and refuses, time passes; a model of what each
 * client knows judges every packet that the hub sends. For broker_talk_test.c and broker_talk_fuzz.c.
 *
 * What must hold: CONNACK first and once, nothing behind DISCONNECT; no packet above the client's maximum,
 * no alias that was not agreed, no more under way than its Receive Maximum; a QoS 2 message never twice to
 * one client, nor to two members of a shared subscription; messages of one publisher on one topic and of
 * one quality, as they were said, in their order (what need not wait for the disk passes by what must); and
 * at the end, when the store works and everybody reads, nobody is left without
 * an answer. */
#ifndef PORCH_CLOUD_BROKER_BROKERTALK_H
#define PORCH_CLOUD_BROKER_BROKERTALK_H

#include "cloud/broker/brokerbed.h"

enum {
    TALK_TALKERS = 5,
    TALK_STEPS_MOST = 400,
    TALK_NUMBERS = TALK_STEPS_MOST * 2,
    TALK_TOPICS = 6,
    TALK_OPEN_MOST = 64, /* of a client's own QoS 2 publications */
    TALK_DUE_MOST = 8192
};

/* A client's publication of QoS 1 or 2 that is not over. */
typedef struct {
    uint16_t id;
    uint8_t qos, topic;
    uint32_t number;
    bool received; /* PUBREC came */
    bool released; /* PUBREL was said */
    bool asked;    /* on this connection, and not answered yet */
} talk_open;

typedef struct {
    porch_mqtt_type type;
    uint16_t id;
} talk_due;

typedef struct {
    porch_identity_kind kind;
    const char *name, *id;
    porch_conn *c;
    porch_mqtt_version v;
    bool welcomed, over; /* CONNACK came; nothing may come any more */
    bool gone;           /* the hub has closed */
    bool wild;           /* it has said nonsense: what it knows is not what the hub may think */
    bool babbled;        /* ... on this connection, so that a new session does not end it */
    bool pinged;
    uint32_t receive_most, packet_most, alias_most;
    uint8_t alias[8]; /* topic, 1 and up; 0: not set */
    /* what it has received */
    uint8_t begun[8192]; /* QoS 2 identifiers between PUBLISH and PUBREL */
    uint32_t under_way;
    talk_due due[TALK_DUE_MOST];
    size_t due_first, due_count;
    bool had[TALK_NUMBERS];
    uint32_t last[TALK_TALKERS][TALK_TOPICS][3][3]; /* of each quality as it was said, and as it came */
    /* what it has said */
    talk_open open[TALK_OPEN_MOST];
    size_t open_count;
    uint16_t next_id;
} talker;

static struct {
    talker all[TALK_TALKERS];
    porch_bytes in;
    uint32_t number;
    bool shared_had[TALK_NUMBERS];
    bool repeated[TALK_NUMBERS]; /* said more than once: it may come late */
    uint8_t said[TALK_NUMBERS];  /* its quality */
} talk;

static const char *const talk_topics[TALK_TOPICS] = {
    "t/a", "t/b", "t/secret", "s/x", "d/cam/telemetry/h", "elsewhere"};
enum { TALK_SHARED_TOPIC = 3 };
static const char *const talk_filters[] = {"t/a",       "t/+", "t/#", "$share/g/s/#", "d/cam/telemetry/#",
                                           "elsewhere", "#",   "t/b"};

static uint8_t talk_byte(void) {
    if (talk.in.len == 0) return 0;
    uint8_t b = talk.in.at[0];
    talk.in = (porch_bytes){talk.in.at + 1, talk.in.len - 1};
    return b;
}

/* ---- what a client says ---- */

static bool talk_speaks(const talker *k) {
    return k->c != NULL && !k->over && !k->gone;
}

static void talk_send(talker *k, const porch_buf *b) {
    if (talk_speaks(k)) bed_send(k->c, porch_buf_bytes(b));
}

static void talk_hang_up(talker *k) {
    if (k->c == NULL) return;
    bed_hang_up(k->c);
    k->c = NULL;
    k->welcomed = false;
    k->due_count = 0;
}

static void talk_connect(talker *k) {
    uint8_t how = talk_byte(), text[512], raw[64];
    porch_buf b = PORCH_BUF_OF(text), props = PORCH_BUF_OF(raw);
    porch_mqtt_connect in = {.version = how & 1 ? PORCH_MQTT_V5 : PORCH_MQTT_V311,
                             .clean_start = (how & 2) != 0,
                             .keep_alive_s = (how & 4) != 0 ? 30 : 0,
                             .client_id = porch_bytes_of(k->id)};
    talk_hang_up(k);
    k->v = in.version;
    k->receive_most = k->packet_most = UINT32_MAX;
    k->alias_most = 0;
    if (k->v == PORCH_MQTT_V5) {
        uint8_t more = talk_byte();
        if ((how & 8) != 0)
            (void)porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_SESSION_EXPIRY, more);
        if ((how & 16) != 0) {
            k->receive_most = 1u + more % 4;
            (void)porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, k->receive_most);
        }
        if ((how & 32) != 0) {
            k->packet_most = 16u + more;
            (void)porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE,
                                                 k->packet_most);
        }
        if ((how & 64) != 0) {
            k->alias_most = 1u + more % 5;
            (void)porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_TOPIC_ALIAS_MAXIMUM,
                                                 k->alias_most);
        }
    }
    if ((how & 128) != 0) {
        in.has_will = true;
        in.will.topic.text = PORCH_LIT("t/b");
        in.will.payload = PORCH_LIT("will");
        in.will.qos = how >> 5 & 1 ? 2 : 1;
    }
    PORCH_BED_MUST(porch_mqtt_properties_of(porch_buf_bytes(&props), PORCH_MQTT_CONNECT, NULL,
                                            &in.properties) == PORCH_OK);
    PORCH_BED_MUST(porch_mqtt_connect_write(&b, &in) == PORCH_OK);
    k->c = bed_dial(k->kind, k->name);
    k->over = k->gone = k->welcomed = k->pinged = k->babbled = false;
    k->under_way = 0;
    k->due_count = 0;
    memset(k->alias, 0, sizeof k->alias);
    for (size_t i = 0; i < k->open_count; i++)
        k->open[i].asked = false;
    talk_send(k, &b);
}

/* The payload names its publisher and its number; what is retained or a will is not counted. */
static void talk_write_publish(talker *k, const talk_open *o, bool dup, bool retain, porch_buf *b) {
    uint8_t payload[16];
    int n = snprintf((char *)payload, sizeof payload, "%c%02d%05u", retain ? 'r' : 'n', (int)(k - talk.all),
                     (unsigned)o->number);
    porch_mqtt_publish p = {.topic = {porch_bytes_of(talk_topics[o->topic])},
                            .payload = {payload, (size_t)n},
                            .packet_id = o->id,
                            .qos = o->qos,
                            .dup = dup,
                            .retain = retain};
    PORCH_BED_MUST(porch_mqtt_publish_write(b, k->v, &p) == PORCH_OK);
}

static uint16_t talk_free_id(talker *k) {
    for (;;) {
        uint16_t id = ++k->next_id == 0 ? ++k->next_id : k->next_id;
        bool used = false;
        for (size_t i = 0; i < k->open_count; i++)
            used = used || k->open[i].id == id;
        if (!used) return id;
    }
}

static void talk_publish(talker *k) {
    uint8_t how = talk_byte(), text[128];
    porch_buf b = PORCH_BUF_OF(text);
    talk_open o = {.qos = how & 3 % 3, .topic = (how >> 2) % TALK_TOPICS, .asked = true};
    o.qos = (uint8_t)((how & 3) % 3);
    if (!k->welcomed || !talk_speaks(k) || talk.number + 1 >= TALK_NUMBERS) return;
    if (o.qos > 0 && k->open_count == TALK_OPEN_MOST) return;
    o.number = ++talk.number;
    talk.said[o.number] = o.qos;
    if (o.qos > 0) o.id = talk_free_id(k);
    talk_write_publish(k, &o, false, (how & 128) != 0, &b);
    if ((how & 128) != 0) talk.repeated[o.number] = true;
    if (o.qos > 0) k->open[k->open_count++] = o;
    talk_send(k, &b);
}

/* As a client does that comes back, or one that cannot wait. */
static void talk_repeat(talker *k) {
    uint8_t text[128];
    porch_buf b = PORCH_BUF_OF(text);
    if (!k->welcomed || !talk_speaks(k)) return;
    for (size_t i = 0; i < k->open_count; i++) {
        talk_open *o = &k->open[i];
        if (o->qos != 2 || o->received || o->released) continue;
        talk.repeated[o->number] = true;
        o->asked = true;
        talk_write_publish(k, o, true, false, &b);
        talk_send(k, &b);
        return;
    }
}

static void talk_say_ack(talker *k, porch_mqtt_type type, uint16_t id, uint8_t reason) {
    uint8_t text[16];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_ack a = {.type = type, .packet_id = id, .reason = reason};
    PORCH_BED_MUST(porch_mqtt_ack_write(&b, k->v, &a) == PORCH_OK);
    talk_send(k, &b);
}

static void talk_release(talker *k, bool again) {
    if (!k->welcomed || !talk_speaks(k)) return;
    for (size_t i = 0; i < k->open_count; i++) {
        talk_open *o = &k->open[i];
        if (o->qos != 2 || !o->received || (o->released && !again)) continue;
        o->released = o->asked = true;
        talk_say_ack(k, PORCH_MQTT_PUBREL, o->id, 0);
        return;
    }
}

static void talk_subscribe(talker *k) {
    uint8_t which = talk_byte(), how = talk_byte(), text[256], list[128], raw[8];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list), props = PORCH_BUF_OF(raw);
    const char *filter = talk_filters[which % (sizeof talk_filters / sizeof *talk_filters)];
    porch_mqtt_subscription one = {.text = porch_bytes_of(filter),
                                   .qos = (uint8_t)((how & 3) % 3),
                                   .no_local = (how & 4) != 0 && filter[0] != '$',
                                   .retain_as_published = (how & 8) != 0,
                                   .retain_handling = (uint8_t)((how >> 4 & 3) % 3)};
    porch_mqtt_subscribe in = {.packet_id = 60000, .count = 1};
    if (!k->welcomed || !talk_speaks(k)) return;
    PORCH_BED_MUST(porch_mqtt_subscription_put(&l, k->v, &one) == PORCH_OK);
    if (k->v == PORCH_MQTT_V5 && (how & 64) != 0)
        (void)porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_SUBSCRIPTION_ID, 1u + which);
    PORCH_BED_MUST(porch_mqtt_properties_of(porch_buf_bytes(&props), PORCH_MQTT_SUBSCRIBE, NULL,
                                            &in.properties) == PORCH_OK);
    in.filters = porch_buf_bytes(&l);
    PORCH_BED_MUST(porch_mqtt_subscribe_write(&b, k->v, &in) == PORCH_OK);
    talk_send(k, &b);
}

static void talk_unsubscribe(talker *k) {
    uint8_t which = talk_byte(), text[256], list[128];
    porch_buf b = PORCH_BUF_OF(text), l = PORCH_BUF_OF(list);
    porch_mqtt_unsubscribe in = {.packet_id = 60001, .count = 1};
    if (!k->welcomed || !talk_speaks(k)) return;
    PORCH_BED_MUST(
        porch_mqtt_unsubscription_put(
            &l, porch_bytes_of(talk_filters[which % (sizeof talk_filters / sizeof *talk_filters)])) ==
        PORCH_OK);
    in.filters = porch_buf_bytes(&l);
    PORCH_BED_MUST(porch_mqtt_unsubscribe_write(&b, k->v, &in) == PORCH_OK);
    talk_send(k, &b);
}

/* The next acknowledgement that it owes. */
static void talk_pay(talker *k, uint8_t reason) {
    if (k->due_count == 0 || !talk_speaks(k)) return;
    talk_due d = k->due[k->due_first];
    k->due_first = (k->due_first + 1) % TALK_DUE_MOST;
    k->due_count--;
    bool refuses = reason >= 0x80 && k->v == PORCH_MQTT_V5 && d.type != PORCH_MQTT_PUBCOMP;
    if (d.type == PORCH_MQTT_PUBACK || d.type == PORCH_MQTT_PUBCOMP || refuses)
        k->under_way -= k->under_way > 0;
    if (refuses && d.type == PORCH_MQTT_PUBREC) k->begun[d.id / 8] &= (uint8_t) ~(1u << d.id % 8);
    talk_say_ack(k, d.type, d.id, refuses ? reason : 0);
}

static void talk_goodbye(talker *k) {
    uint8_t how = talk_byte(), text[16], raw[8];
    porch_buf b = PORCH_BUF_OF(text), props = PORCH_BUF_OF(raw);
    porch_mqtt_disconnect d = {.reason = k->v == PORCH_MQTT_V5 && (how & 1) != 0 ? 4 : 0};
    if (k->v == PORCH_MQTT_V5 && (how & 2) != 0)
        (void)porch_mqtt_property_put_number(&props, PORCH_MQTT_PROP_SESSION_EXPIRY, how >> 2);
    (void)porch_mqtt_properties_of(porch_buf_bytes(&props), PORCH_MQTT_DISCONNECT, NULL, &d.properties);
    PORCH_BED_MUST(porch_mqtt_disconnect_write(&b, k->v, &d) == PORCH_OK);
    talk_send(k, &b);
}

static void talk_nonsense(talker *k) {
    uint8_t len = talk_byte() & 31;
    size_t n = len < talk.in.len ? len : talk.in.len;
    if (!talk_speaks(k) || n == 0) return;
    k->wild = k->babbled = true;
    bed_send(k->c, (porch_bytes){talk.in.at, n});
    talk.in = (porch_bytes){talk.in.at + n, talk.in.len - n};
}

/* ---- what the hub says ---- */

static void talk_owe(talker *k, porch_mqtt_type type, uint16_t id) {
    PORCH_BED_MUST(k->due_count < TALK_DUE_MOST);
    k->due[(k->due_first + k->due_count++) % TALK_DUE_MOST] = (talk_due){type, id};
}

static uint8_t talk_topic_of(talker *k, const porch_mqtt_publish *p) {
    uint32_t alias = porch_mqtt_property_number(&p->properties, PORCH_MQTT_PROP_TOPIC_ALIAS, 0);
    PORCH_BED_MUST(alias <= k->alias_most);
    uint8_t topic = 0;
    while (topic < TALK_TOPICS && !porch_bytes_eq_text(p->topic.text, talk_topics[topic]))
        topic++;
    if (p->topic.text.len == 0) {
        PORCH_BED_MUST(alias > 0 && k->alias[alias] > 0);
        return (uint8_t)(k->alias[alias] - 1);
    }
    if (alias > 0) k->alias[alias] = (uint8_t)(topic + 1);
    return topic;
}

/* One that is counted: who said it and which it is. */
static bool talk_counted(const porch_mqtt_publish *p, uint32_t *by, uint32_t *number) {
    char text[9];
    unsigned a, n;
    if (p->payload.len != 8 || !porch_bytes_to_text(p->payload, text, sizeof text)) return false;
    if (sscanf(text, "n%2u%5u", &a, &n) != 2 || a >= TALK_TALKERS || n == 0 || n > talk.number)
        return false;
    *by = a;
    *number = n;
    return true;
}

static void talk_heard_publish(talker *k, const porch_mqtt_publish *p) {
    uint32_t by, number;
    uint8_t topic = talk_topic_of(k, p);
    PORCH_BED_MUST(topic < TALK_TOPICS && topic != 2 && topic != 5); /* denied, and never granted */
    bool begun = p->qos == 2 && (k->begun[p->packet_id / 8] >> p->packet_id % 8 & 1) != 0;
    if (p->qos > 0) {
        k->under_way++;
        PORCH_BED_MUST(k->wild || k->under_way <= k->receive_most);
        talk_owe(k, p->qos == 1 ? PORCH_MQTT_PUBACK : PORCH_MQTT_PUBREC, p->packet_id);
    }
    if (p->qos == 2) k->begun[p->packet_id / 8] |= (uint8_t)(1u << p->packet_id % 8);
    if (begun || k->wild || !talk_counted(p, &by, &number) || talk.all[by].wild) return;
    if (p->qos == 2) {
        bool *had = topic == TALK_SHARED_TOPIC ? &talk.shared_had[number] : &k->had[number];
        PORCH_BED_MUST(!*had);
        *had = true;
    }
    if (p->dup || topic == TALK_SHARED_TOPIC || talk.repeated[number]) return;
    uint32_t *last = &k->last[by][topic][talk.said[number]][p->qos];
    PORCH_BED_MUST(number > *last);
    *last = number;
}

static void talk_close_open(talker *k, uint16_t id, bool (*is_it)(talk_open *o, uint8_t reason),
                            uint8_t reason) {
    for (size_t i = 0; i < k->open_count; i++) {
        if (k->open[i].id != id) continue;
        if (is_it(&k->open[i], reason)) k->open[i] = k->open[--k->open_count];
        return;
    }
}
static bool talk_on_puback(talk_open *o, uint8_t reason) {
    (void)reason;
    return o->qos == 1;
}
static bool talk_on_pubrec(talk_open *o, uint8_t reason) {
    o->received = true;
    o->asked = o->asked && o->released;
    return reason >= 0x80;
}
static bool talk_on_pubcomp(talk_open *o, uint8_t reason) {
    (void)reason;
    return o->released;
}

static void talk_heard_connack(talker *k, const porch_mqtt_connack *p) {
    PORCH_BED_MUST(!k->welcomed);
    PORCH_BED_MUST(p->reason == 0 || !p->session_present);
    k->over = p->reason != 0;
    k->welcomed = p->reason == 0;
    if (p->session_present || k->over) return;
    memset(k->begun, 0, sizeof k->begun);
    memset(k->last, 0, sizeof k->last);
    for (size_t i = 0; i < k->open_count; i++)
        talk.repeated[k->open[i].number] = true;
    k->open_count = 0;
    k->wild = k->babbled;
}

static void talk_heard(talker *k, const porch_mqtt_packet *p) {
    PORCH_BED_MUST(!k->over);
    PORCH_BED_MUST(k->welcomed || p->type == PORCH_MQTT_CONNACK);
    switch (p->type) {
    case PORCH_MQTT_CONNACK:
        talk_heard_connack(k, &p->connack);
        break;
    case PORCH_MQTT_PUBLISH:
        talk_heard_publish(k, &p->publish);
        break;
    case PORCH_MQTT_PUBACK:
        talk_close_open(k, p->ack.packet_id, talk_on_puback, p->ack.reason);
        break;
    case PORCH_MQTT_PUBREC:
        talk_close_open(k, p->ack.packet_id, talk_on_pubrec, p->ack.reason);
        break;
    case PORCH_MQTT_PUBCOMP:
        talk_close_open(k, p->ack.packet_id, talk_on_pubcomp, p->ack.reason);
        break;
    case PORCH_MQTT_PUBREL:
        k->begun[p->ack.packet_id / 8] &= (uint8_t) ~(1u << p->ack.packet_id % 8);
        talk_owe(k, PORCH_MQTT_PUBCOMP, p->ack.packet_id);
        break;
    case PORCH_MQTT_DISCONNECT:
        k->over = true;
        break;
    case PORCH_MQTT_PINGRESP:
        k->pinged = false;
        break;
    default:
        PORCH_BED_MUST(p->type == PORCH_MQTT_SUBACK || p->type == PORCH_MQTT_UNSUBACK);
    }
}

static void talk_listen(talker *k) {
    porch_mqtt_frame frame;
    porch_mqtt_packet p;
    while (k->c != NULL) {
        porch_err e = porch_mqtt_frame_read((porch_bytes){k->c->out, k->c->out_len - k->c->unread}, 1 << 20,
                                            NULL, &frame);
        if (e == PORCH_ERR_TRUNCATED) break;
        PORCH_BED_MUST(e == PORCH_OK);
        PORCH_BED_MUST(frame.bytes <= k->packet_most);
        PORCH_BED_MUST(porch_mqtt_packet_read(&frame, k->v, PORCH_MQTT_FROM_SERVER, NULL, &p) == PORCH_OK);
        talk_heard(k, &p);
        bed_read(k->c, frame.bytes);
    }
    k->gone = k->c != NULL && k->c->told;
}

static void talk_turn(void) {
    bed_work();
    for (size_t i = 0; i < TALK_TALKERS; i++)
        talk_listen(&talk.all[i]);
}

/* ---- the conversation ---- */

static void talk_deafen(talker *k, bool deaf) {
    if (k->c == NULL) return;
    k->c->deaf = deaf;
    if (deaf) return;
    k->c->unread = 0;
    k->c->dirty = true;
}

/* The store begins to refuse, or does no longer; its lanes take nothing, or do again. */
static void talk_store(void) {
    uint8_t how = bed.store_result == PORCH_OK ? talk_byte() : 1;
    bed.store_result = (how & 3) == 0 ? PORCH_ERR_FULL : PORCH_OK;
    if ((how & 12) == 12) bed.lane_full = bed.has_store && !bed.lane_full;
}

static void talk_step(void) {
    uint8_t what = talk_byte();
    talker *k = &talk.all[(what >> 4) % TALK_TALKERS];
    switch (what & 15) {
    case 0:
        talk_connect(k);
        break;
    case 1:
    case 2:
        talk_publish(k);
        break;
    case 3:
        talk_repeat(k);
        break;
    case 4:
        talk_release(k, (talk_byte() & 7) == 0);
        break;
    case 5:
        talk_subscribe(k);
        break;
    case 6:
        talk_unsubscribe(k);
        break;
    case 7:
        talk_pay(k, talk_byte() & 7 ? 0 : 0x80);
        break;
    case 8:
        while (k->due_count > 0 && talk_speaks(k))
            talk_pay(k, 0);
        break;
    case 9:
        talk_goodbye(k);
        break;
    case 10:
        talk_hang_up(k);
        break;
    case 11: /* what waits for the store asks every millisecond: that need not be played for long */
        bed_pass(talk_byte() * (bed.lane_full ? 1ull : bed.holds_back ? 10ull : 100ull));
        break;
    case 12:
        bed.holds_back = bed.has_store && !bed.holds_back;
        break;
    case 13:
        talk_store();
        break;
    case 14:
        talk_nonsense(k);
        break;
    default:
        talk_deafen(k, k->c != NULL && !k->c->deaf);
        break;
    }
}

/* Longer than a publisher is held back for one who is behind: what waited for that is read. */
static void talk_wait(void) {
    bed_pass(250);
    talk_turn();
}

/* When everything works again, every question has its answer. */
static void talk_end(void) {
    static const uint8_t ping[] = {0xc0, 0};
    bed.holds_back = bed.lane_full = false;
    bed.store_result = PORCH_OK;
    for (size_t i = 0; i < TALK_TALKERS; i++)
        talk_deafen(&talk.all[i], false);
    talk_turn();
    for (int round = 0, quiet = 0; round < 3000 && quiet < 4; round++) {
        bool more = false;
        for (size_t i = 0; i < TALK_TALKERS; i++) {
            talker *k = &talk.all[i];
            while (k->due_count > 0 && k->welcomed && talk_speaks(k)) {
                talk_pay(k, 0);
                more = true;
            }
        }
        talk_turn();
        quiet = more ? 0 : quiet + 1;
        if (!more) talk_wait();
    }
    for (size_t i = 0; i < TALK_TALKERS; i++) {
        talker *k = &talk.all[i];
        k->pinged = k->welcomed && talk_speaks(k) && !k->wild;
        if (k->pinged) bed_send(k->c, (porch_bytes){ping, sizeof ping});
    }
    talk_turn();
    talk_wait();
    for (size_t i = 0; i < TALK_TALKERS; i++) {
        talker *k = &talk.all[i];
        if (!k->welcomed || !talk_speaks(k) || k->wild) continue;
        PORCH_BED_MUST(!k->pinged);
        for (size_t o = 0; o < k->open_count; o++)
            PORCH_BED_MUST(!k->open[o].asked);
    }
}

static void talk_play(porch_bytes in) {
    static const struct {
        porch_identity_kind kind;
        const char *name, *id;
    } who[TALK_TALKERS] = {{PORCH_IDENTITY_SERVICE, "m", "m/0"},
                           {PORCH_IDENTITY_SERVICE, "m", "m/1"},
                           {PORCH_IDENTITY_DEVICE, "cam", "cam"},
                           {PORCH_IDENTITY_SERVICE, "m", "m"},
                           {PORCH_IDENTITY_SERVICE, "n", "n/2"}};
    memset(&bed, 0, sizeof bed);
    memset(&talk, 0, sizeof talk);
    talk.in = in;
    porch_settings_default(&bed.settings);
    bed.settings.broker_messages_s = bed.settings.broker_bytes_s = 0;
    bed.settings.broker_receive_maximum = 40;
    bed.settings.broker_queue_messages = 32;
    uint8_t how = talk_byte();
    bed_start(1 + (how & 1), (how & 2) != 0);
    for (size_t i = 0; i < TALK_TALKERS; i++) {
        talk.all[i].kind = who[i].kind;
        talk.all[i].name = who[i].name;
        talk.all[i].id = who[i].id;
    }
    for (int i = 0; i < TALK_STEPS_MOST && talk.in.len > 0; i++) {
        talk_step();
        talk_turn();
    }
    talk_end();
    for (size_t i = 0; i < TALK_TALKERS; i++)
        talk_hang_up(&talk.all[i]);
    bed_stop();
}

#endif
