/* What a person does about the safety of the own account. */
#include "cloud/accounts/accounts_recovery.h"
#include "cloud/api/api_json.h"
#include "cloud/api/api_sign_in.h"
#include "os/clock.h"

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

json_t *porch_api_recovery_list(const porch_recovery_codes *codes) {
    json_t *list = json_array();
    for (size_t i = 0; i < PORCH_RECOVERY_CODES; i++)
        (void)json_array_append_new(list, json_string(codes->text[i]));
    return list;
}

void porch_api_recovery(porch_http_exchange *x) {
    porch_user_session s;
    unsigned left = 0;
    uint64_t made_ms = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    porch_err e = porch_recovery_left(porch_api_of(x)->accounts, &s.person, &left, &made_ms, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_api_json(x, 200, json_pack("{s:i, s:I}", "left", (int)left, "made_ms", (json_int_t)made_ms));
}

void porch_api_recovery_renew(porch_http_exchange *x) {
    porch_user_session s;
    porch_step_up proof = {.person = &s.person, .address = porch_http_peer(x)->address};
    const porch_json_field fields[] = {{"password", 1024, true, &proof.password},
                                       {"code", 64, true, &proof.code}};
    json_t *root = NULL;
    porch_recovery_codes codes;
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = porch_recovery_renew(porch_api_of(x)->accounts, &proof, porch_clock_ms(), &codes,
                                       &retry_after_s, &why);
    porch_api_forget(root, proof.password);
    if (e == PORCH_ERR_DENIED) {
        (void)porch_http_problem(x, 403, "step-up", porch_why_text(&why, e));
        return;
    }
    if (e != PORCH_OK) {
        porch_api_refuse_for(x, e, retry_after_s, &why);
        return;
    }
    porch_api_json(x, 200, json_pack("{s:o}", "recovery_codes", porch_api_recovery_list(&codes)));
    porch_wipe(&codes, sizeof codes);
}
