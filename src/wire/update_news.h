/* What hub and device tell each other about updates. Neither message makes a device install anything: what
 * may be installed, and when, is signed by the product team (src/ota/client); the hub only says whose turn
 * it is.
 *
 *   d/ID/update/desired   hub ─► device   {"v":1,"rollout":"r7","product":"camera","version":"1.2",
 *                                          "sha256":"9f86...","attempt":1}      or {"v":1}: nothing to do
 *   d/ID/update/status    device ─► hub   {"v":1,"rollout":"r7","running":"1.1","target":"1.2","attempt":1,
 *                                          "state":"waiting","reason":"battery at 12
 * %","floor":3,"bytes":0, "way":"delta"}
 *
 * A status needs `v`, `running` and `state`. Any order, nothing twice, nothing else, no escapes in strings,
 * whole numbers from 0. Pure; views look into the caller's bytes. */
#ifndef PORCH_WIRE_UPDATE_NEWS_H
#define PORCH_WIRE_UPDATE_NEWS_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "wire/id.h"

#define PORCH_UPDATE_NEWS_MOST    1024u               /* bytes of either message */
#define PORCH_UPDATE_VERSION_MOST 64u                 /* letters, digits and ".-_+", no '.' first */
#define PORCH_UPDATE_REASON_MOST  200u                /* bytes of UTF-8 */
#define PORCH_UPDATE_NUMBER_MOST  9007199254740991ull /* 2^53-1 */
#define PORCH_UPDATE_ATTEMPT_MOST 1000u

/* X(name, word, ended): where a device stands. `ended`: this attempt has its result. */
#define PORCH_UPDATE_STATE_LIST(X)                                                                    \
    X(WAITING, "waiting", false)         /* it knows, and something that was signed says: not yet */  \
    X(DOWNLOADING, "downloading", false) /* `bytes` so far, by `way` */                               \
    X(STAGED, "staged", false)           /* in the other slot, whole and verified */                  \
    X(TRIAL, "trial", false)             /* it runs, not yet confirmed */                             \
    X(GOOD, "good", true)                /* confirmed; `running` is what runs */                      \
    X(ROLLED_BACK, "rolled-back", true)  /* tried, not healthy, `running` is the one before */        \
    X(REFUSED, "refused", true)          /* not signed for it, below its floor, another product... */ \
    X(FAILED, "failed", true)            /* could not be fetched or written; may be tried again */    \
    X(UNFIT, "unfit", true)              /* signed, for other hardware: no fault of either */

#define PORCH_UPDATE_STATE_ENUM(name, word, ended) PORCH_UPDATE_##name,
typedef enum { PORCH_UPDATE_STATE_LIST(PORCH_UPDATE_STATE_ENUM) PORCH_UPDATE_STATES } porch_update_state;
#undef PORCH_UPDATE_STATE_ENUM

typedef enum { PORCH_UPDATE_WAY_UNSAID, PORCH_UPDATE_WAY_DELTA, PORCH_UPDATE_WAY_FULL } porch_update_way;

/* Only the readers below make these from outside bytes. */
typedef struct {
    bool any; /* false: nothing to do, or it is paused; the rest is empty then */
    porch_id rollout, product;
    porch_bytes version;
    uint8_t sha256[32]; /* of the image */
    uint64_t attempt;   /* from 1 */
} porch_update_desired;

typedef struct {
    bool has_rollout; /* false: a report of what runs, outside of any rollout */
    porch_id rollout;
    porch_bytes running, target; /* versions; target may be empty */
    uint64_t attempt;            /* as the hub said; 0: not said */
    porch_update_state state;
    porch_bytes reason; /* words for a person; may be empty */
    uint64_t floor;     /* nothing with a smaller counter is started here any more */
    uint64_t bytes;     /* received for this update so far */
    porch_update_way way;
} porch_update_status;

const char *porch_update_state_word(porch_update_state s);
bool porch_update_state_ended(porch_update_state s);
bool porch_update_state_read(porch_bytes word, porch_update_state *ret);
const char *porch_update_way_word(porch_update_way w); /* "" when unsaid */

/* 1 to 64 letters, digits and ".-_+", no '.' first: what a release may be called. */
bool porch_update_version_ok(porch_bytes text);

/* MALFORMED, LIMIT; the sentence names the member. */
porch_err porch_update_desired_read(porch_bytes json, porch_update_desired *ret, porch_why *why);
porch_err porch_update_status_read(porch_bytes json, porch_update_status *ret, porch_why *why);

/* NO_SPACE, or USAGE for what a reader would refuse; nothing is written then. A status' reason may be any
 * bytes: what cannot stand in it is replaced, and it is cut at PORCH_UPDATE_REASON_MOST. */
porch_err porch_update_desired_write(porch_buf *b, const porch_update_desired *d);
porch_err porch_update_status_write(porch_buf *b, const porch_update_status *s);

#endif
