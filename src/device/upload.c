/* The upload's requests, the table of answers, and the reader of responses. See upload.h. */
#include "device/upload.h"

#include "base/cursor.h"
#include "base/text.h"
#include "wire/http1_request.h"
#include "wire/upload.h"

enum { HEADERS_MOST = 32, CHUNK_FRAME = PORCH_HTTP1_CHUNK_HEAD_MOST + 2, CHUNK_END = 5, RESTARTS_MOST = 4 };
static const char collection[] = "/api/v1/device/clips";

/* A path of this hub: what it names is asked for on this connection, so no scheme and no host; plain
 * segments only. */
static bool is_path(porch_bytes text) {
    if (text.len < 2 || text.len > PORCH_UPLOAD_LOCATION_MOST || text.at[0] != '/') return false;
    bool segment_begins = true;
    for (size_t i = 1; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';
        bool inside = c == '-' || c == '_' || c == '.' || c == '/';
        if (!letter && !digit && (segment_begins || !inside))
            return false; /* no empty segment, no "." or ".." */
        segment_begins = c == '/';
    }
    return !segment_begins;
}

porch_err porch_upload_init(porch_upload *u, const porch_upload_config *config, porch_bytes location,
                            porch_buf in, porch_buf out) {
    if (in.cap < PORCH_UPLOAD_IN_LEAST || out.cap < PORCH_UPLOAD_OUT_LEAST) return PORCH_ERR_USAGE;
    if (location.len > 0 && !is_path(location)) return PORCH_ERR_USAGE;
    *u = (porch_upload){.config = *config, .phase = PORCH_UPLOAD_APART, .reusable = true};
    u->in = (porch_buf){in.at, 0, in.cap};
    u->out = (porch_buf){out.at, 0, out.cap};
    (void)porch_bytes_to_text(location, u->location,
                              sizeof u->location); /* is_path has checked its length */
    return PORCH_OK;
}

/* --- events --- */

static void tell(porch_upload *u, porch_upload_event_kind kind, uint16_t status, porch_bytes text) {
    enum { MOST = sizeof u->pending / sizeof u->pending[0] };
    porch_upload_event e = {kind, status, u->wait_ms, text};
    if (u->pending_count < MOST) u->pending[u->pending_count++] = e;
}

bool porch_upload_next(porch_upload *u, porch_upload_event *ret) {
    if (u->pending_count == 0) return false;
    *ret = u->pending[0];
    for (size_t i = 1; i < u->pending_count; i++)
        u->pending[i - 1] = u->pending[i];
    u->pending_count--;
    return true;
}

static void settle(porch_upload *u, porch_upload_event_kind kind, uint16_t status, porch_bytes text) {
    u->phase = kind == PORCH_UPLOAD_LATER ? PORCH_UPLOAD_APART : PORCH_UPLOAD_SETTLED;
    if (kind == PORCH_UPLOAD_LATER) u->reusable = false;
    u->waiting_since_ms = 0;
    tell(u, kind, status, text);
}

/* --- output --- */

static void compact(porch_upload *u) {
    if (u->out_read == 0) return;
    for (size_t i = u->out_read; i < u->out.len; i++)
        u->out.at[i - u->out_read] = u->out.at[i];
    u->out.len -= u->out_read;
    u->out_read = 0;
}

porch_bytes porch_upload_output(const porch_upload *u) {
    return (porch_bytes){u->out.at + u->out_read, u->out.len - u->out_read};
}

static bool awaits_answer(const porch_upload *u) {
    if (u->phase == PORCH_UPLOAD_FINAL) return u->sent == u->visible;
    return u->phase == PORCH_UPLOAD_BEGIN || u->phase == PORCH_UPLOAD_ASK ||
           u->phase == PORCH_UPLOAD_STREAMED;
}

/* The clock runs while we wait for an answer or for the peer to take what we wrote. */
static void watch(porch_upload *u, uint64_t now_ms) {
    bool waits = awaits_answer(u) || u->out.len > u->out_read;
    u->waiting_since_ms = waits ? (now_ms > 0 ? now_ms : 1) : 0;
}

