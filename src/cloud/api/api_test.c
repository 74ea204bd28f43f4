/* The people's handlers, with the exchange and the rooms below played here: which answer goes with which
 * outcome, and that another household gets nothing. */
#include "cloud/api/api_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "access/policy.h"
#include "cloud/api/api_live.h"

#include "cloud/accounts/accounts_change.h"
#include "cloud/accounts/accounts_login.h"
#include "cloud/accounts/accounts_password.h"
#include "cloud/accounts/accounts_setup.h"
#include "cloud/accounts/accounts_stepup.h"
#include "cloud/grants/grants.h"
#include "cloud/media/media_clip.h"
#include "cloud/rollout/rollout.h"
#include "os/clock.h"

/* ---- the exchange ---- */

struct porch_http_exchange {
    porch_api *api;
    void *user;
    const char *body, *id, *query_name, *query_value;
    const char *header_name, *header_value;
    const char *type;
    int status;
    char slug[32];
    char headers[1024]; /* "Name: value\n" each */
    char text[8192];
    size_t len;
};

static porch_peer peer = {.address = "192.0.2.7"};

void *porch_http_route_ctx(const porch_http_exchange *x) {
    static porch_api_door door;
    door.api = x->api;
    return &door;
}
void porch_http_set_user(porch_http_exchange *x, void *user) {
    x->user = user;
}
void *porch_http_user(const porch_http_exchange *x) {
    return x->user;
}
const porch_peer *porch_http_peer(const porch_http_exchange *x) {
    (void)x;
    return &peer;
}
const char *porch_http_path(const porch_http_exchange *x) {
    (void)x;
    return "/";
}
const char *porch_http_param(const porch_http_exchange *x, const char *name) {
    return strcmp(name, "id") == 0 && x->id != NULL ? x->id : "";
}
porch_err porch_http_query(const porch_http_exchange *x, const char *name, char *out, size_t cap) {
    if (x->query_name == NULL || strcmp(name, x->query_name) != 0) {
        out[0] = '\0';
        return PORCH_ERR_NOT_FOUND;
    }
    return snprintf(out, cap, "%s", x->query_value) < (int)cap ? PORCH_OK : PORCH_ERR_NO_SPACE;
}
const char *porch_http_header(const porch_http_exchange *x, const char *name) {
    if (strcmp(name, "User-Agent") == 0) return "Firefox/1 Linux";
    if (strcmp(name, "Content-Type") == 0) return x->type;
    return x->header_name != NULL && strcmp(name, x->header_name) == 0 ? x->header_value : NULL;
}
porch_bytes porch_http_cookie(const porch_http_exchange *x, const char *name) {
    (void)x;
    assert_string_equal(name, "__Host-porchlight");
    return PORCH_LIT("token");
}
porch_bytes porch_http_body(const porch_http_exchange *x) {
    return porch_bytes_of(x->body);
}
porch_err porch_http_reply_header(porch_http_exchange *x, const char *name, const char *value) {
    size_t len = strlen(x->headers);
    (void)snprintf(x->headers + len, sizeof x->headers - len, "%s: %s\n", name, value);
    return PORCH_OK;
}
porch_err porch_http_reply(porch_http_exchange *x, int status, const char *type, porch_bytes body) {
    assert_int_equal(x->status, 0);
    x->status = status;
    x->type = type;
    assert_true(body.len < sizeof x->text);
    if (body.len > 0) memcpy(x->text, body.at, body.len);
    x->len = body.len;
    return PORCH_OK;
}
porch_err porch_http_problem(porch_http_exchange *x, int status, const char *slug, const char *detail) {
    assert_int_equal(x->status, 0);
    assert_true(detail[0] != '\0');
    x->status = status;
    (void)snprintf(x->slug, sizeof x->slug, "%s", slug);
    return PORCH_OK;
}
void porch_http_mqtt(porch_http_exchange *x) {
    x->status = 101;
}
static porch_principal upgraded;
static bool watch_is_full;
void porch_http_mqtt_person(porch_http_exchange *x, const porch_principal *who) {
    x->status = 101;
    upgraded = *who;
}
bool porch_live_watch(porch_live *live, const uint8_t hash[32]) {
    (void)live;
    (void)hash;
    return !watch_is_full;
}
porch_err porch_http_reply_source(porch_http_exchange *x, int status, const char *type, uint64_t length,
                                  porch_http_read_fn read_fn, void (*free_fn)(void *ctx), void *ctx) {
    assert_int_equal(x->status, 0);
    x->status = status;
    x->type = type;
    while (x->len < length) {
        size_t got = 0;
        size_t want = length - x->len < 3 ? (size_t)(length - x->len) : 3;
        assert_int_equal(read_fn(ctx, x->len, (uint8_t *)x->text + x->len, want, &got), PORCH_OK);
        x->len += got;
    }
    free_fn(ctx);
    return PORCH_OK;
}

/* ---- the rooms ---- */

static porch_err outcome;
static uint32_t outcome_retry_s;
static bool signed_in, found_installed, alert_mine;
static unsigned ended, zones_set, events_there;
static porch_media_event the_event;
static porch_media_clip_info the_clip;
static bool opened_indexed;
static unsigned clips_open;
static porch_media_timeline_query last_query;
static const char CLIP_BYTES[] = "0123456789";

