/* The door with exchange and accounts played here: each role before each kind of row. */
#include "cloud/api/api_door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cloud/accounts/accounts_stepup.h"
#include "cloud/api/api_world.h"

struct porch_http_exchange {
    porch_api_door *door;
    void *user;
    int status;
    char slug[32];
};

void *porch_http_route_ctx(const porch_http_exchange *x) {
    return x->door;
}
void porch_http_set_user(porch_http_exchange *x, void *user) {
    x->user = user;
}
void *porch_http_user(const porch_http_exchange *x) {
    return x->user;
}
porch_err porch_http_problem(porch_http_exchange *x, int status, const char *slug, const char *detail) {
    assert_int_equal(x->status, 0);
    assert_true(detail[0] != '\0');
    x->status = status;
    (void)snprintf(x->slug, sizeof x->slug, "%s", slug);
    return PORCH_OK;
}
porch_bytes porch_http_cookie(const porch_http_exchange *x, const char *name) {
    (void)x;
    (void)name;
    return PORCH_LIT("token");
}
const char *porch_http_path(const porch_http_exchange *x) {
    (void)x;
    return "/";
}
const char *porch_http_header(const porch_http_exchange *x, const char *name) {
    (void)x;
    (void)name;
    return NULL;
}
porch_bytes porch_http_body(const porch_http_exchange *x) {
    (void)x;
    return PORCH_LIT("");
}
porch_err porch_http_reply(porch_http_exchange *x, int status, const char *type, porch_bytes body) {
    (void)type;
    (void)body;
    x->status = status;
    return PORCH_OK;
}
porch_err porch_http_reply_header(porch_http_exchange *x, const char *name, const char *value) {
    (void)x;
    (void)name;
    (void)value;
    return PORCH_OK;
}
porch_err porch_registry_household_get(porch_registry *r, const char *id, porch_registry_household *ret) {
    (void)r;
    (void)id;
    (void)ret;
    return PORCH_ERR_NOT_FOUND;
}

static porch_role role; /* of who is signed in; 0: nobody */
static porch_proof proved;
static unsigned looked, reached;

porch_err porch_user_session_find(porch_accounts *a, porch_bytes token, uint64_t now_ms,
                                  porch_user_session *ret, porch_why *why) {
    (void)a;
    (void)token;
    (void)now_ms;
    looked++;
    if (role == 0) return porch_fail(why, PORCH_ERR_AUTH, "nobody is signed in");
    *ret = (porch_user_session){.id = "s1", .person = {.name = "robin", .role = role, .household = "home"}};
    return PORCH_OK;
}
porch_err porch_step_up_demand(const porch_accounts *a, const porch_user_session *s,
                               porch_step_up_need need, uint64_t now_ms, porch_why *why) {
    (void)a;
    (void)s;
    (void)now_ms;
    bool enough =
        proved == PORCH_PROOF_CODE || (need == PORCH_STEP_UP_ANY && proved == PORCH_PROOF_RECOVERY);
    porch_err e = need == PORCH_STEP_UP_AUTHENTICATOR ? PORCH_ERR_STEP_UP_APP : PORCH_ERR_STEP_UP;
    return enough ? PORCH_OK : porch_fail(why, e, "once more");
}

static void behind(porch_http_exchange *x) {
    porch_user_session s;
    assert_true(porch_api_session(x, &s));
    assert_string_equal(s.id, "s1");
    reached++;
    x->status = 200;
}

static porch_api api;
static porch_http_exchange x;

static int knock(porch_role who, porch_api_who may, porch_api_ask proof) {
    porch_api_row row = {
        .route = {.method = "POST", .pattern = "/x", .handler = behind}, .who = may, .ask = proof};
    porch_api_door door = {&api, &row};
    x = (porch_http_exchange){.door = &door};
    role = who;
    looked = reached = 0;
    porch_api_pass(&x);
    assert_int_equal(reached, x.status == 200);
    assert_null(x.user); /* nothing of the stack stays behind */
    return x.status;
}

