/* An access policy: which topics a principal may publish to, subscribe to and receive from.
 *
 *      statements of groups ──► automaton ──bind──► policy of one principal: the automaton and its values
 *      (with their variables)   shared by all whose groups are the same (automaton.h)
 *
 * Rules, in this order:
 *   1. A deny statement that fits wins over every allow.
 *   2. Otherwise an allow statement that fits allows.
 *   3. Otherwise it is refused: silence is no.
 *
 * What fits:
 *   publish    the statement's filter matches the topic name.
 *   subscribe  allow: every name that the subscription's filter matches lies inside the union of the
 * allowing filters (containment, exact, see porch_topic_union_contains): it never grants too much, and it
 * misses nothing. deny: the denying filters together contain the whole subscription, so that nothing could
 * ever arrive. A deny that covers only a part does not refuse the subscription; it is judged at delivery.
 *   receive    the statement's filter matches the name of the message about to be delivered, live, retained
 * or shared alike: a wide subscription cannot reach around a deny. A statement about `subscribe` speaks
 * about `receive` too: who may subscribe may receive, and who must not, must not. `receive` alone grants no
 * subscription; as a deny it cuts a hole.
 *   read       the statement's filter is the name of a resource of the hub's API ("metrics"). No other
 * action speaks about it, and it speaks about no topic.
 *
 * A decision takes no lock and no memory; its time grows with the length of the topic, not with the number
 * of statements.
 */
#ifndef PORCH_ACCESS_POLICY_H
#define PORCH_ACCESS_POLICY_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/topic.h"

typedef enum { PORCH_ACCESS_ALLOW, PORCH_ACCESS_DENY } porch_access_effect;

/* Bits of porch_access_statement.actions. */
#define PORCH_ACCESS_PUBLISH   1u
#define PORCH_ACCESS_SUBSCRIBE 2u
#define PORCH_ACCESS_RECEIVE   4u
#define PORCH_ACCESS_READ      8u /* of the hub's API, not of a topic: the filter names the resource */
#define PORCH_ACCESS_EVERY     15u

/* Most statements in one automaton. */
#define PORCH_ACCESS_STATEMENTS_MOST 4000000

typedef struct {
    porch_access_effect effect;
    unsigned actions;
    porch_topic_filter filter; /* may hold variables, each a plain text inside a level (statement.h) */
    uint32_t tag;              /* the caller's: which group and statement this came from */
} porch_access_statement;

typedef struct porch_access_policy porch_access_policy;

typedef struct {
    bool allowed;
    int32_t statement; /* index of the deciding one in the order given to build; -1: none fits (rule 3).
                          A subscription that only several statements allow together names one of them. */
} porch_access_decision;

struct porch_access_automaton;
struct porch_access_variable;
struct porch_access_set;

/* Bytes that a policy of this automaton and these values needs. */
size_t porch_access_policy_bind_bytes(const struct porch_access_automaton *automaton,
                                      const struct porch_access_variable *variables, size_t count);
/* Binds into `block` (aligned for uint64_t): *ret == block. The automaton must outlive it; the values are
 * copied. PORCH_ERR_NOT_FOUND: a deny speaks of a variable that has no value here, so what it forbids is
 * not known; PORCH_ERR_MALFORMED: a value could act as a pattern; PORCH_ERR_NO_SPACE. */
porch_err porch_access_policy_bind(const struct porch_access_automaton *automaton,
                                   const struct porch_access_variable *variables, size_t count, void *block,
                                   size_t bytes, const porch_access_policy **ret);

/* The same for a person: `devices` are those of the household, what ${household.device} stands for. It must
 * outlive the policy. NULL: nobody knows them, so an allow about them does not apply. */
porch_err porch_access_policy_bind_person(const struct porch_access_automaton *automaton,
                                          const struct porch_access_variable *variables, size_t count,
                                          const struct porch_access_set *devices, void *block, size_t bytes,
                                          const porch_access_policy **ret);

/* A policy of statements without variables that holds its own automaton, with no pointers inside: it may be
 * copied as bytes. */
/* Bytes that porch_access_policy_build needs for these statements. */
size_t porch_access_policy_bytes(const porch_access_statement *statements, size_t count);
/* Builds into `block` (aligned for uint64_t, at least that many bytes), which then is the policy: *ret ==
 * block. Texts are copied. PORCH_ERR_NO_SPACE, PORCH_ERR_LIMIT (too many statements), PORCH_ERR_MALFORMED
 * (no or unknown actions). */
porch_err porch_access_policy_build(const porch_access_statement *statements, size_t count, void *block,
                                    size_t bytes, const porch_access_policy **ret);
size_t porch_access_policy_count(const porch_access_policy *policy);
/* Size of the block: for those who copy it. */
size_t porch_access_policy_size(const porch_access_policy *policy);
/* The statement at `index` as it was given (its filter is a view, variables unexpanded). False past the
 * end. */
bool porch_access_policy_statement(const porch_access_policy *policy, size_t index,
                                   porch_access_statement *ret);

porch_access_decision porch_access_can_publish(const porch_access_policy *policy, porch_topic_name topic);
porch_access_decision porch_access_can_subscribe(const porch_access_policy *policy,
                                                 porch_topic_filter filter);
porch_access_decision porch_access_can_receive(const porch_access_policy *policy, porch_topic_name topic);
porch_access_decision porch_access_can_read(const porch_access_policy *policy, porch_topic_name resource);
/* False when no message that `filter` matches could be denied: then a subscription's deliveries need no
 * judging. */
bool porch_access_may_deny_receive(const porch_access_policy *policy, porch_topic_filter filter);

#endif
