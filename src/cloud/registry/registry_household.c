/* Households: to whom a device belongs, and in whose time zone its news are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/registry/registry_room.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"
#include "wire/id.h"

typedef struct {
    porch_registry_household row;
    const char *who;
    bool fresh; /* else its time zone changes */
} household_change;

/* An IANA name by its shape: parts of letters, digits, '_', '+', '-' between single slashes. It becomes
 * part of a path below the time zone folder, so nothing else may be in it. */
static bool timezone_shaped(const char *text) {
    size_t len = strnlen(text, PORCH_REGISTRY_NAME_BYTES);
    if (len == 0 || len >= PORCH_REGISTRY_NAME_BYTES) return false;
    char before = '/';
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
        if (c == '/' ? before == '/' : !(letter || other)) return false;
        before = c;
    }
    return before != '/';
}

static porch_err check_timezone(const char *text, porch_why *why) {
    if (timezone_shaped(text)) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_MALFORMED, "a time zone is an IANA name such as Europe/Berlin");
}

static porch_err check_name(const char *name, porch_why *why) {
    size_t len = name == NULL ? 0 : strnlen(name, PORCH_REGISTRY_TEXT_BYTES);
    bool fine = len > 0 && len < PORCH_REGISTRY_TEXT_BYTES &&
                porch_utf8_valid((porch_bytes){(const uint8_t *)name, len});
    for (size_t i = 0; fine && i < len; i++)
        fine = (uint8_t)name[i] >= 0x20 && name[i] != 0x7f;
    return fine ? PORCH_OK
                : porch_fail(why, PORCH_ERR_MALFORMED,
                             "a household's name is 1 to %d bytes of UTF-8 without control characters",
                             PORCH_REGISTRY_TEXT_BYTES - 1);
}

/* "The Müllers' house" becomes "the-m-llers-house". False when nothing is left. */
static bool id_of_name(const char *name, char out[PORCH_REGISTRY_NAME_BYTES]) {
    size_t len = 0;
    for (; *name != '\0' && len < PORCH_REGISTRY_NAME_BYTES - 1; name++) {
        char c = *name;
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (kept) {
            out[len++] = c;
        } else if (len > 0 && out[len - 1] != '-') {
            out[len++] = '-';
        }
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    out[len] = '\0';
    return len > 0;
}

static porch_err write_household(porch_db *db, void *ctx, porch_why *why) {
    const household_change *c = ctx;
    porch_db_query *q;
    if (c->fresh) {
        q = porch_db_prepare(
            db, "insert into household (id, name, timezone, added_ms) values (?1, ?3, ?2, ?4)", why);
        porch_db_bind_str(q, 3, c->row.name);
        porch_db_bind_i64(q, 4, (int64_t)c->row.added_ms);
    } else {
        q = porch_db_prepare(db, "update household set timezone = ?2 where id = ?1", why);
    }
    porch_db_bind_str(q, 1, c->row.id);
    porch_db_bind_str(q, 2, c->row.timezone);
    PORCH_TRY(porch_db_execute(q, why));
    char subject[96], detail[128];
    (void)snprintf(subject, sizeof subject, "household:%s", c->row.id);
    (void)snprintf(detail, sizeof detail, "{\"timezone\":\"%s\"}", c->row.timezone);
    return porch_trust_append(db, c->fresh ? "household.add" : "household.timezone", c->who, subject,
                              detail, why);
}

static porch_err remember_household(porch_registry *r, const household_change *c, porch_why *why) {
    porch_registry_household *fresh = NULL;
    porch_err e = PORCH_OK;
    if (c->fresh) {
        fresh = malloc(sizeof *fresh);
        if (fresh == NULL) e = PORCH_ERR_INTERNAL;
    }
    pthread_rwlock_wrlock(&r->lock);
    if (fresh != NULL) {
        *fresh = c->row;
        e = porch_registry_table_add(&r->households, fresh);
        if (e == PORCH_OK) fresh = NULL;
    } else if (e == PORCH_OK) {
        porch_registry_household *h = porch_registry_table_find(&r->households, c->row.id);
        if (h != NULL) memcpy(h->timezone, c->row.timezone, sizeof h->timezone);
    }
    pthread_rwlock_unlock(&r->lock);
    free(fresh);
    return e == PORCH_OK ? e
                         : porch_fail(why, e, "no memory for the registry; it is stored, restart the hub");
}

porch_err porch_registry_household_add(porch_registry *r, const char *id, const char *name,
                                       const char *zone, const char *who,
                                       char made[PORCH_REGISTRY_NAME_BYTES], porch_why *why) {
    household_change c = {.who = who, .fresh = true};
    c.row.added_ms = porch_clock_ms();
    PORCH_TRY(check_name(name, why));
    PORCH_TRY(check_timezone(zone != NULL ? zone : "UTC", why));
    porch_id parsed;
    if (id == NULL ? !id_of_name(name, c.row.id) : porch_id_parse(porch_bytes_of(id), &parsed) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "a household's id is made of lower-case letters, digits and '-', 1 to 64 long");
    if (id != NULL) porch_registry_copy_text(c.row.id, sizeof c.row.id, porch_bytes_of(id));
    porch_registry_copy_text(c.row.name, sizeof c.row.name, porch_bytes_of(name));
    porch_registry_copy_text(c.row.timezone, sizeof c.row.timezone,
                             porch_bytes_of(zone != NULL ? zone : "UTC"));

    pthread_mutex_lock(&r->change);
    porch_err e = PORCH_OK;
    if (porch_registry_table_find(&r->households, c.row.id) != NULL) {
        e = porch_fail(why, PORCH_ERR_EXISTS, "there is a household %s already", c.row.id);
    } else if (r->households.count >= r->settings.registry_households) {
        e = porch_fail(why, PORCH_ERR_LIMIT, "there are as many households as registry.households allows");
    }
    if (e == PORCH_OK) e = porch_store_write(r->store, write_household, &c, why);
    if (e == PORCH_OK) e = remember_household(r, &c, why);
    if (e == PORCH_OK && made != NULL) memcpy(made, c.row.id, sizeof c.row.id);
    pthread_mutex_unlock(&r->change);
    return e;
}

porch_err porch_registry_household_set_timezone(porch_registry *r, const char *id, const char *zone,
                                                const char *who, porch_why *why) {
    household_change c = {.who = who};
    PORCH_TRY(check_timezone(zone, why));
    pthread_mutex_lock(&r->change);
    const porch_registry_household *h = porch_registry_table_find(&r->households, id);
    porch_err e = PORCH_OK;
    if (h == NULL) {
        e = porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no household called %.64s", id);
    } else {
        c.row = *h;
        porch_registry_copy_text(c.row.timezone, sizeof c.row.timezone, porch_bytes_of(zone));
        e = porch_store_write(r->store, write_household, &c, why);
    }
    if (e == PORCH_OK) e = remember_household(r, &c, why);
    pthread_mutex_unlock(&r->change);
    return e;
}
