#include "cloud/api/api_live.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/live_message.h"
#include "cloud/grants/grants.h"
#include "os/clock.h"
#include "os/log.h"

enum {
    MISSED_MOST = 500, /* events of each kind that a returning page is told; it reloads for more */
    ROUNDS_MOST = 100, /* of catching up with a busy household */
    DEVICES_WAITING = 256,
    ID_BYTES = 48
};

typedef struct subscriber {
    struct subscriber *next;
    porch_live *live;
    porch_http_stream *stream; /* NULL once over */
    uint8_t session[32];
    char session_id[PORCH_SESSION_ID_TEXT];
    char account[PORCH_PERSON_ID_TEXT];
    char household[65];
    porch_registry_entry who;
    const porch_access_policy *policy; /* NULL: it may hear nothing */
    uint64_t motion, person;           /* told so far */
    bool catching_up;
    bool behind; /* something happened since the database was asked */
} subscriber;

struct porch_live {
    porch_api *api;
    pthread_mutex_t lock;
    pthread_cond_t news;
    subscriber *subscribers;
    unsigned count;
    char devices[DEVICES_WAITING][65];
    unsigned device_count;
    bool devices_lost; /* the queue was full: tell all */
    struct {
        uint8_t hash[32];
        bool over; /* was told once; once more, for a connection that was on its way */
    } * watched;
    unsigned watched_count;
    void (*gone)(const uint8_t hash[32], void *ctx);
    void *gone_ctx;
    bool stopping;
    bool started;
    pthread_t thread;
};

bool porch_live_id_read(const char *text, uint64_t *motion, uint64_t *person) {
    *motion = *person = 0;
    if (text == NULL) return false;
    size_t dash = strcspn(text, "-");
    if (text[dash] == '\0') return false;
    uint64_t m, p;
    if (porch_decimal_read((porch_bytes){(const uint8_t *)text, dash}, INT64_MAX, &m) != PORCH_OK ||
        porch_decimal_read(porch_bytes_of(text + dash + 1), INT64_MAX, &p) != PORCH_OK)
        return false;
    *motion = m;
    *person = p;
    return true;
}

/* ---- one subscriber, under the lock ---- */

static void send_text(subscriber *s, const char *text, size_t len) {
    if (s->stream != NULL)
        (void)porch_http_stream_send(s->stream, (porch_bytes){(const uint8_t *)text, len});
}

static void send_message(subscriber *s, porch_live_kind kind, uint64_t seq, const char *name,
                         const char *data) {
    if (kind == PORCH_LIVE_MOTION) {
        if (seq <= s->motion) return;
        s->motion = seq;
    } else if (kind == PORCH_LIVE_PERSON) {
        if (seq <= s->person) return;
        s->person = seq;
    }
    char *text = NULL;
    int len = asprintf(&text, "id: %llu-%llu\nevent: %s\ndata: %s\n\n", (unsigned long long)s->motion,
                       (unsigned long long)s->person, name, data);
    if (len < 0) return;
    send_text(s, text, (size_t)len);
    free(text);
}

/* ---- what the policy lets a person hear ---- */

static void take_policy(subscriber *s) {
    porch_grants_policy_release(s->policy);
    s->policy = porch_grants_policy(s->live->api->grants, &s->who);
}

void porch_live_regrant(porch_live *l) {
    (void)pthread_mutex_lock(&l->lock);
    for (subscriber *s = l->subscribers; s != NULL; s = s->next)
        take_policy(s);
    (void)pthread_mutex_unlock(&l->lock);
}

static void note_who(subscriber *s, const porch_person *person) {
    s->who = (porch_registry_entry){.kind = PORCH_PRINCIPAL_PERSON, .role = (uint8_t)person->role};
    porch_api_person_key(person, s->who.name);
    memcpy(s->who.household, person->household, sizeof s->who.household);
}

static void free_subscriber(subscriber *s) {
    porch_grants_policy_release(s->policy);
    free(s);
}

/* While it catches up, what has a number is read from the database: it is there already. */
static void tell_subscriber(subscriber *s, const char *household, porch_live_message *m) {
    if (s->stream == NULL || strcmp(s->household, household) != 0) return;
    const char *text = porch_live_message_for(m, s->policy);
    if (text == NULL) return;
    if (s->catching_up && m->kind != PORCH_LIVE_PASSING)
        s->behind = true;
    else
        send_message(s, m->kind, m->seq, m->name, text);
}

