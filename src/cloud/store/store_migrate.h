/* Migrations: migrations/NNNN_feature.sql, one sequence, built into the program.
 *
 *   user_version 2 ─► 0003 ─► 0004 ─► ... each in a transaction of its own with its new user_version
 *
 * A migration that has landed is never edited. */
#ifndef PORCH_CLOUD_STORE_MIGRATE_H
#define PORCH_CLOUD_STORE_MIGRATE_H

#include "cloud/store/db_sqlite.h"

typedef struct {
    int number;
    const char *name; /* "0001_messages" */
    const char *sql;
} porch_store_migration;

/* Generated from the folder, in order. */
extern const porch_store_migration porch_store_migrations[];
extern const size_t porch_store_migrations_count;

/* Brings the database to `target` (porch_store_schema() for the newest; a smaller number only in tests).
 * PORCH_ERR_UNSUPPORTED: the database is newer than this program. */
porch_err porch_store_migrate(porch_db *db, int target, porch_why *why);
porch_err porch_store_version(porch_db *db, int *ret, porch_why *why);

#endif
