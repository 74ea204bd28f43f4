/* The log of decisions that change trust: who enrolled, revoked, granted, reset.
 *
 *   row n:  hash = SHA-256( hash of n-1 | n | at | kind | who | subject | detail | salt )
 *
 * Each row's hash covers the one before, so a row that is changed, dropped or slipped in later breaks
 * every hash after it. Rows are appended inside the write that carries the decision out: one is never
 * there without the other. A row may be emptied, and keeps its hash as the link that it was, when a later
 * row of kind household.erase names it (trust_erase.h). */
#ifndef PORCH_CLOUD_TRUST_H
#define PORCH_CLOUD_TRUST_H

#include "cloud/store/store.h"

/* kind: "device.add", "service.revoke", ... ; who: "operator" (admin socket), "user:NAME", "hub",
 * "device:ID"; subject: what it is about, as "device:porch-cam"; detail_json: a JSON object as text, "{}"
 * for none. Inside porch_store_write only. */
porch_err porch_trust_append(porch_db *db, const char *kind, const char *who, const char *subject,
                             const char *detail_json, porch_why *why);

typedef struct {
    uint64_t seq; /* 0: the log is empty */
    uint8_t hash[32];
} porch_trust_head;

/* Walks the whole log. PORCH_ERR_SIGNATURE: the sentence names the first row that does not fit. With
 * `known` (may be NULL) the row of that number must also have that hash, so that a log cut short or
 * rewritten from the start is noticed by whoever remembers a head. *ret is the head; written on success. */
porch_err porch_trust_verify(porch_db *db, const porch_trust_head *known, porch_trust_head *ret,
                             porch_why *why);
/* The last row's number and hash. */
porch_err porch_trust_head_read(porch_db *db, porch_trust_head *ret, porch_why *why);

#endif
