/*   GET /api/v1/device/updates/metadata/{name}      7.root.json, timestamp.json, 12.camera.json
 *   GET /api/v1/device/updates/targets/{path...}    camera/1.2/9f86....image, whole or one range
 *
 * Signed files as they lie in DIR/updates, for any device whose certificate is good, also under quarantine:
 * the signed update is how it gets well. A device needs no more right than that: what it may install is not
 * decided here. */
#include "cloud/api/device_updates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloud/api/api_range.h"
#include "os/log.h"

#define UPDATES_PATH "/api/v1/device/updates"

typedef struct {
    int fd;
    uint64_t first;
} source;

static porch_err read_source(void *ctx, uint64_t offset, uint8_t *buf, size_t cap, size_t *got) {
    const source *s = ctx;
    ssize_t n;
    do
        n = pread(s->fd, buf, cap, (off_t)(s->first + offset));
    while (n < 0 && errno == EINTR);
    if (n <= 0) return n < 0 ? PORCH_ERR_IO : PORCH_ERR_TRUNCATED;
    *got = (size_t)n;
    return PORCH_OK;
}

static void free_source(void *ctx) {
    source *s = ctx;
    (void)close(s->fd);
    free(s);
}

/* Files with a version or a hash in their names never change; timestamp.json does. */
static void tell_age(porch_http_exchange *x, const char *name) {
    bool lasting = strcmp(name, "metadata/timestamp.json") != 0;
    (void)porch_http_reply_header(x, "Cache-Control", lasting ? "max-age=31536000, immutable" : "no-store");
}

static void send_file(porch_http_exchange *x, const char *name, int fd, uint64_t bytes) {
    uint64_t first = 0, last = bytes > 0 ? bytes - 1 : 0;
    bool metadata = strncmp(name, "metadata/", 9) == 0;
    char range[80];
    porch_range_kind kind =
        metadata ? PORCH_RANGE_WHOLE
                 : porch_range_read(porch_bytes_of(porch_http_header(x, "Range")), bytes, &first, &last);
    tell_age(x, name);
    if (!metadata) (void)porch_http_reply_header(x, "Accept-Ranges", "bytes");
    if (kind == PORCH_RANGE_NONE) {
        (void)snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)bytes);
        (void)porch_http_reply_header(x, "Content-Range", range);
        (void)porch_http_problem(x, 416, "range", "the range begins past the file's end");
        (void)close(fd);
        return;
    }
    source *s = malloc(sizeof *s);
    if (s == NULL) {
        (void)porch_http_problem(x, 503, "busy", "no memory; try again");
        (void)close(fd);
        return;
    }
    *s = (source){fd, first};
    if (kind == PORCH_RANGE_PART) {
        (void)snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)first,
                       (unsigned long long)last, (unsigned long long)bytes);
        (void)porch_http_reply_header(x, "Content-Range", range);
    }
    (void)porch_http_reply_source(x, kind == PORCH_RANGE_PART ? 206 : 200,
                                  metadata ? "application/json" : "application/octet-stream",
                                  bytes == 0 ? 0 : last - first + 1, read_source, free_source, s);
}

static void answer(porch_http_exchange *x, const char *folder, const char *rest) {
    char name[PORCH_UPDATES_NAME + 16];
    porch_why why = {""};
    uint64_t bytes = 0;
    int fd = -1;
    if (porch_http_peer(x)->principal.kind != PORCH_IDENTITY_DEVICE) {
        (void)porch_http_problem(x, 403, "not-yours", "only devices fetch updates");
        return;
    }
    int n = snprintf(name, sizeof name, "%s/%s", folder, rest);
    porch_err e = n < 0 || (size_t)n >= sizeof name
                      ? PORCH_ERR_NOT_FOUND
                      : porch_updates_file(porch_http_route_ctx(x), name, &fd, &bytes, &why);
    if (e == PORCH_OK) {
        send_file(x, name, fd, bytes);
        return;
    }
    if (e == PORCH_ERR_STATE) {
        (void)porch_http_problem(x, 503, "updates-damaged",
                                 "the hub's update repository is damaged: its operator publishes it again");
        return;
    }
    if (e != PORCH_ERR_NOT_FOUND)
        porch_log(PORCH_LOG_ERROR, "update.unreadable", "file", name, "reason", porch_why_text(&why, e),
                  NULL);
    (void)porch_http_problem(x, e == PORCH_ERR_NOT_FOUND ? 404 : 500,
                             e == PORCH_ERR_NOT_FOUND ? "not-found" : "internal",
                             e == PORCH_ERR_NOT_FOUND ? "the repository has no such file"
                                                      : "the hub could not read it; its log says why");
}

static void on_metadata(porch_http_exchange *x) {
    answer(x, "metadata", porch_http_param(x, "name"));
}

static void on_target(porch_http_exchange *x) {
    answer(x, "targets", porch_http_param(x, "path"));
}

size_t porch_device_updates_routes(porch_updates *u, porch_http_route *out, size_t cap) {
    const unsigned flags = PORCH_HTTP_PRINCIPAL | PORCH_HTTP_QUARANTINED;
    const porch_http_route rows[] = {
        {"GET", UPDATES_PATH "/metadata/{name}", PORCH_ON_DEVICE, flags, 0, on_metadata, u, NULL, NULL},
        {"GET", UPDATES_PATH "/targets/{path...}", PORCH_ON_DEVICE, flags, 0, on_target, u, NULL, NULL},
    };
    size_t count = sizeof rows / sizeof rows[0];
    if (count > cap) return 0;
    memcpy(out, rows, sizeof rows);
    return count;
}
