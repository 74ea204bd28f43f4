/*   POST  /api/v1/device/clips         Porchlight-Event: ID, Upload-Complete: ?0    201 (made) or 200 (was
 * there) HEAD  /api/v1/device/clips/{id}    204 with Upload-Offset: what is durable PATCH
 * /api/v1/device/clips/{id}    Upload-Offset: where it goes on; ?1 with the last bytes and Repr-Digest
 *
 * A live clip is one long PATCH of unknown length: its pieces reach the disk and the analysis as they
 * arrive. Every refusal has a reason for the device and a line for the operator. */
#include "cloud/api/device_clips.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/media/media_upload.h"
#include "os/clock.h"
#include "os/log.h"
#include "wire/upload.h"

#define CLIPS_PATH "/api/v1/device/clips"
/* The limit that counts is media.clip_bytes, which the upload itself names when it is passed. */
#define BODY_MOST (1ull << 40)

typedef struct {
    porch_media_upload *upload;
    bool final;
    uint8_t sha256[32];
} patch;

/* ---- refusals ---- */

static const struct {
    porch_err error;
    int status;
    const char *slug;
} refusals[] = {
    {PORCH_ERR_MALFORMED, 400, "malformed"},    {PORCH_ERR_DENIED, 403, "not-yours"},
    {PORCH_ERR_NOT_FOUND, 404, "not-found"},    {PORCH_ERR_STATE, 409, "wrong-offset"},
    {PORCH_ERR_CLOSED, 409, "taken-over"},      {PORCH_ERR_LIMIT, 413, "too-large"},
    {PORCH_ERR_UNSUPPORTED, 415, "media-type"}, {PORCH_ERR_HASH, 422, "wrong-hash"},
    {PORCH_ERR_BUSY, 429, "too-many-uploads"},  {PORCH_ERR_CHILD, 503, "try-again"},
    {PORCH_ERR_TIMEOUT, 503, "try-again"},      {PORCH_ERR_FULL, 507, "insufficient-storage"},
    {PORCH_ERR_REVOKED, 410, "deleted"},
};

static void refuse(porch_http_exchange *x, porch_err e, const porch_why *why) {
    const porch_principal *who = &porch_http_peer(x)->principal;
    const char *clip = porch_http_param(x, "id");
    int status = 500;
    const char *slug = "internal";
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].error != e) continue;
        status = refusals[i].status;
        slug = refusals[i].slug;
    }
    porch_log(status == 500 ? PORCH_LOG_ERROR : PORCH_LOG_WARN, "clip.refused", "device", who->name,
              "household", who->household, "clip", clip, "status", porch_log_number((uint64_t)status).text,
              "reason", porch_why_text(why, e), NULL);
    if (status == 429 || status == 503) (void)porch_http_reply_header(x, "Retry-After", "2");
    /* What went wrong inside is for the operator alone. */
    const char *detail =
        status == 500 ? "the hub could not keep the clip; its log says why" : porch_why_text(why, e);
    (void)porch_http_problem(x, status, slug, detail);
}

static void tell_place(porch_http_exchange *x, uint64_t offset, bool complete) {
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)offset);
    (void)porch_http_reply_header(x, PORCH_UPLOAD_OFFSET_HEADER, text);
    (void)porch_http_reply_header(x, PORCH_UPLOAD_COMPLETE_HEADER, complete ? "?1" : "?0");
}

/* ---- what a request says ---- */

static porch_err is_device(porch_http_exchange *x, porch_why *why) {
    if (porch_http_peer(x)->principal.kind == PORCH_IDENTITY_DEVICE) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_DENIED, "only devices upload clips");
}

static porch_err header(porch_http_exchange *x, const char *name, porch_bytes *ret, porch_why *why) {
    const char *value = porch_http_header(x, name);
    if (value == NULL) return porch_fail(why, PORCH_ERR_MALFORMED, "the header %s is missing", name);
    *ret = porch_bytes_of(value);
    return PORCH_OK;
}

static porch_err wrong_header(porch_why *why, const char *name, const char *form) {
    return porch_fail(why, PORCH_ERR_MALFORMED, "the header %s is not of the form %s", name, form);
}

