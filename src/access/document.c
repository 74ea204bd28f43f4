#include "access/document.h"

#include <stdio.h>
#include <string.h>

#include "access/automaton.h"
#include "access/sort.h"
#include "access/statement.h"
#include "base/text.h"

static const char *const member_words[PORCH_ACCESS_MEMBER_KINDS] = {
    [PORCH_ACCESS_MEMBER_EVERY_DEVICE] = "every device",
    [PORCH_ACCESS_MEMBER_DEVICE] = "device",
    [PORCH_ACCESS_MEMBER_HOUSEHOLD] = "household",
    [PORCH_ACCESS_MEMBER_PRODUCT] = "product",
    [PORCH_ACCESS_MEMBER_SERVICE] = "service",
    [PORCH_ACCESS_MEMBER_TAG] = "tag",
    [PORCH_ACCESS_MEMBER_EVERY_PERSON] = "every person",
    [PORCH_ACCESS_MEMBER_PEOPLE] = "people",
    [PORCH_ACCESS_MEMBER_PERSON] = "person",
};

const char *porch_access_member_word(porch_access_member_kind kind) {
    return kind < PORCH_ACCESS_MEMBER_KINDS ? member_words[kind] : "?";
}

bool porch_access_member_people(const porch_access_member *m, porch_bytes *household, porch_role *role) {
    porch_bytes word = m->value;
    porch_role found = 0;
    *household = (porch_bytes){NULL, 0};
    *role = 0;
    if (m->kind == PORCH_ACCESS_MEMBER_PEOPLE) {
        const uint8_t *space = word.len == 0 ? NULL : memchr(word.at, ' ', word.len);
        size_t n = space == NULL ? word.len : (size_t)(space - word.at);
        *household = (porch_bytes){word.at, n};
        word = space == NULL ? (porch_bytes){word.at, 0} : (porch_bytes){space + 1, word.len - n - 1};
    } else if (m->kind != PORCH_ACCESS_MEMBER_EVERY_PERSON) {
        return false;
    }
    if (word.len > 0 && porch_role_parse(word, &found) != PORCH_OK) return false;
    *role = found;
    return true;
}

/* ---- order --------------------------------------------------------------------------------------- */

static int compare_bytes(porch_bytes a, porch_bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.at, b.at, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_groups(const void *a, const void *b) {
    return compare_bytes(((const porch_access_group *)a)->name, ((const porch_access_group *)b)->name);
}

static int compare_members(const void *a, const void *b) {
    const porch_access_member *x = a, *y = b;
    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind)
                              : compare_bytes(x->value, y->value);
}

static int compare_tagged(const void *a, const void *b) {
    const porch_access_tagged *x = a, *y = b;
    int order = compare_bytes(x->tag, y->tag);
    return order != 0 ? order : compare_bytes(x->device, y->device);
}

typedef int (*compare)(const void *a, const void *b);

_Static_assert(sizeof(porch_access_group) <= PORCH_ACCESS_SORT_ROW_BYTES,
               "a row fits the hand that swaps it");

void porch_access_document_sort(porch_access_document *d) {
    porch_access_sort(d->groups, d->group_count, sizeof *d->groups, compare_groups);
    porch_access_sort(d->tagged, d->tagged_count, sizeof *d->tagged, compare_tagged);
    for (size_t i = 0; i < d->group_count; i++)
        porch_access_sort(d->groups[i].members, d->groups[i].member_count, sizeof *d->groups[i].members,
                          compare_members);
}

