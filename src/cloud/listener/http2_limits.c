/* What an HTTP/2 peer may do how often. Cheap frames that cost the receiver work are how this protocol has
 * been abused: rapid reset (CVE-2023-44487), floods of SETTINGS, PING, PRIORITY, empty and unknown frames
 * (CVE-2019-9511 to 9518), endless CONTINUATION (CVE-2024-27316), resets provoked from the server
 * (CVE-2025-8671). Each kind has a row in the settings and counts for ten seconds; header blocks have a
 * length and a time. Above it the connection ends with GOAWAY ENHANCE_YOUR_CALM and one log line. */
#include <string.h>

#include "cloud/listener/http2.h"

enum { PERIOD_MS = 10000, PRIORITY_UPDATE = 0x10, PREFACE_BYTES = 24 };

static const char *const reasons[PORCH_HTTP2_RATES] = {
    [PORCH_HTTP2_RESETS] = "too many streams were reset (http2.resets)",
    [PORCH_HTTP2_SETTINGS] = "too many SETTINGS frames (http2.settings)",
    [PORCH_HTTP2_PINGS] = "too many PING frames (http2.pings)",
    [PORCH_HTTP2_PRIORITIES] = "too many PRIORITY frames (http2.priorities)",
    [PORCH_HTTP2_WINDOW_UPDATES] = "too many WINDOW_UPDATE frames (http2.window_updates)",
    [PORCH_HTTP2_EMPTY_FRAMES] = "too many empty or unknown frames (http2.empty_frames)",
    [PORCH_HTTP2_STALLS] = "too many answers were asked for and not read (http2.stalls)",
};

static uint32_t most(const porch_settings *s, porch_http2_rate rate) {
    switch (rate) {
    case PORCH_HTTP2_RESETS:
        return s->http2_resets;
    case PORCH_HTTP2_SETTINGS:
        return s->http2_settings;
    case PORCH_HTTP2_PINGS:
        return s->http2_pings;
    case PORCH_HTTP2_PRIORITIES:
        return s->http2_priorities;
    case PORCH_HTTP2_WINDOW_UPDATES:
        return s->http2_window_updates;
    case PORCH_HTTP2_EMPTY_FRAMES:
        return s->http2_empty_frames;
    case PORCH_HTTP2_STALLS:
        return s->http2_stalls;
    case PORCH_HTTP2_RATES:
        break;
    }
    return 0;
}

static bool refuse(porch_http2_fault *fault, const char *reason) {
    *fault = (porch_http2_fault){NGHTTP2_ENHANCE_YOUR_CALM, reason};
    return false;
}

bool porch_http2_count(porch_http2_limits *l, const porch_settings *s, porch_http2_rate rate,
                       uint64_t now_ms, porch_http2_fault *fault) {
    if (now_ms - l->since_ms >= PERIOD_MS) {
        l->since_ms = now_ms;
        for (int i = 0; i < PORCH_HTTP2_RATES; i++)
            l->counts[i] = 0;
    }
    if (l->counts[rate] >= most(s, rate)) return refuse(fault, reasons[rate]);
    l->counts[rate]++;
    return true;
}

static bool count_window_update(porch_http2_limits *l, const porch_settings *s, uint64_t now_ms,
                                porch_http2_fault *fault) {
    if (l->window_credit == 0) return porch_http2_count(l, s, PORCH_HTTP2_WINDOW_UPDATES, now_ms, fault);
    l->window_credit--;
    return true;
}

bool porch_http2_frame_allowed(porch_http2_limits *l, const porch_settings *s, const nghttp2_frame_hd *hd,
                               uint64_t now_ms, porch_http2_fault *fault) {
    bool ack = (hd->flags & NGHTTP2_FLAG_ACK) != 0;
    switch (hd->type) {
    case NGHTTP2_DATA:
        if (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0) return true;
        return porch_http2_count(l, s, PORCH_HTTP2_EMPTY_FRAMES, now_ms, fault);
    case NGHTTP2_HEADERS:
        l->continuations = 0;
        return true;
    case NGHTTP2_CONTINUATION:
        if (++l->continuations <= s->http2_continuations) return true;
        return refuse(fault, "a header block in too many frames (http2.continuations)");
    case NGHTTP2_PRIORITY:
        return porch_http2_count(l, s, PORCH_HTTP2_PRIORITIES, now_ms, fault);
    case NGHTTP2_RST_STREAM:
        return porch_http2_count(l, s, PORCH_HTTP2_RESETS, now_ms, fault);
    case NGHTTP2_SETTINGS:
        return ack || porch_http2_count(l, s, PORCH_HTTP2_SETTINGS, now_ms, fault);
    case NGHTTP2_PING:
        return porch_http2_count(l, s, PORCH_HTTP2_PINGS, now_ms, fault);
    case NGHTTP2_GOAWAY:
        return porch_http2_count(l, s, PORCH_HTTP2_EMPTY_FRAMES, now_ms, fault);
    case NGHTTP2_WINDOW_UPDATE:
        return count_window_update(l, s, now_ms, fault);
    default:
        return true; /* unknown types do not come by here: see porch_http2_input_allowed */
    }
}

/* Takes up to `want` bytes from the front. */
static size_t take(porch_bytes *in, size_t want) {
    size_t n = in->len < want ? in->len : want;
    *in = (porch_bytes){in->at + n, in->len - n};
    return n;
}

static void begin_frame(porch_http2_limits *l, uint64_t now_ms) {
    uint8_t type = l->head[3], flags = l->head[4];
    l->payload_left = (uint32_t)l->head[0] << 16 | (uint32_t)l->head[1] << 8 | l->head[2];
    if (type == NGHTTP2_HEADERS) l->head_since_ms = now_ms;
    bool part = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
    l->head_ends = part && (flags & NGHTTP2_FLAG_END_HEADERS) != 0;
}

static void end_frame(porch_http2_limits *l) {
    if (l->head_ends) l->head_since_ms = 0;
    l->head_ends = false;
}

bool porch_http2_input_allowed(porch_http2_limits *l, const porch_settings *s, porch_bytes in,
                               uint64_t now_ms, porch_http2_fault *fault) {
    l->preface_got += take(&in, PREFACE_BYTES - l->preface_got);
    while (in.len > 0) {
        l->payload_left -= (uint32_t)take(&in, l->payload_left);
        if (l->payload_left > 0) break;
        end_frame(l);
        const uint8_t *at = in.at;
        size_t n = take(&in, sizeof l->head - l->head_got);
        if (n > 0) memcpy(l->head + l->head_got, at, n);
        l->head_got += n;
        if (l->head_got < sizeof l->head) break;
        l->head_got = 0;
        begin_frame(l, now_ms);
        if (l->payload_left == 0) end_frame(l);
        uint8_t type = l->head[3];
        if (type <= NGHTTP2_CONTINUATION) continue;
        porch_http2_rate rate = type == PRIORITY_UPDATE ? PORCH_HTTP2_PRIORITIES : PORCH_HTTP2_EMPTY_FRAMES;
        if (!porch_http2_count(l, s, rate, now_ms, fault)) return false;
    }
    return true;
}
