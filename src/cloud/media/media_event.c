/* Events are written by the store's writer thread in the transaction of their message; what is to be told
 * about them waits for the commit among the store's news. */
#include "cloud/media/media_event.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/media/media_room.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "wire/event_motion.h"

enum { REMEMBERED = 256 };

typedef struct {
    char uid[PORCH_MEDIA_UID];
    uint64_t durable_ms;
} remembered;

struct media_events {
    porch_media *media;
    porch_store_news *news; /* of porch_media_event */
    /* shared */
    pthread_mutex_t lock;
    remembered memory[REMEMBERED];
    size_t next;
};

void porch_media_event_uid(const char *device, porch_bytes device_event, char ret[PORCH_MEDIA_UID]) {
    uint8_t digest[PORCH_SHA256_BYTES];
    porch_buf text = {(uint8_t *)ret, 0, PORCH_MEDIA_UID - 1};
    porch_sha256_state *s = porch_sha256_new();
    porch_sha256_update(s, porch_bytes_of(device));
    porch_sha256_update(s, (porch_bytes){(const uint8_t *)"", 1});
    porch_sha256_update(s, device_event);
    porch_sha256_finish(s, digest);
    porch_sha256_free(s);
    (void)porch_hex_write(&text, (porch_bytes){digest, 16});
    ret[PORCH_MEDIA_UID - 1] = '\0';
}

bool porch_media_uid_good(const char *text) {
    for (size_t i = 0; i < PORCH_MEDIA_UID - 1; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
    }
    return text[PORCH_MEDIA_UID - 1] == '\0';
}

/* ---- one event into its row ---- */

/* A person may have been found before the event itself arrived: then the row says so from the start. */
static porch_err insert(porch_db *db, porch_media_event *event, porch_bytes thumbnail, bool *made,
                        porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into event (uid, device, product, household, device_event, kind, at_ms, received_ms, "
        "score, x, y, w, h, thumbnail, person) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
        "?13, ?14, exists (select 1 from person where event = ?1 and held_back = 0)) "
        "on conflict (uid) do nothing",
        why);
    porch_db_bind_str(q, 1, event->uid);
    porch_db_bind_str(q, 2, event->owner.device);
    porch_db_bind_str(q, 3, event->owner.product);
    porch_db_bind_str(q, 4, event->owner.household);
    porch_db_bind_str(q, 5, event->device_event);
    porch_db_bind_str(q, 6, event->kind);
    porch_db_bind_i64(q, 7, (int64_t)event->at_ms);
    porch_db_bind_i64(q, 8, (int64_t)event->received_ms);
    porch_db_bind_real(q, 9, event->score);
    porch_db_bind_real(q, 10, event->box.x);
    porch_db_bind_real(q, 11, event->box.y);
    porch_db_bind_real(q, 12, event->box.w);
    porch_db_bind_real(q, 13, event->box.h);
    if (thumbnail.len > 0) {
        porch_db_bind_blob(q, 14, thumbnail);
    } else {
        porch_db_bind_null(q, 14);
    }
    PORCH_TRY(porch_db_execute(q, why));
    *made = porch_db_changes(db) == 1;
    event->seq = (uint64_t)porch_db_last_id(db);
    return PORCH_OK;
}

static bool is_motion_topic(const porch_store_message *m) {
    static const char end[] = "/event/motion";
    size_t n = 2 + m->device.len + sizeof end - 1;
    return m->topic.len == n && memcmp(m->topic.at, "d/", 2) == 0 &&
           memcmp(m->topic.at + 2, m->device.at, m->device.len) == 0 &&
           memcmp(m->topic.at + 2 + m->device.len, end, sizeof end - 1) == 0;
}

/* Remembers which message carried the event. One that a person has deleted is emptied at once: *gone. */
static porch_err note_message(porch_db *db, const char *uid, uint64_t seq, bool *gone, porch_why *why) {
    PORCH_TRY(porch_media_is_deleted(db, uid, gone, why));
    porch_db_query *q =
        porch_db_prepare(db,
                         *gone ? "update message set payload = x'' where seq = ?1"
                               : "insert or ignore into event_message (seq, event) values (?1, ?2)",
                         why);
    porch_db_bind_i64(q, 1, (int64_t)seq);
    if (!*gone) porch_db_bind_str(q, 2, uid);
    return porch_db_execute(q, why);
}

