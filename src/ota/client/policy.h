/* May this device install this release now? Decided by what the product team signed and by what the device
 * knows of itself; the hub may only be slower (src/wire/update_news.h).
 *
 *   target's custom part ─► porch_policy_read ─► policy ─┐
 *   id, battery, clock, powered-on time, data, floor ────┴─► porch_policy_decide ─► install | wait |
 * refuse, and why
 *
 * In the custom part of a release ("rollout", all members may be missing):
 *
 *   "rollout": {"stages": [{"share": 100, "dwell_s": 86400}, {"share": 10000}],
 *               "battery": 30, "window": {"from_min": 120, "to_min": 300}, "bytes": 5000000},
 * "schema_least": 3
 *
 * Pure. */
#ifndef PORCH_OTA_CLIENT_POLICY_H
#define PORCH_OTA_CLIENT_POLICY_H

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/verify.h"

enum { PORCH_POLICY_STAGES_MOST = 16, PORCH_POLICY_ALL = 10000, PORCH_POLICY_DAY_MIN = 24 * 60 };

typedef struct {
    uint32_t share;   /* of all devices, in 1/10000; rises from stage to stage */
    uint64_t dwell_s; /* powered-on time that a device waits here before the next stage holds for it */
} porch_policy_stage;

typedef struct {
    porch_policy_stage stage[PORCH_POLICY_STAGES_MOST];
    size_t stages;    /* 0: everybody at once */
    uint32_t battery; /* percent that must be left; 0: any */
    bool has_window;  /* of the day, UTC; may reach past midnight */
    uint32_t from_min, to_min;
    bool has_bytes; /* what a device may fetch for this release */
    uint64_t bytes;
    uint64_t schema_least; /* the release reads data of this version and later */
} porch_policy;

/* `custom` is canonical (tuf_json.h), or empty: then everything is allowed. MALFORMED with the member. */
porch_err porch_policy_read(porch_bytes custom, porch_policy *ret, porch_why *why);

/* What the device knows of itself. */
typedef struct {
    uint32_t cohort;                  /* porch_policy_cohort */
    uint64_t powered_s;               /* powered on since it first saw this release */
    uint32_t widened;                 /* a share that the role `rollout` signed since; 0: none */
    int battery;                      /* percent; negative: mains */
    int minute;                       /* of the day, UTC; negative: no clock to trust */
    uint64_t schema;                  /* of the data it keeps */
    uint64_t counter;                 /* the release's */
    uint64_t floor;                   /* the device's */
    uint64_t fetched;                 /* bytes already fetched for this release */
    uint64_t delta_bytes, full_bytes; /* what it would take; delta 0: there is none that fits */
} porch_policy_facts;

typedef enum {
    PORCH_POLICY_DELTA,
    PORCH_POLICY_FULL,
    PORCH_POLICY_WAIT,
    PORCH_POLICY_REFUSE
} porch_policy_verdict;

/* The first row of the table that fits; `why` says which, in words for a person. */
porch_policy_verdict porch_policy_decide(const porch_policy *p, const porch_policy_facts *f,
                                         porch_why *why);

/* 0 to 9,999: which devices come first, different for each release and known to the device alone. */
uint32_t porch_policy_cohort(const porch_verify_ops *crypto, porch_bytes id,
                             const uint8_t image_sha256[32]);

/* The share that holds after so long. */
uint32_t porch_policy_share(const porch_policy *p, uint64_t powered_s);
/* Powered-on seconds until the next stage holds; 0: there is none. */
uint64_t porch_policy_stage_left(const porch_policy *p, uint64_t powered_s);

#endif
