/* A connection whose bytes travel in WebSocket frames: what porch_conn does for it besides. The protocol on
 * top (the broker's MQTT) sees the same hooks, bytes and timers as on a plain connection.
 *
 *   TLS ─► input: frames taken off, in place ─► take          fill, put ─► gather: one frame a record ─►
 * TLS
 *
 * Input that take leaves is kept without frames. Output waits without frames, too, and gets its frame when
 * a record is written; only what a full socket left over (ws->framed) is kept as it was. */
#include <stdlib.h>
#include <string.h>

#include "cloud/listener/room.h"

static void on_ws_timer(void *ctx);

static const porch_settings *settings_of(const porch_conn *c) {
    return &c->shard->listener->settings;
}

static void arm(porch_conn *c, uint64_t after_ms) {
    porch_loop_timer_set(c->shard->loop, &c->ws->timer, after_ms, on_ws_timer, c);
}

/* ---- life ---- */

porch_err porch_ws_begin(porch_conn *c) {
    const porch_settings *set = settings_of(c);
    porch_ws_limits limits = {set->websocket_frame_bytes, set->websocket_message_bytes,
                              set->websocket_fragments, set->websocket_control_frames};
    porch_conn_ws *ws = calloc(1, sizeof *ws);
    if (ws != NULL) ws->engine = porch_ws_new(&limits);
    if (ws == NULL || ws->engine == NULL) {
        free(ws);
        return PORCH_ERR_NO_SPACE;
    }
    ws->framed = c->pend_len;
    ws->heard_ms = porch_shard_now(c->shard);
    c->ws = ws;
    c->hooks = c->shard->listener->config.mqtt;
    porch_count_add(&c->shard->counts.websockets, 1);
    arm(c, set->websocket_ping_ms);
    return PORCH_OK;
}

void porch_ws_arrive(porch_conn *c) {
    if (c->ws == NULL) return;
    c->ws->heard_ms = porch_shard_now(c->shard);
    porch_count_add(&c->shard->counts.websockets, 1);
    arm(c, settings_of(c)->websocket_ping_ms);
}

void porch_ws_leave(porch_conn *c) {
    if (c->ws == NULL) return;
    porch_loop_timer_clear(c->shard->loop, &c->ws->timer);
    porch_count_add(&c->shard->counts.websockets, -1);
}

void porch_ws_end(porch_conn *c) {
    if (c->ws == NULL) return;
    porch_ws_free(c->ws->engine);
    free(c->ws);
    c->ws = NULL;
}

/* ---- silence ---- */

static void on_ws_timer(void *ctx) {
    porch_conn *c = ctx;
    porch_conn_ws *ws = c->ws;
    uint64_t now = porch_shard_now(c->shard), most = settings_of(c)->websocket_ping_ms;
    if (c->state != PORCH_CONN_OPEN) return;
    if (c->paused || c->blocked) ws->heard_ms = now; /* it is not listened to, or does not listen itself */
    uint64_t silent = now - ws->heard_ms;
    if (silent < most) {
        arm(c, most - silent);
        return;
    }
    if (ws->pinged) {
        porch_count_add(&c->shard->counts.websockets_refused, 1);
        porch_count_add(&c->shard->counts.timeouts, 1);
        porch_conn_log_refused(c, "websocket.closed", "no answer to a ping (websocket.ping_ms)");
        porch_ws_close(ws->engine, PORCH_WS_POLICY);
        porch_conn_close(c);
        return;
    }
    ws->pinged = true;
    ws->heard_ms = now;
    porch_ws_ping(ws->engine);
    porch_conn_want_write(c);
    arm(c, most);
}

/* ---- input ---- */

size_t porch_ws_input(porch_conn *c, uint8_t *at, size_t len) {
    porch_conn_ws *ws = c->ws;
    if (len == 0 || porch_ws_over(ws->engine)) return 0;
    ws->heard_ms = porch_shard_now(c->shard);
    ws->pinged = false;
    size_t got = porch_ws_unwrap(ws->engine, at, len, ws->heard_ms);
    if (porch_ws_over(ws->engine) && porch_ws_fault(ws->engine) != NULL) {
        porch_count_add(&c->shard->counts.websockets_refused, 1);
        porch_conn_log_refused(c, "websocket.closed", porch_ws_fault(ws->engine));
    }
    if (porch_ws_has_control(ws->engine)) porch_conn_want_write(c);
    return got;
}

/* ---- output ---- */

void porch_ws_gather(porch_conn *c, porch_buf *out) {
    enum { DATA_MOST = PORCH_TLS_RECORD_BYTES - PORCH_WS_HEAD_MOST };
    porch_buf data = {out->at + PORCH_WS_HEAD_MOST, 0, DATA_MOST};
    size_t n = c->pend_len < data.cap ? c->pend_len : data.cap;
    if (n > 0) memcpy(data.at, c->pend + c->pend_at, n);
    data.len = n;
    c->pend_at += n;
    c->pend_len -= n;
    if (c->pend_len == 0 && c->pend != NULL) {
        porch_pool_give(c->shard->pool, c->pend);
        c->pend = NULL;
        c->pend_at = 0;
    }
    if (c->state == PORCH_CONN_OPEN && !c->blocked && c->pend_len == 0 && c->hooks->fill != NULL)
        c->hooks->fill(c, &data);
    if (c->state == PORCH_CONN_DEAD) return;
    if (data.len > 0) {
        uint8_t head[PORCH_WS_HEAD_MOST];
        size_t head_len = porch_ws_head(head, data.len);
        memcpy(out->at, head, head_len);
        if (head_len < PORCH_WS_HEAD_MOST) memmove(out->at + head_len, data.at, data.len);
        out->len = head_len + data.len;
    }
    bool last = c->state == PORCH_CONN_CLOSING && c->pend_len == 0;
    porch_ws_control(c->ws->engine, out, last);
}

void porch_ws_say_goodbye(porch_conn *c) {
    if (c->ws == NULL) return;
    porch_ws_close(c->ws->engine, c->shard->draining ? PORCH_WS_GOING_AWAY : PORCH_WS_NORMAL);
}
