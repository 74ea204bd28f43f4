/* What the hub may ask of the signer process: the client's side of the socket pair.
 *
 *   hub thread ──call──► [ one request at a time, under a lock ] ──SEQPACKET──► signer
 *
 * The signer owns the CA keys, the sealing key and the second factors' counters. It offers the fixed
 * services below and nothing like 'sign these bytes'. Every call blocks until the signer's answer and may
 * be made from any thread but a shard. While the signer is away (it died, the supervisor restarts it) a
 * call waits up to 5 seconds for porch_signer_client_attach() and then returns PORCH_ERR_CHILD: try later.
 * A call that was cut off by the signer's death is not repeated by itself unless it is harmless to repeat:
 * issue, seal, unseal, clip_key, forget and the VAPID calls are; totp_check is not (the code may have been
 * spent) and gives PORCH_ERR_CHILD. Outputs are written only on success. */
#ifndef PORCH_CLOUD_SIGNER_CLIENT_H
#define PORCH_CLOUD_SIGNER_CLIENT_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct porch_signer_client porch_signer_client;

/* What a certificate is for; the signer decides everything else about it (usage, names' form, issuer). */
typedef enum {
    PORCH_SIGNER_DEVICE = 1,     /* one name, an id: SAN URI urn:porchlight:device:<id>, clientAuth */
    PORCH_SIGNER_SERVICE = 2,    /* one name, an id: SAN URI urn:porchlight:service:<name>, clientAuth */
    PORCH_SIGNER_HUB_SERVER = 3, /* host names and addresses of hub.conf: serverAuth, by the issuing CA */
    PORCH_SIGNER_WEB_SERVER = 4  /* the same names, by the name-constrained web CA, for browsers */
} porch_signer_profile;

enum {
    PORCH_SIGNER_NAMES_MAX = 16,       /* names in one server certificate */
    PORCH_SIGNER_PLAIN_MAX = 16384,    /* bytes that one seal takes */
    PORCH_SIGNER_SEALED_EXTRA = 64,    /* a sealed block is at most this much longer than its plain text */
    PORCH_SIGNER_PEM_MAX = 16384,      /* room that always suffices for porch_signer_issue's answer */
    PORCH_SIGNER_SECRET_TEXT = 64,     /* a TOTP secret in base32 with its terminating zero fits */
    PORCH_SIGNER_VAPID_KEY_BYTES = 65, /* an uncompressed point of P-256 */
    PORCH_SIGNER_VAPID_TOKEN_TEXT = 640, /* a VAPID token with its terminating zero fits */
    PORCH_SIGNER_AWAY_WAIT_MS = 5000,    /* how long a call waits for a signer that is away */
};

/* NULL when out of memory. Nothing is attached yet. */
porch_signer_client *porch_signer_client_new(void);
/* Closes the socket. No call may be under way. */
void porch_signer_client_free(porch_signer_client *c);
/* Takes over `fd` (one end of a SEQPACKET pair) and closes the one it had. Any thread. */
void porch_signer_client_attach(porch_signer_client *c, int fd);
/* True while a socket is attached that has not failed yet; for status pages. */
bool porch_signer_client_attached(porch_signer_client *c);

/* Issues a certificate for the key in `csr_pem` (proof of possession is verified by the signer; the CSR's
 * own names are ignored). `days` 0 means the profile's usual life; more than it is PORCH_ERR_LIMIT.
 * `out_pem` is appended to: what a TLS peer presents, i.e. the leaf and then, unless the issuer is the web
 * CA, the issuing certificate. PORCH_ERR_BUSY: the profile's rate limit; the sentence says when. */
porch_err porch_signer_issue(porch_signer_client *c, porch_signer_profile profile, const char *const *names,
                             size_t names_count, porch_bytes csr_pem, uint32_t days, porch_buf *out_pem,
                             porch_why *why);

/* The request for the next issuing key's certificate, appended as PEM; the key is made when there is none
 * that waits. Harmless to repeat: the same key. */
porch_err porch_signer_issuer_next(porch_signer_client *c, porch_buf *csr_pem, porch_why *why);
/* The key of that issuing certificate signs from now on; at the signer's next start tls/issuing.pem must
 * say the same. NOT_FOUND: it is for no key of this signer. DENIED: no authority's, or not valid now.
 * Harmless to repeat. */
porch_err porch_signer_issuer_use(porch_signer_client *c, porch_bytes cert_pem, porch_why *why);

/* The issuing key whose public half has this SHA-256 is destroyed when this returns: no file of the signer
 * holds it any more. Blocks while the signer starts anew, which is when it drops the keys of before. STATE:
 * it signs today's certificates, or waits for its own. Harmless to repeat. */
porch_err porch_signer_issuer_forget(porch_signer_client *c, const uint8_t key_hash[32], porch_why *why);

/* Makes a TOTP secret (RFC 6238: SHA-1, 30 s, 6 digits) for `account` (an id). `sealed` is appended to, to
 * be stored with the account; `secret_base32` is what the person's authenticator is given, once. The
 * account's last accepted counter stays: a new secret does not bring spent time steps back. */
