/* What a release says to a device that is too small for JSON: some 300 bytes of CBOR, signed.
 *
 *   target PRODUCT/VERSION/manifest ──(length, hash: TUF)──► gateway or device ──► porch_manifest_read
 *                                                             keys in flash ─┘        └─► the slots' image,
 *                                                                                         the policy
 *
 * A SUIT envelope (draft-ietf-suit-manifest) of one shape: one component, no command but those that the
 * shape has, so that there is nothing to interpret. Deterministic CBOR (RFC 8949, 4.2.1), COSE_Sign1 with
 * ES256 (RFC 9052, 9053).
 *
 *   107({ 2: << [ << [-16, SHA-256 of the manifest's own byte string] >>,
 *                 << 18([ << {1: -7, 4: KID} >>, {}, null, r ‖ s ]) >> ... ] >>,       1 to 4 signatures
 *         3: << { 1: 1, 2: serial,
 *                 3: << { 2: [[h'00']],
 *                         4: << [20, {3: << [-16, SHA-256 of the image] >>, 14: its length}] >> } >>,
 *                 7: << [3, 15] >>,                                       is the image what was signed?
 *                 -1: product, -2: version, -3: [hardware, ...], -4: counter,
 *                 -5: {1: [[share, dwell_s], ...], 2: battery, 3: [from_min, to_min], 4: bytes,
 *                      5: schema_least} } >> })                              each may be missing, and all
 *
 * KID is the SHA-256 of the key's SubjectPublicKeyInfo. A signature is over
 * ["Signature1", protected, h'', << digest >>]. No allocation; views look into the input. */
#ifndef PORCH_OTA_CLIENT_MANIFEST_H
#define PORCH_OTA_CLIENT_MANIFEST_H

#include "ota/client/policy.h"
#include "ota/client/slot_record.h"

enum {
    PORCH_MANIFEST_BYTES_MOST = 4096,
    PORCH_MANIFEST_SIGNATURES_MOST = 4,
    PORCH_MANIFEST_HARDWARE_MOST = 32,
    PORCH_MANIFEST_TEXT_MOST = 128, /* product, version, a hardware revision */
    PORCH_MANIFEST_POINT_BYTES = 65 /* an uncompressed point of P-256 */
};

/* Who may sign for the product, and how many must: in the device's flash, or from the product's role. */
typedef struct {
    const uint8_t (*points)[PORCH_MANIFEST_POINT_BYTES];
    size_t count;
    size_t threshold; /* at least 1 */
} porch_manifest_keys;

typedef struct {
    uint64_t serial; /* rises with each release of the product */
    porch_slot_image image;
    porch_bytes product, version;
    porch_bytes hardware; /* the list; porch_manifest_is_for looks into it */
    porch_policy policy;
} porch_manifest;

/* SIGNATURE: fewer than `threshold` of these keys have signed; HASH: the manifest is not the one that was
 * signed; MALFORMED, TRUNCATED, LIMIT: it is of another shape. *ret on success only. */
porch_err porch_manifest_read(const porch_verify_ops *crypto, const porch_manifest_keys *keys,
                              porch_bytes text, porch_manifest *ret, porch_why *why);

/* May this device install it at all? DENIED: for another product or hardware; ROLLBACK: below the floor.
 * When is the policy's business. */
porch_err porch_manifest_is_for(const porch_manifest *m, const char *product, const char *hardware,
                                uint64_t floor, porch_why *why);

#endif