const porch_access_group *porch_access_document_find(const porch_access_document *d, porch_bytes name) {
    size_t low = 0, high = d->group_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_bytes(d->groups[middle].name, name);
        if (order == 0) return &d->groups[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------------------- */

typedef enum { NOTHING_OPEN, GROUP_OPEN, TAG_OPEN } open_block;

typedef struct {
    porch_access_document document;
    porch_access_member *members;
    porch_access_statement *statements;
    size_t member_count, statement_count;
    open_block open;
    porch_bytes tag;
    porch_bytes line; /* without the spaces around it */
    porch_bytes rest; /* of the line, not yet read */
    uint32_t number, indent;
    porch_access_place *place;
    porch_why *why;
} parser;

static porch_err stop_at(parser *p, const uint8_t *at, porch_err e, const char *expected) {
    porch_access_place here = {p->number, (uint32_t)(at - p->line.at) + p->indent + 1};
    porch_bytes found = {at, (size_t)(p->line.at + p->line.len - at)};
    const uint8_t *space = found.len == 0 ? NULL : memchr(found.at, ' ', found.len);
    if (space != NULL) found.len = (size_t)(space - found.at);
    if (found.len > 40) found.len = 40;
    char shown[44];
    for (size_t i = 0; i < found.len; i++)
        shown[i] = found.at[i] < 0x20 || found.at[i] >= 0x7f ? '?' : (char)found.at[i];
    shown[found.len] = '\0';
    if (p->place != NULL) *p->place = here;
    return found.len == 0 ? porch_fail(p->why, e, "line %u, column %u: expected %s, but the line ends",
                                       here.line, here.column, expected)
                          : porch_fail(p->why, e, "line %u, column %u: expected %s, found '%s'", here.line,
                                       here.column, expected, shown);
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

/* The next word of the line; empty at its end. */
static porch_bytes word(parser *p) {
    while (p->rest.len > 0 && is_blank(*p->rest.at))
        p->rest = (porch_bytes){p->rest.at + 1, p->rest.len - 1};
    size_t n = 0;
    while (n < p->rest.len && !is_blank(p->rest.at[n]))
        n++;
    porch_bytes ret = {p->rest.at, n};
    p->rest = (porch_bytes){p->rest.at + n, p->rest.len - n};
    return ret;
}

static porch_err end_of_line(parser *p) {
    porch_bytes more = word(p);
    return more.len == 0 ? PORCH_OK : stop_at(p, more.at, PORCH_ERR_MALFORMED, "nothing more on this line");
}

static bool is_name(porch_bytes text, size_t most) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (c != '-' || i == 0)) return false;
    }
    return text.len > 0 && text.len <= most;
}

/* Product names are the maker's: any plain text of one word. */
static bool is_product(porch_bytes text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] == 0x7f || strchr("+#/$", text.at[i]) != NULL) return false;
    return text.len > 0 && text.len <= 64 && porch_utf8_valid(text);
}

static porch_err take_name(parser *p, size_t most, const char *expected, porch_bytes *ret) {
    porch_bytes name = word(p);
    if (!is_name(name, most)) return stop_at(p, name.at, PORCH_ERR_MALFORMED, expected);
    *ret = name;
    return end_of_line(p);
}

static porch_access_group *open_group(parser *p) {
    return &p->document.groups[p->document.group_count - 1];
}

static porch_err take_group(parser *p) {
    porch_bytes name;
    PORCH_TRY(take_name(p, PORCH_ACCESS_GROUP_BYTES,
                        "a group's name (lower-case letters, digits and '-', at most 79)", &name));
    p->document.groups[p->document.group_count++] =
        (porch_access_group){.name = name,
                             .members = p->members + p->member_count,
                             .statements = p->statements + p->statement_count,
                             .line = p->number};
    p->open = GROUP_OPEN;
    return PORCH_OK;
}

static porch_err take_tag(parser *p) {
    PORCH_TRY(take_name(p, 64, "a tag's name (lower-case letters, digits and '-', at most 64)", &p->tag));
    p->open = TAG_OPEN;
    return PORCH_OK;
}

static porch_err take_tagged(parser *p) {
    porch_bytes device;
    PORCH_TRY(take_name(p, 64, "a device's id", &device));
    p->document.tagged[p->document.tagged_count++] = (porch_access_tagged){p->tag, device};
    return PORCH_OK;
}

static porch_err take_every(parser *p, porch_access_member *m) {
    porch_role role;
    porch_bytes what = word(p), nothing = {what.at, 0};
    if (porch_bytes_eq_text(what, "device"))
        *m = (porch_access_member){PORCH_ACCESS_MEMBER_EVERY_DEVICE, nothing};
    else if (porch_bytes_eq_text(what, "person"))
        *m = (porch_access_member){PORCH_ACCESS_MEMBER_EVERY_PERSON, nothing};
    else if (porch_role_parse(what, &role) == PORCH_OK)
        *m = (porch_access_member){PORCH_ACCESS_MEMBER_EVERY_PERSON, what};
    else
        return stop_at(p, what.at, PORCH_ERR_MALFORMED,
                       "'device', 'person', 'owner', 'adult', 'child' or 'guest' after 'every'");
    return PORCH_OK;
}

