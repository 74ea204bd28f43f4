/* Live event streams: what happens in a household, told to its people's pages as it happens.
 *
 *   observers (any thread) ─► porch_live_tell ─► every stream of that household
 *   device came or went     ─► porch_live_device ─► live thread ─► registry ─► streams
 *   page comes back with Last-Event-ID ─► what it missed from the database ─► then live
 *
 * What a message brings along of another topic (the person found in a motion, the motion of a person found)
 * is null for whom the policy lets not hear of that.
 *
 * An event's id is "E-N": the newest motion event and notification that this stream has been told. A page
 * that reconnects with it misses nothing and hears nothing twice: the database is read until nothing
 * happened meanwhile, then the stream is live. A thread gives signs of life and closes streams whose
 * sign-in is over. */
#ifndef PORCH_CLOUD_API_LIVE_H
#define PORCH_CLOUD_API_LIVE_H

#include "cloud/api/api_world.h"

typedef struct porch_live porch_live;

/* Which of the two numbers a message moves; those of PORCH_LIVE_PASSING are not told again. */
typedef enum { PORCH_LIVE_MOTION, PORCH_LIVE_PERSON, PORCH_LIVE_PASSING } porch_live_kind;

porch_err porch_live_new(porch_api *api, porch_live **ret, porch_why *why);
/* Starts the thread. */
porch_err porch_live_start(porch_live *live, porch_why *why);
/* Ends all streams and the thread; porch_live_free after the listener was stopped. */
void porch_live_stop(porch_live *live);
void porch_live_free(porch_live *live);

/* Tells every stream of the household whose person the policy lets hear of `device` (NULL: of no device): a
 * motion, a clip and what becomes of them as d/ID/event/motion, a person found as
 * $porchlight/device/ID/event/person, the device's state as d/ID/state/reported. `name` is the event's
 * ("motion"), `seq` its number (0 for PASSING). Takes over `data` (NULL is dropped). Any thread; does not
 * wait for readers. */
void porch_live_tell(porch_live *live, porch_live_kind kind, const char *household, const char *device,
                     const char *name, uint64_t seq, json_t *data);
/* Tells every stream of one person, but those of the sign-in whose id is `except`; as PASSING. */
void porch_live_tell_person(porch_live *live, const char *account, const char *except, const char *name,
                            json_t *data);
/* A device came or went. Cheap enough for shards. */
void porch_live_device(porch_live *live, const char *id);
/* A sign-in ended: its streams are closed. */
void porch_live_end_session(porch_live *live, const uint8_t hash[32]);
/* The policy or a household's devices changed: what comes from now on is judged anew. */
void porch_live_regrant(porch_live *live);
/* Watches a sign-in whose MQTT session is open elsewhere: when it is over, by whatever, `gone` is told,
 * within people.heartbeat_ms where it ends by itself; until then it is watched, open or not. False:
 * people.mqtt_sign_ins are watched already. */
bool porch_live_watch(porch_live *live, const uint8_t hash[32]);
void porch_live_on_gone(porch_live *live, void (*gone)(const uint8_t hash[32], void *ctx), void *ctx);

/* {"notification":{...},"event":{...}}; NULL when it cannot be told. */
json_t *porch_live_person_json(porch_api *api, const porch_notify_item *item);

/* "12-34"; false (and both 0) for anything else. */
bool porch_live_id_read(const char *text, uint64_t *motion, uint64_t *person);

#endif
