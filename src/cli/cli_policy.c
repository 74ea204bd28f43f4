#include "cli/cli_access.h"

#include <stdlib.h>
#include <string.h>

/* ---- policy export, apply, history ------------------------------------------------------------------ */

static const porch_cli_option export_options[] = {
    {"--version", "N", false, false, "as it was then, see 'policy history'"},
    {"--out", "FILE", false, false, "write it there instead of to standard output"},
    {0},
};

static porch_err write_file(const char *path, const char *text, porch_why *why) {
    FILE *f = fopen(path, "we");
    if (f == NULL) return porch_fail(why, PORCH_ERR_IO, "%s cannot be written", path);
    bool ok = fputs(text, f) >= 0;
    ok = fclose(f) == 0 && ok;
    return ok ? PORCH_OK : porch_fail(why, PORCH_ERR_IO, "%s cannot be written", path);
}

static porch_err parse_number(const char *text, uint64_t *ret, porch_why *why) {
    char *end = NULL;
    *ret = 0;
    if (text == NULL) return PORCH_OK;
    *ret = strtoull(text, &end, 10);
    return *text >= '1' && *text <= '9' && *end == '\0'
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_USAGE, "'%.40s' is no number of a version", text);
}

static int export_policy(porch_cli *c) {
    porch_why why = {""};
    json_t *answer = NULL;
    uint64_t version;
    const char *out = porch_cli_text(c, "--out");
    porch_err e = parse_number(porch_cli_text(c, "--version"), &version, &why);
    json_t *args = json_object();
    if (version > 0) (void)json_object_set_new(args, "version", json_integer((json_int_t)version));
    if (e == PORCH_OK)
        e = porch_cli_ask(c, "policy.export", args, &answer, &why);
    else
        json_decref(args);
    if (e == PORCH_OK && out != NULL) e = write_file(out, porch_cli_member(answer, "text"), &why);
    if (e != PORCH_OK) {
        json_decref(answer);
        return porch_cli_fail(e, &why);
    }
    if (!porch_cli_json(c, answer) && out == NULL) fputs(porch_cli_member(answer, "text"), stdout);
    json_decref(answer);
    return PORCH_CLI_DONE;
}

static const porch_cli_option apply_options[] = {
    {"--base", "N", false, false,
     "refuse when the policy is no longer at this version: somebody changed it meanwhile"},
    {"--note", "TEXT", false, false, "why, for the history"},
    {0},
};

static void show_applied(const json_t *answer) {
    if (json_is_true(json_object_get(answer, "changed")))
        printf("Version %llu of the policy is in force; every live session has been judged by it.\n",
               (unsigned long long)porch_cli_number(answer, "version"));
    else
        printf("Nothing changes: the policy says this already (version %llu).\n",
               (unsigned long long)porch_cli_number(answer, "version"));
}

static porch_err ask_apply(const porch_cli *c, const char *text, uint64_t base, const char *note,
                           json_t **answer, porch_why *why) {
    json_t *args = json_pack("{s:s, s:s*}", "text", text, "note", note);
    if (args == NULL) return porch_fail(why, PORCH_ERR_MALFORMED, "the policy is not UTF-8");
    if (base > 0) (void)json_object_set_new(args, "base", json_integer((json_int_t)base));
    return porch_cli_ask(c, "policy.apply", args, answer, why);
}

static int apply(porch_cli *c) {
    porch_why why = {""};
    char *text = NULL;
    json_t *answer = NULL;
    porch_cli_policy checked;
    uint64_t base;
    porch_err e = parse_number(porch_cli_text(c, "--base"), &base, &why);
    if (e == PORCH_OK) e = porch_cli_read_file(c->argument, &text, &why);
    if (e == PORCH_OK) {
        e = porch_cli_policy_of(porch_bytes_of(text), c->argument, &checked, &why);
        if (e == PORCH_OK) porch_cli_policy_free(&checked);
    }
    if (e == PORCH_OK) e = ask_apply(c, text, base, porch_cli_text(c, "--note"), &answer, &why);
    free(text);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, answer)) show_applied(answer);
    json_decref(answer);
    return PORCH_CLI_DONE;
}

