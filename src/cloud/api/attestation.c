#include "cloud/api/attestation.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "crypto/sha256.h"

typedef struct {
    bool used;
    uint8_t ticket[PORCH_ATTESTATION_TICKET_BYTES];
    uint8_t secret[PORCH_CREDENTIAL_SECRET_BYTES];
    uint8_t asker[PORCH_SHA256_BYTES]; /* of its endorsement certificate, which is no secret */
    porch_public_key attester;
    uint64_t ends_ms; /* monotonic */
} pending;

/* So many one TPM may have open: who only knows others' certificates can crowd out no more than theirs. */
enum { ONES_MOST = 4 };

struct porch_attestations {
    pthread_mutex_t lock;
    uint64_t life_ms;
    size_t most;
    pending rows[];
};

porch_attestations *porch_attestations_new(size_t most, uint64_t life_ms) {
    porch_attestations *a = calloc(1, sizeof *a + most * sizeof a->rows[0]);
    if (a == NULL) return NULL;
    (void)pthread_mutex_init(&a->lock, NULL);
    a->most = most;
    a->life_ms = life_ms;
    return a;
}

void porch_attestations_free(porch_attestations *a) {
    if (a == NULL) return;
    porch_wipe(a->rows, a->most * sizeof a->rows[0]);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

/* The oldest of the asker's own when it has its share; else a free row, else the oldest. Under the lock. */
static pending *row_for(porch_attestations *a, const uint8_t asker[PORCH_SHA256_BYTES], uint64_t mono_ms) {
    pending *oldest = &a->rows[0], *unused = NULL, *own = NULL;
    size_t owns = 0;
    for (size_t i = 0; i < a->most; i++) {
        pending *p = &a->rows[i];
        if (!p->used || p->ends_ms <= mono_ms) {
            unused = p;
            continue;
        }
        if (p->ends_ms < oldest->ends_ms) oldest = p;
        if (memcmp(p->asker, asker, sizeof p->asker) != 0) continue;
        owns++;
        if (own == NULL || p->ends_ms < own->ends_ms) own = p;
    }
    if (owns >= ONES_MOST) return own;
    return unused != NULL ? unused : oldest;
}

porch_err porch_attestations_ask(porch_attestations *a, porch_bytes question, const porch_bytes *makers_pem,
                                 size_t makers, uint64_t wall_ms, uint64_t mono_ms, porch_buf *challenge,
                                 porch_why *why) {
    porch_attestation_question q;
    porch_attester attester;
    uint8_t credential_block[PORCH_CREDENTIAL_BYTES], seed_block[PORCH_CREDENTIAL_SEED_BYTES];
    porch_buf credential = PORCH_BUF_OF(credential_block), seed = PORCH_BUF_OF(seed_block);
    pending p = {.used = true, .ends_ms = mono_ms + a->life_ms};
    if (porch_attestation_question_read(question, &q) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "the body is an endorsement certificate and an attester's public area");
    if (makers == 0)
        return porch_fail(why, PORCH_ERR_AUTH, "this hub believes no maker of TPMs yet (tpm-ca add)");
    if (porch_attester_read(q.attester, &attester) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_UNSUPPORTED,
                          "the attester is no restricted P-256 signing key that was made in its TPM and is "
                          "fixed to it");
    PORCH_TRY(porch_tpm_vouched(q.certificate, makers_pem, makers, wall_ms, why));
    porch_random(p.ticket, sizeof p.ticket);
    porch_random(p.secret, sizeof p.secret);
    PORCH_TRY(porch_tpm_credential(q.certificate, &attester, p.secret, &credential, &seed, why));
    p.attester = attester.key;
    porch_sha256(q.certificate, p.asker);
    const porch_attestation_challenge c = {
        {p.ticket, sizeof p.ticket}, porch_buf_bytes(&credential), porch_buf_bytes(&seed)};
    PORCH_TRY(porch_attestation_challenge_write(&c, challenge));
    (void)pthread_mutex_lock(&a->lock);
    *row_for(a, p.asker, mono_ms) = p;
    (void)pthread_mutex_unlock(&a->lock);
    porch_wipe(&p, sizeof p);
    return PORCH_OK;
}

/* Takes the row of a ticket out: it is of no more use to anybody. */
static bool spend(porch_attestations *a, porch_bytes ticket, uint64_t mono_ms, pending *ret) {
    bool found = false;
    (void)pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->most && !found; i++) {
        pending *p = &a->rows[i];
        if (!p->used || !porch_bytes_eq_secret((porch_bytes){p->ticket, sizeof p->ticket}, ticket))
            continue;
        *ret = *p;
        porch_wipe(p, sizeof *p);
        found = ret->ends_ms > mono_ms;
        break;
    }
    (void)pthread_mutex_unlock(&a->lock);
    return found;
}

porch_err porch_attestations_check(porch_attestations *a, porch_bytes evidence, const porch_public_key *key,
                                   uint64_t mono_ms, porch_why *why) {
    porch_attestation_evidence e;
    porch_key_evidence made = {.statement_len = 0};
    pending p;
    uint8_t challenge[32];
    if (porch_attestation_evidence_read(evidence, &e) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED, PORCH_EVIDENCE_HEADER " cannot be read");
    if (!spend(a, e.ticket, mono_ms, &p))
        return porch_fail(
            why, PORCH_ERR_EXPIRED,
            "the evidence answers no challenge of this hub, or one that was answered or is over; "
            "ask for a new one");
    memcpy(made.statement, e.statement.at, e.statement.len); /* their limits are the reader's */
    made.statement_len = e.statement.len;
    memcpy(made.signature, e.signature.at, e.signature.len);
    made.signature_len = e.signature.len;
    porch_attestation_challenge_of(p.secret, challenge);
    porch_err r =
        porch_key_check_evidence(&p.attester, key, (porch_bytes){challenge, sizeof challenge}, &made);
    porch_wipe(&p, sizeof p);
    if (r == PORCH_OK) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_SIGNATURE,
                      "the evidence does not show that the request's key was made in that TPM and cannot "
                      "leave it");
}
