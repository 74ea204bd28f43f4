/* One clip on its way in: begun, appended to in pieces over any number of requests, finished. The file
 * itself says what is durable; the database learns of a clip when it begins and when it is complete, and of
 * nothing in between. What is unfinished at all stands in media_parts.h.
 *
 * upload.lock guards one file and is held over disk work. Never take the lock of the parts and then wait
 * for an upload.lock. */
#include "cloud/media/media_upload.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/media/media_file.h"
#include "cloud/media/media_parts.h"
#include "cloud/media/media_room.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "os/clock.h"
#include "os/log.h"

enum { IDLE_MS = 60000 };

struct porch_media_upload {
    porch_media *media;
    media_part *part; /* NULL once the clip is no longer this handle's */
    unsigned refs;    /* under uploads.lock */
    pthread_mutex_t lock;
    bool dead; /* taken over, finished or failed */
    char path[PATH_MAX];
    char id[PORCH_MEDIA_UID];
    uint8_t key[32];
    porch_media_file *file;
    porch_sha256_state *hash;
    media_feed *feed;
    uint64_t durable;
};

/* ---- begin ---- */

typedef struct {
    porch_media *media;
    const porch_media_owner *owner;
    char event[PORCH_MEDIA_UID];
    char clip[PORCH_MEDIA_UID];
    uint64_t now_ms;
    bool known;
} begin;

static porch_err find_clip(porch_db *db, void *ctx, porch_why *why) {
    begin *b = ctx;
    bool gone = false;
    PORCH_TRY(porch_media_is_deleted(db, b->event, &gone, why));
    if (gone)
        return porch_fail(why, PORCH_ERR_REVOKED,
                          "a person has deleted this event; its clip is not wanted");
    porch_db_query *q = porch_db_prepare(db, "select id from clip where event = ?1", why);
    porch_db_bind_str(q, 1, b->event);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) b->known = porch_bytes_to_text(porch_db_text(q, 0), b->clip, sizeof b->clip);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

/* A request may have waited behind the end of the household that it came from. */
static porch_err check_owner(const begin *b, porch_why *why) {
    const porch_media_config *c = &b->media->config;
    porch_media_owner now;
    if (c->owner_of(c->owner_ctx, b->owner->device, &now) == PORCH_OK &&
        strcmp(now.household, b->owner->household) == 0)
        return PORCH_OK;
    return porch_fail(why, PORCH_ERR_DENIED, "device %s is no longer of household %s", b->owner->device,
                      b->owner->household);
}

static porch_err insert_clip(porch_db *db, void *ctx, porch_why *why) {
    begin *b = ctx;
    PORCH_TRY(find_clip(db, b, why)); /* two requests may have raced to here */
    if (b->known) return PORCH_OK;
    PORCH_TRY(check_owner(b, why));
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into clip (id, event, device, product, household, "
                                         "created_ms) values (?1, ?2, ?3, ?4, ?5, ?6)",
                                         why);
    porch_db_bind_str(q, 1, b->clip);
    porch_db_bind_str(q, 2, b->event);
    porch_db_bind_str(q, 3, b->owner->device);
    porch_db_bind_str(q, 4, b->owner->product);
    porch_db_bind_str(q, 5, b->owner->household);
    porch_db_bind_i64(q, 6, (int64_t)b->now_ms);
    return porch_db_execute(q, why);
}

/* Out of the list, so that nobody goes on with it meanwhile, then its row and files. */
static porch_err give_up_part(porch_media *m, const media_part *gone, porch_why *why) {
    porch_media_feed_forget(m, gone->id);
    porch_err e = porch_media_give_up(m, gone->id, why);
    if (e != PORCH_OK) porch_media_part_put_back(m, gone);
    return e;
}

/* That of the device which nobody has sent for a while and that was used longest ago: not one that is
 * between two requests. False: there is none. */
static bool take_idle(media_uploads *all, const char *device, media_part *gone) {
    const uint64_t now_ms = porch_clock_mono_ms();
    porch_media_uploads_lock(all);
    media_part *oldest = NULL;
    for (media_part *p = all->parts; p != NULL; p = p->next) {
        bool old = p->used_mono_ms == 0 || now_ms - p->used_mono_ms >= IDLE_MS;
        bool idle = old && p->begun && p->active == NULL && strcmp(p->owner.device, device) == 0;
        if (idle && (oldest == NULL || p->used < oldest->used)) oldest = p;
    }
    if (oldest != NULL) porch_media_part_take(all, oldest, gone);
    porch_media_uploads_unlock(all);
    return oldest != NULL;
}

