/* The agent of a product that is one program on Linux: which signed release is for this device, and is it
 * not there yet?
 *
 *   refreshed metadata ─► choose ─► judge: may it now? ─► (download) ─► slots (slot_files.h) */
#ifndef PORCH_OTA_PORT_LINUX_AGENT_H
#define PORCH_OTA_PORT_LINUX_AGENT_H

#include "ota/client/policy.h"
#include "ota/client/slot.h"
#include "ota/client/tuf_client.h"

enum { PORCH_AGENT_PATH_BYTES = 256 };

typedef struct {
    char path[PORCH_AGENT_PATH_BYTES]; /* PRODUCT/VERSION/image */
    uint64_t serial;                   /* rises with each release of the product */
    porch_slot_image image;
    porch_policy policy;
    porch_tuf_target target; /* without its custom part */
} porch_agent_release;

/* What the device knows of itself, as far as somebody has told. */
typedef struct {
    const char *id; /* NULL: not told */
    bool has_schema, has_battery;
    uint64_t schema, powered_s; /* since it first saw the release */
    int battery;                /* percent; negative: mains */
    int minute;                 /* of the day, UTC */
} porch_agent_facts;

/* The newest release of the product, as its role signed it, for this hardware revision. After
 * porch_tuf_refresh. NOT_FOUND when there is none. */
porch_err porch_agent_choose(porch_tuf *t, const char *product, const char *hardware,
                             porch_agent_release *ret, porch_why *why);

/* The share that the role `rollout` signed for it since; 0: none. */
porch_err porch_agent_widened(porch_tuf *t, const porch_agent_release *release, uint32_t *ret,
                              porch_why *why);
/* porch_policy_decide for a release that is fetched whole; *ret with `why` in words. USAGE: what was signed
 * asks for something that was not told. */
porch_err porch_agent_judge(const porch_agent_release *release, const porch_agent_facts *facts,
                            uint32_t widened, uint64_t floor, porch_policy_verdict *ret, porch_why *why);

typedef enum {
    PORCH_AGENT_INSTALL,
    PORCH_AGENT_CURRENT, /* it runs, or waits for its trial */
    PORCH_AGENT_FAILED   /* it was tried and rolled back: it is not tried again */
} porch_agent_step;

porch_agent_step porch_agent_decide(const porch_slot_record *slots, const porch_agent_release *release);

#endif
