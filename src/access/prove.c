#include "access/prove.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
    LEVELS_MOST = 128, /* the most that broker.topic_levels allows */
    TOPIC_MOST = 4096,
    STEPS_MOST = 200000, /* ways to split texts that are tried for one statement and member */
    NAME_MOST = 64,
};

/* ---- levels --------------------------------------------------------------------------------------- */

/* A filter cut into levels; "#" becomes `rest`. VICTIM in the place of a level is any other device's id. */
typedef struct {
    porch_bytes level[LEVELS_MOST];
    size_t count;
    bool rest, deep; /* deep: more levels than any message may have */
} pattern;

static const porch_bytes victim_level = {(const uint8_t *)"\1", 1};

static bool is(porch_bytes level, char c) {
    return level.len == 1 && level.at[0] == (uint8_t)c;
}

static pattern cut(porch_bytes filter) {
    pattern p = {.count = 0};
    porch_topic_level walk = porch_topic_level_first(filter);
    for (porch_bytes level; porch_topic_level_next(&walk, &level);) {
        if (is(level, '#')) {
            p.rest = true;
        } else if (p.count == LEVELS_MOST) {
            p.deep = true;
        } else {
            p.level[p.count++] = level;
        }
    }
    return p;
}

static bool has_variable(porch_bytes level) {
    for (size_t i = 0; i + 1 < level.len; i++)
        if (level.at[i] == '$' && level.at[i + 1] == '{') return true;
    return false;
}

/* ---- the search ----------------------------------------------------------------------------------- */

/* A value of the principal: fixed by membership, or free until something fixes it. */
typedef struct {
    porch_bytes value; /* empty: not yet */
    bool free, absent;
} slot;

enum { ID, PRODUCT, HOUSEHOLD, SERVICE, PERSON, SLOTS };
static const char *const variable_names[SLOTS] = {"device.id", "device.product", "household.id",
                                                  "service.name", "" /* no statement speaks of it */};

typedef enum { FRESH, TEXT, TEMPLATE } cell_kind;
typedef struct {
    cell_kind kind;
    porch_bytes text;
    bool victim;
    bool housemate; /* must be a device of the person's household */
} cell;

typedef struct {
    const porch_access_question *q;
    porch_access_proof *proof;
    /* what is asked */
    const porch_access_world *before; /* newly: must not allow it */
    const porch_access_group *but;    /* nobody: who is in it does not count */
    pattern want;                     /* count 0 and rest: everything, '$' too */
    bool want_all;
    unsigned action;
    /* what is tried now */
    const porch_access_group *group;
    const porch_access_member *member;
    const porch_access_statement *statement;
    pattern says;
    porch_access_kind kind; /* of the principal */
    porch_role role;        /* a person's */
    slot slots[SLOTS];
    cell cells[LEVELS_MOST];
    size_t depth, deepest, steps;
    char fresh[SLOTS][NAME_MOST]; /* id, product, household, victim, person; levels from the next */
    char fresh_level[NAME_MOST];
    char fresh_housemate[NAME_MOST];
    char home[NAME_MOST + 1]; /* of a device that settled which household it is */
    bool enough, found_here;
} search;

static bool occurs(porch_bytes text, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.len; i++)
        if (memcmp(text.at + i, word, n) == 0) return true;
    return false;
}

static bool is_mentioned(const porch_access_document *d, const char *word) {
    for (size_t i = 0; i < d->group_count; i++) {
        const porch_access_group *g = &d->groups[i];
        for (size_t k = 0; k < g->member_count; k++)
            if (occurs(g->members[k].value, word)) return true;
        for (size_t k = 0; k < g->statement_count; k++)
            if (occurs(g->statements[k].filter.text, word)) return true;
    }
    for (size_t i = 0; i < d->tagged_count; i++)
        if (occurs(d->tagged[i].device, word)) return true;
    return false;
}

/* Does the question speak of it, or does the hub have somebody of that name? */
static bool is_taken(const search *s, const char *word) {
    porch_access_principal known = {.kind = PORCH_ACCESS_DEVICE};
    for (size_t i = 0; i < s->want.count; i++)
        if (occurs(s->want.level[i], word)) return true;
    if (s->q->device != NULL && s->q->device(porch_bytes_of(word), &known, s->q->device_ctx)) return true;
    return s->q->person != NULL && s->q->person(porch_bytes_of(word), &known, s->q->device_ctx);
}

