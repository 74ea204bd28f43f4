/* CONNECT: who is it, is it what it says, and where is its home?
 *
 *   certificate judged ─► registry, once more ─► client identifier ─► will permitted? ─► home shard?
 *   ─► take-over or resumption ─► written down, when it outlives its connection or has a will ─► CONNACK
 *
 * On another shard than its home the packet is left unread and the connection moves there: the same bytes
 * are then judged again, by the shard that keeps the session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "crypto/random.h"
#include "os/clock.h"
#include "os/log.h"

/* ---- answers ---- */

static void connack(porch_conn *c, porch_mqtt_version version, bool present, uint8_t reason,
                    porch_bytes properties) {
    uint8_t text[1024];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connack ack = {present, reason, {{NULL, 0}, 0}};
    if (version == PORCH_MQTT_V5)
        (void)porch_mqtt_properties_of(properties, PORCH_MQTT_CONNACK, NULL, &ack.properties);
    if (porch_mqtt_connack_write(&b, version, &ack) == PORCH_OK) porch_conn_put(c, porch_buf_bytes(&b));
}

/* What the client is ready to read at once. */
static uint32_t packet_most(const porch_mqtt_connect *in) {
    return porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE,
                                      PORCH_MQTT_VARINT_MOST);
}

/* A CONNACK that says no, without and with a reason string (MQTT-3.2.2-19). */
enum { REFUSAL_BYTES = 5, REASON_STRING_BYTES = 3 };

static bool problem_info(const porch_mqtt_connect *in) {
    return porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_REQUEST_PROBLEM_INFO, 1) != 0;
}

/* `in` is NULL when CONNECT could not be read. */
static porch_taken refuse(porch_broker_shard *b, porch_conn *c, const porch_mqtt_connect *in,
                          porch_mqtt_version version, uint8_t reason, const char *why) {
    const porch_peer *peer = porch_conn_peer(c);
    const porch_identity *id = &peer->tls.x509.identity;
    uint8_t raw[400];
    porch_buf properties = PORCH_BUF_OF(raw);
    porch_broker_count(&b->counts.connects_refused, 1);
    if (porch_shard_may_log(b->shard)) {
        porch_log_view client = porch_log_bytes(in == NULL ? (porch_bytes){NULL, 0} : in->client_id);
        porch_log(PORCH_LOG_WARN, "mqtt.refused", porch_identity_kind_text(id->kind), id->name, "client",
                  client.text, "address", peer->address, "packet", "CONNECT", "reason", why, NULL);
    }
    uint32_t most = in == NULL ? PORCH_MQTT_VARINT_MOST : packet_most(in);
    if ((in == NULL || problem_info(in)) && REFUSAL_BYTES + 2 + REASON_STRING_BYTES + strlen(why) <= most)
        (void)porch_mqtt_property_put_text(&properties, PORCH_MQTT_PROP_REASON_STRING, porch_bytes_of(why));
    if (reason != 0 && most >= REFUSAL_BYTES)
        connack(c, version, false, reason, porch_buf_bytes(&properties));
    porch_conn_close(c);
    return PORCH_TAKEN;
}

/* ---- who ---- */

static porch_err admit(porch_broker_shard *b, const porch_peer *peer, porch_registry_entry *ret,
                       porch_why *why) {
    porch_registry *registry = b->broker->config.registry;
    if (!peer->admitted) {
        *why = peer->verdict_why;
        return peer->verdict;
    }
    bool person = peer->principal.kind == PORCH_IDENTITY_PERSON; /* the sign-in has proved it */
    if (registry != NULL && !person)
        return porch_registry_admit(registry, peer->principal.kind, peer->principal.name,
                                    peer->tls.x509.fingerprint, porch_clock_ms(), ret, why);
    memset(ret, 0, sizeof *ret);
    ret->kind = peer->principal.kind;
    memcpy(ret->name, peer->principal.name, sizeof ret->name);
    memcpy(ret->product, peer->principal.product, sizeof ret->product);
    memcpy(ret->household, peer->principal.household, sizeof ret->household);
    ret->role = peer->principal.role;
    memcpy(ret->sign_in, peer->principal.sign_in, sizeof ret->sign_in);
    return PORCH_OK;
}

