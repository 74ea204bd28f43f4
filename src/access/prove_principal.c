/* Who is meant by a member row: each kind of principal that it admits, with what is known of it fixed and
 * everything else free. A row of a tag or of people stands for several, which are set one after the other.
 */
#include "access/prove_room.h"

/* ---- principals ----------------------------------------------------------------------------------- */

static void set_slots(prove_search *s, porch_access_kind kind, unsigned free_ones) {
    s->kind = kind;
    s->role = 0;
    for (int i = 0; i < PROVE_SLOTS; i++) {
        bool is_free = (free_ones >> i & 1u) != 0;
        s->slots[i] = (prove_slot){{NULL, 0}, is_free, !is_free};
    }
}

static void set_free_device(prove_search *s) {
    set_slots(s, PORCH_ACCESS_DEVICE, 1u << PROVE_ID | 1u << PROVE_PRODUCT | 1u << PROVE_HOUSEHOLD);
}

void porch_prove_set_device(prove_search *s, porch_bytes id) {
    porch_access_principal known = {.kind = PORCH_ACCESS_DEVICE, .name = id};
    set_free_device(s);
    s->slots[PROVE_ID] = (prove_slot){id, false, false};
    if (s->q->device == NULL || !s->q->device(id, &known, s->q->device_ctx)) return;
    s->slots[PROVE_PRODUCT] = (prove_slot){known.product, false, known.product.len == 0};
    s->slots[PROVE_HOUSEHOLD] = (prove_slot){known.household, false, known.household.len == 0};
}

size_t porch_prove_first_tagged(const porch_access_document *d, porch_bytes tag) {
    size_t i = 0;
    while (i < d->tagged_count && !porch_bytes_eq(d->tagged[i].tag, tag))
        i++;
    return i;
}

/* People of these roles (0: all), each in turn: there is no fifth role that could stand for all. */
static void each_role(prove_search *s, porch_bytes name, porch_bytes household, porch_role only,
                      prove_with_principal then, const void *more) {
    for (unsigned i = 0; i < PORCH_ROLES && !s->found_here && !s->enough; i++) {
        porch_role role = (porch_role)(1u << i);
        if (only != 0 && only != role) continue;
        set_slots(s, PORCH_ACCESS_PERSON, 1u << PROVE_HOUSEHOLD | 1u << PROVE_PERSON);
        s->role = role;
        if (name.len > 0) s->slots[PROVE_PERSON] = (prove_slot){name, false, false};
        if (household.len > 0) s->slots[PROVE_HOUSEHOLD] = (prove_slot){household, false, false};
        then(s, more);
    }
}

bool porch_prove_known_person(const prove_search *s, porch_bytes name, porch_access_principal *ret) {
    *ret = (porch_access_principal){.kind = PORCH_ACCESS_PERSON, .name = name};
    return s->q->person != NULL && s->q->person(name, ret, s->q->device_ctx);
}

static void each_person(prove_search *s, const porch_access_member *m, prove_with_principal then,
                        const void *more) {
    porch_access_principal known;
    porch_bytes household;
    porch_role role;
    if (porch_access_member_people(m, &household, &role))
        each_role(s, (porch_bytes){NULL, 0}, household, role, then, more);
    else if (porch_prove_known_person(s, m->value, &known))
        each_role(s, m->value, known.household, known.role, then, more);
    else
        each_role(s, m->value, (porch_bytes){NULL, 0}, 0, then, more);
}

void porch_prove_each_principal(prove_search *s, const porch_access_document *d,
                                const porch_access_member *m, prove_with_principal then, const void *more) {
    s->found_here = false;
    switch (m->kind) {
    case PORCH_ACCESS_MEMBER_EVERY_PERSON:
    case PORCH_ACCESS_MEMBER_PEOPLE:
    case PORCH_ACCESS_MEMBER_PERSON:
        each_person(s, m, then, more);
        return;
    case PORCH_ACCESS_MEMBER_EVERY_DEVICE:
        set_free_device(s);
        break;
    case PORCH_ACCESS_MEMBER_DEVICE:
        porch_prove_set_device(s, m->value);
        break;
    case PORCH_ACCESS_MEMBER_HOUSEHOLD:
    case PORCH_ACCESS_MEMBER_PRODUCT:
        set_free_device(s);
        s->slots[m->kind == PORCH_ACCESS_MEMBER_PRODUCT ? PROVE_PRODUCT : PROVE_HOUSEHOLD] =
            (prove_slot){m->value, false, false};
        break;
    case PORCH_ACCESS_MEMBER_SERVICE:
        set_slots(s, PORCH_ACCESS_SERVICE, 0);
        s->slots[PROVE_SERVICE] = (prove_slot){m->value, false, false};
        break;
    case PORCH_ACCESS_MEMBER_TAG:
        for (size_t i = porch_prove_first_tagged(d, m->value);
             i < d->tagged_count && porch_bytes_eq(d->tagged[i].tag, m->value) && !s->enough &&
             !s->found_here;
             i++) {
            porch_prove_set_device(s, d->tagged[i].device);
            then(s, more);
        }
        return;
    case PORCH_ACCESS_MEMBER_KINDS:
        return;
    }
    then(s, more);
}

/* ---- what is tried of each ---------------------------------------------------------------------- */

unsigned porch_prove_widened(unsigned actions) {
    return actions | ((actions & PORCH_ACCESS_SUBSCRIBE) != 0 ? PORCH_ACCESS_RECEIVE : 0u);
}

void porch_prove_try(prove_search *s, const void *more) {
    (void)more;
    porch_prove_depths(s);
}

bool porch_prove_take_up(prove_search *s, size_t k) {
    s->statement = &s->group->statements[k];
    if (s->statement->effect != PORCH_ACCESS_ALLOW ||
        (porch_prove_widened(s->statement->actions) & s->action) == 0)
        return false;
    s->proof->statements++;
    s->says = porch_prove_cut(s->statement->filter.text);
    return true;
}
