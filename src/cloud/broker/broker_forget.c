/* What must be nowhere any more: an event that a person deleted, everything below d/ID/ of a device that
 * is gone. Its rows went before, in the transaction that decided so; here it leaves memory.
 *
 *   any thread ─ order ─► each shard: what is durable is routed, then
 *                             retained ─ gone        queues, shared subscriptions ─ gone
 *                             flights  ─ not sent (again); the protocol is told to its end
 *                             commits that wait ─ acknowledged, not routed
 *                         ─► once every shard has done so, and what lay in rings by then has arrived
 *                            (broker_keep.c settles), it looks a second time
 *
 * The second look is for what was on its way between two shards, and by number only: what was said after
 * the order is a new device's. Bytes that are in a connection's record already leave. */
#include <stdlib.h>
#include <string.h>

#include "cloud/broker/room.h"
#include "os/log.h"

/* One for all shards. */
typedef struct {
    _Atomic uint32_t refs;
    _Atomic uint32_t missing; /* shards that have not obeyed yet */
    _Atomic uint64_t upto;    /* what was said before all had obeyed has no greater number; 0: not yet */
    char device[65];          /* "": the numbers */
    size_t count;
    uint64_t seqs[]; /* rising */
} forgotten;

struct porch_forget_order {
    porch_note note;
    porch_forget_order *next;
    forgotten *what;
    uint64_t upto; /* of the second look; 0: the first, which asks for no number */
};

static void let_go(forgotten *f) {
    if (atomic_fetch_sub(&f->refs, 1) == 1) free(f);
}

static bool below(const char *device, porch_bytes topic) {
    const size_t n = strlen(device);
    return topic.len >= 2 + n && memcmp(topic.at, "d/", 2) == 0 && memcmp(topic.at + 2, device, n) == 0 &&
           (topic.len == 2 + n || topic.at[2 + n] == '/');
}

