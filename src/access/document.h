/* A whole policy as one text that people write, review and keep: groups, who is in them, what they may do.
 *
 *      # Cameras speak for themselves.
 *      group devices
 *          member every device
 *          allow publish d/${device.id}/+/#
 *          allow subscribe,receive d/${device.id}/#
 *
 *      group service-lights
 *          member service lights
 *          allow subscribe d/+/event/#
 *          deny receive d/nursery/#
 *
 *      tag outdoor
 *          device front-door
 *
 * One thing a line. A line that begins with '#' is a comment, an empty one is nothing, and spaces at either
 * end do not count. A filter goes to the end of its line. The order of statements does not matter: deny
 * wins. Printing is canonical: groups and tags by name, members by kind and value, each once; what is
 * printed reads as the same document and prints as the same text.
 *
 *      bytes ──parse──► document (views into the bytes, rows in the caller's arena) ──write──► text
 *
 *      group children
 *          member every child
 *          member people home guest
 *          member person anna@example.org
 *          deny receive d/nursery/#
 *
 * A statement's filter may hold variables: ${device.id}, ${device.product}, ${household.id} where devices
 * are members, ${household.id} and ${household.device} (a whole level: any device of the household) where
 * people are, ${service.name} where services are. An allow that speaks of what a member has not does not
 * apply to it; a deny of that kind is refused here, since what it should forbid is not known. */
#ifndef PORCH_ACCESS_DOCUMENT_H
#define PORCH_ACCESS_DOCUMENT_H

#include "access/policy.h"
#include "base/arena.h"
#include "wire/role.h"

/* The order is that of the canonical text. */
typedef enum {
    PORCH_ACCESS_MEMBER_EVERY_DEVICE, /* no value */
    PORCH_ACCESS_MEMBER_DEVICE,
    PORCH_ACCESS_MEMBER_HOUSEHOLD, /* devices of it */
    PORCH_ACCESS_MEMBER_PRODUCT,   /* devices of it */
    PORCH_ACCESS_MEMBER_SERVICE,
    PORCH_ACCESS_MEMBER_TAG,          /* devices that carry it */
    PORCH_ACCESS_MEMBER_EVERY_PERSON, /* value: a role, or empty for all; "every person", "every guest" */
    PORCH_ACCESS_MEMBER_PEOPLE,       /* "HOUSEHOLD" or "HOUSEHOLD ROLE" */
    PORCH_ACCESS_MEMBER_PERSON,       /* a name, to the end of its line */
    PORCH_ACCESS_MEMBER_KINDS
} porch_access_member_kind;

/* "every device", "device", ... */
const char *porch_access_member_word(porch_access_member_kind kind);

typedef struct {
    porch_access_member_kind kind;
    porch_bytes value;
} porch_access_member;

/* Is it a row of people by role? *household is empty for EVERY_PERSON, *role is 0 for all roles. */
bool porch_access_member_people(const porch_access_member *member, porch_bytes *household,
                                porch_role *role);

typedef struct {
    porch_bytes name;
    porch_access_member *members;
    size_t member_count;
    porch_access_statement *statements; /* filters with their variables; tag is the line */
    size_t statement_count;
    uint32_t line;
} porch_access_group;

typedef struct {
    porch_bytes tag, device;
} porch_access_tagged;

typedef struct {
    porch_access_group *groups; /* by name */
    size_t group_count;
    porch_access_tagged *tagged; /* by tag, then device */
    size_t tagged_count;
} porch_access_document;

/* Where the parser stopped, from 1; columns count bytes. */
typedef struct {
    uint32_t line, column;
} porch_access_place;

/* Most bytes in a group's name, in a filter with its variables, and in a line. */
#define PORCH_ACCESS_GROUP_BYTES  79
#define PORCH_ACCESS_FILTER_BYTES 511
#define PORCH_ACCESS_LINE_BYTES   640

/* Bytes of arena that porch_access_document_parse needs at most for this text. */
size_t porch_access_document_bytes(porch_bytes text);
/* PORCH_ERR_MALFORMED or _LIMIT with place and a sentence ("line 4, column 11: expected an action
 * (publish, subscribe, receive or read), found 'shout'"); PORCH_ERR_NO_SPACE when the arena is spent. The
 * document looks into `text` and the arena. `place` may be NULL. */
porch_err porch_access_document_parse(porch_bytes text, porch_arena *arena, porch_access_document *ret,
                                      porch_access_place *place, porch_why *why);
/* The canonical text, appended. PORCH_ERR_NO_SPACE. */
porch_err porch_access_document_write(porch_buf *b, const porch_access_document *document);
/* Bytes that the text has at most. */
size_t porch_access_document_text_bytes(const porch_access_document *document);
/* Brings rows that others made into canonical order (parse does it itself). Twins stay. */
void porch_access_document_sort(porch_access_document *document);
const porch_access_group *porch_access_document_find(const porch_access_document *document,
                                                     porch_bytes name);

#endif
