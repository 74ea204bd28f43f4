/* What each device should be and what it says it is: the hub's side of the twin.
 *
 *   people ─► porch_twin_set(db) ─► row, version + 1 ─► the api publishes d/ID/state/desired
 *   d/ID/state/reported ─► store ─► this room, in the message's transaction ─► row ─► observer after the
 * commit └─ not the newest version: the wish goes out again
 *
 * A device reports after each connection. So a wish that was made while it was away reaches it then,
 * without the broker keeping anything; with retained messages it arrives twice and counts once, by its
 * version. Versions of one device only grow: a hub that was restored from an old backup goes on above what
 * the device has reported. */
#ifndef PORCH_CLOUD_TWIN_H
#define PORCH_CLOUD_TWIN_H

#include "cloud/store/store.h"
#include "wire/twin_doc.h"

typedef struct porch_twins porch_twins;

enum { PORCH_TWIN_DEVICE_TEXT = 65, PORCH_TWIN_ZONES = 16, PORCH_TWIN_ONE = 10000 };

/* What people set for a camera. Zones are x, y, width and height in ten-thousandths of the picture. */
typedef struct {
    bool privacy;
    size_t zone_count;
    int32_t zones[PORCH_TWIN_ZONES][4];
} porch_twin_camera;

typedef struct {
    char device[PORCH_TWIN_DEVICE_TEXT];
    uint64_t desired_version; /* 0: nobody has set anything */
    porch_twin_camera desired;
    uint64_t desired_ms;
    bool has_reported;
    uint64_t reported_version;
    uint64_t reported_ms;
    porch_twin_camera reported;
    char capture[17]; /* "running", "stopped", "waiting"; "" when the device does not say */
} porch_twin_view;

/* Registers with the store: before the first shard runs. */
porch_err porch_twins_open(porch_store *store, porch_twins **ret, porch_why *why);
/* After the store was closed. NULL is fine. */
void porch_twins_close(porch_twins *t);

/* Called after the commit of a report, on the store's writer thread: quick. `desired` is the whole document
 * to be published again, empty when the device has the newest. */
typedef void (*porch_twin_reported_fn)(const char *device, porch_bytes desired, void *ctx);
void porch_twins_on_report(porch_twins *t, porch_twin_reported_fn fn, void *ctx);

/* "x,y,w,h;x,y,w,h;...", "" for none: zones as the app sends them. MALFORMED; LIMIT past PORCH_TWIN_ZONES.
 */
porch_err porch_twin_zones_read(porch_bytes text, porch_twin_camera *ret, porch_why *why);

/* Inside a porch_store_write. Changes what `change` names and keeps the rest; *document is what is to be
 * published then. With a `base`, what is there must still be of that version (0: nobody has set anything):
 * STATE, where somebody else was faster. NULL: whatever is there. NOT_FOUND when there is no such device.
 */
typedef enum { PORCH_TWIN_CHANGE_PRIVACY, PORCH_TWIN_CHANGE_ZONES } porch_twin_change;
porch_err porch_twin_set(porch_db *db, const char *device, porch_twin_change change,
                         const porch_twin_camera *to, const uint64_t *base, uint64_t now_ms,
                         porch_buf *document, porch_why *why);
/* Inside a read. A device that has no twin yet is one that nobody has set and that has not reported. */
porch_err porch_twin_get(porch_db *db, const char *device, porch_twin_view *ret, porch_why *why);

#endif
