/* The trust log when a household ends: its rows are emptied, and the chain holds.
 *
 *   row 3  device.add  ...            row 3  emptied   ""   hash as it was ─┐
 *   row 4  user.login  ...    ──►     row 4  user.login ... (another's)     │
 *   row 5  household.erase {"rows":"3"} ◄── the only reason that row 3 may be empty
 *
 * An emptied row keeps its number and its hash and nothing else: no time, no name, and not the salt,
 * without which a guess at what stood there cannot be tested. Its hash is still held by the row after it
 * and by every head that somebody remembers. The erasure's own row has no personal data. */
#ifndef PORCH_CLOUD_TRUST_ERASE_H
#define PORCH_CLOUD_TRUST_ERASE_H

#include "cloud/trust/trust.h"

#define PORCH_TRUST_EMPTIED "emptied"
#define PORCH_TRUST_ERASE   "household.erase"

enum {
    PORCH_TRUST_SALT = 16,
    /* The signer must be able to take each row: an erasure of more rows than fit is several. */
    PORCH_TRUST_ERASE_DETAIL = 16 * 1024
};

/* Views into the database's or the caller's memory. */
typedef struct {
    uint64_t seq, at_ms;
    porch_bytes kind, who, subject, detail, salt;
} porch_trust_row;

/* A growing list of row numbers in order. Zeroed is empty. */
typedef struct {
    uint64_t *at;
    size_t count, cap;
} porch_trust_rows;
porch_err porch_trust_rows_add(porch_trust_rows *rows, uint64_t seq);
/* Takes out those that an erasure's detail names: {"rows":"3-5,9"}. Anything else in it names nothing. */
void porch_trust_rows_named(porch_trust_rows *rows, porch_bytes detail);
/* "3-5,9" from place `from` on, as many as `cap` has room for with the zero at the end;
 * PORCH_TRUST_ROWS_TEXT suffices for one. The place of the first that is not in it. */
enum { PORCH_TRUST_ROWS_TEXT = 48 };
size_t porch_trust_rows_text(const porch_trust_rows *rows, size_t from, char *out, size_t cap);
void porch_trust_rows_free(porch_trust_rows *rows);

/* Whether a row is about what is being erased. Called in order, once for each row that has a content. */
typedef bool (*porch_trust_about_fn)(const porch_trust_row *row, void *ctx);
/* Empties the rows that `about` picks and appends the erasure's row, also when it picks none, or several
 * that name them together. `who` must be no person: "operator", "owner". Inside a write. */
porch_err porch_trust_erase(porch_db *db, porch_trust_about_fn about, void *ctx, const char *who,
                            porch_why *why);

/* The names under erasure (table erasure): kind "device", "user" or "account". Inside a read or write. */
porch_err porch_trust_erasure_note(porch_db *db, const char *household, const char *kind, const char *name,
                                   porch_why *why);
/* Visits them in order while `fn` answers PORCH_OK. */
porch_err porch_trust_erasure_names(porch_db *db, const char *household, const char *kind,
                                    porch_err (*fn)(const char *name, void *ctx, porch_why *why), void *ctx,
                                    porch_why *why);

#endif
