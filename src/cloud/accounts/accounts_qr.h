/* A text as a QR code in SVG, fit to be put into a page under a strict content policy: one <path>, no
 * script, no style, no link. */
#ifndef PORCH_CLOUD_ACCOUNTS_QR_H
#define PORCH_CLOUD_ACCOUNTS_QR_H

#include "base/bytes.h"
#include "base/error.h"

/* Error correction level M. *ret is malloc'ed and zero-terminated. LIMIT when the text does not fit. */
porch_err porch_qr_svg(const char *text, char **ret, porch_why *why);

#endif
