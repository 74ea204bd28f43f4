#include "cloud/broker/note.h"

#include "cloud/broker/broker.h"
#include "crypto/identity.h"

/* The first byte of each word. */
typedef enum {
    NOTE_SESSION = 1,
    NOTE_ENDED,
    NOTE_DROP,
    NOTE_WILL_SPOKEN,
    NOTE_CURSOR,
    NOTE_SUBSCRIBE,
    NOTE_UNSUBSCRIBE,
    NOTE_RECEIVED,
    NOTE_RECEIVED_DONE,
    NOTE_FLIGHT,
    NOTE_FLIGHT_RELEASED,
    NOTE_FLIGHT_DONE,
    NOTE_RETAIN,
    NOTE_RETAIN_EXPIRED,
    NOTE_SHARE,
    NOTE_SHARE_DROP,
    NOTE_COUNT
} word;

/* ---- writing ---- */

/* Nothing of a word that does not fit stays. */
static porch_err whole(porch_buf *b, size_t start, porch_err e) {
    if (e != PORCH_OK) b->len = start;
    return e;
}

static porch_err begin(porch_buf *b, word w, uint64_t number) {
    PORCH_TRY(porch_write_u8(b, (uint8_t)w));
    return porch_write_u64(b, number);
}

static porch_err session_words(porch_buf *b, const porch_note_session *s) {
    PORCH_TRY(begin(b, NOTE_SESSION, s->number));
    PORCH_TRY(porch_write_u8(b, s->kind));
    PORCH_TRY(porch_write_block16(b, s->name));
    PORCH_TRY(porch_write_block16(b, s->client_id));
    PORCH_TRY(porch_write_u8(b, s->version));
    PORCH_TRY(porch_write_u32(b, s->expiry_s));
    PORCH_TRY(porch_write_u64(b, s->ended_ms));
    PORCH_TRY(porch_write_u64(b, s->cursor));
    PORCH_TRY(porch_write_u8(b, s->has_will));
    if (!s->has_will) return PORCH_OK;
    PORCH_TRY(porch_write_u8(b, s->will_qos));
    PORCH_TRY(porch_write_u8(b, s->will_retain));
    PORCH_TRY(porch_write_u32(b, s->will_delay_s));
    PORCH_TRY(porch_write_block16(b, s->will_topic));
    PORCH_TRY(porch_write_block32(b, s->will_properties));
    return porch_write_block32(b, s->will_payload);
}

porch_err porch_note_session_put(porch_buf *b, const porch_note_session *s) {
    size_t start = b->len;
    return whole(b, start, session_words(b, s));
}

static porch_err ended_words(porch_buf *b, uint64_t number, uint64_t ended_ms, uint32_t expiry_s,
                             bool keeps_will) {
    PORCH_TRY(begin(b, NOTE_ENDED, number));
    PORCH_TRY(porch_write_u64(b, ended_ms));
    PORCH_TRY(porch_write_u32(b, expiry_s));
    return porch_write_u8(b, keeps_will);
}

porch_err porch_note_session_ended(porch_buf *b, uint64_t number, uint64_t ended_ms, uint32_t expiry_s,
                                   bool keeps_will) {
    size_t start = b->len;
    return whole(b, start, ended_words(b, number, ended_ms, expiry_s, keeps_will));
}

porch_err porch_note_session_drop(porch_buf *b, uint64_t number) {
    size_t start = b->len;
    return whole(b, start, begin(b, NOTE_DROP, number));
}

porch_err porch_note_will_spoken(porch_buf *b, uint64_t number) {
    size_t start = b->len;
    return whole(b, start, begin(b, NOTE_WILL_SPOKEN, number));
}

static porch_err with_u64(porch_buf *b, word w, uint64_t number, uint64_t value) {
    size_t start = b->len;
    porch_err e = begin(b, w, number);
    if (e == PORCH_OK) e = porch_write_u64(b, value);
    return whole(b, start, e);
}

porch_err porch_note_cursor(porch_buf *b, uint64_t number, uint64_t cursor) {
    return with_u64(b, NOTE_CURSOR, number, cursor);
}