/* "HOUSEHOLD" or "HOUSEHOLD ROLE": one view, so there is one space between. */
static porch_err take_people(parser *p, porch_access_member *m) {
    porch_role role;
    porch_bytes household = word(p), value = household;
    if (!is_name(household, 64)) return stop_at(p, household.at, PORCH_ERR_MALFORMED, "a household's id");
    porch_bytes word_of_role = word(p);
    if (word_of_role.len > 0) {
        if (porch_role_parse(word_of_role, &role) != PORCH_OK)
            return stop_at(p, word_of_role.at, PORCH_ERR_MALFORMED,
                           "owner, adult, child, guest, or nothing more on this line");
        value.len = (size_t)(word_of_role.at - household.at) + word_of_role.len;
        if (value.len != household.len + 1 + word_of_role.len || household.at[household.len] != ' ')
            return stop_at(p, word_of_role.at, PORCH_ERR_MALFORMED,
                           "one space between the household and the role");
    }
    *m = (porch_access_member){PORCH_ACCESS_MEMBER_PEOPLE, value};
    return PORCH_OK;
}

/* People's names are theirs: any text of one line, in ASCII lower case, since case makes no other name. */
static porch_err take_person(parser *p, porch_access_member *m) {
    while (p->rest.len > 0 && is_blank(*p->rest.at))
        p->rest = (porch_bytes){p->rest.at + 1, p->rest.len - 1};
    porch_bytes name = p->rest;
    if (name.len == 0 || name.len > 64 || !porch_utf8_valid(name))
        return stop_at(p, name.at, PORCH_ERR_MALFORMED, "a person's name (at most 64 bytes)");
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < 0x20 || name.at[i] == 0x7f || (name.at[i] >= 'A' && name.at[i] <= 'Z'))
            return stop_at(p, name.at + i, PORCH_ERR_MALFORMED, "a person's name in lower case");
    p->rest = (porch_bytes){name.at + name.len, 0};
    *m = (porch_access_member){PORCH_ACCESS_MEMBER_PERSON, name};
    return PORCH_OK;
}

static porch_err take_member(parser *p) {
    static const char expected[] =
        "'every device', 'every person', device, household, people, person, product, service or tag";
    porch_bytes kind = word(p);
    porch_access_member *m = &p->members[p->member_count];
    if (porch_bytes_eq_text(kind, "every")) {
        PORCH_TRY(take_every(p, m));
    } else if (porch_bytes_eq_text(kind, "people")) {
        PORCH_TRY(take_people(p, m));
    } else if (porch_bytes_eq_text(kind, "person")) {
        PORCH_TRY(take_person(p, m));
    } else {
        size_t i = PORCH_ACCESS_MEMBER_DEVICE;
        while (i < PORCH_ACCESS_MEMBER_KINDS && !porch_bytes_eq_text(kind, member_words[i]))
            i++;
        if (i == PORCH_ACCESS_MEMBER_KINDS) return stop_at(p, kind.at, PORCH_ERR_MALFORMED, expected);
        porch_bytes value = word(p);
        if (i == PORCH_ACCESS_MEMBER_PRODUCT ? !is_product(value) : !is_name(value, 64))
            return stop_at(p, value.at, PORCH_ERR_MALFORMED, "the member's name");
        *m = (porch_access_member){(porch_access_member_kind)i, value};
    }
    PORCH_TRY(end_of_line(p));
    p->member_count++;
    open_group(p)->member_count++;
    return PORCH_OK;
}

static const porch_access_variable known[] = {{"device.id", PORCH_LIT("x")},
                                              {"device.product", PORCH_LIT("x")},
                                              {"household.id", PORCH_LIT("x")},
                                              {"household.device", PORCH_LIT("x")},
                                              {"service.name", PORCH_LIT("x")}};

static bool speaks_of(porch_bytes filter, const char *variables);

/* ${household.device} is many names at once: it stands for a level, not for a part of one. */
static porch_err check_devices(parser *p, porch_bytes filter) {
    porch_topic_level walk = porch_topic_level_first(filter);
    for (porch_bytes level; porch_topic_level_next(&walk, &level);)
        if (speaks_of(level, PORCH_ACCESS_DEVICES) && !porch_bytes_eq_text(level, PORCH_ACCESS_DEVICES))
            return stop_at(p, level.at, PORCH_ERR_MALFORMED, PORCH_ACCESS_DEVICES " alone in its level");
    return PORCH_OK;
}

