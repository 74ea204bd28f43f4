#include "cloud/listener/ws.h"

#include <stdlib.h>
#include <string.h>

#include <wslay/wslay.h>

enum { PERIOD_MS = 10000, CONTROL_BYTES = 125, FIN = 0x80 };
_Static_assert(PORCH_WS_CONTROL_MOST >= 2 * (2 + CONTROL_BYTES) + 4, "pong, ping and close fit");

struct porch_ws {
    wslay_frame_context_ptr frames;
    porch_ws_limits limits;
    const char *fault;
    bool over; /* nothing more is taken */

    /* the frame being read */
    uint64_t left;
    uint8_t opcode;
    uint8_t control[CONTROL_BYTES];
    size_t control_len;
    /* the message it belongs to */
    bool in_message;
    uint64_t message_bytes;
    uint32_t fragments;
    /* frames that bring nothing */
    uint32_t controls;
    uint64_t since_ms, now_ms;

    /* while unwrap runs */
    uint8_t *at;
    size_t len, read, written;

    /* to be sent. Of many pings the last is answered (RFC 6455, 5.5.3): floods do not pile up */
    uint8_t pong[CONTROL_BYTES];
    size_t pong_len;
    bool pong_waits, ping_waits, close_waits, closed;
    uint16_t close_code; /* 0: a close frame without one */
};

/* ---- what the peer may do ---- */

static void refuse(porch_ws *w, uint16_t code, const char *fault) {
    if (w->over) return;
    w->over = true;
    w->fault = fault;
    porch_ws_close(w, code);
}

/* Frames that cost us work and bring nothing: a peer has a number of them in ten seconds. */
static void count_idle_frame(porch_ws *w) {
    if (w->now_ms - w->since_ms >= PERIOD_MS) {
        w->since_ms = w->now_ms;
        w->controls = 0;
    }
    if (++w->controls > w->limits.control_frames)
        refuse(w, PORCH_WS_POLICY, "too many pings or empty frames (websocket.control_frames)");
}

/* The rules that wslay's frame reader leaves to its user; NULL: all are kept. */
static const char *broken_rule(const porch_ws *w, const struct wslay_frame_iocb *f) {
    if (f->rsv != 0) return "a frame uses an extension that was not agreed (RFC 6455, 5.2)";
    if (!f->mask) return "a client's frame is not masked (RFC 6455, 5.1)";
    switch (f->opcode) {
    case WSLAY_CONTINUATION_FRAME:
        return w->in_message ? NULL : "a frame continues a message that has not begun (RFC 6455, 5.4)";
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        return w->in_message ? "a message begins before the last has ended (RFC 6455, 5.4)" : NULL;
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return NULL;
    default:
        return "a frame of a kind that is reserved (RFC 6455, 5.2)";
    }
}

static void judge_data(porch_ws *w, const struct wslay_frame_iocb *f) {
    if (f->opcode != WSLAY_CONTINUATION_FRAME) {
        w->message_bytes = 0;
        w->fragments = 0;
    }
    w->in_message = !f->fin;
    if (f->opcode == WSLAY_TEXT_FRAME) {
        refuse(w, PORCH_WS_UNSUPPORTED, "a text frame: MQTT travels in binary frames (MQTT 5.0, 6)");
    } else if (f->payload_length > w->limits.frame_bytes) {
        refuse(w, PORCH_WS_TOO_BIG, "a frame is too large (websocket.frame_bytes)");
    } else if (f->payload_length > w->limits.message_bytes - w->message_bytes) {
        refuse(w, PORCH_WS_TOO_BIG, "a message is too large (websocket.message_bytes)");
    } else if (++w->fragments > w->limits.fragments) {
        refuse(w, PORCH_WS_POLICY, "a message has too many frames (websocket.fragments)");
    } else {
        w->message_bytes += f->payload_length;
    }
}

static void begin_frame(porch_ws *w, const struct wslay_frame_iocb *f) {
    const char *rule = broken_rule(w, f);
    if (rule != NULL) {
        refuse(w, PORCH_WS_PROTOCOL_ERROR, rule);
        return;
    }
    bool control = wslay_is_ctrl_frame(f->opcode);
    w->opcode = f->opcode;
    w->left = f->payload_length;
    w->control_len = 0;
    if ((control && f->opcode != WSLAY_CONNECTION_CLOSE) || f->payload_length == 0) count_idle_frame(w);
    if (!control && !w->over) judge_data(w, f);
}

/* ---- what frames bring ---- */

