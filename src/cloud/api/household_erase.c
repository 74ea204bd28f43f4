#include "cloud/api/household_erase.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/accounts/accounts_erase.h"
#include "cloud/api/backup_copy.h"
#include "cloud/api/household_export.h"
#include "cloud/broker/broker.h"
#include "cloud/media/media_keep.h"
#include "cloud/rollout/rollout.h"
#include "cloud/trust/trust_erase.h"
#include "os/log.h"

enum { MESSAGES_BITE = 5000, NOTES_BITE = 500, SCRUB_MS = 30000 };

static void tell(const porch_erase_rooms *r, double done, const char *text) {
    if (r->progress != NULL) r->progress(done, text, r->progress_ctx);
}

static void media_progress(double done, void *ctx) {
    tell(ctx, 0.1 + 0.6 * done, "deleting clips, events and pictures");
}

static bool begins(porch_bytes text, const char *prefix, porch_bytes *rest) {
    size_t len = strlen(prefix);
    if (text.len < len || memcmp(text.at, prefix, len) != 0) return false;
    *rest = (porch_bytes){text.at + len, text.len - len};
    return true;
}

/* ---- names that only rows still know: devices that were removed long ago ---- */

#define OURS(row) "instr(" row ".detail, '\"household\":\"' || ?1 || '\"') > 0"

