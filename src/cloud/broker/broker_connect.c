/* CONNECT: who is it, is it what it says, and where is its home?
 *
 *   certificate judged ─► registry, once more ─► client identifier ─► home shard? ─► offered? ─► take-over
 * ─► CONNACK
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

static void connack(porch_conn *c, porch_mqtt_version version, uint8_t reason, porch_bytes properties) {
    uint8_t text[1024];
    porch_buf b = PORCH_BUF_OF(text);
    porch_mqtt_connack ack = {false, reason, {{NULL, 0}, 0}};
    if (version == PORCH_MQTT_V5)
        (void)porch_mqtt_properties_of(properties, PORCH_MQTT_CONNACK, NULL, &ack.properties);
    if (porch_mqtt_connack_write(&b, version, &ack) == PORCH_OK) porch_conn_put(c, porch_buf_bytes(&b));
}

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
    if (in == NULL || problem_info(in))
        (void)porch_mqtt_property_put_text(&properties, PORCH_MQTT_PROP_REASON_STRING, porch_bytes_of(why));
    if (reason != 0) connack(c, version, reason, porch_buf_bytes(&properties));
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
    if (registry != NULL)
        return porch_registry_admit(registry, peer->principal.kind, peer->principal.name,
                                    peer->tls.x509.fingerprint, porch_clock_ms(), ret, why);
    memset(ret, 0, sizeof *ret);
    ret->kind = peer->principal.kind;
    memcpy(ret->name, peer->principal.name, sizeof ret->name);
    memcpy(ret->product, peer->principal.product, sizeof ret->product);
    memcpy(ret->household, peer->principal.household, sizeof ret->household);
    return PORCH_OK;
}

/* A fresh identifier that lives on this very shard, so that assigning it needs no move. */
static void assign_service_id(porch_broker_shard *b, const char *name,
                              char out[PORCH_BROKER_CLIENT_ID_BYTES]) {
    unsigned shards = porch_shard_count(b->shard);
    do {
        char id[PORCH_RANDOM_ID_BYTES];
        porch_random_id(id);
        snprintf(out, PORCH_BROKER_CLIENT_ID_BYTES, "%s/%.16s", name, id);
    } while (porch_session_hash(b->broker, PORCH_IDENTITY_SERVICE, name, out) % shards != b->index);
}

/* A device's identifier is its id; a service's is its name or name/...; see 'Identity'. */
static bool client_id_of(porch_broker_shard *b, const porch_registry_entry *e, const porch_mqtt_connect *in,
                         char out[PORCH_BROKER_CLIENT_ID_BYTES]) {
    porch_bytes id = in->client_id;
    size_t name = strlen(e->name);
    if (id.len == 0 && e->kind == PORCH_IDENTITY_DEVICE) {
        memcpy(out, e->name, name + 1);
        return true;
    }
    if (id.len == 0) {
        assign_service_id(b, e->name, out);
        return true;
    }
    if (!porch_bytes_to_text(id, out, PORCH_BROKER_CLIENT_ID_BYTES)) return false;
    if (strcmp(out, e->name) == 0) return true;
    if (e->kind != PORCH_IDENTITY_SERVICE) return false;
    return e->any_client_id || (strncmp(out, e->name, name) == 0 && out[name] == '/');
}

/* ---- what is not offered yet ---- */

static bool offered(const porch_mqtt_connect *in, uint8_t *reason, const char **why) {
    if (porch_mqtt_property_has(&in->properties, PORCH_MQTT_PROP_AUTH_METHOD)) {
        *reason = PORCH_MQTT_RC_BAD_AUTH_METHOD;
        *why = "enhanced authentication is not offered: the certificate is the proof";
    } else if (in->has_will) {
        *reason = in->version == PORCH_MQTT_V5 ? PORCH_MQTT_RC_IMPLEMENTATION_ERROR
                                               : PORCH_MQTT_RC_SERVER_UNAVAILABLE;
        *why = "wills are not offered; connect without one";
        if (in->will.retain && in->version == PORCH_MQTT_V5) *reason = PORCH_MQTT_RC_RETAIN_NOT_SUPPORTED;
        if (in->will.qos > 1 && in->version == PORCH_MQTT_V5) *reason = PORCH_MQTT_RC_QOS_NOT_SUPPORTED;
    } else if (in->version == PORCH_MQTT_V311 && !in->clean_start) {
        /* 3.1.1 cannot say that a session will not be kept, so half a promise is not made. */
        *reason = PORCH_MQTT_RC_SERVER_UNAVAILABLE;
        *why = "sessions that outlive their connection are not offered; connect with clean session";
    } else {
        return true;
    }
    return false;
}

/* ---- welcome ---- */