/* A fresh identifier that lives on this very shard, so that assigning it needs no move. */
static void assign_id(porch_broker_shard *b, porch_identity_kind kind, const char *name,
                      char out[PORCH_BROKER_CLIENT_ID_BYTES]) {
    unsigned shards = porch_shard_count(b->shard);
    do {
        char id[PORCH_RANDOM_ID_BYTES];
        porch_random_id(id);
        snprintf(out, PORCH_BROKER_CLIENT_ID_BYTES, "%s/%.16s", name, id);
    } while (porch_session_hash(b->broker, kind, name, out) % shards != b->index);
}

/* A device's identifier is its id; a service's is its name or name/...; see 'Identity'. A person's is what
 * the page says: it is one of theirs whatever it is, since a session belongs to name and identifier. */
static bool client_id_of(porch_broker_shard *b, const porch_registry_entry *e, const porch_mqtt_connect *in,
                         char out[PORCH_BROKER_CLIENT_ID_BYTES]) {
    porch_bytes id = in->client_id;
    size_t name = strlen(e->name);
    if (id.len == 0 && e->kind == PORCH_IDENTITY_DEVICE) {
        memcpy(out, e->name, name + 1);
        return true;
    }
    if (id.len == 0) {
        assign_id(b, e->kind, e->name, out);
        return true;
    }
    if (!porch_bytes_to_text(id, out, PORCH_BROKER_CLIENT_ID_BYTES)) return false;
    if (strcmp(out, e->name) == 0 || e->kind == PORCH_IDENTITY_PERSON) return true;
    if (e->kind != PORCH_IDENTITY_SERVICE) return false;
    return e->any_client_id || (strncmp(out, e->name, name) == 0 && out[name] == '/');
}

/* ---- the will ---- */

/* A will's properties without its delay: those of its PUBLISH. */
static porch_err will_properties(porch_broker_shard *b, const porch_mqtt_will *will, porch_buf *raw,
                                 porch_mqtt_properties *ret) {
    porch_mqtt_property one;
    *raw = (porch_buf){porch_pool_take(b->pool, will->properties.raw.len + 1), 0,
                       will->properties.raw.len + 1};
    if (raw->at == NULL) return PORCH_ERR_NO_SPACE;
    for (porch_bytes rest = will->properties.raw; porch_mqtt_property_next(&rest, &one);)
        if (one.id != PORCH_MQTT_PROP_WILL_DELAY) PORCH_TRY(porch_mqtt_property_put(raw, &one));
    return porch_mqtt_properties_of(porch_buf_bytes(raw), PORCH_MQTT_PUBLISH, NULL, ret);
}

/* *ret is NULL without a will, or when there is no memory. */
static porch_err make_will(porch_broker_shard *b, const porch_mqtt_connect *in, porch_will *ret) {
    *ret = (porch_will){NULL, 0};
    if (!in->has_will) return PORCH_OK;
    porch_buf raw = {NULL, 0, 0};
    porch_mqtt_properties properties;
    porch_err e = will_properties(b, &in->will, &raw, &properties);
    if (e == PORCH_OK)
        ret->message = porch_message_new(b->pool, in->will.topic.text, &properties, in->will.payload,
                                         in->will.qos, porch_shard_now(b->shard));
    porch_pool_give(b->pool, raw.at);
    if (ret->message == NULL) return e == PORCH_OK ? PORCH_ERR_NO_SPACE : e;
    ret->message->retain = in->will.retain;
    ret->delay_s = porch_mqtt_property_number(&in->will.properties, PORCH_MQTT_PROP_WILL_DELAY, 0);
    return PORCH_OK;
}

