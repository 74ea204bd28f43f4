/* A whole policy as something to ask about anybody: groups found by index, one automaton for each group.
 * The hub makes an automaton for each set of groups instead; both decide alike, and a test compares them.
 */
#ifndef PORCH_ACCESS_WORLD_H
#define PORCH_ACCESS_WORLD_H

#include "access/automaton.h"
#include "access/index.h"

typedef struct {
    const porch_access_document *document;
    const porch_access_index *index;
    const porch_access_automaton **automata; /* NULL: the group says nothing */
    uint32_t *groups;                        /* scratch: one question at a time */
} porch_access_world;

size_t porch_access_world_bytes(const porch_access_document *document);
/* Looks into document, index and arena. PORCH_ERR_NO_SPACE, _LIMIT (too many levels with variables). */
porch_err porch_access_world_make(const porch_access_document *document, const porch_access_index *index,
                                  porch_arena *arena, porch_access_world *ret);

typedef struct {
    bool allowed;
    const porch_access_group *group;         /* NULL: no statement decides */
    const porch_access_statement *statement; /* of the document */
} porch_access_verdict;
/* May `who` publish, receive or read (one bit) `name`? Whom a deny leaves without a policy may nothing. */
porch_access_verdict porch_access_world_judge(const porch_access_world *world,
                                              const porch_access_principal *who, unsigned action,
                                              porch_bytes name);

#endif
