/* One message of the live streams, and what of it each listener hears.
 *
 * It is told under one topic (api_live.h) and may bring a part along that came under another: a motion the
 * person found in it, a person found its motion. Whoever may hear the one and not the other gets it
 * without, with null there. The shorter text is made when it is first needed, once for all. */
#ifndef PORCH_CLOUD_API_LIVE_MESSAGE_H
#define PORCH_CLOUD_API_LIVE_MESSAGE_H

#include "access/policy.h"
#include "cloud/api/api_live.h"

typedef struct {
    porch_live_kind kind;
    const char *device, *name; /* device NULL: of none, and everybody may hear it */
    uint64_t seq;
    json_t *data;
    bool mixed; /* has a part of another topic */
    char *whole, *part;
} porch_live_message;

/* Views everything that is given and changes `data`, which must outlive it. False: `data` is NULL or cannot
 * be written. porch_live_message_free is called in either case. */
bool porch_live_message_make(porch_live_message *m, porch_live_kind kind, const char *device,
                             const char *name, uint64_t seq, json_t *data);
void porch_live_message_free(porch_live_message *m);
/* What somebody with this policy (NULL: none can be had) may hear of it, a text of the message's; NULL:
 * nothing. */
const char *porch_live_message_for(porch_live_message *m, const porch_access_policy *policy);

#endif
