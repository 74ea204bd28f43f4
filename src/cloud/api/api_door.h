/* The door of each of the people's routes: who may pass, and what must be shown once more.
 *
 *   request ─► door ─► signed in? 401 ─► role? 403 owner|role ─► fresh code? 403 step-up[-app] ─► handler
 *
 * Both stand as columns in the route table, which is the only place that grants them; a handler finds out
 * who is there with porch_api_session and judges what belongs to whom, no more. docs/openapi.yaml says the
 * same with x-roles and x-step-up, and a test holds one against the other. */
#ifndef PORCH_CLOUD_API_DOOR_H
#define PORCH_CLOUD_API_DOOR_H

#include "cloud/listener/http.h"
#include "wire/role.h"

struct porch_api;

/* No value is 0, so that a row that says nothing is no row that opens. */
typedef enum {
    PORCH_MAY_ANYBODY = 1 << PORCH_ROLES, /* the handler itself says who it serves, or serves all */
    PORCH_MAY_PRINCIPAL =
        1 << (PORCH_ROLES + 1), /* a device or service; the listener judged its certificate */
    PORCH_MAY_PEOPLE = PORCH_ROLES_ALL,
    PORCH_MAY_GROWN = PORCH_ROLES_GROWN,
    PORCH_MAY_OWNER = PORCH_ROLE_OWNER
} porch_api_who;

typedef enum {
    PORCH_ASK_NOTHING = 1, /* being signed in is enough */
    PORCH_ASK_FRESH,       /* a code or recovery code within people.step_up_s */
    PORCH_ASK_APP          /* a code of the authenticator app within that time */
} porch_api_ask;

/* One row of the people's table. */
typedef struct {
    porch_http_route route; /* its handler is the one behind the door */
    porch_api_who who;
    porch_api_ask ask;
} porch_api_row;

/* What a route's ctx is: the row and what its handler works on. */
typedef struct {
    struct porch_api *api;
    const porch_api_row *row;
} porch_api_door;

/* A porch_http_handler: judges, then calls the row's handler. Runs on a worker: it reads the database. */
void porch_api_pass(porch_http_exchange *x);
/* Whether the door of this row has to look at all; inline handlers run on a shard and must not wait. */
bool porch_api_is_guarded(const porch_api_row *row);

#endif
