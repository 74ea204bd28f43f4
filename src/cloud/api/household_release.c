#include "cloud/api/household_release.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/api/household_export.h"
#include "cloud/media/media_keep.h"
#include "cloud/trust/trust.h"
#include "crypto/random.h"
#include "os/log.h"

typedef struct {
    const char *device, *from, *to, *who;
    int64_t bytes; /* of its clips: they count for nobody from then on */
} move;

static porch_err sum_clips(porch_db *db, move *m, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db,
                                         "select coalesce(sum(bytes + indexed_bytes), 0) from clip where "
                                         "device = ?1 and household = ?2 and state = 1",
                                         why);
    porch_db_bind_str(q, 1, m->device);
    porch_db_bind_str(q, 2, m->from);
    porch_err e = porch_db_step(q, why);
    m->bytes = e == PORCH_OK ? porch_db_i64(q, 0) : 0;
    porch_db_finish(q);
    return e;
}

/* In the transaction that moves the device. Former households of the same name's devices keep theirs. */
static porch_err move_rows(porch_db *db, void *ctx, porch_why *why) {
    static const char *const sql[] = {
        "update event set household = ?3 where device = ?1 and household = ?2",
        "update clip set household = ?3 where device = ?1 and household = ?2",
        "update notification set household = ?3 where device = ?1 and household = ?2",
        /* a token of the old household would let it in there again */
        "delete from claim_token where device = ?1 and ?2 <> ?3",
        "delete from push_snooze where device = ?1 and ?2 <> ?3",
    };
    move *m = ctx;
    char subject[96], detail[128];
    PORCH_TRY(sum_clips(db, m, why));
    for (size_t i = 0; i < sizeof sql / sizeof sql[0]; i++) {
        porch_db_query *q = porch_db_prepare(db, sql[i], why);
        porch_db_bind_str(q, 1, m->device);
        porch_db_bind_str(q, 2, m->from);
        porch_db_bind_str(q, 3, m->to);
        PORCH_TRY(porch_db_execute(q, why));
    }
    (void)snprintf(subject, sizeof subject, "device:%s", m->device);
    (void)snprintf(detail, sizeof detail, "{\"household\":\"%s\"}", m->from);
    return porch_trust_append(db, "device.release", m->who, subject, detail, why);
}

static void name_of(char out[PORCH_REGISTRY_NAME_BYTES]) {
    uint8_t raw[8];
    porch_random(raw, sizeof raw);
    (void)snprintf(out, PORCH_REGISTRY_NAME_BYTES, "released-");
    porch_buf b = {(uint8_t *)out, strlen(out), PORCH_REGISTRY_NAME_BYTES - 1};
    (void)porch_hex_write(&b, (porch_bytes){raw, sizeof raw});
    out[b.len] = '\0';
}

static porch_err release(const porch_erase_rooms *rooms, const char *device, const char *household,
                         const char *who, porch_why *why) {
    char to[PORCH_REGISTRY_NAME_BYTES];
    porch_registry_device d;
    if (porch_registry_device_get(rooms->registry, device, &d) != PORCH_OK ||
        (household != NULL && strcmp(d.household, household) != 0))
        return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no device called %.64s", device);
    porch_err e = porch_registry_device_revoke(rooms->registry, d.id, who, why);
    if (e != PORCH_OK && e != PORCH_ERR_STATE) return e; /* STATE: it is revoked already */
    PORCH_TRY(porch_media_uploads_erase_device(rooms->media, d.id, why));
    name_of(to);
    PORCH_TRY(
        porch_registry_household_add(rooms->registry, to, "A released device", NULL, "hub", NULL, why));
    move m = {.device = d.id, .from = d.household, .to = to, .who = who};
    PORCH_TRY(porch_registry_device_move(rooms->registry, d.id, d.household, to, move_rows, &m, why));
    /* One that began before may hold what is to be nowhere; one that begins now cannot. */
    porch_exports_end(rooms->exports, d.household);
    porch_media_account(rooms->media, d.household, -m.bytes);
    porch_media_account(rooms->media, to, m.bytes);
    porch_log(PORCH_LOG_INFO, "device.released", "device", d.id, "household", d.household, "by", who, NULL);
    return porch_household_erase_now(rooms, to, "hub", why);
}

/* The household of its own is not taken for one that broke off while it is still being made. */
porch_err porch_device_release(const porch_erase_rooms *rooms, const char *device, const char *household,
                               const char *who, porch_why *why) {
    porch_household_erase_lock();
    porch_err e = release(rooms, device, household, who, why);
    porch_household_erase_unlock();
    return e;
}
