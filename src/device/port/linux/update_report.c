#include "device/port/linux/update_report.h"

#include <stdio.h>
#include <string.h>

#include "device/port/linux/device_private.h"

void porch_update_report_open(porch_update_report *r, porch_device *device) {
    *r = (porch_update_report){.device = device};
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)snprintf(r->topic, sizeof r->topic, "d/%s/update/status", porch_device_id(device));
}

void porch_update_report_close(porch_update_report *r) {
    (void)pthread_mutex_destroy(&r->lock);
}

bool porch_update_report_known(const porch_update_report *r, porch_update_state state, const char *reason) {
    return r->told && r->state == state && strcmp(r->reason, reason) == 0;
}

/* On disk until the hub has it; if it cannot be kept, nothing follows from that. Under the lock. */
static void publish(porch_update_report *r) {
    porch_device_why why;
    if (r->kept_len > 0) (void)porch_device_publish(r->device, r->topic, r->kept, r->kept_len, NULL, &why);
}

/* Under the lock. */
static bool keep(porch_update_report *r, const porch_update_status *s) {
    uint8_t block[sizeof r->kept];
    porch_buf out = PORCH_BUF_OF(block);
    if (porch_update_status_write(&out, s) != PORCH_OK) return false;
    memcpy(r->kept, block, out.len);
    r->kept_len = out.len;
    return true;
}

void porch_update_report_tell(porch_update_report *r, const porch_update_status *s) {
    (void)pthread_mutex_lock(&r->lock);
    if (keep(r, s)) publish(r);
    (void)pthread_mutex_unlock(&r->lock);
    r->told = true;
    r->state = s->state;
    (void)snprintf(r->reason, sizeof r->reason, "%.*s", PORCH_FMT(s->reason));
}

void porch_update_report_hold(porch_update_report *r, const porch_update_status *s) {
    (void)pthread_mutex_lock(&r->lock);
    (void)keep(r, s);
    (void)pthread_mutex_unlock(&r->lock);
    r->told = false;
}

void porch_update_report_again(porch_update_report *r) {
    (void)pthread_mutex_lock(&r->lock);
    publish(r);
    (void)pthread_mutex_unlock(&r->lock);
}
