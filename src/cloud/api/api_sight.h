/* What a person may see of what their household keeps: the same question that the broker asks for a message
 * about to be delivered, asked when it is read later over HTTP, pushed to a phone or written into an
 * export.
 *
 *   an event, its clip, its thumbnail           receive d/ID/event/KIND
 *   a person found in it, the picture of that   receive $porchlight/device/ID/event/person
 *   what a device has reported that it is       receive d/ID/state/reported
 *   the device itself, in the list              any of the three
 *
 * That is the topic under which each came; ${household.device} is the device of the row, which the
 * household may have given up since. Whose household a row is, the caller has judged. A refusal is counted
 * among the hub's denials. Takes no SQL; any thread. */
#ifndef PORCH_CLOUD_API_SIGHT_H
#define PORCH_CLOUD_API_SIGHT_H

#include "cloud/api/api_world.h"

/* Bits of what may be seen of a device. ALL: of its events. */
enum { PORCH_SEES_EVENT = 1, PORCH_SEES_PERSON = 2, PORCH_SEES_ALL = 3, PORCH_SEES_STATE = 4 };

/* Those of `wanted` that the policy lets the person see of this device now. What it does not is counted as
 * a denial; `why` (NULL: nobody reads it) then has the sentence for the log where one is worth writing. */
unsigned porch_sight_of(const porch_api *api, const porch_person *person, const char *device,
                        unsigned wanted, porch_why *why);
/* Whether the policy lets the person see anything of the device. If not, that is one denial; `why` as
 * above. */
bool porch_sight_any(const porch_api *api, const porch_person *person, const char *device, porch_why *why);
/* Takes out of the event what may not be seen. */
void porch_sight_trim(unsigned sees, porch_media_event *event);

/* The events of a household as one person sees them, for one list. */
typedef struct {
    const porch_api *api;
    const porch_person *person;
    porch_id *devices; /* those whose events may be seen (with `person`: and whose persons) */
    unsigned char *sees;
    size_t count;
    bool all;   /* there is no other: a list need not choose */
    bool whole; /* nothing has to be trimmed */
} porch_sights;

/* Decides once for each device that the household keeps events of. Free it after success. */
porch_err porch_sights_open(const porch_api *api, const porch_person *person, bool persons_only,
                            porch_sights *ret, porch_why *why);
void porch_sights_free(porch_sights *s);
/* Of a device that is in the list; of one that came since, decided now. */
unsigned porch_sights_of(const porch_sights *s, const char *device);

/* Answers 403 `policy`; `why` goes into the log where it has a sentence. */
void porch_api_refuse_sight(porch_http_exchange *x, const porch_user_session *s, const char *what,
                            const char *id, const porch_why *why);
/* The event, or the clip, of the route's {id}, if the person's household keeps it and the person may see
 * `wanted` of it; the event is trimmed. False: it has answered. */
bool porch_api_seen_event(porch_http_exchange *x, const porch_user_session *s, unsigned wanted,
                          porch_media_event *ret);
bool porch_api_seen_clip(porch_http_exchange *x, const porch_user_session *s, porch_media_clip_info *ret);

#endif