static porch_err note_former_devices(porch_db *db, void *ctx, porch_why *why) {
    static const char *const from[] = {
        "insert or ignore into erasure (household, kind, name) select distinct household, 'device', device "
        "from event where household = ?1",
        "insert or ignore into erasure (household, kind, name) select distinct household, 'device', device "
        "from clip where household = ?1",
        "insert or ignore into erasure (household, kind, name) select distinct household, 'device', device "
        "from notification where household = ?1",
        /* one that never had an event is known by the trust log alone; whose it was last counts */
        "insert or ignore into erasure (household, kind, name) select distinct ?1, 'device', "
        "substr(t.subject, 8) from trust t where t.kind = 'device.add' and " OURS(
            "t") " and not exists "
                 "(select 1 from trust u where u.kind = 'device.add' and u.subject = t.subject and u.seq > "
                 "t.seq and "
                 "not " OURS("u") ")",
        /* one that lives in another household now is not ours to forget */
        "delete from erasure where household = ?1 and kind = 'device' and name in "
        "(select id from device where household <> ?1)",
    };
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        porch_db_query *q = porch_db_prepare(db, from[i], why);
        porch_db_bind_str(q, 1, ctx);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

/* ---- notifications whose event is gone already, in bites ---- */

typedef struct {
    const char *household;
    int64_t changes;
    int64_t from, to;
} bite;

static porch_err forget_notes(porch_db *db, void *ctx, porch_why *why) {
    bite *b = ctx;
    porch_db_query *q = porch_db_prepare(db,
                                         "delete from notification where seq in (select seq from "
                                         "notification where household = ?1 order by seq limit ?2)",
                                         why);
    porch_db_bind_str(q, 1, b->household);
    porch_db_bind_i64(q, 2, NOTES_BITE);
    PORCH_TRY(porch_db_execute(q, why));
    b->changes = porch_db_changes(db);
    return PORCH_OK;
}

/* ---- stored messages: of its devices, and to them ---- */

static porch_err ends(porch_db *db, void *ctx, porch_why *why) {
    bite *b = ctx;
    porch_db_query *q =
        porch_db_prepare(db, "select coalesce(min(seq), 0), coalesce(max(seq), -1) from message", why);
    porch_err e = porch_db_step(q, why);
    if (e == PORCH_OK) {
        b->from = porch_db_i64(q, 0);
        b->to = porch_db_i64(q, 1);
    }
    porch_db_finish(q);
    return e;
}

/* The newest message stays, emptied: the next number is made from it. */
static porch_err forget_messages(porch_db *db, void *ctx, porch_why *why) {
#define ABOUT                                                                                         \
    "seq >= ?2 and seq < ?3 and exists (select 1 from erasure e where e.household = ?1 and e.kind = " \
    "'device' and (device = e.name or substr(topic, 1, length(e.name) + 3) = 'd/' || e.name || '/'))"
    static const char *const sql[] = {
        /* no session is given it any more: it has no topic to be given under */
        "update message set device = '', topic = '', payload = x'', flags = flags & ~1 where seq = (select "
        "max(seq) from message) and " ABOUT,
        "delete from message where seq < (select max(seq) from message) and " ABOUT,
    };
#undef ABOUT
    const bite *b = ctx;
    for (size_t i = 0; i < 2; i++) {
        porch_db_query *q = porch_db_prepare(db, sql[i], why);
        porch_db_bind_str(q, 1, b->household);
        porch_db_bind_i64(q, 2, b->from);
        porch_db_bind_i64(q, 3, b->from + MESSAGES_BITE);
        PORCH_TRY(porch_db_execute(q, why));
    }
    return PORCH_OK;
}

static porch_err forget_all_messages(const porch_erase_rooms *r, const char *household, porch_why *why) {
    bite b = {.household = household};
    PORCH_TRY(porch_store_read(r->store, ends, &b, why));
    for (; b.from <= b.to; b.from += MESSAGES_BITE)
        PORCH_TRY(porch_store_write(r->store, forget_messages, &b, why));
    return PORCH_OK;
}

/* ---- the signer's journal ---- */

typedef struct {
    char (*at)[80];
    size_t count;
    const char *prefix;
} labels;

static porch_err add_label(const char *name, void *ctx, porch_why *why) {
    labels *l = ctx;
    void *more = realloc(l->at, (l->count + 1) * sizeof *l->at);
    if (more == NULL) return porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for names");
    l->at = more;
    (void)snprintf(l->at[l->count++], sizeof *l->at, "%s:%.70s", l->prefix, name);
    return PORCH_OK;
}

typedef struct {
    const char *household;
    labels list;
} label_job;

static porch_err read_labels(porch_db *db, void *ctx, porch_why *why) {
    static const char *const kinds[] = {"device", "account"};
    label_job *job = ctx;
    for (size_t i = 0; i < 2; i++) {
        job->list.prefix = kinds[i];
        PORCH_TRY(porch_trust_erasure_names(db, job->household, kinds[i], add_label, &job->list, why));
    }
    return PORCH_OK;
}

static porch_err forget_in_journal(const porch_erase_rooms *r, const char *household, porch_why *why) {
    label_job job = {.household = household};
    porch_err e = porch_store_read(r->store, read_labels, &job, why);
    for (size_t i = 0; i < job.list.count && e == PORCH_OK; i++)
        e = porch_signer_forget(r->signer, job.list.at[i], why);
    free(job.list.at);
    return e;
}

/* ---- what the broker has in memory ---- */

/* A device lost that when it was removed; here it is whatever was said below its topics since. */
static porch_err forget_in_broker(const porch_erase_rooms *r, const char *household, porch_why *why) {
    label_job job = {.household = household};
    if (r->broker == NULL) return PORCH_OK;
    porch_err e = porch_store_read(r->store, read_labels, &job, why);
    for (size_t i = 0; i < job.list.count && e == PORCH_OK; i++) {
        porch_bytes name;
        if (begins(porch_bytes_of(job.list.at[i]), "device:", &name) &&
            !porch_broker_forget_device(r->broker, (const char *)name.at))
            e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory to forget messages; erase it again");
    }
    free(job.list.at);
    if (e == PORCH_OK && !porch_broker_settle(r->broker))
        e = porch_fail(why, PORCH_ERR_BUSY, "the broker took too long to forget messages; erase it again");
    return e;
}

/* ---- the last transaction ---- */

/* Whose each device was when a row was written: a name may have lived in two households, one after the
 * other. */
typedef struct {
    porch_db *db;
    const char *household, *who;
    struct owner {
        char name[65];
        bool ours;
    } * owners;
    size_t count;
    porch_err error;
} last_step;

static bool in_table(last_step *s, const char *kind, porch_bytes name) {
    porch_db_query *q = porch_db_prepare(
        s->db, "select 1 from erasure where household = ?1 and kind = ?2 and name = ?3", NULL);
    porch_db_bind_str(q, 1, s->household);
    porch_db_bind_str(q, 2, kind);
    porch_db_bind_text(q, 3, name);
    porch_err e = porch_db_step(q, NULL);
    porch_db_finish(q);
    if (e != PORCH_OK && e != PORCH_ERR_NOT_FOUND) s->error = e;
    return e == PORCH_OK;
}

static bool mentions(porch_bytes detail, const char *household) {
    char word[96];
    int n = snprintf(word, sizeof word, "\"household\":\"%s\"", household);
    return n > 0 && detail.len > 0 && memmem(detail.at, detail.len, word, (size_t)n) != NULL;
}

static struct owner *owner_of(last_step *s, porch_bytes device, bool make) {
    for (size_t i = 0; i < s->count; i++)
        if (porch_bytes_eq_text(device, s->owners[i].name)) return &s->owners[i];
    if (!make) return NULL;
    struct owner *more = realloc(s->owners, (s->count + 1) * sizeof *more);
    if (more == NULL) {
        s->error = PORCH_ERR_NO_SPACE;
        return NULL;
    }
    s->owners = more;
    (void)porch_bytes_to_text(device, more[s->count].name, sizeof more->name);
    return &more[s->count++];
}

static bool is_ours(last_step *s, const porch_trust_row *row, porch_bytes device) {
    bool added = porch_bytes_eq_text(row->kind, "device.add");
    struct owner *o = owner_of(s, device, added);
    if (added && o != NULL) o->ours = mentions(row->detail, s->household);
    return o != NULL ? o->ours : in_table(s, "device", device);
}

static bool about(const porch_trust_row *row, void *ctx) {
    last_step *s = ctx;
    porch_bytes name;
    if (begins(row->who, "user:", &name) && in_table(s, "user", name)) return true;
    if (begins(row->subject, "user:", &name) && in_table(s, "user", name)) return true;
    if (begins(row->subject, "household:", &name) && porch_bytes_eq_text(name, s->household)) return true;
    if (begins(row->who, "device:", &name) && is_ours(s, row, name)) return true;
    if (begins(row->subject, "device:", &name)) return is_ours(s, row, name);
    if (begins(row->subject, "rollout:", &name) && porch_rollout_names(row->detail, s->household))
        return true;
    return mentions(row->detail, s->household);
}

static porch_err last_rows(porch_db *db, void *ctx, porch_why *why) {
    last_step *s = ctx;
    static const char *const gone[] = {
        "delete from deleted where household = ?1",
        "delete from device_twin where device in (select name from erasure where household = ?1 and kind = "
        "'device')",
        "delete from feedback where device in (select name from erasure where household = ?1 and kind = "
        "'device') or said_by in (select name from erasure where household = ?1 and kind = 'user')",
        /* what MQTT keeps beyond a connection; subscriptions and flights go with their session */
        "delete from mqtt_session where kind = 'device' and name in "
        "(select name from erasure where household = ?1 and kind = 'device')",
        "delete from mqtt_retained where exists (select 1 from erasure e where e.household = ?1 and e.kind "
        "= "
        "'device' and substr(topic, 1, length(e.name) + 3) = 'd/' || e.name || '/')",
    };
    s->db = db;
    s->count = 0;
    s->error = PORCH_OK;
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        porch_db_query *q = porch_db_prepare(db, gone[i], why);
        porch_db_bind_str(q, 1, s->household);
        PORCH_TRY(porch_db_execute(q, why));
    }
    PORCH_TRY(porch_rollout_household_erase(db, s->household, why));
    PORCH_TRY(porch_grants_household_erase(db, s->household, why));
    PORCH_TRY(porch_trust_erase(db, about, s, s->who, why));
    return s->error;
}

