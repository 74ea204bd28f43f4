/* The second factor once more: where it is given. What asks for it is the door (api_door.h). */
#include "cloud/accounts/accounts_stepup.h"
#include "cloud/api/api_json.h"
#include "cloud/api/api_sign_in.h"
#include "os/clock.h"

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

void porch_api_step_up(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_bytes code;
    const porch_json_field fields[] = {{"code", 64, true, &code}};
    json_t *root = NULL;
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = porch_step_up(api->accounts, &s, code, porch_http_peer(x)->address, porch_clock_ms(),
                                &retry_after_s, &why);
    porch_api_forget(root, code);
    if (e == PORCH_ERR_DENIED)
        (void)porch_http_problem(x, 403, "wrong-code", porch_why_text(&why, e));
    else if (e != PORCH_OK)
        porch_api_refuse_for(x, e, retry_after_s, &why);
    else
        porch_api_json(x, 200, json_pack("{s:i}", "step_up_left_s", (int)api->settings->people_step_up_s));
}
