/* A person's MQTT session as the app has it: MQTT 5.0 in the binary frames of a WebSocket, at QoS 1 up and
 * QoS 0 down, so that each thing that is tried has an answer of the hub.
 *
 *   line ─► frames (wslay) ─► bytes ─► packets (wire/) ─► granted, taken, heard
 *
 * What the hub answers by ending the session with a reason counts as a refusal. Blocks; one thread. */
#ifndef PORCH_CLI_PROVE_REPLAY_APP_H
#define PORCH_CLI_PROVE_REPLAY_APP_H

#include "cli/prove_replay_web.h"

typedef struct porch_replay_app porch_replay_app;

/* Upgrades and connects with the browser's sign-in. AUTH when CONNECT is refused. */
porch_err porch_replay_app_open(porch_replay_web *web, porch_replay_app **ret, porch_why *why);
/* Cuts the connection; NULL is fine. */
void porch_replay_app_close(porch_replay_app *a);

/* Asks for messages of this topic alone. */
porch_err porch_replay_app_subscribe(porch_replay_app *a, const char *topic, bool *granted, porch_why *why);
/* One message to the topic. */
porch_err porch_replay_app_publish(porch_replay_app *a, const char *topic, bool *taken, porch_why *why);
/* Has a message of the topic that was subscribed to come? Waits so long for it. */
porch_err porch_replay_app_hears(porch_replay_app *a, uint64_t patience_ms, bool *heard, porch_why *why);

#endif
