/* Setting up, signing in and out: the routes behind which accounts/ decides. */
#include "cloud/api/api_world.h"

#include <stdio.h>
#include <string.h>

#include "cloud/accounts/accounts_login.h"
#include "cloud/accounts/accounts_password.h"
#include "cloud/accounts/accounts_setup.h"
#include "cloud/api/api_json.h"
#include "cloud/api/api_sign_in.h"
#include "os/clock.h"
#include "os/log.h"

#define FIELDS(array) (array), sizeof(array) / sizeof((array)[0])

/* The parsed body holds a password: overwrite it before it is freed. */
void porch_api_forget(json_t *root, porch_bytes secret) {
    if (secret.at != NULL) porch_wipe((void *)secret.at, secret.len);
    json_decref(root);
}

porch_sign_in_from porch_api_from(const porch_http_exchange *x, porch_bytes installed) {
    return (porch_sign_in_from){porch_http_peer(x)->address,
                                porch_bytes_of(porch_http_header(x, "User-Agent")),
                                porch_bytes_eq_text(installed, "yes")};
}

void porch_api_setup(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_setup_request r = {.address = porch_http_peer(x)->address};
    const porch_json_field fields[] = {
        {"token", 256, true, &r.token},
        {"name", 256, true, &r.name},
        {"password", 1024, true, &r.password},
        {"timezone", 64, false, &r.timezone},
    };
    json_t *root = NULL;
    porch_setup_offer offer;
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (!porch_api_body(x, FIELDS(fields), &root)) return;
    porch_err e = porch_setup_begin(api->accounts, &r, porch_clock_ms(), &offer, &retry_after_s, &why);
    porch_api_forget(root, r.password);
    if (e == PORCH_ERR_USAGE) {
        (void)porch_http_problem(x, 422, "weak-password", porch_why_text(&why, e));
        return;
    }
    if (e != PORCH_OK) {
        porch_api_refuse_for(x, e, retry_after_s, &why);
        return;
    }
    porch_api_json(x, 200,
                   json_pack("{s:s, s:s, s:s}", "totp_uri", offer.totp_uri, "totp_secret",
                             offer.totp_secret, "qr_svg", offer.qr_svg));
    porch_setup_offer_free(&offer);
}

/* The owner's browser knows where the house is; a zone that the registry refuses leaves the old one. */
static void keep_timezone(porch_api *api, const porch_setup_done *done) {
    porch_why why = {{0}};
    char who[PORCH_PERSON_NAME_TEXT + 8];
    if (done->timezone[0] == '\0' || done->person.role != PORCH_ROLE_OWNER) return;
    (void)snprintf(who, sizeof who, "user:%s", done->person.name);
    porch_err e = porch_registry_household_set_timezone(api->registry, done->person.household,
                                                        done->timezone, who, &why);
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_WARN, "household.timezone", "zone", done->timezone, "reason",
                  porch_why_text(&why, e), NULL);
}

/* The browser forgets the cookie that it had for the new one: nobody could sign that out any more. */
static void end_replaced(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    uint64_t now_ms = porch_clock_ms();
    porch_bytes token = porch_api_cookie_token(x);
    if (token.at != NULL && porch_user_session_find(api->accounts, token, now_ms, &s, NULL) == PORCH_OK)
        (void)porch_user_session_end(api->accounts, &s, now_ms, NULL);
}

void porch_api_setup_confirm(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_bytes token, code, installed;
    const porch_json_field fields[] = {
        {"token", 256, true, &token}, {"code", 15, true, &code}, {"installed", 3, false, &installed}};
    json_t *root = NULL;
    char digits[16];
    porch_setup_done done;
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (!porch_api_body(x, FIELDS(fields), &root)) return;
    (void)porch_bytes_to_text(code, digits, sizeof digits);
    const porch_sign_in_from from = porch_api_from(x, installed);
    porch_err e = porch_setup_confirm(api->accounts, token, digits, &from, porch_clock_ms(), &done,
                                      &retry_after_s, &why);
    json_decref(root);
    if (e == PORCH_ERR_DENIED) {
        (void)porch_http_problem(x, 403, "wrong-code", porch_why_text(&why, e));
        return;
    }
    if (e != PORCH_OK) {
        porch_api_refuse_for(x, e, retry_after_s, &why);
        return;
    }
    keep_timezone(api, &done);
    end_replaced(x);
    porch_api_cookie(x, done.session, porch_api_cookie_life_s(api, from.installed));
    porch_api_json(x, 200,
                   json_pack("{s:o, s:o}", "user", porch_api_user(api, &done.person), "recovery_codes",
                             porch_api_recovery_list(&done.recovery)));
    porch_wipe(&done, sizeof done);
}

