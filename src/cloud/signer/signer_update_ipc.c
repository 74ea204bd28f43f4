#include "cloud/signer/signer_update_ipc.h"

#include <string.h>

/* What may stand in a file name between quotes without an escape, in canonical JSON and everywhere else. */
static bool good_name(porch_bytes name) {
    static const char *const taken[] = {"root.json", "timestamp.json", "snapshot.json", "mirrors.json"};
    const size_t end = sizeof ".json" - 1;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (porch_bytes_eq_text(name, taken[i])) return false; /* never a role that targets names */
    if (name.len <= end || name.len > PORCH_SIGNER_UPDATE_NAME ||
        memcmp(name.at + name.len - end, ".json", end) != 0)
        return false;
    for (size_t i = 0; i < name.len - end; i++) {
        uint8_t c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_'))
            return false;
    }
    return true;
}

static int compare(porch_bytes a, porch_bytes b) {
    int c = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return c != 0 ? c : a.len < b.len ? -1 : a.len > b.len;
}

static bool good_row(const porch_signer_update_row *row, const porch_signer_update_row *before) {
    return good_name(row->name) && row->version > 0 && row->version <= PORCH_SIGNER_UPDATE_NUMBER_MOST &&
           row->length > 0 && row->length <= PORCH_SIGNER_UPDATE_NUMBER_MOST &&
           (before == NULL || compare(before->name, row->name) < 0);
}

porch_err porch_signer_update_write(porch_buf *out, const porch_signer_update *in) {
    porch_buf b = *out;
    if (in->count > PORCH_SIGNER_UPDATE_ROLES) return PORCH_ERR_LIMIT;
    PORCH_TRY(porch_write_u64(&b, in->least_snapshot));
    PORCH_TRY(porch_write_u64(&b, in->least_timestamp));
    PORCH_TRY(porch_write_u8(&b, (uint8_t)in->count));
    for (size_t i = 0; i < in->count; i++) {
        PORCH_TRY(porch_write_block16(&b, in->rows[i].name));
        PORCH_TRY(porch_write_u64(&b, in->rows[i].version));
        PORCH_TRY(porch_write_u64(&b, in->rows[i].length));
        PORCH_TRY(porch_write_bytes(&b, (porch_bytes){in->rows[i].sha256, 32}));
    }
    *out = b;
    return PORCH_OK;
}

static porch_err read_row(porch_reader *r, porch_signer_update_row *row) {
    porch_bytes hash;
    PORCH_TRY(porch_read_block16(r, &row->name));
    PORCH_TRY(porch_read_u64(r, &row->version));
    PORCH_TRY(porch_read_u64(r, &row->length));
    PORCH_TRY(porch_read_bytes(r, 32, &hash));
    memcpy(row->sha256, hash.at, 32);
    return PORCH_OK;
}

porch_err porch_signer_update_read(porch_bytes data, porch_signer_update *ret) {
    porch_reader r = porch_reader_of(data);
    uint8_t count = 0;
    ret->count = 0;
    PORCH_TRY(porch_read_u64(&r, &ret->least_snapshot));
    PORCH_TRY(porch_read_u64(&r, &ret->least_timestamp));
    PORCH_TRY(porch_read_u8(&r, &count));
    if (count > PORCH_SIGNER_UPDATE_ROLES) return PORCH_ERR_LIMIT;
    for (; ret->count < count; ret->count++) {
        porch_signer_update_row *row = &ret->rows[ret->count];
        PORCH_TRY(read_row(&r, row));
        if (!good_row(row, ret->count > 0 ? row - 1 : NULL)) return PORCH_ERR_MALFORMED;
    }
    bool sound = porch_reader_done(&r) && count > 0 &&
                 ret->least_snapshot < PORCH_SIGNER_UPDATE_NUMBER_MOST &&
                 ret->least_timestamp < PORCH_SIGNER_UPDATE_NUMBER_MOST;
    return sound ? PORCH_OK : PORCH_ERR_MALFORMED;
}

porch_err porch_signer_updated_write(porch_buf *out, const porch_signer_updated *in) {
    porch_buf b = *out;
    PORCH_TRY(porch_write_u64(&b, in->snapshot_version));
    PORCH_TRY(porch_write_u64(&b, in->timestamp_version));
    PORCH_TRY(porch_write_block32(&b, in->snapshot));
    PORCH_TRY(porch_write_block32(&b, in->timestamp));
    *out = b;
    return PORCH_OK;
}

porch_err porch_signer_updated_read(porch_bytes data, porch_signer_updated *ret) {
    porch_reader r = porch_reader_of(data);
    porch_signer_updated got = {0};
    PORCH_TRY(porch_read_u64(&r, &got.snapshot_version));
    PORCH_TRY(porch_read_u64(&r, &got.timestamp_version));
    PORCH_TRY(porch_read_block32(&r, &got.snapshot));
    PORCH_TRY(porch_read_block32(&r, &got.timestamp));
    if (!porch_reader_done(&r)) return PORCH_ERR_MALFORMED;
    *ret = got;
    return PORCH_OK;
}
