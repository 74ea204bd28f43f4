/* `service add --allow ... --deny ...`: the group service-NAME of the policy's text. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/statement.h"
#include "cloud/grants/grants_room.h"
#include "cloud/trust/trust.h"

/* The variables that a statement of a service may use. */
static const porch_access_variable known_variables[] = {{"service.name", {(const uint8_t *)"x", 1}}};

porch_err porch_grants_statement_parse(const char *text, bool deny, porch_grants_statement *ret,
                                       porch_why *why) {
    porch_bytes whole = porch_bytes_of(text);
    PORCH_TRY(porch_access_template_check(whole, known_variables, 1, NULL, why));
    const char *colon = strchr(text, ':');
    if (colon == NULL)
        return porch_fail(why, PORCH_ERR_MALFORMED,
                          "write ACTIONS:FILTER, as publish,subscribe:d/+/event/#");
    porch_grants_statement s = {.deny = deny};
    PORCH_TRY(porch_access_actions_parse((porch_bytes){whole.at, (size_t)(colon - text)}, &s.actions, why));
    if (!porch_bytes_to_text(porch_bytes_of(colon + 1), s.filter, sizeof s.filter))
        return porch_fail(why, PORCH_ERR_LIMIT, "a statement's filter is at most %zu bytes long",
                          sizeof s.filter - 1);
    for (const char *c = s.filter; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return porch_fail(why, PORCH_ERR_MALFORMED, "a statement's filter holds a control character");
    if (s.filter[0] == ' ' || s.filter[strlen(s.filter) - 1] == ' ')
        return porch_fail(why, PORCH_ERR_MALFORMED, "a statement's filter begins or ends with a space");
    *ret = s;
    return PORCH_OK;
}

static void actions_text(unsigned actions, char out[64]) {
    porch_buf b = {(uint8_t *)out, 0, 63};
    (void)porch_access_actions_write(&b, actions);
    out[b.len] = '\0';
}

void porch_grants_statement_text(const porch_grants_statement *s, char *out, size_t cap) {
    char actions[64];
    actions_text(s->actions, actions);
    (void)snprintf(out, cap, "%s:%s", actions, s->filter);
}

/* {"allow":["..."],"deny":["..."]}; malloc'ed. */
static char *statements_json(const porch_grants_statement *statements, size_t count) {
    json_t *allow = json_array(), *deny = json_array();
    for (size_t i = 0; i < count; i++) {
        char text[600];
        porch_grants_statement_text(&statements[i], text, sizeof text);
        (void)json_array_append_new(statements[i].deny ? deny : allow, json_string(text));
    }
    json_t *all = json_pack("{s:o, s:o}", "allow", allow, "deny", deny);
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}

static porch_err log_group(porch_db *db, const char *kind, const char *group, const char *detail,
                           porch_why *why) {
    char subject[96];
    (void)snprintf(subject, sizeof subject, "group:%s", group);
    return porch_trust_append(db, kind, "operator", subject, detail, why);
}

/* What cannot be in force is not stored: the hub would not start with it. */
static porch_err check(const char *text, const porch_settings *settings, porch_why *why) {
    grants_model *m = NULL;
    if (strlen(text) > settings->grants_policy_bytes)
        return porch_fail(
            why, PORCH_ERR_LIMIT,
            "with this service the policy would have more than %u bytes (grants.policy_bytes)",
            settings->grants_policy_bytes);
    char *copy = strdup(text);
    if (copy == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    PORCH_TRY(porch_grants_model_make(copy, 0, settings->grants_statements, &m, why));
    porch_grants_model_release(m);
    return PORCH_OK;
}

/* The document without the group, and with `with` in its place (NULL: without), as a new version. */
static porch_err replace(porch_db *db, const char *name, const porch_access_group *with, const char *note,
                         const porch_settings *settings, porch_why *why) {
    grants_loaded l;
    uint64_t version;
    PORCH_TRY(porch_grants_load(db, &l, why));
    porch_access_document d = l.document;
    size_t n = 0;
    d.groups = calloc(l.document.group_count + 1, sizeof *d.groups);
    for (size_t i = 0; d.groups != NULL && i < l.document.group_count; i++)
        if (!porch_bytes_eq_text(l.document.groups[i].name, name)) d.groups[n++] = l.document.groups[i];
    if (d.groups != NULL && with != NULL) d.groups[n++] = *with;
    d.group_count = n;
    char *text = NULL;
    if (d.groups != NULL) {
        porch_access_document_sort(&d);
        text = porch_grants_print(&d);
    }
    porch_err e = text == NULL ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy") : PORCH_OK;
    if (e == PORCH_OK && with != NULL) e = check(text, settings, why);
    if (e == PORCH_OK)
        e = porch_grants_text_write(db, text, "operator", note, settings->grants_versions, &version, why);
    free(text);
    free(d.groups);
    porch_grants_loaded_free(&l);
    return e;
}

static porch_access_statement statement_of(const porch_grants_statement *s) {
    return (porch_access_statement){.effect = s->deny ? PORCH_ACCESS_DENY : PORCH_ACCESS_ALLOW,
                                    .actions = s->actions,
                                    .filter = {porch_bytes_of(s->filter)}};
}

porch_err porch_grants_service_write(porch_db *db, const char *service,
                                     const porch_grants_statement *statements, size_t count,
                                     const porch_settings *settings, porch_why *why) {
    char group[80];
    (void)snprintf(group, sizeof group, "service-%.64s", service);
    porch_access_member member = {PORCH_ACCESS_MEMBER_SERVICE, porch_bytes_of(service)};
    porch_access_statement *all = calloc(count + 1, sizeof *all);
    if (all == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    for (size_t i = 0; i < count; i++)
        all[i] = statement_of(&statements[i]);
    porch_access_group g = {.name = porch_bytes_of(group),
                            .members = &member,
                            .member_count = 1,
                            .statements = all,
                            .statement_count = count};
    porch_err e = replace(db, group, &g, "service add", settings, why);
    free(all);
    if (e != PORCH_OK) return e;
    char *detail = statements_json(statements, count);
    e = detail == NULL ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants")
                       : log_group(db, "group.write", group, detail, why);
    free(detail);
    return e;
}

porch_err porch_grants_service_erase(porch_db *db, const char *service, const porch_settings *settings,
                                     porch_why *why) {
    char group[80];
    (void)snprintf(group, sizeof group, "service-%.64s", service);
    PORCH_TRY(replace(db, group, NULL, "service remove", settings, why));
    return log_group(db, "group.erase", group, "{}", why);
}
