#include "cloud/store/store_lane.h"

#include <stdlib.h>
#include <string.h>

/* What stands before a record's bytes (device, topic, properties, note, payload, padding). */
typedef struct {
    uint32_t total; /* whole record, a multiple of ALIGN */
    uint32_t payload_len;
    uint64_t at_ms;
    uint64_t origin;
    uint32_t properties_len;
    uint32_t note_len;
    uint16_t device_len;
    uint16_t topic_len;
    uint8_t qos;
    uint8_t flags;
    uint8_t skip; /* 1: nothing here, go on at the block's beginning */
    uint8_t unused;
} record_head;

enum { ALIGN = 8 };
_Static_assert(sizeof(record_head) % ALIGN == 0, "records stay aligned");

porch_store_lane *porch_lane_new(size_t bytes, porch_store *s, void (*wake_writer)(porch_store *)) {
    size_t cap = 65536;
    while (cap < bytes)
        cap *= 2;
    porch_store_lane *l = aligned_alloc(64, sizeof *l);
    if (l == NULL) return NULL;
    memset(l, 0, sizeof *l);
    l->block = malloc(cap);
    if (l->block == NULL ||
        !porch_ring_init(&l->results, l->slots, sizeof l->slots[0], PORCH_LANE_RESULTS)) {
        free(l->block);
        free(l);
        return NULL;
    }
    l->cap = cap;
    l->store = s;
    l->wake_writer = wake_writer;
    atomic_init(&l->head, 0);
    atomic_init(&l->tail, 0);
    return l;
}

void porch_lane_free(porch_store_lane *l) {
    if (l == NULL) return;
    free(l->block);
    free(l);
}

/* ---- the shard's side --------------------------------------------------------------------------- */

static porch_bytes cut(const uint8_t **at, size_t len) {
    porch_bytes b = {*at, len};
    *at += len;
    return b;
}

static uint8_t *put(uint8_t *at, porch_bytes b) {
    if (b.len > 0) memcpy(at, b.at, b.len);
    return at + b.len;
}

static porch_err record_size(const porch_store_lane *l, const porch_store_message *m, size_t *ret) {
    if (m->device.len > UINT16_MAX || m->topic.len > UINT16_MAX || m->payload.len > l->cap / 2 ||
        m->properties.len > l->cap / 2 || m->note.len > l->cap / 2)
        return PORCH_ERR_LIMIT;
    size_t need = sizeof(record_head) + m->device.len + m->topic.len + m->properties.len + m->note.len +
                  m->payload.len;
    need = (need + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (need > l->cap / 2) return PORCH_ERR_LIMIT;
    *ret = need;
    return PORCH_OK;
}

/* A record that does not fit before the block's end leaves what is there unused: never more than itself. */
porch_err porch_store_lane_takes(const porch_store_lane *l, uint32_t records, size_t bytes) {
    size_t need = bytes + records * (sizeof(record_head) + ALIGN);
    if (bytes > l->cap / 2 || need > l->cap / 2) return PORCH_ERR_LIMIT;
    size_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);
    size_t room = l->cap - (tail - atomic_load_explicit(&l->head, memory_order_acquire));
    size_t to_end = l->cap - (tail & (l->cap - 1));
    return room >= need + (to_end < need ? to_end : 0) ? PORCH_OK : PORCH_ERR_BUSY;
}

porch_err porch_store_lane_append(porch_store_lane *l, const porch_store_message *m, uint64_t *ticket) {
    size_t need = 0;
    PORCH_TRY(record_size(l, m, &need));
    size_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);
    size_t room = l->cap - (tail - atomic_load_explicit(&l->head, memory_order_acquire));
    size_t place = tail & (l->cap - 1);
    size_t to_end = l->cap - place;
    size_t skip = to_end < need ? to_end : 0;
    if (room < skip + need) return PORCH_ERR_BUSY;
    if (skip > 0) {
        /* `to_end` is a multiple of ALIGN, but may be shorter than a head: total and skip are told apart
         * by the reader from the place alone then (see read_head). */
        if (skip >= sizeof(record_head)) {
            record_head pass = {.total = (uint32_t)skip, .skip = 1};
            memcpy(l->block + place, &pass, sizeof pass);
        }
        place = 0;
    }
    record_head head = {.total = (uint32_t)need,
                        .payload_len = (uint32_t)m->payload.len,
                        .at_ms = m->at_ms,
                        .device_len = (uint16_t)m->device.len,
                        .topic_len = (uint16_t)m->topic.len,
                        .properties_len = (uint32_t)m->properties.len,
                        .note_len = (uint32_t)m->note.len,
                        .origin = m->origin,
                        .flags = m->flags,
                        .qos = m->qos};
    memcpy(l->block + place, &head, sizeof head);
    uint8_t *at = put(put(l->block + place + sizeof head, m->device), m->topic);
    (void)put(put(put(at, m->properties), m->note), m->payload);
    atomic_store(&l->tail, tail + skip + need);
    *ticket = ++l->given;
    l->wake_writer(l->store);
    return PORCH_OK;
}