static porch_err take_event(media_events *es, porch_db *db, const porch_store_message *m, uint64_t seq,
                            const porch_event_motion *motion, porch_why *why) {
    static _Thread_local uint8_t jpeg[PORCH_EVENT_THUMBNAIL_MOST];
    porch_media *media = es->media;
    porch_media_event event;
    porch_buf thumbnail = PORCH_BUF_OF(jpeg);
    char device[65];
    bool made = false, gone = false;
    memset(&event, 0, sizeof event);
    if (!porch_bytes_to_text(m->device, device, sizeof device)) return PORCH_ERR_MALFORMED;
    porch_err e = media->config.owner_of(media->config.owner_ctx, device, &event.owner);
    if (e != PORCH_OK) return porch_fail(why, PORCH_ERR_NOT_FOUND, "device %s is not registered", device);
    porch_media_event_uid(device, porch_id_bytes(&motion->id), event.uid);
    PORCH_TRY(note_message(db, event.uid, seq, &gone, why));
    if (gone) return PORCH_OK;
    memcpy(event.device_event, motion->id.text, sizeof event.device_event);
    memcpy(event.kind, "motion", sizeof "motion");
    event.at_ms = motion->at_ms;
    event.received_ms = m->at_ms;
    event.score = motion->score_e4 / 10000.0;
    event.box = (porch_media_box){motion->box_e4[0] / 10000.0, motion->box_e4[1] / 10000.0,
                                  motion->box_e4[2] / 10000.0, motion->box_e4[3] / 10000.0};
    if (motion->thumbnail.len > 0 && porch_base64_read(&thumbnail, motion->thumbnail, false) == PORCH_OK) {
        event.has_thumbnail = thumbnail.len > 0;
    }
    PORCH_TRY(insert(db, &event, porch_buf_bytes(&thumbnail), &made, why));
    if (made)
        (void)porch_store_news_add(es->news, &event); /* without memory: pages show it when they load */
    return PORCH_OK;
}

static porch_err on_message(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                            porch_why *why) {
    porch_event_motion motion;
    if (!is_motion_topic(m)) return PORCH_OK;
    PORCH_TRY(porch_event_motion_read(m->payload, &motion, why)); /* the store logs it */
    return take_event(ctx, db, m, seq, &motion, why);
}

static void tell(const void *word, void *ctx) {
    media_events *es = ctx;
    const porch_media_event *event = word;
    (void)pthread_mutex_lock(&es->lock);
    memcpy(es->memory[es->next].uid, event->uid, PORCH_MEDIA_UID);
    es->memory[es->next].durable_ms = porch_clock_ms();
    es->next = (es->next + 1) % REMEMBERED;
    (void)pthread_mutex_unlock(&es->lock);
    if (es->media->on_event != NULL) es->media->on_event(event, es->media->on_event_ctx);
}

uint64_t porch_media_events_durable_ms(media_events *es, const char *uid) {
    uint64_t ms = 0;
    (void)pthread_mutex_lock(&es->lock);
    for (size_t i = 0; i < REMEMBERED && ms == 0; i++) {
        if (strcmp(es->memory[i].uid, uid) == 0) ms = es->memory[i].durable_ms;
    }
    (void)pthread_mutex_unlock(&es->lock);
    return ms;
}

