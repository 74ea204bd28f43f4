/* can and who-can: one question to the policy, with what decides it. */
#include "cli/cli_access.h"

#include <string.h>

#include "access/statement.h"

static porch_err one_action(const char *text, unsigned *ret, porch_why *why) {
    PORCH_TRY(porch_access_actions_parse(porch_bytes_of(text), ret, why));
    if ((*ret & (*ret - 1)) == 0) return PORCH_OK;
    return porch_fail(why, PORCH_ERR_USAGE, "ask about one action at a time");
}

static json_t *verdict_json(const porch_access_principal *who, const porch_cli_verdict *v) {
    json_t *row = json_pack("{s:s, s:s%, s:b}", "kind", porch_access_kind_word(who->kind), "name",
                            who->name.at, who->name.len, "allowed", (int)v->allowed);
    if (v->quarantine) (void)json_object_set_new(row, "quarantine", json_true());
    if (v->revoked) (void)json_object_set_new(row, "revoked", json_true());
    if (v->kept) (void)json_object_set_new(row, "kept", json_true());
    if (v->expired) (void)json_object_set_new(row, "expired", json_true());
    if (who->kind == PORCH_ACCESS_PERSON && who->role != 0)
        (void)json_object_set_new(row, "role", json_string(porch_role_name(who->role)));
    if (who->kind == PORCH_ACCESS_PERSON && who->household.len > 0)
        (void)json_object_set_new(row, "household",
                                  json_stringn((const char *)who->household.at, who->household.len));
    if (v->group != NULL) {
        (void)json_object_set_new(row, "group",
                                  json_stringn((const char *)v->group->name.at, v->group->name.len));
        (void)json_object_set_new(row, "statement", json_string(porch_cli_statement(&v->statement).text));
    }
    return row;
}

/* ---- can -------------------------------------------------------------------------------------------- */

static void show_verdict(const porch_cli *c, const porch_access_principal *who,
                         const porch_cli_verdict *v) {
    char name[80];
    (void)snprintf(name, sizeof name, "%.*s", PORCH_FMT(who->name));
    printf("%s: %s %s %s %s %s\n", v->allowed ? "yes" : "no", porch_access_kind_word(who->kind),
           porch_cli_safe(name).text, v->allowed ? "may" : "must not", c->arguments[1],
           porch_cli_safe(c->arguments[2]).text);
    if (v->revoked)
        printf("  the device is revoked: it comes in no more\n");
    else if (v->expired)
        printf("  the guest's time is over; until then decided by group %.*s: %s\n",
               PORCH_FMT(v->group->name), porch_cli_safe(porch_cli_statement(&v->statement).text).text);
    else if (v->quarantine)
        printf("  the device is under quarantine: diagnostics and the signed update only\n");
    else if (v->group != NULL)
        printf("  decided by group %.*s: %s\n", PORCH_FMT(v->group->name),
               porch_cli_safe(porch_cli_statement(&v->statement).text).text);
    else
        printf("  no statement allows it; the smallest grant would be: allow %s %s\n", c->arguments[1],
               porch_cli_safe(c->arguments[2]).text);
    if (v->kept)
        printf("  but yes for what their household has kept of it, if the device was theirs before\n");
}