porch_err porch_signer_totp_make(porch_signer_client *c, const char *account, porch_buf *sealed,
                                 char secret_base32[PORCH_SIGNER_SECRET_TEXT], porch_why *why);
/* Judges a six-digit code at `now_ms`, one step of 30 s either way. The accepted step is on disk before
 * this returns, so a code works once, also across a crash.
 *   PORCH_OK            accepted
 *   PORCH_ERR_AUTH      wrong, malformed, or `sealed` is not this account's
 *   PORCH_ERR_EXPIRED   right, but this code (or a later one) was accepted before
 *   PORCH_ERR_LIMIT     too many wrong codes for this account; the sentence says how long */
porch_err porch_signer_totp_check(porch_signer_client *c, const char *account, porch_bytes sealed,
                                  const char *code, uint64_t now_ms, porch_why *why);

/* Seals a small secret under `label` (an id, e.g. "webhook"); only the same label opens it. `sealed` is
 * appended to (plain length + PORCH_SIGNER_SEALED_EXTRA suffices). */
porch_err porch_signer_seal(porch_signer_client *c, const char *label, porch_bytes plain, porch_buf *sealed,
                            porch_why *why);
/* PORCH_ERR_SIGNATURE: changed, cut, another label, or another hub's. */
porch_err porch_signer_unseal(porch_signer_client *c, const char *label, porch_bytes sealed,
                              porch_buf *plain, porch_why *why);

/* The AES-256 key of one clip (an id), derived: the same id gives the same key for ever. Wipe it. */
porch_err porch_signer_clip_key(porch_signer_client *c, const char *clip_id, uint8_t key[32],
                                porch_why *why);

/* A household ends: the journal's lines about "device:ID" or "account:ID" lose that name and keep the rest
 * (when, serial, end), and one line more says that this was done. Harmless to repeat. */
porch_err porch_signer_forget(porch_signer_client *c, const char *what, porch_why *why);

/* The public half of the hub's VAPID key (RFC 8292): what a browser subscribes with. */
porch_err porch_signer_vapid_key(porch_signer_client *c, uint8_t public_key[PORCH_SIGNER_VAPID_KEY_BYTES],
                                 porch_why *why);
/* A VAPID token for one push service: the signer writes the JWT itself, from `audience` ("https://HOST" or
 * "https://HOST:PORT", lower case, at most 128 bytes), `ends_ms` (in the future, at most 24 hours) and the
 * setting push.contact. PORCH_ERR_MALFORMED, PORCH_ERR_LIMIT; PORCH_ERR_BUSY: signer.vapid_per_minute. */
porch_err porch_signer_vapid_token(porch_signer_client *c, const char *audience, uint64_t ends_ms,
                                   char token[PORCH_SIGNER_VAPID_TOKEN_TEXT], porch_why *why);

/* What time it is by the signer, for who chose the nonce (wire/signed_time.h): appended, with its
 * signature. `timestamp`: SHA-256 of the update repository's timestamp.json, NULL for none. BUSY:
 * signer.times_per_minute. */
porch_err porch_signer_time(porch_signer_client *c, const uint8_t nonce[32], const uint8_t *timestamp,
                            porch_buf *out, porch_why *why);
/* The public half of the key that does so (Ed25519). */
porch_err porch_signer_time_key(porch_signer_client *c, uint8_t key[32], porch_why *why);
/* Why the signer does not believe the hub's clock, "" when it does. `confirm`: an operator has looked at
 * the clock and says that it is right; from then on it is believed as it is. */
enum { PORCH_SIGNER_REASON_BYTES = 200 };
porch_err porch_signer_clock(porch_signer_client *c, bool confirm, char reason[PORCH_SIGNER_REASON_BYTES],
                             porch_why *why);

/* Rows of the trust log (signer_trust_ipc.h, one after the other) that follow the head which the signer
 * remembers; it hashes them, remembers the new head and signs it: `head` is appended to, for
 * porch_trust_signed_head_read. No rows: the head that it has. STATE: the
 * first is not the next one. Harmless to repeat after a CHILD: what it has is asked for first. */
porch_err porch_signer_trust_head(porch_signer_client *c, porch_bytes rows, porch_buf *head,
                                  porch_why *why);

/* The public halves of the two keys that this hub's update repository is announced with, in hex. */
enum { PORCH_SIGNER_UPDATE_KEY_TEXT = 65 };
porch_err porch_signer_update_keys_get(porch_signer_client *c, char snapshot[PORCH_SIGNER_UPDATE_KEY_TEXT],
                                       char timestamp[PORCH_SIGNER_UPDATE_KEY_TEXT], porch_why *why);
/* Writes and signs the next snapshot and timestamp from a porch_signer_update (signer_update_ipc.h);
 * `answer` is appended to, for porch_signer_updated_read. ROLLBACK: a role is older than one announced
 * before, or missing. BUSY: signer.updates_per_minute. Harmless to repeat: versions only rise. */
porch_err porch_signer_update_sign(porch_signer_client *c, porch_bytes update, porch_buf *answer,
                                   porch_why *why);

#endif