void porch_upload_sent(porch_upload *u, size_t n, uint64_t now_ms) {
    size_t waits = u->out.len - u->out_read;
    u->out_read += n < waits ? n : waits;
    if (u->out_read == u->out.len) u->out.len = u->out_read = 0;
    watch(u, now_ms);
}

/* --- requests --- */

static porch_err write_value(porch_buf *b, const char *name, porch_err (*write)(porch_buf *, uint64_t),
                             uint64_t v) {
    uint8_t raw[24];
    porch_buf value = PORCH_BUF_OF(raw);
    PORCH_TRY(write(&value, v));
    return porch_http1_header_write(b, name, porch_buf_bytes(&value));
}

static porch_err write_start(porch_upload *u, const char *method, const char *target) {
    compact(u);
    return porch_http1_request_write(&u->out, method, porch_bytes_of(target),
                                     porch_bytes_of(u->config.host));
}

static porch_err write_begin(porch_upload *u) {
    PORCH_TRY(write_start(u, "POST", collection));
    PORCH_TRY(
        porch_http1_header_write(&u->out, PORCH_UPLOAD_EVENT_HEADER, porch_id_bytes(&u->config.event)));
    PORCH_TRY(porch_http1_header_write_text(&u->out, PORCH_UPLOAD_COMPLETE_HEADER, "?0"));
    PORCH_TRY(porch_http1_header_write_number(&u->out, "Content-Length", 0));
    return porch_http1_head_end(&u->out);
}

static porch_err write_ask(porch_upload *u) {
    PORCH_TRY(write_start(u, "HEAD", u->location));
    return porch_http1_head_end(&u->out);
}

static porch_err write_patch(porch_upload *u, bool last) {
    PORCH_TRY(write_start(u, "PATCH", u->location));
    PORCH_TRY(porch_http1_header_write_text(&u->out, "Content-Type", PORCH_UPLOAD_MEDIA_TYPE));
    PORCH_TRY(write_value(&u->out, PORCH_UPLOAD_OFFSET_HEADER, porch_upload_offset_write, u->sent));
    PORCH_TRY(porch_http1_header_write_text(&u->out, PORCH_UPLOAD_COMPLETE_HEADER, last ? "?1" : "?0"));
    if (!last) {
        PORCH_TRY(porch_http1_header_write_text(&u->out, "Transfer-Encoding", "chunked"));
        return porch_http1_head_end(&u->out);
    }
    uint8_t raw[80];
    porch_buf digest = PORCH_BUF_OF(raw);
    PORCH_TRY(porch_upload_digest_write(&digest, u->sha256));
    PORCH_TRY(porch_http1_header_write(&u->out, PORCH_UPLOAD_DIGEST_HEADER, porch_buf_bytes(&digest)));
    PORCH_TRY(porch_http1_header_write_number(&u->out, "Content-Length", u->visible - u->sent));
    return porch_http1_head_end(&u->out);
}

/* Enters a phase with its request. Blocks have their least size and requests are only written when earlier
 * ones have been answered, so no room means a fault of ours: try again from a new connection. */
static void request(porch_upload *u, porch_upload_phase phase, uint64_t now_ms) {
    porch_err e = PORCH_OK;
    u->phase = phase;
    if (phase == PORCH_UPLOAD_BEGIN) e = write_begin(u);
    if (phase == PORCH_UPLOAD_ASK) e = write_ask(u);
    if (phase == PORCH_UPLOAD_STREAM) e = write_patch(u, false);
    if (phase == PORCH_UPLOAD_FINAL) e = write_patch(u, true);
    if (e != PORCH_OK) {
        u->location[0] = 0;
        settle(u, PORCH_UPLOAD_LATER, 0, PORCH_LIT("a request could not be written"));
    }
    watch(u, now_ms);
}