static void agree(porch_session *s, const porch_mqtt_connect *in, uint16_t *server_keep_alive) {
    const porch_settings *set = &s->home->broker->settings;
    uint16_t keep = in->keep_alive_s;
    *server_keep_alive = 0;
    s->version = in->version;
    s->problem_info = problem_info(in);
    if (in->version == PORCH_MQTT_V5 && (keep == 0 || keep > set->broker_keep_alive_s))
        *server_keep_alive = keep = (uint16_t)set->broker_keep_alive_s;
    s->keep_alive_ms = (uint64_t)keep * 1500;
    s->packet_most = porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE,
                                                PORCH_MQTT_VARINT_MOST);
    uint32_t window =
        porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, UINT16_MAX);
    if (window > set->broker_inflight) window = set->broker_inflight;
    s->window_most = (uint16_t)window;
}

static void put(porch_buf *b, porch_mqtt_property_id id, uint32_t number) {
    (void)porch_mqtt_property_put_number(b, id, number); /* the buffer holds them all */
}

static void welcome(porch_session *s, const porch_mqtt_connect *in, uint16_t server_keep_alive) {
    const porch_settings *set = &s->home->broker->settings;
    uint8_t raw[512];
    porch_buf b = PORCH_BUF_OF(raw);
    if (porch_mqtt_property_number(&in->properties, PORCH_MQTT_PROP_SESSION_EXPIRY, 0) != 0)
        put(&b, PORCH_MQTT_PROP_SESSION_EXPIRY, 0);
    put(&b, PORCH_MQTT_PROP_RECEIVE_MAXIMUM, set->broker_receive_maximum);
    put(&b, PORCH_MQTT_PROP_MAXIMUM_QOS, 1);
    put(&b, PORCH_MQTT_PROP_RETAIN_AVAILABLE, 0);
    put(&b, PORCH_MQTT_PROP_MAXIMUM_PACKET_SIZE, set->broker_packet_bytes);
    if (in->client_id.len == 0)
        (void)porch_mqtt_property_put_text(&b, PORCH_MQTT_PROP_ASSIGNED_CLIENT_ID,
                                           porch_bytes_of(s->client_id));
    put(&b, PORCH_MQTT_PROP_WILDCARD_AVAILABLE, 1);
    put(&b, PORCH_MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE, 0);
    put(&b, PORCH_MQTT_PROP_SHARED_AVAILABLE, 0);
    if (server_keep_alive > 0) put(&b, PORCH_MQTT_PROP_SERVER_KEEP_ALIVE, server_keep_alive);
    connack(s->conn, s->version, PORCH_MQTT_RC_SUCCESS, porch_buf_bytes(&b));
}

static void take_over(porch_broker_shard *b, const porch_registry_entry *e, const char *client_id) {
    porch_session *old = porch_session_find(b, e->kind, e->name, client_id);
    if (old == NULL) return;
    old->taken_over = true;
    porch_broker_count(&b->counts.taken_over, 1);
    porch_session_disconnect(old, PORCH_MQTT_RC_SESSION_TAKEN_OVER,
                             "another connection took the session over");
    if (old->conn != NULL) porch_conn_cut(old->conn);
}

static porch_taken open_session(porch_broker_shard *b, porch_conn *c, const porch_mqtt_connect *in,
                                const porch_registry_entry *e, const char *client_id) {
    take_over(b, e, client_id);
    porch_session *s = porch_session_new(b, c, e, client_id);
    if (s == NULL)
        return refuse(b, c, in, in->version,
                      in->version == PORCH_MQTT_V5 ? PORCH_MQTT_RC_QUOTA_EXCEEDED
                                                   : PORCH_MQTT_RC_SERVER_UNAVAILABLE,
                      "too many sessions of one principal (broker.sessions), or no memory");
    uint16_t server_keep_alive;
    agree(s, in, &server_keep_alive);
    porch_broker_count(&b->counts.connects, 1);
    welcome(s, in, server_keep_alive);
    if (s->conn == NULL) return PORCH_TAKEN;
    porch_session_arm(s);
    if (e->kind == PORCH_IDENTITY_DEVICE && b->broker->config.registry != NULL)
        porch_registry_seen(b->broker->config.registry, e->name, true, porch_clock_ms());
    if (porch_shard_may_log(b->shard))
        porch_log(PORCH_LOG_INFO, "mqtt.connected", porch_identity_kind_text(e->kind), e->name, "client",
                  client_id, "address", s->address, "version",
                  in->version == PORCH_MQTT_V5 ? "5.0" : "3.1.1", NULL);
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
        snprintf(why, sizeof why, "certificate refused: %s", porch_why_text(&reason, e));
        return refuse(b, c, &in, in.version, PORCH_MQTT_RC_NOT_AUTHORIZED, why);
    }
    if (!client_id_of(b, &entry, &in, client_id))
        return refuse(
            b, c, &in, in.version, PORCH_MQTT_RC_CLIENT_ID_INVALID,
            "the client identifier is not this principal's: a device uses its id, a service its name or "
            "name/...");
    uint8_t code;
    const char *sentence;
    if (!offered(&in, &code, &sentence)) return refuse(b, c, &in, in.version, code, sentence);
    unsigned home = (unsigned)(porch_session_hash(b->broker, entry.kind, entry.name, client_id) %
                               porch_shard_count(b->shard));
    if (home != b->index) {
        porch_conn_move(c, home);
        return PORCH_STALL;
    }
    return open_session(b, c, &in, &entry, client_id);
}
