/* The twin on Linux: the wish that counts in state/twin, and the wire. See porchlight/twin.h and
 * device/twin.h. */
#include "device/port/linux/device_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"

enum { PATH_BYTES = 4096 };

struct device_twin {
    porch_twin core;
    porch_twin_fn fn;
    void *ctx;
    char path[PATH_BYTES];
    char desired_topic[96], reported_topic[96];
};

static void warn(porch_device *d, const char *text) {
    (void)pthread_mutex_lock(&d->lock);
    porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_WARNING, .text = text});
    (void)pthread_mutex_unlock(&d->lock);
}

/* Under the lock: what a report of another thread changes meanwhile is not touched. */
static porch_err take(porch_device *d, porch_bytes document, porch_why *why) {
    (void)pthread_mutex_lock(&d->lock);
    porch_err e = porch_twin_take(&d->twin->core, document, why);
    (void)pthread_mutex_unlock(&d->lock);
    return e;
}

/* On disk first. A disk that refuses does not keep the wish from counting now: it may be one for privacy.
 */
static void keep(porch_device *d, porch_bytes document) {
    porch_why why = {{0}};
    char text[TEXT_BYTES];
    porch_err e = porch_file_write_atomic(d->twin->path, document, 0600, &why);
    if (e == PORCH_OK) return;
    (void)snprintf(text, sizeof text, "the hub's wish is not kept for the next start: %.180s",
                   porch_why_text(&why, e));
    warn(d, text);
}

/* On the SDK thread, the only one that changes what counts. */
static void on_desired(void *ctx, const porch_device_message *message) {
    porch_device *d = ctx;
    porch_why why = {{0}};
    porch_bytes document = {message->payload, message->payload_bytes};
    if (document.len == 0) return; /* a retained wish that was taken back */
    porch_err e = take(d, document, &why);
    if (e == PORCH_ERR_AGAIN) return;
    if (e != PORCH_OK) {
        warn(d, porch_why_text(&why, e));
        return;
    }
    keep(d, document);
    const porch_twin_desired wish = porch_twin_wish(&d->twin->core);
    d->twin->fn(d->twin->ctx, &wish);
}

static porch_err load(porch_device *d, porch_why *why) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    porch_err e = porch_file_read(d->twin->path, PORCH_TWIN_DOC_MOST, &bytes, &len, why);
    if (e == PORCH_ERR_NOT_FOUND) return PORCH_OK;
    if (e == PORCH_OK) e = porch_twin_take(&d->twin->core, (porch_bytes){bytes, len}, why);
    free(bytes);
    /* A wish for privacy may have stood there: better to stop than to guess. */
    if (e != PORCH_OK)
        return porch_fail(why, e, "%.150s is damaged; remove it, and the hub sends its wish again",
                          d->twin->path);
    return PORCH_OK;
}

static porch_err make(porch_device *d, porch_twin_fn fn, void *ctx, porch_why *why) {
    struct device_twin *t = calloc(1, sizeof *t);
    if (!t) return porch_fail(why, PORCH_ERR_NO_SPACE, "out of memory");
    porch_twin_init(&t->core);
    t->fn = fn;
    t->ctx = ctx;
    (void)snprintf(t->desired_topic, sizeof t->desired_topic, "d/%s/state/desired", porch_device_id(d));
    (void)snprintf(t->reported_topic, sizeof t->reported_topic, "d/%s/state/reported", porch_device_id(d));
    d->twin = t;
    char state[PATH_BYTES];
    if (porch_path_join(d->options.folder, "state", state, sizeof state) != PORCH_OK ||
        porch_path_join(state, "twin", t->path, sizeof t->path) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_NO_SPACE, "the folder's path is too long");
    return load(d, why);
}

porch_device_result porch_twin_open(porch_device *d, porch_twin_fn fn, void *ctx, porch_device_why *why) {
    porch_why inner = {{0}};
    if (!fn || d->twin || porch_device_is_service(d))
        return porch_device_say(why, PORCH_ERR_USAGE,
                                "a twin is opened once, with a function, for a device's folder");
    porch_err e = make(d, fn, ctx, &inner);
    if (e != PORCH_OK) {
        porch_device_twin_free(d);
        return porch_device_fail(why, e, &inner);
    }
    const porch_twin_desired wish = porch_twin_wish(&d->twin->core);
    fn(ctx, &wish);
    return porch_device_subscribe(d, d->twin->desired_topic, on_desired, d, why);
}

porch_device_result porch_twin_report(porch_device *d, uint64_t version, const porch_twin_member *members,
                                      size_t count, porch_device_why *why) {
    if (!d->twin) return porch_device_say(why, PORCH_ERR_USAGE, "porch_twin_open comes first");
    (void)pthread_mutex_lock(&d->lock);
    porch_err e = porch_twin_set_reported(&d->twin->core, version, members, count);
    (void)pthread_mutex_unlock(&d->lock);
    if (e != PORCH_OK)
        return porch_device_say(
            why, e, "the report cannot be told: its names or values are off, or it is too long");
    return porch_device_twin_send(d, why);
}

/* Ahead of the spool: a wish for privacy that was missed comes as the answer to a report. */
static porch_err send_now(porch_device *d) {
    uint8_t block[PORCH_TWIN_DOC_MOST];
    porch_buf out = PORCH_BUF_OF(block);
    (void)pthread_mutex_lock(&d->lock);
    porch_err e = porch_twin_report_text(&d->twin->core, &out);
    if (e == PORCH_OK) e = porch_device_now_first(d, d->twin->reported_topic, porch_buf_bytes(&out));
    (void)pthread_mutex_unlock(&d->lock);
    return e;
}

porch_device_result porch_device_twin_send(porch_device *d, porch_device_why *why) {
    uint8_t block[PORCH_TWIN_DOC_MOST];
    porch_buf out = PORCH_BUF_OF(block);
    (void)pthread_mutex_lock(&d->lock);
    porch_err e = porch_twin_report_text(&d->twin->core, &out);
    (void)pthread_mutex_unlock(&d->lock);
    if (e != PORCH_OK) return porch_device_say(why, e, "%s", porch_err_text(e));
    return porch_device_publish(d, d->twin->reported_topic, block, out.len, NULL, why);
}

void porch_device_twin_subscribed(porch_device *d, const char *filter) {
    porch_device_why why = {{0}};
    if (!d->twin || strcmp(filter, d->twin->desired_topic) != 0) return;
    porch_err e = send_now(d);
    if (e != PORCH_OK) warn(d, porch_err_text(e));
    /* By the spool too: a hub whose store is behind drops what comes by QoS 0, and reports from before that
     * wait there must not be the last word. */
    if (porch_device_twin_send(d, &why) != PORCH_DEVICE_OK) warn(d, why.text);
}

void porch_device_twin_free(porch_device *d) {
    free(d->twin);
    d->twin = NULL;
}
