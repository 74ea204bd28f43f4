/* The twin's core: which wish counts, and what was reported last. Two blocks of the caller, no heap, no OS.
 *
 * A wish counts when its version is above the one that is kept: the same message twice, or an old one that
 * was under way, changes nothing. */
#ifndef PORCH_DEVICE_TWIN_H
#define PORCH_DEVICE_TWIN_H

#include <porchlight/twin.h>

#include "wire/twin_doc.h"

typedef struct {
    uint64_t version; /* of the wish that counts; 0: none */
    size_t desired_len, reported_len;
    uint8_t desired[PORCH_TWIN_DOC_MOST];  /* its whole document */
    uint8_t reported[PORCH_TWIN_DOC_MOST]; /* the last report, whole; empty: none */
} porch_twin;

struct porch_twin_desired {
    uint64_t version;
    porch_bytes state;
};

/* All zero is a twin that knows nothing. */
void porch_twin_init(porch_twin *t);
/* A document from the hub or from disk. OK: it counts from now on. AGAIN: known, or older. MALFORMED,
 * LIMIT. */
porch_err porch_twin_take(porch_twin *t, porch_bytes document, porch_why *why);
/* What counts now; a view into the twin. */
porch_twin_desired porch_twin_wish(const porch_twin *t);
/* Makes the report's document. USAGE, NO_SPACE: the one before stays. */
porch_err porch_twin_set_reported(porch_twin *t, uint64_t version, const porch_twin_member *members,
                                  size_t count);
/* What to send after each connection: the last report, or one that says only that there is none yet. */
porch_err porch_twin_report_text(const porch_twin *t, porch_buf *out);

#endif