static porch_err read_complete(porch_http_exchange *x, bool *ret, porch_why *why) {
    porch_bytes v = {NULL, 0};
    PORCH_TRY(header(x, PORCH_UPLOAD_COMPLETE_HEADER, &v, why));
    if (porch_upload_complete_parse(v, ret) == PORCH_OK) return PORCH_OK;
    return wrong_header(why, PORCH_UPLOAD_COMPLETE_HEADER, "?0 or ?1");
}

static porch_err read_offset(porch_http_exchange *x, uint64_t *ret, porch_why *why) {
    porch_bytes v = {NULL, 0};
    PORCH_TRY(header(x, PORCH_UPLOAD_OFFSET_HEADER, &v, why));
    if (porch_upload_offset_parse(v, ret) == PORCH_OK) return PORCH_OK;
    return wrong_header(why, PORCH_UPLOAD_OFFSET_HEADER, "123");
}

static porch_err read_digest(porch_http_exchange *x, uint8_t ret[32], porch_why *why) {
    porch_bytes v = {NULL, 0};
    PORCH_TRY(header(x, PORCH_UPLOAD_DIGEST_HEADER, &v, why));
    if (porch_upload_digest_parse(v, ret) == PORCH_OK) return PORCH_OK;
    return wrong_header(why, PORCH_UPLOAD_DIGEST_HEADER, "sha-256=:BASE64:");
}

static porch_err read_event(porch_http_exchange *x, porch_id *ret, porch_why *why) {
    porch_bytes v = {NULL, 0};
    PORCH_TRY(header(x, PORCH_UPLOAD_EVENT_HEADER, &v, why));
    if (porch_upload_event_parse(v, ret) == PORCH_OK) return PORCH_OK;
    return wrong_header(why, PORCH_UPLOAD_EVENT_HEADER, "an id: a-z, 0-9 and -, at most 64");
}

/* ---- POST ---- */

static porch_err begin(porch_http_exchange *x, char clip[PORCH_MEDIA_UID], bool *made, porch_why *why) {
    const porch_principal *who = &porch_http_peer(x)->principal;
    porch_media_owner owner;
    porch_id event;
    bool complete;
    PORCH_TRY(is_device(x, why));
    PORCH_TRY(read_event(x, &event, why));
    PORCH_TRY(read_complete(x, &complete, why));
    if (complete)
        return porch_fail(why, PORCH_ERR_MALFORMED, "begin with Upload-Complete: ?0; bytes come by PATCH");
    memset(&owner, 0, sizeof owner);
    memcpy(owner.device, who->name, sizeof owner.device);
    memcpy(owner.product, who->product, sizeof owner.product);
    memcpy(owner.household, who->household, sizeof owner.household);
    return porch_media_upload_begin(porch_http_route_ctx(x), &owner, event.text, porch_clock_ms(), clip,
                                    made, why);
}

static void on_post(porch_http_exchange *x) {
    char clip[PORCH_MEDIA_UID], location[sizeof CLIPS_PATH + PORCH_MEDIA_UID + 1];
    porch_media_upload_info info = {0};
    porch_why why = {""};
    bool made = false;
    porch_err e = begin(x, clip, &made, &why);
    if (e == PORCH_OK && !made) {
        e = porch_media_upload_status(porch_http_route_ctx(x), porch_http_peer(x)->principal.name, clip,
                                      &info, &why);
    }
    if (e != PORCH_OK) {
        refuse(x, e, &why);
        return;
    }
    (void)snprintf(location, sizeof location, "%s/%s", CLIPS_PATH, clip);
    (void)porch_http_reply_header(x, "Location", location);
    tell_place(x, info.offset, info.complete);
    (void)porch_http_reply(x, made ? 201 : 200, NULL, PORCH_LIT(""));
}

/* ---- HEAD ---- */

static void on_head(porch_http_exchange *x) {
    porch_media_upload_info info;
    porch_why why = {""};
    porch_err e = is_device(x, &why);
    if (e == PORCH_OK) {
        e = porch_media_upload_status(porch_http_route_ctx(x), porch_http_peer(x)->principal.name,
                                      porch_http_param(x, "id"), &info, &why);
    }
    if (e != PORCH_OK) {
        refuse(x, e, &why);
        return;
    }
    tell_place(x, info.offset, info.complete);
    (void)porch_http_reply_header(x, "Cache-Control", "no-store");
    (void)porch_http_reply(x, 204, NULL, PORCH_LIT(""));
}