/* A will is a publication that is judged before it is promised. */
static bool will_allowed(porch_broker_shard *b, const porch_registry_entry *e, const porch_mqtt_connect *in,
                         uint8_t *reason, porch_why *why) {
    if (!in->has_will) return true;
    const porch_settings *set = &b->broker->settings;
    porch_bytes topic = in->will.topic.text;
    *reason = PORCH_MQTT_RC_NOT_AUTHORIZED;
    if (e->kind == PORCH_IDENTITY_PERSON) {
        porch_fail(why, PORCH_ERR_AUTH, "the will: a person's session leaves none");
        return false;
    }
    if (topic.len > set->broker_topic_bytes || porch_topic_levels(topic) > set->broker_topic_levels) {
        *reason = PORCH_MQTT_RC_TOPIC_NAME_INVALID;
        porch_fail(why, PORCH_ERR_LIMIT,
                   "the will's topic is too long or too deep (broker.topic_bytes, broker.topic_levels)");
        return false;
    }
    if (topic.len > 0 && topic.at[0] == '$') {
        porch_fail(why, PORCH_ERR_AUTH, "the will: topics that begin with $ are the hub's own");
        return false;
    }
    if (in->will.retain && porch_broker_may_retain(b, NULL, topic, in->will.payload) != PORCH_OK) {
        *reason = PORCH_MQTT_RC_QUOTA_EXCEEDED;
        porch_fail(why, PORCH_ERR_LIMIT,
                   "too many retained messages (broker.retained_messages; of one device "
                   "broker.retained_device_messages)");
        return false;
    }
    if (!porch_quarantine_lets_publish(e, topic)) {
        porch_fail(why, PORCH_ERR_AUTH, "the will: " PORCH_QUARANTINE_SAYS);
        return false;
    }
    const porch_access_policy *policy = porch_grants_policy(b->broker->config.grants, e);
    if (policy == NULL) {
        porch_fail(why, PORCH_ERR_AUTH, "its permissions cannot be read");
        return false;
    }
    porch_access_decision d = porch_access_can_publish(policy, in->will.topic);
    if (!d.allowed) {
        porch_why inner; /* the statement is for the operator, not for the peer */
        if (porch_grants_denied(b->broker->config.grants, e, policy, d, PORCH_ACCESS_PUBLISH, topic, 1,
                                &inner) &&
            porch_shard_may_log(b->shard))
            porch_log(PORCH_LOG_WARN, "mqtt.refused", porch_identity_kind_text(e->kind), e->name, "packet",
                      "CONNECT", "reason", inner.text, "will", porch_log_bytes(topic).text, NULL);
        porch_fail(why, PORCH_ERR_AUTH, "the will: its topic is not permitted");
    }
    porch_grants_policy_release(policy);
    return d.allowed;
}

/* ---- welcome ---- */

/* How long the session waits for its client: what the client asks for, up to broker.session_expiry_s. */
static uint32_t expiry_of(const porch_settings *set, const porch_mqtt_connect *in) {
    uint32_t most = set->broker_session_expiry_s;
    if (in->version != PORCH_MQTT_V5) return in->clean_start ? 0 : most;
    uint32_t wants = porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_SESSION_EXPIRY, 0);
    return wants < most ? wants : most;
}

static void agree(porch_session *s, const porch_mqtt_connect *in, uint16_t *server_keep_alive) {
    const porch_settings *set = &s->home->broker->settings;
    uint16_t keep = in->keep_alive_s;
    *server_keep_alive = 0;
    s->version = in->version;
    s->problem_info = problem_info(in);
    if (in->version == PORCH_MQTT_V5 && (keep == 0 || keep > set->broker_keep_alive_s))
        *server_keep_alive = keep = (uint16_t)set->broker_keep_alive_s;
    s->keep_alive_ms = (uint64_t)keep * 1500;
    s->packet_most = packet_most(in);
    uint32_t window =
        porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, UINT16_MAX);
    if (window > set->broker_inflight) window = set->broker_inflight;
    s->window_most = (uint16_t)window;
    s->alias_in =
        (porch_alias){NULL, (uint16_t)(in->version == PORCH_MQTT_V5 ? set->broker_topic_aliases : 0)};
    uint32_t aliases = porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
    if (aliases > set->broker_topic_aliases) aliases = set->broker_topic_aliases;
    s->alias_out = (porch_alias){NULL, (uint16_t)aliases};
}

static void put(porch_buf *b, porch_mqtt_property_id id, uint32_t number) {
    (void)porch_mqtt_property_put_number(b, id, number); /* the buffer holds them all */
}

/* A welcome is not cut short: a client that could not read it is told so (MQTT-3.1.2-24). */
static bool reads_welcome(const porch_mqtt_connect *in, const char *client_id) {
    enum {
        HEADER = 6,
        EXPIRY = 5,
        RECEIVE_MAXIMUM = 3,
        PACKET_SIZE = 5,
        ALIASES = 3,
        KEEP_ALIVE = 3,
        TEXT = 3
    };
    size_t bytes = HEADER + EXPIRY + RECEIVE_MAXIMUM + PACKET_SIZE + ALIASES + KEEP_ALIVE;
    if (in->client_id.len == 0) bytes += TEXT + strlen(client_id);
    return in->version != PORCH_MQTT_V5 || bytes <= packet_most(in);
}

