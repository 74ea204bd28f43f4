/* The words between hub and analyst: SEQPACKET messages, big-endian, one type byte first. Both sides
 * parse strictly; the hub trusts nothing that comes back, for the analyst decodes what strangers send.
 *
 *   main socket   START (fds: growing memfd, clip socket)            hub → analyst
 *   clip socket   HAVE                                               hub → child
 *                 BEGUN, FIRST_FRAME, SAMPLE, PERSON, INDEXED, END   child → hub
 *
 * A clip socket that ends without END means that the child died. BEGUN is said before the clip is read:
 * an END that says BUSY is the parent's, which had no room for a child, only where no BEGUN came before. */
#ifndef PORCH_CLOUD_ANALYST_ANALYST_IPC_H
#define PORCH_CLOUD_ANALYST_ANALYST_IPC_H

#include "base/cursor.h"

#define PORCH_ANALYST_IPC_VERSION     1
#define PORCH_ANALYST_MESSAGE_MAX     114688u /* 112 KiB */
#define PORCH_ANALYST_PICTURE_MAX     98304u  /* 96 KiB */
#define PORCH_ANALYST_INDEX_PIECE_MAX 65536u
#define PORCH_ANALYST_PEOPLE_MAX      16u
#define PORCH_ANALYST_SCORE_MAX       1000000u

typedef enum {
    PORCH_ANALYST_START = 1,
    PORCH_ANALYST_HAVE = 2,
    PORCH_ANALYST_FIRST_FRAME = 3,
    PORCH_ANALYST_SAMPLE = 4,
    PORCH_ANALYST_PERSON = 5,
    PORCH_ANALYST_INDEXED = 6,
    PORCH_ANALYST_END = 7,
    PORCH_ANALYST_BEGUN = 8
} porch_analyst_type;

/* What one clip may cost, and when a person counts. Every value comes from hub.conf. */
typedef struct {
    uint64_t clip_bytes; /* the memfd's size */
    uint32_t width_most, height_most;
    uint32_t frames_most;
    uint32_t cpu_seconds;        /* of the child */
    uint32_t wall_seconds;       /* of the child */
    uint32_t memory_mib;         /* of the child's own data */
    uint32_t sample_ms;          /* at least this far apart */
    uint32_t person_score_milli; /* a detection counts from here, thousandths */
    uint32_t agree;              /* of the last five samples */
    bool make_index;             /* also send a copy with its index in front */
} porch_analyst_start;

typedef struct {
    uint64_t bytes; /* readable from the memfd so far */
    bool complete;  /* no more will come */
} porch_analyst_have;

/* Parts of the frame in 1/10,000: no float crosses the border. x + w and y + h stay within 10,000. */
typedef struct {
    uint16_t x, y, w, h;
} porch_analyst_box;

typedef struct {
    porch_analyst_box box;
    uint32_t score_milli; /* up to PORCH_ANALYST_SCORE_MAX */
} porch_analyst_seen;

typedef struct {
    uint32_t width, height;
} porch_analyst_first_frame;

typedef struct {
    uint32_t at_ms; /* place in the clip */
    bool has_motion;
    porch_analyst_box motion;
    uint32_t count;
    porch_analyst_seen seen[PORCH_ANALYST_PEOPLE_MAX];
} porch_analyst_sample;

typedef struct {
    bool better; /* false: the first word that a person is there; true: a better picture at the end */
    uint32_t at_ms;
    porch_analyst_seen seen;
    uint32_t agreeing;
    porch_bytes picture; /* JPEG; looks into the message */
} porch_analyst_person;

typedef struct {
    uint64_t offset;
    porch_bytes piece; /* looks into the message */
} porch_analyst_indexed;

typedef struct {
    porch_err result; /* OK, MEDIA, LIMIT, TIMEOUT, CLOSED, INTERNAL, BUSY */
    uint32_t frames, samples;
    uint32_t cpu_ms;
    uint64_t indexed_bytes; /* 0: no indexed copy */
    char why[200];
} porch_analyst_end;

typedef struct {
    porch_analyst_type type;
    union {
        porch_analyst_start start;
        porch_analyst_have have;
        porch_analyst_first_frame first_frame;
        porch_analyst_sample sample;
        porch_analyst_person person;
        porch_analyst_indexed indexed;
        porch_analyst_end end;
    } as;
} porch_analyst_message;

/* MALFORMED for anything that write would not have written; *ret is written on success only. */
porch_err porch_analyst_read(porch_bytes in, porch_analyst_message *ret);
/* NO_SPACE when it does not fit; LIMIT for a value out of range. */
porch_err porch_analyst_write(porch_buf *out, const porch_analyst_message *message);

#endif