static porch_person robin(void) {
    return (porch_person){.name = "robin", .role = PORCH_ROLE_OWNER, .household = "home"};
}
porch_err porch_user_session_find(porch_accounts *a, porch_bytes token, uint64_t now_ms,
                                  porch_user_session *ret, porch_why *why) {
    (void)a;
    (void)token;
    if (!signed_in) return porch_fail(why, PORCH_ERR_AUTH, "nobody is signed in; sign in");
    *ret = (porch_user_session){.id = "s1", .person = robin(), .expires_ms = now_ms + 100500};
    return PORCH_OK;
}
porch_err porch_user_session_end(porch_accounts *a, const porch_user_session *s, uint64_t now_ms,
                                 porch_why *why) {
    (void)a;
    (void)s;
    (void)now_ms;
    (void)why;
    ended++;
    return outcome;
}
porch_err porch_login(porch_accounts *a, const porch_login_request *request, uint64_t now_ms,
                      porch_person *ret, char session[PORCH_SESSION_TOKEN_TEXT], uint32_t *retry_after_s,
                      porch_why *why) {
    (void)a;
    (void)now_ms;
    assert_true(porch_bytes_eq_text(request->name, "robin"));
    assert_string_equal(request->from.address, "192.0.2.7");
    assert_true(porch_bytes_eq_text(request->from.agent, "Firefox/1 Linux"));
    found_installed = request->from.installed;
    *retry_after_s = outcome_retry_s;
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    *ret = robin();
    (void)snprintf(session, PORCH_SESSION_TOKEN_TEXT, "fresh-token");
    return PORCH_OK;
}
porch_err porch_setup_begin(porch_accounts *a, const porch_setup_request *request, uint64_t now_ms,
                            porch_setup_offer *ret, uint32_t *retry_after_s, porch_why *why) {
    (void)a;
    (void)now_ms;
    assert_true(request->token.len > 0);
    *retry_after_s = outcome_retry_s;
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    *ret = (porch_setup_offer){
        .totp_uri = strdup("otpauth://x"), .totp_secret = "SECRET", .qr_svg = strdup("<svg/>")};
    return PORCH_OK;
}
void porch_setup_offer_free(porch_setup_offer *offer) {
    free(offer->totp_uri);
    free(offer->qr_svg);
}
porch_err porch_setup_look(porch_accounts *a, porch_bytes token, const char *address, uint64_t now_ms,
                           uint32_t *retry_after_s, porch_why *why) {
    (void)a;
    (void)address;
    (void)now_ms;
    *retry_after_s = outcome_retry_s;
    return porch_bytes_eq_text(token, "t") ? PORCH_OK : porch_fail(why, PORCH_ERR_AUTH, "the sentence");
}
porch_err porch_setup_confirm(porch_accounts *a, porch_bytes token, const char *code,
                              const porch_sign_in_from *from, uint64_t now_ms, porch_setup_done *ret,
                              uint32_t *retry_after_s, porch_why *why) {
    (void)a;
    (void)token;
    (void)code;
    (void)now_ms;
    found_installed = from->installed;
    *retry_after_s = outcome_retry_s;
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    *ret = (porch_setup_done){.person = robin(), .session = "fresh-token", .timezone = "Europe/Berlin"};
    memcpy(ret->recovery.text[9], "AAAA-BBBB-CCCC-DDDD", PORCH_RECOVERY_CODE_TEXT);
    return PORCH_OK;
}
porch_err porch_recovery_left(porch_accounts *a, const porch_person *person, unsigned *left,
                              uint64_t *made_ms, porch_why *why) {
    (void)a;
    assert_string_equal(person->name, "robin");
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    *left = 7;
    *made_ms = 12;
    return PORCH_OK;
}
porch_err porch_recovery_renew(porch_accounts *a, const porch_user_session *session, porch_bytes password,
                               const porch_sign_in_from *from, uint64_t now_ms, porch_recovery_codes *ret,
                               uint32_t *retry_after_s, porch_why *why) {
    (void)a;
    (void)now_ms;
    assert_string_equal(session->person.name, "robin");
    assert_string_equal(from->address, "192.0.2.7");
    assert_true(porch_bytes_eq_text(password, "p"));
    *retry_after_s = outcome_retry_s;
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    *ret = (porch_recovery_codes){{"AAAA-BBBB-CCCC-DDDD"}};
    return PORCH_OK;
}
static bool stale; /* no code was given for a while */

porch_err porch_step_up_demand(const porch_accounts *a, const porch_user_session *session,
                               porch_step_up_need need, uint64_t now_ms, porch_why *why) {
    (void)a;
    (void)now_ms;
    assert_string_equal(session->id, "s1");
    assert_int_equal(need, PORCH_STEP_UP_ANY);
    return stale ? porch_fail(why, PORCH_ERR_STEP_UP, "the sentence") : PORCH_OK;
}

