#include "cloud/api/api_door.h"

#include "cloud/accounts/accounts_stepup.h"
#include "cloud/api/api_world.h"
#include "os/clock.h"
#include "os/log.h"

bool porch_api_is_guarded(const porch_api_row *row) {
    return (row->who & (PORCH_MAY_ANYBODY | PORCH_MAY_PRINCIPAL)) == 0;
}

static bool role_passes(porch_http_exchange *x, const porch_api_row *row, const porch_user_session *s) {
    if (((unsigned)s->person.role & (unsigned)row->who) != 0) return true;
    porch_log(PORCH_LOG_WARN, "people.refused", "name", s->person.name, "household", s->person.household,
              "wanted", row->route.pattern, "id", row->route.method, "reason",
              "the role is not among those that may", NULL);
    if (row->who == PORCH_MAY_OWNER)
        (void)porch_http_problem(x, 403, "owner", "only the household's owner may do this");
    else
        (void)porch_http_problem(x, 403, "role", "only an owner or adult of the household may do this");
    return false;
}

static bool proof_passes(porch_http_exchange *x, const porch_api_door *door, const porch_user_session *s) {
    porch_why why = {{0}};
    if (door->row->ask == PORCH_ASK_NOTHING) return true;
    porch_step_up_need need =
        door->row->ask == PORCH_ASK_APP ? PORCH_STEP_UP_AUTHENTICATOR : PORCH_STEP_UP_ANY;
    porch_err e = porch_step_up_demand(door->api->accounts, s, need, porch_clock_ms(), &why);
    if (e != PORCH_OK) porch_api_refuse(x, e, &why);
    return e == PORCH_OK;
}

void porch_api_pass(porch_http_exchange *x) {
    const porch_api_door *door = porch_http_route_ctx(x);
    porch_user_session s;
    if (!porch_api_session(x, &s) || !role_passes(x, door->row, &s) || !proof_passes(x, door, &s)) return;
    porch_http_set_user(x, &s); /* porch_api_session gives it out again */
    door->row->route.handler(x);
    porch_http_set_user(x, NULL);
}