void porch_live_tell(porch_live *l, porch_live_kind kind, const char *household, const char *device,
                     const char *name, uint64_t seq, json_t *data) {
    porch_live_message m;
    if (porch_live_message_make(&m, kind, device, name, seq, data)) {
        (void)pthread_mutex_lock(&l->lock);
        for (subscriber *s = l->subscribers; s != NULL; s = s->next)
            tell_subscriber(s, household, &m);
        (void)pthread_mutex_unlock(&l->lock);
    }
    porch_live_message_free(&m);
    json_decref(data);
}

void porch_live_tell_person(porch_live *l, const char *account, const char *except, const char *name,
                            json_t *data) {
    char *text = data == NULL ? NULL : json_dumps(data, JSON_COMPACT);
    json_decref(data);
    if (text == NULL) return;
    (void)pthread_mutex_lock(&l->lock);
    for (subscriber *s = l->subscribers; s != NULL; s = s->next)
        if (strcmp(s->account, account) == 0 && strcmp(s->session_id, except) != 0)
            send_message(s, PORCH_LIVE_PASSING, 0, name, text);
    (void)pthread_mutex_unlock(&l->lock);
    free(text);
}

/* ---- coming and going ---- */

static void closed(void *ctx) {
    subscriber *s = ctx;
    porch_live *l = s->live;
    (void)pthread_mutex_lock(&l->lock);
    for (subscriber **at = &l->subscribers; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            l->count--;
            break;
        }
    s->stream = NULL;
    (void)pthread_mutex_unlock(&l->lock);
    free_subscriber(s);
}

void porch_live_end_session(porch_live *l, const uint8_t hash[32]) {
    (void)pthread_mutex_lock(&l->lock);
    for (subscriber *s = l->subscribers; s != NULL; s = s->next)
        if (s->stream != NULL && memcmp(s->session, hash, 32) == 0) porch_http_stream_close(s->stream);
    (void)pthread_mutex_unlock(&l->lock);
}

/* ---- what a returning page missed ---- */

typedef struct {
    subscriber *s;
    json_t *items; /* of [seq, event], newest first as the timeline gives them */
} missed;

static void collect_motion(const porch_media_event *event, void *ctx) {
    missed *m = ctx;
    if (event->seq <= m->s->motion) return;
    (void)json_array_append_new(m->items,
                                json_pack("{s:I, s:s, s:o}", "seq", (json_int_t)event->seq, "device",
                                          event->owner.device, "event", porch_api_event(event)));
}

/* Sends under the lock, so that the stream cannot go away meanwhile. */
static void tell_one(subscriber *s, porch_live_kind kind, uint64_t seq, const char *device,
                     const char *name, json_t *data) {
    porch_live_message m;
    if (porch_live_message_make(&m, kind, device, name, seq, data)) {
        (void)pthread_mutex_lock(&s->live->lock);
        const char *text = porch_live_message_for(&m, s->policy);
        if (text != NULL) send_message(s, kind, seq, name, text);
        (void)pthread_mutex_unlock(&s->live->lock);
    }
    porch_live_message_free(&m);
}

static porch_err catch_up_motion(subscriber *s, porch_why *why) {
    missed m = {s, json_array()};
    porch_media_event_query q = {.household = s->household};
    porch_err e = PORCH_OK;
    /* Page by page backwards until what is known. */
    for (uint32_t told = 0; told < MISSED_MOST; told += 100) {
        size_t before = json_array_size(m.items);
        q.limit = 100;
        e = porch_media_events(s->live->api->media, &q, collect_motion, &m, why);
        size_t now = json_array_size(m.items);
        if (e != PORCH_OK || now < before + q.limit) break;
        q.before_seq =
            (uint64_t)json_integer_value(json_object_get(json_array_get(m.items, now - 1), "seq"));
    }
    for (size_t i = json_array_size(m.items); e == PORCH_OK && i-- > 0;) {
        json_t *item = json_array_get(m.items, i);
        tell_one(s, PORCH_LIVE_MOTION, (uint64_t)json_integer_value(json_object_get(item, "seq")),
                 json_string_value(json_object_get(item, "device")), "motion",
                 json_object_get(item, "event"));
    }
    json_decref(m.items);
    return e;
}