uint32_t porch_step_up_left_s(const porch_accounts *a, const porch_user_session *session, uint64_t now_ms) {
    (void)a;
    (void)session;
    (void)now_ms;
    return 17;
}
porch_err porch_step_up(porch_accounts *a, const porch_user_session *session, porch_bytes code,
                        const char *address, uint64_t now_ms, uint32_t *retry_after_s, porch_why *why) {
    (void)a;
    (void)now_ms;
    assert_string_equal(session->id, "s1");
    assert_string_equal(address, "192.0.2.7");
    assert_true(porch_bytes_eq_text(code, "123456"));
    *retry_after_s = outcome_retry_s;
    return outcome == PORCH_OK ? PORCH_OK : porch_fail(why, outcome, "the sentence");
}
porch_err porch_accounts_change_password(porch_accounts *a, const porch_password_change *change,
                                         uint64_t now_ms, porch_password_changed *ret,
                                         uint32_t *retry_after_s, porch_why *why) {
    (void)a;
    (void)now_ms;
    assert_string_equal(change->session->id, "s1");
    assert_true(porch_bytes_eq_text(change->old_password, "p"));
    assert_true(porch_bytes_eq_text(change->new_password, "q"));
    *retry_after_s = outcome_retry_s;
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    *ret = (porch_password_changed){"newer-token", 3};
    return PORCH_OK;
}
porch_err porch_user_session_list(porch_accounts *a, const porch_user_session *own, uint64_t now_ms,
                                  porch_user_session_each_fn fn, void *ctx, porch_why *why) {
    (void)a;
    (void)now_ms;
    assert_string_equal(own->id, "s1");
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    const porch_user_session_row row = {"s1", "192.0.2.7", "Firefox on Linux", false, true, 1, 2, 3};
    fn(&row, ctx);
    return PORCH_OK;
}
porch_err porch_user_session_end_one(porch_accounts *a, const porch_user_session *own, const char *id,
                                     const char *address, porch_why *why) {
    (void)a;
    (void)own;
    (void)address;
    if (strcmp(id, "s2") != 0) return porch_fail(why, PORCH_ERR_NOT_FOUND, "the sentence");
    ended++;
    return PORCH_OK;
}
porch_err porch_user_session_end_others(porch_accounts *a, const porch_user_session *own,
                                        const char *address, uint64_t now_ms, unsigned *count,
                                        porch_why *why) {
    (void)a;
    (void)own;
    (void)address;
    (void)now_ms;
    (void)why;
    *count = 4;
    return PORCH_OK;
}
const char *porch_alert_kind_text(porch_alert_kind kind) {
    return kind == PORCH_ALERT_HALF ? "half" : "sign-in";
}
const char *porch_alert_answer_text(porch_alert_answer answer) {
    return answer == PORCH_ALERT_OPEN ? "" : "mine";
}
porch_err porch_alert_list(porch_accounts *a, const porch_user_session *own, porch_alert_each_fn fn,
                           void *ctx, porch_why *why) {
    (void)a;
    (void)own;
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    const porch_alert alert = {.id = "a1",
                               .kind = PORCH_ALERT_HALF,
                               .at_ms = 1,
                               .last_ms = 2,
                               .count = 3,
                               .address = "192.0.2.9",
                               .agent = "curl"};
    fn(&alert, ctx);
    return PORCH_OK;
}
porch_err porch_alert_give_answer(porch_accounts *a, const porch_user_session *own, const char *id,
                                  bool mine, const char *address, bool *gone, porch_why *why) {
    (void)a;
    (void)own;
    (void)address;
    if (strcmp(id, "a1") != 0) return porch_fail(why, PORCH_ERR_NOT_FOUND, "the sentence");
    if (outcome != PORCH_OK) return porch_fail(why, outcome, "the sentence");
    alert_mine = mine;
    *gone = !mine;
    return PORCH_OK;
}
porch_err porch_accounts_password_check(porch_accounts *a, porch_bytes password, porch_bytes name,
                                        porch_password_verdict *ret, porch_why *why) {
    (void)a;
    return outcome == PORCH_OK ? porch_password_judge(password, name, ret, why) : outcome;
}
porch_err porch_registry_household_get(porch_registry *r, const char *id, porch_registry_household *ret) {
    (void)r;
    if (strcmp(id, "home") != 0) return PORCH_ERR_NOT_FOUND;
    *ret = (porch_registry_household){.id = "home", .name = "Home", .timezone = "Europe/Berlin"};
    return PORCH_OK;
}
porch_err porch_registry_household_set_timezone(porch_registry *r, const char *id, const char *zone,
                                                const char *who, porch_why *why) {
    (void)r;
    (void)why;
    assert_string_equal(id, "home");
    assert_string_equal(zone, "Europe/Berlin");
    assert_string_equal(who, "user:robin");
    zones_set++;
    return PORCH_OK;
}
void porch_registry_devices(porch_registry *r, const char *household,
                            bool (*fn)(const porch_registry_device *, void *), void *ctx) {
    (void)r;
    assert_string_equal(household, "home");
    const porch_registry_device devices[] = {
        {.id = "a",
         .product = "camera",
         .household = "home",
         .online = true,
         .certificate_ends_ms = porch_clock_ms() + 60000},
        {.id = "b", .product = "camera", .household = "home", .certificate_ends_ms = 1},
        {.id = "c", .product = "camera", .household = "home", .revoked_ms = 5, .certificate_ends_ms = 1},
    };
    for (size_t i = 0; i < 3; i++)
        if (!fn(&devices[i], ctx)) return;
}
/* Event n of the timeline happened at n seconds. */
porch_err porch_media_timeline(porch_media *m, const porch_media_timeline_query *q,
                               void (*fn)(const porch_media_event *event, void *ctx), void *ctx,
                               porch_why *why) {
    (void)m;
    (void)why;
    last_query = *q;
    uint64_t seq = events_there;
    while (seq > 0 && (seq * 1000 > q->before_ms || (seq * 1000 == q->before_ms && seq >= q->before_seq)))
        seq--;
    for (uint32_t i = 0; i < q->limit && seq > 0; i++, seq--) {
        the_event.seq = seq;
        the_event.at_ms = seq * 1000;
        fn(&the_event, ctx);
    }
    return PORCH_OK;
}
porch_err porch_media_devices(porch_media *m, const char *household, porch_id **ret, size_t *count,
                              porch_why *why) {
    (void)m;
    (void)why;
    assert_string_equal(household, "home");
    *ret = calloc(2, sizeof **ret);
    *count = 2;
    assert_int_equal(porch_id_parse(PORCH_LIT("attic"), &(*ret)[0]), PORCH_OK);
    assert_int_equal(porch_id_parse(PORCH_LIT("cam"), &(*ret)[1]), PORCH_OK);
    return PORCH_OK;
}
static const char *denied_topic;
static unsigned policies, denials;
const porch_access_policy *porch_grants_policy_about(porch_grants *g, const porch_registry_entry *entry,
                                                     const char *device) {
    (void)g;
    assert_string_equal(entry->name, "robin");
    assert_string_equal(entry->household, "home");
    assert_int_equal(entry->kind, PORCH_PRINCIPAL_PERSON);
    assert_int_equal(entry->role, PORCH_ROLE_OWNER);
    assert_true(device[0] != '\0');
    policies++;
    return (const porch_access_policy *)(const void *)&policies;
}
void porch_grants_policy_release(const porch_access_policy *p) {
    assert_non_null(p);
    policies--;
}
porch_access_decision porch_access_can_receive(const porch_access_policy *p, porch_topic_name topic) {
    assert_non_null(p);
    return (porch_access_decision){!porch_bytes_eq_text(topic.text, denied_topic), 0};
}
bool porch_grants_denied(porch_grants *g, const porch_registry_entry *who,
                         const porch_access_policy *policy, porch_access_decision decision, unsigned action,
                         porch_bytes topic, uint32_t times, porch_why *why) {
    (void)g;
    (void)who;
    assert_non_null(policy);
    assert_false(decision.allowed);
    assert_int_equal(action, PORCH_ACCESS_RECEIVE);
    assert_true(porch_bytes_eq_text(topic, denied_topic));
    assert_int_equal(times, 1);
    denials++;
    (void)porch_fail(why, PORCH_ERR_DENIED, "'quiet: deny' forbids it");
    return true;
}
porch_err porch_media_event_get(porch_media *m, const char *uid, porch_media_event *ret, porch_why *why) {
    (void)m;
    (void)why;
    if (strcmp(uid, the_event.uid) != 0) return PORCH_ERR_NOT_FOUND;
    *ret = the_event;
    return PORCH_OK;
}
porch_err porch_media_thumbnail(porch_media *m, const char *uid, const char *household, uint8_t **ret,
                                size_t *len, porch_why *why) {
    (void)m;
    (void)uid;
    (void)why;
    assert_string_equal(household, "home");
    if (outcome != PORCH_OK) return outcome;
    *ret = (uint8_t *)strdup("JPEG");
    *len = 4;
    return PORCH_OK;
}
porch_err porch_media_picture(porch_media *m, const char *uid, const char *household, uint8_t **ret,
                              size_t *len, porch_why *why) {
    return porch_media_thumbnail(m, uid, household, ret, len, why);
}
porch_err porch_media_clip_get(porch_media *m, const char *clip, porch_media_clip_info *ret,
                               porch_why *why) {
    (void)m;
    (void)why;
    if (strcmp(clip, the_clip.id) != 0) return PORCH_ERR_NOT_FOUND;
    *ret = the_clip;
    return PORCH_OK;
}
porch_err porch_media_clip_open(porch_media *m, const char *clip, bool indexed, porch_media_clip **ret,
                                porch_why *why) {
    (void)m;
    (void)clip;
    (void)why;
    opened_indexed = indexed;
    if (outcome != PORCH_OK) return outcome;
    clips_open++;
    *ret = (porch_media_clip *)&clips_open;
    return PORCH_OK;
}
uint64_t porch_media_clip_bytes(const porch_media_clip *c) {
    (void)c;
    return sizeof CLIP_BYTES - 1;
}
porch_err porch_media_clip_read(porch_media_clip *c, uint64_t offset, uint8_t *at, size_t cap, size_t *got,
                                porch_why *why) {
    (void)c;
    (void)why;
    *got = cap;
    memcpy(at, CLIP_BYTES + offset, cap);
    return PORCH_OK;
}
void porch_media_clip_close(porch_media_clip *c) {
    (void)c;
    clips_open--;
}
static porch_err store_state;
void porch_store_count(const porch_store *s, porch_store_counts *ret) {
    (void)s;
    *ret = (porch_store_counts){.state = store_state};
}

