#include "cli/cli_access.h"

#include <stdlib.h>
#include <string.h>

#include "access/automaton.h"
#include "access/quarantine.h"
#include "access/statement.h"
#include "crypto/identity.h"

enum { FILE_MOST = 16 << 20 };

porch_err porch_cli_policy_of(porch_bytes text, const char *name, porch_cli_policy *ret, porch_why *why) {
    porch_cli_policy p = {.text = text};
    porch_why inner = {""};
    size_t bytes = porch_access_document_bytes(text);
    porch_err e = PORCH_ERR_INTERNAL;
    void *index_rows = NULL;
    p.rows = malloc(bytes);
    if (p.rows == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    porch_arena arena = porch_arena_of(p.rows, bytes);
    e = porch_access_document_parse(text, &arena, &p.document, NULL, &inner);
    if (e == PORCH_OK) {
        /* rows of the document, then those of its index, in one block that grows */
        size_t index_bytes = porch_access_index_bytes(&p.document);
        index_rows = malloc(index_bytes);
        porch_arena more = porch_arena_of(index_rows, index_bytes);
        e = index_rows == NULL ? PORCH_ERR_INTERNAL : porch_access_index_make(&p.document, &more, &p.index);
    }
    if (e != PORCH_OK) {
        free(p.rows);
        free(index_rows);
        return name == NULL ? porch_fail(why, e, "%s", porch_why_text(&inner, e))
                            : porch_fail(why, e, "%.100s: %s", name, porch_why_text(&inner, e));
    }
    p.index_rows = index_rows;
    *ret = p;
    ret->index.document = &ret->document;
    return PORCH_OK;
}

porch_err porch_cli_policy_fetch(const porch_cli *c, porch_cli_policy *ret, porch_why *why) {
    json_t *answer = NULL;
    PORCH_TRY(porch_cli_ask(c, "policy.world", NULL, &answer, why));
    const json_t *text = json_object_get(answer, "text");
    porch_bytes bytes = {(const uint8_t *)json_string_value(text), json_string_length(text)};
    porch_err e = porch_cli_policy_of(bytes, NULL, ret, why);
    if (e != PORCH_OK) {
        json_decref(answer);
        return e;
    }
    ret->answer = answer;
    ret->version = porch_cli_number(answer, "version");
    return PORCH_OK;
}

void porch_cli_policy_free(porch_cli_policy *p) {
    if (p->home != NULL) free(p->home->block);
    free(p->home);
    free(p->rows);
    free(p->index_rows);
    json_decref(p->answer);
}

porch_err porch_cli_read_file(const char *path, char **ret, porch_why *why) {
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (f == NULL) return porch_fail(why, PORCH_ERR_IO, "%s cannot be read", path);
    size_t len = 0, cap = 65536;
    char *text = malloc(cap + 1);
    while (text != NULL) {
        len += fread(text + len, 1, cap - len, f);
        if (len < cap || cap >= FILE_MOST) break;
        char *wider = realloc(text, cap * 2 + 1);
        if (wider == NULL) free(text);
        text = wider;
        cap *= 2;
    }
    bool failed = ferror(f) != 0;
    if (f != stdin) (void)fclose(f);
    porch_err e = text == NULL       ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for %s", path)
                  : failed           ? porch_fail(why, PORCH_ERR_IO, "%s cannot be read", path)
                  : len == FILE_MOST ? porch_fail(why, PORCH_ERR_LIMIT, "%s is larger than 16 MiB", path)
                  : memchr(text, 0, len) != NULL
                      ? porch_fail(why, PORCH_ERR_MALFORMED, "%s is no text", path)
                      : PORCH_OK;
    if (e != PORCH_OK) {
        free(text);
        return e;
    }
    text[len] = '\0';
    *ret = text;
    return PORCH_OK;
}

/* ---- principals ------------------------------------------------------------------------------------ */

static porch_bytes text_at(const json_t *array, size_t i) {
    const json_t *value = json_array_get(array, i);
    return (porch_bytes){(const uint8_t *)json_string_value(value), json_string_length(value)};
}

static const json_t *devices_of(const porch_cli_policy *p) {
    return json_object_get(p->answer, "devices");
}

static const json_t *services_of(const porch_cli_policy *p) {
    return json_object_get(p->answer, "services");
}

/* [name in lower case, household, role, whether the time is over] */
static const json_t *people_of(const porch_cli_policy *p) {
    return json_object_get(p->answer, "people");
}

size_t porch_cli_principal_count(const porch_cli_policy *p) {
    return json_array_size(devices_of(p)) + json_array_size(services_of(p)) + json_array_size(people_of(p));
}

static porch_access_principal person_of(const json_t *row) {
    porch_access_principal one = {
        .kind = PORCH_ACCESS_PERSON, .name = text_at(row, 0), .household = text_at(row, 1)};
    if (porch_role_parse(text_at(row, 2), &one.role) != PORCH_OK) one.role = 0;
    return one;
}

porch_access_principal porch_cli_principal_at(const porch_cli_policy *p, size_t i) {
    size_t devices = json_array_size(devices_of(p)), services = json_array_size(services_of(p));
    if (i >= devices + services) return person_of(json_array_get(people_of(p), i - devices - services));
    if (i >= devices)
        return (porch_access_principal){.kind = PORCH_ACCESS_SERVICE,
                                        .name = text_at(services_of(p), i - devices)};
    const json_t *row = json_array_get(devices_of(p), i);
    return (porch_access_principal){.kind = PORCH_ACCESS_DEVICE,
                                    .name = text_at(row, 0),
                                    .product = text_at(row, 1),
                                    .household = text_at(row, 2)};
}

static bool find(const porch_cli_policy *p, porch_access_kind kind, const char *name,
                 porch_access_principal *ret) {
    size_t count = porch_cli_principal_count(p);
    for (size_t i = 0; i < count; i++) {
        porch_access_principal one = porch_cli_principal_at(p, i);
        if (one.kind != kind || !porch_bytes_eq_nocase(one.name, porch_bytes_of(name)) ||
            (kind != PORCH_ACCESS_PERSON && !porch_bytes_eq_text(one.name, name)))
            continue;
        *ret = one;
        return true;
    }
    return false;
}

bool porch_cli_expired(const porch_cli_policy *p, const porch_access_principal *who) {
    const json_t *row;
    if (who->kind != PORCH_ACCESS_PERSON) return false;
    for (size_t i = 0; (row = json_array_get(people_of(p), i)) != NULL; i++)
        if (porch_bytes_eq(text_at(row, 0), who->name)) return json_is_true(json_array_get(row, 3));
    return false;
}

static bool is_listed(const porch_cli_policy *p, const char *list, const porch_access_principal *who) {
    if (who->kind != PORCH_ACCESS_DEVICE) return false;
    const json_t *all = json_object_get(p->answer, list);
    for (size_t i = 0; i < json_array_size(all); i++)
        if (porch_bytes_eq(text_at(all, i), who->name)) return true;
    return false;
}

bool porch_cli_quarantined(const porch_cli_policy *p, const porch_access_principal *who) {
    return is_listed(p, "quarantined", who);
}

bool porch_cli_revoked(const porch_cli_policy *p, const porch_access_principal *who) {
    return is_listed(p, "revoked", who);
}

porch_err porch_cli_principal(const porch_cli_policy *p, const char *text, porch_access_principal *ret,
                              bool *known, porch_why *why) {
    static const char *const prefixes[] = {"device:", "service:", "person:"}; /* by porch_access_kind */
    enum { KINDS = 3 };
    porch_access_principal found[KINDS];
    porch_identity checked;
    int said = -1, count = 0, last = 0;
    const char *name = text;
    for (int i = 0; i < KINDS; i++) {
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) != 0) continue;
        said = i;
        name = text + strlen(prefixes[i]);
    }
    for (int i = 0; i < KINDS; i++) {
        if ((said >= 0 && said != i) || !find(p, (porch_access_kind)i, name, &found[i])) continue;
        count++;
        last = i;
    }
    if (count > 1)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "more than one is called %.80s; write device:, service: or person: before it",
                          name);
    bool plain = porch_identity_make(PORCH_IDENTITY_DEVICE, porch_bytes_of(name), &checked) == PORCH_OK;
    if (count == 0 && (said == PORCH_ACCESS_PERSON ? name[0] == '\0' : !plain))
        return porch_fail(why, PORCH_ERR_USAGE, "'%.80s' is no name of a device, service or person here",
                          text);
    if (count == 0 && said < 0)
        return porch_fail(why, PORCH_ERR_NOT_FOUND,
                          "there is no device, service or person %s; write device:%s for one that could be "
                          "added",
                          name, name);
    *known = count > 0;
    *ret = count > 0
               ? found[last]
               : (porch_access_principal){.kind = (porch_access_kind)said, .name = porch_bytes_of(name)};
    return PORCH_OK;
}

