/* What a person does about the safety of the own account. */
#include <string.h>

#include "cloud/accounts/accounts_alert.h"
#include "cloud/accounts/accounts_change.h"
#include "cloud/accounts/accounts_recovery.h"
#include "cloud/accounts/accounts_stepup.h"
#include "cloud/api/api_json.h"
#include "cloud/api/api_sign_in.h"
#include "os/clock.h"

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

/* What a handler that takes a password answers when it did not go on. */
static void refuse_password(porch_http_exchange *x, porch_err e, uint32_t retry_after_s,
                            const porch_why *why) {
    if (e == PORCH_ERR_DENIED)
        (void)porch_http_problem(x, 403, "wrong-password", porch_why_text(why, e));
    else if (e == PORCH_ERR_USAGE)
        (void)porch_http_problem(x, 422, "weak-password", porch_why_text(why, e));
    else
        porch_api_refuse_for(x, e, retry_after_s, why);
}

/* ---- recovery codes ---- */

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
    porch_bytes password;
    const porch_json_field fields[] = {{"password", 1024, true, &password}};
    const porch_sign_in_from from = porch_api_from(x, PORCH_LIT(""));
    json_t *root = NULL;
    porch_recovery_codes codes;
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = porch_recovery_renew(porch_api_of(x)->accounts, &s, password, &from, porch_clock_ms(),
                                       &codes, &retry_after_s, &why);
    porch_api_forget(root, password);
    if (e != PORCH_OK) {
        refuse_password(x, e, retry_after_s, &why);
        return;
    }
    porch_api_json(x, 200, json_pack("{s:o}", "recovery_codes", porch_api_recovery_list(&codes)));
    porch_wipe(&codes, sizeof codes);
}

/* ---- the password ---- */

void porch_api_password(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    porch_password_change change = {.session = &s};
    const porch_json_field fields[] = {{"password", 1024, true, &change.old_password},
                                       {"new_password", 1024, true, &change.new_password}};
    json_t *root = NULL;
    porch_password_changed done;
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    change.from = porch_api_from(x, PORCH_LIT(""));
    uint64_t now_ms = porch_clock_ms();
    porch_err e =
        porch_accounts_change_password(api->accounts, &change, now_ms, &done, &retry_after_s, &why);
    porch_wipe((void *)change.new_password.at, change.new_password.len);
    porch_api_forget(root, change.old_password);
    if (e != PORCH_OK) {
        refuse_password(x, e, retry_after_s, &why);
        return;
    }
    porch_api_cookie(x, done.session, s.expires_ms > now_ms ? (s.expires_ms - now_ms) / 1000 : 0);
    porch_api_json(x, 200, json_pack("{s:i}", "ended", (int)done.ended));
    porch_wipe(&done, sizeof done);
}

/* ---- sign-ins ---- */

static void add_session(const porch_user_session_row *row, void *ctx) {
    (void)json_array_append_new(
        ctx, json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I}", "id", row->id, "agent", row->agent,
                       "address", row->address, "installed", row->installed, "own", row->own, "created_ms",
                       (json_int_t)row->created_ms, "seen_ms", (json_int_t)row->seen_ms, "expires_ms",
                       (json_int_t)row->expires_ms));
}

void porch_api_sessions(porch_http_exchange *x) {
    porch_accounts *accounts = porch_api_of(x)->accounts;
    porch_user_session s;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    uint64_t now_ms = porch_clock_ms();
    json_t *list = json_array();
    porch_err e = porch_user_session_list(accounts, &s, now_ms, add_session, list, &why);
    if (e != PORCH_OK) {
        json_decref(list);
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_api_json(x, 200,
                   json_pack("{s:o, s:i}", "sessions", list, "step_up_left_s",
                             (int)porch_step_up_left_s(accounts, &s, now_ms)));
}

void porch_api_session_end(porch_http_exchange *x) {
    porch_user_session s;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    const char *id = porch_http_param(x, "id");
    porch_accounts *accounts = porch_api_of(x)->accounts;
    porch_err e = PORCH_OK;
    /* One after the other would be all of them, and their phones are told of nobody at the door then. */
    if (strcmp(id, s.id) != 0)
        e = porch_step_up_demand(accounts, &s, PORCH_STEP_UP_ANY, porch_clock_ms(), &why);
    if (e == PORCH_OK) e = porch_user_session_end_one(accounts, &s, id, porch_http_peer(x)->address, &why);
    if (e != PORCH_OK)
        porch_api_refuse(x, e, &why);
    else
        (void)porch_http_reply(x, 204, NULL, PORCH_LIT(""));
}

void porch_api_sessions_end(porch_http_exchange *x) {
    porch_user_session s;
    unsigned ended = 0;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    porch_err e = porch_user_session_end_others(porch_api_of(x)->accounts, &s, porch_http_peer(x)->address,
                                                porch_clock_ms(), &ended, &why);
    if (e != PORCH_OK)
        porch_api_refuse(x, e, &why);
    else
        porch_api_json(x, 200, json_pack("{s:i}", "ended", (int)ended));
}

/* ---- alerts ---- */

json_t *porch_api_alert(const porch_alert *alert) {
    const char *answer = porch_alert_answer_text(alert->answer);
    return json_pack("{s:s, s:s, s:I, s:I, s:i, s:s, s:s, s:b, s:b, s:o}", "id", alert->id, "kind",
                     porch_alert_kind_text(alert->kind), "at_ms", (json_int_t)alert->at_ms, "last_ms",
                     (json_int_t)alert->last_ms, "count", (int)alert->count, "address", alert->address,
                     "agent", alert->agent, "session_lives", alert->session_lives, "own", alert->own,
                     "answer", answer[0] == '\0' ? json_null() : json_string(answer));
}

static void add_alert(const porch_alert *alert, void *ctx) {
    (void)json_array_append_new(ctx, porch_api_alert(alert));
}

void porch_api_alerts(porch_http_exchange *x) {
    porch_user_session s;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    json_t *list = json_array();
    porch_err e = porch_alert_list(porch_api_of(x)->accounts, &s, add_alert, list, &why);
    if (e != PORCH_OK) {
        json_decref(list);
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_api_json(x, 200, json_pack("{s:o}", "alerts", list));
}

void porch_api_alert_answer(porch_http_exchange *x) {
    porch_user_session s;
    porch_bytes answer;
    const porch_json_field fields[] = {{"answer", 16, true, &answer}};
    json_t *root = NULL;
    bool ended = false;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s) || !porch_api_body(x, FIELDS(fields), &root)) return;
    bool mine = porch_bytes_eq_text(answer, "mine");
    porch_err e = PORCH_OK;
    if (!mine && !porch_bytes_eq_text(answer, "not-mine"))
        e = porch_fail(&why, PORCH_ERR_USAGE, "an alert is answered with 'mine' or 'not-mine'");
    json_decref(root);
    if (e == PORCH_OK)
        e = porch_alert_give_answer(porch_api_of(x)->accounts, &s, porch_http_param(x, "id"), mine,
                                    porch_http_peer(x)->address, &ended, &why);
    if (e != PORCH_OK)
        porch_api_refuse(x, e, &why);
    else
        porch_api_json(x, 200, json_pack("{s:b}", "ended", ended));
}
