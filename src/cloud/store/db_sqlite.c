#include "cloud/store/db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Queries are kept compiled, found by their text. More different texts than KEPT are compiled each time:
 * correct, only slower. */
enum { BUCKETS = 256, KEPT = 1024 };

struct porch_db_query {
    porch_db *db;
    sqlite3_stmt *statement;
    porch_db_query *next_in_bucket;
    porch_db_query *next_busy, **busy_link; /* in use: busy_link is not NULL */
    int bind_code;                          /* first failed bind */
    bool kept;
    char sql[];
};

struct porch_db {
    sqlite3 *handle;
    porch_db_query *buckets[BUCKETS];
    porch_db_query *busy;
    unsigned kept;
};

/* ---- opening ------------------------------------------------------------------------------------ */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_start(void) {
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* spares every allocation a global lock */
    (void)sqlite3_initialize();
}

/* SQLite would make the file with the umask's mode; the log beside it takes the file's own. */
static porch_err make_file(const char *path, porch_why *why) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return porch_fail(why, PORCH_ERR_IO, "cannot open %s: %s", path, strerror(errno));
    close(fd);
    return PORCH_OK;
}

/* A file system that cannot hold a write-ahead log leaves the old mode without an error. */
static porch_err use_log(porch_db *db, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "pragma journal_mode = wal", why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK && !porch_bytes_eq_text(porch_db_text(q, 0), "wal"))
        e = porch_fail(why, PORCH_ERR_DATABASE,
                       "hub.db cannot use a write-ahead log here; put DIR on a local disk");
    porch_db_finish(q);
    return e;
}

static porch_err prepare_connection(porch_db *db, bool writer, unsigned cache_kib, porch_why *why) {
    char pragma[64];
    (void)sqlite3_busy_timeout(db->handle, PORCH_DB_BUSY_MS);
    (void)snprintf(pragma, sizeof pragma, "pragma cache_size = -%u", cache_kib);
    PORCH_TRY(porch_db_script(db, pragma, why));
    PORCH_TRY(porch_db_script(db, "pragma temp_store = memory; pragma trusted_schema = off", why));
    if (!writer) return porch_db_script(db, "pragma query_only = on", why);
    PORCH_TRY(use_log(db, why));
    /* secure_delete: what is deleted is overwritten with zeros, in its page and in pages that fall free. */
    return porch_db_script(db,
                           "pragma synchronous = full; pragma foreign_keys = on; pragma secure_delete = on;"
                           "pragma wal_autocheckpoint = 0; pragma journal_size_limit = 67108864",
                           why);
}

porch_err porch_db_open(const char *path, bool writer, unsigned cache_kib, porch_db **ret, porch_why *why) {
    (void)pthread_once(&library_once, library_start);
    if (writer) PORCH_TRY(make_file(path, why));
    porch_db *db = calloc(1, sizeof *db);
    if (db == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for a database connection");
    int flags = writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int code =
        sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    porch_err e = porch_db_error(db, code, why);
    if (e == PORCH_OK) e = prepare_connection(db, writer, cache_kib, why);
    if (e != PORCH_OK) {
        porch_db_close(db);
        return e;
    }
    *ret = db;
    return PORCH_OK;
}

void porch_db_close(porch_db *db) {
    if (db == NULL) return;
    porch_db_finish_all(db);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (porch_db_query *q = db->buckets[i], *next; q != NULL; q = next) {
            next = q->next_in_bucket;
            (void)sqlite3_finalize(q->statement);
            free(q);
        }
    }
    (void)sqlite3_close_v2(db->handle);
    free(db);
}

sqlite3 *porch_db_handle(porch_db *db) {
    return db->handle;
}

bool porch_db_in_transaction(porch_db *db) {
    return sqlite3_get_autocommit(db->handle) == 0;
}

/* ---- errors ------------------------------------------------------------------------------------- */

