/* `service add --allow ... --deny ...`: the group service-NAME. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/statement.h"
#include "cloud/grants/grants.h"
#include "cloud/trust/trust.h"
#include "os/clock.h"

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

static void group_name(const char *service, char out[80]) {
    (void)snprintf(out, 80, "service-%.64s", service);
}

static porch_err erase(porch_db *db, const char *group, porch_why *why) {
    porch_db_query *q = porch_db_prepare(db, "delete from access_group where name = ?1", why);
    porch_db_bind_str(q, 1, group);
    return porch_db_execute(q, why); /* members and statements go with it */
}

static porch_err insert_group(porch_db *db, const char *group, const char *service, porch_why *why) {
    porch_db_query *q =
        porch_db_prepare(db, "insert into access_group (name, added_ms) values (?1, ?2)", why);
    porch_db_bind_str(q, 1, group);
    porch_db_bind_i64(q, 2, (int64_t)porch_clock_ms());
    PORCH_TRY(porch_db_execute(q, why));
    q = porch_db_prepare(
        db, "insert into access_member (group_name, kind, value) values (?1, 'service', ?2)", why);
    porch_db_bind_str(q, 1, group);
    porch_db_bind_str(q, 2, service);
    return porch_db_execute(q, why);
}

static porch_err insert_statement(porch_db *db, const char *group, size_t position,
                                  const porch_grants_statement *s, porch_why *why) {
    char actions[64];
    actions_text(s->actions, actions);
    porch_db_query *q = porch_db_prepare(db,
                                         "insert into access_statement (group_name, position, effect, "
                                         "actions, filter) values (?1, ?2, ?3, ?4, ?5)",
                                         why);
    porch_db_bind_str(q, 1, group);
    porch_db_bind_i64(q, 2, (int64_t)position);
    porch_db_bind_str(q, 3, s->deny ? "deny" : "allow");
    porch_db_bind_str(q, 4, actions);
    porch_db_bind_str(q, 5, s->filter);
    return porch_db_execute(q, why);
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

porch_err porch_grants_service_write(porch_db *db, const char *service,
                                     const porch_grants_statement *statements, size_t count,
                                     porch_why *why) {
    char group[80];
    group_name(service, group);
    PORCH_TRY(erase(db, group, why));
    PORCH_TRY(insert_group(db, group, service, why));
    for (size_t i = 0; i < count; i++)
        PORCH_TRY(insert_statement(db, group, i, &statements[i], why));
    char *detail = statements_json(statements, count);
    porch_err e = detail == NULL ? porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the grants")
                                 : log_group(db, "group.write", group, detail, why);
    free(detail);
    return e;
}

porch_err porch_grants_service_erase(porch_db *db, const char *service, porch_why *why) {
    char group[80];
    group_name(service, group);
    PORCH_TRY(erase(db, group, why));
    return log_group(db, "group.erase", group, "{}", why);
}
