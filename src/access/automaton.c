#include "access/automaton.h"

#include <endian.h>
#include <string.h>

/* Nodes are numbered from 0, the root; as a child, 0 means none. A node is reached by a literal level, by a
 * level with variables (computed < NO_COMPUTED) or by '+'. What a filter says stands where it ends: `end`
 * for the name that stops here, `rest` for "/#" below (and here). Both are rows of verdicts, counted from
 * 1. */
typedef struct {
    uint32_t parent, label_at;
    uint32_t plus, first_child, next_sibling; /* children but '+', computed ones included */
    uint32_t first_computed, next_computed;   /* children whose level holds a variable */
    uint32_t end, rest;
    uint16_t label_len;
    uint8_t computed;
    uint8_t has_literal;
    uint8_t end_bits, rest_bits; /* actions: low half allows, high half denies */
    uint8_t below;               /* the same, of this node and all below */
    uint8_t spare;
} node;

enum { ACTIONS = 4, NO_COMPUTED = 255, ACTIVE_MOST = 512 };

/* The first statement for each effect and action, counted from 1; 0: none. */
typedef struct {
    uint32_t first[2][ACTIONS];
} verdict;

typedef struct {
    uint32_t text_at, text_len, tag;
    uint8_t actions, deny;
    uint16_t spare;
} rule;

struct porch_access_automaton {
    uint64_t bytes;
    uint32_t rule_count, node_count, verdict_count, text_bytes;
    uint32_t rules_at, nodes_at, verdicts_at, table_at, text_at; /* in units of 8 bytes from the start */
    uint32_t table_mask;
    uint32_t computed_count;
    struct {
        uint32_t text_at, text_len;
    } computed[PORCH_ACCESS_COMPUTED_MOST];
    uint32_t computed_in_deny; /* bits */
    uint32_t computed_devices; /* bits: that level is PORCH_ACCESS_DEVICES */
};

_Static_assert(sizeof(node) == 44 && sizeof(rule) == 16 && sizeof(verdict) == 32, "rows lie close");
_Static_assert(sizeof(porch_access_automaton) % 8 == 0, "rows follow aligned");

static const void *part(const porch_access_automaton *a, uint32_t at) {
    return (const uint8_t *)a + (size_t)at * 8;
}
static node *nodes_of(const porch_access_automaton *a) {
    return (node *)(uintptr_t)part(a, a->nodes_at);
}
static verdict *verdicts_of(const porch_access_automaton *a) {
    return (verdict *)(uintptr_t)part(a, a->verdicts_at);
}
static uint32_t *table_of(const porch_access_automaton *a) {
    return (uint32_t *)(uintptr_t)part(a, a->table_at);
}
static const uint8_t *text_of(const porch_access_automaton *a) {
    return part(a, a->text_at);
}
static rule *rules_of(const porch_access_automaton *a) {
    return (rule *)(uintptr_t)part(a, a->rules_at);
}

/* ---- looking up a child --------------------------------------------------------------------------- */