/* A name that stands nowhere: the word itself, or with a number behind it. */
static void make_fresh(const search *s, const char *word, char out[NAME_MOST]) {
    (void)snprintf(out, NAME_MOST, "%s", word);
    for (unsigned i = 2; is_taken(s, out) || is_mentioned(s->q->world->document, out) ||
                         (s->before != NULL && is_mentioned(s->before->document, out));
         i++)
        (void)snprintf(out, NAME_MOST, "%s-%u", word, i);
}

static size_t deepest_of(const porch_access_document *d) {
    size_t deepest = 0;
    for (size_t i = 0; i < d->group_count; i++)
        for (size_t k = 0; k < d->groups[i].statement_count; k++) {
            size_t levels = porch_topic_levels(d->groups[i].statements[k].filter.text);
            if (levels > deepest) deepest = levels;
        }
    return deepest;
}

static void prepare(search *s) {
    make_fresh(s, "stranger", s->fresh[ID]);
    make_fresh(s, "any-product", s->fresh[PRODUCT]);
    make_fresh(s, "any-household", s->fresh[HOUSEHOLD]);
    make_fresh(s, "victim", s->fresh[SERVICE]);
    make_fresh(s, "somebody", s->fresh[PERSON]);
    make_fresh(s, "x", s->fresh_level);
    make_fresh(s, "housemate", s->fresh_housemate);
    s->deepest = deepest_of(s->q->world->document);
    if (s->before != NULL && deepest_of(s->before->document) > s->deepest)
        s->deepest = deepest_of(s->before->document);
    if (s->want.count > s->deepest) s->deepest = s->want.count;
}

/* ---- the end of one way --------------------------------------------------------------------------- */

static bool is_id(porch_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (c != '-' || i == 0)) return false;
    }
    return text.len > 0 && text.len <= NAME_MOST;
}

static bool is_product(porch_bytes text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] == 0x7f || strchr("+#/$", text.at[i]) != NULL) return false;
    return text.len > 0 && text.len <= NAME_MOST && porch_utf8_valid(text);
}

static porch_bytes value_of(const search *s, size_t i) {
    const slot *v = &s->slots[i];
    return v->value.len == 0 && v->free ? porch_bytes_of(s->fresh[i]) : v->value;
}

static int slot_named(porch_bytes name) {
    for (int i = 0; i < SLOTS; i++)
        if (porch_bytes_eq_text(name, variable_names[i])) return i;
    return -1;
}

/* Cuts "${name}" or the literal before the next one from the front of a level. */
static porch_bytes take_piece(porch_bytes *level, bool *variable) {
    size_t n = 0;
    porch_bytes ret;
    *variable = level->len > 2 && level->at[0] == '$' && level->at[1] == '{';
    if (*variable) {
        while (n < level->len && level->at[n] != '}')
            n++;
        ret = (porch_bytes){level->at + 2, n - 2};
        n++;
    } else {
        do
            n++;
        while (n < level->len && !(level->at[n] == '$' && n + 1 < level->len && level->at[n + 1] == '{'));
        ret = (porch_bytes){level->at, n};
    }
    *level = (porch_bytes){level->at + n, level->len - n};
    return ret;
}

static bool put_template(const search *s, porch_bytes level, porch_buf *out) {
    while (level.len > 0) {
        bool variable;
        porch_bytes piece = take_piece(&level, &variable);
        if (variable) {
            int i = slot_named(piece);
            if (i < 0 || s->slots[i].absent) return false;
            piece = value_of(s, (size_t)i);
        }
        if (piece.len > out->cap - out->len) return false;
        memcpy(out->at + out->len, piece.at, piece.len);
        out->len += piece.len;
    }
    return true;
}

static bool put(porch_buf *out, porch_bytes text) {
    if (text.len > out->cap - out->len) return false;
    if (text.len > 0) memcpy(out->at + out->len, text.at, text.len);
    out->len += text.len;
    return true;
}

