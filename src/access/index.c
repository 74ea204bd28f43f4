#include "access/index.h"

#include <string.h>

#include "access/sort.h"

static int compare_bytes(porch_bytes a, porch_bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.at, b.at, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int porch_access_member_order(const porch_access_member *a, const porch_access_member *b) {
    return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind)
                              : compare_bytes(a->value, b->value);
}

static int compare_rows(const void *a, const void *b) {
    const porch_access_membership *x = a, *y = b;
    int order = porch_access_member_order(&x->member, &y->member);
    return order != 0 ? order : (x->group > y->group) - (x->group < y->group);
}

static int compare_tagged(const void *a, const void *b) {
    const porch_access_tagged *x = a, *y = b;
    int order = compare_bytes(x->device, y->device);
    return order != 0 ? order : compare_bytes(x->tag, y->tag);
}

static size_t rows_of(const porch_access_document *d) {
    size_t rows = 0;
    for (size_t i = 0; i < d->group_count; i++)
        rows += d->groups[i].member_count;
    return rows;
}

size_t porch_access_index_bytes(const porch_access_document *d) {
    return rows_of(d) * sizeof(porch_access_membership) + d->tagged_count * sizeof(porch_access_tagged) +
           64;
}

porch_err porch_access_index_make(const porch_access_document *d, porch_arena *arena,
                                  porch_access_index *ret) {
    porch_access_index x = {.document = d};
    x.rows = porch_arena_take(arena, rows_of(d) * sizeof *x.rows);
    x.by_device = porch_arena_take(arena, d->tagged_count * sizeof *x.by_device);
    if (x.rows == NULL || x.by_device == NULL) return PORCH_ERR_NO_SPACE;
    for (size_t i = 0; i < d->group_count; i++)
        for (size_t k = 0; k < d->groups[i].member_count; k++)
            x.rows[x.row_count++] = (porch_access_membership){d->groups[i].members[k], (uint32_t)i};
    porch_access_sort(x.rows, x.row_count, sizeof *x.rows, compare_rows);
    if (d->tagged_count > 0) memcpy(x.by_device, d->tagged, d->tagged_count * sizeof *x.by_device);
    porch_access_sort(x.by_device, d->tagged_count, sizeof *x.by_device, compare_tagged);
    *ret = x;
    return PORCH_OK;
}

