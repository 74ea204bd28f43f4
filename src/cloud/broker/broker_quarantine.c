/* What a device under quarantine may still say and hear, whatever its groups allow.
 *
 *   says     d/ID/log/#   d/ID/state/reported   d/ID/update/#       diagnostics, how the update goes
 *   hears    d/ID/update/#                                          the signed update, which it verifies
 * itself
 *
 * It takes away and never adds: a policy is asked besides. A live session is told by
 * porch_session_regrant. */
#include <string.h>

#include "cloud/broker/room.h"

/* What stands behind "d/ID/"; an empty text when the topic is another's. */
static porch_bytes own_part(const porch_registry_entry *e, porch_bytes topic) {
    size_t name = strlen(e->name);
    bool own = topic.len > name + 3 && memcmp(topic.at, "d/", 2) == 0 &&
               memcmp(topic.at + 2, e->name, name) == 0 && topic.at[2 + name] == '/';
    return own ? (porch_bytes){topic.at + name + 3, topic.len - name - 3} : (porch_bytes){topic.at, 0};
}

static bool below(porch_bytes part, const char *folder) {
    size_t len = strlen(folder);
    return part.len > len && memcmp(part.at, folder, len) == 0;
}

bool porch_quarantine_lets_publish(const porch_registry_entry *e, porch_bytes topic) {
    if (!e->quarantined) return true;
    porch_bytes part = own_part(e, topic);
    return below(part, "log/") || below(part, "update/") || porch_bytes_eq_text(part, "state/reported");
}

bool porch_quarantine_lets_hear(const porch_registry_entry *e, porch_bytes filter_or_topic) {
    return !e->quarantined || below(own_part(e, filter_or_topic), "update/");
}
