#include "cloud/api/api_sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/policy.h"
#include "cloud/grants/grants.h"
#include "os/log.h"

/* ---- one device ---- */

static void topic_of(unsigned what, const char *device, char out[128]) {
    if (what == PORCH_SEES_PERSON)
        (void)snprintf(out, 128, "$porchlight/device/%s/event/person", device);
    else
        (void)snprintf(out, 128, "d/%s/%s", device,
                       what == PORCH_SEES_STATE ? "state/reported" : "event/motion");
}

static porch_registry_entry entry_of(const porch_person *person) {
    porch_registry_entry who = {.kind = PORCH_PRINCIPAL_PERSON, .role = (uint8_t)person->role};
    porch_api_person_key(person, who.name);
    memcpy(who.household, person->household, sizeof who.household);
    return who;
}

static porch_access_decision decide(const porch_access_policy *policy, const char *topic) {
    return porch_access_can_receive(policy, (porch_topic_name){porch_bytes_of(topic)});
}

static bool may_see(const porch_api *api, const porch_registry_entry *who,
                    const porch_access_policy *policy, const char *device, unsigned what, porch_why *why) {
    char topic[128];
    topic_of(what, device, topic);
    porch_access_decision d = decide(policy, topic);
    if (d.allowed) return true;
    porch_why sentence = {{0}};
    if (porch_grants_denied(api->grants, who, policy, d, PORCH_ACCESS_RECEIVE, porch_bytes_of(topic), 1,
                            &sentence) &&
        why != NULL)
        *why = sentence;
    return false;
}

unsigned porch_sight_of(const porch_api *api, const porch_person *person, const char *device,
                        unsigned wanted, porch_why *why) {
    porch_registry_entry who = entry_of(person);
    unsigned sees = 0;
    const porch_access_policy *policy = porch_grants_policy_about(api->grants, &who, device);
    if (policy == NULL) return 0; /* the log says why */
    for (unsigned what = PORCH_SEES_EVENT; what <= PORCH_SEES_STATE; what <<= 1)
        if ((wanted & what) != 0 && may_see(api, &who, policy, device, what, why)) sees |= what;
    porch_grants_policy_release(policy);
    return sees;
}

bool porch_sight_any(const porch_api *api, const porch_person *person, const char *device, porch_why *why) {
    porch_registry_entry who = entry_of(person);
    const porch_access_policy *policy = porch_grants_policy_about(api->grants, &who, device);
    char topic[128];
    bool any = false;
    if (policy == NULL) return false; /* the log says why */
    for (unsigned what = PORCH_SEES_EVENT; what <= PORCH_SEES_PERSON && !any; what <<= 1) {
        topic_of(what, device, topic);
        any = decide(policy, topic).allowed;
    }
    any = any || may_see(api, &who, policy, device, PORCH_SEES_STATE, why);
    porch_grants_policy_release(policy);
    return any;
}

void porch_sight_trim(unsigned sees, porch_media_event *event) {
    if ((sees & PORCH_SEES_PERSON) == 0) event->has_person = event->has_picture = false;
}

/* ---- all that a list shows ---- */

porch_err porch_sights_open(const porch_api *api, const porch_person *person, bool persons_only,
                            porch_sights *ret, porch_why *why) {
    porch_sights s = {.api = api, .person = person, .all = true, .whole = true};
    const unsigned need = persons_only ? PORCH_SEES_ALL : PORCH_SEES_EVENT;
    size_t count = 0;
    PORCH_TRY(porch_media_devices(api->media, person->household, &s.devices, &count, why));
    s.sees = malloc(count + 1);
    if (s.sees == NULL) {
        free(s.devices);
        return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a list");
    }
    for (size_t i = 0; i < count; i++) {
        unsigned sees = porch_sight_of(api, person, s.devices[i].text, PORCH_SEES_ALL, NULL);
        s.all = s.all && (sees & need) == need;
        if ((sees & need) != need) continue;
        s.whole = s.whole && sees == PORCH_SEES_ALL;
        s.devices[s.count] = s.devices[i];
        s.sees[s.count++] = (unsigned char)sees;
    }
    *ret = s;
    return PORCH_OK;
}

void porch_sights_free(porch_sights *s) {
    free(s->devices);
    free(s->sees);
}

unsigned porch_sights_of(const porch_sights *s, const char *device) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->devices[i].text, device) == 0) return s->sees[i];
    return porch_sight_of(s->api, s->person, device, PORCH_SEES_ALL, NULL);
}

/* ---- what a route names ---- */

void porch_api_refuse_sight(porch_http_exchange *x, const porch_user_session *s, const char *what,
                            const char *id, const porch_why *why) {
    if (why->text[0] != '\0')
        porch_log(PORCH_LOG_WARN, "people.refused", "name", s->person.name, "household",
                  s->person.household, "wanted", what, "id", id, "reason", why->text, NULL);
    (void)porch_http_problem(x, 403, "policy", "the hub's policy does not let you see this");
}

/* Whether what was read is there, the household's, and to be seen; false: it has answered. */
static bool is_seen(porch_http_exchange *x, const porch_user_session *s, porch_err e, const porch_why *why,
                    const char *what, const porch_media_owner *owner, unsigned wanted, unsigned *sees) {
    const char *id = porch_http_param(x, "id");
    porch_why denied = {{0}};
    if (e == PORCH_ERR_NOT_FOUND || e == PORCH_ERR_MALFORMED) {
        char text[96];
        (void)snprintf(text, sizeof text, "there is no such %s; it may have been deleted", what);
        (void)porch_http_problem(x, 404, "not-found", text);
    } else if (e != PORCH_OK) {
        porch_api_refuse(x, e, why);
    } else if (strcmp(owner->household, s->person.household) != 0) {
        porch_api_refuse_household(x, s, what, id);
    } else {
        *sees = porch_sight_of(porch_api_of(x), &s->person, owner->device, wanted, &denied);
        if ((*sees & wanted) == wanted) return true;
        porch_api_refuse_sight(x, s, what, id, &denied);
    }
    return false;
}

bool porch_api_seen_event(porch_http_exchange *x, const porch_user_session *s, unsigned wanted,
                          porch_media_event *ret) {
    porch_why why = {{0}};
    porch_id id;
    unsigned sees = 0;
    porch_err e = porch_id_parse(porch_bytes_of(porch_http_param(x, "id")), &id);
    if (e == PORCH_OK) e = porch_media_event_get(porch_api_of(x)->media, id.text, ret, &why);
    if (!is_seen(x, s, e, &why, "event", &ret->owner, wanted, &sees)) return false;
    if ((wanted & PORCH_SEES_PERSON) == 0 && ret->has_person)
        sees |= porch_sight_of(porch_api_of(x), &s->person, ret->owner.device, PORCH_SEES_PERSON, NULL);
    porch_sight_trim(sees, ret);
    return true;
}

bool porch_api_seen_clip(porch_http_exchange *x, const porch_user_session *s, porch_media_clip_info *ret) {
    porch_why why = {{0}};
    porch_id id;
    unsigned sees = 0;
    porch_err e = porch_id_parse(porch_bytes_of(porch_http_param(x, "id")), &id);
    if (e == PORCH_OK) e = porch_media_clip_get(porch_api_of(x)->media, id.text, ret, &why);
    return is_seen(x, s, e, &why, "clip", &ret->owner, PORCH_SEES_EVENT, &sees);
}
