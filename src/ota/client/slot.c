#include "ota/client/slot.h"

#include <string.h>

/* ---- the decision ---- */

typedef enum { NO, YES, ANY } answer;

typedef enum {
    START_OTHER,   /* a try is taken first */
    GIVE_UP_OTHER, /* rolled back; the table is asked again */
    START_ACTIVE,
    FALL_BACK, /* the active one is damaged: the old one becomes active */
    START_NOTHING
} action;

typedef struct {
    answer pending; /* is the other slot staged or on trial? */
    answer tries;   /* are there tries left? */
    answer whole;   /* is the other image what was signed? */
    answer above;   /* is it not below the floor? */
    answer old;     /* is it what was good before? */
    answer active;  /* is the active image what was signed, and not below the floor? */
    action then;
    porch_slot_reason reason;
} row;

/* The first row that fits decides. */
static const row table[] = {
    /* pending tries whole above old  active  */
    {YES, ANY, NO, ANY, ANY, ANY, GIVE_UP_OTHER, PORCH_SLOT_DAMAGED},
    {YES, ANY, YES, NO, ANY, ANY, GIVE_UP_OTHER, PORCH_SLOT_BELOW_FLOOR},
    {YES, NO, YES, YES, ANY, ANY, GIVE_UP_OTHER, PORCH_SLOT_NOT_CONFIRMED},
    {YES, YES, YES, YES, ANY, ANY, START_OTHER, PORCH_SLOT_NO_REASON},
    {NO, ANY, ANY, ANY, ANY, YES, START_ACTIVE, PORCH_SLOT_NO_REASON},
    {NO, ANY, YES, YES, YES, NO, FALL_BACK, PORCH_SLOT_DAMAGED},
    {ANY, ANY, ANY, ANY, ANY, ANY, START_NOTHING, PORCH_SLOT_NO_REASON},
};

static bool whole(const porch_slots *s, unsigned slot) {
    uint8_t hash[32];
    const porch_slot_image *image = &s->now.image[slot];
    return image->length > 0 && s->port->hash_image(s->self, slot, image->length, hash) == PORCH_OK &&
           memcmp(hash, image->sha256, sizeof hash) == 0;
}

static bool fits(answer wanted, bool is) {
    return wanted == ANY || (wanted == YES) == is;
}

static const row *decide(const porch_slots *s) {
    const porch_slot_record *r = &s->now;
    unsigned other = 1u - r->active;
    bool pending = r->other == PORCH_SLOT_STAGED || r->other == PORCH_SLOT_TRIAL;
    bool old = r->other == PORCH_SLOT_OLD;
    /* Hashing takes time: each image is read only where a row can depend on it. */
    bool active_whole = !pending && r->image[r->active].counter >= r->floor && whole(s, r->active);
    bool other_whole = (pending || (old && !active_whole)) && whole(s, other);
    bool above = r->image[other].counter >= r->floor;
    const row *at = table;
    while (!(fits(at->pending, pending) && fits(at->tries, r->tries > 0) && fits(at->whole, other_whole) &&
             fits(at->above, above) && fits(at->old, old) && fits(at->active, active_whole)))
        at++; /* the last row fits everything */
    return at;
}

/* ---- the record ---- */

static porch_err read_kept(porch_slots *s, porch_why *why) {
    s->kept = 0;
    if (s->port->read_floor == NULL) return PORCH_OK;
    porch_err e = s->port->read_floor(s->self, &s->kept);
    return e == PORCH_OK ? e : porch_fail(why, e, "the floor in the key store cannot be read");
}

/* The record comes first, and the key store follows: the other way round, a cut between the two would leave
 * a device whose only good image is below its floor. What fails here is done at the next boot. */
static void keep_floor(porch_slots *s) {
    if (s->port->raise_floor != NULL && s->now.floor > s->kept &&
        s->port->raise_floor(s->self, s->now.floor) == PORCH_OK)
        s->kept = s->now.floor;
}

