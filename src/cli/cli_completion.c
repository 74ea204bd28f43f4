/* The completion script for bash: the tables as `case` rows, and one small function that reads them. It
 * needs nothing but bash. */
#include "cli/cli_room.h"

#include <string.h>

/* What a value is, by its name in help: a path is completed by bash, the rest is not guessed. */
static const char *value_kind(const char *value) {
    if (strcmp(value, "FILE") == 0) return "file";
    if (strcmp(value, "FOLDER") == 0 || strcmp(value, "DIR") == 0) return "folder";
    return "word";
}

static void options_of(FILE *to, const porch_cli_command *c) {
    fprintf(to, "        '%s') echo '", c->words);
    for (const porch_cli_option *o = c->options; o && o->name; o++)
        fprintf(to, "%s ", o->name);
    fprintf(to, "--json --help' ;;\n");
}

static void values_of(FILE *to, const porch_cli_command *c) {
    if (c->argument) fprintf(to, "        '%s ') echo %s ;;\n", c->words, value_kind(c->argument));
    for (const porch_cli_option *o = c->options; o && o->name; o++)
        if (o->value) fprintf(to, "        '%s %s') echo %s ;;\n", c->words, o->name, value_kind(o->value));
}

static void each(FILE *to, const porch_cli_command *const *tables,
                 void (*print)(FILE *, const porch_cli_command *)) {
    for (size_t t = 0; tables[t]; t++)
        for (const porch_cli_command *c = tables[t]; c->words; c++)
            print(to, c);
}

static void words_of(FILE *to, const porch_cli_command *c) {
    fprintf(to, "%s\n", c->words);
}

/* Words before the cursor: the command's, then what its options and argument take. */
static const char reader[] =
    "_porchlight() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local typed='' found='' line word kind='' i\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        case $word in\n"
    "            -C) i=$((i + 1)) ;;\n"
    "            -*) [ -n \"$found\" ] && [ -n \"$(_porchlight_value \"$found $word\")\" ] && i=$((i + 1)) "
    ";;\n"
    "            *)  typed=${typed:+$typed }$word\n"
    "                while read -r line; do [ \"$line\" = \"$typed\" ] && found=$line; done "
    "< <(_porchlight_commands) ;;\n"
    "        esac\n"
    "    done\n"
    "    if [ \"$prev\" = -C ]; then\n"
    "        kind=folder\n"
    "    elif [ -n \"$found\" ]; then\n"
    "        case $prev in -*) kind=$(_porchlight_value \"$found $prev\") ;; esac\n"
    "    fi\n"
    "    if [ -z \"$kind\" ]; then\n"
    "        case $cur in\n"
    "            -*) COMPREPLY=($(compgen -W \"${found:+$(_porchlight_options \"$found\")} -C --json "
    "--help\" "
    "-- \"$cur\")); return ;;\n"
    "        esac\n"
    "        [ -n \"$found\" ] && kind=$(_porchlight_value \"$found \")\n"
    "    fi\n"
    "    case $kind in\n"
    "        file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "        folder) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
    "        word) ;;\n"
    "        *)  while read -r line; do\n"
    "                case $line in \"${typed:+$typed }$cur\"*) line=${line#\"${typed:+$typed }\"}; "
    "COMPREPLY+=(\"${line%% *}\") ;; esac\n"
    "            done < <(_porchlight_commands) ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _porchlight porchlight\n";

void porch_cli_completion(FILE *to, const porch_cli_command *const *tables) {
    fputs("# Completion of porchlight(1) for bash; made by 'porchlight completion bash'.\n"
          "_porchlight_commands() {\n    cat <<'END'\n",
          to);
    each(to, tables, words_of);
    fputs("END\n}\n_porchlight_options() {\n    case $1 in\n", to);
    each(to, tables, options_of);
    fputs("    esac\n}\n_porchlight_value() {\n    case $1 in\n", to);
    each(to, tables, values_of);
    fputs("    esac\n}\n", to);
    fputs(reader, to);
}
