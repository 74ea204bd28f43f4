/* The broker in memory, for tests and fuzz targets of whole conversations: its real sessions, trie and
 * routing over doubles of the listener's connections and shards, which take the place of their archives'
 * members in the linker. No socket, no thread, no TLS; time passes when the test says so.
 *
 *   bed_send ─► conn.in ─► hooks->take ─► broker ─► porch_conn_put, hooks->fill ─► conn.out ─► test
 *                                          │  ▲
 *                          parcels between shards, a store that commits when bed_store says so
 *
 * The store keeps nothing: it gives tickets and numbers and answers them, so that everything that waits for
 * a commit waits here, too. What comes back after a crash is tested with the real one. */
#ifndef PORCH_CLOUD_BROKER_BROKERBED_H
#define PORCH_CLOUD_BROKER_BROKERBED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/policy.h"
#include "access/statement.h"
#include "cloud/broker/broker.h"
#include "cloud/grants/grants.h"
#include "cloud/listener/conn.h"
#include "cloud/registry/registry.h"
#include "cloud/settings/settings.h"
#include "cloud/store/store.h"
#include "os/log.h"
#include "wire/mqtt_packet.h"

enum {
    BED_WORDS = 32,
    BED_SHARDS = 2,
    BED_RING = 4096,
    BED_BYTES = 1 << 17,
    BED_TURNS_MOST = 100000,
    BED_RECORD = 16384
};