porch_err porch_store_read(porch_store *s, porch_store_fn fn, void *ctx, porch_why *why) {
    (void)s;
    return store_state == PORCH_OK ? fn(NULL, ctx, why) : store_state;
}
porch_err porch_rollout_device_get(porch_db *db, const char *device, porch_rollout_device *ret,
                                   porch_why *why) {
    (void)db;
    (void)why;
    *ret = (porch_rollout_device){.known = strcmp(device, "a") == 0,
                                  .running = "1.1",
                                  .target = "1.2",
                                  .state = "waiting",
                                  .reason = "battery at 12 %",
                                  .bytes = 7,
                                  .at_ms = 9};
    return PORCH_OK;
}

/* ---- asking ---- */

static porch_settings settings;
static porch_api api = {.settings = &settings};
static struct porch_http_exchange x;

static int reset(void **state) {
    (void)state;
    porch_settings_default(&settings);
    x = (struct porch_http_exchange){.api = &api, .type = "application/json", .body = ""};
    outcome = PORCH_OK;
    outcome_retry_s = 0;
    signed_in = true;
    ended = zones_set = events_there = clips_open = policies = denials = 0;
    denied_topic = "";
    store_state = PORCH_OK;
    the_event = (porch_media_event){
        .uid = "e1", .owner = {"cam", "camera", "home"}, .kind = "motion", .at_ms = 5, .score = 0.25};
    the_clip = (porch_media_clip_info){.id = "c1",
                                       .event = "e1",
                                       .owner = {"cam", "camera", "home"},
                                       .state = PORCH_MEDIA_CLIP_COMPLETE,
                                       .bytes = 10};
    return 0;
}

static void ask(porch_http_handler handler) {
    porch_api *keep = x.api;
    x.status = 0;
    x.slug[0] = x.headers[0] = '\0';
    x.len = 0;
    memset(x.text, 0, sizeof x.text);
    x.api = keep;
    handler(&x);
    assert_int_not_equal(x.status, 0);
}

static void expect(porch_http_handler handler, int status, const char *slug) {
    ask(handler);
    assert_int_equal(x.status, status);
    if (slug != NULL) assert_string_equal(x.slug, slug);
}

static void has_header(const char *line) {
    if (strstr(x.headers, line) == NULL) fail_msg("no '%s' in:\n%s", line, x.headers);
}

/* ---- signing in ---- */

#define LOGIN "{\"name\":\"robin\",\"password\":\"p\",\"code\":\"123456\"}"

static void a_good_login_sets_the_cookie_and_tells_who_it_is(void **state) {
    (void)state;
    x.body = LOGIN;
    expect(porch_api_login, 200, NULL);
    has_header(
        "Set-Cookie: __Host-porchlight=fresh-token; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=");
    has_header("Cache-Control: no-store");
    assert_null(strstr(x.headers, "Domain"));
    assert_string_equal(
        x.text,
        "{\"user\":{\"name\":\"robin\",\"role\":\"owner\",\"household\":\"home\",\"household_name\":"
        "\"Home\",\"timezone\":\"Europe/Berlin\"}}");
}

static void the_cookie_lasts_as_long_as_the_kind_of_sign_in(void **state) {
    (void)state;
    x.body = LOGIN;
    expect(porch_api_login, 200, NULL);
    has_header("SameSite=Strict; Max-Age=86400\n");
    assert_false(found_installed);
    x.type = "application/json";
    x.body = "{\"name\":\"robin\",\"password\":\"p\",\"code\":\"123456\",\"installed\":\"yes\"}";
    expect(porch_api_login, 200, NULL);
    has_header("SameSite=Strict; Max-Age=2592000\n");
    assert_true(found_installed);
    x.type = "application/json";
    x.body = "{\"token\":\"t\",\"code\":\"123456\",\"installed\":\"yes\"}";
    expect(porch_api_setup_confirm, 200, NULL);
    has_header("SameSite=Strict; Max-Age=2592000\n");
    x.type = "application/json";
    x.body = "{\"name\":\"robin\",\"password\":\"p\",\"code\":\"123456\",\"installed\":\"true\"}";
    expect(porch_api_login, 400, "malformed");
}

static void the_sign_in_that_a_browser_had_ends_with_a_new_one_only(void **state) {
    (void)state;
    x.body = LOGIN;
    outcome = PORCH_ERR_AUTH;
    expect(porch_api_login, 401, "login");
    assert_int_equal(ended, 0);
    x.type = "application/json";
    outcome = PORCH_OK;
    expect(porch_api_login, 200, NULL);
    assert_int_equal(ended, 1);
    signed_in = false;
    x.type = "application/json";
    expect(porch_api_login, 200, NULL);
    assert_int_equal(ended, 1);
}

typedef struct {
    porch_err e;
    int status;
    const char *slug;
} row;