porch_err porch_db_error(porch_db *db, int code, porch_why *why) {
    porch_err e;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return PORCH_OK;
    case SQLITE_FULL:
        e = PORCH_ERR_FULL;
        break;
    case SQLITE_IOERR:
        e = PORCH_ERR_IO;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        e = PORCH_ERR_BUSY;
        break;
    case SQLITE_CONSTRAINT:
        e = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
                    code == SQLITE_CONSTRAINT_ROWID
                ? PORCH_ERR_EXISTS
                : PORCH_ERR_DATABASE;
        break;
    default:
        e = PORCH_ERR_DATABASE;
        break;
    }
    const char *text = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
    return porch_fail(why, e, "the database refused (%d): %s", code, text);
}

porch_err porch_db_script(porch_db *db, const char *sql, porch_why *why) {
    return porch_db_error(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), why);
}

porch_err porch_db_run(porch_db *db, const char *sql, porch_why *why) {
    return porch_db_execute(porch_db_prepare(db, sql, why), why);
}

int64_t porch_db_changes(const porch_db *db) {
    return sqlite3_changes64(db->handle);
}

int64_t porch_db_last_id(const porch_db *db) {
    return sqlite3_last_insert_rowid(db->handle);
}

/* ---- queries ------------------------------------------------------------------------------------ */

/* Statements differ in length or somewhere: a few places tell most of them apart, the comparison decides.
 */
static size_t bucket_of(const char *sql, size_t len) {
    uint32_t h = (uint32_t)len;
    for (size_t i = 0; i < 16 && len > 0; i++)
        h = h * 31u + (uint8_t)sql[i * (len - 1) / 15];
    return (h ^ h >> 13) % BUCKETS;
}

static void mark_busy(porch_db *db, porch_db_query *q) {
    q->next_busy = db->busy;
    q->busy_link = &db->busy;
    if (db->busy != NULL) db->busy->busy_link = &q->next_busy;
    db->busy = q;
}

static porch_db_query *compile(porch_db *db, const char *sql, size_t len, porch_why *why) {
    porch_db_query *q = calloc(1, sizeof *q + len + 1);
    if (q == NULL) {
        (void)porch_fail(why, PORCH_ERR_INTERNAL, "no memory for a query");
        return NULL;
    }
    memcpy(q->sql, sql, len);
    q->db = db;
    int code = sqlite3_prepare_v3(db->handle, q->sql, (int)len + 1, SQLITE_PREPARE_PERSISTENT,
                                  &q->statement, NULL);
    if (code != SQLITE_OK || q->statement == NULL) {
        if (porch_db_error(db, code, why) == PORCH_OK)
            (void)porch_fail(why, PORCH_ERR_DATABASE, "an empty query");
        free(q);
        return NULL;
    }
    return q;
}

porch_db_query *porch_db_prepare(porch_db *db, const char *sql, porch_why *why) {
    size_t len = strlen(sql);
    size_t bucket = bucket_of(sql, len);
    porch_db_query *q = db->buckets[bucket];
    while (q != NULL && (q->busy_link != NULL || strcmp(q->sql, sql) != 0))
        q = q->next_in_bucket;
    if (q == NULL) {
        if (len >= 1000000) {
            (void)porch_fail(why, PORCH_ERR_DATABASE, "a query of %zu bytes is too long", len);
            return NULL;
        }
        q = compile(db, sql, len, why);
        if (q == NULL) return NULL;
        q->kept = db->kept < KEPT;
        if (q->kept) {
            db->kept++;
            q->next_in_bucket = db->buckets[bucket];
            db->buckets[bucket] = q;
        }
    }
    mark_busy(db, q);
    return q;
}

void porch_db_finish(porch_db_query *q) {
    if (q == NULL || q->busy_link == NULL) return;
    *q->busy_link = q->next_busy;
    if (q->next_busy != NULL) q->next_busy->busy_link = q->busy_link;
    q->busy_link = NULL;
    q->next_busy = NULL;
    q->bind_code = SQLITE_OK;
    if (!q->kept) {
        (void)sqlite3_finalize(q->statement);
        free(q);
        return;
    }
    (void)sqlite3_reset(q->statement);
    (void)sqlite3_clear_bindings(q->statement);
}