void porch_upload_connected(porch_upload *u, uint64_t now_ms) {
    if (u->phase != PORCH_UPLOAD_APART) return;
    u->in.len = u->scanned = 0;
    u->out.len = u->out_read = 0;
    u->in_body = false;
    u->restarts = 0;
    u->wait_ms = 0;
    u->reusable = true;
    request(u, u->location[0] == 0 ? PORCH_UPLOAD_BEGIN : PORCH_UPLOAD_ASK, now_ms);
}

void porch_upload_broken(porch_upload *u) {
    u->reusable = false;
    if (u->phase == PORCH_UPLOAD_SETTLED) return;
    u->phase = PORCH_UPLOAD_APART;
    u->waiting_since_ms = 0;
    u->out.len = u->out_read = 0;
}

bool porch_upload_begun(const porch_upload *u) {
    return u->location[0] != 0;
}

bool porch_upload_connection_reusable(const porch_upload *u) {
    return u->phase == PORCH_UPLOAD_SETTLED && u->reusable && u->in.len == 0 && u->out.len == u->out_read;
}

/* --- the clip's bytes --- */

/* A growing clip's stream ends when all of it is sent; the last PATCH follows its answer. */
static void end_stream(porch_upload *u, uint64_t now_ms) {
    if (u->phase != PORCH_UPLOAD_STREAM || !u->ended || u->sent != u->visible) return;
    compact(u);
    if (porch_http1_chunk_write_end(&u->out) != PORCH_OK) return; /* tried again after the next sent */
    u->phase = PORCH_UPLOAD_STREAMED;
    watch(u, now_ms);
}

void porch_upload_grown(porch_upload *u, uint64_t visible, uint64_t now_ms) {
    (void)now_ms;
    if (!u->ended && visible > u->visible) u->visible = visible;
}

void porch_upload_ended(porch_upload *u, const uint8_t sha256[32], uint64_t now_ms) {
    if (u->ended) return;
    u->ended = true;
    for (size_t i = 0; i < sizeof u->sha256; i++)
        u->sha256[i] = sha256[i];
    end_stream(u, now_ms);
}

size_t porch_upload_wants(const porch_upload *u, uint64_t *offset) {
    if (u->phase != PORCH_UPLOAD_STREAM && u->phase != PORCH_UPLOAD_FINAL) return 0;
    size_t frame = u->phase == PORCH_UPLOAD_STREAM ? CHUNK_FRAME + CHUNK_END : 0;
    size_t waits = u->out.len - u->out_read;
    if (u->out.cap - waits <= frame) return 0;
    size_t room = u->out.cap - waits - frame;
    /* Small bites while much waits would only make small chunks. */
    if (waits > 0 && room < u->out.cap / 4) return 0;
    uint64_t left = u->visible - u->sent;
    *offset = u->sent;
    return left < room ? (size_t)left : room;
}

void porch_upload_give(porch_upload *u, porch_bytes clip, uint64_t now_ms) {
    uint64_t offset = 0;
    if (clip.len == 0 || clip.len > porch_upload_wants(u, &offset)) return;
    compact(u);
    porch_err e = u->phase == PORCH_UPLOAD_STREAM ? porch_http1_chunk_write(&u->out, clip)
                                                  : porch_write_bytes(&u->out, clip);
    if (e != PORCH_OK) return; /* wants() has left room for the frame */
    u->sent += clip.len;
    if (!u->started) {
        u->started = true;
        tell(u, PORCH_UPLOAD_STARTED, 0, (porch_bytes){0});
    }
    end_stream(u, now_ms);
    watch(u, now_ms);
}

/* --- answers: what each status means in each phase, first row that fits --- */

typedef enum { GO_ON, ASK_AGAIN, BEGIN_AGAIN, HASH_AGAIN, TRY_LATER, GIVE_UP } verdict;

#define IN(phase) (1u << (PORCH_UPLOAD_##phase))
#define IN_ANY    0xffu
#define IN_PATCH  (IN(STREAM) | IN(STREAMED) | IN(FINAL))