static void every_outcome_of_a_login_has_its_answer_and_no_cookie(void **state) {
    (void)state;
    static const row rows[] = {
        {PORCH_ERR_AUTH, 401, "login"}, {PORCH_ERR_LIMIT, 429, "throttled"},
        {PORCH_ERR_BUSY, 503, "busy"},  {PORCH_ERR_CHILD, 503, "helper-away"},
        {PORCH_ERR_FULL, 507, "full"},  {PORCH_ERR_DATABASE, 500, "internal"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        x.type = "application/json; charset=utf-8";
        x.body = LOGIN;
        outcome = rows[i].e;
        outcome_retry_s = rows[i].status == 429 ? 17 : 0;
        expect(porch_api_login, rows[i].status, rows[i].slug);
        assert_null(strstr(x.headers, "Set-Cookie"));
        if (rows[i].status == 429) has_header("Retry-After: 17");
        if (rows[i].status == 503) has_header("Retry-After: 2");
    }
}

static void a_body_that_is_no_json_object_of_the_route_is_refused(void **state) {
    (void)state;
    x.body = "{\"name\":\"robin\"}";
    expect(porch_api_login, 400, "malformed");
    x.body = LOGIN;
    x.type = "text/plain";
    expect(porch_api_login, 415, "content-type");
    x.type = NULL;
    expect(porch_api_login, 415, "content-type");
    x.type = "application/jsonx";
    expect(porch_api_login, 415, "content-type");
}

static void setting_up_offers_the_second_factor_and_names_what_is_wrong(void **state) {
    (void)state;
    static const row rows[] = {
        {PORCH_ERR_AUTH, 401, "unauthenticated"}, {PORCH_ERR_EXPIRED, 410, "expired"},
        {PORCH_ERR_USAGE, 422, "weak-password"},  {PORCH_ERR_MALFORMED, 400, "malformed"},
        {PORCH_ERR_LIMIT, 429, "throttled"},      {PORCH_ERR_CHILD, 503, "helper-away"},
    };
    x.body = "{\"token\":\"t\",\"name\":\"robin\",\"password\":\"p\"}";
    expect(porch_api_setup, 200, NULL);
    assert_string_equal(x.text,
                        "{\"totp_uri\":\"otpauth://x\",\"totp_secret\":\"SECRET\",\"qr_svg\":\"<svg/>\"}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        x.type = "application/json";
        outcome = rows[i].e;
        expect(porch_api_setup, rows[i].status, rows[i].slug);
    }
}

static void confirming_signs_in_and_keeps_the_time_zone(void **state) {
    (void)state;
    x.body = "{\"token\":\"t\",\"code\":\"123456\"}";
    expect(porch_api_setup_confirm, 200, NULL);
    has_header("Set-Cookie: __Host-porchlight=fresh-token;");
    assert_non_null(strstr(x.text, "\"AAAA-BBBB-CCCC-DDDD\"]}"));
    assert_int_equal(zones_set, 1);
    static const row rows[] = {{PORCH_ERR_DENIED, 403, "wrong-code"},
                               {PORCH_ERR_STATE, 409, "state"},
                               {PORCH_ERR_AUTH, 401, "unauthenticated"},
                               {PORCH_ERR_EXPIRED, 410, "expired"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        x.type = "application/json";
        outcome = rows[i].e;
        expect(porch_api_setup_confirm, rows[i].status, rows[i].slug);
        assert_null(strstr(x.headers, "Set-Cookie"));
    }
    assert_int_equal(zones_set, 1);
}

static void recovery_codes_are_counted_and_renewed_for_who_is_signed_in(void **state) {
    (void)state;
    static const row rows[] = {{PORCH_ERR_STEP_UP, 403, "step-up"},
                               {PORCH_ERR_STEP_UP_APP, 403, "step-up-app"},
                               {PORCH_ERR_DENIED, 403, "wrong-password"},
                               {PORCH_ERR_LIMIT, 429, "throttled"},
                               {PORCH_ERR_BUSY, 503, "busy"}};
    expect(porch_api_recovery, 200, NULL);
    assert_string_equal(x.text, "{\"left\":7,\"made_ms\":12}");
    x.body = "{\"password\":\"p\"}";
    x.type = "application/json";
    expect(porch_api_recovery_renew, 200, NULL);
    assert_non_null(strstr(x.text, "{\"recovery_codes\":[\"AAAA-BBBB-CCCC-DDDD\","));
    has_header("Cache-Control: no-store");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        x.type = "application/json";
        outcome = rows[i].e;
        expect(porch_api_recovery_renew, rows[i].status, rows[i].slug);
    }
    outcome = PORCH_OK;
    signed_in = false;
    expect(porch_api_recovery, 401, "unauthenticated");
    expect(porch_api_recovery_renew, 401, "unauthenticated");
}

static void a_code_is_taken_for_a_step_up(void **state) {
    (void)state;
    static const row rows[] = {{PORCH_ERR_DENIED, 403, "wrong-code"},
                               {PORCH_ERR_AUTH, 401, "unauthenticated"},
                               {PORCH_ERR_LIMIT, 429, "throttled"},
                               {PORCH_ERR_CHILD, 503, "helper-away"}};
    x.body = "{\"code\":\"123456\"}";
    expect(porch_api_step_up, 200, NULL);
    assert_string_equal(x.text, "{\"step_up_left_s\":300}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        x.type = "application/json";
        outcome = rows[i].e;
        outcome_retry_s = rows[i].status == 429 ? 9 : 0;
        expect(porch_api_step_up, rows[i].status, rows[i].slug);
        if (rows[i].status == 429) has_header("Retry-After: 9");
    }
    signed_in = false;
    x.type = "application/json";
    expect(porch_api_step_up, 401, "unauthenticated");
}

static void a_changed_password_renews_the_cookie_for_what_is_left(void **state) {
    (void)state;
    static const row rows[] = {{PORCH_ERR_DENIED, 403, "wrong-password"},
                               {PORCH_ERR_USAGE, 422, "weak-password"},
                               {PORCH_ERR_MALFORMED, 400, "malformed"},
                               {PORCH_ERR_LIMIT, 429, "throttled"},
                               {PORCH_ERR_AUTH, 401, "unauthenticated"}};
    x.body = "{\"password\":\"p\",\"new_password\":\"q\"}";
    expect(porch_api_password, 200, NULL);
    assert_string_equal(x.text, "{\"ended\":3}");
    has_header("Set-Cookie: __Host-porchlight=newer-token; Path=/; Secure; HttpOnly; SameSite=Strict; "
               "Max-Age=100\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        x.type = "application/json";
        outcome = rows[i].e;
        expect(porch_api_password, rows[i].status, rows[i].slug);
        assert_null(strstr(x.headers, "Set-Cookie"));
    }
}

static void sign_ins_are_listed_and_ended(void **state) {
    (void)state;
    expect(porch_api_sessions, 200, NULL);
    assert_string_equal(x.text, "{\"sessions\":[{\"id\":\"s1\",\"agent\":\"Firefox on "
                                "Linux\",\"address\":\"192.0.2.7\",\"installed\":false,\"own\":true,"
                                "\"created_ms\":1,\"seen_ms\":2,\"expires_ms\":3}],\"step_up_left_s\":17}");
    x.id = "s2";
    stale = true;
    expect(porch_api_session_end, 403, "step-up"); /* one after the other they would be all */
    assert_int_equal(ended, 0);
    x.id = "s1";
    expect(porch_api_session_end, 404, "not-found"); /* the own one: it came as far as to be looked for */
    stale = false;
    x.id = "s2";
    expect(porch_api_session_end, 204, NULL);
    assert_int_equal(ended, 1);
    x.id = "s3";
    expect(porch_api_session_end, 404, "not-found");
    expect(porch_api_sessions_end, 200, NULL);
    assert_string_equal(x.text, "{\"ended\":4}");
    outcome = PORCH_ERR_DATABASE;
    expect(porch_api_sessions, 500, "internal");
}

static void alerts_are_listed_and_answered(void **state) {
    (void)state;
    expect(porch_api_alerts, 200, NULL);
    assert_string_equal(x.text, "{\"alerts\":[{\"id\":\"a1\",\"kind\":\"half\",\"at_ms\":1,\"last_ms\":2,"
                                "\"count\":3,\"address\":\"192.0.2.9\",\"agent\":\"curl\","
                                "\"session_lives\":false,\"own\":false,\"answer\":null}]}");
    x.id = "a1";
    x.type = "application/json";
    x.body = "{\"answer\":\"not-mine\"}";
    expect(porch_api_alert_answer, 200, NULL);
    assert_string_equal(x.text, "{\"ended\":true}");
    assert_false(alert_mine);
    x.type = "application/json";
    x.body = "{\"answer\":\"mine\"}";
    expect(porch_api_alert_answer, 200, NULL);
    assert_true(alert_mine);
    x.type = "application/json";
    outcome = PORCH_ERR_STATE;
    expect(porch_api_alert_answer, 409, "state");
    x.type = "application/json";
    x.body = "{\"answer\":\"perhaps\"}";
    expect(porch_api_alert_answer, 422, "unusable");
    x.id = "a2";
    x.type = "application/json";
    x.body = "{\"answer\":\"mine\"}";
    expect(porch_api_alert_answer, 404, "not-found");
    outcome = PORCH_ERR_DATABASE;
    expect(porch_api_alerts, 500, "internal");
}

static void signing_out_clears_the_cookie(void **state) {
    (void)state;
    expect(porch_api_logout, 204, NULL);
    has_header("Set-Cookie: __Host-porchlight=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    assert_int_equal(ended, 1);
}

static void a_password_is_judged_with_tips(void **state) {
    (void)state;
    x.body = "{\"password\":\"short\",\"name\":\"robin\"}";
    expect(porch_api_password_check, 200, NULL);
    assert_non_null(strstr(x.text, "\"ok\":false"));
    assert_non_null(strstr(x.text, "\"tips\":[\"Use at least 12 characters"));
    x.type = "application/json";
    outcome = PORCH_ERR_BUSY;
    expect(porch_api_password_check, 503, "busy");
    /* only for who is signed in or holds a setup link: it costs what sign-ins need */
    outcome = PORCH_OK;
    signed_in = false;
    x.type = "application/json";
    expect(porch_api_password_check, 401, "unauthenticated");
    x.type = "application/json";
    x.body = "{\"password\":\"short\",\"token\":\"t\"}";
    expect(porch_api_password_check, 200, NULL);
    x.type = "application/json";
    x.body = "{\"password\":\"short\",\"token\":\"x\"}";
    expect(porch_api_password_check, 401, "unauthenticated");
}

/* ---- reading ---- */

static void nobody_reads_without_signing_in(void **state) {
    (void)state;
    static const porch_http_handler handlers[] = {porch_api_me,
                                                  porch_api_events,
                                                  porch_api_event_one,
                                                  porch_api_event_thumbnail,
                                                  porch_api_event_picture,
                                                  porch_api_clip_bytes,
                                                  porch_api_devices,
                                                  porch_api_sessions,
                                                  porch_api_session_end,
                                                  porch_api_sessions_end,
                                                  porch_api_alerts,
                                                  porch_api_alert_answer,
                                                  porch_api_password,
                                                  porch_api_logout};
    signed_in = false;
    x.id = "e1";
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        expect(handlers[i], 401, "unauthenticated");
    assert_int_equal(ended + clips_open, 0);
}

static void pages_follow_each_other_to_the_end(void **state) {
    (void)state;
    events_there = 5;
    x.query_name = "limit";
    x.query_value = "3";
    expect(porch_api_events, 200, NULL);
    assert_string_equal(last_query.household, "home");
    assert_non_null(strstr(x.text, "\"next\":\"3000-3\""));
    x.query_name = "before";
    x.query_value = "3000-3";
    expect(porch_api_events, 200, NULL);
    assert_int_equal(last_query.before_ms, 3000);
    assert_int_equal(last_query.before_seq, 3);
    assert_non_null(strstr(x.text, "\"next\":null"));
    x.query_value = "0-0";
    expect(porch_api_events, 200, NULL);
    assert_non_null(strstr(x.text, "\"events\":[]"));
    events_there = 0;
    x.query_name = NULL;
    expect(porch_api_events, 200, NULL);
    assert_string_equal(x.text, "{\"events\":[],\"next\":null}");
}

static void queries_that_are_off_are_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"limit", "0"},      {"limit", "201"},      {"limit", "-1"},
        {"limit", "x"},      {"limit", ""},         {"before", "x"},
        {"before", "-1"},    {"before", "1-"},      {"before", "1"},
        {"before", "1-2-3"}, {"person", "0"},       {"person", "yes"},
        {"day", "today"},    {"day", "2026-02-30"}, {"device", "../x"},
        {"device", "A"},     {"device", ""},        {"before", "9999999999999999999999-1"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        x.query_name = bad[i][0];
        x.query_value = bad[i][1];
        expect(porch_api_events, 400, "malformed");
    }
}