static porch_err subscribe_words(porch_buf *b, uint64_t number, porch_bytes filter, uint8_t options,
                                 uint32_t identifier) {
    PORCH_TRY(begin(b, NOTE_SUBSCRIBE, number));
    PORCH_TRY(porch_write_block16(b, filter));
    PORCH_TRY(porch_write_u8(b, options));
    return porch_write_u32(b, identifier);
}

porch_err porch_note_subscribe(porch_buf *b, uint64_t number, porch_bytes filter, uint8_t options,
                               uint32_t identifier) {
    size_t start = b->len;
    return whole(b, start, subscribe_words(b, number, filter, options, identifier));
}

static porch_err with_text(porch_buf *b, word w, uint64_t number, porch_bytes text) {
    size_t start = b->len;
    porch_err e = begin(b, w, number);
    if (e == PORCH_OK) e = porch_write_block16(b, text);
    return whole(b, start, e);
}

porch_err porch_note_unsubscribe(porch_buf *b, uint64_t number, porch_bytes filter) {
    return with_text(b, NOTE_UNSUBSCRIBE, number, filter);
}
porch_err porch_note_retain_expired(porch_buf *b, porch_bytes topic, uint64_t seq) {
    return with_text(b, NOTE_RETAIN_EXPIRED, seq, topic);
}
porch_err porch_note_share(porch_buf *b, porch_bytes filter, uint64_t cursor) {
    return with_text(b, NOTE_SHARE, cursor, filter);
}
porch_err porch_note_share_drop(porch_buf *b, porch_bytes filter) {
    return with_text(b, NOTE_SHARE_DROP, 0, filter);
}
porch_err porch_note_received(porch_buf *b, uint64_t number, uint16_t packet_id) {
    return with_u64(b, NOTE_RECEIVED, number, packet_id);
}
porch_err porch_note_received_done(porch_buf *b, uint64_t number, uint16_t packet_id) {
    return with_u64(b, NOTE_RECEIVED_DONE, number, packet_id);
}

porch_err porch_note_flight(porch_buf *b, uint64_t number, int64_t row, uint16_t packet_id) {
    size_t start = b->len;
    porch_err e = with_u64(b, NOTE_FLIGHT, number, (uint64_t)row);
    if (e == PORCH_OK) e = porch_write_u16(b, packet_id);
    return whole(b, start, e);
}
porch_err porch_note_flight_released(porch_buf *b, uint64_t number, int64_t row) {
    return with_u64(b, NOTE_FLIGHT_RELEASED, number, (uint64_t)row);
}
porch_err porch_note_flight_done(porch_buf *b, uint64_t number, int64_t row) {
    return with_u64(b, NOTE_FLIGHT_DONE, number, (uint64_t)row);
}
porch_err porch_note_retain(porch_buf *b) {
    size_t start = b->len;
    return whole(b, start, begin(b, NOTE_RETAIN, 0));
}

/* ---- applying: on the store's thread ---- */

typedef struct {
    porch_db *db;
    const porch_store_message *m;
    uint64_t seq;
    uint64_t number; /* the word's first field */
    porch_reader r;
    porch_why *why;
} page;

/* A statement about the word's session with up to two more whole numbers. */
static porch_err run(page *p, const char *sql, int count, uint64_t a, uint64_t b) {
    porch_db_query *q = porch_db_prepare(p->db, sql, p->why);
    porch_db_bind_i64(q, 1, (int64_t)p->number);
    if (count > 1) porch_db_bind_i64(q, 2, (int64_t)a);
    if (count > 2) porch_db_bind_i64(q, 3, (int64_t)b);
    return porch_db_execute(q, p->why);
}

static porch_err read_session(page *p, porch_note_session *s) {
    uint8_t flag = 0;
    s->number = p->number;
    PORCH_TRY(porch_read_u8(&p->r, &s->kind));
    PORCH_TRY(porch_read_block16(&p->r, &s->name));
    PORCH_TRY(porch_read_block16(&p->r, &s->client_id));
    PORCH_TRY(porch_read_u8(&p->r, &s->version));
    PORCH_TRY(porch_read_u32(&p->r, &s->expiry_s));
    PORCH_TRY(porch_read_u64(&p->r, &s->ended_ms));
    PORCH_TRY(porch_read_u64(&p->r, &s->cursor));
    PORCH_TRY(porch_read_u8(&p->r, &flag));
    s->has_will = flag != 0;
    if (!s->has_will) return PORCH_OK;
    PORCH_TRY(porch_read_u8(&p->r, &s->will_qos));
    PORCH_TRY(porch_read_u8(&p->r, &flag));
    s->will_retain = flag != 0;
    PORCH_TRY(porch_read_u32(&p->r, &s->will_delay_s));
    PORCH_TRY(porch_read_block16(&p->r, &s->will_topic));
    PORCH_TRY(porch_read_block32(&p->r, &s->will_properties));
    return porch_read_block32(&p->r, &s->will_payload);
}

