/* Clips: the product's side (begin, append, finish) and the SDK thread's (two connections that send them).
 */
#include "device/port/linux/device_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { TOO_MANY = 429 };

struct porch_clip {
    porch_device *device;
    porch_stored_clip *stored;
};

/* --- the product's side --- */

static void on_dropped(void *ctx, const porch_stored_clip *clip) {
    porch_device *d = ctx;
    porch_device_tell(d, &(porch_device_status){.news = PORCH_DEVICE_CLIP_DROPPED,
                                                .name = clip->event.text,
                                                .bytes = clip->visible,
                                                .text = "the disk share for clips was full; it made room"});
}

porch_clip *porch_clip_begin(porch_device *d, const porch_event_id *event, porch_device_why *why) {
    porch_id id;
    porch_why inner = {{0}};
    if (porch_device_is_service(d) || porch_id_parse(porch_bytes_of(event->text), &id) != PORCH_OK) {
        (void)porch_device_say(why, PORCH_ERR_USAGE,
                               "a clip needs a device and an event id of porch_event_id_new");
        return NULL;
    }
    porch_clip *clip = malloc(sizeof *clip);
    if (!clip) {
        (void)porch_device_say(why, PORCH_ERR_NO_SPACE, "out of memory");
        return NULL;
    }
    clip->device = d;
    (void)pthread_mutex_lock(&d->lock);
    porch_err e = porch_clip_store_begin(&d->clips, &id, on_dropped, d, &clip->stored, &inner);
    (void)pthread_mutex_unlock(&d->lock);
    if (e != PORCH_OK) {
        (void)porch_device_fail(why, e, &inner);
        free(clip);
        return NULL;
    }
    return clip;
}

porch_device_result porch_clip_append(porch_clip *clip, const void *at, size_t len, porch_device_why *why) {
    porch_device *d = clip->device;
    porch_stored_clip *stored = clip->stored;
    porch_why inner = {{0}};
    (void)pthread_mutex_lock(&d->lock);
    bool open = !stored->ended && !stored->dropped;
    porch_err e = open ? porch_clip_store_reserve(&d->clips, len, on_dropped, d) : PORCH_ERR_STATE;
    (void)pthread_mutex_unlock(&d->lock);
    if (e == PORCH_ERR_STATE)
        return porch_device_say(
            why, e, "the clip was given up after an earlier failure; finish it and begin another");
    if (e != PORCH_OK)
        return porch_device_say(why, e, "the disk share for clips is full of clips that are recorded now");

    e = porch_stored_clip_write(stored, (porch_bytes){at, len}, &inner);

    (void)pthread_mutex_lock(&d->lock);
    if (e == PORCH_OK) {
        stored->visible += len;
    } else {
        d->clips.total_bytes -= len;
        porch_clip_store_end(&d->clips, stored);
    }
    (void)pthread_mutex_unlock(&d->lock);
    porch_device_wake(d);
    return e == PORCH_OK ? PORCH_DEVICE_OK : porch_device_fail(why, e, &inner);
}

porch_device_result porch_clip_finish(porch_clip *clip, uint64_t *ret_bytes, char *ret_sha256,
                                      porch_device_why *why) {
    porch_device *d = clip->device;
    porch_stored_clip *stored = clip->stored;
    (void)pthread_mutex_lock(&d->lock);
    porch_clip_store_end(&d->clips, stored);
    stored->recording = false;
    uint64_t bytes = stored->visible;
    bool dropped = stored->dropped;
    if (ret_sha256) {
        porch_buf out = {(uint8_t *)ret_sha256, 0, 64};
        (void)porch_hex_write(&out, (porch_bytes){stored->sha256, sizeof stored->sha256});
        ret_sha256[out.len] = 0;
    }
    if (bytes == 0 || dropped) porch_clip_store_remove(&d->clips, stored);
    (void)pthread_mutex_unlock(&d->lock);
    porch_device_wake(d);
    free(clip);
    if (ret_bytes) *ret_bytes = bytes;
    if (bytes == 0 || dropped)
        return porch_device_say(why, PORCH_ERR_STATE, "the clip holds nothing to send");
    return PORCH_DEVICE_OK;
}

/* --- the SDK thread's side --- */

void porch_device_upload_init(porch_device *d) {
    for (size_t i = 0; i < UPLOADS; i++) {
        upload_side *u = &d->upload[i];
        u->role = (upload_role)i;
        porch_link_init(&u->link, d->trust.tls, &d->known);
        u->backoff = porch_backoff_of(BACK_OFF_FIRST_MS, d->options.back_off_most_ms);
    }
}

