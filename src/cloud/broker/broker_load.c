/* What a shard reads from the store before it serves: its lasting sessions with all that belongs to them,
 * the messages that they have not had yet, and everything retained.
 *
 *   mqtt_session ─► mqtt_subscription, mqtt_received, mqtt_flight ─► message after the least cursor, in
 * order, each subscription taking part from its own number on ─► queues ─► mqtt_retained
 *
 * It runs before the shard's thread does, and no shard serves before all have loaded. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/clock.h"
#include "os/log.h"

typedef struct {
    porch_session *session;
    char *filter; /* a pool block */
    size_t len;
    uint64_t since;
    uint32_t identifier;
    uint8_t options;
} joining;

/* A QoS 2 delivery that had begun. */
typedef struct {
    porch_session *session;
    int64_t row; /* a message's number, or below 0: see porch_flying_row */
    uint16_t packet_id;
    uint8_t state; /* as in mqtt_flight */
} begun;

typedef struct {
    porch_broker_shard *b;
    unsigned shards;
    uint64_t now_ms, mono_ms; /* wall, monotonic */
    joining *joinings;        /* by `since` */
    size_t joining_count, joined;
    begun *begun; /* by `row` */
    size_t begun_count;
    porch_session *session; /* whose rows are being read */
    porch_why *why;
} loading;

