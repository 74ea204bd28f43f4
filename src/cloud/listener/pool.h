/* Blocks for the message path: taken and given back without malloc or lock.
 *
 *   owner thread ─take─► [ free list of the size class ] ◄─give─ owner thread
 *                                    ▲ emptied when the list is empty
 *   other thread ─give─► [ returned: a stack of each class, one atomic exchange ]
 *
 * One pool belongs to one shard. Classes are powers of two from 64 bytes; memory is fetched from the system
 * in slabs, only when a class has run dry, and is kept: such a pool never shrinks. Spent is an answer
 * (NULL).
 *
 * For bytes of strangers, off the message path, there is a pool that returns: each block is fetched alone
 * and goes back to the system when it is given, so that whoever has filled it with blocks of one size
 * leaves nothing behind. */
#ifndef PORCH_CLOUD_LISTENER_POOL_H
#define PORCH_CLOUD_LISTENER_POOL_H

#include "base/bytes.h"

typedef struct porch_pool porch_pool;

#define PORCH_POOL_BLOCK_MOST ((size_t)32 << 20)

/* NULL without memory. At most `most_bytes` are ever fetched. */
porch_pool *porch_pool_new(uint64_t most_bytes);
/* One that returns what it is given. */
porch_pool *porch_pool_new_returning(uint64_t most_bytes);
/* When no thread uses its blocks any more. NULL is fine. */
void porch_pool_free(porch_pool *p);
/* At least `bytes`, aligned for any type, not cleared. NULL when spent or above PORCH_POOL_BLOCK_MOST.
 * Owner thread only. */
void *porch_pool_take(porch_pool *p, size_t bytes);
/* Any thread; `mine` is the caller's own pool (NULL when it has none). NULL block is fine. */
void porch_pool_give(porch_pool *mine, void *block);
/* Usable bytes of a block: at least what was asked for. */
size_t porch_pool_room(const void *block);
/* Bytes that are fetched from the system. */
uint64_t porch_pool_bytes(const porch_pool *p);

#endif