/* Writes the topic; *victim is the level that must be another's id. */
static bool put_topic(const search *s, porch_buf *out, porch_bytes *victim) {
    *victim = (porch_bytes){NULL, 0};
    for (size_t i = 0; i < s->depth; i++) {
        const cell *c = &s->cells[i];
        if (i > 0 && !put(out, PORCH_LIT("/"))) return false;
        size_t start = out->len;
        bool ok = c->kind == TEXT                    ? put(out, c->text)
                  : c->kind == FRESH && c->housemate ? put(out, porch_bytes_of(s->fresh_housemate))
                  : c->kind == TEMPLATE
                      ? put_template(s, c->text, out)
                      : put(out, porch_bytes_of(c->victim ? s->fresh[SERVICE] : s->fresh_level));
        if (!ok) return false;
        if (c->victim) *victim = (porch_bytes){out->at + start, out->len - start};
    }
    return out->len > 0;
}

static bool is_in(const search *s, const porch_access_world *w, const porch_access_group *g,
                  const porch_access_principal *who) {
    (void)s;
    for (size_t i = 0; i < g->member_count; i++)
        if (porch_access_index_holds(w->index, &g->members[i], who)) return true;
    return false;
}

static bool wanted(const search *s, porch_bytes topic) {
    if (s->want_all) return true;
    /* What the pattern's wildcards leave alone. */
    bool own = topic.at[0] == '$';
    bool wild = s->want.count == 0 || is(s->want.level[0], '+');
    return !(own && wild);
}

static porch_access_principal principal_of(const search *s) {
    static const porch_bytes none = {NULL, 0};
    porch_access_principal who = {.kind = s->kind, .name = none, .product = none, .household = none};
    who.name = value_of(s, s->kind == PORCH_ACCESS_SERVICE  ? SERVICE
                           : s->kind == PORCH_ACCESS_PERSON ? PERSON
                                                            : ID);
    if (s->kind == PORCH_ACCESS_DEVICE) who.product = value_of(s, PRODUCT);
    if (s->kind != PORCH_ACCESS_SERVICE) who.household = value_of(s, HOUSEHOLD);
    if (s->kind == PORCH_ACCESS_PERSON) who.role = s->role;
    return who;
}

typedef struct {
    porch_bytes texts[LEVELS_MOST];
    size_t count;
} housemates;

static bool is_among(const housemates *mates, porch_bytes id) {
    for (size_t i = 0; i < mates->count; i++)
        if (porch_bytes_eq(mates->texts[i], id)) return true;
    return false;
}

/* The devices among a topic's levels that are of the person's household: those that the registry has there,
 * and those that it does not have and that must be. False: one that must be is elsewhere, or no id. */
static bool take_housemates(const search *s, porch_bytes household, porch_bytes topic, housemates *ret) {
    porch_topic_level walk = porch_topic_level_first(topic);
    ret->count = 0;
    for (porch_bytes level; porch_topic_level_next(&walk, &level) && ret->count < s->depth;) {
        porch_access_principal known = {.kind = PORCH_ACCESS_DEVICE};
        ret->texts[ret->count++] = (porch_bytes){NULL, 0};
        bool must = s->cells[ret->count - 1].housemate;
        if (must && !is_id(level)) return false;
        bool there = s->q->device != NULL && is_id(level) && s->q->device(level, &known, s->q->device_ctx);
        bool at_home = there && porch_bytes_eq(known.household, household);
        if (must && there && !at_home) return false;
        if (must || at_home) ret->texts[ret->count - 1] = level;
    }
    return true;
}

/* Whose topics it is about must be another's: of a device another device, of a person a device that is not
 * of the household. */
static bool is_victim(const porch_access_principal *who, const housemates *mates, porch_bytes victim) {
    if (!is_id(victim)) return false;
    return who->kind == PORCH_ACCESS_PERSON ? !is_among(mates, victim) : !porch_bytes_eq(victim, who->name);
}