static void show_history(const json_t *answer) {
    const json_t *row;
    size_t i;
    printf("%-8s %-21s %-16s %10s  %s\n", "VERSION", "WHEN", "WHO", "BYTES", "NOTE");
    for (i = 0; (row = json_array_get(json_object_get(answer, "versions"), i)) != NULL; i++)
        printf("%-8llu %-21s %-16s %10llu  %s\n", (unsigned long long)porch_cli_number(row, "version"),
               porch_cli_time(porch_cli_number(row, "at_ms")).text,
               porch_cli_safe(porch_cli_member(row, "who")).text,
               (unsigned long long)porch_cli_number(row, "bytes"),
               porch_cli_safe(porch_cli_member(row, "note")).text);
}

static int history(porch_cli *c) {
    return porch_cli_ask_and_show(c, "policy.history", NULL, show_history);
}

/* ---- group ------------------------------------------------------------------------------------------ */

static int list_groups(porch_cli *c) {
    porch_why why = {""};
    porch_cli_policy p;
    porch_err e = porch_cli_policy_fetch(c, &p, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    json_t *list = json_array();
    for (size_t i = 0; i < p.document.group_count; i++) {
        const porch_access_group *g = &p.document.groups[i];
        (void)json_array_append_new(list, json_pack("{s:s%, s:I, s:I}", "name", g->name.at, g->name.len,
                                                    "members", (json_int_t)g->member_count, "statements",
                                                    (json_int_t)g->statement_count));
    }
    json_t *answer = json_pack("{s:I, s:o}", "version", (json_int_t)p.version, "groups", list);
    if (!porch_cli_json(c, answer)) {
        printf("%-32s %8s %11s\n", "GROUP", "MEMBERS", "STATEMENTS");
        for (size_t i = 0; i < p.document.group_count; i++)
            printf("%-32.*s %8zu %11zu\n", PORCH_FMT(p.document.groups[i].name),
                   p.document.groups[i].member_count, p.document.groups[i].statement_count);
    }
    json_decref(answer);
    porch_cli_policy_free(&p);
    return PORCH_CLI_DONE;
}

static char *print(const porch_access_document *d) {
    size_t cap = porch_access_document_text_bytes(d);
    char *text = malloc(cap + 1);
    porch_buf b = {(uint8_t *)text, 0, cap};
    if (text == NULL || porch_access_document_write(&b, d) != PORCH_OK) {
        free(text);
        return NULL;
    }
    text[b.len] = '\0';
    return text;
}

static porch_err find_group(const porch_cli_policy *p, const char *name, const porch_access_group **ret,
                            porch_why *why) {
    *ret = porch_access_document_find(&p->document, porch_bytes_of(name));
    return *ret != NULL
               ? PORCH_OK
               : porch_fail(why, PORCH_ERR_NOT_FOUND, "there is no group %.80s; see 'group list'", name);
}

static int show_group(porch_cli *c) {
    porch_why why = {""};
    porch_cli_policy p;
    const porch_access_group *g = NULL;
    porch_err e = porch_cli_policy_fetch(c, &p, &why);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    e = find_group(&p, c->argument, &g, &why);
    if (e == PORCH_OK) {
        porch_access_document one = {(porch_access_group *)g, 1, NULL, 0};
        char *text = print(&one);
        json_t *answer =
            json_pack("{s:I, s:s}", "version", (json_int_t)p.version, "text", text == NULL ? "" : text);
        if (!porch_cli_json(c, answer)) fputs(text == NULL ? "" : text, stdout);
        json_decref(answer);
        free(text);
    }
    porch_cli_policy_free(&p);
    return e == PORCH_OK ? PORCH_CLI_DONE : porch_cli_fail(e, &why);
}

/* The text of the group as it is to become, from what it is, what is dropped and what is added. */
typedef struct {
    char *text;
    size_t len, cap;
} grown;

static void put(grown *g, const char *line) {
    size_t n = strlen(line);
    while (g->text != NULL && g->len + n + 1 > g->cap) {
        g->cap = g->cap * 2 + n;
        char *wider = realloc(g->text, g->cap);
        if (wider == NULL) free(g->text);
        g->text = wider;
    }
    if (g->text == NULL) return;
    memcpy(g->text + g->len, line, n + 1);
    g->len += n;
}

static const char *value_at(const porch_cli *c, const char *option, size_t wanted) {
    for (size_t i = 0; i < c->given_count; i++)
        if (strcmp(c->given[i].name, option) == 0 && wanted-- == 0) return c->given[i].value;
    return NULL;
}

/* "publish,subscribe:FILTER" as on `service add`, to the text's "allow publish,subscribe FILTER". */
static porch_err put_statement(grown *g, const char *effect, const char *given, porch_why *why) {
    const char *colon = strchr(given, ':');
    char line[800];
    if (colon == NULL)
        return porch_fail(why, PORCH_ERR_USAGE, "'%.100s': write ACTIONS:FILTER, as publish:d/x/#", given);
    int n = snprintf(line, sizeof line, "    %s %.*s %s\n", effect, (int)(colon - given), given, colon + 1);
    if (n < 0 || (size_t)n >= sizeof line || strchr(given, '\n') != NULL)
        return porch_fail(why, PORCH_ERR_LIMIT, "the statement is too long or has more than one line");
    put(g, line);
    return PORCH_OK;
}

static porch_err put_additions(grown *g, const porch_cli *c, porch_why *why) {
    const char *given;
    for (size_t i = 0; (given = value_at(c, "--member", i)) != NULL; i++) {
        if (strchr(given, '\n') != NULL)
            return porch_fail(why, PORCH_ERR_USAGE, "a member is one line, as 'device front-door'");
        put(g, "    member ");
        put(g, given);
        put(g, "\n");
    }
    for (size_t i = 0; (given = value_at(c, "--allow", i)) != NULL; i++)
        PORCH_TRY(put_statement(g, "allow", given, why));
    for (size_t i = 0; (given = value_at(c, "--deny", i)) != NULL; i++)
        PORCH_TRY(put_statement(g, "deny", given, why));
    return PORCH_OK;
}

/* Leaves out the lines of this group that a --drop names; each must be there. */
static porch_err put_kept(grown *g, const porch_cli *c, const porch_access_group *from, porch_why *why) {
    porch_access_document one = {(porch_access_group *)from, 1, NULL, 0};
    char *text = print(&one), *rest = text;
    bool dropped[PORCH_CLI_OPTIONS_MAX] = {false};
    const char *given;
    if (text == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        const char *bare = line + strspn(line, " ");
        bool drop = false;
        for (size_t i = 0; (given = value_at(c, "--drop", i)) != NULL; i++) {
            if (strcmp(bare, given) != 0) continue;
            dropped[i] = drop = true;
        }
        if (drop || *bare == '\0') continue;
        put(g, line);
        put(g, "\n");
    }
    free(text);
    for (size_t i = 0; (given = value_at(c, "--drop", i)) != NULL; i++)
        if (!dropped[i])
            return porch_fail(why, PORCH_ERR_NOT_FOUND, "the group has no line '%.100s'; see 'group show'",
                              given);
    return PORCH_OK;
}

typedef enum { ADD_GROUP, CHANGE_GROUP, REMOVE_GROUP } edit;

static porch_err edit_text(const porch_cli *c, edit what, const porch_cli_policy *p, grown *g,
                           porch_why *why) {
    const porch_access_group *found = porch_access_document_find(&p->document, porch_bytes_of(c->argument));
    if (what == ADD_GROUP && found != NULL)
        return porch_fail(why, PORCH_ERR_EXISTS, "there is a group %.80s; see 'group change'", c->argument);
    if (what != ADD_GROUP) PORCH_TRY(find_group(p, c->argument, &found, why));
    porch_access_document rest = p->document;
    rest.groups = calloc(p->document.group_count + 1, sizeof *rest.groups);
    if (rest.groups == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    rest.group_count = 0;
    for (size_t i = 0; i < p->document.group_count; i++)
        if (&p->document.groups[i] != found) rest.groups[rest.group_count++] = p->document.groups[i];
    char *text = print(&rest);
    free(rest.groups);
    if (text == NULL) return porch_fail(why, PORCH_ERR_INTERNAL, "no memory for the policy");
    put(g, text);
    free(text);
    if (what == REMOVE_GROUP) return PORCH_OK;
    if (found != NULL) {
        PORCH_TRY(put_kept(g, c, found, why));
    } else {
        put(g, "group ");
        put(g, c->argument);
        put(g, "\n");
    }
    return put_additions(g, c, why);
}

static int edit_group(porch_cli *c, edit what) {
    porch_why why = {""};
    porch_cli_policy p, checked;
    json_t *answer = NULL;
    grown g = {malloc(4096), 0, 4096};
    porch_err e = porch_cli_policy_fetch(c, &p, &why);
    if (e != PORCH_OK) {
        free(g.text);
        return porch_cli_fail(e, &why);
    }
    put(&g, "");
    e = edit_text(c, what, &p, &g, &why);
    if (e == PORCH_OK && g.text == NULL)
        e = porch_fail(&why, PORCH_ERR_INTERNAL, "no memory for the policy");
    if (e == PORCH_OK) e = porch_cli_policy_of(porch_bytes_of(g.text), NULL, &checked, &why);
    if (e == PORCH_OK) {
        porch_cli_policy_free(&checked);
        char note[160];
        (void)snprintf(note, sizeof note, "group %s %.80s",
                       what == ADD_GROUP      ? "add"
                       : what == CHANGE_GROUP ? "change"
                                              : "remove",
                       c->argument);
        e = ask_apply(c, g.text, p.version, note, &answer, &why);
    }
    free(g.text);
    porch_cli_policy_free(&p);
    if (e != PORCH_OK) return porch_cli_fail(e, &why);
    if (!porch_cli_json(c, answer)) show_applied(answer);
    json_decref(answer);
    return PORCH_CLI_DONE;
}

static int add_group(porch_cli *c) {
    return edit_group(c, ADD_GROUP);
}
static int change_group(porch_cli *c) {
    return edit_group(c, CHANGE_GROUP);
}
static int remove_group(porch_cli *c) {
    return edit_group(c, REMOVE_GROUP);
}

static const porch_cli_option add_options[] = {
    {"--member", "'KIND NAME'", false, true,
     "'every device', 'device ID', 'product NAME', 'household ID', 'service NAME' or 'tag NAME'"},
    {"--allow", "'ACTIONS:FILTER'", false, true, "e.g. 'publish:d/${device.id}/+/#'"},
    {"--deny", "'ACTIONS:FILTER'", false, true, "wins over every allow"},
    {0},
};

static const porch_cli_option change_options[] = {
    {"--member", "'KIND NAME'", false, true, "one more, as for 'group add'"},
    {"--allow", "'ACTIONS:FILTER'", false, true, "one more"},
    {"--deny", "'ACTIONS:FILTER'", false, true, "one more"},
    {"--drop", "LINE", false, true, "a line as 'group show' prints it, e.g. 'member device front-door'"},
    {0},
};

/* ---- denials ---------------------------------------------------------------------------------------- */

static void show_denials(const json_t *answer) {
    const json_t *row, *list = json_object_get(answer, "denials");
    size_t i;
    if (json_array_size(list) == 0) printf("Nothing was refused since the hub started.\n");
    for (i = 0; (row = json_array_get(list, i)) != NULL; i++) {
        const char *statement = porch_cli_member(row, "statement"), *grant = porch_cli_member(row, "grant");
        printf("%s  %llu x  %s %s: %s %s\n", porch_cli_time(porch_cli_number(row, "last_ms")).text,
               (unsigned long long)porch_cli_number(row, "count"), porch_cli_member(row, "kind"),
               porch_cli_member(row, "name"), porch_cli_member(row, "action"),
               porch_cli_safe(porch_cli_member(row, "topic")).text);
        if (*statement != '\0')
            printf("    forbidden by %s\n", porch_cli_safe(statement).text);
        else
            printf("    no statement allows it; the smallest grant: %s\n", porch_cli_safe(grant).text);
    }
}

static int denials(porch_cli *c) {
    return porch_cli_ask_and_show(c, "denials", NULL, show_denials);
}

const porch_cli_command porch_cli_policy_commands[] = {
    {"policy export", NULL, false, export_options,
     "the policy in force as one text: groups, members, statements, tags", export_policy},
    {"policy apply", "FILE", false, apply_options,
     "put a text in force, whole or not at all; '-' reads standard input\n"
     "Live sessions are judged anew before this command ends. docs/access.md teaches the text.",
     apply},
    {"policy history", NULL, false, NULL, "every version that is kept: when, by whom, why", history},
    {"denials", NULL, false, NULL,
     "what was refused since the hub started, and the smallest grant that would allow it\n"
     "Each row says who, what, by which statement and how often; they are kept in memory.",
     denials},
    {"group list", NULL, false, NULL, "every group with its number of members and statements", list_groups},
    {"group show", "NAME", false, NULL, "one group as it stands in the policy", show_group},
    {"group add", "NAME", false, add_options, "a new group", add_group},
    {"group change", "NAME", false, change_options, "add lines to a group and drop some", change_group},
    {"group remove", "NAME", false, NULL, "the group goes, and what it allowed or denied", remove_group},
    {0},
};