static inline uint64_t mix(uint64_t h) {
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static inline uint64_t word64(const uint8_t *at) {
    uint64_t w;
    memcpy(&w, at, sizeof w);
    return le64toh(w);
}
static inline uint32_t word32(const uint8_t *at) {
    uint32_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

/* The last bytes of a level as one word, which those before may overlap; with `len` it says all of a level
 * of up to eight bytes. */
static inline uint64_t last_word(const uint8_t *at, size_t len) {
    if (len >= 8) return word64(at + len - 8);
    if (len >= 4) return (uint64_t)word32(at + len - 4) << 32 | word32(at);
    return len == 0 ? 0 : (uint64_t)at[len - 1] << 16 | (uint64_t)at[len / 2] << 8 | at[0];
}

/* A level of a name or filter, with what comparing it takes reckoned once. */
typedef struct {
    porch_bytes text;
    uint64_t last, hash;
} label;

/* Only compiled literals stand in the table, so nobody outside can pile up collisions. */
static inline label label_of(porch_bytes text) {
    label l = {text, last_word(text.at, text.len), 0x51ed270b0a1f39c1u ^ text.len};
    for (; text.len > 8; text.at += 8, text.len -= 8)
        l.hash = mix(l.hash ^ word64(text.at));
    l.hash = mix(l.hash ^ l.last);
    return l;
}

/* Are these bytes, as many as the label's, the label? */
static inline bool is_label(const uint8_t *at, const label *l) {
    if (last_word(at, l->text.len) != l->last) return false;
    return l->text.len <= 8 || memcmp(at, l->text.at, l->text.len - 8) == 0;
}

static inline uint32_t slot_of(const porch_access_automaton *a, uint32_t parent, uint64_t hash) {
    uint64_t h = mix(hash + parent);
    return (uint32_t)(h >> 24) & a->table_mask;
}

/* The child of `parent` with this label, or 0; *slot is where it stands or would stand. */
static inline uint32_t find_child(const porch_access_automaton *a, uint32_t parent, const label *l,
                                  uint32_t *slot) {
    const uint32_t *table = table_of(a);
    const node *nodes = nodes_of(a);
    const uint8_t *text = text_of(a);
    for (uint32_t i = slot_of(a, parent, l->hash);; i = (i + 1) & a->table_mask) {
        uint32_t child = table[i];
        *slot = i;
        if (child == 0) return 0;
        const node *n = &nodes[child];
        if (n->parent == parent && n->label_len == l->text.len && is_label(text + n->label_at, l))
            return child;
    }
}

/* ---- building ------------------------------------------------------------------------------------- */

static bool level_is(porch_bytes level, char c) {
    return level.len == 1 && level.at[0] == (uint8_t)c;
}

static bool has_variable(porch_bytes level) {
    for (size_t i = 0; i + 1 < level.len; i++)
        if (level.at[i] == '$' && level.at[i + 1] == '{') return true;
    return false;
}

static size_t up8(size_t bytes) {
    return (bytes + 7) & ~(size_t)7;
}

typedef struct {
    size_t nodes, text, table;
} need;

static need need_of(const porch_access_statement *statements, size_t count) {
    need n = {1, 0, 4};
    for (size_t i = 0; i < count; i++) {
        n.nodes += porch_topic_levels(statements[i].filter.text);
        n.text += statements[i].filter.text.len;
    }
    while (n.table < n.nodes * 2)
        n.table *= 2;
    return n;
}

size_t porch_access_automaton_bytes(const porch_access_statement *statements, size_t count) {
    need n = need_of(statements, count);
    return sizeof(porch_access_automaton) + up8(count * sizeof(rule)) + up8(n.nodes * sizeof(node)) +
           count * sizeof(verdict) + up8(n.table * sizeof(uint32_t)) + up8(n.text);
}

static porch_err judge(const porch_access_statement *statements, size_t count) {
    if (count > PORCH_ACCESS_STATEMENTS_MOST) return PORCH_ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        const porch_access_statement *s = &statements[i];
        if (s->actions == 0 || (s->actions & ~PORCH_ACCESS_EVERY) != 0 || s->filter.text.len == 0)
            return PORCH_ERR_MALFORMED;
    }
    return PORCH_OK;
}

static porch_access_automaton *lay_out(void *block, const porch_access_statement *statements,
                                       size_t count) {
    need n = need_of(statements, count);
    porch_access_automaton *a = block;
    *a = (porch_access_automaton){.bytes = porch_access_automaton_bytes(statements, count),
                                  .rule_count = (uint32_t)count,
                                  .node_count = 1,
                                  .table_mask = (uint32_t)n.table - 1};
    size_t at = sizeof *a;
    a->rules_at = (uint32_t)(at / 8);
    at += up8(count * sizeof(rule));
    a->nodes_at = (uint32_t)(at / 8);
    at += up8(n.nodes * sizeof(node));
    a->verdicts_at = (uint32_t)(at / 8);
    at += count * sizeof(verdict);
    a->table_at = (uint32_t)(at / 8);
    at += up8(n.table * sizeof(uint32_t));
    a->text_at = (uint32_t)(at / 8);
    memset(table_of(a), 0, n.table * sizeof(uint32_t));
    nodes_of(a)[0] = (node){.computed = NO_COMPUTED};
    return a;
}

/* Which of the levels with variables this is; a new one takes the next place. */
static porch_err computed_of(porch_access_automaton *a, porch_bytes level, uint32_t text_at, bool deny,
                             uint8_t *ret) {
    uint32_t i = 0;
    while (
        i < a->computed_count &&
        !porch_bytes_eq(level, (porch_bytes){text_of(a) + a->computed[i].text_at, a->computed[i].text_len}))
        i++;
    if (i == PORCH_ACCESS_COMPUTED_MOST) return PORCH_ERR_LIMIT;
    if (i == a->computed_count) {
        a->computed[i].text_at = text_at;
        a->computed[i].text_len = (uint32_t)level.len;
        a->computed_count++;
    }
    if (deny) a->computed_in_deny |= 1u << i;
    if (porch_bytes_eq_text(level, PORCH_ACCESS_DEVICES)) a->computed_devices |= 1u << i;
    *ret = (uint8_t)i;
    return PORCH_OK;
}

static uint32_t add_node(porch_access_automaton *a, uint32_t parent, porch_bytes text, uint32_t text_at) {
    uint32_t made = a->node_count++;
    nodes_of(a)[made] = (node){
        .parent = parent, .label_at = text_at, .label_len = (uint16_t)text.len, .computed = NO_COMPUTED};
    return made;
}

static uint32_t step_plus(porch_access_automaton *a, uint32_t at) {
    node *nodes = nodes_of(a);
    if (nodes[at].plus == 0) nodes[at].plus = add_node(a, at, (porch_bytes){NULL, 0}, 0);
    return nodes[at].plus;
}

static porch_err step_down(porch_access_automaton *a, uint32_t at, porch_bytes text, uint32_t text_at,
                           bool deny, uint32_t *ret) {
    node *nodes = nodes_of(a);
    uint32_t slot;
    uint8_t computed = NO_COMPUTED;
    if (level_is(text, '+')) {
        *ret = step_plus(a, at);
        return PORCH_OK;
    }
    if (has_variable(text)) PORCH_TRY(computed_of(a, text, text_at, deny, &computed));
    const label l = label_of(text);
    uint32_t child = find_child(a, at, &l, &slot);
    if (child == 0) {
        child = add_node(a, at, text, text_at);
        table_of(a)[slot] = child;
        nodes[child].computed = computed;
        nodes[child].next_sibling = nodes[at].first_child;
        nodes[at].first_child = child;
        if (computed == NO_COMPUTED) {
            nodes[at].has_literal = 1;
        } else {
            nodes[child].next_computed = nodes[at].first_computed;
            nodes[at].first_computed = child;
        }
    }
    *ret = child;
    return PORCH_OK;
}

/* Who may subscribe may receive, and who must not, must not. */
static unsigned widened(unsigned actions) {
    return actions | ((actions & PORCH_ACCESS_SUBSCRIBE) != 0 ? PORCH_ACCESS_RECEIVE : 0u);
}

static void conclude(porch_access_automaton *a, uint32_t at, bool rest, uint32_t index, bool deny,
                     unsigned actions) {
    node *n = &nodes_of(a)[at];
    uint32_t *row = rest ? &n->rest : &n->end;
    uint8_t bits = (uint8_t)(widened(actions) << (deny ? ACTIONS : 0));
    if (*row == 0) {
        verdicts_of(a)[a->verdict_count] = (verdict){{{0}}};
        *row = ++a->verdict_count;
    }
    verdict *v = &verdicts_of(a)[*row - 1];
    for (unsigned i = 0; i < ACTIONS; i++) {
        bool says = (widened(actions) >> i & 1u) != 0;
        if (says && v->first[deny][i] == 0) v->first[deny][i] = index + 1;
    }
    if (rest)
        n->rest_bits |= bits;
    else
        n->end_bits |= bits;
    for (;; at = n->parent) {
        n = &nodes_of(a)[at];
        n->below |= bits;
        if (at == 0) return;
    }
}

static porch_err add(porch_access_automaton *a, const porch_access_statement *s, uint32_t index) {
    porch_bytes text = s->filter.text;
    uint8_t *copy = (uint8_t *)(uintptr_t)text_of(a) + a->text_bytes;
    bool deny = s->effect == PORCH_ACCESS_DENY;
    memcpy(copy, text.at, text.len);
    rules_of(a)[index] =
        (rule){a->text_bytes, (uint32_t)text.len, s->tag, (uint8_t)s->actions, deny ? 1 : 0, 0};
    uint32_t at = 0;
    a->text_bytes += (uint32_t)text.len;
    porch_topic_level walk = porch_topic_level_first((porch_bytes){copy, text.len});
    for (porch_bytes level; porch_topic_level_next(&walk, &level);) {
        if (level_is(level, '#')) {
            conclude(a, at, true, index, deny, s->actions);
            return PORCH_OK;
        }
        uint32_t text_at = level.len == 0 ? 0 : (uint32_t)(level.at - text_of(a));
        PORCH_TRY(step_down(a, at, level, text_at, deny, &at));
    }
    conclude(a, at, false, index, deny, s->actions);
    return PORCH_OK;
}

porch_err porch_access_automaton_build(const porch_access_statement *statements, size_t count, void *block,
                                       size_t bytes, const porch_access_automaton **ret) {
    PORCH_TRY(judge(statements, count));
    if (bytes < porch_access_automaton_bytes(statements, count)) return PORCH_ERR_NO_SPACE;
    porch_access_automaton *a = lay_out(block, statements, count);
    for (size_t i = 0; i < count; i++)
        PORCH_TRY(add(a, &statements[i], (uint32_t)i));
    *ret = a;
    return PORCH_OK;
}

size_t porch_access_automaton_size(const porch_access_automaton *a) {
    return (size_t)a->bytes;
}

size_t porch_access_automaton_count(const porch_access_automaton *a) {
    return a->rule_count;
}

bool porch_access_automaton_statement(const porch_access_automaton *a, size_t index,
                                      porch_access_statement *ret) {
    if (index >= a->rule_count) return false;
    const rule *r = &rules_of(a)[index];
    *ret = (porch_access_statement){r->deny != 0 ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW,
                                    r->actions,
                                    {{text_of(a) + r->text_at, r->text_len}},
                                    r->tag};
    return true;
}

porch_bytes porch_access_automaton_computed(const porch_access_automaton *a, size_t index, bool *in_deny) {
    if (index >= a->computed_count) return (porch_bytes){NULL, 0};
    *in_deny = (a->computed_in_deny >> index & 1u) != 0;
    return (porch_bytes){text_of(a) + a->computed[index].text_at, a->computed[index].text_len};
}

/* ---- a name --------------------------------------------------------------------------------------- */

/* The smallest statement of each effect that was met, counted from 1. */
typedef struct {
    uint32_t allow, deny;
} met;

static inline void smaller(uint32_t *kept, uint32_t found) {
    if (found != 0 && (*kept == 0 || found < *kept)) *kept = found;
}

static inline void meet(const porch_access_automaton *a, uint32_t row, uint8_t bits, unsigned action,
                        met *m) {
    if ((bits & (action | action << ACTIONS)) == 0) return;
    const verdict *v = &verdicts_of(a)[row - 1];
    unsigned i = (unsigned)__builtin_ctz(action);
    smaller(&m->allow, v->first[0][i]);
    smaller(&m->deny, v->first[1][i]);
}

static porch_access_decision decided(const met *m) {
    if (m->deny != 0) return (porch_access_decision){false, (int32_t)(m->deny - 1)};
    if (m->allow != 0) return (porch_access_decision){true, (int32_t)(m->allow - 1)};
    return (porch_access_decision){false, -1};
}

static inline bool value_is(const porch_access_automaton *a, const porch_access_values *values,
                            uint8_t computed, const label *l) {
    if (values == NULL) return false;
    if ((a->computed_devices >> computed & 1u) != 0)
        return values->devices != NULL && porch_access_set_has(values->devices, l->text);
    porch_access_span v = values->spans[computed];
    return v.len > 0 && v.len == l->text.len && is_label(values->text + v.at, l);
}

/* A place of the walk that waits: the node, and where its next level begins (NULL: the name ended). */
typedef struct {
    uint32_t node;
    const uint8_t *next;
} place;

enum { WAITING_MOST = 256 };

typedef struct {
    place waiting[WAITING_MOST];
    size_t count;
    bool full;
} places;

static void wait_at(places *p, uint32_t n, const uint8_t *next) {
    if (n == 0) return;
    if (p->count == WAITING_MOST) {
        p->full = true;
        return;
    }
    p->waiting[p->count++] = (place){n, next};
}

static void enter_children(const porch_access_automaton *a, const porch_access_values *values,
                           const node *n, uint32_t at, porch_bytes level, const uint8_t *next,
                           places *out) {
    const node *nodes = nodes_of(a);
    const label l = label_of(level);
    uint32_t slot;
    bool own = at == 0 && level.len > 0 && level.at[0] == '$'; /* hidden from leading wildcards */
    if (n->has_literal != 0) {
        uint32_t child = find_child(a, at, &l, &slot);
        if (child != 0 && nodes[child].computed == NO_COMPUTED) wait_at(out, child, next);
    }
    for (uint32_t c = n->first_computed; c != 0; c = nodes[c].next_computed)
        if (value_is(a, values, nodes[c].computed, &l)) wait_at(out, c, next);
    if (!own) wait_at(out, n->plus, next);
}

/* All nodes that the name has led to so far, level by level: those before `done` have been left. */
typedef struct {
    uint32_t at[PORCH_ACCESS_STEPS_MOST];
    size_t count;
    bool full;
} trail;

static inline void lead_to(trail *t, uint32_t n) {
    if (n == 0) return;
    if (t->count < PORCH_ACCESS_STEPS_MOST)
        t->at[t->count++] = n;
    else
        t->full = true;
}

/* As enter_children; what the level is was reckoned once for all nodes that stand before it. */
static inline void lead_on(const porch_access_automaton *a, const porch_access_values *values, uint32_t at,
                           const label *l, trail *t) {
    const node *nodes = nodes_of(a), *n = &nodes[at];
    uint32_t slot;
    if (n->has_literal != 0) {
        uint32_t child = find_child(a, at, l, &slot);
        if (child != 0 && nodes[child].computed == NO_COMPUTED) lead_to(t, child);
    }
    for (uint32_t c = n->first_computed; c != 0; c = nodes[c].next_computed)
        if (value_is(a, values, nodes[c].computed, l)) lead_to(t, c);
}

/* Where the level ends that begins at `at`: at the next slash or at the end. */
static inline const uint8_t *level_end(const uint8_t *at, const uint8_t *end) {
    const uint64_t ones = 0x0101010101010101u;
    for (; end - at >= 8; at += 8) {
        uint64_t x = word64(at) ^ ones * '/';
        uint64_t zeros = (x - ones) & ~x & ones * 0x80; /* the lowest one is exact, and the first byte */
        if (zeros != 0) return at + __builtin_ctzll(zeros) / 8;
    }
    while (at < end && *at != '/')
        at++;
    return at;
}

porch_access_decision porch_access_automaton_name(const porch_access_automaton *a,
                                                  const porch_access_values *values, unsigned action,
                                                  porch_bytes name) {
    met m = {0, 0};
    if (name.len == 0) return decided(&m);
    const uint8_t *end = name.at + name.len, *next = name.at;
    const node *nodes = nodes_of(a);
    size_t done = 0;
    trail t;
    t.at[0] = 0;
    t.count = 1;
    t.full = false;
    bool own = name.at[0] == '$'; /* hidden from leading wildcards */
    for (const uint8_t *stop = NULL; stop != end && done < t.count && !t.full; own = false) {
        stop = level_end(next, end);
        const label l = label_of((porch_bytes){next, (size_t)(stop - next)});
        for (size_t last = t.count; done < last; done++) {
            const node *n = &nodes[t.at[done]];
            lead_on(a, values, t.at[done], &l, &t);
            if (own) continue;
            meet(a, n->rest, n->rest_bits, action, &m);
            lead_to(&t, n->plus);
        }
        if (stop != end) next = stop + 1;
    }
    for (; done < t.count && !t.full; done++) {
        const node *n = &nodes[t.at[done]];
        meet(a, n->rest, n->rest_bits, action, &m);
        meet(a, n->end, n->end_bits, action, &m);
    }
    if (t.full) return (porch_access_decision){false, m.deny == 0 ? -1 : (int32_t)(m.deny - 1)};
    return decided(&m);
}

/* ---- a filter inside a set ------------------------------------------------------------------------ */

/* The nodes whose path contains what was read of the filter so far. */
typedef struct {
    uint32_t at[ACTIVE_MOST];
    size_t count;
} active;

static void activate(active *s, uint32_t n) {
    if (n == 0) return;
    if (s->count < ACTIVE_MOST) s->at[s->count++] = n; /* forgotten ones cover nothing: no is safe */
}

/* One side of the policy: denies or allows of some actions. */
typedef struct {
    const porch_access_automaton *a;
    const porch_access_values *values;
    unsigned actions;
    bool deny;
} side;

static uint32_t first_of(const side *w, uint32_t row, uint8_t bits) {
    uint32_t found = 0;
    if ((bits & (uint8_t)(w->actions << (w->deny ? ACTIONS : 0))) == 0) return 0;
    const verdict *v = &verdicts_of(w->a)[row - 1];
    for (unsigned i = 0; i < ACTIONS; i++)
        if ((w->actions >> i & 1u) != 0) smaller(&found, v->first[w->deny][i]);
    return found;
}

/* The statement by which one of these nodes covers all that may follow; 0: none. */
static uint32_t rest_covers(const side *w, const active *s, bool own) {
    uint32_t found = 0;
    for (size_t i = 0; i < s->count; i++) {
        const node *n = &nodes_of(w->a)[s->at[i]];
        if (s->at[i] != 0 || !own) smaller(&found, first_of(w, n->rest, n->rest_bits));
    }
    return found;
}

static uint32_t end_covers(const side *w, const active *s) {
    uint32_t found = 0;
    for (size_t i = 0; i < s->count; i++) {
        const node *n = &nodes_of(w->a)[s->at[i]];
        smaller(&found, first_of(w, n->end, n->end_bits));
    }
    return found;
}

static void step_all(const side *w, const active *from, porch_bytes level, active *to) {
    const node *nodes = nodes_of(w->a);
    places p;
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        const node *n = &nodes[from->at[i]];
        if (level_is(level, '+')) {
            activate(to, n->plus);
            continue;
        }
        p.count = 0;
        p.full = false;
        enter_children(w->a, w->values, n, from->at[i], level, NULL, &p);
        for (size_t k = 0; k < p.count; k++)
            activate(to, p.waiting[k].node);
    }
}

