/* The client workflow of The Update Framework 1.0.34, section 5, without a heap and without an operating
 * system.
 *
 *   port->fetch (network) ─┐                       ┌─► port->store (what is trusted, as it came)
 *   port->load  (storage) ─┼─► canonical JSON ─► judged, step by step
 *   now_s       (clock)   ─┘                       └─► porch_tuf_target: length, hashes, the team's own
 * words
 *
 * All memory is the caller's: five blocks for metadata, one for the members of JSON objects, one for the
 * roles of a search. Their sizes bound what a repository may send. Calls block as long as the port does.
 * After any error or power cut the next porch_tuf_refresh goes on from what is stored. One client, one
 * thread at a time. */
#ifndef PORCH_OTA_CLIENT_TUF_CLIENT_H
#define PORCH_OTA_CLIENT_TUF_CLIENT_H

#include "ota/client/tuf_json.h"
#include "ota/client/tuf_role.h"

enum {
    PORCH_TUF_NAME_BYTES = 128,                          /* a role's name */
    PORCH_TUF_FILE_BYTES = 3 * PORCH_TUF_NAME_BYTES + 32 /* the same quoted, with a version and ".json" */
};

typedef struct {
    uint64_t now_s;
    bool has_timestamp;
    uint8_t timestamp[32];
} porch_tuf_fresh;

/* What surrounds the client. `name` is safe as one step of an address and as a file name. Each returns OK,
 * NOT_FOUND, or another error, which ends the update. */
typedef struct {
    /* A metadata file of the repository ("7.root.json"); LIMIT when it is longer than out->cap. NOT_FOUND
     * only when the repository says that there is no such file. */
    porch_err (*fetch)(void *self, const char *name, porch_buf *out, porch_why *why);
    /* A file stored before ("root.json"). LIMIT as above. */
    porch_err (*load)(void *self, const char *name, porch_buf *out, porch_why *why);
    /* Replaces a file, whole or not at all, also when the power goes. */
    porch_err (*store)(void *self, const char *name, porch_bytes bytes, porch_why *why);
    porch_err (*drop)(void *self, const char *name, porch_why *why);
    /* What the holder of this Ed25519 key, which the trusted root names, says now: the time, and the
     * SHA-256 of the newest timestamp metadata. The port asks with a nonce of its own and judges signature,
     * floor and jump (device/clock.h). NULL: by our own clock alone. */
    porch_err (*fresh)(void *self, const uint8_t key[32], porch_tuf_fresh *ret, porch_why *why);
} porch_tuf_port;

/* Sizes that a repository may reach, where its own metadata names none. */
typedef struct {
    size_t root_bytes, timestamp_bytes, snapshot_bytes, targets_bytes;
    unsigned root_steps; /* new versions of root taken in one update; the next one goes on */
    unsigned roles;      /* roles visited in one search */
} porch_tuf_limits;

/* A role seen or waiting in a search. */
typedef struct {
    char name[PORCH_TUF_NAME_BYTES + 1];
    uint8_t sha256[32]; /* of the bytes that were verified */
    uint16_t parent, next;
    bool visited;
} porch_tuf_step;

typedef struct {
    porch_buf raw, work; /* bytes as they came, and their canonical form: as large as the largest file */
    porch_buf root, snapshot, targets; /* canonical forms that are kept */
    porch_tuf_json_scratch scratch;
    porch_tuf_step *steps;
    size_t step_cap;
} porch_tuf_memory;

typedef struct {
    const porch_tuf_port *port;
    void *self; /* for the port */
    const porch_verify_ops *crypto;
    porch_tuf_limits limits;
    porch_tuf_memory memory;
    uint64_t now_s; /* when this update began: fixed (5.1), or as port->fresh said */
    /* from here on the client's own */
    bool fresh; /* refresh has gone well: targets may be searched */
    bool consistent;
    uint64_t root_version;
    bool vouched; /* port->fresh was asked in this update, and said: */
    porch_tuf_fresh said;
    porch_tuf_meta snapshot_meta; /* as the trusted timestamp says */
    uint16_t held;                /* the step whose role memory.targets holds */
} porch_tuf;

/* Takes a root that the caller trusts for reasons of its own (it came with the product) and stores it, when
 * it is signed by its own keys. Fetches nothing. */
porch_err porch_tuf_init(porch_tuf *t, porch_bytes root, porch_why *why);

/* Steps 5.2 to 5.6.6: root, timestamp, snapshot, top-level targets. Where the root names a time key and the
 * port can ask, the timestamp must be the very one that its holder vouches for: who holds back what is
 * newer is found out without a clock, at once and not when metadata expires. SIGNATURE, HASH, ROLLBACK,
 * EXPIRED, MALFORMED, LIMIT, NOT_FOUND, or what the port said; what was trusted before stays. */
porch_err porch_tuf_refresh(porch_tuf *t, porch_why *why);

/* Step 5.6.7: searches roles, depth first, fetching what is needed. After refresh only. NOT_FOUND when no
 * role that may speak of the path names it. Views in *ret hold until the next call. */
porch_err porch_tuf_find(porch_tuf *t, porch_bytes path, porch_tuf_target *ret, porch_why *why);

/* The content of the role that has the last word on the path: the last one that the search above visits,
 * fetched and verified, whatever targets it names. NOT_FOUND when no delegated role may speak of the path.
 */
porch_err porch_tuf_find_role(porch_tuf *t, porch_bytes path, porch_bytes *content, porch_why *why);

/* Where the target lies below the targets' address, quoted: with a hash before the file's name when the
 * repository writes consistent snapshots (5.7.3). NO_SPACE. */
porch_err porch_tuf_target_path(const porch_tuf *t, porch_bytes path, const porch_tuf_target *target,
                                char *out, size_t cap);

#endif