/* An estimate costs processor time behind the gate that sign-ins need, too: it is for who is signed in or
 * holds a setup link, not for everybody. False: it has answered. */
static bool may_ask(porch_http_exchange *x, porch_bytes token) {
    porch_api *api = porch_api_of(x);
    porch_user_session s;
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (token.at == NULL) return porch_api_session(x, &s);
    porch_err e = porch_setup_look(api->accounts, token, porch_http_peer(x)->address, porch_clock_ms(),
                                   &retry_after_s, &why);
    if (e != PORCH_OK) porch_api_refuse_for(x, e, retry_after_s, &why);
    return e == PORCH_OK;
}

void porch_api_password_check(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_bytes password, name, token;
    const porch_json_field fields[] = {
        {"password", 1024, true, &password}, {"name", 256, false, &name}, {"token", 256, false, &token}};
    json_t *root = NULL;
    porch_password_verdict v;
    porch_why why = {{0}};
    if (!porch_api_body(x, FIELDS(fields), &root)) return;
    if (!may_ask(x, token)) {
        porch_api_forget(root, password);
        return;
    }
    porch_err e = porch_accounts_password_check(api->accounts, password, name, &v, &why);
    porch_api_forget(root, password);
    if (e != PORCH_OK) {
        /* Too long is the input's fault here, not the pace's. */
        porch_api_refuse_for(x, e == PORCH_ERR_LIMIT ? PORCH_ERR_MALFORMED : e, 0, &why);
        return;
    }
    json_t *tips = json_array();
    for (size_t i = 0; i < v.tip_count; i++)
        (void)json_array_append_new(tips, json_string(v.tips[i]));
    porch_api_json(x, 200,
                   json_pack("{s:b, s:b, s:b, s:b, s:b, s:f, s:o}", "ok", v.ok, "long_enough",
                             v.long_enough, "capital", v.capital, "symbol", v.symbol, "strong", v.strong,
                             "guesses_log10", v.guesses_log10, "tips", tips));
}

void porch_api_login(porch_http_exchange *x) {
    porch_api *api = porch_api_of(x);
    porch_login_request r = {.name = {NULL, 0}};
    porch_bytes installed;
    const porch_json_field fields[] = {{"name", 256, true, &r.name},
                                       {"password", 1024, true, &r.password},
                                       {"code", 64, true, &r.code},
                                       {"installed", 3, false, &installed}};
    json_t *root = NULL;
    porch_person person;
    char session[PORCH_SESSION_TOKEN_TEXT];
    uint32_t retry_after_s = 0;
    porch_why why = {{0}};
    if (!porch_api_body(x, FIELDS(fields), &root)) return;
    r.from = porch_api_from(x, installed);
    porch_err e = porch_login(api->accounts, &r, porch_clock_ms(), &person, session, &retry_after_s, &why);
    porch_api_forget(root, r.password);
    if (e == PORCH_ERR_AUTH) {
        (void)porch_http_problem(x, 401, "login", porch_why_text(&why, e));
    } else if (e != PORCH_OK) {
        porch_api_refuse_for(x, e, retry_after_s, &why);
    } else {
        end_replaced(x);
        porch_api_cookie(x, session, porch_api_cookie_life_s(api, r.from.installed));
        porch_api_json(x, 200, json_pack("{s:o}", "user", porch_api_user(api, &person)));
    }
    porch_wipe(session, sizeof session);
}

void porch_api_logout(porch_http_exchange *x) {
    porch_user_session s;
    porch_why why = {{0}};
    if (!porch_api_session(x, &s)) return;
    porch_err e = porch_user_session_end(porch_api_of(x)->accounts, &s, porch_clock_ms(), &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    porch_api_cookie(x, NULL, 0);
    (void)porch_http_reply(x, 204, NULL, PORCH_LIT(""));
}

void porch_api_me(porch_http_exchange *x) {
    porch_user_session s;
    if (porch_api_session(x, &s))
        porch_api_json(x, 200, json_pack("{s:o}", "user", porch_api_user(porch_api_of(x), &s.person)));
}
