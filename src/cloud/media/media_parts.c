#include "cloud/media/media_parts.h"

#include <stdlib.h>
#include <string.h>

#include "cloud/media/media_file.h"
#include "os/clock.h"
#include "os/log.h"

void porch_media_uploads_lock(media_uploads *u) {
    (void)pthread_mutex_lock(&u->lock);
}

void porch_media_uploads_unlock(media_uploads *u) {
    (void)pthread_mutex_unlock(&u->lock);
}

media_part *porch_media_part_find(media_uploads *u, const char *clip) {
    media_part *p = u->parts;
    while (p != NULL && strcmp(p->id, clip) != 0)
        p = p->next;
    return p;
}

static media_household *household_of(media_uploads *u, const char *name) {
    media_household *h = u->households;
    while (h != NULL && strcmp(h->name, name) != 0)
        h = h->next;
    if (h == NULL && (h = calloc(1, sizeof *h)) != NULL) {
        (void)porch_bytes_to_text(porch_bytes_of(name), h->name, sizeof h->name);
        h->next = u->households;
        u->households = h;
    }
    return h;
}

uint64_t porch_media_household_bytes(media_uploads *u, const char *name) {
    const media_household *h = household_of(u, name);
    uint64_t sum = h != NULL ? h->bytes : 0;
    for (const media_part *p = u->parts; p != NULL; p = p->next) {
        if (strcmp(p->owner.household, name) == 0) sum += p->bytes;
    }
    return sum;
}

media_part *porch_media_part_add(media_uploads *u, const char *clip, const char *event,
                                 const porch_media_owner *owner, uint64_t created_ms) {
    media_part *p = porch_media_part_find(u, clip);
    if (p != NULL) return p;
    p = calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    memcpy(p->id, clip, sizeof p->id);
    memcpy(p->event, event, sizeof p->event);
    p->owner = *owner;
    p->created_ms = created_ms;
    p->next = u->parts;
    u->parts = p;
    porch_media_part_use(u, p);
    return p;
}

void porch_media_part_use(media_uploads *u, media_part *part) {
    part->used = ++u->uses;
    part->used_mono_ms = porch_clock_mono_ms();
}

void porch_media_part_drop(media_uploads *u, media_part *gone) {
    media_part **at = &u->parts;
    while (*at != NULL && *at != gone)
        at = &(*at)->next;
    if (*at == gone) *at = gone->next;
    if (gone->active != NULL) porch_media_upload_lose_part(gone->active);
    free(gone);
}

void porch_media_part_take(media_uploads *u, media_part *part, media_part *ret) {
    *ret = *part;
    porch_media_part_drop(u, part);
}

static uint64_t bytes_on_disk(const porch_media *m, const char *clip) {
    char path[PATH_MAX];
    porch_media_clip_path(m, clip, false, path);
    return porch_media_file_size(path);
}

void porch_media_part_put_back(porch_media *m, const media_part *gone) {
    uint64_t bytes = bytes_on_disk(m, gone->id);
    porch_media_uploads_lock(m->uploads);
    media_part *p = porch_media_part_add(m->uploads, gone->id, gone->event, &gone->owner, gone->created_ms);
    if (p != NULL) {
        p->bytes = bytes;
        p->begun = true;
    }
    porch_media_uploads_unlock(m->uploads);
}

void porch_media_household_account(media_uploads *u, const char *name, int64_t bytes) {
    media_household *h = household_of(u, name);
    if (h == NULL) return;
    if (bytes >= 0) {
        h->bytes += (uint64_t)bytes;
    } else {
        uint64_t less = (uint64_t)-bytes;
        h->bytes = h->bytes > less ? h->bytes - less : 0;
    }
}

void porch_media_uploads_account(porch_media *m, const char *name, int64_t bytes) {
    porch_media_uploads_lock(m->uploads);
    porch_media_household_account(m->uploads, name, bytes);
    porch_media_uploads_unlock(m->uploads);
}

/* ---- the room's start and end ---- */

static porch_err load_sums(porch_db *db, void *ctx, porch_why *why) {
    media_uploads *u = ctx;
    char name[65];
    porch_err e;
    porch_db_query *q = porch_db_prepare(
        db, "select household, sum(bytes + indexed_bytes) from clip where state = 1 group by household",
        why);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        if (porch_bytes_to_text(porch_db_text(q, 0), name, sizeof name))
            porch_media_household_account(u, name, porch_db_i64(q, 1));
    }
    porch_db_finish(q);
    if (e != PORCH_ERR_NOT_FOUND) return e;
    q = porch_db_prepare(db,
                         "select id, event, device, product, household, created_ms from clip where state = "
                         "0 order by created_ms",
                         why);
    while ((e = porch_db_step(q, why)) == PORCH_OK) {
        char id[PORCH_MEDIA_UID], event[PORCH_MEDIA_UID];
        porch_media_owner owner;
        if (porch_bytes_to_text(porch_db_text(q, 0), id, sizeof id) &&
            porch_bytes_to_text(porch_db_text(q, 1), event, sizeof event) &&
            porch_bytes_to_text(porch_db_text(q, 2), owner.device, sizeof owner.device) &&
            porch_bytes_to_text(porch_db_text(q, 3), owner.product, sizeof owner.product) &&
            porch_bytes_to_text(porch_db_text(q, 4), owner.household, sizeof owner.household)) {
            media_part *p = porch_media_part_add(u, id, event, &owner, (uint64_t)porch_db_i64(q, 5));
            if (p != NULL) {
                p->begun = true;
                p->used_mono_ms = 0;
            }
        }
    }
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

porch_err porch_media_uploads_open(porch_media *m, media_uploads **ret, porch_why *why) {
    media_uploads *u = calloc(1, sizeof *u);
    if (u == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for uploads");
    u->media = m;
    (void)pthread_mutex_init(&u->lock, NULL);
    *ret = u;
    PORCH_TRY(porch_store_read(m->config.store, load_sums, u, why));
    for (media_part *p = u->parts; p != NULL; p = p->next)
        p->bytes = bytes_on_disk(m, p->id);
    return PORCH_OK;
}

void porch_media_uploads_close(media_uploads *u) {
    if (u == NULL) return;
    while (u->parts != NULL)
        porch_media_part_drop(u, u->parts);
    while (u->households != NULL) {
        media_household *h = u->households;
        u->households = h->next;
        free(h);
    }
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}

/* Out of the list: nobody can go on with it, let alone finish it, while its row and files are taken. */
static bool take_old(media_uploads *u, uint64_t before_ms, media_part *ret) {
    porch_media_uploads_lock(u);
    media_part *p = u->parts;
    while (p != NULL && !(p->created_ms < before_ms && p->begun && p->active == NULL))
        p = p->next;
    if (p != NULL) porch_media_part_take(u, p, ret);
    porch_media_uploads_unlock(u);
    return p != NULL;
}

porch_err porch_media_uploads_sweep(porch_media *m, uint64_t before_ms, porch_why *why) {
    media_part old;
    while (take_old(m->uploads, before_ms, &old)) {
        porch_err e = porch_media_give_up(m, old.id, why);
        if (e != PORCH_OK) {
            porch_media_part_put_back(m, &old);
            return e;
        }
        porch_log(PORCH_LOG_INFO, "clip.given_up", "clip", old.id, NULL);
    }
    return PORCH_OK;
}

uint64_t porch_media_uploads_bytes(porch_media *m, const char *name) {
    porch_media_uploads_lock(m->uploads);
    uint64_t bytes = porch_media_household_bytes(m->uploads, name);
    porch_media_uploads_unlock(m->uploads);
    return bytes;
}