static porch_err check_filter(parser *p, unsigned actions, porch_bytes filter) {
    char text[PORCH_ACCESS_LINE_BYTES + 64];
    porch_buf b = PORCH_BUF_OF(text);
    porch_why why = {""};
    porch_topic_filter parsed;
    if (filter.len > PORCH_ACCESS_FILTER_BYTES)
        return stop_at(p, filter.at, PORCH_ERR_LIMIT, "a filter of at most 511 bytes");
    porch_err e = porch_access_actions_write(&b, actions);
    if (e == PORCH_OK) e = porch_write_text(&b, ":");
    if (e == PORCH_OK) e = porch_write_bytes(&b, filter);
    if (e == PORCH_OK) e = porch_topic_filter_parse(filter, NULL, &parsed);
    if (e != PORCH_OK)
        return stop_at(p, filter.at, PORCH_ERR_MALFORMED,
                       "a topic filter ('+' and '#' stand alone in their level, '#' at the end)");
    e = porch_access_template_check(porch_buf_bytes(&b), known, sizeof known / sizeof known[0], NULL, &why);
    if (e == PORCH_OK) return check_devices(p, filter);
    char expected[200];
    (void)snprintf(expected, sizeof expected, "another filter (%.180s)", why.text);
    return stop_at(p, filter.at, e, expected);
}

static porch_err take_statement(parser *p, porch_access_effect effect) {
    porch_bytes actions = word(p);
    porch_access_statement *s = &p->statements[p->statement_count];
    *s = (porch_access_statement){.effect = effect, .tag = p->number};
    if (porch_access_actions_parse(actions, &s->actions, NULL) != PORCH_OK)
        return stop_at(p, actions.at, PORCH_ERR_MALFORMED,
                       "actions (publish, subscribe, receive or read, each once, with a comma between)");
    while (p->rest.len > 0 && is_blank(*p->rest.at))
        p->rest = (porch_bytes){p->rest.at + 1, p->rest.len - 1};
    s->filter.text = p->rest;
    PORCH_TRY(check_filter(p, s->actions, p->rest));
    p->statement_count++;
    open_group(p)->statement_count++;
    return PORCH_OK;
}

static porch_err take_line(parser *p) {
    porch_bytes first = word(p);
    if (porch_bytes_eq_text(first, "group")) return take_group(p);
    if (porch_bytes_eq_text(first, "tag")) return take_tag(p);
    if (p->open == TAG_OPEN) {
        if (porch_bytes_eq_text(first, "device")) return take_tagged(p);
        return stop_at(p, first.at, PORCH_ERR_MALFORMED, "device, group or tag");
    }
    if (p->open == GROUP_OPEN) {
        if (porch_bytes_eq_text(first, "member")) return take_member(p);
        if (porch_bytes_eq_text(first, "allow")) return take_statement(p, PORCH_ACCESS_ALLOW);
        if (porch_bytes_eq_text(first, "deny")) return take_statement(p, PORCH_ACCESS_DENY);
        return stop_at(p, first.at, PORCH_ERR_MALFORMED, "member, allow, deny, group or tag");
    }
    return stop_at(p, first.at, PORCH_ERR_MALFORMED, "group or tag");
}

/* ---- what only the whole shows -------------------------------------------------------------------- */

static bool speaks_of(porch_bytes filter, const char *variables) {
    size_t n = strlen(variables);
    for (size_t i = 0; i + n <= filter.len; i++)
        if (memcmp(filter.at + i, variables, n) == 0) return true;
    return false;
}

static porch_err whole_at(parser *p, uint32_t line, porch_err e, const char *sentence, porch_bytes name) {
    if (p->place != NULL) *p->place = (porch_access_place){line, 1};
    return porch_fail(p->why, e, "line %u, column 1: expected %s, found '%.*s'", line, sentence,
                      (int)(name.len < 80 ? name.len : 80), (const char *)name.at);
}

/* A deny must mean something for every member. */
static porch_err judge_denies(parser *p, const porch_access_group *g) {
    bool devices = false, services = false, people = false;
    for (size_t i = 0; i < g->member_count; i++) {
        bool is_service = g->members[i].kind == PORCH_ACCESS_MEMBER_SERVICE;
        bool is_person = g->members[i].kind >= PORCH_ACCESS_MEMBER_EVERY_PERSON;
        services = services || is_service;
        people = people || is_person;
        devices = devices || (!is_service && !is_person);
    }
    for (size_t i = 0; i < g->statement_count; i++) {
        const porch_access_statement *s = &g->statements[i];
        porch_bytes filter = s->filter.text;
        if (s->effect != PORCH_ACCESS_DENY) continue;
        bool of_devices = speaks_of(filter, "${device."), of_homes = speaks_of(filter, "${household.id}"),
             of_people = speaks_of(filter, PORCH_ACCESS_DEVICES);
        if ((of_devices && (services || people)) || (of_homes && services) ||
            (of_people && (services || devices)) ||
            (speaks_of(filter, "${service.") && (devices || people)))
            return whole_at(p, s->tag, PORCH_ERR_MALFORMED,
                            "a deny whose variables every member of its group has", filter);
    }
    return PORCH_OK;
}