/* "p/#" is the sum of "p", "p/+", "p/+/+", ...: each must be covered, until one statement covers all that
 * remains. `s` holds the nodes at "p". Exact, as porch_topic_set_contains explains. */
static uint32_t tail_covered(const side *w, active *s, active *other, bool implied) {
    uint32_t settled = 0;
    for (;; implied = false) {
        uint32_t all = rest_covers(w, s, false);
        if (all != 0) return settled == 0 || all < settled ? all : settled;
        if (!implied) {
            uint32_t here = end_covers(w, s);
            if (here == 0) return 0;
            smaller(&settled, here);
        }
        step_all(w, s, PORCH_LIT("+"), other);
        if (other->count == 0) return 0;
        *s = *other;
    }
}

/* The statement by which the set contains the filter, counted from 1; 0: it does not. */
static uint32_t contains(const side *w, porch_topic_filter filter) {
    active now = {.count = 1}, next;
    bool own = filter.text.at[0] == '$';
    bool implied = porch_bytes_eq_text(filter.text, "#") || porch_bytes_eq_text(filter.text, "/#");
    uint32_t settled = 0;
    porch_topic_level walk = porch_topic_level_first(filter.text);
    for (porch_bytes level; porch_topic_level_next(&walk, &level);) {
        if (level_is(level, '#')) {
            smaller(&settled, tail_covered(w, &now, &next, implied));
            return settled;
        }
        smaller(&settled, rest_covers(w, &now, own));
        step_all(w, &now, level, &next);
        now = next;
    }
    smaller(&settled, rest_covers(w, &now, false));
    smaller(&settled, end_covers(w, &now));
    return settled;
}