static void the_timeline_is_filtered_by_camera_day_and_person(void **state) {
    (void)state;
    expect(porch_api_events, 200, NULL);
    assert_true(last_query.device == NULL && !last_query.person && last_query.from_ms == 0);
    x.query_name = "device";
    x.query_value = "front-door";
    expect(porch_api_events, 200, NULL);
    assert_non_null(last_query.device);
    x.query_name = "person";
    x.query_value = "1";
    expect(porch_api_events, 200, NULL);
    assert_true(last_query.person);
    x.query_name = "day";
    x.query_value = "2026-01-01"; /* in the household's zone, Europe/Berlin */
    expect(porch_api_events, 200, NULL);
    assert_int_equal(last_query.from_ms, 1767222000000);
    assert_int_equal(last_query.before_ms, 1767222000000 + 86400000);
    assert_int_equal(last_query.before_seq, 0);
}

static void an_event_is_told_whole(void **state) {
    (void)state;
    x.id = "e1";
    the_event.has_thumbnail = the_event.has_clip = the_event.has_person = the_event.has_picture = true;
    the_event.clip = the_clip;
    the_event.person_score = 1.5;
    expect(porch_api_event_one, 200, NULL);
    assert_string_equal(
        x.text, "{\"id\":\"e1\",\"device\":\"cam\",\"product\":\"camera\",\"kind\":"
                "\"motion\",\"at_ms\":5,\"received_at_ms\":0,"
                "\"score\":0.25,\"box\":[0.0,0.0,0.0,0.0],\"thumbnail\":\"/api/v1/events/"
                "e1/thumbnail\",\"clip\":{\"id\":"
                "\"c1\",\"state\":\"complete\",\"bytes\":10,\"sha256\":"
                "\"0000000000000000000000000000000000000000000000000000000000000000\","
                "\"url\":\"/api/v1/clips/c1\"},"
                "\"person\":{\"score\":1.5,\"box\":[0.0,0.0,0.0,0.0],\"at_ms\":0,"
                "\"held_back\":false,\"feedback\":null,\"picture\":\"/api/v1/events/e1/picture\"}}");
    expect(porch_api_event_thumbnail, 200, NULL);
    assert_string_equal(x.type, "image/jpeg");
    has_header("Vary: Cookie");
    assert_memory_equal(x.text, "JPEG", 4);
    outcome = PORCH_ERR_NOT_FOUND;
    expect(porch_api_event_picture, 404, "not-found");
}