#define PORCH_BED_MUST(holds)                                                         \
    do {                                                                              \
        if (!(holds)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

struct porch_shard {
    unsigned index;
    porch_pool *pool;
    void *user;
    uint64_t again_ms; /* 0: not asked for */
    bool draining;
    porch_parcel ring[BED_RING]; /* to this shard */
    uint32_t ring_first, ring_count;
    porch_note *notes;
};

struct porch_conn {
    porch_conn *next;
    porch_shard *shard;
    void *user;
    porch_peer peer;
    uint64_t timer_ms; /* 0: none */
    int move_to;
    bool paused, again, dirty, closed, told, finish;
    bool deaf; /* its socket takes nothing */
    uint8_t in[BED_BYTES];
    size_t in_len;
    uint8_t out[BED_BYTES]; /* what the client may read; `unread` bytes at its end have not left yet */
    size_t out_len, unread;
};

static struct {
    porch_shard shards[BED_SHARDS];
    unsigned shard_count;
    porch_conn *conns;
    uint64_t now;
    porch_broker *broker;
    porch_settings settings;
    bool worked;      /* this turn changed something */
    uint64_t agains;  /* how often a shard asked for another turn */
    uint64_t parcels; /* sent from shard to shard */
    /* the store */
    bool has_store, holds_back;
    bool lane_full; /* the lanes take nothing now */
    porch_err store_result;
    uint32_t said[BED_SHARDS][BED_WORDS],
        kept[BED_WORDS]; /* notes by their first word: appended, committed */
    uint64_t tickets[BED_SHARDS], answered[BED_SHARDS], seqs;
    unsigned lanes;
} bed;

/* ---- the connection ---- */

const porch_peer *porch_conn_peer(const porch_conn *c) {
    return &c->peer;
}
porch_shard *porch_conn_shard(const porch_conn *c) {
    return c->shard;
}
void *porch_conn_user(const porch_conn *c) {
    return c->user;
}
void porch_conn_set_user(porch_conn *c, void *user) {
    c->user = user;
}
void porch_conn_want_write(porch_conn *c) {
    c->dirty = true;
}
static void bed_append(porch_conn *c, porch_bytes b) {
    PORCH_BED_MUST(b.len <= sizeof c->out - c->out_len);
    if (b.len > 0) memcpy(c->out + c->out_len, b.at, b.len);
    c->out_len += b.len;
    if (c->deaf) c->unread += b.len;
}
bool porch_conn_put(porch_conn *c, porch_bytes bytes) {
    if (c->told) return false;
    bed_append(c, bytes);
    c->dirty = true;
    return true;
}
size_t porch_conn_pending(const porch_conn *c) {
    return c->unread;
}
void porch_conn_flush(porch_conn *c) {
    uint8_t record[BED_RECORD];
    while (!c->told && !c->deaf) {
        porch_buf b = PORCH_BUF_OF(record);
        porch_broker_hooks()->fill(c, &b);
        if (b.len == 0) return;
        bed_append(c, porch_buf_bytes(&b));
        bed.worked = true;
    }
}
uint64_t porch_conn_stuck_ms(const porch_conn *c) {
    (void)c;
    return 0;
}
void porch_conn_pause(porch_conn *c) {
    c->paused = true;
}
void porch_conn_resume(porch_conn *c) {
    if (!c->paused) return;
    c->paused = false;
    c->again = true;
}
void porch_conn_timer(porch_conn *c, uint64_t after_ms) {
    c->timer_ms = after_ms == 0 ? 0 : bed.now + after_ms;
}
static void bed_tell_closed(porch_conn *c) {
    if (c->told) return;
    c->told = true;
    c->timer_ms = 0;
    porch_broker_hooks()->closed(c);
}
void porch_conn_close(porch_conn *c) {
    if (c->told) return;
    porch_conn_flush(c);
    bed_tell_closed(c);
    c->closed = true;
}
void porch_conn_finish(porch_conn *c) {
    c->finish = c->dirty = true;
}
void porch_conn_cut(porch_conn *c) {
    bed_tell_closed(c);
    c->closed = true;
}
bool porch_conn_closing(const porch_conn *c) {
    return c->told;
}
void porch_conn_move(porch_conn *c, unsigned shard) {
    PORCH_BED_MUST(c->user == NULL);
    c->move_to = (int)shard;
}
void porch_conn_idle(porch_conn *c) {
    (void)c;
}

/* ---- the shard ---- */

unsigned porch_shard_index(const porch_shard *s) {
    return s->index;
}
unsigned porch_shard_count(const porch_shard *s) {
    (void)s;
    return bed.shard_count;
}
porch_pool *porch_shard_pool(porch_shard *s) {
    return s->pool;
}
uint64_t porch_shard_now(const porch_shard *s) {
    (void)s;
    return bed.now;
}
void *porch_shard_user(const porch_shard *s) {
    return s->user;
}
void porch_shard_set_user(porch_shard *s, void *user) {
    s->user = user;
}
bool porch_shard_draining(const porch_shard *s) {
    return s->draining;
}
void porch_shard_again(porch_shard *s, uint32_t after_ms) {
    uint64_t due = bed.now + (after_ms == 0 ? 1 : after_ms);
    bed.agains++;
    if (s->again_ms == 0 || due < s->again_ms) s->again_ms = due;
}
bool porch_shard_room(const porch_shard *from, unsigned to, size_t slots) {
    (void)from;
    return slots <= BED_RING - bed.shards[to].ring_count;
}
bool porch_shard_send(porch_shard *from, unsigned to, const porch_parcel *parcel) {
    porch_shard *s = &bed.shards[to];
    if (!porch_shard_room(from, to, 1)) return false;
    bed.parcels++;
    s->ring[(s->ring_first + s->ring_count++) % BED_RING] = *parcel;
    return true;
}
void porch_shard_send_out(porch_shard *s) {
    (void)s; /* what is sent lies in the ring at once here */
}
bool porch_shard_may_log(porch_shard *s) {
    (void)s;
    return true;
}
void porch_shard_post(porch_shard *s, porch_note *note) {
    porch_note **at = &s->notes;
    while (*at != NULL)
        at = &(*at)->next;
    note->next = NULL;
    *at = note;
}
void porch_shard_wake(porch_shard *s) {
    s->again_ms = bed.now;
}

/* ---- the store ---- */

static int bed_lane_tokens[BED_SHARDS];

static unsigned bed_lane_of(const porch_store_lane *lane) {
    return (unsigned)((const int *)(const void *)lane - bed_lane_tokens);
}
porch_store_lane *porch_store_lane_open(porch_store *s, void (*wake)(void *ctx), void *wake_ctx) {
    (void)s;
    (void)wake;
    (void)wake_ctx;
    return (porch_store_lane *)(void *)&bed_lane_tokens[bed.lanes++];
}
porch_err porch_store_lane_append(porch_store_lane *lane, const porch_store_message *m, uint64_t *ticket) {
    if (bed.lane_full) return PORCH_ERR_BUSY;
    if (m->note.len > 0) bed.said[bed_lane_of(lane)][m->note.at[0] % BED_WORDS]++;
    *ticket = ++bed.tickets[bed_lane_of(lane)];
    return PORCH_OK;
}
porch_err porch_store_lane_takes(const porch_store_lane *lane, uint32_t records, size_t bytes) {
    (void)lane, (void)records, (void)bytes;
    return bed.lane_full ? PORCH_ERR_BUSY : PORCH_OK;
}
bool porch_store_lane_poll(porch_store_lane *lane, porch_store_answer *ret) {
    unsigned i = bed_lane_of(lane);
    if (bed.holds_back || bed.answered[i] == bed.tickets[i]) return false;
    if (bed.store_result == PORCH_OK) bed.seqs += bed.tickets[i] - bed.answered[i];
    bed.answered[i] = bed.tickets[i];
    for (unsigned w = 0; w < BED_WORDS; w++) {
        if (bed.store_result == PORCH_OK) bed.kept[w] += bed.said[i][w];
        bed.said[i][w] = 0;
    }
    *ret = (porch_store_answer){bed.answered[i], bed.store_result == PORCH_OK ? bed.seqs : 0,
                                bed.store_result};
    bed.worked = true;
    return true;
}
uint64_t porch_store_lane_last(const porch_store_lane *lane) {
    return bed.tickets[bed_lane_of(lane)];
}
uint64_t porch_store_durable_seq(const porch_store *s) {
    (void)s;
    return bed.seqs;
}
porch_err porch_store_read(porch_store *s, porch_store_fn fn, void *ctx, porch_why *why) {
    (void)s;
    (void)fn;
    (void)ctx;
    (void)why;
    return PORCH_OK; /* it is empty */
}
void porch_store_on_note(porch_store *s, porch_store_message_fn fn, void *ctx) {
    (void)s;
    (void)fn;
    (void)ctx;
}
void porch_store_hold(porch_store *s, uint64_t seq) {
    (void)s;
    PORCH_BED_MUST(seq <= bed.seqs);
}

/* ---- who may what: a device has its own prefix, a service what bed_grants says ---- */

static const char *const bed_default_grants[] = {"publish,subscribe:t/#", "publish,subscribe:s/#",
                                                 "publish,subscribe:d/+/telemetry/#", NULL};
static const char *const *bed_grants = bed_default_grants;

typedef union {
    const porch_access_policy *policy;
    void *block;
} bed_policy;

const porch_access_policy *porch_grants_policy(porch_grants *g, const porch_registry_entry *entry) {
    static const char *const device[] = {"publish,subscribe:d/${device.id}/#", "publish,subscribe:t/#",
                                         NULL};
    porch_access_statement statements[8];
    uint8_t scratch[2048];
    porch_buf b = PORCH_BUF_OF(scratch);
    porch_access_variable id = {"device.id", porch_bytes_of(entry->name)};
    const char *const *texts = entry->kind == PORCH_IDENTITY_DEVICE ? device : bed_grants;
    size_t n = 0;
    (void)g;
    for (; texts[n] != NULL; n++)
        PORCH_BED_MUST(porch_access_statement_parse(porch_bytes_of(texts[n]), PORCH_ACCESS_ALLOW, &id, 1,
                                                    NULL, &b, &statements[n], NULL) == PORCH_OK);
    PORCH_BED_MUST(porch_access_statement_parse(PORCH_LIT("receive:t/secret"), PORCH_ACCESS_DENY, &id, 1,
                                                NULL, &b, &statements[n++], NULL) == PORCH_OK);
    size_t bytes = porch_access_policy_bytes(statements, n);
    const porch_access_policy *ret = NULL;
    PORCH_BED_MUST(porch_access_policy_build(statements, n, malloc(bytes), bytes, &ret) == PORCH_OK);
    return ret;
}
void porch_grants_policy_release(const porch_access_policy *p) {
    bed_policy m = {.policy = p};
    free(m.block);
}
bool porch_grants_denied(porch_grants *g, const porch_registry_entry *who,
                         const porch_access_policy *policy, porch_access_decision decision, unsigned action,
                         porch_bytes topic, uint32_t times, porch_why *why) {
    (void)g, (void)who, (void)policy, (void)decision, (void)action, (void)topic, (void)times;
    (void)porch_fail(why, PORCH_ERR_DENIED, "no statement allows it");
    return true;
}

/* ---- the registry: nobody asks it, since the broker is not given one ---- */

porch_err porch_registry_admit(porch_registry *r, porch_principal_kind kind, const char *name,
                               const uint8_t fingerprint[32], uint64_t now_ms, porch_registry_entry *ret,
                               porch_why *why) {
    (void)r;
    (void)kind;
    (void)name;
    (void)fingerprint;
    (void)now_ms;
    (void)ret;
    (void)why;
    return PORCH_ERR_NOT_FOUND;
}
void porch_registry_seen(porch_registry *r, const char *device, bool online, uint64_t at_ms) {
    (void)r;
    (void)device;
    (void)online;
    (void)at_ms;
}
porch_err porch_registry_device_get(porch_registry *r, const char *id, porch_registry_device *ret) {
    (void)r;
    (void)id;
    (void)ret;
    return PORCH_ERR_NOT_FOUND;
}
porch_err porch_registry_service_get(porch_registry *r, const char *name, porch_registry_service *ret) {
    (void)r;
    (void)name;
    (void)ret;
    return PORCH_ERR_NOT_FOUND;
}

/* ---- the hub ---- */

/* Nothing of an earlier test; the settings are as shipped. The log is whole with PORCH_TEST_LOG. */
static inline void bed_reset(const char *who) {
    porch_log_init(who, getenv("PORCH_TEST_LOG") != NULL ? PORCH_LOG_DEBUG : PORCH_LOG_ERROR);
    memset(&bed, 0, sizeof bed);
    porch_settings_default(&bed.settings);
}

static void bed_start(unsigned shards, bool store) {
    porch_why why = {""};
    bed.shard_count = shards;
    bed.now = 1000000;
    bed.has_store = store;
    bed.seqs = 100;
    porch_broker_config config = {&bed.settings, NULL, NULL,
                                  store ? (porch_store *)(void *)bed_lane_tokens : NULL};
    PORCH_BED_MUST(porch_broker_new(&config, &bed.broker, &why) == PORCH_OK);
    for (unsigned i = 0; i < shards; i++) {
        bed.shards[i].index = i;
        bed.shards[i].pool = porch_pool_new(256u << 20);
        PORCH_BED_MUST(bed.shards[i].pool != NULL);
        PORCH_BED_MUST(porch_broker_hooks()->shard_start(bed.broker, &bed.shards[i], &why) == PORCH_OK);
    }
}

static void bed_input(porch_conn *c) {
    c->again = false;
    while (!c->told && !c->paused) {
        size_t used = porch_broker_hooks()->take(c, (porch_bytes){c->in, c->in_len});
        if (c->move_to >= 0) {
            c->shard = &bed.shards[c->move_to];
            c->move_to = -1;
            bed.worked = true;
            continue;
        }
        if (used == 0) return;
        PORCH_BED_MUST(used <= c->in_len);
        memmove(c->in, c->in + used, c->in_len - used);
        c->in_len -= used;
        bed.worked = true;
        if (c->in_len == 0) return;
    }
}

static void bed_notes(porch_shard *s) {
    while (s->notes != NULL) {
        porch_note *note = s->notes;
        s->notes = note->next;
        note->run(s, note);
        bed.worked = true;
    }
}

static void bed_turn_shard(porch_shard *s) {
    const porch_conn_hooks *hooks = porch_broker_hooks();
    if (s->again_ms != 0 && s->again_ms <= bed.now) s->again_ms = 0;
    for (porch_conn *c = bed.conns; c != NULL; c = c->next) {
        if (c->shard != s || c->told) continue;
        if (c->timer_ms != 0 && c->timer_ms <= bed.now) {
            c->timer_ms = 0;
            hooks->timer(c);
            bed.worked = true;
        }
        if (!c->told && !c->paused && c->in_len > 0) bed_input(c);
    }
    while (s->ring_count > 0) {
        porch_parcel p = s->ring[s->ring_first];
        s->ring_first = (s->ring_first + 1) % BED_RING;
        s->ring_count--;
        hooks->parcel(bed.broker, s, &p);
        bed.worked = true;
    }
    bed_notes(s);
    hooks->turn(bed.broker, s);
    for (porch_conn *c = bed.conns; c != NULL; c = c->next) {
        if (c->shard != s || !c->dirty || c->deaf) continue;
        c->dirty = false;
        porch_conn_flush(c);
        if (c->finish) porch_conn_close(c);
    }
}

/* Turns until nothing happens any more at this moment. */
static void bed_settle(void) {
    int turns = 0;
    do {
        bed.worked = false;
        for (unsigned i = 0; i < bed.shard_count; i++)
            bed_turn_shard(&bed.shards[i]);
        if (!bed.worked)
            for (unsigned i = 0; i < bed.shard_count; i++)
                bed.worked = bed.worked || bed.shards[i].ring_count > 0 || bed.shards[i].notes != NULL;
        PORCH_BED_MUST(++turns < BED_TURNS_MOST);
    } while (bed.worked);
}

/* The next moment that somebody waits for, at most `most_ms` from now. */
static uint64_t bed_next_due(uint64_t end) {
    uint64_t due = end;
    for (unsigned i = 0; i < bed.shard_count; i++)
        if (bed.shards[i].again_ms != 0 && bed.shards[i].again_ms < due) due = bed.shards[i].again_ms;
    for (const porch_conn *c = bed.conns; c != NULL; c = c->next)
        if (!c->told && c->timer_ms != 0 && c->timer_ms < due) due = c->timer_ms;
    return due > bed.now ? due : bed.now + 1;
}

static void bed_pass(uint64_t ms) {
    uint64_t end = bed.now + ms;
    bed_settle();
    while (bed.now < end) {
        bed.now = bed_next_due(end);
        if (bed.now > end) bed.now = end;
        bed_settle();
    }
}

/* Long enough for what was only put off. */
static void bed_work(void) {
    bed_pass(5);
}

static porch_conn *bed_dial(porch_identity_kind kind, const char *name) {
    porch_conn *c = calloc(1, sizeof *c);
    PORCH_BED_MUST(c != NULL);
    c->shard = &bed.shards[0];
    c->move_to = -1;
    c->peer.role = PORCH_LISTEN_MQTT;
    c->peer.verdict = PORCH_OK;
    c->peer.admitted = true;
    c->peer.principal.kind = c->peer.tls.x509.identity.kind = kind;
    c->peer.tls.has_certificate = true;
    (void)snprintf(c->peer.address, sizeof c->peer.address, "192.0.2.1");
    (void)snprintf(c->peer.principal.name, sizeof c->peer.principal.name, "%s", name);
    (void)snprintf(c->peer.tls.x509.identity.name, sizeof c->peer.tls.x509.identity.name, "%s", name);
    c->next = bed.conns;
    bed.conns = c;
    porch_broker_hooks()->open(c);
    return c;
}

static void bed_send(porch_conn *c, porch_bytes b) {
    if (c->told) return; /* a closed socket takes nothing */
    PORCH_BED_MUST(b.len <= sizeof c->in - c->in_len);
    if (b.len > 0) memcpy(c->in + c->in_len, b.at, b.len);
    c->in_len += b.len;
}

/* The client has read so much. */
static void bed_read(porch_conn *c, size_t n) {
    PORCH_BED_MUST(n <= c->out_len);
    memmove(c->out, c->out + n, c->out_len - n);
    c->out_len -= n;
}

/* The network takes it away. */
static void bed_hang_up(porch_conn *c) {
    if (!c->told) porch_conn_cut(c);
    porch_conn **at = &bed.conns;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c);
    bed_settle();
}

static void bed_stop(void) {
    porch_broker_counts counts;
    while (bed.conns != NULL)
        bed_hang_up(bed.conns);
    for (unsigned i = 0; i < bed.shard_count; i++)
        bed.shards[i].draining = true;
    bed.holds_back = bed.lane_full = false;
    bed_pass(1100); /* a tick writes again what the store refused */
    uint64_t written[BED_SHARDS];
    memcpy(written, bed.tickets, sizeof written);
    for (unsigned i = 0; i < bed.shard_count; i++) {
        bed_notes(&bed.shards[i]); /* what a neighbour said as it went */
        porch_broker_hooks()->shard_stop(bed.broker, &bed.shards[i]);
    }
    /* What the next start finds is what was there: nobody leaves because the hub does. */
    PORCH_BED_MUST(memcmp(written, bed.tickets, sizeof written) == 0);
    porch_broker_read_counts(bed.broker, &counts);
    PORCH_BED_MUST(counts.sessions == 0 && counts.subscriptions == 0);
    porch_broker_free(bed.broker);
    for (unsigned i = 0; i < bed.shard_count; i++)
        porch_pool_free(bed.shards[i].pool);
    memset(&bed, 0, sizeof bed);
    bed_grants = bed_default_grants;
}

/* For cmocka's teardown. */
static inline int bed_end(void **state) {
    (void)state;
    bed_stop();
    return 0;
}

#endif