/* Takes a place for one more, if the household and the device may begin it: looking and taking are one
 * step, since requests come side by side. BUSY: the device has as many unfinished ones as it may. */
static porch_err admit(porch_media *m, const begin *b, porch_why *why) {
    const porch_settings *s = m->config.settings;
    const porch_media_owner *owner = b->owner;
    uint32_t unfinished = 0;
    bool taken = false;
    porch_media_uploads_lock(m->uploads);
    uint64_t used = porch_media_household_bytes(m->uploads, owner->household);
    for (const media_part *p = m->uploads->parts; p != NULL; p = p->next) {
        if (strcmp(p->owner.device, owner->device) == 0) unfinished++;
    }
    bool room = used < s->media_household_bytes && unfinished < s->media_uploads_per_device;
    if (room) taken = porch_media_part_add(m->uploads, b->clip, b->event, owner, b->now_ms) != NULL;
    porch_media_uploads_unlock(m->uploads);
    if (room && !taken) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for an upload");
    if (used >= s->media_household_bytes) {
        return porch_fail(
            why, PORCH_ERR_FULL,
            "household %s has used its quota of clips (media.household_bytes); old ones end by "
            "media.keep_days",
            owner->household);
    }
    if (unfinished >= s->media_uploads_per_device) {
        return porch_fail(why, PORCH_ERR_BUSY,
                          "device %s is sending %u clips already (media.uploads_per_device); finish one "
                          "first",
                          owner->device, unfinished);
    }
    return PORCH_OK;
}

/* A device that lost its way with a clip (its disk was full, its link broke, it was restored) never comes
 * back to it: such clips must not lock it out until their time is over. */
static porch_err admit_for_idle(porch_media *m, const begin *b, porch_why *why) {
    media_part idle;
    porch_err e;
    PORCH_TRY(porch_media_disk_has(m, 0, why));
    while ((e = admit(m, b, why)) == PORCH_ERR_BUSY && take_idle(m->uploads, b->owner->device, &idle)) {
        PORCH_TRY(give_up_part(m, &idle, why));
        porch_log(PORCH_LOG_INFO, "clip.given_up", "clip", idle.id, "device", b->owner->device, "reason",
                  "the device began another, and has as many unfinished ones as it may", NULL);
    }
    return e;
}

/* Not begun, or begun by another request: then the place is free again. */
static void settle_place(media_uploads *all, const char *place, bool begun) {
    porch_media_uploads_lock(all);
    media_part *p = porch_media_part_find(all, place);
    if (p != NULL && begun) p->begun = true;
    if (p != NULL && !begun) porch_media_part_drop(all, p);
    porch_media_uploads_unlock(all);
}

porch_err porch_media_upload_begin(porch_media *m, const porch_media_owner *owner, const char *device_event,
                                   uint64_t now_ms, char clip[PORCH_MEDIA_UID], bool *made,
                                   porch_why *why) {
    begin b = {.media = m, .owner = owner, .now_ms = now_ms};
    porch_media_event_uid(owner->device, porch_bytes_of(device_event), b.event);
    PORCH_TRY(porch_store_read(m->config.store, find_clip, &b, why));
    *made = !b.known;
    if (!b.known) {
        char place[PORCH_MEDIA_UID];
        porch_random_id(b.clip);
        memcpy(place, b.clip, sizeof place);
        PORCH_TRY(
            porch_media_keep_make_room(m, owner->household, m->config.settings->media_clip_bytes, why));
        PORCH_TRY(admit_for_idle(m, &b, why));
        porch_err e = porch_store_write(m->config.store, insert_clip, &b, why);
        *made = !b.known;
        settle_place(m->uploads, place, e == PORCH_OK && !b.known);
        PORCH_TRY(e);
    }
    memcpy(clip, b.clip, sizeof b.clip);
    return PORCH_OK;
}

void porch_media_upload_lose_part(porch_media_upload *u) {
    u->part = NULL;
}

/* ---- open ---- */

static porch_err row_of(porch_media *m, const char *device, const char *clip, porch_media_clip_info *info,
                        porch_why *why) {
    if (!porch_media_uid_good(clip)) return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no such clip");
    PORCH_TRY(porch_media_clip_get(m, clip, info, why));
    if (strcmp(info->owner.device, device) != 0) {
        return porch_fail(why, PORCH_ERR_DENIED, "the clip is not of device %s", device);
    }
    return PORCH_OK;
}

