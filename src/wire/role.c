#include "wire/role.h"

static const struct {
    porch_role role;
    const char *text;
} ROLES[] = {
#define PORCH_ROLE_ROW(NAME, text, bit) {PORCH_ROLE_##NAME, text},
    PORCH_ROLE_LIST(PORCH_ROLE_ROW)
#undef PORCH_ROLE_ROW
};
_Static_assert(sizeof ROLES / sizeof ROLES[0] == PORCH_ROLES, "PORCH_ROLES counts the list");

porch_err porch_role_parse(porch_bytes text, porch_role *ret) {
    for (size_t i = 0; i < PORCH_ROLES; i++) {
        if (!porch_bytes_eq_text(text, ROLES[i].text)) continue;
        *ret = ROLES[i].role;
        return PORCH_OK;
    }
    return PORCH_ERR_MALFORMED;
}

const char *porch_role_name(porch_role role) {
    for (size_t i = 0; i < PORCH_ROLES; i++)
        if (ROLES[i].role == role) return ROLES[i].text;
    return "";
}