void porch_device_upload_hurry(porch_device *d, uint64_t now_ms) {
    for (size_t i = 0; i < UPLOADS; i++)
        if (d->upload[i].next_ms > now_ms) d->upload[i].next_ms = now_ms;
}

void porch_device_upload_again(porch_device *d) {
    for (size_t i = 0; i < UPLOADS; i++) {
        upload_side *u = &d->upload[i];
        porch_link_close(&u->link);
        if (u->clip) porch_upload_broken(&u->engine);
        porch_link_use(&u->link, d->trust.tls);
        u->reused = false;
        u->up_since_ms = 0;
    }
}

static porch_stored_clip *find_clip(const porch_device *d, upload_role role, bool only_begun) {
    for (porch_stored_clip *c = d->clips.first; c; c = c->next)
        if (!c->dropped && !c->uploading && c->visible > 0 && c->ended == (role == UPLOAD_BACKLOG) &&
            (c->begun || !only_begun))
            return c;
    return NULL;
}

/* The live side takes the clip that grows, the other the oldest that has ended. Where the hub has no place
 * for another, the oldest of those that it has begun: finishing one is what makes a place. Without any the
 * oldest asks again, since places come free by themselves as well. Under the lock. */
static porch_stored_clip *choose(const porch_device *d, const upload_side *u) {
    porch_stored_clip *begun = u->crowded ? find_clip(d, u->role, true) : NULL;
    return begun ? begun : find_clip(d, u->role, false);
}

static void begin_clip(porch_device *d, upload_side *u, porch_stored_clip *clip) {
    const porch_upload_config config = {.host = d->conf.host, .event = clip->event, .answer_ms = ANSWER_MS};
    clip->uploading = true;
    u->clip = clip;
    /* Without a location: beginning again is harmless, and the hub names the same one. */
    (void)porch_upload_init(&u->engine, &config, (porch_bytes){0}, PORCH_BUF_OF(u->in),
                            PORCH_BUF_OF(u->out));
}

static void release_clip(porch_device *d, upload_side *u, bool remove) {
    porch_stored_clip *clip = u->clip;
    u->clip = NULL;
    clip->uploading = false;
    if (remove)
        porch_clip_store_remove(&d->clips, clip);
    else
        porch_clip_store_let_go(&d->clips, clip);
}