porch_access_decision porch_access_automaton_subscribe(const porch_access_automaton *a,
                                                       const porch_access_values *values,
                                                       porch_topic_filter filter) {
    side denies = {a, values, PORCH_ACCESS_SUBSCRIBE | PORCH_ACCESS_RECEIVE, true};
    side allows = {a, values, PORCH_ACCESS_SUBSCRIBE, false};
    uint32_t statement = filter.text.len == 0 ? 0 : contains(&denies, filter);
    if (statement != 0) return (porch_access_decision){false, (int32_t)(statement - 1)};
    statement = filter.text.len == 0 ? 0 : contains(&allows, filter);
    if (statement != 0) return (porch_access_decision){true, (int32_t)(statement - 1)};
    return (porch_access_decision){false, -1};
}

/* ---- could a deny touch what a filter brings? ------------------------------------------------------ */

typedef struct {
    const porch_access_automaton *a;
    const porch_access_values *values;
    places waiting;
    size_t steps;
} overlap;

enum { DENIES_RECEIVE = PORCH_ACCESS_RECEIVE << ACTIONS };

static bool starts_own(const overlap *o, const node *n) {
    const porch_access_automaton *a = o->a;
    return n->label_len > 0 && text_of(a)[n->label_at] == '$' && n->computed == NO_COMPUTED;
}

