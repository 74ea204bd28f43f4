#include "cloud/twin/twin.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "os/log.h"

typedef struct {
    char device[PORCH_TWIN_DEVICE_TEXT];
    size_t len;
    uint8_t desired[PORCH_TWIN_DOC_MOST];
} word;

struct porch_twins {
    porch_twin_reported_fn fn;
    void *ctx;
    porch_store_news *news; /* of words */
};

/* ---- a camera's settings as the state of a document ---- */

static bool good_zone(const int32_t z[4]) {
    for (size_t i = 0; i < 4; i++)
        if (z[i] < 0 || z[i] > PORCH_TWIN_ONE) return false;
    return z[2] > 0 && z[3] > 0 && z[0] + z[2] <= PORCH_TWIN_ONE && z[1] + z[3] <= PORCH_TWIN_ONE;
}

static void read_zones(porch_bytes state, porch_twin_camera *c) {
    porch_twin_doc_member m;
    int64_t n;
    if (!porch_twin_doc_find(state, "ignore", &m) || m.kind != PORCH_TWIN_DOC_LIST || m.count % 4 != 0)
        return;
    if (m.count > (size_t)PORCH_TWIN_ZONES * 4) return;
    size_t good = 0;
    for (size_t i = 0; porch_twin_doc_list_next(&m.list, &n); i++) {
        c->zones[i / 4][i % 4] = n >= 0 && n <= PORCH_TWIN_ONE ? (int32_t)n : -1;
        if (i % 4 == 3) good += good_zone(c->zones[i / 4]);
    }
    c->zone_count = good == m.count / 4 ? good : 0; /* all of them, or none */
}

static void read_camera(porch_bytes state, porch_twin_camera *ret) {
    porch_twin_doc_member m;
    memset(ret, 0, sizeof *ret);
    ret->privacy = porch_twin_doc_find(state, "privacy", &m) && m.kind == PORCH_TWIN_DOC_BOOL && m.on;
    read_zones(state, ret);
}

static porch_err write_camera(porch_buf *b, uint64_t version, const porch_twin_camera *c) {
    PORCH_TRY(porch_twin_doc_open(b, version));
    PORCH_TRY(porch_twin_doc_bool(b, "privacy", c->privacy));
    PORCH_TRY(porch_twin_doc_list(b, "ignore", &c->zones[0][0], c->zone_count * 4));
    return porch_twin_doc_close(b);
}

/* ---- zones as text ---- */

static bool take_number(porch_bytes *rest, char end, int32_t *ret) {
    uint64_t n;
    size_t len = 0;
    while (len < rest->len && rest->at[len] != (uint8_t)',' && rest->at[len] != (uint8_t)';')
        len++;
    if (porch_decimal_read((porch_bytes){rest->at, len}, PORCH_TWIN_ONE, &n) != PORCH_OK) return false;
    if (end == ',' && (len == rest->len || rest->at[len] != ',')) return false;
    if (end == ';' && len < rest->len && rest->at[len] != ';') return false;
    size_t used = len < rest->len ? len + 1 : len;
    if (used == rest->len && end == ';' && len < rest->len) return false; /* nothing after the last ';' */
    *rest = (porch_bytes){rest->at + used, rest->len - used};
    *ret = (int32_t)n;
    return true;
}

porch_err porch_twin_zones_read(porch_bytes text, porch_twin_camera *ret, porch_why *why) {
    porch_twin_camera c = *ret;
    c.zone_count = 0;
    while (text.len > 0) {
        if (c.zone_count == PORCH_TWIN_ZONES)
            return porch_fail(why, PORCH_ERR_LIMIT, "a camera has at most %d zones", PORCH_TWIN_ZONES);
        int32_t *z = c.zones[c.zone_count++];
        for (int i = 0; i < 4; i++)
            if (!take_number(&text, i < 3 ? ',' : ';', &z[i]))
                return porch_fail(why, PORCH_ERR_MALFORMED,
                                  "zones are x,y,width,height;... in ten-thousandths");
        if (!good_zone(z))
            return porch_fail(why, PORCH_ERR_MALFORMED, "a zone must have a size and lie in the picture");
    }
    *ret = c;
    return PORCH_OK;
}

