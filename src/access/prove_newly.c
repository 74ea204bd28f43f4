/* What a change of the policy newly allows: two kinds of rows can do that.
 *
 *   an allow that was not said of this member before      asked about everything
 *   an allow that stands, where a deny of before is gone  asked about what that deny forbade, of whom it
 * did
 *
 * Whatever is allowed now and was not before is allowed by a row of one of these. Each finding is judged by
 * both policies, so none is told that was allowed already. */
#include <string.h>

#include "access/prove_room.h"

/* ---- what is new ---------------------------------------------------------------------------------- */

static bool has_member(const porch_access_group *g, const porch_access_member *m) {
    size_t low = 0, high = g->member_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = porch_access_member_order(&g->members[middle], m);
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool has_statement(const porch_access_group *g, const porch_access_statement *s) {
    for (size_t i = 0; i < g->statement_count; i++)
        if (g->statements[i].effect == s->effect && g->statements[i].actions == s->actions &&
            porch_bytes_eq(g->statements[i].filter.text, s->filter.text))
            return true;
    return false;
}

static bool same_tags(const porch_access_document *a, const porch_access_document *b) {
    if (a->tagged_count != b->tagged_count) return false;
    for (size_t i = 0; i < a->tagged_count; i++)
        if (!porch_bytes_eq(a->tagged[i].tag, b->tagged[i].tag) ||
            !porch_bytes_eq(a->tagged[i].device, b->tagged[i].device))
            return false;
    return true;
}

/* Did `in` say this of this member already? With other tags a tag's row may mean other devices. */
static bool said(const porch_access_document *in, bool tags_are_same, const porch_access_group *g,
                 const porch_access_member *m, const porch_access_statement *s) {
    const porch_access_group *same = porch_access_document_find(in, g->name);
    return same != NULL && (m->kind != PORCH_ACCESS_MEMBER_TAG || tags_are_same) && has_member(same, m) &&
           has_statement(same, s);
}

static bool narrow_slot(prove_slot *v, porch_bytes value) {
    if (!v->free) return porch_bytes_eq(v->value, value);
    *v = (prove_slot){value, false, false};
    return true;
}

static bool narrow_person(prove_search *s, const porch_access_member *m) {
    porch_access_principal known;
    porch_bytes household;
    porch_role role;
    if (s->kind != PORCH_ACCESS_PERSON) return false;
    if (porch_access_member_people(m, &household, &role))
        return (role == 0 || role == s->role) &&
               (household.len == 0 || narrow_slot(&s->slots[PROVE_HOUSEHOLD], household));
    if (!narrow_slot(&s->slots[PROVE_PERSON], m->value)) return false;
    return !porch_prove_known_person(s, m->value, &known) ||
           (known.role == s->role && narrow_slot(&s->slots[PROVE_HOUSEHOLD], known.household));
}

/* Narrows the principal to whom the other member row holds as well; false: nobody is both. */
static bool narrow(prove_search *s, const porch_access_member *m) {
    static const int of[PORCH_ACCESS_MEMBER_KINDS] = {[PORCH_ACCESS_MEMBER_DEVICE] = PROVE_ID,
                                                      [PORCH_ACCESS_MEMBER_HOUSEHOLD] = PROVE_HOUSEHOLD,
                                                      [PORCH_ACCESS_MEMBER_PRODUCT] = PROVE_PRODUCT,
                                                      [PORCH_ACCESS_MEMBER_SERVICE] = PROVE_SERVICE};
    if (m->kind >= PORCH_ACCESS_MEMBER_EVERY_PERSON) return narrow_person(s, m);
    if (s->kind != (m->kind == PORCH_ACCESS_MEMBER_SERVICE ? PORCH_ACCESS_SERVICE : PORCH_ACCESS_DEVICE))
        return false;
    if (m->kind == PORCH_ACCESS_MEMBER_EVERY_DEVICE) return true;
    prove_slot *v = &s->slots[of[m->kind]];
    if (v->absent) return false;
    if (!v->free) return porch_bytes_eq(v->value, m->value);
    if (m->kind == PORCH_ACCESS_MEMBER_DEVICE) {
        prove_slot kept[PROVE_SLOTS];
        memcpy(kept, s->slots, sizeof kept);
        porch_prove_set_device(s, m->value);
        for (int i = PROVE_PRODUCT; i <= PROVE_HOUSEHOLD; i++) {
            if (kept[i].free) continue;
            if (!s->slots[i].free && !porch_bytes_eq(kept[i].value, s->slots[i].value)) return false;
            s->slots[i] = kept[i];
        }
        return true;
    }
    *v = (prove_slot){m->value, false, false};
    return true;
}

/* The principal of an allow that stands, where a deny of before held it back and no more does. */
static void try_lifted(prove_search *s, const void *more) {
    const porch_access_member *denied = more;
    const porch_access_document *d = s->before->document;
    prove_slot kept[PROVE_SLOTS];
    memcpy(kept, s->slots, sizeof kept);
    if (denied->kind != PORCH_ACCESS_MEMBER_TAG) {
        if (narrow(s, denied)) porch_prove_depths(s);
        memcpy(s->slots, kept, sizeof kept);
        return;
    }
    for (size_t i = porch_prove_first_tagged(d, denied->value);
         i < d->tagged_count && porch_bytes_eq(d->tagged[i].tag, denied->value) && !s->found_here; i++) {
        porch_access_member one = {PORCH_ACCESS_MEMBER_DEVICE, d->tagged[i].device};
        if (narrow(s, &one)) porch_prove_depths(s);
        memcpy(s->slots, kept, sizeof kept);
    }
}

/* Two rows that each name one, and not the same one: nobody is both. */
static bool apart(const porch_access_member *a, const porch_access_member *b) {
    bool named = a->kind == PORCH_ACCESS_MEMBER_DEVICE || a->kind == PORCH_ACCESS_MEMBER_SERVICE ||
                 a->kind == PORCH_ACCESS_MEMBER_PERSON;
    return named && a->kind == b->kind && !porch_bytes_eq(a->value, b->value);
}

/* Every allow that stands, against one deny row that does not stand any more. */
static void try_lifted_deny(prove_search *s, const porch_access_member *denied,
                            const porch_access_statement *deny) {
    const porch_access_document *now = s->q->world->document;
    s->want = porch_prove_cut(deny->filter.text);
    for (size_t i = 0; i < now->group_count && !s->enough; i++) {
        s->group = &now->groups[i];
        for (size_t k = 0; k < s->group->statement_count && !s->enough; k++) {
            s->statement = &s->group->statements[k];
            if (s->statement->effect != PORCH_ACCESS_ALLOW ||
                (porch_prove_widened(s->statement->actions) & s->action) == 0)
                continue;
            s->says = porch_prove_cut(s->statement->filter.text);
            s->found_here = false;
            for (size_t n = 0; n < s->group->member_count && !s->found_here && !s->enough; n++) {
                s->member = &s->group->members[n];
                if (!apart(s->member, denied))
                    porch_prove_each_principal(s, now, s->member, try_lifted, denied);
            }
        }
    }
}

static void try_lifted_denies(prove_search *s, bool tags_are_same) {
    const porch_access_document *old = s->before->document, *now = s->q->world->document;
    for (size_t i = 0; i < old->group_count; i++) {
        const porch_access_group *g = &old->groups[i];
        for (size_t k = 0; k < g->statement_count; k++) {
            const porch_access_statement *deny = &g->statements[k];
            if (deny->effect != PORCH_ACCESS_DENY || (porch_prove_widened(deny->actions) & s->action) == 0)
                continue;
            for (size_t m = 0; m < g->member_count && !s->enough; m++)
                if (!said(now, tags_are_same, g, &g->members[m], deny))
                    try_lifted_deny(s, &g->members[m], deny);
        }
    }
}

static void try_new_allows(prove_search *s, bool tags_are_same) {
    const porch_access_document *now = s->q->world->document, *old = s->before->document;
    s->want = (prove_pattern){.rest = true};
    s->want_all = true;
    for (size_t i = 0; i < now->group_count && !s->enough; i++) {
        s->group = &now->groups[i];
        for (size_t k = 0; k < s->group->statement_count && !s->enough; k++) {
            if (!porch_prove_take_up(s, k)) continue;
            s->found_here = false;
            for (size_t m = 0; m < s->group->member_count && !s->found_here && !s->enough; m++) {
                s->member = &s->group->members[m];
                if (!said(old, tags_are_same, s->group, s->member, s->statement))
                    porch_prove_each_principal(s, now, s->member, porch_prove_try, NULL);
            }
        }
    }
    s->want_all = false;
}

/* Newly allowed is what a new row allows, or what a row that stands allows where a deny went. */
void porch_access_prove_newly(const porch_access_question *q, const porch_access_world *before,
                              porch_access_proof *ret) {
    static prove_search s;
    static const unsigned actions[3] = {PORCH_ACCESS_PUBLISH, PORCH_ACCESS_RECEIVE, PORCH_ACCESS_READ};
    bool tags_are_same = same_tags(q->world->document, before->document);
    *ret = (porch_access_proof){0, 0, 0};
    for (int a = 0; a < 3 && !(a > 0 && s.enough); a++) {
        s = (prove_search){.q = q, .proof = ret, .before = before, .action = actions[a]};
        porch_prove_prepare(&s);
        try_new_allows(&s, tags_are_same);
        try_lifted_denies(&s, tags_are_same);
    }
}
