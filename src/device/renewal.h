/* When a certificate is renewed: at two thirds of its life, and up to a twelfth of it later, so that a
 * thousand devices that were enrolled in one hour do not come back in one. */
#ifndef PORCH_DEVICE_RENEWAL_H
#define PORCH_DEVICE_RENEWAL_H

#include <stdint.h>

/* `random`: any 32 random bits. Times are Unix ms. */
uint64_t porch_renewal_at(uint64_t not_before_ms, uint64_t not_after_ms, uint32_t random);

#endif