/* MQTT 5.0, section 3.2.2.3; what is not said has its default there. */
static void write_properties(const porch_session *s, const porch_mqtt_connect *in,
                             uint16_t server_keep_alive, porch_buf *b) {
    const porch_settings *set = &s->home->broker->settings;
    if (porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_SESSION_EXPIRY, 0) != s->expiry_s)
        put(b, PORCH_MQTT_PROP_SESSION_EXPIRY, s->expiry_s);
    put(b, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, set->broker_receive_maximum);
    put(b, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, set->broker_packet_bytes);
    if (in->client_id.len == 0)
        (void)porch_mqtt_property_put_text(b, PORCH_MQTT_PROP_ASSIGNED_CLIENT_ID,
                                           porch_bytes_of(s->client_id));
    if (set->broker_topic_aliases > 0)
        put(b, PORCH_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, set->broker_topic_aliases);
    if (server_keep_alive > 0) put(b, PORCH_MQTT_PROP_SERVER_KEEP_ALIVE, server_keep_alive);
    if (s->entry.kind == PORCH_IDENTITY_DEVICE &&
        porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_REQUEST_RESPONSE_INFO, 0) == 1) {
        char basis[80];
        snprintf(basis, sizeof basis, "d/%s/response", s->entry.name);
        if (REFUSAL_BYTES + 2 + b->len + REASON_STRING_BYTES + strlen(basis) > s->packet_most) return;
        (void)porch_mqtt_property_put_text(b, PORCH_MQTT_PROP_RESPONSE_INFO, porch_bytes_of(basis));
    }
}

void porch_session_welcome(porch_session *s, bool present, porch_bytes properties) {
    porch_broker_shard *b = s->home;
    connack(s->conn, s->version, present, PORCH_MQTT_RC_SUCCESS, properties);
    if (!porch_session_online(s)) return;
    s->welcomed = true;
    porch_session_resend(s);
    porch_share_tell(s, true);
    if (s->resends > 0 || s->queue_count > 0) porch_conn_want_write(s->conn);
    if (s->replays != NULL) porch_shard_again(b->shard, 0);
    porch_session_arm(s);
    porch_session_listen(s);
    if (s->entry.kind == PORCH_IDENTITY_DEVICE && b->broker->config.registry != NULL)
        porch_registry_seen(b->broker->config.registry, s->entry.name, true, porch_clock_ms());
    if (porch_shard_may_log(b->shard))
        porch_log(PORCH_LOG_INFO, "mqtt.connected", porch_identity_kind_text(s->entry.kind), s->entry.name,
                  "client", s->client_id, "address", s->address, "version",
                  s->version == PORCH_MQTT_V5 ? "5.0" : "3.1.1", "session", present ? "resumed" : "new",
                  NULL);
}

/* ---- the session that is there ---- */

static void take_over(porch_broker_shard *b, porch_session *old) {
    old->taken_over = true;
    porch_broker_count(&b->counts.taken_over, 1);
    porch_session_disconnect(old, PORCH_MQTT_RC_SESSION_TAKEN_OVER,
                             "another connection took the session over");
    if (old->conn != NULL) porch_conn_cut(old->conn);
}

/* What becomes of it: *ret is the session to go on with, NULL for a new one. Its will is spoken when it
 * ends, or when it is due (section 3.1.3.2.2). False: no room now. */
static bool settle_old(porch_broker_shard *b, const porch_mqtt_connect *in, const porch_registry_entry *e,
                       const char *client_id, porch_session **ret, uint64_t *forget) {
    porch_session *old = porch_session_find(b, e->kind, e->name, client_id);
    if (old != NULL && old->conn != NULL) {
        take_over(b, old);
        old = porch_session_find(b, e->kind, e->name, client_id);
    }
    *ret = NULL;
    *forget = 0;
    if (old == NULL) return true;
    bool ends = in->clean_start || !porch_session_lasts(old);
    bool due = ends || old->will_due_ms <= porch_shard_now(b->shard);
    if (old->will.message != NULL && due && !porch_session_speak_will(old)) return false;
    if (ends) {
        *forget = old->number;
        porch_session_end(old, b->lane == NULL);
    } else {
        porch_session_drop_will(old);
        *ret = old;
    }
    return true;
}