/* ---- rows ---- */

static void read_desired(porch_bytes document, porch_twin_view *v) {
    porch_twin_doc d;
    if (porch_twin_doc_read(document, &d, NULL) == PORCH_OK) read_camera(d.state, &v->desired);
}

static void read_reported(porch_bytes document, porch_twin_view *v) {
    porch_twin_doc d;
    porch_twin_doc_member m;
    if (porch_twin_doc_read(document, &d, NULL) != PORCH_OK) return;
    v->has_reported = true;
    read_camera(d.state, &v->reported);
    if (porch_twin_doc_find(d.state, "capture", &m) && m.kind == PORCH_TWIN_DOC_TEXT)
        (void)porch_bytes_to_text(m.text, v->capture, sizeof v->capture);
}

porch_err porch_twin_get(porch_db *db, const char *device, porch_twin_view *ret, porch_why *why) {
    porch_twin_view v = {.desired_version = 0};
    (void)porch_bytes_to_text(porch_bytes_of(device), v.device, sizeof v.device);
    porch_db_query *q =
        porch_db_prepare(db,
                         "select desired_version, desired, desired_ms, reported_version, reported, "
                         "reported_ms from device_twin where device = ?1",
                         why);
    porch_db_bind_str(q, 1, device);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        v.desired_version = (uint64_t)porch_db_i64(q, 0);
        read_desired(porch_db_text(q, 1), &v);
        v.desired_ms = (uint64_t)porch_db_i64(q, 2);
        v.reported_version = (uint64_t)porch_db_i64(q, 3);
        read_reported(porch_db_text(q, 4), &v);
        v.reported_ms = (uint64_t)porch_db_i64(q, 5);
    }
    porch_db_finish(q);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) return e;
    *ret = v;
    return PORCH_OK;
}

static porch_err store_desired(porch_db *db, const char *device, uint64_t version, porch_bytes document,
                               uint64_t now_ms, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db,
        "insert into device_twin (device, desired_version, desired, desired_ms) select id, ?2, ?3, ?4 from "
        "device where "
        "id = ?1 on conflict (device) do update set desired_version = ?2, desired = ?3, desired_ms = ?4",
        why);
    porch_db_bind_str(q, 1, device);
    porch_db_bind_i64(q, 2, (int64_t)version);
    porch_db_bind_text(q, 3, document);
    porch_db_bind_i64(q, 4, (int64_t)now_ms);
    PORCH_TRY(porch_db_execute(q, why));
    if (porch_db_changes(db) == 0) return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such device");
    return PORCH_OK;
}

porch_err porch_twin_set(porch_db *db, const char *device, porch_twin_change change,
                         const porch_twin_camera *to, const uint64_t *base, uint64_t now_ms,
                         porch_buf *document, porch_why *why) {
    porch_twin_view v;
    PORCH_TRY(porch_twin_get(db, device, &v, why));
    if (base != NULL && *base != v.desired_version)
        return porch_fail(why, PORCH_ERR_STATE,
                          "these settings are at version %llu by now, the change was made from %llu; read "
                          "them again and change those",
                          (unsigned long long)v.desired_version, (unsigned long long)*base);
    uint64_t known = v.desired_version > v.reported_version ? v.desired_version : v.reported_version;
    porch_twin_camera c = v.desired;
    /* Nobody has wished for anything: what the camera says it is stays as it is. */
    if (v.desired_version == 0 && v.has_reported) c = v.reported;
    if (change == PORCH_TWIN_CHANGE_PRIVACY) {
        c.privacy = to->privacy;
    } else {
        c.zone_count = to->zone_count;
        memcpy(c.zones, to->zones, sizeof c.zones);
    }
    document->len = 0;
    PORCH_TRY(write_camera(document, known + 1, &c));
    return store_desired(db, device, known + 1, porch_buf_bytes(document), now_ms, why);
}