porch_err porch_slots_open(porch_slots *s, porch_why *why) {
    bool found = false;
    for (unsigned copy = 0; copy < 2; copy++) {
        uint8_t bytes[PORCH_SLOT_RECORD_BYTES];
        porch_slot_record r;
        if (s->port->read_record(s->self, copy, bytes) != PORCH_OK ||
            porch_slot_record_read(s->crypto, (porch_bytes){bytes, sizeof bytes}, &r) != PORCH_OK)
            continue;
        if (found && r.sequence < s->now.sequence) continue;
        s->now = r;
        s->copy = copy;
        found = true;
    }
    if (!found) return porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no whole record of the slots");
    PORCH_TRY(read_kept(s, why));
    if (s->kept > s->now.floor) s->now.floor = s->kept;
    return PORCH_OK;
}

/* The next record, to the copy that is not the truth; then it is. */
static porch_err save(porch_slots *s, porch_slot_record next, porch_why *why) {
    uint8_t bytes[PORCH_SLOT_RECORD_BYTES];
    next.sequence = s->now.sequence + 1;
    porch_slot_record_write(s->crypto, &next, bytes);
    porch_err e = s->port->write_record(s->self, 1u - s->copy, bytes);
    if (e != PORCH_OK) return porch_fail(why, e, "the record of the slots could not be written");
    s->now = next;
    s->copy = 1u - s->copy;
    return PORCH_OK;
}

porch_err porch_slots_format(porch_slots *s, const porch_slot_image *image, porch_why *why) {
    porch_why unused;
    if (porch_slots_open(s, &unused) == PORCH_OK)
        return porch_fail(why, PORCH_ERR_EXISTS, "the slots have a record already");
    PORCH_TRY(read_kept(s, why));
    if (image->counter < s->kept)
        return porch_fail(why, PORCH_ERR_ROLLBACK,
                          "the image's counter %llu is below the floor %llu in the key store",
                          (unsigned long long)image->counter, (unsigned long long)s->kept);
    s->now = (porch_slot_record){0};
    s->copy = 1;
    porch_slot_record first = {.floor = image->counter, .image = {*image}};
    return save(s, first, why);
}

/* A storage that takes nothing any more (an image on trial may have filled it) must not keep the device
 * from starting: what was good before starts, and the record stays as it is. A trial without its try
 * counted would go on for ever. */
static porch_err boot_unrecorded(const porch_slots *s, action then, porch_err e, unsigned *slot) {
    unsigned active = s->now.active;
    if (then == FALL_BACK) {
        *slot = 1u - active; /* which was looked at just now */
        return PORCH_OK;
    }
    if (s->now.image[active].counter < s->now.floor || !whole(s, active)) return e;
    *slot = active;
    return PORCH_OK;
}

static porch_err boot(porch_slots *s, unsigned *slot, porch_why *why) {
    for (;;) {
        const row *at = decide(s);
        porch_err e = PORCH_OK;
        porch_slot_record next = s->now;
        unsigned other = 1u - s->now.active;
        switch (at->then) {
        case START_OTHER:
            next.other = PORCH_SLOT_TRIAL;
            next.tries--;
            e = save(s, next, why);
            if (e != PORCH_OK) return boot_unrecorded(s, at->then, e, slot);
            *slot = other;
            return PORCH_OK;
        case GIVE_UP_OTHER:
            next.other = PORCH_SLOT_ROLLED_BACK;
            next.reason = at->reason;
            next.tries = 0;
            e = save(s, next, why);
            if (e != PORCH_OK) return boot_unrecorded(s, at->then, e, slot);
            break;
        case START_ACTIVE:
            *slot = s->now.active;
            return PORCH_OK;
        case FALL_BACK:
            next.active = (uint8_t)other;
            next.other = PORCH_SLOT_ROLLED_BACK;
            next.reason =
                s->now.image[s->now.active].counter < s->now.floor ? PORCH_SLOT_BELOW_FLOOR : at->reason;
            e = save(s, next, why);
            if (e != PORCH_OK) return boot_unrecorded(s, at->then, e, slot);
            break;
        case START_NOTHING:
            return porch_fail(why, PORCH_ERR_NOT_FOUND,
                              "no slot holds a whole image that is not below the floor");
        }
    }
}