/* Calls fn for each row of a query, which is then finished. */
static porch_err each(loading *l, porch_db_query *q, porch_err (*fn)(loading *, porch_db_query *)) {
    porch_err e;
    while ((e = porch_db_step(q, l->why)) == PORCH_OK && (e = fn(l, q)) == PORCH_OK) {
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* One more row at the end of an array of `count`. */
static void *grow(void *array, size_t count, size_t size) {
    if (count > 0 && (count & (count - 1)) != 0) return array;
    return realloc(array, (count == 0 ? 1 : 2 * count) * size);
}

static porch_err no_memory(const loading *l) {
    return porch_fail(l->why, PORCH_ERR_IO, "no memory for the sessions that hub.db keeps");
}

/* ---- sessions ---- */

/* Who it belongs to, as the registry knows it now. False: nobody any more. */
static bool entry_of(const loading *l, porch_identity_kind kind, porch_bytes name,
                     porch_registry_entry *ret) {
    porch_registry *registry = l->b->broker->config.registry;
    memset(ret, 0, sizeof *ret);
    ret->kind = kind;
    if (!porch_bytes_to_text(name, ret->name, sizeof ret->name)) return false;
    if (registry == NULL) return true;
    if (kind == PORCH_IDENTITY_DEVICE) {
        porch_registry_device d;
        if (porch_registry_device_get(registry, ret->name, &d) != PORCH_OK || d.revoked_ms != 0)
            return false;
        memcpy(ret->product, d.product, sizeof ret->product);
        memcpy(ret->household, d.household, sizeof ret->household);
        ret->quarantined = d.quarantined_ms != 0;
        return true;
    }
    porch_registry_service v;
    if (porch_registry_service_get(registry, ret->name, &v) != PORCH_OK) return false;
    ret->any_client_id = v.any_client_id;
    return true;
}

/* Encoded properties, judged again as they leave the disk. */
static porch_mqtt_properties judge(porch_bytes raw, unsigned packet) {
    porch_mqtt_properties p = {{NULL, 0}, 0};
    (void)porch_mqtt_properties_of(raw, packet, NULL, &p);
    return p;
}

static void load_will(porch_session *s, porch_db_query *q, uint64_t mono_ms) {
    if (porch_db_is_null(q, 8)) return;
    porch_mqtt_properties properties = judge(porch_db_blob(q, 9), PORCH_MQTT_PUBLISH);
    s->will.message = porch_message_new(s->home->pool, porch_db_text(q, 8), &properties,
                                        porch_db_blob(q, 10), (uint8_t)porch_db_i64(q, 11), mono_ms);
    if (s->will.message == NULL) return;
    s->will.message->retain = porch_db_i64(q, 12) != 0;
    s->will.delay_s = (uint32_t)porch_db_i64(q, 13);
}

/* Its client was connected when the hub went down (ended_ms 0), or has been away since. A will is not
 * spoken before the client has had the time to come back (broker.will_grace_s). */
static void set_times(const loading *l, porch_session *s, uint64_t ended_ms) {
    s->ended_ms = ended_ms == 0 ? l->now_ms : ended_ms;
    uint64_t away_ms = l->now_ms > s->ended_ms ? l->now_ms - s->ended_ms : 0;
    uint64_t life_ms = (uint64_t)s->expiry_s * 1000;
    uint64_t left_ms = life_ms > away_ms ? life_ms - away_ms : 0;
    if (s->will.message != NULL) {
        uint64_t delay_ms = (uint64_t)s->will.delay_s * 1000;
        uint64_t grace_ms = (uint64_t)s->home->broker->settings.broker_will_grace_s * 1000;
        delay_ms = delay_ms > away_ms ? delay_ms - away_ms : 0;
        s->will_due_ms = l->mono_ms + (delay_ms > grace_ms ? delay_ms : grace_ms);
        if (left_ms < grace_ms) left_ms = grace_ms; /* the will is its last act */
    }
    s->expires_ms = s->expiry_s == UINT32_MAX ? UINT64_MAX : l->mono_ms + left_ms;
    porch_session_set_deadline(s);
}

static void forget(porch_broker_shard *b, uint64_t number, const char *client_id, const char *reason) {
    uint8_t text[PORCH_NOTE_BYTES];
    porch_buf note = PORCH_BUF_OF(text);
    porch_log(PORCH_LOG_WARN, "mqtt.session_dropped", "client", client_id, "reason", reason, NULL);
    if (porch_note_session_drop(&note, number) != PORCH_OK) return;
    porch_store_message m = {.flags = PORCH_STORE_NOTE, .note = porch_buf_bytes(&note)};
    (void)porch_broker_write(b, &m, NULL, NULL); /* else it is found again at the next start */
}

static porch_err load_session(loading *l, porch_db_query *q) {
    porch_broker_shard *b = l->b;
    char client_id[PORCH_BROKER_CLIENT_ID_BYTES];
    porch_registry_entry entry;
    uint64_t number = (uint64_t)porch_db_i64(q, 0);
    bool device = porch_bytes_eq_text(porch_db_text(q, 1), "device");
    if (number > atomic_load(&b->broker->numbers)) atomic_store(&b->broker->numbers, number);
    if (!porch_bytes_to_text(porch_db_text(q, 3), client_id, sizeof client_id)) return PORCH_OK;
    bool known =
        entry_of(l, device ? PORCH_IDENTITY_DEVICE : PORCH_IDENTITY_SERVICE, porch_db_text(q, 2), &entry);
    if (porch_session_hash(b->broker, entry.kind, entry.name, client_id) % l->shards != b->index)
        return PORCH_OK;
    porch_session *s = known ? porch_session_new(b, &entry, client_id) : NULL;
    if (s == NULL) {
        forget(b, number, client_id,
               known ? "too many sessions (broker.sessions), or no memory" : "its owner is gone");
        return PORCH_OK;
    }
    s->number = number;
    s->written = true;
    s->version = (porch_mqtt_version)porch_db_i64(q, 4);
    s->expiry_s = (uint32_t)porch_db_i64(q, 5);
    s->cursor_saved = (uint64_t)porch_db_i64(q, 7);
    s->cursor_saved_ms = l->mono_ms;
    s->packet_most = PORCH_MQTT_VARINT_MOST;
    s->window_most = (uint16_t)b->broker->settings.broker_inflight;
    load_will(s, q, l->mono_ms);
    set_times(l, s, (uint64_t)porch_db_i64(q, 6));
    if (porch_session_lasts(s)) porch_session_begin_lasting(s);
    return PORCH_OK;
}

static porch_err load_sessions(loading *l, porch_db *db) {
    return each(l,
                porch_db_prepare(db,
                                 "select id, kind, name, client_id, version, expiry_s, ended_ms, cursor, "
                                 "will_topic, will_properties, will_payload, will_qos, will_retain, "
                                 "will_delay_s from mqtt_session order by id",
                                 l->why),
                load_session);
}

/* ---- what belongs to a session ---- */

static porch_err load_subscription(loading *l, porch_db_query *q) {
    porch_bytes filter = porch_db_text(q, 0);
    joining *wider = grow(l->joinings, l->joining_count, sizeof *wider);
    char *text = porch_pool_take(l->b->pool, filter.len + 1);
    if (wider != NULL) l->joinings = wider;
    if (wider == NULL || text == NULL) {
        porch_pool_give(l->b->pool, text);
        return no_memory(l);
    }
    memcpy(text, filter.at, filter.len);
    text[filter.len] = 0;
    l->joinings[l->joining_count++] = (joining){.session = l->session,
                                                .filter = text,
                                                .len = filter.len,
                                                .options = (uint8_t)porch_db_i64(q, 1),
                                                .identifier = (uint32_t)porch_db_i64(q, 2),
                                                .since = (uint64_t)porch_db_i64(q, 3)};
    return PORCH_OK;
}

static porch_err load_received(loading *l, porch_db_query *q) {
    porch_received_one *one =
        porch_received_put(&l->session->received, l->b->pool, (uint16_t)porch_db_i64(q, 0));
    if (one == NULL) return no_memory(l);
    one->state = PORCH_RECEIVED_KEPT;
    return PORCH_OK;
}

static porch_err load_begun(loading *l, porch_db_query *q) {
    begun *wider = grow(l->begun, l->begun_count, sizeof *wider);
    if (wider == NULL) return no_memory(l);
    l->begun = wider;
    l->begun[l->begun_count++] = (begun){.session = l->session,
                                         .row = porch_db_i64(q, 0),
                                         .packet_id = (uint16_t)porch_db_i64(q, 1),
                                         .state = (uint8_t)porch_db_i64(q, 2)};
    return PORCH_OK;
}

static porch_err of_session(loading *l, porch_db *db, const char *sql,
                            porch_err (*fn)(loading *, porch_db_query *)) {
    porch_db_query *q = porch_db_prepare(db, sql, l->why);
    porch_db_bind_i64(q, 1, (int64_t)l->session->number);
    return each(l, q, fn);
}

static int by_since(const void *a, const void *b) {
    const joining *x = a, *y = b;
    return x->since < y->since ? -1 : x->since > y->since;
}

static int by_row(const void *a, const void *b) {
    const begun *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static porch_err load_belongings(loading *l, porch_db *db) {
    for (size_t i = 0; i < l->b->bucket_count; i++) {
        for (porch_session *s = l->b->buckets[i]; s != NULL; s = s->chain) {
            l->session = s;
            PORCH_TRY(of_session(l, db,
                                 "select filter, options, identifier, since from mqtt_subscription "
                                 "where session = ?1",
                                 load_subscription));
            PORCH_TRY(
                of_session(l, db, "select packet_id from mqtt_received where session = ?1", load_received));
            PORCH_TRY(of_session(l, db, "select seq, packet_id, state from mqtt_flight where session = ?1",
                                 load_begun));
        }
    }
    if (l->joining_count > 1) qsort(l->joinings, l->joining_count, sizeof *l->joinings, by_since);
    if (l->begun_count > 1) qsort(l->begun, l->begun_count, sizeof *l->begun, by_row);
    return PORCH_OK;
}

/* ---- messages ---- */

static porch_err join_until(loading *l, uint64_t seq) {
    while (l->joined < l->joining_count && l->joinings[l->joined].since < seq) {
        const joining *j = &l->joinings[l->joined++];
        porch_bytes text = {(const uint8_t *)j->filter, j->len}, group;
        porch_topic_filter filter;
        if (porch_mqtt_share_parse(text, NULL, &group, &filter) != PORCH_OK) continue;
        if (group.len > 0 && (j->options & 3) == 0) continue; /* no member that lasts */
        if (porch_session_subscribe(j->session, text, group, filter, j->options, j->identifier) == NULL)
            return no_memory(l);
    }
    return PORCH_OK;
}

/* Moves what the message brought from the queues to the flights where the client has seen it before. */
static void resume_begun(loading *l, uint64_t seq) {
    size_t low = 0, high = l->begun_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (l->begun[middle].row < (int64_t)seq)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < l->begun_count && l->begun[low].row == (int64_t)seq; low++)
        porch_session_resume_flight(l->begun[low].session, seq, l->begun[low].packet_id,
                                    l->begun[low].state);
}

/* What of it was not sent again with its message. */
static porch_err release_begun(const loading *l) {
    for (size_t i = 0; i < l->begun_count; i++) {
        const begun *one = &l->begun[i];
        if (!porch_session_resume_release(one->session, one->row, one->packet_id, one->state))
            return no_memory(l);
    }
    return PORCH_OK;
}

static porch_message *message_of(const loading *l, porch_db_query *q) {
    porch_mqtt_properties properties = judge(porch_db_blob(q, 5), PORCH_MQTT_PUBLISH);
    porch_message *m = porch_message_new(l->b->pool, porch_db_text(q, 2), &properties, porch_db_blob(q, 4),
                                         (uint8_t)porch_db_i64(q, 3), 0);
    if (m == NULL) return NULL;
    m->seq = (uint64_t)porch_db_i64(q, 0);
    m->taken_ms = (int64_t)l->mono_ms - ((int64_t)l->now_ms - porch_db_i64(q, 1));
    return m;
}

/* Whose session said it: no-local subscriptions do not hear it. */
static const porch_session *origin_of(const loading *l, uint64_t number) {
    for (const porch_session *s = number == 0 ? NULL : l->b->lasting; s != NULL; s = s->next_lasting)
        if (s->number == number) return s;
    return NULL;
}

static porch_err load_message(loading *l, porch_db_query *q) {
    PORCH_TRY(join_until(l, (uint64_t)porch_db_i64(q, 0)));
    porch_message *m = message_of(l, q);
    if (m == NULL) return no_memory(l);
    m->queued = true;
    m->retain = (porch_db_i64(q, 6) & PORCH_STORE_RETAIN) != 0;
    porch_broker_route_here(l->b, m, origin_of(l, (uint64_t)porch_db_i64(q, 7)));
    resume_begun(l, m->seq);
    porch_message_release(l->b->pool, m);
    return PORCH_OK;
}

static porch_err load_messages(loading *l, porch_db *db) {
    uint64_t least = porch_share_least_cursor(l->b, UINT64_MAX);
    for (const porch_session *s = l->b->lasting; s != NULL; s = s->next_lasting)
        if (s->cursor_saved < least) least = s->cursor_saved;
    if (least < UINT64_MAX) {
        porch_db_query *q = porch_db_prepare(
            db,
            "select seq, at_ms, topic, qos, payload, properties, flags, origin from message "
            "where seq > ?1 and (flags & 1) != 0 order by seq",
            l->why);
        porch_db_bind_i64(q, 1, (int64_t)least);
        PORCH_TRY(each(l, q, load_message));
    }
    return join_until(l, UINT64_MAX);
}

static porch_err load_retained_one(loading *l, porch_db_query *q) {
    porch_message *m = message_of(l, q);
    if (m == NULL) return no_memory(l);
    m->retain = true;
    porch_err e = porch_retained_set(l->b->retained, l->b->pool, m, m->seq);
    porch_message_release(l->b->pool, m);
    return e == PORCH_OK ? PORCH_OK : no_memory(l);
}

/* ---- the filters of all shards ---- */

static porch_err load_kept(loading *l, porch_db_query *q) {
    char name[PORCH_REGISTRY_NAME_BYTES], client_id[PORCH_BROKER_CLIENT_ID_BYTES];
    porch_bytes group;
    porch_topic_filter filter;
    if (!porch_bytes_to_text(porch_db_text(q, 1), name, sizeof name) ||
        !porch_bytes_to_text(porch_db_text(q, 2), client_id, sizeof client_id) ||
        porch_mqtt_share_parse(porch_db_text(q, 3), NULL, &group, &filter) != PORCH_OK)
        return PORCH_OK;
    bool device = porch_bytes_eq_text(porch_db_text(q, 0), "device");
    uint64_t hash = porch_session_hash(
        l->b->broker, device ? PORCH_IDENTITY_DEVICE : PORCH_IDENTITY_SERVICE, name, client_id);
    porch_broker_kept_here(l->b, (unsigned)(hash % l->shards), filter.text, 1);
    if (group.len == 0 || porch_share_id(l->b->broker, porch_db_text(q, 3)) % l->shards != l->b->index)
        return PORCH_OK;
    uint64_t cursor = porch_db_is_null(q, 4) ? l->b->settled : (uint64_t)porch_db_i64(q, 4);
    return porch_share_load_member(l->b, porch_db_text(q, 3), hash, cursor) ? PORCH_OK : no_memory(l);
}

/* ---- the whole ---- */

static porch_err load_all(porch_db *db, void *ctx, porch_why *why) {
    loading *l = ctx;
    l->why = why;
    PORCH_TRY(load_sessions(l, db));
    PORCH_TRY(load_belongings(l, db));
    PORCH_TRY(each(l,
                   porch_db_prepare(db,
                                    "select s.kind, s.name, s.client_id, u.filter, h.cursor "
                                    "from mqtt_subscription u join mqtt_session s on s.id = u.session "
                                    "left join mqtt_share h on h.filter = u.filter "
                                    "where s.expiry_s > 0 and (u.options & 3) > 0",
                                    why),
                   load_kept));
    PORCH_TRY(load_messages(l, db));
    PORCH_TRY(release_begun(l));
    return each(
        l,
        porch_db_prepare(db, "select seq, at_ms, topic, qos, payload, properties from mqtt_retained", why),
        load_retained_one);
}

porch_err porch_broker_load(porch_broker_shard *b, porch_why *why) {
    if (b->lane == NULL) return PORCH_OK;
    loading l = {.b = b,
                 .shards = porch_shard_count(b->shard),
                 .now_ms = porch_clock_ms(),
                 .mono_ms = porch_clock_mono_ms()};
    b->loading = true;
    b->settled = b->settled_next = porch_store_durable_seq(b->broker->config.store);
    atomic_store(&b->routed, b->settled);
    porch_err e = porch_store_read(b->broker->config.store, load_all, &l, why);
    b->loading = false;
    atomic_store(&b->retained_count, porch_retained_count(b->retained));
    for (size_t i = 0; i < l.joining_count; i++)
        porch_pool_give(b->pool, l.joinings[i].filter);
    free(l.joinings);
    free(l.begun);
    porch_shard_again(b->shard, 1); /* wills and expiries have their times; the first turn looks at them */
    return e;
}
