/* Any bytes as a device manifest, with a crypto library that says yes: refused, or a release whose parts
 * lie in the input and whose policy is one that the decision's table knows. */
#include "ota/client/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void zero(porch_bytes b, uint8_t out[32]) {
    (void)b;
    memset(out, 0, 32);
}

static porch_err yes(porch_verify_scheme scheme, porch_bytes key, porch_bytes message,
                     porch_bytes signature, uint8_t fingerprint[PORCH_VERIFY_FINGERPRINT_BYTES]) {
    (void)scheme, (void)key, (void)message, (void)signature;
    memset(fingerprint, 0, PORCH_VERIFY_FINGERPRINT_BYTES);
    return PORCH_OK;
}

static void inside(porch_bytes part, const uint8_t *at, size_t len) {
    if (part.len == 0 || part.at < at || part.at + part.len > at + len) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const porch_verify_ops crypto = {.verify = yes, .sha256 = zero};
    static const uint8_t points[1][PORCH_MANIFEST_POINT_BYTES];
    const porch_manifest_keys keys = {points, 1, 1};
    porch_manifest m;
    porch_why why = {""};
    if (porch_manifest_read(&crypto, &keys, (porch_bytes){at, len}, &m, &why) != PORCH_OK) return 0;
    inside(m.product, at, len);
    inside(m.version, at, len);
    inside(m.hardware, at, len);
    if (m.image.length == 0 || m.policy.stages > PORCH_POLICY_STAGES_MOST || m.policy.battery > 100)
        abort();
    (void)porch_manifest_is_for(&m, "camera", "rev-a", 3, &why);
    const porch_policy_facts f = {.minute = 10, .full_bytes = m.image.length, .counter = m.image.counter};
    if (porch_policy_decide(&m.policy, &f, &why) > PORCH_POLICY_REFUSE) abort();
    return 0;
}
