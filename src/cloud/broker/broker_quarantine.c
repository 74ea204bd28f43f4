/* A device under quarantine on a live session: access/quarantine.h says what is left to it; a session is
 * told by porch_session_regrant. */
#include "access/quarantine.h"
#include "cloud/broker/room.h"

bool porch_quarantine_lets_publish(const porch_registry_entry *e, porch_bytes topic) {
    return !e->quarantined ||
           porch_access_quarantine_lets(porch_bytes_of(e->name), PORCH_ACCESS_PUBLISH, topic);
}

bool porch_quarantine_lets_hear(const porch_registry_entry *e, porch_bytes filter_or_topic) {
    return !e->quarantined ||
           porch_access_quarantine_lets(porch_bytes_of(e->name), PORCH_ACCESS_RECEIVE, filter_or_topic);
}
