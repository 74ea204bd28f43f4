#include "cloud/api/export_zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct porch_zip {
    struct archive *archive;
    struct archive_entry *entry;
    uint8_t *at; /* what is ready: [begin, end) */
    size_t begin, end, cap;
    uint64_t missing; /* bytes that the file under way has yet to get; PORCH_ZIP_UNKNOWN: any number */
};

static porch_err refused(const porch_zip *z, porch_why *why) {
    const char *text = archive_error_string(z->archive);
    return porch_fail(why, PORCH_ERR_INTERNAL, "the archive: %s", text != NULL ? text : "unknown error");
}

/* libarchive hands over what it has made. */
static la_ssize_t take_over(struct archive *a, void *ctx, const void *bytes, size_t len) {
    porch_zip *z = ctx;
    if (z->begin == z->end) z->begin = z->end = 0;
    if (len > z->cap - z->end) {
        size_t cap = (z->end + len) * 2;
        uint8_t *wider = realloc(z->at, cap);
        if (wider == NULL) {
            archive_set_error(a, ENOMEM, "no memory");
            return -1;
        }
        z->at = wider;
        z->cap = cap;
    }
    memcpy(z->at + z->end, bytes, len);
    z->end += len;
    return (la_ssize_t)len;
}

porch_err porch_zip_new(porch_zip **ret, porch_why *why) {
    porch_zip *z = calloc(1, sizeof *z);
    if (z == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for an archive");
    z->archive = archive_write_new();
    z->entry = archive_entry_new();
    bool made = z->archive != NULL && z->entry != NULL &&
                archive_write_set_format_zip(z->archive) == ARCHIVE_OK &&
                archive_write_set_bytes_per_block(z->archive, 0) == ARCHIVE_OK &&
                archive_write_open(z->archive, z, NULL, take_over, NULL) == ARCHIVE_OK;
    if (!made) {
        porch_zip_free(z);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the archive cannot be begun");
    }
    *ret = z;
    return PORCH_OK;
}

void porch_zip_free(porch_zip *z) {
    if (z == NULL) return;
    /* One that was broken off still ends its directory, into bytes that nobody takes. */
    if (z->archive != NULL) (void)archive_write_free(z->archive);
    archive_entry_free(z->entry);
    free(z->at);
    free(z);
}

static porch_err end_file(porch_zip *z, porch_why *why) {
    if (z->missing != 0 && z->missing != PORCH_ZIP_UNKNOWN)
        return porch_fail(why, PORCH_ERR_STATE, "a file of the archive has fewer bytes than it said");
    z->missing = 0;
    return archive_write_finish_entry(z->archive) == ARCHIVE_OK ? PORCH_OK : refused(z, why);
}

porch_err porch_zip_file(porch_zip *z, const char *name, uint64_t at_ms, uint64_t bytes, bool pack,
                         porch_why *why) {
    PORCH_TRY(end_file(z, why));
    (void)archive_entry_clear(z->entry);
    archive_entry_set_pathname(z->entry, name);
    archive_entry_set_filetype(z->entry, AE_IFREG);
    archive_entry_set_perm(z->entry, 0600);
    archive_entry_set_mtime(z->entry, (time_t)(at_ms / 1000), 0);
    if (bytes != PORCH_ZIP_UNKNOWN) archive_entry_set_size(z->entry, (la_int64_t)bytes);
    int way = pack ? archive_write_zip_set_compression_deflate(z->archive)
                   : archive_write_zip_set_compression_store(z->archive);
    if (way != ARCHIVE_OK || archive_write_header(z->archive, z->entry) != ARCHIVE_OK)
        return refused(z, why);
    z->missing = bytes;
    return PORCH_OK;
}

porch_err porch_zip_bytes(porch_zip *z, porch_bytes bytes, porch_why *why) {
    if (z->missing != PORCH_ZIP_UNKNOWN && bytes.len > z->missing)
        return porch_fail(why, PORCH_ERR_STATE, "a file of the archive has more bytes than it said");
    if (z->missing != PORCH_ZIP_UNKNOWN) z->missing -= bytes.len;
    while (bytes.len > 0) {
        la_ssize_t n = archive_write_data(z->archive, bytes.at, bytes.len);
        if (n <= 0) return refused(z, why);
        bytes.at += n;
        bytes.len -= (size_t)n;
    }
    return PORCH_OK;
}

porch_err porch_zip_finish(porch_zip *z, porch_why *why) {
    PORCH_TRY(end_file(z, why));
    return archive_write_close(z->archive) == ARCHIVE_OK ? PORCH_OK : refused(z, why);
}

size_t porch_zip_ready(const porch_zip *z) {
    return z->end - z->begin;
}

size_t porch_zip_take(porch_zip *z, uint8_t *at, size_t cap) {
    size_t n = porch_zip_ready(z) < cap ? porch_zip_ready(z) : cap;
    if (n > 0) memcpy(at, z->at + z->begin, n);
    z->begin += n;
    return n;
}