/* ---- households ------------------------------------------------------------------------------------ */

static porch_err list_home(const porch_cli_policy *p, porch_cli_home *home) {
    size_t count = json_array_size(devices_of(p)), n = 0;
    porch_bytes *texts = calloc(count + 1, sizeof *texts);
    if (texts == NULL) return PORCH_ERR_INTERNAL;
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(devices_of(p), i);
        if (porch_bytes_eq_text(text_at(row, 2), home->household)) texts[n++] = text_at(row, 0);
    }
    size_t bytes = porch_access_set_bytes(texts, n);
    home->block = malloc(bytes);
    porch_err e = home->block == NULL
                      ? PORCH_ERR_INTERNAL
                      : porch_access_set_build(texts, n, home->block, bytes, &home->devices);
    free(texts);
    return e;
}

/* The devices of a person's household, kept until another one is asked about. */
static porch_err devices_at_home(porch_cli_policy *p, const porch_access_principal *who,
                                 const porch_access_set **ret) {
    *ret = NULL;
    if (who->kind != PORCH_ACCESS_PERSON) return PORCH_OK;
    if (p->home != NULL && porch_bytes_eq_text(who->household, p->home->household)) {
        *ret = p->home->devices;
        return PORCH_OK;
    }
    porch_cli_home *home = calloc(1, sizeof *home);
    if (home == NULL) return PORCH_ERR_INTERNAL;
    porch_err e = porch_bytes_to_text(who->household, home->household, sizeof home->household)
                      ? list_home(p, home)
                      : PORCH_ERR_INTERNAL;
    if (p->home != NULL) free(p->home->block);
    free(p->home);
    p->home = home;
    if (e == PORCH_OK) *ret = home->devices;
    return e;
}