/* ---- reports ---- */

static bool is_report(const porch_store_message *m) {
    static const char end[] = "/state/reported";
    size_t n = 2 + m->device.len + sizeof end - 1;
    return m->topic.len == n && memcmp(m->topic.at, "d/", 2) == 0 &&
           memcmp(m->topic.at + 2, m->device.at, m->device.len) == 0 &&
           memcmp(m->topic.at + 2 + m->device.len, end, sizeof end - 1) == 0;
}

static porch_err store_reported(porch_db *db, const char *device, uint64_t version,
                                const porch_store_message *m, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into device_twin (device, reported_version, reported, "
                                         "reported_ms) select id, ?2, ?3, ?4 from device "
                                         "where id = ?1 on conflict (device) do update set "
                                         "reported_version = ?2, reported = ?3, reported_ms = ?4",
                                         why);
    porch_db_bind_str(q, 1, device);
    porch_db_bind_i64(q, 2, (int64_t)version);
    porch_db_bind_text(q, 3, m->payload);
    porch_db_bind_i64(q, 4, (int64_t)m->at_ms);
    return porch_db_execute(q, why);
}

/* What the device should have and has not; empty when all is well. A version above ours is one that a hub
 * gave that this one was restored over: the wish goes on above it. */
static porch_err answer(porch_db *db, const char *device, uint64_t reported, uint64_t now_ms,
                        porch_buf *document, porch_why *why) {
    porch_twin_view v;
    PORCH_TRY(porch_twin_get(db, device, &v, why));
    document->len = 0;
    if (v.desired_version == 0 || v.desired_version == reported) return PORCH_OK;
    if (v.desired_version > reported) return write_camera(document, v.desired_version, &v.desired);
    PORCH_TRY(write_camera(document, reported + 1, &v.desired));
    return store_desired(db, device, reported + 1, porch_buf_bytes(document), now_ms, why);
}

static porch_err on_message(porch_db *db, const porch_store_message *m, uint64_t seq, void *ctx,
                            porch_why *why) {
    porch_twins *t = ctx;
    porch_twin_doc d;
    (void)seq;
    if (!is_report(m)) return PORCH_OK;
    PORCH_TRY(porch_twin_doc_read(m->payload, &d, why)); /* the store logs it */
    word w = {.len = 0};
    if (!porch_bytes_to_text(m->device, w.device, sizeof w.device)) return PORCH_ERR_MALFORMED;
    PORCH_TRY(store_reported(db, w.device, d.version, m, why));
    porch_buf out = PORCH_BUF_OF(w.desired);
    PORCH_TRY(answer(db, w.device, d.version, m->at_ms, &out, why));
    w.len = out.len;
    (void)porch_store_news_add(t->news, &w); /* without memory: the device hears when it reports next */
    return PORCH_OK;
}

static void tell(const void *heard, void *ctx) {
    const porch_twins *t = ctx;
    const word *w = heard;
    if (t->fn != NULL) t->fn(w->device, (porch_bytes){w->desired, w->len}, t->ctx);
}

/* ---- life ---- */

porch_err porch_twins_open(porch_store *store, porch_twins **ret, porch_why *why) {
    porch_twins *t = calloc(1, sizeof *t);
    if (t == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for twins");
    porch_err e = porch_store_news_open(store, sizeof(word), 0, tell, t, &t->news, why);
    if (e != PORCH_OK) {
        porch_twins_close(t);
        return e;
    }
    porch_store_on_message(store, on_message, t);
    *ret = t;
    return PORCH_OK;
}

void porch_twins_close(porch_twins *t) {
    free(t);
}

void porch_twins_on_report(porch_twins *t, porch_twin_reported_fn fn, void *ctx) {
    t->fn = fn;
    t->ctx = ctx;
}
