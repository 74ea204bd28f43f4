/* The motion event: what a camera says the moment it sees something move. Published to d/ID/event/motion.
 *
 *      {"v":1,"id":"0f3c...","kind":"motion","at_ms":1764012345678,"score":0.42,
 *       "box":[0.1,0.25,0.3,0.5],"clip":true,"thumbnail":"/9j/4AAQ..."}
 *
 * Schema (all members but thumbnail are required, none other is known, none may stand twice, any order):
 *   v          1
 *   id         an id (wire/id.h), chosen by the device, unique per device: it makes a repeated event one
 * event kind       "motion" at_ms      capture time of the first frame with motion, Unix milliseconds, at
 * most 2^53-1 score      0 to 1 box        x, y, width, height of what moved, in parts of the frame (0 to
 * 1), inside the frame clip       whether a clip follows as an upload thumbnail  JPEG of at most 32 KiB in
 * base64 with padding
 *
 * Score and box are kept in ten-thousandths: the device core has no floating point, and a value has one
 * spelling. Readers round to the nearest. Strings hold no escapes, since nothing in them needs one. */
#ifndef PORCH_WIRE_EVENT_MOTION_H
#define PORCH_WIRE_EVENT_MOTION_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "wire/id.h"

#define PORCH_EVENT_ONE            10000u /* 1.0 in ten-thousandths */
#define PORCH_EVENT_THUMBNAIL_MOST 32768u /* bytes of the JPEG */
#define PORCH_EVENT_THUMBNAIL_TEXT 43692u /* its base64 form */
#define PORCH_EVENT_MOTION_MOST    44032u /* the longest event that porch_event_motion_write makes */
#define PORCH_EVENT_AT_MS_MOST     9007199254740991u

typedef struct {
    porch_id id;
    uint64_t at_ms;
    uint16_t score_e4;  /* 0 to PORCH_EVENT_ONE */
    uint16_t box_e4[4]; /* x, y, width, height; x + width and y + height at most PORCH_EVENT_ONE */
    bool clip;
    porch_bytes thumbnail; /* the base64 text, valid and within the limit; empty when there is none */
} porch_event_motion;

/* PORCH_ERR_MALFORMED or PORCH_ERR_LIMIT, with the member's name in `why` (may be NULL). The thumbnail is a
 * view into `json`; porch_base64_read turns it into a JPEG. */
porch_err porch_event_motion_read(porch_bytes json, porch_event_motion *ret, porch_why *why);

/* Appends the JSON. `event->thumbnail` is ignored; the JPEG comes as raw bytes in `jpeg` (may be empty).
 * PORCH_ERR_LIMIT: a value out of range or the JPEG too large; PORCH_ERR_NO_SPACE. Nothing is appended
 * then. */
porch_err porch_event_motion_write(porch_buf *b, const porch_event_motion *event, porch_bytes jpeg);

/* Nearest ten-thousandths of a number between 0 and 1; what lies outside is moved to the border. */
static inline uint16_t porch_event_e4(double part) {
    if (part >= 1) return (uint16_t)PORCH_EVENT_ONE;
    return part > 0 ? (uint16_t)(((uint32_t)(part * 2 * PORCH_EVENT_ONE) + 1) / 2) : (uint16_t)0;
}

#endif
