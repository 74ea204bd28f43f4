#include <string.h>
#include <unistd.h>

#include "cli/cli_room.h"

static const porch_cli_option add_options[] = {
    {"--timezone", "ZONE", false, false, "IANA name, e.g. Europe/Berlin (default: UTC)"},
    {0},
};

static void show_added(const json_t *answer) {
    printf("The household %s is made.\n", porch_cli_safe(porch_cli_member(answer, "id")).text);
}

static int add(porch_cli *c) {
    json_t *args =
        json_pack("{s:s, s:s*}", "name", c->argument, "timezone", porch_cli_text(c, "--timezone"));
    return porch_cli_ask_and_show(c, "household.add", args, show_added);
}

static void show_list(const json_t *answer) {
    const json_t *household;
    size_t i;
    printf("%-24s %-24s %s\n", "ID", "NAME", "TIME ZONE");
    for (i = 0; (household = json_array_get(json_object_get(answer, "households"), i)) != NULL; i++)
        printf("%-24s %-24s %s\n", porch_cli_safe(porch_cli_member(household, "id")).text,
               porch_cli_safe(porch_cli_member(household, "name")).text,
               porch_cli_safe(porch_cli_member(household, "timezone")).text);
}

static int list(porch_cli *c) {
    return porch_cli_ask_and_show(c, "household.list", NULL, show_list);
}

/* ---- erase: asked once more, since nothing brings it back ---- */

static void show_erased(const json_t *answer) {
    printf("%s is erased. Backups that were made before still hold it: delete them too.\n",
           porch_cli_safe(porch_cli_member(answer, "id")).text);
}

/* Reads the name from standard input, which may be a pipe. */
static bool confirmed(const porch_cli *c) {
    char line[256];
    if (isatty(STDIN_FILENO) == 1)
        fprintf(
            stderr,
            "This deletes the household %s for ever: its devices' ways in, its people, clips, events and\n"
            "notifications. Type its name to go on: ",
            porch_cli_safe(c->argument).text);
    if (fgets(line, sizeof line, stdin) == NULL) return false;
    line[strcspn(line, "\r\n")] = '\0';
    return strcmp(line, c->argument) == 0;
}

static int erase(porch_cli *c) {
    if (!confirmed(c)) {
        fprintf(stderr, "porchlight: nothing was erased: the name was not typed as it is\n");
        return 1;
    }
    json_t *args = json_pack("{s:s, s:s}", "id", c->argument, "confirm", c->argument);
    return porch_cli_ask_and_show(c, "household.erase", args, show_erased);
}

const porch_cli_command porch_cli_household_commands[] = {
    {"household add", "NAME", false, add_options, "make a household; devices and people belong to one",
     add},
    {"household erase", "NAME", false, NULL,
     "delete a household and all of its data for ever; asks for its name once more", erase},
    {"household list", NULL, false, NULL, "every household and its time zone", list},
    {0},
};