static void each_role_passes_where_the_row_names_it_and_nowhere_else(void **state) {
    (void)state;
    static const porch_role roles[] = {PORCH_ROLE_OWNER, PORCH_ROLE_ADULT, PORCH_ROLE_CHILD,
                                       PORCH_ROLE_GUEST};
    static const struct {
        porch_api_who may;
        int status[4];
        const char *slug;
    } rows[] = {{PORCH_MAY_PEOPLE, {200, 200, 200, 200}, ""},
                {PORCH_MAY_GROWN, {200, 200, 403, 403}, "role"},
                {PORCH_MAY_OWNER, {200, 403, 403, 403}, "owner"}};
    proved = PORCH_PROOF_NONE;
    for (size_t r = 0; r < 3; r++) {
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(knock(roles[i], rows[r].may, PORCH_ASK_NOTHING), rows[r].status[i]);
            if (x.status == 403) assert_string_equal(x.slug, rows[r].slug);
            assert_int_equal(looked, 1); /* the handler is told, it does not look again */
        }
        assert_int_equal(knock((porch_role)0, rows[r].may, PORCH_ASK_NOTHING), 401);
    }
}

static void a_role_is_judged_before_a_code_is_asked_for(void **state) {
    (void)state;
    proved = PORCH_PROOF_NONE;
    assert_int_equal(knock(PORCH_ROLE_GUEST, PORCH_MAY_GROWN, PORCH_ASK_FRESH), 403);
    assert_string_equal(x.slug, "role");
    assert_int_equal(knock(PORCH_ROLE_ADULT, PORCH_MAY_GROWN, PORCH_ASK_FRESH), 403);
    assert_string_equal(x.slug, "step-up");
}

static void what_is_shown_once_more_is_what_the_row_wants(void **state) {
    (void)state;
    static const struct {
        porch_proof proved;
        porch_api_ask wanted;
        int status;
    } rows[] = {{PORCH_PROOF_NONE, PORCH_ASK_NOTHING, 200}, {PORCH_PROOF_NONE, PORCH_ASK_FRESH, 403},
                {PORCH_PROOF_NONE, PORCH_ASK_APP, 403},     {PORCH_PROOF_RECOVERY, PORCH_ASK_FRESH, 200},
                {PORCH_PROOF_RECOVERY, PORCH_ASK_APP, 403}, {PORCH_PROOF_CODE, PORCH_ASK_FRESH, 200},
                {PORCH_PROOF_CODE, PORCH_ASK_APP, 200}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        proved = rows[i].proved;
        assert_int_equal(knock(PORCH_ROLE_OWNER, PORCH_MAY_OWNER, rows[i].wanted), rows[i].status);
        if (x.status == 403)
            assert_string_equal(x.slug, rows[i].wanted == PORCH_ASK_APP ? "step-up-app" : "step-up");
    }
}

static void only_rows_that_name_people_have_a_door(void **state) {
    (void)state;
    static const porch_api_who open[] = {PORCH_MAY_ANYBODY, PORCH_MAY_PRINCIPAL};
    static const porch_api_who shut[] = {PORCH_MAY_PEOPLE, PORCH_MAY_GROWN, PORCH_MAY_OWNER,
                                         (porch_api_who)0};
    for (size_t i = 0; i < 2; i++)
        assert_false(porch_api_is_guarded(&(porch_api_row){.who = open[i]}));
    for (size_t i = 0; i < 4; i++)
        assert_true(porch_api_is_guarded(&(porch_api_row){.who = shut[i]}));
    /* a row that says nothing opens to nobody */
    proved = PORCH_PROOF_CODE;
    assert_int_equal(knock(PORCH_ROLE_OWNER, (porch_api_who)0, PORCH_ASK_FRESH), 403);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_passes_where_the_row_names_it_and_nowhere_else),
        cmocka_unit_test(a_role_is_judged_before_a_code_is_asked_for),
        cmocka_unit_test(what_is_shown_once_more_is_what_the_row_wants),
        cmocka_unit_test(only_rows_that_name_people_have_a_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
