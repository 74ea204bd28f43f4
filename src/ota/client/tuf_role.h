/* What a role's metadata says, read from its canonical text, and whether enough of its keys have signed it.
 *
 *   { "signatures": [ {keyid, sig}, ... ],
 *     "signed": { _type, spec_version, version, expires, ... } }      The Update Framework 1.0.34, section
 * 4
 *
 * Every view looks into the canonical text. Nothing here decides what is newer or trusted: that is
 * tuf_client.c. */
#ifndef PORCH_OTA_CLIENT_TUF_ROLE_H
#define PORCH_OTA_CLIENT_TUF_ROLE_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/verify.h"

enum {
    PORCH_TUF_THRESHOLD_MOST = 16,  /* signatures that a role may ask for */
    PORCH_TUF_SIGNATURES_MOST = 64, /* signatures that a file may carry */
    PORCH_TUF_KEY_BYTES = 1024      /* a key's text */
};

typedef struct {
    porch_bytes content; /* "signed": what signatures cover */
    uint64_t version;
    uint64_t expires_s; /* seconds since 1970 */
} porch_tuf_header;

/* `type` is root, timestamp, snapshot or targets. MALFORMED, or UNSUPPORTED for another major version of
 * the format. */
porch_err porch_tuf_header_read(porch_bytes document, const char *type, porch_tuf_header *ret,
                                porch_why *why);

/* Who may sign for a role, and how many must. */
typedef struct {
    porch_bytes keys;   /* {KEYID: KEY} */
    porch_bytes keyids; /* [KEYID] */
    uint64_t threshold;
} porch_tuf_trust;

porch_err porch_tuf_trust_read(porch_bytes keys, porch_bytes role, porch_tuf_trust *ret, porch_why *why);
/* Of a top-level role in root's content; root must name all four: MALFORMED. */
porch_err porch_tuf_root_read(porch_bytes root_content, const char *role, porch_tuf_trust *ret,
                              porch_why *why);
/* Is there a key in `before` that `now` has no more? */
bool porch_tuf_trust_lost_key(const porch_tuf_trust *before, const porch_tuf_trust *now);

/* OK when at least the threshold of different keys has signed; keys of equal content count once, whatever
 * their ids. SIGNATURE when not, MALFORMED when an id has two signatures or the list is no such list. */
porch_err porch_tuf_signatures_check(const porch_verify_ops *crypto, porch_bytes document,
                                     const porch_tuf_trust *trust, porch_why *why);

typedef struct {
    bool has_sha256, has_sha512;
    uint8_t sha256[32], sha512[64];
} porch_tuf_hashes;

typedef struct {
    uint64_t version;
    bool has_length;
    uint64_t length;
    porch_tuf_hashes hashes; /* may name none */
} porch_tuf_meta;

/* What a snapshot or timestamp says of a file: `name` with ".json". NOT_FOUND when it names none. */
porch_err porch_tuf_meta_read(porch_bytes content, porch_bytes name, porch_tuf_meta *ret, porch_why *why);

typedef struct {
    uint64_t length;
    porch_tuf_hashes hashes; /* at least one */
    porch_bytes custom;      /* an object, or empty */
} porch_tuf_target;

/* What a targets role says of a target. NOT_FOUND when it names none. */
porch_err porch_tuf_target_read(porch_bytes content, porch_bytes path, porch_tuf_target *ret,
                                porch_why *why);

/* Do the bytes have every hash that is named? True when none is. */
bool porch_tuf_hashes_fit(const porch_verify_ops *crypto, const porch_tuf_hashes *hashes,
                          porch_bytes bytes);

/* "2030-01-01T00:00:00Z" and no other form. */
porch_err porch_tuf_time_read(porch_bytes text, uint64_t *seconds);

#endif