/* One principal has one session of a name: whatever was there under another number is over. */
static porch_err drop_others(page *p, const porch_note_session *s) {
    porch_db_query *q = porch_db_prepare(
        p->db, "delete from mqtt_session where kind = ?1 and name = ?2 and client_id = ?3 and id != ?4",
        p->why);
    porch_db_bind_str(q, 1, porch_identity_kind_text((porch_identity_kind)s->kind));
    porch_db_bind_text(q, 2, s->name);
    porch_db_bind_text(q, 3, s->client_id);
    porch_db_bind_i64(q, 4, (int64_t)s->number);
    return porch_db_execute(q, p->why);
}

static porch_err apply_session(page *p) {
    porch_note_session s = {.has_will = false};
    PORCH_TRY(read_session(p, &s));
    PORCH_TRY(drop_others(p, &s));
    porch_db_query *q = porch_db_prepare(
        p->db,
        "insert into mqtt_session (id, kind, name, client_id, version, expiry_s, ended_ms, cursor, "
        "will_topic, "
        "will_properties, will_payload, will_qos, will_retain, will_delay_s) "
        "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) "
        "on conflict (id) do update set version = ?5, expiry_s = ?6, ended_ms = ?7, will_topic = ?9, "
        "will_properties = ?10, will_payload = ?11, will_qos = ?12, will_retain = ?13, will_delay_s = ?14",
        p->why);
    porch_db_bind_i64(q, 1, (int64_t)s.number);
    porch_db_bind_str(q, 2, porch_identity_kind_text((porch_identity_kind)s.kind));
    porch_db_bind_text(q, 3, s.name);
    porch_db_bind_text(q, 4, s.client_id);
    porch_db_bind_i64(q, 5, s.version);
    porch_db_bind_i64(q, 6, s.expiry_s);
    porch_db_bind_i64(q, 7, (int64_t)s.ended_ms);
    porch_db_bind_i64(q, 8, (int64_t)s.cursor);
    if (s.has_will) {
        porch_db_bind_text(q, 9, s.will_topic);
        porch_db_bind_blob(q, 10, s.will_properties);
        porch_db_bind_blob(q, 11, s.will_payload);
    } else {
        porch_db_bind_null(q, 9);
        porch_db_bind_null(q, 10);
        porch_db_bind_null(q, 11);
    }
    porch_db_bind_i64(q, 12, s.will_qos);
    porch_db_bind_i64(q, 13, s.will_retain);
    porch_db_bind_i64(q, 14, s.will_delay_s);
    return porch_db_execute(q, p->why);
}

static porch_err apply_will_spoken(page *p) {
    return run(p, "update mqtt_session set will_topic = null where id = ?1", 1, 0, 0);
}

static porch_err apply_ended(page *p) {
    uint64_t ended = 0;
    uint32_t expiry = 0;
    uint8_t keeps_will = 0;
    PORCH_TRY(porch_read_u64(&p->r, &ended));
    PORCH_TRY(porch_read_u32(&p->r, &expiry));
    PORCH_TRY(porch_read_u8(&p->r, &keeps_will));
    PORCH_TRY(
        run(p, "update mqtt_session set ended_ms = ?2, expiry_s = ?3 where id = ?1", 3, ended, expiry));
    return keeps_will ? PORCH_OK : apply_will_spoken(p);
}

static porch_err apply_drop(page *p) {
    return run(p, "delete from mqtt_session where id = ?1", 1, 0, 0);
}

