/* Statements of any number as one immutable trie over topic levels, and the walks that answer from it.
 *
 *      allow publish d/${device.id}/+/#       root ─d─► o ─${device.id}─► o ─+─► o  ends with #: publish
 *      deny  receive d/nursery/#                          └──nursery──► o           ends with #: no receive
 *
 * One automaton is shared by every principal whose groups are the same: variables stay in it as edges of
 * their own, and a principal brings only its values. A walk goes from level to level: at each it looks up
 * one literal child, one '+' child and the few children whose level holds a variable. It neither allocates
 * nor locks, and its time follows the length of the topic and how many wildcards overlap on it, never the
 * number of statements. A policy whose wildcards overlap so much that a walk would take more than
 * PORCH_ACCESS_STEPS_MOST steps decides no: never too much, never too long.
 *
 * The block holds no pointers. Building reads statements whose filters may hold variables (statement.h). */
#ifndef PORCH_ACCESS_AUTOMATON_H
#define PORCH_ACCESS_AUTOMATON_H

#include "access/policy.h"
#include "access/set.h"

typedef struct porch_access_automaton porch_access_automaton;

/* Different levels with variables in one automaton ("${device.id}", "cam-${device.id}"). */
#define PORCH_ACCESS_COMPUTED_MOST 32
#define PORCH_ACCESS_STEPS_MOST    4096

/* What each of those levels is for one principal: a piece of `text` each, as many as the automaton has.
 * len 0: it has no such value, and nothing matches there. NULL for an automaton without such levels. */
typedef struct {
    uint32_t at, len;
} porch_access_span;
typedef struct {
    const uint8_t *text;
    const porch_access_span *spans;
    const porch_access_set *devices; /* what PORCH_ACCESS_DEVICES stands for; NULL: it has none */
} porch_access_values;

/* The one level that stands for many names: every device of a person's household. */
#define PORCH_ACCESS_DEVICES "${household.device}"

/* Upper bound of the block that build needs. */
size_t porch_access_automaton_bytes(const porch_access_statement *statements, size_t count);
/* Builds into `block` (aligned for uint64_t). Texts are copied. PORCH_ERR_NO_SPACE, PORCH_ERR_MALFORMED (no
 * or unknown actions, an empty filter), PORCH_ERR_LIMIT: too many statements or levels with variables. */
porch_err porch_access_automaton_build(const porch_access_statement *statements, size_t count, void *block,
                                       size_t bytes, const porch_access_automaton **ret);
/* Bytes of the block that are used. */
size_t porch_access_automaton_size(const porch_access_automaton *a);
size_t porch_access_automaton_count(const porch_access_automaton *a);
/* The statement as it was given; its filter, variables unexpanded, is a view. False past the end. */
bool porch_access_automaton_statement(const porch_access_automaton *a, size_t index,
                                      porch_access_statement *ret);
/* The text of a level with variables, by its place in porch_access_values; empty past the last. */
porch_bytes porch_access_automaton_computed(const porch_access_automaton *a, size_t index, bool *in_deny);

/* The questions of policy.h; `action` is one bit. */
porch_access_decision porch_access_automaton_name(const porch_access_automaton *a,
                                                  const porch_access_values *values, unsigned action,
                                                  porch_bytes name);
porch_access_decision porch_access_automaton_subscribe(const porch_access_automaton *a,
                                                       const porch_access_values *values,
                                                       porch_topic_filter filter);
bool porch_access_automaton_may_deny(const porch_access_automaton *a, const porch_access_values *values,
                                     porch_topic_filter filter);

#endif