/* Of a household that is gone and whose names an older hub has left. */
static porch_err forget_names(porch_db *db, void *ctx, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "delete from erasure where household = ?1", why);
    porch_db_bind_str(q, 1, ctx);
    return porch_db_execute(q, why);
}

/* ---- all of it ---- */

static porch_err erase(const porch_erase_rooms *r, const char *household, const char *who, porch_why *why) {
    last_step last = {.household = household, .who = who};
    bite notes = {.household = household};
    char id[65];
    (void)snprintf(id, sizeof id, "%s", household);
    tell(r, 0, "ending the devices' ways in");
    PORCH_TRY(porch_registry_erase_begin(r->registry, household, why));
    PORCH_TRY(porch_store_write(r->store, note_former_devices, id, why));
    tell(r, 0.05, "deleting accounts");
    PORCH_TRY(porch_accounts_erase(r->accounts, household, why));
    porch_exports_end(r->exports, household); /* nobody is left to order another */
    tell(r, 0.1, "deleting clips, events and pictures");
    PORCH_TRY(porch_media_erase(r->media, household, media_progress, (void *)(uintptr_t)r, why));
    tell(r, 0.7, "deleting notifications and messages");
    do {
        PORCH_TRY(porch_store_write(r->store, forget_notes, &notes, why));
    } while (notes.changes > 0);
    PORCH_TRY(forget_all_messages(r, household, why));
    PORCH_TRY(forget_in_broker(r, household, why)); /* while its names are known: it can be repeated */
    tell(r, 0.85, "emptying the journal");
    PORCH_TRY(forget_in_journal(r, household, why));
    porch_err e = porch_registry_erase_end(r->registry, household, last_rows, &last, why);
    free(last.owners);
    PORCH_TRY(e);
    return r->grants == NULL ? PORCH_OK : porch_grants_reload(r->grants, why);
}