porch_err porch_media_events_open(porch_media *m, media_events **ret, porch_why *why) {
    media_events *es = calloc(1, sizeof *es);
    if (es == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for events");
    es->media = m;
    (void)pthread_mutex_init(&es->lock, NULL);
    porch_err e =
        porch_store_news_open(m->config.store, sizeof(porch_media_event), 0, tell, es, &es->news, why);
    if (e != PORCH_OK) {
        porch_media_events_close(es);
        return e;
    }
    porch_store_on_message(m->config.store, on_message, es);
    *ret = es;
    return PORCH_OK;
}

void porch_media_events_close(media_events *es) {
    if (es == NULL) return;
    (void)pthread_mutex_destroy(&es->lock);
    free(es);
}

/* ---- reading ---- */

#define CLIP_COLUMNS                                                                              \
    "c.id, c.event, c.device, c.product, c.household, c.state, c.bytes, c.sha256, c.created_ms, " \
    "c.first_byte_ms, c.complete_ms, c.analysis, c.indexed_bytes"
#define EVENT_SELECT "select " PORCH_MEDIA_EVENT_COLUMNS "from event e " PORCH_MEDIA_EVENT_JOINS
enum { EVENT_FIRST = 13 };

static void text_column(porch_db_query *q, int column, char *out, size_t cap) {
    (void)porch_bytes_to_text(porch_db_text(q, column), out, cap);
}

static uint64_t u64_column(porch_db_query *q, int column) {
    int64_t v = porch_db_i64(q, column);
    return v < 0 ? 0 : (uint64_t)v;
}

static porch_media_box box_columns(porch_db_query *q, int first) {
    return (porch_media_box){porch_db_real(q, first), porch_db_real(q, first + 1),
                             porch_db_real(q, first + 2), porch_db_real(q, first + 3)};
}

static void clip_columns(porch_db_query *q, porch_media_clip_info *c) {
    memset(c, 0, sizeof *c);
    text_column(q, 0, c->id, sizeof c->id);
    text_column(q, 1, c->event, sizeof c->event);
    text_column(q, 2, c->owner.device, sizeof c->owner.device);
    text_column(q, 3, c->owner.product, sizeof c->owner.product);
    text_column(q, 4, c->owner.household, sizeof c->owner.household);
    c->state = porch_db_i64(q, 5) == 1 ? PORCH_MEDIA_CLIP_COMPLETE : PORCH_MEDIA_CLIP_RECORDING;
    c->bytes = u64_column(q, 6);
    porch_bytes hash = porch_db_blob(q, 7);
    if (hash.len == sizeof c->sha256) memcpy(c->sha256, hash.at, hash.len);
    c->created_ms = u64_column(q, 8);
    c->first_byte_ms = u64_column(q, 9);
    c->complete_ms = u64_column(q, 10);
    int64_t analysis = porch_db_i64(q, 11);
    c->analysis = analysis == 1   ? PORCH_MEDIA_ANALYSIS_DONE
                  : analysis == 2 ? PORCH_MEDIA_ANALYSIS_FAILED
                                  : PORCH_MEDIA_ANALYSIS_WAITING;
    c->indexed_bytes = u64_column(q, 12);
}

void porch_media_event_row(porch_db_query *q, porch_media_event *e) {
    int at = EVENT_FIRST;
    memset(e, 0, sizeof *e);
    e->has_clip = !porch_db_is_null(q, 0);
    if (e->has_clip) clip_columns(q, &e->clip);
    e->seq = u64_column(q, at++);
    text_column(q, at++, e->uid, sizeof e->uid);
    text_column(q, at++, e->device_event, sizeof e->device_event);
    text_column(q, at++, e->owner.device, sizeof e->owner.device);
    text_column(q, at++, e->owner.product, sizeof e->owner.product);
    text_column(q, at++, e->owner.household, sizeof e->owner.household);
    text_column(q, at++, e->kind, sizeof e->kind);
    e->at_ms = u64_column(q, at++);
    e->received_ms = u64_column(q, at++);
    e->score = porch_db_real(q, at++);
    e->box = box_columns(q, at);
    at += 4;
    e->has_thumbnail = porch_db_i64(q, at++) != 0;
    e->has_person = !porch_db_is_null(q, at);
    e->person_score = porch_db_real(q, at++);
    e->person_box = box_columns(q, at);
    at += 4;
    e->person_at_ms = u64_column(q, at++);
    e->has_picture = porch_db_i64(q, at++) != 0;
    e->held_back = porch_db_i64(q, at++) != 0;
    e->not_a_person = !porch_db_is_null(q, at);
    text_column(q, at++, e->said_by, sizeof e->said_by);
    e->said_ms = u64_column(q, at);
}

typedef struct {
    const porch_media_event_query *query;
    void (*fn)(const porch_media_event *event, void *ctx);
    void *ctx;
} listing;

static porch_err list_events(porch_db *db, void *ctx, porch_why *why) {
    listing *l = ctx;
    porch_media_event event;
    porch_err e;
    porch_db_query *q =
        l->query->household == NULL
            ? porch_db_prepare(db, EVENT_SELECT "where e.seq < ?2 order by e.seq desc limit ?3", why)
            : porch_db_prepare(
                  db, EVENT_SELECT "where e.household = ?1 and e.seq < ?2 order by e.seq desc limit ?3",
                  why);
    uint64_t before = l->query->before_seq;
    uint32_t limit = l->query->limit > PORCH_MEDIA_LIST_MOST ? PORCH_MEDIA_LIST_MOST : l->query->limit;
    if (l->query->household != NULL) porch_db_bind_str(q, 1, l->query->household);
    porch_db_bind_i64(q, 2, before == 0 || before > INT64_MAX ? INT64_MAX : (int64_t)before);
    porch_db_bind_i64(q, 3, limit);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        porch_media_event_row(q, &event);
        l->fn(&event, l->ctx);
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_media_events(porch_media *m, const porch_media_event_query *query,
                             void (*fn)(const porch_media_event *event, void *ctx), void *ctx,
                             porch_why *why) {
    listing l = {query, fn, ctx};
    return porch_store_read(m->config.store, list_events, &l, why);
}

typedef struct {
    const char *id;
    porch_media_event *event;
    porch_media_clip_info *clip;
} one_row;

static porch_err one_event(porch_db *db, void *ctx, porch_why *why) {
    one_row *o = ctx;
    porch_db_query *q = porch_db_prepare(db, EVENT_SELECT "where e.uid = ?1", why);
    porch_db_bind_str(q, 1, o->id);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) porch_media_event_row(q, o->event);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? porch_fail(why, e, "there is no such event") : e;
}

porch_err porch_media_event_get(porch_media *m, const char *uid, porch_media_event *ret, porch_why *why) {
    memset(ret, 0, sizeof *ret);
    one_row o = {uid, ret, NULL};
    return porch_store_read(m->config.store, one_event, &o, why);
}

porch_err porch_media_clip_row(porch_db *db, const char *clip, porch_media_clip_info *ret, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "select " CLIP_COLUMNS " from clip c where c.id = ?1", why);
    porch_db_bind_str(q, 1, clip);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) clip_columns(q, ret);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? porch_fail(why, e, "there is no such clip") : e;
}