static size_t drop_twins(void *rows, size_t count, size_t bytes, compare order) {
    size_t kept = count == 0 ? 0 : 1;
    for (size_t i = 1; i < count; i++) {
        uint8_t *row = (uint8_t *)rows + i * bytes, *last = (uint8_t *)rows + (kept - 1) * bytes;
        if (order(last, row) == 0) continue;
        if (last + bytes != row) memcpy(last + bytes, row, bytes);
        kept++;
    }
    return kept;
}

static porch_err finish(parser *p) {
    porch_access_document *d = &p->document;
    porch_access_document_sort(d);
    for (size_t i = 0; i < d->group_count; i++) {
        porch_access_group *g = &d->groups[i];
        if (i > 0 && compare_groups(g - 1, g) == 0) {
            uint32_t line = g->line > g[-1].line ? g->line : g[-1].line;
            return whole_at(p, line, PORCH_ERR_MALFORMED, "each group once", g->name);
        }
        g->member_count = drop_twins(g->members, g->member_count, sizeof *g->members, compare_members);
        PORCH_TRY(judge_denies(p, g));
    }
    d->tagged_count = drop_twins(d->tagged, d->tagged_count, sizeof *d->tagged, compare_tagged);
    return PORCH_OK;
}

/* ---- lines --------------------------------------------------------------------------------------- */

static bool next_line(porch_bytes *text, porch_bytes *ret) {
    if (text->len == 0) return false;
    const uint8_t *end = memchr(text->at, '\n', text->len);
    size_t n = end == NULL ? text->len : (size_t)(end - text->at);
    *ret = (porch_bytes){text->at, n};
    n += end != NULL;
    *text = (porch_bytes){text->at + n, text->len - n};
    return true;
}

/* How many rows of each kind there may be: by the first letter of the line. */
typedef struct {
    size_t groups, members, statements, tagged;
} row_counts;

static row_counts count_rows(porch_bytes text) {
    row_counts n = {0, 0, 0, 0};
    porch_bytes line;
    while (next_line(&text, &line)) {
        size_t i = 0;
        while (i < line.len && is_blank(line.at[i]))
            i++;
        uint8_t c = i < line.len ? line.at[i] : 0;
        n.groups += c == 'g';
        n.members += c == 'm';
        n.tagged += c == 'd'; /* 'device' and 'deny' begin alike */
        n.statements += c == 'a' || c == 'd';
    }
    return n;
}

enum { ROOM_TO_ALIGN = 64 };

size_t porch_access_document_bytes(porch_bytes text) {
    row_counts n = count_rows(text);
    return n.groups * sizeof(porch_access_group) + n.members * sizeof(porch_access_member) +
           n.statements * sizeof(porch_access_statement) + n.tagged * sizeof(porch_access_tagged) +
           (size_t)4 * ROOM_TO_ALIGN;
}

static porch_err make_rows(parser *p, porch_bytes text, porch_arena *arena) {
    row_counts n = count_rows(text);
    p->document.groups = porch_arena_take(arena, n.groups * sizeof *p->document.groups);
    p->document.tagged = porch_arena_take(arena, n.tagged * sizeof *p->document.tagged);
    p->members = porch_arena_take(arena, n.members * sizeof *p->members);
    p->statements = porch_arena_take(arena, n.statements * sizeof *p->statements);
    return p->document.groups != NULL && p->document.tagged != NULL && p->members != NULL &&
                   p->statements != NULL
               ? PORCH_OK
               : porch_fail(p->why, PORCH_ERR_NO_SPACE, "the policy needs more memory than it was given");
}