static porch_taken too_many(porch_broker_shard *b, porch_conn *c, const porch_mqtt_connect *in,
                            const char *why) {
    return refuse(b, c, in, in->version,
                  in->version == PORCH_MQTT_V5 ? PORCH_MQTT_RC_QUOTA_EXCEEDED
                                               : PORCH_MQTT_RC_SERVER_UNAVAILABLE,
                  why);
}

/* Writes the session down, in one note with the end of the one before it, and lets CONNACK wait for that.
 */
static bool save(porch_session *s, uint64_t forget, bool present, porch_bytes properties) {
    porch_broker_shard *b = s->home;
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf before = PORCH_BUF_OF(text);
    porch_pending then = {
        .kind = PORCH_PENDING_CONNACK, .packet_id = present, .place = (uint32_t)properties.len};
    s->replaces = forget;
    if (forget != 0 && porch_note_session_drop(&before, forget) != PORCH_OK) return false;
    then.block = porch_pool_take(b->pool, properties.len + 1);
    if (then.block == NULL) return false;
    memcpy(then.block, properties.at, properties.len);
    if (porch_session_save(s, true, &before, &then)) return true;
    porch_pool_give(b->pool, then.block);
    return false;
}

/* What CONNECT may write: that an older connection is over, its will, and the session's row with the new
 * one. Asked before anything is changed: a session that is there must not die of a store that is behind. */
static porch_err room_for_connect(porch_broker_shard *b, size_t packet_bytes, const porch_registry_entry *e,
                                  const char *client_id) {
    enum { RECORDS = 4, NAMES_BYTES = sizeof e->name + PORCH_BROKER_CLIENT_ID_BYTES };
    const porch_session *old = porch_session_find(b, e->kind, e->name, client_id);
    size_t will = old != NULL && old->will.message != NULL ? porch_message_weight(old->will.message) : 0;
    return porch_broker_room(b, RECORDS,
                             packet_bytes + will + NAMES_BYTES + (size_t)2 * RECORDS * PORCH_NOTE_BYTES);
}

static porch_taken come_again(porch_conn *c) {
    porch_conn_pause(c);
    porch_conn_resume(c); /* in the next turn */
    return PORCH_STALL;
}

/* Without memory to write it down: a session that was there waits on as it did. */
static porch_taken not_opened(porch_session *s, const porch_mqtt_connect *in, bool present,
                              uint32_t expiry_s) {
    porch_broker_shard *b = s->home;
    porch_conn *c = s->conn;
    porch_conn_set_user(c, NULL);
    porch_session_drop_will(s);
    if (present) {
        s->expiry_s = expiry_s;
        porch_session_detach(s);
    } else {
        porch_session_end(s, true);
    }
    return refuse(b, c, in, in->version,
                  in->version == PORCH_MQTT_V5 ? PORCH_MQTT_RC_SERVER_BUSY
                                               : PORCH_MQTT_RC_SERVER_UNAVAILABLE,
                  "no memory to write the session down (broker.memory_bytes); come again");
}