json_t *porch_live_person_json(porch_api *api, const porch_notify_item *item) {
    char text[4096];
    porch_media_event event;
    porch_buf out = PORCH_BUF_OF(text);
    json_error_t fault;
    if (porch_notify_item_json(item, NULL, &out) != PORCH_OK) return NULL;
    json_t *notification = json_loadb(text, out.len, 0, &fault);
    if (notification == NULL) return NULL;
    bool found = porch_media_event_get(api->media, item->event, &event, NULL) == PORCH_OK;
    return json_pack("{s:o, s:o}", "notification", notification, "event",
                     found ? porch_api_event(&event) : json_null());
}

typedef struct {
    subscriber *s;
    porch_notify_item *items;
    size_t count;
} missed_persons;

static bool collect_person(const porch_notify_item *item, void *ctx) {
    missed_persons *m = ctx;
    if (m->count < MISSED_MOST) m->items[m->count++] = *item;
    return m->count < MISSED_MOST;
}

static porch_err read_persons(porch_db *db, void *ctx, porch_why *why) {
    missed_persons *m = ctx;
    return porch_notify_since(db, m->s->household, m->s->person, MISSED_MOST, collect_person, m, why);
}

static porch_err catch_up_person(subscriber *s, porch_why *why) {
    missed_persons m = {s, calloc(MISSED_MOST, sizeof *m.items), 0};
    if (m.items == NULL) return PORCH_ERR_NO_SPACE;
    porch_err e = porch_store_read(s->live->api->store, read_persons, &m, why);
    for (size_t i = 0; e == PORCH_OK && i < m.count; i++) {
        json_t *data = porch_live_person_json(s->live->api, &m.items[i]);
        tell_one(s, PORCH_LIVE_PERSON, m.items[i].seq, m.items[i].device, "person", data);
        json_decref(data);
    }
    free(m.items);
    return e;
}

/* ---- a new stream ---- */

static void newest_motion(const porch_media_event *event, void *ctx) {
    *(uint64_t *)ctx = event->seq;
}

typedef struct {
    const char *household;
    uint64_t seq;
} newest;

static porch_err newest_person(porch_db *db, void *ctx, porch_why *why) {
    newest *n = ctx;
    porch_db_query *q = porch_db_prepare(db, "SELECT max(seq) FROM notification WHERE household = ?1", why);
    porch_db_bind_str(q, 1, n->household);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) n->seq = (uint64_t)porch_db_i64(q, 0);
    porch_db_finish(q);
    return e;
}

static void read_newest(porch_api *api, const char *household, uint64_t *motion, uint64_t *person) {
    newest n = {household, 0};
    porch_media_event_query q = {.household = household, .limit = 1};
    (void)porch_media_events(api->media, &q, newest_motion, motion, NULL);
    if (porch_store_read(api->store, newest_person, &n, NULL) == PORCH_OK) *person = n.seq;
}

/* The limits, and the place in the list; false: it has answered. Under the lock. */
static bool admit(porch_http_exchange *x, porch_live *l, const porch_user_session *session) {
    unsigned own = 0;
    for (const subscriber *s = l->subscribers; s != NULL; s = s->next)
        if (memcmp(s->session, session->hash, 32) == 0) own++;
    const porch_settings *settings = l->api->settings;
    if (!l->stopping && l->count < settings->people_streams && own < settings->people_streams_per_session)
        return true;
    (void)porch_http_reply_header(x, "Retry-After", "10");
    (void)porch_http_problem(x, 503, "streams",
                             "too many live streams are open; close other pages of this app");
    return false;
}

/* Reads until nothing happened meanwhile, then the stream is live. */
static porch_err catch_up(subscriber *s, porch_why *why) {
    porch_live *l = s->live;
    bool live = false;
    for (int round = 0; !live; round++) {
        if (round == ROUNDS_MOST)
            return porch_fail(why, PORCH_ERR_BUSY, "too much happens; the page comes back for the rest");
        PORCH_TRY(catch_up_motion(s, why));
        PORCH_TRY(catch_up_person(s, why));
        (void)pthread_mutex_lock(&l->lock);
        live = !s->behind;
        s->behind = false;
        s->catching_up = !live;
        (void)pthread_mutex_unlock(&l->lock);
    }
    return PORCH_OK;
}

/* A page without an id begins now. The first bytes give it the id to come back with. */
static void say_hello(porch_live *l, subscriber *s, bool returning) {
    char hello[ID_BYTES + 32];
    uint64_t motion = s->motion, person = s->person;
    if (!returning) read_newest(l->api, s->household, &motion, &person);
    (void)pthread_mutex_lock(&l->lock);
    s->motion = motion;
    s->person = person;
    int len = snprintf(hello, sizeof hello, "retry: 2000\nid: %llu-%llu\n\n", (unsigned long long)motion,
                       (unsigned long long)person);
    if (len > 0) send_text(s, hello, (size_t)len);
    (void)pthread_mutex_unlock(&l->lock);
}

