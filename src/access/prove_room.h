/* What the files of the proofs share; nobody outside them includes it.
 *
 *   prove.c            isolation, nobody ─┐
 *   prove_newly.c      what a change adds ┴► prove_principal.c   each principal that a member row admits
 *                                             └► prove_search.c  a topic of the question and the statement,
 *                                                                judged by the engine
 *
 * One search is under way at a time: its room is static. */
#ifndef PORCH_ACCESS_PROVE_ROOM_H
#define PORCH_ACCESS_PROVE_ROOM_H

#include "access/prove.h"

enum {
    PROVE_LEVELS_MOST = 128, /* the most that broker.topic_levels allows */
    PROVE_NAME_MOST = 64,
};

/* A filter cut into levels; "#" becomes `rest`. porch_prove_victim in the place of a level is any other
 * device's id. */
typedef struct {
    porch_bytes level[PROVE_LEVELS_MOST];
    size_t count;
    bool rest, deep; /* deep: more levels than any message may have */
} prove_pattern;

extern const porch_bytes porch_prove_victim;

/* A value of the principal: fixed by membership, or free until something fixes it. */
typedef struct {
    porch_bytes value; /* empty: not yet */
    bool free, absent;
} prove_slot;

enum { PROVE_ID, PROVE_PRODUCT, PROVE_HOUSEHOLD, PROVE_SERVICE, PROVE_PERSON, PROVE_SLOTS };

typedef enum { PROVE_FRESH, PROVE_TEXT, PROVE_TEMPLATE } prove_cell_kind;
typedef struct {
    prove_cell_kind kind;
    porch_bytes text;
    bool victim;
    bool housemate; /* must be a device of the person's household */
} prove_cell;

typedef struct {
    const porch_access_question *q;
    porch_access_proof *proof;
    /* what is asked */
    const porch_access_world *before; /* newly: must not allow it */
    const porch_access_group *but;    /* nobody: who is in it does not count */
    prove_pattern want;               /* count 0 and rest: everything, '$' too */
    bool want_all;
    unsigned action;
    /* what is tried now */
    const porch_access_group *group;
    const porch_access_member *member;
    const porch_access_statement *statement;
    prove_pattern says;
    porch_access_kind kind; /* of the principal */
    porch_role role;        /* a person's */
    prove_slot slots[PROVE_SLOTS];
    prove_cell cells[PROVE_LEVELS_MOST];
    size_t depth, deepest, steps;
    /* id, product, household, victim, person; levels from the next */
    char fresh[PROVE_SLOTS][PROVE_NAME_MOST];
    char fresh_level[PROVE_NAME_MOST];
    char fresh_housemate[PROVE_NAME_MOST];
    char home[PROVE_NAME_MOST + 1]; /* of a device that settled which household it is */
    bool enough, found_here;
} prove_search;

/* ---- prove_search.c ---- */
prove_pattern porch_prove_cut(porch_bytes filter);
/* Chooses names that stand nowhere, once `want` and the worlds are set. */
void porch_prove_prepare(prove_search *s);
/* Every depth at which the statement and the question have topics in common, for the principal that is set.
 */
void porch_prove_depths(prove_search *s);

/* ---- prove_principal.c ---- */
typedef void (*prove_with_principal)(prove_search *s, const void *more);
/* Sets each principal that the member row admits and calls `then`, until something is found. */
void porch_prove_each_principal(prove_search *s, const porch_access_document *d,
                                const porch_access_member *m, prove_with_principal then, const void *more);
/* A prove_with_principal that has every depth tried. */
void porch_prove_try(prove_search *s, const void *more);
/* The device of that id, with what the question knows of it. */
void porch_prove_set_device(prove_search *s, porch_bytes id);
bool porch_prove_known_person(const prove_search *s, porch_bytes name, porch_access_principal *ret);
/* The first device of a tag in the document's rows, which stand by tag. */
size_t porch_prove_first_tagged(const porch_access_document *d, porch_bytes tag);
/* The group's statement `k`, if it is an allow about this action. */
bool porch_prove_take_up(prove_search *s, size_t k);
/* Whoever may subscribe may receive. */
unsigned porch_prove_widened(unsigned actions);

#endif
