#include "access/policy.h"

#include <string.h>

#include "access/automaton.h"
#include "access/statement.h"

/* The block: header, a span for each level with variables, their texts, then maybe an automaton of its own.
 */
struct porch_access_policy {
    uint64_t bytes;
    const porch_access_automaton *shared; /* NULL: it stands at own_at */
    const porch_access_set *devices;
    uint32_t own_at, text_at;
    porch_access_span spans[];
};

_Static_assert(sizeof(porch_access_policy) % 8 == 0, "what follows is aligned");

static const porch_access_automaton *automaton_of(const porch_access_policy *p) {
    const void *own = (const uint8_t *)p + p->own_at;
    return p->shared != NULL ? p->shared : own;
}

static porch_access_values values_of(const porch_access_policy *p) {
    return (porch_access_values){(const uint8_t *)p + p->text_at, p->spans, p->devices};
}

/* ---- binding -------------------------------------------------------------------------------------- */

/* Bytes that the level may have once its variables are values. */
static size_t expanded_most(porch_bytes level, const porch_access_variable *variables, size_t count) {
    size_t longest = 0;
    for (size_t i = 0; i < count; i++)
        if (variables[i].value.len > longest) longest = variables[i].value.len;
    size_t uses = 0;
    for (size_t i = 0; i < level.len; i++)
        uses += level.at[i] == '$';
    return level.len + uses * longest;
}

static size_t spans_bytes(const porch_access_automaton *a) {
    bool in_deny;
    size_t n = 0;
    while (porch_access_automaton_computed(a, n, &in_deny).len > 0)
        n++;
    return n * sizeof(porch_access_span);
}

size_t porch_access_policy_bind_bytes(const porch_access_automaton *a,
                                      const porch_access_variable *variables, size_t count) {
    size_t bytes = sizeof(porch_access_policy) + spans_bytes(a);
    bool in_deny;
    porch_bytes level;
    for (size_t i = 0; (level = porch_access_automaton_computed(a, i, &in_deny)).len > 0; i++)
        bytes += expanded_most(level, variables, count);
    return bytes;
}

porch_err porch_access_policy_bind(const porch_access_automaton *a, const porch_access_variable *variables,
                                   size_t count, void *block, size_t bytes,
                                   const porch_access_policy **ret) {
    return porch_access_policy_bind_person(a, variables, count, NULL, block, bytes, ret);
}

porch_err porch_access_policy_bind_person(const porch_access_automaton *a,
                                          const porch_access_variable *variables, size_t count,
                                          const porch_access_set *devices, void *block, size_t bytes,
                                          const porch_access_policy **ret) {
    porch_access_policy *p = block;
    size_t needed = porch_access_policy_bind_bytes(a, variables, count);
    if (bytes < needed) return PORCH_ERR_NO_SPACE;
    *p = (porch_access_policy){.bytes = needed, .shared = a, .devices = devices};
    p->text_at = (uint32_t)(sizeof *p + spans_bytes(a));
    porch_buf text = {(uint8_t *)block + p->text_at, 0, needed - p->text_at};
    bool in_deny;
    porch_bytes level;
    for (size_t i = 0; (level = porch_access_automaton_computed(a, i, &in_deny)).len > 0; i++) {
        size_t start = text.len;
        porch_topic_filter whole;
        p->spans[i] = (porch_access_span){(uint32_t)start, 0};
        if (devices != NULL && porch_bytes_eq_text(level, PORCH_ACCESS_DEVICES)) continue;
        porch_err e = porch_access_filter_expand(level, variables, count, NULL, &text, &whole, NULL);
        if (e != PORCH_OK && (e != PORCH_ERR_NOT_FOUND || in_deny)) return e;
        p->spans[i] = (porch_access_span){(uint32_t)start, (uint32_t)(text.len - start)};
    }
    *ret = p;
    return PORCH_OK;
}

size_t porch_access_policy_bytes(const porch_access_statement *statements, size_t count) {
    return sizeof(porch_access_policy) + porch_access_automaton_bytes(statements, count);
}

porch_err porch_access_policy_build(const porch_access_statement *statements, size_t count, void *block,
                                    size_t bytes, const porch_access_policy **ret) {
    porch_access_policy *p = block;
    const porch_access_automaton *a;
    bool in_deny;
    if (count > PORCH_ACCESS_STATEMENTS_MOST) return PORCH_ERR_LIMIT;
    if (bytes < porch_access_policy_bytes(statements, count)) return PORCH_ERR_NO_SPACE;
    PORCH_TRY(porch_access_automaton_build(statements, count, p + 1, bytes - sizeof *p, &a));
    if (porch_access_automaton_computed(a, 0, &in_deny).len > 0) return PORCH_ERR_MALFORMED;
    *p = (porch_access_policy){
        .bytes = sizeof *p + porch_access_automaton_size(a), .own_at = sizeof *p, .text_at = sizeof *p};
    *ret = p;
    return PORCH_OK;
}

size_t porch_access_policy_size(const porch_access_policy *policy) {
    return (size_t)policy->bytes;
}

size_t porch_access_policy_count(const porch_access_policy *policy) {
    return porch_access_automaton_count(automaton_of(policy));
}

bool porch_access_policy_statement(const porch_access_policy *policy, size_t index,
                                   porch_access_statement *ret) {
    return porch_access_automaton_statement(automaton_of(policy), index, ret);
}

/* ---- the questions -------------------------------------------------------------------------------- */

static porch_access_decision name(const porch_access_policy *p, unsigned action, porch_bytes text) {
    porch_access_values values = values_of(p);
    return porch_access_automaton_name(automaton_of(p), &values, action, text);
}

porch_access_decision porch_access_can_publish(const porch_access_policy *policy, porch_topic_name topic) {
    return name(policy, PORCH_ACCESS_PUBLISH, topic.text);
}

porch_access_decision porch_access_can_receive(const porch_access_policy *policy, porch_topic_name topic) {
    return name(policy, PORCH_ACCESS_RECEIVE, topic.text);
}

porch_access_decision porch_access_can_read(const porch_access_policy *policy, porch_topic_name resource) {
    return name(policy, PORCH_ACCESS_READ, resource.text);
}

porch_access_decision porch_access_can_subscribe(const porch_access_policy *policy,
                                                 porch_topic_filter filter) {
    porch_access_values values = values_of(policy);
    return porch_access_automaton_subscribe(automaton_of(policy), &values, filter);
}

bool porch_access_may_deny_receive(const porch_access_policy *policy, porch_topic_filter filter) {
    porch_access_values values = values_of(policy);
    return porch_access_automaton_may_deny(automaton_of(policy), &values, filter);
}