static porch_taken open_session(porch_broker_shard *b, porch_conn *c, const porch_mqtt_connect *in,
                                const porch_registry_entry *e, const char *client_id, size_t packet_bytes) {
    porch_session *s = NULL;
    uint64_t forget = 0;
    porch_will will;
    porch_err room = room_for_connect(b, packet_bytes, e, client_id);
    if (room == PORCH_ERR_LIMIT) return too_many(b, c, in, "its will is too large to be stored");
    if (room != PORCH_OK) return come_again(c);
    if (make_will(b, in, &will) != PORCH_OK) return too_many(b, c, in, "no memory for a will");
    if (!settle_old(b, in, e, client_id, &s, &forget)) {
        if (will.message != NULL) porch_message_release(b->pool, will.message);
        return come_again(c);
    }
    bool present = s != NULL;
    uint32_t expiry_s = present ? s->expiry_s : 0;
    if (s == NULL) s = porch_session_new(b, e, client_id);
    if (s == NULL) {
        if (will.message != NULL) porch_message_release(b->pool, will.message);
        return too_many(b, c, in, "too many sessions of one principal (broker.sessions), or no memory");
    }
    uint16_t server_keep_alive;
    uint8_t raw[512];
    porch_buf properties = PORCH_BUF_OF(raw);
    porch_session_attach(s, c);
    s->entry.issuer = e->issuer; /* of the certificate that it came with this time */
    s->will = will;
    s->will_anyway = false;
    /* A person's session ends with its connection, as the sign-in's live streams do. */
    s->expiry_s = e->kind == PORCH_IDENTITY_PERSON ? 0 : expiry_of(&b->broker->settings, in);
    agree(s, in, &server_keep_alive);
    if (!present && porch_session_lasts(s)) porch_session_begin_lasting(s);
    if (s->number == 0 && b->lane != NULL && (porch_session_lasts(s) || will.message != NULL)) {
        s->number = atomic_fetch_add(&b->broker->numbers, 1) + 1;
        s->cursor_saved = b->settled;
        s->cursor_saved_ms = porch_shard_now(b->shard);
    }
    porch_broker_count(&b->counts.connects, 1);
    if (present) porch_broker_count(&b->counts.resumed, 1);
    write_properties(s, in, server_keep_alive, &properties);
    if (s->number == 0 && forget == 0) {
        porch_session_welcome(s, present, porch_buf_bytes(&properties));
    } else if (save(s, forget, present, porch_buf_bytes(&properties))) {
        porch_conn_pause(c);
    } else {
        return not_opened(s, in, present, expiry_s);
    }
    return PORCH_TAKEN;
}

porch_taken porch_broker_on_connect(porch_broker_shard *b, porch_conn *c, const porch_mqtt_frame *frame) {
    const porch_peer *peer = porch_conn_peer(c);
    porch_mqtt_connect in = {.version = PORCH_MQTT_V311};
    porch_mqtt_fault fault = {PORCH_MQTT_RC_MALFORMED_PACKET, NULL};
    porch_registry_entry entry = {.kind = PORCH_IDENTITY_NONE};
    char why[sizeof(porch_why) + 32], client_id[PORCH_BROKER_CLIENT_ID_BYTES];
    porch_why reason = {""};
    if (frame->type != PORCH_MQTT_CONNECT)
        return refuse(b, c, NULL, PORCH_MQTT_V5, 0, "malformed: the first packet is no CONNECT");
    if (porch_mqtt_connect_read(frame, &fault, &in) != PORCH_OK) {
        snprintf(why, sizeof why, "malformed CONNECT: %s",
                 fault.what != NULL ? fault.what : porch_mqtt_reason_text(fault.reason));
        return refuse(b, c, NULL, porch_mqtt_connect_version(frame), fault.reason, why);
    }
    porch_err e = admit(b, peer, &entry, &reason);
    if (e != PORCH_OK) {
        /* Busy says nothing about the certificate: the device must not take it for dead. */
        bool busy = e == PORCH_ERR_BUSY;
        snprintf(why, sizeof why, "certificate %s: %s", busy ? "not judged" : "refused",
                 porch_why_text(&reason, e));
        return refuse(b, c, &in, in.version,
                      busy ? PORCH_MQTT_RC_SERVER_BUSY : PORCH_MQTT_RC_NOT_AUTHORIZED, why);
    }
    if (!client_id_of(b, &entry, &in, client_id))
        return refuse(
            b, c, &in, in.version, PORCH_MQTT_RC_CLIENT_ID_INVALID,
            "the client identifier is not this principal's: a device uses its id, a service its name or "
            "name/...");
    if (!reads_welcome(&in, client_id))
        return refuse(b, c, &in, in.version, PORCH_MQTT_RC_PACKET_TOO_LARGE,
                      "its Maximum Packet Size is too small for a CONNACK");
    if (porch_mqtt_property_has(&in.properties, PORCH_MQTT_PROP_AUTH_METHOD))
        return refuse(b, c, &in, in.version, PORCH_MQTT_RC_BAD_AUTH_METHOD,
                      "enhanced authentication is not offered: the certificate is the proof");
    uint8_t code = 0;
    if (!will_allowed(b, &entry, &in, &code, &reason))
        return refuse(b, c, &in, in.version, code, reason.text);
    unsigned home = (unsigned)(porch_session_hash(b->broker, entry.kind, entry.name, client_id) %
                               porch_shard_count(b->shard));
    if (home != b->index) {
        porch_conn_move(c, home);
        return PORCH_STALL;
    }
    return open_session(b, c, &in, &entry, client_id, frame->bytes);
}