/* Is there any name that this level could be? */
static bool has_value(const overlap *o, uint8_t computed) {
    if (o->values == NULL) return false;
    if ((o->a->computed_devices >> computed & 1u) != 0)
        return o->values->devices != NULL && porch_access_set_count(o->values->devices) > 0;
    return o->values->spans[computed].len > 0;
}

/* Into every child that a wildcard may stand for and that has a deny at or below it. */
static void enter_all(overlap *o, const node *n, uint32_t at, const uint8_t *next) {
    const node *nodes = nodes_of(o->a);
    if ((nodes[n->plus].below & DENIES_RECEIVE) != 0) wait_at(&o->waiting, n->plus, next);
    for (uint32_t c = n->first_child; c != 0 && !o->waiting.full; c = nodes[c].next_sibling) {
        if (++o->steps > PORCH_ACCESS_STEPS_MOST) o->waiting.full = true;
        if ((nodes[c].below & DENIES_RECEIVE) == 0 || (at == 0 && starts_own(o, &nodes[c]))) continue;
        if (nodes[c].computed != NO_COMPUTED && !has_value(o, nodes[c].computed)) continue;
        wait_at(&o->waiting, c, next);
    }
}

/* "p/#" meets whatever denies at or below one of its nodes; at the root a wildcard leaves '$...' alone. */
static bool tail_meets(overlap *o, const node *n, uint32_t at) {
    if (at != 0) return (n->below & DENIES_RECEIVE) != 0;
    if ((n->rest_bits & DENIES_RECEIVE) != 0) return true;
    enter_all(o, n, at, NULL);
    return o->waiting.count > 0 || o->waiting.full;
}

