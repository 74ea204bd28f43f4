/* WebSocket (RFC 6455), the server's side, as it carries MQTT (MQTT 5.0, 6): binary frames in, their bytes
 * out. No I/O: bytes and time go in, bytes and a verdict come out.
 *
 *   from TLS ─► unwrap ─► bytes of binary frames ─► MQTT ─► bytes ─► head + bytes ─► to TLS
 *                  └─ ping, close, fault ─► control ─► pong, close ──────────────────┘
 *
 * Frames and messages mean nothing to MQTT: a packet may span many, and one may hold many packets. So
 * nothing is gathered: what a frame brings is handed on as it comes. Frames are read by wslay; the order of
 * frames, the limits and what MQTT forbids (text) are judged here. */
#ifndef PORCH_CLOUD_LISTENER_WS_H
#define PORCH_CLOUD_LISTENER_WS_H

#include "base/bytes.h"

typedef struct porch_ws porch_ws;

typedef struct {
    uint32_t frame_bytes;    /* payload of one frame */
    uint32_t message_bytes;  /* of one message, all its frames */
    uint32_t fragments;      /* frames of one message */
    uint32_t control_frames; /* pings, pongs and frames without payload in 10 s */
} porch_ws_limits;

/* Close codes (RFC 6455, 7.4.1). */
enum {
    PORCH_WS_NORMAL = 1000,
    PORCH_WS_GOING_AWAY = 1001,
    PORCH_WS_PROTOCOL_ERROR = 1002,
    PORCH_WS_UNSUPPORTED = 1003,
    PORCH_WS_POLICY = 1008,
    PORCH_WS_TOO_BIG = 1009
};

enum {
    PORCH_WS_HEAD_MOST = 4,     /* of a frame of at most 65,535 bytes */
    PORCH_WS_CONTROL_MOST = 260 /* room that porch_ws_control asks for */
};

/* NULL without memory. */
porch_ws *porch_ws_new(const porch_ws_limits *limits);
void porch_ws_free(porch_ws *w); /* NULL is fine */

/* Takes all `len` bytes of the peer and leaves in their place, from `at` on, what binary frames carried;
 * returns how much that is. Once it is over, nothing more comes out. */
size_t porch_ws_unwrap(porch_ws *w, uint8_t *at, size_t len, uint64_t now_ms);
/* The peer has said goodbye or broken a rule: send what is still to be sent, then the close frame. */
bool porch_ws_over(const porch_ws *w);
/* Which rule, fit for the operator's log; NULL while there is none. */
const char *porch_ws_fault(const porch_ws *w);

/* Asks for a sign of life. */
void porch_ws_ping(porch_ws *w);
/* Our close frame, unless one waits already. */
void porch_ws_close(porch_ws *w, uint16_t code);
/* Appends whole control frames that wait: pong and ping; a close frame only if `last`, when all data has
 * been sent. Of several pings the last is answered. Nothing unless `out` has PORCH_WS_CONTROL_MOST bytes
 * left. */
void porch_ws_control(porch_ws *w, porch_buf *out, bool last);
/* Would porch_ws_control (not `last`) append anything? */
bool porch_ws_has_control(const porch_ws *w);

/* The head of one binary frame of 1 to 65,535 bytes; returns its length. */
size_t porch_ws_head(uint8_t out[PORCH_WS_HEAD_MOST], size_t payload);

#endif