/* All is fixed: judge it. True: found. */
static bool finish(search *s) {
    static uint8_t text[TOPIC_MOST];
    static housemates mates;
    static uint64_t set[(TOPIC_MOST + LEVELS_MOST * 64) / 8];
    porch_buf out = {text, 0, sizeof text};
    porch_bytes victim;
    porch_access_principal who = principal_of(s);
    if (!put_topic(s, &out, &victim) || !wanted(s, porch_buf_bytes(&out))) return false;
    if (who.kind == PORCH_ACCESS_PERSON &&
        (!take_housemates(s, who.household, porch_buf_bytes(&out), &mates) ||
         porch_access_set_build(mates.texts, mates.count, set, sizeof set, &who.devices) != PORCH_OK))
        return false;
    if (victim.at != NULL && !is_victim(&who, &mates, victim)) return false;
    if (s->action == PORCH_ACCESS_PUBLISH && text[0] == '$') return false; /* the hub's own */
    if (s->but != NULL && is_in(s, s->q->world, s->but, &who)) return false;
    s->proof->candidates++;
    porch_access_verdict v = porch_access_world_judge(s->q->world, &who, s->action, porch_buf_bytes(&out));
    if (!v.allowed) return false;
    if (s->before != NULL &&
        porch_access_world_judge(s->before, &who, s->action, porch_buf_bytes(&out)).allowed)
        return false;
    porch_access_finding f = {.who = who,
                              .action = s->action,
                              .topic = porch_buf_bytes(&out),
                              .victim = victim,
                              .group = v.group,
                              .member = s->member,
                              .statement = v.statement};
    s->found_here = true;
    if (!s->q->found(&f, s->q->found_ctx)) s->enough = true;
    return true;
}

/* ---- level by level ------------------------------------------------------------------------------- */

static bool solve(search *s, size_t i);

static bool fits_slot(int i, porch_bytes value) {
    return i == PRODUCT ? is_product(value) : is_id(value);
}

/* Every way in which the template can be the text; behind each, the levels that follow. */
static bool split(search *s, porch_bytes template, porch_bytes text, size_t i) {
    if (++s->steps > STEPS_MOST) return false;
    if (template.len == 0) return text.len == 0 && solve(s, i + 1);
    bool variable;
    porch_bytes piece = take_piece(&template, &variable);
    if (!variable)
        return porch_bytes_starts(text, piece) &&
               split(s, template, (porch_bytes){text.at + piece.len, text.len - piece.len}, i);
    int at = slot_named(piece);
    if (at < 0 || s->slots[at].absent) return false;
    slot *v = &s->slots[at];
    if (v->value.len > 0 || !v->free)
        return v->value.len > 0 && porch_bytes_starts(text, v->value) &&
               split(s, template, (porch_bytes){text.at + v->value.len, text.len - v->value.len}, i);
    for (size_t n = 1; n <= text.len; n++) {
        porch_bytes value = {text.at, n};
        if (!fits_slot(at, value)) continue;
        v->value = value;
        bool found = split(s, template, (porch_bytes){text.at + n, text.len - n}, i);
        v->value = (porch_bytes){NULL, 0};
        if (found) return true;
    }
    return false;
}

/* Two different templates: alike if one is a single variable; else it is not decided. */
static bool equate(search *s, porch_bytes a, porch_bytes b, size_t i) {
    bool variable, decided = false;
    for (int turn = 0; turn < 2; turn++) {
        porch_bytes rest = turn == 0 ? a : b, other = turn == 0 ? b : a;
        porch_bytes piece = take_piece(&rest, &variable);
        int at = variable && rest.len == 0 ? slot_named(piece) : -1;
        if (at < 0) continue;
        decided = true;
        if (s->slots[at].absent) continue;
        uint8_t text[NAME_MOST + 1];
        porch_buf out = {text, 0, sizeof text};
        slot *v = &s->slots[at];
        if (v->value.len > 0 || !v->free) return split(s, other, v->value, i);
        if (!put_template(s, other, &out) || !fits_slot(at, porch_buf_bytes(&out))) continue;
        v->value = porch_buf_bytes(&out);
        bool found = solve(s, i + 1);
        v->value = (porch_bytes){NULL, 0};
        if (found) return true;
    }
    if (!decided) s->proof->undecided++;
    return false;
}

static bool is_devices(porch_bytes level) {
    return porch_bytes_eq_text(level, PORCH_ACCESS_DEVICES);
}

