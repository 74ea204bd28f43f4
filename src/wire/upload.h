/* The header fields of clip upload: what device and hub say to each other beside the bytes.
 *
 *      Upload-Offset: 65536                 bytes that are durable, or where this PATCH begins
 *      Upload-Complete: ?1                  ?1 with the last bytes, else ?0 (RFC 8941 boolean)
 *      Repr-Digest: sha-256=:BASE64=:       hash of the whole clip (RFC 9530)
 *      Porchlight-Event: 0f3c...            the event that the clip belongs to
 *
 * The parsers take a header's value and accept one spelling of each meaning. */
#ifndef PORCH_WIRE_UPLOAD_H
#define PORCH_WIRE_UPLOAD_H

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "wire/id.h"

#define PORCH_UPLOAD_OFFSET_HEADER   "Upload-Offset"
#define PORCH_UPLOAD_COMPLETE_HEADER "Upload-Complete"
#define PORCH_UPLOAD_DIGEST_HEADER   "Repr-Digest"
#define PORCH_UPLOAD_EVENT_HEADER    "Porchlight-Event"
/* Media type of a PATCH's body. */
#define PORCH_UPLOAD_MEDIA_TYPE "application/partial-upload"
/* Largest offset: RFC 8941 integers have at most 15 digits. */
#define PORCH_UPLOAD_OFFSET_MOST 999999999999999u

/* All: PORCH_ERR_MALFORMED (or LIMIT for a number too large), ret untouched then. */
porch_err porch_upload_offset_parse(porch_bytes value, uint64_t *ret);
porch_err porch_upload_complete_parse(porch_bytes value, bool *ret);
/* A dictionary in which sha-256 stands once; members of other algorithms are skipped, whatever they are. */
porch_err porch_upload_digest_parse(porch_bytes value, uint8_t ret[32]);
porch_err porch_upload_event_parse(porch_bytes value, porch_id *ret);

/* The values alone; porch_http1_header_write puts them in a line. */
porch_err porch_upload_offset_write(porch_buf *b, uint64_t offset);
porch_err porch_upload_complete_write(porch_buf *b, bool complete);
porch_err porch_upload_digest_write(porch_buf *b, const uint8_t sha256[32]);

#endif