/* "/#" speaks of names below an empty first level; the empty name itself is none. */
static bool is_empty_name(const porch_access_automaton *a, place at) {
    const node *n = &nodes_of(a)[at.node];
    return at.next == NULL && at.node != 0 && n->parent == 0 && n->label_len == 0 &&
           nodes_of(a)[0].plus != at.node;
}

bool porch_access_automaton_may_deny(const porch_access_automaton *a, const porch_access_values *values,
                                     porch_topic_filter filter) {
    const node *nodes = nodes_of(a);
    if ((nodes[0].below & DENIES_RECEIVE) == 0 || filter.text.len == 0) return false;
    const uint8_t *end = filter.text.at + filter.text.len;
    bool own = filter.text.at[0] == '$';
    overlap o;
    o.a = a;
    o.values = values;
    o.steps = 0;
    o.waiting.count = 1;
    o.waiting.full = false;
    o.waiting.waiting[0] = (place){0, filter.text.at};
    while (o.waiting.count > 0 && !o.waiting.full) {
        if (++o.steps > PORCH_ACCESS_STEPS_MOST) return true;
        place at = o.waiting.waiting[--o.waiting.count];
        const node *n = &nodes[at.node];
        if (is_empty_name(a, at)) continue;
        if ((n->rest_bits & DENIES_RECEIVE) != 0 && (at.node != 0 || !own)) return true;
        if (at.next == NULL) {
            if ((n->end_bits & DENIES_RECEIVE) != 0) return true;
            continue;
        }
        const uint8_t *slash = at.next == end ? NULL : memchr(at.next, '/', (size_t)(end - at.next));
        const uint8_t *next = slash == NULL ? NULL : slash + 1;
        porch_bytes level = {at.next, (size_t)((slash == NULL ? end : slash) - at.next)};
        if (level_is(level, '#')) {
            if (tail_meets(&o, n, at.node)) return true;
        } else if (level_is(level, '+')) {
            enter_all(&o, n, at.node, next);
        } else {
            enter_children(a, values, n, at.node, level, next, &o.waiting);
        }
    }
    return o.waiting.full;
}
