/* argv against the tables. Words may come in any order around the command: `porchlight -C DIR device add x
 * --product camera --json` and `porchlight --json device add --product camera x -C DIR` are one. */
#include "cli/cli_room.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 4, WORD_MAX = 64 };

/* ---- the options given ---------------------------------------------------------------------------------
 */

const char *porch_cli_text(const porch_cli *c, const char *option) {
    const char *value = NULL;
    for (size_t i = 0; i < c->given_count; i++)
        if (strcmp(c->given[i].name, option) == 0) value = c->given[i].value;
    return value;
}

bool porch_cli_flag(const porch_cli *c, const char *option) {
    for (size_t i = 0; i < c->given_count; i++)
        if (strcmp(c->given[i].name, option) == 0) return true;
    return false;
}

json_t *porch_cli_list(const porch_cli *c, const char *option) {
    json_t *list = json_array();
    for (size_t i = 0; i < c->given_count; i++)
        if (strcmp(c->given[i].name, option) == 0)
            json_array_append_new(list, json_string(c->given[i].value));
    return list;
}

/* ---- did you mean
 * ---------------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t porch_cli_distance(const char *a, const char *b) {
    size_t rows[3][WORD_MAX + 1];
    size_t n = strlen(a);
    size_t m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX) return n > m ? n : m;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(now[j], least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

static porch_err unknown_command(const char *typed, const porch_cli_command *const *tables,
                                 porch_why *why) {
    const char *nearest = NULL;
    size_t nearest_distance = WORD_MAX;
    for (size_t t = 0; tables[t]; t++)
        for (const porch_cli_command *c = tables[t]; c->words; c++) {
            size_t d = porch_cli_distance(typed, c->words);
            if (d < nearest_distance) nearest = c->words, nearest_distance = d;
        }
    if (nearest && nearest_distance <= strlen(typed) / 2 + 1)
        return porch_fail(why, PORCH_ERR_USAGE, "there is no command '%.40s'; did you mean '%s'?", typed,
                          nearest);
    return porch_fail(why, PORCH_ERR_USAGE, "there is no command '%.40s'; see porchlight help", typed);
}

static porch_err unknown_option(const porch_cli_command *command, const char *typed, porch_why *why) {
    const char *nearest = NULL;
    size_t nearest_distance = WORD_MAX;
    for (const porch_cli_option *o = command->options; o && o->name; o++) {
        size_t d = porch_cli_distance(typed, o->name);
        if (d < nearest_distance) nearest = o->name, nearest_distance = d;
    }
    if (nearest && nearest_distance <= 3)
        return porch_fail(why, PORCH_ERR_USAGE, "'%s' has no option %.40s; did you mean %s?",
                          command->words, typed, nearest);
    return porch_fail(why, PORCH_ERR_USAGE, "'%s' has no option %.40s; see porchlight %s --help",
                      command->words, typed, command->words);
}

/* ---- parsing
 * --------------------------------------------------------------------------------------------- */

/* argv sorted into what holds for every command and the rest. */
typedef struct {
    const char *rest[256];
    size_t rest_count;
    bool help;
} word_list;

static porch_err take_common(int argc, char **argv, porch_cli *c, word_list *w, porch_why *why) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-C") == 0) {
            if (i + 1 >= argc)
                return porch_fail(why, PORCH_ERR_USAGE, "-C needs the hub's directory after it");
            c->dir = argv[++i];
        } else if (strcmp(argv[i], "--json") == 0) {
            c->json = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            w->help = true;
        } else if (w->rest_count == sizeof w->rest / sizeof *w->rest) {
            return porch_fail(why, PORCH_ERR_USAGE, "too many words");
        } else {
            w->rest[w->rest_count++] = argv[i];
        }
    }
    return PORCH_OK;
}