/* The level is ${household.device}, and `other` on the other side. */
static bool solve_housemate(search *s, porch_bytes other, size_t i) {
    slot *home = &s->slots[HOUSEHOLD];
    if (s->kind != PORCH_ACCESS_PERSON) return false; /* it has no such value */
    if (is(other, '+') || is_devices(other)) {
        s->cells[i] = (cell){.kind = FRESH, .housemate = true};
        return solve(s, i + 1);
    }
    if (other.at == victim_level.at) return false; /* a victim is of another household */
    s->cells[i] = (cell){has_variable(other) ? TEMPLATE : TEXT, other, false, true};
    porch_access_principal known = {.kind = PORCH_ACCESS_DEVICE};
    bool settles = !has_variable(other) && home->free && home->value.len == 0 && s->q->device != NULL &&
                   s->q->device(other, &known, s->q->device_ctx) && known.household.len > 0;
    settles = settles &&
              porch_bytes_to_text(known.household, s->home, sizeof s->home); /* the answer's end with it */
    if (settles) home->value = porch_bytes_of(s->home);
    bool found = solve(s, i + 1);
    if (settles) home->value = (porch_bytes){NULL, 0};
    return found;
}

static bool solve(search *s, size_t i) {
    static const porch_bytes any = {(const uint8_t *)"+", 1};
    if (s->enough || ++s->steps > STEPS_MOST) return false;
    if (i == s->depth) return finish(s);
    porch_bytes w = i < s->want.count ? s->want.level[i] : any;
    porch_bytes t = i < s->says.count ? s->says.level[i] : any;
    cell *c = &s->cells[i];
    bool victim = porch_bytes_eq(w, victim_level) && w.at == victim_level.at;
    bool t_template = has_variable(t), w_template = has_variable(w);
    if (is_devices(t)) return solve_housemate(s, w, i);
    if (is_devices(w)) return solve_housemate(s, t, i);
    if (victim || is(w, '+')) {
        *c = (cell){is(t, '+') ? FRESH : t_template ? TEMPLATE : TEXT, t, victim, false};
        return solve(s, i + 1);
    }
    if (is(t, '+')) {
        *c = (cell){w_template ? TEMPLATE : TEXT, w, false, false};
        return solve(s, i + 1);
    }
    *c = (cell){t_template ? TEMPLATE : TEXT, t, false, false};
    if (t_template && w_template) return porch_bytes_eq(t, w) ? solve(s, i + 1) : equate(s, t, w, i);
    if (t_template) return split(s, t, w, i);
    if (w_template) return split(s, w, t, i);
    return porch_bytes_eq(t, w) && solve(s, i + 1);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Every depth at which the statement and the question have topics in common. */
static void try_depths(search *s) {
    size_t from = larger(s->want.count, s->says.count), to = from;
    if (s->says.deep || s->want.deep) return;
    if (!s->want.rest && !s->says.rest && s->want.count != s->says.count) return;
    if (!s->want.rest && s->says.rest && s->says.count > s->want.count) return;
    if (s->want.rest && !s->says.rest && s->want.count > s->says.count) return;
    if (!s->want.rest && s->says.rest) from = to = s->want.count;
    if (s->want.rest && !s->says.rest) from = to = s->says.count;
    if (s->want.rest && s->says.rest) to = larger(from, s->deepest) + 1;
    if (to > LEVELS_MOST) to = LEVELS_MOST;
    s->steps = 0;
    for (s->depth = from == 0 ? 1 : from; s->depth <= to && !s->enough; s->depth++)
        if (solve(s, 0)) return;
    if (s->steps > STEPS_MOST) s->proof->undecided++;
}

/* ---- principals ----------------------------------------------------------------------------------- */

static void set_slots(search *s, porch_access_kind kind, unsigned free_ones) {
    s->kind = kind;
    s->role = 0;
    for (int i = 0; i < SLOTS; i++) {
        bool is_free = (free_ones >> i & 1u) != 0;
        s->slots[i] = (slot){{NULL, 0}, is_free, !is_free};
    }
}

static void set_free_device(search *s) {
    set_slots(s, PORCH_ACCESS_DEVICE, 1u << ID | 1u << PRODUCT | 1u << HOUSEHOLD);
}

static void set_device(search *s, porch_bytes id) {
    porch_access_principal known = {.kind = PORCH_ACCESS_DEVICE, .name = id};
    set_free_device(s);
    s->slots[ID] = (slot){id, false, false};
    if (s->q->device == NULL || !s->q->device(id, &known, s->q->device_ctx)) return;
    s->slots[PRODUCT] = (slot){known.product, false, known.product.len == 0};
    s->slots[HOUSEHOLD] = (slot){known.household, false, known.household.len == 0};
}

/* The first device of a tag in the document's rows, which stand by tag. */
static size_t first_tagged(const porch_access_document *d, porch_bytes tag) {
    size_t i = 0;
    while (i < d->tagged_count && !porch_bytes_eq(d->tagged[i].tag, tag))
        i++;
    return i;
}

typedef void (*with_principal)(search *s, const void *more);

/* People of these roles (0: all), each in turn: there is no fifth role that could stand for all. */
static void each_role(search *s, porch_bytes name, porch_bytes household, porch_role only,
                      with_principal then, const void *more) {
    for (unsigned i = 0; i < PORCH_ROLES && !s->found_here && !s->enough; i++) {
        porch_role role = (porch_role)(1u << i);
        if (only != 0 && only != role) continue;
        set_slots(s, PORCH_ACCESS_PERSON, 1u << HOUSEHOLD | 1u << PERSON);
        s->role = role;
        if (name.len > 0) s->slots[PERSON] = (slot){name, false, false};
        if (household.len > 0) s->slots[HOUSEHOLD] = (slot){household, false, false};
        then(s, more);
    }
}

static bool known_person(const search *s, porch_bytes name, porch_access_principal *ret) {
    *ret = (porch_access_principal){.kind = PORCH_ACCESS_PERSON, .name = name};
    return s->q->person != NULL && s->q->person(name, ret, s->q->device_ctx);
}

static void each_person(search *s, const porch_access_member *m, with_principal then, const void *more) {
    porch_access_principal known;
    porch_bytes household;
    porch_role role;
    if (porch_access_member_people(m, &household, &role))
        each_role(s, (porch_bytes){NULL, 0}, household, role, then, more);
    else if (known_person(s, m->value, &known))
        each_role(s, m->value, known.household, known.role, then, more);
    else
        each_role(s, m->value, (porch_bytes){NULL, 0}, 0, then, more);
}

static void each_principal(search *s, const porch_access_document *d, const porch_access_member *m,
                           with_principal then, const void *more) {
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
        set_device(s, m->value);
        break;
    case PORCH_ACCESS_MEMBER_HOUSEHOLD:
    case PORCH_ACCESS_MEMBER_PRODUCT:
        set_free_device(s);
        s->slots[m->kind == PORCH_ACCESS_MEMBER_PRODUCT ? PRODUCT : HOUSEHOLD] =
            (slot){m->value, false, false};
        break;
    case PORCH_ACCESS_MEMBER_SERVICE:
        set_slots(s, PORCH_ACCESS_SERVICE, 0);
        s->slots[SERVICE] = (slot){m->value, false, false};
        break;
    case PORCH_ACCESS_MEMBER_TAG:
        for (size_t i = first_tagged(d, m->value);
             i < d->tagged_count && porch_bytes_eq(d->tagged[i].tag, m->value) && !s->enough &&
             !s->found_here;
             i++) {
            set_device(s, d->tagged[i].device);
            then(s, more);
        }
        return;
    case PORCH_ACCESS_MEMBER_KINDS:
        return;
    }
    then(s, more);
}