static const struct {
    uint16_t from, to; /* statuses */
    unsigned phases;
    verdict verdict;
} answers[] = {
    {200, 299, IN(BEGIN) | IN(ASK) | IN(STREAMED) | IN(FINAL), GO_ON},
    {404, 404, IN(ASK) | IN_PATCH, BEGIN_AGAIN}, /* the hub has forgotten the clip */
    {410, 410, IN(ASK) | IN_PATCH, BEGIN_AGAIN},
    {410, 410, IN(BEGIN), GIVE_UP},   /* a person has deleted the event */
    {409, 409, IN_PATCH, ASK_AGAIN},  /* offsets disagree */
    {422, 422, IN_PATCH, HASH_AGAIN}, /* the hub starts the clip anew */
    {400, 400, IN_ANY, GIVE_UP},
    {405, 406, IN_ANY, GIVE_UP},
    {411, 417, IN_ANY, GIVE_UP},
    {422, 422, IN_ANY, GIVE_UP},
    {501, 501, IN_ANY, GIVE_UP},
    {0, UINT16_MAX, IN_ANY, TRY_LATER}, /* access may come back, quotas empty, hubs recover */
};

static verdict judge(const porch_upload *u) {
    size_t i = 0;
    while (u->status < answers[i].from || u->status > answers[i].to ||
           (answers[i].phases & (1u << u->phase)) == 0)
        i++;
    return answers[i].verdict;
}

static porch_bytes detail_of(const porch_upload *u) {
    if (u->detail_len > 0) return (porch_bytes){(const uint8_t *)u->detail, u->detail_len};
    return porch_bytes_of(porch_http1_status_text(u->status));
}

/* From an agreed offset: stream what comes, or send the rest of a clip that has ended in one piece. */
static void go_on_from(porch_upload *u, uint64_t offset, uint64_t now_ms) {
    if (offset > u->visible) {
        settle(u, PORCH_UPLOAD_REFUSED, u->status,
               PORCH_LIT("the hub claims more of the clip than there is"));
        return;
    }
    u->sent = offset;
    request(u, u->ended ? PORCH_UPLOAD_FINAL : PORCH_UPLOAD_STREAM, now_ms);
}

static void go_on(porch_upload *u, uint64_t now_ms) {
    switch (u->phase) {
    case PORCH_UPLOAD_BEGIN:
        if (u->location[0] == 0) {
            settle(u, PORCH_UPLOAD_LATER, u->status, PORCH_LIT("the hub named no location for the clip"));
            return;
        }
        tell(u, PORCH_UPLOAD_LOCATED, u->status, porch_bytes_of(u->location));
        /* 201: new, so nothing is there yet. 200: begun before. */
        if (u->status == 201)
            go_on_from(u, 0, now_ms);
        else
            request(u, PORCH_UPLOAD_ASK, now_ms);
        return;
    case PORCH_UPLOAD_ASK:
        if (u->told_complete)
            settle(u, PORCH_UPLOAD_COMPLETE, u->status, (porch_bytes){0});
        else if (u->told_offset == UINT64_MAX)
            settle(u, PORCH_UPLOAD_LATER, u->status,
                   PORCH_LIT("the hub did not say where the upload stands"));
        else
            go_on_from(u, u->told_offset, now_ms);
        return;
    case PORCH_UPLOAD_STREAMED:
        if (u->told_offset != UINT64_MAX && u->told_offset != u->sent)
            request(u, PORCH_UPLOAD_ASK, now_ms);
        else
            request(u, PORCH_UPLOAD_FINAL, now_ms);
        return;
    case PORCH_UPLOAD_FINAL:
        settle(u, PORCH_UPLOAD_COMPLETE, u->status, (porch_bytes){0});
        return;
    default:
        settle(u, PORCH_UPLOAD_LATER, u->status, PORCH_LIT("an answer that nothing asked for"));
    }
}

