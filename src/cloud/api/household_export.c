#include "cloud/api/household_export.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/api/api_sight.h"
#include "cloud/api/export_zip.h"
#include "cloud/media/media_clip.h"
#include "cloud/media/media_keep.h"
#include "cloud/notify/notify_zone.h"
#include "crypto/random.h"
#include "os/clock.h"
#include "os/log.h"

enum { TICKET_MS = 120000, PAGE = PORCH_MEDIA_LIST_MOST, PIECE = 65536, NAME = 160, KNOWN = 32 };

/* What is written in which order; each step is begun once and gone on with until it says that it is over.
 */
typedef enum {
    STEP_README,
    STEP_SCHEMA,
    STEP_HOUSEHOLD,
    STEP_MEMBERS,
    STEP_DEVICES,
    STEP_EVENTS,
    STEP_NOTIFICATIONS,
    STEP_FILES,
    STEP_SUMMARY,
    STEP_END
} step;

/* What only a download needs: the page of events and the piece of a clip under way. */
typedef struct {
    porch_media_event page[PAGE];
    uint8_t piece[PIECE];
} reading_room;

struct porch_export {
    porch_export *next;
    porch_exports *all;
    char household[65], ticket[33];
    uint8_t session[32];
    uint64_t ordered_ms;
    porch_export_state state; /* under the lock */
    bool open;                /* under the lock: somebody reads */
    bool ended;               /* under the lock: break off */

    /* whoever reads */
    porch_person person; /* who ordered it: what they may see is in it */
    struct {
        char device[65];
        unsigned sees;
    } known[KNOWN]; /* decided for this page */
    size_t known_count;
    porch_registry_household home;
    porch_zip *zip;
    step at;
    bool begun; /* the step's file has its opening bracket */
    uint64_t place;
    bool last_page;
    reading_room *room;
    size_t count, index;
    int part; /* of the event under way: thumbnail, picture, clip */
    porch_media_clip *clip;
    uint64_t clip_at;
    uint64_t pictures, clips, left_out, withheld;
};

struct porch_exports {
    porch_api *api;
    pthread_mutex_t lock;
    porch_export *list;
};

/* ---- orders ---- */

