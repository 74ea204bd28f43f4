/* What the operator may do about people: a setup link, invitations, a list, a reset. */
#include "cloud/accounts/accounts.h"
#include "cloud/accounts/accounts_setup.h"
#include "cloud/api/admin.h"

#include <stdio.h>
#include <string.h>

#include "os/clock.h"
#include "wire/id.h"

static porch_err need_accounts(const porch_admin_call *call) {
    if (call->world->accounts != NULL) return PORCH_OK;
    return porch_fail(call->why, PORCH_ERR_STATE,
                      "the hub does not serve people now; start it with 'porchlightd DIR'");
}

/* Before a link is made: one that leads nowhere would only spend its hour. */
static porch_err need_door(const porch_admin_call *call) {
    const porch_admin_world *w = call->world;
    if (w->port[2] == 0 && w->settings->hub_https_port == 0)
        return porch_fail(call->why, PORCH_ERR_STATE,
                          "the hub chooses its port when it starts; start it first");
    return need_accounts(call);
}

/* https://HOST:PORT/setup#TOKEN with the first of the hub's names: the part after '#' is never sent to a
 * server or a log. */
static porch_err answer_link(porch_admin_call *call, const char *token, uint64_t expires_ms) {
    const porch_admin_world *w = call->world;
    char host[256], url[512];
    size_t len = strcspn(w->settings->hub_name, " ");
    if (len == 0 || len >= sizeof host - 2)
        return porch_fail(call->why, PORCH_ERR_CONFIG, "hub.name names no host");
    bool six = memchr(w->settings->hub_name, ':', len) != NULL;
    (void)snprintf(host, sizeof host, "%s%.*s%s", six ? "[" : "", (int)len, w->settings->hub_name,
                   six ? "]" : "");
    unsigned port = w->port[2] != 0 ? w->port[2] : w->settings->hub_https_port;
    if (port == 443)
        (void)snprintf(url, sizeof url, "https://%s/setup#%s", host, token);
    else
        (void)snprintf(url, sizeof url, "https://%s:%u/setup#%s", host, port, token);
    (void)json_object_set_new(call->result, "url", json_string(url));
    (void)json_object_set_new(call->result, "expires_ms", json_integer((json_int_t)expires_ms));
    porch_wipe(url, sizeof url);
    return PORCH_OK;
}

static porch_err setup_link(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    char token[PORCH_SETUP_TOKEN_TEXT];
    uint64_t expires_ms = 0;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_door(call));
    PORCH_TRY(porch_setup_issue(call->world->accounts, "operator", porch_clock_ms(), token, &expires_ms,
                                call->why));
    porch_err e = answer_link(call, token, expires_ms);
    porch_wipe(token, sizeof token);
    return e;
}

static porch_err user_reset(porch_admin_call *call) {
    static const char *const names[] = {"name", NULL};
    char token[PORCH_SETUP_TOKEN_TEXT];
    const char *name = NULL;
    uint64_t expires_ms = 0;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(porch_admin_text(call, "name", &name));
    PORCH_TRY(need_door(call));
    PORCH_TRY(porch_setup_reset(call->world->accounts, "operator", name, porch_clock_ms(), token,
                                &expires_ms, call->why));
    porch_err e = answer_link(call, token, expires_ms);
    porch_wipe(token, sizeof token);
    return e;
}

/* "days" is for a guest alone; absent: people.guest_days. */
static porch_err read_invitation(porch_admin_call *call, porch_setup_invitation *ret, porch_id *home) {
    const char *role = NULL, *household = json_string_value(json_object_get(call->args, "household"));
    const json_t *days = json_object_get(call->args, "days");
    porch_registry_household there;
    PORCH_TRY(porch_admin_text(call, "role", &role));
    if (porch_role_parse(porch_bytes_of(role), &ret->role) != PORCH_OK)
        return porch_fail(call->why, PORCH_ERR_USAGE, "a role is one of owner, adult, child, guest");
    if (household == NULL) household = "home";
    if (porch_id_parse(porch_bytes_of(household), home) != PORCH_OK ||
        porch_registry_household_get(call->world->registry, home->text, &there) != PORCH_OK)
        return porch_fail(call->why, PORCH_ERR_NOT_FOUND,
                          "there is no such household; 'porchlight household list' shows them");
    json_int_t stay = json_is_integer(days) ? json_integer_value(days) : 0;
    if (days != NULL && (ret->role != PORCH_ROLE_GUEST || stay < 1 || stay > 365))
        return porch_fail(call->why, PORCH_ERR_USAGE, "days are for a guest: 1 to 365");
    if (ret->role == PORCH_ROLE_GUEST && days == NULL) stay = call->world->settings->people_guest_days;
    ret->stay_ms = (uint64_t)stay * 24 * 3600 * 1000;
    ret->household = home->text;
    return PORCH_OK;
}

static porch_err user_invite(porch_admin_call *call) {
    static const char *const names[] = {"role", "household", "days", NULL};
    char token[PORCH_SETUP_TOKEN_TEXT];
    porch_setup_invitation to;
    porch_id home;
    uint64_t expires_ms = 0;
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(read_invitation(call, &to, &home));
    PORCH_TRY(need_door(call));
    PORCH_TRY(porch_setup_invite(call->world->accounts, "operator", &to, porch_clock_ms(), token,
                                 &expires_ms, call->why));
    porch_err e = answer_link(call, token, expires_ms);
    porch_wipe(token, sizeof token);
    return e;
}

static bool add_user(const porch_person *p, void *ctx) {
    (void)json_array_append_new(
        ctx,
        json_pack("{s:s, s:s, s:s, s:I, s:o, s:b, s:o}", "name", p->name, "role", porch_role_name(p->role),
                  "household", p->household, "created_ms", (json_int_t)p->created_ms, "last_login_ms",
                  p->last_login_ms == 0 ? json_null() : json_integer((json_int_t)p->last_login_ms),
                  "awaiting_reset", p->awaiting_reset, "expires_ms",
                  p->expires_ms == 0 ? json_null() : json_integer((json_int_t)p->expires_ms)));
    return true;
}

static porch_err user_list(porch_admin_call *call) {
    static const char *const names[] = {NULL};
    PORCH_TRY(porch_admin_only(call, names));
    PORCH_TRY(need_accounts(call));
    json_t *users = json_array();
    (void)json_object_set_new(call->result, "users", users);
    return porch_accounts_list(call->world->accounts, add_user, users, call->why);
}

const porch_admin_command porch_admin_accounts_commands[] = {
    {"setup-link", setup_link},
    {"user.invite", user_invite},
    {"user.list", user_list},
    {"user.reset", user_reset},
    {NULL, NULL},
};
