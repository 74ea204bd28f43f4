#include "access/quarantine.h"

#include <string.h>

/* What stands behind "d/ID/"; an empty text when the topic is another's. */
static porch_bytes own_part(porch_bytes device, porch_bytes topic) {
    bool own = device.len > 0 && topic.len > device.len + 3 && memcmp(topic.at, "d/", 2) == 0 &&
               memcmp(topic.at + 2, device.at, device.len) == 0 && topic.at[2 + device.len] == '/';
    return own ? (porch_bytes){topic.at + device.len + 3, topic.len - device.len - 3}
               : (porch_bytes){topic.at, 0};
}

static bool below(porch_bytes part, const char *folder) {
    size_t len = strlen(folder);
    return part.len > len && memcmp(part.at, folder, len) == 0;
}

bool porch_access_quarantine_lets(porch_bytes device, unsigned action, porch_bytes topic) {
    porch_bytes part = own_part(device, topic);
    if (action == PORCH_ACCESS_PUBLISH)
        return below(part, "log/") || below(part, "update/") || porch_bytes_eq_text(part, "state/reported");
    return (action == PORCH_ACCESS_SUBSCRIBE || action == PORCH_ACCESS_RECEIVE) && below(part, "update/");
}