static porch_err apply_cursor(page *p) {
    uint64_t cursor = 0;
    PORCH_TRY(porch_read_u64(&p->r, &cursor));
    PORCH_TRY(run(p, "update mqtt_session set cursor = ?2 where id = ?1", 2, cursor, 0));
    return run(p, "delete from mqtt_flight where session = ?1 and seq > 0 and seq <= ?2", 2, cursor, 0);
}

static porch_err apply_subscribe(page *p) {
    porch_bytes filter = {NULL, 0};
    uint8_t options = 0;
    uint32_t identifier = 0;
    PORCH_TRY(porch_read_block16(&p->r, &filter));
    PORCH_TRY(porch_read_u8(&p->r, &options));
    PORCH_TRY(porch_read_u32(&p->r, &identifier));
    porch_db_query *q = porch_db_prepare(
        p->db,
        "insert into mqtt_subscription (session, filter, options, identifier, since) "
        "select ?1, ?2, ?3, ?4, ?5 where exists (select 1 from mqtt_session where id = ?1) "
        "on conflict (session, filter) do update set options = ?3, identifier = ?4",
        p->why);
    porch_db_bind_i64(q, 1, (int64_t)p->number);
    porch_db_bind_text(q, 2, filter);
    porch_db_bind_i64(q, 3, options);
    porch_db_bind_i64(q, 4, identifier);
    porch_db_bind_i64(q, 5, (int64_t)p->seq);
    PORCH_TRY(porch_db_execute(q, p->why));
    if (!porch_bytes_starts(filter, PORCH_LIT("$share/"))) return PORCH_OK;
    q = porch_db_prepare(p->db, "insert or ignore into mqtt_share (filter, cursor) values (?1, ?2)",
                         p->why);
    porch_db_bind_text(q, 1, filter);
    porch_db_bind_i64(q, 2, (int64_t)p->seq);
    return porch_db_execute(q, p->why);
}

static porch_err with_filter_or_topic(page *p, const char *sql) {
    porch_bytes text = {NULL, 0};
    PORCH_TRY(porch_read_block16(&p->r, &text));
    porch_db_query *q = porch_db_prepare(p->db, sql, p->why);
    porch_db_bind_i64(q, 1, (int64_t)p->number);
    porch_db_bind_text(q, 2, text);
    return porch_db_execute(q, p->why);
}

static porch_err apply_unsubscribe(page *p) {
    return with_filter_or_topic(p, "delete from mqtt_subscription where session = ?1 and filter = ?2");
}
static porch_err apply_retain_expired(page *p) {
    return with_filter_or_topic(p, "delete from mqtt_retained where seq = ?1 and topic = ?2");
}
static porch_err apply_share(page *p) {
    return with_filter_or_topic(p, "insert into mqtt_share (cursor, filter) values (?1, ?2) "
                                   "on conflict (filter) do update set cursor = ?1");
}
static porch_err apply_share_drop(page *p) {
    return with_filter_or_topic(p, "delete from mqtt_share where ?1 = 0 and filter = ?2");
}

static porch_err with_value(page *p, const char *sql) {
    uint64_t value = 0;
    PORCH_TRY(porch_read_u64(&p->r, &value));
    return run(p, sql, 2, value, 0);
}

/* A session that was dropped meanwhile takes nothing any more. */
static porch_err apply_received(page *p) {
    return with_value(p, "insert or replace into mqtt_received (session, packet_id) "
                         "select ?1, ?2 where exists (select 1 from mqtt_session where id = ?1)");
}
static porch_err apply_received_done(page *p) {
    return with_value(p, "delete from mqtt_received where session = ?1 and packet_id = ?2");
}
static porch_err apply_flight(page *p) {
    uint64_t row = 0;
    uint16_t packet_id = 0;
    PORCH_TRY(porch_read_u64(&p->r, &row));
    PORCH_TRY(porch_read_u16(&p->r, &packet_id));
    return run(p,
               "insert or replace into mqtt_flight (session, seq, packet_id, state) "
               "select ?1, ?2, ?3, 1 where exists (select 1 from mqtt_session where id = ?1)",
               3, row, packet_id);
}
static porch_err apply_flight_released(page *p) {
    return with_value(p, "update mqtt_flight set state = 2 where session = ?1 and seq = ?2");
}
static porch_err apply_flight_done(page *p) {
    uint64_t row = 0;
    PORCH_TRY(porch_read_u64(&p->r, &row));
    return run(p,
               (int64_t)row < 0 ? "delete from mqtt_flight where session = ?1 and seq = ?2"
                                : "update mqtt_flight set state = 3 where session = ?1 and seq = ?2",
               2, row, 0);
}