static void answered(porch_upload *u, uint64_t now_ms) {
    verdict v = judge(u);
    bool mid_request =
        u->phase == PORCH_UPLOAD_STREAM || (u->phase == PORCH_UPLOAD_FINAL && u->sent != u->visible);
    /* An answer before the request's end, or a hub that closes: what follows needs a new connection. */
    if (mid_request) u->reusable = false;
    if (mid_request && v == GO_ON) v = TRY_LATER;
    bool again = v == ASK_AGAIN || v == BEGIN_AGAIN || v == HASH_AGAIN;
    if (again && u->restarts++ >= RESTARTS_MOST) v = TRY_LATER;
    if (v == HASH_AGAIN && ++u->hash_failures > 2) v = GIVE_UP;
    if (v == BEGIN_AGAIN) u->location[0] = 0;
    /* Where the answer completes the clip it does not matter how the connection fares. */
    bool last = u->phase == PORCH_UPLOAD_FINAL || (u->phase == PORCH_UPLOAD_ASK && u->told_complete);
    if (v == GIVE_UP)
        settle(u, PORCH_UPLOAD_REFUSED, u->status, detail_of(u));
    else if (v == TRY_LATER || (!u->reusable && !(v == GO_ON && last)))
        settle(u, PORCH_UPLOAD_LATER, u->status, detail_of(u));
    else if (v == GO_ON)
        go_on(u, now_ms);
    else
        request(u, v == BEGIN_AGAIN ? PORCH_UPLOAD_BEGIN : PORCH_UPLOAD_ASK, now_ms);
}

/* --- responses --- */

static void not_http(porch_upload *u, const char *what) {
    settle(u, PORCH_UPLOAD_LATER, 0, porch_bytes_of(what));
}

static void take_headers(porch_upload *u, const porch_http1_response *r) {
    const porch_http1_header *h = porch_http1_header_find(&r->headers, PORCH_UPLOAD_OFFSET_HEADER);
    if (!h || porch_upload_offset_parse(h->value, &u->told_offset) != PORCH_OK) u->told_offset = UINT64_MAX;
    h = porch_http1_header_find(&r->headers, PORCH_UPLOAD_COMPLETE_HEADER);
    if (!h || porch_upload_complete_parse(h->value, &u->told_complete) != PORCH_OK)
        u->told_complete = false;
    h = porch_http1_header_find(&r->headers, "Retry-After");
    uint64_t seconds = 0;
    u->wait_ms = h && porch_decimal_read(h->value, 86400, &seconds) == PORCH_OK ? seconds * 1000 : 0;
    h = porch_http1_header_find(&r->headers, "Location");
    if (u->phase == PORCH_UPLOAD_BEGIN && h && is_path(h->value))
        (void)porch_bytes_to_text(h->value, u->location, sizeof u->location);
}

/* True when a head was taken off the in block (a 1xx one leads nowhere: the real one follows). */
static bool take_head(porch_upload *u) {
    const porch_http1_limits limits = {.head_bytes = u->in.cap, .target_bytes = 1, .headers = HEADERS_MOST};
    porch_http1_header room[HEADERS_MOST];
    porch_http1_fault fault = {0, "an answer that is no HTTP"};
    porch_http1_response r;
    size_t head_bytes = 0;
    porch_err e = porch_http1_head_find(porch_buf_bytes(&u->in), &limits, &u->scanned, &head_bytes, &fault);
    if (e == PORCH_ERR_TRUNCATED && u->in.len < u->in.cap) return false;
    if (e == PORCH_OK)
        e = porch_http1_response_read((porch_bytes){u->in.at, head_bytes}, &limits,
                                      u->phase == PORCH_UPLOAD_ASK,
                                      (porch_http1_headers){room, 0, HEADERS_MOST}, &fault, &r);
    if (e != PORCH_OK) {
        not_http(u, fault.what);
        return false;
    }
    if (r.status >= 200) {
        u->status = r.status;
        take_headers(u, &r);
        if (!r.keep_alive || r.body == PORCH_HTTP1_BODY_CLOSE) u->reusable = false;
        u->body_kind = r.body;
        u->body_left = r.body == PORCH_HTTP1_BODY_LENGTH ? r.body_bytes : 0;
        u->chunk = (porch_http1_chunk){0};
        u->detail_len = 0;
        u->in_body = true;
    }
    for (size_t i = head_bytes; i < u->in.len; i++)
        u->in.at[i - head_bytes] = u->in.at[i];
    u->in.len -= head_bytes;
    u->scanned = 0;
    return true;
}

