/* Which groups of a document hold a principal, without a walk over all of them.
 *
 *   document ─► rows (kind, value, group) in order;  tags by device ─► search by halves
 */
#ifndef PORCH_ACCESS_INDEX_H
#define PORCH_ACCESS_INDEX_H

#include "access/document.h"
#include "access/set.h"
#include "access/statement.h"
#include "wire/role.h"

typedef enum { PORCH_ACCESS_DEVICE, PORCH_ACCESS_SERVICE, PORCH_ACCESS_PERSON } porch_access_kind;

/* Who asks: a device with what the registry knows of it, a service, or a person with name (in ASCII lower
 * case), household and role. Empty views match no member. */
typedef struct {
    porch_access_kind kind;
    porch_bytes name, product, household;
    porch_role role;                 /* a person's; 0: of none */
    const porch_access_set *devices; /* of a person's household; NULL: not known */
} porch_access_principal;

/* "device", "service" or "person". */
const char *porch_access_kind_word(porch_access_kind kind);
/* What its statements' variables stand for; *ret is how many. */
enum { PORCH_ACCESS_VARIABLES = 3 };
size_t porch_access_principal_variables(const porch_access_principal *who,
                                        porch_access_variable out[PORCH_ACCESS_VARIABLES]);

typedef struct {
    porch_access_member member;
    uint32_t group; /* its place in the document */
} porch_access_membership;

typedef struct {
    const porch_access_document *document;
    porch_access_membership *rows;
    size_t row_count;
    porch_access_tagged *by_device;
} porch_access_index;

/* Bytes of arena that make needs. */
size_t porch_access_index_bytes(const porch_access_document *document);
/* The index looks into the document and the arena. PORCH_ERR_NO_SPACE. */
porch_err porch_access_index_make(const porch_access_document *document, porch_arena *arena,
                                  porch_access_index *ret);
/* The places of the groups that hold the principal, in order and each once. `out` has room for every group
 * of the document. */
size_t porch_access_index_groups(const porch_access_index *index, const porch_access_principal *who,
                                 uint32_t *out);
/* Does the member hold the principal, tags included? */
bool porch_access_index_holds(const porch_access_index *index, const porch_access_member *member,
                              const porch_access_principal *who);
/* The first row at or behind (kind, value). */
size_t porch_access_index_find(const porch_access_index *index, const porch_access_member *member);
int porch_access_member_order(const porch_access_member *a, const porch_access_member *b);

#endif
