/* The upload of one clip over HTTP/1.1: begun, streamed while the clip grows, resumed after any break,
 * completed with its hash. Bytes and time in, bytes and events out.
 *
 *   POST /api/v1/device/clips ──► 201, Location          once a clip; the answer is kept by the caller
 *   HEAD Location             ──► Upload-Offset          after a break: where to go on
 *   PATCH Location, chunked   ──► 204                    while the clip grows (Upload-Complete: ?0)
 *   PATCH Location            ──► 204                    the rest (Upload-Complete: ?1, Repr-Digest)
 *
 * One request at a time on one connection. The engine never holds clip bytes: it says which it wants, and
 * frames what it is given. A connection that breaks loses nothing: say so with porch_upload_broken, open a
 * new one, say so with porch_upload_connected.
 *
 * The caller owns the porch_upload and both blocks; views in an event are valid until the next call. */
#ifndef PORCH_DEVICE_UPLOAD_H
#define PORCH_DEVICE_UPLOAD_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/http1_chunk.h"
#include "wire/http1_head.h"
#include "wire/http1_response.h"
#include "wire/id.h"

#define PORCH_UPLOAD_LOCATION_MOST 192
#define PORCH_UPLOAD_IN_LEAST      2048 /* the in block holds a response's head */
#define PORCH_UPLOAD_OUT_LEAST     2048 /* the out block holds a request's head */

typedef enum {
    PORCH_UPLOAD_APART,    /* no connection */
    PORCH_UPLOAD_BEGIN,    /* POST sent */
    PORCH_UPLOAD_ASK,      /* HEAD sent */
    PORCH_UPLOAD_STREAM,   /* chunked PATCH under way */
    PORCH_UPLOAD_STREAMED, /* its last chunk was written */
    PORCH_UPLOAD_FINAL,    /* last PATCH under way */
    PORCH_UPLOAD_SETTLED   /* complete or refused: only the event is left */
} porch_upload_phase;

typedef enum {
    PORCH_UPLOAD_LOCATED =
        1, /* keep `text` (the location) beside the clip: porch_upload_init wants it after a restart */
    PORCH_UPLOAD_STARTED,  /* the first bytes of the clip were taken for sending; told once */
    PORCH_UPLOAD_COMPLETE, /* the hub has the whole clip; it can go from disk */
    PORCH_UPLOAD_REFUSED,  /* `status`, `text`: trying again will not help */
    PORCH_UPLOAD_LATER /* close the connection, try again after `wait_ms` at the earliest; `status` 0: no
                          answer in time or not HTTP as we know it */
} porch_upload_event_kind;

typedef struct {
    porch_upload_event_kind kind;
    uint16_t status;
    uint64_t wait_ms; /* what the hub asked for; 0: nothing */
    porch_bytes text;
} porch_upload_event;

typedef struct {
    const char *host;   /* for the Host header; outlives the upload */
    porch_id event;     /* whose clip it is */
    uint32_t answer_ms; /* how long an answer may take, or output stand still */
} porch_upload_config;

typedef struct {
    porch_upload_config config;
    porch_upload_phase phase;
    porch_buf in;
    porch_buf out;
    size_t out_read;
    char location[PORCH_UPLOAD_LOCATION_MOST + 1]; /* "" until begun */
    uint64_t visible;                              /* bytes of the clip that may be sent */
    bool ended;                                    /* no more will come */
    uint8_t sha256[32];                            /* of the whole, when ended */
    uint64_t sent;                                 /* offset of the next byte to send */
    unsigned restarts; /* on this connection: location lost, offset or hash not agreed */
    unsigned hash_failures;
    bool started; /* STARTED was told */
    /* the response under way */
    size_t scanned;
    bool in_body;
    porch_http1_body_kind body_kind;
    uint64_t body_left;
    porch_http1_chunk chunk;
    bool reusable;
    uint16_t status;
    uint64_t wait_ms;
    uint64_t told_offset; /* Upload-Offset of the response; UINT64_MAX when there was none */
    bool told_complete;
    size_t detail_len;
    char detail[160]; /* beginning of a problem's body */
    /* at most one of each waits to be told */
    porch_upload_event pending[3];
    size_t pending_count;
    uint64_t waiting_since_ms;
} porch_upload;

/* `location` is what an earlier LOCATED told, or empty. USAGE when a block is shorter than its least or the
 * location is no path. */
porch_err porch_upload_init(porch_upload *u, const porch_upload_config *config, porch_bytes location,
                            porch_buf in, porch_buf out);

/* The clip has grown; `visible` never falls. */
void porch_upload_grown(porch_upload *u, uint64_t visible, uint64_t now_ms);
/* The clip ends where it is visible; its hash. */
void porch_upload_ended(porch_upload *u, const uint8_t sha256[32], uint64_t now_ms);

/* A fresh connection stands (or the last upload left one that is idle). Writes the first request. */
void porch_upload_connected(porch_upload *u, uint64_t now_ms);
void porch_upload_broken(porch_upload *u);

void porch_upload_take(porch_upload *u, porch_bytes from_peer, uint64_t now_ms);
porch_bytes porch_upload_output(const porch_upload *u);
void porch_upload_sent(porch_upload *u, size_t n, uint64_t now_ms);

/* How many bytes of the clip, from *offset, fit now; 0 when none are wanted. */
size_t porch_upload_wants(const porch_upload *u, uint64_t *offset);
/* The bytes that were wanted (or a prefix). */
void porch_upload_give(porch_upload *u, porch_bytes clip, uint64_t now_ms);

bool porch_upload_next(porch_upload *u, porch_upload_event *ret);
/* Ends the wait for an overdue answer with LATER. */
void porch_upload_tick(porch_upload *u, uint64_t now_ms);
uint64_t porch_upload_deadline(const porch_upload *u);
/* The hub has begun the clip, as far as is known. */
bool porch_upload_begun(const porch_upload *u);
/* After COMPLETE or REFUSED: may the connection carry another upload? */
bool porch_upload_connection_reusable(const porch_upload *u);

#endif