/* ---- judging --------------------------------------------------------------------------------------- */

/* All statements of the principal's groups, as one automaton; tags are places in `groups`. */
typedef struct {
    uint32_t *groups;
    porch_access_statement *statements;
    void *automaton, *policy;
    const porch_access_policy *ready;
} bench;

static void bench_free(bench *b) {
    free(b->groups);
    free(b->statements);
    free(b->automaton);
    free(b->policy);
}

static porch_err gather(const porch_cli_policy *p, const porch_access_principal *who, bench *b,
                        size_t *count) {
    b->groups = calloc(p->document.group_count + 1, sizeof *b->groups);
    if (b->groups == NULL) return PORCH_ERR_INTERNAL;
    size_t n = porch_access_index_groups(&p->index, who, b->groups), filled = 0;
    for (size_t i = 0; i < n; i++)
        filled += p->document.groups[b->groups[i]].statement_count;
    b->statements = calloc(filled + 1, sizeof *b->statements);
    if (b->statements == NULL) return PORCH_ERR_INTERNAL;
    *count = filled;
    filled = 0;
    for (size_t i = 0; i < n; i++) {
        const porch_access_group *g = &p->document.groups[b->groups[i]];
        for (size_t k = 0; k < g->statement_count; k++) {
            b->statements[filled] = g->statements[k];
            b->statements[filled++].tag = b->groups[i];
        }
    }
    return PORCH_OK;
}

static porch_err build(const porch_access_principal *who, const porch_access_set *devices, bench *b,
                       size_t count) {
    const porch_access_automaton *a;
    size_t bytes = porch_access_automaton_bytes(b->statements, count);
    b->automaton = malloc(bytes);
    if (b->automaton == NULL) return PORCH_ERR_INTERNAL;
    PORCH_TRY(porch_access_automaton_build(b->statements, count, b->automaton, bytes, &a));
    porch_access_variable variables[PORCH_ACCESS_VARIABLES];
    size_t has = porch_access_principal_variables(who, variables);
    bytes = porch_access_policy_bind_bytes(a, variables, has);
    b->policy = malloc(bytes);
    return b->policy == NULL
               ? PORCH_ERR_INTERNAL
               : porch_access_policy_bind_person(a, variables, has, devices, b->policy, bytes, &b->ready);
}

static porch_err ask(const bench *b, unsigned action, const char *topic, porch_access_decision *ret,
                     porch_why *why) {
    porch_topic_name name;
    porch_topic_filter filter;
    if (action == PORCH_ACCESS_SUBSCRIBE) {
        if (strncmp(topic, "$share/", 7) == 0 && strchr(topic + 7, '/') != NULL)
            topic = strchr(topic + 7, '/') + 1;
        if (porch_topic_filter_parse(porch_bytes_of(topic), NULL, &filter) != PORCH_OK)
            return porch_fail(why, PORCH_ERR_USAGE, "'%.100s' is no topic filter", topic);
        *ret = porch_access_can_subscribe(b->ready, filter);
        return PORCH_OK;
    }
    if (porch_topic_name_parse(porch_bytes_of(topic), NULL, &name) != PORCH_OK)
        return porch_fail(why, PORCH_ERR_USAGE,
                          "'%.100s' is no topic; a filter with wildcards is something to subscribe to",
                          topic);
    *ret = action == PORCH_ACCESS_PUBLISH   ? porch_access_can_publish(b->ready, name)
           : action == PORCH_ACCESS_RECEIVE ? porch_access_can_receive(b->ready, name)
                                            : porch_access_can_read(b->ready, name);
    /* The hub's own topics are never anybody's to publish to. */
    if (action == PORCH_ACCESS_PUBLISH && topic[0] == '$') *ret = (porch_access_decision){false, -1};
    return PORCH_OK;
}

