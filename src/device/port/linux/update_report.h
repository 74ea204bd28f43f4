/* What the hub is told of an update, and told again at each connection.
 *
 *   updater ──tell──► spool, on disk until the hub has it
 *      └─────hold──► kept ◄──again── SDK thread: the hub has taken the subscription to its wish
 *
 * A wish that the hub sent while the device was away is lost: it is told again when the device reports. */
#ifndef PORCH_DEVICE_PORT_LINUX_UPDATE_REPORT_H
#define PORCH_DEVICE_PORT_LINUX_UPDATE_REPORT_H

#include <pthread.h>

#include <porchlight/device.h>

#include "wire/update_news.h"

typedef struct {
    porch_device *device;
    char topic[128];
    pthread_mutex_t lock; /* from the choice of a report until it is in the spool: none overtakes another */
    uint8_t kept[PORCH_UPDATE_NEWS_MOST];
    size_t kept_len;
    /* the updater's own */
    bool told; /* of the wish that holds; then what: */
    porch_update_state state;
    char reason[PORCH_UPDATE_REASON_MOST + 1];
} porch_update_report;

void porch_update_report_open(porch_update_report *r, porch_device *device);
void porch_update_report_close(porch_update_report *r);
/* Was the hub told just that already? */
bool porch_update_report_known(const porch_update_report *r, porch_update_state state, const char *reason);
/* Tells it, and keeps it for the connections to come. */
void porch_update_report_tell(porch_update_report *r, const porch_update_status *s);
/* Keeps it alone: there is nothing to tell of a wish that is new. */
void porch_update_report_hold(porch_update_report *r, const porch_update_status *s);
/* What is kept. Any thread. */
void porch_update_report_again(porch_update_report *r);

#endif
