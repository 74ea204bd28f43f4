/* Statements: the interface that every room writes SQL against. It hides which database is below.
 *
 *   porch_db_query *q = porch_db_prepare(db, "select name from device where household = ?1", why);
 *   porch_db_bind_text(q, 1, household);
 *   while ((e = porch_db_step(q, why)) == PORCH_OK) use(porch_db_text(q, 0));
 *   porch_db_finish(q);
 *   return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
 *
 * A porch_db is only handed to functions that the store calls (store.h) and is valid until they return.
 * Queries are cached by their text, so `sql` should be a literal. A NULL query (prepare failed) may be
 * passed to every function here: binding does nothing, step answers PORCH_ERR_DATABASE. Parameters count
 * from 1, columns from 0. Times are integer Unix milliseconds, ids are text. */
#ifndef PORCH_CLOUD_STORE_DB_H
#define PORCH_CLOUD_STORE_DB_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_db porch_db;
typedef struct porch_db_query porch_db_query;

/* NULL when the text does not compile; `why` says where. */
porch_db_query *porch_db_prepare(porch_db *db, const char *sql, porch_why *why);

/* The bound bytes are copied. A failed bind is remembered and answered by the next step. */
void porch_db_bind_text(porch_db_query *q, int index, porch_bytes text);
/* A zero-terminated string; NULL binds null. */
void porch_db_bind_str(porch_db_query *q, int index, const char *text);
void porch_db_bind_blob(porch_db_query *q, int index, porch_bytes blob);
void porch_db_bind_i64(porch_db_query *q, int index, int64_t value);
void porch_db_bind_real(porch_db_query *q, int index, double value);
void porch_db_bind_null(porch_db_query *q, int index);

/* PORCH_OK: a row is there. PORCH_ERR_NOT_FOUND: no more rows (also how an INSERT ends well).
 * PORCH_ERR_EXISTS: a unique key is taken. PORCH_ERR_FULL, _IO, _BUSY, _DATABASE: as named. */
porch_err porch_db_step(porch_db_query *q, porch_why *why);
/* Runs a bound statement that has no rows to its end and finishes it: PORCH_OK or the error. */
porch_err porch_db_execute(porch_db_query *q, porch_why *why);

/* Columns of the current row. Text and blobs are valid until the next step or finish; null reads as
 * an empty view, 0 or 0.0. */
porch_bytes porch_db_text(porch_db_query *q, int column);
porch_bytes porch_db_blob(porch_db_query *q, int column);
int64_t porch_db_i64(porch_db_query *q, int column);
double porch_db_real(porch_db_query *q, int column);
bool porch_db_is_null(porch_db_query *q, int column);

/* Gives the query back. A query that is forgotten is given back when the store's call returns. */
void porch_db_finish(porch_db_query *q);

/* A statement without parameters and rows. */
porch_err porch_db_run(porch_db *db, const char *sql, porch_why *why);
/* Rows touched by, and row id of, the last INSERT, UPDATE or DELETE of this connection. */
int64_t porch_db_changes(const porch_db *db);
int64_t porch_db_last_id(const porch_db *db);

#endif