static int by_number(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool porch_forget_names(const porch_forget_order *o, const porch_message *m) {
    const forgotten *f = o->what;
    if (o->upto != 0 && (m->seq == 0 || m->seq > o->upto)) return false;
    if (f->device[0] != '\0') return below(f->device, porch_message_topic(m));
    return m->seq != 0 && bsearch(&m->seq, f->seqs, f->count, sizeof *f->seqs, by_number) != NULL;
}

/* ---- on a shard ---- */

static bool queue_has(porch_session *s, const porch_forget_order *o) {
    for (uint32_t i = 0; i < s->queue_count; i++)
        if (porch_forget_names(o, porch_session_queue_at(s, i)->message)) return true;
    return false;
}

static void forget_queue(porch_session *s, const porch_forget_order *o) {
    const uint32_t n = s->queue_count;
    if (!queue_has(s, o)) return;
    for (uint32_t i = 0; i < n; i++) {
        if (porch_forget_names(o, porch_session_queue_at(s, 0)->message)) {
            porch_session_skip_first(s);
            continue;
        }
        porch_delivery d;
        (void)porch_session_take_first(s, &d);
        (void)porch_session_put_last(s, &d); /* in the place that has just become free */
    }
}

/* What has begun is told to its end without its message. */
static void forget_flying(porch_session *s, porch_flying *one) {
    const bool again = one->resend || s->conn == NULL; /* its PUBLISH would be sent once more */
    if (one->state == PORCH_FLIGHT_SENT && (!one->sent || (again && one->delivery.qos == 1))) {
        porch_session_give_up(s, one);
        return;
    }
    porch_delivery_release(s->home, &one->delivery);
    /* The client may hold the identifier: PUBREL frees it. */
    if (one->state == PORCH_FLIGHT_SENT && again) one->state = PORCH_FLIGHT_RELEASED;
}

static void forget_session(porch_session *s, const porch_forget_order *o) {
    uint32_t at = 0;
    forget_queue(s, o);
    for (porch_flying *one; (one = porch_flight_next(&s->flight, &at)) != NULL;)
        if (one->delivery.message != NULL && porch_forget_names(o, one->delivery.message))
            forget_flying(s, one);
    if (s->conn != NULL) porch_conn_want_write(s->conn);
}

static bool is_named(const porch_message *m, const void *ctx) {
    return porch_forget_names(ctx, m);
}

static void look(porch_broker_shard *b, const porch_forget_order *o) {
    porch_retained_drop(b->retained, b->pool, is_named, o);
    atomic_store_explicit(&b->retained_count, porch_retained_count(b->retained), memory_order_relaxed);
    for (size_t i = 0; i < b->bucket_count; i++)
        for (porch_session *s = b->buckets[i]; s != NULL; s = s->chain)
            forget_session(s, o);
    porch_share_forget(b, o);
}

/* Nothing that was said before is on its way to a shard now that has not been given its number. */
static void obeyed(porch_broker *broker, forgotten *f) {
    if (atomic_fetch_sub(&f->missing, 1) != 1 || broker->config.store == NULL) return;
    const uint64_t durable = porch_store_durable_seq(broker->config.store);
    atomic_store(&f->upto, durable > 0 ? durable : 1);
}

static void end_order(porch_forget_order *o) {
    let_go(o->what);
    free(o);
}

static void obey(porch_shard *shard, porch_note *note) {
    porch_forget_order *o = (porch_forget_order *)(void *)note;
    porch_broker_shard *b = porch_shard_user(shard);
    if (b->retained != NULL) { /* else the shard has stopped */
        porch_broker_take_commits(b);
        porch_broker_forget_pending(b, o);
        look(b, o);
    }
    obeyed(b->broker, o->what);
    if (b->lane == NULL || b->retained == NULL) {
        end_order(o);
        return;
    }
    o->next = b->forgets;
    b->forgets = o;
}

void porch_broker_forget_again(porch_broker_shard *b) {
    for (porch_forget_order **at = &b->forgets; *at != NULL;) {
        porch_forget_order *o = *at;
        o->upto = atomic_load(&o->what->upto);
        if (o->upto == 0 || b->settled < o->upto) {
            at = &o->next;
            continue;
        }
        look(b, o);
        *at = o->next;
        end_order(o);
    }
}

void porch_broker_drop_forgets(porch_broker_shard *b) {
    while (b->forgets != NULL) {
        porch_forget_order *o = b->forgets;
        b->forgets = o->next;
        end_order(o);
    }
}

/* ---- from any thread ---- */

static bool post(porch_broker_shard *b, forgotten *f) {
    porch_forget_order *o = calloc(1, sizeof *o);
    if (o == NULL) return false;
    o->note.run = obey;
    o->what = f;
    pthread_mutex_lock(&b->lock);
    const bool runs = b->shard != NULL;
    if (runs) {
        atomic_fetch_add(&f->refs, 1);
        porch_shard_post(b->shard, &o->note);
    }
    pthread_mutex_unlock(&b->lock);
    if (runs) return true;
    obeyed(b->broker, f); /* it has nothing */
    free(o);
    return true;
}

static bool give_out(porch_broker *b, forgotten *f) {
    bool all = f != NULL;
    pthread_mutex_lock(&b->lock);
    const unsigned n = b->shard_count;
    pthread_mutex_unlock(&b->lock);
    if (f != NULL) {
        atomic_store(&f->refs, 1);
        atomic_store(&f->missing, n);
        for (unsigned i = 0; i < n; i++)
            all = post(&b->shards[i], f) && all;
        let_go(f);
    }
    if (!all)
        porch_log(PORCH_LOG_ERROR, "broker.not_forgotten", "reason", "no memory", "hint",
                  "what was deleted is still sent to subscribers; restart the hub", NULL);
    return all;
}

bool porch_broker_forget_device(porch_broker *b, const char *device) {
    forgotten *f = calloc(1, sizeof *f);
    if (f != NULL) (void)porch_bytes_to_text(porch_bytes_of(device), f->device, sizeof f->device);
    if (f != NULL && f->device[0] == '\0') {
        free(f);
        return true; /* nobody's name */
    }
    return give_out(b, f);
}

bool porch_broker_forget_messages(porch_broker *b, const uint64_t *seqs, size_t count) {
    if (count == 0) return true;
    forgotten *f = calloc(1, sizeof *f + count * sizeof *seqs);
    if (f != NULL) {
        f->count = count;
        memcpy(f->seqs, seqs, count * sizeof *seqs);
        qsort(f->seqs, count, sizeof *f->seqs, by_number);
    }
    return give_out(b, f);
}
