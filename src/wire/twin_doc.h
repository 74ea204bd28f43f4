/* The two documents of a device's twin: what it should be (desired, from the hub) and what it is
 * (reported).
 *
 *   {"v":1,"version":7,"state":{"ignore":[1000,2000,3000,2500],"privacy":true}}
 *
 * `version` is the hub's number of the wish; a report names the newest wish that it fulfils, 0 for none.
 * `state` is a flat object: true or false, whole numbers, text without escapes, or lists of whole numbers.
 * Nothing else passes: no member twice, no fraction, no null, no object inside. Pure; views look into the
 * caller's bytes. */
#ifndef PORCH_WIRE_TWIN_DOC_H
#define PORCH_WIRE_TWIN_DOC_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"

#define PORCH_TWIN_DOC_MOST     4096u               /* bytes of a whole document */
#define PORCH_TWIN_MEMBERS_MOST 32u                 /* of `state` */
#define PORCH_TWIN_NAME_MOST    32u                 /* a to z, 0 to 9, '_' and '-' */
#define PORCH_TWIN_TEXT_MOST    256u                /* bytes of UTF-8 */
#define PORCH_TWIN_NUMBERS_MOST 256u                /* in one list */
#define PORCH_TWIN_NUMBER_MOST  9007199254740991ull /* 2^53-1, either sign; also for versions */

typedef enum {
    PORCH_TWIN_DOC_BOOL,
    PORCH_TWIN_DOC_NUMBER,
    PORCH_TWIN_DOC_TEXT,
    PORCH_TWIN_DOC_LIST
} porch_twin_doc_kind;

typedef struct {
    porch_bytes name;
    porch_twin_doc_kind kind;
    bool on;
    int64_t number;
    porch_bytes text;
    porch_bytes list; /* read with porch_twin_doc_list_next */
    size_t count;     /* numbers in the list */
} porch_twin_doc_member;

typedef struct {
    uint64_t version;
    porch_bytes state; /* the object's text, braces included: what porch_twin_doc_next walks through */
} porch_twin_doc;

/* MALFORMED, LIMIT. All of it is checked: what the functions below walk through is sound. */
porch_err porch_twin_doc_read(porch_bytes json, porch_twin_doc *ret, porch_why *why);
/* `state` alone, as a hub keeps it. */
porch_err porch_twin_doc_state_read(porch_bytes json, porch_why *why);

/* The next member of a state that was read; false at the end. Begin with a reader of `state`. */
bool porch_twin_doc_next(porch_reader *r, porch_twin_doc_member *ret);
/* The member of that name; false when there is none. */
bool porch_twin_doc_find(porch_bytes state, const char *name, porch_twin_doc_member *ret);
bool porch_twin_doc_list_next(porch_bytes *list, int64_t *ret);

/* Writes {"v":1,"version":N,"state":STATE}; STATE is made by the four below between open and close.
 * NO_SPACE, or USAGE for what a reader would refuse. */
porch_err porch_twin_doc_open(porch_buf *b, uint64_t version);
porch_err porch_twin_doc_bool(porch_buf *b, const char *name, bool on);
porch_err porch_twin_doc_number(porch_buf *b, const char *name, int64_t number);
porch_err porch_twin_doc_text(porch_buf *b, const char *name, porch_bytes text);
porch_err porch_twin_doc_list(porch_buf *b, const char *name, const int32_t *numbers, size_t count);
porch_err porch_twin_doc_close(porch_buf *b);
/* The whole document around a state's text. */
porch_err porch_twin_doc_write(porch_buf *b, uint64_t version, porch_bytes state);

#endif