static void free_upload(porch_media_upload *u) {
    porch_media_file_close(u->file);
    porch_sha256_free(u->hash);
    (void)pthread_mutex_destroy(&u->lock);
    porch_wipe(u->key, sizeof u->key);
    free(u);
}

static void let_go(porch_media_upload *u) {
    media_uploads *all = u->media->uploads;
    porch_media_uploads_lock(all);
    bool last = --u->refs == 0;
    if (u->part != NULL && u->part->active == u && last) {
        u->part->active = NULL;
        porch_media_part_use(all, u->part);
    }
    porch_media_uploads_unlock(all);
    if (last) free_upload(u);
}

/* So much is durable; whoever asks while nobody appends need not read the file for it. */
static void set_durable(porch_media_upload *u, uint64_t bytes) {
    u->durable = bytes;
    porch_media_uploads_lock(u->media->uploads);
    if (u->part != NULL) {
        u->part->durable = bytes;
        u->part->known = true;
    }
    porch_media_uploads_unlock(u->media->uploads);
}

/* The disk failed: whoever asks finds the end by reading the file. */
static void end_unknown(porch_media_upload *u) {
    porch_media_uploads_lock(u->media->uploads);
    if (u->part != NULL) u->part->known = false;
    porch_media_uploads_unlock(u->media->uploads);
}

/* Makes durable what there is. Called with u->lock held. */
static porch_err sync_upload(porch_media_upload *u, porch_why *why) {
    if (u->file == NULL) return PORCH_ERR_STATE;
    porch_err e = porch_media_file_sync(u->file, why);
    if (e == PORCH_OK)
        set_durable(u, porch_media_file_bytes(u->file));
    else
        end_unknown(u);
    return e;
}

/* Called with u->lock held: the handle answers CLOSED from now on, its file is shut. */
static void retire(porch_media_upload *u) {
    u->dead = true;
    porch_media_feed_pause(u->feed);
    u->feed = NULL;
    porch_media_file_close(u->file);
    u->file = NULL;
}

static bool still_mine(porch_media_upload *u) {
    porch_media_uploads_lock(u->media->uploads);
    bool mine = u->part != NULL;
    porch_media_uploads_unlock(u->media->uploads);
    return mine;
}

/* Puts a new handle, locked, in the place of whoever appends to the clip now. */
static porch_err take_place(porch_media *m, const porch_media_clip_info *info, porch_media_upload **ret,
                            porch_why *why) {
    media_uploads *all = m->uploads;
    porch_media_upload *u = calloc(1, sizeof *u), *old = NULL;
    if (u == NULL) return PORCH_ERR_NO_SPACE;
    u->media = m;
    u->refs = 1;
    (void)pthread_mutex_init(&u->lock, NULL);
    (void)pthread_mutex_lock(&u->lock);
    memcpy(u->id, info->id, sizeof u->id);
    porch_media_clip_path(m, u->id, false, u->path);
    porch_media_uploads_lock(all);
    media_part *p = porch_media_part_find(all, info->id);
    if (p != NULL) {
        old = p->active;
        if (old != NULL) {
            old->refs++;
            old->part = NULL;
        }
        u->part = p;
        p->active = u;
        porch_media_part_use(all, p);
    }
    porch_media_uploads_unlock(all);
    if (p == NULL) { /* it was completed or given up since the row was read */
        (void)pthread_mutex_unlock(&u->lock);
        free_upload(u);
        (void)porch_fail(why, PORCH_ERR_NOT_FOUND, "the clip is no longer being uploaded");
        return PORCH_ERR_NOT_FOUND;
    }
    if (old != NULL) {
        (void)pthread_mutex_lock(&old->lock);
        if (!old->dead && sync_upload(old, NULL) == PORCH_OK) set_durable(u, old->durable);
        retire(old);
        (void)pthread_mutex_unlock(&old->lock);
        let_go(old);
    }
    if (!still_mine(u)) { /* whoever was waited for has completed it: its file must not be touched again */
        u->dead = true;
        (void)pthread_mutex_unlock(&u->lock);
        let_go(u);
        return porch_fail(why, PORCH_ERR_CLOSED, "another request goes on with this clip");
    }
    *ret = u;
    return PORCH_OK;
}

