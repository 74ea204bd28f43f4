/* An immutable set of texts: the devices of one household, for the people who live there.
 *
 * Policies share it; a question takes no lock and no memory. Whoever lists the texts decides what is in it,
 * so nobody outside can pile up collisions. */
#ifndef PORCH_ACCESS_SET_H
#define PORCH_ACCESS_SET_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_access_set porch_access_set;

/* Bytes of the block that build needs. */
size_t porch_access_set_bytes(const porch_bytes *texts, size_t count);
/* Builds into `block` (aligned for uint64_t): *ret == block. Texts are copied; one that comes twice counts
 * once. PORCH_ERR_NO_SPACE; PORCH_ERR_LIMIT: 4 GiB or more of them. */
porch_err porch_access_set_build(const porch_bytes *texts, size_t count, void *block, size_t bytes,
                                 const porch_access_set **ret);
size_t porch_access_set_count(const porch_access_set *set);
bool porch_access_set_has(const porch_access_set *set, porch_bytes text);

#endif