static void keep_detail(porch_upload *u, porch_bytes data) {
    for (size_t i = 0; i < data.len && u->detail_len < sizeof u->detail; i++) {
        uint8_t c = data.at[i];
        if (c < 0x20 || c > 0x7e) c = ' ';
        u->detail[u->detail_len++] = (char)c;
    }
}

/* Takes body bytes off the in block; true when the response is whole. A body that lasts until the
 * connection's end counts as whole at once: nothing in it is needed. */
static bool take_body(porch_upload *u) {
    size_t used = 0;
    bool whole = u->body_kind == PORCH_HTTP1_BODY_NONE || u->body_kind == PORCH_HTTP1_BODY_CLOSE;
    if (u->body_kind == PORCH_HTTP1_BODY_CLOSE) {
        keep_detail(u, porch_buf_bytes(&u->in));
        used = u->in.len;
    }
    if (u->body_kind == PORCH_HTTP1_BODY_LENGTH) {
        used = u->body_left < u->in.len ? (size_t)u->body_left : u->in.len;
        keep_detail(u, (porch_bytes){u->in.at, used});
        u->body_left -= used;
        whole = u->body_left == 0;
    }
    while (u->body_kind == PORCH_HTTP1_BODY_CHUNKED && used < u->in.len && !whole) {
        porch_bytes data = {0};
        size_t n = 0;
        if (porch_http1_chunk_read(&u->chunk, (porch_bytes){u->in.at + used, u->in.len - used}, &data,
                                   &n) != PORCH_OK) {
            not_http(u, "an answer whose chunks are broken");
            return false;
        }
        keep_detail(u, data);
        used += n;
        whole = porch_http1_chunk_done(&u->chunk);
        if (n == 0) break;
    }
    for (size_t i = used; i < u->in.len; i++)
        u->in.at[i - used] = u->in.at[i];
    u->in.len -= used;
    return whole;
}

void porch_upload_take(porch_upload *u, porch_bytes from_peer, uint64_t now_ms) {
    while (u->phase != PORCH_UPLOAD_APART && u->phase != PORCH_UPLOAD_SETTLED) {
        size_t fits = u->in.cap - u->in.len;
        size_t n = from_peer.len < fits ? from_peer.len : fits;
        for (size_t i = 0; i < n; i++)
            u->in.at[u->in.len + i] = from_peer.at[i];
        u->in.len += n;
        from_peer.at += n;
        from_peer.len -= n;
        if (u->in.len == 0 && !u->in_body) return;
        if (!u->in_body) {
            if (!take_head(u)) return;
        } else if (take_body(u)) {
            u->in_body = false;
            answered(u, now_ms);
        } else if (from_peer.len == 0) {
            return;
        }
    }
    if (from_peer.len > 0) u->reusable = false; /* more than was asked for */
}

/* --- time --- */

uint64_t porch_upload_deadline(const porch_upload *u) {
    return u->waiting_since_ms == 0 ? UINT64_MAX : u->waiting_since_ms + u->config.answer_ms;
}

void porch_upload_tick(porch_upload *u, uint64_t now_ms) {
    end_stream(u, now_ms);
    if (now_ms < porch_upload_deadline(u)) return;
    u->wait_ms = 0;
    settle(u, PORCH_UPLOAD_LATER, 0, PORCH_LIT("the hub did not answer in time"));
}