size_t porch_access_index_find(const porch_access_index *x, const porch_access_member *member) {
    size_t low = 0, high = x->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (porch_access_member_order(&x->rows[middle].member, member) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first row of the device's tags, or of what would come behind them. */
static size_t find_tags(const porch_access_index *x, porch_bytes device) {
    size_t low = 0, high = x->document->tagged_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_bytes(x->by_device[middle].device, device) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- principals ----------------------------------------------------------------------------------- */

const char *porch_access_kind_word(porch_access_kind kind) {
    return kind == PORCH_ACCESS_SERVICE ? "service" : kind == PORCH_ACCESS_PERSON ? "person" : "device";
}

size_t porch_access_principal_variables(const porch_access_principal *who,
                                        porch_access_variable out[PORCH_ACCESS_VARIABLES]) {
    switch (who->kind) {
    case PORCH_ACCESS_SERVICE:
        out[0] = (porch_access_variable){"service.name", who->name};
        return 1;
    case PORCH_ACCESS_PERSON:
        out[0] = (porch_access_variable){"household.id", who->household};
        return 1;
    case PORCH_ACCESS_DEVICE:
        break;
    }
    out[0] = (porch_access_variable){"device.id", who->name};
    out[1] = (porch_access_variable){"device.product", who->product};
    out[2] = (porch_access_variable){"household.id", who->household};
    return 3;
}

/* ---- the groups of a principal -------------------------------------------------------------------- */

typedef struct {
    const porch_access_index *index;
    uint32_t *at;
    size_t count;
} group_set;

static void add_group(group_set *s, uint32_t group) {
    size_t i = s->count;
    while (i > 0 && s->at[i - 1] > group)
        i--;
    if (i > 0 && s->at[i - 1] == group) return;
    memmove(s->at + i + 1, s->at + i, (s->count - i) * sizeof *s->at);
    s->at[i] = group;
    s->count++;
}

static void add(group_set *s, porch_access_member_kind kind, porch_bytes value) {
    porch_access_member wanted = {kind, value};
    const porch_access_index *x = s->index;
    for (size_t i = porch_access_index_find(x, &wanted);
         i < x->row_count && porch_access_member_order(&x->rows[i].member, &wanted) == 0; i++)
        add_group(s, x->rows[i].group);
}

/* By name, by role anywhere, by household, by household and role. */
static void add_person(group_set *s, const porch_access_principal *who) {
    uint8_t text[64 + 1 + PORCH_ROLE_TEXT];
    porch_buf in_role = PORCH_BUF_OF(text);
    porch_bytes role = porch_bytes_of(porch_role_name(who->role));
    add(s, PORCH_ACCESS_MEMBER_EVERY_PERSON, (porch_bytes){NULL, 0});
    if (role.len > 0) add(s, PORCH_ACCESS_MEMBER_EVERY_PERSON, role);
    add(s, PORCH_ACCESS_MEMBER_PERSON, who->name);
    add(s, PORCH_ACCESS_MEMBER_PEOPLE, who->household);
    if (role.len > 0 && porch_write_bytes(&in_role, who->household) == PORCH_OK &&
        porch_write_text(&in_role, " ") == PORCH_OK && porch_write_bytes(&in_role, role) == PORCH_OK)
        add(s, PORCH_ACCESS_MEMBER_PEOPLE, porch_buf_bytes(&in_role));
}

size_t porch_access_index_groups(const porch_access_index *x, const porch_access_principal *who,
                                 uint32_t *out) {
    group_set s = {x, out, 0};
    if (who->kind == PORCH_ACCESS_SERVICE) {
        add(&s, PORCH_ACCESS_MEMBER_SERVICE, who->name);
        return s.count;
    }
    if (who->kind == PORCH_ACCESS_PERSON) {
        add_person(&s, who);
        return s.count;
    }
    add(&s, PORCH_ACCESS_MEMBER_EVERY_DEVICE, (porch_bytes){NULL, 0});
    add(&s, PORCH_ACCESS_MEMBER_DEVICE, who->name);
    add(&s, PORCH_ACCESS_MEMBER_HOUSEHOLD, who->household);
    add(&s, PORCH_ACCESS_MEMBER_PRODUCT, who->product);
    for (size_t i = find_tags(x, who->name);
         i < x->document->tagged_count && porch_bytes_eq(x->by_device[i].device, who->name); i++)
        add(&s, PORCH_ACCESS_MEMBER_TAG, x->by_device[i].tag);
    return s.count;
}

static bool has_tag(const porch_access_index *x, porch_bytes device, porch_bytes tag) {
    for (size_t i = find_tags(x, device);
         i < x->document->tagged_count && porch_bytes_eq(x->by_device[i].device, device); i++)
        if (porch_bytes_eq(x->by_device[i].tag, tag)) return true;
    return false;
}

static bool holds_person(const porch_access_member *m, const porch_access_principal *who) {
    porch_role role;
    porch_bytes household;
    if (m->kind == PORCH_ACCESS_MEMBER_PERSON) return porch_bytes_eq(m->value, who->name);
    if (!porch_access_member_people(m, &household, &role)) return false;
    return (role == 0 || role == who->role) &&
           (m->kind == PORCH_ACCESS_MEMBER_EVERY_PERSON || porch_bytes_eq(household, who->household));
}

bool porch_access_index_holds(const porch_access_index *x, const porch_access_member *m,
                              const porch_access_principal *who) {
    if (who->kind == PORCH_ACCESS_SERVICE)
        return m->kind == PORCH_ACCESS_MEMBER_SERVICE && porch_bytes_eq(m->value, who->name);
    if (who->kind == PORCH_ACCESS_PERSON) return holds_person(m, who);
    switch (m->kind) {
    case PORCH_ACCESS_MEMBER_EVERY_DEVICE:
        return true;
    case PORCH_ACCESS_MEMBER_DEVICE:
        return porch_bytes_eq(m->value, who->name);
    case PORCH_ACCESS_MEMBER_HOUSEHOLD:
        return porch_bytes_eq(m->value, who->household);
    case PORCH_ACCESS_MEMBER_PRODUCT:
        return porch_bytes_eq(m->value, who->product);
    case PORCH_ACCESS_MEMBER_TAG:
        return has_tag(x, who->name, m->value);
    case PORCH_ACCESS_MEMBER_SERVICE:
    case PORCH_ACCESS_MEMBER_EVERY_PERSON:
    case PORCH_ACCESS_MEMBER_PEOPLE:
    case PORCH_ACCESS_MEMBER_PERSON:
    case PORCH_ACCESS_MEMBER_KINDS:
        break;
    }
    return false;
}
