#include "source.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "v4l2.h"

static const char rtsp[] = "rtsp://";

uint64_t porch_camera_mono_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool porch_camera_source_cancelled(const porch_camera_source_options *o) {
    return o->cancelled && o->cancelled(o->cancelled_ctx);
}

bool porch_camera_source_ready(const porch_camera_source_options *o) {
    return !o->ready || o->ready(o->ready_ctx);
}

/* Where the host begins: behind user and password. They end at the last '@' before the path. */
static const char *host_of(const char *authority) {
    const char *end = authority + strcspn(authority, "/?#"), *host = authority;
    for (const char *at = authority; at < end; at++)
        if (*at == '@') host = at + 1;
    return host;
}

void porch_camera_source_hide(const char *what, char *out, size_t cap) {
    const char *scheme = strstr(what, "://");
    if (!scheme) {
        (void)snprintf(out, cap, "%s", what);
        return;
    }
    const char *host = host_of(scheme + 3);
    (void)snprintf(out, cap, "%.*s%.*s", (int)(scheme + 3 - what), what, (int)strcspn(host, "?#"), host);
}

bool porch_camera_source_kind_of(const char *what, porch_camera_source_kind *ret, char why[256]) {
    char shown[128];
    porch_camera_source_hide(what, shown, sizeof shown);
    if (strncmp(what, rtsp, sizeof rtsp - 1) == 0) {
        const char *host = host_of(what + sizeof rtsp - 1);
        if (*host != '\0' && *host != '/' && *host != ':') {
            *ret = PORCH_CAMERA_RTSP;
            return true;
        }
        (void)snprintf(why, 256, "the source %s names no host; write rtsp://HOST/PATH", shown);
        return false;
    }
    if (strncmp(what, "rtsps://", 8) == 0) {
        (void)snprintf(why, 256,
                       "rtsps is not offered: FFmpeg 5.1 cannot be told which certificate to expect there; "
                       "use rtsp inside a "
                       "network that is yours, or a tunnel that checks");
        return false;
    }
    if (strstr(what, "://")) {
        (void)snprintf(why, 256, "the source %s is none of FILM, /dev/videoN and rtsp://HOST/PATH", shown);
        return false;
    }
    if (what[0] == '\0') {
        (void)snprintf(why, 256, "the source is empty; give a FILM, /dev/videoN or rtsp://HOST/PATH");
        return false;
    }
    /* In shared memory lie files as in any folder. */
    bool device = strncmp(what, "/dev/", 5) == 0 && strncmp(what, "/dev/shm/", 9) != 0;
    *ret = device ? PORCH_CAMERA_V4L2 : PORCH_CAMERA_FILM;
    return true;
}

porch_camera_source *porch_camera_source_open(const porch_camera_source_options *options, char why[256]) {
    porch_camera_source_kind kind;
    if (!porch_camera_source_kind_of(options->what, &kind, why)) return NULL;
    if (kind == PORCH_CAMERA_V4L2) return porch_camera_v4l2_open(options, why);
    return porch_camera_stream_open(options, kind == PORCH_CAMERA_RTSP, why);
}