typedef struct {
    porch_media_upload *upload;
    uint64_t at;
} refill;

static void take_stored(porch_bytes plain, void *ctx) {
    refill *r = ctx;
    porch_sha256_update(r->upload->hash, plain);
    porch_media_feed_bytes(r->upload->feed, r->at, plain);
    r->at += plain.len;
}

static bool known_durable(porch_media_upload *u, uint64_t *bytes) {
    porch_media_uploads_lock(u->media->uploads);
    bool known = u->part != NULL && u->part->known;
    if (known) *bytes = u->part->durable;
    porch_media_uploads_unlock(u->media->uploads);
    return known;
}

static porch_err load(porch_media_upload *u, const porch_media_clip_info *info, porch_why *why) {
    refill r = {u, 0};
    uint64_t durable = 0;
    u->hash = porch_sha256_new();
    PORCH_TRY(porch_signer_clip_key(u->media->config.signer, u->id, u->key, why));
    u->feed = porch_media_feed_open(u->media, info);
    porch_err e = porch_media_file_resume(u->path, u->id, u->key, take_stored, &r, &u->file, why);
    /* Nothing durable yet: no file, or one whose header was torn by a power cut. */
    if (e == PORCH_ERR_NOT_FOUND || e == PORCH_ERR_SIGNATURE) {
        porch_media_file_drop_tail(u->path);
        PORCH_TRY(
            porch_media_file_create(u->path, PORCH_MEDIA_FILE_ORIGINAL, u->id, u->key, &u->file, why));
        set_durable(u, 0);
        return PORCH_OK;
    }
    PORCH_TRY(e);
    if (known_durable(u, &durable)) porch_media_file_sure(u->file, durable);
    /* What is read may be in memory alone: a hub that was killed has left it to the system. */
    return sync_upload(u, why);
}

static void set_bytes(porch_media_upload *u) {
    media_uploads *all = u->media->uploads;
    porch_media_uploads_lock(all);
    if (u->part != NULL) u->part->bytes = u->file != NULL ? porch_media_file_bytes(u->file) : 0;
    porch_media_uploads_unlock(all);
}

/* What could not be opened counts with what it has on the disk. */
static void count_file(porch_media_upload *u) {
    uint64_t bytes = porch_media_file_size(u->path);
    porch_media_uploads_lock(u->media->uploads);
    if (u->part != NULL) u->part->bytes = bytes;
    porch_media_uploads_unlock(u->media->uploads);
}

/* True when the durable end is known and nobody appends behind it. */
static bool known_end(porch_media *m, const char *clip, uint64_t *end) {
    porch_media_uploads_lock(m->uploads);
    const media_part *p = porch_media_part_find(m->uploads, clip);
    bool known = p != NULL && p->active == NULL && p->known;
    if (known) *end = p->durable;
    porch_media_uploads_unlock(m->uploads);
    return known;
}

static porch_err wrong_offset(uint64_t offset, uint64_t end, porch_why *why) {
    return porch_fail(why, PORCH_ERR_STATE, "offset %llu is wrong: the clip goes on at offset %llu",
                      (unsigned long long)offset, (unsigned long long)end);
}

porch_err porch_media_upload_open(porch_media *m, const char *device, const char *clip, uint64_t offset,
                                  porch_media_upload **ret, uint64_t *at, porch_why *why) {
    porch_media_clip_info info = {0};
    porch_media_upload *u = NULL;
    PORCH_TRY(row_of(m, device, clip, &info, why));
    if (info.state == PORCH_MEDIA_CLIP_COMPLETE) {
        *at = info.bytes;
        return porch_fail(why, PORCH_ERR_STATE, "the clip is complete at offset %llu",
                          (unsigned long long)info.bytes);
    }
    uint64_t end;
    if (known_end(m, clip, &end) && offset != end) {
        *at = end;
        return wrong_offset(offset, end, why);
    }
    porch_err e = take_place(m, &info, &u, why);
    if (u == NULL) {
        /* It may have been completed since the row was read: then that is the answer. */
        PORCH_TRY(row_of(m, device, clip, &info, NULL));
        if (info.state != PORCH_MEDIA_CLIP_COMPLETE) return e;
        *at = info.bytes;
        return porch_fail(why, PORCH_ERR_STATE, "the clip is complete at offset %llu",
                          (unsigned long long)info.bytes);
    }
    e = load(u, &info, why);
    if (e == PORCH_OK) {
        set_bytes(u);
        *at = u->durable;
        if (offset != u->durable) e = wrong_offset(offset, u->durable, why);
    } else {
        count_file(u);
    }
    if (e != PORCH_OK) retire(u);
    (void)pthread_mutex_unlock(&u->lock);
    if (e != PORCH_OK) {
        let_go(u);
        return e;
    }
    *ret = u;
    return PORCH_OK;
}

