/* The trust log's signed heads: made at intervals, held against the log and against what the signer
 * remembers. */
#ifndef PORCH_CLOUD_API_TRUST_HEADS_H
#define PORCH_CLOUD_API_TRUST_HEADS_H

#include "cloud/signer/signer_trust_ipc.h"
#include "cloud/store/store.h"
#include "cloud/trust/trust.h"

typedef struct porch_signer_client porch_signer_client;

/* Hands the signer the rows since its last head; stores the new one. SIGNATURE: the log does not go on from
 * where the signer left it: it was cut or changed. LIMIT: a row that no message holds is in the way.
 * Blocks; any thread but shards and the writer. */
porch_err porch_trust_heads_sign(porch_store *store, porch_signer_client *signer, porch_why *why);

typedef struct {
    porch_trust_head head;
    uint64_t heads;      /* signed ones that were checked */
    uint64_t signed_seq; /* the last row that the signer vouches for; 0: none yet */
    uint8_t key[32];     /* the signer's */
    bool signer_asked;   /* else it was away, and only what the database holds was checked */
} porch_trust_report;
/* The whole chain, every stored head, and the signer's own memory. SIGNATURE: the sentence names the row.
 */
porch_err porch_trust_heads_verify(porch_store *store, porch_signer_client *signer, porch_trust_report *ret,
                                   porch_why *why);

#endif
