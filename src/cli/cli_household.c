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

const porch_cli_command porch_cli_household_commands[] = {
    {"household add", "NAME", false, add_options, "make a household; devices and people belong to one",
     add},
    {"household list", NULL, false, NULL, "every household and its time zone", list},
    {0},
};
