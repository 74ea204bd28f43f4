/* What stands in EST requests (RFC 7030 with RFC 8951), as bytes: bodies in base64 and the password of HTTP
 * Basic authentication. No I/O, no memory of its own. */
#ifndef PORCH_WIRE_EST_H
#define PORCH_WIRE_EST_H

#include "base/cursor.h"

/* What a certificate does not say, in the answers of enrolment: ids of the hub and of what the device is.
 */
#define PORCH_EST_HUB_HEADER     "Porchlight-Hub"
#define PORCH_EST_PRODUCT_HEADER "Porchlight-Product"

enum { PORCH_EST_BODY_BYTES = 16384, PORCH_EST_PASSWORD_BYTES = 129 };

/* A body in base64, lines broken or not, into DER, appended. RFC 8951, 2.1: whatever a header says about
 * the encoding of the body is not looked at. MALFORMED, LIMIT. */
porch_err porch_est_body_read(porch_bytes text, porch_buf *out);
/* The same way out: lines of 64 characters, each with CR LF. */
porch_err porch_est_body_write(porch_bytes der, porch_buf *out);
/* "Basic dXNlcjpwYXNz" (RFC 7617): what stands behind the first colon; the name before it is not looked at.
 * MALFORMED; UNSUPPORTED for another scheme. */
porch_err porch_est_password_read(porch_bytes authorization, char out[PORCH_EST_PASSWORD_BYTES]);

#endif