/* Codes that may travel (RFC 6455, 7.4). */
static bool good_code(unsigned code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void take_close(porch_ws *w) {
    unsigned code = w->control_len < 2 ? 0 : (unsigned)w->control[0] << 8 | w->control[1];
    if (w->control_len == 1 || (code != 0 && !good_code(code)) || (w->control_len >= 2 && code == 0)) {
        refuse(w, PORCH_WS_PROTOCOL_ERROR, "a close frame with a code that is none (RFC 6455, 7.4)");
        return;
    }
    w->over = true;
    porch_ws_close(w, (uint16_t)code);
}

static void end_frame(porch_ws *w) {
    if (w->opcode == WSLAY_CONNECTION_CLOSE) {
        take_close(w);
    } else if (w->opcode == WSLAY_PING) {
        memcpy(w->pong, w->control, w->control_len);
        w->pong_len = w->control_len;
        w->pong_waits = true;
    }
}

static void take_payload(porch_ws *w, const uint8_t *at, size_t len) {
    if (len > 0 && wslay_is_ctrl_frame(w->opcode)) {
        /* wslay lets no control frame through that is longer than 125 bytes */
        memcpy(w->control + w->control_len, at, len);
        w->control_len += len;
    } else if (len > 0) {
        /* More has been read than it carried: what is not read yet is never written over. */
        memcpy(w->at + w->written, at, len);
        w->written += len;
    }
    w->left -= len;
    if (w->left == 0) end_frame(w);
}

static ssize_t on_recv(uint8_t *to, size_t cap, int flags, void *user) {
    (void)flags;
    porch_ws *w = user;
    size_t n = w->len - w->read;
    if (n > cap) n = cap;
    if (n == 0) return -1;
    memcpy(to, w->at + w->read, n);
    w->read += n;
    return (ssize_t)n;
}

size_t porch_ws_unwrap(porch_ws *w, uint8_t *at, size_t len, uint64_t now_ms) {
    w->at = at;
    w->len = len;
    w->read = w->written = 0;
    w->now_ms = now_ms;
    while (!w->over) {
        struct wslay_frame_iocb f;
        memset(&f, 0, sizeof f);
        ssize_t n = wslay_frame_recv(w->frames, &f);
        if (n == WSLAY_ERR_WANT_READ) break;
        if (n < 0) {
            refuse(w, PORCH_WS_PROTOCOL_ERROR, "a frame's head breaks the rules of RFC 6455, 5.2");
            break;
        }
        if (w->left == 0) begin_frame(w, &f);
        if (!w->over) take_payload(w, f.data, f.data_length);
    }
    w->at = NULL;
    return w->written;
}

bool porch_ws_over(const porch_ws *w) {
    return w->over;
}

const char *porch_ws_fault(const porch_ws *w) {
    return w->fault;
}

/* ---- towards the peer ---- */

void porch_ws_ping(porch_ws *w) {
    w->ping_waits = true;
}

void porch_ws_close(porch_ws *w, uint16_t code) {
    if (w->close_waits || w->closed) return;
    w->close_waits = true;
    w->close_code = code;
}

bool porch_ws_has_control(const porch_ws *w) {
    return (w->pong_waits || w->ping_waits) && !w->closed;
}

static void put_control(porch_buf *out, uint8_t opcode, const uint8_t *at, size_t len) {
    out->at[out->len++] = FIN | opcode;
    out->at[out->len++] = (uint8_t)len;
    if (len > 0) memcpy(out->at + out->len, at, len);
    out->len += len;
}

void porch_ws_control(porch_ws *w, porch_buf *out, bool last) {
    if (w->closed || out->cap - out->len < PORCH_WS_CONTROL_MOST) return;
    if (w->pong_waits) put_control(out, WSLAY_PONG, w->pong, w->pong_len);
    if (w->ping_waits) put_control(out, WSLAY_PING, NULL, 0);
    w->pong_waits = w->ping_waits = false;
    if (!w->close_waits || !last) return;
    uint8_t code[2] = {(uint8_t)(w->close_code >> 8), (uint8_t)w->close_code};
    put_control(out, WSLAY_CONNECTION_CLOSE, code, w->close_code == 0 ? 0 : sizeof code);
    w->close_waits = false;
    w->closed = true;
}

size_t porch_ws_head(uint8_t out[PORCH_WS_HEAD_MOST], size_t payload) {
    out[0] = FIN | WSLAY_BINARY_FRAME;
    if (payload < 126) {
        out[1] = (uint8_t)payload;
        return 2;
    }
    out[1] = 126;
    out[2] = (uint8_t)(payload >> 8);
    out[3] = (uint8_t)payload;
    return 4;
}

/* ---- life ---- */

porch_ws *porch_ws_new(const porch_ws_limits *limits) {
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
    porch_ws *w = calloc(1, sizeof *w);
    if (w == NULL) return NULL;
    w->limits = *limits;
    if (wslay_frame_context_init(&w->frames, &callbacks, w) != 0) {
        free(w);
        return NULL;
    }
    return w;
}

void porch_ws_free(porch_ws *w) {
    if (w == NULL) return;
    wslay_frame_context_free(w->frames);
    free(w);
}
