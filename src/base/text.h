/* Text forms of bytes and numbers: hex, base64, decimal, UTF-8. Strict both ways: what one function
 * writes is the only form that its partner reads. */
#ifndef PORCH_BASE_TEXT_H
#define PORCH_BASE_TEXT_H

#include "base/bytes.h"
#include "base/error.h"

/* Lower-case hex. Reading accepts lower case only and an even length. */
porch_err porch_hex_write(porch_buf *out, porch_bytes raw);
porch_err porch_hex_read(porch_buf *out, porch_bytes text);

/* RFC 4648: section 4 with padding, or (url) section 5 without. Reading refuses other forms, stray bits
 * too. */
porch_err porch_base64_write(porch_buf *out, porch_bytes raw, bool url);
porch_err porch_base64_read(porch_buf *out, porch_bytes text, bool url);

/* Decimal digits only, no sign, no leading zero but "0" itself; PORCH_ERR_LIMIT when above `most`. */
porch_err porch_decimal_read(porch_bytes text, uint64_t most, uint64_t *ret);

/* Well-formed UTF-8 (Unicode 15, table 3-7): no overlong form, no surrogate, nothing above U+10FFFF. */
bool porch_utf8_valid(porch_bytes text);

#endif
