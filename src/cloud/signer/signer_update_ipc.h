/* What the hub says when it asks for a new snapshot and timestamp of its update repository, and what it
 * gets: the two files, written and signed by the signer.
 *
 *   request  least snapshot u64 | least timestamp u64 | count u8 | rows: name block16, version u64, length
 * u64, SHA-256 answer   snapshot's version u64 | timestamp's version u64 | snapshot block32 | timestamp
 * block32
 *
 * Rows are in the order of their names, none twice. Views look into the message. */
#ifndef PORCH_CLOUD_SIGNER_UPDATE_IPC_H
#define PORCH_CLOUD_SIGNER_UPDATE_IPC_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"

enum {
    PORCH_SIGNER_UPDATE_ROLES = 64,
    PORCH_SIGNER_UPDATE_NAME = 69,    /* an id and ".json" */
    PORCH_SIGNER_UPDATE_TEXT = 16384, /* both files together are shorter */
};
#define PORCH_SIGNER_UPDATE_NUMBER_MOST 999999999999999999ull /* what clients of updates read */

typedef struct {
    porch_bytes name; /* "camera.json": letters, digits, '-', '_' and '.json' */
    uint64_t version, length;
    uint8_t sha256[32];
} porch_signer_update_row;

typedef struct {
    uint64_t least_snapshot, least_timestamp; /* the new versions are above these */
    size_t count;
    porch_signer_update_row rows[PORCH_SIGNER_UPDATE_ROLES];
} porch_signer_update;

typedef struct {
    uint64_t snapshot_version, timestamp_version;
    porch_bytes snapshot, timestamp;
} porch_signer_updated;

porch_err porch_signer_update_write(porch_buf *out, const porch_signer_update *in);
/* MALFORMED for rows out of order, too. */
porch_err porch_signer_update_read(porch_bytes data, porch_signer_update *ret);
porch_err porch_signer_updated_write(porch_buf *out, const porch_signer_updated *in);
porch_err porch_signer_updated_read(porch_bytes data, porch_signer_updated *ret);

#endif