porch_err porch_media_upload_status(porch_media *m, const char *device, const char *clip,
                                    porch_media_upload_info *ret, porch_why *why) {
    porch_media_clip_info info = {0};
    PORCH_TRY(row_of(m, device, clip, &info, why));
    ret->most_bytes = m->config.settings->media_clip_bytes;
    ret->complete = info.state == PORCH_MEDIA_CLIP_COMPLETE;
    ret->offset = info.bytes;
    if (ret->complete) return PORCH_OK;

    porch_media_uploads_lock(m->uploads);
    media_part *p = porch_media_part_find(m->uploads, clip);
    porch_media_upload *u = p != NULL ? p->active : NULL;
    if (u != NULL) u->refs++;
    porch_media_uploads_unlock(m->uploads);
    if (u != NULL) {
        porch_err e = PORCH_ERR_CLOSED;
        (void)pthread_mutex_lock(&u->lock);
        if (!u->dead) e = sync_upload(u, why);
        ret->offset = u->durable;
        (void)pthread_mutex_unlock(&u->lock);
        let_go(u);
        if (e != PORCH_ERR_CLOSED) return e;
    }
    /* Nobody appends: what the disk holds, found by opening it once. */
    if (known_end(m, clip, &ret->offset)) return PORCH_OK;
    uint64_t at = 0;
    u = NULL;
    porch_err e = porch_media_upload_open(m, device, clip, UINT64_MAX, &u, &at, why);
    porch_media_upload_close(u);
    ret->offset = at;
    if (e != PORCH_ERR_STATE) return e;
    PORCH_TRY(row_of(m, device, clip, &info, why)); /* it may have been completed meanwhile */
    ret->complete = info.state == PORCH_MEDIA_CLIP_COMPLETE;
    if (ret->complete) ret->offset = info.bytes;
    return PORCH_OK;
}

/* ---- append, pause, finish ---- */

static porch_err check_room(porch_media_upload *u, size_t more, porch_why *why) {
    const porch_settings *s = u->media->config.settings;
    media_uploads *all = u->media->uploads;
    uint64_t most = s->media_clip_bytes, now = porch_media_file_bytes(u->file);
    if (now > most || more > most - now) {
        return porch_fail(why, PORCH_ERR_LIMIT,
                          "the clip passes the limit of %llu bytes (media.clip_bytes)",
                          (unsigned long long)most);
    }
    PORCH_TRY(porch_media_disk_has(u->media, more, why));
    porch_err e = PORCH_OK;
    porch_media_uploads_lock(all);
    if (u->part == NULL) {
        e = porch_fail(why, PORCH_ERR_CLOSED, "another request goes on with this clip");
    } else if (porch_media_household_bytes(all, u->part->owner.household) + more >
               s->media_household_bytes) {
        e = porch_fail(why, PORCH_ERR_FULL,
                       "household %s has used its quota of clips (media.household_bytes)",
                       u->part->owner.household);
    } else {
        u->part->bytes += more;
        if (now == 0 && more > 0 && u->part->first_byte_ms == 0) {
            u->part->first_byte_ms = porch_clock_ms();
        }
    }
    porch_media_uploads_unlock(all);
    return e;
}

/* Clips side by side may pass the quota together although each had room when it began. */
static porch_err find_room(porch_media_upload *u, size_t more, porch_why *why) {
    media_uploads *all = u->media->uploads;
    char name[65] = "";
    porch_err e = check_room(u, more, why);
    if (e != PORCH_ERR_FULL) return e;
    porch_media_uploads_lock(all);
    if (u->part != NULL) memcpy(name, u->part->owner.household, sizeof name);
    porch_media_uploads_unlock(all);
    if (porch_media_keep_of(u->media, name).bytes == 0) return e;
    PORCH_TRY(porch_media_keep_make_room(u->media, name, more, why));
    return check_room(u, more, why);
}

