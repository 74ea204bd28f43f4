/* A ZIP archive made piece by piece: what is put in comes out at once as bytes to send.
 *
 *   file ─► bytes* ─► file ─► bytes* ─► finish          take, whenever bytes are ready
 *
 * Nothing is kept of a file but its line in the archive's directory, so the memory is bounded by the number
 * of files and by what one call puts in. Archives beyond 4 GiB become ZIP64 by themselves. */
#ifndef PORCH_CLOUD_API_EXPORT_ZIP_H
#define PORCH_CLOUD_API_EXPORT_ZIP_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_zip porch_zip;

#define PORCH_ZIP_UNKNOWN UINT64_MAX

porch_err porch_zip_new(porch_zip **ret, porch_why *why);
void porch_zip_free(porch_zip *z);

/* Begins a file (and ends the one before). `bytes`: its size, or PORCH_ZIP_UNKNOWN. `pack`: compressed;
 * films and pictures are so already. */
porch_err porch_zip_file(porch_zip *z, const char *name, uint64_t at_ms, uint64_t bytes, bool pack,
                         porch_why *why);
porch_err porch_zip_bytes(porch_zip *z, porch_bytes bytes, porch_why *why);
/* Writes the directory: the archive is whole once all that is ready was taken. STATE when a file has fewer
 * bytes than it said. */
porch_err porch_zip_finish(porch_zip *z, porch_why *why);

size_t porch_zip_ready(const porch_zip *z);
/* Moves up to `cap` ready bytes to `at`; how many. */
size_t porch_zip_take(porch_zip *z, uint8_t *at, size_t cap);

#endif
