/* Questions about everybody at once, those included who could still be added: every id of the grammar,
 * every product, every household, every topic and filter.
 *
 *      statement ∩ what is asked about ──► one topic and one principal for each shape ──► judged by the
 * engine
 *
 * Why a few candidates decide for all. Levels and names have infinitely many values, so some value stands
 * in no statement. Whatever matches such a fresh value has '+' or '#' there (or the same variable) and
 * matches every other value too. So of all principals that a member row admits and of all topics that a
 * statement and the question have in common at one depth, the one that is fresh wherever it is free is met
 * by the fewest denies: if it is denied, all are. A level with variables that must be a certain text is
 * solved: each way to split that text is tried. Beyond the deepest statement nothing new comes.
 *
 * ${household.device} is solved, too: the level must be a device that is, or could be, of the person's
 * household; of all such sets the smallest is judged, since more devices meet more denies.
 *
 * Each finding is judged by the real engine, so none is false by this argument; PROVED rests on it. What
 * could not be decided is counted and told, never passed over. One question at a time: scratch is static.
 */
#ifndef PORCH_ACCESS_PROVE_H
#define PORCH_ACCESS_PROVE_H

#include "access/world.h"

/* What one question found: somebody, something they may do, and the statement that lets them. */
typedef struct {
    porch_access_principal who;
    unsigned action;
    porch_bytes topic;
    porch_bytes victim; /* isolation: whose topic it is; else empty */
    const porch_access_group *group;
    const porch_access_member *member; /* of the group that was looked at when it was found */
    const porch_access_statement *statement;
} porch_access_finding;

typedef struct {
    size_t statements; /* looked at, each with every member of its group */
    size_t candidates; /* judged */
    size_t undecided;  /* 0, or nothing is proved */
} porch_access_proof;

/* Views in the finding end with the call. False: enough. */
typedef bool (*porch_access_on_finding)(const porch_access_finding *finding, void *ctx);

typedef struct {
    const porch_access_world *world;
    /* What is known of a device with this id: fills product and household. NULL, or false: it could be
     * added with any. */
    bool (*device)(porch_bytes id, porch_access_principal *ret, void *ctx);
    void *device_ctx;
    porch_access_on_finding found;
    void *found_ctx;
    /* The same of a person with this name: fills household and role. Called with device_ctx. */
    bool (*person)(porch_bytes name, porch_access_principal *ret, void *ctx);
} porch_access_question;

/* Is there a device that may publish to, or receive from, topics of another, or a person who may with a
 * device of another household? Retained messages and wills
 * are published, shared and wildcard subscriptions receive; `$porchlight/device/ID/#` belongs to ID, too.
 */
void porch_access_prove_isolation(const porch_access_question *q, porch_access_proof *ret);
/* Is there anybody outside `group` (NULL: anybody at all) who may do `action` (one bit; subscribe means
 * receive) to something that `filter` matches? */
void porch_access_prove_nobody(const porch_access_question *q, const porch_access_group *group,
                               unsigned action, porch_topic_filter filter, porch_access_proof *ret);
/* Everything that the question's world allows and `before` does not, with an example for each statement and
 * action that newly allows something; a statement may come again for each deny that went. Of subscriptions
 * it tells what they may bring. */
void porch_access_prove_newly(const porch_access_question *q, const porch_access_world *before,
                              porch_access_proof *ret);

#endif
