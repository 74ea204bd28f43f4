#include "cli/cli_room.h"

static const porch_cli_option list_options[] = {
    {"--limit", "N", false, false, "how many, newest first (default 50)"},
    {0},
};

static void show_list(const json_t *answer) {
    const json_t *row;
    size_t i;
    const json_t *rows = json_object_get(answer, "notifications");
    if (json_array_size(rows) == 0) printf("No notification yet.\n");
    for (i = 0; (row = json_array_get(rows, i)) != NULL; i++)
        printf("%-34s %-20s %s\n", porch_cli_safe(porch_cli_member(row, "at")).text,
               porch_cli_safe(porch_cli_member(row, "device")).text,
               porch_cli_safe(porch_cli_member(row, "why")).text);
}

static int list(porch_cli *c) {
    const char *limit = porch_cli_text(c, "--limit");
    return porch_cli_ask_and_show(c, "notification.list", json_pack("{s:s*}", "limit", limit), show_list);
}

const porch_cli_command porch_cli_notification_commands[] = {
    {"notification list", NULL, false, list_options, "what people were told of, and why", list},
    {0},
};