porch_err porch_access_document_parse(porch_bytes text, porch_arena *arena, porch_access_document *ret,
                                      porch_access_place *place, porch_why *why) {
    parser p = {.place = place, .why = why};
    porch_bytes line;
    PORCH_TRY(make_rows(&p, text, arena));
    while (next_line(&text, &line)) {
        p.number++;
        p.indent = 0;
        while (line.len > 0 && (is_blank(line.at[line.len - 1]) || line.at[line.len - 1] == '\r'))
            line.len--;
        for (; line.len > 0 && is_blank(*line.at); p.indent++)
            line = (porch_bytes){line.at + 1, line.len - 1};
        p.line = p.rest = line;
        if (line.len == 0 || *line.at == '#') continue;
        if (line.len > PORCH_ACCESS_LINE_BYTES)
            return stop_at(&p, line.at + PORCH_ACCESS_LINE_BYTES, PORCH_ERR_LIMIT,
                           "a line of at most 640 bytes");
        PORCH_TRY(take_line(&p));
    }
    PORCH_TRY(finish(&p));
    *ret = p.document;
    return PORCH_OK;
}

/* ---- writing ------------------------------------------------------------------------------------- */

enum { WORDS_BYTES = 64 };

size_t porch_access_document_text_bytes(const porch_access_document *d) {
    size_t bytes = 0;
    for (size_t i = 0; i < d->group_count; i++) {
        const porch_access_group *g = &d->groups[i];
        bytes += g->name.len + WORDS_BYTES;
        for (size_t k = 0; k < g->member_count; k++)
            bytes += g->members[k].value.len + WORDS_BYTES;
        for (size_t k = 0; k < g->statement_count; k++)
            bytes += g->statements[k].filter.text.len + WORDS_BYTES;
    }
    for (size_t i = 0; i < d->tagged_count; i++)
        bytes += d->tagged[i].tag.len + d->tagged[i].device.len + WORDS_BYTES;
    return bytes;
}

static porch_err write_member(porch_buf *b, const porch_access_member *m) {
    PORCH_TRY(porch_write_text(b, "    member "));
    if (m->kind == PORCH_ACCESS_MEMBER_EVERY_PERSON && m->value.len > 0) {
        PORCH_TRY(porch_write_text(b, "every "));
        PORCH_TRY(porch_write_bytes(b, m->value));
        return porch_write_text(b, "\n");
    }
    PORCH_TRY(porch_write_text(b, porch_access_member_word(m->kind)));
    if (m->value.len > 0) {
        PORCH_TRY(porch_write_text(b, " "));
        PORCH_TRY(porch_write_bytes(b, m->value));
    }
    return porch_write_text(b, "\n");
}

static porch_err write_statement(porch_buf *b, const porch_access_statement *s) {
    PORCH_TRY(porch_write_text(b, s->effect == PORCH_ACCESS_DENY ? "    deny " : "    allow "));
    PORCH_TRY(porch_access_actions_write(b, s->actions));
    PORCH_TRY(porch_write_text(b, " "));
    PORCH_TRY(porch_write_bytes(b, s->filter.text));
    return porch_write_text(b, "\n");
}

static porch_err write_heading(porch_buf *b, size_t start, const char *word, porch_bytes name) {
    if (b->len > start) PORCH_TRY(porch_write_text(b, "\n"));
    PORCH_TRY(porch_write_text(b, word));
    PORCH_TRY(porch_write_bytes(b, name));
    return porch_write_text(b, "\n");
}

static porch_err write_all(porch_buf *b, const porch_access_document *d, size_t start) {
    for (size_t i = 0; i < d->group_count; i++) {
        const porch_access_group *g = &d->groups[i];
        PORCH_TRY(write_heading(b, start, "group ", g->name));
        for (size_t k = 0; k < g->member_count; k++)
            PORCH_TRY(write_member(b, &g->members[k]));
        for (size_t k = 0; k < g->statement_count; k++)
            PORCH_TRY(write_statement(b, &g->statements[k]));
    }
    for (size_t i = 0; i < d->tagged_count; i++) {
        const porch_access_tagged *t = &d->tagged[i];
        if (i == 0 || !porch_bytes_eq(t[-1].tag, t->tag))
            PORCH_TRY(write_heading(b, start, "tag ", t->tag));
        PORCH_TRY(porch_write_text(b, "    device "));
        PORCH_TRY(porch_write_bytes(b, t->device));
        PORCH_TRY(porch_write_text(b, "\n"));
    }
    return PORCH_OK;
}

porch_err porch_access_document_write(porch_buf *b, const porch_access_document *d) {
    size_t start = b->len;
    porch_err e = write_all(b, d, start);
    if (e != PORCH_OK) b->len = start;
    return e;
}