/* By the policy alone, for a person of a household that has these devices. */
static porch_err decide(const porch_cli_policy *p, const porch_access_principal *who,
                        const porch_access_set *devices, unsigned action, const char *topic,
                        porch_cli_verdict *ret, porch_why *why) {
    bench b = {NULL, NULL, NULL, NULL, NULL};
    size_t count = 0;
    porch_access_decision d = {false, -1};
    porch_err e = gather(p, who, &b, &count);
    if (e == PORCH_OK) e = build(who, devices, &b, count);
    if (e == PORCH_OK)
        e = ask(&b, action, topic, &d, why);
    else if (e == PORCH_ERR_NOT_FOUND)
        e = porch_fail(why, e, "a deny speaks of a variable that has no value for this one");
    porch_cli_verdict v = {.allowed = d.allowed};
    if (e == PORCH_OK && d.statement >= 0) {
        v.statement = b.statements[d.statement];
        v.group = &p->document.groups[v.statement.tag];
    }
    bench_free(&b);
    if (e == PORCH_OK) *ret = v;
    return e;
}

/* ID of d/ID/... and $porchlight/device/ID/...; false: it is of no device. */
static bool device_of(const char *topic, porch_bytes *ret) {
    static const char *const begins[] = {"d/", "$porchlight/device/"};
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(begins[i]);
        if (strncmp(topic, begins[i], n) != 0) continue;
        const char *slash = strchr(topic + n, '/');
        *ret = (porch_bytes){(const uint8_t *)topic + n, slash == NULL ? 0 : (size_t)(slash - topic) - n};
        return ret->len > 0;
    }
    return false;
}

/* What a household keeps is its own, also of a device that it has no more: the hub judges that as if the
 * device were there (porch_grants_policy_about). */
static porch_err judge_kept(const porch_cli_policy *p, const porch_access_principal *who,
                            const porch_access_set *devices, const char *topic, bool *ret, porch_why *why) {
    porch_bytes id;
    porch_cli_verdict v;
    const porch_access_set *one;
    if (who->kind != PORCH_ACCESS_PERSON || !device_of(topic, &id) ||
        (devices != NULL && porch_access_set_has(devices, id)))
        return PORCH_OK;
    size_t bytes = porch_access_set_bytes(&id, 1);
    void *block = malloc(bytes);
    porch_err e = block == NULL ? PORCH_ERR_INTERNAL : porch_access_set_build(&id, 1, block, bytes, &one);
    if (e == PORCH_OK) e = decide(p, who, one, PORCH_ACCESS_RECEIVE, topic, &v, why);
    if (e == PORCH_OK) *ret = v.allowed;
    free(block);
    return e;
}

porch_err porch_cli_judge(porch_cli_policy *p, const porch_access_principal *who, unsigned action,
                          const char *topic, porch_cli_verdict *ret, porch_why *why) {
    porch_cli_verdict v = {.allowed = false};
    const porch_access_set *devices = NULL;
    porch_err e = devices_at_home(p, who, &devices);
    if (e == PORCH_OK) e = decide(p, who, devices, action, topic, &v, why);
    if (e == PORCH_OK && !v.allowed && action == PORCH_ACCESS_RECEIVE && !porch_cli_expired(p, who))
        e = judge_kept(p, who, devices, topic, &v.kept, why);
    v.expired = e == PORCH_OK && v.allowed && porch_cli_expired(p, who);
    if (v.expired) v.allowed = false;
    v.revoked = porch_cli_revoked(p, who);
    if (v.revoked) v.allowed = false;
    if (e == PORCH_OK && v.allowed && porch_cli_quarantined(p, who)) {
        if (action == PORCH_ACCESS_SUBSCRIBE && strncmp(topic, "$share/", 7) == 0 &&
            strchr(topic + 7, '/') != NULL)
            topic = strchr(topic + 7, '/') + 1;
        v.allowed = porch_access_quarantine_lets(who->name, action, porch_bytes_of(topic));
        v.quarantine = !v.allowed;
    }
    if (e == PORCH_OK) *ret = v;
    return e;
}

porch_cli_statement_text porch_cli_statement(const porch_access_statement *s) {
    porch_cli_statement_text t;
    char actions[64];
    porch_buf b = {(uint8_t *)actions, 0, sizeof actions - 1};
    (void)porch_access_actions_write(&b, s->actions);
    actions[b.len] = '\0';
    (void)snprintf(t.text, sizeof t.text, "%s %s %.*s", s->effect == PORCH_ACCESS_DENY ? "deny" : "allow",
                   actions, PORCH_FMT(s->filter.text));
    return t;
}
