/* How the people's API answers: who is signed in, what an error looks like, what JSON it gives. */
#include "cloud/api/api_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/clock.h"
#include "os/log.h"

#define COOKIE "__Host-porchlight"

typedef struct {
    porch_err error;
    int status;
    const char *slug;
} refusal;

/* Errors not named here are ours: 500. */
static const refusal REFUSALS[] = {
    {PORCH_ERR_AUTH, 401, "unauthenticated"},
    {PORCH_ERR_DENIED, 403, "denied"},
    {PORCH_ERR_STEP_UP, 403, "step-up"},
    {PORCH_ERR_STEP_UP_APP, 403, "step-up-app"},
    {PORCH_ERR_EXPIRED, 410, "expired"},
    {PORCH_ERR_NOT_FOUND, 404, "not-found"},
    {PORCH_ERR_MALFORMED, 400, "malformed"},
    {PORCH_ERR_USAGE, 422, "unusable"},
    {PORCH_ERR_STATE, 409, "state"},
    {PORCH_ERR_EXISTS, 409, "exists"},
    {PORCH_ERR_LIMIT, 429, "throttled"},
    {PORCH_ERR_BUSY, 503, "busy"},
    {PORCH_ERR_CHILD, 503, "helper-away"},
    {PORCH_ERR_TIMEOUT, 503, "busy"},
    {PORCH_ERR_FULL, 507, "full"},
};

void porch_api_refuse(porch_http_exchange *x, porch_err e, const porch_why *why) {
    for (size_t i = 0; i < sizeof REFUSALS / sizeof REFUSALS[0]; i++) {
        if (REFUSALS[i].error != e) continue;
        (void)porch_http_problem(x, REFUSALS[i].status, REFUSALS[i].slug, porch_why_text(why, e));
        return;
    }
    porch_log(PORCH_LOG_ERROR, "http.failed", "path", porch_http_path(x), "error", porch_err_name(e),
              "reason", porch_why_text(why, e), NULL);
    (void)porch_http_problem(x, 500, "internal", "the hub could not do this; its log says why");
}

void porch_api_refuse_for(porch_http_exchange *x, porch_err e, uint32_t retry_after_s,
                          const porch_why *why) {
    char seconds[16];
    if (retry_after_s == 0 && porch_err_class_of(e) == PORCH_CLASS_RETRY) retry_after_s = 2;
    if (retry_after_s > 0) {
        (void)snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        (void)porch_http_reply_header(x, "Retry-After", seconds);
    }
    porch_api_refuse(x, e, why);
}

void porch_api_refuse_household(porch_http_exchange *x, const porch_user_session *s, const char *what,
                                const char *id) {
    porch_log(PORCH_LOG_WARN, "people.refused", "name", s->person.name, "household", s->person.household,
              "wanted", what, "id", id, "reason", "belongs to another household", NULL);
    (void)porch_http_problem(x, 403, "household", "this belongs to another household");
}

bool porch_api_body(porch_http_exchange *x, const porch_json_field *fields, size_t count, json_t **root) {
    porch_why why = {{0}};
    const char *type = porch_http_header(x, "Content-Type");
    if (type == NULL || strncmp(type, "application/json", 16) != 0 ||
        (type[16] != '\0' && type[16] != ';' && type[16] != ' ')) {
        (void)porch_http_problem(x, 415, "content-type", "the body must be application/json");
        return false;
    }
    porch_err e = porch_json_fields(porch_http_body(x), fields, count, root, &why);
    if (e != PORCH_OK) porch_api_refuse(x, e, &why);
    return e == PORCH_OK;
}

bool porch_api_session(porch_http_exchange *x, porch_user_session *ret) {
    porch_why why = {{0}};
    const porch_user_session *known = porch_http_user(x); /* the door has looked already */
    if (known != NULL) {
        *ret = *known;
        return true;
    }
    porch_err e = porch_user_session_find(porch_api_of(x)->accounts, porch_api_cookie_token(x),
                                          porch_clock_ms(), ret, &why);
    if (e != PORCH_OK) porch_api_refuse(x, e, &why);
    return e == PORCH_OK;
}

void porch_api_cookie(porch_http_exchange *x, const char *token, uint64_t life_s) {
    char value[160];
    /* The lifetime is judged by the hub; without Max-Age a phone would forget it with the browser. */
    (void)snprintf(value, sizeof value,
                   COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=%llu",
                   token == NULL ? "" : token, (unsigned long long)(token == NULL ? 0 : life_s));
    (void)porch_http_reply_header(x, "Set-Cookie", value);
    porch_wipe(value, sizeof value);
}

uint64_t porch_api_cookie_life_s(const porch_api *api, bool installed) {
    return installed ? api->settings->people_installed_life_s : api->settings->people_session_life_s;
}

porch_bytes porch_api_cookie_token(const porch_http_exchange *x) {
    return porch_http_cookie(x, COOKIE);
}

void porch_api_json(porch_http_exchange *x, int status, json_t *value) {
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(value);
    if (text == NULL) {
        porch_api_refuse(x, PORCH_ERR_NO_SPACE, NULL);
        return;
    }
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    (void)porch_http_reply(x, status, "application/json", porch_bytes_of(text));
    porch_wipe(text, strlen(text));
    free(text);
}

void porch_api_person_key(const porch_person *person, char out[PORCH_PERSON_NAME_TEXT]) {
    size_t i = 0;
    for (; person->name[i] != '\0'; i++)
        out[i] = person->name[i] >= 'A' && person->name[i] <= 'Z' ? (char)(person->name[i] | 0x20)
                                                                  : person->name[i];
    out[i] = '\0';
}

json_t *porch_api_user(const porch_api *api, const porch_person *person) {
    porch_registry_household home = {0};
    if (porch_registry_household_get(api->registry, person->household, &home) != PORCH_OK)
        (void)snprintf(home.timezone, sizeof home.timezone, "UTC");
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", person->name, "role",
                     porch_role_name(person->role), "household", person->household, "household_name",
                     home.name[0] != '\0' ? home.name : person->household, "timezone", home.timezone);
}