static int can(porch_cli *c) {
    porch_why why = {""};
    porch_cli_policy p;
    porch_access_principal who;
    porch_cli_verdict v = {.allowed = false};
    unsigned action;
    bool known;
    porch_err e = one_action(c->arguments[1], &action, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    e = porch_cli_policy_fetch(c, &p, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    e = porch_cli_principal(&p, c->arguments[0], &who, &known, &why);
    if (e == PORCH_OK) e = porch_cli_judge(&p, &who, action, c->arguments[2], &v, &why);
    if (e == PORCH_OK) {
        json_t *answer = verdict_json(&who, &v);
        (void)json_object_set_new(answer, "known", json_boolean(known));
        if (!porch_cli_json(c, answer)) show_verdict(c, &who, &v);
        json_decref(answer);
    }
    porch_cli_policy_free(&p);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    return v.allowed ? PORCH_CLI_DONE : PORCH_CLI_REFUSED;
}

/* ---- who-can ---------------------------------------------------------------------------------------- */

/* Who could be added and would be allowed: the members of groups that are not names of their own. */
static bool opens_to_new_ones(const porch_access_group *g) {
    for (size_t i = 0; i < g->member_count; i++) {
        porch_access_member_kind k = g->members[i].kind;
        if (k == PORCH_ACCESS_MEMBER_EVERY_DEVICE || k == PORCH_ACCESS_MEMBER_PRODUCT ||
            k == PORCH_ACCESS_MEMBER_HOUSEHOLD || k == PORCH_ACCESS_MEMBER_EVERY_PERSON ||
            k == PORCH_ACCESS_MEMBER_PEOPLE)
            return true;
    }
    return false;
}

static porch_err find_all(porch_cli_policy *p, unsigned action, const char *topic, json_t *list,
                          porch_why *why) {
    size_t count = porch_cli_principal_count(p);
    for (size_t i = 0; i < count; i++) {
        porch_access_principal who = porch_cli_principal_at(p, i);
        porch_cli_verdict v;
        porch_err e = porch_cli_judge(p, &who, action, topic, &v, why);
        if (e == PORCH_ERR_NOT_FOUND) continue; /* it has no policy at all: the hub refuses it */
        if (e != PORCH_OK) return e;
        if (!v.allowed) continue;
        json_t *row = verdict_json(&who, &v);
        if (opens_to_new_ones(v.group)) (void)json_object_set_new(row, "open_group", json_true());
        (void)json_array_append_new(list, row);
    }
    return PORCH_OK;
}

static void show_all(const porch_cli *c, const json_t *list) {
    const json_t *row;
    size_t i;
    bool open = false;
    if (json_array_size(list) == 0)
        printf("Nobody that the hub has may %s %s.\n", c->arguments[0],
               porch_cli_safe(c->arguments[1]).text);
    for (i = 0; (row = json_array_get(list, i)) != NULL; i++) {
        char who[300];
        bool person = strcmp(porch_cli_member(row, "kind"), "person") == 0;
        (void)snprintf(who, sizeof who, person ? "%s %s (%s, %s)" : "%s %s", porch_cli_member(row, "kind"),
                       porch_cli_safe(porch_cli_member(row, "name")).text, porch_cli_member(row, "role"),
                       porch_cli_member(row, "household"));
        printf("%-40s %s: %s\n", who, porch_cli_member(row, "group"),
               porch_cli_safe(porch_cli_member(row, "statement")).text);
        open = open || json_is_true(json_object_get(row, "open_group"));
    }
    if (open)
        printf("A device or person added later may become a member of some of these groups; 'prove' "
               "decides for all "
               "that could be.\n");
}

static int who_can(porch_cli *c) {
    porch_why why = {""};
    porch_cli_policy p;
    unsigned action;
    porch_err e = one_action(c->arguments[0], &action, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    e = porch_cli_policy_fetch(c, &p, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *list = json_array();
    e = find_all(&p, action, c->arguments[1], list, &why);
    if (e == PORCH_OK) {
        json_t *answer = json_pack("{s:O}", "who", list);
        if (!porch_cli_json(c, answer)) show_all(c, list);
        json_decref(answer);
    }
    json_decref(list);
    porch_cli_policy_free(&p);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

const porch_cli_command porch_cli_can_commands[] = {
    {"can", "WHO ACTION TOPIC", false, NULL,
     "may this device, service or person do it, and which statement decides\n"
     "WHO is a name, or device:ID, service:NAME or person:NAME; ACTION publish, subscribe, receive or "
     "read; a "
     "subscription may "
     "be a filter\nor a share. Exit status 0: yes, 1: no.",
     can},
    {"who-can", "ACTION TOPIC", false, NULL,
     "everybody who may do it, each with the statement that lets them", who_can},
    {0},
};