porch_err porch_household_erase_now(const porch_erase_rooms *rooms, const char *household, const char *who,
                                    porch_why *why) {
    PORCH_TRY(erase(rooms, household, who, why));
    porch_backup_copy_sweep(rooms->dir); /* the copy of a backup under way goes when that ends */
    tell(rooms, 0.95, "cutting the log");
    porch_log(PORCH_LOG_INFO, "household.erased", "by", who, NULL);
    return porch_store_scrub(rooms->store, SCRUB_MS, why);
}

/* ---- one at a time: who asks for one that is under way hears how that one ended ---- */

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

void porch_household_erase_lock(void) {
    (void)pthread_mutex_lock(&turn);
}

void porch_household_erase_unlock(void) {
    (void)pthread_mutex_unlock(&turn);
}

porch_err porch_household_erase(const porch_erase_rooms *rooms, const char *household, const char *who,
                                porch_why *why) {
    porch_household_erase_lock();
    porch_err e = porch_household_erase_now(rooms, household, who, why);
    porch_household_erase_unlock();
    return e;
}

/* ---- what broke off ---- */

typedef struct {
    char household[65]; /* "": none is left */
} rest_job;

/* A released device's household is of the hub's own making (household_release.c), by this name only. */
static porch_err next_rest(porch_db *db, void *ctx, porch_why *why) {
    rest_job *job = ctx;
    porch_db_query *q = porch_db_prepare(
        db,
        "select household from erasure union select id from household where name = 'A released device' and "
        "length(id) = 25 and id glob 'released-*' and substr(id, 10) not glob '*[^0-9a-f]*' limit 1",
        why);
    porch_err e = porch_db_step(q, why);
    job->household[0] = '\0';
    if (e == PORCH_OK)
        (void)porch_bytes_to_text(porch_db_text(q, 0), job->household, sizeof job->household);
    porch_db_finish(q);
    return e == PORCH_ERR_NOT_FOUND ? PORCH_OK : e;
}

static porch_err erase_rest(const porch_erase_rooms *rooms, porch_why *why) {
    rest_job job;
    for (;;) {
        PORCH_TRY(porch_store_read(rooms->store, next_rest, &job, why));
        if (job.household[0] == '\0') return PORCH_OK;
        porch_log(PORCH_LOG_INFO, "household.erasing", "reason", "an erasure broke off before its end",
                  NULL);
        porch_err e = porch_household_erase_now(rooms, job.household, "hub", why);
        if (e == PORCH_ERR_NOT_FOUND) e = porch_store_write(rooms->store, forget_names, job.household, why);
        PORCH_TRY(e);
    }
}

porch_err porch_household_erase_rest(const porch_erase_rooms *rooms, porch_why *why) {
    porch_household_erase_lock();
    porch_err e = erase_rest(rooms, why);
    porch_household_erase_unlock();
    return e;
}