static porch_err apply_retain(page *p) {
    const porch_store_message *m = p->m;
    bool clears = m->payload.len == 0;
    porch_db_query *q = porch_db_prepare(
        p->db,
        clears
            ? "delete from mqtt_retained where topic = ?1"
            : "insert or replace into mqtt_retained (topic, seq, at_ms, qos, origin, properties, payload) "
              "values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        p->why);
    porch_db_bind_text(q, 1, m->topic);
    if (!clears) {
        porch_db_bind_i64(q, 2, (int64_t)p->seq);
        porch_db_bind_i64(q, 3, (int64_t)m->at_ms);
        porch_db_bind_i64(q, 4, m->qos);
        porch_db_bind_i64(q, 5, (int64_t)m->origin);
        porch_db_bind_blob(q, 6, m->properties);
        porch_db_bind_blob(q, 7, m->payload);
    }
    return porch_db_execute(q, p->why);
}

static porch_err below_device(porch_db *db, const char *sql, const char *device, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, sql, why);
    porch_db_bind_str(q, 1, device);
    return porch_db_execute(q, why);
}

/* '0' stands behind '/': what lies between the two is below. A message that no session waits for stays as
 * long as the settings keep messages, as history; it is looked for where some session has yet to read. */
porch_err porch_broker_forget_rows(porch_db *db, const char *device, porch_why *why) {
    static const char *const sql[] = {
        "delete from mqtt_retained where topic >= 'd/' || ?1 || '/' and topic < 'd/' || ?1 || '0'",
        "delete from mqtt_retained where topic = 'd/' || ?1",
        "update message set flags = flags & ~1 where seq > (select min(cursor) from (select cursor from "
        "mqtt_session union all select cursor from mqtt_share)) and (flags & 1) != 0 and (topic = 'd/' || "
        "?1 or (topic >= 'd/' || ?1 || '/' and topic < 'd/' || ?1 || '0'))",
        "delete from mqtt_session where kind = 'device' and name = ?1",
    };
    for (size_t i = 0; i < sizeof sql / sizeof sql[0]; i++)
        PORCH_TRY(below_device(db, sql[i], device, why));
    return PORCH_OK;
}

static porch_err (*const appliers[NOTE_COUNT])(page *) = {
    [NOTE_SESSION] = apply_session,
    [NOTE_ENDED] = apply_ended,
    [NOTE_DROP] = apply_drop,
    [NOTE_WILL_SPOKEN] = apply_will_spoken,
    [NOTE_CURSOR] = apply_cursor,
    [NOTE_SUBSCRIBE] = apply_subscribe,
    [NOTE_UNSUBSCRIBE] = apply_unsubscribe,
    [NOTE_RECEIVED] = apply_received,
    [NOTE_RECEIVED_DONE] = apply_received_done,
    [NOTE_FLIGHT] = apply_flight,
    [NOTE_FLIGHT_RELEASED] = apply_flight_released,
    [NOTE_FLIGHT_DONE] = apply_flight_done,
    [NOTE_RETAIN] = apply_retain,
    [NOTE_RETAIN_EXPIRED] = apply_retain_expired,
    [NOTE_SHARE] = apply_share,
    [NOTE_SHARE_DROP] = apply_share_drop,
};

porch_err porch_note_apply(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                           porch_why *why) {
    page p = {db, m, seq, 0, porch_reader_of(m->note), why};
    (void)ctx;
    while (!porch_reader_done(&p.r)) {
        uint8_t w = 0;
        PORCH_TRY(porch_read_u8(&p.r, &w));
        PORCH_TRY(porch_read_u64(&p.r, &p.number));
        if (w >= NOTE_COUNT || appliers[w] == NULL)
            return porch_fail(why, PORCH_ERR_INTERNAL, "a note of an unknown kind");
        PORCH_TRY(appliers[w](&p));
    }
    return PORCH_OK;
}
