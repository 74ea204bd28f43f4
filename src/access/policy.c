#include "access/policy.h"

#include <string.h>

/* The block: header, rows, texts. Rows are grouped by effect and, inside, keep the order they came in;
 * `index` remembers it. Offsets instead of pointers, so that the block may be copied. */
typedef struct {
    uint32_t text_at; /* from the block's start */
    uint32_t text_bytes;
    uint32_t index;
    uint32_t tag;
    uint8_t actions;
    uint8_t deny;
    uint8_t literal; /* no wildcard: compare instead of match */
    uint8_t first;   /* first byte of the filter: most rows are passed over by it alone */
} row;

struct porch_access_policy {
    uint64_t bytes;
    uint32_t count;
    uint32_t denies; /* rows [0, denies) deny, [denies, count) allow */
    row rows[];
};

_Static_assert(sizeof(row) == 20, "rows lie close");

/* Who may subscribe may receive, and who must not, must not. */
static unsigned widened(unsigned actions) {
    return actions | ((actions & PORCH_ACCESS_SUBSCRIBE) != 0 ? PORCH_ACCESS_RECEIVE : 0u);
}

size_t porch_access_policy_bytes(const porch_access_statement *statements, size_t count) {
    size_t bytes = sizeof(porch_access_policy) + count * sizeof(row);
    for (size_t i = 0; i < count; i++)
        bytes += statements[i].filter.text.len;
    return bytes;
}

static row row_of(const porch_access_statement *s, size_t index, size_t text_at) {
    return (row){.text_at = (uint32_t)text_at,
                 .text_bytes = (uint32_t)s->filter.text.len,
                 .index = (uint32_t)index,
                 .tag = s->tag,
                 .actions = (uint8_t)s->actions,
                 .deny = s->effect == PORCH_ACCESS_DENY,
                 .literal = !porch_topic_filter_is_pattern(s->filter),
                 .first = s->filter.text.at[0]};
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

porch_err porch_access_policy_build(const porch_access_statement *statements, size_t count, void *block,
                                    size_t bytes, const porch_access_policy **ret) {
    PORCH_TRY(judge(statements, count));
    size_t needed = porch_access_policy_bytes(statements, count);
    if (bytes < needed) return PORCH_ERR_NO_SPACE;
    porch_access_policy *p = block;
    *p = (porch_access_policy){.bytes = needed, .count = (uint32_t)count};
    size_t text_at = sizeof(porch_access_policy) + count * sizeof(row), filled = 0;
    for (int pass = 0; pass < 2; pass++) {
        porch_access_effect effect = pass == 0 ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW;
        for (size_t i = 0; i < count; i++) {
            porch_bytes text = statements[i].filter.text;
            if ((statements[i].effect == PORCH_ACCESS_DENY) != (effect == PORCH_ACCESS_DENY)) continue;
            memcpy((uint8_t *)block + text_at, text.at, text.len);
            p->rows[filled++] = row_of(&statements[i], i, text_at);
            text_at += text.len;
        }
        if (pass == 0) p->denies = (uint32_t)filled;
    }
    *ret = p;
    return PORCH_OK;
}

size_t porch_access_policy_count(const porch_access_policy *policy) {
    return policy->count;
}

size_t porch_access_policy_size(const porch_access_policy *policy) {
    return (size_t)policy->bytes;
}

static porch_topic_filter filter_of(const porch_access_policy *p, const row *r) {
    return (porch_topic_filter){{(const uint8_t *)p + r->text_at, r->text_bytes}};
}

bool porch_access_policy_statement(const porch_access_policy *policy, size_t index,
                                   porch_access_statement *ret) {
    for (size_t i = 0; i < policy->count; i++) {
        const row *r = &policy->rows[i];
        if (r->index != index) continue;
        *ret = (porch_access_statement){r->deny != 0 ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW, r->actions,
                                        filter_of(policy, r), r->tag};
        return true;
    }
    return false;
}

static bool row_matches(const porch_access_policy *p, const row *r, porch_topic_name topic) {
    if (r->first != topic.text.at[0] && r->first != '+' && r->first != '#') return false;
    porch_topic_filter filter = filter_of(p, r);
    return r->literal ? porch_bytes_eq(filter.text, topic.text) : porch_topic_matches(filter, topic);
}

/* Denies come first in the block, so the first row that fits decides. */
static porch_access_decision judge_name(const porch_access_policy *p, unsigned action,
                                        porch_topic_name topic) {
    for (size_t i = 0; topic.text.len > 0 && i < p->count; i++) {
        const row *r = &p->rows[i];
        if ((widened(r->actions) & action) != 0 && row_matches(p, r, topic))
            return (porch_access_decision){r->deny == 0, (int32_t)r->index};
    }
    return (porch_access_decision){false, -1};
}

porch_access_decision porch_access_can_publish(const porch_access_policy *policy, porch_topic_name topic) {
    return judge_name(policy, PORCH_ACCESS_PUBLISH, topic);
}

porch_access_decision porch_access_can_receive(const porch_access_policy *policy, porch_topic_name topic) {
    return judge_name(policy, PORCH_ACCESS_RECEIVE, topic);
}

porch_access_decision porch_access_can_read(const porch_access_policy *policy, porch_topic_name resource) {
    return judge_name(policy, PORCH_ACCESS_READ, resource);
}

/* The filters of rows [from, to) with any of these actions, handed to the union in pieces: `next` gives one
 * at a time. */
typedef struct {
    const porch_access_policy *policy;
    size_t from, to;
    unsigned actions;
} filter_set;

static bool next_filter(const void *set, size_t *at, porch_topic_filter *ret) {
    const filter_set *s = set;
    for (size_t i = s->from + *at; i < s->to; i++) {
        const row *r = &s->policy->rows[i];
        if ((widened(r->actions) & s->actions) == 0) continue;
        *at = i - s->from + 1;
        *ret = filter_of(s->policy, r);
        return true;
    }
    return false;
}

static bool set_contains(const filter_set *set, porch_topic_filter filter, int32_t *statement) {
    size_t after;
    if (!porch_topic_set_contains(next_filter, set, filter, &after)) return false;
    *statement = (int32_t)set->policy->rows[set->from + after - 1].index;
    return true;
}

porch_access_decision porch_access_can_subscribe(const porch_access_policy *policy,
                                                 porch_topic_filter filter) {
    int32_t statement;
    filter_set denied = {policy, 0, policy->denies, PORCH_ACCESS_SUBSCRIBE | PORCH_ACCESS_RECEIVE};
    if (set_contains(&denied, filter, &statement)) return (porch_access_decision){false, statement};
    filter_set allowed = {policy, policy->denies, policy->count, PORCH_ACCESS_SUBSCRIBE};
    if (set_contains(&allowed, filter, &statement)) return (porch_access_decision){true, statement};
    return (porch_access_decision){false, -1};
}

bool porch_access_may_deny_receive(const porch_access_policy *policy, porch_topic_filter filter) {
    for (size_t i = 0; i < policy->denies; i++) {
        const row *r = &policy->rows[i];
        if ((widened(r->actions) & PORCH_ACCESS_RECEIVE) != 0 &&
            porch_topic_filter_overlaps(filter_of(policy, r), filter))
            return true;
    }
    return false;
}
