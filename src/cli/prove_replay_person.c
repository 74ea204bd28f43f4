#include "cli/prove_replay_person.h"

#include <stdlib.h>
#include <string.h>

#include <liboath/oath.h>

#include "base/cursor.h"
#include "base/text.h"
#include "cli/cli_room.h"
#include "crypto/random.h"
#include "os/clock.h"

enum { STEP_MS = 30000, PASSWORD_RAW = 18, PASSWORD_TEXT = 40, SECRET_TEXT = 80 };

typedef struct {
    const porch_replay_account *account;
    porch_replay_web *web;
    char password[PASSWORD_TEXT];
    char secret[SECRET_TEXT]; /* of the second factor, in base32 */
    uint64_t last_step;       /* each step's code counts once */
    porch_why *why;
} newcomer;

/* ---- the second factor ------------------------------------------------------------------------------ */

porch_err porch_replay_code(const char *secret, uint64_t step, char out[PORCH_REPLAY_CODE_TEXT],
                            porch_why *why) {
    char *raw = NULL;
    size_t len = 0;
    int rc = oath_base32_decode(secret, strlen(secret), &raw, &len);
    if (rc == OATH_OK) {
        rc = oath_hotp_generate(raw, len, step, 6, false, OATH_HOTP_DYNAMIC_TRUNCATION, out);
        porch_wipe(raw, len);
    }
    free(raw);
    return rc == OATH_OK ? PORCH_OK
                         : porch_fail(why, PORCH_ERR_MALFORMED, "the second factor: %s", oath_strerror(rc));
}

/* One that was not used. The hub takes that of the next step, too. */
static porch_err next_code(newcomer *n, char out[PORCH_REPLAY_CODE_TEXT]) {
    uint64_t step = porch_clock_ms() / STEP_MS;
    n->last_step = step > n->last_step ? step : n->last_step + 1;
    return porch_replay_code(n->secret, n->last_step, out, n->why);
}

/* ---- the invitation --------------------------------------------------------------------------------- */

const char *porch_replay_token(const char *url) {
    const char *mark = strchr(url, '#');
    return mark == NULL || mark[1] == '\0' ? NULL : mark + 1;
}

static porch_err invite(const porch_replay_account *a, json_t **ret, porch_why *why) {
    porch_cli_hub *hub = NULL;
    PORCH_TRY(porch_cli_hub_open(a->hub_dir, &hub, why));
    json_t *args = json_pack("{s:s, s:s}", "role", porch_role_name(a->role), "household", a->household);
    porch_err e = porch_cli_hub_ask(hub, "user.invite", args, ret, why);
    porch_cli_hub_close(hub);
    return e;
}

/* ---- the account and the sign-in -------------------------------------------------------------------- */

static porch_err set_up(newcomer *n, const char *token) {
    json_t *answer = NULL;
    json_t *body =
        json_pack("{s:s, s:s, s:s}", "token", token, "name", n->account->name, "password", n->password);
    PORCH_TRY(porch_replay_web_post(n->web, "/api/v1/setup", body, &answer, n->why));
    bool fits = porch_bytes_to_text(porch_bytes_of(porch_cli_member(answer, "totp_secret")), n->secret,
                                    sizeof n->secret);
    json_decref(answer);
    return fits ? PORCH_OK : porch_fail(n->why, PORCH_ERR_LIMIT, "the second factor's secret is too long");
}

static porch_err confirm(newcomer *n, const char *token) {
    char code[PORCH_REPLAY_CODE_TEXT];
    json_t *answer = NULL;
    PORCH_TRY(next_code(n, code));
    PORCH_TRY(porch_replay_web_post(n->web, "/api/v1/setup/confirm",
                                    json_pack("{s:s, s:s}", "token", token, "code", code), &answer,
                                    n->why));
    json_decref(answer);
    return PORCH_OK;
}

static porch_err log_in(newcomer *n) {
    char code[PORCH_REPLAY_CODE_TEXT];
    json_t *answer = NULL;
    PORCH_TRY(next_code(n, code));
    json_t *body =
        json_pack("{s:s, s:s, s:s}", "name", n->account->name, "password", n->password, "code", code);
    PORCH_TRY(porch_replay_web_post(n->web, "/api/v1/login", body, &answer, n->why));
    json_decref(answer);
    return n->web->cookie[0] != '\0'
               ? PORCH_OK
               : porch_fail(n->why, PORCH_ERR_STATE, "the scratch hub set no cookie at the sign-in");
}

/* Long, and with a capital and a sign, whatever chance brings. */
static void choose_password(char out[PASSWORD_TEXT]) {
    uint8_t raw[PASSWORD_RAW];
    porch_buf b = {(uint8_t *)out, 0, PASSWORD_TEXT - 1};
    porch_random(raw, sizeof raw);
    (void)porch_write_text(&b, "Aa1-");
    (void)porch_base64_write(&b, (porch_bytes){raw, sizeof raw}, true);
    out[b.len] = '\0';
}

porch_err porch_replay_sign_in(const porch_replay_account *account, porch_replay_web *ret, porch_why *why) {
    porch_replay_web web;
    json_t *link = NULL;
    PORCH_TRY(invite(account, &link, why));
    const char *token = porch_replay_token(porch_cli_member(link, "url"));
    newcomer n = {.account = account, .web = &web, .why = why};
    choose_password(n.password);
    porch_err e = token == NULL
                      ? porch_fail(why, PORCH_ERR_STATE, "the scratch hub's invitation has no token")
                      : porch_replay_web_open(account->hub_dir, account->https_port, &web, why);
    if (e == PORCH_OK) {
        e = set_up(&n, token);
        if (e == PORCH_OK) e = confirm(&n, token);
        if (e == PORCH_OK) e = log_in(&n);
        if (e != PORCH_OK) porch_replay_web_close(&web);
    }
    if (e == PORCH_OK) *ret = web;
    json_decref(link);
    porch_wipe(&n, sizeof n);
    return e;
}