static void what_the_policy_denies_is_neither_listed_nor_given(void **state) {
    (void)state;
    the_event.has_thumbnail = the_event.has_clip = the_event.has_person = the_event.has_picture = true;
    the_event.clip = the_clip;
    events_there = 3;
    denied_topic = "d/cam/event/motion";
    expect(porch_api_events, 200, NULL);
    assert_int_equal(last_query.device_count, 1); /* the other one */
    x.id = "e1";
    expect(porch_api_event_one, 403, "policy");
    expect(porch_api_event_thumbnail, 403, "policy");
    x.id = "c1";
    expect(porch_api_clip_bytes, 403, "policy");
    assert_int_equal(denials, 4);
    /* the event may be seen, who was in it may not */
    denied_topic = "$porchlight/device/cam/event/person";
    x.id = "e1";
    expect(porch_api_event_one, 200, NULL);
    assert_non_null(strstr(x.text, "\"person\":null"));
    expect(porch_api_event_thumbnail, 200, NULL);
    expect(porch_api_event_picture, 403, "policy");
    expect(porch_api_events, 200, NULL);
    assert_null(last_query.devices);
    assert_non_null(strstr(x.text, "\"person\":null"));
    assert_null(strstr(x.text, "held_back"));
    x.query_name = "person";
    x.query_value = "1";
    expect(porch_api_events, 200, NULL);
    assert_int_equal(last_query.device_count, 1);
    denied_topic = "d/attic/event/motion";
    expect(porch_api_events, 200, NULL);
    assert_int_equal(last_query.device_count, 1);
    assert_non_null(strstr(x.text, "held_back"));
    denied_topic = "";
    expect(porch_api_events, 200, NULL);
    assert_null(last_query.devices);
    assert_int_equal(policies, 0);
}

static void another_households_things_are_refused(void **state) {
    (void)state;
    x.id = "e1";
    (void)snprintf(the_event.owner.household, sizeof the_event.owner.household, "next-door");
    expect(porch_api_event_one, 403, "household");
    expect(porch_api_event_thumbnail, 403, "household");
    expect(porch_api_event_picture, 403, "household");
    x.id = "c1";
    (void)snprintf(the_clip.owner.household, sizeof the_clip.owner.household, "next-door");
    expect(porch_api_clip_bytes, 403, "household");
    assert_int_equal(clips_open, 0);
}

static void what_is_not_there_is_not_found(void **state) {
    (void)state;
    static const char *const ids[] = {"e2", "", "../e1", "E1", "e1%00"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        x.id = ids[i];
        expect(porch_api_event_one, 404, "not-found");
        expect(porch_api_clip_bytes, 404, "not-found");
    }
    expect(porch_api_unknown, 404, "not-found");
}

/* ---- clips ---- */

static void a_clip_is_given_whole_or_in_ranges_and_closed_again(void **state) {
    (void)state;
    x.id = "c1";
    expect(porch_api_clip_bytes, 200, NULL);
    assert_string_equal(x.text, CLIP_BYTES);
    assert_string_equal(x.type, "video/mp4");
    has_header("Accept-Ranges: bytes");
    has_header("Vary: Cookie");
    has_header("ETag: \"00000000");
    x.header_name = "Range";
    x.header_value = "bytes=2-5";
    expect(porch_api_clip_bytes, 206, NULL);
    assert_string_equal(x.text, "2345");
    has_header("Content-Range: bytes 2-5/10");
    x.header_value = "bytes=10-";
    expect(porch_api_clip_bytes, 416, "range");
    has_header("Content-Range: bytes */10");
    assert_int_equal(clips_open, 0);
}