static bool join(porch_http_exchange *x, porch_live *l, const porch_user_session *session, subscriber *s) {
    (void)pthread_mutex_lock(&l->lock);
    bool admitted = admit(x, l, session);
    if (admitted) s->stream = porch_http_reply_stream(x, "text/event-stream", closed, s);
    if (s->stream != NULL) {
        s->next = l->subscribers;
        l->subscribers = s;
        l->count++;
        take_policy(s); /* in the list: a change of before is in it, one of after finds the stream */
    }
    (void)pthread_mutex_unlock(&l->lock);
    return s->stream != NULL;
}

void porch_api_events_stream(porch_http_exchange *x) {
    porch_live *l = porch_api_of(x)->live;
    porch_user_session session;
    porch_why why = {{0}};
    if (!porch_api_session(x, &session)) return;
    if (strcmp(porch_http_method(x), "HEAD") == 0) {
        (void)porch_http_reply(x, 200, "text/event-stream", PORCH_LIT(""));
        return;
    }
    subscriber *s = calloc(1, sizeof *s);
    if (s == NULL) {
        porch_api_refuse(x, PORCH_ERR_NO_SPACE, NULL);
        return;
    }
    s->live = l;
    s->catching_up = true;
    memcpy(s->session, session.hash, sizeof s->session);
    memcpy(s->session_id, session.id, sizeof s->session_id);
    memcpy(s->account, session.person.id, sizeof s->account);
    memcpy(s->household, session.person.household, sizeof s->household);
    note_who(s, &session.person);
    bool returning = porch_live_id_read(porch_http_header(x, "Last-Event-ID"), &s->motion, &s->person);
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    if (!join(x, l, &session, s)) {
        free_subscriber(s);
        return;
    }
    /* on_close is not called before this handler returned: `s` stays. */
    say_hello(l, s, returning);
    porch_err e = catch_up(s, &why);
    if (e == PORCH_OK) return;
    porch_log(PORCH_LOG_WARN, "stream.failed", "error", porch_err_name(e), "reason",
              porch_why_text(&why, e), NULL);
    porch_http_stream_close(s->stream);
}

/* ---- the thread: devices, signs of life, sign-ins that are over ---- */

void porch_live_device(porch_live *l, const char *id) {
    (void)pthread_mutex_lock(&l->lock);
    if (l->device_count < DEVICES_WAITING)
        (void)snprintf(l->devices[l->device_count++], sizeof l->devices[0], "%s", id);
    else
        l->devices_lost = true;
    (void)pthread_cond_signal(&l->news);
    (void)pthread_mutex_unlock(&l->lock);
}

static bool tell_device(const porch_registry_device *d, void *ctx) {
    porch_live_tell(
        ctx, PORCH_LIVE_PASSING, d->household, d->id, "device", 0,
        json_pack("{s:s, s:b, s:o}", "id", d->id, "online", d->online, "device", porch_api_device(d)));
    return true;
}

static void tell_devices(porch_live *l, char (*ids)[65], unsigned count, bool all) {
    porch_registry_device d;
    if (all) porch_registry_devices(l->api->registry, NULL, tell_device, l);
    for (unsigned i = 0; !all && i < count; i++)
        if (porch_registry_device_get(l->api->registry, ids[i], &d) == PORCH_OK) (void)tell_device(&d, l);
}

/* ---- sign-ins that are watched for the broker ---- */

bool porch_live_watch(porch_live *l, const uint8_t hash[32]) {
    bool there = false, room = false;
    (void)pthread_mutex_lock(&l->lock);
    for (unsigned i = 0; i < l->watched_count; i++)
        there = there || memcmp(l->watched[i].hash, hash, 32) == 0;
    if (!there && l->watched == NULL)
        l->watched = calloc(l->api->settings->people_mqtt_sign_ins, sizeof *l->watched);
    room = there || (l->watched != NULL && l->watched_count < l->api->settings->people_mqtt_sign_ins);
    if (!there && room) {
        memcpy(l->watched[l->watched_count].hash, hash, 32);
        l->watched[l->watched_count++].over = false;
    }
    (void)pthread_mutex_unlock(&l->lock);
    return room;
}

void porch_live_on_gone(porch_live *l, void (*gone)(const uint8_t hash[32], void *ctx), void *ctx) {
    l->gone = gone;
    l->gone_ctx = ctx;
}