porch_err porch_slots_boot(porch_slots *s, unsigned *slot, porch_why *why) {
    PORCH_TRY(boot(s, slot, why));
    keep_floor(s);
    return PORCH_OK;
}

/* ---- the agent ---- */

static bool same_image(const porch_slot_image *a, const porch_slot_image *b) {
    return a->counter == b->counter && a->length == b->length &&
           memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

porch_err porch_slots_begin(porch_slots *s, const porch_slot_image *image, unsigned *slot, uint64_t *from,
                            porch_why *why) {
    porch_slot_record next = s->now;
    unsigned other = 1u - s->now.active;
    if (image->counter < s->now.floor)
        return porch_fail(why, PORCH_ERR_ROLLBACK,
                          "the image's counter %llu is below this device's floor %llu",
                          (unsigned long long)image->counter, (unsigned long long)s->now.floor);
    if (image->length == 0) return porch_fail(why, PORCH_ERR_MALFORMED, "the image is empty");
    if (s->now.other == PORCH_SLOT_TRIAL)
        return porch_fail(why, PORCH_ERR_STATE, "an update is on trial; confirm or reject it first");
    bool goes_on = s->now.other == PORCH_SLOT_WRITING && same_image(&s->now.image[other], image);
    if (!goes_on) {
        next.other = PORCH_SLOT_WRITING;
        next.reason = PORCH_SLOT_NO_REASON;
        next.written = 0;
        next.tries = 0;
        next.image[other] = *image;
        PORCH_TRY(save(s, next, why));
    }
    *slot = other;
    *from = s->now.written;
    return PORCH_OK;
}

porch_err porch_slots_progress(porch_slots *s, uint64_t written, porch_why *why) {
    porch_slot_record next = s->now;
    if (s->now.other != PORCH_SLOT_WRITING || written > s->now.image[1u - s->now.active].length)
        return porch_fail(why, PORCH_ERR_STATE, "no image of that length is being written");
    next.written = written;
    return save(s, next, why);
}

porch_err porch_slots_stage(porch_slots *s, porch_why *why) {
    porch_slot_record next = s->now;
    if (s->now.other != PORCH_SLOT_WRITING)
        return porch_fail(why, PORCH_ERR_STATE, "no image is being written");
    bool good = whole(s, 1u - s->now.active);
    next.other = good ? PORCH_SLOT_STAGED : PORCH_SLOT_EMPTY;
    next.tries = good ? s->tries : 0;
    next.written = 0;
    PORCH_TRY(save(s, next, why));
    return good ? PORCH_OK
                : porch_fail(why, PORCH_ERR_HASH, "what was written is not the image that was signed");
}

porch_err porch_slots_unstage(porch_slots *s, porch_why *why) {
    porch_slot_record next = s->now;
    if (s->now.other != PORCH_SLOT_STAGED) return porch_fail(why, PORCH_ERR_STATE, "nothing is staged");
    next.other = PORCH_SLOT_WRITING;
    next.written = next.image[1u - next.active].length;
    next.tries = 0;
    return save(s, next, why);
}

porch_err porch_slots_confirm(porch_slots *s, porch_why *why) {
    porch_slot_record next = s->now;
    unsigned other = 1u - s->now.active;
    if (s->now.other != PORCH_SLOT_TRIAL) return porch_fail(why, PORCH_ERR_STATE, "no update is on trial");
    next.active = (uint8_t)other;
    next.other = PORCH_SLOT_OLD;
    next.tries = 0;
    if (next.image[other].counter > next.floor) next.floor = next.image[other].counter;
    PORCH_TRY(save(s, next, why));
    keep_floor(s);
    return PORCH_OK;
}

porch_err porch_slots_reject(porch_slots *s, porch_why *why) {
    porch_slot_record next = s->now;
    if (s->now.other != PORCH_SLOT_TRIAL) return porch_fail(why, PORCH_ERR_STATE, "no update is on trial");
    next.other = PORCH_SLOT_ROLLED_BACK;
    next.reason = PORCH_SLOT_UNHEALTHY;
    next.tries = 0;
    return save(s, next, why);
}