/* ---- the questions -------------------------------------------------------------------------------- */

static unsigned widened(unsigned actions) {
    return actions | ((actions & PORCH_ACCESS_SUBSCRIBE) != 0 ? PORCH_ACCESS_RECEIVE : 0u);
}

static void just_try(search *s, const void *more) {
    (void)more;
    try_depths(s);
}

/* The group's statement `k`, if it is an allow about this action. */
static bool take_up(search *s, size_t k) {
    s->statement = &s->group->statements[k];
    if (s->statement->effect != PORCH_ACCESS_ALLOW || (widened(s->statement->actions) & s->action) == 0)
        return false;
    s->proof->statements++;
    s->says = cut(s->statement->filter.text);
    return true;
}

/* Every allow of the world about this action, with every member of its group. */
static void try_all(search *s, bool with_services) {
    const porch_access_document *d = s->q->world->document;
    for (size_t i = 0; i < d->group_count && !s->enough; i++) {
        s->group = &d->groups[i];
        for (size_t k = 0; k < s->group->statement_count && !s->enough; k++) {
            if (!take_up(s, k)) continue;
            for (size_t m = 0; m < s->group->member_count && !s->enough; m++) {
                s->member = &s->group->members[m];
                if (!with_services && s->member->kind == PORCH_ACCESS_MEMBER_SERVICE) continue;
                each_principal(s, d, s->member, just_try, NULL);
                if (s->found_here) break; /* one example for each statement */
            }
        }
    }
}