bool porch_store_lane_poll(porch_store_lane *l, porch_store_answer *ret) {
    return porch_ring_pop(&l->results, ret);
}

uint64_t porch_store_lane_last(const porch_store_lane *l) {
    return l->given;
}

/* ---- the writer's side -------------------------------------------------------------------------- */

bool porch_lane_ready(porch_store_lane *l) {
    return atomic_load(&l->tail) != l->reading &&
           porch_ring_count(&l->results) + PORCH_LANE_RUNS <= PORCH_LANE_RESULTS;
}

bool porch_lane_read(porch_store_lane *l, porch_store_message *ret, uint64_t *ticket) {
    size_t tail = atomic_load_explicit(&l->tail, memory_order_acquire);
    if (l->reading == tail) return false;
    size_t place = l->reading & (l->cap - 1);
    size_t to_end = l->cap - place;
    record_head head;
    bool pass = to_end < sizeof head;
    if (!pass) {
        memcpy(&head, l->block + place, sizeof head);
        pass = head.skip == 1;
    }
    if (pass) { /* a skip is always followed by its record: both were published by one store */
        l->reading += to_end;
        memcpy(&head, l->block, sizeof head);
        place = 0;
    }
    const uint8_t *at = l->block + place + sizeof head;
    ret->at_ms = head.at_ms;
    ret->qos = head.qos;
    ret->flags = head.flags;
    ret->origin = head.origin;
    ret->device = cut(&at, head.device_len);
    ret->topic = cut(&at, head.topic_len);
    ret->properties = cut(&at, head.properties_len);
    ret->note = cut(&at, head.note_len);
    ret->payload = cut(&at, head.payload_len);
    l->reading += head.total;
    *ticket = ++l->read_ticket;
    return true;
}

porch_lane_mark porch_lane_mark_now(const porch_store_lane *l) {
    return (porch_lane_mark){l->reading, l->read_ticket};
}

void porch_lane_back_to(porch_store_lane *l, porch_lane_mark mark) {
    l->reading = mark.reading;
    l->read_ticket = mark.read_ticket;
}

bool porch_lane_may_answer(const porch_store_lane *l) {
    return l->run_count < PORCH_LANE_RUNS;
}

void porch_lane_answer(porch_store_lane *l, uint64_t upto, uint64_t seq, porch_err result) {
    if (l->run_count > 0 && l->runs[l->run_count - 1].result == result) {
        l->runs[l->run_count - 1].upto = upto;
        l->runs[l->run_count - 1].seq = seq;
    } else {
        l->runs[l->run_count++] = (porch_lane_result){upto, seq, result};
    }
}

void porch_lane_unanswer(porch_store_lane *l) {
    l->run_count = 0;
}

void porch_lane_release(porch_store_lane *l, porch_err batch) {
    if (l->run_count == 0 && batch == PORCH_OK) return;
    if (batch != PORCH_OK) {
        if (l->reading == atomic_load_explicit(&l->head, memory_order_relaxed))
            return; /* nothing was read */
        l->runs[0] = (porch_lane_result){l->read_ticket, 0, batch};
        l->run_count = 1;
    }
    for (size_t i = 0; i < l->run_count; i++)
        (void)porch_ring_push(&l->results, &l->runs[i]); /* porch_lane_ready saw the room */
    l->run_count = 0;
    atomic_store_explicit(&l->head, l->reading, memory_order_release);
    if (l->wake != NULL) l->wake(l->wake_ctx);
}