static porch_err one_clip(porch_db *db, void *ctx, porch_why *why) {
    one_row *o = ctx;
    return porch_media_clip_row(db, o->id, o->clip, why);
}

porch_err porch_media_clip_get(porch_media *m, const char *clip, porch_media_clip_info *ret,
                               porch_why *why) {
    memset(ret, 0, sizeof *ret);
    one_row o = {clip, NULL, ret};
    return porch_store_read(m->config.store, one_clip, &o, why);
}

typedef struct {
    const char *sql;
    const char *uid;
    const char *household;
    uint8_t *at;
    size_t len;
} image;

static porch_err load_image(porch_db *db, void *ctx, porch_why *why) {
    image *i = ctx;
    porch_db_query *q = porch_db_prepare(db, i->sql, why);
    porch_db_bind_str(q, 1, i->uid);
    porch_db_bind_str(q, 2, i->household);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        porch_bytes b = porch_db_blob(q, 0);
        i->at = b.len > 0 ? malloc(b.len) : NULL;
        if (i->at == NULL) {
            e = b.len > 0 ? PORCH_ERR_NO_SPACE : PORCH_ERR_NOT_FOUND;
        } else {
            memcpy(i->at, b.at, b.len);
            i->len = b.len;
        }
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? porch_fail(why, e, "there is no such picture") : e;
}

static porch_err give_image(porch_media *m, image *i, uint8_t **ret, size_t *len, porch_why *why) {
    PORCH_TRY(porch_store_read(m->config.store, load_image, i, why));
    *ret = i->at;
    *len = i->len;
    return PORCH_OK;
}

porch_err porch_media_thumbnail(porch_media *m, const char *uid, const char *household, uint8_t **ret,
                                size_t *len, porch_why *why) {
    image i = {
        "select thumbnail from event where uid = ?1 and (?2 is null or household = ?2) and thumbnail is "
        "not null",
        uid, household, NULL, 0};
    return give_image(m, &i, ret, len, why);
}

porch_err porch_media_picture(porch_media *m, const char *uid, const char *household, uint8_t **ret,
                              size_t *len, porch_why *why) {
    image i = {"select p.picture from person p join clip c on c.id = p.clip where p.event = ?1 and "
               "(?2 is null or c.household = ?2) and p.picture is not null",
               uid, household, NULL, 0};
    return give_image(m, &i, ret, len, why);
}