void porch_access_prove_isolation(const porch_access_question *q, porch_access_proof *ret) {
    static const unsigned actions[2] = {PORCH_ACCESS_PUBLISH, PORCH_ACCESS_RECEIVE};
    static search s;
    *ret = (porch_access_proof){0, 0, 0};
    for (int i = 0; i < 4 && !(i > 0 && s.enough); i++) {
        s = (search){.q = q, .proof = ret, .action = actions[i & 1]};
        s.want = (pattern){.rest = true};
        if ((i & 2) != 0) {
            s.want.level[0] = PORCH_LIT("$porchlight");
            s.want.level[1] = PORCH_LIT("device");
            s.want.level[2] = victim_level;
            s.want.count = 3;
        } else {
            s.want.level[0] = PORCH_LIT("d");
            s.want.level[1] = victim_level;
            s.want.count = 2;
        }
        prepare(&s);
        try_all(&s, false);
    }
}

void porch_access_prove_nobody(const porch_access_question *q, const porch_access_group *group,
                               unsigned action, porch_topic_filter filter, porch_access_proof *ret) {
    static search s;
    *ret = (porch_access_proof){0, 0, 0};
    s = (search){.q = q,
                 .proof = ret,
                 .but = group,
                 .action = action == PORCH_ACCESS_SUBSCRIBE ? PORCH_ACCESS_RECEIVE : action,
                 .want = cut(filter.text)};
    prepare(&s);
    try_all(&s, true);
}

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

static bool narrow_slot(slot *v, porch_bytes value) {
    if (!v->free) return porch_bytes_eq(v->value, value);
    *v = (slot){value, false, false};
    return true;
}

static bool narrow_person(search *s, const porch_access_member *m) {
    porch_access_principal known;
    porch_bytes household;
    porch_role role;
    if (s->kind != PORCH_ACCESS_PERSON) return false;
    if (porch_access_member_people(m, &household, &role))
        return (role == 0 || role == s->role) &&
               (household.len == 0 || narrow_slot(&s->slots[HOUSEHOLD], household));
    if (!narrow_slot(&s->slots[PERSON], m->value)) return false;
    return !known_person(s, m->value, &known) ||
           (known.role == s->role && narrow_slot(&s->slots[HOUSEHOLD], known.household));
}

/* Narrows the principal to whom the other member row holds as well; false: nobody is both. */
static bool narrow(search *s, const porch_access_member *m) {
    static const int of[PORCH_ACCESS_MEMBER_KINDS] = {[PORCH_ACCESS_MEMBER_DEVICE] = ID,
                                                      [PORCH_ACCESS_MEMBER_HOUSEHOLD] = HOUSEHOLD,
                                                      [PORCH_ACCESS_MEMBER_PRODUCT] = PRODUCT,
                                                      [PORCH_ACCESS_MEMBER_SERVICE] = SERVICE};
    if (m->kind >= PORCH_ACCESS_MEMBER_EVERY_PERSON) return narrow_person(s, m);
    if (s->kind != (m->kind == PORCH_ACCESS_MEMBER_SERVICE ? PORCH_ACCESS_SERVICE : PORCH_ACCESS_DEVICE))
        return false;
    if (m->kind == PORCH_ACCESS_MEMBER_EVERY_DEVICE) return true;
    slot *v = &s->slots[of[m->kind]];
    if (v->absent) return false;
    if (!v->free) return porch_bytes_eq(v->value, m->value);
    if (m->kind == PORCH_ACCESS_MEMBER_DEVICE) {
        slot kept[SLOTS];
        memcpy(kept, s->slots, sizeof kept);
        set_device(s, m->value);
        for (int i = PRODUCT; i <= HOUSEHOLD; i++) {
            if (kept[i].free) continue;
            if (!s->slots[i].free && !porch_bytes_eq(kept[i].value, s->slots[i].value)) return false;
            s->slots[i] = kept[i];
        }
        return true;
    }
    *v = (slot){m->value, false, false};
    return true;
}