/* ---- PATCH ---- */

static porch_err read_patch(porch_http_exchange *x, patch *p, uint64_t *offset, porch_why *why) {
    const char *type = porch_http_header(x, "Content-Type");
    PORCH_TRY(is_device(x, why));
    if (type == NULL || strcmp(type, PORCH_UPLOAD_MEDIA_TYPE) != 0) {
        return porch_fail(why, PORCH_ERR_UNSUPPORTED, "send Content-Type: " PORCH_UPLOAD_MEDIA_TYPE);
    }
    PORCH_TRY(read_offset(x, offset, why));
    PORCH_TRY(read_complete(x, &p->final, why));
    return p->final ? read_digest(x, p->sha256, why) : PORCH_OK;
}

static void drop(porch_http_exchange *x) {
    patch *p = porch_http_user(x);
    if (p == NULL) return;
    porch_http_set_user(x, NULL);
    porch_media_upload_close(p->upload);
    free(p);
}

static void on_patch(porch_http_exchange *x) {
    uint64_t offset = 0, at = UINT64_MAX;
    porch_why why = {""};
    patch *p = calloc(1, sizeof *p);
    porch_err e = p != NULL ? read_patch(x, p, &offset, &why) : PORCH_ERR_NO_SPACE;
    if (e == PORCH_OK) {
        e = porch_media_upload_open(porch_http_route_ctx(x), porch_http_peer(x)->principal.name,
                                    porch_http_param(x, "id"), offset, &p->upload, &at, &why);
    }
    if (e == PORCH_OK) {
        porch_http_set_user(x, p);
        return;
    }
    free(p);
    if (e == PORCH_ERR_STATE && at != UINT64_MAX) {
        porch_media_upload_info info = {.offset = at};
        (void)porch_media_upload_status(porch_http_route_ctx(x), porch_http_peer(x)->principal.name,
                                        porch_http_param(x, "id"), &info, NULL);
        tell_place(x, info.offset, info.complete);
    }
    refuse(x, e, &why);
}

static porch_err end(patch *p, uint64_t *offset, porch_why *why) {
    PORCH_TRY(porch_media_upload_pause(p->upload, offset, why));
    return p->final ? porch_media_upload_finish(p->upload, p->sha256, porch_clock_ms(), why) : PORCH_OK;
}

static void on_patch_data(porch_http_exchange *x, porch_bytes piece, bool last) {
    patch *p = porch_http_user(x);
    uint64_t offset = 0;
    porch_why why = {""};
    if (p == NULL) return; /* answered already */
    porch_err e = porch_media_upload_append(p->upload, piece, &why);
    if (e == PORCH_OK && !last) return;
    if (e == PORCH_OK) e = end(p, &offset, &why);
    bool final = p->final;
    drop(x);
    if (e != PORCH_OK) {
        if (e == PORCH_ERR_HASH) tell_place(x, 0, false);
        refuse(x, e, &why);
        return;
    }
    tell_place(x, offset, final);
    (void)porch_http_reply(x, 204, NULL, PORCH_LIT(""));
}

size_t porch_device_clips_routes(porch_media *m, porch_http_route *out, size_t cap) {
    const unsigned device = PORCH_ON_DEVICE;
    const porch_http_route rows[] = {
        {"POST", CLIPS_PATH, device, PORCH_HTTP_PRINCIPAL, 0, on_post, m, NULL, NULL},
        {"HEAD", CLIPS_PATH "/{id}", device, PORCH_HTTP_PRINCIPAL, 0, on_head, m, NULL, NULL},
        {"PATCH", CLIPS_PATH "/{id}", device, PORCH_HTTP_PRINCIPAL | PORCH_HTTP_BODY_STREAM, BODY_MOST,
         on_patch, m, on_patch_data, drop},
    };
    size_t count = sizeof rows / sizeof rows[0];
    if (count > cap) count = cap;
    memcpy(out, rows, count * sizeof rows[0]);
    return count;
}
