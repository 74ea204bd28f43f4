#include "device/port/linux/update_fetch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "wire/http1_chunk.h"
#include "wire/http1_response.h"

enum { REQUEST_BYTES = 2048, HEADERS_MOST = 32 };

void porch_update_fetch_open(porch_update_fetch *f) {
    porch_link_init(&f->link, NULL, NULL);
}

void porch_update_fetch_use(porch_update_fetch *f, porch_tls_client *tls) {
    porch_link_use(&f->link, tls);
}

void porch_update_fetch_rest(porch_update_fetch *f) {
    porch_link_close(&f->link);
    porch_link_use(&f->link, NULL);
}

void porch_update_fetch_close(porch_update_fetch *f) {
    porch_link_end(&f->link);
}

/* ---- waiting ---- */

static porch_err wait_for(porch_update_fetch *f, bool output, uint64_t until_ms, porch_why *why) {
    uint64_t now_ms = porch_clock_mono_ms();
    if (f->cancelled(f->ctx)) return porch_fail(why, PORCH_ERR_BUSY, "the update was called off");
    if (now_ms >= until_ms) return porch_fail(why, PORCH_ERR_TIMEOUT, "the hub gave nothing for too long");
    if (!output && f->link.state == PORCH_LINK_UP && porch_tls_pending(f->link.conn)) return PORCH_OK;
    struct pollfd fds[2] = {{.fd = porch_link_fd(&f->link), .events = porch_link_events(&f->link, output)},
                            {.fd = f->wake_fd, .events = POLLIN}};
    uint64_t left = until_ms - now_ms;
    if (poll(fds, 2, left < 1000 ? (int)left : 1000) < 0 && errno != EINTR)
        return porch_fail(why, PORCH_ERR_IO, "poll: %s", strerror(errno));
    uint64_t count = 0;
    if ((fds[1].revents & POLLIN) != 0 && read(f->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return porch_fail(why, PORCH_ERR_IO, "eventfd: %s", strerror(errno));
    return PORCH_OK;
}

/* No error of a connection may look as if the hub had said that there is no such file. */
static porch_err away(porch_err e) {
    return e == PORCH_ERR_TIMEOUT || e == PORCH_ERR_BUSY ? e : PORCH_ERR_IO;
}

static porch_err connect_link(porch_update_fetch *f, porch_why *why) {
    uint64_t until_ms = porch_clock_mono_ms() + f->patience_ms;
    porch_err e = porch_link_open(&f->link, f->host, f->port, porch_clock_mono_ms(), f->patience_ms, why);
    if (e != PORCH_OK) return away(e);
    for (;;) {
        e = porch_link_advance(&f->link, porch_clock_mono_ms(), why);
        if (e == PORCH_OK) return PORCH_OK;
        if (e != PORCH_ERR_AGAIN) return away(e);
        PORCH_TRY(wait_for(f, false, until_ms, why));
    }
}

static porch_err send_all(porch_update_fetch *f, porch_bytes out, porch_why *why) {
    uint64_t until_ms = porch_clock_mono_ms() + f->patience_ms;
    while (out.len > 0) {
        size_t taken = 0;
        porch_err e = porch_link_write(&f->link, out, &taken, why);
        out.at += taken;
        out.len -= taken;
        if (e == PORCH_ERR_AGAIN)
            PORCH_TRY(wait_for(f, true, until_ms, why));
        else if (e != PORCH_OK)
            return e;
    }
    return PORCH_OK;
}

static porch_err receive(porch_update_fetch *f, uint8_t *at, size_t cap, size_t *got, porch_why *why) {
    uint64_t until_ms = porch_clock_mono_ms() + f->patience_ms;
    for (;;) {
        porch_err e = porch_link_read(&f->link, at, cap, got, why);
        f->heard = f->heard || e == PORCH_OK;
        if (e != PORCH_ERR_AGAIN) return e;
        PORCH_TRY(wait_for(f, false, until_ms, why));
    }
}

/* ---- one request ---- */

static porch_err ask(porch_update_fetch *f, const char *path, uint64_t from, porch_why *why) {
    char text[REQUEST_BYTES], range[64] = "";
    if (from > 0) (void)snprintf(range, sizeof range, "Range: bytes=%llu-\r\n", (unsigned long long)from);
    bool ipv6 = strchr(f->host, ':') != NULL;
    int len = snprintf(text, sizeof text,
                       "GET %s HTTP/1.1\r\nHost: %s%s%s\r\nAccept-Encoding: identity\r\n%s\r\n", path,
                       ipv6 ? "[" : "", f->host, ipv6 ? "]" : "", range);
    if (len < 0 || (size_t)len >= sizeof text)
        return porch_fail(why, PORCH_ERR_LIMIT, "an update file's name is too long");
    return send_all(f, (porch_bytes){(const uint8_t *)text, (size_t)len}, why);
}

static porch_err read_head(porch_update_fetch *f, size_t *have, size_t *head_bytes,
                           porch_http1_headers room, porch_http1_response *r, porch_why *why) {
    const porch_http1_limits limits = {sizeof f->in, 0, HEADERS_MOST};
    porch_http1_fault fault = {0};
    size_t scanned = 0;
    *have = 0;
    for (;;) {
        size_t got = 0;
        porch_err e =
            porch_http1_head_find((porch_bytes){f->in, *have}, &limits, &scanned, head_bytes, &fault);
        if (e == PORCH_OK)
            e = porch_http1_response_read((porch_bytes){f->in, *head_bytes}, &limits, false, room, &fault,
                                          r);
        if (e == PORCH_OK && r->status >= 200) return PORCH_OK;
        if (e == PORCH_OK) { /* 1xx: what follows is the answer */
            *have -= *head_bytes;
            memmove(f->in, f->in + *head_bytes, *have);
            scanned = 0;
            continue;
        }
        if (e != PORCH_ERR_TRUNCATED || *have == sizeof f->in)
            return porch_fail(why, PORCH_ERR_MALFORMED, "the hub's answer is no HTTP: %s",
                              fault.what != NULL ? fault.what : "too long");
        PORCH_TRY(receive(f, f->in + *have, sizeof f->in - *have, &got, why));
        *have += got;
    }
}

static porch_err judge(const porch_http1_response *r, uint64_t from, const char *path, porch_why *why) {
    char wanted[40];
    if (r->status == 404) return porch_fail(why, PORCH_ERR_NOT_FOUND, "the hub has no %.160s", path);
    /* Not the same: to take a refusal for "there is no newer root" would be to believe it a statement. */
    if (r->status == 401 || r->status == 403)
        return porch_fail(why, PORCH_ERR_AUTH,
                          "the hub refuses this device's certificate for its updates (HTTP status %u)",
                          r->status);
    if (from == 0 && r->status == 200) return PORCH_OK;
    const porch_http1_header *h = porch_http1_header_find(&r->headers, "Content-Range");
    int n = snprintf(wanted, sizeof wanted, "bytes %llu-", (unsigned long long)from);
    bool right =
        h != NULL && porch_bytes_starts(h->value, (porch_bytes){(const uint8_t *)wanted, (size_t)n});
    if (r->status == 206 && right) return PORCH_OK;
    if (r->status == 200 || r->status == 206 || r->status == 416)
        return porch_fail(why, PORCH_ERR_STATE, "the hub does not give %.160s from byte %llu on", path,
                          (unsigned long long)from);
    return porch_fail(why, PORCH_ERR_IO, "the hub answered %u for %.160s", r->status, path);
}

/* The body: `have` bytes of it are in f->in already. */
static porch_err read_body(porch_update_fetch *f, const porch_http1_response *r, size_t at, size_t have,
                           porch_update_take take, void *ctx, porch_why *why) {
    porch_http1_chunk chunk = {0};
    uint64_t left = r->body_bytes;
    for (;;) {
        while (at < have) {
            porch_bytes data = {f->in + at, have - at};
            size_t used = data.len;
            if (r->body == PORCH_HTTP1_BODY_CHUNKED) {
                if (porch_http1_chunk_done(&chunk))
                    return porch_fail(why, PORCH_ERR_MALFORMED, "the hub sent more than its answer");
                PORCH_TRY(
                    porch_http1_chunk_read(&chunk, (porch_bytes){f->in + at, have - at}, &data, &used));
            } else if (r->body == PORCH_HTTP1_BODY_LENGTH) {
                if (data.len > left)
                    return porch_fail(why, PORCH_ERR_MALFORMED, "the hub sent more than its answer");
                left -= data.len;
            }
            if (data.len > 0) PORCH_TRY(take(ctx, data, why));
            at += used;
        }
        if ((r->body == PORCH_HTTP1_BODY_LENGTH && left == 0) ||
            (r->body == PORCH_HTTP1_BODY_CHUNKED && porch_http1_chunk_done(&chunk)) ||
            r->body == PORCH_HTTP1_BODY_NONE)
            return PORCH_OK;
        at = have = 0;
        PORCH_TRY(receive(f, f->in, sizeof f->in, &have, why));
    }
}

static porch_err try_get(porch_update_fetch *f, const char *path, uint64_t from, porch_update_take take,
                         void *ctx, porch_why *why) {
    porch_http1_header block[HEADERS_MOST];
    porch_http1_response r = {0};
    size_t have = 0, head = 0;
    if (f->link.state != PORCH_LINK_UP) PORCH_TRY(connect_link(f, why));
    PORCH_TRY(ask(f, path, from, why));
    PORCH_TRY(read_head(f, &have, &head, (porch_http1_headers){block, 0, HEADERS_MOST}, &r, why));
    bool keep = r.keep_alive && r.body != PORCH_HTTP1_BODY_CLOSE;
    porch_err e = judge(&r, from, path, why);
    if (e == PORCH_OK) {
        if (r.body == PORCH_HTTP1_BODY_CLOSE)
            return porch_fail(why, PORCH_ERR_MALFORMED, "the hub does not say how long its answer is");
        e = read_body(f, &r, head, have, take, ctx, why);
    } else {
        keep = false; /* what an error's page says is of no use here */
    }
    if (e != PORCH_OK || !keep) porch_link_close(&f->link);
    return e;
}

porch_err porch_update_fetch_get(porch_update_fetch *f, const char *path, uint64_t from,
                                 porch_update_take take, void *ctx, porch_why *why) {
    bool kept = f->link.state == PORCH_LINK_UP;
    f->heard = false;
    porch_err e = try_get(f, path, from, take, ctx, why);
    /* A kept connection that the hub had closed meanwhile: nothing of an answer came, so once more on a new
     * one. */
    if (kept && !f->heard && (e == PORCH_ERR_CLOSED || e == PORCH_ERR_IO)) {
        porch_link_close(&f->link);
        e = try_get(f, path, from, take, ctx, why);
    }
    if (e != PORCH_OK) porch_link_close(&f->link);
    return e;
}