/* Takes the place of one that has been told twice; only this thread takes any out. */
static void check_watched(porch_live *l) {
    uint8_t hash[32];
    for (unsigned i = 0;;) {
        (void)pthread_mutex_lock(&l->lock);
        bool more = i < l->watched_count;
        if (more) memcpy(hash, l->watched[i].hash, 32);
        (void)pthread_mutex_unlock(&l->lock);
        if (!more) return;
        bool alive = porch_user_session_alive(l->api->accounts, hash, porch_clock_ms());
        (void)pthread_mutex_lock(&l->lock);
        bool again = l->watched[i].over;
        l->watched[i].over = !alive;
        if (!alive && again) l->watched[i] = l->watched[--l->watched_count];
        (void)pthread_mutex_unlock(&l->lock);
        if (!alive && l->gone != NULL) l->gone(hash, l->gone_ctx);
        if (alive || !again) i++;
    }
}

/* One session at a time, outside the lock: looking it up reads the database. */
static void check_sessions(porch_live *l) {
    uint8_t(*hashes)[32] = NULL;
    unsigned count = 0;
    (void)pthread_mutex_lock(&l->lock);
    if (l->count > 0) hashes = calloc(l->count, sizeof *hashes);
    for (const subscriber *s = l->subscribers; s != NULL && hashes != NULL; s = s->next)
        memcpy(hashes[count++], s->session, 32);
    (void)pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < count; i++)
        if ((i == 0 || memcmp(hashes[i], hashes[i - 1], 32) != 0) &&
            !porch_user_session_alive(l->api->accounts, hashes[i], porch_clock_ms()))
            porch_live_end_session(l, hashes[i]);
    free(hashes);
}

static void beat(porch_live *l) {
    (void)pthread_mutex_lock(&l->lock);
    for (subscriber *s = l->subscribers; s != NULL; s = s->next)
        send_text(s, ":\n\n", 3);
    (void)pthread_mutex_unlock(&l->lock);
    check_sessions(l);
    check_watched(l);
}

static void *run(void *ctx) {
    porch_live *l = ctx;
    static char ids[DEVICES_WAITING][65]; /* this thread's alone, and there is one */
    uint64_t next_ms = porch_clock_mono_ms() + l->api->settings->people_heartbeat_ms;
    (void)pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        uint64_t now_ms = porch_clock_mono_ms();
        if (l->device_count == 0 && now_ms < next_ms) {
            struct timespec until = {.tv_sec = (time_t)(next_ms / 1000),
                                     .tv_nsec = (long)(next_ms % 1000) * 1000000};
            (void)pthread_cond_timedwait(&l->news, &l->lock, &until);
            continue;
        }
        unsigned count = l->device_count;
        bool all = l->devices_lost;
        memcpy(ids, l->devices, sizeof ids[0] * count);
        l->device_count = 0;
        l->devices_lost = false;
        (void)pthread_mutex_unlock(&l->lock);
        if (count > 0) tell_devices(l, ids, count, all);
        if (now_ms >= next_ms) {
            beat(l);
            next_ms = now_ms + l->api->settings->people_heartbeat_ms;
        }
        (void)pthread_mutex_lock(&l->lock);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

porch_err porch_live_new(porch_api *api, porch_live **ret, porch_why *why) {
    pthread_condattr_t monotonic;
    porch_live *l = calloc(1, sizeof *l);
    if (l == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for live streams");
    l->api = api;
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->news, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    *ret = l;
    return PORCH_OK;
}

porch_err porch_live_start(porch_live *l, porch_why *why) {
    if (pthread_create(&l->thread, NULL, run, l) != 0)
        return porch_fail(why, PORCH_ERR_IO, "no thread for live streams");
    l->started = true;
    return PORCH_OK;
}

void porch_live_stop(porch_live *l) {
    if (l == NULL) return;
    (void)pthread_mutex_lock(&l->lock);
    l->stopping = true;
    (void)pthread_cond_signal(&l->news);
    for (subscriber *s = l->subscribers; s != NULL; s = s->next)
        if (s->stream != NULL) porch_http_stream_close(s->stream);
    (void)pthread_mutex_unlock(&l->lock);
    if (l->started) (void)pthread_join(l->thread, NULL);
    l->started = false;
}

void porch_live_free(porch_live *l) {
    if (l == NULL) return;
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_cond_destroy(&l->news);
    free(l->watched);
    free(l);
}
