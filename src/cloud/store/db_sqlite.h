/* One SQLite connection behind a porch_db, for this room only: opening, transactions, the statement cache.
 * A connection is used by one thread at a time. */
#ifndef PORCH_CLOUD_STORE_DB_SQLITE_H
#define PORCH_CLOUD_STORE_DB_SQLITE_H

#include <sqlite3.h>

#include "cloud/store/db.h"

/* How long a connection waits for another process that holds the file (an operator's sqlite3). */
enum { PORCH_DB_BUSY_MS = 10000 };

/* Opens the file; a writer makes it when missing (mode 0600) and switches it to a write-ahead log that is
 * synced at every commit, a reader can only read. `cache_kib` bounds the page cache. */
porch_err porch_db_open(const char *path, bool writer, unsigned cache_kib, porch_db **ret, porch_why *why);
void porch_db_close(porch_db *db); /* NULL is fine */

sqlite3 *porch_db_handle(porch_db *db);
/* Gives back every query that its user forgot. Before a transaction ends. */
void porch_db_finish_all(porch_db *db);
bool porch_db_in_transaction(porch_db *db);
/* What a SQLite result code is to us; `why` gets the connection's sentence. PORCH_OK for success codes. */
porch_err porch_db_error(porch_db *db, int code, porch_why *why);
/* Binds bytes where they are: they must stay until the query is finished. */
void porch_db_bind_view(porch_db_query *q, int index, porch_bytes view, bool text);
/* A text without parameters that may hold many statements: a migration. */
porch_err porch_db_script(porch_db *db, const char *sql, porch_why *why);

#endif
