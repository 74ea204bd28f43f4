/* One MQTT 5.0 session of a device, from CONNECT to its end. Bytes and time in, bytes and events out.
 *
 *        socket ──take──► [ in block ] ──next──► events: CONNECTED, MESSAGE, ACKNOWLEDGED, SUBSCRIBED,
 * ENDED socket ◄─output─ [ out block ] ◄── start, publish, subscribe, tick, disconnect
 *
 * QoS 0 and 1, clean start, one window of packets that wait for an answer (no larger than the hub's Receive
 * Maximum), keep-alive both ways, and a time limit on every answer. It opens no connection and keeps no
 * message: what was not acknowledged when a session ends is the outbox's to send again. After ENDED only
 * output (the farewell) and init are left.
 *
 * The caller owns the porch_session and both blocks; views in an event are valid until the next call. */
#ifndef PORCH_DEVICE_SESSION_H
#define PORCH_DEVICE_SESSION_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/mqtt_packet.h"

#define PORCH_SESSION_WINDOW_MOST 32

typedef struct {
    const char *client_id; /* must outlive the session; "" lets the hub assign one */
    uint16_t keep_alive_s; /* 0: none. The hub may shorten it */
    uint32_t answer_ms;    /* how long any answer of the hub may take, or output stand still */
    uint16_t window;       /* unanswered packets, 1 to PORCH_SESSION_WINDOW_MOST */
} porch_session_config;

typedef enum {
    PORCH_SESSION_FRESH,
    PORCH_SESSION_CONNECTING,
    PORCH_SESSION_ONLINE,
    PORCH_SESSION_ENDED
} porch_session_state;

typedef enum {
    PORCH_SESSION_CONNECTED = 1,
    PORCH_SESSION_MESSAGE,      /* acknowledged to the hub by the next call of porch_session_next */
    PORCH_SESSION_ACKNOWLEDGED, /* of a publish: `ticket`, `reason` */
    PORCH_SESSION_SUBSCRIBED,   /* of a subscribe: `ticket`, `reason` */
    PORCH_SESSION_OVER          /* `error`, `reason`, `text`: once, last */
} porch_session_event_kind;

typedef struct {
    porch_session_event_kind kind;
    uint64_t ticket;
    uint8_t reason; /* an MQTT reason code; 0x80 and above refuse */
    uint8_t qos;
    bool duplicate;
    porch_bytes topic;
    porch_bytes payload;
    porch_err error; /* OVER: CLOSED (by the hub), TIMEOUT, AUTH (CONNECT refused), MALFORMED (the hub broke
                        the protocol), OK (we said goodbye) */
    porch_bytes text; /* the hub's reason string, or a sentence of ours; may be empty */
} porch_session_event;

/* An answer is due from when the question's last byte has left: on a slow uplink that takes its time. */
typedef struct {
    bool waits;
    bool left;
    uint64_t end; /* of the question, in all bytes that were ever written */
    uint64_t left_ms;
} porch_session_question;

typedef struct {
    uint16_t packet_id; /* 0: free */
    bool is_subscribe;
    uint64_t ticket;
    porch_session_question asked;
} porch_session_waiting;

typedef struct {
    porch_session_config config;
    porch_session_state state;
    porch_buf in;
    size_t in_read;
    porch_buf out;
    size_t out_read;
    porch_session_waiting waiting[PORCH_SESSION_WINDOW_MOST];
    uint16_t next_packet_id;
    uint16_t window;      /* agreed */
    uint32_t packet_most; /* largest packet that the hub takes; 0: no limit told */
    uint64_t keep_alive_ms;
    uint64_t left_bytes; /* of all that were ever written */
    uint64_t moved_ms;   /* when output last left or, where none waited, was written */
    uint64_t last_sent_ms;
    uint64_t last_heard_ms;
    porch_session_question asked; /* CONNECT or PINGREQ */
    uint16_t owed_ack;            /* packet identifier of the MESSAGE that was handed out; 0: none */
    bool over_told;
    porch_session_event over;
    char over_text[128];
} porch_session;

/* `in` bounds the largest packet that the hub may send, `out` the largest that can be sent. */
void porch_session_init(porch_session *s, const porch_session_config *config, porch_buf in, porch_buf out);
/* Writes CONNECT. NO_SPACE when the out block is too small. */
porch_err porch_session_start(porch_session *s, uint64_t now_ms);

/* Copies what fits of `from_peer`; *taken may be less than its length (then call porch_session_next). */
void porch_session_take(porch_session *s, porch_bytes from_peer, uint64_t now_ms, size_t *taken);
/* The next event, or false when more bytes (or room in the out block) are needed first. */
bool porch_session_next(porch_session *s, uint64_t now_ms, porch_session_event *ret);

/* What waits to be sent; after sending a prefix say so. */
porch_bytes porch_session_output(const porch_session *s);
void porch_session_sent(porch_session *s, size_t n, uint64_t now_ms);

/* BUSY: window or out block is full for now. LIMIT: larger than the hub or the out block takes. STATE: not
 * online. `ticket` comes back in the event; QoS 0 has none. */
porch_err porch_session_publish(porch_session *s, porch_topic_name topic, porch_bytes payload, uint8_t qos,
                                uint64_t ticket, uint64_t now_ms);
porch_err porch_session_subscribe(porch_session *s, porch_topic_filter filter, uint64_t ticket,
                                  uint64_t now_ms);
/* Packets that may still be sent before an answer is needed. */
size_t porch_session_room(const porch_session *s);

/* Pings when for the keep-alive nothing was sent, or nothing heard: what asks for no answer (QoS 0) would
 * hide that the hub is gone. Ends the session when an answer is overdue or output stands still. */
void porch_session_tick(porch_session *s, uint64_t now_ms);
/* When to call tick next; UINT64_MAX for never. */
uint64_t porch_session_deadline(const porch_session *s);

/* Writes DISCONNECT; the next event is OVER. */
void porch_session_disconnect(porch_session *s);
/* The connection below broke: the next event is OVER with this error. */
void porch_session_broken(porch_session *s, porch_err error, const char *text);

#endif