/* How many of the first words are the command's, 0 when it is not this one. */
static size_t words_that_fit(const porch_cli_command *command, const word_list *w) {
    const char *at = command->words;
    for (size_t i = 0;; i++) {
        size_t n = strcspn(at, " ");
        if (i >= w->rest_count || strlen(w->rest[i]) != n || memcmp(w->rest[i], at, n) != 0) return 0;
        if (!at[n]) return i + 1;
        at += n + 1;
    }
}

static const porch_cli_command *find_command(const porch_cli_command *const *tables, const word_list *w,
                                             size_t *used) {
    const porch_cli_command *found = NULL;
    *used = 0;
    for (size_t t = 0; tables[t]; t++)
        for (const porch_cli_command *c = tables[t]; c->words; c++) {
            size_t n = words_that_fit(c, w);
            if (n > *used) found = c, *used = n;
        }
    return found;
}

/* `device` alone, or `device nonsense`: the first words as typed, at most two. */
static porch_err no_command(const porch_cli_command *const *tables, const word_list *w, porch_why *why) {
    char typed[2 * WORD_MAX + 2] = "";
    if (w->rest_count == 0) return porch_fail(why, PORCH_ERR_USAGE, "which command? see porchlight help");
    int n = snprintf(typed, sizeof typed, "%.60s", w->rest[0]);
    if (w->rest_count > 1 && w->rest[1][0] != '-' && n > 0 && (size_t)n < sizeof typed)
        snprintf(typed + n, sizeof typed - (size_t)n, " %.60s", w->rest[1]);
    return unknown_command(typed, tables, why);
}

static const porch_cli_option *find_option(const porch_cli_command *command, const char *word, size_t len) {
    for (const porch_cli_option *o = command->options; o && o->name; o++)
        if (strlen(o->name) == len && memcmp(o->name, word, len) == 0) return o;
    return NULL;
}

/* One option at rest[*i]; `--name value` or `--name=value`. */
static porch_err take_option(porch_cli *c, const word_list *w, size_t *i, porch_why *why) {
    const char *word = w->rest[*i];
    const char *equals = strchr(word, '=');
    const porch_cli_option *o =
        find_option(c->command, word, equals ? (size_t)(equals - word) : strlen(word));
    const char *value = equals ? equals + 1 : NULL;
    if (!o) return unknown_option(c->command, word, why);
    if (!o->value && equals) return porch_fail(why, PORCH_ERR_USAGE, "%s takes no value", o->name);
    if (o->value && !value) {
        if (*i + 1 >= w->rest_count)
            return porch_fail(why, PORCH_ERR_USAGE, "%s needs its %s after it", o->name, o->value);
        value = w->rest[++*i];
    }
    if (!o->repeats && porch_cli_flag(c, o->name))
        return porch_fail(why, PORCH_ERR_USAGE, "%s is given twice", o->name);
    if (c->given_count == PORCH_CLI_OPTIONS_MAX)
        return porch_fail(why, PORCH_ERR_USAGE, "too many options");
    c->given[c->given_count].name = o->name;
    c->given[c->given_count++].value = value ? value : "";
    return PORCH_OK;
}

/* "WHO ACTION TOPIC" are three. */
static size_t arguments_of(const porch_cli_command *command) {
    size_t n = 1;
    for (const char *at = command->argument; *at != '\0'; at++)
        n += *at == ' ';
    return n;
}

static porch_err take_rest(porch_cli *c, const word_list *w, size_t from, porch_why *why) {
    for (size_t i = from; i < w->rest_count; i++) {
        const char *word = w->rest[i];
        if (word[0] == '-' && word[1]) {
            PORCH_TRY(take_option(c, w, &i, why));
        } else if (!c->command->argument) {
            return porch_fail(why, PORCH_ERR_USAGE,
                              "'%s' takes no further word like '%.40s'; see porchlight %s --help",
                              c->command->words, word, c->command->words);
        } else if (c->argument_count == arguments_of(c->command)) {
            return porch_fail(why, PORCH_ERR_USAGE,
                              c->argument_count == 1 ? "'%s' takes one %s; '%.40s' is a second"
                                                     : "'%s' takes %s; '%.40s' is one too many",
                              c->command->words, c->command->argument, word);
        } else {
            c->arguments[c->argument_count++] = word;
            c->argument = c->arguments[0];
        }
    }
    return PORCH_OK;
}

