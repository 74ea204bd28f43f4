#include "cloud/api/live_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { TOPIC_MOTION, TOPIC_PERSON, TOPIC_STATE } topic;

static bool hears(const porch_access_policy *policy, topic which, const char *device) {
    static const struct {
        const char *before, *after;
    } parts[] = {[TOPIC_MOTION] = {"d/", "/event/motion"},
                 [TOPIC_PERSON] = {"$porchlight/device/", "/event/person"},
                 [TOPIC_STATE] = {"d/", "/state/reported"}};
    char text[128];
    (void)snprintf(text, sizeof text, "%s%s%s", parts[which].before, device, parts[which].after);
    return policy != NULL &&
           porch_access_can_receive(policy, (porch_topic_name){porch_bytes_of(text)}).allowed;
}

/* PASSING messages are of motions but for "device". */
static topic own_topic(const porch_live_message *m) {
    if (m->kind == PORCH_LIVE_PERSON) return TOPIC_PERSON;
    return strcmp(m->name, "device") == 0 ? TOPIC_STATE : TOPIC_MOTION;
}

static const char *other_part(porch_live_kind kind) {
    return kind == PORCH_LIVE_PERSON ? "event" : "person";
}

static topic other_topic(porch_live_kind kind) {
    return kind == PORCH_LIVE_PERSON ? TOPIC_MOTION : TOPIC_PERSON;
}

static char *text_of(const json_t *data) {
    return data == NULL ? NULL : json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(9));
}

bool porch_live_message_make(porch_live_message *m, porch_live_kind kind, const char *device,
                             const char *name, uint64_t seq, json_t *data) {
    *m = (porch_live_message){
        .kind = kind, .device = device, .name = name, .seq = seq, .data = data, .whole = text_of(data)};
    m->mixed = device != NULL && json_is_object(json_object_get(data, other_part(kind)));
    return m->whole != NULL;
}

void porch_live_message_free(porch_live_message *m) {
    free(m->whole);
    free(m->part);
}

const char *porch_live_message_for(porch_live_message *m, const porch_access_policy *policy) {
    if (m->device == NULL) return m->whole;
    if (!hears(policy, own_topic(m), m->device)) return NULL;
    if (!m->mixed || hears(policy, other_topic(m->kind), m->device)) return m->whole;
    if (m->part == NULL) {
        (void)json_object_set_new(m->data, other_part(m->kind), json_null());
        m->part = text_of(m->data);
    }
    return m->part;
}