void porch_db_finish_all(porch_db *db) {
    for (porch_db_query *q = db->busy, *next; q != NULL; q = next) {
        next = q->next_busy;
        porch_db_finish(q);
    }
}

static void bound(porch_db_query *q, int code) {
    if (code != SQLITE_OK && q->bind_code == SQLITE_OK) q->bind_code = code;
}

void porch_db_bind_view(porch_db_query *q, int index, porch_bytes view, bool text) {
    if (q == NULL) return;
    const char *at = view.len > 0 ? (const char *)view.at : "";
    bound(q, text ? sqlite3_bind_text64(q->statement, index, at, view.len, SQLITE_STATIC, SQLITE_UTF8)
                  : sqlite3_bind_blob64(q->statement, index, at, view.len, SQLITE_STATIC));
}

void porch_db_bind_text(porch_db_query *q, int index, porch_bytes text) {
    if (q == NULL) return;
    const char *at = text.len > 0 ? (const char *)text.at : "";
    bound(q, sqlite3_bind_text64(q->statement, index, at, text.len, SQLITE_TRANSIENT, SQLITE_UTF8));
}

void porch_db_bind_str(porch_db_query *q, int index, const char *text) {
    if (text == NULL) {
        porch_db_bind_null(q, index);
    } else {
        porch_db_bind_text(q, index, porch_bytes_of(text));
    }
}

void porch_db_bind_blob(porch_db_query *q, int index, porch_bytes blob) {
    if (q == NULL) return;
    const void *at = blob.len > 0 ? (const void *)blob.at : "";
    bound(q, sqlite3_bind_blob64(q->statement, index, at, blob.len, SQLITE_TRANSIENT));
}

void porch_db_bind_i64(porch_db_query *q, int index, int64_t value) {
    if (q != NULL) bound(q, sqlite3_bind_int64(q->statement, index, value));
}

void porch_db_bind_real(porch_db_query *q, int index, double value) {
    if (q != NULL) bound(q, sqlite3_bind_double(q->statement, index, value));
}

void porch_db_bind_null(porch_db_query *q, int index) {
    if (q != NULL) bound(q, sqlite3_bind_null(q->statement, index));
}

porch_err porch_db_step(porch_db_query *q, porch_why *why) {
    if (q == NULL) return PORCH_ERR_DATABASE; /* prepare has said why */
    if (q->bind_code != SQLITE_OK) return porch_db_error(q->db, q->bind_code, why);
    int code = sqlite3_step(q->statement);
    if (code == SQLITE_ROW) return PORCH_OK;
    if (code == SQLITE_DONE) return PORCH_ERR_NOT_FOUND;
    return porch_db_error(q->db, code, why);
}

porch_err porch_db_execute(porch_db_query *q, porch_why *why) {
    porch_err e;
    do {
        e = porch_db_step(q, why);
    } while (e == PORCH_OK); /* a pragma answers with a row */
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* ---- columns ------------------------------------------------------------------------------------ */

porch_bytes porch_db_text(porch_db_query *q, int column) {
    if (q == NULL) return (porch_bytes){NULL, 0};
    const uint8_t *at = sqlite3_column_text(q->statement, column);
    return (porch_bytes){at, at == NULL ? 0 : (size_t)sqlite3_column_bytes(q->statement, column)};
}

porch_bytes porch_db_blob(porch_db_query *q, int column) {
    if (q == NULL) return (porch_bytes){NULL, 0};
    const uint8_t *at = sqlite3_column_blob(q->statement, column);
    return (porch_bytes){at, at == NULL ? 0 : (size_t)sqlite3_column_bytes(q->statement, column)};
}

int64_t porch_db_i64(porch_db_query *q, int column) {
    return q == NULL ? 0 : sqlite3_column_int64(q->statement, column);
}

double porch_db_real(porch_db_query *q, int column) {
    return q == NULL ? 0.0 : sqlite3_column_double(q->statement, column);
}

bool porch_db_is_null(porch_db_query *q, int column) {
    return q == NULL || sqlite3_column_type(q->statement, column) == SQLITE_NULL;
}