static porch_err append(porch_media_upload *u, porch_bytes bytes, porch_why *why) {
    uint64_t offset = porch_media_file_bytes(u->file);
    PORCH_TRY(find_room(u, bytes.len, why));
    PORCH_TRY(porch_media_file_append(u->file, bytes, why));
    porch_sha256_update(u->hash, bytes);
    if (offset == 0) porch_media_feed_first_byte(u->feed, porch_clock_ms());
    porch_media_feed_bytes(u->feed, offset, bytes);
    return PORCH_OK;
}

porch_err porch_media_upload_append(porch_media_upload *u, porch_bytes bytes, porch_why *why) {
    if (bytes.len == 0) return PORCH_OK;
    (void)pthread_mutex_lock(&u->lock);
    porch_err e = u->dead ? porch_fail(why, PORCH_ERR_CLOSED, "another request goes on with this clip")
                          : append(u, bytes, why);
    if (e != PORCH_OK && !u->dead) {
        /* What was taken before the refusal is kept, as far as the disk lets us. */
        (void)sync_upload(u, NULL);
        set_bytes(u);
        retire(u);
    }
    (void)pthread_mutex_unlock(&u->lock);
    return e;
}

porch_err porch_media_upload_pause(porch_media_upload *u, uint64_t *durable, porch_why *why) {
    (void)pthread_mutex_lock(&u->lock);
    porch_err e = u->dead ? porch_fail(why, PORCH_ERR_CLOSED, "another request goes on with this clip")
                          : sync_upload(u, why);
    if (e == PORCH_OK) *durable = u->durable;
    (void)pthread_mutex_unlock(&u->lock);
    return e;
}

typedef struct {
    const char *clip;
    uint64_t bytes, now_ms, first_byte_ms;
    const uint8_t *sha256;
    porch_media_clip_info info;
} finish;

static porch_err store_complete(porch_db *db, void *ctx, porch_why *why) {
    finish *f = ctx;
    porch_db_query *q =
        porch_db_prepare(db,
                         "update clip set state = 1, bytes = ?2, sha256 = ?3, complete_ms = ?4, "
                         "first_byte_ms = ?5 where id = ?1 and state = 0",
                         why);
    porch_db_bind_str(q, 1, f->clip);
    porch_db_bind_i64(q, 2, (int64_t)f->bytes);
    porch_db_bind_blob(q, 3, (porch_bytes){f->sha256, 32});
    porch_db_bind_i64(q, 4, (int64_t)f->now_ms);
    porch_db_bind_i64(q, 5, (int64_t)f->first_byte_ms);
    PORCH_TRY(porch_db_execute(q, why));
    return porch_media_clip_row(db, f->clip, &f->info, why);
}

static porch_err forget_analysis(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(
        db, "update clip set analysis = 0, attempts = 0, analysis_why = null where id = ?1", why);
    porch_db_bind_str(q, 1, ctx);
    return porch_db_execute(q, why);
}

/* Back to an empty clip with a new salt, so that no old chunk or tail fits any more. */
static porch_err start_again(porch_media_upload *u, porch_why *why) {
    set_durable(u, 0);
    porch_media_feed_cancel(u->feed);
    u->feed = NULL;
    porch_media_file_close(u->file);
    u->file = NULL;
    PORCH_TRY(porch_store_write(u->media->config.store, forget_analysis, u->id, why));
    PORCH_TRY(porch_media_file_create(u->path, PORCH_MEDIA_FILE_ORIGINAL, u->id, u->key, &u->file, why));
    porch_media_file_drop_tail(u->path);
    PORCH_TRY(sync_upload(u, why));
    return porch_fail(why, PORCH_ERR_HASH,
                      "the hash over the clip is not the one announced; send it again from 0");
}

static porch_err complete(porch_media_upload *u, finish *f, porch_why *why) {
    media_uploads *all = u->media->uploads;
    f->bytes = porch_media_file_bytes(u->file);
    porch_media_uploads_lock(all);
    f->first_byte_ms = u->part != NULL ? u->part->first_byte_ms : 0;
    bool mine = u->part != NULL;
    porch_media_uploads_unlock(all);
    if (!mine) return porch_fail(why, PORCH_ERR_CLOSED, "another request goes on with this clip");
    PORCH_TRY(porch_media_file_finish(u->file, why));
    PORCH_TRY(porch_store_write(u->media->config.store, store_complete, f, why));
    porch_media_file_drop_tail(u->path);
    porch_media_uploads_lock(all);
    media_part *p = porch_media_part_find(all, u->id);
    if (p != NULL) {
        porch_media_household_account(all, p->owner.household, (int64_t)f->bytes);
        porch_media_part_drop(all, p);
    }
    u->part = NULL;
    porch_media_uploads_unlock(all);
    if (u->feed != NULL) {
        porch_media_feed_complete(u->feed, f->bytes);
        u->feed = NULL;
    }
    porch_media_analysis_wake(u->media);
    return PORCH_OK;
}