/* Takes a clip when there is none, and tells the engine how far the clip has come. False: nothing to do. */
static bool follow_clip(porch_device *d, upload_side *u, uint64_t now_ms) {
    (void)pthread_mutex_lock(&d->lock);
    if (u->clip && u->clip->dropped) {
        release_clip(d, u, false);
        porch_link_close(&u->link);
    }
    /* A clip that ended while its connection was away is the backlog's: the live side stays free. */
    if (u->clip && u->role == UPLOAD_LIVE && u->clip->ended && u->engine.phase == PORCH_UPLOAD_APART)
        release_clip(d, u, false);
    if (!u->clip) {
        porch_stored_clip *clip = choose(d, u);
        if (clip) begin_clip(d, u, clip);
    }
    if (u->clip) {
        porch_upload_grown(&u->engine, u->clip->visible, now_ms);
        if (u->clip->ended) porch_upload_ended(&u->engine, u->clip->sha256, now_ms);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return u->clip != NULL;
}

static void tell_about(porch_device *d, const upload_side *u, porch_device_news news, const char *text,
                       int code, uint64_t next_ms) {
    char sha256[65] = "";
    porch_buf hex = {(uint8_t *)sha256, 0, 64};
    (void)pthread_mutex_lock(&d->lock);
    if (u->clip->ended) (void)porch_hex_write(&hex, (porch_bytes){u->clip->sha256, sizeof u->clip->sha256});
    porch_device_tell(d, &(porch_device_status){.news = news,
                                                .name = u->clip->event.text,
                                                .bytes = u->clip->visible,
                                                .sha256 = sha256,
                                                .code = code,
                                                .next_ms = next_ms,
                                                .text = text});
    (void)pthread_mutex_unlock(&d->lock);
}

static void down(porch_device *d, upload_side *u, uint64_t now_ms, const char *text, int code,
                 uint64_t wait_ms) {
    porch_link_close(&u->link);
    porch_upload_broken(&u->engine);
    bool stale = u->reused; /* an idle connection that the hub had closed meanwhile: dial again at once */
    u->reused = false;
    if (u->up_since_ms != 0 && now_ms - u->up_since_ms >= LASTED_MS) porch_backoff_reset(&u->backoff);
    u->up_since_ms = 0;
    uint64_t pause = stale ? 0 : porch_backoff_next(&u->backoff, porch_device_random32());
    if (wait_ms > pause) pause = wait_ms;
    u->next_ms = now_ms + pause;
    if (u->clip && !stale) tell_about(d, u, PORCH_DEVICE_CLIP_DELAYED, text, code, pause);
}

static void mark_begun(porch_device *d, upload_side *u) {
    (void)pthread_mutex_lock(&d->lock);
    u->clip->begun = true;
    (void)pthread_mutex_unlock(&d->lock);
    u->crowded = false;
}

/* The hub has as many unfinished clips of this device as it takes: another one that it has begun goes on in
 * this one's place. Which those are is not kept across restarts: a clip of an earlier run counts as begun
 * until the hub has said that it is not, for which each is asked about once. */
static void no_place(porch_device *d, upload_side *u, uint64_t now_ms, const char *text, uint64_t wait_ms) {
    (void)pthread_mutex_lock(&d->lock);
    u->clip->begun = false;
    bool another = find_clip(d, u->role, true) != NULL;
    (void)pthread_mutex_unlock(&d->lock);
    u->crowded = true;
    /* The pauses grow for a hub that cannot; this one can, if asked for the right clip. */
    if (another) porch_backoff_reset(&u->backoff);
    down(d, u, now_ms, text, TOO_MANY, wait_ms);
    (void)pthread_mutex_lock(&d->lock);
    release_clip(d, u, false);
    (void)pthread_mutex_unlock(&d->lock);
    porch_device_wake(d); /* to choose; the pause holds */
}

/* The engine has spoken. False: the connection is gone or the clip is settled. */
static bool handle_events(porch_device *d, upload_side *u, uint64_t now_ms) {
    porch_upload_event e;
    while (u->clip && porch_upload_next(&u->engine, &e)) {
        char text[TEXT_BYTES] = "";
        size_t n = e.text.len < sizeof text - 1 ? e.text.len : sizeof text - 1;
        if (n > 0) memcpy(text, e.text.at, n);
        switch (e.kind) {
        case PORCH_UPLOAD_LOCATED:
            mark_begun(d, u);
            break;
        case PORCH_UPLOAD_STARTED:
            tell_about(d, u, PORCH_DEVICE_CLIP_STARTED, "", 0, 0);
            break;
        case PORCH_UPLOAD_LATER:
            u->reused = false;
            if (e.status == TOO_MANY && !porch_upload_begun(&u->engine))
                no_place(d, u, now_ms, text, e.wait_ms);
            else
                down(d, u, now_ms, text, e.status, e.wait_ms);
            return false;
        case PORCH_UPLOAD_COMPLETE:
        case PORCH_UPLOAD_REFUSED: {
            bool complete = e.kind == PORCH_UPLOAD_COMPLETE;
            tell_about(d, u, complete ? PORCH_DEVICE_CLIP_COMPLETE : PORCH_DEVICE_CLIP_REFUSED, text,
                       e.status, 0);
            u->reused = porch_upload_connection_reusable(&u->engine);
            if (!u->reused) porch_link_close(&u->link);
            porch_backoff_reset(&u->backoff);
            (void)pthread_mutex_lock(&d->lock);
            release_clip(d, u, true);
            (void)pthread_cond_broadcast(&d->changed);
            (void)pthread_mutex_unlock(&d->lock);
            return false;
        }
        }
    }
    return true;
}

static bool read_in(porch_device *d, upload_side *u, uint64_t now_ms) {
    size_t got = 0;
    porch_why why = {{0}};
    porch_err e = porch_link_read(&u->link, d->piece, sizeof d->piece, &got, &why);
    if (e == PORCH_ERR_AGAIN) return false;
    if (e == PORCH_OK && u->clip) {
        u->reused = false; /* it lives */
        porch_upload_take(&u->engine, (porch_bytes){d->piece, got}, now_ms);
        return true;
    }
    if (u->clip)
        down(d, u, now_ms, porch_why_text(&why, e), 0, 0);
    else
        porch_link_close(&u->link); /* idle: closed by the hub, or bytes that nobody asked for */
    return false;
}

/* From the file into the engine, from the engine onto the wire, until one of them has enough. */
static void write_out(porch_device *d, upload_side *u, uint64_t now_ms) {
    for (;;) {
        uint64_t offset = 0;
        size_t want = porch_upload_wants(&u->engine, &offset);
        if (want > sizeof d->piece) want = sizeof d->piece;
        if (want > 0) {
            if (porch_stored_clip_read(u->clip, offset, d->piece, want) != PORCH_OK) {
                tell_about(d, u, PORCH_DEVICE_CLIP_REFUSED, "the clip's file cannot be read", 0, 0);
                porch_link_close(&u->link);
                (void)pthread_mutex_lock(&d->lock);
                release_clip(d, u, true);
                (void)pthread_mutex_unlock(&d->lock);
                return;
            }
            porch_upload_give(&u->engine, (porch_bytes){d->piece, want}, now_ms);
        }
        porch_bytes out = porch_upload_output(&u->engine);
        if (out.len == 0) return;
        size_t taken = 0;
        porch_why why = {{0}};
        porch_err e = porch_link_write(&u->link, out, &taken, &why);
        porch_upload_sent(&u->engine, taken, now_ms);
        if (e == PORCH_ERR_AGAIN) return;
        if (e != PORCH_OK) {
            down(d, u, now_ms, porch_why_text(&why, e), 0, 0);
            return;
        }
    }
}

static void connect_side(porch_device *d, upload_side *u, uint64_t now_ms) {
    porch_why why = {{0}};
    porch_err e = PORCH_ERR_AGAIN;
    if (u->link.state == PORCH_LINK_IDLE && now_ms >= u->next_ms) {
        e = porch_link_open(&u->link, d->conf.host, d->conf.device_port, now_ms, PATIENCE_MS, &why);
        if (e == PORCH_OK) e = PORCH_ERR_AGAIN;
        u->up_since_ms = 0;
    }
    if (e == PORCH_ERR_AGAIN && porch_link_connects(&u->link))
        e = porch_link_advance(&u->link, now_ms, &why);
    if (e == PORCH_OK && u->link.state == PORCH_LINK_UP) u->up_since_ms = now_ms;
    if (e != PORCH_OK && e != PORCH_ERR_AGAIN) down(d, u, now_ms, porch_why_text(&why, e), 0, 0);
}

void porch_device_upload_step(porch_device *d, upload_side *u, uint64_t now_ms) {
    if (!follow_clip(d, u, now_ms)) {
        if (u->link.state == PORCH_LINK_UP) (void)read_in(d, u, now_ms);
        /* Nobody would go on with it, and its socket would wake the thread for ever. */
        if (u->link.state != PORCH_LINK_UP) porch_link_close(&u->link);
        return;
    }
    connect_side(d, u, now_ms);
    if (u->link.state != PORCH_LINK_UP) return;
    if (u->engine.phase == PORCH_UPLOAD_APART) porch_upload_connected(&u->engine, now_ms);
    bool more = true;
    while (more && u->clip && u->link.state == PORCH_LINK_UP) {
        write_out(d, u, now_ms);
        if (u->clip) more = read_in(d, u, now_ms);
        if (u->clip) porch_upload_tick(&u->engine, now_ms);
        if (!handle_events(d, u, now_ms)) break;
    }
    if (!u->clip && u->link.state == PORCH_LINK_UP)
        porch_device_wake(d); /* the next one may wait already */
}

uint64_t porch_device_upload_deadline(const upload_side *u) {
    if (u->link.state == PORCH_LINK_UP && porch_tls_pending(u->link.conn)) return 0;
    if (!u->clip) return UINT64_MAX;
    if (u->link.state == PORCH_LINK_IDLE) return u->next_ms;
    if (u->link.state != PORCH_LINK_UP) return u->link.give_up_ms;
    return porch_upload_deadline(&u->engine);
}

bool porch_device_upload_output_waits(const upload_side *u) {
    return u->clip && u->link.state == PORCH_LINK_UP && porch_upload_output(&u->engine).len > 0;
}

void porch_device_upload_stop(porch_device *d) {
    for (size_t i = 0; i < UPLOADS; i++) {
        upload_side *u = &d->upload[i];
        porch_link_close(&u->link);
        (void)pthread_mutex_lock(&d->lock);
        if (u->clip) release_clip(d, u, false);
        (void)pthread_mutex_unlock(&d->lock);
    }
}
