/* When the certificates end that everything hangs on, told in time: a line a day in the log, a number for
 * /metrics. What renews itself is told only when it did not.
 *
 *   root, issuers    from the registry and tls/    end with years of warning, and need an operator
 *   hub, people      tls/ or hub.https_cert        renewed by the hub or an ACME client
 *
 * `porchlight doctor` says the same of a hub that is asked. */
#ifndef PORCH_CLOUD_API_HUB_ENDS_H
#define PORCH_CLOUD_API_HUB_ENDS_H

#include "base/bytes.h"
#include "cloud/api/metrics.h"

/* One that ends soon, and what is to be done. Static texts. */
typedef struct {
    porch_metrics_end which;
    uint64_t ends_ms;
    const char *command;
} porch_hub_end;

/* Calls fn for each of those that has less time left than its kind asks for: what the hub issues itself two
 * weeks, issuers and root as much more than a certificate's life (`certificate_days`) as an operator needs.
 * An end of 0 is not known and not told. */
void porch_hub_ends_judge(const uint64_t ends_ms[PORCH_METRICS_ENDS], uint64_t now_ms,
                          uint32_t certificate_days, void (*fn)(const porch_hub_end *, void *), void *ctx);

#endif
