/* Roles of people in a household: what a person may do there follows from this one word.
 *
 * owner: everything. adult: lives there, and may change and delete. child: lives there and looks on.
 * guest: looks on, for a while. Roles are bits, so that a door can name those that may pass. */
#ifndef PORCH_WIRE_ROLE_H
#define PORCH_WIRE_ROLE_H

#include "base/bytes.h"
#include "base/error.h"

/* X(NAME, text, bit) */
#define PORCH_ROLE_LIST(X) \
    X(OWNER, "owner", 0)   \
    X(ADULT, "adult", 1)   \
    X(CHILD, "child", 2)   \
    X(GUEST, "guest", 3)

typedef enum {
#define PORCH_ROLE_BIT(NAME, text, bit) PORCH_ROLE_##NAME = 1 << (bit),
    PORCH_ROLE_LIST(PORCH_ROLE_BIT)
#undef PORCH_ROLE_BIT
} porch_role;

enum {
    PORCH_ROLES = 4,
    PORCH_ROLES_ALL = (1 << PORCH_ROLES) - 1,
    PORCH_ROLES_GROWN = PORCH_ROLE_OWNER | PORCH_ROLE_ADULT,
    PORCH_ROLE_TEXT = 6 /* the longest word with its terminating zero */
};

/* MALFORMED for anything but one of the words; *ret is untouched then. */
porch_err porch_role_parse(porch_bytes text, porch_role *ret);
/* Its word; "" for none or several. */
const char *porch_role_name(porch_role role);

#endif