/* The principal of an allow that stands, where a deny of before held it back and no more does. */
static void try_lifted(search *s, const void *more) {
    const porch_access_member *denied = more;
    const porch_access_document *d = s->before->document;
    slot kept[SLOTS];
    memcpy(kept, s->slots, sizeof kept);
    if (denied->kind != PORCH_ACCESS_MEMBER_TAG) {
        if (narrow(s, denied)) try_depths(s);
        memcpy(s->slots, kept, sizeof kept);
        return;
    }
    for (size_t i = first_tagged(d, denied->value);
         i < d->tagged_count && porch_bytes_eq(d->tagged[i].tag, denied->value) && !s->found_here; i++) {
        porch_access_member one = {PORCH_ACCESS_MEMBER_DEVICE, d->tagged[i].device};
        if (narrow(s, &one)) try_depths(s);
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
static void try_lifted_deny(search *s, const porch_access_member *denied,
                            const porch_access_statement *deny) {
    const porch_access_document *now = s->q->world->document;
    s->want = cut(deny->filter.text);
    for (size_t i = 0; i < now->group_count && !s->enough; i++) {
        s->group = &now->groups[i];
        for (size_t k = 0; k < s->group->statement_count && !s->enough; k++) {
            s->statement = &s->group->statements[k];
            if (s->statement->effect != PORCH_ACCESS_ALLOW ||
                (widened(s->statement->actions) & s->action) == 0)
                continue;
            s->says = cut(s->statement->filter.text);
            s->found_here = false;
            for (size_t n = 0; n < s->group->member_count && !s->found_here && !s->enough; n++) {
                s->member = &s->group->members[n];
                if (!apart(s->member, denied)) each_principal(s, now, s->member, try_lifted, denied);
            }
        }
    }
}

static void try_lifted_denies(search *s, bool tags_are_same) {
    const porch_access_document *old = s->before->document, *now = s->q->world->document;
    for (size_t i = 0; i < old->group_count; i++) {
        const porch_access_group *g = &old->groups[i];
        for (size_t k = 0; k < g->statement_count; k++) {
            const porch_access_statement *deny = &g->statements[k];
            if (deny->effect != PORCH_ACCESS_DENY || (widened(deny->actions) & s->action) == 0) continue;
            for (size_t m = 0; m < g->member_count && !s->enough; m++)
                if (!said(now, tags_are_same, g, &g->members[m], deny))
                    try_lifted_deny(s, &g->members[m], deny);
        }
    }
}

static void try_new_allows(search *s, bool tags_are_same) {
    const porch_access_document *now = s->q->world->document, *old = s->before->document;
    s->want = (pattern){.rest = true};
    s->want_all = true;
    for (size_t i = 0; i < now->group_count && !s->enough; i++) {
        s->group = &now->groups[i];
        for (size_t k = 0; k < s->group->statement_count && !s->enough; k++) {
            if (!take_up(s, k)) continue;
            s->found_here = false;
            for (size_t m = 0; m < s->group->member_count && !s->found_here && !s->enough; m++) {
                s->member = &s->group->members[m];
                if (!said(old, tags_are_same, s->group, s->member, s->statement))
                    each_principal(s, now, s->member, just_try, NULL);
            }
        }
    }
    s->want_all = false;
}

/* Newly allowed is what a new row allows, or what a row that stands allows where a deny went. */
void porch_access_prove_newly(const porch_access_question *q, const porch_access_world *before,
                              porch_access_proof *ret) {
    static search s;
    static const unsigned actions[3] = {PORCH_ACCESS_PUBLISH, PORCH_ACCESS_RECEIVE, PORCH_ACCESS_READ};
    bool tags_are_same = same_tags(q->world->document, before->document);
    *ret = (porch_access_proof){0, 0, 0};
    for (int a = 0; a < 3 && !(a > 0 && s.enough); a++) {
        s = (search){.q = q, .proof = ret, .before = before, .action = actions[a]};
        prepare(&s);
        try_new_allows(&s, tags_are_same);
        try_lifted_denies(&s, tags_are_same);
    }
}
