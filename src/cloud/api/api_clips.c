/* A clip to a player: whole or one range of it, decrypted piece by piece as the player takes it. */
#include "cloud/api/api_sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/api_range.h"
#include "cloud/media/media_clip.h"
#include "os/log.h"

typedef struct {
    porch_media_clip *clip;
    uint64_t first;
} source;

static porch_err read_source(void *ctx, uint64_t offset, uint8_t *buf, size_t cap, size_t *got) {
    source *s = ctx;
    porch_why why = {{0}};
    porch_err e = porch_media_clip_read(s->clip, s->first + offset, buf, cap, got, &why);
    if (e == PORCH_OK && *got == 0) e = PORCH_ERR_TRUNCATED;
    if (e != PORCH_OK)
        porch_log(PORCH_LOG_ERROR, "clip.unreadable", "error", porch_err_name(e), "reason",
                  porch_why_text(&why, e), NULL);
    return e;
}

static void free_source(void *ctx) {
    source *s = ctx;
    porch_media_clip_close(s->clip);
    free(s);
}

/* The clip of the path, if the person may see it and it is complete; false: it has answered. */
static bool whole_clip(porch_http_exchange *x, const porch_user_session *s, porch_media_clip_info *ret) {
    if (!porch_api_seen_clip(x, s, ret)) return false;
    if (ret->state == PORCH_MEDIA_CLIP_COMPLETE) return true;
    (void)porch_http_problem(x, 409, "recording",
                             "this clip is still being recorded; come back in some seconds");
    return false;
}

/* The range of the request, unless If-Range names another state of the clip (RFC 9110, 13.1.5). */
static porch_range_kind wanted_range(porch_http_exchange *x, const char *etag, uint64_t bytes,
                                     uint64_t *first, uint64_t *last) {
    const char *condition = porch_http_header(x, "If-Range");
    if (condition != NULL && strcmp(condition, etag) != 0) return PORCH_RANGE_WHOLE;
    return porch_range_read(porch_bytes_of(porch_http_header(x, "Range")), bytes, first, last);
}

static void send_clip(porch_http_exchange *x, porch_media_clip *clip, const char *etag) {
    uint64_t bytes = porch_media_clip_bytes(clip), first = 0, last = bytes > 0 ? bytes - 1 : 0;
    char range[80];
    porch_range_kind kind = wanted_range(x, etag, bytes, &first, &last);
    (void)porch_http_reply_header(x, "Accept-Ranges", "bytes");
    if (kind == PORCH_RANGE_NONE) {
        (void)snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)bytes);
        (void)porch_http_reply_header(x, "Content-Range", range);
        (void)porch_http_problem(x, 416, "range", "the range begins past the clip's end");
        porch_media_clip_close(clip);
        return;
    }
    source *s = malloc(sizeof *s);
    if (s == NULL) {
        porch_media_clip_close(clip);
        porch_api_refuse(x, PORCH_ERR_NO_SPACE, NULL);
        return;
    }
    *s = (source){clip, first};
    (void)porch_http_reply_header(x, "ETag", etag);
    (void)porch_http_reply_header(x, "Cache-Control", "private, max-age=604800");
    (void)porch_http_reply_header(x, "Vary", "Cookie"); /* not for who uses this browser next */
    if (kind == PORCH_RANGE_PART) {
        (void)snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)first,
                       (unsigned long long)last, (unsigned long long)bytes);
        (void)porch_http_reply_header(x, "Content-Range", range);
    }
    (void)porch_http_reply_source(x, kind == PORCH_RANGE_PART ? 206 : 200, "video/mp4",
                                  bytes == 0 ? 0 : last - first + 1, read_source, free_source, s);
}

void porch_api_clip_bytes(porch_http_exchange *x) {
    porch_user_session s;
    porch_media_clip_info info;
    porch_media_clip *clip = NULL;
    porch_why why = {{0}};
    char copy[16], hex[65], etag[72];
    if (!porch_api_session(x, &s) || !whole_clip(x, &s, &info)) return;
    bool indexed = info.indexed_bytes > 0 && (porch_http_query(x, "copy", copy, sizeof copy) != PORCH_OK ||
                                              strcmp(copy, "original") != 0);
    porch_buf out = {(uint8_t *)hex, 0, sizeof hex - 1};
    (void)porch_hex_write(&out, (porch_bytes){info.sha256, sizeof info.sha256});
    hex[out.len] = '\0';
    (void)snprintf(etag, sizeof etag, "\"%s%s\"", hex, indexed ? "-i" : "");
    const char *known = porch_http_header(x, "If-None-Match");
    if (known != NULL && strcmp(known, etag) == 0) {
        (void)porch_http_reply_header(x, "ETag", etag);
        (void)porch_http_reply(x, 304, NULL, PORCH_LIT(""));
        return;
    }
    porch_err e = porch_media_clip_open(porch_api_of(x)->media, info.id, indexed, &clip, &why);
    if (e != PORCH_OK) {
        porch_api_refuse(x, e, &why);
        return;
    }
    send_clip(x, clip, etag);
}
