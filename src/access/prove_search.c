/* The search below each question: one statement, one principal, the question's pattern, and a topic that
 * all three have in common at each depth.
 *
 *   level by level: what both sides say ─► text, fresh name, or a text to be split among variables
 *                └─► all is fixed ─► topic and principal are written out ─► the engine judges them
 *
 * prove.h has the argument why these few candidates decide for all. */
#include <stdio.h>
#include <string.h>

#include "access/prove_room.h"
#include "base/text.h"

enum {
    TOPIC_MOST = 4096,
    STEPS_MOST = 200000, /* ways to split texts that are tried for one statement and member */
};

/* ---- levels --------------------------------------------------------------------------------------- */

const porch_bytes porch_prove_victim = {(const uint8_t *)"\1", 1};

static bool is(porch_bytes level, char c) {
    return level.len == 1 && level.at[0] == (uint8_t)c;
}

prove_pattern porch_prove_cut(porch_bytes filter) {
    prove_pattern p = {.count = 0};
    porch_topic_level walk = porch_topic_level_first(filter);
    for (porch_bytes level; porch_topic_level_next(&walk, &level);) {
        if (is(level, '#')) {
            p.rest = true;
        } else if (p.count == PROVE_LEVELS_MOST) {
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

static const char *const variable_names[PROVE_SLOTS] = {"device.id", "device.product", "household.id",
                                                        "service.name", "" /* no statement speaks of it */};

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
static bool is_taken(const prove_search *s, const char *word) {
    porch_access_principal known = {.kind = PORCH_ACCESS_DEVICE};
    for (size_t i = 0; i < s->want.count; i++)
        if (occurs(s->want.level[i], word)) return true;
    if (s->q->device != NULL && s->q->device(porch_bytes_of(word), &known, s->q->device_ctx)) return true;
    return s->q->person != NULL && s->q->person(porch_bytes_of(word), &known, s->q->device_ctx);
}

/* A name that stands nowhere: the word itself, or with a number behind it. */
static void make_fresh(const prove_search *s, const char *word, char out[PROVE_NAME_MOST]) {
    (void)snprintf(out, PROVE_NAME_MOST, "%s", word);
    for (unsigned i = 2; is_taken(s, out) || is_mentioned(s->q->world->document, out) ||
                         (s->before != NULL && is_mentioned(s->before->document, out));
         i++)
        (void)snprintf(out, PROVE_NAME_MOST, "%s-%u", word, i);
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

void porch_prove_prepare(prove_search *s) {
    make_fresh(s, "stranger", s->fresh[PROVE_ID]);
    make_fresh(s, "any-product", s->fresh[PROVE_PRODUCT]);
    make_fresh(s, "any-household", s->fresh[PROVE_HOUSEHOLD]);
    make_fresh(s, "victim", s->fresh[PROVE_SERVICE]);
    make_fresh(s, "somebody", s->fresh[PROVE_PERSON]);
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
    return text.len > 0 && text.len <= PROVE_NAME_MOST;
}

static bool is_product(porch_bytes text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] == 0x7f || strchr("+#/$", text.at[i]) != NULL) return false;
    return text.len > 0 && text.len <= PROVE_NAME_MOST && porch_utf8_valid(text);
}

static porch_bytes value_of(const prove_search *s, size_t i) {
    const prove_slot *v = &s->slots[i];
    return v->value.len == 0 && v->free ? porch_bytes_of(s->fresh[i]) : v->value;
}

static int slot_named(porch_bytes name) {
    for (int i = 0; i < PROVE_SLOTS; i++)
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

static bool put_template(const prove_search *s, porch_bytes level, porch_buf *out) {
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
static bool put_topic(const prove_search *s, porch_buf *out, porch_bytes *victim) {
    *victim = (porch_bytes){NULL, 0};
    for (size_t i = 0; i < s->depth; i++) {
        const prove_cell *c = &s->cells[i];
        if (i > 0 && !put(out, PORCH_LIT("/"))) return false;
        size_t start = out->len;
        bool ok = c->kind == PROVE_TEXT                    ? put(out, c->text)
                  : c->kind == PROVE_FRESH && c->housemate ? put(out, porch_bytes_of(s->fresh_housemate))
                  : c->kind == PROVE_TEMPLATE
                      ? put_template(s, c->text, out)
                      : put(out, porch_bytes_of(c->victim ? s->fresh[PROVE_SERVICE] : s->fresh_level));
        if (!ok) return false;
        if (c->victim) *victim = (porch_bytes){out->at + start, out->len - start};
    }
    return out->len > 0;
}

static bool is_in(const prove_search *s, const porch_access_world *w, const porch_access_group *g,
                  const porch_access_principal *who) {
    (void)s;
    for (size_t i = 0; i < g->member_count; i++)
        if (porch_access_index_holds(w->index, &g->members[i], who)) return true;
    return false;
}

static bool wanted(const prove_search *s, porch_bytes topic) {
    if (s->want_all) return true;
    /* What the pattern's wildcards leave alone. */
    bool own = topic.at[0] == '$';
    bool wild = s->want.count == 0 || is(s->want.level[0], '+');
    return !(own && wild);
}

static porch_access_principal principal_of(const prove_search *s) {
    static const porch_bytes none = {NULL, 0};
    porch_access_principal who = {.kind = s->kind, .name = none, .product = none, .household = none};
    who.name = value_of(s, s->kind == PORCH_ACCESS_SERVICE  ? PROVE_SERVICE
                           : s->kind == PORCH_ACCESS_PERSON ? PROVE_PERSON
                                                            : PROVE_ID);
    if (s->kind == PORCH_ACCESS_DEVICE) who.product = value_of(s, PROVE_PRODUCT);
    if (s->kind != PORCH_ACCESS_SERVICE) who.household = value_of(s, PROVE_HOUSEHOLD);
    if (s->kind == PORCH_ACCESS_PERSON) who.role = s->role;
    return who;
}

typedef struct {
    porch_bytes texts[PROVE_LEVELS_MOST];
    size_t count;
} housemates;

static bool is_among(const housemates *mates, porch_bytes id) {
    for (size_t i = 0; i < mates->count; i++)
        if (porch_bytes_eq(mates->texts[i], id)) return true;
    return false;
}

/* The devices among a topic's levels that are of the person's household: those that the registry has there,
 * and those that it does not have and that must be. False: one that must be is elsewhere, or no id. */
static bool take_housemates(const prove_search *s, porch_bytes household, porch_bytes topic,
                            housemates *ret) {
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
static bool finish(prove_search *s) {
    static uint8_t text[TOPIC_MOST];
    static housemates mates;
    static uint64_t set[(TOPIC_MOST + PROVE_LEVELS_MOST * 64) / 8];
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

static bool solve(prove_search *s, size_t i);

static bool fits_slot(int i, porch_bytes value) {
    return i == PROVE_PRODUCT ? is_product(value) : is_id(value);
}

/* Every way in which the template can be the text; behind each, the levels that follow. */
static bool split(prove_search *s, porch_bytes template, porch_bytes text, size_t i) {
    if (++s->steps > STEPS_MOST) return false;
    if (template.len == 0) return text.len == 0 && solve(s, i + 1);
    bool variable;
    porch_bytes piece = take_piece(&template, &variable);
    if (!variable)
        return porch_bytes_starts(text, piece) &&
               split(s, template, (porch_bytes){text.at + piece.len, text.len - piece.len}, i);
    int at = slot_named(piece);
    if (at < 0 || s->slots[at].absent) return false;
    prove_slot *v = &s->slots[at];
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
static bool equate(prove_search *s, porch_bytes a, porch_bytes b, size_t i) {
    bool variable, decided = false;
    for (int turn = 0; turn < 2; turn++) {
        porch_bytes rest = turn == 0 ? a : b, other = turn == 0 ? b : a;
        porch_bytes piece = take_piece(&rest, &variable);
        int at = variable && rest.len == 0 ? slot_named(piece) : -1;
        if (at < 0) continue;
        decided = true;
        if (s->slots[at].absent) continue;
        uint8_t text[PROVE_NAME_MOST + 1];
        porch_buf out = {text, 0, sizeof text};
        prove_slot *v = &s->slots[at];
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
static bool solve_housemate(prove_search *s, porch_bytes other, size_t i) {
    prove_slot *home = &s->slots[PROVE_HOUSEHOLD];
    if (s->kind != PORCH_ACCESS_PERSON) return false; /* it has no such value */
    if (is(other, '+') || is_devices(other)) {
        s->cells[i] = (prove_cell){.kind = PROVE_FRESH, .housemate = true};
        return solve(s, i + 1);
    }
    if (other.at == porch_prove_victim.at) return false; /* a victim is of another household */
    s->cells[i] = (prove_cell){has_variable(other) ? PROVE_TEMPLATE : PROVE_TEXT, other, false, true};
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

static bool solve(prove_search *s, size_t i) {
    static const porch_bytes any = {(const uint8_t *)"+", 1};
    if (s->enough || ++s->steps > STEPS_MOST) return false;
    if (i == s->depth) return finish(s);
    porch_bytes w = i < s->want.count ? s->want.level[i] : any;
    porch_bytes t = i < s->says.count ? s->says.level[i] : any;
    prove_cell *c = &s->cells[i];
    bool victim = porch_bytes_eq(w, porch_prove_victim) && w.at == porch_prove_victim.at;
    bool t_template = has_variable(t), w_template = has_variable(w);
    if (is_devices(t)) return solve_housemate(s, w, i);
    if (is_devices(w)) return solve_housemate(s, t, i);
    if (victim || is(w, '+')) {
        *c = (prove_cell){is(t, '+')   ? PROVE_FRESH
                          : t_template ? PROVE_TEMPLATE
                                       : PROVE_TEXT,
                          t, victim, false};
        return solve(s, i + 1);
    }
    if (is(t, '+')) {
        *c = (prove_cell){w_template ? PROVE_TEMPLATE : PROVE_TEXT, w, false, false};
        return solve(s, i + 1);
    }
    *c = (prove_cell){t_template ? PROVE_TEMPLATE : PROVE_TEXT, t, false, false};
    if (t_template && w_template) return porch_bytes_eq(t, w) ? solve(s, i + 1) : equate(s, t, w, i);
    if (t_template) return split(s, t, w, i);
    if (w_template) return split(s, w, t, i);
    return porch_bytes_eq(t, w) && solve(s, i + 1);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Every depth at which the statement and the question have topics in common. */
void porch_prove_depths(prove_search *s) {
    size_t from = larger(s->want.count, s->says.count), to = from;
    if (s->says.deep || s->want.deep) return;
    if (!s->want.rest && !s->says.rest && s->want.count != s->says.count) return;
    if (!s->want.rest && s->says.rest && s->says.count > s->want.count) return;
    if (s->want.rest && !s->says.rest && s->want.count > s->says.count) return;
    if (!s->want.rest && s->says.rest) from = to = s->want.count;
    if (s->want.rest && !s->says.rest) from = to = s->says.count;
    if (s->want.rest && s->says.rest) to = larger(from, s->deepest) + 1;
    if (to > PROVE_LEVELS_MOST) to = PROVE_LEVELS_MOST;
    s->steps = 0;
    for (s->depth = from == 0 ? 1 : from; s->depth <= to && !s->enough; s->depth++)
        if (solve(s, 0)) return;
    if (s->steps > STEPS_MOST) s->proof->undecided++;
}