static void the_indexed_copy_is_given_unless_the_original_is_asked_for(void **state) {
    (void)state;
    x.id = "c1";
    the_clip.indexed_bytes = 12;
    expect(porch_api_clip_bytes, 200, NULL);
    assert_true(opened_indexed);
    has_header("-i\"");
    x.query_name = "copy";
    x.query_value = "original";
    expect(porch_api_clip_bytes, 200, NULL);
    assert_false(opened_indexed);
    assert_null(strstr(x.headers, "-i\""));
}

static void a_player_that_has_it_is_told_so_and_a_stale_range_gets_the_whole(void **state) {
    (void)state;
    static const char etag[] = "\"0000000000000000000000000000000000000000000000000000000000000000\"";
    x.id = "c1";
    x.header_name = "If-None-Match";
    x.header_value = etag;
    expect(porch_api_clip_bytes, 304, NULL);
    assert_int_equal(x.len, 0);
    x.header_value = "\"other\"";
    expect(porch_api_clip_bytes, 200, NULL);
    assert_int_equal(clips_open, 0);
}

static void a_clip_that_is_recording_or_damaged_is_no_answer(void **state) {
    (void)state;
    x.id = "c1";
    the_clip.state = PORCH_MEDIA_CLIP_RECORDING;
    expect(porch_api_clip_bytes, 409, "recording");
    the_clip.state = PORCH_MEDIA_CLIP_COMPLETE;
    outcome = PORCH_ERR_SIGNATURE;
    expect(porch_api_clip_bytes, 500, "internal");
    assert_int_equal(clips_open, 0);
}

/* ---- the rest ---- */

static void devices_are_active_expired_or_revoked(void **state) {
    (void)state;
    expect(porch_api_devices, 200, NULL);
    assert_non_null(strstr(
        x.text,
        "\"id\":\"a\",\"product\":\"camera\",\"household\":\"home\",\"state\":\"active\",\"online\":true"));
    assert_non_null(strstr(x.text, "\"id\":\"b\",\"product\":\"camera\",\"household\":\"home\",\"state\":"
                                   "\"expired\",\"online\":false"));
    assert_non_null(strstr(x.text, "\"state\":\"revoked\""));
    assert_non_null(strstr(x.text, "\"last_seen_ms\":null"));
}

static void devices_show_what_they_said_of_their_update(void **state) {
    (void)state;
    expect(porch_api_devices, 200, NULL);
    assert_non_null(strstr(x.text,
                           "\"update\":{\"running\":\"1.1\",\"target\":\"1.2\",\"state\":\"waiting\","
                           "\"reason\":\"battery at 12 %\",\"bytes\":7,\"at_ms\":9}"));
    assert_non_null(strstr(x.text, "\"update\":null"));
    store_state = PORCH_ERR_IO;
    expect(porch_api_devices, 500, NULL);
    store_state = PORCH_OK;
}

static void health_follows_the_store(void **state) {
    (void)state;
    expect(porch_api_health, 200, NULL);
    assert_string_equal(x.text, "ok\n");
    store_state = PORCH_ERR_FULL;
    expect(porch_api_health, 503, NULL);
}

static void the_web_authority_is_offered_only_where_it_is_used(void **state) {
    (void)state;
    expect(porch_api_web_ca, 404, "not-found");
    api.web_ca_pem = PORCH_LIT("PEM");
    expect(porch_api_web_ca, 200, NULL);
    assert_string_equal(x.text, "PEM");
    api.web_ca_pem = (porch_bytes){NULL, 0};
}

static void a_websocket_is_for_the_devices_door_only(void **state) {
    (void)state;
    peer.role = PORCH_LISTEN_DEVICE;
    expect(porch_api_mqtt, 101, NULL);
    peer.role = PORCH_LISTEN_PEOPLE;
    expect(porch_api_mqtt, 403, "not-offered");
    peer.role = PORCH_LISTEN_MQTT;
}

static void a_persons_websocket_speaks_for_name_role_and_household(void **state) {
    (void)state;
    memset(&upgraded, 0, sizeof upgraded);
    expect(porch_api_mqtt_person, 101, NULL);
    assert_int_equal(upgraded.kind, PORCH_IDENTITY_PERSON);
    assert_string_equal(upgraded.name, "robin"); /* as the policy writes it */
    assert_string_equal(upgraded.household, "home");
    assert_int_equal(upgraded.role, PORCH_ROLE_OWNER);
    watch_is_full = true;
    expect(porch_api_mqtt_person, 503, "streams");
    watch_is_full = false;
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_good_login_sets_the_cookie_and_tells_who_it_is),
        TEST(the_cookie_lasts_as_long_as_the_kind_of_sign_in),
        TEST(the_sign_in_that_a_browser_had_ends_with_a_new_one_only),
        TEST(every_outcome_of_a_login_has_its_answer_and_no_cookie),
        TEST(a_body_that_is_no_json_object_of_the_route_is_refused),
        TEST(setting_up_offers_the_second_factor_and_names_what_is_wrong),
        TEST(confirming_signs_in_and_keeps_the_time_zone),
        TEST(recovery_codes_are_counted_and_renewed_for_who_is_signed_in),
        TEST(a_code_is_taken_for_a_step_up),
        TEST(a_changed_password_renews_the_cookie_for_what_is_left),
        TEST(sign_ins_are_listed_and_ended),
        TEST(alerts_are_listed_and_answered),
        TEST(signing_out_clears_the_cookie),
        TEST(a_password_is_judged_with_tips),
        TEST(nobody_reads_without_signing_in),
        TEST(pages_follow_each_other_to_the_end),
        TEST(queries_that_are_off_are_refused),
        TEST(the_timeline_is_filtered_by_camera_day_and_person),
        TEST(an_event_is_told_whole),
        TEST(what_the_policy_denies_is_neither_listed_nor_given),
        TEST(another_households_things_are_refused),
        TEST(what_is_not_there_is_not_found),
        TEST(a_clip_is_given_whole_or_in_ranges_and_closed_again),
        TEST(the_indexed_copy_is_given_unless_the_original_is_asked_for),
        TEST(a_player_that_has_it_is_told_so_and_a_stale_range_gets_the_whole),
        TEST(a_clip_that_is_recording_or_damaged_is_no_answer),
        TEST(devices_are_active_expired_or_revoked),
        TEST(devices_show_what_they_said_of_their_update),
        TEST(health_follows_the_store),
        TEST(a_websocket_is_for_the_devices_door_only),
        TEST(a_persons_websocket_speaks_for_name_role_and_household),
        TEST(the_web_authority_is_offered_only_where_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