static porch_err check_complete(const porch_cli *c, porch_why *why) {
    if (c->command->argument && c->argument && c->argument_count < arguments_of(c->command))
        return porch_fail(why, PORCH_ERR_USAGE, "'%s' needs %s; see porchlight %s --help",
                          c->command->words, c->command->argument, c->command->words);
    if (c->command->argument && !c->argument && !c->command->argument_optional)
        return porch_fail(why, PORCH_ERR_USAGE, "'%s' needs %s %s; see porchlight %s --help",
                          c->command->words, strchr("AEIOU", c->command->argument[0]) ? "an" : "a",
                          c->command->argument, c->command->words);
    for (const porch_cli_option *o = c->command->options; o && o->name; o++)
        if (o->required && !porch_cli_flag(c, o->name))
            return porch_fail(why, PORCH_ERR_USAGE, "'%s' needs %s %s; see porchlight %s --help",
                              c->command->words, o->name, o->value, c->command->words);
    return PORCH_OK;
}

porch_err porch_cli_parse(int argc, char **argv, const porch_cli_command *const *tables, porch_cli *ret,
                          porch_why *why) {
    word_list w = {.rest_count = 0};
    size_t used = 0;
    memset(ret, 0, sizeof *ret);
    PORCH_TRY(take_common(argc, argv, ret, &w, why));
    if (w.rest_count > 0 && strcmp(w.rest[0], "help") == 0) {
        w.help = true;
        w.rest_count--;
        memmove(w.rest, w.rest + 1, w.rest_count * sizeof *w.rest);
    }
    ret->command = find_command(tables, &w, &used);
    if (w.help && (ret->command || w.rest_count == 0)) return PORCH_ERR_STATE;
    if (!ret->command) return no_command(tables, &w, why);
    PORCH_TRY(take_rest(ret, &w, used, why));
    return check_complete(ret, why);
}

/* ---- help
 * ------------------------------------------------------------------------------------------------ */

void porch_cli_usage(FILE *to, const porch_cli_command *command) {
    fprintf(to, "%s", command->words);
    if (command->argument) fprintf(to, command->argument_optional ? " [%s]" : " %s", command->argument);
    for (const porch_cli_option *o = command->options; o && o->name; o++)
        fprintf(to, "%s%s%s%s%s%s", o->required ? " " : " [", o->name, o->value ? " " : "",
                o->value ? o->value : "", o->required ? "" : "]", o->repeats ? "..." : "");
}

void porch_cli_help_one(FILE *to, const porch_cli_command *command) {
    fprintf(to, "usage: porchlight -C DIR ");
    porch_cli_usage(to, command);
    fprintf(to, " [--json]\n\n%s\n", command->help);
    for (const porch_cli_option *o = command->options; o && o->name; o++)
        fprintf(to, "\n  %s%s%s\n      %s", o->name, o->value ? " " : "", o->value ? o->value : "",
                o->help);
    if (command->options) fprintf(to, "\n");
}

void porch_cli_help_all(FILE *to, const porch_cli_command *const *tables) {
    fprintf(
        to,
        "usage: porchlight [-C DIR] COMMAND ... [--json]\n\n"
        "DIR is the hub's directory; without -C it is $PORCHLIGHT_DIR, or where you are when a hub.conf "
        "is\n"
        "there, or " PORCH_CLI_STATE_DIR ". With no hub running, one is started for the length of the\n"
        "command. Exit status: 0 done, 1 refused (the reason is on standard error), 2 wrong words.\n\n");
    for (size_t t = 0; tables[t]; t++)
        for (const porch_cli_command *c = tables[t]; c->words; c++)
            fprintf(to, "  %-22s %.*s\n", c->words, (int)strcspn(c->help, "\n"), c->help);
    fprintf(to, "\n'porchlight COMMAND --help' tells more of one.\n");
}
