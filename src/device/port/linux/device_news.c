#include "device/port/linux/device_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"

const char *porch_device_news_name(porch_device_news news) {
    static const char *const names[] = {
        [PORCH_DEVICE_CONNECTED] = "connected",
        [PORCH_DEVICE_DISCONNECTED] = "disconnected",
        [PORCH_DEVICE_ACKNOWLEDGED] = "acknowledged",
        [PORCH_DEVICE_MESSAGE_REFUSED] = "message-refused",
        [PORCH_DEVICE_MESSAGE_DROPPED] = "message-dropped",
        [PORCH_DEVICE_SUBSCRIBED] = "subscribed",
        [PORCH_DEVICE_SUBSCRIBE_REFUSED] = "subscribe-refused",
        [PORCH_DEVICE_CLIP_STARTED] = "clip-started",
        [PORCH_DEVICE_CLIP_COMPLETE] = "clip-complete",
        [PORCH_DEVICE_CLIP_REFUSED] = "clip-refused",
        [PORCH_DEVICE_CLIP_DROPPED] = "clip-dropped",
        [PORCH_DEVICE_CLIP_DELAYED] = "clip-delayed",
        [PORCH_DEVICE_WARNING] = "warning",
        [PORCH_DEVICE_RENEWED] = "renewed",
        [PORCH_DEVICE_RENEWAL_DELAYED] = "renewal-delayed",
        [PORCH_DEVICE_CERTIFICATE_IN_USE] = "certificate-in-use",
        [PORCH_DEVICE_CLOCK_SET] = "clock-set",
    };
    size_t i = (size_t)news;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}

static void copy(char *out, size_t cap, const char *text) {
    (void)snprintf(out, cap, "%s", text ? text : "");
}

void porch_device_tell(porch_device *d, const porch_device_status *status) {
    (void)pthread_cond_broadcast(&d->changed);
    if (!d->options.on_status) return;
    news_item *item = calloc(1, sizeof *item);
    if (!item) return; /* news is lost before work is */
    item->status = *status;
    if (item->status.at_ms == 0) item->status.at_ms = porch_device_now_ms();
    copy(item->name, sizeof item->name, status->name);
    copy(item->sha256, sizeof item->sha256, status->sha256);
    copy(item->text, sizeof item->text, status->text);
    item->status.name = item->name;
    item->status.sha256 = item->sha256;
    item->status.text = item->text;
    *d->news_last = item;
    d->news_last = &item->next;
}

static news_item *take_news(porch_device *d) {
    (void)pthread_mutex_lock(&d->lock);
    news_item *item = d->news_first;
    d->news_first = NULL;
    d->news_last = &d->news_first;
    (void)pthread_mutex_unlock(&d->lock);
    return item;
}

void porch_device_deliver(porch_device *d) {
    news_item *item = take_news(d);
    while (item) {
        news_item *next = item->next;
        d->options.on_status(d->options.on_status_ctx, &item->status);
        free(item);
        item = next;
    }
}

void porch_device_news_free(porch_device *d) {
    news_item *item = take_news(d);
    while (item) {
        news_item *next = item->next;
        free(item);
        item = next;
    }
}

porch_device_result porch_device_result_of(porch_err e) {
    if (e == PORCH_OK) return PORCH_DEVICE_OK;
    switch (porch_err_class_of(e)) {
    case PORCH_CLASS_RETRY:
        return PORCH_DEVICE_RETRY;
    case PORCH_CLASS_PEER:
        return PORCH_DEVICE_REFUSED;
    default:
        return PORCH_DEVICE_FAULT;
    }
}

porch_device_result porch_device_fail(porch_device_why *out, porch_err e, const porch_why *why) {
    if (out) copy(out->text, sizeof out->text, porch_why_text(why, e));
    return porch_device_result_of(e);
}

porch_device_result porch_device_say(porch_device_why *out, porch_err e, const char *format, ...) {
    if (!out) return porch_device_result_of(e);
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start stands above */
    (void)vsnprintf(out->text, sizeof out->text, format, args);
    va_end(args);
    return porch_device_result_of(e);
}