porch_err porch_exports_new(porch_api *api, porch_exports **ret, porch_why *why) {
    porch_exports *all = calloc(1, sizeof *all);
    if (all == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for exports");
    all->api = api;
    (void)pthread_mutex_init(&all->lock, NULL);
    *ret = all;
    return PORCH_OK;
}

static void end_reading(porch_export *x) {
    porch_zip_free(x->zip);
    porch_media_clip_close(x->clip);
    free(x->room);
    x->zip = NULL;
    x->clip = NULL;
    x->room = NULL;
}

static void drop(porch_exports *all, porch_export *x) {
    porch_export **at = &all->list;
    while (*at != NULL && *at != x)
        at = &(*at)->next;
    if (*at != NULL) *at = x->next;
    end_reading(x);
    free(x);
}

void porch_exports_free(porch_exports *all) {
    if (all == NULL) return;
    while (all->list != NULL)
        drop(all, all->list);
    (void)pthread_mutex_destroy(&all->lock);
    free(all);
}

static porch_export *find(porch_exports *all, const char *household) {
    porch_export *x = all->list;
    while (x != NULL && (x->ended || strcmp(x->household, household) != 0))
        x = x->next;
    return x;
}

static bool too_old(const porch_export *x, uint64_t now_ms) {
    return x->state.stage == PORCH_EXPORT_ORDERED && now_ms > x->ordered_ms &&
           now_ms - x->ordered_ms > TICKET_MS;
}

porch_err porch_export_order(porch_exports *all, const porch_person *person, const uint8_t session[32],
                             uint64_t now_ms, char ticket[33], porch_why *why) {
    porch_export *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for an export");
    fresh->all = all;
    fresh->ordered_ms = now_ms;
    fresh->state.stage = PORCH_EXPORT_ORDERED;
    memcpy(fresh->session, session, sizeof fresh->session);
    fresh->person = *person;
    (void)snprintf(fresh->household, sizeof fresh->household, "%s", person->household);
    porch_random_id(fresh->ticket);
    memcpy(ticket, fresh->ticket, sizeof fresh->ticket);
    (void)pthread_mutex_lock(&all->lock);
    porch_export *old = find(all, person->household);
    /* One that nobody fetched, or that is over, gives way; one that runs does not. */
    if (old != NULL && !old->open) {
        drop(all, old);
        old = NULL;
    }
    if (old == NULL) {
        fresh->next = all->list;
        all->list = fresh;
        fresh = NULL;
    }
    (void)pthread_mutex_unlock(&all->lock);
    if (fresh == NULL) return PORCH_OK;
    free(fresh);
    return porch_fail(why, PORCH_ERR_STATE, "an export is running; wait until it has ended");
}

void porch_export_look(porch_exports *all, const char *household, uint64_t now_ms,
                       porch_export_state *ret) {
    (void)pthread_mutex_lock(&all->lock);
    const porch_export *x = find(all, household);
    *ret = x != NULL ? x->state : (porch_export_state){0};
    if (x != NULL && too_old(x, now_ms)) ret->stage = PORCH_EXPORT_LAPSED;
    (void)pthread_mutex_unlock(&all->lock);
}

static void end_those(porch_exports *all, const char *household, const uint8_t *session) {
    if (all == NULL) return;
    (void)pthread_mutex_lock(&all->lock);
    for (porch_export *x = all->list, *next; x != NULL; x = next) {
        next = x->next;
        if (household != NULL && strcmp(x->household, household) != 0) continue;
        if (session != NULL && memcmp(x->session, session, sizeof x->session) != 0) continue;
        x->ended = true;
        if (!x->open) drop(all, x);
    }
    (void)pthread_mutex_unlock(&all->lock);
}

void porch_exports_end(porch_exports *all, const char *household) {
    end_those(all, household, NULL);
}

void porch_exports_end_sign_in(porch_exports *all, const uint8_t session[32]) {
    end_those(all, NULL, session);
}

porch_err porch_export_open(porch_exports *all, const char *household, const uint8_t session[32],
                            const char *ticket, uint64_t now_ms, porch_export **ret, porch_why *why) {
    (void)pthread_mutex_lock(&all->lock);
    porch_export *x = find(all, household);
    bool good = x != NULL && x->state.stage == PORCH_EXPORT_ORDERED && !too_old(x, now_ms) &&
                strcmp(x->ticket, ticket) == 0 && memcmp(x->session, session, sizeof x->session) == 0;
    if (good) {
        x->open = true;
        x->state.stage = PORCH_EXPORT_RUNNING;
    }
    (void)pthread_mutex_unlock(&all->lock);
    if (!good)
        return porch_fail(why, PORCH_ERR_NOT_FOUND,
                          "this download was used or is too old; order a new one");
    porch_media_keep_view v = {0};
    x->room = calloc(1, sizeof *x->room);
    porch_err e =
        x->room != NULL ? PORCH_OK : porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the export");
    if (e == PORCH_OK) e = porch_registry_household_get(all->api->registry, household, &x->home);
    if (e == PORCH_OK) e = porch_media_keep_read(all->api->media, household, &v, why);
    if (e == PORCH_OK) e = porch_zip_new(&x->zip, why);
    if (e != PORCH_OK) {
        porch_export_close(x);
        return e;
    }
    (void)pthread_mutex_lock(&all->lock);
    x->state.events = v.now.events;
    (void)pthread_mutex_unlock(&all->lock);
    *ret = x;
    return PORCH_OK;
}

void porch_export_close(porch_export *x) {
    if (x == NULL) return;
    porch_exports *all = x->all;
    (void)pthread_mutex_lock(&all->lock);
    if (x->ended) {
        drop(all, x);
    } else {
        end_reading(x);
        x->open = false;
        if (x->state.stage != PORCH_EXPORT_WHOLE) x->state.stage = PORCH_EXPORT_BROKEN;
    }
    (void)pthread_mutex_unlock(&all->lock);
}

/* ---- JSON into the archive ---- */

static porch_err put_text(porch_export *x, const char *text, porch_why *why) {
    return porch_zip_bytes(x->zip, porch_bytes_of(text), why);
}

/* Takes over `value`. */
static porch_err put_json(porch_export *x, json_t *value, porch_why *why) {
    char *text = value == NULL ? NULL : json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(value);
    if (text == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for the export");
    porch_err e = put_text(x, text, why);
    free(text);
    return e;
}

static porch_err begin_text(porch_export *x, const char *name, porch_why *why) {
    return porch_zip_file(x->zip, name, porch_clock_ms(), PORCH_ZIP_UNKNOWN, true, why);
}

static porch_err put_file(porch_export *x, const char *name, json_t *value, porch_why *why) {
    porch_err e = begin_text(x, name, why);
    if (e == PORCH_OK) return put_json(x, value, why);
    json_decref(value);
    return e;
}

/* An element of a list that may be long: the bracket or comma before it is written with it. */
static porch_err put_element(porch_export *x, json_t *value, porch_why *why) {
    porch_err e = put_text(x, x->begun ? ",\n" : "[\n", why);
    x->begun = true;
    if (e == PORCH_OK) return put_json(x, value, why);
    json_decref(value);
    return e;
}

static porch_err end_list(porch_export *x, porch_why *why) {
    return put_text(x, x->begun ? "\n]\n" : "[]\n", why);
}

/* ---- the small files ---- */

static porch_err write_household(porch_export *x, porch_why *why) {
    porch_media_keep_view v;
    PORCH_TRY(porch_media_keep_read(x->all->api->media, x->household, &v, why));
    return put_file(x, "household.json",
                    json_pack("{s:s, s:i, s:I, s:s, s:{s:s, s:s, s:s, s:I}, s:{s:I, s:I}}", "format",
                              "porchlight-household", "version", 1, "made_at_ms",
                              (json_int_t)porch_clock_ms(), "hub", PORCH_VERSION, "household", "id",
                              x->home.id, "name", x->home.name, "timezone", x->home.timezone, "added_ms",
                              (json_int_t)x->home.added_ms, "keep", "days", (json_int_t)v.own.days, "bytes",
                              (json_int_t)v.own.bytes),
                    why);
}

typedef struct {
    porch_export *x;
    json_t *list;
} member_job;

/* What a person set; no password, second factor or key of theirs is ever in it. */
static json_t *settings_of(porch_export *x, const char *person) {
    porch_push_view *v = calloc(1, sizeof *v);
    json_t *set = NULL;
    if (v != NULL && porch_push_read(x->all->api->notify, person, v, NULL) == PORCH_OK) {
        set = porch_api_push_view(v, "");
        (void)json_object_del(set, "key");
    }
    free(v);
    return set == NULL ? json_null() : set;
}

static bool add_member(const porch_person *p, void *ctx) {
    member_job *job = ctx;
    if (strcmp(p->household, job->x->household) != 0) return true;
    (void)json_array_append_new(
        job->list,
        json_pack("{s:s, s:s, s:I, s:o}", "name", p->name, "role", porch_role_name(p->role), "created_ms",
                  (json_int_t)p->created_ms, "last_login_ms",
                  p->last_login_ms == 0 ? json_null() : json_integer((json_int_t)p->last_login_ms)));
    /* The person's id finds what they set, once the list is complete. */
    json_t *last = json_array_get(job->list, json_array_size(job->list) - 1);
    (void)json_object_set_new(last, "id", json_string(p->id));
    return true;
}

static porch_err write_members(porch_export *x, porch_why *why) {
    member_job job = {x, json_array()};
    porch_err e = porch_accounts_list(x->all->api->accounts, add_member, &job, why);
    size_t i;
    json_t *member;
    json_array_foreach(job.list, i, member) {
        const char *id = json_string_value(json_object_get(member, "id"));
        (void)json_object_set_new(member, "notifications", settings_of(x, id));
        (void)json_object_del(member, "id");
    }
    if (e == PORCH_OK) return put_file(x, "members.json", job.list, why);
    json_decref(job.list);
    return e;
}

static bool add_device(const porch_registry_device *d, void *ctx) {
    json_t *device = porch_api_device(d);
    (void)json_object_set_new(device, "added_ms", json_integer((json_int_t)d->added_ms));
    (void)json_array_append_new(ctx, device);
    return true;
}

static porch_err write_devices(porch_export *x, porch_why *why) {
    json_t *list = json_array();
    porch_registry_devices(x->all->api->registry, x->household, add_device, list);
    return put_file(x, "devices.json", list, why);
}

static porch_err write_summary(porch_export *x, porch_why *why) {
    return put_file(x, "summary.json",
                    json_pack("{s:I, s:I, s:I, s:I}", "pictures", (json_int_t)x->pictures, "clips",
                              (json_int_t)x->clips, "left_out", (json_int_t)x->left_out, "withheld",
                              (json_int_t)x->withheld),
                    why);
}

/* ---- events ---- */

/* "2026-05-03T14-32-05_front-door_0123456789ab": when in the household's zone, where, and which. */
static void base_name(const porch_export *x, const porch_media_event *e, char out[NAME]) {
    char local[PORCH_ZONE_TIME_BYTES];
    (void)porch_zone_local(x->home.timezone, e->at_ms, local);
    local[19] = '\0';
    for (char *c = local; *c != '\0'; c++)
        if (*c == ':') *c = '-';
    (void)snprintf(out, NAME, "%s_%s_%.12s", local, e->owner.device, e->uid);
}

static void file_name(const porch_export *x, const porch_media_event *e, int part, char out[NAME + 24]) {
    static const char *const ends[] = {".jpg", "-person.jpg", ".mp4"};
    char base[NAME];
    base_name(x, e, base);
    (void)snprintf(out, NAME + 24, "%s/%s%s", part < 2 ? "pictures" : "clips", base, ends[part]);
}

static bool has_part(const porch_media_event *e, int part) {
    if (part == 0) return e->has_thumbnail;
    if (part == 1) return e->has_picture;
    return e->has_clip && e->clip.state == PORCH_MEDIA_CLIP_COMPLETE;
}

/* As the API tells it, with the archive's file names in place of addresses. */
static json_t *event_json(const porch_export *x, const porch_media_event *e) {
    static const char *const names[] = {"thumbnail", "picture", "clip"};
    json_t *o = porch_api_event(e), *files = json_object();
    for (int part = 0; part < 3; part++) {
        char name[NAME + 24];
        file_name(x, e, part, name);
        (void)json_object_set_new(files, names[part], has_part(e, part) ? json_string(name) : json_null());
    }
    (void)json_object_del(o, "thumbnail");
    (void)json_object_del(json_object_get(o, "clip"), "url");
    (void)json_object_del(json_object_get(o, "person"), "picture");
    (void)json_object_set_new(o, "files", files);
    return o;
}

static void take_event(const porch_media_event *e, void *ctx) {
    porch_export *x = ctx;
    if (x->count < PAGE) x->room->page[x->count++] = *e;
}

/* Once for each device of a page; when there are more, another one's place is taken. */
static unsigned sight_of(porch_export *x, const char *device) {
    for (size_t i = 0; i < x->known_count && i < KNOWN; i++)
        if (strcmp(x->known[i].device, device) == 0) return x->known[i].sees;
    size_t place = x->known_count++ % KNOWN;
    memcpy(x->known[place].device, device, sizeof x->known[place].device);
    x->known[place].sees = porch_sight_of(x->all->api, &x->person, device, PORCH_SEES_ALL, NULL);
    return x->known[place].sees;
}

static void count_event(porch_export *x) {
    (void)pthread_mutex_lock(&x->all->lock);
    x->state.events_done++;
    if (x->state.events < x->state.events_done) x->state.events = x->state.events_done;
    (void)pthread_mutex_unlock(&x->all->lock);
}

/* Leaves on the page what the person may see. */
static void withhold(porch_export *x) {
    size_t left = 0;
    x->known_count = 0;
    for (size_t i = 0; i < x->count; i++) {
        unsigned sees = sight_of(x, x->room->page[i].owner.device);
        if ((sees & PORCH_SEES_EVENT) != 0) {
            porch_sight_trim(sees, &x->room->page[i]);
            if (left != i) x->room->page[left] = x->room->page[i];
            left++;
        } else if (x->at == STEP_EVENTS) {
            x->withheld++;
        } else {
            count_event(x);
        }
    }
    x->count = left;
}

/* The next page in order of arrival, newest first, of which nothing may be left to tell. */
static porch_err next_page(porch_export *x, porch_why *why) {
    const porch_media_event_query q = {.household = x->household, .before_seq = x->place, .limit = PAGE};
    x->count = x->index = 0;
    PORCH_TRY(porch_media_events(x->all->api->media, &q, take_event, x, why));
    x->last_page = x->count < PAGE;
    if (x->count > 0) x->place = x->room->page[x->count - 1].seq;
    withhold(x);
    return PORCH_OK;
}

static void rewind_pages(porch_export *x) {
    x->begun = x->last_page = false;
    x->place = 0;
    x->count = x->index = 0;
    x->part = 0;
}

static porch_err write_events(porch_export *x, bool *over, porch_why *why) {
    if (x->place == 0) PORCH_TRY(begin_text(x, "events.json", why));
    PORCH_TRY(next_page(x, why));
    for (; x->index < x->count; x->index++)
        PORCH_TRY(put_element(x, event_json(x, &x->room->page[x->index]), why));
    *over = x->last_page;
    return *over ? end_list(x, why) : PORCH_OK;
}

/* ---- notifications ---- */

typedef struct {
    porch_export *x;
    json_t *list;
    size_t read;
} notes_job;

static bool add_note(const porch_notify_item *item, void *ctx) {
    notes_job *job = ctx;
    uint8_t block[4096];
    porch_buf out = PORCH_BUF_OF(block);
    job->x->place = item->seq;
    job->read++;
    if ((sight_of(job->x, item->device) & PORCH_SEES_PERSON) == 0) return true;
    if (porch_notify_item_json(item, NULL, &out) != PORCH_OK) return true;
    json_t *o = json_loadb((const char *)block, out.len, 0, NULL);
    (void)json_object_del(o, "picture");
    (void)json_array_append_new(job->list, o);
    return true;
}

static porch_err read_notes(porch_db *db, void *ctx, porch_why *why) {
    notes_job *job = ctx;
    return porch_notify_since(db, job->x->household, job->x->place, PAGE, add_note, job, why);
}

static porch_err write_notes(porch_export *x, bool *over, porch_why *why) {
    notes_job job = {x, json_array(), 0};
    x->known_count = 0;
    porch_err e = x->place == 0 ? begin_text(x, "notifications.json", why) : PORCH_OK;
    if (e == PORCH_OK) e = porch_store_read(x->all->api->store, read_notes, &job, why);
    size_t i;
    json_t *note;
    json_array_foreach(job.list, i, note) {
        if (e == PORCH_OK) e = put_element(x, json_incref(note), why);
    }
    *over = job.read < PAGE;
    json_decref(job.list);
    return e == PORCH_OK && *over ? end_list(x, why) : e;
}

/* ---- pictures and clips ---- */

static porch_err put_picture(porch_export *x, const porch_media_event *e, int part, porch_why *why) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    char name[NAME + 24];
    porch_err got = (part == 0 ? porch_media_thumbnail : porch_media_picture)(
        x->all->api->media, e->uid, x->household, &bytes, &len, why);
    if (got == PORCH_ERR_NOT_FOUND) { /* deleted since its page was read */
        x->left_out++;
        return PORCH_OK;
    }
    PORCH_TRY(got);
    file_name(x, e, part, name);
    porch_err wrote = porch_zip_file(x->zip, name, e->at_ms, len, false, why);
    if (wrote == PORCH_OK) wrote = porch_zip_bytes(x->zip, (porch_bytes){bytes, len}, why);
    free(bytes);
    x->pictures++;
    return wrote;
}

/* One piece; *over when the clip is through. A file that is damaged is left out, as the log says. */
static porch_err put_clip(porch_export *x, const porch_media_event *e, bool *over, porch_why *why) {
    char name[NAME + 24];
    if (x->clip == NULL) {
        porch_err opened = porch_media_clip_open(x->all->api->media, e->clip.id, false, &x->clip, why);
        if (opened != PORCH_OK && porch_err_class_of(opened) != PORCH_CLASS_RETRY) {
            porch_log(PORCH_LOG_WARN, "export.left_out", "clip", e->clip.id, "reason",
                      porch_why_text(why, opened), NULL);
            x->left_out++;
            *over = true;
            return PORCH_OK;
        }
        PORCH_TRY(opened);
        x->clip_at = 0;
        file_name(x, e, 2, name);
        PORCH_TRY(porch_zip_file(x->zip, name, e->at_ms, porch_media_clip_bytes(x->clip), false, why));
    }
    size_t got = 0;
    PORCH_TRY(porch_media_clip_read(x->clip, x->clip_at, x->room->piece, sizeof x->room->piece, &got, why));
    PORCH_TRY(porch_zip_bytes(x->zip, (porch_bytes){x->room->piece, got}, why));
    x->clip_at += got;
    *over = got == 0 || x->clip_at >= porch_media_clip_bytes(x->clip);
    if (!*over) return PORCH_OK;
    x->clips++;
    porch_media_clip_close(x->clip);
    x->clip = NULL;
    return PORCH_OK;
}

static porch_err write_files(porch_export *x, bool *over, porch_why *why) {
    bool part_over = true;
    *over = false;
    if (x->index == x->count) {
        *over = x->last_page;
        return *over ? PORCH_OK : next_page(x, why);
    }
    const porch_media_event *e = &x->room->page[x->index];
    if (has_part(e, x->part))
        PORCH_TRY(x->part < 2 ? put_picture(x, e, x->part, why) : put_clip(x, e, &part_over, why));
    if (part_over && ++x->part == 3) {
        x->part = 0;
        x->index++;
        count_event(x);
    }
    return PORCH_OK;
}

/* ---- step by step ---- */

static porch_err go_on(porch_export *x, porch_why *why) {
    bool over = true;
    porch_err e = PORCH_OK;
    switch (x->at) {
    case STEP_README:
        e = begin_text(x, "README.txt", why);
        if (e == PORCH_OK) e = put_text(x, porch_export_readme, why);
        break;
    case STEP_SCHEMA:
        e = begin_text(x, "schema.json", why);
        if (e == PORCH_OK) e = put_text(x, porch_export_schema, why);
        break;
    case STEP_HOUSEHOLD:
        e = write_household(x, why);
        break;
    case STEP_MEMBERS:
        e = write_members(x, why);
        break;
    case STEP_DEVICES:
        e = write_devices(x, why);
        break;
    case STEP_EVENTS:
        e = write_events(x, &over, why);
        break;
    case STEP_NOTIFICATIONS:
        e = write_notes(x, &over, why);
        break;
    case STEP_FILES:
        e = write_files(x, &over, why);
        break;
    case STEP_SUMMARY:
        e = write_summary(x, why);
        if (e == PORCH_OK) e = porch_zip_finish(x->zip, why);
        break;
    default:
        return PORCH_OK;
    }
    if (e == PORCH_OK && over) {
        x->at++;
        rewind_pages(x);
    }
    return e;
}

porch_err porch_export_read(porch_export *x, uint8_t *at, size_t cap, size_t *got, porch_why *why) {
    (void)pthread_mutex_lock(&x->all->lock);
    bool ended = x->ended;
    (void)pthread_mutex_unlock(&x->all->lock);
    if (ended)
        return porch_fail(why, PORCH_ERR_CLOSED,
                          "what this export may hold is being erased, or the sign-in has ended");
    while (porch_zip_ready(x->zip) == 0 && x->at != STEP_END)
        PORCH_TRY(go_on(x, why));
    *got = porch_zip_take(x->zip, at, cap);
    (void)pthread_mutex_lock(&x->all->lock);
    x->state.bytes_sent += *got;
    if (*got == 0) x->state.stage = PORCH_EXPORT_WHOLE;
    (void)pthread_mutex_unlock(&x->all->lock);
    return PORCH_OK;
}