porch_err porch_media_upload_finish(porch_media_upload *u, const uint8_t sha256[32], uint64_t now_ms,
                                    porch_why *why) {
    porch_media *m = u->media;
    uint8_t digest[PORCH_SHA256_BYTES];
    finish f = {.clip = u->id, .now_ms = now_ms, .sha256 = sha256};
    porch_err e;
    (void)pthread_mutex_lock(&u->lock);
    if (u->dead) {
        e = porch_fail(why, PORCH_ERR_CLOSED, "another request goes on with this clip");
    } else {
        porch_sha256_peek(u->hash, digest);
        bool same = porch_bytes_eq((porch_bytes){digest, 32}, (porch_bytes){sha256, 32});
        e = same ? complete(u, &f, why) : start_again(u, why);
        if (e != PORCH_OK) set_bytes(u);
        retire(u);
    }
    (void)pthread_mutex_unlock(&u->lock);
    if (e == PORCH_OK && m->on_clip != NULL) m->on_clip(&f.info, m->on_clip_ctx);
    return e;
}

void porch_media_upload_close(porch_media_upload *u) {
    if (u == NULL) return;
    (void)pthread_mutex_lock(&u->lock);
    if (!u->dead) {
        porch_why why = {""};
        porch_err e = sync_upload(u, &why);
        if (e != PORCH_OK) {
            porch_log(PORCH_LOG_WARN, "clip.not_durable", "clip", u->id, "reason", porch_why_text(&why, e),
                      NULL);
        }
        retire(u);
    }
    (void)pthread_mutex_unlock(&u->lock);
    let_go(u);
}

/* ---- what nobody waits for any more ---- */

porch_err porch_media_upload_abandon(porch_media *m, const char *event, porch_why *why) {
    media_uploads *all = m->uploads;
    media_part gone;
    porch_media_uploads_lock(all);
    media_part *p = all->parts;
    while (p != NULL && strcmp(p->event, event) != 0)
        p = p->next;
    bool idle = p != NULL && p->begun && p->active == NULL;
    if (idle) porch_media_part_take(all, p, &gone);
    porch_media_uploads_unlock(all);
    if (!idle)
        return porch_fail(why, PORCH_ERR_STATE,
                          "the clip is being sent at this moment; delete it when it is complete");
    return give_up_part(m, &gone, why);
}

/* ---- a household's end ---- */

/* Takes the first unfinished clip of the household, or of the device, out of the list; gone->active, held
 * by a reference, is who appends to it. False: there is none. */
static bool take_part(media_uploads *all, const char *household, const char *device, media_part *gone) {
    porch_media_uploads_lock(all);
    media_part *p = all->parts;
    while (p != NULL && !(household != NULL && strcmp(p->owner.household, household) == 0) &&
           !(device != NULL && strcmp(p->owner.device, device) == 0))
        p = p->next;
    if (p != NULL) {
        if (p->active != NULL) p->active->refs++;
        porch_media_part_take(all, p, gone);
    }
    porch_media_uploads_unlock(all);
    return p != NULL;
}

static porch_err erase(porch_media *m, const char *household, const char *device, porch_why *why) {
    media_part gone;
    while (take_part(m->uploads, household, device, &gone)) {
        if (gone.active != NULL) {
            /* Its bytes are not made durable: they are to be nowhere. */
            (void)pthread_mutex_lock(&gone.active->lock);
            porch_media_feed_cancel(gone.active->feed);
            gone.active->feed = NULL;
            retire(gone.active);
            (void)pthread_mutex_unlock(&gone.active->lock);
            let_go(gone.active);
        }
        PORCH_TRY(give_up_part(m, &gone, why));
    }
    return PORCH_OK;
}

porch_err porch_media_uploads_erase(porch_media *m, const char *household, porch_why *why) {
    return erase(m, household, NULL, why);
}

porch_err porch_media_uploads_erase_device(porch_media *m, const char *device, porch_why *why) {
    return erase(m, NULL, device, why);
}
